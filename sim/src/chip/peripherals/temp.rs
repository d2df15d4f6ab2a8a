//! Temperature sensor: nRF51 Series Reference Manual v3.0, section 22 "TEMP"; time from the
//! nRF51822 Product Specification v3, section 8.16.

use crate::time::Ticks;

use super::Block;
use super::events::Events;
use super::wires::Wires;

const DATARDY: u32 = 0;
const MEASUREMENT: Ticks = Ticks::from_micros(35);

/// The sensor. TEMP is in quarters of a degree Celsius.
#[derive(Clone, Debug, Hash)]
pub(super) struct Temperature {
    events: Events,
    value: u32,
    ready: Ticks,
}

impl Temperature {
    pub(super) fn new(id: u32) -> Temperature {
        Temperature {
            events: Events::new(id),
            value: 0,
            ready: Ticks::NEVER,
        }
    }
}

impl Block for Temperature {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, _wires: &mut Wires) -> u32 {
        if offset == 0x508 { self.value } else { 0 }
    }

    fn write(&mut self, _offset: u32, _value: u32, _now: Ticks, _wires: &mut Wires) {}

    fn task(&mut self, offset: u32, now: Ticks, _wires: &mut Wires) {
        match offset {
            0x000 => self.ready = now + MEASUREMENT,
            0x004 => self.ready = Ticks::NEVER,
            _ => {}
        }
    }

    fn next(&self, _wires: &Wires) -> Ticks {
        self.ready
    }

    fn advance(&mut self, now: Ticks, wires: &mut Wires) {
        if self.ready <= now {
            self.ready = Ticks::NEVER;
            self.value = wires.quarter_degrees as u32;
            self.events.raise(DATARDY, wires);
        }
    }

    fn reset(&mut self, _wires: &mut Wires) {
        self.events.reset();
        self.value = 0;
        self.ready = Ticks::NEVER;
    }
}
