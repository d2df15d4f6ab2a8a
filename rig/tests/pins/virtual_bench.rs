//! A virtual bench whose contacts are closed by pins.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn run(reports: &TempDir, scenario: &str, profile: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .args(["run", scenario, "--profile", profile, "--seed", "3"])
        .args([
            "--bench",
            "rig/tests/benches/safe-on-pins.toml",
            "--report-dir",
        ])
        .arg(reports.path())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .expect("lockrig starts")
}

fn traces(reports: &TempDir) -> Vec<String> {
    let folders = fs::read_dir(reports.path()).expect("the reports are there");
    let traces = folders.filter_map(|entry| {
        let folder = entry.expect("it can be listed").path();
        fs::read_to_string(folder.join("events.jsonl")).ok()
    });
    traces.collect()
}

#[test]
fn a_reset_is_carried_out_through_a_crosspoint_and_its_hold_is_measured() {
    let reports = TempDir::new().expect("a folder");
    let ran = run(
        &reports,
        "scenarios/forgotten-code.yaml",
        "stack-on-red-button",
    );
    assert_eq!(
        ran.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&ran.stdout)
    );
    let traces = traces(&reports);
    assert!(!traces.is_empty());
    for trace in &traces {
        let holds = trace
            .lines()
            .filter(|line| line.contains("\"hold of button reset\""));
        let holds: Vec<serde_json::Value> = holds
            .map(|line| serde_json::from_str(line).expect("a trace is JSON"))
            .collect();
        assert!(!holds.is_empty(), "{trace}");
        for hold in holds {
            let number = |name: &str| hold[name].as_u64().expect("a number");
            // The header's relays close 6 ms after their coil, and open after 3 ms and up to 6 ms of bouncing.
            let error = number("asked").abs_diff(number("value"));
            assert!(error <= 6_000_000, "{hold}");
            assert_eq!(number("uncertainty"), 1_000_000);
        }
    }
    let again = TempDir::new().expect("a folder");
    run(
        &again,
        "scenarios/forgotten-code.yaml",
        "stack-on-red-button",
    );
    let sorted = |reports: &TempDir| {
        let mut traces = self::traces(reports);
        traces.sort();
        traces
    };
    assert!(
        sorted(&again) == sorted(&reports),
        "the same inputs, another trace"
    );
}

#[test]
fn keys_that_a_crosspoint_cannot_press_together_are_found_before_anything_is_on() {
    let reports = TempDir::new().expect("a folder");
    let ran = run(
        &reports,
        "scenarios/wrong-procedures.yaml",
        "sentrysafe-sfw123",
    );
    assert_eq!(ran.status.code(), Some(2), "nothing ran");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        said.contains(
            "cannot close key 0 and key 3 together: a crosspoint would close other keys too"
        ),
        "{said}"
    );
    assert!(traces(&reports).is_empty());
}
