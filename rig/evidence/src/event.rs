//! What was seen in a run: a closed, versioned enumeration of facts in the past tense.
//!
//! The trace (`events.jsonl`) holds one [`Event`] a line, in order; every report is made from it
//! and from nothing else. Times are bench time. Wall time, host names and paths never appear here,
//! so that the same inputs and seed give the same bytes. Codes never appear here either: an entered
//! code is its name in the scenario and the number of its digits.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign};

use crate::verdict::Verdict;

/// The version of the trace format that this program writes. A reader refuses a newer one.
///
/// Format 2 added `supply-read` and `flash-changed`, format 3 `glitched`, format 4 `uncalibrated`, `asked` and what
/// was `asked` of a hold, format 5 whether an image was there `already`, format 6 `logged`, format 7
/// `probe-power-cycled` and `device-under-test`.
pub const FORMAT: u32 = 7;

/// Bench time in nanoseconds: a moment since the bench was made, or a span.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The moment the bench was made.
    pub const ZERO: Nanos = Nanos(0);
    /// Later than anything.
    pub const NEVER: Nanos = Nanos(u64::MAX);

    /// The units that files write a span in, each with its nanoseconds.
    pub const UNITS: &'static [(&'static str, u64)] = &[
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("min", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];

    /// A span of whole milliseconds; saturates, because a board may print any number.
    pub const fn from_millis(millis: u64) -> Nanos {
        Nanos(millis.saturating_mul(1_000_000))
    }

    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Nanos {
        Nanos(secs * 1_000_000_000)
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The span from `earlier` to here; zero if `earlier` is later.
    pub const fn since(self, earlier: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A span as scenario, profile and bench files write it: `150 ms`.
impl JsonSchema for Nanos {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Nanos".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        quantity_schema("a duration", Nanos::UNITS)
    }
}

/// The schema of a quantity that files write as a number and one of `units`.
pub fn quantity_schema(quantity: &str, units: &[(&str, u64)]) -> Schema {
    let units: Vec<&str> = units.iter().map(|(unit, _)| *unit).collect();
    json_schema!({
        "type": "string",
        "description": format!("{quantity}: a number and a unit ({})", units.join(", ")),
        "pattern": format!(r"^[0-9]+(\.[0-9]+)? *({})$", units.join("|")),
    })
}

impl Add for Nanos {
    type Output = Nanos;

    /// Saturates, so that [`Nanos::NEVER`] plus a span is still never.
    fn add(self, span: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(span.0))
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, span: Nanos) {
        *self = *self + span;
    }
}

/// As a person says it: `150 ms`, `30.1 s`, `5 min`.
impl fmt::Display for Nanos {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0 / 1_000;
        if micros < 1_000 {
            write!(out, "{micros} µs")
        } else if micros < 1_000_000 {
            write!(out, "{} ms", decimal(micros, 1_000))
        } else if micros < 120_000_000 || !micros.is_multiple_of(60_000_000) {
            write!(out, "{} s", decimal(micros / 1_000, 1_000))
        } else {
            write!(out, "{} min", micros / 60_000_000)
        }
    }
}

/// `value / unit` with at most three digits after the point and no trailing zeros.
fn decimal(value: u64, unit: u64) -> String {
    let text = format!("{}.{:03}", value / unit, value % unit * 1_000 / unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One fact of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Position in the trace, from 0.
    pub seq: u64,
    /// When it happened, in bench time.
    pub at: Nanos,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// The facts that a trace can hold.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// The first line of every trace: everything that decides what follows.
    Started {
        /// Version of this format.
        format: u32,
        /// Seed of codes, offsets, contact bounce and everything else that is drawn.
        seed: u64,
        /// Scenario id.
        scenario: String,
        /// Variant, `name=value` in the scenario's order; empty where there is one only.
        variant: String,
        /// Profile id.
        profile: String,
        /// Bench name.
        bench: String,
        /// SHA-256 of the files that were read, by the role of each.
        files: Vec<FileHash>,
    },
    /// The image was written and read back, or found there. Runs that start from a fork of the flashed board carry
    /// the receipt of the flash that they stand on.
    Flashed {
        /// Name of the image.
        image: String,
        /// SHA-256 of the image as it was given.
        sha256: String,
        /// SHA-256 of the personality page that was put into it, if any.
        personality: Option<String>,
        /// Chip, in the probe's terms.
        chip: String,
        /// Its bytes.
        bytes: u64,
        /// Whether everything was read back and compared.
        verified: bool,
        /// Nothing of it was written: the chip, read back, held it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        already: bool,
    },
    /// The run went on although its bench goes by no calibration record.
    Uncalibrated {
        /// Why it goes by none.
        because: String,
    },
    /// Which unit the bench file says is under test.
    DeviceUnderTest {
        /// Its model, as its label has it.
        model: String,
        /// Its serial number.
        serial_number: String,
        /// What its chip says that it is, as the probe read it before the run; none where nobody compared it.
        chip_id: Option<String>,
    },
    /// Before the run the probe did not answer as one, and its USB port was switched off and on again.
    ProbePowerCycled {
        /// What the probe did before that.
        because: String,
    },
    /// A step of the scenario, or of a procedure inside it, began.
    StepStarted {
        /// Step number, from 1, in the order of execution.
        step: u32,
        /// Step that this one is part of.
        inside: Option<u32>,
        /// `file:line` in the scenario or profile.
        place: String,
        /// What is done, in words.
        doing: String,
        /// The procedure that it carries out, if it is a `do`.
        procedure: Option<String>,
    },
    /// A step ended.
    StepFinished {
        /// Its number.
        step: u32,
    },
    /// The run entered a labelled phase of a procedure.
    PhaseEntered {
        /// `P0` to `P7`.
        phase: String,
    },
    /// A contact of the bench was told to close or open.
    Switched {
        /// What the contact stands for: `key *`, `button reset`, `door`; a digit of a code is
        /// `digit 3 of 6`.
        contact: String,
        /// Closed or open.
        closed: bool,
    },
    /// The supply was set.
    SupplySet {
        /// Terminal voltage; none with the output off.
        millivolts: Option<u32>,
    },
    /// Voltage and current at the board's supply terminal were read.
    SupplyRead {
        /// The voltage at this moment.
        millivolts: u32,
        /// The current; none where it is not known yet.
        microamps: Option<u64>,
        /// From when on the current is the mean; none for what an instrument measured at once.
        since: Option<Nanos>,
        /// Who read it.
        by: Meter,
    },
    /// Writes to the board's flash began; the virtual bench alone can tell.
    FlashChanged {
        /// What is changed.
        kind: FlashChange,
        /// Where: the first word, or the first byte of the page; none where everything goes.
        address: Option<u32>,
        /// How many words, at addresses that follow each other, without a pause; else 1.
        count: u32,
        /// When the last of them ends, if nothing happens.
        ends: Nanos,
    },
    /// A line of the board changed.
    LineChanged {
        /// Its name in the bench file.
        line: String,
        /// The new level; for lamps and the beeper, high means lit or sounding.
        high: bool,
    },
    /// The board printed a line on its console.
    Printed {
        /// Without the line end; invalid UTF-8 escaped.
        text: String,
    },
    /// The firmware logged a line for the debug probe, at some time between two looks at its log.
    Logged {
        /// The line, without its end.
        text: String,
        /// When the log was looked at before, or the board got its power.
        since: Nanos,
    },
    /// A code was entered completely.
    CodeEntered {
        /// Its name in the scenario.
        code: String,
        /// How many digits.
        digits: usize,
        /// Whether it was valid at this moment, as far as the rig can know.
        standing: Standing,
        /// How many leading digits it has in common with the valid code that it is nearest to.
        leading: usize,
        /// The rule of the profile by which it outlived the last reset, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept_by: Option<String>,
    },
    /// By what was seen, a change of codes or a reset went through.
    CodesChanged {
        /// The procedure that did it.
        by: String,
        /// Names of the codes that open the lock now, as documented.
        valid: Vec<String>,
    },
    /// After a cut it was found out by trying which set of codes the lock holds.
    Settled {
        /// The name of the one set that opens; none if that is none of them, or a mixture.
        set: Option<String>,
        /// What was tried and what came of it, in words.
        because: String,
    },
    /// Something was measured.
    Measured {
        /// What: `hold of program`.
        quantity: String,
        /// What the rig was to bring about, same unit; the difference is its error. None where it only looked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<u64>,
        /// Value, in the unit given.
        value: u64,
        /// `ns`, `mV`, `uA`.
        unit: String,
        /// Expanded uncertainty (k = 2), same unit.
        uncertainty: u64,
        /// Lower limit, same unit.
        from: Option<u64>,
        /// Upper limit, same unit.
        to: Option<u64>,
        /// How value and limits stand to each other, by the simple rule with uncertainty.
        stands: Against,
    },
    /// An expectation was decided.
    Checked {
        /// What was expected, in words.
        wanted: String,
        /// What was seen, in words.
        got: String,
        /// The decision.
        held: bool,
    },
    /// The person at the bench was asked for something. Who it was and the time of day are in `run.json`.
    Asked {
        /// What, in words.
        question: String,
        /// `yes`, `no`, `no answer`.
        answer: String,
    },
    /// The supply was dropped, or made to sag, on purpose.
    Interrupted {
        /// Phase in which it happened.
        phase: String,
        /// How long after the phase began.
        after: Nanos,
        /// `clean` or `sag`.
        how: String,
    },
    /// One instruction of the lock's program went wrong, on purpose.
    Glitched {
        /// Which one, from 1, since the last key of an entry.
        instruction: u32,
        /// Where it stands in memory.
        address: u32,
        /// `skip 1` and the like.
        how: String,
    },
    /// An oracle came to its judgement.
    Judged {
        /// `I1` to `I8`.
        oracle: String,
        /// What it says, in a sentence.
        rule: String,
        /// The judgement.
        judgement: Judgement,
        /// Whether the product's manual promises it: then a breach is a failure, else a finding.
        promised: bool,
        /// What it stands on: `bolt line`, `console`; empty where nothing was observed.
        evidence: String,
        /// What was seen, or which rule exempted it, or what would have been needed.
        because: String,
    },
    /// An instrument did not do what it was told.
    Trouble {
        /// The instrument.
        device: String,
        /// What was being done.
        doing: String,
        /// What was seen.
        saw: String,
        /// What to try.
        hint: String,
    },
    /// The outputs went to rest.
    WentToRest {
        /// In this order.
        outputs: Vec<String>,
        /// Those of which nobody knows whether they are at rest: their instrument is gone or does not answer.
        #[serde(alias = "failed")]
        unknown: Vec<String>,
    },
    /// A key of a cylinder was pushed into the keyway.
    KeyInserted {
        /// Its name in the scenario.
        key: String,
        /// Whether it turned the cylinder at this moment, as far as the rig can know.
        standing: Standing,
    },
    /// The stage carried out a move.
    Moved {
        /// `turn`, `insert`, `magazine`, `plunge`.
        axis: String,
        /// Where it was to go, in the unit given.
        to: i64,
        /// `mdeg`, `um`.
        unit: String,
        /// Where too much torque or force stopped it.
        stopped: Option<i64>,
        /// Where it stands now; what was stopped was taken back.
        stands: i64,
    },
    /// The last line of every complete trace.
    Finished {
        /// The verdict.
        verdict: Verdict,
        /// `seq` of the event that decided it; none for a pass.
        decided_by: Option<u64>,
        /// The reason in one sentence.
        because: String,
    },
}

/// Hash of a file that a run was made from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileHash {
    /// `scenario`, `profile`, `bench`.
    pub role: String,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// Who read the supply terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meter {
    /// The supply, with the meter that it has.
    Supply,
    /// The emulator: exact for the board that it emulates, and measured by nobody.
    Emulator,
}

/// What a write to flash changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlashChange {
    /// A word is programmed.
    Word,
    /// A page is erased.
    Page,
    /// Everything is erased.
    Chip,
    /// The settings memory is erased.
    Settings,
}

/// Whether a code was valid when it was entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It opens the lock.
    Valid,
    /// It does not.
    Invalid,
    /// After a cut, before it is settled which set of codes the lock holds.
    Unsettled,
    /// A lockout is running, in which no code opens.
    LockedOut,
    /// It was entered as a part of a procedure, to be stored or confirmed; it is not tried.
    Offered,
}

/// How a measured value stands to its limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// No limit is known: recorded only.
    NoLimit,
    /// Inside, with its whole uncertainty.
    Inside,
    /// Outside, with its whole uncertainty.
    Outside,
    /// The uncertainty reaches over the limit.
    Straddles,
}

impl Against {
    /// Compares `value ± uncertainty` with a closed interval.
    pub fn judge(value: u64, uncertainty: u64, from: Option<u64>, to: Option<u64>) -> Against {
        let low = value.saturating_sub(uncertainty);
        let high = value.saturating_add(uncertainty);
        if from.is_none() && to.is_none() {
            Against::NoLimit
        } else if from.is_some_and(|from| high < from) || to.is_some_and(|to| low > to) {
            Against::Outside
        } else if from.is_none_or(|from| low >= from) && to.is_none_or(|to| high <= to) {
            Against::Inside
        } else {
            Against::Straddles
        }
    }
}

/// What an oracle concluded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// It was put to the test, and held.
    Held,
    /// It was broken.
    Broken,
    /// It would have been broken, but the product's manual documents exactly this.
    Exempted,
    /// Nothing in this run could have shown a breach.
    NotObserved,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Against::{Inside, NoLimit, Outside, Straddles};
    use super::*;

    /// 100 ± 10, against limits that its uncertainty just reaches or just does not.
    #[rstest]
    #[case(None, None, NoLimit)]
    #[case(Some(90), None, Inside)]
    #[case(Some(91), None, Straddles)]
    #[case(Some(110), None, Straddles)]
    #[case(Some(111), None, Outside)]
    #[case(None, Some(110), Inside)]
    #[case(None, Some(109), Straddles)]
    #[case(None, Some(90), Straddles)]
    #[case(None, Some(89), Outside)]
    #[case(Some(90), Some(110), Inside)]
    #[case(Some(90), Some(109), Straddles)]
    #[case(Some(91), Some(110), Straddles)]
    #[case(Some(95), Some(105), Straddles)]
    #[case(Some(50), Some(89), Outside)]
    #[case(Some(111), Some(200), Outside)]
    fn a_measured_value_is_judged_with_its_uncertainty(
        #[case] from: Option<u64>,
        #[case] to: Option<u64>,
        #[case] expected: Against,
    ) {
        assert_eq!(Against::judge(100, 10, from, to), expected);
    }

    #[test]
    fn times_add_up_and_never_stays_never() {
        let mut time = Nanos::from_millis(1_500);
        time += Nanos(999_999);
        assert_eq!(time, Nanos(1_500_999_999));
        assert_eq!(time.as_millis(), 1_500);
        assert_eq!(Nanos::NEVER + time, Nanos::NEVER);
    }

    #[test]
    fn the_schema_of_a_time_is_what_files_write() {
        let schema = schemars::schema_for!((Nanos, Nanos));
        insta::assert_json_snapshot!(schema.get("prefixItems"), @r#"
        [
          {
            "description": "a duration: a number and a unit (ns, us, ms, s, min, h)",
            "pattern": "^[0-9]+(\\.[0-9]+)? *(ns|us|ms|s|min|h)$",
            "type": "string"
          },
          {
            "description": "a duration: a number and a unit (ns, us, ms, s, min, h)",
            "pattern": "^[0-9]+(\\.[0-9]+)? *(ns|us|ms|s|min|h)$",
            "type": "string"
          }
        ]
        "#);
    }

    #[test]
    fn a_value_at_the_end_of_the_scale_is_judged_as_well() {
        assert_eq!(Against::judge(u64::MAX, 9, None, Some(5)), Outside);
        assert_eq!(Against::judge(1, 9, Some(0), Some(10)), Inside);
    }

    #[rstest]
    #[case(Nanos(0), "0 µs")]
    #[case(Nanos(999_999), "999 µs")]
    #[case(Nanos(1_000_000), "1 ms")]
    #[case(Nanos(1_500_000), "1.5 ms")]
    #[case(Nanos(999_999_999), "999.999 ms")]
    #[case(Nanos::from_millis(30_100), "30.1 s")]
    #[case(Nanos::from_secs(60), "60 s")]
    #[case(Nanos::from_secs(120), "2 min")]
    #[case(Nanos::from_secs(121), "121 s")]
    #[case(Nanos::from_secs(300), "5 min")]
    fn a_span_is_told_as_people_say_it(#[case] span: Nanos, #[case] expected: &str) {
        assert_eq!(span.to_string(), expected);
    }

    #[test]
    fn time_saturates() {
        assert_eq!(Nanos::NEVER + Nanos(1), Nanos::NEVER);
        assert_eq!(Nanos(1).since(Nanos(2)), Nanos::ZERO);
        assert_eq!(Nanos::from_millis(u64::MAX), Nanos::NEVER);
    }
}
