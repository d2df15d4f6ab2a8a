//! What the fuzzers of the lock start from: what the shipped scenarios do, as scripts.

use fuzz_script::{ACTIONS_MAX, Action, Contact, Door, Loss, Pause, Press, Script};
use lockrig::profile::{Button, Product, Profile};
use lockrig::project::Project;
use lockrig::scenario::{self, Act, CodeUse, Course, Doing, Requirements, Scenario};
use lockrig::source::Source;
use lockrig::step::DoorState;

use crate::scenario_form::PRODUCTS;

/// A seed for each shipped scenario on each product that it runs on, with its name; of a longer one the
/// beginning.
///
/// # Panics
/// If a shipped file is wrong, which other tests would have told.
pub fn made() -> Vec<(String, Vec<u8>)> {
    let source = |file: &lockrig::project::File| {
        Source::new(file.name.as_str(), file.text().expect("it is text"))
    };
    let shipped = Project::Shipped;
    let requirements = shipped.requirements().expect("it is in the binary");
    let requirements = Requirements::read(&source(&requirements)).expect("it is right");
    let scenarios = shipped.scenarios().expect("they are in the binary");
    let mut made = Vec::new();
    for file in shipped.profiles().expect("they are in the binary") {
        let product = Product::read(&source(&file)).expect("it is right");
        let Some(profile) = product.lock() else {
            continue;
        };
        let place = PRODUCTS.iter().position(|known| *known == profile.id());
        let place = place.expect("every product has its place") as u8;
        for file in &scenarios {
            let Ok(scenario) = Scenario::read(&source(file), &requirements) else {
                continue;
            };
            let Ok(planned) = scenario::plan(&scenario, profile) else {
                continue;
            };
            let Some(run) = planned.iter().find_map(|run| match &run.course {
                Course::Runs(script) => Some(script),
                Course::Skipped(_) => None,
            }) else {
                continue;
            };
            let mut doing = Flattened {
                profile,
                actions: Vec::new(),
            };
            doing.all(&run.setup);
            doing.all(&run.steps);
            doing.actions.truncate(ACTIONS_MAX);
            let script = Script {
                product: place,
                actions: doing.actions,
            };
            let bytes = script.to_bytes();
            // Several scenarios begin alike.
            if made.iter().all(|(_, other)| *other != bytes) {
                let name = scenario.id().replace('/', "-");
                made.push((format!("{}-{name}", profile.id()), bytes));
            }
        }
    }
    made
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_are_those_of_the_scenarios() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../seeds/scripts");
        let made = super::made();
        for (name, bytes) in &made {
            let path = format!("{folder}/{name}");
            assert!(
                std::fs::read(&path).is_ok_and(|found| found == *bytes),
                "'{path}' is not the scenario's: cargo run -p fuzz-parsers --example script -- seeds \
                 fuzz/seeds/scripts"
            );
        }
        let found = std::fs::read_dir(folder).expect("a folder").count();
        assert_eq!(found, made.len(), "seeds of scenarios that are gone");
    }
}
