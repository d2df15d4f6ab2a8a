//! The verdict of a run, from its events.

use crate::event::{Against, Event, Judgement, What};
use crate::verdict::Verdict;

/// Why the steps were left early. What happened is in the trace already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// An expectation was not met.
    Failed,
    /// The supply was made to fail on purpose; the enclosing `interrupt` step goes on from here.
    Interrupted,
    /// An instrument did not do what it was told.
    Broken,
    /// A person or a signal.
    Aborted,
    /// The scenario names a cut point or an instruction that this run does not have.
    NoSuchPoint,
}

/// The verdict, the event that decided it, and the reason. `known` are the oracles that the profile
/// lists as broken by the product.
///
/// The gravest kind decides, and within it the first event. An aborted or broken run says nothing
/// about the board, so a check that failed in it does not count; a failed check outranks a
/// measurement that straddles.
///
/// Whatever decides: outputs whose state nobody knows are named.
pub fn verdict(
    events: &[Event],
    stopped: Option<Stop>,
    known: &[&str],
) -> (Verdict, Option<u64>, String) {
    let (verdict, decided_by, mut because) = decide(events, stopped, known);
    let unknown = events.iter().rev().find_map(|event| match &event.what {
        What::WentToRest { unknown, .. } if !unknown.is_empty() => Some(unknown_words(unknown)),
        _ => None,
    });
    if let Some(unknown) = unknown.filter(|unknown| *unknown != because) {
        because = format!("{because}; {unknown}");
    }
    (verdict, decided_by, because)
}

fn unknown_words(unknown: &[String]) -> String {
    format!("state unknown: {}", unknown.join(", "))
}

fn decide(
    events: &[Event],
    stopped: Option<Stop>,
    known: &[&str],
) -> (Verdict, Option<u64>, String) {
    if let Some(Stop::Aborted) = stopped {
        return (Verdict::Aborted, None, "stopped before the end".to_owned());
    }
    if let Some(Stop::NoSuchPoint) = stopped {
        let missing = events.iter().rev().find_map(|event| match &event.what {
            What::Checked { wanted, got, .. } => Some(format!("{wanted}: {got}")),
            _ => None,
        });
        return (Verdict::Usage, None, missing.unwrap_or_default());
    }
    let first = |wanted: Verdict| {
        events.iter().find_map(|event| {
            let (verdict, because) = speaks_for(&event.what, known)?;
            (verdict == wanted).then_some((verdict, Some(event.seq), because))
        })
    };
    let decided = GRAVEST_FIRST.into_iter().find_map(first);
    match (decided, stopped) {
        (Some(decided), _) => decided,
        (None, None) => (
            Verdict::Pass,
            None,
            "everything expected was seen".to_owned(),
        ),
        (None, Some(stop)) => unreachable!("a run stopped ({stop:?}) and no event says why"),
    }
}

/// Verdicts that an event can bring about.
const GRAVEST_FIRST: [Verdict; 5] = [
    Verdict::Broken,
    Verdict::Fail,
    Verdict::Finding,
    Verdict::Inconclusive,
    Verdict::KnownFinding,
];

/// The verdict that an event would bring about alone, and why.
fn speaks_for(what: &What, known: &[&str]) -> Option<(Verdict, String)> {
    Some(match what {
        What::Trouble {
            device, doing, saw, ..
        } => (Verdict::Broken, format!("{device}, {doing}: {saw}")),
        What::WentToRest { unknown, .. } if !unknown.is_empty() => {
            (Verdict::Broken, unknown_words(unknown))
        }
        // The rig was to hold a button within limits and did not.
        What::Measured {
            quantity,
            stands: Against::Outside,
            ..
        } => (
            Verdict::Broken,
            format!("the bench missed the limits of the {quantity}"),
        ),
        What::Measured {
            quantity,
            stands: Against::Straddles,
            ..
        } => (
            Verdict::Inconclusive,
            format!("the {quantity} straddles its limit"),
        ),
        What::Checked {
            wanted,
            got,
            held: false,
        } => (Verdict::Fail, format!("expected {wanted}; saw {got}")),
        What::Judged {
            oracle,
            because,
            judgement: Judgement::Broken,
            promised,
            ..
        } => {
            let verdict = if *promised {
                Verdict::Fail
            } else if known.contains(&oracle.as_str()) {
                Verdict::KnownFinding
            } else {
                Verdict::Finding
            };
            (verdict, format!("{oracle}: {because}"))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::event::Nanos;

    /// Events in words: `trouble`, `outside`, `unheld`, `I3 broken` and so on.
    fn judge(stopped: Option<Stop>, known: &[&str], words: &[&str]) -> String {
        let events: Vec<Event> = (0..)
            .zip(words)
            .map(|(seq, word)| Event {
                seq,
                at: Nanos::ZERO,
                what: what(word),
            })
            .collect();
        let (verdict, seq, because) = verdict(&events, stopped, known);
        match seq {
            Some(seq) => format!("{verdict} by {seq}: {because}"),
            None => format!("{verdict}: {because}"),
        }
    }

    fn what(word: &str) -> What {
        let judged = |oracle: &str, judgement, promised| What::Judged {
            oracle: oracle.to_owned(),
            rule: "a rule".to_owned(),
            judgement,
            promised,
            evidence: String::new(),
            because: "as seen".to_owned(),
        };
        let measured = |stands| What::Measured {
            quantity: "hold".to_owned(),
            asked: None,
            value: 1,
            unit: "ns".to_owned(),
            uncertainty: 0,
            from: None,
            to: None,
            stands,
        };
        let rest = |unknown: &[&str]| What::WentToRest {
            outputs: vec!["supply".to_owned()],
            unknown: unknown.iter().map(|&output| output.to_owned()).collect(),
        };
        let checked = |held| What::Checked {
            wanted: "red".to_owned(),
            got: "green".to_owned(),
            held,
        };
        match word {
            "trouble" => What::Trouble {
                device: "relays".to_owned(),
                doing: "closing".to_owned(),
                saw: "silence".to_owned(),
                hint: String::new(),
            },
            "at rest" => rest(&[]),
            "not at rest" => rest(&["relay 3", "supply"]),
            "inside" => measured(Against::Inside),
            "no limit" => measured(Against::NoLimit),
            "outside" => measured(Against::Outside),
            "straddles" => measured(Against::Straddles),
            "held" => checked(true),
            "not held" => checked(false),
            "I1 held" => judged("I1", Judgement::Held, true),
            "I1 exempted" => judged("I1", Judgement::Exempted, true),
            "I1 not observed" => judged("I1", Judgement::NotObserved, true),
            "I1 promised" => judged("I1", Judgement::Broken, true),
            "I3 unpromised" => judged("I3", Judgement::Broken, false),
            "I4 unpromised" => judged("I4", Judgement::Broken, false),
            other => panic!("'{other}' is no event"),
        }
    }

    #[rstest]
    #[case(&[], "pass: everything expected was seen")]
    #[case(&["held", "inside", "no limit", "at rest"], "pass: everything expected was seen")]
    #[case(&["I1 held", "I1 exempted", "I1 not observed"], "pass: everything expected was seen")]
    #[case(&["held", "trouble"], "broken by 1: relays, closing: silence")]
    #[case(&["not at rest"], "broken by 0: state unknown: relay 3, supply")]
    #[case(&["outside"], "broken by 0: the bench missed the limits of the hold")]
    #[case(&["straddles"], "inconclusive by 0: the hold straddles its limit")]
    #[case(&["not held"], "fail by 0: expected red; saw green")]
    #[case(&["I1 promised"], "fail by 0: I1: as seen")]
    #[case(&["I3 unpromised"], "finding by 0: I3: as seen")]
    fn an_event_alone_decides(#[case] events: &[&str], #[case] expected: &str) {
        assert_eq!(judge(None, &[], events), expected);
    }

    /// Each of these comes after all that are less grave.
    #[rstest]
    #[case(1, "known finding by 0: I3: as seen")]
    #[case(2, "inconclusive by 1: the hold straddles its limit")]
    #[case(3, "finding by 2: I4: as seen")]
    #[case(4, "fail by 3: expected red; saw green")]
    #[case(5, "broken by 4: relays, closing: silence")]
    fn the_gravest_event_decides(#[case] count: usize, #[case] expected: &str) {
        let events = [
            "I3 unpromised",
            "straddles",
            "I4 unpromised",
            "not held",
            "trouble",
        ];
        assert_eq!(judge(None, &["I3"], &events[..count]), expected);
        let mut backwards = events[..count].to_vec();
        backwards.reverse();
        let first = expected.replace(&format!("by {}", count - 1), "by 0");
        assert_eq!(judge(None, &["I3"], &backwards), first);
    }

    #[rstest]
    #[case(&["held", "not held", "I1 promised"], "fail by 1: expected red; saw green")]
    #[case(&["held", "I1 promised", "not held"], "fail by 1: I1: as seen")]
    #[case(&["trouble", "not at rest"], "broken by 0: relays, closing: silence; state unknown: relay 3, supply")]
    #[case(&["not at rest", "trouble"], "broken by 0: state unknown: relay 3, supply")]
    #[case(&["I4 unpromised", "I3 unpromised"], "finding by 0: I4: as seen")]
    fn the_first_of_the_gravest_decides(#[case] events: &[&str], #[case] expected: &str) {
        assert_eq!(judge(None, &[], events), expected);
    }

    #[rstest]
    #[case(&["I3"], &["I3 unpromised"], "known finding by 0: I3: as seen")]
    #[case(&["I4"], &["I3 unpromised"], "finding by 0: I3: as seen")]
    #[case(&["I3"], &["I3 unpromised", "I4 unpromised"], "finding by 1: I4: as seen")]
    #[case(&["I1"], &["I1 promised"], "fail by 0: I1: as seen")]
    fn a_known_weakness_excuses_itself_only(
        #[case] known: &[&str],
        #[case] events: &[&str],
        #[case] expected: &str,
    ) {
        assert_eq!(judge(None, known, events), expected);
    }

    #[test]
    fn a_run_that_was_stopped_says_nothing_about_board_or_bench() {
        let aborted = judge(Some(Stop::Aborted), &[], &["not held", "trouble"]);
        assert_eq!(aborted, "aborted: stopped before the end");
        let lost = judge(Some(Stop::Aborted), &[], &["not at rest"]);
        assert_eq!(
            lost,
            "aborted: stopped before the end; state unknown: relay 3, supply"
        );
    }

    #[test]
    fn a_cut_that_does_not_exist_is_a_mistake_in_the_file() {
        let missing = judge(
            Some(Stop::NoSuchPoint),
            &[],
            &["held", "not held", "at rest"],
        );
        assert_eq!(missing, "usage: red: green");
    }

    #[test]
    fn a_run_that_ended_early_has_the_verdict_of_what_ended_it() {
        let failed = judge(Some(Stop::Failed), &[], &["held", "not held"]);
        assert_eq!(failed, "fail by 1: expected red; saw green");
    }

    #[test]
    #[should_panic(expected = "a run stopped (Failed) and no event says why")]
    fn a_run_never_passes_that_ended_early() {
        judge(Some(Stop::Failed), &[], &["held"]);
    }
}
