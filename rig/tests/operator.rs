//! Steps that ask a person, at the command line: answered, refused, unanswered, and with nobody there.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use rstest::rstest;
use tempfile::TempDir;

use desk::{lockrig, text};

mod desk;

const SCENARIO: &str = r#"
scenario: override-key
version: 1
intent: >
  The label is that of the product, and the override key leaves the codes alone.
needs: [keypad, bolt]
covers: [R20, R38]
codes: { mine: user }
given: { door: open, supply: fresh, user-codes: [$mine] }
steps:
  - ask: "does the label say Stack-On?"
    within: 300 ms
  - opens: $mine
"#;

fn desk() -> TempDir {
    let desk = TempDir::new().expect("a folder for the test");
    fs::write(desk.path().join("override-key.yaml"), SCENARIO).expect("it can be written to");
    desk
}

/// A run of the scenario, with this typed at the terminal; none leaves the terminal open and silent.
fn run(desk: &TempDir, arguments: &[&str], typed: Option<&str>) -> Output {
    let mut run = Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .args(["run", "override-key.yaml", "--bench", "virtual-safe"])
        .args([
            "--profile",
            "stack-on-red-button",
            "--report-dir",
            "reports",
        ])
        .args(arguments)
        .current_dir(desk.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lockrig starts");
    let mut terminal = run.stdin.take().expect("it is a pipe");
    if let Some(typed) = typed {
        terminal
            .write_all(typed.as_bytes())
            .expect("somebody reads");
    }
    let status = run.wait().expect("it is our process");
    drop(terminal);
    let output = run.wait_with_output().expect("it has ended");
    assert_eq!(output.status, status);
    output
}

fn report(desk: &TempDir, name: &str) -> String {
    let run = "reports/override-key@stack-on-red-button@virtual-safe";
    let path = desk.path().join(run).join(name);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

#[test]
fn what_a_person_confirms_is_recorded_with_who_and_when() {
    let desk = desk();
    let ran = run(&desk, &["--operator", "Ada"], Some("\n"));
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stdout));
    let asked = text(&ran.stderr);
    assert!(
        asked.contains("Ada: does the label say Stack-On?"),
        "{asked}"
    );
    let events = report(&desk, "events.jsonl");
    assert!(
        events.contains(
            r#""event":"asked","question":"does the label say Stack-On?","answer":"yes""#
        )
    );
    assert!(
        !events.contains("Ada"),
        "who it was is no part of the trace"
    );
    let run: serde_json::Value =
        serde_json::from_str(&report(&desk, "run.json")).expect("it is JSON");
    assert_eq!(run["asked"][0]["who"], "Ada");
    assert_eq!(run["asked"][0]["answer"], "yes");
    assert!(
        run["asked"][0]["at"]
            .as_str()
            .is_some_and(|at| at.starts_with("20"))
    );
    let folder = "reports/override-key@stack-on-red-button@virtual-safe/events.jsonl";
    let replayed = lockrig(&desk, &["replay", folder, "override-key.yaml"]);
    assert_eq!(
        replayed.status.code(),
        Some(0),
        "{}",
        text(&replayed.stderr)
    );
}

#[rstest]
#[case::no("refused", Some("n\n"))]
#[case::no_answer("unanswered", None)]
fn without_a_yes_the_bench_is_broken_and_the_board_is_not_judged(
    #[case] name: &str,
    #[case] typed: Option<&str>,
) {
    let desk = desk();
    let ran = run(&desk, &["--operator", "Ada"], typed);
    let run: serde_json::Value =
        serde_json::from_str(&report(&desk, "run.json")).expect("it is JSON");
    insta::assert_snapshot!(name, run["because"].as_str().expect("it has a reason"));
    assert_eq!(run["verdict"], "broken");
    assert_eq!(ran.status.code(), Some(3));
}

#[rstest]
#[case(&[])]
#[case(&["--unattended"])]
fn what_asks_a_person_is_skipped_where_nobody_attends(#[case] arguments: &[&str]) {
    let desk = desk();
    let ran = run(&desk, arguments, None);
    let said = text(&ran.stdout);
    let reason = "it asks a person ('does the label say Stack-On?'), and nobody attends";
    assert!(said.contains(reason), "{said}");
    assert_eq!(ran.status.code(), Some(2), "nothing ran");
}
