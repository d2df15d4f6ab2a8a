//! The hash by which states are told apart: the same on every run, and a small part of what a start costs.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

/// A hasher that has seen nothing.
pub fn state_hasher() -> impl Hasher {
    FixedState::default().build_hasher()
}
