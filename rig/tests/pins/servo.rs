//! A servo at an emulated Raspberry Pi: its pulses, as they are seen on the pin from outside.

use std::time::{Duration, Instant};

use crate::pi::{Edge, Pi};

/// The servo's pin; its widths are in [`BENCH`].
const SERVO: u32 = 4;
/// In the middle, as ratios go, between the two widths.
const BETWEEN: Duration = Duration::from_micros(1_200);
const PERIOD: Duration = Duration::from_millis(20);
/// By what factor a median may be off: emulator, sockets and a busy machine lie between guest and test.
const FACTOR: f64 = 2.0;
/// Pulses that are further apart than this had ended.
const SILENCE: Duration = Duration::from_millis(500);
/// A phase has at least this many: 340 ms, every 20 ms, of which an emulator may lose some.
const PULSES_MIN: usize = 6;

const COMMAND_MAX: Duration = Duration::from_secs(120);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// One button, pressed by a servo.
const BENCH: &str = r#"
bench = "servo"
version = 1
recovery = "the lock is emulated"
uncertainty = "500 ms"
ports.pins = { at = "raspberry-pi" }
ports.supply = { at = "tcp://127.0.0.1:5025" }
relays = { driver = "pins", port = "pins", active = "high", longest-on = "1 min" }
supply = { driver = "scpi", port = "supply", highest = "7 V", limit = "800 mA" }
rest = { order = ["buttons", "supply"] }

[buttons.program]
channel = { servo = 4, rest = "600 us", pressed = "2400 us", travel = "300 ms" }
"#;

fn boot() -> Pi {
    let pi = Pi::boot(&[("bench.toml", BENCH.as_bytes())]);
    pi.edges();
    pi
}

#[derive(Clone, Copy, Debug)]
struct Pulse {
    at: Instant,
    width: Duration,
}

fn pulses(edges: &[Edge]) -> Vec<Pulse> {
    let of_servo: Vec<&Edge> = edges.iter().filter(|edge| edge.pin == SERVO).collect();
    let pairs = of_servo.windows(2);
    let pulse = |pair: &[&Edge]| {
        (pair[0].high && !pair[1].high).then(|| Pulse {
            at: pair[0].at,
            width: pair[1].at - pair[0].at,
        })
    };
    pairs.filter_map(pulse).collect()
}

fn median(mut of: Vec<Duration>) -> Duration {
    of.sort();
    of[of.len() / 2]
}

/// Pulses of one width in a row.
#[derive(Debug)]
struct Phase {
    pressed: bool,
    pulses: Vec<Pulse>,
}

impl Phase {
    fn width(&self) -> Duration {
        median(self.pulses.iter().map(|pulse| pulse.width).collect())
    }

    fn period(&self) -> Duration {
        let pairs = self.pulses.windows(2);
        median(pairs.map(|pair| pair[1].at - pair[0].at).collect())
    }
}

/// What is of one width in a row, as one.
fn joined(phases: impl Iterator<Item = Phase>) -> Vec<Phase> {
    let mut all: Vec<Phase> = Vec::new();
    for next in phases {
        match all.last_mut() {
            Some(last) if last.pressed == next.pressed => last.pulses.extend(next.pulses),
            _ => all.push(next),
        }
    }
    all
}

/// The phases. One pulse alone says little on a busy machine: what most of five say in a row counts, and what fewer
/// than [`PULSES_MIN`] say is what the machine made of a moment in which it was elsewhere, as is a silence within.
fn phases(pulses: &[Pulse]) -> Vec<Phase> {
    let near =
        |pulse: &Pulse, other: &Pulse| other.at.max(pulse.at) - other.at.min(pulse.at) < SILENCE;
    let single = pulses.iter().enumerate().map(|(index, pulse)| {
        let around = &pulses[index.saturating_sub(2)..pulses.len().min(index + 3)];
        let around = around.iter().filter(|other| near(pulse, other));
        Phase {
            pressed: median(around.map(|other| other.width).collect()) > BETWEEN,
            pulses: vec![*pulse],
        }
    });
    let lasting = joined(single).into_iter();
    let phases = joined(lasting.filter(|phase| phase.pulses.len() >= PULSES_MIN));
    for phase in &phases {
        println!(
            "{}: {} pulses, width {:?}, every {:?}",
            if phase.pressed { "pressed" } else { "rest" },
            phase.pulses.len(),
            phase.width(),
            phase.period(),
        );
    }
    phases
}

/// It presses once, and goes back. Before that it goes to rest as the bench is opened, which an emulated machine that
/// is busy with a program's first moments may cut short.
fn check(phases: &[Phase]) {
    let pressed: Vec<bool> = phases.iter().map(|phase| phase.pressed).collect();
    let opened = usize::from(phases.len() > 2);
    assert_eq!(
        pressed,
        [false, true, false][1 - opened..],
        "whether it pressed"
    );
    if opened == 1 {
        let first = phases[0].pulses[phases[0].pulses.len() - 1];
        assert!(
            phases[1].pulses[0].at - first.at > 5 * PERIOD,
            "nothing between"
        );
    }
    for phase in phases {
        let factor = phase.period().as_secs_f64() / PERIOD.as_secs_f64();
        assert!((1.0 / FACTOR..FACTOR).contains(&factor), "{factor}");
    }
    let width = |pressed: bool| {
        let those = phases.iter().filter(|phase| phase.pressed == pressed);
        median(those.map(Phase::width).collect()).as_secs_f64()
    };
    let factor = width(true) / width(false);
    assert!(
        factor > FACTOR,
        "{factor}: the file says that it is four times as wide"
    );
}

#[test]
#[ignore = "needs an emulated Raspberry Pi on a machine that does nothing else: call .ci/pins servo"]
fn a_servo_presses_goes_back_and_gets_no_more_pulses() {
    let mut pi = boot();
    let (said, code) = pi.guest.run(
        "lockrig press program --for 2s --watch 2s --bench bench.toml --profile kwikset-smartcode-909 2>&1",
        COMMAND_MAX,
    );
    assert_eq!(code, 0, "{said}");
    let seen = phases(&pulses(&pi.edges()));
    check(&seen);
    assert_eq!(pi.edge(SILENCE), None, "the servo is let go");
    assert_eq!(pi.levels() >> SERVO & 1, 0);
}

#[test]
#[ignore = "needs an emulated Raspberry Pi on a machine that does nothing else: call .ci/pins servo"]
fn a_servo_goes_back_although_its_program_is_killed_while_it_presses() {
    let mut pi = boot();
    pi.guest
        .type_line("lockrig press program --for 50s --bench bench.toml --profile kwikset-smartcode-909 & echo \"guest: pid $!\"");
    pi.guest.said_before("guest: pid ", Duration::from_secs(30));
    let pid = pi.guest.rest_of_line();
    let mut edges = Vec::new();
    let is_pressed = |edges: &[Edge]| {
        let wide = pulses(edges)
            .into_iter()
            .filter(|pulse| pulse.width > BETWEEN);
        wide.count() >= 3 * PULSES_MIN
    };
    while !is_pressed(&edges) {
        edges.push(pi.edge(PAUSE_MAX).expect("the servo presses"));
    }
    pi.guest.type_line(&format!("kill -9 {pid}"));
    // The guard opens the bench anew, which takes a moment, and lets the servo go.
    let end = Instant::now() + Duration::from_secs(15);
    let mut last = Instant::now();
    while let Some(edge) = pi.edge(end.saturating_duration_since(Instant::now())) {
        last = edge.at;
        edges.push(edge);
    }
    assert!(end - last > SILENCE, "pulses ended");
    let seen = phases(&pulses(&edges));
    check(&seen);
    assert_eq!(pi.levels() >> SERVO & 1, 0);
}
