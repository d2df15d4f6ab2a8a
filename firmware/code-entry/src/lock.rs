//! The lock's state machine: it authorises, charges attempts, locks out, changes codes, resets, moves the bolt, and
//! refuses on a low battery. It reads tokens from the parser and a product's rules from its personality.
//!
//! Everything that may be seen follows the record that it stands on: each decision builds the next record, commits
//! it, and only then signals, reports or moves. An attempt is charged before its code is looked at, so that a power
//! cut can gain nothing. If a commit fails the lock reports a fault, rests the bolt, and stays as it is until the
//! next power-on.
//!
//! Deadlines are met in order at their own times, however late the caller is: `tick` once an hour and `tick` every
//! millisecond give the same outputs in the same order.

use core::fmt;

use heapless::Vec;

use crate::code::Code;
use crate::parser::{Button, Context, Entry, Key, Parser, Token};
use crate::personality::{
    Change, FactoryRule, Guard, Kind, LockoutKeys, LockoutPowerCycle, MAX_WRONG, MasterRule,
    Personality, ResetTrigger, Step, Target, Trigger,
};
use crate::record::{Record, Storage, StorageFault};
use crate::report::{BoltReport, Fault, Refusal, Report, ResetReport, SupplyLevel};
use crate::signal::Signal;

/// Something that happened at the lock. Presses are debounced by the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A key closed.
    KeyDown(Key),
    /// A key opened.
    KeyUp(Key),
    /// A button closed.
    ButtonDown(Button),
    /// A button opened.
    ButtonUp(Button),
    /// The door is open (`true`) or closed.
    Door {
        /// Whether it is open.
        open: bool,
    },
    /// The bolt is here now.
    Bolt(BoltPosition),
    /// The battery terminal's voltage was measured, in millivolts.
    Supply(u16),
}

/// Where the bolt is, as its two switches tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BoltPosition {
    /// Fully thrown: locked.
    Thrown,
    /// Fully withdrawn: open.
    Withdrawn,
    /// On its way, or stuck.
    Between,
}

/// What the bolt's drive has to do from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BoltCommand {
    /// Energise the solenoid, or run the motor to withdraw.
    Withdraw,
    /// Run the motor to throw.
    Throw,
    /// Drive nothing. A safe's spring takes the bolt back.
    Rest,
}

/// Where the lock's effects go. The lock calls these only for what its stored record already backs.
pub trait Outputs {
    /// Show a signal in the personality's pattern. Signals raised within one call of the lock are shown one after
    /// the other; the first of them ends what is still shown of an earlier call, on the tracks that it uses.
    fn signal(&mut self, signal: Signal);
    /// Drive the bolt.
    fn bolt(&mut self, command: BoltCommand);
    /// Say something on the console.
    fn report(&mut self, report: Report);
}

/// What the lock finds when power comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PowerOn {
    /// Whether the door is open.
    pub door_open: bool,
    /// Where the bolt is.
    pub bolt: BoltPosition,
    /// The battery terminal's voltage in millivolts.
    pub supply_mv: u16,
    /// Whether the reset button is down.
    pub reset_button_down: bool,
    /// Whether the Program button is down.
    pub program_button_down: bool,
}

/// What the lock is doing, in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing; a code may be entered.
    Idle,
    /// Digits have been typed.
    Entering,
    /// A change of codes is open.
    Programming,
    /// A reset is armed.
    ResetArmed,
    /// Too many wrong attempts.
    Lockout,
    /// The bolt is withdrawn, or on its way.
    Open,
    /// The bolt learns the door's hand.
    Handing,
    /// It cannot work.
    Fault,
}

impl State {
    /// Its word on the console.
    pub const fn word(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Entering => "entering",
            State::Programming => "programming",
            State::ResetArmed => "reset-armed",
            State::Lockout => "lockout",
            State::Open => "open",
            State::Handing => "handing",
            State::Fault => "fault",
        }
    }
}

/// The answer to the console's `?`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// What the lock is doing.
    pub state: State,
    /// The stored failure count.
    pub failures: u16,
    /// How many user codes are stored.
    pub users: u8,
    /// What is left of a lockout, in milliseconds.
    pub lockout_ms: u32,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status {
            state,
            failures,
            users,
            lockout_ms,
        } = *self;
        write!(
            f,
            "state {} failures={failures} users={users} lockout={lockout_ms}",
            state.word()
        )
    }
}

/// A lock, made at power-on and dropped at power-off. Times are milliseconds since power-on and never run backwards.
pub struct Lock<S> {
    personality: Personality,
    storage: S,
    record: Record,
    parser: Parser,
    mode: Mode,
    lockout: Option<Lockout>,
    /// When the wrong attempts were that count towards the next lockout.
    recent_ms: Vec<u64, MAX_WRONG>,
    bolt: BoltTask,
    door_open: bool,
    position: BoltPosition,
    supply_mv: u16,
    /// The state as of the last call, so that `idle` is reported once.
    last_state: Option<State>,
}

#[derive(Clone, Copy)]
enum Mode {
    /// Entries open the lock.
    Ready,
    /// Entries belong to a change of codes.
    Changing(Progress),
    /// A reset's hold was long enough.
    Armed {
        /// Until when a tap resets; none while the button is still down.
        tap_until_ms: Option<u64>,
    },
    /// Nothing goes on until the next power-on.
    Faulted,
}

/// How far a change of codes has come.
#[derive(Clone, Copy)]
struct Progress {
    change: usize,
    step: usize,
    taps: u8,
    own_slot: u8,
    new: Code,
    until_ms: u64,
}

#[derive(Clone, Copy)]
struct Lockout {
    until_ms: u64,
    checkpoint_ms: u64,
}

#[derive(Clone, Copy)]
enum BoltTask {
    AtRest,
    /// Withdrawing for somebody, or held withdrawn.
    Open {
        arrive_ms: Option<u64>,
        relock_ms: Option<u64>,
    },
    Throwing {
        arrive_ms: u64,
    },
    /// Learning the door's hand: on the way out, then back in.
    LearningOut {
        arrive_ms: u64,
    },
    LearningIn {
        arrive_ms: u64,
    },
}

/// A lockout's stored remainder is never older than this, nor than a tenth of the lockout.
const CHECKPOINT_MS_MAX: u32 = 30_000;

impl<S: Storage> Lock<S> {
    /// Power comes. `record` is the newest stored one; `None` stands for a storage that has never held any, and
    /// gives the factory state. A fault shows as [`State::Fault`].
    pub fn power_on(
        personality: Personality,
        storage: S,
        record: Option<Record>,
        now_ms: u64,
        found: PowerOn,
        out: &mut impl Outputs,
    ) -> Lock<S> {
        let record = record.unwrap_or_else(|| Record::factory(&personality));
        let mut lock = Lock {
            personality,
            storage,
            record,
            parser: Parser::default(),
            mode: Mode::Ready,
            lockout: None,
            recent_ms: Vec::new(),
            bolt: BoltTask::AtRest,
            door_open: found.door_open,
            position: found.bolt,
            supply_mv: found.supply_mv,
            last_state: None,
        };
        let done = lock.wake(now_ms, found, out);
        // A fault is remembered in the lock's state.
        lock.settle(done, out).ok();
        lock
    }

    /// Something happened. What was due before is done first.
    ///
    /// An error is reported once, when it happens; the lock is then in [`State::Fault`].
    pub fn handle(
        &mut self,
        now_ms: u64,
        input: Input,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        self.tick(now_ms, out)?;
        let done = self.take(now_ms, input, out);
        self.settle(done, out)
    }

    /// Time has passed: does what is due.
    pub fn tick(&mut self, now_ms: u64, out: &mut impl Outputs) -> Result<(), StorageFault> {
        while let Some(due_ms) = self.next_deadline().filter(|due_ms| *due_ms <= now_ms) {
            let done = self.expire(due_ms, out);
            self.settle(done, out)?;
        }
        Ok(())
    }

    /// When to call [`Lock::tick`] next, unless an input comes first.
    pub fn next_deadline(&self) -> Option<u64> {
        let mode = match self.mode {
            Mode::Ready => None,
            Mode::Changing(progress) => Some(progress.until_ms),
            Mode::Armed { tap_until_ms } => tap_until_ms,
            Mode::Faulted => return None,
        };
        let lockout = self.lockout.map(|lockout| lockout.deadline());
        let parser = self.parser.deadline(&self.personality);
        [self.bolt.deadline(), lockout, mode, parser]
            .into_iter()
            .flatten()
            .min()
    }

    /// The answer to the console's `?`.
    pub fn status(&self, now_ms: u64) -> Status {
        Status {
            state: self.state(),
            failures: self.record.failures,
            users: self.record.user_count(),
            lockout_ms: self.lockout.map_or(0, |lockout| lockout.left_ms(now_ms)),
        }
    }

    /// What the lock is doing.
    pub fn state(&self) -> State {
        match (self.mode, self.bolt) {
            (Mode::Faulted, _) => State::Fault,
            (Mode::Armed { .. }, _) => State::ResetArmed,
            _ if self.lockout.is_some() => State::Lockout,
            (Mode::Changing(_), _) => State::Programming,
            (_, BoltTask::LearningOut { .. } | BoltTask::LearningIn { .. }) => State::Handing,
            (_, BoltTask::Open { .. } | BoltTask::Throwing { .. }) => State::Open,
            (_, BoltTask::AtRest) if self.parser.is_entering() => State::Entering,
            (_, BoltTask::AtRest) => State::Idle,
        }
    }

    /// The product it behaves as.
    pub fn personality(&self) -> &Personality {
        &self.personality
    }

    /// The newest stored record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The power is cut: only the storage stays.
    pub fn into_storage(self) -> S {
        self.storage
    }

    fn wake(
        &mut self,
        now_ms: u64,
        found: PowerOn,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        out.report(self.supply_report());
        let buttons = [
            (Button::Reset, found.reset_button_down),
            (Button::Program, found.program_button_down),
        ];
        for (button, _) in buttons.into_iter().filter(|(_, down)| *down) {
            self.parser.button_down(now_ms, button, true);
        }
        // How long the power was off is unknown: earlier wrong attempts count as made just now.
        for _ in 0..self.record.recent {
            self.recent_ms.push(now_ms).ok();
        }
        self.resume_lockout(now_ms, out)?;
        if self.personality.bolt.learns_hand && !self.record.handed {
            return self.learn_hand(now_ms, out);
        }
        if self.personality.kind == Kind::SmartLock && self.position != BoltPosition::Thrown {
            self.bolt = BoltTask::Open {
                arrive_ms: None,
                relock_ms: self.relock_at(now_ms),
            };
        }
        Ok(())
    }

    fn take(
        &mut self,
        now_ms: u64,
        input: Input,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        let token = match input {
            Input::Door { open } => {
                self.door_open = open;
                None
            }
            Input::Supply(millivolts) => {
                let before = self.supply_level();
                self.supply_mv = millivolts;
                if self.supply_level() != before {
                    out.report(self.supply_report());
                }
                None
            }
            Input::Bolt(position) => return self.bolt_moved(now_ms, position, out),
            Input::KeyDown(key) => match self.state() {
                State::Fault => {
                    out.signal(Signal::Fault);
                    None
                }
                State::Lockout => return self.locked_out_key(now_ms, out),
                State::Handing | State::ResetArmed => None,
                _ => self.parser.key_down(&self.personality, now_ms, key),
            },
            Input::KeyUp(key) => self.parser.key_up(&self.personality, now_ms, key),
            Input::ButtonDown(button) => {
                self.parser.button_down(now_ms, button, false);
                None
            }
            Input::ButtonUp(button) => self.parser.button_up(now_ms, button),
        };
        token.map_or(Ok(()), |token| self.obey(now_ms, token, out))
    }

    fn expire(&mut self, due_ms: u64, out: &mut impl Outputs) -> Result<(), StorageFault> {
        if self.bolt.deadline() == Some(due_ms) {
            self.bolt_due(due_ms, out);
            return Ok(());
        }
        if let Some(lockout) = self.lockout.filter(|lockout| lockout.deadline() == due_ms) {
            return self.lockout_due(due_ms, lockout, out);
        }
        match self.mode {
            Mode::Changing(Progress { until_ms, .. })
            | Mode::Armed {
                tap_until_ms: Some(until_ms),
            } if until_ms == due_ms => {
                self.ready();
                out.report(Report::TimeOut);
                out.signal(Signal::TimeOut);
                Ok(())
            }
            _ => {
                let token = self.parser.expire(&self.personality, due_ms);
                token.map_or(Ok(()), |token| self.obey(due_ms, token, out))
            }
        }
    }

    /// What follows every decision: a failed commit is a fault, and coming to rest is reported.
    fn settle(
        &mut self,
        done: Result<(), StorageFault>,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        if done.is_err() {
            self.mode = Mode::Faulted;
            self.bolt = BoltTask::AtRest;
            out.bolt(BoltCommand::Rest);
            out.report(Report::Fault(Fault::Storage));
            out.signal(Signal::Fault);
        }
        let state = Some(self.state());
        if state == Some(State::Idle) && self.last_state != state {
            out.report(Report::Idle);
        }
        self.last_state = state;
        done
    }

    fn obey(
        &mut self,
        now_ms: u64,
        token: Token,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        match (self.mode, token) {
            (Mode::Faulted, _) => Ok(()),
            (
                _,
                Token::Held {
                    button,
                    from_power_on,
                },
            ) => {
                self.held(now_ms, button, from_power_on, out);
                Ok(())
            }
            (
                Mode::Armed { .. },
                Token::Released {
                    button, held_ms, ..
                },
            ) => self.released_armed(now_ms, button, held_ms, out),
            (_, Token::Tap(button)) => self.tapped(now_ms, button, out),
            (Mode::Armed { .. }, _) | (_, Token::Released { .. }) => Ok(()),
            (_, Token::Digit) => {
                out.signal(Signal::KeyClick);
                self.window_restarts(now_ms);
                Ok(())
            }
            (Mode::Ready, Token::Submit(entry)) => self.submitted(now_ms, entry, out),
            (Mode::Changing(progress), Token::Submit(entry)) => {
                self.step(now_ms, progress, entry, out)
            }
            (_, Token::TimeOut) => {
                out.report(Report::TimeOut);
                out.signal(Signal::TimeOut);
                Ok(())
            }
            (_, Token::Cancel) => {
                self.cancelled(out);
                Ok(())
            }
            (_, Token::Command(number)) => {
                let trigger = self.personality.changes[number].trigger.clone();
                self.begin_change(now_ms, 0, |other| *other == trigger, out);
                Ok(())
            }
            (_, Token::Chord(first, second)) => {
                let fits = |trigger: &Trigger| {
                    *trigger == Trigger::Chord(first, second)
                        || *trigger == Trigger::Chord(second, first)
                };
                if !self.begin_change(now_ms, 0, fits, out) {
                    self.cancelled(out);
                }
                Ok(())
            }
            (_, Token::LongPress(key)) => {
                self.begin_change(
                    now_ms,
                    0,
                    |trigger| *trigger == Trigger::LongPress(key),
                    out,
                );
                Ok(())
            }
        }
    }

    // Attempts

    fn submitted(
        &mut self,
        now_ms: u64,
        entry: Entry,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        if entry.is_empty() {
            if self.personality.kind == Kind::SmartLock && self.position != BoltPosition::Thrown {
                self.throw(now_ms, out)?;
            }
            return Ok(());
        }
        if self.supply_mv < self.personality.supply.opening_below_mv {
            out.report(self.supply_report());
            out.signal(Signal::LowBattery);
            return Ok(());
        }
        let Some(slot) = self.attempt(now_ms, Credential::User, &entry.code(), out)? else {
            return Ok(());
        };
        out.report(Report::Accepted { slot });
        out.signal(Signal::Accepted);
        if self.supply_level() != SupplyLevel::Fresh {
            out.signal(Signal::LowBattery);
        }
        self.withdraw(now_ms, out)
    }

    /// Charges an attempt, and only then looks at the code. The slot is the code's if it is right.
    fn attempt(
        &mut self,
        now_ms: u64,
        credential: Credential,
        code: &Code,
        out: &mut impl Outputs,
    ) -> Result<Option<u8>, StorageFault> {
        let lockout_ms = self.charge(now_ms)?;
        let failures = self.record.failures;
        out.report(Report::Attempt { failures });
        let found = self.find(credential, code);
        if found.is_some() {
            self.commit(Record {
                failures: 0,
                recent: 0,
                stage: 0,
                lockout_left_ms: 0,
                ..self.record
            })?;
            return Ok(found);
        }
        self.ready();
        out.report(Report::Refused { failures });
        match lockout_ms {
            Some(left_ms) => {
                self.run_lockout(now_ms, left_ms, out);
                out.signal(Signal::LockoutBegins);
            }
            None => out.signal(Signal::WrongCode),
        }
        Ok(None)
    }

    /// Stores an attempt as a wrong one, together with the lockout that it leads to if it is; returns how long that
    /// is. A power cut from here on finds it charged.
    fn charge(&mut self, now_ms: u64) -> Result<Option<u32>, StorageFault> {
        let rules = &self.personality.lockout;
        if rules.within_ms != 0 {
            self.recent_ms
                .retain(|at_ms| now_ms - at_ms < u64::from(rules.within_ms));
        }
        // It is full only where no stage waits for so many.
        self.recent_ms.push(now_ms).ok();
        let mut record = self.record;
        record.failures = record.failures.saturating_add(1);
        record.recent = self.recent_ms.len() as u8;
        let stage = rules
            .stages
            .get(usize::from(record.stage))
            .or(rules.stages.last());
        let lockout_ms = stage
            .filter(|stage| record.recent >= stage.wrong)
            .map(|stage| stage.duration_ms);
        if let Some(left_ms) = lockout_ms {
            record.recent = 0;
            record.stage = (record.stage + 1).min(rules.stages.len() as u8);
            record.lockout_left_ms = left_ms;
        }
        self.commit(record)?;
        Ok(lockout_ms)
    }

    /// The slot of a code, 0 for one that has none. Every stored code is compared in full and the choice is made by
    /// masks, so that time does not tell how many digits were right.
    fn find(&self, credential: Credential, code: &Code) -> Option<u8> {
        let mut found = Match::default();
        match credential {
            Credential::User => {
                let codes = &self.personality.codes;
                let factory_works = match codes.factory_rule {
                    FactoryRule::Permanent => true,
                    FactoryRule::RevokedOnFirstChange => !self.record.owned,
                    FactoryRule::None | FactoryRule::Works => false,
                };
                if factory_works {
                    codes
                        .factory
                        .iter()
                        .for_each(|factory| found.compare(0, factory, code));
                }
                for (slot, user) in (1..).zip(&self.record.users) {
                    found.compare(slot, user, code);
                }
            }
            Credential::Master => found.compare(0, &self.record.master, code),
        }
        // Blank slots equal a blank entry.
        found.slot().filter(|_| !code.is_all_zeros())
    }

    fn commit(&mut self, record: Record) -> Result<(), StorageFault> {
        self.storage.commit(&record)?;
        self.record = record;
        self.recent_ms.truncate(usize::from(record.recent));
        Ok(())
    }

    // Lockout

    fn resume_lockout(&mut self, now_ms: u64, out: &mut impl Outputs) -> Result<(), StorageFault> {
        let stored_ms = self.record.lockout_left_ms;
        if stored_ms == 0 {
            return Ok(());
        }
        let left_ms = match self.personality.lockout.power_cycle {
            LockoutPowerCycle::Resumes => stored_ms,
            LockoutPowerCycle::Restarts => self.lockout_duration_ms(),
            LockoutPowerCycle::Extends { by_ms } => stored_ms.saturating_add(by_ms),
            LockoutPowerCycle::Clears => 0,
        };
        self.commit(Record {
            lockout_left_ms: left_ms,
            ..self.record
        })?;
        if left_ms == 0 {
            out.report(Report::LockoutOver);
        } else {
            self.run_lockout(now_ms, left_ms, out);
            out.signal(Signal::LockoutBegins);
        }
        Ok(())
    }

    /// Starts a lockout that is already stored.
    fn run_lockout(&mut self, now_ms: u64, left_ms: u32, out: &mut impl Outputs) {
        self.lockout = Some(Lockout {
            until_ms: now_ms + u64::from(left_ms),
            checkpoint_ms: now_ms + u64::from(self.checkpoint_every_ms()),
        });
        out.report(Report::Lockout {
            stage: self.record.stage,
            left_ms,
        });
    }

    fn lockout_due(
        &mut self,
        due_ms: u64,
        lockout: Lockout,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        let left_ms = lockout.left_ms(due_ms);
        self.commit(Record {
            lockout_left_ms: left_ms,
            ..self.record
        })?;
        if left_ms == 0 {
            self.lockout = None;
            out.report(Report::LockoutOver);
        } else {
            self.run_lockout(due_ms, left_ms, out);
        }
        Ok(())
    }

    fn locked_out_key(&mut self, now_ms: u64, out: &mut impl Outputs) -> Result<(), StorageFault> {
        let keys = self.personality.lockout.keys;
        if keys == LockoutKeys::Restart {
            let left_ms = self.lockout_duration_ms();
            self.commit(Record {
                lockout_left_ms: left_ms,
                ..self.record
            })?;
            self.run_lockout(now_ms, left_ms, out);
        }
        if keys != LockoutKeys::Ignored {
            out.signal(Signal::LockoutKey);
        }
        Ok(())
    }

    /// How long the lockout is that the record speaks of, as a whole.
    fn lockout_duration_ms(&self) -> u32 {
        let stages = &self.personality.lockout.stages;
        let stage = usize::from(self.record.stage)
            .checked_sub(1)
            .and_then(|index| stages.get(index));
        // A reset may have erased the stage and kept the lockout.
        stage.map_or(self.record.lockout_left_ms, |stage| stage.duration_ms)
    }

    fn checkpoint_every_ms(&self) -> u32 {
        (self.lockout_duration_ms() / 10).clamp(1, CHECKPOINT_MS_MAX)
    }

    // Changes of codes

    /// Opens the first change whose trigger fits and that is permitted; refuses if one fits and none is permitted.
    /// Returns whether any fits.
    fn begin_change(
        &mut self,
        now_ms: u64,
        taps: u8,
        fits: impl Fn(&Trigger) -> bool,
        out: &mut impl Outputs,
    ) -> bool {
        if self.lockout.is_some() {
            return false;
        }
        let mut fitting = self
            .personality
            .changes
            .iter()
            .enumerate()
            .filter(|(_, change)| fits(&change.trigger))
            .peekable();
        if fitting.peek().is_none() {
            return false;
        }
        let Some((number, change)) = fitting.find(|(_, change)| self.permits(change)) else {
            self.refuse(Refusal::NotPermitted, out);
            return true;
        };
        let (target, window_ms) = (change.target, change.window_ms);
        if self.too_low_for_programming() {
            self.refuse(Refusal::Battery, out);
        } else if target == Target::Tapped && taps > self.personality.codes.user_slots {
            self.refuse(Refusal::Slot, out);
        } else {
            let until_ms = now_ms + u64::from(window_ms);
            self.mode = Mode::Changing(Progress {
                change: number,
                step: 0,
                taps,
                own_slot: 0,
                new: Code::BLANK,
                until_ms,
            });
            self.parser.expect(Context::Change);
            out.signal(Signal::ProgrammingOpen);
        }
        true
    }

    fn permits(&self, change: &Change) -> bool {
        let master = match change.master {
            MasterRule::Any => true,
            MasterRule::Unset => self.record.master.is_blank(),
            MasterRule::Set => !self.record.master.is_blank(),
        };
        master && self.guard_holds(change.guard)
    }

    /// An entry for the change that is open.
    fn step(
        &mut self,
        now_ms: u64,
        mut progress: Progress,
        entry: Entry,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        if entry.is_empty() {
            self.refuse(Refusal::Length, out);
            return Ok(());
        }
        let code = entry.code();
        let steps = &self.personality.changes[progress.change].steps;
        let last = progress.step + 1 == steps.len();
        let refusal = match steps[progress.step] {
            Step::Old => match self.attempt(now_ms, Credential::User, &code, out)? {
                Some(slot) => {
                    progress.own_slot = slot.max(1);
                    None
                }
                None => {
                    out.report(Report::ChangeRefused(Refusal::Code));
                    return Ok(());
                }
            },
            Step::Master => {
                if self
                    .attempt(now_ms, Credential::Master, &code, out)?
                    .is_none()
                {
                    out.report(Report::ChangeRefused(Refusal::Code));
                    return Ok(());
                }
                None
            }
            Step::New => {
                progress.new = code;
                if !self.personality.fits_length(&code) {
                    Some(Refusal::Length)
                } else {
                    code.is_all_zeros().then_some(Refusal::Zeros)
                }
            }
            Step::Again => (code != progress.new).then_some(Refusal::Mismatch),
        };
        if let Some(refusal) = refusal {
            self.refuse(refusal, out);
            return Ok(());
        }
        if last {
            return self.store(progress, out);
        }
        progress.step += 1;
        self.mode = Mode::Changing(progress);
        self.window_restarts(now_ms);
        out.signal(Signal::ProgrammingOpen);
        Ok(())
    }

    /// Puts the new code in its place, in one commit.
    fn store(&mut self, progress: Progress, out: &mut impl Outputs) -> Result<(), StorageFault> {
        let change = &self.personality.changes[progress.change];
        if !self.guard_holds(change.guard) {
            self.refuse(Refusal::NotPermitted, out);
            return Ok(());
        }
        if self.too_low_for_programming() {
            self.refuse(Refusal::Battery, out);
            return Ok(());
        }
        let mut record = Record {
            owned: true,
            ..self.record
        };
        let slot = match change.target {
            Target::Slot(slot) => slot,
            Target::Tapped => progress.taps,
            Target::Own => progress.own_slot,
            Target::Master => 0,
        };
        match usize::from(slot).checked_sub(1) {
            Some(index) => record.users[index] = progress.new,
            None => record.master = progress.new,
        }
        self.commit(record)?;
        self.ready();
        out.report(Report::ChangeAccepted);
        out.report(Report::Codes {
            users: record.user_count(),
        });
        out.signal(Signal::ChangeAccepted);
        Ok(())
    }

    fn refuse(&mut self, refusal: Refusal, out: &mut impl Outputs) {
        self.ready();
        out.report(Report::ChangeRefused(refusal));
        out.signal(if refusal == Refusal::Battery {
            Signal::LowBattery
        } else {
            Signal::ChangeRefused
        });
    }

    fn cancelled(&mut self, out: &mut impl Outputs) {
        match self.mode {
            Mode::Changing(_) => self.refuse(Refusal::Cancelled, out),
            _ => self.ready(),
        }
    }

    fn window_restarts(&mut self, now_ms: u64) {
        if let Mode::Changing(progress) = &mut self.mode {
            let change = &self.personality.changes[progress.change];
            if change.window_restarts {
                progress.until_ms = now_ms + u64::from(change.window_ms);
            }
        }
    }

    // Buttons and reset

    fn held(&mut self, now_ms: u64, button: Button, from_power_on: bool, out: &mut impl Outputs) {
        let resets = from_power_on
            || matches!(self.personality.reset.trigger, ResetTrigger::Hold { button: other, .. } if other == button);
        if !resets {
            self.begin_change(now_ms, 0, |trigger| matches!(trigger, Trigger::Hold { button: other, .. } if *other == button), out);
        } else if self.reset_permitted(out) {
            self.ready();
            self.mode = Mode::Armed { tap_until_ms: None };
            out.report(Report::Reset(ResetReport::Armed));
            out.signal(Signal::ResetArmed);
        }
    }

    fn released_armed(
        &mut self,
        now_ms: u64,
        button: Button,
        held_ms: u64,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        match self.personality.reset.trigger {
            ResetTrigger::PowerOnHold {
                button: other,
                tap_within_ms,
                ..
            } if other == button => {
                self.mode = Mode::Armed {
                    tap_until_ms: Some(now_ms + u64::from(tap_within_ms)),
                };
            }
            ResetTrigger::Hold {
                button: other,
                max_ms,
                ..
            } if other == button => {
                if max_ms.is_none_or(|max_ms| held_ms <= u64::from(max_ms)) {
                    return self.reset(now_ms, out);
                }
                self.refuse_reset(Signal::ChangeRefused, out);
            }
            _ => {}
        }
        Ok(())
    }

    fn tapped(
        &mut self,
        now_ms: u64,
        button: Button,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        let trigger = self.personality.reset.trigger;
        if let Mode::Armed { tap_until_ms } = self.mode {
            let resets = tap_until_ms.is_some()
                && matches!(trigger, ResetTrigger::PowerOnHold { button: other, .. } if other == button);
            return if resets {
                self.reset(now_ms, out)
            } else {
                Ok(())
            };
        }
        if trigger == (ResetTrigger::Tap { button }) {
            return self.reset(now_ms, out);
        }
        let taps = match self.mode {
            Mode::Changing(progress) if progress.step == 0 && !self.parser.is_entering() => {
                progress.taps.saturating_add(1)
            }
            _ => 1,
        };
        self.begin_change(
            now_ms,
            taps,
            |trigger| *trigger == Trigger::Tap(button),
            out,
        );
        Ok(())
    }

    fn reset(&mut self, now_ms: u64, out: &mut impl Outputs) -> Result<(), StorageFault> {
        if !self.reset_permitted(out) {
            return Ok(());
        }
        self.commit(self.record.after_reset(&self.personality))?;
        self.ready();
        out.report(Report::Reset(ResetReport::Done));
        out.report(Report::Codes {
            users: self.record.user_count(),
        });
        out.signal(Signal::ResetDone);
        if self.record.lockout_left_ms == 0 && self.lockout.take().is_some() {
            out.report(Report::LockoutOver);
        }
        if self.personality.bolt.learns_hand && !self.record.handed {
            self.learn_hand(now_ms, out)?;
        }
        Ok(())
    }

    /// Whether a reset may go on; refuses it if not.
    fn reset_permitted(&mut self, out: &mut impl Outputs) -> bool {
        let signal = if self.too_low_for_programming() {
            Signal::LowBattery
        } else if !self.guard_holds(self.personality.reset.guard) {
            Signal::ChangeRefused
        } else {
            return true;
        };
        self.refuse_reset(signal, out);
        false
    }

    fn refuse_reset(&mut self, signal: Signal, out: &mut impl Outputs) {
        self.ready();
        out.report(Report::Reset(ResetReport::Refused));
        out.signal(signal);
    }

    // Bolt

    fn withdraw(&mut self, now_ms: u64, out: &mut impl Outputs) -> Result<(), StorageFault> {
        let arrive_ms = Some(self.arrive_at(now_ms));
        self.bolt = BoltTask::Open {
            arrive_ms,
            relock_ms: self.relock_at(now_ms),
        };
        out.bolt(BoltCommand::Withdraw);
        self.arrived(now_ms, out)
    }

    fn throw(&mut self, now_ms: u64, out: &mut impl Outputs) -> Result<(), StorageFault> {
        self.bolt = BoltTask::Throwing {
            arrive_ms: self.arrive_at(now_ms),
        };
        out.bolt(BoltCommand::Throw);
        self.arrived(now_ms, out)
    }

    fn learn_hand(&mut self, now_ms: u64, out: &mut impl Outputs) -> Result<(), StorageFault> {
        self.bolt = BoltTask::LearningOut {
            arrive_ms: self.arrive_at(now_ms),
        };
        out.bolt(BoltCommand::Withdraw);
        self.arrived(now_ms, out)
    }

    fn bolt_moved(
        &mut self,
        now_ms: u64,
        position: BoltPosition,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        if position == self.position {
            return Ok(());
        }
        self.position = position;
        out.report(Report::Bolt(match position {
            BoltPosition::Thrown => BoltReport::Thrown,
            BoltPosition::Withdrawn => BoltReport::Withdrawn,
            BoltPosition::Between => BoltReport::Moving,
        }));
        self.arrived(now_ms, out)
    }

    /// What follows from where the bolt is, given what it was to do.
    fn arrived(&mut self, now_ms: u64, out: &mut impl Outputs) -> Result<(), StorageFault> {
        match (self.bolt, self.position) {
            (
                BoltTask::Open {
                    arrive_ms: Some(_),
                    relock_ms,
                },
                BoltPosition::Withdrawn,
            ) => {
                self.bolt = BoltTask::Open {
                    arrive_ms: None,
                    relock_ms,
                };
                // A solenoid holds only while it is energised.
                if self.personality.kind == Kind::SmartLock {
                    out.bolt(BoltCommand::Rest);
                }
            }
            // By hand.
            (
                BoltTask::Open {
                    arrive_ms: None, ..
                },
                BoltPosition::Thrown,
            ) if self.personality.kind == Kind::SmartLock => {
                self.bolt = BoltTask::AtRest;
            }
            (BoltTask::Throwing { .. }, BoltPosition::Thrown) => {
                self.bolt = BoltTask::AtRest;
                out.bolt(BoltCommand::Rest);
            }
            (BoltTask::LearningOut { .. }, BoltPosition::Withdrawn) => {
                self.bolt = BoltTask::LearningIn {
                    arrive_ms: self.arrive_at(now_ms),
                };
                out.bolt(BoltCommand::Throw);
            }
            (BoltTask::LearningIn { .. }, BoltPosition::Thrown) => {
                self.bolt = BoltTask::AtRest;
                out.bolt(BoltCommand::Rest);
                self.commit(Record {
                    handed: true,
                    ..self.record
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    fn bolt_due(&mut self, due_ms: u64, out: &mut impl Outputs) {
        if let BoltTask::Open {
            arrive_ms: None, ..
        } = self.bolt
        {
            match self.personality.kind {
                Kind::Safe => {
                    self.bolt = BoltTask::AtRest;
                    out.bolt(BoltCommand::Rest);
                }
                Kind::SmartLock => {
                    self.bolt = BoltTask::Throwing {
                        arrive_ms: self.arrive_at(due_ms),
                    };
                    out.bolt(BoltCommand::Throw);
                }
            }
            return;
        }
        self.bolt = BoltTask::AtRest;
        out.bolt(BoltCommand::Rest);
        out.report(Report::Bolt(BoltReport::Jammed));
        out.signal(Signal::BoltJammed);
    }

    fn arrive_at(&self, now_ms: u64) -> u64 {
        now_ms + u64::from(self.personality.bolt.travel_ms)
    }

    fn relock_at(&self, now_ms: u64) -> Option<u64> {
        let relock_ms = self.personality.bolt.relock_ms;
        (relock_ms != 0).then(|| now_ms + u64::from(relock_ms))
    }

    // What is permitted

    fn ready(&mut self) {
        self.mode = Mode::Ready;
        self.parser.expect(Context::Opening);
    }

    fn guard_holds(&self, guard: Guard) -> bool {
        (!guard.door_open || self.door_open)
            && (!guard.bolt_withdrawn || self.position == BoltPosition::Withdrawn)
    }

    fn too_low_for_programming(&self) -> bool {
        self.supply_mv < self.personality.supply.programming_below_mv
    }

    fn supply_level(&self) -> SupplyLevel {
        let rules = &self.personality.supply;
        if self.supply_mv < rules.opening_below_mv {
            SupplyLevel::Critical
        } else if self.supply_mv < rules.warn_below_mv {
            SupplyLevel::Low
        } else {
            SupplyLevel::Fresh
        }
    }

    fn supply_report(&self) -> Report {
        Report::Supply {
            level: self.supply_level(),
            millivolts: self.supply_mv,
        }
    }
}

impl Lockout {
    fn deadline(&self) -> u64 {
        self.until_ms.min(self.checkpoint_ms)
    }

    fn left_ms(&self, now_ms: u64) -> u32 {
        (self.until_ms - now_ms) as u32
    }
}

impl BoltTask {
    fn deadline(&self) -> Option<u64> {
        match *self {
            BoltTask::AtRest => None,
            BoltTask::Open {
                arrive_ms,
                relock_ms,
            } => arrive_ms.or(relock_ms),
            BoltTask::Throwing { arrive_ms }
            | BoltTask::LearningOut { arrive_ms }
            | BoltTask::LearningIn { arrive_ms } => Some(arrive_ms),
        }
    }
}

/// Which codes an attempt is compared with.
#[derive(Clone, Copy)]
enum Credential {
    User,
    Master,
}

/// The outcome of comparing an entry with many codes, kept without a branch.
#[derive(Default)]
struct Match {
    slot: u8,
    /// 0xFF once a code was equal.
    any: u8,
}

impl Match {
    fn compare(&mut self, slot: u8, stored: &Code, entered: &Code) {
        // Of a difference of 0 to 255 only 0 wraps, and fills the upper byte.
        let equal = (u16::from(stored.differs_from(entered)).wrapping_sub(1) >> 8) as u8;
        self.slot = (self.slot & !equal) | (slot & equal);
        self.any |= equal;
    }

    fn slot(&self) -> Option<u8> {
        (self.any != 0).then_some(self.slot)
    }
}
