//! Who may import whom: the arrows of the architecture, checked in the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;

/// A module of rig, and the modules of rig that it may know. Whoever is not listed may know all.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("report", &["event", "verdict"]),
    ("snapshot", &["report", "event", "verdict", "source"]),
    ("source", &[]),
    ("quantity", &["source", "event"]),
    ("port", &["event"]),
    ("driver", &["port", "quantity", "event", "image"]),
    ("image", &[]),
    ("step", &["source", "quantity", "event"]),
    ("profile", &["step", "source", "quantity", "event"]),
    (
        "scenario",
        &["profile", "step", "source", "quantity", "event"],
    ),
    ("serve", &[]),
    (
        "bench",
        &["driver", "port", "source", "quantity", "event", "image"],
    ),
];

/// The same for what was seen, and what it means.
const EVIDENCE_MAY_KNOW: &[(&str, &[&str])] = &[
    ("event", &["verdict"]),
    ("verdict", &[]),
    ("trace", &["event"]),
    ("oracle", &["event"]),
    ("judge", &["event", "verdict"]),
];

/// Words that only files at these places may use.
const ONLY_THERE: &[(&str, &[&str])] = &[
    ("lockrig_sim", &["rig/src/port/sim", "rig/src/serve"]),
    (
        "probe_rs",
        &["rig/src/driver/probe", "rig/src/port", "rig/src/image"],
    ),
    (
        "Instant::now",
        &["rig/src/port/real", "rig/src/serve", "rig/src/cli"],
    ),
    ("SystemTime::now", &["rig/src/cli"]),
    // probe-rs has no wait of its own between two attempts to reach a chip.
    ("thread::sleep", &["rig/src/driver/probe"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("rig has a parent")
        .to_owned()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Path from the root with forward slashes, and the code without comments and without tests.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    rust_files(&root().join(folder), &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let code = text.split("#[cfg(test)]").next().unwrap_or("");
            let code: Vec<&str> = code
                .lines()
                .map(|line| line.split("//").next().unwrap_or(""))
                .collect();
            let name = path
                .strip_prefix(root())
                .expect("below the root")
                .to_string_lossy()
                .replace('\\', "/");
            (name, code.join("\n"))
        })
        .collect()
}

/// Modules named behind `crate::`, also in `crate::{a, b::c}`.
fn known(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let word = |text: &str| -> String {
            text.trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        };
        match rest.strip_prefix('{') {
            Some(group) => names.extend(group.split('}').next().unwrap_or("").split(',').map(word)),
            None => {
                names.insert(word(rest));
            }
        }
    }
    names
}

#[rstest]
#[case("rig/src/", MAY_KNOW)]
#[case("rig/evidence/src/", EVIDENCE_MAY_KNOW)]
fn modules_know_only_what_the_architecture_allows(
    #[case] folder: &str,
    #[case] may_know: &[(&str, &[&str])],
) {
    let module = |name: &str| {
        let below = &name[folder.len()..];
        below.split(['/', '.']).next().unwrap_or("").to_owned()
    };
    let sources = sources(folder);
    let modules: BTreeSet<String> = sources.iter().map(|(name, _)| module(name)).collect();
    // Those that rig shows as if they were its own.
    let shown = EVIDENCE_MAY_KNOW.iter().map(|(name, _)| (*name).to_owned());
    let modules: BTreeSet<String> = modules.into_iter().chain(shown).collect();
    let mut wrong = Vec::new();
    for (name, code) in &sources {
        let module = module(name);
        let Some((_, allowed)) = may_know.iter().find(|(listed, _)| *listed == module) else {
            continue;
        };
        for other in known(code) {
            if modules.contains(&other) && other != module && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{name}: '{module}' must not know '{other}'"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn some_words_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for (name, code) in sources("rig/src") {
        for (word, places) in ONLY_THERE {
            if code.contains(word) && !places.iter().any(|place| name.starts_with(place)) {
                wrong.push(format!("{name}: '{word}' belongs into {places:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_emulator_does_not_know_the_rig_and_never_asks_the_machine_for_time() {
    for (name, code) in sources("sim/src") {
        for word in [
            "lockrig::",
            "probe_rs",
            "Instant::now",
            "SystemTime",
            "thread::sleep",
        ] {
            assert!(!code.contains(word), "{name} uses '{word}'");
        }
    }
}

#[test]
fn firmware_crates_have_no_unsafe_code_and_no_standard_library() {
    for crate_name in ["code-entry", "journal"] {
        for (name, code) in sources(&format!("firmware/{crate_name}/src")) {
            assert!(!code.contains("unsafe"), "{name}");
            assert!(
                !name.ends_with("src/lib.rs")
                    || code.contains("#![no_std]")
                    || code.contains("no_std"),
                "{name}"
            );
        }
    }
}
