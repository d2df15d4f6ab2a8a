//! How fast the core is, alone and beside QEMU: an ALU loop, a memory loop, a call-and-byte mix,
//! firmware that wakes every millisecond, and the fork of a chip.
//!
//! `cargo bench -p lockrig-sim --bench core`. QEMU (`-M microbit -icount shift=6,sleep=off`) runs the
//! same image in the same run, in turns with ours; each figure is the best of [`TURNS`]. Both stay on
//! one processor core where `taskset` is installed. Without QEMU the ratios are left out.

use std::hint::black_box;
use std::io::{ErrorKind, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lockrig_sim::chip::{Chip, Stopped};
use lockrig_sim::time::Ticks;

/// Assembled from `core_programs.s`.
const IMAGE: &[u8] = include_bytes!("core_programs.bin");
/// Where the image holds the workload's number and, after it, its rounds.
const WORKLOAD_AT: usize = 0xc0;
const TURNS: u32 = 5;

struct Workload {
    name: &'static str,
    number: u32,
    rounds: u32,
    /// What a round is counted in, and how much of it.
    unit: &'static str,
    per_round: f64,
    /// What the ratio to QEMU has to be.
    ratio_min: Option<f64>,
}

const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "ALU loop",
        number: 0,
        rounds: 10_000_000,
        unit: "MIPS",
        per_round: 8e-6,
        ratio_min: Some(0.3),
    },
    Workload {
        name: "memory loop",
        number: 1,
        rounds: 50_000,
        unit: "MIPS",
        per_round: 1541e-6,
        ratio_min: Some(0.3),
    },
    Workload {
        name: "call-and-byte mix",
        number: 2,
        rounds: 1_000_000,
        unit: "MIPS",
        per_round: 75e-6,
        ratio_min: None,
    },
    Workload {
        name: "a wake every 1 ms, 200 instructions",
        number: 3,
        rounds: 10_000,
        unit: "s/s",
        per_round: 1e-3,
        ratio_min: Some(10.0),
    },
];

impl Workload {
    fn image(&self) -> Vec<u8> {
        let mut image = IMAGE.to_vec();
        image[WORKLOAD_AT..WORKLOAD_AT + 4].copy_from_slice(&self.number.to_le_bytes());
        image[WORKLOAD_AT + 4..WORKLOAD_AT + 8].copy_from_slice(&self.rounds.to_le_bytes());
        image
    }

    /// Wall time on the emulated chip from the first byte said to the second.
    fn ours(&self) -> Duration {
        let mut chip = Chip::new(1);
        chip.memory_mut().load(0, &self.image());
        chip.set_supply(3_000);
        chip.power_on();
        let mut started = None;
        loop {
            if chip.run(Ticks::NEVER) != Stopped::Uart {
                continue;
            }
            match (chip.take_uart(), started) {
                (Some((_, b'a')), None) => started = Some(Instant::now()),
                (Some((_, b'z')), Some(started)) => return started.elapsed(),
                (other, _) => panic!("{}: the UART said {other:?}", self.name),
            }
        }
    }

    /// The same on QEMU; nothing if it is not installed.
    fn qemu(&self) -> Option<Duration> {
        let path = std::env::temp_dir().join(format!("lockrig-bench-{}.bin", std::process::id()));
        std::fs::write(&path, self.image()).expect("a temporary file");
        let spawned = pinned("qemu-system-arm")
            .args(["-M", "microbit", "-nodefaults", "-display", "none"])
            .args(["-icount", "shift=6,sleep=off", "-serial", "stdio"])
            .arg("-device")
            .arg(format!("loader,file={},addr=0", path.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut process = match spawned {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("starting qemu-system-arm: {error}"),
        };
        let mut output = process.stdout.take().expect("a pipe");
        let mut byte = [0];
        let heard = |byte: &mut [u8; 1], output: &mut dyn Read| output.read_exact(byte).is_ok();
        let started = heard(&mut byte, &mut output).then(Instant::now);
        let finished = heard(&mut byte, &mut output) && byte == *b"z";
        let took = started.map(|started| started.elapsed());
        let _ = process.kill();
        let _ = process.wait();
        let _ = std::fs::remove_file(&path);
        took.filter(|_| finished)
    }

    fn rate(&self, took: Duration) -> f64 {
        f64::from(self.rounds) * self.per_round / took.as_secs_f64()
    }
}

/// A command kept on one processor core, if that can be done.
fn pinned(program: &str) -> Command {
    let pins = Command::new("taskset").args(["-c", "1", "true"]).status();
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if pins.is_ok_and(|status| status.success()) && found.is_ok() {
        let mut command = Command::new("taskset");
        command.args(["-c", "1", program]);
        command
    } else {
        Command::new(program)
    }
}

fn compare(workload: &Workload) {
    let mut ours: Option<Duration> = None;
    let mut qemu: Option<Duration> = None;
    for _ in 0..TURNS {
        let took = workload.ours();
        ours = Some(ours.map_or(took, |best| best.min(took)));
        if let Some(took) = workload.qemu() {
            qemu = Some(qemu.map_or(took, |best| best.min(took)));
        }
    }
    let Some(ours) = ours.map(|took| workload.rate(took)) else {
        return;
    };
    let Workload {
        name,
        unit,
        ratio_min,
        ..
    } = workload;
    let Some(qemu) = qemu.map(|took| workload.rate(took)) else {
        println!("{name:<40} {ours:>8.0} {unit:<4}  QEMU is not installed: no ratio");
        return;
    };
    let ratio = ours / qemu;
    let verdict = match ratio_min {
        Some(least) if ratio < *least => format!("TOO SLOW, at least {least}"),
        Some(least) => format!("ok, at least {least}"),
        None => String::new(),
    };
    println!("{name:<40} {ours:>8.0} {unit:<4}  QEMU {qemu:>6.0}  ratio {ratio:>6.2}  {verdict}");
}

/// The median time to fork a chip that runs, and to let the fork go.
fn fork() {
    let mut chip = Chip::new(1);
    chip.memory_mut().load(0, &WORKLOADS[3].image());
    chip.set_supply(3_000);
    chip.power_on();
    while chip.run(Ticks::from_millis(100)) != Stopped::Deadline {}
    let mut times: Vec<Duration> = (0..10_001)
        .map(|_| {
            let start = Instant::now();
            drop(black_box(chip.clone()));
            start.elapsed()
        })
        .collect();
    times.sort();
    let took = times[times.len() / 2];
    let verdict = if took <= Duration::from_micros(3) {
        "ok"
    } else {
        "TOO SLOW"
    };
    println!(
        "{:<40} {took:>10.2?}  {verdict}, at most 3 µs",
        "fork of a chip"
    );
}

fn main() {
    // A filter, as `cargo bench` passes it on.
    let asked = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| {
        asked
            .as_ref()
            .is_none_or(|asked| name.contains(asked.as_str()))
    };
    for workload in WORKLOADS.iter().filter(|workload| wanted(workload.name)) {
        compare(workload);
    }
    if wanted("fork of a chip") {
        fork();
    }
}
