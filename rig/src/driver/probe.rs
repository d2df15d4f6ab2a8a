//! The debug probe: attaching to a chip, flashing it, looking into it. probe-rs does the work; what
//! it stands on, a real probe or the virtual bench's, comes from a port, and nothing here can tell.
//!
//! A probe is not pumped like the drivers of byte ports: its calls block, and what it does to the
//! chip takes bench time. A session lives as long as the chip has supply. When the supply goes, the
//! next call says [`Fault::Lost`] and the session is dropped; the probe stays, and
//! [`Probe::attach`] makes the next session.

mod flashing;
mod trouble;

use std::fmt;
use std::time::Duration;

use probe_rs::probe::WireProtocol;
use probe_rs::rtt::{Rtt, ScanRegion};
use probe_rs::{
    BreakpointCause, Core, CoreStatus, HaltReason, MemoryInterface, Permissions, RegisterId,
    Session,
};

pub use flashing::{Erase, Flashing, Progress, Receipt, Stage};
pub use trouble::{Fault, ProbeTrouble};

use crate::image::registry;
use crate::port::{PortProblem, PortTrouble};
use trouble::{chain, fault_of, first_line, hint, is_of_the_probe, port_hint};

/// How long one order to the core may take. On a virtual bench it is never reached: there, the core
/// runs within the access that looks at it.
const ORDER_LIMIT: Duration = Duration::from_millis(500);

/// How long to pause between two attempts to attach to a chip that does not answer.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(20);

/// How long to pause between two looks at a core that shall halt.
const LOOK_PAUSE: Duration = Duration::from_millis(1);

/// What an RTT control block starts with.
const RTT_ID: &[u8; 16] = b"SEGGER RTT\0\0\0\0\0\0";

/// Below this the chip is not running, whatever the probe's own threshold for a good level is.
const TARGET_MILLIVOLTS_MIN: u32 = 1_700;

/// The hardware breakpoints of a Cortex-M0 on an nRF51.
pub const BREAKPOINTS: usize = 4;

/// A probe, and the session with the chip behind it while there is one.
pub struct Probe {
    device: String,
    chip: String,
    probe: String,
    session: Option<Session>,
    rtt: Option<Rtt>,
}

/// How to attach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attach {
    /// Hold the chip in reset meanwhile, and leave it halted before its first instruction. Needs
    /// the reset line; on the nRF51, where SWDIO is that line, only some probes can do it.
    pub under_reset: bool,
    /// How many times to try, at least once; 20 ms of pause lie between two tries.
    pub attempts_max: u32,
}

impl Default for Attach {
    fn default() -> Attach {
        Attach {
            under_reset: false,
            attempts_max: 3,
        }
    }
}

/// What the core was doing when the probe looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CoreState {
    /// Executing.
    Running,
    /// Waiting for an interrupt or event.
    Sleeping,
    /// Stopped for the debugger.
    Halted(Halt),
    /// Stopped for ever, by a fault within a fault.
    LockedUp,
}

/// Why the core halted, as far as the core tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Halt {
    /// It was told to.
    Request,
    /// A hardware breakpoint.
    Breakpoint,
    /// A BKPT instruction.
    Instruction,
    /// One step was made.
    Step,
    /// A reset or fault that was to be caught.
    Catch,
    /// Something else.
    Other,
}

/// A register of the core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// R0 to R12.
    General(u8),
    /// The stack pointer in use.
    Sp,
    /// The link register.
    Lr,
    /// The program counter: the next instruction.
    Pc,
    /// The program status register.
    Xpsr,
    /// The main stack pointer.
    Msp,
    /// The process stack pointer.
    Psp,
}

impl From<Register> for RegisterId {
    /// The numbers of DCRSR.REGSEL.
    fn from(register: Register) -> RegisterId {
        RegisterId(match register {
            Register::General(number) => u16::from(number.min(12)),
            Register::Sp => 13,
            Register::Lr => 14,
            Register::Pc => 15,
            Register::Xpsr => 16,
            Register::Msp => 17,
            Register::Psp => 18,
        })
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.session.is_some() {
            "attached"
        } else {
            "detached"
        };
        write!(out, "Probe({}, {state})", self.device)
    }
}

impl Probe {
    /// The probe called `name` in the bench file, with a chip of the type `chip` behind it. Nothing
    /// is opened yet.
    pub fn new(name: &str, chip: &str) -> Probe {
        Probe {
            device: format!("probe \"{name}\" on {chip}"),
            chip: chip.to_owned(),
            probe: String::new(),
            session: None,
            rtt: None,
        }
    }

    /// Begins a session. `open` opens the probe; it is called once for every attempt, because
    /// probe-rs gives none back that could not attach.
    ///
    /// The chip goes on running, or is halted before its first instruction under reset. On the
    /// nRF51 this begins debug mode, which lasts until the supply is cut.
    pub fn attach(
        &mut self,
        open: &mut dyn FnMut() -> Result<probe_rs::probe::Probe, PortTrouble>,
        how: Attach,
    ) -> Result<(), ProbeTrouble> {
        self.attach_with(open, how, &Permissions::new())
    }

    fn attach_with(
        &mut self,
        open: &mut dyn FnMut() -> Result<probe_rs::probe::Probe, PortTrouble>,
        how: Attach,
        permissions: &Permissions,
    ) -> Result<(), ProbeTrouble> {
        self.detach();
        let doing = if how.under_reset {
            "attaching under reset"
        } else {
            "attaching"
        };
        let mut attempt = 1;
        loop {
            match self.attach_once(open, how, permissions.clone(), doing) {
                Ok(session) => {
                    self.session = Some(session);
                    return Ok(());
                }
                Err(trouble)
                    if matches!(
                        trouble.fault,
                        Fault::NoAnswer | Fault::Port(PortProblem::Lost)
                    ) && attempt < how.attempts_max =>
                {
                    attempt += 1;
                    std::thread::sleep(ATTEMPT_PAUSE);
                }
                Err(mut trouble) => {
                    if attempt > 1 {
                        trouble.saw += &format!(" ({attempt} attempts)");
                    }
                    return Err(trouble);
                }
            }
        }
    }

    fn attach_once(
        &mut self,
        open: &mut dyn FnMut() -> Result<probe_rs::probe::Probe, PortTrouble>,
        how: Attach,
        permissions: Permissions,
        doing: &str,
    ) -> Result<Session, ProbeTrouble> {
        let mut probe = open().map_err(|trouble| ProbeTrouble {
            device: self.device.clone(),
            doing: "opening the probe".into(),
            fault: Fault::Port(trouble.problem),
            hint: port_hint(trouble.problem).into(),
            saw: trouble.to_string(),
        })?;
        self.probe = probe.get_name();
        if let Ok(Some(volts)) = probe.get_target_voltage() {
            let millivolts = (volts * 1000.0) as u32;
            if millivolts < TARGET_MILLIVOLTS_MIN {
                return Err(self.trouble(
                    doing,
                    Fault::Unpowered { millivolts },
                    format!("the target has {millivolts} mV"),
                ));
            }
        }
        probe
            .select_protocol(WireProtocol::Swd)
            .map_err(|error| self.unmet(doing, error.into()))?;
        let registry = registry(&self.chip);
        let session = if how.under_reset {
            probe.attach_under_reset_with_registry(self.chip.as_str(), permissions, &registry)
        } else {
            probe.attach_with_registry(self.chip.as_str(), permissions, &registry)
        };
        session.map_err(|error| self.unmet(doing, error))
    }

    /// Why no session began.
    fn unmet(&mut self, doing: &str, error: probe_rs::Error) -> ProbeTrouble {
        let is_of_the_probe = is_of_the_probe(&error);
        match self.explain(doing, error) {
            trouble if is_of_the_probe => {
                self.trouble(doing, Fault::Port(PortProblem::Lost), trouble.saw)
            }
            // A session that never was is not lost.
            lost if lost.fault == Fault::Lost => self.trouble(doing, Fault::NoAnswer, lost.saw),
            trouble => trouble,
        }
    }

    /// Whether there is a session, as far as is known without asking the chip.
    pub fn is_attached(&self) -> bool {
        self.session.is_some()
    }

    /// The probe as it calls itself, once it was opened.
    pub fn probe_name(&self) -> &str {
        &self.probe
    }

    /// Ends the session, if there is one; the chip goes on as it is, without breakpoints.
    pub fn detach(&mut self) {
        self.rtt = None;
        self.session = None;
    }

    /// Resets the chip by its system reset request; it runs.
    pub fn reset(&mut self) -> Result<(), ProbeTrouble> {
        self.rtt = None;
        self.with_core("resetting the chip", |core| core.reset())
    }

    /// Resets the chip and halts it before its first instruction, whose address comes back.
    pub fn reset_and_halt(&mut self) -> Result<u32, ProbeTrouble> {
        self.rtt = None;
        self.with_core("resetting and halting the chip", |core| {
            Ok(core.reset_and_halt(ORDER_LIMIT)?.pc as u32)
        })
    }

    /// Lets a halted core run. A breakpoint at its next instruction does not stop it again.
    pub fn run(&mut self) -> Result<(), ProbeTrouble> {
        self.with_core("letting the core run", |core| core.run())
    }

    /// Halts the core; the address of its next instruction comes back.
    pub fn halt(&mut self) -> Result<u32, ProbeTrouble> {
        self.with_core("halting the core", |core| {
            Ok(core.halt(ORDER_LIMIT)?.pc as u32)
        })
    }

    /// Executes one instruction with interrupts held back; the address of the next comes back.
    pub fn step(&mut self) -> Result<u32, ProbeTrouble> {
        self.with_core("stepping the core", |core| Ok(core.step()?.pc as u32))
    }

    /// What the core is doing.
    pub fn state(&mut self) -> Result<CoreState, ProbeTrouble> {
        self.with_core("looking at the core", |core| Ok(core_state(core.status()?)))
    }

    /// Looks at the core up to `looks_max` times, until it is halted; why comes back.
    ///
    /// 1 ms of wall time lies between two looks. On a virtual bench that changes nothing: there, each
    /// look lets the chip run for a fixed number of cycles.
    pub fn wait_for_halt(&mut self, looks_max: u32) -> Result<Halt, ProbeTrouble> {
        let doing = "waiting for the core to halt";
        for _ in 0..looks_max {
            let state = self.with_core(doing, |core| Ok(core_state(core.status()?)))?;
            if let CoreState::Halted(why) = state {
                return Ok(why);
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        Err(self.trouble(
            doing,
            Fault::Timeout,
            format!("still not halted after {looks_max} looks"),
        ))
    }

    /// Reads memory. Peripheral registers are read as words where address and length allow it.
    pub fn read(&mut self, address: u32, into: &mut [u8]) -> Result<(), ProbeTrouble> {
        let doing = format!("reading {} bytes at {address:#010x}", into.len());
        self.with_core(&doing, |core| core.read(u64::from(address), into))
    }

    /// Writes memory that takes plain writes: RAM and peripheral registers, not flash.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), ProbeTrouble> {
        let doing = format!("writing {} bytes at {address:#010x}", bytes.len());
        self.with_core(&doing, |core| {
            core.write(u64::from(address), bytes)?;
            core.flush()
        })
    }

    /// Reads one aligned word.
    pub fn read_word(&mut self, address: u32) -> Result<u32, ProbeTrouble> {
        let doing = format!("reading the word at {address:#010x}");
        self.with_core(&doing, |core| core.read_word_32(u64::from(address)))
    }

    /// Reads a register of the halted core.
    pub fn register(&mut self, register: Register) -> Result<u32, ProbeTrouble> {
        let doing = format!("reading register {register:?}");
        self.with_core(&doing, |core| {
            core.read_core_reg(RegisterId::from(register))
        })
    }

    /// Writes a register of the halted core.
    pub fn set_register(&mut self, register: Register, value: u32) -> Result<(), ProbeTrouble> {
        let doing = format!("writing register {register:?}");
        self.with_core(&doing, |core| {
            core.write_core_reg(RegisterId::from(register), value)
        })
    }

    /// Halts the core whenever it comes to `address`, which lies in flash. The nRF51 has four.
    pub fn set_breakpoint(&mut self, address: u32) -> Result<(), ProbeTrouble> {
        let doing = format!("setting a breakpoint at {address:#010x}");
        self.with_core(&doing, |core| core.set_hw_breakpoint(u64::from(address)))
    }

    /// Takes a breakpoint away.
    pub fn clear_breakpoint(&mut self, address: u32) -> Result<(), ProbeTrouble> {
        let doing = format!("clearing the breakpoint at {address:#010x}");
        self.with_core(&doing, |core| core.clear_hw_breakpoint(u64::from(address)))
    }

    /// Takes what firmware has written to an RTT up-channel. The control block is searched in RAM
    /// once after each reset, because another image keeps it elsewhere.
    pub fn read_rtt(&mut self, channel: usize) -> Result<Vec<u8>, ProbeTrouble> {
        let doing = format!("reading RTT channel {channel}");
        let mut rtt = self.rtt.take();
        let read = self.with_core(&doing, |core| Ok(read_rtt(core, &mut rtt, channel)))?;
        self.rtt = rtt;
        match read {
            Ok(bytes) => Ok(bytes),
            Err(probe_rs::rtt::Error::Probe(error)) => Err(self.explain(&doing, error)),
            Err(error) => {
                self.rtt = None;
                Err(self.trouble(&doing, Fault::NoRtt, first_line(&error.to_string())))
            }
        }
    }

    fn session(&mut self, doing: &str) -> Result<&mut Session, ProbeTrouble> {
        match self.session {
            Some(ref mut session) => Ok(session),
            None => Err(ProbeTrouble {
                device: self.device.clone(),
                doing: doing.to_owned(),
                fault: Fault::NotAttached,
                saw: "there is no session".into(),
                hint: hint(Fault::NotAttached).into(),
            }),
        }
    }

    fn with_core<T>(
        &mut self,
        doing: &str,
        order: impl FnOnce(&mut Core<'_>) -> Result<T, probe_rs::Error>,
    ) -> Result<T, ProbeTrouble> {
        let done = self
            .session(doing)?
            .core(0)
            .and_then(|mut core| order(&mut core));
        done.map_err(|error| self.explain(doing, error))
    }

    fn trouble(&self, doing: &str, fault: Fault, saw: String) -> ProbeTrouble {
        ProbeTrouble {
            device: self.device.clone(),
            doing: doing.to_owned(),
            fault,
            saw,
            hint: hint(fault).into(),
        }
    }

    fn explain(&mut self, doing: &str, error: probe_rs::Error) -> ProbeTrouble {
        let fault = fault_of(&error);
        if fault == Fault::Lost {
            self.detach();
        }
        self.trouble(doing, fault, chain(&error))
    }
}

/// Takes away what looks like RTT control blocks. Those of the firmware before stay in RAM, and so do
/// the flash algorithm's page buffers: a block that an image keeps in flash, to copy it into RAM,
/// would be found in them before the firmware has made its own.
fn clear_rtt(core: &mut Core<'_>) -> Result<(), probe_rs::Error> {
    let regions = core
        .memory_regions()
        .filter_map(|region| region.as_ram_region());
    let ranges: Vec<_> = regions.map(|region| region.range.clone()).collect();
    for range in ranges {
        let mut ram = vec![0; (range.end - range.start) as usize];
        core.read(range.start, &mut ram)?;
        for (at, _) in ram
            .windows(RTT_ID.len())
            .enumerate()
            .filter(|(_, id)| id == RTT_ID)
        {
            core.write_8(range.start + at as u64, &[0; RTT_ID.len()])?;
        }
    }
    core.flush()
}

fn read_rtt(
    core: &mut Core<'_>,
    rtt: &mut Option<Rtt>,
    number: usize,
) -> Result<Vec<u8>, probe_rs::rtt::Error> {
    let found = match rtt.take() {
        Some(found) => found,
        None => Rtt::attach_region(core, &ScanRegion::Ram)?,
    };
    let found = rtt.insert(found);
    let channel = found
        .up_channel(number)
        .ok_or(probe_rs::rtt::Error::MissingChannel(number))?;
    let mut bytes = vec![0; channel.buffer_size()];
    let mut read = channel.read(core, &mut bytes)?;
    // A ring buffer that has wrapped gives its two halves in two reads.
    if read > 0 && read < bytes.len() {
        read += channel.read(core, &mut bytes[read..])?;
    }
    bytes.truncate(read);
    Ok(bytes)
}

fn core_state(status: CoreStatus) -> CoreState {
    match status {
        CoreStatus::Running | CoreStatus::Unknown => CoreState::Running,
        CoreStatus::Sleeping => CoreState::Sleeping,
        CoreStatus::LockedUp => CoreState::LockedUp,
        CoreStatus::Halted(why) => CoreState::Halted(match why {
            HaltReason::Request => Halt::Request,
            HaltReason::Step => Halt::Step,
            HaltReason::Breakpoint(BreakpointCause::Hardware) => Halt::Breakpoint,
            HaltReason::Breakpoint(BreakpointCause::Software | BreakpointCause::Semihosting(_)) => {
                Halt::Instruction
            }
            // ARMv6-M's DFSR has one bit for both kinds.
            HaltReason::Breakpoint(BreakpointCause::Unknown) => Halt::Breakpoint,
            HaltReason::Exception => Halt::Catch,
            _ => Halt::Other,
        }),
    }
}
