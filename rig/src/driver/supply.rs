//! A programmable supply that speaks SCPI over a byte port, lines ending with `\n`.
//!
//! Every setting is followed by `SYST:ERR?`, and only its `0` makes the setting a fact: a supply
//! says nothing when it accepts a value, and nothing when it is unplugged. What the supply is known
//! to hold is not sent again, so that dropping the output is one short line on the wire.

use std::collections::VecDeque;

use super::{DeviceTrouble, Driver, Trouble};
use crate::event::Nanos;
use crate::quantity::{Microamps, Milliohms, Millivolts};

/// How long the supply may take for one answer, measuring included.
pub const ANSWER_MAX: Nanos = Nanos::from_millis(500);
/// Tasks that may wait.
const TASKS_MAX: usize = 64;
/// A longer answer is none.
const REPLY_MAX: usize = 256;
/// Errors that are read from the supply's queue before we stop asking.
const ERRORS_MAX: usize = 8;

/// What the supply presents to the board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feed {
    /// The output is off.
    Off,
    /// The output is on.
    On {
        /// Open-circuit voltage.
        voltage: Millivolts,
        /// Resistance in series with it, as of cells that age; none leaves it as the bench file says.
        resistance: Option<Milliohms>,
    },
}

/// How this supply is used: the bench file's part about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The greatest voltage that the board under test bears.
    pub highest: Millivolts,
    /// Current limit.
    pub limit: Microamps,
    /// The source resistance where a scenario does not say one; none, where the supply has no
    /// adjustable resistance.
    pub resistance: Option<Milliohms>,
    /// How long the output may stay on.
    pub longest_on: Option<Nanos>,
}

/// What the supply tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// It said who it is.
    Identified(String),
    /// It accepted a setting without an error.
    Fed {
        /// The setting.
        feed: Feed,
        /// When it was asked for: the output changed between this and the fact's own time.
        asked: Nanos,
    },
    /// It measured at its terminals.
    Measured {
        /// Voltage.
        voltage: Millivolts,
        /// Current; zero where it reads less.
        current: Microamps,
        /// When it was asked for.
        asked: Nanos,
    },
    /// It did not do what it was told.
    Trouble(DeviceTrouble),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Task {
    /// `*IDN?`, then the current limit and, where there is one, the resistance.
    Connect,
    Feed(Feed),
    Measure,
}

/// What the next answer is for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Expect {
    Identity,
    Error,
    Volts,
    Amperes(Millivolts),
}

#[derive(Clone, Debug)]
struct UnderWay {
    task: Task,
    asked: Nanos,
    expect: Expect,
    until: Nanos,
    errors: Vec<String>,
    /// Answers are skipped until the supply has said its name.
    skipping: bool,
}

/// The driver.
#[derive(Clone, Debug)]
pub struct Supply {
    device: String,
    settings: Settings,
    waiting: VecDeque<(Nanos, Task)>,
    under_way: Option<UnderWay>,
    outbox: Vec<u8>,
    reply: Vec<u8>,
    facts: VecDeque<(Nanos, Fact)>,
    /// What the supply confirmed last; none where it is unknown.
    confirmed: Confirmed,
    /// The last feed that was asked for.
    asked: Option<Feed>,
    on_since: Option<Nanos>,
    identity: Option<String>,
    /// An answer is missing and may come late: the next answer could be that one.
    out_of_step: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Confirmed {
    on: Option<bool>,
    voltage: Option<Millivolts>,
    resistance: Option<Milliohms>,
}

impl Supply {
    /// A supply that `device` names in messages.
    pub fn new(device: impl Into<String>, settings: Settings) -> Supply {
        Supply {
            device: device.into(),
            settings,
            waiting: VecDeque::new(),
            under_way: None,
            outbox: Vec::new(),
            reply: Vec::new(),
            facts: VecDeque::new(),
            confirmed: Confirmed::default(),
            asked: None,
            on_since: None,
            identity: None,
            out_of_step: false,
        }
    }

    /// Asks who it is and sets the current limit. The output is left as it is.
    pub fn connect(&mut self, now: Nanos) {
        self.waiting.push_back((now, Task::Connect));
        self.start_next(now);
    }

    /// Sets voltage, resistance and output. What it says comes later, as a fact.
    pub fn feed(&mut self, now: Nanos, feed: Feed) -> Result<(), DeviceTrouble> {
        if let Feed::On {
            voltage,
            resistance,
        } = feed
        {
            if voltage > self.settings.highest {
                return Err(self.trouble(
                    &Task::Feed(feed),
                    Trouble::Refused,
                    format!("the bench file allows {} at most", self.settings.highest),
                    "'highest' under [supply] protects the board; raise it only if the board bears it",
                ));
            }
            if resistance.is_some() && self.settings.resistance.is_none() {
                return Err(self.trouble(
                    &Task::Feed(feed),
                    Trouble::Absent,
                    "the bench file says of no adjustable source resistance".to_owned(),
                    "set 'resistance' under [supply] if the supply has one; else leave scenarios with a sag out",
                ));
            }
        }
        self.enqueue(now, Task::Feed(feed))
    }

    /// Measures voltage and current at the terminals.
    pub fn measure(&mut self, now: Nanos) -> Result<(), DeviceTrouble> {
        self.enqueue(now, Task::Measure)
    }

    /// Goes to the rest feed; what waits is forgotten.
    pub fn rest(&mut self, now: Nanos, feed: Feed) {
        self.waiting.clear();
        if feed == Feed::Off && self.under_way.is_some() {
            // The answer to what is under way may never come; the output does not wait for it.
            self.outbox.extend_from_slice(b"OUTP 0\n");
        }
        self.note_asked(now, feed);
        self.waiting.push_back((now, Task::Feed(feed)));
        self.start_next(now);
    }

    /// Whether everything that was asked for has been answered, or given up.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.waiting.is_empty()
    }

    /// Whether the supply confirmed this feed, and nothing else was asked for since.
    pub fn is_known_to_be(&self, feed: Feed) -> bool {
        self.asked == Some(feed) && self.is_idle() && self.commands(feed).is_empty()
    }

    fn enqueue(&mut self, now: Nanos, task: Task) -> Result<(), DeviceTrouble> {
        if self.waiting.len() >= TASKS_MAX {
            return Err(self.trouble(
                &task,
                Trouble::Busy,
                format!("{TASKS_MAX} settings are waiting already"),
                "let time pass between settings: each takes about 40 ms",
            ));
        }
        if let Task::Feed(feed) = task {
            self.note_asked(now, feed);
        }
        self.waiting.push_back((now, task));
        self.start_next(now);
        Ok(())
    }

    fn note_asked(&mut self, now: Nanos, feed: Feed) {
        self.asked = Some(feed);
        if feed != Feed::Off {
            self.on_since.get_or_insert(now);
        }
    }

    /// The lines that lead from what is confirmed to `feed`.
    fn commands(&self, feed: Feed) -> String {
        let mut lines = String::new();
        match feed {
            Feed::Off => {
                if self.confirmed.on != Some(false) {
                    lines.push_str("OUTP 0\n");
                }
            }
            Feed::On {
                voltage,
                resistance,
            } => {
                let resistance = resistance.or(self.settings.resistance);
                if let Some(resistance) = resistance
                    && self.confirmed.resistance != Some(resistance)
                {
                    lines.push_str(&format!("SOUR:RES {}\n", thousandths(resistance.0)));
                }
                if self.confirmed.voltage != Some(voltage) {
                    lines.push_str(&format!("VOLT {}\n", thousandths(voltage.0)));
                }
                if self.confirmed.on != Some(true) {
                    lines.push_str("OUTP 1\n");
                }
            }
        }
        lines
    }

    fn start_next(&mut self, now: Nanos) {
        if self.under_way.is_some() {
            return;
        }
        let Some((asked, task)) = self.waiting.pop_front() else {
            return;
        };
        let (lines, expect) = match task {
            // *CLS first: errors that somebody else caused are not ours to report.
            Task::Connect => ("*CLS\n*IDN?\n".to_owned(), Expect::Identity),
            Task::Feed(feed) => (format!("{}SYST:ERR?\n", self.commands(feed)), Expect::Error),
            Task::Measure => ("MEAS:VOLT?\n".to_owned(), Expect::Volts),
        };
        if let Task::Feed(feed) = task {
            self.unconfirm(feed);
        }
        let skipping = self.out_of_step && self.identity.is_some() && task != Task::Connect;
        self.out_of_step = false;
        if skipping {
            self.outbox.extend_from_slice(b"*IDN?\n");
        }
        self.outbox.extend_from_slice(lines.as_bytes());
        self.reply.clear();
        self.under_way = Some(UnderWay {
            task,
            asked,
            expect,
            until: now + ANSWER_MAX,
            errors: Vec::new(),
            skipping,
        });
    }

    /// Until the supply answers, what a setting touches is unknown.
    fn unconfirm(&mut self, feed: Feed) {
        match feed {
            Feed::Off => self.confirmed.on = None,
            Feed::On { .. } => self.confirmed = Confirmed::default(),
        }
    }

    fn answered(&mut self, at: Nanos, text: &str) {
        let Some(mut under_way) = self.under_way.take() else {
            // A late answer to what has been given up: there is nothing it could still prove.
            return;
        };
        if under_way.skipping {
            under_way.skipping = self.identity.as_deref() != Some(text);
            self.under_way = Some(under_way);
            return;
        }
        under_way.until = at + ANSWER_MAX;
        match under_way.expect.clone() {
            Expect::Identity => {
                self.identity = Some(text.to_owned());
                self.facts
                    .push_back((at, Fact::Identified(text.to_owned())));
                let limit = self.settings.limit.0;
                let limit = format!("{}.{:06}", limit / 1_000_000, limit % 1_000_000);
                self.outbox
                    .extend_from_slice(format!("CURR {limit}\nSYST:ERR?\n").as_bytes());
                under_way.expect = Expect::Error;
                self.under_way = Some(under_way);
            }
            Expect::Error => self.error_answered(at, under_way, text),
            Expect::Volts => match reading(text) {
                Some(volts) => {
                    self.outbox.extend_from_slice(b"MEAS:CURR?\n");
                    under_way.expect = Expect::Amperes(Millivolts(round(volts * 1e3)));
                    self.under_way = Some(under_way);
                }
                None => self.garbled(at, &under_way, text),
            },
            Expect::Amperes(voltage) => match reading(text) {
                Some(amperes) => {
                    let current = Microamps(round(amperes * 1e6));
                    let fact = Fact::Measured {
                        voltage,
                        current,
                        asked: under_way.asked,
                    };
                    self.facts.push_back((at, fact));
                }
                None => self.garbled(at, &under_way, text),
            },
        }
        self.start_next(at);
    }

    fn error_answered(&mut self, at: Nanos, mut under_way: UnderWay, text: &str) {
        let number = text.split(',').next().unwrap_or_default().trim();
        match number.parse::<i32>() {
            Ok(0) if under_way.errors.is_empty() => self.done(at, &under_way),
            Ok(0) => self.refused(at, &under_way),
            Ok(_) => {
                under_way.errors.push(text.trim().to_owned());
                if under_way.errors.len() >= ERRORS_MAX {
                    self.refused(at, &under_way);
                } else {
                    self.outbox.extend_from_slice(b"SYST:ERR?\n");
                    self.under_way = Some(under_way);
                }
            }
            Err(_) => self.garbled(at, &under_way, text),
        }
    }

    fn done(&mut self, at: Nanos, under_way: &UnderWay) {
        let Task::Feed(feed) = under_way.task else {
            return;
        };
        match feed {
            Feed::Off => {
                self.confirmed.on = Some(false);
                if self.asked == Some(Feed::Off) {
                    self.on_since = None;
                }
            }
            Feed::On {
                voltage,
                resistance,
            } => {
                self.confirmed = Confirmed {
                    on: Some(true),
                    voltage: Some(voltage),
                    resistance: resistance.or(self.settings.resistance),
                };
            }
        }
        self.facts.push_back((
            at,
            Fact::Fed {
                feed,
                asked: under_way.asked,
            },
        ));
    }

    fn refused(&mut self, at: Nanos, under_way: &UnderWay) {
        let trouble = self.trouble(
            &under_way.task,
            Trouble::Refused,
            format!("the supply reports {}", under_way.errors.join("; ")),
            "are the limits under [supply] within this supply's range?",
        );
        self.facts.push_back((at, Fact::Trouble(trouble)));
    }

    fn garbled(&mut self, at: Nanos, under_way: &UnderWay, text: &str) {
        let trouble = self.trouble(
            &under_way.task,
            Trouble::Garbled,
            format!("it answered '{}'", text.escape_debug()),
            "is this the supply's port, and is its baud rate right?",
        );
        self.facts.push_back((at, Fact::Trouble(trouble)));
    }

    fn give_up(&mut self, now: Nanos) {
        let Some(under_way) = self.under_way.take_if(|under_way| under_way.until <= now) else {
            return;
        };
        self.out_of_step = true;
        let trouble = self.trouble(
            &under_way.task,
            Trouble::Silent,
            format!("no answer within {ANSWER_MAX}"),
            "has the supply power, is it in remote mode, is the baud rate right?",
        );
        self.facts.push_back((now, Fact::Trouble(trouble)));
        self.start_next(now);
    }

    fn enforce_longest_on(&mut self, now: Nanos) {
        let (Some(since), Some(longest)) = (self.on_since, self.settings.longest_on) else {
            return;
        };
        if self.asked == Some(Feed::Off) || since + longest > now {
            return;
        }
        self.rest(now, Feed::Off);
        let trouble = DeviceTrouble {
            device: self.device.clone(),
            doing: "keeping the output on".to_owned(),
            what: Trouble::Overrun,
            saw: format!("it was on for {longest}, its longest on-time; it has been switched off"),
            hint: "shorten the scenario, or raise 'longest-on' in the bench file".to_owned(),
        };
        self.facts.push_back((now, Fact::Trouble(trouble)));
    }

    fn trouble(&self, task: &Task, what: Trouble, saw: String, hint: &str) -> DeviceTrouble {
        let doing = match task {
            Task::Connect => "asking who it is and setting its current limit".to_owned(),
            Task::Feed(Feed::Off) => "switching the output off".to_owned(),
            Task::Feed(Feed::On {
                voltage,
                resistance: None,
            }) => format!("setting {voltage}"),
            Task::Feed(Feed::On {
                voltage,
                resistance: Some(resistance),
            }) => {
                format!("setting {voltage} behind {resistance}")
            }
            Task::Measure => "measuring voltage and current".to_owned(),
        };
        DeviceTrouble {
            device: self.device.clone(),
            doing,
            what,
            saw,
            hint: hint.to_owned(),
        }
    }
}

impl Driver for Supply {
    type Fact = Fact;

    fn receive(&mut self, at: Nanos, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => {
                    let reply = std::mem::take(&mut self.reply);
                    let text = String::from_utf8_lossy(&reply).trim().to_owned();
                    self.answered(at, &text);
                }
                byte if self.reply.len() < REPLY_MAX => self.reply.push(*byte),
                _ => {}
            }
        }
    }

    fn tick(&mut self, now: Nanos) {
        self.give_up(now);
        self.enforce_longest_on(now);
    }

    fn deadline(&self) -> Option<Nanos> {
        let on_time = match (self.on_since, self.settings.longest_on) {
            (Some(since), Some(longest)) if self.asked != Some(Feed::Off) => Some(since + longest),
            _ => None,
        };
        self.under_way
            .iter()
            .map(|under_way| under_way.until)
            .chain(on_time)
            .min()
    }

    fn outbox(&mut self, now: Nanos) -> Vec<u8> {
        if let Some(under_way) = self.under_way.as_mut().filter(|_| !self.outbox.is_empty()) {
            under_way.until = under_way.until.max(now + ANSWER_MAX);
        }
        std::mem::take(&mut self.outbox)
    }

    fn fact(&mut self) -> Option<(Nanos, Fact)> {
        self.facts.pop_front()
    }
}

/// As short as it can be: `9`, `5.5`, `0.125`.
fn thousandths(value: u32) -> String {
    let text = format!("{}.{:03}", value / 1000, value % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A measured value: `8.990000`, `+8.99E+00`, sometimes with its unit behind it.
fn reading(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(['V', 'A', ' ']);
    number.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The nearest whole number; zero for what is below.
fn round(value: f64) -> u32 {
    value.round().clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::{ANSWER_MAX, Driver, Fact, Feed, Settings, Supply, reading};
    use crate::driver::Trouble;
    use crate::event::Nanos;
    use crate::quantity::{Microamps, Milliohms, Millivolts};

    const MS: fn(u64) -> Nanos = Nanos::from_millis;
    const NINE: Feed = Feed::On {
        voltage: Millivolts(9_000),
        resistance: None,
    };

    fn supply(longest_on: Option<Nanos>) -> Supply {
        let settings = Settings {
            highest: Millivolts(10_000),
            limit: Microamps(1_000_000),
            resistance: Some(Milliohms(1_500)),
            longest_on,
        };
        Supply::new("supply", settings)
    }

    fn said(supply: &mut Supply) -> String {
        String::from_utf8(supply.outbox(Nanos::ZERO)).expect("SCPI is text")
    }

    #[test]
    fn connecting_asks_for_its_name_and_sets_the_limit() {
        let mut supply = supply(None);
        supply.connect(MS(0));
        assert_eq!(said(&mut supply), "*CLS\n*IDN?\n");
        supply.receive(MS(50), b"ACME,PS1,7,1.0\r\n");
        assert_eq!(
            supply.fact(),
            Some((MS(50), Fact::Identified("ACME,PS1,7,1.0".into())))
        );
        assert_eq!(said(&mut supply), "CURR 1.000000\nSYST:ERR?\n");
        supply.receive(MS(90), b"0,\"No error\"\n");
        assert!(supply.is_idle());
    }

    #[test]
    fn only_what_changes_is_sent_and_each_setting_is_checked() {
        let mut supply = supply(None);
        supply.feed(MS(0), NINE).expect("9 V is allowed");
        assert_eq!(
            said(&mut supply),
            "SOUR:RES 1.5\nVOLT 9\nOUTP 1\nSYST:ERR?\n"
        );
        supply.receive(MS(60), b"0,\"No error\"\n");
        assert_eq!(
            supply.fact(),
            Some((
                MS(60),
                Fact::Fed {
                    feed: NINE,
                    asked: MS(0)
                }
            ))
        );
        assert!(supply.is_known_to_be(NINE));
        supply.feed(MS(100), Feed::Off).expect("off is allowed");
        assert_eq!(said(&mut supply), "OUTP 0\nSYST:ERR?\n");
        supply.receive(MS(130), b"+0,\"No error\"\n");
        supply.feed(MS(200), NINE).expect("9 V is allowed");
        assert_eq!(said(&mut supply), "OUTP 1\nSYST:ERR?\n");
    }

    #[test]
    fn errors_of_the_supply_are_quoted_until_its_queue_is_empty() {
        let mut supply = supply(None);
        supply.feed(MS(0), NINE).expect("9 V is allowed");
        said(&mut supply);
        supply.receive(MS(60), b"-222,\"Data out of range\"\n");
        assert_eq!(said(&mut supply), "SYST:ERR?\n");
        supply.receive(MS(90), b"0,\"No error\"\n");
        let Some((_, Fact::Trouble(trouble))) = supply.fact() else {
            panic!("the error was not told");
        };
        assert_eq!(trouble.what, Trouble::Refused);
        assert_eq!(
            trouble.to_string(),
            "supply: setting 9 V: the supply reports -222,\"Data out of range\""
        );
        assert!(!supply.is_known_to_be(NINE));
    }

    #[test]
    fn silence_and_nonsense_are_told_apart() {
        let mut supply = supply(None);
        supply.measure(MS(0)).expect("one task fits");
        assert_eq!(supply.deadline(), Some(ANSWER_MAX));
        supply.outbox(MS(1_000));
        let late = MS(1_000) + ANSWER_MAX;
        assert_eq!(supply.deadline(), Some(late), "it was asked only then");
        supply.tick(late);
        supply.measure(MS(1_600)).expect("one task fits");
        supply.receive(MS(1_610), b"hello\n");
        let kinds: Vec<_> = std::iter::from_fn(|| supply.fact())
            .map(|(_, fact)| match fact {
                Fact::Trouble(trouble) => trouble.what,
                other => panic!("not a trouble: {other:?}"),
            })
            .collect();
        assert_eq!(kinds, [Trouble::Silent, Trouble::Garbled]);
    }

    #[test]
    fn going_to_rest_does_not_wait_for_an_answer_that_may_never_come() {
        let mut supply = supply(None);
        supply.feed(MS(0), NINE).expect("9 V is allowed");
        said(&mut supply);
        supply.rest(MS(10), Feed::Off);
        assert_eq!(said(&mut supply), "OUTP 0\n");
        supply.receive(MS(60), b"0,\"No error\"\n");
        assert_eq!(said(&mut supply), "OUTP 0\nSYST:ERR?\n");
        supply.receive(MS(90), b"0,\"No error\"\n");
        assert!(supply.is_known_to_be(Feed::Off));
    }

    #[test]
    fn a_late_answer_confirms_nothing_that_was_asked_afterwards() {
        let mut supply = supply(None);
        supply.connect(MS(0));
        supply.receive(MS(50), b"ACME,PS1\n0\n");
        supply.feed(MS(100), NINE).expect("9 V is allowed");
        supply.tick(MS(600));
        said(&mut supply);
        supply.feed(MS(700), Feed::Off).expect("off is allowed");
        assert_eq!(said(&mut supply), "*IDN?\nOUTP 0\nSYST:ERR?\n");
        supply.receive(MS(710), b"0,\"No error\"\n");
        assert!(
            !supply.is_known_to_be(Feed::Off),
            "that answer was for the 9 V"
        );
        supply.receive(MS(750), b"ACME,PS1\n0,\"No error\"\n");
        assert!(supply.is_known_to_be(Feed::Off));
    }

    #[test]
    fn voltage_and_current_are_measured_together() {
        let mut supply = supply(None);
        supply.measure(MS(0)).expect("one task fits");
        assert_eq!(said(&mut supply), "MEAS:VOLT?\n");
        supply.receive(MS(40), b"8.994000\n");
        assert_eq!(said(&mut supply), "MEAS:CURR?\n");
        supply.receive(MS(80), b"-1.2E-07A\n");
        let measured = Fact::Measured {
            voltage: Millivolts(8_994),
            current: Microamps(0),
            asked: MS(0),
        };
        assert_eq!(supply.fact(), Some((MS(80), measured)));
        assert_eq!(reading("4.40E-03"), Some(0.0044));
        assert_eq!(reading("NaN"), None);
    }

    #[test]
    fn more_than_the_board_bears_is_never_sent() {
        let mut supply = supply(None);
        let feed = Feed::On {
            voltage: Millivolts(10_001),
            resistance: None,
        };
        let trouble = supply.feed(MS(0), feed).expect_err("10.001 V is too much");
        assert_eq!(trouble.what, Trouble::Refused);
        assert_eq!(said(&mut supply), "");
    }

    #[test]
    fn an_output_that_is_on_for_too_long_is_switched_off() {
        let mut supply = supply(Some(MS(1_000)));
        supply.feed(MS(0), NINE).expect("9 V is allowed");
        supply.receive(MS(60), b"0,\"No error\"\n");
        said(&mut supply);
        assert_eq!(supply.deadline(), Some(MS(1_000)));
        supply.tick(MS(1_000));
        assert_eq!(said(&mut supply), "OUTP 0\nSYST:ERR?\n");
        let overrun = std::iter::from_fn(|| supply.fact()).any(
            |(_, fact)| matches!(fact, Fact::Trouble(trouble) if trouble.what == Trouble::Overrun),
        );
        assert!(overrun);
        supply.receive(MS(1_030), b"0,\"No error\"\n");
        assert_eq!(supply.deadline(), None);
    }
}
