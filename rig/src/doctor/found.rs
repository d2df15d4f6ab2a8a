//! What an examination of a bench found, and the calibration record that is made of it.

use jiff::civil::Date;

use crate::bench::Contact;
use crate::bench::calibration::{Point, ProbeRecord, Record, SupplyRecord, Timing, VERSION};
use crate::event::Nanos;
use crate::quantity::Microamps;
use crate::source::{Span, Spanned};

/// What came of an examination.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// How often each contact was closed and opened.
    pub rounds: u32,
    /// The contacts, in the order of what closes them.
    pub contacts: Vec<ContactFound>,
    /// The lines, in the order of the bench file.
    pub lines: Vec<LineFound>,
    /// The supply; none where the bench has none.
    pub supply: Option<SupplyFound>,
    /// The probe; none where the bench has none, or where it was not reached.
    pub probe: Option<ProbeRecord>,
    /// What the board printed while it was powered.
    pub printed: Vec<String>,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// Whether somebody stopped it; then not everything was looked at.
    pub stopped: bool,
}

/// What was found of a contact.
#[derive(Clone, Debug)]
pub struct ContactFound {
    /// The contact.
    pub contact: Contact,
    /// What closes it: `channel 13`.
    pub output: String,
    /// The line that proves it, and how it moved there; none where nothing proves it, or it did not move.
    pub line: Option<String>,
    /// How it closed and opened.
    pub moved: Option<Moved>,
    /// Where it is wrong: its place in [`Examination::faults`].
    pub fault: Option<usize>,
}

/// How a contact moved, over all rounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Closing.
    pub closes: Spread,
    /// Opening.
    pub opens: Spread,
}

/// Of several measurements of one thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// Time from the order to the line's first edge: the median, which one straggler does not move.
    pub median: Nanos,
    /// Twice the standard deviation of one measurement.
    pub uncertainty: Nanos,
    /// The longest time from the first edge to the last.
    pub bounce: Nanos,
    /// The same, as it mostly was: the median.
    pub usual_bounce: Nanos,
}

/// What was found of a line.
#[derive(Clone, Debug)]
pub struct LineFound {
    /// Its name.
    pub line: String,
    /// Whether it was on while everything was at rest.
    pub at_rest: bool,
    /// The contacts that it followed.
    pub followed: Vec<String>,
    /// Whether it moved when the board was powered.
    pub moved_with_power: bool,
    /// Where it is wrong: its place in [`Examination::faults`].
    pub fault: Option<usize>,
}

/// What was found of the supply.
#[derive(Clone, Debug, Default)]
pub struct SupplyFound {
    /// Who it says it is.
    pub identity: Option<String>,
    /// From an order to its confirmation, the longest.
    pub answers: Nanos,
    /// The set-points that were tried, with the current that flowed.
    pub points: Vec<(Point, Microamps)>,
    /// Where it is wrong: its place in [`Examination::faults`].
    pub fault: Option<usize>,
}

/// Something that is wrong with a bench.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// With what: `button reset (channel 13)`.
    pub what: String,
    /// What was seen.
    pub saw: String,
    /// What to try.
    pub hint: String,
}

impl Spread {
    /// Of measurements, each the time to the first edge and from there to the last; none of none.
    pub(super) fn of(spans: &[(Nanos, Nanos)]) -> Option<Spread> {
        let mut times: Vec<Nanos> = spans.iter().map(|(after, _)| *after).collect();
        let mut bounces: Vec<Nanos> = spans.iter().map(|(_, bounce)| *bounce).collect();
        times.sort_unstable();
        bounces.sort_unstable();
        let count = times.len() as f64;
        let mean = times.iter().map(|time| time.0 as f64).sum::<f64>() / count;
        let squares = times.iter().map(|time| (time.0 as f64 - mean).powi(2));
        // Of one measurement nothing is known.
        let variance = squares.sum::<f64>() / (count - 1.0).max(1.0);
        Some(Spread {
            median: *times.get(times.len() / 2)?,
            uncertainty: Nanos((2.0 * variance.sqrt()) as u64),
            bounce: *bounces.last()?,
            usual_bounce: *bounces.get(bounces.len() / 2)?,
        })
    }
}

impl Examination {
    /// The calibration record of a bench without faults; none of one with.
    pub fn record(&self, bench: &str, date: Date) -> Option<Record> {
        if !self.faults.is_empty() || self.stopped {
            return None;
        }
        let contacts = self.contacts.iter().filter_map(|found| {
            let moved = found.moved?;
            Some(Timing {
                name: found.contact.to_string(),
                output: found.output.clone(),
                line: found.line.clone()?,
                closes: moved.closes.median,
                opens: moved.opens.median,
                uncertainty: moved.closes.uncertainty.max(moved.opens.uncertainty),
                bounces: moved.closes.bounce.max(moved.opens.bounce),
            })
        });
        Some(Record {
            calibration: bench.to_owned(),
            version: Spanned::new(VERSION, Span::default()),
            date: Spanned::new(date.to_string(), Span::default()),
            lockrig: env!("CARGO_PKG_VERSION").to_owned(),
            rounds: self.rounds,
            contact: contacts.collect(),
            supply: self.supply.as_ref().map(|supply| SupplyRecord {
                identity: supply.identity.clone(),
                answers: supply.answers,
                point: supply
                    .points
                    .iter()
                    .map(|(point, _)| point.clone())
                    .collect(),
            }),
            probe: self.probe.clone(),
        })
    }
}
