//! Drivers: one instrument each, over a byte port; [`pin_board`] is the one over pins.
//!
//! A driver is a state machine without I/O of its own. [`crate::bench`] asks it to do something; it
//! puts the bytes for that into its outbox and says by when it wants to be looked at again. The bench
//! moves the bytes, hands over what came back, and collects the facts. So time never passes inside a
//! driver, drivers are cloned when a bench forks, and a test is a script of bytes.

use std::fmt;

use crate::event::Nanos;
use crate::port::{PortProblem, PortTrouble};

pub mod console;
pub mod firmata;
pub mod pin_board;
pub mod probe;
pub mod relay_board;
pub mod sense;
pub mod stage;
pub mod supply;

/// The instrument's end of the conversation: what every driver is to the bench.
///
/// # Contract
/// - The caller sends everything that `outbox` gives, in order, and calls `receive` with everything
///   that came back, in order, each byte once.
/// - The caller calls `tick` no later than it lets time pass beyond `deadline`.
/// - The driver of an output never gives up by itself: after trouble it still takes orders, so that it can be brought
///   to rest. One that only tells something may, and its bench then does without it.
/// - What a device did whose answer did not come is unknown, and no fact says otherwise.
/// - An instrument that loses its power keeps silent; that shows as [`Trouble::Silent`] within the bound
///   that the driver names.
pub trait Driver {
    /// What this instrument can tell.
    type Fact;

    /// Bytes that came from the instrument, the last of them at `at`.
    fn receive(&mut self, at: Nanos, bytes: &[u8]);

    /// The time is `now`: bounds that have passed become facts.
    fn tick(&mut self, now: Nanos);

    /// When `tick` wants to be called next.
    fn deadline(&self) -> Option<Nanos>;

    /// Takes the bytes that shall be sent, which they are now: answers are awaited from here on. What came long ago
    /// may only be handed over now, and be answered only now.
    fn outbox(&mut self, now: Nanos) -> Vec<u8>;

    /// Takes the oldest fact that has not been taken.
    fn fact(&mut self) -> Option<(Nanos, Self::Fact)>;
}

/// An instrument that did not do what it was told. It always means a broken bench, never a failing board.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{device}: {doing}: {saw}")]
pub struct DeviceTrouble {
    /// The instrument and where it is: `relay board on /dev/ttyUSB0`.
    pub device: String,
    /// What was being done: `closing key "5" (channel 5)`.
    pub doing: String,
    /// The kind, for code that branches on it.
    pub what: Trouble,
    /// What was seen: `no feedback within 250 ms`.
    pub saw: String,
    /// What to try.
    pub hint: String,
}

/// The kinds of [`DeviceTrouble`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// There is no such instrument, or the bench file names none.
    Absent,
    /// We may not use it.
    Denied,
    /// Somebody else uses it.
    Busy,
    /// It did not answer in time.
    Silent,
    /// It answered with what makes no sense.
    Garbled,
    /// It understood, and did something else or nothing.
    Refused,
    /// It worked, and its port is gone.
    Lost,
    /// An output was on for longer than it may be; it has been switched off.
    Overrun,
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Trouble::Absent => "absent",
            Trouble::Denied => "denied",
            Trouble::Busy => "busy",
            Trouble::Silent => "silent",
            Trouble::Garbled => "garbled",
            Trouble::Refused => "refused",
            Trouble::Lost => "lost",
            Trouble::Overrun => "overrun",
        })
    }
}

impl DeviceTrouble {
    /// The trouble of a port, seen from the instrument behind it.
    pub fn from_port(device: &str, doing: &str, trouble: PortTrouble) -> DeviceTrouble {
        let (what, hint) = match trouble.problem {
            PortProblem::Absent => (
                Trouble::Absent,
                "is it plugged in, and is the path in the bench file right?",
            ),
            PortProblem::Denied => (
                Trouble::Denied,
                "may this user open it? on Linux: group dialout for serial ports, gpio for pins; \
                 boards/linux/60-lockrig.rules grants both",
            ),
            PortProblem::Busy => (Trouble::Busy, "close the other program that has it open"),
            PortProblem::Lost => (
                Trouble::Lost,
                "check cable and power of the instrument, then start the run again",
            ),
        };
        DeviceTrouble {
            device: device.to_owned(),
            doing: doing.to_owned(),
            what,
            // The device's name mostly says already where it is.
            saw: if device.contains(&trouble.address) {
                trouble.saw
            } else {
                trouble.to_string()
            },
            hint: hint.to_owned(),
        }
    }
}
