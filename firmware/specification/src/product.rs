//! What a manual says of one product, in plain data. Times are in milliseconds.

use std::ops::RangeInclusive;

/// A product. Codes are text; `a` stands for 0 and 1 pressed together, `b` for 0 and 3.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the names are the manual's words")]
pub struct Product {
    pub digits: RangeInclusive<usize>,
    /// The keys that end an entry; with none it ends with its last digit.
    pub submit: Vec<char>,
    pub clear: Option<char>,
    pub idle_ms: u64,
    /// Digits beyond the most are dropped, and do not make an entry wrong.
    pub ignores_more: bool,
    /// Two keys within this time are pressed together; 0, if the product knows no such thing.
    pub together_ms: u64,
    pub slots: usize,
    pub factory: Vec<String>,
    pub stays: Stays,
    /// The master code that the factory sets; empty for none.
    pub master: String,
    /// The code that only lets codes be changed; empty for none.
    pub reset_code: String,
    pub zeros_delete: bool,
    pub changes: Vec<Change>,
    pub stages: Vec<Stage>,
    /// Wrong codes count if they are closer together than this; 0 for all.
    pub within_ms: u64,
    pub during: During,
    pub cycle: Cycle,
    pub reset: Reset,
    pub reset_door_open: bool,
    pub reset_bolt_withdrawn: bool,
    pub erases_users: bool,
    pub erases_master: bool,
    pub erases_hand: bool,
    pub erases_counters: bool,
    pub erases_lockout: bool,
    /// The longest time that the bolt needs.
    pub travel_ms: u64,
    pub learns_hand: bool,
    pub no_changes_below_mv: u32,
    pub no_opening_below_mv: u32,
}

/// A button behind the door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Button {
    Reset,
    Program,
}

/// Where a bolt is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Place {
    Thrown,
    Withdrawn,
    Between,
}

/// How long factory codes work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Stays {
    /// There is none.
    Never,
    /// They stand in the first slots.
    InSlots,
    UntilFirstChange,
    Always,
}

/// A way of changing codes.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Change {
    pub starts: Starts,
    pub door_open: bool,
    pub bolt_withdrawn: bool,
    /// Whether a master code has to be set, or must not.
    pub master: Option<bool>,
    pub asks: Vec<Asks>,
    pub stores: Stores,
    pub window_ms: u64,
    pub window_starts_over: bool,
}

/// What starts a change.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Starts {
    Tap(Button),
    Hold(Button, u64),
    Keys(String),
    Together(char, char),
    Master,
}

/// What a change asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Asks {
    Old,
    Master,
    Factory,
    ResetCode,
    Function(u8),
    New,
    Again,
}

/// Where a new code goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Stores {
    Slot(usize),
    TappedSlot,
    OwnSlot,
    FreeSlot,
    Master,
    /// Nowhere: the bolt learns the hand of its door.
    Hand,
}

/// A stage of a lockout rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Stage {
    pub wrong: usize,
    pub lasts_ms: u64,
}

/// What keys do during a lockout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum During {
    Nothing,
    StartsOver,
}

/// What a power cycle does to a lockout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Cycle {
    Resumes,
    Restarts,
    Extends(u64),
    Clears,
}

/// What resets the lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Reset {
    None,
    Tapped {
        button: Button,
    },
    Held {
        button: Button,
        from_ms: u64,
        to_ms: Option<u64>,
    },
    HeldFromPowerOn {
        button: Button,
        hold_ms: u64,
        tap_ms: u64,
    },
}

impl Product {
    /// The user codes by their slots, as the factory leaves them.
    pub(crate) fn factory_users(&self) -> Vec<String> {
        let mut users = vec![String::new(); 20];
        if self.stays == Stays::InSlots {
            for (slot, code) in users.iter_mut().zip(&self.factory) {
                slot.clone_from(code);
            }
        }
        users
    }

    /// How long a button has to be held to mean something, if it can.
    pub(crate) fn hold_ms(&self, button: Button, from_power_on: bool) -> Option<u64> {
        match self.reset {
            Reset::HeldFromPowerOn {
                button: its,
                hold_ms,
                ..
            } if from_power_on && its == button => {
                return Some(hold_ms);
            }
            _ if from_power_on => return None,
            Reset::Held {
                button: its,
                from_ms,
                ..
            } if its == button => return Some(from_ms),
            _ => {}
        }
        self.changes.iter().find_map(|change| match change.starts {
            Starts::Hold(its, hold_ms) if its == button => Some(hold_ms),
            _ => None,
        })
    }
}
