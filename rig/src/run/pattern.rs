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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Progress::{Missed, Pending, Seen};
    use super::*;

    const QUIET: Nanos = Nanos::from_millis(700);

    /// Edges at these milliseconds, the first one up or down by where the line is.
    fn track(wanted: Wanted, high: bool, edges: &[u64]) -> Track {
        let mut track = Track::new("red", wanted, high);
        let mut level = high;
        for at in edges {
            level = !level;
            track.edge(Nanos::from_millis(*at), level);
        }
        track
    }

    #[rstest]
    #[case(&[], 5000, Pending)]
    #[case(&[100], 5000, Pending)]
    #[case(&[100, 200], 5000, Pending)]
    #[case(&[100, 200, 300, 400], 1099, Pending)]
    #[case(&[100, 200, 300, 400], 1100, Seen)]
    #[case(&[100, 200, 300], 5000, Pending)]
    #[case(&[100, 200, 300, 400, 500], 501, Missed)]
    fn two_flashes(#[case] edges: &[u64], #[case] now: u64, #[case] expected: Progress) {
        let track = track(Wanted::Pulses(2), false, edges);
        assert_eq!(track.progress(Nanos::from_millis(now), QUIET), expected);
    }

    #[test]
    fn a_lamp_that_is_lit_at_the_beginning_has_not_flashed() {
        let track = track(Wanted::Pulses(1), true, &[100, 200, 300]);
        assert_eq!(track.progress(Nanos::from_secs(9), QUIET), Seen);
        assert_eq!(track.words(), "red 1×");
    }

    #[test]
    fn a_level_that_is_told_twice_is_one_flash() {
        let mut track = track(Wanted::Pulses(1), false, &[100]);
        track.edge(Nanos::from_millis(150), true);
        track.edge(Nanos::from_millis(200), false);
        assert_eq!(track.progress(Nanos::from_secs(9), QUIET), Seen);
    }

    #[rstest]
    #[case(Wanted::Lit, true, &[], Seen, "red lit", "red lit")]
    #[case(Wanted::Lit, false, &[], Pending, "red lit", "red dark")]
    #[case(Wanted::Lit, false, &[300], Seen, "red lit", "red lit")]
    #[case(Wanted::Lit, false, &[301], Pending, "red lit", "red lit")]
    #[case(Wanted::Dark, false, &[], Seen, "red dark", "red dark")]
    #[case(Wanted::Dark, true, &[], Pending, "red dark", "red lit")]
    #[case(Wanted::Dark, true, &[300], Seen, "red dark", "red dark")]
    #[case(Wanted::Dark, true, &[301], Pending, "red dark", "red dark")]
    #[case(Wanted::Pulses(3), false, &[100, 200], Pending, "red 3×", "red 1×")]
    fn a_line_at_one_second(
        #[case] wanted: Wanted,
        #[case] high: bool,
        #[case] edges: &[u64],
        #[case] expected: Progress,
        #[case] wanted_words: &str,
        #[case] words: &str,
    ) {
        let track = track(wanted, high, edges);
        assert_eq!(track.progress(Nanos::from_secs(1), QUIET), expected);
        assert_eq!(track.wanted_words(), wanted_words);
        assert_eq!(track.words(), words);
    }

    #[test]
    fn a_pulse_train_settles_after_its_last_edge() {
        assert_eq!(track(Wanted::Lit, false, &[]).settles(QUIET), None);
        let settles = track(Wanted::Lit, false, &[100, 200]).settles(QUIET);
        assert_eq!(settles, Some(Nanos::from_millis(900)));
    }
}
