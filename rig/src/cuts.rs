//! Every loss of supply that a flow can suffer, and what it leaves of the lock's codes.
//!
//! [`Explorer::explore`] carries a flow out once and keeps a fork of the bench at each cut point. From
//! there on nothing of the flow is run again: each cut is a fork of its point, cut in one mode
//! (`starts`). Cuts that leave the same flash, bolt and door are one state; states that differ in nothing
//! that a start looks at are started once (`known`); those that come to rest with the same flash, after
//! the same lines on the console, are one recovery, which is asked for each code once (`judge`).
//! Recoveries write to flash as well, and are cut there in turn, down to the depth asked for (`deeper`).
//! `report` counts.
//!
//! What is found does not depend on the number of jobs: work is done side by side, and put together in
//! the order of the points.

mod deeper;
mod judge;
mod known;
mod modes;
pub(crate) mod parallel;
pub mod picture;
mod report;
pub mod reproducer;
mod starts;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rustc_hash::{FxHashMap as HashMap, FxHashSet as HashSet};

use crate::bench::Bench;
use crate::campaign::Prepared;
use crate::driver::DeviceTrouble;
use crate::event::{Event, Nanos, What};
use crate::oracle::Facts;
use crate::port::Change;
use crate::port::sim::state_hasher;
use crate::profile::codes::Code;
use crate::profile::{Product, Profile};
use crate::run::{self, Answer, Point, Setup};
use crate::scenario::{CodeUse, Doing, PlannedRun, Script};
use crate::step::{CutMode, KnownCode};
use crate::verdict::Verdict;

use deeper::Row;
use judge::Context;
use known::Known;
pub use modes::Detail;
pub use report::{Depth, Explored, Failure, Mark, Outcome, Phase};
use starts::{Found, Lane};

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many cuts in a row are tried exhaustively.
    pub depth: u32,
    /// How many longer rows are tried at random.
    pub budget: u32,
    /// Decides the random ones, and the subsets and metastable bits.
    pub seed: u64,
    /// How many at once.
    pub jobs: usize,
    /// In how many ways each write of the flow is cut.
    pub detail: Detail,
    /// Whether every instruction of the flow is a cut point, too.
    pub instructions: bool,
    /// Whether what is known of one start stands in for another that looks at nothing else.
    pub skip: bool,
}

/// One flow of a scenario on a product: what is done, with every name replaced.
pub struct Flow {
    /// Its name: scenario and product, and the variant where that makes a difference.
    pub name: String,
    /// Which run it is taken from.
    pub plan: PlannedRun,
    /// What is given, and the steps whose cuts count.
    pub script: Script,
    /// The product; one with codes.
    pub product: Arc<Product>,
    /// The codes that the seed gave.
    pub codes: BTreeMap<String, Code>,
}

impl Flow {
    /// What the product promises.
    pub fn profile(&self) -> &Profile {
        self.product
            .lock()
            .expect("flows are of products with codes")
    }
}

/// The steps of a run whose cuts count: those of its interruption where it has one, else all.
pub fn flow_of(script: &Script) -> Script {
    let mut flow = Script {
        finally: Vec::new(),
        ..script.clone()
    };
    let interruption = script
        .steps
        .iter()
        .enumerate()
        .find_map(|(at, act)| match &act.doing {
            Doing::Interrupt { acts, .. } | Doing::InterruptAt { acts, .. } => {
                Some((at, acts.clone()))
            }
            _ => None,
        });
    if let Some((at, acts)) = interruption {
        flow.setup.extend(script.steps[..at].iter().cloned());
        flow.steps = acts;
    }
    flow
}

/// What is told while a flow is explored: what is done, how much of it, of how much.
pub type Progress<'a> = &'a (dyn Fn(&str, u64, u64) + Sync);

/// A board with its product, and what was found out about it so far.
pub struct Explorer {
    prepared: Mutex<Bench>,
    receipt: Option<What>,
    bench: String,
    facts: Facts,
    options: Options,
    /// State after a cut to the recovery that it leads to.
    recoveries: HashMap<u64, u64>,
    found: HashMap<u64, Found>,
    /// By what is owed, where that matters.
    known: HashMap<usize, Known>,
    /// Recovery and code to what the lock does with it.
    answers: HashMap<(u64, Code), Answer>,
    boots: u64,
    stop: Arc<AtomicBool>,
}

/// How often each outcome came.
type Outcomes = BTreeMap<Outcome, u64>;

impl Explorer {
    /// Around a bench whose board is flashed. `stop` ends everything early.
    pub fn new(
        prepared: Prepared,
        profile: &Profile,
        options: Options,
        stop: Arc<AtomicBool>,
    ) -> Explorer {
        Explorer {
            facts: run::facts(profile, &prepared.bench),
            bench: prepared.bench.file().name.clone(),
            receipt: prepared.receipt,
            prepared: Mutex::new(prepared.bench),
            options,
            recoveries: HashMap::default(),
            found: HashMap::default(),
            known: HashMap::default(),
            answers: HashMap::default(),
            boots: 0,
            stop,
        }
    }

    /// Tries every cut of a flow.
    ///
    /// # Errors
    /// An instrument that does not do what it was told.
    pub fn explore(&mut self, flow: &Flow, tell: Progress<'_>) -> Result<Explored, DeviceTrouble> {
        self.boots = 0;
        let mut explored = self.blank(flow);
        tell("the flow itself", 0, 1);
        let Some(mut bench) = fork(&self.prepared) else {
            explored.verdict = Verdict::Skipped;
            explored.because =
                "the bench is real: only a virtual one can be cut at one exact point".to_owned();
            return Ok(explored);
        };
        let setup = Setup {
            plan: &flow.plan,
            script: &flow.script,
            profile: &flow.product,
            codes: &flow.codes,
            seed: self.options.seed,
            files: Vec::new(),
            flashed: self.receipt.clone(),
            rehearsal: &[],
            bench: &mut bench,
        };
        let (events, points) = run::watched(setup, self.options.instructions);
        drop(bench);
        let (verdict, because) = verdict_of(&events);
        explored.lasts = events.last().map_or(Nanos::ZERO, |last| last.at);
        if !matches!(verdict, Verdict::Pass | Verdict::KnownFinding) {
            explored.verdict = verdict;
            explored.because = format!("without any cut: {because}");
            return Ok(explored);
        }
        Work::new(self, flow, events, points).all(&mut explored, tell)?;
        explored.boots = self.boots;
        // Later flows ask for other codes seldom enough to start the lock once more.
        for found in self.found.values_mut() {
            found.bench = None;
        }
        Ok(explored)
    }

    fn blank(&self, flow: &Flow) -> Explored {
        Explored {
            flow: flow.name.clone(),
            scenario: flow.plan.scenario.clone(),
            profile: flow.plan.profile.clone(),
            variant: flow.plan.variant.clone(),
            bench: self.bench.clone(),
            verdict: Verdict::Pass,
            because: String::new(),
            evidence: "virtual only",
            phases: Vec::new(),
            depths: Vec::new(),
            points: Vec::new(),
            failures: Vec::new(),
            boots: 0,
            lasts: Nanos::ZERO,
        }
    }
}

/// A flow under exploration.
struct Work<'e> {
    explorer: &'e mut Explorer,
    flow: &'e Flow,
    events: Vec<Event>,
    points: Vec<Point>,
    phases: Vec<String>,
    contexts: Vec<Context>,
    /// Of each point, which of the contexts that differ it has.
    context_numbers: Vec<usize>,
    candidates: Vec<CodeUse>,
    began: Nanos,
    /// The lowest address that the flow writes to.
    lowest: u32,
}

impl<'e> Work<'e> {
    fn new(
        explorer: &'e mut Explorer,
        flow: &'e Flow,
        events: Vec<Event>,
        points: Vec<Point>,
    ) -> Work<'e> {
        let factory: Vec<CodeUse> = flow
            .profile()
            .factory_code()
            .map(|_| CodeUse::Known(KnownCode::Factory))
            .into_iter()
            .collect();
        let digits = |codes: &[CodeUse]| -> BTreeSet<Code> {
            codes.iter().map(|code| digits(flow, code)).collect()
        };
        let contexts = points.iter().map(|point| Context {
            old: digits(&point.old),
            new: digits(&point.new),
            factory: point.resets.then(|| digits(&factory)),
        });
        let contexts: Vec<Context> = contexts.collect();
        let mut different: HashMap<&Context, usize> = HashMap::default();
        let context_numbers = contexts
            .iter()
            .map(|context| {
                let next = different.len();
                *different.entry(context).or_insert(next)
            })
            .collect();
        let mut candidates: Vec<CodeUse> = Vec::new();
        // Of the codes that never open, one is enough to find a lock that takes anything.
        let is_valid = |code: &CodeUse| {
            points
                .iter()
                .any(|point| point.old.contains(code) || point.new.contains(code))
        };
        let named = flow.codes.keys().map(|name| CodeUse::Named(name.clone()));
        let (named, never): (Vec<CodeUse>, Vec<CodeUse>) = named.partition(is_valid);
        let never = never.into_iter().take(1);
        let valid = points
            .iter()
            .flat_map(|point| point.old.iter().chain(&point.new))
            .cloned();
        let all: BTreeSet<CodeUse> = named
            .into_iter()
            .chain(never)
            .chain(valid)
            .chain(factory)
            .collect();
        for code in all {
            if !candidates
                .iter()
                .any(|other| digits_of(flow, other) == digits_of(flow, &code))
            {
                candidates.push(code);
            }
        }
        let phases = points
            .iter()
            .map(|point| report::phase(&events[..point.events]))
            .collect();
        let lowest = points
            .iter()
            .filter_map(|point| match point.operation?.change {
                Change::Word { address, .. } | Change::Page { address } => Some(address),
                Change::Chip => Some(0),
                Change::Settings => None,
            });
        let lowest = lowest.min().unwrap_or(0);
        let began = points.first().map_or(Nanos::ZERO, |point| point.when);
        Work {
            explorer,
            flow,
            events,
            points,
            phases,
            contexts,
            context_numbers,
            candidates,
            began,
            lowest,
        }
    }

    fn all(&mut self, explored: &mut Explored, tell: Progress<'_>) -> Result<(), DeviceTrouble> {
        let mut outcomes: Vec<Outcomes> = vec![Outcomes::new(); self.points.len()];
        let mut seen_states: HashSet<u64> = HashSet::default();
        if self.explorer.options.depth > 1 {
            // What was known before this flow was not cut for it.
            self.explorer.known.clear();
            self.explorer.recoveries.clear();
        }
        let lanes = self.cut_points(tell)?;
        let (mut rows, mut started) = self.merge(lanes);
        for depth in 1.. {
            let exist = rows.iter().map(|row| self.stands_for(row)).sum();
            let mut summary = Depth {
                depth,
                exhaustive: depth <= self.explorer.options.depth,
                exist,
                ..Depth::default()
            };
            self.ask(&rows, tell)?;
            let judged = self.judge(&rows);
            for (row, judged) in rows.iter().zip(&judged) {
                let Some((outcome, because)) = judged else {
                    continue;
                };
                let count = self.stands_for(row);
                summary.covered += count;
                summary.states += u64::from(seen_states.insert(row.state));
                *summary.outcomes.entry(*outcome).or_default() += count;
                *outcomes[row.point].entry(*outcome).or_default() += count;
                if *outcome == Outcome::Broken {
                    self.note(explored, row, because);
                }
            }
            if depth == 1 {
                explored.phases = self.by_phase(&rows, &judged);
            }
            explored.depths.push(summary);
            if self.explorer.stop.load(Ordering::Relaxed) {
                explored.verdict = Verdict::Aborted;
                explored.because = "stopped before the end".to_owned();
                break;
            }
            if depth >= self.explorer.options.depth {
                break;
            }
            let lanes = self.cut_recoveries(&started, tell)?;
            (rows, started) = self.merge(lanes);
        }
        if self.explorer.options.budget > 0 && explored.verdict == Verdict::Pass {
            self.at_random(explored, &rows, &mut outcomes, tell)?;
        }
        explored.points = self
            .points
            .iter()
            .zip(outcomes)
            .zip(&self.phases)
            .map(|((point, outcomes), phase)| Mark {
                at: point.at.to_string(),
                stands_for: point.stands_for,
                when: point.when.since(self.began),
                phase: phase.clone(),
                outcomes,
            })
            .collect();
        if let Some(first) = explored.failures.first() {
            explored.verdict = Verdict::Fail;
            explored.because = match explored.failures.len() - 1 {
                0 => first.because.clone(),
                others => format!("{}; and in {others} other ways", first.because),
            };
        } else if explored.verdict == Verdict::Pass {
            explored.because =
                "every cut left exactly the old, the new or the factory codes".to_owned();
        }
        Ok(())
    }

    /// How many cuts a row stands for.
    fn stands_for(&self, row: &Row) -> u64 {
        match row.cuts.len() {
            1 => self.points[row.point].stands_for,
            _ => 1,
        }
    }

    /// Takes over what lanes found out, in their order; gives their rows, and those whose recoveries are to be
    /// cut as well.
    fn merge(&mut self, lanes: Vec<Lane>) -> (Vec<Row>, Vec<Row>) {
        let explorer = &mut *self.explorer;
        let (mut rows, mut started) = (Vec::new(), Vec::new());
        for lane in lanes {
            rows.extend(lane.rows);
            started.extend(lane.started);
            explorer.boots += lane.boots;
            for (state, recovery) in lane.recoveries {
                explorer.recoveries.entry(state).or_insert(recovery);
            }
            for (key, found) in lane.found {
                explorer.found.entry(key).or_insert(found);
            }
            for (context, start) in lane.starts {
                explorer.known.entry(context).or_default().insert(start);
            }
        }
        (rows, started)
    }
}

/// The verdict of a run, and why.
pub(crate) fn verdict_of(events: &[Event]) -> (Verdict, String) {
    match events.last().map(|last| &last.what) {
        Some(What::Finished {
            verdict, because, ..
        }) => (*verdict, because.clone()),
        _ => (Verdict::Aborted, "the run has no end".to_owned()),
    }
}

pub(crate) fn fork(bench: &Mutex<Bench>) -> Option<Bench> {
    let mut bench = bench
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    bench.fork()
}

/// What a cut right now would leave. What a lock makes of a supply that bounces or sags is known only once it
/// is back: these leave states of their own. `volatile` is what a lock that lives through it goes on with.
fn state_after(bench: &mut Bench, mode: CutMode, volatile: impl Hash) -> Option<u64> {
    let mut fork = bench.fork()?;
    run::cut(&mut fork, mode);
    let state = fork.branch()?.lasting_state();
    let mut hasher = state_hasher();
    match mode {
        CutMode::Bounce(_) => (state, mode).hash(&mut hasher),
        CutMode::Sag(_) => (state, mode, volatile).hash(&mut hasher),
        _ => return Some(state),
    }
    Some(hasher.finish())
}

fn digits(flow: &Flow, code: &CodeUse) -> Code {
    digits_of(flow, code).expect("a flow names only codes that there are")
}

pub(crate) fn digits_of(flow: &Flow, code: &CodeUse) -> Option<Code> {
    match code {
        CodeUse::Named(name) => flow.codes.get(name).cloned(),
        CodeUse::Literal(code) => Some(code.clone()),
        CodeUse::Known(known) => flow.profile().known_code(*known),
    }
}
