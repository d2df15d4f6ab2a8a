//! Approved flows: one file for each run in `reports/baselines/`, in insta's text format, so that
//! `cargo insta review` shows, accepts and rejects them.
//!
//! A file's text is the [`Flow`] and is compared to the byte. Its header says where it comes from;
//! the coarse times in it are for drawing, and no part of the comparison. A check never changes an
//! approved file: what was seen instead lies beside it with the ending `.snap.new`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::event::{Event, What};
use crate::report::difference::{Told, difference};
use crate::report::flow::{FORMAT, Flow, Line};
use crate::source::{Node, Problem, Refused, Source, Span, Value};
use crate::verdict::Verdict;

/// Where a project keeps them.
pub const FOLDER: &str = "reports/baselines";

/// What is done with the flow of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Compared where its bench has approved flows, and its image is the one they were approved with.
    Check,
    /// Compared in any case.
    Demand,
    /// Approved, if the run passed.
    Update,
}

/// The approved flows of a project.
#[derive(Debug)]
pub struct Snapshots {
    folder: PathBuf,
    mode: Mode,
    proposes: bool,
    approved: BTreeMap<String, Approved>,
    benches: BTreeSet<String>,
}

/// One approved flow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approved {
    /// The flow.
    pub flow: Flow,
    /// The name of the image that showed it, where the bench has a chip.
    pub image: Option<String>,
}

/// Which flow it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// The bench's name.
    pub bench: String,
    /// The profile's.
    pub profile: String,
    /// Scenario and variant: `rekey`, `forgotten-code@hold=shortest`.
    pub flow: String,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is the approved one.
    AsApproved,
    /// It was approved now; before, another one was, or none.
    Approved,
    /// It is not the approved one.
    Changed(Box<Difference>),
    /// None is approved.
    Missing(Box<Difference>),
    /// It was not compared, for this reason.
    NotCompared(&'static str),
}

impl Outcome {
    /// In a word or two.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::AsApproved => "as approved",
            Outcome::Approved => "newly approved",
            Outcome::Changed(_) => "changed",
            Outcome::Missing(_) => "not yet approved",
            Outcome::NotCompared(_) => "not compared",
        }
    }

    /// What was found instead of the approved flow.
    pub fn found(&self) -> Option<&Difference> {
        match self {
            Outcome::Changed(found) | Outcome::Missing(found) => Some(found),
            _ => None,
        }
    }
}

impl Difference {
    /// What differs; none where nothing is approved.
    pub fn told(&self) -> Option<Vec<Told<'_>>> {
        let approved = self.approved.as_ref()?;
        Some(difference(approved, &self.seen))
    }

    /// Where to look, and what to do; `folder` is the run's.
    pub fn places(&self, folder: &str) -> Vec<String> {
        let mut places = Vec::new();
        if self.approved.is_some() {
            places.push(format!("approved: {}", self.file.display()));
        }
        places.extend(
            self.proposed
                .iter()
                .map(|proposed| format!("seen:     {}", proposed.display())),
        );
        places.push(format!("picture:  {folder}/snapshot.html"));
        if self.proposed.is_some() {
            places.push(
                "hint: 'cargo insta review' approves or rejects it, --snapshots update approves it"
                    .to_owned(),
            );
        }
        places
    }
}

/// A flow that is not the approved one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The approved flow, where there is one.
    pub approved: Option<Flow>,
    /// The one that was seen.
    pub seen: Flow,
    /// The approved one's file.
    pub file: PathBuf,
    /// Where the one that was seen waits for a review.
    pub proposed: Option<PathBuf>,
}

impl Snapshots {
    /// Reads every approved flow of a project. `proposes` says whether a flow that is not the
    /// approved one may be laid beside it for a review.
    ///
    /// # Errors
    /// Files that are no snapshots, or of a newer lockrig. Nothing is overwritten then.
    pub fn open(root: &Path, mode: Mode, proposes: bool) -> Result<Snapshots, Vec<Refused>> {
        // What is said of the files is said as from the folder that the command runs in.
        let folder = match root == Path::new(".") {
            true => PathBuf::from(FOLDER),
            false => root.join(FOLDER),
        };
        let mut snapshots = Snapshots {
            folder: folder.clone(),
            mode,
            proposes,
            approved: BTreeMap::new(),
            benches: BTreeSet::new(),
        };
        let mut refused = Vec::new();
        for path in files_below(&folder) {
            let Some(name) = name_below(&folder, &path) else {
                continue;
            };
            let (bench, _) = name.split_once('/').unwrap_or(("", ""));
            snapshots.benches.insert(bench.to_owned());
            match read(&path) {
                Ok(approved) => {
                    snapshots.approved.insert(name, approved);
                }
                Err(why) => refused.push(why),
            }
        }
        match refused.is_empty() {
            true => Ok(snapshots),
            false => Err(refused),
        }
    }

    /// Every approved flow, by its name: `bench/profile/flow`.
    pub fn approved(&self) -> &BTreeMap<String, Approved> {
        &self.approved
    }

    /// What will be done with a run's flow, where its bench has none approved: nothing.
    fn applies(&self, key: &Key) -> bool {
        self.mode != Mode::Check || self.benches.contains(&key.bench)
    }

    /// Approved flows that none of these runs has, on the benches of these runs.
    pub fn orphans(&self, runs: &BTreeSet<String>) -> Vec<PathBuf> {
        let bench = |name: &str| name.split('/').next().unwrap_or("").to_owned();
        let benches: BTreeSet<String> = runs.iter().map(|name| bench(name)).collect();
        let names = self.approved.keys();
        names
            .filter(|name| !runs.contains(*name) && benches.contains(&bench(name)))
            .map(|name| self.folder.join(format!("{name}.snap")))
            .collect()
    }

    /// Compares the flow of a run with the approved one, or approves it. Of several repetitions only
    /// the first, 0, writes.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn judge(
        &self,
        key: &Key,
        events: &[Event],
        verdict: Verdict,
        repetition: u32,
    ) -> io::Result<Outcome> {
        match verdict {
            Verdict::Pass | Verdict::KnownFinding | Verdict::Fail | Verdict::Finding => {}
            _ => return Ok(Outcome::NotCompared("the run says nothing about the board")),
        }
        if !self.applies(key) {
            return Ok(Outcome::NotCompared("this bench has no approved flows"));
        }
        if self.mode == Mode::Update && repetition > 0 {
            return Ok(Outcome::NotCompared("the first repetition was approved"));
        }
        let image = image(events);
        let approved = self.approved.get(&key.name());
        if self.mode == Mode::Check && approved.is_some_and(|approved| approved.image != image) {
            return Ok(Outcome::NotCompared("approved with another image"));
        }
        // A flow that broke a promise is shown, and never proposed: nobody could approve it.
        let is_good = matches!(verdict, Verdict::Pass | Verdict::KnownFinding);
        let seen = Flow::of(events);
        let file = self.folder.join(format!("{}.snap", key.name()));
        let new = file.with_extension("snap.new");
        let proposes = self.proposes && repetition == 0;
        let is_same = approved.is_some_and(|approved| approved.flow.text() == seen.text());
        if is_same {
            if proposes && new.exists() {
                fs::remove_file(&new)?;
            }
            return Ok(Outcome::AsApproved);
        }
        let proposed = proposes && is_good;
        if proposed {
            let text = written(key, image.as_deref(), events, &seen);
            let (to, gone) = match self.mode {
                Mode::Update => (&file, Some(&new)),
                Mode::Check | Mode::Demand => (&new, None),
            };
            write_whole(to, &text)?;
            if let Some(gone) = gone.filter(|gone| gone.exists()) {
                fs::remove_file(gone)?;
            }
            if self.mode == Mode::Update {
                return Ok(Outcome::Approved);
            }
        }
        let difference = Box::new(Difference {
            approved: approved.map(|approved| approved.flow.clone()),
            seen,
            file,
            proposed: proposed.then_some(new),
        });
        Ok(match approved {
            Some(_) => Outcome::Changed(difference),
            None => Outcome::Missing(difference),
        })
    }
}

impl Key {
    /// `bench/profile/flow`, the file's name without its ending.
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.bench, self.profile, self.flow)
    }
}

fn image(events: &[Event]) -> Option<String> {
    events.iter().find_map(|event| match &event.what {
        What::Flashed { image, .. } => Some(image.clone()),
        _ => None,
    })
}

/// The file that holds a flow, header and all.
fn written(key: &Key, image: Option<&str>, events: &[Event], flow: &Flow) -> String {
    let seconds: Vec<String> = flow
        .lines
        .iter()
        .map(|line| line.second.to_string())
        .collect();
    let mut text = String::from("---\n");
    let place = events.iter().find_map(|event| match &event.what {
        What::StepStarted { place, .. } => place.rsplit_once(':').map(|(file, _)| file),
        _ => None,
    });
    let _ = writeln!(text, "source: {}", quoted(place.unwrap_or(FOLDER)));
    let about = format!("{} on {}, {}", key.flow, key.profile, key.bench);
    let _ = writeln!(text, "description: {}", serde_json::Value::from(about));
    let _ = writeln!(text, "info:\n  version: {FORMAT}");
    if let Some(image) = image {
        let _ = writeln!(text, "  image: {}", quoted(image));
    }
    let _ = writeln!(text, "  seconds: {}\n---", quoted(&seconds.join(" ")));
    text.push_str(&flow.text());
    text.push('\n');
    text
}

/// A text in YAML: plain where nothing in it could be taken for something else, as insta writes it.
fn quoted(text: &str) -> String {
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "./_- ".contains(one);
    match !text.is_empty() && text.chars().all(is_plain) && !text.starts_with([' ', '-']) {
        true => text.to_owned(),
        // JSON's texts are YAML's.
        false => serde_json::Value::from(text).to_string(),
    }
}

/// Reads a snapshot.
///
/// # Errors
/// It cannot be read, is none, or a newer lockrig wrote it.
pub fn read(path: &Path) -> Result<Approved, Refused> {
    let name = path.to_string_lossy().replace('\\', "/");
    let text = fs::read_to_string(path).map_err(|why| {
        let problem = Problem::new(Span::default(), format!("it cannot be read: {why}"));
        Source::new(name.clone(), "").refuse(vec![problem])
    })?;
    parse(&name, &text)
}

fn parse(name: &str, text: &str) -> Result<Approved, Refused> {
    // A checkout on Windows may have changed the line ends.
    let text = text.replace("\r\n", "\n");
    let refused = |span, message: &str| {
        let problem = Problem::new(span, message)
            .hint("take it from version control, or delete it and run with --snapshots update");
        Source::new(name, text.clone()).refuse(vec![problem])
    };
    let parts = text
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"));
    let Some((header, body)) = parts else {
        let message = "expected a snapshot: a header between two lines '---', then the flow";
        return Err(refused(Span::default(), message));
    };
    // The empty line stands for the first '---', so that lines are counted as in the file.
    let source = Source::new(name, format!("\n{header}\n"));
    let document = source.yaml()?;
    let Some(info) = entry(&document, "info") else {
        return Err(refused(Span::default(), "the header has no 'info'"));
    };
    source.refuse_newer(info, FORMAT)?;
    let texts = |key| entry(info, key).and_then(Node::scalar);
    let seconds: Option<Vec<u64>> = texts("seconds").and_then(|seconds| {
        let seconds = seconds.split_whitespace();
        seconds.map(|second| second.parse().ok()).collect()
    });
    let (Some(_), Some(seconds)) = (texts("version"), seconds) else {
        return Err(refused(info.span, "'info' needs 'version' and 'seconds'"));
    };
    let body = body.strip_suffix('\n').unwrap_or(body);
    let mut last = 0;
    let lines = body.split('\n').enumerate().map(|(index, text)| {
        last = seconds.get(index).copied().unwrap_or(last);
        Line {
            second: last,
            text: text.to_owned(),
        }
    });
    Ok(Approved {
        flow: Flow {
            lines: lines.collect(),
        },
        image: texts("image").map(str::to_owned),
    })
}

fn entry<'n>(table: &'n Node, key: &str) -> Option<&'n Node> {
    match &table.value {
        Value::Table(entries) => entries
            .iter()
            .find(|(known, _)| known.value == key)
            .map(|(_, node)| node),
        _ => None,
    }
}

/// A file is either the old one or the new one, whatever happens.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    fs::write(&name, text)?;
    fs::rename(&name, path)
}

/// Every snapshot below a folder, in the order of names; none where there is no folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.extension().is_some_and(|ending| ending == "snap") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn name_below(folder: &Path, path: &Path) -> Option<String> {
    let name = path.strip_prefix(folder).ok()?.with_extension("");
    Some(name.to_string_lossy().replace('\\', "/"))
}
