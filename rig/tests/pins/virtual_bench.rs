//! A virtual bench whose contacts are closed by pins.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn run(reports: &TempDir, scenario: &str, profile: &str) -> Output {
    run_on(
        Path::new("rig/tests/benches/safe-on-pins.toml"),
        reports,
        scenario,
        profile,
    )
}

fn run_on(bench: &Path, reports: &TempDir, scenario: &str, profile: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .args(["run", scenario, "--profile", profile, "--seed", "3"])
        .arg("--bench")
        .arg(bench)
        .arg("--report-dir")
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
        let holds = holds(trace);
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

/// The numbers of every measured hold of the reset button.
fn holds(trace: &str) -> Vec<serde_json::Value> {
    let holds = trace.lines();
    let holds = holds.filter(|line| line.contains("\"hold of button reset\""));
    holds
        .map(|line| serde_json::from_str(line).expect("a trace is JSON"))
        .collect()
}

#[test]
fn what_a_servo_holds_is_uncertain_by_its_travel_unless_a_line_tells() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/benches/safe-on-pins.toml"
    );
    let bench = fs::read_to_string(file).expect("the bench file can be read");
    let servo = r#"{ servo = 13, rest = "1 ms", pressed = "2 ms", travel = "150 ms" }"#;
    let proved = format!("channel = {servo}, line = \"reset-button\"");
    let reset = "channel = 13, line = \"reset-button\"";
    // The bench is good to 1 ms; the horn's 150 ms, and the 20 ms from one pulse to the next, come on top.
    for (wiring, uncertainty) in [
        (proved, 1_000_000),
        (format!("channel = {servo}"), 171_000_000),
    ] {
        let reports = TempDir::new().expect("a folder");
        let path = reports.path().join("servo.toml");
        fs::write(&path, bench.replace(reset, &wiring)).expect("the folder can be written to");
        let scenario = "scenarios/forgotten-code.yaml";
        let ran = run_on(&path, &reports, scenario, "stack-on-red-button");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert_eq!(ran.status.code(), Some(0), "{said}");
        let traces = traces(&reports);
        let holds: Vec<_> = traces.iter().flat_map(|trace| holds(trace)).collect();
        assert!(!holds.is_empty());
        for hold in holds {
            let number = |name: &str| hold[name].as_u64().expect("a number");
            let error = number("asked").abs_diff(number("value"));
            assert!(error <= number("uncertainty") + 6_000_000, "{hold}");
            assert_eq!(number("uncertainty"), uncertainty);
        }
    }
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
