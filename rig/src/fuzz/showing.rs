//! What a bench shows in a run, as a set of numbers: lamps, beeper and bolt, the console's lines, and how long
//! the lock took. Two runs with the same numbers look alike from outside. What only an emulator can tell is no
//! part of it.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use crate::event::{Event, Nanos, What};
use crate::port::sim::state_hasher;

/// Everything that was shown, each thing once.
pub fn shown(events: &[Event]) -> Vec<u64> {
    let mut seen = Seen::default();
    for event in events {
        seen.event(event);
    }
    seen.ends();
    seen.shown.sort_unstable();
    seen.shown.dedup();
    seen.shown
}

#[derive(Default)]
struct Seen {
    shown: Vec<u64>,
    /// What was done last, in a word, and when.
    done: String,
    at: Nanos,
    /// How often each line came on since, and whether something had come before.
    pulses: BTreeMap<String, u32>,
    answered: bool,
    printed: String,
}

impl Seen {
    fn event(&mut self, event: &Event) {
        match &event.what {
            What::CodeEntered { standing, .. } => self.did(format!("{standing:?}"), event.at),
            What::Switched { contact, closed } if !contact.starts_with("digit") => {
                self.did(format!("{contact} {closed}"), event.at);
            }
            What::SupplySet { millivolts } => self.did(format!("{millivolts:?}"), event.at),
            What::LineChanged { line, high: true } if line != "key" => {
                self.reaction(line, event.at);
                *self.pulses.entry(line.clone()).or_default() += 1;
            }
            What::Printed { text } => {
                let text = normal(text);
                self.reaction(&text, event.at);
                let before = std::mem::replace(&mut self.printed, text.clone());
                self.note((before, text));
            }
            _ => {}
        }
    }

    /// The first answer to what was done tells how long the lock took.
    fn reaction(&mut self, what: &str, at: Nanos) {
        self.note((&self.done.clone(), what));
        if !std::mem::replace(&mut self.answered, true) {
            let took = power_of_two(at.since(self.at).as_millis());
            self.note((&self.done.clone(), what, took));
        }
    }

    fn did(&mut self, what: String, at: Nanos) {
        self.ends();
        (self.done, self.at, self.answered) = (what, at, false);
    }

    fn ends(&mut self) {
        let pulses = std::mem::take(&mut self.pulses);
        self.note((&self.done.clone(), pulses));
    }

    fn note(&mut self, thing: impl Hash) {
        let mut hasher = state_hasher();
        thing.hash(&mut hasher);
        self.shown.push(hasher.finish());
    }
}

/// A line of the console without what differs from run to run: numbers beyond nine by their magnitude.
fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut number = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        match number.len() {
            0 => {}
            1 => out.push_str(&number),
            _ => {
                let value: u64 = number.parse().unwrap_or(u64::MAX);
                out.push_str(&format!("<{}>", power_of_two(value)));
            }
        }
        number.clear();
        out.push(letter);
    }
    out
}

fn power_of_two(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}
