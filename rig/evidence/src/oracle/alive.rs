//! I7: the lock always reaches idle, locked or a reported fault: no brick, no hang.
//!
//! A code that is tried is a question; a lamp, the beeper, the bolt or a console line is an answer.
//! That the lock starts is none: it may hang in the next moment. A lock is dead if nothing has
//! answered by the end of the run, or by the time its supply is changed.

use std::cmp::Ordering;

use super::{Facts, Finding, Oracle, word};
use crate::event::{Event, Nanos, Standing, What};

#[derive(Clone, Default)]
pub struct Alive {
    /// What the supply was last set to; 0 is off.
    millivolts: u32,
    /// It was last set higher, so that whatever the lock is, it has power to answer.
    fed: bool,
    /// By what it says, a lockout is running, in which it need not answer.
    locked_out: bool,
    /// When the first code was tried that nothing has answered, and how many were since.
    unanswered: Option<(Nanos, u32)>,
    /// Signs of life, and starts, since the supply last came on, or up again after a sag.
    signs: u32,
    starts: u32,
    /// A fault was reported since the supply last came on; it may stay until it comes on again.
    faulted: bool,
    power_ons: u32,
    /// When the last event was.
    last: Nanos,
}

impl Alive {
    fn supply_set(&mut self, millivolts: u32) {
        let before = std::mem::replace(&mut self.millivolts, millivolts);
        match millivolts.cmp(&before) {
            Ordering::Equal => return,
            Ordering::Less => self.fed = false,
            Ordering::Greater => {
                self.fed = true;
                self.faulted &= before > 0;
                self.locked_out &= before > 0;
                (self.signs, self.starts) = (0, 0);
                self.power_ons += 1;
            }
        }
        self.unanswered = None;
    }

    fn printed(&mut self, text: &str) {
        match word(text) {
            "boot" => {
                self.starts += 1;
                self.locked_out = false;
                return;
            }
            "fault" => self.faulted = true,
            "lockout" => self.locked_out = !text.starts_with("lockout over"),
            "idle" => self.locked_out = false,
            _ => {}
        }
        self.answered();
    }

    fn answered(&mut self) {
        self.signs += 1;
        self.unanswered = None;
    }

    /// Whether codes were tried, and the lock has had its time and not answered. A reported fault
    /// answers everything, until the supply is set higher again: then a lock starts anew or says so.
    fn dead(&self, facts: &Facts) -> Option<Finding> {
        let (since, codes) = self.unanswered?;
        let is_late = self.last.since(since) > facts.answers_within;
        let has_fault = self.faulted && self.signs > 0;
        (is_late && !has_fault).then(|| {
            let so_far = match (self.faulted, self.starts) {
                (true, _) => {
                    ", though the supply is back after the fault that it reported".to_owned()
                }
                (false, 0) => String::new(),
                (false, starts) => format!(", though it had started {starts} times"),
            };
            Finding::broken(
                "lamp, beeper, bolt and console lines",
                format!("{codes} codes, and after them not one sign of life{so_far}"),
            )
        })
    }
}

impl Oracle for Alive {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        self.last = event.at;
        match &event.what {
            What::SupplySet { millivolts } => {
                let millivolts = millivolts.unwrap_or(0);
                if millivolts != self.millivolts
                    && let Some(dead) = self.dead(facts)
                {
                    return Some(dead);
                }
                self.supply_set(millivolts);
            }
            // Within a procedure it is not the code that asks.
            What::CodeEntered {
                standing: Standing::Valid | Standing::Invalid | Standing::Unsettled,
                ..
            } if self.fed && !self.locked_out => {
                self.unanswered.get_or_insert((event.at, 0)).1 += 1;
            }
            What::Printed { text } => self.printed(text),
            What::LineChanged { line, high: true }
                if ["red", "green", "yellow", "beeper", "bolt-withdrawn"]
                    .contains(&line.as_str()) =>
            {
                self.answered();
            }
            _ => {}
        }
        None
    }

    fn conclude(&self, facts: &Facts) -> Finding {
        if let Some(dead) = self.dead(facts) {
            return dead;
        }
        if self.faulted {
            return Finding::held("console", "the lock reported a fault");
        }
        match (self.signs, self.starts) {
            (0, _) if self.unanswered.is_some() => {
                Finding::not_observed("the run left the lock no time to answer")
            }
            (0, 0) => {
                Finding::not_observed("nothing was asked of the lock since the supply came on")
            }
            (0, _) => Finding::not_observed("the lock started, and nothing was asked of it since"),
            _ => Finding::held(
                "lamp, beeper, bolt and console lines",
                format!(
                    "the lock answered after the last of {} power-ons",
                    self.power_ons
                ),
            ),
        }
    }
}
