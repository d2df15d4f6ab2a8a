//! `lockrig layers`: one script on model, host build, emulated image and board, and one table of what they said.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fuzz_script::Script;
use serde::Serialize;

use super::board;
use super::error::Failure;
use super::files::{Library, Selection};
use super::run::{report_folder, unusable};
use super::script::{flattened, is_scenario, load, read, scenario_name};
use crate::campaign;
use crate::layers::{self, LAYERS, Layers, Table};
use crate::port::Interrupt;
use crate::script;
use crate::verdict::{self, Verdict};

/// Do the same to model, host build, image and board, and compare what they say
///
/// A script of the fuzzers, or what a scenario does on a product, is carried out on the plain model of what the
/// manual says, on the lock's state machine on this machine, on its image on the emulated core, and on the board
/// of a bench. Where they differ the script is made as small as it gets on the fastest layer that shows it, and
/// carried out on all of them again.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct LayersCommand {
    /// An input of a fuzzer of the lock, or a scenario (.yaml)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Of a scenario that no fuzzer wrote: the product that it is done to
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// The bench with the board, by name or file [default: the first virtual one that fits]
    #[arg(long, value_name = "NAME|FILE")]
    bench: Option<String>,
    /// Firmware to flash in place of the bench's own: a file, or the name of a shipped image
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    /// Seed of contact bounce and of everything else that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is printed: for people, or one JSON object
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Where the scenario and the table of a difference go [default: reports/<time>]
    #[arg(long, value_name = "FOLDER")]
    report_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  lockrig layers fuzz/seeds/scripts/securam-safelogic-rekey
  lockrig layers scenarios/rekey.yaml --profile securam-safelogic
  lockrig layers found.yaml --image fw.elf                 is it the firmware of yours that differs?

What is left behind where they differ, in the report folder:
  <name>.yaml   the least that shows it; 'lockrig run' carries it out
  <name>.txt    the table

Exit code 1: they differ.";

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// The table
    Human,
    /// A JSON object
    Json,
}

#[derive(Serialize)]
struct Shown<'a> {
    profile: &'a str,
    bench: &'a str,
    image: &'a str,
    verdict: Verdict,
    /// The first layer that says something else than the model, and from which word on, from 1.
    differs: Option<(&'a str, usize)>,
    /// What each layer said: the action, from 1, and the word.
    said: Vec<(&'a str, Vec<(usize, String)>)>,
    scenario: Option<String>,
}

impl LayersCommand {
    pub fn execute(self) -> Result<u8, Failure> {
        let script = self.script()?;
        if let Some(action) = layers::cuts_a_write(&script) {
            return Err(Failure::hinted(
                format!(
                    "action {} of '{}' cuts a write to flash, and the layers do not have their writes in common",
                    action + 1,
                    self.file.display()
                ),
                Some("'lockrig run' carries it out on a virtual bench".to_owned()),
            ));
        }
        let product = script::PRODUCTS[usize::from(script.product) % script::PRODUCTS.len()];
        let library = Library::load(&Selection {
            bench: self.bench.iter().cloned().collect(),
            profile: vec![self.profile.clone().unwrap_or_else(|| product.to_owned())],
            ..Selection::default()
        })?;
        let requirements = super::files::requirements(&library.project)?;
        let profile = &library.profiles[0].value;
        let mut benches = library.benches.iter().map(|loaded| &loaded.value);
        let bench = benches
            .find(|bench| bench.chip.is_some() && board::fits(bench, profile))
            .ok_or_else(|| Failure::usage(format!("no bench fits '{product}'")))?;
        let group = board::group(
            &library.project,
            bench,
            profile,
            None,
            self.image.as_deref(),
        )?;
        let image = group.image.as_ref().map(|image| image.name().to_owned());
        let stop = Arc::new(AtomicBool::new(false));
        let interrupt = Interrupt::default();
        super::flows::stop_on_signal(&stop, &interrupt)?;
        let prepared = campaign::prepare(
            &group,
            &board::opener(None, "comparing layers"),
            self.seed,
            interrupt,
        )
        .map_err(board::broken)?;
        let mut layers = Layers::new(group, prepared, requirements, self.seed).map_err(|why| {
            Failure::hinted(
                why,
                Some("'lockrig fuzz' and 'lockrig run' take foreign firmware".to_owned()),
            )
        })?;
        let (script, table) = match smallest(&mut layers, script, &stop) {
            Ok(done) => done,
            Err((Verdict::Broken, why)) => return Err(Failure::broken(why)),
            Err((Verdict::Usage, why)) => return Err(Failure::usage(why)),
            Err((verdict, _)) => return Ok(verdict.exit_code()),
        };
        let differs = table.difference().is_some();
        let scenario = differs.then(|| self.store(&script, &table)).transpose()?;
        let verdict = match table.difference() {
            Some(_) => Verdict::Fail,
            None => Verdict::Pass,
        };
        let shown = Shown {
            profile: product,
            bench: &bench.name,
            image: image.as_deref().unwrap_or_default(),
            verdict,
            differs: table
                .difference()
                .map(|(layer, at)| (LAYERS[layer], at + 1)),
            said: LAYERS
                .iter()
                .zip(&table.said)
                .map(|(layer, said)| {
                    let words = said.iter();
                    let words = words.map(|said| (said.action + 1, said.told.to_string()));
                    (*layer, words.collect())
                })
                .collect(),
            scenario,
        };
        self.show(&shown, &table, &script)?;
        let stopped = stop.load(Ordering::Relaxed).then_some(Verdict::Aborted);
        Ok(verdict::exit_code([verdict].into_iter().chain(stopped)))
    }

    /// Writes a script's scenario and table, and gives the scenario's path.
    fn store(&self, script: &Script, table: &Table) -> Result<String, Failure> {
        let folder = report_folder(self.report_dir.as_deref())?;
        let name = scenario_name(&self.file);
        let path = folder.join(format!("{name}.yaml"));
        let text = script::scenario(script, &name).unwrap_or_default();
        std::fs::write(&path, text)
            .and_then(|()| std::fs::write(folder.join(format!("{name}.txt")), table.text(script)))
            .map_err(|why| unusable(&folder, &why))?;
        Ok(path.display().to_string())
    }

    fn script(&self) -> Result<Script, Failure> {
        if !is_scenario(&self.file) {
            return read(&self.file);
        }
        let (library, loaded) = load(&self.file, self.profile.as_deref())?;
        match (script::script(&loaded.value), &self.profile) {
            (Ok(script), _) => Ok(script),
            (Err(_), Some(_)) => flattened(&library, &loaded),
            (Err(why), None) => Err(Failure::hinted(
                format!("'{}' is no script: {why}", self.file.display()),
                Some("--profile NAME takes of it what is done on that product".to_owned()),
            )),
        }
    }

    fn show(&self, shown: &Shown<'_>, table: &Table, script: &Script) -> Result<(), Failure> {
        let text = match self.format {
            Format::Json => serde_json::to_string(shown)
                .map(|line| format!("{line}\n"))
                .map_err(|why| Failure::broken(format!("writing JSON: {why}")))?,
            Format::Human => {
                let word = match shown.differs {
                    None => "all four say the same".to_owned(),
                    Some((layer, at)) => format!("'{layer}' differs from the model at {at}"),
                };
                let scenario = shown.scenario.as_ref();
                let scenario = scenario.map_or(String::new(), |path| {
                    format!("  the least that shows it: {path}\n")
                });
                format!(
                    "{} on {} with {}: {word}\n{}{scenario}",
                    shown.profile,
                    shown.bench,
                    shown.image,
                    table.text(script)
                )
            }
        };
        super::files::print(&text).map(drop)
    }
}

/// The table of a script; where the layers differ, of the smallest that shows it.
fn smallest(
    layers: &mut Layers,
    script: Script,
    stop: &AtomicBool,
) -> Result<(Script, Table), layers::Trouble> {
    let table = layers.all(&script)?;
    if table.difference().is_none() {
        return Ok((script, table));
    }
    let smallest = layers.shrunk(&script, &table, stop)?;
    let table = layers.all(&smallest)?;
    Ok((smallest, table))
}
