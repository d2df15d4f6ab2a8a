//! The axis of time: to scale where something happens, and shortened, with a break, where nothing does.

use crate::event::Nanos;

/// Longer than this without any event is idle time.
const IDLE: Nanos = Nanos::from_secs(4);
/// So much of idle time is still shown to scale, after what happened and before what happens.
const MARGIN: Nanos = Nanos::from_secs(1);
/// A break is drawn as wide as this span.
const BREAK: Nanos = Nanos::from_secs(1);

/// Bench time mapped to the width of a picture. The width is counted in nanoseconds of shown time:
/// idle time counts as a short break only.
#[derive(Clone, Debug)]
pub struct Axis {
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Piece {
    from: Nanos,
    to: Nanos,
    /// Where it begins in the picture.
    x: u64,
    is_break: bool,
}

impl Piece {
    fn width(&self) -> u64 {
        match self.is_break {
            true => BREAK.0,
            false => self.to.since(self.from).0,
        }
    }
}

impl Axis {
    /// An axis from one moment to another, on which things happen at the `busy` moments. Several runs
    /// share an axis if it is made from the moments of all.
    pub fn new(from: Nanos, to: Nanos, busy: impl IntoIterator<Item = Nanos>) -> Axis {
        let mut busy: Vec<Nanos> = busy
            .into_iter()
            .filter(|at| (from..=to).contains(at))
            .collect();
        busy.extend([from, to]);
        busy.sort_unstable();
        let mut axis = Axis { pieces: Vec::new() };
        let mut begun = from;
        for pair in busy.windows(2) {
            if pair[1].since(pair[0]) > IDLE {
                let (idle, wakes) = (pair[0] + MARGIN, Nanos(pair[1].0 - MARGIN.0));
                axis.push(begun, idle, false);
                axis.push(idle, wakes, true);
                begun = wakes;
            }
        }
        axis.push(begun, to, false);
        axis
    }

    fn push(&mut self, from: Nanos, to: Nanos, is_break: bool) {
        let x = self.pieces.last().map_or(0, |last| last.x + last.width());
        self.pieces.push(Piece {
            from,
            to,
            x,
            is_break,
        });
    }

    /// When it begins.
    pub fn from(&self) -> Nanos {
        self.pieces[0].from
    }

    /// When it ends.
    pub fn to(&self) -> Nanos {
        self.pieces[self.pieces.len() - 1].to
    }

    /// Shown time.
    pub fn width(&self) -> Nanos {
        let last = self.pieces[self.pieces.len() - 1];
        Nanos((last.x + last.width()).max(1))
    }

    /// Where a moment lies, in percent of the width; moments outside lie at the ends.
    pub fn percent(&self, at: Nanos) -> f64 {
        let at = at.clamp(self.from(), self.to());
        self.x(at) as f64 * 100.0 / self.width().0 as f64
    }

    fn x(&self, at: Nanos) -> u64 {
        let after = self.pieces.partition_point(|piece| piece.from <= at);
        let piece = self.pieces[after.max(1) - 1];
        let into = at.since(piece.from).0;
        let span = piece.to.since(piece.from).0.max(1);
        let scaled = u128::from(into) * u128::from(piece.width()) / u128::from(span);
        piece.x + u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    /// The moment that lies a shown span before or after another one.
    pub fn beside(&self, at: Nanos, before: Nanos, after: Nanos) -> (Nanos, Nanos) {
        let x = self.x(at.clamp(self.from(), self.to()));
        (
            self.at(x.saturating_sub(before.0)),
            self.at(x.saturating_add(after.0)),
        )
    }

    fn at(&self, x: u64) -> Nanos {
        let after = self.pieces.partition_point(|piece| piece.x <= x);
        let piece = self.pieces[after.max(1) - 1];
        let into = (x - piece.x).min(piece.width());
        let span = piece.to.since(piece.from).0;
        let scaled = u128::from(into) * u128::from(span) / u128::from(piece.width().max(1));
        piece.from + Nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    /// Idle time that was shortened: from, to.
    pub fn breaks(&self) -> impl Iterator<Item = (Nanos, Nanos)> {
        let breaks = self.pieces.iter().filter(|piece| piece.is_break);
        breaks.map(|piece| (piece.from, piece.to))
    }

    /// The multiples of a span that are shown to scale.
    pub fn ticks(&self, every: Nanos) -> impl Iterator<Item = Nanos> {
        let scaled = self.pieces.iter().filter(|piece| !piece.is_break);
        scaled.flat_map(move |piece| {
            let (first, last) = (piece.from.0.div_ceil(every.0), piece.to.0 / every.0);
            (first..=last).map(move |tick| Nanos(tick * every.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: &[u64]) -> impl Iterator<Item = Nanos> {
        seconds.iter().map(|second| Nanos::from_secs(*second))
    }

    #[test]
    fn idle_time_is_shortened_and_nothing_else_is() {
        let axis = Axis::new(
            Nanos::from_secs(10),
            Nanos::from_secs(322),
            secs(&[10, 12, 312, 315, 319, 322]),
        );
        // 2 s, a second of margin, a break, a second of margin, 10 s.
        assert_eq!(axis.width(), Nanos::from_secs(2 + 1 + 1 + 1 + 10));
        let breaks: Vec<_> = axis.breaks().collect();
        assert_eq!(breaks, [(Nanos::from_secs(13), Nanos::from_secs(311))]);
        let percent = |second| axis.percent(Nanos::from_secs(second));
        assert_eq!(percent(10), 0.0);
        assert_eq!(percent(13), 20.0);
        assert!((percent(162) - 100.0 * 3.5 / 15.0).abs() < 1e-9);
        assert!((percent(311) - 100.0 * 4.0 / 15.0).abs() < 1e-9);
        assert_eq!(percent(322), 100.0);
        assert_eq!((percent(1), percent(400)), (0.0, 100.0));
    }

    #[test]
    fn what_lies_beside_a_moment_is_counted_in_shown_time() {
        let axis = Axis::new(
            Nanos::ZERO,
            Nanos::from_secs(110),
            secs(&[0, 2, 102, 104, 107, 110]),
        );
        let (from, to) = axis.beside(
            Nanos::from_secs(104),
            Nanos::from_secs(5),
            Nanos::from_secs(2),
        );
        assert_eq!((from, to), (Nanos::from_secs(2), Nanos::from_secs(106)));
        let all = axis.beside(Nanos::from_secs(104), Nanos::NEVER, Nanos::NEVER);
        assert_eq!(all, (Nanos::ZERO, Nanos::from_secs(110)));
    }

    #[test]
    fn ticks_are_left_out_of_breaks() {
        let axis = Axis::new(Nanos::ZERO, Nanos::from_secs(30), secs(&[1, 29]));
        let ticks: Vec<_> = axis.ticks(Nanos::from_secs(1)).collect();
        assert_eq!(ticks, secs(&[0, 1, 2, 28, 29, 30]).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_of_no_length_has_a_picture() {
        let axis = Axis::new(Nanos::ZERO, Nanos::ZERO, []);
        assert_eq!(axis.percent(Nanos::ZERO), 0.0);
        assert_eq!(axis.ticks(Nanos::from_secs(1)).count(), 1);
    }
}
