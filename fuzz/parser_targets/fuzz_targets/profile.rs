//! Profiles, and the personalities made of them.
//!
//! `cargo +nightly fuzz run profile`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_parsers::files::profile(bytes));
