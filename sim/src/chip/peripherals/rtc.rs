//! Real-time counters: nRF51 Series Reference Manual v3.0, section 19 "RTC".
//! The count follows from the number of low-frequency clock edges; tasks and compare registers
//! take effect half a cycle to one and a half cycles after they were written, as section 19.1.8
//! has it: a compare value one ahead of the counter may be missed, two ahead never is.

use crate::time::Ticks;

use super::Block;
use super::events::Events;
use super::wires::{SlowClock, Wires};

const START: u32 = 0x000;
const STOP: u32 = 0x004;
const CLEAR: u32 = 0x008;
const TRIGOVRFLW: u32 = 0x00c;
const EVTEN: u32 = 0x340;
const EVTENSET: u32 = 0x344;
const EVTENCLR: u32 = 0x348;
const COUNTER: u32 = 0x504;
const PRESCALER: u32 = 0x508;
const CC: u32 = 0x540;
const CC_END: u32 = 0x550;

const TICK: u32 = 0;
const OVRFLW: u32 = 1;
const COMPARE: u32 = 16;
const EVENTS: u32 = 0xf_0003;

const TURN: u64 = 1 << 24;
const MASK: u32 = 0x00ff_ffff;
/// What TRIGOVRFLW sets the counter to.
const NEARLY_OVER: u32 = 0x00ff_fff0;
/// Tasks on their way into the clock's domain. More than one of a kind within a cycle and a half
/// is as good as one.
const PENDING_MAX: usize = 8;
/// An edge that never comes.
const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, Hash)]
struct Pending {
    edge: u64,
    task: u32,
}

/// RTC0 or RTC1. Both have four compare registers here; on the chip RTC0 has three.
#[derive(Clone, Debug, Hash)]
pub(super) struct Rtc {
    events: Events,
    routed: u32,
    compares: usize,
    running: bool,
    prescaler: u32,
    compare: [u32; 4],
    /// First edge at which each compare register counts.
    compare_from: [u64; 4],
    /// The count at edge `since`, an edge at which it changed, or would have.
    count: u32,
    since: u64,
    /// All that happens at edges up to this one is done.
    done: u64,
    pending: [Pending; PENDING_MAX],
    pending_count: usize,
}

impl Rtc {
    pub(super) fn new(id: u32, compares: usize) -> Rtc {
        Rtc {
            events: Events::new(id),
            routed: 0,
            compares,
            running: false,
            prescaler: 0,
            compare: [0; 4],
            compare_from: [0; 4],
            count: 0,
            since: 0,
            done: 0,
            pending: [Pending { edge: 0, task: 0 }; PENDING_MAX],
            pending_count: 0,
        }
    }

    fn cycles(&self) -> u64 {
        u64::from(self.prescaler) + 1
    }

    fn count_at(&self, edge: u64) -> u32 {
        if !self.running {
            return self.count;
        }
        let steps = edge.saturating_sub(self.since) / self.cycles();
        self.count.wrapping_add(steps as u32) & MASK
    }

    /// The first edge after those done at which the count becomes `value`.
    fn becomes(&self, value: u32) -> u64 {
        let now = self.count_at(self.done);
        let ahead = match value.wrapping_sub(now) & MASK {
            0 => TURN,
            ahead => u64::from(ahead),
        };
        let changed = (self.done.max(self.since) - self.since) / self.cycles();
        self.since + (changed + ahead) * self.cycles()
    }

    /// The first edge from `from` on, after those done, at which the count becomes `value`.
    fn matches(&self, value: u32, from: u64) -> u64 {
        let first = self.becomes(value);
        if first >= from {
            first
        } else {
            first + TURN * self.cycles()
        }
    }

    /// Whether an event is made at all: one that is neither enabled in EVTEN nor in INTEN is not
    /// (section 19.1.6).
    fn makes(&self, index: u32) -> bool {
        (self.events.enabled() | self.routed) & (1 << index) != 0
    }

    fn raise(&mut self, index: u32, wires: &mut Wires) {
        if self.routed & (1 << index) != 0 {
            self.events.raise(index, wires);
        } else if self.makes(index) {
            self.events.raise_unrouted(index);
        }
    }

    fn watched(&self, index: u32) -> bool {
        self.makes(index) && self.events.observable(index)
    }

    fn next_edge(&self) -> u64 {
        let mut next = if self.pending_count > 0 {
            self.pending[0].edge
        } else {
            NEVER
        };
        if !self.running {
            return next;
        }
        for channel in 0..self.compares {
            if self.watched(COMPARE + channel as u32) {
                next = next.min(self.matches(self.compare[channel], self.compare_from[channel]));
            }
        }
        if self.watched(TICK) {
            next = next.min(self.becomes(self.count_at(self.done).wrapping_add(1) & MASK));
        }
        if self.watched(OVRFLW) {
            next = next.min(self.becomes(0));
        }
        next
    }

    /// Does what happens at an edge after those done: first the counter moves, then tasks apply.
    fn pass(&mut self, edge: u64, wires: &mut Wires) {
        if self.running {
            let due: [bool; 4] = std::array::from_fn(|channel| {
                self.matches(self.compare[channel], self.compare_from[channel]) == edge
            });
            let before = self.count_at(self.done);
            let after = self.count_at(edge);
            if after != before {
                self.raise(TICK, wires);
                // Ticks that nobody watches are passed over, but never an overflow.
                if after < before {
                    self.raise(OVRFLW, wires);
                }
            }
            for (channel, _) in due
                .iter()
                .enumerate()
                .take(self.compares)
                .filter(|(_, due)| **due)
            {
                self.raise(COMPARE + channel as u32, wires);
            }
        }
        self.done = edge;
        while self.pending_count > 0 && self.pending[0].edge <= edge {
            let task = self.pending[0].task;
            self.pending.copy_within(1.., 0);
            self.pending_count -= 1;
            self.apply(task, edge);
        }
    }

    fn apply(&mut self, task: u32, edge: u64) {
        match task {
            START if !self.running => {
                self.running = true;
                self.since = edge;
            }
            STOP => {
                self.count = self.count_at(edge);
                self.running = false;
            }
            CLEAR | TRIGOVRFLW => {
                self.count = if task == CLEAR { 0 } else { NEARLY_OVER };
                self.since = edge;
            }
            _ => {}
        }
    }

    /// Tells that the low-frequency clock starts or stops: its edges are numbered anew.
    pub(super) fn clock_changed(&mut self, old: SlowClock, now: Ticks) {
        let last = old.edge(now).unwrap_or(self.done);
        self.count = self.count_at(last);
        self.since = 0;
        self.done = 0;
        self.compare_from = [0; 4];
        for pending in &mut self.pending[..self.pending_count] {
            pending.edge = 1;
        }
    }
}

impl Block for Rtc {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, now: Ticks, wires: &mut Wires) -> u32 {
        match offset {
            EVTEN | EVTENSET | EVTENCLR => self.routed,
            COUNTER => self.count_at(wires.slow_clock.edge(now).unwrap_or(self.done)),
            PRESCALER => self.prescaler,
            CC..CC_END => self.compare[(offset - CC) as usize / 4],
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, value: u32, now: Ticks, wires: &mut Wires) {
        self.settle(now, wires);
        match offset {
            EVTEN => self.routed = value & EVENTS,
            EVTENSET => self.routed |= value & EVENTS,
            EVTENCLR => self.routed &= !value,
            PRESCALER if !self.running => self.prescaler = value & 0xfff,
            PRESCALER => {
                wires.note(now, 0x4000_b508, "PRESCALER was written while the RTC runs");
            }
            CC..CC_END => {
                let channel = (offset - CC) as usize / 4;
                self.compare[channel] = value & MASK;
                self.compare_from[channel] = wires.slow_clock.synchronised(now).unwrap_or(0);
            }
            _ => {}
        }
    }

    fn task(&mut self, offset: u32, now: Ticks, wires: &mut Wires) {
        if !matches!(offset, START | STOP | CLEAR | TRIGOVRFLW) {
            return;
        }
        let edge = wires.slow_clock.synchronised(now).unwrap_or(1);
        if self.pending_count == PENDING_MAX {
            // The oldest of the same kind is as good.
            self.pending_count -= 1;
        }
        self.pending[self.pending_count] = Pending { edge, task: offset };
        self.pending_count += 1;
    }

    fn next(&self, wires: &Wires) -> Ticks {
        match self.next_edge() {
            NEVER => Ticks::NEVER,
            edge => wires.slow_clock.at(edge),
        }
    }

    fn advance(&mut self, now: Ticks, wires: &mut Wires) {
        let Some(last) = wires.slow_clock.edge(now) else {
            return;
        };
        while self.next_edge() <= last {
            self.pass(self.next_edge(), wires);
        }
    }

    fn settle(&mut self, now: Ticks, wires: &mut Wires) {
        // What nobody watched up to here has passed unseen.
        if let Some(last) = wires.slow_clock.edge(now) {
            self.done = self.done.max(last);
        }
    }

    fn reset(&mut self, _wires: &mut Wires) {
        let mut events = self.events.clone();
        events.reset();
        *self = Rtc {
            events,
            ..Rtc::new(0, self.compares)
        };
    }
}
