//! One script on four layers: the model that says what manuals say, the lock's state machine on the host, its
//! image on the emulated core, and a board on its bench, through the drivers.
//!
//! They are compared by what they make known, in order: [`Told`]. When is not compared: a board has key scans and
//! relays that a model has not. What the bench's finger takes beside the script, every layer is given.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use code_entry::Personality;
use fuzz_image::Target;
use fuzz_lock::host::Hand;
use fuzz_lock::layers::{self, Listener};
use fuzz_script::{Loss, Script};

pub use fuzz_lock::layers::{Said, Told, first_difference};

use crate::bench::Bench;
use crate::campaign::{self, Group, Prepared};
use crate::event::{Event, What};
use crate::profile::Profile;
use crate::run::{self, Setup};
use crate::scenario::{self, Course, Requirements, Scenario};
use crate::source::Source;
use crate::verdict::Verdict;

/// The layers, the fastest first.
pub const LAYERS: [&str; 4] = ["model", "host", "image", "board"];

/// A scenario's name while it is made smaller.
const NAME: &str = "layers";
/// How often a script may be tried while it is made smaller on a board.
const SHRINKING_MAX: u32 = 400;

/// The four layers of one product.
pub struct Layers {
    rules: &'static Personality,
    hand: Hand,
    image: Target,
    group: Group,
    bench: Bench,
    receipt: Option<What>,
    requirements: Requirements,
    seed: u64,
}

/// What each layer said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// In the order of [`LAYERS`].
    pub said: Vec<Vec<Said>>,
}

/// Why a script cannot be carried out on a board.
pub type Trouble = (Verdict, String);

impl Layers {
    /// Around a bench whose board is flashed.
    ///
    /// # Errors
    /// A product without codes, or an image without a personality: by name.
    pub fn new(
        group: Group,
        prepared: Prepared,
        requirements: Requirements,
        seed: u64,
    ) -> Result<Layers, String> {
        let profile = group.profile.lock().ok_or("a cylinder runs no firmware")?;
        let foreign = |name: &str| {
            format!(
                "the layers 'model' and 'host' need what the personality says, and the image '{name}' has no page \
                 for one"
            )
        };
        let image = group.image.as_ref().ok_or("the bench flashes no image")?;
        if image.personality().is_none() {
            return Err(foreign(image.name()));
        }
        let rules = profile
            .personality()
            .map_err(|refused| refused.render(false))?;
        let hand = hand(profile);
        let segments: Vec<(u32, Vec<u8>)> = image
            .segments()
            .iter()
            .map(|segment| (segment.address, segment.bytes.clone()))
            .collect();
        let kind = rules.kind;
        Ok(Layers {
            // Both live for as long as the command.
            rules: Box::leak(Box::new(rules)),
            hand,
            image: Target::flashed(&segments, kind),
            group,
            bench: prepared.bench,
            receipt: prepared.receipt,
            requirements,
            seed,
        })
    }

    /// Carries a script out on every layer.
    ///
    /// # Errors
    /// A bench that does not do what it is told.
    pub fn all(&mut self, script: &Script) -> Result<Table, Trouble> {
        let said: Result<Vec<_>, _> = (0..LAYERS.len()).map(|nth| self.one(nth, script)).collect();
        Ok(Table { said: said? })
    }

    /// As little of a script as still shows a difference between the model and another layer, found on the
    /// fastest layer that shows it.
    ///
    /// # Errors
    /// A bench that does not do what it is told.
    pub fn shrunk(
        &mut self,
        script: &Script,
        table: &Table,
        stop: &AtomicBool,
    ) -> Result<Script, Trouble> {
        let Some((layer, _)) = table.difference() else {
            return Ok(script.clone());
        };
        let mut smallest = script.clone();
        let mut tries = 0;
        let mut at = smallest.actions.len();
        let mut again = false;
        loop {
            if at == 0 {
                if !std::mem::take(&mut again) {
                    return Ok(smallest);
                }
                at = smallest.actions.len();
                continue;
            }
            at -= 1;
            tries += 1;
            if tries > SHRINKING_MAX || stop.load(Ordering::Relaxed) {
                return Ok(smallest);
            }
            let mut fewer = smallest.clone();
            fewer.actions.remove(at);
            if fewer.actions.is_empty() {
                continue;
            }
            let (model, other) = (self.one(0, &fewer)?, self.one(layer, &fewer)?);
            if first_difference(&model, &other).is_some() {
                (smallest, again) = (fewer, true);
            }
        }
    }

    fn one(&mut self, layer: usize, script: &Script) -> Result<Vec<Said>, Trouble> {
        Ok(match layer {
            0 => layers::model(self.rules, script, self.hand),
            1 => layers::host(self.rules, script, self.hand),
            2 => self.image.tells(self.rules, script, self.hand),
            _ => self.board(script)?,
        })
    }

    fn board(&mut self, script: &Script) -> Result<Vec<Said>, Trouble> {
        let Some(text) = crate::script::scenario(script, NAME) else {
            return Ok(Vec::new());
        };
        let wrong = |why: String| (Verdict::Usage, why);
        let scenario = Scenario::read(&Source::new("layers.yaml", text), &self.requirements)
            .map_err(|refused| wrong(refused.render(false)))?;
        let profile = self.group.profile.lock().expect("it was looked at before");
        let plan = scenario::plan(&scenario, profile)
            .map_err(|refused| wrong(refused.render(false)))?
            .remove(0);
        let steps = match &plan.course {
            Course::Runs(steps) => steps.clone(),
            Course::Skipped(reason) => return Err(wrong(reason.clone())),
        };
        let codes = Default::default();
        let mut fork = self.bench.fork();
        let receipt = match fork {
            Some(_) => self.receipt.clone(),
            None => campaign::flash(&self.group, &mut self.bench).map_err(|trouble| {
                let hint = format!("{trouble}\nhint: {}", trouble.hint);
                (Verdict::Broken, hint)
            })?,
        };
        let setup = Setup {
            plan: &plan,
            script: &steps,
            profile: &self.group.profile,
            codes: &codes,
            seed: self.seed,
            files: Vec::new(),
            flashed: receipt,
            rehearsal: &[],
            bench: fork.as_mut().unwrap_or(&mut self.bench),
        };
        let (events, _) = run::run(setup, Box::new(std::io::sink()));
        match events.last().map(|last| &last.what) {
            Some(What::Finished {
                verdict: verdict @ (Verdict::Broken | Verdict::Aborted | Verdict::Usage),
                because,
                ..
            }) => Err((*verdict, because.clone())),
            _ => Ok(heard(&events, script)),
        }
    }
}

impl Table {
    /// The first layer that says something else than the model, and from which of its words on.
    pub fn difference(&self) -> Option<(usize, usize)> {
        let model = self.said.first()?;
        let mut others = self.said.iter().enumerate().skip(1);
        others.find_map(|(layer, said)| Some((layer, first_difference(model, said)?)))
    }

    /// As text: a row for each thing that was made known, a column for each layer.
    pub fn text(&self, script: &Script) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:>4}  {:24}{}",
            "",
            "in the course of",
            LAYERS
                .map(|layer| format!("{layer:14}"))
                .concat()
                .trim_end()
        );
        let rows = self.said.iter().map(Vec::len).max().unwrap_or(0);
        for row in 0..rows {
            let told = |said: &Vec<Said>| said.get(row).map(|said| said.told);
            let model = self.said.first().and_then(told);
            let during = self.said.iter().find_map(|said| said.get(row));
            let during = during.map_or(String::new(), |said| during_words(script, said.action));
            let cells: Vec<String> = self
                .said
                .iter()
                .map(|said| {
                    let told_here = told(said);
                    let word = told_here.map_or("-".to_owned(), |told| told.to_string());
                    let mark = if told_here == model { "" } else { " <" };
                    format!("{:14}", format!("{word}{mark}"))
                })
                .collect();
            let _ = writeln!(
                out,
                "{:>4}  {during:24}{}",
                row + 1,
                cells.concat().trim_end()
            );
        }
        let verdicts: Vec<String> = self
            .said
            .iter()
            .map(|said| {
                let verdict = match first_difference(&self.said[0], said) {
                    None => "equal".to_owned(),
                    Some(at) => format!("differs at {}", at + 1),
                };
                format!("{verdict:14}")
            })
            .collect();
        let _ = writeln!(out, "{:>4}  {:24}{}", "", "", verdicts.concat().trim_end());
        out
    }
}

/// An action in a few words.
fn during_words(script: &Script, action: usize) -> String {
    use fuzz_script::{Contact, Press};
    let contact = |contact: Contact| match contact {
        Contact::Key(place) => Contact::KEYS[usize::from(place)].to_string(),
        Contact::Reset => "reset".to_owned(),
        Contact::Program => "program".to_owned(),
    };
    let Some(its) = script.actions.get(action) else {
        return String::new();
    };
    let press = match its.press {
        Press::Nothing => String::new(),
        Press::Tap(what) => format!(" {}", contact(what)),
        Press::Hold(what, _) => format!(" {} held", contact(what)),
        Press::Chord(one, other) => format!(
            " {}+{}",
            contact(Contact::Key(one)),
            contact(Contact::Key(other))
        ),
    };
    let cut = if its.cut == Loss::None { "" } else { ", cut" };
    format!("{}.{press}{cut}", action + 1)
}

/// What the bench's finger takes beside what a script says.
fn hand(profile: &Profile) -> Hand {
    let millis = |time: crate::event::Nanos| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    Hand {
        press_ms: millis(profile.keypad.pause),
        door_ms: millis(run::DOOR_TAKES),
        supply_ms: millis(run::SUPPLY_TAKES),
    }
}

/// Whether a cut lies in a write to flash: which write that is, the layers do not have in common.
pub fn cuts_a_write(script: &Script) -> Option<usize> {
    let in_write = |cut: Loss| matches!(cut, Loss::InWrite(..));
    script
        .actions
        .iter()
        .position(|action| in_write(action.cut))
}

/// What a board says, from the events of its run.
fn heard(events: &[Event], script: &Script) -> Vec<Said> {
    let begins = crate::script::begins(script);
    let mut listener = Listener::default();
    for event in events {
        let at_ms = event.at.as_millis();
        match &event.what {
            What::StepStarted { place, .. } => {
                let line = place.rsplit(':').next().and_then(|line| line.parse().ok());
                let action = line.map(|line: usize| begins.partition_point(|begin| *begin <= line));
                if let Some(action) = action.filter(|action| *action > 0) {
                    listener.begins(action - 1);
                }
            }
            What::Printed { text } => listener.line(text, at_ms),
            What::LineChanged { line, high: true } if line == "bolt-withdrawn" => {
                listener.withdrawn(at_ms);
            }
            _ => {}
        }
    }
    listener.into_said()
}
