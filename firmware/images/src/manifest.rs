//! `manifest.toml`: what the committed images were built from, and with what.

use std::path::Path;
use std::{fmt, fs, io};

use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// SHA-256 over the sources.
    pub sources: String,
    /// What built the images.
    pub toolchain: Toolchain,
    /// Every image.
    #[serde(rename = "image")]
    pub images: Vec<Entry>,
}

/// A compiler, as `rustc -vV` tells.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    /// `1.95.0`.
    pub release: String,
    /// The commit that the compiler was built from.
    pub commit: String,
    /// The release of its LLVM.
    pub llvm: String,
    /// Whether `core` was built along with the firmware, instead of coming compiled.
    pub builds_core: bool,
}

/// One image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The features that it was built with.
    pub features: Vec<String>,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl Manifest {
    /// Reads the file.
    pub fn read(path: &Path) -> io::Result<Manifest> {
        let text = fs::read_to_string(path)?;
        toml::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let table = toml::to_string(self)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let head = "# Written by `cargo run -p firmware-images -- build`.\n";
        fs::write(path, format!("{head}{table}"))
    }

    /// What it says of an image.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.images.iter().find(|entry| entry.name == name)
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Toolchain {
            release,
            commit,
            llvm,
            builds_core,
        } = self;
        let core = if *builds_core {
            "core built along"
        } else {
            "core as shipped"
        };
        write!(out, "rustc {release} ({commit}), LLVM {llvm}, {core}")
    }
}
