//! What a driver stands on: bytes (a serial line, TCP), pins (lines that are high or low) and a
//! debug probe - and the one clock of a run.
//!
//! [`Ports`] is the border between the rig and a bench. `real` leads to hardware, `sim` to the
//! virtual bench; nothing above this border can tell them apart, but for [`Branch`], which only a
//! bench that exists in memory can offer.
//!
//! Time passes in [`Ports::wait`] and nowhere else, with one exception that physics imposes: what a
//! debug probe does takes time too, and on a virtual bench that is bench time of the same clock.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use crate::event::Nanos;

/// A debug probe that has been opened: the third kind of port. Its driver is `driver::probe`.
pub use probe_rs::probe::Probe as ProbePort;

pub mod found;
pub mod real;
pub mod real_pins;
pub mod real_probe;
pub mod sim;
pub mod sim_probe;
pub mod usb_power;

/// A byte port that has been opened; only valid for the [`Ports`] that gave it, and its forks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PortId(pub u16);

/// A line that has been opened; only valid for the [`Ports`] that gave it, and its forks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LineId(pub u16);

/// An output that has been opened; only valid for the [`Ports`] that gave it, and its forks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OutputId(pub u16);

/// How a pin senses a line.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Input {
    /// What pulls the pin while nothing drives it; none leaves that to the wiring.
    pub pull: Option<Level>,
    /// How long a level has to last until it counts; none counts every edge.
    pub debounce: Option<Nanos>,
    /// How often to look at the pin; none where the hardware tells edges.
    pub sample: Option<Nanos>,
}

/// What a line carries, electrically. What it means is the bench file's business.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Near ground.
    Low,
    /// Near the board's supply.
    High,
}

/// What an output is driven to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// A level.
    Level(Level),
    /// Pulses, as a model servo takes them: one every [`PULSES_EVERY`].
    Pulses {
        /// How long each is.
        width: Nanos,
        /// For how long there are any, after which the output is low; none for as long as nothing else is ordered.
        lasts: Option<Nanos>,
    },
}

/// From one pulse for a servo to the next.
pub const PULSES_EVERY: Nanos = Nanos::from_millis(20);

/// Within this time of being driven, pulses have the width that was ordered: one of the width before may begin
/// yet, and the order is looked at after it.
pub const PULSES_TAKE: Nanos = Nanos::from_millis(40);

/// How far a wait came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Waited<T> {
    /// Something happened, at or before the deadline. The clock stands where it happened (on a real
    /// bench: later, and the thing carries the time at which it happened).
    Saw(T),
    /// Nothing happened, and the deadline has come.
    Deadline,
    /// A person or a signal ended the wait; the clock stands anywhere before the deadline.
    Interrupted,
}

/// Something that came from the bench.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observation {
    /// When, as exactly as the port can tell: the end of the last byte, the edge itself.
    pub at: Nanos,
    /// What.
    pub what: Seen,
}

/// The things that ports see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// Bytes arrived, at least one, in their order.
    Bytes {
        /// From here.
        port: PortId,
        /// These.
        bytes: Vec<u8>,
    },
    /// A line changed.
    Edge {
        /// This one.
        line: LineId,
        /// To this level.
        level: Level,
        /// Frequency of the tone that began, on a line that is the envelope of a tone.
        hertz: Option<u32>,
    },
    /// An output was driven, as [`Ports::drive`] ordered.
    Driven {
        /// This one.
        output: OutputId,
        /// To this.
        signal: Signal,
        /// It happened at the observation's time, give or take this.
        within: Nanos,
    },
    /// An output can no longer be driven: nobody knows its level.
    OutputLost {
        /// This one.
        output: OutputId,
        /// As the operating system says it.
        why: String,
    },
    /// A line is no longer sensed, or edges of it were lost.
    LineLost {
        /// This one.
        line: LineId,
        /// As the operating system says it.
        why: String,
    },
    /// A write to flash began; only after [`Branch::watch_cut_points`].
    CutPoint(CutPoint),
    /// What the board draws from its supply, or the voltage there, became another; only after
    /// [`Branch::watch_terminal`].
    Terminal(Terminal),
    /// The chip is about to execute an instruction; only after [`Branch::watch_instructions`].
    Instruction(Instruction),
    /// A port is gone. It stays gone: nothing reconnects it, because what an instrument did
    /// meanwhile cannot be known. Who can live with that opens the address anew.
    Lost {
        /// This one.
        port: PortId,
        /// As the operating system says it.
        why: String,
    },
}

/// The ports of one bench, and its clock.
///
/// # Contract
/// - `now` never goes back, starts at or after zero, and only `wait` and the debug probe move it.
/// - Observations come in the order of their times, each exactly once.
/// - A wait that reached its deadline leaves everything as it was: bytes that were half received are
///   delivered by a later wait, and nothing is thrown away.
/// - Power that the board under test loses is not the ports' business: they stay open, a silent line
///   is low, and a console says nothing. Power that an *instrument* loses shows as [`Seen::Lost`], or
///   as silence.
/// - After [`Seen::Lost`] every call for that port is refused with [`PortProblem::Lost`]; the others work on.
/// - Dropping the ports closes them. It changes no output: who switched something on switches it off.
pub trait Ports: Send {
    /// The bench's time.
    fn now(&self) -> Nanos;

    /// Opens a byte port. Opening the same address twice gives the same port; where that one is gone, another,
    /// if there is something at the address again.
    ///
    /// Nothing that arrived before is delivered: the first byte seen is one that came afterwards.
    fn bytes(&mut self, address: &str, baud: u32) -> Result<PortId, PortTrouble>;

    /// Opens a line for sensing: pin `pin` of the port at `address`. From now on its edges are observed.
    fn line(&mut self, address: &str, pin: &str, input: &Input) -> Result<LineId, PortTrouble>;

    /// Opens pin `pin` of the port at `address` as an output, which has this level from the first moment on.
    fn output(&mut self, address: &str, pin: u16, level: Level) -> Result<OutputId, PortTrouble>;

    /// Orders an output to this at this time, at once if that has passed, and returns. It replaces
    /// what was ordered of the output and not done. [`Seen::Driven`] tells when it was done, and when pulses ended;
    /// orders for one time are done as they were given.
    fn drive(&mut self, output: OutputId, signal: Signal, at: Nanos) -> Result<(), PortTrouble>;

    /// Opens a debug probe.
    ///
    /// The caller drops it before the ports; a fork never carries it.
    fn probe(&mut self, address: &str) -> Result<ProbePort, PortTrouble>;

    /// The USB port at a place, as the kernel calls it, whose power a hub may switch; none where ports lead to no
    /// USB.
    fn usb_port(&self, _place: &str) -> Option<usb_power::UsbPort> {
        None
    }

    /// Queues bytes and returns at once; they leave in order at the port's pace, while `wait` runs.
    ///
    /// An error means that none of them will arrive whole.
    fn write(&mut self, port: PortId, bytes: &[u8]) -> Result<(), PortTrouble>;

    /// The level of a line at this moment.
    fn level(&mut self, line: LineId) -> Result<Level, PortTrouble>;

    /// Lets time pass until the next observation, the deadline or an interrupt, whichever is first.
    ///
    /// A deadline that has passed still delivers what has been observed up to now, if anything has.
    fn wait(&mut self, deadline: Nanos) -> Waited<Observation>;

    /// For how long this machine stood still at most since this was asked last: by so much a time stamp
    /// may be late, and an order too. Zero on a virtual bench, whose clock stands still with it.
    fn stood_still(&mut self) -> Nanos;

    /// Ends waits early: see [`Interrupt`].
    fn interrupt(&self) -> Interrupt;

    /// Every output is known to be at rest, until the next thing is written. Who watches over the outputs from
    /// beside need not bring them there.
    fn at_rest(&mut self) {}

    /// The ability to branch; only a bench that exists in memory has it.
    fn branch(&mut self) -> Option<&mut dyn Branch>;
}

/// What only a virtual bench can do: be in several places at once, and lose its supply at one
/// exact point.
///
/// # Contract
/// A fork is the whole bench - chip, board, instruments, bytes under way - and never a debug session.
/// After [`cut`](Branch::cut) the board has no supply, whatever the supply is told, until
/// [`restore`](Branch::restore); the instruments keep theirs. RAM is gone; flash holds what was there,
/// and of the operation that was cut what `torn` says.
pub trait Branch {
    /// A second bench in exactly this state, which goes its own way from here. Ports and lines keep
    /// their numbers.
    fn fork(&mut self) -> Box<dyn Ports>;

    /// The writes to flash that begin until then if nobody touches the bench, which stays as it is.
    fn cut_points(&self, until: Nanos) -> Vec<CutPoint>;

    /// From now on, or no longer, every write to flash is observed as it begins.
    fn watch_cut_points(&mut self, watch: bool);

    /// From now on, or no longer, the terminal that the supply feeds is observed: now, whenever a
    /// consumer on the board goes on or off, and whenever its voltage moved noticeably. Watching changes
    /// nothing on the board.
    fn watch_terminal(&mut self, watch: bool);

    /// From now on, or no longer, every instruction of the chip is observed before it is executed, and
    /// numbered from 1. Watching changes nothing on the board.
    fn watch_instructions(&mut self, watch: bool);

    /// Executes the instruction that was observed last, and is not executed yet, under a glitch, or as it
    /// is; false, if there is none, or it has nothing that could go wrong so.
    fn glitch(&mut self, glitch: Option<Glitch>) -> bool;

    /// Address of the instruction that was executed last, if it is 16 bits long, as all are that write to
    /// memory.
    fn last_instruction(&self) -> u32;

    /// What the chip has gone through since the bench was made.
    fn spent(&self) -> Spent;

    /// Cycles in which the core was awake since the bench was made.
    fn awake(&self) -> u64;

    /// How often the program was reset because it had locked up, or by the watchdog; a hard fault that it is in
    /// counts, too.
    fn crashes(&self) -> u64;

    /// Cuts the supply at this very moment.
    fn cut(&mut self, torn: Torn);

    /// Connects the supply again.
    fn restore(&mut self);

    /// The words of flash or settings memory from an address on, which is a multiple of four and
    /// within them, as the chip reads them now.
    fn flash(&self, address: u32, words: usize) -> Vec<u32>;

    /// A hash of what outlives a loss of supply: flash, bolt, door, what the supply is told. Forks
    /// of one bench for which it is equal behave alike from the next power-on.
    fn lasting_state(&self) -> u64;

    /// The same with some pages of flash, by their first addresses, left out, and as if one page, by its
    /// first address, held other words.
    fn lasting_state_but(&self, without: &[u32], with: Option<(u32, &[u32])>) -> u64;

    /// A hash of everything but flash: what chip, board and instruments are in the middle of. Benches
    /// for which it is equal go on alike as long as they read the same words of flash.
    fn passing_state(&self) -> u64;

    /// What a cut right now would leave of the page that is being written to or erased: its first address
    /// and its words. None, if there is no such page, or if what is left would not be settled.
    fn torn_page(&self, torn: Torn) -> Option<(u32, Vec<u32>)>;

    /// Puts words into flash without taking time.
    fn load(&mut self, address: u32, words: &[u32]);

    /// Of a board without supply: the words of flash from an address on, as they will read once it has one.
    fn flash_after_power_on(&self, address: u32, words: usize) -> Vec<u32>;

    /// From now on it is noted on which words of flash, from this page on, depends what the board does.
    fn note_dependence(&mut self, from: u32);

    /// What was noted since; none if that does not tell everything.
    fn dependence(&self) -> Option<Dependence>;

    /// From now on, or no longer, it is noted which branches the firmware takes; forks go on noting in the same
    /// place.
    fn note_branches(&mut self, into: Option<&sim::Branches>);

    /// When a word of a page of flash was first read since.
    fn first_read(&self, page: u32) -> Option<Nanos>;

    /// From `fault.from` on something is wrong with a port, as on a real bench; forks have it too. A probe can
    /// only be lost. False, if there is no such port.
    fn fault(&mut self, fault: Fault) -> bool;

    /// What the instruments hold on, whatever ports and drivers say; with when that last changed, from the
    /// first fault on.
    fn outputs(&self) -> (Outputs, Nanos);

    /// How many bytes faults have dropped, garbled or held back.
    fn disturbed(&self) -> u64;
}

/// What the instruments of a virtual bench hold on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outputs {
    /// The relays whose coils are on, from 1, ascending.
    pub relays: Vec<u8>,
    /// The supply's open-circuit voltage in millivolts; none while its output is off.
    pub millivolts: Option<u32>,
}

/// Something that is wrong with a port for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The port's address.
    pub port: String,
    /// From when on.
    pub from: Nanos,
    /// Until when; a port that is lost stays lost.
    pub until: Nanos,
    /// What happens to bytes, either way.
    pub what: Disturbance,
    /// One in so many bytes is hit, on average.
    pub one_in: u32,
    /// After so many no other is.
    pub most: u64,
    /// Which.
    pub seed: u64,
}

/// What can be wrong with a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disturbance {
    /// The port is gone, whichever bytes pass.
    Lose,
    /// Bytes do not arrive.
    Drop,
    /// Bytes arrive with one wrong bit or more.
    Garble,
    /// Bytes arrive later, and with them what follows.
    Delay(Nanos),
}

/// On what the behaviour of a board depended for a while.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Dependence {
    /// Addresses of the words that were read, or programmed, as they were in the beginning; ascending.
    pub words: Vec<u32>,
    /// Pages that were erased, whatever they held; ascending.
    pub erased: Vec<u32>,
}

/// The terminal at which the supply feeds the board, at one moment, as the emulator knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terminal {
    /// Its voltage in millivolts.
    pub millivolts: u32,
    /// Charge drawn from the supply since the bench was made, in nanocoulombs.
    pub nanocoulombs: u64,
}

/// What goes wrong with one instruction: a glitch, as a dip of the supply or a pulse of a coil makes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Glitch {
    /// So many instructions in a row are not executed. Each takes one cycle; a branch among them is not
    /// taken.
    Skip(u32),
    /// One bit of it is fetched wrongly: 0 to 15 of its first halfword, 16 to 31 of the second of a 32-bit
    /// instruction.
    Flip(u32),
    /// A register that it writes, R0 to R12 or LR (14), holds all zeros afterwards.
    Zeros(u32),
    /// The same with all ones.
    Ones(u32),
}

/// An instruction that is about to be executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// Which one, from 1, since instructions are watched.
    pub number: u64,
    /// Where it stands.
    pub address: u32,
    /// How many bits long it is.
    pub bits: u32,
    /// The registers that it writes, R0 to R12 and LR, one bit for each.
    pub writes: u16,
}

/// What a chip has gone through, as the emulator knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spent {
    /// Cycles of its clock.
    pub cycles: u64,
    /// Of these, those in which its core was awake.
    pub awake: u64,
    /// Charge drawn from the supply, in nanocoulombs.
    pub nanocoulombs: u64,
}

/// A moment at which losing the supply can do harm: a write to flash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CutPoint {
    /// When the write begins.
    pub begins: Nanos,
    /// When it ends, if nothing happens.
    pub ends: Nanos,
    /// What it changes.
    pub change: Change,
}

/// What a write to flash changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// A word is programmed.
    Word {
        /// Its address.
        address: u32,
        /// What it holds.
        before: u32,
        /// What it is to hold.
        after: u32,
    },
    /// A page is erased.
    Page {
        /// Its first address.
        address: u32,
    },
    /// Everything is erased.
    Chip,
    /// The settings memory (the nRF51's UICR) is erased.
    Settings,
}

/// What a write to flash leaves behind when the supply is cut within it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Torn {
    /// Nothing of it happened.
    DroppedBefore,
    /// All of it happened.
    DroppedAfter,
    /// The first so many of its bits changed.
    Prefix {
        /// How many.
        bits: u32,
    },
    /// Its first so many bytes changed.
    Bytes {
        /// How many, of the word or page.
        count: u32,
    },
    /// All of it happened but for one bit.
    Without {
        /// Its place in the word or page, from bit 0 of the lowest word.
        bit: u32,
    },
    /// All of a word's write happened, and one bit that should have stayed was programmed with it.
    Stray {
        /// Its place in the word.
        bit: u32,
    },
    /// So many of 256 of its bits changed; those of a smaller share are among those of a larger one.
    Share {
        /// How many of 256.
        of_256: u32,
        /// In which order.
        seed: u64,
    },
    /// Each of its bits changed or did not.
    BitSubset {
        /// Which.
        seed: u64,
    },
    /// Most of its bits changed, as in an erase that was cut late.
    PartialErase {
        /// Which did not.
        seed: u64,
    },
    /// Its bits read one way or the other, anew after each power-on.
    Metastable {
        /// How they read.
        seed: u64,
    },
}

/// Why a port could not be opened or used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{address}: {saw}")]
pub struct PortTrouble {
    /// The port, as the bench file calls it.
    pub address: String,
    /// The kind, for code that branches on it.
    pub problem: PortProblem,
    /// What was seen: a lowercase fragment.
    pub saw: String,
}

/// The kinds of [`PortTrouble`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortProblem {
    /// There is nothing at that address.
    Absent,
    /// There is, and we may not use it.
    Denied,
    /// Somebody else uses it.
    Busy,
    /// It worked and no longer does.
    Lost,
}

/// Ends a wait before its deadline: Ctrl-C, a signal, somebody who cancels a run.
///
/// Each [`raise`](Interrupt::raise) ends one wait - the one that runs, else the next one - so that
/// what has to be done afterwards (a scenario's `finally`, going to rest) can wait again.
/// Clones share one flag; so do the forks of a bench.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Mutex<Raised>>);

#[derive(Default)]
struct Raised {
    times: u64,
    sleepers: Vec<Weak<dyn Wake>>,
}

/// Something that sleeps in a wait and has to be told.
pub(crate) trait Wake: Send + Sync {
    /// Looks at the interrupt again.
    fn wake(&self);
}

impl Interrupt {
    /// Ends one wait of every bench that shares this flag.
    pub fn raise(&self) {
        let sleepers = {
            let mut raised = self.lock();
            raised.times += 1;
            raised.sleepers.retain(|sleeper| sleeper.strong_count() > 0);
            raised.sleepers.clone()
        };
        // Not under our own lock: a sleeper looks at us under its own.
        for sleeper in sleepers {
            if let Some(sleeper) = sleeper.upgrade() {
                sleeper.wake();
            }
        }
    }

    /// How many times it was raised.
    pub fn times(&self) -> u64 {
        self.lock().times
    }

    /// Tells `sleeper` of every raise from now on, for as long as it lives.
    pub(crate) fn tell(&self, sleeper: Weak<dyn Wake>) {
        self.lock().sleepers.push(sleeper);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Raised> {
        // The state is a counter and a list: whatever a panicking thread did, both are sound.
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl fmt::Debug for Raised {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Raised({} times)", self.times)
    }
}
