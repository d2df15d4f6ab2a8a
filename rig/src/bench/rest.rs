//! Bringing a bench to rest, on every way out.

use super::connect::CONNECT_MAX;
use super::contacts::Contacts;
use super::feeder::Feeder;
use super::{Bench, Contact, Feed, Happening, Output, What};
use crate::driver::DeviceTrouble;
use crate::driver::stage::{self, Left};
use crate::event::Nanos;

/// How long going to rest may take altogether. Every driver gives up on its own well before.
pub const REST_MAX: Nanos = Nanos::from_secs(5);
/// How long an output waits for the confirmation of those before it, from the last one that came. Instruments
/// that answer take less; one that does not keeps nothing else from its rest.
const PATIENCE: Nanos = Nanos::from_millis(50);

/// What came of going to rest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rest {
    /// The outputs that were brought to rest, in this order; each was confirmed.
    pub outputs: Vec<String>,
    /// The outputs of which nobody knows.
    pub unknown: Vec<String>,
    /// What happened meanwhile, troubles included.
    pub happenings: Vec<Happening>,
}

impl Bench {
    /// Brings every output to its rest state, in the order that the bench file gives, and waits for the
    /// confirmations; what waited to be done is forgotten.
    ///
    /// It works after any trouble, as far as instruments answer, takes at most [`REST_MAX`] (a stage at
    /// most [`stage::REST_MAX`] more), and no interrupt shortens it. Doing it twice costs nothing.
    pub fn to_rest(&mut self) -> Rest {
        let mut rest = Rest {
            happenings: self.happenings.drain(..).collect(),
            ..Rest::default()
        };
        let mut until = self.now() + REST_MAX;
        let mut left = self.patience();
        let outputs = self.file.rest.clone();
        for output in &outputs {
            match output {
                Output::Supply => self.supply_to_rest(),
                Output::Stage => {
                    let began = self.now();
                    self.stage_to_rest(&mut rest);
                    until += self.now().since(began);
                    continue;
                }
                output => self.contacts_to_rest(*output),
            }
            self.until_outputs_idle(until, &mut left, &mut rest.happenings);
        }
        self.until_idle(until, &mut rest.happenings);
        for output in outputs {
            self.note(output, &mut rest);
        }
        self.touched = false;
        if rest.unknown.is_empty() {
            self.ports.at_rest();
        }
        rest
    }

    /// Lets time pass until every instrument has answered, or has given up.
    ///
    /// # Errors
    /// The first trouble meanwhile.
    pub fn settle(&mut self) -> Result<(), DeviceTrouble> {
        let mut seen = Vec::new();
        self.until_idle(self.now() + CONNECT_MAX, &mut seen);
        let troubles = seen
            .into_iter()
            .filter_map(|happening| match happening.what {
                What::Trouble(trouble) => Some(trouble),
                _ => None,
            });
        troubles.take(1).try_for_each(Err)
    }

    /// The contacts that go to rest with this output, and whether each is closed then.
    fn contacts(&self, output: Output) -> Vec<(Contact, bool)> {
        let relays = self.file.relays.iter();
        let contacts = relays.flat_map(|relays| &relays.contacts);
        contacts
            .filter(|(contact, _)| contact.output() == output)
            .map(|(contact, wired)| (contact.clone(), wired.rest_closed))
            .collect()
    }

    fn contacts_to_rest(&mut self, output: Output) {
        let now = self.now();
        let at_rest = self.contacts(output);
        if let Some(contacts) = &mut self.contacts {
            for (contact, closed) in at_rest {
                contacts.rest(now, &contact, closed);
            }
        }
    }

    /// What the supply does at rest.
    fn feed_at_rest(&self) -> Option<Feed> {
        let supply = self.file.supply.as_ref()?;
        let rest = supply.programmable().and_then(|supply| supply.rest);
        Some(rest.map_or(Feed::Off, |voltage| Feed::On {
            voltage,
            resistance: None,
        }))
    }

    fn supply_to_rest(&mut self) {
        let now = self.now();
        if let Some(feed) = self.feed_at_rest()
            && let Some(supply) = &mut self.supply
        {
            supply.rest(now, feed, self.contacts.as_ref());
        }
    }

    /// A stage has ways to go; nothing else waits for it that is not behind it in the order.
    fn stage_to_rest(&mut self, rest: &mut Rest) {
        let now = self.now();
        let Some(stage) = &mut self.stage else {
            return;
        };
        if stage.lost.is_none() && stage.driver.rested() != Some(Left::Clear) {
            stage.driver.rest(now);
        }
        self.until_idle(now + stage::REST_MAX, &mut rest.happenings);
    }

    /// Whether an output came to rest.
    fn note(&self, output: Output, rest: &mut Rest) {
        match output {
            Output::Supply => {
                let Some(feed) = self.feed_at_rest() else {
                    return;
                };
                let supply = self.supply.as_ref();
                let contacts = self.contacts.as_ref();
                let known = supply.is_some_and(|supply| supply.is_at_rest(feed, contacts));
                rest.note("supply".to_owned(), known);
            }
            Output::Stage => {
                let stage = self.stage.as_ref().filter(|stage| stage.lost.is_none());
                match stage.and_then(|stage| stage.driver.rested()) {
                    Some(Left::KeyIn { at }) => {
                        rest.note(format!("stage (the cylinder holds the key at {at})"), true);
                    }
                    left => rest.note("stage".to_owned(), left.is_some()),
                }
            }
            output => {
                let contacts = self.contacts.as_ref();
                for (contact, closed) in self.contacts(output) {
                    let known = contacts.is_some_and(|them| them.is_known_to_be(&contact, closed));
                    rest.note(contact.to_string(), known);
                }
            }
        }
    }

    /// Lets time pass until every driver has its answers or has given up.
    pub(super) fn until_idle(&mut self, until: Nanos, seen: &mut Vec<Happening>) {
        loop {
            self.pump();
            seen.extend(self.happenings.drain(..));
            let mut boards = self.sense_boards.iter();
            let told = boards.all(|board| board.lost.is_some() || board.driver.is_idle());
            if told && self.outputs_idle() || self.now() >= until {
                return;
            }
            // Interrupted means: stop what you do. Going to rest is just that.
            let _ = self.step(until);
        }
    }

    /// How long outputs wait for an instrument that is silent: [`PATIENCE`], or until a relay board on a slow line has
    /// given up.
    fn patience(&self) -> Nanos {
        let contacts = self.contacts.as_ref();
        contacts.map_or(PATIENCE, |contacts| PATIENCE.max(contacts.patience()))
    }

    /// The same for the drivers of outputs, and no longer than what is left of the patience, which each confirmation
    /// gives back: who was silent for so long is not waited for by the outputs that come later in the order.
    fn until_outputs_idle(&mut self, until: Nanos, left: &mut Nanos, seen: &mut Vec<Happening>) {
        let patience = self.patience();
        let mut end = until.min(self.now() + *left);
        loop {
            self.pump();
            let is_progress = |happening: &Happening| {
                matches!(happening.what, What::Switched { .. } | What::Fed { .. })
            };
            if self.happenings.iter().any(is_progress) {
                *left = patience;
                end = until.min(self.now() + patience);
            }
            seen.extend(self.happenings.drain(..));
            if self.outputs_idle() {
                return;
            }
            if self.now() >= end {
                *left = Nanos::ZERO;
                return;
            }
            let _ = self.step(end);
        }
    }

    fn outputs_idle(&self) -> bool {
        let contacts = self.contacts.as_ref();
        let supply = self.supply.as_ref();
        let stage = self.stage.as_ref();
        contacts.is_none_or(Contacts::is_idle)
            && supply.is_none_or(Feeder::is_idle)
            && stage.is_none_or(|stage| stage.lost.is_some() || stage.driver.is_idle())
    }
}

/// The last resort of whoever forgot [`Bench::to_rest`], or panicked before it.
impl Drop for Bench {
    fn drop(&mut self) {
        // A bench that exists in memory ceases to exist: there is nothing to make safe.
        if self.touched && self.ports.branch().is_none() {
            self.to_rest();
        }
    }
}

impl Rest {
    fn note(&mut self, output: String, known: bool) {
        if known {
            self.outputs.push(output);
        } else {
            self.unknown.push(output);
        }
    }
}

impl Contact {
    /// The output that this contact goes to rest with.
    fn output(&self) -> Output {
        match self {
            Contact::Key(_) => Output::Keys,
            Contact::Button(_) => Output::Buttons,
            Contact::Door => Output::Door,
            Contact::Jam => Output::Jam,
            Contact::Lead | Contact::Crowbar => Output::Supply,
        }
    }
}
