//! Whether keys and buttons were pressed as they were ordered: by the lines that prove it, or else by what closes
//! them. A relay board confirms an order once it has it: not that the contact closed, nor that two orders arrived as
//! far apart as they were given.

use std::collections::BTreeMap;

use crate::bench::{BenchFile, Contact, Via};
use crate::event::{Nanos, What};

/// Contacts bounce for less than this; presses with a pause of less than twice as much count as one.
const BOUNCE: Nanos = Nanos::from_millis(20);
/// Relays and their boards take so much longer for one order than for the next.
const JITTER: Nanos = Nanos::from_millis(50);
/// By how much a long press may be wrong. A short one may by half of it.
const WRONG_MAX: Nanos = Nanos::from_millis(100);
/// How long after a press was to end it may begin.
const LATE_MAX: Nanos = Nanos::from_millis(250);
/// How much earlier than it was ordered, because clocks are compared.
const EARLY_MAX: Nanos = Nanos::from_millis(5);

/// Every press of a run, as it was ordered and as it was made.
pub struct Presses {
    proofs: Vec<Proof>,
    of_contact: BTreeMap<Contact, usize>,
    /// Pins are driven by a thread of their own: what that did long ago may be heard of too late.
    by_pins: bool,
}

/// What was ordered of contacts, and what proves it.
struct Proof {
    /// The line that is on while any of them is closed. Without one there is one contact, and it is believed that it
    /// moved when that was confirmed.
    line: Option<String>,
    /// The longest that a servo among them is on its way.
    horn: Nanos,
    closed: Vec<Contact>,
    ordered: Vec<Ordered>,
    made: Vec<Made>,
}

/// From the first contact that is closed to the last that is opened.
struct Ordered {
    from: Nanos,
    /// When it was to end, if that was said beforehand.
    planned: Option<Nanos>,
    /// When it ended, or was to end before; none while it goes on.
    to: Option<Nanos>,
    /// What was closed first, as the trace calls it.
    shown: String,
    /// How many contacts were closed at once.
    contacts: usize,
    /// Whether it was several, too close to be told apart.
    several: bool,
}

struct Made {
    from: Nanos,
    /// None while it goes on.
    to: Option<Nanos>,
}

impl Presses {
    pub fn on(bench: &BenchFile) -> Presses {
        let relays = bench.relays.as_ref();
        let mut presses = Presses {
            proofs: Vec::new(),
            of_contact: BTreeMap::new(),
            by_pins: relays.is_some_and(|relays| matches!(relays.via, Via::Pins { .. })),
        };
        for (contact, wired) in relays.iter().flat_map(|relays| &relays.contacts) {
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

    /// A contact that is closed is to open at a time to come, even if whoever orders it is late.
    pub fn opens_at(&mut self, contact: &Contact, at: Nanos) {
        let place = self.of_contact.get(contact);
        if let Some(press) = place.and_then(|place| self.proofs[*place].ordered.last_mut()) {
            press.planned = Some(at);
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

    /// Trouble, if until now a press that was ordered was not made, dropped out, or was made much too short or too
    /// long.
    pub fn unproved(&self, now: Nanos, bench: &BenchFile) -> Option<What> {
        let mut proofs = self.proofs.iter();
        let (at, press, saw) =
            proofs.find_map(|proof| proof.contradiction(now, bench.uncertainty, self.by_pins))?;
        let device = match &bench.relays.as_ref()?.via {
            Via::Board { port, .. } => format!("relay board on {}", port.at),
            Via::Pins { at, .. } => format!("pins at {at}"),
        };
        Some(What::Trouble {
            device,
            doing: format!("pressing '{press}' at {at}"),
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
        let contacts = self.closed.len();
        let is_near = |to: Nanos| at.since(to) < BOUNCE + BOUNCE;
        let last = self.ordered.last_mut();
        match (last, was_closed, contacts > 0) {
            (Some(press), false, true) if press.to.is_some_and(is_near) => {
                (press.to, press.planned) = (None, None);
                press.several = true;
            }
            (_, false, true) => self.ordered.push(Ordered {
                from: at,
                planned: None,
                to: None,
                shown: shown.to_owned(),
                contacts,
                several: false,
            }),
            (Some(press), true, true) => press.contacts = press.contacts.max(contacts),
            (Some(press), true, false) => {
                press.to = Some(press.planned.map_or(at, |planned| planned.min(at)));
            }
            _ => {}
        }
    }

    fn make(&mut self, at: Nanos, on: bool) {
        match (on, self.made.last_mut()) {
            (true, Some(last)) if last.to.is_none_or(|to| at.since(to) < BOUNCE) => last.to = None,
            (true, _) => self.made.push(Made { from: at, to: None }),
            (false, Some(last)) => _ = last.to.get_or_insert(at),
            (false, None) => {}
        }
    }

    /// The first press that was not made as it was ordered: when it was ordered, and how it was made.
    fn contradiction(
        &self,
        now: Nanos,
        uncertainty: Nanos,
        by_pins: bool,
    ) -> Option<(Nanos, &str, String)> {
        let next = self.ordered.iter().skip(1);
        let next = next.map(|press| Some(press.from)).chain([None]);
        self.ordered.iter().zip(next).find_map(|(press, next)| {
            // What has not had its time yet proves nothing.
            let opens = press.to.filter(|opens| *opens + LATE_MAX < now)?;
            let asked = opens.since(press.from);
            let share = Nanos(asked.0 / 2).min(WRONG_MAX);
            // Orders for contacts that are closed together follow each other.
            let together = Nanos(BOUNCE.0 * (press.contacts as u64 - 1));
            let allowed = share.max(JITTER).max(uncertainty) + self.horn + together;
            if asked <= allowed {
                return None;
            }
            let begins = press.from.since(EARLY_MAX);
            let ends = next.map_or(opens + LATE_MAX, |next| {
                next.since(EARLY_MAX).min(opens + LATE_MAX)
            });
            let made = self.made.iter();
            let made: Vec<&Made> = made
                .filter(|made| (begins..ends).contains(&made.from))
                .collect();
            let line = self.line.as_ref();
            let saw = match (&made[..], line) {
                ([], Some(line)) => format!("its line '{line}' did not come on"),
                ([], None) if by_pins => return None,
                ([], None) => "that it closed was not confirmed".to_owned(),
                ([_, _, ..], Some(line)) if !press.several => {
                    format!("its line '{line}' went off and on again")
                }
                ([first, ..], _) => {
                    let last = made.last().unwrap_or(first);
                    let lasted = last.to.unwrap_or(now).since(first.from);
                    if asked.0.abs_diff(lasted.0) <= allowed.0 {
                        return None;
                    }
                    match line {
                        Some(line) => {
                            format!(
                                "its line '{line}' was on for {lasted}, and {asked} was ordered"
                            )
                        }
                        None => format!(
                            "it was confirmed to be closed for {lasted}, and {asked} was ordered"
                        ),
                    }
                }
            };
            Some((press.from, press.shown.as_str(), saw))
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Contact, Nanos, Proof};

    const MS: fn(u64) -> Nanos = Nanos::from_millis;

    /// A press of 150 ms at 1 s, and what its line says; a second follows at 1.4 s, which is made as it should be.
    #[rstest]
    #[case::as_it_should_be(&[1_015, 1_165], None)]
    #[case::with_bounce(&[1_015, 1_016, 1_018, 1_165], None)]
    #[case::somewhat_short(&[1_050, 1_150], None)]
    #[case::missing(&[], Some("did not come on"))]
    #[case::too_late(&[1_390, 1_394], Some("was on for 4 ms"))]
    #[case::too_short(&[1_090, 1_150], Some("was on for 60 ms"))]
    #[case::into_the_next(&[1_015, 1_410], Some("was on for"))]
    #[case::dropping_out(&[1_000, 1_040, 1_100, 1_150], Some("went off and on again"))]
    fn a_press_is_what_its_line_says(#[case] edges: &[u64], #[case] wrong: Option<&str>) {
        let mut proof = Proof {
            line: Some("key".to_owned()),
            horn: Nanos::ZERO,
            closed: Vec::new(),
            ordered: Vec::new(),
            made: Vec::new(),
        };
        let key = Contact::Key('5');
        for from in [1_000, 1_400] {
            proof.order(MS(from), &key, "digit 1 of 4", true);
            // Whoever orders it to open may be late; the pin was not.
            proof.ordered.last_mut().expect("it is one").planned = Some(MS(from + 150));
            proof.order(MS(from + 210), &key, "digit 1 of 4", false);
        }
        let mut on = false;
        for at in edges.iter().chain(&[1_415, 1_565]) {
            on = !on;
            proof.make(MS(*at), on);
        }
        let found = proof.contradiction(MS(3_000), MS(20), false);
        let said = found.map(|(at, _, saw)| (at, saw));
        match wrong {
            None => assert_eq!(said, None),
            Some(wrong) => {
                let (at, saw) = said.expect("it is wrong");
                assert_eq!(at, MS(1_000));
                assert!(saw.contains(wrong), "{saw}");
            }
        }
    }
}
