//! Changes of codes: a trigger opens one, its steps are asked for, and the new code is stored in one commit.

use super::attempt::Credential;
use super::{Lock, Mode, Outputs};
use crate::code::Code;
use crate::parser::{Context, Entry};
use crate::personality::{Change, MasterRule, Step, Target, Trigger};
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
            self.parser.expect(Context::Change);
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
        let steps = &self.personality.changes[progress.change].steps;
        let last = progress.step + 1 == steps.len();
        let refusal = match steps[progress.step] {
            Step::Old => match self.attempt(now_ms, Credential::User, &code, out)? {
                Some(slot) => {
                    progress.own_slot = slot.max(1);
                    None
                }
                None => {
                    out.report(Report::ChangeRefused(Refusal::Code));
                    return Ok(());
                }
            },
            Step::Master => {
                if self
                    .attempt(now_ms, Credential::Master, &code, out)?
                    .is_none()
                {
                    out.report(Report::ChangeRefused(Refusal::Code));
                    return Ok(());
                }
                None
            }
            Step::New => {
                progress.new = code;
                if !self.personality.fits_length(&code) {
                    Some(Refusal::Length)
                } else {
                    code.is_all_zeros().then_some(Refusal::Zeros)
                }
            }
            Step::Again => (code != progress.new).then_some(Refusal::Mismatch),
        };
        if let Some(refusal) = refusal {
            self.refuse(refusal, out);
            return Ok(());
        }
        if last {
            return self.store(progress, out);
        }
        progress.step += 1;
        self.mode = Mode::Changing(progress);
        self.window_restarts(now_ms);
        out.signal(Signal::ProgrammingOpen);
        Ok(())
    }

    /// Puts the new code in its place, in one commit.
    fn store(&mut self, progress: Progress, out: &mut impl Outputs) -> Result<(), StorageFault> {
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
            owned: true,
            ..self.record
        };
        let slot = match change.target {
            Target::Slot(slot) => slot,
            Target::Tapped => progress.taps,
            Target::Own => progress.own_slot,
            Target::Master => 0,
        };
        match usize::from(slot).checked_sub(1) {
            Some(index) => record.users[index] = progress.new,
            None => record.master = progress.new,
        }
        self.commit(record)?;
        self.ready();
        out.report(Report::ChangeAccepted);
        out.report(Report::Codes {
            users: record.user_count(),
        });
        out.signal(Signal::ChangeAccepted);
        Ok(())
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
