//! `lockrig glitch`, entered through the command line: that it finds a lock which one instruction opens, that
//! what it leaves behind shows the same in `lockrig run`, and that bad input is refused by name.

mod desk;

use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use desk::{lockrig, root, text};

/// One product is enough where the command is the subject.
const SAFE: &str = "stack-on-red-button";
/// A lock that decides once.
const BAD: &str = "museum-decided-once";
/// Comparing a code takes fewer instructions.
const DECIDING: &str = "4000";

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/glitch")
        .join(name)
}

/// The glitches of the wrong code on the safe: exit code, and the entry in `glitch.json`.
fn glitches(desk: &TempDir, report: &str, more: &[&str]) -> (Option<i32>, Value) {
    let flow = here("wrong.yaml");
    let flow = flow.to_str().expect("a path in Unicode");
    let mut arguments = vec!["glitch", flow, "--profile", SAFE, "--report-dir", report];
    arguments.extend(more);
    let told = lockrig(desk, &arguments);
    let index = fs::read_to_string(desk.path().join(report).join("glitch.json"))
        .unwrap_or_else(|why| panic!("{why}: {}", text(&told.stderr)));
    let index: Value = serde_json::from_str(&index).expect("glitch.json is JSON");
    (told.status.code(), index["entries"][0].clone())
}

#[test]
fn a_lock_that_decides_once_is_opened_and_the_scenario_that_shows_it_passes_on_the_good_one() {
    let desk = TempDir::new().expect("a temporary folder");
    let bad = ["--image", BAD, "--mode", "skip", "--last", DECIDING];
    let (code, bad) = glitches(&desk, "bad", &bad);
    assert_eq!((code, &bad["verdict"]), (Some(1), &"finding".into()));
    assert_eq!(bad["judged"], bad["glitches"]);
    let opens = bad["opens"].as_array().expect("a list");
    let places: Vec<&str> = opens
        .iter()
        .filter_map(|open| open["place"].as_str())
        .collect();
    assert_eq!(places.len(), opens.len(), "each has a place");
    let written = opens[0]["reproducer"].as_str().expect("a file");
    let written = fs::read_to_string(desk.path().join("bad").join(written)).expect("a scenario");
    let committed = root().join("firmware/museum/decided-once.yaml");
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        fs::write(&committed, &written).expect("the source folder");
    }
    assert_eq!(
        written,
        fs::read_to_string(&committed).expect("it is committed"),
        "the reproducer changed, as it does with the image; hint: INSTA_UPDATE=always writes it anew"
    );
    let written = committed.to_str().expect("a path in Unicode");
    let run = |more: &[&str]| {
        let told = lockrig(
            &desk,
            &[&["run", written, "--profile", SAFE], more].concat(),
        );
        (told.status.code(), text(&told.stdout))
    };
    let (code, said) = run(&["--image", BAD]);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = run(&[]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn what_is_found_does_not_depend_on_the_number_of_jobs_and_timing_tells_nothing() {
    let desk = TempDir::new().expect("a temporary folder");
    let (_, alone) = glitches(&desk, "alone", &["--jobs", "1", "--last", "300"]);
    let (_, together) = glitches(&desk, "together", &["--jobs", "3", "--last", "300"]);
    assert_eq!(alone, together);
    let guesses = alone["timing"]["guesses"].as_array().expect("a list");
    // Five digits: none to four leading ones right, and each of the inner ones alone.
    assert_eq!(guesses.len(), 8, "{guesses:?}");
    assert_eq!(alone["timing"]["told"], Value::Null);
    for file in ["glitch.svg", "glitch.html", "junit.xml"] {
        let file = desk.path().join("alone").join(file);
        assert!(file.is_file(), "{}", file.display());
    }
}

#[test]
fn a_lock_that_stops_at_the_first_wrong_digit_tells_by_its_cycles_how_many_were_right() {
    let desk = TempDir::new().expect("a temporary folder");
    let more = ["--image", "museum-digit-by-digit", "--last", "1"];
    let (code, entry) = glitches(&desk, "r", &more);
    assert_eq!(code, Some(1));
    let told = entry["timing"]["told"].as_str().expect("a sentence");
    assert!(told.contains("cycles until the answer"), "{told}");
    let cycles: Vec<u64> = entry["timing"]["guesses"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|guess| guess["cycles"].as_u64())
        .collect();
    // More leading digits right, more cycles.
    assert!(
        cycles[..4].is_sorted() && cycles[0] < cycles[3],
        "{cycles:?}"
    );
}

#[rstest]
#[case(
    "no-such-instruction",
    "entry: 1, at: instruction 7777777, mode: skip 1"
)]
#[case("no-such-entry", "entry: 9, at: instruction 1, mode: skip 1")]
#[case("no-such-bit", "entry: 1, at: instruction 1, mode: flip 31")]
fn a_glitch_that_does_not_exist_in_a_run_is_a_wrong_argument(
    #[case] name: &str,
    #[case] glitch: &str,
) {
    let desk = TempDir::new().expect("a temporary folder");
    let plain = fs::read_to_string(here("wrong.yaml")).expect("it is committed");
    let wrong = plain.replace(
        "  - refuses: $guess",
        &format!("  - glitch: {{ {glitch} }}\n    steps:\n      - refuses: $guess"),
    );
    fs::write(desk.path().join("wrong.yaml"), wrong).expect("a file");
    let arguments = ["run", "wrong.yaml", "--profile", SAFE, "--format", "json"];
    let told = lockrig(&desk, &arguments);
    assert_eq!(told.status.code(), Some(2));
    let line: Value = serde_json::from_slice(&told.stdout).expect("a line of JSON");
    assert_eq!(line["verdict"], "usage");
    let because = line["because"].as_str().expect("a text");
    assert_snapshot!(name, because.replace(char::is_numeric, "0"));
}

#[test]
fn a_real_bench_is_refused_before_any_power_is_applied() {
    let desk = TempDir::new().expect("a temporary folder");
    let told = lockrig(&desk, &["glitch", "--bench", "example-desk"]);
    assert_eq!(told.status.code(), Some(2));
    assert_snapshot!("real-bench", text(&told.stderr));
}

#[test]
fn an_entry_that_a_flow_does_not_have_is_skipped_by_name() {
    let desk = TempDir::new().expect("a temporary folder");
    let (code, entry) = glitches(&desk, "r", &["--entry", "5"]);
    assert_eq!((code, &entry["verdict"]), (Some(2), &"skipped".into()));
    assert_snapshot!("no-entry", entry["because"].as_str().expect("a text"));
}
