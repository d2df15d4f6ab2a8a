//! `lockrig cuts`, entered through the command line: that it finds a lock which loses its codes, that what it
//! leaves behind shows the same in `lockrig run`, and that it is silent about a good one.

mod desk;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use insta::assert_snapshot;
use lockrig::bench::{Bench, BenchFile};
use lockrig::port::Interrupt;
use lockrig::port::sim::SimPorts;
use lockrig::profile::Profile;
use lockrig::profile::codes::Code;
use lockrig::run::{self, Answer, Recovery};
use lockrig::scenario::{CodeUse, Script};
use lockrig::source::Source;
use serde_json::Value;
use tempfile::TempDir;

use desk::{lockrig, text};

/// One product is enough where the command is the subject.
const SAFE: &str = "stack-on-red-button";

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cuts")
        .join(name)
}

/// The cuts of the small flow on the safe: exit code, and `cuts.json`.
fn cuts(desk: &TempDir, report: &str, more: &[&str]) -> (Option<i32>, Value) {
    cuts_of("change.yaml", desk, report, more)
}

fn cuts_of(flow: &str, desk: &TempDir, report: &str, more: &[&str]) -> (Option<i32>, Value) {
    let flow = here(flow);
    let flow = flow.to_str().expect("a path in Unicode");
    let mut arguments = vec!["cuts", flow, "--profile", SAFE, "--report-dir", report];
    arguments.extend(more);
    let told = lockrig(desk, &arguments);
    let index = fs::read_to_string(desk.path().join(report).join("cuts.json"))
        .unwrap_or_else(|why| panic!("{why}: {}", text(&told.stderr)));
    let index = serde_json::from_str(&index).expect("cuts.json is JSON");
    (told.status.code(), index)
}

fn replay(desk: &TempDir, scenario: &Path, more: &[&str]) -> Output {
    let scenario = scenario.to_str().expect("a path in Unicode");
    let mut arguments = vec!["run", scenario, "--profile", SAFE];
    arguments.extend(more);
    lockrig(desk, &arguments)
}

#[test]
fn every_cut_of_the_good_lock_leaves_the_old_or_the_new_codes_whatever_the_number_of_jobs() {
    let desk = TempDir::new().expect("a temporary folder");
    let (code, alone) = cuts(&desk, "alone", &["--jobs", "1", "--budget", "20"]);
    assert_eq!(code, Some(0));
    let flow = &alone["flows"][0];
    for depth in flow["depths"].as_array().expect("a list") {
        assert_eq!(depth["covered"], depth["exist"]);
    }
    let outcomes = &flow["depths"][0]["outcomes"];
    assert!(outcomes["old"].as_u64() > Some(1_000), "{outcomes}");
    assert!(outcomes["new"].as_u64() > Some(10), "{outcomes}");
    assert_eq!(outcomes["broken"], Value::Null);
    let (code, together) = cuts(&desk, "together", &["--jobs", "3", "--budget", "20"]);
    assert_eq!((code, &together), (Some(0), &alone));
    for file in ["cuts.svg", "cuts.html", "junit.xml"] {
        let file = desk.path().join("alone").join(file);
        assert!(file.is_file(), "{}", file.display());
    }
}

#[test]
fn a_lock_that_keeps_one_copy_is_caught_and_the_scenario_that_shows_it_passes_on_the_good_one() {
    let desk = TempDir::new().expect("a temporary folder");
    let bad = ["--image", "museum-one-page"];
    let (code, index) = cuts(&desk, "bad", &bad);
    assert_eq!(code, Some(1));
    let flow = &index["flows"][0];
    assert_eq!(flow["verdict"], "fail");
    let failures = flow["failures"].as_array().expect("a list");
    let found: Vec<String> = failures
        .iter()
        .map(|failure| format!("{} at {}", failure["because"], failure["cuts"][0]))
        .collect();
    assert_snapshot!("one-page", found.join("\n"));
    let page = fs::read_to_string(desk.path().join("bad/cuts.html")).expect("a page");
    assert!(page.contains("<strong>1 flow, 1 broken</strong>"));
    assert!(page.contains("<a href=\"#flow-0\">"));
    let committed = here("one-page.yaml");
    let written = failures[0]["reproducer"].as_str().expect("a file");
    let written = fs::read_to_string(desk.path().join("bad").join(written)).expect("a scenario");
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        fs::write(&committed, &written).expect("the source folder");
    }
    assert_eq!(
        written,
        fs::read_to_string(&committed).expect("it is committed"),
        "the reproducer changed; hint: INSTA_UPDATE=always writes it anew"
    );
    let told = replay(&desk, &committed, &bad);
    assert_eq!(told.status.code(), Some(1), "{}", text(&told.stdout));
    let told = replay(&desk, &committed, &[]);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stdout));
}

#[test]
fn a_code_that_begins_something_else_may_be_met_with_silence() {
    let desk = TempDir::new().expect("a temporary folder");
    let told = lockrig(
        &desk,
        &[
            "cuts",
            "--filter",
            "code-of-zeros@securam-safelogic",
            "--report-dir",
            "r",
        ],
    );
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stdout));
    assert!(text(&told.stdout).starts_with("code-of-zeros@securam-safelogic@virtual-safe: pass"));
}

#[test]
fn a_lock_that_answers_no_code_at_all_is_dead() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = |path: &str| {
        let text = fs::read_to_string(project.join(path)).expect("a shipped file");
        Source::new(path, text)
    };
    let profile = source(&format!("scenarios/profiles/{SAFE}.yaml"));
    let profile = Profile::read(&profile).expect("a profile");
    let board = BenchFile::read(&source("boards/virtual-safe.toml")).expect("a bench file");
    // Nothing was flashed.
    let ports = SimPorts::new("virtual-safe", 1, Interrupt::default()).expect("a virtual safe");
    let mut bench = Bench::connect(board, Box::new(ports)).expect("the instruments answer");
    let recovery = Recovery {
        seen: Vec::new(),
        state: 0,
        is_withdrawn: false,
    };
    let codes: Vec<CodeUse> = ["1234", "5678"]
        .into_iter()
        .map(|digits| CodeUse::Literal(Code::from_digits(digits).expect("digits")))
        .collect();
    let lock = (&Script::default(), &profile, &BTreeMap::new());
    let answers = run::answers(&mut bench, &recovery, (&codes[..1], &codes), lock);
    assert_eq!(answers.expect("the bench works"), [Answer::Dead]);
}

/// What is skipped stands on an argument; here it is held against starting everything.
#[test]
fn every_cut_comes_to_the_same_whether_known_starts_stand_in_for_others_or_not() {
    let desk = TempDir::new().expect("a temporary folder");
    for image in [&[][..], &["--image", "museum-one-page"]] {
        let (code, skipping) = cuts_of("guess.yaml", &desk, "skipping", image);
        let every = [image, &["--start-every-state"]].concat();
        let (code_of_every, every) = cuts_of("guess.yaml", &desk, "every", &every);
        assert_eq!(code, code_of_every);
        let (skipping, every) = (&skipping["flows"][0], &every["flows"][0]);
        for what in [
            "verdict", "because", "phases", "depths", "points", "failures",
        ] {
            assert_eq!(skipping[what], every[what], "{what} of {image:?}");
        }
        let boots = |flow: &Value| flow["boots"].as_u64().expect("a number");
        // The bad one looks at every word of its page, and tells more starts apart.
        let times = if image.is_empty() { 5 } else { 1 };
        assert!(times * boots(skipping) <= boots(every), "{image:?}");
    }
}

#[test]
fn between_two_writes_every_instruction_is_a_point_of_which_the_first_stands_for_all() {
    let desk = TempDir::new().expect("a temporary folder");
    let (code, index) = cuts(&desk, "good", &["--every-instruction"]);
    assert_eq!(code, Some(0));
    let depth = &index["flows"][0]["depths"][0];
    assert!(depth["exist"].as_u64() > Some(500_000), "{depth}");
    assert_eq!(depth["covered"], depth["exist"]);

    let bad = ["--image", "museum-one-page"];
    let (code, index) = cuts(&desk, "bad", &[&bad[..], &["--every-instruction"]].concat());
    assert_eq!(code, Some(1));
    let flow = &index["flows"][0];
    let points = flow["points"].as_array().expect("a list");
    let is_found = |point: &&Value| {
        let at = point["at"].as_str();
        at.is_some_and(|at| at.starts_with("instruction "))
            && !point["outcomes"]["broken"].is_null()
    };
    let point = points.iter().find(is_found);
    let point = point.expect("a page that was erased and is not written yet");
    let first = point["at"].as_str().expect("a point");
    let first: u64 = first["instruction ".len()..].parse().expect("a number");
    let last = first + point["stands_for"].as_u64().expect("a number") - 1;
    assert!(last > first);
    let failure = &flow["failures"][0];
    let written = failure["reproducer"].as_str().expect("a file");
    let written = fs::read_to_string(desk.path().join("bad").join(written)).expect("a scenario");
    let cut = &failure["cuts"][0];
    let cut = [&cut[0], &cut[1]].map(|word| word.as_str().expect("a word"));
    let cut = format!("at: {}, mode: {}", cut[0], cut[1]);
    assert!(written.contains(&cut), "{written}");
    for at in [first, last] {
        let instead = format!("at: instruction {at}, mode: dropped-before");
        fs::write(
            desk.path().join("found.yaml"),
            written.replace(&cut, &instead),
        )
        .expect("a file");
        let told = replay(&desk, Path::new("found.yaml"), &bad);
        assert_eq!(told.status.code(), Some(1), "{}", text(&told.stdout));
        let told = replay(&desk, Path::new("found.yaml"), &[]);
        assert_eq!(told.status.code(), Some(0), "{}", text(&told.stdout));
    }
}

#[test]
fn a_cut_that_does_not_exist_in_a_run_is_a_wrong_argument() {
    let desk = TempDir::new().expect("a temporary folder");
    let scenario = fs::read_to_string(here("one-page.yaml")).expect("it is committed");
    let at = scenario.find("flash-op ").expect("a cut of a write") + "flash-op ".len();
    let rest = scenario[at..].trim_start_matches(|digit: char| digit.is_ascii_digit());
    let wrong = format!("{}7777{rest}", &scenario[..at]);
    fs::write(desk.path().join("wrong.yaml"), wrong).expect("a file");
    let told = replay(&desk, Path::new("wrong.yaml"), &["--format", "json"]);
    assert_eq!(told.status.code(), Some(2));
    let line: Value = serde_json::from_slice(&told.stdout).expect("a line of JSON");
    assert_eq!(line["verdict"], "usage");
    assert_snapshot!("no-such-cut", line["because"].as_str().expect("a text"));
}

#[test]
fn a_real_bench_is_refused_before_any_power_is_applied() {
    let desk = TempDir::new().expect("a temporary folder");
    let told = lockrig(&desk, &["cuts", "--bench", "example-desk"]);
    assert_eq!(told.status.code(), Some(2));
    assert_snapshot!("real-bench", text(&told.stderr));
}
