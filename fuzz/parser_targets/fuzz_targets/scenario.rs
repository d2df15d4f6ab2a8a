//! Scenarios, and their plans on every shipped profile.
//!
//! `cargo +nightly fuzz run scenario`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_parsers::files::scenario(bytes));
