//! The System Control Space (0xE000E000): interrupt controller, exception priorities, sleep
//! control, and the mode that exceptions leave the core in.

/// Exception numbers.
pub(crate) const NMI: u8 = 2;
pub(crate) const HARD_FAULT: u8 = 3;
pub(crate) const SV_CALL: u8 = 11;
pub(crate) const PEND_SV: u8 = 14;
/// The exception of interrupt line 0.
pub(crate) const LINES: u8 = 16;

/// First address of the space.
pub(crate) const BASE: u32 = 0xe000_e000;
const CPUID: u32 = 0x410c_c200;
/// STKALIGN and UNALIGN_TRP, both fixed.
const CCR: u32 = 0x208;
const VECTKEY: u32 = 0x05fa;
const VECTKEY_READ: u32 = 0xfa05;

/// What a write asked of the rest of the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Nothing,
    Reset,
}

/// Everything of the core that is neither a general register nor a flag.
#[derive(Clone, Debug, Hash)]
pub(crate) struct System {
    /// IPSR: the exception being handled, 0 in thread mode.
    pub(crate) current: u8,
    /// PRIMASK.
    pub(crate) primask: bool,
    /// CONTROL.SPSEL.
    pub(crate) process_stack: bool,
    /// The stack pointer that R13 is not.
    pub(crate) other_stack: u32,
    /// The event register of WFE.
    pub(crate) event: bool,
    /// Bit n: exception n is active.
    active: u64,
    /// Bit n: exception n is pending.
    pending: u64,
    /// ISER: bit n enables line n.
    enabled: u32,
    /// The interrupt lines as they stand.
    lines: u32,
    /// Priorities of exceptions 0 to 47, of which the upper two bits exist.
    priority: [u8; 48],
    /// SCR: SLEEPONEXIT, SLEEPDEEP, SEVONPEND.
    control: u32,
}

impl System {
    pub(crate) fn new() -> System {
        System {
            current: 0,
            primask: false,
            process_stack: false,
            other_stack: 0,
            event: false,
            active: 0,
            pending: 0,
            enabled: 0,
            lines: 0,
            priority: [0; 48],
            control: 0,
        }
    }

    /// Whether R13 is the process stack pointer.
    pub(crate) fn on_process_stack(&self) -> bool {
        self.process_stack && self.current == 0
    }

    /// SCR.SLEEPONEXIT.
    pub(crate) fn sleeps_on_exit(&self) -> bool {
        self.control & 2 != 0
    }

    fn priority_of(&self, exception: u8) -> i32 {
        match exception {
            NMI => -2,
            HARD_FAULT => -1,
            _ => i32::from(self.priority[usize::from(exception)]),
        }
    }

    /// The priority that a new exception must beat; lower numbers are more urgent.
    pub(crate) fn execution_priority(&self) -> i32 {
        let masked = if self.primask { 0 } else { i32::MAX };
        self.active_priority().min(masked)
    }

    fn active_priority(&self) -> i32 {
        let mut lowest = i32::MAX;
        let mut active = self.active;
        while active != 0 {
            lowest = lowest.min(self.priority_of(active.trailing_zeros() as u8));
            active &= active - 1;
        }
        lowest
    }

    fn takeable(&self) -> u64 {
        self.pending & (u64::from(self.enabled) << LINES | 0xffff)
    }

    fn most_urgent(&self, beating: i32) -> Option<u8> {
        let mut candidates = self.takeable();
        let mut best = None;
        let mut urgency = beating;
        // Ties go to the lower exception number.
        while candidates != 0 {
            let exception = candidates.trailing_zeros() as u8;
            if self.priority_of(exception) < urgency {
                urgency = self.priority_of(exception);
                best = Some(exception);
            }
            candidates &= candidates - 1;
        }
        best
    }

    /// The pending exception that preempts what runs now; `masked` leaves only NMI and HardFault.
    #[inline]
    pub(crate) fn preempting(&self, masked: bool) -> Option<u8> {
        if self.takeable() == 0 {
            return None;
        }
        let beating = self
            .execution_priority()
            .min(if masked { 0 } else { i32::MAX });
        self.most_urgent(beating)
    }

    /// Whether an exception is urgent enough to be taken now.
    pub(crate) fn can_take(&self, exception: u8) -> bool {
        self.priority_of(exception) < self.execution_priority()
    }

    /// Whether WFI goes on: an exception is pending that would preempt if PRIMASK were clear.
    pub(crate) fn wakes(&self) -> bool {
        self.takeable() != 0 && self.most_urgent(self.active_priority()).is_some()
    }

    /// Takes the interrupt lines as the peripherals drive them.
    #[inline]
    pub(crate) fn set_lines(&mut self, lines: u32) {
        if self.lines != lines {
            // Pending is latched: a line that falls again leaves it behind.
            let risen = lines & !self.lines;
            self.lines = lines;
            self.pend_lines(risen);
        }
    }

    fn pend_lines(&mut self, lines: u32) {
        self.pend(u64::from(lines) << LINES);
    }

    fn pend(&mut self, exceptions: u64) {
        const SEVONPEND: u32 = 1 << 4;
        if exceptions & !self.pending != 0 && self.control & SEVONPEND != 0 {
            self.event = true;
        }
        self.pending |= exceptions;
    }

    /// Whether an exception is active.
    pub(crate) fn is_active(&self, exception: u8) -> bool {
        self.active & 1 << exception != 0
    }

    /// How many exceptions are active.
    pub(crate) fn active_count(&self) -> u32 {
        self.active.count_ones()
    }

    /// Exception entry: `exception` is now the one being handled.
    pub(crate) fn activate(&mut self, exception: u8) {
        self.current = exception;
        self.active |= 1 << exception;
        self.pending &= !(1 << exception);
        self.event = true;
    }

    /// Exception return: `exception` is no longer handled. A line that is still high pends again.
    pub(crate) fn deactivate(&mut self, exception: u8) {
        self.active &= !(1 << exception);
        self.event = true;
        let high = u64::from(self.lines) << LINES;
        self.pend(high & 1 << exception);
    }

    /// Reads the register word at `offset` from [`BASE`]. Reserved ones, the absent SysTick, and
    /// the debug registers (which only a debugger reaches) read as zero.
    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset & !3 {
            0x100 | 0x180 => self.enabled,
            0x200 | 0x280 => (self.pending >> LINES) as u32,
            offset @ 0x400..0x420 => {
                self.priorities(usize::from(LINES) + (offset - 0x400) as usize)
            }
            0xd00 => CPUID,
            0xd04 => self.icsr(),
            0xd0c => VECTKEY_READ << 16,
            0xd10 => self.control,
            0xd14 => CCR,
            0xd1c => self.priorities(8),
            0xd20 => self.priorities(12),
            0xd24 => u32::from(self.pending >> SV_CALL & 1 != 0) << 15,
            _ => 0,
        }
    }

    fn priorities(&self, first: usize) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|n| self.priority[first + n]))
    }

    fn icsr(&self) -> u32 {
        let pending = |exception: u8| (self.pending >> exception & 1) as u32;
        let lines_pending = u32::from(self.pending >> LINES != 0);
        let vect_pending = self.most_urgent(i32::MAX).unwrap_or(0);
        pending(NMI) << 31
            | pending(PEND_SV) << 28
            | lines_pending << 22
            | u32::from(vect_pending) << 12
            | u32::from(self.current)
    }

    /// Writes the register word at `offset` from [`BASE`]; `lanes` has ones where the access
    /// writes.
    pub(crate) fn write(&mut self, offset: u32, value: u32, lanes: u32) -> Asked {
        match offset & !3 {
            0x100 => self.enabled |= value,
            0x180 => self.enabled &= !value,
            0x200 => self.pend_lines(value),
            0x280 => {
                let high = u64::from(self.lines) << LINES & !self.active;
                self.pending &= !(u64::from(value) << LINES) | high;
            }
            offset @ 0x400..0x420 => {
                self.set_priorities(usize::from(LINES) + (offset - 0x400) as usize, value, lanes);
            }
            0xd04 => {
                if value & 1 << 31 != 0 {
                    self.pend(1 << NMI);
                }
                if value & 1 << 28 != 0 {
                    self.pend(1 << PEND_SV);
                } else if value & 1 << 27 != 0 {
                    self.pending &= !(1 << PEND_SV);
                }
            }
            0xd0c if value >> 16 == VECTKEY && value & 1 << 2 != 0 => return Asked::Reset,
            0xd10 => self.control = value & 0x16,
            0xd1c => self.set_priorities(8, value, lanes & 0xff00_0000),
            0xd20 => self.set_priorities(12, value, lanes & 0x00ff_0000),
            0xd24 if value & 1 << 15 != 0 => self.pend(1 << SV_CALL),
            0xd24 => self.pending &= !(1 << SV_CALL),
            _ => {}
        }
        Asked::Nothing
    }

    fn set_priorities(&mut self, first: usize, value: u32, lanes: u32) {
        for n in 0..4 {
            if lanes >> (8 * n) & 0xff != 0 {
                self.priority[first + n] = (value >> (8 * n)) as u8 & 0xc0;
            }
        }
    }
}
