//! The battery terminal's voltage, through its divider.

use cortex_m::asm;
use nrf51_pac::ADC;

use crate::registers::{clear, put, start};

/// The divider, the 1.2 V of the band gap at full scale, and ten bits.
const FULL_SCALE_MV: u32 = 10 * 1200;
const STEPS: u32 = 1023;
const SAMPLES: u32 = 4;
/// A conversion takes 68 µs. The loop that waits takes four of this core's cycles for two that are asked for.
const CONVERSION_CYCLES: u32 = 68 * 16 / 2;
/// Far longer than that.
const LOOKS_MAX: u32 = 10_000;
/// What the comparison takes for a battery, because not every emulator has a converter.
const COMPARISON_MV: u16 = 9_000;
/// Ten bits, input without a divider of its own, against the band gap, AIN2.
const CONFIGURATION: u32 = 2 | 4 << 8;

/// The converter, off between measurements.
pub struct Battery {
    adc: ADC,
}

impl Battery {
    /// Off.
    pub fn new(adc: ADC) -> Self {
        Battery { adc }
    }

    /// Millivolts at the terminal: the mean of a few conversions. A converter that does not answer counts as
    /// an empty battery, so that the lock refuses what it could not finish.
    pub fn measure_mv(&self) -> u16 {
        if cfg!(feature = "tick-timer0") {
            return COMPARISON_MV;
        }
        put(&self.adc.config, CONFIGURATION);
        put(&self.adc.enable, 1);
        let sum: u32 = (0..SAMPLES).map(|_| self.convert()).sum();
        put(&self.adc.enable, 0);
        (sum * FULL_SCALE_MV / (SAMPLES * STEPS)) as u16
    }

    fn convert(&self) -> u32 {
        clear(&self.adc.events_end);
        start(&self.adc.tasks_start);
        asm::delay(CONVERSION_CYCLES);
        for _ in 0..LOOKS_MAX {
            if self.adc.events_end.read().bits() != 0 {
                return self.adc.result.read().bits();
            }
        }
        0
    }
}
