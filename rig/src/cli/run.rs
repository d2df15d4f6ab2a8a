//! `lockrig run`: scenarios × profiles × benches × variants.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::civil::Date;
use serde::Serialize;
use tokio::sync::mpsc;

use super::board;
use super::error::Failure;
use super::files::{Behaviour, Library, Loaded, Selection};
use super::lacks::{Hands, is_of_another_kind, lacking};
use super::operator::Terminal;
use super::signals;
use crate::bench::{BenchFile, Calibrated};
use crate::campaign::{Attend, Campaign, Group, Job, Ran, Report, write_json};
use crate::event::{FileHash, Nanos};
use crate::port::Interrupt;
use crate::profile::{Product, codes};
use crate::project::Project;
use crate::report::difference::Told;
use crate::report::{StepUnderWay, Summary, html, junit, terminal};
use crate::scenario::{self, Course, PlannedRun};
use crate::snapshot::{self, Key, Outcome, Snapshots};
use crate::source::Refused;
use crate::verdict::{self, Verdict};

/// Carry out scenarios and judge what was seen
///
/// Without arguments: every scenario on every virtual bench, with every product that fits it.
#[derive(clap::Args, Debug, Default)]
#[command(after_help = EXAMPLES)]
pub struct Run {
    #[command(flatten)]
    selection: Selection,
    /// Firmware to flash in place of the bench's own: a file, or the name of a shipped image
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    /// A bad twin, by name or file: the reference firmware breaks a promise of its profile, by which
    /// it is judged all the same
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "snapshots")]
    twin: Option<String>,
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
    /// What to do with approved flows [default: check, where the bench has some]
    #[arg(long, value_enum, value_name = "WHAT")]
    snapshots: Option<What>,
    /// With --snapshots update: delete approved flows that no run of the project has
    #[arg(long)]
    prune: bool,
    /// What is printed: for people, or a JSON object a line for each run
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Where the runs' folders go [default: reports/<time>]
    #[arg(long, value_name = "FOLDER")]
    report_dir: Option<PathBuf>,
    /// Skip what asks a person; so is it where nobody sits at a terminal
    #[arg(long, conflicts_with = "operator")]
    unattended: bool,
    /// Who answers what a scenario asks [default: the user at the terminal]
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// Go on where a bench file asks for a calibration record and none is good; every report says so
    #[arg(long)]
    uncalibrated: bool,
    /// The day from which the age of calibration records counts [default: today]
    #[arg(long, value_name = "DATE", hide = true)]
    date: Option<Date>,
}

const EXAMPLES: &str = "\
Examples:
  lockrig run                                        everything, on the virtual benches
  lockrig run --filter rekey --seed 7                the runs with 'rekey' in their names
  lockrig run --repeat 20 --filter P5+drop=clean     one cut under twenty seeds
  lockrig run mine/late.yaml --bench my-desk.toml    a scenario of yours on a bench of yours
  lockrig run --bench virtual-safe --image fw.elf    firmware of yours on a virtual board
  lockrig run --twin securam-forgets-its-lockout     firmware that must be failed

Snapshots:
  The flow of a run is what a user can see of it, in words and without times. A project keeps
  approved flows in reports/baselines/. A run whose flow is another one fails, and what was seen
  lies beside the approved flow for 'cargo insta review'; where CI is set nothing is written.
  Flows that were approved with another image are compared only with --snapshots check.

What is left behind, in the report folder:
  index.html               all runs on a page, what failed first; 'lockrig open' shows it
  index.json, junit.xml    the same for programs
  <run>/events.jsonl       everything that happened, a fact a line, in bench time
  <run>/report.html        the run as a page with its time line
  <run>/trace.vcd          its lines for GTKWave, Surfer and other wave viewers
  <run>/run.json           what the run was made from, and its verdict
  <run>/junit.xml          the same for a CI server
  <run>/snapshot.html      where its flow is not the approved one: both, on two time lines";

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    /// Compare every flow, and fail where none is approved
    Check,
    /// Approve the flows of all runs that pass
    Update,
    /// Compare nothing
    Off,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Format {
    /// What went wrong and where, and a summary
    #[default]
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
    /// How its flow compares with the approved one.
    snapshot: Option<&'static str>,
    /// The trace, from the folder of the index; none for a run that was skipped.
    events: Option<String>,
}

impl Run {
    pub fn execute(self) -> Result<u8, Failure> {
        let mut library = Library::load(&self.selection)?;
        self.calibrate(&mut library)?;
        let twin = match &self.twin {
            Some(name) => Some(library.twin(name)?),
            None => None,
        };
        let plan = self.plan(&library, twin.as_ref())?;
        let planned = plan.next;
        let real: BTreeSet<String> = plan
            .groups
            .iter()
            .filter(|group| group.bench.emulates.is_none())
            .map(|group| group.bench.name.clone())
            .collect();
        if planned == 0 {
            return Err(self.nothing_planned());
        }
        let snapshots = self.snapshots(&library.project)?;
        let orphans = self.orphans(snapshots.as_deref(), &plan)?;
        let folder = report_folder(self.report_dir.as_deref())?;
        // A folder that cannot be written is found before any power is applied.
        self.write_index(&folder, planned, false, &plan.skipped)
            .map_err(|why| unusable(&folder, &why))?;
        if self.format == Format::Json {
            for run in &plan.skipped {
                self.show(run, &folder, &ProgressBar::hidden(), &mut BTreeMap::new());
            }
        }
        let began = Instant::now();
        let (ran, cancelled) = self.carry_out(plan.groups, &folder, snapshots)?;
        let mut runs = plan.skipped;
        runs.extend(ran);
        runs.sort_by_key(|run| run.number);
        let written = self.write_index(&folder, planned, true, &runs);
        let summaries: Vec<Summary> = runs.iter().map(|run| run.summary.clone()).collect();
        if self.format == Format::Human {
            let mut text = Vec::new();
            let shown = folder.display().to_string();
            // On a virtual bench it is the emulation's error, and the same every time.
            let on_real = summaries.iter().filter(|run| real.contains(&run.bench));
            let on_real: Vec<&Summary> = on_real.collect();
            terminal::summary(&mut text, &summaries, began.elapsed(), &shown)
                .and_then(|()| terminal::hold_errors(&mut text, &on_real))
                .and_then(|()| text.write_all(compared(&runs).as_bytes()))
                .and_then(|()| anstream::stdout().write_all(&text))
                .or_else(super::files::unless_closed)?;
        }
        self.tend(&orphans, cancelled)?;
        written.map_err(|why| {
            Failure::broken(format!(
                "writing the index in '{}': {why}\nhint: the folder of each run is whole",
                folder.display()
            ))
        })?;
        if cancelled {
            let missing = planned - runs.len();
            // The terminal may be what is gone.
            let _ = writeln!(
                anstream::stderr(),
                "stopped: {missing} of {planned} planned runs never began"
            );
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

    /// Whether somebody attends to a bench, who can be asked. Beside an emulated board there is nobody, unless
    /// somebody says that they play it.
    fn is_attended(&self, bench: &BenchFile) -> bool {
        let at_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let attends = self.operator.is_some() || (at_terminal && bench.emulates.is_none());
        attends && !self.unattended
    }

    /// Lets every bench go by its calibration record, before any power is applied.
    fn calibrate(&self, library: &mut Library) -> Result<(), Failure> {
        let today = self
            .date
            .unwrap_or_else(|| jiff::ZonedDateTime::now().date());
        for bench in &mut library.benches {
            let Err(why) = bench.calibrate(today)? else {
                continue;
            };
            let because = why.to_string();
            if !self.uncalibrated {
                let name = &bench.value.name;
                return Err(Failure::broken(format!(
                    "bench '{name}': {because}\nhint: 'lockrig doctor --bench {name}' examines the bench and writes one; --uncalibrated goes on without, and every report says so"
                )));
            }
            bench.value.calibrated = Calibrated::Not { because };
        }
        Ok(())
    }

    /// The approved flows that this campaign is compared with.
    fn snapshots(&self, project: &Project) -> Result<Option<Arc<Snapshots>>, Failure> {
        let is_ci = std::env::var("CI").is_ok_and(|set| !["", "0", "false"].contains(&&*set));
        let root = match project {
            // A bad twin's flows are another's.
            _ if self.twin.is_some() => return Ok(None),
            Project::Folder(root) => root,
            Project::Shipped if matches!(self.snapshots, None | Some(What::Off)) => {
                return Ok(None);
            }
            Project::Shipped => {
                return Err(Failure::hinted(
                    "there is no project in this folder, and so no approved flows",
                    Some("'lockrig init' lays one out".to_owned()),
                ));
            }
        };
        let mode = match self.snapshots {
            None => snapshot::Mode::Check,
            Some(What::Check) => snapshot::Mode::Demand,
            Some(What::Update) => snapshot::Mode::Update,
            Some(What::Off) => return Ok(None),
        };
        if mode == snapshot::Mode::Update && is_ci {
            return Err(Failure::hinted(
                "the environment variable CI is set, and in CI no flow is approved",
                Some("approve flows where a person reviews them, or unset CI".to_owned()),
            ));
        }
        match Snapshots::open(root, mode, !is_ci) {
            Ok(snapshots) => Ok(Some(Arc::new(snapshots))),
            Err(refused) => Err(Failure::refused(&refused)),
        }
    }

    /// Approved flows that no run has, as far as the whole plan was made.
    fn orphans(&self, snapshots: Option<&Snapshots>, plan: &Plan) -> Result<Vec<PathBuf>, Failure> {
        let selects = self.filter.is_some()
            || !self.selection.paths.is_empty()
            || !self.selection.profile.is_empty();
        if self.prune && (selects || self.snapshots != Some(What::Update)) {
            return Err(Failure::hinted(
                "--prune deletes what no run of the whole project has",
                Some(
                    "use it with --snapshots update, without paths, --profile and --filter"
                        .to_owned(),
                ),
            ));
        }
        let jobs = plan.groups.iter().flat_map(|group| &group.jobs);
        let keys: BTreeSet<String> = jobs.map(|job| job.key.name()).collect();
        Ok(match snapshots {
            Some(snapshots) if !selects => snapshots.orphans(&keys),
            _ => Vec::new(),
        })
    }

    /// Deletes approved flows that no run has, where that is wanted, and else tells of them.
    fn tend(&self, orphans: &[PathBuf], cancelled: bool) -> Result<(), Failure> {
        if orphans.is_empty() || cancelled {
            return Ok(());
        }
        if !self.prune {
            anstream::eprintln!("approved flows that no run has: {}", orphans.len());
            anstream::eprintln!("  {}", orphans[0].display());
            if orphans.len() > 1 {
                anstream::eprintln!("  …");
            }
            anstream::eprintln!("hint: --snapshots update --prune deletes them");
            return Ok(());
        }
        for orphan in orphans {
            std::fs::remove_file(orphan)
                .map_err(|why| Failure::usage(format!("deleting '{}': {why}", orphan.display())))?;
        }
        Ok(())
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
    fn plan(&self, library: &Library, twin: Option<&Behaviour>) -> Result<Plan, Failure> {
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
                let behaves = twin.map(|twin| &twin.profile);
                let image = self.image.as_deref();
                let mut group = board::group(&library.project, board, product, behaves, image)?;
                if board.emulates.is_none() {
                    group.rehearses_on = board::virtual_for(product)?;
                }
                if let Some(twin) = twin
                    && group.personality.is_none()
                {
                    return Err(no_twin(board, twin));
                }
                let twin = twin.map(|twin| twin.sha256.as_str());
                self.plan_group(library, bench, profile, twin, group, &mut plan)?;
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
        profile: &Loaded<Arc<Product>>,
        twin: Option<&str>,
        mut group: Group,
        plan: &mut Plan,
    ) -> Result<(), Failure> {
        for loaded in &library.scenarios {
            let scenario = &loaded.value;
            // Who names no scenario does not ask for the rekey of a keypad.
            if self.selection.paths.is_empty() && is_of_another_kind(scenario, &bench.value) {
                continue;
            }
            let runs = match scenario::plan_on(scenario, &profile.value) {
                Ok(runs) => runs,
                Err(refused) => {
                    plan.refused.push(loaded.refused(refused));
                    continue;
                }
            };
            let mut files = vec![
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
            if let Calibrated::By { sha256 } = &bench.value.calibrated {
                files.push(FileHash {
                    role: "calibration".to_owned(),
                    sha256: sha256.clone(),
                });
            }
            files.extend(twin.map(|sha256| FileHash {
                role: "twin".to_owned(),
                sha256: sha256.to_owned(),
            }));
            for run in runs {
                let name = id(&run, &bench.value.name);
                let key = Key {
                    bench: bench.value.name.clone(),
                    profile: run.profile.clone(),
                    flow: scenario_and_variant(&run),
                };
                if self
                    .filter
                    .as_ref()
                    .is_some_and(|wanted| !name.contains(wanted))
                {
                    continue;
                }
                let run = lacking(
                    scenario,
                    &bench.value,
                    profile.value.lock(),
                    run,
                    Hands {
                        attended: self.is_attended(&bench.value),
                        flashes: group.image.is_some(),
                    },
                );
                match &run.course {
                    Course::Skipped(reason) => plan.skip(&run, &bench.value, &name, reason),
                    Course::Runs(script) => {
                        let script = Arc::new(script.clone());
                        let run = Arc::new(run.clone());
                        for repetition in 0..self.repeat {
                            let seed = self.seed.wrapping_add(u64::from(repetition));
                            let made = match profile.value.lock() {
                                Some(lock) => codes::generate(lock, seed, &script.codes)
                                    .map_err(Failure::usage)?,
                                None => Default::default(),
                            };
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
                                key: key.clone(),
                                repetition,
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

    fn carry_out(
        &self,
        groups: Vec<Group>,
        folder: &Path,
        snapshots: Option<Arc<Snapshots>>,
    ) -> Result<(Vec<Ran>, bool), Failure> {
        let total: usize = groups.iter().map(|group| group.jobs.len()).sum();
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let asks = groups
            .iter()
            .flat_map(|group| &group.jobs)
            .any(|job| !job.script.questions().is_empty());
        let attend = asks.then(|| {
            let terminal = Terminal::new(self.operator.as_deref());
            Arc::new(move |run: &str| terminal.for_run(run)) as Attend
        });
        let campaign = Campaign {
            folder: folder.to_owned(),
            // A person answers one question at a time.
            jobs: if asks { 1 } else { self.jobs.unwrap_or(cores) },
            open: board::opener(Some(folder), &reason(total)),
            interrupt: Interrupt::default(),
            cancelled: Arc::new(AtomicBool::new(false)),
            snapshots,
            attend,
        };
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|why| Failure::broken(format!("starting the runtime: {why}")))?;
        let bar = progress(total, self.format);
        // One broken instrument breaks every run of its bench in the same way: it is shown once. And
        // one change of the firmware changes many flows in the same way.
        let mut broke = BTreeSet::new();
        let mut changes = BTreeMap::new();
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
                                self.show(&run, folder, &bar, &mut changes);
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

    /// Shows a run that has ended, above the progress line. `changes` holds the changes of flows that
    /// were shown, with the run that showed each.
    fn show(
        &self,
        run: &Ran,
        folder: &Path,
        bar: &ProgressBar,
        changes: &mut BTreeMap<String, String>,
    ) {
        let mut text = Vec::new();
        let shown = match (self.format, run.summary.verdict) {
            (Format::Json, _) => serde_json::to_writer(&mut text, &entry(run))
                .map_err(std::io::Error::from)
                .and_then(|()| writeln!(text)),
            (Format::Human, Verdict::Pass) => Ok(()),
            (Format::Human, _) => {
                let folder = folder.join(&run.id).display().to_string();
                terminal::block(&mut text, &run.summary, &folder).and_then(|()| {
                    let outcome = run.snapshot.as_ref();
                    let Some(found) = outcome.and_then(Outcome::found) else {
                        return Ok(());
                    };
                    let told = found.told();
                    if let Some(like) = told.as_ref().and_then(|told| changes.get(&in_words(told)))
                    {
                        return terminal::same_difference(&mut text, like, &found.places(&folder));
                    }
                    if let Some(told) = &told {
                        changes.insert(in_words(told), run.id.clone());
                    }
                    let told = told.unwrap_or_default();
                    terminal::difference(&mut text, &told, &found.places(&folder))
                })
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
        let page = html::campaign(&html::Campaign {
            seed: self.seed,
            planned,
            finished,
            runs: runs.iter().map(shown).collect(),
        });
        write_json(&folder.join("index.json"), &index)
            .and_then(|()| std::fs::write(folder.join("index.html"), page))
            .and_then(|()| {
                std::fs::write(
                    folder.join("junit.xml"),
                    junit::document("lockrig", summaries),
                )
            })
    }
}

/// What a campaign does with a bench, for those who want it.
fn reason(runs: usize) -> String {
    match runs {
        1 => "one run".to_owned(),
        runs => format!("{runs} runs"),
    }
}

/// An image that does not behave as it is told to.
fn no_twin(bench: &BenchFile, twin: &Behaviour) -> Failure {
    Failure::hinted(
        format!(
            "bench '{}': its image takes no personality, so no twin of '{}' can be made of it",
            bench.name, twin.of
        ),
        Some("leave --image out, or name one of the reference firmware's".to_owned()),
    )
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

/// The names of all runs, in the order of the plan; those that are skipped are not among them.
pub(super) fn names(library: &Library) -> Result<Vec<String>, Failure> {
    let everything = Run {
        repeat: 1,
        ..Run::default()
    };
    let plan = everything.plan(library, None)?;
    let jobs = plan.groups.into_iter().flat_map(|group| group.jobs);
    Ok(jobs.map(|job| job.id).collect())
}

/// The boards, products and runs that are selected by these, for commands that do something else with them.
pub(super) fn selected(
    selection: Selection,
    image: Option<&str>,
    twin: Option<&str>,
    filter: Option<&str>,
    seed: u64,
) -> Result<Vec<Group>, Failure> {
    let run = Run {
        selection,
        image: image.map(str::to_owned),
        twin: twin.map(str::to_owned),
        filter: filter.map(str::to_owned),
        seed,
        repeat: 1,
        ..Run::default()
    };
    let mut library = Library::load(&run.selection)?;
    let twin = match &run.twin {
        Some(name) => Some(library.twin(name)?),
        None => None,
    };
    let plan = run.plan(&library, twin.as_ref())?;
    match plan.next {
        0 => Err(run.nothing_planned()),
        _ => Ok(plan.groups),
    }
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
                uncalibrated: None,
                power_cycled: None,
                device: None,
                hold_errors: Vec::new(),
                oracles: Default::default(),
            },
            seed: None,
            took: Duration::ZERO,
            snapshot: None,
        });
    }
}

/// The run's name, which is also its folder's: nothing in it needs quoting in a shell.
pub(super) fn id(run: &PlannedRun, bench: &str) -> String {
    let name = format!("{}@{}@{bench}", plain(&run.scenario), run.profile);
    match run.variant.is_empty() {
        true => name,
        false => format!("{name}@{}", plain(&run.variant)),
    }
}

/// The name of its flow, for one bench and profile.
fn scenario_and_variant(run: &PlannedRun) -> String {
    match run.variant.is_empty() {
        true => plain(&run.scenario),
        false => format!("{}@{}", plain(&run.scenario), plain(&run.variant)),
    }
}

/// Without what shells and file systems treat in their own ways.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_whitespace() && *character != '·')
        .map(|character| match character {
            ',' => '+',
            '%' => 'p',
            'µ' => 'u',
            '/' => '-',
            other => other,
        })
        .collect()
}

/// What a change takes away and what it brings, whatever stands around it.
fn in_words(told: &[Told<'_>]) -> String {
    let changes = told.iter().filter(|told| told.is_change());
    changes.map(|told| told.words() + "\n").collect()
}

/// How the flows of a campaign compare with the approved ones, in a line.
fn compared(runs: &[Ran]) -> String {
    let mut counts: BTreeMap<(u8, String), usize> = BTreeMap::new();
    for outcome in runs.iter().filter_map(|run| run.snapshot.as_ref()) {
        let kind = match outcome {
            Outcome::NotCompared(why) => (4, format!("not compared, {why}")),
            Outcome::AsApproved => (0, outcome.word().to_owned()),
            Outcome::Approved => (1, outcome.word().to_owned()),
            Outcome::Changed(_) => (2, outcome.word().to_owned()),
            Outcome::Missing(_) => (3, outcome.word().to_owned()),
        };
        *counts.entry(kind).or_default() += 1;
    }
    let words = counts
        .into_iter()
        .map(|((_, word), count)| format!("{count} {word}"));
    let words: Vec<String> = words.collect();
    match words.is_empty() {
        true => String::new(),
        false => format!("flows: {}\n", words.join("; ")),
    }
}

/// A run on the campaign's page.
fn shown(run: &Ran) -> html::Entry<'_> {
    html::Entry {
        id: &run.id,
        summary: &run.summary,
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
        snapshot: run.snapshot.as_ref().map(Outcome::word),
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

/// Ctrl-C, SIGTERM and SIGHUP: the first ends the steps of the runs that are under way, which go through
/// their `finally` to rest, and none begins. The second leaves `finally` out. The third ends the process on
/// the spot: a real bench has its guard.
pub(super) fn watch_signals(interrupt: Interrupt, cancelled: Arc<AtomicBool>) {
    let mut signals = signals::Signals::watch();
    tokio::spawn(async move {
        for _ in 0..2 {
            signals.next().await;
            cancelled.store(true, Ordering::Relaxed);
            interrupt.raise();
        }
        signals.next().await;
        std::process::exit(Verdict::Aborted.exit_code().into());
    });
}
