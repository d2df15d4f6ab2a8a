//! `lockrig replay`: the same run once more, what differs if something does, and the board at the
//! failing moment behind its debug port, looked at with probe-rs and gdb.

mod served;

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;

use served::{lockrig, text};

/// A code that nobody set does not open: what this expects is not so.
const FAILS: &str = "\
scenario: fails
version: 1
intent: A wrong code opens.
needs: [keypad, bolt, supply]
covers: [R11]
codes: { box: factory, guess: wrong }
given: { door: open, supply: fresh }
steps:
  - opens: $box
  - opens: $guess
";
const RUN: &str = "out/fails@stack-on-red-button@virtual-safe";

/// A folder with a run that failed.
struct Failed(TempDir);

impl Failed {
    fn new() -> Failed {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("fails.yaml"), FAILS).expect("a file");
        let ran = lockrig(
            folder.path(),
            &[
                "run",
                "fails.yaml",
                "--profile",
                "stack-on-red-button",
                "--bench",
                "virtual-safe",
                "--report-dir",
                "out",
                "--seed",
                "7",
            ],
        );
        assert_eq!(ran.status.code(), Some(1), "{}", text(&ran));
        Failed(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn trace(&self) -> String {
        fs::read_to_string(self.path().join(RUN).join("events.jsonl")).expect("it was written")
    }

    /// Puts another trace in its place.
    fn replace(&self, trace: &str) {
        fs::write(self.path().join(RUN).join("events.jsonl"), trace).expect("a file");
    }

    fn replay(&self, more: &[&str]) -> (Option<i32>, String) {
        let told = lockrig(
            self.path(),
            &[&["replay", RUN, "fails.yaml"], more].concat(),
        );
        (told.status.code(), text(&told))
    }
}

#[test]
fn a_failing_run_happens_again_event_by_event() {
    let failed = Failed::new();
    let (code, told) = failed.replay(&[]);
    assert_eq!(code, Some(0), "{told}");
    let count = failed.trace().lines().count();
    let all = format!("all {count} events happened again, at the same times\n");
    assert_eq!(told, all);
    let (code, told) = failed.replay(&["--format", "json"]);
    let outcome: Value = serde_json::from_str(&told).expect("one document");
    assert_eq!((code, &outcome["identical"]), (Some(0), &Value::Bool(true)));
}

#[test]
fn the_first_difference_is_told_in_words() {
    let failed = Failed::new();
    let recorded = failed.trace();
    let once = |from: &str, to: &str| recorded.replacen(from, to, 1);
    let green = r#""line":"green","high":true"#;
    failed.replace(&once(green, r#""line":"red","high":true"#));
    let (code, told) = failed.replay(&[]);
    assert_eq!(code, Some(1), "{told}");
    assert_snapshot!("another_line", without_numbers(&told));
    // A trace that lacks its end, and one that goes on after it.
    let lines: Vec<&str> = recorded.lines().collect();
    failed.replace(&(lines[..lines.len() - 1].join("\n") + "\n"));
    let (code, told) = failed.replay(&[]);
    assert_eq!(code, Some(1));
    assert!(told.contains("then  nothing: the run had ended"), "{told}");
    let more = format!(
        "{recorded}{{\"seq\":{},\"at\":0,\"event\":\"step-finished\",\"step\":9}}\n",
        lines.len()
    );
    failed.replace(&more);
    let (code, told) = failed.replay(&[]);
    assert_eq!(code, Some(1));
    assert!(told.contains("now   nothing: the run had ended"), "{told}");
}

#[test]
fn what_cannot_be_replayed_is_refused_with_the_reason() {
    let failed = Failed::new();
    let recorded = failed.trace();
    let refused = |more: &[&str]| {
        let (code, told) = failed.replay(more);
        assert_eq!(code, Some(2), "{told}");
        told
    };
    let told = refused(&["--stop-at", "100000"]);
    assert_snapshot!("no_such_event", without_numbers(&told));
    failed.replace(&recorded[..recorded.len() - 9]);
    assert_snapshot!("cut_trace", without_numbers(&refused(&[])));
    failed.replace(&recorded.replacen("virtual-safe", "desk-1", 1));
    assert_snapshot!("no_such_bench", refused(&[]));
    failed.replace(&recorded);
    fs::write(
        failed.path().join("fails.yaml"),
        format!("{FAILS}  - opens: $box\n"),
    )
    .expect("a file");
    assert_snapshot!("changed", refused(&[]));
    let (code, told) = failed.replay(&["--changed"]);
    // It is the step after the failing one that was added: nothing differs.
    assert_eq!(code, Some(0), "{told}");
}

/// How many events there are, and when, depends on the firmware; the words do not.
fn without_numbers(told: &str) -> String {
    let mut shown = String::new();
    for character in told.chars() {
        match character {
            digit if digit.is_ascii_digit() => {
                if !shown.ends_with('N') {
                    shown.push('N');
                }
            }
            other => shown.push(other),
        }
    }
    shown
}

/// R0 to R12, SP, LR, PC, xPSR, as probe-rs numbers them.
#[cfg(unix)]
fn registers(board: &served::Served) -> Vec<u32> {
    let mut session = served::attach(board);
    let mut core = session.core(0).expect("there is one core");
    assert!(core.core_halted().expect("it can be asked"), "it runs");
    (0_u16..=16)
        .map(|register| core.read_core_reg(register).expect("it can be read"))
        .collect()
}

#[cfg(unix)]
#[test]
fn the_board_stands_at_the_failing_moment_with_the_same_registers_each_time() {
    let failed = Failed::new();
    let arguments = ["replay", RUN, "fails.yaml", "--stop-at", "decisive"];
    let board = served::Served::start(failed.path(), &arguments);
    assert_eq!(board.document()["identical"], true);
    let recorded = failed.trace();
    let last: Value =
        serde_json::from_str(recorded.lines().last().expect("it ended")).expect("an event");
    assert_eq!(board.document()["stopped_at"], last["decided_by"]);
    assert_eq!(board.document()["halted"], true);
    // Every client finds the moment, whatever the one before it did.
    let first = registers(&board);
    assert_ne!(first[15], 0, "it stands somewhere in flash");
    assert_eq!(registers(&board), first);
    served::gdb(&board, &["set language c", "stepi", "stepi", "detach"]);
    if let Some(said) = served::gdb(&board, &["info registers", "backtrace", "monitor time"]) {
        for (name, value) in [("pc", first[15]), ("sp", first[13]), ("r7", first[7])] {
            let line = said
                .lines()
                .find(|line| line.split_whitespace().next() == Some(name));
            let shown = line.and_then(|line| line.split_whitespace().nth(1));
            assert_eq!(shown, Some(&*format!("{value:#x}")), "{said}");
        }
        assert!(said.contains("main () at reference/src/main.rs:"), "{said}");
    }
    assert_eq!(registers(&board), first);
    let (status, rest) = board.end();
    assert_eq!((status.code(), rest.as_str()), (Some(0), ""));
    // And so does a second replay.
    let again = served::Served::start(failed.path(), &arguments);
    assert_eq!(registers(&again), first);
}
