//! The bench file: the wiring around one board under test, as TOML.
//!
//! [`BenchFile`] can only be had from a file in which everything fits together: every port that is
//! named exists, no channel has two meanings, every output has a place in the order of going to rest.

mod check;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use crate::driver::pin_board::{self, Multiplexers, Servo, Way};
use crate::driver::relay_board::Language;
use crate::driver::stage;
use crate::event::Nanos;
use crate::port::{Input, Level};
use crate::quantity::{Days, Microamps, Milliohms, Millivolts};
use crate::source::{Problems, Read, Refused, Source};

use check::Check;
use text::BenchText;
pub use text::{Channel, Cut, LockKind, WhenLocked, schema};

/// The version of the format that this program reads.
pub const VERSION: u32 = 1;

/// A bench file in which everything fits together.
#[derive(Clone, PartialEq, Debug)]
pub struct BenchFile {
    /// What it was read from, for another process that has to read it.
    pub source: Source,
    /// The bench's name.
    pub name: String,
    /// What stands there, for people.
    pub about: Option<String>,
    /// What kind of lock stands there; none for a bench that takes every kind.
    pub lock: Option<LockKind>,
    /// The chip, as probe-rs calls it.
    pub chip: Option<String>,
    /// The image that is flashed where nobody names another.
    pub image: Option<String>,
    /// Which unit stands there, where the file says it.
    pub device: Option<Device>,
    /// Which virtual bench its ports lead to; none for a real bench.
    pub emulates: Option<String>,
    /// How far a measured hold may be from the truth (k = 2).
    pub uncertainty: Nanos,
    /// What opens the lock when a run leaves it shut, for people.
    pub recovery: Option<String>,
    /// How its calibration is kept; none where runs ask for no record.
    pub calibration: Option<Kept>,
    /// What its times go by.
    pub calibrated: Calibrated,
    /// What closes the contacts, and which.
    pub relays: Option<Relays>,
    /// What is watched.
    pub lines: Vec<Line>,
    /// The supply.
    pub supply: Option<Supply>,
    /// The console's port.
    pub console: Option<Port>,
    /// The probe's port.
    pub probe: Option<Port>,
    /// The probe's place on USB, as the kernel calls it.
    pub usb_port: Option<String>,
    /// The RTT channel that the firmware logs to.
    pub log: Option<usize>,
    /// What is done before flashing a chip that is locked.
    pub when_locked: WhenLocked,
    /// The motion stage.
    pub stage: Option<Stage>,
    /// The outputs in the order in which they go to rest.
    pub rest: Vec<Output>,
}

/// The unit under test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// Its model, as its label has it.
    pub model: String,
    /// Its serial number.
    pub serial_number: String,
    /// What its chip says that it is.
    pub chip_id: Option<ChipId>,
}

/// Words that no other chip of its kind has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChipId {
    /// Where they begin.
    pub at: u32,
    /// What they are.
    pub words: Vec<u32>,
}

impl std::fmt::Display for ChipId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<String> = self
            .words
            .iter()
            .map(|word| format!("{word:08x}"))
            .collect();
        out.write_str(&words.join(" "))
    }
}

/// How a bench's calibration is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// How old a record may be.
    pub max_age: Days,
    /// The folder of the records, from that of the bench file.
    pub folder: String,
}

/// What the times of a bench go by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Calibrated {
    /// Nothing, and its file asks for nothing.
    NotAsked,
    /// A record.
    By {
        /// SHA-256 of its file.
        sha256: String,
    },
    /// Nothing, although its file asks for a record.
    Not {
        /// Why.
        because: String,
    },
}

/// Where a port leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Its address.
    pub at: String,
    /// Its baud rate; ignored where there is none.
    pub baud: u32,
}

/// What closes the contacts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relays {
    /// Through what.
    pub via: Via,
    /// Those that are in use, by what they stand for.
    pub contacts: BTreeMap<Contact, Wired>,
}

/// Through what contacts are closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Via {
    /// A relay board behind a byte port.
    Board {
        /// Its port.
        port: Port,
        /// What it speaks.
        language: Language,
    },
    /// The pins of a header.
    Pins {
        /// Its address.
        at: String,
        /// The level at which a pin closes what it leads to.
        active: Level,
        /// The multiplexers across the keypad, if there are any.
        multiplexers: Option<Multiplexers>,
    },
}

impl Via {
    /// Its address.
    pub fn at(&self) -> &str {
        match self {
            Via::Board { port, .. } => &port.at,
            Via::Pins { at, .. } => at,
        }
    }

    /// What one of its outputs is called: `channel 13`, `pin 17`, `servo at pin 18`, `pins 5 and 12`.
    pub fn output(&self, way: Way) -> String {
        match (self, way) {
            (_, Way::Servo(servo)) => format!("servo at pin {}", servo.pin),
            (Via::Board { .. }, Way::One(output)) => format!("channel {output}"),
            (Via::Pins { .. }, Way::One(output)) => format!("pin {output}"),
            (_, Way::Cross { row, column }) => format!("pins {row} and {column}"),
            (_, Way::Selected { .. }) => way.to_string(),
        }
    }
}

/// What a relay stands for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Contact {
    /// A key of the keypad, by its label.
    Key(char),
    /// A button, by its name.
    Button(String),
    /// The door switch; closed means that the door is closed.
    Door,
    /// Something that blocks the bolt.
    Jam,
    /// The lead of the cells that feed the board.
    Lead,
    /// What joins the board's terminals through a resistor while its cells are away.
    Crowbar,
}

/// As traces and messages call it: `key 5`, `button reset`.
impl std::fmt::Display for Contact {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Contact::Key(key) => write!(out, "key {key}"),
            Contact::Button(name) => write!(out, "button {name}"),
            Contact::Door => out.write_str("door"),
            Contact::Jam => out.write_str("jam"),
            Contact::Lead => out.write_str("lead of the cells"),
            Contact::Crowbar => out.write_str("crowbar"),
        }
    }
}

/// How a contact is wired.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wired {
    /// The relay's number, from 1, or its pins.
    pub way: Way,
    /// The line that proves its state.
    pub line: Option<String>,
    /// Whether it is closed at rest.
    pub rest_closed: bool,
    /// How long it may stay closed.
    pub longest_on: Option<Nanos>,
    /// How long after an order it moves, where a calibration record says so, or its servo's travel.
    pub latency: Option<Latency>,
}

/// How long after an order a contact moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Latency {
    /// From the order to close to the first touch.
    pub closes: Nanos,
    /// From the order to open to the first parting.
    pub opens: Nanos,
}

/// A line that is watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// The address of the port.
    pub at: String,
    /// The pin there.
    pub pin: String,
    /// The sense board that it is a pin of, by its port, and the pin's number; none where the port
    /// itself senses lines.
    pub board: Option<(Port, u8)>,
    /// How the pin senses it; nothing special where a sense board or a virtual bench does.
    pub input: Input,
    /// Whether high means that the thing is so.
    pub active_high: bool,
}

/// The supply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Supply {
    /// What it is.
    pub kind: SupplyKind,
    /// The greatest voltage that the board bears; of cells, the one that they have.
    pub highest: Millivolts,
}

/// What feeds a board.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SupplyKind {
    /// A programmable supply.
    Programmable(Programmable),
    /// Cells, or a supply that a person set, with a relay in their lead: [`Contact::Lead`], and where there is one
    /// [`Contact::Crowbar`].
    Cells,
}

/// A programmable supply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Programmable {
    /// Its port.
    pub port: Port,
    /// Who it has to say that it is, or how that begins.
    pub identity: Option<String>,
    /// Current limit.
    pub limit: Microamps,
    /// Source resistance, where it is adjustable.
    pub resistance: Option<Milliohms>,
    /// Voltage at rest; none, where the output is off at rest.
    pub rest: Option<Millivolts>,
    /// How long the output may stay on.
    pub longest_on: Option<Nanos>,
}

impl Supply {
    /// The programmable supply; none where there are cells.
    pub fn programmable(&self) -> Option<&Programmable> {
        match &self.kind {
            SupplyKind::Programmable(supply) => Some(supply),
            SupplyKind::Cells => None,
        }
    }

    /// Whether it can feed the board this voltage. Cells have one, and it is as good as another within 5 %.
    pub fn gives(&self, voltage: Millivolts) -> bool {
        match self.kind {
            SupplyKind::Programmable(_) => voltage <= self.highest,
            SupplyKind::Cells => voltage.0.abs_diff(self.highest.0) <= self.highest.0 / 20,
        }
    }
}

/// The motion stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stage {
    /// Its port.
    pub port: Port,
    /// How it is built, and its limits.
    pub settings: stage::Settings,
    /// The keys in its magazine, first to last.
    pub keys: Vec<Cut>,
}

/// Something that goes to rest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Output {
    /// All keys.
    Keys,
    /// All buttons.
    Buttons,
    /// The door.
    Door,
    /// What blocks the bolt.
    Jam,
    /// The supply.
    Supply,
    /// The motion stage.
    Stage,
}

impl BenchFile {
    /// Reads a bench file, or says everything that is wrong with it.
    pub fn read(source: &Source) -> Result<BenchFile, Refused> {
        let node = source.toml()?;
        let mut problems = Problems::default();
        let text = BenchText::read(&node, &mut problems);
        // What fits together is looked at also where there are words that no bench has.
        let file = text.and_then(|text| Check::new(&text, &mut problems).file(source));
        match file {
            Some(file) if problems.is_empty() => Ok(file),
            _ => Err(source.refuse(problems.into_vec())),
        }
    }

    /// What this bench can do, in the words of a scenario's `needs`. Known without touching it.
    pub fn abilities(&self) -> BTreeSet<String> {
        let mut abilities = BTreeSet::new();
        let contacts = self.relays.iter().flat_map(|relays| relays.contacts.keys());
        for contact in contacts {
            abilities.extend(match contact {
                Contact::Key(_) => Some("keypad".to_owned()),
                Contact::Button(name) => Some(format!("button.{name}")),
                Contact::Door => Some("door".to_owned()),
                Contact::Jam => Some("jam".to_owned()),
                Contact::Lead | Contact::Crowbar => None,
            });
        }
        for line in &self.lines {
            abilities.insert(format!("line.{}", line.name));
            if matches!(line.name.as_str(), "bolt-withdrawn" | "bolt-thrown") {
                abilities.insert("bolt".to_owned());
            }
        }
        if let Some(supply) = &self.supply {
            abilities.insert("supply".to_owned());
            let resistance = supply.programmable().and_then(|supply| supply.resistance);
            if resistance.is_some() {
                abilities.insert("supply.resistance".to_owned());
            }
        }
        for (ability, there) in [
            ("chip", self.chip.is_some()),
            ("console", self.console.is_some()),
            ("probe", self.probe.is_some()),
            ("branch", self.emulates.is_some()),
            ("stage", self.stage.is_some()),
            (
                "key-exchange",
                self.stage
                    .as_ref()
                    .is_some_and(|stage| stage.keys.len() > 1),
            ),
        ] {
            if there {
                abilities.insert(ability.to_owned());
            }
        }
        abilities
    }

    /// The labels of the keys that this bench can press.
    pub fn keys(&self) -> BTreeSet<char> {
        let contacts = self.relays.iter().flat_map(|relays| relays.contacts.keys());
        contacts
            .filter_map(|contact| match contact {
                Contact::Key(key) => Some(*key),
                _ => None,
            })
            .collect()
    }

    /// The instruments and where each is, as messages call them.
    pub fn instruments(&self) -> Vec<(&'static str, &str)> {
        let relays = self.relays.as_ref().map(|one| match &one.via {
            Via::Board { port, .. } => ("relay board", port.at.as_str()),
            Via::Pins { at, .. } => ("pins", at.as_str()),
        });
        let supply = self.supply.as_ref().and_then(Supply::programmable);
        let supply = supply.map(|one| ("supply", &one.port));
        let console = self.console.as_ref().map(|port| ("console", port));
        let stage = self.stage.as_ref().map(|one| ("stage", &one.port));
        let probe = self.probe.as_ref().map(|port| ("probe", port));
        let boards = self.lines.iter().filter_map(|line| line.board.as_ref());
        let boards = boards.map(|(port, _)| ("sense board", port));
        let single = [supply, console, stage, probe];
        let others = single.into_iter().flatten().chain(boards);
        let others = others.map(|(what, port)| (what, port.at.as_str()));
        relays.into_iter().chain(others).collect()
    }

    /// Whether its supply measures what it gives.
    pub fn has_meter(&self) -> bool {
        let supply = self.supply.as_ref();
        supply.is_some_and(|supply| supply.programmable().is_some())
    }

    /// How a contact is wired; none where this bench lacks it.
    pub fn wired(&self, contact: &Contact) -> Option<&Wired> {
        self.relays.as_ref()?.contacts.get(contact)
    }

    /// How far the time for which a contact was closed may be from what is measured (k = 2): what the file says, and
    /// a servo's way where no line tells when it pressed.
    pub fn uncertainty_of(&self, contact: &Contact) -> Nanos {
        let servo = self.wired(contact).filter(|wired| wired.line.is_none());
        let servo = servo.and_then(|wired| wired.way.servo());
        self.uncertainty + servo.map_or(Nanos::ZERO, Servo::uncertainty)
    }

    /// The greatest of them all.
    pub fn greatest_uncertainty(&self) -> Nanos {
        let contacts = self.relays.iter().flat_map(|relays| relays.contacts.keys());
        let each = contacts.map(|contact| self.uncertainty_of(contact));
        each.max().unwrap_or(self.uncertainty)
    }

    /// Why the wiring cannot close these contacts at the same time; none where it can. Contacts that it lacks do not
    /// count.
    pub fn clash<'c>(
        &self,
        contacts: impl IntoIterator<Item = &'c Contact>,
    ) -> Option<&'static str> {
        let wired = contacts
            .into_iter()
            .filter_map(|contact| self.wired(contact));
        pin_board::clash(wired.map(|wired| wired.way))
    }
}
