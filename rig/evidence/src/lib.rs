//! What was seen in a run of lockrig, and what it means.
//!
//! ```text
//! event ──► trace          verdict ◄── judge ──► event ◄── oracle
//! ```
//!
//! - [`event`]: what was seen, as a closed enumeration; [`trace`] writes and reads it.
//! - [`oracle`]: what must hold in every run, whatever its scenario expects.
//! - [`judge`]: the verdict of a run, from its events; [`verdict`]: how a run can end.
//!
//! A crate of its own, because all trust in the rig rests on it: it knows no bench, no file and no
//! clock, and builds and is tested in seconds, so that every line of it can be changed on purpose to
//! see whether a test notices.

pub mod event;
pub mod judge;
pub mod oracle;
pub mod trace;
pub mod verdict;
