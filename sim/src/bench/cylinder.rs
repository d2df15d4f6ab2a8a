//! The bench without a chip: a rekeyable cylinder in a motion stage, and sense wires.
//!
//! Like [`VirtualBench`](super::VirtualBench) it lets time pass in one place, a clone is a fork, and
//! what falls on the same tick happens in a fixed order: a byte reaches the stage, the sense board; the
//! axes move on and the cylinder follows them; sense wires change; the sense board looks at its pins; a
//! byte leaves the stage, the sense board.

use std::collections::VecDeque;

use super::{Observation, Port, Seen, sense_pin};
use crate::board::Line;
use crate::board::noise::Noise;
use crate::cylinder::{Cuts, Cylinder, Defect, Hands, KEYS, Reaction};
use crate::instrument::sense_board::SenseBoard;
use crate::instrument::stage::gcode::AXES;
use crate::instrument::stage::{Controller, Inputs};
use crate::instrument::wire::Wire;
use crate::time::Ticks;

/// What is wrong with a stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The plunger's limit switch closes half-way: a cable that is pinched there.
    PlungerLimit,
    /// It does not answer.
    Silent,
}

/// What stands on a bench without a chip.
#[derive(Clone, Copy, Debug)]
pub struct CylinderSpec {
    /// The bench's name.
    pub name: &'static str,
    /// What is wrong with the cylinder.
    pub defect: Option<Defect>,
    /// What is wrong with the stage.
    pub fault: Option<Fault>,
}

impl CylinderSpec {
    /// A cylinder and a stage that do what their papers say.
    pub const GOOD: CylinderSpec = CylinderSpec {
        name: "virtual-cylinder",
        defect: None,
        fault: None,
    };

    /// The benches that exist: a good one, and those that a rig has to see through.
    pub const ALL: [CylinderSpec; 6] = [
        CylinderSpec::GOOD,
        CylinderSpec::broken("virtual-cylinder-that-binds", Some(Defect::Binds), None),
        CylinderSpec::broken(
            "virtual-cylinder-that-keeps-the-old-key",
            Some(Defect::KeepsOldKey),
            None,
        ),
        CylinderSpec::broken(
            "virtual-cylinder-that-loses-its-sliders",
            Some(Defect::LosesSliders),
            None,
        ),
        CylinderSpec::broken(
            "virtual-cylinder-with-a-pinched-cable",
            None,
            Some(Fault::PlungerLimit),
        ),
        CylinderSpec::broken(
            "virtual-cylinder-with-a-silent-stage",
            None,
            Some(Fault::Silent),
        ),
    ];

    /// The bench of this name.
    pub fn named(name: &str) -> Option<CylinderSpec> {
        CylinderSpec::ALL.into_iter().find(|spec| spec.name == name)
    }

    const fn broken(
        name: &'static str,
        defect: Option<Defect>,
        fault: Option<Fault>,
    ) -> CylinderSpec {
        CylinderSpec {
            name,
            defect,
            fault,
        }
    }
}

/// The keys in the magazine, slot 1 first: the one that the cylinder knows, two others of the same
/// kind, one that is not cut, one with a cut deeper than the sliders take.
const MAGAZINE: [Cuts; KEYS] = [
    [3, 5, 2, 4, 1],
    [2, 2, 6, 1, 5],
    [6, 1, 3, 3, 2],
    [0, 0, 0, 0, 0],
    [3, 5, 2, 8, 1],
];
/// The slots' distance on the Y axis; a key is before the keyway if it stands there to the tenth.
const PITCH: i64 = 12_000;
const SLOT_PLAY: i64 = 100;
/// The angle of the head where its home switch is.
const HOME_ANGLE: i64 = -100_000;
/// Where the pinched cable closes the plunger's limit switch.
const PINCHED_AT: i64 = 6_000;

/// See the head of the file.
#[derive(Clone, Debug)]
pub struct CylinderBench {
    spec: CylinderSpec,
    seed: u64,
    now: Ticks,
    cylinder: Cylinder,
    reaction: Reaction,
    stage: Controller,
    sense_board: SenseBoard,
    to_stage: Wire,
    from_stage: Wire,
    to_sense_board: Wire,
    from_sense_board: Wire,
    click_ends: Ticks,
    noise: Noise,
    levels: u32,
    outbox: VecDeque<Observation>,
}

impl CylinderBench {
    /// The byte ports that it has.
    pub const PORTS: [Port; 2] = [Port::Stage, Port::SenseBoard];

    /// The sense wires that it has.
    pub const LINES: [Line; 6] = [
        Line::PlugRest,
        Line::PlugTurned,
        Line::ToolSeated,
        Line::Click,
        Line::Overload,
        Line::StageLimit,
    ];

    /// A cylinder at rest that knows the first key, and a stage that stands clear of it with its head
    /// upright; it has just been switched on. All noise follows from `seed`.
    pub fn new(spec: &CylinderSpec, seed: u64) -> CylinderBench {
        let mut bench = CylinderBench {
            spec: *spec,
            seed,
            now: Ticks::ZERO,
            cylinder: Cylinder::new(MAGAZINE[0], spec.defect),
            reaction: Reaction::default(),
            stage: Controller::new([0, 0, 0, -HOME_ANGLE]),
            sense_board: SenseBoard::default(),
            to_stage: Wire::new(Controller::BAUD),
            from_stage: Wire::new(Controller::BAUD),
            to_sense_board: Wire::new(SenseBoard::BAUD),
            from_sense_board: Wire::new(SenseBoard::BAUD),
            click_ends: Ticks::NEVER,
            noise: Noise::new(seed, "click", 0),
            levels: 0,
            outbox: VecDeque::new(),
        };
        bench.levels = bench.sensed();
        for line in CylinderBench::LINES {
            let level = bench.level(line);
            bench.sense_board.set(Ticks::ZERO, sense_pin(line), level);
        }
        bench
    }

    /// What stands on this bench.
    pub fn spec(&self) -> &CylinderSpec {
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

    /// The cylinder, to look at what no wire shows.
    pub fn cylinder(&self) -> &Cylinder {
        &self.cylinder
    }

    /// Puts bytes on the way to the stage; they take their time. A port that this bench lacks swallows
    /// them.
    pub fn write(&mut self, port: Port, bytes: &[u8]) {
        match port {
            Port::Stage if self.spec.fault != Some(Fault::Silent) => {
                self.to_stage.send(self.now, bytes);
            }
            Port::SenseBoard => self.to_sense_board.send(self.now, bytes),
            _ => {}
        }
    }

    /// The level of a line; see [`Line`] for what high means.
    pub fn level(&self, line: Line) -> bool {
        self.levels & (1 << line as u32) != 0
    }

    /// Lets time pass until the next observation, which is returned and whose moment is now, or
    /// until `deadline`, which is now then. A deadline that has passed lets no time pass.
    pub fn run_until(&mut self, deadline: Ticks) -> Option<Observation> {
        let deadline = deadline.max(self.now);
        loop {
            if let Some(seen) = self.outbox.pop_front() {
                return Some(seen);
            }
            let next = self.next_event();
            if next > deadline {
                self.now = deadline;
                return None;
            }
            self.now = next;
            self.do_due(next);
        }
    }

    fn next_event(&self) -> Ticks {
        self.to_stage
            .next()
            .min(self.stage.next())
            .min(self.click_ends)
            .min(self.from_stage.next())
            .min(self.to_sense_board.next())
            .min(self.sense_board.next())
            .min(self.from_sense_board.next())
    }

    fn do_due(&mut self, now: Ticks) {
        if let Some(byte) = self.to_stage.receive(now) {
            self.stage.receive(now, byte);
        }
        if let Some(byte) = self.to_sense_board.receive(now) {
            self.sense_board.receive(byte);
        }
        if self.click_ends <= now {
            self.click_ends = Ticks::NEVER;
        }
        if self.stage.next() <= now {
            self.stage.pass(now);
            self.reaction = self.cylinder.follow(self.hands());
            if self.reaction.clicked {
                let rings = self.noise.between(2_000, 8_000);
                self.click_ends = now + Ticks::from_micros(rings);
            }
        }
        // The comparator and the switches act whether or not anything moves.
        self.stage.sense(now, self.inputs());
        while let Some((at, text)) = self.stage.take_reply() {
            self.from_stage.send(at, text.as_bytes());
        }
        self.show(now);
        if self.sense_board.next() <= now {
            self.sense_board.pass();
        }
        let report = self.sense_board.take_reply();
        self.from_sense_board.send(now, &report);
        for (port, wire) in [
            (Port::Stage, &mut self.from_stage),
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

    /// Where the axes hold key and tool.
    fn hands(&self) -> Hands {
        let [feed, magazine, tool, turn] = self.stage.at();
        let slot = (magazine + PITCH / 2).div_euclid(PITCH);
        let there = (magazine - slot * PITCH).abs() <= SLOT_PLAY;
        let key = usize::try_from(slot).ok().filter(|_| there);
        Hands {
            turn: turn + HOME_ANGLE,
            feed,
            key: key.and_then(|slot| MAGAZINE.get(slot)).copied(),
            tool,
        }
    }

    fn inputs(&self) -> Inputs {
        let mut limits = self.stage.limits();
        if self.spec.fault == Some(Fault::PlungerLimit) {
            limits[2] |= self.stage.at()[2] >= PINCHED_AT;
        }
        let Reaction {
            torque, blocked, ..
        } = self.reaction;
        // A comparator that is off compares with nothing.
        let limit = self.stage.torque_limit();
        Inputs {
            overload: blocked || limit > 0 && torque > limit,
            limits,
        }
    }

    fn sensed(&self) -> u32 {
        let inputs = self.inputs();
        let on = |line: Line| match line {
            Line::PlugRest => self.cylinder.is_at_rest(),
            Line::PlugTurned => self.cylinder.is_turned(),
            Line::ToolSeated => self.cylinder.is_tool_seated(),
            Line::Click => self.click_ends != Ticks::NEVER,
            Line::Overload => inputs.overload,
            Line::StageLimit => inputs.limits != [false; AXES],
            _ => false,
        };
        let bits = CylinderBench::LINES
            .into_iter()
            .filter(|line| on(*line))
            .map(|line| 1 << line as u32);
        bits.sum()
    }

    fn show(&mut self, now: Ticks) {
        let levels = self.sensed();
        let changed = levels ^ self.levels;
        self.levels = levels;
        for line in CylinderBench::LINES {
            let bit = 1 << line as u32;
            if changed & bit != 0 {
                let level = levels & bit != 0;
                self.sense_board.set(now, sense_pin(line), level);
                let what = Seen::Edge {
                    line,
                    level,
                    hertz: None,
                };
                self.outbox.push_back(Observation { at: now, what });
            }
        }
    }
}
