//! The museum of broken locks: its table is whole, every piece's scenario shows what is wrong with it and with
//! nothing else, and `lockrig museum` finds it by itself.

mod desk;

use std::collections::BTreeSet;
use std::fs;

use insta::assert_snapshot;
use lockrig::museum::{Museum, Piece};
use serde_json::Value;
use tempfile::TempDir;

use desk::{lockrig, root, text};

/// The verdicts of a piece's scenario, on the piece or on the good image.
fn verdicts(desk: &TempDir, piece: &Piece, image: Option<&str>) -> (Option<i32>, Vec<String>) {
    let scenario = root().join(format!("firmware/museum/{}.yaml", piece.name));
    let scenario = scenario.to_str().expect("a path in Unicode").to_owned();
    let bench = piece.bench();
    let mut arguments = vec![
        "run",
        &scenario,
        "--bench",
        &bench,
        "--profile",
        &piece.profile,
    ];
    arguments.extend(["--format", "json", "--report-dir", "reports"]);
    arguments.extend(image.into_iter().flat_map(|image| ["--image", image]));
    let told = lockrig(desk, &arguments);
    let lines = text(&told.stdout);
    let verdicts = lines.lines().map(|line| {
        let run: Value = serde_json::from_str(line).expect("a line of JSON");
        run["verdict"].as_str().expect("a word").to_owned()
    });
    (told.status.code(), verdicts.collect())
}

#[test]
fn every_failure_has_a_piece_or_the_reason_why_there_is_none() {
    let museum = Museum::shipped();
    let numbers: Vec<u32> = museum
        .failures
        .iter()
        .map(|failure| failure.number)
        .collect();
    assert_eq!(numbers, (1..=26).collect::<Vec<_>>());
    for failure in &museum.failures {
        let reasons = [&failure.absent, &failure.missing];
        let reasons = reasons.into_iter().flatten().count();
        let expected = usize::from(failure.pieces.is_empty());
        assert_eq!(reasons, expected, "failure {}", failure.number);
    }
}

#[test]
fn every_feature_of_the_museum_is_a_piece_with_an_image_and_a_scenario() {
    let museum = Museum::shipped();
    let pieces: BTreeSet<String> = museum.pieces().map(|(_, piece)| piece.image()).collect();
    assert_eq!(pieces.len(), museum.pieces().count(), "two have one name");
    let manifest = fs::read_to_string(root().join("firmware/reference/Cargo.toml"));
    let manifest: toml::Table = manifest.expect("it is there").parse().expect("it is TOML");
    let features = manifest["features"].as_table().expect("a table").keys();
    let features: BTreeSet<String> = features
        .filter(|name| name.starts_with("museum-"))
        .cloned()
        .collect();
    assert_eq!(features, pieces);
    for (_, piece) in museum.pieces() {
        let image = format!("firmware/images/{}.elf", piece.image());
        assert!(root().join(&image).is_file(), "{image}");
        assert!(piece.reproducer().is_some(), "{}", piece.name);
    }
}

#[test]
fn every_scenario_of_the_museum_fails_on_its_piece_and_passes_on_the_good_image() {
    let desk = TempDir::new().expect("a temporary folder");
    let mut wrong = Vec::new();
    for (_, piece) in Museum::shipped().pieces() {
        let bad = verdicts(&desk, piece, Some(&piece.image()));
        let good = verdicts(&desk, piece, None);
        let is_bad = ["fail", "finding"].iter().any(|word| bad.1 == [*word]);
        if bad.0 != Some(1) || !is_bad || good != (Some(0), vec!["pass".to_owned()]) {
            wrong.push(format!(
                "{}: {bad:?} on it, {good:?} on the good image",
                piece.name
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_piece_is_caught_by_a_scenario_that_was_not_written_for_it() {
    let desk = TempDir::new().expect("a temporary folder");
    let arguments = ["museum", "short-code", "--seeds", "1", "--format", "json"];
    let told = lockrig(&desk, &arguments);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    let lines: Vec<Value> = text(&told.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let [piece, good] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(piece["engine"], "scenario");
    assert_eq!(piece["on_piece"], "fail");
    assert_eq!(piece["on_good"], "pass");
    assert_snapshot!("caught", format!("{}\n{}", piece["by"], piece["because"]));
    assert_eq!(good["seeds"], 1);
    assert_eq!(good["false_alarms"], Value::Array(Vec::new()));
    assert!(good["runs"].as_u64() > Some(20), "{good}");
}

#[test]
fn a_piece_that_no_engine_had_time_for_is_missed() {
    let desk = TempDir::new().expect("a temporary folder");
    let arguments = ["museum", "one-page", "--seeds", "0", "--budget", "0 ms"];
    let told = lockrig(&desk, &arguments);
    assert_eq!(told.status.code(), Some(1));
    let said = text(&told.stdout);
    let said: Vec<&str> = said
        .lines()
        .filter(|line| !line.contains("lockrig run"))
        .collect();
    assert_snapshot!("missed", said.join("\n").replace(char::is_numeric, "0"));
}

#[test]
fn a_piece_that_there_is_not_is_a_wrong_argument() {
    let desk = TempDir::new().expect("a temporary folder");
    let told = lockrig(&desk, &["museum", "two-pages"]);
    assert_eq!(told.status.code(), Some(2));
    let message = text(&told.stderr);
    assert!(
        message.starts_with("error: there is no piece 'two-pages' in the museum\nhint: there are ")
    );
}
