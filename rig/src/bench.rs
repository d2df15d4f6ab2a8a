//! A bench: the instruments around one board under test, and one face for all of them.
//!
//! [`mod@file`] reads the bench file; [`Bench::connect`] opens its ports, puts a driver on each, and brings
//! every output to rest. From then on the run loop acts ([`press`](Bench::press), [`feed`](Bench::feed) …,
//! which return at once) and waits ([`wait`](Bench::wait), in which all time passes and through which
//! everything comes back, confirmations and trouble included).
//!
//! A bench knows nothing of scenarios, profiles or verdicts.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::driver::console::{Console, Ended};
use crate::driver::firmata::{self, Firmata};
use crate::driver::probe::{Attach, Probe, ProbeTrouble};
use crate::driver::sense::{self, Sense, Source};
use crate::driver::stage::{self, Motion, Stage};
use crate::driver::{DeviceTrouble, Driver, Trouble};
use crate::event::Nanos;
use crate::port::sim::state_hasher;
use crate::port::usb_power::UsbPort;
use crate::port::{
    Branch, CutPoint, Instruction, Interrupt, Level, Observation, PortProblem, PortTrouble, Ports,
    ProbePort, Seen, Terminal, Waited,
};
use crate::quantity::{Microamps, Millivolts};

use attached::{Attached, lose, receive};
use contacts::Contacts;
use feeder::Feeder;
use log::Log;
use operator::{Answer, Asked, Operator};

pub use crate::driver::supply::Feed;
pub use connect::{CONNECT_MAX, CONNECT_STAGE_MAX};
pub use file::{BenchFile, Calibrated, Contact, Cut, Output, Via, WhenLocked, schema};
pub use rest::{REST_MAX, Rest};

mod attached;
pub mod calibration;
mod connect;
mod contacts;
mod feeder;
pub mod file;
mod log;
pub mod operator;
mod rest;

/// Something that happened on the bench.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Happening {
    /// When.
    pub at: Nanos,
    /// What.
    pub what: What,
}

/// What can happen on a bench.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A watched line changed.
    Line {
        /// Its name in the bench file.
        line: String,
        /// Whether the thing is so now: the lamp lit, the contact closed, the tone sounding.
        on: bool,
        /// Frequency of a tone that began, or the mean of one that ended.
        hertz: Option<u32>,
    },
    /// The relay board confirmed that a contact's relay switched, or its pins were driven.
    Switched {
        /// The contact.
        contact: Contact,
        /// Closed or open.
        closed: bool,
        /// When it was ordered: it switched between this and the happening's own time.
        asked: Nanos,
    },
    /// The supply confirmed a setting, or cells were connected or taken away.
    Fed {
        /// The setting.
        feed: Feed,
        /// When it was ordered: it took effect between this and the happening's own time.
        asked: Nanos,
    },
    /// The supply measured.
    Measured {
        /// Voltage at its terminals.
        voltage: Millivolts,
        /// Current out of them.
        current: Microamps,
        /// When it was ordered.
        asked: Nanos,
    },
    /// The stage carried out a move.
    Moved {
        /// What was asked of it.
        motion: Motion,
        /// Where too much torque or force stopped it, in thousandths of a degree or millimetre.
        stopped: Option<i64>,
        /// Where it stands now; what was stopped was taken back.
        stands: i64,
        /// When it was ordered.
        asked: Nanos,
    },
    /// The board printed on its console.
    Printed {
        /// The line without its end, what is not text escaped.
        text: String,
        /// Whether the line is complete; else the board paused, or the line is too long.
        whole: bool,
    },
    /// A write to the board's flash began; only on a virtual bench that was asked to tell.
    CutPoint(CutPoint),
    /// The terminal that the supply feeds; only on a virtual bench that was asked to tell.
    Terminal(Terminal),
    /// An instruction is about to be executed; only on a virtual bench that was asked to tell.
    Instruction(Instruction),
    /// An instrument did not do what it was told. The bench is broken; nothing that it reports from
    /// here on is worth a verdict.
    Trouble(DeviceTrouble),
}

/// The instruments around one board under test.
pub struct Bench {
    ports: Box<dyn Ports>,
    file: Arc<BenchFile>,
    contacts: Option<Contacts>,
    supply: Option<Feeder>,
    console: Option<Attached<Console>>,
    sense_boards: Vec<Attached<Firmata>>,
    stage: Option<Attached<Stage>>,
    sense: Sense,
    happenings: VecDeque<Happening>,
    identity: Option<String>,
    stage_identity: Option<String>,
    /// Whether something was switched since the bench was last brought to rest.
    touched: bool,
    /// Who can be asked; none where nobody attends.
    operator: Option<Box<dyn Operator>>,
    /// The firmware's log, where the bench file says that there is one.
    log: Option<Log>,
    /// Why the probe was power-cycled, until a run records it.
    power_cycle: Option<String>,
}

impl Bench {
    /// The bench's file.
    pub fn file(&self) -> &BenchFile {
        &self.file
    }

    /// The bench's time.
    pub fn now(&self) -> Nanos {
        self.ports.now()
    }

    /// What this bench can do, in the words of a scenario's `needs`.
    pub fn abilities(&self) -> BTreeSet<String> {
        self.file.abilities()
    }

    /// Who the supply says it is, for `run.json`.
    pub fn supply_identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// For how long this machine stood still at most since this was asked last; see
    /// [`Ports::stood_still`].
    pub fn stood_still(&mut self) -> Nanos {
        self.ports.stood_still()
    }

    /// How the stage's controller greets, for `run.json`.
    pub fn stage_identity(&self) -> Option<&str> {
        self.stage_identity.as_deref()
    }

    /// Ends waits early; see [`Interrupt`].
    pub fn interrupt(&self) -> Interrupt {
        self.ports.interrupt()
    }

    /// Closes or opens a key.
    pub fn press(&mut self, key: char, down: bool) -> Result<(), DeviceTrouble> {
        self.switch(&Contact::Key(key), down)
    }

    /// Closes or opens a button.
    pub fn button(&mut self, name: &str, down: bool) -> Result<(), DeviceTrouble> {
        self.switch(&Contact::Button(name.to_owned()), down)
    }

    /// Closes or opens the door's switch.
    pub fn door(&mut self, closed: bool) -> Result<(), DeviceTrouble> {
        self.switch(&Contact::Door, closed)
    }

    /// Blocks the bolt, or lets it go.
    pub fn jam(&mut self, blocked: bool) -> Result<(), DeviceTrouble> {
        self.switch(&Contact::Jam, blocked)
    }

    /// Orders a contact to close or to open. Returns at once; [`What::Switched`] comes through `wait`, unless
    /// pins were driven so already.
    pub fn switch(&mut self, contact: &Contact, closed: bool) -> Result<(), DeviceTrouble> {
        let now = self.now();
        if self.file.wired(contact).is_none() {
            let hint = "add it under [keys], [buttons], [door] or [jam]";
            return Err(self.absent(&contact.to_string(), hint));
        }
        let Some(contacts) = &mut self.contacts else {
            return Err(self.absent("relay board", "describe it under [relays]"));
        };
        contacts.set(now, contact, closed)?;
        self.touched = true;
        self.pump();
        Ok(())
    }

    /// Orders a contact that is closed to open at a time to come. Where that can be said beforehand (pins), it
    /// opens then, whatever this machine is busy with; elsewhere nothing happens. Either way
    /// [`switch`](Bench::switch) has to be called at that time, or before.
    pub fn open_at(&mut self, contact: &Contact, at: Nanos) {
        let now = self.now();
        if self.file.wired(contact).is_some()
            && let Some(contacts) = &mut self.contacts
        {
            contacts.open_at(now, contact, at);
            self.pump();
        }
    }

    /// Orders the supply. Returns at once; [`What::Fed`] comes through `wait`.
    pub fn feed(&mut self, feed: Feed) -> Result<(), DeviceTrouble> {
        let now = self.now();
        if feed == Feed::Off {
            self.let_go_of_probe();
        }
        self.supply()?.feed(now, feed)?;
        self.touched = true;
        self.pump();
        Ok(())
    }

    /// Whether the supply confirmed this feed, and nothing else was asked of it since.
    pub fn is_fed(&self, feed: Feed) -> bool {
        let supply = self.supply.as_ref();
        supply.is_some_and(|supply| supply.is_known_to_be(feed, self.contacts.as_ref()))
    }

    /// Orders a measurement at the supply. Returns at once; [`What::Measured`] comes through `wait`.
    pub fn measure(&mut self) -> Result<(), DeviceTrouble> {
        let now = self.now();
        self.supply()?.measure(now)?;
        self.pump();
        Ok(())
    }

    /// Orders a move of the stage. Returns at once; [`What::Moved`] comes through `wait`.
    pub fn go(&mut self, motion: Motion) -> Result<(), DeviceTrouble> {
        let now = self.now();
        let Some(stage) = &mut self.stage else {
            return Err(self.absent("stage", "describe it under [stage]"));
        };
        stage.check_lost()?;
        stage.driver.go(now, motion)?;
        self.touched = true;
        self.pump();
        Ok(())
    }

    /// Sends bytes to the board's console. Returns at once.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), DeviceTrouble> {
        let Some(console) = &mut self.console else {
            return Err(self.absent("console", "describe it under [console]"));
        };
        console.check_lost()?;
        console.driver.send(bytes);
        self.pump();
        Ok(())
    }

    /// Why the console's port is gone, if it was there and is not any more.
    pub fn console_lost(&self) -> Option<&DeviceTrouble> {
        let lost = self.console.as_ref()?.lost.as_ref()?;
        (lost.what == Trouble::Lost).then_some(lost)
    }

    /// Opens the console's port anew that went away, for somebody who talks by hand: what the board said
    /// meanwhile is not heard, which no run may live with.
    ///
    /// # Errors
    /// It is not there, or cannot be opened; the console stays lost.
    pub fn reopen_console(&mut self) -> Result<(), DeviceTrouble> {
        let (Some(console), Some(at)) = (&mut self.console, &self.file.console) else {
            return Err(self.absent("console", "describe it under [console]"));
        };
        let opened = self.ports.bytes(&at.at, at.baud);
        let opened = opened.map_err(|trouble| {
            DeviceTrouble::from_port(&console.device, "opening its port", trouble)
        });
        console.port = Some(opened?);
        console.lost = None;
        Ok(())
    }

    /// Whether a line is on at this moment.
    pub fn level(&mut self, line: &str) -> Result<bool, DeviceTrouble> {
        let Some((line, _)) = self.sense.get(line) else {
            return Err(self.absent(&format!("line '{line}'"), "describe it under [lines]"));
        };
        let line = line.clone();
        Ok(self.level_of(&line)? == line.active)
    }

    fn level_of(&mut self, line: &sense::Line) -> Result<Level, DeviceTrouble> {
        match line.source {
            Source::Port(id) => self.ports.level(id).map_err(|trouble| {
                let device = format!("line '{}'", line.name);
                DeviceTrouble::from_port(&device, "reading its level", trouble)
            }),
            Source::Board(board, pin) => {
                let board = &self.sense_boards[board];
                board.check_lost()?;
                // A pin that was never told is low, as a wire that leads nowhere.
                let high = board.driver.level(pin).unwrap_or(false);
                Ok(if high { Level::High } else { Level::Low })
            }
        }
    }

    /// Whether a line was on when its last happening was taken through `wait`; none for a line that
    /// this bench lacks.
    pub fn was_on(&self, line: &str) -> Option<bool> {
        self.sense.get(line).map(|(_, on)| on)
    }

    /// The names of all watched lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.sense.names()
    }

    /// Opens the debug probe. Its calls take bench time; what happens meanwhile comes through the
    /// next `wait`, and no longest on-time is enforced until then.
    pub fn probe(&mut self) -> Result<ProbePort, DeviceTrouble> {
        let Some(probe) = self.file.probe.clone() else {
            return Err(self.absent("probe", "describe it under [probe]"));
        };
        let device = format!("probe on {}", probe.at);
        self.ports
            .probe(&probe.at)
            .map_err(|trouble| DeviceTrouble::from_port(&device, "opening it", trouble))
    }

    /// Somebody attends to this bench from now on, or nobody; forks are never attended.
    pub fn attend(&mut self, operator: Option<Box<dyn Operator>>) {
        self.operator = operator;
    }

    /// Asks the person who attends; see [`Operator`].
    pub fn ask(&mut self, question: &str, within: Nanos) {
        if let Some(operator) = &mut self.operator {
            operator.ask(question, within);
        }
    }

    /// The answer, if it came; [`Answer::None`] at once where nobody attends. On a virtual bench this waits
    /// a little for the person, because there nothing else happens meanwhile.
    pub fn answered(&mut self) -> Option<Answer> {
        let patience = match self.file.emulates {
            Some(_) => Duration::from_millis(100),
            None => Duration::ZERO,
        };
        match &mut self.operator {
            Some(operator) => operator.answer(patience),
            None => Some(Answer::None),
        }
    }

    /// What the person was asked since this was called last.
    pub fn take_asked(&mut self) -> Vec<Asked> {
        let operator = self.operator.as_mut();
        operator.map_or_else(Vec::new, |operator| operator.take_log())
    }

    /// Begins a session of a debug probe with the board's chip; the same holds as for
    /// [`probe`](Bench::probe).
    ///
    /// # Errors
    /// No probe, or a chip that does not answer.
    pub fn attach(&mut self, probe: &mut Probe, how: Attach) -> Result<(), ProbeTrouble> {
        self.let_go_of_probe();
        probe.attach(&mut || self.probe_port(), how)
    }

    /// Erases a chip that is locked; whether it was. See [`Probe::unlock`].
    ///
    /// # Errors
    /// No probe, a chip that does not answer, or one that stays as it is.
    pub fn unlock(&mut self, probe: &mut Probe) -> Result<bool, ProbeTrouble> {
        self.let_go_of_probe();
        probe.unlock(&mut || self.probe_port())
    }

    /// The USB port that the probe is plugged into, where the bench file names one.
    pub fn usb_port(&self) -> Option<UsbPort> {
        self.ports.usb_port(self.file.usb_port.as_ref()?)
    }

    /// Keeps for the run to come that the probe was power-cycled.
    pub fn note_power_cycle(&mut self, because: String) {
        self.power_cycle = Some(because);
    }

    /// Why the probe was power-cycled, if it was since this was asked last.
    pub fn take_power_cycle(&mut self) -> Option<String> {
        self.power_cycle.take()
    }

    fn let_go_of_probe(&mut self) {
        if let Some(log) = &mut self.log {
            log.let_go();
        }
    }

    fn probe_port(&mut self) -> Result<ProbePort, PortTrouble> {
        let Some(probe) = self.file.probe.clone() else {
            let absent = self.absent("probe", "describe it under [probe]");
            return Err(PortTrouble {
                address: absent.device,
                problem: PortProblem::Absent,
                saw: absent.saw,
            });
        };
        let device = format!("probe on {}", probe.at);
        self.ports.probe(&probe.at).map_err(|trouble| PortTrouble {
            problem: trouble.problem,
            saw: DeviceTrouble::from_port(&device, "opening it", trouble).saw,
            address: device,
        })
    }

    /// Lets time pass until something happens, until `until`, or until an interrupt.
    ///
    /// Happenings come one at a time, in the order of their observation. This is where drivers enforce
    /// their bounds, so whoever holds an output on has to wait here.
    pub fn wait(&mut self, until: Nanos) -> Waited<Happening> {
        loop {
            self.pump();
            if let Some(happening) = self.happenings.pop_front() {
                return Waited::Saw(happening);
            }
            match self.step(until) {
                Waited::Saw(()) => {}
                Waited::Interrupted => return Waited::Interrupted,
                Waited::Deadline => {
                    self.pump();
                    if self.happenings.is_empty() {
                        return Waited::Deadline;
                    }
                }
            }
        }
    }

    /// Lets time pass until an observation, a driver's deadline or `until`; whatever came is with the
    /// drivers then.
    fn step(&mut self, until: Nanos) -> Waited<()> {
        let deadline = self.next_deadline().map_or(until, |next| next.min(until));
        match self.ports.wait(deadline) {
            Waited::Saw(observation) => self.deliver(observation),
            Waited::Interrupted => return Waited::Interrupted,
            Waited::Deadline => {
                let now = self.now();
                self.tick(now);
                if now >= until {
                    return Waited::Deadline;
                }
            }
        }
        Waited::Saw(())
    }

    /// A second bench in exactly this state, which goes its own way from here; none on a real bench.
    pub fn fork(&mut self) -> Option<Bench> {
        let ports = self.ports.branch()?.fork();
        Some(Bench {
            ports,
            file: Arc::clone(&self.file),
            contacts: self.contacts.clone(),
            supply: self.supply.clone(),
            console: self.console.clone(),
            sense_boards: self.sense_boards.clone(),
            stage: self.stage.clone(),
            sense: self.sense.clone(),
            happenings: self.happenings.clone(),
            identity: self.identity.clone(),
            stage_identity: self.stage_identity.clone(),
            touched: self.touched,
            operator: None,
            log: self.log.as_ref().map(Log::fork),
            power_cycle: None,
        })
    }

    /// A hash of what a virtual bench is in the middle of, but for its flash: the board, and what the drivers
    /// have heard of it. See [`Branch::passing_state`].
    pub fn passing_state(&mut self) -> Option<u64> {
        let board = self.ports.branch()?.passing_state();
        let console = self.console.as_ref().map(|console| &console.driver);
        let mut hasher = state_hasher();
        (board, format!("{console:?} {:?}", self.sense)).hash(&mut hasher);
        Some(hasher.finish())
    }

    /// The ability to cut the supply at one exact point, and to list such points; none on a real bench.
    pub fn branch(&mut self) -> Option<&mut dyn Branch> {
        self.ports.branch()
    }

    fn supply(&mut self) -> Result<&mut Feeder, DeviceTrouble> {
        if self.supply.is_none() {
            return Err(self.absent("supply", "describe it under [supply]"));
        }
        Ok(self
            .supply
            .as_mut()
            .expect("it was looked at in the line above"))
    }

    fn absent(&self, what: &str, hint: &str) -> DeviceTrouble {
        DeviceTrouble {
            device: what.to_owned(),
            doing: "looking for it".to_owned(),
            what: Trouble::Absent,
            saw: format!("bench '{}' has none", self.file.name),
            hint: hint.to_owned(),
        }
    }

    /// Moves bytes and facts between drivers, ports and the happenings.
    fn pump(&mut self) {
        let now = self.ports.now();
        if let Some(contacts) = &mut self.contacts {
            contacts.pump(&mut *self.ports, now, &mut self.happenings);
        }
        if let Some(supply) = &mut self.supply {
            let contacts = self.contacts.as_mut();
            let identity = supply.pump(&mut *self.ports, contacts, &mut self.happenings);
            self.identity = identity.or(self.identity.take());
        }
        if let Some(stage) = &mut self.stage {
            stage.flush(&mut *self.ports, now, &mut self.happenings);
            while let Some((at, fact)) = stage.driver.fact() {
                let what = match fact {
                    stage::Fact::Identified(text) => {
                        self.stage_identity = Some(text);
                        continue;
                    }
                    stage::Fact::Moved {
                        motion,
                        stopped,
                        stands,
                        asked,
                    } => What::Moved {
                        motion,
                        stopped,
                        stands,
                        asked,
                    },
                    stage::Fact::Trouble(trouble) => What::Trouble(trouble),
                };
                self.happenings.push_back(Happening { at, what });
            }
        }
        if let Some(console) = &mut self.console {
            console.flush(&mut *self.ports, now, &mut self.happenings);
            while let Some((at, line)) = console.driver.fact() {
                let whole = line.ended == Ended::LineEnd;
                self.happenings.push_back(Happening {
                    at,
                    what: What::Printed {
                        text: line.text,
                        whole,
                    },
                });
            }
        }
        for (index, board) in self.sense_boards.iter_mut().enumerate() {
            board.flush(&mut *self.ports, now, &mut self.happenings);
            while let Some((at, fact)) = board.driver.fact() {
                let what = match fact {
                    firmata::Fact::Edge { pin, high } => {
                        let level = if high { Level::High } else { Level::Low };
                        match self.sense.edge(Source::Board(index, pin), level) {
                            Some((line, on)) => What::Line {
                                line: line.to_owned(),
                                on,
                                hertz: None,
                            },
                            None => continue,
                        }
                    }
                    firmata::Fact::Trouble(trouble) => {
                        // It tells nothing from here on; what it told last is no level.
                        board.lost.get_or_insert_with(|| trouble.clone());
                        What::Trouble(trouble)
                    }
                };
                self.happenings.push_back(Happening { at, what });
            }
        }
    }

    fn deliver(&mut self, observation: Observation) {
        let at = observation.at;
        // A bound that passed before this came has passed, however late it is delivered. Without this a
        // talkative console could keep every other driver from its bounds.
        self.tick(at);
        match observation.what {
            Seen::Bytes { port, bytes } => {
                if let Some(contacts) = &mut self.contacts {
                    contacts.receive(port, at, &bytes);
                }
                if let Some(supply) = &mut self.supply {
                    supply.receive(port, at, &bytes);
                }
                receive(self.console.as_mut(), port, at, &bytes);
                receive(self.stage.as_mut(), port, at, &bytes);
                for board in &mut self.sense_boards {
                    receive(board, port, at, &bytes);
                }
            }
            Seen::Edge { line, level, hertz } => {
                if let Some((line, on)) = self.sense.edge(Source::Port(line), level) {
                    let what = What::Line {
                        line: line.to_owned(),
                        on,
                        hertz,
                    };
                    self.happenings.push_back(Happening { at, what });
                }
            }
            Seen::Driven { output, signal, .. } => {
                if let Some(contacts) = &mut self.contacts {
                    contacts.drove(at, output, signal);
                }
            }
            Seen::OutputLost { output, why } => {
                if let Some(contacts) = &mut self.contacts {
                    contacts.lose_output(at, output, &why);
                }
            }
            Seen::LineLost { line, why } => {
                let line = self.sense.name(Source::Port(line)).unwrap_or_default();
                let trouble = DeviceTrouble {
                    device: format!("line '{line}'"),
                    doing: "watching it".to_owned(),
                    what: Trouble::Lost,
                    saw: why,
                    hint: "is the chip still there? a line that chatters may want 'debounce'"
                        .to_owned(),
                };
                let what = What::Trouble(trouble);
                self.happenings.push_back(Happening { at, what });
            }
            Seen::CutPoint(point) => {
                self.happenings.push_back(Happening {
                    at,
                    what: What::CutPoint(point),
                });
            }
            Seen::Terminal(terminal) => {
                self.happenings.push_back(Happening {
                    at,
                    what: What::Terminal(terminal),
                });
            }
            Seen::Instruction(instruction) => {
                self.happenings.push_back(Happening {
                    at,
                    what: What::Instruction(instruction),
                });
            }
            Seen::Lost { port, why } => {
                if let Some(contacts) = &mut self.contacts {
                    contacts.lose(port, at, &why, &mut self.happenings);
                }
                if let Some(supply) = &mut self.supply {
                    supply.lose(port, at, &why, &mut self.happenings);
                }
                lose(self.console.as_mut(), port, at, &why, &mut self.happenings);
                lose(self.stage.as_mut(), port, at, &why, &mut self.happenings);
                for board in &mut self.sense_boards {
                    lose(board, port, at, &why, &mut self.happenings);
                }
            }
        }
    }

    fn tick(&mut self, now: Nanos) {
        if let Some(contacts) = &mut self.contacts {
            contacts.tick(now);
        }
        if let Some(supply) = &mut self.supply {
            supply.tick(now);
        }
        if let Some(console) = &mut self.console {
            console.driver.tick(now);
        }
        if let Some(stage) = &mut self.stage {
            stage.driver.tick(now);
        }
        for board in &mut self.sense_boards {
            board.driver.tick(now);
        }
    }

    fn next_deadline(&self) -> Option<Nanos> {
        [
            self.contacts.as_ref().and_then(Contacts::deadline),
            self.supply.as_ref().and_then(Feeder::deadline),
            self.console.as_ref().and_then(Attached::deadline),
            self.stage.as_ref().and_then(Attached::deadline),
        ]
        .into_iter()
        .chain(self.sense_boards.iter().map(Attached::deadline))
        .flatten()
        .min()
    }
}
