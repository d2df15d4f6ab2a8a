//! Buttons: what taps and holds start, and the way back to the factory state.

use super::{Lock, Mode, Outputs};
use crate::museum;
use crate::parser::{Button, Token};
use crate::personality::{ResetTrigger, Trigger};
use crate::record::{Record, Storage, StorageFault};
use crate::report::{Report, ResetReport};
use crate::signal::Signal;

impl<S: Storage> Lock<S> {
    pub(super) fn held(
        &mut self,
        now_ms: u64,
        button: Button,
        from_power_on: bool,
        out: &mut impl Outputs,
    ) {
        let resets = from_power_on || self.personality.reset.trigger.is_hold_of(button);
        if !resets {
            self.begin_change(now_ms, 0, |trigger| matches!(trigger, Trigger::Hold { button: other, .. } if *other == button), out);
        } else if self.reset_permitted(out) {
            self.ready();
            self.mode = Mode::Armed { tap_until_ms: None };
            out.report(Report::Reset(ResetReport::Armed));
            out.signal(Signal::ResetArmed);
        }
    }

    /// While a reset is armed only its own button matters.
    pub(super) fn obey_armed(
        &mut self,
        now_ms: u64,
        tap_until_ms: Option<u64>,
        token: Token,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        match (token, self.personality.reset.trigger) {
            (
                Token::Released { button, .. },
                ResetTrigger::PowerOnHold {
                    button: resets,
                    tap_within_ms,
                    ..
                },
            ) if button == resets && tap_until_ms.is_none() => {
                self.mode = Mode::Armed {
                    tap_until_ms: Some(now_ms + u64::from(tap_within_ms)),
                };
                Ok(())
            }
            (Token::Tap(button), ResetTrigger::PowerOnHold { button: resets, .. })
                if button == resets =>
            {
                self.reset(now_ms, out)
            }
            (
                Token::Released {
                    button, held_ms, ..
                },
                ResetTrigger::Hold {
                    button: resets,
                    max_ms,
                    ..
                },
            ) if button == resets => {
                if max_ms.is_none_or(|max_ms| held_ms <= u64::from(max_ms)) {
                    return self.reset(now_ms, out);
                }
                self.refuse_reset(Signal::ChangeRefused, out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn tapped(
        &mut self,
        now_ms: u64,
        button: Button,
        out: &mut impl Outputs,
    ) -> Result<(), StorageFault> {
        // Whoever reaches the button is inside, and need not wait.
        if cfg!(feature = "museum-button-ends-lockout") && self.lockout.take().is_some() {
            self.commit(Record {
                lockout_left_ms: 0, // A mutant without it survives: see .cargo/mutants.toml.
                ..self.record
            })?;
        }
        if self.personality.reset.trigger == (ResetTrigger::Tap { button }) {
            return self.reset(now_ms, out);
        }
        let taps = match self.mode {
            Mode::Changing(progress) if progress.step == 0 && !self.parser.is_entering() => {
                progress.taps.saturating_add(1)
            }
            _ => 1,
        };
        self.begin_change(
            now_ms,
            taps,
            |trigger| *trigger == Trigger::Tap(button),
            out,
        );
        Ok(())
    }

    fn reset(&mut self, now_ms: u64, out: &mut impl Outputs) -> Result<(), StorageFault> {
        if !self.reset_permitted(out) {
            return Ok(());
        }
        for step in museum::steps_of_reset(self.record, &self.personality) {
            self.commit(step)?;
        }
        self.commit(self.record.after_reset(&self.personality))?;
        self.ready();
        out.report(Report::Reset(ResetReport::Done));
        out.report(Report::Codes {
            users: self.record.user_count(),
        });
        out.signal(Signal::ResetDone);
        if self.record.lockout_left_ms == 0 && self.lockout.take().is_some() {
            out.report(Report::LockoutOver);
        }
        if self.personality.bolt.learns_hand && !self.record.handed {
            self.learn_hand(now_ms, !self.record.handed, out)?;
        }
        Ok(())
    }

    /// Whether a reset may go on; refuses it if not.
    fn reset_permitted(&mut self, out: &mut impl Outputs) -> bool {
        let signal = if self.too_low_for_programming() {
            Signal::LowBattery
        } else if !self.guard_holds(self.personality.reset.guard) {
            Signal::ChangeRefused
        } else {
            return true;
        };
        self.refuse_reset(signal, out);
        false
    }

    fn refuse_reset(&mut self, signal: Signal, out: &mut impl Outputs) {
        self.ready();
        out.report(Report::Reset(ResetReport::Refused));
        out.signal(signal);
    }
}
