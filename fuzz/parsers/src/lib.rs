//! The parsers of what comes from outside, fuzzed one by one; and what the fuzzers of the lock need from the
//! rig.
//!
//! Each fuzz target is a function here that takes bytes and panics at a finding. libFuzzer calls it from
//! `fuzz/fuzz_targets`, and the tests of this crate replay what was found before, on any toolchain.
//!
//! - [`files`]: what people and programs write: scenarios, profiles, benches, traces, images.
//! - [`replies`]: what instruments answer to our drivers.
//! - [`requests`]: what debuggers ask of the served bench.

pub mod files;
pub mod personalities;
pub mod replies;
pub mod requests;
pub mod seeds;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target: its name, which is that of its regressions; what it starts from, in the project; and itself.
pub const TARGETS: [(&str, &[&str], Target); 11] = [
    ("scenario", &["scenarios", "scenarios/bad"], files::scenario),
    (
        "profile",
        &["scenarios/profiles", "scenarios/bad"],
        files::profile,
    ),
    ("bench", &["boards"], files::bench),
    ("trace", &["fuzz/seeds/trace"], files::trace),
    ("image", &["fuzz/seeds/image", "fuzz/foreign"], files::image),
    (
        "scpi_replies",
        &["fuzz/seeds/scpi_replies"],
        replies::supply,
    ),
    (
        "relay_replies",
        &["fuzz/seeds/relay_replies"],
        replies::relay_board,
    ),
    (
        "stage_replies",
        &["fuzz/seeds/stage_replies"],
        replies::stage,
    ),
    (
        "sense_reports",
        &["fuzz/seeds/sense_reports"],
        replies::sense_board,
    ),
    (
        "probe_protocol",
        &["fuzz/seeds/probe_protocol"],
        requests::probe,
    ),
    ("gdb_protocol", &["fuzz/seeds/gdb_protocol"], requests::gdb),
];
