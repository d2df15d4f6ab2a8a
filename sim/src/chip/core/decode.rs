//! From halfwords to operations: each instruction of ARMv6-M as one eight-byte record that the
//! execution loop matches on.
//!
//! Registers, sizes and sign extensions are resolved here, PC-relative addresses are made
//! absolute and branch offsets are counted in slots (halfwords). What ARMv6-M leaves
//! UNPREDICTABLE is decoded to what the Cortex-M0 is known to do where that is known (the nearest
//! defined behaviour) and to [`Code::Undefined`] where it is not.

use crate::chip::memory::{PAGE_SLOTS, PAGE_WORDS};

/// How many slots of RAM are decoded at a time, and so how far a run and the instructions in it may
/// reach from any of their slots.
pub(crate) const REACH: usize = 16;

/// The number of a special register that does not exist.
const NO_SPECIAL: u32 = 0xff;

/// One decoded instruction.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) code: Code,
    /// Destination register, or what the code says.
    pub(crate) d: u8,
    /// First operand register.
    pub(crate) n: u8,
    /// Second operand register.
    pub(crate) m: u8,
    /// Immediate operand, absolute address, register list or slot offset.
    pub(crate) imm: u32,
}

/// What an operation does. Registers are called by the fields of [`Op`] that hold them.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) enum Code {
    /// Not looked at yet; never in flash.
    Undecoded,
    /// An operation to take the careful way: it may span two pages.
    Careful,
    /// `d = n << imm`, imm 1 to 31.
    LslImm,
    /// `d = n >> imm`, imm 1 to 32.
    LsrImm,
    AsrImm,
    /// `d = n` with N and Z.
    Movs,
    AddReg,
    SubReg,
    AddImm,
    SubImm,
    MovImm,
    CmpImm,
    And,
    Eor,
    LslReg,
    LsrReg,
    AsrReg,
    Adc,
    Sbc,
    Ror,
    Tst,
    Rsb,
    CmpReg,
    Cmn,
    Orr,
    Mul,
    Bic,
    Mvn,
    /// `d = d + m` without flags.
    AddHigh,
    /// `d = m` without flags.
    MovHigh,
    /// Compares `n` with `m`, either of which may be the PC.
    CmpHigh,
    /// `sp = sp + m`.
    AddToSp,
    /// `sp = m`.
    MovToSp,
    /// `pc = pc + m`.
    AddToPc,
    /// `pc = m`.
    MovToPc,
    Bx,
    Blx,
    /// `d = imm` without flags: ADR.
    Adr,
    /// `d = n + imm` without flags.
    AddPlain,
    /// `d = word at imm`.
    LdrLiteral,
    /// The same, where the word changes with the code only: `d = imm`.
    Literal,
    LdrReg,
    LdrhReg,
    LdrbReg,
    LdrshReg,
    LdrsbReg,
    StrReg,
    StrhReg,
    StrbReg,
    LdrImm,
    LdrhImm,
    LdrbImm,
    StrImm,
    StrhImm,
    StrbImm,
    Sxth,
    Sxtb,
    Uxth,
    Uxtb,
    Rev,
    Rev16,
    Revsh,
    /// Stores the registers listed in imm (bit 14: LR) below SP.
    Push,
    /// Loads the registers listed in imm from SP up.
    Pop,
    /// The same, and then the PC.
    PopPc,
    /// Stores the registers listed in imm from `n` up, with write-back.
    Stm,
    /// Loads the registers listed in imm from `n` up; writes back unless `n` is listed.
    Ldm,
    /// Relative branches: imm slots from the next one.
    B,
    /// A branch to itself.
    BSelf,
    Beq,
    Bne,
    Bcs,
    Bcc,
    Bmi,
    Bpl,
    Bvs,
    Bvc,
    Bhi,
    Bls,
    Bge,
    Blt,
    Bgt,
    Ble,
    /// Two slots long; imm slots from the one after it.
    Bl,
    Nop,
    /// DSB, DMB or ISB: takes two slots and does nothing.
    Barrier,
    /// Pairs: the second is a branch, in the next slot, imm slots from the one after it.
    ///
    /// `n = n - m` with m a number, then BNE.
    SubImmBne,
    /// `n = n - 1`, then BNE to here.
    CountDown,
    /// Compares `n` with the number m, then BEQ.
    CmpImmBeq,
    CmpImmBne,
    /// Compares `n` with `m`, then BEQ.
    CmpRegBeq,
    CmpRegBne,
    /// Without flags, where those after it in the run set them before anybody looks.
    AddRegPlain,
    SubRegPlain,
    /// imm below 32.
    LslPlain,
    LsrPlain,
    AsrPlain,
    AndPlain,
    EorPlain,
    OrrPlain,
    BicPlain,
    MvnPlain,
    MulPlain,
    /// What follows needs more than registers and memory, and ends the fast loop.
    Undefined,
    Svc,
    Bkpt,
    /// CPS: masks interrupts if imm is 1.
    Cps,
    Wfi,
    Wfe,
    Sev,
    /// `d = special register imm`; two slots.
    Mrs,
    /// `special register imm = n`; two slots.
    Msr,
}

impl Op {
    pub(crate) const UNDECODED: Op = Op::new(Code::Undecoded, 0, 0, 0, 0);
    const UNDEFINED: Op = Op::new(Code::Undefined, 0, 0, 0, 0);

    const fn new(code: Code, d: u8, n: u8, m: u8, imm: u32) -> Op {
        Op { code, d, n, m, imm }
    }
}

impl Code {
    /// Whether what comes next is not, or not surely, the next slot; or the operation needs to know
    /// its own address.
    pub(crate) fn ends_run(self) -> bool {
        use Code::*;
        !matches!(
            self,
            LslImm
                | LsrImm
                | AsrImm
                | Movs
                | AddReg
                | SubReg
                | AddImm
                | SubImm
                | MovImm
                | CmpImm
                | And
                | Eor
                | LslReg
                | LsrReg
                | AsrReg
                | Adc
                | Sbc
                | Ror
                | Tst
                | Rsb
                | CmpReg
                | Cmn
                | Orr
                | Mul
                | Bic
                | Mvn
                | AddHigh
                | MovHigh
                | Adr
                | AddPlain
                | LdrLiteral
                | Literal
                | LdrReg
                | LdrhReg
                | LdrbReg
                | LdrshReg
                | LdrsbReg
                | StrReg
                | StrhReg
                | StrbReg
                | LdrImm
                | LdrhImm
                | LdrbImm
                | StrImm
                | StrhImm
                | StrbImm
                | Sxth
                | Sxtb
                | Uxth
                | Uxtb
                | Rev
                | Rev16
                | Revsh
                | Push
                | Pop
                | Stm
                | Ldm
                | Nop
        )
    }

    /// Of the flags that are looked at after it, those that are looked at before it: N and Z, C, V.
    fn flags_before(self, after: u8) -> u8 {
        use Code::*;
        match self {
            AddReg | SubReg | AddImm | SubImm | CmpImm | Rsb | CmpReg | Cmn => 0,
            Adc | Sbc => CARRY,
            LslImm | LsrImm | AsrImm => after & !(RESULT | CARRY),
            // By zero they leave the carry as it is.
            LslReg | LsrReg | AsrReg | Ror => after & !RESULT | CARRY,
            Movs | MovImm | And | Eor | Tst | Orr | Mul | Bic | Mvn => after & !RESULT,
            AddHigh | MovHigh | Adr | Literal | AddPlain | Sxth | Sxtb | Uxth | Uxtb | Rev
            | Rev16 | Revsh | Nop => after,
            // A branch, or an access that may fault.
            _ => RESULT | CARRY | OVERFLOW,
        }
    }
}

/// N and Z, which are always set together.
const RESULT: u8 = 1;
const CARRY: u8 = 2;
const OVERFLOW: u8 = 4;

/// Of an operation that loads or stores one value.
pub(crate) const ACCESS_CYCLES: u16 = 2;

impl Op {
    /// Cycles on a Cortex-M0 with zero wait states (Technical Reference Manual, 3.3); conditional
    /// branches as not taken, and nothing for what ends the loop.
    fn cycles(self) -> u16 {
        let registers = self.imm.count_ones() as u16;
        match self.code {
            Code::LdrLiteral | Code::Literal | Code::LdrReg | Code::LdrhReg => ACCESS_CYCLES,
            Code::LdrbReg => ACCESS_CYCLES,
            Code::LdrshReg | Code::LdrsbReg | Code::LdrImm | Code::LdrhImm => ACCESS_CYCLES,
            Code::LdrbImm | Code::StrReg | Code::StrhReg | Code::StrbReg => ACCESS_CYCLES,
            Code::StrImm | Code::StrhImm | Code::StrbImm => ACCESS_CYCLES,
            Code::Push | Code::Pop | Code::Stm | Code::Ldm => 1 + registers,
            Code::PopPc => 4 + registers,
            Code::AddToPc | Code::MovToPc | Code::Bx | Code::Blx | Code::B | Code::BSelf => 3,
            Code::Bl | Code::Barrier => 4,
            Code::Undecoded | Code::Careful | Code::Undefined | Code::Svc | Code::Bkpt => 0,
            Code::Cps | Code::Wfi | Code::Wfe | Code::Sev | Code::Mrs | Code::Msr => 0,
            _ => 1,
        }
    }

    /// This operation and the branch after it as one, if they often come together.
    fn pair_with(self, next: Op) -> Option<Op> {
        const BACK: u32 = 2_u32.wrapping_neg();
        let code = match (self.code, next.code) {
            (Code::SubImm, Code::Bne) if self.d == self.n && self.imm == 1 && next.imm == BACK => {
                Code::CountDown
            }
            (Code::SubImm, Code::Bne) if self.d == self.n => Code::SubImmBne,
            (Code::CmpImm, Code::Beq) => Code::CmpImmBeq,
            (Code::CmpImm, Code::Bne) => Code::CmpImmBne,
            (Code::CmpReg, Code::Beq) => Code::CmpRegBeq,
            (Code::CmpReg, Code::Bne) => Code::CmpRegBne,
            _ => return None,
        };
        let m = if self.code == Code::CmpReg {
            self.m
        } else {
            self.imm as u8
        };
        Some(Op::new(code, 0, self.n, m, next.imm))
    }
}

impl Op {
    /// This operation without the flags that nobody looks at afterwards.
    fn without_flags(self, looked_at: u8) -> Op {
        let Op { d, n, m, imm, .. } = self;
        let plain = |code| Op { code, ..self };
        match self.code {
            _ if looked_at & RESULT != 0 => self,
            Code::Movs => Op::new(Code::MovHigh, d, 0, n, 0),
            Code::MovImm => Op::new(Code::Adr, d, 0, 0, imm),
            Code::And => plain(Code::AndPlain),
            Code::Eor => plain(Code::EorPlain),
            Code::Orr => plain(Code::OrrPlain),
            Code::Bic => plain(Code::BicPlain),
            Code::Mvn => plain(Code::MvnPlain),
            Code::Mul => plain(Code::MulPlain),
            _ if looked_at & CARRY != 0 => self,
            Code::LslImm => plain(Code::LslPlain),
            Code::LsrImm if imm < 32 => plain(Code::LsrPlain),
            Code::AsrImm if imm < 32 => plain(Code::AsrPlain),
            _ if looked_at & OVERFLOW != 0 => self,
            Code::AddReg => plain(Code::AddRegPlain),
            Code::SubReg => plain(Code::SubRegPlain),
            Code::AddImm => plain(Code::AddPlain),
            Code::SubImm => Op::new(Code::AddPlain, d, n, m, imm.wrapping_neg()),
            _ => self,
        }
    }
}

/// A run: operations that are executed one after the other, up to the next branch.
#[derive(Clone, Copy, Debug, Hash, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Slots to its end, at least one.
    pub(crate) length: u16,
    /// Cycles to its end, its branch not taken.
    pub(crate) cycles: u16,
}

impl Run {
    pub(crate) const UNDECODED: Run = Run {
        length: 1,
        cycles: 0,
    };

    /// The run that starts with an operation, before the run that starts in the next slot.
    fn from(op: Op, next: Option<Run>) -> Run {
        let alone = Run {
            length: 1,
            cycles: op.cycles(),
        };
        match next {
            // What ends the loop costs nothing yet, and would not find the budget used up.
            Some(next) if !op.code.ends_run() && next.cycles > 0 => Run {
                length: 1 + next.length,
                cycles: alone.cycles + next.cycles,
            },
            _ => alone,
        }
    }
}

/// A single operation as a run.
pub(crate) fn alone(op: Op) -> Run {
    Run::from(op, None)
}

/// Whether a halfword is the first of a 32-bit instruction.
pub(crate) fn is_wide(half: u16) -> bool {
    half >= 0xe800
}

/// Slots of consecutive code.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Slots<const N: usize> {
    /// Operations as they are executed in a run.
    pub(crate) ops: [Op; N],
    /// The same, each complete in itself.
    pub(crate) exact: [Op; N],
    /// The runs that start at each slot.
    pub(crate) runs: [Run; N],
}

impl<const N: usize> Slots<N> {
    pub(crate) const UNDECODED: Slots<N> = Slots {
        ops: [Op::UNDECODED; N],
        exact: [Op::UNDECODED; N],
        runs: [Run::UNDECODED; N],
    };

    /// Takes up the operations of the slots in a range, the last of which ends its run.
    pub(crate) fn fill(&mut self, range: std::ops::Range<usize>, op: impl Fn(usize) -> Op) {
        let mut next: Option<(Op, Run)> = None;
        let mut looked_at = RESULT | CARRY | OVERFLOW;
        for slot in range.rev() {
            let op = op(slot);
            let run = Run::from(op, next.map(|(_, run)| run));
            self.exact[slot] = op;
            self.ops[slot] = match next.and_then(|(next, _)| op.pair_with(next)) {
                Some(pair) => pair,
                None => op.without_flags(looked_at),
            };
            self.runs[slot] = run;
            looked_at = op.code.flags_before(looked_at);
            next = Some((op, run));
        }
    }

    /// Forgets what is decoded in a range.
    pub(crate) fn clear(&mut self, range: std::ops::Range<usize>) {
        self.ops[range.clone()].fill(Op::UNDECODED);
        self.exact[range.clone()].fill(Op::UNDECODED);
        self.runs[range].fill(Run::UNDECODED);
    }
}

/// Decodes a whole page of flash whose first address is `base`.
pub(crate) fn page(words: &[u32; PAGE_WORDS], base: u32) -> Box<Slots<PAGE_SLOTS>> {
    let mut slots = Box::new(Slots::UNDECODED);
    slots.fill(0..PAGE_SLOTS, |slot| {
        let op = at(base + 2 * slot as u32, |ahead| {
            let word = words.get((slot + ahead) / 2)?;
            Some((word >> ((slot + ahead) % 2 * 16)) as u16)
        });
        match words.get((op.imm.wrapping_sub(base) / 4) as usize) {
            Some(word) if op.code == Code::LdrLiteral => Op::new(Code::Literal, op.d, 0, 0, *word),
            _ => op,
        }
    });
    slots
}

/// Decodes the instruction at `address`; `half(n)` is the n-th halfword from there, if it can be
/// seen.
pub(crate) fn at(address: u32, half: impl Fn(usize) -> Option<u16>) -> Op {
    let Some(first) = half(0) else {
        return Op::new(Code::Careful, 0, 0, 0, 0);
    };
    if is_wide(first) {
        match half(1) {
            Some(second) => wide(first, second),
            None => Op::new(Code::Careful, 0, 0, 0, 0),
        }
    } else {
        narrow(first, address)
    }
}

/// Decodes a 16-bit instruction at `address`.
pub(crate) fn narrow(half: u16, address: u32) -> Op {
    let bits = |low: u32, count: u32| ((half >> low) & ((1 << count) - 1)) as u8;
    let imm8 = u32::from(half & 0xff);
    let imm5 = u32::from(bits(6, 5));
    let (low0, low3, low6, low8) = (bits(0, 3), bits(3, 3), bits(6, 3), bits(8, 3));
    let high_d = bits(0, 3) | bits(7, 1) << 3;
    let high_m = bits(3, 4);
    let pc = address.wrapping_add(4);
    let op = Op::new;
    match half >> 11 {
        0b00000 if imm5 == 0 => op(Code::Movs, low0, low3, 0, 0),
        0b00000 => op(Code::LslImm, low0, low3, 0, imm5),
        0b00001 => op(
            Code::LsrImm,
            low0,
            low3,
            0,
            if imm5 == 0 { 32 } else { imm5 },
        ),
        0b00010 => op(
            Code::AsrImm,
            low0,
            low3,
            0,
            if imm5 == 0 { 32 } else { imm5 },
        ),
        0b00011 => match bits(9, 2) {
            0b00 => op(Code::AddReg, low0, low3, low6, 0),
            0b01 => op(Code::SubReg, low0, low3, low6, 0),
            0b10 => op(Code::AddImm, low0, low3, 0, u32::from(low6)),
            _ => op(Code::SubImm, low0, low3, 0, u32::from(low6)),
        },
        0b00100 => op(Code::MovImm, low8, 0, 0, imm8),
        0b00101 => op(Code::CmpImm, 0, low8, 0, imm8),
        0b00110 => op(Code::AddImm, low8, low8, 0, imm8),
        0b00111 => op(Code::SubImm, low8, low8, 0, imm8),
        0b01000 if half & 0x0400 == 0 => {
            let code = match bits(6, 4) {
                0 => Code::And,
                1 => Code::Eor,
                2 => Code::LslReg,
                3 => Code::LsrReg,
                4 => Code::AsrReg,
                5 => Code::Adc,
                6 => Code::Sbc,
                7 => Code::Ror,
                8 => Code::Tst,
                9 => Code::Rsb,
                10 => Code::CmpReg,
                11 => Code::Cmn,
                12 => Code::Orr,
                13 => Code::Mul,
                14 => Code::Bic,
                _ => Code::Mvn,
            };
            op(code, low0, low0, low3, 0)
        }
        0b01000 => match (bits(8, 2), high_d) {
            (0b00, 13) => op(Code::AddToSp, 13, 13, high_m, 0),
            (0b00, 15) => op(Code::AddToPc, 15, 15, high_m, 0),
            (0b00, _) if high_m == 15 => op(Code::AddPlain, high_d, high_d, 0, pc),
            (0b00, _) => op(Code::AddHigh, high_d, high_d, high_m, 0),
            (0b01, _) => op(Code::CmpHigh, 0, high_d, high_m, 0),
            (0b10, 13) => op(Code::MovToSp, 13, 0, high_m, 0),
            (0b10, 15) => op(Code::MovToPc, 15, 0, high_m, 0),
            (0b10, _) if high_m == 15 => op(Code::Adr, high_d, 0, 0, pc),
            (0b10, _) => op(Code::MovHigh, high_d, 0, high_m, 0),
            _ if half & 7 != 0 => Op::UNDEFINED,
            _ if half & 0x80 == 0 => op(Code::Bx, 0, 0, high_m, 0),
            _ => op(Code::Blx, 0, 0, high_m, 0),
        },
        0b01001 => op(Code::LdrLiteral, low8, 0, 0, pc_relative(address, imm8)),
        0b01010 | 0b01011 => {
            let code = match bits(9, 3) {
                0 => Code::StrReg,
                1 => Code::StrhReg,
                2 => Code::StrbReg,
                3 => Code::LdrsbReg,
                4 => Code::LdrReg,
                5 => Code::LdrhReg,
                6 => Code::LdrbReg,
                _ => Code::LdrshReg,
            };
            op(code, low0, low3, low6, 0)
        }
        0b01100 => op(Code::StrImm, low0, low3, 0, imm5 * 4),
        0b01101 => op(Code::LdrImm, low0, low3, 0, imm5 * 4),
        0b01110 => op(Code::StrbImm, low0, low3, 0, imm5),
        0b01111 => op(Code::LdrbImm, low0, low3, 0, imm5),
        0b10000 => op(Code::StrhImm, low0, low3, 0, imm5 * 2),
        0b10001 => op(Code::LdrhImm, low0, low3, 0, imm5 * 2),
        0b10010 => op(Code::StrImm, low8, 13, 0, imm8 * 4),
        0b10011 => op(Code::LdrImm, low8, 13, 0, imm8 * 4),
        0b10100 => op(Code::Adr, low8, 0, 0, pc_relative(address, imm8)),
        0b10101 => op(Code::AddPlain, low8, 13, 0, imm8 * 4),
        0b10110 | 0b10111 => miscellaneous(half),
        0b11000 if imm8 != 0 => op(Code::Stm, 0, low8, 0, imm8),
        0b11001 if imm8 != 0 => op(Code::Ldm, 0, low8, 0, imm8),
        0b11000 | 0b11001 => Op::UNDEFINED,
        0b11010 | 0b11011 => {
            let code = match bits(8, 4) {
                0 => Code::Beq,
                1 => Code::Bne,
                2 => Code::Bcs,
                3 => Code::Bcc,
                4 => Code::Bmi,
                5 => Code::Bpl,
                6 => Code::Bvs,
                7 => Code::Bvc,
                8 => Code::Bhi,
                9 => Code::Bls,
                10 => Code::Bge,
                11 => Code::Blt,
                12 => Code::Bgt,
                13 => Code::Ble,
                14 => return Op::UNDEFINED,
                _ => return op(Code::Svc, 0, 0, 0, imm8),
            };
            // The offset counts from four bytes on; a slot offset counts from the next slot.
            op(code, 0, 0, 0, (imm8 as u8 as i8 as i32 + 1) as u32)
        }
        0b11100 if half == 0xe7fe => op(Code::BSelf, 0, 0, 0, 0),
        _ => op(
            Code::B,
            0,
            0,
            0,
            (((half << 5) as i16 >> 5) as i32 + 1) as u32,
        ),
    }
}

fn pc_relative(address: u32, words: u32) -> u32 {
    (address.wrapping_add(4) & !3).wrapping_add(words * 4)
}

/// Decodes `1011 xxxx xxxx xxxx`.
fn miscellaneous(half: u16) -> Op {
    let op = Op::new;
    let (d, m) = ((half & 7) as u8, (half >> 3 & 7) as u8);
    let list = u32::from(half & 0xff);
    match half >> 6 & 0x3f {
        0b000000 | 0b000001 => op(Code::AddPlain, 13, 13, 0, u32::from(half & 0x7f) * 4),
        0b000010 | 0b000011 => op(
            Code::AddPlain,
            13,
            13,
            0,
            (u32::from(half & 0x7f) * 4).wrapping_neg(),
        ),
        0b001000 => op(Code::Sxth, d, 0, m, 0),
        0b001001 => op(Code::Sxtb, d, 0, m, 0),
        0b001010 => op(Code::Uxth, d, 0, m, 0),
        0b001011 => op(Code::Uxtb, d, 0, m, 0),
        0b010000..=0b010111 => {
            let list = list | u32::from(half >> 8 & 1) << 14;
            if list == 0 {
                Op::UNDEFINED
            } else {
                op(Code::Push, 0, 13, 0, list)
            }
        }
        // Of the flags that CPS may name only I exists here.
        0b011001 if half & 0x2e == 0x22 => op(Code::Cps, 0, 0, 0, u32::from(half >> 4 & 1)),
        0b011001 if half & 0x2e == 0x20 => op(Code::Nop, 0, 0, 0, 0),
        0b101000 => op(Code::Rev, d, 0, m, 0),
        0b101001 => op(Code::Rev16, d, 0, m, 0),
        0b101011 => op(Code::Revsh, d, 0, m, 0),
        0b110000..=0b110011 if list != 0 => op(Code::Pop, 0, 13, 0, list),
        0b110100..=0b110111 => op(Code::PopPc, 0, 13, 0, list),
        0b111000..=0b111011 => op(Code::Bkpt, 0, 0, 0, list),
        0b111100..=0b111111 if half & 0xf == 0 => match half >> 4 & 0xf {
            2 => op(Code::Wfe, 0, 0, 0, 0),
            3 => op(Code::Wfi, 0, 0, 0, 0),
            4 => op(Code::Sev, 0, 0, 0, 0),
            _ => op(Code::Nop, 0, 0, 0, 0),
        },
        _ => Op::UNDEFINED,
    }
}

/// Decodes a 32-bit instruction.
pub(crate) fn wide(first: u16, second: u16) -> Op {
    let op = Op::new;
    if first & 0xf800 == 0xf000 && second & 0xd000 == 0xd000 {
        let sign = u32::from(first >> 10 & 1);
        let i1 = u32::from(second >> 13 & 1) ^ sign ^ 1;
        let i2 = u32::from(second >> 11 & 1) ^ sign ^ 1;
        let offset = sign << 24
            | i1 << 23
            | i2 << 22
            | u32::from(first & 0x3ff) << 12
            | u32::from(second & 0x7ff) << 1;
        let offset = (offset << 7) as i32 >> 7;
        return op(Code::Bl, 0, 0, 0, (offset >> 1) as u32);
    }
    let special = u32::from(second & 0xff);
    match first {
        // What becomes of the PC here is UNPREDICTABLE, and nobody measured it.
        0xf3ef if second & 0xf000 == 0x8000 && second & 0xf00 != 0xf00 => {
            op(Code::Mrs, (second >> 8 & 0xf) as u8, 0, 0, special)
        }
        // Bit 11 selects the flags; without it a write to APSR writes nothing.
        0xf380..=0xf38e if second & 0xf300 == 0x8000 => {
            let number = if second & 0x800 == 0 && special < 4 {
                NO_SPECIAL
            } else {
                special
            };
            op(Code::Msr, 0, (first & 0xf) as u8, 0, number)
        }
        // DSB, DMB and ISB with any option.
        0xf3bf if matches!(second & 0xfff0, 0x8f40 | 0x8f50 | 0x8f60) => {
            op(Code::Barrier, 0, 0, 0, 0)
        }
        _ => Op::UNDEFINED,
    }
}

#[cfg(test)]
mod tests;
