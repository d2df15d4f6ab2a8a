//! The lines that are sensed, and which of them proves what.

use std::collections::BTreeMap;

use super::super::text::*;
use super::super::{Line, Port};
use super::{Check, no_such_pin};
use crate::driver::firmata::PINS;
use crate::port::{Input, Level, real_pins};
use crate::source::{Problem, Spanned};

impl Check<'_, '_> {
    /// The line that proves a contact's state.
    pub(super) fn proof(&mut self, line: Option<&Spanned<String>>) -> Option<String> {
        let line = line?;
        if self.text.lines.get(line).is_none() {
            let problem = Problem::new(line.span, format!("there is no line '{}'", line.value));
            self.add(if self.text.lines.is_empty() {
                problem.hint("describe it under [lines], or leave 'line' out: then nothing proves the contact")
            } else {
                problem.did_you_mean(line, self.text.lines.names())
            });
        }
        Some(line.value.clone())
    }

    pub(super) fn lines(&mut self) -> Vec<Line> {
        let text = self.text;
        let mut lines = Vec::new();
        let mut pins: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for (name, line) in text.lines.iter() {
            let Some(port) = self.port(&line.port) else {
                continue;
            };
            let at = port.at.value.as_str();
            let board = match port.driver {
                Some(_) => match self.board_pin(port, &line.pin) {
                    Some(board) => Some(board),
                    None => continue,
                },
                None => None,
            };
            let input = match board {
                Some(_) => self.no_input(line, "a sense board's pins"),
                None if real_pins::is_pins(at) => {
                    self.is_free(at, name, &line.pin);
                    self.input(port, line)
                }
                None if matches!(at, "sim:sense" | "sim:pins") => {
                    self.no_input(line, "the pins of a virtual bench")
                }
                None if at.starts_with("sim:") => {
                    self.add(
                        Problem::new(
                            port.at.span,
                            format!("no pins at '{at}' on a virtual bench"),
                        )
                        .hint("did you mean 'sim:sense'?"),
                    );
                    Input::default()
                }
                None => {
                    self.add(
                        Problem::new(port.at.span, format!("nothing senses lines at '{at}'")).hint(
                            "wire them to a board that runs StandardFirmata, and add driver = \"firmata\"; or to the pins of this computer",
                        ),
                    );
                    continue;
                }
            };
            if let Some(other) = pins.insert((at, &line.pin), name) {
                let message = format!(
                    "'{}' is on pin '{}', and so is '{other}'",
                    name.value, line.pin.value
                );
                self.add(Problem::new(line.pin.span, message).hint("one pin senses one line"));
            }
            lines.push(Line {
                name: name.value.clone(),
                at: at.to_owned(),
                pin: line.pin.value.clone(),
                board,
                input,
                active_high: line.active == Active::High,
            });
        }
        lines
    }

    /// A pin of this computer that senses a line is a number, and closes nothing.
    fn is_free(&mut self, at: &str, name: &str, pin: &Spanned<String>) {
        let Ok(number) = pin.parse::<u16>() else {
            let message = format!("expected a pin's number, found '{}'", pin.value);
            self.add(
                Problem::new(pin.span, message)
                    .hint("on a Raspberry Pi the number of the GPIO, as in \"17\"; on a chip the line's offset"),
            );
            return;
        };
        if let Some(problem) = no_such_pin(self.text, at, number, pin.span) {
            self.add(problem);
        }
        let relays = self.text.relays.as_ref();
        let port = relays.filter(|relays| relays.driver == RelayDriver::Pins);
        let port = port.and_then(|relays| self.text.ports.get(&relays.port));
        if port.is_some_and(|port| port.at.value == at)
            && let Some(other) = self.used_outputs.get(&number)
        {
            let message = format!("'{name}' is sensed on pin {number}, which is {other} already");
            self.add(
                Problem::new(pin.span, message).hint("a pin closes a contact or senses a line"),
            );
        }
    }

    fn input(&mut self, port: &PortText, line: &LineText) -> Input {
        if let Some(sample) = &port.sample
            && sample.value < real_pins::SAMPLE_MIN
        {
            let least = real_pins::SAMPLE_MIN;
            let message = format!(
                "pins are looked at every {least} at most, not every {}",
                **sample
            );
            self.add(Problem::new(sample.span, message).hint("1 ms does for lamps and switches"));
        }
        if let (Some(_), Some(debounce)) = (&port.sample, &line.debounce) {
            let problem = Problem::new(
                debounce.span,
                "pins that are looked at now and then are not debounced",
            );
            self.add(problem.hint("leave 'debounce' out, or 'sample' of the port"));
        }
        Input {
            pull: line.pull.as_ref().map(|pull| match **pull {
                Pull::Up => Level::High,
                Pull::Down => Level::Low,
            }),
            debounce: line.debounce.as_ref().map(|debounce| **debounce),
            sample: port.sample.as_ref().map(|sample| **sample),
        }
    }

    /// Where pins cannot be told how to sense.
    fn no_input(&mut self, line: &LineText, what: &str) -> Input {
        let spans = [
            line.pull.as_ref().map(|pull| ("pull", pull.span)),
            line.debounce.as_ref().map(|time| ("debounce", time.span)),
        ];
        for (key, span) in spans.into_iter().flatten() {
            let problem = Problem::new(span, format!("{what} have no '{key}'"));
            self.add(problem.hint("leave it out: it is for pins of this computer"));
        }
        Input::default()
    }

    /// A sense board's port, and the number of one of its pins.
    fn board_pin(&mut self, port: &PortText, pin: &Spanned<String>) -> Option<(Port, u8)> {
        let number = pin.parse().ok().filter(|number| *number < PINS);
        if number.is_none() {
            self.add(
                Problem::new(
                    pin.span,
                    format!("expected a pin's number, found '{}'", pin.value),
                )
                .hint("digital pins of a sense board are \"0\" to \"127\"; A0 of an Uno is \"14\""),
            );
        }
        Some((self.stream(port)?, number?))
    }
}
