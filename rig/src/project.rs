//! Where scenarios, profiles, benches and images come from: a folder of the user's, or the binary.
//!
//! A folder that holds `scenarios/` and `boards/` is a project, as `lockrig init` lays one out. In
//! any other folder the files that travel in the binary are used. Names in traces are relative to the
//! project, so that a trace does not tell on which machine it was made; messages call a file as the
//! user did.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};

use crate::source::closest;

static SCENARIOS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../scenarios");
static BOARDS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../boards");
static IMAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../firmware/images");

/// A file's name inside the project and its contents.
#[derive(Clone, Debug)]
pub struct File {
    /// With forward slashes: `scenarios/rekey.yaml`. Of a file outside the project its last part.
    pub name: String,
    /// What messages call it: the path as the user gave it.
    pub given: String,
    /// As it is.
    pub bytes: Vec<u8>,
}

/// A file of the user's that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The operating system refused.
    #[error("reading '{path}': {why}")]
    Unreadable {
        /// The path as it was given.
        path: String,
        /// What the operating system said.
        why: io::Error,
    },
    /// Text that is none.
    #[error("'{name}' is not UTF-8 text")]
    NotText {
        /// Its name.
        name: String,
    },
    /// No such name.
    #[error("there is no {kind} '{name}'\nhint: {}", nearest(name, known))]
    Unknown {
        /// `profile`, `bad twin`, `bench`, `image`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A folder without any.
    #[error(
        "there is no scenario below '{folder}'\nhint: profiles/, bad/ and requirements.yaml hold none; name a file to read it all the same"
    )]
    NoScenario {
        /// As it was given.
        folder: String,
    },
}

/// Where bad twins of the profiles' products lie.
const TWINS: &str = "scenarios/profiles/bad-twins/";

/// What to try for a name that is unknown.
fn nearest(name: &str, known: &[String]) -> String {
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let starting = || {
        let mut matching = names.iter().filter(|known| known.contains(name));
        let only = matching.next().filter(|_| !name.is_empty());
        only.filter(|_| matching.next().is_none()).copied()
    };
    match closest(name, &names).or_else(starting) {
        Some(close) => format!("did you mean '{close}'? there are {}", known.join(", ")),
        None => format!("there are {}; or give the path of a file", known.join(", ")),
    }
}

/// See the head of the file.
#[derive(Clone, Debug)]
pub enum Project {
    /// A folder of the user's.
    Folder(PathBuf),
    /// The files in the binary.
    Shipped,
}

impl Project {
    /// The project that a folder is, or what is shipped.
    pub fn at(folder: &Path) -> Project {
        match folder.join("scenarios").is_dir() && folder.join("boards").is_dir() {
            true => Project::Folder(folder.to_owned()),
            false => Project::Shipped,
        }
    }

    /// Every scenario, in the order of names. Files that must be refused are not among them.
    ///
    /// # Errors
    /// A folder or file that cannot be read.
    pub fn scenarios(&self) -> Result<Vec<File>, ProjectError> {
        let mut files = self.files("scenarios", &SCENARIOS, "yaml")?;
        files.retain(is_scenario);
        Ok(files)
    }

    /// The requirements that scenarios cover. A project without its own uses those that are shipped.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn requirements(&self) -> Result<File, ProjectError> {
        const NAME: &str = "scenarios/requirements.yaml";
        if let Project::Folder(root) = self
            && root.join(NAME).is_file()
        {
            return read(&root.join(NAME));
        }
        let shipped = SCENARIOS
            .get_file("requirements.yaml")
            .map(|file| file.contents().to_owned());
        Ok(File {
            name: NAME.to_owned(),
            given: NAME.to_owned(),
            bytes: shipped.unwrap_or_default(),
        })
    }

    /// Every profile, in the order of names.
    ///
    /// # Errors
    /// A folder or file that cannot be read.
    pub fn profiles(&self) -> Result<Vec<File>, ProjectError> {
        let mut files = self.files("scenarios", &SCENARIOS, "yaml")?;
        files.retain(|file| file.name.starts_with("scenarios/profiles/"));
        files.retain(|file| !file.name.starts_with(TWINS));
        Ok(files)
    }

    /// Every bad twin, in the order of names.
    ///
    /// # Errors
    /// A folder or file that cannot be read.
    pub fn twins(&self) -> Result<Vec<File>, ProjectError> {
        let mut files = self.files("scenarios", &SCENARIOS, "yaml")?;
        files.retain(|file| file.name.starts_with(TWINS));
        Ok(files)
    }

    /// Every bench file, in the order of names.
    ///
    /// # Errors
    /// A folder or file that cannot be read.
    pub fn benches(&self) -> Result<Vec<File>, ProjectError> {
        self.files("boards", &BOARDS, "toml")
    }

    /// The image that a bench file or a person names: a path, from the project's folder or else from
    /// where the command runs, or the name of one that is shipped.
    ///
    /// # Errors
    /// Neither is there.
    pub fn image(&self, name: &str) -> Result<File, ProjectError> {
        let root = match self {
            Project::Folder(root) => root.as_path(),
            Project::Shipped => Path::new("."),
        };
        for path in [&root.join(name), Path::new(name)] {
            if path.is_file() {
                return read(path);
            }
        }
        let shipped = |file: &File| {
            Path::new(&file.name)
                .file_stem()
                .is_some_and(|stem| stem == name)
        };
        let images = embedded("firmware/images", &IMAGES);
        images
            .iter()
            .find(|file| shipped(file))
            .cloned()
            .ok_or_else(|| ProjectError::Unknown {
                kind: "image",
                name: name.to_owned(),
                known: image_names(&images),
            })
    }

    fn files(
        &self,
        folder: &str,
        shipped: &Dir<'_>,
        extension: &str,
    ) -> Result<Vec<File>, ProjectError> {
        let mut files = match self {
            Project::Shipped => embedded(folder, shipped),
            Project::Folder(root) => below(root, folder)?,
        };
        files.retain(|file| {
            Path::new(&file.name)
                .extension()
                .is_some_and(|ending| ending == extension)
        });
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }
}

/// Writes a project of the user's own into an empty or new folder and returns the files' names.
///
/// # Errors
/// The folder holds `scenarios` or `boards` already: then nothing is written. Or the disk refuses.
pub fn init(root: &Path) -> io::Result<Vec<String>> {
    let mut files = embedded("scenarios", &SCENARIOS);
    files.retain(|file| !file.name.starts_with("scenarios/bad/"));
    files.extend(embedded("boards", &BOARDS));
    files.sort_by(|one, other| one.name.cmp(&other.name));
    let taken = ["scenarios", "boards"]
        .into_iter()
        .find(|folder| root.join(folder).exists());
    if let Some(taken) = taken {
        let message = format!(
            "'{taken}' is there already; nothing was written\nhint: name a new folder, or move it away"
        );
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    for file in &files {
        let path = root.join(&file.name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, &file.bytes)?;
    }
    Ok(files.into_iter().map(|file| file.name).collect())
}

/// Every scenario below a folder, in the order of names.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn scenarios_below(folder: &Path) -> Result<Vec<File>, ProjectError> {
    let mut files = below(folder, "")?;
    files.retain(|file| file.name.ends_with(".yaml") && is_scenario(file));
    if files.is_empty() {
        return Err(ProjectError::NoScenario {
            folder: folder.display().to_string(),
        });
    }
    for file in &mut files {
        *file = read(&folder.join(file.name.trim_start_matches('/')))?;
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// Profiles, requirements and files that must be refused lie among the scenarios.
fn is_scenario(file: &File) -> bool {
    !file.name.contains("/profiles/")
        && !file.name.contains("/bad/")
        && !file.name.ends_with("/requirements.yaml")
}

/// Reads one file of the user's.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<File, ProjectError> {
    match fs::read(path) {
        Ok(bytes) => Ok(File {
            name: name_in_project(path),
            given: slashes(path.strip_prefix(".").unwrap_or(path)),
            bytes,
        }),
        Err(why) => Err(ProjectError::Unreadable {
            path: path.display().to_string(),
            why,
        }),
    }
}

/// A path from the folder that the command runs in; of a file outside it the last part, because the
/// rest says something of the machine and nothing of the file.
fn name_in_project(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let inside = path.strip_prefix(&here).unwrap_or(path);
    let plain = inside
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    match (plain, path.file_name()) {
        (false, Some(last)) => last.to_string_lossy().into_owned(),
        _ => slashes(
            &inside
                .components()
                .filter(|part| *part != Component::CurDir)
                .collect::<PathBuf>(),
        ),
    }
}

fn slashes(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

impl File {
    /// The contents as text.
    ///
    /// # Errors
    /// They are no UTF-8.
    pub fn text(&self) -> Result<&str, ProjectError> {
        std::str::from_utf8(&self.bytes).map_err(|_| ProjectError::NotText {
            name: self.given.clone(),
        })
    }
}

/// The names of the images that are shipped for use. Those of the museum are many, and stand in its table.
pub fn shipped_images() -> Vec<String> {
    image_names(&embedded("firmware/images", &IMAGES))
}

fn image_names(files: &[File]) -> Vec<String> {
    let mut names: Vec<String> = files
        .iter()
        .map(|file| Path::new(&file.name))
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == "elf" || ending == "hex")
        })
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .filter(|name| !name.starts_with("museum-"))
        .collect();
    names.sort();
    names
}

fn embedded(prefix: &str, dir: &Dir<'_>) -> Vec<File> {
    let mut files = Vec::new();
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(folder) => files.extend(embedded(prefix, folder)),
            DirEntry::File(file) => {
                let name = format!("{prefix}/{}", slashes(file.path()));
                files.push(File {
                    given: name.clone(),
                    name,
                    bytes: file.contents().to_owned(),
                });
            }
        }
    }
    files
}

fn below(root: &Path, folder: &str) -> Result<Vec<File>, ProjectError> {
    let unreadable = |why| ProjectError::Unreadable {
        path: folder.to_owned(),
        why,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join(folder)).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => files.extend(below(root, &name)?),
            false => files.push(File {
                name,
                ..read(&entry.path())?
            }),
        }
    }
    Ok(files)
}
