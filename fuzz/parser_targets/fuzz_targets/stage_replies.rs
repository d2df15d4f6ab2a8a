//! What a motion stage answers.
//!
//! `cargo +nightly fuzz run stage_replies`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_parsers::replies::stage(bytes));
