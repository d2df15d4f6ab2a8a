//! Looking for what is wrong with a piece of the museum: the engines, and the boards that they try things on.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::bench::{Bench, BenchFile};
use crate::campaign::{self, Group};
use crate::cli::board;
use crate::cli::error::Failure;
use crate::cli::files::{Library, Loaded, Selection};
use crate::cli::lacks::{Hands, lacking};
use crate::cli::run::{id, unusable};
use crate::cuts::parallel::parallel;
use crate::cuts::{Detail, Explorer, Flow, Options, flow_of, reproducer};
use crate::event::What;
use crate::glitch;
use crate::image::Lines;
use crate::museum::Piece;
use crate::port::Interrupt;
use crate::profile::{Product, Profile, codes};
use crate::report::{Summary, summarise};
use crate::run::{self, Setup};
use crate::scenario::{self, Course, Doing, PlannedRun, Scenario, Script};
use crate::verdict::Verdict;

/// What an engine found, that the good image does not do.
pub(super) struct Catch {
    pub(super) by: String,
    pub(super) because: String,
}

/// A board that is flashed.
pub(super) struct Board {
    group: Group,
    bench: Mutex<Bench>,
    receipt: Option<What>,
    seed: u64,
}

/// A piece, the good lock beside it, and what may be tried on both.
pub(super) struct Quarry<'a> {
    pub(super) piece: &'a Piece,
    bad: Board,
    good: Board,
    product: &'a Arc<Product>,
    runs: Vec<Run<'a>>,
    jobs: usize,
    seed: u64,
    pub(super) folder: &'a Path,
}

/// A scenario in one variant.
pub(super) struct Run<'a> {
    loaded: &'a Loaded<Scenario>,
    pub(super) plan: PlannedRun,
    pub(super) script: Script,
}

/// Something that looks for what is wrong with a piece until it finds something or has no time left.
pub(super) type Engine = fn(&Quarry<'_>, Instant) -> Result<Option<Catch>, Failure>;

/// In the order in which they are tried, what is cheap first, with the share of the budget that is over when
/// each ends. A fuzzer is one more.
pub(super) const ENGINES: [(&str, Engine, f64); 4] = [
    ("scenario", by_scenarios, 1.0),
    ("glitches", by_glitches, 0.3),
    ("retries", by_retries, 0.4),
    ("cuts", by_cuts, 1.0),
];

/// Under how many seeds' codes a change is tried again: a flaw that depends on a check sum shows in few.
const RETRIES: u64 = 64;

/// Ends the run of a scenario on a board that should be found bad.
pub(super) fn is_bad(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Fail | Verdict::Finding)
}

pub(super) fn is_good(verdict: Verdict) -> bool {
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
    let library = quarry.library_with("change-tried-again.yaml", RETRY)?;
    let runs = quarry.planned(&library)?;
    let Some(run) = runs.first() else {
        return Ok(None);
    };
    let never = AtomicBool::new(false);
    let mut tries: Vec<Run<'_>> = Vec::new();
    for number in 1.. {
        let at_write = Run {
            loaded: run.loaded,
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

/// A wrong code.
const WRONG: &str = "\
scenario: wrong-code
version: 1
intent: A wrong code opens nothing, whichever instruction goes wrong.
needs: [keypad, bolt, procedure.set-code]
covers: []

codes: { owner: user, guess: wrong }
given: { door: open, supply: fresh, user-codes: [$owner] }

steps:
  - refuses: $guess
";

/// How many instructions before the answer are tried: comparing a code takes fewer.
const DECIDING: u32 = 4_000;

/// Instructions that are not executed, between a wrong code and the answer to it.
fn by_glitches(quarry: &Quarry<'_>, until: Instant) -> Result<Option<Catch>, Failure> {
    let library = quarry.library_with("wrong-code.yaml", WRONG)?;
    let runs = quarry.planned(&library)?;
    let Some(run) = runs.first() else {
        return Ok(None);
    };
    let stop = Arc::new(AtomicBool::new(false));
    let options = glitch::Options {
        entry: Some(1),
        modes: vec!["skip".to_owned()],
        last: Some(DECIDING),
        jobs: quarry.jobs,
        seed: quarry.seed,
    };
    let lines = Lines::default();
    let explorer = glitch::Explorer::new(quarry.bad.prepared(), &lines, options, Arc::clone(&stop));
    let flow = Flow {
        name: id(&run.plan, &quarry.piece.bench()),
        plan: run.plan.clone(),
        codes: codes::generate(
            lock_of(quarry.product, quarry.piece)?,
            quarry.seed,
            &run.script.codes,
        )
        .map_err(Failure::usage)?,
        script: glitch::flow_of(&run.script),
        product: Arc::clone(quarry.product),
    };
    let tell = |_: &str, _, _| {
        if Instant::now() >= until {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let found = explorer.explore(&flow, &tell).map_err(board::broken)?;
    for mut explored in found {
        glitch::reproducer::write(&mut explored, &flow, &run.loaded.text, quarry.folder)
            .map_err(|why| unusable(quarry.folder, &why))?;
        for open in &explored.opens {
            let Some(file) = &open.reproducer else {
                continue;
            };
            let (bad, good) = quarry.both(&quarry.folder.join(file))?;
            if is_bad(bad.verdict) && is_good(good.verdict) {
                return Ok(Some(Catch {
                    by: format!("{}, {} of {}", explored.flow, open.mode, open.at),
                    because: bad.because,
                }));
            }
        }
    }
    Ok(None)
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
            instructions: false,
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

impl<'a> Quarry<'a> {
    /// Flashes both boards, and plans every scenario.
    pub(super) fn of(
        library: &'a Library,
        piece: &'a Piece,
        jobs: usize,
        seed: u64,
        folder: &'a Path,
    ) -> Result<Quarry<'a>, Failure> {
        let bench = bench_of(library, piece)?;
        let product = product_of(library, piece)?;
        let bad = Board::flashed(library, bench, product, Some(&piece.image()), seed)?;
        let good = Board::flashed(library, bench, product, None, seed)?;
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
            seed,
            folder,
        })
    }
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

    /// A scenario that only the hunt knows, put beside what it finds.
    fn library_with(&self, name: &str, text: &str) -> Result<Library, Failure> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|why| unusable(self.folder, &why))?;
        self.library_of(&path)
    }

    /// The runs of a library's one scenario on the piece.
    fn planned<'l>(&self, library: &'l Library) -> Result<Vec<Run<'l>>, Failure> {
        let bench = bench_of(library, self.piece)?;
        let lock = lock_of(self.product, self.piece)?;
        runs_of(&library.scenarios[0], bench, lock)
    }

    /// Carries out a scenario file on the piece and on the good image.
    pub(super) fn both(&self, path: &Path) -> Result<(Summary, Summary), Failure> {
        let library = self.library_of(path)?;
        let runs = self.planned(&library)?;
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
    pub(super) fn flashed(
        library: &Library,
        bench: &BenchFile,
        product: &Arc<Product>,
        image: Option<&str>,
        seed: u64,
    ) -> Result<Board, Failure> {
        let group = board::group(&library.project, bench, product, None, image)?;
        let interrupt = Interrupt::default();
        let prepared = campaign::prepare(
            &group,
            &board::opener(None, "a search for bad firmware"),
            seed,
            interrupt,
        )
        .map_err(board::broken)?;
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

    pub(super) fn carry_out(&self, plan: &PlannedRun, script: &Script) -> Result<Summary, Failure> {
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
            rehearsal: &[],
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
pub(super) fn runs_of<'a>(
    loaded: &'a Loaded<Scenario>,
    bench: &BenchFile,
    lock: &Profile,
) -> Result<Vec<Run<'a>>, Failure> {
    let runs = scenario::plan(&loaded.value, lock)
        .map_err(|refused| Failure::refused(&[loaded.refused(refused)]))?;
    let runs = runs.into_iter().filter_map(|plan| {
        let plan = lacking(&loaded.value, bench, Some(lock), plan, Hands::VIRTUAL);
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
