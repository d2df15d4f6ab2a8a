//! `lockrig check`: files against each other and the benches, without any power.

use super::board;
use super::error::Failure;
use super::files::{Library, Selection, print};
use crate::scenario::{self, Course};

/// Read files and match them with each other and the benches; applies no power
#[derive(clap::Args, Debug)]
pub struct Check {
    #[command(flatten)]
    selection: Selection,
    /// Firmware to check in place of the bench's own: a file, or the name of a shipped image
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
}

impl Check {
    pub fn execute(self) -> Result<u8, Failure> {
        let selection = Selection {
            real_benches: true,
            ..self.selection
        };
        let library = Library::load(&selection)?;
        let mut refused = Vec::new();
        let (mut runs, mut skipped) = (0, 0);
        for loaded in &library.scenarios {
            for profile in &library.profiles {
                match scenario::plan_on(&loaded.value, &profile.value) {
                    Ok(planned) => {
                        let running = planned
                            .iter()
                            .filter(|run| matches!(run.course, Course::Runs(_)))
                            .count();
                        runs += running;
                        skipped += planned.len() - running;
                    }
                    Err(problems) => refused.push(loaded.refused(problems)),
                }
            }
        }
        if !refused.is_empty() {
            return Err(Failure::refused(&refused));
        }
        let mut matched = Vec::new();
        for bench in library.benches.iter().map(|bench| &bench.value) {
            for profile in library.profiles.iter().map(|profile| &profile.value) {
                if board::fits(bench, profile) {
                    board::group(
                        &library.project,
                        bench,
                        profile,
                        None,
                        self.image.as_deref(),
                    )?;
                    matched.push(format!("{} on {}", profile.id(), bench.name));
                }
            }
        }
        print(&format!(
            "{} scenarios, {} profiles, {} benches: no mistakes\n{runs} runs planned, {skipped} variants skipped\n{}\n",
            library.scenarios.len(),
            library.profiles.len(),
            library.benches.len(),
            matched.join("\n"),
        ))
    }
}
