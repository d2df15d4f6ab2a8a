//! The peripherals through the door that firmware uses: their registers. A script writes, lets
//! time pass and reads; the figures it expects are the reference manual's.

use lockrig_sim::chip::memory::Memory;
use lockrig_sim::chip::peripherals::{Peripherals, Processor, ResetCause};
use lockrig_sim::time::Ticks;

const POWER: u32 = 0x4000_0000;
const RADIO: u32 = 0x4000_1000;
const UART: u32 = 0x4000_2000;
const TWI0: u32 = 0x4000_3000;
const SPI1: u32 = 0x4000_4000;
const GPIOTE: u32 = 0x4000_6000;
const ADC: u32 = 0x4000_7000;
const TIMER0: u32 = 0x4000_8000;
const TIMER1: u32 = 0x4000_9000;
const TIMER2: u32 = 0x4000_a000;
const RTC0: u32 = 0x4000_b000;
const TEMP: u32 = 0x4000_c000;
const RNG: u32 = 0x4000_d000;
const WDT: u32 = 0x4001_0000;
const PPI: u32 = 0x4001_f000;
const NVMC: u32 = 0x4001_e000;
const GPIO: u32 = 0x5000_0000;
const FICR: u32 = 0x1000_0000;

const INTENSET: u32 = 0x304;
const COMPARE: u32 = 0x140;
const CC: u32 = 0x540;

/// A script's stage: peripherals and a clock.
struct Script {
    peripherals: Peripherals,
    now: Ticks,
}

impl Script {
    fn new() -> Script {
        Script {
            peripherals: Peripherals::new(7),
            now: Ticks::from_micros(1_000),
        }
    }

    fn write(&mut self, address: u32, value: u32) -> &mut Script {
        self.peripherals.write(address, value, self.now);
        self
    }

    fn read(&mut self, address: u32) -> u32 {
        self.peripherals.read(address, self.now)
    }

    /// Lets time pass as the chip does: stopping at every event.
    fn wait(&mut self, span: Ticks) -> &mut Script {
        let until = self.now + span;
        while self.peripherals.next_event() <= until {
            let event = self.peripherals.next_event();
            assert!(
                event >= self.now,
                "an event at {event:?} lies before {:?}",
                self.now
            );
            self.now = event;
            self.peripherals.advance(event);
        }
        self.now = until;
        self
    }

    /// Waits until an event register is set and tells how long that took.
    fn until(&mut self, event: u32) -> Ticks {
        let start = self.now;
        for _ in 0..1_000_000 {
            if self.read(event) != 0 {
                return self.now - start;
            }
            let next = self.peripherals.next_event();
            assert!(
                next != Ticks::NEVER,
                "nothing will ever raise the event {event:#x}"
            );
            self.now = next;
            self.peripherals.advance(next);
        }
        panic!("the event {event:#x} was not raised within a million events");
    }
}

fn micros(micros: u64) -> Ticks {
    Ticks::from_micros(micros)
}

fn millis(millis: u64) -> Ticks {
    Ticks::from_millis(millis)
}

#[test]
fn an_event_stays_until_it_is_cleared_and_interrupts_while_both_are_set() {
    let mut script = Script::new();
    script
        .write(TIMER0 + CC, 100)
        .write(TIMER0 + INTENSET, 1 << 16)
        .write(TIMER0, 1);
    script.wait(micros(99));
    assert_eq!(script.peripherals.interrupts(), 0);
    script.wait(micros(1));
    assert_eq!(script.read(TIMER0 + COMPARE), 1);
    assert_eq!(script.peripherals.interrupts(), 1 << 8);
    script.write(TIMER0 + 0x308, 1 << 16);
    assert_eq!(script.peripherals.interrupts(), 0);
    script.write(TIMER0 + INTENSET, 1 << 16);
    assert_eq!(script.peripherals.interrupts(), 1 << 8);
    script.write(TIMER0 + COMPARE, 0);
    assert_eq!(script.peripherals.interrupts(), 0);
    assert_eq!(script.read(TIMER0 + INTENSET), 1 << 16);
}

#[test]
fn a_timer_counts_captures_clears_and_stops() {
    let mut script = Script::new();
    // 16 MHz / 2^4 after reset; captures show the count.
    script
        .write(TIMER0, 1)
        .wait(micros(1_234))
        .write(TIMER0 + 0x44, 1);
    assert_eq!(script.read(TIMER0 + CC + 4), 1_234);
    script
        .write(TIMER0 + 4, 1)
        .wait(micros(500))
        .write(TIMER0 + 0x44, 1);
    assert_eq!(
        script.read(TIMER0 + CC + 4),
        1_234,
        "a stopped timer keeps its count"
    );
    script
        .write(TIMER0, 1)
        .wait(micros(6))
        .write(TIMER0 + 0x44, 1);
    assert_eq!(script.read(TIMER0 + CC + 4), 1_240, "and goes on from it");
    script.write(TIMER0 + 0xc, 1).write(TIMER0 + 0x44, 1);
    assert_eq!(script.read(TIMER0 + CC + 4), 0);
}

#[test]
fn a_timer_wraps_at_its_width() {
    for (timer, bit_mode, turn) in [
        (TIMER1, 0, 65_536_u64),
        (TIMER1, 1, 256),
        (TIMER0, 2, 1 << 24),
        (TIMER1, 2, 65_536),
    ] {
        let mut script = Script::new();
        script
            .write(timer + 0x508, bit_mode)
            .write(timer + 0x510, 0)
            .write(timer, 1);
        script.wait(Ticks(turn + 5)).write(timer + 0x40, 1);
        assert_eq!(script.read(timer + CC), 5, "width {bit_mode} of {timer:#x}");
    }
}

#[test]
fn a_compare_short_makes_a_period_of_cc_counts() {
    let mut script = Script::new();
    script
        .write(TIMER0 + CC, 1_000)
        .write(TIMER0 + 0x200, 1)
        .write(TIMER0, 1);
    for _ in 0..3 {
        assert_eq!(script.until(TIMER0 + COMPARE), micros(1_000));
        script.write(TIMER0 + COMPARE, 0);
    }
    // COMPARE0_STOP.
    script.write(TIMER0 + 0x200, 0x101).until(TIMER0 + COMPARE);
    assert_eq!(script.peripherals.next_event(), Ticks::NEVER);
}

#[test]
fn a_compare_that_passed_unseen_is_seen_again_after_a_whole_turn() {
    let mut script = Script::new();
    script
        .write(TIMER1 + 0x510, 0)
        .write(TIMER1 + CC, 100)
        .write(TIMER1, 1);
    script
        .wait(Ticks(100 + 3 * 65_536 + 7))
        .write(TIMER1 + COMPARE, 0);
    assert_eq!(script.read(TIMER1 + COMPARE), 0);
    assert_eq!(script.until(TIMER1 + COMPARE), Ticks(65_536 - 7));
}

#[test]
fn a_counter_counts_what_its_task_is_given() {
    let mut script = Script::new();
    script
        .write(TIMER2 + 0x504, 1)
        .write(TIMER2 + CC, 3)
        .write(TIMER2, 1);
    script.write(TIMER2 + 8, 1).write(TIMER2 + 8, 1);
    assert_eq!(script.read(TIMER2 + COMPARE), 0);
    script
        .write(TIMER2 + 8, 1)
        .wait(millis(10))
        .write(TIMER2 + 0x48, 1);
    assert_eq!(script.read(TIMER2 + COMPARE), 1);
    assert_eq!(script.read(TIMER2 + CC + 8), 3);
}

/// Starts the low-frequency clock from its RC oscillator.
fn slow_clock(script: &mut Script) {
    script.write(POWER + 8, 1);
    assert_eq!(script.until(POWER + 0x104), micros(390));
    script.write(POWER + 0x104, 0);
}

#[test]
fn clocks_start_in_their_time_and_say_so() {
    let mut script = Script::new();
    script.write(POWER, 1);
    assert_eq!(
        script.read(POWER + 0x40c),
        1 << 16,
        "the RC oscillator runs before the crystal"
    );
    assert_eq!(script.until(POWER + 0x100), micros(400));
    assert_eq!(script.read(POWER + 0x40c), 1 << 16 | 1);
    script.write(POWER + 4, 1);
    assert_eq!(script.read(POWER + 0x40c), 1 << 16);
    script.write(POWER + 0x518, 1).write(POWER + 8, 1);
    assert_eq!(script.read(POWER + 0x418) >> 16, 0);
    assert_eq!(script.until(POWER + 0x104), millis(300));
    assert_eq!(script.read(POWER + 0x418), 1 << 16 | 1);
    script.write(POWER + 0x104, 0).write(POWER + 8, 1);
    assert_eq!(
        script.read(POWER + 0x104),
        1,
        "a running clock says so again"
    );
}

#[test]
fn an_rtc_counts_the_slow_clock_through_its_prescaler() {
    let mut script = Script::new();
    slow_clock(&mut script);
    script.write(RTC0 + 0x508, 32).write(RTC0, 1);
    script.wait(millis(1_000));
    // 32768 / 33 = 992.97.
    assert_eq!(script.read(RTC0 + 0x504), 992);
    script.write(RTC0 + 4, 1).wait(millis(1)).wait(millis(100));
    let stopped = script.read(RTC0 + 0x504);
    script.wait(millis(100));
    assert_eq!(script.read(RTC0 + 0x504), stopped);
    script.write(RTC0 + 8, 1);
    script.wait(micros(47));
    assert_eq!(script.read(RTC0 + 0x504), 0);
}

#[test]
fn an_rtc_task_takes_half_a_slow_cycle_to_one_and_a_half() {
    for phase in 0..40 {
        let mut script = Script::new();
        slow_clock(&mut script);
        script
            .write(RTC0 + 0x508, 0)
            .write(RTC0 + 0x348, 0)
            .write(RTC0 + INTENSET, 1);
        script.wait(Ticks(phase * 13)).write(RTC0, 1);
        let first = script.until(RTC0 + 0x100);
        let started = first.since(Ticks(488));
        assert!(
            (micros(15)..=micros(46)).contains(&started),
            "phase {phase}: started after {started:?}"
        );
    }
}

#[test]
fn an_rtc_makes_only_events_that_are_enabled() {
    let mut script = Script::new();
    slow_clock(&mut script);
    script.write(RTC0 + CC, 10).write(RTC0, 1).wait(millis(2));
    assert_eq!(
        (script.read(RTC0 + COMPARE), script.read(RTC0 + 0x100)),
        (0, 0)
    );
    script
        .write(RTC0 + 8, 1)
        .write(RTC0 + 0x344, 1 << 16)
        .wait(millis(1));
    assert_eq!(
        (script.read(RTC0 + COMPARE), script.read(RTC0 + 0x100)),
        (1, 0)
    );
}

#[test]
fn an_rtc_never_misses_a_compare_two_ahead_and_never_hits_one_that_is_now() {
    for phase in 0..40 {
        let mut script = Script::new();
        slow_clock(&mut script);
        script
            .write(RTC0 + 0x344, 1 << 16)
            .write(RTC0, 1)
            .wait(millis(5) + Ticks(phase * 13));
        let count = script.read(RTC0 + 0x504);
        script.write(RTC0 + CC, count).wait(millis(3));
        assert_eq!(script.read(RTC0 + COMPARE), 0, "phase {phase}");
        let count = script.read(RTC0 + 0x504);
        script.write(RTC0 + CC, count + 2);
        let waited = script.until(RTC0 + COMPARE);
        assert!(waited <= micros(62), "phase {phase}: {waited:?}");
        assert_eq!(script.read(RTC0 + 0x504), count + 2);
    }
}

#[test]
fn an_rtc_overflows_when_it_is_made_to() {
    let mut script = Script::new();
    slow_clock(&mut script);
    script
        .write(RTC0 + INTENSET, 2)
        .write(RTC0, 1)
        .wait(millis(1))
        .write(RTC0 + 0xc, 1);
    script.wait(micros(47));
    assert!(script.read(RTC0 + 0x504) >= 0xff_fff0);
    // 16 cycles of 30.5 µs, less what has passed.
    let waited = script.until(RTC0 + 0x104);
    assert!((micros(440)..micros(489)).contains(&waited), "{waited:?}");
    assert_eq!(script.peripherals.interrupts(), 1 << 11);
    assert_eq!(script.read(RTC0 + 0x504), 0);
}

#[test]
fn an_rtc_can_be_started_before_its_clock() {
    let mut script = Script::new();
    script.write(RTC0, 1).wait(millis(5));
    assert_eq!(script.read(RTC0 + 0x504), 0);
    slow_clock(&mut script);
    script.wait(millis(10));
    assert_eq!(script.read(RTC0 + 0x504), 326);
}

/// Connects the UART to pins 24 and 25 at 115200 baud.
fn console(script: &mut Script) {
    script
        .write(UART + 0x50c, 24)
        .write(UART + 0x514, 25)
        .write(UART + 0x524, 0x01d7_e000);
    script
        .write(UART + 0x500, 4)
        .write(UART + 8, 1)
        .write(UART, 1);
}

#[test]
fn the_uart_sends_a_byte_in_ten_bit_times() {
    let mut script = Script::new();
    console(&mut script);
    assert_eq!(
        script.peripherals.pins().high & (1 << 24),
        1 << 24,
        "TXD idles high"
    );
    let start = script.now;
    script.write(UART + 0x51c, u32::from(b'A'));
    assert_eq!(script.read(UART + 0x11c), 0);
    let took = script.until(UART + 0x11c);
    // 10 bits at 115203 baud: 86.8 µs.
    assert_eq!(took, Ticks(1_389));
    assert!(script.peripherals.take_outcome().uart);
    assert_eq!(script.peripherals.take_uart(), Some((start + took, b'A')));
    assert_eq!(script.peripherals.take_uart(), None);
}

#[test]
fn the_uart_says_ready_for_a_byte_that_goes_nowhere() {
    let mut script = Script::new();
    script
        .write(UART + 0x500, 4)
        .write(UART + 8, 1)
        .write(UART + 0x51c, 0);
    script.until(UART + 0x11c);
    assert_eq!(script.peripherals.take_uart(), None);
}

#[test]
fn the_uart_keeps_six_bytes_and_announces_each() {
    let mut script = Script::new();
    console(&mut script);
    for byte in b'a'..=b'f' {
        script.peripherals.uart_receive(byte, script.now);
    }
    assert_eq!(script.read(UART + 0x124), 0);
    script.peripherals.uart_receive(b'g', script.now);
    assert_eq!(
        (script.read(UART + 0x124), script.read(UART + 0x480)),
        (1, 1),
        "overrun"
    );
    for byte in b'a'..=b'f' {
        assert_eq!(script.read(UART + 0x108), 1);
        script.write(UART + 0x108, 0);
        assert_eq!(script.read(UART + 0x518), u32::from(byte));
    }
    assert_eq!(script.read(UART + 0x108), 0);
    script.write(UART + 0x480, 1);
    assert_eq!(script.read(UART + 0x480), 0);
}

#[test]
fn the_uart_hears_nothing_while_its_receiver_is_off() {
    let mut script = Script::new();
    console(&mut script);
    script.write(UART + 4, 1);
    script.until(UART + 0x144);
    script.peripherals.uart_receive(b'x', script.now);
    assert_eq!(script.read(UART + 0x108), 0);
}

#[test]
fn pins_are_driven_pulled_and_read_as_configured() {
    let mut script = Script::new();
    // Output, input buffer connected.
    script
        .write(GPIO + 0x700 + 4 * 4, 1)
        .write(GPIO + 0x508, 1 << 4);
    assert!(script.peripherals.take_outcome().pins);
    assert_eq!(script.peripherals.pins().high, 1 << 4);
    assert_eq!(script.read(GPIO + 0x510), 1 << 4);
    assert_eq!(script.read(GPIO + 0x514), 1 << 4);
    script.write(GPIO + 0x50c, 1 << 4);
    assert_eq!(
        (
            script.peripherals.pins().high,
            script.peripherals.pins().low
        ),
        (0, 1 << 4)
    );
    // Input with pull-up: high alone, low when the outside says so.
    script.write(GPIO + 0x700 + 4 * 16, 3 << 2);
    assert_eq!(script.peripherals.pins().pull_up, 1 << 16);
    assert_eq!(script.read(GPIO + 0x510), 1 << 16);
    script.peripherals.set_input(16, false, script.now);
    assert_eq!(script.read(GPIO + 0x510), 0);
    script.peripherals.take_outcome();
    script.write(GPIO + 0x508, 1 << 20);
    assert!(
        !script.peripherals.take_outcome().pins,
        "OUT of an input is not seen outside"
    );
    // With the buffer disconnected IN reads 0 whatever the level.
    script.peripherals.set_input(16, true, script.now);
    script.write(GPIO + 0x700 + 4 * 16, 3 << 2 | 2);
    assert_eq!(script.read(GPIO + 0x510), 0);
    assert_eq!(script.read(GPIO + 0x700 + 4 * 16), 3 << 2 | 2);
}

#[test]
fn drive_modes_disconnect_and_strengthen_one_side_or_both() {
    // DRIVE, then whether 0 and 1 are driven, and strongly.
    let modes = [
        (0, Some(false), Some(false)),
        (1, Some(true), Some(false)),
        (2, Some(false), Some(true)),
        (3, Some(true), Some(true)),
        (4, None, Some(false)),
        (5, None, Some(true)),
        (6, Some(false), None),
        (7, Some(true), None),
    ];
    for (drive, low, high) in modes {
        let mut script = Script::new();
        script.write(GPIO + 0x700, 1 | drive << 8);
        let pins = script.peripherals.pins();
        let seen = (pins.low & 1 != 0).then_some(pins.strong & 1 != 0);
        assert_eq!(seen, low, "mode {drive} driving 0");
        script.write(GPIO + 0x508, 1);
        let pins = script.peripherals.pins();
        let seen = (pins.high & 1 != 0).then_some(pins.strong & 1 != 0);
        assert_eq!(seen, high, "mode {drive} driving 1");
    }
}

#[test]
fn a_sensed_pin_raises_port_and_an_edge_its_channel() {
    let mut script = Script::new();
    script.peripherals.set_input(11, true, script.now);
    script
        .write(GPIO + 0x700 + 4 * 11, 3 << 16)
        .write(GPIOTE + INTENSET, 1 << 31);
    script.write(GPIOTE + 0x510, 1 | 11 << 8 | 2 << 16);
    script.peripherals.set_input(11, false, script.now);
    assert_eq!(
        (script.read(GPIOTE + 0x17c), script.read(GPIOTE + 0x100)),
        (1, 1)
    );
    assert_eq!(script.peripherals.interrupts(), 1 << 6);
    script.write(GPIOTE + 0x17c, 0).write(GPIOTE + 0x100, 0);
    script.peripherals.set_input(11, true, script.now);
    assert_eq!(
        (script.read(GPIOTE + 0x17c), script.read(GPIOTE + 0x100)),
        (0, 0)
    );
}

/// A beeper on P0.04 from TIMER1, PPI channel 0 and GPIOTE channel 0: half a period of 185 µs.
fn beeper(script: &mut Script) {
    script.write(GPIOTE + 0x510, 3 | 4 << 8 | 3 << 16);
    script
        .write(PPI + 0x510, TIMER1 + COMPARE)
        .write(PPI + 0x514, GPIOTE)
        .write(PPI + 0x504, 1);
    script
        .write(TIMER1 + CC, 185)
        .write(TIMER1 + 0x200, 1)
        .write(TIMER1, 1);
}

#[test]
fn a_timer_drives_a_pin_without_the_processor() {
    let mut script = Script::new();
    beeper(&mut script);
    assert_eq!(
        script.peripherals.pins().low & (1 << 4),
        1 << 4,
        "OUTINIT is 0"
    );
    script.peripherals.take_outcome();
    for toggle in 1..=10 {
        let due = script.peripherals.next_event();
        assert_eq!(due - script.now, micros(185));
        script.now = due;
        script.peripherals.advance(due);
        assert!(script.peripherals.take_outcome().pins);
        let high = script.peripherals.pins().high & (1 << 4) != 0;
        assert_eq!(high, toggle % 2 == 1);
    }
    script.write(PPI + 0x508, 1).wait(millis(1));
    assert!(
        !script.peripherals.take_outcome().pins,
        "without its channel it is silent"
    );
    // The pin goes back to the port when the channel lets go.
    script.write(GPIOTE + 0x510, 0);
    assert_eq!(script.peripherals.pins().low & (1 << 4), 0);
}

#[test]
fn ppi_groups_switch_channels_and_a_fixed_channel_reaches_its_task() {
    let mut script = Script::new();
    script.write(PPI + 0x800, 0b101);
    script.write(PPI, 1);
    assert_eq!(script.read(PPI + 0x500), 0b101);
    script.write(PPI + 4, 1);
    assert_eq!(script.read(PPI + 0x500), 0);
    // RTC0 COMPARE[0] starts TIMER0 over channel 31.
    slow_clock(&mut script);
    script
        .write(PPI + 0x504, 1 << 31)
        .write(RTC0 + 0x344, 1 << 16)
        .write(RTC0 + CC, 10);
    script.write(RTC0, 1);
    script.until(RTC0 + COMPARE);
    script.wait(micros(50)).write(TIMER0 + 0x40, 1);
    assert_eq!(script.read(TIMER0 + CC), 50);
}

#[test]
fn a_ring_of_channels_is_cut_and_noted() {
    let mut script = Script::new();
    script
        .write(TIMER2 + 0x504, 1)
        .write(TIMER2 + 0x508, 1)
        .write(TIMER2 + 0x200, 1);
    script.write(TIMER2 + CC, 1).write(TIMER2, 1);
    script
        .write(PPI + 0x510, TIMER2 + COMPARE)
        .write(PPI + 0x514, TIMER2 + 8);
    script.write(PPI + 0x504, 1).write(TIMER2 + 8, 1);
    let notes = script.peripherals.take_notes();
    assert!(
        notes.iter().any(|note| note.what.contains("ring")),
        "{notes:?}"
    );
}

#[test]
fn the_rng_takes_its_time_and_follows_its_seed() {
    let draw = |seed| {
        let mut script = Script::new();
        script.peripherals = Peripherals::new(seed);
        script.write(RNG + 0x504, 1).write(RNG, 1);
        (0..16)
            .map(|_| {
                assert_eq!(script.until(RNG + 0x100), micros(677));
                script.write(RNG + 0x100, 0);
                script.read(RNG + 0x508)
            })
            .collect::<Vec<u32>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert!(draw(1).iter().all(|byte| *byte < 256));
    let mut script = Script::new();
    script.write(RNG + 0x200, 1).write(RNG, 1);
    assert_eq!(script.until(RNG + 0x100), micros(167));
    assert_eq!(script.peripherals.next_event(), Ticks::NEVER, "VALRDY_STOP");
}

#[test]
fn temperature_and_voltages_are_measured() {
    let mut script = Script::new();
    script.peripherals.set_temperature(-41);
    script.write(TEMP, 1);
    assert_eq!(script.until(TEMP + 0x100), micros(35));
    assert_eq!(script.read(TEMP + 0x508) as i32, -41);

    // AIN2 at a third against 1.2 V: 0.6 V is 170 of 1023.
    script.peripherals.set_analog(2, 600_000, script.now);
    script
        .write(ADC + 0x504, 2 | 2 << 2 | 1 << 10)
        .write(ADC + 0x500, 1)
        .write(ADC, 1);
    assert_eq!(script.read(ADC + 0x400), 1);
    assert_eq!(script.until(ADC + 0x100), micros(68));
    assert_eq!(
        (script.read(ADC + 0x400), script.read(ADC + 0x508)),
        (0, 170)
    );

    // A third of the supply against 1.2 V: 3.0 V is 853.
    script.peripherals.set_supply(3_000, script.now);
    script
        .write(ADC + 0x100, 0)
        .write(ADC + 0x504, 2 | 6 << 2)
        .write(ADC, 1);
    script.until(ADC + 0x100);
    assert_eq!(script.read(ADC + 0x508), 853);

    // 8 bits, full scale.
    script.peripherals.set_analog(2, 3_000_000, script.now);
    script
        .write(ADC + 0x100, 0)
        .write(ADC + 0x504, 1 << 10)
        .write(ADC, 1);
    assert_eq!(script.until(ADC + 0x100), micros(20));
    assert_eq!(script.read(ADC + 0x508), 255);
}

#[test]
fn a_watchdog_that_is_not_fed_warns_and_resets() {
    let mut script = Script::new();
    script
        .write(WDT + 0x504, 32_767)
        .write(WDT + 0x508, 0b11)
        .write(WDT, 1);
    script.write(WDT + 0x504, 10);
    assert_eq!(script.read(WDT + 0x504), 32_767, "locked once it runs");
    for _ in 0..3 {
        script.wait(millis(900)).write(WDT + 0x600, 0x6e52_4635);
        assert_eq!(
            script.read(WDT + 0x404),
            0b10,
            "one of two requests is open"
        );
        script.write(WDT + 0x604, 0x6e52_4635);
    }
    script.write(WDT + 0x600, 0x1234_5678);
    assert_eq!(script.until(WDT + 0x100), millis(1_000));
    assert_eq!(script.peripherals.take_outcome().reset, None);
    script.wait(micros(62));
    assert_eq!(
        script.peripherals.take_outcome().reset,
        Some(ResetCause::Watchdog)
    );
    script.peripherals.reset(ResetCause::Watchdog, script.now);
    assert_eq!(script.read(POWER + 0x400), 2);
    assert_eq!(script.read(WDT + 0x400), 0);
}

#[test]
fn a_watchdog_pauses_with_the_processor_if_it_is_told_to() {
    let mut script = Script::new();
    script
        .write(WDT + 0x504, 32_767)
        .write(WDT + 0x50c, 0)
        .write(WDT, 1)
        .wait(millis(500));
    script
        .peripherals
        .set_processor(Processor::Sleeping, script.now);
    script.wait(millis(60_000));
    script
        .peripherals
        .set_processor(Processor::Running, script.now);
    assert_eq!(script.until(WDT + 0x100), millis(500));
}

#[test]
fn a_watchdog_outlives_a_soft_reset() {
    let mut script = Script::new();
    script
        .write(WDT + 0x504, 32_767)
        .write(WDT, 1)
        .wait(millis(400));
    script.peripherals.reset(ResetCause::Software, script.now);
    assert_eq!(script.until(WDT + 0x100), millis(600));
}

#[test]
fn resets_keep_and_clear_what_the_manual_says() {
    let mut script = Script::new();
    let causes = [
        (ResetCause::Software, 0x4, 0x5a),
        (ResetCause::Lockup, 0xc, 0x5a),
        (ResetCause::Pin, 0xd, 0),
        (ResetCause::Watchdog, 0xf, 0),
    ];
    for (cause, reasons, kept) in causes {
        script
            .write(POWER + 0x51c, 0x5a)
            .write(GPIO + 0x518, 1)
            .write(TIMER0 + CC, 9);
        script.peripherals.reset(cause, script.now);
        assert_eq!(
            script.read(POWER + 0x400),
            reasons,
            "RESETREAS adds up: {cause:?}"
        );
        assert_eq!(script.read(POWER + 0x51c), kept, "GPREGRET after {cause:?}");
        assert_eq!(script.read(GPIO + 0x514), 0);
        assert_eq!(script.read(TIMER0 + CC), 0);
    }
    script.write(POWER + 0x400, 5);
    assert_eq!(script.read(POWER + 0x400), 0xa, "written ones clear");
    script.peripherals.reset(ResetCause::PowerOn, script.now);
    assert_eq!(script.read(POWER + 0x400), 0);
}

#[test]
fn the_power_fail_warning_comes_once_below_and_goes_with_hysteresis() {
    let mut script = Script::new();
    // 2.5 V.
    script
        .write(POWER + INTENSET, 4)
        .write(POWER + 0x510, 1 | 2 << 1);
    for (millivolts, raised) in [
        (2_600, 0),
        (2_499, 1),
        (2_400, 0),
        (2_560, 0),
        (2_490, 0),
        (2_580, 0),
        (2_480, 1),
    ] {
        script.peripherals.set_supply(millivolts, script.now);
        assert_eq!(script.read(POWER + 0x108), raised, "at {millivolts} mV");
        assert_eq!(script.peripherals.interrupts(), raised);
        script.write(POWER + 0x108, 0);
    }
    // Set while the supply is too low already: it warns at once.
    script
        .write(POWER + 0x510, 0)
        .write(POWER + 0x510, 1 | 3 << 1);
    assert_eq!(script.read(POWER + 0x108), 1);
}

#[test]
fn firmware_asleep_is_warned_when_it_wakes() {
    let mut script = Script::new();
    script.write(POWER + 0x510, 1 | 2 << 1);
    script
        .peripherals
        .set_processor(Processor::Sleeping, script.now);
    script.peripherals.set_supply(2_200, script.now);
    assert_eq!(script.read(POWER + 0x108), 0);
    script
        .peripherals
        .set_processor(Processor::Running, script.now);
    assert_eq!(script.read(POWER + 0x108), 1);
}

#[test]
fn a_sensed_pin_wakes_the_chip_from_system_off() {
    let mut script = Script::new();
    script.peripherals.set_input(8, true, script.now);
    script
        .write(GPIO + 0x700 + 4 * 8, 3 << 16)
        .write(POWER + 0x500, 1);
    assert!(script.peripherals.take_outcome().off);
    script.wait(millis(1_000));
    script.peripherals.set_input(8, false, script.now);
    assert_eq!(
        script.peripherals.take_outcome().reset,
        Some(ResetCause::Detect)
    );
    script.peripherals.reset(ResetCause::Detect, script.now);
    assert_eq!(script.read(POWER + 0x400), 1 << 16);
    assert_eq!(
        script.read(GPIO + 0x700 + 4 * 8),
        3 << 16,
        "pins are retained"
    );
}

#[test]
fn an_empty_bus_refuses_addresses_and_reads_ones() {
    let mut script = Script::new();
    // 100 kbit/s.
    script
        .write(TWI0 + 0x500, 5)
        .write(TWI0 + 0x524, 0x0198_0000)
        .write(TWI0 + 0x588, 0x1d);
    script.write(TWI0 + 8, 1).write(TWI0 + 0x51c, 1);
    let refused = script.until(TWI0 + 0x124);
    assert!((micros(95)..micros(105)).contains(&refused), "{refused:?}");
    assert_eq!(script.read(TWI0 + 0x4c4), 2);
    script.write(TWI0 + 0x14, 1);
    script.until(TWI0 + 0x104);
    // A scan starts and stops at once; the address is sent all the same.
    script
        .write(TWI0 + 0x4c4, 2)
        .write(TWI0 + 0x104, 0)
        .write(TWI0 + 8, 1)
        .write(TWI0 + 0x14, 1);
    script.until(TWI0 + 0x104);
    assert_eq!(script.read(TWI0 + 0x4c4), 2);
    // 1 Mbit/s.
    script
        .write(SPI1 + 0x500, 1)
        .write(SPI1 + 0x524, 0x1000_0000);
    script.write(SPI1 + 0x51c, 1).write(SPI1 + 0x51c, 2);
    for _ in 0..2 {
        assert_eq!(script.until(SPI1 + 0x108), micros(8));
        script.write(SPI1 + 0x108, 0);
        assert_eq!(script.read(SPI1 + 0x518), 0xff);
    }
}

#[test]
fn the_radio_goes_through_its_states_on_an_empty_air() {
    let mut script = Script::new();
    // 1 Mbit/s, three address bytes and a prefix, 37 bytes; READY_START, END_DISABLE, and on to
    // listening.
    script
        .write(RADIO + 0x518, 0x0203_0025)
        .write(RADIO + 0x200, 0b1011)
        .write(RADIO, 1);
    assert_eq!(script.until(RADIO + 0x100), micros(140));
    assert_eq!(
        script.until(RADIO + 0x104),
        micros(40),
        "preamble and address"
    );
    assert_eq!(script.until(RADIO + 0x10c), micros(8 * (37 + 5)));
    script.until(RADIO + 0x110);
    script.wait(millis(1_000));
    assert_eq!(script.read(RADIO + 0x550), 3, "it listens in vain");
    script
        .write(RADIO + 0x200, 0)
        .write(RADIO + 0x110, 0)
        .write(RADIO + 0x10, 1);
    script.until(RADIO + 0x110);
    assert_eq!(script.read(RADIO + 0x550), 0);
    // Disabling what is disabled says so, too.
    script.write(RADIO + 0x110, 0).write(RADIO + 0x10, 1);
    script.until(RADIO + 0x110);
}

#[test]
fn the_chip_says_what_it_is() {
    let mut script = Script::new();
    assert_eq!(
        script.read(FICR + 0x10) * script.read(FICR + 0x14),
        256 * 1_024
    );
    assert_eq!(
        script.read(FICR + 0x34) * script.read(FICR + 0x38),
        16 * 1_024
    );
    assert_eq!(script.read(FICR + 0x5c) & 0xffff, 0x1d);
    assert_eq!(script.read(FICR + 0x2c), u32::MAX, "no factory code");
    let other = Peripherals::new(8).read(FICR + 0x60, Ticks::ZERO);
    assert_ne!(script.read(FICR + 0x60), other);
}

#[test]
fn what_is_not_modelled_reads_as_rest_and_is_noted_once() {
    let mut script = Script::new();
    for _ in 0..3 {
        assert_eq!(script.read(0x4001_4000), 0);
        script.write(0x4001_c500, 1).write(0x5000_1504, 1);
    }
    let notes = script.peripherals.take_notes();
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(script.peripherals.take_notes().is_empty());
}

#[test]
fn no_register_access_panics() {
    // Every word of every block, written with ones and with zeros, read, and some time after it.
    let mut script = Script::new();
    let blocks = (0..40)
        .map(|id| 0x4000_0000 + id * 0x1000)
        .chain([GPIO, FICR]);
    for block in blocks {
        for offset in (0..0x1000).step_by(4) {
            for value in [1, u32::MAX, 0x8000_0000, 0] {
                script.write(block + offset, value).read(block + offset);
            }
        }
        script.wait(millis(3));
        script.peripherals.take_outcome();
    }
}

#[test]
fn no_sequence_of_accesses_panics_or_stops_time() {
    // Random writes to the registers that exist, small spans of time, inputs and resets between.
    let mut script = Script::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = |below: u32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as u32 % below
    };
    for _ in 0..200_000 {
        let block = [0x4000_0000 + (draw(32) << 12), GPIO][usize::from(draw(10) == 0)];
        let offset = [
            draw(8) * 4,
            0x100 + draw(20) * 4,
            0x200,
            0x300 + draw(20) * 4,
        ]
        .into_iter()
        .chain([0x500 + draw(40) * 4, 0x540 + draw(4) * 4])
        .nth(draw(6) as usize)
        .unwrap_or(0);
        let wire = 0x4000_0000 + (draw(20) << 12) + [0, 0x100, 0x140][draw(3) as usize];
        let value = [
            0,
            1,
            draw(16),
            draw(1 << 17),
            1 << draw(32),
            u32::MAX,
            wire + 4 * draw(4),
        ][draw(7) as usize];
        match draw(40) {
            0 => script
                .peripherals
                .set_input(draw(32) as u8, draw(2) == 0, script.now),
            1 => script
                .peripherals
                .set_supply(1_800 + draw(1_500), script.now),
            2 => script.peripherals.uart_receive(draw(256) as u8, script.now),
            3 if draw(100) == 0 => {
                let cause = [ResetCause::Software, ResetCause::Pin, ResetCause::PowerOn];
                script
                    .peripherals
                    .reset(cause[draw(3) as usize], script.now);
            }
            4..10 => {
                script.read(block + offset);
            }
            10 => {
                let span = [draw(200), draw(20_000)][usize::from(draw(20) == 0)];
                script.wait(Ticks(u64::from(span)));
                script.peripherals.take_outcome();
                while script.peripherals.take_uart().is_some() {}
            }
            _ => {
                script.write(block + offset, value);
            }
        }
    }
}

#[test]
fn a_fork_goes_its_own_way_and_the_same_way() {
    let mut script = Script::new();
    slow_clock(&mut script);
    beeper(&mut script);
    script
        .write(RTC0 + INTENSET, 1)
        .write(RTC0, 1)
        .write(RNG, 1)
        .wait(millis(7));
    let mut fork = Script {
        peripherals: script.peripherals.clone(),
        now: script.now,
    };
    script.wait(millis(50));
    fork.wait(millis(50));
    assert_eq!(
        format!("{:?}", script.peripherals),
        format!("{:?}", fork.peripherals)
    );
}

#[test]
fn flash_is_written_and_erased_only_when_it_is_enabled() {
    let mut script = Script::new();
    let mut memory = Memory::new();
    assert_eq!(
        script
            .peripherals
            .nvmc
            .store(&mut memory, 0x3c000, 1, script.now),
        script.now
    );
    script.write(NVMC + 0x508, 0x3c000);
    assert!(!script.peripherals.take_outcome().flash);
    assert_eq!(memory.flash_word(0x3c000), u32::MAX);
    assert_eq!(script.peripherals.take_notes().len(), 2);
}
