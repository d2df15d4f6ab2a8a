//! An emulated Raspberry Pi: what `lockrig` says that it did with its pins is what is seen on them from outside.

use std::time::{Duration, Instant};

use crate::pi::{Edge, Pi};
use crate::trace::measured;
use crate::wiring::{self, BEEPER, BOLT, PROGRAM, RED, RUN, outputs};

/// How long the whole run may take in the guest.
const RUN_MAX: Duration = Duration::from_secs(120);
/// How long a short command may take.
const COMMAND_MAX: Duration = Duration::from_secs(60);
/// The longest pause between two edges of a run.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long a hold of many seconds is looked at before it is taken for one.
const STEADY: Duration = Duration::from_secs(1);
/// By how much a hold that is seen from outside may differ from what the guest says: emulator, sockets and a
/// busy machine lie between the two.
const FACTOR: f64 = 1.25;

const FILES: [(&str, &[u8]); 2] = [
    ("bench.toml", include_bytes!("bench.toml")),
    ("scenario.yaml", include_bytes!("scenario.yaml")),
];

fn boot() -> Pi {
    let mut pi = Pi::boot(&FILES);
    pi.pull_up(outputs());
    pi
}

/// How often a run is made at most that says that its machine stood still: an emulated one does, whenever the one
/// that it runs on is busy.
const RUNS_MAX: u32 = 3;

fn run_with_flashes(pi: &mut Pi, flashes: u32) -> (Vec<Edge>, String, i32) {
    for _ in 1..RUNS_MAX {
        let (edges, said, code) = run_once(pi, flashes);
        if code != 3 || !said.contains("it stood still for") {
            return (edges, said, code);
        }
        println!("once more: {said}");
    }
    run_once(pi, flashes)
}

/// Starts the run, and plays the lock: once the whole code was pressed, red lamp and beeper go on and off so
/// many times. Gives all edges of the outputs, and what the run printed with its exit code.
fn run_once(pi: &mut Pi, flashes: u32) -> (Vec<Edge>, String, i32) {
    pi.drive(BOLT, true);
    pi.edges();
    pi.guest
        .type_line(&format!("{RUN}; echo \"guest: done $?\""));
    let mut edges = Vec::new();
    // Row and column of five keys, on and off.
    while edges.len() < 20 {
        match pi.edge(PAUSE_MAX) {
            Some(edge) => edges.push(edge),
            None => {
                pi.guest.said_before("guest: done ", RUN_MAX);
                let code = pi.guest.rest_of_line();
                let (said, _) = pi.guest.run("cat /tmp/said", COMMAND_MAX);
                panic!(
                    "the code is not pressed, {} edges, exit code {code}: {said}",
                    edges.len()
                );
            }
        }
    }
    for _ in 0..flashes {
        for on in [true, false] {
            for pin in [RED, BEEPER] {
                pi.drive(pin, on);
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }
    pi.guest.said_before("guest: done ", RUN_MAX);
    let code = pi.guest.rest_of_line().parse().expect("an exit code");
    let (said, _) = pi.guest.run("cat /tmp/said", COMMAND_MAX);
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
#[ignore = "needs an emulated Raspberry Pi: call .ci/pins"]
fn a_code_and_a_hold_are_seen_on_the_pins_and_inputs_decide_the_verdict() {
    let mut pi = boot();
    let (edges, said, code) = run_with_flashes(&mut pi, 3);
    assert_eq!(code, 0, "{said}");

    let expected = wiring::edges_of_the_run();
    assert_eq!(words(&edges), expected, "exactly these, in this order");
    assert_eq!(pi.levels() & outputs(), outputs(), "all are high at rest");

    let (trace, _) = pi.guest.run("cat /tmp/reports/*/events.jsonl", COMMAND_MAX);
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
#[ignore = "needs an emulated Raspberry Pi: call .ci/pins"]
fn what_is_killed_in_the_middle_of_a_hold_leaves_every_pin_at_rest() {
    let mut pi = boot();
    pi.drive(BOLT, true);
    pi.edges();
    pi.guest
        .type_line("lockrig press program --for 50s --bench bench.toml --profile kwikset-smartcode-909 & echo \"guest: pid $!\"");
    pi.guest.said_before("guest: pid ", Duration::from_secs(30));
    let pid = pi.guest.rest_of_line();
    let Some(on) = pi.edge(PAUSE_MAX) else {
        panic!("no hold begins: {}", pi.guest.run("true", COMMAND_MAX).0)
    };
    assert_eq!((on.pin, on.high), (PROGRAM, false));
    // It goes on until somebody ends it.
    if let Some(edge) = pi.edge(STEADY) {
        panic!("{edge:?} ends it: {}", pi.guest.run("true", COMMAND_MAX).0);
    }
    assert_eq!(pi.levels() & outputs(), outputs() & !(1 << PROGRAM));
    pi.guest.type_line(&format!("kill -9 {pid}"));
    let killed = Instant::now();
    let off = pi
        .edge(Duration::from_secs(10))
        .expect("somebody ends the hold");
    println!("at rest {:?} after the kill", off.at - killed);
    assert_eq!((off.pin, off.high), (PROGRAM, true));
    assert_eq!(pi.levels() & outputs(), outputs(), "all are high at rest");
}

#[test]
#[ignore = "needs an emulated Raspberry Pi: call .ci/pins"]
fn a_chip_that_is_not_there_is_named_with_those_that_are() {
    let elsewhere = include_str!("bench.toml").replace("raspberry-pi", "gpiochip:pinctrl-rp1");
    let mut pi = Pi::boot(&[("elsewhere.toml", elsewhere.as_bytes()), FILES[0]]);
    let (said, code) = pi.guest.run(
        "lockrig press program --bench elsewhere.toml --profile kwikset-smartcode-909 2>&1",
        COMMAND_MAX,
    );
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("no chip is labelled 'pinctrl-rp1'"), "{said}");
    assert!(
        said.contains("(gpiochip:pinctrl-bcm2835, 54 lines)"),
        "{said}"
    );
}

#[test]
#[ignore = "needs an emulated Raspberry Pi: call .ci/pins"]
fn who_may_not_use_the_pins_is_told_what_to_do() {
    let mut pi = boot();
    let (said, code) = pi.guest.run(
        "su guest -c 'lockrig press program --bench /root/bench.toml --profile kwikset-smartcode-909' 2>&1",
        COMMAND_MAX,
    );
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("no permission for /dev/"), "{said}");
    assert!(
        said.contains("gpio for pins; boards/linux/60-lockrig.rules grants both"),
        "{said}"
    );
}
