//! The parsers of what comes from outside, fuzzed one by one; and what the fuzzers of the lock need from the
//! rig.

pub mod personalities;
