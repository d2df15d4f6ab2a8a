//! Which instruction goes wrong, and how.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::cut::word_and_number;
use crate::source::{Node, Problem, Problems, Read};

/// One instruction of a program: `instruction 1234`, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InstructionAt(pub u32);

/// What goes wrong with an instruction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GlitchMode {
    /// `skip 2`: it and the one behind it are not executed.
    Skip(u32),
    /// `flip 5`: bit 5 of it is fetched wrongly; 16 to 31 are of the second halfword of a 32-bit one.
    Flip(u32),
    /// `zeros 3`: R3, which it writes, is all zeros after it; 14 is LR.
    Zeros(u32),
    /// `ones 3`: all ones.
    Ones(u32),
}

type Make = fn(u32) -> GlitchMode;

/// Each with the numbers that may follow it.
const MODES: [(&str, Make, std::ops::RangeInclusive<u32>); 4] = [
    ("skip", GlitchMode::Skip, 1..=4),
    ("flip", GlitchMode::Flip, 0..=31),
    ("zeros", GlitchMode::Zeros, 0..=14),
    ("ones", GlitchMode::Ones, 0..=14),
];

impl GlitchMode {
    /// Its word without the number.
    pub fn word(self) -> &'static str {
        self.parts().0
    }

    fn parts(self) -> (&'static str, u32) {
        match self {
            GlitchMode::Skip(number) => ("skip", number),
            GlitchMode::Flip(number) => ("flip", number),
            GlitchMode::Zeros(number) => ("zeros", number),
            GlitchMode::Ones(number) => ("ones", number),
        }
    }
}

impl fmt::Display for GlitchMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, number) = self.parts();
        write!(out, "{word} {number}")
    }
}

impl fmt::Display for InstructionAt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "instruction {}", self.0)
    }
}

impl Read for InstructionAt {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let at =
            word_and_number(node).filter(|(word, number)| *word == "instruction" && *number > 0);
        at.map(|(_, number)| InstructionAt(number)).or_else(|| {
            problems.expected_hint(
                "an instruction",
                node,
                "'instruction' and its number from 1: instruction 1234",
            )
        })
    }
}

impl Read for GlitchMode {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mode = word_and_number(node).and_then(|(word, number)| {
            let (_, make, numbers) = MODES.iter().find(|(known, ..)| *known == word)?;
            numbers.contains(&number).then(|| make(number))
        });
        let written = node.scalar().unwrap_or_default();
        let word = written.split(' ').next().unwrap_or_default();
        mode.or_else(|| {
            let expected = format!("expected what goes wrong, found {}", node.describe());
            let problem = Problem::new(node.span, expected);
            let is_known = MODES.iter().any(|(known, ..)| *known == word);
            problems.add(match is_known {
                true => problem.hint("skip 1 to 4, flip 0 to 31, zeros or ones 0 to 14"),
                false => problem.did_you_mean(word, MODES.iter().map(|(known, ..)| *known)),
            })
        })
    }
}

impl JsonSchema for InstructionAt {
    fn schema_name() -> Cow<'static, str> {
        "InstructionAt".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An instruction, as 'lockrig glitch' numbers them",
            "type": "string",
            "pattern": "^instruction [1-9][0-9]*$",
        })
    }
}

impl JsonSchema for GlitchMode {
    fn schema_name() -> Cow<'static, str> {
        "GlitchMode".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What goes wrong with an instruction",
            "type": "string",
            "pattern": "^(skip [1-4]|flip ([12]?[0-9]|3[01])|(zeros|ones) ([0-9]|1[0-4]))$",
        })
    }
}
