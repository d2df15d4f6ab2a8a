//! What a sense board reports.
//!
//! `cargo +nightly fuzz run sense_reports`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_parsers::replies::sense_board(bytes));
