//! What came of the glitches of a decision, as counts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::timing::Timing;
use super::{Judged, Outcomes, at};
use crate::port::Instruction;
use crate::step::{GlitchMode, InstructionAt};
use crate::verdict::Verdict;

/// What a lock does under a glitch with a code that must not open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The bolt was withdrawn.
    Open,
    /// The bolt stayed, and the lock showed something.
    Closed,
    /// It reported a fault, or started anew.
    Fault,
    /// It did and showed nothing.
    Hang,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 4] = [
        Outcome::Open,
        Outcome::Closed,
        Outcome::Fault,
        Outcome::Hang,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Open => "open",
            Outcome::Closed => "closed",
            Outcome::Fault => "fault",
            Outcome::Hang => "hang",
        }
    }
}

/// What came of one entry of a flow.
#[derive(Serialize)]
pub struct Explored {
    /// The flow's name.
    pub flow: String,
    /// Scenario.
    pub scenario: String,
    /// Product.
    pub profile: String,
    /// Variant.
    pub variant: String,
    /// Bench.
    pub bench: String,
    /// Which of the entries that must not open, from 1.
    pub entry: u32,
    /// `pass`, `finding`, or why it was not looked at.
    pub verdict: Verdict,
    /// The reason in one sentence.
    pub because: String,
    /// What glitches are worth as evidence: all of this is of the virtual bench.
    pub evidence: &'static str,
    /// Glitches that exist.
    pub glitches: u64,
    /// Those whose outcome is known.
    pub judged: u64,
    /// States that they left, and that were not that of a right instruction.
    pub states: u64,
    /// How often each outcome came.
    pub outcomes: Outcomes,
    /// By what went wrong.
    pub models: Vec<Model>,
    /// The instructions in their order.
    pub instructions: Vec<Mark>,
    /// The places whose glitches open, in the order in which they are come to.
    pub opens: Vec<Open>,
    /// Whether time and current tell how many digits were right; none where that was not looked at.
    pub timing: Option<Timing>,
}

/// The glitches of one kind.
#[derive(Serialize)]
pub struct Model {
    /// `skip 1`, `flip`, `zeros`, `ones`.
    pub model: String,
    /// How often each outcome came.
    pub outcomes: Outcomes,
}

/// An instruction.
#[derive(Serialize)]
pub struct Mark {
    /// Which one, from 1 at the order to press the last key.
    pub instruction: u64,
    /// Its address.
    pub address: u32,
    /// How often each outcome came.
    pub outcomes: Outcomes,
}

/// A place of the program whose glitches open.
#[derive(Serialize)]
pub struct Open {
    /// Its address.
    pub address: u32,
    /// Where it stands in the source, or near which symbol.
    pub place: Option<String>,
    /// `instruction 1234`, the first time that it opens.
    pub at: String,
    /// What goes wrong there and then, the first of it.
    pub mode: String,
    /// Everything that opens when it goes wrong there.
    pub modes: Vec<String>,
    /// How many glitches of it open: it may be executed more than once.
    pub count: u64,
    /// The scenario that shows it, below the report's folder.
    pub reproducer: Option<String>,
    #[serde(skip)]
    pub(super) first: InstructionAt,
}

fn model(mode: GlitchMode) -> String {
    match mode {
        GlitchMode::Skip(_) => mode.to_string(),
        _ => mode.word().to_owned(),
    }
}

impl Explored {
    pub(super) fn ended(mut self, verdict: Verdict, because: &str) -> Explored {
        self.verdict = verdict;
        because.clone_into(&mut self.because);
        self
    }

    /// Counts what came of the instructions; those behind the last row were not looked at.
    pub(super) fn count(
        &mut self,
        instructions: &[Instruction],
        rows: &[Vec<Judged>],
        wanted: &[String],
        place: impl Fn(u32) -> Option<String>,
    ) {
        let mut models: Vec<Model> = [
            "skip 1", "skip 2", "skip 3", "skip 4", "flip", "zeros", "ones",
        ]
        .map(|model| Model {
            model: model.to_owned(),
            outcomes: Outcomes::new(),
        })
        .into();
        let mut opens: BTreeMap<u32, Open> = BTreeMap::new();
        self.glitches = instructions
            .iter()
            .map(|instruction| super::glitches(instruction, wanted).count() as u64)
            .sum();
        for (instruction, row) in instructions.iter().zip(rows) {
            let mut outcomes = Outcomes::new();
            for Judged { mode, outcome } in row {
                self.judged += 1;
                *outcomes.entry(*outcome).or_default() += 1;
                *self.outcomes.entry(*outcome).or_default() += 1;
                let name = model(*mode);
                if let Some(model) = models.iter_mut().find(|model| model.model == name) {
                    *model.outcomes.entry(*outcome).or_default() += 1;
                }
                if *outcome == Outcome::Open {
                    let address = instruction.address;
                    let open = opens.entry(address).or_insert_with(|| Open {
                        address,
                        place: place(address),
                        at: at(instruction).to_string(),
                        mode: mode.to_string(),
                        modes: Vec::new(),
                        count: 0,
                        reproducer: None,
                        first: at(instruction),
                    });
                    open.count += 1;
                    if !open.modes.contains(&mode.to_string()) {
                        open.modes.push(mode.to_string());
                    }
                }
            }
            self.instructions.push(Mark {
                instruction: instruction.number,
                address: instruction.address,
                outcomes,
            });
        }
        models.retain(|model| !model.outcomes.is_empty());
        self.models = models;
        self.opens = opens.into_values().collect();
        self.opens.sort_by_key(|open| open.first);
    }

    pub(super) fn judge(self) -> Explored {
        let count = self.outcomes.get(&Outcome::Open).copied().unwrap_or(0);
        if let Some(first) = self.opens.first() {
            let place = first.place.as_deref().map(|place| format!(" ({place})"));
            let because = format!(
                "{count} of {} glitches open; the first is '{}' of {} at {:#x}{}",
                self.judged,
                first.mode,
                first.at,
                first.address,
                place.unwrap_or_default()
            );
            return self.ended(Verdict::Finding, &because);
        }
        let told = self.timing.as_ref().and_then(|timing| timing.told.clone());
        if let Some(told) = told {
            return self.ended(Verdict::Finding, &format!("I6: {told}"));
        }
        let because = format!("none of {} glitches opens", self.judged);
        self.ended(Verdict::Pass, &because)
    }
}
