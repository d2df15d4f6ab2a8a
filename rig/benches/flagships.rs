//! Bench seconds per second of CPU time of each flagship on each product, flashing left out.
//!
//! `cargo bench -p lockrig --bench flagships` runs `lockrig run` as a user does, one run at a time, and
//! reads `run.json`; it fails where the best of several runs is slower than the limit. A virtual run is one
//! thread that waits for nothing, so that CPU time is what it takes on an idle machine; wall time, shown
//! beside it, also tells of whatever else the machine does.

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
        let mut best: BTreeMap<String, Best> = BTreeMap::new();
        for entry in fs::read_dir(&reports).expect("reports").flatten() {
            let Ok(text) = fs::read_to_string(entry.path().join("run.json")) else {
                continue;
            };
            let run: serde_json::Value = serde_json::from_str(&text).expect("run.json is JSON");
            let seconds = |key: &str, unit: f64| run[key].as_u64().expect("a number") as f64 / unit;
            let bench = seconds("bench_time_ns", 1e9);
            let product = run["profile"].as_str().expect("a name");
            let variant = run["variant"].as_str().expect("a text");
            best.entry(format!("{product} {variant}"))
                .or_default()
                .take(bench, seconds("cpu_us", 1e6), seconds("took_us", 1e6));
        }
        for (run, Best { cpu, wall }) in best {
            let verdict = if cpu < LIMIT { "  below the limit" } else { "" };
            slow |= cpu < LIMIT;
            println!("{flagship:24} {run:44} {cpu:6.0} x by CPU, {wall:6.0} x by wall{verdict}");
        }
    }
    if slow {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The best rates of one run's repetitions, in bench seconds per second.
#[derive(Default)]
struct Best {
    cpu: f64,
    wall: f64,
}

impl Best {
    fn take(&mut self, bench: f64, cpu: f64, wall: f64) {
        self.cpu = self.cpu.max(bench / cpu);
        self.wall = self.wall.max(bench / wall);
    }
}
