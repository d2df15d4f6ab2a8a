//! I2: the stored failure count never decreases but by a success.

use super::{Facts, Finding, Oracle, number, word};
use crate::event::{Event, Nanos, What};

#[derive(Default)]
pub struct FailureCount {
    last: Option<(Nanos, u64)>,
    /// Something happened since that may clear the count by the manual.
    cleared: bool,
    lockout_ended: bool,
    seen: u32,
    exempted_by: Option<&'static str>,
}

impl Oracle for FailureCount {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        let What::Printed { text } = &event.what else {
            return None;
        };
        match word(text) {
            "accepted" | "reset" | "change" => self.cleared = true,
            "lockout" => self.lockout_ended = true,
            _ => {}
        }
        let count = number(text, "failures")?;
        self.seen += 1;
        let before = self.last.replace((event.at, count));
        let cleared = std::mem::take(&mut self.cleared);
        let lockout_ended = std::mem::take(&mut self.lockout_ended);
        let (then, previous) = before?;
        if count >= previous || cleared {
            return None;
        }
        if lockout_ended {
            self.exempted_by = Some("lockout.stages");
        } else if facts
            .counted_within
            .is_some_and(|window| event.at.since(then) >= window)
        {
            self.exempted_by = Some("lockout.counted-within");
        } else {
            return Some(Finding::broken(
                "console",
                format!("the count went from {previous} to {count} without a success"),
            ));
        }
        None
    }

    fn conclude(&self, _: &Facts) -> Finding {
        match (self.seen, self.exempted_by) {
            (0, _) => Finding::not_observed("the board printed no failure count on its console"),
            (_, Some(rule)) => {
                Finding::exempted("console", format!("the count fell under the rule '{rule}'"))
            }
            (seen, None) => Finding::held(
                "console",
                format!("{seen} counts, none lower without a success"),
            ),
        }
    }
}
