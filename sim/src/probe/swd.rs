//! SWD bit by bit, from the probe's end: what is put on the wire becomes accesses to the debug port,
//! and the target's answers are what is got from it.
//!
//! The turnaround between the two directions is the probe's own business and no bit of either. As on
//! a real wire, a request that makes no sense leaves the target deaf until the next line reset, and
//! a target without supply leaves the line high.

use crate::chip::debug::{DebugFault, DebugPort, Target};

/// A line reset is at least so many ones in a row.
const LINE_RESET_BITS: u32 = 50;
/// Start, AP or DP, read or write, two address bits, parity, stop, park.
const REQUEST_BITS: u32 = 8;
const DATA_BITS: u32 = 32;

/// Acknowledgements, as they cross the wire, first bit lowest.
const OK: u64 = 0b001;
const FAULT: u64 = 0b100;
/// Nobody pulls the line down.
const NOBODY: u64 = 0b111;

#[derive(Clone, Copy, Debug)]
struct Request {
    to_access_port: bool,
    reads: bool,
    register: u8,
}

/// What the target expects next.
#[derive(Clone, Copy, Debug, Default)]
enum Expects {
    /// A start bit.
    #[default]
    Start,
    /// The rest of a request.
    Request { bits: u32, count: u32 },
    /// The data of a write, and its parity.
    Data {
        request: Request,
        acknowledged: bool,
        bits: u64,
        count: u32,
    },
    /// A line reset; all else is ignored.
    LineReset,
}

/// Both ends of the wire.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Swd {
    expects: Expects,
    ones: u32,
    /// What the target drives, first bit lowest, and how many bits of it are left.
    answer: u64,
    answer_bits: u32,
}

impl Swd {
    /// Puts bits on the wire, the lowest first.
    pub(super) fn put(&mut self, bits: u64, count: u32, target: &mut dyn Target) {
        self.answer_bits = 0;
        for index in 0..count {
            let bit = index < 64 && bits >> index & 1 == 1;
            self.put_bit(bit, target);
        }
    }

    /// Gets bits from the wire, the first one lowest.
    pub(super) fn get(&mut self, count: u32) -> u64 {
        let mut bits = 0;
        for index in 0..count.min(64) {
            let bit = match self.answer_bits {
                0 => 1,
                _ => {
                    self.answer_bits -= 1;
                    let bit = self.answer & 1;
                    self.answer >>= 1;
                    bit
                }
            };
            bits |= bit << index;
        }
        bits
    }

    fn put_bit(&mut self, bit: bool, target: &mut dyn Target) {
        self.ones = if bit { self.ones.saturating_add(1) } else { 0 };
        // Inside the data of a write, ones are data.
        let in_data = matches!(self.expects, Expects::Data { .. });
        if self.ones == LINE_RESET_BITS && !in_data {
            // Nobody acknowledges a line reset, so a chip without supply shows later.
            let _ = DebugPort::in_real_time(target).line_reset();
        }
        if self.ones >= LINE_RESET_BITS && !in_data {
            self.expects = Expects::Start;
            return;
        }
        self.expects = match self.expects {
            Expects::Start if bit => Expects::Request { bits: 1, count: 1 },
            Expects::Start => Expects::Start,
            Expects::Request { bits, count } => {
                let bits = bits | u32::from(bit) << count;
                match count + 1 {
                    REQUEST_BITS => self.answer_to(bits, target),
                    count => Expects::Request { bits, count },
                }
            }
            Expects::Data {
                request,
                acknowledged,
                bits,
                count,
            } => {
                let bits = bits | u64::from(bit) << count;
                if count == DATA_BITS {
                    if acknowledged {
                        write(request, bits, target);
                    }
                    Expects::Start
                } else {
                    Expects::Data {
                        request,
                        acknowledged,
                        bits,
                        count: count + 1,
                    }
                }
            }
            Expects::LineReset => Expects::LineReset,
        };
    }

    /// A request is complete: the target answers, or turns deaf.
    fn answer_to(&mut self, bits: u32, target: &mut dyn Target) -> Expects {
        let bit = |index: u32| bits >> index & 1 == 1;
        let parity = (bits >> 1 & 0xf).count_ones() & 1 == 1;
        if bit(5) != parity || bit(6) || !bit(7) {
            return Expects::LineReset;
        }
        let request = Request {
            to_access_port: bit(1),
            reads: bit(2),
            register: (bits >> 1 & 0xc) as u8,
        };
        if !request.reads {
            // Whether it can be written shows when it is; whether anybody is there shows now.
            let acknowledged = target.chip().is_supplied();
            self.answer = if acknowledged { OK } else { NOBODY };
            self.answer_bits = 3;
            return Expects::Data {
                request,
                acknowledged,
                bits: 0,
                count: 0,
            };
        }
        (self.answer, self.answer_bits) = match read(request, target) {
            Ok(value) => {
                let parity = u64::from(value.count_ones() & 1);
                (OK | u64::from(value) << 3 | parity << 35, 36)
            }
            Err(DebugFault::Fault) => (FAULT, 3),
            Err(DebugFault::NoResponse) => (NOBODY, 3),
        };
        Expects::Start
    }
}

/// The value of an access port's register comes with the next read.
fn read(request: Request, target: &mut dyn Target) -> Result<u32, DebugFault> {
    const READ_BUFFER: u8 = 0xc;
    let mut port = DebugPort::in_real_time(target);
    if !request.to_access_port {
        return port.dp_read(request.register);
    }
    let previous = port.dp_read(READ_BUFFER)?;
    let (ap, bank) = port.selected();
    port.ap_read(ap, bank | request.register)?;
    Ok(previous)
}

fn write(request: Request, bits: u64, target: &mut dyn Target) {
    let value = bits as u32;
    let parity = u64::from(value.count_ones() & 1);
    if bits >> DATA_BITS != parity {
        return;
    }
    let mut port = DebugPort::in_real_time(target);
    let (ap, bank) = port.selected();
    // What fails here is a sticky error, which the next access meets.
    let _ = match request.to_access_port {
        true => port.ap_write(ap, bank | request.register, value),
        false => port.dp_write(request.register, value),
    };
}
