//! The lock under the fuzzers: its state machine on the host, and its storage.
//!
//! Each fuzz target is a function here that takes bytes and panics at a finding. libFuzzer calls it from
//! `fuzz/fuzz_targets`, and the tests of this crate replay what was found before, on any toolchain.
//!
//! - [`products`]: the shipped profiles' personalities.
//! - [`host`]: the state machine with a bolt, a battery and a storage, doing what a script says.
//! - [`code_entry`]: judged by what must hold whatever is done.
//! - [`against_specification`]: compared with a plain model of what manuals say.
//! - [`layers`]: what model, state machine, image and board say, in the same words.
//! - [`power_cut`]: the storage, under losses of supply.

pub mod against_specification;
pub mod code_entry;
pub mod host;
pub mod layers;
pub mod power_cut;
pub mod products;
