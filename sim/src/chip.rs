//! The emulated nRF51822: core, memories, peripherals and debug port around one clock.
//!
//! [`Chip::run`] lets time pass until a deadline or until something happened that the world outside
//! must react to before the next instruction. Inputs are set between runs. A clone is a fork: flash
//! and decoded code are shared until one side writes.
//!
//! - `core` executes instructions and knows no time.
//! - `memory` holds flash, UICR, RAM; `bus` is how the core reaches them and the rest.
//! - `peripherals` is everything behind the bus, with the flash controller's physics.
//! - `debug` is what a probe sees; `edges` notes which ways the program takes; `glitch` lets one
//!   instruction go wrong.

mod bus;
pub(crate) mod core;
pub mod debug;
pub mod dependence;
pub mod edges;
pub mod glitch;
pub mod memory;
pub mod nvmc;
pub mod peripherals;

use educe::Educe;

use self::bus::{Did, FastBus, FullBus, POLLS_MAX};
use self::core::decode::{self, Code, Op};
use self::core::system::{HARD_FAULT, SV_CALL};
use self::core::{Bus, Core, Doing, Exit, Registers, Stretch, exception, execute};
use self::debug::halting::{Halting, Reason};
use self::debug::{DebugPort, PortState};
use self::edges::{Edges, Follows};
use self::glitch::Watch;
use self::memory::{FLASH_BYTES, Memory};
use self::peripherals::{Outcome, Peripherals, Processor, ResetCause};
use crate::time::Ticks;

/// From a reset's cause to the core's first instruction. The reference manual gives no figure for
/// Readback protection, in the UICR; its bits for all of code flash are ones where there is none.
const RBPCONF: u32 = 0x1000_1004;
const RBPCONF_PALL: u32 = 0xff00;

/// soft resets; what matters is that a chip that resets for ever lets time pass.
const RESET_TIME: Ticks = Ticks::from_micros(10);

/// The most cycles that the core is given at once.
const BUDGET_MAX: u64 = 1 << 40;
/// Polls of other registers that a polling loop may do in one round.
const OTHER_POLLS_MAX: u8 = 4;

/// Why [`Chip::run`] returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stopped {
    /// The deadline is reached.
    Deadline,
    /// An output, direction or pull of a pin changed: the nets must settle before the next
    /// instruction.
    Pins,
    /// A byte left the UART: see [`Chip::take_uart`].
    Uart,
    /// A flash operation started or ended.
    Flash,
    /// The core was halted by the debugger, a breakpoint or a vector catch.
    Halted,
    /// An instruction is about to be executed: see [`Chip::instruction`].
    Instruction,
}

/// What happened and was not reported yet.
#[derive(Clone, Copy, Debug, Hash, Default)]
struct Stops {
    pins: bool,
    uart: bool,
    flash: bool,
    halted: bool,
    instruction: bool,
}

impl Stops {
    fn take(&mut self) -> Option<Stopped> {
        let stops = [
            (&mut self.flash, Stopped::Flash),
            (&mut self.pins, Stopped::Pins),
            (&mut self.uart, Stopped::Uart),
            (&mut self.halted, Stopped::Halted),
            (&mut self.instruction, Stopped::Instruction),
        ];
        stops
            .into_iter()
            .find_map(|(pending, stopped)| std::mem::take(pending).then_some(stopped))
    }
}

/// A read of a register that changes by events only, since when nothing but core registers changed.
/// If the same read comes again with the same registers, the core waits in a loop for that event,
/// and the rounds until then need not be executed.
#[derive(Clone, Debug, Hash)]
struct Poll {
    registers: Registers,
    at: Ticks,
    /// Such reads since then.
    others: u8,
}

/// The core's registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreState {
    /// R0 to R12, the current stack pointer, LR, and the address of the next instruction.
    pub registers: [u32; 16],
    /// Flags, the Thumb bit, and the number of the exception being handled.
    pub xpsr: u32,
    /// MSP.
    pub main_stack: u32,
    /// PSP.
    pub process_stack: u32,
    /// PRIMASK.
    pub primask: u32,
    /// CONTROL.
    pub control: u32,
    /// The core waits in WFI or WFE.
    pub asleep: bool,
    /// The core faulted where it could not handle a fault.
    pub locked_up: bool,
}

/// Whether the chip has supply, and whether it uses it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
enum Power {
    Unsupplied,
    SystemOff,
    On,
}

/// The chip.
#[derive(Clone, Debug, Educe)]
#[educe(Hash)]
pub struct Chip {
    now: Ticks,
    power: Power,
    core: Core,
    memory: Memory,
    peripherals: Peripherals,
    port: PortState,
    halting: Halting,
    /// The debugger reads nothing of code flash, since the last reset.
    readback_protected: bool,
    /// The reset pin is held low.
    held: bool,
    /// Until when the core is held in reset.
    core_busy: Ticks,
    /// Until when flash cannot be read; zero if it can.
    flash_busy: Ticks,
    /// When the peripherals next need to be advanced.
    next_event: Ticks,
    stops: Stops,
    poll: Option<Poll>,
    /// When the core was last reset because it had locked up, if it has executed nothing since.
    futile_reset: Option<Ticks>,
    seed: u64,
    power_cycles: u64,
    awake: Ticks,
    #[educe(Hash(ignore))]
    edges: Option<Edges>,
    watch: Option<Watch>,
    crashes: u64,
}

impl Chip {
    /// A chip without supply and with erased flash. What is noise in it follows from `seed`.
    pub fn new(seed: u64) -> Chip {
        Chip {
            now: Ticks::ZERO,
            power: Power::Unsupplied,
            core: Core::new(),
            memory: Memory::new(),
            peripherals: Peripherals::new(seed),
            port: PortState::new(),
            halting: Halting::default(),
            readback_protected: false,
            held: false,
            core_busy: Ticks::ZERO,
            flash_busy: Ticks::ZERO,
            next_event: Ticks::NEVER,
            stops: Stops::default(),
            poll: None,
            futile_reset: None,
            seed,
            power_cycles: 0,
            awake: Ticks::ZERO,
            edges: None,
            watch: None,
            crashes: 0,
        }
    }

    /// The chip's clock. It runs without supply, too.
    pub fn now(&self) -> Ticks {
        self.now
    }

    /// The memories.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The memories, to put an image into or to look after the supply was cut.
    pub fn memory_mut(&mut self) -> &mut Memory {
        self.poll = None;
        &mut self.memory
    }

    /// The peripherals, to look at pins.
    pub fn peripherals(&self) -> &Peripherals {
        &self.peripherals
    }

    /// The peripherals, to inject what no pin can.
    pub fn peripherals_mut(&mut self) -> &mut Peripherals {
        &mut self.peripherals
    }

    /// How long the core was neither asleep nor without supply; what a supply current follows from.
    pub fn awake_time(&self) -> Ticks {
        self.awake
    }

    /// Whether the core executes instructions, rather than sleeping, being halted or off.
    pub fn is_awake(&self) -> bool {
        self.power == Power::On
            && self.core.doing == Doing::Running
            && !self.held
            && !self.halting.is_halted()
    }

    /// Whether the chip has supply; it may be in System OFF all the same.
    pub fn is_supplied(&self) -> bool {
        self.power != Power::Unsupplied
    }

    /// From now on it is noted on which words of flash, from this page on, depends what happens.
    pub fn note_dependence(&mut self, from: u32) {
        self.memory.note_dependence(from);
    }

    /// From now on the ways that the program takes are noted there, or nowhere. Forks note in the same
    /// place.
    pub fn note_edges(&mut self, edges: Option<Edges>) {
        self.edges = edges;
    }

    /// How often the program was reset because it had locked up, or by the watchdog.
    pub fn crashes(&self) -> u64 {
        self.crashes
    }

    /// Whether the program is in a hard fault, or locked up.
    pub fn is_in_fault(&self) -> bool {
        self.power == Power::On
            && (self.core.system.current == HARD_FAULT || self.core.doing == Doing::LockedUp)
    }

    /// What was noted since.
    pub fn dependence(&self) -> Option<&dependence::Dependence> {
        self.memory.dependence()
    }

    /// Adds to a hash what outlives a loss of supply: flash but for some pages, UICR, and bits of them
    /// that read differently after every power-on.
    /// One page may be taken to hold other words.
    pub(crate) fn hash_lasting(
        &self,
        hasher: &mut impl std::hash::Hasher,
        without: &[u32],
        with: Option<(u32, &[u32])>,
    ) {
        self.memory.hash_flash(hasher, without, with);
        if self.peripherals.nvmc.hash_unsettled(hasher, without) {
            hasher.write_u64(self.power_cycles);
        }
    }

    /// The core's registers, as they stand between two instructions.
    pub fn core_state(&self) -> CoreState {
        let core = &self.core;
        CoreState {
            registers: core.registers.r,
            xpsr: core.xpsr(),
            main_stack: core.special(8),
            process_stack: core.special(9),
            primask: core.special(16),
            control: core.special(20),
            asleep: matches!(core.doing, Doing::Sleeping { .. }),
            locked_up: core.doing == Doing::LockedUp,
        }
    }

    /// Sets the general registers and the flags (not the exception number), and ends sleep. What a
    /// debugger would do to a halted core, without one.
    pub fn set_core_registers(&mut self, registers: &[u32; 16], xpsr: u32) {
        self.core.registers.r = *registers;
        self.core.registers.r[13] &= !3;
        self.core.registers.r[15] &= !1;
        self.core.registers.set_apsr(xpsr);
        self.core.registers.thumb = xpsr & 1 << 24 != 0;
        self.core.doing = Doing::Running;
    }

    /// The debug port. Whoever has a board around the chip makes one of that instead, with
    /// [`DebugPort::new`], so that the board lives on while a probe is at work.
    pub fn debug_port(&mut self) -> DebugPort<'_> {
        DebugPort::new(self)
    }

    /// Whether a flash operation is in progress, and until when.
    pub fn flash_busy_until(&self) -> Option<Ticks> {
        (self.flash_busy > self.now).then_some(self.flash_busy)
    }

    /// Takes the next byte that left the UART, with the end of its stop bit.
    pub fn take_uart(&mut self) -> Option<(Ticks, u8)> {
        self.peripherals.take_uart()
    }

    /// The level at a pin, as the board settles it.
    pub fn set_input(&mut self, pin: u8, high: bool) {
        self.peripherals.set_input(pin, high, self.now);
        self.heed_peripherals();
    }

    /// Nothing outside holds a pin at a level any more: the chip's own pull decides.
    pub fn float_input(&mut self, pin: u8) {
        self.peripherals.float_input(pin, self.now);
        self.heed_peripherals();
    }

    /// A byte arrives at the UART, its stop bit ending now.
    pub fn uart_receive(&mut self, byte: u8) {
        self.peripherals.uart_receive(byte, self.now);
        self.heed_peripherals();
    }

    /// The voltage at VDD. Brown-out and power-on are the board's to decide.
    pub fn set_supply(&mut self, millivolts: u32) {
        self.peripherals.set_supply(millivolts, self.now);
        self.heed_peripherals();
    }

    /// The voltage at an analog input.
    pub fn set_analog(&mut self, channel: u8, microvolts: u32) {
        self.peripherals.set_analog(channel, microvolts, self.now);
        self.heed_peripherals();
    }

    /// What losing the supply now would leave of the page that is being written to or erased; see
    /// [`nvmc::Nvmc::torn_page`].
    pub fn torn_page(&self, torn: nvmc::Torn) -> Option<(u32, [u32; memory::PAGE_WORDS])> {
        self.peripherals.nvmc.torn_page(&self.memory, torn)
    }

    /// VDD falls below the brown-out level: everything volatile is lost, and a flash operation is
    /// torn.
    pub fn power_off(&mut self) {
        if self.power == Power::Unsupplied {
            return;
        }
        self.peripherals.nvmc.cut(&mut self.memory, self.now);
        self.power = Power::Unsupplied;
        self.flash_busy = Ticks::ZERO;
        self.peripherals.reset(ResetCause::PowerOn, self.now);
        self.peripherals.take_outcome();
        self.next_event = Ticks::NEVER;
        self.port = PortState::new();
        self.halting = Halting::default();
        self.held = false;
        self.stops = Stops {
            pins: true,
            ..Stops::default()
        };
        self.power_cycles += 1;
    }

    /// Of a chip without supply: how a word of flash will read once it has one.
    pub fn word_after_power_on(&self, address: u32) -> u32 {
        let noise = self.power_on_noise();
        let nvmc = &self.peripherals.nvmc;
        nvmc.word_after_power_on(&self.memory, address, noise)
    }

    fn power_on_noise(&self) -> u64 {
        self.seed ^ self.power_cycles.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// VDD rises above the power-on level.
    pub fn power_on(&mut self) {
        if self.power != Power::Unsupplied {
            return;
        }
        let noise = self.power_on_noise();
        self.memory.scramble_ram(noise);
        self.peripherals.nvmc.power_on(&mut self.memory, noise);
        self.power = Power::On;
        self.reset(ResetCause::PowerOn);
    }

    /// The reset pin goes low for a moment.
    pub fn pin_reset(&mut self) {
        self.set_reset(true);
        self.set_reset(false);
    }

    /// The level of the reset pin, active low: held in reset, or not. The pin is SWDIO, too: in
    /// debug mode it resets only if the firmware or the probe said so in POWER.RESET.
    pub fn set_reset(&mut self, held: bool) {
        const POWER_RESET: u32 = 0x4000_0544;
        if self.held == held || self.power == Power::Unsupplied {
            return;
        }
        let heard = !self.halting.attached || self.peripherals.read(POWER_RESET, self.now) & 1 != 0;
        if held && heard {
            self.reset(ResetCause::Pin);
            self.held = true;
        } else if !held {
            self.core_busy = self.now + RESET_TIME;
            // A catch that was set while the pin was low is for this end of the reset.
            if std::mem::take(&mut self.held) {
                self.catch_reset();
            }
        }
    }

    fn reset(&mut self, cause: ResetCause) {
        self.crashes += u64::from(matches!(cause, ResetCause::Lockup | ResetCause::Watchdog));
        self.power = Power::On;
        self.peripherals.reset(cause, self.now);
        self.core
            .reset(self.memory.flash_word(0), self.memory.flash_word(4));
        self.core_busy = self.now + RESET_TIME;
        self.futile_reset = None;
        self.readback_protected = self.memory.flash_word(RBPCONF) & RBPCONF_PALL != RBPCONF_PALL;
        self.held = false;
        self.stops.pins = true;
        self.catch_reset();
        self.heed_peripherals();
    }

    /// A lock-up resets the chip. One that locks up at its first instruction goes round until something
    /// outside changes, and the rounds until the horizon need not be gone.
    fn reset_locked_up(&mut self, horizon: Ticks) {
        if let Some(before) = self.futile_reset {
            let round = (self.now - before).0;
            self.pass(horizon.since(self.now).0 / round * round);
        }
        self.reset(ResetCause::Lockup);
        self.futile_reset = Some(self.now);
    }

    /// Lets time pass until `until` or until something must be reacted to, whichever is first.
    /// May pass the deadline by the length of one instruction.
    pub fn run(&mut self, until: Ticks) -> Stopped {
        loop {
            if let Some(stopped) = self.stops.take() {
                return stopped;
            }
            if self.now >= until {
                return Stopped::Deadline;
            }
            if self.next_event <= self.now {
                self.peripherals.advance(self.now);
                self.heed_peripherals();
                continue;
            }
            if self.flash_busy != Ticks::ZERO && self.flash_busy <= self.now {
                self.flash_busy = Ticks::ZERO;
                self.peripherals.nvmc.finish(&mut self.memory, self.now);
                self.stops.flash = true;
                self.heed_peripherals();
                continue;
            }
            let horizon = until.min(self.next_event);
            self.proceed(horizon);
        }
    }

    /// Does the next thing, up to the horizon, at which something else has to be looked at.
    fn proceed(&mut self, horizon: Ticks) {
        let horizon = match self.flash_busy {
            Ticks::ZERO => horizon,
            busy => horizon.min(busy),
        };
        if self.power != Power::On || self.held || self.halting.holds() {
            if self.halting.is_halted() && self.tell_processor(Processor::Halted) {
                return;
            }
            self.now = horizon;
            return;
        }
        if self.core_busy > self.now {
            let end = horizon.min(self.core_busy);
            self.awake += end - self.now;
            self.now = end;
            return;
        }
        match self.core.doing {
            Doing::Running => {}
            Doing::Sleeping { for_event } => {
                let woken = self.core.system.wakes()
                    || for_event && std::mem::take(&mut self.core.system.event);
                if !woken {
                    if !self.tell_processor(Processor::Sleeping) {
                        self.now = horizon;
                    }
                    return;
                }
                self.core.doing = Doing::Running;
            }
            Doing::LockedUp if self.halting.attached => {
                self.futile_reset = None;
                self.now = horizon;
                return;
            }
            Doing::LockedUp => {
                self.reset_locked_up(horizon);
                return;
            }
        }
        // The NVMC halts the CPU while it writes or erases, wherever the code stands (nRF51 Series
        // Reference Manual 3.0, 6.1.1 and 6.1.3); interrupts wait, too.
        if self.flash_busy != Ticks::ZERO {
            self.awake += horizon - self.now;
            self.now = horizon;
            return;
        }
        if self.tell_processor(Processor::Running) {
            return;
        }
        let masked = self.halting.masks_interrupts();
        if let Some(exception) = self.core.system.preempting(masked) {
            if let Some(watch) = &mut self.watch {
                watch.preempted();
            }
            self.with_bus(|core, bus| core.enter(exception, bus));
            self.pass(exception::ENTRY_CYCLES);
            return;
        }
        if self.halting.watches() {
            self.watched_step();
        } else if self.watch.is_some() {
            self.tell_or_step();
        } else {
            self.burst(horizon);
        }
    }

    /// Tells the peripherals when the core stops or goes on. Returns whether that was news to any
    /// of them, which may have changed what is due next.
    fn tell_processor(&mut self, processor: Processor) -> bool {
        let news = self.peripherals.set_processor(processor, self.now);
        if news {
            self.heed_peripherals();
        }
        news
    }

    /// One instruction under the debugger's eyes.
    fn watched_step(&mut self) {
        let stepping = self.halting.stepping;
        if !stepping && self.halting.breaks_at(self.core.registers.r[15]) {
            self.halt(Reason::Breakpoint);
            return;
        }
        self.step(self.now);
        if stepping && !self.halting.is_halted() && self.core.doing != Doing::LockedUp {
            // A step over WFI does not wait: the pending halt is a reason to wake.
            self.core.doing = Doing::Running;
            self.halt(Reason::Halted);
        }
    }

    /// Runs instructions until the horizon or one that needs care, and that one. Flash is idle.
    fn burst(&mut self, horizon: Ticks) {
        match self.edges {
            None => self.burst_followed(horizon, ()),
            Some(edges) => self.burst_followed(horizon, edges),
        }
    }

    fn burst_followed(&mut self, horizon: Ticks, edges: impl Follows) {
        let budget = (horizon - self.now).0.min(BUDGET_MAX);
        let horizon = self.now + Ticks(budget);
        let Memory {
            flash,
            ram,
            ram_code,
            dependence,
        } = &mut self.memory;
        let bus = FastBus {
            edges,
            flash,
            flash_limit: match dependence {
                Some(dependence) => dependence.from(),
                None => FLASH_BYTES,
            },
            dependence: dependence.as_deref_mut(),
            ram,
            ram_code,
            peripherals: &mut self.peripherals,
            system: &mut self.core.system,
            masked: self.halting.masks_interrupts(),
            horizon,
            accessed: None,
            polls: if self.poll.is_some() { 0 } else { POLLS_MAX },
            stored: false,
        };
        let code = bus.code(self.core.registers.r[15]);
        let Some(code) = code.filter(|_| self.core.registers.thumb) else {
            let at = self.core.registers.r[15];
            return match Memory::is_ram(at) && self.core.registers.thumb {
                true => self.memory.decode_ram(at),
                false => self.step(horizon),
            };
        };
        let mut left = budget as i64;
        let (exit, bus) = execute(&mut self.core.registers, || bus, code, &mut left);
        let (horizon, accessed, stored) = (bus.horizon, bus.accessed, bus.stored);
        let now = Ticks(horizon.0.wrapping_add_signed(-left));
        if stored {
            self.poll = None;
        }
        if now > self.now {
            self.futile_reset = None;
        }
        if let Some(accessed) = accessed {
            self.pass((accessed - self.now).0);
            self.heed_peripherals();
        }
        self.pass((now - self.now).0);
        match exit {
            Exit::Budget => {}
            Exit::Refused => self.step(horizon),
            Exit::Undecoded => self.memory.decode_ram(self.core.registers.r[15]),
            Exit::Special => self.special(self.decode(self.core.registers.r[15])),
            Exit::Return(target) => self.return_to(target),
        }
    }

    fn pass(&mut self, cycles: u64) {
        self.now += Ticks(cycles);
        self.awake += Ticks(cycles);
    }

    /// One instruction over the full bus, or its fault. If it polls what does not change before the
    /// horizon, all rounds until then.
    fn step(&mut self, horizon: Ticks) {
        self.execute(self.decode(self.core.registers.r[15]), horizon);
    }

    /// The same, with what the instruction is taken to be.
    fn execute(&mut self, op: Op, horizon: Ticks) {
        let at = self.core.registers.r[15];
        self.memory.note(|dependence| dependence.note_code(at));
        if !self.core.registers.thumb || op.code == Code::Careful {
            return self.fault();
        }
        let mut left = 1;
        let mut registers = self.core.registers.clone();
        let mut bus = FullBus {
            memory: &mut self.memory,
            peripherals: &mut self.peripherals,
            system: Some(&mut self.core.system),
            now: self.now,
            flash_busy: self.flash_busy,
            did: Did::default(),
        };
        let code = Stretch {
            base: at,
            ops: &[op],
            exact: &[op],
            runs: &[decode::alone(op)],
        };
        let (exit, _) = execute(&mut registers, || &mut bus, code, &mut left);
        let FullBus {
            now,
            flash_busy,
            did,
            ..
        } = bus;
        let before = std::mem::replace(&mut self.core.registers, registers);
        let earlier = self.poll.take().filter(|_| did.polled);
        let started = self.now;
        self.account(now, flash_busy, did);
        self.pass((1 - left) as u64);
        if exit != Exit::Refused {
            self.futile_reset = None;
        }
        match exit {
            Exit::Budget | Exit::Undecoded => {
                if did.polled && !did.peripherals {
                    self.wait_polling(earlier, before, started, horizon);
                }
            }
            Exit::Refused => self.fault(),
            Exit::Special => self.special(op),
            Exit::Return(target) => self.return_to(target),
        }
    }

    /// Skips the rounds of a polling loop, if this is one, and remembers this round.
    fn wait_polling(
        &mut self,
        earlier: Option<Poll>,
        registers: Registers,
        started: Ticks,
        horizon: Ticks,
    ) {
        self.poll = match earlier {
            Some(earlier) if earlier.registers == registers => {
                let round = (started - earlier.at).0;
                let skipped = horizon.since(started + Ticks(1)).0 / round * round;
                self.pass(skipped);
                Some(Poll {
                    registers,
                    at: started + Ticks(skipped),
                    others: 0,
                })
            }
            Some(earlier) if earlier.others < OTHER_POLLS_MAX => Some(Poll {
                others: earlier.others + 1,
                ..earlier
            }),
            _ => Some(Poll {
                registers,
                at: started,
                others: 0,
            }),
        };
    }

    /// The instruction at an address, on its own.
    fn decode(&self, address: u32) -> Op {
        decode::at(address, |ahead| {
            self.memory.fetch(address.wrapping_add(2 * ahead as u32))
        })
    }

    /// Settles what accesses over the full bus led to.
    fn account(&mut self, now: Ticks, flash_busy: Ticks, did: Did) {
        self.awake += now - self.now;
        self.now = now;
        self.flash_busy = flash_busy;
        self.stops.flash |= did.flash;
        if did.reset {
            self.reset(ResetCause::Software);
        } else if did.peripherals {
            self.heed_peripherals();
        }
    }

    /// Lets the core do something that touches its stack and vectors.
    fn with_bus(&mut self, act: impl FnOnce(&mut Core, &mut FullBus<'_>)) {
        self.poll = None;
        let mut bus = FullBus {
            memory: &mut self.memory,
            peripherals: &mut self.peripherals,
            system: None,
            now: self.now,
            flash_busy: self.flash_busy,
            did: Did::default(),
        };
        act(&mut self.core, &mut bus);
        let FullBus {
            now,
            flash_busy,
            did,
            ..
        } = bus;
        self.account(now, flash_busy, did);
    }

    fn fault(&mut self) {
        self.with_bus(|core, bus| core.fault(bus));
        self.pass(exception::ENTRY_CYCLES);
        self.catch_hard_fault();
    }

    /// A probe's read of 1, 2 or 4 bytes. Code that is protected reads as zero; everything else goes on as ever,
    /// so that the chip can still be erased (nRF51 Series Reference Manual 3.0, UICR and NVMC).
    fn probe_load(&mut self, address: u32, size: u32) -> Option<u32> {
        if self.readback_protected && address < FLASH_BYTES {
            return Some(0);
        }
        self.probe_access(|bus| match size {
            1 => bus.load::<1>(address),
            2 => bus.load::<2>(address),
            _ => bus.load::<4>(address),
        })
    }

    /// A probe's write of 1, 2 or 4 bytes.
    fn probe_store(&mut self, address: u32, size: u32, value: u32) -> bool {
        self.probe_access(|bus| match size {
            1 => bus.store::<1>(address, value),
            2 => bus.store::<2>(address, value),
            _ => bus.store::<4>(address, value),
        })
    }

    fn probe_access<T>(&mut self, access: impl FnOnce(&mut FullBus<'_>) -> T) -> T {
        self.poll = None;
        let mut bus = FullBus {
            memory: &mut self.memory,
            peripherals: &mut self.peripherals,
            system: Some(&mut self.core.system),
            now: self.now,
            flash_busy: self.flash_busy,
            did: Did::default(),
        };
        let result = access(&mut bus);
        let FullBus {
            now,
            flash_busy,
            did,
            ..
        } = bus;
        self.account(now, flash_busy, did);
        result
    }

    fn return_to(&mut self, target: u32) {
        if self.core.system.current != 0 {
            self.pass(exception::RETURN_CYCLES);
        }
        self.with_bus(|core, bus| core.branch_or_return(target, bus));
    }

    /// An instruction that needs more than registers and memory; R15 is its address.
    fn special(&mut self, op: Op) {
        self.poll = None;
        let at = self.core.registers.r[15];
        self.memory.note(|dependence| dependence.note_code(at));
        let (slots, cycles) = match op.code {
            Code::Cps => {
                self.core.system.primask = op.imm != 0;
                (1, 1)
            }
            Code::Mrs => {
                self.core.registers.r[usize::from(op.d)] = self.core.special(op.imm);
                (2, 4)
            }
            Code::Msr => {
                self.core
                    .set_special(op.imm, self.core.registers.r[usize::from(op.n)]);
                (2, 4)
            }
            Code::Sev => {
                self.core.system.event = true;
                (1, 1)
            }
            Code::Wfi => {
                self.core.doing = Doing::Sleeping { for_event: false };
                (1, 2)
            }
            Code::Wfe => {
                self.core.doing = Doing::Sleeping { for_event: true };
                (1, 2)
            }
            Code::Svc => {
                self.core.registers.r[15] = at.wrapping_add(2);
                self.with_bus(|core, bus| core.call(SV_CALL, at, bus));
                (0, exception::ENTRY_CYCLES)
            }
            Code::Bkpt if self.halting.is_enabled() => return self.halt(Reason::Breakpoint),
            _ => return self.fault(),
        };
        self.core.registers.r[15] = self.core.registers.r[15].wrapping_add(2 * slots);
        self.pass(cycles);
    }

    /// Takes what the peripherals did: interrupt lines, their next event, and what they ask for.
    fn heed_peripherals(&mut self) {
        self.poll = None;
        self.next_event = self.peripherals.next_event();
        self.core.system.set_lines(self.peripherals.interrupts());
        let Outcome {
            pins,
            uart,
            reset,
            flash,
            off,
        } = self.peripherals.take_outcome();
        self.stops.pins |= pins;
        self.stops.uart |= uart;
        if flash {
            let busy_until = self.peripherals.nvmc.erase(&mut self.memory, self.now);
            if busy_until > self.now {
                self.flash_busy = busy_until;
                self.stops.flash = true;
            }
            self.next_event = self.peripherals.next_event();
        }
        if let Some(cause) = reset {
            self.reset(cause);
        } else if off {
            self.power = Power::SystemOff;
        }
    }
}
