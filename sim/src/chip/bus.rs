//! The two buses that code runs over: the fast one reaches RAM and idle flash and refuses the rest,
//! the full one reaches everything and refuses what faults.

use super::core::system::{self, Asked, System};
use super::core::{Bus, Stretch};
use super::debug::rom;
use super::memory::{Flash, Memory, RAM_BYTES, RamCode, RamWords, UICR};
use super::peripherals::Peripherals;
use crate::time::Ticks;

/// First address of the factory information registers.
const FICR: u32 = 0x1000_0000;
/// The private peripheral bus beside the System Control Space: the DWT, BPU and ROM table pages,
/// where a program reads zeros.
const DEBUG_PAGES: [u32; 3] = [0xe000_1000, 0xe000_2000, 0xe00f_f000];
/// The vendor's ROM table, the one debug component that programs read: start-up code looks there
/// for the chip's revision.
const VENDOR_ROM_TABLE: u32 = 0xf000_0000;

/// RAM and, unless it is busy, code flash.
pub(super) struct FastBus<'a, 'code> {
    pub(super) flash: &'code Flash,
    pub(super) flash_idle: bool,
    /// Flash from here on is not for this bus: who reads it is noted.
    pub(super) flash_limit: u32,
    pub(super) ram: &'a mut RamWords,
    pub(super) ram_code: &'code RamCode,
    /// Something was stored.
    pub(super) stored: bool,
}

impl FastBus<'_, '_> {
    #[inline(always)]
    fn word(&self, address: u32) -> Option<u32> {
        let offset = address.wrapping_sub(super::memory::RAM);
        if offset < RAM_BYTES {
            Some(self.ram[(offset / 4) as usize])
        } else if address < self.flash_limit && self.flash_idle {
            Some(self.flash.code_word(address))
        } else {
            None
        }
    }

    /// Replaces the bits in `lanes` of the RAM word at `address`.
    #[inline(always)]
    fn merge(&mut self, address: u32, value: u32, lanes: u32) -> bool {
        let offset = address.wrapping_sub(super::memory::RAM);
        if offset >= RAM_BYTES || self.ram_code.near(offset) {
            return false;
        }
        self.stored = true;
        let word = &mut self.ram[(offset / 4) as usize];
        *word = *word & !lanes | value & lanes;
        true
    }
}

impl<'code> Bus<'code> for FastBus<'_, 'code> {
    #[inline(always)]
    fn code(&self, address: u32) -> Option<Stretch<'code>> {
        if address < self.flash_limit && self.flash_idle {
            Some(self.flash.stretch(address))
        } else if Memory::is_ram(address) {
            self.ram_code.stretch()
        } else {
            None
        }
    }

    #[inline(always)]
    fn load32(&mut self, address: u32) -> Option<u32> {
        if !address.is_multiple_of(4) {
            return None;
        }
        self.word(address)
    }

    #[inline(always)]
    fn load16(&mut self, address: u32) -> Option<u32> {
        if !address.is_multiple_of(2) {
            return None;
        }
        Some(self.word(address)? >> (address % 4 * 8) & 0xffff)
    }

    #[inline(always)]
    fn load8(&mut self, address: u32) -> Option<u32> {
        Some(self.word(address)? >> (address % 4 * 8) & 0xff)
    }

    #[inline(always)]
    fn store32(&mut self, address: u32, value: u32) -> bool {
        address.is_multiple_of(4) && self.merge(address, value, u32::MAX)
    }

    #[inline(always)]
    fn store16(&mut self, address: u32, value: u32) -> bool {
        let shift = address % 4 * 8;
        address.is_multiple_of(2) && self.merge(address, value << shift, 0xffff << shift)
    }

    #[inline(always)]
    fn store8(&mut self, address: u32, value: u32) -> bool {
        let shift = address % 4 * 8;
        self.merge(address, value << shift, 0xff << shift)
    }
}

/// Everything an access can reach. Made for one instruction, exception entry or probe access.
pub(super) struct FullBus<'a> {
    pub(super) memory: &'a mut Memory,
    pub(super) peripherals: &'a mut Peripherals,
    /// Absent while an exception is entered: no stack is there.
    pub(super) system: Option<&'a mut System>,
    /// Moves on where an access has to wait for flash.
    pub(super) now: Ticks,
    /// Until when flash cannot be read; zero if it can.
    pub(super) flash_busy: Ticks,
    pub(super) did: Did,
}

/// What accesses over a [`FullBus`] had as consequences.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Did {
    /// A peripheral was accessed that may have changed by that.
    pub(super) peripherals: bool,
    /// A register was read that changes by events only.
    pub(super) polled: bool,
    /// A flash operation was started or waited for.
    pub(super) flash: bool,
    /// AIRCR.SYSRESETREQ was written.
    pub(super) reset: bool,
}

impl FullBus<'_> {
    fn wait_for_flash(&mut self) {
        if self.flash_busy > self.now {
            self.now = self.flash_busy;
        }
        if self.flash_busy != Ticks::ZERO {
            self.flash_busy = Ticks::ZERO;
            self.peripherals.nvmc.finish(self.memory, self.now);
            self.did.flash = true;
        }
    }

    /// The aligned word that holds `address`.
    fn read(&mut self, address: u32) -> Option<u32> {
        if Memory::is_ram(address) {
            Some(self.memory.ram_word(address))
        } else if Memory::is_flash(address) {
            self.wait_for_flash();
            let now = self.now;
            self.memory
                .note(|dependence| dependence.note_read(address, now));
            Some(self.memory.flash_word(address))
        } else if is_peripheral(address) || (FICR..UICR).contains(&address) {
            if changes_by_events_only(address) {
                self.did.polled = true;
            } else {
                self.did.peripherals = true;
            }
            Some(self.peripherals.read(address & !3, self.now))
        } else if address & !0xfff == system::BASE {
            Some(self.system.as_ref()?.read(address - system::BASE))
        } else if address & !0xfff == VENDOR_ROM_TABLE {
            rom::word(address & !3)
        } else {
            DEBUG_PAGES.contains(&(address & !0xfff)).then_some(0)
        }
    }

    /// Replaces the bits in `lanes` of the aligned word that holds `address`; `value` has them in
    /// place.
    fn write(&mut self, address: u32, value: u32, lanes: u32) -> bool {
        if Memory::is_ram(address) {
            let word = self.memory.ram_word(address);
            self.memory
                .set_ram_word(address, word & !lanes | value & lanes);
        } else if Memory::is_flash(address) {
            // Flash takes whole words only.
            if lanes != u32::MAX {
                return self.peripherals.nvmc.ignores_part_of_a_word(self.now);
            }
            self.wait_for_flash();
            let busy_until = self
                .peripherals
                .nvmc
                .store(self.memory, address, value, self.now);
            if busy_until > self.now {
                self.flash_busy = busy_until;
                self.did.flash = true;
            }
            self.did.peripherals = true;
        } else if is_peripheral(address) {
            // The peripheral bus has no byte strobes: registers take the lanes that the core
            // drives, which repeat a byte or halfword.
            self.did.peripherals = true;
            self.peripherals.write(address & !3, value, self.now);
        } else if address & !0xfff == system::BASE {
            let Some(system) = &mut self.system else {
                return false;
            };
            match system.write(address - system::BASE, value, lanes) {
                Asked::Nothing => {}
                Asked::Reset => self.did.reset = true,
            }
        } else {
            return DEBUG_PAGES.contains(&(address & !0xfff));
        }
        true
    }
}

/// Whether a register keeps its value until the peripherals' next event, the end of a flash
/// operation, or a write, and reading it does nothing else: event registers, the pins' levels, and
/// whether flash is ready.
fn changes_by_events_only(address: u32) -> bool {
    const PINS: u32 = 0x5000_0510;
    const FLASH_READY: u32 = 0x4001_e400;
    let event = (0x4000_0000..0x4002_0000).contains(&address)
        && (0x100..0x180).contains(&(address & 0xfff));
    event || matches!(address & !3, PINS | FLASH_READY)
}

fn is_peripheral(address: u32) -> bool {
    (0x4000_0000..0x6000_0000).contains(&address)
}

impl<'code> Bus<'code> for FullBus<'_> {
    fn code(&self, _address: u32) -> Option<Stretch<'code>> {
        None
    }

    fn load32(&mut self, address: u32) -> Option<u32> {
        if !address.is_multiple_of(4) {
            None
        } else {
            self.read(address)
        }
    }

    fn load16(&mut self, address: u32) -> Option<u32> {
        if !address.is_multiple_of(2) {
            return None;
        }
        Some(self.read(address)? >> (address % 4 * 8) & 0xffff)
    }

    fn load8(&mut self, address: u32) -> Option<u32> {
        Some(self.read(address)? >> (address % 4 * 8) & 0xff)
    }

    fn store32(&mut self, address: u32, value: u32) -> bool {
        address.is_multiple_of(4) && self.write(address, value, u32::MAX)
    }

    fn store16(&mut self, address: u32, value: u32) -> bool {
        let lanes = 0xffff << (address % 4 * 8);
        address.is_multiple_of(2) && self.write(address, (value & 0xffff) * 0x1_0001, lanes)
    }

    fn store8(&mut self, address: u32, value: u32) -> bool {
        self.write(
            address,
            (value & 0xff) * 0x0101_0101,
            0xff << (address % 4 * 8),
        )
    }
}
