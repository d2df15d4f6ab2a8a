//! What a scenario does on a product, as a script: what the fuzzers of the lock start from. What it expects is
//! lost, waits become the nearest pause, and of a long scenario the beginning is left.

use fuzz_script::{ACTIONS_MAX, Action, Contact, Door, Loss, Pause, Press, Script};

use crate::profile::{Button, Profile};
use crate::scenario::{self, Act, CodeUse, Doing};
use crate::step::DoorState;

/// The script of a planned run, from the first step that it is given on.
///
/// # Errors
/// A product that scripts do not know.
pub fn script(profile: &Profile, run: &scenario::Script) -> Result<Script, String> {
    let product = super::place_of(profile.id())?;
    let mut doing = Flattened {
        profile,
        actions: Vec::new(),
    };
    doing.all(&run.setup);
    doing.all(&run.steps);
    doing.actions.truncate(ACTIONS_MAX);
    Ok(Script {
        product,
        actions: doing.actions,
    })
}

struct Flattened<'p> {
    profile: &'p Profile,
    actions: Vec<Action>,
}

impl Flattened<'_> {
    fn all(&mut self, acts: &[Act]) {
        acts.iter().for_each(|act| self.one(&act.doing));
    }

    fn one(&mut self, doing: &Doing) {
        match doing {
            Doing::Enter { code, submit, .. }
            | Doing::Opens { code, submit, .. }
            | Doing::Refuses { code, submit, .. } => {
                let keys = self
                    .digits(code)
                    .into_iter()
                    .chain(submit.as_ref().and_then(|key| key.chars().next()));
                let keys: Vec<char> = keys.collect();
                keys.into_iter()
                    .filter_map(Press::key)
                    .for_each(|press| self.press(press));
                self.pause(500);
            }
            Doing::Press {
                contacts,
                lasts,
                times,
            } => {
                let contacts: Vec<Contact> = contacts.iter().filter_map(contact).collect();
                let press = match contacts.as_slice() {
                    [Contact::Key(first), Contact::Key(second)] => {
                        Press::Chord(*first.min(second), *first.max(second))
                    }
                    [contact] => held(*contact, lasts.as_millis()),
                    _ => Press::Nothing,
                };
                (0..*times).for_each(|_| self.press(press));
            }
            Doing::Hold {
                contact: its,
                lasts,
                during,
            } => match (contact(its), during.is_empty()) {
                (Some(button @ (Contact::Reset | Contact::Program)), false) => {
                    self.last().cut = Loss::Holding(button);
                }
                (Some(contact), _) => self.press(held(contact, lasts.as_millis())),
                (None, _) => {}
            },
            Doing::Door(state) => {
                let door = match state {
                    DoorState::Open => Door::Open,
                    DoorState::Closed => Door::Closed,
                };
                self.actions.push(Action {
                    door,
                    ..Action::default()
                });
            }
            Doing::Supply {
                millivolts: None, ..
            } => self.last().cut = Loss::Cycle(0),
            Doing::Wait { at_most, .. } => self.pause(at_most.as_millis()),
            Doing::Do { acts, .. } => self.all(acts),
            Doing::Interrupt { acts, .. } | Doing::InterruptAt { acts, .. } => {
                self.all(acts);
                self.last().cut = Loss::Cycle(0);
            }
            _ => {}
        }
    }

    fn press(&mut self, press: Press) {
        self.actions.push(Action {
            press,
            ..Action::default()
        });
    }

    fn pause(&mut self, millis: u64) {
        let pause = Pause::at_most(u32::try_from(millis).unwrap_or(u32::MAX));
        self.last().pause = pause;
    }

    fn last(&mut self) -> &mut Action {
        if self.actions.is_empty() {
            self.actions.push(Action::default());
        }
        self.actions.last_mut().expect("one was pushed")
    }

    /// The digits of a code. One that a scenario only names has the product's shortest length and follows
    /// from its name.
    fn digits(&self, code: &CodeUse) -> Vec<char> {
        match code {
            CodeUse::Literal(code) => code.digits_to_press().to_string().chars().collect(),
            CodeUse::Known(known) => {
                let code = self.profile.known_code(*known);
                code.map(|code| code.digits_to_press().to_string())
                    .unwrap_or_default()
                    .chars()
                    .collect()
            }
            CodeUse::Named(name) => {
                let personality = self.profile.personality();
                let length = personality.map_or(4, |rules| usize::from(rules.entry.digits_min));
                let bytes = name.bytes().cycle().take(length).enumerate();
                bytes
                    .map(|(place, byte)| char::from(b'1' + (byte + place as u8) % 9))
                    .collect()
            }
        }
    }
}

fn held(contact: Contact, lasts_ms: u64) -> Press {
    let fitting = |hold: &&u32| u64::from(**hold) >= lasts_ms;
    match Press::HOLDS_MS
        .iter()
        .filter(|_| lasts_ms > 1_000)
        .position(|hold| fitting(&hold))
    {
        Some(place) if place < 2 || !matches!(contact, Contact::Key(_)) => {
            Press::Hold(contact, place as u8)
        }
        _ => Press::Tap(contact),
    }
}

fn contact(contact: &scenario::Contact) -> Option<Contact> {
    match contact {
        scenario::Contact::Button(Button::Reset) => Some(Contact::Reset),
        scenario::Contact::Button(Button::Program) => Some(Contact::Program),
        scenario::Contact::Key(label) => label.chars().next().and_then(Contact::key),
    }
}
