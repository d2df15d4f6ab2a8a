//! `lockrig cuts`: every loss of supply that the flows of scenarios can suffer.

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
use crate::cuts::{Detail, Explored, Explorer, Options, Outcome, flow_of, picture, reproducer};
use crate::event::Nanos;
use crate::report::{Summary, junit};
use crate::verdict::{self, Verdict};

/// Lose the supply at every point of a flow, and find out which codes then open
///
/// A flow is carried out once on a virtual bench. At every write to flash, every change of a lamp, the
/// beeper or the bolt, and every key that closes, forks of the running bench lose their supply; a write
/// is torn in every way. Each fork then gets its supply back, and is asked through its keypad which codes
/// open: exactly the old ones, exactly the new ones, or in a reset exactly the factory's.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Cuts {
    #[command(flatten)]
    selection: Selection,
    /// Firmware to flash in place of the bench's own: a file, or the name of a shipped image
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    /// Only flows whose name contains this; a name is scenario@profile@bench@variant
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How many cuts in a row are tried exhaustively: the second in the recovery from the first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4))]
    depth: u32,
    /// Lose the supply before every instruction of the flow as well
    #[arg(long)]
    every_instruction: bool,
    /// How many longer rows of cuts are tried at random
    #[arg(long, value_name = "N", default_value_t = 0)]
    budget: u32,
    /// How many forks at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Start the lock from every state, also where a start is known that looked at nothing else
    #[arg(long)]
    start_every_state: bool,
    /// Seed of codes, contact bounce, and the rows that are tried at random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is printed: for people, or a JSON object a line for each flow
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Where the table, the picture and the reproducers go [default: reports/<time>]
    #[arg(long, value_name = "FOLDER")]
    report_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  lockrig cuts                                       every flow of every product
  lockrig cuts scenarios/rekey.yaml --depth 2        and every cut of the recoveries as well
  lockrig cuts --filter rekey --budget 1000          and a thousand longer rows at random
  lockrig cuts --bench virtual-safe --image fw.elf   firmware of yours on a virtual board

What is left behind, in the report folder:
  cuts.json       every flow, phase and point, with the outcomes
  cuts.html       the same as a picture; cuts.svg alone
  junit.xml       a test case a flow, for a CI server
  reproducers/    a scenario for each way in which something broke; 'lockrig run' carries it out

What a cut leaves of a write to flash:
  dropped-before, dropped-after   nothing or all of it
  prefix N          its first N bytes
  bit-lost N        all of it but bit N
  bit-stray N       all of it, and bit N that should have stayed
  subset N          each bit or not, by a coin with seed N
  percent N         so much of an erase
  metastable N      its bits read anew after every power-on
  bounce N          nothing, and the supply comes back three times for N milliseconds first
  sag N             the supply falls to the level of spent cells for three seconds

All of this is of the virtual bench. 'lockrig run --bench B' carries a reproducer out on a real board as far
as physics allows: before a write, after it, and within an erase, where a probe can stop at the instruction
that begins it; the trace calls that a true cut. Everything else is skipped there, as virtual only.";

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// A table, and what broke
    Human,
    /// A JSON object a line for each flow
    Json,
}

/// `cuts.json`.
#[derive(Serialize)]
struct Index<'a> {
    lockrig: &'static str,
    seed: u64,
    depth: u32,
    budget: u32,
    flows: Vec<&'a Explored>,
}

/// A flow that was explored, and how long that took.
struct Done {
    explored: Explored,
    took: Duration,
}

impl Cuts {
    pub fn execute(self) -> Result<u8, Failure> {
        let library = Library::load(&self.selection)?;
        let wanted = Wanted {
            image: self.image.as_deref(),
            filter: self.filter.as_deref(),
            seed: self.seed,
            steps: flow_of,
            done: "cut",
            real: "its supply cannot be cut at one exact point",
            instead: "'lockrig run' with an 'interrupt' step cuts it in a phase",
        };
        let groups = wanted.flows(&library)?;
        let for_people = self.format == Format::Human;
        let exploration =
            Exploration::begin(&groups, self.jobs, for_people, self.report_dir.as_deref())?;
        let folder = exploration.folder.as_path();
        let began = Instant::now();
        let done = exploration.each(&groups, |flows| self.group(&exploration, flows))?;
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
            self.table(&mut text, &done, began.elapsed(), folder)
                .and_then(|()| anstream::stdout().write_all(&text))
                .or_else(super::files::unless_closed)?;
        }
        let verdicts = explored.iter().map(|flow| flow.verdict);
        let stopped = exploration.is_stopped().then_some(Verdict::Aborted);
        Ok(verdict::exit_code(verdicts.chain(stopped)))
    }

    /// Explores the flows of one board and product.
    fn group(
        &self,
        exploration: &Exploration,
        (group, flows): &Flows,
    ) -> Result<Vec<Done>, Failure> {
        let Some(lock) = group.profile.lock() else {
            return Ok(Vec::new());
        };
        let options = Options {
            depth: self.depth,
            budget: self.budget,
            seed: self.seed,
            jobs: exploration.jobs,
            detail: Detail::Every,
            instructions: self.every_instruction,
            skip: !self.start_every_state,
        };
        let prepared = exploration.prepare(group, "losing the supply at every point", self.seed)?;
        let mut explorer = Explorer::new(prepared, lock, options, Arc::clone(&exploration.stop));
        let mut done = Vec::new();
        for (flow, text) in flows {
            if exploration.is_stopped() {
                break;
            }
            let line = exploration.line(flow);
            let began = Instant::now();
            let mut explored = explorer
                .explore(flow, &|doing, at, of| line.tell(doing, at, of))
                .map_err(board::broken)?;
            let folder = &exploration.folder;
            reproducer::write(&mut explored, flow, text, folder)
                .map_err(|why| unusable(folder, &why))?;
            done.push(Done {
                explored,
                took: began.elapsed(),
            });
        }
        Ok(done)
    }

    fn write(&self, folder: &Path, flows: &[&Explored]) -> std::io::Result<()> {
        let index = Index {
            lockrig: env!("CARGO_PKG_VERSION"),
            seed: self.seed,
            depth: self.depth,
            budget: self.budget,
            flows: flows.to_vec(),
        };
        write_json(&folder.join("cuts.json"), &index)?;
        std::fs::write(folder.join("cuts.svg"), picture::svg(flows))?;
        std::fs::write(folder.join("cuts.html"), picture::html(flows))?;
        let summaries: Vec<Summary> = flows.iter().map(|flow| summary(flow)).collect();
        std::fs::write(
            folder.join("junit.xml"),
            junit::document("lockrig cuts", &summaries),
        )
    }

    fn table(
        &self,
        out: &mut Vec<u8>,
        done: &[Done],
        took: Duration,
        folder: &Path,
    ) -> std::io::Result<()> {
        let mut boots = 0;
        for Done { explored, took } in done {
            boots += explored.boots;
            let rate = explored.boots as f64 / took.as_secs_f64().max(1e-6);
            writeln!(out, "{}: {}", explored.flow, explored.verdict)?;
            if !explored.because.is_empty() {
                writeln!(out, "  {}", explored.because)?;
            }
            if explored.phases.is_empty() {
                writeln!(out)?;
                continue;
            }
            writeln!(
                out,
                "  {:34} {:>7} {:>15} {:>8}  {}",
                "phase",
                "points",
                "cuts covered/of",
                "states",
                heads()
            )?;
            for phase in &explored.phases {
                let name: String = phase.phase.chars().take(34).collect();
                let covered = format!("{}/{}", phase.covered, phase.exist);
                writeln!(
                    out,
                    "  {name:34} {:>7} {covered:>15} {:>8}  {}",
                    phase.points,
                    phase.states,
                    counts(&phase.outcomes)
                )?;
            }
            for depth in &explored.depths {
                let what = match depth.exhaustive {
                    true => format!("depth {}, all", depth.depth),
                    false => format!("depth up to {}, at random", depth.depth),
                };
                let covered = format!("{}/{}", depth.covered, depth.exist);
                writeln!(
                    out,
                    "  {what:34} {:>7} {covered:>15} {:>8}  {}",
                    "",
                    depth.states,
                    counts(&depth.outcomes)
                )?;
            }
            writeln!(
                out,
                "  {} boots in {:.1} s, {rate:.0} a second; evidence: {}",
                explored.boots,
                took.as_secs_f64(),
                explored.evidence
            )?;
            for failure in &explored.failures {
                let row: Vec<String> = failure
                    .cuts
                    .iter()
                    .map(|(at, mode)| format!("{at} {mode}"))
                    .collect();
                writeln!(out, "  BROKEN {}", failure.because)?;
                writeln!(out, "    cut: {}", row.join(", then "))?;
                writeln!(
                    out,
                    "    {} cuts, from {} to {}",
                    failure.count, failure.first, failure.last
                )?;
                if let Some(reproducer) = &failure.reproducer {
                    writeln!(out, "    lockrig run {}", folder.join(reproducer).display())?;
                }
            }
            writeln!(out)?;
        }
        let sum =
            |of: fn(&Explored) -> u64| -> u64 { done.iter().map(|done| of(&done.explored)).sum() };
        let exist = sum(|flow| flow.depths.iter().map(|depth| depth.exist).sum());
        let covered = sum(|flow| flow.depths.iter().map(|depth| depth.covered).sum());
        let states = sum(|flow| flow.depths.iter().map(|depth| depth.states).sum());
        let broken = done
            .iter()
            .filter(|done| done.explored.verdict.exit_code() != 0)
            .count();
        writeln!(
            out,
            "{} flows, {broken} broken; {covered} of {exist} cuts covered, {states} states, {boots} boots in {:.1} s, {:.0} a second",
            done.len(),
            took.as_secs_f64(),
            boots as f64 / took.as_secs_f64().max(1e-6)
        )?;
        writeln!(out, "picture: {}", folder.join("cuts.html").display())
    }
}

fn heads() -> String {
    let words = Outcome::ALL.map(|outcome| format!("{:>8}", outcome.word()));
    words.join(" ")
}

fn counts(outcomes: &BTreeMap<Outcome, u64>) -> String {
    let counts = Outcome::ALL.map(|outcome| {
        let count = outcomes.get(&outcome).copied().unwrap_or(0);
        let shown = if count == 0 {
            "-".to_owned()
        } else {
            count.to_string()
        };
        format!("{shown:>8}")
    });
    counts.join(" ")
}

/// A flow as a run, for CI servers.
fn summary(flow: &Explored) -> Summary {
    Summary {
        scenario: format!("cuts of {}", flow.scenario),
        variant: flow.variant.clone(),
        profile: flow.profile.clone(),
        bench: flow.bench.clone(),
        verdict: flow.verdict,
        because: flow.because.clone(),
        decision: None,
        bench_time: Nanos(flow.lasts.0),
        uncalibrated: None,
        power_cycled: None,
        device: None,
        hold_errors: Vec::new(),
        oracles: Default::default(),
    }
}
