//! What closes contacts: relay boards, and pins with what stands between them and a contact.

use std::collections::{BTreeMap, BTreeSet};

use super::super::text::*;
use super::super::{Contact, Latency, Relays, Via, Wired};
use super::{Check, is_pins, level, no_such_pin};
use crate::driver::pin_board::{Multiplexers, Servo, Way};
use crate::driver::relay_board::Language;
use crate::port::{real_pins, sim};
use crate::source::{Problem, Span, Spanned};

/// A multiplexer with more channels is not made.
const SELECT_MAX: usize = 6;

/// Where pins can be.
const PIN_ADDRESSES: &str = "pins are at \"raspberry-pi\", \"/dev/gpiochip0\", \"gpiochip:LABEL\", or \"sim:pins\" of a virtual bench";

/// What an output is for.
#[derive(Clone, PartialEq)]
pub(super) enum Use {
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

impl Check<'_, '_> {
    pub(super) fn relays(&mut self) -> Option<Relays> {
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

    pub(super) fn contact(
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
        if let Some(problem) = no_such_pin(self.text, at, pin, span) {
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
