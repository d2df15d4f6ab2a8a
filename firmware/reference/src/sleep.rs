//! Sleeping until something happens. Interrupts stay masked: a pending one ends WFI without a handler, and
//! the main loop looks at the events. So nothing runs beside the main loop, and nothing is shared.

use cortex_m::asm;
use cortex_m::peripheral::NVIC;
use nrf51_pac::{Interrupt, TIMER2};

use crate::clock::Clock;
use crate::registers::{clear, put, start};

const WAKING: [Interrupt; 5] = [
    Clock::INTERRUPT,
    Interrupt::UART0,
    Interrupt::GPIOTE,
    // While the clock starts, and during a nap.
    Interrupt::POWER_CLOCK,
    Interrupt::TIMER2,
];

/// Masks interrupts for good and lets those that wake become pending.
pub fn prepare() {
    cortex_m::interrupt::disable();
    let_wake(WAKING);
}

#[expect(unsafe_code, reason = "unmasking could break a critical section")]
fn let_wake(interrupts: [Interrupt; 5]) {
    for interrupt in interrupts {
        // SAFETY: no handler ever runs, so there is no section that one could break into.
        unsafe { NVIC::unmask(interrupt) };
    }
}

/// Sleeps unless something has happened already.
pub fn until_something(mut has_happened: impl FnMut() -> bool) {
    for interrupt in &WAKING {
        NVIC::unpend(*interrupt);
    }
    // What happened before the pending bits were cleared is seen here, what happens after pends again.
    if !has_happened() {
        asm::wfi();
    }
}

/// Short sleep in the middle of something, by a timer that is free once the clock runs.
pub struct Nap(TIMER2);

impl Nap {
    /// Takes the timer, at rest.
    pub fn new(timer: TIMER2) -> Self {
        Nap(timer)
    }

    /// Sleeps for some milliseconds, two thousand at most. What happens meanwhile is seen afterwards.
    pub fn take(&self, millis: u32) {
        const TO_31_250_HERTZ: u32 = 9;
        const BITS_16: u32 = 0;
        const COMPARE_0: u32 = 1 << 16;
        let timer = &self.0;
        put(&timer.bitmode, BITS_16);
        put(&timer.prescaler, TO_31_250_HERTZ);
        put(&timer.cc[0], millis * 125 / 4);
        put(&timer.intenset, COMPARE_0);
        clear(&timer.events_compare[0]);
        start(&timer.tasks_clear);
        start(&timer.tasks_start);
        for other in WAKING
            .into_iter()
            .filter(|other| *other != Interrupt::TIMER2)
        {
            NVIC::mask(other);
        }
        let is_over = || timer.events_compare[0].read().bits() != 0;
        while !is_over() {
            until_something(is_over);
        }
        put(&timer.intenclr, COMPARE_0);
        start(&timer.tasks_stop);
        start(&timer.tasks_shutdown);
        let_wake(WAKING);
    }
}
