//! Timers and counters: nRF51 Series Reference Manual v3.0, section 18 "TIMER".
//! The count is computed from the time when it was last known; only compare matches are events.

use crate::time::Ticks;

use super::Block;
use super::events::{Events, SHORTS};
use super::wires::Wires;

const START: u32 = 0x000;
const STOP: u32 = 0x004;
const COUNT: u32 = 0x008;
const CLEAR: u32 = 0x00c;
const SHUTDOWN: u32 = 0x010;
const CAPTURE: u32 = 0x040;
const CAPTURE_END: u32 = 0x050;
const MODE: u32 = 0x504;
const BITMODE: u32 = 0x508;
const PRESCALER: u32 = 0x510;
const CC: u32 = 0x540;
const CC_END: u32 = 0x550;
const COMPARE: u32 = 16;

/// One of TIMER0 to TIMER2.
#[derive(Clone, Debug, Hash)]
pub(super) struct Timer {
    events: Events,
    /// TIMER0 counts up to 32 bits, the others up to 16 (section 18, table of instances).
    wide: bool,
    shorts: u32,
    counter_mode: bool,
    bit_mode: u32,
    prescaler: u32,
    compare: [u32; 4],
    running: bool,
    /// The count at `since`.
    count: u32,
    /// A moment at which the count changed, or would have.
    since: Ticks,
}

impl Timer {
    pub(super) fn new(id: u32, wide: bool) -> Timer {
        Timer {
            events: Events::new(id),
            wide,
            shorts: 0,
            counter_mode: false,
            bit_mode: 0,
            prescaler: 4,
            compare: [0; 4],
            running: false,
            count: 0,
            since: Ticks::ZERO,
        }
    }

    /// Whether this timer keeps the high-frequency clock on.
    pub(super) fn needs_clock(&self) -> bool {
        self.running && !self.counter_mode
    }

    fn mask(&self) -> u32 {
        match self.bit_mode {
            1 => 0xff,
            2 if self.wide => 0x00ff_ffff,
            3 if self.wide => u32::MAX,
            _ => 0xffff,
        }
    }

    fn shift(&self) -> u32 {
        // Higher values are reserved; the divider ends at 2^9.
        self.prescaler.min(9)
    }

    fn count(&self, now: Ticks) -> u32 {
        if self.running && !self.counter_mode {
            let steps = now.since(self.since).0 >> self.shift();
            self.count.wrapping_add(steps as u32) & self.mask()
        } else {
            self.count & self.mask()
        }
    }

    /// Makes the state explicit at `now`, keeping the prescaler's phase.
    fn hold(&mut self, now: Ticks) {
        if self.running && !self.counter_mode {
            self.count = self.count(now);
            let elapsed = now.since(self.since).0;
            self.since = Ticks(self.since.0 + (elapsed >> self.shift() << self.shift()));
        } else {
            self.since = now;
        }
    }

    fn clear(&mut self, now: Ticks) {
        self.count = 0;
        self.since = now;
    }

    fn short(&self, channel: usize) -> bool {
        self.shorts & (0x101 << channel) != 0
    }

    /// When the count next becomes equal to each compare register, seen from the last held state;
    /// never for a value that is wider than the counter.
    fn matches(&self) -> [Ticks; 4] {
        let mask = self.mask();
        let shift = self.shift();
        self.compare.map(|compare| {
            if compare > mask {
                return Ticks::NEVER;
            }
            let ahead = compare.wrapping_sub(self.count) & mask;
            // Equal already: it was reported when it became so, and a whole turn is ahead.
            let steps = if ahead == 0 {
                u64::from(mask) + 1
            } else {
                u64::from(ahead)
            };
            self.since + Ticks(steps << shift)
        })
    }

    fn matched(&mut self, channel: usize, now: Ticks, wires: &mut Wires) {
        self.events.raise(COMPARE + channel as u32, wires);
        if self.shorts & (1 << channel) != 0 {
            self.clear(now);
        }
        if self.shorts & (1 << (8 + channel)) != 0 {
            self.hold(now);
            self.running = false;
        }
    }
}

impl Block for Timer {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, _wires: &mut Wires) -> u32 {
        match offset {
            SHORTS => self.shorts,
            MODE => u32::from(self.counter_mode),
            BITMODE => self.bit_mode,
            PRESCALER => self.prescaler,
            CC..CC_END => self.compare[(offset - CC) as usize / 4],
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, value: u32, now: Ticks, _wires: &mut Wires) {
        self.hold(now);
        match offset {
            SHORTS => self.shorts = value & 0xf0f,
            MODE => self.counter_mode = value & 1 != 0,
            BITMODE => self.bit_mode = value & 3,
            PRESCALER => {
                // Allowed only while stopped (section 18.1.2); else the phase begins anew.
                self.prescaler = value & 0xf;
                self.since = now;
            }
            CC..CC_END => self.compare[(offset - CC) as usize / 4] = value,
            _ => {}
        }
    }

    fn task(&mut self, offset: u32, now: Ticks, wires: &mut Wires) {
        self.hold(now);
        match offset {
            START => self.running = true,
            STOP => self.running = false,
            COUNT if self.counter_mode && self.running => {
                self.count = self.count.wrapping_add(1) & self.mask();
                for channel in 0..4 {
                    if self.compare[channel] == self.count {
                        self.matched(channel, now, wires);
                    }
                }
            }
            CLEAR => self.clear(now),
            SHUTDOWN => {
                self.running = false;
                self.clear(now);
            }
            CAPTURE..CAPTURE_END => {
                self.compare[(offset - CAPTURE) as usize / 4] = self.count(now);
            }
            _ => {}
        }
    }

    fn next(&self, _wires: &Wires) -> Ticks {
        if !self.running || self.counter_mode {
            return Ticks::NEVER;
        }
        let mut next = Ticks::NEVER;
        for (channel, at) in self.matches().into_iter().enumerate() {
            if at < next
                && (self.short(channel) || self.events.observable(COMPARE + channel as u32))
            {
                next = at;
            }
        }
        next
    }

    fn advance(&mut self, now: Ticks, wires: &mut Wires) {
        if !self.running || self.counter_mode {
            return;
        }
        let matches = self.matches();
        self.hold(now);
        for (channel, _) in matches.iter().enumerate().filter(|(_, at)| **at <= now) {
            self.matched(channel, now, wires);
        }
    }

    fn settle(&mut self, now: Ticks, _wires: &mut Wires) {
        self.hold(now);
    }

    fn reset(&mut self, _wires: &mut Wires) {
        let mut events = self.events.clone();
        events.reset();
        *self = Timer {
            events,
            ..Timer::new(0, self.wide)
        };
    }
}
