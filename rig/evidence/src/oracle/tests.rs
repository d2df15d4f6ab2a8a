//! Every oracle through the door that the run loop uses: short traces, and what is judged.
//!
//! A file in `cases` holds the traces for one oracle, in words; its snapshot holds each with the
//! judgement. All oracles see every trace; the one that the file names is shown.

use std::path::{Path, PathBuf};

use rstest::rstest;

use super::{Facts, Keeps, OnPowerCycle, Oracles};
use crate::event::{Event, Judgement, Nanos, What};

#[rstest]
fn each_oracle_judges_as_reviewed(#[files("src/oracle/cases/*.txt")] path: PathBuf) {
    let text = std::fs::read_to_string(&path).expect("the file was listed a moment ago");
    let name = path.file_stem().and_then(|stem| stem.to_str());
    let name = name.expect("the names are ours").to_owned();
    let oracle = &name[..2];
    let shown: Vec<String> = text
        .split("\n\n")
        .map(|case| format!("{}\n{}", case.trim(), judged(case, oracle)))
        .collect();
    insta::with_settings!({
        snapshot_path => Path::new("cases"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, shown.join("\n\n"));
    });
}

#[test]
fn a_breach_is_told_once_and_the_other_oracles_go_on() {
    let mut oracles = Oracles::new(facts(""));
    let opens = |seq, secs| event(seq, &format!("{secs}s line bolt-withdrawn on"));
    assert_eq!(oracles.see(&opens(0, 1)).len(), 1);
    assert_eq!(oracles.see(&opens(1, 2)).len(), 0);
    let rest: Vec<String> = oracles.conclude().iter().map(|what| id(what).0).collect();
    assert_eq!(rest, ["I2", "I3", "I4", "I5", "I6", "I7", "I8"]);
}

/// What is promised by the manual decides between a failure and a finding.
#[rstest]
#[case("on-power-cycle=survives", &["I1", "I3"])]
#[case("on-power-cycle=clears", &["I1"])]
#[case("on-power-cycle=unspecified", &["I1"])]
#[case("on-power-cycle=clears open-door", &["I1", "I5"])]
#[case("on-power-cycle=clears kept=factory-code", &["I1", "I8"])]
fn a_breach_of_what_the_manual_says_is_promised(#[case] given: &str, #[case] promised: &[&str]) {
    let judged = Oracles::new(facts(given)).conclude();
    let those: Vec<String> = judged
        .iter()
        .map(id)
        .filter_map(|(id, promised)| promised.then_some(id))
        .collect();
    assert_eq!(those, promised);
}

fn id(judged: &What) -> (String, bool) {
    match judged {
        What::Judged {
            oracle, promised, ..
        } => (oracle.clone(), *promised),
        other => panic!("{other:?} is no judgement"),
    }
}

/// The judgement of one case, in a line.
fn judged(case: &str, wanted: &str) -> String {
    let lines = || case.lines().map(str::trim).filter(|line| !line.is_empty());
    let given: Vec<&str> = lines()
        .filter_map(|line| line.strip_prefix("given "))
        .collect();
    let mut oracles = Oracles::new(facts(&given.join(" ")));
    let events = lines().filter(|line| !line.starts_with(['#', 'g']));
    for (seq, line) in (0..).zip(events) {
        let event = event(seq, line);
        for breach in oracles.see(&event) {
            if id(&breach).0 == wanted {
                return format!("=> at {} ns {}", event.at.0, words(&breach));
            }
        }
    }
    let concluded = oracles.conclude();
    let found = concluded.iter().find(|what| id(what).0 == wanted);
    format!("=> {}", words(found.expect("each oracle comes to an end")))
}

fn words(judged: &What) -> String {
    let What::Judged {
        judgement,
        evidence,
        because,
        ..
    } = judged
    else {
        panic!("{judged:?} is no judgement");
    };
    let judgement = match judgement {
        Judgement::Held => "held",
        Judgement::Broken => "broken",
        Judgement::Exempted => "exempted",
        Judgement::NotObserved => "not observed",
    };
    match evidence.as_str() {
        "" => format!("{judgement}: {because}"),
        evidence => format!("{judgement} ({evidence}): {because}"),
    }
}

/// Facts of a lock that opens within 1 s, stays open for 10 s and exempts nothing, on a bench that
/// tells 30 ms apart; with what a case gives otherwise.
fn facts(given: &str) -> Facts {
    let mut facts = Facts {
        senses_plug: false,
        withdraws_within: Nanos::from_secs(1),
        stays_open: Nanos::from_secs(10),
        senses_bolt: true,
        learns_handing: false,
        counted_within: None,
        on_power_cycle: OnPowerCycle::Survives,
        reset_erases_counters: false,
        reset_needs_open_door: false,
        answers_within: Nanos::from_secs(6),
        kept: Vec::new(),
        uncertainty: Nanos::from_millis(1),
        resolution: Nanos::from_millis(30),
    };
    for word in given.split_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("no-bolt-line", _) => facts.senses_bolt = false,
            ("plug", _) => facts.senses_plug = true,
            ("learns-handing", _) => facts.learns_handing = true,
            ("counted-within", time) => facts.counted_within = Some(moment(time)),
            ("on-power-cycle", "survives") => facts.on_power_cycle = OnPowerCycle::Survives,
            ("on-power-cycle", "clears") => facts.on_power_cycle = OnPowerCycle::Clears,
            ("on-power-cycle", "unspecified") => facts.on_power_cycle = OnPowerCycle::Unspecified,
            ("reset-erases-counters", _) => facts.reset_erases_counters = true,
            ("open-door", _) => facts.reset_needs_open_door = true,
            ("kept", name) => facts.kept.push(keeps(name)),
            _ => panic!("'{word}' is no fact"),
        }
    }
    facts
}

fn keeps(name: &str) -> Keeps {
    match name {
        "user-codes" => Keeps::UserCodes,
        "user-codes-until-new" => Keeps::UserCodesUntilNew,
        "factory-code" => Keeps::FactoryCode,
        "master-code" => Keeps::MasterCode,
        "counters" => Keeps::Counters,
        "handing" => Keeps::Handing,
        "pairings" => Keeps::Pairings,
        "settings" => Keeps::Settings,
        _ => panic!("'{name}' is nothing that a reset keeps"),
    }
}

/// An event from `<time> <what> ...`.
fn event(seq: u64, line: &str) -> Event {
    let (time, what) = line.split_once(' ').expect("a time and what happened");
    let words: Vec<&str> = what.split_whitespace().collect();
    let name = |index: usize| words[index].to_owned();
    let number = |index: usize| words[index].parse::<u32>().expect("a number");
    let what = match words[0] {
        "code" => What::CodeEntered {
            code: name(1),
            digits: 6,
            standing: serde_json::from_value(words[2].into()).expect("a standing"),
            leading: words
                .get(3)
                .and_then(|word| word.parse().ok())
                .unwrap_or_default(),
            kept_by: words
                .iter()
                .find_map(|word| word.strip_prefix("kept-by="))
                .map(|name| keeps(name).rule().to_owned()),
        },
        "key" => What::KeyInserted {
            key: name(1),
            standing: serde_json::from_value(words[2].into()).expect("a standing"),
        },
        "line" => What::LineChanged {
            line: name(1),
            high: words[2] == "on",
        },
        "prints" => What::Printed {
            text: what["prints ".len()..].to_owned(),
        },
        "supply" => What::SupplySet {
            millivolts: words[1].parse().ok(),
        },
        "step" => What::StepStarted {
            step: number(1),
            inside: words
                .iter()
                .position(|word| *word == "inside")
                .map(|at| number(at + 1)),
            place: String::new(),
            doing: String::new(),
            procedure: words
                .iter()
                .position(|word| *word == "do")
                .map(|at| name(at + 1)),
        },
        "finished" => What::StepFinished { step: number(1) },
        "cut" => What::Interrupted {
            phase: "P5".to_owned(),
            after: Nanos::ZERO,
            how: "clean".to_owned(),
        },
        "settled" => What::Settled {
            set: (words[1] != "none").then(|| name(1)),
            because: "as tried".to_owned(),
        },
        "checked" => What::Checked {
            wanted: "a signal".to_owned(),
            got: "as seen".to_owned(),
            held: words[1] == "held",
        },
        "changed" => What::CodesChanged {
            by: name(1),
            valid: Vec::new(),
        },
        other => panic!("'{other}' is no event"),
    };
    Event {
        seq,
        at: moment(time),
        what,
    }
}

/// `2s`, `1s+80ms+1ns`.
fn moment(text: &str) -> Nanos {
    let part = |part: &str| {
        let unit = part.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let value: u64 = part[..part.len() - unit.len()].parse().expect("a number");
        match unit {
            "s" => Nanos::from_secs(value),
            "ms" => Nanos::from_millis(value),
            "ns" => Nanos(value),
            _ => panic!("'{unit}' is no unit of time"),
        }
    };
    text.split('+')
        .map(part)
        .fold(Nanos::ZERO, |sum, span| sum + span)
}
