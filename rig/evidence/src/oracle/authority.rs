//! I5: a reset needs its authorisation, and the door in the permitted state.

use super::{Facts, Finding, Oracle, Resetting};
use crate::event::{Event, What};

#[derive(Clone, Default)]
pub struct Authority {
    resetting: Resetting,
    door_open: Option<bool>,
    resets: u32,
}

impl Oracle for Authority {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        self.resetting.see(&event.what);
        match &event.what {
            What::LineChanged { line, high } if line == "door" => self.door_open = Some(!high),
            What::Printed { text } if text == "reset done" => {
                self.resets += 1;
                if !self.resetting.is_under_way() {
                    return Some(Finding::broken(
                        "console",
                        "the lock reset itself, and nobody had asked for it",
                    ));
                }
                if facts.reset_needs_open_door && self.door_open == Some(false) {
                    return Some(Finding::broken(
                        "console, door line",
                        "the lock reset itself with the door closed",
                    ));
                }
            }
            _ => {}
        }
        None
    }

    fn conclude(&self, facts: &Facts) -> Finding {
        match self.resets {
            0 => Finding::not_observed("no reset was reported on the console"),
            n if facts.reset_needs_open_door && self.door_open.is_none() => Finding::held(
                "console",
                format!("{n} resets, each asked for; the door was not observed"),
            ),
            n => Finding::held("console", format!("{n} resets, each asked for")),
        }
    }
}
