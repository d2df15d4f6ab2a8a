//! Each flagship once, on one product, over real ports in real time, on a bench that was calibrated over
//! them first; and how far every press and hold was from what was asked for.
//!
//! It takes six minutes, so it is left out unless asked for:
//! `cargo test --release -p lockrig --test flagships_in_real_time -- --ignored --nocapture`
#![cfg(unix)]

mod served;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use served::{Served, lockrig, text};

const BENCH: &str = "virtual-smart-lock";
const PRODUCT: &str = "kwikset-smartcode-909";
const FLAGSHIPS: [&str; 3] = ["forgotten-code", "battery-drop-mid-reset", "rekey"];
const LONGEST: Duration = Duration::from_secs(600);

#[test]
#[ignore = "six minutes of real time, on a machine that does nothing else: see above"]
fn each_flagship_passes_over_real_ports() {
    let mut desk = TempDir::new().expect("a folder for the test");
    // What fails here may not fail again: its traces stay.
    desk.disable_cleanup(true);
    let folder = desk.path().to_owned();
    let folder = folder.as_path();
    let began = Instant::now();
    let served = Served::start(
        folder,
        &[
            "sim",
            "serve",
            BENCH,
            "--write-bench",
            "served.toml",
            "--log",
            "served.jsonl",
        ],
    );
    let file = folder.join("served.toml");
    let bench = fs::read_to_string(&file).expect("it was written");
    fs::write(
        &file,
        format!("calibration = {{ max-age = \"1 day\" }}\n{bench}"),
    )
    .expect("it can be written");
    let doctor = lockrig(folder, &["doctor", "--bench", "served.toml"]);
    println!("{}", text(&doctor));
    assert!(doctor.status.success(), "{}", text(&doctor));
    for flagship in FLAGSHIPS {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../scenarios/{flagship}.yaml"));
        let scenario = fs::read_to_string(file).expect("a shipped scenario can be read");
        // Of its variants one: the battery falls out while the lock waits for a new code.
        let scenario = scenario
            .replace("P0, P1, P2, P3, P4, P5, P6, P7", "P2")
            .replace("clean, sag", "clean");
        fs::write(folder.join(format!("{flagship}.yaml")), scenario).expect("it can be written");
    }
    let files = FLAGSHIPS.map(|flagship| format!("{flagship}.yaml"));
    let mut run = vec![
        "run",
        "--bench",
        "served.toml",
        "--profile",
        PRODUCT,
        "--report-dir",
        "reports",
    ];
    run.extend(files.iter().map(String::as_str));
    let ran = lockrig(folder, &run);
    println!("{}", text(&ran));
    assert!(ran.status.success(), "see {}", folder.display());
    desk.disable_cleanup(false);
    let traces = traces(&folder.join("reports"));
    assert_eq!(traces.len(), FLAGSHIPS.len());
    let mut errors: Vec<u64> = traces
        .iter()
        .flat_map(|events| press_errors(events))
        .collect();
    drop(served);
    let took = began.elapsed();
    errors.sort_unstable();
    let percentile = |percent: usize| errors[(errors.len() * percent).div_ceil(100) - 1];
    println!(
        "error of {} presses and holds over real ports: p50 {} us, p99 {} us, largest {} us; {:.0} s in all",
        errors.len(),
        percentile(50),
        percentile(99),
        percentile(100),
        took.as_secs_f64()
    );
    assert!(errors.len() > 100, "most presses were not seen");
    assert!(took < LONGEST, "it took {took:?}");
}

#[test]
#[ignore = "some seconds of real time: see .ci/run"]
fn a_supply_that_sags_under_load_is_found_before_the_board_is_flashed() {
    let desk = TempDir::new().expect("a folder for the test");
    let folder = desk.path();
    let safe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/virtual-safe.toml");
    let safe = fs::read_to_string(safe).expect("a shipped board can be read");
    let weak = safe.replace(
        "emulates = \"virtual-safe\"",
        "emulates = \"virtual-safe-with-a-weak-supply\"",
    );
    fs::write(
        folder.join("weak.toml"),
        weak.replace("\"10 V\"", "\"15 V\""),
    )
    .expect("it can be written");
    let serve = [
        "sim",
        "serve",
        "weak.toml",
        "--erased",
        "--write-bench",
        "served.toml",
    ];
    let served = Served::start(folder, &serve);
    let filter = "forgotten-code@stack-on-red-button@";
    let ran = lockrig(
        folder,
        &["run", "--bench", "served.toml", "--filter", filter],
    );
    drop(served);
    let said = text(&ran);
    assert!(
        said.contains("feeding the board 9 V before anything is done to it: 8.5"),
        "{said}"
    );
    assert_eq!(ran.status.code(), Some(3), "{said}");
}

fn traces(reports: &Path) -> Vec<Vec<Value>> {
    let runs = fs::read_dir(reports).expect("there is a report");
    let traces =
        runs.filter_map(|run| fs::read_to_string(run.ok()?.path().join("events.jsonl")).ok());
    traces
        .map(|trace| {
            let events = trace.lines().map(serde_json::from_str::<Value>);
            events
                .map(|event| event.expect("an event is JSON"))
                .collect()
        })
        .collect()
}

/// For every contact that was closed and opened again, with nothing else in between: by how many
/// microseconds the time for which its line was on differs from that between the two orders.
fn press_errors(events: &[Value]) -> Vec<u64> {
    let mut errors = Vec::new();
    // By line: when it was ordered to close, first on, ordered to open, last off.
    let mut under_way: BTreeMap<&str, [Option<u64>; 4]> = BTreeMap::new();
    for event in events {
        let at = event["at"].as_u64().expect("every event has a time");
        if event["event"] == "switched" {
            let contact = event["contact"].as_str().expect("it has a name");
            let line = match contact {
                "button reset" => "reset-button",
                "button program" => "program-button",
                "door" | "jam" => continue,
                _ => "key",
            };
            if event["closed"] == true {
                errors.extend(
                    under_way
                        .insert(line, [Some(at), None, None, None])
                        .and_then(error),
                );
            } else if let Some(press) = under_way.get_mut(line) {
                press[2] = Some(at);
            }
        } else if event["event"] == "line-changed"
            && let Some(line) = event["line"].as_str()
            && let Some(press) = under_way.get_mut(line)
        {
            match event["high"] == true {
                true => press[1] = press[1].or(Some(at)),
                false => press[3] = Some(at),
            }
        }
    }
    errors.extend(under_way.into_values().filter_map(error));
    errors
}

fn error(press: [Option<u64>; 4]) -> Option<u64> {
    let [Some(closed), Some(on), Some(opened), Some(off)] = press else {
        return None;
    };
    Some(off.checked_sub(on)?.abs_diff(opened - closed) / 1_000)
}
