//! The state machine on the host, with what a board has around it: a bolt that takes its time, a battery,
//! and a storage that a cut may come into. It does what a script says and shows every call to a judge.

use std::cell::RefCell;
use std::rc::Rc;

use code_entry::personality::Kind;
use code_entry::{
    BoltCommand, BoltPosition, Button, Input, Key, Lock, Outputs, Personality, PowerOn, Record,
    Report, Signal, Storage, StorageFault,
};
use fuzz_script::{Action, Contact, Cut, Door, Loss, Press, Script, Supply, Torn};

use crate::products;

/// How long the bolt needs for its way, in milliseconds; every product allows more.
const TRAVEL_MS: u64 = 250;
/// A battery that no product finds low, in millivolts.
const FRESH_MV: u16 = 9_000;
/// How many writes to flash the storage needs for a record, and which of them makes it count.
const RECORD_WRITES: u32 = 38;
const SEALING_WRITE: u32 = 37;

/// The storage, which outlives the lock that writes to it.
#[derive(Clone, Default, Debug)]
pub struct Flash(Rc<RefCell<Cells>>);

/// The newest record, and the write in which the supply is lost.
#[derive(Default, Debug)]
struct Cells {
    stored: Option<Record>,
    /// So many writes from now, counted from 1.
    cut: Option<(u32, Torn)>,
    /// The supply was lost in a write.
    lost: bool,
}

impl Storage for Flash {
    fn commit(&mut self, record: &Record) -> Result<(), StorageFault> {
        self.0.borrow_mut().commit(record)
    }
}

impl Cells {
    fn commit(&mut self, record: &Record) -> Result<(), StorageFault> {
        if let Some((write, torn)) = self.cut {
            if write <= RECORD_WRITES {
                let sealed = match write.cmp(&SEALING_WRITE) {
                    std::cmp::Ordering::Less => false,
                    std::cmp::Ordering::Greater => true,
                    // A seal that is half written reads as either.
                    std::cmp::Ordering::Equal => {
                        matches!(torn, Torn::DroppedAfter | Torn::BitStray | Torn::Metastable)
                    }
                };
                if sealed {
                    self.stored = Some(*record);
                }
                self.cut = None;
                self.lost = true;
                return Err(StorageFault);
            }
            self.cut = Some((write - RECORD_WRITES, torn));
        }
        self.stored = Some(*record);
        Ok(())
    }
}

/// What the lock did in one call.
#[derive(Default, Debug)]
pub struct Seen {
    /// What it told its console, in order.
    pub reports: Vec<Report>,
    /// What it told the bolt's drive last.
    pub bolt: Option<BoltCommand>,
    /// Whether it told the drive to withdraw.
    pub withdraws: bool,
}

impl Outputs for Seen {
    fn signal(&mut self, _: Signal) {}

    fn bolt(&mut self, command: BoltCommand) {
        self.bolt = Some(command);
        self.withdraws |= command == BoltCommand::Withdraw;
    }

    fn report(&mut self, report: Report) {
        self.reports.push(report);
    }
}

/// Why the lock was called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Power came.
    PowerOn,
    /// Something happened at it.
    Input(Input),
    /// Time has passed.
    Time,
}

/// One call of the lock, and what came of it.
pub struct Call<'a> {
    /// Why.
    pub cause: Cause,
    /// When, in milliseconds since the beginning of the script.
    pub at_ms: u64,
    /// What was stored before.
    pub before: &'a Record,
    /// What it did.
    pub seen: &'a Seen,
    /// The supply was lost in it: nothing of what was seen after the lost write counts.
    pub lost: bool,
    /// The lock and what is around it, afterwards.
    pub host: &'a Host,
}

/// Judges a lock by its calls.
pub trait Judge {
    /// The lock was called.
    fn called(&mut self, call: &Call<'_>);

    /// An action begins.
    fn begins(&mut self, action: &Action, host: &Host) {
        let _ = (action, host);
    }

    /// An action is over.
    fn ends(&mut self, action: &Action, host: &Host) {
        let _ = (action, host);
    }

    /// The storage as a power-on finds it. Only a planted defect changes it.
    fn wakes(&mut self, record: Option<Record>) -> Option<Record> {
        record
    }
}

/// The lock and what is around it.
pub struct Host {
    personality: &'static Personality,
    hand: Hand,
    lock: Lock<Flash>,
    flash: Flash,
    /// On the lock's clock, which starts with its power.
    now_ms: u64,
    /// When its power came.
    since_ms: u64,
    /// When its power went the last time.
    lost_ms: u64,
    door_open: bool,
    supply_mv: u16,
    position: BoltPosition,
    /// Where the bolt is going, and when it is there.
    moving: Option<(u64, BoltPosition)>,
    seen: Seen,
    dead: bool,
    /// The button that was down when its power came.
    held: Option<Contact>,
}

/// How long whoever acts takes beside what a script says, in milliseconds: a bench's finger is no faster than a
/// person's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hand {
    /// After something was pressed.
    pub press_ms: u32,
    /// After the door was moved.
    pub door_ms: u32,
    /// After the supply was set.
    pub supply_ms: u32,
}

/// Does what a script says.
pub fn run(script: &Script, judge: &mut impl Judge) {
    run_as(products::of(script.product), script, Hand::default(), judge);
}

/// Does what a script says to a product of one's own.
pub fn run_as(
    personality: &'static Personality,
    script: &Script,
    hand: Hand,
    judge: &mut impl Judge,
) {
    let mut host = Host::new(personality, hand, judge);
    for action in &script.actions {
        host.act(action, judge);
    }
}

impl Host {
    fn new(personality: &'static Personality, hand: Hand, judge: &mut impl Judge) -> Host {
        let found = PowerOn {
            since_ms: 0,
            door_open: true,
            bolt: BoltPosition::Thrown,
            supply_mv: FRESH_MV,
            reset_button_down: false,
            program_button_down: false,
        };
        let mut seen = Seen::default();
        let record = judge.wakes(None);
        let flash = Flash::default();
        let lock = Lock::power_on(
            personality.clone(),
            flash.clone(),
            record,
            0,
            found,
            &mut seen,
        );
        let mut host = Host {
            personality,
            hand,
            lock,
            flash,
            now_ms: 0,
            since_ms: 0,
            lost_ms: 0,
            door_open: true,
            supply_mv: FRESH_MV,
            position: BoltPosition::Thrown,
            moving: None,
            seen,
            dead: false,
            held: None,
        };
        let before = *host.lock.record();
        host.settle(Cause::PowerOn, &before, judge);
        host
    }

    /// The product.
    pub fn personality(&self) -> &'static Personality {
        self.personality
    }

    /// The lock.
    pub fn lock(&self) -> &Lock<Flash> {
        &self.lock
    }

    /// The lock's time, in milliseconds since its power came.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The time since the beginning of the script, in milliseconds.
    pub fn at_ms(&self) -> u64 {
        self.since_ms + self.now_ms
    }

    /// When the supply was lost the last time, since the beginning of the script, in milliseconds.
    pub fn lost_ms(&self) -> u64 {
        self.lost_ms
    }

    /// Whether the door is open.
    pub fn door_open(&self) -> bool {
        self.door_open
    }

    /// The battery's voltage in millivolts.
    pub fn supply_mv(&self) -> u16 {
        self.supply_mv
    }

    /// Where the bolt is.
    pub fn position(&self) -> BoltPosition {
        self.position
    }

    /// The button that was down when its power came, if one was.
    pub fn held_at_power_on(&self) -> Option<Contact> {
        self.held
    }

    fn act(&mut self, action: &Action, judge: &mut impl Judge) {
        judge.begins(action, self);
        if let Loss::InWrite(write, torn) = action.cut {
            let cut = Some((Loss::WRITES[usize::from(write)], torn));
            self.flash.0.borrow_mut().cut = cut;
        }
        self.do_parts(action, judge);
        match action.cut {
            _ if self.dead => {
                self.power_cycle(Loss::WRITE_OFF_MS, None, judge);
                self.rests(self.hand.supply_ms, judge);
            }
            Cut::None | Cut::InWrite(..) => {}
            Cut::Cycle(how_long) => {
                self.power_cycle(Loss::OFF_MS[usize::from(how_long)], None, judge);
                self.rests(self.hand.supply_ms, judge);
            }
            Cut::Holding(button) => {
                self.power_cycle(Loss::OFF_MS[0], Some(button), judge);
                if !self.dead {
                    self.pass(u64::from(Loss::HELD_MS), judge);
                    self.contact(button, false, judge);
                    self.rests(self.hand.press_ms, judge);
                }
            }
        }
        if matches!(action.cut, Cut::InWrite(..)) {
            self.flash.0.borrow_mut().cut = None;
        }
        judge.ends(action, self);
    }

    /// Door, supply, press and pause, as far as the supply lasts.
    fn do_parts(&mut self, action: &Action, judge: &mut impl Judge) {
        if let Some(open) = match action.door {
            Door::Stays => None,
            Door::Open => Some(true),
            Door::Closed => Some(false),
        } && open != self.door_open
        {
            self.door_open = open;
            self.handle(Input::Door { open }, judge);
        }
        if action.door != Door::Stays {
            self.rests(self.hand.door_ms, judge);
        }
        if let Some(millivolts) = level(self.personality, action.supply) {
            self.supply_mv = millivolts;
            self.handle(Input::Supply(millivolts), judge);
            self.rests(self.hand.supply_ms, judge);
        }
        let lasts_ms = u64::from(action.press.lasts_ms());
        match action.press {
            Press::Nothing => {}
            Press::Tap(contact) | Press::Hold(contact, _) => {
                self.contact(contact, true, judge);
                self.pass(lasts_ms, judge);
                self.contact(contact, false, judge);
            }
            Press::Chord(first, second) => {
                let [first, second] = [first, second].map(Contact::Key);
                self.contact(first, true, judge);
                self.pass(u64::from(Press::CHORD_MS), judge);
                self.contact(second, true, judge);
                self.pass(lasts_ms, judge);
                self.contact(first, false, judge);
                self.contact(second, false, judge);
            }
        }
        if action.press != Press::Nothing {
            self.rests(self.hand.press_ms, judge);
        }
        self.pass(u64::from(action.pause.ms()), judge);
    }

    /// Whoever acts takes a moment.
    fn rests(&mut self, span_ms: u32, judge: &mut impl Judge) {
        if span_ms > 0 {
            self.pass(u64::from(span_ms), judge);
        }
    }

    fn contact(&mut self, contact: Contact, down: bool, judge: &mut impl Judge) {
        let input = match (contact, down) {
            (Contact::Key(key), true) => Input::KeyDown(key_of(key)),
            (Contact::Key(key), false) => Input::KeyUp(key_of(key)),
            (Contact::Reset, true) => Input::ButtonDown(Button::Reset),
            (Contact::Reset, false) => Input::ButtonUp(Button::Reset),
            (Contact::Program, true) => Input::ButtonDown(Button::Program),
            (Contact::Program, false) => Input::ButtonUp(Button::Program),
        };
        self.handle(input, judge);
    }

    fn handle(&mut self, input: Input, judge: &mut impl Judge) {
        if self.dead {
            return;
        }
        let before = *self.lock.record();
        self.clear();
        // A fault is in the lock's state, and a lost write in its storage.
        self.lock.handle(self.now_ms, input, &mut self.seen).ok();
        self.settle(Cause::Input(input), &before, judge);
    }

    /// Lets time pass; the lock is called when it has something to do, and the bolt arrives meanwhile.
    fn pass(&mut self, span_ms: u64, judge: &mut impl Judge) {
        let end_ms = self.now_ms + span_ms;
        while !self.dead {
            let due_ms = self.lock.next_deadline().unwrap_or(u64::MAX);
            let arrives_ms = self.moving.map_or(u64::MAX, |(at_ms, _)| at_ms);
            let next_ms = due_ms.min(arrives_ms).min(end_ms);
            assert!(next_ms >= self.now_ms, "what was due is done");
            self.now_ms = next_ms;
            if due_ms == next_ms {
                let before = *self.lock.record();
                self.clear();
                self.lock.tick(next_ms, &mut self.seen).ok();
                let still = self.lock.next_deadline();
                assert!(
                    still.is_none_or(|due_ms| due_ms > next_ms),
                    "it does what is due"
                );
                self.settle(Cause::Time, &before, judge);
            } else if let Some((_, position)) = self.moving.take_if(|(at_ms, _)| *at_ms == next_ms)
            {
                self.position = position;
                self.handle(Input::Bolt(position), judge);
            } else {
                break;
            }
        }
    }

    fn power_cycle(&mut self, off_ms: u32, held: Option<Contact>, judge: &mut impl Judge) {
        self.lost_ms = self.at_ms();
        self.since_ms = self.lost_ms + u64::from(off_ms);
        self.now_ms = 0;
        let stored = judge.wakes(self.flash.0.borrow().stored);
        *self.flash.0.borrow_mut() = Cells {
            stored,
            ..Cells::default()
        };
        // A spring brings a safe's bolt back; a motor leaves it where it was.
        self.moving = None;
        if self.personality.kind == Kind::Safe {
            self.position = BoltPosition::Thrown;
        }
        let found = PowerOn {
            since_ms: 0,
            door_open: self.door_open,
            bolt: self.position,
            supply_mv: self.supply_mv,
            reset_button_down: held == Some(Contact::Reset),
            program_button_down: held == Some(Contact::Program),
        };
        let before = *self.lock.record();
        self.clear();
        self.dead = false;
        self.held = held;
        let (personality, flash) = (self.personality.clone(), self.flash.clone());
        self.lock = Lock::power_on(personality, flash, stored, 0, found, &mut self.seen);
        self.settle(Cause::PowerOn, &before, judge);
    }

    /// What follows from a call: the drive moves the bolt, a lost write ends everything.
    fn settle(&mut self, cause: Cause, before: &Record, judge: &mut impl Judge) {
        let lost = std::mem::take(&mut self.flash.0.borrow_mut().lost);
        if lost {
            self.dead = true;
        } else if let Some(command) = self.seen.bolt {
            self.drive(command);
        }
        judge.called(&Call {
            cause,
            at_ms: self.at_ms(),
            before,
            seen: &self.seen,
            lost,
            host: self,
        });
    }

    fn drive(&mut self, command: BoltCommand) {
        let towards = match (command, self.personality.kind) {
            (BoltCommand::Withdraw, _) => BoltPosition::Withdrawn,
            (BoltCommand::Throw, _) | (BoltCommand::Rest, Kind::Safe) => BoltPosition::Thrown,
            (BoltCommand::Rest, Kind::SmartLock) => {
                self.moving = None;
                return;
            }
        };
        self.moving = (towards != self.position).then_some((self.now_ms + TRAVEL_MS, towards));
    }

    fn clear(&mut self) {
        self.seen.reports.clear();
        self.seen.bolt = None;
        self.seen.withdraws = false;
    }
}

/// The voltage that a word stands for, where the product knows it.
pub fn level(personality: &Personality, supply: Supply) -> Option<u16> {
    let rules = &personality.supply;
    let below = |level_mv: u16| level_mv.checked_sub(100);
    match supply {
        Supply::Stays => None,
        Supply::Fresh => Some(FRESH_MV),
        Supply::Low => below(rules.warn_below_mv),
        Supply::NoChanges => below(rules.programming_below_mv),
        Supply::Critical => below(rules.opening_below_mv),
    }
}

fn key_of(place: u8) -> Key {
    let label = Contact::KEYS[usize::from(place)];
    Key::from_label(label).expect("the labels are those of the keypad")
}
