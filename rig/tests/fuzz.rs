//! `lockrig fuzz`, entered through the command line: that it finds what is wrong with a lock within a stated number
//! of codes, that what it leaves behind shows the same in `lockrig run`, and that it is silent about a good lock.

mod desk;

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use desk::{lockrig, text};

/// Exit code and `fuzz.json`, without what depends on the machine.
fn fuzz(desk: &TempDir, report: &str, more: &[&str]) -> (Option<i32>, Value) {
    let mut arguments = vec!["fuzz", "--report-dir", report];
    arguments.extend(more);
    let told = lockrig(desk, &arguments);
    let index = fs::read_to_string(desk.path().join(report).join("fuzz.json"))
        .unwrap_or_else(|why| panic!("{why}: {}", text(&told.stderr)));
    let mut index: Value = serde_json::from_str(&index).expect("fuzz.json is JSON");
    let took = index.as_object_mut().expect("a table").remove("seconds");
    assert!(took.is_some());
    (told.status.code(), index)
}

fn number(index: &Value, place: &str) -> u64 {
    index
        .pointer(place)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("{place} in {index}"))
}

#[rstest]
#[case("short-code", "stack-on-red-button")]
#[case("last-digits", "securam-safelogic")]
fn what_is_wrong_is_found_within_two_hundred_codes_and_replays(
    #[case] piece: &str,
    #[case] profile: &str,
) {
    let desk = TempDir::new().expect("a temporary folder");
    let image = format!("museum-{piece}");
    let on = ["--bench", "virtual-safe", "--profile", profile];
    let mut arguments = on.to_vec();
    arguments.extend(["--attempts", "200", "--image", &image]);
    let (code, index) = fuzz(&desk, "fuzzed", &arguments);
    assert_eq!(code, Some(1), "{index}");
    assert_eq!(index["scenario"], "found.yaml");
    assert!(number(&index, "/found_after/attempts") <= 200, "{index}");
    let found = desk.path().join("fuzzed/found.yaml");
    assert_snapshot!(
        format!("found_{piece}"),
        fs::read_to_string(&found).expect("it was written")
    );
    let found = found.to_str().expect("a path in Unicode");
    let mut replay = vec!["run", found];
    replay.extend(on);
    let good = lockrig(&desk, &replay);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
    replay.extend(["--image", &image]);
    let bad = lockrig(&desk, &replay);
    assert_eq!(bad.status.code(), Some(1), "{}", text(&bad.stdout));
    let because = index["because"].as_str().expect("a sentence");
    assert!(text(&bad.stdout).contains(because), "{because}");
}

#[rstest]
#[case("virtual-safe", "stack-on-red-button")]
#[case("virtual-safe", "sargent-greenleaf-z03")]
#[case("virtual-safe", "securam-safelogic")]
#[case("virtual-safe", "sentrysafe-sfw123")]
#[case("virtual-smart-lock", "kwikset-powerbolt-2")]
#[case("virtual-smart-lock", "kwikset-smartcode-909")]
fn a_good_lock_is_not_accused(#[case] bench: &str, #[case] profile: &str) {
    let desk = TempDir::new().expect("a temporary folder");
    let arguments = ["--bench", bench, "--profile", profile, "--attempts", "800"];
    let (code, index) = fuzz(&desk, "fuzzed", &arguments);
    assert_eq!(
        (code, &index["verdict"]),
        (Some(0), &Value::from("pass")),
        "{index}"
    );
    assert!(number(&index, "/all/attempts") >= 800, "{index}");
    assert!(number(&index, "/all/presses") > 3_000, "{index}");
    assert_eq!(index["scenario"], Value::Null);
    // The probe looks as well, through its own driver.
    assert!(number(&index, "/all/watched") > 4, "{index}");
    assert!(number(&index, "/all/reached") > 800, "{index}");
    assert_eq!(index["probe_trouble"], Value::Null);
}

#[test]
fn what_is_found_does_not_depend_on_the_number_of_jobs() {
    let desk = TempDir::new().expect("a temporary folder");
    let on = ["--profile", "stack-on-red-button", "--attempts", "400"];
    let with = |report: &str, jobs: &str| {
        let mut arguments = on.to_vec();
        arguments.extend(["--jobs", jobs]);
        fuzz(&desk, report, &arguments)
    };
    let alone = with("alone", "1");
    assert_eq!(alone, with("together", "3"));
    let (_, other) = fuzz(&desk, "other", &[&on[..], &["--seed", "2"]].concat());
    assert_ne!(alone.1["all"], other["all"]);
}

#[test]
fn wear_ends_it() {
    let desk = TempDir::new().expect("a temporary folder");
    let arguments = ["--profile", "stack-on-red-button", "--erases", "50"];
    let (code, index) = fuzz(&desk, "fuzzed", &arguments);
    assert_eq!(code, Some(0));
    let erases = number(&index, "/all/erases");
    assert!((50..1_000).contains(&erases), "{erases}");
}

#[test]
fn a_bench_without_a_lock_is_a_wrong_argument() {
    let desk = TempDir::new().expect("a temporary folder");
    let told = lockrig(&desk, &["fuzz", "--bench", "virtual-cylinder"]);
    assert_eq!(told.status.code(), Some(2));
    assert_snapshot!("no_lock", text(&told.stderr));
    assert!(!Path::new(&desk.path().join("reports")).exists());
}
