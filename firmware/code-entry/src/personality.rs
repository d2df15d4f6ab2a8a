//! What one product's manual fixes, as data: the rules of entry, codes, changes, lockout, reset, bolt, supply and
//! signals. The rig writes it into a page of flash and the firmware reads it from there.
//!
//! A personality is made by filling the public fields; [`Personality::check`] says what does not fit together, and
//! a page is never made or read without it.

mod page;

use core::fmt;

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

pub use self::page::{PAGE_BYTES, PAGE_MAGIC, PageError};
use crate::code::{Code, MAX_DIGITS};
use crate::parser::{Button, Key};
use crate::record::Record;
use crate::signal::SignalTable;

/// The most ways of changing a code that one product has.
pub const MAX_CHANGES: usize = 6;
/// The most entries that one change asks for.
pub const MAX_STEPS: usize = 4;
/// The most stages of a lockout rule.
pub const MAX_STAGES: usize = 4;
/// The most wrong attempts that a lockout stage can wait for.
pub const MAX_WRONG: usize = 10;

/// Everything that a product's manual fixes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Personality {
    /// The product's name, as the console tells it.
    pub product: String<32>,
    /// What drives the bolt.
    pub kind: Kind,
    /// How digits become an entry.
    pub entry: EntryRules,
    /// How many codes there are, and what the factory leaves.
    pub codes: CodeRules,
    /// The ways in which codes are changed; the first that fits a trigger is taken.
    pub changes: Vec<Change, MAX_CHANGES>,
    /// What wrong attempts lead to.
    pub lockout: LockoutRules,
    /// How the lock is brought back to its factory state.
    pub reset: ResetRules,
    /// How the bolt moves.
    pub bolt: BoltRules,
    /// What a falling battery forbids.
    pub supply: SupplyRules,
    /// What each outcome looks and sounds like.
    pub signals: SignalTable,
}

/// What drives the bolt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// A solenoid releases the bolt while it is energised; a spring takes it back.
    Safe,
    /// A motor withdraws and throws the bolt. The submit key alone throws it.
    SmartLock,
}

/// How key presses become an entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EntryRules {
    /// The fewest digits of a user code.
    pub digits_min: u8,
    /// The most digits of a user code.
    pub digits_max: u8,
    /// The keys that end an entry. With none an entry ends at its last digit, and all codes are `digits_max` long.
    pub submit: Vec<Key, 2>,
    /// The key that ends and forgets what was begun.
    pub clear: Option<Key>,
    /// How long the pause before the next key may be; at this pause the entry is forgotten.
    pub idle_ms: u32,
    /// What digits beyond the most do.
    pub overflow: Overflow,
    /// Two keys that close within less than this of each other are a chord; 0 if the product knows no chords.
    /// A product with chords takes a key this much later, or when it is released.
    pub chord_ms: u16,
    /// A key held for this long is a long press; 0 if the product knows none.
    pub long_press_ms: u16,
}

/// What digits beyond the most do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Overflow {
    /// The entry as a whole is wrong, and is one attempt.
    Wrong,
    /// They are dropped.
    Ignored,
}

/// How many codes there are, and what the factory leaves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CodeRules {
    /// How many user codes can be stored, up to [`Record::SLOTS`].
    pub user_slots: u8,
    /// The codes that the factory sets, or that stand on the label.
    pub factory: Vec<Code, 2>,
    /// How long they are valid.
    pub factory_rule: FactoryRule,
    /// The master code that the factory sets; [`Code::BLANK`] if there is none.
    pub factory_master: Code,
    /// The code that only lets codes be changed, and is itself never changed; [`Code::BLANK`] if there is none.
    pub reset_code: Code,
    /// What a new code of zeros does.
    pub zeros: Zeros,
}

/// What a new code of zeros does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Zeros {
    /// It is refused.
    Refused,
    /// It deletes the code in whose place it would come, without a signal.
    Deletes,
}

/// How long factory codes are valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FactoryRule {
    /// There is none: the owner has to create the first code.
    None,
    /// They stand in the first user slots, and work until those are overwritten.
    Works,
    /// They work until a code has been changed for the first time since the factory state.
    RevokedOnFirstChange,
    /// They always work.
    Permanent,
}

/// One way of changing a code: what starts it, what is asked for in which order, and where the new code goes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// What starts it.
    pub trigger: Trigger,
    /// Where door and bolt have to be when it starts.
    pub guard: Guard,
    /// Whether it needs, or is barred by, a master code.
    pub master: MasterRule,
    /// The entries that follow, in order. Each ends as [`EntryRules`] say.
    pub steps: Vec<Step, MAX_STEPS>,
    /// Which code is changed.
    pub target: Target,
    /// How long the change stays open; at this time it is forgotten.
    pub window_ms: u32,
    /// Whether every key and tap gives the whole window again, or it runs from the trigger.
    pub window_restarts: bool,
}

/// What starts a change of codes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Trigger {
    /// A button is pressed and released.
    Tap(Button),
    /// A button is held.
    Hold {
        /// Which button.
        button: Button,
        /// For how long.
        hold_ms: u32,
    },
    /// These keys are the first of an entry: `000000`, `22*`. All but the last are digits.
    Keys(Vec<Key, 8>),
    /// These two keys are pressed together.
    Chord(Key, Key),
    /// This key is held for [`EntryRules::long_press_ms`].
    LongPress(Key),
    /// The master code is entered where a code would open. It is an attempt like any other.
    Master,
}

/// Where door and bolt have to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Guard {
    /// The door has to be open.
    pub door_open: bool,
    /// The bolt has to be fully withdrawn.
    pub bolt_withdrawn: bool,
}

/// Whether a change needs, or is barred by, a master code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MasterRule {
    /// It does not matter.
    Any,
    /// Only while there is none.
    Unset,
    /// Only while there is one.
    Set,
}

/// One entry that a change asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Step {
    /// A valid user or factory code. It is an attempt like any other.
    Old,
    /// The master code. It is an attempt like any other.
    Master,
    /// The factory code. It is an attempt like any other.
    Factory,
    /// The reset code. It is an attempt like any other.
    ResetCode,
    /// This digit, as the first entry. It chooses among the changes that the same trigger starts.
    Function(u8),
    /// The new code.
    New,
    /// The new code once more.
    Again,
}

/// Which code a change replaces. One that asks for no new code deletes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Target {
    /// The user code in this slot, from 1.
    Slot(u8),
    /// The slot whose number is how often the button was tapped.
    Tapped,
    /// The slot of the code that was entered for [`Step::Old`]; slot 1 for a factory code.
    Own,
    /// The first slot that is free.
    Free,
    /// The master code.
    Master,
    /// No code: the bolt learns the door's hand.
    Hand,
}

/// What wrong attempts lead to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LockoutRules {
    /// The stages in order; the last one repeats. With none there is no lockout.
    pub stages: Vec<LockoutStage, MAX_STAGES>,
    /// Wrong attempts count only if they are closer together than this, in milliseconds; 0 counts all.
    pub within_ms: u32,
    /// What keys do during a lockout.
    pub keys: LockoutKeys,
    /// What becomes of a lockout when the power is cut.
    pub power_cycle: LockoutPowerCycle,
}

/// One stage of a lockout rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LockoutStage {
    /// After how many wrong attempts since the last lockout or right attempt.
    pub wrong: u8,
    /// How long the lockout is.
    pub duration_ms: u32,
}

/// What keys do during a lockout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LockoutKeys {
    /// Nothing.
    Ignored,
    /// They are answered by a signal.
    Answered,
    /// They are answered by a signal, and the lockout starts over.
    Restart,
}

/// What becomes of a lockout when the power is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LockoutPowerCycle {
    /// It goes on from the last checkpoint.
    Resumes,
    /// It starts over.
    Restarts,
    /// It goes on from the last checkpoint and is this much longer.
    Extends {
        /// How much.
        by_ms: u32,
    },
    /// It is over. No secure product does this.
    Clears,
}

/// How the lock is brought back to its factory state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResetRules {
    /// What does it.
    pub trigger: ResetTrigger,
    /// Where door and bolt have to be.
    pub guard: Guard,
    /// What it brings back to the factory state.
    pub erases: Parts,
    /// What the manual says is kept. What is in neither list is kept too, without a promise.
    pub keeps: Parts,
}

/// What resets the lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ResetTrigger {
    /// Nothing does.
    None,
    /// A button pressed and released.
    Tap {
        /// Which button.
        button: Button,
    },
    /// A button held while the lock is powered, and released within the window.
    Hold {
        /// Which button.
        button: Button,
        /// From this hold on a release resets.
        min_ms: u32,
        /// Beyond this hold it no longer does; `None` if there is no such end.
        max_ms: Option<u32>,
    },
    /// A button that is down when power comes, held, released, and tapped once more.
    PowerOnHold {
        /// Which button.
        button: Button,
        /// How long it has to be held from power-on.
        hold_ms: u32,
        /// Within which time from the release the second tap has to end.
        tap_within_ms: u32,
    },
}

impl ResetTrigger {
    /// Whether it is a hold of this button while the lock is powered.
    pub(crate) fn is_hold_of(&self, button: Button) -> bool {
        matches!(self, ResetTrigger::Hold { button: held, .. } if *held == button)
    }
}

/// Parts of what a lock stores, for a reset's erase and keep lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Parts(u8);

impl Parts {
    /// Nothing.
    pub const NONE: Parts = Parts(0);
    /// All user codes. The factory's come back, where it has some.
    pub const USER_CODES: Parts = Parts(1);
    /// The master code.
    pub const MASTER: Parts = Parts(2);
    /// What the bolt learnt of the door's hand.
    pub const HANDING: Parts = Parts(4);
    /// The count of wrong attempts, and the lockout stage it led to.
    pub const COUNTERS: Parts = Parts(8);
    /// A running lockout.
    pub const LOCKOUT: Parts = Parts(16);
    /// Settings other than these. This lock has none; the flag lets a profile state what its manual says.
    pub const SETTINGS: Parts = Parts(32);

    /// These parts and those.
    pub const fn and(self, other: Parts) -> Parts {
        Parts(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    pub const fn contains(self, other: Parts) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any part is in both.
    pub const fn overlaps(self, other: Parts) -> bool {
        self.0 & other.0 != 0
    }
}

/// How the bolt moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BoltRules {
    /// How long the bolt stays released or withdrawn after a right code; 0 until the submit key throws it, which
    /// only a smart lock knows.
    pub relock_ms: u32,
    /// The longest time that the bolt needs for its way; after it, it is jammed.
    pub travel_ms: u32,
    /// Whether the bolt moves by itself, out and in, to learn the door's hand after a reset that erased it.
    pub learns_hand: bool,
}

/// What a falling battery forbids; millivolts at the battery terminal, 0 where the product knows no such level.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SupplyRules {
    /// Below this a warning follows every opening.
    pub warn_below_mv: u16,
    /// Below this codes cannot be changed and nothing is reset.
    pub programming_below_mv: u16,
    /// Below this it does not open.
    pub opening_below_mv: u16,
}

/// What does not fit together in a personality.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleError {
    /// `digits_min` to `digits_max` is not a range within 1 to [`MAX_DIGITS`].
    Digits,
    /// Without a submit key the shortest and the longest code have to be equally long.
    Submit,
    /// A submit or clear key is a digit, or is both.
    EntryKey,
    /// A time that has to pass is zero.
    Time,
    /// More user slots than a record holds, or none.
    Slots,
    /// A factory code is blank, all zeros, or not among the lengths that can be entered; or the rule says that
    /// there are none.
    FactoryCode,
    /// A change whose key sequence is empty or has something else than digits before its last key.
    KeySequence,
    /// A change without a new code that deletes none, that confirms before it has one, that asks for what the
    /// product has not, or whose target is not a slot it can know.
    Steps,
    /// A lockout stage that waits for no or too many wrong attempts.
    Stage,
    /// A hold whose end is before its beginning.
    HoldWindow,
    /// Two rules give the same button's hold a meaning.
    ButtonClash,
    /// A part is both erased and kept.
    Parts,
    /// A safe's solenoid would stay energised for ever, or the bolt is relocked before it can have arrived.
    Relock,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuleError::Digits => "the code lengths are not a range within 1 to 10",
            RuleError::Submit => "without a submit key all codes need the same length",
            RuleError::EntryKey => "a submit or clear key is a digit, or is both",
            RuleError::Time => "a time that has to pass is zero",
            RuleError::Slots => "the user slots are not within 1 to 20",
            RuleError::FactoryCode => {
                "a factory code cannot be entered, or the rule says there is none"
            }
            RuleError::KeySequence => {
                "a key sequence is empty or has more than digits before its last key"
            }
            RuleError::Steps => "a change's steps do not lead to a new code for its target",
            RuleError::Stage => "a lockout stage waits for no or for more than 10 wrong attempts",
            RuleError::HoldWindow => "a hold's end is before its beginning",
            RuleError::ButtonClash => "two rules give the same button's hold a meaning",
            RuleError::Parts => "a part is both erased and kept by a reset",
            RuleError::Relock => "the bolt has no relock time that it can keep",
        })
    }
}

impl core::error::Error for RuleError {}

impl Personality {
    /// Whether the rules fit together, so that the lock made from them always reaches a decision.
    pub fn check(&self) -> Result<(), RuleError> {
        self.check_entry()?;
        self.check_codes()?;
        self.changes
            .iter()
            .try_for_each(|change| self.check_change(change))?;
        self.check_lockout()?;
        self.check_reset()?;
        self.check_bolt()
    }

    /// How long a button has to be held to mean something, if it can.
    pub(crate) fn hold_ms(&self, button: Button, from_power_on: bool) -> Option<u32> {
        if from_power_on {
            return match self.reset.trigger {
                ResetTrigger::PowerOnHold {
                    button: held,
                    hold_ms,
                    ..
                } if held == button => Some(hold_ms),
                _ => None,
            };
        }
        match self.reset.trigger {
            ResetTrigger::Hold {
                button: held,
                min_ms,
                ..
            } if held == button => Some(min_ms),
            _ => self.changes.iter().find_map(|change| match change.trigger {
                Trigger::Hold {
                    button: held,
                    hold_ms,
                } if held == button => Some(hold_ms),
                _ => None,
            }),
        }
    }

    /// Whether a code has as many digits as this product's codes.
    pub(crate) fn fits_length(&self, code: &Code) -> bool {
        let range = usize::from(self.entry.digits_min)..=usize::from(self.entry.digits_max);
        range.contains(&code.digit_count())
    }

    fn check_entry(&self) -> Result<(), RuleError> {
        let entry = &self.entry;
        if entry.digits_min == 0
            || entry.digits_min > entry.digits_max
            || usize::from(entry.digits_max) > MAX_DIGITS
        {
            return Err(RuleError::Digits);
        }
        if entry.submit.is_empty() && entry.digits_min != entry.digits_max {
            return Err(RuleError::Submit);
        }
        let is_digit = |key: &Key| key.digit().is_some();
        if entry
            .submit
            .iter()
            .any(|key| is_digit(key) || entry.clear == Some(*key))
            || entry.clear.iter().any(is_digit)
        {
            return Err(RuleError::EntryKey);
        }
        if entry.idle_ms == 0 {
            return Err(RuleError::Time);
        }
        Ok(())
    }

    fn check_codes(&self) -> Result<(), RuleError> {
        let codes = &self.codes;
        if codes.user_slots == 0 || usize::from(codes.user_slots) > Record::SLOTS {
            return Err(RuleError::Slots);
        }
        let usable = |code: &Code| self.fits_length(code) && !code.is_all_zeros();
        // One of zeros is known, and only its owner can make it a better one.
        let master = codes.factory_master;
        let none = codes.factory_rule == FactoryRule::None;
        if !codes.factory.iter().all(usable)
            || codes.factory.is_empty() != none
            || codes.factory.len() > usize::from(codes.user_slots)
            || !(master.is_blank() || self.fits_length(&master))
        {
            return Err(RuleError::FactoryCode);
        }
        Ok(())
    }

    fn check_change(&self, change: &Change) -> Result<(), RuleError> {
        if change.window_ms == 0 {
            return Err(RuleError::Time);
        }
        match &change.trigger {
            Trigger::Hold { hold_ms: 0, .. } => return Err(RuleError::Time),
            Trigger::Hold { button, hold_ms } => {
                let means_this = self.hold_ms(*button, false) == Some(*hold_ms);
                if self.reset.trigger.is_hold_of(*button) || !means_this {
                    return Err(RuleError::ButtonClash);
                }
            }
            Trigger::Tap(button)
                if self.reset.trigger == (ResetTrigger::Tap { button: *button }) =>
            {
                return Err(RuleError::ButtonClash);
            }
            Trigger::Keys(keys) => {
                let digits_first = keys
                    .split_last()
                    .is_some_and(|(_, first)| first.iter().all(|key| key.digit().is_some()));
                if !digits_first {
                    return Err(RuleError::KeySequence);
                }
            }
            _ => {}
        }
        let asks = |step: Step| change.steps.contains(&step);
        let mut before_new = change.steps.iter().take_while(|step| **step != Step::New);
        let leads_to_new = match change.target {
            Target::Hand => !change.steps.is_empty() && !asks(Step::New),
            Target::Own => true,
            _ => asks(Step::New),
        } && before_new.all(|step| *step != Step::Again);
        let target_known = match change.target {
            Target::Slot(slot) => (1..=self.codes.user_slots).contains(&slot),
            Target::Tapped => matches!(change.trigger, Trigger::Tap(_)),
            Target::Own => asks(Step::Old),
            Target::Free | Target::Master | Target::Hand => true,
        };
        let has_asked = change
            .steps
            .iter()
            .enumerate()
            .all(|(place, step)| match step {
                Step::Factory => !self.codes.factory.is_empty(),
                Step::ResetCode => !self.codes.reset_code.is_blank(),
                Step::Function(digit) => place == 0 && *digit <= 9,
                Step::Old | Step::Master | Step::New | Step::Again => true,
            });
        if leads_to_new && target_known && has_asked {
            Ok(())
        } else {
            Err(RuleError::Steps)
        }
    }

    fn check_lockout(&self) -> Result<(), RuleError> {
        let possible = |stage: &LockoutStage| {
            (1..=MAX_WRONG).contains(&usize::from(stage.wrong)) && stage.duration_ms != 0
        };
        if self.lockout.stages.iter().all(possible) {
            Ok(())
        } else {
            Err(RuleError::Stage)
        }
    }

    fn check_reset(&self) -> Result<(), RuleError> {
        match self.reset.trigger {
            ResetTrigger::Hold { min_ms: 0, .. }
            | ResetTrigger::PowerOnHold { hold_ms: 0, .. }
            | ResetTrigger::PowerOnHold {
                tap_within_ms: 0, ..
            } => return Err(RuleError::Time),
            ResetTrigger::Hold {
                min_ms,
                max_ms: Some(max_ms),
                ..
            } if max_ms < min_ms => {
                return Err(RuleError::HoldWindow);
            }
            _ => {}
        }
        if self.reset.erases.overlaps(self.reset.keeps) {
            Err(RuleError::Parts)
        } else {
            Ok(())
        }
    }

    fn check_bolt(&self) -> Result<(), RuleError> {
        let bolt = &self.bolt;
        if bolt.travel_ms == 0 {
            return Err(RuleError::Time);
        }
        let stays = bolt.relock_ms == 0 && self.kind == Kind::SmartLock;
        if stays || bolt.relock_ms > bolt.travel_ms {
            Ok(())
        } else {
            Err(RuleError::Relock)
        }
    }
}
