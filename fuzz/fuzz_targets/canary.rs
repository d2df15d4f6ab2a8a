//! The same over a planted defect: it must find something within seconds, or the harness is broken.
//!
//! `cargo +nightly fuzz run canary -s none`
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match fuzz_lock::code_entry::canary(bytes) {
        true => Corpus::Keep,
        false => Corpus::Reject,
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    lockrig_fuzz::mutate_script(data, size, max_size, seed)
});
