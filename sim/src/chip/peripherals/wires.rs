//! What runs between the peripherals: events on their way to the PPI, the low-frequency clock,
//! pin levels, analog inputs, the supply, and what must be told to the outside.

use crate::time::Ticks;

use super::{Note, Outcome, ResetCause, SentByte};

/// Longest chain of events and tasks that is followed within one moment. On silicon every hop
/// through the PPI takes a clock cycle; a ring of channels would never settle here.
const CARRIED_MAX: usize = 64;
/// Notes kept until somebody reads them.
const NOTES_MAX: usize = 64;
/// Outcomes kept until the chip takes them; it does so after every event.
const SENT_MAX: usize = 64;

/// The processor as the peripherals see it: some of them stop with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Processor {
    /// Executing, or stalled by a flash operation.
    #[default]
    Running,
    /// In WFI or WFE.
    Sleeping,
    /// Halted by a debugger.
    Halted,
}

/// The 32.768 kHz clock: since when it runs, if it does.
///
/// Its rising edges are numbered from 0 at the moment it started. One cycle is 15625/32 ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub(super) struct SlowClock {
    pub(super) since: Option<Ticks>,
}

impl SlowClock {
    /// Half a cycle, in ticks.
    const HALF: Ticks = Ticks(244);

    /// The number of the last edge at or before `now`, while the clock runs.
    pub(super) fn edge(self, now: Ticks) -> Option<u64> {
        let since = self.since?;
        Some(now.since(since).0.saturating_mul(32) / 15_625)
    }

    /// When an edge comes.
    pub(super) fn at(self, edge: u64) -> Ticks {
        match self.since {
            Some(since) => since + SlowClock::span(edge),
            None => Ticks::NEVER,
        }
    }

    /// The edge at which something written at `now` takes effect: it crosses into this clock's
    /// domain half a cycle to one and a half cycles later (section 19.1.8, "15 to 46 µs").
    pub(super) fn synchronised(self, now: Ticks) -> Option<u64> {
        let next = self.edge(now)? + 1;
        Some(if self.at(next).since(now) >= Self::HALF {
            next
        } else {
            next + 1
        })
    }

    /// The span of a number of cycles, rounded up.
    pub(super) fn span(cycles: u64) -> Ticks {
        Ticks(cycles.saturating_mul(15_625).div_ceil(32))
    }
}

/// See the head of the file.
#[derive(Clone, Debug, Hash)]
pub(super) struct Wires {
    carried: [u32; CARRIED_MAX],
    carried_head: usize,
    carried_tail: usize,
    pub(super) slow_clock: SlowClock,
    /// The 16 MHz crystal oscillator has settled.
    pub(super) crystal: bool,
    pub(super) processor: Processor,
    /// Levels as the chip's pads have them.
    pub(super) levels: u32,
    /// Something that drives pins changed; the levels are stale.
    pub(super) pins_stale: bool,
    /// The pins' drive as seen from outside changed since the chip last asked.
    pub(super) pins_changed: bool,
    pub(super) supply_millivolts: u32,
    pub(super) analog_microvolts: [u32; 8],
    pub(super) quarter_degrees: i32,
    pub(super) reset: Option<ResetCause>,
    pub(super) off: bool,
    sent: Vec<SentByte>,
    notes: Vec<Note>,
    noted: u32,
    seen: [u32; NOTES_MAX],
}

impl Wires {
    pub(super) fn new() -> Wires {
        Wires {
            carried: [0; CARRIED_MAX],
            carried_head: 0,
            carried_tail: 0,
            slow_clock: SlowClock::default(),
            crystal: false,
            processor: Processor::Running,
            levels: 0,
            pins_stale: false,
            pins_changed: false,
            supply_millivolts: 3_000,
            analog_microvolts: [0; 8],
            quarter_degrees: 25 * 4,
            reset: None,
            off: false,
            sent: Vec::new(),
            notes: Vec::new(),
            noted: 0,
            seen: [0; NOTES_MAX],
        }
    }

    /// Puts an event on its way to the PPI.
    pub(super) fn carry(&mut self, event: u32) {
        if let Some(slot) = self.carried.get_mut(self.carried_tail) {
            *slot = event;
            self.carried_tail += 1;
        } else {
            self.note(
                Ticks::ZERO,
                event,
                "PPI channels form a ring; it was cut after 64 events",
            );
        }
    }

    /// The next event to route. When none is left the chain begins anew.
    pub(super) fn carried(&mut self) -> Option<u32> {
        if self.carried_head == self.carried_tail {
            self.carried_head = 0;
            self.carried_tail = 0;
            return None;
        }
        self.carried_head += 1;
        Some(self.carried[self.carried_head - 1])
    }

    /// Reports a byte that has left the UART.
    pub(super) fn send(&mut self, byte: SentByte) {
        if self.sent.len() < SENT_MAX {
            self.sent.push(byte);
        } else {
            self.note(byte.ends, 0x4000_251c, "bytes sent and not taken were lost");
        }
    }

    /// The next byte that was sent.
    pub(super) fn take_sent(&mut self) -> Option<SentByte> {
        (!self.sent.is_empty()).then(|| self.sent.remove(0))
    }

    /// Whether something was asked of the chip.
    pub(super) fn asks(&self) -> bool {
        self.pins_changed || self.off || self.reset.is_some() || !self.sent.is_empty()
    }

    /// What was asked of the chip since the last call. Bytes stay until they are taken.
    pub(super) fn take(&mut self) -> Outcome {
        Outcome {
            pins: std::mem::take(&mut self.pins_changed),
            uart: !self.sent.is_empty(),
            reset: self.reset.take(),
            flash: false,
            off: std::mem::take(&mut self.off),
        }
    }

    /// Notes something that the model does not do, once for each address.
    pub(super) fn note(&mut self, at: Ticks, address: u32, what: &'static str) {
        let noted = self.noted as usize;
        if noted == NOTES_MAX || self.seen[..noted].contains(&address) {
            return;
        }
        self.seen[noted] = address;
        self.noted += 1;
        self.notes.push(Note { at, address, what });
    }

    /// The notes since the last call.
    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }
}
