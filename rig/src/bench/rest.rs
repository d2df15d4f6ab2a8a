//! Bringing a bench to rest, on every way out.

use super::connect::CONNECT_MAX;
use super::contacts::Contacts;
use super::{Bench, Contact, Feed, Happening, Output, What};
use crate::driver::DeviceTrouble;
use crate::driver::stage::{self, Left};
use crate::event::Nanos;

/// How long going to rest may take altogether. Every driver gives up on its own well before.
pub const REST_MAX: Nanos = Nanos::from_secs(5);
/// What came of going to rest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rest {
    /// The outputs that were brought to rest, in this order; each was confirmed.
    pub outputs: Vec<String>,
    /// The outputs of which nobody knows.
    pub failed: Vec<String>,
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
        let until = self.now() + REST_MAX;
        for output in self.file.rest.clone() {
            match output {
                Output::Supply => self.supply_to_rest(until, &mut rest),
                Output::Stage => self.stage_to_rest(&mut rest),
                output => self.contacts_to_rest(output, until, &mut rest),
            }
        }
        self.touched = false;
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

    fn contacts_to_rest(&mut self, output: Output, until: Nanos, rest: &mut Rest) {
        let Some(relays) = &self.file.relays else {
            return;
        };
        let outputs: Vec<(Contact, bool)> = relays
            .contacts
            .iter()
            .filter(|(contact, _)| contact.output() == output)
            .map(|(contact, wired)| (contact.clone(), wired.rest_closed))
            .collect();
        let now = self.now();
        if let Some(contacts) = &mut self.contacts {
            for (contact, closed) in &outputs {
                contacts.rest(now, contact, *closed);
            }
        }
        self.until_idle(until, &mut rest.happenings);
        for (contact, closed) in outputs {
            let contacts = self.contacts.as_ref();
            let known = contacts.is_some_and(|them| them.is_known_to_be(&contact, closed));
            rest.note(contact.to_string(), known);
        }
    }

    fn supply_to_rest(&mut self, until: Nanos, rest: &mut Rest) {
        let Some(supply) = &self.file.supply else {
            return;
        };
        let feed = match supply.rest {
            Some(voltage) => Feed::On {
                voltage,
                resistance: None,
            },
            None => Feed::Off,
        };
        let now = self.now();
        if let Some(supply) = &mut self.supply
            && supply.lost.is_none()
            && !supply.driver.is_known_to_be(feed)
        {
            supply.driver.rest(now, feed);
        }
        self.until_idle(until, &mut rest.happenings);
        let known = self
            .supply
            .as_ref()
            .is_some_and(|supply| supply.lost.is_none() && supply.driver.is_known_to_be(feed));
        rest.note("supply".to_owned(), known);
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
        let stage = self.stage.as_ref().filter(|stage| stage.lost.is_none());
        match stage.and_then(|stage| stage.driver.rested()) {
            Some(Left::Clear) => rest.note("stage".to_owned(), true),
            Some(Left::KeyIn { at }) => {
                rest.note(format!("stage (the cylinder holds the key at {at})"), true);
            }
            None => rest.note("stage".to_owned(), false),
        }
    }

    /// Lets time pass until every output driver has its answers or has given up.
    pub(super) fn until_idle(&mut self, until: Nanos, seen: &mut Vec<Happening>) {
        loop {
            self.pump();
            seen.extend(self.happenings.drain(..));
            let contacts_idle = self.contacts.as_ref().is_none_or(Contacts::is_idle);
            let supply_idle = self
                .supply
                .as_ref()
                .is_none_or(|supply| supply.lost.is_some() || supply.driver.is_idle());
            let stage_idle = self
                .stage
                .as_ref()
                .is_none_or(|stage| stage.lost.is_some() || stage.driver.is_idle());
            let sense_idle = self
                .sense_boards
                .iter()
                .all(|board| board.lost.is_some() || board.driver.is_idle());
            let instruments_idle = contacts_idle && supply_idle && stage_idle && sense_idle;
            if instruments_idle || self.now() >= until {
                return;
            }
            // Interrupted means: stop what you do. Going to rest is just that.
            let _ = self.step(until);
        }
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
            self.failed.push(output);
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
        }
    }
}
