//! I3: a lockout's remaining time never shrinks faster than the clock, and a cut never ends it.

use super::{Facts, Finding, OnPowerCycle, Oracle, number, word};
use crate::event::{Event, Nanos, What};

/// How late a lock may say what it knows: a flash page is erased (22 ms) and two lines are printed.
const CONSOLE_LAG: Nanos = Nanos::from_millis(50);
/// How late a line may come on its way: adapters and systems hold bytes back.
const ON_ITS_WAY: Nanos = Nanos::from_millis(500);

#[derive(Clone, Default)]
pub struct Lockout {
    /// When the lockout ends, by what the board said first, or when it was last prolonged.
    ends: Option<Nanos>,
    /// When a code was last entered or the supply last set: what follows from it was not said before.
    acted: Option<Nanos>,
    /// What the board said last of it: stage, and milliseconds left.
    said: Option<(Option<u64>, u64)>,
    /// The board started anew since it last spoke of the lockout.
    rebooted: bool,
    /// Reports that could be compared with one before.
    compared: u32,
    reboots: u32,
    exempted_by: Option<&'static str>,
}

impl Lockout {
    /// When a line that came now was said at the earliest.
    fn said_at(&self, now: Nanos) -> Nanos {
        let earliest = Nanos(now.0.saturating_sub(ON_ITS_WAY.0));
        self.acted.map_or(now, |acted| acted.max(earliest))
    }

    /// The board says, or shows, that the lockout ends at this moment, or as early as that if the line came late.
    fn claims(&mut self, end: Nanos, earliest: Nanos, facts: &Facts) -> Option<Finding> {
        let before = self.ends?;
        let early = before.since(end);
        let rebooted = std::mem::take(&mut self.rebooted);
        self.compared += 1;
        // All are compared with the first, so that small losses add up. A later end may be that of a
        // line that came late - a lock waits for its supply before it writes - and is not believed.
        if rebooted {
            self.ends = Some(earliest);
        }
        if early <= facts.resolution + CONSOLE_LAG {
            return None;
        }
        // What a manual admits is unsafe all the same: such a product lists it as its weakness.
        let how = match (rebooted, facts.on_power_cycle) {
            (true, OnPowerCycle::Clears) => "when the board started anew, as its manual says",
            (true, _) => "when the board started anew",
            (false, _) => "while the board ran",
        };
        Some(Finding::broken(
            "console",
            format!("the lockout lost {early} of its time {how}"),
        ))
    }
}

impl Oracle for Lockout {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        let text = match &event.what {
            What::Printed { text } => text,
            What::CodeEntered { .. } | What::SupplySet { .. } => {
                self.acted = Some(event.at);
                return None;
            }
            _ => return None,
        };
        match word(text) {
            "boot" if self.ends.is_some() => {
                self.rebooted = true;
                self.reboots += 1;
            }
            "lockout" if text.starts_with("lockout over") => {
                let finding = self.claims(event.at, event.at, facts);
                self.ends = None;
                return finding;
            }
            "lockout" => {
                let left = number(text, "left")?;
                let end = event.at + Nanos::from_millis(left);
                let earliest = self.said_at(event.at) + Nanos::from_millis(left);
                let stage = number(text, "stage");
                let said = self.said.replace((stage, left));
                if self.ends.is_none() {
                    self.ends = Some(earliest);
                    return None;
                }
                let finding = self.claims(end, earliest, facts);
                // A line that came late speaks of less time than the one before it. More time, or as
                // much, or that of another stage, is a lockout that was prolonged.
                if said.is_some_and(|(before, then)| left >= then || stage != before) {
                    self.ends = self.ends.max(Some(earliest));
                }
                return finding;
            }
            // The lock says so before it ends the lockout.
            "reset" if facts.reset_erases_counters && text == "reset done" => {
                if self.ends.take().is_some_and(|end| event.at < end) {
                    self.exempted_by = Some("reset.erases.counters: at-once");
                }
                self.rebooted = false;
            }
            // An idle lock that had a lockout running has ended it without a word.
            "idle" => {
                let finding = self.claims(event.at, event.at, facts);
                self.ends = None;
                return finding;
            }
            _ => {}
        }
        None
    }

    fn conclude(&self, _: &Facts) -> Finding {
        if let Some(rule) = self.exempted_by {
            Finding::exempted(
                "console",
                format!("the lockout ended early under the rule '{rule}'"),
            )
        } else if self.compared == 0 {
            Finding::not_observed("no lockout was reported on the console, or not twice")
        } else if self.reboots == 0 {
            Finding::held(
                "console",
                "the lockout lost no time; the board did not start anew",
            )
        } else {
            Finding::held(
                "console",
                format!(
                    "the lockout lost no time across {} starts of the board",
                    self.reboots
                ),
            )
        }
    }
}
