//! Fuzzing a board through its keypad, buttons, door and supply: inputs are made from the profile's grammar,
//! carried out by the same loop as any scenario, judged by the same oracles, and kept where the bench showed
//! something that it had not shown before.
//!
//! [`grammar`] says what is done, `showing` what counts as new. On a virtual bench each input starts from a fork
//! of the flashed board, on a real one the board is flashed anew.
//!
//! Where there is a debug probe, some of the inputs that showed nothing new are done once more with hardware
//! breakpoints (`watching`) in the image's `blocks` that no kept input has come to, and kept if they come to
//! one. To which blocks the kept ones come an emulated board with the same image tells, the twin; the board under
//! test itself is looked into by its probe alone, also where it is emulated.
//!
//! Inputs are tried in rounds of a fixed size. Within a round they follow from the seed and from what was kept
//! before it, and what comes of them is taken over in their order: so the number of jobs changes nothing.

mod blocks;
pub mod grammar;
mod showing;
mod watching;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;

use crate::bench::Bench;
use crate::campaign::{self, Group, Prepared};
use crate::cuts::parallel::parallel;
use crate::driver::DeviceTrouble;
use crate::driver::probe::BREAKPOINTS;
use crate::driver::probe::ProbeTrouble;
use crate::event::{Event, FlashChange, Judgement, Nanos, What};
use crate::port::sim::Branches;
use crate::profile::codes::{self, Code};
use crate::profile::{Product, Profile};
use crate::run::{self, Setup};
use crate::scenario::{self, Course, PlannedRun, Requirements, Scenario, Script};
use crate::source::Source;
use crate::verdict::Verdict;

use blocks::Blocks;
use grammar::{Grammar, Input, WORDS_MAX, Word};
use watching::Watched;

/// How many inputs are tried before what they showed is looked at.
pub const ROUND: usize = 32;
/// How many inputs a finding may take to be made smaller.
const SHRINKING_MAX: u32 = 200;
/// How many of a round's inputs are watched by the probe.
const WATCHED: usize = 4;
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
    /// Bench time that passed, but for what a probe watched.
    pub bench_time: Nanos,
    /// Inputs that were done once more under the probe.
    pub watched: u64,
    /// Those of them that came to a breakpoint, and were kept for it.
    pub hits: u64,
    /// Blocks of the image that direct branches lead to, and how many of them the kept inputs come to.
    pub blocks: usize,
    /// See there.
    pub reached: usize,
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
    probing: Option<Probing>,
}

/// Where breakpoints are put, and on what that is known.
struct Probing {
    chip: String,
    blocks: Blocks,
    branches: Branches,
    /// An emulated board with the same image, that notes its branches.
    twin: Mutex<Bench>,
    /// Why the probe could not look, the last time.
    trouble: Option<ProbeTrouble>,
}

impl Fuzzer {
    /// Around a bench whose board is flashed; none where the product has no codes. `twin` is a virtual bench with the
    /// same image, where the other is real.
    pub fn new(
        group: Group,
        prepared: Prepared,
        twin: Option<Prepared>,
        requirements: Requirements,
        options: Options,
    ) -> Option<Fuzzer> {
        let grammar = Grammar::of(group.profile.lock()?);
        let mut bench = prepared.bench;
        let twin = twin.map(|twin| twin.bench).or_else(|| bench.fork());
        let has_probe = options.guided && group.bench.probe.is_some();
        let probing = match (&group.image, twin) {
            (Some(image), Some(mut twin)) if has_probe => {
                let branches = Branches::new();
                twin.branch()?.note_branches(Some(&branches));
                Some(Probing {
                    chip: image.chip().to_owned(),
                    blocks: Blocks::of(image),
                    branches,
                    twin: Mutex::new(twin),
                    trouble: None,
                })
            }
            _ => None,
        };
        Some(Fuzzer {
            probing,
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
        let mut silent = Vec::new();
        for (input, came) in inputs.iter().zip(came.into_iter().flatten()) {
            if !self.take_over(input, &came) {
                silent.push(input.clone());
            }
            if let Some(ended) = came.ended {
                return Err(ended);
            }
            if let Some(breach) = came.breach
                && found.is_none()
            {
                found = Some((breach, input.clone(), self.counts));
            }
        }
        silent.truncate(WATCHED);
        self.watch(&silent, jobs, stop);
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

    /// Counts what came of an input; whether it showed something new.
    fn take_over(&mut self, input: &Input, came: &Came) -> bool {
        let counts = &mut self.counts;
        counts.executions += 1;
        counts.presses += came.counts.presses;
        counts.attempts += came.counts.attempts;
        counts.actuations += came.counts.actuations;
        counts.erases += came.counts.erases;
        counts.bench_time += came.counts.bench_time;
        let before = self.seen.len();
        self.seen.extend(&came.shown);
        counts.shown = self.seen.len();
        let is_new = self.seen.len() > before;
        if is_new {
            self.keep(input);
        }
        is_new
    }

    fn keep(&mut self, input: &Input) {
        if !self.options.guided {
            return;
        }
        self.corpus.push(input.clone());
        self.counts.kept = self.corpus.len();
        if let Some(probing) = &self.probing {
            let twin = probing
                .twin
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .fork();
            if let (Some(mut twin), Some((plan, script, codes))) = (twin, self.planned(input)) {
                self.events(&plan, &script, &codes, None, &mut twin);
            }
            self.counts.blocks = probing.blocks.count();
            self.counts.reached = probing.blocks.reached(&probing.branches);
        }
    }

    /// Does inputs once more under the probe, each with other breakpoints.
    fn watch(&mut self, inputs: &[Input], jobs: usize, stop: &AtomicBool) {
        let Some(probing) = &self.probing else { return };
        let mut unreached = probing.blocks.unreached(&probing.branches);
        if unreached.is_empty() {
            return;
        }
        let first = self.rounds as usize * WATCHED * BREAKPOINTS % unreached.len();
        unreached.rotate_left(first);
        let watches: Vec<(&Input, Vec<u32>)> = inputs
            .iter()
            .zip(unreached.chunks(BREAKPOINTS).map(<[u32]>::to_vec))
            .collect();
        let watched = parallel(
            &watches,
            jobs,
            stop,
            |_| (),
            |(input, addresses)| self.watched(input, &probing.chip, addresses),
        );
        let mut trouble = None;
        for ((input, _), watched) in watches.iter().zip(watched.into_iter().flatten().flatten()) {
            self.counts.watched += 1;
            trouble = watched.trouble;
            if watched.hit.is_some() {
                self.counts.hits += 1;
                self.keep(input);
            }
        }
        if let Some(probing) = &mut self.probing {
            probing.trouble = trouble;
        }
    }

    fn watched(&self, input: &Input, chip: &str, addresses: &[u32]) -> Option<Watched> {
        let (plan, script, codes) = self.planned(input)?;
        let given = Script {
            steps: Vec::new(),
            finally: Vec::new(),
            ..script.clone()
        };
        let mut bench = self.bench.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fork = bench.fork();
        let flashed = match fork {
            Some(_) => self.receipt.clone(),
            None => campaign::flash(&self.group, &mut bench).ok()?,
        };
        let mut held = fork.is_none().then_some(bench);
        let bench = fork.as_mut().or(held.as_deref_mut())?;
        let setup = Setup {
            plan: &plan,
            script: &given,
            profile: &self.group.profile,
            codes: &codes,
            seed: self.options.seed,
            files: Vec::new(),
            flashed,
            rehearsal: &[],
            bench,
        };
        Some(watching::watched(setup, &script.steps, chip, addresses))
    }

    /// Why the probe could not look, if it could not the last time.
    pub fn probe_trouble(&self) -> Option<&ProbeTrouble> {
        self.probing.as_ref()?.trouble.as_ref()
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

    /// The run of an input with its codes; none where this product cannot do it.
    fn planned(&self, input: &Input) -> Option<(PlannedRun, Script, BTreeMap<String, Code>)> {
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
        let codes = codes::generate(self.lock(), self.options.seed, &script.codes).ok()?;
        Some((plan, script, codes))
    }

    fn carry_out(&self, input: &Input) -> Came {
        let nothing = Came {
            shown: Vec::new(),
            breach: None,
            counts: Counts::default(),
            ended: None,
        };
        let Some((plan, script, codes)) = self.planned(input) else {
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
        codes: &BTreeMap<String, Code>,
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
            rehearsal: &[],
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
    // A lock with spent cells refuses sooner: its times are not those of the others.
    let fresh = product.lock().map(|lock| lock.supply.fresh.value.0);
    let sagged = events.iter().any(|event| match &event.what {
        What::SupplySet { millivolts } => millivolts.is_some() && *millivolts != fresh,
        _ => false,
    });
    // Nor is one that was measured once: where a lock erases a page now and then, chance has to be known.
    let counts = |oracle: &str, promised: bool, because: &str| {
        let by_chance = oracle == "I6" && (sagged || because.ends_with("none was repeated"));
        (promised || !is_known(oracle)) && !by_chance
    };
    events.iter().find_map(|event| match &event.what {
        What::Judged {
            oracle,
            because,
            judgement: Judgement::Broken,
            promised,
            ..
        } if counts(oracle, *promised, because) => Some(Breach {
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
