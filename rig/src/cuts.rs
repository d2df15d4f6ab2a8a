//! Every loss of supply that a flow can suffer, and what it leaves of the lock's codes.
//!
//! [`Explorer::explore`] carries a flow out once and keeps a fork of the bench at each cut point. From
//! there on nothing of the flow is run again: each cut is a fork of its point, cut in one mode. Cuts that
//! leave the same flash, bolt and door are one state, which is started once; states that come to rest
//! with the same flash, after the same lines on the console, are one recovery, which is asked for each
//! code once. Recoveries write to flash as well, and are cut there in turn, down to the depth asked for.
//!
//! What is found does not depend on the number of jobs: work is done side by side, and put together in
//! the order of the points.

mod known;
mod modes;
pub(crate) mod parallel;
pub mod picture;
pub mod reproducer;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Serialize;

use crate::bench::{Bench, Feed};
use crate::campaign::Prepared;
use crate::driver::DeviceTrouble;
use crate::event::{Event, Nanos, What};
use crate::oracle::Facts;
use crate::port::{Change, CutPoint};
use crate::profile::codes::Code;
use crate::profile::{Product, Profile};
use crate::run::{self, Answer, Begins, Point, Recovery, Setup};
use crate::scenario::{CodeUse, Doing, PlannedRun, Script};
use crate::step::{Cut, CutAt, CutKind, CutMode, KnownCode};
use crate::verdict::Verdict;

use known::{Dependent, Known};
pub use modes::Detail;
use parallel::parallel;

/// What a lock holds after a cut.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Exactly the codes from before the change under way; where none is, the codes as they are.
    Old,
    /// Exactly those from after it.
    New,
    /// Exactly what the factory sets, in a reset.
    Factory,
    /// Anything else, or a rule was broken.
    Broken,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 4] = [
        Outcome::Old,
        Outcome::New,
        Outcome::Factory,
        Outcome::Broken,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Old => "old",
            Outcome::New => "new",
            Outcome::Factory => "factory",
            Outcome::Broken => "broken",
        }
    }
}

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

/// What came of a flow.
#[derive(Serialize)]
pub struct Explored {
    /// Its name.
    pub flow: String,
    /// Scenario.
    pub scenario: String,
    /// Product.
    pub profile: String,
    /// Variant.
    pub variant: String,
    /// Bench.
    pub bench: String,
    /// `pass`, `fail`, or why the flow did not get through even without a cut.
    pub verdict: Verdict,
    /// The reason in one sentence.
    pub because: String,
    /// What the cuts are worth as evidence: all of this is of the virtual bench.
    pub evidence: &'static str,
    /// By phase, in the order of the flow.
    pub phases: Vec<Phase>,
    /// By depth, from 1.
    pub depths: Vec<Depth>,
    /// The points in the order of the flow, for the picture.
    pub points: Vec<Mark>,
    /// Cuts that broke something, gathered to windows.
    pub failures: Vec<Failure>,
    /// How often the lock was started.
    pub boots: u64,
    /// Bench time of the flow.
    pub lasts: Nanos,
}

/// The cuts of one phase.
#[derive(Serialize, Default)]
pub struct Phase {
    /// `P0` to `P7`, or the step where the flow names none.
    pub phase: String,
    /// Points.
    pub points: u64,
    /// Cuts that exist.
    pub exist: u64,
    /// Cuts whose outcome is known.
    pub covered: u64,
    /// Distinct states that they left.
    pub states: u64,
    /// How often each outcome came.
    pub outcomes: BTreeMap<Outcome, u64>,
}

/// The cuts of one depth.
#[derive(Serialize, Default, Clone)]
pub struct Depth {
    /// How many cuts in a row.
    pub depth: u32,
    /// Whether all of them were tried, or some at random.
    pub exhaustive: bool,
    /// Cuts that exist at this depth, in states that differ.
    pub exist: u64,
    /// Cuts whose outcome is known.
    pub covered: u64,
    /// States that no smaller depth left.
    pub states: u64,
    /// How often each outcome came.
    pub outcomes: BTreeMap<Outcome, u64>,
}

/// A point in the picture.
#[derive(Serialize)]
pub struct Mark {
    /// Which.
    pub at: String,
    /// When, since the first step.
    pub when: Nanos,
    /// The phase.
    pub phase: String,
    /// How often each outcome came, whatever came after the cut.
    pub outcomes: BTreeMap<Outcome, u64>,
}

/// Cuts that broke something in the same way, at neighbouring points.
#[derive(Serialize, Clone)]
pub struct Failure {
    /// What was found.
    pub because: String,
    /// The smallest row of cuts that shows it.
    pub cuts: Vec<(String, String)>,
    /// From here.
    pub first: String,
    /// To here.
    pub last: String,
    /// How many.
    pub count: u64,
    /// The scenario that shows it, once it is written.
    pub reproducer: Option<String>,
    #[serde(skip)]
    pub(crate) row: Vec<Cut>,
    #[serde(skip)]
    pub(crate) old: Vec<CodeUse>,
    #[serde(skip)]
    pub(crate) new: Vec<CodeUse>,
    #[serde(skip)]
    pub(crate) resets: bool,
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
    found: HashMap<u64, Arc<Recovery>>,
    known: Known,
    /// Recovery and code to what the lock does with it.
    answers: HashMap<(u64, Code), Answer>,
    boots: AtomicU64,
    stop: Arc<AtomicBool>,
}

/// How many starts are made before what they depended on is looked at.
const GROUP: usize = 24;

/// What came of starting the lock.
enum Started {
    /// It comes to this known recovery.
    Known(u64),
    /// It was started: what was seen, its writes, and what it depended on.
    Ran(Recovery, Vec<Written>, Option<Dependent>),
    /// There is no virtual bench to start it on.
    Nothing,
}

/// A row of cuts: the first at a point, each further one in the recovery from the one before.
#[derive(Clone)]
struct Row {
    point: usize,
    cuts: Vec<Cut>,
    /// What the last cut leaves.
    state: u64,
    /// When the last cut comes.
    when: Nanos,
    /// The cuts before it, and what was seen of the lock after each.
    behind: Vec<Behind>,
}

/// A cut, and what was seen of the lock until the next.
#[derive(Clone)]
struct Behind {
    when: Nanos,
    seen: Arc<Vec<(Nanos, What)>>,
}

/// A recovery that a row leads to, and the codes that it is to be asked for.
type Asked<'r> = (&'r Row, u64, Vec<(CodeUse, Code)>);

/// What decides whether what a lock holds is right.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Context {
    old: BTreeSet<Code>,
    new: BTreeSet<Code>,
    factory: Option<BTreeSet<Code>>,
}

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
            recoveries: HashMap::new(),
            found: HashMap::new(),
            known: Known::default(),
            answers: HashMap::new(),
            boots: AtomicU64::new(0),
            stop,
        }
    }

    /// Tries every cut of a flow.
    ///
    /// # Errors
    /// An instrument that does not do what it was told.
    pub fn explore(&mut self, flow: &Flow, tell: Progress<'_>) -> Result<Explored, DeviceTrouble> {
        self.boots.store(0, Ordering::Relaxed);
        let mut explored = self.blank(flow);
        tell("the flow itself", 0, 1);
        let Some(mut bench) = fork(&self.prepared) else {
            explored.verdict = Verdict::Skipped;
            explored.because =
                "the bench is real: only a virtual one can be cut at one exact point".to_owned();
            return Ok(explored);
        };
        let (events, points) = run::watched(Setup {
            plan: &flow.plan,
            script: &flow.script,
            profile: &flow.product,
            codes: &flow.codes,
            seed: self.options.seed,
            files: Vec::new(),
            flashed: self.receipt.clone(),
            bench: &mut bench,
        });
        drop(bench);
        let (verdict, because) = verdict_of(&events);
        explored.lasts = events.last().map_or(Nanos::ZERO, |last| last.at);
        if !matches!(verdict, Verdict::Pass | Verdict::KnownFinding) {
            explored.verdict = verdict;
            explored.because = format!("without any cut: {because}");
            return Ok(explored);
        }
        Work::new(self, flow, events, points).all(&mut explored, tell)?;
        explored.boots = self.boots.load(Ordering::Relaxed);
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
    candidates: Vec<CodeUse>,
    began: Nanos,
    /// The lowest address that the flow writes to.
    lowest: u32,
}

/// A write to flash of a recovery, before it happened, as far as it matters what a cut leaves of it.
type Written = u64;

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
        let contexts = contexts.collect();
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
            .map(|point| phase(&events[..point.events]))
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
            candidates,
            began,
            lowest,
        }
    }

    fn all(&mut self, explored: &mut Explored, tell: Progress<'_>) -> Result<(), DeviceTrouble> {
        let mut outcomes: Vec<BTreeMap<Outcome, u64>> = vec![BTreeMap::new(); self.points.len()];
        let mut by_phase: Vec<Phase> = Vec::new();
        let mut seen_states: HashSet<u64> = HashSet::new();
        let mut phase_states: HashMap<String, HashSet<u64>> = HashMap::new();
        let mut written: HashSet<(Written, usize)> = HashSet::new();
        let contexts = self.context_numbers();
        let mut rows = self.first_rows(tell)?;
        for depth in 1.. {
            let exist = rows.len() as u64;
            let mut summary = Depth {
                depth,
                exhaustive: depth <= self.explorer.options.depth,
                exist,
                ..Depth::default()
            };
            let starts = self.start(&rows, tell)?;
            self.ask(&rows, tell)?;
            let judged = self.judge(&rows);
            for (row, judged) in rows.iter().zip(&judged) {
                let Some((outcome, because)) = judged else {
                    continue;
                };
                summary.covered += 1;
                summary.states += u64::from(seen_states.insert(row.state));
                *summary.outcomes.entry(*outcome).or_default() += 1;
                *outcomes[row.point].entry(*outcome).or_default() += 1;
                if *outcome == Outcome::Broken {
                    self.note(explored, row, because);
                }
            }
            if depth == 1 {
                by_phase = self.by_phase(&rows, &judged, &mut phase_states);
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
            rows = self.further_rows(&rows, &starts, &mut written, &contexts, tell)?;
        }
        if self.explorer.options.budget > 0 && explored.verdict == Verdict::Pass {
            self.at_random(explored, &rows, &mut outcomes, tell)?;
        }
        explored.phases = by_phase;
        explored.points = self
            .points
            .iter()
            .zip(outcomes)
            .zip(&self.phases)
            .map(|((point, outcomes), phase)| Mark {
                at: point.at.to_string(),
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

    /// Every cut of every point, with the state that it leaves.
    fn first_rows(&self, tell: Progress<'_>) -> Result<Vec<Row>, DeviceTrouble> {
        let numbers: Vec<usize> = (0..self.points.len()).collect();
        let rows = parallel(
            &numbers,
            self.explorer.options.jobs,
            &self.explorer.stop,
            |done| tell("cutting", done, numbers.len() as u64),
            |&number| {
                let point = &self.points[number];
                let Some(mut bench) = fork(&point.bench) else {
                    return Vec::new();
                };
                let modes = match point.operation {
                    Some(operation) => {
                        modes::of(operation, &mut bench, self.explorer.options.detail)
                    }
                    None => vec![CutMode::DroppedBefore],
                };
                modes
                    .into_iter()
                    .filter_map(|mode| {
                        let state = state_after(&mut bench, mode, (&self.flow.name, number))?;
                        Some(Row {
                            point: number,
                            cuts: vec![Cut { at: point.at, mode }],
                            state,
                            when: point.when,
                            behind: Vec::new(),
                        })
                    })
                    .collect()
            },
        );
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    /// Starts the lock from every state that is new; gives the writes of each start, by row.
    fn start(
        &mut self,
        rows: &[Row],
        tell: Progress<'_>,
    ) -> Result<HashMap<u64, Vec<Written>>, DeviceTrouble> {
        let mut new: Vec<&Row> = Vec::new();
        let mut taken = HashSet::new();
        for row in rows {
            // Where the recoveries are to be cut as well, their writes have to be seen.
            let known = self.explorer.recoveries.contains_key(&row.state)
                && self.explorer.options.depth == 1;
            if !known && taken.insert(row.state) {
                new.push(row);
            }
        }
        let is_last = rows
            .first()
            .is_none_or(|row| row.cuts.len() as u32 >= self.explorer.options.depth);
        let mut writes = HashMap::new();
        let total = new.len() as u64;
        let mut done = 0;
        // In small groups: what the starts of one group depended on spares starts of the next.
        for group in new.chunks(GROUP) {
            let explorer = &*self.explorer;
            let started = parallel(
                group,
                explorer.options.jobs,
                &explorer.stop,
                |_| {},
                |row| self.started(row, is_last),
            );
            for (row, started) in group.iter().zip(started) {
                let Some(started) = started else { continue };
                match started? {
                    Started::Known(key) => _ = self.explorer.recoveries.insert(row.state, key),
                    Started::Ran(recovery, written, dependent) => {
                        let key = recovery.key();
                        writes.insert(row.state, written);
                        self.explorer.recoveries.insert(row.state, key);
                        let found = &mut self.explorer.found;
                        found.entry(key).or_insert_with(|| Arc::new(recovery));
                        if let Some(dependent) = dependent {
                            self.explorer.known.insert(dependent, key);
                        }
                    }
                    Started::Nothing => {}
                }
            }
            done += group.len() as u64;
            tell("starting", done, total);
        }
        Ok(writes)
    }

    /// Starts the lock from the state that a row leaves, unless a start from another state is known that
    /// did not depend on the difference. `is_last`: nobody will cut this start.
    fn started(&self, row: &Row, is_last: bool) -> Result<Started, DeviceTrouble> {
        let Some(mut bench) = fork(&self.points[row.point].bench) else {
            return Ok(Started::Nothing);
        };
        let mut known = None;
        let mut before = None;
        let mut writes = Vec::new();
        let from = self.lowest;
        let recovery = self.recover_on(
            &mut bench,
            row,
            &mut |bench| {
                let Some(branch) = bench.branch() else {
                    return false;
                };
                if is_last {
                    known = self.explorer.known.get(branch);
                    branch.note_dependence(from);
                    before = bench.fork();
                }
                known.is_none()
            },
            &mut |bench, operation, _| {
                if !is_last {
                    writes.push(written(bench, operation));
                }
                true
            },
        )?;
        if let Some(key) = known {
            return Ok(Started::Known(key));
        }
        let Some(recovery) = recovery else {
            return Ok(Started::Nothing);
        };
        let dependence = bench.branch().and_then(|branch| branch.dependence());
        let dependent = match (&mut before, dependence) {
            (Some(before), Some(dependence)) => before
                .branch()
                .map(|before| Dependent::new(before, dependence)),
            _ => None,
        };
        Ok(Started::Ran(recovery, writes, dependent))
    }

    /// Carries out a row of cuts and lets the lock recover from the last; `begins` sees the writes of that
    /// last recovery.
    fn recover(&self, row: &Row, begins: Begins<'_>) -> Result<Option<Recovery>, DeviceTrouble> {
        let Some(mut bench) = fork(&self.points[row.point].bench) else {
            return Ok(None);
        };
        self.recover_on(&mut bench, row, &mut |_| true, begins)
    }

    /// The same on this fork of the row's point. Once the supply is lost for the last time `lost` says
    /// whether to go on.
    fn recover_on(
        &self,
        bench: &mut Bench,
        row: &Row,
        lost: &mut dyn FnMut(&mut Bench) -> bool,
        begins: Begins<'_>,
    ) -> Result<Option<Recovery>, DeviceTrouble> {
        let last = row.cuts.len() - 1;
        for (nth, cut) in row.cuts.iter().enumerate() {
            let closed: &[_] = if nth == 0 {
                &self.points[row.point].closed
            } else {
                &[]
            };
            self.lose(bench, cut.mode)?;
            let is_simple = !matches!(cut.mode, CutMode::Bounce(_) | CutMode::Sag(_));
            if nth == last && is_simple && !lost(bench) {
                return Ok(None);
            }
            run::release(bench, closed)?;
            run::restore(bench, cut.mode, self.flow.profile())?;
            self.explorer.boots.fetch_add(1, Ordering::Relaxed);
            if nth == last {
                return run::recover(bench, cut.mode, begins);
            }
            let next = row.cuts[nth + 1].at;
            let mut number = 0;
            run::recover(bench, cut.mode, &mut |_, _, _| {
                number += 1;
                number != next.number
            })?;
        }
        Ok(None)
    }

    fn lose(&self, bench: &mut Bench, mode: CutMode) -> Result<(), DeviceTrouble> {
        if let CutMode::Sag(_) = mode {
            return bench.feed(Feed::On {
                voltage: self.flow.profile().supply.sag.value,
                resistance: None,
            });
        }
        run::cut(bench, mode);
        Ok(())
    }

    /// Finds out which codes open, for every recovery of which that is not known.
    fn ask(&mut self, rows: &[Row], tell: Progress<'_>) -> Result<(), DeviceTrouble> {
        let codes: Vec<(CodeUse, Code)> = self
            .candidates
            .iter()
            .map(|code| (code.clone(), digits(self.flow, code)))
            .collect();
        let mut asked = HashSet::new();
        let mut unknown: Vec<Asked<'_>> = Vec::new();
        for row in rows {
            let Some(&key) = self.explorer.recoveries.get(&row.state) else {
                continue;
            };
            if self.explorer.found[&key].fault().is_some() || !asked.insert(key) {
                continue;
            }
            let open: Vec<_> = codes
                .iter()
                .filter(|(_, digits)| !self.explorer.answers.contains_key(&(key, digits.clone())))
                .cloned()
                .collect();
            if !open.is_empty() {
                unknown.push((row, key, open));
            }
        }
        let answers = parallel(
            &unknown,
            self.explorer.options.jobs,
            &self.explorer.stop,
            |done| tell("asking", done, unknown.len() as u64),
            |(row, key, open)| self.answers(row, *key, open),
        );
        let mut known = Vec::new();
        for ((_, key, open), answers) in unknown.iter().zip(answers) {
            let Some(answers) = answers else { continue };
            for ((_, digits), answer) in open.iter().zip(answers?) {
                known.push(((*key, digits.clone()), answer));
            }
        }
        self.explorer.answers.extend(known);
        Ok(())
    }

    fn answers(
        &self,
        row: &Row,
        key: u64,
        open: &[(CodeUse, Code)],
    ) -> Result<Vec<Answer>, DeviceTrouble> {
        let Some(mut bench) = fork(&self.points[row.point].bench) else {
            return Ok(Vec::new());
        };
        self.recover_on(&mut bench, row, &mut |_| true, &mut |_, _, _| true)?;
        if let Some(branch) = bench.branch() {
            branch.watch_cut_points(false);
        }
        let recovery = &self.explorer.found[&key];
        let lock = (&self.flow.script, self.flow.profile(), &self.flow.codes);
        open.iter()
            .map(|(code, _)| match bench.fork() {
                Some(mut bench) => run::answer(&mut bench, recovery, code, lock),
                None => Ok(Answer::Silent),
            })
            .collect()
    }

    /// What each row is worth; none where it was not found out.
    fn judge(&self, rows: &[Row]) -> Vec<Option<(Outcome, String)>> {
        let fresh = self.flow.profile().supply.fresh.value.0;
        let mut held: HashMap<(u64, usize, Vec<u64>), (Outcome, String)> = HashMap::new();
        rows.iter()
            .map(|row| {
                let key = *self.explorer.recoveries.get(&row.state)?;
                let behind = row.behind.iter().map(|behind| run::words(&behind.seen));
                let place = (key, row.point, behind.collect::<Vec<u64>>());
                if let Some(known) = held.get(&place) {
                    return Some(known.clone());
                }
                let recovery = &self.explorer.found[&key];
                let (mut outcome, mut because) = self.set(key, &self.contexts[row.point])?;
                if outcome != Outcome::Broken {
                    let before = &self.events[..self.points[row.point].events];
                    let behind = row.behind.iter();
                    let behind = behind.map(|behind| (behind.when, behind.seen.as_slice()));
                    let all = behind.chain([(row.when, recovery.seen.as_slice())]);
                    let recoveries: Vec<_> = all
                        .zip(&row.cuts)
                        .map(|((when, seen), cut)| (when, cut.mode, seen))
                        .collect();
                    let facts = &self.explorer.facts;
                    if let Some(breach) = run::keeps_rules(facts, before, fresh, &recoveries) {
                        (outcome, because) = (Outcome::Broken, breach);
                    }
                }
                held.insert(place, (outcome, because.clone()));
                Some((outcome, because))
            })
            .collect()
    }

    /// What the codes that open come to.
    fn set(&self, key: u64, context: &Context) -> Option<(Outcome, String)> {
        if let Some(fault) = self.explorer.found[&key].fault() {
            return Some((Outcome::Broken, format!("dead: the lock reports '{fault}'")));
        }
        let mut opens = BTreeSet::new();
        let mut silent = Vec::new();
        for code in &self.candidates {
            let digits = digits(self.flow, code);
            match self.explorer.answers.get(&(key, digits.clone()))? {
                Answer::Opens => _ = opens.insert(digits),
                Answer::Refuses => {}
                Answer::Silent => silent.push(code.to_string()),
                Answer::OpensInLockout => {
                    return Some((
                        Outcome::Broken,
                        format!("I3: {code} opens during the lockout"),
                    ));
                }
            }
        }
        if !silent.is_empty() {
            return Some((
                Outcome::Broken,
                format!("dead: no answer to {}", silent.join(", ")),
            ));
        }
        let named = |set: &BTreeSet<Code>| -> String {
            let names = self
                .candidates
                .iter()
                .filter(|code| set.contains(&digits(self.flow, code)));
            let names: Vec<String> = names.map(CodeUse::to_string).collect();
            if names.is_empty() {
                "no code".to_owned()
            } else {
                names.join(" and ")
            }
        };
        let outcome = if opens == context.old {
            Outcome::Old
        } else if opens == context.new {
            Outcome::New
        } else if context.factory.as_ref() == Some(&opens) {
            Outcome::Factory
        } else {
            let kind = if opens.is_empty() { "none" } else { "mixed" };
            let mut right = named(&context.old);
            if context.new != context.old {
                right = format!("{right} or {}", named(&context.new));
            }
            let because = format!(
                "{kind}: {} opens, where it should be {right}",
                named(&opens)
            );
            return Some((Outcome::Broken, because));
        };
        Some((outcome, String::new()))
    }

    fn by_phase(
        &self,
        rows: &[Row],
        judged: &[Option<(Outcome, String)>],
        states: &mut HashMap<String, HashSet<u64>>,
    ) -> Vec<Phase> {
        let mut phases: Vec<Phase> = Vec::new();
        let mut points = HashSet::new();
        for (row, judged) in rows.iter().zip(judged) {
            let name = &self.phases[row.point];
            let at = phases
                .iter()
                .position(|phase| phase.phase == *name)
                .unwrap_or_else(|| {
                    phases.push(Phase {
                        phase: name.clone(),
                        ..Phase::default()
                    });
                    phases.len() - 1
                });
            let phase = &mut phases[at];
            phase.exist += 1;
            phase.points += u64::from(points.insert(row.point));
            phase.states += u64::from(states.entry(name.clone()).or_default().insert(row.state));
            if let Some((outcome, _)) = judged {
                phase.covered += 1;
                *phase.outcomes.entry(*outcome).or_default() += 1;
            }
        }
        phases
    }

    /// Adds a broken cut to the window of its kind, or begins one.
    fn note(&self, explored: &mut Explored, row: &Row, because: &str) {
        let point = &self.points[row.point];
        let at = point.at.to_string();
        if let Some(known) = explored
            .failures
            .iter_mut()
            .find(|failure| failure.because == because && failure.row.len() == row.cuts.len())
        {
            known.count += 1;
            known.last = at;
            return;
        }
        explored.failures.push(Failure {
            because: because.to_owned(),
            cuts: row
                .cuts
                .iter()
                .map(|cut| (cut.at.to_string(), cut.mode.to_string()))
                .collect(),
            first: at.clone(),
            last: at,
            count: 1,
            reproducer: None,
            row: row.cuts.clone(),
            old: point.old.clone(),
            new: point.new.clone(),
            resets: point.resets,
        });
    }

    fn context_numbers(&self) -> Vec<usize> {
        let mut numbers: HashMap<&Context, usize> = HashMap::new();
        self.contexts
            .iter()
            .map(|context| {
                let next = numbers.len();
                *numbers.entry(context).or_insert(next)
            })
            .collect()
    }

    /// Every cut of every write of the recoveries, but for those that leave nothing new because the flash
    /// was the same before the same write.
    fn further_rows(
        &self,
        rows: &[Row],
        starts: &HashMap<u64, Vec<Written>>,
        written: &mut HashSet<(Written, usize)>,
        contexts: &[usize],
        tell: Progress<'_>,
    ) -> Result<Vec<Row>, DeviceTrouble> {
        let mut to_do: Vec<(&Row, Vec<usize>)> = Vec::new();
        for row in rows {
            let Some(writes) = starts.get(&row.state) else {
                continue;
            };
            let context = contexts[row.point];
            let new: Vec<usize> = (0..writes.len())
                .filter(|&nth| written.insert((writes[nth], context)))
                .collect();
            if !new.is_empty() {
                to_do.push((row, new));
            }
        }
        let further = parallel(
            &to_do,
            self.explorer.options.jobs,
            &self.explorer.stop,
            |done| tell("cutting recoveries", done, to_do.len() as u64),
            |(row, writes)| {
                let mut further = Vec::new();
                let mut nth = 0;
                let last = writes.iter().max().copied().unwrap_or(0);
                self.recover(row, &mut |bench, operation, seen| {
                    if writes.contains(&nth) {
                        let at = CutAt {
                            kind: CutKind::FlashOp,
                            number: nth as u32 + 1,
                        };
                        let mut behind = row.behind.clone();
                        behind.push(Behind {
                            when: row.when,
                            seen: Arc::new(seen.to_vec()),
                        });
                        for mode in modes::of(operation, bench, Detail::Coarse) {
                            if let Some(state) =
                                state_after(bench, mode, (&self.flow.name, row.state))
                            {
                                let mut cuts = row.cuts.clone();
                                cuts.push(Cut { at, mode });
                                further.push(Row {
                                    point: row.point,
                                    cuts,
                                    state,
                                    when: bench.now(),
                                    behind: behind.clone(),
                                });
                            }
                        }
                    }
                    nth += 1;
                    nth <= last
                })?;
                Ok(further)
            },
        );
        let mut all = Vec::new();
        for further in further.into_iter().flatten() {
            all.extend(further?);
        }
        Ok(all)
    }

    /// Longer rows, each further cut at a random write of the recovery before it.
    fn at_random(
        &mut self,
        explored: &mut Explored,
        rows: &[Row],
        outcomes: &mut [BTreeMap<Outcome, u64>],
        tell: Progress<'_>,
    ) -> Result<(), DeviceTrouble> {
        if rows.is_empty() {
            return Ok(());
        }
        let (budget, seed) = (
            u64::from(self.explorer.options.budget),
            self.explorer.options.seed,
        );
        let walks: Vec<u64> = (0..budget).collect();
        let found = parallel(
            &walks,
            self.explorer.options.jobs,
            &self.explorer.stop,
            |done| tell("at random", done, budget),
            |walk| self.walk(&mut Random::new(seed, *walk), rows),
        );
        let mut walked: Vec<Row> = Vec::new();
        for row in found.into_iter().flatten() {
            walked.extend(row?);
        }
        self.start(&walked, tell)?;
        self.ask(&walked, tell)?;
        let judged = self.judge(&walked);
        let depth = walked.iter().map(|row| row.cuts.len()).max().unwrap_or(0) as u32;
        let mut summary = Depth {
            depth,
            exhaustive: false,
            exist: walked.len() as u64,
            ..Depth::default()
        };
        let mut states = HashSet::new();
        for (row, judged) in walked.iter().zip(judged) {
            let Some((outcome, because)) = judged else {
                continue;
            };
            summary.covered += 1;
            summary.states += u64::from(states.insert(row.state));
            *summary.outcomes.entry(outcome).or_default() += 1;
            *outcomes[row.point].entry(outcome).or_default() += 1;
            if outcome == Outcome::Broken {
                self.note(explored, row, &because);
            }
        }
        explored.depths.push(summary);
        Ok(())
    }

    fn walk(&self, random: &mut Random, rows: &[Row]) -> Result<Option<Row>, DeviceTrouble> {
        let mut row = rows[random.below(rows.len())].clone();
        let further = 1 + random.below(3);
        for _ in 0..further {
            let mut writes = 0;
            self.recover(&row, &mut |_, _, _| {
                writes += 1;
                true
            })?;
            if writes == 0 {
                break;
            }
            let wanted = random.below(writes);
            let (mut nth, mut next) = (0, None);
            self.recover(&row, &mut |bench, operation, seen| {
                if nth == wanted {
                    let modes = modes::of(operation, bench, Detail::Every);
                    let mode = modes[random.below(modes.len())];
                    let at = CutAt {
                        kind: CutKind::FlashOp,
                        number: nth as u32 + 1,
                    };
                    let seen = Arc::new(seen.to_vec());
                    next = state_after(bench, mode, (&self.flow.name, row.state))
                        .map(|state| (Cut { at, mode }, state, bench.now(), seen));
                }
                nth += 1;
                nth <= wanted
            })?;
            let Some((cut, state, when, seen)) = next else {
                break;
            };
            let before = std::mem::replace(&mut row.when, when);
            row.behind.push(Behind { when: before, seen });
            row.cuts.push(cut);
            row.state = state;
        }
        Ok((row.cuts.len() > 1).then_some(row))
    }
}

/// The verdict of a run, and why.
fn verdict_of(events: &[Event]) -> (Verdict, String) {
    match events.last().map(|last| &last.what) {
        Some(What::Finished {
            verdict, because, ..
        }) => (*verdict, because.clone()),
        _ => (Verdict::Aborted, "the run has no end".to_owned()),
    }
}

fn fork(bench: &Mutex<Bench>) -> Option<Bench> {
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
    let mut hasher = DefaultHasher::new();
    match mode {
        CutMode::Bounce(_) => (state, mode).hash(&mut hasher),
        CutMode::Sag(_) => (state, mode, volatile).hash(&mut hasher),
        _ => return Some(state),
    }
    Some(hasher.finish())
}

fn written(bench: &mut Bench, operation: CutPoint) -> Written {
    let mut hasher = DefaultHasher::new();
    let state = bench.branch().map(|branch| branch.lasting_state());
    (state, format!("{:?}", operation.change)).hash(&mut hasher);
    hasher.finish()
}

fn digits(flow: &Flow, code: &CodeUse) -> Code {
    digits_of(flow, code).expect("a flow names only codes that there are")
}

fn digits_of(flow: &Flow, code: &CodeUse) -> Option<Code> {
    match code {
        CodeUse::Named(name) => flow.codes.get(name).cloned(),
        CodeUse::Literal(code) => Some(code.clone()),
        CodeUse::Known(known) => flow.profile().known_code(*known),
    }
}

/// The phase that a moment of a run belongs to, else the step.
fn phase(before: &[Event]) -> String {
    let mut steps = Vec::new();
    let mut phase = None;
    for event in before {
        match &event.what {
            What::StepStarted {
                step,
                inside,
                doing,
                procedure,
                ..
            } => {
                if inside.is_none() {
                    steps.clear();
                    phase = None;
                }
                steps.retain(|(number, _)| Some(*number) <= *inside);
                let name = procedure
                    .as_ref()
                    .map_or_else(|| doing.clone(), |name| format!("do {name}"));
                steps.push((*step, name));
            }
            What::PhaseEntered { phase: entered } => phase = Some(entered.clone()),
            _ => {}
        }
    }
    let step = steps.first().map_or_else(
        || "before the first step".to_owned(),
        |(_, name)| name.clone(),
    );
    match phase {
        Some(phase) => format!("{phase} {step}"),
        None => step,
    }
}

/// Numbers from a seed: SplitMix64.
struct Random(u64);

impl Random {
    fn new(seed: u64, stream: u64) -> Random {
        Random(seed ^ stream.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }
}
