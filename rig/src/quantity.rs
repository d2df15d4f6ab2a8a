//! Quantities as files write them: a number, a space, a unit. A number without a unit is refused.
//!
//! Everything is kept as a whole number of the smallest unit (nanoseconds, millivolts, percent),
//! so that nothing depends on rounding.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::event::{Nanos, quantity_schema};
use crate::source::{Node, Problem, Problems, Read};

/// A voltage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Millivolts(pub u32);

/// A share of something, in percent: 0 to 100.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Percent(pub u8);

/// A resistance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Milliohms(pub u32);

/// A current.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Microamps(pub u32);

/// An angle; clockwise is positive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Millidegrees(pub i32);

/// How fast something turns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MillidegreesPerSecond(pub u32);

/// A length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Micrometres(pub u32);

/// How fast something moves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MicrometresPerSecond(pub u32);

/// A torque.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MillinewtonMetres(pub u32);

/// An age, in whole days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Days(pub u32);

const TIMES: Units = Units {
    quantity: "a duration",
    units: Nanos::UNITS,
    example: "s",
};
const VOLTAGES: Units = Units {
    quantity: "a voltage",
    units: &[("mV", 1), ("V", 1_000)],
    example: "V",
};
const SHARES: Units = Units {
    quantity: "a share",
    units: &[("%", 1)],
    example: "%",
};
const RESISTANCES: Units = Units {
    quantity: "a resistance",
    units: &[("mohm", 1), ("ohm", 1_000), ("kohm", 1_000_000)],
    example: "ohm",
};
const CURRENTS: Units = Units {
    quantity: "a current",
    units: &[("uA", 1), ("mA", 1_000), ("A", 1_000_000)],
    example: "mA",
};
const ANGLES: Units = Units {
    quantity: "an angle",
    units: &[("mdeg", 1), ("deg", 1_000)],
    example: "deg",
};
const TURNING_SPEEDS: Units = Units {
    quantity: "a turning speed",
    units: &[("mdeg/s", 1), ("deg/s", 1_000)],
    example: "deg/s",
};
const LENGTHS: Units = Units {
    quantity: "a length",
    units: &[("um", 1), ("mm", 1_000)],
    example: "mm",
};
const SPEEDS: Units = Units {
    quantity: "a speed",
    units: &[("um/s", 1), ("mm/s", 1_000)],
    example: "mm/s",
};
const TORQUES: Units = Units {
    quantity: "a torque",
    units: &[("mN·m", 1), ("N·m", 1_000)],
    example: "N·m",
};
const AGES: Units = Units {
    quantity: "an age",
    units: &[("day", 1), ("days", 1)],
    example: "days",
};
/// No key is turned further than this, either way.
const TURN_MAX: i32 = 360_000;

/// What one kind of quantity may be written in.
struct Units {
    quantity: &'static str,
    /// Each unit with its size in the smallest one.
    units: &'static [(&'static str, u64)],
    example: &'static str,
}

impl Units {
    fn read(&self, node: &Node, most: u64, problems: &mut Problems) -> Option<u64> {
        let Some(text) = node.scalar() else {
            return problems.expected(self.quantity, node);
        };
        match self.parse(text) {
            Ok(amount) if amount <= most => Some(amount),
            Ok(_) => problems.add(Problem::new(
                node.span,
                format!(
                    "{} of {text} is too much: at most {}",
                    self.quantity,
                    self.show(most)
                ),
            )),
            Err(hint) => problems.expected_hint(self.quantity, node, &hint),
        }
    }

    /// Reads `150 ms`; an error says what to try.
    fn parse(&self, text: &str) -> Result<u64, String> {
        let known: Vec<&str> = self.units.iter().map(|(unit, _)| *unit).collect();
        let digits = text
            .find(|one: char| !one.is_ascii_digit() && one != '.')
            .unwrap_or(text.len());
        let (number, unit) = (&text[..digits], text[digits..].trim_start());
        let example = format!("write a number and a unit, such as 5 {}", self.example);
        if number.is_empty() {
            return Err(example);
        }
        if unit.is_empty() {
            return Err(format!("write its unit: {number} {}", self.example));
        }
        let size = self
            .units
            .iter()
            .find(|(known, _)| *known == unit)
            .map(|(_, size)| *size)
            .ok_or_else(|| {
                format!(
                    "'{unit}' is not a unit here; there are {}",
                    known.join(", ")
                )
            })?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let scale = 10_u64
            .checked_pow(decimals.len() as u32)
            .ok_or_else(|| example.clone())?;
        let all: u64 = format!("{whole}{decimals}")
            .parse()
            .map_err(|_| example.clone())?;
        let amount = u128::from(all) * u128::from(size);
        if amount % u128::from(scale) != 0 {
            return Err(format!("finer than 1 {}", self.units[0].0));
        }
        u64::try_from(amount / u128::from(scale)).map_err(|_| example)
    }

    /// In the largest unit that gives at most three decimals, as a file would write it.
    fn show(&self, amount: u64) -> String {
        let fits = |size: u64| amount >= size && u128::from(amount) * 1_000 % u128::from(size) == 0;
        let (unit, size) = self
            .units
            .iter()
            .rev()
            .find(|(_, size)| fits(*size))
            .unwrap_or(&self.units[0]);
        let thousandths = u128::from(amount % size) * 1_000 / u128::from(*size);
        let decimals = format!(".{thousandths:03}");
        let decimals = decimals.trim_end_matches('0').trim_end_matches('.');
        format!("{}{decimals} {unit}", amount / size)
    }

    fn schema(&self) -> Schema {
        quantity_schema(self.quantity, self.units)
    }
}

macro_rules! schemas {
    ($($type:ident in $units:ident;)*) => { $(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $units.schema()
            }
        }
    )* };
}
macro_rules! quantities {
    ($($type:ident($inner:ty) in $units:ident up to $most:expr;)*) => { $(
        impl Read for $type {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                let amount = $units.read(node, $most, problems)?;
                Some(Self(<$inner>::try_from(amount).expect("a quantity fits its type: it was compared with its greatest value")))
            }
        }
    )* };
}
quantities! {
    // A year: more is a mistake, and sums of a few stay far from overflow.
    Nanos(u64) in TIMES up to 366 * 24 * 3_600_000_000_000;
    Millivolts(u32) in VOLTAGES up to 1_000_000;
    Percent(u8) in SHARES up to 100;
    Milliohms(u32) in RESISTANCES up to u64::from(u32::MAX);
    Microamps(u32) in CURRENTS up to u64::from(u32::MAX);
    MillidegreesPerSecond(u32) in TURNING_SPEEDS up to 3_600_000;
    Micrometres(u32) in LENGTHS up to 1_000_000;
    MicrometresPerSecond(u32) in SPEEDS up to 1_000_000;
    MillinewtonMetres(u32) in TORQUES up to 100_000;
    // Ten years.
    Days(u32) in AGES up to 3_660;
}

schemas! {
    Millivolts in VOLTAGES;
    Percent in SHARES;
    Milliohms in RESISTANCES;
    Microamps in CURRENTS;
    MillidegreesPerSecond in TURNING_SPEEDS;
    Micrometres in LENGTHS;
    MicrometresPerSecond in SPEEDS;
    MillinewtonMetres in TORQUES;
    Days in AGES;
}

/// The one quantity with a sign.
impl Read for Millidegrees {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = node.scalar().unwrap_or_default();
        let (back, size) = match text.strip_prefix('-') {
            Some(size) => (true, size),
            None => (false, text),
        };
        match ANGLES.parse(size) {
            Ok(size) if size <= TURN_MAX as u64 => {
                let size = size as i32;
                Some(Self(if back { -size } else { size }))
            }
            Ok(_) => problems.add(Problem::new(
                node.span,
                format!(
                    "an angle of {text} is too much: at most {} either way",
                    ANGLES.show(TURN_MAX as u64)
                ),
            )),
            Err(hint) => problems.expected_hint(ANGLES.quantity, node, &hint),
        }
    }
}

impl JsonSchema for Millidegrees {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Millidegrees".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "an angle: a number and a unit (mdeg, deg); clockwise is positive",
            "pattern": r"^-?[0-9]+(\.[0-9]+)? *(mdeg|deg)$",
        })
    }
}

impl fmt::Display for Millidegrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0 deg");
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", ANGLES.show(u64::from(self.0.unsigned_abs())))
    }
}

macro_rules! shown {
    ($($type:ident in $units:ident;)*) => { $(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&$units.show(u64::from(self.0)))
            }
        }
    )* };
}
shown! {
    Millivolts in VOLTAGES;
    Percent in SHARES;
    Milliohms in RESISTANCES;
    Microamps in CURRENTS;
    MillidegreesPerSecond in TURNING_SPEEDS;
    Micrometres in LENGTHS;
    MicrometresPerSecond in SPEEDS;
    MillinewtonMetres in TORQUES;
    Days in AGES;
}
