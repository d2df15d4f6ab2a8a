//! Approved flows, through the door that their users take: a project, the command, its files.
//!
//! Expected output is in `snapshots/`; the test's folder is written as `[here]`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use insta::assert_snapshot;
use lockrig::event::{Event, Nanos, What};
use lockrig::report::flow::Flow;
use lockrig::{snapshot, trace};
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

const LOCK: &str = "kwikset-smartcode-909";

/// Scenarios that are quick, some with a reset in them and some without.
const SCENARIOS: [&str; 5] = [
    "confirm-mismatch",
    "forgotten-code",
    "other-users-keep-access",
    "reset-twice",
    "wrong-code-lockout",
];

struct Told {
    code: i32,
    out: String,
    err: String,
}

fn lockrig(folder: &Path, is_ci: bool, arguments: &[&str]) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockrig"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env_remove("CI")
        .env_remove("CLICOLOR_FORCE");
    if is_ci {
        command.env("CI", "true");
    }
    let output = command.output().expect("lockrig starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    Told {
        code: output.status.code().expect("it ends by itself"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A project of the user's own with one product and a few scenarios, its flows approved.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new() -> Project {
        let folder = TempDir::new().expect("a temporary folder");
        assert_eq!(lockrig(folder.path(), false, &["init"]).code, 0);
        for entry in fs::read_dir(folder.path().join("scenarios")).expect("a folder") {
            let path = entry.expect("a readable folder").path();
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            if path.is_file() && name != "requirements" && !SCENARIOS.contains(&&*name) {
                fs::remove_file(path).expect("a file that can be deleted");
            }
        }
        let profiles = folder.path().join("scenarios/profiles");
        for entry in fs::read_dir(profiles).expect("a folder") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                fs::remove_dir_all(path).expect("a folder that can be deleted");
            } else if !path.ends_with(format!("{LOCK}.yaml")) {
                fs::remove_file(path).expect("a file that can be deleted");
            }
        }
        Project { folder }
    }

    fn approved() -> Project {
        let project = Project::new();
        let told = project.run(false, &["--snapshots", "update"]);
        assert_eq!(told.code, 0, "{}", told.out);
        assert!(
            told.out.ends_with("flows: 5 newly approved\n"),
            "{}",
            told.out
        );
        project
    }

    fn run(&self, is_ci: bool, arguments: &[&str]) -> Told {
        let arguments = [&["run", "--report-dir", "r"], arguments].concat();
        lockrig(self.folder.path(), is_ci, &arguments)
    }

    /// What lies among the approved flows, by name below the product's folder.
    fn files(&self) -> BTreeMap<String, String> {
        let folder = self.baselines();
        let entries = fs::read_dir(&folder).expect("approved flows");
        let files = entries.map(|entry| {
            let path = entry.expect("a readable folder").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, fs::read_to_string(path).expect("a text"))
        });
        files.collect()
    }

    fn baselines(&self) -> PathBuf {
        let bench = self
            .folder
            .path()
            .join(snapshot::FOLDER)
            .join("virtual-smart-lock");
        bench.join(LOCK)
    }

    /// How the flow of each run compared, by its folder's name.
    fn compared(&self) -> BTreeMap<String, String> {
        let index = fs::read_to_string(self.folder.path().join("r/index.json")).expect("an index");
        let index: Value = serde_json::from_str(&index).expect("it is JSON");
        let runs = index["runs"].as_array().expect("runs");
        let ran = runs.iter().filter(|run| run["verdict"] != "skipped");
        ran.map(|run| {
            let scenario = run["id"]
                .as_str()
                .expect("an id")
                .split('@')
                .next()
                .expect("a name");
            let compared = run["snapshot"].as_str().unwrap_or("").to_owned();
            (scenario.to_owned(), compared)
        })
        .collect()
    }

    /// The lock beeps twice after a reset, and its manual says so.
    fn beep_twice(&self) {
        let path = self
            .folder
            .path()
            .join(format!("scenarios/profiles/{LOCK}.yaml"));
        let text = fs::read_to_string(&path).expect("a profile");
        let changed = text.replace(
            "reset-done:       { green: 1, beeper: 1,",
            "reset-done:       { green: 1, beeper: 2,",
        );
        assert_ne!(changed, text);
        fs::write(path, changed).expect("a profile");
    }
}

/// Without what differs from one run of the test to the next.
fn plain(text: &str) -> String {
    let is_timed = |line: &&str| !line.contains(" s of bench time)");
    let lines: Vec<&str> = text.lines().filter(is_timed).collect();
    lines.join("\n").replace('\\', "/") + "\n"
}

#[test]
fn a_changed_beep_count_changes_exactly_the_flows_that_beep() {
    let project = Project::approved();
    let approved = project.files();
    project.beep_twice();
    let told = project.run(false, &["--jobs", "1"]);
    assert_eq!(told.code, 1, "{}", told.out);
    assert_snapshot!("beeps_twice", plain(&told.out));
    // Whatever is read of a run, it failed.
    let run = format!("r/reset-twice@{LOCK}@virtual-smart-lock");
    let file = |name| fs::read_to_string(project.folder.path().join(&run).join(name));
    let junit = file("junit.xml").expect("what CI servers read");
    assert!(junit.contains("<failure"), "{junit}");
    let page = file("report.html").expect("what people read");
    assert!(page.contains("By its events alone this run is"), "{run}");

    let beeps = |text: &str| text.contains("console: reset done");
    let expected: BTreeSet<String> = approved
        .iter()
        .filter(|(_, text)| beeps(text))
        .map(|(name, _)| name.split(['@', '.']).next().expect("a name").to_owned())
        .collect();
    assert!(
        !expected.is_empty() && expected.len() < SCENARIOS.len(),
        "{expected:?}"
    );
    for (scenario, compared) in project.compared() {
        let is_expected = expected.contains(&scenario);
        assert_eq!(
            compared == "changed",
            is_expected,
            "{scenario} is {compared}"
        );
        assert!(
            is_expected || compared == "as approved",
            "{scenario} is {compared}"
        );
    }

    // What is approved stays; what was seen lies beside it, and differs in the beeps and nothing else.
    let mut files = project.files();
    for (name, text) in &approved {
        assert_eq!(files.remove(name).as_ref(), Some(text));
    }
    assert_eq!(files.len(), expected.len(), "{:?}", files.keys());
    for (name, seen) in &files {
        let old = &approved[name.strip_suffix(".new").expect("it waits for a review")];
        let differing = old
            .lines()
            .zip(seen.lines())
            .filter(|(old, new)| old != new);
        assert_eq!(old.lines().count(), seen.lines().count());
        for (old, new) in differing.filter(|(old, _)| !old.contains("seconds:")) {
            assert_eq!(old.trim(), "green 1×, beeper 1×");
            assert_eq!(new.trim(), "green 1×, beeper 2×");
        }
    }
    for (name, compared) in project.compared() {
        let mut folders = fs::read_dir(project.folder.path().join("r")).expect("a campaign");
        let folder = folders.find_map(|entry| {
            let path = entry.expect("a readable folder").path();
            let is_it = path.file_name()?.to_str()?.starts_with(&format!("{name}@"));
            is_it.then_some(path)
        });
        let page = folder.expect("a run's folder").join("snapshot.html");
        assert_eq!(page.exists(), compared == "changed", "{name}");
    }

    // Accepted as `cargo insta accept` does it.
    for name in files.keys() {
        let new = project.baselines().join(name);
        fs::rename(&new, new.with_extension("")).expect("a file that can be renamed");
    }
    let told = project.run(true, &[]);
    assert_eq!(told.code, 0, "{}", told.out);
    assert!(told.out.ends_with("flows: 5 as approved\n"), "{}", told.out);
}

#[test]
fn a_rejected_flow_is_gone_once_the_firmware_is_as_before() {
    let project = Project::approved();
    let before = project.files();
    let profile = project
        .folder
        .path()
        .join(format!("scenarios/profiles/{LOCK}.yaml"));
    let original = fs::read(&profile).expect("a profile");
    project.beep_twice();
    assert_eq!(project.run(false, &[]).code, 1);
    assert!(project.files().len() > before.len());
    fs::write(profile, original).expect("a profile");
    assert_eq!(project.run(false, &[]).code, 0);
    assert_eq!(project.files(), before);
}

#[test]
fn in_ci_a_flow_that_is_not_approved_fails_and_nothing_is_written() {
    let project = Project::approved();
    fs::remove_file(project.baselines().join("reset-twice.snap")).expect("an approved flow");
    project.beep_twice();
    let before = project.files();
    let told = project.run(true, &["--jobs", "1"]);
    assert_eq!(told.code, 1, "{}", told.out);
    assert_eq!(project.files(), before);
    let compared = project.compared();
    assert_eq!(compared["reset-twice"], "not yet approved");
    assert_eq!(compared["forgotten-code"], "changed");
    assert_eq!(compared["wrong-code-lockout"], "as approved");

    let told = project.run(true, &["--snapshots", "update"]);
    assert_eq!(told.code, 2);
    assert_snapshot!("update_in_ci", told.err);
    assert_eq!(project.files(), before);

    // Outside CI, the flow that is missing is proposed.
    assert_eq!(project.run(false, &["--filter", "reset-twice"]).code, 1);
    let proposed = project.files();
    assert!(
        proposed.contains_key("reset-twice.snap.new"),
        "{:?}",
        proposed.keys()
    );
    let told = project.run(false, &["--snapshots", "update"]);
    assert_eq!(told.code, 0, "{}", told.out);
    assert!(!project.files().contains_key("reset-twice.snap.new"));
}

/// A merge conflict, and a snapshot of a newer lockrig: nothing is run, and nothing overwritten.
#[rstest]
#[case::check("check")]
#[case::update("update")]
fn a_snapshot_that_cannot_be_read_stops_the_command(#[case] mode: &str) {
    let project = Project::approved();
    let files = project.files();
    let put = |name: &str, text: &str| {
        fs::write(project.baselines().join(name), text).expect("an approved flow");
    };
    put(
        "reset-twice.snap",
        &files["reset-twice.snap"].replace("version: 1", "version: 2"),
    );
    put(
        "confirm-mismatch.snap",
        &format!("<<<<<<< HEAD\n{}", files["confirm-mismatch.snap"]),
    );
    put(
        "wrong-code-lockout.snap",
        &files["wrong-code-lockout.snap"].replace("  seconds:", "  sekonds:"),
    );
    let before = project.files();
    let told = project.run(false, &["--snapshots", mode]);
    assert_eq!(told.code, 2, "{}", told.err);
    assert_snapshot!("unreadable", told.err.replace('\\', "/"));
    assert_eq!(project.files(), before);
    // Who compares nothing needs none.
    assert_eq!(project.run(false, &["--snapshots", "off"]).code, 0);
}

#[test]
fn a_project_without_approved_flows_compares_nothing_unless_it_is_told_to() {
    let project = Project::new();
    let told = project.run(false, &["--filter", "confirm"]);
    assert_eq!(told.code, 0, "{}", told.out);
    let last = "flows: 1 not compared, this bench has no approved flows\n";
    assert!(told.out.ends_with(last), "{}", told.out);
    let told = project.run(false, &["--filter", "confirm", "--snapshots", "check"]);
    assert_eq!(told.code, 1, "{}", told.out);
    assert!(
        told.out.ends_with("flows: 1 not yet approved\n"),
        "{}",
        told.out
    );

    let elsewhere = TempDir::new().expect("a temporary folder");
    let update = ["run", "--filter", "confirm", "--snapshots", "update"];
    let told = lockrig(elsewhere.path(), false, &update);
    assert_eq!(told.code, 2);
    assert_snapshot!("update_without_project", told.err);
}

#[test]
fn flows_of_another_image_are_compared_only_where_that_is_asked_for() {
    let project = Project::approved();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("rig has a parent");
    let image = project.folder.path().join("mine.elf");
    fs::copy(root.join("firmware/images/reference-smart-lock.elf"), image).expect("an image");
    let confirm = [
        "--image",
        "mine.elf",
        "--bench",
        "virtual-smart-lock",
        "--filter",
        "confirm",
    ];
    let told = project.run(false, &confirm);
    let last = "flows: 1 not compared, approved with another image\n";
    assert!(told.code == 0 && told.out.ends_with(last), "{}", told.out);
    let told = project.run(false, &[&confirm[..], &["--snapshots", "check"]].concat());
    let last = "flows: 1 as approved\n";
    assert!(told.code == 0 && told.out.ends_with(last), "{}", told.out);
}

#[test]
fn approved_flows_without_a_run_are_told_of_and_deleted_on_request() {
    let project = Project::approved();
    fs::remove_file(
        project
            .folder
            .path()
            .join("scenarios/confirm-mismatch.yaml"),
    )
    .expect("a file");
    let told = project.run(false, &[]);
    assert_eq!(told.code, 0);
    assert_snapshot!("orphan", told.err.replace('\\', "/"));
    assert!(project.files().contains_key("confirm-mismatch.snap"));
    // A part of the plan says nothing about the rest.
    let told = project.run(false, &["--filter", "reset"]);
    assert_eq!((told.code, &*told.err), (0, ""));
    let told = project.run(
        false,
        &["--filter", "reset", "--snapshots", "update", "--prune"],
    );
    assert_eq!(told.code, 2);
    assert_snapshot!("prune_a_part", told.err);
    let told = project.run(false, &["--snapshots", "update", "--prune"]);
    assert_eq!(told.code, 0, "{}", told.err);
    assert_eq!(project.files().len(), SCENARIOS.len() - 1);
}

/// The shipped firmware under three seeds, against the approved flows of this repository.
static CAMPAIGN: LazyLock<(TempDir, Told)> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a temporary folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("rig has a parent");
    let reports = folder.path().display().to_string();
    let told = lockrig(
        root,
        true,
        &["run", "--repeat", "3", "--report-dir", &reports],
    );
    (folder, told)
});

#[test]
fn the_flows_of_the_shipped_firmware_are_the_approved_ones_under_any_seed() {
    let (_, told) = &*CAMPAIGN;
    assert_eq!(told.code, 0, "{}", told.out);
    let last = told.out.lines().last().expect("a summary");
    assert!(
        last.starts_with("flows: ") && last.ends_with(" as approved"),
        "{last}"
    );
}

/// Everything that the board does, so much later or earlier: the rig presses its keys as before.
#[rstest]
#[case::slower(3)]
#[case::faster(-3)]
fn a_board_that_is_some_milliseconds_off_has_the_same_flow(#[case] millis: i64) {
    let (folder, _) = &*CAMPAIGN;
    let mut count = 0;
    for entry in fs::read_dir(folder.path()).expect("a campaign") {
        let path = entry
            .expect("a readable folder")
            .path()
            .join("events.jsonl");
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let events = trace::read(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let mut moved: Vec<Event> = events.clone();
        for event in &mut moved {
            if matches!(event.what, What::LineChanged { .. } | What::Printed { .. }) {
                event.at = Nanos(event.at.0.saturating_add_signed(millis * 1_000_000));
            }
        }
        moved.sort_by_key(|event| event.at);
        assert_eq!(
            Flow::of(&moved).text(),
            Flow::of(&events).text(),
            "{}",
            path.display()
        );
        count += 1;
    }
    assert!(count >= 150, "only {count} traces");
}
