//! Asking a recovered lock for its codes, and what its answers are worth.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use super::deeper::Row;
use super::parallel::parallel;
use super::{Outcome, Progress, Work, digits};
use rustc_hash::{FxHashMap as HashMap, FxHashSet as HashSet};

use crate::driver::DeviceTrouble;
use crate::event::Nanos;
use crate::oracle::Oracles;
use crate::profile::Profile;
use crate::profile::codes::Code;
use crate::run::{self, Answer};
use crate::scenario::CodeUse;

/// What a cut is worth, and what was broken.
pub type Judged = (Outcome, Arc<str>);

/// A recovery that a row leads to, and the codes that it is to be asked for.
type Asked<'r> = (&'r Row, u64, Vec<(CodeUse, Code)>);

/// How long a quick finger presses a key, and how long it waits before the next.
const QUICK: Nanos = Nanos::from_millis(40);

/// What decides whether what a lock holds is right.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Context {
    pub old: BTreeSet<Code>,
    pub new: BTreeSet<Code>,
    pub factory: Option<BTreeSet<Code>>,
}

impl Work<'_> {
    /// Finds out which codes open, for every recovery of which that is not known.
    pub(super) fn ask(&mut self, rows: &[Row], tell: Progress<'_>) -> Result<(), DeviceTrouble> {
        let codes: Vec<(CodeUse, Code)> = self
            .candidates
            .iter()
            .map(|code| (code.clone(), digits(self.flow, code)))
            .collect();
        let mut asked = HashSet::default();
        let mut unknown: Vec<Asked<'_>> = Vec::new();
        for row in rows {
            let Some(&key) = self.explorer.recoveries.get(&row.state) else {
                continue;
            };
            if self.explorer.found[&key].recovery.fault().is_some() || !asked.insert(key) {
                continue;
            }
            let open: Vec<_> = codes
                .iter()
                .filter(|(_, digits)| !self.explorer.answers.contains_key(&(key, digits.clone())))
                .cloned()
                .collect();
            if !open.is_empty() {
                unknown.push((row, key, open));
            }
        }
        let Some((row, key, open)) = unknown.first() else {
            return Ok(());
        };
        let profile = self.flow.profile();
        let quick = quick_fingered(profile);
        let follows =
            self.answers(row, *key, open, &quick)? == self.answers(row, *key, open, profile)?;
        let profile = if follows { &quick } else { profile };
        let answers = parallel(
            &unknown,
            self.explorer.options.jobs,
            &self.explorer.stop,
            |done| tell("asking", done, unknown.len() as u64),
            |(row, key, open)| self.answers(row, *key, open, profile),
        );
        let mut known = Vec::new();
        for ((_, key, open), answers) in unknown.iter().zip(answers) {
            let Some(answers) = answers else { continue };
            for ((_, digits), answer) in open.iter().zip(answers?) {
                known.push(((*key, digits.clone()), answer));
            }
        }
        self.explorer.answers.extend(known);
        Ok(())
    }

    fn answers(
        &self,
        row: &Row,
        key: u64,
        open: &[(CodeUse, Code)],
        profile: &Profile,
    ) -> Result<Vec<Answer>, DeviceTrouble> {
        let kept = self.explorer.found[&key].bench.as_ref();
        let kept = kept.map(|bench| bench.lock().unwrap_or_else(PoisonError::into_inner).fork());
        let bench = match kept.flatten() {
            Some(bench) => Some(bench),
            None => self.recover(row, &mut |_, _, _| true)?,
        };
        let Some(mut bench) = bench else {
            return Ok(Vec::new());
        };
        if let Some(branch) = bench.branch() {
            branch.watch_cut_points(false);
        }
        let recovery = &self.explorer.found[&key].recovery;
        let lock = (&self.flow.script, profile, &self.flow.codes);
        let asked: Vec<CodeUse> = open.iter().map(|(code, _)| code.clone()).collect();
        run::answers(&mut bench, recovery, (&asked, &self.candidates), lock)
    }

    /// What each row is worth; none where it was not found out.
    pub(super) fn judge(&self, rows: &[Row]) -> Vec<Option<Judged>> {
        let fresh = self.flow.profile().supply.fresh.value.0;
        let mut held: HashMap<(u64, usize, Vec<u64>), Judged> = HashMap::default();
        // The oracles after the events before a row's point; rows come in the order of their points.
        let (mut seen, mut before) = (0, Oracles::new(self.explorer.facts.clone()));
        rows.iter()
            .map(|row| {
                let key = *self.explorer.recoveries.get(&row.state)?;
                let behind = row.behind.iter().map(|behind| run::words(&behind.seen));
                let place = (key, row.point, behind.collect::<Vec<u64>>());
                if let Some(known) = held.get(&place) {
                    return Some(known.clone());
                }
                let recovery = &self.explorer.found[&key].recovery;
                let (mut outcome, mut because) = self.set(key, &self.contexts[row.point])?;
                if outcome != Outcome::Broken {
                    let events = self.points[row.point].events;
                    if events < seen {
                        (seen, before) = (0, Oracles::new(self.explorer.facts.clone()));
                    }
                    for event in &self.events[seen..events] {
                        before.see(event);
                    }
                    seen = events;
                    let behind = row.behind.iter();
                    let behind = behind.map(|behind| (behind.when, behind.seen.as_slice()));
                    let all = behind.chain([(row.when, recovery.seen.as_slice())]);
                    let recoveries: Vec<_> = all
                        .zip(&row.cuts)
                        .map(|((when, seen), cut)| (when, cut.mode, seen))
                        .collect();
                    let breach = run::keeps_rules(before.clone(), events, fresh, &recoveries);
                    if let Some(breach) = breach {
                        (outcome, because) = (Outcome::Broken, breach);
                    }
                }
                let judged: Judged = (outcome, because.into());
                held.insert(place, judged.clone());
                Some(judged)
            })
            .collect()
    }

    /// What the codes that open come to.
    fn set(&self, key: u64, context: &Context) -> Option<(Outcome, String)> {
        if let Some(fault) = self.explorer.found[&key].recovery.fault() {
            return Some((Outcome::Broken, format!("dead: the lock reports '{fault}'")));
        }
        let mut opens = BTreeSet::new();
        for code in &self.candidates {
            let digits = digits(self.flow, code);
            match self.explorer.answers.get(&(key, digits.clone()))? {
                Answer::Opens => _ = opens.insert(digits),
                Answer::Refuses => {}
                // What it takes for the beginning of something else.
                Answer::Silent => {}
                Answer::Dead => {
                    return Some((
                        Outcome::Broken,
                        format!("dead: no answer to {code}, nor to another code after it"),
                    ));
                }
                Answer::OpensInLockout => {
                    return Some((
                        Outcome::Broken,
                        format!("I3: {code} opens during the lockout"),
                    ));
                }
            }
        }
        let named = |set: &BTreeSet<Code>| -> String {
            let names = self
                .candidates
                .iter()
                .filter(|code| set.contains(&digits(self.flow, code)));
            let names: Vec<String> = names.map(CodeUse::to_string).collect();
            if names.is_empty() {
                "no code".to_owned()
            } else {
                names.join(" and ")
            }
        };
        let outcome = if opens == context.old {
            Outcome::Old
        } else if opens == context.new {
            Outcome::New
        } else if context.factory.as_ref() == Some(&opens) {
            Outcome::Factory
        } else {
            let kind = if opens.is_empty() { "none" } else { "mixed" };
            let mut right = named(&context.old);
            if context.new != context.old {
                right = format!("{right} or {}", named(&context.new));
            }
            let because = format!(
                "{kind}: {} opens, where it should be {right}",
                named(&opens)
            );
            return Some((Outcome::Broken, because));
        };
        Some((outcome, String::new()))
    }
}

/// The product as a hurried user meets it. A lock that answers to both fingers alike is asked by the quick one:
/// most of what asking costs is keys that are held.
fn quick_fingered(profile: &Profile) -> Profile {
    let mut quick = profile.clone();
    quick.press_quickly(QUICK);
    quick
}
