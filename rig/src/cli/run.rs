//! `lockrig run`: scenarios × profiles × benches × variants.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::sync::mpsc;

use super::board;
use super::error::Failure;
use super::files::{Library, Loaded, Selection};
use crate::bench::BenchFile;
use crate::campaign::{Campaign, Group, Job, Ran, Report, write_json};
use crate::event::{FileHash, Nanos};
use crate::port::Interrupt;
use crate::profile::{Profile, codes};
use crate::report::{StepUnderWay, Summary, junit, terminal};
use crate::scenario::{self, Course, PlannedRun, Scenario};
use crate::source::Refused;
use crate::step::Ability;
use crate::verdict::{self, Verdict};

/// Carry out scenarios and judge what was seen
///
/// Without arguments: every scenario on every virtual bench, with every product that fits it.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Run {
    #[command(flatten)]
    selection: Selection,
    /// Firmware to flash in place of the bench's own: a file, or the name of a shipped image
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    /// Only runs whose name contains this; a name is scenario@profile@bench@variant, as in index.json
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Seed of codes, offsets, contact bounce and everything else that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many runs at once on virtual benches [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// How often to carry out every run; each time with the next seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    repeat: u32,
    /// What is printed: for people, or a JSON object a line for each run
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Where the runs' folders go [default: reports/<time>]
    #[arg(long, value_name = "FOLDER")]
    report_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  lockrig run                                        everything, on the virtual benches
  lockrig run --filter rekey --seed 7                the runs with 'rekey' in their names
  lockrig run --repeat 20 --filter P5+drop=clean     one cut under twenty seeds
  lockrig run mine/late.yaml --bench my-desk.toml    a scenario of yours on a bench of yours
  lockrig run --bench virtual-safe --image fw.elf    firmware of yours on a virtual board

What is left behind, in the report folder:
  index.json, junit.xml    all runs
  <run>/events.jsonl       everything that happened, a fact a line, in bench time
  <run>/run.json           what the run was made from, and its verdict
  <run>/junit.xml          the same for a CI server";

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// What went wrong and where, and a summary
    Human,
    /// A JSON object a line for each run, as in index.json: first what is skipped, then in the order
    /// in which they end
    Json,
}

/// `index.json`.
#[derive(Serialize)]
struct Index<'a> {
    lockrig: &'static str,
    seed: u64,
    /// False while runs are under way, and for ever where the command was killed.
    finished: bool,
    /// How many runs the plan has; those that never began are not among `runs`.
    planned: usize,
    runs: Vec<Entry<'a>>,
}

/// A run in `index.json`.
#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    scenario: &'a str,
    variant: &'a str,
    profile: &'a str,
    bench: &'a str,
    seed: Option<u64>,
    verdict: Verdict,
    because: &'a str,
    /// `seq` of the event that decided it.
    decided_by: Option<u64>,
    /// Where in the scenario that was.
    steps: &'a [StepUnderWay],
    /// The trace, from the folder of the index; none for a run that was skipped.
    events: Option<String>,
}

impl Run {
    pub fn execute(self) -> Result<u8, Failure> {
        let library = Library::load(&self.selection)?;
        let plan = self.plan(&library)?;
        let planned = plan.next;
        if planned == 0 {
            return Err(self.nothing_planned());
        }
        let folder = report_folder(self.report_dir.as_deref())?;
        // A folder that cannot be written is found before any power is applied.
        self.write_index(&folder, planned, false, &plan.skipped)
            .map_err(|why| unusable(&folder, &why))?;
        if self.format == Format::Json {
            for run in &plan.skipped {
                self.show(run, &folder, &ProgressBar::hidden());
            }
        }
        let began = Instant::now();
        let (ran, cancelled) = self.carry_out(plan.groups, &folder)?;
        let mut runs = plan.skipped;
        runs.extend(ran);
        runs.sort_by_key(|run| run.number);
        let written = self.write_index(&folder, planned, true, &runs);
        let summaries: Vec<Summary> = runs.iter().map(|run| run.summary.clone()).collect();
        if self.format == Format::Human {
            let mut text = Vec::new();
            let shown = folder.display().to_string();
            terminal::summary(&mut text, &summaries, began.elapsed(), &shown)
                .and_then(|()| anstream::stdout().write_all(&text))
                .or_else(super::files::unless_closed)?;
        }
        written.map_err(|why| {
            Failure::broken(format!(
                "writing the index in '{}': {why}\nhint: the folder of each run is whole",
                folder.display()
            ))
        })?;
        if cancelled {
            let missing = planned - runs.len();
            anstream::eprintln!("stopped: {missing} of {planned} planned runs never began");
        } else if summaries.iter().all(|run| run.verdict == Verdict::Skipped) {
            return Err(Failure::hinted(
                "nothing ran: everything was skipped",
                Some("the reasons are above; 'lockrig list' shows what there is".to_owned()),
            ));
        }
        let verdicts = summaries.iter().map(|run| run.verdict);
        Ok(match cancelled {
            true => verdict::exit_code(verdicts.chain([Verdict::Aborted])),
            false => verdict::exit_code(verdicts),
        })
    }

    /// Says why there is nothing to run or to skip.
    fn nothing_planned(&self) -> Failure {
        match &self.filter {
            Some(filter) => Failure::hinted(
                format!("no run has '{filter}' in its name"),
                Some(
                    "a name is scenario@profile@bench@variant; 'lockrig list' shows the parts"
                        .to_owned(),
                ),
            ),
            None => Failure::hinted(
                "nothing to run: no profile fits the bench",
                Some("'lockrig list benches' shows which products fit which bench".to_owned()),
            ),
        }
    }

    /// Every run, in the order bench, profile, scenario, variant, repetition.
    fn plan(&self, library: &Library) -> Result<Plan, Failure> {
        let mut plan = Plan {
            groups: Vec::new(),
            skipped: Vec::new(),
            next: 0,
            refused: Vec::new(),
        };
        for bench in &library.benches {
            for profile in &library.profiles {
                let (board, product) = (&bench.value, &profile.value);
                if !board::fits(board, product) {
                    continue;
                }
                let group = board::group(&library.project, board, product, self.image.as_deref())?;
                self.plan_group(library, bench, profile, group, &mut plan)?;
            }
        }
        match plan.refused.is_empty() {
            true => Ok(plan),
            false => Err(Failure::refused(&plan.refused)),
        }
    }

    fn plan_group(
        &self,
        library: &Library,
        bench: &Loaded<BenchFile>,
        profile: &Loaded<Arc<Profile>>,
        mut group: Group,
        plan: &mut Plan,
    ) -> Result<(), Failure> {
        for loaded in &library.scenarios {
            let scenario = &loaded.value;
            let runs = match scenario::plan(scenario, &profile.value) {
                Ok(runs) => runs,
                Err(refused) => {
                    plan.refused.push(loaded.refused(refused));
                    continue;
                }
            };
            let files = vec![
                FileHash {
                    role: "scenario".to_owned(),
                    sha256: loaded.sha256.clone(),
                },
                FileHash {
                    role: "profile".to_owned(),
                    sha256: profile.sha256.clone(),
                },
                FileHash {
                    role: "bench".to_owned(),
                    sha256: bench.sha256.clone(),
                },
            ];
            for run in runs {
                let name = id(&run, &bench.value.name);
                if self
                    .filter
                    .as_ref()
                    .is_some_and(|wanted| !name.contains(wanted))
                {
                    continue;
                }
                let run = lacking(scenario, &bench.value, run);
                match &run.course {
                    Course::Skipped(reason) => plan.skip(&run, &bench.value, &name, reason),
                    Course::Runs(script) => {
                        let script = Arc::new(script.clone());
                        let run = Arc::new(run.clone());
                        for repetition in 0..self.repeat {
                            let seed = self.seed.wrapping_add(u64::from(repetition));
                            let made = codes::generate(&profile.value, seed, &script.codes);
                            let made = made.map_err(Failure::usage)?;
                            let id = match repetition {
                                0 => name.clone(),
                                _ => format!("{name}.{}", repetition + 1),
                            };
                            group.jobs.push(Job {
                                id,
                                number: plan.number(),
                                plan: Arc::clone(&run),
                                script: Arc::clone(&script),
                                codes: Arc::new(made),
                                seed,
                                files: files.clone(),
                            });
                        }
                    }
                }
            }
        }
        if !group.jobs.is_empty() {
            // A board is flashed once for each seed.
            let nth = |job: &Job| job.seed.wrapping_sub(self.seed);
            group.jobs.sort_by_key(|job| (nth(job), job.number));
            plan.groups.push(group);
        }
        Ok(())
    }

    fn carry_out(&self, groups: Vec<Group>, folder: &Path) -> Result<(Vec<Ran>, bool), Failure> {
        let total: usize = groups.iter().map(|group| group.jobs.len()).sum();
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let campaign = Campaign {
            folder: folder.to_owned(),
            jobs: self.jobs.unwrap_or(cores),
            open: board::opener(),
            interrupt: Interrupt::default(),
            cancelled: Arc::new(AtomicBool::new(false)),
        };
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|why| Failure::broken(format!("starting the runtime: {why}")))?;
        let bar = progress(total, self.format);
        // One broken instrument breaks every run of its bench in the same way: it is shown once.
        let mut broke = BTreeSet::new();
        let ran = runtime.block_on(async {
            let (told, mut reports) = mpsc::channel(64);
            watch_signals(campaign.interrupt.clone(), Arc::clone(&campaign.cancelled));
            let mut ran = Vec::new();
            let listen = async {
                while let Some(report) = reports.recv().await {
                    match report {
                        Report::Flashed { group } => bar.set_message(group),
                        Report::Ran(run) => {
                            let summary = &run.summary;
                            if self.format == Format::Json
                                || summary.verdict != Verdict::Broken
                                || broke.insert(summary.because.clone())
                            {
                                self.show(&run, folder, &bar);
                            }
                            bar.inc(1);
                            ran.push(*run);
                        }
                    }
                }
            };
            tokio::join!(campaign.carry_out(groups, told), listen);
            ran
        });
        bar.finish_and_clear();
        Ok((ran, campaign.cancelled.load(Ordering::Relaxed)))
    }

    /// Shows a run that has ended, above the progress line.
    fn show(&self, run: &Ran, folder: &Path, bar: &ProgressBar) {
        let mut text = Vec::new();
        let shown = match (self.format, run.summary.verdict) {
            (Format::Json, _) => serde_json::to_writer(&mut text, &entry(run))
                .map_err(std::io::Error::from)
                .and_then(|()| writeln!(text)),
            (Format::Human, Verdict::Pass) => Ok(()),
            (Format::Human, _) => {
                let folder = folder.join(&run.id).display().to_string();
                terminal::block(&mut text, &run.summary, &folder)
            }
        };
        if shown.is_ok() && !text.is_empty() {
            // Nobody reads any more: the exit code and the files still tell.
            bar.suspend(|| {
                let _ = anstream::stdout().write_all(&text);
            });
        }
    }

    fn write_index(
        &self,
        folder: &Path,
        planned: usize,
        finished: bool,
        runs: &[Ran],
    ) -> std::io::Result<()> {
        let index = Index {
            lockrig: env!("CARGO_PKG_VERSION"),
            seed: self.seed,
            finished,
            planned,
            runs: runs.iter().map(entry).collect(),
        };
        let summaries = runs.iter().map(|run| &run.summary);
        write_json(&folder.join("index.json"), &index).and_then(|()| {
            std::fs::write(
                folder.join("junit.xml"),
                junit::document("lockrig", summaries),
            )
        })
    }
}

/// The folder that is asked for, or a new one.
pub(super) fn report_folder(asked: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(folder) = asked {
        return match std::fs::create_dir_all(folder) {
            Ok(()) => Ok(folder.to_owned()),
            Err(why) => Err(unusable(folder, &why)),
        };
    }
    let reports = Path::new("reports");
    std::fs::create_dir_all(reports).map_err(|why| unusable(reports, &why))?;
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ");
    // Campaigns that begin in the same second have folders of their own.
    let mut folder = reports.join(now.to_string());
    for another in 2.. {
        match std::fs::create_dir(&folder) {
            Ok(()) => break,
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {
                folder = reports.join(format!("{now}.{another}"));
            }
            Err(why) => return Err(unusable(&folder, &why)),
        }
    }
    Ok(folder)
}

/// A report folder in which nothing can be kept.
pub(super) fn unusable(folder: &Path, why: &std::io::Error) -> Failure {
    Failure::hinted(
        format!("writing to the report folder '{}': {why}", folder.display()),
        Some("nothing was run; --report-dir names another folder".to_owned()),
    )
}

/// The runs of a campaign, before any of them began.
struct Plan {
    groups: Vec<Group>,
    skipped: Vec<Ran>,
    next: usize,
    refused: Vec<Refused>,
}

impl Plan {
    fn number(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    fn skip(&mut self, run: &PlannedRun, bench: &BenchFile, id: &str, reason: &str) {
        let number = self.number();
        self.skipped.push(Ran {
            id: id.to_owned(),
            number,
            summary: Summary {
                scenario: run.scenario.clone(),
                variant: run.variant.clone(),
                profile: run.profile.clone(),
                bench: bench.name.clone(),
                verdict: Verdict::Skipped,
                because: reason.to_owned(),
                decision: None,
                bench_time: Nanos::ZERO,
                oracles: Default::default(),
            },
            seed: None,
            took: Duration::ZERO,
        });
    }
}

/// A run on a bench that lacks what the scenario needs is skipped, and says what is missing.
pub(super) fn lacking(scenario: &Scenario, bench: &BenchFile, run: PlannedRun) -> PlannedRun {
    let has = bench.abilities();
    let missing: Vec<String> = scenario
        .needs
        .iter()
        .filter(|need| is_of_the_bench(&need.value) && !has.contains(&need.value.to_string()))
        .map(|need| format!("the bench '{}' has no {}", bench.name, need.value))
        .collect();
    match missing.is_empty() {
        true => run,
        false => PlannedRun {
            course: Course::Skipped(missing.join("; ")),
            ..run
        },
    }
}

/// What a bench has to have; everything else is the product's.
fn is_of_the_bench(need: &Ability) -> bool {
    matches!(
        need,
        Ability::Keypad | Ability::Bolt | Ability::Supply | Ability::Door
    )
}

/// The run's name, which is also its folder's: nothing in it needs quoting in a shell.
pub(super) fn id(run: &PlannedRun, bench: &str) -> String {
    let variant: String = run
        .variant
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| match character {
            ',' => '+',
            '%' => 'p',
            other => other,
        })
        .collect();
    let name = format!("{}@{}@{bench}", run.scenario.replace('/', "-"), run.profile);
    if variant.is_empty() {
        name
    } else {
        format!("{name}@{variant}")
    }
}

fn entry(run: &Ran) -> Entry<'_> {
    let summary = &run.summary;
    let ran = summary.verdict != Verdict::Skipped;
    Entry {
        id: &run.id,
        scenario: &summary.scenario,
        variant: &summary.variant,
        profile: &summary.profile,
        bench: &summary.bench,
        seed: run.seed,
        verdict: summary.verdict,
        because: &summary.because,
        decided_by: summary.decision.as_ref().map(|decision| decision.seq),
        steps: match &summary.decision {
            Some(decision) => &decision.steps,
            None => &[],
        },
        events: ran.then(|| format!("{}/events.jsonl", run.id)),
    }
}

fn progress(total: usize, format: Format) -> ProgressBar {
    let target = match format == Format::Human && std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left  {msg}")
        .expect("the template is right");
    ProgressBar::with_draw_target(Some(total as u64), target).with_style(style)
}

/// Ctrl-C and SIGTERM: the runs that are under way go to rest and end, none begins.
pub(super) fn watch_signals(interrupt: Interrupt, cancelled: Arc<AtomicBool>) {
    tokio::spawn(async move {
        loop {
            signal().await;
            cancelled.store(true, Ordering::Relaxed);
            interrupt.raise();
        }
    });
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
