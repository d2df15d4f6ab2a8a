//! What one product promises: facts from its manual, each with its source, and its procedures.
//!
//! A fact that nobody knows says so ([`Fact::Unknown`]), and a manual that is silent says that too
//! ([`Fact::Unspecified`]). What the reference firmware does in the silent places is chosen under
//! `reference:` and promised by nobody. No hold time, lockout or signal is anywhere else in code.

mod check;
pub mod codes;
mod cylinder;
mod fact;
mod personality;
mod sections;
mod signal;

pub(crate) use check::names_in;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;

use crate::event::Nanos;
use crate::quantity::Millivolts;
use crate::source::{Refused, Source, Spanned};
use crate::step::{Ability, DoorState};

pub use cylinder::{Cylinder, CylinderFile, CylinderKind, Plug};
pub use fact::Fact;
pub use sections::{
    AfterReset, Asked, Bolt, Button, Change, CodeRules, CountedFrom, CountedWithin, DigitRange,
    Document, EffectOf, Erased, Erases, Factory, FactoryCode, FactoryStays, HoldRange, HoldWindow,
    Keypad, KeysDuring, Lockout, MasterCodes, MasterState, OnPowerCycle, Parameter, Procedure,
    ProductKind, ProfileFile, Reference, ReferenceBolt, ReferenceCodes, ReferenceLockout,
    ReferenceReset, ReferenceSupply, Relock, Requires, Reset, Stage, Stores, SupplyRules,
    UserCodes, WeakCodes, Weakness, WindowFrom,
};
pub use signal::{Lamp, Signal, Signals, Window};

/// The version of the profile format that this program reads.
pub const VERSION: u32 = 1;

/// A product of any kind, by what handles it.
#[derive(Clone, Debug, PartialEq)]
pub enum Product {
    /// A lock with a keypad and a board.
    Lock(Box<Profile>),
    /// A mechanical cylinder: no board at all.
    Cylinder(Box<Cylinder>),
}

impl Product {
    /// Reads the profile of a product; its `kind` says which sections it has.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn read(source: &Source) -> Result<Self, Refused> {
        let node = source.yaml()?;
        match cylinder::is_cylinder(&node) {
            true => Cylinder::read(source).map(|cylinder| Self::Cylinder(Box::new(cylinder))),
            false => Profile::read(source).map(|profile| Self::Lock(Box::new(profile))),
        }
    }

    /// The name of the product's profile.
    pub fn id(&self) -> &str {
        match self {
            Self::Lock(profile) => profile.id(),
            Self::Cylinder(cylinder) => cylinder.id(),
        }
    }

    /// The product, in words.
    pub fn about(&self) -> &str {
        match self {
            Self::Lock(profile) => &profile.product,
            Self::Cylinder(cylinder) => &cylinder.product,
        }
    }

    /// What kind of lock it is, as bench files name it.
    pub fn kind(&self) -> String {
        match self {
            Self::Lock(profile) => profile.kind.word(),
            Self::Cylinder(cylinder) => cylinder.kind.word(),
        }
    }

    /// The profile of a lock with a board; none for a cylinder.
    pub fn lock(&self) -> Option<&Profile> {
        match self {
            Self::Lock(profile) => Some(profile),
            Self::Cylinder(_) => None,
        }
    }

    /// What is unsafe and known.
    pub fn weaknesses(&self) -> &[Weakness] {
        match self {
            Self::Lock(profile) => &profile.weaknesses,
            Self::Cylinder(cylinder) => &cylinder.weaknesses,
        }
    }
}

/// A profile of a lock with a board that was read and checked.
#[derive(Clone, PartialEq)]
pub struct Profile {
    source: Source,
    file: ProfileFile,
}

impl Profile {
    /// Reads a profile and checks everything in it that can be checked without a scenario.
    pub fn read(source: &Source) -> Result<Self, Refused> {
        let node = source.yaml()?;
        source.refuse_newer(&node, VERSION)?;
        let file = source.read_and_check(&node, check::check)?;
        Ok(Self {
            source: source.clone(),
            file,
        })
    }

    /// The name of the product's profile.
    pub fn id(&self) -> &str {
        &self.file.profile
    }

    /// The file it was read from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What the product has of that which scenarios need. Whether a bench can make use of it is
    /// the bench's to say.
    pub fn abilities(&self) -> BTreeSet<Ability> {
        let always = [
            Ability::Keypad,
            Ability::Bolt,
            Ability::Supply,
            Ability::Door,
        ];
        let supply = &self.supply;
        let factory = match &self.codes.factory {
            Fact::Known(Factory::Code(code)) => Some(code),
            _ => None,
        };
        let sometimes = [
            (self.lockout.is_some(), Ability::Lockout),
            (
                matches!(self.bolt.relocks_after, Fact::Known(Relock::After(_))),
                Ability::Relock,
            ),
            (
                matches!(self.reset.hold, HoldWindow::Range(_)),
                Ability::HoldWindow,
            ),
            (factory.is_some(), Ability::FactoryCode),
            (
                factory.is_some_and(|code| code.stays != FactoryStays::Always),
                Ability::RevokedFactoryCode,
            ),
            (
                self.reset.requires.door == Some(DoorState::Open),
                Ability::OpenDoorReset,
            ),
            (
                matches!(
                    self.reset.erases.user_codes,
                    Fact::Known(Erased::Kept | Erased::WithNewCode)
                ),
                Ability::KeptUserCodes,
            ),
            (
                supply.low.known().is_some() || supply.refuses_opening_below.known().is_some(),
                Ability::LowBattery,
            ),
        ];
        let procedures = self.procedures.names().map(str::to_owned);
        let signals = self
            .signals
            .names()
            .filter(|name| self.signal(name).is_some())
            .map(str::to_owned);
        always
            .into_iter()
            .chain(
                sometimes
                    .into_iter()
                    .filter(|(has, _)| *has)
                    .map(|(_, ability)| ability),
            )
            .chain(procedures.map(Ability::Procedure))
            .chain(signals.map(Ability::Signal))
            .collect()
    }

    /// A signal's pattern: the documented one, else what the reference firmware was told to show.
    pub fn signal(&self, name: &str) -> Option<&Signal> {
        match self.signals.get(name)? {
            Fact::Known(signal) => Some(signal),
            Fact::Unknown | Fact::Unspecified => self.reference.signals.get(name),
        }
    }

    /// Whether a source documents the signal's pattern. If none does, an expectation of it holds
    /// the reference firmware to its choice, and any other board to nothing.
    pub fn promises_signal(&self, name: &str) -> bool {
        matches!(self.signals.get(name), Some(Fact::Known(_)))
    }

    /// What the factory leaves; documented, or chosen for the reference firmware.
    pub fn factory(&self) -> Option<&Factory> {
        let chosen = self.reference.codes.factory.as_ref();
        let chosen = chosen.map(|chosen| &chosen.value);
        self.codes.factory.known().or(chosen)
    }

    /// The code that the factory sets, where it is the same on every unit.
    pub fn factory_code(&self) -> Option<&FactoryCode> {
        match self.factory()? {
            Factory::Code(code) => Some(code),
            Factory::None => None,
        }
    }

    /// How many user codes the lock holds; documented, or chosen for the reference firmware.
    pub fn slots(&self) -> Option<u32> {
        either(self.codes.user.slots, self.reference.codes.slots)
    }

    /// The pause after which an entry is forgotten; documented, or chosen.
    pub fn idle_time_out(&self) -> Option<Nanos> {
        either(self.codes.idle_time_out, self.reference.codes.idle_time_out)
    }

    /// How long a new code is taken after a change was begun; documented, or chosen.
    pub fn change_window(&self) -> Option<Nanos> {
        either(self.codes.change_window, self.reference.codes.change_window)
    }

    /// When the bolt relocks; documented, or chosen.
    pub fn relocks_after(&self) -> Option<Relock> {
        either(self.bolt.relocks_after, self.reference.bolt.relocks_after)
    }

    /// How long the bolt takes to learn the door's handing; documented, or chosen.
    pub fn handing_lasts(&self) -> Option<Nanos> {
        either(self.bolt.handing_lasts, self.reference.bolt.handing_lasts)
    }

    /// Within which time a reset's second tap has to come; documented, or chosen.
    pub fn second_tap_within(&self) -> Option<Nanos> {
        either(
            self.reset.second_tap_within,
            self.reference.reset.second_tap_within,
        )
    }

    /// What keys do during a lockout; documented, or chosen.
    pub fn keys_during_lockout(&self) -> Option<KeysDuring> {
        let lockout = self.lockout.as_ref()?;
        either(lockout.keys_during, self.reference.lockout.keys_during)
    }

    /// What a power cycle does to a lockout; documented, or chosen.
    pub fn lockout_on_power_cycle(&self) -> Option<OnPowerCycle> {
        let lockout = self.lockout.as_ref()?;
        either(
            lockout.on_power_cycle,
            self.reference.lockout.on_power_cycle,
        )
    }

    /// Below which voltage the product warns; documented, or chosen.
    pub fn warns_below(&self) -> Option<Millivolts> {
        either(self.supply.low, self.reference.supply.low)
    }

    /// Below which voltage codes cannot be changed; documented, or chosen.
    pub fn refuses_changes_below(&self) -> Option<Millivolts> {
        either(
            self.supply.refuses_changes_below,
            self.reference.supply.refuses_changes_below,
        )
    }

    /// Below which voltage it does not open; documented, or chosen.
    pub fn refuses_opening_below(&self) -> Option<Millivolts> {
        either(
            self.supply.refuses_opening_below,
            self.reference.supply.refuses_opening_below,
        )
    }
}

/// The documented value, or the chosen one where none is documented.
fn either<T: Copy>(documented: Fact<T>, chosen: Option<Spanned<T>>) -> Option<T> {
    documented
        .known()
        .copied()
        .or(chosen.map(|chosen| chosen.value))
}

impl Deref for Profile {
    type Target = ProfileFile;
    fn deref(&self) -> &ProfileFile {
        &self.file
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({})", self.id())
    }
}

/// The JSON Schema of profile files, from the types that read them.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(cylinder::AnyProfile);
    schema.insert("title".to_owned(), "lockrig profile".into());
    schema.to_value()
}
