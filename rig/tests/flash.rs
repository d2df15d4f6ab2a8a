//! Images and probes: what is refused before it is flashed, and what the real probe-rs does with
//! the emulated chip.

mod images;
