//! What a lock shows and sounds: the outcomes that have a signal, and the pattern a product gives each of them.

use serde::{Deserialize, Serialize};

/// An outcome that the person at the lock is told of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Signal {
    /// A key was taken.
    KeyClick,
    /// The code is right; the bolt moves next.
    Accepted,
    /// The code is wrong.
    WrongCode,
    /// The new code is stored.
    ChangeAccepted,
    /// The change is refused and the old codes stand.
    ChangeRefused,
    /// The reset button was held long enough.
    ResetArmed,
    /// The lock is in its factory state.
    ResetDone,
    /// A lockout begins, or goes on after a power cut.
    LockoutBegins,
    /// A key was pressed during a lockout that answers keys.
    LockoutKey,
    /// The battery is low, or too low for what was asked.
    LowBattery,
    /// Nothing came for too long; what was begun is forgotten.
    TimeOut,
    /// A change of codes was begun, and the lock waits for what it asks for.
    ProgrammingOpen,
    /// What a change of codes asked for was right, and it waits for what comes next.
    StepTaken,
    /// The new code may be one, and has to be entered once more.
    NewCodeTaken,
    /// The bolt did not arrive.
    BoltJammed,
    /// The lock cannot work; it stays locked.
    Fault,
}

impl Signal {
    /// Every signal, in the order of the table.
    pub const ALL: [Signal; 16] = [
        Signal::KeyClick,
        Signal::Accepted,
        Signal::WrongCode,
        Signal::ChangeAccepted,
        Signal::ChangeRefused,
        Signal::ResetArmed,
        Signal::ResetDone,
        Signal::LockoutBegins,
        Signal::LockoutKey,
        Signal::LowBattery,
        Signal::TimeOut,
        Signal::ProgrammingOpen,
        Signal::StepTaken,
        Signal::NewCodeTaken,
        Signal::BoltJammed,
        Signal::Fault,
    ];

    /// Its name in profiles and on the console.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::KeyClick => "key-click",
            Signal::Accepted => "accepted",
            Signal::WrongCode => "wrong-code",
            Signal::ChangeAccepted => "change-accepted",
            Signal::ChangeRefused => "change-refused",
            Signal::ResetArmed => "reset-armed",
            Signal::ResetDone => "reset-done",
            Signal::LockoutBegins => "lockout-begins",
            Signal::LockoutKey => "lockout-key",
            Signal::LowBattery => "low-battery",
            Signal::TimeOut => "time-out",
            Signal::ProgrammingOpen => "programming-open",
            Signal::StepTaken => "step-taken",
            Signal::NewCodeTaken => "new-code-taken",
            Signal::BoltJammed => "bolt-jammed",
            Signal::Fault => "fault",
        }
    }
}

/// Which lamp.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Colour {
    /// The red one.
    Red,
    /// The green one.
    Green,
    /// The yellow one.
    Yellow,
}

/// A train of equal pulses. One long pulse is a steady lamp or a long tone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Train {
    /// How many.
    pub count: u8,
    /// How long each is on, in milliseconds.
    pub on_ms: u16,
    /// How long the pause between two is, in milliseconds.
    pub off_ms: u16,
}

/// Flashes of one lamp.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Light {
    /// Which lamp.
    pub colour: Colour,
    /// Its flashes.
    pub train: Train,
}

/// What a signal looks and sounds like. Light and sound are separate tracks that start together: a new pattern
/// ends the old one on each track that it uses, and leaves the other track to run out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Pattern {
    /// The lamp's track.
    pub light: Option<Light>,
    /// The beeper's track.
    pub sound: Option<Train>,
}

impl Pattern {
    /// Nothing seen, nothing heard.
    pub const SILENT: Pattern = Pattern {
        light: None,
        sound: None,
    };
}

/// A pattern for every signal.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SignalTable([Pattern; Signal::ALL.len()]);

impl SignalTable {
    /// The pattern of a signal; [`Pattern::SILENT`] until it is set.
    pub fn get(&self, signal: Signal) -> Pattern {
        self.0[signal as usize]
    }

    /// Gives a signal its pattern.
    pub fn set(&mut self, signal: Signal, pattern: Pattern) {
        self.0[signal as usize] = pattern;
    }
}
