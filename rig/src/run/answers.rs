//! Asking a lock which codes open, through its keypad, each on a fork of the bench of its own: a lockout that
//! one code leads to does not decide what the next one is told.

use std::collections::BTreeMap;

use crate::bench::Bench;
use crate::driver::{DeviceTrouble, Trouble};
use crate::event::What;
use crate::oracle::Oracles;
use crate::profile::Profile;
use crate::profile::codes::Code;
use crate::scenario::{CodeUse, Script};
use crate::step::PhaseLabel;
use crate::trace::Recorder;

use super::cut::{Recovery, not_virtual, pass, speaks};
use super::runner::{Runner, Step, Stop};
use super::steps::{MARGIN, PATIENCE, WITHDRAWN};

/// What a lock does with a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It opens.
    Opens,
    /// It refuses, and says so.
    Refuses,
    /// It does not open and says nothing, as to a code that begins something else. Left alone for a
    /// while, it answers to another.
    Silent,
    /// It does not open and says nothing, and answers to nothing afterwards.
    Dead,
    /// It opens while it says that it is locked out.
    OpensInLockout,
}

/// Enters codes at a lock that came to rest, each at a fork of it, as a user would: once a lockout is over
/// and the bolt is thrown. `others` are codes that a lock which says nothing is asked afterwards.
///
/// # Errors
/// An instrument that does not do what it was told.
pub fn answers(
    bench: &mut Bench,
    recovery: &Recovery,
    (asked, others): (&[CodeUse], &[CodeUse]),
    (script, profile, codes): (&Script, &Profile, &BTreeMap<String, Code>),
) -> Result<Vec<Answer>, DeviceTrouble> {
    let lock = (script, profile, codes);
    let longest = profile.lockout.as_ref().and_then(|lockout| {
        let lasts = lockout.stages.iter().map(|stage| stage.lasts.value);
        lasts.max()
    });
    let said = recovery.lockout();
    let locked_out = match speaks(&recovery.seen) {
        true => said,
        false => said.or(longest),
    };
    let each = |bench: &mut Bench, asked: &[CodeUse]| -> Result<Vec<Answer>, DeviceTrouble> {
        asked
            .iter()
            .map(|code| match bench.fork() {
                Some(mut bench) => {
                    let others = others.iter().filter(|other| *other != code);
                    enter(&mut bench, code, others, lock)
                }
                None => Err(not_virtual()),
            })
            .collect()
    };
    let mut in_lockout = Vec::new();
    if said.is_some() {
        in_lockout = each(bench, asked)?;
    }
    if let Some(left) = locked_out {
        let over = bench.now() + left + MARGIN;
        pass(bench, over)?;
    }
    let mut answers = each(bench, asked)?;
    for (answer, before) in answers.iter_mut().zip(in_lockout) {
        if before == Answer::Opens {
            *answer = Answer::OpensInLockout;
        }
    }
    Ok(answers)
}

impl Runner<'_> {
    /// Enters a code, and tells what came of it.
    fn answer(&mut self, code: &CodeUse, submit: Option<&str>) -> Step<Answer> {
        let refusals = self.refusals()?;
        let before = self.recorder.events().len();
        if self.try_code(code, submit, PhaseLabel::default())? {
            return Ok(Answer::Opens);
        }
        Ok(match self.has_refused(refusals, before)? {
            true => Answer::Refuses,
            false => Answer::Silent,
        })
    }
}

fn enter<'c>(
    bench: &mut Bench,
    code: &CodeUse,
    others: impl Iterator<Item = &'c CodeUse>,
    (script, profile, codes): (&Script, &Profile, &BTreeMap<String, Code>),
) -> Result<Answer, DeviceTrouble> {
    let submit = profile.codes.user.submit.as_ref();
    let submit = submit.and_then(|key| profile.keypad.key(key));
    let facts = super::facts(profile, bench);
    let forgets_within = profile
        .change_window()
        .max(Some(facts.answers_within))
        .unwrap_or_default();
    let recorder = Recorder::new(Box::new(std::io::sink()));
    let mut run = Runner::new(
        script,
        profile,
        codes,
        0,
        bench,
        recorder,
        Oracles::new(facts),
    );
    run.credentials.unsettle();
    run.power_on = Some(run.bench.now());
    let asked = || -> Step<Answer> {
        run.wait_for_quiet(PATIENCE)?;
        if run.level(WITHDRAWN)? {
            run.lock_again()?;
        }
        run.wait_for_quiet(PATIENCE)?;
        match run.answer(code, submit)? {
            Answer::Silent => {}
            answer => return Ok(answer),
        }
        for other in others {
            run.wait(forgets_within + MARGIN)?;
            if run.answer(other, submit)? != Answer::Silent {
                return Ok(Answer::Silent);
            }
        }
        Ok(Answer::Dead)
    };
    match asked() {
        Ok(answer) => Ok(answer),
        // A bolt that cannot be thrown: the lock stands open.
        Err(Stop::Failed) => Ok(Answer::Opens),
        Err(_) => {
            let events = run.recorder.events().iter().rev();
            let trouble = events.filter_map(|event| match &event.what {
                What::Trouble {
                    device,
                    doing,
                    saw,
                    hint,
                } => Some(DeviceTrouble {
                    device: device.clone(),
                    doing: doing.clone(),
                    what: Trouble::Refused,
                    saw: saw.clone(),
                    hint: hint.clone(),
                }),
                _ => None,
            });
            Err(trouble.into_iter().next().unwrap_or_else(not_virtual))
        }
    }
}
