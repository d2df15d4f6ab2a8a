//! Which contacts a script closes, and which at the same time: what the wiring of a bench must be able to do.

use std::collections::BTreeSet;

use crate::bench::Contact;
use crate::profile::Profile;
use crate::profile::codes::Declared;
use crate::scenario::{Act, CodeUse, Doing, Script};

use super::steps::wired;

/// Every key and button that the script closes. Of codes that are made from the profile's rules nothing is said.
pub fn contacts(script: &Script, profile: &Profile) -> BTreeSet<Contact> {
    Chords::of(script, profile).used
}

/// Every set of several contacts that the script closes at the same time, once each. Codes that are made
/// from the profile's rules have one key at a time.
pub fn chords(script: &Script, profile: &Profile) -> Vec<Vec<Contact>> {
    Chords::of(script, profile).found
}

struct Chords<'s> {
    script: &'s Script,
    profile: &'s Profile,
    held: Vec<Contact>,
    found: Vec<Vec<Contact>>,
    used: BTreeSet<Contact>,
}

impl<'s> Chords<'s> {
    fn of(script: &'s Script, profile: &'s Profile) -> Chords<'s> {
        let mut chords = Chords {
            script,
            profile,
            held: Vec::new(),
            found: Vec::new(),
            used: BTreeSet::new(),
        };
        for acts in [&script.setup, &script.steps, &script.finally, &script.lock] {
            chords.walk(acts);
        }
        chords
    }

    fn walk(&mut self, acts: &[Act]) {
        for act in acts {
            match &act.doing {
                Doing::Press { contacts, .. } => self.note(contacts.iter().map(wired).collect()),
                Doing::Enter { code, submit, .. }
                | Doing::Opens { code, submit, .. }
                | Doing::Refuses { code, submit, .. } => self.enter(code, submit.as_deref()),
                _ => {}
            }
            let held = match &act.doing {
                Doing::Hold { contact, .. } => {
                    self.note(vec![wired(contact)]);
                    Some(wired(contact))
                }
                _ => None,
            };
            let depth = self.held.len();
            self.held.extend(held);
            self.walk(act.inner());
            self.held.truncate(depth);
        }
    }

    fn enter(&mut self, code: &CodeUse, submit: Option<&str>) {
        let code = match code {
            CodeUse::Literal(code) => Some(code.clone()),
            CodeUse::Known(known) => self.profile.known_code(*known),
            CodeUse::Named(name) => match self.script.codes.get(name) {
                Some(Declared::Literal(code)) => Some(code.clone()),
                _ => None,
            },
        };
        let strokes = code.iter().flat_map(|code| code.strokes_to_press());
        let strokes: Vec<Vec<Contact>> = strokes
            .chain(submit)
            .map(|keys| keys.chars().map(Contact::Key).collect())
            .collect();
        for together in strokes {
            self.note(together);
        }
    }

    /// These are closed while others are held.
    fn note(&mut self, contacts: Vec<Contact>) {
        self.used.extend(contacts.iter().cloned());
        let mut closed: Vec<Contact> = self.held.iter().cloned().chain(contacts).collect();
        closed.sort();
        closed.dedup();
        if closed.len() > 1 && !self.found.contains(&closed) {
            self.found.push(closed);
        }
    }
}
