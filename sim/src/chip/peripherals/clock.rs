//! Clock management: nRF51 Series Reference Manual v3.0, section 13 "CLOCK"; start-up times from
//! the nRF51822 Product Specification v3, section 8.1. CLOCK shares its block with POWER.

use crate::time::Ticks;

use super::events::Events;
use super::wires::{SlowClock, Wires};

const HFCLKSTARTED: u32 = 0;
const LFCLKSTARTED: u32 = 1;
const DONE: u32 = 3;
const CTTO: u32 = 4;

/// Typical start of the 16 MHz crystal oscillator.
const CRYSTAL_START: Ticks = Ticks::from_micros(400);
/// Start of the 32.768 kHz RC oscillator, typical.
const SLOW_RC_START: Ticks = Ticks::from_micros(390);
/// Start of the 32.768 kHz crystal oscillator, typical.
const SLOW_CRYSTAL_START: Ticks = Ticks::from_millis(300);
/// The synthesised low-frequency clock follows the high-frequency clock almost at once.
const SLOW_SYNTHESISED_START: Ticks = Ticks::from_micros(100);
/// Duration of a calibration of the RC oscillator (section 13.1.5: up to 17 ms).
const CALIBRATION: Ticks = Ticks::from_millis(17);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
enum Oscillator {
    Stopped,
    Starting(Ticks),
    Running,
}

impl Oscillator {
    fn due(self) -> Ticks {
        match self {
            Oscillator::Starting(at) => at,
            _ => Ticks::NEVER,
        }
    }
}

/// The registers of CLOCK; its events are in the block's [`Events`].
#[derive(Clone, Debug, Hash)]
pub(super) struct Clock {
    fast: Oscillator,
    slow: Oscillator,
    slow_source: u32,
    /// The source at the last LFCLKSTART.
    slow_source_used: u32,
    calibrated: Ticks,
    interval: u32,
    interval_over: Ticks,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock {
            fast: Oscillator::Stopped,
            slow: Oscillator::Stopped,
            slow_source: 0,
            slow_source_used: 0,
            calibrated: Ticks::NEVER,
            interval: 0,
            interval_over: Ticks::NEVER,
        }
    }

    pub(super) fn read(&self, offset: u32) -> u32 {
        let fast_running = self.fast == Oscillator::Running;
        let slow_running = self.slow == Oscillator::Running;
        match offset {
            0x408 => u32::from(self.fast != Oscillator::Stopped),
            // The processor always has a high-frequency clock when it can read this.
            0x40c => 1 << 16 | u32::from(fast_running),
            0x414 => u32::from(self.slow != Oscillator::Stopped),
            0x418 => u32::from(slow_running) << 16 | self.slow_source_used,
            0x41c => self.slow_source_used,
            0x518 => self.slow_source,
            0x538 => self.interval,
            0x550 => 0xff,
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, offset: u32, value: u32) {
        match offset {
            // Only while the clock is stopped (section 13.1.2); later writes wait for a restart.
            0x518 => self.slow_source = value & 3,
            0x538 => self.interval = value & 0x7f,
            _ => {}
        }
    }

    pub(super) fn task(&mut self, offset: u32, now: Ticks, events: &mut Events, wires: &mut Wires) {
        match offset {
            // A clock that runs already says so again: a bootloader leaves it running, and the
            // application waits for the event all the same.
            0x000 if self.fast == Oscillator::Running => events.raise(HFCLKSTARTED, wires),
            0x008 if self.slow == Oscillator::Running => events.raise(LFCLKSTARTED, wires),
            0x000 if self.fast == Oscillator::Stopped => {
                self.fast = Oscillator::Starting(now + CRYSTAL_START);
            }
            0x004 => {
                self.fast = Oscillator::Stopped;
                wires.crystal = false;
            }
            0x008 if self.slow == Oscillator::Stopped => {
                self.slow_source_used = self.slow_source;
                let start = match self.slow_source {
                    1 => SLOW_CRYSTAL_START,
                    2 => SLOW_SYNTHESISED_START,
                    _ => SLOW_RC_START,
                };
                self.slow = Oscillator::Starting(now + start);
            }
            0x00c => {
                self.slow = Oscillator::Stopped;
                wires.slow_clock = SlowClock::default();
            }
            0x010 => self.calibrated = now + CALIBRATION,
            0x014 => {
                // Steps of 0.25 s; an interval of 0 is not allowed and counts as the shortest.
                let quarters = u64::from(self.interval.max(1));
                self.interval_over = now + Ticks::from_millis(250 * quarters);
            }
            0x018 => self.interval_over = Ticks::NEVER,
            _ => {}
        }
    }

    pub(super) fn next(&self) -> Ticks {
        self.fast
            .due()
            .min(self.slow.due())
            .min(self.calibrated)
            .min(self.interval_over)
    }

    pub(super) fn advance(&mut self, now: Ticks, events: &mut Events, wires: &mut Wires) {
        if self.fast.due() <= now {
            self.fast = Oscillator::Running;
            wires.crystal = true;
            events.raise(HFCLKSTARTED, wires);
        }
        if self.slow.due() <= now {
            wires.slow_clock = SlowClock {
                since: Some(self.slow.due()),
            };
            self.slow = Oscillator::Running;
            events.raise(LFCLKSTARTED, wires);
        }
        if self.calibrated <= now {
            self.calibrated = Ticks::NEVER;
            events.raise(DONE, wires);
        }
        if self.interval_over <= now {
            self.interval_over = Ticks::NEVER;
            events.raise(CTTO, wires);
        }
    }

    pub(super) fn reset(&mut self, wires: &mut Wires) {
        *self = Clock::new();
        wires.crystal = false;
        wires.slow_clock = SlowClock::default();
    }
}
