//! The sections of a profile file. Reader and JSON Schema come from these lines.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::codes::{Code, PairedCode};
use super::{Fact, Signal, Signals};
use crate::event::Nanos;
use crate::quantity::Millivolts;
use crate::source::{
    Named, Node, OneOrMore, Problem, Problems, Read, Spanned, Value, file_table, file_words,
};
use crate::step::{CodeKind, DoorState, Step, Written};

/// The names of the documents that a section stands on.
type From = OneOrMore<Spanned<String>>;

file_table! {
    /// A profile: what one product promises.
    pub struct ProfileFile as "a profile" {
        /// Its name.
        pub profile: Spanned<String>,
        /// The version of this format.
        pub version: u32,
        /// What kind of lock it is.
        pub kind: ProductKind,
        /// The product, in words.
        pub product: String,
        /// The documents that the facts are taken from.
        pub sources: Named<Document>,
        /// Its keys.
        pub keypad: Keypad,
        /// Its codes.
        pub codes: CodeRules,
        /// The ways in which codes are changed, as the lock sees them. The first that fits is taken.
        pub changes: Vec<Change>,
        /// Its bolt.
        pub bolt: Bolt,
        /// What wrong codes lead to.
        pub lockout: Option<Lockout>,
        /// Its documented reset; none where the sources document none.
        pub reset: Option<Reset>,
        /// Its battery.
        pub supply: SupplyRules,
        /// Whether somebody with a probe can read it.
        pub debug_port: Fact<DebugPort> = default,
        /// What it shows and sounds.
        pub signals: Signals,
        /// What its owner can do with it, step by step.
        pub procedures: Named<Procedure>,
        /// What is unsafe and known: a finding of one of these is reported, and is no failure.
        pub weaknesses: Vec<Weakness> = default,
        /// What the reference firmware does where the sources are silent. Nobody promises it.
        pub reference: Reference = default,
    }
}

file_words! {
    /// What kind of lock a product is.
    pub enum ProductKind as "a kind of lock" {
        /// A safe: a solenoid lets the handle turn.
        Safe,
        /// A smart lock: a motor moves the bolt.
        SmartLock,
    }
}

file_table! {
    /// A document that facts are taken from.
    pub struct Document as "a source" {
        /// Its title, and where it was read.
        pub title: String,
        /// Its revision or date.
        pub revision: Fact<String>,
    }
}

file_table! {
    /// The keys of a product, and how the rig's finger presses them.
    pub struct Keypad as "the section 'keypad'" {
        /// The rows, keys by their labels with spaces between.
        pub layout: Vec<Spanned<String>>,
        /// Names of keys that the product does not call by their label.
        pub names: Named<Spanned<String>> = default,
        /// How long the rig presses a key.
        pub press: Nanos,
        /// How long the rig waits before the next key.
        pub pause: Nanos,
        /// Where it is documented.
        pub from: From,
    }
}

impl Keypad {
    /// All labels, row by row.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.layout.iter().flat_map(|row| row.split_whitespace())
    }

    /// The label of a key that is known by its name or by its label.
    pub fn key(&self, name: &str) -> Option<&str> {
        let label = self.names.get(name).map_or(name, |label| label.as_str());
        self.labels().find(|known| *known == label)
    }
}

file_table! {
    /// Which codes there are, and how they are entered.
    pub struct CodeRules as "the section 'codes'" {
        /// Codes that open.
        pub user: UserCodes,
        /// Codes that authorise programming.
        pub master: Option<MasterCodes>,
        /// A code that only resets.
        pub reset: Option<ResetCode>,
        /// What the factory leaves.
        pub factory: Fact<Factory>,
        /// What becomes of weak codes.
        pub weak: Fact<WeakCodes>,
        /// What a new code of zeros does.
        pub zeros: Fact<ZeroCodes> = default,
        /// The pause after which an entry is forgotten.
        pub idle_time_out: Fact<Nanos>,
        /// How long a new code is taken after a change was begun.
        pub change_window: Fact<Nanos> = default,
        /// From when on that counts.
        pub change_window_from: WindowFrom = default,
        /// The key that forgets what was entered.
        pub clear: Option<Spanned<String>>,
        /// Where it is documented.
        pub from: From,
    }
}

file_table! {
    /// Codes that open.
    pub struct UserCodes as "the section 'codes.user'" {
        /// How many digits.
        pub digits: DigitRange,
        /// The key that ends an entry; without one it ends by itself.
        pub submit: Option<Spanned<String>>,
        /// How many of them the lock holds.
        pub slots: Fact<u32>,
    }
}

file_table! {
    /// Codes that authorise programming.
    pub struct MasterCodes as "the section 'codes.master'" {
        /// How many digits.
        pub digits: DigitRange,
        /// The key that ends an entry.
        pub submit: Option<Spanned<String>>,
        /// The one that the factory sets, if it sets one, in quotes.
        pub factory: Option<Spanned<Code>>,
    }
}

file_table! {
    /// A code that opens nothing, and lets a lost code be replaced.
    pub struct ResetCode as "the section 'codes.reset'" {
        /// It; unknown where each lock has its own.
        pub code: Fact<PairedCode>,
        /// The key that ends an entry.
        pub submit: Option<Spanned<String>>,
        /// Keys that close within this time of each other are pressed together.
        pub together_within: Fact<Nanos>,
    }
}

file_words! {
    /// What a product's debug port does for strangers.
    pub enum DebugPort as "what a debug port does" {
        /// It gives nothing of what is stored.
        Closed,
        /// It gives everything.
        Open,
    }
}

file_words! {
    /// What a new code of zeros does.
    pub enum ZeroCodes as "what zeros do" {
        /// It is refused.
        Refused,
        /// It deletes the code in whose place it would come, without a signal.
        Deletes,
    }
}

file_words! {
    /// What becomes of a weak code, such as 1234.
    pub enum WeakCodes as "what becomes of weak codes" {
        /// It is taken.
        Accepted,
        /// It is refused.
        Refused,
    }
}

/// What the factory leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Factory {
    /// No code: the owner creates the first.
    None,
    /// A code.
    Code(FactoryCode),
}

file_table! {
    /// A code that the factory sets.
    pub struct FactoryCode as "the section 'codes.factory'" {
        /// The code, in quotes; unknown where each unit has its own.
        pub code: Fact<Spanned<Code>>,
        /// How long it is valid.
        pub stays: FactoryStays,
    }
}

file_words! {
    /// How long a factory code is valid.
    pub enum FactoryStays as "how long the factory code stays" {
        /// Until the first change of any code.
        UntilFirstChange,
        /// Until its own slot is overwritten.
        UntilOverwritten,
        /// Until it is deleted by itself.
        UntilDeleted,
        /// Always.
        Always,
    }
}

/// How many digits a code may have, written `3..8` or `6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigitRange {
    /// The fewest.
    pub from: u8,
    /// The most.
    pub to: u8,
}

file_words! {
    /// From when on the window for a new code counts.
    #[derive(Default)]
    pub enum WindowFrom as "when the window begins" {
        /// From what began the change.
        #[default]
        Trigger,
        /// From the last key or tap.
        LastInput,
    }
}

file_table! {
    /// A way in which a code is changed.
    pub struct Change as "a change" {
        /// This button begins it when it is pressed and released.
        pub tap: Option<Spanned<Button>>,
        /// This button begins it when it is held.
        pub hold: Option<Spanned<Button>>,
        /// For so long.
        pub r#for: Option<Nanos>,
        /// These keys begin it, as the first of an entry: `000000`, `22*`.
        pub keys: Option<Spanned<String>>,
        /// This code begins it, entered where one would open.
        pub code: Option<Spanned<AuthorisingCode>>,
        /// The digit that chooses it among those that begin alike; it is an entry of its own.
        pub function: Option<u8>,
        /// What is then asked for, in order.
        pub asks: Vec<Asked>,
        /// Where the new code goes.
        pub stores: Stores,
        /// Whether it needs a master code to be set, or not to be set.
        pub master: Option<MasterState>,
        /// In which position it works.
        pub requires: Requires = default,
        /// Where it is documented.
        pub from: From,
    }
}

file_words! {
    /// A code that begins a change.
    pub enum AuthorisingCode as "a code that begins a change" {
        /// The master code.
        Master,
    }
}

file_words! {
    /// A code that a change asks for.
    pub enum Asked as "a code that is asked for" {
        /// A code that opens now.
        Old,
        /// The master code.
        Master,
        /// The factory's code.
        Factory,
        /// The code that only resets.
        ResetCode,
        /// The new code.
        New,
        /// The new code once more.
        Again,
    }
}

file_words! {
    /// Where a new code goes.
    pub enum Stores as "where a new code goes" {
        /// Into the first slot.
        FirstSlot,
        /// Into the slot whose number is how often the button was tapped.
        TappedSlot,
        /// Into the slot of the old code that was entered.
        OwnSlot,
        /// Into the first slot that is free.
        FreeSlot,
        /// It becomes the master code.
        Master,
        /// There is none: the old code that was entered is deleted.
        Nothing,
        /// There is none: the bolt learns the door's handing.
        Handing,
    }
}

file_words! {
    /// Whether there is a master code.
    pub enum MasterState as "whether a master code is set" {
        /// There is.
        Set,
        /// There is none.
        Unset,
    }
}

file_table! {
    /// The bolt.
    pub struct Bolt as "the section 'bolt'" {
        /// How long the rig waits for it after a right code.
        pub withdraws_within: Nanos,
        /// When it relocks by itself.
        pub relocks_after: Fact<Relock>,
        /// Whether it moves by itself in a reset, to learn the door's handing.
        pub learns_handing: LearnsHanding = default,
        /// How long that takes.
        pub handing_lasts: Fact<Nanos> = default,
        /// Where it is documented.
        pub from: From,
    }
}

file_words! {
    /// Whether a bolt moves by itself in a reset, to learn the door's handing.
    #[derive(Default)]
    pub enum LearnsHanding as "whether it learns the door's handing" {
        /// As soon as it is reset.
        Yes,
        /// When it is told to, as a part of the reset.
        WhenTold,
        /// It does not.
        #[default]
        No,
    }
}

/// When a bolt relocks by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relock {
    /// Never: a key throws it.
    Never,
    /// So long after it was withdrawn.
    After(Nanos),
}

file_table! {
    /// What wrong codes lead to.
    pub struct Lockout as "the section 'lockout'" {
        /// The lockouts in order; the last one repeats.
        pub stages: Vec<Stage>,
        /// Within which time wrong codes are counted together.
        pub counted_within: CountedWithin,
        /// What keys do during a lockout.
        pub keys_during: Fact<KeysDuring>,
        /// What a power cycle does to a lockout.
        pub on_power_cycle: Fact<OnPowerCycle>,
        /// Where it is documented.
        pub from: From,
    }
}

file_table! {
    /// One lockout.
    #[derive(Copy)]
    pub struct Stage as "a lockout stage" {
        /// After so many wrong codes since the last lockout or right code.
        pub wrong: Spanned<u32>,
        /// How long it lasts.
        pub lasts: Spanned<Nanos>,
    }
}

/// Within which time wrong codes are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedWithin {
    /// However long they are apart.
    Unlimited,
    /// Only within this time.
    Time(Nanos),
}

file_words! {
    /// What keys do during a lockout.
    pub enum KeysDuring as "what keys do during a lockout" {
        /// Nothing.
        Ignored,
        /// They are answered by a signal.
        Answered,
        /// They are answered by a signal, and the lockout starts over.
        Restart,
    }
}

file_words! {
    /// What a power cycle does to a lockout.
    pub enum OnPowerCycle as "what a power cycle does to a lockout" {
        /// It goes on with what was left.
        Resumes,
        /// It starts over.
        Restarts,
        /// It becomes longer.
        Extends,
        /// It is over.
        Clears,
    }
}

file_table! {
    /// The documented reset.
    pub struct Reset as "the section 'reset'" {
        /// The button that triggers it, where one does.
        pub button: Option<Button>,
        /// How long the button is held.
        pub hold: Option<HoldWindow>,
        /// From when on the hold counts.
        pub counted_from: CountedFrom = default,
        /// Within which time after the hold the button has to be tapped once more, where it has
        /// to be tapped at all.
        pub second_tap_within: Fact<Nanos> = default,
        /// In which position it works.
        pub requires: Requires = default,
        /// What it brings back to the factory state, and when.
        pub erases: Erases,
        /// What the factory's codes do after it.
        pub factory_code_afterwards: Fact<AfterReset>,
        /// Where it is documented.
        pub from: From,
    }
}

file_words! {
    /// A button that is not on the keypad.
    pub enum Button as "a button" {
        /// The reset button; a safe's red button.
        Reset,
        /// A smart lock's Program button.
        Program,
    }
}

file_words! {
    /// From when on a hold counts.
    #[derive(Default)]
    pub enum CountedFrom as "when a hold begins to count" {
        /// From the moment the button is pressed.
        #[default]
        Press,
        /// From the moment the battery is back while the button is held.
        PowerOn,
    }
}

/// How long a reset button is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HoldWindow {
    /// It is pressed and released; no time is documented.
    Tap,
    /// For a time within this range.
    Range(HoldRange),
}

file_table! {
    /// A documented range of hold times.
    #[derive(Copy)]
    pub struct HoldRange as "a hold window" {
        /// Every hold from here on works.
        pub from: Nanos,
        /// Up to here. A longer one is recorded and not judged.
        pub to: Fact<Nanos>,
    }
}

file_table! {
    /// In which position something works.
    #[derive(Copy, Default)]
    pub struct Requires as "what a reset requires" {
        /// The door.
        pub door: Option<DoorState>,
    }
}

file_table! {
    /// What a reset brings back to the factory state. What the product does not have is absent.
    pub struct Erases as "the section 'reset.erases'" {
        /// Codes that open.
        pub user_codes: Fact<Erased>,
        /// The code that authorises programming.
        pub master_code: Option<Fact<Erased>>,
        /// Counted wrong codes and a lockout that they led to.
        pub counters: Fact<Erased>,
        /// What the bolt learnt of the door.
        pub handing: Option<Fact<Erased>>,
        /// Pairings with hubs and telephones.
        pub pairings: Option<Fact<Erased>>,
        /// Other settings.
        pub settings: Option<Fact<Erased>>,
    }
}

file_words! {
    /// Whether and when a reset erases something.
    pub enum Erased as "whether it is erased" {
        /// When the reset is done.
        AtOnce,
        /// When the next new code is stored.
        WithNewCode,
        /// Never: it is kept.
        Kept,
    }
}

file_words! {
    /// What the factory's codes do after a reset.
    pub enum AfterReset as "what the factory code does after a reset" {
        /// They work again.
        Works,
        /// There is none.
        None,
    }
}

file_table! {
    /// The battery.
    pub struct SupplyRules as "the section 'supply'" {
        /// A fresh one.
        pub fresh: Spanned<Millivolts>,
        /// Below this the product warns.
        pub low: Fact<Millivolts>,
        /// Below this codes cannot be changed.
        pub refuses_changes_below: Fact<Millivolts> = default,
        /// Below this it does not open.
        pub refuses_opening_below: Fact<Millivolts> = default,
        /// To which voltage the rig lets spent cells sag.
        pub sag: Spanned<Millivolts>,
        /// Where it is documented.
        pub from: From,
    }
}

file_table! {
    /// Something that the owner of the product can do with it.
    pub struct Procedure as "a procedure" {
        /// Its parameters: a kind of code, or a default value.
        pub with: Named<Parameter> = default,
        /// Another procedure that comes right before it, and is done first where it did not.
        pub after: Option<Spanned<String>>,
        /// How it is done.
        pub steps: Vec<Step>,
        /// What a success changes in the lock. What is stored or deleted are the parameters `code`
        /// and `slot`.
        pub effect: EffectOf = default,
        /// Where it is documented.
        pub from: From,
    }
}

file_words! {
    /// What a success of a procedure changes in the lock.
    #[derive(Default)]
    pub enum EffectOf as "an effect" {
        /// Nothing, or only what the procedures inside it change.
        #[default]
        Nothing,
        /// What the section `reset` says is erased.
        Resets,
        /// A code opens from now on.
        StoresUserCode,
        /// The code no longer opens.
        DeletesUserCode,
        /// There is a new master code.
        StoresMasterCode,
        /// The key `new` turns the cylinder from now on, and no other.
        LearnsKey,
    }
}

/// A parameter of a procedure.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// A code, which the scenario has to give.
    Code(CodeKind),
    /// A key of a cylinder, which the scenario has to give.
    Key,
    /// A value, with the one that is meant where the scenario gives none.
    Value(Written),
}

file_table! {
    /// Something unsafe that is known of the product.
    pub struct Weakness as "a known weakness" {
        /// The oracle that it breaks: `I1` to `I8`.
        pub breaks: Spanned<String>,
        /// What is known.
        pub note: String,
        /// Where it is documented.
        pub from: From,
    }
}

file_table! {
    /// What the reference firmware does where the sources are silent, section by section.
    #[derive(Default)]
    pub struct Reference as "the section 'reference'" {
        /// Codes.
        pub codes: ReferenceCodes = default,
        /// The bolt.
        pub bolt: ReferenceBolt = default,
        /// The lockout.
        pub lockout: ReferenceLockout = default,
        /// The reset.
        pub reset: ReferenceReset = default,
        /// The battery.
        pub supply: ReferenceSupply = default,
        /// Signals whose pattern is not documented.
        pub signals: Named<Signal> = default,
    }
}

file_table! {
    /// Choices about codes.
    #[derive(Default)]
    pub struct ReferenceCodes as "the section 'reference.codes'" {
        /// How many user codes.
        pub slots: Option<Spanned<u32>>,
        /// What the factory leaves.
        pub factory: Option<Spanned<Factory>>,
        /// The factory's code, where each unit has its own.
        pub factory_code: Option<Spanned<Code>>,
        /// The pause after which an entry is forgotten.
        pub idle_time_out: Option<Spanned<Nanos>>,
        /// How long a new code is taken.
        pub change_window: Option<Spanned<Nanos>>,
        /// The code that only resets.
        pub reset_code: Option<Spanned<PairedCode>>,
        /// Within which time keys are pressed together.
        pub together_within: Option<Spanned<Nanos>>,
    }
}

file_table! {
    /// Choices about the bolt.
    #[derive(Default)]
    pub struct ReferenceBolt as "the section 'reference.bolt'" {
        /// When it relocks.
        pub relocks_after: Option<Spanned<Relock>>,
        /// How long it takes to learn the handing.
        pub handing_lasts: Option<Spanned<Nanos>>,
    }
}

file_table! {
    /// Choices about the lockout.
    #[derive(Default)]
    pub struct ReferenceLockout as "the section 'reference.lockout'" {
        /// What keys do.
        pub keys_during: Option<Spanned<KeysDuring>>,
        /// What a power cycle does.
        pub on_power_cycle: Option<Spanned<OnPowerCycle>>,
    }
}

file_table! {
    /// Choices about the reset.
    #[derive(Default)]
    pub struct ReferenceReset as "the section 'reference.reset'" {
        /// Within which time the second tap has to come.
        pub second_tap_within: Option<Spanned<Nanos>>,
    }
}

file_table! {
    /// Choices about the battery.
    #[derive(Default)]
    pub struct ReferenceSupply as "the section 'reference.supply'" {
        /// Below this it warns.
        pub low: Option<Spanned<Millivolts>>,
        /// Below this codes cannot be changed.
        pub refuses_changes_below: Option<Spanned<Millivolts>>,
        /// Below this it does not open.
        pub refuses_opening_below: Option<Spanned<Millivolts>>,
    }
}

impl Read for DigitRange {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Some(text) = node.scalar() else {
            return problems.expected("a number of digits", node);
        };
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (Ok(from), Ok(to)) = (from.trim().parse::<u8>(), to.trim().parse::<u8>()) else {
            return problems.expected_hint("a number of digits", node, "write 6 or 4..8");
        };
        let wrong = if from == 0 {
            "a code of no digits would open for everybody".to_owned()
        } else if from > to {
            format!("an empty range: {from} digits are more than {to}")
        } else if to > Code::DIGITS_MAX {
            let most = Code::DIGITS_MAX;
            format!("codes of {to} digits: at most {most} are supported")
        } else {
            return Some(Self { from, to });
        };
        problems.add(Problem::new(node.span, wrong))
    }
}

impl JsonSchema for DigitRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DigitRange".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": Code::DIGITS_MAX },
            { "type": "string", "pattern": r"^[0-9]+ *\.\. *[0-9]+$" },
        ]})
    }
}

impl Read for HoldWindow {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.scalar() == Some("tap") {
            return Some(Self::Tap);
        }
        if !matches!(node.value, Value::Table(_)) {
            return problems.expected_hint(
                "a hold window",
                node,
                "write tap, or { from: 5 s, to: 10 s }",
            );
        }
        let range = HoldRange::read(node, problems)?;
        match range.to {
            Fact::Known(to) if to < range.from => problems.add(
                Problem::new(
                    node.span,
                    format!("an empty window: no hold lasts from {} to {to}", range.from),
                )
                .hint("'from' is the shortest hold that works, 'to' the longest"),
            ),
            _ => Some(Self::Range(range)),
        }
    }
}

/// Writes reader and schema of a type that is one word, or else something longer.
macro_rules! word_or_else {
    ($($type:ident: $word:literal is $unit:ident, else $variant:ident($other:ty);)*) => { $(
        impl Read for $type {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                match node.scalar() {
                    Some($word) => Some(Self::$unit),
                    _ => <$other>::read(node, problems).map(Self::$variant),
                }
            }
        }
        word_or_else!(@schema $type $word $other);
    )* };
    (@schema $type:ident $word:literal $other:ty) => {
        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let other = generator.subschema_for::<$other>();
                json_schema!({ "anyOf": [{ "const": $word }, other] })
            }
        }
    };
}
word_or_else! {
    Factory: "none" is None, else Code(FactoryCode);
    Relock: "never" is Never, else After(Nanos);
    CountedWithin: "unlimited" is Unlimited, else Time(Nanos);
}
word_or_else!(@schema HoldWindow "tap" HoldRange);

impl Read for Parameter {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar() {
            Some("user") => Some(Self::Code(CodeKind::User)),
            Some("master") => Some(Self::Code(CodeKind::Master)),
            Some("key") => Some(Self::Key),
            _ => Written::read(node, problems).map(Self::Value),
        }
    }
}

impl JsonSchema for Parameter {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Parameter".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Written>();
        json_schema!({ "anyOf": [{ "enum": ["user", "master", "key"] }, value] })
    }
}
