//! What makes two benches the same: forks that are told apart by what they are in the middle of, and by what
//! outlives a loss of supply, each without the other.

use lockrig_sim::bench::{BenchSpec, Port, VirtualBench};
use lockrig_sim::board::Touch;
use lockrig_sim::time::Ticks;

/// A page that no program of these tests reads.
const PAGE: u32 = 0x3_0000;

/// A bench that waits, with its supply on.
fn waiting() -> VirtualBench {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    // Stack pointer, reset vector, and a branch to itself.
    bench.load(0, &[0x00, 0x10, 0x00, 0x20, 0x09, 0, 0, 0, 0xfe, 0xe7]);
    bench.write(Port::Supply, b"VOLT 9;CURR 2;OUTP ON\n");
    run(&mut bench, 100);
    bench
}

fn run(bench: &mut VirtualBench, millis: u64) {
    let until = bench.now() + Ticks::from_millis(millis);
    while bench.run_until(until).is_some() {}
}

#[test]
fn forks_that_are_treated_alike_are_in_the_middle_of_the_same() {
    let mut bench = waiting();
    let mut fork = bench.clone();
    assert_eq!(bench.passing_state(), fork.passing_state());
    for bench in [&mut bench, &mut fork] {
        bench.touch(Touch::Key(3), true);
        run(bench, 7);
    }
    assert_eq!(bench.passing_state(), fork.passing_state());
}

#[test]
fn whatever_a_fork_does_otherwise_tells_it_apart() {
    let bench = waiting();
    type Act = fn(&mut VirtualBench);
    let others: [(&str, Act); 5] = [
        ("time", |bench| run(bench, 1)),
        ("a key", |bench| bench.touch(Touch::Key(3), true)),
        ("the door", |bench| bench.touch(Touch::Door, true)),
        ("bytes on a wire", |bench| bench.write(Port::Console, b"?")),
        ("a loss of supply", |bench| bench.cut(Default::default())),
    ];
    let mut states = vec![("nothing", bench.passing_state())];
    for (what, act) in others {
        let mut fork = bench.clone();
        act(&mut fork);
        let state = fork.passing_state();
        let same = states.iter().find(|(_, other)| *other == state);
        assert_eq!(same, None, "{what}");
        states.push((what, state));
    }
}

#[test]
fn flash_is_no_part_of_what_a_bench_is_in_the_middle_of() {
    let bench = waiting();
    let mut fork = bench.clone();
    fork.load(PAGE, &[1, 2, 3, 4]);
    assert_eq!(bench.passing_state(), fork.passing_state());
    assert_ne!(bench.lasting_state(), fork.lasting_state());
}

#[test]
fn a_page_that_is_taken_to_hold_other_words_counts_as_if_it_held_them() {
    let bench = waiting();
    let mut words = [u32::MAX; 256];
    words[0] = 0x0403_0201;
    let mut fork = bench.clone();
    fork.load(PAGE, &[1, 2, 3, 4]);
    let as_if = bench.lasting_state_but(&[], Some((PAGE, &words)));
    assert_eq!(as_if, fork.lasting_state());
    // And the same words in another page do not.
    let elsewhere = bench.lasting_state_but(&[], Some((PAGE + 1024, &words)));
    assert_ne!(as_if, elsewhere);
    assert_eq!(
        bench.lasting_state_but(&[PAGE], None),
        fork.lasting_state_but(&[PAGE], None)
    );
}
