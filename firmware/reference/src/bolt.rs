//! The bolt's drive. It does what the lock commands, stops at the end positions by itself, and never drives
//! longer than the parts stand.

use code_entry::{Authority, BoltCommand};

use crate::pins::{BOLT_THROWN, BOLT_WITHDRAWN, DRIVE_A, DRIVE_B, DRIVE_ENABLE, Port};

/// A solenoid gets hot; no manual's opening time is longer.
#[cfg(feature = "safe")]
const DRIVE_MS_MAX: u64 = 30_000;
/// A stalled motor gets hot, and drains the battery.
#[cfg(feature = "smart-lock")]
const DRIVE_MS_MAX: u64 = 4_000;
/// After the inrush of a motor, and while a solenoid pulls in: the battery's worst moment that lasts.
const LOADED_AFTER_MS: u64 = 30;

/// The drive.
pub struct Drive {
    command: BoltCommand,
    /// It is a withdrawal, and does not drive yet.
    waits: bool,
    until_ms: Option<u64>,
    loaded_ms: Option<u64>,
}

impl Drive {
    /// At rest.
    pub fn new(port: &Port) -> Self {
        off(port);
        Drive {
            command: BoltCommand::Rest,
            waits: false,
            until_ms: None,
            loaded_ms: None,
        }
    }

    /// Obeys the lock. A withdrawal waits for [`Drive::withdraw`].
    pub fn command(&mut self, port: &Port, now_ms: u64, command: BoltCommand) {
        let is_new = command != self.command;
        self.command = command;
        self.waits = command == BoltCommand::Withdraw;
        match command {
            BoltCommand::Withdraw => {}
            BoltCommand::Throw if cfg!(feature = "smart-lock") => {
                port.low(DRIVE_A);
                port.high(DRIVE_B);
                port.low(DRIVE_ENABLE);
            }
            // A safe's spring throws.
            BoltCommand::Throw | BoltCommand::Rest => {
                off(port);
                self.until_ms = None;
                self.loaded_ms = None;
                return;
            }
        }
        self.until_ms = Some(now_ms + DRIVE_MS_MAX);
        if is_new {
            self.loaded_ms = Some(now_ms + LOADED_AFTER_MS);
        }
    }

    /// Withdraws, if it was told to and the lock's authority is whole. Both lines are needed to drive, and it is
    /// looked at before each.
    pub fn withdraw(&mut self, port: &Port, authority: Authority) {
        if !self.waits {
            return;
        }
        self.waits = false;
        port.low(DRIVE_B);
        if !authority.is_whole() {
            panic!();
        }
        port.high(DRIVE_A);
        if !authority.is_whole() {
            panic!();
        }
        port.low(DRIVE_ENABLE);
    }

    /// Withdraws for nobody.
    #[cfg(feature = "museum-self-test-key")]
    pub fn test(&mut self, port: &Port) {
        self.waits = false;
        port.high(DRIVE_A);
        port.low(DRIVE_ENABLE);
    }

    /// Switches off what has arrived or has been on for too long.
    pub fn run(&mut self, port: &Port, now_ms: u64) {
        let Some(until_ms) = self.until_ms else {
            return;
        };
        let arrived = cfg!(feature = "smart-lock")
            && match self.command {
                BoltCommand::Withdraw => port.is_low(BOLT_WITHDRAWN),
                BoltCommand::Throw => port.is_low(BOLT_THROWN),
                BoltCommand::Rest => false,
            };
        if arrived || now_ms >= until_ms {
            off(port);
            self.until_ms = None;
            self.loaded_ms = None;
        }
    }

    /// Whether now is the moment to measure the battery under the drive's load; says so once.
    pub fn is_load_due(&mut self, now_ms: u64) -> bool {
        let due = self.loaded_ms.is_some_and(|loaded_ms| now_ms >= loaded_ms);
        if due {
            self.loaded_ms = None;
        }
        due
    }

    /// When to look again.
    pub fn deadline(&self) -> Option<u64> {
        self.until_ms.into_iter().chain(self.loaded_ms).min()
    }
}

/// Drives nothing.
pub fn off(port: &Port) {
    port.high(DRIVE_ENABLE);
    port.low(DRIVE_A);
    port.low(DRIVE_B);
}
