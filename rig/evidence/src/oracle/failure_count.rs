//! I2: the stored failure count never decreases but by a success.
//!
//! The reference firmware charges an attempt (`attempt failures=n`) before it looks at the code, and
//! says `refused failures=n` if the code was wrong. A charge that is never refused was a success,
//! or the power went meanwhile.

use super::{Facts, Finding, Oracle, number, word};
use crate::event::{Event, Nanos, Standing, What};

#[derive(Clone, Default)]
pub struct FailureCount {
    last: Option<u64>,
    /// When each count came that was higher than the one before.
    counted: Vec<Nanos>,
    /// An attempt was charged and has not been refused.
    charged: bool,
    /// The last code that was entered is surely wrong.
    is_wrong: bool,
    /// And nothing was said of it yet: a console lags behind what is stored.
    unanswered: bool,
    /// What happened since the last count that may lower it by the manual.
    allowed_by: Option<&'static str>,
    seen: u32,
    exempted_by: Option<&'static str>,
}

impl Oracle for FailureCount {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        let text = match &event.what {
            What::CodeEntered { standing, .. } => {
                // By the next code a charge that was not refused is a success, said or not.
                if self.charged && !self.is_wrong {
                    (self.last, self.charged) = (None, false);
                }
                self.is_wrong = matches!(standing, Standing::Invalid | Standing::LockedOut);
                self.unanswered = true;
                return None;
            }
            What::Printed { text } => text,
            _ => return None,
        };
        match text.as_str() {
            "lockout over" => self.allowed_by = Some("lockout.stages"),
            "reset done" if facts.reset_erases_counters => {
                self.allowed_by = Some("reset.erases.counters: at-once");
            }
            // The success is stored before it is said: what was counted until then is forgiven.
            _ if word(text) == "accepted" => (self.last, self.charged) = (None, false),
            _ => {}
        }
        // A right code may have been stored as a success before the power went; a wrong one not.
        if word(text) == "boot" {
            self.charged = !self.is_wrong && (self.charged || self.unanswered);
        }
        let count = number(text, "failures")?;
        self.seen += 1;
        self.unanswered = false;
        let succeeded = std::mem::replace(&mut self.charged, word(text) == "attempt");
        let allowed_by = self.allowed_by.take();
        let previous = self.last.replace(count)?;
        if count > previous {
            self.counted.push(event.at);
        }
        if count >= previous || (succeeded && word(text) != "refused") {
            return None;
        }
        self.exempted_by = allowed_by.or_else(|| self.faded(event.at, count, facts));
        if self.exempted_by.is_some() {
            return None;
        }
        Some(Finding::broken(
            "console",
            format!("the count went from {previous} to {count} without a success"),
        ))
    }

    fn conclude(&self, _: &Facts) -> Finding {
        match (self.seen, self.exempted_by) {
            (0 | 1, _) => {
                Finding::not_observed("the board did not print two failure counts on its console")
            }
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

impl FailureCount {
    /// The rule by which wrong codes that lie far enough back no longer count, if they alone explain
    /// this count.
    fn faded(&self, at: Nanos, count: u64, facts: &Facts) -> Option<&'static str> {
        let window = facts.counted_within?;
        let recent = self
            .counted
            .iter()
            .filter(|then| at.since(**then) < window)
            .count();
        (count >= recent as u64).then_some("lockout.counted-within")
    }
}
