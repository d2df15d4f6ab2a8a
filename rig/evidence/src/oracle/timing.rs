//! I6: the time to a refusal does not depend on how many digits were right.
//!
//! Digit by digit comparison has opened safes: one product drew its current 28 µs later for each
//! correct digit. What can be seen from outside is the time from the last key to the first sign.
//! Key scan and clock of the lock add to it by chance, and how much is seen in codes that have as
//! many digits right; what those hide is not told. The fastest of each kind are compared.
//!
//! A lock that writes before it decides tells more: from the end of its write to the first sign neither key
//! scan nor clock come between. A write shows in the current; here the virtual bench tells of it.

use std::collections::BTreeMap;

use super::{Facts, Finding, Oracle, word};
use crate::event::{Event, Nanos, Standing, What};

#[derive(Clone, Default)]
pub struct Timing {
    /// A wrong code whose refusal is still to be seen: leading digits that were right, and when its
    /// last key made contact, as sensed.
    waiting: Option<(usize, Option<Nanos>)>,
    /// When the last refusal was seen, the leading digits that were right, and the time it took.
    last: Option<Timed>,
    /// All before it.
    refusals: BTreeMap<usize, Times>,
    /// When the last write to flash ended since the code was entered.
    written: Option<Nanos>,
    /// The times from there to the first sign, of all before the last.
    after_write: BTreeMap<usize, Times>,
}

/// A refusal.
#[derive(Clone, Copy)]
struct Timed {
    seen: Nanos,
    leading: usize,
    took: Nanos,
    after_write: Option<Nanos>,
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

/// How far two of the same kind may be apart on the board's own clock: what a few of its cycles take.
const CYCLES: Nanos = Nanos(250);

/// How long after the first sign of a refusal the lock may say that it leads to a lockout.
const CONSOLE_LAG: Nanos = Nanos::from_millis(50);

impl Timed {
    fn count(
        self,
        refusals: &mut BTreeMap<usize, Times>,
        after_write: &mut BTreeMap<usize, Times>,
    ) {
        count(refusals, self.leading, self.took);
        if let Some(took) = self.after_write {
            count(after_write, self.leading, took);
        }
    }
}

/// Whether the time from the lock's write to its first sign tells how many digits were right.
fn told_by_write(after_write: &BTreeMap<usize, Times>) -> Option<Finding> {
    if after_write.values().any(|times| times.count < REPEATS_MIN) {
        return None;
    }
    let by_time = |(_, times): &(&usize, &Times)| times.shortest;
    let (fast_digits, fastest) = after_write.iter().min_by_key(by_time)?;
    let (slow_digits, slowest) = after_write.iter().max_by_key(by_time)?;
    let chance = after_write.values().map(Times::spread).max()?;
    let apart = slowest.shortest.since(fastest.shortest);
    (apart > chance + CYCLES).then(|| {
        Finding::broken(
            "writes to flash, lamp and beeper lines",
            format!(
                "from the write to the first sign {} ns longer with {slow_digits} leading digits right than with \
                 {fast_digits}; those with as many differ by up to {} ns",
                apart.0, chance.0
            ),
        )
    })
}

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
                if let Some(last) = self.last.take() {
                    last.count(&mut self.refusals, &mut self.after_write);
                }
                self.written = None;
                self.waiting = (*standing == Standing::Invalid).then_some((*leading, None));
            }
            What::SupplySet { .. } => self.waiting = None,
            What::FlashChanged { ends, .. } => self.written = Some(*ends),
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
                    self.last = Some(Timed {
                        seen: event.at,
                        leading,
                        took,
                        after_write: self.written.map(|written| event.at.since(written)),
                    });
                }
            }
            // The code that was one too many is answered in another way.
            What::Printed { text } if word(text) == "lockout" => {
                let is_earlier = |last: &Timed| event.at.since(last.seen) > CONSOLE_LAG;
                self.last = self.last.filter(is_earlier);
                self.waiting = None;
            }
            _ => {}
        }
        None
    }

    fn conclude(&self, facts: &Facts) -> Finding {
        let mut refusals = self.refusals.clone();
        let mut after_write = self.after_write.clone();
        if let Some(last) = self.last {
            last.count(&mut refusals, &mut after_write);
        }
        if let Some(finding) = told_by_write(&after_write) {
            return finding;
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
