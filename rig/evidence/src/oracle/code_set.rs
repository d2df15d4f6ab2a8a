//! I4: after any cut the codes are exactly the old, exactly the new or exactly the factory set.

use super::{Facts, Finding, Oracle, word};
use crate::event::{Event, What};

#[derive(Clone, Default)]
pub struct CodeSet {
    cut: bool,
    /// The lock reported a fault since it last started: it then refuses every code.
    faulted: bool,
    settled: Option<String>,
}

impl Oracle for CodeSet {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        match &event.what {
            What::Interrupted { .. } => (self.cut, self.settled) = (true, None),
            What::Printed { text } if word(text) == "fault" => self.faulted = true,
            What::Printed { text } if word(text) == "boot" => self.faulted = false,
            // An empty factory set is no evidence where nothing can open.
            What::Settled { set: Some(_), .. } if self.faulted => self.settled = None,
            What::Settled { set: Some(set), .. } => self.settled = Some(set.clone()),
            What::Settled { set: None, because } if self.cut => {
                return Some(Finding::broken(evidence(facts), because.clone()));
            }
            _ => {}
        }
        None
    }

    fn conclude(&self, facts: &Facts) -> Finding {
        match (self.cut, &self.settled) {
            (false, _) => Finding::not_observed("no change was interrupted"),
            (true, None) if self.faulted => {
                Finding::not_observed("the lock reported a fault, and no code could be tried")
            }
            (true, None) => {
                Finding::not_observed("the scenario did not try which codes open after the cut")
            }
            (true, Some(set)) => {
                Finding::held(evidence(facts), format!("exactly the set '{set}' opened"))
            }
        }
    }
}

/// What shows whether something opened.
fn evidence(facts: &Facts) -> &'static str {
    match facts.senses_plug {
        true => "plug line",
        false => "bolt line",
    }
}
