//! Bad twins: firmware that breaks one promise of its profile. Each is failed by the scenarios that its
//! file names, for the reason that stands there, and every profile has one.
//!
//! The command is entered as users enter it; of what it leaves behind the index and the traces are read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockrig::event::What;
use lockrig::profile::{Decisive, Product, Twin, TwinFile};
use lockrig::source::Source;
use lockrig::trace;
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("rig has a parent")
        .to_owned()
}

fn read(path: &Path) -> TwinFile {
    let source = Source::open(path).expect("a readable file");
    Twin::read(&source)
        .unwrap_or_else(|refused| panic!("{refused}"))
        .file
}

/// The runs of one scenario, as the index has them, and the kind of event that decided each.
fn runs(arguments: &[&str], scenario: &str) -> (i32, Vec<(Value, Option<Decisive>)>) {
    let desk = TempDir::new().expect("a temporary folder");
    let scenario = project().join(format!("scenarios/{scenario}.yaml"));
    let told = Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .arg("run")
        .arg(&scenario)
        .args(arguments)
        .args(["--report-dir", "r"])
        .current_dir(desk.path())
        .output()
        .expect("lockrig starts");
    let index = fs::read_to_string(desk.path().join("r/index.json"));
    let index = index.unwrap_or_else(|why| panic!("{why}: {told:?}"));
    let index: Value = serde_json::from_str(&index).expect("JSON");
    let ran = index["runs"].as_array().expect("runs").iter();
    let ran = ran.filter(|run| run["verdict"] != "skipped").map(|run| {
        let decided_by = run["decided_by"].as_u64().map(|seq| {
            let trace = desk
                .path()
                .join("r")
                .join(run["events"].as_str().expect("a trace"));
            let events = trace::read(&fs::read_to_string(trace).expect("a trace")).expect("events");
            let seq = usize::try_from(seq).expect("a place in the trace");
            match &events[seq].what {
                What::Checked { held: false, .. } => Decisive::Checked,
                What::Judged { .. } => Decisive::Judged,
                other => panic!("decided by {other:?}"),
            }
        });
        (run.clone(), decided_by)
    });
    (
        told.status.code().expect("it ends by itself"),
        ran.collect(),
    )
}

#[rstest]
fn a_bad_twin_is_failed_for_its_reason(
    #[files("../scenarios/profiles/bad-twins/*.yaml")] path: PathBuf,
) {
    let twin = read(&path);
    assert!(path.ends_with(format!("{}.yaml", twin.twin.value)));
    assert!(!twin.caught_by.is_empty());
    for caught in &twin.caught_by {
        let (code, runs) = runs(&["--twin", &twin.twin], &caught.scenario);
        assert_eq!(code, 1, "{runs:?}");
        assert!(!runs.is_empty());
        for (run, decided_by) in runs {
            assert_eq!(run["profile"], twin.of.value);
            assert_eq!(run["verdict"], caught.verdict.word(), "{run}");
            let because = run["because"].as_str().expect("a reason");
            assert!(because.starts_with(&caught.because), "{run}");
            assert_eq!(decided_by, Some(caught.decided_by), "{run}");
            assert_eq!(run["steps"][0]["doing"], caught.r#in, "{run}");
        }
        // The good one passes.
        let (code, _) = self::runs(&["--profile", &twin.of], &caught.scenario);
        assert_eq!(code, 0, "'{}' itself is failed", twin.of.value);
    }
}

#[test]
fn every_profile_has_a_bad_twin() {
    let names = |folder: &str| {
        let entries = fs::read_dir(project().join(folder)).expect("the folder");
        let paths = entries.map(|entry| entry.expect("a readable folder").path());
        let files = paths.filter(|path| path.is_file());
        files.collect::<Vec<_>>()
    };
    let read_product = |path: &PathBuf| {
        let source = Source::open(path).expect("a readable file");
        Product::read(&source).unwrap_or_else(|refused| panic!("{refused}"))
    };
    let products = names("scenarios/profiles");
    let products = products.iter().map(read_product);
    // A mechanical cylinder has no firmware that could be another.
    let profiles: BTreeSet<String> = products
        .filter(|product| product.lock().is_some())
        .map(|product| product.id().to_owned())
        .collect();
    let twins = names("scenarios/profiles/bad-twins");
    let have: BTreeSet<String> = twins.iter().map(|path| read(path).of.value).collect();
    assert_eq!(have, profiles);
}

/// A weakness that the profile lists is reported and does not fail the campaign; unlisted, it does.
#[rstest]
#[case::listed(true, 0, "known-finding")]
#[case::not_listed(false, 1, "finding")]
fn a_lockout_that_its_manual_lets_a_power_cycle_end_is_unsafe_all_the_same(
    #[case] listed: bool,
    #[case] code: i32,
    #[case] verdict: &str,
) {
    let folder = TempDir::new().expect("a temporary folder");
    let profile = folder.path().join("clears.yaml");
    let text = fs::read_to_string(project().join("scenarios/profiles/securam-safelogic.yaml"));
    let text = text.expect("the profile");
    let weakness =
        "weaknesses:\n  - { breaks: I3, note: a power cycle ends a lockout, from: toplit }\n";
    let text = text.replace("on-power-cycle: resumes", "on-power-cycle: clears");
    let text = match listed {
        true => text.replace("reference:\n", &format!("{weakness}\nreference:\n")),
        false => text,
    };
    fs::write(&profile, text).expect("a file");
    let profile = profile.to_str().expect("a path");
    let (ended, runs) = runs(&["--profile", profile], "lockout-across-power-cycle");
    assert_eq!(ended, code, "{runs:?}");
    assert!(!runs.is_empty());
    for (run, decided_by) in runs {
        assert_eq!(run["verdict"], verdict, "{run}");
        assert_eq!(decided_by, Some(Decisive::Judged), "{run}");
    }
}

#[rstest]
#[case::no_such_twin("securam", "bad twin 'securam'")]
#[case::a_profile("scenarios/profiles/securam-safelogic.yaml", "a bad twin needs 'twin'")]
fn a_twin_that_is_none_is_named(#[case] name: &str, #[case] said: &str) {
    let told = Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .args(["run", "--twin", name])
        .current_dir(project())
        .output()
        .expect("lockrig starts");
    assert_eq!(told.status.code(), Some(2));
    let err = String::from_utf8_lossy(&told.stderr);
    assert!(err.contains(said), "{err}");
}

#[test]
fn a_fact_that_the_profile_does_not_have_is_shown_in_the_twin() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = project().join("scenarios/profiles/bad-twins/securam-forgets-its-lockout.yaml");
    let text = fs::read_to_string(path).expect("a twin");
    for (fact, is, said) in [
        (
            "lockouts.on-power-cycle",
            "clears",
            "has no fact 'lockouts.on-power-cycle'",
        ),
        (
            "lockout.stages.2.wrong",
            "5",
            "has no fact 'lockout.stages.2.wrong'",
        ),
        (
            "lockout.on-power-cycle",
            "explodes",
            "with its changes: expected what a power cycle",
        ),
    ] {
        let changed = text
            .replace("lockout.on-power-cycle", fact)
            .replace("clears", is);
        fs::write(folder.path().join("twin.yaml"), changed).expect("a file");
        let told = Command::new(env!("CARGO_BIN_EXE_lockrig"))
            .args(["run", "--twin", "twin.yaml"])
            .current_dir(folder.path())
            .output()
            .expect("lockrig starts");
        assert_eq!(told.status.code(), Some(2));
        let err = String::from_utf8_lossy(&told.stderr);
        assert!(err.contains(said) && err.contains("twin.yaml:"), "{err}");
        assert!(!folder.path().join("reports").exists());
    }
}
