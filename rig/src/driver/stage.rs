//! A motion stage behind a GRBL 1.1 controller: it turns a key, feeds it into the keyway, chooses it
//! from a magazine, and pushes the learning tool.
//!
//! Every move is a probing move (`G38.3`): the controller itself stops it when the torque on the key
//! goes over the level that `M3 S…` sets, or when key or tool push against something. What was
//! stopped is backed off until a quarter of that level is left (`G38.5`) and then taken back to where
//! the move began, as far as it goes: nothing stays under load. Travel, torque,
//! feed and the longest move are checked here, before a byte is sent; a limit switch, an alarm or an
//! error of the controller is trouble, and after it nothing moves any more: where the axes stand is
//! then unknown, and a key that is turned or pulled blindly breaks.
//!
//! Places are thousandths of a millimetre or degree, as the controller counts them.

use std::collections::VecDeque;
use std::fmt::Write;

use super::{DeviceTrouble, Driver, Trouble};
use crate::event::Nanos;
use crate::quantity::{
    Micrometres, MicrometresPerSecond, Millidegrees, MillidegreesPerSecond, MillinewtonMetres,
};

/// How long the controller may take to answer what moves nothing.
pub const ANSWER_MAX: Nanos = Nanos::from_millis(500);
/// How long it may take to start, and how long all axes may take to go home.
pub const HOMING_MAX: Nanos = Nanos::from_secs(60);
/// How long bringing key and tool out of the cylinder may take.
pub const REST_MAX: Nanos = Nanos::from_secs(60);
/// How much later than reckoned a move may end: the controller accelerates, which is not reckoned.
const MOVE_MARGIN: Nanos = Nanos::from_millis(1_500);
/// How well a reported place has to agree with the one that was asked for.
const PLACE_PLAY: i64 = 20;
/// Lines of the controller are shorter.
const LINE_MAX: usize = 200;
/// Orders that may wait; more means that somebody orders without letting time pass.
const ORDERS_MAX: usize = 64;

/// `ctrl-x`: stop everything and start anew.
const RESET: u8 = 0x18;
/// The order in which the controller reports its axes.
const LETTERS: [char; 6] = ['X', 'Y', 'Z', 'A', 'B', 'C'];

/// A controller's axis, by its place in reports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Axis(u8);

impl Axis {
    /// The axis of this letter; there are X, Y, Z, A, B, C.
    pub fn of(letter: &str) -> Option<Axis> {
        let at = LETTERS
            .iter()
            .position(|known| letter == known.to_string())?;
        Some(Axis(at as u8))
    }

    fn letter(self) -> char {
        LETTERS[self.place()]
    }

    fn place(self) -> usize {
        usize::from(self.0)
    }
}

impl std::fmt::Display for Axis {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.letter())
    }
}

/// How a stage is built: what the bench file says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The head that turns the key.
    pub turn: Turn,
    /// What feeds the key; home is clear of the cylinder.
    pub insert: Slide,
    /// What brings one of several keys before the keyway; home is the first.
    pub magazine: Magazine,
    /// What pushes the tool; home is clear of the cylinder.
    pub plunge: Slide,
    /// The greatest torque that may be put on a key.
    pub torque: MillinewtonMetres,
    /// How long one move may take.
    pub longest_move: Nanos,
}

/// The head that turns the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Its axis.
    pub axis: Axis,
    /// The angle of its home position; it turns clockwise from there.
    pub from: Millidegrees,
    /// The furthest angle.
    pub to: Millidegrees,
    /// How fast.
    pub feed: MillidegreesPerSecond,
}

/// Something that goes in and out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slide {
    /// Its axis.
    pub axis: Axis,
    /// Where it is all the way in: the shoulder of the key, the end of the slot.
    pub seated: Micrometres,
    /// How fast.
    pub feed: MicrometresPerSecond,
}

/// Keys side by side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Magazine {
    /// Its axis.
    pub axis: Axis,
    /// From one key to the next.
    pub pitch: Micrometres,
    /// How many keys.
    pub slots: u8,
    /// How fast.
    pub feed: MicrometresPerSecond,
}

/// One move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Motion {
    /// Turns the key to an angle, with at most this torque.
    Turn {
        /// The angle from the rest position.
        to: Millidegrees,
        /// The torque that stops it.
        torque: MillinewtonMetres,
    },
    /// Feeds the key so far in; 0 is out.
    Insert {
        /// How far.
        to: Micrometres,
    },
    /// Brings this key before the keyway.
    Select {
        /// Its place in the magazine, from 1.
        slot: u8,
    },
    /// Pushes the tool so far in; 0 is out.
    Plunge {
        /// How far.
        to: Micrometres,
    },
}

/// What the stage tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// How the controller greets.
    Identified(String),
    /// A move is over.
    Moved {
        /// What was asked.
        motion: Motion,
        /// Where it was stopped by too much torque or force, in thousandths of a degree or
        /// millimetre; none for a move that arrived.
        stopped: Option<i64>,
        /// Where it stands now: where it was to go, or where it was taken back to.
        stands: i64,
        /// When it was ordered.
        asked: Nanos,
    },
    /// It did not do what it was told. Nothing moves any more.
    Trouble(DeviceTrouble),
}

/// Where key and tool were left when the stage came to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// Out of the cylinder.
    Clear,
    /// The cylinder holds the key, and nothing pulls at it.
    KeyIn {
        /// At this angle.
        at: Millidegrees,
    },
}

#[derive(Clone, Debug)]
enum Job {
    /// Finds the controller, and brings it home if it does not know where it is.
    Connect,
    /// Carries out a move.
    Move { trip: Trip, asked: Nanos },
    /// Brings key and tool out.
    Rest(Resting),
    /// Looks after an alarm which switches are closed, and then tells of the trouble.
    Diagnose(DeviceTrouble),
}

/// A move under way: there, and back where something stopped it.
#[derive(Clone, Copy, Debug)]
struct Trip {
    motion: Motion,
    leg: Leg,
    /// Where it began.
    before: i64,
    /// Where it was stopped, once it was.
    stopped: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leg {
    /// To where it was asked to go.
    There,
    /// The comparator is set lower, to see whether load is left.
    Feel,
    /// Backwards until there is none.
    Unload,
    /// To where it began.
    Back,
    /// That was stopped as well: the same once more, and it stays there.
    FeelBack,
    UnloadBack,
}

/// How far going to rest has come.
#[derive(Clone, Copy, Default, Debug)]
struct Resting {
    /// The move under way.
    trip: Option<Trip>,
    /// What cannot be done: the key is held.
    key_held: bool,
    turn_held: bool,
}

/// Something that was sent, and what has to come.
#[derive(Clone, Debug)]
struct Sent {
    bytes: Vec<u8>,
    answer: Answer,
    within: Nanos,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Ok,
    Banner,
    Report,
}

/// The driver.
#[derive(Clone, Debug)]
pub struct Stage {
    device: String,
    settings: Settings,
    jobs: VecDeque<Job>,
    job: Option<Job>,
    lines: VecDeque<Sent>,
    under_way: Option<(Answer, Nanos)>,
    outbox: Vec<u8>,
    received: Vec<u8>,
    /// Bytes that came since the last thing was sent.
    heard: usize,
    /// The controller's own settings, while they are read.
    told: Vec<(u16, f64)>,
    /// Where the axes stand; none while nobody knows.
    at: Option<Vec<i64>>,
    report: Option<Report>,
    probed: Option<(Vec<i64>, bool)>,
    /// The last level of the torque comparator that was set.
    level: Option<MillinewtonMetres>,
    dead: Option<DeviceTrouble>,
    rested: Option<Left>,
    facts: VecDeque<(Nanos, Fact)>,
}

/// A status report.
#[derive(Clone, Debug)]
struct Report {
    state: String,
    at: Vec<i64>,
    pins: String,
}

impl Stage {
    /// A stage that `device` names in messages.
    pub fn new(device: impl Into<String>, settings: Settings) -> Stage {
        Stage {
            device: device.into(),
            settings,
            jobs: VecDeque::new(),
            job: None,
            lines: VecDeque::new(),
            under_way: None,
            outbox: Vec::new(),
            received: Vec::new(),
            heard: 0,
            told: Vec::new(),
            at: None,
            report: None,
            probed: None,
            level: None,
            dead: None,
            rested: None,
            facts: VecDeque::new(),
        }
    }

    /// Asks who is there, and brings the axes home if they are lost.
    pub fn connect(&mut self, now: Nanos) {
        self.jobs.push_back(Job::Connect);
        self.go_on(now);
    }

    /// Orders a move. What came of it comes later, as a fact.
    ///
    /// # Errors
    /// A move beyond the stage's limits, or one for which the key has to be out first: nothing is sent.
    /// After trouble, that trouble.
    pub fn go(&mut self, now: Nanos, motion: Motion) -> Result<(), DeviceTrouble> {
        if let Some(trouble) = &self.dead {
            return Err(trouble.clone());
        }
        self.check(motion)?;
        if self.jobs.len() >= ORDERS_MAX {
            return Err(self.trouble(
                self.doing(motion),
                Trouble::Busy,
                format!("{ORDERS_MAX} moves are waiting already"),
                "let time pass between moves",
            ));
        }
        self.rested = None;
        let asked = now;
        let trip = Trip::to(motion);
        self.jobs.push_back(Job::Move { trip, asked });
        self.go_on(now);
        Ok(())
    }

    /// Whether everything that was ordered is over, or given up.
    pub fn is_idle(&self) -> bool {
        self.job.is_none() && self.jobs.is_empty()
    }

    /// Where key and tool were left, if the stage is at rest.
    pub fn rested(&self) -> Option<Left> {
        self.rested.filter(|_| self.is_idle())
    }

    /// Brings the stage to rest: what moves is stopped; the tool goes out; a key goes back and out as
    /// far as the cylinder lets it, and is left where it is held, without load. What waits is forgotten.
    /// A stage in trouble stays as it is.
    pub fn rest(&mut self, now: Nanos) {
        if self.dead.is_some() {
            return;
        }
        self.jobs.clear();
        if matches!(
            self.job,
            Some(Job::Connect | Job::Diagnose(_) | Job::Rest(_))
        ) {
            return;
        }
        let moving = self.job.take().is_some();
        self.lines.clear();
        self.under_way = None;
        if moving {
            // Held first: a reset in motion loses the position.
            self.outbox.push(b'!');
            self.send_later(b"?".to_vec(), Answer::Report, ANSWER_MAX);
            self.send_later(vec![RESET], Answer::Banner, ANSWER_MAX);
            self.send_later(b"?".to_vec(), Answer::Report, ANSWER_MAX);
            self.level = None;
        }
        self.job = Some(Job::Rest(Resting::default()));
        self.go_on(now);
    }

    /// Looks at a move before anything is sent.
    fn check(&self, motion: Motion) -> Result<(), DeviceTrouble> {
        let refuse = |saw: String, hint: &str| {
            Err(self.trouble(self.doing(motion), Trouble::Refused, saw, hint))
        };
        let Settings {
            turn,
            insert,
            magazine,
            plunge,
            torque,
            ..
        } = &self.settings;
        match motion {
            Motion::Turn { to, .. } if to < turn.from || to > turn.to => refuse(
                format!("the stage turns from {} to {}", turn.from, turn.to),
                "nothing was sent; ask for an angle within the stage's travel",
            ),
            Motion::Turn { torque: asked, .. } if asked > *torque => refuse(
                format!("{asked} are more than the stage may put on a key, {torque}"),
                "nothing was sent; ask for less, or raise 'torque' under [stage] if the key bears it",
            ),
            Motion::Insert { to } if to > insert.seated => refuse(
                format!("a key is all the way in at {}", insert.seated),
                "nothing was sent; ask for less",
            ),
            Motion::Plunge { to } if to > plunge.seated => refuse(
                format!("the tool is all the way in at {}", plunge.seated),
                "nothing was sent; ask for less",
            ),
            Motion::Select { slot } if slot == 0 || slot > magazine.slots => refuse(
                format!("the magazine has slots 1 to {}", magazine.slots),
                "nothing was sent; name a key that is there",
            ),
            _ => Ok(()),
        }
    }

    /// The axis of a move, and where it goes.
    fn target(&self, motion: Motion) -> (Axis, i64) {
        let Settings {
            turn,
            insert,
            magazine,
            plunge,
            ..
        } = &self.settings;
        match motion {
            Motion::Turn { to, .. } => (turn.axis, i64::from(to.0) - i64::from(turn.from.0)),
            Motion::Insert { to } => (insert.axis, i64::from(to.0)),
            Motion::Plunge { to } => (plunge.axis, i64::from(to.0)),
            Motion::Select { slot } => {
                let slot = i64::from(slot) - 1;
                (magazine.axis, slot * i64::from(magazine.pitch.0))
            }
        }
    }

    /// The feed of a move, in thousandths a second.
    fn feed(&self, motion: Motion) -> u32 {
        let Settings {
            turn,
            insert,
            magazine,
            plunge,
            ..
        } = &self.settings;
        match motion {
            Motion::Turn { .. } => turn.feed.0,
            Motion::Insert { .. } => insert.feed.0,
            Motion::Select { .. } => magazine.feed.0,
            Motion::Plunge { .. } => plunge.feed.0,
        }
    }

    /// A place on a move's axis as people say it.
    fn place(&self, motion: Motion, place: i64) -> i64 {
        match motion {
            Motion::Turn { .. } => place + i64::from(self.settings.turn.from.0),
            _ => place,
        }
    }

    fn go_on(&mut self, now: Nanos) {
        while self.under_way.is_none() {
            if let Some(sent) = self.lines.pop_front() {
                self.outbox.extend(&sent.bytes);
                self.heard = 0;
                self.under_way = Some((sent.answer, now + sent.within));
                return;
            }
            match self.job.take() {
                Some(job) => self.step(now, job),
                None => match self.jobs.pop_front() {
                    Some(job) => self.begin(now, job),
                    None => return,
                },
            }
        }
    }

    fn begin(&mut self, now: Nanos, mut job: Job) {
        match &mut job {
            Job::Connect => {
                self.told.clear();
                self.at = None;
                self.send_later(vec![RESET], Answer::Banner, Nanos::from_secs(3));
                self.send_later(b"$$\n".to_vec(), Answer::Ok, ANSWER_MAX);
                self.send_later(b"?".to_vec(), Answer::Report, ANSWER_MAX);
            }
            Job::Move { trip, .. } => {
                let motion = trip.motion;
                if let Some(trouble) = self.key_in_the_way(motion) {
                    // It was refused, not broken: nothing moved, and the stage knows where it is.
                    return self.facts.push_back((now, Fact::Trouble(trouble)));
                }
                let (axis, _) = self.target(motion);
                trip.before = self.here(axis);
                self.send_move(motion);
            }
            Job::Rest(_) | Job::Diagnose(_) => {}
        }
        self.job = Some(job);
    }

    /// The magazine shears a key off that is in the cylinder.
    fn key_in_the_way(&self, motion: Motion) -> Option<DeviceTrouble> {
        let Motion::Select { .. } = motion else {
            return None;
        };
        let at = self.at.as_ref()?;
        let (axis, to) = self.target(motion);
        let fed = at[self.settings.insert.axis.place()];
        (fed.abs() > PLACE_PLAY && (at[axis.place()] - to).abs() > PLACE_PLAY).then(|| {
            self.trouble(
                self.doing(motion),
                Trouble::Refused,
                format!(
                    "a key is {} in the keyway",
                    Micrometres(fed.unsigned_abs() as u32)
                ),
                "nothing was sent; withdraw the key first",
            )
        })
    }

    /// What takes the stage along one axis, and then asks where it is.
    fn send_move(&mut self, motion: Motion) {
        let (_, to) = self.target(motion);
        self.send_probe(motion, true, to);
    }

    /// A probing move that ends where the overload input comes, or goes.
    fn send_probe(&mut self, motion: Motion, towards: bool, to: i64) {
        let (axis, _) = self.target(motion);
        let here = self.here(axis);
        if (here - to).abs() <= PLACE_PLAY {
            return;
        }
        if towards {
            self.send_level(self.level_of(motion));
        }
        let within = self.lasts(motion, here, to);
        let code = if towards { "G38.3" } else { "G38.5" };
        let feed = self.feed(motion) * 60 / 1_000;
        let line = format!("{code} {axis}{} F{feed}\n", decimal(to));
        self.send_later(line.into_bytes(), Answer::Ok, within);
        self.send_later(b"?".to_vec(), Answer::Report, ANSWER_MAX);
    }

    fn level_of(&self, motion: Motion) -> MillinewtonMetres {
        match motion {
            Motion::Turn { torque, .. } => torque,
            _ => self.settings.torque,
        }
    }

    fn send_level(&mut self, level: MillinewtonMetres) {
        if self.level != Some(level) {
            self.send_later(
                format!("M3 S{}\n", level.0).into_bytes(),
                Answer::Ok,
                ANSWER_MAX,
            );
            self.level = Some(level);
        }
    }

    /// Where an axis stands, as far as is known.
    fn here(&self, axis: Axis) -> i64 {
        let at = self.at.as_ref().and_then(|at| at.get(axis.place()));
        at.copied().unwrap_or_default()
    }

    /// The leg of a trip that was under way is over. True, if the trip is.
    fn travel(&mut self, trip: &mut Trip) -> Result<bool, DeviceTrouble> {
        let motion = trip.motion;
        let (axis, to) = self.target(motion);
        let report = self.report.take();
        let loaded = report
            .as_ref()
            .is_some_and(|report| report.pins.contains('P'));
        if let Some(report) = report {
            self.at = Some(report.at);
        }
        let here = self.here(axis);
        let stopped = self.probed.take().filter(|(_, touched)| *touched);
        let place = stopped.and_then(|(places, _)| places.get(axis.place()).copied());
        let end = match trip.leg {
            Leg::There => to,
            _ => trip.before,
        };
        match (trip.leg, place) {
            (Leg::There | Leg::Back, Some(place)) => {
                if trip.leg == Leg::There {
                    trip.stopped = Some(self.place(motion, place));
                    trip.leg = Leg::Feel;
                } else {
                    trip.leg = Leg::FeelBack;
                }
                let level = self.level_of(motion);
                self.send_level(MillinewtonMetres((level.0 / 4).max(1)));
                self.send_later(b"?".to_vec(), Answer::Report, ANSWER_MAX);
                Ok(false)
            }
            (Leg::There | Leg::Back, None) => match (here - end).abs() <= PLACE_PLAY {
                true => Ok(true),
                false => Err(self.trouble(
                    self.doing(motion),
                    Trouble::Refused,
                    format!("it says that axis {axis} stands at {}, not at {}", decimal(here), decimal(end)),
                    "does another program talk to the stage? was it touched?",
                )),
            },
            (Leg::Feel | Leg::FeelBack, _) if loaded => {
                let first = trip.leg == Leg::Feel;
                let away = if first { trip.before } else { to };
                trip.leg = if first { Leg::Unload } else { Leg::UnloadBack };
                self.send_probe(motion, false, away);
                Ok(false)
            }
            (Leg::Unload | Leg::UnloadBack, _) if loaded => Err(self.trouble(
                self.doing(motion),
                Trouble::Refused,
                "it was stopped by too much torque or force, and backing off does not take that away".to_owned(),
                "look at key and tool before anything else moves",
            )),
            (Leg::Feel | Leg::Unload, _) => {
                trip.leg = Leg::Back;
                self.send_probe(motion, true, trip.before);
                Ok(false)
            }
            (Leg::FeelBack | Leg::UnloadBack, _) => Ok(true),
        }
    }

    /// How long a move may take.
    fn lasts(&self, motion: Motion, from: i64, to: i64) -> Nanos {
        let feed = u64::from(self.feed(motion).max(1));
        let reckoned = Nanos(from.abs_diff(to) * 1_000_000_000 / feed);
        (reckoned + MOVE_MARGIN).min(self.settings.longest_move)
    }

    fn send_later(&mut self, bytes: Vec<u8>, answer: Answer, within: Nanos) {
        self.lines.push_back(Sent {
            bytes,
            answer,
            within,
        });
    }

    /// All that was sent for a job has been answered: what next.
    fn step(&mut self, now: Nanos, job: Job) {
        match job {
            Job::Connect => self.connected(now),
            Job::Move { mut trip, asked } => match self.travel(&mut trip) {
                Ok(false) => self.job = Some(Job::Move { trip, asked }),
                Ok(true) => {
                    let Trip {
                        motion, stopped, ..
                    } = trip;
                    let (axis, _) = self.target(motion);
                    let stands = self.place(motion, self.here(axis));
                    self.facts.push_back((
                        now,
                        Fact::Moved {
                            motion,
                            stopped,
                            stands,
                            asked,
                        },
                    ));
                }
                Err(trouble) => self.die(now, trouble),
            },
            Job::Rest(resting) => self.resting(now, resting),
            Job::Diagnose(mut trouble) => {
                if let Some(report) = &self.report
                    && report.pins.contains(|pin| LETTERS.contains(&pin))
                {
                    let pins: Vec<String> = report
                        .pins
                        .chars()
                        .filter(|pin| LETTERS.contains(pin))
                        .map(|pin| format!("'{pin}'"))
                        .collect();
                    let _ = write!(
                        trouble.saw,
                        "; the switch of axis {} is closed",
                        pins.join(", ")
                    );
                }
                self.die(now, trouble);
            }
        }
    }

    fn connected(&mut self, now: Nanos) {
        if let Some(trouble) = self.unfit() {
            return self.die(now, trouble);
        }
        let Some(report) = self.report.take() else {
            return;
        };
        let axes = [
            self.settings.turn.axis,
            self.settings.insert.axis,
            self.settings.magazine.axis,
            self.settings.plunge.axis,
        ];
        if let Some(axis) = axes
            .into_iter()
            .find(|axis| axis.place() >= report.at.len())
        {
            let trouble = self.trouble(
                "asking where it stands".to_owned(),
                Trouble::Refused,
                format!("it reports {} axes, and none is {axis}", report.at.len()),
                "the fourth axis needs a controller that has one; name its axes under [stage]",
            );
            return self.die(now, trouble);
        }
        if report.state.starts_with("Alarm") {
            self.send_later(b"$H\n".to_vec(), Answer::Ok, HOMING_MAX);
            self.send_later(b"?".to_vec(), Answer::Report, ANSWER_MAX);
            self.job = Some(Job::Connect);
            return;
        }
        self.at = Some(report.at);
    }

    /// A controller that does not guard itself is not used.
    fn unfit(&self) -> Option<DeviceTrouble> {
        let told = |number: u16| {
            let found = self.told.iter().find(|(known, _)| *known == number);
            found.map(|(_, value)| *value)
        };
        let bad = |saw: String, hint: &str| {
            Some(self.trouble(
                "reading its settings".to_owned(),
                Trouble::Refused,
                saw,
                hint,
            ))
        };
        for (number, what) in [(21, "hard limits"), (22, "homing")] {
            if told(number).is_none_or(|value| value < 1.0) {
                let saw =
                    format!("its {what} are off (${number}=0)").replace("homing are", "homing is");
                return bad(saw, &format!("wire the limit switches and set ${number}=1"));
            }
        }
        let torque = self.settings.torque;
        if told(30).is_none_or(|most| most < f64::from(torque.0)) {
            let saw = format!(
                "its S goes up to {}, less than {torque}",
                told(30).unwrap_or(0.0)
            );
            return bad(
                saw,
                "S counts millinewton metres: set $30 to the comparator's full scale",
            );
        }
        let Settings {
            turn,
            insert,
            magazine,
            plunge,
            ..
        } = &self.settings;
        let ends = [
            (turn.axis, i64::from(turn.to.0) - i64::from(turn.from.0)),
            (insert.axis, i64::from(insert.seated.0)),
            (
                magazine.axis,
                i64::from(magazine.pitch.0) * i64::from(magazine.slots.max(1) - 1),
            ),
            (plunge.axis, i64::from(plunge.seated.0)),
        ];
        ends.into_iter().find_map(|(axis, end)| {
            let number = 130 + u16::from(axis.0);
            let travel = told(number).unwrap_or(0.0);
            (travel * 1_000.0 < end as f64).then(|| {
                self.trouble(
                    "reading its settings".to_owned(),
                    Trouble::Refused,
                    format!(
                        "axis {axis} travels {travel} (${number}), and the bench file uses {}",
                        decimal(end)
                    ),
                    "is the bench file's [stage] the one of this stage?",
                )
            })
        })
    }

    fn resting(&mut self, now: Nanos, mut resting: Resting) {
        if let Some(mut trip) = resting.trip {
            match self.travel(&mut trip) {
                Ok(false) => {
                    resting.trip = Some(trip);
                    self.job = Some(Job::Rest(resting));
                    return;
                }
                Ok(true) => {}
                Err(trouble) => return self.die(now, trouble),
            }
            match trip.motion {
                Motion::Turn { .. } => resting.turn_held |= trip.stopped.is_some(),
                _ => resting.key_held |= trip.stopped.is_some(),
            }
            resting.trip = None;
        } else if let Some(report) = self.report.take() {
            self.at = Some(report.at);
        }
        match self.rest_move(resting) {
            Some(motion) => {
                let (axis, _) = self.target(motion);
                resting.trip = Some(Trip {
                    before: self.here(axis),
                    ..Trip::to(motion)
                });
                self.send_move(motion);
                self.job = Some(Job::Rest(resting));
            }
            None if self.level.take().is_some() => {
                self.send_later(b"M5\n".to_vec(), Answer::Ok, ANSWER_MAX);
                self.job = Some(Job::Rest(resting));
            }
            None => self.rested = self.left(),
        }
    }

    /// The next move on the way to rest. A key is only turned while it is all the way in or out: loose
    /// sliders that are turned under half a key jam.
    fn rest_move(&self, resting: Resting) -> Option<Motion> {
        let at = self.at.as_ref()?;
        let Settings {
            turn,
            insert,
            plunge,
            torque,
            ..
        } = &self.settings;
        let near = |place: i64, wanted: i64| (place - wanted).abs() <= PLACE_PLAY;
        let upright = near(at[turn.axis.place()], -i64::from(turn.from.0));
        let fed = at[insert.axis.place()];
        let (out, home) = (near(fed, 0), near(fed, i64::from(insert.seated.0)));
        let straighten = Motion::Turn {
            to: Millidegrees(0),
            torque: *torque,
        };
        if !near(at[plunge.axis.place()], 0) {
            return Some(Motion::Plunge { to: Micrometres(0) });
        }
        if (home || out) && !upright && !resting.turn_held {
            return Some(straighten);
        }
        let can_go = upright || !home;
        (!out && can_go && !resting.key_held).then_some(Motion::Insert { to: Micrometres(0) })
    }

    fn left(&self) -> Option<Left> {
        let at = self.at.as_ref()?;
        let Settings { turn, insert, .. } = &self.settings;
        let angle = at[turn.axis.place()] + i64::from(turn.from.0);
        Some(match at[insert.axis.place()].abs() <= PLACE_PLAY {
            true => Left::Clear,
            false => Left::KeyIn {
                at: Millidegrees(angle as i32),
            },
        })
    }

    fn line(&mut self, now: Nanos, line: &str) {
        let awaited = self.under_way.map(|(answer, _)| answer);
        if let Some(report) = line
            .strip_prefix('<')
            .and_then(|line| line.strip_suffix('>'))
        {
            let Some(report) = read_report(report) else {
                return self.nonsense(now, line);
            };
            self.report = Some(report);
            if awaited == Some(Answer::Report) {
                self.under_way = None;
            }
        } else if line == "ok" {
            if awaited == Some(Answer::Ok) {
                self.under_way = None;
            }
        } else if line.starts_with("Grbl ") {
            match awaited {
                Some(Answer::Banner) => {
                    self.under_way = None;
                    if matches!(self.job, Some(Job::Connect)) {
                        self.facts
                            .push_back((now, Fact::Identified(line.to_owned())));
                    }
                }
                // Nobody asked: it lost its power, and with it its position.
                _ => {
                    let trouble = self.trouble(
                        self.doing_now(),
                        Trouble::Lost,
                        "the controller started anew by itself".to_owned(),
                        "check its power; then start the run again: the axes go home first",
                    );
                    self.die(now, trouble);
                }
            }
        } else if let Some(probe) = line
            .strip_prefix("[PRB:")
            .and_then(|line| line.strip_suffix(']'))
        {
            let read = probe
                .rsplit_once(':')
                .and_then(|(places, touched)| Some((read_places(places)?, touched == "1")));
            match read {
                Some(read) => self.probed = Some(read),
                None => self.nonsense(now, line),
            }
        } else if let Some(code) = line.strip_prefix("error:") {
            let saw = format!("it answers {line}: {}", error_text(code));
            let trouble = self.trouble(
                self.doing_now(),
                Trouble::Refused,
                saw,
                "is the controller set up as boards/README.md says?",
            );
            self.die(now, trouble);
        } else if let Some(code) = line.strip_prefix("ALARM:") {
            self.alarm(now, code);
        } else if let Some((number, value)) =
            line.strip_prefix('$').and_then(|line| line.split_once('='))
            && let (Ok(number), Ok(value)) = (number.parse(), value.parse())
        {
            self.told.push((number, value));
        }
        // Everything else is a message for people: [MSG:…], [HLP:…], a startup line.
    }

    /// The controller has stopped everything. A reset, which moves nothing, lets it say which switch.
    fn alarm(&mut self, now: Nanos, code: &str) {
        if self.dead.is_some() || matches!(self.job, Some(Job::Diagnose(_))) {
            return;
        }
        // A reset that we asked for ends a move that we held.
        if code == "3"
            && self
                .under_way
                .is_some_and(|(answer, _)| answer == Answer::Banner)
        {
            return;
        }
        let (saw, hint) = alarm_text(code);
        let trouble = self.trouble(
            self.doing_now(),
            Trouble::Refused,
            format!("ALARM:{code}, {saw}"),
            hint,
        );
        self.lines.clear();
        self.jobs.clear();
        self.under_way = None;
        self.report = None;
        self.at = None;
        self.send_later(vec![RESET], Answer::Banner, ANSWER_MAX);
        self.send_later(b"?".to_vec(), Answer::Report, ANSWER_MAX);
        self.job = Some(Job::Diagnose(trouble));
        self.go_on(now);
    }

    fn nonsense(&mut self, now: Nanos, line: &str) {
        let trouble = self.trouble(
            self.doing_now(),
            Trouble::Garbled,
            format!("it says '{}'", line.escape_debug()),
            "is this the stage's port, and does its controller speak GRBL 1.1?",
        );
        self.die(now, trouble);
    }

    /// From here on nothing moves.
    fn die(&mut self, now: Nanos, trouble: DeviceTrouble) {
        self.jobs.clear();
        self.lines.clear();
        self.job = None;
        self.under_way = None;
        self.at = None;
        self.rested = None;
        if self.dead.is_none() {
            self.dead = Some(trouble.clone());
            self.facts.push_back((now, Fact::Trouble(trouble)));
        }
    }

    fn doing_now(&self) -> String {
        match &self.job {
            Some(Job::Move { trip, .. }) => self.doing(trip.motion),
            Some(Job::Rest(Resting {
                trip: Some(trip), ..
            })) => {
                format!("going to rest, {}", self.doing(trip.motion))
            }
            Some(Job::Rest(_)) => "going to rest".to_owned(),
            Some(Job::Connect) => "looking for its controller".to_owned(),
            Some(Job::Diagnose(_)) | None => "leaving it alone".to_owned(),
        }
    }

    fn doing(&self, motion: Motion) -> String {
        let (axis, _) = self.target(motion);
        let what = match motion {
            Motion::Turn { to, .. } => format!("turning the key to {to}"),
            Motion::Insert { to: Micrometres(0) } => "withdrawing the key".to_owned(),
            Motion::Insert { to } => format!("inserting the key to {to}"),
            Motion::Select { slot } => format!("choosing key {slot}"),
            Motion::Plunge { to: Micrometres(0) } => "withdrawing the tool".to_owned(),
            Motion::Plunge { to } => format!("pushing the tool to {to}"),
        };
        format!("{what} (axis {axis})")
    }

    fn trouble(&self, doing: String, what: Trouble, saw: String, hint: &str) -> DeviceTrouble {
        DeviceTrouble {
            device: self.device.clone(),
            doing,
            what,
            saw,
            hint: hint.to_owned(),
        }
    }
}

impl Trip {
    fn to(motion: Motion) -> Trip {
        Trip {
            motion,
            leg: Leg::There,
            before: 0,
            stopped: None,
        }
    }
}

impl Driver for Stage {
    type Fact = Fact;

    fn receive(&mut self, at: Nanos, bytes: &[u8]) {
        self.heard += bytes.len();
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    let line = std::mem::take(&mut self.received);
                    let line = String::from_utf8_lossy(&line).into_owned();
                    if !line.is_empty() && self.dead.is_none() {
                        self.line(at, &line);
                    }
                }
                _ if self.received.len() >= LINE_MAX => {}
                byte => self.received.push(*byte),
            }
        }
        if self.dead.is_none() {
            self.go_on(at);
        }
    }

    fn tick(&mut self, now: Nanos) {
        let Some((answer, until)) = self.under_way else {
            return;
        };
        if until > now {
            return;
        }
        if let Some(Job::Diagnose(trouble)) =
            self.job.take_if(|job| matches!(job, Job::Diagnose(_)))
        {
            return self.die(now, trouble);
        }
        let (what, saw) = match (self.heard, answer) {
            (0, _) => (Trouble::Silent, "no answer in time".to_owned()),
            (_, Answer::Ok) => (Trouble::Overrun, "it did not end in time".to_owned()),
            (count, _) => (
                Trouble::Garbled,
                format!("{count} bytes, and no answer among them"),
            ),
        };
        let hint = "the stage was told to stop; has it power, is the port right, is its path free?";
        let trouble = self.trouble(self.doing_now(), what, saw, hint);
        // Whatever still moves stops.
        self.outbox.extend([b'!', RESET]);
        self.die(now, trouble);
    }

    fn deadline(&self) -> Option<Nanos> {
        self.under_way.map(|(_, until)| until)
    }

    fn outbox(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outbox)
    }

    fn fact(&mut self) -> Option<(Nanos, Fact)> {
        self.facts.pop_front()
    }
}

/// `Idle|MPos:0.000,0.000|Pn:PX`, without its brackets.
fn read_report(text: &str) -> Option<Report> {
    let mut fields = text.split('|');
    let state = fields.next()?.to_owned();
    let (mut at, mut pins) = (None, String::new());
    for field in fields {
        match field.split_once(':') {
            Some(("MPos", places)) => at = Some(read_places(places)?),
            Some(("Pn", closed)) => pins = closed.to_owned(),
            _ => {}
        }
    }
    Some(Report {
        state,
        at: at?,
        pins,
    })
}

fn read_places(text: &str) -> Option<Vec<i64>> {
    let place = |text: &str| {
        let value: f64 = text.parse().ok()?;
        (value.abs() < 1e6).then(|| (value * 1e3).round() as i64)
    };
    text.split(',').map(place).collect()
}

fn decimal(thousandths: i64) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let size = thousandths.unsigned_abs();
    format!("{sign}{}.{:03}", size / 1_000, size % 1_000)
}

/// What GRBL's alarm codes mean, and what to try.
fn alarm_text(code: &str) -> (&'static str, &'static str) {
    match code {
        "1" => (
            "a limit switch closed",
            "look at what the axis met and at the switch's cable; the stage stays as it is until the next run sends it home",
        ),
        "2" => (
            "the place is beyond the controller's travel",
            "is the bench file's [stage] the one of this stage?",
        ),
        "3" => (
            "it was reset in motion",
            "start the run again: the axes go home first",
        ),
        "4" => (
            "the overload input was on before the move began",
            "is something under load, or the overload wire broken?",
        ),
        "6" | "7" | "8" | "9" => (
            "the axes did not find home",
            "look at the limit switches; is a key in the cylinder? take it out by hand",
        ),
        _ => (
            "an alarm",
            "look at the stage, and into GRBL's list of alarms",
        ),
    }
}

/// What GRBL's error codes mean, where they say something about a stage that is set up wrong.
fn error_text(code: &str) -> &'static str {
    match code {
        "5" => "homing is off",
        "8" => "it is not idle",
        "9" => "it is locked by an alarm",
        "20" => "it does not know the command",
        "33" => "the place is wrong",
        _ => "see GRBL's list of errors",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Nanos = Nanos::from_millis;

    fn settings() -> Settings {
        let axis = |letter| Axis::of(letter).expect("an axis");
        let slide = |letter, seated| Slide {
            axis: axis(letter),
            seated: Micrometres(seated),
            feed: MicrometresPerSecond(20_000),
        };
        Settings {
            turn: Turn {
                axis: axis("A"),
                from: Millidegrees(-100_000),
                to: Millidegrees(110_000),
                feed: MillidegreesPerSecond(90_000),
            },
            insert: slide("X", 30_000),
            magazine: Magazine {
                axis: axis("Y"),
                pitch: Micrometres(12_000),
                slots: 3,
                feed: MicrometresPerSecond(50_000),
            },
            plunge: slide("Z", 12_000),
            torque: MillinewtonMetres(2_000),
            longest_move: Nanos::from_secs(20),
        }
    }

    const FIT: &str = "$21=1\r\n$22=1\r\n$30=3000\r\n$130=35\r\n$131=60\r\n$132=20\r\n$133=215\r\n";

    /// What was sent, as text.
    fn sent(stage: &mut Stage) -> String {
        String::from_utf8_lossy(&stage.outbox()).into_owned()
    }

    /// Answers what was asked, line by line; each is `sent > answer`.
    fn talk(stage: &mut Stage, lines: &[(&str, &str)]) {
        for (asked, answer) in lines {
            assert_eq!(sent(stage), *asked);
            stage.receive(MS(10), answer.as_bytes());
        }
    }

    fn facts(stage: &mut Stage) -> Vec<Fact> {
        std::iter::from_fn(|| stage.fact())
            .map(|(_, fact)| fact)
            .collect()
    }

    /// A stage that was found at home: head upright, all out.
    fn connected() -> Stage {
        let mut stage = Stage::new("stage", settings());
        stage.connect(MS(0));
        let banner = "\r\nGrbl 1.1h ['$' for help]\r\n";
        let told = format!("{FIT}ok\r\n");
        talk(
            &mut stage,
            &[
                ("\u{18}", banner),
                ("$$\n", &told),
                ("?", "<Idle|MPos:0.000,0.000,0.000,100.000|FS:0,0>\r\n"),
            ],
        );
        assert_eq!(
            facts(&mut stage),
            [Fact::Identified("Grbl 1.1h ['$' for help]".to_owned())]
        );
        assert!(stage.is_idle());
        stage
    }

    fn turn(degrees: i32, torque: u32) -> Motion {
        Motion::Turn {
            to: Millidegrees(degrees * 1_000),
            torque: MillinewtonMetres(torque),
        }
    }

    #[test]
    fn a_turn_sets_the_comparator_probes_and_asks_where_it_is() {
        let mut stage = connected();
        stage
            .go(MS(20), turn(90, 1_000))
            .expect("within the limits");
        talk(
            &mut stage,
            &[
                ("M3 S1000\n", "ok\r\n"),
                (
                    "G38.3 A190.000 F5400\n",
                    "[PRB:0.000,0.000,0.000,190.000:0]\r\nok\r\n",
                ),
                ("?", "<Idle|MPos:0.000,0.000,0.000,190.000|FS:0,1000>\r\n"),
            ],
        );
        let moved = Fact::Moved {
            motion: turn(90, 1_000),
            stopped: None,
            stands: 90_000,
            asked: MS(20),
        };
        assert_eq!(facts(&mut stage), [moved]);
        stage
            .go(MS(30), turn(90, 1_000))
            .expect("within the limits");
        assert_eq!(sent(&mut stage), "", "it is there already");
        assert_eq!(facts(&mut stage).len(), 1);
    }

    #[test]
    fn what_resists_is_backed_off_and_taken_back() {
        let mut stage = connected();
        stage
            .go(MS(20), turn(90, 1_000))
            .expect("within the limits");
        talk(
            &mut stage,
            &[
                ("M3 S1000\n", "ok\r\n"),
                (
                    "G38.3 A190.000 F5400\n",
                    "[PRB:0.000,0.000,0.000,106.500:1]\r\nok\r\n",
                ),
                ("?", "<Idle|MPos:0.000,0.000,0.000,106.520|Pn:P>\r\n"),
                ("M3 S250\n", "ok\r\n"),
                ("?", "<Idle|MPos:0.000,0.000,0.000,106.520|Pn:P>\r\n"),
                (
                    "G38.5 A100.000 F5400\n",
                    "[PRB:0.000,0.000,0.000,102.700:1]\r\nok\r\n",
                ),
                ("?", "<Idle|MPos:0.000,0.000,0.000,102.700>\r\n"),
                ("M3 S1000\n", "ok\r\n"),
                (
                    "G38.3 A100.000 F5400\n",
                    "[PRB:0.000,0.000,0.000,100.000:0]\r\nok\r\n",
                ),
                ("?", "<Idle|MPos:0.000,0.000,0.000,100.000>\r\n"),
            ],
        );
        let moved = Fact::Moved {
            motion: turn(90, 1_000),
            stopped: Some(6_500),
            stands: 0,
            asked: MS(20),
        };
        assert_eq!(facts(&mut stage), [moved]);
    }

    #[test]
    fn what_is_beyond_the_limits_is_refused_before_anything_is_sent() {
        let mut stage = connected();
        let far = Motion::Insert {
            to: Micrometres(30_001),
        };
        let deep = Motion::Plunge {
            to: Micrometres(12_001),
        };
        let slot = |slot| Motion::Select { slot };
        for motion in [
            turn(111, 100),
            turn(-101, 100),
            turn(90, 2_001),
            far,
            deep,
            slot(0),
            slot(4),
        ] {
            let refused = stage.go(MS(20), motion).expect_err("beyond a limit");
            assert_eq!(refused.what, Trouble::Refused);
            assert!(refused.hint.starts_with("nothing was sent"), "{refused:?}");
        }
        assert_eq!(
            (sent(&mut stage), facts(&mut stage)),
            (String::new(), vec![])
        );
        stage
            .go(MS(20), turn(90, 2_000))
            .expect("its limits themselves are within them");
    }

    #[test]
    fn a_key_that_is_in_is_not_sheared_off() {
        let mut stage = connected();
        stage
            .go(
                MS(20),
                Motion::Insert {
                    to: Micrometres(30_000),
                },
            )
            .expect("within the limits");
        talk(
            &mut stage,
            &[
                ("M3 S2000\n", "ok\r\n"),
                (
                    "G38.3 X30.000 F1200\n",
                    "[PRB:30.000,0.000,0.000,100.000:0]\r\nok\r\n",
                ),
                ("?", "<Idle|MPos:30.000,0.000,0.000,100.000>\r\n"),
            ],
        );
        stage
            .go(MS(30), Motion::Select { slot: 2 })
            .expect("there is such a slot");
        assert_eq!(sent(&mut stage), "");
        let told = facts(&mut stage);
        let [_, Fact::Trouble(trouble)] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(trouble.saw, "a key is 30 mm in the keyway");
    }

    #[test]
    fn a_limit_switch_ends_everything_and_is_named() {
        let mut stage = connected();
        stage
            .go(
                MS(20),
                Motion::Plunge {
                    to: Micrometres(12_000),
                },
            )
            .expect("within the limits");
        talk(&mut stage, &[("M3 S2000\n", "ok\r\n")]);
        assert_eq!(sent(&mut stage), "G38.3 Z12.000 F1200\n");
        stage.receive(MS(30), b"ALARM:1\r\n[MSG:Reset to continue]\r\n");
        talk(
            &mut stage,
            &[
                (
                    "\u{18}",
                    "\r\nGrbl 1.1h ['$' for help]\r\n[MSG:'$H'|'$X' to unlock]\r\n",
                ),
                (
                    "?",
                    "<Alarm|MPos:0.000,0.000,6.010,100.000|FS:0,0|Pn:Z>\r\n",
                ),
            ],
        );
        let told = facts(&mut stage);
        let [Fact::Trouble(trouble)] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(
            trouble.to_string(),
            "stage: pushing the tool to 12 mm (axis Z): ALARM:1, a limit switch closed; the switch of axis 'Z' is closed"
        );
        stage.rest(MS(40));
        let again = stage
            .go(MS(40), turn(0, 100))
            .expect_err("nothing moves any more");
        assert_eq!(again, *trouble);
        assert_eq!((sent(&mut stage), stage.rested()), (String::new(), None));
    }

    #[test]
    fn a_controller_that_does_not_guard_itself_is_not_used() {
        for (bad, saw) in [
            ("$21=0", "its hard limits are off ($21=0)"),
            ("$22=0", "its homing is off ($22=0)"),
            ("$30=1000", "its S goes up to 1000, less than 2 N·m"),
            (
                "$133=90",
                "axis A travels 90 ($133), and the bench file uses 210.000",
            ),
        ] {
            let (number, _) = bad.split_once('=').expect("a setting");
            let kept = FIT
                .lines()
                .filter(|line| !line.starts_with(&format!("{number}=")));
            let told: String = kept
                .chain([bad, "ok"])
                .map(|line| format!("{line}\n"))
                .collect();
            let mut stage = Stage::new("stage", settings());
            stage.connect(MS(0));
            let report = "<Idle|MPos:0.000,0.000,0.000,100.000>\n";
            talk(
                &mut stage,
                &[("\u{18}", "Grbl 1.1h\n"), ("$$\n", &told), ("?", report)],
            );
            let told = facts(&mut stage);
            let Some(Fact::Trouble(trouble)) = told.last() else {
                panic!("{told:?}");
            };
            assert_eq!(trouble.saw, saw);
        }
    }

    #[test]
    fn silence_babble_and_a_move_without_end_are_told_apart() {
        let mut silent = connected();
        silent
            .go(MS(20), turn(90, 1_000))
            .expect("within the limits");
        silent.outbox();
        assert_eq!(silent.deadline(), Some(MS(520)));
        silent.tick(MS(520));
        let mut endless = connected();
        endless
            .go(MS(20), turn(90, 1_000))
            .expect("within the limits");
        talk(&mut endless, &[("M3 S1000\n", "ok\r\n")]);
        endless.outbox();
        endless.receive(MS(100), b"<Run|MPos:0.000,0.000,0.000,101.000>\r\n");
        // 90 degrees at 90 degrees a second, and the margin.
        assert_eq!(endless.deadline(), Some(MS(10 + 1_000) + MOVE_MARGIN));
        endless.tick(MS(60_000));
        let mut babbling = connected();
        babbling
            .go(MS(20), turn(90, 1_000))
            .expect("within the limits");
        babbling.outbox();
        babbling.receive(MS(30), b"<Idle|login:>\r\n");
        let kinds: Vec<Trouble> = [&mut silent, &mut endless, &mut babbling]
            .into_iter()
            .flat_map(facts)
            .filter_map(|fact| match fact {
                Fact::Trouble(trouble) => Some(trouble.what),
                _ => None,
            })
            .collect();
        assert_eq!(kinds, [Trouble::Silent, Trouble::Overrun, Trouble::Garbled]);
        assert_eq!(sent(&mut endless), "!\u{18}", "whatever still moves stops");
    }

    #[test]
    fn rest_holds_first_and_never_turns_under_half_a_key() {
        let mut stage = connected();
        stage
            .go(MS(20), turn(90, 1_000))
            .expect("within the limits");
        talk(&mut stage, &[("M3 S1000\n", "ok\r\n")]);
        assert_eq!(sent(&mut stage), "G38.3 A190.000 F5400\n");
        stage.rest(MS(100));
        talk(
            &mut stage,
            &[
                ("!?", "<Hold:0|MPos:10.000,0.000,3.000,150.000>\r\n"),
                ("\u{18}", "\r\nGrbl 1.1h ['$' for help]\r\n"),
                ("?", "<Idle|MPos:10.000,0.000,3.000,150.000>\r\n"),
                ("M3 S2000\n", "ok\r\n"),
                (
                    "G38.3 Z0.000 F1200\n",
                    "[PRB:10.000,0.000,0.000,150.000:0]\r\nok\r\n",
                ),
                ("?", "<Idle|MPos:10.000,0.000,0.000,150.000>\r\n"),
                (
                    "G38.3 X0.000 F1200\n",
                    "[PRB:0.000,0.000,0.000,150.000:0]\r\nok\r\n",
                ),
                ("?", "<Idle|MPos:0.000,0.000,0.000,150.000>\r\n"),
                (
                    "G38.3 A100.000 F5400\n",
                    "[PRB:0.000,0.000,0.000,100.000:0]\r\nok\r\n",
                ),
                ("?", "<Idle|MPos:0.000,0.000,0.000,100.000>\r\n"),
                ("M5\n", "ok\r\n"),
            ],
        );
        assert_eq!(stage.rested(), Some(Left::Clear));
    }

    #[test]
    fn a_controller_that_starts_anew_by_itself_is_lost() {
        let mut stage = connected();
        stage.receive(MS(50), b"\r\nGrbl 1.1h ['$' for help]\r\n");
        let told = facts(&mut stage);
        let [Fact::Trouble(trouble)] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(trouble.what, Trouble::Lost);
    }
}
