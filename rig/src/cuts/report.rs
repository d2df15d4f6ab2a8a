//! What came of the cuts of a flow, as counts.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::Work;
use super::deeper::Row;
use super::judge::Judged;
use crate::event::{Event, Nanos, What};
use crate::scenario::CodeUse;
use crate::step::Cut;
use crate::verdict::Verdict;

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
    /// How many points it stands for: it, and the instructions after it at which a cut leaves the same.
    pub stands_for: u64,
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

impl Work<'_> {
    /// The cuts of depth 1 by phase, in the order of the flow.
    pub(super) fn by_phase(&self, rows: &[Row], judged: &[Option<Judged>]) -> Vec<Phase> {
        let mut states: HashMap<&str, HashSet<u64>> = HashMap::new();
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
            let count = self.stands_for(row);
            phase.exist += count;
            phase.points += if points.insert(row.point) { count } else { 0 };
            phase.states += u64::from(states.entry(name).or_default().insert(row.state));
            if let Some((outcome, _)) = judged {
                phase.covered += count;
                *phase.outcomes.entry(*outcome).or_default() += count;
            }
        }
        phases
    }

    /// Adds a broken cut to the window of its kind, or begins one.
    pub(super) fn note(&self, explored: &mut Explored, row: &Row, because: &str) {
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
}

/// The phase that a moment of a run belongs to, else the step.
pub(super) fn phase(before: &[Event]) -> String {
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
