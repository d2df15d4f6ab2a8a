//! Analog-to-digital converter: nRF51 Series Reference Manual v3.0, section 31 "ADC"; times from
//! the nRF51822 Product Specification v3, section 8.12.

use crate::time::Ticks;

use super::Block;
use super::events::Events;
use super::wires::Wires;

const END: u32 = 0;
/// The internal bandgap reference.
const BANDGAP_MICROVOLTS: u64 = 1_200_000;
/// AIN7 doubles as the external reference AREF1.
const AREF1: usize = 7;

/// The converter.
#[derive(Clone, Debug, Hash)]
pub(super) struct Adc {
    events: Events,
    enabled: bool,
    configuration: u32,
    result: u32,
    done: Ticks,
}

impl Adc {
    pub(super) fn new(id: u32) -> Adc {
        let events = Events::new(id);
        Adc {
            events,
            enabled: false,
            configuration: 0x18,
            result: 0,
            done: Ticks::NEVER,
        }
    }

    fn bits(&self) -> u32 {
        match self.configuration & 3 {
            0 => 8,
            1 => 9,
            _ => 10,
        }
    }

    fn conversion(&self) -> Ticks {
        match self.bits() {
            8 => Ticks::from_micros(20),
            9 => Ticks::from_micros(36),
            _ => Ticks::from_micros(68),
        }
    }

    /// The result is the prescaled input as a fraction of the reference, in steps of 2^-bits,
    /// and stops at full scale.
    fn convert(&self, now: Ticks, wires: &mut Wires) -> u32 {
        let supply = u64::from(wires.supply_millivolts) * 1_000;
        let selected = (self.configuration >> 8) & 0xff;
        let analog = match selected.checked_ilog2() {
            Some(channel) => u64::from(wires.analog_microvolts[channel as usize]),
            None => 0,
        };
        let input = match (self.configuration >> 2) & 7 {
            0 => analog,
            1 => analog * 2 / 3,
            2 => analog / 3,
            5 => supply * 2 / 3,
            6 => supply / 3,
            _ => 0,
        };
        let reference = match (self.configuration >> 5) & 3 {
            0 => BANDGAP_MICROVOLTS,
            2 => supply / 2,
            3 => supply / 3,
            _ if (self.configuration >> 16) & 3 == 2 => u64::from(wires.analog_microvolts[AREF1]),
            _ => {
                wires.note(now, 0x4000_7504, "the reference AREF0 has no voltage here");
                0
            }
        };
        let full = (1_u64 << self.bits()) - 1;
        match (input << self.bits()).checked_div(reference) {
            Some(result) => result.min(full) as u32,
            None => full as u32,
        }
    }
}

impl Block for Adc {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, _wires: &mut Wires) -> u32 {
        match offset {
            0x400 => u32::from(self.done != Ticks::NEVER),
            0x500 => u32::from(self.enabled),
            0x504 => self.configuration,
            0x508 => self.result,
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, value: u32, _now: Ticks, _wires: &mut Wires) {
        match offset {
            0x500 => {
                self.enabled = value & 3 == 1;
                if !self.enabled {
                    self.done = Ticks::NEVER;
                }
            }
            0x504 => self.configuration = value & 0x3_ff7f,
            _ => {}
        }
    }

    fn task(&mut self, offset: u32, now: Ticks, _wires: &mut Wires) {
        match offset {
            0x000 if self.enabled => self.done = now + self.conversion(),
            0x004 => self.done = Ticks::NEVER,
            _ => {}
        }
    }

    fn next(&self, _wires: &Wires) -> Ticks {
        self.done
    }

    fn advance(&mut self, now: Ticks, wires: &mut Wires) {
        if self.done <= now {
            self.done = Ticks::NEVER;
            self.result = self.convert(now, wires);
            self.events.raise(END, wires);
        }
    }

    fn reset(&mut self, _wires: &mut Wires) {
        let mut events = self.events.clone();
        events.reset();
        *self = Adc {
            events,
            ..Adc::new(0)
        };
    }
}
