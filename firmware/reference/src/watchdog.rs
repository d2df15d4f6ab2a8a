//! The watchdog, and why the chip was reset.

use nrf51_pac::{POWER, WDT};

use crate::registers::{put, start};

/// Longer than anything that runs without a pause: recovering the journal takes a quarter of a second.
const SECONDS: u32 = 8;
const RELOAD: u32 = 0x6E52_4635;

/// The watchdog. It stands still while the processor sleeps, so that it needs no periodic tick.
pub struct Watchdog(WDT);

impl Watchdog {
    /// Starts it, for good.
    pub fn new(wdt: WDT) -> Self {
        put(&wdt.config, 0);
        put(&wdt.crv, SECONDS * 32_768);
        put(&wdt.rren, 1);
        start(&wdt.tasks_start);
        Watchdog(wdt)
    }

    /// The main loop went round.
    pub fn feed(&self) {
        put(&self.0.rr[0], RELOAD);
    }
}

/// What the console says where the chip remembers no other reason.
pub const POWER_ON: &str = "power-on";

/// Why the chip was reset, as the console says it. The chip remembers reasons until they are cleared.
pub fn take_reset_reason(power: &POWER) -> &'static str {
    const REASONS: [(u32, &str); 5] = [
        (1 << 1, "watchdog"),
        (1 << 3, "lockup"),
        (1 << 2, "soft"),
        (1 << 18, "debug"),
        (1 << 0, "pin"),
    ];
    let reasons = power.resetreas.read().bits();
    put(&power.resetreas, reasons);
    REASONS
        .iter()
        .find(|(bit, _)| reasons & bit != 0)
        .map_or(POWER_ON, |(_, word)| word)
}
