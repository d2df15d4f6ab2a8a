//! What the fuzzers of the lock start from: what the shipped scenarios do, as scripts.

use lockrig::profile::Product;
use lockrig::project::Project;
use lockrig::scenario::{self, Course, Requirements, Scenario};
use lockrig::script::flat;
use lockrig::source::Source;

/// A seed for each shipped scenario on each product that it runs on, with its name; of a longer one the
/// beginning.
///
/// # Panics
/// If a shipped file is wrong, which other tests would have told.
pub fn made() -> Vec<(String, Vec<u8>)> {
    let source = |file: &lockrig::project::File| {
        Source::new(file.name.as_str(), file.text().expect("it is text"))
    };
    let shipped = Project::Shipped;
    let requirements = shipped.requirements().expect("it is in the binary");
    let requirements = Requirements::read(&source(&requirements)).expect("it is right");
    let scenarios = shipped.scenarios().expect("they are in the binary");
    let mut made = Vec::new();
    for file in shipped.profiles().expect("they are in the binary") {
        let product = Product::read(&source(&file)).expect("it is right");
        let Some(profile) = product.lock() else {
            continue;
        };
        for file in &scenarios {
            let Ok(scenario) = Scenario::read(&source(file), &requirements) else {
                continue;
            };
            let Ok(planned) = scenario::plan(&scenario, profile) else {
                continue;
            };
            let Some(run) = planned.iter().find_map(|run| match &run.course {
                Course::Runs(script) => Some(script),
                Course::Skipped(_) => None,
            }) else {
                continue;
            };
            let script = flat::script(profile, run).expect("every product has its place");
            let bytes = script.to_bytes();
            // Several scenarios begin alike.
            if made.iter().all(|(_, other)| *other != bytes) {
                let name = scenario.id().replace('/', "-");
                made.push((format!("{}-{name}", profile.id()), bytes));
            }
        }
    }
    made
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_are_those_of_the_scenarios() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../seeds/scripts");
        let made = super::made();
        for (name, bytes) in &made {
            let path = format!("{folder}/{name}");
            assert!(
                std::fs::read(&path).is_ok_and(|found| found == *bytes),
                "'{path}' is not the scenario's: cargo run -p fuzz-parsers --example seeds"
            );
        }
        let found = std::fs::read_dir(folder).expect("a folder").count();
        assert_eq!(found, made.len(), "seeds of scenarios that are gone");
    }
}
