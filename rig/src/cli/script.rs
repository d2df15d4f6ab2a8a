//! `lockrig script`: an input of the fuzzers of the lock as a scenario, and a scenario as one.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use fuzz_script::Script;

use super::error::Failure;
use super::files::{Library, Loaded, Selection, print, unless_closed};
use crate::profile::{Product, Profile};
use crate::scenario::{self, Course, Scenario};
use crate::script::{self, flat};

/// Turn an input of the fuzzers into a scenario, or a scenario into one
///
/// What the fuzzers of the lock find is a few bytes. As a scenario 'lockrig run' carries it out, and the scenario
/// becomes exactly those bytes again.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ScriptCommand {
    /// A scenario (.yaml), which becomes bytes, or an input of a fuzzer, which becomes a scenario
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where it goes [default: printed]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Of a scenario that says more than a fuzzer can: what it does on this product, without what it expects
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  lockrig script crash-1f0a > found.yaml
  lockrig script found.yaml --output fuzz/regressions/code_entry/found
  lockrig script scenarios/rekey.yaml --profile securam-safelogic --output seed";

impl ScriptCommand {
    pub fn execute(self) -> Result<u8, Failure> {
        if is_scenario(&self.file) {
            let bytes = self.script()?.to_bytes();
            return self.put(&bytes);
        }
        if self.profile.is_some() {
            return Err(Failure::hinted(
                "--profile is for scenarios: an input of a fuzzer names its product itself",
                Some("a scenario is a file that ends in .yaml".to_owned()),
            ));
        }
        let script = read(&self.file)?;
        let name = scenario_name(&self.file);
        let text = script::scenario(&script, &name)
            .ok_or_else(|| Failure::usage(format!("'{}' does nothing", self.file.display())))?;
        match &self.output {
            Some(_) => self.put(text.as_bytes()),
            None => print(&text),
        }
    }

    fn script(&self) -> Result<Script, Failure> {
        let (library, loaded) = load(&self.file, self.profile.as_deref())?;
        if self.profile.is_none() {
            return script::script(&loaded.value).map_err(|why| {
                Failure::hinted(
                    format!("'{}' is no script: {why}", self.file.display()),
                    Some("--profile NAME takes of it what is done on that product".to_owned()),
                )
            });
        }
        flattened(&library, &loaded)
    }

    fn put(&self, bytes: &[u8]) -> Result<u8, Failure> {
        let Some(output) = &self.output else {
            let mut out = std::io::stdout();
            if out.is_terminal() {
                return Err(Failure::hinted(
                    "an input of a fuzzer is not text",
                    Some("--output FILE writes it".to_owned()),
                ));
            }
            out.write_all(bytes).or_else(unless_closed)?;
            return Ok(0);
        };
        std::fs::write(output, bytes)
            .map_err(|why| Failure::usage(format!("writing '{}': {why}", output.display())))?;
        Ok(0)
    }
}

/// Whether a file is a scenario, by its name.
pub(super) fn is_scenario(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml"))
}

/// Reads an input of a fuzzer.
pub(super) fn read(path: &Path) -> Result<Script, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|why| Failure::usage(format!("reading '{}': {why}", path.display())))?;
    Script::from_bytes(&bytes).map_err(|why| {
        Failure::hinted(
            format!(
                "'{}' is no input of a fuzzer of the lock, at {why}",
                path.display()
            ),
            Some("was it cut, or is it another fuzzer's? the file is as it was".to_owned()),
        )
    })
}

/// Reads a scenario, and the profile that is asked for, if one is.
pub(super) fn load(
    path: &Path,
    profile: Option<&str>,
) -> Result<(Library, Loaded<Scenario>), Failure> {
    let mut library = Library::load(&Selection {
        paths: vec![path.to_owned()],
        profile: profile.into_iter().map(str::to_owned).collect(),
        ..Selection::default()
    })?;
    match library.scenarios.len() {
        1 => {
            let loaded = library.scenarios.remove(0);
            Ok((library, loaded))
        }
        count => Err(Failure::usage(format!(
            "'{}' has {count} scenarios, and one is needed",
            path.display()
        ))),
    }
}

/// What a scenario does on the only profile of a library.
pub(super) fn flattened(library: &Library, loaded: &Loaded<Scenario>) -> Result<Script, Failure> {
    let product: Option<&Product> = library.profiles.first().map(|profile| &*profile.value);
    let lock: &Profile = product
        .and_then(Product::lock)
        .ok_or_else(|| Failure::usage("a cylinder has no keys to press"))?;
    let runs = scenario::plan(&loaded.value, lock)
        .map_err(|refused| Failure::refused(&[loaded.refused(refused)]))?;
    let mut reasons = Vec::new();
    for run in runs {
        match run.course {
            Course::Runs(script) => return flat::script(lock, &script).map_err(Failure::usage),
            Course::Skipped(reason) => reasons.push(reason),
        }
    }
    Err(Failure::usage(format!(
        "'{}' has no run on '{}': {}",
        loaded.value.id(),
        lock.id(),
        reasons.join("; ")
    )))
}

/// A scenario's name from a file's.
pub(super) fn scenario_name(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let name: String = stem
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(40)
        .collect();
    let name = name.to_lowercase();
    match name.trim_matches('-') {
        "" => "found".to_owned(),
        name => name.to_owned(),
    }
}
