//! The virtual bench: an emulated microcontroller that runs real firmware images, on an emulated
//! lock board, reached through emulated instruments.
//!
//! - [`time`] is the clock everything here shares.
//! - [`chip`] is the nRF51822: core, memories, peripherals, debug port.
//! - [`board`] is what a lock's board adds around it: keypad, buttons, lamps, beeper, bolt, supply.
//! - [`cylinder`] is a lock without a board: a mechanical cylinder that can be rekeyed.
//! - [`instrument`] is what a bench adds around them: relays, supply, console, stage.
//! - [`probe`] is a debug probe, for those who reach the chip over a wire.
//! - [`bench`](mod@bench) puts them together, lets time pass, forks, and cuts the supply;
//!   [`bench::cylinder`] is the bench that has no chip.
//! - [`hash`] tells their states apart.
//!
//! Nothing here knows the rig: what crosses the border is bytes, edges and debug-port registers.

pub mod bench;
pub mod board;
pub mod chip;
pub mod cylinder;
pub mod hash;
pub mod instrument;
pub mod probe;
pub mod time;
