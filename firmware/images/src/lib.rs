//! The reference firmware's images: what each is built from, what was built, and whether the two still agree.
//!
//! The committed images make a cross-compiler unnecessary for everybody but those who change the firmware.
//! `manifest.toml` beside them says from which sources and with which toolchain each was built. Sources and
//! images are compared by SHA-256, so that a change of the firmware without a rebuild shows.

pub mod build;
pub mod manifest;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// An image, as it is built.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name; the file has it too.
    pub name: String,
    /// The features of the package `reference` that it is built with.
    pub features: Vec<String>,
    /// Known to be bad: nobody debugs it, and it is kept small.
    pub is_museum_piece: bool,
}

/// The images that people use.
const PRODUCTS: [(&str, &[&str]); 4] = [
    ("reference-safe", &["safe"]),
    ("reference-smart-lock", &["smart-lock"]),
    // Tells a debug probe what it does.
    ("reference-safe-log", &["safe", "log"]),
    // For comparison with QEMU, which has neither RTC nor GPIOTE.
    ("comparison", &["safe", "tick-timer0"]),
];

/// What the images are built from, as paths below the project's folder. Folders count with all they hold.
const SOURCES: [&str; 11] = [
    "firmware/Cargo.lock",
    "firmware/Cargo.toml",
    "firmware/code-entry/Cargo.toml",
    "firmware/code-entry/src",
    "firmware/journal/Cargo.toml",
    "firmware/journal/src",
    "firmware/reference/.cargo",
    "firmware/reference/Cargo.toml",
    "firmware/reference/build.rs",
    "firmware/reference/memory.x",
    "firmware/reference/src",
];

/// What `museum.toml` says of images; lockrig reads the rest.
#[derive(Deserialize)]
struct Museum {
    #[serde(rename = "failure")]
    failures: Vec<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "piece", default)]
    pieces: Vec<Piece>,
}

#[derive(Deserialize)]
struct Piece {
    name: String,
    line: String,
}

/// The project's folders that matter here.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The project at this folder.
    pub fn at(root: &Path) -> Project {
        Project {
            root: root.to_owned(),
        }
    }

    /// The project that this program was compiled from.
    pub fn of_this_program() -> Project {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        Project::at(package.ancestors().nth(2).unwrap_or(package))
    }

    /// The project's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the firmware's workspace.
    pub fn firmware(&self) -> PathBuf {
        self.root.join("firmware")
    }

    /// Every image: those that people use, then the museum.
    pub fn every_image(&self) -> io::Result<Vec<Image>> {
        let products = PRODUCTS.iter().map(|(name, features)| Image {
            name: (*name).to_owned(),
            features: features.iter().map(|&feature| feature.into()).collect(),
            is_museum_piece: false,
        });
        let path = self.root.join("firmware/museum/museum.toml");
        let museum = fs::read_to_string(&path)
            .map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", path.display())))?;
        let museum: Museum = toml::from_str(&museum)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let pieces = museum
            .failures
            .into_iter()
            .flat_map(|failure| failure.pieces);
        let pieces = pieces.map(|piece| {
            let name = format!("museum-{}", piece.name);
            Image {
                features: vec![piece.line, name.clone()],
                name,
                is_museum_piece: true,
            }
        });
        Ok(products.chain(pieces).collect())
    }

    /// The file of an image.
    pub fn image(&self, image: &Image) -> PathBuf {
        self.images().join(format!("{}.elf", image.name))
    }

    /// The manifest's file.
    pub fn manifest(&self) -> PathBuf {
        self.images().join("manifest.toml")
    }

    fn images(&self) -> PathBuf {
        self.root.join("firmware/images")
    }

    /// SHA-256 over the names and contents of all sources, in the order of their names.
    pub fn source_hash(&self) -> io::Result<String> {
        let mut files = Vec::new();
        for source in SOURCES {
            collect(&self.root, Path::new(source), &mut files)?;
        }
        files.sort();
        let mut hash = Sha256::new();
        for (name, path) in files {
            let content = fs::read(path)?;
            hash.update(format!("{name} {}\n", content.len()));
            hash.update(content);
        }
        Ok(hex(&hash.finalize()))
    }
}

/// SHA-256 of some bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Adds a file, or all files below a folder, by their names with forward slashes.
fn collect(root: &Path, below: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    let path = root.join(below);
    if path.is_dir() {
        for entry in fs::read_dir(&path)? {
            collect(root, &below.join(entry?.file_name()), files)?;
        }
        return Ok(());
    }
    let name: Vec<_> = below
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    files.push((name.join("/"), path));
    Ok(())
}
