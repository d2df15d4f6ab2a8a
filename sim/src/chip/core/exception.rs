//! Exception entry and return, faults and lockup (ARMv6-M, B1.5).

use super::system::{HARD_FAULT, NMI};
use super::{Bus, Core, Doing};

/// Cycles from the decision to take an exception to its handler's first instruction.
pub(crate) const ENTRY_CYCLES: u64 = 16;
/// Cycles from the return to the next instruction of what was interrupted.
pub(crate) const RETURN_CYCLES: u64 = 16;

const TO_HANDLER: u32 = 0xffff_fff1;
const TO_THREAD_MAIN: u32 = 0xffff_fff9;
const TO_THREAD_PROCESS: u32 = 0xffff_fffd;
/// Where the PC reads as standing in lockup.
const LOCKUP_ADDRESS: u32 = 0xffff_fffe;
/// xPSR bit 9 of a stacked frame: the stack pointer was moved to align it.
const REALIGNED: u32 = 1 << 9;

impl Core {
    /// Takes `exception`; R15 is the address to return to. A stack or vector that cannot be
    /// reached makes it a HardFault, or lockup.
    pub(crate) fn enter<'code>(&mut self, exception: u8, bus: &mut impl Bus<'code>) {
        let return_value = if self.system.current != 0 {
            TO_HANDLER
        } else if self.system.process_stack {
            TO_THREAD_PROCESS
        } else {
            TO_THREAD_MAIN
        };
        let r = &self.registers.r;
        let realigned = r[13] & 4 != 0;
        let frame = r[13].wrapping_sub(0x20) & !4;
        let xpsr = self.xpsr() | if realigned { REALIGNED } else { 0 };
        let words = [r[0], r[1], r[2], r[3], r[12], r[14], r[15], xpsr];
        let mut stacked = true;
        for (offset, word) in (0..).step_by(4).zip(words) {
            stacked &= bus.store::<4>(frame.wrapping_add(offset), word);
        }
        self.registers.r[13] = frame;
        if self.system.on_process_stack() {
            std::mem::swap(&mut self.registers.r[13], &mut self.system.other_stack);
        }
        self.system.process_stack = false;
        self.system.activate(exception);
        self.registers.r[14] = return_value;
        self.registers.thumb = true;
        self.doing = Doing::Running;
        let vector = bus.load::<4>(u32::from(exception) * 4);
        match vector {
            _ if !stacked && exception > HARD_FAULT => {
                // The frame is lost, but a HardFault handler still finds the core in this state.
                self.system.deactivate(exception);
                self.system.current = HARD_FAULT;
                self.system.activate(HARD_FAULT);
                match bus.load::<4>(u32::from(HARD_FAULT) * 4) {
                    Some(vector) => self.start_handler(vector),
                    None => self.lock_up(),
                }
            }
            Some(vector) if stacked => self.start_handler(vector),
            _ => self.lock_up(),
        }
    }

    fn start_handler(&mut self, vector: u32) {
        self.registers.r[15] = vector & !1;
        self.registers.thumb = vector & 1 != 0;
    }

    fn lock_up(&mut self) {
        self.registers.r[15] = LOCKUP_ADDRESS;
        self.doing = Doing::LockedUp;
    }

    /// Faults at the instruction at R15: HardFault, or lockup where HardFault cannot be taken.
    pub(crate) fn fault<'code>(&mut self, bus: &mut impl Bus<'code>) {
        if self.system.is_active(HARD_FAULT) || self.system.is_active(NMI) {
            self.lock_up();
        } else {
            self.enter(HARD_FAULT, bus);
        }
    }

    /// A synchronous exception of configurable priority (SVCall); escalates to HardFault if it
    /// cannot be taken now. R15 is the address to return to if it can, `at` the instruction.
    pub(crate) fn call<'code>(&mut self, exception: u8, at: u32, bus: &mut impl Bus<'code>) {
        if self.system.can_take(exception) {
            self.enter(exception, bus);
        } else {
            self.registers.r[15] = at;
            self.fault(bus);
        }
    }

    /// Branches to `value` as BX and POP do from [`super::execute::Exit::Return`]: in handler mode
    /// that is an exception return.
    pub(crate) fn branch_or_return<'code>(&mut self, value: u32, bus: &mut impl Bus<'code>) {
        if self.system.current == 0 {
            self.registers.r[15] = value & !1;
            self.registers.thumb = value & 1 != 0;
            return;
        }
        let nested = self.system.active_count() > 1;
        let (process, thread) = match value {
            TO_HANDLER if nested => (false, false),
            TO_THREAD_MAIN if !nested => (false, true),
            TO_THREAD_PROCESS if !nested => (true, true),
            _ => {
                // Integrity check: the exception ends all the same, and a fault takes its place.
                self.registers.r[15] = value & !1;
                self.system.deactivate(self.system.current);
                return self.fault(bus);
            }
        };
        let was = self.system.current;
        self.system.deactivate(was);
        let frame = if process {
            self.system.other_stack
        } else {
            self.registers.r[13]
        };
        let mut words = [0; 8];
        for (offset, word) in (0..).step_by(4).zip(&mut words) {
            match bus.load::<4>(frame.wrapping_add(offset)) {
                Some(value) => *word = value,
                None => return self.fault(bus),
            }
        }
        let [r0, r1, r2, r3, r12, lr, pc, xpsr] = words;
        let exception = (xpsr & 0x3f) as u8;
        let after = frame.wrapping_add(0x20) | if xpsr & REALIGNED != 0 { 4 } else { 0 };
        if process {
            self.system.other_stack = after;
        } else {
            self.registers.r[13] = after;
        }
        self.system.current = exception;
        if process {
            std::mem::swap(&mut self.registers.r[13], &mut self.system.other_stack);
            self.system.process_stack = true;
        }
        let r = &mut self.registers.r;
        (r[0], r[1], r[2], r[3], r[12], r[14], r[15]) = (r0, r1, r2, r3, r12, lr, pc & !1);
        self.registers.set_apsr(xpsr);
        self.registers.thumb = xpsr & 1 << 24 != 0;
        if thread != (exception == 0) {
            self.system.current = if thread { 0 } else { was };
            return self.fault(bus);
        }
        if thread && self.system.sleeps_on_exit() {
            self.doing = Doing::Sleeping { for_event: false };
        }
    }
}
