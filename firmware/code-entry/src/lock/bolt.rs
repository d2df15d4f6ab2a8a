//! The bolt: withdrawn for a right code, relocked in time, jammed if it does not arrive, moved to learn a door.

use super::authority::{Authority, Look, tampered};
use super::{BoltCommand, BoltPosition, Lock, Outputs};
use crate::personality::Kind;
use crate::record::{Record, Storage, StorageFault};
use crate::report::{BoltReport, Report};
use crate::signal::Signal;

/// What the bolt is doing.
#[derive(Clone, Copy)]
pub(super) enum BoltTask {
    AtRest,
    /// Withdrawing for somebody, or held withdrawn.
    Open {
        arrive_ms: Option<u64>,
        relock_ms: Option<u64>,
    },
    Throwing {
        arrive_ms: u64,
    },
    /// Learning the door's hand: on the way out, then back in.
    LearningOut {
        arrive_ms: u64,
    },
    LearningIn {
        arrive_ms: u64,
    },
}

impl<S: Storage> Lock<S> {
    pub(super) fn withdraw(
        &mut self,
        now_ms: u64,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        if !self.authority.is_whole() {
            tampered();
        }
        let arrive_ms = Some(self.arrive_at(now_ms));
        self.bolt = BoltTask::Open {
            arrive_ms,
            relock_ms: self.relock_at(now_ms),
        };
        out.bolt(BoltCommand::Withdraw);
        self.arrived(now_ms, out)
    }

    pub(super) fn throw(
        &mut self,
        now_ms: u64,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        self.bolt = BoltTask::Throwing {
            arrive_ms: self.arrive_at(now_ms),
        };
        out.bolt(BoltCommand::Throw);
        self.arrived(now_ms, out)
    }

    /// Moves the bolt to learn the door's hand, if that is due. No code is asked for here: the caller says why.
    pub(super) fn learn_hand(
        &mut self,
        now_ms: u64,
        is_due: bool,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        self.authority = Authority::NONE;
        self.authority.add(Look::First, is_due);
        self.authority.add(Look::Second, is_due);
        self.bolt = BoltTask::LearningOut {
            arrive_ms: self.arrive_at(now_ms),
        };
        out.bolt(BoltCommand::Withdraw);
        self.arrived(now_ms, out)
    }

    pub(super) fn bolt_moved(
        &mut self,
        now_ms: u64,
        position: BoltPosition,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        if position == self.position {
            return Ok(());
        }
        self.position = position;
        out.report(Report::Bolt(match position {
            BoltPosition::Thrown => BoltReport::Thrown,
            BoltPosition::Withdrawn => BoltReport::Withdrawn,
            BoltPosition::Between => BoltReport::Moving,
        }));
        self.arrived(now_ms, out)
    }

    /// What follows from where the bolt is, given what it was to do.
    fn arrived(&mut self, now_ms: u64, out: &mut impl Outputs) -> Result<(), StorageFault> {
        match (self.bolt, self.position) {
            (
                BoltTask::Open {
                    arrive_ms: Some(_),
                    relock_ms,
                },
                BoltPosition::Withdrawn,
            ) => {
                self.bolt = BoltTask::Open {
                    arrive_ms: None,
                    relock_ms,
                };
                // A solenoid holds only while it is energised.
                if self.personality.kind == Kind::SmartLock {
                    out.bolt(BoltCommand::Rest);
                }
            }
            // By hand.
            (
                BoltTask::Open {
                    arrive_ms: None, ..
                },
                BoltPosition::Thrown,
            ) if self.personality.kind == Kind::SmartLock => {
                self.bolt = BoltTask::AtRest;
            }
            (BoltTask::Throwing { .. }, BoltPosition::Thrown) => {
                self.bolt = BoltTask::AtRest;
                out.bolt(BoltCommand::Rest);
            }
            (BoltTask::LearningOut { .. }, BoltPosition::Withdrawn) => {
                self.bolt = BoltTask::LearningIn {
                    arrive_ms: self.arrive_at(now_ms),
                };
                out.bolt(BoltCommand::Throw);
            }
            (BoltTask::LearningIn { .. }, BoltPosition::Thrown) => {
                self.bolt = BoltTask::AtRest;
                out.bolt(BoltCommand::Rest);
                self.commit(Record {
                    handed: true,
                    ..self.record
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn bolt_due(&mut self, due_ms: u64, out: &mut impl Outputs) {
        if let BoltTask::Open {
            arrive_ms: None, ..
        } = self.bolt
        {
            match self.personality.kind {
                Kind::Safe => {
                    self.bolt = BoltTask::AtRest;
                    out.bolt(BoltCommand::Rest);
                }
                Kind::SmartLock => {
                    self.bolt = BoltTask::Throwing {
                        arrive_ms: self.arrive_at(due_ms),
                    };
                    out.bolt(BoltCommand::Throw);
                }
            }
            return;
        }
        self.bolt = BoltTask::AtRest;
        out.bolt(BoltCommand::Rest);
        out.report(Report::Bolt(BoltReport::Jammed));
        out.signal(Signal::BoltJammed);
    }

    fn arrive_at(&self, now_ms: u64) -> u64 {
        now_ms + u64::from(self.personality.bolt.travel_ms)
    }

    pub(super) fn relock_at(&self, now_ms: u64) -> Option<u64> {
        let relock_ms = self.personality.bolt.relock_ms;
        (relock_ms != 0).then(|| now_ms + u64::from(relock_ms))
    }
}

impl BoltTask {
    pub(super) fn deadline(&self) -> Option<u64> {
        match *self {
            BoltTask::AtRest => None,
            BoltTask::Open {
                arrive_ms,
                relock_ms,
            } => arrive_ms.or(relock_ms),
            BoltTask::Throwing { arrive_ms }
            | BoltTask::LearningOut { arrive_ms }
            | BoltTask::LearningIn { arrive_ms } => Some(arrive_ms),
        }
    }
}
