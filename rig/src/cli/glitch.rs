//! `lockrig glitch`: every instruction between a wrong code and the lock's answer that can go wrong.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::board;
use super::error::Failure;
use super::files::{Library, Selection};
use super::flows::{Exploration, Flows, Wanted};
use super::run::unusable;
use crate::campaign::write_json;
use crate::event::Nanos;
use crate::glitch::{Explored, Explorer, Options, Outcome, Timing, flow_of, picture, reproducer};
use crate::image::Lines;
use crate::report::{Summary, junit};
use crate::verdict::{self, Verdict};

/// Let every instruction of a lock's decision go wrong, and see whether one opens it
///
/// A flow is carried out once on a virtual bench, up to the last key of a code that must not open. From there
/// to the lock's answer the running bench is forked before every instruction, which then goes wrong once in
/// every way, as under a dip of the supply or a pulse of a coil. The bolt must stay where it is. Other wrong
/// codes are entered in the same place, and cycles and current are compared: they must not tell how many digits
/// were right.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct GlitchCommand {
    #[command(flatten)]
    selection: Selection,
    /// Firmware to flash in place of the bench's own: a file, or the name of a shipped image
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    /// Only flows whose name contains this; a name is scenario@profile@bench@variant
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Which of a flow's entries that must not open, from 1
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "every_entry", value_parser = clap::value_parser!(u32).range(1..))]
    entry: u32,
    /// All of a flow's entries that must not open
    #[arg(long)]
    every_entry: bool,
    /// What goes wrong; may be repeated [default: all of it]
    #[arg(long, value_name = "WORD", value_parser = ["skip", "flip", "zeros", "ones"])]
    mode: Vec<String>,
    /// Only so many instructions, the last before the lock's answer [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    last: Option<u32>,
    /// How many forks at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Seed of codes and contact bounce
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is printed: for people, or a JSON object a line for each entry
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Where the table, the picture and the reproducers go [default: reports/<time>]
    #[arg(long, value_name = "FOLDER")]
    report_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  lockrig glitch scenarios/wrong-code-lockout.yaml --profile stack-on-red-button
  lockrig glitch --filter wrong-code-lockout@securam --entry 3    the third wrong code
  lockrig glitch --mode skip --last 4000                          quick, and where most is found
  lockrig glitch --bench virtual-safe --image fw.elf              firmware of yours; with debug
                                                                  information, lines of its source

What is left behind, in the report folder:
  glitch.json     every entry, model and instruction, with the outcomes
  glitch.html     the same as a picture; glitch.svg alone
  junit.xml       a test case an entry, for a CI server
  reproducers/    a scenario for each place that opens; 'lockrig run' carries it out

What goes wrong with an instruction:
  skip N          it and those after it, N in all, are not executed; each takes one cycle
  flip N          bit N of it is fetched wrongly; 16 to 31 are of a 32-bit one's second half
  zeros N         register N, which it writes, is all zeros after it; 14 is LR
  ones N          the same, all ones

What the lock then does:
  open            it withdraws its bolt
  closed          it does not, and shows an answer
  fault           it reports a fault, or starts anew
  hang            it shows nothing

All of this is of the virtual bench: a real board needs a glitcher, and never goes wrong in the
same way twice.";

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// A table, and what opens
    Human,
    /// A JSON object a line for each entry
    Json,
}

/// `glitch.json`.
#[derive(Serialize)]
struct Index<'a> {
    lockrig: &'static str,
    seed: u64,
    entries: Vec<&'a Explored>,
}

/// What was explored, and how long that took.
struct Done {
    explored: Explored,
    took: Duration,
}

impl GlitchCommand {
    pub fn execute(self) -> Result<u8, Failure> {
        let library = Library::load(&self.selection)?;
        let wanted = Wanted {
            image: self.image.as_deref(),
            filter: self.filter.as_deref(),
            seed: self.seed,
            steps: flow_of,
            done: "looked at",
            real: "none of its instructions can be made to go wrong",
            instead: "a virtual bench runs the same image: --bench virtual-safe --image FILE",
        };
        let groups = wanted.flows(&library)?;
        let for_people = self.format == Format::Human;
        let exploration =
            Exploration::begin(&groups, self.jobs, for_people, self.report_dir.as_deref())?;
        let folder = exploration.folder.as_path();
        let began = Instant::now();
        let done = exploration.each(&groups, |flows| self.group(&library, &exploration, flows))?;
        if self.format == Format::Json {
            for done in &done {
                super::files::print_json(&done.explored)?;
            }
        }
        let explored: Vec<&Explored> = done.iter().map(|done| &done.explored).collect();
        self.write(folder, &explored)
            .map_err(|why| unusable(folder, &why))?;
        if self.format == Format::Human {
            let mut text = Vec::new();
            table(&mut text, &done, began.elapsed(), folder)
                .and_then(|()| anstream::stdout().write_all(&text))
                .or_else(super::files::unless_closed)?;
        }
        let stopped = exploration.is_stopped().then_some(Verdict::Aborted);
        let verdicts = explored.iter().map(|entry| entry.verdict).chain(stopped);
        if explored
            .iter()
            .all(|entry| entry.verdict == Verdict::Skipped)
            && stopped.is_none()
        {
            return Ok(2);
        }
        Ok(verdict::exit_code(verdicts))
    }

    /// Explores the flows of one board and product.
    fn group(
        &self,
        library: &Library,
        exploration: &Exploration,
        (group, flows): &Flows,
    ) -> Result<Vec<Done>, Failure> {
        let options = Options {
            entry: (!self.every_entry).then_some(self.entry),
            modes: self.mode.clone(),
            last: self.last,
            jobs: exploration.jobs,
            seed: self.seed,
        };
        let image = self.image.as_deref().or(group.bench.image.as_deref());
        let lines = match image {
            Some(name) => Lines::read(&library.project.image(name).map_err(Failure::usage)?.bytes),
            None => Lines::default(),
        };
        let prepared = exploration.prepare(group, "letting instructions go wrong", self.seed)?;
        let explorer = Explorer::new(prepared, &lines, options, Arc::clone(&exploration.stop));
        let mut done = Vec::new();
        for (flow, text) in flows {
            if exploration.is_stopped() {
                break;
            }
            let line = exploration.line(flow);
            let began = Instant::now();
            let entries = explorer
                .explore(flow, &|doing, at, of| line.tell(doing, at, of))
                .map_err(board::broken)?;
            let took = began.elapsed() / entries.len().max(1) as u32;
            let folder = &exploration.folder;
            for mut explored in entries {
                reproducer::write(&mut explored, flow, text, folder)
                    .map_err(|why| unusable(folder, &why))?;
                done.push(Done { explored, took });
            }
        }
        Ok(done)
    }

    fn write(&self, folder: &Path, entries: &[&Explored]) -> std::io::Result<()> {
        let index = Index {
            lockrig: env!("CARGO_PKG_VERSION"),
            seed: self.seed,
            entries: entries.to_vec(),
        };
        write_json(&folder.join("glitch.json"), &index)?;
        std::fs::write(folder.join("glitch.svg"), picture::svg(entries))?;
        std::fs::write(folder.join("glitch.html"), picture::page(entries))?;
        let summaries: Vec<Summary> = entries.iter().map(|entry| summary(entry)).collect();
        std::fs::write(
            folder.join("junit.xml"),
            junit::document("lockrig glitch", &summaries),
        )
    }
}

fn table(out: &mut Vec<u8>, done: &[Done], took: Duration, folder: &Path) -> std::io::Result<()> {
    let heads = Outcome::ALL.map(|outcome| format!("{:>8}", outcome.word()));
    for Done { explored, took } in done {
        writeln!(
            out,
            "{}, entry {}: {}",
            explored.flow, explored.entry, explored.verdict
        )?;
        writeln!(out, "  {}", explored.because)?;
        if explored.models.is_empty() {
            writeln!(out)?;
            continue;
        }
        writeln!(out, "  {:16} {}", "what goes wrong", heads.join(" "))?;
        for model in &explored.models {
            writeln!(out, "  {:16} {}", model.model, counts(&model.outcomes))?;
        }
        writeln!(out, "  {:16} {}", "all", counts(&explored.outcomes))?;
        writeln!(
            out,
            "  {} instructions, {} of {} glitches judged, {} states, in {:.1} s; evidence: {}",
            explored.instructions.len(),
            explored.judged,
            explored.glitches,
            explored.states,
            took.as_secs_f64(),
            explored.evidence
        )?;
        for open in &explored.opens {
            writeln!(
                out,
                "  OPENS {:#07x} {}",
                open.address,
                open.place.as_deref().unwrap_or("no symbol")
            )?;
            writeln!(
                out,
                "        {} glitches, first at {}: {}",
                open.count,
                open.at,
                shortened(&open.modes)
            )?;
            if let Some(reproducer) = &open.reproducer {
                writeln!(
                    out,
                    "        lockrig run {}",
                    folder.join(reproducer).display()
                )?;
            }
        }
        timing(out, explored.timing.as_ref())?;
        writeln!(out)?;
    }
    let finds = |done: &&Done| done.explored.verdict.exit_code() != 0;
    let judged: u64 = done.iter().map(|done| done.explored.judged).sum();
    writeln!(
        out,
        "{} entries, {} with a finding; {judged} glitches in {:.1} s, {:.0} a second",
        done.len(),
        done.iter().filter(finds).count(),
        took.as_secs_f64(),
        judged as f64 / took.as_secs_f64().max(1e-6)
    )?;
    writeln!(out, "picture: {}", folder.join("glitch.html").display())
}

/// The first of some words, and how many more.
fn shortened(words: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = words[..words.len().min(SHOWN)].join(", ");
    match words.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn timing(out: &mut Vec<u8>, timing: Option<&Timing>) -> std::io::Result<()> {
    let Some(Timing { guesses, told }) = timing else {
        return writeln!(out, "  digit timing: not observed");
    };
    let Some(first) = guesses.first().filter(|_| told.is_none()) else {
        writeln!(
            out,
            "  digit timing: {}",
            told.as_deref().unwrap_or_default()
        )?;
        for guess in guesses {
            writeln!(
                out,
                "    {:10} {:>8} cycles {:>8} awake {:>6} nC",
                guess.right, guess.cycles, guess.awake, guess.nanocoulombs
            )?;
        }
        return Ok(());
    };
    writeln!(
        out,
        "  digit timing: {} cycles to the answer, {} of them awake, {} nC, whichever digits are right ({} wrong codes)",
        first.cycles,
        first.awake,
        first.nanocoulombs,
        guesses.len()
    )
}

fn counts(outcomes: &BTreeMap<Outcome, u64>) -> String {
    let counts = Outcome::ALL.map(|outcome| match outcomes.get(&outcome) {
        Some(count) => format!("{count:>8}"),
        None => format!("{:>8}", "-"),
    });
    counts.join(" ")
}

/// An entry as a run, for CI servers.
fn summary(entry: &Explored) -> Summary {
    Summary {
        scenario: format!("glitches of {}, entry {}", entry.scenario, entry.entry),
        variant: entry.variant.clone(),
        profile: entry.profile.clone(),
        bench: entry.bench.clone(),
        verdict: entry.verdict,
        because: entry.because.clone(),
        decision: None,
        bench_time: Nanos::ZERO,
        uncalibrated: None,
        power_cycled: None,
        device: None,
        hold_errors: Vec::new(),
        oracles: Default::default(),
    }
}
