//! What has to be shown before the bolt is withdrawn: two looks at the code, each of which adds its share by
//! arithmetic and not by a branch. One instruction that goes wrong, wherever it stands, forges at most one.

use core::hint::black_box;

use crate::museum;

/// The shares that were added. Copies are looked at in several places, so that none of them decides alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Authority(u32);

/// A look.
#[derive(Clone, Copy)]
pub(super) enum Look {
    First = 0x6996_A53C,
    Second = 0x3CC3_5A96,
}

impl Authority {
    /// Nothing was shown.
    pub const NONE: Authority = Authority(0);
    const WHOLE: u32 = Look::First as u32 ^ Look::Second as u32;

    /// A look is over: it adds its share, if it was good.
    #[inline(never)]
    pub(super) fn add(&mut self, look: Look, good: bool) {
        let share = u32::from(black_box(good)).wrapping_neg() & look as u32;
        self.0 = black_box(self.0) ^ share;
    }

    /// Whether both looks were good.
    #[inline(always)]
    pub fn is_whole(&self) -> bool {
        black_box(self.0) == Authority::WHOLE || museum::decides_once()
    }
}

/// One instruction went wrong, or many: nothing that is known here can be relied upon.
#[cold]
#[inline(never)]
pub(super) fn tampered() -> ! {
    panic!("tampered with")
}

#[cfg(test)]
mod tests {
    use super::{Authority, Look};

    #[test]
    fn only_two_good_looks_are_enough() {
        for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut authority = Authority::NONE;
            assert!(!authority.is_whole());
            authority.add(Look::First, first);
            assert!(!authority.is_whole());
            authority.add(Look::Second, second);
            assert_eq!(authority.is_whole(), first && second);
        }
    }

    #[test]
    fn one_look_does_not_stand_for_the_other() {
        let mut authority = Authority::NONE;
        authority.add(Look::First, true);
        authority.add(Look::First, true);
        assert!(!authority.is_whole());
    }
}
