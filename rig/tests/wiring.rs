//! What a bench can do decides which runs begin on it; the others are skipped, each with its reason.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// Runs on a bench, by verdict: each run's id, and the reason.
fn run(bench: &str, chosen: &[&str]) -> Vec<(String, String, String)> {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("bench.toml"), bench).expect("a file");
    fs::write(folder.path().join("chord.yaml"), CHORD).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .arg("run")
        .args(chosen)
        .args(["--bench", "bench.toml"])
        .args(["--profile", "stack-on-red-button", "--format", "json"])
        .current_dir(folder.path())
        .output()
        .expect("the command starts");
    let said = String::from_utf8(output.stdout).expect("it is text");
    let error = String::from_utf8(output.stderr).expect("it is text");
    let runs = said.lines().filter_map(|line| {
        let run: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}{error}"));
        let word = |name: &str| run[name].as_str().map(str::to_owned);
        Some((word("id")?, word("verdict")?, word("because")?))
    });
    let runs: Vec<_> = runs.collect();
    assert!(!runs.is_empty(), "{said}{error}");
    runs
}

/// Two keys at once, in one row.
const CHORD: &str = r#"
scenario: chord
version: 1
intent: Two keys of one row are pressed at once.
needs: [keypad]
covers: [R01]
given: { supply: fresh }
steps:
  - press: ["1", "2"]
"#;

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/benches")
        .join(name);
    fs::read_to_string(path).expect("the bench file can be read")
}

#[test]
fn multiplexers_carry_out_a_flow_and_no_chord() {
    let bench = shipped("safe-on-multiplexers.toml");
    for (id, verdict, because) in run(&bench, &["--filter", "forgotten-code"]) {
        assert_eq!(verdict, "pass", "{id}: {because}");
    }
    for (_, verdict, because) in run(&bench, &["chord.yaml"]) {
        assert_eq!(verdict, "skipped");
        let reason = "cannot close key 1 and key 2 together: multiplexers join one row and one column at a time";
        assert!(because.ends_with(reason), "{because}");
    }
    for (id, verdict, because) in run(&shipped("safe-on-pins.toml"), &["chord.yaml"]) {
        assert_eq!(verdict, "pass", "{id}: {because}");
    }
}

#[test]
fn cells_are_connected_and_taken_away_and_have_one_voltage() {
    let bench = shipped("safe-on-cells.toml");
    let runs = run(&bench, &["--filter", "battery-drop-mid-reset"]);
    let count = |drop: &str, wanted: &str, reason: &str| {
        let runs = runs.iter().filter(|(id, ..)| id.ends_with(drop));
        let told =
            runs.filter(|(_, verdict, because)| verdict == wanted && because.contains(reason));
        told.count()
    };
    let phases = count("drop=clean", "pass", "everything expected was seen");
    assert!(phases > 3, "{runs:?}");
    let reason = "the cells of the bench 'safe-on-cells' have 9 V, and this needs 3 V";
    assert_eq!(count("drop=sag", "skipped", reason), phases, "{runs:?}");
}

#[test]
fn a_button_that_is_not_wired_is_missed_before_anything_is_pressed() {
    let bench = shipped("safe-on-cells.toml");
    for (id, verdict, because) in run(&bench, &["--filter", "wrong-procedures"]) {
        let reason = "the bench 'safe-on-cells' has no button program";
        assert_eq!((&*verdict, &*because), ("skipped", reason), "{id}");
    }
}

#[test]
fn another_unit_than_the_bench_file_names_is_not_judged() {
    let bench = shipped("safe-on-pins.toml");
    let named = |id: &str| {
        let device = format!(
            "device = {{ model = \"Sample\", serial-number = \"0142\", chip-id = {{ at = 0x10000060, is = \"{id}\" }} }}"
        );
        bench.replacen("version = 1", &format!("version = 1\n{device}"), 1)
    };
    let runs = run(&named("1f00cafe 0badf00d"), &["chord.yaml"]);
    let [(_, verdict, because)] = &*runs else {
        panic!("{runs:?}")
    };
    assert_eq!(verdict, "broken");
    let told = "confirming that it is Sample, serial number 0142: its chip is ";
    let (_, found) = because.split_once(told).expect(because);
    let (found, _) = found
        .split_once(", and the bench file says 1f00cafe 0badf00d")
        .expect(because);
    for (id, verdict, because) in run(&named(found), &["chord.yaml"]) {
        assert_eq!(verdict, "pass", "{id}: {because}");
    }
}

/// A real bench at whose ports there is nothing.
const REAL: &str = r#"
bench = "real"
version = 1
lock = "safe"
uncertainty = "20 ms"
ports.relay = { at = "/dev/there-is-none", baud = 9600 }
ports.supply = { at = "tcp://127.0.0.1:1" }
relays = { driver = "lcus", port = "relay", channels = 16 }
keys = { "1" = 1, "2" = 2 }
supply = { driver = "scpi", port = "supply", highest = "10 V", limit = "1 A" }
rest = { order = ["keys", "supply"] }
"#;

#[test]
fn a_real_lock_without_a_way_back_is_left_alone() {
    for (_, verdict, because) in run(REAL, &["chord.yaml"]) {
        assert_eq!(verdict, "skipped");
        assert!(
            because.contains("a lock that a run leaves shut stays shut"),
            "{because}"
        );
    }
    // With one, the bench is opened; here it is not there.
    let with = REAL.replace(
        "version = 1",
        "version = 1\nrecovery = \"the override key\"",
    );
    for (id, verdict, because) in run(&with, &["chord.yaml"]) {
        assert_eq!(verdict, "broken", "{id}: {because}");
    }
}
