//! Contacts that pins close: relays, opto-isolators, crosspoints, multiplexers and servos at a header.
//!
//! A contact is one output, or a row and a column of a crosspoint, which are closed together, or what two
//! multiplexers select before an output switches them on, or what the horn of a servo presses. The port
//! says when it drove each output, and a horn is taken to be there after its travel; that is all the
//! confirmation that there is, and as with a relay's coil, only a sense line proves the contact. An opening
//! whose time is known can be ordered beforehand: the port then does it at that time, whatever else this
//! machine is busy with.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::{DeviceTrouble, Trouble};
use crate::event::Nanos;
use crate::port::{Level, PULSES_EVERY, PULSES_TAKE};

/// How long the port may take to drive an output once its time has come. A small computer stands still for as long
/// while programs begin or its card is busy; what it then does late is told with the time at which it was done.
pub const DRIVEN_MAX: Nanos = Nanos::from_secs(2);

/// How much later than a healthy servo one may be on the way to rest before the others go on without it.
const SERVO_LATE: Nanos = Nanos::from_millis(250);

/// From selecting what multiplexers join to switching them on.
const SELECTED: Nanos = Nanos(50_000);

/// How a contact is closed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Way {
    /// By one output: a relay's channel, or a pin.
    One(u16),
    /// By two pins, which join a row and a column of a crosspoint.
    Cross {
        /// The row's pin.
        row: u16,
        /// The column's pin.
        column: u16,
    },
    /// By the horn of a model servo, which presses it.
    Servo(Servo),
    /// By two multiplexers, of which one selects the row and one the column, while a pin switches both on.
    Selected {
        /// That pin.
        enable: u16,
        /// The row's channel.
        row: u8,
        /// The column's channel.
        column: u8,
    },
}

/// A model servo whose horn presses what cannot be reached electrically. It holds only while it gets pulses, and
/// gets none once it is back at rest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Servo {
    /// Its pin.
    pub pin: u16,
    /// How long its pulses are while it rests.
    pub rest: Nanos,
    /// How long they are while it presses.
    pub pressed: Nanos,
    /// How long the horn takes from one to the other.
    pub travel: Nanos,
}

impl Servo {
    /// How long after the order the horn is there.
    pub fn arrives(self) -> Nanos {
        PULSES_TAKE + self.travel
    }

    /// How far the time of a press may be from what is said of it: it takes place somewhere on the horn's way, which
    /// begins with a pulse.
    pub fn uncertainty(self) -> Nanos {
        PULSES_EVERY + self.travel
    }
}

/// Two multiplexers, by the pins that lead to them; those that select have the lowest bit first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Multiplexers {
    /// What selects the row.
    pub rows: Vec<u16>,
    /// What selects the column.
    pub columns: Vec<u16>,
    /// What switches both on.
    pub enable: u16,
    /// The level at which it does.
    pub active: Level,
}

impl Multiplexers {
    /// The pins, and whether each is high to select this.
    fn levels(&self, row: u8, column: u8) -> impl Iterator<Item = (u16, bool)> {
        let bits = |pins: &[u16], channel: u8| -> Vec<(u16, bool)> {
            let high = |bit: u8| channel >> bit & 1 != 0;
            (0..)
                .zip(pins)
                .map(|(bit, pin)| (*pin, high(bit)))
                .collect()
        };
        let columns = bits(&self.columns, column);
        bits(&self.rows, row).into_iter().chain(columns)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::One(output) | Way::Servo(Servo { pin: output, .. }) => write!(out, "{output}"),
            Way::Cross { row, column } => write!(out, "{row}x{column}"),
            Way::Selected { row, column, .. } => write!(out, "row {row}, column {column}"),
        }
    }
}

impl Way {
    /// Its outputs.
    pub fn outputs(self) -> impl Iterator<Item = u16> {
        let (first, second) = match self {
            Way::One(output) | Way::Servo(Servo { pin: output, .. }) => (output, None),
            Way::Cross { row, column } => (row, Some(column)),
            Way::Selected { enable, .. } => (enable, None),
        };
        std::iter::once(first).chain(second)
    }

    /// The servo, if it is one.
    pub fn servo(self) -> Option<Servo> {
        match self {
            Way::Servo(servo) => Some(servo),
            _ => None,
        }
    }
}

/// Why these cannot be closed at once; none where they can. Two rows and two columns of a crosspoint would close all
/// four keys where they meet. Contacts with an output of their own never stand in each other's way.
pub fn clash(ways: impl IntoIterator<Item = Way>) -> Option<&'static str> {
    let (mut rows, mut columns) = (BTreeSet::new(), BTreeSet::new());
    let mut selected = BTreeSet::new();
    for way in ways {
        match way {
            Way::One(_) | Way::Servo(_) => {}
            Way::Cross { row, column } => {
                rows.insert(row);
                columns.insert(column);
            }
            Way::Selected { .. } => _ = selected.insert(way),
        }
    }
    if selected.len() > 1 {
        return Some("multiplexers join one row and one column at a time");
    }
    let is_rectangle = rows.len() > 1 && columns.len() > 1;
    is_rectangle.then_some("a crosspoint would close other keys too")
}

/// One contact, as the bench file describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contact {
    /// What it stands for: `key 5`, `button reset`, `door`.
    pub name: String,
    /// How it is closed.
    pub way: Way,
    /// How long it may stay closed.
    pub longest_on: Option<Nanos>,
}

/// What the port is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drive {
    /// The output's pin.
    pub output: u16,
    /// Whether it is to be on.
    pub on: bool,
    /// When; a time that has passed means at once. It replaces what was ordered of this output before.
    pub at: Nanos,
}

/// What became of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// The outputs of a contact were driven as ordered.
    Switched {
        /// The contact, by its place among those the driver was made with.
        place: usize,
        /// Closed or open.
        closed: bool,
        /// The time for which it was ordered.
        asked: Nanos,
    },
    /// An output did not do what it was told.
    Trouble(DeviceTrouble),
}

/// The driver.
#[derive(Clone, Debug)]
pub struct PinBoard {
    device: String,
    multiplexers: Option<Multiplexers>,
    contacts: Vec<State>,
    outputs: BTreeMap<u16, Output>,
    orders: Vec<Drive>,
    facts: VecDeque<(Nanos, Fact)>,
}

#[derive(Clone, Debug)]
struct State {
    contact: Contact,
    ordered: Option<Order>,
    /// Whether outputs of it have still to be driven for the order.
    waits: bool,
    /// What to order of it once that is done.
    then: Option<Order>,
    on_since: Option<Nanos>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Order {
    closed: bool,
    at: Nanos,
}

#[derive(Clone, Copy, Default, Debug)]
struct Output {
    /// The last order.
    ordered: Option<Drive>,
    /// By when that must have been done; none where it has been, or was given up.
    until: Option<Nanos>,
    /// When the servo's horn is there.
    arrives: Option<Nanos>,
    /// How it was driven last; none where nobody knows.
    on: Option<bool>,
}

impl Output {
    fn is_done(&self) -> bool {
        self.until.is_none() && self.arrives.is_none()
    }
}

impl PinBoard {
    /// Contacts at a header that `device` names in messages. A pin that selects is on while it is high.
    pub fn new(
        device: impl Into<String>,
        multiplexers: Option<Multiplexers>,
        contacts: Vec<Contact>,
    ) -> PinBoard {
        let outputs = contacts.iter().flat_map(|contact| contact.way.outputs());
        PinBoard {
            device: device.into(),
            multiplexers,
            outputs: outputs.map(|pin| (pin, Output::default())).collect(),
            contacts: contacts
                .into_iter()
                .map(|contact| State {
                    contact,
                    ordered: None,
                    waits: false,
                    then: None,
                    on_since: None,
                })
                .collect(),
            orders: Vec::new(),
            facts: VecDeque::new(),
        }
    }

    /// Orders a contact to close or to open at once. What comes of it is a fact; of what is so already nothing
    /// comes. A servo's horn that is under way gets there first, and then does what was ordered last.
    ///
    /// # Errors
    /// Closing it would close another key too.
    pub fn set(&mut self, now: Nanos, place: usize, closed: bool) -> Result<(), DeviceTrouble> {
        let ordered = self.contacts[place].ordered;
        let stands = ordered.is_some_and(|order| order.closed == closed && order.at <= now);
        let state = &mut self.contacts[place];
        let is_servo = state.contact.way.servo().is_some();
        let is_under_way =
            is_servo && state.waits && state.ordered.is_some_and(|order| order.at <= now);
        if is_under_way && stands {
            state.then = None;
        }
        if stands && (state.waits || self.is_known_to_be(place, closed)) {
            return Ok(());
        }
        if closed {
            self.check_together(now, place)?;
        }
        if is_under_way {
            self.contacts[place].then = Some(Order { closed, at: now });
            return Ok(());
        }
        self.order(place, Order { closed, at: now }, now);
        Ok(())
    }

    /// Orders a contact that is closed to open at a time that is still to come; `set` may come first.
    pub fn open_at(&mut self, now: Nanos, place: usize, at: Nanos) {
        let state = &mut self.contacts[place];
        if state.ordered.is_some_and(|order| order.closed) {
            state.then = Some(Order { closed: false, at });
            self.settle(now);
        }
    }

    /// Brings a contact to rest, whatever is known of it, before anything else.
    pub fn rest(&mut self, now: Nanos, place: usize, closed: bool) {
        for pin in self.contacts[place].contact.way.outputs() {
            self.outputs.insert(pin, Output::default());
        }
        self.order(place, Order { closed, at: now }, now);
    }

    /// Whether everything that was ordered has been done, or given up.
    pub fn is_idle(&self) -> bool {
        self.outputs.values().all(Output::is_done)
    }

    /// Whether the contact's outputs were driven to this state, and nothing else was ordered since.
    pub fn is_known_to_be(&self, place: usize, closed: bool) -> bool {
        let state = &self.contacts[place];
        let mut outputs = state.contact.way.outputs().map(|pin| self.outputs[&pin].on);
        state.ordered.is_some_and(|order| order.closed == closed)
            && !state.waits
            && match closed {
                true => outputs.all(|on| on == Some(true)),
                // The row may be on for another key.
                false => outputs.any(|on| on == Some(false)),
            }
    }

    /// An output was driven.
    pub fn drove(&mut self, at: Nanos, pin: u16, on: bool) {
        let servo = self.servos().find(|servo| servo.pin == pin);
        let Some(output) = self.outputs.get_mut(&pin) else {
            return;
        };
        let is_ordered = output.ordered.is_some_and(|order| order.on == on);
        if is_ordered {
            output.until = None;
        }
        match servo {
            None => output.on = Some(on),
            Some(servo) => {
                output.on = None;
                output.arrives = is_ordered.then(|| at + servo.arrives());
            }
        }
        self.settle(at);
    }

    /// How long a servo may keep the others waiting on the way to rest; nothing else does.
    pub fn patience(&self) -> Nanos {
        let slowest = self.servos().map(Servo::arrives).max();
        slowest.map_or(Nanos::ZERO, |slowest| slowest + SERVO_LATE)
    }

    fn servos(&self) -> impl Iterator<Item = Servo> {
        let contacts = self.contacts.iter();
        contacts.filter_map(|state| state.contact.way.servo())
    }

    /// Horns whose time has passed are there.
    fn arrive(&mut self, now: Nanos) {
        let next = |board: &PinBoard| {
            let arrivals = board.outputs.iter();
            let arrivals = arrivals.filter_map(|(pin, output)| Some((output.arrives?, *pin)));
            arrivals.min().filter(|(at, _)| *at <= now)
        };
        while let Some((at, pin)) = next(self) {
            if let Some(output) = self.outputs.get_mut(&pin) {
                output.arrives = None;
                output.on = output.ordered.map(|order| order.on);
            }
            self.settle(at);
        }
    }

    /// An output is out of reach: nobody knows its state.
    pub fn lost(&mut self, at: Nanos, pin: u16, why: &str) {
        let trouble = self.trouble(
            self.doing(pin),
            Trouble::Lost,
            why.to_owned(),
            "is the chip still there, and does another program use the pin?",
        );
        self.give_up(at, pin, trouble);
    }

    /// The time is `now`: bounds that have passed become facts.
    pub fn tick(&mut self, now: Nanos) {
        self.arrive(now);
        let late = self.outputs.iter();
        let late = late.filter(|(_, output)| output.until.is_some_and(|until| until <= now));
        let late: Vec<u16> = late.map(|(pin, _)| *pin).collect();
        for pin in late {
            let trouble = self.trouble(
                self.doing(pin),
                Trouble::Silent,
                format!("it was not driven within {DRIVEN_MAX}"),
                "is this machine busy with something else, or does it sleep?",
            );
            self.give_up(now, pin, trouble);
        }
        self.enforce_longest_on(now);
    }

    /// When `tick` wants to be called next.
    pub fn deadline(&self) -> Option<Nanos> {
        let on_times = self.contacts.iter().filter_map(|state| {
            let ends = state.on_since? + state.contact.longest_on?;
            let opens = state.ordered.filter(|order| !order.closed);
            opens.is_none_or(|order| order.at > ends).then_some(ends)
        });
        let outputs = self.outputs.values();
        let answers = outputs.flat_map(|output| output.until.into_iter().chain(output.arrives));
        answers.chain(on_times).min()
    }

    /// Takes what the port is told now to do, in this order.
    pub fn orders(&mut self, now: Nanos) -> Vec<Drive> {
        for order in &self.orders {
            // It may follow from what was heard of too late.
            let output = self.outputs.get_mut(&order.output);
            if let Some(until) = output.and_then(|output| output.until.as_mut()) {
                *until = (*until).max(now + DRIVEN_MAX);
            }
        }
        std::mem::take(&mut self.orders)
    }

    /// Takes the oldest fact that has not been taken.
    pub fn fact(&mut self) -> Option<(Nanos, Fact)> {
        self.facts.pop_front()
    }

    fn order(&mut self, place: usize, order: Order, now: Nanos) {
        let state = &mut self.contacts[place];
        if order.closed {
            state.on_since.get_or_insert(order.at);
        }
        state.ordered = Some(order);
        state.then = None;
        state.waits = true;
        let way = state.contact.way;
        let mut at = order.at;
        if let (Way::Selected { row, column, .. }, true) = (way, order.closed) {
            let multiplexers = self.multiplexers.iter();
            let levels: Vec<_> = multiplexers
                .flat_map(|both| both.levels(row, column))
                .collect();
            for (pin, high) in levels {
                self.drive_to(pin, high, at);
            }
            at += SELECTED;
        }
        for pin in way.outputs() {
            self.drive(pin, at);
        }
        self.settle(now);
    }

    /// Orders an output to be what the contacts need of it at that time, if it is not so anyway.
    fn drive(&mut self, pin: u16, at: Nanos) {
        self.drive_to(pin, self.is_needed(pin, at), at);
    }

    fn drive_to(&mut self, pin: u16, on: bool, at: Nanos) {
        let output = self.outputs.entry(pin).or_default();
        let stands = output.ordered;
        if stands.is_some_and(|order| order.on == on && order.at <= at) {
            return;
        }
        let order = Drive {
            output: pin,
            on,
            at,
        };
        output.ordered = Some(order);
        output.arrives = None;
        output.until = Some(at + DRIVEN_MAX);
        self.orders.push(order);
    }

    /// Whether a contact is closed at that time that this output closes.
    fn is_needed(&self, pin: u16, at: Nanos) -> bool {
        self.contacts.iter().any(|state| {
            let closed = state.ordered.is_some_and(|order| match order.closed {
                true => order.at <= at,
                // Until it opens it is closed, if it ever was.
                false => order.at > at && state.on_since.is_some(),
            });
            closed && state.contact.way.outputs().any(|other| other == pin)
        })
    }

    /// Contacts whose outputs have all been driven have switched, and are ordered to open when they are to.
    fn settle(&mut self, now: Nanos) {
        for place in 0..self.contacts.len() {
            self.settle_waiting(place, now);
            let state = &mut self.contacts[place];
            if !state.waits
                && let Some(then) = state.then.take()
            {
                let at = then.at.max(now);
                self.order(place, Order { at, ..then }, now);
            }
        }
    }

    fn settle_waiting(&mut self, place: usize, now: Nanos) {
        let state = &self.contacts[place];
        let Some(order) = state.ordered.filter(|_| state.waits) else {
            return;
        };
        let outputs = || state.contact.way.outputs().map(|pin| &self.outputs[&pin]);
        let all_done = outputs().all(Output::is_done);
        // One output that is off opens it; a row may have to wait for another key.
        let is_open = outputs().any(|output| output.is_done() && output.on == Some(false));
        if !all_done && (order.closed || !is_open) {
            return;
        }
        self.contacts[place].waits = false;
        if !self.is_known_to_be(place, order.closed) {
            return;
        }
        self.switched(now, place, order.closed, order.at);
        if !order.closed {
            self.contacts[place].on_since = None;
            // A row that was kept for a contact that has opened meanwhile.
            for pin in self.contacts[place].contact.way.outputs() {
                self.drive(pin, now);
            }
        }
    }

    fn switched(&mut self, now: Nanos, place: usize, closed: bool, asked: Nanos) {
        let fact = Fact::Switched {
            place,
            closed,
            asked,
        };
        self.facts.push_back((now, fact));
    }

    fn give_up(&mut self, now: Nanos, pin: u16, trouble: DeviceTrouble) {
        // The next order is sent, whatever it is.
        self.outputs.insert(pin, Output::default());
        self.facts.push_back((now, Fact::Trouble(trouble)));
        self.settle(now);
    }

    fn check_together(&self, now: Nanos, place: usize) -> Result<(), DeviceTrouble> {
        let is_closed = |state: &&State| {
            let order = state.ordered;
            order.is_some_and(|order| order.closed || order.at > now && state.on_since.is_some())
        };
        let closed: Vec<&State> = self.contacts.iter().filter(is_closed).collect();
        let wanted = &self.contacts[place].contact;
        let ways = closed.iter().map(|state| state.contact.way);
        let Some(why) = clash(ways.chain([wanted.way])) else {
            return Ok(());
        };
        let names: Vec<&str> = closed
            .iter()
            .filter(|state| !matches!(state.contact.way, Way::One(_) | Way::Servo(_)))
            .map(|state| state.contact.name.as_str())
            .collect();
        Err(self.trouble(
            format!("closing '{}'", wanted.name),
            Trouble::Refused,
            format!("'{}' is closed, and {why}", names.join("' and '")),
            "keys that are pressed together need one row or one column of a crosspoint, or outputs of their own",
        ))
    }

    /// Opens what has been closed for too long.
    fn enforce_longest_on(&mut self, now: Nanos) {
        for place in 0..self.contacts.len() {
            let state = &self.contacts[place];
            let (Some(since), Some(longest)) = (state.on_since, state.contact.longest_on) else {
                continue;
            };
            let opens = state.ordered.filter(|order| !order.closed);
            if since + longest > now || opens.is_some_and(|order| order.at <= now) {
                continue;
            }
            let trouble = self.trouble(
                format!("keeping '{}' closed", state.contact.name),
                Trouble::Overrun,
                format!("it was closed for {longest}, its longest on-time; it has been opened"),
                "shorten the hold in the scenario, or raise 'longest-on' in the bench file",
            );
            self.order(
                place,
                Order {
                    closed: false,
                    at: now,
                },
                now,
            );
            self.facts.push_back((now, Fact::Trouble(trouble)));
        }
    }

    /// What an output was about to do.
    fn doing(&self, pin: u16) -> String {
        let on = self.outputs[&pin].ordered.is_some_and(|order| order.on);
        let of = |state: &&State| state.contact.way.outputs().any(|other| other == pin);
        let names: Vec<&str> = self
            .contacts
            .iter()
            .filter(of)
            .map(|state| state.contact.name.as_str())
            .collect();
        if names.is_empty() {
            return format!("selecting with pin {pin}");
        }
        format!(
            "switching pin {pin} {} for '{}'",
            if on { "on" } else { "off" },
            names.join("', '")
        )
    }

    fn trouble(&self, doing: String, what: Trouble, saw: String, hint: &str) -> DeviceTrouble {
        DeviceTrouble {
            device: self.device.clone(),
            doing,
            what,
            saw,
            hint: hint.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Contact, DRIVEN_MAX, Drive, Fact, Multiplexers, PinBoard, SELECTED, Way, clash};
    use crate::driver::Trouble;
    use crate::event::Nanos;
    use crate::port::Level;

    const MS: fn(u64) -> Nanos = Nanos::from_millis;
    const RESET: usize = 0;
    const ONE: usize = 1;
    const TWO: usize = 2;
    const FIVE: usize = 3;

    /// A button on pin 21, and the keys 1, 2, 5 of a crosspoint: rows at 5 and 6, columns at 12 and 13.
    fn board(longest_on: Option<Nanos>) -> PinBoard {
        let contact = |name: &str, way| Contact {
            name: name.to_owned(),
            way,
            longest_on,
        };
        PinBoard::new(
            "pins at raspberry-pi",
            None,
            vec![
                contact("button reset", Way::One(21)),
                contact("key 1", Way::Cross { row: 5, column: 12 }),
                contact("key 2", Way::Cross { row: 5, column: 13 }),
                contact("key 5", Way::Cross { row: 6, column: 13 }),
            ],
        )
    }

    /// Carries out what is ordered, each order at its time; what was done, as `pin+` or `pin-`.
    fn carry_out(board: &mut PinBoard) -> Vec<(Nanos, String)> {
        let mut done = Vec::new();
        loop {
            let orders = board.orders(Nanos::ZERO);
            if orders.is_empty() {
                return done;
            }
            for Drive { output, on, at } in orders {
                done.push((at, format!("{output}{}", if on { "+" } else { "-" })));
                board.drove(at, output, on);
            }
        }
    }

    fn switched(board: &mut PinBoard) -> Vec<(usize, bool)> {
        std::iter::from_fn(|| board.fact())
            .filter_map(|(_, fact)| match fact {
                Fact::Switched { place, closed, .. } => Some((place, closed)),
                Fact::Trouble(_) => None,
            })
            .collect()
    }

    fn troubles(board: &mut PinBoard) -> Vec<Trouble> {
        std::iter::from_fn(|| board.fact())
            .filter_map(|(_, fact)| match fact {
                Fact::Trouble(trouble) => Some(trouble.what),
                Fact::Switched { .. } => None,
            })
            .collect()
    }

    #[test]
    fn a_key_of_a_crosspoint_is_closed_once_row_and_column_are() {
        let mut board = board(None);
        board.set(MS(1), ONE, true).expect("nothing is closed");
        assert_eq!(board.orders(Nanos::ZERO).len(), 2);
        board.drove(MS(1), 5, true);
        assert_eq!(board.fact(), None);
        assert!(!board.is_known_to_be(ONE, true) && !board.is_idle());
        board.drove(MS(2), 12, true);
        let fact = Fact::Switched {
            place: ONE,
            closed: true,
            asked: MS(1),
        };
        assert_eq!(board.fact(), Some((MS(2), fact)));
        assert!(board.is_known_to_be(ONE, true) && board.is_idle());
    }

    #[test]
    fn keys_of_one_row_close_together_and_the_row_stays_for_the_last() {
        let mut board = board(None);
        board.set(MS(0), ONE, true).expect("nothing is closed");
        board.set(MS(0), TWO, true).expect("they share a row");
        carry_out(&mut board);
        board.set(MS(9), ONE, false).expect("opening is free");
        assert_eq!(carry_out(&mut board), [(MS(9), "12-".to_owned())]);
        board.set(MS(20), TWO, false).expect("opening is free");
        let opened = [(MS(20), "5-".to_owned()), (MS(20), "13-".to_owned())];
        assert_eq!(carry_out(&mut board), opened);
        let all = [(ONE, true), (TWO, true), (ONE, false), (TWO, false)];
        assert_eq!(switched(&mut board), all);
    }

    #[test]
    fn a_chord_that_closes_other_keys_too_is_refused() {
        let mut board = board(None);
        board.set(MS(0), ONE, true).expect("nothing is closed");
        let trouble = board.set(MS(0), FIVE, true).expect_err("a rectangle");
        assert_eq!(trouble.what, Trouble::Refused);
        assert!(trouble.saw.contains("'key 1' is closed"), "{trouble}");
        board.set(MS(0), RESET, true).expect("a pin of its own");
        assert_eq!(clash([Way::One(1), Way::One(2)]), None);
    }

    /// A button on pin 21, and three keys behind multiplexers: rows selected by 5 and 6, columns by 12, both on at 20.
    fn multiplexed() -> PinBoard {
        let key = |name: &str, row, column| Contact {
            name: name.to_owned(),
            way: Way::Selected {
                enable: 20,
                row,
                column,
            },
            longest_on: None,
        };
        let mut contacts = vec![
            key("button reset", 0, 0),
            key("key 1", 0, 0),
            key("key 2", 0, 1),
            key("key 5", 2, 1),
        ];
        contacts[RESET].way = Way::One(21);
        let multiplexers = Multiplexers {
            rows: vec![5, 6],
            columns: vec![12],
            enable: 20,
            active: Level::High,
        };
        PinBoard::new("pins at raspberry-pi", Some(multiplexers), contacts)
    }

    #[test]
    fn multiplexers_select_before_they_are_switched_on_and_change_while_they_are_off() {
        let mut board = multiplexed();
        let done = |board: &mut PinBoard| -> Vec<String> {
            let done = carry_out(board).into_iter();
            done.map(|(at, what)| format!("{}: {what}", at.0)).collect()
        };
        board.set(Nanos(0), FIVE, true).expect("nothing is closed");
        let on = SELECTED.0;
        let selects = ["0: 5-", "0: 6+", "0: 12+"].map(str::to_owned);
        let closed = [&selects[..], &[format!("{on}: 20+")]].concat();
        assert_eq!(done(&mut board), closed);
        board.set(MS(9), FIVE, false).expect("opening is free");
        assert_eq!(done(&mut board), ["9000000: 20-"]);
        board.set(MS(20), TWO, true).expect("nothing is closed");
        assert_eq!(done(&mut board), ["20000000: 6-", "20050000: 20+"]);
        let all = [(FIVE, true), (FIVE, false), (TWO, true)];
        assert_eq!(switched(&mut board), all);
        assert!(board.is_known_to_be(TWO, true) && !board.is_known_to_be(FIVE, true));
    }

    #[test]
    fn two_keys_behind_multiplexers_are_refused_even_in_one_row() {
        let mut board = multiplexed();
        board.set(MS(0), ONE, true).expect("nothing is closed");
        board.set(MS(0), RESET, true).expect("a pin of its own");
        let trouble = board.set(MS(0), TWO, true).expect_err("one at a time");
        assert_eq!(trouble.what, Trouble::Refused);
        let saw = "'key 1' is closed, and multiplexers join one row and one column at a time";
        assert_eq!(trouble.saw, saw);
    }

    #[test]
    fn an_opening_is_ordered_beforehand_and_an_earlier_one_replaces_it() {
        let mut board = board(None);
        board.set(MS(0), RESET, true).expect("nothing is closed");
        carry_out(&mut board);
        board.open_at(MS(1), RESET, MS(500));
        let [order] = board.orders(Nanos::ZERO)[..] else {
            panic!("one output, one order");
        };
        assert_eq!((order.on, order.at), (false, MS(500)));
        assert!(!board.is_idle(), "its time is still to come");
        board.set(MS(90), RESET, false).expect("opening is free");
        assert_eq!(carry_out(&mut board), [(MS(90), "21-".to_owned())]);
        board.set(MS(500), RESET, false).expect("it is open");
        assert!(board.orders(Nanos::ZERO).is_empty() && board.is_idle());
    }

    #[test]
    fn openings_of_one_row_that_were_ordered_in_any_order_leave_nothing_on() {
        for (first, second) in [((ONE, 10), (TWO, 20)), ((ONE, 20), (TWO, 10))] {
            let mut board = board(None);
            board.set(MS(0), ONE, true).expect("nothing is closed");
            board.set(MS(0), TWO, true).expect("they share a row");
            carry_out(&mut board);
            board.open_at(MS(1), first.0, MS(first.1));
            board.open_at(MS(1), second.0, MS(second.1));
            let mut orders = board.orders(Nanos::ZERO);
            orders.sort_by_key(|order| order.at);
            for order in orders {
                board.drove(order.at, order.output, order.on);
            }
            carry_out(&mut board);
            assert!(board.outputs.values().all(|output| output.on != Some(true)));
            assert!(board.is_known_to_be(ONE, false) && board.is_known_to_be(TWO, false));
        }
    }

    #[test]
    fn what_is_closed_for_too_long_is_opened_though_it_was_to_open_later() {
        let mut board = board(Some(MS(300)));
        board.set(MS(0), RESET, true).expect("nothing is closed");
        carry_out(&mut board);
        board.open_at(MS(1), RESET, MS(500));
        assert_eq!(board.deadline(), Some(MS(300)));
        board.orders(Nanos::ZERO);
        board.tick(MS(300));
        assert_eq!(carry_out(&mut board), [(MS(300), "21-".to_owned())]);
        assert_eq!(troubles(&mut board), [Trouble::Overrun]);
        assert_eq!(board.deadline(), None);
    }

    #[test]
    fn an_output_that_nobody_drove_is_trouble_and_is_driven_again_at_rest() {
        let mut board = board(None);
        board.set(MS(0), RESET, true).expect("nothing is closed");
        board.orders(MS(1_000));
        board.tick(DRIVEN_MAX);
        assert_eq!(troubles(&mut board), [], "the port was told later");
        let late = MS(1_000) + DRIVEN_MAX;
        board.tick(late);
        assert_eq!(troubles(&mut board), [Trouble::Silent]);
        assert!(board.is_idle() && !board.is_known_to_be(RESET, true));
        board.lost(late, 21, "no such device");
        assert_eq!(troubles(&mut board), [Trouble::Lost]);
        board.rest(MS(3_400), RESET, false);
        assert_eq!(carry_out(&mut board), [(MS(3_400), "21-".to_owned())]);
        assert!(board.is_known_to_be(RESET, false));
    }
}
