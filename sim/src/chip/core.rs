//! The Cortex-M0: ARMv6-M without the privilege and SysTick options, with 32 interrupt lines and
//! four priority levels.
//!
//! - `decode` turns halfwords into operations, `execute` runs them.
//! - `exception` enters and leaves exceptions.
//! - `system` is the System Control Space: NVIC and SCB.
//!
//! The core knows no peripherals and no time of its own: the chip gives it a bus and a budget of
//! cycles.

pub(crate) mod decode;
pub(crate) mod exception;
pub(crate) mod execute;
pub(crate) mod system;

pub(crate) use execute::{Bus, Exit, Registers, Stretch, execute};
pub(crate) use system::System;

/// What the core is doing.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) enum Doing {
    Running,
    /// WFI, WFE or sleep on exit.
    Sleeping {
        for_event: bool,
    },
    /// A fault within HardFault or NMI.
    LockedUp,
}

/// The core's state between two instructions.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Core {
    pub(crate) registers: Registers,
    pub(crate) system: System,
    pub(crate) doing: Doing,
}

impl Core {
    pub(crate) fn new() -> Core {
        Core {
            registers: Registers {
                thumb: true,
                nz: 1,
                ..Registers::default()
            },
            system: System::new(),
            doing: Doing::Running,
        }
    }

    /// Everything as reset leaves it, starting from the first two words of the vector table.
    pub(crate) fn reset(&mut self, stack: u32, entry: u32) {
        *self = Core::new();
        self.registers.r[13] = stack & !3;
        self.registers.r[14] = u32::MAX;
        self.registers.r[15] = entry & !1;
        self.registers.thumb = entry & 1 != 0;
    }

    /// The whole program status register.
    pub(crate) fn xpsr(&self) -> u32 {
        self.registers.apsr()
            | u32::from(self.registers.thumb) << 24
            | u32::from(self.system.current)
    }

    /// A special register by its number in MRS; those that do not exist read as zero.
    pub(crate) fn special(&self, number: u32) -> u32 {
        match number {
            // EPSR reads as zero; bit 0 of the number adds IPSR, bit 2 leaves out APSR.
            0..=7 => {
                let apsr = if number & 4 == 0 {
                    self.registers.apsr()
                } else {
                    0
                };
                let ipsr = if number & 1 != 0 {
                    u32::from(self.system.current)
                } else {
                    0
                };
                apsr | ipsr
            }
            8 if self.system.on_process_stack() => self.system.other_stack,
            9 if !self.system.on_process_stack() => self.system.other_stack,
            8 | 9 => self.registers.r[13],
            16 => u32::from(self.system.primask),
            20 => u32::from(self.system.process_stack) << 1,
            _ => 0,
        }
    }

    /// Writes a special register by its number in MSR; those that cannot be written stay.
    pub(crate) fn set_special(&mut self, number: u32, value: u32) {
        match number {
            0..=3 => self.registers.set_apsr(value),
            8 if self.system.on_process_stack() => self.system.other_stack = value & !3,
            9 if !self.system.on_process_stack() => self.system.other_stack = value & !3,
            8 | 9 => self.registers.r[13] = value & !3,
            16 => self.system.primask = value & 1 != 0,
            20 if self.system.current == 0 => self.select_stack(value & 2 != 0),
            _ => {}
        }
    }

    /// Sets IPSR, with the stack pointer that goes with the mode.
    pub(crate) fn handle(&mut self, exception: u8) {
        let before = self.system.on_process_stack();
        self.system.current = exception;
        if self.system.on_process_stack() != before {
            std::mem::swap(&mut self.registers.r[13], &mut self.system.other_stack);
        }
    }

    /// Sets CONTROL.SPSEL, with the stack pointer that goes with it.
    pub(crate) fn select_stack(&mut self, process: bool) {
        let before = self.system.on_process_stack();
        self.system.process_stack = process;
        if self.system.on_process_stack() != before {
            std::mem::swap(&mut self.registers.r[13], &mut self.system.other_stack);
        }
    }
}
