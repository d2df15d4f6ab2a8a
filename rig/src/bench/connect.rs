//! Opening the ports of a bench, and meeting its instruments.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::attached::Attached;
use super::contacts::Contacts;
use super::{Bench, BenchFile, What, file};
use crate::driver::DeviceTrouble;
use crate::driver::console::Console;
use crate::driver::firmata::Firmata;
use crate::driver::sense::{self, Sense, Source};
use crate::driver::stage::{self, Stage};
use crate::driver::supply::{self, Supply};
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
    pub fn connect(file: BenchFile, mut ports: Box<dyn Ports>) -> Result<Bench, DeviceTrouble> {
        let contacts = file.relays.as_ref();
        let contacts = contacts.map(|relays| Contacts::open(relays, &mut *ports));
        let contacts = contacts.transpose()?;
        let supply = file.supply.as_ref().map(|supply| {
            let device = format!("supply on {}", supply.port.at);
            let settings = supply::Settings {
                highest: supply.highest,
                limit: supply.limit,
                resistance: supply.resistance,
                longest_on: supply.longest_on,
            };
            let driver = Supply::new(device.clone(), settings);
            Attached::open(&mut *ports, device, &supply.port, driver)
        });
        let supply = supply.transpose()?;
        let console = file.console.as_ref().map(|console| {
            let device = format!("console on {}", console.at);
            Attached::open(&mut *ports, device, console, Console::new())
        });
        let console = console.transpose()?;
        let stage = file.stage.as_ref().map(|stage| {
            let device = format!("stage on {}", stage.port.at);
            let driver = Stage::new(device.clone(), stage.settings.clone());
            Attached::open(&mut *ports, device, &stage.port, driver)
        });
        let stage = stage.transpose()?;
        let sense_boards = sense_boards(&file, &mut *ports)?;
        let mut bench = Bench {
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
        let driver = Firmata::new(device.clone(), pins);
        Attached::open(ports, device, port, driver)
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
