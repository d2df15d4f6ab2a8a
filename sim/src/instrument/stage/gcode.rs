//! One line of G-code: words, the modes that they set, and the motion that they ask for.
//!
//! Error numbers are GRBL's.

use std::fmt;

/// Axes of the stage.
pub const AXES: usize = 4;
/// Their letters.
pub const LETTERS: [char; AXES] = ['X', 'Y', 'Z', 'A'];

/// A place of every axis, in thousandths of a millimetre or degree.
pub type Position = [i64; AXES];

/// How axes move.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Motion {
    /// `G0`: as fast as they can.
    #[default]
    Rapid,
    /// `G1`: at the feed rate.
    Line,
    /// `G38.2` to `G38.5`: at the feed rate, until the probe input changes.
    Probe {
        /// Towards a contact, or away from it.
        towards: bool,
        /// Whether it is an alarm if it does not change.
        must: bool,
    },
}

impl Motion {
    /// Whether this state of the probe input ends the move.
    pub fn stops_at(self, probe: bool) -> bool {
        matches!(self, Motion::Probe { towards, .. } if towards == probe)
    }

    /// Of a probing move, whether it is an alarm if nothing stops it.
    pub fn must_touch(self) -> Option<bool> {
        match self {
            Motion::Probe { must, .. } => Some(must),
            Motion::Rapid | Motion::Line => None,
        }
    }
}

impl fmt::Display for Motion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Motion::Rapid => "G0",
            Motion::Line => "G1",
            Motion::Probe {
                towards: true,
                must: true,
            } => "G38.2",
            Motion::Probe {
                towards: true,
                must: false,
            } => "G38.3",
            Motion::Probe {
                towards: false,
                must: true,
            } => "G38.4",
            Motion::Probe {
                towards: false,
                must: false,
            } => "G38.5",
        })
    }
}

/// One straight move of all axes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// How.
    pub motion: Motion,
    /// To where.
    pub to: Position,
    /// At which rate, in thousandths of a unit a minute; none for a rapid move.
    pub feed: Option<i64>,
}

/// What earlier lines have set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Modes {
    /// The motion of a line that names none.
    pub motion: Motion,
    /// `G91`: places count from where the axes stand.
    pub relative: bool,
    /// `F`, in thousandths of a unit a minute.
    pub feed: i64,
    /// `M3`: the torque comparator is on.
    pub spindle: bool,
    /// `S`, in thousandths.
    pub speed: i64,
    /// `T`.
    pub tool: i64,
}

impl fmt::Display for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let distance = if self.relative { "G91" } else { "G90" };
        let spindle = if self.spindle { "M3" } else { "M5" };
        let Modes {
            motion,
            feed,
            speed,
            tool,
            ..
        } = self;
        let (tool, feed, speed) = (tool / 1_000, feed / 1_000, speed / 1_000);
        write!(
            f,
            "{motion} G54 G17 G21 {distance} G94 {spindle} M9 T{tool} F{feed} S{speed}"
        )
    }
}

/// What a line asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// A move.
    pub block: Option<Block>,
    /// A pause, in thousandths of a second.
    pub dwell: Option<i64>,
}

/// The line without spaces and comments, in capitals.
pub fn stripped(line: &str) -> String {
    let mut depth = 0_u32;
    let code = line.split(';').next().unwrap_or_default();
    code.chars()
        .filter(|character| {
            match character {
                '(' => depth += 1,
                ')' => {
                    depth = depth.saturating_sub(1);
                    return false;
                }
                _ => {}
            }
            depth == 0 && !character.is_whitespace()
        })
        .map(|character| character.to_ascii_uppercase())
        .collect()
}

/// Whether a line is only read once the axes stand: pauses, probing, the comparator, `$` commands.
pub fn waits_for_rest(line: &str) -> bool {
    let text = stripped(line);
    let waits = |(letter, value): &(char, i64)| match letter {
        'G' => *value == 4_000 || (38_000..39_000).contains(value),
        'M' | 'S' => true,
        _ => false,
    };
    text.starts_with('$') || words(&text).is_ok_and(|words| words.iter().any(waits))
}

/// A decimal number in thousandths.
pub fn thousandths(text: &str) -> Option<i64> {
    let plain = |character: char| character.is_ascii_digit() || "+-.".contains(character);
    if text.is_empty() || !text.chars().all(plain) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    (value.abs() < 1e9).then(|| (value * 1e3).round() as i64)
}

/// Reads a stripped line. The axes will stand at `from` when its turn comes.
pub fn read(text: &str, modes: &mut Modes, from: Position) -> Result<Asked, u8> {
    let mut axes: [Option<i64>; AXES] = [None; AXES];
    let (mut motion, mut dwells, mut machine) = (None, false, false);
    let mut pause = None;
    let mut seen = String::new();
    for (letter, value) in words(text)? {
        let axis = LETTERS.iter().position(|known| *known == letter);
        if letter != 'G' && letter != 'M' {
            if seen.contains(letter) {
                return Err(25);
            }
            seen.push(letter);
        }
        match (letter, value) {
            ('G', 0 | 1_000 | 38_200 | 38_300 | 38_400 | 38_500) => {
                let named = match value {
                    0 => Motion::Rapid,
                    1_000 => Motion::Line,
                    _ => Motion::Probe {
                        towards: value < 38_400,
                        must: value % 200 == 0,
                    },
                };
                if motion.replace(named).is_some() || dwells {
                    return Err(if dwells { 24 } else { 21 });
                }
            }
            ('G', 4_000) => dwells = true,
            ('G', 53_000) => machine = true,
            ('G', 17_000 | 21_000 | 54_000 | 94_000) | ('M', 0 | 9_000) => {}
            ('G', 90_000) => modes.relative = false,
            ('G', 91_000) => modes.relative = true,
            ('M', 2_000 | 30_000) => *modes = Modes::default(),
            ('M', 3_000) => modes.spindle = true,
            ('M', 5_000) => modes.spindle = false,
            ('G' | 'M', _) => return Err(20),
            ('F' | 'S' | 'T', ..0) => return Err(4),
            ('F', _) => modes.feed = value,
            ('S', _) => modes.speed = value,
            ('T', _) => modes.tool = value,
            ('P', _) => pause = Some(value),
            ('N', _) => {}
            _ => match axis {
                Some(axis) => axes[axis] = Some(value),
                None => return Err(20),
            },
        }
    }
    if dwells {
        let dwell = Some(pause.filter(|pause| *pause >= 0).ok_or(28)?);
        return Ok(Asked { dwell, block: None });
    }
    if pause.is_some() {
        return Err(36);
    }
    let moves = axes.iter().any(Option::is_some);
    if let Some(motion) = motion {
        modes.motion = motion;
    }
    if !moves {
        let probes = motion.is_some_and(|motion| motion.must_touch().is_some());
        return if probes {
            Err(26)
        } else {
            Ok(Asked::default())
        };
    }
    let to: Position = std::array::from_fn(|axis| match axes[axis] {
        Some(value) if modes.relative && !machine => from[axis] + value,
        Some(value) => value,
        None => from[axis],
    });
    let feed = match modes.motion {
        Motion::Rapid => None,
        Motion::Line | Motion::Probe { .. } if modes.feed == 0 => return Err(22),
        Motion::Line | Motion::Probe { .. } => Some(modes.feed),
    };
    let motion = modes.motion;
    if machine && motion.must_touch().is_some() {
        return Err(30);
    }
    if motion.must_touch().is_some() && to == from {
        return Err(33);
    }
    Ok(Asked {
        block: Some(Block { motion, to, feed }),
        dwell: None,
    })
}

/// Letters with their numbers, in thousandths.
fn words(text: &str) -> Result<Vec<(char, i64)>, u8> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if !letter.is_ascii_uppercase() {
            return Err(1);
        }
        rest = &rest[1..];
        let end = rest
            .find(|character: char| !(character.is_ascii_digit() || "+-.".contains(character)))
            .unwrap_or(rest.len());
        words.push((letter, thousandths(&rest[..end]).ok_or(2)?));
        rest = &rest[end..];
    }
    Ok(words)
}
