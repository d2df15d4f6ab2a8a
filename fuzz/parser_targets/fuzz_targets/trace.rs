//! Traces.
//!
//! `cargo +nightly fuzz run trace`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_parsers::files::trace(bytes));
