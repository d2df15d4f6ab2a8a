//! `lockrig` on an emulated Raspberry Pi: what it says that it did with its pins is what is seen on them
//! from outside.
//!
//! `.ci/raspberry` brings what these tests need (QEMU, a kernel, the static program) and calls them.

#![cfg(target_os = "linux")]

mod guest;

use std::time::{Duration, Instant};

use guest::{Edge, Pi};

/// Pins of the bench file. Rows and columns of the keypad are closed while they are low.
const ROWS: [u32; 4] = [5, 6, 13, 19];
const COLUMNS: [u32; 3] = [16, 20, 21];
const KEYS: &str = "123456789*0#";
const PROGRAM: u32 = 26;
const DOOR: u32 = 12;
const RED: u32 = 23;
const BEEPER: u32 = 25;
const BOLT: u32 = 18;

/// How long the whole run may take in the guest.
const RUN_MAX: Duration = Duration::from_secs(120);
/// The longest pause between two edges of a run.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// By how much a hold that is seen from outside may differ from what the guest says: emulator, sockets and a
/// busy machine lie between the two.
const FACTOR: f64 = 1.25;

fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("bench.toml", include_bytes!("bench.toml").to_vec()),
        ("scenario.yaml", include_bytes!("scenario.yaml").to_vec()),
    ]
}

const RUN: &str = "lockrig run scenario.yaml --bench bench.toml --profile kwikset-smartcode-909 --seed 1 --report-dir /tmp/reports";

/// All outputs of the bench.
fn outputs() -> u32 {
    let pins = ROWS.iter().chain(&COLUMNS).chain([&PROGRAM, &DOOR]);
    pins.fold(0, |all, pin| all | 1 << pin)
}

/// Row and column of a key.
fn crosspoint(key: char) -> [u32; 2] {
    let place = KEYS.find(key).expect("the keypad has it");
    [ROWS[place / 3], COLUMNS[place % 3]]
}

/// Starts the run, and plays the lock: once the whole code was pressed, red lamp and beeper go on and off so
/// many times. Gives all edges of the outputs, and what the run printed with its exit code.
fn run_with_flashes(pi: &mut Pi, flashes: u32) -> (Vec<Edge>, String, i32) {
    pi.drive(BOLT, true);
    pi.edges();
    pi.type_line(&format!("{RUN}; echo \"guest: done $?\""));
    let mut edges = Vec::new();
    // Row and column of five keys, on and off.
    while edges.len() < 20 {
        edges.push(pi.edge(PAUSE_MAX).expect("the code is pressed"));
    }
    for _ in 0..flashes {
        for on in [true, false] {
            for pin in [RED, BEEPER] {
                pi.drive(pin, on);
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }
    let said = pi.said_before("guest: done ", RUN_MAX);
    let code = pi.rest_of_line().parse().expect("an exit code");
    edges.extend(pi.edges());
    // What the test itself drove is reported like everything else.
    edges.retain(|edge| outputs() >> edge.pin & 1 == 1);
    (edges, said, code)
}

/// What `pins` say of these edges: each pin with `+` when it goes on, which is low.
fn words(edges: &[Edge]) -> Vec<String> {
    let word = |edge: &Edge| format!("{}{}", edge.pin, if edge.high { "-" } else { "+" });
    edges.iter().map(word).collect()
}

/// How long each time a pin was on.
fn holds(edges: &[Edge], pin: u32) -> Vec<Duration> {
    let of_pin: Vec<&Edge> = edges.iter().filter(|edge| edge.pin == pin).collect();
    of_pin
        .chunks(2)
        .map(|pair| pair[1].at - pair[0].at)
        .collect()
}

#[test]
#[ignore = "needs an emulated Raspberry Pi: call .ci/raspberry"]
fn a_code_and_a_hold_are_seen_on_the_pins_and_inputs_decide_the_verdict() {
    let mut pi = Pi::boot(&files());
    let (edges, said, code) = run_with_flashes(&mut pi, 3);
    assert_eq!(code, 0, "{said}");

    let mut expected = Vec::new();
    for key in "2468#".chars() {
        expected.extend(crosspoint(key).map(|pin| format!("{pin}+")));
        expected.extend(crosspoint(key).map(|pin| format!("{pin}-")));
    }
    expected.extend([format!("{PROGRAM}+"), format!("{PROGRAM}-")]);
    assert_eq!(words(&edges), expected, "exactly these, in this order");
    assert_eq!(pi.levels() & outputs(), outputs(), "all are high at rest");

    let (trace, _) = pi.run("cat /tmp/reports/*/*/events.jsonl", Duration::from_secs(60));
    let measured = measured(&trace, "hold of button program");
    let [seen] = holds(&edges, PROGRAM)[..] else {
        panic!("one hold");
    };
    println!(
        "hold: asked {:?}, guest {:?}, outside {seen:?}",
        measured.asked, measured.value
    );
    let factor = seen.as_secs_f64() / measured.value.as_secs_f64();
    assert!((1.0 / FACTOR..FACTOR).contains(&factor), "{factor}");
    assert_eq!(measured.asked, Duration::from_secs(2));

    // The other way: a signal that is one flash short is not the documented one.
    let (edges, said, code) = run_with_flashes(&mut pi, 2);
    assert_eq!(code, 1, "{said}");
    assert_eq!(pi.levels() & outputs(), outputs(), "all are high at rest");
    let keys = &expected[..20];
    assert_eq!(
        words(&edges),
        keys,
        "what comes after the failure is not done"
    );
}

#[test]
#[ignore = "needs an emulated Raspberry Pi: call .ci/raspberry"]
fn what_is_killed_in_the_middle_of_a_hold_leaves_every_pin_at_rest() {
    let mut pi = Pi::boot(&files());
    pi.drive(BOLT, true);
    pi.edges();
    pi.type_line("lockrig press program --for 60s --bench bench.toml & echo \"guest: pid $!\"");
    pi.said_before("guest: pid ", Duration::from_secs(30));
    let pid = pi.rest_of_line();
    let on = pi.edge(PAUSE_MAX).expect("the hold begins");
    assert_eq!((on.pin, on.high), (PROGRAM, false));
    assert_eq!(pi.levels() & outputs(), outputs() & !(1 << PROGRAM));
    pi.type_line(&format!("kill -9 {pid}"));
    let killed = Instant::now();
    let off = pi
        .edge(Duration::from_secs(10))
        .expect("somebody ends the hold");
    println!("at rest {:?} after the kill", off.at - killed);
    assert_eq!((off.pin, off.high), (PROGRAM, true));
    assert_eq!(pi.levels() & outputs(), outputs(), "all are high at rest");
}

#[test]
#[ignore = "needs an emulated Raspberry Pi: call .ci/raspberry"]
fn a_chip_that_is_not_there_is_named_with_those_that_are() {
    let mut files = files();
    let elsewhere = include_str!("bench.toml").replace("raspberry-pi", "gpiochip:pinctrl-rp1");
    files.push(("elsewhere.toml", elsewhere.into_bytes()));
    let mut pi = Pi::boot(&files);
    let (said, code) = pi.run(
        "lockrig press program --bench elsewhere.toml 2>&1",
        Duration::from_secs(60),
    );
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("no chip is labelled 'pinctrl-rp1'"), "{said}");
    assert!(
        said.contains("(gpiochip:pinctrl-bcm2835, 54 lines)"),
        "{said}"
    );
}

struct Measured {
    asked: Duration,
    value: Duration,
}

/// A measurement in a trace.
fn measured(trace: &str, quantity: &str) -> Measured {
    let mut events = trace.lines().filter_map(|line| {
        let event: serde_json::Value = serde_json::from_str(line.trim()).ok()?;
        (event["what"]["quantity"] == quantity || event["quantity"] == quantity).then_some(event)
    });
    let event = events
        .next()
        .unwrap_or_else(|| panic!("no {quantity} in:\n{trace}"));
    let of = |name: &str| {
        let number = event["what"][name].as_u64().or(event[name].as_u64());
        Duration::from_nanos(number.expect("a number of nanoseconds"))
    };
    Measured {
        asked: of("asked"),
        value: of("value"),
    }
}
