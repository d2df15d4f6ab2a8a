//! What was seen in a run: a closed, versioned enumeration of facts in the past tense.
//!
//! The trace (`events.jsonl`) holds one [`Event`] a line, in order; every report is made from it
//! and from nothing else. Times are bench time. Wall time, host names and paths never appear here.

use serde::{Deserialize, Serialize};

/// The version of the trace format that this program writes. A reader refuses a newer one.
pub const FORMAT: u32 = 1;

/// Bench time in nanoseconds: a moment since the bench was made, or a span.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nanos(pub u64);
