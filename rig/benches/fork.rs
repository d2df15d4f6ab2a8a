//! What a fork of a whole running bench costs: chip, board and instruments with their drivers, while the
//! firmware runs and a key is held.
//!
//! `cargo bench -p lockrig --bench fork` prints the median; it fails above the limit.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lockrig::bench::{Bench, BenchFile, Feed};
use lockrig::driver::probe::{Attach, Flashing, Probe};
use lockrig::event::Nanos;
use lockrig::image::{ChipMap, Image};
use lockrig::port::sim::SimPorts;
use lockrig::port::{Interrupt, PortProblem, PortTrouble, Waited};
use lockrig::quantity::Millivolts;
use lockrig::source::Source;

const CHIP: &str = "nRF51822_xxAA";
const ROUNDS: usize = 101;
/// A fork is too short to be timed alone.
const FORKS: u32 = 100;
const LIMIT: Duration = Duration::from_micros(10);

fn main() -> ExitCode {
    // `cargo test --benches` asks whether it starts, not how fast it is.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let mut bench = running_bench();
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..FORKS {
                black_box(bench.fork());
            }
            began.elapsed() / FORKS
        })
        .collect();
    rounds.sort();
    let took = rounds[ROUNDS / 2];
    println!("fork of a whole running bench {took:>8.2?}  limit {LIMIT:.2?}");
    match took <= LIMIT {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// A safe with the reference firmware on its board, in the middle of a key press.
fn running_bench() -> Bench {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let name = "virtual-safe.toml";
    let text = fs::read_to_string(root.join("boards").join(name)).expect("it is shipped");
    let file = BenchFile::read(&Source::new(name, text)).expect("it is right");
    let ports = SimPorts::new("virtual-safe", 1, Interrupt::default()).expect("it exists");
    let mut bench = Bench::connect(file, Box::new(ports)).expect("the instruments answer");
    bench
        .feed(Feed::On {
            voltage: Millivolts(9_000),
            resistance: None,
        })
        .expect("there is a supply");
    pass(&mut bench, Nanos::from_millis(500));
    let chip = ChipMap::of(CHIP).expect("our target description knows it");
    let image = root.join("firmware/images/reference-safe.elf");
    let image = Image::load(&image, &chip).expect("it is shipped");
    let mut probe = Probe::new("swd", CHIP);
    let mut open = || {
        bench.probe().map_err(|absent| PortTrouble {
            address: absent.device,
            problem: PortProblem::Absent,
            saw: absent.saw,
        })
    };
    probe
        .attach(&mut open, Attach::default())
        .expect("the chip is there");
    probe
        .flash(&image, Flashing::default(), &mut |_| {})
        .expect("flash works");
    drop(probe);
    pass(&mut bench, Nanos::from_secs(1));
    bench.press('5', true).expect("there is a key");
    pass(&mut bench, Nanos::from_millis(50));
    bench
}

fn pass(bench: &mut Bench, span: Nanos) {
    let until = bench.now() + span;
    while let Waited::Saw(_) = bench.wait(until) {}
}
