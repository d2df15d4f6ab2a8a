//! I6: the time to a refusal does not depend on how many digits were right.
//!
//! Digit by digit comparison has opened safes: one product drew its current 28 µs later for each
//! correct digit. What can be seen from outside is the time from the last key to the first sign.
//! Key scan and clock of the lock add to it by chance, and how much is seen in codes that have as
//! many digits right; what those hide is not told. The fastest of each kind are compared.

use std::collections::BTreeMap;

use super::{Facts, Finding, Oracle, word};
use crate::event::{Event, Nanos, Standing, What};

#[derive(Default)]
pub struct Timing {
    /// A wrong code whose refusal is still to be seen: leading digits that were right, and when its
    /// last key made contact, as sensed.
    waiting: Option<(usize, Option<Nanos>)>,
    /// When the last refusal was seen, the leading digits that were right, and the time it took.
    last: Option<(Nanos, usize, Nanos)>,
    /// All before it.
    refusals: BTreeMap<usize, Times>,
}

/// The times of the refusals with as many digits right.
#[derive(Clone, Copy)]
struct Times {
    shortest: Nanos,
    longest: Nanos,
    count: u32,
}

impl Times {
    fn spread(&self) -> Nanos {
        self.longest.since(self.shortest)
    }
}

/// How many refusals of each kind show what chance adds to their times.
const REPEATS_MIN: u32 = 4;

/// How long after the first sign of a refusal the lock may say that it leads to a lockout.
const CONSOLE_LAG: Nanos = Nanos::from_millis(50);

fn count(refusals: &mut BTreeMap<usize, Times>, leading: usize, took: Nanos) {
    let first = Times {
        shortest: took,
        longest: took,
        count: 0,
    };
    let times = refusals.entry(leading).or_insert(first);
    times.shortest = times.shortest.min(took);
    times.longest = times.longest.max(took);
    times.count += 1;
}

impl Oracle for Timing {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding> {
        match &event.what {
            What::CodeEntered {
                standing, leading, ..
            } => {
                if let Some((_, leading, took)) = self.last.take() {
                    count(&mut self.refusals, leading, took);
                }
                self.waiting = (*standing == Standing::Invalid).then_some((*leading, None));
            }
            What::SupplySet { .. } => self.waiting = None,
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
                if took <= facts.withdraws_within {
                    self.last = Some((event.at, leading, took));
                }
            }
            // The code that was one too many is answered in another way.
            What::Printed { text } if word(text) == "lockout" => {
                let began = |(seen, ..): &(Nanos, usize, Nanos)| event.at.since(*seen);
                self.last = self.last.filter(|last| began(last) > CONSOLE_LAG);
                self.waiting = None;
            }
            _ => {}
        }
        None
    }

    fn conclude(&self, facts: &Facts) -> Finding {
        let mut refusals = self.refusals.clone();
        if let Some((_, leading, took)) = self.last {
            count(&mut refusals, leading, took);
        }
        let by_time = |(_, times): &(&usize, &Times)| times.shortest;
        let (Some((fast_digits, fastest)), Some((slow_digits, slowest))) = (
            refusals.iter().min_by_key(by_time),
            refusals.iter().max_by_key(by_time),
        ) else {
            return Finding::not_observed("no refusal was timed");
        };
        if refusals.len() == 1 {
            return Finding::not_observed(
                "all wrong codes had the same number of leading digits right",
            );
        }
        let repeated = refusals.values().filter(|times| times.count > 1);
        let chance = repeated.map(Times::spread).max();
        // A few refusals may be alike by chance.
        let is_known = refusals.values().all(|times| times.count >= REPEATS_MIN);
        let told_apart = match chance {
            Some(chance) if is_known => chance + facts.uncertainty,
            Some(chance) => facts.resolution.max(chance + facts.uncertainty),
            None => facts.resolution,
        };
        let apart = slowest.shortest.since(fastest.shortest);
        let chance = match chance {
            Some(chance) => format!("those with as many differ by up to {chance}"),
            None => "none was repeated".to_owned(),
        };
        if apart > told_apart {
            return Finding::broken(
                "key, lamp and beeper lines",
                format!(
                    "{} with {slow_digits} leading digits right, {} with {fast_digits}; {chance}",
                    slowest.shortest, fastest.shortest
                ),
            );
        }
        if told_apart > facts.resolution {
            return Finding::not_observed(format!(
                "refusals with different leading digits right differ by {apart}, but {chance}"
            ));
        }
        let digits: Vec<String> = refusals.keys().map(usize::to_string).collect();
        let total: u32 = refusals.values().map(|times| times.count).sum();
        Finding::held(
            "key, lamp and beeper lines",
            format!(
                "{total} refusals of codes with {} leading digits right: the fastest of each within {apart}; {chance}. \
                 The current was not looked at: a supply reads it less often than the lock decides",
                digits.join(", ")
            ),
        )
    }
}
