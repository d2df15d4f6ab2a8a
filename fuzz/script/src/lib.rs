//! What a fuzzer does to a lock, and its form in bytes: one alphabet for the state machine on the host, for
//! its specification, for an image on the emulated core, and for a bench.
//!
//! A [`Script`] is a list of actions in order. In one [`Action`] the door may be moved, the supply set,
//! something pressed; then time passes; and in the course of that the supply may be lost.
//!
//! In bytes the parts of the actions lie in streams of their own, so that a mutation that lengthens one
//! stream does not shift the others:
//!
//! ```text
//! product, 1 byte
//! five times: length, 1 byte; as many bytes       presses, pauses, doors, supplies, cuts
//! ```
//!
//! The n-th byte of each stream belongs to the n-th action, and what a stream lacks is at rest. There are
//! as many actions as presses. Every script has exactly one form, and [`Script::from_bytes`] refuses what
//! is not the form of a script: so bytes, scripts and scenario files stand for each other. [`repaired`]
//! makes that form of any bytes, for the mutators.

use std::fmt;

mod words;

pub use words::{Contact, Cut, Door, Loss, Pause, Press, Supply, Torn};

/// The most actions of a script.
pub const ACTIONS_MAX: usize = 40;
/// The streams, in their order.
pub const STREAMS: [&str; 5] = ["presses", "pauses", "doors", "supplies", "cuts"];

/// One thing that is done: door, then supply, then press, then pause, and the cut when it comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Action {
    /// Where the door is moved before the press.
    pub door: Door,
    /// What the supply is set to before the press.
    pub supply: Supply,
    /// What is pressed.
    pub press: Press,
    /// How long nothing is done after the press.
    pub pause: Pause,
    /// How the supply is lost in the course of the press and the pause.
    pub cut: Cut,
}

/// What is done to one product, and in which order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Script {
    /// Which product, by its place among those that the engine knows; a remainder is taken.
    pub product: u8,
    /// What is done.
    pub actions: Vec<Action>,
}

/// Where and why bytes are not the form of a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Corrupt {
    /// The first byte that is wrong, from 0; their number, if more were to come.
    pub byte: usize,
    /// What is wrong with it.
    pub why: Wrong,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.byte, self.why)
    }
}

/// What is wrong with bytes that are not the form of a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// They end within a stream.
    Short {
        /// The stream.
        stream: &'static str,
    },
    /// A stream is longer than the presses, or than [`ACTIONS_MAX`].
    Long {
        /// The stream.
        stream: &'static str,
        /// Its length.
        length: usize,
    },
    /// A stream ends with what it would be without it.
    Trailing {
        /// The stream.
        stream: &'static str,
    },
    /// A byte that stands for nothing.
    Unknown {
        /// The stream.
        stream: &'static str,
        /// Its place in the stream, from 0.
        place: usize,
        /// The byte.
        byte: u8,
        /// How many there are.
        known: u8,
    },
    /// More bytes than a script has.
    Rest {
        /// How many.
        bytes: usize,
    },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Short { stream } => write!(f, "it ends within the {stream}"),
            Wrong::Long { stream, length } => write!(
                f,
                "it has {length} {stream}, which is more than it has presses, or than {ACTIONS_MAX}"
            ),
            Wrong::Trailing { stream } => {
                write!(f, "its {stream} end with one that changes nothing")
            }
            Wrong::Unknown {
                stream,
                place,
                byte,
                known,
            } => write!(
                f,
                "it is {byte}, at place {place} of the {stream}, where only 0 to {} mean something",
                known - 1
            ),
            Wrong::Rest { bytes } => write!(f, "{bytes} bytes stand behind its end"),
        }
    }
}

impl std::error::Error for Corrupt {}

impl Script {
    /// Its form in bytes.
    ///
    /// # Panics
    /// If it has more than [`ACTIONS_MAX`] actions.
    pub fn to_bytes(&self) -> Vec<u8> {
        assert!(self.actions.len() <= ACTIONS_MAX, "too many actions");
        let mut bytes = vec![self.product];
        let presses = self.actions.iter().map(|action| action.press.byte());
        put(&mut bytes, presses.collect());
        put_trimmed(&mut bytes, &self.actions, |action| action.pause.byte());
        put_trimmed(&mut bytes, &self.actions, |action| action.door.byte());
        put_trimmed(&mut bytes, &self.actions, |action| action.supply.byte());
        put_trimmed(&mut bytes, &self.actions, |action| action.cut.byte());
        bytes
    }

    /// Reads its form in bytes.
    ///
    /// # Errors
    /// If no script has this form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Script, Corrupt> {
        let corrupt = |byte, why| Err(Corrupt { byte, why });
        let ends = |stream| Corrupt {
            byte: bytes.len(),
            why: Wrong::Short { stream },
        };
        let (&product, mut rest) = bytes.split_first().ok_or(ends(STREAMS[0]))?;
        let mut streams = [&[][..]; STREAMS.len()];
        for (nth, stream) in STREAMS.into_iter().enumerate() {
            let starts = bytes.len() - rest.len();
            let (taken, after) = take(rest).ok_or(ends(stream))?;
            let length = taken.len();
            let longest = if nth == 0 {
                ACTIONS_MAX
            } else {
                streams[0].len()
            };
            if length > longest {
                return corrupt(starts, Wrong::Long { stream, length });
            }
            if nth > 0 && taken.last() == Some(&0) {
                return corrupt(starts + length, Wrong::Trailing { stream });
            }
            if let Some(place) = taken.iter().position(|byte| *byte >= KNOWN[nth]) {
                let (byte, known) = (taken[place], KNOWN[nth]);
                return corrupt(
                    starts + 1 + place,
                    Wrong::Unknown {
                        stream,
                        place,
                        byte,
                        known,
                    },
                );
            }
            (streams[nth], rest) = (taken, after);
        }
        if !rest.is_empty() {
            let more = rest.len();
            return corrupt(bytes.len() - more, Wrong::Rest { bytes: more });
        }
        let actions = (0..streams[0].len()).map(|at| action(&streams, at));
        Ok(Script {
            product,
            actions: actions.collect(),
        })
    }
}

const KNOWN: [u8; STREAMS.len()] = [
    Press::KNOWN,
    Pause::KNOWN,
    Door::KNOWN,
    Supply::KNOWN,
    Cut::KNOWN,
];

fn action(streams: &[&[u8]; STREAMS.len()], at: usize) -> Action {
    let byte = |stream: usize| streams[stream].get(at).copied().unwrap_or(0);
    Action {
        press: Press::of(byte(0)),
        pause: Pause::of(byte(1)),
        door: Door::of(byte(2)),
        supply: Supply::of(byte(3)),
        cut: Cut::of(byte(4)),
    }
}

fn put(bytes: &mut Vec<u8>, stream: Vec<u8>) {
    bytes.push(stream.len() as u8);
    bytes.extend(stream);
}

fn put_trimmed(bytes: &mut Vec<u8>, actions: &[Action], byte: impl Fn(&Action) -> u8) {
    let used = actions.iter().rposition(|action| byte(action) != 0);
    let used = used.map_or(0, |last| last + 1);
    put(bytes, actions[..used].iter().map(byte).collect());
}

fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// The streams of a script's bytes as they are to be mutated, each by itself.
///
/// Taken apart and put together again without a mutation, the form of a script is unchanged. Anything else
/// becomes the form of some script.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// The product's place.
    pub product: u8,
    /// The bytes of each stream of [`STREAMS`].
    pub bytes: [Vec<u8>; STREAMS.len()],
}

impl Streams {
    /// Takes bytes apart, as far as they go.
    pub fn apart(bytes: &[u8]) -> Streams {
        let (product, mut rest) = bytes
            .split_first()
            .map_or((0, bytes), |(p, rest)| (*p, rest));
        let mut streams = Streams {
            product,
            ..Streams::default()
        };
        for stream in &mut streams.bytes {
            let (length, after) = rest.split_first().map_or((0, rest), |(n, rest)| (*n, rest));
            let (taken, after) = after.split_at(usize::from(length).min(after.len()));
            stream.extend_from_slice(taken);
            rest = after;
        }
        streams
    }

    /// Puts them together, so that they are the form of a script.
    pub fn together(&self) -> Vec<u8> {
        let presses = self.bytes[0].len().min(ACTIONS_MAX);
        let mut bytes = vec![self.product];
        for (nth, stream) in self.bytes.iter().enumerate() {
            let start = bytes.len();
            bytes.push(0);
            let near = |byte: &u8| match nth {
                0 => Press::near(*byte),
                // What stands for nothing is at rest, so that most of a stream is.
                _ => Some(*byte).filter(|byte| *byte < KNOWN[nth]).unwrap_or(0),
            };
            bytes.extend(stream.iter().take(presses).map(near));
            while nth > 0 && bytes.len() > start + 1 && bytes.last() == Some(&0) {
                bytes.pop();
            }
            bytes[start] = (bytes.len() - start - 1) as u8;
        }
        bytes
    }
}

/// The form of some script that is near to any bytes: their own form, if they are one.
pub fn repaired(bytes: &[u8]) -> Vec<u8> {
    Streams::apart(bytes).together()
}
