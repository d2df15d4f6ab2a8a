//! A lock between the last key of an entry and its answer.
//!
//! The key is pressed and let go here exactly as a run does it, so that an instruction has the same number in
//! both.

use crate::bench::{self, Bench, Contact, Happening};
use crate::driver::DeviceTrouble;
use crate::event::Nanos;
use crate::oracle::word;
use crate::port::{Instruction, Waited};
use crate::profile::Profile;
use crate::run::{Entry, is_sign, physical};
use crate::step::GlitchMode;

use super::Outcome;
use crate::cuts;

/// The line that tells whether the bolt is withdrawn.
const WITHDRAWN: &str = "bolt-withdrawn";

/// How long a lock that has shown something may take to begin to move its bolt: it does both at once.
const SETTLES: Nanos = Nanos::from_millis(50);
/// So often it is looked at whether the lock has crashed, or is caught in a loop.
const LOOK: Nanos = Nanos::from_millis(2);
/// How many times as long as it takes to decide a lock may be awake until it counts as caught in a loop.
const AWAKE_TIMES: u64 = 4;

/// The lock, and the key that is still to be let go.
pub struct Decision {
    bench: Bench,
    last: Vec<Contact>,
    /// When the key is let go, if it is still down.
    releases: Option<Nanos>,
    /// When a bolt would be withdrawn at the latest.
    ends: Nanos,
    /// The instruction before which it stands.
    before: Option<Instruction>,
    /// How often the program had crashed before.
    crashes: u64,
    /// How many cycles the core may have been awake until it counts as caught in a loop.
    awake_max: u64,
}

/// What outlives a decision's instruction: equal for decisions that go on alike.
pub type Stand = (u64, u64);

impl Decision {
    /// The last key of an entry is ordered to go down; none on a real bench. Instructions are watched.
    ///
    /// # Errors
    /// An instrument that does not do what it was told.
    pub fn begin(entry: &Entry, profile: &Profile) -> Result<Option<Decision>, DeviceTrouble> {
        let Some(mut bench) = cuts::fork(&entry.at_last_key) else {
            return Ok(None);
        };
        let Some(branch) = bench.branch() else {
            return Ok(None);
        };
        branch.watch_instructions(true);
        let crashes = branch.crashes();
        for contact in &entry.last {
            bench.switch(contact, true)?;
        }
        let releases = bench.now() + profile.keypad.press;
        Ok(Some(Decision {
            bench,
            last: entry.last.clone(),
            releases: Some(releases),
            ends: releases + profile.bolt.withdraws_within,
            before: None,
            crashes,
            awake_max: u64::MAX,
        }))
    }

    /// How many cycles the core has been awake since power-on.
    pub fn awake(&mut self) -> u64 {
        self.bench.branch().map_or(0, |branch| branch.awake())
    }

    /// Told how long the core is awake for a decision.
    pub fn bound(&mut self, awake: u64) {
        self.awake_max = self.awake() + AWAKE_TIMES * awake;
    }

    /// A second one that goes its own way from here.
    pub fn fork(&mut self) -> Option<Decision> {
        Some(Decision {
            bench: self.bench.fork()?,
            last: self.last.clone(),
            ..*self
        })
    }

    /// The instruction that is about to be executed.
    pub fn stands_before(&self) -> Option<Instruction> {
        self.before
    }

    /// Goes on to the next instruction; none, once the lock has shown something or has said nothing for
    /// too long.
    ///
    /// # Errors
    /// An instrument that does not do what it was told.
    pub fn next_instruction(&mut self) -> Result<Option<Instruction>, DeviceTrouble> {
        self.before = None;
        while let Some(happening) = self.next()? {
            match happening.map(|happening| happening.what) {
                Some(bench::What::Instruction(instruction)) => {
                    self.before = Some(instruction);
                    break;
                }
                Some(bench::What::Line { line, on, .. }) if is_sign(&line, on) => break,
                _ => {}
            }
        }
        Ok(self.before)
    }

    /// What it is after the instruction that it stands before, under a glitch or as it is; none, if that
    /// glitch does not exist there.
    pub fn after(&mut self, mode: Option<GlitchMode>) -> Option<(Decision, Stand)> {
        let mut after = self.fork()?;
        let branch = after.bench.branch()?;
        if !branch.glitch(mode.map(physical)) {
            return None;
        }
        branch.watch_instructions(false);
        let state = (branch.passing_state(), branch.lasting_state());
        Some((after, state))
    }

    /// What comes of it.
    ///
    /// # Errors
    /// An instrument that does not do what it was told.
    pub fn outcome(mut self) -> Result<Outcome, DeviceTrouble> {
        let (mut shown, mut moves) = (false, false);
        while let Some(happening) = self.next()? {
            match happening.map(|happening| happening.what) {
                Some(bench::What::Line { line, on: true, .. }) if line == WITHDRAWN => {
                    return Ok(Outcome::Open);
                }
                Some(bench::What::Line { line, on, .. }) if is_sign(&line, on) => {
                    moves |= line.starts_with("bolt");
                    if !shown && !moves {
                        self.ends = self.ends.min(self.bench.now() + SETTLES);
                    }
                    shown = true;
                }
                Some(bench::What::Printed { text, .. })
                    if matches!(word(&text), "fault" | "boot") =>
                {
                    return Ok(Outcome::Fault);
                }
                _ => {}
            }
            let Some(branch) = self.bench.branch() else {
                break;
            };
            if branch.crashes() > self.crashes {
                return Ok(Outcome::Fault);
            }
            if !shown && branch.awake() > self.awake_max {
                break;
            }
        }
        Ok(if shown {
            Outcome::Closed
        } else {
            Outcome::Hang
        })
    }

    /// What happens next, or that nothing has happened for a while; none, once the time is over. The key is let
    /// go in time.
    fn next(&mut self) -> Result<Option<Option<Happening>>, DeviceTrouble> {
        let now = self.bench.now();
        if self.releases.is_some_and(|releases| releases <= now) {
            self.releases = None;
            for contact in &self.last {
                self.bench.switch(contact, false)?;
            }
        }
        if now >= self.ends {
            return Ok(None);
        }
        let until = self.releases.unwrap_or(self.ends).min(self.ends);
        match self.bench.wait(until.min(now + LOOK)) {
            Waited::Saw(Happening {
                what: bench::What::Trouble(trouble),
                ..
            }) => Err(trouble),
            Waited::Saw(happening) => Ok(Some(Some(happening))),
            Waited::Interrupted => Ok(None),
            Waited::Deadline => Ok(Some(None)),
        }
    }
}
