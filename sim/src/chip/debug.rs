//! The debug port: SW-DP, the AHB access port, and through it the core's debug registers.
//!
//! What crosses this border is register reads and writes, as a probe makes them; how they get here
//! (in process, or bit by bit over a protocol) is the caller's business. Each access takes the time
//! it takes on the wire, so a running target gets on while a probe looks at it. A probe that polls
//! for a halt would wait for wall time meanwhile: reading DHCSR while the core runs therefore lets
//! the target run on for [`POLL`], so that polling ends after the same number of reads every time.

mod block;
pub(super) mod halting;

use std::fmt;

use self::halting::{BREAKPOINT_UNIT, DEBUG_BLOCK, DFSR};
use super::memory::Memory;
use super::{Chip, Stopped};
use crate::time::Ticks;

/// One read or write on the wire: 46 clocks at 4 MHz.
pub const ACCESS: Ticks = Ticks(184);
/// How long the target may run within one read of DHCSR: about 100,000 instructions.
pub const POLL: Ticks = Ticks(150_000);

/// What a debug port is on: something that holds a chip and knows how time passes around it.
pub trait Target {
    /// The chip.
    fn chip(&mut self) -> &mut Chip;

    /// Lets time pass until `until` or until the core halts (see [`Chip::is_halted`]), whichever is
    /// first, and reacts to whatever the chip does meanwhile.
    fn pass(&mut self, until: Ticks);
}

impl Target for Chip {
    fn chip(&mut self) -> &mut Chip {
        self
    }

    /// A chip on its own: what it does to its pins has no consequences.
    fn pass(&mut self, until: Ticks) {
        let halted = self.is_halted();
        while self.run(until) != Stopped::Deadline && self.is_halted() == halted {}
    }
}

/// Why an access was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DebugFault {
    /// FAULT: the access failed on the target's bus, or an earlier one did and was not cleared in
    /// ABORT, or the debug power domain is off.
    Fault,
    /// Nobody answers: the chip has no supply.
    NoResponse,
}

impl fmt::Display for DebugFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DebugFault::Fault => "the target answered FAULT",
            DebugFault::NoResponse => "the target does not answer",
        })
    }
}

impl std::error::Error for DebugFault {}

/// The ports' registers, kept in the chip between accesses.
#[derive(Clone, Debug, Hash)]
pub(super) struct PortState {
    control: u32,
    select: u32,
    read_buffer: u32,
    sticky_error: bool,
    control_status_word: u32,
    transfer_address: u32,
}

impl PortState {
    pub(super) fn new() -> PortState {
        PortState {
            control: 0,
            select: 0,
            read_buffer: 0,
            sticky_error: false,
            control_status_word: CSW_FIXED,
            transfer_address: 0,
        }
    }
}

const DPIDR: u32 = 0x0bb1_1477;
const AHB_AP_IDR: u32 = 0x0477_0021;
/// The vendor's ROM table, present.
const AHB_AP_BASE: u32 = 0xf000_0003;
/// DeviceEn, and the protection bits as they come out of reset.
const CSW_FIXED: u32 = 0x0300_0040;
const POWER_REQUESTS: u32 = 1 << 30 | 1 << 28;
const STICKY_ERROR: u32 = 1 << 5;

/// SW-DP and its access ports, for as long as somebody holds it.
pub struct DebugPort<'a> {
    target: &'a mut dyn Target,
    /// How long the target runs within one read of DHCSR.
    poll: Ticks,
}

impl fmt::Debug for DebugPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugPort").finish_non_exhaustive()
    }
}

impl<'a> DebugPort<'a> {
    /// The debug port of the target's chip.
    pub fn new(target: &'a mut dyn Target) -> DebugPort<'a> {
        DebugPort { target, poll: POLL }
    }

    /// The same for a target whose time follows a clock: a read of DHCSR takes what any access
    /// takes, because the target gets on while the prober waits.
    pub fn in_real_time(target: &'a mut dyn Target) -> DebugPort<'a> {
        DebugPort {
            target,
            poll: Ticks::ZERO,
        }
    }

    fn state(&mut self) -> &mut PortState {
        &mut self.target.chip().port
    }

    /// A line reset. From here on the chip is in debug interface mode, until it loses its supply.
    ///
    /// # Errors
    /// [`DebugFault::NoResponse`] without supply.
    pub fn line_reset(&mut self) -> Result<(), DebugFault> {
        self.begin()?;
        let state = self.state();
        state.select = 0;
        Ok(())
    }

    /// Time for one access passes; the chip must be there.
    fn begin(&mut self) -> Result<(), DebugFault> {
        if !self.target.chip().is_supplied() {
            return Err(DebugFault::NoResponse);
        }
        self.target.chip().enter_debug_mode();
        let until = self.target.chip().now() + ACCESS;
        self.target.pass(until);
        // A halt ends a pass early, but not what is on the wire.
        while self.target.chip().now() < until {
            self.target.pass(until);
        }
        if self.target.chip().is_supplied() {
            Ok(())
        } else {
            Err(DebugFault::NoResponse)
        }
    }

    /// Reads the debug port register at 0x0, 0x4, 0x8 or 0xc.
    ///
    /// # Errors
    /// [`DebugFault::NoResponse`] without supply.
    pub fn dp_read(&mut self, register: u8) -> Result<u32, DebugFault> {
        self.begin()?;
        let state = self.state();
        Ok(match register & 0xc {
            0x0 => DPIDR,
            // Bank 0 is CTRL/STAT; the others are the wire's own settings, all at their defaults.
            0x4 if state.select & 0xf == 0 => {
                state.control
                    | (state.control & POWER_REQUESTS) << 1
                    | if state.sticky_error { STICKY_ERROR } else { 0 }
            }
            0x4 => 0,
            _ => state.read_buffer,
        })
    }

    /// Writes the debug port register at 0x0, 0x4, 0x8 or 0xc.
    ///
    /// # Errors
    /// [`DebugFault::NoResponse`] without supply.
    pub fn dp_write(&mut self, register: u8, value: u32) -> Result<(), DebugFault> {
        const CLEAR_STICKY_ERROR: u32 = 1 << 2;
        self.begin()?;
        let state = self.state();
        match register & 0xc {
            0x0 if value & CLEAR_STICKY_ERROR != 0 => state.sticky_error = false,
            0x4 if state.select & 0xf == 0 => state.control = value & (POWER_REQUESTS | 0xf0d),
            0x8 => state.select = value,
            _ => {}
        }
        Ok(())
    }

    /// The access port and the bank address that SELECT names: what an AP access on the wire, which
    /// carries two address bits only, refers to.
    pub fn selected(&mut self) -> (u8, u8) {
        let select = self.state().select;
        ((select >> 24) as u8, (select & 0xf0) as u8)
    }

    /// Reads a register of an access port, by its whole address. The value is RDBUFF's from now on.
    ///
    /// # Errors
    /// [`DebugFault::Fault`] if the access failed or an earlier failure is not cleared,
    /// [`DebugFault::NoResponse`] without supply.
    pub fn ap_read(&mut self, ap: u8, register: u8) -> Result<u32, DebugFault> {
        self.begin_ap()?;
        let value = if ap == 0 {
            self.read_ahb_ap(register)?
        } else {
            0
        };
        self.state().read_buffer = value;
        Ok(value)
    }

    /// Writes a register of an access port, by its whole address.
    ///
    /// # Errors
    /// As [`DebugPort::ap_read`].
    pub fn ap_write(&mut self, ap: u8, register: u8, value: u32) -> Result<(), DebugFault> {
        self.begin_ap()?;
        if ap == 0 {
            self.write_ahb_ap(register, value)
        } else {
            Ok(())
        }
    }

    fn begin_ap(&mut self) -> Result<(), DebugFault> {
        self.begin()?;
        let state = self.state();
        if state.sticky_error || state.control & POWER_REQUESTS != POWER_REQUESTS {
            return Err(DebugFault::Fault);
        }
        Ok(())
    }

    fn read_ahb_ap(&mut self, register: u8) -> Result<u32, DebugFault> {
        let state = self.state();
        Ok(match register & 0xfc {
            0x00 => state.control_status_word,
            0x04 => state.transfer_address,
            0x0c => {
                let (address, size) = self.next_transfer();
                self.transfer_in(address, size)?
            }
            banked @ (0x10 | 0x14 | 0x18 | 0x1c) => {
                let address = state.transfer_address & !0xf | u32::from(banked & 0xc);
                self.transfer_in(address, 4)?
            }
            0xf8 => AHB_AP_BASE,
            0xfc => AHB_AP_IDR,
            _ => 0,
        })
    }

    fn write_ahb_ap(&mut self, register: u8, value: u32) -> Result<(), DebugFault> {
        let state = self.state();
        match register & 0xfc {
            0x00 => {
                // Size (byte, halfword, word), auto-increment (off or single), protection.
                let size = (value & 7).min(2);
                state.control_status_word = value & 0x7f00_0010 | size | CSW_FIXED & 0x40;
            }
            0x04 => state.transfer_address = value,
            0x0c => {
                let (address, size) = self.next_transfer();
                self.transfer_out(address, size, value)?;
            }
            banked @ (0x10 | 0x14 | 0x18 | 0x1c) => {
                let address = state.transfer_address & !0xf | u32::from(banked & 0xc);
                self.transfer_out(address, 4, value)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The address and size in bytes of the next transfer through DRW, after which TAR moves on.
    fn next_transfer(&mut self) -> (u32, u32) {
        let state = self.state();
        let address = state.transfer_address;
        let size = 1 << (state.control_status_word & 3);
        if state.control_status_word & 0x10 != 0 {
            // The increment stays within 1 KiB.
            state.transfer_address = address & !0x3ff | address.wrapping_add(size) & 0x3ff;
        }
        (address, size)
    }

    /// Bytes and halfwords stand in the lanes that they have on the bus.
    fn transfer_in(&mut self, address: u32, size: u32) -> Result<u32, DebugFault> {
        if address == DEBUG_BLOCK && self.target.chip().runs_freely() {
            let until = self.target.chip().now() + self.poll;
            self.target.pass(until);
        }
        let chip = self.target.chip();
        let value = if is_debug_register(address) {
            Some(chip.read_debug(address & !3) >> (address % 4 * 8))
        } else {
            chip.probe_load(address, size)
        };
        let Some(value) = value else {
            return Err(self.failed());
        };
        Ok(value << (address % 4 * 8))
    }

    fn transfer_out(&mut self, address: u32, size: u32, value: u32) -> Result<(), DebugFault> {
        let chip = self.target.chip();
        let done = if is_debug_register(address) {
            chip.write_debug(address & !3, value);
            true
        } else {
            chip.probe_store(address, size, value >> (address % 4 * 8))
        };
        if done { Ok(()) } else { Err(self.failed()) }
    }

    fn failed(&mut self) -> DebugFault {
        self.state().sticky_error = true;
        DebugFault::Fault
    }
}

/// Registers that only a debugger reaches, so that they are not on the chip's own bus.
fn is_debug_register(address: u32) -> bool {
    address & !0xf == DEBUG_BLOCK
        || address & !3 == DFSR
        || !Memory::is_ram(address) && rom::word(address).is_some()
        || address & !0xfff == BREAKPOINT_UNIT
}

pub(super) mod rom {
    //! What identifies the chip's debug components: the vendor's ROM table, which points at the
    //! core's, which points at the components.

    /// The word at an address of a ROM table, or of a component's identification block.
    pub(in crate::chip) fn word(address: u32) -> Option<u32> {
        let offset = address & 0xffc;
        let (entries, peripheral_id, class): (&[u32], u64, u32) = match address & !0xfff {
            // Nordic Semiconductor, by its JEP106 code.
            0xf000_0000 => (&[0xf00f_f003], 0x02_000c_4001, 1),
            0xe00f_f000 => (&[0xfff0_f003, 0xfff0_2003, 0xfff0_3003], 0x04_000b_b471, 1),
            0xe000_e000 if offset >= 0xfd0 => (&[], 0x04_000b_b008, 0xe),
            0xe000_1000 if offset >= 0xfd0 => (&[], 0x04_000b_b00a, 0xe),
            0xe000_2000 if offset >= 0xfd0 => (&[], 0x04_000b_b00b, 0xe),
            _ => return None,
        };
        let byte = |n: u32| (peripheral_id >> (8 * n) & 0xff) as u32;
        Some(match offset {
            0xfcc => 1,
            0xfd0 => byte(4),
            0xfe0..=0xfec => byte((offset - 0xfe0) / 4),
            0xff0 => 0x0d,
            0xff4 => class << 4,
            0xff8 => 0x05,
            0xffc => 0xb1,
            _ => entries.get(offset as usize / 4).copied().unwrap_or(0),
        })
    }
}
