//! I7: the lock always reaches idle, locked or a reported fault: no brick, no hang.

use super::{Facts, Finding, Oracle, word};
use crate::event::{Event, What};

#[derive(Default)]
pub struct Alive {
    /// What the supply was last set to; 0 is off.
    millivolts: u32,
    /// Codes entered and signs of life seen since the supply last came on, or up again after a sag.
    entered: u32,
    signs: u32,
    /// A fault was reported since the supply last came on; it may stay until it comes on again.
    faulted: bool,
    power_ons: u32,
}

impl Oracle for Alive {
    fn see(&mut self, event: &Event, _: &Facts) -> Option<Finding> {
        match &event.what {
            What::SupplySet { millivolts } => {
                let before = std::mem::replace(&mut self.millivolts, millivolts.unwrap_or(0));
                if self.millivolts > before {
                    self.faulted &= before > 0;
                    (self.entered, self.signs) = (0, 0);
                    self.power_ons += 1;
                }
            }
            // Without power nothing answers.
            What::CodeEntered { .. } if self.millivolts > 0 => self.entered += 1,
            What::Printed { text } => {
                self.signs += 1;
                self.faulted |= word(text) == "fault";
            }
            What::LineChanged { line, high: true }
                if ["red", "green", "yellow", "beeper", "bolt-withdrawn"]
                    .contains(&line.as_str()) =>
            {
                self.signs += 1;
            }
            _ => {}
        }
        None
    }

    fn conclude(&self, _: &Facts) -> Finding {
        match (self.signs, self.entered) {
            (0, entered @ 1..) if self.faulted => Finding::broken(
                "lamp, beeper, bolt and console lines",
                format!(
                    "the lock reported a fault, and is dead although the supply is back: {entered} codes, and not one sign of life"
                ),
            ),
            _ if self.faulted => Finding::held("console", "the lock reported a fault"),
            (0, 0) => {
                Finding::not_observed("nothing was asked of the lock since the supply came on")
            }
            (0, entered) => Finding::broken(
                "lamp, beeper, bolt and console lines",
                format!("{entered} codes since the supply came on, and not one sign of life"),
            ),
            _ => Finding::held(
                "lamp, beeper, bolt and console lines",
                format!(
                    "the lock answered after the last of {} power-ons",
                    self.power_ons
                ),
            ),
        }
    }
}
