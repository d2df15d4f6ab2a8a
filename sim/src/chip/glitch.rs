//! Glitches: one instruction goes wrong, as under a dip of the supply, a spike on the clock, or a pulse of a
//! coil or a laser. Whoever wants one is told of every instruction before it is executed, and may execute
//! that one under a glitch. Nobody else pays for it: bursts of code know nothing of this.

use super::core::Doing;
use super::core::decode::{self, Code, Op};
use super::{Chip, Power};

/// What goes wrong with one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Glitch {
    /// So many instructions in a row, as they stand in memory, are not executed. Each takes one cycle; a
    /// branch among them is not taken.
    Skip(u32),
    /// One bit of it is fetched wrongly: 0 to 15 of its first halfword, 16 to 31 of the second of a 32-bit
    /// instruction. What it then is decides what is done, and how long it is.
    Flip(u32),
    /// A register that it writes, R0 to R12 or LR, holds all zeros afterwards. Flags are as it sets them.
    Zeros(u32),
    /// The same with all ones.
    Ones(u32),
}

/// An instruction that is about to be executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Instruction {
    /// Which one, from 1, since instructions are watched.
    pub number: u64,
    /// Where it stands.
    pub address: u32,
    /// Its halfwords: the second is that of a 32-bit instruction.
    pub halfwords: (u16, Option<u16>),
    /// The registers that it writes, R0 to R12 and LR, one bit for each.
    pub writes: u16,
}

/// Instructions are watched.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Watch {
    /// How many were told.
    count: u64,
    /// The next one was told.
    told: bool,
}

impl Watch {
    /// An exception comes first.
    pub(super) fn preempted(&mut self) {
        self.told = false;
    }
}

impl Chip {
    /// From now on, or no longer, [`Chip::run`] stops before every instruction. Waiting loops are executed
    /// round by round then.
    pub fn watch_instructions(&mut self, watch: bool) {
        self.watch = watch.then(Watch::default);
        self.poll = None;
    }

    /// The instruction before which [`Chip::run`] stopped.
    pub fn instruction(&self) -> Option<Instruction> {
        let watch = self.watch.as_ref().filter(|watch| watch.told)?;
        let address = self.core.registers.r[15];
        let first = self.memory.fetch(address)?;
        let second = decode::is_wide(first).then(|| self.memory.fetch(address.wrapping_add(2)));
        Some(Instruction {
            number: watch.count,
            address,
            halfwords: (first, second.flatten()),
            writes: self.decode(address).writes(),
        })
    }

    /// Stops before the next instruction, or executes it if that was told.
    pub(super) fn tell_or_step(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        watch.told = !watch.told;
        if watch.told {
            watch.count += 1;
            self.stops.instruction = true;
        } else {
            self.step(self.now);
        }
    }

    /// Executes the instruction that the core stands before under a glitch, or as it is; false, if it stands
    /// before none, or the instruction has nothing that could go wrong so.
    pub fn glitch(&mut self, glitch: Option<Glitch>) -> bool {
        if self.power != Power::On || self.core.doing != Doing::Running {
            return false;
        }
        let at = self.core.registers.r[15];
        let bytes_at = |chip: &Chip, at| match chip.memory.fetch(at) {
            Some(half) if decode::is_wide(half) => 4,
            _ => 2,
        };
        match glitch {
            None => self.step(self.now),
            Some(Glitch::Skip(count)) => {
                for _ in 0..count {
                    let next = self.core.registers.r[15];
                    self.core.registers.r[15] = next.wrapping_add(bytes_at(self, next));
                    self.pass(1);
                }
            }
            Some(Glitch::Flip(bit)) if bit < 8 * bytes_at(self, at) => {
                let op = decode::at(at, |ahead| {
                    let half = self.memory.fetch(at.wrapping_add(2 * ahead as u32))?;
                    let is_hit = ahead as u32 == bit / 16;
                    Some(half ^ u16::from(is_hit) << (bit % 16))
                });
                self.execute(op, self.now);
            }
            Some(Glitch::Flip(_)) => return false,
            Some(Glitch::Zeros(register) | Glitch::Ones(register)) => {
                let op = self.decode(at);
                if register > 15 || op.writes() >> register & 1 == 0 {
                    return false;
                }
                self.execute(op, self.now);
                let ones = matches!(glitch, Some(Glitch::Ones(_)));
                self.core.registers.r[register as usize] = if ones { u32::MAX } else { 0 };
            }
        }
        self.poll = None;
        if let Some(watch) = &mut self.watch {
            watch.told = false;
        }
        true
    }
}

impl Op {
    /// The registers that it writes, one bit for each; neither the stack pointer nor the PC.
    fn writes(self) -> u16 {
        use Code::*;
        let bit = |register: u8| 1 << register;
        let list = self.imm as u16;
        let written = match self.code {
            Pop | PopPc => list,
            Ldm => list | bit(self.n),
            Stm => bit(self.n),
            Bl | Blx => bit(14),
            Push | CmpImm | CmpReg | CmpHigh | Cmn | Tst | StrReg | StrhReg | StrbReg | StrImm
            | StrhImm | StrbImm | AddToSp | MovToSp | AddToPc | MovToPc | Bx | B | BSelf | Beq
            | Bne | Bcs | Bcc | Bmi | Bpl | Bvs | Bvc | Bhi | Bls | Bge | Blt | Bgt | Ble | Nop
            | Barrier | Undecoded | Careful | Undefined | Svc | Bkpt | Cps | Wfi | Wfe | Sev
            | Msr => 0,
            // Pairs and what leaves out flags are made from others, and never decoded alone.
            _ => bit(self.d),
        };
        written & !(bit(13) | bit(15))
    }
}
