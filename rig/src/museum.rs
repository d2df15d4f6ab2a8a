//! The museum of broken locks: ways in which locks have failed, and firmware that fails in each, so that it
//! can be shown what the rig finds.
//!
//! The table and the scenarios travel in the binary, as the images do. What is wrong with a piece stands in
//! the firmware's sources, behind the feature of its name.

use include_dir::{Dir, include_dir};
use serde::Deserialize;

static MUSEUM: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../firmware/museum");

/// The scenarios whose runs on the good images must be silent.
pub const FLAGSHIPS: [&str; 3] = ["forgotten-code", "battery-drop-mid-reset", "rekey"];

/// `museum.toml`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Museum {
    /// The failures, in the order of their numbers.
    #[serde(rename = "failure")]
    pub failures: Vec<Failure>,
}

/// A way in which locks have failed.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Its number, from 1.
    pub number: u32,
    /// What the lock does that it must not.
    pub failure: String,
    /// Where it was seen, or from which rule it follows.
    pub basis: String,
    /// Firmware that has it.
    #[serde(rename = "piece", default)]
    pub pieces: Vec<Piece>,
    /// Why no firmware of this board can have it.
    pub absent: Option<String>,
    /// What the rig would need to look for it.
    pub missing: Option<String>,
}

/// Firmware with one defect.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// Its name; image and feature are `museum-<name>`.
    pub name: String,
    /// `safe` or `smart-lock`.
    pub line: String,
    /// The product that it runs as.
    pub profile: String,
    /// What is wrong with it.
    pub defect: String,
}

impl Museum {
    /// The one in the binary.
    pub fn shipped() -> Museum {
        let table = MUSEUM
            .get_file("museum.toml")
            .and_then(|file| file.contents_utf8());
        toml::from_str(table.unwrap_or_default()).expect("a test reads the table")
    }

    /// Every piece with the failure that it has.
    pub fn pieces(&self) -> impl Iterator<Item = (&Failure, &Piece)> {
        let with = |failure| move |piece| (failure, piece);
        self.failures
            .iter()
            .flat_map(move |failure| failure.pieces.iter().map(with(failure)))
    }
}

impl Piece {
    /// The name of its image.
    pub fn image(&self) -> String {
        format!("museum-{}", self.name)
    }

    /// The virtual bench with its board.
    pub fn bench(&self) -> String {
        format!("virtual-{}", self.line)
    }

    /// The least that shows what is wrong: a scenario that fails on the piece and passes on the good image.
    pub fn reproducer(&self) -> Option<&'static str> {
        let file = MUSEUM.get_file(format!("{}.yaml", self.name))?;
        file.contents_utf8()
    }
}
