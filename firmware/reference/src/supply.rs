//! Whether the supply lets flash be written: the chip ignores flash operations while its power-fail
//! comparator warns.

use cortex_m::asm;
use nrf51_pac::POWER;

use crate::registers::{clear, put};

/// Warn at 2.5 V: above that a page can still be erased and written before the chip's brown-out.
const WARN_AT_2_5_VOLTS: u32 = 1 | 2 << 1;
/// For the comparator to settle after it was switched on.
const SETTLE_CYCLES: u32 = 100;

/// The comparator.
#[derive(Clone, Copy)]
pub struct Comparator<'chip>(&'chip POWER);

impl<'chip> Comparator<'chip> {
    /// Switches it on.
    pub fn new(power: &'chip POWER) -> Self {
        put(&power.pofcon, WARN_AT_2_5_VOLTS);
        Comparator(power)
    }

    /// Whether the supply is too low now.
    pub fn is_warning(self) -> bool {
        // The comparison also runs where every event of POWER reads as raised.
        if cfg!(feature = "tick-timer0") {
            return false;
        }
        // The warning is an event, not a level; the comparator starts anew when it is configured.
        clear(&self.0.events_pofwarn);
        put(&self.0.pofcon, WARN_AT_2_5_VOLTS);
        asm::delay(SETTLE_CYCLES);
        self.0.events_pofwarn.read().bits() != 0
    }
}
