//! The wiring of a bench as a picture: what its file says, drawn for the person who wires it.
//!
//! Instruments stand at the left and the lock at the right, a row for each wire between the two, so that
//! a hand can follow one; below, the order in which the outputs go to rest. It is one SVG file with its
//! colours in it, light or dark as the reader's system is, and it prints.

use maud::{Markup, PreEscaped, html};

use crate::bench::file::{Line, Wired};
use crate::bench::{BenchFile, Contact, Output, Via};
use crate::driver::pin_board::Way;
use crate::driver::relay_board::Language;
use crate::port::Level;

const STYLE: &str = "\
svg { color-scheme: light dark; background: light-dark(#ffffff, #101418);
  font: 14px system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif; }
text { fill: light-dark(#1a2027, #e4e9ee); }
.title { font-size: 20px; font-weight: 700; }
.head { font-weight: 700; }
.small { font-size: 12px; fill: light-dark(#55606b, #9ba6b2); }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.box { fill: light-dark(#f5f7f9, #181d23); stroke: light-dark(#d4dae0, #313a43); }
.lock { fill: light-dark(#eef3f9, #17202b); stroke: light-dark(#2f6db3, #6ea8e8); stroke-width: 1.5; }
.wire { fill: none; stroke: light-dark(#1a2027, #e4e9ee); stroke-width: 1.5; }
.sense { fill: none; stroke: light-dark(#2f6db3, #6ea8e8); stroke-width: 1.5; stroke-dasharray: 7 4; }
.power { fill: none; stroke: light-dark(#b3261e, #ff8a80); stroke-width: 2.5; }
.tip { stroke: none; }
.tip.out { fill: light-dark(#1a2027, #e4e9ee); }
.tip.in { fill: light-dark(#2f6db3, #6ea8e8); }
.tip.feed { fill: light-dark(#b3261e, #ff8a80); }
.pin { fill: light-dark(#ffffff, #101418); stroke: light-dark(#55606b, #9ba6b2); }
";

const WIDTH: u32 = 1_240;
const MARGIN: u32 = 24;
const ROW: u32 = 26;
/// Where a box ends at the left, and where the lock begins.
const LEFT: u32 = 450;
const RIGHT: u32 = 740;
const HEAD: u32 = 48;
const GAP: u32 = 18;

/// How a wire is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Through a relay's contact.
    Switched { closed: bool },
    /// A signal to the lock.
    Out,
    /// A signal from the lock.
    In,
    /// Both ways.
    Both,
    /// What feeds it.
    Power,
    /// The way back of what feeds it.
    PowerReturn,
    /// The common level of signals.
    Ground,
}

/// A wire, from what the instrument calls it to what the lock calls it.
struct Wire {
    from: String,
    to: String,
    beside: String,
    kind: Kind,
}

/// An instrument and its wires.
struct Instrument {
    name: String,
    at: String,
    wires: Vec<Wire>,
}

/// The drawing, as an SVG document.
pub fn draw(bench: &BenchFile) -> String {
    let instruments = instruments(bench);
    let mut top = MARGIN + 64;
    let lock_top = top;
    let placed: Vec<(u32, &Instrument)> = instruments
        .iter()
        .map(|instrument| {
            let at = top;
            top += height(instrument) + GAP;
            (at, instrument)
        })
        .collect();
    let lock_bottom = top - GAP;
    let rest_top = lock_bottom + GAP + 10;
    let bottom = rest_top + 76 + 34;
    let lock = match &bench.chip {
        Some(chip) => format!("lock under test, {chip}"),
        None => "lock under test, without a chip".to_owned(),
    };
    let about = bench.about.clone().unwrap_or_default();
    let drawing = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {bottom}"))
            width=(WIDTH) height=(bottom) role="img" aria-labelledby="title description" {
            title id="title" { "Wiring of the bench " (bench.name) }
            desc id="description" { (told(bench, &instruments)) }
            style { (PreEscaped(STYLE)) }
            text.title x=(MARGIN) y=(MARGIN + 18) { "Wiring of " (bench.name) }
            text.small x=(MARGIN) y=(MARGIN + 40) { (about) }
            rect.lock x=(RIGHT) y=(lock_top) width=(WIDTH - MARGIN - RIGHT) height=(lock_bottom - lock_top) rx="6" {}
            text.head x=(RIGHT + 16) y=(lock_top + 22) { (lock) }
            @for (at, instrument) in &placed { (one(*at, instrument)) }
            (rest(bench, rest_top))
            (legend(bottom - 22))
        }
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n",
        drawing.into_string()
    )
}

fn height(instrument: &Instrument) -> u32 {
    HEAD + ROW * instrument.wires.len() as u32 + 6
}

fn one(top: u32, instrument: &Instrument) -> Markup {
    html! {
        g {
            rect.box x=(MARGIN) y=(top) width=(LEFT - MARGIN) height=(height(instrument)) rx="6" {}
            text.head x=(MARGIN + 14) y=(top + 20) { (instrument.name) }
            text.small x=(MARGIN + 14) y=(top + 37) { (instrument.at) }
            @for (row, wire) in (0..).zip(&instrument.wires) {
                (drawn(top + HEAD + ROW * row + ROW / 2, wire))
            }
        }
    }
}

/// A wire at this height.
fn drawn(y: u32, wire: &Wire) -> Markup {
    let (from, to) = (LEFT + 5, RIGHT - 5);
    let middle = (from + to) / 2;
    let right = |class: &str| {
        html! { path.tip.(class) d=(format!("M{to} {y} l-9 -5 v10 z")) {} }
    };
    let left = html! { path.tip.in d=(format!("M{from} {y} l9 -5 v10 z")) {} };
    let line = format!("M{from} {y}H{to}");
    html! {
        text.end x=(LEFT - 12) y=(y + 5) { (wire.from) }
        text x=(RIGHT + 16) y=(y + 5) { (wire.to) }
        @if !wire.beside.is_empty() {
            text.small.end x=(WIDTH - MARGIN - 12) y=(y + 5) { (wire.beside) }
        }
        @match wire.kind {
            Kind::Switched { closed } => {
                path.wire d=(format!("M{from} {y}H{}M{}{}H{to}", middle - 16, middle + 16, format_args!(" {y}"))) {}
                path.wire d=(format!("M{} {y}L{} {}", middle - 16, middle + 15, if closed { y } else { y - 9 })) {}
                circle.pin cx=(middle - 16) cy=(y) r="3" {}
                circle.pin cx=(middle + 16) cy=(y) r="3" {}
            }
            Kind::Out => { path.wire d=(line) {} (right("out")) }
            Kind::In => { path.sense d=(line) {} (left) }
            Kind::Both => { path.sense d=(line) {} (left) (right("in")) }
            Kind::Ground => { path.wire d=(line) {} }
            Kind::PowerReturn => { path.power d=(line) {} }
            Kind::Power => { path.power d=(line) {} (right("feed")) }
        }
        circle.pin cx=(LEFT) cy=(y) r="4" {}
        circle.pin cx=(RIGHT) cy=(y) r="4" {}
    }
}

/// The multiplexers at a header, and the keys that they close.
fn multiplexers(via: &Via, contacts: &[(&Contact, &Wired)]) -> Option<Instrument> {
    let Via::Pins {
        multiplexers: Some(multiplexers),
        ..
    } = via
    else {
        return None;
    };
    let keys = contacts.iter();
    let keys = keys.filter(|(_, wired)| matches!(wired.way, Way::Selected { .. }));
    let pins = |pins: &[u16]| {
        let pins: Vec<String> = pins.iter().map(ToString::to_string).collect();
        pins.join(", ")
    };
    Some(Instrument {
        name: "multiplexers across the keypad".to_owned(),
        at: format!(
            "row by pins {}, column by {}, on while {} is {}",
            pins(&multiplexers.rows),
            pins(&multiplexers.columns),
            multiplexers.enable,
            level(multiplexers.active)
        ),
        wires: keys
            .map(|(contact, wired)| switched(via, contact, wired))
            .collect(),
    })
}

fn instruments(bench: &BenchFile) -> Vec<Instrument> {
    let mut instruments = Vec::new();
    if let Some(relays) = &bench.relays {
        let mut contacts: Vec<(&Contact, &Wired)> = relays.contacts.iter().collect();
        contacts.sort_by_key(|(_, wired)| wired.way);
        let selected = multiplexers(&relays.via, &contacts);
        contacts.retain(|(_, wired)| !matches!(wired.way, Way::Selected { .. }));
        instruments.push(Instrument {
            name: match &relays.via {
                Via::Board {
                    language: Language::Lcus,
                    ..
                } => "relay board".to_owned(),
                Via::Board {
                    language: Language::Modbus { unit },
                    ..
                } => {
                    format!("relay board (Modbus, unit {unit})")
                }
                Via::Pins { .. } => "pins that switch".to_owned(),
            },
            at: match &relays.via {
                Via::Board { port, .. } => address(&port.at, port.baud),
                Via::Pins { at, active, .. } => format!("{at}, closed when {}", level(*active)),
            },
            wires: contacts
                .into_iter()
                .map(|(contact, wired)| switched(&relays.via, contact, wired))
                .collect(),
        });
        instruments.extend(selected);
    }
    let mut ports: Vec<&str> = bench.lines.iter().map(|line| line.at.as_str()).collect();
    ports.dedup();
    ports.sort_unstable();
    ports.dedup();
    for port in ports {
        let lines = bench.lines.iter().filter(|line| line.at == port);
        let board = bench.lines.iter().find(|line| line.at == port);
        let board = board.and_then(|line| line.board.as_ref());
        instruments.push(Instrument {
            name: match board {
                Some(_) => "sense board (StandardFirmata)".to_owned(),
                None => "sense wires".to_owned(),
            },
            at: address(port, board.map_or(0, |(port, _)| port.baud)),
            wires: lines.map(|line| sense(bench, line)).collect(),
        });
    }
    let supply = bench.supply.as_ref();
    let programmable = supply.and_then(|supply| Some((supply, supply.programmable()?)));
    if let Some((supply, there)) = programmable {
        let source = there
            .resistance
            .map(|resistance| format!("behind {resistance}"));
        instruments.push(Instrument {
            name: "supply (SCPI)".to_owned(),
            at: address(&there.port.at, there.port.baud),
            wires: vec![
                Wire {
                    from: format!("+  at most {}", supply.highest),
                    to: "battery +".to_owned(),
                    beside: format!("at most {}", there.limit),
                    kind: Kind::Power,
                },
                Wire {
                    from: "−".to_owned(),
                    to: "battery −, ground".to_owned(),
                    beside: source.unwrap_or_default(),
                    kind: Kind::PowerReturn,
                },
            ],
        });
    }
    if let Some(console) = &bench.console {
        instruments.push(Instrument {
            name: "console".to_owned(),
            at: address(&console.at, console.baud),
            wires: vec![
                plain("RX", "TX", Kind::In),
                plain("TX", "RX", Kind::Out),
                plain("ground", "ground", Kind::Ground),
            ],
        });
    }
    if let Some(probe) = &bench.probe {
        instruments.push(Instrument {
            name: "debug probe".to_owned(),
            at: probe.at.clone(),
            wires: vec![
                plain("SWDIO", "SWDIO", Kind::Both),
                plain("SWCLK", "SWCLK", Kind::Out),
                plain("voltage sense", "VDD", Kind::In),
                plain("ground", "ground", Kind::Ground),
            ],
        });
    }
    if let Some(stage) = &bench.stage {
        let settings = &stage.settings;
        instruments.push(Instrument {
            name: "motion stage (GRBL)".to_owned(),
            at: address(&stage.port.at, stage.port.baud),
            wires: vec![
                plain(
                    &format!("axis {}, at most {}", settings.turn.axis, settings.torque),
                    "key, turned",
                    Kind::Out,
                ),
                plain(
                    &format!(
                        "axis {}, to {}",
                        settings.insert.axis, settings.insert.seated
                    ),
                    "key, in and out",
                    Kind::Out,
                ),
                plain(
                    &format!(
                        "axis {}, {} keys",
                        settings.magazine.axis, settings.magazine.slots
                    ),
                    "another key",
                    Kind::Out,
                ),
                plain(
                    &format!(
                        "axis {}, to {}",
                        settings.plunge.axis, settings.plunge.seated
                    ),
                    "learning tool",
                    Kind::Out,
                ),
            ],
        });
    }
    instruments
}

fn plain(from: &str, to: &str, kind: Kind) -> Wire {
    Wire {
        from: from.to_owned(),
        to: to.to_owned(),
        beside: String::new(),
        kind,
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::High => "high",
        Level::Low => "low",
    }
}

fn switched(via: &Via, contact: &Contact, wired: &Wired) -> Wire {
    let proof = match &wired.line {
        Some(line) => format!("seen on '{line}'"),
        None => "not proved".to_owned(),
    };
    let longest = wired
        .longest_on
        .map(|longest| format!(", at most {longest}"));
    let to = match contact {
        Contact::Lead => "between + of the cells and battery +".to_owned(),
        Contact::Crowbar => "battery + to battery −, through a resistor".to_owned(),
        contact => contact.to_string(),
    };
    let (from, kind) = match wired.way {
        Way::Servo(servo) => (
            format!(
                "{}, {} at rest, {} pressed",
                via.output(wired.way),
                servo.rest,
                servo.pressed
            ),
            Kind::Out,
        ),
        way => {
            let closed = wired.rest_closed;
            (via.output(way), Kind::Switched { closed })
        }
    };
    Wire {
        from,
        to,
        beside: proof + &longest.unwrap_or_default(),
        kind,
    }
}

fn sense(bench: &BenchFile, line: &Line) -> Wire {
    let contacts = bench.relays.iter().flat_map(|relays| &relays.contacts);
    let proved: Vec<String> = contacts
        .filter(|(_, wired)| wired.line.as_ref() == Some(&line.name))
        .map(|(contact, _)| contact.to_string())
        .collect();
    let proves = match proved.as_slice() {
        [] => String::new(),
        [one] => format!("proves {one}, "),
        [..] => format!("proves {} contacts, ", proved.len()),
    };
    let active = if line.active_high { "high" } else { "low" };
    Wire {
        from: format!("pin {}", line.pin),
        to: line.name.clone(),
        beside: format!("{proves}on when {active}"),
        kind: Kind::In,
    }
}

fn address(at: &str, baud: u32) -> String {
    match baud {
        0 => at.to_owned(),
        baud => format!("{at}, {baud} baud"),
    }
}

/// An output and how it stands at rest.
fn at_rest(bench: &BenchFile, one: Output) -> String {
    match one {
        Output::Door => {
            let closed = bench
                .wired(&Contact::Door)
                .is_some_and(|wired| wired.rest_closed);
            format!("door {}", if closed { "closed" } else { "open" })
        }
        Output::Supply => match bench
            .supply
            .as_ref()
            .and_then(|supply| supply.programmable()?.rest)
        {
            Some(voltage) => format!("supply at {voltage}"),
            None => "supply off".to_owned(),
        },
        Output::Keys => "keys open".to_owned(),
        Output::Buttons => "buttons open".to_owned(),
        Output::Jam => "jam open".to_owned(),
        Output::Stage => "stage home".to_owned(),
    }
}

fn rest(bench: &BenchFile, top: u32) -> Markup {
    let count = bench.rest.len().max(1) as u32;
    let width = (WIDTH - 2 * MARGIN - 26 * (count - 1)) / count;
    html! {
        text.head x=(MARGIN) y=(top + 14) { "Whatever ends a run, the outputs go to rest in this order" }
        @for (place, one) in (0..).zip(&bench.rest) {
            @let x = MARGIN + place * (width + 26);
            rect.box x=(x) y=(top + 26) width=(width) height="38" rx="6" {}
            text.middle x=(x + width / 2) y=(top + 50) { (place + 1) ". " (at_rest(bench, *one)) }
            @if place + 1 < count {
                path.wire d=(format!("M{} {}h12", x + width + 4, top + 45)) {}
                path.tip.out d=(format!("M{} {} l-9 -5 v10 z", x + width + 23, top + 45)) {}
            }
        }
    }
}

fn legend(y: u32) -> Markup {
    let sample = |x: u32, class: &str, text: &str| {
        html! {
            path.(class) d=(format!("M{x} {}h34", y - 4)) {}
            text.small x=(x + 42) y=(y) { (text) }
        }
    };
    html! {
        (sample(MARGIN, "wire", "switched or driven, as it is at rest"))
        (sample(MARGIN + 300, "sense", "sensed, or a signal both ways"))
        (sample(MARGIN + 560, "power", "the lock's battery leads"))
    }
}

/// The picture in words, for those who do not see it.
fn told(bench: &BenchFile, instruments: &[Instrument]) -> String {
    let mut words: Vec<String> = instruments
        .iter()
        .map(|instrument| {
            let wires = instrument
                .wires
                .iter()
                .map(|wire| format!("{} to {}", wire.from, wire.to));
            let wires: Vec<String> = wires.collect();
            format!(
                "{} at {}: {}.",
                instrument.name,
                instrument.at,
                wires.join("; ")
            )
        })
        .collect();
    let rest = bench.rest.iter().map(|one| at_rest(bench, *one));
    let rest: Vec<String> = rest.collect();
    words.push(format!("At rest, in this order: {}.", rest.join(", ")));
    words.join(" ")
}
