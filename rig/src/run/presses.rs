//! Whether keys and buttons were pressed as they were ordered: by the lines that prove it, or else by what closes
//! them. A relay board confirms an order once it has it: not that the contact closed, nor that two orders arrived as
//! far apart as they were given.

use std::collections::BTreeMap;

use crate::bench::{BenchFile, Contact, Via};
use crate::event::{Nanos, What};

/// Contacts bounce for less than this; presses with a pause of less than twice as much count as one.
const BOUNCE: Nanos = Nanos::from_millis(20);
/// By how much a long press may be wrong. A short one may by half of it.
const WRONG_MAX: Nanos = Nanos::from_millis(100);
/// How much later than it was ordered a press may be seen.
const LATE_MAX: Nanos = Nanos::from_millis(250);
/// How much earlier, because clocks are compared.
const EARLY_MAX: Nanos = Nanos::from_millis(5);

/// Every press of a run, as it was ordered and as it was made.
pub struct Presses {
    proofs: Vec<Proof>,
    of_contact: BTreeMap<Contact, usize>,
}

/// What was ordered of contacts, and what proves it.
struct Proof {
    /// The line that is on while any of them is closed. Without one there is one contact, and it is believed that it
    /// moved when that was confirmed.
    line: Option<String>,
    /// The longest that a servo among them is on its way.
    horn: Nanos,
    closed: Vec<Contact>,
    /// With what was closed first, as the trace calls it.
    ordered: Vec<(Span, String)>,
    made: Vec<Span>,
}

/// For how long something was closed.
struct Span {
    from: Nanos,
    /// None where its end is not known.
    to: Option<Nanos>,
}

impl Presses {
    pub fn on(bench: &BenchFile) -> Presses {
        let mut presses = Presses {
            proofs: Vec::new(),
            of_contact: BTreeMap::new(),
        };
        let contacts = bench.relays.iter().flat_map(|relays| &relays.contacts);
        for (contact, wired) in contacts {
            let (Contact::Key(_) | Contact::Button(_)) = contact else {
                continue;
            };
            let line = wired.line.as_ref();
            let horn = wired.way.servo().map(|servo| servo.arrives());
            let horn = horn.unwrap_or_default();
            let known = line.and_then(|line| presses.by_line(line));
            let place = known.unwrap_or_else(|| {
                presses.proofs.push(Proof {
                    line: line.cloned(),
                    horn,
                    closed: Vec::new(),
                    ordered: Vec::new(),
                    made: Vec::new(),
                });
                presses.proofs.len() - 1
            });
            let proof = &mut presses.proofs[place];
            proof.horn = proof.horn.max(horn);
            presses.of_contact.insert(contact.clone(), place);
        }
        presses
    }

    /// A contact was told to close or to open.
    pub fn ordered(&mut self, at: Nanos, contact: &Contact, shown: &str, closes: bool) {
        if let Some(place) = self.of_contact.get(contact) {
            self.proofs[*place].order(at, contact, shown, closes);
        }
    }

    /// A line went on or off.
    pub fn saw(&mut self, at: Nanos, line: &str, on: bool) {
        if let Some(place) = self.by_line(line) {
            self.proofs[place].make(at, on);
        }
    }

    /// What closes a contact confirmed that it did what it was told.
    pub fn confirmed(&mut self, at: Nanos, contact: &Contact, closed: bool) {
        let place = self.of_contact.get(contact);
        let proof = place.map(|place| &mut self.proofs[*place]);
        if let Some(proof) = proof.filter(|proof| proof.line.is_none()) {
            proof.make(at, closed);
        }
    }

    /// Trouble, if until now a press that was ordered was not made, was made much too short or too long, or ran
    /// into the next.
    pub fn unproved(&self, now: Nanos, bench: &BenchFile) -> Option<What> {
        let mut proofs = self.proofs.iter();
        let (press, saw) = proofs.find_map(|proof| proof.contradiction(now, bench.uncertainty))?;
        let device = match &bench.relays.as_ref()?.via {
            Via::Board { port, .. } => format!("relay board on {}", port.at),
            Via::Pins { at, .. } => format!("pins at {at}"),
        };
        Some(What::Trouble {
            device,
            doing: format!("pressing '{press}'"),
            saw,
            hint: "did orders come late, or together? run less beside it; 'lockrig doctor' tells whether relay \
                   and line are sound"
                .to_owned(),
        })
    }

    fn by_line(&self, line: &str) -> Option<usize> {
        let mut proofs = self.proofs.iter();
        proofs.position(|proof| proof.line.as_deref() == Some(line))
    }
}

impl Proof {
    fn order(&mut self, at: Nanos, contact: &Contact, shown: &str, closes: bool) {
        let was_closed = !self.closed.is_empty();
        self.closed.retain(|other| other != contact);
        if closes {
            self.closed.push(contact.clone());
        }
        let last = self.ordered.last_mut();
        match (was_closed, !self.closed.is_empty()) {
            (false, true) => match last {
                Some((press, _)) if press.to.is_some_and(|to| at.since(to) < BOUNCE + BOUNCE) => {
                    press.to = None;
                }
                _ => {
                    let press = Span { from: at, to: None };
                    self.ordered.push((press, shown.to_owned()));
                }
            },
            (true, false) => {
                if let Some((press, _)) = last {
                    press.to = Some(at);
                }
            }
            _ => {}
        }
    }

    fn make(&mut self, at: Nanos, on: bool) {
        match (on, self.made.last_mut()) {
            (true, Some(last)) if last.to.is_none_or(|to| at.since(to) < BOUNCE) => last.to = None,
            (true, _) => self.made.push(Span { from: at, to: None }),
            (false, Some(last)) => last.to = Some(at),
            (false, None) => {}
        }
    }

    /// The first press that was not made as it was ordered, and how it was made.
    fn contradiction(&self, now: Nanos, uncertainty: Nanos) -> Option<(&str, String)> {
        let next = self.ordered.iter().skip(1);
        let next = next.map(|(press, _)| Some(press.from)).chain([None]);
        self.ordered
            .iter()
            .zip(next)
            .find_map(|((press, shown), next)| {
                // What has not had its time yet proves nothing.
                let opens = press.to.filter(|opens| *opens + LATE_MAX < now)?;
                let asked = opens.since(press.from);
                let share = Nanos(asked.0 / 2).min(WRONG_MAX);
                let allowed = share.max(BOUNCE).max(uncertainty) + self.horn;
                if asked <= allowed {
                    return None;
                }
                let mut made = self.made.iter().filter(|made| {
                    let from = made.from + EARLY_MAX;
                    from >= press.from && next.is_none_or(|next| from < next)
                });
                let saw = match made.next() {
                    Some(first) => {
                        let last = made.next_back().unwrap_or(first);
                        let lasted = last.to.unwrap_or(now).since(first.from);
                        let wrong = asked.0.abs_diff(lasted.0) > allowed.0;
                        wrong.then(|| match &self.line {
                            Some(line) => format!("its line '{line}' was on for {lasted}, and {asked} was ordered"),
                            None => format!("it was confirmed to be closed for {lasted}, and {asked} was ordered"),
                        })?
                    }
                    None => match &self.line {
                        Some(line) => format!("its line '{line}' did not come on"),
                        None => "that it closed was not confirmed".to_owned(),
                    },
                };
                Some((shown.as_str(), saw))
            })
    }
}
