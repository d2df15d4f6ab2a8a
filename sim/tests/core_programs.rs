//! Small programs, written as halfwords, that check what single instructions cannot: time, sleep,
//! exceptions and their order.

use lockrig_sim::chip::{Chip, Stopped};
use lockrig_sim::time::Ticks;

const STACK: u32 = 0x2000_4000;
/// Where the programs leave their results.
const RESULT: u32 = 0x2000_0000;

/// A chip with vectors at 0 and `code` at 0x100, powered and past its reset time.
fn chip(vectors: &[(usize, u32)], code: &[u16]) -> Chip {
    let mut words = [0x101_u32; 64];
    words[0] = STACK;
    for &(number, address) in vectors {
        words[number] = address | 1;
    }
    let mut image: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    image.extend(code.iter().flat_map(|half| half.to_le_bytes()));
    let mut chip = Chip::new(1);
    chip.memory_mut().load(0, &image);
    chip.power_on();
    assert_eq!(chip.run(Ticks::from_micros(10)), Stopped::Pins);
    assert_eq!(chip.run(Ticks::from_micros(10)), Stopped::Deadline);
    chip
}

#[test]
fn a_loop_adds_and_stores() {
    // movs r0,#0; movs r1,#10; loop: adds r0,r0,r1; subs r1,#1; bne loop; movs r2,#1; lsls
    // r2,r2,#29; str r0,[r2]; b .
    let code = [
        0x2000, 0x210a, 0x1840, 0x3901, 0xd1fc, 0x2201, 0x0752, 0x6010, 0xe7fe,
    ];
    let mut chip = chip(&[], &code);
    let start = chip.now();
    // 2 + 10 rounds of 2 + 9 taken and 1 untaken branch + 2 + store 2.
    let cycles = 2 + 10 * 2 + 9 * 3 + 1 + 2 + 2;
    assert_eq!(chip.run(start + Ticks(cycles)), Stopped::Deadline);
    assert_eq!(chip.now(), start + Ticks(cycles));
    assert_eq!(chip.memory().ram_word(RESULT), 55);
}

/// Runs for a millisecond, whatever the pins do meanwhile.
fn run(chip: &mut Chip) {
    let until = chip.now() + Ticks::from_millis(1);
    while chip.run(until) != Stopped::Deadline {}
}

/// What a program left from [`RESULT`] on: `count` words.
fn results(chip: &Chip, count: u32) -> Vec<u32> {
    (0..count)
        .map(|n| chip.memory().ram_word(RESULT + 4 * n))
        .collect()
}

/// The vector of interrupt line 20, a software interrupt.
const SWI0: usize = 16 + 20;

#[test]
fn a_more_urgent_interrupt_preempts_and_an_equal_one_waits() {
    // Lines 20 and 22 have priority 3, line 21 has 1; main pends 20, whose handler pends 22 and then
    // 21. Each handler notes its line; that of 20 notes 25 at its end; main notes 1 after it.
    let code = [
        0x4f0e, 0x4e0f, 0x480f, 0x4910, 0x5031, 0x4c10, 0x2207, 0x0512, 0x6032, 0x2501, 0x052d,
        0x5135, 0x2001, 0xc701, 0xe7fe, 0x2014, 0xc701, 0x00a9, 0x5131, 0x0069, 0x5131, 0x2019,
        0xc701, 0x4770, 0x2015, 0xc701, 0x4770, 0x2016, 0xc701, 0x4770, 0x0000, 0x2000, 0xe100,
        0xe000, 0x0314, 0x0000, 0x40c0, 0x00c0, 0x0100, 0x0000,
    ];
    let vectors = [(SWI0, 0x11e), (SWI0 + 1, 0x130), (SWI0 + 2, 0x136)];
    let mut chip = chip(&vectors, &code);
    run(&mut chip);
    assert_eq!(results(&chip, 5), [20, 21, 25, 22, 1]);
}

#[test]
fn a_masked_interrupt_ends_sleep_but_is_not_taken() {
    // cpsid i; pend 20; note 1; wfi; note 2; cpsie i; note 3. The handler notes 20.
    let code = [
        0x4f09, 0x4e0a, 0x4c0a, 0x2501, 0x052d, 0x6035, 0xb672, 0x5135, 0x2001, 0xc701, 0xbf30,
        0x2002, 0xc701, 0xb662, 0x2003, 0xc701, 0xe7fe, 0x2014, 0xc701, 0x4770, 0x0000, 0x2000,
        0xe100, 0xe000, 0x0100, 0x0000,
    ];
    let mut chip = chip(&[(SWI0, 0x122)], &code);
    run(&mut chip);
    assert_eq!(results(&chip, 4), [1, 2, 20, 3]);
}

#[test]
fn pendsv_follows_svcall_and_a_masked_svc_is_a_hard_fault_at_itself() {
    // svc; note 1; cpsid i; svc (at 0x10c). SVCall notes 11, pends PendSV, notes 12; PendSV notes 14;
    // HardFault notes the stacked PC and IPSR.
    let code = [
        0x4f0c, 0x4e0d, 0xdf07, 0x2001, 0xc701, 0xb672, 0xdf08, 0xe7fe, 0x200b, 0xc701, 0x4909,
        0x2001, 0x0700, 0x6008, 0x200c, 0xc701, 0x4770, 0x200e, 0xc701, 0x4770, 0x9806, 0xc701,
        0xf3ef, 0x8005, 0xc701, 0xe7fe, 0x0000, 0x2000, 0xe100, 0xe000, 0xed04, 0xe000,
    ];
    let mut chip = chip(&[(3, 0x128), (11, 0x110), (14, 0x122)], &code);
    run(&mut chip);
    assert_eq!(results(&chip, 6), [11, 12, 14, 1, 0x10c, 3]);
}

#[test]
fn a_fault_within_hard_fault_locks_up_and_resets() {
    // An unaligned load (at 0x106); HardFault notes the stacked PC and executes UDF.
    let code = [
        0x4f03, 0x4e04, 0x2003, 0x5839, 0xe7fe, 0x9806, 0xc701, 0xde00, 0x0000, 0x2000, 0xe100,
        0xe000,
    ];
    const RESETREAS: u32 = 0x4000_0400;
    const LOCKUP: u32 = 1 << 3;
    let mut chip = chip(&[(3, 0x10a)], &code);
    let now = chip.now();
    assert_eq!(chip.peripherals_mut().read(RESETREAS, now), 0);
    run(&mut chip);
    assert_eq!(results(&chip, 1), [0x106]);
    assert_eq!(chip.peripherals_mut().read(RESETREAS, now), LOCKUP);
}

#[test]
fn sleep_on_exit_leaves_main_alone() {
    // Sets SLEEPONEXIT, pends 20, would note 1. The handler notes 20.
    let code = [
        0x4f07, 0x4e08, 0x2002, 0x4908, 0x6008, 0x4c08, 0x2501, 0x052d, 0x6035, 0x5135, 0x2001,
        0xc701, 0xe7fe, 0x2014, 0xc701, 0x4770, 0x0000, 0x2000, 0xe100, 0xe000, 0xed10, 0xe000,
        0x0100, 0x0000,
    ];
    let mut chip = chip(&[(SWI0, 0x11a)], &code);
    chip.memory_mut().set_ram_word(RESULT + 4, 0);
    run(&mut chip);
    assert_eq!(results(&chip, 2), [20, 0]);
    assert!(chip.core_state().asleep);
}

#[test]
fn an_event_is_remembered_until_it_is_waited_for() {
    // sev; wfe; note 1; set SEVONPEND; pend 20, which is not enabled; wfe; note 2; wfe; note 3.
    let code = [
        0x4f09, 0x4e0a, 0xbf40, 0xbf20, 0x2001, 0xc701, 0x2010, 0x4908, 0x6008, 0x4c08, 0x2501,
        0x052d, 0x5135, 0xbf20, 0x2002, 0xc701, 0xbf20, 0x2003, 0xc701, 0xe7fe, 0x0000, 0x2000,
        0xe100, 0xe000, 0xed10, 0xe000, 0x0100, 0x0000,
    ];
    let mut chip = chip(&[], &code);
    chip.memory_mut().set_ram_word(RESULT + 8, 0);
    run(&mut chip);
    assert_eq!(results(&chip, 3), [1, 2, 0]);
    assert!(chip.core_state().asleep);
}

#[test]
fn a_thread_on_the_process_stack_is_interrupted_there() {
    // PSP = 0x20001004 (so the frame is realigned); svc. SVCall notes LR, PSP, the stacked xPSR,
    // CONTROL and SP; main notes SP and R3, which it had set to 33.
    let code = [
        0x4f0c, 0x4e0d, 0x480d, 0xf380, 0x8809, 0x2002, 0xf380, 0x8814, 0xf3bf, 0x8f6f, 0x2321,
        0xdf01, 0x4668, 0xc709, 0xe7fe, 0x4670, 0xf3ef, 0x8109, 0xc703, 0x69c8, 0xc701, 0xf3ef,
        0x8014, 0x4669, 0xc703, 0x4770, 0x0000, 0x2000, 0xe100, 0xe000, 0x1004, 0x2000,
    ];
    let mut chip = chip(&[(11, 0x11e)], &code);
    run(&mut chip);
    let frame = 0x2000_0fe0;
    assert_eq!(
        results(&chip, 7),
        [0xffff_fffd, frame, 0x0100_0200, 0, STACK, 0x2000_1004, 33]
    );
}

#[test]
fn the_same_program_leaves_the_same_state_however_it_is_sliced() {
    let mut state = 7_u64;
    let mut random = move |limit: u32| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 33) as u32) % limit
    };
    // HardFault goes on after the instruction that faulted: ldr r0, [sp, #24]; adds r0, #2; str r0,
    // [sp, #24]; bx lr.
    let handler = [0x9806, 0x3002, 0x9006, 0x4770];
    for _ in 0..200 {
        let mut code: Vec<u16> = Vec::new();
        while code.len() < 400 {
            let last = match random(17) {
                0..=7 => random(0x4400) as u16,
                8..=10 => (0x5000 + random(0x4000)) as u16,
                11 => (0xc000 + random(0x1000)) as u16,
                // Short branches, mostly forwards.
                12..=13 => (0xd000 | random(14) << 8 | random(6)) as u16,
                14 => (0xd0fa | random(14) << 8 | random(4)) as u16,
                15 => (0xb200 + random(0x100)) as u16,
                // A delay: movs rN, #imm; subs rN, #1; bne to the subs.
                _ => {
                    let register = random(6) << 8;
                    code.push((0x2000 | register | random(40)) as u16);
                    code.push((0x3801 | register) as u16);
                    0xd1fd
                }
            };
            code.push(last);
        }
        code.resize(400, 0xe7fe);
        code.push(0xe7fe);
        code.extend(handler);
        let mut whole = chip(&[(3, 0x100 + 401 * 2)], &code);
        let mut registers = whole.core_state().registers;
        for register in &mut registers[..8] {
            *register = RESULT + random(0x1000) * 2;
        }
        // TIMER0, RTC0, GPIO, the interrupt controller: from tasks to registers.
        for register in &mut registers[6..8] {
            let block = [0x4000_8000, 0x4000_b000, 0x5000_0000, 0xe000_e000][random(4) as usize];
            *register = block + [0, 0x100, 0x300, 0x500][random(4) as usize];
        }
        registers[13] = STACK - 0x100;
        whole.set_core_registers(&registers, 1 << 24);
        let mut sliced = whole.clone();
        let until = whole.now() + Ticks(3_000);
        while whole.run(until) != Stopped::Deadline {}
        while sliced.now() < until {
            let slice = sliced.now() + Ticks(1 + u64::from(random(5)));
            while sliced.run(slice.min(until)) != Stopped::Deadline {}
        }
        assert_eq!(whole.now(), sliced.now());
        assert_eq!(whole.core_state(), sliced.core_state());
        let ram = |chip: &Chip| results(chip, 0x1000);
        assert!(ram(&whole) == ram(&sliced), "RAM differs");
    }
}

#[test]
fn a_fork_goes_its_own_way() {
    // Counts in RAM for ever: ldr r0, [r1]; adds r0, #1; str r0, [r1]; b .-6, with r1 = RESULT.
    let code = [0x2101, 0x0749, 0x6808, 0x3001, 0x6008, 0xe7fb];
    let mut chip = chip(&[], &code);
    chip.memory_mut().set_ram_word(RESULT, 0);
    run(&mut chip);
    let mut fork = chip.clone();
    fork.memory_mut().load(0x106, &[2]);
    let before = results(&chip, 1)[0];
    run(&mut chip);
    run(&mut fork);
    let counted = results(&chip, 1)[0] - before;
    let by_fork = results(&fork, 1)[0] - before;
    assert!(
        counted > 1_000 && by_fork > 2 * counted - 4,
        "{counted} {by_fork}"
    );
}

#[test]
fn waiting_for_an_event_takes_as_long_as_executing_it_would() {
    // TIMER0 at 16 MHz, one shot after 1,000 ticks; a loop counts how often it looks at
    // EVENTS_COMPARE[0] and, in between, at EVENTS_COMPARE[1]; then notes the count.
    //   loop: ldr r0, [r1]; ldr r3, [r1, #4]; adds r2, #1; cmp r0, #0; beq loop; note r2
    let program = |counts: bool| {
        let count = if counts { 0x3201 } else { 0x46c0 };
        let code = [
            0x4909, 0x4f0a, 0x2200, 0x480a, 0x4b0a, 0x6003, 0x4b0a, 0x2400, 0x4d0a, 0x515c, 0x2401,
            0x601c, 0x6808, 0x684b, count, 0x2800, 0xd0fa, 0xc704, 0xe7fe, 0x0000, 0x8140, 0x4000,
            0x0000, 0x2000, 0x8540, 0x4000, 0x03e8, 0x0000, 0x8000, 0x4000, 0x0510, 0x0000,
        ];
        let mut chip = chip(&[], &code);
        let start = chip.now();
        // The program is over when it left its result.
        chip.memory_mut().set_ram_word(RESULT, u32::MAX);
        for slice in 1.. {
            while chip.run(start + Ticks(slice)) != Stopped::Deadline {}
            if chip.memory().ram_word(RESULT) != u32::MAX {
                break;
            }
            assert!(slice < 100_000, "the event never comes");
        }
        let ended = chip.now();
        let mut skipping = self::chip(&[], &code);
        skipping.memory_mut().set_ram_word(RESULT, u32::MAX);
        while skipping.run(ended) != Stopped::Deadline {}
        assert_eq!(results(&skipping, 1), results(&chip, 1));
        assert_eq!(skipping.core_state(), chip.core_state());
        assert_eq!(skipping.now(), ended);
        ended - start
    };
    // A loop that counts is never in the same state twice and has to be executed.
    assert_eq!(program(true), program(false));
}

#[test]
fn what_a_register_does_comes_before_the_next_instruction() {
    // TIMER0 interrupts when it comes to 100. Main writes 1 to a register of it and then counts in r2;
    // the handler of line 8 notes the count and drives as many pins.
    //   ldr r4, =RESULT; ldr r0, =TIMER0; ldr r1, =ISER; ldr r7, =DIRSET; PRESCALER = 0; ISER = 1 << 8;
    //   INTENSET = 1 << 16; CC[0] = 100; str r2, [r0, r6]; loop: adds r2, #1; b loop
    //   handler: str r2, [r4]; str r2, [r7]; b .
    let program = |register: u16| {
        let code = [
            0x4c0b, 0x480c, 0x490c, 0x4f0d, 0x4e0d, 0x2200, 0x5182, 0x2201, 0x0213, 0x600b, 0x0413,
            0x25c1, 0x00ad, 0x5143, 0x4e09, 0x2564, 0x5185, 0x4e09, 0x5182, 0x3201, 0xe7fd, 0x6022,
            0x603a, 0xe7fe, 0x0000, 0x2000, 0x8000, 0x4000, 0xe100, 0xe000, 0x0518, 0x5000, 0x0510,
            0x0000, 0x0540, 0x0000, register, 0x0000,
        ];
        let mut whole = chip(&[(16 + 8, 0x12a)], &code);
        let mut sliced = whole.clone();
        assert_eq!(whole.run(Ticks::from_millis(1)), Stopped::Pins);
        while sliced.run(sliced.now() + Ticks(1)) != Stopped::Pins {}
        assert_eq!(whole.now(), sliced.now());
        assert_eq!(whole.core_state(), sliced.core_state());
        assert_eq!(results(&whole, 1), results(&sliced, 1));
        results(&whole, 1)[0]
    };
    let (start, compare_event) = (0x000, 0x140);
    assert_eq!(program(compare_event), 1);
    let count = program(start);
    assert!((20..30).contains(&count), "{count}");
}
