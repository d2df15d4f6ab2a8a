//! I6: the time to a refusal does not depend on how many digits were right.
//!
//! Digit by digit comparison has opened safes: one product drew its current 28 µs later for each
//! correct digit. What can be seen from outside is the time from the last key to the first sign.

use super::{Facts, Finding, Oracle};
use crate::event::{Event, Nanos, Standing, What};

#[derive(Default)]
pub struct Timing {
    /// A wrong code whose refusal is still to be seen: leading digits that were right, and when its
    /// last key made contact, as sensed.
    waiting: Option<(usize, Option<Nanos>)>,
    /// Leading digits that were right, and the time it took.
    refusals: Vec<(usize, Nanos)>,
}

impl Oracle for Timing {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        match &event.what {
            What::CodeEntered {
                standing: Standing::Invalid,
                leading,
                ..
            } => {
                self.waiting = Some((*leading, None));
            }
            What::CodeEntered { .. } | What::SupplySet { .. } => self.waiting = None,
            What::LineChanged { line, high: true } if line == "key" => {
                // Only the first contact counts: the rest is bounce, or the next code.
                if let Some((_, closed @ None)) = &mut self.waiting {
                    *closed = Some(event.at);
                }
            }
            What::LineChanged { line, high: true } if line == "red" || line == "beeper" => {
                let (leading, closed) = self.waiting.take()?;
                let took = event.at.since(closed?);
                // What comes later has another cause.
                if took > facts.withdraws_within {
                    return None;
                }
                let other = self.refusals.iter().find(|(digits, before)| {
                    *digits != leading && took.0.abs_diff(before.0) > facts.resolution.0
                });
                if let Some((digits, before)) = other {
                    return Some(Finding::broken(
                        "key, lamp and beeper lines",
                        format!(
                            "{took} with {leading} leading digits right, {before} with {digits}; the bench tells {} apart",
                            facts.resolution
                        ),
                    ));
                }
                self.refusals.push((leading, took));
            }
            _ => {}
        }
        None
    }

    fn conclude(&self, facts: &Facts) -> Finding {
        let Some((first, _)) = self.refusals.first() else {
            return Finding::not_observed("no refusal was timed");
        };
        if self.refusals.iter().all(|(digits, _)| digits == first) {
            return Finding::not_observed(
                "all wrong codes had the same number of leading digits right",
            );
        }
        Finding::held(
            "key, lamp and beeper lines",
            format!(
                "{} refusals; those that had different digits right within {} of each other",
                self.refusals.len(),
                facts.resolution
            ),
        )
    }
}
