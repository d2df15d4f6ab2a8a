//! I3: a lockout's remaining time never shrinks faster than the clock, and a cut never ends it.

use super::{Facts, Finding, OnPowerCycle, Oracle, number, word};
use crate::event::{Event, Nanos, What};

/// How late a lock may say what it knows: a flash page is erased (22 ms) and two lines are printed.
const CONSOLE_LAG: Nanos = Nanos::from_millis(50);

#[derive(Default)]
pub struct Lockout {
    /// The earliest moment at which the lockout may be over, by what the board said.
    ends: Option<Nanos>,
    /// The board started anew since it last spoke of the lockout.
    rebooted: bool,
    seen: u32,
    reboots: u32,
    exempted: bool,
}

impl Lockout {
    /// The board says, or shows, that the lockout ends at this moment.
    fn claims(&mut self, end: Nanos, facts: &Facts) -> Option<Finding> {
        let before = self.ends?;
        let early = before.since(end);
        let rebooted = std::mem::take(&mut self.rebooted);
        // A line that comes late claims an end that is late; only a reboot makes it the true one.
        self.ends = Some(if rebooted { end } else { before.min(end) });
        if early <= facts.resolution + CONSOLE_LAG {
            return None;
        }
        if rebooted && facts.on_power_cycle == OnPowerCycle::Clears {
            self.exempted = true;
            return None;
        }
        let how = if rebooted {
            "when the board started anew"
        } else {
            "while the board ran"
        };
        Some(Finding::broken(
            "console",
            format!("the lockout lost {early} of its time {how}"),
        ))
    }
}

impl Oracle for Lockout {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        match &event.what {
            What::CodesChanged { by, .. } if by == "reset" => self.ends = None,
            What::Printed { text } => match word(text) {
                "boot" if self.ends.is_some() => {
                    self.rebooted = true;
                    self.reboots += 1;
                }
                "lockout" if text.starts_with("lockout over") => {
                    let finding = self.claims(event.at, facts);
                    self.ends = None;
                    return finding;
                }
                "lockout" => {
                    self.seen += 1;
                    let end = event.at + Nanos::from_millis(number(text, "left")?);
                    self.ends.get_or_insert(end);
                    return self.claims(end, facts);
                }
                // An idle lock that had a lockout running has ended it without a word.
                "idle" => {
                    let finding = self.claims(event.at, facts);
                    self.ends = None;
                    return finding;
                }
                _ => {}
            },
            _ => {}
        }
        None
    }

    fn conclude(&self, _: &Facts) -> Finding {
        if self.seen == 0 {
            Finding::not_observed("no lockout was reported on the console")
        } else if self.exempted {
            Finding::exempted(
                "console",
                "a power cycle ended the lockout under the rule 'lockout.on-power-cycle: clears'",
            )
        } else if self.reboots == 0 {
            Finding::held(
                "console",
                "the lockout ran its time; the board did not start anew",
            )
        } else {
            Finding::held(
                "console",
                format!(
                    "the lockout ran its time across {} starts of the board",
                    self.reboots
                ),
            )
        }
    }
}
