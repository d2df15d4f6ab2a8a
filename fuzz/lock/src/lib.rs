//! The lock under the fuzzers: its state machine on the host, its storage, its image on the emulated core.
//!
//! Each fuzz target is a function here that takes bytes and panics at a finding. libFuzzer calls it from
//! `fuzz/fuzz_targets`, and the tests of this crate replay what was found before, on any toolchain.
//!
//! - [`products`]: the shipped profiles' personalities.
//! - [`host`]: the state machine with a bolt, a battery and a storage, doing what a script says.
//! - [`code_entry`]: judged by what must hold whatever is done.
//! - [`against_specification`]: compared with a plain model of what manuals say.
//! - [`power_cut`]: the storage, under losses of supply.
//! - [`firmware_image`]: an image on the emulated core, the reference firmware's or a foreign one.

pub mod against_specification;
pub mod code_entry;
pub mod firmware_image;
pub mod host;
pub mod power_cut;
pub mod products;
