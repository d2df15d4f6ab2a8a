//! Ports that lead to the virtual bench: one clock, no threads, and the ability to branch.
//!
//! A bench with a chip is shared with the probe that was opened on it, and with nobody else: a debug
//! access and a wait never overlap, because one thread does both. A bench without one has no probe,
//! and nothing on it can be cut.

mod faults;

use std::collections::VecDeque;
use std::str::FromStr;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Mutex, MutexGuard};

use lockrig_sim::bench::cylinder::{CylinderBench, CylinderSpec};
use lockrig_sim::bench::{self, BenchSpec, VirtualBench};
use lockrig_sim::board::Line;
use lockrig_sim::chip::edges::Edges;
use lockrig_sim::chip::glitch;
use lockrig_sim::chip::nvmc::{self, FlashChange, FlashOperation};
pub use lockrig_sim::hash::state_hasher;
use lockrig_sim::instrument::header::{FIRST_OUTPUT, LAST_OUTPUT};
use lockrig_sim::time::Ticks;

use super::{
    Branch, Change, CutPoint, Dependence, Disturbance, Fault, Glitch, Input, Instruction,
    Interrupt, Level, LineId, Observation, OutputId, Outputs, PortId, PortProblem, PortTrouble,
    Ports, ProbePort, Seen, Signal, Spent, Terminal, Torn, Waited, sim_probe,
};
use crate::event::Nanos;

use faults::{Faults, Late};

/// The virtual benches that exist.
pub const NAMES: [&str; 4] = [
    BenchSpec::SAFE.name,
    BenchSpec::SAFE_ON_CELLS.name,
    BenchSpec::SMART_LOCK.name,
    CylinderSpec::GOOD.name,
];

/// The highest pin of the header that is an output; the lowest is 1.
pub const OUTPUT_MAX: u16 = LAST_OUTPUT;

/// A servo at an output of the header closes what the output leads to while its pulses are longer.
pub const SERVO_CLOSES: Nanos = Nanos(1_500_000);

/// The address of the probe.
const PROBE: &str = "sim:swd";

/// A long wait looks at the interrupt this often, in bench time: some milliseconds of wall time.
const LOOK: Ticks = Ticks::from_millis(1_000);

/// The same on a bench with faults, whose outputs are looked at then.
const FAULTY_LOOK: Ticks = Ticks::from_millis(1);

/// Whether there is a virtual bench of this name.
pub fn exists(name: &str) -> bool {
    BenchSpec::named(name).is_some() || CylinderSpec::named(name).is_some()
}

/// The byte ports that the virtual bench of this name has; of a name that is unknown, all that any has.
pub fn byte_ports(name: &str) -> Vec<&'static str> {
    let ports: &[bench::Port] = match (BenchSpec::named(name), CylinderSpec::named(name)) {
        (Some(_), _) => &VirtualBench::PORTS,
        (None, Some(_)) => &CylinderBench::PORTS,
        (None, None) => &bench::Port::ALL,
    };
    ports.iter().map(|port| port.name()).collect()
}

/// What the ports lead to.
enum World {
    /// A board with a chip.
    Board(Arc<Mutex<VirtualBench>>),
    /// A cylinder: no chip, no probe, no supply.
    Cylinder(Box<CylinderBench>),
}

/// A virtual bench, and those who hold it: one thread at a time does something with it.
#[derive(Clone)]
pub struct Handle(Arc<Mutex<VirtualBench>>);

impl Handle {
    /// The bench as it stands at this moment, which goes its own way from here.
    pub fn fork(&self) -> VirtualBench {
        lock(&self.0).clone()
    }

    /// What its instruments hold on.
    pub fn outputs(&self) -> Outputs {
        outputs(&lock(&self.0))
    }
}

fn outputs(bench: &VirtualBench) -> Outputs {
    let outputs = bench.outputs();
    Outputs {
        relays: outputs.relays,
        millivolts: outputs.millivolts,
    }
}

/// Which branches firmware has taken, on any bench that notes them here.
#[derive(Clone, Debug)]
pub struct Branches(Edges);

/// So many branches are told apart.
const BRANCHES: usize = 1 << 16;

impl Branches {
    /// None yet. Their place is never given back: one is made for a command.
    pub fn new() -> Branches {
        let taken = (0..BRANCHES).map(|_| AtomicU8::new(0)).collect::<Vec<_>>();
        Branches(Edges::new(taken.leak()))
    }

    /// Whether the branch at the first address led to the second.
    pub fn took(&self, from: u32, to: u32) -> bool {
        self.0.took(from, to)
    }
}

impl Default for Branches {
    fn default() -> Branches {
        Branches::new()
    }
}

/// The ports of one virtual bench.
pub struct SimPorts {
    world: World,
    lines: Vec<Line>,
    header: Header,
    interrupt: Interrupt,
    interrupts_seen: u64,
    faults: Faults,
    /// What the instruments held on when that was last looked at, and since when.
    held: (Outputs, Nanos),
}

/// The outputs of the header that are open.
#[derive(Clone, Default)]
struct Header {
    /// Their pins.
    pins: Vec<u16>,
    /// What is to be driven later, in the order of the orders.
    ordered: Vec<(Ticks, OutputId, Signal)>,
    /// What was driven and not yet told.
    driven: VecDeque<Observation>,
}

impl SimPorts {
    /// A new bench of this name; none, if there is no such bench. All its noise follows from `seed`.
    pub fn new(name: &str, seed: u64, interrupt: Interrupt) -> Option<SimPorts> {
        let world = match (BenchSpec::named(name), CylinderSpec::named(name)) {
            (Some(spec), _) => World::around(VirtualBench::new(&spec, seed)),
            (None, spec) => World::Cylinder(Box::new(CylinderBench::new(&spec?, seed))),
        };
        Some(SimPorts::around(world, interrupt))
    }

    /// Ports that lead to this bench.
    fn around(world: World, interrupt: Interrupt) -> SimPorts {
        SimPorts {
            world,
            lines: Vec::new(),
            header: Header::default(),
            interrupts_seen: interrupt.times(),
            interrupt,
            faults: Faults::default(),
            held: (Outputs::default(), Nanos::ZERO),
        }
    }

    /// Delivers what faults held back until now, and tells of a port that is lost by now.
    fn faulty(&mut self) -> Option<Observation> {
        let at = self.now();
        while let Some(late) = self.faults.arrival(at) {
            match late {
                Late::To(port, bytes) => self.write_now(port, &bytes),
                Late::From(port, _) if self.faults.is_lost(port, at) => {}
                Late::From(port, bytes) => {
                    let what = Seen::Bytes { port, bytes };
                    return Some(Observation { at, what });
                }
            }
        }
        let port = self.faults.loss(at)?;
        let why = "the port was lost".to_owned();
        let what = Seen::Lost { port, why };
        Some(Observation { at, what })
    }

    fn write_now(&mut self, port: PortId, bytes: &[u8]) {
        self.world
            .write(bench::Port::ALL[usize::from(port.0)], bytes);
    }

    fn look_at_outputs(&mut self) {
        let outputs = self.outputs_now();
        if outputs != self.held.0 {
            self.held = (outputs, self.now());
        }
    }

    fn outputs_now(&self) -> Outputs {
        let board = self.world.board();
        board.map_or(Outputs::default(), |board| outputs(&board))
    }

    /// The board's bench that these ports lead to, for those who look at it from beside; none where
    /// there is no chip.
    pub fn handle(&self) -> Option<Handle> {
        match &self.world {
            World::Board(bench) => Some(Handle(Arc::clone(bench))),
            World::Cylinder(_) => None,
        }
    }

    /// Drives an output now.
    fn drive_now(&mut self, output: OutputId, signal: Signal) {
        let pin = self.header.pins[usize::from(output.0)];
        let closes = match signal {
            Signal::Level(level) => level == Level::High,
            Signal::Pulses { width, .. } => width > SERVO_CLOSES,
        };
        self.world.drive(pin, closes);
        if let Signal::Pulses {
            lasts: Some(lasts), ..
        } = signal
        {
            let ends = (
                ticks_up(self.now() + lasts),
                output,
                Signal::Level(Level::Low),
            );
            self.header.ordered.push(ends);
        }
        self.header.driven.push_back(Observation {
            at: self.now(),
            what: Seen::Driven {
                output,
                signal,
                within: Nanos::ZERO,
            },
        });
    }

    /// Drives what is due; when something is due next.
    fn drive_due(&mut self) -> Option<Ticks> {
        let now = self.world.now();
        let ordered = std::mem::take(&mut self.header.ordered);
        let (due, later) = ordered.into_iter().partition(|(at, ..)| *at <= now);
        self.header.ordered = later;
        let mut due: Vec<(Ticks, OutputId, Signal)> = due;
        due.sort_by_key(|(at, ..)| *at);
        for (_, output, signal) in due {
            self.drive_now(output, signal);
        }
        self.header.ordered.iter().map(|(at, ..)| *at).min()
    }

    fn sight(&self, seen: bench::Observation) -> Option<Observation> {
        let what = match seen.what {
            bench::Seen::Bytes { port, bytes } => Seen::Bytes {
                port: PortId(port as u16),
                bytes,
            },
            bench::Seen::Edge { line, level, hertz } => {
                // Edges of lines that nobody opened are nobody's business.
                let id = self.lines.iter().position(|opened| *opened == line)?;
                let level = if level { Level::High } else { Level::Low };
                Seen::Edge {
                    line: LineId(id as u16),
                    level,
                    hertz,
                }
            }
            bench::Seen::FlashOperation(operation) => Seen::CutPoint(cut_point(operation)),
            bench::Seen::Terminal(terminal) => Seen::Terminal(Terminal {
                millivolts: terminal.millivolts,
                nanocoulombs: terminal.nanocoulombs,
            }),
            bench::Seen::Instruction(instruction) => Seen::Instruction(Instruction {
                number: instruction.number,
                address: instruction.address,
                bits: if instruction.halfwords.1.is_some() {
                    32
                } else {
                    16
                },
                writes: instruction.writes,
            }),
        };
        Some(Observation {
            at: nanos(seen.at),
            what,
        })
    }

    /// The port at an address, be it lost or not.
    fn port(&self, address: &str, baud: u32) -> Result<PortId, PortTrouble> {
        let absent = |saw| PortTrouble {
            address: address.to_owned(),
            problem: PortProblem::Absent,
            saw,
        };
        let name = address.strip_prefix("sim:").unwrap_or(address);
        let port = bench::Port::from_str(name).map_err(|unknown| absent(unknown.to_string()))?;
        if !self.world.ports().contains(&port) {
            return Err(absent(
                "this virtual bench has no such instrument".to_owned(),
            ));
        }
        // Zero is a bench file that leaves the rate out.
        if baud != 0 && baud != port.baud() {
            return Err(absent(format!(
                "this instrument talks at {} baud, not at {baud}",
                port.baud()
            )));
        }
        Ok(PortId(port as u16))
    }

    /// One that is lost stays lost.
    fn check_lost(&self, port: PortId) -> Result<(), PortTrouble> {
        match self.faults.is_lost(port, self.now()) {
            false => Ok(()),
            true => Err(PortTrouble {
                address: format!("sim:{}", bench::Port::ALL[usize::from(port.0)]),
                problem: PortProblem::Lost,
                saw: "the port is gone".to_owned(),
            }),
        }
    }
}

impl World {
    fn around(bench: VirtualBench) -> World {
        World::Board(Arc::new(Mutex::new(bench)))
    }

    /// The same at this moment, going its own way from here.
    fn fork(&self) -> World {
        match self {
            World::Board(bench) => World::around(lock(bench).clone()),
            World::Cylinder(bench) => World::Cylinder(bench.clone()),
        }
    }

    fn now(&self) -> Ticks {
        match self {
            World::Board(bench) => lock(bench).now(),
            World::Cylinder(bench) => bench.now(),
        }
    }

    fn ports(&self) -> &'static [bench::Port] {
        match self {
            World::Board(_) => &VirtualBench::PORTS,
            World::Cylinder(_) => &CylinderBench::PORTS,
        }
    }

    fn has(&self, line: Line) -> bool {
        match self {
            World::Board(bench) => lock(bench).lines().any(|there| there == line),
            World::Cylinder(_) => CylinderBench::LINES.contains(&line),
        }
    }

    fn level(&self, line: Line) -> bool {
        match self {
            World::Board(bench) => lock(bench).level(line),
            World::Cylinder(bench) => bench.level(line),
        }
    }

    fn write(&mut self, port: bench::Port, bytes: &[u8]) {
        match self {
            World::Board(bench) => lock(bench).write(port, bytes),
            World::Cylinder(bench) => bench.write(port, bytes),
        }
    }

    /// Drives an output of the header; a bench without one has no output that could be opened.
    fn drive(&mut self, pin: u16, high: bool) {
        if let Some(mut bench) = self.board() {
            bench.drive(pin, high);
        }
    }

    /// Lets time pass for at most this span, up to the deadline; also says how far it may have come.
    fn run(&mut self, span: Ticks, deadline: Ticks) -> (Option<bench::Observation>, Ticks) {
        let until = deadline.min(self.now() + span);
        let seen = match self {
            World::Board(bench) => lock(bench).run_until(until),
            World::Cylinder(bench) => bench.run_until(until),
        };
        (seen, until)
    }

    /// The board's bench, for what only a chip has.
    fn board(&self) -> Option<MutexGuard<'_, VirtualBench>> {
        match self {
            World::Board(bench) => Some(lock(bench)),
            World::Cylinder(_) => None,
        }
    }
}

fn lock(bench: &Mutex<VirtualBench>) -> MutexGuard<'_, VirtualBench> {
    // A bench on which somebody panicked stands between two events, which is as good as any moment.
    bench
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Ports for SimPorts {
    fn now(&self) -> Nanos {
        nanos(self.world.now())
    }

    fn bytes(&mut self, address: &str, baud: u32) -> Result<PortId, PortTrouble> {
        let port = self.port(address, baud)?;
        self.check_lost(port).map(|()| port)
    }

    fn line(&mut self, address: &str, pin: &str, _: &Input) -> Result<LineId, PortTrouble> {
        let absent = |saw| PortTrouble {
            address: format!("{address} pin '{pin}'"),
            problem: PortProblem::Absent,
            saw,
        };
        let line = Line::from_str(pin).map_err(|unknown| absent(unknown.to_string()))?;
        if !self.world.has(line) {
            return Err(absent("this virtual bench has no such line".to_owned()));
        }
        let at = self
            .lines
            .iter()
            .position(|opened| *opened == line)
            .unwrap_or_else(|| {
                self.lines.push(line);
                self.lines.len() - 1
            });
        Ok(LineId(at as u16))
    }

    fn output(&mut self, address: &str, pin: u16, level: Level) -> Result<OutputId, PortTrouble> {
        let there = address == "sim:pins"
            && (FIRST_OUTPUT..=LAST_OUTPUT).contains(&pin)
            && self.world.board().is_some();
        if !there {
            return Err(PortTrouble {
                address: format!("{address} pin {pin}"),
                problem: PortProblem::Absent,
                saw: "this virtual bench has no such output".to_owned(),
            });
        }
        let output = OutputId(self.header.pins.len() as u16);
        self.header.pins.push(pin);
        self.world.drive(pin, level == Level::High);
        Ok(output)
    }

    fn drive(&mut self, output: OutputId, signal: Signal, at: Nanos) -> Result<(), PortTrouble> {
        self.header.ordered.retain(|(_, other, _)| *other != output);
        if at <= self.now() {
            self.drive_now(output, signal);
        } else {
            self.header.ordered.push((ticks_up(at), output, signal));
        }
        Ok(())
    }

    fn probe(&mut self, address: &str) -> Result<ProbePort, PortTrouble> {
        match &self.world {
            World::Board(bench) => Ok(sim_probe::probe_until(
                Arc::clone(bench),
                ticks_up(self.faults.probe_lost()),
            )),
            World::Cylinder(_) => Err(PortTrouble {
                address: address.to_owned(),
                problem: PortProblem::Absent,
                saw: "a bench without a chip has no debug port".to_owned(),
            }),
        }
    }

    fn write(&mut self, port: PortId, bytes: &[u8]) -> Result<(), PortTrouble> {
        if self.faults.are_none() {
            self.write_now(port, bytes);
            return Ok(());
        }
        self.check_lost(port)?;
        let bytes = self.faults.outgoing(self.now(), port, bytes);
        self.write_now(port, &bytes);
        Ok(())
    }

    fn level(&mut self, line: LineId) -> Result<Level, PortTrouble> {
        let line = self.lines[usize::from(line.0)];
        Ok(if self.world.level(line) {
            Level::High
        } else {
            Level::Low
        })
    }

    fn wait(&mut self, deadline: Nanos) -> Waited<Observation> {
        // The first tick at which the deadline has passed, so that time-outs that end there have ended.
        let deadline = ticks_up(deadline);
        loop {
            let raised = self.interrupt.times();
            if raised != self.interrupts_seen {
                self.interrupts_seen += 1;
                return Waited::Interrupted;
            }
            let mut look = LOOK;
            let mut end = deadline;
            if !self.faults.are_none() {
                if let Some(seen) = self.faulty() {
                    return Waited::Saw(seen);
                }
                end = deadline.min(ticks_up(self.faults.next()));
                if self.faults.have_begun(self.now()) {
                    look = FAULTY_LOOK;
                    self.look_at_outputs();
                }
            }
            let due = self.drive_due();
            if let Some(driven) = self.header.driven.pop_front() {
                return Waited::Saw(driven);
            }
            let next = due.map_or(end, |due| due.min(end));
            let (seen, until) = self.world.run(look, next);
            match seen {
                Some(seen) => {
                    let seen = self.sight(seen);
                    if let Some(seen) = seen.and_then(|seen| self.faults.incoming(seen)) {
                        return Waited::Saw(seen);
                    }
                }
                None if until >= deadline && due.is_none_or(|due| due > deadline) => {
                    return Waited::Deadline;
                }
                None => {}
            }
        }
    }

    fn stood_still(&mut self) -> Nanos {
        Nanos::ZERO
    }

    fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    fn branch(&mut self) -> Option<&mut dyn Branch> {
        Some(self)
    }
}

impl Branch for SimPorts {
    fn fork(&mut self) -> Box<dyn Ports> {
        let mut fork = SimPorts::around(self.world.fork(), self.interrupt.clone());
        fork.lines.clone_from(&self.lines);
        fork.header.clone_from(&self.header);
        fork.interrupts_seen = self.interrupts_seen;
        fork.faults = self.faults.clone();
        fork.held = self.held.clone();
        Box::new(fork)
    }

    fn cut_points(&self, until: Nanos) -> Vec<CutPoint> {
        let board = self.world.board();
        let operations = board.map(|board| board.flash_operations(ticks_up(until)));
        operations.into_iter().flatten().map(cut_point).collect()
    }

    fn watch_cut_points(&mut self, watch: bool) {
        if let Some(mut board) = self.world.board() {
            board.watch_flash(watch);
        }
    }

    fn watch_terminal(&mut self, watch: bool) {
        if let Some(mut board) = self.world.board() {
            board.watch_terminal(watch);
        }
    }

    fn watch_instructions(&mut self, watch: bool) {
        if let Some(mut board) = self.world.board() {
            board.watch_instructions(watch);
        }
    }

    fn glitch(&mut self, glitch: Option<Glitch>) -> bool {
        let glitch = glitch.map(|glitch| match glitch {
            Glitch::Skip(count) => glitch::Glitch::Skip(count),
            Glitch::Flip(bit) => glitch::Glitch::Flip(bit),
            Glitch::Zeros(register) => glitch::Glitch::Zeros(register),
            Glitch::Ones(register) => glitch::Glitch::Ones(register),
        });
        let board = self.world.board();
        board.is_some_and(|mut board| board.glitch(glitch))
    }

    fn last_instruction(&self) -> u32 {
        let board = self.world.board();
        let next = board.map_or(0, |board| board.chip().core_state().registers[15]);
        next.wrapping_sub(2)
    }

    fn spent(&self) -> Spent {
        let Some(board) = self.world.board() else {
            return Spent {
                cycles: self.world.now().0,
                awake: 0,
                nanocoulombs: 0,
            };
        };
        Spent {
            cycles: board.chip().now().0,
            awake: board.chip().awake_time().0,
            nanocoulombs: board.terminal().nanocoulombs,
        }
    }

    fn awake(&self) -> u64 {
        let board = self.world.board();
        board.map_or(0, |board| board.chip().awake_time().0)
    }

    fn crashes(&self) -> u64 {
        let board = self.world.board();
        board.map_or(0, |board| {
            board.chip().crashes() + u64::from(board.chip().is_in_fault())
        })
    }

    fn cut(&mut self, torn: Torn) {
        if let Some(mut board) = self.world.board() {
            board.cut(physical(torn));
        }
    }

    fn restore(&mut self) {
        if let Some(mut board) = self.world.board() {
            board.restore();
        }
    }

    fn flash(&self, address: u32, words: usize) -> Vec<u32> {
        let Some(board) = self.world.board() else {
            return Vec::new();
        };
        let memory = board.chip().memory();
        (0..words as u32)
            .map(|word| memory.flash_word(address + 4 * word))
            .collect()
    }

    fn lasting_state(&self) -> u64 {
        self.lasting_state_but(&[], None)
    }

    fn lasting_state_but(&self, without: &[u32], with: Option<(u32, &[u32])>) -> u64 {
        let board = self.world.board();
        board.map_or(0, |board| board.lasting_state_but(without, with))
    }

    fn passing_state(&self) -> u64 {
        let board = self.world.board();
        board.map_or(0, |board| board.passing_state())
    }

    fn torn_page(&self, torn: Torn) -> Option<(u32, Vec<u32>)> {
        let board = self.world.board()?;
        let (page, words) = board.chip().torn_page(physical(torn))?;
        Some((page, words.to_vec()))
    }

    fn load(&mut self, address: u32, words: &[u32]) {
        if let Some(mut board) = self.world.board() {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            board.load(address, &bytes);
        }
    }

    fn flash_after_power_on(&self, address: u32, words: usize) -> Vec<u32> {
        let Some(board) = self.world.board() else {
            return Vec::new();
        };
        (0..words as u32)
            .map(|word| board.chip().word_after_power_on(address + 4 * word))
            .collect()
    }

    fn note_dependence(&mut self, from: u32) {
        if let Some(mut board) = self.world.board() {
            board.note_dependence(from);
        }
    }

    fn dependence(&self) -> Option<Dependence> {
        let board = self.world.board()?;
        let (words, erased) = board.chip().dependence()?.result()?;
        Some(Dependence { words, erased })
    }

    fn note_branches(&mut self, into: Option<&Branches>) {
        if let Some(mut board) = self.world.board() {
            board.note_edges(into.map(|branches| branches.0));
        }
    }

    fn first_read(&self, page: u32) -> Option<Nanos> {
        let board = self.world.board()?;
        board.chip().dependence()?.first_read(page).map(nanos)
    }

    fn fault(&mut self, fault: Fault) -> bool {
        if fault.port == PROBE && fault.what == Disturbance::Lose {
            self.faults.lose_probe(fault.from);
            return true;
        }
        let port = self.port(&fault.port, 0);
        port.map(|port| self.faults.add(port, fault)).is_ok()
    }

    fn outputs(&self) -> (Outputs, Nanos) {
        let outputs = self.outputs_now();
        match outputs == self.held.0 {
            true => self.held.clone(),
            false => (outputs, self.now()),
        }
    }

    fn disturbed(&self) -> u64 {
        self.faults.disturbed
    }
}

fn physical(torn: Torn) -> nvmc::Torn {
    match torn {
        Torn::DroppedBefore => nvmc::Torn::DroppedBefore,
        Torn::DroppedAfter => nvmc::Torn::DroppedAfter,
        Torn::Prefix { bits } => nvmc::Torn::Prefix { bits },
        Torn::Bytes { count } => nvmc::Torn::Bytes { count },
        Torn::Without { bit } => nvmc::Torn::Without { bit },
        Torn::Stray { bit } => nvmc::Torn::Stray { bit },
        Torn::Share { of_256, seed } => nvmc::Torn::Share { of_256, seed },
        Torn::BitSubset { seed } => nvmc::Torn::BitSubset { seed },
        Torn::PartialErase { seed } => nvmc::Torn::PartialErase { seed },
        Torn::Metastable { seed } => nvmc::Torn::Metastable { seed },
    }
}

fn cut_point(operation: FlashOperation) -> CutPoint {
    CutPoint {
        begins: nanos(operation.started),
        ends: nanos(operation.ends),
        change: match operation.change {
            FlashChange::Write {
                address,
                before,
                wanted,
            } => Change::Word {
                address,
                before,
                after: before & wanted,
            },
            FlashChange::ErasePage { page } => Change::Page { address: page },
            FlashChange::EraseAll => Change::Chip,
            FlashChange::EraseUicr => Change::Settings,
        },
    }
}

fn nanos(ticks: Ticks) -> Nanos {
    Nanos(ticks.as_nanos())
}

fn ticks_up(at: Nanos) -> Ticks {
    let down = Ticks::from_nanos(at.0);
    if down.as_nanos() < at.0 {
        down + Ticks(1)
    } else {
        down
    }
}
