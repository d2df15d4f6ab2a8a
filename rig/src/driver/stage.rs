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

mod axes;
mod grbl;
mod meeting;
mod rest;
#[cfg(test)]
mod tests;
mod travel;

use std::collections::VecDeque;
use std::fmt::Write;

use super::{DeviceTrouble, Driver, Trouble};
use crate::event::Nanos;
use crate::quantity::{Micrometres, Millidegrees, MillinewtonMetres};
use grbl::{LETTERS, Report, alarm_text, error_text, read_places, read_report};

use rest::Resting;
use travel::Trip;

pub use axes::{Magazine, Motion, Settings, Slide, Turn};
pub use grbl::Axis;

/// How long the controller may take to answer what moves nothing.
pub const ANSWER_MAX: Nanos = Nanos::from_millis(500);
/// How long it may take to start, and how long all axes may take to go home.
pub const HOMING_MAX: Nanos = Nanos::from_secs(60);
/// How long bringing key and tool out of the cylinder may take.
pub const REST_MAX: Nanos = Nanos::from_secs(60);
/// How well a reported place has to agree with the one that was asked for.
const PLACE_PLAY: i64 = 20;
/// Lines of the controller are shorter.
const LINE_MAX: usize = 200;
/// Orders that may wait; more means that somebody orders without letting time pass.
const ORDERS_MAX: usize = 64;

/// `ctrl-x`: stop everything and start anew.
const RESET: u8 = 0x18;

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
    /// Finds the controller, and brings it home if it does not know where it is and nothing can be in the way.
    Connect { homes: bool },
    /// Carries out a move.
    Move { trip: Trip, asked: Nanos },
    /// Brings key and tool out.
    Rest(Resting),
    /// Looks after an alarm which switches are closed, and then tells of the trouble.
    Diagnose(DeviceTrouble),
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
    /// Within which time what is under way is to be answered, until it has been sent.
    unsent: Option<Nanos>,
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
            unsent: None,
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
        self.jobs.push_back(Job::Connect { homes: true });
        self.go_on(now);
    }

    /// The same after somebody else used the stage, who may have left a key in the cylinder or an axis in
    /// motion: what moves is held, and axes that are lost stay where they are, which is trouble.
    pub fn take_over(&mut self, now: Nanos) {
        // Held first: a reset in motion loses the position.
        self.outbox.push(b'!');
        self.send_later(b"?".to_vec(), Answer::Report, ANSWER_MAX);
        self.begin(now, Job::Connect { homes: false });
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
        if let Some((saw, hint)) = self.settings.refuses(motion) {
            let doing = self.settings.doing(motion);
            return Err(self.trouble(doing, Trouble::Refused, saw, hint));
        }
        if self.jobs.len() >= ORDERS_MAX {
            return Err(self.trouble(
                self.settings.doing(motion),
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
        match self.job {
            // Where the axes stand is only known then.
            Some(Job::Connect { .. }) => {
                return self.jobs.push_back(Job::Rest(Resting::default()));
            }
            Some(Job::Diagnose(_) | Job::Rest(_)) => return,
            Some(Job::Move { .. }) | None => {}
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

    fn go_on(&mut self, now: Nanos) {
        while self.under_way.is_none() {
            if let Some(sent) = self.lines.pop_front() {
                self.outbox.extend(&sent.bytes);
                self.heard = 0;
                self.under_way = Some((sent.answer, now + sent.within));
                self.unsent = Some(sent.within);
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
            Job::Connect { .. } => {
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
                let (axis, _) = self.settings.target(motion);
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
        let (axis, to) = self.settings.target(motion);
        let fed = at[self.settings.insert.axis.place()];
        (fed.abs() > PLACE_PLAY && (at[axis.place()] - to).abs() > PLACE_PLAY).then(|| {
            self.trouble(
                self.settings.doing(motion),
                Trouble::Refused,
                format!(
                    "a key is {} in the keyway",
                    Micrometres(fed.unsigned_abs() as u32)
                ),
                "nothing was sent; withdraw the key first",
            )
        })
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
            Job::Connect { homes } => self.connected(now, homes),
            Job::Move { mut trip, asked } => match self.travel(&mut trip) {
                Ok(false) => self.job = Some(Job::Move { trip, asked }),
                Ok(true) => {
                    let Trip {
                        motion, stopped, ..
                    } = trip;
                    let (axis, _) = self.settings.target(motion);
                    let stands = self.settings.place(motion, self.here(axis));
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
                    if matches!(self.job, Some(Job::Connect { .. })) {
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
            Some(Job::Move { trip, .. }) => self.settings.doing(trip.motion),
            Some(Job::Rest(Resting {
                trip: Some(trip), ..
            })) => {
                format!("going to rest, {}", self.settings.doing(trip.motion))
            }
            Some(Job::Rest(_)) => "going to rest".to_owned(),
            Some(Job::Connect { .. }) => "looking for its controller".to_owned(),
            Some(Job::Diagnose(_)) | None => "leaving it alone".to_owned(),
        }
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

    fn outbox(&mut self, now: Nanos) -> Vec<u8> {
        if let (Some(within), Some((_, until))) = (self.unsent.take(), &mut self.under_way) {
            *until = (*until).max(now + within);
        }
        std::mem::take(&mut self.outbox)
    }

    fn fact(&mut self) -> Option<(Nanos, Fact)> {
        self.facts.pop_front()
    }
}
