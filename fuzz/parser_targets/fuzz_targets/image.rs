//! Images: ELF, Intel HEX, and what is neither.
//!
//! `cargo +nightly fuzz run image`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_parsers::files::image(bytes));
