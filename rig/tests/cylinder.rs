//! The mechanical cylinder, entered through the command line: what a campaign on a good one comes to,
//! what bad cylinders and bad stages come to, and what is refused before anything moves.
//!
//! The bad ones are virtual benches that no shipped file names; a test names them in a file of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lockrig::event::{Event, Judgement, What};
use lockrig::trace;
use rstest::rstest;
use tempfile::TempDir;

fn bench_file() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/virtual-cylinder.toml");
    fs::read_to_string(path).expect("the shipped bench file")
}

/// The shipped bench file with another virtual bench behind it.
fn emulating(name: &str) -> String {
    let good = "emulates = \"virtual-cylinder\"";
    bench_file().replace(good, &format!("emulates = \"virtual-cylinder-{name}\""))
}

struct Desk {
    folder: TempDir,
}

struct Told {
    code: i32,
    out: String,
}

impl Desk {
    /// An empty folder with one bench file in it.
    fn with(bench: &str) -> Desk {
        let folder = TempDir::new().expect("a temporary folder");
        fs::write(folder.path().join("bench.toml"), bench).expect("a file");
        Desk { folder }
    }

    fn run(&self, arguments: &[&str]) -> Told {
        let output = Command::new(env!("CARGO_BIN_EXE_lockrig"))
            .args(["run", "--report-dir", "r", "--bench", "bench.toml"])
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_remove("CLICOLOR_FORCE")
            .output()
            .expect("lockrig starts");
        let text = |bytes| String::from_utf8(bytes).expect("output is text");
        Told {
            code: output.status.code().expect("the command ends by itself"),
            out: text(output.stdout) + &text(output.stderr),
        }
    }

    /// The traces of all runs, by the names of their folders.
    fn traces(&self) -> Vec<(String, Vec<Event>)> {
        let mut folders: Vec<PathBuf> = fs::read_dir(self.folder.path().join("r"))
            .expect("a report folder")
            .map(|entry| entry.expect("a readable folder").path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        let read = |path: PathBuf| {
            let text = fs::read_to_string(path.join("events.jsonl")).expect("a trace");
            let events = trace::read(&text).unwrap_or_else(|why| panic!("{why}"));
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, events)
        };
        folders.into_iter().map(read).collect()
    }
}

fn judgement(events: &[Event], id: &str) -> Judgement {
    let judged = events.iter().find_map(|event| match &event.what {
        What::Judged {
            oracle, judgement, ..
        } if oracle == id => Some(*judgement),
        _ => None,
    });
    judged.expect("every oracle judges")
}

/// Every move of a run: axis, where it was to go, and where it was stopped.
fn moves(events: &[Event]) -> Vec<(String, i64, Option<i64>)> {
    let moved = |event: &Event| match &event.what {
        What::Moved {
            axis, to, stopped, ..
        } => Some((axis.clone(), *to, *stopped)),
        _ => None,
    };
    events.iter().filter_map(moved).collect()
}

#[test]
fn a_good_cylinder_passes_everything_and_needs_no_chip() {
    let desk = Desk::with(&bench_file());
    let told = desk.run(&[]);
    assert_eq!(told.code, 0, "{}", told.out);
    let traces = desk.traces();
    assert!(traces.len() >= 35, "only {} runs", traces.len());
    for (name, events) in &traces {
        assert!(name.starts_with("cylinder-"), "{name} ran without a keypad");
        let flashed = events
            .iter()
            .any(|event| matches!(event.what, What::Flashed { .. }));
        assert!(!flashed, "{name} flashed a cylinder");
        assert_eq!(judgement(events, "I1"), Judgement::Held, "{name}");
        // The stage's own limit, and what the plug bears, whatever the scenario does.
        for (axis, to, _) in moves(events) {
            assert!(
                axis != "turn" || (-100_000..=110_000).contains(&to),
                "{name}: {to}"
            );
        }
    }
    let settled = |name: &str| {
        let (_, events) = traces
            .iter()
            .find(|(known, _)| known.contains(name))
            .unwrap_or_else(|| panic!("no run {name}"));
        let set = events.iter().find_map(|event| match &event.what {
            What::Settled { set, .. } => Some(set.clone()),
            _ => None,
        });
        assert_eq!(
            judgement(events, "I4") == Judgement::Held,
            name.contains("abandoned")
        );
        set.flatten().expect("one set of keys")
    };
    // The model's rules, seen through the plug line.
    for (name, set) in [
        (
            "rekey-abandoned@kwikset-smartkey@virtual-cylinder@phase=P2",
            "old",
        ),
        (
            "rekey-abandoned@kwikset-smartkey@virtual-cylinder@phase=P3",
            "old",
        ),
        (
            "rekey-abandoned@kwikset-smartkey@virtual-cylinder@phase=P4",
            "new",
        ),
        (
            "rekey-abandoned@kwikset-smartkey@virtual-cylinder@phase=P5",
            "new",
        ),
        (
            "key-turned-while-pulled@kwikset-smartkey@virtual-cylinder@turning=1deg",
            "new",
        ),
        (
            "key-turned-while-pulled@kwikset-smartkey@virtual-cylinder@turning=5deg",
            "jammed",
        ),
        (
            "new-key-not-seated@kwikset-smartkey@virtual-cylinder@short=100um",
            "new",
        ),
        (
            "new-key-not-seated@kwikset-smartkey@virtual-cylinder@short=1mm",
            "jammed",
        ),
        ("new-key-with-wrong-cuts", "jammed"),
    ] {
        assert_eq!(settled(name), set, "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_runs_beside_it() {
    let bytes = |jobs: &str| {
        let desk = Desk::with(&bench_file());
        let told = desk.run(&["--seed", "3", "--jobs", jobs, "--filter", "abandoned"]);
        assert_eq!(told.code, 0, "{}", told.out);
        let folders = desk.traces().into_iter().map(|(name, _)| name);
        let read = |name: String| {
            let path = desk
                .folder
                .path()
                .join("r")
                .join(&name)
                .join("events.jsonl");
            (name, fs::read(path).expect("a trace"))
        };
        folders.map(read).collect::<Vec<_>>()
    };
    assert_eq!(bytes("1"), bytes("2"));
}

/// A bad cylinder is failed for the right reason, and is no broken bench.
#[rstest]
#[case(
    "that-binds",
    "cylinder-rekey@",
    "expected key old to turn the plug both ways; saw on the way to 90 deg it was stopped at 40"
)]
#[case(
    "that-keeps-the-old-key",
    "cylinder-rekey@",
    "I1: the plug turned with key old, which is not valid"
)]
#[case(
    "that-keeps-the-old-key",
    "new-key-not-seated",
    "saw old turns, new turns"
)]
#[case(
    "that-loses-its-sliders",
    "rekey-abandoned",
    "expected exactly one of the sets old, new; saw old does not, new does not"
)]
fn a_bad_cylinder_fails(#[case] bench: &str, #[case] filter: &str, #[case] because: &str) {
    let desk = Desk::with(&emulating(bench));
    let told = desk.run(&["--filter", filter]);
    assert_eq!(told.code, 1, "{}", told.out);
    assert!(told.out.contains(because), "{}", told.out);
}

#[test]
fn a_cylinder_that_keeps_the_old_key_breaks_the_first_oracle() {
    let desk = Desk::with(&emulating("that-keeps-the-old-key"));
    desk.run(&["--filter", "cylinder-rekey@"]);
    let (_, events) = &desk.traces()[0];
    assert_eq!(judgement(events, "I1"), Judgement::Broken);
}

#[test]
fn one_that_forgets_every_key_breaks_the_fourth() {
    let desk = Desk::with(&emulating("that-loses-its-sliders"));
    desk.run(&["--filter", "phase=P3"]);
    let (_, events) = &desk.traces()[0];
    assert_eq!(judgement(events, "I4"), Judgement::Broken);
}

/// The first lines of what is told, without the runs' own figures.
fn head(told: &Told) -> String {
    told.out.lines().take(6).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_limit_switch_is_a_broken_bench_names_the_switch_and_loses_nothing() {
    let desk = Desk::with(&emulating("with-a-pinched-cable"));
    let told = desk.run(&["--filter", "cylinder-rekey@"]);
    assert_eq!(told.code, 3, "{}", told.out);
    insta::assert_snapshot!(head(&told));
    let (name, events) = &desk.traces()[0];
    let last = events.last().map(|event| &event.what);
    assert!(
        matches!(last, Some(What::Finished { .. })),
        "{name} has no last line"
    );
    let trouble = events
        .iter()
        .position(|event| matches!(event.what, What::Trouble { .. }));
    let after = &events[trouble.expect("trouble")..];
    assert_eq!(
        moves(after),
        [],
        "something moved after the switch had closed"
    );
    let rest = after.iter().find_map(|event| match &event.what {
        What::WentToRest { outputs, unknown } => Some((outputs.len(), unknown.clone())),
        _ => None,
    });
    assert_eq!(rest, Some((0, vec!["stage".to_owned()])));
    let junit = fs::read_to_string(desk.folder.path().join("r/junit.xml")).expect("junit.xml");
    assert!(junit.contains("ALARM:1"), "{junit}");
}

#[test]
fn a_silent_stage_is_named_once() {
    let desk = Desk::with(&emulating("with-a-silent-stage"));
    let told = desk.run(&["--filter", "abandoned"]);
    assert_eq!(told.code, 3, "{}", told.out);
    insta::assert_snapshot!(head(&told));
}

/// Turns the key where the bench's stage or its bench file does not allow it.
const TURN: &str = "\
scenario: turn
version: 1
intent: A key is turned.
needs: [stage]
covers: [R50]
keys: { old: current }
steps:
  - insert: $old
  - turn: 150 deg
    torque: 3 N·m
";

#[test]
fn a_turn_beyond_the_stage_is_skipped_with_the_reason() {
    let desk = Desk::with(&bench_file());
    fs::write(desk.folder.path().join("turn.yaml"), TURN).expect("a file");
    let told = desk.run(&["turn.yaml"]);
    assert_eq!(told.code, 2, "{}", told.out);
    let lines: Vec<&str> = told.out.lines().take(2).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// A bench file that promises more than the controller's own settings.
#[test]
fn a_controller_that_does_not_fit_its_bench_file_never_moves() {
    let desk = Desk::with(&bench_file().replace("seated = \"12 mm\"", "seated = \"25 mm\""));
    let told = desk.run(&["--filter", "cylinder-rekey@"]);
    assert_eq!(told.code, 3, "{}", told.out);
    insta::assert_snapshot!(head(&told));
    assert_eq!(moves(&desk.traces()[0].1), []);
}

#[test]
fn a_product_with_a_keypad_does_not_fit_the_cylinder() {
    let desk = Desk::with(&bench_file());
    let told = desk.run(&["--profile", "stack-on-red-button"]);
    assert_eq!(told.code, 2, "{}", told.out);
    assert!(
        told.out.contains("no profile fits the bench"),
        "{}",
        told.out
    );
}
