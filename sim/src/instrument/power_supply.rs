//! A programmable supply that speaks SCPI over a serial line, 9600 baud, lines end with `\n`.
//!
//! `*IDN?` `*RST` `*CLS` `*OPC?` `[SOURce:]VOLTage <V>|?` `[SOURce:]CURRent <A>|?` (the limit)
//! `[SOURce:]RESistance <ohm>|?` `OUTPut[:STATe] ON|OFF|1|0|?` `MEASure[:SCALar]:VOLTage[:DC]?`
//! `MEASure[:SCALar]:CURRent[:DC]?` `SYSTem:ERRor[:NEXT]?`. Commands may be joined with `;`. A
//! value takes effect [`PowerSupply::SET_UP`] after its command's last stop bit; a measurement
//! takes [`PowerSupply::APERTURE`]. Mistakes go to the error queue and change nothing.

use std::collections::VecDeque;

use educe::Educe;

use crate::board::supply::{Feed, bits};
use crate::time::Ticks;

/// Settings, in thousandths of their unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
struct Settings {
    millivolts: u32,
    milliamperes: u32,
    milliohms: u32,
    on: bool,
}

const RESET: Settings = Settings {
    millivolts: 0,
    milliamperes: 1_000,
    milliohms: 0,
    on: false,
};

const MILLIVOLTS_MAX: u32 = 15_000;
const MILLIAMPERES_MAX: u32 = 3_000;
const MILLIOHMS_MAX: u32 = 50_000;
/// An output that is off is pulled to ground by this.
const PULL_DOWN_OHMS: f64 = 100.0;
const LINE_MAX: usize = 128;
const ERRORS_MAX: usize = 8;
/// Changes under way at once: more than a 9600-baud line can ask for within the set-up time.
const CHANGES_MAX: usize = 16;
const IDENTITY: &str = "LOCKRIG,VIRTUAL SUPPLY,0,1.0";

/// What the instrument measures at its terminals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Terminal voltage in volts.
    pub volts: f64,
    /// Charge delivered since the bench was made, in coulombs.
    pub coulombs: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
enum Quantity {
    Volts,
    Amperes,
}

#[derive(Clone, Debug, Educe)]
#[educe(Hash)]
struct Measurement {
    quantity: Quantity,
    ends: Ticks,
    #[educe(Hash(method(bits)))]
    coulombs: f64,
}

/// The instrument.
#[derive(Clone, Debug, Hash)]
pub struct PowerSupply {
    asked: Settings,
    effective: Settings,
    changes: VecDeque<(Ticks, Settings)>,
    line: Vec<u8>,
    overflown: bool,
    errors: VecDeque<Mistake>,
    /// Commands of a line that wait for the measurement in front of them.
    waiting: VecDeque<String>,
    measurement: Option<Measurement>,
    reply: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
enum Mistake {
    Syntax,
    MissingParameter,
    ParameterNotAllowed,
    UndefinedHeader,
    DataType,
    OutOfRange,
    QueueOverflow,
    InputOverrun,
}

impl Mistake {
    fn text(self) -> &'static str {
        match self {
            Mistake::Syntax => "-102,\"Syntax error\"",
            Mistake::MissingParameter => "-109,\"Missing parameter\"",
            Mistake::ParameterNotAllowed => "-108,\"Parameter not allowed\"",
            Mistake::UndefinedHeader => "-113,\"Undefined header\"",
            Mistake::DataType => "-104,\"Data type error\"",
            Mistake::OutOfRange => "-222,\"Data out of range\"",
            Mistake::QueueOverflow => "-350,\"Queue overflow\"",
            Mistake::InputOverrun => "-363,\"Input buffer overrun\"",
        }
    }
}

impl Default for PowerSupply {
    fn default() -> PowerSupply {
        PowerSupply {
            asked: RESET,
            effective: RESET,
            changes: VecDeque::new(),
            line: Vec::new(),
            overflown: false,
            errors: VecDeque::new(),
            waiting: VecDeque::new(),
            measurement: None,
            reply: String::new(),
        }
    }
}

impl PowerSupply {
    /// Baud rate of the instrument's port.
    pub const BAUD: u64 = 9_600;
    /// From the end of a command to its effect at the terminals.
    pub const SET_UP: Ticks = Ticks::from_millis(2);
    /// How long a measurement integrates: one period of 50 Hz mains.
    pub const APERTURE: Ticks = Ticks::from_millis(20);

    /// What the instrument presents to the board now.
    pub fn feed(&self) -> Feed {
        let Settings {
            millivolts,
            milliamperes,
            milliohms,
            on,
        } = self.effective;
        if on {
            Feed::Source {
                volts: f64::from(millivolts) / 1e3,
                ohms: f64::from(milliohms) / 1e3,
                limit: f64::from(milliamperes) / 1e3,
            }
        } else {
            Feed::PulledDown {
                ohms: PULL_DOWN_OHMS,
            }
        }
    }

    /// When the instrument does something by itself: a change takes effect, a measurement ends.
    pub fn next(&self) -> Ticks {
        let change = self.changes.front().map_or(Ticks::NEVER, |(at, _)| *at);
        let measured = self.measurement.as_ref().map_or(Ticks::NEVER, |m| m.ends);
        change.min(measured)
    }

    /// Carries out what is due. True, if [`PowerSupply::feed`] may have changed.
    pub fn pass(&mut self, now: Ticks, reading: Reading) -> bool {
        let before = self.effective;
        while let Some(&(at, settings)) = self.changes.front()
            && at <= now
        {
            self.effective = settings;
            self.changes.pop_front();
        }
        if self.measurement.as_ref().is_some_and(|m| m.ends <= now)
            && let Some(done) = self.measurement.take()
        {
            let value = match done.quantity {
                Quantity::Volts => reading.volts,
                Quantity::Amperes => {
                    let span = PowerSupply::APERTURE.0 as f64 / Ticks::HERTZ as f64;
                    (reading.coulombs - done.coulombs) / span
                }
            };
            self.answer(&decimal(value));
            self.work_off(now, reading);
        }
        before != self.effective
    }

    /// A byte has arrived; an answer, if any, is fetched with [`PowerSupply::take_reply`].
    pub fn receive(&mut self, now: Ticks, byte: u8, reading: Reading) {
        if byte != b'\n' {
            if self.line.len() < LINE_MAX {
                self.line.push(byte);
            } else {
                self.overflown = true;
            }
            return;
        }
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.overflown) {
            self.note(Mistake::InputOverrun);
            return;
        }
        let Ok(line) = std::str::from_utf8(&line) else {
            self.note(Mistake::Syntax);
            return;
        };
        for command in line
            .split(';')
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            if self.waiting.len() >= LINE_MAX {
                self.note(Mistake::InputOverrun);
                return;
            }
            self.waiting.push_back(command.to_owned());
        }
        self.work_off(now, reading);
    }

    /// What the instrument has to say; empty, when nothing.
    pub fn take_reply(&mut self) -> String {
        std::mem::take(&mut self.reply)
    }

    fn work_off(&mut self, now: Ticks, reading: Reading) {
        while self.measurement.is_none() {
            let Some(command) = self.waiting.pop_front() else {
                return;
            };
            if let Err(mistake) = self.carry_out(now, &command, reading) {
                self.note(mistake);
            }
        }
    }

    fn carry_out(&mut self, now: Ticks, command: &str, reading: Reading) -> Result<(), Mistake> {
        let (header, parameter) = match command.split_once(char::is_whitespace) {
            Some((header, parameter)) => (header, parameter.trim()),
            None => (command, ""),
        };
        let (header, asks) = match header.strip_suffix('?') {
            Some(header) => (header, true),
            None => (header, false),
        };
        let command = Command::parse(header)?;
        if asks {
            if !parameter.is_empty() {
                return Err(Mistake::ParameterNotAllowed);
            }
            return self.ask(now, command, reading);
        }
        let mut settings = self.asked;
        match command {
            Command::Reset => {
                no_parameter(parameter)?;
                settings = RESET;
            }
            Command::Clear => {
                no_parameter(parameter)?;
                self.errors.clear();
                return Ok(());
            }
            Command::Voltage => settings.millivolts = number(parameter, "V", MILLIVOLTS_MAX)?,
            Command::Current => settings.milliamperes = number(parameter, "A", MILLIAMPERES_MAX)?,
            Command::Resistance => settings.milliohms = number(parameter, "OHM", MILLIOHMS_MAX)?,
            Command::Output => settings.on = switch(parameter)?,
            _ => return Err(Mistake::UndefinedHeader),
        }
        if self.changes.len() >= CHANGES_MAX {
            return Err(Mistake::InputOverrun);
        }
        self.asked = settings;
        self.changes
            .push_back((now + PowerSupply::SET_UP, settings));
        Ok(())
    }

    fn ask(&mut self, now: Ticks, command: Command, reading: Reading) -> Result<(), Mistake> {
        let thousandths = |value: u32| format!("{}.{:03}", value / 1000, value % 1000);
        let text = match command {
            Command::Identity => IDENTITY.to_owned(),
            Command::Complete => "1".to_owned(),
            Command::Voltage => thousandths(self.asked.millivolts),
            Command::Current => thousandths(self.asked.milliamperes),
            Command::Resistance => thousandths(self.asked.milliohms),
            Command::Output => u8::from(self.asked.on).to_string(),
            Command::Error => match self.errors.pop_front() {
                Some(mistake) => mistake.text().to_owned(),
                None => "0,\"No error\"".to_owned(),
            },
            Command::MeasureVoltage | Command::MeasureCurrent => {
                self.measurement = Some(Measurement {
                    quantity: if command == Command::MeasureVoltage {
                        Quantity::Volts
                    } else {
                        Quantity::Amperes
                    },
                    ends: now + PowerSupply::APERTURE,
                    coulombs: reading.coulombs,
                });
                return Ok(());
            }
            Command::Reset | Command::Clear => return Err(Mistake::UndefinedHeader),
        };
        self.answer(&text);
        Ok(())
    }

    fn answer(&mut self, text: &str) {
        self.reply.push_str(text);
        self.reply.push('\n');
    }

    fn note(&mut self, mistake: Mistake) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push_back(mistake);
        } else if let Some(last) = self.errors.back_mut() {
            *last = Mistake::QueueOverflow;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Command {
    Identity,
    Reset,
    Clear,
    Complete,
    Voltage,
    Current,
    Resistance,
    Output,
    MeasureVoltage,
    MeasureCurrent,
    Error,
}

/// Headers with their short forms in capitals; what stands in brackets may be left out.
const HEADERS: [(&str, Command); 11] = [
    ("*IDN", Command::Identity),
    ("*RST", Command::Reset),
    ("*CLS", Command::Clear),
    ("*OPC", Command::Complete),
    ("[SOURce]:VOLTage", Command::Voltage),
    ("[SOURce]:CURRent", Command::Current),
    ("[SOURce]:RESistance", Command::Resistance),
    ("OUTPut:[STATe]", Command::Output),
    ("MEASure:[SCALar]:VOLTage:[DC]", Command::MeasureVoltage),
    ("MEASure:[SCALar]:CURRent:[DC]", Command::MeasureCurrent),
    ("SYSTem:ERRor:[NEXT]", Command::Error),
];

impl Command {
    fn parse(header: &str) -> Result<Command, Mistake> {
        let header = header.strip_prefix(':').unwrap_or(header);
        HEADERS
            .iter()
            .find(|(pattern, _)| matches(pattern, header))
            .map(|(_, command)| *command)
            .ok_or(Mistake::UndefinedHeader)
    }
}

fn matches(pattern: &str, header: &str) -> bool {
    let mut given = header.split(':').peekable();
    for node in pattern.split(':') {
        let optional = node.starts_with('[');
        let node = node.trim_start_matches('[').trim_end_matches(']');
        let short: String = node.chars().filter(|c| !c.is_ascii_lowercase()).collect();
        let fits =
            |word: &&str| word.eq_ignore_ascii_case(node) || word.eq_ignore_ascii_case(&short);
        if given.next_if(fits).is_none() && !optional {
            return false;
        }
    }
    given.next().is_none()
}

fn no_parameter(parameter: &str) -> Result<(), Mistake> {
    if parameter.is_empty() {
        Ok(())
    } else {
        Err(Mistake::ParameterNotAllowed)
    }
}

fn switch(parameter: &str) -> Result<bool, Mistake> {
    match parameter {
        "" => Err(Mistake::MissingParameter),
        "1" => Ok(true),
        "0" => Ok(false),
        text if text.eq_ignore_ascii_case("ON") => Ok(true),
        text if text.eq_ignore_ascii_case("OFF") => Ok(false),
        _ => Err(Mistake::DataType),
    }
}

/// A decimal number with an optional unit, in thousandths, rounded.
fn number(parameter: &str, unit: &str, max: u32) -> Result<u32, Mistake> {
    if parameter.is_empty() {
        return Err(Mistake::MissingParameter);
    }
    let digits = match parameter.len().checked_sub(unit.len()) {
        Some(place)
            if parameter.is_char_boundary(place)
                && parameter[place..].eq_ignore_ascii_case(unit) =>
        {
            parameter[..place].trim_end()
        }
        _ => parameter,
    };
    let value: f64 = digits.parse().map_err(|_| Mistake::DataType)?;
    let thousandths = (value * 1e3).round();
    if !(0.0..=f64::from(max)).contains(&thousandths) {
        return Err(Mistake::OutOfRange);
    }
    Ok(thousandths as u32)
}

/// Six decimals, as instruments write measured values.
fn decimal(value: f64) -> String {
    let micros = (value * 1e6).round() as i64;
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::{PowerSupply, Reading};
    use crate::board::supply::Feed;
    use crate::time::Ticks;

    fn say(supply: &mut PowerSupply, now: Ticks, text: &str) -> String {
        for byte in text.bytes() {
            supply.receive(now, byte, Reading::default());
        }
        supply.take_reply()
    }

    #[test]
    fn settings_take_effect_after_the_set_up_time() {
        let mut supply = PowerSupply::default();
        assert_eq!(supply.feed(), Feed::PulledDown { ohms: 100.0 });
        assert_eq!(
            say(
                &mut supply,
                Ticks(7),
                "VOLT 9.0;CURR 0.5;SOUR:RES 1.5;OUTP ON\n"
            ),
            ""
        );
        assert_eq!(supply.next(), Ticks(7) + PowerSupply::SET_UP);
        assert_eq!(supply.feed(), Feed::PulledDown { ohms: 100.0 });
        assert!(supply.pass(supply.next(), Reading::default()));
        assert_eq!(
            supply.feed(),
            Feed::Source {
                volts: 9.0,
                ohms: 1.5,
                limit: 0.5
            }
        );
        assert_eq!(
            say(&mut supply, Ticks(7), "volt?;outp?;curr?;res?\n"),
            "9.000\n1\n0.500\n1.500\n"
        );
    }

    #[test]
    fn long_forms_units_and_both_spellings_of_on_are_understood() {
        let mut supply = PowerSupply::default();
        say(
            &mut supply,
            Ticks::ZERO,
            "SOURce:VOLTage 6 V\nOUTPut:STATe 1\n",
        );
        assert_eq!(
            say(&mut supply, Ticks::ZERO, "SOUR:VOLT?\nOUTP:STAT?\n"),
            "6.000\n1\n"
        );
        say(&mut supply, Ticks::ZERO, "*RST\n");
        assert_eq!(
            say(&mut supply, Ticks::ZERO, "VOLT?;OUTP?;*OPC?\n"),
            "0.000\n0\n1\n"
        );
    }

    #[test]
    fn mistakes_are_queued_and_change_nothing() {
        let mut supply = PowerSupply::default();
        say(&mut supply, Ticks::ZERO, "VOLT 5\n");
        say(
            &mut supply,
            Ticks::ZERO,
            "VOLT 99\nVOLT\nVOLT abc\nVOLTA 3\nOUTP maybe\nVOLT? 3\n\u{7f}\n",
        );
        let errors = say(&mut supply, Ticks::ZERO, &"SYST:ERR?\n".repeat(8));
        assert_eq!(
            errors.lines().collect::<Vec<_>>(),
            [
                "-222,\"Data out of range\"",
                "-109,\"Missing parameter\"",
                "-104,\"Data type error\"",
                "-113,\"Undefined header\"",
                "-104,\"Data type error\"",
                "-108,\"Parameter not allowed\"",
                "-113,\"Undefined header\"",
                "0,\"No error\"",
            ]
        );
        assert_eq!(say(&mut supply, Ticks::ZERO, "VOLT?\n"), "5.000\n");
    }

    #[test]
    fn a_full_error_queue_and_an_endless_line_are_reported() {
        let mut supply = PowerSupply::default();
        say(&mut supply, Ticks::ZERO, &"X\n".repeat(20));
        let errors = say(&mut supply, Ticks::ZERO, &"SYST:ERR?\n".repeat(9));
        assert_eq!(errors.lines().nth(7), Some("-350,\"Queue overflow\""));
        assert_eq!(errors.lines().nth(8), Some("0,\"No error\""));
        say(
            &mut supply,
            Ticks::ZERO,
            &format!("VOLT {}\n", "1".repeat(500)),
        );
        let error = say(&mut supply, Ticks::ZERO, "SYST:ERR?\n");
        assert_eq!(error, "-363,\"Input buffer overrun\"\n");
    }

    #[test]
    fn a_measurement_takes_its_aperture_and_averages_the_current() {
        let mut supply = PowerSupply::default();
        assert_eq!(
            say(&mut supply, Ticks::ZERO, "MEAS:CURR?;MEAS:VOLT:DC?;*IDN?\n"),
            ""
        );
        let reading = Reading {
            volts: 8.99,
            coulombs: 20e-3 * 0.0044,
        };
        supply.pass(supply.next(), reading);
        assert_eq!(supply.take_reply(), "0.004400\n");
        assert_eq!(supply.next(), Ticks::from_millis(40));
        supply.pass(supply.next(), reading);
        assert_eq!(
            supply.take_reply(),
            "8.990000\nLOCKRIG,VIRTUAL SUPPLY,0,1.0\n"
        );
    }
}
