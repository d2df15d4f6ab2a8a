//! Pin tasks and events: nRF51 Series Reference Manual v3.0, section 15 "GPIOTE".
//! Four channels, each a task that drives a pin or an event on its edges, and PORT from DETECT.

use crate::time::Ticks;

use super::Block;
use super::events::Events;
use super::gpio::Claims;
use super::wires::Wires;

const CONFIG: u32 = 0x510;
const CONFIG_END: u32 = 0x520;
const CONFIG_BITS: u32 = 0x0013_1f03;
const PORT: u32 = 31;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Off,
    Event,
    Task,
}

/// The GPIOTE module.
#[derive(Clone, Debug, Hash)]
pub(super) struct Gpiote {
    events: Events,
    configuration: [u32; 4],
    /// The level that each channel in task mode drives.
    driven: [bool; 4],
    detect: bool,
}

impl Gpiote {
    pub(super) fn new(id: u32) -> Gpiote {
        Gpiote {
            events: Events::new(id),
            configuration: [0; 4],
            driven: [false; 4],
            detect: false,
        }
    }

    fn mode(&self, channel: usize) -> Mode {
        match self.configuration[channel] & 3 {
            1 => Mode::Event,
            3 => Mode::Task,
            _ => Mode::Off,
        }
    }

    fn pin(&self, channel: usize) -> u32 {
        (self.configuration[channel] >> 8) & 31
    }

    fn polarity(&self, channel: usize) -> u32 {
        (self.configuration[channel] >> 16) & 3
    }

    /// The pins that channels in task mode have taken from the port.
    pub(super) fn claim(&self, claims: &mut Claims) {
        for channel in 0..4 {
            if self.mode(channel) == Mode::Task {
                claims.drive(self.pin(channel), self.driven[channel]);
            }
        }
    }

    /// Tells that pads changed from one level to another, and what DETECT is now.
    pub(super) fn pins_moved(&mut self, before: u32, after: u32, detect: bool, wires: &mut Wires) {
        for channel in 0..4 {
            if self.mode(channel) != Mode::Event {
                continue;
            }
            let bit = 1 << self.pin(channel);
            if (before ^ after) & bit == 0 {
                continue;
            }
            let rising = after & bit != 0;
            match self.polarity(channel) {
                1 if rising => self.events.raise(channel as u32, wires),
                2 if !rising => self.events.raise(channel as u32, wires),
                3 => self.events.raise(channel as u32, wires),
                _ => {}
            }
        }
        if detect && !self.detect {
            self.events.raise(PORT, wires);
        }
        self.detect = detect;
    }
}

impl Block for Gpiote {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, _wires: &mut Wires) -> u32 {
        match offset {
            CONFIG..CONFIG_END => self.configuration[(offset - CONFIG) as usize / 4],
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, value: u32, _now: Ticks, wires: &mut Wires) {
        if let CONFIG..CONFIG_END = offset {
            let channel = (offset - CONFIG) as usize / 4;
            self.configuration[channel] = value & CONFIG_BITS;
            if self.mode(channel) == Mode::Task {
                self.driven[channel] = value & (1 << 20) != 0;
            }
            wires.pins_stale = true;
        }
    }

    fn task(&mut self, offset: u32, _now: Ticks, wires: &mut Wires) {
        let channel = offset as usize / 4;
        if channel < 4 && self.mode(channel) == Mode::Task {
            match self.polarity(channel) {
                1 => self.driven[channel] = true,
                2 => self.driven[channel] = false,
                3 => self.driven[channel] = !self.driven[channel],
                _ => {}
            }
            wires.pins_stale = true;
        }
    }

    fn reset(&mut self, wires: &mut Wires) {
        self.events.reset();
        self.configuration = [0; 4];
        self.driven = [false; 4];
        wires.pins_stale = true;
    }
}
