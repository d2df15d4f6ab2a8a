//! Losing the supply at a write to flash where nothing can be forked: on a bench that only has its ports, whose
//! probe stops at the instruction that begins the write. Underneath stands the virtual bench, so that this takes
//! bench time and no other.

mod one_run;

use std::fs;
use std::sync::Arc;

use lockrig::bench::BenchFile;
use lockrig::campaign::{Group, Opener, Ran};
use lockrig::port::Ports;
use lockrig::port::sim::SimPorts;
use lockrig::scenario::Scenario;
use lockrig::source::Source;
use lockrig::verdict::Verdict;
use rstest::rstest;

fn change(cut: &str) -> Scenario {
    let text = format!(
        "scenario: change\nversion: 1\nintent: A change of codes loses its supply.\n\
         needs: [keypad, bolt, procedure.change-code]\ncovers: [R08]\ncodes: {{ old: user, new: user }}\n\
         given: {{ door: open, supply: fresh, user-codes: [$old] }}\nsteps:\n\
         \x20 - interrupt: {{ cut: {cut}, for: 300 ms }}\n    steps:\n      - do: change-code\n\
         \x20       with: {{ old: $old, new: $new }}\n      - opens: $new\n  - wait: lockout\n\
         \x20 - settles: {{ old: [$old], new: [$new] }}\n"
    );
    one_run::read(&Source::new("change.yaml", text))
}

/// The scenario's run on a board with this image, and its events.
fn run(scenario: &Scenario, image: &str) -> (Ran, String) {
    run_on(one_run::virtual_safe(), scenario, image)
}

fn run_on(virtual_bench: BenchFile, scenario: &Scenario, image: &str) -> (Ran, String) {
    let mut bench = virtual_bench.clone();
    bench.emulates = None;
    let group = Group {
        rehearses_on: Some(virtual_bench),
        ..one_run::group(bench, scenario, image)
    };
    let open: Opener = Arc::new(|bench: &BenchFile, seed, interrupt| {
        let ports = SimPorts::new("virtual-safe", seed, interrupt).expect("there is one");
        Ok(match bench.emulates {
            Some(_) => Box::new(ports) as Box<dyn Ports>,
            None => Box::new(one_run::OnlyPorts::new(ports)),
        })
    });
    let (ran, folder) = one_run::carry_out(group, open);
    let events = fs::read_to_string(folder.path().join("run/events.jsonl")).expect("a trace");
    (ran, events)
}

/// Where the trace says that the supply went, and how.
fn cut_in(events: &str) -> String {
    let said = events.lines().find(|line| line.contains("\"interrupted\""));
    said.unwrap_or_default().to_owned()
}

#[rstest]
#[case(
    "{ at: flash-op 1, mode: dropped-before }",
    "true cut: the core stood before the store"
)]
#[case(
    "{ at: flash-op 1, mode: percent 50 }",
    "true cut: the supply was told 11.15 ms after the erase began, of 22.3 ms"
)]
#[case(
    "{ at: flash-op 5, mode: dropped-after }",
    "true cut: the write was over"
)]
#[case(
    "{ at: key 3, mode: dropped-before }",
    "true cut: as soon as the supply can"
)]
#[case(
    "{ at: output 2, mode: dropped-before }",
    "true cut: as soon as the supply can"
)]
fn a_good_lock_keeps_its_codes_at_a_true_cut(#[case] cut: &str, #[case] how: &str) {
    let (ran, events) = run(&change(cut), "reference-safe");
    assert_eq!(
        ran.summary.verdict,
        Verdict::Pass,
        "{}",
        ran.summary.because
    );
    let said = cut_in(&events);
    assert!(said.contains(how), "{said}");
}

/// Nor is a key that goes up with the supply taken for one that was held.
#[rstest]
fn a_cut_at_a_key_that_nothing_but_the_relay_board_proves(#[values(2, 3, 9)] key: u32) {
    let bench = one_run::virtual_safe_without_proof();
    let scenario = change(&format!("{{ at: key {key}, mode: dropped-before }}"));
    let (ran, events) = run_on(bench, &scenario, "reference-safe");
    assert_eq!(
        ran.summary.verdict,
        Verdict::Pass,
        "{}",
        ran.summary.because
    );
    assert!(cut_in(&events).contains("true cut"), "{}", cut_in(&events));
}

#[test]
fn what_was_found_on_the_virtual_bench_shows_on_a_real_one() {
    let found = one_run::read(&one_run::source("rig/tests/cuts/one-page.yaml"));
    let (ran, events) = run(&found, "museum-one-page");
    assert_eq!(
        ran.summary.verdict,
        Verdict::Fail,
        "{}",
        ran.summary.because
    );
    assert!(cut_in(&events).contains("true cut"), "{}", cut_in(&events));
    let (ran, _) = run(&found, "reference-safe");
    assert_eq!(
        ran.summary.verdict,
        Verdict::Pass,
        "{}",
        ran.summary.because
    );
}

/// A lock with one page loses its codes between the erase, its first write, and the second; which write it was
/// decides.
#[rstest]
#[case("flash-op 1, mode: dropped-before", Verdict::Pass)]
#[case("flash-op 1, mode: dropped-after", Verdict::Fail)]
#[case("flash-op 2, mode: dropped-before", Verdict::Fail)]
fn the_supply_goes_at_the_write_that_was_named(#[case] cut: &str, #[case] verdict: Verdict) {
    let (ran, _) = run(&change(&format!("{{ at: {cut} }}")), "museum-one-page");
    assert_eq!(ran.summary.verdict, verdict, "{}", ran.summary.because);
}

#[test]
fn a_write_that_does_not_come_is_said_to_be_none() {
    let (ran, _) = run(
        &change("{ at: flash-op 400, mode: dropped-before }"),
        "reference-safe",
    );
    assert_eq!(ran.summary.verdict, Verdict::Usage);
    assert_eq!(
        ran.summary.because,
        "there is no flash-op 400: carried out on the virtual bench, the steps write to flash 114 times"
    );
}
