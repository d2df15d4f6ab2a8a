//! A scenario set against a profile: the runs, with every name replaced and every procedure
//! written out. What cannot be run on this product is skipped with the reason; what is wrong is
//! refused at its place in the scenario.

mod call;
mod cylinder;
mod expand;
mod show;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Nanos;
use crate::profile::codes::{Code, Declared};
use crate::profile::{Button, Product, Profile, Signal};
use crate::quantity::{Millivolts, Percent};
use crate::source::{Problems, Refused};
use crate::step::{
    Ability, Access, Bindings, BoltState, Bound, Cut, DoorState, Drop, GlitchMode, InstructionAt,
    KeyKind, KnownCode, Phase, PhaseLabel, Refusal, Times, WaitFor,
};

use super::Scenario;
pub use cylinder::{Handling, KeySet};
use expand::Expansion;

/// How far inside a hold window a hold is placed, how far below it a hold is too short, and how long
/// after its end a documented time is over: the uncertainty of a measured time (k = 2), taken twice,
/// and one key scan of the lock.
pub const TIME_MARGIN: Nanos = Nanos(100_000_000);

/// How far below a documented battery level the supply is set.
pub const SUPPLY_MARGIN: Millivolts = Millivolts(100);

/// One run of a scenario on a product, or the reason why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRun {
    /// The scenario.
    pub scenario: String,
    /// The profile.
    pub profile: String,
    /// Which values the scenario's variants have: `off=1 s, passed=10 %`; empty without variants.
    pub variant: String,
    /// What is done.
    pub course: Course,
}

/// What becomes of a planned run.
#[derive(Clone, Debug, PartialEq)]
pub enum Course {
    /// It runs.
    Runs(Script),
    /// It does not, for this reason.
    Skipped(String),
}

/// All that is done in one run.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Script {
    /// The codes of the scenario that this run uses, to be made by
    /// [`codes::generate`](crate::profile::codes::generate).
    pub codes: BTreeMap<String, Declared>,
    /// The keys of the scenario, on a cylinder.
    pub keys: BTreeMap<String, KeyKind>,
    /// Brings about what the scenario says is given.
    pub setup: Vec<Act>,
    /// The scenario's steps.
    pub steps: Vec<Act>,
    /// What is done in the end, whatever happened.
    pub finally: Vec<Act>,
    /// How the bolt is thrown again after an opening; empty where it relocks by itself.
    pub lock: Vec<Act>,
}

impl Script {
    /// What a person is asked in it.
    pub fn questions(&self) -> Vec<&str> {
        let acts = [&self.setup, &self.steps, &self.finally]
            .into_iter()
            .flatten();
        acts.flat_map(Act::questions).collect()
    }
}

/// Something that is done, and what must then be seen. [`Display`](std::fmt::Display) says it in
/// words, as events do.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// `file:line` of its step in the scenario or in the profile.
    pub place: String,
    /// What is done.
    pub doing: Doing,
    /// Which phase it is, for interruptions and reports.
    pub phase: PhaseLabel,
    /// What must then be seen.
    pub expect: Option<Expected>,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Doing {
    /// Enters a code.
    Enter {
        /// The code.
        code: CodeUse,
        /// The key that ends the entry.
        submit: Option<String>,
        /// How often.
        times: Times,
    },
    /// Presses and releases contacts, together where there are several.
    Press {
        /// Which.
        contacts: Vec<Contact>,
        /// How long they are closed.
        lasts: Nanos,
        /// How often.
        times: u32,
    },
    /// Holds a contact and measures for how long.
    Hold {
        /// Which.
        contact: Contact,
        /// How long, from the end of `during` on.
        lasts: Nanos,
        /// What is done first while it is held.
        during: Vec<Act>,
    },
    /// Sets the supply.
    Supply {
        /// The terminal voltage; none for no battery.
        millivolts: Option<Millivolts>,
        /// How long to wait then.
        lasts: Option<Nanos>,
    },
    /// Moves the door.
    Door(DoorState),
    /// The bolt must be there.
    Bolt(BoltState),
    /// Asks the person at the bench.
    Ask {
        /// What, in words.
        question: String,
        /// By when they have to answer.
        within: Nanos,
    },
    /// Tries to read flash through the debug port.
    Readout(Access),
    /// Lets time pass.
    Wait {
        /// What for.
        until: WaitFor,
        /// Only this share of it.
        share: Option<Percent>,
        /// The time itself, or the bound of what is waited for.
        at_most: Nanos,
    },
    /// Carries out a procedure of the profile.
    Do {
        /// Its name.
        procedure: String,
        /// Its steps. Of one that must be refused they end with the first that would be answered.
        acts: Vec<Act>,
        /// Whether the lock must not carry it out.
        refused: Refusal,
        /// What a success changes in the lock.
        effect: Effect,
    },
    /// The code must open.
    Opens {
        /// The code.
        code: CodeUse,
        /// The key that ends the entry.
        submit: Option<String>,
        /// How often.
        times: u32,
    },
    /// The code must not open.
    Refuses {
        /// The code.
        code: CodeUse,
        /// The key that ends the entry.
        submit: Option<String>,
        /// How often.
        times: u32,
    },
    /// Makes the supply fail while acts are carried out; what would come later is not done.
    Interrupt {
        /// In this phase: the first act that is labelled with it.
        at: Phase,
        /// In this way.
        how: Drop,
        /// For so long.
        lasts: Nanos,
        /// The acts.
        acts: Vec<Act>,
    },
    /// Loses the supply at exact points: the first among those of the acts, each further one in the
    /// recovery from the one before. There is at least one.
    InterruptAt {
        /// The points.
        cuts: Vec<Cut>,
        /// For so long each time.
        lasts: Nanos,
        /// The acts.
        acts: Vec<Act>,
    },
    /// One instruction of the lock's program goes wrong while acts are carried out.
    Glitch {
        /// In which of the entries that must not open, from 1.
        entry: u32,
        /// Which instruction, from the entry's last key on.
        at: InstructionAt,
        /// What goes wrong.
        mode: GlitchMode,
        /// The acts.
        acts: Vec<Act>,
    },
    /// The lock must hold exactly one of these sets of codes.
    Settles(Vec<ResolvedSet>),
    /// Handles the keys of a cylinder; in no plan for a lock with a keypad.
    Handle(Handling),
    /// Only waits for what is expected.
    Expect,
}

/// A code that a run uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodeUse {
    /// One that the scenario declares, by its name.
    Named(String),
    /// A literal in the file.
    Literal(Code),
    /// One that the profile gives, or that manuals warn of.
    Known(KnownCode),
}

/// A contact of the bench.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// A button.
    Button(Button),
    /// A key, by its label.
    Key(String),
}

/// What a success of a procedure changes in the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing, or only what the procedures inside it change.
    None,
    /// What a success would change, or nothing: it has to be found out.
    Unknown {
        /// What a success would change, in turn.
        at_most: Vec<Effect>,
    },
    /// The code no longer opens.
    DeletesUserCode {
        /// The code.
        code: CodeUse,
    },
    /// What the profile says that a reset erases.
    Resets,
    /// This code opens from now on; what was in the slot does not.
    StoresUserCode {
        /// The code.
        code: CodeUse,
        /// The slot, from 1; 0 for the first that is free.
        slot: u32,
    },
    /// This is the master code from now on.
    StoresMasterCode {
        /// The code.
        code: CodeUse,
    },
    /// This key turns the cylinder from now on, and no other.
    LearnsKey {
        /// The key.
        key: String,
    },
}

/// What must be seen after an act.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// A signal.
    Signal {
        /// Its name.
        name: String,
        /// Its pattern; none where neither a source nor the reference choices give one.
        pattern: Option<Signal>,
        /// By when.
        within: Nanos,
        /// Whether a source documents it. If not, only the reference firmware is held to it.
        promised: bool,
        /// Whether it must be seen, or must not.
        seen: bool,
    },
    /// No lamp and no beep for so long.
    Nothing {
        /// How long.
        within: Nanos,
    },
}

/// A set of codes that a lock may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedSet {
    /// Its name in the scenario.
    pub name: String,
    /// The codes; none for a lock without any.
    pub codes: Vec<CodeUse>,
}

impl Act {
    /// The codes that this act itself uses.
    pub fn codes(&self) -> Vec<&CodeUse> {
        match &self.doing {
            Doing::Enter { code, .. }
            | Doing::Opens { code, .. }
            | Doing::Refuses { code, .. }
            | Doing::Do {
                effect:
                    Effect::StoresUserCode { code, .. }
                    | Effect::DeletesUserCode { code }
                    | Effect::StoresMasterCode { code },
                ..
            } => vec![code],
            Doing::Settles(sets) => sets.iter().flat_map(|set| &set.codes).collect(),
            _ => Vec::new(),
        }
    }

    /// What this act, and those inside it, ask a person.
    pub fn questions(&self) -> Vec<&str> {
        let own = match &self.doing {
            Doing::Ask { question, .. } => Some(question.as_str()),
            _ => None,
        };
        let inner = self.inner().iter().flat_map(Act::questions);
        own.into_iter().chain(inner).collect()
    }

    /// The acts inside this one.
    pub fn inner(&self) -> &[Act] {
        match &self.doing {
            Doing::Hold { during: acts, .. }
            | Doing::Do { acts, .. }
            | Doing::Interrupt { acts, .. }
            | Doing::InterruptAt { acts, .. }
            | Doing::Glitch { acts, .. }
            | Doing::Handle(Handling::StopAt { acts, .. }) => acts,
            _ => &[],
        }
    }
}

/// The runs of a scenario on a product, in a stable order: the first variant of the file changes
/// slowest.
pub fn plan(scenario: &Scenario, profile: &Profile) -> Result<Vec<PlannedRun>, Refused> {
    let abilities = profile.abilities();
    let lacks = |ability: &Ability| expand::lacks(profile, ability);
    each_variant(
        scenario,
        profile.id(),
        &abilities,
        lacks,
        |bindings, problems| {
            let mut expansion = Expansion::new(scenario, profile, &abilities, problems);
            let script = expansion.script(bindings);
            script.ok_or_else(|| expansion.skipped().unwrap_or_default())
        },
    )
}

/// The runs of a scenario on a product with these abilities. `script` expands one variant, or says why
/// not; mistakes of the file it leaves among the problems.
fn each_variant(
    scenario: &Scenario,
    product: &str,
    abilities: &BTreeSet<Ability>,
    lacks: impl Fn(&Ability) -> String,
    script: impl Fn(&Bindings, &mut Problems) -> Result<Script, String>,
) -> Result<Vec<PlannedRun>, Refused> {
    let planned = |variant: String, course: Course| PlannedRun {
        scenario: scenario.id().to_owned(),
        profile: product.to_owned(),
        variant,
        course,
    };
    let needs = scenario.needs.iter().map(|need| &need.value);
    let lacking: Vec<String> = needs
        .filter(|need| !abilities.contains(need))
        .map(lacks)
        .collect();
    if !lacking.is_empty() {
        let course = Course::Skipped(lacking.join("; "));
        return Ok(vec![planned(String::new(), course)]);
    }
    let mut problems = Problems::default();
    let mut runs: Vec<PlannedRun> = Vec::new();
    for (variant, bindings) in combinations(scenario) {
        let course = match script(&bindings, &mut problems) {
            Ok(script) => without_twin(script, &runs),
            Err(why) => Course::Skipped(why),
        };
        runs.push(planned(variant, course));
    }
    if problems.is_empty() {
        Ok(runs)
    } else {
        Err(scenario.source().refuse(problems.into_vec()))
    }
}

/// The runs of a scenario on any product.
pub fn plan_on(scenario: &Scenario, product: &Product) -> Result<Vec<PlannedRun>, Refused> {
    match product {
        Product::Lock(profile) => plan(scenario, profile),
        Product::Cylinder(cylinder) => cylinder::plan(scenario, cylinder),
    }
}

/// A script that an earlier variant has already is not run a second time.
fn without_twin(script: Script, earlier: &[PlannedRun]) -> Course {
    let twin = earlier
        .iter()
        .find(|run| run.course == Course::Runs(script.clone()));
    match twin {
        Some(twin) => Course::Skipped(format!(
            "on this product it is the same as {}",
            twin.variant
        )),
        None => Course::Runs(script),
    }
}

/// Every combination of the variants' values, with its label.
fn combinations(scenario: &Scenario) -> Vec<(String, Bindings)> {
    let mut combinations = vec![(String::new(), scenario.declared())];
    for (name, values) in scenario.variants.iter() {
        combinations = combinations
            .iter()
            .flat_map(|(label, bindings)| {
                values.iter().map(move |value| {
                    let comma = if label.is_empty() { "" } else { ", " };
                    let written = value.0.scalar().unwrap_or_default();
                    let label = format!("{label}{comma}{}={written}", name.value);
                    let mut bindings = bindings.clone();
                    bindings.insert(name.value.clone(), Bound::Written(value.0.clone()));
                    (label, bindings)
                })
            })
            .collect();
    }
    combinations
}

/// What an `ask` step does, on every kind of product.
fn asking(ask: &crate::step::Ask) -> Doing {
    Doing::Ask {
        question: ask.ask.value.clone(),
        within: ask.within,
    }
}
