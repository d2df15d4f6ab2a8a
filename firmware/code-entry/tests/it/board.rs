//! A lock on a board of paper: fingers, a clock, a storage that can fail or lose power, and one log of what
//! could be seen, in order. Commits stand in the same log, so that "stored before shown" is a line's place.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use code_entry::{
    BoltCommand, BoltPosition, Button, Input, Key, Lock, Outputs, Personality, PowerOn, Record,
    Report, Signal, State, Status, Storage, StorageFault,
};

/// How long a finger stays on a key, and pauses after it.
pub const PRESS_MS: u64 = 50;
/// A tick that falls on no deadline but by chance.
const OFTEN_MS: u64 = 37;

pub type Log = Rc<RefCell<Vec<String>>>;

/// Keeps records as bytes, as flash does.
#[derive(Clone, Default)]
pub struct Flash {
    pub stored: Option<[u8; Record::BYTES]>,
    pub log: Log,
    /// How many more commits succeed; then each fails.
    pub commits_left: Option<u32>,
    /// Whether the failing commit reaches the flash all the same: power went before it could say so.
    pub fails_written: bool,
}

impl Storage for Flash {
    fn commit(&mut self, record: &Record) -> Result<(), StorageFault> {
        if self.commits_left == Some(0) {
            if std::mem::take(&mut self.fails_written) {
                self.stored = Some(record.to_bytes());
            }
            return Err(StorageFault);
        }
        self.commits_left = self.commits_left.map(|left| left - 1);
        self.stored = Some(record.to_bytes());
        self.log.borrow_mut().push("commit".into());
        Ok(())
    }
}

pub struct Face(pub Log);

impl Outputs for Face {
    fn signal(&mut self, signal: Signal) {
        self.0
            .borrow_mut()
            .push(format!("signal {}", signal.name()));
    }
    fn bolt(&mut self, command: BoltCommand) {
        let word = match command {
            BoltCommand::Withdraw => "withdraw",
            BoltCommand::Throw => "throw",
            BoltCommand::Rest => "rest",
        };
        self.0.borrow_mut().push(format!("drive {word}"));
    }
    fn report(&mut self, report: Report) {
        self.0.borrow_mut().push(report.to_string());
    }
}

pub struct Board {
    pub personality: Personality,
    pub lock: Lock<Flash>,
    pub now_ms: u64,
    pub found: PowerOn,
    /// Whether the board calls `tick` all the time, or only comes along with inputs and at the end of waits.
    pub ticks_often: bool,
    log: Log,
}

impl Board {
    /// A product from the box: door open, bolt thrown, fresh battery, idle, nothing in the log.
    pub fn new(personality: Personality) -> Board {
        Board::with(personality, Flash::default())
    }

    pub fn with_record(personality: Personality, change: impl FnOnce(&mut Record)) -> Board {
        let mut record = Record::factory(&personality);
        change(&mut record);
        Board::with(
            personality,
            Flash {
                stored: Some(record.to_bytes()),
                ..Flash::default()
            },
        )
    }

    fn with(personality: Personality, flash: Flash) -> Board {
        let found = PowerOn {
            since_ms: 0,
            door_open: true,
            bolt: BoltPosition::Thrown,
            supply_mv: 9_000,
            reset_button_down: false,
            program_button_down: false,
        };
        let mut board = Board::booted(personality, flash, found);
        board.seen();
        board
    }

    /// A board at the moment of power-on, with what it reported in the log.
    pub fn booted(personality: Personality, flash: Flash, found: PowerOn) -> Board {
        let log = flash.log.clone();
        let before = log.borrow().len();
        let record = flash
            .stored
            .map(|bytes| Record::from_bytes(&bytes).expect("we stored it"));
        let lock = Lock::power_on(
            personality.clone(),
            flash,
            record,
            0,
            found,
            &mut Face(log.clone()),
        );
        let board = Board {
            personality,
            lock,
            now_ms: 0,
            found,
            ticks_often: false,
            log,
        };
        board.drives_with_authority(before);
        board
    }

    /// Whoever drives the bolt withdraws it only on the lock's whole authority, which it asks for after each call:
    /// what was told since so many lines.
    fn drives_with_authority(&self, before: usize) {
        let log = self.log.borrow();
        let withdraws = log[before.min(log.len())..]
            .iter()
            .any(|line| line == "drive withdraw");
        assert!(!withdraws || self.lock.authority().is_whole(), "{log:?}");
    }

    /// Power goes, and comes again with things as `found` says.
    pub fn power_cycle(self) -> Board {
        let Board {
            personality,
            lock,
            found,
            ticks_often,
            ..
        } = self;
        let flash = Flash {
            commits_left: None,
            ..lock.into_storage()
        };
        Board {
            ticks_often,
            ..Board::booted(personality, flash, found)
        }
    }

    pub fn input(&mut self, input: Input) {
        self.try_input(input).expect("the storage works");
    }

    pub fn try_input(&mut self, input: Input) -> Result<(), StorageFault> {
        match input {
            Input::Door { open } => self.found.door_open = open,
            Input::Bolt(position) => self.found.bolt = position,
            Input::Supply(millivolts) => self.found.supply_mv = millivolts,
            _ => {}
        }
        let before = self.log.borrow().len();
        let done = self
            .lock
            .handle(self.now_ms, input, &mut Face(self.log.clone()));
        self.drives_with_authority(before);
        done
    }

    pub fn wait(&mut self, ms: u64) {
        self.try_wait(ms).expect("the storage works");
    }

    pub fn try_wait(&mut self, ms: u64) -> Result<(), StorageFault> {
        let face = &mut Face(self.log.clone());
        let until_ms = self.now_ms + ms;
        while self.ticks_often && self.now_ms + OFTEN_MS < until_ms {
            self.now_ms += OFTEN_MS;
            self.lock.tick(self.now_ms, face)?;
        }
        self.now_ms = until_ms;
        let before = self.log.borrow().len();
        let done = self.lock.tick(self.now_ms, face);
        self.drives_with_authority(before);
        done
    }

    pub fn down(&mut self, label: char) {
        self.input(Input::KeyDown(key(label)));
    }

    pub fn up(&mut self, label: char) {
        self.input(Input::KeyUp(key(label)));
    }

    pub fn key(&mut self, label: char) {
        self.down(label);
        self.wait(PRESS_MS);
        self.up(label);
        self.wait(PRESS_MS);
    }

    /// Presses keys one after the other. The last one's pause is left out, so that what follows it is exact.
    pub fn keys(&mut self, labels: &str) {
        for (place, label) in labels.chars().enumerate() {
            if place != 0 {
                self.wait(PRESS_MS);
            }
            self.down(label);
            self.wait(PRESS_MS);
            self.up(label);
        }
    }

    pub fn hold(&mut self, button: Button, ms: u64) {
        self.input(Input::ButtonDown(button));
        self.wait(ms);
        self.input(Input::ButtonUp(button));
    }

    pub fn tap(&mut self, button: Button) {
        self.hold(button, PRESS_MS);
    }

    /// The bolt comes to rest here, having left where it was.
    pub fn bolt_arrives(&mut self, position: BoltPosition) {
        self.input(Input::Bolt(BoltPosition::Between));
        self.input(Input::Bolt(position));
    }

    pub fn seen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log.borrow_mut())
    }

    /// What was seen, without key clicks, in one line.
    pub fn told(&mut self) -> String {
        let mut line = String::new();
        for word in self
            .seen()
            .iter()
            .filter(|word| *word != "signal key-click")
        {
            if !line.is_empty() {
                line.push_str("; ");
            }
            write!(line, "{word}").expect("a string takes it");
        }
        line
    }

    pub fn state(&self) -> State {
        self.lock.state()
    }

    pub fn status(&self) -> Status {
        self.lock.status(self.now_ms)
    }

    /// What a power cut now would leave.
    pub fn stored(&self) -> Option<Record> {
        let stored = self.lock.clone().into_storage().stored;
        stored.map(|bytes| Record::from_bytes(&bytes).expect("we stored it"))
    }

    /// Types a code on a board of its own that was cut off from this one: whether it opens. Waits out a lockout.
    pub fn opens_with(&self, code: &str) -> bool {
        let flash = Flash {
            log: Log::default(),
            commits_left: None,
            ..self.lock.clone().into_storage()
        };
        let found = PowerOn {
            since_ms: 0,
            door_open: true,
            bolt: BoltPosition::Thrown,
            supply_mv: 9_000,
            reset_button_down: false,
            program_button_down: false,
        };
        let mut twin = Board::booted(self.personality.clone(), flash, found);
        while let Some(due_ms) = twin.lock.next_deadline() {
            twin.wait(due_ms - twin.now_ms);
        }
        twin.seen();
        twin.keys(code);
        twin.key('#');
        twin.told().contains("drive withdraw")
    }
}

pub fn key(label: char) -> Key {
    Key::from_label(label).expect("a key's label")
}
