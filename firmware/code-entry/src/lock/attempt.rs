//! Attempts: an entry is charged, compared with every code, and accepted or refused.

use super::BoltPosition;
use super::{Lock, Mode, Outputs};
use crate::code::Code;
use crate::museum;
use crate::parser::Entry;
use crate::personality::{FactoryRule, Kind, Trigger};
use crate::record::{Record, Storage, StorageFault};
use crate::report::{Report, SupplyLevel};
use crate::signal::Signal;

impl<S: Storage> Lock<S> {
    pub(super) fn submitted(
        &mut self,
        now_ms: u64,
        entry: Entry,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        if entry.is_empty() {
            if self.personality.kind == Kind::SmartLock && self.position != BoltPosition::Thrown {
                self.throw(now_ms, out)?;
            }
            return Ok(());
        }
        if self.supply_mv < self.personality.supply.opening_below_mv {
            out.report(self.supply_report());
            out.signal(Signal::LowBattery);
            return Ok(());
        }
        let by_master = |trigger: &Trigger| *trigger == Trigger::Master;
        let changes = &self.personality.changes;
        let credential = if changes.iter().any(|change| by_master(&change.trigger)) {
            Credential::UserOrMaster
        } else {
            Credential::User
        };
        let Some(slot) = self.attempt(now_ms, credential, &entry.code(), out)? else {
            return Ok(());
        };
        if slot == MASTER {
            self.begin_change(now_ms, 0, by_master, out);
            return Ok(());
        }
        out.report(Report::Accepted { slot });
        out.signal(Signal::Accepted);
        if self.supply_level() != SupplyLevel::Fresh {
            out.signal(Signal::LowBattery);
        }
        self.withdraw(now_ms, out)
    }

    /// Charges an attempt, and only then looks at the code. The slot is the code's if it is right.
    pub(super) fn attempt(
        &mut self,
        now_ms: u64,
        credential: Credential,
        code: &Code,
        out: &mut impl Outputs,
    ) -> Result<Option<u8>, StorageFault> {
        let is_changing = matches!(self.mode, Mode::Changing(_));
        let lockout_ms = if museum::is_free(credential, is_changing) {
            None
        } else {
            self.charge(now_ms)?
        };
        let failures = self.record.failures;
        out.report(Report::Attempt { failures });
        let found = self.find(credential, code);
        if found.is_some() {
            self.commit(Record {
                failures: 0,
                recent: 0,
                stage: 0,
                lockout_left_ms: 0,
                ..self.record
            })?;
            return Ok(found);
        }
        self.ready();
        out.report(Report::Refused { failures });
        match lockout_ms {
            Some(left_ms) => {
                self.run_lockout(now_ms, left_ms, out);
                out.signal(Signal::LockoutBegins);
            }
            None => out.signal(Signal::WrongCode),
        }
        Ok(None)
    }

    /// Stores an attempt as a wrong one, together with the lockout that it leads to if it is; returns how long that
    /// is. A power cut from here on finds it charged.
    fn charge(&mut self, now_ms: u64) -> Result<Option<u32>, StorageFault> {
        let rules = &self.personality.lockout;
        if rules.within_ms != 0 {
            self.recent_ms
                .retain(|at_ms| now_ms - at_ms < u64::from(rules.within_ms));
        }
        // It is full only where no stage waits for so many.
        self.recent_ms.push(now_ms).ok();
        let mut record = self.record;
        record.failures = record.failures.saturating_add(1);
        record.recent = self.recent_ms.len() as u8;
        let stage = rules
            .stages
            .get(usize::from(record.stage))
            .or(rules.stages.last());
        let lockout_ms = stage
            .filter(|stage| record.recent >= stage.wrong)
            .map(|stage| stage.duration_ms);
        if let Some(left_ms) = lockout_ms {
            record.recent = 0;
            record.stage = (record.stage + 1).min(rules.stages.len() as u8);
            record.lockout_left_ms = museum::lockout_to_store_ms(now_ms, left_ms);
        }
        #[cfg(feature = "museum-count-written-late")]
        self.commit_later(now_ms, record);
        #[cfg(not(feature = "museum-count-written-late"))]
        self.commit(record)?;
        Ok(lockout_ms)
    }

    #[cfg(feature = "museum-last-digits")]
    pub(super) fn last_digits_that_open(&self) -> Option<Entry> {
        let last = self.parser.last(&self.personality)?;
        let opens = self.find(Credential::User, &last.code()).is_some();
        (opens && matches!(self.mode, Mode::Ready)).then_some(last)
    }

    /// The slot of a code, 0 for one that has none. Every stored code is compared in full and the choice is made by
    /// masks, so that time does not tell how many digits were right.
    fn find(&self, credential: Credential, code: &Code) -> Option<u8> {
        let mut found = Match::default();
        let codes = &self.personality.codes;
        let compare_factory = |found: &mut Match| {
            let factory = codes.factory.iter();
            factory.for_each(|factory| found.compare(0, factory, code));
        };
        match credential {
            Credential::User | Credential::UserOrMaster => {
                if credential == Credential::UserOrMaster {
                    found.compare(MASTER, &self.record.master, code);
                }
                let factory_works = match codes.factory_rule {
                    FactoryRule::Permanent => true,
                    FactoryRule::RevokedOnFirstChange => !self.record.owned,
                    FactoryRule::None | FactoryRule::Works => false,
                };
                if factory_works {
                    compare_factory(&mut found);
                }
                for (slot, user) in (1..).zip(&self.record.users) {
                    found.compare(slot, user, code);
                }
            }
            Credential::Master => found.compare(MASTER, &self.record.master, code),
            Credential::Factory => compare_factory(&mut found),
            Credential::ResetCode => found.compare(0, &codes.reset_code, code),
        }
        // Blank slots equal a blank entry; and zeros open nothing, whatever is stored.
        found.slot().filter(|slot| {
            if *slot == MASTER {
                !code.is_blank()
            } else {
                !code.is_all_zeros()
            }
        })
    }
}

/// Which codes an attempt is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    User,
    /// A user's, or else the master's: its slot is [`MASTER`].
    UserOrMaster,
    Master,
    Factory,
    ResetCode,
}

/// What an attempt with the master code gives in place of a slot.
const MASTER: u8 = u8::MAX;

/// The outcome of comparing an entry with many codes, kept without a branch.
#[derive(Default)]
struct Match {
    slot: u8,
    /// 0xFF once a code was equal.
    any: u8,
}

impl Match {
    fn compare(&mut self, slot: u8, stored: &Code, entered: &Code) {
        // Of a difference of 0 to 255 only 0 wraps, and fills the upper byte.
        let equal = (u16::from(stored.differs_from(entered)).wrapping_sub(1) >> 8) as u8;
        self.slot ^= (self.slot ^ slot) & equal;
        self.any |= equal;
    }

    fn slot(&self) -> Option<u8> {
        (self.any != 0).then_some(self.slot)
    }
}
