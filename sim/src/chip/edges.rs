//! Which ways a program takes: the edges of its control flow, as coverage-guided fuzzers want them. An edge
//! is a branch and where it led; interrupts are none. Whoever does not ask for them does not pay for them.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where edges are noted: one byte for each, 1 if the program took it. Their number is a power of two; edges
/// that share a byte are not told apart.
#[derive(Clone, Copy)]
pub struct Edges(&'static [AtomicU8]);

impl Edges {
    /// Notes them in these.
    ///
    /// # Panics
    /// If their number is not a power of two.
    pub fn new(bytes: &'static [AtomicU8]) -> Edges {
        assert!(bytes.len().is_power_of_two(), "not a power of two");
        Edges(bytes)
    }

    /// Whether the branch at the first address led to the second.
    pub fn took(self, from: u32, to: u32) -> bool {
        self.0[self.place(from, to)].load(Ordering::Relaxed) != 0
    }

    #[inline(always)]
    fn place(self, from: u32, to: u32) -> usize {
        // Fibonacci hashing of both halfword addresses.
        let edge = (from >> 1).wrapping_mul(0x9E37_79B1) ^ (to >> 1).wrapping_mul(0x85EB_CA6B);
        (edge >> 8) as usize & (self.0.len() - 1)
    }

    /// How many were taken.
    pub fn reached(self) -> usize {
        let reached = |byte: &&AtomicU8| byte.load(Ordering::Relaxed) != 0;
        self.0.iter().filter(reached).count()
    }
}

impl fmt::Debug for Edges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Edges({})", self.0.len())
    }
}

/// Follows the branches of a program, or does not.
pub(super) trait Follows: Copy {
    /// Whether it does.
    const BRANCHES: bool;
    /// The branch at the first address led to the second.
    fn note(self, from: u32, to: u32);
}

impl Follows for () {
    const BRANCHES: bool = false;
    #[inline(always)]
    fn note(self, _: u32, _: u32) {}
}

impl Follows for Edges {
    const BRANCHES: bool = true;

    #[inline(always)]
    fn note(self, from: u32, to: u32) {
        // How often says little: a program that polls takes every way many times.
        self.0[self.place(from, to)].store(1, Ordering::Relaxed);
    }
}
