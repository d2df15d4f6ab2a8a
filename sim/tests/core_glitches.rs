//! One instruction of a small program goes wrong, in every way that there is; and being told of instructions
//! changes nothing.

use lockrig_sim::chip::glitch::Glitch;
use lockrig_sim::chip::{Chip, Stopped};
use lockrig_sim::time::Ticks;

const STACK: u32 = 0x2000_4000;

/// A comparison as a lock does it, at 0x100: movs r0,#1; cmp r0,#2; bne closed; movs r7,#0xaa; b .;
/// closed: movs r7,#0x55; b .
const DECIDES: [u16; 7] = [0x2001, 0x2802, 0xd101, 0x27aa, 0xe7fe, 0x2755, 0xe7fe];
const OPEN: u32 = 0xaa;
const CLOSED: u32 = 0x55;

fn chip(code: &[u16]) -> Chip {
    let mut words = [0x181_u32; 64];
    (words[0], words[1]) = (STACK, 0x101);
    let mut image: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    image.extend(code.iter().flat_map(|half| half.to_le_bytes()));
    let mut chip = Chip::new(1);
    chip.memory_mut().load(0, &image);
    // What faults ends in a loop at 0x180.
    chip.memory_mut().load(0x180, &0xe7fe_u16.to_le_bytes());
    chip.power_on();
    assert_eq!(chip.run(Ticks::from_micros(10)), Stopped::Pins);
    assert_eq!(chip.run(Ticks::from_micros(10)), Stopped::Deadline);
    chip
}

/// The chip before the n-th instruction, from 1.
fn before(chip: &Chip, number: u64) -> Chip {
    let mut chip = chip.clone();
    chip.watch_instructions(true);
    for _ in 0..number {
        assert_eq!(chip.run(Ticks::from_millis(1)), Stopped::Instruction);
    }
    assert_eq!(chip.instruction().map(|told| told.number), Some(number));
    chip
}

/// What R7 holds in the end, and whether the program faulted.
fn ends(mut chip: Chip) -> (u32, bool) {
    chip.watch_instructions(false);
    let until = chip.now() + Ticks(100);
    while chip.run(until) != Stopped::Deadline {}
    (chip.core_state().registers[7], chip.is_in_fault())
}

#[test]
fn a_glitch_does_what_it_says() {
    let skip = |count| Some(Glitch::Skip(count));
    // What it is, the instruction, the glitch, and what R7 holds in the end.
    let cases = [
        ("as it is", 2, None, CLOSED),
        (
            "the comparison, and the flags are those of movs",
            2,
            skip(1),
            CLOSED,
        ),
        ("the branch", 3, skip(1), OPEN),
        ("the comparison and the branch", 2, skip(2), OPEN),
        ("bne becomes beq", 3, Some(Glitch::Flip(8)), OPEN),
        (
            "cmp r0,#2 becomes cmp r0,#3",
            2,
            Some(Glitch::Flip(0)),
            CLOSED,
        ),
        (
            "cmp r0,#2 becomes cmp r1,#2",
            2,
            Some(Glitch::Flip(8)),
            CLOSED,
        ),
        ("movs r0 gives all ones", 1, Some(Glitch::Ones(0)), CLOSED),
    ];
    for (what, number, glitch, expected) in cases {
        let mut chip = before(&chip(&DECIDES), number);
        let began = chip.now();
        assert!(chip.glitch(glitch), "{what}");
        if let Some(Glitch::Skip(count)) = glitch {
            assert_eq!(chip.now() - began, Ticks(count.into()), "{what}");
        }
        assert_eq!(ends(chip), (expected, false), "{what}");
    }
}

#[test]
fn what_an_instruction_does_not_have_cannot_go_wrong() {
    let chip = before(&chip(&DECIDES), 2);
    let told = chip.instruction().expect("it was told");
    assert_eq!((told.address, told.writes), (0x102, 0));
    for glitch in [
        Glitch::Zeros(0),
        Glitch::Ones(7),
        Glitch::Flip(16),
        Glitch::Flip(40),
    ] {
        assert!(!chip.clone().glitch(Some(glitch)), "{glitch:?}");
    }
}

#[test]
fn a_register_that_is_written_is_all_zeros_or_all_ones_afterwards() {
    // movs r0,#1; push {r0, r4}; pop {r0, r4}; bl next; next: b .
    let code = [0x2001, 0xb411, 0xbc11, 0xf000, 0xf800, 0xe7fe];
    let mut chip = before(&chip(&code), 3);
    let told = chip.instruction().expect("it was told");
    assert_eq!(told.writes, 1 << 0 | 1 << 4);
    assert!(chip.glitch(Some(Glitch::Ones(4))));
    assert_eq!(chip.core_state().registers[4], u32::MAX);
    assert_eq!(chip.run(Ticks::from_millis(1)), Stopped::Instruction);
    let told = chip.instruction().expect("it was told");
    assert_eq!((told.number, told.writes), (4, 1 << 14));
    assert_eq!(told.halfwords, (0xf000, Some(0xf800)));
}

#[test]
fn an_instruction_that_becomes_nonsense_faults() {
    // nop is 0xbf00; 0xff00 begins a 32-bit instruction that there is not.
    let mut chip = before(&chip(&[0xbf00, 0xe7fe]), 1);
    assert!(chip.glitch(Some(Glitch::Flip(14))));
    assert!(ends(chip).1);
}

#[test]
fn being_told_of_instructions_changes_nothing() {
    // A loop with a store: movs r0,#100; movs r1,#1; lsls r1,r1,#29; loop: str r0,[r1]; subs r0,#1; bne loop; b .
    let chip = chip(&[0x2064, 0x2101, 0x0749, 0x6008, 0x3801, 0xd1fc, 0xe7fe]);
    let until = chip.now() + Ticks(700);
    let (mut fast, mut told) = (chip.clone(), chip);
    while fast.run(until) != Stopped::Deadline {}
    told.watch_instructions(true);
    while told.run(until) != Stopped::Deadline {}
    assert_eq!(fast.now(), told.now());
    assert_eq!(fast.core_state(), told.core_state());
    assert_eq!(fast.awake_time(), told.awake_time());
}
