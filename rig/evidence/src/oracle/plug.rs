//! I1 on a mechanical cylinder: the plug turns only with a key that is valid now.

use super::{Facts, Finding, Oracle};
use crate::event::{Event, Standing, What};

#[derive(Clone, Default)]
pub struct Plug {
    /// The key that was pushed in last.
    key: Option<(String, Standing)>,
    turns: u32,
    /// Those of them with a key that the cylinder was to learn, or might have learnt.
    uncertain: u32,
}

impl Oracle for Plug {
    fn see(&mut self, event: &Event, _: &Facts) -> Option<Finding> {
        match &event.what {
            What::KeyInserted { key, standing } => self.key = Some((key.clone(), *standing)),
            What::LineChanged { line, high: true } if line == "plug-turned" => match &self.key {
                Some((_, Standing::Valid)) => self.turns += 1,
                Some((_, Standing::Offered | Standing::Unsettled)) => self.uncertain += 1,
                Some((key, Standing::Invalid | Standing::LockedOut)) => {
                    let because = format!("the plug turned with key {key}, which is not valid");
                    return Some(Finding::broken("plug line", because));
                }
                None => {
                    let because = "the plug turned, and no key was in it";
                    return Some(Finding::broken("plug line", because));
                }
            },
            _ => {}
        }
        None
    }

    fn conclude(&self, _: &Facts) -> Finding {
        let mut words = vec![format!("{} turns with a valid key", self.turns)];
        if self.uncertain > 0 {
            words.push(format!(
                "{} with a key that the cylinder was to learn",
                self.uncertain
            ));
        }
        Finding::held("plug line", words.join("; "))
    }
}
