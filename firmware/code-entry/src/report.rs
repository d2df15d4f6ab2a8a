//! What the console says: one typed report a line, printed as `word key=value ...`. No report holds a digit.

use core::fmt;

/// A fact for the console. Its `Display` is the line's text without the line end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report {
    /// Nothing is going on; a code may be entered.
    Idle,
    /// An attempt is charged and the charge is stored. The verdict is not yet visible.
    Attempt {
        /// The stored failure count, this attempt included.
        failures: u16,
    },
    /// The code of a slot was right; the bolt opens.
    Accepted {
        /// The user slot, from 1; 0 for a factory code.
        slot: u8,
    },
    /// The attempt was wrong.
    Refused {
        /// The stored failure count.
        failures: u16,
    },
    /// A lockout began, went on after a power cut, or reached a stored checkpoint.
    Lockout {
        /// Which of the product's stages, from 1.
        stage: u8,
        /// What is left of it, in milliseconds.
        left_ms: u32,
    },
    /// The lockout is over.
    LockoutOver,
    /// The bolt changed.
    Bolt(BoltReport),
    /// A reset's progress.
    Reset(ResetReport),
    /// The stored codes changed, or may have.
    Codes {
        /// How many user codes are stored now.
        users: u8,
    },
    /// A new code is stored.
    ChangeAccepted,
    /// A change of codes was refused; the old codes stand.
    ChangeRefused(Refusal),
    /// The supply's level changed.
    Supply {
        /// The level.
        level: SupplyLevel,
        /// The battery terminal's voltage in millivolts.
        millivolts: u16,
    },
    /// The lock cannot work.
    Fault(Fault),
    /// Nothing came for too long; what was begun is forgotten.
    TimeOut,
}

/// What the bolt did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BoltReport {
    /// It is fully withdrawn.
    Withdrawn,
    /// It is fully thrown.
    Thrown,
    /// It left an end position.
    Moving,
    /// It did not arrive in its time.
    Jammed,
}

/// How a reset stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetReport {
    /// The button was held long enough.
    Armed,
    /// The factory state is stored.
    Done,
    /// It is not permitted now; nothing changed.
    Refused,
}

/// Why a change of codes was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Too few or too many digits.
    Length,
    /// All zeros.
    Zeros,
    /// The repetition differs.
    Mismatch,
    /// There is no such slot, or none is free.
    Slot,
    /// There is no such function.
    Function,
    /// The battery is too low for programming.
    Battery,
    /// The authorising code was wrong.
    Code,
    /// The clear key was pressed.
    Cancelled,
    /// The door or the bolt is not where it has to be, or a master code is missing or in the way.
    NotPermitted,
}

/// How full the battery is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SupplyLevel {
    /// Nothing to say.
    Fresh,
    /// Below the warning level.
    Low,
    /// Below the level at which the lock opens.
    Critical,
}

/// Why the lock cannot work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// There is no personality page, or it does not decode.
    Personality,
    /// A record could not be stored.
    Storage,
    /// The stored record does not decode.
    Record,
}

impl BoltReport {
    /// Its word on the console.
    pub const fn word(self) -> &'static str {
        match self {
            BoltReport::Withdrawn => "withdrawn",
            BoltReport::Thrown => "thrown",
            BoltReport::Moving => "moving",
            BoltReport::Jammed => "jammed",
        }
    }
}

impl ResetReport {
    /// Its word on the console.
    pub const fn word(self) -> &'static str {
        match self {
            ResetReport::Armed => "armed",
            ResetReport::Done => "done",
            ResetReport::Refused => "refused",
        }
    }
}

impl Refusal {
    /// Its word on the console.
    pub const fn word(self) -> &'static str {
        match self {
            Refusal::Length => "length",
            Refusal::Zeros => "zeros",
            Refusal::Mismatch => "mismatch",
            Refusal::Slot => "slot",
            Refusal::Function => "function",
            Refusal::Battery => "battery",
            Refusal::Code => "code",
            Refusal::Cancelled => "cancelled",
            Refusal::NotPermitted => "not-permitted",
        }
    }
}

impl SupplyLevel {
    /// Its word on the console.
    pub const fn word(self) -> &'static str {
        match self {
            SupplyLevel::Fresh => "fresh",
            SupplyLevel::Low => "low",
            SupplyLevel::Critical => "critical",
        }
    }
}

impl Fault {
    /// Its word on the console.
    pub const fn word(self) -> &'static str {
        match self {
            Fault::Personality => "personality",
            Fault::Storage => "storage",
            Fault::Record => "record",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Report::Idle => f.write_str("idle"),
            Report::Attempt { failures } => write!(f, "attempt failures={failures}"),
            Report::Accepted { slot } => write!(f, "accepted slot={slot}"),
            Report::Refused { failures } => write!(f, "refused failures={failures}"),
            Report::Lockout { stage, left_ms } => write!(f, "lockout stage={stage} left={left_ms}"),
            Report::LockoutOver => f.write_str("lockout over"),
            Report::Bolt(bolt) => write!(f, "bolt {}", bolt.word()),
            Report::Reset(reset) => write!(f, "reset {}", reset.word()),
            Report::Codes { users } => write!(f, "codes users={users}"),
            Report::ChangeAccepted => f.write_str("change accepted"),
            Report::ChangeRefused(refusal) => write!(f, "change refused reason={}", refusal.word()),
            Report::Supply { level, millivolts } => {
                write!(f, "supply level={} mv={millivolts}", level.word())
            }
            Report::Fault(fault) => write!(f, "fault {}", fault.word()),
            Report::TimeOut => f.write_str("timeout"),
        }
    }
}
