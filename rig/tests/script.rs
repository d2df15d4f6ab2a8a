//! Bytes become a scenario, and the scenario the same bytes.

mod desk;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use fuzz_script::{Script, repaired};
use insta::assert_snapshot;
use lockrig::project::Project;
use lockrig::scenario::{Requirements, Scenario};
use lockrig::script;
use lockrig::source::Source;
use tempfile::TempDir;

use desk::{lockrig, root, text};

fn read(text: &str) -> Scenario {
    let file = Project::Shipped
        .requirements()
        .expect("it is in the binary");
    let source = Source::new(file.name.as_str(), file.text().expect("it is text"));
    let requirements = Requirements::read(&source).expect("it is right");
    Scenario::read(&Source::new("found.yaml", text), &requirements).expect(text)
}

fn there_and_back(bytes: &[u8]) {
    let script = Script::from_bytes(bytes).expect("a script");
    let Some(text) = script::scenario(&script, "found") else {
        return assert!(script.actions.is_empty());
    };
    let again = script::script(&read(&text)).expect(&text);
    assert_eq!(again.to_bytes(), bytes, "{text}");
    assert_eq!(script::scenario(&again, "found"), Some(text));
}

/// Every word of the alphabet, and many of them together.
#[test]
fn bytes_and_scenarios_stand_for_each_other() {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for byte in 0..=u8::MAX {
        for stream in 0..5 {
            let mut streams = fuzz_script::Streams {
                product: byte % 6,
                ..fuzz_script::Streams::default()
            };
            streams.bytes[0] = vec![2];
            streams.bytes[stream] = vec![byte];
            there_and_back(&streams.together());
        }
        let bytes: Vec<u8> = (0..200).map(|_| noise()).collect();
        let mut bytes = repaired(&bytes);
        bytes[0] %= 6;
        there_and_back(&bytes);
    }
}

#[test]
fn what_no_script_can_do_is_named() {
    let text = "scenario: other\nversion: 1\nintent: Found by a fuzzer on stack-on-red-button\nneeds: []\n\
                covers: []\nsteps:\n  - wait: 123 ms\n";
    let why = script::script(&read(text)).expect_err("another pause");
    assert_eq!(
        why,
        "found.yaml:7: a wait of another length than scripts know: 123 ms"
    );
}

fn script(desk: &TempDir, arguments: &[&str]) -> Output {
    lockrig(desk, &[&["script"], arguments].concat())
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    paths.sort();
    paths
}

/// What the shipped scenarios do on every product: bytes, scenario, and the same bytes and scenario.
#[test]
fn every_seed_becomes_a_scenario_and_the_same_seed_again() {
    let desk = TempDir::new().expect("a temporary folder");
    for seed in files("fuzz/seeds/scripts") {
        let path = seed.to_str().expect("a path in Unicode");
        let done = script(&desk, &[path, "--output", "found.yaml"]);
        assert_eq!(
            done.status.code(),
            Some(0),
            "{path}: {}",
            text(&done.stderr)
        );
        let done = script(&desk, &["found.yaml", "--output", "found"]);
        assert_eq!(
            done.status.code(),
            Some(0),
            "{path}: {}",
            text(&done.stderr)
        );
        let bytes = fs::read(desk.path().join("found")).expect("it was written");
        assert_eq!(bytes, fs::read(&seed).expect("a seed"), "{path}");
    }
}

/// People say more than a fuzzer can; each time the message says what.
#[test]
fn what_a_shipped_scenario_says_beyond_a_script_is_named() {
    let desk = TempDir::new().expect("a temporary folder");
    let mut table = String::new();
    for scenario in files("scenarios") {
        let name = scenario.file_name().expect("a name").to_string_lossy();
        if name == "requirements.yaml" {
            continue;
        }
        let path = scenario.to_str().expect("a path in Unicode");
        let told = script(&desk, &[path]);
        assert_eq!(told.status.code(), Some(2), "{name}");
        let message = text(&told.stderr).replace(path, &name);
        let (why, _) = message.split_once("\nhint: ").expect("a hint");
        table.push_str(why.strip_prefix("error: ").unwrap_or(why));
        table.push('\n');
    }
    assert_snapshot!("beyond", table);
}

#[test]
fn a_scenario_on_a_product_is_the_seed_that_is_committed() {
    let desk = TempDir::new().expect("a temporary folder");
    let scenario = root().join("scenarios/rekey.yaml");
    let path = scenario.to_str().expect("a path in Unicode");
    let on = ["--profile", "securam-safelogic", "--output", "seed"];
    let done = script(&desk, &[&[path], &on[..]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let committed = fs::read(root().join("fuzz/seeds/scripts/securam-safelogic-rekey"));
    assert_eq!(
        fs::read(desk.path().join("seed")).expect("it was written"),
        committed.expect("a seed")
    );
}
