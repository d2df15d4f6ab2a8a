//! A relay board behind a byte port.
//!
//! The board answers each order with the state of the coil, and the next order leaves when that answer has come. So
//! at most one order is under way, and a board with a small receive buffer is never overrun. The answer tells the
//! coil, not the contact; a contact is proved by a sense line. How orders and answers look is a matter of the
//! board's [`Language`].

mod lcus;
mod modbus;

use std::collections::VecDeque;

use super::{DeviceTrouble, Driver, Trouble};
use crate::event::Nanos;

/// How long the board may take from an order's first bit to the end of its feedback: up to 40 ms on the
/// wire, and what a busy host adds before it hands over what has come.
pub const FEEDBACK_MAX: Nanos = Nanos::from_millis(250);
/// Orders that may wait; more means that somebody orders without letting time pass.
const ORDERS_MAX: usize = 256;

/// How orders and answers look on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// `A0 channel state checksum`.
    Lcus,
    /// Modbus RTU.
    Modbus {
        /// The board's address on its line.
        unit: u8,
    },
}

/// The same, and what it keeps of a conversation.
#[derive(Clone, Debug)]
enum Wire {
    Lcus,
    Modbus(modbus::Modbus),
}

/// What a board says.
enum Heard {
    /// The coil of a channel is so.
    Coil { channel: u8, closed: bool },
    /// It took the order; this asks for the coil.
    Taken(Vec<u8>),
    /// It did not, and why.
    Refused(String),
}

impl Wire {
    /// The bytes of an order; an answer to what was sent before is none to this.
    fn order(&mut self, channel: u8, closed: bool) -> Vec<u8> {
        match self {
            Wire::Lcus => lcus::order(channel, closed),
            Wire::Modbus(modbus) => modbus.order(channel, closed),
        }
    }

    /// Takes what the board said next out of what came; counts bytes that belong to nothing.
    fn hear(&mut self, received: &mut Vec<u8>, garbage: &mut usize) -> Option<Heard> {
        match self {
            Wire::Lcus => lcus::hear(received, garbage),
            Wire::Modbus(modbus) => modbus.hear(received, garbage),
        }
    }

    /// How long the line has to be quiet after an answer: three and a half bytes at 9600 baud end a Modbus frame.
    fn pause(&self) -> Nanos {
        match self {
            Wire::Lcus => Nanos::ZERO,
            Wire::Modbus(_) => Nanos::from_millis(4),
        }
    }

    fn patience(&self) -> Nanos {
        match self {
            Wire::Lcus => Nanos::from_millis(30),
            Wire::Modbus(_) => Nanos::from_millis(80),
        }
    }

    /// How long an order is waited for.
    fn within(&self, goal: Goal) -> Nanos {
        match goal {
            Goal::Wish | Goal::RestAgain => FEEDBACK_MAX,
            Goal::Rest | Goal::Moot => self.patience(),
        }
    }
}

/// One relay of the board, as the bench file describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relay {
    /// Its number on the wire, from 1.
    pub channel: u8,
    /// What it stands for: `key 5`, `button reset`, `door`.
    pub name: String,
    /// How long it may stay closed.
    pub longest_on: Option<Nanos>,
}

/// What the board tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// The board confirmed that the coil is in the state it was ordered to.
    Switched {
        /// The relay's number.
        channel: u8,
        /// Energised (closed) or not.
        closed: bool,
        /// When the order was given: the coil switched between this and the fact's own time.
        asked: Nanos,
    },
    /// It did not do what it was told.
    Trouble(DeviceTrouble),
}

/// The driver.
#[derive(Clone, Debug)]
pub struct RelayBoard {
    device: String,
    wire: Wire,
    relays: Vec<State>,
    waiting: VecDeque<Order>,
    under_way: Option<UnderWay>,
    outbox: Vec<u8>,
    /// What is sent when the line has been quiet for long enough.
    later: Option<(Nanos, Vec<u8>)>,
    quiet_until: Nanos,
    received: Vec<u8>,
    /// Bytes since the last order that belong to no frame.
    garbage: usize,
    facts: VecDeque<(Nanos, Fact)>,
}

#[derive(Clone, Debug)]
struct State {
    relay: Relay,
    /// The last state that was ordered; none before the first order.
    ordered: Option<bool>,
    /// The last state that the board told; none where an answer is missing.
    told: Option<bool>,
    on_since: Option<Nanos>,
}

#[derive(Clone, Copy, Debug)]
struct Order {
    relay: usize,
    closed: bool,
    asked: Nanos,
    goal: Goal,
}

/// What an order is for, and so what a missing answer means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Goal {
    /// Somebody wants it; a missing answer is trouble.
    Wish,
    /// Somebody wanted it, and then everything was to rest: the answer is of no interest.
    Moot,
    /// Rest; without an answer it is ordered again.
    Rest,
    /// Rest, for the second time; a missing answer is trouble.
    RestAgain,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    order: Order,
    /// Within which time of being sent it is to be answered.
    within: Nanos,
    /// By when; none until it has been sent.
    until: Option<Nanos>,
    /// Whether the board said that the relay is not as it was ordered.
    is_denied: bool,
}

impl RelayBoard {
    /// A board that `device` names in messages, with these relays in use.
    pub fn new(device: impl Into<String>, language: Language, relays: Vec<Relay>) -> RelayBoard {
        RelayBoard {
            device: device.into(),
            wire: match language {
                Language::Lcus => Wire::Lcus,
                Language::Modbus { unit } => Wire::Modbus(modbus::Modbus::new(unit)),
            },
            relays: relays
                .into_iter()
                .map(|relay| State {
                    relay,
                    ordered: None,
                    told: None,
                    on_since: None,
                })
                .collect(),
            waiting: VecDeque::new(),
            under_way: None,
            outbox: Vec::new(),
            later: None,
            quiet_until: Nanos::ZERO,
            received: Vec::new(),
            garbage: 0,
            facts: VecDeque::new(),
        }
    }

    /// Orders a relay to close or to open. What it says comes later, as a fact.
    pub fn set(&mut self, now: Nanos, channel: u8, closed: bool) -> Result<(), DeviceTrouble> {
        let Some(at) = self
            .relays
            .iter()
            .position(|state| state.relay.channel == channel)
        else {
            return Err(self.trouble(
                format!("switching channel {channel}"),
                Trouble::Absent,
                "the bench file uses no such channel".to_owned(),
                "name the channel under [keys], [buttons], [door] or [jam]",
            ));
        };
        if self.waiting.len() >= ORDERS_MAX {
            return Err(self.trouble(
                self.doing(at, closed),
                Trouble::Busy,
                format!("{ORDERS_MAX} orders are waiting already"),
                "let time pass between orders: each takes 10 to 40 ms",
            ));
        }
        self.order(
            Order {
                relay: at,
                closed,
                asked: now,
                goal: Goal::Wish,
            },
            false,
        );
        self.send_next(now);
        Ok(())
    }

    /// How long an order to go to rest is waited for before the next one leaves. It is given once more when all
    /// the others have been given: a board that cannot be heard may still hear.
    pub fn patience(&self) -> Nanos {
        self.wire.patience()
    }

    /// Whether everything that was ordered has been answered, or given up.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.waiting.is_empty()
    }

    /// Whether the board told that this relay is in this state, and nothing else was ordered since.
    pub fn is_known_to_be(&self, channel: u8, closed: bool) -> bool {
        let of = |order: &Order| self.relays[order.relay].relay.channel == channel;
        self.relays.iter().any(|state| {
            state.relay.channel == channel
                && state.ordered == Some(closed)
                && state.told == Some(closed)
        }) && !self.waiting.iter().any(of)
    }

    /// Orders a relay to its rest state; what waits is forgotten but for other such orders. What is under way
    /// is waited for as shortly.
    pub fn rest(&mut self, now: Nanos, channel: u8, closed: bool) {
        let mut relays = self.relays.iter();
        let Some(relay) = relays.position(|state| state.relay.channel == channel) else {
            return;
        };
        self.waiting
            .retain(|order| order.goal != Goal::Wish && order.relay != relay);
        if let Some(under_way) = &mut self.under_way
            && under_way.order.goal == Goal::Wish
        {
            under_way.order.goal = Goal::Moot;
            let patience = self.wire.patience();
            under_way.within = under_way.within.min(patience);
            under_way.until = under_way.until.map(|until| until.min(now + patience));
        }
        let order = Order {
            relay,
            closed,
            asked: now,
            goal: Goal::Rest,
        };
        self.order(order, false);
        self.send_next(now);
    }

    fn order(&mut self, order: Order, first: bool) {
        let state = &mut self.relays[order.relay];
        state.ordered = Some(order.closed);
        if order.closed {
            state.on_since.get_or_insert(order.asked);
        }
        if first {
            self.waiting.push_front(order);
        } else {
            self.waiting.push_back(order);
        }
    }

    fn send_next(&mut self, now: Nanos) {
        if self.under_way.is_some() {
            return;
        }
        let Some(order) = self.waiting.pop_front() else {
            return;
        };
        let channel = self.relays[order.relay].relay.channel;
        self.relays[order.relay].told = None;
        let bytes = self.wire.order(channel, order.closed);
        self.send(now, bytes);
        self.garbage = 0;
        self.under_way = Some(UnderWay {
            order,
            within: self.wire.within(order.goal),
            until: None,
            is_denied: false,
        });
    }

    /// Sends bytes as soon as the line has been quiet for long enough.
    fn send(&mut self, now: Nanos, bytes: Vec<u8>) {
        if self.quiet_until <= now {
            self.outbox.extend(bytes);
        } else {
            self.later = Some((self.quiet_until, bytes));
        }
    }

    fn coil(&mut self, at: Nanos, channel: u8, closed: bool) {
        let Some(under_way) = self.under_way else {
            self.unasked(at, channel, closed);
            return;
        };
        let order = under_way.order;
        if self.relays[order.relay].relay.channel != channel {
            self.unasked(at, channel, closed);
            return;
        }
        if closed != order.closed && order.goal != Goal::Wish {
            // It may be the late answer to an order before.
            self.under_way = Some(UnderWay {
                is_denied: true,
                ..under_way
            });
            return;
        }
        self.under_way = None;
        let state = &mut self.relays[order.relay];
        state.told = Some(closed);
        if !closed {
            state.on_since = None;
        }
        let fact = if closed == order.closed {
            Fact::Switched {
                channel,
                closed,
                asked: order.asked,
            }
        } else {
            Fact::Trouble(self.denied(order))
        };
        self.facts.push_back((at, fact));
        self.send_next(at);
    }

    /// The board says that it will not do what is under way.
    fn refused(&mut self, at: Nanos, why: String) {
        let Some(UnderWay { order, .. }) = self.under_way.take() else {
            return;
        };
        match order.goal {
            Goal::Moot => {}
            Goal::Rest => {
                let goal = Goal::RestAgain;
                self.waiting.push_back(Order { goal, ..order });
            }
            Goal::Wish | Goal::RestAgain => {
                let doing = self.doing(order.relay, order.closed);
                let hint = "has the board that many relays, and is its address on the line right?";
                let trouble = self.trouble(doing, Trouble::Refused, why, hint);
                self.facts.push_back((at, Fact::Trouble(trouble)));
            }
        }
        self.send_next(at);
    }

    /// Feedback that nobody waits for. A late answer that says what is known already is no news.
    fn unasked(&mut self, at: Nanos, channel: u8, closed: bool) {
        let Some(place) = self
            .relays
            .iter()
            .position(|state| state.relay.channel == channel)
        else {
            self.garbage += 1;
            return;
        };
        let state = &mut self.relays[place];
        state.told = Some(closed);
        if state.ordered == Some(closed) {
            return;
        }
        // An order for it may wait behind another one: then this is news of the state before.
        if self.waiting.iter().any(|order| order.relay == place) {
            return;
        }
        let fact = Fact::Trouble(self.trouble(
            format!("leaving {} alone", self.named(place)),
            Trouble::Refused,
            format!("the board says by itself that it is {}", word(closed)),
            "does another program or a button on the board switch relays?",
        ));
        self.facts.push_back((at, fact));
    }

    fn denied(&self, order: Order) -> DeviceTrouble {
        self.trouble(
            self.doing(order.relay, order.closed),
            Trouble::Refused,
            format!("the board answers that it is {}", word(!order.closed)),
            "is the board's coil supply strong enough for every relay that is closed?",
        )
    }

    fn give_up(&mut self, now: Nanos) {
        let is_late = |under_way: &mut UnderWay| under_way.until.is_some_and(|until| until <= now);
        let Some(under_way) = self.under_way.take_if(is_late) else {
            return;
        };
        let order = under_way.order;
        if let Goal::Rest | Goal::Moot = order.goal {
            if order.goal == Goal::Rest {
                let goal = Goal::RestAgain;
                self.waiting.push_back(Order { goal, ..order });
            }
            return self.send_next(now);
        }
        if under_way.is_denied {
            let trouble = self.denied(order);
            self.facts.push_back((now, Fact::Trouble(trouble)));
            return self.send_next(now);
        }
        let doing = self.doing(order.relay, order.closed);
        let rest = self.garbage + self.received.len();
        let trouble = if rest == 0 {
            self.trouble(
                doing,
                Trouble::Silent,
                format!("no feedback within {}", show(FEEDBACK_MAX)),
                "has the board power, does it speak the form with feedback, is the baud rate right?",
            )
        } else {
            self.trouble(
                doing,
                Trouble::Garbled,
                format!(
                    "{rest} bytes within {}, and no feedback among them",
                    show(FEEDBACK_MAX)
                ),
                "is this the relay board's port, and is its baud rate right?",
            )
        };
        self.received.clear();
        self.facts.push_back((now, Fact::Trouble(trouble)));
        self.send_next(now);
    }

    /// Opens what has been closed for too long.
    fn enforce_longest_on(&mut self, now: Nanos) {
        for place in 0..self.relays.len() {
            let state = &mut self.relays[place];
            let (Some(since), Some(longest)) = (state.on_since, state.relay.longest_on) else {
                continue;
            };
            if state.ordered == Some(false) || since + longest > now {
                continue;
            }
            self.waiting.retain(|order| order.relay != place);
            self.order(
                Order {
                    relay: place,
                    closed: false,
                    asked: now,
                    goal: Goal::Wish,
                },
                true,
            );
            let trouble = self.trouble(
                format!("keeping {} closed", self.named(place)),
                Trouble::Overrun,
                format!(
                    "it was closed for {}, its longest on-time; it has been opened",
                    show(longest)
                ),
                "shorten the hold in the scenario, or raise 'longest-on' in the bench file",
            );
            self.facts.push_back((now, Fact::Trouble(trouble)));
            self.send_next(now);
        }
    }

    fn named(&self, place: usize) -> String {
        let relay = &self.relays[place].relay;
        format!("'{}' (channel {})", relay.name, relay.channel)
    }

    fn doing(&self, place: usize, closed: bool) -> String {
        format!(
            "{} {}",
            if closed { "closing" } else { "opening" },
            self.named(place)
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

impl Driver for RelayBoard {
    type Fact = Fact;

    fn receive(&mut self, at: Nanos, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
        while let Some(heard) = self.wire.hear(&mut self.received, &mut self.garbage) {
            self.quiet_until = at + self.wire.pause();
            match heard {
                Heard::Coil { channel, closed } => self.coil(at, channel, closed),
                Heard::Taken(question) => {
                    if let Some(under_way) = &mut self.under_way
                        && let Some(until) = under_way.until.take()
                    {
                        under_way.within = until.since(at);
                    }
                    self.send(at, question);
                }
                Heard::Refused(why) => self.refused(at, why),
            }
        }
    }

    fn tick(&mut self, now: Nanos) {
        if let Some((_, bytes)) = self.later.take_if(|(at, _)| *at <= now) {
            self.outbox.extend(bytes);
        }
        self.give_up(now);
        self.enforce_longest_on(now);
    }

    fn deadline(&self) -> Option<Nanos> {
        let on_times = self.relays.iter().filter_map(|state| {
            let longest = state.relay.longest_on?;
            let since = state.on_since?;
            (state.ordered == Some(true)).then_some(since + longest)
        });
        let under_way = self
            .under_way
            .iter()
            .filter_map(|under_way| under_way.until);
        let later = self.later.iter().map(|(at, _)| *at);
        under_way.chain(later).chain(on_times).min()
    }

    fn outbox(&mut self, now: Nanos) -> Vec<u8> {
        if !self.outbox.is_empty()
            && let Some(under_way) = &mut self.under_way
        {
            under_way.until.get_or_insert(now + under_way.within);
        }
        std::mem::take(&mut self.outbox)
    }

    fn fact(&mut self) -> Option<(Nanos, Fact)> {
        self.facts.pop_front()
    }
}

fn word(closed: bool) -> &'static str {
    if closed { "closed" } else { "open" }
}

fn show(span: Nanos) -> String {
    span.to_string()
}

#[cfg(test)]
mod tests {
    use super::{Driver, FEEDBACK_MAX, Fact, Language, Relay, RelayBoard};
    use crate::driver::Trouble;
    use crate::event::Nanos;

    const MS: fn(u64) -> Nanos = Nanos::from_millis;
    const PATIENCE: Nanos = Nanos::from_millis(30);

    fn board(longest_on: Option<Nanos>) -> RelayBoard {
        speaking(Language::Lcus, longest_on)
    }

    fn speaking(language: Language, longest_on: Option<Nanos>) -> RelayBoard {
        let relay = |channel, name: &str| Relay {
            channel,
            name: name.to_owned(),
            longest_on,
        };
        RelayBoard::new(
            "relay board",
            language,
            vec![relay(5, "key 5"), relay(13, "button reset")],
        )
    }

    fn kinds(board: &mut RelayBoard) -> Vec<Trouble> {
        std::iter::from_fn(|| board.fact())
            .filter_map(|(_, fact)| match fact {
                Fact::Trouble(trouble) => Some(trouble.what),
                Fact::Switched { .. } => None,
            })
            .collect()
    }

    #[test]
    fn an_order_is_confirmed_by_its_feedback_and_the_next_one_leaves_then() {
        let mut board = board(None);
        board.set(MS(1), 5, true).expect("channel 5 is in use");
        board.set(MS(1), 13, true).expect("channel 13 is in use");
        assert_eq!(board.outbox(Nanos::ZERO), [0xA0, 5, 3, 0xA8]);
        board.receive(MS(8), &[0xA0, 5]);
        assert_eq!(board.fact(), None);
        board.receive(MS(10), &[1, 0xA6]);
        let switched = Fact::Switched {
            channel: 5,
            closed: true,
            asked: MS(1),
        };
        assert_eq!(board.fact(), Some((MS(10), switched)));
        assert!(board.is_known_to_be(5, true) && !board.is_idle());
        assert_eq!(board.outbox(Nanos::ZERO), [0xA0, 13, 3, 0xB0]);
    }

    #[test]
    fn what_was_told_before_is_not_believed_while_other_orders_wait() {
        let mut board = board(None);
        board.set(MS(0), 5, false).expect("channel 5 is in use");
        board.receive(MS(9), &[0xA0, 5, 0, 0xA5]);
        assert!(board.is_known_to_be(5, false));
        for (channel, closed) in [(13, true), (5, true), (5, false)] {
            let ordered = board.set(MS(10), channel, closed);
            ordered.expect("the channel is in use");
        }
        assert!(!board.is_known_to_be(5, false));
        board.receive(MS(20), &[0xA0, 13, 1, 0xAE]);
        board.receive(MS(30), &[0xA0, 5, 1, 0xA6]);
        assert!(!board.is_known_to_be(5, true));
        board.receive(MS(40), &[0xA0, 5, 0, 0xA5]);
        assert!(board.is_known_to_be(5, false));
    }

    #[test]
    fn garbage_before_and_around_a_frame_is_skipped() {
        let mut board = board(None);
        board.set(MS(0), 5, false).expect("channel 5 is in use");
        board.receive(MS(3), &[0x13, 0xA0, 5, 0xA0, 5, 1, 0xFF, 0xA0]);
        assert_eq!(board.fact(), None);
        board.receive(MS(9), &[5, 0, 0xA5]);
        assert!(matches!(
            board.fact(),
            Some((_, Fact::Switched { closed: false, .. }))
        ));
    }

    #[test]
    fn a_silent_board_and_a_babbling_one_are_told_apart() {
        let mut board = board(None);
        board.set(MS(0), 5, true).expect("channel 5 is in use");
        assert_eq!(board.deadline(), None, "it has not been asked yet");
        // What led to the order was long ago when it was handed over.
        board.outbox(MS(1_000));
        assert_eq!(board.deadline(), Some(MS(1_000) + FEEDBACK_MAX));
        board.tick(MS(1_249));
        assert_eq!(board.fact(), None);
        board.tick(MS(1_250));
        let Some((_, Fact::Trouble(trouble))) = board.fact() else {
            panic!("no trouble from a silent board");
        };
        assert_eq!(
            trouble.to_string(),
            "relay board: closing 'key 5' (channel 5): no feedback within 250 ms"
        );
        board.set(MS(2_000), 5, true).expect("channel 5 is in use");
        board.outbox(MS(2_000));
        board.receive(MS(2_010), b"login:");
        board.tick(MS(2_250));
        assert_eq!(kinds(&mut board), [Trouble::Garbled]);
        assert!(board.is_idle());
    }

    #[test]
    fn a_coil_that_stays_open_is_refused_and_one_that_moves_by_itself_too() {
        let mut board = board(None);
        board.set(MS(0), 5, true).expect("channel 5 is in use");
        board.receive(MS(9), &[0xA0, 5, 0, 0xA5]);
        assert_eq!(kinds(&mut board), [Trouble::Refused]);
        board.set(MS(10), 13, false).expect("channel 13 is in use");
        board.receive(MS(19), &[0xA0, 13, 0, 0xAD, 0xA0, 13, 1, 0xAE]);
        assert_eq!(kinds(&mut board), [Trouble::Refused]);
    }

    #[test]
    fn a_relay_that_is_closed_for_too_long_is_opened() {
        let mut board = board(Some(MS(500)));
        board.set(MS(0), 5, true).expect("channel 5 is in use");
        board.receive(MS(9), &[0xA0, 5, 1, 0xA6]);
        // Asking again must not start the time anew.
        board.set(MS(400), 5, true).expect("channel 5 is in use");
        board.receive(MS(409), &[0xA0, 5, 1, 0xA6]);
        board.outbox(MS(409));
        assert_eq!(board.deadline(), Some(MS(500)));
        board.tick(MS(500));
        assert_eq!(board.outbox(MS(500)), [0xA0, 5, 2, 0xA7]);
        assert_eq!(kinds(&mut board), [Trouble::Overrun]);
        assert_eq!(
            board.deadline(),
            Some(MS(750)),
            "only the feedback is waited for"
        );
        board.receive(MS(509), &[0xA0, 5, 0, 0xA5]);
        assert_eq!(board.deadline(), None);
    }

    #[test]
    fn a_channel_that_the_bench_does_not_use_is_never_switched() {
        let mut board = board(None);
        let trouble = board
            .set(MS(0), 7, true)
            .expect_err("channel 7 is in nobody's use");
        assert_eq!(trouble.what, Trouble::Absent);
        assert!(board.outbox(Nanos::ZERO).is_empty());
    }

    #[test]
    fn on_the_way_to_rest_nobody_waits_long_for_an_answer() {
        let mut board = board(None);
        board.set(MS(0), 5, true).expect("channel 5 is in use");
        board.outbox(Nanos::ZERO);
        board.rest(MS(1), 5, false);
        board.rest(MS(1), 13, false);
        assert!(
            board.outbox(Nanos::ZERO).is_empty(),
            "an order is under way"
        );
        // The answer to it comes late, and is not taken for one to what follows.
        board.tick(MS(1) + PATIENCE);
        assert_eq!(board.outbox(Nanos::ZERO), [0xA0, 5, 2, 0xA7]);
        board.receive(MS(32), &[0xA0, 5, 1, 0xA6]);
        board.tick(MS(31) + PATIENCE);
        assert_eq!(board.outbox(Nanos::ZERO), [0xA0, 13, 2, 0xAF]);
        board.receive(MS(70), &[0xA0, 13, 0, 0xAD]);
        assert!(board.is_known_to_be(13, false));
        // What was not answered is ordered again.
        assert_eq!(board.outbox(Nanos::ZERO), [0xA0, 5, 2, 0xA7]);
        assert!(!board.is_known_to_be(5, false));
        board.receive(MS(80), &[0xA0, 5, 0, 0xA5]);
        assert!(board.is_known_to_be(5, false) && board.is_idle());
        assert_eq!(kinds(&mut board), []);
    }

    #[test]
    fn a_board_that_stays_silent_on_the_way_to_rest_is_trouble_in_the_end() {
        let mut board = board(None);
        board.rest(MS(0), 5, false);
        board.rest(MS(0), 13, false);
        let mut orders = board.outbox(Nanos::ZERO).len() / 4;
        while let Some(next) = board.deadline() {
            board.tick(next);
            orders += board.outbox(Nanos::ZERO).len() / 4;
        }
        assert_eq!(orders, 4, "each twice");
        assert_eq!(kinds(&mut board), [Trouble::Silent, Trouble::Silent]);
    }
    // What another program makes of these frames is in tests/modbus.rs.
    const CLOSE_5: [u8; 8] = [1, 5, 0, 4, 0xFF, 0, 0xCD, 0xFB];
    const ASK_5: [u8; 8] = [1, 1, 0, 4, 0, 1, 0xBC, 0x0B];
    const IS_CLOSED: [u8; 6] = [1, 1, 1, 1, 0x90, 0x48];
    const IS_OPEN: [u8; 6] = [1, 1, 1, 0, 0x51, 0x88];
    const NO_SUCH_COIL: [u8; 5] = [1, 0x85, 2, 0xC3, 0x51];

    fn modbus() -> RelayBoard {
        let mut board = speaking(Language::Modbus { unit: 1 }, None);
        board.set(MS(0), 5, true).expect("channel 5 is in use");
        assert_eq!(board.outbox(Nanos::ZERO), CLOSE_5);
        board
    }

    #[test]
    fn a_coil_is_read_back_before_it_is_believed() {
        let mut board = modbus();
        board.receive(MS(10), &CLOSE_5[..3]);
        board.receive(MS(15), &CLOSE_5[3..]);
        assert_eq!(
            (board.outbox(Nanos::ZERO), board.fact()),
            (Vec::new(), None)
        );
        assert_eq!(board.deadline(), Some(MS(19)), "the line is to be quiet");
        // It is handed over late: the time that was left to the order is left to the question.
        board.tick(MS(400));
        assert_eq!(board.outbox(MS(400)), ASK_5);
        assert_eq!(board.deadline(), Some(MS(400 + 235)));
        board.set(MS(410), 13, false).expect("channel 13 is in use");
        board.receive(MS(435), &IS_CLOSED);
        let (asked, closed, channel) = (MS(0), true, 5);
        let switched = Fact::Switched {
            channel,
            closed,
            asked,
        };
        assert_eq!(board.fact(), Some((MS(435), switched)));
        assert!(
            board.outbox(Nanos::ZERO).is_empty(),
            "the line is to be quiet"
        );
        board.tick(MS(439));
        assert_eq!(board.outbox(Nanos::ZERO)[..6], [1, 5, 0, 12, 0, 0]);
    }

    #[test]
    fn a_coil_that_did_not_move_and_one_that_is_not_there_are_refused() {
        let mut board = modbus();
        board.receive(MS(10), &CLOSE_5);
        board.receive(MS(30), &IS_OPEN);
        assert_eq!(kinds(&mut board), [Trouble::Refused]);
        let mut board = modbus();
        board.receive(MS(10), &NO_SUCH_COIL);
        let Some((_, Fact::Trouble(trouble))) = board.fact() else {
            panic!("the board said no");
        };
        assert_eq!(
            trouble.to_string(),
            "relay board: closing 'key 5' (channel 5): the board answers with the exception IllegalDataAddress"
        );
        assert!(board.is_idle());
    }

    #[test]
    fn what_is_no_answer_to_what_was_asked_is_none() {
        // Another coil's echo, an echo with a wrong checksum, and the answer to what nobody asked yet.
        let mut board = modbus();
        let mut wrong = CLOSE_5;
        wrong[7] ^= 1;
        board.receive(MS(10), &[1, 5, 0, 4, 0, 0, 0x8C, 0x0B]);
        board.receive(MS(20), &wrong);
        board.receive(MS(30), &IS_CLOSED);
        assert_eq!(board.fact(), None);
        board.receive(MS(40), &CLOSE_5);
        board.receive(MS(60), &IS_CLOSED);
        assert!(board.is_known_to_be(5, true));
        let mut board = modbus();
        board.receive(MS(10), b"login:");
        board.tick(FEEDBACK_MAX);
        assert_eq!(kinds(&mut board), [Trouble::Garbled]);
    }
}
