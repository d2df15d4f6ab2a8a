//! I8: what the manual says a reset keeps survives it.
//!
//! A kept code shows by opening, a kept master code by a change that it authorises, a kept failure
//! count by the next attempt, a kept lockout by a right code that is refused, and a kept handing by
//! a bolt that has nothing to learn. Pairings and other settings leave no trace on this bench.

use std::collections::BTreeMap;

use super::{Facts, Finding, Keeps, Oracle, Resetting, number, word};
use crate::event::{Event, Nanos, Standing, What};

#[derive(Clone, Default)]
pub struct Kept {
    /// A kept code that was entered and has not opened yet.
    tried: Option<(Nanos, String, Keeps)>,
    /// A kept master code that was entered within a change, of which nothing has come yet; and
    /// whether no other code was entered after it.
    offered: Option<(String, bool)>,
    /// A right code that was entered during a lockout which a reset has kept.
    locked_out: Option<Nanos>,
    resetting: Resetting,
    /// The reset that is under way was reported as done.
    done: bool,
    /// The failure count, while it is known; and the one that the last reset has kept.
    failures: Option<u64>,
    failures_kept: Option<u64>,
    /// A wrong code was tried since the last reset: a lockout may be younger than it.
    erred: bool,
    /// Whether a reset was seen at all.
    reset: bool,
    survived: BTreeMap<Keeps, u32>,
}

impl Kept {
    fn survives(&mut self, keeps: Keeps) {
        *self.survived.entry(keeps).or_default() += 1;
    }

    /// Whether what was tried would have shown by now.
    fn overdue(&mut self, now: Nanos, facts: &Facts) -> Option<Finding> {
        if let Some((entered, code, keeps)) = &self.tried
            && now.since(*entered) > facts.withdraws_within
        {
            return Some(Finding::broken(
                "bolt line",
                format!(
                    "'{code}' is kept by the rule '{}' and did not open",
                    keeps.rule()
                ),
            ));
        }
        if let Some(entered) = self.locked_out
            && now.since(entered) > facts.withdraws_within
        {
            self.locked_out = None;
            self.survives(Keeps::Counters);
        }
        None
    }

    fn entered(&mut self, event: &Event, facts: &Facts) {
        let What::CodeEntered {
            code,
            standing,
            kept_by,
            ..
        } = &event.what
        else {
            return;
        };
        let keeps = facts
            .kept
            .iter()
            .copied()
            .find(|keeps| kept_by.as_deref() == Some(keeps.rule()));
        (self.tried, self.locked_out) = (None, None);
        match (standing, keeps) {
            (Standing::Valid, Some(keeps)) if facts.senses_bolt => {
                self.tried = Some((event.at, code.clone(), keeps));
            }
            (Standing::Offered, Some(Keeps::MasterCode)) => {
                self.offered = Some((code.clone(), true));
            }
            // If the change is refused, it may be for this one.
            (Standing::Offered, _) => {
                if let Some((_, is_last)) = &mut self.offered {
                    *is_last = false;
                }
            }
            (Standing::LockedOut, _)
                if facts.senses_bolt
                    && self.reset
                    && !self.erred
                    && facts.kept.contains(&Keeps::Counters) =>
            {
                self.locked_out = Some(event.at);
            }
            (Standing::Invalid | Standing::Unsettled, _) => self.erred = true,
            _ => {}
        }
    }

    /// The bolt was withdrawn.
    fn opened(&mut self, facts: &Facts) -> Option<Finding> {
        if let Some((_, _, keeps)) = self.tried.take() {
            self.survives(keeps);
        }
        if self.locked_out.is_some() {
            return Some(Finding::broken(
                "bolt line",
                format!(
                    "the lockout is kept by the rule '{}', and the bolt opened",
                    Keeps::Counters.rule()
                ),
            ));
        }
        if self.resetting.is_under_way() && facts.kept.contains(&Keeps::Handing) {
            return Some(Finding::broken(
                "bolt line",
                format!(
                    "the handing is kept by the rule '{}', and the bolt moved as if to learn it",
                    Keeps::Handing.rule()
                ),
            ));
        }
        None
    }

    fn printed(&mut self, text: &str, facts: &Facts) -> Option<Finding> {
        if text == "reset done" {
            (self.done, self.reset, self.erred) = (true, true, false);
            if facts.kept.contains(&Keeps::Counters) {
                self.failures_kept = self.failures.filter(|failures| *failures > 0);
            }
        }
        if ["accepted", "lockout"].contains(&word(text)) {
            (self.failures, self.failures_kept) = (None, None);
        }
        let failures = number(text, "failures")?;
        // What is charged counts once it is refused.
        self.failures = (word(text) != "attempt").then_some(failures);
        let kept = self.failures_kept.take()?;
        if failures < kept + u64::from(word(text) == "attempt") {
            return Some(Finding::broken(
                "console",
                format!(
                    "the count of {kept} is kept by the rule '{}', and the next one was {failures}",
                    Keeps::Counters.rule()
                ),
            ));
        }
        self.survives(Keeps::Counters);
        None
    }
}

impl Oracle for Kept {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        if let Some(finding) = self.overdue(event.at, facts) {
            return Some(finding);
        }
        let was_resetting = self.resetting.is_under_way();
        self.resetting.see(&event.what);
        if was_resetting && !self.resetting.is_under_way() {
            let done = std::mem::take(&mut self.done);
            if done && facts.senses_bolt && facts.kept.contains(&Keeps::Handing) {
                self.survives(Keeps::Handing);
            }
        }
        match &event.what {
            What::CodeEntered { .. } => self.entered(event, facts),
            What::CodesChanged { .. } if self.offered.take().is_some() => {
                self.survives(Keeps::MasterCode);
            }
            What::Checked { held: false, .. } => {
                let (code, is_last) = self.offered.take()?;
                return is_last.then(|| {
                    let rule = Keeps::MasterCode.rule();
                    Finding::broken(
                        "lamp and beeper lines",
                        format!("'{code}' is kept by the rule '{rule}', and what it authorises was not done"),
                    )
                });
            }
            What::StepStarted { inside: None, .. } => self.offered = None,
            // Without power nothing opens and nothing is counted, and after a cut nothing is certain.
            What::SupplySet { millivolts: None } | What::Interrupted { .. } => {
                (self.tried, self.offered, self.locked_out) = (None, None, None);
                (self.failures, self.failures_kept) = (None, None);
            }
            What::LineChanged { line, high: true } if line == "bolt-withdrawn" => {
                return self.opened(facts);
            }
            What::Printed { text } => return self.printed(text, facts),
            _ => {}
        }
        None
    }

    fn conclude(&self, facts: &Facts) -> Finding {
        if facts.kept.is_empty() {
            return Finding::not_observed("the manual names nothing that a reset keeps");
        }
        let (seen, unseen): (Vec<Keeps>, Vec<Keeps>) = facts
            .kept
            .iter()
            .partition(|keeps| self.survived.contains_key(keeps));
        let seen: Vec<String> = seen
            .iter()
            .map(|keeps| format!("'{}' {} times", keeps.rule(), self.survived[keeps]))
            .collect();
        let unseen: Vec<String> = unseen
            .iter()
            .map(|keeps| format!("'{}'", keeps.rule()))
            .collect();
        let unseen = match unseen.is_empty() {
            true => String::new(),
            false => format!("; not put to the test: {}", unseen.join(", ")),
        };
        if seen.is_empty() {
            return Finding::not_observed(format!("nothing of it was tried after a reset{unseen}"));
        }
        Finding::held(
            "bolt, lamp and console lines",
            format!("outlived a reset: {}{unseen}", seen.join(", ")),
        )
    }
}
