//! The virtual bench: chip, board and instruments, and the one order in which things happen.
//!
//! Time passes in [`VirtualBench::run_until`] and nowhere else. It runs the chip up to the next
//! moment at which anything beside the chip changes, and jumps there when the chip sleeps. What
//! falls on the same tick happens in a fixed order: bytes reach the relay board, the supply, the
//! console, the sense board; relay contacts move, lowest channel first; the supply's settings take
//! effect; the board's own changes (supply, bolt, lamps, beeper); the sense board looks at its pins;
//! bytes leave the relay board, the supply, the sense board; the chip's next instruction.
//!
//! A clone is a fork. Forks share nothing that can be seen and go their own ways.
//!
//! [`VirtualBench`] is the bench around a chip; [`cylinder`] has the one without. Either can be had with
//! something wrong between the instruments and what they stand around: see [`Fault`].

pub mod cylinder;
mod fault;

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use educe::Educe;

use crate::board::contact::{Contact, ContactSpec};
use crate::board::noise::Noise;
use crate::board::supply::{BROWN_OUT, BROWN_OUT_RELEASE, Feed};
use crate::board::{Activity, Board, BoardSpec, Edge, Inputs, Line, Pins, Touch};
use crate::chip::debug::{DebugPort, Target};
use crate::chip::edges::Edges;
use crate::chip::glitch::{Glitch, Instruction};
use crate::chip::nvmc::{FlashOperation, Torn};
use crate::chip::{Chip, Stopped};
use crate::hash::state_hasher;
use crate::instrument::header::Header;
use crate::instrument::power_supply::{PowerSupply, Reading};
use crate::instrument::relay_board::{CHANNELS, RelayBoard};
use crate::instrument::sense_board::{FIRST_PIN, SenseBoard};
use crate::instrument::stage::Controller;
use crate::instrument::wire::Wire;
use crate::time::Ticks;

pub use fault::Fault;

/// What stands on a virtual bench.
#[derive(Clone, Copy, Debug)]
pub struct BenchSpec {
    /// The bench's name.
    pub name: &'static str,
    /// The board under test.
    pub board: BoardSpec,
    /// What each relay does, channel 1 first.
    pub relays: [(Touch, ContactSpec); CHANNELS],
    /// What feeds the board in place of the programmable supply.
    pub cells: Option<Cells>,
    /// What is wrong with the bench.
    pub fault: Option<Fault>,
}

/// Cells that relays connect to the board.
#[derive(Clone, Copy, Debug)]
pub struct Cells {
    /// Their open-circuit voltage in volts.
    pub volts: f64,
    /// What they have inside, in ohms.
    pub ohms: f64,
    /// The relay in their lead; it closes nothing else. Channels count from 0.
    pub lead: usize,
    /// The relay that joins the board's terminals, on the board's side of the lead; it closes nothing else.
    pub crowbar: usize,
    /// The resistor that it joins them through, in ohms.
    pub crowbar_ohms: f64,
}

impl Cells {
    fn closes(&self, channel: usize) -> bool {
        [self.lead, self.crowbar].contains(&channel)
    }

    /// What stands at the terminal with these contacts closed.
    fn feed(&self, lead: bool, crowbar: bool) -> Feed {
        let share = self.crowbar_ohms / (self.crowbar_ohms + self.ohms);
        match (lead, crowbar) {
            (true, false) => Feed::Source {
                volts: self.volts,
                ohms: self.ohms,
                limit: CELLS_AMPERES,
            },
            // Cells and resistor, as one source.
            (true, true) => Feed::Source {
                volts: self.volts * share,
                ohms: self.ohms * share,
                limit: CELLS_AMPERES,
            },
            (false, true) => Feed::PulledDown {
                ohms: self.crowbar_ohms,
            },
            (false, false) => Feed::PulledDown { ohms: OPEN_OHMS },
        }
    }
}

impl BenchSpec {
    /// A safe's lock on a bench.
    pub const SAFE: BenchSpec = BenchSpec::around(BoardSpec::SAFE);
    /// A smart lock on a bench.
    pub const SMART_LOCK: BenchSpec = BenchSpec::around(BoardSpec::SMART_LOCK);

    /// The benches that are as they should be.
    pub const ALL: [BenchSpec; 2] = [BenchSpec::SAFE, BenchSpec::SMART_LOCK];

    /// The safe's lock on a 9 V block in place of the programmable supply: relay 14 is in its lead, relay 16
    /// joins the board's terminals through a resistor.
    pub const SAFE_ON_CELLS: BenchSpec = BenchSpec {
        name: "virtual-safe-on-cells",
        cells: Some(Cells {
            volts: 9.0,
            ohms: 2.0,
            lead: 13,
            crowbar: 15,
            crowbar_ohms: 10.0,
        }),
        ..BenchSpec::SAFE
    };

    /// The bench of this name; those with a fault are among them.
    pub fn named(name: &str) -> Option<BenchSpec> {
        BenchSpec::ALL
            .into_iter()
            .chain([BenchSpec::SAFE_ON_CELLS])
            .chain(fault::BENCHES)
            .find(|spec| spec.name == name)
    }

    const fn around(board: BoardSpec) -> BenchSpec {
        let key = ContactSpec::RELAY_ON_KEY;
        let mechanism = ContactSpec::RELAY_ON_MECHANISM;
        BenchSpec {
            name: board.name,
            board,
            cells: None,
            fault: None,
            relays: [
                (Touch::Key(0), key),
                (Touch::Key(1), key),
                (Touch::Key(2), key),
                (Touch::Key(3), key),
                (Touch::Key(4), key),
                (Touch::Key(5), key),
                (Touch::Key(6), key),
                (Touch::Key(7), key),
                (Touch::Key(8), key),
                (Touch::Key(9), key),
                (Touch::Key(10), key),
                (Touch::Key(11), key),
                (Touch::ResetButton, key),
                (Touch::ProgramButton, key),
                (Touch::Door, key),
                (Touch::Jam, mechanism),
            ],
        }
    }
}

/// A byte port of the bench.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Port {
    /// The relay board.
    Relay,
    /// The programmable supply.
    Supply,
    /// The chip's UART.
    Console,
    /// The motion stage of a bench without a chip.
    Stage,
    /// The sense board.
    SenseBoard,
}

impl Port {
    /// Every byte port.
    pub const ALL: [Port; 5] = [
        Port::Relay,
        Port::Supply,
        Port::Console,
        Port::Stage,
        Port::SenseBoard,
    ];

    /// The port's name, as `sim:` addresses write it.
    pub fn name(self) -> &'static str {
        match self {
            Port::Relay => "relay",
            Port::Supply => "supply",
            Port::Console => "console",
            Port::SenseBoard => "sense-board",
            Port::Stage => "stage",
        }
    }

    /// The port's only baud rate.
    pub fn baud(self) -> u32 {
        match self {
            Port::Relay => RelayBoard::BAUD as u32,
            Port::Supply => PowerSupply::BAUD as u32,
            Port::Console => CONSOLE_BAUD as u32,
            Port::SenseBoard => SenseBoard::BAUD as u32,
            Port::Stage => Controller::BAUD as u32,
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no byte port has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownPort(String);

impl fmt::Display for UnknownPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Port::ALL.map(Port::name).join(", ");
        write!(
            f,
            "no byte port \"{}\" on a virtual bench; hint: there are {names}",
            self.0
        )
    }
}

impl std::error::Error for UnknownPort {}

impl FromStr for Port {
    type Err = UnknownPort;

    fn from_str(name: &str) -> Result<Port, UnknownPort> {
        Port::ALL
            .into_iter()
            .find(|port| port.name() == name)
            .ok_or_else(|| UnknownPort(name.to_owned()))
    }
}

/// Something seen from outside.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Observation {
    /// When: the end of the last stop bit, the edge itself, the end of the instruction that
    /// started the flash operation.
    pub at: Ticks,
    /// What.
    pub what: Seen,
}

/// What was seen.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Seen {
    /// Bytes came from a port.
    Bytes {
        /// Which port.
        port: Port,
        /// What came.
        bytes: Vec<u8>,
    },
    /// A line changed.
    Edge {
        /// Which line.
        line: Line,
        /// Its new level; see [`Line`] for what high means.
        level: bool,
        /// Pitch, on the beeper's line: of the first cycle as it rises, the mean as it falls.
        hertz: Option<u32>,
    },
    /// A flash operation started; only after [`VirtualBench::watch_flash`].
    FlashOperation(FlashOperation),
    /// What is drawn from the battery terminal, or its voltage, became another; only after
    /// [`VirtualBench::watch_terminal`].
    Terminal(Terminal),
    /// The chip is about to execute an instruction; only after [`VirtualBench::watch_instructions`].
    Instruction(Instruction),
}

/// The battery terminal at one moment, as no instrument sees it: without aperture, noise or delay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Terminal {
    /// Its voltage.
    pub millivolts: u32,
    /// Charge drawn from the feed since the bench was made.
    pub nanocoulombs: u64,
}

/// What the instruments hold on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outputs {
    /// The relays whose coils are on, from 1, ascending.
    pub relays: Vec<u8>,
    /// The supply's open-circuit voltage; none while its output is off.
    pub millivolts: Option<u32>,
}

/// Baud rate of the chip's console.
const CONSOLE_BAUD: u64 = 115_200;
/// From a supply command's last stop bit to the first start bit of its answer.
const SUPPLY_TURNAROUND: Ticks = Ticks::from_millis(1);
/// Cells give as much as what they have inside lets through.
const CELLS_AMPERES: f64 = 10.0;
/// A terminal that nothing is connected to leaks through this.
const OPEN_OHMS: f64 = 1e6;
/// A terminal voltage that moved by less than this is not told.
const TERMINAL_STEP: u32 = 50;

/// See the head of the file.
#[derive(Clone, Debug, Educe)]
#[educe(Hash)]
pub struct VirtualBench {
    // The same for all forks.
    #[educe(Hash(ignore))]
    spec: BenchSpec,
    seed: u64,
    now: Ticks,
    chip: Chip,
    board: Board,
    relay_board: RelayBoard,
    header: Header,
    contacts: [Contact; CHANNELS],
    contacts_next: Ticks,
    supply: PowerSupply,
    sense_board: SenseBoard,
    /// Edges on a slow line, on their way.
    late: VecDeque<Edge>,
    to_relay: Wire,
    from_relay: Wire,
    to_supply: Wire,
    from_supply: Wire,
    to_console: Wire,
    to_sense_board: Wire,
    from_sense_board: Wire,
    outbox: VecDeque<Observation>,
    inputs: Inputs,
    millivolts: u32,
    battery_microvolts: u32,
    disconnected: bool,
    brown_outs: u64,
    watches_flash: bool,
    flash_operations: u64,
    /// The terminal's voltage when it was last told; none while nobody watches.
    terminal_told: Option<u32>,
}

impl VirtualBench {
    /// A bench with every instrument on and at rest: relays open, supply off, flash erased. All
    /// noise in it follows from `seed`.
    pub fn new(spec: &BenchSpec, seed: u64) -> VirtualBench {
        let supply = PowerSupply::default();
        let cells = spec.cells.map(|cells| cells.feed(false, false));
        let board = Board::new(&spec.board, cells.unwrap_or(supply.feed()));
        let mut channel = 0;
        let contacts = spec.relays.map(|(_, contact)| {
            channel += 1;
            Contact::new(contact, Noise::new(seed, "contact", channel))
        });
        let mut bench = VirtualBench {
            spec: *spec,
            seed,
            now: Ticks::ZERO,
            chip: Chip::new(Noise::new(seed, "chip", 0).draw()),
            board,
            relay_board: RelayBoard::default(),
            header: Header::default(),
            contacts,
            contacts_next: Ticks::NEVER,
            supply,
            sense_board: SenseBoard::default(),
            late: VecDeque::new(),
            to_relay: Wire::new(RelayBoard::BAUD),
            from_relay: Wire::new(RelayBoard::BAUD),
            to_supply: Wire::new(PowerSupply::BAUD),
            from_supply: Wire::new(PowerSupply::BAUD),
            to_console: Wire::new(CONSOLE_BAUD),
            to_sense_board: Wire::new(SenseBoard::BAUD),
            from_sense_board: Wire::new(SenseBoard::BAUD),
            outbox: VecDeque::new(),
            inputs: Inputs::default(),
            millivolts: 0,
            battery_microvolts: 0,
            disconnected: false,
            brown_outs: 0,
            watches_flash: false,
            flash_operations: 0,
            terminal_told: None,
        };
        bench.tear_by_chance();
        if let Some(Fault::WeldedRelay { channel }) = spec.fault {
            let (touch, _) = spec.relays[channel];
            let core = bench.activity();
            bench.board.touch(Ticks::ZERO, touch, true, core);
        }
        for line in Line::ALL {
            let level = bench.level(line);
            bench.sense_board.set(Ticks::ZERO, sense_pin(line), level);
        }
        bench.settle(Ticks::ZERO);
        bench
    }

    /// What stands on this bench.
    pub fn spec(&self) -> &BenchSpec {
        &self.spec
    }

    /// The seed that its noise follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The bench's time.
    pub fn now(&self) -> Ticks {
        self.now
    }

    /// The byte ports that this bench has.
    pub const PORTS: [Port; 4] = [Port::Relay, Port::Supply, Port::Console, Port::SenseBoard];

    /// Puts bytes on the way to an instrument or the chip; they take their time. A port that this
    /// bench lacks swallows them.
    pub fn write(&mut self, port: Port, bytes: &[u8]) {
        let wire = match port {
            Port::Relay => &mut self.to_relay,
            Port::Supply => &mut self.to_supply,
            Port::Console => &mut self.to_console,
            Port::SenseBoard => &mut self.to_sense_board,
            Port::Stage => return,
        };
        wire.send(self.now, bytes);
    }

    /// The level of a line; see [`Line`] for what high means.
    pub fn level(&self, line: Line) -> bool {
        // What is on its way still stands as it was before.
        let on_its_way = self.late.iter().find(|edge| edge.line == line);
        on_its_way.map_or(self.board.level(line), |edge| !edge.level)
    }

    /// The lines that the board has.
    pub fn lines(&self) -> impl Iterator<Item = Line> + use<> {
        self.board.lines()
    }

    /// The board, to look at what no wire shows.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The chip, to look at what no wire shows.
    pub fn chip(&self) -> &Chip {
        &self.chip
    }

    /// Puts bytes into flash or UICR without taking time, as before the chip was soldered in.
    pub fn load(&mut self, address: u32, bytes: &[u8]) {
        self.chip.memory_mut().load(address, bytes);
    }

    /// From now on, or no longer, every start of a flash operation is an observation.
    pub fn watch_flash(&mut self, watch: bool) {
        self.watches_flash = watch;
    }

    /// From now on, or no longer, the battery terminal is an observation: now, whenever a lamp, the
    /// beeper or the bolt's drive goes on or off, and whenever its voltage moved by 50 mV.
    pub fn watch_terminal(&mut self, watch: bool) {
        self.terminal_told = None;
        if watch {
            self.tell_terminal(self.now);
        }
    }

    /// From now on, or no longer, every instruction is an observation before it is executed.
    pub fn watch_instructions(&mut self, watch: bool) {
        self.chip.watch_instructions(watch);
    }

    /// Executes the instruction that was observed last, and is not executed yet, under a glitch, or as it is;
    /// false, if there is none, or it has nothing that could go wrong so.
    pub fn glitch(&mut self, glitch: Option<Glitch>) -> bool {
        self.chip.glitch(glitch)
    }

    /// What the instruments hold on at this moment.
    pub fn outputs(&self) -> Outputs {
        let channels = (0..CHANNELS).filter(|channel| self.relay_board.coil(*channel));
        Outputs {
            relays: channels.map(|channel| channel as u8 + 1).collect(),
            millivolts: match self.supply.feed() {
                Feed::Source { volts, .. } => Some((volts * 1e3).round() as u32),
                _ => None,
            },
        }
    }

    /// The battery terminal at this moment.
    pub fn terminal(&self) -> Terminal {
        self.terminal_at(self.now.max(self.chip.now()))
    }

    /// It looks at a copy of the board, so that whether somebody looks makes no difference to the board.
    fn terminal_at(&self, now: Ticks) -> Terminal {
        let mut board = self.board.clone();
        board.settle_supply(now, self.activity());
        Terminal {
            millivolts: (board.terminal_volts().max(0.0) * 1e3).round() as u32,
            nanocoulombs: (board.drawn_coulombs() * 1e9).round() as u64,
        }
    }

    /// From now on the ways that the program takes are noted there, or nowhere.
    pub fn note_edges(&mut self, edges: Option<Edges>) {
        self.chip.note_edges(edges);
    }

    /// A contact of the board closes or opens at once, by a hand rather than by a relay: it neither takes
    /// time nor bounces.
    pub fn touch(&mut self, touch: Touch, closed: bool) {
        let now = self.now.max(self.chip.now());
        let core = self.activity();
        self.board.touch(now, touch, closed, core);
        self.settle(now);
    }

    /// The chip's debug port. Its accesses take time on the whole bench; what is observed
    /// meanwhile waits for [`VirtualBench::run_until`].
    pub fn debug_port(&mut self) -> DebugPort<'_> {
        DebugPort::new(self)
    }

    /// The flash operations that start until `until` if nobody touches the bench: the points at
    /// which a cut does harm. The bench itself stays as it is.
    pub fn flash_operations(&self, until: Ticks) -> Vec<FlashOperation> {
        let mut fork = self.clone();
        fork.watch_flash(true);
        let mut operations = Vec::new();
        while let Some(observation) = fork.run_until(until) {
            if let Seen::FlashOperation(operation) = observation.what {
                operations.push(operation);
            }
        }
        operations
    }

    /// The supply is lost at this very point, with nothing left in the capacitor: RAM is gone, and
    /// a flash operation in progress leaves what `torn` says. The terminal stays disconnected
    /// until [`VirtualBench::restore`], whatever the supply is told.
    pub fn cut(&mut self, torn: Torn) {
        self.set_torn(torn);
        self.disconnected = true;
        let now = self.now.max(self.chip.now());
        self.connect(now);
        let core = self.activity();
        self.board.collapse(now, core);
        self.settle(now);
    }

    /// Connects the supply to the terminal again after a [`VirtualBench::cut`].
    pub fn restore(&mut self) {
        self.disconnected = false;
        self.connect(self.now.max(self.chip.now()));
    }

    /// A hash of what outlives a loss of supply: flash with its unsettled bits, where the bolt and the
    /// door are, and what the supply is told. Two forks of one bench for which it is equal behave
    /// alike from the next power-on, but for the noise of measurements.
    pub fn lasting_state(&self) -> u64 {
        self.lasting_state_but(&[], None)
    }

    /// The same with some pages of flash, by their first addresses, left out, and as if one page, by its
    /// first address, held other words.
    pub fn lasting_state_but(&self, without: &[u32], with: Option<(u32, &[u32])>) -> u64 {
        let mut hasher = state_hasher();
        self.chip.hash_lasting(&mut hasher, without, with);
        self.board.withdrawn_permille().hash(&mut hasher);
        for ((touch, _), contact) in self.spec.relays.iter().zip(&self.contacts) {
            if matches!(touch, Touch::Door | Touch::Jam) {
                contact.is_closed().hash(&mut hasher);
            }
        }
        match self.feed() {
            Feed::Source { volts, ohms, limit } => [volts, ohms, limit].map(f64::to_bits),
            Feed::PulledDown { ohms } => [0, 0, ohms.to_bits()],
        }
        .hash(&mut hasher);
        hasher.finish()
    }

    /// A hash of everything but flash: what the chip, the board and the instruments are in the middle of.
    /// Benches for which it is equal, and that read the same words of flash from now on, go on alike.
    pub fn passing_state(&self) -> u64 {
        let mut hasher = state_hasher();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// From now on it is noted on which words of flash, from this page on, depends what the chip does.
    pub fn note_dependence(&mut self, from: u32) {
        self.chip.note_dependence(from);
    }

    /// Lets time pass until the next observation, which is returned and whose moment is now, or
    /// until `deadline`, which is now then. A deadline that has passed lets no time pass.
    pub fn run_until(&mut self, deadline: Ticks) -> Option<Observation> {
        let deadline = deadline.max(self.now);
        loop {
            if self.seen_by(deadline)
                && let Some(seen) = self.outbox.pop_front()
            {
                self.now = self.now.max(seen.at);
                return Some(seen);
            }
            let arrived = self.advance(deadline);
            if arrived && !self.seen_by(deadline) {
                self.now = deadline;
                return None;
            }
        }
    }

    /// Lets time pass to the next thing that happens, or to the deadline; true, if it is reached.
    fn advance(&mut self, deadline: Ticks) -> bool {
        let mut next = self.next_event();
        let target = next.min(deadline);
        // An instruction is never split, so the chip may be a little ahead.
        let stopped = self.chip.run(target);
        while next <= self.chip.now() {
            self.do_due(next);
            next = self.next_event();
        }
        self.heed(stopped);
        stopped == Stopped::Deadline && target == deadline
    }

    /// Whether an observation up to this moment waits to be taken.
    fn seen_by(&self, deadline: Ticks) -> bool {
        self.outbox.front().is_some_and(|seen| seen.at <= deadline)
    }

    /// When something beside the chip happens next.
    fn next_event(&self) -> Ticks {
        self.to_relay
            .next()
            .min(self.to_supply.next())
            .min(self.to_console.next())
            .min(self.to_sense_board.next())
            .min(self.contacts_next)
            .min(self.supply.next())
            .min(self.board.next())
            .min(self.late.front().map_or(Ticks::NEVER, |edge| edge.at))
            .min(self.from_relay.next())
            .min(self.from_supply.next())
            .min(self.sense_board.next())
            .min(self.from_sense_board.next())
    }

    /// Does everything that is due at `now`, the next event's moment, in the order that the head of
    /// the file gives.
    fn do_due(&mut self, now: Ticks) {
        if let Some(byte) = self.to_relay.receive(now) {
            self.tell_relay_board(now, byte);
        }
        if let Some(byte) = self.to_supply.receive(now) {
            let reading = if byte == b'\n' {
                self.reading(now)
            } else {
                Reading::default()
            };
            self.supply.receive(now, byte, reading);
            self.fetch_reply(now);
        }
        if let Some(byte) = self.to_console.receive(now) {
            self.chip.uart_receive(byte);
        }
        if let Some(byte) = self.to_sense_board.receive(now) {
            self.sense_board.receive(byte);
            self.fetch_report(now);
        }
        if self.contacts_next <= now {
            self.move_contacts(now);
        }
        if self.supply.next() <= now {
            let reading = self.reading(now);
            if self.supply.pass(now, reading) {
                self.connect(now);
            }
            self.fetch_reply(now);
        }
        if self.board.next() <= now {
            let core = self.activity();
            self.board.pass(now, core);
            self.settle(now);
        }
        while self.late.front().is_some_and(|edge| edge.at <= now)
            && let Some(edge) = self.late.pop_front()
        {
            self.tell(now, edge);
        }
        if self.sense_board.next() <= now {
            self.sense_board.pass();
            self.fetch_report(now);
        }
        for (port, wire) in [
            (Port::Relay, &mut self.from_relay),
            (Port::Supply, &mut self.from_supply),
            (Port::SenseBoard, &mut self.from_sense_board),
        ] {
            if let Some(byte) = wire.receive(now) {
                let what = Seen::Bytes {
                    port,
                    bytes: vec![byte],
                };
                self.outbox.push_back(Observation { at: now, what });
            }
        }
    }

    fn tell_relay_board(&mut self, now: Ticks, byte: u8) {
        let outcome = self.relay_board.receive(now, byte);
        if let Some((channel, _)) = outcome.switched {
            self.energise(channel, now);
        }
        if let Some((at, frame)) = outcome.feedback {
            self.from_relay.send(at, &frame);
        }
    }

    /// Drives an output of the [`header`](crate::instrument::header).
    pub fn drive(&mut self, output: u16, high: bool) {
        let now = self.now.max(self.chip.now());
        self.header.drive(output, high);
        for channel in 0..CHANNELS {
            self.energise(channel, now);
        }
    }

    /// A relay's coil is on for the relay board, or for the header.
    fn energise(&mut self, channel: usize, now: Ticks) {
        if self.spec.fault.is_some_and(|fault| fault.holds(channel)) {
            return;
        }
        let on = self.relay_board.coil(channel) || self.header.coil(channel);
        self.contacts[channel].drive(on, now);
        self.plan_contacts();
    }

    fn plan_contacts(&mut self) {
        self.contacts_next = self
            .contacts
            .iter()
            .map(Contact::next)
            .min()
            .unwrap_or(Ticks::NEVER);
    }

    fn move_contacts(&mut self, now: Ticks) {
        for channel in 0..CHANNELS {
            while self.contacts[channel].next() <= now {
                self.contacts[channel].flip();
                if self.spec.cells.is_some_and(|cells| cells.closes(channel)) {
                    self.connect(now);
                    continue;
                }
                let (touch, _) = self.spec.relays[channel];
                let core = self.activity();
                self.board
                    .touch(now, touch, self.contacts[channel].is_closed(), core);
            }
        }
        self.plan_contacts();
        self.settle(now);
    }

    fn reading(&mut self, now: Ticks) -> Reading {
        let core = self.activity();
        self.board.settle_supply(now, core);
        self.settle(now);
        Reading {
            volts: self.board.terminal_volts(),
            coulombs: self.board.drawn_coulombs(),
        }
    }

    fn fetch_reply(&mut self, now: Ticks) {
        let reply = self.supply.take_reply();
        if !reply.is_empty() {
            self.from_supply
                .send(now + SUPPLY_TURNAROUND, reply.as_bytes());
        }
    }

    fn fetch_report(&mut self, now: Ticks) {
        let report = self.sense_board.take_reply();
        self.from_sense_board.send(now, &report);
    }

    /// What the supply, or the cells, would put at the terminal.
    fn feed(&self) -> Feed {
        let is_closed = |channel: usize| self.contacts[channel].is_closed();
        self.spec.cells.map_or(self.supply.feed(), |cells| {
            cells.feed(is_closed(cells.lead), is_closed(cells.crowbar))
        })
    }

    /// Puts at the terminal what the supply gives.
    fn connect(&mut self, now: Ticks) {
        let feed = if self.disconnected {
            PowerSupply::default().feed()
        } else {
            let feed = self.feed();
            self.spec.fault.map_or(feed, |fault| fault.feed(feed))
        };
        let core = self.activity();
        self.board.set_feed(now, feed, core);
        self.settle(now);
    }

    fn activity(&self) -> Activity {
        Activity {
            awake_time: self.chip.awake_time(),
            awake: self.chip.is_awake(),
        }
    }

    /// Reacts to what made the chip stop.
    fn heed(&mut self, stopped: Stopped) {
        match stopped {
            Stopped::Deadline | Stopped::Halted => {}
            Stopped::Pins => {
                let now = self.chip.now();
                let core = self.activity();
                let drive = self.chip.peripherals().pins();
                let pins = Pins {
                    high: drive.high,
                    low: drive.low,
                    pull_up: drive.pull_up,
                    pull_down: drive.pull_down,
                };
                self.board.set_pins(now, pins, core);
                self.settle(now);
            }
            Stopped::Uart => {
                while let Some((at, byte)) = self.chip.take_uart() {
                    let what = Seen::Bytes {
                        port: Port::Console,
                        bytes: vec![byte],
                    };
                    self.outbox.push_back(Observation { at, what });
                }
            }
            Stopped::Instruction => {
                if let Some(instruction) = self.chip.instruction() {
                    let what = Seen::Instruction(instruction);
                    let at = self.chip.now();
                    self.outbox.push_back(Observation { at, what });
                }
            }
            Stopped::Flash => {
                let nvmc = &self.chip.peripherals().nvmc;
                let started = nvmc.operations() != self.flash_operations;
                self.flash_operations = nvmc.operations();
                if let Some(operation) = nvmc.last().filter(|_| started && self.watches_flash) {
                    let what = Seen::FlashOperation(operation);
                    let at = self.chip.now();
                    self.outbox.push_back(Observation { at, what });
                }
            }
        }
    }

    fn set_torn(&mut self, torn: Torn) {
        self.chip.peripherals_mut().nvmc.set_torn(torn);
    }

    /// Brings the chip and the outbox up to what the board has become.
    fn settle(&mut self, now: Ticks) {
        let mut draws_otherwise = false;
        while self.board.take_supply_change() {
            self.settle_supply(now);
            let volts = (self.board.terminal_volts() * 1e3) as u32;
            let told = self.terminal_told.unwrap_or(volts);
            draws_otherwise |= told.abs_diff(volts) >= TERMINAL_STEP;
        }
        while let Some(mut edge) = self.board.take_edge() {
            draws_otherwise |= edge.line.is_load();
            match self.spec.fault {
                Some(Fault::SlowLine { line, by }) if line == edge.line => {
                    edge.at += by;
                    self.late.push_back(edge);
                }
                _ => self.tell(now, edge),
            }
        }
        if draws_otherwise && self.terminal_told.is_some() {
            self.tell_terminal(now);
        }
        self.settle_inputs();
    }

    /// A sense wire has its new level.
    fn tell(&mut self, now: Ticks, edge: Edge) {
        self.sense_board.set(now, sense_pin(edge.line), edge.level);
        let what = Seen::Edge {
            line: edge.line,
            level: edge.level,
            hertz: edge.hertz,
        };
        self.outbox.push_back(Observation { at: edge.at, what });
    }

    /// Tells the battery terminal as it is.
    fn tell_terminal(&mut self, now: Ticks) {
        let terminal = self.terminal_at(now);
        self.terminal_told = Some(terminal.millivolts);
        let what = Seen::Terminal(terminal);
        self.outbox.push_back(Observation { at: now, what });
    }

    /// A supply that fades tears flash by chance, until a cut says otherwise.
    fn tear_by_chance(&mut self) {
        self.brown_outs += 1;
        let mut noise = Noise::new(self.seed, "torn flash", self.brown_outs);
        let seed = noise.draw();
        self.set_torn(match noise.between(0, 5) {
            0 => Torn::DroppedBefore,
            1 => Torn::DroppedAfter,
            2 => Torn::Prefix {
                bits: noise.between(0, 32) as u32,
            },
            3 => Torn::BitSubset { seed },
            4 => Torn::PartialErase { seed },
            _ => Torn::Metastable { seed },
        });
    }

    fn settle_inputs(&mut self) {
        let inputs = self.board.inputs();
        let mut changed = (inputs.held ^ self.inputs.held) | (inputs.high ^ self.inputs.high);
        self.inputs = inputs;
        while changed != 0 {
            let pin = changed.trailing_zeros();
            changed &= changed - 1;
            let held = inputs.held >> pin & 1 != 0;
            if held {
                let high = inputs.high >> pin & 1 != 0;
                self.chip.set_input(pin as u8, high);
            } else {
                self.chip.float_input(pin as u8);
            }
        }
    }

    fn settle_supply(&mut self, now: Ticks) {
        let volts = self.board.chip_volts();
        let millivolts = (volts * 1e3) as u32;
        if self.board.is_chip_on() && volts < BROWN_OUT {
            self.chip.power_off();
            self.tear_by_chance();
            let core = self.activity();
            self.board.set_chip_on(now, false, core);
        } else if !self.board.is_chip_on() && volts > BROWN_OUT_RELEASE {
            self.chip.set_supply(millivolts);
            self.chip.power_on();
            let core = self.activity();
            self.board.set_chip_on(now, true, core);
        }
        if millivolts != self.millivolts {
            self.millivolts = millivolts;
            self.chip.set_supply(millivolts);
        }
        let battery = self.board.battery_input_microvolts();
        if battery != self.battery_microvolts {
            self.battery_microvolts = battery;
            let channel = self.spec.board.pins.battery_channel;
            self.chip.set_analog(channel as u8, battery);
        }
    }
}

/// The pin of the sense board that a line is wired to.
pub fn sense_pin(line: Line) -> u8 {
    FIRST_PIN + line as u8
}

impl Target for VirtualBench {
    fn chip(&mut self) -> &mut Chip {
        &mut self.chip
    }

    fn pass(&mut self, until: Ticks) {
        let halted = self.chip.is_halted();
        while self.chip.now() < until && self.chip.is_halted() == halted {
            self.advance(until);
        }
        self.now = self.now.max(self.chip.now());
    }
}
