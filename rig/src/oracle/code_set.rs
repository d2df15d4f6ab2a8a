//! I4: after any cut the codes are exactly the old, exactly the new or exactly the factory set.

use super::{Facts, Finding, Oracle};
use crate::event::{Event, What};

#[derive(Default)]
pub struct CodeSet {
    cut: bool,
    settled: Option<String>,
}

impl Oracle for CodeSet {
    fn see(&mut self, event: &Event, _: &Facts) -> Option<Finding> {
        match &event.what {
            What::Interrupted { .. } => (self.cut, self.settled) = (true, None),
            What::Settled { set: Some(set), .. } => self.settled = Some(set.clone()),
            What::Settled { set: None, because } if self.cut => {
                return Some(Finding::broken("bolt line", because.clone()));
            }
            _ => {}
        }
        None
    }

    fn conclude(&self, _: &Facts) -> Finding {
        match (self.cut, &self.settled) {
            (false, _) => Finding::not_observed("no change was interrupted"),
            (true, None) => {
                Finding::not_observed("the scenario did not try which codes open after the cut")
            }
            (true, Some(set)) => {
                Finding::held("bolt line", format!("exactly the set '{set}' opened"))
            }
        }
    }
}
