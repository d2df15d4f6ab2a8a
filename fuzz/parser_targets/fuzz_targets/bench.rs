//! Bench files.
//!
//! `cargo +nightly fuzz run bench`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_parsers::files::bench(bytes));
