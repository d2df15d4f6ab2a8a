//! Fuzzing a board through its keypad, buttons, door and supply: inputs are made from the profile's grammar,
//! carried out by the same loop as any scenario, judged by the same oracles, and kept where the bench showed
//! something that it had not shown before.
//!
//! [`grammar`] says what is done, [`showing`] what counts as new. Nothing here looks into the board: on a
//! virtual bench each input starts from a fork of the flashed board, on a real one the board is flashed anew.
//!
//! Inputs are tried in rounds of a fixed size. Within a round they follow from the seed and from what was kept
//! before it, and what comes of them is taken over in their order: so the number of jobs changes nothing.

pub mod grammar;
mod showing;

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;

use crate::bench::Bench;
use crate::campaign::{self, Group, Prepared};
use crate::cuts::parallel::parallel;
use crate::driver::DeviceTrouble;
use crate::event::{Event, FlashChange, Judgement, Nanos, What};
use crate::profile::codes::{self, Code};
use crate::profile::{Product, Profile};
use crate::run::{self, Setup};
use crate::scenario::{self, Course, PlannedRun, Requirements, Scenario, Script};
use crate::source::Source;
use crate::verdict::Verdict;

use grammar::{Grammar, Input, WORDS_MAX, Word};

/// How many inputs are tried before what they showed is looked at.
pub const ROUND: usize = 32;
/// How many inputs a finding may take to be made smaller.
const SHRINKING_MAX: u32 = 200;
/// Of so many inputs one is made anew, though there are some to start from.
const ANEW: usize = 8;

/// How to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Decides every input, and the codes.
    pub seed: u64,
    /// How many at once, on a virtual bench.
    pub jobs: usize,
    /// Inputs that showed something new are where others start from.
    pub guided: bool,
}

/// What was done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Counts {
    /// Inputs that were carried out.
    pub executions: u64,
    /// Keys and buttons that were pressed.
    pub presses: u64,
    /// Codes that were entered completely.
    pub attempts: u64,
    /// Relays that were switched, on or off.
    pub actuations: u64,
    /// Pages of flash that were erased, flashing included: by count on a virtual bench, else by estimate.
    pub erases: u64,
    /// Inputs that showed something new.
    pub kept: usize,
    /// Different things that were shown.
    pub shown: usize,
    /// Bench time that passed.
    pub bench_time: Nanos,
}

/// Something that the board must not do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Breach {
    /// What was broken: an oracle, or an expectation.
    pub rule: String,
    /// What was seen.
    pub because: String,
    /// A failure, or a finding.
    pub verdict: Verdict,
}

/// A breach with what led to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// What was broken.
    pub breach: Breach,
    /// What was done when it was found.
    pub input: Input,
    /// As much of it as is needed.
    pub smallest: Input,
    /// What had been done by then.
    pub after: Counts,
}

/// What came of an input.
struct Came {
    shown: Vec<u64>,
    breach: Option<Breach>,
    counts: Counts,
    /// The bench does not do what it is told, or somebody stopped it.
    ended: Option<(Verdict, String)>,
}

/// A board under fuzzing.
pub struct Fuzzer {
    group: Group,
    grammar: Grammar,
    requirements: Requirements,
    bench: Mutex<Bench>,
    is_virtual: bool,
    receipt: Option<What>,
    options: Options,
    corpus: Vec<Input>,
    seen: HashSet<u64>,
    counts: Counts,
    rounds: u64,
}

impl Fuzzer {
    /// Around a bench whose board is flashed; none where the product has no codes.
    pub fn new(
        group: Group,
        prepared: Prepared,
        requirements: Requirements,
        options: Options,
    ) -> Option<Fuzzer> {
        let grammar = Grammar::of(group.profile.lock()?);
        let mut bench = prepared.bench;
        Some(Fuzzer {
            grammar,
            requirements,
            is_virtual: bench.branch().is_some(),
            bench: Mutex::new(bench),
            receipt: prepared.receipt,
            group,
            options,
            corpus: Vec::new(),
            seen: HashSet::new(),
            counts: Counts::default(),
            rounds: 0,
        })
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What can be done to this product.
    pub fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    /// Tries one round, and gives the first breach in it.
    ///
    /// # Errors
    /// A bench that does not do what it is told, or somebody who stopped it.
    pub fn round(&mut self, stop: &AtomicBool) -> Result<Option<Found>, (Verdict, String)> {
        let size = if self.is_virtual { ROUND } else { 1 };
        let inputs: Vec<Input> = (0..size)
            .map(|nth| self.made(self.rounds * ROUND as u64 + nth as u64))
            .collect();
        self.rounds += 1;
        let jobs = if self.is_virtual {
            self.options.jobs
        } else {
            1
        };
        let came = parallel(&inputs, jobs, stop, |_| (), |input| self.carry_out(input));
        let mut found = None;
        for (input, came) in inputs.iter().zip(came.into_iter().flatten()) {
            self.take_over(input, &came);
            if let Some(ended) = came.ended {
                return Err(ended);
            }
            if let Some(breach) = came.breach
                && found.is_none()
            {
                found = Some((breach, input.clone(), self.counts));
            }
        }
        Ok(found.map(|(breach, input, after)| {
            let smallest = self.shrunk(&input, &breach.rule);
            Found {
                breach,
                input,
                smallest,
                after,
            }
        }))
    }

    fn take_over(&mut self, input: &Input, came: &Came) {
        let counts = &mut self.counts;
        counts.executions += 1;
        counts.presses += came.counts.presses;
        counts.attempts += came.counts.attempts;
        counts.actuations += came.counts.actuations;
        counts.erases += came.counts.erases;
        counts.bench_time += came.counts.bench_time;
        let before = self.seen.len();
        self.seen.extend(&came.shown);
        if self.options.guided && self.seen.len() > before {
            self.corpus.push(input.clone());
        }
        counts.kept = self.corpus.len();
        counts.shown = self.seen.len();
    }

    /// An input of this number: a change of one that was kept, or a new one.
    fn made(&self, number: u64) -> Input {
        let mut random =
            Rng::with_seed(self.options.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        if self.corpus.is_empty() || random.usize(..ANEW) == 0 {
            return (0..random.usize(1..=6))
                .map(|_| word(&mut random))
                .collect();
        }
        // What came last lies nearest to what has not been seen yet.
        let nth = random.usize(..self.corpus.len());
        let nth = nth.max(random.usize(..self.corpus.len()));
        let mut input = self.corpus[nth].clone();
        for _ in 0..random.usize(1..=3) {
            self.mutate(&mut input, &mut random);
        }
        input.truncate(WORDS_MAX);
        input
    }

    fn mutate(&self, input: &mut Input, random: &mut Rng) {
        let place = random.usize(..=input.len());
        match random.u8(..6) {
            0 | 1 => input.insert(place, word(random)),
            2 if !input.is_empty() => _ = input.remove(place % input.len()),
            3 if !input.is_empty() => {
                let at = place % input.len();
                input[at].0[random.usize(1..3)] = random.u8(..);
            }
            4 if !input.is_empty() => {
                let again = input[place % input.len()];
                input.insert(random.usize(..=input.len()), again);
            }
            _ => {
                let other = &self.corpus[random.usize(..self.corpus.len())];
                input.truncate(place);
                input.extend(&other[random.usize(..=other.len())..]);
            }
        }
    }

    fn lock(&self) -> &Profile {
        self.group.profile.lock().expect("it has codes")
    }

    /// The run of an input; none where this product cannot do it.
    fn planned(&self, input: &Input) -> Option<(PlannedRun, Script)> {
        let text = self.grammar.scenario(input, "fuzz", None)?;
        let scenario = Scenario::read(&Source::new("fuzz.yaml", text), &self.requirements);
        let scenario = scenario.unwrap_or_else(|refused| panic!("{}", refused.render(false)));
        let plan = scenario::plan(&scenario, self.lock())
            .ok()?
            .into_iter()
            .next()?;
        let script = match &plan.course {
            Course::Runs(script) => script.clone(),
            Course::Skipped(_) => return None,
        };
        Some((plan, script))
    }

    fn carry_out(&self, input: &Input) -> Came {
        let nothing = Came {
            shown: Vec::new(),
            breach: None,
            counts: Counts::default(),
            ended: None,
        };
        let Some((plan, script)) = self.planned(input) else {
            return nothing;
        };
        let Ok(codes) = codes::generate(self.lock(), self.options.seed, &script.codes) else {
            return nothing;
        };
        let mut bench = self.bench.lock().unwrap_or_else(PoisonError::into_inner);
        let events = match bench.fork() {
            Some(mut fork) => {
                drop(bench);
                Ok(self.events(&plan, &script, &codes, self.receipt.clone(), &mut fork))
            }
            None => campaign::flash(&self.group, &mut bench)
                .map(|receipt| self.events(&plan, &script, &codes, receipt, &mut bench)),
        };
        match events {
            Ok(events) => self.came(&events),
            Err(trouble) => Came {
                ended: Some((Verdict::Broken, said(&trouble))),
                ..nothing
            },
        }
    }

    fn events(
        &self,
        plan: &PlannedRun,
        script: &Script,
        codes: &std::collections::BTreeMap<String, Code>,
        flashed: Option<What>,
        bench: &mut Bench,
    ) -> Vec<Event> {
        let setup = Setup {
            plan,
            script,
            profile: &self.group.profile,
            codes,
            seed: self.options.seed,
            files: Vec::new(),
            flashed,
            bench,
        };
        run::run(setup, Box::new(std::io::sink())).0
    }

    fn came(&self, events: &[Event]) -> Came {
        let ended = events.last().and_then(|last| match &last.what {
            What::Finished {
                verdict: verdict @ (Verdict::Broken | Verdict::Aborted),
                because,
                ..
            } => Some((*verdict, because.clone())),
            _ => None,
        });
        Came {
            shown: showing::shown(events),
            breach: breach(events, &self.group.profile).filter(|_| ended.is_none()),
            counts: self.counted(events),
            ended,
        }
    }

    fn counted(&self, events: &[Event]) -> Counts {
        let mut counts = Counts::default();
        for event in events {
            match &event.what {
                What::Switched { contact, closed } => {
                    counts.actuations += 1;
                    counts.presses += u64::from(*closed && contact != "door");
                }
                What::CodeEntered { .. } => {
                    counts.attempts += 1;
                    // A lock that stores every attempt with an erase wears out soonest.
                    counts.erases += u64::from(!self.is_virtual);
                }
                What::FlashChanged {
                    kind: FlashChange::Page,
                    ..
                } => counts.erases += 1,
                _ => {}
            }
        }
        // Every page is erased once when the board is flashed anew.
        counts.erases += u64::from(!self.is_virtual);
        let began = events.first().map_or(Nanos::ZERO, |first| first.at);
        counts.bench_time = events
            .last()
            .map_or(Nanos::ZERO, |last| last.at.since(began));
        counts
    }

    /// As few words as still break the rule, with the first of their choices where that does as well.
    fn shrunk(&self, input: &Input, rule: &str) -> Input {
        let mut smallest = input.clone();
        let mut left = SHRINKING_MAX;
        let mut breaks = |input: &Input| {
            left = left.saturating_sub(1);
            let breach = (left > 0).then(|| self.carry_out(input).breach).flatten();
            breach.is_some_and(|breach| breach.rule == rule)
        };
        loop {
            let before = smallest.clone();
            let mut at = smallest.len();
            while at > 0 {
                at -= 1;
                let mut fewer = smallest.clone();
                fewer.remove(at);
                if !fewer.is_empty() && breaks(&fewer) {
                    smallest = fewer;
                }
            }
            for at in 0..smallest.len() {
                for choice in [2, 1] {
                    let mut simpler = smallest.clone();
                    simpler[at].0[choice] = 0;
                    if simpler != smallest && breaks(&simpler) {
                        smallest = simpler;
                    }
                }
            }
            if smallest == before {
                return smallest;
            }
        }
    }
}

fn word(random: &mut Rng) -> Word {
    Word(std::array::from_fn(|_| random.u8(..)))
}

fn said(trouble: &DeviceTrouble) -> String {
    format!("{trouble}\nhint: {}", trouble.hint)
}

/// The first thing that the board must not do, and that its profile does not list as known. A signal that is not
/// shown is none: the lock may have refused what the input asked of it.
fn breach(events: &[Event], product: &Arc<Product>) -> Option<Breach> {
    let is_known = |oracle: &str| {
        let mut known = product.weaknesses().iter();
        known.any(|weakness| weakness.breaks.value == oracle)
    };
    events.iter().find_map(|event| match &event.what {
        What::Judged {
            oracle,
            because,
            judgement: Judgement::Broken,
            promised,
            ..
        } if *promised || !is_known(oracle) => Some(Breach {
            rule: oracle.clone(),
            because: format!("{oracle}: {because}"),
            verdict: match promised {
                true => Verdict::Fail,
                false => Verdict::Finding,
            },
        }),
        What::Checked {
            wanted,
            got,
            held: false,
        } if ["not to withdraw the bolt", "exactly one of the sets"]
            .iter()
            .any(|promise| wanted.contains(promise)) =>
        {
            Some(Breach {
                rule: wanted.clone(),
                because: format!("expected {wanted}; saw {got}"),
                verdict: Verdict::Fail,
            })
        }
        _ => None,
    })
}
