//! Opening the ports of a bench, and meeting its instruments.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::attached::{Attached, Opening};
use super::contacts::Contacts;
use super::feeder::Feeder;
use super::log::Log;
use super::{Bench, BenchFile, Contact, Happening, Rest, What, file};
use crate::driver::DeviceTrouble;
use crate::driver::console::Console;
use crate::driver::firmata::Firmata;
use crate::driver::sense::{self, Sense, Source};
use crate::driver::stage::{self, Stage};
use crate::event::Nanos;
use crate::port::{Level, Ports};

/// How long an instrument may take to answer for the first time.
pub const CONNECT_MAX: Nanos = Nanos::from_secs(5);

/// How long meeting the instruments may take where the axes of a stage may have to go home first.
pub const CONNECT_STAGE_MAX: Nanos = stage::HOMING_MAX;

impl Bench {
    /// Opens every port of the file, finds its instruments, and brings the outputs to rest.
    ///
    /// This takes bench time: the instruments' answers. An error leaves what was already reached at rest,
    /// as far as it answers.
    pub fn connect(file: BenchFile, ports: Box<dyn Ports>) -> Result<Bench, DeviceTrouble> {
        let mut bench = Bench::open(file, ports, false);
        let met = match bench.lost().into_iter().next() {
            Some(trouble) => Err(trouble),
            None => bench.open_lines(false),
        };
        if let Err(trouble) = met {
            bench.to_rest();
            return Err(trouble);
        }
        bench.meet()?;
        Ok(bench)
    }

    /// Opens what can be opened of a bench that somebody else left in any state, and brings its outputs to
    /// rest.
    pub fn clean_up(mut file: BenchFile, ports: Box<dyn Ports>) -> Rest {
        // They move nothing, and a sense board may take seconds to start.
        file.lines.clear();
        file.console = None;
        let mut bench = Bench::open(file, ports, true);
        let now = bench.now();
        let lost = bench.lost().into_iter().map(What::Trouble);
        let lost = lost.map(|what| Happening { at: now, what });
        bench.happenings.extend(lost);
        if let Some(supply) = &mut bench.supply {
            supply.connect(now);
        }
        if let Some(stage) = &mut bench.stage {
            stage.driver.take_over(now);
        }
        bench.to_rest()
    }

    /// Opens the ports of the file, all or those before the first that cannot be opened; the others are lost.
    fn open(file: BenchFile, mut ports: Box<dyn Ports>, all: bool) -> Bench {
        let mut opening = Opening {
            ports: &mut *ports,
            goes_on: all,
            has_failed: false,
        };
        let contacts = file.relays.as_ref();
        let contacts = contacts.map(|relays| Contacts::open(relays, &mut opening));
        let has_crowbar = file.wired(&Contact::Crowbar).is_some();
        let supply = file.supply.as_ref();
        let supply = supply.map(|supply| Feeder::open(supply, has_crowbar, &mut opening));
        let console = file.console.as_ref().map(|console| {
            let device = format!("console on {}", console.at);
            opening.attach(device, console, Console::new())
        });
        let stage = file.stage.as_ref().map(|stage| {
            let device = format!("stage on {}", stage.port.at);
            let driver = Stage::new(device.clone(), stage.settings.clone());
            opening.attach(device, &stage.port, driver)
        });
        let sense_boards = sense_boards(&file, &mut opening);
        let log = file.log.map(Log::new);
        Bench {
            ports,
            file: Arc::new(file),
            contacts,
            supply,
            console,
            sense_boards,
            stage,
            sense: Sense::default(),
            happenings: VecDeque::new(),
            identity: None,
            stage_identity: None,
            touched: true,
            operator: None,
            log,
            power_cycle: None,
        }
    }

    /// Whether every instrument can still be reached, as far as is known without asking them.
    ///
    /// # Errors
    /// Why one cannot.
    pub fn is_whole(&self) -> Result<(), DeviceTrouble> {
        self.lost().into_iter().next().map_or(Ok(()), Err)
    }

    /// Why instruments are gone, or were never there.
    fn lost(&self) -> Vec<DeviceTrouble> {
        let single = [
            self.contacts.as_ref().and_then(Contacts::lost),
            self.supply.as_ref().and_then(Feeder::lost),
            self.console.as_ref().and_then(|one| one.lost.clone()),
            self.stage.as_ref().and_then(|one| one.lost.clone()),
        ];
        let boards = self.sense_boards.iter().map(|board| board.lost.clone());
        single.into_iter().chain(boards).flatten().collect()
    }

    /// Meets the instruments, and brings everything to rest.
    fn meet(&mut self) -> Result<(), DeviceTrouble> {
        let now = self.now();
        if let Some(supply) = &mut self.supply {
            supply.connect(now);
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
                None => {
                    let opened = self.ports.line(&line.at, &line.pin, &line.input);
                    Source::Port(opened.map_err(trouble)?)
                }
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
}

/// What messages call the sense board at a port.
fn sense_board(port: &file::Port) -> String {
    format!("sense board on {}", port.at)
}

/// A driver for every sense board that lines of the bench are wired to.
fn sense_boards(file: &BenchFile, opening: &mut Opening<'_>) -> Vec<Attached<Firmata>> {
    let mut pins: BTreeMap<String, (&file::Port, Vec<u8>)> = BTreeMap::new();
    for (port, pin) in file.lines.iter().filter_map(|line| line.board.as_ref()) {
        let (_, pins) = pins
            .entry(sense_board(port))
            .or_insert_with(|| (port, Vec::new()));
        pins.push(*pin);
    }
    let attach = |(device, (port, pins)): (String, (&file::Port, Vec<u8>))| {
        let driver = Firmata::new(device.clone(), pins);
        opening.attach(device, port, driver)
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
