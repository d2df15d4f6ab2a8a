//! The virtual bench's debug probe: probe-rs' probe interface over the emulated chip's debug port.
//!
//! probe-rs makes the same register accesses here as it does through a real probe; only the bits on
//! the wire are left out. Each access takes bench time, and nothing but accesses does: the same
//! calls give the same bench time, whatever the machine does. probe-rs' own time-outs and pauses
//! count wall time, so they can make a run fail, never shape it; reading the core's state lets the
//! core run on, which is why its polling ends within a few reads.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use lockrig_sim::chip::debug::{DebugFault, DebugPort, Target};
use lockrig_sim::time::Ticks;
use probe_rs::CoreStatus;
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::architecture::arm::{
    ArmCommunicationInterface, ArmDebugInterface, ArmError, DapError, DapProbe, RawDapAccess,
    RegisterAddress,
};
use probe_rs::probe::{DebugProbe, DebugProbeError, Probe, WireProtocol};

/// What the probe calls itself.
const NAME: &str = "virtual probe";

/// The wire's clock, which the emulation's access time stands for.
const SPEED_KHZ: u32 = 4_000;

/// The reset line among the pins of CMSIS-DAP.
const RESET_PIN: u32 = 1 << 7;

/// The debug port's ABORT register, and its bits that clear the sticky ones.
const ABORT: u8 = 0x0;
const STICKY_CLEAR: u32 = 0x1E;

/// A line reset is at least so many ones in a row.
const LINE_RESET_BITS: u32 = 50;

/// A probe on the chip of `target`: a bench, or a chip on its own.
///
/// Whoever else holds `target` sees bench time pass with each access. It must not be locked while
/// the probe is used.
pub fn probe<T: Target + Send + 'static>(target: Arc<Mutex<T>>) -> Probe {
    probe_until(target, Ticks::NEVER)
}

/// The same, and its cable comes out at a time of the bench.
pub fn probe_until<T: Target + Send + 'static>(target: Arc<Mutex<T>>, lost_at: Ticks) -> Probe {
    Probe::new(SimProbe {
        target,
        lost_at,
        ones: 0,
    })
}

struct SimProbe<T> {
    target: Arc<Mutex<T>>,
    lost_at: Ticks,
    /// How many ones in a row the last raw sequences ended with.
    ones: u32,
}

impl<T> fmt::Debug for SimProbe<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SimProbe")
    }
}

impl<T: Target> SimProbe<T> {
    /// The target, as long as the probe is there.
    fn lock(&self) -> Result<MutexGuard<'_, T>, DebugProbeError> {
        // A bench on which somebody panicked is stopped between two accesses; the run is lost anyway.
        let mut target = self
            .target
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if target.chip().now() < self.lost_at {
            return Ok(target);
        }
        let gone = io::Error::new(io::ErrorKind::NotConnected, "the probe is gone");
        Err(DebugProbeError::Usb(gone))
    }

    fn hold_reset(&self, held: bool) -> Result<(), DebugProbeError> {
        self.lock()?.chip().set_reset(held);
        Ok(())
    }
}

fn read(port: &mut DebugPort<'_>, address: RegisterAddress) -> Result<u32, ArmError> {
    let value = match address {
        RegisterAddress::DpRegister(register) => port.dp_read(register.address),
        RegisterAddress::ApRegister(register) => {
            let (ap, bank) = port.selected();
            port.ap_read(ap, bank | register & 0xC)
        }
    };
    value.map_err(|fault| refusal(port, fault))
}

fn write(port: &mut DebugPort<'_>, address: RegisterAddress, value: u32) -> Result<(), ArmError> {
    let done = match address {
        RegisterAddress::DpRegister(register) => port.dp_write(register.address, value),
        RegisterAddress::ApRegister(register) => {
            let (ap, bank) = port.selected();
            port.ap_write(ap, bank | register & 0xC, value)
        }
    };
    done.map_err(|fault| refusal(port, fault))
}

/// A fault stays in the debug port until it is cleared. Probes do that themselves.
fn refusal(port: &mut DebugPort<'_>, fault: DebugFault) -> ArmError {
    ArmError::Dap(match fault {
        DebugFault::Fault => {
            // Without an answer to this there is none to what follows, either.
            let _ = port.dp_write(ABORT, STICKY_CLEAR);
            DapError::FaultResponse
        }
        DebugFault::NoResponse => DapError::NoAcknowledge,
    })
}

impl<T: Target + Send + 'static> RawDapAccess for SimProbe<T> {
    fn raw_read_register(&mut self, address: RegisterAddress) -> Result<u32, ArmError> {
        read(&mut DebugPort::new(&mut *self.lock()?), address)
    }

    fn raw_read_block(
        &mut self,
        address: RegisterAddress,
        values: &mut [u32],
    ) -> Result<(), ArmError> {
        let mut target = self.lock()?;
        let mut port = DebugPort::new(&mut *target);
        for value in values {
            *value = read(&mut port, address)?;
        }
        Ok(())
    }

    fn raw_write_register(&mut self, address: RegisterAddress, value: u32) -> Result<(), ArmError> {
        write(&mut DebugPort::new(&mut *self.lock()?), address, value)
    }

    fn raw_write_block(
        &mut self,
        address: RegisterAddress,
        values: &[u32],
    ) -> Result<(), ArmError> {
        let mut target = self.lock()?;
        let mut port = DebugPort::new(&mut *target);
        values
            .iter()
            .try_for_each(|value| write(&mut port, address, *value))
    }

    fn jtag_sequence(&mut self, _cycles: u8, _tms: bool, _tdi: u64) -> Result<(), DebugProbeError> {
        Err(DebugProbeError::UnsupportedProtocol(WireProtocol::Jtag))
    }

    fn swj_sequence(&mut self, bit_len: u8, bits: u64) -> Result<(), DebugProbeError> {
        let before = self.ones;
        for bit in 0..bit_len {
            let one = bit < 64 && bits >> bit & 1 == 1;
            self.ones = if one { self.ones.saturating_add(1) } else { 0 };
            if self.ones == LINE_RESET_BITS && before < LINE_RESET_BITS {
                // Nobody acknowledges a line reset, so a chip without supply shows later.
                let _ = DebugPort::new(&mut *self.lock()?).line_reset();
            }
        }
        Ok(())
    }

    fn swj_pins(
        &mut self,
        pin_out: u32,
        pin_select: u32,
        _pin_wait: u32,
    ) -> Result<u32, DebugProbeError> {
        if pin_select & RESET_PIN != 0 {
            self.hold_reset(pin_out & RESET_PIN == 0)?;
        }
        Ok(pin_out & pin_select)
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }

    fn core_status_notification(&mut self, _state: CoreStatus) -> Result<(), DebugProbeError> {
        Ok(())
    }
}

impl<T: Target + Send + 'static> DapProbe for SimProbe<T> {}

impl<T: Target + Send + 'static> DebugProbe for SimProbe<T> {
    fn get_name(&self) -> &str {
        NAME
    }

    fn speed_khz(&self) -> u32 {
        SPEED_KHZ
    }

    fn set_speed(&mut self, _speed_khz: u32) -> Result<u32, DebugProbeError> {
        Ok(SPEED_KHZ)
    }

    fn attach(&mut self) -> Result<(), DebugProbeError> {
        Ok(())
    }

    fn detach(&mut self) -> Result<(), probe_rs::Error> {
        Ok(())
    }

    fn target_reset(&mut self) -> Result<(), DebugProbeError> {
        self.hold_reset(true)?;
        self.hold_reset(false)
    }

    fn target_reset_assert(&mut self) -> Result<(), DebugProbeError> {
        self.hold_reset(true)
    }

    fn target_reset_deassert(&mut self) -> Result<(), DebugProbeError> {
        self.hold_reset(false)
    }

    fn select_protocol(&mut self, protocol: WireProtocol) -> Result<(), DebugProbeError> {
        match protocol {
            WireProtocol::Swd => Ok(()),
            WireProtocol::Jtag => Err(DebugProbeError::UnsupportedProtocol(protocol)),
        }
    }

    fn active_protocol(&self) -> Option<WireProtocol> {
        Some(WireProtocol::Swd)
    }

    fn has_arm_interface(&self) -> bool {
        true
    }

    fn try_get_arm_debug_interface<'probe>(
        self: Box<Self>,
        sequence: Arc<dyn ArmDebugSequence>,
    ) -> Result<Box<dyn ArmDebugInterface + 'probe>, (Box<dyn DebugProbe>, ArmError)> {
        Ok(ArmCommunicationInterface::create(self, sequence, false))
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }

    fn try_as_dap_probe(&mut self) -> Option<&mut dyn DapProbe> {
        Some(self)
    }

    /// It senses whether there is supply, not how much.
    fn get_target_voltage(&mut self) -> Result<Option<f32>, DebugProbeError> {
        Ok(if self.lock()?.chip().is_supplied() {
            None
        } else {
            Some(0.0)
        })
    }
}
