//! Calibration records: what `lockrig doctor` measured on a bench, and when.
//!
//! A record is TOML, one file for each day, and stays readable for as long as somebody may ask how good
//! a bench was. It holds for the wiring that it names: a contact that was moved to another channel or line
//! since is not what was measured.

use std::fmt::Write as _;

use jiff::civil::Date;

use super::BenchFile;
use super::file::{Calibrated, Latency, Relays};
use crate::event::Nanos;
use crate::quantity::{Days, Millivolts};
use crate::source::{Problem, Problems, Refused, Source, Spanned, file_table};

/// The version of the format that this program writes and reads.
pub const VERSION: u32 = 1;

file_table! {
/// What was measured on a bench.
pub struct Record as "a calibration record" {
    /// The bench's name.
    pub calibration: String,
    /// The version of this format: 1.
    pub version: Spanned<u32>,
    /// The day: `2026-11-26`.
    pub date: Spanned<String>,
    /// The version of lockrig that measured.
    pub lockrig: String,
    /// How often each contact was closed and opened.
    pub rounds: u32,
    /// The contacts whose lines prove them.
    pub contact: Vec<Timing> = default,
    /// The supply.
    pub supply: Option<SupplyRecord>,
    /// The debug probe.
    pub probe: Option<ProbeRecord>,
}
}

file_table! {
/// How a contact moves. Times are from the order to what the line tells, the medians of all rounds.
pub struct Timing as "a contact" {
    /// What it stands for: `button reset`.
    pub name: String,
    /// What closes it: `channel 13`.
    pub output: String,
    /// The line that proves it.
    pub line: String,
    /// From the order to close to the first touch.
    pub closes: Nanos,
    /// From the order to open to the first parting.
    pub opens: Nanos,
    /// How far a single one may be from it (k = 2).
    pub uncertainty: Nanos,
    /// The longest time from first touch or parting until it lay still.
    pub bounces: Nanos,
}
}

file_table! {
/// What the supply gave.
pub struct SupplyRecord as "a supply's record" {
    /// Who it said it is.
    pub identity: Option<String>,
    /// From an order to its confirmation.
    pub answers: Nanos,
    /// Set-points, ascending.
    pub point: Vec<Point>,
}
}

file_table! {
/// A set-point.
pub struct Point as "a set-point" {
    /// What was asked for.
    pub set: Millivolts,
    /// What was measured.
    pub measured: Millivolts,
}
}

file_table! {
/// What the debug probe did.
pub struct ProbeRecord as "a probe's record" {
    /// Who it said it is.
    pub identity: String,
    /// How long it took to read a word of the chip's memory.
    pub answers: Nanos,
}
}

/// Why a bench is not calibrated.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Uncalibrated {
    /// There is no record.
    #[error("there is no calibration record")]
    Missing,
    /// It is too old.
    #[error("the calibration record of {date} is {age} old, and the bench file allows {max}")]
    Old {
        /// Its day.
        date: Date,
        /// Its age.
        age: Days,
        /// What the bench file allows.
        max: Days,
    },
    /// It comes from the future: a clock is wrong.
    #[error("the calibration record is of {0}, which is after today")]
    Future(Date),
    /// The wiring is another one now.
    #[error("since the calibration of {date} the wiring has changed: {what}")]
    Rewired {
        /// Its day.
        date: Date,
        /// What is different.
        what: String,
    },
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn read(source: &Source) -> Result<Record, Refused> {
        let document = source.toml()?;
        source.refuse_newer(&document, VERSION)?;
        source.read_and_check(&document, |record: &Record, problems: &mut Problems| {
            if record.day().is_none() {
                let message = format!("expected a date, found '{}'", record.date.value);
                problems.add::<()>(
                    Problem::new(record.date.span, message).hint("write it as 2026-11-26"),
                );
            }
        })
    }

    /// Its day; none where its date is none.
    pub fn day(&self) -> Option<Date> {
        self.date.parse().ok()
    }

    /// The file.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# What 'lockrig doctor' measured on this bench. 'lockrig run' goes by the newest record.\n\
             calibration = {}\nversion = {}\ndate = {}\nlockrig = {}\nrounds = {}\n",
            quoted(&self.calibration),
            self.version.value,
            quoted(&self.date),
            quoted(&self.lockrig),
            self.rounds
        );
        for timing in &self.contact {
            let _ = write!(
                text,
                "\n[[contact]]\nname = {}\noutput = {}\nline = {}\ncloses = {}\nopens = {}\nuncertainty = {}\nbounces = {}\n",
                quoted(&timing.name),
                quoted(&timing.output),
                quoted(&timing.line),
                millis(timing.closes),
                millis(timing.opens),
                millis(timing.uncertainty),
                millis(timing.bounces)
            );
        }
        if let Some(supply) = &self.supply {
            text += "\n[supply]\n";
            if let Some(identity) = &supply.identity {
                let _ = writeln!(text, "identity = {}", quoted(identity));
            }
            let _ = writeln!(text, "answers = {}\npoint = [", millis(supply.answers));
            for Point { set, measured } in &supply.point {
                let _ = writeln!(text, "  {{ set = \"{set}\", measured = \"{measured}\" }},");
            }
            text += "]\n";
        }
        if let Some(probe) = &self.probe {
            let _ = write!(
                text,
                "\n[probe]\nidentity = {}\nanswers = {}\n",
                quoted(&probe.identity),
                millis(probe.answers)
            );
        }
        text
    }
}

/// In microseconds' steps, as a file writes it.
fn millis(span: Nanos) -> String {
    let micros = (span.0 + 500) / 1_000;
    format!("\"{}.{:03} ms\"", micros / 1_000, micros % 1_000)
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

impl BenchFile {
    /// Goes by what was measured on this bench, if it was measured lately and as the bench is wired now.
    /// A bench whose file keeps no calibration goes by nothing, and that is right. `newest` is the newest
    /// record that there is, with the SHA-256 of its file.
    ///
    /// # Errors
    /// Why it cannot go by it.
    pub fn calibrate(
        &mut self,
        newest: Option<(&Record, &str)>,
        today: Date,
    ) -> Result<(), Uncalibrated> {
        let Some(kept) = &self.calibration else {
            return Ok(());
        };
        let (record, sha256) = newest.ok_or(Uncalibrated::Missing)?;
        let date = record.day().ok_or(Uncalibrated::Missing)?;
        let age = date.until(today).map_or(0, |span| span.get_days());
        let age = Days(u32::try_from(age).map_err(|_| Uncalibrated::Future(date))?);
        if age > kept.max_age {
            let max = kept.max_age;
            return Err(Uncalibrated::Old { date, age, max });
        }
        let relays = self.relays.iter_mut();
        let contacts = relays.flat_map(|Relays { via, contacts }| {
            contacts
                .iter_mut()
                .map(|(contact, wired)| (&*via, contact, wired))
        });
        let mut measured = Vec::new();
        for (via, contact, wired) in contacts {
            let Some(line) = &wired.line else { continue };
            let name = contact.to_string();
            let timing = record.contact.iter().find(|timing| timing.name == name);
            let rewired = |what: String| Uncalibrated::Rewired { date, what };
            let timing = timing.ok_or_else(|| rewired(format!("{name} was not measured")))?;
            let output = via.output(wired.way);
            if timing.output != output || timing.line != *line {
                return Err(rewired(format!(
                    "{name} was {} on line '{}', and is {output} on line '{line}'",
                    timing.output, timing.line
                )));
            }
            measured.push((&mut wired.latency, timing));
        }
        for (latency, timing) in measured {
            *latency = Some(Latency {
                closes: timing.closes,
                opens: timing.opens,
            });
        }
        self.calibrated = Calibrated::By {
            sha256: sha256.to_owned(),
        };
        Ok(())
    }
}
