//! The state machine against what must hold whatever is done to it.
//!
//! - I1: the bolt is withdrawn only after a code that was accepted, or to learn the door's hand.
//! - I2: the stored failure count falls only by a success, or by a reset that erases it.
//! - I3: a lockout never shrinks faster than the clock, and takes no attempts.
//! - I5: a reset needs the door, the bolt and the battery where the product says.
//! - I7: the lock always comes back from a cut, and nothing but a lost write is a fault.

use code_entry::personality::{LockoutPowerCycle, Parts, Target};
use code_entry::report::ResetReport;
use code_entry::{BoltPosition, Record, Report, State};
use fuzz_script::Script;

use crate::host::{self, Call, Cause, Judge};

/// Runs a script under the oracles. Bytes that are no script are not run.
///
/// # Panics
/// At a finding.
pub fn target(bytes: &[u8]) -> bool {
    let script = Script::from_bytes(bytes);
    if let Ok(script) = &script {
        host::run(script, &mut Oracles::default());
    }
    script.is_ok()
}

/// The oracles over a planted defect: at a loss of supply the failure count is forgotten. If nothing is
/// found here, the harness is broken.
///
/// # Panics
/// At a finding, which is what it is for.
pub fn canary(bytes: &[u8]) -> bool {
    let script = Script::from_bytes(bytes);
    if let Ok(script) = &script {
        host::run(script, &mut Forgetful(Oracles::default()));
    }
    script.is_ok()
}

/// What has to be remembered from call to call.
#[derive(Default)]
struct Oracles {
    /// The lockout after the last call: when that was, and how long it was to last.
    lockout: Option<(u64, u32)>,
    /// The write that was lost may have cleared the failure count.
    may_clear: bool,
}

impl Judge for Oracles {
    fn called(&mut self, call: &Call<'_>) {
        let said = |wanted: fn(&Report) -> bool| call.seen.reports.iter().any(wanted);
        let host = call.host;
        let rules = host.personality();
        let resets = said(|report| *report == Report::Reset(ResetReport::Done));
        let attempts = said(|report| matches!(report, Report::Attempt { .. }));
        let refuses = said(|report| matches!(report, Report::Refused { .. }));
        let accepts = said(|report| matches!(report, Report::Accepted { .. }));
        let succeeds = attempts && !refuses;

        let learns = rules.bolt.learns_hand && (resets || call.cause == Cause::PowerOn)
            || rules
                .changes
                .iter()
                .any(|change| change.target == Target::Hand)
                && said(|report| *report == Report::ChangeAccepted);
        assert!(
            !call.seen.withdraws || accepts || learns,
            "I1: the bolt is withdrawn, and no code was accepted"
        );

        let record = host.lock().record();
        let clears = succeeds || resets && rules.reset.erases.contains(Parts::COUNTERS);
        assert!(
            record.failures >= call.before.failures || clears || self.may_clear,
            "I2: the failure count fell from {} to {}",
            call.before.failures,
            record.failures
        );
        self.may_clear =
            call.lost && (succeeds || !attempts && rules.reset.erases.contains(Parts::COUNTERS));

        let left_ms = match record.lockout_left_ms {
            0 => 0,
            _ => host.lock().status(host.now_ms()).lockout_ms,
        };
        if let Some((at_ms, before_ms)) = self.lockout.filter(|_| !call.lost) {
            assert!(!attempts, "I3: an attempt in a lockout");
            let ended = resets && rules.reset.erases.contains(Parts::LOCKOUT)
                || call.cause == Cause::PowerOn
                    && (rules.lockout.power_cycle == LockoutPowerCycle::Clears || self.may_clear);
            let due_ms = u64::from(before_ms).saturating_sub(call.at_ms - at_ms);
            assert!(
                u64::from(left_ms) >= due_ms || ended,
                "I3: a lockout has {left_ms} ms left where {due_ms} ms are due"
            );
        }
        if !call.lost {
            self.lockout = (left_ms != 0).then_some((call.at_ms, left_ms));
        }

        if resets {
            let guard = rules.reset.guard;
            assert!(
                (!guard.door_open || host.door_open())
                    && (!guard.bolt_withdrawn || host.position() == BoltPosition::Withdrawn)
                    && host.supply_mv() >= rules.supply.programming_below_mv,
                "I5: a reset that is not permitted"
            );
        }

        assert!(
            host.lock().state() != State::Fault || call.lost,
            "I7: a fault, and nothing was lost"
        );
    }

    fn wakes(&mut self, record: Option<Record>) -> Option<Record> {
        let same = |record: &Record| Record::from_bytes(&record.to_bytes()) == Ok(*record);
        assert!(
            record.as_ref().is_none_or(same),
            "a record reads as another"
        );
        record
    }
}

/// Forgets the failure count where the supply is lost.
struct Forgetful(Oracles);

impl Judge for Forgetful {
    fn called(&mut self, call: &Call<'_>) {
        self.0.called(call);
    }

    fn wakes(&mut self, record: Option<Record>) -> Option<Record> {
        record.map(|record| Record {
            failures: 0,
            ..record
        })
    }
}
