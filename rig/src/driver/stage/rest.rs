//! Bringing key and tool of a stage out of the cylinder, as far as it lets them.

use super::travel::Trip;
use super::{ANSWER_MAX, Answer, Job, Left, Motion, PLACE_PLAY, Settings, Stage};
use crate::event::Nanos;
use crate::quantity::{Micrometres, Millidegrees};

/// How far going to rest has come.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Resting {
    /// The move under way.
    pub(super) trip: Option<Trip>,
    /// What cannot be done: the key is held.
    key_held: bool,
    turn_held: bool,
}

impl Stage {
    /// Everything that was sent on the way to rest has been answered: what next.
    pub(super) fn resting(&mut self, now: Nanos, mut resting: Resting) {
        if let Some(mut trip) = resting.trip {
            match self.travel(&mut trip) {
                Ok(false) => {
                    resting.trip = Some(trip);
                    self.job = Some(Job::Rest(resting));
                    return;
                }
                Ok(true) => {}
                Err(trouble) => return self.die(now, trouble),
            }
            match trip.motion {
                Motion::Turn { .. } => resting.turn_held |= trip.stopped.is_some(),
                _ => resting.key_held |= trip.stopped.is_some(),
            }
            resting.trip = None;
        } else if let Some(report) = self.report.take() {
            self.at = Some(report.at);
        }
        match self.rest_move(resting) {
            Some(motion) => {
                let (axis, _) = self.settings.target(motion);
                resting.trip = Some(Trip {
                    before: self.here(axis),
                    ..Trip::to(motion)
                });
                self.send_move(motion);
                self.job = Some(Job::Rest(resting));
            }
            None if self.level.take().is_some() => {
                self.send_later(b"M5\n".to_vec(), Answer::Ok, ANSWER_MAX);
                self.job = Some(Job::Rest(resting));
            }
            None => self.rested = self.left(),
        }
    }

    /// The next move on the way to rest. A key is only turned while it is all the way in or out: loose
    /// sliders that are turned under half a key jam.
    fn rest_move(&self, resting: Resting) -> Option<Motion> {
        let at = self.at.as_ref()?;
        let Settings {
            turn,
            insert,
            plunge,
            torque,
            ..
        } = &self.settings;
        let near = |place: i64, wanted: i64| (place - wanted).abs() <= PLACE_PLAY;
        let upright = near(at[turn.axis.place()], -i64::from(turn.from.0));
        let fed = at[insert.axis.place()];
        let (out, home) = (near(fed, 0), near(fed, i64::from(insert.seated.0)));
        let straighten = Motion::Turn {
            to: Millidegrees(0),
            torque: *torque,
        };
        if !near(at[plunge.axis.place()], 0) {
            return Some(Motion::Plunge { to: Micrometres(0) });
        }
        if (home || out) && !upright && !resting.turn_held {
            return Some(straighten);
        }
        let can_go = upright || !home;
        (!out && can_go && !resting.key_held).then_some(Motion::Insert { to: Micrometres(0) })
    }

    fn left(&self) -> Option<Left> {
        let at = self.at.as_ref()?;
        let Settings { turn, insert, .. } = &self.settings;
        let angle = at[turn.axis.place()] + i64::from(turn.from.0);
        Some(match at[insert.axis.place()].abs() <= PLACE_PLAY {
            true => Left::Clear,
            false => Left::KeyIn {
                at: Millidegrees(angle as i32),
            },
        })
    }
}
