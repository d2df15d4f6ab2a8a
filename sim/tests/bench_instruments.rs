//! The bench seen from its ports alone: what bytes do, when, and what comes back. No firmware runs.

use lockrig_sim::bench::{BenchSpec, Observation, Port, Seen, VirtualBench};
use lockrig_sim::board::Line;
use lockrig_sim::time::Ticks;

fn ms(millis: u64) -> Ticks {
    Ticks::from_millis(millis)
}

fn watch(bench: &mut VirtualBench, until: Ticks) -> Vec<Observation> {
    std::iter::from_fn(|| bench.run_until(until)).collect()
}

/// Everything a port said until `until`, with the moment of its last byte.
fn answer(bench: &mut VirtualBench, from: Port, until: Ticks) -> (Vec<u8>, Ticks) {
    let mut said = (Vec::new(), Ticks::ZERO);
    for seen in watch(bench, until) {
        if let Seen::Bytes { port, bytes } = seen.what
            && port == from
        {
            said.0.extend(bytes);
            said.1 = seen.at;
        }
    }
    said
}

fn edges(seen: &[Observation], wanted: Line) -> Vec<(Ticks, bool)> {
    seen.iter()
        .filter_map(|seen| match seen.what {
            Seen::Edge { line, level, .. } if line == wanted => Some((seen.at, level)),
            _ => None,
        })
        .collect()
}

fn relay(channel: u8, state: u8) -> [u8; 4] {
    [
        0xA0,
        channel,
        state,
        0xA0_u8.wrapping_add(channel).wrapping_add(state),
    ]
}

#[test]
fn a_bench_at_rest_lets_time_pass_and_shows_nothing() {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    assert_eq!(bench.run_until(ms(3_600_000)), None);
    assert_eq!(bench.now(), ms(3_600_000));
    assert!(bench.level(Line::BoltThrown) && !bench.level(Line::BoltWithdrawn));
}

#[test]
fn a_relay_frame_takes_its_bytes_and_the_operate_time_and_then_the_key_bounces() {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    bench.write(Port::Relay, &relay(5, 1));
    let seen = watch(&mut bench, ms(100));
    let key = edges(&seen, Line::Key);
    // 40 bits at 9600 baud are 4.1667 ms.
    assert_eq!(key[0], (Ticks(66_667) + ms(6), true));
    assert!(key.len() % 2 == 1 && key.len() > 1, "{key:?}");
    assert!(key[key.len() - 1].0 <= Ticks(66_667) + ms(12));
    assert_eq!(key.len(), seen.len());

    bench.write(Port::Relay, &relay(5, 0));
    let seen = watch(&mut bench, ms(200));
    assert_eq!(edges(&seen, Line::Key)[0], (ms(103) + Ticks(66_667), false));
    assert!(!bench.level(Line::Key));
}

#[test]
fn feedback_says_what_the_coil_does() {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    bench.write(Port::Relay, &relay(13, 3));
    let (bytes, at) = answer(&mut bench, Port::Relay, ms(50));
    assert_eq!(bytes, [0xA0, 13, 1, 0xAE]);
    // Four bytes in, one millisecond, four bytes out.
    assert_eq!(at, Ticks(66_667 + 16_000 + 66_667));
    assert!(bench.level(Line::ResetButton));
}

#[test]
fn a_bad_checksum_moves_nothing_and_is_not_answered() {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    bench.write(Port::Relay, &[0xA0, 13, 3, 0x00]);
    assert_eq!(watch(&mut bench, ms(100)), []);
}

#[test]
fn the_supply_powers_the_board_after_its_set_up_time() {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    bench.write(Port::Supply, b"VOLT 9;OUTP ON\n");
    bench.run_until(Ticks(249_999) + ms(2));
    assert_eq!(bench.board().terminal_volts(), 0.0);
    bench.run_until(ms(30));
    assert!(bench.board().terminal_volts() > 8.99);
    assert_eq!(bench.board().chip_volts(), 3.0);
    assert!(bench.board().is_chip_on());

    bench.write(Port::Supply, b"MEAS:VOLT?\n");
    let (bytes, _) = answer(&mut bench, Port::Supply, ms(100));
    let text = String::from_utf8(bytes).expect("an answer in ASCII");
    let volts: f64 = text.trim_end().parse().expect("a number");
    assert!((8.99..9.0).contains(&volts), "{text}");
}

#[test]
fn a_clean_drop_resets_the_chip_a_few_milliseconds_later() {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    bench.write(Port::Supply, b"VOLT 9;OUTP ON\n");
    bench.run_until(ms(100));
    bench.write(Port::Supply, b"OUTP OFF\n");
    let off = ms(100) + Ticks(16_667 * 9) + ms(2);
    bench.run_until(off + ms(2));
    assert!(bench.board().is_chip_on());
    bench.run_until(off + ms(5));
    assert!(!bench.board().is_chip_on());
}

#[test]
fn instruments_keep_their_state_when_the_board_is_cut() {
    let mut bench = VirtualBench::new(&BenchSpec::SMART_LOCK, 1);
    bench.write(Port::Supply, b"VOLT 6;OUTP ON\n");
    bench.write(Port::Relay, &relay(15, 1));
    bench.run_until(ms(60));
    while bench.run_until(ms(100)).is_some() {}
    bench.cut(Default::default());
    assert!(!bench.board().is_chip_on());
    assert_eq!(bench.board().chip_volts(), 0.0);
    while bench.run_until(ms(200)).is_some() {}
    assert!(bench.level(Line::Door));
    bench.write(Port::Supply, b"OUTP?\n");
    assert_eq!(answer(&mut bench, Port::Supply, ms(250)).0, b"1\n");
    assert!(!bench.board().is_chip_on());
    bench.restore();
    while bench.run_until(ms(300)).is_some() {}
    assert!(bench.board().is_chip_on());
}

#[test]
fn forks_with_the_same_inputs_see_the_same_and_leave_their_parent_alone() {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 7);
    bench.write(Port::Supply, b"VOLT 9;OUTP ON\n");
    bench.run_until(ms(40));
    let run = |mut bench: VirtualBench| {
        bench.write(Port::Relay, &relay(1, 1));
        let mut seen = watch(&mut bench, ms(80));
        bench.write(Port::Relay, &relay(1, 2));
        seen.extend(watch(&mut bench, ms(160)));
        seen
    };
    let first = run(bench.clone());
    assert!(first.len() > 5);
    assert_eq!(first, run(bench.clone()));
    assert_eq!(bench.now(), ms(40));
    assert_eq!(first, run(bench));
}

#[test]
fn another_seed_bounces_otherwise() {
    let run = |seed| {
        let mut bench = VirtualBench::new(&BenchSpec::SAFE, seed);
        bench.write(Port::Relay, &relay(1, 1));
        watch(&mut bench, ms(80))
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
