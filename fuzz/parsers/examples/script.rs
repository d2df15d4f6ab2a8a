//! What the fuzzers of the lock found, as a scenario and back; and what they start from.
//!
//! ```text
//! cargo run -p fuzz-parsers --example script -- scenario INPUT > found.yaml
//! cargo run -p fuzz-parsers --example script -- bytes SCENARIO INPUT
//! cargo run -p fuzz-parsers --example script -- seeds FOLDER
//! ```

use std::path::Path;
use std::process::ExitCode;

use fuzz_parsers::{scenario_form, seeds};
use fuzz_script::Script;
use lockrig::project::Project;
use lockrig::scenario::{Requirements, Scenario};
use lockrig::source::Source;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["scenario", input] => scenario(input),
        ["bytes", scenario, input] => bytes(scenario, input),
        ["seeds", folder] => write_seeds(Path::new(folder)),
        _ => Err("expected 'scenario INPUT', 'bytes SCENARIO INPUT' or 'seeds FOLDER'".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

fn scenario(input: &str) -> Result<(), String> {
    let bytes = std::fs::read(input).map_err(|why| format!("reading '{input}': {why}"))?;
    let script = Script::from_bytes(&bytes).map_err(|why| {
        format!("'{input}' is no input of a fuzzer of the lock: {why}; hint: was it cut, or is it another target's?")
    })?;
    let name = Path::new(input)
        .file_stem()
        .and_then(|name| name.to_str())
        .unwrap_or("found");
    let name: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(24)
        .collect();
    let text = scenario_form::scenario(&script, &name.to_lowercase());
    print!("{}", text.ok_or_else(|| format!("'{input}' does nothing"))?);
    Ok(())
}

fn bytes(path: &str, input: &str) -> Result<(), String> {
    let requirements = Project::Shipped
        .requirements()
        .map_err(|why| why.to_string())?;
    let text = requirements.text().map_err(|why| why.to_string())?;
    let requirements = Requirements::read(&Source::new(requirements.name.as_str(), text))
        .map_err(|refused| refused.render(false))?;
    let source = Source::open(Path::new(path)).map_err(|why| format!("reading '{path}': {why}"))?;
    let scenario =
        Scenario::read(&source, &requirements).map_err(|refused| refused.render(false))?;
    let script = scenario_form::script(&scenario)
        .map_err(|why| format!("'{path}' is no script of a fuzzer: {why}"))?;
    std::fs::write(input, script.to_bytes()).map_err(|why| format!("writing '{input}': {why}"))
}

fn write_seeds(folder: &Path) -> Result<(), String> {
    for (name, bytes) in seeds::made() {
        let path = folder.join(name);
        std::fs::write(&path, bytes)
            .map_err(|why| format!("writing '{}': {why}", path.display()))?;
    }
    Ok(())
}
