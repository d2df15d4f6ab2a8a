//! Time since power-on, the one alarm that ends sleep, and the period in which contacts are sampled.
//!
//! It counts RTC0 at 32,768 Hz, which goes on while the processor and its clock sleep. The counter has 24
//! bits and the alarm is never more than half of them away, so no lap of the counter is missed and there is
//! no periodic tick. The variant `tick-timer0` counts TIMER0 at 1 MHz instead.

#[cfg(not(feature = "tick-timer0"))]
pub use self::rtc::Clock;
#[cfg(feature = "tick-timer0")]
pub use self::timer::Clock;

#[cfg(not(feature = "tick-timer0"))]
mod rtc {
    use nrf51_pac::{CLOCK, Interrupt, RTC0, TIMER2};

    use crate::console::Console;
    use crate::registers::{clear, put, start};
    use crate::sleep;

    const BITS: u32 = 24;
    const MASK: u32 = (1 << BITS) - 1;
    const TICKS_AHEAD_MAX: u64 = 1 << (BITS - 1);
    /// A comparison nearer than this may be missed (reference manual, 19.1.4).
    const TICKS_AHEAD_MIN: u64 = 2;
    /// 5 ms.
    const PERIOD_TICKS: u32 = 164;
    const PERIOD: u32 = 1 << 17;
    /// The crystal starts in 0.3 s; a broken one must not keep the lock from working. In steps of 32 µs.
    const CRYSTAL_STEPS_MAX: u32 = 1_500_000 / 32;
    const TO_31_250_HERTZ: u32 = 9;
    const BITS_16: u32 = 0;
    /// 125 ms are 4,096 ticks.
    const MILLIS: u64 = 125;
    const TICKS_SHIFT: u32 = 12;
    const LFCLK_STARTED: u32 = 1 << 1;
    const COMPARE_1: u32 = 1 << 17;
    const SOURCE_RC: u32 = 0;
    const SOURCE_CRYSTAL: u32 = 1;

    /// The clock.
    pub struct Clock {
        rtc: RTC0,
        laps: u64,
        last: u32,
        /// What passed before the counter started.
        before: u64,
    }

    impl Clock {
        /// What to listen to for the alarm.
        pub const INTERRUPT: Interrupt = Interrupt::RTC0;

        /// Starts the crystal and then the clock, which counts from the call; the console goes on meanwhile.
        pub fn new(clock: &CLOCK, rtc: RTC0, timer: &TIMER2, console: &mut Console) -> Self {
            put(&timer.bitmode, BITS_16);
            put(&timer.prescaler, TO_31_250_HERTZ);
            put(&timer.cc[1], CRYSTAL_STEPS_MAX);
            put(&timer.intenset, COMPARE_1);
            start(&timer.tasks_clear);
            start(&timer.tasks_start);
            put(&clock.intenset, LFCLK_STARTED);
            put(&clock.lfclksrc, SOURCE_CRYSTAL);
            clear(&clock.events_lfclkstarted);
            start(&clock.tasks_lfclkstart);
            let has_started = || clock.events_lfclkstarted.read().bits() != 0;
            let is_late = || timer.events_compare[1].read().bits() != 0;
            while !has_started() && !is_late() {
                console.pump();
                sleep::until_something(|| has_started() || is_late() || console.has_sent());
            }
            put(&clock.intenclr, LFCLK_STARTED);
            put(&timer.intenclr, COMPARE_1);
            if !has_started() {
                start(&clock.tasks_lfclkstop);
                put(&clock.lfclksrc, SOURCE_RC);
                start(&clock.tasks_lfclkstart);
            }
            start(&timer.tasks_capture[0]);
            let waited_ticks = timer.cc[0].read().bits() * 16_384 / 15_625;
            start(&timer.tasks_stop);
            start(&timer.tasks_shutdown);
            put(&rtc.prescaler, 0);
            put(&rtc.intenset, 1 << 16);
            start(&rtc.tasks_start);
            Clock {
                rtc,
                laps: 0,
                last: 0,
                before: u64::from(waited_ticks),
            }
        }

        /// Milliseconds since [`Clock::new`].
        pub fn now_ms(&mut self) -> u64 {
            (self.ticks() * MILLIS) >> TICKS_SHIFT
        }

        /// Sets the alarm, at the latest half a lap from now.
        pub fn alarm_at(&mut self, deadline_ms: Option<u64>) {
            let now = self.ticks();
            let ahead =
                deadline_ms.map_or(TICKS_AHEAD_MAX, |deadline_ms| ticks_to(deadline_ms, now));
            clear(&self.rtc.events_compare[0]);
            // Read anew: what a division takes is longer than the least that must lie ahead.
            let at = (now + ahead).max(self.ticks() + TICKS_AHEAD_MIN);
            put(&self.rtc.cc[0], (at - self.before) as u32 & MASK);
        }

        /// Whether the alarm went off.
        pub fn is_alarmed(&self) -> bool {
            self.rtc.events_compare[0].read().bits() != 0
        }

        /// From now on the end of a period wakes the processor.
        pub fn start_periods(&self) {
            put(&self.rtc.intenset, PERIOD);
        }

        /// The end of a period wakes nobody any more.
        pub fn stop_periods(&self) {
            put(&self.rtc.intenclr, PERIOD);
        }

        /// A period of 5 ms begins.
        pub fn begin_period(&self) {
            clear(&self.rtc.events_compare[1]);
            let counter = self.rtc.counter.read().bits();
            put(&self.rtc.cc[1], (counter + PERIOD_TICKS) & MASK);
        }

        /// Whether the period is over.
        pub fn is_period_over(&self) -> bool {
            self.rtc.events_compare[1].read().bits() != 0
        }

        fn ticks(&mut self) -> u64 {
            let counter = self.rtc.counter.read().bits();
            if counter < self.last {
                self.laps += 1;
            }
            self.last = counter;
            self.before + (self.laps << BITS | u64::from(counter))
        }
    }

    /// How many ticks from `now` until the clock shows the deadline: never early, at most half a lap.
    fn ticks_to(deadline_ms: u64, now: u64) -> u64 {
        // In 1/4,096 ms, and small enough for the processor's own word.
        let shown = now * MILLIS;
        let ahead_ms = deadline_ms.saturating_sub(shown >> TICKS_SHIFT);
        let ahead_ms = ahead_ms.min((TICKS_AHEAD_MAX * MILLIS) >> TICKS_SHIFT) as u32;
        let since = shown as u32 & ((1 << TICKS_SHIFT) - 1);
        let ahead = (ahead_ms << TICKS_SHIFT).saturating_sub(since);
        u64::from(ahead.div_ceil(MILLIS as u32))
    }
}

#[cfg(feature = "tick-timer0")]
mod timer {
    use nrf51_pac::{CLOCK, Interrupt, TIMER0, TIMER2};

    use crate::console::Console;
    use crate::registers::{clear, put, start};

    const MICROS_AHEAD_MAX: u64 = 1 << 31;
    const MICROS_AHEAD_MIN: u64 = 20;
    const PERIOD_MICROS: u32 = 5_000;
    const PERIOD: u32 = 1 << 18;

    /// The clock.
    pub struct Clock {
        timer: TIMER0,
        laps: u64,
        last: u32,
    }

    impl Clock {
        /// What to listen to for the alarm.
        pub const INTERRUPT: Interrupt = Interrupt::TIMER0;

        /// Starts the clock. TIMER0 stands in for RTC0 and needs none of the rest.
        pub fn new(_: &CLOCK, timer: TIMER0, _: &TIMER2, _: &mut Console) -> Self {
            const BITS_32: u32 = 3;
            const TO_1_MEGAHERTZ: u32 = 4;
            put(&timer.bitmode, BITS_32);
            put(&timer.prescaler, TO_1_MEGAHERTZ);
            put(&timer.intenset, 1 << 16);
            start(&timer.tasks_clear);
            start(&timer.tasks_start);
            Clock {
                timer,
                laps: 0,
                last: 0,
            }
        }

        /// Milliseconds since [`Clock::new`].
        pub fn now_ms(&mut self) -> u64 {
            self.micros() / 1000
        }

        /// Sets the alarm, at the latest half a lap from now.
        pub fn alarm_at(&mut self, deadline_ms: Option<u64>) {
            let deadline =
                deadline_ms.map_or(u64::MAX, |deadline_ms| deadline_ms.saturating_mul(1000));
            clear(&self.timer.events_compare[0]);
            let now = self.micros();
            let at = deadline.clamp(now + MICROS_AHEAD_MIN, now + MICROS_AHEAD_MAX);
            put(&self.timer.cc[0], at as u32);
        }

        /// Whether the alarm went off.
        pub fn is_alarmed(&self) -> bool {
            self.timer.events_compare[0].read().bits() != 0
        }

        /// From now on the end of a period wakes the processor.
        pub fn start_periods(&self) {
            put(&self.timer.intenset, PERIOD);
        }

        /// The end of a period wakes nobody any more.
        pub fn stop_periods(&self) {
            put(&self.timer.intenclr, PERIOD);
        }

        /// A period of 5 ms begins.
        pub fn begin_period(&self) {
            clear(&self.timer.events_compare[2]);
            start(&self.timer.tasks_capture[3]);
            let counter = self.timer.cc[3].read().bits();
            put(&self.timer.cc[2], counter.wrapping_add(PERIOD_MICROS));
        }

        /// Whether the period is over.
        pub fn is_period_over(&self) -> bool {
            self.timer.events_compare[2].read().bits() != 0
        }

        fn micros(&mut self) -> u64 {
            start(&self.timer.tasks_capture[1]);
            let counter = self.timer.cc[1].read().bits();
            if counter < self.last {
                self.laps += 1;
            }
            self.last = counter;
            self.laps << 32 | u64::from(counter)
        }
    }
}
