//! The debug probe: attaching to a chip, flashing it, looking into it. probe-rs does the work; what
//! it stands on, a real probe or the virtual bench's, comes from a port, and nothing here can tell.
//!
//! A probe is not pumped like the drivers of byte ports: its calls block, and what it does to the
//! chip takes bench time. A session lives as long as the chip has supply. When the supply goes, the
//! next call says [`Fault::Lost`] and the session is dropped; the probe stays, and
//! [`Probe::attach`] makes the next session.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use probe_rs::architecture::arm::{ArmError, DapError};
use probe_rs::config::{FlashProperties, NvmRegion};
use probe_rs::flashing::{
    DownloadOptions, FlashError, FlashProgress, ProgressEvent, ProgressOperation,
    erase as erase_range, erase_all,
};
use probe_rs::probe::{DebugProbeError, WireProtocol};
use probe_rs::rtt::{Rtt, ScanRegion};
use probe_rs::{
    BreakpointCause, Core, CoreStatus, HaltReason, MemoryInterface, Permissions, RegisterId,
    Session,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{DeviceTrouble, Trouble};
use crate::image::{Image, Segment, registry};
use crate::port::{PortProblem, PortTrouble};

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

/// The nRF51's readback protection (UICR.RBPCONF), and its bits for all of flash: ones where there is none.
const NRF51_RBPCONF: u32 = 0x1000_1004;
const NRF51_PALL: u32 = 0xff00;

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

/// How to flash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flashing {
    /// What is erased first.
    pub erase: Erase,
    /// Whether everything is read back and compared.
    pub verify: bool,
    /// Whether flash is read first, and written only where it must be: an image that is there stays, and of
    /// [`Erase::Chip`] only what is not erased is. It spares the flash, and mostly time.
    pub spare: bool,
}

impl Default for Flashing {
    fn default() -> Flashing {
        Flashing {
            erase: Erase::Chip,
            verify: true,
            spare: false,
        }
    }
}

/// What is erased before an image is programmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Erase {
    /// Everything, settings memory and stored codes too: the board starts as new.
    Chip,
    /// Only the pages that the image has bytes for; what firmware stored elsewhere stays.
    Pages,
}

/// What was flashed, where, and whether it was seen to be there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// The image's name.
    pub image: String,
    /// The hash of what was flashed, personality included: [`Image::sha256`].
    pub image_sha256: String,
    /// The hash of the file it came from.
    pub file_sha256: String,
    /// The chip it was flashed to, as its target description is called.
    pub chip: String,
    /// The probe, as it calls itself.
    pub probe: String,
    /// Bytes of the image in flash.
    pub flash_bytes: u64,
    /// Bytes of the image in settings memory, the nRF51's UICR.
    pub settings_bytes: u64,
    /// What was erased before.
    pub erase: Erase,
    /// Pages of flash that were programmed.
    pub pages: u32,
    /// Every byte was read back and compared.
    pub verified: bool,
    /// Nothing of the image was written, because it was there.
    pub already: bool,
}

/// How far flashing has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes done of this stage.
    pub done: u64,
    /// Bytes to do in this stage; unknown when the whole chip is erased at once.
    pub total: Option<u64>,
}

/// The stages of flashing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Flash is erased.
    Erase,
    /// Bytes are written.
    Program,
    /// Bytes are read back and compared.
    Verify,
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

/// Something that a probe could not do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{device}: {doing}: {saw}")]
pub struct ProbeTrouble {
    /// The probe and the chip: `probe "swd" on nRF51822_xxAA`.
    pub device: String,
    /// What was being done: `programming "safe.elf"`.
    pub doing: String,
    /// The kind, for code that branches on it.
    pub fault: Fault,
    /// What was seen.
    pub saw: String,
    /// What to try.
    pub hint: String,
}

/// The kinds of [`ProbeTrouble`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The probe could not be opened.
    Port(PortProblem),
    /// The chip has no supply. This is a state of the bench, which a scenario may have brought about.
    Unpowered {
        /// What the probe measured.
        millivolts: u32,
    },
    /// The probe works, and no chip answers it.
    NoAnswer,
    /// A chip answers, and it is not the one that the bench file names.
    OtherChip,
    /// There was a session, and it is gone: supply lost, or a cable. Attach again.
    Lost,
    /// No session was begun.
    NotAttached,
    /// The chip did not do what it was told within the bound.
    Timeout,
    /// The flash algorithm failed, or could not be run.
    Flash,
    /// The chip is protected from being read, and nobody asked for it to be erased.
    Locked,
    /// Flash does not hold what was written to it.
    Mismatch {
        /// The first address that differs.
        address: u32,
        /// What was written.
        wrote: u8,
        /// What is there.
        read: u8,
    },
    /// The order makes no sense for this chip or in this state: an image for another chip, too many
    /// breakpoints, an address that is no memory.
    Order,
    /// The firmware has no RTT channel of that number, or has not made it yet.
    NoRtt,
}

impl Fault {
    /// Whether the caller asked for something impossible, rather than the bench being broken.
    pub fn is_usage(self) -> bool {
        matches!(self, Fault::Order | Fault::NotAttached)
    }
}

impl From<ProbeTrouble> for DeviceTrouble {
    fn from(probe: ProbeTrouble) -> DeviceTrouble {
        DeviceTrouble {
            device: probe.device,
            doing: probe.doing,
            what: Trouble::Refused,
            saw: probe.saw,
            hint: probe.hint,
        }
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
                Err(trouble) if trouble.fault == Fault::NoAnswer && attempt < how.attempts_max => {
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
            .map_err(|error| self.explain(doing, error.into()))?;
        let registry = registry(&self.chip);
        let session = if how.under_reset {
            probe.attach_under_reset_with_registry(self.chip.as_str(), permissions, &registry)
        } else {
            probe.attach_with_registry(self.chip.as_str(), permissions, &registry)
        };
        session.map_err(|error| match self.explain(doing, error) {
            // A session that never was is not lost.
            lost if lost.fault == Fault::Lost => self.trouble(doing, Fault::NoAnswer, lost.saw),
            trouble => trouble,
        })
    }

    /// Whether the chip keeps its flash from probes. Chips that lock out the probe itself cannot be attached
    /// to, which says [`Fault::Locked`]; the nRF51 lets one in, which then reads zeros.
    pub fn is_locked(&mut self) -> Result<bool, ProbeTrouble> {
        if !self.chip.starts_with("nRF51") {
            return Ok(false);
        }
        Ok(self.read_word(NRF51_RBPCONF)? & NRF51_PALL != NRF51_PALL)
    }

    /// Attaches, and erases the whole chip if it is locked, which unlocks it; whether it was. The session is
    /// over then, and the supply should be cut before the next one: what the old firmware started, such as a
    /// watchdog, outlives its flash.
    pub fn unlock(
        &mut self,
        open: &mut dyn FnMut() -> Result<probe_rs::probe::Probe, PortTrouble>,
    ) -> Result<bool, ProbeTrouble> {
        let doing = "erasing a locked chip";
        self.attach_with(
            open,
            Attach::default(),
            &Permissions::new().allow_erase_all(),
        )?;
        let was_locked = self.is_locked()?;
        if was_locked {
            let session = self.session(doing)?;
            let erased = erase_all(session, &mut FlashProgress::empty(), false);
            erased.map_err(|error| self.explain_flash(doing, &error))?;
            self.reset_and_halt()?;
        }
        self.detach();
        Ok(was_locked)
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

    /// Erases, programs, and reads back; `watch` is told how far it is.
    ///
    /// Afterwards the chip has been reset and is halted before its first instruction. After an error
    /// its flash holds anything, and it must not be run; a locked chip is left as it is.
    pub fn flash(
        &mut self,
        image: &Image,
        how: Flashing,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<Receipt, ProbeTrouble> {
        let doing = format!("flashing \"{}\"", image.name());
        if image.chip() != self.chip {
            let saw = format!("the image was checked for {}", image.chip());
            return Err(self.trouble(&doing, Fault::Order, saw));
        }
        self.rtt = None;
        if self.is_locked()? {
            let saw = "the chip is protected from being read".into();
            return Err(self.trouble(&doing, Fault::Locked, saw));
        }
        if how.spare && self.clean_around(&doing, image, how.erase)? {
            return self.flashed(&doing, image, how.erase, true, 0);
        }
        let session = self.session(&doing)?;
        let mut loader = session.target().flash_loader();
        for segment in image.segments().iter().chain(image.settings()) {
            if let Err(error) = loader.add_data(u64::from(segment.address), &segment.bytes) {
                return Err(self.explain_flash(&doing, &error));
            }
        }
        let mut tally = Tally::new(watch);
        // probe-rs' own chip erase gives way to erasing pages where one of the chip's memories has
        // to be erased by pages, as the UICR has, and would leave the other pages as they are.
        let erased = match how.erase {
            Erase::Chip => {
                let mut progress = FlashProgress::new(|event| tally.count(&event));
                erase_all(session, &mut progress, false)
            }
            Erase::Pages => Ok(()),
        };
        let done = erased.and_then(|()| {
            let mut options = DownloadOptions::new();
            options.skip_erase = how.erase == Erase::Chip;
            options.verify = how.verify;
            options.progress = FlashProgress::new(|event| tally.count(&event));
            loader.commit(session, options)
        });
        let pages = tally.pages;
        match done {
            Ok(()) => {}
            Err(FlashError::Verify) => return Err(self.mismatch(&doing, image)),
            Err(error) => return Err(self.explain_flash(&doing, &error)),
        }
        let mut receipt = self.flashed(&doing, image, how.erase, false, pages)?;
        receipt.verified = how.verify;
        Ok(receipt)
    }

    /// Leaves the chip as flashing leaves it.
    fn flashed(
        &mut self,
        doing: &str,
        image: &Image,
        erase: Erase,
        already: bool,
        pages: u32,
    ) -> Result<Receipt, ProbeTrouble> {
        self.reset_and_halt()?;
        self.with_core(doing, clear_rtt)?;
        let bytes = |segments: &[Segment]| segments.iter().map(|s| s.bytes.len() as u64).sum();
        Ok(Receipt {
            image: image.name().to_owned(),
            image_sha256: image.sha256().to_string(),
            file_sha256: image.file_sha256().to_string(),
            chip: self.chip.clone(),
            probe: self.probe.clone(),
            flash_bytes: bytes(image.segments()),
            settings_bytes: bytes(image.settings()),
            erase,
            pages,
            verified: true,
            already,
        })
    }

    /// If the chip holds the image: erases what else is to be erased and is not. False, if the image has to be
    /// written.
    fn clean_around(
        &mut self,
        doing: &str,
        image: &Image,
        erase: Erase,
    ) -> Result<bool, ProbeTrouble> {
        if self.first_difference(doing, image)?.is_some() {
            return Ok(false);
        }
        if erase == Erase::Pages {
            return Ok(true);
        }
        let target = self.session(doing)?.target();
        let regions = target.memory_map.iter();
        let regions: Vec<NvmRegion> = regions
            .filter_map(|region| region.as_nvm_region().cloned())
            .filter(|region| !region.is_alias)
            .collect();
        let algorithms = target.flash_algorithms.iter();
        let layouts: Vec<_> = algorithms
            .map(|algorithm| algorithm.flash_properties.clone())
            .collect();
        let mut dirty = Vec::new();
        for region in regions {
            let mut layouts = layouts.iter();
            let layout = layouts.find(|one| one.address_range.contains(&region.range.start));
            let Some(layout) = layout else {
                continue;
            };
            for sector in sectors(layout, &region.range) {
                let mut bytes = vec![0; (sector.end - sector.start) as usize];
                self.with_core(doing, |core| core.read(sector.start, &mut bytes))?;
                let erased = layout.erased_byte_value;
                let holds_image = take_out(image, &mut bytes, sector.start, erased);
                if bytes.iter().all(|byte| *byte == erased) {
                    continue;
                }
                if holds_image {
                    return Ok(false);
                }
                dirty.push(sector);
            }
        }
        for sector in dirty {
            let session = self.session(doing)?;
            let erased = erase_range(
                session,
                &mut FlashProgress::empty(),
                sector.start,
                sector.end,
                false,
            );
            erased.map_err(|error| self.explain_flash(doing, &error))?;
        }
        Ok(true)
    }

    /// Compares flash with `image`, without changing it.
    pub fn verify(&mut self, image: &Image) -> Result<(), ProbeTrouble> {
        let doing = format!("verifying \"{}\"", image.name());
        match self.first_difference(&doing, image)? {
            None => Ok(()),
            Some((address, wrote, read)) => Err(self.differs(&doing, address, wrote, read)),
        }
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

    fn mismatch(&mut self, doing: &str, image: &Image) -> ProbeTrouble {
        match self.first_difference(doing, image) {
            Ok(Some((address, wrote, read))) => self.differs(doing, address, wrote, read),
            Ok(None) => self.trouble(
                doing,
                Fault::Flash,
                "flash differed when it was compared, and no longer does".into(),
            ),
            Err(trouble) => trouble,
        }
    }

    fn differs(&self, doing: &str, address: u32, wrote: u8, read: u8) -> ProbeTrouble {
        let saw = format!("{address:#010x} holds {read:#04x}, expected {wrote:#04x}");
        self.trouble(
            doing,
            Fault::Mismatch {
                address,
                wrote,
                read,
            },
            saw,
        )
    }

    fn first_difference(
        &mut self,
        doing: &str,
        image: &Image,
    ) -> Result<Option<(u32, u8, u8)>, ProbeTrouble> {
        for segment in image.segments().iter().chain(image.settings()) {
            let mut found = vec![0; segment.bytes.len()];
            self.with_core(doing, |core| {
                core.read(u64::from(segment.address), &mut found)
            })?;
            let pairs = segment.bytes.iter().zip(&found);
            if let Some((at, (wrote, read))) = pairs.enumerate().find(|(_, (a, b))| a != b) {
                return Ok(Some((segment.address + at as u32, *wrote, *read)));
            }
        }
        Ok(None)
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

    fn explain_flash(&mut self, doing: &str, error: &FlashError) -> ProbeTrouble {
        let fault = match causes::<probe_rs::Error>(error).next() {
            Some(inner) if fault_of(inner) == Fault::Lost => Fault::Lost,
            _ if matches!(error, FlashError::NoSuitableNvm { .. }) => Fault::Order,
            _ => Fault::Flash,
        };
        if fault == Fault::Lost {
            self.detach();
        }
        self.trouble(doing, fault, chain(error))
    }

    fn explain(&mut self, doing: &str, error: probe_rs::Error) -> ProbeTrouble {
        let fault = fault_of(&error);
        if fault == Fault::Lost {
            self.detach();
        }
        self.trouble(doing, fault, chain(&error))
    }
}

/// The sectors of a region of flash.
fn sectors(layout: &FlashProperties, region: &Range<u64>) -> Vec<Range<u64>> {
    let mut sectors = Vec::new();
    let mut at = layout.address_range.start;
    while at < region.end.min(layout.address_range.end) {
        let offset = at - layout.address_range.start;
        let size = layout
            .sectors
            .iter()
            .rfind(|sector| sector.address <= offset)
            .map_or(1, |sector| sector.size.max(1));
        if at >= region.start {
            sectors.push(at..at + size);
        }
        at += size;
    }
    sectors
}

/// Takes the image's bytes out of those of a sector; whether there were any.
fn take_out(image: &Image, bytes: &mut [u8], sector: u64, erased: u8) -> bool {
    let mut any = false;
    for segment in image.segments().iter().chain(image.settings()) {
        let from = u64::from(segment.address).max(sector);
        let to = u64::from(segment.address) + segment.bytes.len() as u64;
        let to = to.min(sector + bytes.len() as u64);
        if from < to {
            bytes[(from - sector) as usize..(to - sector) as usize].fill(erased);
            any = true;
        }
    }
    any
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

fn fault_of(error: &probe_rs::Error) -> Fault {
    use probe_rs::Error;
    match error {
        Error::Timeout => Fault::Timeout,
        Error::ChipNotFound(_) => Fault::OtherChip,
        Error::MissingPermissions(_) => Fault::Locked,
        Error::Arm(error) => match error {
            ArmError::Timeout => Fault::Timeout,
            ArmError::NoArmTarget | ArmError::ApDoesNotExist(_) => Fault::OtherChip,
            ArmError::NoTargetResponse { .. } => Fault::NoAnswer,
            ArmError::MissingPermissions(_) => Fault::Locked,
            ArmError::CoreNotHalted
            | ArmError::AddressOutOf32BitAddressSpace
            | ArmError::OutOfBounds
            | ArmError::UnsupportedBreakpointAddress(_)
            | ArmError::MemoryNotAligned(_)
            | ArmError::Other(_) => Fault::Order,
            // The chip answered: it has nothing at that address.
            other if causes::<DapError>(other).any(is_fault_response) => Fault::Order,
            _ => Fault::Lost,
        },
        Error::Probe(DebugProbeError::TargetNotFound) => Fault::NoAnswer,
        Error::Probe(DebugProbeError::Timeout) => Fault::Timeout,
        Error::Probe(_) => Fault::Lost,
        _ => Fault::Order,
    }
}

fn is_fault_response(error: &DapError) -> bool {
    matches!(error, DapError::FaultResponse)
}

/// The causes of an error that are of the type `E`, outermost first.
fn causes<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a E> {
    std::iter::successors(error.source(), |cause| (*cause).source())
        .filter_map(|cause| cause.downcast_ref())
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

fn hint(fault: Fault) -> &'static str {
    match fault {
        Fault::Port(problem) => port_hint(problem),
        Fault::Unpowered { .. } => "switch the supply on before attaching",
        Fault::NoAnswer => "check the chip's supply and the SWDIO and SWCLK wires",
        Fault::OtherChip => "does the bench file name the chip that is on the board?",
        Fault::Lost => "did the chip lose its supply? attach again once it is back",
        Fault::NotAttached => "attach first",
        Fault::Timeout => "is the chip held in reset, or asleep with its debug port off?",
        Fault::Flash => {
            "erase the whole chip; is its supply above 1.8 V, and is the flash protected?"
        }
        Fault::Locked => {
            "erasing all of it unlocks it: 'lockrig flash --unlock', or 'when-locked = \"erase\"' under [probe] in the bench file"
        }
        Fault::Mismatch { .. } => "erase the whole chip and flash again; is the supply steady?",
        Fault::Order => "compare the order with the chip's memory map and the core's state",
        Fault::NoRtt => "has the firmware set up RTT since the last reset?",
    }
}

fn port_hint(problem: PortProblem) -> &'static str {
    match problem {
        PortProblem::Absent => {
            "is the probe plugged in? 'probe-rs list' shows the selectors of those that are"
        }
        PortProblem::Denied => "may this user open USB devices? on Linux: probe-rs' udev rules",
        PortProblem::Busy => "close the other program that uses the probe",
        PortProblem::Lost => "check the probe's cable, then start the run again",
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = first_line(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = first_line(&error.to_string());
        if !text.ends_with(&line) {
            text = format!("{}: {line}", text.trim_end_matches('.'));
        }
        cause = error.source();
    }
    text
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_owned()
}

/// Turns probe-rs' events into how far flashing is.
struct Tally<'a> {
    watch: &'a mut dyn FnMut(Progress),
    done: [u64; 3],
    total: [Option<u64>; 3],
    pages: u32,
}

impl<'a> Tally<'a> {
    fn new(watch: &'a mut dyn FnMut(Progress)) -> Tally<'a> {
        Tally {
            watch,
            done: [0; 3],
            total: [None; 3],
            pages: 0,
        }
    }

    fn count(&mut self, event: &ProgressEvent) {
        let (operation, size) = match event {
            ProgressEvent::AddProgressBar { operation, total } => {
                if let (Some((_, index)), Some(more)) = (stage(operation), total) {
                    let so_far = self.total[index].unwrap_or(0);
                    self.total[index] = Some(so_far + more);
                }
                return;
            }
            ProgressEvent::Started(operation) => (operation, 0),
            ProgressEvent::Progress {
                operation, size, ..
            } => (operation, *size),
            _ => return,
        };
        let Some((stage, index)) = stage(operation) else {
            return;
        };
        if stage == Stage::Program && size > 0 {
            self.pages += 1;
        }
        self.done[index] += size;
        (self.watch)(Progress {
            stage,
            done: self.done[index],
            total: self.total[index],
        });
    }
}

fn stage(operation: &ProgressOperation) -> Option<(Stage, usize)> {
    match operation {
        ProgressOperation::Erase => Some((Stage::Erase, 0)),
        ProgressOperation::Program => Some((Stage::Program, 1)),
        ProgressOperation::Verify => Some((Stage::Verify, 2)),
        ProgressOperation::Fill => None,
    }
}
