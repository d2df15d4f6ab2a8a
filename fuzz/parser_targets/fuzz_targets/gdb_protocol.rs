//! What gdb asks of the served core.
//!
//! `cargo +nightly fuzz run gdb_protocol`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_parsers::requests::gdb(bytes));
