//! Bench seconds per wall second of each flagship on each product, flashing left out.
//!
//! `cargo bench -p lockrig --bench flagships` runs `lockrig run` as a user does, one run at a time, and
//! reads `run.json`; it fails where the best of several runs is slower than the limit.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode};

const FLAGSHIPS: [&str; 3] = ["forgotten-code", "battery-drop-mid-reset", "rekey"];
const REPEAT: &str = "5";
const LIMIT: f64 = 1_000.0;

fn main() -> ExitCode {
    // `cargo test --benches` asks whether it starts, not how fast it is.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut slow = false;
    for flagship in FLAGSHIPS {
        let reports = folder.path().join(flagship);
        let status = Command::new(env!("CARGO_BIN_EXE_lockrig"))
            .args([
                "run", "--jobs", "1", "--repeat", REPEAT, "--filter", flagship,
            ])
            .arg("--report-dir")
            .arg(&reports)
            .current_dir(folder.path())
            .output()
            .expect("lockrig starts");
        assert!(
            status.status.success(),
            "{}",
            String::from_utf8_lossy(&status.stdout)
        );
        let mut best: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for entry in fs::read_dir(&reports).expect("reports").flatten() {
            let Ok(text) = fs::read_to_string(entry.path().join("run.json")) else {
                continue;
            };
            let run: serde_json::Value = serde_json::from_str(&text).expect("run.json is JSON");
            let bench = run["bench_time_ns"].as_u64().expect("a number") as f64 / 1e9;
            let wall = run["took_us"].as_u64().expect("a number") as f64 / 1e6;
            let product = run["profile"].as_str().expect("a name").to_owned();
            let variant = run["variant"].as_str().expect("a text");
            let this = best
                .entry(format!("{product} {variant}"))
                .or_insert((bench, wall));
            if wall / bench < this.1 / this.0 {
                *this = (bench, wall);
            }
        }
        for (run, (bench, wall)) in best {
            let rate = bench / wall;
            let verdict = if rate < LIMIT {
                "  below the limit"
            } else {
                ""
            };
            slow |= rate < LIMIT;
            println!(
                "{flagship:24} {run:44} {bench:7.1} s in {:6.1} ms: {rate:6.0} x{verdict}",
                wall * 1e3
            );
        }
    }
    if slow {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
