//! The virtual bench on real ports, driven by programs that we did not write: probe-rs with its own
//! driver for Black Magic Probes, gdb, and Python's pyserial, PyVISA and pyFirmata2.
//!
//! gdb and Python are skipped, saying so, where they or the packages (`served/requirements.txt`) are not
//! installed. LOCKRIG_GDB and LOCKRIG_PYTHON name others than `gdb-multiarch` and `python3`; what is named
//! must be there. Time is real here and bounds are wide: nothing in here asserts how fast the machine is.
#![cfg(unix)]

mod served;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use object::{Object, ObjectSymbol};
use probe_rs::flashing::{ElfLoader, ElfOptions, download_file};
use probe_rs::probe::DebugProbeSelector;
use probe_rs::probe::WireProtocol;
use probe_rs::probe::list::Lister;
use probe_rs::{CoreStatus, HaltReason, MemoryInterface, Permissions};
use serde_json::Value;

use served::{CHIP, OPENS, Served, attach, gdb, image, lockrig, text};

/// Everything here is over long before.
const LONG: Duration = Duration::from_secs(20);
/// Where the program counter is among the core's registers.
const PC: u16 = 15;

/// The address of a function of the firmware.
fn function(name: &str) -> u64 {
    let bytes = fs::read(image()).expect("the image is committed");
    let file = object::File::parse(&*bytes).expect("it is an ELF file");
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
    // Bit 0 says that it is Thumb code.
    symbol.expect("the firmware has it").address() & !1
}

/// A bench that `lockrig sim serve` serves.
fn serve(arguments: &[&str]) -> Served {
    Served::start(Path::new("."), &[&["sim", "serve"], arguments].concat())
}

#[test]
fn a_stock_probe_rs_flashes_the_board_sets_a_breakpoint_and_hits_it() {
    let served = serve(&["virtual-safe", "--erased", "--feed", "9 V"]);
    let mut session = attach(&served);
    let format = ElfLoader(ElfOptions::default());
    download_file(&mut session, image(), format).expect("it can be flashed");
    let main = function("main");
    let mut core = session.core(0).expect("there is one core");
    core.reset_and_halt(LONG).expect("it resets");
    core.set_hw_breakpoint(main).expect("a comparator is free");
    core.run().expect("it runs");
    core.wait_for_core_halted(LONG).expect("it gets there");
    let status = core.status().expect("it can be asked");
    let hit = matches!(status, CoreStatus::Halted(HaltReason::Breakpoint(_)));
    assert!(hit, "{status:?}");
    let pc: u64 = core.read_core_reg(PC).expect("it has a program counter");
    assert_eq!(pc, main);
    // Step, and go on without the breakpoint: the firmware reaches its idle loop and sleeps.
    core.step().expect("it steps");
    core.clear_hw_breakpoint(main).expect("it was set");
    core.run().expect("it runs");
    let begun = Instant::now();
    while core.status().expect("it can be asked") != CoreStatus::Sleeping {
        assert!(begun.elapsed() < LONG, "it never sleeps");
    }
    assert_eq!(
        core.read_word_32(0x1000_0010).ok(),
        Some(0x400),
        "page size"
    );
}

#[test]
fn while_a_debugger_holds_the_core_the_instruments_go_on() {
    let served = serve(&["virtual-safe", "--feed", "9 V"]);
    let mut session = attach(&served);
    let mut core = session.core(0).expect("there is one core");
    let pc = core.halt(LONG).expect("it halts").pc;
    let mut relays = serialport::new(served.at("relay"), 9_600)
        .timeout(LONG)
        .open()
        .expect("nobody has it open");
    relays.write_all(&[0xA0, 1, 3, 0xA4]).expect("it listens");
    let mut feedback = [0; 4];
    relays.read_exact(&mut feedback).expect("it answers");
    assert_eq!(feedback, [0xA0, 1, 1, 0xA2]);
    assert_eq!(core.read_core_reg::<u64>(PC).expect("it is halted"), pc);
}

#[test]
fn a_chip_that_lost_its_supply_does_not_answer_probe_rs() {
    let served = serve(&["virtual-safe", "--erased"]);
    let selector: DebugProbeSelector = served.at("probe").parse().expect("it is a selector");
    let mut probe = Lister::new().open(selector).expect("the probe answers");
    probe.select_protocol(WireProtocol::Swd).expect("it does");
    assert!(probe.attach(CHIP, Permissions::default()).is_err());
}

#[test]
fn gdb_sets_breakpoints_steps_and_shows_where_the_firmware_is() {
    let served = serve(&["virtual-safe", "--feed", "9 V"]);
    let Some(said) = gdb(
        &served,
        &[
            "set language c",
            "monitor reset",
            "maintenance flush register-cache",
            "break main",
            "continue",
            "set var $before = $pc",
            "stepi",
            "printf \"stepped %d\\n\", $pc != $before",
            "print/x *(unsigned int *) 0x10000010",
            "set var *(unsigned int *) 0x20003000 = 0x12345678",
            "print/x *(unsigned short *) 0x20003002",
            "set var $r7 = 0xfeed",
            "print/x $r7",
            "detach",
        ],
    ) else {
        return;
    };
    for expected in [
        "Breakpoint 1, main () at reference/src/main.rs:",
        "stepped 1",
        "$1 = 0x400",
        "$2 = 0x1234",
        "$3 = 0xfeed",
    ] {
        assert!(said.contains(expected), "no '{expected}' in:\n{said}");
    }
    // Detached, the core runs again, and the next debugger finds it asleep.
    let mut session = attach(&served);
    let mut core = session.core(0).expect("there is one core");
    let begun = Instant::now();
    while core.status().expect("it can be asked") != CoreStatus::Sleeping {
        assert!(begun.elapsed() < LONG, "it never sleeps");
    }
}

#[test]
fn pyserial_pyvisa_and_pyfirmata_reach_the_instruments() {
    let Some(python) = served::python_with("serial, pyvisa, pyvisa_py, pyfirmata2") else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/served/clients.py");
    for arguments in [&["virtual-safe"][..], &["virtual-safe", "--tcp"]] {
        let served = serve(arguments);
        let output = Command::new(&python)
            .arg(&script)
            .arg(served.document().to_string())
            .output()
            .expect("it is there");
        assert!(output.status.success(), "{}", text(&output));
        let said = text(&output);
        assert!(said.contains("supply 9.00 V"), "{said}");
        assert!(said.contains("console state idle"), "{said}");
    }
}

/// What the system says of an error, without its number, which every system has of its own.
fn without_number(told: &str) -> String {
    match told.split_once(" (os error ") {
        Some((before, after)) => {
            let rest = after.split_once(')').map_or("", |(_, rest)| rest);
            format!("{before}{rest}")
        }
        None => told.to_owned(),
    }
}

#[test]
fn a_served_bench_says_where_it_is_and_goes_without_a_trace() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let links = folder.path().join("ports");
    let bench = folder.path().join("served.toml");
    let arguments = |links: &Path| {
        let links = links.display().to_string();
        ["virtual-smart-lock", "--links", &links].map(str::to_owned)
    };
    let wanted = arguments(&links);
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let shown = bench.display().to_string();
    let served = serve(&[&wanted[..], &["--write-bench", &shown]].concat());
    assert_eq!(served.document()["bench"], "virtual-smart-lock");
    let names: Vec<&Value> = served.ports().iter().map(|port| &port["name"]).collect();
    assert!(names.iter().any(|name| *name == "relay"), "{names:?}");
    let relay = links.join("relay");
    assert_eq!(served.at("relay"), relay.display().to_string());
    assert!(relay.exists());
    let checked = lockrig(folder.path(), &["check", "--bench", "served.toml"]);
    assert!(checked.status.success(), "{}", text(&checked));

    // Ports that are taken are named, and nothing of the other bench is harmed.
    let second = [&["sim", "serve"][..], &wanted].concat();
    let taken = lockrig(folder.path(), &second);
    assert_eq!(taken.status.code(), Some(3), "{}", text(&taken));
    let here = folder.path().display().to_string();
    insta::assert_snapshot!(
        "taken_link",
        without_number(&text(&taken)).replace(&here, "[here]")
    );
    let number = served.at("gdb").rsplit(':').next().map(str::to_owned);
    let number = number.expect("an address has a port");
    let taken = lockrig(folder.path(), &["sim", "serve", "--first-port", &number]);
    assert_eq!(taken.status.code(), Some(3), "{}", text(&taken));
    let told = without_number(&text(&taken)).replace(&number, "[port]");
    insta::assert_snapshot!("taken_port", told);

    // A file of somebody else's is not written over.
    fs::write(folder.path().join("mine.toml"), "mine").expect("a file");
    let mine = lockrig(
        folder.path(),
        &["sim", "serve", "--write-bench", "mine.toml"],
    );
    assert_eq!(mine.status.code(), Some(2), "{}", text(&mine));
    let kept = fs::read_to_string(folder.path().join("mine.toml"));
    assert_eq!(kept.expect("it is there"), "mine");

    let (status, rest) = served.end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(rest, "", "one document and nothing else");
    let left = fs::read_dir(&links).expect("the folder stays").count();
    assert_eq!(left, 0, "links stayed behind");
}

#[test]
#[ignore = "in real time, on a machine that does nothing else: see .ci/run"]
fn a_bench_is_driven_over_real_ports_in_real_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bench = folder.path().join("served.toml").display().to_string();
    for transport in [&[][..], &["--tcp"]] {
        let arguments = ["virtual-safe", "--write-bench", &bench];
        let _served = serve(&[&arguments[..], transport].concat());
        fs::write(folder.path().join("opens.yaml"), OPENS).expect("a file");
        let ran = lockrig(
            folder.path(),
            &["run", "opens.yaml", "--bench", &bench, "--profile", SAFE],
        );
        assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
        assert!(text(&ran).contains("1 pass"), "{}", text(&ran));
    }
}

const SAFE: &str = "stack-on-red-button";

#[test]
#[ignore = "in real time, on a machine that does nothing else: see .ci/run"]
fn a_machine_that_stood_still_is_not_blamed_on_the_board() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bench = folder.path().join("served.toml").display().to_string();
    let _served = serve(&["virtual-safe", "--write-bench", &bench]);
    // Nothing opens with this code: on a steady machine the run fails.
    let wrong = OPENS.replace("box: factory", "box: wrong");
    fs::write(folder.path().join("wrong.yaml"), wrong).expect("a file");
    let mut run = Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .args(["run", "wrong.yaml", "--bench", &bench, "--profile", SAFE])
        .args(["--report-dir", "out"])
        .current_dir(folder.path())
        .env("LOCKRIG_LOCKS", folder.path().join("locks"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let trace = folder.path().join("out");
    let trace = trace.join(format!("opens@{SAFE}@virtual-safe-served/events.jsonl"));
    let begun = || fs::read_to_string(&trace).is_ok_and(|text| text.contains("step-started"));
    while !begun() && run.try_wait().is_ok_and(|ended| ended.is_none()) {
        thread::sleep(Duration::from_millis(20));
    }
    let signal = |name: &str| {
        let id = run.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.expect("every Unix has it").success());
    };
    signal("STOP");
    thread::sleep(Duration::from_millis(120));
    signal("CONT");
    let ran = run.wait_with_output().expect("it ends by itself");
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran));
    assert!(text(&ran).contains("it stood still for "), "{}", text(&ran));
}

/// A pseudo-terminal that nobody has open has hung up, and must not count as readable for ever after.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "in real time: see .ci/run"]
fn a_bench_that_waits_with_its_ports_open_leaves_the_machine_to_others() {
    let served = serve(&["virtual-safe"]);
    let open = |name| {
        let port = serialport::new(served.at(name), 9_600).timeout(LONG);
        port.open().expect("nobody has it open")
    };
    let _open = [open("console"), open("supply")];
    thread::sleep(Duration::from_millis(200));
    let (begun, before) = (Instant::now(), served.cpu_time());
    thread::sleep(Duration::from_secs(1));
    let (took, used) = (begun.elapsed(), served.cpu_time() - before);
    assert!(used < took / 4, "it used {used:?} of {took:?}");
}
