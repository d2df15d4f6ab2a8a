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
//!
//! This file has the face of the lock and the way from inputs and deadlines to decisions; the decisions are in
//! `attempt`, `lockout`, `change`, `reset` and `bolt`.

mod attempt;
mod bolt;
mod change;
mod lockout;
mod reset;

use core::fmt;

use heapless::Vec;

pub(crate) use self::attempt::Credential;
use self::bolt::BoltTask;
use self::change::Progress;
use self::lockout::Lockout;
#[cfg(feature = "museum-count-written-late")]
use crate::museum::LateWrite;
use crate::parser::{Button, Context, Key, Parser, Token};
use crate::personality::{Guard, Kind, MAX_WRONG, Personality, Trigger};
use crate::record::{Record, Storage, StorageFault};
use crate::report::{Fault, Report, SupplyLevel};
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
    /// When power came, on the clock that `now_ms` is read from: a start takes its time, and a
    /// button that is down has been since then.
    pub since_ms: u64,
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
#[derive(Clone)]
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
    #[cfg(feature = "museum-count-written-late")]
    late: LateWrite,
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
            #[cfg(feature = "museum-count-written-late")]
            late: LateWrite::default(),
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
        #[cfg(feature = "museum-count-written-late")]
        let mode = mode.into_iter().chain(self.late.deadline()).min();
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

    /// Where it stores its record.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The same lock over another storage.
    pub fn with_storage(self, storage: S) -> Lock<S> {
        Lock { storage, ..self }
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
            self.parser.button_down(found.since_ms, button, true);
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
        #[cfg(feature = "museum-count-written-late")]
        if self.late.is_due(due_ms) {
            return self.commit(self.record);
        }
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
                self.timed_out(out);
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
            (Mode::Faulted, _) => {}
            (Mode::Armed { tap_until_ms }, _) => {
                return self.obey_armed(now_ms, tap_until_ms, token, out);
            }
            (
                _,
                Token::Held {
                    button,
                    from_power_on,
                },
            ) => {
                self.held(now_ms, button, from_power_on, out);
            }
            (_, Token::Released { .. }) => {}
            (_, Token::Tap(button)) => return self.tapped(now_ms, button, out),
            (_, Token::Digit) => {
                #[cfg(feature = "museum-last-digits")]
                if let Some(last) = self.last_digits_that_open() {
                    self.ready();
                    return self.submitted(now_ms, last, out);
                }
                out.signal(Signal::KeyClick);
                self.window_restarts(now_ms);
            }
            (Mode::Ready, Token::Submit(entry)) => return self.submitted(now_ms, entry, out),
            (Mode::Changing(progress), Token::Submit(entry)) => {
                return self.step(now_ms, progress, entry, out);
            }
            (_, Token::TimeOut) => self.timed_out(out),
            (_, Token::Cancel) => self.cancelled(out),
            (_, Token::Command(number)) => {
                let trigger = self.personality.changes[number].trigger.clone();
                self.begin_change(now_ms, 0, |other| *other == trigger, out);
            }
            (_, Token::Chord(first, second)) => {
                let either = [Trigger::Chord(first, second), Trigger::Chord(second, first)];
                if !self.begin_change(now_ms, 0, |trigger| either.contains(trigger), out) {
                    self.cancelled(out);
                }
            }
            (_, Token::LongPress(key)) => {
                self.begin_change(
                    now_ms,
                    0,
                    |trigger| *trigger == Trigger::LongPress(key),
                    out,
                );
            }
        }
        Ok(())
    }

    /// Stores the next record. Whatever follows from it comes after.
    fn commit(&mut self, record: Record) -> Result<(), StorageFault> {
        self.storage.commit(&record)?;
        #[cfg(feature = "museum-count-written-late")]
        {
            self.late = LateWrite::default();
        }
        self.record = record;
        self.recent_ms.truncate(usize::from(record.recent));
        Ok(())
    }

    #[cfg(feature = "museum-count-written-late")]
    fn commit_later(&mut self, now_ms: u64, record: Record) {
        self.record = record;
        self.recent_ms.truncate(usize::from(record.recent));
        self.late = LateWrite::after_beeps(now_ms);
    }

    fn timed_out(&mut self, out: &mut impl Outputs) {
        self.ready();
        out.report(Report::TimeOut);
        out.signal(Signal::TimeOut);
    }

    fn ready(&mut self) {
        self.mode = Mode::Ready;
        self.parser.expect(Context::Opening);
    }

    fn guard_holds(&self, guard: Guard) -> bool {
        // The button is inside: nobody reaches it while the door is closed.
        let unseen = cfg!(feature = "museum-reset-behind-door");
        (!guard.door_open || self.door_open || unseen)
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
