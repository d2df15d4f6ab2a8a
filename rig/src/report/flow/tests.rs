//! What a flow tells of events that the virtual bench does not bring about, or not in every run.

use super::Flow;
use crate::event::{Event, Nanos, What};

/// One event a line: milliseconds, then what happened in the words below.
fn told(text: &str) -> String {
    let events: Vec<Event> = text
        .trim()
        .lines()
        .zip(0..)
        .map(|(line, seq)| event(line, seq))
        .collect();
    Flow::of(&events).text()
}

fn event(line: &str, seq: u64) -> Event {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = Nanos::from_millis(words[0].parse().expect("a time"));
    let step = |number: &str| number.parse::<u32>().expect("a number");
    let what = match words[1..] {
        ["step", number, ref doing @ ..] => What::StepStarted {
            step: step(number),
            inside: None,
            place: "file:1".to_owned(),
            doing: doing.join(" "),
            procedure: None,
        },
        ["done", number] => What::StepFinished { step: step(number) },
        ["phase", phase] => What::PhaseEntered {
            phase: phase.to_owned(),
        },
        ["cut", phase, after] => What::Interrupted {
            phase: phase.to_owned(),
            after: Nanos::from_millis(after.parse().expect("a time")),
            how: "clean".to_owned(),
        },
        ["settled", set] => What::Settled {
            set: Some(set.to_owned()),
            because: String::new(),
        },
        ["key", ref contact @ ..] => What::Switched {
            contact: contact.join(" "),
            closed: true,
        },
        ["entered"] => What::CodeEntered {
            code: "guess".to_owned(),
            digits: 4,
            standing: crate::event::Standing::Invalid,
            leading: 0,
            kept_by: None,
        },
        [line, level @ ("on" | "off")] => What::LineChanged {
            line: line.to_owned(),
            high: level == "on",
        },
        ["prints", ref text @ ..] => What::Printed {
            text: text.join(" "),
        },
        ["wants", held, ref wanted @ ..] => What::Checked {
            wanted: wanted.join(" "),
            got: "something".to_owned(),
            held: held == "held",
        },
        _ => panic!("'{line}' is no event"),
    };
    Event { seq, at, what }
}

#[test]
fn flashes_of_one_signal_belong_together_and_a_pause_begins_another() {
    let text = "
        0 step 1 press
        0 key *
        50 red on
        55 beeper on
        150 red off
        155 beeper off
        350 red on
        450 red off
        1200 green on
        1300 green off";
    assert_eq!(told(text), "press\n  red 2×, beeper 1×, then green 1×");
}

/// Dimmed by pulses, and on for longer than any flash.
#[test]
fn dimmed_light_is_light_and_what_stays_on_is_lit() {
    let text = "
        0 step 1 press
        0 key *
        50 red on
        60 red off
        65 red on
        75 red off
        80 red on
        180 red off
        1000 yellow on
        4000 step 2 enter
        4000 key *
        4050 yellow off
        4051 green on
        4150 green off";
    assert_eq!(
        told(text),
        "press\n  red 1×, then yellow lit\nenter\n  green 1×, yellow dark"
    );
}

/// Some locks beep with every key; how many keys a code has is drawn from the seed.
#[test]
fn beeps_of_digits_are_not_counted_and_the_answer_is() {
    let short = "
        0 step 1 enter guess
        0 key digit 1 of 2
        20 beeper on
        60 beeper off
        400 entered
        400 key digit 2 of 2
        420 beeper on
        460 beeper off
        600 beeper on
        700 beeper off
        800 beeper on
        900 beeper off";
    let long = "
        0 step 1 enter guess
        0 key digit 1 of 3
        20 beeper on
        60 beeper off
        400 key digit 2 of 3
        420 beeper on
        460 beeper off
        800 entered
        800 key digit 3 of 3
        820 beeper on
        860 beeper off
        1000 beeper on
        1100 beeper off
        1200 beeper on
        1300 beeper off";
    assert_eq!(
        told(short),
        "enter guess\n  beeper with the keys\n  beeper 3×"
    );
    assert_eq!(told(short), told(long));
}

#[test]
fn a_bolt_is_told_when_it_begins_to_move_and_one_that_sticks_is_told_too() {
    let text = "
        0 step 1 open
        0 key #
        80 bolt-thrown off
        480 bolt-withdrawn on
        500 step 2 lock
        500 key #
        580 bolt-withdrawn off";
    assert_eq!(
        told(text),
        "open\n  bolt withdrawn\nlock\n  bolt leaves its place and arrives nowhere"
    );
    let one_switch = "
        0 step 1 open
        0 key #
        480 bolt-withdrawn on
        900 bolt-withdrawn off";
    assert_eq!(told(one_switch), "open\n  bolt withdrawn\n  bolt thrown");
}

/// The first edge of a step's answer may come when the next step has begun and not acted yet.
#[test]
fn what_is_seen_before_a_step_acts_belongs_to_the_step_before() {
    let text = "
        0 step 1 press
        0 key *
        100 done 1
        100 step 2 enter
        103 prints idle
        200 key digit 1 of 4
        220 prints digit";
    assert_eq!(
        told(text),
        "press\n  console: idle\nenter\n  console: digit"
    );
}

#[test]
fn a_board_that_counts_down_is_told_once() {
    let text = "
        0 step 1 wait
        100 prints lockout stage=1 left=12000
        200 prints lockout stage=1 left=10500
        300 prints lockout over
        400 prints lockout stage=1 left=12000";
    assert_eq!(
        told(text),
        "wait\n  console: lockout stage=1 left=…, lockout over, lockout stage=1 left=…"
    );
}

/// From the phase to the codes that were found, only what must hold is told.
#[test]
fn what_a_cut_leaves_behind_is_not_told_but_for_broken_promises() {
    let cut = |after: u64, extra: &str| {
        let at = 1_000 + after;
        told(&format!(
            "
            0 step 1 press
            0 key *
            50 green on
            150 green off
            900 red on
            950 red off
            1000 phase P2
            1001 beeper on
            1050 beeper off
            {at} cut P2 {after}
            2000 step 2 settle
            2000 key *
            2050 green on
            2150 green off
            {extra}
            3000 settled old
            3000 wants held exactly one set
            3100 step 3 press
            3100 key *
            3150 red on
            3200 red off"
        ))
    };
    let story = "press
  green 1×
  the supply fails in P2 (clean); until the codes are found, only what must hold at any moment is told
settle
  as expected: exactly one set
press
  red 1×";
    assert_eq!(cut(60, "2500 wants held the bolt thrown"), story);
    assert_eq!(cut(900, "2500 prints accepted"), story);
    let broken = "\n  NOT as expected: the bolt thrown; saw something\n  as expected: exactly";
    let told = cut(60, "2500 wants missed the bolt thrown");
    assert!(told.contains(broken), "{told}");
}

#[test]
fn a_passage_that_follows_itself_is_told_once() {
    let again = |number: u64| {
        let at = number * 1_000;
        format!("{at} step {number} press\n{at} key *\n{at} prints idle\n{at} done {number}\n")
    };
    let text: String = (0..4).map(again).collect();
    assert_eq!(
        told(&text),
        "press\n  console: idle\n(the same 3 times more)"
    );
}
