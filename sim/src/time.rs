//! Virtual time, counted in cycles of the chip's 16 MHz clock.

use std::ops::{Add, AddAssign, Sub};

/// A point in virtual time, or a span of it: cycles of 62.5 ns since the bench was made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Ticks(pub u64);

impl Ticks {
    /// The clock's frequency.
    pub const HERTZ: u64 = 16_000_000;
    /// The moment the bench was made.
    pub const ZERO: Ticks = Ticks(0);
    /// Later than anything: the next event of something that has none.
    pub const NEVER: Ticks = Ticks(u64::MAX);

    /// A span of whole microseconds.
    pub const fn from_micros(micros: u64) -> Ticks {
        Ticks(micros * 16)
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Ticks {
        Ticks(millis * 16_000)
    }

    /// The last tick at or before a moment given in nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Ticks {
        Ticks((nanos as u128 * 2 / 125) as u64)
    }

    /// Nanoseconds, rounded down.
    pub const fn as_nanos(self) -> u64 {
        (self.0 as u128 * 125 / 2) as u64
    }

    /// The span from `earlier` to here; zero if `earlier` is later.
    pub const fn since(self, earlier: Ticks) -> Ticks {
        Ticks(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Ticks {
    type Output = Ticks;

    /// Saturates, so that [`Ticks::NEVER`] plus a span is still never.
    fn add(self, span: Ticks) -> Ticks {
        Ticks(self.0.saturating_add(span.0))
    }
}

impl AddAssign for Ticks {
    fn add_assign(&mut self, span: Ticks) {
        *self = *self + span;
    }
}

impl Sub for Ticks {
    type Output = Ticks;

    fn sub(self, other: Ticks) -> Ticks {
        Ticks(self.0 - other.0)
    }
}
