//! A run in one glance, from its events.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::event::{Event, Judgement, Nanos, What};
use crate::verdict::Verdict;

/// What is worth knowing of a run before one reads its trace.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Scenario id.
    pub scenario: String,
    /// Variant, empty where there is one only.
    pub variant: String,
    /// Profile id.
    pub profile: String,
    /// Bench name.
    pub bench: String,
    /// The verdict; a trace without its last line is `aborted`, never a pass.
    pub verdict: Verdict,
    /// The reason in one sentence.
    pub because: String,
    /// What decided it, where something did.
    pub decision: Option<Decision>,
    /// Bench time that the run took.
    pub bench_time: Nanos,
    /// Oracles by judgement: held, exempted, not observed.
    pub oracles: [Vec<String>; 3],
}

/// The event that decided a run, and where in the scenario it happened.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Its number in the trace.
    pub seq: u64,
    /// When.
    pub at: Nanos,
    /// The steps that were under way: the scenario's own first, then what it was doing inside that.
    /// Empty where it was decided after the last step.
    pub steps: Vec<StepUnderWay>,
    /// What was expected and what was seen, in words.
    pub words: String,
    /// What to try, where it is the bench.
    pub hint: Option<String>,
}

/// A step that had begun and not ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StepUnderWay {
    /// `file:line` in the scenario or profile.
    pub place: String,
    /// What it was doing.
    pub doing: String,
}

/// Summarises a run; `None` for a trace without a beginning.
pub fn summarise(events: &[Event]) -> Option<Summary> {
    let first = events.first()?;
    let What::Started {
        scenario,
        variant,
        profile,
        bench,
        ..
    } = &first.what
    else {
        return None;
    };
    let last = events.last()?;
    let (verdict, decided_by, because) = match &last.what {
        What::Finished {
            verdict,
            decided_by,
            because,
        } => (*verdict, *decided_by, because.clone()),
        _ => (
            Verdict::Aborted,
            None,
            "the trace ends before the run did".to_owned(),
        ),
    };
    let judged = |wanted: Judgement| {
        events
            .iter()
            .filter_map(|event| match &event.what {
                What::Judged {
                    oracle, judgement, ..
                } if *judgement == wanted => Some(oracle.clone()),
                _ => None,
            })
            .collect()
    };
    Some(Summary {
        scenario: scenario.clone(),
        variant: variant.clone(),
        profile: profile.clone(),
        bench: bench.clone(),
        verdict,
        because,
        decision: decided_by.and_then(|seq| decision(events, seq)),
        bench_time: last.at.since(first.at),
        oracles: [
            judged(Judgement::Held),
            judged(Judgement::Exempted),
            judged(Judgement::NotObserved),
        ],
    })
}

fn decision(events: &[Event], seq: u64) -> Option<Decision> {
    let index = usize::try_from(seq).ok()?;
    let event = events.get(index)?;
    Some(Decision {
        seq,
        at: event.at,
        steps: under_way(&events[..=index]),
        words: words(&event.what),
        hint: match &event.what {
            What::Trouble { hint, .. } if !hint.is_empty() => Some(hint.clone()),
            _ => None,
        },
    })
}

/// The innermost step that had begun and not ended when these events had happened, and those around it.
fn under_way(events: &[Event]) -> Vec<StepUnderWay> {
    let mut ended = BTreeSet::new();
    let mut steps = Vec::new();
    // The step that is looked for, once the innermost one is found.
    let mut around: Option<u32> = None;
    for event in events.iter().rev() {
        match &event.what {
            What::StepFinished { step } => {
                ended.insert(*step);
            }
            What::StepStarted {
                step,
                inside,
                place,
                doing,
                ..
            } if around.map_or(!ended.contains(step), |around| around == *step) => {
                steps.push(StepUnderWay {
                    place: place.clone(),
                    doing: doing.clone(),
                });
                match inside {
                    Some(outer) => around = Some(*outer),
                    None => break,
                }
            }
            _ => {}
        }
    }
    steps.reverse();
    steps
}

/// A fact as a sentence, for people.
fn words(what: &What) -> String {
    match what {
        What::Checked { wanted, got, .. } => format!("expected {wanted}; saw {got}"),
        What::Judged {
            oracle,
            rule,
            because,
            ..
        } => format!("{oracle}, {rule}: {because}"),
        What::Measured {
            quantity,
            value,
            unit,
            uncertainty,
            from,
            to,
            ..
        } => {
            let limit = |limit: &Option<u64>| {
                limit.map_or("unknown".to_owned(), |limit| format!("{limit} {unit}"))
            };
            format!(
                "{quantity} was {value} ± {uncertainty} {unit}; the limits are {} to {}",
                limit(from),
                limit(to)
            )
        }
        What::Trouble {
            device, doing, saw, ..
        } => format!("{device}, {doing}: {saw}"),
        What::Settled { because, .. } => because.clone(),
        other => format!("{other:?}"),
    }
}
