//! A sense board: a microcontroller board that runs StandardFirmata (protocol 2), such as an Arduino
//! Uno, its digital pins wired to the lines of the board under test.
//!
//! The driver asks for the version until the board answers (many boards start anew when their port is
//! opened, and take some seconds), makes the pins that are used inputs, and has their ports reported.
//! From then on the board tells every change. An edge has the time at which its report arrived: later
//! than it happened by one round of the sketch's loop, three bytes on the wire, and what adapter and
//! system add. The bench file's `uncertainty` has to cover that.
//!
//! The protocol has no checksums and numbers nothing, so the driver asks: for a port's levels after every change,
//! and several times a second. A level counts once two messages in a row agree on it, from the first of them on:
//! bytes that were changed on the way make no edge, nor does what is shorter than a question and its answer.
//! A byte that became a reset on the way makes outputs of all pins, and those read low. So the board says several
//! times a second, and before a pin is believed to be low, whether the port's pins are still inputs.
//! Bytes that are no message, an answer that does not come, a report without news mean that the board does not
//! tell what its pins do, and no verdict may stand on it.

use std::collections::{BTreeMap, VecDeque};

use super::{DeviceTrouble, Driver, Trouble};
use crate::event::Nanos;

/// Digital pins that the protocol can name.
pub const PINS: u8 = 128;
/// How long a board may take to start and answer.
pub const START_MAX: Nanos = Nanos::from_millis(4_500);
/// How long between two questions whether it has started.
const ASK_AGAIN: Nanos = Nanos::from_millis(500);
/// How often each port is asked for its levels.
const ASK_EVERY: Nanos = Nanos::from_millis(50);
/// The same until it has confirmed a change.
const ASK_AGAIN_EVERY: Nanos = Nanos::from_millis(10);
/// How long the board may take for an answer.
pub const ANSWER_MAX: Nanos = Nanos::from_millis(250);
/// The longest message that is kept; the name of its firmware is longer than anything that matters.
const MESSAGE_MAX: usize = 256;

const DIGITAL_MESSAGE: u8 = 0x90;
const ANALOG_MESSAGE: u8 = 0xe0;
const REPORT_DIGITAL: u8 = 0xd0;
const SYSEX: u8 = 0xf0;
const SYSEX_END: u8 = 0xf7;
const SET_PIN_MODE: u8 = 0xf4;
const VERSION: u8 = 0xf9;
const PIN_STATE: u8 = 0x6d;
const PIN_STATE_ANSWER: u8 = 0x6e;
const INPUT: u8 = 0;
/// The protocol that is spoken here.
const PROTOCOL: u8 = 2;

/// What the board tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// A pin changed.
    Edge {
        /// This one.
        pin: u8,
        /// To this level.
        high: bool,
    },
    /// It did not do what it was told.
    Trouble(DeviceTrouble),
}

/// The driver.
#[derive(Clone, Debug)]
pub struct Firmata {
    device: String,
    /// The pins that are used.
    pins: BTreeMap<u8, Pin>,
    /// Their ports.
    ports: BTreeMap<u8, Port>,
    stage: Stage,
    outbox: Vec<u8>,
    /// When the first of these questions was asked.
    unsent: Option<Nanos>,
    message: Vec<u8>,
    /// Bytes that belong to no message.
    garbage: usize,
    facts: VecDeque<(Nanos, Fact)>,
}

/// What is known of a pin.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Pin {
    /// Its level, as two messages agreed on it; none until the board told it.
    level: Option<bool>,
    /// Its level in the last message, and since when messages say so.
    heard: bool,
    since: Nanos,
}

/// What a port was asked.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Port {
    /// Since when nothing has confirmed its levels; none while they are confirmed.
    open_since: Option<Nanos>,
    /// Answers that may come. One that told a change is not known from a report, so some of them may not.
    owed: u32,
    /// When it is asked next.
    next: Nanos,
    /// Whether a question for its levels has not left yet.
    is_unsent: bool,
    /// Questions whether its pins are inputs: when each was asked, and the edges that wait for its answer.
    unsure: VecDeque<(Nanos, Vec<(Nanos, Fact)>)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Nothing was asked yet.
    Apart,
    /// Asked for the version.
    Asked { again: Nanos, until: Nanos },
    /// Asked for reports of the ports; some have not come yet.
    Reporting { until: Nanos },
    /// Every pin's level is known.
    Known,
    /// It did not answer.
    GivenUp,
}

impl Port {
    /// What was asked at `unsent` or later leaves only now.
    fn sent(&mut self, unsent: Nanos, now: Nanos) {
        let late = now.since(unsent);
        for (asked, _) in &mut self.unsure {
            if *asked >= unsent {
                *asked += late;
            }
        }
        if self.is_unsent {
            self.is_unsent = false;
            self.next = self.next.max(now);
            // Also if it was open before: nobody could ask again meanwhile.
            if let Some(since) = &mut self.open_since {
                *since += late;
            }
        }
    }

    /// Since when an answer is awaited; none while there is no question.
    fn waits_since(&self) -> Option<Nanos> {
        let unsure = self.unsure.front().map(|(asked, _)| *asked);
        self.open_since.into_iter().chain(unsure).min()
    }
}

impl Firmata {
    /// A board that `device` names in messages, with these pins in use.
    pub fn new(device: impl Into<String>, pins: impl IntoIterator<Item = u8>) -> Firmata {
        let pins: BTreeMap<u8, Pin> = pins.into_iter().map(|pin| (pin, Pin::default())).collect();
        Firmata {
            device: device.into(),
            ports: pins.keys().map(|pin| (pin / 8, Port::default())).collect(),
            pins,
            stage: Stage::Apart,
            outbox: Vec::new(),
            unsent: None,
            message: Vec::new(),
            garbage: 0,
            facts: VecDeque::new(),
        }
    }

    /// Finds the board and has its pins reported.
    pub fn connect(&mut self, now: Nanos) {
        self.outbox.push(VERSION);
        self.stage = Stage::Asked {
            again: now + ASK_AGAIN,
            until: now + START_MAX,
        };
    }

    /// Whether every level is known and confirmed, or the board was given up.
    pub fn is_idle(&self) -> bool {
        match self.stage {
            Stage::GivenUp => true,
            Stage::Known => self.ports.values().all(|port| port.waits_since().is_none()),
            _ => false,
        }
    }

    /// The level that the board told last; none before it told any.
    pub fn level(&self, pin: u8) -> Option<bool> {
        self.pins.get(&pin)?.level
    }

    /// Bytes that belong to no message; once the board is known there must be none.
    fn waste(&mut self, at: Nanos, count: usize) {
        self.garbage += count;
        if count > 0 && self.stage == Stage::Known {
            let trouble = self.trouble(
                Trouble::Garbled,
                format!("{count} bytes that are no message"),
                "bytes were lost or changed on the way: check cable, adapter and baud rate",
            );
            self.give_up(at, trouble);
        }
    }

    fn byte(&mut self, at: Nanos, byte: u8) {
        let in_sysex = self.message.first() == Some(&SYSEX);
        if in_sysex && byte == SYSEX_END {
            let message = std::mem::take(&mut self.message);
            self.exclusive(at, &message[1..]);
            return;
        }
        if byte >= 0x80 && !in_sysex {
            self.waste(at, self.message.len());
            self.message.clear();
        }
        if self.message.is_empty() && byte < 0x80 || self.message.len() >= MESSAGE_MAX {
            self.waste(at, self.message.len() + 1);
            self.message.clear();
            return;
        }
        self.message.push(byte);
        let [command, low, high] = self.message[..] else {
            return;
        };
        match command {
            SYSEX => return,
            VERSION => self.version(at, low, high),
            command if command & 0xf0 == DIGITAL_MESSAGE => {
                self.report(at, command & 0x0f, low | high << 7);
            }
            command if command & 0xf0 == ANALOG_MESSAGE => {}
            _ => self.waste(at, self.message.len()),
        }
        self.message.clear();
    }

    /// A system-exclusive message: what a pin is. Names and capabilities are not needed here.
    fn exclusive(&mut self, at: Nanos, message: &[u8]) {
        if message.iter().any(|byte| *byte >= 0x80) {
            // Its end was lost, and what follows is in it.
            return self.waste(at, message.len());
        }
        let [PIN_STATE_ANSWER, pin, mode, ..] = *message else {
            return;
        };
        let Some(port) = self.ports.get_mut(&(pin / 8)) else {
            return;
        };
        if mode == INPUT {
            let (_, sure) = port.unsure.pop_front().unwrap_or_default();
            self.facts.extend(sure);
        } else {
            let trouble = self.trouble(
                Trouble::Lost,
                format!("pin {pin} is no input any more: it was reset"),
                "bytes were changed on the way, or another program uses its port",
            );
            self.give_up(at, trouble);
        }
    }

    /// The board said which protocol it speaks, by itself after a start or because it was asked.
    fn version(&mut self, at: Nanos, major: u8, minor: u8) {
        if major != PROTOCOL {
            let trouble = self.trouble(
                Trouble::Garbled,
                format!("it speaks version {major}.{minor} of the protocol"),
                "load StandardFirmata of protocol 2 onto the board",
            );
            self.give_up(at, trouble);
            return;
        }
        let until = match self.stage {
            Stage::Asked { until, .. } => until,
            Stage::Reporting { .. } => return,
            // Its pins are outputs again, and what they did meanwhile nobody knows.
            Stage::Known => {
                let trouble = self.trouble(
                    Trouble::Lost,
                    "it started anew".to_owned(),
                    "is its supply steady? does another program open its port?",
                );
                self.give_up(at, trouble);
                return;
            }
            Stage::Apart | Stage::GivenUp => return,
        };
        for pin in self.pins.keys() {
            self.outbox.extend([SET_PIN_MODE, *pin, INPUT]);
        }
        for port in self.ports.keys() {
            self.outbox.extend([REPORT_DIGITAL | port, 1]);
        }
        self.stage = Stage::Reporting { until };
        self.settle(at);
    }

    /// The levels of a port's pins.
    fn report(&mut self, at: Nanos, port: u8, levels: u8) {
        if !matches!(self.stage, Stage::Reporting { .. } | Stage::Known) {
            return;
        }
        let was_known = self.stage == Stage::Known;
        let mut is_news = false;
        let mut edges = Vec::new();
        for (pin, known) in &mut self.pins {
            if pin / 8 != port {
                continue;
            }
            let high = levels >> (pin % 8) & 1 == 1;
            if known.level.is_none() {
                // The first report says how things were found.
                (known.level, known.heard) = (Some(high), high);
            } else if high != known.heard {
                (known.heard, known.since) = (high, at);
                is_news = true;
            } else if known.level != Some(high) {
                known.level = Some(high);
                edges.push((known.since, Fact::Edge { pin: *pin, high }));
            }
        }
        edges.sort_by_key(|(since, _)| *since);
        self.tell(at, port, edges);
        if was_known {
            self.answered(at, port, is_news);
        } else {
            self.settle(at);
        }
    }

    /// Tells edges on which the board has agreed: at once, or when its pins are known to be inputs.
    fn tell(&mut self, now: Nanos, port: u8, edges: Vec<(Nanos, Fact)>) {
        let falls = |(_, fact): &(Nanos, Fact)| matches!(fact, Fact::Edge { high: false, .. });
        let unsure = self.ports.get_mut(&port).map(|port| &mut port.unsure);
        if edges.iter().any(falls) {
            self.ask_for_inputs(now, port, edges);
        } else if let Some((_, before)) = unsure.and_then(|unsure| unsure.back_mut()) {
            before.extend(edges);
        } else {
            self.facts.extend(edges);
        }
    }

    /// Asks whether a port's pins are inputs, one for all of them; `edges` wait for the answer.
    fn ask_for_inputs(&mut self, now: Nanos, port: u8, edges: Vec<(Nanos, Fact)>) {
        let pin = self.pins.keys().find(|pin| **pin / 8 == port);
        if let (Some(pin), Some(known)) = (pin, self.ports.get_mut(&port)) {
            known.unsure.push_back((now, edges));
            self.unsent.get_or_insert(now);
            self.outbox.extend([SYSEX, PIN_STATE, *pin, SYSEX_END]);
        }
    }

    /// A port told its levels, because it was asked or because one changed.
    fn answered(&mut self, at: Nanos, port: u8, is_news: bool) {
        let Some(known) = self.ports.get_mut(&port) else {
            return;
        };
        if is_news {
            known.open_since.get_or_insert(at);
            if known.owed < 2 {
                self.ask(at, port);
            }
        } else if known.owed > 0 {
            known.owed -= 1;
            known.open_since = None;
            known.next = known.next.max(at + ASK_EVERY);
        } else {
            let trouble = self.trouble(
                Trouble::Garbled,
                "it told a change, and nothing had changed: the report before was lost".to_owned(),
                "bytes were lost on the way: check cable and adapter",
            );
            self.give_up(at, trouble);
        }
    }

    /// Asks a port for its levels.
    fn ask(&mut self, now: Nanos, port: u8) {
        if let Some(known) = self.ports.get_mut(&port) {
            if known.open_since.is_none() {
                // What could come of questions before has come.
                known.owed = 0;
            }
            known.open_since.get_or_insert(now);
            known.owed += 1;
            known.next = now + ASK_AGAIN_EVERY;
            known.is_unsent = true;
            self.unsent.get_or_insert(now);
            self.outbox.extend([REPORT_DIGITAL | port, 1]);
        }
    }

    /// Looks after answers that are missing, and questions that are due.
    fn check(&mut self, now: Nanos) {
        let is_late = |since: Nanos| since + ANSWER_MAX <= now;
        let mut waits = self.ports.values().filter_map(Port::waits_since);
        if waits.any(is_late) {
            let trouble = self.trouble(
                Trouble::Silent,
                format!("no answer within {ANSWER_MAX}"),
                "has it lost its power? check cable and adapter",
            );
            return self.give_up(now, trouble);
        }
        let due = self.ports.iter().filter(|(_, port)| port.next <= now);
        let due: Vec<u8> = due.map(|(port, _)| *port).collect();
        for port in due {
            self.ask(now, port);
            self.ask_for_inputs(now, port, Vec::new());
        }
    }

    fn settle(&mut self, at: Nanos) {
        let is_told = |pin: &Pin| pin.level.is_some();
        if matches!(self.stage, Stage::Reporting { .. }) && self.pins.values().all(is_told) {
            self.stage = Stage::Known;
            for port in self.ports.values_mut() {
                port.next = at + ASK_EVERY;
            }
        }
    }

    fn give_up(&mut self, now: Nanos, trouble: DeviceTrouble) {
        self.stage = Stage::GivenUp;
        self.facts.push_back((now, Fact::Trouble(trouble)));
    }

    fn trouble(&self, what: Trouble, saw: String, hint: &str) -> DeviceTrouble {
        DeviceTrouble {
            device: self.device.clone(),
            doing: "having its pins reported".to_owned(),
            what,
            saw,
            hint: hint.to_owned(),
        }
    }
}

impl Driver for Firmata {
    type Fact = Fact;

    fn receive(&mut self, at: Nanos, bytes: &[u8]) {
        for byte in bytes {
            self.byte(at, *byte);
        }
    }

    fn tick(&mut self, now: Nanos) {
        let until = match self.stage {
            Stage::Asked { until, .. } | Stage::Reporting { until } => until,
            Stage::Known => return self.check(now),
            _ => return,
        };
        if until <= now {
            let trouble = match self.garbage {
                0 => self.trouble(
                    Trouble::Silent,
                    format!("no answer within {START_MAX}"),
                    "does StandardFirmata run on it? is the baud rate right (57600)?",
                ),
                count => self.trouble(
                    Trouble::Garbled,
                    format!("{count} bytes that are no message"),
                    "is the baud rate right (57600)? is it the sense board's port?",
                ),
            };
            self.give_up(now, trouble);
        } else if let Stage::Asked { again, until } = self.stage
            && again <= now
        {
            self.outbox.push(VERSION);
            self.stage = Stage::Asked {
                again: now + ASK_AGAIN,
                until,
            };
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        match self.stage {
            Stage::Asked { again, until } => Some(again.min(until)),
            Stage::Reporting { until } => Some(until),
            Stage::Known => {
                let ports = self.ports.values();
                let ports = ports.map(|port| match port.waits_since() {
                    Some(since) => port.next.min(since + ANSWER_MAX),
                    None => port.next,
                });
                ports.min()
            }
            _ => None,
        }
    }

    fn outbox(&mut self, now: Nanos) -> Vec<u8> {
        if let Some(unsent) = self.unsent.take() {
            for port in self.ports.values_mut() {
                port.sent(unsent, now);
            }
        }
        std::mem::take(&mut self.outbox)
    }

    fn fact(&mut self) -> Option<(Nanos, Fact)> {
        self.facts.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::{ANSWER_MAX, ASK_AGAIN, Driver, Fact, Firmata, START_MAX, Trouble};
    use crate::event::Nanos;

    const VERSION: [u8; 3] = [0xf9, 2, 5];

    fn facts(board: &mut Firmata) -> Vec<(u64, Fact)> {
        std::iter::from_fn(|| board.fact())
            .map(|(at, fact)| (at.0, fact))
            .collect()
    }

    fn known() -> Firmata {
        let mut board = Firmata::new("sense board", [2, 9, 10]);
        board.connect(Nanos(0));
        board.receive(Nanos(1), &VERSION);
        board.receive(Nanos(2), &[0x90, 0x04, 0, 0x91, 0, 0]);
        assert!(board.is_idle());
        board.outbox(Nanos::ZERO);
        board
    }

    #[test]
    fn a_board_that_starts_late_is_asked_again_and_then_told_what_to_report() {
        let mut board = Firmata::new("sense board", [2, 9, 10]);
        board.connect(Nanos(0));
        assert_eq!(board.outbox(Nanos::ZERO), [0xf9]);
        board.tick(ASK_AGAIN);
        assert_eq!(board.outbox(Nanos::ZERO), [0xf9]);
        assert_eq!(board.deadline(), Some(ASK_AGAIN + ASK_AGAIN));
        // What a starting board says by itself: half a message, its version, its name.
        board.receive(Nanos(9), &[0x33, 0xf9, 2]);
        board.receive(Nanos(9), &[5, 0xf0, 0x79, 2, 5, b'S', 0, 0xf7, 0xf9, 2, 5]);
        assert_eq!(
            board.outbox(Nanos::ZERO),
            [0xf4, 2, 0, 0xf4, 9, 0, 0xf4, 10, 0, 0xd0, 1, 0xd1, 1]
        );
        assert_eq!(board.level(2), None);
        board.receive(Nanos(10), &[0x90, 0x04, 0]);
        assert!(!board.is_idle(), "the second port has not been told");
        board.receive(Nanos(10), &[0x91, 0x02, 0]);
        assert!(board.is_idle());
        assert_eq!((board.level(2), board.level(10)), (Some(true), Some(false)));
        assert_eq!(facts(&mut board), [], "so it was found");
    }

    #[test]
    fn a_change_is_told_once_with_the_time_of_its_report() {
        let mut board = known();
        board.receive(Nanos(20), &[0x91, 0x06]);
        assert_eq!(facts(&mut board), []);
        board.receive(Nanos(30), &[1, 0xe0, 0, 0]);
        let edge = |pin, high| (30, Fact::Edge { pin, high });
        assert_eq!(facts(&mut board), []);
        assert_eq!(board.outbox(Nanos::ZERO), [0xd1, 1], "is it so?");
        assert!(!board.is_idle());
        board.receive(Nanos(40), &[0x91, 0x06, 1]);
        assert_eq!(facts(&mut board), [edge(9, true), edge(10, true)]);
        assert!(board.is_idle());
        // What the next message denies was never so.
        board.receive(Nanos(50), &[0x91, 0x04, 1]);
        board.receive(Nanos(60), &[0x91, 0x06, 1]);
        board.receive(Nanos(70), &[0x91, 0x06, 1]);
        assert_eq!(facts(&mut board), []);
    }

    #[test]
    fn a_pin_is_believed_to_be_low_once_it_is_known_to_be_an_input() {
        let mut board = known();
        let edge = |at, pin, high| (at, Fact::Edge { pin, high });
        board.receive(Nanos(10), &[0x90, 0, 0]);
        board.outbox(Nanos::ZERO);
        board.receive(Nanos(20), &[0x90, 0, 0]);
        assert_eq!(
            board.outbox(Nanos::ZERO),
            [0xf0, 0x6d, 2, 0xf7],
            "is it an input?"
        );
        board.receive(Nanos(30), &[0x90, 0x04, 0, 0x90, 0x04, 0]);
        assert_eq!(facts(&mut board), [], "edges keep their order");
        assert!(!board.is_idle());
        board.receive(Nanos(40), &[0xf0, 0x6e, 2, 0, 0, 0xf7]);
        let both = [edge(10, 2, false), edge(30, 2, true)];
        assert_eq!(facts(&mut board), both);
        assert!(board.is_idle());
        // Where the question is not answered, nothing is told.
        board.receive(Nanos(50), &[0x90, 0, 0, 0x90, 0, 0]);
        board.tick(Nanos(50) + ANSWER_MAX);
        let [(_, Fact::Trouble(trouble))] = &facts(&mut board)[..] else {
            panic!("no edge, and one trouble");
        };
        assert_eq!(trouble.what, Trouble::Silent);
    }

    /// What a board that is known says next, and what that is taken for.
    fn told_of(messages: &[&[u8]]) -> Vec<(u64, Trouble)> {
        let mut board = known();
        let mut now = Nanos::from_millis(10);
        for message in messages {
            now += Nanos::from_millis(1);
            board.receive(now, message);
        }
        while let Some(next) = board.deadline()
            && next < Nanos::from_secs(1)
        {
            board.tick(next);
        }
        facts(&mut board)
            .into_iter()
            .filter_map(|(at, fact)| match fact {
                Fact::Trouble(trouble) => Some((at / 1_000_000, trouble.what)),
                Fact::Edge { .. } => None,
            })
            .collect()
    }

    #[test]
    fn a_board_that_does_not_tell_what_its_pins_do_is_trouble() {
        use Trouble::{Garbled, Lost, Silent};
        let (low, high): (&[u8], &[u8]) = (&[0x91, 0, 0], &[0x91, 2, 0]);
        // Half a message, and bytes that belong to none.
        assert_eq!(told_of(&[&[0x91, 2, 0x91, 2, 0]]), [(11, Garbled)]);
        assert_eq!(told_of(&[&[2, 0]]), [(11, Garbled)]);
        // Nothing changed, and nobody asked: the change before is lost.
        assert_eq!(told_of(&[low]), [(11, Garbled)]);
        // Pin 9 is an input, and then it is an output; or where it is told that is lost.
        assert_eq!(
            told_of(&[&[0xf0, 0x6e, 9, 0, 0, 0xf7], high, high]),
            [(300, Silent)]
        );
        assert_eq!(told_of(&[&[0xf0, 0x6e, 9, 1, 0, 0xf7]]), [(11, Lost)]);
        assert_eq!(
            told_of(&[&[0xf0, 0x6e, 9, 0, 0, 0x91, 2, 0, 0xf7]]),
            [(11, Garbled)]
        );
        // Up and confirmed; then the next question is not answered.
        assert_eq!(told_of(&[high, high]), [(300, Silent)]);
        // A contact that bounces, and is closed in the end.
        assert_eq!(told_of(&[high, low, high, high, high]), [(300, Silent)]);
    }

    #[test]
    fn a_silent_board_a_babbling_one_and_an_old_one_are_trouble() {
        let trouble = |bytes: &[u8]| {
            let mut board = Firmata::new("sense board", [2]);
            board.connect(Nanos(0));
            board.receive(Nanos(1), bytes);
            board.tick(START_MAX);
            assert!(board.is_idle());
            match facts(&mut board).as_slice() {
                [(_, Fact::Trouble(trouble))] => (trouble.what, trouble.saw.clone()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(trouble(&[]).0, Trouble::Silent);
        assert_eq!(trouble(b"boot\r\n").0, Trouble::Garbled);
        assert_eq!(trouble(&[0xf9, 1, 0]).0, Trouble::Garbled);
        assert_eq!(trouble(&VERSION).1, "no answer within 4.5 s", "no report");
    }

    /// It was asked in time, and told a change before it answered; whether that is so it is asked long afterwards.
    #[test]
    fn what_is_asked_late_is_answered_late() {
        let ms = Nanos::from_millis;
        let mut board = known();
        board.tick(ms(60));
        board.outbox(ms(60));
        for pin in [2, 9] {
            board.receive(ms(64), &[0xf0, 0x6e, pin, 0, 0, 0xf7]);
        }
        board.receive(ms(65), &[0x90, 0x04, 0]);
        board.receive(ms(66), &[0x91, 0x02, 0]);
        assert_eq!(board.outbox(ms(400)), [0xd1, 1]);
        board.tick(ms(401));
        board.outbox(ms(401));
        board.receive(ms(405), &[0x91, 0x02, 0]);
        board.receive(ms(406), &[0xf0, 0x6e, 9, 0, 0, 0xf7]);
        let high = Fact::Edge { pin: 9, high: true };
        assert_eq!(facts(&mut board), [(ms(66).0, high)]);
    }

    #[test]
    fn a_board_that_starts_anew_is_lost() {
        let mut board = known();
        board.receive(Nanos(50), &VERSION);
        let [(50, Fact::Trouble(trouble))] = &facts(&mut board)[..] else {
            panic!("it has to be told");
        };
        assert_eq!(trouble.what, Trouble::Lost);
        board.receive(Nanos(60), &[0x90, 0, 0]);
        assert_eq!(facts(&mut board), []);
    }
}
