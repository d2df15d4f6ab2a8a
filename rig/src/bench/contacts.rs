//! What closes the contacts of a bench: a relay board behind a byte port, or pins. One face for both.

use std::collections::{BTreeMap, VecDeque};

use super::attached::{self, Attached, Opening};
use super::file::{self, Contact, Via};
use super::{Happening, What};
use crate::driver::pin_board::{self, Multiplexers, PinBoard, Servo, Way};
use crate::driver::relay_board::{self, Relay, RelayBoard};
use crate::driver::{DeviceTrouble, Driver};
use crate::event::Nanos;
use crate::port::{Level, OutputId, PortId, Ports, Signal};

/// The contacts of a bench, and what closes them.
#[derive(Clone)]
pub(super) struct Contacts {
    /// In the order in which the driver counts them.
    names: Vec<Contact>,
    by: By,
}

#[derive(Clone)]
enum By {
    Board {
        board: Attached<RelayBoard>,
        channels: Vec<u8>,
    },
    Pins(Pins),
}

/// A driver and the outputs that it stands on.
#[derive(Clone)]
struct Pins {
    driver: PinBoard,
    device: String,
    /// Those that could be opened.
    outputs: BTreeMap<u16, OutputId>,
    /// Why one could not be opened.
    lost: Option<DeviceTrouble>,
    /// What each of them is driven to to be on, and to be off.
    signals: BTreeMap<u16, Signals>,
}

/// What an output is driven to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Signals {
    on: Signal,
    off: Signal,
}

impl Signals {
    /// Of an output that is on at this level.
    fn levels(active: Level) -> Signals {
        Signals {
            on: Signal::Level(active),
            off: Signal::Level(match active {
                Level::High => Level::Low,
                Level::Low => Level::High,
            }),
        }
    }

    /// Of a servo; it lets go once its horn is back at rest.
    fn pulses(servo: Servo) -> Signals {
        Signals {
            on: Signal::Pulses {
                width: servo.pressed,
                lasts: None,
            },
            off: Signal::Pulses {
                width: servo.rest,
                lasts: Some(servo.arrives()),
            },
        }
    }

    fn of(self, on: bool) -> Signal {
        if on { self.on } else { self.off }
    }
}

impl Contacts {
    /// Opens the ports of what closes them. Pins are at their rest levels from here on.
    pub(super) fn open(relays: &file::Relays, opening: &mut Opening<'_>) -> Contacts {
        let names = relays.contacts.keys().cloned().collect();
        let by = match &relays.via {
            Via::Board { port, language } => {
                let device = format!("relay board on {}", port.at);
                let channels: Vec<u8> = relays
                    .contacts
                    .values()
                    .filter_map(|wired| u8::try_from(wired.way.outputs().next()?).ok())
                    .collect();
                let used = relays.contacts.iter().zip(&channels);
                let used = used.map(|((contact, wired), channel)| Relay {
                    channel: *channel,
                    name: contact.to_string(),
                    longest_on: wired.longest_on,
                });
                let driver = RelayBoard::new(device.clone(), *language, used.collect());
                By::Board {
                    board: opening.attach(device, port, driver),
                    channels,
                }
            }
            Via::Pins {
                at,
                active,
                multiplexers,
            } => {
                let multiplexers = multiplexers.as_ref();
                By::Pins(Pins::open(relays, at, *active, multiplexers, opening))
            }
        };
        Contacts { names, by }
    }

    /// Why what closes them is gone, or was never there.
    pub(super) fn lost(&self) -> Option<DeviceTrouble> {
        match &self.by {
            By::Board { board, .. } => board.lost.clone(),
            By::Pins(pins) => pins.lost.clone(),
        }
    }

    /// Orders a contact to close or to open at once.
    pub(super) fn set(
        &mut self,
        now: Nanos,
        contact: &Contact,
        closed: bool,
    ) -> Result<(), DeviceTrouble> {
        let place = self.place(contact);
        match &mut self.by {
            By::Board { board, channels } => {
                board.check_lost()?;
                board.driver.set(now, channels[place], closed)
            }
            By::Pins(pins) => pins.driver.set(now, place, closed),
        }
    }

    /// Orders a contact that is closed to open at a time to come, where that can be said beforehand.
    pub(super) fn open_at(&mut self, now: Nanos, contact: &Contact, at: Nanos) {
        let place = self.place(contact);
        if let By::Pins(pins) = &mut self.by {
            pins.driver.open_at(now, place, at);
        }
    }

    /// Brings a contact to rest, unless it is known to be there.
    pub(super) fn rest(&mut self, now: Nanos, contact: &Contact, closed: bool) {
        if self.is_known_to_be(contact, closed) {
            return;
        }
        let place = self.place(contact);
        match &mut self.by {
            By::Board { board, .. } if board.lost.is_some() => {}
            By::Board { board, channels } => board.driver.rest(now, channels[place], closed),
            By::Pins(pins) => pins.driver.rest(now, place, closed),
        }
    }

    pub(super) fn is_known_to_be(&self, contact: &Contact, closed: bool) -> bool {
        let place = self.place(contact);
        match &self.by {
            By::Board { board, channels } => {
                board.lost.is_none() && board.driver.is_known_to_be(channels[place], closed)
            }
            By::Pins(pins) => pins.driver.is_known_to_be(place, closed),
        }
    }

    /// How long what closes them may be silent on the way to rest.
    pub(super) fn patience(&self) -> Nanos {
        match &self.by {
            By::Board { board, .. } => board.driver.patience(),
            By::Pins(pins) => pins.driver.patience(),
        }
    }

    /// Whether everything that was ordered has been answered, or given up.
    pub(super) fn is_idle(&self) -> bool {
        match &self.by {
            By::Board { board, .. } => board.lost.is_some() || board.driver.is_idle(),
            By::Pins(pins) => pins.driver.is_idle(),
        }
    }

    /// Moves orders and facts between driver, ports and the happenings.
    pub(super) fn pump(
        &mut self,
        ports: &mut dyn Ports,
        now: Nanos,
        happenings: &mut VecDeque<Happening>,
    ) {
        match &mut self.by {
            By::Board { board, .. } => board.flush(ports, now, happenings),
            By::Pins(pins) => pins.flush(ports, now),
        }
        while let Some((at, what)) = self.fact() {
            happenings.push_back(Happening { at, what });
        }
    }

    fn fact(&mut self) -> Option<(Nanos, What)> {
        let (at, place, closed, asked) = match &mut self.by {
            By::Board { board, channels } => match board.driver.fact()? {
                (at, relay_board::Fact::Trouble(trouble)) => {
                    return Some((at, What::Trouble(trouble)));
                }
                (
                    at,
                    relay_board::Fact::Switched {
                        channel,
                        closed,
                        asked,
                    },
                ) => {
                    let place = channels.iter().position(|used| *used == channel);
                    let place = place.expect("the driver was made from these channels");
                    (at, place, closed, asked)
                }
            },
            By::Pins(pins) => match pins.driver.fact()? {
                (at, pin_board::Fact::Trouble(trouble)) => {
                    return Some((at, What::Trouble(trouble)));
                }
                (
                    at,
                    pin_board::Fact::Switched {
                        place,
                        closed,
                        asked,
                    },
                ) => (at, place, closed, asked),
            },
        };
        let what = What::Switched {
            contact: self.names[place].clone(),
            closed,
            asked,
        };
        Some((at, what))
    }

    pub(super) fn receive(&mut self, port: PortId, at: Nanos, bytes: &[u8]) {
        if let By::Board { board, .. } = &mut self.by {
            attached::receive(board, port, at, bytes);
        }
    }

    pub(super) fn lose(
        &mut self,
        port: PortId,
        at: Nanos,
        why: &str,
        happenings: &mut VecDeque<Happening>,
    ) {
        if let By::Board { board, .. } = &mut self.by {
            attached::lose(board, port, at, why, happenings);
        }
    }

    /// An output was driven.
    pub(super) fn drove(&mut self, at: Nanos, output: OutputId, signal: Signal) {
        if let By::Pins(pins) = &mut self.by
            && let Some(pin) = pins.pin(output)
            && let Some(signals) = pins.signals.get(&pin)
        {
            // That a servo's pulses have ended is neither.
            if signal == signals.on || signal == signals.off {
                pins.driver.drove(at, pin, signal == signals.on);
            }
        }
    }

    /// An output is out of reach.
    pub(super) fn lose_output(&mut self, at: Nanos, output: OutputId, why: &str) {
        if let By::Pins(pins) = &mut self.by
            && let Some(pin) = pins.pin(output)
        {
            pins.driver.lost(at, pin, why);
        }
    }

    pub(super) fn tick(&mut self, now: Nanos) {
        match &mut self.by {
            By::Board { board, .. } => board.driver.tick(now),
            By::Pins(pins) => pins.driver.tick(now),
        }
    }

    pub(super) fn deadline(&self) -> Option<Nanos> {
        match &self.by {
            By::Board { board, .. } => board.deadline(),
            By::Pins(pins) => pins.driver.deadline(),
        }
    }

    fn place(&self, contact: &Contact) -> usize {
        let place = self.names.iter().position(|name| name == contact);
        place.expect("callers looked for it in the bench file")
    }
}

impl Pins {
    fn open(
        relays: &file::Relays,
        address: &str,
        active: Level,
        multiplexers: Option<&Multiplexers>,
        opening: &mut Opening<'_>,
    ) -> Pins {
        let device = format!("pins at {address}");
        let contacts = relays.contacts.iter().map(|(contact, wired)| {
            let name = contact.to_string();
            pin_board::Contact {
                name,
                way: wired.way,
                longest_on: wired.longest_on,
            }
        });
        let mut pins = Pins {
            driver: PinBoard::new(device.clone(), multiplexers.cloned(), contacts.collect()),
            device,
            outputs: BTreeMap::new(),
            lost: None,
            signals: BTreeMap::new(),
        };
        for (contact, wired) in &relays.contacts {
            let signals = match (wired.way, multiplexers) {
                (Way::Selected { .. }, Some(multiplexers)) => Signals::levels(multiplexers.active),
                (Way::Servo(servo), _) => Signals::pulses(servo),
                _ => Signals::levels(active),
            };
            let purpose = format!("'{contact}'");
            for pin in wired.way.outputs() {
                let rest = match signals.of(wired.rest_closed) {
                    Signal::Level(level) => level,
                    Signal::Pulses { .. } => Level::Low,
                };
                pins.take(address, (pin, signals), rest, &purpose, opening);
            }
        }
        let selecting = multiplexers.map(|both| both.rows.iter().chain(&both.columns));
        for pin in selecting.into_iter().flatten() {
            let pin = (*pin, Signals::levels(Level::High));
            pins.take(address, pin, Level::Low, "the multiplexers", opening);
        }
        pins
    }

    /// Opens a pin as an output at its rest level, once: a row belongs to several keys.
    fn take(
        &mut self,
        address: &str,
        (pin, signals): (u16, Signals),
        rest: Level,
        purpose: &str,
        opening: &mut Opening<'_>,
    ) {
        if self.outputs.contains_key(&pin) || opening.has_failed && !opening.goes_on {
            return;
        }
        self.signals.insert(pin, signals);
        match opening.ports.output(address, pin, rest) {
            Ok(output) => _ = self.outputs.insert(pin, output),
            Err(trouble) => {
                let doing = format!("opening pin {pin} for {purpose}");
                let trouble = DeviceTrouble::from_port(&self.device, &doing, trouble);
                self.lost.get_or_insert(trouble);
                opening.has_failed = true;
            }
        }
    }

    fn flush(&mut self, ports: &mut dyn Ports, now: Nanos) {
        for order in self.driver.orders(now) {
            let opened = self.outputs.get(&order.output);
            let signals = self.signals.get(&order.output);
            let (Some(&output), Some(signals)) = (opened, signals) else {
                self.driver
                    .lost(now, order.output, "it could not be opened");
                continue;
            };
            if let Err(trouble) = ports.drive(output, signals.of(order.on), order.at) {
                let trouble = DeviceTrouble::from_port(&self.device, "driving it", trouble);
                self.driver.lost(now, order.output, &trouble.saw);
            }
        }
    }

    fn pin(&self, output: OutputId) -> Option<u16> {
        let mut outputs = self.outputs.iter();
        outputs
            .find(|(_, known)| **known == output)
            .map(|(pin, _)| *pin)
    }
}
