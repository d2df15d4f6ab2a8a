//! The two buses that code runs over: the fast one reaches RAM, idle flash and most registers, and
//! refuses the rest; the full one reaches everything and refuses what faults.

use super::core::system::{self, Asked, System};
use super::core::{Bus, Stretch};
use super::debug::rom;
use super::dependence::Dependence;
use super::edges::Follows;
use super::memory::{FLASH_BYTES, Flash, Memory, RAM_BYTES, RamCode, RamWords, UICR};
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

/// Polls that the fast bus grants before it asks whether the core waits in a loop.
pub(super) const POLLS_MAX: u8 = 16;

/// RAM, code flash while it is idle, and the registers of peripherals and of the interrupt
/// controller, for as long as nothing comes of it that the chip has to look at at once.
pub(super) struct FastBus<'a, 'code, E> {
    /// Who notes the program's edges, if anybody.
    pub(super) edges: E,
    pub(super) flash: &'code Flash,
    /// Whoever reads flash from here on is noted.
    pub(super) flash_limit: u32,
    pub(super) dependence: Option<&'a mut Dependence>,
    pub(super) ram: &'a mut RamWords,
    pub(super) ram_code: &'code RamCode,
    pub(super) peripherals: &'a mut Peripherals,
    pub(super) system: &'a mut System,
    /// Interrupts are kept away from the core.
    pub(super) masked: bool,
    /// When no cycles are left.
    pub(super) horizon: Ticks,
    /// When a peripheral was last accessed that may have changed by that.
    pub(super) accessed: Option<Ticks>,
    /// Polls that are still granted.
    pub(super) polls: u8,
    /// Something was stored.
    pub(super) stored: bool,
}

impl<E> FastBus<'_, '_, E> {
    #[inline(always)]
    fn word(&self, address: u32) -> Option<u32> {
        let offset = address.wrapping_sub(super::memory::RAM);
        if offset < RAM_BYTES {
            Some(self.ram[(offset / 4) as usize])
        } else if address < self.flash_limit {
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

    /// Reads the register word at `address`.
    #[inline(never)]
    fn read(&mut self, address: u32, left: &mut i64) -> Option<u32> {
        if is_peripheral(address) {
            let now = self.moment(*left);
            if changes_by_events_only(address) {
                self.polls = self.polls.checked_sub(1)?;
                return Some(self.peripherals.read(address & !3, now));
            }
            Some(self.access(now, left, |peripherals| peripherals.read(address & !3, now)))
        } else if is_interrupt_controller(address) {
            self.stored = true;
            Some(self.system.read(address - system::BASE))
        } else if (self.flash_limit..FLASH_BYTES).contains(&address) {
            let now = self.moment(*left);
            self.dependence.as_mut()?.note_read(address, now);
            Some(self.flash.code_word(address))
        } else {
            None
        }
    }

    /// Replaces the bits in `lanes` of the register word at `address`; `value` has them in place.
    #[inline(never)]
    fn write(&mut self, address: u32, value: u32, lanes: u32, left: &mut i64) -> Option<()> {
        if is_peripheral(address) {
            let now = self.moment(*left);
            self.access(now, left, |peripherals| {
                peripherals.write(address & !3, value, now)
            });
        } else if is_interrupt_controller(address) {
            self.stored = true;
            self.system.write(address - system::BASE, value, lanes);
            if self.system.preempting(self.masked).is_some() {
                self.end(self.moment(*left), left);
            }
        } else {
            return None;
        }
        Some(())
    }

    /// The moment at which so many cycles are left.
    fn moment(&self, left: i64) -> Ticks {
        Ticks(self.horizon.0.wrapping_add_signed(-left))
    }

    /// Makes the operation that began at this moment the last one.
    fn end(&mut self, now: Ticks, left: &mut i64) {
        self.horizon = now + Ticks(1);
        *left = 1;
    }

    fn access<T>(
        &mut self,
        now: Ticks,
        left: &mut i64,
        access: impl FnOnce(&mut Peripherals) -> T,
    ) -> T {
        let lines = self.peripherals.interrupts();
        let result = access(self.peripherals);
        self.accessed = Some(now);
        self.polls = POLLS_MAX;
        let next = self.peripherals.next_event();
        if self.peripherals.asks() || self.peripherals.interrupts() != lines || next <= now {
            self.end(now, left);
        } else if next < self.horizon {
            self.horizon = next;
            *left = (next - now).0 as i64;
        }
        result
    }
}

impl<'code, E: Follows> Bus<'code> for FastBus<'_, 'code, E> {
    const FOLLOWS_BRANCHES: bool = E::BRANCHES;

    #[inline(always)]
    fn branched(&mut self, from: u32, to: u32) {
        self.edges.note(from, to);
    }

    #[inline(always)]
    fn code(&self, address: u32) -> Option<Stretch<'code>> {
        if address < self.flash_limit {
            Some(self.flash.stretch(address))
        } else if Memory::is_ram(address) {
            self.ram_code.stretch()
        } else {
            None
        }
    }

    #[inline(always)]
    fn load<const BYTES: u32>(&mut self, address: u32) -> Option<u32> {
        if !address.is_multiple_of(BYTES) {
            return None;
        }
        Some(part::<BYTES>(self.word(address)?, address))
    }

    #[inline(always)]
    fn store<const BYTES: u32>(&mut self, address: u32, value: u32) -> bool {
        address.is_multiple_of(BYTES)
            && self.merge(
                address,
                on_all_lanes::<BYTES>(value),
                lanes::<BYTES>(address),
            )
    }

    fn load_at<const BYTES: u32>(&mut self, address: u32, left: &mut i64) -> Option<u32> {
        if !address.is_multiple_of(BYTES) {
            return None;
        }
        Some(part::<BYTES>(self.read(address, left)?, address))
    }

    fn store_at<const BYTES: u32>(
        &mut self,
        address: u32,
        value: u32,
        left: &mut i64,
    ) -> Option<()> {
        if !address.is_multiple_of(BYTES) {
            return None;
        }
        let value = on_all_lanes::<BYTES>(value);
        self.write(address, value, lanes::<BYTES>(address), left)
    }
}

/// Of a word, the bytes at an address.
#[inline(always)]
fn part<const BYTES: u32>(word: u32, address: u32) -> u32 {
    word >> (address % 4 * 8) & u32::MAX >> (32 - 8 * BYTES)
}

/// Ones where the bytes at an address lie in their word.
#[inline(always)]
fn lanes<const BYTES: u32>(address: u32) -> u32 {
    u32::MAX >> (32 - 8 * BYTES) << (address % 4 * 8)
}

/// A byte or halfword as the core drives it, on all lanes.
#[inline(always)]
fn on_all_lanes<const BYTES: u32>(value: u32) -> u32 {
    match BYTES {
        1 => (value & 0xff) * 0x0101_0101,
        2 => (value & 0xffff) * 0x1_0001,
        _ => value,
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

/// Whether a register decides which interrupts are taken, and nothing else.
fn is_interrupt_controller(address: u32) -> bool {
    (system::BASE + 0x100..system::BASE + 0x420).contains(&address)
}

fn is_peripheral(address: u32) -> bool {
    (0x4000_0000..0x6000_0000).contains(&address)
}

impl<'code> Bus<'code> for FullBus<'_> {
    fn code(&self, _address: u32) -> Option<Stretch<'code>> {
        None
    }

    fn load<const BYTES: u32>(&mut self, address: u32) -> Option<u32> {
        if !address.is_multiple_of(BYTES) {
            return None;
        }
        Some(part::<BYTES>(self.read(address)?, address))
    }

    fn store<const BYTES: u32>(&mut self, address: u32, value: u32) -> bool {
        let value = on_all_lanes::<BYTES>(value);
        address.is_multiple_of(BYTES) && self.write(address, value, lanes::<BYTES>(address))
    }
}
