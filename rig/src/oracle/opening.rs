//! I1: the bolt opens only after a code that is valid now.

use super::{Facts, Finding, Oracle};
use crate::event::{Event, Nanos, Standing, What};

#[derive(Default)]
pub struct Opening {
    last_code: Option<(Nanos, Standing)>,
    /// Step of the reset procedure that is being carried out.
    resetting: Option<u32>,
    openings: u32,
    exempted: u32,
}

impl Oracle for Opening {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        match &event.what {
            What::CodeEntered { standing, .. } => self.last_code = Some((event.at, *standing)),
            What::StepStarted {
                step,
                procedure: Some(name),
                ..
            } if name == "reset" => {
                self.resetting = Some(*step);
            }
            What::StepFinished { step } if self.resetting == Some(*step) => self.resetting = None,
            What::LineChanged { line, high: true } if line == "bolt-withdrawn" => {
                let credential = self
                    .last_code
                    .filter(|(entered, _)| event.at.since(*entered) <= facts.stays_open);
                match credential {
                    Some((_, Standing::Valid | Standing::Unsettled)) => self.openings += 1,
                    Some((_, Standing::LockedOut)) => {
                        return Some(Finding::broken(
                            "bolt line",
                            "the bolt opened during a lockout",
                        ));
                    }
                    // A refused code before a documented movement does not taint it.
                    _ if facts.learns_handing && self.resetting.is_some() => self.exempted += 1,
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

    fn conclude(&self, _: &Facts) -> Finding {
        let Opening {
            openings, exempted, ..
        } = self;
        match (openings, exempted) {
            (0, 0) => Finding::held("bolt line", "the bolt never opened"),
            (_, 0) => Finding::held(
                "bolt line",
                format!("{openings} openings, each after a valid code"),
            ),
            _ => Finding::exempted(
                "bolt line",
                format!(
                    "{openings} openings after a valid code; {exempted} by itself during the reset, under the rule 'reset.erases.handing'"
                ),
            ),
        }
    }
}
