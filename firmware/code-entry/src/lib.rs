//! The code-entry parser and the state machine of a lock: keys, buttons, door, bolt and supply go in,
//! signals, bolt commands and console reports come out.
//!
//! Nothing here does I/O or knows a chip. Time is an argument (milliseconds since power-on), storage and outputs
//! are traits, and what a product's manual fixes is data: a [`Personality`]. The firmware runs this crate on the
//! lock's chip, and the rig runs it on the host as the model of what the board should do.
//!
//! A newcomer reads [`personality`] (what can differ between products), then [`record`] (what outlives a power
//! cut), then [`parser`] (key presses become entries and gestures), then [`lock`] (what the lock makes of them).
//!
//! The rule that everything else leans on: a record is committed before its effect can be seen.
#![no_std]

mod code;
pub mod lock;
mod museum;
pub mod parser;
pub mod personality;
pub mod record;
pub mod report;
pub mod signal;

pub use code::{Code, CodeError, MAX_DIGITS, ZERO_WITH_ONE, ZERO_WITH_THREE};
pub use lock::{BoltCommand, BoltPosition, Input, Lock, Outputs, PowerOn, State, Status};
pub use parser::{Button, Key};
pub use personality::{PageError, Personality};
pub use record::{Record, RecordError, Storage, StorageFault};
pub use report::Report;
pub use signal::{Colour, Light, Pattern, Signal, SignalTable, Train};
