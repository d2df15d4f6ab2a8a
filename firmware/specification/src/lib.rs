//! What a lock does, as its manual says it: a plain model to compare the real one with.
//!
//! It shares no code with the lock's firmware and is written for readers, not for a chip: codes are text, what
//! is typed is text, a clock is a number, and whatever is not in a [`Product`] is not there. It does no I/O,
//! moves no bolt and shows no signal; it says what a person would have to be told ([`Says`]), and keeps what
//! has to be kept ([`Kept`]).
//!
//! Where manuals are silent it does the safe thing: a cut gives no attempt back and ends no lockout.

mod product;

pub use product::{
    Asks, Button, Change, Cycle, During, Place, Product, Reset, Stage, Starts, Stays, Stores,
};

/// Something that a person at the lock would be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Says {
    /// The code opens; of which slot, 0 for a factory code.
    Opens(usize),
    /// The code is wrong.
    Wrong,
    /// The lockout is over.
    LockoutOver,
    /// The change is done.
    Changed,
    /// The change is not done.
    NotChanged,
    /// What was begun is forgotten.
    Forgotten,
    /// The reset's button was held for long enough.
    ResetArmed,
    /// The reset is done.
    ResetDone,
    /// The reset is not done.
    NotReset,
}

/// What outlives a loss of supply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The user codes by their slots; empty ones are free.
    pub users: Vec<String>,
    /// The master code; empty, if there is none.
    pub master: String,
    /// Wrong codes since the last right one.
    pub failures: u32,
    /// When those were entered that count towards the next lockout.
    pub counted_ms: Vec<u64>,
    /// How many lockouts there were since the last right code.
    pub lockouts: usize,
    /// When the lockout is over, if one is running.
    pub locked_until_ms: Option<u64>,
    /// Whether a code has been changed since the factory.
    pub owned: bool,
    /// Whether the bolt knows the hand of its door.
    pub handed: bool,
}

/// A change of codes under way.
#[derive(Clone)]
struct Changing {
    change: usize,
    asked: usize,
    taps: usize,
    own_slot: usize,
    new: String,
    until_ms: u64,
}

#[derive(Clone)]
enum Doing {
    Nothing,
    Changing(Changing),
    /// A reset's button was held for long enough; until when it may be tapped, once it was let go.
    Armed(Option<u64>),
}

#[derive(Clone, Copy, PartialEq)]
enum Learning {
    Not,
    Out { until_ms: u64 },
    In { until_ms: u64 },
}

#[derive(Clone, Copy)]
struct Held {
    since_ms: u64,
    from_power_on: bool,
    told: bool,
}

/// The lock.
#[derive(Clone)]
pub struct Lock<'p> {
    product: &'p Product,
    now_ms: u64,
    kept: Kept,
    doing: Doing,
    typed: String,
    last_key_ms: u64,
    keys_down: String,
    /// A key that may become one of two pressed together.
    first_of_two: Option<(char, u64)>,
    buttons: [Option<Held>; 2],
    learning: Learning,
    door_open: bool,
    bolt: Place,
    millivolts: u32,
    says: Vec<Says>,
}

/// More than any code has; what is typed beyond it makes no difference.
const TOO_LONG: usize = 11;

impl<'p> Lock<'p> {
    /// A lock as it leaves the factory, with its power just come, its door open and its bolt thrown.
    pub fn new(product: &'p Product, millivolts: u32) -> Lock<'p> {
        let kept = Kept {
            users: product.factory_users(),
            master: product.master.clone(),
            failures: 0,
            counted_ms: Vec::new(),
            lockouts: 0,
            locked_until_ms: None,
            owned: false,
            handed: true,
        };
        Lock {
            product,
            now_ms: 0,
            kept,
            doing: Doing::Nothing,
            typed: String::new(),
            last_key_ms: 0,
            keys_down: String::new(),
            first_of_two: None,
            buttons: [None; 2],
            learning: Learning::Not,
            door_open: true,
            bolt: Place::Thrown,
            millivolts,
            says: Vec::new(),
        }
    }

    /// What it keeps.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// What is left of a lockout, in milliseconds.
    pub fn lockout_left_ms(&self) -> u64 {
        let until_ms = self.kept.locked_until_ms.unwrap_or(self.now_ms);
        until_ms.saturating_sub(self.now_ms)
    }

    /// Takes what it said since this was last asked.
    pub fn take_says(&mut self) -> Vec<Says> {
        std::mem::take(&mut self.says)
    }

    /// The supply was lost and comes back now. `kept` is what the lock has kept, where that is not certain.
    pub fn power_on(&mut self, now_ms: u64, kept: Option<Kept>, bolt: Place, down: [bool; 2]) {
        let left_ms = self.lockout_left_ms();
        self.now_ms = now_ms;
        self.forget();
        self.doing = Doing::Nothing;
        self.keys_down.clear();
        self.learning = Learning::Not;
        self.bolt = bolt;
        self.buttons = down.map(|down| {
            down.then_some(Held {
                since_ms: now_ms,
                from_power_on: true,
                told: false,
            })
        });
        if let Some(kept) = kept {
            self.kept = kept;
        } else if left_ms > 0 {
            // Without supply no clock runs.
            self.kept.locked_until_ms = match self.product.cycle {
                Cycle::Resumes => Some(now_ms + left_ms),
                Cycle::Restarts => Some(now_ms + self.whole_lockout_ms(left_ms)),
                Cycle::Extends(by_ms) => Some(now_ms + left_ms + by_ms),
                Cycle::Clears => None,
            };
        }
        // How long it was without supply it cannot know.
        self.kept
            .counted_ms
            .iter_mut()
            .for_each(|at_ms| *at_ms = now_ms);
        if self.product.learns_hand && !self.kept.handed {
            self.learn();
        }
    }

    /// Time passes until then.
    pub fn pass(&mut self, until_ms: u64) {
        while let Some((due_ms, what)) = self.next_due().filter(|(due_ms, _)| *due_ms <= until_ms) {
            self.now_ms = due_ms;
            self.is_due(what);
        }
        self.now_ms = until_ms;
    }

    /// The door is moved.
    pub fn door(&mut self, open: bool) {
        self.door_open = open;
    }

    /// The battery has this voltage.
    pub fn supply(&mut self, millivolts: u32) {
        self.millivolts = millivolts;
    }

    /// The bolt is somewhere else.
    pub fn bolt(&mut self, place: Place) {
        if place == self.bolt {
            return;
        }
        self.bolt = place;
        match (self.learning, place) {
            (Learning::Out { .. }, Place::Withdrawn) => {
                let until_ms = self.now_ms + self.product.travel_ms;
                self.learning = Learning::In { until_ms };
            }
            (Learning::In { .. }, Place::Thrown) => {
                self.learning = Learning::Not;
                self.kept.handed = true;
            }
            _ => {}
        }
    }

    /// A key closes.
    pub fn key_down(&mut self, key: char) {
        if matches!(self.doing, Doing::Armed(_)) {
            return;
        }
        if self.kept.locked_until_ms.is_some() {
            if self.product.during == During::StartsOver {
                let left_ms = self.lockout_left_ms();
                let whole_ms = self.whole_lockout_ms(left_ms);
                self.kept.locked_until_ms = Some(self.now_ms + whole_ms);
            }
            return;
        }
        if self.learning != Learning::Not && matches!(self.doing, Doing::Nothing) {
            return;
        }
        let others = self.keys_down.len();
        if self.keys_down.contains(key) {
            return;
        }
        self.keys_down.push(key);
        if others > 1 {
            return;
        }
        if self.product.together_ms == 0 {
            self.take(key);
        } else if let Some((first, _)) = self.first_of_two.take() {
            self.together(first, key);
        } else {
            self.first_of_two = Some((key, self.now_ms));
        }
    }

    /// A key opens.
    pub fn key_up(&mut self, key: char) {
        self.keys_down.retain(|down| down != key);
        if let Some((first, _)) = self.first_of_two
            && first == key
        {
            self.first_of_two = None;
            self.take(key);
        }
    }

    /// A button closes.
    pub fn button_down(&mut self, button: Button) {
        self.buttons[button as usize].get_or_insert(Held {
            since_ms: self.now_ms,
            from_power_on: false,
            told: false,
        });
    }

    /// A button opens.
    pub fn button_up(&mut self, button: Button) {
        let Some(held) = self.buttons[button as usize].take() else {
            return;
        };
        let tapped = !held.told && !held.from_power_on;
        if let Doing::Armed(tap_until_ms) = self.doing {
            match self.product.reset {
                Reset::HeldFromPowerOn {
                    button: its,
                    tap_ms,
                    ..
                } if its == button => {
                    if tapped {
                        self.reset();
                    } else if held.told && tap_until_ms.is_none() {
                        self.doing = Doing::Armed(Some(self.now_ms + tap_ms));
                    }
                }
                Reset::Held {
                    button: its, to_ms, ..
                } if its == button && held.told => {
                    let lasted_ms = self.now_ms - held.since_ms;
                    match to_ms.is_none_or(|to_ms| lasted_ms <= to_ms) {
                        true => self.reset(),
                        false => self.not_reset(),
                    }
                }
                _ => {}
            }
            return;
        }
        if !tapped {
            return;
        }
        if self.product.reset == (Reset::Tapped { button }) {
            self.reset();
            return;
        }
        let taps = match &self.doing {
            Doing::Changing(changing) if changing.asked == 0 && self.typed.is_empty() => {
                changing.taps + 1
            }
            _ => 1,
        };
        self.begin(|starts| *starts == Starts::Tap(button), taps);
    }

    // What comes with time.

    fn next_due(&self) -> Option<(u64, Due)> {
        let learning = match self.learning {
            Learning::Not => None,
            Learning::Out { until_ms } | Learning::In { until_ms } => Some(until_ms),
        };
        let window = match &self.doing {
            Doing::Changing(changing) => Some(changing.until_ms),
            Doing::Armed(tap_until_ms) => *tap_until_ms,
            Doing::Nothing => None,
        };
        let two = self
            .first_of_two
            .map(|(_, at_ms)| at_ms + self.product.together_ms);
        let idle = (matches!(self.doing, Doing::Nothing) && !self.typed.is_empty())
            .then_some(self.last_key_ms + self.product.idle_ms);
        [
            (learning, Due::Jammed),
            (self.kept.locked_until_ms, Due::LockoutOver),
            (window, Due::Window),
            (self.hold_ends(Button::Reset), Due::Hold(Button::Reset)),
            (self.hold_ends(Button::Program), Due::Hold(Button::Program)),
            (two, Due::OneKey),
            (idle, Due::Idle),
        ]
        .into_iter()
        .filter_map(|(due_ms, what)| Some((due_ms?, what)))
        // The first of those that fall together.
        .min_by_key(|(due_ms, _)| *due_ms)
    }

    fn is_due(&mut self, what: Due) {
        match what {
            Due::Jammed => self.learning = Learning::Not,
            Due::LockoutOver => {
                self.kept.locked_until_ms = None;
                self.says.push(Says::LockoutOver);
            }
            Due::Window | Due::Idle => {
                self.ready();
                self.says.push(Says::Forgotten);
            }
            Due::Hold(button) => self.held(button),
            Due::OneKey => {
                if let Some((key, _)) = self.first_of_two.take() {
                    self.take(key);
                }
            }
        }
    }

    fn hold_ends(&self, button: Button) -> Option<u64> {
        let held = self.buttons[button as usize].filter(|held| !held.told)?;
        let lasts_ms = self.product.hold_ms(button, held.from_power_on)?;
        Some(held.since_ms + lasts_ms)
    }

    fn held(&mut self, button: Button) {
        let Some(held) = &mut self.buttons[button as usize] else {
            return;
        };
        held.told = true;
        let from_power_on = held.from_power_on;
        if matches!(self.doing, Doing::Armed(_)) {
            return;
        }
        let resets = matches!(self.product.reset, Reset::Held { button: its, .. } if its == button);
        if !from_power_on && !resets {
            self.begin(
                |starts| matches!(starts, Starts::Hold(its, _) if *its == button),
                0,
            );
        } else if self.may_reset() {
            self.ready();
            self.doing = Doing::Armed(None);
            self.says.push(Says::ResetArmed);
        } else {
            self.not_reset();
        }
    }

    // What is typed.

    /// Two keys were pressed together.
    fn together(&mut self, first: char, second: char) {
        let mut both = [first, second];
        both.sort_unstable();
        let stroke = match both {
            ['0', '1'] => Some('a'),
            ['0', '3'] => Some('b'),
            _ => None,
        };
        let asked = match &self.doing {
            Doing::Changing(changing) => self.product.changes[changing.change]
                .asks
                .get(changing.asked),
            _ => None,
        };
        match stroke {
            Some(stroke) if asked == Some(&Asks::ResetCode) => self.digit(stroke),
            _ => {
                let fits = |starts: &Starts| match starts {
                    Starts::Together(a, b) => {
                        [*a, *b] == [first, second] || [*b, *a] == [first, second]
                    }
                    _ => false,
                };
                if !self.begin(fits, 0) {
                    self.cancel();
                }
            }
        }
    }

    /// One key counts.
    fn take(&mut self, key: char) {
        if matches!(self.doing, Doing::Armed(_)) {
            return;
        }
        if matches!(self.doing, Doing::Nothing) {
            let so_far = format!("{}{key}", self.typed);
            let starts = |starts: &Starts| *starts == Starts::Keys(so_far.clone());
            if self
                .product
                .changes
                .iter()
                .any(|change| starts(&change.starts))
            {
                self.forget();
                self.begin(starts, 0);
                return;
            }
        }
        if key.is_ascii_digit() {
            self.digit(key);
        } else if self.product.submit.contains(&key) {
            self.submit();
        } else if self.product.clear == Some(key) {
            self.cancel();
        }
    }

    fn digit(&mut self, digit: char) {
        let dropped = self.product.ignores_more && self.typed.len() >= *self.product.digits.end();
        if !dropped && self.typed.len() < TOO_LONG {
            self.typed.push(digit);
        }
        self.last_key_ms = self.now_ms;
        if self.product.submit.is_empty() && self.typed.len() == *self.product.digits.end() {
            self.submit();
        } else {
            self.window_starts_over();
        }
    }

    fn cancel(&mut self) {
        let changing = matches!(self.doing, Doing::Changing(_));
        self.ready();
        if changing {
            self.says.push(Says::NotChanged);
        }
    }

    fn submit(&mut self) {
        let typed = std::mem::take(&mut self.typed);
        self.first_of_two = None;
        match self.doing.clone() {
            Doing::Changing(changing) => self.answer(changing, &typed),
            Doing::Nothing if typed.is_empty() => {}
            Doing::Nothing if self.millivolts < self.product.no_opening_below_mv => {}
            Doing::Nothing => {
                let by_master = |change: &Change| change.starts == Starts::Master;
                let master = self.product.changes.iter().any(by_master);
                match self.attempt(&typed, true, master) {
                    Some(Whose::Master) => {
                        self.begin(|starts| *starts == Starts::Master, 0);
                    }
                    Some(Whose::User(slot)) => {
                        self.learning = Learning::Not;
                        self.says.push(Says::Opens(slot));
                    }
                    None => {}
                }
            }
            Doing::Armed(_) => {}
        }
    }

    // Attempts.

    /// Charges an attempt, and says whose the code is if it is right.
    fn attempt(&mut self, typed: &str, users: bool, master: bool) -> Option<Whose> {
        self.charge();
        let whose = self.whose(typed, users, master);
        self.judged(whose)
    }

    fn charge(&mut self) {
        let (now_ms, within_ms) = (self.now_ms, self.product.within_ms);
        let kept = &mut self.kept;
        kept.failures = (kept.failures + 1).min(65_535);
        if within_ms != 0 {
            kept.counted_ms.retain(|at_ms| now_ms - at_ms < within_ms);
        }
        if kept.counted_ms.len() < 10 {
            kept.counted_ms.push(now_ms);
        }
        let stages = &self.product.stages;
        let stage = stages.get(kept.lockouts).or(stages.last());
        if let Some(stage) = stage.filter(|stage| kept.counted_ms.len() >= stage.wrong) {
            kept.counted_ms.clear();
            kept.lockouts = (kept.lockouts + 1).min(stages.len());
            kept.locked_until_ms = Some(now_ms + stage.lasts_ms);
        }
    }

    fn judged(&mut self, whose: Option<Whose>) -> Option<Whose> {
        if whose.is_some() {
            self.kept.failures = 0;
            self.kept.counted_ms.clear();
            self.kept.lockouts = 0;
            self.kept.locked_until_ms = None;
        } else {
            self.ready();
            self.says.push(Says::Wrong);
        }
        whose
    }

    fn whose(&self, typed: &str, users: bool, master: bool) -> Option<Whose> {
        if typed.is_empty() || typed.len() >= TOO_LONG {
            return None;
        }
        let zeros = typed.chars().all(|digit| digit == '0');
        if users && !zeros {
            // Of equal codes the last counts.
            let slot = self.kept.users.iter().rposition(|code| code == typed);
            if let Some(slot) = slot {
                return Some(Whose::User(slot + 1));
            }
            let works = match self.product.stays {
                Stays::Always => true,
                Stays::UntilFirstChange => !self.kept.owned,
                Stays::InSlots | Stays::Never => false,
            };
            if works && self.product.factory.iter().any(|code| code == typed) {
                return Some(Whose::User(0));
            }
        }
        (master && self.kept.master == typed).then_some(Whose::Master)
    }

    // Changes.

    /// Begins the first change that starts so and is permitted. Says whether any starts so.
    fn begin(&mut self, fits: impl Fn(&Starts) -> bool, taps: usize) -> bool {
        if self.kept.locked_until_ms.is_some() {
            return false;
        }
        let changes = &self.product.changes;
        let fitting: Vec<usize> = (0..changes.len())
            .filter(|nth| fits(&changes[*nth].starts))
            .collect();
        if fitting.is_empty() {
            return false;
        }
        let permitted = fitting.into_iter().find(|nth| self.permits(&changes[*nth]));
        match permitted {
            Some(nth)
                if self.millivolts >= self.product.no_changes_below_mv
                    && (changes[nth].stores != Stores::TappedSlot
                        || taps <= self.product.slots) =>
            {
                self.forget();
                self.doing = Doing::Changing(Changing {
                    change: nth,
                    asked: 0,
                    taps,
                    own_slot: 0,
                    new: String::new(),
                    until_ms: self.now_ms + changes[nth].window_ms,
                });
            }
            _ => self.not_changed(),
        }
        true
    }

    fn permits(&self, change: &Change) -> bool {
        let master = change
            .master
            .is_none_or(|set| set != self.kept.master.is_empty());
        master && self.is_at(change.door_open, change.bolt_withdrawn)
    }

    fn is_at(&self, door_open: bool, bolt_withdrawn: bool) -> bool {
        (!door_open || self.door_open) && (!bolt_withdrawn || self.bolt == Place::Withdrawn)
    }

    /// Something was entered for a change.
    fn answer(&mut self, mut changing: Changing, typed: &str) {
        if typed.is_empty() {
            return self.not_changed();
        }
        let change = &self.product.changes[changing.change];
        let asks = &change.asks[changing.asked];
        let fits = typed.len() < TOO_LONG && self.product.digits.contains(&typed.len());
        let zeros = typed.chars().all(|digit| digit == '0');
        let right = match asks {
            Asks::Old => match self.attempt(typed, true, false) {
                Some(Whose::User(slot)) => {
                    changing.own_slot = slot.max(1);
                    true
                }
                _ => false,
            },
            Asks::Master => self.attempt(typed, false, true).is_some(),
            Asks::Factory | Asks::ResetCode => {
                let codes = match asks {
                    Asks::Factory => self.product.factory.clone(),
                    _ => vec![self.product.reset_code.clone()],
                };
                let right = codes.iter().any(|code| code == typed) && !zeros;
                self.charge();
                self.judged(right.then_some(Whose::User(0))).is_some()
            }
            Asks::Function(_) => {
                let chosen = |other: &Change| {
                    matches!(other.asks.first(), Some(Asks::Function(its)) if typed == its.to_string())
                        && other.starts == change.starts
                        && self.permits(other)
                };
                match self.product.changes.iter().position(chosen) {
                    Some(nth) => {
                        changing.change = nth;
                        true
                    }
                    None => false,
                }
            }
            Asks::New => {
                changing.new = typed.to_owned();
                fits && (!zeros || self.product.zeros_delete)
            }
            Asks::Again => {
                let same = |code: &str| {
                    if code.len() >= TOO_LONG {
                        String::new()
                    } else {
                        code.to_owned()
                    }
                };
                same(typed) == same(&changing.new)
            }
        };
        if !right {
            return self.not_changed();
        }
        changing.asked += 1;
        if changing.asked == self.product.changes[changing.change].asks.len() {
            return self.store(changing);
        }
        self.doing = Doing::Changing(changing);
        self.forget();
        self.window_starts_over();
    }

    fn store(&mut self, changing: Changing) {
        let change = &self.product.changes[changing.change];
        let permitted = self.is_at(change.door_open, change.bolt_withdrawn);
        if !permitted || self.millivolts < self.product.no_changes_below_mv {
            return self.not_changed();
        }
        let free = || {
            let users = self.kept.users.iter().take(self.product.slots);
            users
                .enumerate()
                .find(|(_, code)| code.is_empty())
                .map(|(slot, _)| slot + 1)
        };
        let slot = match change.stores {
            Stores::Slot(slot) => Some(slot),
            Stores::TappedSlot => Some(changing.taps),
            Stores::OwnSlot => Some(changing.own_slot),
            Stores::FreeSlot => free(),
            Stores::Master => Some(0),
            Stores::Hand => {
                self.ready();
                self.says.push(Says::Changed);
                return self.learn();
            }
        };
        let Some(slot) = slot else {
            return self.not_changed();
        };
        let zeros = changing.new.chars().all(|digit| digit == '0');
        let new = if zeros { String::new() } else { changing.new };
        match slot {
            0 => self.kept.master = new,
            slot => self.kept.users[slot - 1] = new,
        }
        self.kept.owned = true;
        self.ready();
        self.says.push(Says::Changed);
    }

    fn not_changed(&mut self) {
        self.ready();
        self.says.push(Says::NotChanged);
    }

    fn window_starts_over(&mut self) {
        if let Doing::Changing(changing) = &mut self.doing {
            let change = &self.product.changes[changing.change];
            if change.window_starts_over {
                changing.until_ms = self.now_ms + change.window_ms;
            }
        }
    }

    // Resets.

    fn may_reset(&self) -> bool {
        self.millivolts >= self.product.no_changes_below_mv
            && self.is_at(
                self.product.reset_door_open,
                self.product.reset_bolt_withdrawn,
            )
    }

    fn reset(&mut self) {
        if !self.may_reset() {
            return self.not_reset();
        }
        let (product, kept) = (self.product, &mut self.kept);
        if product.erases_users {
            kept.users = product.factory_users();
            kept.owned = false;
        }
        if product.erases_master {
            kept.master = product.master.clone();
        }
        if product.erases_hand {
            kept.handed = false;
        }
        if product.erases_counters {
            kept.failures = 0;
            kept.counted_ms.clear();
            kept.lockouts = 0;
        }
        self.ready();
        self.says.push(Says::ResetDone);
        if product.erases_lockout && self.kept.locked_until_ms.take().is_some() {
            self.says.push(Says::LockoutOver);
        }
        if product.learns_hand && !self.kept.handed {
            self.learn();
        }
    }

    fn not_reset(&mut self) {
        self.ready();
        self.says.push(Says::NotReset);
    }

    // The rest.

    fn whole_lockout_ms(&self, left_ms: u64) -> u64 {
        let stage = self
            .kept
            .lockouts
            .checked_sub(1)
            .and_then(|nth| self.product.stages.get(nth));
        stage.map_or(left_ms, |stage| stage.lasts_ms)
    }

    fn learn(&mut self) {
        let until_ms = self.now_ms + self.product.travel_ms;
        self.learning = match self.bolt {
            Place::Withdrawn => Learning::In { until_ms },
            _ => Learning::Out { until_ms },
        };
    }

    fn forget(&mut self) {
        self.typed.clear();
        self.first_of_two = None;
    }

    fn ready(&mut self) {
        self.forget();
        self.doing = Doing::Nothing;
    }
}

#[derive(Clone, Copy)]
enum Whose {
    /// A user's, by the slot; 0 for the factory's.
    User(usize),
    Master,
}

#[derive(Clone, Copy)]
enum Due {
    Jammed,
    LockoutOver,
    Window,
    Hold(Button),
    OneKey,
    Idle,
}
