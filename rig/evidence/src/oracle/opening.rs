//! I1: the bolt opens only after a code that is valid now.

use super::{Facts, Finding, Oracle, Resetting};
use crate::event::{Event, Nanos, Standing, What};

#[derive(Clone, Default)]
pub struct Opening {
    last_code: Option<(Nanos, Standing)>,
    resetting: Resetting,
    openings: u32,
    /// Those of them after which it is not certain that the code was valid.
    unsettled: u32,
    exempted: u32,
}

impl Oracle for Opening {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        self.resetting.see(&event.what);
        match &event.what {
            What::CodeEntered { standing, .. } => self.last_code = Some((event.at, *standing)),
            What::LineChanged { line, high: true } if line == "bolt-withdrawn" => {
                let credential = self
                    .last_code
                    .filter(|(entered, _)| event.at.since(*entered) <= facts.stays_open);
                match credential {
                    Some((_, Standing::Valid)) => self.openings += 1,
                    Some((_, Standing::Unsettled)) => self.unsettled += 1,
                    Some((_, Standing::LockedOut)) => {
                        return Some(Finding::broken(
                            "bolt line",
                            "the bolt opened during a lockout",
                        ));
                    }
                    // A refused code before a documented movement does not taint it.
                    _ if facts.learns_handing && self.resetting.is_under_way() => {
                        self.exempted += 1
                    }
                    Some((_, Standing::Invalid | Standing::Offered)) => {
                        return Some(Finding::broken(
                            "bolt line",
                            "the bolt opened after a code that is not valid",
                        ));
                    }
                    None => {
                        return Some(Finding::broken(
                            "bolt line",
                            format!(
                                "the bolt opened, and no code was entered within {} before",
                                facts.stays_open
                            ),
                        ));
                    }
                }
            }
            _ => {}
        }
        None
    }

    fn conclude(&self, facts: &Facts) -> Finding {
        if !facts.senses_bolt {
            return Finding::not_observed("the bench has no line 'bolt-withdrawn'");
        }
        let mut words = Vec::new();
        if self.openings > 0 {
            words.push(format!("{} openings after a valid code", self.openings));
        }
        if self.unsettled > 0 {
            words.push(format!(
                "{} after a code that a cut may have left valid",
                self.unsettled
            ));
        }
        if self.exempted > 0 {
            words.push(format!(
                "{} by itself during the reset, under the rule 'reset.erases.handing'",
                self.exempted
            ));
            return Finding::exempted("bolt line", words.join("; "));
        }
        if words.is_empty() {
            words.push("the bolt never opened".to_owned());
        }
        Finding::held("bolt line", words.join("; "))
    }
}
