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
/// A drop of the supply right after the lock has acknowledged its reset, a reset of 30 s, and a rekey.
const FLAGSHIPS: [&str; 3] = [
    "forgotten-code@kwikset-smartcode-909@",
    "battery-drop-mid-reset@kwikset-smartcode-909@virtual-smart-lock-served@phase=P2+drop=clean",
    "rekey@kwikset-smartcode-909@",
];
const LONGEST: Duration = Duration::from_secs(600);

#[test]
#[ignore = "takes six minutes of real time"]
fn each_flagship_passes_over_real_ports() {
    let desk = TempDir::new().expect("a folder for the test");
    let folder = desk.path();
    let began = Instant::now();
    let served = Served::start(
        folder,
        &["sim", "serve", BENCH, "--write-bench", "served.toml"],
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
    let mut errors = Vec::new();
    for (index, flagship) in FLAGSHIPS.iter().enumerate() {
        let reports = format!("reports-{index}");
        let run = [
            "run",
            "--bench",
            "served.toml",
            "--filter",
            flagship,
            "--report-dir",
            &reports,
        ];
        let ran = lockrig(folder, &run);
        println!("{}", text(&ran));
        assert!(ran.status.success(), "{}", text(&ran));
        for events in traces(&folder.join(&reports)) {
            errors.extend(press_errors(&events));
        }
    }
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
