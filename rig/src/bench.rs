//! A bench: the instruments around one board under test, and one face for all of them.
//!
//! [`mod@file`] reads the bench file; [`Bench::connect`] opens its ports, puts a driver on each, and brings
//! every output to rest. From then on the run loop acts ([`press`](Bench::press), [`feed`](Bench::feed) …,
//! which return at once) and waits ([`wait`](Bench::wait), in which all time passes and through which
//! everything comes back, confirmations and trouble included).
//!
//! A bench knows nothing of scenarios, profiles or verdicts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::driver::console::{Console, Ended};
use crate::driver::firmata::{self, Firmata};
use crate::driver::relay_board::{self, Relay, RelayBoard};
use crate::driver::sense::{self, Sense, Source};
use crate::driver::stage::{self, Left, Motion, Stage};
use crate::driver::supply::{self, Supply};
use crate::driver::{DeviceTrouble, Driver, Trouble};
use crate::event::Nanos;
use crate::port::{
    Branch, CutPoint, Interrupt, Level, Observation, PortId, Ports, ProbePort, Seen, Terminal,
    Waited,
};
use crate::quantity::{Microamps, Millivolts};

pub use crate::driver::supply::Feed;
pub use file::{BenchFile, Contact, Cut, Output, schema};

pub mod file;

/// How long going to rest may take altogether. Every driver gives up on its own well before.
pub const REST_MAX: Nanos = Nanos::from_secs(5);
/// How long an instrument may take to answer for the first time.
pub const CONNECT_MAX: Nanos = Nanos::from_secs(5);

/// How long meeting the instruments may take where the axes of a stage may have to go home first.
pub const CONNECT_STAGE_MAX: Nanos = stage::HOMING_MAX;

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
    /// The relay board confirmed that a contact's relay switched.
    Switched {
        /// The contact.
        contact: Contact,
        /// Closed or open.
        closed: bool,
        /// When it was ordered: it switched between this and the happening's own time.
        asked: Nanos,
    },
    /// The supply confirmed a setting.
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
    /// An instrument did not do what it was told. The bench is broken; nothing that it reports from
    /// here on is worth a verdict.
    Trouble(DeviceTrouble),
}

/// What came of going to rest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rest {
    /// The outputs that were brought to rest, in this order; each was confirmed.
    pub outputs: Vec<String>,
    /// The outputs of which nobody knows.
    pub failed: Vec<String>,
    /// What happened meanwhile, troubles included.
    pub happenings: Vec<Happening>,
}

/// A driver and the port that it stands on.
#[derive(Clone)]
struct Attached<D> {
    driver: D,
    port: PortId,
    device: String,
    /// Why the port is gone.
    lost: Option<DeviceTrouble>,
}

/// The instruments around one board under test.
pub struct Bench {
    ports: Box<dyn Ports>,
    file: Arc<BenchFile>,
    relays: Option<Attached<RelayBoard>>,
    supply: Option<Attached<Supply>>,
    console: Option<Attached<Console>>,
    sense_boards: Vec<Attached<Firmata>>,
    stage: Option<Attached<Stage>>,
    sense: Sense,
    happenings: VecDeque<Happening>,
    identity: Option<String>,
    stage_identity: Option<String>,
    /// Whether something was switched since the bench was last brought to rest.
    touched: bool,
}

impl Bench {
    /// Opens every port of the file, finds its instruments, and brings the outputs to rest.
    ///
    /// This takes bench time: the instruments' answers. An error leaves what was already reached at rest,
    /// as far as it answers.
    pub fn connect(file: BenchFile, mut ports: Box<dyn Ports>) -> Result<Bench, DeviceTrouble> {
        let relays = match &file.relays {
            Some(relays) => {
                let device = format!("relay board on {}", relays.port.at);
                let port = open(&mut *ports, &device, &relays.port)?;
                let used = relays.contacts.iter().map(|(contact, wired)| Relay {
                    channel: wired.channel,
                    name: contact.to_string(),
                    longest_on: wired.longest_on,
                });
                let driver = RelayBoard::new(device.clone(), used.collect());
                Some(Attached {
                    driver,
                    port,
                    device,
                    lost: None,
                })
            }
            None => None,
        };
        let supply = match &file.supply {
            Some(supply) => {
                let device = format!("supply on {}", supply.port.at);
                let port = open(&mut *ports, &device, &supply.port)?;
                let settings = supply::Settings {
                    highest: supply.highest,
                    limit: supply.limit,
                    resistance: supply.resistance,
                    longest_on: supply.longest_on,
                };
                let driver = Supply::new(device.clone(), settings);
                Some(Attached {
                    driver,
                    port,
                    device,
                    lost: None,
                })
            }
            None => None,
        };
        let console = match &file.console {
            Some(console) => {
                let device = format!("console on {}", console.at);
                let port = open(&mut *ports, &device, console)?;
                Some(Attached {
                    driver: Console::new(),
                    port,
                    device,
                    lost: None,
                })
            }
            None => None,
        };
        let stage = match &file.stage {
            Some(stage) => {
                let device = format!("stage on {}", stage.port.at);
                let port = open(&mut *ports, &device, &stage.port)?;
                let driver = Stage::new(device.clone(), stage.settings.clone());
                Some(Attached {
                    driver,
                    port,
                    device,
                    lost: None,
                })
            }
            None => None,
        };
        let sense_boards = sense_boards(&file, &mut *ports)?;
        let mut bench = Bench {
            ports,
            file: Arc::new(file),
            relays,
            supply,
            console,
            sense_boards,
            stage,
            sense: Sense::default(),
            happenings: VecDeque::new(),
            identity: None,
            stage_identity: None,
            touched: true,
        };
        bench.open_lines(false)?;
        bench.meet()?;
        Ok(bench)
    }

    /// Meets the instruments, and brings everything to rest.
    fn meet(&mut self) -> Result<(), DeviceTrouble> {
        let now = self.now();
        if let Some(supply) = &mut self.supply {
            supply.driver.connect(now);
        }
        for board in &mut self.sense_boards {
            board.driver.connect(now);
        }
        let mut bound = CONNECT_MAX;
        if let Some(stage) = &mut self.stage {
            stage.driver.connect(now);
            bound = CONNECT_STAGE_MAX;
        }
        let mut seen = Vec::new();
        self.until_idle(now + bound, &mut seen);
        for happening in &seen {
            if let What::Trouble(trouble) = &happening.what {
                let trouble = trouble.clone();
                self.to_rest();
                return Err(trouble);
            }
        }
        self.open_lines(true)?;
        let rest = self.to_rest();
        for happening in seen.into_iter().chain(rest.happenings) {
            match happening.what {
                What::Trouble(trouble) => return Err(trouble),
                // What switched while everything went to rest is how the bench was found, not what a run did.
                What::Switched { .. } | What::Fed { .. } | What::Moved { .. } => {}
                _ => self.happenings.push_back(happening),
            }
        }
        Ok(())
    }

    /// Watches the lines that come through sense boards, or all others, from here on.
    fn open_lines(&mut self, through_boards: bool) -> Result<(), DeviceTrouble> {
        let file = Arc::clone(&self.file);
        let lines = file.lines.iter();
        for line in lines.filter(|line| line.board.is_some() == through_boards) {
            let device = format!("line '{}' at {}", line.name, line.at);
            let trouble = |trouble| DeviceTrouble::from_port(&device, "opening it", trouble);
            let source = match &line.board {
                Some((port, pin)) => {
                    let is_its = |board: &Attached<Firmata>| board.device == sense_board(port);
                    let board = self.sense_boards.iter().position(is_its);
                    Source::Board(board.expect("one was made for each line's port"), *pin)
                }
                None => Source::Port(self.ports.line(&line.at, &line.pin).map_err(trouble)?),
            };
            let (name, active) = (line.name.clone(), active(line));
            let line = sense::Line {
                name,
                source,
                active,
            };
            let level = self.level_of(&line)?;
            self.sense.add(line, level);
        }
        Ok(())
    }

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

    /// Orders a contact to close or to open. Returns at once; [`What::Switched`] comes through `wait`.
    pub fn switch(&mut self, contact: &Contact, closed: bool) -> Result<(), DeviceTrouble> {
        let now = self.now();
        let Some(channel) = self.file.wired(contact).map(|wired| wired.channel) else {
            let hint = "add it under [keys], [buttons], [door] or [jam]";
            return Err(self.absent(&contact.to_string(), hint));
        };
        let Some(relays) = &mut self.relays else {
            return Err(self.absent("relay board", "describe it under [relays]"));
        };
        relays.check_lost()?;
        relays.driver.set(now, channel, closed)?;
        self.touched = true;
        self.pump();
        Ok(())
    }

    /// Orders the supply. Returns at once; [`What::Fed`] comes through `wait`.
    pub fn feed(&mut self, feed: Feed) -> Result<(), DeviceTrouble> {
        let now = self.now();
        let supply = self.supply()?;
        supply.driver.feed(now, feed)?;
        self.touched = true;
        self.pump();
        Ok(())
    }

    /// Whether the supply confirmed this feed, and nothing else was asked of it since.
    pub fn is_fed(&self, feed: Feed) -> bool {
        let supply = self.supply.as_ref();
        supply.is_some_and(|supply| supply.driver.is_known_to_be(feed))
    }

    /// Orders a measurement at the supply. Returns at once; [`What::Measured`] comes through `wait`.
    pub fn measure(&mut self) -> Result<(), DeviceTrouble> {
        let now = self.now();
        self.supply()?.driver.measure(now)?;
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

    /// Brings every output to its rest state, in the order that the bench file gives, and waits for the
    /// confirmations; what waited to be done is forgotten.
    ///
    /// It works after any trouble, as far as instruments answer, takes at most [`REST_MAX`] (a stage at
    /// most [`stage::REST_MAX`] more), and no interrupt shortens it. Doing it twice costs nothing.
    pub fn to_rest(&mut self) -> Rest {
        let mut rest = Rest {
            happenings: self.happenings.drain(..).collect(),
            ..Rest::default()
        };
        let until = self.now() + REST_MAX;
        for output in self.file.rest.clone() {
            match output {
                Output::Supply => self.supply_to_rest(until, &mut rest),
                Output::Stage => self.stage_to_rest(&mut rest),
                output => self.contacts_to_rest(output, until, &mut rest),
            }
        }
        self.touched = false;
        rest
    }

    /// Lets time pass until every instrument has answered, or has given up.
    ///
    /// # Errors
    /// The first trouble meanwhile.
    pub fn settle(&mut self) -> Result<(), DeviceTrouble> {
        let mut seen = Vec::new();
        self.until_idle(self.now() + CONNECT_MAX, &mut seen);
        let troubles = seen
            .into_iter()
            .filter_map(|happening| match happening.what {
                What::Trouble(trouble) => Some(trouble),
                _ => None,
            });
        troubles.take(1).try_for_each(Err)
    }

    fn contacts_to_rest(&mut self, output: Output, until: Nanos, rest: &mut Rest) {
        let Some(relays) = &self.file.relays else {
            return;
        };
        let contacts: Vec<(Contact, u8, bool)> = relays
            .contacts
            .iter()
            .filter(|(contact, _)| contact.output() == output)
            .map(|(contact, wired)| (contact.clone(), wired.channel, wired.rest_closed))
            .collect();
        let now = self.now();
        if let Some(relays) = &mut self.relays
            && relays.lost.is_none()
        {
            for (_, channel, closed) in &contacts {
                if !relays.driver.is_known_to_be(*channel, *closed) {
                    relays.driver.rest(now, *channel, *closed);
                }
            }
        }
        self.until_idle(until, &mut rest.happenings);
        for (contact, channel, closed) in contacts {
            let known = self.relays.as_ref().is_some_and(|relays| {
                relays.lost.is_none() && relays.driver.is_known_to_be(channel, closed)
            });
            rest.note(contact.to_string(), known);
        }
    }

    fn supply_to_rest(&mut self, until: Nanos, rest: &mut Rest) {
        let Some(supply) = &self.file.supply else {
            return;
        };
        let feed = match supply.rest {
            Some(voltage) => Feed::On {
                voltage,
                resistance: None,
            },
            None => Feed::Off,
        };
        let now = self.now();
        if let Some(supply) = &mut self.supply
            && supply.lost.is_none()
            && !supply.driver.is_known_to_be(feed)
        {
            supply.driver.rest(now, feed);
        }
        self.until_idle(until, &mut rest.happenings);
        let known = self
            .supply
            .as_ref()
            .is_some_and(|supply| supply.lost.is_none() && supply.driver.is_known_to_be(feed));
        rest.note("supply".to_owned(), known);
    }

    /// A stage has ways to go; nothing else waits for it that is not behind it in the order.
    fn stage_to_rest(&mut self, rest: &mut Rest) {
        let now = self.now();
        let Some(stage) = &mut self.stage else {
            return;
        };
        if stage.lost.is_none() && stage.driver.rested() != Some(Left::Clear) {
            stage.driver.rest(now);
        }
        self.until_idle(now + stage::REST_MAX, &mut rest.happenings);
        let stage = self.stage.as_ref().filter(|stage| stage.lost.is_none());
        match stage.and_then(|stage| stage.driver.rested()) {
            Some(Left::Clear) => rest.note("stage".to_owned(), true),
            Some(Left::KeyIn { at }) => {
                rest.note(format!("stage (the cylinder holds the key at {at})"), true);
            }
            None => rest.note("stage".to_owned(), false),
        }
    }

    /// Lets time pass until every output driver has its answers or has given up.
    fn until_idle(&mut self, until: Nanos, seen: &mut Vec<Happening>) {
        loop {
            self.pump();
            seen.extend(self.happenings.drain(..));
            let relays_idle = self
                .relays
                .as_ref()
                .is_none_or(|relays| relays.lost.is_some() || relays.driver.is_idle());
            let supply_idle = self
                .supply
                .as_ref()
                .is_none_or(|supply| supply.lost.is_some() || supply.driver.is_idle());
            let stage_idle = self
                .stage
                .as_ref()
                .is_none_or(|stage| stage.lost.is_some() || stage.driver.is_idle());
            let sense_idle = self
                .sense_boards
                .iter()
                .all(|board| board.lost.is_some() || board.driver.is_idle());
            let instruments_idle = relays_idle && supply_idle && stage_idle && sense_idle;
            if instruments_idle || self.now() >= until {
                return;
            }
            // Interrupted means: stop what you do. Going to rest is just that.
            let _ = self.step(until);
        }
    }

    /// A second bench in exactly this state, which goes its own way from here; none on a real bench.
    pub fn fork(&mut self) -> Option<Bench> {
        let ports = self.ports.branch()?.fork();
        Some(Bench {
            ports,
            file: Arc::clone(&self.file),
            relays: self.relays.clone(),
            supply: self.supply.clone(),
            console: self.console.clone(),
            sense_boards: self.sense_boards.clone(),
            stage: self.stage.clone(),
            sense: self.sense.clone(),
            happenings: self.happenings.clone(),
            identity: self.identity.clone(),
            stage_identity: self.stage_identity.clone(),
            touched: self.touched,
        })
    }

    /// A hash of what a virtual bench is in the middle of, but for its flash: the board, and what the drivers
    /// have heard of it. See [`Branch::passing_state`].
    pub fn passing_state(&mut self) -> Option<u64> {
        let board = self.ports.branch()?.passing_state();
        let console = self.console.as_ref().map(|console| &console.driver);
        let mut hasher = DefaultHasher::new();
        (board, format!("{console:?} {:?}", self.sense)).hash(&mut hasher);
        Some(hasher.finish())
    }

    /// The ability to cut the supply at one exact point, and to list such points; none on a real bench.
    pub fn branch(&mut self) -> Option<&mut dyn Branch> {
        self.ports.branch()
    }

    fn supply(&mut self) -> Result<&mut Attached<Supply>, DeviceTrouble> {
        if self.supply.is_none() {
            return Err(self.absent("supply", "describe it under [supply]"));
        }
        let supply = self
            .supply
            .as_mut()
            .expect("it was looked at in the line above");
        supply.check_lost()?;
        Ok(supply)
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
        if let Some(relays) = &mut self.relays {
            relays.flush(&mut *self.ports, now, &mut self.happenings);
            while let Some((at, fact)) = relays.driver.fact() {
                let what = match fact {
                    relay_board::Fact::Switched {
                        channel,
                        closed,
                        asked,
                    } => {
                        let contacts = self.file.relays.iter().flat_map(|relays| &relays.contacts);
                        let contact = contacts
                            .filter(|(_, wired)| wired.channel == channel)
                            .map(|(contact, _)| contact.clone())
                            .next()
                            .expect("the driver was made from these contacts");
                        What::Switched {
                            contact,
                            closed,
                            asked,
                        }
                    }
                    relay_board::Fact::Trouble(trouble) => What::Trouble(trouble),
                };
                self.happenings.push_back(Happening { at, what });
            }
        }
        if let Some(supply) = &mut self.supply {
            supply.flush(&mut *self.ports, now, &mut self.happenings);
            while let Some((at, fact)) = supply.driver.fact() {
                let what = match fact {
                    supply::Fact::Identified(text) => {
                        self.identity = Some(text);
                        continue;
                    }
                    supply::Fact::Fed { feed, asked } => What::Fed { feed, asked },
                    supply::Fact::Measured {
                        voltage,
                        current,
                        asked,
                    } => What::Measured {
                        voltage,
                        current,
                        asked,
                    },
                    supply::Fact::Trouble(trouble) => What::Trouble(trouble),
                };
                self.happenings.push_back(Happening { at, what });
            }
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
                    firmata::Fact::Trouble(trouble) => What::Trouble(trouble),
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
                receive(self.relays.as_mut(), port, at, &bytes);
                receive(self.supply.as_mut(), port, at, &bytes);
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
            Seen::Lost { port, why } => {
                lose(self.relays.as_mut(), port, at, &why, &mut self.happenings);
                lose(self.supply.as_mut(), port, at, &why, &mut self.happenings);
                lose(self.console.as_mut(), port, at, &why, &mut self.happenings);
                lose(self.stage.as_mut(), port, at, &why, &mut self.happenings);
                for board in &mut self.sense_boards {
                    lose(board, port, at, &why, &mut self.happenings);
                }
            }
        }
    }

    fn tick(&mut self, now: Nanos) {
        if let Some(relays) = &mut self.relays {
            relays.driver.tick(now);
        }
        if let Some(supply) = &mut self.supply {
            supply.driver.tick(now);
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
            self.relays.as_ref().and_then(Attached::deadline),
            self.supply.as_ref().and_then(Attached::deadline),
            self.console.as_ref().and_then(Attached::deadline),
            self.stage.as_ref().and_then(Attached::deadline),
        ]
        .into_iter()
        .chain(self.sense_boards.iter().map(Attached::deadline))
        .flatten()
        .min()
    }
}

/// The last resort of whoever forgot [`Bench::to_rest`], or panicked before it.
impl Drop for Bench {
    fn drop(&mut self) {
        // A bench that exists in memory ceases to exist: there is nothing to make safe.
        if self.touched && self.ports.branch().is_none() {
            self.to_rest();
        }
    }
}

impl Rest {
    fn note(&mut self, output: String, known: bool) {
        if known {
            self.outputs.push(output);
        } else {
            self.failed.push(output);
        }
    }
}

impl Contact {
    /// The output that this contact goes to rest with.
    fn output(&self) -> Output {
        match self {
            Contact::Key(_) => Output::Keys,
            Contact::Button(_) => Output::Buttons,
            Contact::Door => Output::Door,
            Contact::Jam => Output::Jam,
        }
    }
}

impl<D: Driver> Attached<D> {
    /// Sends what the driver wants sent.
    fn flush(&mut self, ports: &mut dyn Ports, now: Nanos, happenings: &mut VecDeque<Happening>) {
        let bytes = self.driver.outbox();
        if bytes.is_empty() || self.lost.is_some() {
            return;
        }
        if let Err(trouble) = ports.write(self.port, &bytes) {
            let trouble = DeviceTrouble::from_port(&self.device, "sending to it", trouble);
            self.lost = Some(trouble.clone());
            happenings.push_back(Happening {
                at: now,
                what: What::Trouble(trouble),
            });
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        if self.lost.is_some() {
            None
        } else {
            self.driver.deadline()
        }
    }

    fn check_lost(&self) -> Result<(), DeviceTrouble> {
        self.lost.clone().map_or(Ok(()), Err)
    }
}

fn receive<'a, D: Driver + 'a>(
    attached: impl Into<Option<&'a mut Attached<D>>>,
    port: PortId,
    at: Nanos,
    bytes: &[u8],
) {
    if let Some(attached) = attached.into()
        && attached.port == port
    {
        attached.driver.receive(at, bytes);
    }
}

fn lose<'a, D: Driver + 'a>(
    attached: impl Into<Option<&'a mut Attached<D>>>,
    port: PortId,
    at: Nanos,
    why: &str,
    happenings: &mut VecDeque<Happening>,
) {
    if let Some(attached) = attached.into()
        && attached.port == port
        && attached.lost.is_none()
    {
        let trouble = DeviceTrouble {
            device: attached.device.clone(),
            doing: "listening to it".to_owned(),
            what: Trouble::Lost,
            saw: why.to_owned(),
            hint: "check cable and power of the instrument, then start the run again".to_owned(),
        };
        attached.lost = Some(trouble.clone());
        happenings.push_back(Happening {
            at,
            what: What::Trouble(trouble),
        });
    }
}

/// What messages call the sense board at a port.
fn sense_board(port: &file::Port) -> String {
    format!("sense board on {}", port.at)
}

/// A driver for every sense board that lines of the bench are wired to.
fn sense_boards(
    file: &BenchFile,
    ports: &mut dyn Ports,
) -> Result<Vec<Attached<Firmata>>, DeviceTrouble> {
    let mut pins: BTreeMap<String, (&file::Port, Vec<u8>)> = BTreeMap::new();
    for (port, pin) in file.lines.iter().filter_map(|line| line.board.as_ref()) {
        let (_, pins) = pins
            .entry(sense_board(port))
            .or_insert_with(|| (port, Vec::new()));
        pins.push(*pin);
    }
    let attach = |(device, (port, pins)): (String, (&file::Port, Vec<u8>))| {
        Ok(Attached {
            driver: Firmata::new(device.clone(), pins),
            port: open(ports, &device, port)?,
            device,
            lost: None,
        })
    };
    pins.into_iter().map(attach).collect()
}

/// The level at which a line is on.
fn active(line: &file::Line) -> Level {
    if line.active_high {
        Level::High
    } else {
        Level::Low
    }
}

fn open(ports: &mut dyn Ports, device: &str, port: &file::Port) -> Result<PortId, DeviceTrouble> {
    ports
        .bytes(&port.at, port.baud)
        .map_err(|trouble| DeviceTrouble::from_port(device, "opening its port", trouble))
}
