//! `lockrig cuts`: every loss of supply that the flows of scenarios can suffer.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::board;
use super::error::Failure;
use super::files::{Library, Selection};
use super::run::{id, lacking, report_folder, unusable};
use crate::campaign::{self, Group, write_json};
use crate::cuts::parallel::parallel;
use crate::cuts::{
    Detail, Explored, Explorer, Flow, Options, Outcome, flow_of, picture, reproducer,
};
use crate::event::Nanos;
use crate::port::Interrupt;
use crate::profile::codes;
use crate::report::{Summary, junit};
use crate::scenario::{self, Course};
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

All of this is of the virtual bench. On a real board a cut cannot yet be placed at a write.";

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

/// A board with its product, and the flows with the texts that they are written in.
type Flows = (Group, Vec<(Flow, String)>);

impl Cuts {
    pub fn execute(self) -> Result<u8, Failure> {
        let library = Library::load(&self.selection)?;
        let (groups, skipped) = self.flows(&library)?;
        let planned: usize = groups.iter().map(|(_, flows)| flows.len()).sum();
        if planned == 0 {
            return Err(Failure::hinted(
                match (&self.filter, skipped.first()) {
                    (Some(filter), _) => format!("no flow has '{filter}' in its name"),
                    (None, Some(reason)) => format!("no flow can be cut: {reason}"),
                    (None, None) => "no flow can be cut: no profile fits the bench".to_owned(),
                },
                Some("'lockrig list' shows scenarios, profiles and benches".to_owned()),
            ));
        }
        let folder = report_folder(self.report_dir.as_deref())?;
        let stop = Arc::new(AtomicBool::new(false));
        let interrupt = Interrupt::default();
        stop_on_signal(&stop, &interrupt)?;
        let began = Instant::now();
        let work = Work {
            options: self.options(),
            planned,
            begun: AtomicUsize::new(0),
            bars: MultiProgress::with_draw_target(match self.format {
                Format::Human if std::io::stderr().is_terminal() => ProgressDrawTarget::stderr(),
                _ => ProgressDrawTarget::hidden(),
            }),
            stop: Arc::clone(&stop),
            interrupt,
            folder: &folder,
        };
        // Flows of one board learn from each other, in their order; boards have nothing to tell each other.
        let jobs = work.options.jobs;
        let groups = parallel(&groups, jobs, &stop, |_| {}, |group| work.group(group));
        let groups: Vec<Vec<Done>> = groups.into_iter().flatten().collect::<Result<_, _>>()?;
        let done: Vec<Done> = groups.into_iter().flatten().collect();
        if self.format == Format::Json {
            for done in &done {
                let mut line = serde_json::to_string(&done.explored)
                    .map_err(|why| Failure::broken(format!("writing JSON: {why}")))?;
                line.push('\n');
                super::files::print(&line)?;
            }
        }
        let explored: Vec<&Explored> = done.iter().map(|done| &done.explored).collect();
        self.write(&folder, &explored)
            .map_err(|why| unusable(&folder, &why))?;
        if self.format == Format::Human {
            let mut text = Vec::new();
            self.table(&mut text, &done, began.elapsed(), &folder)
                .and_then(|()| anstream::stdout().write_all(&text))
                .or_else(super::files::unless_closed)?;
        }
        let verdicts = explored.iter().map(|flow| flow.verdict);
        let stopped = stop.load(Ordering::Relaxed).then_some(Verdict::Aborted);
        Ok(verdict::exit_code(verdicts.chain(stopped)))
    }

    /// The flows of each board and product, each once, and why others are not among them.
    fn flows(&self, library: &Library) -> Result<(Vec<Flows>, Vec<String>), Failure> {
        let (mut groups, mut skipped, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for bench in &library.benches {
            if bench.value.emulates.is_none() {
                return Err(Failure::hinted(
                    format!(
                        "the bench '{}' is real: its supply cannot be cut at one exact point",
                        bench.value.name
                    ),
                    Some("'lockrig run' with an 'interrupt' step cuts it in a phase".to_owned()),
                ));
            }
            for profile in &library.profiles {
                // What has no codes has none to lose.
                let Some(lock) = profile.value.lock() else {
                    continue;
                };
                if !board::fits(&bench.value, &profile.value) {
                    continue;
                }
                let mut flows: Vec<(Flow, String)> = Vec::new();
                for loaded in &library.scenarios {
                    let runs = match scenario::plan(&loaded.value, lock) {
                        Ok(runs) => runs,
                        Err(wrong) => {
                            refused.push(loaded.refused(wrong));
                            continue;
                        }
                    };
                    for plan in runs {
                        let plan = lacking(&loaded.value, &bench.value, plan);
                        let script = match &plan.course {
                            Course::Runs(script) => flow_of(script),
                            Course::Skipped(reason) => {
                                skipped.push(reason.clone());
                                continue;
                            }
                        };
                        let name = id(&plan, &bench.value.name);
                        let wanted = self.filter.as_ref();
                        let is_known = flows.iter().any(|(flow, _)| flow.script == script);
                        if is_known || wanted.is_some_and(|wanted| !name.contains(wanted)) {
                            continue;
                        }
                        let codes = codes::generate(lock, self.seed, &script.codes)
                            .map_err(Failure::usage)?;
                        let flow = Flow {
                            name,
                            plan,
                            script,
                            product: Arc::clone(&profile.value),
                            codes,
                        };
                        flows.push((flow, loaded.value.source().text().to_owned()));
                    }
                }
                if !flows.is_empty() {
                    let group = board::group(
                        &library.project,
                        &bench.value,
                        &profile.value,
                        None,
                        self.image.as_deref(),
                    )?;
                    groups.push((group, flows));
                }
            }
        }
        match refused.is_empty() {
            true => Ok((groups, skipped)),
            false => Err(Failure::refused(&refused)),
        }
    }

    fn options(&self) -> Options {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Options {
            depth: self.depth,
            budget: self.budget,
            seed: self.seed,
            jobs: self.jobs.unwrap_or(cores),
            detail: Detail::Every,
            skip: !self.start_every_state,
        }
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

/// What the boards of one command share while their flows are explored.
struct Work<'a> {
    options: Options,
    /// How many flows there are, and how many were begun.
    planned: usize,
    begun: AtomicUsize,
    bars: MultiProgress,
    stop: Arc<AtomicBool>,
    interrupt: Interrupt,
    folder: &'a Path,
}

impl Work<'_> {
    /// Explores the flows of one board and product, one after the other.
    fn group(&self, (group, flows): &Flows) -> Result<Vec<Done>, Failure> {
        let Some(lock) = group.profile.lock() else {
            return Ok(Vec::new());
        };
        let opener = board::opener();
        let prepared = campaign::prepare(group, &opener, self.options.seed, self.interrupt.clone())
            .map_err(board::broken)?;
        let mut explorer = Explorer::new(prepared, lock, self.options, Arc::clone(&self.stop));
        let mut done = Vec::new();
        for (flow, text) in flows {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
            let bar = self.bars.add(progress());
            bar.set_prefix(format!("[{number}/{}] {}", self.planned, flow.name));
            let began = Instant::now();
            let explored = explorer.explore(flow, &|doing, at, of| {
                bar.set_length(of);
                bar.set_position(at);
                bar.set_message(doing.to_owned());
            });
            bar.finish_and_clear();
            let mut explored = explored.map_err(board::broken)?;
            reproducer::write(&mut explored, flow, text, self.folder)
                .map_err(|why| unusable(self.folder, &why))?;
            done.push(Done {
                explored,
                took: began.elapsed(),
            });
        }
        Ok(done)
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
        oracles: Default::default(),
    }
}

fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {msg:18} {bar:24} {pos}/{len}, {eta} left")
        .expect("the template is right");
    ProgressBar::new(1).with_style(style)
}

/// Ctrl-C and SIGTERM: what is under way is left, and what was found is written.
pub(super) fn stop_on_signal(stop: &Arc<AtomicBool>, interrupt: &Interrupt) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|why| Failure::broken(format!("starting the runtime: {why}")))?;
    let entered = runtime.enter();
    super::run::watch_signals(interrupt.clone(), Arc::clone(stop));
    drop(entered);
    // It watches for as long as the process lives.
    std::mem::forget(runtime);
    Ok(())
}
