//! What a debugger asks of the served probe.
//!
//! `cargo +nightly fuzz run probe_protocol`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_parsers::requests::probe(bytes));
