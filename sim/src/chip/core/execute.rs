//! The execution loop: runs decoded operations against a bus until a cycle budget is used up or
//! something comes that registers and plain memory do not settle.
//!
//! One loop serves twice. Over the fast bus (RAM and idle flash) it runs whole stretches of code;
//! what that bus refuses is left undone, and the same loop runs that one operation again over the
//! full bus. So an operation must change nothing before its last access is granted, except that
//! stores may be repeated.

use super::decode::{Code, Op};

/// Registers and flags, in the form the loop wants them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registers {
    /// R0 to R12, the current stack pointer, LR, and the address of the next instruction.
    pub(crate) r: [u32; 16],
    /// N is the top bit.
    pub(crate) n: u32,
    /// Z is set if this is zero.
    pub(crate) z: u32,
    pub(crate) c: bool,
    /// V is the top bit.
    pub(crate) v: u32,
    /// EPSR.T; without it the next instruction faults.
    pub(crate) thumb: bool,
}

impl Registers {
    /// N, Z, C and V in bits 31 to 28.
    pub(crate) fn apsr(&self) -> u32 {
        (self.n & 1 << 31)
            | u32::from(self.z == 0) << 30
            | u32::from(self.c) << 29
            | (self.v >> 31) << 28
    }

    pub(crate) fn set_apsr(&mut self, value: u32) {
        self.n = value;
        self.z = u32::from(value & 1 << 30 == 0);
        self.c = value & 1 << 29 != 0;
        self.v = value << 3;
    }
}

/// What data accesses and instruction fetches go to.
///
/// A load or store returns nothing (`None`, `false`) if this bus cannot do it; it has then had no
/// effect. Addresses may be unaligned and anywhere.
pub(crate) trait Bus<'code> {
    /// The decoded slots around an address and the address of the first, if this bus can run
    /// code there.
    fn code(&self, address: u32) -> Option<(&'code [Op], u32)>;
    fn load32(&mut self, address: u32) -> Option<u32>;
    fn load16(&mut self, address: u32) -> Option<u32>;
    fn load8(&mut self, address: u32) -> Option<u32>;
    fn store32(&mut self, address: u32, value: u32) -> bool;
    fn store16(&mut self, address: u32, value: u32) -> bool;
    fn store8(&mut self, address: u32, value: u32) -> bool;
}

/// Why the loop ended. Unless said otherwise R15 is the address of the next instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The budget is used up.
    Budget,
    /// The bus refused an access of the operation at R15, or to fetch there; nothing was done.
    Refused,
    /// The operation at R15 is not decoded yet.
    Undecoded,
    /// The operation at R15 needs more than registers and memory; nothing was done.
    Special(Op),
    /// A BX or POP was done whose target may be an exception return; R15 is unchanged.
    Return(u32),
}

/// From here on a branch target may mean an exception return.
const RETURNS: u32 = 0xf000_0000;

/// Runs from R15 in `code` (whose first slot is at `base`) until `left` cycles are used up, counting
/// them down, or something else ends the loop. At least one operation is tried.
#[inline(always)]
pub(crate) fn execute<'code, B: Bus<'code>>(
    registers: &mut Registers,
    bus: &mut B,
    (mut code, mut base): (&'code [Op], u32),
    left: &mut i64,
) -> Exit {
    // Locals, so that flags and counters live in machine registers.
    let Registers {
        mut r,
        mut n,
        mut z,
        mut c,
        mut v,
        mut thumb,
    } = *registers;
    let mut cycles = *left;
    // The slot after the one being executed; wraps around for targets before `base`.
    let mut index = r[15].wrapping_sub(base) >> 1;

    macro_rules! r {
        ($register:expr) => {
            r[($register & 15) as usize]
        };
    }
    macro_rules! leave {
        ($exit:expr) => {{
            index = index.wrapping_sub(1);
            break $exit;
        }};
    }
    macro_rules! need {
        ($access:expr) => {
            match $access {
                Some(value) => value,
                None => leave!(Exit::Refused),
            }
        };
    }
    macro_rules! must {
        ($access:expr) => {
            if !$access {
                leave!(Exit::Refused)
            }
        };
    }
    macro_rules! nz {
        ($value:expr) => {{
            let value: u32 = $value;
            n = value;
            z = value;
            value
        }};
    }
    // a + b + carry; subtraction is addition of the complement.
    macro_rules! add {
        ($a:expr, $b:expr) => {{
            let (a, b): (u32, u32) = ($a, $b);
            let (sum, carry) = a.overflowing_add(b);
            c = carry;
            v = (a ^ sum) & (b ^ sum);
            nz!(sum)
        }};
    }
    macro_rules! sub {
        ($a:expr, $b:expr) => {{
            let (a, b): (u32, u32) = ($a, $b);
            let difference = a.wrapping_sub(b);
            c = a >= b;
            v = (a ^ b) & (a ^ difference);
            nz!(difference)
        }};
    }
    macro_rules! add_carry {
        ($a:expr, $b:expr) => {{
            let (a, b): (u32, u32) = ($a, $b);
            let wide = u64::from(a) + u64::from(b) + u64::from(c);
            let sum = wide as u32;
            c = wide >> 32 != 0;
            v = (a ^ sum) & (b ^ sum);
            nz!(sum)
        }};
    }
    macro_rules! next_address {
        () => {
            base.wrapping_add(index.wrapping_mul(2))
        };
    }
    // The PC as an operand is four bytes past the instruction.
    macro_rules! operand {
        ($register:expr) => {{
            r[15] = next_address!().wrapping_add(2);
            r!($register)
        }};
    }
    macro_rules! jump {
        ($target:expr) => {
            index = u32::wrapping_sub($target, base) >> 1
        };
    }
    macro_rules! branch {
        ($op:expr, $condition:expr) => {
            if $condition {
                index = index.wrapping_add($op.imm).wrapping_sub(0);
                3
            } else {
                1
            }
        };
    }

    let exit = loop {
        let Some(&op) = code.get(index as usize) else {
            let address = next_address!();
            match bus.code(address) {
                Some((slots, first)) => {
                    code = slots;
                    base = first;
                    index = address.wrapping_sub(first) >> 1;
                    continue;
                }
                None => break Exit::Refused,
            }
        };
        index = index.wrapping_add(1);
        let cost: i64 = match op.code {
            Code::Movs => {
                r!(op.d) = nz!(r!(op.n));
                1
            }
            Code::LslImm => {
                let value = r!(op.n);
                let shift = op.imm & 31;
                c = value.wrapping_shl(shift.wrapping_sub(1)) >> 31 != 0;
                r!(op.d) = nz!(value << shift);
                1
            }
            Code::LsrImm => {
                let value = u64::from(r!(op.n));
                c = (value >> ((op.imm - 1) & 31)) & 1 != 0;
                r!(op.d) = nz!((value >> (op.imm & 63)) as u32);
                1
            }
            Code::AsrImm => {
                let value = i64::from(r!(op.n) as i32);
                c = (value >> ((op.imm - 1) & 31)) & 1 != 0;
                r!(op.d) = nz!((value >> (op.imm & 63)) as u32);
                1
            }
            Code::AddReg => {
                r!(op.d) = add!(r!(op.n), r!(op.m));
                1
            }
            Code::SubReg => {
                r!(op.d) = sub!(r!(op.n), r!(op.m));
                1
            }
            Code::AddImm => {
                r!(op.d) = add!(r!(op.n), op.imm);
                1
            }
            Code::SubImm => {
                r!(op.d) = sub!(r!(op.n), op.imm);
                1
            }
            Code::MovImm => {
                r!(op.d) = nz!(op.imm);
                1
            }
            Code::CmpImm => {
                sub!(r!(op.n), op.imm);
                1
            }
            Code::And => {
                r!(op.d) = nz!(r!(op.n) & r!(op.m));
                1
            }
            Code::Eor => {
                r!(op.d) = nz!(r!(op.n) ^ r!(op.m));
                1
            }
            Code::LslReg => {
                let value = u64::from(r!(op.n));
                let shift = r!(op.m) & 0xff;
                // Bit 32 is the last bit shifted out; 63 stands for everything longer.
                let shifted = value << shift.min(63);
                if shift != 0 {
                    c = shifted >> 32 & 1 != 0;
                }
                r!(op.d) = nz!(shifted as u32);
                1
            }
            Code::LsrReg => {
                let value = u64::from(r!(op.n)) << 1;
                let shift = r!(op.m) & 0xff;
                let shifted = value >> shift.min(63);
                if shift != 0 {
                    c = shifted & 1 != 0;
                }
                r!(op.d) = nz!((shifted >> 1) as u32);
                1
            }
            Code::AsrReg => {
                let value = i64::from(r!(op.n) as i32) << 1;
                let shift = r!(op.m) & 0xff;
                let shifted = value >> shift.min(63);
                if shift != 0 {
                    c = shifted & 1 != 0;
                }
                r!(op.d) = nz!((shifted >> 1) as u32);
                1
            }
            Code::Ror => {
                let shift = r!(op.m) & 0xff;
                let value = r!(op.n).rotate_right(shift & 31);
                if shift != 0 {
                    c = value >> 31 != 0;
                }
                r!(op.d) = nz!(value);
                1
            }
            Code::Adc => {
                r!(op.d) = add_carry!(r!(op.n), r!(op.m));
                1
            }
            Code::Sbc => {
                r!(op.d) = add_carry!(r!(op.n), !r!(op.m));
                1
            }
            Code::Tst => {
                nz!(r!(op.n) & r!(op.m));
                1
            }
            Code::Rsb => {
                r!(op.d) = sub!(0, r!(op.m));
                1
            }
            Code::CmpReg => {
                sub!(r!(op.n), r!(op.m));
                1
            }
            Code::Cmn => {
                add!(r!(op.n), r!(op.m));
                1
            }
            Code::Orr => {
                r!(op.d) = nz!(r!(op.n) | r!(op.m));
                1
            }
            Code::Mul => {
                r!(op.d) = nz!(r!(op.n).wrapping_mul(r!(op.m)));
                1
            }
            Code::Bic => {
                r!(op.d) = nz!(r!(op.n) & !r!(op.m));
                1
            }
            Code::Mvn => {
                r!(op.d) = nz!(!r!(op.m));
                1
            }
            Code::AddHigh => {
                let value = operand!(op.m);
                r!(op.d) = r!(op.d).wrapping_add(value);
                1
            }
            Code::MovHigh => {
                r!(op.d) = operand!(op.m);
                1
            }
            Code::CmpHigh => {
                let value = operand!(op.m);
                sub!(r!(op.n), value);
                1
            }
            Code::AddToSp => {
                r[13] = r[13].wrapping_add(operand!(op.m)) & !3;
                1
            }
            Code::MovToSp => {
                r[13] = operand!(op.m) & !3;
                1
            }
            Code::AddToPc => {
                let value = operand!(op.m);
                jump!(r[15].wrapping_add(value));
                3
            }
            Code::MovToPc => {
                let value = operand!(op.m);
                jump!(value);
                3
            }
            Code::Bx => {
                let target = operand!(op.m);
                if target >= RETURNS {
                    index = index.wrapping_sub(1);
                    cycles -= 3;
                    break Exit::Return(target);
                }
                jump!(target);
                if target & 1 == 0 {
                    thumb = false;
                    cycles -= 3;
                    break Exit::Budget;
                }
                3
            }
            Code::Blx => {
                let target = operand!(op.m);
                r[14] = next_address!() | 1;
                jump!(target);
                if target & 1 == 0 {
                    thumb = false;
                    cycles -= 3;
                    break Exit::Budget;
                }
                3
            }
            Code::Adr => {
                r!(op.d) = op.imm;
                1
            }
            Code::AddPlain => {
                r!(op.d) = r!(op.n).wrapping_add(op.imm);
                1
            }
            Code::LdrLiteral => {
                r!(op.d) = need!(bus.load32(op.imm));
                2
            }
            Code::LdrReg => {
                r!(op.d) = need!(bus.load32(r!(op.n).wrapping_add(r!(op.m))));
                2
            }
            Code::LdrhReg => {
                r!(op.d) = need!(bus.load16(r!(op.n).wrapping_add(r!(op.m))));
                2
            }
            Code::LdrbReg => {
                r!(op.d) = need!(bus.load8(r!(op.n).wrapping_add(r!(op.m))));
                2
            }
            Code::LdrshReg => {
                let value = need!(bus.load16(r!(op.n).wrapping_add(r!(op.m))));
                r!(op.d) = value as i16 as u32;
                2
            }
            Code::LdrsbReg => {
                let value = need!(bus.load8(r!(op.n).wrapping_add(r!(op.m))));
                r!(op.d) = value as i8 as u32;
                2
            }
            Code::StrReg => {
                must!(bus.store32(r!(op.n).wrapping_add(r!(op.m)), r!(op.d)));
                2
            }
            Code::StrhReg => {
                must!(bus.store16(r!(op.n).wrapping_add(r!(op.m)), r!(op.d)));
                2
            }
            Code::StrbReg => {
                must!(bus.store8(r!(op.n).wrapping_add(r!(op.m)), r!(op.d)));
                2
            }
            Code::LdrImm => {
                r!(op.d) = need!(bus.load32(r!(op.n).wrapping_add(op.imm)));
                2
            }
            Code::LdrhImm => {
                r!(op.d) = need!(bus.load16(r!(op.n).wrapping_add(op.imm)));
                2
            }
            Code::LdrbImm => {
                r!(op.d) = need!(bus.load8(r!(op.n).wrapping_add(op.imm)));
                2
            }
            Code::StrImm => {
                must!(bus.store32(r!(op.n).wrapping_add(op.imm), r!(op.d)));
                2
            }
            Code::StrhImm => {
                must!(bus.store16(r!(op.n).wrapping_add(op.imm), r!(op.d)));
                2
            }
            Code::StrbImm => {
                must!(bus.store8(r!(op.n).wrapping_add(op.imm), r!(op.d)));
                2
            }
            Code::Sxth => {
                r!(op.d) = r!(op.m) as i16 as u32;
                1
            }
            Code::Sxtb => {
                r!(op.d) = r!(op.m) as i8 as u32;
                1
            }
            Code::Uxth => {
                r!(op.d) = r!(op.m) & 0xffff;
                1
            }
            Code::Uxtb => {
                r!(op.d) = r!(op.m) & 0xff;
                1
            }
            Code::Rev => {
                r!(op.d) = r!(op.m).swap_bytes();
                1
            }
            Code::Rev16 => {
                r!(op.d) = r!(op.m).swap_bytes().rotate_left(16);
                1
            }
            Code::Revsh => {
                r!(op.d) = (r!(op.m) as u16).swap_bytes() as i16 as u32;
                1
            }
            Code::Push => {
                let count = op.imm.count_ones();
                let bottom = r[13].wrapping_sub(4 * count);
                let mut address = bottom;
                let mut list = op.imm;
                let mut granted = true;
                while list != 0 {
                    granted &= bus.store32(address, r!(list.trailing_zeros()));
                    address = address.wrapping_add(4);
                    list &= list - 1;
                }
                must!(granted);
                r[13] = bottom;
                i64::from(1 + count)
            }
            Code::Stm => {
                let mut address = r!(op.n);
                let mut list = op.imm;
                let mut granted = true;
                while list != 0 {
                    granted &= bus.store32(address, r!(list.trailing_zeros()));
                    address = address.wrapping_add(4);
                    list &= list - 1;
                }
                must!(granted);
                r!(op.n) = address;
                i64::from(1 + op.imm.count_ones())
            }
            Code::Pop | Code::Ldm => {
                let mut address = r!(op.n);
                let mut list = op.imm;
                // The base may be among the loaded registers, and any load may be refused.
                let mut loaded = r;
                let mut granted = true;
                while list != 0 {
                    match bus.load32(address) {
                        Some(value) => loaded[(list.trailing_zeros() & 15) as usize] = value,
                        None => granted = false,
                    }
                    address = address.wrapping_add(4);
                    list &= list - 1;
                }
                must!(granted);
                r = loaded;
                if op.imm >> op.n & 1 == 0 {
                    r!(op.n) = address;
                }
                i64::from(1 + op.imm.count_ones())
            }
            Code::PopPc => {
                let mut address = r[13];
                let mut list = op.imm;
                let mut loaded = r;
                let mut granted = true;
                while list != 0 {
                    match bus.load32(address) {
                        Some(value) => loaded[(list.trailing_zeros() & 15) as usize] = value,
                        None => granted = false,
                    }
                    address = address.wrapping_add(4);
                    list &= list - 1;
                }
                let target = bus.load32(address);
                must!(granted);
                let target = need!(target);
                r = loaded;
                r[13] = address.wrapping_add(4);
                let cost = i64::from(4 + op.imm.count_ones());
                if target >= RETURNS {
                    index = index.wrapping_sub(1);
                    cycles -= cost;
                    break Exit::Return(target);
                }
                jump!(target);
                if target & 1 == 0 {
                    thumb = false;
                    cycles -= cost;
                    break Exit::Budget;
                }
                cost
            }
            Code::B => {
                index = index.wrapping_add(op.imm);
                3
            }
            Code::Beq => branch!(op, z == 0),
            Code::Bne => branch!(op, z != 0),
            Code::Bcs => branch!(op, c),
            Code::Bcc => branch!(op, !c),
            Code::Bmi => branch!(op, (n as i32) < 0),
            Code::Bpl => branch!(op, (n as i32) >= 0),
            Code::Bvs => branch!(op, (v as i32) < 0),
            Code::Bvc => branch!(op, (v as i32) >= 0),
            Code::Bhi => branch!(op, c && z != 0),
            Code::Bls => branch!(op, !c || z == 0),
            Code::Bge => branch!(op, ((n ^ v) as i32) >= 0),
            Code::Blt => branch!(op, ((n ^ v) as i32) < 0),
            Code::Bgt => branch!(op, z != 0 && ((n ^ v) as i32) >= 0),
            Code::Ble => branch!(op, z == 0 || ((n ^ v) as i32) < 0),
            Code::Bl => {
                index = index.wrapping_add(1);
                r[14] = next_address!() | 1;
                index = index.wrapping_add(op.imm);
                4
            }
            Code::Nop => {
                index = index.wrapping_add(u32::from(op.n) - 1);
                i64::from(op.d)
            }
            Code::Undecoded => leave!(Exit::Undecoded),
            Code::Careful => leave!(Exit::Refused),
            Code::Undefined
            | Code::Svc
            | Code::Bkpt
            | Code::Cps
            | Code::Wfi
            | Code::Wfe
            | Code::Sev
            | Code::Mrs
            | Code::Msr => leave!(Exit::Special(op)),
        };
        cycles -= cost;
        if cycles <= 0 {
            break Exit::Budget;
        }
    };
    r[15] = base.wrapping_add(index.wrapping_mul(2));
    *registers = Registers {
        r,
        n,
        z,
        c,
        v,
        thumb,
    };
    *left = cycles;
    exit
}
