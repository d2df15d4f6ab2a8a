//! gdb's end of the debug port: gdbstub speaks the protocol, and what it asks for is done through the
//! same debug port that probes use.
//!
//! Attaching halts the core, detaching lets it run. Every breakpoint takes one of the chip's four
//! comparators, whichever kind gdb asks for, so breakpoints in flash need no writes to flash.

use std::convert::Infallible;

use gdbstub::arch::{Arch, Registers};
use gdbstub::common::Signal;
use gdbstub::conn::Connection;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{GdbStub, SingleThreadStopReason};
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::singlethread::{
    SingleThreadBase, SingleThreadResume, SingleThreadResumeOps, SingleThreadSingleStep,
    SingleThreadSingleStepOps,
};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, SwBreakpoint, SwBreakpointOps,
};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps, outputln};
use gdbstub::target::{Target, TargetError, TargetResult};
use lockrig_sim::bench::VirtualBench;
use lockrig_sim::chip::debug::{DebugFault, DebugPort};

const DHCSR: u32 = 0xe000_edf0;
const DCRSR: u32 = 0xe000_edf4;
const DCRDR: u32 = 0xe000_edf8;
const DEMCR: u32 = 0xe000_edfc;
const AIRCR: u32 = 0xe000_ed0c;
const BREAKPOINT_CONTROL: u32 = 0xe000_2000;
const COMPARATORS: [u32; 4] = [0xe000_2008, 0xe000_200c, 0xe000_2010, 0xe000_2014];

const DHCSR_KEY: u32 = 0xa05f << 16;
const ENABLE: u32 = 1;
const HALT: u32 = 1 << 1;
const STEP: u32 = 1 << 2;
const MASK_INTERRUPTS: u32 = 1 << 3;
const CATCH_RESET: u32 = 1;
const RESET_REQUEST: u32 = 0x05fa << 16 | 1 << 2;

/// Numbers of DCRSR: R0 to R15, xPSR, MSP, PSP.
const REGISTERS: usize = 19;

/// What gdb is told of the core; its register numbers are gdb's own for this profile.
const DESCRIPTION: &str = r#"<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target version="1.0">
<architecture>arm</architecture>
<feature name="org.gnu.gdb.arm.m-profile">
<reg name="r0" bitsize="32"/><reg name="r1" bitsize="32"/><reg name="r2" bitsize="32"/>
<reg name="r3" bitsize="32"/><reg name="r4" bitsize="32"/><reg name="r5" bitsize="32"/>
<reg name="r6" bitsize="32"/><reg name="r7" bitsize="32"/><reg name="r8" bitsize="32"/>
<reg name="r9" bitsize="32"/><reg name="r10" bitsize="32"/><reg name="r11" bitsize="32"/>
<reg name="r12" bitsize="32"/><reg name="sp" bitsize="32" type="data_ptr"/>
<reg name="lr" bitsize="32"/><reg name="pc" bitsize="32" type="code_ptr"/>
<reg name="xpsr" bitsize="32" regnum="25"/>
</feature>
<feature name="org.gnu.gdb.arm.m-system">
<reg name="msp" bitsize="32" type="data_ptr"/><reg name="psp" bitsize="32" type="data_ptr"/>
</feature>
</target>"#;

/// A gdb that is connected; nothing once it has said good-bye, or nonsense.
pub struct Debugger(Option<Stub>);

type Stub = GdbStubStateMachine<'static, Core, Outbox>;

impl Debugger {
    /// Halts the core for a gdb that has come.
    pub fn attach(core: &mut Core) -> Debugger {
        // A chip without supply answers nothing; gdb is told so when it asks for something.
        let _ = core.write(DHCSR, DHCSR_KEY | ENABLE | HALT);
        Debugger(GdbStub::new(Outbox::default()).run_state_machine(core).ok())
    }

    /// Lets the core run, without breakpoints.
    pub fn detach(self, core: &mut Core) {
        let released = COMPARATORS
            .iter()
            .try_for_each(|comparator| core.write(*comparator, 0));
        // A chip without supply has forgotten the debugger already.
        let _ = released.and_then(|()| core.write(DHCSR, DHCSR_KEY));
    }

    /// A byte came from gdb; what goes back is returned.
    pub fn receive(&mut self, byte: u8, core: &mut Core) -> Vec<u8> {
        let next = match self.0.take() {
            Some(Stub::Idle(stub)) => stub.incoming_data(core, byte).ok(),
            Some(Stub::Running(stub)) => stub.incoming_data(core, byte).ok(),
            _ => None,
        };
        self.0 = match next {
            Some(Stub::CtrlCInterrupt(stub)) => {
                let _ = core.write(DHCSR, DHCSR_KEY | ENABLE | HALT);
                let reason = Some(SingleThreadStopReason::Signal(Signal::SIGINT));
                stub.interrupt_handled(core, reason).ok()
            }
            next => next,
        };
        self.outbox()
    }

    /// Tells gdb that the core has halted, where it waits for that.
    pub fn look(&mut self, core: &mut Core) -> Vec<u8> {
        self.0 = match self.0.take() {
            Some(Stub::Running(stub)) if core.bench.chip().is_halted() => {
                let reason = match std::mem::take(&mut core.steps) {
                    true => SingleThreadStopReason::DoneStep,
                    false => SingleThreadStopReason::HwBreak(()),
                };
                stub.report_stop(core, reason).ok()
            }
            other => other,
        };
        self.outbox()
    }

    fn outbox(&mut self) -> Vec<u8> {
        let outbox = match &mut self.0 {
            Some(Stub::Idle(stub)) => stub.borrow_conn(),
            Some(Stub::Running(stub)) => stub.borrow_conn(),
            Some(Stub::CtrlCInterrupt(stub)) => stub.borrow_conn(),
            Some(Stub::Disconnected(stub)) => stub.borrow_conn(),
            None => return Vec::new(),
        };
        std::mem::take(&mut outbox.0)
    }
}

/// What goes back to gdb.
#[derive(Default)]
struct Outbox(Vec<u8>);

impl Connection for Outbox {
    type Error = Infallible;

    fn write(&mut self, byte: u8) -> Result<(), Infallible> {
        self.0.push(byte);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The bench, as gdb sees it: a core behind a debug port.
pub struct Core {
    /// The bench.
    pub bench: VirtualBench,
    /// The core was told to make one step.
    steps: bool,
}

impl Core {
    /// The core of this bench.
    pub fn new(bench: VirtualBench) -> Core {
        Core {
            bench,
            steps: false,
        }
    }

    /// The debug port, powered.
    fn port(&mut self) -> Result<DebugPort<'_>, DebugFault> {
        const CONTROL: u8 = 0x4;
        const POWER: u32 = 1 << 30 | 1 << 28;
        let mut port = DebugPort::in_real_time(&mut self.bench);
        port.dp_write(CONTROL, POWER)?;
        Ok(port)
    }

    fn read_memory(&mut self, address: u32, into: &mut [u8]) -> Result<(), DebugFault> {
        let mut port = self.port()?;
        port.read_memory(0, CONTROL_WORD, address, into)
            .inspect_err(|_| forget_errors(&mut port))
    }

    fn write_memory(&mut self, address: u32, from: &[u8]) -> Result<(), DebugFault> {
        let mut port = self.port()?;
        port.write_memory(0, CONTROL_WORD, address, from)
            .inspect_err(|_| forget_errors(&mut port))
    }

    fn read(&mut self, address: u32) -> Result<u32, DebugFault> {
        let mut bytes = [0; 4];
        self.read_memory(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn write(&mut self, address: u32, value: u32) -> Result<(), DebugFault> {
        self.write_memory(address, &value.to_le_bytes())
    }

    fn breakpoint(&mut self, address: u32, set: bool) -> TargetResult<bool, Self> {
        let value = comparator(address);
        for place in COMPARATORS {
            let there = self.read(place).map_err(refusal)?;
            if set && there & 1 == 0 {
                self.write(BREAKPOINT_CONTROL, 3).map_err(refusal)?;
                self.write(place, value).map_err(refusal)?;
                return Ok(true);
            }
            if !set && there == value {
                self.write(place, 0).map_err(refusal)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What the access port's CSW holds beside size and increment.
const CONTROL_WORD: u32 = 0x2300_0040;

/// A fault stays in the debug port until it is cleared.
fn forget_errors(port: &mut DebugPort<'_>) {
    const ABORT: u8 = 0x0;
    const CLEAR: u32 = 0x1e;
    let _ = port.dp_write(ABORT, CLEAR);
}

/// A comparator's word for an instruction: enabled, upper or lower half.
fn comparator(address: u32) -> u32 {
    let half = if address & 2 == 0 { 1 << 30 } else { 1 << 31 };
    address & 0x1fff_fffc | half | 1
}

fn refusal(_: DebugFault) -> TargetError<Infallible> {
    TargetError::NonFatal
}

impl Target for Core {
    type Arch = ArmV6M;
    type Error = Infallible;

    fn base_ops(&mut self) -> BaseOps<'_, ArmV6M, Infallible> {
        BaseOps::SingleThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }
}

impl SingleThreadBase for Core {
    fn read_registers(&mut self, registers: &mut CoreRegisters) -> TargetResult<(), Self> {
        for (number, value) in (0..).zip(&mut registers.0) {
            self.write(DCRSR, number).map_err(refusal)?;
            *value = self.read(DCRDR).map_err(refusal)?;
        }
        Ok(())
    }

    fn write_registers(&mut self, registers: &CoreRegisters) -> TargetResult<(), Self> {
        const WRITE: u32 = 1 << 16;
        for (number, value) in (0..).zip(registers.0) {
            // Two names for one register: what is written to the first of them counts.
            if number < 17 {
                self.write(DCRDR, value).map_err(refusal)?;
                self.write(DCRSR, WRITE | number).map_err(refusal)?;
            }
        }
        Ok(())
    }

    fn read_addrs(&mut self, start: u32, data: &mut [u8]) -> TargetResult<usize, Self> {
        self.read_memory(start, data).map_err(refusal)?;
        Ok(data.len())
    }

    fn write_addrs(&mut self, start: u32, data: &[u8]) -> TargetResult<(), Self> {
        self.write_memory(start, data).map_err(refusal)
    }

    fn support_resume(&mut self) -> Option<SingleThreadResumeOps<'_, Self>> {
        Some(self)
    }
}

impl SingleThreadResume for Core {
    fn resume(&mut self, _signal: Option<Signal>) -> Result<(), Infallible> {
        self.steps = false;
        // Without supply nothing runs, and nothing is reported until gdb interrupts.
        let _ = self.write(DHCSR, DHCSR_KEY | ENABLE);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<SingleThreadSingleStepOps<'_, Self>> {
        Some(self)
    }
}

impl SingleThreadSingleStep for Core {
    fn step(&mut self, _signal: Option<Signal>) -> Result<(), Infallible> {
        self.steps = true;
        // As probes do: a step is one instruction of what is being looked at, not of a handler.
        let masked = DHCSR_KEY | ENABLE | MASK_INTERRUPTS;
        let _ = self
            .write(DHCSR, masked | HALT)
            .and_then(|()| self.write(DHCSR, masked | STEP));
        Ok(())
    }
}

impl Breakpoints for Core {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for Core {
    fn add_sw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        self.breakpoint(address, true)
    }

    fn remove_sw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        self.breakpoint(address, false)
    }
}

impl HwBreakpoint for Core {
    fn add_hw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        self.breakpoint(address, true)
    }

    fn remove_hw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        self.breakpoint(address, false)
    }
}

impl MonitorCmd for Core {
    fn handle_monitor_cmd(
        &mut self,
        command: &[u8],
        mut out: ConsoleOutput<'_>,
    ) -> Result<(), Infallible> {
        match command {
            b"reset" => {
                let done = self
                    .write(DEMCR, CATCH_RESET)
                    .and_then(|()| self.write(AIRCR, RESET_REQUEST))
                    .and_then(|()| self.write(DEMCR, 0));
                match done {
                    Ok(()) => outputln!(out, "reset, and halted before the first instruction"),
                    Err(why) => outputln!(out, "resetting the chip: {why}"),
                }
            }
            b"time" => outputln!(out, "{} ns of bench time", self.bench.now().as_nanos()),
            _ => outputln!(out, "there are: monitor reset, monitor time"),
        }
        Ok(())
    }
}

/// The core's registers: R0 to R15, xPSR, MSP, PSP, as DCRSR numbers them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CoreRegisters([u32; REGISTERS]);

impl Registers for CoreRegisters {
    type ProgramCounter = u32;

    fn pc(&self) -> u32 {
        self.0[15]
    }

    fn gdb_serialize(&self, mut write_byte: impl FnMut(Option<u8>)) {
        for byte in self.0.iter().flat_map(|value| value.to_le_bytes()) {
            write_byte(Some(byte));
        }
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        let (words, rest) = bytes.as_chunks::<4>();
        if words.len() != REGISTERS || !rest.is_empty() {
            return Err(());
        }
        for (value, word) in self.0.iter_mut().zip(words) {
            *value = u32::from_le_bytes(*word);
        }
        Ok(())
    }
}

/// ARMv6-M, as gdbstub wants it told. Its registers are only ever read and written together.
pub enum ArmV6M {}

impl Arch for ArmV6M {
    type Usize = u32;
    type Registers = CoreRegisters;
    type BreakpointKind = usize;
    type RegId = ();

    fn target_description_xml() -> Option<&'static str> {
        Some(DESCRIPTION)
    }
}
