//! How long it takes to flash and verify through probe-rs, on the wall's clock: attach, and images
//! of 16, 64 and 256 KiB onto the chip of a virtual bench, medians of several runs.
//!
//! `cargo bench -p lockrig --bench flash` prints a line for each, with the bench time that passed;
//! it fails where 256 KiB take longer than the limit.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lockrig::driver::probe::{Attach, Flashing, Probe};
use lockrig::image::{ChipMap, Image};
use lockrig::port::sim_probe;
use lockrig_sim::bench::{BenchSpec, Port, VirtualBench};
use lockrig_sim::time::Ticks;

const CHIP: &str = "nRF51822_xxAA";
const RUNS: usize = 5;
const LIMIT: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    // `cargo test --benches` asks whether it starts, not how fast it is.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let powered = powered_bench();
    let (attach, _) = measure(&powered, None);
    println!("attach                {:>8.2} ms", millis(attach));
    let mut slowest = Duration::ZERO;
    for kibibytes in [16, 64, 256] {
        let (wall, bench) = measure(&powered, Some(&image(kibibytes * 1024)));
        println!(
            "flash+verify {kibibytes:>3} KiB  {:>8.2} ms  bench time {:>8.2} ms",
            millis(wall),
            bench.as_nanos() as f64 / 1e6
        );
        slowest = slowest.max(wall);
    }
    if slowest > LIMIT {
        println!("limit {:.0} ms exceeded", millis(LIMIT));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The median of the runs' wall time, and the bench time, which is the same in each.
fn measure(powered: &VirtualBench, image: Option<&Image>) -> (Duration, Ticks) {
    let mut walls = Vec::new();
    let mut bench_time = Ticks::ZERO;
    for _ in 0..RUNS {
        let bench = Arc::new(Mutex::new(powered.clone()));
        let mut probe = Probe::new("swd", CHIP);
        let mut open = || Ok(sim_probe::probe(Arc::clone(&bench)));
        let began = Instant::now();
        probe
            .attach(&mut open, Attach::default())
            .expect("the chip is there");
        if let Some(image) = image {
            probe
                .flash(image, Flashing::default(), &mut |_| {})
                .expect("flash works");
        }
        walls.push(began.elapsed());
        drop(probe);
        bench_time = bench.lock().expect("nobody panicked").now() - powered.now();
    }
    walls.sort();
    (walls[RUNS / 2], bench_time)
}

fn millis(wall: Duration) -> f64 {
    wall.as_secs_f64() * 1e3
}

fn powered_bench() -> VirtualBench {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    bench.write(Port::Supply, b"VOLT 9;OUTP ON\n");
    while bench.run_until(Ticks::from_millis(100)).is_some() {}
    bench
}

/// An image of `bytes` that are all different from erased flash and mostly from each other.
fn image(bytes: u32) -> Image {
    let mut content: Vec<u8> = [0x2000_4000, 9, 0xE7FE_u32]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let mut noise = 1_u32;
    while content.len() < bytes as usize {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        content.extend((noise & 0x7FFF_FFFF).to_le_bytes());
    }
    let chip = ChipMap::of(CHIP).expect("our target description knows it");
    Image::read("noise.hex", hex(&content).as_bytes(), &chip).expect("a whole image")
}

fn hex(content: &[u8]) -> String {
    let mut text = String::new();
    for (index, chunk) in content.chunks(16).enumerate() {
        let address = 16 * index;
        if address.is_multiple_of(0x1_0000) {
            text += &record(0, 4, &((address >> 16) as u16).to_be_bytes());
        }
        text += &record(address as u16, 0, chunk);
    }
    text + &record(0, 1, &[])
}

fn record(offset: u16, kind: u8, data: &[u8]) -> String {
    let [high, low] = offset.to_be_bytes();
    let mut bytes = vec![data.len() as u8, high, low, kind];
    bytes.extend_from_slice(data);
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.push(sum.wrapping_neg());
    let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    format!(":{digits}\n")
}
