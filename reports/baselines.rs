//! The approved flows in `baselines/`: every run of the plan has one, each belongs to a run, and
//! `cargo insta` can read them all.
//!
//! Whether the flows are those that the firmware shows, `lockrig run` finds out. If this test
//! complains, `lockrig run --snapshots update --prune` approves what is missing and deletes the rest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockrig::snapshot;
use lockrig::verdict::Verdict;

fn root() -> PathBuf {
    let rig = Path::new(env!("CARGO_MANIFEST_DIR"));
    rig.parent().expect("rig has a parent").to_owned()
}

/// The snapshots of this project, by name: `bench/profile/flow`.
fn approved() -> BTreeSet<String> {
    let folder = root().join(snapshot::FOLDER);
    let mut names = BTreeSet::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a readable folder") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending != "new") {
                let name = path.strip_prefix(&folder).expect("it is below").to_owned();
                names.insert(name.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    names
}

#[test]
fn every_run_has_an_approved_flow_and_every_approved_flow_has_a_run() {
    let listed = Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .args(["list", "runs"])
        .current_dir(root())
        .output()
        .expect("lockrig starts");
    let names = String::from_utf8(listed.stdout).expect("names are text");
    let planned: BTreeSet<String> = names
        .lines()
        .map(|name| {
            let parts: Vec<&str> = name.splitn(4, '@').collect();
            let (scenario, profile, bench) = (parts[0], parts[1], parts[2]);
            let variant = parts
                .get(3)
                .map_or(String::new(), |variant| format!("@{variant}"));
            format!("{bench}/{profile}/{scenario}{variant}.snap")
        })
        .collect();
    assert!(!planned.is_empty(), "nothing is planned");
    let approved = approved();
    let missing: Vec<&String> = planned.difference(&approved).collect();
    let orphans: Vec<&String> = approved.difference(&planned).collect();
    assert!(missing.is_empty(), "no flow is approved for {missing:#?}");
    assert!(orphans.is_empty(), "no run has {orphans:#?}");
}

/// insta reads what this program writes, and finds the same text in it.
#[test]
fn insta_reads_every_approved_flow_as_lockrig_does() {
    for name in approved() {
        let path = root().join(snapshot::FOLDER).join(&name);
        let ours = snapshot::read(&path).unwrap_or_else(|why| panic!("{why}"));
        let theirs =
            insta::Snapshot::from_file(&path).unwrap_or_else(|why| panic!("{name}: {why}"));
        let theirs = theirs.as_text().expect("it is text").to_string();
        assert_eq!(ours.flow.text(), theirs.trim_end(), "{name}");
    }
}

/// A flow that broke a promise is never approved.
#[test]
fn only_flows_that_keep_their_promises_are_approved() {
    let good = [Verdict::Pass, Verdict::KnownFinding].map(|verdict| format!("verdict: {verdict}"));
    for name in approved() {
        let path = root().join(snapshot::FOLDER).join(&name);
        let approved = snapshot::read(&path).unwrap_or_else(|why| panic!("{why}"));
        let last = approved.flow.lines.last().expect("a flow has lines");
        assert!(
            good.contains(&last.text),
            "{name} ends with '{}'",
            last.text
        );
    }
}
