//! What a relay board answers.
//!
//! `cargo +nightly fuzz run relay_replies`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_parsers::replies::relay_board(bytes));
