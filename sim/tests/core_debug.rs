//! What a probe does with the debug port, register by register.

use lockrig_sim::chip::Chip;
use lockrig_sim::chip::debug::{DebugFault, DebugPort};
use lockrig_sim::time::Ticks;

const DHCSR: u32 = 0xe000_edf0;
const DCRSR: u32 = 0xe000_edf4;
const DCRDR: u32 = 0xe000_edf8;
const DEMCR: u32 = 0xe000_edfc;
const DFSR: u32 = 0xe000_ed30;
const AIRCR: u32 = 0xe000_ed0c;
const BP_CTRL: u32 = 0xe000_2000;
const BP_COMP0: u32 = 0xe000_2008;
const KEY: u32 = 0xa05f_0000;
const S_HALT: u32 = 1 << 17;
const S_LOCKUP: u32 = 1 << 19;
const S_RESET_ST: u32 = 1 << 25;
const PC: u32 = 15;
const RAM: u32 = 0x2000_0000;

/// Memory and core accesses, as a probe's software builds them from port registers.
struct Probe<'a>(DebugPort<'a>);

impl<'a> Probe<'a> {
    fn attach(chip: &'a mut Chip) -> Probe<'a> {
        let mut port = chip.debug_port();
        port.line_reset().unwrap();
        assert_eq!(port.dp_read(0), Ok(0x0bb1_1477));
        port.dp_write(0, 0x1e).unwrap();
        port.dp_write(8, 0).unwrap();
        port.dp_write(4, 0x5000_0000).unwrap();
        assert_eq!(port.dp_read(4), Ok(0xf000_0000));
        assert_eq!(port.ap_read(0, 0xfc), Ok(0x0477_0021));
        assert_eq!(port.ap_read(1, 0xfc), Ok(0));
        port.ap_write(0, 0, 0x2300_0052).unwrap();
        Probe(port)
    }

    fn read(&mut self, address: u32) -> u32 {
        self.0.ap_write(0, 4, address).unwrap();
        self.0.ap_read(0, 0xc).unwrap()
    }

    fn write(&mut self, address: u32, value: u32) {
        self.0.ap_write(0, 4, address).unwrap();
        self.0.ap_write(0, 0xc, value).unwrap();
    }

    fn write_all(&mut self, address: u32, words: &[u32]) {
        self.0.ap_write(0, 4, address).unwrap();
        for &word in words {
            self.0.ap_write(0, 0xc, word).unwrap();
        }
    }

    fn register(&mut self, register: u32) -> u32 {
        self.write(DCRSR, register);
        self.read(DCRDR)
    }

    fn set_register(&mut self, register: u32, value: u32) {
        self.write(DCRDR, value);
        self.write(DCRSR, 1 << 16 | register);
    }

    fn halt(&mut self) {
        self.write(DHCSR, KEY | 3);
        assert_eq!(self.read(DHCSR) & (S_HALT | S_LOCKUP), S_HALT);
    }

    fn run_until_halted(&mut self) {
        self.write(DHCSR, KEY | 1);
        for _ in 0..10 {
            if self.read(DHCSR) & S_HALT != 0 {
                return;
            }
        }
        panic!("the core does not halt");
    }

    fn step(&mut self) {
        self.write(DHCSR, KEY | 0xd);
        assert_eq!(self.read(DHCSR) & S_HALT, S_HALT);
    }
}

/// A supplied chip with erased flash.
fn blank_chip() -> Chip {
    let mut chip = Chip::new(1);
    chip.power_on();
    chip
}

#[test]
fn halting_ends_the_lockup_of_a_blank_chip() {
    let mut chip = blank_chip();
    let mut probe = Probe::attach(&mut chip);
    while probe.read(DHCSR) & S_LOCKUP == 0 {}
    probe.halt();
}

#[test]
fn code_in_ram_runs_to_its_breakpoint_instruction() {
    let mut chip = blank_chip();
    let mut probe = Probe::attach(&mut chip);
    probe.halt();
    // bkpt; nop; adds r0, #5; bx lr
    probe.write_all(RAM, &[0xbf00_be00, 0x4770_3005]);
    for (register, value) in [(0, 37), (13, RAM + 0x1000), (14, RAM | 1), (PC, RAM + 4)] {
        probe.set_register(register, value);
    }
    probe.run_until_halted();
    assert_eq!(probe.register(0), 42);
    assert_eq!(probe.register(PC), RAM);
    assert_eq!(probe.read(DFSR) & 2, 2);
    // Rewritten code is decoded anew.
    probe.write(RAM + 4, 0x4770_3003);
    probe.set_register(PC, RAM + 4);
    probe.run_until_halted();
    assert_eq!(probe.register(0), 45);
}

#[test]
fn code_in_ram_stands_still_while_flash_is_written() {
    let mut chip = blank_chip();
    let mut probe = Probe::attach(&mut chip);
    probe.halt();
    probe.write(0x4001_e504, 1);
    // str r1, [r0]; ldr r2, [r3]; bkpt; nop
    probe.write_all(RAM, &[0x681a_6001, 0xbf00_be00]);
    for (register, value) in [(0, 0x1000), (1, 0x1234), (3, 0x4001_e400), (PC, RAM)] {
        probe.set_register(register, value);
    }
    probe.run_until_halted();
    assert_eq!(probe.register(2), 1, "the first look at READY finds it set");
    assert_eq!(probe.read(0x1000), 0x1234);
}

#[test]
fn a_step_ignores_the_breakpoint_it_starts_from() {
    let mut chip = blank_chip();
    // movs r0, #1 ... #4; b .
    chip.memory_mut()
        .load(0x100, &[1, 0x20, 2, 0x20, 3, 0x20, 4, 0x20, 0xfe, 0xe7]);
    let mut probe = Probe::attach(&mut chip);
    probe.halt();
    probe.set_register(16, 1 << 24);
    probe.set_register(PC, 0x100);
    probe.write(BP_CTRL, 3);
    probe.write(BP_COMP0, 0x102 & !3 | 2 << 30 | 1);
    assert_eq!(probe.read(BP_CTRL), 0x41);
    probe.run_until_halted();
    assert_eq!((probe.register(PC), probe.register(0)), (0x102, 1));
    assert_eq!(probe.read(DFSR), 3);
    probe.write(DFSR, 0x1f);
    probe.step();
    assert_eq!((probe.register(PC), probe.register(0)), (0x104, 2));
    assert_eq!(probe.read(DFSR), 1);
    probe.write(BP_COMP0, 0);
    probe.write(DHCSR, KEY | 1);
    assert_eq!(probe.read(DHCSR) & S_HALT, 0);
    probe.halt();
    assert_eq!((probe.register(PC), probe.register(0)), (0x108, 4));
}

#[test]
fn a_reset_is_caught_before_the_first_instruction() {
    let mut chip = blank_chip();
    chip.memory_mut().load(0, &[0, 0x10, 0, 0x20, 1, 1, 0, 0]);
    chip.memory_mut().load(0x100, &[1, 0x20, 0xfe, 0xe7]);
    let mut probe = Probe::attach(&mut chip);
    probe.halt();
    probe.read(DHCSR);
    probe.write(DEMCR, 1);
    probe.write(AIRCR, 0x05fa_0004);
    let status = probe.read(DHCSR);
    assert_eq!(status & (S_RESET_ST | S_HALT), S_RESET_ST | S_HALT);
    assert_eq!(probe.read(DHCSR) & S_RESET_ST, 0);
    assert_eq!(
        (probe.register(PC), probe.register(13)),
        (0x100, RAM + 0x1000)
    );
    probe.write(DEMCR, 0);
    probe.write(AIRCR, 0x05fa_0004);
    assert_eq!(
        probe.read(DHCSR) & S_HALT,
        0,
        "without the catch the core runs"
    );
}

#[test]
fn a_catch_set_under_reset_waits_for_the_debugger() {
    let mut chip = blank_chip();
    chip.memory_mut().load(0, &[0, 0x10, 0, 0x20, 1, 1, 0, 0]);
    chip.memory_mut().load(0x100, &[1, 0x20, 0xfe, 0xe7]);
    chip.set_reset(true);
    let mut probe = Probe::attach(&mut chip);
    probe.write(DEMCR, 1);
    probe.write(AIRCR, 0x05fa_0004);
    probe.write(DHCSR, KEY | 1);
    assert_eq!(probe.read(DHCSR) & S_HALT, S_HALT);
}

#[test]
fn a_catch_set_under_reset_halts_before_the_first_instruction_after_it() {
    // As probes do it: the catch is set while the pin is low, debug is enabled some accesses after
    // it is high again, and the core must not have run meanwhile.
    let mut chip = blank_chip();
    chip.memory_mut().load(0, &[0, 0x10, 0, 0x20, 1, 1, 0, 0]);
    chip.memory_mut().load(0x100, &[1, 0x30, 0xfd, 0xe7]);
    chip.set_reset(true);
    Probe::attach(&mut chip).write(DEMCR, 1);
    chip.set_reset(false);
    let mut probe = Probe::attach(&mut chip);
    probe.read(RAM);
    probe.write(DHCSR, KEY | 1);
    assert_eq!(probe.read(DHCSR) & S_HALT, S_HALT);
    assert_eq!((probe.register(PC), probe.register(0)), (0x100, 0));
    probe.write(DEMCR, 0);
    probe.write(DHCSR, KEY | 1);
    assert_eq!(probe.read(DHCSR) & S_HALT, 0);
}

#[test]
fn bytes_stand_in_their_lanes_and_the_address_moves_on() {
    let mut chip = blank_chip();
    let mut probe = Probe::attach(&mut chip);
    probe.halt();
    probe.write_all(RAM + 0x3fc, &[0x4433_2211]);
    assert_eq!(
        probe.0.ap_read(0, 4),
        Ok(RAM),
        "the increment wraps within 1 KiB"
    );
    probe.0.ap_write(0, 0, 0x2300_0050).unwrap();
    probe.0.ap_write(0, 4, RAM + 0x3fd).unwrap();
    assert_eq!(probe.0.ap_read(0, 0xc), Ok(0x2200));
    assert_eq!(probe.0.ap_read(0, 0xc), Ok(0x33_0000));
    probe.0.ap_write(0, 0xc, 0x9900_0000).unwrap();
    probe.0.ap_write(0, 0, 0x2300_0052).unwrap();
    assert_eq!(probe.read(RAM + 0x3fc), 0x9933_2211);
}

#[test]
fn a_failed_access_sticks_until_it_is_cleared() {
    let mut chip = blank_chip();
    let mut probe = Probe::attach(&mut chip);
    probe.halt();
    probe.0.ap_write(0, 4, 0x8000_0000).unwrap();
    assert_eq!(probe.0.ap_read(0, 0xc), Err(DebugFault::Fault));
    assert_eq!(probe.0.ap_read(0, 0xfc), Err(DebugFault::Fault));
    assert_eq!(probe.0.dp_read(4).unwrap() & 0x20, 0x20);
    probe.0.dp_write(0, 4).unwrap();
    assert_eq!(probe.0.ap_read(0, 0xfc), Ok(0x0477_0021));
}

#[test]
fn nobody_answers_without_supply_and_debug_mode_ends_with_it() {
    let mut chip = blank_chip();
    Probe::attach(&mut chip).halt();
    assert!(chip.is_in_debug_mode());
    chip.power_off();
    assert_eq!(chip.debug_port().dp_read(0), Err(DebugFault::NoResponse));
    chip.power_on();
    assert!(!chip.is_in_debug_mode() && !chip.is_halted());
}

#[test]
fn polling_a_running_target_takes_the_same_time_every_time() {
    let run = || {
        let mut chip = blank_chip();
        let mut probe = Probe::attach(&mut chip);
        probe.halt();
        // loop: subs r0, #1; bne loop; bkpt
        probe.write_all(RAM, &[0xd1fd_3801, 0xbe00]);
        probe.set_register(0, 100_000);
        probe.set_register(PC, RAM);
        probe.run_until_halted();
        assert_eq!(probe.register(0), 0);
        chip.now()
    };
    let end = run();
    assert!(end > Ticks(400_000));
    assert_eq!(end, run());
}
