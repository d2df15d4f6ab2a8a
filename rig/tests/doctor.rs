//! `lockrig doctor`, at the command line, on good virtual benches and on benches with one fault each.

use std::fs;
use std::path::Path;

use rstest::rstest;
use tempfile::TempDir;

use desk::{lockrig, root, text};

mod desk;

/// A desk with a bench file of its own: the virtual safe's, around the bench of this name.
fn desk(emulates: &str) -> TempDir {
    let desk = TempDir::new().expect("a folder for the test");
    let safe = root().join("boards/virtual-safe.toml");
    let safe = fs::read_to_string(safe).expect("a shipped board can be read");
    let kept = "uncertainty = \"1 ms\"\ncalibration = { max-age = \"30 days\" }";
    let file = safe
        .replace("bench = \"virtual-safe\"", "bench = \"desk\"")
        .replace(
            "emulates = \"virtual-safe\"",
            &format!("emulates = \"{emulates}\""),
        )
        .replace("uncertainty = \"1 ms\"", kept);
    fs::write(desk.path().join("desk.toml"), file).expect("the desk can be written to");
    desk
}

fn record(desk: &Path) -> Option<String> {
    fs::read_to_string(desk.join("calibration/desk.2026-11-26.toml")).ok()
}

#[rstest]
#[case::as_it_should_be("virtual-safe", 0)]
#[case::dead_relay("virtual-safe-with-a-dead-relay", 3)]
#[case::welded_relay("virtual-safe-with-a-welded-relay", 3)]
#[case::swapped_wire("virtual-safe-with-a-swapped-wire", 3)]
#[case::weak_supply("virtual-safe-with-a-weak-supply", 3)]
#[case::slow_sense_line("virtual-safe-with-a-slow-sense-line", 3)]
fn each_fault_is_named(#[case] emulates: &str, #[case] exit: i32) {
    let desk = desk(emulates);
    let doctor = lockrig(
        &desk,
        &["doctor", "--bench", "desk.toml", "--date", "2026-11-26"],
    );
    insta::assert_snapshot!(emulates, text(&doctor.stdout));
    assert_eq!(text(&doctor.stderr), "");
    assert_eq!(doctor.status.code(), Some(exit));
    assert_eq!(
        record(desk.path()).is_some(),
        exit == 0,
        "a record is kept of a good bench only"
    );
}

/// Behind multiplexers no key has a line of its own: that one which they all move followed is all there is to see.
#[rstest]
#[case::as_it_should_be("virtual-safe", 0)]
#[case::welded_relay("virtual-safe-with-a-welded-relay", 3)]
fn a_bench_with_multiplexers_is_examined_key_by_key(#[case] emulates: &str, #[case] exit: i32) {
    let desk = TempDir::new().expect("a folder for the test");
    let file = root().join("rig/tests/benches/safe-on-multiplexers.toml");
    let file = fs::read_to_string(file).expect("the bench file can be read");
    let emulated = format!("emulates = \"{emulates}\"");
    let file = file.replace("emulates = \"virtual-safe\"", &emulated);
    fs::write(desk.path().join("desk.toml"), file).expect("the desk can be written to");
    let doctor = lockrig(
        &desk,
        &["doctor", "--bench", "desk.toml", "--date", "2026-11-26"],
    );
    insta::assert_snapshot!(format!("multiplexers_{emulates}"), text(&doctor.stdout));
    assert_eq!(text(&doctor.stderr), "");
    assert_eq!(doctor.status.code(), Some(exit));
}

/// Arguments of the same run every time.
const RUN: [&str; 8] = [
    "run",
    "--bench",
    "desk.toml",
    "--filter",
    "forgotten-code@stack-on-red-button",
    "--report-dir",
    "reports",
    "--date",
];

fn run(desk: &TempDir, more: &[&str]) -> std::process::Output {
    lockrig(desk, &[&RUN, more].concat())
}

/// What the only run of a desk wrote into this file.
fn report(desk: &TempDir, name: &str) -> String {
    let run = desk
        .path()
        .join("reports/forgotten-code@stack-on-red-button@desk")
        .join(name);
    fs::read_to_string(&run).unwrap_or_else(|why| panic!("{}: {why}", run.display()))
}

/// By how much each hold was longer or shorter than asked for, in nanoseconds.
fn hold_errors(desk: &TempDir) -> Vec<i64> {
    let events = report(desk, "events.jsonl");
    let events = events
        .lines()
        .map(serde_json::from_str::<serde_json::Value>);
    let measured = events.map(|event| event.expect("an event is JSON"));
    let holds = measured.filter(|event| event["event"] == "measured");
    holds
        .map(|hold| {
            let nanos = |key: &str| hold[key].as_i64().expect("a hold was asked for");
            nanos("value") - nanos("asked")
        })
        .collect()
}

fn doctor(desk: &TempDir) {
    let doctor = lockrig(
        desk,
        &["doctor", "--bench", "desk.toml", "--date", "2026-11-26"],
    );
    assert_eq!(doctor.status.code(), Some(0), "{}", text(&doctor.stdout));
}

#[test]
fn a_bench_that_asks_for_a_record_runs_with_one_that_is_young_enough_and_fits_its_wiring() {
    let desk = desk("virtual-safe");
    let missing = run(&desk, &["2026-11-26"]);
    insta::assert_snapshot!("no_record", text(&missing.stderr));
    assert_eq!(missing.status.code(), Some(3));
    assert!(!desk.path().join("reports").exists(), "nothing was run");

    doctor(&desk);
    let young = run(&desk, &["2026-12-26"]);
    assert_eq!(young.status.code(), Some(0), "{}", text(&young.stderr));
    let record = desk.path().join("calibration/desk.2026-11-26.toml");
    let hash = sha256_of(&record);
    assert!(
        report(&desk, "events.jsonl")
            .lines()
            .next()
            .is_some_and(|first| {
                first.contains(&format!(r#"{{"role":"calibration","sha256":"{hash}"}}"#))
            })
    );

    let old = run(&desk, &["2026-12-27"]);
    insta::assert_snapshot!("old_record", text(&old.stderr));
    assert_eq!(old.status.code(), Some(3));

    let file = desk.path().join("desk.toml");
    let wired = fs::read_to_string(&file).expect("it was written");
    let rewired = wired.replace("reset = { channel = 13", "reset = { channel = 14");
    let rewired = rewired.replace("program = { channel = 14", "program = { channel = 13");
    fs::write(&file, rewired).expect("it can be written");
    let moved = run(&desk, &["2026-11-27"]);
    insta::assert_snapshot!("rewired", text(&moved.stderr));
    assert_eq!(moved.status.code(), Some(3));
}

#[test]
fn a_record_that_is_wrong_is_refused_with_every_mistake() {
    let desk = desk("virtual-safe");
    doctor(&desk);
    let path = desk.path().join("calibration/desk.2026-11-26.toml");
    let record = fs::read_to_string(&path).expect("it was written");
    let wrong = record
        .replace("date = \"2026-11-26\"", "date = \"yesterday\"")
        .replacen("closes = ", "shuts = ", 1);
    fs::write(&path, wrong).expect("it can be written");
    let refused = run(&desk, &["2026-11-26"]);
    insta::with_settings!({ filters => vec![(r"\x1b\[[0-9;]*m", "")] }, {
        insta::assert_snapshot!("wrong_record", text(&refused.stderr));
    });
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_run_without_a_record_says_so_in_every_report() {
    let desk = desk("virtual-safe");
    let went_on = run(&desk, &["2026-11-26", "--uncalibrated"]);
    assert_eq!(went_on.status.code(), Some(0), "{}", text(&went_on.stderr));
    let said = text(&went_on.stdout);
    assert!(said.contains("U N C A L I B R A T E D"), "{said}");
    for (name, words) in [
        ("report.html", "Uncalibrated. "),
        (
            "junit.xml",
            r#"name="UNCALIBRATED" value="there is no calibration record""#,
        ),
        (
            "run.json",
            r#""uncalibrated": "there is no calibration record""#,
        ),
        ("events.jsonl", r#""event":"uncalibrated""#),
    ] {
        let written = report(&desk, name);
        assert!(written.contains(words), "{name} does not say it");
    }
    let index = fs::read_to_string(desk.path().join("reports/index.html")).expect("it was written");
    assert!(index.contains("Uncalibrated. "));
}

/// A relay that closes in 6 ms and opens in 3 makes every hold 3 ms too short, unless it is known to.
#[test]
fn what_was_measured_corrects_the_holds() {
    let desk = desk("virtual-safe");
    run(&desk, &["2026-11-26", "--uncalibrated"]);
    let uncorrected = hold_errors(&desk);
    doctor(&desk);
    run(&desk, &["2026-11-26"]);
    let corrected = hold_errors(&desk);
    assert!(!uncorrected.is_empty());
    assert_eq!(uncorrected.len(), corrected.len());
    // What is left is how long the contact bounced as it opened.
    for (uncorrected, corrected) in uncorrected.iter().zip(&corrected) {
        let lag = corrected - uncorrected;
        assert!(
            (2_900_000..3_100_000).contains(&lag),
            "{uncorrected} {corrected}"
        );
    }
}

#[rstest]
#[case::by_its_record(&[])]
#[case::without_one(&["--uncalibrated"])]
fn a_replay_goes_by_what_the_run_went_by(#[case] how: &[&str]) {
    let desk = desk("virtual-safe");
    if how.is_empty() {
        doctor(&desk);
    }
    run(&desk, &[&["2026-11-26"], how].concat());
    let events = "reports/forgotten-code@stack-on-red-button@desk/events.jsonl";
    let replayed = lockrig(&desk, &["replay", events, "--bench", "desk.toml"]);
    let said = text(&replayed.stdout);
    assert_eq!(
        replayed.status.code(),
        Some(0),
        "{said}{}",
        text(&replayed.stderr)
    );
    if how.is_empty() {
        fs::remove_dir_all(desk.path().join("calibration")).expect("it was written");
        let without = lockrig(&desk, &["replay", events, "--bench", "desk.toml"]);
        assert_eq!(without.status.code(), Some(2), "{}", text(&without.stdout));
        insta::assert_snapshot!("no_record_to_replay", text(&without.stderr));
    }
}

/// SHA-256 of a file, by another program than ours.
fn sha256_of(path: &Path) -> String {
    let sum = std::process::Command::new("sha256sum").arg(path).output();
    let sum = text(&sum.expect("coreutils are there").stdout);
    sum.split_whitespace().next().unwrap_or_default().to_owned()
}
