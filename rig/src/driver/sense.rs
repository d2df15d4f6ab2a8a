//! Sense lines: what a level means, line by line.
//!
//! The bench file says which level is "on" for each line, so that nothing above asks whether a lamp
//! is wired against the supply or a switch closes to ground.

use crate::port::{Level, LineId};

/// One sense line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Its name in the bench file: `red`, `bolt-withdrawn`.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// The level at which it is on.
    pub active: Level,
}

/// Where a line comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// A port that senses lines.
    Port(LineId),
    /// A pin of a sense board, by the board's place among those of the bench.
    Board(usize, u8),
}

/// The driver: all lines of a bench, and what each was last.
#[derive(Clone, Debug, Default)]
pub struct Sense {
    lines: Vec<(Line, bool)>,
}

impl Sense {
    /// Adds a line that has this level now.
    pub fn add(&mut self, line: Line, level: Level) {
        let on = level == line.active;
        self.lines.push((line, on));
    }

    /// Takes an edge: the line's name and whether it is on now. None where the edge says nothing new,
    /// as the first one after opening may.
    pub fn edge(&mut self, source: Source, level: Level) -> Option<(&str, bool)> {
        let (line, on) = self
            .lines
            .iter_mut()
            .find(|(line, _)| line.source == source)?;
        let now_on = level == line.active;
        (std::mem::replace(on, now_on) != now_on).then_some((line.name.as_str(), now_on))
    }

    /// The line of that name, and whether it was on when it was last heard of.
    pub fn get(&self, name: &str) -> Option<(&Line, bool)> {
        self.lines
            .iter()
            .find(|(line, _)| line.name == name)
            .map(|(line, on)| (line, *on))
    }

    /// The name of the line that comes from there.
    pub fn name(&self, source: Source) -> Option<&str> {
        let mut lines = self.lines.iter();
        lines
            .find(|(line, _)| line.source == source)
            .map(|(line, _)| line.name.as_str())
    }

    /// The names of all lines, in the order of the bench file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|(line, _)| line.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Sense, Source};
    use crate::port::{Level, LineId};

    #[test]
    fn a_level_is_read_by_the_polarity_of_its_line() {
        let mut sense = Sense::default();
        let line = |name: &str, id, active| Line {
            name: name.to_owned(),
            source: Source::Port(LineId(id)),
            active,
        };
        sense.add(line("red", 0, Level::High), Level::Low);
        sense.add(line("door", 1, Level::Low), Level::Low);
        assert!(!sense.get("red").expect("red is there").1);
        assert!(sense.get("door").expect("door is there").1);
        assert_eq!(
            sense.edge(Source::Port(LineId(1)), Level::High),
            Some(("door", false))
        );
        assert_eq!(
            sense.edge(Source::Port(LineId(1)), Level::High),
            None,
            "said before"
        );
        assert_eq!(
            sense.edge(Source::Port(LineId(0)), Level::High),
            Some(("red", true))
        );
        assert_eq!(sense.edge(Source::Port(LineId(7)), Level::High), None);
    }
}
