//! Watchdog timer: nRF51 Series Reference Manual v3.0, section 20 "WDT".
//! It counts the low-frequency clock, which it keeps running for itself; the phase of that clock
//! is not modelled here.

use crate::time::Ticks;

use super::events::Events;
use super::wires::{Processor, SlowClock, Wires};
use super::{Block, ResetCause};

const TIMEOUT: u32 = 0;
const RR: u32 = 0x600;
const RR_END: u32 = 0x620;
/// The only value that reloads.
const RELOAD: u32 = 0x6e52_4635;
/// From the TIMEOUT event to the reset (section 20.1.3).
const LAST_CYCLES: u64 = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
enum Counting {
    Stopped,
    Until(Ticks),
    /// With so much left.
    Paused(Ticks),
    /// It ran out; the reset comes.
    Over(Ticks),
}

/// The watchdog.
#[derive(Clone, Debug, Hash)]
pub(super) struct Watchdog {
    events: Events,
    counting: Counting,
    reload_cycles: u32,
    enabled_requests: u32,
    /// Reload registers still to be written.
    open_requests: u32,
    configuration: u32,
}

impl Watchdog {
    pub(super) fn new(id: u32) -> Watchdog {
        Watchdog {
            events: Events::new(id),
            counting: Counting::Stopped,
            reload_cycles: u32::MAX,
            enabled_requests: 1,
            open_requests: 1,
            configuration: 1,
        }
    }

    /// It was started and nothing has stopped it since.
    pub(super) fn running(&self) -> bool {
        self.counting != Counting::Stopped
    }

    fn full(&self) -> Ticks {
        SlowClock::span(u64::from(self.reload_cycles) + 1)
    }

    fn reload(&mut self, now: Ticks) {
        self.open_requests = self.enabled_requests;
        self.counting = match self.counting {
            Counting::Paused(_) => Counting::Paused(self.full()),
            Counting::Over(at) => Counting::Over(at),
            _ => Counting::Until(now + self.full()),
        };
    }

    /// Tells that the processor stops or goes on: bit 0 of CONFIG keeps the watchdog running while
    /// it sleeps, bit 3 while a debugger halts it.
    pub(super) fn processor_changed(&mut self, now: Ticks, processor: Processor) {
        let runs = match processor {
            Processor::Running => true,
            Processor::Sleeping => self.configuration & 1 != 0,
            Processor::Halted => self.configuration & 8 != 0,
        };
        self.counting = match self.counting {
            Counting::Until(at) if !runs => Counting::Paused(at.since(now)),
            Counting::Paused(left) if runs => Counting::Until(now + left),
            other => other,
        };
    }

    /// Stops it: every reset does that which the manual says resets the watchdog.
    pub(super) fn stop(&mut self) {
        let mut events = self.events.clone();
        events.reset();
        *self = Watchdog {
            events,
            ..Watchdog::new(0)
        };
    }
}

impl Block for Watchdog {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, _wires: &mut Wires) -> u32 {
        match offset {
            0x400 => u32::from(self.running()),
            0x404 => self.open_requests,
            0x504 => self.reload_cycles,
            0x508 => self.enabled_requests,
            0x50c => self.configuration,
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, value: u32, now: Ticks, _wires: &mut Wires) {
        match offset {
            // Locked from the start on (section 20.1).
            0x504 if !self.running() => self.reload_cycles = value.max(0xf),
            0x508 if !self.running() => {
                self.enabled_requests = value & 0xff;
                self.open_requests = self.enabled_requests;
            }
            0x50c if !self.running() => self.configuration = value & 9,
            RR..RR_END if value == RELOAD && self.running() => {
                self.open_requests &= !(1 << ((offset - RR) / 4));
                if self.open_requests == 0 {
                    self.reload(now);
                }
            }
            _ => {}
        }
    }

    fn task(&mut self, offset: u32, now: Ticks, wires: &mut Wires) {
        if offset == 0 && !self.running() {
            self.reload(now);
            self.processor_changed(now, wires.processor);
        }
    }

    fn next(&self, _wires: &Wires) -> Ticks {
        match self.counting {
            Counting::Until(at) | Counting::Over(at) => at,
            Counting::Stopped | Counting::Paused(_) => Ticks::NEVER,
        }
    }

    fn advance(&mut self, now: Ticks, wires: &mut Wires) {
        match self.counting {
            Counting::Until(at) if at <= now => {
                self.events.raise(TIMEOUT, wires);
                self.counting = Counting::Over(at + SlowClock::span(LAST_CYCLES));
            }
            Counting::Over(at) if at <= now => {
                self.counting = Counting::Stopped;
                wires.reset = Some(ResetCause::Watchdog);
            }
            _ => {}
        }
    }

    fn reset(&mut self, _wires: &mut Wires) {
        // A watchdog that firmware can switch off is none; see `stop`.
    }
}
