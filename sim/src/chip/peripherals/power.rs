//! Power management: nRF51 Series Reference Manual v3.0, section 12 "POWER", and in the same block
//! CLOCK (section 13) and the memory protection unit (section 9).

use crate::time::Ticks;

use super::clock::Clock;
use super::events::Events;
use super::wires::Wires;
use super::{Block, ResetCause};

const POFWARN: u32 = 2;

/// Falling thresholds of the power-fail comparator and their hysteresis, in millivolts
/// (Product Specification v3, section 8.2).
const POWER_FAIL: [(u32, u32); 4] = [(2_100, 46), (2_300, 62), (2_500, 79), (2_700, 100)];

/// POWER, CLOCK and MPU: one block, one interrupt.
#[derive(Clone, Debug, Hash)]
pub(super) struct PowerClock {
    events: Events,
    pub(super) clock: Clock,
    reset_reasons: u32,
    retained: u32,
    power_fail_configuration: u32,
    ram_on: u32,
    ram_on_b: u32,
    pin_reset_in_debug: u32,
    dcdc: u32,
    dcdc_force: u32,
    below_power_fail: bool,
    off: bool,
    // The memory protection unit.
    protected_peripherals: u32,
    region_bytes: u32,
    protected_blocks: [u32; 2],
    disable_in_debug: u32,
}

impl PowerClock {
    pub(super) fn new(id: u32) -> PowerClock {
        PowerClock {
            events: Events::new(id),
            clock: Clock::new(),
            reset_reasons: 0,
            retained: 0,
            power_fail_configuration: 0,
            ram_on: 3,
            ram_on_b: 3,
            pin_reset_in_debug: 0,
            dcdc: 0,
            dcdc_force: 0,
            below_power_fail: false,
            off: false,
            protected_peripherals: 0,
            region_bytes: u32::MAX,
            protected_blocks: [0; 2],
            disable_in_debug: 1,
        }
    }

    /// The power-fail warning is raised: the flash refuses to be written or erased.
    pub(super) fn power_failing(&self) -> bool {
        self.below_power_fail
    }

    /// The power-fail comparator is enabled.
    pub(super) fn watches_supply(&self) -> bool {
        self.power_fail_configuration & 1 != 0
    }

    /// The chip is in System OFF.
    pub(super) fn is_off(&self) -> bool {
        self.off
    }

    /// The 4 KiB blocks of flash that are write-protected until the next reset, one bit for each
    /// (section 9.1.2).
    pub(super) fn protected_blocks(&self) -> u64 {
        u64::from(self.protected_blocks[0]) | u64::from(self.protected_blocks[1]) << 32
    }

    /// Looks at the supply anew: after it moved, after POFCON was written, and when the processor
    /// wakes. The comparator stops with the high-frequency clock (section 12.1.3): firmware that
    /// sleeps without one is not warned before it wakes.
    pub(super) fn watch_supply(&mut self, fast_clock: bool, wires: &mut Wires) {
        if self.power_fail_configuration & 1 == 0 {
            self.below_power_fail = false;
            return;
        }
        if !fast_clock {
            return;
        }
        let (below, hysteresis) = POWER_FAIL[(self.power_fail_configuration >> 1) as usize & 3];
        if wires.supply_millivolts < below && !self.below_power_fail {
            self.below_power_fail = true;
            self.events.raise(POFWARN, wires);
        } else if wires.supply_millivolts >= below + hysteresis {
            self.below_power_fail = false;
        }
    }

    /// The reset of this block, and the trace that a cause leaves in RESETREAS. What survives
    /// follows the table in section 12.1.10.
    pub(super) fn reset_by(&mut self, cause: ResetCause, wires: &mut Wires) {
        let kept = self.clone();
        *self = PowerClock::new(0);
        self.events = kept.events;
        self.events.reset();
        self.clock.reset(wires);
        if cause.keeps_retained_registers() {
            self.retained = kept.retained;
            self.ram_on = kept.ram_on;
            self.ram_on_b = kept.ram_on_b;
            self.pin_reset_in_debug = kept.pin_reset_in_debug;
        }
        if cause != ResetCause::PowerOn {
            self.reset_reasons = kept.reset_reasons | cause.reason();
        }
    }
}

impl Block for PowerClock {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, _wires: &mut Wires) -> u32 {
        match offset {
            0x400 => self.reset_reasons,
            0x428 => self.ram_on & 3 | (self.ram_on_b & 3) << 2,
            0x510 => self.power_fail_configuration,
            0x51c => self.retained,
            0x524 => self.ram_on,
            0x554 => self.ram_on_b,
            0x544 => self.pin_reset_in_debug,
            0x578 => self.dcdc,
            0xa08 => self.dcdc_force,
            0x528 => self.protected_peripherals,
            0x52c => self.region_bytes,
            0x600 => self.protected_blocks[0],
            0x604 => self.protected_blocks[1],
            0x608 => self.disable_in_debug,
            _ => self.clock.read(offset),
        }
    }

    fn write(&mut self, offset: u32, value: u32, _now: Ticks, wires: &mut Wires) {
        match offset {
            0x400 => self.reset_reasons &= !value,
            0x500 if value & 1 != 0 => {
                self.off = true;
                wires.off = true;
            }
            0x510 => {
                // A new threshold starts the comparator anew, so that it warns again.
                self.below_power_fail = false;
                self.power_fail_configuration = value & 7;
                self.watch_supply(true, wires);
            }
            0x51c => self.retained = value & 0xff,
            0x524 => self.ram_on = value & 0x3_0003,
            0x554 => self.ram_on_b = value & 0x3_0003,
            0x544 => self.pin_reset_in_debug = value & 1,
            0x578 => self.dcdc = value & 1,
            0xa08 => self.dcdc_force = value & 3,
            0x528 => self.protected_peripherals = value,
            0x52c => self.region_bytes = value,
            0x600 => self.protected_blocks[0] |= value,
            0x604 => self.protected_blocks[1] |= value,
            0x608 => self.disable_in_debug = value & 1,
            _ => self.clock.write(offset, value),
        }
    }

    fn task(&mut self, offset: u32, now: Ticks, wires: &mut Wires) {
        // CONSTLAT and LOWPWR (0x78, 0x7c) choose a latency that this model does not have.
        self.clock.task(offset, now, &mut self.events, wires);
    }

    fn next(&self, _wires: &Wires) -> Ticks {
        self.clock.next()
    }

    fn advance(&mut self, now: Ticks, wires: &mut Wires) {
        self.clock.advance(now, &mut self.events, wires);
    }

    fn reset(&mut self, _wires: &mut Wires) {
        // Not one of the blocks that firmware can switch off; see `reset_by`.
    }
}
