//! The values that steps are written with.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::CodeWord;
use crate::event::Nanos;
use crate::quantity::Millivolts;
use crate::source::{Node, OneOrMore, Problem, Problems, Read, file_table, file_words, is_name};

file_words! {
    /// Phases of a flow, in which a supply can fail.
    pub enum Phase as "a phase" {
        /// Nothing is going on.
        P0 = "P0",
        /// A button is held.
        P1 = "P1",
        /// The lock acknowledged the reset.
        P2 = "P2",
        /// In the middle of a code's digits.
        P3 = "P3",
        /// Between a new code and its confirmation.
        P4 = "P4",
        /// The last key was pressed and the lock may be writing.
        P5 = "P5",
        /// The bolt moves.
        P6 = "P6",
        /// A lockout is running.
        P7 = "P7",
    }
}

file_words! {
    /// How a supply fails.
    pub enum Drop as "a kind of supply loss" {
        /// From one moment to the next, as a battery that is pulled.
        Clean,
        /// To the voltage that the profile calls `sag`, as cells that are spent.
        Sag,
    }
}

file_words! {
    /// Where a door is.
    pub enum DoorState as "a door's state" {
        /// Open.
        Open,
        /// Closed.
        Closed,
    }
}

file_words! {
    /// What a code is for.
    pub enum CodeKind as "a kind of code" {
        /// Opens the lock.
        User,
        /// Authorises programming.
        Master,
        /// Has the form of a user code, and is none.
        Wrong,
    }
}

file_words! {
    /// A code that the product or its manual gives, or that every manual warns of.
    pub enum KnownCode as "a known code" {
        /// The code that the factory sets.
        Factory,
        /// The code that only resets.
        ResetCode,
        /// The same digits, but where two are pressed together one after the other.
        ResetCodeInTurn,
        /// Zeros only.
        Zeros,
        /// 1, 2, 3 and so on.
        Sequence,
        /// The same digit again and again.
        Repeated,
        /// A day and a month, with a year where there is room.
        Date,
    }
}

file_words! {
    /// Where a bolt is.
    pub enum BoltState as "a bolt's state" {
        /// Withdrawn: open.
        Withdrawn,
        /// Thrown: locked.
        Thrown,
    }
}

file_words! {
    /// `yes` or `no`.
    #[derive(Default)]
    pub enum YesNo as "yes or no" {
        /// Yes.
        Yes,
        /// No.
        #[default]
        No,
    }
}

file_words! {
    /// What the debug port does for somebody who wants to read flash.
    pub enum Access as "what the debug port does" {
        /// It gives nothing.
        Refused,
        /// It gives what is there.
        Allowed,
    }
}

file_words! {
    /// How a key is cut.
    pub enum KeyKind as "a kind of key" {
        /// It turns the cylinder when the run begins.
        Current,
        /// Another one that the cylinder can learn.
        Other,
        /// Not cut.
        Blank,
        /// With a cut that the cylinder cannot learn.
        Unsupported,
    }
}

file_words! {
    /// Whether a lock must not let something happen.
    #[derive(Default)]
    pub enum Refusal as "whether it is refused" {
        /// It must let it happen.
        #[default]
        No,
        /// It must not.
        Yes,
        /// It may, or may not: what comes of it is looked at later.
        Either,
    }
}

file_words! {
    /// What is pulled out of a cylinder.
    pub enum Pulled as "what is withdrawn" {
        /// The key.
        Key,
    }
}

file_words! {
    /// What is pushed into a cylinder's slot.
    pub enum Pushed as "what is pushed" {
        /// The learning tool.
        Tool,
    }
}

/// Which phase a step stands for, and which one begins when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PhaseLabel {
    /// While the step is carried out.
    pub during: Option<Phase>,
    /// From its end to the next step's beginning.
    pub after: Option<Phase>,
}

file_table! {
    /// The long form of a phase label.
    pub struct PhaseTable as "a phase label" {
        /// While the step is carried out.
        pub during: Option<Phase>,
        /// From its end to the next step's beginning.
        pub after: Option<Phase>,
    }
}

/// How often a step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// So often.
    Count(u32),
    /// Until the lockout that the profile documents has begun.
    UntilLockout,
    /// One time fewer than would start the lockout.
    OneBeforeLockout,
}

/// How long a button is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldFor {
    /// So long.
    Exactly(Nanos),
    /// Just inside the profile's hold window, at its beginning.
    Shortest,
    /// The middle of the window.
    Middle,
    /// Just inside the window, at its end.
    Longest,
    /// Clearly shorter than the window begins.
    TooShort,
}

/// What a step waits for. Each has a bound: its own, or the profile's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// A time.
    Time(Nanos),
    /// The end of the lockout that is running; nothing if none is.
    Lockout,
    /// The bolt to be thrown again after an opening.
    Relock,
    /// The bolt to have learnt the door's handing.
    Handing,
    /// An entry that was begun to be forgotten.
    EntryTimeOut,
    /// The window in which a new code is taken to be over.
    ChangeWindow,
    /// Lamps, beeper and bolt at rest. The profile has no bound for it: the step needs `within`.
    Idle,
}

/// What the supply is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupplyLevel {
    /// No battery.
    Off,
    /// The profile's fresh battery.
    Fresh,
    /// Just below the level at which the profile's product warns.
    Low,
    /// Just below the level at which codes cannot be changed.
    NoChanges,
    /// Just below the level at which it refuses.
    Critical,
    /// What the profile calls sag: spent cells under load.
    Sag,
    /// A voltage.
    Volts(Millivolts),
}

/// What the lock is expected to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedSignal {
    /// One of the profile's signals.
    Signal(String),
    /// Lamps stay dark and the beeper silent for the whole `within`.
    Nothing,
}

/// One set of codes that a lock may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeSet {
    /// These.
    Codes(Vec<CodeWord>),
    /// What the profile says the factory leaves.
    Factory,
}

/// Something that a profile or a bench can have, and a scenario can need.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ability {
    /// Keys can be pressed.
    Keypad,
    /// The bolt is driven, and its place is sensed.
    Bolt,
    /// The supply can be set and cut.
    Supply,
    /// The door's place can be set.
    Door,
    /// Wrong codes lead to a documented lockout.
    Lockout,
    /// The bolt relocks by itself after a documented time.
    Relock,
    /// The reset has a documented hold window.
    HoldWindow,
    /// The factory leaves a code that is the same on every unit.
    FactoryCode,
    /// And a change of codes revokes it.
    RevokedFactoryCode,
    /// The reset works with an open door only.
    OpenDoorReset,
    /// A reset keeps the user codes, for good or until the next new code.
    KeptUserCodes,
    /// The lock documents what it does on a low battery.
    LowBattery,
    /// The factory leaves a code that no change revokes.
    PermanentFactoryCode,
    /// The factory's code works again after a reset.
    FactoryCodeAfterReset,
    /// A second lockout comes after fewer wrong codes, or lasts longer.
    SecondLockout,
    /// No manual says that a power cycle ends a lockout.
    LockoutSurvives,
    /// A power cycle makes a lockout longer.
    LockoutGrows,
    /// It is documented what keys do during a lockout.
    KeysDuringLockout,
    /// An entry is forgotten after a documented pause.
    EntryTimeOut,
    /// A new code of zeros is refused.
    ZerosRefused,
    /// A new code of zeros deletes the old one.
    ZerosDelete,
    /// Weak codes are refused.
    WeakRefused,
    /// A change asks for the old code.
    ChangeByOldCode,
    /// A code for resets alone, with keys that are pressed together.
    PairedResetCode,
    /// A probe reaches its debug port.
    Probe,
    /// Nobody reads it through its debug port.
    ClosedDebugPort,
    /// A stage turns its key.
    Stage,
    /// And changes one key for another.
    KeyExchange,
    /// The profile has this procedure.
    Procedure(String),
    /// The procedure of the first name takes an argument of the second.
    Parameter(String, String),
    /// The profile knows this signal.
    Signal(String),
}

impl Ability {
    /// Those that are one word.
    pub const WORDS: &'static [(&'static str, Ability)] = &[
        ("keypad", Ability::Keypad),
        ("bolt", Ability::Bolt),
        ("supply", Ability::Supply),
        ("door", Ability::Door),
        ("lockout", Ability::Lockout),
        ("relock", Ability::Relock),
        ("reset.hold-window", Ability::HoldWindow),
        ("factory-code", Ability::FactoryCode),
        ("factory-code.revoked", Ability::RevokedFactoryCode),
        ("reset.open-door", Ability::OpenDoorReset),
        ("reset.keeps-user-codes", Ability::KeptUserCodes),
        ("low-battery", Ability::LowBattery),
        ("factory-code.permanent", Ability::PermanentFactoryCode),
        ("factory-code.after-reset", Ability::FactoryCodeAfterReset),
        ("lockout.second", Ability::SecondLockout),
        ("lockout.survives", Ability::LockoutSurvives),
        ("lockout.grows", Ability::LockoutGrows),
        ("lockout.keys", Ability::KeysDuringLockout),
        ("entry.time-out", Ability::EntryTimeOut),
        ("codes.zeros-refused", Ability::ZerosRefused),
        ("codes.zeros-delete", Ability::ZerosDelete),
        ("codes.weak-refused", Ability::WeakRefused),
        ("change.by-old-code", Ability::ChangeByOldCode),
        ("reset-code.pair", Ability::PairedResetCode),
        ("probe", Ability::Probe),
        ("debug-port.closed", Ability::ClosedDebugPort),
        ("stage", Ability::Stage),
        ("key-exchange", Ability::KeyExchange),
    ];
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Procedure(name) => write!(f, "procedure.{name}"),
            Self::Parameter(name, parameter) => write!(f, "procedure.{name}.{parameter}"),
            Self::Signal(name) => write!(f, "signal.{name}"),
            word => f.write_str(
                Self::WORDS
                    .iter()
                    .find(|(_, ability)| ability == word)
                    .map_or("", |(word, _)| word),
            ),
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::Count(1)
    }
}

/// Reads one of a few words, or else a quantity.
fn word_or<T: Clone, Q: Read>(
    what: &str,
    words: &[(&str, T)],
    quantity: impl FnOnce(Q) -> T,
    node: &Node,
    problems: &mut Problems,
) -> Option<T> {
    let Some(text) = node.scalar() else {
        return problems.expected(what, node);
    };
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Some(value.clone());
    }
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return Q::read(node, problems).map(quantity);
    }
    problems.add(
        Problem::new(
            node.span,
            format!("expected {what}, found {}", node.describe()),
        )
        .did_you_mean(text, words.iter().map(|(word, _)| *word)),
    )
}

/// The schema of one of a few words, or else a quantity.
fn word_or_schema<T, Q: JsonSchema>(
    words: &[(&str, T)],
    generator: &mut SchemaGenerator,
) -> Schema {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let quantity = generator.subschema_for::<Q>();
    json_schema!({ "anyOf": [{ "enum": words }, quantity] })
}

const TIMES: &[(&str, Times)] = &[
    ("until-lockout", Times::UntilLockout),
    ("one-before-lockout", Times::OneBeforeLockout),
];
const HOLDS: &[(&str, HoldFor)] = &[
    ("shortest", HoldFor::Shortest),
    ("middle", HoldFor::Middle),
    ("longest", HoldFor::Longest),
    ("too-short", HoldFor::TooShort),
];
const WAITS: &[(&str, WaitFor)] = &[
    ("lockout", WaitFor::Lockout),
    ("relock", WaitFor::Relock),
    ("handing", WaitFor::Handing),
    ("entry-time-out", WaitFor::EntryTimeOut),
    ("change-window", WaitFor::ChangeWindow),
    ("idle", WaitFor::Idle),
];
const LEVELS: &[(&str, SupplyLevel)] = &[
    ("off", SupplyLevel::Off),
    ("fresh", SupplyLevel::Fresh),
    ("low", SupplyLevel::Low),
    ("no-changes", SupplyLevel::NoChanges),
    ("critical", SupplyLevel::Critical),
    ("sag", SupplyLevel::Sag),
];

/// Writes reader, schema and display of a type that is one of a few words, or else a quantity.
macro_rules! word_or_quantity {
    ($($type:ident as $what:literal in $words:ident else $variant:ident($quantity:ty);)*) => { $(
        impl Read for $type {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                word_or($what, $words, $type::$variant, node, problems)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                word_or_schema::<_, $quantity>($words, generator)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::$variant(quantity) => quantity.fmt(f),
                    word => f.write_str(
                        $words
                            .iter()
                            .find(|(_, known)| known == word)
                            .map_or("", |(word, _)| word),
                    ),
                }
            }
        }
    )* };
}
word_or_quantity! {
    HoldFor as "a time to hold" in HOLDS else Exactly(Nanos);
    WaitFor as "a time or something to wait for" in WAITS else Time(Nanos);
    SupplyLevel as "a supply level or a voltage" in LEVELS else Volts(Millivolts);
}

impl Read for Times {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let times = word_or("a number of times", TIMES, Times::Count, node, problems)?;
        if times == Times::Count(0) {
            return problems.expected_hint("a number of times", node, "at least 1");
        }
        Some(times)
    }
}

impl JsonSchema for Times {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Times".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = TIMES.iter().map(|(word, _)| *word).collect();
        json_schema!({ "anyOf": [{ "enum": words }, { "type": "integer", "minimum": 1 }] })
    }
}

impl Read for PhaseLabel {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.scalar().is_some() {
            return Some(Self {
                during: Phase::read(node, problems).map(Some)?,
                after: None,
            });
        }
        let table = PhaseTable::read(node, problems)?;
        Some(Self {
            during: table.during,
            after: table.after,
        })
    }
}

impl JsonSchema for PhaseLabel {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PhaseLabel".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (word, table) = (
            generator.subschema_for::<Phase>(),
            generator.subschema_for::<PhaseTable>(),
        );
        json_schema!({ "anyOf": [word, table] })
    }
}

impl Read for ExpectedSignal {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar() {
            Some("nothing") => Some(Self::Nothing),
            Some(name) if is_name(name) => Some(Self::Signal(name.to_owned())),
            _ => problems.expected("the name of a signal", node),
        }
    }
}

impl JsonSchema for ExpectedSignal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SignalName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A signal of the profile, or nothing",
            "type": "string",
            "pattern": "^[a-z][a-z0-9-]*$",
        })
    }
}

impl fmt::Display for ExpectedSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(name) => f.write_str(name),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

impl Read for CodeSet {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.scalar() == Some("factory") {
            return Some(Self::Factory);
        }
        let codes: OneOrMore<CodeWord> = OneOrMore::read(node, problems)?;
        Some(Self::Codes(codes.as_slice().to_vec()))
    }
}

impl JsonSchema for CodeSet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CodeSet".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let codes = generator.subschema_for::<OneOrMore<CodeWord>>();
        json_schema!({ "anyOf": [{ "const": "factory" }, codes] })
    }
}

impl Read for Ability {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Some(text) = node.scalar() else {
            return problems.expected("an ability", node);
        };
        let known = Self::WORDS.iter().find(|(word, _)| *word == text);
        match (known, text.split_once('.')) {
            (Some((_, ability)), _) => Some(ability.clone()),
            (None, Some(("procedure", name))) if is_name(name) => {
                Some(Self::Procedure(name.to_owned()))
            }
            (None, Some(("procedure", name)))
                if name
                    .split_once('.')
                    .is_some_and(|(name, parameter)| is_name(name) && is_name(parameter)) =>
            {
                let (name, parameter) = name.split_once('.')?;
                Some(Self::Parameter(name.to_owned(), parameter.to_owned()))
            }
            (None, Some(("signal", name))) if is_name(name) => Some(Self::Signal(name.to_owned())),
            _ => problems.add(
                Problem::new(
                    node.span,
                    format!("expected an ability, found {}", node.describe()),
                )
                .did_you_mean(
                    text,
                    Self::WORDS.iter().map(|(word, _)| *word).chain([
                        "procedure.<name>",
                        "procedure.<name>.<parameter>",
                        "signal.<name>",
                    ]),
                ),
            ),
        }
    }
}

impl JsonSchema for Ability {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ability".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = Self::WORDS.iter().map(|(word, _)| *word).collect();
        json_schema!({ "anyOf": [
            { "enum": words },
            {
                "type": "string",
                "pattern": r"^(procedure|signal)\.[a-z][a-z0-9-]*$|^procedure\.[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$",
            },
        ]})
    }
}
