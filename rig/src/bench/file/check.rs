//! Whether the parts of a bench file fit together, and the bench that they make.

mod supply;

use std::collections::{BTreeMap, BTreeSet};

use super::text::*;
use super::{
    BenchFile, Calibrated, ChipId, Contact, Device, Kept, Latency, Line, Output, Port, Relays,
    Stage, VERSION, Via, Wired,
};
use crate::driver::firmata::PINS;
use crate::driver::pin_board::{Multiplexers, Servo, Way};
use crate::driver::relay_board::Language;
use crate::driver::stage::{self, Axis};
use crate::port::{Input, Level, real_pins, sim, usb_power};
use crate::quantity::Millidegrees;
use crate::source::{Problem, Problems, Source, Span, Spanned, is_name};

/// The outputs that are groups of their own in `rest.order`.
const OUTPUTS: [&str; 6] = ["keys", "buttons", "door", "jam", "supply", "stage"];

/// A multiplexer with more channels is not made.
const SELECT_MAX: usize = 6;

/// Looks at whether the parts of a file fit together.
pub(super) struct Check<'t, 'p> {
    text: &'t BenchText,
    problems: &'p mut Problems,
    used_ports: BTreeSet<String>,
    /// Relays and output pins, and what each is for.
    used_outputs: BTreeMap<u16, Use>,
}

/// What an output is for.
#[derive(Clone, PartialEq)]
enum Use {
    Contact(Contact),
    Row,
    Column,
    Select,
    Enable,
}

impl std::fmt::Display for Use {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Use::Contact(contact) => write!(out, "'{contact}'"),
            Use::Row => out.write_str("a row of the crosspoint"),
            Use::Column => out.write_str("a column of the crosspoint"),
            Use::Select => out.write_str("what selects a channel of a multiplexer"),
            Use::Enable => out.write_str("what switches the multiplexers on"),
        }
    }
}

impl<'t, 'p> Check<'t, 'p> {
    pub(super) fn new(text: &'t BenchText, problems: &'p mut Problems) -> Self {
        Check {
            text,
            problems,
            used_ports: BTreeSet::new(),
            used_outputs: BTreeMap::new(),
        }
    }

    pub(super) fn file(mut self, source: &Source) -> Option<BenchFile> {
        let text = self.text;
        self.version();
        if !is_name(&text.bench) {
            self.add(
                Problem::new(
                    text.bench.span,
                    format!("expected a name, found '{}'", text.bench.value),
                )
                .hint("a name has small letters, digits and dashes, and starts with a letter"),
            );
        }
        let relays = self.relays();
        let lines = self.lines();
        let supply = self.supply();
        let console = text
            .console
            .as_ref()
            .and_then(|console| self.bytes(&console.port));
        let stage = self.stage();
        let probe = text
            .probe
            .as_ref()
            .and_then(|probe| self.probe(&probe.port));
        let rest = self.rest();
        self.addresses();
        self.unused_ports();
        Some(BenchFile {
            source: source.clone(),
            name: text.bench.value.clone(),
            about: text.about.clone(),
            lock: text.lock,
            chip: text.chip.clone(),
            image: text.image.clone(),
            emulates: text.emulates.as_ref().map(|name| name.value.clone()),
            uncertainty: text.uncertainty,
            calibration: text.calibration.as_ref().map(|kept| Kept {
                max_age: kept.max_age,
                folder: kept.folder.clone().unwrap_or("calibration".to_owned()),
            }),
            calibrated: Calibrated::NotAsked,
            relays,
            lines,
            supply,
            console,
            probe,
            usb_port: self.usb_port(),
            log: text
                .probe
                .as_ref()
                .and_then(|probe| probe.log)
                .map(usize::from),
            device: self.device(),
            recovery: self.recovery(),
            when_locked: text
                .probe
                .as_ref()
                .map_or(WhenLocked::default(), |probe| probe.when_locked),
            stage,
            rest,
        })
    }

    fn add(&mut self, problem: Problem) {
        self.problems.add::<()>(problem);
    }

    fn version(&mut self) {
        let version = self.text.version;
        if *version != VERSION {
            let hint = if *version > VERSION {
                "the file is newer than this program: update lockrig"
            } else {
                "write version = 1"
            };
            let message = format!(
                "expected version {VERSION} of the bench format, found {}",
                *version
            );
            self.add(Problem::new(version.span, message).hint(hint));
        }
    }

    fn device(&mut self) -> Option<Device> {
        let text = self.text.device.as_ref()?;
        for named in [&text.model, &text.serial_number] {
            if named.trim().is_empty() {
                let problem = Problem::new(named.span, "a device without a name");
                self.add(problem.hint("write what its label says"));
            }
        }
        let chip_id = text.chip_id.as_ref().and_then(|id| self.chip_id(id));
        Some(Device {
            model: text.model.value.clone(),
            serial_number: text.serial_number.value.clone(),
            chip_id,
        })
    }

    fn chip_id(&mut self, text: &ChipIdText) -> Option<ChipId> {
        if self.text.probe.is_none() {
            let problem = Problem::new(text.is.span, "no probe could read what the chip is");
            self.add(problem.hint("describe one under [probe], or leave 'chip-id' out"));
        }
        if !text.at.is_multiple_of(4) {
            let problem = Problem::new(text.at.span, "words begin at multiples of four");
            self.add(problem.hint("the chip's manual says where: 0x10000060 for an nRF51"));
        }
        let words = text.is.split_whitespace();
        let words: Result<Vec<u32>, _> = words.map(|word| u32::from_str_radix(word, 16)).collect();
        match words {
            Ok(words) if (1..=8).contains(&words.len()) => Some(ChipId {
                at: *text.at,
                words,
            }),
            _ => {
                let message = format!("expected words in hexadecimal, found '{}'", *text.is);
                let problem = Problem::new(text.is.span, message);
                self.add(problem.hint("write one to eight, such as \"1f00cafe 0badf00d\"; a run says what it read where it is something else"));
                None
            }
        }
    }

    fn recovery(&mut self) -> Option<String> {
        let recovery = self.text.recovery.as_ref()?;
        if recovery.trim().is_empty() {
            let problem = Problem::new(recovery.span, "no way back is named");
            self.add(problem.hint("say what opens the lock, and when that was tried last"));
        }
        Some(recovery.value.clone())
    }

    fn port(&mut self, name: &Spanned<String>) -> Option<&'t PortText> {
        self.used_ports.insert(name.value.clone());
        let ports = &self.text.ports;
        if let Some(port) = ports.get(name) {
            return Some(port);
        }
        let problem = Problem::new(name.span, format!("there is no port '{}'", name.value))
            .did_you_mean(name, ports.names());
        self.problems.add(problem)
    }

    fn bytes(&mut self, name: &Spanned<String>) -> Option<Port> {
        let port = self.port(name)?;
        if let Some(driver) = port.driver {
            let problem = Problem::new(driver.span, "only lines are sensed through this driver");
            return self
                .problems
                .add(problem.hint("leave 'driver' out where an instrument has one of its own"));
        }
        if is_pins(&port.at) {
            let message = format!("only pins are at '{}'", port.at.value);
            let hint = "contacts are closed by pins with driver = \"pins\" under [relays]; all other instruments want a serial line or TCP";
            return self
                .problems
                .add(Problem::new(port.at.span, message).hint(hint));
        }
        self.stream(port)
    }

    /// Where the bytes of a port come from.
    fn stream(&mut self, port: &PortText) -> Option<Port> {
        let emulates = self.text.emulates.as_ref().map(|name| name.value.as_str());
        let there = sim::byte_ports(emulates.unwrap_or_default());
        let at = port.at.value.as_str();
        if let Some(sim) = at.strip_prefix("sim:") {
            if !there.contains(&sim) {
                let problem = Problem::new(
                    port.at.span,
                    format!("no byte port 'sim:{sim}' on a virtual bench"),
                )
                .did_you_mean(sim, there);
                return self.problems.add(problem);
            }
        } else if let Some(host) = at.strip_prefix("tcp://") {
            let number = host
                .rsplit_once(':')
                .and_then(|(_, number)| number.parse::<u16>().ok());
            if number.is_none_or(|number| number == 0) {
                let problem = Problem::new(
                    port.at.span,
                    format!("expected tcp://host:port, found '{at}'"),
                )
                .hint("name the port's number, such as tcp://192.168.1.20:5025");
                return self.problems.add(problem);
            }
        } else if port.baud.is_none() {
            let problem =
                Problem::new(port.at.span, format!("the serial port '{at}' needs 'baud'"))
                    .hint("add baud = 9600, or whatever the instrument is set to");
            return self.problems.add(problem);
        }
        Some(Port {
            at: at.to_owned(),
            baud: port.baud.unwrap_or(0),
        })
    }

    fn probe(&mut self, name: &Spanned<String>) -> Option<Port> {
        let port = self.port(name)?;
        if let Some(sim) = port.at.strip_prefix("sim:")
            && sim != "swd"
        {
            let problem = Problem::new(
                port.at.span,
                format!("no debug port 'sim:{sim}' on a virtual bench"),
            )
            .hint("did you mean 'sim:swd'?");
            return self.problems.add(problem);
        }
        if self.text.chip.is_none() {
            self.add(
                Problem::new(name.span, "a probe needs a 'chip'")
                    .hint("name it at the head of the file: chip = \"nRF51822_xxAA\""),
            );
        }
        Some(Port {
            at: port.at.value.clone(),
            baud: 0,
        })
    }

    fn usb_port(&mut self) -> Option<String> {
        let place = self.text.probe.as_ref()?.usb_port.as_ref()?;
        if self.text.emulates.is_some() {
            let problem = Problem::new(place.span, "a virtual bench has no USB");
            self.add(problem.hint("leave 'usb-port' out: it is for probes that can hang"));
        } else if !usb_power::is_place(place) {
            let message = format!("expected a place on USB, found '{}'", place.value);
            self.add(Problem::new(place.span, message).hint(
                "bus, dash, and the chain of ports, as in \"1-1.4\": the kernel's log says it when the probe is plugged in",
            ));
        }
        Some(place.value.clone())
    }

    fn relays(&mut self) -> Option<Relays> {
        let text = self.text;
        let mut contacts = BTreeMap::new();
        let longest_on = text.relays.as_ref().and_then(|relays| relays.longest_on);
        let line = self.proof(text.keys.line.as_ref());
        for (key, channel) in &text.keys.keys {
            let contact = Contact::Key(**key);
            self.contact(
                &mut contacts,
                contact,
                channel,
                Wired {
                    way: channel.0,
                    line: line.clone(),
                    rest_closed: false,
                    longest_on,
                    latency: None,
                },
            );
        }
        for (name, button) in text.buttons.iter() {
            let contact = Contact::Button(name.value.clone());
            let line = self.proof(button.line.as_ref());
            self.contact(
                &mut contacts,
                contact,
                &button.channel,
                Wired {
                    way: button.channel.0,
                    line,
                    rest_closed: false,
                    longest_on: button.longest_on.or(longest_on),
                    latency: None,
                },
            );
        }
        if let Some(door) = &text.door {
            let line = self.proof(door.line.as_ref());
            if let (Door::Closed, Some(_)) = (door.rest, door.channel.0.servo()) {
                let problem = Problem::new(
                    door.channel.span,
                    "the door rests closed, and a servo lets go at rest",
                );
                self.add(problem.hint("write rest = \"open\", or close it with a relay or a pin"));
            }
            self.contact(
                &mut contacts,
                Contact::Door,
                &door.channel,
                Wired {
                    way: door.channel.0,
                    line,
                    rest_closed: door.rest == Door::Closed,
                    longest_on: None,
                    latency: None,
                },
            );
        }
        if let Some(jam) = &text.jam {
            let line = self.proof(jam.line.as_ref());
            self.contact(
                &mut contacts,
                Contact::Jam,
                &jam.channel,
                Wired {
                    way: jam.channel.0,
                    line,
                    rest_closed: false,
                    longest_on: jam.longest_on,
                    latency: None,
                },
            );
        }
        self.relays_of_supply(&mut contacts);
        let relays = text.relays.as_ref()?;
        let via = match relays.driver {
            RelayDriver::Lcus | RelayDriver::Modbus => self.relay_board(relays)?,
            RelayDriver::Pins => self.pins(relays)?,
        };
        Some(Relays { via, contacts })
    }

    fn relay_board(&mut self, relays: &RelaysText) -> Option<Via> {
        if relays.channels.is_none() {
            let problem = Problem::new(relays.port.span, "a relay board needs 'channels'");
            self.add(problem.hint("write how many it has, such as channels = 16"));
        }
        if let Some(multiplexers) = &relays.multiplexers {
            let problem = Problem::new(multiplexers.span, "a relay board has no multiplexers");
            self.add(problem.hint("leave them out: pins have them"));
        }
        if let Some(active) = &relays.active {
            let problem = Problem::new(active.span, "a relay board's channels have no level");
            self.add(problem.hint("leave 'active' out: it is for pins"));
        }
        let unit = relays.unit.as_ref();
        let language = match relays.driver {
            RelayDriver::Modbus => Language::Modbus {
                unit: unit.map_or(1, |unit| **unit),
            },
            _ => Language::Lcus,
        };
        if let Some(unit) = unit {
            let hint = match language {
                Language::Modbus { unit: 1..=247 } => None,
                Language::Modbus { .. } => Some("addresses of Modbus are 1 to 247"),
                Language::Lcus => Some("leave 'unit' out: only boards that speak Modbus have one"),
            };
            if let Some(hint) = hint {
                let message = format!("a relay board at the address {}", **unit);
                self.add(Problem::new(unit.span, message).hint(hint));
            }
        }
        let port = self.bytes(&relays.port)?;
        Some(Via::Board { port, language })
    }

    /// The header whose pins close contacts.
    fn pins(&mut self, relays: &RelaysText) -> Option<Via> {
        if let Some(channels) = &relays.channels {
            let problem = Problem::new(channels.span, "pins have no 'channels'");
            self.add(problem.hint("leave it out: each contact names its pin"));
        }
        if let Some(unit) = &relays.unit {
            let problem = Problem::new(unit.span, "pins have no 'unit'");
            self.add(problem.hint("leave it out: only boards that speak Modbus have one"));
        }
        if relays.active.is_none() {
            let problem = Problem::new(relays.port.span, "pins need their level: 'active'");
            self.add(problem.hint(
                "write active = \"high\" or \"low\": most boards of relays with opto-isolators are on while their input is low",
            ));
        }
        let port = self.port(&relays.port)?;
        if !is_pins(&port.at) {
            let problem = Problem::new(
                relays.port.span,
                format!("there are no pins at '{}'", port.at.value),
            );
            self.add(problem.hint(PIN_ADDRESSES));
            return None;
        }
        let multiplexers = relays.multiplexers.as_ref();
        let multiplexers = multiplexers.map(|text| self.multiplexers(relays, text));
        let active = relays.active.as_ref()?;
        Some(Via::Pins {
            multiplexers,
            at: port.at.value.clone(),
            active: level(**active),
        })
    }

    fn contact(
        &mut self,
        contacts: &mut BTreeMap<Contact, Wired>,
        contact: Contact,
        channel: &Spanned<Channel>,
        mut wired: Wired,
    ) {
        let Some(relays) = &self.text.relays else {
            self.add(
                Problem::new(channel.span, format!("'{contact}' needs a relay board"))
                    .hint("describe it under [relays]"),
            );
            return;
        };
        let fits = match relays.driver {
            RelayDriver::Lcus | RelayDriver::Modbus => {
                self.fits_relay_board(relays, &contact, channel)
            }
            RelayDriver::Pins => {
                if let Some(multiplexers) = &relays.multiplexers {
                    match self.selected(multiplexers, &contact, channel) {
                        Some(way) => wired.way = way,
                        None => return,
                    }
                }
                self.fits_pins(relays, &contact, channel.span, wired.way)
            }
        };
        if !fits {
            return;
        }
        let at_once = contacts.iter().find(|(_, other)| other.way == wired.way);
        if let Some((other, _)) = at_once {
            let message = format!("'{contact}' is where '{other}' is");
            self.add(
                Problem::new(channel.span, message).hint("a row and a column meet in one key"),
            );
            return;
        }
        // Where a line tells when it presses, the travel is no guess to go by.
        if wired.line.is_none() {
            wired.latency = latency(wired.way);
        }
        contacts.insert(contact, wired);
    }

    fn fits_relay_board(
        &mut self,
        relays: &RelaysText,
        contact: &Contact,
        channel: &Spanned<Channel>,
    ) -> bool {
        if let Way::Servo(_) = channel.0 {
            let message = format!("'{contact}' has a servo on a relay board");
            let hint = "a servo gets its pulses from a pin of a Raspberry Pi: driver = \"pins\"";
            self.add(Problem::new(channel.span, message).hint(hint));
            return false;
        }
        let Way::One(number) = channel.0 else {
            let message = format!("'{contact}' has a row and a column on a relay board");
            self.add(
                Problem::new(channel.span, message)
                    .hint("one relay closes one contact; rows and columns want driver = \"pins\""),
            );
            return false;
        };
        let highest = relays
            .channels
            .as_ref()
            .map_or(u8::MAX, |channels| **channels);
        if number == 0 || number > u16::from(highest) {
            let problem = Problem::new(
                channel.span,
                format!(
                    "'{contact}' is on channel {number}, and the relay board has 1 to {highest}"
                ),
            );
            self.add(
                problem.hint(
                    "channels count from 1; 'channels' under [relays] says how many there are",
                ),
            );
            return false;
        }
        if let Some(other) = self.used_outputs.get(&number) {
            let problem = Problem::new(
                channel.span,
                format!("'{contact}' is on channel {number}, and so is {other}"),
            );
            self.add(problem.hint("one relay closes one contact"));
            return false;
        }
        self.used_outputs
            .insert(number, Use::Contact(contact.clone()));
        true
    }

    /// Claims the pins of a contact: a pin is one contact's own, or a row, or a column.
    fn fits_pins(&mut self, relays: &RelaysText, contact: &Contact, span: Span, way: Way) -> bool {
        let port = self.text.ports.get(&relays.port);
        let at = port.map(|port| port.at.value.as_str()).unwrap_or_default();
        let uses = match way {
            Way::Selected { enable, .. } => vec![(enable, Use::Enable)],
            Way::One(pin) => vec![(pin, Use::Contact(contact.clone()))],
            Way::Servo(servo) => {
                if let Some(problem) = no_such_servo(at, contact, servo, span) {
                    self.add(problem);
                    return false;
                }
                vec![(servo.pin, Use::Contact(contact.clone()))]
            }
            Way::Cross { row, column } if row == column => {
                let message = format!("'{contact}' has pin {row} as its row and as its column");
                self.add(Problem::new(span, message).hint("a row and a column are two pins"));
                return false;
            }
            Way::Cross { row, column } => vec![(row, Use::Row), (column, Use::Column)],
        };
        for (pin, wanted) in uses {
            if !self.claim(at, &format!("'{contact}'"), pin, span, wanted) {
                return false;
            }
        }
        true
    }

    /// Claims an output pin for one use.
    fn claim(&mut self, at: &str, who: &str, pin: u16, span: Span, wanted: Use) -> bool {
        if let Some(problem) = no_such_pin(at, pin, span) {
            self.add(problem);
            return false;
        }
        match self.used_outputs.get(&pin) {
            Some(other) if *other != wanted => {
                let message = format!("{who} wants pin {pin}, which is {other} already");
                let hint = "a pin closes one contact, or is a row, or a column, or selects";
                self.add(Problem::new(span, message).hint(hint));
                return false;
            }
            _ => drop(self.used_outputs.insert(pin, wanted)),
        }
        true
    }

    /// What multiplexers select for a contact with a row and a column; any other has an output of its own.
    fn selected(
        &mut self,
        multiplexers: &MultiplexersText,
        contact: &Contact,
        channel: &Spanned<Channel>,
    ) -> Option<Way> {
        let Way::Cross { row, column } = channel.0 else {
            return Some(channel.0);
        };
        let reach = |pins: &[u16]| 1_u32.checked_shl(pins.len() as u32).unwrap_or(u32::MAX);
        for (what, place, pins) in [
            ("row", row, &multiplexers.rows),
            ("column", column, &multiplexers.columns),
        ] {
            let channels = reach(pins);
            if u32::from(place) >= channels {
                let message = format!(
                    "'{contact}' is in {what} {place}, and its multiplexer has 0 to {}",
                    channels - 1
                );
                let hint = "rows and columns are channels of the multiplexers, from 0; each pin that selects doubles them";
                self.add(Problem::new(channel.span, message).hint(hint));
                return None;
            }
        }
        Some(Way::Selected {
            enable: *multiplexers.enable,
            row: u8::try_from(row).ok()?,
            column: u8::try_from(column).ok()?,
        })
    }

    /// Claims the pins of multiplexers.
    fn multiplexers(&mut self, relays: &RelaysText, text: &MultiplexersText) -> Multiplexers {
        let port = self.text.ports.get(&relays.port);
        let at = port.map_or("", |port| port.at.value.as_str());
        let who = "a multiplexer";
        let mut bits = BTreeSet::new();
        for pins in [&text.rows, &text.columns] {
            if pins.is_empty() || pins.len() > SELECT_MAX {
                let message = format!("{} pins select a channel", pins.len());
                let hint = format!("name 1 to {SELECT_MAX}, the lowest bit first");
                self.add(Problem::new(pins.span, message).hint(hint));
            }
            for pin in pins.iter() {
                if !bits.insert(*pin) {
                    let message = format!("pin {pin} selects twice");
                    self.add(Problem::new(pins.span, message).hint("each bit has its pin"));
                }
                self.claim(at, who, *pin, pins.span, Use::Select);
            }
        }
        self.claim(at, who, *text.enable, text.enable.span, Use::Enable);
        Multiplexers {
            rows: text.rows.value.clone(),
            columns: text.columns.value.clone(),
            enable: *text.enable,
            active: level(text.active),
        }
    }

    /// The line that proves a contact's state.
    fn proof(&mut self, line: Option<&Spanned<String>>) -> Option<String> {
        let line = line?;
        if self.text.lines.get(line).is_none() {
            let problem = Problem::new(line.span, format!("there is no line '{}'", line.value));
            self.add(if self.text.lines.is_empty() {
                problem.hint("describe it under [lines], or leave 'line' out: then nothing proves the contact")
            } else {
                problem.did_you_mean(line, self.text.lines.names())
            });
        }
        Some(line.value.clone())
    }

    fn lines(&mut self) -> Vec<Line> {
        let text = self.text;
        let mut lines = Vec::new();
        let mut pins: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for (name, line) in text.lines.iter() {
            let Some(port) = self.port(&line.port) else {
                continue;
            };
            let at = port.at.value.as_str();
            let board = match port.driver {
                Some(_) => match self.board_pin(port, &line.pin) {
                    Some(board) => Some(board),
                    None => continue,
                },
                None => None,
            };
            let input = match board {
                Some(_) => self.no_input(line, "a sense board's pins"),
                None if real_pins::is_pins(at) => {
                    self.is_free(at, name, &line.pin);
                    self.input(port, line)
                }
                None if matches!(at, "sim:sense" | "sim:pins") => {
                    self.no_input(line, "the pins of a virtual bench")
                }
                None if at.starts_with("sim:") => {
                    self.add(
                        Problem::new(
                            port.at.span,
                            format!("no pins at '{at}' on a virtual bench"),
                        )
                        .hint("did you mean 'sim:sense'?"),
                    );
                    Input::default()
                }
                None => {
                    self.add(
                        Problem::new(port.at.span, format!("nothing senses lines at '{at}'")).hint(
                            "wire them to a board that runs StandardFirmata, and add driver = \"firmata\"; or to the pins of this computer",
                        ),
                    );
                    continue;
                }
            };
            if let Some(other) = pins.insert((at, &line.pin), name) {
                let message = format!(
                    "'{}' is on pin '{}', and so is '{other}'",
                    name.value, line.pin.value
                );
                self.add(Problem::new(line.pin.span, message).hint("one pin senses one line"));
            }
            lines.push(Line {
                name: name.value.clone(),
                at: at.to_owned(),
                pin: line.pin.value.clone(),
                board,
                input,
                active_high: line.active == Active::High,
            });
        }
        lines
    }

    /// A pin of this computer that senses a line is a number, and closes nothing.
    fn is_free(&mut self, at: &str, name: &str, pin: &Spanned<String>) {
        let Ok(number) = pin.parse::<u16>() else {
            let message = format!("expected a pin's number, found '{}'", pin.value);
            self.add(
                Problem::new(pin.span, message)
                    .hint("on a Raspberry Pi the number of the GPIO, as in \"17\"; on a chip the line's offset"),
            );
            return;
        };
        if let Some(problem) = no_such_pin(at, number, pin.span) {
            self.add(problem);
        }
        let relays = self.text.relays.as_ref();
        let port = relays.filter(|relays| relays.driver == RelayDriver::Pins);
        let port = port.and_then(|relays| self.text.ports.get(&relays.port));
        if port.is_some_and(|port| port.at.value == at)
            && let Some(other) = self.used_outputs.get(&number)
        {
            let message = format!("'{name}' is sensed on pin {number}, which is {other} already");
            self.add(
                Problem::new(pin.span, message).hint("a pin closes a contact or senses a line"),
            );
        }
    }

    fn input(&mut self, port: &PortText, line: &LineText) -> Input {
        if let Some(sample) = &port.sample
            && sample.value < real_pins::SAMPLE_MIN
        {
            let least = real_pins::SAMPLE_MIN;
            let message = format!(
                "pins are looked at every {least} at most, not every {}",
                **sample
            );
            self.add(Problem::new(sample.span, message).hint("1 ms does for lamps and switches"));
        }
        if let (Some(_), Some(debounce)) = (&port.sample, &line.debounce) {
            let problem = Problem::new(
                debounce.span,
                "pins that are looked at now and then are not debounced",
            );
            self.add(problem.hint("leave 'debounce' out, or 'sample' of the port"));
        }
        Input {
            pull: line.pull.as_ref().map(|pull| match **pull {
                Pull::Up => Level::High,
                Pull::Down => Level::Low,
            }),
            debounce: line.debounce.as_ref().map(|debounce| **debounce),
            sample: port.sample.as_ref().map(|sample| **sample),
        }
    }

    /// Where pins cannot be told how to sense.
    fn no_input(&mut self, line: &LineText, what: &str) -> Input {
        let spans = [
            line.pull.as_ref().map(|pull| ("pull", pull.span)),
            line.debounce.as_ref().map(|time| ("debounce", time.span)),
        ];
        for (key, span) in spans.into_iter().flatten() {
            let problem = Problem::new(span, format!("{what} have no '{key}'"));
            self.add(problem.hint("leave it out: it is for pins of this computer"));
        }
        Input::default()
    }

    /// A sense board's port, and the number of one of its pins.
    fn board_pin(&mut self, port: &PortText, pin: &Spanned<String>) -> Option<(Port, u8)> {
        let number = pin.parse().ok().filter(|number| *number < PINS);
        if number.is_none() {
            self.add(
                Problem::new(
                    pin.span,
                    format!("expected a pin's number, found '{}'", pin.value),
                )
                .hint("digital pins of a sense board are \"0\" to \"127\"; A0 of an Uno is \"14\""),
            );
        }
        Some((self.stream(port)?, number?))
    }

    fn stage(&mut self) -> Option<Stage> {
        let text = self.text.stage.as_ref()?;
        let axes = [
            &text.turn.axis,
            &text.insert.axis,
            &text.magazine.axis,
            &text.plunge.axis,
        ];
        let mut known: Vec<Option<Axis>> = Vec::new();
        for name in axes {
            let axis = Axis::of(name);
            if axis.is_none() {
                let message = format!("there is no axis '{}'", name.value);
                self.add(
                    Problem::new(name.span, message)
                        .hint("a controller calls its axes X, Y, Z, A, B, C"),
                );
            } else if known.contains(&axis) {
                let message = format!("axis {} moves two things", name.value);
                self.add(Problem::new(name.span, message).hint("each has an axis of its own"));
            }
            known.push(axis);
        }
        let (from, to) = (text.turn.from, text.turn.to);
        if *from > Millidegrees(0) || *to < Millidegrees(0) {
            let message = format!(
                "0 deg, where keys go in and out, is not from {} to {}",
                *from, *to
            );
            let hint = "'from' is the angle of the home switch, 'to' the furthest one clockwise";
            self.add(Problem::new(from.span, message).hint(hint));
        }
        if text.torque.value.0 == 0 {
            let problem = Problem::new(text.torque.span, "a stage without torque turns nothing");
            self.add(problem.hint("write the greatest torque that a key bears, such as 2 N·m"));
        }
        for length in [text.insert.seated, text.plunge.seated, text.magazine.pitch] {
            if length.value.0 == 0 {
                self.add(
                    Problem::new(length.span, "a way of 0 mm leads nowhere")
                        .hint("measure it on the stage"),
                );
            }
        }
        let keys = &text.magazine.keys;
        let current = keys.iter().filter(|key| **key == Cut::Current).count();
        if current != 1 {
            let message = format!("{current} keys of the magazine are 'current'");
            self.add(
                Problem::new(keys.span, message)
                    .hint("exactly one is: the key that the cylinder knows when a run begins"),
            );
        }
        let port = self.bytes(&text.port);
        let &[turn, insert, magazine, plunge] = known.as_slice() else {
            return None;
        };
        let slide = |axis: Option<Axis>, slide: &SlideText| {
            Some(stage::Slide {
                axis: axis?,
                seated: *slide.seated,
                feed: slide.feed,
            })
        };
        Some(Stage {
            port: port?,
            settings: stage::Settings {
                turn: stage::Turn {
                    axis: turn?,
                    from: *from,
                    to: *to,
                    feed: text.turn.feed,
                },
                insert: slide(insert, &text.insert)?,
                magazine: stage::Magazine {
                    axis: magazine?,
                    pitch: *text.magazine.pitch,
                    slots: u8::try_from(keys.len()).unwrap_or(u8::MAX),
                    feed: text.magazine.feed,
                },
                plunge: slide(plunge, &text.plunge)?,
                torque: *text.torque,
                longest_move: text.longest_move,
            },
            keys: keys.value.clone(),
        })
    }

    fn rest(&mut self) -> Vec<Output> {
        let text = self.text;
        let there = [
            !text.keys.keys.is_empty(),
            !text.buttons.is_empty(),
            text.door.is_some(),
            text.jam.is_some(),
            text.supply.is_some(),
            text.stage.is_some(),
        ];
        let known: Vec<&str> = OUTPUTS
            .iter()
            .zip(there)
            .filter(|(_, there)| *there)
            .map(|(name, _)| *name)
            .collect();
        let mut order = Vec::new();
        for name in &text.rest.order.value {
            let output = match name.value.as_str() {
                "keys" => Output::Keys,
                "buttons" => Output::Buttons,
                "door" => Output::Door,
                "jam" => Output::Jam,
                "supply" => Output::Supply,
                "stage" => Output::Stage,
                _ => {
                    let problem =
                        Problem::new(name.span, format!("there is no output '{}'", name.value))
                            .did_you_mean(name, known.iter().copied());
                    self.add(problem);
                    continue;
                }
            };
            if !known.contains(&name.value.as_str()) {
                let problem =
                    Problem::new(name.span, format!("this bench has no '{}'", name.value));
                self.add(problem.hint("leave it out of the order"));
            } else if order.contains(&output) {
                let problem =
                    Problem::new(name.span, format!("'{}' goes to rest twice", name.value));
                self.add(problem.hint("name each output once"));
            } else {
                order.push(output);
            }
        }
        for name in known {
            if !text
                .rest
                .order
                .value
                .iter()
                .any(|ordered| ordered.value == name)
            {
                let span = text.rest.order.span;
                let problem = Problem::new(
                    span,
                    format!("'{name}' has no place in the order of going to rest"),
                );
                self.add(problem.hint("every output must go to rest, also after an error: add it"));
            }
        }
        order
    }

    /// All ports of a bench lead to the same world.
    fn addresses(&mut self) {
        let text = self.text;
        let mut has_sim = false;
        for (_, port) in text.ports.iter() {
            let sim = port.at.starts_with("sim:");
            has_sim |= sim;
            if sim && text.emulates.is_none() {
                self.add(
                    Problem::new(
                        port.at.span,
                        format!(
                            "'{}' leads to a virtual bench, and the file names none",
                            port.at.value
                        ),
                    )
                    .hint("add emulates = \"virtual-safe\" at the head of the file"),
                );
            } else if !sim && text.emulates.is_some() {
                self.add(
                    Problem::new(
                        port.at.span,
                        format!("'{}' is real, and the file emulates a bench", port.at.value),
                    )
                    .hint("a bench is either real or virtual: their clocks differ"),
                );
            }
        }
        if let Some(emulates) = &text.emulates {
            if !crate::port::sim::exists(emulates) {
                let problem = Problem::new(
                    emulates.span,
                    format!("there is no virtual bench '{}'", emulates.value),
                )
                .did_you_mean(emulates, crate::port::sim::NAMES.iter().copied());
                self.add(problem);
            } else if !has_sim {
                let problem = Problem::new(emulates.span, "no port leads to this virtual bench");
                self.add(problem.hint("ports of a virtual bench are sim:relay, sim:supply, sim:console, sim:stage, sim:sense, sim:sense-board, sim:swd"));
            }
        }
    }

    fn unused_ports(&mut self) {
        let text = self.text;
        for (_, port) in text.ports.iter() {
            if let Some(sample) = &port.sample
                && !real_pins::is_pins(&port.at)
            {
                let message = format!("nothing is looked at now and then at '{}'", port.at.value);
                self.add(
                    Problem::new(sample.span, message)
                        .hint("leave 'sample' out: it is for pins of this computer"),
                );
            }
        }
        for (name, _) in text.ports.iter() {
            if !self.used_ports.contains(&name.value) {
                self.add(
                    Problem::new(
                        name.span,
                        format!("nothing stands on the port '{}'", name.value),
                    )
                    .hint("use it, or remove it"),
                );
            }
        }
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for (name, port) in text.ports.iter() {
            if seen.insert(&port.at.value, port.at.span).is_some() {
                let problem = Problem::new(
                    port.at.span,
                    format!(
                        "'{}' is at '{}', and so is another port",
                        name.value, port.at.value
                    ),
                );
                self.add(problem.hint("two instruments cannot share a port"));
            }
        }
    }
}

/// Where pins can be.
const PIN_ADDRESSES: &str = "pins are at \"raspberry-pi\", \"/dev/gpiochip0\", \"gpiochip:LABEL\", or \"sim:pins\" of a virtual bench";

fn is_pins(at: &str) -> bool {
    at == "sim:pins" || real_pins::is_pins(at)
}

/// What is wrong with a pin, as far as the file can tell.
fn no_such_pin(at: &str, pin: u16, span: Span) -> Option<Problem> {
    let (highest, hint) = match at {
        real_pins::RASPBERRY_PI => (
            real_pins::HEADER_MAX,
            "its header has GPIO 0 to 27; the number is that of the GPIO, not its place on the header",
        ),
        "sim:pins" => (
            sim::OUTPUT_MAX,
            "boards/README.md says what each of them closes",
        ),
        _ => return None,
    };
    (pin > highest || at == "sim:pins" && pin == 0)
        .then(|| Problem::new(span, format!("there is no pin {pin} at '{at}'")).hint(hint))
}

/// Why no servo at these pins presses a contact.
fn no_such_servo(at: &str, contact: &Contact, servo: Servo, span: Span) -> Option<Problem> {
    if at == "sim:pins" {
        let presses = servo.rest <= sim::SERVO_CLOSES && servo.pressed > sim::SERVO_CLOSES;
        let message = format!("the servo of '{contact}' presses nothing on a virtual bench");
        let hint = "its horns press while their pulses are longer than 1500 us, and rest below";
        return (!presses).then(|| Problem::new(span, message).hint(hint));
    }
    (at != real_pins::RASPBERRY_PI).then(|| {
        let message = format!("'{contact}' has a servo at '{at}', where pins make no pulses");
        let hint = "a servo wants a pin of a Raspberry Pi's own header: at = \"raspberry-pi\"";
        Problem::new(span, message).hint(hint)
    })
}

/// How long after an order a contact moves, as far as its wiring says.
fn latency(way: Way) -> Option<Latency> {
    let arrives = way.servo()?.arrives();
    Some(Latency {
        closes: arrives,
        opens: arrives,
    })
}

fn level(active: Active) -> Level {
    match active {
        Active::High => Level::High,
        Active::Low => Level::Low,
    }
}
