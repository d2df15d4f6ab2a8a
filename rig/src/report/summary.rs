//! A run in one glance, from its events.

use serde::Serialize;

use super::words;
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
    /// Why its bench went by no calibration record, though its file asks for one.
    pub uncalibrated: Option<String>,
    /// Which unit was under test, where the bench file says it, and who confirmed that.
    pub device: Option<String>,
    /// Why its probe was power-cycled before it began.
    pub power_cycled: Option<String>,
    /// How much longer or shorter each hold was than asked for, in nanoseconds.
    pub hold_errors: Vec<i64>,
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
        uncalibrated: events.iter().find_map(|event| match &event.what {
            What::Uncalibrated { because } => Some(because.clone()),
            _ => None,
        }),
        device: events.iter().find_map(|event| match &event.what {
            What::DeviceUnderTest {
                model,
                serial_number,
                chip_id,
            } => Some(words::device(model, serial_number, chip_id.as_deref())),
            _ => None,
        }),
        power_cycled: events.iter().find_map(|event| match &event.what {
            What::ProbePowerCycled { because } => Some(because.clone()),
            _ => None,
        }),
        hold_errors: events.iter().filter_map(hold_error).collect(),
        oracles: [
            judged(Judgement::Held),
            judged(Judgement::Exempted),
            judged(Judgement::NotObserved),
        ],
    })
}

fn hold_error(event: &Event) -> Option<i64> {
    match &event.what {
        What::Measured {
            value,
            asked: Some(asked),
            unit,
            ..
        } if unit == "ns" => i64::try_from(i128::from(*value) - i128::from(*asked)).ok(),
        _ => None,
    }
}

fn decision(events: &[Event], seq: u64) -> Option<Decision> {
    let index = usize::try_from(seq).ok()?;
    let event = events.get(index)?;
    Some(Decision {
        seq,
        at: event.at,
        steps: under_way(&events[..=index]),
        words: words::of(&event.what),
        hint: match &event.what {
            What::Trouble { hint, .. } if !hint.is_empty() => Some(hint.clone()),
            _ => None,
        },
    })
}

/// The steps that have begun and not ended, the innermost last.
pub fn under_way(events: &[Event]) -> Vec<StepUnderWay> {
    let mut steps: Vec<(u32, StepUnderWay)> = Vec::new();
    for event in events {
        match &event.what {
            What::StepStarted {
                step,
                inside,
                place,
                doing,
                ..
            } => {
                // Steps that were cut short never finish; that the next one is not inside them tells.
                while steps
                    .last()
                    .is_some_and(|(outer, _)| Some(*outer) != *inside)
                {
                    steps.pop();
                }
                let (place, doing) = (place.clone(), doing.clone());
                steps.push((*step, StepUnderWay { place, doing }));
            }
            What::StepFinished { step } => steps.retain(|(other, _)| other < step),
            _ => {}
        }
    }
    steps.into_iter().map(|(_, step)| step).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn trace(facts: Vec<What>) -> Vec<Event> {
        let started = What::Started {
            format: 1,
            seed: 7,
            scenario: "forgotten-code".to_owned(),
            variant: "hold=shortest".to_owned(),
            profile: "safe".to_owned(),
            bench: "virtual".to_owned(),
            files: Vec::new(),
        };
        (0..)
            .zip(std::iter::once(started).chain(facts))
            .map(|(seq, what)| Event {
                seq,
                at: Nanos::from_secs(2 + seq),
                what,
            })
            .collect()
    }

    fn began(step: u32, inside: Option<u32>) -> What {
        What::StepStarted {
            step,
            inside,
            place: format!("file:{step}"),
            doing: format!("step {step}"),
            procedure: None,
        }
    }

    fn finished(step: u32) -> What {
        What::StepFinished { step }
    }

    fn failed() -> What {
        What::Checked {
            wanted: "red 3×".to_owned(),
            got: "red 2×".to_owned(),
            held: false,
        }
    }

    fn end(verdict: Verdict, decided_by: Option<u64>) -> What {
        What::Finished {
            verdict,
            decided_by,
            because: "the reason".to_owned(),
        }
    }

    #[rstest]
    #[case::before_the_first_step(vec![], &[])]
    #[case::in_a_step(vec![began(1, None)], &[1])]
    #[case::in_the_next_step(vec![began(1, None), finished(1), began(2, None)], &[2])]
    #[case::between_steps(vec![began(1, None), finished(1)], &[])]
    #[case::inside_a_step(vec![began(1, None), began(2, Some(1))], &[1, 2])]
    #[case::after_an_inner_step(vec![began(1, None), began(2, Some(1)), finished(2)], &[1])]
    #[case::after_several_inner_steps(
        vec![began(1, None), began(2, Some(1)), finished(2), began(3, Some(1)), finished(3)],
        &[1]
    )]
    #[case::after_a_step_whose_inner_steps_were_cut_short(
        vec![began(1, None), began(2, Some(1)), began(3, Some(2)), finished(1)],
        &[]
    )]
    #[case::after_the_step_that_followed_it(
        vec![began(1, None), began(2, Some(1)), finished(1), began(4, None), finished(4)],
        &[]
    )]
    #[case::inside_a_step_whose_inner_steps_were_cut_short(
        vec![began(1, None), began(2, Some(1)), began(3, Some(2)), began(4, Some(1)), finished(4)],
        &[1]
    )]
    #[case::after_a_step_that_failed(
        vec![began(1, None), began(2, Some(1)), began(3, None), finished(3)],
        &[]
    )]
    fn a_decision_names_the_steps_under_way(#[case] steps: Vec<What>, #[case] expected: &[u32]) {
        let mut facts = steps;
        facts.push(failed());
        let seq = facts.len() as u64;
        // What comes later does not matter.
        facts.extend([began(9, None), end(Verdict::Fail, Some(seq))]);
        let summary = summarise(&trace(facts)).expect("it has a beginning");
        let decision = summary.decision.expect("an event decided");
        let expected: Vec<StepUnderWay> = expected
            .iter()
            .map(|step| StepUnderWay {
                place: format!("file:{step}"),
                doing: format!("step {step}"),
            })
            .collect();
        assert_eq!(decision.steps, expected);
        assert_eq!(
            (decision.seq, decision.at),
            (seq, Nanos::from_secs(2 + seq))
        );
        assert_eq!(decision.words, "expected red 3×; saw red 2×");
    }

    #[test]
    fn a_run_at_a_glance() {
        let judged = |oracle: &str, judgement| What::Judged {
            oracle: oracle.to_owned(),
            rule: "a rule".to_owned(),
            judgement,
            promised: false,
            evidence: String::new(),
            because: "as seen".to_owned(),
        };
        let summary = summarise(&trace(vec![
            judged("I1", Judgement::Held),
            judged("I2", Judgement::Exempted),
            judged("I3", Judgement::Broken),
            judged("I4", Judgement::NotObserved),
            judged("I5", Judgement::Held),
            end(Verdict::Finding, Some(3)),
        ]))
        .expect("it has a beginning");
        assert_eq!(summary.scenario, "forgotten-code");
        assert_eq!(summary.variant, "hold=shortest");
        assert_eq!((&*summary.profile, &*summary.bench), ("safe", "virtual"));
        assert_eq!(summary.verdict, Verdict::Finding);
        assert_eq!(summary.because, "the reason");
        assert_eq!(summary.bench_time, Nanos::from_secs(6));
        assert_eq!(summary.oracles, [vec!["I1", "I5"], vec!["I2"], vec!["I4"]]);
        let decision = summary.decision.expect("an event decided");
        assert_eq!(decision.words, "I3, a rule: as seen");
    }

    #[test]
    fn a_trace_without_its_last_line_is_aborted() {
        let summary = summarise(&trace(vec![began(1, None)])).expect("it has a beginning");
        assert_eq!(summary.verdict, Verdict::Aborted);
        assert_eq!(summary.because, "the trace ends before the run did");
        assert!(summary.decision.is_none());
    }

    #[test]
    fn what_does_not_begin_as_a_trace_has_no_summary() {
        assert!(summarise(&[]).is_none());
        assert!(summarise(&trace(vec![began(1, None)])[1..]).is_none());
    }

    #[test]
    fn a_deciding_event_that_is_not_there_is_left_out() {
        let summary = summarise(&trace(vec![end(Verdict::Fail, Some(2))]));
        assert!(summary.expect("it has a beginning").decision.is_none());
    }

    #[rstest]
    #[case(
        What::Measured {
            quantity: "hold of reset".to_owned(),
            asked: Some(6_000_000),
            value: 7_000_000,
            unit: "ns".to_owned(),
            uncertainty: 2_000,
            from: Some(5_000_000),
            to: None,
            stands: crate::event::Against::Straddles,
        },
        "hold of reset was 7 ms ± 0.002 ms, +1 ms from the 6 ms that were asked; the limit is at least 5 ms"
    )]
    #[case(
        What::Trouble {
            device: "relays".to_owned(),
            doing: "closing 3".to_owned(),
            saw: "silence".to_owned(),
            hint: String::new(),
        },
        "relays, closing 3: silence"
    )]
    #[case(
        What::Settled { set: None, because: "old opens, new opens".to_owned() },
        "old opens, new opens"
    )]
    #[case(
        What::WentToRest { outputs: vec!["supply".to_owned()], unknown: vec!["relay 3".to_owned()] },
        "state unknown: relay 3"
    )]
    fn a_decision_is_told_in_words(#[case] what: What, #[case] expected: &str) {
        assert_eq!(words::of(&what), expected);
    }
}
