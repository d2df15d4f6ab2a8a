//! The reference firmware on the whole bench, touched by relay frames only.

use std::path::Path;

use code_entry::personality::{
    BoltRules, CodeRules, EntryRules, FactoryRule, Guard, Kind, LockoutKeys, LockoutPowerCycle,
    LockoutRules, LockoutStage, Overflow, Parts, ResetRules, ResetTrigger, SupplyRules, Zeros,
};
use code_entry::signal::{Colour, Light, Pattern, Signal, SignalTable, Train};
use code_entry::{Button, Code, Key, Personality};
use lockrig_sim::bench::{BenchSpec, Observation, Port, Seen, VirtualBench};
use lockrig_sim::board::Line;
use lockrig_sim::board::keypad::KEYS;
use lockrig_sim::chip::nvmc::Torn;
use lockrig_sim::time::Ticks;

const PERSONALITY_PAGE: u32 = 0x3_8000;

fn ms(millis: u64) -> Ticks {
    Ticks::from_millis(millis)
}

/// The parts of an ELF image that go to flash.
fn segments(elf: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let word = |at: usize| u32::from_le_bytes(elf[at..at + 4].try_into().expect("four bytes"));
    let half = |at: usize| u16::from_le_bytes(elf[at..at + 2].try_into().expect("two bytes"));
    let (first, size, count) = (word(28) as usize, half(42) as usize, half(44) as usize);
    (0..count)
        .map(|index| first + index * size)
        .filter(|at| word(*at) == 1 && word(at + 16) != 0)
        .map(|at| {
            let start = word(at + 4) as usize;
            (
                word(at + 12),
                elf[start..start + word(at + 16) as usize].to_vec(),
            )
        })
        .collect()
}

fn personality(kind: Kind) -> Personality {
    let beeps = |count, on_ms| Train {
        count,
        on_ms,
        off_ms: 100,
    };
    let pattern = |colour, flashes, sound| Pattern {
        light: Some(Light {
            colour,
            train: flashes,
        }),
        sound: Some(sound),
    };
    let mut signals = SignalTable::default();
    signals.set(
        Signal::Accepted,
        pattern(Colour::Green, beeps(1, 500), beeps(1, 200)),
    );
    signals.set(
        Signal::WrongCode,
        pattern(Colour::Red, beeps(3, 100), beeps(3, 100)),
    );
    Personality {
        product: "bench test".try_into().expect("a short name"),
        kind,
        entry: EntryRules {
            digits_min: 4,
            digits_max: 6,
            submit: [Key::Hash].into_iter().collect(),
            clear: Some(Key::Star),
            idle_ms: 10_000,
            overflow: Overflow::Wrong,
            chord_ms: 0,
            long_press_ms: 0,
        },
        codes: CodeRules {
            user_slots: 2,
            factory: [Code::parse("2580").expect("a code")].into_iter().collect(),
            factory_rule: FactoryRule::Works,
            factory_master: Code::BLANK,
            reset_code: Code::BLANK,
            zeros: Zeros::Refused,
        },
        changes: Default::default(),
        lockout: LockoutRules {
            stages: [LockoutStage {
                wrong: 3,
                duration_ms: 60_000,
            }]
            .into_iter()
            .collect(),
            within_ms: 0,
            keys: LockoutKeys::Ignored,
            power_cycle: LockoutPowerCycle::Resumes,
        },
        reset: ResetRules {
            trigger: ResetTrigger::Hold {
                button: Button::Reset,
                min_ms: 5_000,
                max_ms: None,
            },
            guard: Guard::default(),
            erases: Parts::USER_CODES,
            keeps: Parts::NONE,
        },
        bolt: BoltRules {
            relock_ms: 3_000,
            travel_ms: 1_000,
            learns_hand: false,
        },
        supply: SupplyRules::default(),
        signals,
    }
}

/// A powered bench with the reference firmware, idle.
fn bench(spec: &BenchSpec, kind: Kind) -> (VirtualBench, Vec<Observation>) {
    let image = match kind {
        Kind::Safe => "reference-safe.elf",
        Kind::SmartLock => "reference-smart-lock.elf",
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../firmware/images")
        .join(image);
    let image = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("cannot read \"{}\": {error}", path.display()));
    let mut bench = VirtualBench::new(spec, 11);
    for (address, bytes) in segments(&image) {
        bench.load(address, &bytes);
    }
    let page = personality(kind)
        .to_page()
        .expect("rules that fit together");
    bench.load(PERSONALITY_PAGE, &page);
    bench.write(Port::Supply, b"VOLT 9;CURR 2;SOUR:RES 1;OUTP ON\n");
    let seen = watch(&mut bench, ms(2_000));
    (bench, seen)
}

fn watch(bench: &mut VirtualBench, until: Ticks) -> Vec<Observation> {
    let seen: Vec<_> = std::iter::from_fn(|| bench.run_until(until)).collect();
    assert!(seen.is_sorted_by_key(|seen| seen.at));
    assert_eq!(bench.now(), until);
    seen
}

fn console(seen: &[Observation]) -> String {
    seen.iter()
        .filter_map(|seen| match &seen.what {
            Seen::Bytes {
                port: Port::Console,
                bytes,
            } => Some(bytes[0] as char),
            _ => None,
        })
        .collect()
}

fn edges(seen: &[Observation], wanted: Line) -> Vec<bool> {
    seen.iter()
        .filter_map(|seen| match seen.what {
            Seen::Edge { line, level, .. } if line == wanted => Some(level),
            _ => None,
        })
        .collect()
}

/// Presses keys one after the other, 100 ms down and 100 ms up.
fn press(bench: &mut VirtualBench, keys: &str) -> Vec<Observation> {
    let mut seen = Vec::new();
    for key in keys.chars() {
        let channel = KEYS.iter().position(|name| *name == key).expect("a key") as u8 + 1;
        for state in [1, 0] {
            bench.write(Port::Relay, &[0xA0, channel, state, 0xA0 + channel + state]);
            let until = bench.now() + ms(100);
            seen.extend(watch(bench, until));
        }
    }
    seen
}

#[test]
fn the_right_code_moves_the_bolt_and_a_wrong_one_does_not() {
    let (mut bench, boot) = bench(&BenchSpec::SAFE, Kind::Safe);
    let boot = console(&boot);
    assert!(
        boot.starts_with("boot reason=power-on image=safe product=bench test\r\n"),
        "{boot}"
    );
    assert!(boot.ends_with("idle\r\n"), "{boot}");

    let mut seen = press(&mut bench, "1111#");
    let until = bench.now() + ms(3_000);
    seen.extend(watch(&mut bench, until));
    let said = console(&seen);
    assert!(said.contains("refused failures=1"), "{said}");
    assert_eq!(edges(&seen, Line::Solenoid), []);
    assert_eq!(
        edges(&seen, Line::Red),
        [true, false, true, false, true, false]
    );
    assert_eq!(
        edges(&seen, Line::Beeper),
        [true, false, true, false, true, false]
    );

    let mut seen = press(&mut bench, "2580#");
    let until = bench.now() + ms(5_000);
    seen.extend(watch(&mut bench, until));
    let said = console(&seen);
    assert!(said.contains("accepted slot=1"), "{said}");
    assert_eq!(edges(&seen, Line::Solenoid), [true, false]);
    assert_eq!(edges(&seen, Line::BoltThrown), [false, true]);
    assert_eq!(edges(&seen, Line::BoltWithdrawn), [true, false]);
}

#[test]
fn a_motor_withdraws_the_smart_locks_bolt_and_throws_it_again() {
    let (mut bench, boot) = bench(&BenchSpec::SMART_LOCK, Kind::SmartLock);
    let boot = console(&boot);
    assert!(boot.ends_with("idle\r\n"), "{boot}");
    let mut seen = press(&mut bench, "2580#");
    let until = bench.now() + ms(6_000);
    seen.extend(watch(&mut bench, until));
    assert_eq!(edges(&seen, Line::BoltWithdrawn), [true, false]);
    assert_eq!(edges(&seen, Line::BoltThrown), [false, true]);
    assert_eq!(edges(&seen, Line::Motor), [true, false, true, false]);
}

/// The failure count that the lock tells when asked.
fn failures(bench: &mut VirtualBench) -> String {
    bench.write(Port::Console, b"?\n");
    let until = bench.now() + ms(100);
    let said = console(&watch(bench, until));
    let word = said
        .split_whitespace()
        .find(|word| word.starts_with("failures="));
    word.unwrap_or_else(|| panic!("no failure count in {said:?}"))
        .to_owned()
}

#[test]
fn a_cut_at_any_flash_operation_of_an_attempt_leaves_the_old_count_or_the_new() {
    let (mut bench, _) = bench(&BenchSpec::SAFE, Kind::Safe);
    press(&mut bench, "1111");
    bench.write(Port::Relay, &[0xA0, 12, 1, 0xAD]);
    let until = bench.now() + ms(500);
    let operations = bench.flash_operations(until);
    assert!(!operations.is_empty(), "an attempt is stored");
    let ways = [
        Torn::DroppedBefore,
        Torn::DroppedAfter,
        Torn::Prefix { bits: 3 },
        Torn::BitSubset { seed: 1 },
        Torn::PartialErase { seed: 1 },
        Torn::Metastable { seed: 1 },
    ];
    let mut seen = [0, 0];
    // Each operation in one way: all ways at all of them are the rig's campaign, not a test's.
    for (operation, torn) in operations.iter().zip(ways.into_iter().cycle()) {
        let mut cut = bench.clone();
        watch(
            &mut cut,
            Ticks(operation.started.0.midpoint(operation.ends.0)),
        );
        cut.cut(torn);
        cut.write(Port::Relay, &[0xA0, 12, 0, 0xAC]);
        let until = cut.now() + ms(100);
        watch(&mut cut, until);
        cut.restore();
        let until = cut.now() + ms(2_000);
        let said = console(&watch(&mut cut, until));
        assert!(said.contains("idle"), "{operation:?} {torn:?}: {said:?}");
        match failures(&mut cut).as_str() {
            "failures=0" => seen[0] += 1,
            "failures=1" => seen[1] += 1,
            other => panic!("{operation:?} {torn:?}: {other}"),
        }
    }
    assert!(
        seen[0] > 0 && seen[1] > 0,
        "{} operations: {seen:?}",
        operations.len()
    );
}
