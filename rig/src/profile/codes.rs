//! Codes: made from a profile's rules and a seed, and kept out of everything that is printed.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{DigitRange, Profile};
use crate::source::{Node, Problem, Problems, Read};
use crate::step::{CodeKind, KnownCode};

/// The digits of a code. They leave it by two doors only, [`Code::digits_to_press`] and
/// [`Code::strokes_to_press`]; whatever prints a code prints how many digits it has.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(String);

/// A code that a scenario declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// Made from the rules for this kind.
    Made(CodeKind),
    /// Written out, because the literal is the point.
    Literal(Code),
    /// The one that the factory sets.
    Factory,
    /// A wrong code that begins like another one, for those who watch how long a refusal takes.
    Near {
        /// The name of the other.
        like: String,
        /// How many of its leading digits are right.
        right: Right,
        /// It has no other digits.
        ends: bool,
    },
}

/// How many leading digits a wrong code has in common with the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// So many.
    Exactly(u8),
    /// All but the last.
    AllButLast,
}

impl Right {
    /// So many of a code of this length; none where a code with them would be right.
    fn of(self, digits: usize) -> Option<usize> {
        let right = match self {
            Right::Exactly(right) => usize::from(right),
            Right::AllButLast => digits.checked_sub(1)?,
        };
        (right < digits).then_some(right)
    }
}

/// Why no codes could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodesError {
    /// The product has no such code.
    #[error("'{profile}' documents no {what}")]
    Absent {
        /// The profile.
        profile: String,
        /// What is absent.
        what: &'static str,
    },
    /// The rules leave too few codes that differ enough.
    #[error("'{profile}' leaves too few codes to make '{name}' from")]
    TooFew {
        /// The profile.
        profile: String,
        /// The code that could not be made.
        name: String,
    },
}

/// Draws for one code before giving up. With three digits and ten codes it takes a few.
const DRAWS_MAX: u32 = 10_000;

/// Codes are longer than this where the rules allow it: shorter ones are guessed too easily, also
/// by a test that means to guess wrong.
const DIGITS_PREFERRED: u8 = 4;

impl DigitRange {
    /// The fewest digits that a code is made with.
    pub fn fewest_made(self) -> u8 {
        self.from.max(DIGITS_PREFERRED.min(self.to))
    }
}

impl Code {
    /// The most digits that a code can have.
    pub const DIGITS_MAX: u8 = 10;

    /// A code from its digits; `None` if something else is among them, or none or too many.
    pub fn from_digits(digits: &str) -> Option<Self> {
        let fits = (1..=usize::from(Self::DIGITS_MAX)).contains(&digits.len());
        (fits && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| Self(digits.into()))
    }

    /// A code in which keys that are pressed together stand in brackets: `362(03)19`.
    pub fn with_pairs(text: &str) -> Option<Self> {
        let code = code_entry::Code::parse(text).ok()?;
        (!code.is_blank()).then(|| Self(text.to_owned()))
    }

    /// The same digits, one after the other where some are pressed together.
    pub fn in_turn(&self) -> Self {
        Self(self.0.replace(['(', ')'], ""))
    }

    /// The digits, for those who press the keys. They belong into no message, event or report.
    pub fn digits_to_press(&self) -> &str {
        &self.0
    }

    /// What is pressed at a time: a digit, or several together. It belongs into no message either.
    pub fn strokes_to_press(&self) -> Vec<&str> {
        let mut strokes = Vec::new();
        let mut rest = self.0.as_str();
        while !rest.is_empty() {
            let (stroke, after) = match rest.strip_prefix('(').and_then(|rest| rest.split_once(')'))
            {
                Some(together) => together,
                None => rest.split_at(1),
            };
            strokes.push(stroke);
            rest = after;
        }
        strokes
    }

    /// How many digits; keys that are pressed together count as one.
    pub fn digit_count(&self) -> usize {
        self.strokes_to_press().len()
    }

    /// How many leading digits two codes have in common.
    pub fn leading_in_common(&self, other: &Code) -> usize {
        let (one, other) = (self.strokes_to_press(), other.strokes_to_press());
        let pairs = one.iter().zip(&other);
        pairs.take_while(|(one, two)| one == two).count()
    }

    /// Whether one is the beginning of the other, or both are the same.
    fn begins_or_continues(&self, other: &Code) -> bool {
        self.leading_in_common(other) == self.digit_count().min(other.digit_count())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code of {} digits", self.digit_count())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes the codes of one run.
///
/// Each has the profile's form and none begins another, nor a factory code: an entry that is one
/// of them is never a part of a second. A wrong code therefore is wrong whatever else is stored.
/// Codes are not of the kind that people are told to avoid. Each name has its own stream of the
/// seed, so that a scenario that declares one more code keeps the others, unless they collide.
pub fn generate(
    profile: &Profile,
    seed: u64,
    declared: &BTreeMap<String, Declared>,
) -> Result<BTreeMap<String, Code>, CodesError> {
    let absent = |what| CodesError::Absent {
        profile: profile.id().to_owned(),
        what,
    };
    let factory = profile.factory_code();
    let mut codes = BTreeMap::new();
    for (name, declared) in declared {
        match declared {
            Declared::Literal(code) => {
                codes.insert(name.clone(), code.clone());
            }
            Declared::Factory => {
                let code = factory.ok_or_else(|| absent("factory code"))?;
                codes.insert(name.clone(), code.clone());
            }
            Declared::Made(_) | Declared::Near { .. } => {}
        }
    }
    let too_few = |name: &str| CodesError::TooFew {
        profile: profile.id().to_owned(),
        name: name.to_owned(),
    };
    for (name, declared) in declared {
        let Declared::Made(kind) = declared else {
            continue;
        };
        let rules = match kind {
            CodeKind::User | CodeKind::Wrong => profile.codes.user.digits,
            CodeKind::Master => {
                let master = profile.codes.master.as_ref();
                master.ok_or_else(|| absent("master code"))?.digits
            }
        };
        let mut random = Random::new(seed, name);
        let code = (0..DRAWS_MAX)
            .map(|_| draw(rules, &mut random))
            .find(|code| {
                let mut others = codes.values().chain(factory);
                !is_weak(code) && !others.any(|other| code.begins_or_continues(other))
            })
            .ok_or_else(|| too_few(name))?;
        codes.insert(name.clone(), code);
    }
    for (name, declared) in declared {
        let Declared::Near { like, right, ends } = declared else {
            continue;
        };
        let like = codes.get(like).cloned().ok_or_else(|| too_few(name))?;
        let right = right.of(like.digit_count()).ok_or_else(|| too_few(name))?;
        if *ends {
            // No code begins another: the beginning of one is none.
            let beginning = Code::from_digits(&like.0[..right]);
            codes.insert(name.clone(), beginning.ok_or_else(|| too_few(name))?);
            continue;
        }
        let mut random = Random::new(seed, name);
        // Whether it is weak does not matter: it is never stored.
        let code = (0..DRAWS_MAX)
            .map(|_| draw_near(&like, right, &mut random))
            .find(|code| {
                let mut others = codes.values().chain(factory);
                !others.any(|other| code.begins_or_continues(other))
            })
            .ok_or_else(|| too_few(name))?;
        codes.insert(name.clone(), code);
    }
    Ok(codes)
}

/// A code that people are told to avoid, as short as these rules allow; none where they allow none.
pub fn weak(rules: DigitRange, kind: KnownCode) -> Option<Code> {
    let digits = usize::from(rules.fewest_made());
    let text = match kind {
        KnownCode::Zeros => "0000000000",
        KnownCode::Repeated => "7777777777",
        KnownCode::Sequence => "1234567890",
        KnownCode::Date => match digits {
            4 => "2412",
            6 => "241299",
            8 => "24121999",
            _ => return None,
        },
        KnownCode::Factory | KnownCode::ResetCode | KnownCode::ResetCodeInTurn => return None,
    };
    Code::from_digits(text.get(..digits)?)
}

/// A code as long as `like` of which exactly the first `right` digits are the same.
fn draw_near(like: &Code, right: usize, random: &mut Random) -> Code {
    let (same, rest) = like.0.as_bytes().split_at(right);
    let digit = |value: u64| char::from(b'0' + value as u8);
    let mut digits: String = same.iter().copied().map(char::from).collect();
    digits.push(digit(
        (u64::from(rest[0] - b'0') + 1 + random.below(9)) % 10,
    ));
    digits.extend(rest[1..].iter().map(|_| digit(random.below(10))));
    Code(digits)
}

fn draw(rules: DigitRange, random: &mut Random) -> Code {
    let fewest = rules.fewest_made();
    let digits = u64::from(fewest) + random.below(u64::from(rules.to - fewest) + 1);
    Code(
        (0..digits)
            .map(|_| char::from(b'0' + random.below(10) as u8))
            .collect(),
    )
}

/// Whether people are told to avoid it: repeats, sequences and dates.
pub fn is_weak(code: &Code) -> bool {
    let digits = code.0.as_bytes();
    if digits.len() < 3 {
        return false;
    }
    let steps_by = |step: u8| {
        digits
            .windows(2)
            .all(|pair| (pair[0] - b'0' + step) % 10 == pair[1] - b'0')
    };
    let repeats = (1..=digits.len() / 2)
        .any(|period| digits.len().is_multiple_of(period) && is_periodic(digits, period));
    steps_by(0) || steps_by(1) || steps_by(9) || repeats || is_date(&code.0)
}

fn is_periodic(digits: &[u8], period: usize) -> bool {
    digits[period..]
        .iter()
        .zip(digits)
        .all(|(later, earlier)| later == earlier)
}

/// Day and month in either order, with or without a year of two or four digits, or a year alone.
fn is_date(digits: &str) -> bool {
    let number = |range: std::ops::Range<usize>| digits[range].parse::<u32>().unwrap_or(0);
    let day_and_month = |a: u32, b: u32| {
        ((1..=31).contains(&a) && (1..=12).contains(&b))
            || ((1..=12).contains(&a) && (1..=31).contains(&b))
    };
    let year = |year: u32| (1900..2100).contains(&year);
    match digits.len() {
        4 => year(number(0..4)) || day_and_month(number(0..2), number(2..4)),
        6 => day_and_month(number(0..2), number(2..4)) || day_and_month(number(2..4), number(4..6)),
        8 => {
            (day_and_month(number(0..2), number(2..4)) && year(number(4..8)))
                || (year(number(0..4)) && day_and_month(number(4..6), number(6..8)))
        }
        _ => false,
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, documented, and the same everywhere. Test codes
/// guard nothing, so nothing stronger is needed.
struct Random(u64);

impl Random {
    /// The stream of a seed that belongs to a name (FNV-1a).
    fn new(seed: u64, name: &str) -> Self {
        let name = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(seed ^ name)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

impl Read for Code {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let digits = crate::step::read_digits(node, problems)?;
        Self::from_digits(&digits.value).or_else(|| {
            let most = Self::DIGITS_MAX;
            problems.add(Problem::new(
                node.span,
                format!(
                    "a code of {} digits: at most {most} are supported",
                    digits.len()
                ),
            ))
        })
    }
}

const ALL_BUT_LAST: &str = "all-but-last";

impl Read for Right {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.scalar() == Some(ALL_BUT_LAST) {
            return Some(Self::AllButLast);
        }
        let number = node.scalar().and_then(|text| text.parse::<u8>().ok());
        match number.filter(|right| *right < Code::DIGITS_MAX) {
            Some(right) => Some(Self::Exactly(right)),
            None => problems.expected_hint(
                "a number of leading digits",
                node,
                &format!(
                    "write {ALL_BUT_LAST}, or a number below {}",
                    Code::DIGITS_MAX
                ),
            ),
        }
    }
}

impl JsonSchema for Right {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Right".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "const": ALL_BUT_LAST },
            { "type": "integer", "minimum": 0, "maximum": Code::DIGITS_MAX - 1 },
        ]})
    }
}

impl JsonSchema for Code {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CodeDigits".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The digits of a code, in quotes",
            "type": "string",
            "pattern": format!("^[0-9]{{1,{}}}$", Self::DIGITS_MAX),
        })
    }
}

/// A code in which keys may be pressed together, as a profile writes it: `"362(03)19"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairedCode(pub Code);

impl Read for PairedCode {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = match &node.value {
            crate::source::Value::Scalar { text, quoted: true } => text,
            _ => return problems.expected_hint("a code", node, "write it in quotes"),
        };
        Code::with_pairs(text).map(Self).or_else(|| {
            problems.expected_hint(
                "a code",
                node,
                "digits, and (01) or (03) for two keys at once: \"362(03)19\"",
            )
        })
    }
}

impl JsonSchema for PairedCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PairedCode".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A code in quotes; keys that are pressed together stand in brackets",
            "type": "string",
            "pattern": format!(r"^([0-9]|\(0[13]\)){{1,{}}}$", Code::DIGITS_MAX),
        })
    }
}
