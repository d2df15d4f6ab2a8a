//! I3: a lockout's remaining time never shrinks faster than the clock, and a cut never ends it.

use super::{Facts, Finding, OnPowerCycle, Oracle, number, word};
use crate::event::{Event, Nanos, Standing, What};

#[derive(Default)]
pub struct Lockout {
    /// The latest moment at which the lockout can be over, by what the board last said.
    ends: Option<Nanos>,
    power_lost: bool,
    seen: u32,
    cycled: u32,
    exempted: bool,
}

/// How late a lock may say what it knows: a flash page is erased (22 ms) and two lines are printed.
const CONSOLE_LAG: Nanos = Nanos::from_millis(50);

impl Lockout {
    fn ended_early(&mut self, at: Nanos, ends: Nanos, facts: &Facts) -> Option<Finding> {
        let early = ends.since(at);
        if early <= facts.resolution + CONSOLE_LAG {
            return None;
        }
        if self.power_lost && facts.on_power_cycle == OnPowerCycle::Clears {
            self.exempted = true;
            return None;
        }
        let how = if self.power_lost {
            "after the supply was lost"
        } else {
            "with the supply on"
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
            What::SupplySet { millivolts: None } | What::Interrupted { .. } => {
                self.power_lost = true;
                self.cycled += u32::from(self.ends.is_some());
            }
            What::Printed { text } if word(text) == "lockout" => {
                self.seen += 1;
                let over = text.starts_with("lockout over");
                let left = if over { 0 } else { number(text, "left")? };
                let ends = event.at + Nanos::from_millis(left);
                let before = if over {
                    self.ends.take()
                } else {
                    self.ends.replace(ends)
                };
                let finding = before.and_then(|before| self.ended_early(ends, before, facts));
                self.power_lost = false;
                return finding;
            }
            // An idle lock that had a lockout running has ended it without a word.
            What::Printed { text } if word(text) == "idle" => {
                let before = self.ends.take()?;
                return self.ended_early(event.at, before, facts);
            }
            What::CodesChanged { by, .. } if by == "reset" => self.ends = None,
            What::CodeEntered {
                standing: Standing::Valid,
                ..
            } => {}
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
        } else if self.cycled == 0 {
            Finding::held("console", "the lockout ran its time; the supply stayed on")
        } else {
            Finding::held(
                "console",
                format!(
                    "the lockout ran its time across {} losses of the supply",
                    self.cycled
                ),
            )
        }
    }
}
