//! A run in one glance, from its events.

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
    /// `file:line` of the step, and what it was doing.
    pub step: Option<(String, String)>,
    /// What was expected and what was seen, in words.
    pub words: String,
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
    let step = events[..=index]
        .iter()
        .rev()
        .find_map(|event| match &event.what {
            What::StepStarted { place, doing, .. } => Some((place.clone(), doing.clone())),
            _ => None,
        });
    Some(Decision {
        seq,
        at: event.at,
        step,
        words: words(&event.what),
    })
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
