//! What a supply answers.
//!
//! `cargo +nightly fuzz run scpi_replies`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_parsers::replies::supply(bytes));
