//! What a lock says in the course of a script, in the words that its model, its state machine, its image and a
//! board have in common: so that they can be held against each other.

use std::fmt;

use code_entry::{BoltPosition, Personality};
use fuzz_script::{Action, Script};
use specification::{Lock, Product, Says};

use crate::against_specification::{held_at_power_on, kept, place, product, tell};
use crate::host::{self, Call, Cause, Hand, Host, Judge};

/// Something that a lock made known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Told {
    /// A code opens.
    Opened,
    /// A code is refused.
    Refused,
    /// A lockout begins, or goes on after a power-on.
    Lockout,
    /// It is over.
    LockoutOver,
    /// Codes are changed.
    Changed,
    /// A change is refused.
    NotChanged,
    /// What was begun is forgotten.
    Forgotten,
    /// A reset is armed.
    ResetArmed,
    /// A reset is done.
    Reset,
    /// A reset is refused.
    NotReset,
    /// The bolt was withdrawn, and nothing had been said that would do it.
    BoltMoved,
    /// The lock cannot work.
    Fault,
    /// The firmware locked up, or was reset by its watchdog.
    Crashed,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Told::Opened => "opened",
            Told::Refused => "refused",
            Told::Lockout => "lockout",
            Told::LockoutOver => "lockout over",
            Told::Changed => "changed",
            Told::NotChanged => "not changed",
            Told::Forgotten => "forgotten",
            Told::ResetArmed => "reset armed",
            Told::Reset => "reset",
            Told::NotReset => "not reset",
            Told::BoltMoved => "bolt moved",
            Told::Fault => "fault",
            Told::Crashed => "crashed",
        })
    }
}

/// Something that was made known in the course of an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Said {
    /// The action, from 0.
    pub action: usize,
    /// What.
    pub told: Told,
}

/// For so long after it a word explains that the bolt moves: what learns the door's hand takes its time.
const EXPLAINS_MS: u64 = 15_000;

/// Listens to a lock.
#[derive(Default, Debug)]
pub struct Listener {
    said: Vec<Said>,
    action: usize,
    locked_out: bool,
    explained_until_ms: u64,
}

impl Listener {
    /// From now on what is heard belongs to this action.
    pub fn begins(&mut self, action: usize) {
        self.action = action;
    }

    /// A line of the console.
    pub fn line(&mut self, text: &str, at_ms: u64) {
        let first = text.split(' ').next().unwrap_or("");
        let told = match (first, text) {
            ("boot", _) => return self.locked_out = false,
            ("idle", _) => return self.locked_out = false,
            ("accepted", _) => Told::Opened,
            ("refused", _) => Told::Refused,
            (_, "lockout over") => {
                self.locked_out = false;
                Told::LockoutOver
            }
            ("lockout", _) => return self.lockout(true, at_ms),
            (_, "change accepted") => Told::Changed,
            ("change", _) => Told::NotChanged,
            ("timeout", _) => Told::Forgotten,
            (_, "reset armed") => Told::ResetArmed,
            (_, "reset done") => Told::Reset,
            ("reset", _) => Told::NotReset,
            ("fault", _) => Told::Fault,
            _ => return,
        };
        self.tell(told, at_ms);
    }

    /// Whether a lockout is running.
    pub fn lockout(&mut self, runs: bool, at_ms: u64) {
        if runs && !self.locked_out {
            self.tell(Told::Lockout, at_ms);
        }
        self.locked_out = runs;
    }

    /// The bolt was withdrawn.
    pub fn withdrawn(&mut self, at_ms: u64) {
        if at_ms > self.explained_until_ms {
            self.tell(Told::BoltMoved, at_ms);
        }
    }

    /// The firmware did not survive.
    pub fn crashed(&mut self) {
        self.tell(Told::Crashed, 0);
    }

    fn tell(&mut self, told: Told, at_ms: u64) {
        if matches!(told, Told::Opened | Told::Changed | Told::Reset) {
            self.explained_until_ms = at_ms + EXPLAINS_MS;
        }
        let action = self.action;
        self.said.push(Said { action, told });
    }

    /// All that was heard.
    pub fn into_said(self) -> Vec<Said> {
        self.said
    }
}

/// What the state machine says on the host.
pub fn host(personality: &'static Personality, script: &Script, hand: Hand) -> Vec<Said> {
    let mut heard = Heard::default();
    host::run_as(personality, script, hand, &mut heard);
    heard.listener.into_said()
}

/// What the specification says. Where the bolt is, it is told by the state machine's board; and after a loss of
/// supply in a write, what that one kept.
pub fn model(personality: &'static Personality, script: &Script, hand: Hand) -> Vec<Said> {
    let product = product(personality);
    let mut model = Model {
        product: &product,
        lock: None,
        lost: false,
        listener: Listener::default(),
        actions: 0,
    };
    host::run_as(personality, script, hand, &mut model);
    model.listener.into_said()
}

#[derive(Default)]
struct Heard {
    listener: Listener,
    actions: usize,
    withdrawn: bool,
}

impl Judge for Heard {
    fn begins(&mut self, _: &Action, _: &Host) {
        self.listener.begins(self.actions);
        self.actions += 1;
    }

    fn called(&mut self, call: &Call<'_>) {
        if call.cause == Cause::PowerOn {
            self.listener.line("boot", call.at_ms);
        }
        // Of a call in which the supply is lost nothing reaches the console.
        for report in call.seen.reports.iter().filter(|_| !call.lost) {
            self.listener.line(&report.to_string(), call.at_ms);
        }
        let withdrawn = call.host.position() == BoltPosition::Withdrawn;
        if withdrawn && !std::mem::replace(&mut self.withdrawn, withdrawn) {
            self.listener.withdrawn(call.at_ms);
        }
        self.withdrawn = withdrawn;
    }
}

struct Model<'p> {
    product: &'p Product,
    lock: Option<Lock<'p>>,
    lost: bool,
    listener: Listener,
    actions: usize,
}

impl Judge for Model<'_> {
    fn begins(&mut self, _: &Action, _: &Host) {
        self.listener.begins(self.actions);
        self.actions += 1;
    }

    fn called(&mut self, call: &Call<'_>) {
        let (host, at_ms) = (call.host, call.at_ms);
        let Some(lock) = &mut self.lock else {
            self.lock = Some(Lock::new(self.product, u32::from(host.supply_mv())));
            return;
        };
        match call.cause {
            Cause::PowerOn => {
                if !self.lost {
                    lock.pass(host.lost_ms());
                }
                let left_ms = u64::from(host.lock().status(host.now_ms()).lockout_ms);
                let found = std::mem::take(&mut self.lost)
                    .then(|| kept(host.lock().record(), at_ms, left_ms));
                lock.take_says();
                lock.power_on(at_ms, found, place(host.position()), held_at_power_on(host));
                self.listener.line("boot", at_ms);
            }
            Cause::Input(input) => {
                lock.pass(at_ms);
                tell(lock, input);
            }
            Cause::Time => lock.pass(at_ms),
        }
        let says = lock.take_says();
        if call.lost {
            self.lost = true;
            return;
        }
        for says in says {
            let told = match says {
                Says::Opens(_) => Told::Opened,
                Says::Wrong => Told::Refused,
                Says::LockoutOver => Told::LockoutOver,
                Says::Changed => Told::Changed,
                Says::NotChanged => Told::NotChanged,
                Says::Forgotten => Told::Forgotten,
                Says::ResetArmed => Told::ResetArmed,
                Says::ResetDone => Told::Reset,
                Says::NotReset => Told::NotReset,
            };
            self.listener.tell(told, at_ms);
            // What begins a lockout is followed by it, whatever else it brings about.
            if told == Told::Refused {
                self.listener.lockout(lock.lockout_left_ms() > 0, at_ms);
            }
        }
        self.listener.lockout(lock.lockout_left_ms() > 0, at_ms);
    }
}

/// Where two first differ: the place in what they said.
pub fn first_difference(one: &[Said], other: &[Said]) -> Option<usize> {
    let told = |said: &[Said], at: usize| said.get(at).map(|said| said.told);
    (0..one.len().max(other.len())).find(|at| told(one, *at) != told(other, *at))
}
