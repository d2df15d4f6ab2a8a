//! A motion controller that speaks GRBL 1.1 with a fourth, rotary axis, as grblHAL and FluidNC do.
//!
//! X feeds a key along the keyway, Y brings one of several keys before it, Z pushes the learning
//! tool, A turns the key about X. Units are millimetres and degrees; `S` sets a comparator: a torque
//! above so many millinewton metres raises the probe input, and so does a key or tool that is pushed
//! against something. So a probing move (`G38.3`) is one that stops by itself when it meets too much.
//!
//! [`Controller`] is the protocol and the motion; [`gcode`] reads a line. What is left out is in
//! `boards/README.md`: acceleration, arcs, work coordinates, check mode, parking.

pub mod gcode;

use std::collections::VecDeque;
use std::fmt::Write;

use crate::time::Ticks;
use gcode::{AXES, Block, LETTERS, Motion, Position};

/// From a line's last stop bit to the first start bit of its answer.
const TURNAROUND: Ticks = Ticks::from_millis(1);
/// From `?` to the report.
const REPORT_DELAY: Ticks = Ticks::from_millis(5);
/// How often the axes move on while a motion is under way.
const STEP: Ticks = Ticks::from_millis(1);
/// Moves that wait behind the one under way.
const PLANNED_MAX: usize = 15;
/// Characters of a line, and of all lines that wait.
const LINE_MAX: usize = 80;
const RECEIVED_MAX: usize = 128;
/// How far homing pulls off a switch; the switches lie this far beyond the travel.
const PULL_OFF: i64 = 1_000;
/// The order in which axes go home: key and tool leave the cylinder first.
const HOMING_ORDER: [usize; AXES] = [0, 2, 1, 3];

/// What the controller senses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Inputs {
    /// The probe input: something resists more than it may.
    pub overload: bool,
    /// The limit switches, by axis.
    pub limits: [bool; AXES],
}

/// One of the `$` settings, in thousandths.
#[derive(Clone, Copy, Debug)]
struct Setting {
    number: u16,
    value: i64,
    /// Whether it is told with three decimals.
    decimals: bool,
}

/// The settings that the controller itself looks at.
mod settings {
    pub const SOFT_LIMITS: u16 = 20;
    pub const HARD_LIMITS: u16 = 21;
    pub const HOMING: u16 = 22;
    pub const HOMING_FEED: u16 = 25;
    pub const RATES: u16 = 110;
    pub const TRAVELS: u16 = 130;
}

/// In GRBL's order; travel of X, Y, Z in millimetres, of A in degrees.
const FACTORY: [(u16, i64, bool); 38] = [
    (0, 10_000, false),
    (1, 255_000, false),
    (2, 0, false),
    (3, 0, false),
    (4, 0, false),
    (5, 0, false),
    (6, 0, false),
    (10, 1_000, false),
    (11, 10, true),
    (12, 2, true),
    (13, 0, false),
    (20, 1_000, false),
    (21, 1_000, false),
    (22, 1_000, false),
    (23, 15_000, false),
    (24, 100_000, true),
    (25, 3_000_000, true),
    (26, 25_000, false),
    (27, PULL_OFF, true),
    (30, 3_000_000, false),
    (31, 0, false),
    (32, 0, false),
    (100, 200_000, true),
    (101, 200_000, true),
    (102, 200_000, true),
    (103, 100_000, true),
    (110, 2_400_000, true),
    (111, 6_000_000, true),
    (112, 1_200_000, true),
    (113, 9_000_000, true),
    (120, 2_000_000, true),
    (121, 2_000_000, true),
    (122, 2_000_000, true),
    (123, 9_000_000, true),
    (130, 35_000, true),
    (131, 60_000, true),
    (132, 20_000, true),
    (133, 215_000, true),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    Run,
    Hold,
    Home,
    Alarm,
    /// After a limit: nothing but a reset is heard.
    Halted,
}

/// What the next line has to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Awaits {
    /// The end of the probing move that is under way; then its result and `ok`.
    Probe,
    /// This moment; then `ok`.
    Dwell(Ticks),
    /// The end of homing; then `ok`.
    Homing,
}

/// A motion under way.
#[derive(Clone, Debug)]
struct Moving {
    block: Block,
    from: Position,
    began: Ticks,
    lasts: Ticks,
}

/// See the head of the file.
#[derive(Clone, Debug)]
pub struct Controller {
    settings: Vec<Setting>,
    state: State,
    /// Where the axes really stand: 0 is the home position.
    at: Position,
    /// What has to be taken off that to give what the controller believes; 0 once it was homed.
    lost: Position,
    modes: gcode::Modes,
    probed: (Position, bool),
    inputs: Inputs,
    line: Vec<u8>,
    overflowed: bool,
    /// The last byte was a carriage return: a line feed right behind it belongs to the same end.
    returned: bool,
    lines: VecDeque<String>,
    planned: VecDeque<Block>,
    moving: Option<Moving>,
    homing: VecDeque<(usize, i64)>,
    awaits: Option<Awaits>,
    step: Ticks,
    reports: u32,
    replies: VecDeque<(Ticks, String)>,
}

impl Controller {
    /// Baud rate of its port.
    pub const BAUD: u64 = 115_200;

    /// A controller that has just been switched on and does not know where its axes stand.
    pub fn new(at: Position) -> Controller {
        let settings = FACTORY.map(|(number, value, decimals)| Setting {
            number,
            value,
            decimals,
        });
        Controller {
            settings: settings.to_vec(),
            state: State::Alarm,
            at,
            lost: at,
            modes: gcode::Modes::default(),
            probed: ([0; AXES], false),
            inputs: Inputs::default(),
            line: Vec::new(),
            overflowed: false,
            returned: false,
            lines: VecDeque::new(),
            planned: VecDeque::new(),
            moving: None,
            homing: VecDeque::new(),
            awaits: None,
            step: Ticks::NEVER,
            reports: 0,
            replies: VecDeque::new(),
        }
    }

    /// Where the axes really stand.
    pub fn at(&self) -> Position {
        self.at
    }

    /// The torque comparator's level, in millinewton metres; 0 while it is off.
    pub fn torque_limit(&self) -> i64 {
        if self.modes.spindle {
            self.modes.speed / 1_000
        } else {
            0
        }
    }

    /// The switches at both ends of each axis.
    pub fn limits(&self) -> [bool; AXES] {
        std::array::from_fn(|axis| {
            let end = self.setting(settings::TRAVELS + axis as u16) + PULL_OFF;
            self.at[axis] <= -PULL_OFF || self.at[axis] >= end
        })
    }

    /// When it changes something by itself.
    pub fn next(&self) -> Ticks {
        let dwell = match self.awaits {
            Some(Awaits::Dwell(until)) if self.state != State::Hold => until,
            _ => Ticks::NEVER,
        };
        self.step.min(dwell)
    }

    /// Takes what it says, and from when on.
    pub fn take_reply(&mut self) -> Option<(Ticks, String)> {
        self.replies.pop_front()
    }

    /// A byte has arrived.
    pub fn receive(&mut self, now: Ticks, byte: u8) {
        let returned = std::mem::replace(&mut self.returned, byte == b'\r');
        match byte {
            0x18 => self.reset(now),
            b'?' => self.report(now),
            b'!' if matches!(self.state, State::Run | State::Idle) => {
                self.pause(now);
                self.state = State::Hold;
            }
            b'~' if self.state == State::Hold => {
                self.state = if self.awaits.is_some() || self.moving.is_some() {
                    State::Run
                } else {
                    State::Idle
                };
                if let Some(moving) = &mut self.moving {
                    moving.began = now;
                    self.step = now + STEP;
                }
            }
            b'!' | b'~' | 0x80.. => {}
            b'\n' if returned => {}
            b'\r' | b'\n' => {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                if std::mem::take(&mut self.overflowed) {
                    self.say(now, "error:11");
                } else {
                    self.lines.push_back(line);
                }
            }
            _ if self.line.len() >= LINE_MAX => self.overflowed = true,
            _ if self.waiting() >= RECEIVED_MAX => {}
            _ => self.line.push(byte),
        }
        self.go_on(now);
    }

    fn waiting(&self) -> usize {
        self.line.len() + self.lines.iter().map(|line| line.len() + 1).sum::<usize>()
    }

    /// The time has come that [`Controller::next`] told. The axes move on; the caller then tells what
    /// came of it through [`Controller::sense`].
    pub fn pass(&mut self, now: Ticks) {
        if let Some(Awaits::Dwell(until)) = self.awaits
            && until <= now
        {
            self.awaits = None;
            self.state = State::Idle;
            self.say(now, "ok");
        }
        if self.step <= now
            && let Some(moving) = &self.moving
        {
            let gone = now.since(moving.began).min(moving.lasts);
            for axis in 0..AXES {
                let way = i128::from(moving.block.to[axis] - moving.from[axis]);
                let part = way * i128::from(gone.0) / i128::from(moving.lasts.0.max(1));
                self.at[axis] = moving.from[axis] + part as i64;
            }
            self.step = now + STEP.min(moving.lasts.since(gone));
        }
    }

    /// What is sensed where the axes stand now.
    pub fn sense(&mut self, now: Ticks, inputs: Inputs) {
        self.inputs = inputs;
        let Some(moving) = &self.moving else {
            return self.go_on(now);
        };
        let limit = inputs.limits.contains(&true) && self.is_set(settings::HARD_LIMITS);
        let motion = moving.block.motion;
        let over = now.since(moving.began) >= moving.lasts;
        if limit && self.state != State::Home {
            self.stop();
            self.halt(now, "ALARM:1");
        } else if motion.stops_at(inputs.overload) {
            self.stop();
            self.probed = (self.believed(), true);
            self.end_probe(now);
        } else if over {
            self.stop();
            if let Some(must_touch) = motion.must_touch() {
                self.probed = (self.believed(), false);
                if must_touch {
                    self.alarm(now, "ALARM:5");
                }
                self.end_probe(now);
            }
        }
        self.go_on(now);
    }

    /// Starts what can start, and reads the lines whose turn it is.
    fn go_on(&mut self, now: Ticks) {
        loop {
            if self.moving.is_none() && matches!(self.state, State::Idle | State::Run) {
                match self.planned.pop_front() {
                    Some(block) => self.begin(now, block),
                    None if self.awaits.is_none() => self.state = State::Idle,
                    None => {}
                }
            }
            if self.moving.is_none() && self.state == State::Home && !self.next_home(now) {
                self.state = State::Idle;
                self.awaits = None;
                self.say(now, "ok");
            }
            if self.awaits.is_some() || matches!(self.state, State::Halted | State::Home) {
                return;
            }
            let Some(line) = self.lines.front().cloned() else {
                return;
            };
            let busy = self.moving.is_some() || !self.planned.is_empty();
            if busy && (self.planned.len() >= PLANNED_MAX || gcode::waits_for_rest(&line)) {
                return;
            }
            self.lines.pop_front();
            self.line(now, &line);
        }
    }

    fn line(&mut self, now: Ticks, line: &str) {
        let text: String = gcode::stripped(line);
        let answer = if text.is_empty() {
            Ok(true)
        } else if let Some(command) = text.strip_prefix('$') {
            self.command(now, command)
        } else if self.state == State::Alarm {
            Err(9)
        } else {
            self.execute(now, &text)
        };
        match answer {
            Ok(true) => self.say(now, "ok"),
            // It is answered when it is over.
            Ok(false) => {}
            Err(code) => self.say(now, &format!("error:{code}")),
        }
    }

    /// A `$` command; false, if its answer comes later.
    fn command(&mut self, now: Ticks, command: &str) -> Result<bool, u8> {
        let at_rest = matches!(self.state, State::Idle | State::Alarm) && self.moving.is_none();
        match command {
            "" => self.say(now, "[HLP:$$ $# $G $I $N $x=val $X $H ~ ! ? ctrl-x]"),
            "$" => {
                for setting in self.settings.clone() {
                    let value = match setting.decimals {
                        true => decimal(setting.value),
                        false => (setting.value / 1_000).to_string(),
                    };
                    self.say(now, &format!("${}={value}", setting.number));
                }
            }
            "#" => {
                let (at, touched) = self.probed;
                for name in ["G54", "G28", "G30", "G92"] {
                    self.say(now, &format!("[{name}:{}]", position([0; AXES])));
                }
                self.say(now, "[TLO:0.000]");
                self.say(now, &probe_report(at, touched));
            }
            "G" => {
                let modes = self.modes.to_string();
                self.say(now, &format!("[GC:{modes}]"));
            }
            "I" => {
                self.say(now, "[VER:1.1h.20190830:lockrig virtual stage]");
                self.say(now, "[OPT:VZ,15,128]");
            }
            "N" => {
                self.say(now, "$N0=");
                self.say(now, "$N1=");
            }
            "X" if at_rest => {
                if self.state == State::Alarm {
                    self.state = State::Idle;
                    self.say(now, "[MSG:Caution: Unlocked]");
                }
            }
            "H" if !self.is_set(settings::HOMING) => return Err(5),
            "H" if at_rest => {
                self.state = State::Home;
                self.awaits = Some(Awaits::Homing);
                self.homing = HOMING_ORDER
                    .into_iter()
                    .flat_map(|axis| [(axis, -PULL_OFF), (axis, 0)])
                    .collect();
                return Ok(false);
            }
            "X" | "H" => return Err(8),
            _ => {
                let (number, value) = command.split_once('=').ok_or(3)?;
                let number: u16 = number.parse().map_err(|_| 3)?;
                if !at_rest {
                    return Err(8);
                }
                let value = gcode::thousandths(value).ok_or(2)?;
                let setting = self
                    .settings
                    .iter_mut()
                    .find(|setting| setting.number == number)
                    .ok_or(3)?;
                if value < 0 {
                    return Err(4);
                }
                setting.value = value;
            }
        }
        Ok(true)
    }

    /// A block of G-code; false, if its answer comes later.
    fn execute(&mut self, now: Ticks, text: &str) -> Result<bool, u8> {
        let last = self
            .planned
            .back()
            .or(self.moving.as_ref().map(|moving| &moving.block));
        let from = last.map_or(self.believed(), |block| self.believed_of(block.to));
        let mut modes = self.modes;
        let read = gcode::read(text, &mut modes, from)?;
        self.modes = modes;
        if let Some(seconds) = read.dwell {
            self.awaits = Some(Awaits::Dwell(
                now + Ticks::from_micros(seconds as u64 * 1_000),
            ));
            self.state = State::Run;
            return Ok(false);
        }
        let Some(block) = read.block else {
            return Ok(true);
        };
        let travels = |axis: usize| self.setting(settings::TRAVELS + axis as u16);
        let outside = (0..AXES).any(|axis| !(0..=travels(axis)).contains(&block.to[axis]));
        if self.is_set(settings::SOFT_LIMITS) && outside {
            self.halt(now, "ALARM:2");
            return Ok(true);
        }
        let block = Block {
            to: std::array::from_fn(|axis| block.to[axis] + self.lost[axis]),
            ..block
        };
        if block.motion.must_touch().is_none() {
            self.planned.push_back(block);
            return Ok(true);
        }
        if block.motion.stops_at(self.inputs.overload) {
            self.alarm(now, "ALARM:4");
            return Ok(true);
        }
        self.awaits = Some(Awaits::Probe);
        self.begin(now, block);
        Ok(false)
    }

    fn begin(&mut self, now: Ticks, block: Block) {
        let way: Vec<f64> = (0..AXES)
            .map(|axis| (block.to[axis] - self.at[axis]).abs() as f64)
            .collect();
        let length = way.iter().map(|way| way * way).sum::<f64>().sqrt();
        // Units a minute are thousandths in 60 ms.
        let minutes = |length: f64, rate: i64| length / rate.max(1) as f64;
        let slowest = (0..AXES)
            .map(|axis| minutes(way[axis], self.setting(settings::RATES + axis as u16)))
            .fold(0.0, f64::max);
        let asked = block.feed.map_or(0.0, |feed| minutes(length, feed));
        let lasts = Ticks((asked.max(slowest) * 60.0 * Ticks::HERTZ as f64).ceil() as u64);
        self.state = State::Run;
        self.step = now + STEP.min(lasts);
        self.moving = Some(Moving {
            block,
            from: self.at,
            began: now,
            lasts,
        });
    }

    fn next_home(&mut self, now: Ticks) -> bool {
        let Some((axis, to)) = self.homing.pop_front() else {
            self.lost = [0; AXES];
            return false;
        };
        let mut block = Block {
            motion: Motion::Line,
            to: self.at,
            feed: Some(self.setting(settings::HOMING_FEED)),
        };
        block.to[axis] = to;
        self.begin(now, block);
        self.state = State::Home;
        true
    }

    /// Stops where the axes stand, and forgets the move.
    fn stop(&mut self) {
        self.moving = None;
        self.step = Ticks::NEVER;
    }

    /// Stops where the axes stand, and keeps what is left of the move.
    fn pause(&mut self, now: Ticks) {
        self.pass(now);
        self.step = Ticks::NEVER;
        if let Some(moving) = &mut self.moving {
            let left = moving.lasts.since(now.since(moving.began));
            (moving.from, moving.lasts) = (self.at, left);
        }
    }

    fn end_probe(&mut self, now: Ticks) {
        self.awaits = None;
        if self.state == State::Run {
            self.state = State::Idle;
        }
        let (at, touched) = self.probed;
        self.say(now, &probe_report(at, touched));
        self.say(now, "ok");
    }

    fn alarm(&mut self, now: Ticks, what: &str) {
        self.state = State::Alarm;
        self.planned.clear();
        self.say(now, what);
    }

    /// An alarm that only a reset ends.
    fn halt(&mut self, now: Ticks, what: &str) {
        self.stop();
        self.alarm(now, what);
        self.state = State::Halted;
        self.awaits = None;
        self.say(now, "[MSG:Reset to continue]");
    }

    fn reset(&mut self, now: Ticks) {
        let moved = self.moving.is_some() && self.state != State::Hold;
        self.stop();
        self.planned.clear();
        self.lines.clear();
        self.line.clear();
        self.homing.clear();
        self.awaits = None;
        self.overflowed = false;
        self.modes = gcode::Modes::default();
        let was_homing = self.state == State::Home;
        if moved {
            self.say(now, if was_homing { "ALARM:6" } else { "ALARM:3" });
        }
        let alarmed = matches!(self.state, State::Alarm | State::Halted);
        self.state = if moved || alarmed {
            State::Alarm
        } else {
            State::Idle
        };
        self.say(now, "");
        self.say(now, "Grbl 1.1h ['$' for help]");
        if self.state == State::Alarm {
            self.say(now, "[MSG:'$H'|'$X' to unlock]");
        }
        self.reports = 0;
    }

    fn report(&mut self, now: Ticks) {
        // Nothing is reported while the axes go home, nor before a reset that is asked for.
        if matches!(self.state, State::Home | State::Halted) {
            return;
        }
        let state = match self.state {
            State::Idle => "Idle",
            State::Run | State::Home => "Run",
            State::Hold => "Hold:0",
            State::Alarm | State::Halted => "Alarm",
        };
        let moving = self.moving.as_ref().filter(|_| self.state == State::Run);
        let feed = moving.and_then(|moving| moving.block.feed).unwrap_or(0) / 1_000;
        let speed = self.torque_limit();
        let mut text = format!(
            "<{state}|MPos:{}|FS:{feed},{speed}",
            position(self.believed())
        );
        let limits = (0..AXES).filter(|axis| self.inputs.limits[*axis]);
        let limits: String = limits.map(|axis| LETTERS[axis]).collect();
        let probe = if self.inputs.overload { "P" } else { "" };
        if !(limits.is_empty() && probe.is_empty()) {
            let _ = write!(text, "|Pn:{probe}{limits}");
        }
        match self.reports % 30 {
            0 => {
                let _ = write!(text, "|WCO:{}", position([0; AXES]));
            }
            1 => text.push_str("|Ov:100,100,100"),
            _ => {}
        }
        self.reports += 1;
        text.push_str(">\r\n");
        self.replies.push_back((now + REPORT_DELAY, text));
    }

    fn say(&mut self, now: Ticks, line: &str) {
        self.replies
            .push_back((now + TURNAROUND, format!("{line}\r\n")));
    }

    /// Where the controller believes that the axes stand.
    fn believed(&self) -> Position {
        self.believed_of(self.at)
    }

    fn believed_of(&self, at: Position) -> Position {
        std::array::from_fn(|axis| at[axis] - self.lost[axis])
    }

    fn setting(&self, number: u16) -> i64 {
        let found = self
            .settings
            .iter()
            .find(|setting| setting.number == number);
        found.map_or(0, |setting| setting.value)
    }

    fn is_set(&self, number: u16) -> bool {
        self.setting(number) != 0
    }
}

/// Three decimals.
fn decimal(thousandths: i64) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let size = thousandths.unsigned_abs();
    format!("{sign}{}.{:03}", size / 1_000, size % 1_000)
}

fn position(at: Position) -> String {
    at.map(decimal).join(",")
}

fn probe_report(at: Position, touched: bool) -> String {
    format!("[PRB:{}:{}]", position(at), u8::from(touched))
}

#[cfg(test)]
mod tests {
    use super::{Controller, Inputs};
    use crate::time::Ticks;

    struct Desk {
        stage: Controller,
        now: Ticks,
    }

    impl Desk {
        fn new() -> Desk {
            let stage = Controller::new([0, 0, 0, 100_000]);
            let now = Ticks::ZERO;
            Desk { stage, now }
        }

        fn homed() -> Desk {
            let mut desk = Desk::new();
            assert_eq!(desk.say("$H\n"), ["ok"]);
            desk
        }

        /// Sends a text and lets everything come to its end; `overload` is how far axis A may turn.
        fn ask(&mut self, text: &str, overload_from: i64) -> Vec<String> {
            for byte in text.bytes() {
                self.stage.receive(self.now, byte);
            }
            while self.stage.next() != Ticks::NEVER {
                self.now = self.stage.next();
                self.stage.pass(self.now);
                let inputs = Inputs {
                    overload: self.stage.at()[3] >= overload_from,
                    limits: self.stage.limits(),
                };
                self.stage.sense(self.now, inputs);
            }
            let mut said = String::new();
            while let Some((_, text)) = self.stage.take_reply() {
                said += &text;
            }
            said.lines().map(str::to_owned).collect()
        }

        fn say(&mut self, text: &str) -> Vec<String> {
            self.ask(text, i64::MAX)
        }
    }

    #[test]
    fn it_is_locked_until_it_was_homed_or_unlocked() {
        let mut desk = Desk::new();
        let locked = "<Alarm|MPos:0.000,0.000,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000,0.000>";
        assert_eq!(desk.say("?"), [locked]);
        assert_eq!(desk.say("G0 X1\n"), ["error:9"]);
        assert_eq!(desk.say("$H\n"), ["ok"]);
        assert_eq!(desk.stage.at(), [0; 4], "A turns to its switch");
        assert_eq!(desk.say("G0 X1\n"), ["ok"]);
        assert_eq!(desk.stage.at(), [1_000, 0, 0, 0]);
        let mut other = Desk::new();
        assert_eq!(other.say("$X\n"), ["[MSG:Caution: Unlocked]", "ok"]);
    }

    #[test]
    fn a_move_takes_the_time_that_its_feed_gives() {
        let mut desk = Desk::homed();
        let began = desk.now;
        desk.say("G1 X10 F600\n");
        assert_eq!(desk.now.since(began), Ticks::from_millis(1_000));
        let began = desk.now;
        desk.say("G1 A90 F60000\n");
        assert_eq!(
            desk.now.since(began),
            Ticks::from_millis(600),
            "9000 a minute at most"
        );
    }

    #[test]
    fn a_probing_move_stops_at_too_much_and_says_where() {
        let mut desk = Desk::homed();
        let said = desk.ask("M3 S800\nG38.3 A100 F3600\n", 50_000);
        assert_eq!(said, ["ok", "[PRB:0.000,0.000,0.000,50.039:1]", "ok"]);
        assert_eq!(desk.ask("?", 50_000)[0].split('|').nth(3), Some("Pn:P"));
        assert_eq!(desk.ask("G38.3 A10 F600\n", 50_000), ["ALARM:4", "ok"]);
        assert_eq!(desk.say("$X\n"), ["[MSG:Caution: Unlocked]", "ok"]);
        desk.say("G1 A0 F3600\n");
        let said = desk.say("G38.3 A10\n");
        assert_eq!(said, ["[PRB:0.000,0.000,0.000,10.000:0]", "ok"]);
        let said = desk.say("G38.2 A20\n");
        assert_eq!(said, ["ALARM:5", "[PRB:0.000,0.000,0.000,20.000:0]", "ok"]);
    }

    #[test]
    fn limits_halt_until_a_reset() {
        let mut desk = Desk::homed();
        let soft = ["ALARM:2", "[MSG:Reset to continue]"];
        assert_eq!(desk.say("G0 X99\n")[..2], soft);
        assert_eq!(desk.say("?$X\n"), [""; 0], "nothing but a reset is heard");
        let banner = ["", "Grbl 1.1h ['$' for help]", "[MSG:'$H'|'$X' to unlock]"];
        assert_eq!(desk.say("\u{18}"), banner);
        assert_eq!(desk.say("$20=0\n$H\n"), ["ok", "ok"]);
        let hard = ["ok", "ALARM:1", "[MSG:Reset to continue]"];
        assert_eq!(desk.say("G0 X99\n"), hard);
        assert_eq!(desk.stage.at()[0], 36_000);
    }

    #[test]
    fn a_hold_pauses_and_a_reset_in_motion_loses_the_position() {
        let mut desk = Desk::homed();
        for byte in b"G1 X10 F600\n" {
            desk.stage.receive(desk.now, *byte);
        }
        for _ in 0..500 {
            desk.now = desk.stage.next();
            desk.stage.pass(desk.now);
            desk.stage.sense(desk.now, Inputs::default());
        }
        assert_eq!(desk.say("!")[0], "ok");
        assert_eq!(desk.stage.at()[0], 5_000);
        assert!(desk.say("?")[0].starts_with("<Hold:0|MPos:5.000,"));
        desk.say("~");
        assert_eq!(desk.stage.at()[0], 10_000);
        for byte in b"G1 X0\n" {
            desk.stage.receive(desk.now, *byte);
        }
        assert_eq!(desk.say("\u{18}")[1], "ALARM:3");
        assert!(desk.say("?")[0].starts_with("<Alarm|"));
    }

    #[test]
    fn lines_are_answered_in_order_and_mistakes_change_nothing() {
        let mut desk = Desk::homed();
        let said =
            desk.say("G0X1\n(a note) g0 x2\n\r\nG2 X1\nX\nG1 X3\nG0 G1 X1\nG0 X1 X2\n$9=1\n");
        let codes = [
            "ok", "ok", "ok", "error:20", "error:2", "error:22", "error:21", "error:25", "error:3",
        ];
        assert_eq!(said, codes);
        assert_eq!(desk.say(&format!("G0 X{}\n", "1".repeat(90))), ["error:11"]);
        assert_eq!(
            desk.say("$G\n")[0],
            "[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]"
        );
        assert_eq!(
            desk.say("G91 G0 X1\nG0 X1\nG90\nG04 P0.5\n$$\n").len(),
            4 + 38 + 1
        );
        assert_eq!(desk.stage.at()[0], 4_000);
    }
}
