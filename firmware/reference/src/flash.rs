//! The journal's three pages in the chip's flash, written only while the supply is high enough.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_write,
};
use nrf51_pac::NVMC;

use crate::registers::put;
use crate::sleep::Nap;
use crate::supply::Comparator;

const START: usize = 0x3_C000;
const PAGE_BYTES: usize = 1024;
const BYTES: usize = journal::PAGES * PAGE_BYTES;
const WORD: usize = 4;

const READ_ONLY: u32 = 0;
const WRITE: u32 = 1;
const ERASE: u32 = 2;
/// An erase takes 22 ms and the processor stands still meanwhile; this is far longer.
const READY_LOOKS_MAX: u32 = 1_000_000;

/// A second. A sagging battery recovers within it once the drive stops; a dying one is gone.
const SUPPLY_LOOKS_MAX: u32 = 100;
const BETWEEN_LOOKS_MS: u32 = 10;

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
pub struct JournalPages<'chip> {
    controller: NVMC,
    supply: Comparator<'chip>,
    nap: Nap,
}

impl<'chip> JournalPages<'chip> {
    /// The pages, of which nobody else writes any.
    pub fn new(controller: NVMC, supply: Comparator<'chip>, nap: Nap) -> Self {
        JournalPages {
            controller,
            supply,
            nap,
        }
    }

    /// Waits until the supply is high enough, for a while.
    fn await_supply(&self) -> Result<(), Refused> {
        // Batteries fall slowly, and the lock warns in time.
        if cfg!(feature = "museum-no-supply-check") {
            return Ok(());
        }
        for _ in 0..SUPPLY_LOOKS_MAX {
            if !self.supply.is_warning() {
                return Ok(());
            }
            self.nap.take(BETWEEN_LOOKS_MS);
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

impl ErrorType for JournalPages<'_> {
    type Error = Refused;
}

impl ReadNorFlash for JournalPages<'_> {
    const READ_SIZE: usize = 1;

    #[inline]
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Refused> {
        let mut offset = offset as usize;
        // By words as far as there are whole ones: after every write and at every start a page is read.
        let mut bytes = bytes;
        if offset.is_multiple_of(WORD) {
            let (words, rest) = bytes.as_chunks_mut::<WORD>();
            for word in words {
                *word = read_word(offset)?.to_le_bytes();
                offset += WORD;
            }
            bytes = rest;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = read_byte(offset + index)?;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        BYTES
    }
}

impl NorFlash for JournalPages<'_> {
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

#[inline]
#[expect(unsafe_code, reason = "flash is memory that the program does not own")]
fn read_word(offset: usize) -> Result<u32, Refused> {
    if offset + WORD > BYTES || !offset.is_multiple_of(WORD) {
        return Err(Refused::Place(NorFlashErrorKind::OutOfBounds));
    }
    // SAFETY: the address is a whole word inside the three pages, which the linker script gives to no section.
    Ok(unsafe { core::ptr::read_volatile((START + offset) as *const u32) })
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
