//! What feeds the board: a programmable supply behind a byte port, or relays in the lead of cells. One face for both.

use std::collections::VecDeque;

use super::attached::{self, Attached, Opening};
use super::contacts::Contacts;
use super::file::{self, Contact, SupplyKind};
use super::{Feed, Happening, What};
use crate::driver::supply::{self, Supply};
use crate::driver::{DeviceTrouble, Driver, Trouble};
use crate::event::Nanos;
use crate::port::{PortId, Ports};
use crate::quantity::Millivolts;

/// What feeds the board.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "a bench has one")]
pub(super) enum Feeder {
    Programmable(Attached<Supply>),
    Cells(Cells),
}

/// From the confirmation of one relay to the order for the other: a board of relays tells of its coils, and their
/// contacts take up to 10 ms more.
const APART: Nanos = Nanos::from_millis(20);

/// Cells with a relay in their lead and, on some benches, one that joins the board's terminals through a resistor.
/// The two are never closed together.
#[derive(Clone)]
pub(super) struct Cells {
    voltage: Millivolts,
    has_crowbar: bool,
    under_way: Option<UnderWay>,
    /// No relay closes sooner: the other one was told to open just now.
    free_at: Nanos,
    /// What was reached last; none while something else is under way, or where that failed.
    reached: Option<Goal>,
}

#[derive(Clone, Copy)]
struct UnderWay {
    goal: Goal,
    asked: Nanos,
    /// The relay that was ordered, and whether to close.
    ordered: Option<(Relay, bool)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Fed,
    /// Without cells, and discharged where there is a crowbar.
    Unfed,
    /// Both relays open.
    Rest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Relay {
    Lead,
    Crowbar,
}

impl Feeder {
    pub(super) fn open(
        supply: &file::Supply,
        has_crowbar: bool,
        opening: &mut Opening<'_>,
    ) -> Feeder {
        match &supply.kind {
            SupplyKind::Programmable(there) => {
                let device = format!("supply on {}", there.port.at);
                let settings = supply::Settings {
                    highest: supply.highest,
                    limit: there.limit,
                    resistance: there.resistance,
                    longest_on: there.longest_on,
                };
                let driver = Supply::new(device.clone(), settings);
                Feeder::Programmable(opening.attach(device, &there.port, driver))
            }
            SupplyKind::Cells => Feeder::Cells(Cells {
                voltage: supply.highest,
                has_crowbar,
                under_way: None,
                free_at: Nanos::ZERO,
                reached: None,
            }),
        }
    }

    /// Asks a supply who it is.
    pub(super) fn connect(&mut self, now: Nanos) {
        if let Feeder::Programmable(supply) = self {
            supply.driver.connect(now);
        }
    }

    /// Why it is gone, or was never there. The relays of cells are lost with the other contacts.
    pub(super) fn lost(&self) -> Option<DeviceTrouble> {
        match self {
            Feeder::Programmable(supply) => supply.lost.clone(),
            Feeder::Cells(_) => None,
        }
    }

    pub(super) fn feed(&mut self, now: Nanos, feed: Feed) -> Result<(), DeviceTrouble> {
        match self {
            Feeder::Programmable(supply) => {
                supply.check_lost()?;
                supply.driver.feed(now, feed)
            }
            Feeder::Cells(cells) => cells.feed(now, feed),
        }
    }

    pub(super) fn measure(&mut self, now: Nanos) -> Result<(), DeviceTrouble> {
        match self {
            Feeder::Programmable(supply) => {
                supply.check_lost()?;
                supply.driver.measure(now)
            }
            Feeder::Cells(_) => Err(DeviceTrouble {
                device: CELLS.to_owned(),
                doing: "measuring what they give".to_owned(),
                what: Trouble::Absent,
                saw: "a relay in a lead has no meter".to_owned(),
                hint: "only a programmable supply measures".to_owned(),
            }),
        }
    }

    /// Whether this feed was reached, nothing else was asked since, and the relays of cells are still as they were.
    pub(super) fn is_known_to_be(&self, feed: Feed, contacts: Option<&Contacts>) -> bool {
        match self {
            Feeder::Programmable(supply) => {
                supply.lost.is_none() && supply.driver.is_known_to_be(feed)
            }
            Feeder::Cells(cells) => match feed {
                Feed::Off => {
                    cells.stands(Goal::Unfed, contacts) || cells.stands(Goal::Rest, contacts)
                }
                Feed::On { .. } => cells.stands(Goal::Fed, contacts),
            },
        }
    }

    /// Whether it stands as it does at rest, where a supply gives `feed`.
    pub(super) fn is_at_rest(&self, feed: Feed, contacts: Option<&Contacts>) -> bool {
        match self {
            Feeder::Programmable(_) => self.is_known_to_be(feed, contacts),
            Feeder::Cells(cells) => cells.stands(Goal::Rest, contacts),
        }
    }

    /// Goes to rest, where a supply gives `feed`.
    pub(super) fn rest(&mut self, now: Nanos, feed: Feed, contacts: Option<&Contacts>) {
        if self.is_at_rest(feed, contacts) {
            return;
        }
        match self {
            Feeder::Programmable(supply) if supply.lost.is_some() => {}
            Feeder::Programmable(supply) => supply.driver.rest(now, feed),
            Feeder::Cells(cells) => cells.begin(now, Goal::Rest),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        match self {
            Feeder::Programmable(supply) => supply.lost.is_some() || supply.driver.is_idle(),
            Feeder::Cells(cells) => cells.under_way.is_none(),
        }
    }

    /// Moves orders and facts between driver, ports, contacts and the happenings. What a supply says of itself is
    /// returned.
    pub(super) fn pump(
        &mut self,
        ports: &mut dyn Ports,
        contacts: Option<&mut Contacts>,
        happenings: &mut VecDeque<Happening>,
    ) -> Option<String> {
        let now = ports.now();
        let supply = match self {
            Feeder::Programmable(supply) => supply,
            Feeder::Cells(cells) => {
                if let Some(contacts) = contacts {
                    cells.pump(now, ports, contacts, happenings);
                }
                return None;
            }
        };
        let mut identity = None;
        supply.flush(ports, now, happenings);
        while let Some((at, fact)) = supply.driver.fact() {
            let what = match fact {
                supply::Fact::Identified(text) => {
                    identity = Some(text);
                    continue;
                }
                supply::Fact::Fed { feed, asked } => What::Fed { feed, asked },
                supply::Fact::Measured {
                    voltage,
                    current,
                    asked,
                } => What::Measured {
                    voltage,
                    current,
                    asked,
                },
                supply::Fact::Trouble(trouble) => What::Trouble(trouble),
            };
            happenings.push_back(Happening { at, what });
        }
        identity
    }

    pub(super) fn receive(&mut self, port: PortId, at: Nanos, bytes: &[u8]) {
        if let Feeder::Programmable(supply) = self {
            attached::receive(supply, port, at, bytes);
        }
    }

    pub(super) fn lose(
        &mut self,
        port: PortId,
        at: Nanos,
        why: &str,
        happenings: &mut VecDeque<Happening>,
    ) {
        if let Feeder::Programmable(supply) = self {
            attached::lose(supply, port, at, why, happenings);
        }
    }

    pub(super) fn tick(&mut self, now: Nanos) {
        if let Feeder::Programmable(supply) = self {
            supply.driver.tick(now);
        }
    }

    pub(super) fn deadline(&self) -> Option<Nanos> {
        match self {
            Feeder::Programmable(supply) => supply.deadline(),
            Feeder::Cells(cells) => {
                let waits = cells.under_way.is_some_and(|it| it.ordered.is_none());
                waits.then_some(cells.free_at)
            }
        }
    }
}

const CELLS: &str = "cells";

impl Cells {
    fn feed(&mut self, now: Nanos, feed: Feed) -> Result<(), DeviceTrouble> {
        let goal = match feed {
            Feed::Off => Goal::Unfed,
            Feed::On {
                voltage,
                resistance,
            } => {
                let supply = file::Supply {
                    kind: SupplyKind::Cells,
                    highest: self.voltage,
                };
                if resistance.is_some() || !supply.gives(voltage) {
                    return Err(DeviceTrouble {
                        device: CELLS.to_owned(),
                        doing: format!("feeding the board {voltage}"),
                        what: Trouble::Refused,
                        saw: format!("they have {}, and nothing sets them", self.voltage),
                        hint: "other voltages want a programmable supply".to_owned(),
                    });
                }
                Goal::Fed
            }
        };
        self.begin(now, goal);
        Ok(())
    }

    /// Whether this was reached, and the relays have said nothing else since.
    fn stands(&self, goal: Goal, contacts: Option<&Contacts>) -> bool {
        let is_so = |(relay, closed): (Relay, bool)| {
            contacts.is_some_and(|contacts| contacts.is_known_to_be(&relay.contact(), closed))
        };
        self.reached == Some(goal) && goal.ways(self.has_crowbar).all(is_so)
    }

    fn begin(&mut self, now: Nanos, goal: Goal) {
        self.reached = None;
        self.under_way = Some(UnderWay {
            goal,
            asked: now,
            ordered: None,
        });
    }

    /// Orders what comes next as soon as what came before is confirmed.
    fn pump(
        &mut self,
        now: Nanos,
        ports: &mut dyn Ports,
        contacts: &mut Contacts,
        happenings: &mut VecDeque<Happening>,
    ) {
        while let Some(under_way) = self.under_way.as_mut() {
            let is_left = |way: &(Relay, bool)| !contacts.is_known_to_be(&way.0.contact(), way.1);
            let next = under_way.goal.ways(self.has_crowbar).find(is_left);
            let Some((relay, closed)) = next else {
                if under_way.ordered.is_some() {
                    self.free_at = now + APART;
                }
                let UnderWay { goal, asked, .. } = *under_way;
                self.under_way = None;
                self.reached = Some(goal);
                let feed = match goal {
                    Goal::Fed => Feed::On {
                        voltage: self.voltage,
                        resistance: None,
                    },
                    Goal::Unfed | Goal::Rest => Feed::Off,
                };
                let what = What::Fed { feed, asked };
                happenings.push_back(Happening { at: now, what });
                return;
            };
            // At rest both are open: they need not wait for each other, and one that is lost keeps nobody.
            let is_rest = under_way.goal == Goal::Rest;
            if under_way.ordered == Some((relay, closed)) || is_rest && under_way.ordered.is_some()
            {
                // Its driver has told why it did not do so.
                if contacts.is_idle() {
                    self.under_way = None;
                }
                return;
            }
            if under_way.ordered.take().is_some() {
                self.free_at = now + APART;
            }
            if closed && now < self.free_at {
                return;
            }
            under_way.ordered = Some((relay, closed));
            match under_way.goal {
                Goal::Rest => {
                    for (relay, closed) in Goal::Rest.ways(self.has_crowbar) {
                        contacts.rest(now, &relay.contact(), closed);
                    }
                }
                _ => {
                    if let Err(trouble) = contacts.set(now, &relay.contact(), closed) {
                        self.under_way = None;
                        let what = What::Trouble(trouble);
                        happenings.push_back(Happening { at: now, what });
                        return;
                    }
                }
            }
            contacts.pump(ports, now, happenings);
        }
    }
}

impl Goal {
    /// How the relays stand then, in the order in which they get there.
    fn ways(self, has_crowbar: bool) -> impl Iterator<Item = (Relay, bool)> {
        let ways = match self {
            Goal::Fed => [(Relay::Crowbar, false), (Relay::Lead, true)],
            Goal::Unfed => [(Relay::Lead, false), (Relay::Crowbar, true)],
            Goal::Rest => [(Relay::Lead, false), (Relay::Crowbar, false)],
        };
        let there = move |(relay, _): &(Relay, bool)| *relay == Relay::Lead || has_crowbar;
        ways.into_iter().filter(there)
    }
}

impl Relay {
    fn contact(self) -> Contact {
        match self {
            Relay::Lead => Contact::Lead,
            Relay::Crowbar => Contact::Crowbar,
        }
    }
}
