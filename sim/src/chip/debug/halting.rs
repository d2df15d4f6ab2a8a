//! Halting debug: the core's debug registers, vector catch, stepping, and the breakpoint unit.
//!
//! This state belongs to the debug power domain: resets leave it, only a power cycle clears it.

use super::super::core::Doing;
use super::super::{Chip, Power};
use super::rom;
use crate::chip::peripherals::ResetCause;

/// DHCSR, DCRSR, DCRDR and DEMCR.
pub(super) const DEBUG_BLOCK: u32 = 0xe000_edf0;
pub(super) const DFSR: u32 = 0xe000_ed30;
/// The page of the breakpoint unit.
pub(super) const BREAKPOINT_UNIT: u32 = 0xe000_2000;
const COMPARATORS: usize = 4;

const C_DEBUGEN: u32 = 1;
const C_HALT: u32 = 1 << 1;
const C_STEP: u32 = 1 << 2;
const C_MASKINTS: u32 = 1 << 3;
const DHCSR_KEY: u32 = 0xa05f;

const VC_CORERESET: u32 = 1;
const VC_HARDERR: u32 = 1 << 10;
const DWTENA: u32 = 1 << 24;

/// Why the core halted: bits of DFSR.
#[derive(Clone, Copy, Debug)]
pub(in crate::chip) enum Reason {
    /// By request, or after a step.
    Halted = 1,
    Breakpoint = 1 << 1,
    VectorCatch = 1 << 3,
}

/// The debugger's view of, and hold on, the core.
#[derive(Clone, Debug, Hash, Default)]
pub(in crate::chip) struct Halting {
    /// Debug interface mode: some probe spoke to the chip since it got its supply.
    pub(in crate::chip) attached: bool,
    enabled: bool,
    halted: bool,
    /// Halt after the next instruction.
    pub(in crate::chip) stepping: bool,
    masks_interrupts: bool,
    /// A reset happened since DHCSR was last read.
    reset_seen: bool,
    /// A reset was to be caught while C_DEBUGEN was still clear: probes that hold the reset line
    /// set the catch first.
    catch_pending: bool,
    reasons: u32,
    exception_monitor: u32,
    transfer: u32,
    breakpoints_enabled: bool,
    comparators: [u32; COMPARATORS],
}

impl Halting {
    /// Whether the debugger holds the core.
    pub(in crate::chip) fn is_halted(&self) -> bool {
        self.halted
    }

    /// Whether the core stands still for the debugger: halted, or about to be before its first
    /// instruction.
    pub(in crate::chip) fn holds(&self) -> bool {
        self.halted || self.catch_pending
    }

    /// Whether the debugger is connected to the core: breakpoints halt instead of faulting.
    pub(in crate::chip) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether exceptions other than NMI and HardFault are kept away.
    pub(in crate::chip) fn masks_interrupts(&self) -> bool {
        self.enabled && self.masks_interrupts
    }

    /// Whether execution has to be watched instruction by instruction.
    pub(in crate::chip) fn watches(&self) -> bool {
        self.stepping || self.enabled && self.breakpoints_enabled && self.comparators_on()
    }

    fn comparators_on(&self) -> bool {
        self.comparators
            .iter()
            .any(|comparator| comparator & 1 != 0)
    }

    /// Whether a breakpoint stands at an instruction about to be executed.
    pub(in crate::chip) fn breaks_at(&self, address: u32) -> bool {
        const ADDRESS: u32 = 0x1fff_fffc;
        let half = if address & 2 == 0 { 1 << 30 } else { 1 << 31 };
        self.enabled
            && self.breakpoints_enabled
            && self.comparators.iter().any(|comparator| {
                comparator & 1 != 0
                    && comparator & half != 0
                    && comparator & ADDRESS == address & !3
            })
    }

    fn halt(&mut self, reason: Reason) {
        self.halted = true;
        self.stepping = false;
        self.reasons |= reason as u32;
    }
}

impl Chip {
    /// Whether a debugger holds the core.
    pub fn is_halted(&self) -> bool {
        self.halting.is_halted()
    }

    /// Whether some probe spoke to the chip since it got its supply. Until it loses that, the
    /// reset pin is SWDIO and lockup does not reset.
    pub fn is_in_debug_mode(&self) -> bool {
        self.halting.attached
    }

    /// Whether reading DHCSR should let the core get on: it is neither halted nor stuck.
    pub(super) fn runs_freely(&self) -> bool {
        !self.halting.halted
            && !self.halting.reset_seen
            && self.power == Power::On
            && self.core.doing != Doing::LockedUp
    }

    pub(super) fn enter_debug_mode(&mut self) {
        if !self.halting.attached {
            self.halting.attached = true;
            if self.power == Power::SystemOff {
                self.reset(ResetCause::Debug);
            }
        }
    }

    /// Halts the core by something it did itself.
    pub(in crate::chip) fn halt(&mut self, reason: Reason) {
        self.halting.halt(reason);
        self.stops.halted = true;
    }

    /// A reset took place.
    pub(in crate::chip) fn catch_reset(&mut self) {
        let halting = &mut self.halting;
        halting.reset_seen = true;
        halting.halted = false;
        halting.stepping = false;
        if halting.exception_monitor & VC_CORERESET != 0 {
            if halting.enabled {
                self.halt(Reason::VectorCatch);
            } else {
                halting.catch_pending = true;
            }
        }
    }

    /// HardFault was entered, or could not be.
    pub(in crate::chip) fn catch_hard_fault(&mut self) {
        if self.halting.enabled && self.halting.exception_monitor & VC_HARDERR != 0 {
            self.halt(Reason::VectorCatch);
        }
    }

    /// Halts the core where it stands, as a debugger does that was there all the time: no time
    /// passes. False, if the core does not run: it has no supply.
    pub fn halt_at_once(&mut self) -> bool {
        if self.power != Power::On {
            return false;
        }
        self.enter_debug_mode();
        self.control_halting(DHCSR_KEY << 16 | C_HALT | C_DEBUGEN);
        true
    }

    /// Reads a debug register.
    pub(super) fn read_debug(&mut self, address: u32) -> u32 {
        const S_REGRDY: u32 = 1 << 16;
        const S_HALT: u32 = 1 << 17;
        const S_SLEEP: u32 = 1 << 18;
        const S_LOCKUP: u32 = 1 << 19;
        const S_RETIRE_ST: u32 = 1 << 24;
        const S_RESET_ST: u32 = 1 << 25;
        let halting = &mut self.halting;
        let bit = |condition: bool, bit: u32| if condition { bit } else { 0 };
        match address {
            DEBUG_BLOCK => {
                let sleeps = matches!(self.core.doing, Doing::Sleeping { .. });
                bit(halting.enabled, C_DEBUGEN)
                    | bit(halting.halted, C_HALT | S_HALT)
                    | bit(halting.stepping, C_STEP)
                    | bit(halting.masks_interrupts, C_MASKINTS)
                    | S_REGRDY
                    | bit(sleeps && !halting.halted, S_SLEEP)
                    | bit(
                        self.core.doing == Doing::LockedUp && !halting.halted,
                        S_LOCKUP,
                    )
                    | bit(!halting.halted, S_RETIRE_ST)
                    | bit(std::mem::take(&mut halting.reset_seen), S_RESET_ST)
            }
            0xe000_edf8 => halting.transfer,
            0xe000_edfc => halting.exception_monitor,
            DFSR => halting.reasons,
            BREAKPOINT_UNIT => (COMPARATORS as u32) << 4 | u32::from(halting.breakpoints_enabled),
            0xe000_2008..0xe000_2018 => halting.comparators[(address - 0xe000_2008) as usize / 4],
            _ => rom::word(address).unwrap_or(0),
        }
    }

    /// Writes a debug register.
    pub(super) fn write_debug(&mut self, address: u32, value: u32) {
        match address {
            DEBUG_BLOCK if value >> 16 == DHCSR_KEY => self.control_halting(value),
            0xe000_edf4 => {
                let register = value & 0x1f;
                if value & 1 << 16 != 0 {
                    self.write_register(register, self.halting.transfer);
                } else {
                    self.halting.transfer = self.read_register(register);
                }
            }
            0xe000_edf8 => self.halting.transfer = value,
            0xe000_edfc => {
                self.halting.exception_monitor = value & (VC_CORERESET | VC_HARDERR | DWTENA);
                if value & VC_CORERESET == 0 {
                    self.halting.catch_pending = false;
                }
            }
            DFSR => self.halting.reasons &= !value,
            BREAKPOINT_UNIT if value & 2 != 0 => self.halting.breakpoints_enabled = value & 1 != 0,
            0xe000_2008..0xe000_2018 => {
                self.halting.comparators[(address - 0xe000_2008) as usize / 4] =
                    value & 0xdfff_fffd;
            }
            _ => {}
        }
    }

    fn control_halting(&mut self, value: u32) {
        let halting = &mut self.halting;
        halting.enabled = value & C_DEBUGEN != 0;
        if !halting.enabled {
            halting.halted = false;
            halting.stepping = false;
            return;
        }
        halting.masks_interrupts = value & C_MASKINTS != 0;
        if value & C_HALT != 0 {
            if !halting.halted {
                halting.halt(Reason::Halted);
            }
        } else if halting.catch_pending {
            halting.halt(Reason::VectorCatch);
        } else {
            halting.stepping = value & C_STEP != 0 && halting.halted;
            halting.halted = false;
        }
        halting.catch_pending = false;
        // Debug state is entered from sleep and from lockup alike, and leaves neither behind.
        if halting.halted {
            self.core.doing = Doing::Running;
        }
    }

    /// A core register by its number in DCRSR.
    fn read_register(&self, register: u32) -> u32 {
        match register {
            0..=15 => self.core.registers.r[register as usize],
            16 => self.core.xpsr(),
            17 => self.core.special(8),
            18 => self.core.special(9),
            20 => self.core.special(20) << 24 | self.core.special(16),
            _ => 0,
        }
    }

    fn write_register(&mut self, register: u32, value: u32) {
        let core = &mut self.core;
        match register {
            13 => core.registers.r[13] = value & !3,
            15 => core.registers.r[15] = value & !1,
            0..=14 => core.registers.r[register as usize] = value,
            16 => {
                core.registers.set_apsr(value);
                core.registers.thumb = value & 1 << 24 != 0;
                core.handle((value & 0x3f) as u8);
            }
            17 => core.set_special(8, value),
            18 => core.set_special(9, value),
            20 => {
                core.set_special(20, value >> 24);
                core.set_special(16, value);
            }
            _ => {}
        }
    }
}
