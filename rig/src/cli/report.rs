//! `lockrig report`: a run's files anew, from its events alone.

use std::io;
use std::path::{Path, PathBuf};

use super::error::Failure;
use super::files;
use crate::report;
use crate::trace::{self, TraceError};

/// Make a run's report anew from its events
///
/// Reads events.jsonl and writes report.html, trace.vcd and junit.xml beside it, whichever lockrig
/// wrote the trace, as long as it was not a newer one.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Report {
    /// Folders of runs, or files with events
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Where to write instead of beside the events; with several runs, a folder in it for each
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Of a trace that is cut or garbled, report the lines before that, in files of their own:
    /// partial.report.html, partial.trace.vcd, partial.junit.xml
    #[arg(long)]
    partial: bool,
}

const EXAMPLES: &str = "\
Examples:
  lockrig report reports/2026-05-04T21-00-00Z/rekey@*    after an update of lockrig
  lockrig report events.jsonl --out /tmp/rekey           from a trace that somebody sent";

/// A trace that has been read, as far as it can be.
struct Trace {
    name: String,
    folder: PathBuf,
    events: Vec<crate::event::Event>,
    cut: Option<TraceError>,
}

impl Report {
    pub fn execute(self) -> Result<u8, Failure> {
        // Everything is read before anything is written, and every mistake is told at once.
        let mut traces = Vec::new();
        let mut mistakes = Vec::new();
        for run in &self.runs {
            match self.read(run) {
                Ok(trace) => traces.push(trace),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if !mistakes.is_empty() {
            return Err(Failure::usage(mistakes.join("\nerror: ")));
        }
        for trace in &traces {
            self.write(trace)?;
        }
        Ok(0)
    }

    fn read(&self, run: &Path) -> Result<Trace, String> {
        let file = match run.is_dir() {
            true => run.join("events.jsonl"),
            false => run.to_owned(),
        };
        let shown = file.display();
        let bytes = std::fs::read(&file).map_err(|why| {
            let hint = match run.join("index.json").is_file() {
                true => "this is the folder of many runs; name the folders in it",
                false => "name the folder of a run, or its events.jsonl",
            };
            format!("reading '{shown}': {why}\nhint: {hint}")
        })?;
        // A cut in the middle of a letter is a cut like any other.
        let text = String::from_utf8_lossy(&bytes);
        let (events, cut) = trace::read_as_far_as_whole(&text);
        let cut = match cut {
            Some(cut @ TraceError::Garbled { .. }) if self.partial && !events.is_empty() => {
                Some(cut)
            }
            Some(why @ TraceError::Garbled { .. }) => {
                return Err(format!(
                    "'{shown}', {why}; '--partial' reports them, and overwrites nothing"
                ));
            }
            Some(why) => return Err(format!("'{shown}', {why}")),
            None => None,
        };
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let name = std::path::absolute(&folder)
            .ok()
            .and_then(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_else(|| "run".to_owned());
        Ok(Trace {
            name,
            folder,
            events,
            cut,
        })
    }

    fn write(&self, trace: &Trace) -> Result<(), Failure> {
        let folder = match &self.out {
            Some(out) if self.runs.len() > 1 => out.join(&trace.name),
            Some(out) => out.clone(),
            None => trace.folder.clone(),
        };
        let cut = trace.cut.as_ref().map(ToString::to_string);
        // What is wrong with the trace is told in one sentence; the hint is for the terminal.
        let told = cut.as_deref().and_then(|cut| cut.lines().next());
        let summary = report::summarise(&trace.events)
            .expect("the reader accepts only what begins as a trace");
        let files = report::of_run(&trace.name, &trace.events, &summary, told);
        if let Some(cut) = &cut {
            anstream::eprintln!("warning: '{}', {cut}", trace.name);
        }
        std::fs::create_dir_all(&folder)
            .and_then(|()| {
                for (name, contents) in files {
                    let name = match cut {
                        Some(_) => format!("partial.{name}"),
                        None => name.to_owned(),
                    };
                    replace(&folder.join(&name), &contents)?;
                    files::print(&format!("{}\n", folder.join(name).display())).ok();
                }
                Ok(())
            })
            .map_err(|why| {
                Failure::hinted(
                    format!("writing to '{}': {why}", folder.display()),
                    Some("what was there is as it was; --out names another folder".to_owned()),
                )
            })
    }
}

/// Puts a file in the place of another one, so that there is the old one or the new one and never half.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut new = path.to_owned().into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    std::fs::write(&new, contents)
        .and_then(|()| std::fs::rename(&new, path))
        .inspect_err(|_| {
            let _ = std::fs::remove_file(&new);
        })
}
