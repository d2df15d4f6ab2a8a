//! A lock's behaviour, tested on a bench: on the virtual safe, or on the one that `LOCKRIG_BENCH` names.
//!
//! The board is flashed once for all tests of a process; each test takes a fork of it, or, of a real
//! board, has it for itself and freshly flashed.

use std::env;

use lockrig::testing::{Bench, Desk, Lab};
use lockrig::verdict::Verdict;
use rstest::{fixture, rstest};

#[fixture]
#[once]
fn lab() -> Lab {
    let bench = env::var("LOCKRIG_BENCH").unwrap_or_else(|_| "virtual-safe".to_owned());
    // Without an image of its own the bench file's is flashed: `.image("target/lock.elf")` is yours.
    Desk::new(bench)
        .profile("stack-on-red-button")
        .code("owner", "user")
        .code("new", "user")
        .code("guess", "wrong")
        .traces(env!("CARGO_TARGET_TMPDIR"))
        .flash()
}

/// A lock that knows its owner.
#[fixture]
fn bench(lab: &Lab) -> Bench {
    lab.bench_that_knows(&["owner"])
}

#[rstest]
fn forgotten_code(mut bench: Bench) {
    bench.step("enter: $guess, times: 2, expect: wrong-code");
    bench.procedure("reset");
    bench.step("do: set-code, with: { code: $new }, expect: change-accepted");
    bench.opens("new");
    bench.refuses("owner");
}

#[rstest]
fn no_code_is_lost_with_the_battery(mut bench: Bench) {
    bench.supply("off");
    bench.wait("1 min");
    bench.supply("fresh");
    bench.opens("owner");
}

#[rstest]
fn a_key_by_itself_opens_nothing(mut bench: Bench) {
    bench.press("1");
    bench.press("2");
    bench.wait("10 s");
    let summary = bench.finish();
    assert_eq!(summary.verdict, Verdict::Pass);
}

#[rstest]
#[case("1 s")]
#[case("30 s")]
fn a_battery_change_does_not_end_the_lockout(mut bench: Bench, #[case] off: &str) {
    bench.step("enter: $guess, times: until-lockout");
    bench.supply("off");
    bench.wait(off);
    bench.supply("fresh");
    bench.refuses("owner");
    bench.wait("lockout");
    bench.opens("owner");
}

/// Scenario files run here as well, with every variant that the product can do.
#[rstest]
fn the_owner_changes_the_code(lab: &Lab) {
    lab.passes("scenarios/new-owner.yaml");
}

/// What is not as expected fails the test, and says on which line of it.
#[rstest]
#[should_panic(expected = "open with guess\nfail: expected guess to withdraw the bolt")]
fn a_wrong_expectation_is_found(mut bench: Bench) {
    bench.opens("guess");
}
