//! A debug probe: the far end of the Black Magic Probe's remote protocol, version 4.
//!
//! Bytes in, bytes out, and between them accesses to a chip's debug port. A request is `!…#`, its
//! answer `&K…#` where it was carried out and `&E…#` or `&P…#` where not; whatever stands before a
//! `!` is skipped, so a client that begins in the middle of something finds its way. The commands
//! are those of the firmware's `remote.h` that an SWD client needs: general ones (`G`), raw SWD bits
//! (`S`), and debug-port, access-port and memory accesses (`A`).
//!
//! A probe has power of its own and keeps nothing of the target: when the target's supply goes, the
//! next access is answered with an error, and the client starts anew.

mod swd;

use crate::chip::debug::{DebugFault, DebugPort, Target};
use swd::Swd;

/// What the probe answers to a greeting.
const NAME: &str = "Black Magic Probe (lockrig virtual bench) v1.10.0";
/// The version of the remote protocol.
const PROTOCOL: &str = "4";
/// Commands beyond single bits that the probe carries out itself: ADIv5 accesses.
const ACCELERATORS: &str = "1";
/// The wire's clock, which the emulation's access time stands for.
const HERTZ: u32 = 4_000_000;
/// A longer request is none: the firmware's buffer is as long.
const REQUEST_MAX: usize = 1_024;

/// What did not go as asked: the codes of `remote.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refused {
    /// There is no such command.
    Unrecognised,
    /// Digits are missing.
    Garbled,
    /// The target answered FAULT.
    Fault,
    /// The target did not answer.
    Silent,
}

impl Refused {
    fn answer(self) -> String {
        match self {
            Refused::Unrecognised => "&N1#",
            Refused::Garbled => "&P2#",
            Refused::Fault => "&E3#",
            Refused::Silent => "&E4#",
        }
        .to_owned()
    }
}

impl From<DebugFault> for Refused {
    fn from(fault: DebugFault) -> Refused {
        match fault {
            DebugFault::Fault => Refused::Fault,
            DebugFault::NoResponse => Refused::Silent,
        }
    }
}

/// The probe, from the end of the connection that a client is at.
#[derive(Clone, Debug, Default)]
pub struct BlackMagicProbe {
    request: Option<Vec<u8>>,
    swd: Swd,
    holds_reset: bool,
}

impl BlackMagicProbe {
    /// A byte came from the client. At the end of a request it is carried out on the target, which
    /// takes the time it takes on the wire, and what is returned goes back to the client.
    pub fn receive(&mut self, byte: u8, target: &mut dyn Target) -> Option<String> {
        match (byte, &mut self.request) {
            (b'!', request) => {
                *request = Some(Vec::new());
                None
            }
            (_, None) => None,
            (b'#', request) => {
                let request = request.take().unwrap_or_default();
                let answer = self.carry_out(&request, target);
                Some(answer.map_or_else(Refused::answer, |text| format!("&K{text}#")))
            }
            (_, Some(request)) => {
                request.push(byte);
                if request.len() > REQUEST_MAX {
                    self.request = None;
                }
                None
            }
        }
    }

    fn carry_out(&mut self, request: &[u8], target: &mut dyn Target) -> Result<String, Refused> {
        let text = std::str::from_utf8(request).map_err(|_| Refused::Garbled)?;
        let (command, digits) = text.split_at_checked(2).ok_or(Refused::Garbled)?;
        let mut digits = Digits(digits);
        match command {
            "GA" => return Ok(NAME.to_owned()),
            "HC" => return Ok(PROTOCOL.to_owned()),
            "HA" => return Ok(ACCELERATORS.to_owned()),
            "GV" => {
                let supplied = target.chip().is_supplied();
                return Ok(if supplied { "3.3V" } else { "0.0V" }.to_owned());
            }
            "Gf" => return Ok(format!("{HERTZ:x}")),
            "Gz" => return Ok(u8::from(self.holds_reset).to_string()),
            "GZ" => {
                self.holds_reset = digits.take(1)? == 1;
                target.chip().set_reset(self.holds_reset);
            }
            // Clock output, its frequency, power for the target: nothing here depends on them.
            "GE" | "GF" | "GP" => {}
            "SS" => self.swd = Swd::default(),
            "So" | "SO" => {
                let bits = digits.take(2)? as u32;
                let value = digits.rest()?;
                self.swd.put(value, bits, target);
                if command == "SO" {
                    self.swd.put(u64::from(value.count_ones() & 1), 1, target);
                }
            }
            "Si" | "SI" => {
                let bits = digits.take(2)? as u32;
                let value = self.swd.get(bits);
                if command == "SI" && self.swd.get(1) != u64::from(value.count_ones() & 1) {
                    return Ok(format!("P{value:x}"));
                }
                return Ok(format!("{value:x}"));
            }
            access if access.starts_with('A') => return access_port(command, digits, target),
            _ => return Err(Refused::Unrecognised),
        }
        Ok("0".to_owned())
    }
}

/// Commands that name a register or memory. Each begins with the number of the debug port, of which
/// there is one.
fn access_port(
    command: &str,
    mut digits: Digits<'_>,
    target: &mut dyn Target,
) -> Result<String, Refused> {
    let mut port = DebugPort::in_real_time(target);
    let done = access(command, &mut digits, &mut port);
    if done == Err(Refused::Fault) {
        clear_errors(&mut port);
    }
    done
}

/// A fault stays in the debug port until it is cleared. The probe does that, so that the next request
/// is answered for itself.
fn clear_errors(port: &mut DebugPort<'_>) {
    const ABORT: u8 = 0x0;
    const CLEAR: u32 = 0x1e;
    // Without an answer to this there is none to what follows, either.
    let _ = port.dp_write(ABORT, CLEAR);
}

fn access(
    command: &str,
    digits: &mut Digits<'_>,
    port: &mut DebugPort<'_>,
) -> Result<String, Refused> {
    /// Set in register addresses of access ports.
    const ACCESS_PORT: u64 = 1 << 8;
    let _debug_port = digits.take(2)?;
    // Values of registers cross the wire with their bytes swapped, but for raw accesses.
    let told = |value: u32| format!("{:08x}", value.swap_bytes());
    match command {
        "Ad" => {
            let _all = digits.take(2)?;
            let register = digits.take(4)?;
            Ok(told(port.dp_read(register as u8)?))
        }
        "Aa" => {
            let ap = digits.take(2)?;
            let register = digits.take(4)?;
            Ok(told(port.ap_read(ap as u8, register as u8)?))
        }
        "AA" => {
            let ap = digits.take(2)?;
            let register = digits.take(4)?;
            let value = (digits.take(8)? as u32).swap_bytes();
            port.ap_write(ap as u8, register as u8, value)?;
            Ok("0".to_owned())
        }
        "AR" => {
            let reads = digits.take(2)? != 0;
            let address = digits.take(4)?;
            let value = digits.take(8)? as u32;
            let register = address as u8;
            let (ap, bank) = port.selected();
            let banked = bank | register & 0xc;
            let read = match (reads, address & ACCESS_PORT != 0) {
                (true, true) => port.ap_read(ap, banked)?,
                (true, false) => port.dp_read(register)?,
                (false, true) => port.ap_write(ap, banked, value).map(|()| 0)?,
                (false, false) => port.dp_write(register, value).map(|()| 0)?,
            };
            Ok(format!("{read:x}"))
        }
        "Am" => {
            let ap = digits.take(2)? as u8;
            let control = digits.take(8)? as u32;
            let address = digits.take(16)? as u32;
            let mut bytes = vec![0; length(digits)?];
            // The command carries no size: it is what address and length allow.
            port.read_memory(ap, control, address, &mut bytes)?;
            Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        "AM" => {
            let ap = digits.take(2)? as u8;
            let control = digits.take(8)? as u32;
            // What alignment the client knows of; address and length tell it, too.
            let _align = digits.take(2)?;
            let address = digits.take(16)? as u32;
            let mut bytes = vec![0; length(digits)?];
            for byte in &mut bytes {
                *byte = digits.take(2)? as u8;
            }
            port.write_memory(ap, control, address, &bytes)?;
            Ok("0".to_owned())
        }
        _ => Err(Refused::Unrecognised),
    }
}

/// The length of a block, in bytes, which has to fit into a message.
fn length(digits: &mut Digits<'_>) -> Result<usize, Refused> {
    let length = digits.take(8)? as usize;
    match length * 2 > REQUEST_MAX {
        true => Err(Refused::Garbled),
        false => Ok(length),
    }
}

/// The hexadecimal digits that are left of a request.
struct Digits<'a>(&'a str);

impl Digits<'_> {
    /// The next `count` digits.
    fn take(&mut self, count: usize) -> Result<u64, Refused> {
        let (digits, rest) = self.0.split_at_checked(count).ok_or(Refused::Garbled)?;
        self.0 = rest;
        u64::from_str_radix(digits, 16).map_err(|_| Refused::Garbled)
    }

    /// All that are left.
    fn rest(&mut self) -> Result<u64, Refused> {
        self.take(self.0.len())
    }
}

#[cfg(test)]
mod tests;
