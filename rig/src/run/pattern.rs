//! Whether what the lamps and the beeper did is the signal that was expected.

use crate::event::Nanos;

/// What a signal wants of one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Exactly so many flashes or beeps.
    Pulses(u32),
    /// Lit, and it stays lit.
    Lit,
    /// Dark, and it stays dark.
    Dark,
}

/// What one line did since the action that should cause the signal.
#[derive(Clone, Debug)]
pub struct Track {
    /// The line's name.
    pub line: String,
    /// What is wanted of it.
    pub wanted: Wanted,
    high: bool,
    rises: u32,
    last_edge: Option<Nanos>,
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It may still become the signal.
    Pending,
    /// This is the signal, and it is over.
    Seen,
    /// It can no longer become the signal.
    Missed,
}

impl Track {
    /// Starts to watch a line that has this level now.
    pub fn new(line: &str, wanted: Wanted, high: bool) -> Track {
        Track {
            line: line.to_owned(),
            wanted,
            high,
            rises: 0,
            last_edge: None,
        }
    }

    /// The line changed.
    pub fn edge(&mut self, at: Nanos, high: bool) {
        self.rises += u32::from(high && !self.high);
        self.high = high;
        self.last_edge = Some(at);
    }

    /// Where the signal stands; a pulse train is over after `quiet` without an edge.
    pub fn progress(&self, now: Nanos, quiet: Nanos) -> Progress {
        let settled = self.last_edge.is_none_or(|edge| now.since(edge) >= quiet);
        match self.wanted {
            Wanted::Pulses(count) if self.rises > count => Progress::Missed,
            Wanted::Pulses(count) if self.rises == count && !self.high && settled => Progress::Seen,
            Wanted::Lit if self.high && settled => Progress::Seen,
            Wanted::Dark if !self.high && settled => Progress::Seen,
            _ => Progress::Pending,
        }
    }

    /// When a pulse train that stops now would be over.
    pub fn settles(&self, quiet: Nanos) -> Option<Nanos> {
        self.last_edge.map(|edge| edge + quiet)
    }

    /// What was seen, in words: `red 3×`.
    pub fn words(&self) -> String {
        match self.wanted {
            Wanted::Pulses(_) => format!("{} {}×", self.line, self.rises),
            _ if self.high => format!("{} lit", self.line),
            _ => format!("{} dark", self.line),
        }
    }

    /// What was wanted, in words.
    pub fn wanted_words(&self) -> String {
        match self.wanted {
            Wanted::Pulses(count) => format!("{} {count}×", self.line),
            Wanted::Lit => format!("{} lit", self.line),
            Wanted::Dark => format!("{} dark", self.line),
        }
    }
}
