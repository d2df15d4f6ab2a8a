//! The parsers of what comes from outside, fuzzed one by one; and what the fuzzers of the lock need from the
//! rig.
//!
//! Each fuzz target is a function here that takes bytes and panics at a finding. libFuzzer calls it from
//! `fuzz/fuzz_targets`, and the tests of this crate replay what was found before, on any toolchain.
//!
//! - [`files`]: what people and programs write: scenarios, profiles, benches, traces, images.
//! - [`replies`]: what instruments answer to our drivers.
//! - [`requests`]: what debuggers ask of the served bench.
//!
//! [`scenario_form`] is no target: it writes what the fuzzers of the lock found as scenarios, and reads it back.

pub mod files;
pub mod personalities;
pub mod replies;
pub mod requests;
pub mod scenario_form;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its folders of seeds and regressions.
pub const TARGETS: [(&str, Target); 11] = [
    ("scenario", files::scenario),
    ("profile", files::profile),
    ("bench", files::bench),
    ("trace", files::trace),
    ("image", files::image),
    ("scpi_replies", replies::supply),
    ("relay_replies", replies::relay_board),
    ("stage_replies", replies::stage),
    ("sense_reports", replies::sense_board),
    ("probe_protocol", requests::probe),
    ("gdb_protocol", requests::gdb),
];
