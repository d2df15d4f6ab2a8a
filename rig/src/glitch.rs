//! Every instruction that can go wrong while a lock decides on a code, and whether one of them opens it.
//!
//! [`Explorer::explore`] carries a flow out once and keeps a fork of the bench at the last key of an entry of
//! a code that must not open. From there to what the lock shows (`decision`) it is gone instruction by
//! instruction; before each the bench is forked for every glitch, which then goes on at full speed until the
//! time is over in which a bolt would be withdrawn. Glitches that leave the same state are judged once.
//! `timing` enters other wrong codes in the same place and counts cycles; `report` counts the rest.
//!
//! What is found does not depend on the number of jobs.

mod decision;
pub mod picture;
mod report;
pub mod reproducer;
mod timing;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::bench::Bench;
use crate::campaign::Prepared;
use crate::cuts::parallel::parallel;
use crate::cuts::{self, Flow, Progress};
use crate::driver::DeviceTrouble;
use crate::event::What;
use crate::image::Lines;
use crate::port::Instruction;
use crate::run::{self, Entry, Setup};
use crate::scenario::{Act, Doing, Script};
use crate::step::{GlitchMode, InstructionAt};
use crate::verdict::Verdict;

use decision::Decision;
pub use report::{Explored, Mark, Model, Open, Outcome};
pub use timing::{Guess, Timing};

/// What to look at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which of the entries that must not open, from 1; none is all.
    pub entry: Option<u32>,
    /// What goes wrong, by the words of [`GlitchMode`], with or without a number; empty is everything.
    pub modes: Vec<String>,
    /// Only so many instructions, the last before the answer.
    pub last: Option<u32>,
    /// How many at once.
    pub jobs: usize,
    /// The seed of the run.
    pub seed: u64,
}

/// A board with its product.
pub struct Explorer<'l> {
    prepared: Mutex<Bench>,
    receipt: Option<What>,
    bench: String,
    options: Options,
    lines: &'l Lines,
    stop: Arc<AtomicBool>,
}

/// How often each outcome came.
pub type Outcomes = BTreeMap<Outcome, u64>;

/// What came of a glitch at an instruction.
struct Judged {
    mode: GlitchMode,
    outcome: Outcome,
}

/// The steps of a scenario without the glitches that it has of its own.
pub fn flow_of(script: &Script) -> Script {
    fn plain(acts: &[Act]) -> Vec<Act> {
        acts.iter()
            .flat_map(|act| match &act.doing {
                Doing::Glitch { acts, .. } => plain(acts),
                _ => vec![act.clone()],
            })
            .collect()
    }
    Script {
        steps: plain(&script.steps),
        finally: Vec::new(),
        ..script.clone()
    }
}

/// Every glitch that an instruction can suffer.
fn glitches(instruction: &Instruction, wanted: &[String]) -> impl Iterator<Item = GlitchMode> {
    let Instruction { bits, writes, .. } = *instruction;
    let written = (0..15).filter(move |register| writes >> register & 1 != 0);
    let skips = (1..=4).map(GlitchMode::Skip);
    let flips = (0..bits).map(GlitchMode::Flip);
    let stuck = written.flat_map(|one| [GlitchMode::Zeros(one), GlitchMode::Ones(one)]);
    let all = skips.chain(flips).chain(stuck);
    all.filter(move |mode| wanted.is_empty() || wanted.iter().any(|word| is_like(mode, word)))
}

/// Whether a glitch is what a word says: `skip`, or `skip 1`.
fn is_like(mode: &GlitchMode, word: &str) -> bool {
    word == mode.word() || word == mode.to_string()
}

/// How many instructions are gone through from one fork, at least.
const CHUNK: usize = 8;
/// How many forks are kept, at most.
const FORKS_MAX: usize = 1_000;

impl<'l> Explorer<'l> {
    /// Around a bench whose board is flashed with the image that `lines` are of. `stop` ends everything early.
    pub fn new(
        prepared: Prepared,
        lines: &'l Lines,
        options: Options,
        stop: Arc<AtomicBool>,
    ) -> Explorer<'l> {
        Explorer {
            bench: prepared.bench.file().name.clone(),
            receipt: prepared.receipt,
            prepared: Mutex::new(prepared.bench),
            options,
            lines,
            stop,
        }
    }

    /// Tries every glitch of the entries that are asked for; one result for each of them.
    ///
    /// # Errors
    /// An instrument that does not do what it was told.
    pub fn explore(&self, flow: &Flow, tell: Progress<'_>) -> Result<Vec<Explored>, DeviceTrouble> {
        tell("the flow itself", 0, 1);
        let Some(mut bench) = cuts::fork(&self.prepared) else {
            let real = "the bench is real: only on a virtual one can one instruction go wrong";
            return Ok(vec![self.blank(flow, 0).ended(Verdict::Skipped, real)]);
        };
        let (events, entries) = run::entries(Setup {
            plan: &flow.plan,
            script: &flow.script,
            profile: &flow.product,
            codes: &flow.codes,
            seed: self.options.seed,
            files: Vec::new(),
            flashed: self.receipt.clone(),
            rehearsal: &[],
            bench: &mut bench,
        });
        drop(bench);
        let (verdict, because) = cuts::verdict_of(&events);
        if !matches!(verdict, Verdict::Pass | Verdict::KnownFinding) {
            let because = format!("without any glitch: {because}");
            return Ok(vec![self.blank(flow, 0).ended(verdict, &because)]);
        }
        let count = entries.len();
        let wanted = |entry: &Entry| {
            self.options
                .entry
                .is_none_or(|wanted| wanted == entry.number)
        };
        let entries: Vec<Entry> = entries.into_iter().filter(wanted).collect();
        if entries.is_empty() {
            let because = match (count, self.options.entry) {
                (0, _) => "it enters no code that must not open".to_owned(),
                (_, wanted) => format!(
                    "it has {count} entries that must not open, and no entry {}",
                    wanted.unwrap_or_default()
                ),
            };
            return Ok(vec![self.blank(flow, 0).ended(Verdict::Skipped, &because)]);
        }
        entries
            .iter()
            .map(|entry| self.entry(flow, entry, tell))
            .collect()
    }

    fn blank(&self, flow: &Flow, entry: u32) -> Explored {
        Explored {
            flow: flow.name.clone(),
            scenario: flow.plan.scenario.clone(),
            profile: flow.plan.profile.clone(),
            variant: flow.plan.variant.clone(),
            bench: self.bench.clone(),
            entry,
            verdict: Verdict::Pass,
            because: String::new(),
            evidence: "virtual only",
            glitches: 0,
            judged: 0,
            states: 0,
            outcomes: Outcomes::new(),
            models: Vec::new(),
            instructions: Vec::new(),
            opens: Vec::new(),
            timing: None,
        }
    }

    fn entry(
        &self,
        flow: &Flow,
        entry: &Entry,
        tell: Progress<'_>,
    ) -> Result<Explored, DeviceTrouble> {
        let mut explored = self.blank(flow, entry.number);
        let profile = flow.profile();
        let Some(start) = Decision::begin(entry, profile)? else {
            return Ok(explored.ended(Verdict::Skipped, "the bench is real"));
        };
        let (instructions, starts) = chunks(start, self.options.last)?;
        if instructions.is_empty() {
            let because = "the lock executes nothing between the last key and what it shows";
            return Ok(explored.ended(Verdict::Skipped, because));
        }
        let total = instructions.len() as u64;
        let each = starts.first().map_or(1, |(_, size)| *size) as u64;
        let wanted = self.options.modes.as_slice();
        let lanes = parallel(
            &starts,
            self.options.jobs,
            &self.stop,
            |done| tell("instructions", (done * each).min(total), total),
            |(start, size)| lane(start, *size, wanted),
        );
        let mut rows = Vec::new();
        for lane in lanes.into_iter().flatten() {
            let (states, judged) = lane?;
            explored.states += states;
            rows.extend(judged);
        }
        explored.count(&instructions, &rows, wanted, |address| {
            self.lines.place(address)
        });
        if self.stop.load(Ordering::Relaxed) {
            return Ok(explored.ended(Verdict::Aborted, "stopped before the end"));
        }
        tell("timing", 0, 1);
        explored.timing = timing::timing(flow, entry)?;
        Ok(explored.judge())
    }
}

type Start = (Mutex<Decision>, usize);

/// The instructions of a decision, or the last of them, and forks of it before every so many, each with how many.
fn chunks(
    mut start: Decision,
    last: Option<u32>,
) -> Result<(Vec<Instruction>, Vec<Start>), DeviceTrouble> {
    let mut instructions = Vec::new();
    if let Some(mut first) = start.fork() {
        let awake = first.awake();
        while let Some(instruction) = first.next_instruction()? {
            instructions.push(instruction);
        }
        start.bound(first.awake() - awake);
    }
    let skipped = last.map_or(0, |last| instructions.len().saturating_sub(last as usize));
    instructions.drain(..skipped);
    let size = instructions.len().div_ceil(FORKS_MAX).max(CHUNK);
    let mut starts = Vec::new();
    let mut gone = 0;
    while start.next_instruction()?.is_some() {
        if gone >= skipped && (gone - skipped).is_multiple_of(size) {
            let Some(fork) = start.fork() else { break };
            let left = instructions.len() + skipped - gone;
            starts.push((Mutex::new(fork), size.min(left)));
        }
        gone += 1;
    }
    Ok((instructions, starts))
}

/// Every glitch of some instructions from one fork on, which stands before the first; also how many different
/// states they left.
fn lane(
    start: &Mutex<Decision>,
    size: usize,
    wanted: &[String],
) -> Result<(u64, Vec<Vec<Judged>>), DeviceTrouble> {
    let mut start = start.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rows = Vec::new();
    let mut states = 0;
    let Some(mut walker) = start.fork() else {
        return Ok((0, rows));
    };
    let mut here = walker.stands_before();
    for _ in 0..size {
        let Some(instruction) = here else { break };
        let mut known: HashMap<(u64, u64), Outcome> = HashMap::new();
        if let Some(right) = walker.after(None) {
            known.insert(right.1, Outcome::Closed);
        }
        let mut row = Vec::new();
        for mode in glitches(&instruction, wanted) {
            let Some((decision, state)) = walker.after(Some(mode)) else {
                continue;
            };
            let outcome = match known.get(&state) {
                Some(known) => *known,
                None => {
                    states += 1;
                    let outcome = decision.outcome()?;
                    known.insert(state, outcome);
                    outcome
                }
            };
            row.push(Judged { mode, outcome });
        }
        rows.push(row);
        here = walker.next_instruction()?;
    }
    Ok((states, rows))
}

/// Where an instruction stands in a decision, as scenarios write it.
fn at(instruction: &Instruction) -> InstructionAt {
    InstructionAt(u32::try_from(instruction.number).unwrap_or(u32::MAX))
}
