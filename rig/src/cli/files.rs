//! Reading what a command is to work on: scenarios, profiles and benches, all mistakes at once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::Failure;
use crate::bench::BenchFile;
use crate::bench::calibration::{Record, Uncalibrated};
use crate::profile::{Product, Profile, Twin};
use crate::project::{self, File, Project, ProjectError};
use crate::scenario::{Requirements, Scenario};
use crate::source::{Refused, Source};

/// Something that was read from a file.
pub struct Loaded<T> {
    /// What was read.
    pub value: T,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The file's text.
    pub text: String,
    /// What messages call it.
    given: String,
}

impl<T> Loaded<T> {
    /// Mistakes that were found in it later, under the name that the user knows.
    pub fn refused(&self, mistakes: Refused) -> Refused {
        called(&self.given, mistakes)
    }
}

impl Loaded<BenchFile> {
    /// The folder of its calibration records; none where its file keeps none.
    pub fn records(&self) -> Option<PathBuf> {
        let kept = self.value.calibration.as_ref()?;
        let beside = Path::new(&self.given).parent()?;
        Some(beside.join(&kept.folder))
    }

    /// Lets the bench go by the newest of its calibration records, where its file keeps them.
    ///
    /// # Errors
    /// A record that cannot be read; inside, why there is none to go by.
    pub fn calibrate(&mut self, today: Date) -> Result<Result<(), Uncalibrated>, Failure> {
        let Some(folder) = self.records() else {
            return Ok(Ok(()));
        };
        let newest = record_files(&folder, &self.value.name).pop();
        let newest = newest.map(|path| read_record(&path)).transpose()?;
        let newest = newest
            .as_ref()
            .map(|(record, hash)| (record, hash.as_str()));
        Ok(self.value.calibrate(newest, today))
    }

    /// Lets the bench go by the record with this hash, however old it is.
    pub fn calibrate_by(&mut self, wanted: &str) -> Result<(), Failure> {
        let missing = |why: &str| {
            Failure::hinted(
                format!("the calibration record that the trace was recorded with {why}"),
                Some("restore its file, or record the run anew".to_owned()),
            )
        };
        let folder = self.records().ok_or_else(|| missing("is kept no more"))?;
        for path in record_files(&folder, &self.value.name) {
            let (record, hash) = read_record(&path)?;
            if let Some(day) = record.day().filter(|_| hash == wanted) {
                let fits = self.value.calibrate(Some((&record, wanted)), day);
                return fits.map_err(|why| missing(&format!("does not fit: {why}")));
            }
        }
        Err(missing("is not there"))
    }
}

/// The files of a bench's calibration records, oldest first: their names tell their days.
fn record_files(folder: &Path, bench: &str) -> Vec<PathBuf> {
    let of_bench = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let day = name
            .strip_prefix(bench)
            .and_then(|rest| rest.strip_prefix('.'));
        let day = day.and_then(|day| day.strip_suffix(".toml"));
        day.is_some_and(|day| day.parse::<Date>().is_ok())
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = paths.filter(of_bench).collect();
    files.sort();
    files
}

fn read_record(path: &Path) -> Result<(Record, String), Failure> {
    let file = project::read(path).map_err(Failure::usage)?;
    let text = file.text().map_err(Failure::usage)?;
    let record = Record::read(&Source::new(file.given.as_str(), text));
    let record = record.map_err(|refused| Failure::refused(&[refused]))?;
    Ok((record, sha256(&file.bytes)))
}

/// Traces call a file by its name in the project, messages as the user did.
fn called(given: &str, mistakes: Refused) -> Refused {
    Refused {
        source: Source::new(given, mistakes.source.text()),
        ..mistakes
    }
}

/// The files of a project, read and checked.
pub struct Library {
    /// Where they came from.
    pub project: Project,
    /// In the order of their names.
    pub scenarios: Vec<Loaded<Scenario>>,
    /// In the order of their names.
    pub profiles: Vec<Loaded<Arc<Product>>>,
    /// In the order of their names.
    pub benches: Vec<Loaded<BenchFile>>,
}

/// The requirements that a project's scenarios cover.
pub fn requirements(project: &Project) -> Result<Requirements, Failure> {
    let mut mistakes = Mistakes::default();
    let requirements = mistakes.requirements(project)?;
    mistakes.report()?;
    Ok(requirements.expect("what cannot be read was reported"))
}

/// A bad twin, and the profile as its firmware has it.
pub struct Behaviour {
    /// The profile whose promise is broken.
    pub of: String,
    /// What the firmware does.
    pub profile: Profile,
    /// SHA-256 of the twin's file.
    pub sha256: String,
}

/// Which files a command asks for; nothing means all.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Selection {
    /// Scenario files, or folders of them [default: all of the project]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// A bench, by name or file; may be repeated [default: every virtual one]
    #[arg(long, value_name = "NAME|FILE")]
    pub bench: Vec<String>,
    /// A product's profile, by name or file; may be repeated [default: every one that fits]
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Vec<String>,
    /// Real benches too, where none is named: for commands that apply no power.
    #[arg(skip)]
    pub real_benches: bool,
}

impl Library {
    /// Reads what is selected. The mistakes of all files are reported together.
    pub fn load(selection: &Selection) -> Result<Library, Failure> {
        let project = Project::at(Path::new("."));
        let mut mistakes = Mistakes::default();
        let requirements = mistakes.requirements(&project)?;
        let scenarios = match selection.paths.is_empty() {
            true => project.scenarios().map_err(Failure::usage)?,
            false => named_scenarios(&selection.paths)?,
        };
        let scenarios = mistakes.all(scenarios, |source| {
            let requirements = requirements.as_ref()?;
            Some(Scenario::read(source, requirements))
        })?;
        let known = project.profiles().map_err(Failure::usage)?;
        let profiles = select("profile", known, &selection.profile)?;
        let profiles =
            mistakes.all(profiles, |source| Some(Product::read(source).map(Arc::new)))?;
        let known = project.benches().map_err(Failure::usage)?;
        let benches = select("bench", known, &selection.bench)?;
        let mut benches = mistakes.all(benches, |source| Some(BenchFile::read(source)))?;
        mistakes.report()?;
        if selection.bench.is_empty() && !selection.real_benches {
            // A real bench is powered only when it is named.
            benches.retain(|bench| bench.value.emulates.is_some());
        }
        Ok(Library {
            project,
            scenarios,
            profiles,
            benches,
        })
    }
}

impl Library {
    /// Every bad twin of the project.
    pub fn twins(&self) -> Result<Vec<Twin>, Failure> {
        let mut mistakes = Mistakes::default();
        let mut twins = Vec::new();
        for file in &self.project.twins().map_err(Failure::usage)? {
            twins.extend(mistakes.one(file, |source| Some(Twin::read(source)))?);
        }
        mistakes.report()?;
        Ok(twins.into_iter().map(|twin| twin.value).collect())
    }

    /// Reads a bad twin, and leaves of the profiles only the one that it is a twin of.
    pub fn twin(&mut self, name: &str) -> Result<Behaviour, Failure> {
        let known = self.project.twins().map_err(Failure::usage)?;
        let file = select("bad twin", known, &[name.to_owned()])?.remove(0);
        self.behaviour(&file)
    }

    /// The bad twin that a run was made with, by the hash of its file.
    pub fn twin_of(&mut self, hash: &str) -> Result<Behaviour, Failure> {
        let known = self.project.twins().map_err(Failure::usage)?;
        let file = known.iter().find(|file| sha256(&file.bytes) == hash);
        let file = file.ok_or_else(|| {
            Failure::hinted(
                "the bad twin that the trace was recorded with is not in the project",
                Some("restore its file, or record the run anew".to_owned()),
            )
        })?;
        self.behaviour(file)
    }

    fn behaviour(&mut self, file: &File) -> Result<Behaviour, Failure> {
        let mut mistakes = Mistakes::default();
        let twin = mistakes.one(file, |source| Some(Twin::read(source)))?;
        mistakes.report()?;
        let twin = twin.expect("what was refused has been reported");
        let of = twin.value.file.of.value.clone();
        let known = self.profiles.iter().map(|one| one.value.id().to_owned());
        let known = known.collect();
        self.profiles.retain(|profile| profile.value.id() == of);
        let Some(profile) = self.profiles.first() else {
            return Err(Failure::usage(ProjectError::Unknown {
                kind: "profile",
                name: of,
                known,
            }));
        };
        let Some(profile) = profile.value.lock() else {
            return Err(Failure::usage(format!(
                "'{of}' is a mechanical cylinder and runs no firmware, so there is no twin of it"
            )));
        };
        let changed = twin.value.of(profile);
        let profile = changed.map_err(|why| Failure::refused(&[twin.refused(why)]))?;
        Ok(Behaviour {
            of,
            profile,
            sha256: twin.sha256,
        })
    }
}

/// Collects refused files, so that one command shows the mistakes of all.
#[derive(Default)]
struct Mistakes {
    refused: Vec<Refused>,
}

impl Mistakes {
    fn requirements(&mut self, project: &Project) -> Result<Option<Requirements>, Failure> {
        let file = project.requirements().map_err(Failure::usage)?;
        Ok(self
            .one(&file, |source| Some(Requirements::read(source)))?
            .map(|loaded| loaded.value))
    }

    fn all<T>(
        &mut self,
        files: Vec<File>,
        read: impl Fn(&Source) -> Option<Result<T, Refused>>,
    ) -> Result<Vec<Loaded<T>>, Failure> {
        let mut loaded = Vec::new();
        for file in files {
            loaded.extend(self.one(&file, &read)?);
        }
        Ok(loaded)
    }

    fn one<T>(
        &mut self,
        file: &File,
        read: impl Fn(&Source) -> Option<Result<T, Refused>>,
    ) -> Result<Option<Loaded<T>>, Failure> {
        let text = file.text().map_err(Failure::usage)?;
        let source = Source::new(file.name.as_str(), text);
        match read(&source) {
            Some(Ok(value)) => Ok(Some(Loaded {
                value,
                sha256: sha256(&file.bytes),
                text: text.to_owned(),
                given: file.given.clone(),
            })),
            Some(Err(refused)) => {
                self.refused.push(called(&file.given, refused));
                Ok(None)
            }
            None => Ok(None),
        }
    }

    fn report(&self) -> Result<(), Failure> {
        match self.refused.is_empty() {
            true => Ok(()),
            false => Err(Failure::refused(&self.refused)),
        }
    }
}

/// SHA-256 of some bytes, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Scenario files by their paths; folders are searched.
fn named_scenarios(paths: &[PathBuf]) -> Result<Vec<File>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => files.extend(project::scenarios_below(path).map_err(Failure::usage)?),
            false => files.push(project::read(path).map_err(|why| match path.exists() {
                true => Failure::usage(why),
                false => Failure::hinted(
                    why,
                    Some("a path is expected; --filter chooses runs by their names".to_owned()),
                ),
            })?),
        }
    }
    Ok(files)
}

/// The files that are asked for: by the name of one that is known, or by a path.
fn select(kind: &'static str, known: Vec<File>, wanted: &[String]) -> Result<Vec<File>, Failure> {
    if wanted.is_empty() {
        return Ok(known);
    }
    let stem = |file: &File| {
        Path::new(&file.name)
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let mut selected = Vec::new();
    for name in wanted {
        if let Some(file) = known.iter().find(|file| stem(file) == *name) {
            selected.push(file.clone());
        } else if Path::new(name).is_file() {
            selected.push(project::read(Path::new(name)).map_err(Failure::usage)?);
        } else {
            return Err(Failure::usage(ProjectError::Unknown {
                kind,
                name: name.clone(),
                known: known.iter().map(stem).collect(),
            }));
        }
    }
    Ok(selected)
}

/// A reader that went away is no error.
pub fn unless_closed(why: std::io::Error) -> Result<(), Failure> {
    match why.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::usage(format!("writing to standard output: {why}"))),
    }
}

/// Prints an object in JSON, on a line of its own.
pub(super) fn print_json(object: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(object)
        .map_err(|why| Failure::broken(format!("writing JSON: {why}")))?;
    print(&(line + "\n")).map(drop)
}

/// Prints to standard output. A reader that went away (`lockrig list | head`) is no error.
pub fn print(text: &str) -> Result<u8, Failure> {
    let mut out = anstream::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .or_else(unless_closed)
        .map(|()| 0)
}
