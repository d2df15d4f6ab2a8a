//! The execution loop: runs decoded operations against a bus until a cycle budget is used up or
//! something comes that registers and plain memory do not settle.
//!
//! One loop serves twice. Over the fast bus (RAM, idle flash, and registers of peripherals as far as
//! nothing else has to be looked at) it runs whole stretches of code; what that bus refuses is left
//! undone, and the same loop runs that one operation again over the full bus. So an operation must
//! change nothing before its last access is granted, except that stores may be repeated.

use super::decode::{ACCESS_CYCLES, Code, Op, Run};

/// Registers and flags, in the form the loop wants them.
#[derive(Clone, Debug, Hash, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    /// R0 to R12, the current stack pointer, LR, and the address of the next instruction.
    pub(crate) r: [u32; 16],
    /// The last result: Z is set if the lower half is zero, N if bit 31 is set, or bit 32 where
    /// both flags are.
    pub(crate) nz: u64,
    pub(crate) c: bool,
    /// V is the top bit.
    pub(crate) v: u32,
    /// EPSR.T; without it the next instruction faults.
    pub(crate) thumb: bool,
}

impl Registers {
    /// N, Z, C and V in bits 31 to 28.
    pub(crate) fn apsr(&self) -> u32 {
        u32::from(self.nz & NEGATIVE != 0) << 31
            | u32::from(self.nz as u32 == 0) << 30
            | u32::from(self.c) << 29
            | (self.v >> 31) << 28
    }

    pub(crate) fn set_apsr(&mut self, value: u32) {
        let (negative, zero) = (value & 1 << 31 != 0, value & 1 << 30 != 0);
        self.nz = u64::from(negative) << 32 | u64::from(!zero);
        self.c = value & 1 << 29 != 0;
        self.v = value << 3;
    }
}

const NEGATIVE: u64 = 0x1_8000_0000;

/// What data accesses and instruction fetches go to.
///
/// A load or store of 1, 2 or 4 bytes returns nothing (`None`, `false`) if this bus cannot do it; it
/// has then had no effect. Addresses may be unaligned and anywhere.
pub(crate) trait Bus<'code> {
    /// The decoded code around an address, if this bus can run code there.
    fn code(&self, address: u32) -> Option<Stretch<'code>>;
    fn load<const BYTES: u32>(&mut self, address: u32) -> Option<u32>;
    fn store<const BYTES: u32>(&mut self, address: u32, value: u32) -> bool;

    /// A load that was refused, by an operation that loads nothing else and at whose beginning so many
    /// cycles are `left`. The bus may lower them: the loop ends after the operation that uses them up.
    fn load_at<const BYTES: u32>(&mut self, _address: u32, _left: &mut i64) -> Option<u32> {
        None
    }

    /// A store that was refused, likewise.
    fn store_at<const BYTES: u32>(
        &mut self,
        _address: u32,
        _value: u32,
        _left: &mut i64,
    ) -> Option<()> {
        None
    }

    /// Whether [`Bus::branched`] wants to be told.
    const FOLLOWS_BRANCHES: bool = false;

    /// The branch at the first address led to the second.
    fn branched(&mut self, _from: u32, _to: u32) {}
}

impl<'code, B: Bus<'code>> Bus<'code> for &mut B {
    fn code(&self, address: u32) -> Option<Stretch<'code>> {
        (**self).code(address)
    }

    fn load<const BYTES: u32>(&mut self, address: u32) -> Option<u32> {
        (**self).load::<BYTES>(address)
    }

    fn store<const BYTES: u32>(&mut self, address: u32, value: u32) -> bool {
        (**self).store::<BYTES>(address, value)
    }
}

/// Decoded code from one address on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch<'code> {
    /// The address of the first slot.
    pub(crate) base: u32,
    /// An operation for each slot, which may leave to those after it in its run what they do.
    pub(crate) ops: &'code [Op],
    /// An operation for each slot, complete in itself; as many.
    pub(crate) exact: &'code [Op],
    /// For each slot, the run that starts there; as many as operations.
    pub(crate) runs: &'code [Run],
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
    Special,
    /// A BX or POP was done whose target may be an exception return; R15 is unchanged.
    Return(u32),
}

/// From here on a branch target may mean an exception return.
const RETURNS: u32 = 0xf000_0000;

/// Runs from R15 in `code` until `left` cycles are used up, counting them down, or something else
/// ends the loop. At least one operation is tried. The bus is taken and given back, so that what it
/// is made of does not have to be looked up for each operation.
///
/// Code is executed in runs: operations up to and including the next branch, whose cycles are charged
/// at once. Where a run costs more than is left, its first operation is executed alone.
// Kept apart, so that the loop has the machine registers for itself.
#[inline(never)]
pub(crate) fn execute<'code, B: Bus<'code>>(
    registers: &mut Registers,
    bus: impl FnOnce() -> B,
    code: Stretch<'code>,
    left: &mut i64,
) -> (Exit, B) {
    // Locals, so that flags and counters live in machine registers.
    let Registers {
        ref mut r,
        mut nz,
        mut c,
        mut v,
        mut thumb,
    } = *registers;
    let Stretch {
        mut base,
        mut ops,
        mut exact,
        mut runs,
    } = code;
    let mut bus = bus();
    let mut cycles = *left;
    // The slot after the run being executed; wraps around for targets before `base`.
    let mut index = r[15].wrapping_sub(base) >> 1;

    macro_rules! r {
        ($register:expr) => {
            r[($register & 15) as usize]
        };
    }
    macro_rules! nz {
        ($value:expr) => {{
            let value: u32 = $value;
            nz = u64::from(value);
            value
        }};
    }
    macro_rules! negative {
        () => {
            (nz & NEGATIVE != 0)
        };
    }
    macro_rules! zero {
        () => {
            (nz as u32 == 0)
        };
    }
    macro_rules! overflow {
        () => {
            ((v as i32) < 0)
        };
    }
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
    // The PC as an operand is four bytes past the instruction, which is the last of its run.
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
    // A run's cycles count a conditional branch as not taken.
    macro_rules! branch {
        ($op:expr, $condition:expr) => {
            if $condition {
                index = index.wrapping_add($op.imm);
                cycles -= 2;
            }
        };
    }

    let exit = 'runs: loop {
        let Some(&run) = runs.get(index as usize) else {
            let address = next_address!();
            match bus.code(address) {
                Some(stretch) => {
                    Stretch {
                        base,
                        ops,
                        exact,
                        runs,
                    } = stretch;
                    index = address.wrapping_sub(base) >> 1;
                    continue;
                }
                None => break Exit::Refused,
            }
        };
        let start = index as usize;
        let mut cost = i64::from(run.cycles);
        let run = if cost <= cycles {
            &ops[start..start + usize::from(run.length)]
        } else {
            if run.length > 1 {
                cost -= i64::from(runs[start + 1].cycles);
            }
            &exact[start..start + 1]
        };
        // A short loop is a run that leads to itself.
        loop {
            cycles -= cost;
            index = index.wrapping_add(run.len() as u32);
            for op in run {
                // The slot of this operation.
                macro_rules! slot {
                    () => {{
                        // Counting operations in the loop would slow all of them down.
                        let undone = run.as_ptr_range().end.addr() - std::ptr::from_ref(op).addr();
                        index.wrapping_sub((undone / size_of::<Op>()) as u32)
                    }};
                }
                // What was charged for this operation and those after it in its run: where one operation
                // is tried alone, no more than for that.
                macro_rules! charged {
                    ($slot:expr) => {
                        cost.min(i64::from(runs[$slot as usize].cycles))
                    };
                }
                // Ends the loop before this operation, which was not done.
                macro_rules! leave {
                    ($exit:expr) => {{
                        index = slot!();
                        cycles += charged!(index);
                        break 'runs $exit;
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
                // An access to which it matters when it happens. The run ends after it.
                macro_rules! apart {
                    (|$left:ident| $access:expr) => {{
                        let slot = slot!();
                        let mut $left = cycles + charged!(slot);
                        let granted = need!($access);
                        index = slot.wrapping_add(1);
                        cycles = $left - i64::from(ACCESS_CYCLES);
                        granted
                    }};
                }
                macro_rules! load {
                    ($bytes:literal, $address:expr, $extended:expr) => {{
                        let address: u32 = $address;
                        match bus.load::<$bytes>(address) {
                            Some(value) => r!(op.d) = $extended(value),
                            None => {
                                let value =
                                    apart!(|left| bus.load_at::<$bytes>(address, &mut left));
                                r!(op.d) = $extended(value);
                                break;
                            }
                        }
                    }};
                }
                macro_rules! store {
                    ($bytes:literal, $address:expr) => {{
                        let (address, value): (u32, u32) = ($address, r!(op.d));
                        if !bus.store::<$bytes>(address, value) {
                            apart!(|left| bus.store_at::<$bytes>(address, value, &mut left));
                            break;
                        }
                    }};
                }
                // A branch to what a register or the stack says; an even target leaves Thumb state.
                macro_rules! interwork {
                    ($target:expr) => {{
                        let target: u32 = $target;
                        jump!(target);
                        if target & 1 == 0 {
                            thumb = false;
                            break 'runs Exit::Budget;
                        }
                    }};
                }
                macro_rules! store_many {
                    ($address:expr, $list:expr) => {{
                        let mut address: u32 = $address;
                        let mut list: u32 = $list;
                        let mut granted = true;
                        while list != 0 {
                            granted &= bus.store::<4>(address, r!(list.trailing_zeros()));
                            address = address.wrapping_add(4);
                            list &= list - 1;
                        }
                        must!(granted);
                        address
                    }};
                }
                // The base may be among the registers, and any load may be refused.
                macro_rules! load_many {
                    ($address:expr, $list:expr) => {{
                        let mut address: u32 = $address;
                        let mut list: u32 = $list;
                        let mut loaded = [0; 16];
                        let mut granted = true;
                        while list != 0 {
                            match bus.load::<4>(address) {
                                Some(value) => {
                                    loaded[(list.trailing_zeros() & 15) as usize] = value
                                }
                                None => granted = false,
                            }
                            address = address.wrapping_add(4);
                            list &= list - 1;
                        }
                        must!(granted);
                        (address, loaded)
                    }};
                }
                macro_rules! take_many {
                    ($loaded:ident, $list:expr) => {
                        let mut list: u32 = $list;
                        while list != 0 {
                            r!(list.trailing_zeros()) =
                                $loaded[(list.trailing_zeros() & 15) as usize];
                            list &= list - 1;
                        }
                    };
                }
                match op.code {
                    Code::Movs => {
                        r!(op.d) = nz!(r!(op.n));
                    }
                    Code::LslImm => {
                        let value = r!(op.n);
                        let shift = op.imm & 31;
                        c = value.wrapping_shl(shift.wrapping_sub(1)) >> 31 != 0;
                        r!(op.d) = nz!(value << shift);
                    }
                    Code::LsrImm => {
                        let value = u64::from(r!(op.n));
                        c = (value >> ((op.imm - 1) & 31)) & 1 != 0;
                        r!(op.d) = nz!((value >> (op.imm & 63)) as u32);
                    }
                    Code::AsrImm => {
                        let value = i64::from(r!(op.n) as i32);
                        c = (value >> ((op.imm - 1) & 31)) & 1 != 0;
                        r!(op.d) = nz!((value >> (op.imm & 63)) as u32);
                    }
                    Code::AddReg => {
                        r!(op.d) = add!(r!(op.n), r!(op.m));
                    }
                    Code::SubReg => {
                        r!(op.d) = sub!(r!(op.n), r!(op.m));
                    }
                    Code::AddImm => {
                        r!(op.d) = add!(r!(op.n), op.imm);
                    }
                    Code::SubImm => {
                        r!(op.d) = sub!(r!(op.n), op.imm);
                    }
                    Code::MovImm => {
                        r!(op.d) = nz!(op.imm);
                    }
                    Code::CmpImm => {
                        sub!(r!(op.n), op.imm);
                    }
                    Code::And => {
                        r!(op.d) = nz!(r!(op.d) & r!(op.m));
                    }
                    Code::Eor => {
                        r!(op.d) = nz!(r!(op.d) ^ r!(op.m));
                    }
                    Code::LslReg => {
                        let value = u64::from(r!(op.d));
                        let shift = r!(op.m) & 0xff;
                        // Bit 32 is the last bit shifted out; 63 stands for everything longer.
                        let shifted = value << shift.min(63);
                        if shift != 0 {
                            c = shifted >> 32 & 1 != 0;
                        }
                        r!(op.d) = nz!(shifted as u32);
                    }
                    Code::LsrReg => {
                        let value = u64::from(r!(op.d)) << 1;
                        let shift = r!(op.m) & 0xff;
                        let shifted = value >> shift.min(63);
                        if shift != 0 {
                            c = shifted & 1 != 0;
                        }
                        r!(op.d) = nz!((shifted >> 1) as u32);
                    }
                    Code::AsrReg => {
                        let value = i64::from(r!(op.d) as i32) << 1;
                        let shift = r!(op.m) & 0xff;
                        let shifted = value >> shift.min(63);
                        if shift != 0 {
                            c = shifted & 1 != 0;
                        }
                        r!(op.d) = nz!((shifted >> 1) as u32);
                    }
                    Code::Ror => {
                        let shift = r!(op.m) & 0xff;
                        let value = r!(op.d).rotate_right(shift & 31);
                        if shift != 0 {
                            c = value >> 31 != 0;
                        }
                        r!(op.d) = nz!(value);
                    }
                    Code::Adc => {
                        r!(op.d) = add_carry!(r!(op.d), r!(op.m));
                    }
                    Code::Sbc => {
                        r!(op.d) = add_carry!(r!(op.d), !r!(op.m));
                    }
                    Code::Tst => {
                        nz!(r!(op.n) & r!(op.m));
                    }
                    Code::Rsb => {
                        r!(op.d) = sub!(0, r!(op.m));
                    }
                    Code::CmpReg => {
                        sub!(r!(op.n), r!(op.m));
                    }
                    Code::Cmn => {
                        add!(r!(op.n), r!(op.m));
                    }
                    Code::Orr => {
                        r!(op.d) = nz!(r!(op.d) | r!(op.m));
                    }
                    Code::Mul => {
                        r!(op.d) = nz!(r!(op.d).wrapping_mul(r!(op.m)));
                    }
                    Code::Bic => {
                        r!(op.d) = nz!(r!(op.d) & !r!(op.m));
                    }
                    Code::Mvn => {
                        r!(op.d) = nz!(!r!(op.m));
                    }
                    Code::AddHigh => {
                        r!(op.d) = r!(op.d).wrapping_add(r!(op.m));
                    }
                    Code::MovHigh => {
                        r!(op.d) = r!(op.m);
                    }
                    Code::CmpHigh => {
                        let value = operand!(op.m);
                        sub!(r!(op.n), value);
                    }
                    Code::AddToSp => {
                        r[13] = r[13].wrapping_add(operand!(op.m)) & !3;
                    }
                    Code::MovToSp => {
                        r[13] = operand!(op.m) & !3;
                    }
                    Code::AddToPc => {
                        let value = operand!(op.m);
                        jump!(r[15].wrapping_add(value));
                    }
                    Code::MovToPc => {
                        let value = operand!(op.m);
                        jump!(value);
                    }
                    Code::Bx => {
                        let target = operand!(op.m);
                        if target >= RETURNS {
                            index = index.wrapping_sub(1);
                            break 'runs Exit::Return(target);
                        }
                        interwork!(target);
                    }
                    Code::Blx => {
                        let target = operand!(op.m);
                        r[14] = next_address!() | 1;
                        interwork!(target);
                    }
                    Code::Adr | Code::Literal => {
                        r!(op.d) = op.imm;
                    }
                    Code::AddPlain => {
                        r!(op.d) = r!(op.n).wrapping_add(op.imm);
                    }
                    Code::LdrLiteral => {
                        load!(4, op.imm, u32::from);
                    }
                    Code::LdrReg => {
                        load!(4, r!(op.n).wrapping_add(r!(op.m)), u32::from);
                    }
                    Code::LdrhReg => {
                        load!(2, r!(op.n).wrapping_add(r!(op.m)), u32::from);
                    }
                    Code::LdrbReg => {
                        load!(1, r!(op.n).wrapping_add(r!(op.m)), u32::from);
                    }
                    Code::LdrshReg => {
                        load!(2, r!(op.n).wrapping_add(r!(op.m)), |value| value as i16
                            as u32);
                    }
                    Code::LdrsbReg => {
                        load!(1, r!(op.n).wrapping_add(r!(op.m)), |value| value as i8
                            as u32);
                    }
                    Code::StrReg => {
                        store!(4, r!(op.n).wrapping_add(r!(op.m)));
                    }
                    Code::StrhReg => {
                        store!(2, r!(op.n).wrapping_add(r!(op.m)));
                    }
                    Code::StrbReg => {
                        store!(1, r!(op.n).wrapping_add(r!(op.m)));
                    }
                    Code::LdrImm => {
                        load!(4, r!(op.n).wrapping_add(op.imm), u32::from);
                    }
                    Code::LdrhImm => {
                        load!(2, r!(op.n).wrapping_add(op.imm), u32::from);
                    }
                    Code::LdrbImm => {
                        load!(1, r!(op.n).wrapping_add(op.imm), u32::from);
                    }
                    Code::StrImm => {
                        store!(4, r!(op.n).wrapping_add(op.imm));
                    }
                    Code::StrhImm => {
                        store!(2, r!(op.n).wrapping_add(op.imm));
                    }
                    Code::StrbImm => {
                        store!(1, r!(op.n).wrapping_add(op.imm));
                    }
                    Code::Sxth => {
                        r!(op.d) = r!(op.m) as i16 as u32;
                    }
                    Code::Sxtb => {
                        r!(op.d) = r!(op.m) as i8 as u32;
                    }
                    Code::Uxth => {
                        r!(op.d) = r!(op.m) & 0xffff;
                    }
                    Code::Uxtb => {
                        r!(op.d) = r!(op.m) & 0xff;
                    }
                    Code::Rev => {
                        r!(op.d) = r!(op.m).swap_bytes();
                    }
                    Code::Rev16 => {
                        r!(op.d) = r!(op.m).swap_bytes().rotate_left(16);
                    }
                    Code::Revsh => {
                        r!(op.d) = (r!(op.m) as u16).swap_bytes() as i16 as u32;
                    }
                    Code::Push => {
                        let bottom = r[13].wrapping_sub(4 * op.imm.count_ones());
                        store_many!(bottom, op.imm);
                        r[13] = bottom;
                    }
                    Code::Stm => {
                        r!(op.n) = store_many!(r!(op.n), op.imm);
                    }
                    Code::Pop | Code::Ldm => {
                        let (end, loaded) = load_many!(r!(op.n), op.imm);
                        take_many!(loaded, op.imm);
                        if op.imm >> op.n & 1 == 0 {
                            r!(op.n) = end;
                        }
                    }
                    Code::PopPc => {
                        let (end, loaded) = load_many!(r[13], op.imm);
                        let target = need!(bus.load::<4>(end));
                        take_many!(loaded, op.imm);
                        r[13] = end.wrapping_add(4);
                        if target >= RETURNS {
                            index = index.wrapping_sub(1);
                            break 'runs Exit::Return(target);
                        }
                        interwork!(target);
                    }
                    Code::B => index = index.wrapping_add(op.imm),
                    Code::BSelf => {
                        // Only an exception leads out of here, and those come when the budget is used up.
                        index = index.wrapping_sub(1);
                        cycles -= (cycles.max(0) + 2) / 3 * 3;
                    }
                    Code::Beq => branch!(op, zero!()),
                    Code::Bne => branch!(op, !zero!()),
                    Code::Bcs => branch!(op, c),
                    Code::Bcc => branch!(op, !c),
                    Code::Bmi => branch!(op, negative!()),
                    Code::Bpl => branch!(op, !negative!()),
                    Code::Bvs => branch!(op, overflow!()),
                    Code::Bvc => branch!(op, !overflow!()),
                    Code::Bhi => branch!(op, c && !zero!()),
                    Code::Bls => branch!(op, !c || zero!()),
                    Code::Bge => branch!(op, negative!() == overflow!()),
                    Code::Blt => branch!(op, negative!() != overflow!()),
                    Code::Bgt => branch!(op, !zero!() && negative!() == overflow!()),
                    Code::Ble => branch!(op, zero!() || negative!() != overflow!()),
                    Code::Bl => {
                        index = index.wrapping_add(1);
                        r[14] = next_address!() | 1;
                        index = index.wrapping_add(op.imm);
                    }
                    Code::AddRegPlain => {
                        r!(op.d) = r!(op.n).wrapping_add(r!(op.m));
                    }
                    Code::SubRegPlain => {
                        r!(op.d) = r!(op.n).wrapping_sub(r!(op.m));
                    }
                    Code::LslPlain => {
                        r!(op.d) = r!(op.n) << (op.imm & 31);
                    }
                    Code::LsrPlain => {
                        r!(op.d) = r!(op.n) >> (op.imm & 31);
                    }
                    Code::AsrPlain => {
                        r!(op.d) = ((r!(op.n) as i32) >> (op.imm & 31)) as u32;
                    }
                    Code::AndPlain => {
                        r!(op.d) &= r!(op.m);
                    }
                    Code::EorPlain => {
                        r!(op.d) ^= r!(op.m);
                    }
                    Code::OrrPlain => {
                        r!(op.d) |= r!(op.m);
                    }
                    Code::BicPlain => {
                        r!(op.d) &= !r!(op.m);
                    }
                    Code::MvnPlain => {
                        r!(op.d) = !r!(op.m);
                    }
                    Code::MulPlain => {
                        r!(op.d) = r!(op.d).wrapping_mul(r!(op.m));
                    }
                    Code::SubImmBne => {
                        let difference = sub!(r!(op.n), u32::from(op.m));
                        r!(op.n) = difference;
                        branch!(op, difference != 0);
                        break;
                    }
                    Code::CountDown => {
                        // All rounds but the last at once: this pair, and two cycles for its branch.
                        let most = i64::from(r!(op.n).saturating_sub(1));
                        let rounds = (cycles / 4).min(most);
                        cycles -= 4 * rounds;
                        let difference = sub!(r!(op.n) - rounds as u32, 1);
                        r!(op.n) = difference;
                        branch!(op, difference != 0);
                        break;
                    }
                    Code::CmpImmBeq => {
                        let difference = sub!(r!(op.n), u32::from(op.m));
                        branch!(op, difference == 0);
                        break;
                    }
                    Code::CmpImmBne => {
                        let difference = sub!(r!(op.n), u32::from(op.m));
                        branch!(op, difference != 0);
                        break;
                    }
                    Code::CmpRegBeq => {
                        let difference = sub!(r!(op.n), r!(op.m));
                        branch!(op, difference == 0);
                        break;
                    }
                    Code::CmpRegBne => {
                        let difference = sub!(r!(op.n), r!(op.m));
                        branch!(op, difference != 0);
                        break;
                    }
                    Code::Nop => {}
                    Code::Barrier => index = index.wrapping_add(1),
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
                    | Code::Msr => leave!(Exit::Special),
                }
            }
            if B::FOLLOWS_BRANCHES && run.last().is_some_and(|last| last.code.ends_run()) {
                let from = base.wrapping_add(2 * (start + run.len() - 1) as u32);
                bus.branched(from, next_address!());
            }
            if index as usize != start || cycles < cost {
                break;
            }
        }
        if cycles <= 0 {
            break Exit::Budget;
        }
    };
    r[15] = base.wrapping_add(index.wrapping_mul(2));
    (registers.nz, registers.c, registers.v, registers.thumb) = (nz, c, v, thumb);
    *left = cycles;
    (exit, bus)
}
