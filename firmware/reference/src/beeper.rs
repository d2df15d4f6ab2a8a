//! The tone: TIMER1 toggles the beeper's pin through PPI and GPIOTE, so that nothing the processor does is
//! heard.

use nrf51_pac::{PPI, TIMER1};

use crate::pins::{BEEPER, Port};
use crate::registers::{put, start};

/// Half a period of 2.7 kHz, in microseconds.
const HALF_PERIOD: u32 = 185;
const TO_1_MEGAHERTZ: u32 = 4;
const BITS_16: u32 = 0;
const CLEAR_ON_COMPARE: u32 = 1;
const CHANNEL: u32 = 1;

/// The beeper.
pub struct Beeper {
    timer: TIMER1,
    is_on: bool,
}

impl Beeper {
    /// Silent.
    pub fn new(timer: TIMER1, ppi: &PPI, port: &Port) -> Self {
        put(&timer.bitmode, BITS_16);
        put(&timer.prescaler, TO_1_MEGAHERTZ);
        put(&timer.cc[0], HALF_PERIOD);
        put(&timer.shorts, CLEAR_ON_COMPARE);
        put(&ppi.ch[0].eep, timer.events_compare[0].as_ptr() as u32);
        put(&ppi.ch[0].tep, port.toggle_task());
        put(&ppi.chenset, CHANNEL);
        Beeper {
            timer,
            is_on: false,
        }
    }

    /// Starts or stops the tone. Silent leaves the pin low: a piezo under direct voltage corrodes.
    pub fn set(&mut self, port: &Port, on: bool) {
        if on == self.is_on {
            return;
        }
        self.is_on = on;
        if on {
            port.lend_for_toggling(BEEPER);
            start(&self.timer.tasks_clear);
            start(&self.timer.tasks_start);
        } else {
            // STOP alone keeps the clock request up (PAN 73).
            start(&self.timer.tasks_stop);
            start(&self.timer.tasks_shutdown);
            port.take_back();
        }
    }
}
