//! `lockrig check`: files against each other and the benches, without any power.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::board;
use super::error::Failure;
use super::files::{Library, Selection, print};
use super::lacks::{Hands, is_of_another_kind, lacks};
use crate::bench::BenchFile;
use crate::profile::Product;
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
            ..self.selection.clone()
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
        let mut text = format!(
            "{} scenarios, {} profiles, {} benches: no mistakes\n{runs} runs planned, {skipped} variants skipped\n",
            library.scenarios.len(),
            library.profiles.len(),
            library.benches.len(),
        );
        for bench in library.benches.iter().map(|bench| &bench.value) {
            for profile in &library.profiles {
                if board::fits(bench, &profile.value) {
                    self.tell_of(&library, bench, &profile.value, &mut text)?;
                }
            }
        }
        print(&text)
    }

    /// How many runs of a product a bench can do, and what it lacks for the others.
    fn tell_of(
        &self,
        library: &Library,
        bench: &BenchFile,
        profile: &Arc<Product>,
        text: &mut String,
    ) -> Result<(), Failure> {
        let image = self.image.as_deref();
        let group = board::group(&library.project, bench, profile, None, image)?;
        let hands = Hands {
            attended: true,
            flashes: group.image.is_some(),
        };
        let (mut runs, mut missing) = (0, BTreeMap::<String, usize>::new());
        for scenario in library.scenarios.iter().map(|loaded| &loaded.value) {
            if is_of_another_kind(scenario, bench) {
                continue;
            }
            let planned = scenario::plan_on(scenario, profile).unwrap_or_default();
            for run in planned
                .iter()
                .filter(|run| matches!(run.course, Course::Runs(_)))
            {
                let lacks = lacks(scenario, bench, profile.lock(), run, hands);
                runs += usize::from(lacks.is_empty());
                lacks
                    .into_iter()
                    .for_each(|lack| *missing.entry(lack).or_default() += 1);
            }
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} on {}: {runs} runs", profile.id(), bench.name);
        for (lack, runs) in missing {
            let _ = writeln!(text, "  {runs} skipped: {lack}");
        }
        Ok(())
    }
}
