//! Tiny hand-assembled programs on the whole bench: from a relay frame through the keypad into the
//! chip, and from the chip's pins through the board to the sense lines; flash under a cut.

use lockrig_sim::bench::{BenchSpec, Observation, Port, Seen, VirtualBench};
use lockrig_sim::board::Line;
use lockrig_sim::chip::nvmc::{FlashChange, Torn};
use lockrig_sim::time::Ticks;

const OUT: u32 = 0x5000_0504;
const OUTSET: u32 = 0x5000_0508;
const OUTCLR: u32 = 0x5000_050C;
const IN: u32 = 0x5000_0510;
const DIRSET: u32 = 0x5000_0518;
const NVMC_CONFIG: u32 = 0x4001_E504;
const NVMC_ERASEPAGE: u32 = 0x4001_E508;
const INPUT_PULLED_UP: u32 = 0xC;

fn pin_cnf(pin: u32) -> u32 {
    0x5000_0700 + 4 * pin
}

/// Thumb code, one instruction after the other.
#[derive(Default)]
struct Program(Vec<u16>);

impl Program {
    /// Puts a constant into a low register.
    fn set(mut self, register: u16, value: u32) -> Program {
        let [first, rest @ ..] = value.to_be_bytes();
        self.0.push(0x2000 | register << 8 | u16::from(first));
        for byte in rest {
            // lsls rd, rd, #8; adds rd, #byte
            self.0.push(0x0200 | register << 3 | register);
            self.0.push(0x3000 | register << 8 | u16::from(byte));
        }
        self
    }

    fn op(mut self, code: &[u16]) -> Program {
        self.0.extend(code);
        self
    }

    /// Stores a constant, by way of r0 and r1.
    fn write(self, address: u32, value: u32) -> Program {
        self.set(0, address).set(1, value).op(&[0x6001])
    }

    fn forever(self) -> Program {
        self.op(&[0xE7FE])
    }

    fn here(&self) -> usize {
        self.0.len()
    }

    fn back_to(self, place: usize) -> Program {
        let offset = place as i32 - self.0.len() as i32 - 2;
        self.op(&[0xE000 | (offset as u16 & 0x7FF)])
    }

    /// A bench whose chip runs this, from the moment its supply has come up.
    fn on(self, spec: &BenchSpec) -> VirtualBench {
        let mut image = vec![0x2000_4000_u32, 0x101];
        image.resize(64, 0x101);
        let mut bytes: Vec<u8> = image.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(self.0.iter().flat_map(|half| half.to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(4), 0xFF);
        let mut bench = VirtualBench::new(spec, 3);
        bench.load(0, &bytes);
        bench.write(Port::Supply, b"VOLT 9;CURR 2;OUTP ON\n");
        bench
    }
}

fn ms(millis: u64) -> Ticks {
    Ticks::from_millis(millis)
}

fn relay(channel: u8, closed: bool) -> [u8; 4] {
    let state = u8::from(closed);
    [0xA0, channel, state, 0xA0 + channel + state]
}

fn watch(bench: &mut VirtualBench, until: Ticks) -> Vec<Observation> {
    std::iter::from_fn(|| bench.run_until(until)).collect()
}

fn edges(seen: &[Observation], wanted: Line) -> Vec<(Ticks, bool)> {
    seen.iter()
        .filter_map(|seen| match seen.what {
            Seen::Edge { line, level, .. } if line == wanted => Some((seen.at, level)),
            _ => None,
        })
        .collect()
}

/// Row 1 is driven low; the red lamp shows that this column reads low.
fn column_lights_red(column_pin: u16) -> Program {
    let program = Program::default()
        .write(pin_cnf(u32::from(column_pin)), INPUT_PULLED_UP)
        .write(DIRSET, 1 << 12 | 1 << 21)
        .set(2, IN)
        .set(3, OUT)
        .set(4, 1 << 21);
    let again = program.here();
    let shift = 21 - column_pin;
    program
        // ldr r0,[r2]; mvns r0,r0; lsls r0,r0,#shift; ands r0,r4; str r0,[r3]
        .op(&[0x6810, 0x43C0, shift << 6, 0x4020, 0x6018])
        .back_to(again)
}

#[test]
fn a_pressed_key_reaches_the_chip_and_its_answer_the_lamp() {
    let mut bench = column_lights_red(16).on(&BenchSpec::SAFE);
    assert_eq!(edges(&watch(&mut bench, ms(100)), Line::Red), []);
    bench.write(Port::Relay, &relay(1, true));
    let seen = watch(&mut bench, ms(200));
    let key = edges(&seen, Line::Key)[0];
    let red = edges(&seen, Line::Red)[0];
    assert!(key.1 && red.1);
    assert!(red.0 > key.0 && red.0.since(key.0) < Ticks::from_micros(5));
    assert!(bench.level(Line::Red));

    bench.write(Port::Relay, &relay(1, false));
    let seen = watch(&mut bench, ms(300));
    let opened = edges(&seen, Line::Key).last().expect("the key opens").0;
    let dark = edges(&seen, Line::Red).last().expect("the lamp goes out").0;
    assert!(dark.since(opened) >= ms(5) && dark.since(opened) < ms(5) + Ticks(100));
    assert!(!bench.level(Line::Red));
}

#[test]
fn three_keys_of_a_rectangle_ghost_the_fourth_into_the_chip() {
    let mut bench = column_lights_red(17).on(&BenchSpec::SAFE);
    bench.write(Port::Relay, &relay(1, true));
    bench.write(Port::Relay, &relay(4, true));
    watch(&mut bench, ms(200));
    assert!(
        !bench.level(Line::Red),
        "keys 1 and 4 do not touch column 2"
    );
    bench.write(Port::Relay, &relay(5, true));
    watch(&mut bench, ms(300));
    assert!(bench.level(Line::Red), "key 2 reads as pressed");
    bench.write(Port::Relay, &relay(4, false));
    watch(&mut bench, ms(400));
    assert!(!bench.level(Line::Red));
}

#[test]
fn the_solenoid_pulls_the_bolt_and_a_cut_lets_the_spring_throw_it() {
    let mut bench = Program::default()
        .write(OUTSET, 1 << 5)
        .write(DIRSET, 1 << 5 | 1 << 3)
        .forever()
        .on(&BenchSpec::SAFE);
    let seen = watch(&mut bench, ms(200));
    let on = edges(&seen, Line::Solenoid)[0].0;
    assert_eq!(edges(&seen, Line::BoltThrown), [(on, false)]);
    assert_eq!(edges(&seen, Line::BoltWithdrawn), [(on + ms(30), true)]);
    let now = bench.now();
    bench.cut(Torn::DroppedBefore);
    let seen = watch(&mut bench, ms(300));
    assert_eq!(edges(&seen, Line::Solenoid), [(now, false)]);
    assert_eq!(edges(&seen, Line::BoltWithdrawn), [(now, false)]);
    assert_eq!(edges(&seen, Line::BoltThrown), [(now + ms(30), true)]);
}

#[test]
fn one_line_alone_does_not_move_the_bolt() {
    let both_high = 1 << 5 | 1 << 3;
    for (high, outputs) in [(both_high, both_high), (1 << 5, 1 << 5), (0, 1 << 3)] {
        let mut bench = Program::default()
            .write(OUTSET, high)
            .write(DIRSET, outputs)
            .forever()
            .on(&BenchSpec::SAFE);
        let seen = watch(&mut bench, ms(200));
        assert_eq!(
            edges(&seen, Line::Solenoid),
            [],
            "{high:#x} of {outputs:#x}"
        );
        assert!(bench.level(Line::BoltThrown));
    }
}

#[test]
fn a_beeper_is_an_envelope_with_a_pitch() {
    // Toggles every 3 x 987 + 3 cycles or so: 2.7 kHz.
    let program = Program::default()
        .write(DIRSET, 1 << 4)
        .set(2, OUTSET)
        .set(3, OUTCLR)
        .set(4, 1 << 4)
        .set(5, 200);
    let again = program.here();
    let wait = |program: Program| {
        // ldr of a constant is spared: movs r6,#246; lsls r6,#2; subs r6,#1; bne -2
        program.op(&[0x26F6, 0x00B6, 0x3E01, 0xD1FD])
    };
    let program = wait(program.op(&[0x6014]));
    let program = wait(program.op(&[0x601C]));
    // subs r5,#1; beq out; b again; out: b .
    let program = program.op(&[0x3D01, 0xD000]);
    let mut bench = program.back_to(again).forever().on(&BenchSpec::SAFE);
    let beeps: Vec<_> = watch(&mut bench, ms(300))
        .into_iter()
        .filter_map(|seen| match seen.what {
            Seen::Edge {
                line: Line::Beeper,
                level,
                hertz,
            } => Some((seen.at, level, hertz)),
            _ => None,
        })
        .collect();
    let [(start, true, first), (end, false, mean)] = beeps[..] else {
        panic!("not one tone: {beeps:?}");
    };
    let (first, mean) = (first.expect("a pitch"), mean.expect("a pitch"));
    assert!((2_000..2_200).contains(&mean), "{mean} Hz");
    assert!(first.abs_diff(mean) <= 1);
    let length = 200 * 1_000_000 / u64::from(mean);
    let seen = end.since(start).as_nanos() / 1_000;
    assert!(seen.abs_diff(length) < 2_000, "{seen} us of {length}");
}

/// Writes a word to an erased place, then erases the page.
fn flash_program() -> VirtualBench {
    Program::default()
        .write(NVMC_CONFIG, 1)
        .write(0x2_0000, 0x1234_5678)
        .write(NVMC_CONFIG, 2)
        .write(NVMC_ERASEPAGE, 0x2_0000)
        .forever()
        .on(&BenchSpec::SAFE)
}

#[test]
fn flash_operations_are_listed_ahead_and_leave_the_bench_alone() {
    let bench = flash_program();
    let operations = bench.flash_operations(ms(200));
    assert_eq!(bench.now(), Ticks::ZERO);
    let [write, erase] = operations[..] else {
        panic!("not two operations: {operations:?}");
    };
    assert_eq!(
        write.change,
        FlashChange::Write {
            address: 0x2_0000,
            before: u32::MAX,
            wanted: 0x1234_5678
        }
    );
    assert_eq!(erase.change, FlashChange::ErasePage { page: 0x2_0000 });
    assert!(erase.started >= write.ends && erase.ends > erase.started + ms(20));
}

#[test]
fn a_cut_within_a_flash_write_leaves_what_the_torn_mode_says() {
    let mut bench = flash_program();
    bench.watch_flash(true);
    let write = loop {
        match bench.run_until(ms(200)).expect("the write starts").what {
            Seen::FlashOperation(operation) => break operation,
            _ => continue,
        }
    };
    assert!(bench.now().since(write.started) < Ticks(10));
    bench.run_until(Ticks((write.started.0 + write.ends.0) / 2));
    let after = |torn| {
        let mut fork = bench.clone();
        fork.cut(torn);
        let left = fork.chip().memory().flash_word(0x2_0000);
        // What is left does not change while there is no supply.
        watch(&mut fork, ms(400));
        assert_eq!(fork.chip().memory().flash_word(0x2_0000), left);
        left
    };
    let wanted = 0x1234_5678_u32;
    assert_eq!(after(Torn::DroppedBefore), u32::MAX);
    assert_eq!(after(Torn::DroppedAfter), wanted);
    let prefix = after(Torn::Prefix { bits: 5 });
    assert_eq!((prefix.count_zeros(), prefix & wanted), (5, wanted));
    let subset = after(Torn::BitSubset { seed: 1 });
    assert_eq!(subset & wanted, wanted);
    assert_ne!(subset, after(Torn::BitSubset { seed: 2 }));
    assert_eq!(
        bench.chip().memory().flash_word(0x2_0000),
        u32::MAX,
        "the parent is not torn"
    );
}

#[test]
fn a_cut_chip_starts_afresh_when_the_supply_is_restored() {
    let mut bench = column_lights_red(16).on(&BenchSpec::SAFE);
    bench.write(Port::Relay, &relay(1, true));
    watch(&mut bench, ms(100));
    assert!(bench.level(Line::Red));
    let ram = |bench: &VirtualBench| {
        (0..64)
            .map(|word| bench.chip().memory().ram_word(0x2000_0000 + 4 * word))
            .collect::<Vec<_>>()
    };
    let before = ram(&bench);
    bench.cut(Torn::DroppedBefore);
    watch(&mut bench, ms(200));
    assert!(!bench.level(Line::Red));
    bench.restore();
    watch(&mut bench, ms(300));
    assert!(bench.level(Line::Red));
    assert_ne!(ram(&bench), before, "nothing of RAM survives");
}

#[test]
fn the_debug_port_is_reached_through_the_bench_and_takes_its_time() {
    let mut bench = Program::default().forever().on(&BenchSpec::SAFE);
    assert!(
        bench.debug_port().dp_read(0).is_err(),
        "no supply, no answer"
    );
    watch(&mut bench, ms(100));
    let before = bench.now();
    assert_eq!(bench.debug_port().dp_read(0), Ok(0x0BB1_1477));
    assert!(bench.now() > before && bench.now() < before + ms(1));
}

#[test]
fn the_core_is_seen_in_the_supply_current() {
    let mut bench = Program::default().forever().on(&BenchSpec::SAFE);
    watch(&mut bench, ms(100));
    let measure = |bench: &mut VirtualBench, until| {
        bench.write(Port::Supply, b"MEAS:CURR?\n");
        let bytes: Vec<u8> = watch(bench, until)
            .into_iter()
            .flat_map(|seen| match seen.what {
                Seen::Bytes {
                    port: Port::Supply,
                    bytes,
                } => bytes,
                _ => Vec::new(),
            })
            .collect();
        String::from_utf8(bytes).expect("an answer in ASCII")
    };
    assert_eq!(measure(&mut bench, ms(200)), "0.004400\n");
    // wfi; b -1
    let mut asleep = Program::default()
        .op(&[0xBF30, 0xE7FD])
        .on(&BenchSpec::SAFE);
    watch(&mut asleep, ms(100));
    assert_eq!(measure(&mut asleep, ms(200)), "0.000003\n");
}

/// The red lamp is lit and the core runs for ever.
fn lit() -> VirtualBench {
    let mut bench = Program::default()
        .write(OUTSET, 1 << 21)
        .write(DIRSET, 1 << 21)
        .forever()
        .on(&BenchSpec::SAFE);
    watch(&mut bench, ms(100));
    assert!(bench.level(Line::Red));
    bench
}

#[test]
fn a_clean_drop_resets_the_chip_when_the_closed_form_says() {
    let mut bench = lit();
    bench.write(Port::Supply, b"OUTP OFF\n");
    // Nine bytes of ten bits at 9600 baud, then the set-up time.
    let off = ms(100) + Ticks(150_000) + ms(2);
    let dark = edges(&watch(&mut bench, ms(200)), Line::Red)[0].0;
    let reset = dark.since(off + ms(5));
    // 4.4 mA of core and 2 mA of lamp, through the diode into 100 ohm.
    let rest = 0.6 - 6.4e-3 * 100.0;
    let wanted = 47e-6 * 100.0 * f64::ln((3.0 - rest) / (1.7 - rest));
    let seen = reset.as_nanos() as f64 / 1e9;
    assert!((seen - wanted).abs() < 1e-6, "{seen} s, not {wanted} s");
}

#[test]
fn a_sag_that_the_diode_does_not_feel_resets_the_chip_by_its_load() {
    let mut bench = lit();
    bench.write(Port::Supply, b"VOLT 1.2\n");
    let sag = ms(100) + Ticks(150_000) + ms(2);
    let dark = edges(&watch(&mut bench, ms(300)), Line::Red)[0].0;
    // The diode takes the capacitor to 1.8 V through 50 milliohm; the load takes it from there.
    let wanted = 0.1 * 47e-6 / 6.4e-3;
    let seen = dark.since(sag + ms(5)).as_nanos() as f64 / 1e9;
    assert!((seen - wanted).abs() < 2e-5, "{seen} s, not {wanted} s");
}

#[test]
fn a_tired_battery_and_the_solenoid_make_a_brown_out_loop() {
    // On reset the solenoid is energised; the battery cannot hold it, the chip resets, the battery
    // recovers, and so on.
    let mut bench = Program::default()
        .write(OUTSET, 1 << 5)
        .write(DIRSET, 1 << 5 | 1 << 3)
        .forever()
        .on(&BenchSpec::SAFE);
    bench.write(Port::Supply, b"SOUR:RES 50;VOLT 5\n");
    let seen = watch(&mut bench, ms(500));
    let energised = edges(&seen, Line::Solenoid);
    assert!(energised.len() > 20, "{} edges", energised.len());
    assert!(bench.level(Line::BoltThrown), "too weak to pull the bolt");
}
