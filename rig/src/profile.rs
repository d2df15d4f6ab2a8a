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
mod twin;

pub(crate) use check::{EACH_KEY, OTHER_BUTTON, names_in};

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;

use crate::event::Nanos;
use crate::profile::codes::Code;
use crate::quantity::Millivolts;
use crate::source::{Refused, Source, Spanned};
use crate::step::{Ability, DoorState, KnownCode};

pub use cylinder::{Cylinder, CylinderFile, CylinderKind, Plug};
pub use fact::Fact;
pub use sections::{
    AfterReset, Asked, AuthorisingCode, Bolt, Button, Change, CodeRules, CountedFrom,
    CountedWithin, DebugPort, DigitRange, Document, EffectOf, Erased, Erases, Factory, FactoryCode,
    FactoryStays, HoldRange, HoldWindow, Keypad, KeysDuring, LearnsHanding, Lockout, MasterCodes,
    MasterState, OnPowerCycle, Parameter, Procedure, ProductKind, ProfileFile, Reference,
    ReferenceBolt, ReferenceCodes, ReferenceLockout, ReferenceReset, ReferenceSupply, Relock,
    Requires, Reset, ResetCode, Stage, Stores, SupplyRules, UserCodes, WeakCodes, Weakness,
    WindowFrom, ZeroCodes,
};
pub use signal::{Lamp, Signal, Signals, Window};
pub use twin::{Caught, Decisive, Noticed, Twin, TwinFile};

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

    /// Has the rig's finger press and pause no longer than this.
    pub fn press_quickly(&mut self, at_most: Nanos) {
        let keypad = &mut self.file.keypad;
        keypad.press = keypad.press.min(at_most);
        keypad.pause = keypad.pause.min(at_most);
    }

    /// What the product has of that which scenarios need. Whether a bench can make use of it is
    /// the bench's to say.
    pub fn abilities(&self) -> BTreeSet<Ability> {
        let always = [
            Ability::Keypad,
            Ability::Bolt,
            Ability::Supply,
            Ability::Door,
            Ability::Probe,
        ];
        let supply = &self.supply;
        let factory = match &self.codes.factory {
            Fact::Known(Factory::Code(code)) => Some(code),
            _ => None,
        };
        let lockout = self.lockout.as_ref();
        let reset = self.reset.as_ref();
        let stays =
            |wanted: &[FactoryStays]| factory.is_some_and(|code| wanted.contains(&code.stays));
        let sometimes = [
            (lockout.is_some(), Ability::Lockout),
            (
                lockout.is_some_and(|lockout| lockout.stages.len() > 1),
                Ability::SecondLockout,
            ),
            (
                lockout.is_some_and(|lockout| {
                    lockout.on_power_cycle != Fact::Known(OnPowerCycle::Clears)
                }),
                Ability::LockoutSurvives,
            ),
            (
                lockout.is_some_and(|lockout| {
                    lockout.on_power_cycle == Fact::Known(OnPowerCycle::Extends)
                }),
                Ability::LockoutGrows,
            ),
            (
                lockout.is_some_and(|lockout| lockout.keys_during.known().is_some()),
                Ability::KeysDuringLockout,
            ),
            (
                self.codes.idle_time_out.known().is_some(),
                Ability::EntryTimeOut,
            ),
            (
                self.codes.zeros == Fact::Known(ZeroCodes::Refused),
                Ability::ZerosRefused,
            ),
            (
                self.codes.zeros == Fact::Known(ZeroCodes::Deletes),
                Ability::ZerosDelete,
            ),
            (
                self.codes.weak == Fact::Known(WeakCodes::Refused),
                Ability::WeakRefused,
            ),
            (
                self.changes.iter().any(|change| {
                    change.asks.contains(&Asked::Old) && change.asks.contains(&Asked::New)
                }),
                Ability::ChangeByOldCode,
            ),
            (self.codes.reset.is_some(), Ability::PairedResetCode),
            (
                matches!(self.bolt.relocks_after, Fact::Known(Relock::After(_))),
                Ability::Relock,
            ),
            (
                reset.is_some_and(|reset| matches!(reset.hold, Some(HoldWindow::Range(_)))),
                Ability::HoldWindow,
            ),
            (factory.is_some(), Ability::FactoryCode),
            (
                stays(&[
                    FactoryStays::UntilFirstChange,
                    FactoryStays::UntilOverwritten,
                ]),
                Ability::RevokedFactoryCode,
            ),
            (
                stays(&[FactoryStays::Always]),
                Ability::PermanentFactoryCode,
            ),
            (
                factory.is_some()
                    && reset.is_some_and(|reset| {
                        reset.factory_code_afterwards == Fact::Known(AfterReset::Works)
                    }),
                Ability::FactoryCodeAfterReset,
            ),
            (
                reset.is_some_and(|reset| reset.requires.door == Some(DoorState::Open)),
                Ability::OpenDoorReset,
            ),
            (
                reset.is_some_and(|reset| {
                    matches!(
                        reset.erases.user_codes,
                        Fact::Known(Erased::Kept | Erased::WithNewCode)
                    )
                }),
                Ability::KeptUserCodes,
            ),
            (
                self.debug_port == Fact::Known(DebugPort::Closed),
                Ability::ClosedDebugPort,
            ),
            (
                supply.low.known().is_some() || supply.refuses_opening_below.known().is_some(),
                Ability::LowBattery,
            ),
        ];
        let procedures = self.procedures.names().map(str::to_owned);
        let parameters = self.procedures.iter().flat_map(|(name, procedure)| {
            let parameters = procedure.with.names();
            parameters.map(|parameter| Ability::Parameter(name.value.clone(), parameter.to_owned()))
        });
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
            .chain(parameters)
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

    /// The code that the factory sets; documented, or chosen for the reference firmware where each
    /// unit has its own.
    pub fn factory_code(&self) -> Option<&Code> {
        let Factory::Code(factory) = self.factory()? else {
            return None;
        };
        let chosen = self.reference.codes.factory_code.as_ref();
        factory.code.known().or(chosen).map(|code| &code.value)
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
            self.reset.as_ref()?.second_tap_within,
            self.reference.reset.second_tap_within,
        )
    }

    /// Within which time two keys are pressed together; documented, or chosen.
    pub fn together_within(&self) -> Option<Nanos> {
        either(
            self.codes.reset.as_ref()?.together_within,
            self.reference.codes.together_within,
        )
    }

    /// The code that only resets; documented, or chosen for the reference firmware.
    pub fn reset_code(&self) -> Option<&Code> {
        let chosen = self.reference.codes.reset_code.as_ref();
        let code = self.codes.reset.as_ref()?.code.known();
        code.or(chosen.map(|chosen| &chosen.value))
            .map(|paired| &paired.0)
    }

    /// The digits of a known code, where this product has or could have it.
    pub fn known_code(&self, known: KnownCode) -> Option<Code> {
        match known {
            KnownCode::Factory => self.factory_code().cloned(),
            KnownCode::ResetCode => self.reset_code().cloned(),
            KnownCode::ResetCodeInTurn => self.reset_code().map(Code::in_turn),
            weak => codes::weak(self.codes.user.digits, weak),
        }
    }

    /// A button that the product has no use for, if there is one.
    pub fn other_button(&self) -> Option<Button> {
        let used = |button: &Button| {
            let begins = |of: &Option<crate::source::Spanned<Button>>| {
                of.is_some_and(|of| of.value == *button)
            };
            let reset = self.reset.as_ref().and_then(|reset| reset.button);
            let changes = &self.changes;
            reset == Some(*button)
                || changes
                    .iter()
                    .any(|change| begins(&change.tap) || begins(&change.hold))
        };
        Button::ALL.iter().find(|button| !used(button)).copied()
    }

    /// Whether the factory's code opens whatever other codes there are.
    pub fn factory_code_stays(&self) -> bool {
        matches!(
            self.factory(),
            Some(Factory::Code(FactoryCode {
                stays: FactoryStays::Always | FactoryStays::UntilDeleted,
                ..
            }))
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
