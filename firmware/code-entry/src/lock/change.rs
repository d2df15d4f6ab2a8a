//! Changes of codes: a trigger opens one, its steps are asked for, and the new code is stored in one commit.

use super::attempt::Credential;
use super::{Lock, Mode, Outputs};
use crate::code::Code;
use crate::museum;
use crate::parser::{Context, Entry};
use crate::personality::{Change, MasterRule, Step, Target, Trigger, Zeros};
use crate::record::{Record, Storage, StorageFault};
use crate::report::{Refusal, Report};
use crate::signal::Signal;

/// How far a change of codes has come.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    pub(super) change: usize,
    pub(super) step: usize,
    pub(super) taps: u8,
    pub(super) own_slot: u8,
    pub(super) new: Code,
    pub(super) until_ms: u64,
}

impl<S: Storage> Lock<S> {
    /// Opens the first change whose trigger fits and that is permitted; refuses if one fits and none is permitted.
    /// Returns whether any fits.
    pub(super) fn begin_change(
        &mut self,
        now_ms: u64,
        taps: u8,
        fits: impl Fn(&Trigger) -> bool,
        out: &mut impl Outputs,
    ) -> bool {
        if self.lockout.is_some() {
            return false;
        }
        let mut fitting = self
            .personality
            .changes
            .iter()
            .enumerate()
            .filter(|(_, change)| fits(&change.trigger))
            .peekable();
        if fitting.peek().is_none() {
            return false;
        }
        let Some((number, change)) = fitting.find(|(_, change)| self.permits(change)) else {
            self.refuse(Refusal::NotPermitted, out);
            return true;
        };
        let (target, window_ms) = (change.target, change.window_ms);
        if self.too_low_for_programming() {
            self.refuse(Refusal::Battery, out);
        } else if target == Target::Tapped && taps > self.personality.codes.user_slots {
            self.refuse(Refusal::Slot, out);
        } else {
            let until_ms = now_ms + u64::from(window_ms);
            self.mode = Mode::Changing(Progress {
                change: number,
                step: 0,
                taps,
                own_slot: 0,
                new: Code::BLANK,
                until_ms,
            });
            self.parser.expect(self.context(number, 0));
            out.signal(Signal::ProgrammingOpen);
        }
        true
    }

    fn permits(&self, change: &Change) -> bool {
        let master = match change.master {
            MasterRule::Any => true,
            MasterRule::Unset => self.record.master.is_blank(),
            MasterRule::Set => !self.record.master.is_blank(),
        };
        master && self.guard_holds(change.guard)
    }

    /// What the entry for a step is typed as.
    fn context(&self, change: usize, step: usize) -> Context {
        match self.personality.changes[change].steps[step] {
            Step::ResetCode => Context::ResetCode,
            _ => Context::Change,
        }
    }

    /// The change that this function stands for, among those that start like the one that is open.
    fn function(&self, open: usize, entered: &Code) -> Option<usize> {
        let changes = &self.personality.changes;
        changes.iter().position(|change| {
            let Some(Step::Function(digit)) = change.steps.first() else {
                return false;
            };
            let chosen = Code::from_digits(&[*digit]).is_ok_and(|code| code == *entered);
            chosen && change.trigger == changes[open].trigger && self.permits(change)
        })
    }

    /// An entry for the change that is open.
    pub(super) fn step(
        &mut self,
        now_ms: u64,
        mut progress: Progress,
        entry: Entry,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        if entry.is_empty() {
            self.refuse(Refusal::Length, out);
            return Ok(());
        }
        let code = entry.code();
        let step = self.personality.changes[progress.change].steps[progress.step];
        let credential = match step {
            Step::Old => Some(Credential::User),
            Step::Master => Some(Credential::Master),
            Step::Factory => Some(Credential::Factory),
            Step::ResetCode => Some(Credential::ResetCode),
            Step::Function(_) | Step::New | Step::Again => None,
        };
        if let Some(credential) = credential {
            let found = self.attempt(now_ms, credential, &code, out)?;
            // It was counted and refused, which is all that a wrong code costs.
            let found = found.or(cfg!(feature = "museum-change-without-old").then_some(1));
            let Some(slot) = found else {
                out.report(Report::ChangeRefused(Refusal::Code));
                return Ok(());
            };
            if step == Step::Old {
                progress.own_slot = slot.max(1);
            }
        }
        let refusal = match step {
            Step::Function(_) => match self.function(progress.change, &code) {
                Some(change) => {
                    progress.change = change;
                    None
                }
                None => Some(Refusal::Function),
            },
            Step::New => {
                progress.new = code;
                let zeros_refused = self.personality.codes.zeros == Zeros::Refused;
                if !self.personality.fits_length(&code) {
                    Some(Refusal::Length)
                } else {
                    (zeros_refused && code.is_all_zeros()).then_some(Refusal::Zeros)
                }
            }
            Step::Again => (code != progress.new).then_some(Refusal::Mismatch),
            Step::Old | Step::Master | Step::Factory | Step::ResetCode => None,
        };
        if let Some(refusal) = refusal {
            self.refuse(refusal, out);
            return Ok(());
        }
        progress.step += 1;
        if progress.step == self.personality.changes[progress.change].steps.len() {
            return self.store(now_ms, progress, out);
        }
        self.mode = Mode::Changing(progress);
        self.parser
            .expect(self.context(progress.change, progress.step));
        self.window_restarts(now_ms);
        out.signal(if step == Step::New {
            Signal::NewCodeTaken
        } else {
            Signal::StepTaken
        });
        Ok(())
    }

    /// Puts the new code in its place, in one commit.
    fn store(
        &mut self,
        now_ms: u64,
        progress: Progress,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        let change = &self.personality.changes[progress.change];
        if !self.guard_holds(change.guard) {
            self.refuse(Refusal::NotPermitted, out);
            return Ok(());
        }
        if self.too_low_for_programming() {
            self.refuse(Refusal::Battery, out);
            return Ok(());
        }
        let mut record = Record {
            owned: cfg!(not(feature = "museum-factory-code-stays")),
            ..self.record
        };
        let slot = match change.target {
            Target::Slot(slot) => slot,
            Target::Tapped => progress.taps,
            Target::Own => progress.own_slot,
            Target::Free => match self.free_slot() {
                Some(slot) => slot,
                None => {
                    self.refuse(Refusal::Slot, out);
                    return Ok(());
                }
            },
            Target::Master => 0,
            Target::Hand => {
                self.ready();
                out.report(Report::ChangeAccepted);
                out.signal(Signal::ChangeAccepted);
                return self.learn_hand(now_ms, out);
            }
        };
        let deletes = progress.new.is_all_zeros();
        let new = if deletes { Code::BLANK } else { progress.new };
        if let Some(both) = museum::new_beside_old(&self.record, new) {
            self.commit(both)?;
        }
        match usize::from(slot).checked_sub(1) {
            Some(index) => record.users[index] = new,
            None => record.master = new,
        }
        self.commit(record)?;
        self.ready();
        out.report(Report::ChangeAccepted);
        out.report(Report::Codes {
            users: record.user_count(),
        });
        // Zeros in place of a new code are taken without a word.
        if !deletes || progress.new.is_blank() {
            out.signal(Signal::ChangeAccepted);
        }
        Ok(())
    }

    fn free_slot(&self) -> Option<u8> {
        (1..=self.personality.codes.user_slots)
            .find(|slot| self.record.users[usize::from(*slot) - 1].is_blank())
    }

    fn refuse(&mut self, refusal: Refusal, out: &mut impl Outputs) {
        self.ready();
        out.report(Report::ChangeRefused(refusal));
        out.signal(if refusal == Refusal::Battery {
            Signal::LowBattery
        } else {
            Signal::ChangeRefused
        });
    }

    pub(super) fn cancelled(&mut self, out: &mut impl Outputs) {
        match self.mode {
            Mode::Changing(_) => self.refuse(Refusal::Cancelled, out),
            _ => self.ready(),
        }
    }

    pub(super) fn window_restarts(&mut self, now_ms: u64) {
        if let Mode::Changing(progress) = &mut self.mode {
            let change = &self.personality.changes[progress.change];
            if change.window_restarts {
                progress.until_ms = now_ms + u64::from(change.window_ms);
            }
        }
    }
}
