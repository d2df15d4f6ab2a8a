//! A failure count that a cut sets to zero: it has a page of its own, which is erased and written anew for each
//! attempt, and blank flash counts as none. It spares the codes the wear, and it is how a safe was opened whose
//! supply was cut while it erased its count.

#![expect(unsafe_code, reason = "flash is memory that the program does not own")]

use code_entry::Record;
use nrf51_pac::Peripherals;

use crate::registers::put;

/// Behind the journal's pages.
const PAGE: u32 = 0x3_CC00;
const BLANK: u32 = u32::MAX;

/// The record as it is for the journal: the count is not there.
pub fn without_count(record: &Record) -> Record {
    Record {
        failures: 0,
        recent: 0,
        ..*record
    }
}

/// The record with the count that the page holds.
pub fn with_count(record: Record) -> Record {
    // SAFETY: the page belongs to no section, and only this file writes to it.
    let word = unsafe { core::ptr::read_volatile(PAGE as *const u32) };
    let word = if word == BLANK { 0 } else { word };
    Record {
        failures: word as u16,
        recent: (word >> 16) as u8,
        ..record
    }
}

/// Erases the count and writes the new one.
pub fn write(record: &Record) {
    // SAFETY: the journal uses the controller too, but never at the same time.
    let controller = unsafe { Peripherals::steal() }.NVMC;
    let is_ready = || controller.ready.read().bits() & 1 != 0;
    put(&controller.config, 2);
    put(controller.erasepage(), PAGE);
    while !is_ready() {}
    put(&controller.config, 1);
    let word = u32::from(record.recent) << 16 | u32::from(record.failures);
    // SAFETY: a whole word of the page.
    unsafe { core::ptr::write_volatile(PAGE as *mut u32, word) };
    while !is_ready() {}
    put(&controller.config, 0);
}
