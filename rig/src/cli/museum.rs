//! `lockrig museum`: whether the rig finds what is wrong with firmware that is known to be bad, and is silent
//! about good firmware.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::board;
use super::error::Failure;
use super::files::{Library, Loaded, Selection};
use super::quantity::duration;
use super::run::{id, lacking, report_folder, unusable};
use crate::bench::{Bench, BenchFile};
use crate::campaign::{self, Group};
use crate::cuts::parallel::parallel;
use crate::cuts::{Detail, Explorer, Flow, Options, flow_of, reproducer};
use crate::event::{Nanos, What};
use crate::museum::{FLAGSHIPS, Museum, Piece};
use crate::port::Interrupt;
use crate::profile::{Product, Profile, codes};
use crate::report::{Summary, summarise};
use crate::run::{self, Setup};
use crate::scenario::{self, Course, Doing, PlannedRun, Scenario, Script};
use crate::verdict::Verdict;

/// Look for what is wrong with firmware that is known to be bad
///
/// The reference firmware with one defect at a time, each as locks have really had it. Scenarios, retries
/// and cuts are tried on each until one finds something, and every piece's own scenario is carried out on it and on
/// the good image. Then the good images are run under several seeds, and must be found good.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct MuseumCommand {
    /// Only these pieces [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// How long is looked for what is wrong with a piece
    #[arg(long, value_name = "TIME", default_value = "60 s", value_parser = duration)]
    budget: Nanos,
    /// Under how many seeds the good images are run
    #[arg(long, value_name = "N", default_value_t = 2)]
    seeds: u64,
    /// How many runs at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Seed of codes, contact bounce and everything else that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is printed: for people, or a JSON object a line for each piece, and one for the good images
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Where the scenarios go that show what is wrong [default: reports/<time>]
    #[arg(long, value_name = "FOLDER")]
    report_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  lockrig museum                               all pieces, and the good images under two seeds
  lockrig museum one-page --seeds 0            one piece, and nothing else
  lockrig museum --budget 5s --seeds 1000      little patience with the bad, much with the good

What is left behind, in the report folder:
  <piece>.yaml    fails on the piece and passes on the good image: the least that shows it
  reproducers/    the cuts by which a piece was found

Exit code 1: a piece was not caught, its scenario does not show it, or a good image was accused.";

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// A table
    Human,
    /// A JSON object a line
    Json,
}

/// What came of a piece.
#[derive(Serialize)]
struct Shown<'a> {
    piece: &'a str,
    number: u32,
    failure: &'a str,
    defect: &'a str,
    profile: &'a str,
    caught: bool,
    /// Which engine caught it: `scenario`, `retries`, `cuts`.
    engine: Option<&'static str>,
    /// The run or the flow in which it was caught, and the cuts.
    by: Option<String>,
    because: Option<String>,
    seconds: f64,
    /// The scenario that shows it.
    reproducer: Option<String>,
    /// What that scenario comes to on the piece, and on the good image.
    on_piece: Option<Verdict>,
    on_good: Option<Verdict>,
}

/// What came of the good images.
#[derive(Serialize)]
struct Silence {
    seeds: u64,
    runs: usize,
    false_alarms: Vec<Alarm>,
    seconds: f64,
}

/// A good image that was accused.
#[derive(Serialize)]
struct Alarm {
    run: String,
    seed: u64,
    verdict: Verdict,
    because: String,
}

/// What an engine found, that the good image does not do.
struct Catch {
    by: String,
    because: String,
}

/// A board that is flashed.
struct Board {
    group: Group,
    bench: Mutex<Bench>,
    receipt: Option<What>,
    seed: u64,
}

/// A piece, the good lock beside it, and what may be tried on both.
struct Quarry<'a> {
    piece: &'a Piece,
    bad: Board,
    good: Board,
    product: &'a Arc<Product>,
    runs: Vec<Run<'a>>,
    jobs: usize,
    seed: u64,
    folder: &'a Path,
}

/// A scenario in one variant.
struct Run<'a> {
    loaded: &'a Loaded<Scenario>,
    plan: PlannedRun,
    script: Script,
}

/// Something that looks for what is wrong with a piece until it finds something or has no time left.
type Engine = fn(&Quarry<'_>, Instant) -> Result<Option<Catch>, Failure>;

/// In the order in which they are tried, what is cheap first, with the share of the budget that is over when
/// each ends. A fuzzer is one more.
const ENGINES: [(&str, Engine, f64); 3] = [
    ("scenario", by_scenarios, 1.0),
    ("retries", by_retries, 0.4),
    ("cuts", by_cuts, 1.0),
];

/// Under how many seeds' codes a change is tried again: a flaw that depends on a check sum shows in few.
const RETRIES: u64 = 64;

impl MuseumCommand {
    pub fn execute(self) -> Result<u8, Failure> {
        let museum = Museum::shipped();
        self.known(&museum)?;
        let library = Library::load(&Selection::default())?;
        let folder = report_folder(self.report_dir.as_deref())?;
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let jobs = self.jobs.unwrap_or(cores);
        let mut failed = Vec::new();
        let mut count = 0;
        for (failure, piece) in museum.pieces() {
            if !self.names.is_empty() && !self.names.contains(&piece.name) {
                continue;
            }
            let began = Instant::now();
            let budget = Duration::from_nanos(self.budget.0);
            let quarry = self.quarry(&library, piece, jobs, &folder)?;
            let mut shown = Shown {
                piece: &piece.name,
                number: failure.number,
                failure: &failure.failure,
                defect: &piece.defect,
                profile: &piece.profile,
                caught: false,
                engine: None,
                by: None,
                because: None,
                seconds: 0.0,
                reproducer: None,
                on_piece: None,
                on_good: None,
            };
            for (name, engine, share) in ENGINES {
                if let Some(found) = engine(&quarry, began + budget.mul_f64(share))? {
                    shown.caught = true;
                    shown.engine = Some(name);
                    shown.by = Some(found.by);
                    shown.because = Some(found.because);
                    break;
                }
            }
            shown.seconds = began.elapsed().as_secs_f64();
            self.replay(&quarry, &mut shown)?;
            count += 1;
            if !shown.is_right() {
                failed.push(piece.name.as_str());
            }
            self.show(&shown)?;
        }
        let silence = match self.seeds {
            0 => None,
            _ => Some(self.silence(&library, jobs)?),
        };
        if let Some(silence) = &silence {
            self.show_silence(silence)?;
        }
        if self.format == Format::Human {
            self.conclude(&museum, count, &failed)?;
        }
        let accused = silence.is_some_and(|silence| !silence.false_alarms.is_empty());
        Ok(u8::from(accused || !failed.is_empty()))
    }

    /// Every name is one of a piece.
    fn known(&self, museum: &Museum) -> Result<(), Failure> {
        let known: Vec<&str> = museum.pieces().map(|(_, piece)| &*piece.name).collect();
        let unknown = self
            .names
            .iter()
            .find(|name| !known.contains(&name.as_str()));
        unknown.map_or(Ok(()), |name| {
            Err(Failure::hinted(
                format!("there is no piece '{name}' in the museum"),
                Some(format!("there are {}", known.join(", "))),
            ))
        })
    }

    fn quarry<'a>(
        &self,
        library: &'a Library,
        piece: &'a Piece,
        jobs: usize,
        folder: &'a Path,
    ) -> Result<Quarry<'a>, Failure> {
        let bench = bench_of(library, piece)?;
        let product = product_of(library, piece)?;
        let bad = Board::flashed(library, bench, product, Some(&piece.image()), self.seed)?;
        let good = Board::flashed(library, bench, product, None, self.seed)?;
        let lock = lock_of(product, piece)?;
        let mut runs = Vec::new();
        for loaded in &library.scenarios {
            runs.extend(runs_of(loaded, bench, lock)?);
        }
        Ok(Quarry {
            piece,
            bad,
            good,
            product,
            runs,
            jobs,
            seed: self.seed,
            folder,
        })
    }

    /// Carries out the piece's own scenario on it and on the good image.
    fn replay(&self, quarry: &Quarry<'_>, shown: &mut Shown<'_>) -> Result<(), Failure> {
        let Some(text) = quarry.piece.reproducer() else {
            return Ok(());
        };
        let path = quarry.folder.join(format!("{}.yaml", quarry.piece.name));
        fs::write(&path, text).map_err(|why| unusable(quarry.folder, &why))?;
        let (bad, good) = quarry.both(&path)?;
        shown.on_piece = Some(bad.verdict);
        shown.on_good = Some(good.verdict);
        shown.reproducer = Some(format!(
            "lockrig run {} --bench {} --profile {} --image {}",
            path.display(),
            quarry.piece.bench(),
            quarry.piece.profile,
            quarry.piece.image()
        ));
        Ok(())
    }

    /// Runs the flagships on the good images under every seed.
    fn silence(&self, library: &Library, jobs: usize) -> Result<Silence, Failure> {
        let began = Instant::now();
        let seeds: Vec<u64> = (0..self.seeds)
            .map(|nth| self.seed.wrapping_add(nth))
            .collect();
        let mut planned = Vec::new();
        for bench in &library.benches {
            for profile in &library.profiles {
                let Some(lock) = profile.value.lock() else {
                    continue;
                };
                if !board::fits(&bench.value, &profile.value) {
                    continue;
                }
                let mut runs = Vec::new();
                for loaded in &library.scenarios {
                    if FLAGSHIPS.contains(&loaded.value.id()) {
                        runs.extend(runs_of(loaded, &bench.value, lock)?);
                    }
                }
                planned.push((&bench.value, &profile.value, runs));
            }
        }
        let never = AtomicBool::new(false);
        let found = parallel(
            &seeds,
            jobs,
            &never,
            |_| (),
            |&seed| {
                let (mut count, mut alarms) = (0, Vec::new());
                for (bench, product, runs) in &planned {
                    let board = Board::flashed(library, bench, product, None, seed)?;
                    for run in runs {
                        let summary = board.carry_out(&run.plan, &run.script)?;
                        count += 1;
                        if !is_good(summary.verdict) {
                            alarms.push(Alarm {
                                run: id(&run.plan, &bench.name),
                                seed,
                                verdict: summary.verdict,
                                because: summary.because,
                            });
                        }
                    }
                }
                Ok((count, alarms))
            },
        );
        let mut silence = Silence {
            seeds: self.seeds,
            runs: 0,
            false_alarms: Vec::new(),
            seconds: 0.0,
        };
        for found in found.into_iter().flatten() {
            let (count, alarms) = found?;
            silence.runs += count;
            silence.false_alarms.extend(alarms);
        }
        silence.seconds = began.elapsed().as_secs_f64();
        Ok(silence)
    }

    fn show(&self, shown: &Shown<'_>) -> Result<(), Failure> {
        if self.format == Format::Json {
            return json(shown);
        }
        let mut out = Vec::new();
        in_words(&mut out, shown).or_else(super::files::unless_closed)?;
        printed(&out)
    }

    fn show_silence(&self, silence: &Silence) -> Result<(), Failure> {
        if self.format == Format::Json {
            return json(silence);
        }
        let mut text = format!(
            "good images: {} runs of the flagships under {} seeds in {:.0} s, {}\n",
            silence.runs,
            silence.seeds,
            silence.seconds,
            match silence.false_alarms.len() {
                0 => "no false alarm".to_owned(),
                1 => "1 false alarm".to_owned(),
                more => format!("{more} false alarms"),
            }
        );
        for alarm in &silence.false_alarms {
            text += &format!(
                "  {} {} --seed {}: {}\n",
                alarm.verdict, alarm.run, alarm.seed, alarm.because
            );
        }
        printed(text.as_bytes())
    }

    /// What cannot be looked for, and the count.
    fn conclude(&self, museum: &Museum, count: usize, failed: &[&str]) -> Result<(), Failure> {
        let mut text = String::new();
        if self.names.is_empty() {
            let without = museum
                .failures
                .iter()
                .filter(|failure| failure.pieces.is_empty());
            for failure in without {
                let (what, why) = match (&failure.absent, &failure.missing) {
                    (Some(absent), _) => ("no such piece", absent.as_str()),
                    (None, Some(missing)) => ("not looked for yet: needs", missing.as_str()),
                    (None, None) => ("no piece", "nobody made one"),
                };
                text += &format!(
                    "{:>2}  {}\n      {what}: {why}\n",
                    failure.number, failure.failure
                );
            }
        }
        text += &match failed {
            [] => format!("{count} of {count} pieces caught\n"),
            names => format!(
                "{} of {count} pieces caught; look at {}\n",
                count - names.len(),
                names.join(", ")
            ),
        };
        printed(text.as_bytes())
    }
}

impl Shown<'_> {
    /// It was caught, and its scenario shows what is wrong with it and with nothing else.
    fn is_right(&self) -> bool {
        self.caught && self.on_piece.is_some_and(is_bad) && self.on_good.is_some_and(is_good)
    }
}

fn in_words(out: &mut Vec<u8>, shown: &Shown<'_>) -> std::io::Result<()> {
    let colour = match shown.caught {
        true => AnsiColor::Green,
        false => AnsiColor::Red,
    };
    let style: Style = colour.on_default().bold();
    let word = if shown.caught { "caught" } else { "MISSED" };
    writeln!(
        out,
        "{:>2}  {style}{word}{style:#}  {}  on {}, after {:.1} s",
        shown.number, shown.piece, shown.profile, shown.seconds
    )?;
    writeln!(out, "      defect    {}", shown.defect)?;
    if let (Some(engine), Some(by), Some(because)) = (shown.engine, &shown.by, &shown.because) {
        writeln!(out, "      {engine:10}{by}")?;
        writeln!(out, "                {because}")?;
    }
    match (&shown.reproducer, shown.on_piece, shown.on_good) {
        (Some(command), Some(bad), Some(good)) => {
            writeln!(out, "      shown     {bad} here, {good} on the good image:")?;
            writeln!(out, "                {command}")?;
        }
        _ => writeln!(out, "      shown     by no scenario of its own")?,
    }
    writeln!(out)
}

/// Ends the run of a scenario on a board that should be found bad.
fn is_bad(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Fail | Verdict::Finding)
}

fn is_good(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Pass | Verdict::KnownFinding)
}

/// Every scenario, as many at once as there are jobs; what comes first in their order is told.
fn by_scenarios(quarry: &Quarry<'_>, until: Instant) -> Result<Option<Catch>, Failure> {
    let never = AtomicBool::new(false);
    for some in quarry.runs.chunks(4 * quarry.jobs.max(1)) {
        if Instant::now() >= until {
            break;
        }
        let came = parallel(
            some,
            quarry.jobs,
            &never,
            |_| (),
            |run| quarry.bad.carry_out(&run.plan, &run.script),
        );
        for (run, summary) in some.iter().zip(came.into_iter().flatten()) {
            let summary = summary?;
            if is_bad(summary.verdict)
                && is_good(quarry.good.carry_out(&run.plan, &run.script)?.verdict)
            {
                return Ok(Some(Catch {
                    by: id(&run.plan, &quarry.piece.bench()),
                    because: summary.because,
                }));
            }
        }
    }
    Ok(None)
}

/// A change that loses its supply before one of its writes, and is then made once more.
const RETRY: &str = "\
scenario: change-tried-again
version: 1
intent: A change of the code that lost its supply is made once more; the new code opens at the next start.
needs: [keypad, bolt, supply, procedure.reset, procedure.set-code]
covers: []

codes: { new: user }
given: { door: open, supply: fresh }

steps:
  - interrupt: { cut: { at: flash-op 1, mode: dropped-before }, for: 300 ms }
    steps:
      - do: reset
      - do: set-code
        with: { code: $new }
  - do: reset
  - do: set-code
    with: { code: $new }
  - supply: off
    for: 2 s
  - supply: fresh
  - opens: $new
";

/// The same change once more after a cut before each of its writes, with the codes of many seeds.
fn by_retries(quarry: &Quarry<'_>, until: Instant) -> Result<Option<Catch>, Failure> {
    let path = quarry.folder.join("change-tried-again.yaml");
    fs::write(&path, RETRY).map_err(|why| unusable(quarry.folder, &why))?;
    let library = quarry.library_of(&path)?;
    let loaded = &library.scenarios[0];
    let lock = lock_of(quarry.product, quarry.piece)?;
    let runs = runs_of(loaded, bench_of(&library, quarry.piece)?, lock)?;
    let Some(run) = runs.first() else {
        return Ok(None);
    };
    let never = AtomicBool::new(false);
    let mut tries: Vec<Run<'_>> = Vec::new();
    for number in 1.. {
        let at_write = Run {
            loaded,
            plan: run.plan.clone(),
            script: at_write(&run.script, number),
        };
        let came = quarry.good.carry_out(&at_write.plan, &at_write.script)?;
        if !is_good(came.verdict) {
            break;
        }
        tries.push(at_write);
    }
    for seed in quarry.seed..quarry.seed.saturating_add(RETRIES) {
        if Instant::now() >= until {
            break;
        }
        let came = parallel(
            &tries,
            quarry.jobs,
            &never,
            |_| (),
            |run| quarry.bad.carry_out_with(&run.plan, &run.script, seed),
        );
        for ((number, run), summary) in (1..).zip(&tries).zip(came.into_iter().flatten()) {
            let summary = summary?;
            let good = |run: &Run<'_>| quarry.good.carry_out_with(&run.plan, &run.script, seed);
            if is_bad(summary.verdict) && is_good(good(run)?.verdict) {
                return Ok(Some(Catch {
                    by: format!(
                        "change-tried-again@{}, flash-op {number} dropped-before, codes of seed {seed}",
                        quarry.piece.profile
                    ),
                    because: summary.because,
                }));
            }
        }
    }
    Ok(None)
}

/// The script with its cut before another write.
fn at_write(script: &Script, number: u32) -> Script {
    let mut script = script.clone();
    for act in &mut script.steps {
        if let Doing::InterruptAt { cuts, .. } = &mut act.doing {
            cuts[0].at.number = number;
        }
    }
    script
}

/// Every cut of every flow, short flows first; all flows with few ways of cutting each write, then with all.
fn by_cuts(quarry: &Quarry<'_>, until: Instant) -> Result<Option<Catch>, Failure> {
    let mut flows: Vec<(usize, Script, &Run<'_>)> = Vec::new();
    let mut known = HashSet::new();
    for run in &quarry.runs {
        let script = flow_of(&run.script);
        if known.insert(format!("{:?}", (&script.setup, &script.steps))) {
            let acts = script.steps.iter().map(count_acts).sum();
            flows.push((acts, script, run));
        }
    }
    flows.sort_by_key(|(acts, ..)| *acts);
    for detail in [Detail::Coarse, Detail::Every] {
        let stop = Arc::new(AtomicBool::new(false));
        let options = Options {
            depth: 1,
            budget: 0,
            seed: quarry.seed,
            jobs: quarry.jobs,
            detail,
            skip: true,
        };
        let lock = lock_of(quarry.product, quarry.piece)?;
        let prepared = quarry.bad.prepared();
        let mut explorer = Explorer::new(prepared, lock, options, Arc::clone(&stop));
        for (_, script, run) in &flows {
            if Instant::now() >= until {
                return Ok(None);
            }
            let flow = Flow {
                name: id(&run.plan, &quarry.piece.bench()),
                plan: run.plan.clone(),
                codes: codes::generate(lock, quarry.seed, &script.codes).map_err(Failure::usage)?,
                script: script.clone(),
                product: Arc::clone(quarry.product),
            };
            let tell = |_: &str, _, _| {
                if Instant::now() >= until {
                    stop.store(true, Ordering::Relaxed);
                }
            };
            let mut explored = explorer.explore(&flow, &tell).map_err(board::broken)?;
            reproducer::write(&mut explored, &flow, &run.loaded.text, quarry.folder)
                .map_err(|why| unusable(quarry.folder, &why))?;
            for failure in &explored.failures {
                let Some(file) = &failure.reproducer else {
                    continue;
                };
                let (bad, good) = quarry.both(&quarry.folder.join(file))?;
                if is_bad(bad.verdict) && is_good(good.verdict) {
                    let cuts: Vec<String> = failure
                        .cuts
                        .iter()
                        .map(|(at, mode)| format!("{at} {mode}"))
                        .collect();
                    return Ok(Some(Catch {
                        by: format!("{}, {}", explored.flow, cuts.join(", then ")),
                        because: failure.because.clone(),
                    }));
                }
            }
        }
    }
    Ok(None)
}

/// An act with all inside it.
fn count_acts(act: &scenario::Act) -> usize {
    1 + act.inner().iter().map(count_acts).sum::<usize>()
}

impl Quarry<'_> {
    /// One scenario file, and what the piece stands on.
    fn library_of(&self, path: &Path) -> Result<Library, Failure> {
        Library::load(&Selection {
            paths: vec![path.to_owned()],
            bench: vec![self.piece.bench()],
            profile: vec![self.piece.profile.clone()],
            ..Selection::default()
        })
    }

    /// Carries out a scenario file on the piece and on the good image.
    fn both(&self, path: &Path) -> Result<(Summary, Summary), Failure> {
        let library = self.library_of(path)?;
        let bench = bench_of(&library, self.piece)?;
        let lock = lock_of(self.product, self.piece)?;
        let runs = runs_of(&library.scenarios[0], bench, lock)?;
        let Some(run) = runs.first() else {
            return Err(Failure::usage(format!(
                "'{}' has no run on '{}'",
                path.display(),
                self.piece.profile
            )));
        };
        let bad = self.bad.carry_out(&run.plan, &run.script)?;
        let good = self.good.carry_out(&run.plan, &run.script)?;
        Ok((bad, good))
    }
}

impl Board {
    fn flashed(
        library: &Library,
        bench: &BenchFile,
        product: &Arc<Product>,
        image: Option<&str>,
        seed: u64,
    ) -> Result<Board, Failure> {
        let group = board::group(&library.project, bench, product, None, image)?;
        let interrupt = Interrupt::default();
        let prepared =
            campaign::prepare(&group, &board::opener(), seed, interrupt).map_err(board::broken)?;
        Ok(Board {
            group,
            bench: Mutex::new(prepared.bench),
            receipt: prepared.receipt,
            seed,
        })
    }

    fn fork(&self) -> Bench {
        let mut bench = self.bench.lock().unwrap_or_else(PoisonError::into_inner);
        bench.fork().expect("the museum's benches are virtual")
    }

    fn prepared(&self) -> campaign::Prepared {
        campaign::Prepared {
            bench: self.fork(),
            receipt: self.receipt.clone(),
        }
    }

    fn carry_out(&self, plan: &PlannedRun, script: &Script) -> Result<Summary, Failure> {
        self.carry_out_with(plan, script, self.seed)
    }

    /// With the codes of a seed.
    fn carry_out_with(
        &self,
        plan: &PlannedRun,
        script: &Script,
        seed: u64,
    ) -> Result<Summary, Failure> {
        let product = &self.group.profile;
        let codes = match product.lock() {
            Some(lock) => codes::generate(lock, seed, &script.codes).map_err(Failure::usage)?,
            None => Default::default(),
        };
        let mut bench = self.fork();
        let setup = Setup {
            plan,
            script,
            profile: product,
            codes: &codes,
            seed,
            files: Vec::new(),
            flashed: self.receipt.clone(),
            bench: &mut bench,
        };
        let (events, _) = run::run(setup, Box::new(std::io::sink()));
        Ok(summarise(&events).expect("a run records its beginning first"))
    }
}

fn bench_of<'a>(library: &'a Library, piece: &Piece) -> Result<&'a BenchFile, Failure> {
    let name = piece.bench();
    let mut benches = library.benches.iter().map(|bench| &bench.value);
    benches
        .find(|bench| bench.name == name)
        .ok_or_else(|| absent("bench", &name))
}

fn product_of<'a>(library: &'a Library, piece: &Piece) -> Result<&'a Arc<Product>, Failure> {
    let mut profiles = library.profiles.iter().map(|profile| &profile.value);
    profiles
        .find(|profile| profile.id() == piece.profile)
        .ok_or_else(|| absent("profile", &piece.profile))
}

fn lock_of<'a>(product: &'a Product, piece: &Piece) -> Result<&'a Profile, Failure> {
    product.lock().ok_or_else(|| absent("lock", &piece.profile))
}

fn absent(kind: &str, name: &str) -> Failure {
    Failure::hinted(
        format!("this project has no {kind} '{name}', which the museum stands on"),
        Some("run it in a folder without scenarios/ and boards/".to_owned()),
    )
}

/// The runs of a scenario that are not skipped.
fn runs_of<'a>(
    loaded: &'a Loaded<Scenario>,
    bench: &BenchFile,
    lock: &Profile,
) -> Result<Vec<Run<'a>>, Failure> {
    let runs = scenario::plan(&loaded.value, lock)
        .map_err(|refused| Failure::refused(&[loaded.refused(refused)]))?;
    let runs = runs.into_iter().filter_map(|plan| {
        let plan = lacking(&loaded.value, bench, plan);
        let script = match &plan.course {
            Course::Runs(script) => script.clone(),
            Course::Skipped(_) => return None,
        };
        Some(Run {
            loaded,
            plan,
            script,
        })
    });
    Ok(runs.collect())
}

fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut line = serde_json::to_string(value)
        .map_err(|why| Failure::broken(format!("writing JSON: {why}")))?;
    line.push('\n');
    printed(line.as_bytes())
}

fn printed(text: &[u8]) -> Result<(), Failure> {
    anstream::stdout()
        .write_all(text)
        .or_else(super::files::unless_closed)
}
