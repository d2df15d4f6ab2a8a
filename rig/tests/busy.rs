//! A machine that is busy with something else: orders leave it late, and what instruments say waits for it. An order
//! that waited still closes the contact, and the relay board confirms it; but the lock gets a shorter press, or none.

mod one_run;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lockrig::bench::{BenchFile, Feed, What};
use lockrig::campaign::{self, Job, Opener, Ran};
use lockrig::event::Nanos;
use lockrig::port::sim::SimPorts;
use lockrig::port::{Interrupt, Waited};
use lockrig::quantity::Millivolts;
use lockrig::serve::bench_file::on_wires;
use lockrig::source::Source;
use lockrig::verdict::Verdict;
use tempfile::TempDir;

const OPENS: &str = "opens: $box";
/// Passes as well if a key is missing.
const REFUSES: &str = "refuses: $own";

/// One run, in which the order to close the second key of an entry waits.
fn run(step: &str, has_line: bool, waits: Nanos) -> (Ran, TempDir) {
    let scenario = format!(
        "scenario: presses\nversion: 1\nintent: A code is entered.\nneeds: [keypad, bolt]\ncovers: [R01]\n\
         codes: {{ box: factory, own: user }}\ngiven: {{ door: open, supply: fresh }}\nsteps:\n  - {step}\n"
    );
    let scenario = one_run::read(&Source::new("presses.yaml", scenario));
    let bench = match has_line {
        true => one_run::virtual_safe(),
        false => one_run::virtual_safe_without_proof(),
    };
    let bench = BenchFile {
        emulates: None,
        ..bench
    };
    let open: Opener = Arc::new(move |_: &BenchFile, seed, interrupt| {
        let ports = SimPorts::new("virtual-safe", seed, interrupt).expect("there is one");
        let mut ports = one_run::OnlyPorts::new(ports);
        ports.tampered = "sim:relay";
        let mut closings = 0;
        ports.held_back = Box::new(move |order| {
            let closes_key = matches!(order, [0xA0, 1..=12, 3, _]);
            closings += u32::from(closes_key);
            if closes_key && closings == 2 {
                waits
            } else {
                Nanos::ZERO
            }
        });
        Ok(Box::new(ports))
    });
    one_run::carry_out(one_run::group(bench, &scenario, "reference-safe"), open)
}

#[rstest::rstest]
#[case::at_once(OPENS, true, 0, None)]
#[case::somewhat_late(OPENS, true, 40, None)]
#[case::too_late_for_the_lock(OPENS, true, 200, Some("its line 'key' was on for"))]
#[case::without_a_line(OPENS, false, 200, Some("it was confirmed to be closed for"))]
#[case::without_a_line_and_somewhat_late(OPENS, false, 40, None)]
#[case::where_that_looks_like_a_pass(REFUSES, true, 200, Some("its line 'key' was on for"))]
fn a_press_that_was_too_short_is_the_bench_s_fault(
    #[case] step: &str,
    #[case] has_line: bool,
    #[case] waits: u64,
    #[case] trouble: Option<&str>,
) {
    let (ran, folder) = run(step, has_line, Nanos::from_millis(waits));
    let because = &ran.summary.because;
    let trace =
        std::fs::read_to_string(folder.path().join("run/events.jsonl")).expect("it is there");
    let Some(trouble) = trouble else {
        assert_eq!(ran.summary.verdict, Verdict::Pass, "{because}");
        return;
    };
    assert_eq!(ran.summary.verdict, Verdict::Broken, "{because}");
    assert!(trace.contains(trouble), "{trace}");
}

/// The virtual safe, its lines sensed by a sense board, as if it were a real bench.
fn sensed() -> BenchFile {
    let text = one_run::source("boards/virtual-safe.toml");
    let text = on_wires(text.text()).expect("it is a virtual bench");
    let bench = BenchFile::read(&Source::new("bench.toml", text)).expect("it is right");
    BenchFile {
        emulates: None,
        ..bench
    }
}

/// The board starts meanwhile, and says so; questions that are asked afterwards are not late because of that.
#[test]
fn what_was_said_long_ago_does_not_make_an_instrument_silent() {
    let group = one_run::group(sensed(), &one_run::opens(), "reference-safe");
    let away = Arc::default();
    let its_away = Arc::clone(&away);
    let open: Opener = Arc::new(move |_: &BenchFile, seed, interrupt| {
        let ports = SimPorts::new("virtual-safe", seed, interrupt).expect("there is one");
        let mut ports = one_run::OnlyPorts::new(ports);
        ports.away = Arc::clone(&its_away);
        Ok(Box::new(ports))
    });
    let prepared = campaign::prepare(&group, &open, 1, Interrupt::default());
    let mut bench = prepared.expect("the board is flashed").bench;
    bench
        .feed(Feed::On {
            voltage: Millivolts(9_000),
            resistance: None,
        })
        .expect("the supply gives it");
    *away.lock().expect("nobody panics") = Nanos::from_secs(2);
    let until = bench.now() + Nanos::from_secs(4);
    let mut printed = Vec::new();
    while let Waited::Saw(happening) = bench.wait(until) {
        match happening.what {
            What::Trouble(trouble) => panic!("{trouble}"),
            What::Printed { .. } => printed.push(happening.at),
            _ => {}
        }
    }
    let (first, last) = (printed.first(), printed.last());
    let (Some(first), Some(last)) = (first, last) else {
        panic!("the board says that it starts");
    };
    assert!(last.since(*first) > Nanos::from_millis(250), "{printed:?}");
    bench.to_rest();
}

/// It falls silent while the board is flashed for the second run. Nobody listens to it then; but no run may follow
/// in which its lines never move, and the third finds it again.
#[test]
fn a_sense_board_that_fell_silent_between_two_runs_is_noticed() {
    let scenario = one_run::opens();
    let mut group = one_run::group(sensed(), &scenario, "reference-safe");
    let again = |number: usize| Job {
        id: format!("run.{}", number + 1),
        number,
        ..group.jobs[0].clone()
    };
    group.jobs = (0..3).map(again).collect();
    let flashed = Arc::new(AtomicUsize::new(0));
    let open: Opener = Arc::new(move |_: &BenchFile, seed, interrupt| {
        let ports = SimPorts::new("virtual-safe", seed, interrupt).expect("there is one");
        let mut ports = one_run::OnlyPorts::new(ports);
        ports.tampered = "sim:sense-board";
        let (deaf, flashed) = (Arc::clone(&ports.deaf), Arc::clone(&flashed));
        ports.before_probe = Box::new(move || {
            let is_second = flashed.fetch_add(1, Ordering::Relaxed) == 1;
            deaf.store(is_second, Ordering::Relaxed);
        });
        Ok(Box::new(ports))
    });
    let (ran, _folder) = one_run::carry_out_all(group, open, Arc::default());
    let verdicts: Vec<Verdict> = ran.iter().map(|ran| ran.summary.verdict).collect();
    let because = &ran[1].summary.because;
    assert_eq!(
        verdicts,
        [Verdict::Pass, Verdict::Broken, Verdict::Pass],
        "{because}"
    );
    assert!(
        because.contains("sense board on sim:sense-board"),
        "{because}"
    );
}
