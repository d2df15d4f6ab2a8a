//! Random number generator: nRF51 Series Reference Manual v3.0, section 21 "RNG"; times from the
//! nRF51822 Product Specification v3, section 8.15. Its noise follows from the bench's seed.

use crate::time::Ticks;

use super::Block;
use super::events::{Events, SHORTS};
use super::wires::Wires;

const VALRDY: u32 = 0;
/// One byte without and with bias correction, typical: 167 µs and 677 µs.
const RAW_BYTE: Ticks = Ticks::from_micros(167);
const CORRECTED_BYTE: Ticks = Ticks::from_micros(677);

/// A source of noise: SplitMix64.
#[derive(Clone, Debug, Hash)]
pub(super) struct Noise {
    state: u64,
}

impl Noise {
    pub(super) fn new(seed: u64) -> Noise {
        Noise { state: seed }
    }

    pub(super) fn draw(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 16) as u32
    }
}

/// The generator.
#[derive(Clone, Debug, Hash)]
pub(super) struct Rng {
    events: Events,
    noise: Noise,
    shorts: u32,
    corrected: bool,
    value: u32,
    ready: Ticks,
}

impl Rng {
    pub(super) fn new(id: u32, noise: Noise) -> Rng {
        let events = Events::new(id);
        Rng {
            events,
            noise,
            shorts: 0,
            corrected: false,
            value: 0,
            ready: Ticks::NEVER,
        }
    }

    fn byte_time(&self) -> Ticks {
        if self.corrected {
            CORRECTED_BYTE
        } else {
            RAW_BYTE
        }
    }
}

impl Block for Rng {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, _wires: &mut Wires) -> u32 {
        match offset {
            SHORTS => self.shorts,
            0x504 => u32::from(self.corrected),
            0x508 => self.value,
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, value: u32, _now: Ticks, _wires: &mut Wires) {
        match offset {
            SHORTS => self.shorts = value & 1,
            0x504 => self.corrected = value & 1 != 0,
            _ => {}
        }
    }

    fn task(&mut self, offset: u32, now: Ticks, _wires: &mut Wires) {
        match offset {
            0x000 if self.ready == Ticks::NEVER => self.ready = now + self.byte_time(),
            0x004 => self.ready = Ticks::NEVER,
            _ => {}
        }
    }

    fn next(&self, _wires: &Wires) -> Ticks {
        self.ready
    }

    fn advance(&mut self, now: Ticks, wires: &mut Wires) {
        if self.ready <= now {
            self.value = self.noise.draw() & 0xff;
            let stop = self.shorts & 1 != 0;
            self.ready = if stop {
                Ticks::NEVER
            } else {
                self.ready + self.byte_time()
            };
            self.events.raise(VALRDY, wires);
        }
    }

    fn reset(&mut self, _wires: &mut Wires) {
        let mut events = self.events.clone();
        events.reset();
        // The noise goes on: a chip does not draw the same numbers after every reset.
        *self = Rng {
            events,
            ..Rng::new(0, self.noise.clone())
        };
    }
}
