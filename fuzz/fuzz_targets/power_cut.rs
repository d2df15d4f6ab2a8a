//! The storage under losses of supply, in every torn form, again in its recovery.
//!
//! `cargo +nightly fuzz run power_cut -s none`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz_lock::power_cut::target(bytes);
});
