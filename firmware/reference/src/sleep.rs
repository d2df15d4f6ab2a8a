//! Sleeping until something happens. Interrupts stay masked: a pending one ends WFI without a handler, and
//! the main loop looks at the events. So nothing runs beside the main loop, and nothing is shared.

use cortex_m::asm;
use cortex_m::peripheral::NVIC;
use nrf51_pac::Interrupt;

use crate::clock::Clock;

const WAKING: [Interrupt; 5] = [
    Clock::INTERRUPT,
    Interrupt::UART0,
    Interrupt::GPIOTE,
    // While the clock starts.
    Interrupt::POWER_CLOCK,
    Interrupt::TIMER2,
];

/// Masks interrupts for good and lets those that wake become pending.
#[expect(unsafe_code, reason = "unmasking could break a critical section")]
pub fn prepare() {
    cortex_m::interrupt::disable();
    for interrupt in WAKING {
        // SAFETY: no handler ever runs, so there is no section that one could break into.
        unsafe { NVIC::unmask(interrupt) };
    }
}

/// Sleeps unless something has happened already.
pub fn until_something(has_happened: impl Fn() -> bool) {
    for interrupt in WAKING {
        NVIC::unpend(interrupt);
    }
    // What happened before the pending bits were cleared is seen here, what happens after pends again.
    if !has_happened() {
        asm::wfi();
    }
}
