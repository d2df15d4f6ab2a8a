//! The journal's three pages in the chip's flash, written only while the supply is high enough.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_write,
};
use nrf51_pac::{NVMC, POWER};

use crate::registers::{clear, put};

const START: usize = 0x3_C000;
const PAGE_BYTES: usize = 1024;
const BYTES: usize = journal::PAGES * PAGE_BYTES;
const WORD: usize = 4;

const READ_ONLY: u32 = 0;
const WRITE: u32 = 1;
const ERASE: u32 = 2;
/// An erase takes 22 ms and the processor stands still meanwhile; this is far longer.
const READY_LOOKS_MAX: u32 = 1_000_000;

/// Warn at 2.5 V: above that a page can still be erased and written before the chip's brown-out.
const WARN_AT_2_5_VOLTS: u32 = 1 | 2 << 1;
/// About a second. A sagging battery recovers within it once the drive stops; a dying one is gone.
const SUPPLY_LOOKS_MAX: u32 = 100_000;
/// For the comparator to settle after it was switched on.
const COMPARATOR_CYCLES: u32 = 100;

/// Why a flash operation was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Outside the pages, or not whole words.
    Place(NorFlashErrorKind),
    /// The supply is too low.
    Supply,
    /// The controller did not become ready.
    Stuck,
}

impl NorFlashError for Refused {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Refused::Place(kind) => *kind,
            Refused::Supply | Refused::Stuck => NorFlashErrorKind::Other,
        }
    }
}

/// The three pages.
pub struct JournalPages {
    controller: NVMC,
    power: POWER,
}

impl JournalPages {
    /// Switches the supply's comparator on.
    pub fn new(controller: NVMC, power: POWER) -> Self {
        put(&power.pofcon, WARN_AT_2_5_VOLTS);
        JournalPages { controller, power }
    }

    /// Waits until the supply is high enough, for a while. The chip ignores flash operations while it warns.
    fn await_supply(&self) -> Result<(), Refused> {
        // The comparison also runs where every event of POWER reads as raised.
        if cfg!(feature = "tick-timer0") {
            return Ok(());
        }
        for _ in 0..SUPPLY_LOOKS_MAX {
            // The warning is an event, not a level; the comparator starts anew when it is configured.
            clear(&self.power.events_pofwarn);
            put(&self.power.pofcon, WARN_AT_2_5_VOLTS);
            cortex_m::asm::delay(COMPARATOR_CYCLES);
            if self.power.events_pofwarn.read().bits() == 0 {
                return Ok(());
            }
        }
        Err(Refused::Supply)
    }

    fn await_ready(&self) -> Result<(), Refused> {
        for _ in 0..READY_LOOKS_MAX {
            if self.controller.ready.read().bits() & 1 != 0 {
                return Ok(());
            }
        }
        Err(Refused::Stuck)
    }

    /// Lets one kind of operation through for as long as `operation` takes.
    fn with_mode(&self, mode: u32, operation: impl FnOnce()) -> Result<(), Refused> {
        self.await_supply()?;
        put(&self.controller.config, mode);
        operation();
        let done = self.await_ready();
        put(&self.controller.config, READ_ONLY);
        done
    }
}

impl ErrorType for JournalPages {
    type Error = Refused;
}

impl ReadNorFlash for JournalPages {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Refused> {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = read_byte(offset as usize + index)?;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        BYTES
    }
}

impl NorFlash for JournalPages {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Refused> {
        check_erase(self, from, to).map_err(Refused::Place)?;
        for page in (from..to).step_by(PAGE_BYTES) {
            self.with_mode(ERASE, || {
                put(self.controller.erasepage(), START as u32 + page);
            })?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Refused> {
        check_write(self, offset, bytes.len()).map_err(Refused::Place)?;
        for (index, chunk) in bytes.chunks_exact(WORD).enumerate() {
            let word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
            let mut done = Ok(());
            self.with_mode(WRITE, || {
                done = write_word(offset as usize + index * WORD, word);
            })?;
            done?;
        }
        Ok(())
    }
}

#[expect(unsafe_code, reason = "flash is memory that the program does not own")]
fn read_byte(offset: usize) -> Result<u8, Refused> {
    if offset >= BYTES {
        return Err(Refused::Place(NorFlashErrorKind::OutOfBounds));
    }
    // SAFETY: the address is inside the three pages, which the linker script gives to no section.
    Ok(unsafe { core::ptr::read_volatile((START + offset) as *const u8) })
}

#[expect(unsafe_code, reason = "flash is memory that the program does not own")]
fn write_word(offset: usize, word: u32) -> Result<(), Refused> {
    if offset + WORD > BYTES || !offset.is_multiple_of(WORD) {
        return Err(Refused::Place(NorFlashErrorKind::OutOfBounds));
    }
    // SAFETY: the address is a whole word inside the three pages, which the linker script gives to no
    // section; nothing in Rust refers to them.
    unsafe { core::ptr::write_volatile((START + offset) as *mut u32, word) };
    Ok(())
}
