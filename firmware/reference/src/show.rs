//! Signals on lamps and beeper.
//!
//! Signals of one call of the lock follow each other; the first of them ends what an earlier call left, on
//! the tracks that it uses. Times count from a pattern's start, so that late calls do not add up.

use code_entry::{Colour, Pattern, Signal, SignalTable, Train};
use heapless::Deque;

use crate::beeper::Beeper;
use crate::pins::{GREEN, Pin, Port, RED, YELLOW};

/// Between two signals, so that the last pulse of one does not count as the first of the next.
const PAUSE_MS: u64 = 400;
/// More signals than one call of the lock raises.
const QUEUE: usize = 6;
const LAMPS: [(Colour, Pin); 3] = [
    (Colour::Red, RED),
    (Colour::Green, GREEN),
    (Colour::Yellow, YELLOW),
];

/// A train of pulses that has begun.
#[derive(Clone, Copy)]
struct Track {
    train: Train,
    start_ms: u64,
}

impl Track {
    fn period_ms(&self) -> u32 {
        u32::from(self.train.on_ms) + u32::from(self.train.off_ms)
    }

    /// How long it takes until its last pulse ends.
    fn length_ms(&self) -> u32 {
        match u32::from(self.train.count) {
            0 => 0,
            count => self.period_ms() * (count - 1) + u32::from(self.train.on_ms),
        }
    }

    fn end_ms(&self) -> u64 {
        self.start_ms + u64::from(self.length_ms())
    }

    /// Whether it is on, and when that changes next; nothing once it is over.
    fn at(&self, now_ms: u64) -> Option<(bool, u64)> {
        if now_ms >= self.end_ms() {
            return None;
        }
        // Shorter than the longest train, so it fits.
        let since_ms = now_ms.saturating_sub(self.start_ms) as u32;
        let period_ms = self.period_ms();
        let begin_ms = since_ms - since_ms % period_ms;
        let off_ms = begin_ms + u32::from(self.train.on_ms);
        let (on, change_ms) = if since_ms < off_ms {
            (true, off_ms)
        } else {
            (false, begin_ms + period_ms)
        };
        Some((on, self.start_ms + u64::from(change_ms)))
    }
}

/// What is shown now and what comes after.
pub struct Show {
    table: SignalTable,
    beeper: Beeper,
    light: Option<(Colour, Track)>,
    sound: Option<Track>,
    /// Until when the newest pattern lasts, with its pause.
    busy_until_ms: u64,
    queue: Deque<Pattern, QUEUE>,
    is_first_of_call: bool,
    /// When something changes next; none while nothing is shown.
    next_ms: Option<u64>,
}

impl Show {
    /// Dark and silent.
    pub fn new(table: SignalTable, beeper: Beeper) -> Self {
        Show {
            table,
            beeper,
            light: None,
            sound: None,
            busy_until_ms: 0,
            queue: Deque::new(),
            is_first_of_call: true,
            next_ms: None,
        }
    }

    /// The next signal is the first of a call of the lock.
    pub fn begin_call(&mut self) {
        self.is_first_of_call = true;
    }

    /// Shows a signal, now or after those of the same call.
    pub fn raise(&mut self, now_ms: u64, signal: Signal) {
        let pattern = self.table.get(signal);
        if pattern == Pattern::SILENT {
            return;
        }
        self.next_ms = Some(now_ms);
        if self.is_first_of_call {
            self.is_first_of_call = false;
            self.queue.clear();
            self.begin(now_ms, pattern);
        } else {
            // A lock that raises more than fits would be a bug in it; what was raised first is shown.
            self.queue.push_back(pattern).ok();
        }
    }

    /// Brings lamps and beeper to what they should be now.
    pub fn run(&mut self, port: &Port, now_ms: u64) {
        if self.next_ms.is_none_or(|next_ms| now_ms < next_ms) {
            return;
        }
        if now_ms >= self.busy_until_ms
            && let Some(pattern) = self.queue.pop_front()
        {
            self.begin(now_ms, pattern);
        }
        let lit = self.light.and_then(|(colour, track)| {
            let (on, _) = track.at(now_ms)?;
            on.then_some(colour)
        });
        for (colour, pin) in LAMPS {
            port.set(pin, lit == Some(colour));
        }
        let sounds = self.sound.and_then(|track| track.at(now_ms));
        self.beeper.set(port, sounds.is_some_and(|(on, _)| on));
        self.next_ms = self.change_after(now_ms);
    }

    /// When to call [`Show::run`] next.
    pub fn deadline(&self) -> Option<u64> {
        self.next_ms
    }

    fn change_after(&self, now_ms: u64) -> Option<u64> {
        let light = self.light.and_then(|(_, track)| track.at(now_ms));
        let sound = self.sound.and_then(|track| track.at(now_ms));
        let next = (!self.queue.is_empty()).then_some(self.busy_until_ms);
        [light.map(|(_, at)| at), sound.map(|(_, at)| at), next]
            .into_iter()
            .flatten()
            .min()
    }

    fn begin(&mut self, now_ms: u64, pattern: Pattern) {
        let start_ms = now_ms;
        if let Some(light) = pattern.light {
            let train = light.train;
            self.light = Some((light.colour, Track { train, start_ms }));
        }
        if let Some(train) = pattern.sound {
            self.sound = Some(Track { train, start_ms });
        }
        let light_ms = self.light.map_or(0, |(_, track)| track.end_ms());
        let sound_ms = self.sound.map_or(0, |track| track.end_ms());
        self.busy_until_ms = light_ms.max(sound_ms).max(now_ms) + PAUSE_MS;
    }
}
