//! Where exactly a supply is lost, and what that leaves of a write to flash.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::source::{Node, Problem, Problems, Read, file_words};

file_words! {
    /// The kinds of points at which a supply is lost; each is counted from 1.
    pub enum CutKind as "a kind of cut point" {
        /// A write to flash begins.
        FlashOp,
        /// A lamp, the beeper, the bolt or its drive changes.
        Output,
        /// A key or button closes.
        Key,
        /// The chip is about to execute an instruction.
        Instruction,
    }
}

/// One point of a flow: `flash-op 17`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CutAt {
    /// What happens there.
    pub kind: CutKind,
    /// Which one of its kind, from 1.
    pub number: u32,
}

/// What a cut leaves of a write to flash that is under way, and how the supply goes and comes. The
/// places of bytes and bits are counted in the word or page, from its lowest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CutMode {
    /// `dropped-before`: nothing of the write.
    DroppedBefore,
    /// `dropped-after`: all of it.
    DroppedAfter,
    /// `prefix 3`: its first three bytes.
    Prefix(u32),
    /// `bit-lost 5`: all of it but bit 5.
    BitLost(u32),
    /// `bit-stray 5`: all of it, and bit 5 was programmed though it should have stayed.
    BitStray(u32),
    /// `subset 2`: each of its bits or not, by a coin with this seed.
    Subset(u32),
    /// `percent 25`: a quarter of an erase, each bit at its own time.
    Percent(u32),
    /// `metastable 1`: its bits read anew after every power-on, until they are written again.
    Metastable(u32),
    /// `bounce 5`: as `dropped-before`, and the supply comes back three times for five milliseconds
    /// before it stays.
    Bounce(u32),
    /// `sag 1`: the supply does not go but falls to the profile's level of spent cells.
    Sag(u32),
}

type Make = fn(u32) -> CutMode;

const MODES: [(&str, Make); 8] = [
    ("prefix", CutMode::Prefix),
    ("bit-lost", CutMode::BitLost),
    ("bit-stray", CutMode::BitStray),
    ("subset", CutMode::Subset),
    ("percent", CutMode::Percent),
    ("metastable", CutMode::Metastable),
    ("bounce", CutMode::Bounce),
    ("sag", CutMode::Sag),
];

impl CutMode {
    /// Its word, and the number behind it if it has one.
    fn parts(self) -> (&'static str, Option<u32>) {
        match self {
            CutMode::DroppedBefore => ("dropped-before", None),
            CutMode::DroppedAfter => ("dropped-after", None),
            CutMode::Prefix(number) => ("prefix", Some(number)),
            CutMode::BitLost(number) => ("bit-lost", Some(number)),
            CutMode::BitStray(number) => ("bit-stray", Some(number)),
            CutMode::Subset(number) => ("subset", Some(number)),
            CutMode::Percent(number) => ("percent", Some(number)),
            CutMode::Metastable(number) => ("metastable", Some(number)),
            CutMode::Bounce(number) => ("bounce", Some(number)),
            CutMode::Sag(number) => ("sag", Some(number)),
        }
    }

    /// Its word without the number.
    pub fn word(self) -> &'static str {
        self.parts().0
    }
}

impl fmt::Display for CutMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (word, None) => out.write_str(word),
            (word, Some(number)) => write!(out, "{word} {number}"),
        }
    }
}

impl fmt::Display for CutAt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.kind, self.number)
    }
}

/// The word and the number of `word number`.
pub(super) fn word_and_number(node: &Node) -> Option<(&str, u32)> {
    let (word, number) = node.scalar()?.split_once(' ')?;
    Some((word, number.parse().ok()?))
}

impl Read for CutAt {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let at = word_and_number(node).and_then(|(word, number)| {
            let kind = CutKind::ALL.iter().find(|kind| kind.word() == word)?;
            (number > 0).then_some(CutAt {
                kind: *kind,
                number,
            })
        });
        at.or_else(|| {
            problems.expected_hint(
                "a cut point",
                node,
                "flash-op, output, key or instruction, and its number from 1: flash-op 17",
            )
        })
    }
}

impl Read for CutMode {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar() {
            Some("dropped-before") => return Some(CutMode::DroppedBefore),
            Some("dropped-after") => return Some(CutMode::DroppedAfter),
            _ => {}
        }
        let mode = word_and_number(node).and_then(|(word, number)| {
            let (_, make) = MODES.iter().find(|(known, _)| *known == word)?;
            Some(make(number))
        });
        let words = MODES.iter().map(|(word, _)| *word);
        let written = node.scalar().unwrap_or_default();
        let word = written.split(' ').next().unwrap_or_default();
        mode.or_else(|| {
            problems.add(
                Problem::new(
                    node.span,
                    format!("expected what a cut leaves, found {}", node.describe()),
                )
                .did_you_mean(word, words.chain(["dropped-before", "dropped-after"])),
            )
        })
    }
}

impl JsonSchema for CutAt {
    fn schema_name() -> Cow<'static, str> {
        "CutAt".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A point of a flow, as 'lockrig cuts' names it",
            "type": "string",
            "pattern": "^(flash-op|output|key|instruction) [1-9][0-9]*$",
        })
    }
}

impl JsonSchema for CutMode {
    fn schema_name() -> Cow<'static, str> {
        "CutMode".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = MODES.iter().map(|(word, _)| *word).collect();
        json_schema!({
            "description": "What a cut leaves of a write to flash",
            "type": "string",
            "pattern": format!("^(dropped-before|dropped-after|({}) [0-9]+)$", words.join("|")),
        })
    }
}
