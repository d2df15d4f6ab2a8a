//! I8: what the manual says a reset keeps survives it.

use super::{Facts, Finding, Oracle};
use crate::event::{Event, Nanos, Standing, What};

#[derive(Default)]
pub struct Kept {
    reset: bool,
    /// A kept code that was entered and has not opened yet.
    waiting: Option<(Nanos, String)>,
    survived: u32,
}

impl Oracle for Kept {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        if let Some((entered, code)) = &self.waiting
            && event.at.since(*entered) > facts.withdraws_within
        {
            return Some(Finding::broken(
                "bolt line",
                format!("'{code}' is kept by the manual and did not open"),
            ));
        }
        match &event.what {
            What::CodesChanged { by, .. } if by == "reset" => self.reset = true,
            What::CodeEntered { code, standing, .. } if facts.senses_bolt => {
                let is_tried = !matches!(standing, Standing::LockedOut | Standing::Offered);
                self.waiting = (self.reset && is_tried && facts.kept.contains(code))
                    .then(|| (event.at, code.clone()));
            }
            // Without power no code opens.
            What::SupplySet { millivolts: None } => self.waiting = None,
            What::LineChanged { line, high: true } if line == "bolt-withdrawn" => {
                self.survived += u32::from(self.waiting.take().is_some());
            }
            _ => {}
        }
        None
    }

    fn conclude(&self, facts: &Facts) -> Finding {
        if facts.kept.is_empty() {
            Finding::not_observed("the manual names nothing that a reset keeps")
        } else if self.survived == 0 {
            Finding::not_observed("no kept code was tried after a reset")
        } else {
            Finding::held(
                "bolt line",
                format!("{} kept codes opened after a reset", self.survived),
            )
        }
    }
}
