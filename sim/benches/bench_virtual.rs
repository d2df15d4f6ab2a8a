//! What the virtual bench costs: a fork of a whole running bench, a second of sleep, a second of
//! beeping, a second of dimmed light, a key press. `cargo bench -p lockrig-sim --bench
//! bench_virtual` prints medians; the limits beside them are what the project promises.

use std::hint::black_box;
use std::time::{Duration, Instant};

use lockrig_sim::bench::{BenchSpec, Port, VirtualBench};
use lockrig_sim::time::Ticks;

const ROUNDS: usize = 101;

/// Median of the wall time of `work`, which gets a fresh fork of `bench` each time.
fn median(bench: &VirtualBench, mut work: impl FnMut(&mut VirtualBench)) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let mut fork = bench.clone();
            let start = Instant::now();
            work(&mut fork);
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}

/// Measures one thing, unless the command line names another.
fn measure(name: &str, limit: Duration, took: impl FnOnce() -> Duration) {
    let asked = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    if asked.is_some_and(|asked| !name.contains(&asked)) {
        return;
    }
    let took = took();
    let verdict = if took <= limit { "ok" } else { "TOO SLOW" };
    println!("{name:<44} {took:>12.2?}   limit {limit:>10.2?}   {verdict}");
}

/// A powered bench that runs `code`, a tenth of a second after power-on.
fn running(code: &[u16]) -> VirtualBench {
    let mut words = vec![0x101_u32; 64];
    words[0] = 0x2000_4000;
    let mut image: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    image.extend(code.iter().flat_map(|half| half.to_le_bytes()));
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    bench.load(0, &image);
    bench.write(Port::Supply, b"VOLT 9;CURR 2;OUTP ON\n");
    while bench.run_until(Ticks::from_millis(100)).is_some() {}
    bench
}

fn second(bench: &mut VirtualBench) {
    let until = bench.now() + Ticks::from_millis(1_000);
    while let Some(seen) = bench.run_until(until) {
        black_box(seen);
    }
}

/// Toggles a pin by timer and GPIOTE, without the core: the pin's number, the half period in
/// microseconds.
fn toggling(pin: u32, half_period: u32) -> Vec<u16> {
    let writes = [
        (0x5000_0518, 1 << pin),
        // GPIOTE channel 0: task, this pin, toggle, low at first.
        (0x4000_6510, 3 | pin << 8 | 3 << 16),
        // TIMER0: 1 MHz, compare 0 at the half period, which clears it.
        (0x4000_8510, 4),
        (0x4000_8540, half_period),
        (0x4000_8200, 1),
        // PPI channel 0: from COMPARE0 to OUT0.
        (0x4001_F510, 0x4000_8140),
        (0x4001_F514, 0x4000_6000),
        (0x4001_F504, 1),
        (0x4000_8000, 1),
    ];
    let mut code = Vec::new();
    let set = |code: &mut Vec<u16>, register: u16, value: u32| {
        let [first, rest @ ..] = value.to_be_bytes();
        code.push(0x2000 | register << 8 | u16::from(first));
        for byte in rest {
            code.push(0x0200 | register << 3 | register);
            code.push(0x3000 | register << 8 | u16::from(byte));
        }
    };
    for (address, value) in writes {
        set(&mut code, 0, address);
        set(&mut code, 1, value);
        code.push(0x6001);
    }
    code.extend([0xBF30, 0xE7FD]);
    code
}

fn main() {
    let asleep = running(&[0xBF30, 0xE7FD]);
    let beeping = running(&toggling(4, 185));
    let dimmed = running(&toggling(21, 500));
    // A fork is too short to be timed alone.
    const FORKS: u32 = 1_000;
    measure(
        "fork of a whole running bench",
        Duration::from_micros(10),
        || {
            let forks = median(&asleep, |bench| {
                for _ in 0..FORKS {
                    black_box(bench.clone());
                }
            });
            forks / FORKS
        },
    );
    measure("a second asleep", Duration::from_micros(10), || {
        median(&asleep, second)
    });
    measure(
        "a second of beeping at 2.7 kHz",
        Duration::from_millis(1),
        || median(&beeping, second),
    );
    measure(
        "a second of light dimmed at 1 kHz",
        Duration::from_millis(1),
        || median(&dimmed, second),
    );
    measure("a key press", Duration::from_millis(1), || {
        median(&asleep, |bench| {
            bench.write(Port::Relay, &[0xA0, 1, 1, 0xA2]);
            second(bench);
        })
    });
    measure(
        "a second of a sagging supply",
        Duration::from_millis(5),
        || {
            median(&asleep, |bench| {
                bench.write(Port::Supply, b"VOLT 2.9\n");
                second(bench);
            })
        },
    );
}
