//! The lock's state machine on the host against its specification.
//!
//! `cargo +nightly fuzz run code_entry_vs_spec -s none`
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match fuzz_lock::against_specification::target(bytes) {
        true => Corpus::Keep,
        false => Corpus::Reject,
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    lockrig_fuzz::mutate_script(data, size, max_size, seed)
});
