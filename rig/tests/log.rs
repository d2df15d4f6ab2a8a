//! What firmware logs over RTT comes into the trace of a run: as text, and with defmt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockrig::event::{Event, What};
use lockrig::trace;

/// The virtual safe with a log in channel 0 and this image, in a folder.
fn bench(folder: &Path, image: &str) -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/virtual-safe.toml");
    let text = fs::read_to_string(shipped).expect("a shipped bench can be read");
    let probe = "[probe]\n";
    assert!(text.contains(probe) && text.contains("image = \"reference-safe\""));
    let text = text.replace(probe, "[probe]\nlog = 0\n");
    let text = text.replace(
        "image = \"reference-safe\"",
        &format!("image = \"{image}\""),
    );
    let path = folder.join("bench.toml");
    fs::write(&path, text).expect("the folder can be written to");
    path
}

/// The trace of one scenario on that bench.
fn run(image: &str) -> Vec<Event> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bench = bench(folder.path(), image);
    let reports = folder.path().join("reports");
    let output = Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .args([
            "run",
            "--filter",
            "forgotten-code",
            "--profile",
            "stack-on-red-button",
        ])
        .arg("--bench")
        .arg(&bench)
        .arg("--report-dir")
        .arg(&reports)
        .current_dir(folder.path())
        .output()
        .expect("the command starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let mut traces = traces(&reports);
    assert_eq!(traces.len(), 1, "{said}");
    let text = fs::read_to_string(traces.remove(0)).expect("the trace can be read");
    trace::read(&text).expect("it is whole")
}

fn traces(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => traces(&path),
            false => vec![path],
        })
        .filter(|path| path.ends_with("events.jsonl"))
        .collect()
}

#[test]
fn defmt_says_what_the_console_says_and_more() {
    let events = run("reference-safe-log");
    let printed = events.iter().filter_map(|event| match &event.what {
        What::Printed { text } => Some(text.clone()),
        _ => None,
    });
    let logged = events.iter().filter_map(|event| match &event.what {
        What::Logged { text, since } => {
            assert!(*since <= event.at);
            Some(text.as_str())
        }
        _ => None,
    });
    let logged: Vec<&str> = logged.collect();
    let informed = logged.iter().filter_map(|line| line.strip_prefix("INFO "));
    let informed: Vec<String> = informed.map(|line| line.trim().to_owned()).collect();
    assert_eq!(informed, printed.collect::<Vec<_>>(), "{logged:#?}");
    assert!(
        logged
            .iter()
            .any(|line| line.starts_with("DEBUG ") && line.contains("stored true"))
    );
}
