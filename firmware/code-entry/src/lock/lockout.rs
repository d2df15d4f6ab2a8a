//! Lockouts: how long one is, its stored checkpoints, and what becomes of it when power is cut.

use super::{Lock, Outputs};
use crate::museum;
use crate::personality::{LockoutKeys, LockoutPowerCycle};
use crate::record::{Record, Storage, StorageFault};
use crate::report::Report;
use crate::signal::Signal;

/// A lockout's stored remainder is never older than this, nor than a tenth of the lockout.
const CHECKPOINT_MS_MAX: u32 = 30_000;

#[derive(Clone, Copy)]
pub(super) struct Lockout {
    until_ms: u64,
    checkpoint_ms: u64,
}

impl<S: Storage> Lock<S> {
    pub(super) fn resume_lockout(
        &mut self,
        now_ms: u64,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        let stored_ms = museum::lockout_found_ms(
            now_ms,
            self.lockout_duration_ms(),
            self.record.lockout_left_ms,
        );
        if stored_ms == 0 {
            return Ok(());
        }
        let left_ms = match self.personality.lockout.power_cycle {
            LockoutPowerCycle::Resumes => stored_ms,
            LockoutPowerCycle::Restarts => self.lockout_duration_ms(),
            LockoutPowerCycle::Extends { by_ms } => stored_ms.saturating_add(by_ms),
            LockoutPowerCycle::Clears => 0,
        };
        // A boot that changes nothing must not wear the flash.
        if left_ms != stored_ms {
            self.commit(Record {
                lockout_left_ms: left_ms,
                ..self.record
            })?;
        }
        if left_ms == 0 {
            out.report(Report::LockoutOver);
        } else {
            self.run_lockout(now_ms, left_ms, out);
            out.signal(Signal::LockoutBegins);
        }
        Ok(())
    }

    /// Starts a lockout that is already stored.
    pub(super) fn run_lockout(&mut self, now_ms: u64, left_ms: u32, out: &mut impl Outputs) {
        self.lockout = Some(Lockout {
            until_ms: now_ms + u64::from(left_ms),
            checkpoint_ms: now_ms + u64::from(self.checkpoint_every_ms()),
        });
        out.report(Report::Lockout {
            stage: self.record.stage,
            left_ms,
        });
    }

    pub(super) fn lockout_due(
        &mut self,
        due_ms: u64,
        lockout: Lockout,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        let left_ms = lockout.left_ms(due_ms);
        if museum::goes_on_unstored(left_ms) {
            self.run_lockout(due_ms, left_ms, out);
            return Ok(());
        }
        self.commit(Record {
            lockout_left_ms: left_ms,
            ..self.record
        })?;
        if left_ms == 0 {
            self.lockout = None;
            out.report(Report::LockoutOver);
        } else {
            self.run_lockout(due_ms, left_ms, out);
        }
        Ok(())
    }

    pub(super) fn locked_out_key(
        &mut self,
        now_ms: u64,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        let keys = self.personality.lockout.keys;
        if keys == LockoutKeys::Restart {
            let left_ms = self.lockout_duration_ms();
            self.commit(Record {
                lockout_left_ms: left_ms,
                ..self.record
            })?;
            self.run_lockout(now_ms, left_ms, out);
        }
        if keys != LockoutKeys::Ignored {
            out.signal(Signal::LockoutKey);
        }
        Ok(())
    }

    /// How long the lockout is that the record speaks of, as a whole.
    fn lockout_duration_ms(&self) -> u32 {
        let stages = &self.personality.lockout.stages;
        let stage = usize::from(self.record.stage)
            .checked_sub(1)
            .and_then(|index| stages.get(index));
        // A reset may have erased the stage and kept the lockout.
        stage.map_or(self.record.lockout_left_ms, |stage| stage.duration_ms)
    }

    fn checkpoint_every_ms(&self) -> u32 {
        (self.lockout_duration_ms() / 10).clamp(1, CHECKPOINT_MS_MAX)
    }
}

impl Lockout {
    pub(super) fn deadline(&self) -> u64 {
        self.until_ms.min(self.checkpoint_ms)
    }

    pub(super) fn left_ms(&self, now_ms: u64) -> u32 {
        (self.until_ms - now_ms) as u32
    }
}
