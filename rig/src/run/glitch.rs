//! One instruction that goes wrong while the lock decides on a code that must not open.
//!
//! A run counts the entries of such codes, and either keeps forks of the bench at each ([`Entry`]) or watches
//! the instructions after the last key of the one that a scenario names, and lets one of them go wrong.
//! Instructions are counted from the order to press the last key until the lock shows something: a lamp,
//! the beeper, or its bolt.

use std::sync::Mutex;

use crate::bench::{Bench, Contact};
use crate::event::{Standing, What};
use crate::port;
use crate::scenario::{Act, CodeUse};
use crate::step::{GlitchMode, InstructionAt};

use super::cut::{is_output, not_virtual};
use super::runner::{Runner, Step, Stop};

/// An entry of a code that must not open, in the scenario's steps.
pub struct Entry {
    /// Which one, from 1.
    pub number: u32,
    /// The key that ends it, where the product has one.
    pub submit: Option<String>,
    /// What opens at that time.
    pub valid: Vec<CodeUse>,
    /// The bench before its first key; to be forked.
    pub before: Mutex<Bench>,
    /// The bench a moment before its last key goes down; to be forked.
    pub at_last_key: Mutex<Bench>,
    /// The last key, or the keys that are pressed together.
    pub last: Vec<Contact>,
}

/// Counts entries.
pub struct Glitching {
    count: u32,
    goal: Goal,
    entries: Vec<Entry>,
    /// The bench before the entry that is under way.
    before: Option<Bench>,
}

#[derive(Clone, Copy)]
enum Goal {
    /// Not yet.
    Nothing,
    /// Keep every entry.
    Collect,
    /// Let this instruction of this entry go wrong.
    Strike {
        entry: u32,
        at: InstructionAt,
        mode: GlitchMode,
        /// Of the entry that is under way, how many there were.
        seen: Option<u64>,
    },
}

impl Glitching {
    /// Keeps every entry of the scenario's steps.
    pub fn collecting() -> Glitching {
        Glitching {
            count: 0,
            goal: Goal::Nothing,
            entries: Vec::new(),
            before: None,
        }
    }

    /// The entries that were kept.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}

/// The port's word for it.
pub fn physical(mode: GlitchMode) -> port::Glitch {
    match mode {
        GlitchMode::Skip(count) => port::Glitch::Skip(count),
        GlitchMode::Flip(bit) => port::Glitch::Flip(bit),
        GlitchMode::Zeros(register) => port::Glitch::Zeros(register),
        GlitchMode::Ones(register) => port::Glitch::Ones(register),
    }
}

/// Whether the lock shows something: what ends its decision.
pub fn is_sign(line: &str, on: bool) -> bool {
    // A bolt leaves its place before it arrives.
    is_output(line) && (on || line.starts_with("bolt"))
}

impl Runner<'_> {
    /// The steps begin whose entries count.
    pub(super) fn watch_entries(&mut self) {
        if let Some(glitching) = &mut self.glitching {
            glitching.goal = Goal::Collect;
        }
    }

    /// An entry begins.
    pub(super) fn entry_begins(&mut self) -> Step {
        let collects = |glitching: &Glitching| matches!(glitching.goal, Goal::Collect);
        if self.glitching.as_ref().is_some_and(collects) {
            let Some(fork) = self.quiet_fork() else {
                return self.broken(not_virtual());
            };
            if let Some(glitching) = &mut self.glitching {
                glitching.before = Some(fork);
            }
        }
        Ok(())
    }

    fn quiet_fork(&mut self) -> Option<Bench> {
        let mut bench = self.bench.fork()?;
        if let Some(branch) = bench.branch() {
            branch.watch_terminal(false);
            branch.watch_cut_points(false);
        }
        Some(bench)
    }

    /// The last key of a code is about to go down.
    pub(super) fn last_key(&mut self, submit: Option<&str>, last: &[Contact]) -> Step {
        let Some(glitching) = &mut self.glitching else {
            return Ok(());
        };
        let stands = self
            .recorder
            .events()
            .iter()
            .rev()
            .find_map(|event| match &event.what {
                What::CodeEntered { standing, .. } => Some(*standing),
                _ => None,
            });
        if !matches!(stands, Some(Standing::Invalid | Standing::LockedOut)) {
            return Ok(());
        }
        glitching.count += 1;
        match &mut glitching.goal {
            Goal::Nothing => {
                glitching.count = 0;
                Ok(())
            }
            Goal::Strike { entry, seen, .. } => {
                if *entry == glitching.count {
                    *seen = Some(0);
                    let Some(branch) = self.bench.branch() else {
                        return self.broken(glitches_nowhere());
                    };
                    branch.watch_instructions(true);
                }
                Ok(())
            }
            Goal::Collect => {
                let (number, before) = (glitching.count, glitching.before.take());
                let (Some(before), Some(at_last_key)) = (before, self.quiet_fork()) else {
                    return self.broken(glitches_nowhere());
                };
                let entry = Entry {
                    number,
                    submit: submit.map(str::to_owned),
                    valid: self.credentials.valid(),
                    before: Mutex::new(before),
                    at_last_key: Mutex::new(at_last_key),
                    last: last.to_vec(),
                };
                if let Some(glitching) = &mut self.glitching {
                    glitching.entries.push(entry);
                }
                Ok(())
            }
        }
    }

    /// Carries out acts while one instruction goes wrong.
    pub(super) fn glitch(
        &mut self,
        entry: u32,
        (at, mode): (InstructionAt, GlitchMode),
        acts: &[Act],
    ) -> Step {
        self.glitching = Some(Glitching {
            goal: Goal::Strike {
                entry,
                at,
                mode,
                seen: None,
            },
            ..Glitching::collecting()
        });
        let outcome = self.all(acts);
        let glitching = self.glitching.take();
        outcome?;
        // It was taken when it struck.
        let Some(glitching) = glitching else {
            return Ok(());
        };
        let got = match glitching.goal {
            Goal::Strike {
                seen: Some(seen), ..
            } => format!(
                "the lock decides on entry {entry} in {seen} instructions; hint: 'lockrig glitch' lists them"
            ),
            _ => format!(
                "the steps have {} entries that must not open; hint: 'lockrig glitch' lists them",
                glitching.count
            ),
        };
        let missing = match glitching.goal {
            Goal::Strike { seen: Some(_), .. } => at.to_string(),
            _ => format!("entry {entry}"),
        };
        self.no_such_point(format!("there is no {missing}"), got)
    }
}

impl<P> Runner<'_, P> {
    /// A scenario names a point that its steps do not have.
    pub(super) fn no_such_point(&mut self, wanted: String, got: String) -> Step {
        self.record(What::Checked {
            wanted,
            got,
            held: false,
        });
        Err(Stop::NoSuchPoint)
    }

    /// An instruction is about to be executed.
    pub(super) fn note_instruction(&mut self, instruction: port::Instruction) -> Step {
        let Some(Glitching {
            goal: Goal::Strike { at, mode, seen, .. },
            ..
        }) = &mut self.glitching
        else {
            return Ok(());
        };
        *seen = Some(instruction.number);
        let (at, mode) = (*at, *mode);
        if instruction.number != u64::from(at.0) {
            return Ok(());
        }
        self.glitching = None;
        let Some(branch) = self.bench.branch() else {
            return Ok(());
        };
        let struck = branch.glitch(Some(physical(mode)));
        branch.watch_instructions(false);
        if !struck {
            let wanted = format!("there is no '{mode}' of {at}");
            let got = format!(
                "it is {} bits long and writes {}",
                instruction.bits,
                registers(instruction.writes)
            );
            self.record(What::Checked {
                wanted,
                got,
                held: false,
            });
            return Err(Stop::NoSuchPoint);
        }
        self.record(What::Glitched {
            instruction: at.0,
            address: instruction.address,
            how: mode.to_string(),
        });
        Ok(())
    }

    /// A line changed: the lock may have decided.
    pub(super) fn note_sign(&mut self, line: &str, on: bool) {
        if let Some(Glitching {
            goal: Goal::Strike { seen: Some(_), .. },
            ..
        }) = &self.glitching
            && is_sign(line, on)
            && let Some(branch) = self.bench.branch()
        {
            branch.watch_instructions(false);
        }
    }
}

fn glitches_nowhere() -> crate::driver::DeviceTrouble {
    crate::driver::DeviceTrouble {
        doing: "letting one instruction go wrong".to_owned(),
        ..not_virtual()
    }
}

/// Registers by their bits: `R0, R4 and LR`.
fn registers(bits: u16) -> String {
    let names: Vec<String> = (0..15)
        .filter(|register| bits >> register & 1 != 0)
        .map(|register| match register {
            14 => "LR".to_owned(),
            other => format!("R{other}"),
        })
        .collect();
    match names.as_slice() {
        [] => "no register".to_owned(),
        names => names.join(", "),
    }
}
