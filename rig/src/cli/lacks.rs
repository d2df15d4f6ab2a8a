//! What a bench lacks for a run, in words: such a run is skipped, and says why.

use crate::bench::{BenchFile, Contact};
use crate::profile::Profile;
use crate::scenario::{Course, PlannedRun, Scenario};
use crate::step::Ability;

/// Who helps when something goes wrong, and what.
#[derive(Clone, Copy)]
pub(super) struct Hands {
    /// A person attends.
    pub attended: bool,
    /// The board's firmware is flashed before each run.
    pub flashes: bool,
}

impl Hands {
    /// What virtual benches have.
    pub const VIRTUAL: Hands = Hands {
        attended: false,
        flashes: true,
    };
}

/// A run on a bench that lacks what the scenario needs is skipped, and says what is missing.
pub(super) fn lacking(
    scenario: &Scenario,
    bench: &BenchFile,
    profile: Option<&Profile>,
    run: PlannedRun,
    hands: Hands,
) -> PlannedRun {
    let missing = lacks(scenario, bench, profile, &run, hands);
    match missing.is_empty() {
        true => run,
        false => PlannedRun {
            course: Course::Skipped(missing.join("; ")),
            ..run
        },
    }
}

/// What a bench lacks for a run.
pub(super) fn lacks(
    scenario: &Scenario,
    bench: &BenchFile,
    profile: Option<&Profile>,
    run: &PlannedRun,
    hands: Hands,
) -> Vec<String> {
    let has = bench.abilities();
    let needs = scenario.needs.iter().map(|need| &need.value);
    needs
        .filter(|need| is_of_the_bench(need) && !has.contains(&need.to_string()))
        .map(|need| format!("the bench '{}' has no {need}", bench.name))
        .chain(beyond(run, bench))
        .chain(virtual_only(run, bench))
        .chain(not_wired(run, bench, profile))
        .chain(ghosts(run, bench, profile))
        .chain(not_fed(run, bench, profile))
        .chain(questions(run).filter(|_| !hands.attended))
        .chain(no_way_back(bench, profile).filter(|_| !hands.flashes))
        .collect()
}

/// What a run asks a person where nobody attends.
fn questions(run: &PlannedRun) -> Option<String> {
    let Course::Runs(script) = &run.course else {
        return None;
    };
    let questions = script.questions();
    let question = questions.first()?;
    Some(format!(
        "it asks a person ('{question}'), and nobody attends"
    ))
}

/// A real lock that a run may leave shut for good.
fn no_way_back(bench: &BenchFile, profile: Option<&Profile>) -> Option<String> {
    if bench.emulates.is_some() || bench.recovery.is_some() {
        return None;
    }
    profile?;
    Some(format!(
        "no firmware is flashed on the bench '{}', so a lock that a run leaves shut stays shut: try what opens it then, and name it as 'recovery' in the bench file",
        bench.name
    ))
}

/// Keys and buttons that a run closes and that are not wired. Without a keypad at all, that is said already.
fn not_wired(run: &PlannedRun, bench: &BenchFile, profile: Option<&Profile>) -> Vec<String> {
    let (Course::Runs(script), Some(profile)) = (&run.course, profile) else {
        return Vec::new();
    };
    let has_keypad = !bench.keys().is_empty();
    crate::run::contacts(script, profile)
        .into_iter()
        .filter(|contact| has_keypad || !matches!(contact, Contact::Key(_)))
        .filter(|contact| bench.wired(contact).is_none())
        .map(|contact| format!("the bench '{}' has no {contact}", bench.name))
        .collect()
}

/// Keys that a run presses together and that the wiring cannot press so.
fn ghosts(run: &PlannedRun, bench: &BenchFile, profile: Option<&Profile>) -> Vec<String> {
    let (Course::Runs(script), Some(profile)) = (&run.course, profile) else {
        return Vec::new();
    };
    let together = crate::run::chords(script, profile).into_iter();
    let ghosts = together.filter_map(|contacts| {
        let why = bench.clash(&contacts)?;
        let names: Vec<String> = contacts.iter().map(ToString::to_string).collect();
        Some(format!(
            "the bench '{}' cannot close {} together: {why}",
            bench.name,
            names.join(" and ")
        ))
    });
    ghosts.collect()
}

/// Voltages that a run sets and that the supply of the bench does not give.
fn not_fed(run: &PlannedRun, bench: &BenchFile, profile: Option<&Profile>) -> Option<String> {
    let (Course::Runs(script), Some(profile)) = (&run.course, profile) else {
        return None;
    };
    let supply = bench.supply.as_ref()?;
    let missing: Vec<String> = crate::run::voltages(script, profile)
        .into_iter()
        .filter(|voltage| !supply.gives(*voltage))
        .map(|voltage| voltage.to_string())
        .collect();
    let (name, highest) = (&bench.name, supply.highest);
    let gives = match supply.programmable() {
        Some(_) => format!("the supply of the bench '{name}' gives {highest} at most"),
        None => format!("the cells of the bench '{name}' have {highest}"),
    };
    (!missing.is_empty()).then(|| format!("{gives}, and this needs {}", missing.join(" and ")))
}

/// What a run asks of a stage that this one cannot do.
fn beyond(run: &PlannedRun, bench: &BenchFile) -> Vec<String> {
    let (Course::Runs(script), Some(stage)) = (&run.course, &bench.stage) else {
        return Vec::new();
    };
    crate::run::beyond(script, stage)
        .into_iter()
        .map(|what| format!("the bench '{}' {what}", bench.name))
        .collect()
}

/// Why a run is of virtual benches only.
fn virtual_only(run: &PlannedRun, bench: &BenchFile) -> Option<String> {
    let Course::Runs(script) = &run.course else {
        return None;
    };
    if bench.emulates.is_some() {
        return None;
    }
    if crate::run::is_rehearsed(script) && (bench.probe.is_none() || bench.chip.is_none()) {
        return Some(format!(
            "the bench '{}' has no probe that could stop at a write",
            bench.name
        ));
    }
    crate::run::virtual_only(script)
}

/// Whether a scenario is for cylinders and the bench for boards, or the other way round.
pub(super) fn is_of_another_kind(scenario: &Scenario, bench: &BenchFile) -> bool {
    let mut needs = scenario.needs.iter().map(|need| &need.value);
    needs.any(is_of_a_stage) != bench.stage.is_some()
}

fn is_of_a_stage(need: &Ability) -> bool {
    matches!(need, Ability::Stage | Ability::KeyExchange)
}

/// What a bench has to have; everything else is the product's.
fn is_of_the_bench(need: &Ability) -> bool {
    is_of_a_stage(need)
        || matches!(
            need,
            Ability::Keypad | Ability::Bolt | Ability::Supply | Ability::Door | Ability::Probe
        )
}
