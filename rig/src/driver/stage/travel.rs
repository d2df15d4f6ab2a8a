//! One move of a stage: there, and back where something stopped it.

use super::grbl::decimal;
use super::{ANSWER_MAX, Answer, Axis, Motion, PLACE_PLAY, Stage};
use crate::driver::{DeviceTrouble, Trouble};
use crate::event::Nanos;
use crate::quantity::MillinewtonMetres;

/// How much later than reckoned a move may end: the controller accelerates, which is not reckoned.
pub(super) const MOVE_MARGIN: Nanos = Nanos::from_millis(1_500);

/// A move under way: there, and back where something stopped it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trip {
    pub(super) motion: Motion,
    pub(super) leg: Leg,
    /// Where it began.
    pub(super) before: i64,
    /// Where it was stopped, once it was.
    pub(super) stopped: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leg {
    /// To where it was asked to go.
    There,
    /// The comparator is set lower, to see whether load is left.
    Feel,
    /// Backwards until there is none.
    Unload,
    /// To where it began.
    Back,
    /// That was stopped as well: the same once more, and it stays there.
    FeelBack,
    UnloadBack,
}

impl Trip {
    pub(super) fn to(motion: Motion) -> Trip {
        Trip {
            motion,
            leg: Leg::There,
            before: 0,
            stopped: None,
        }
    }
}

impl Stage {
    /// What takes the stage along one axis, and then asks where it is.
    pub(super) fn send_move(&mut self, motion: Motion) {
        let (_, to) = self.settings.target(motion);
        self.send_probe(motion, true, to);
    }

    /// A probing move that ends where the overload input comes, or goes.
    fn send_probe(&mut self, motion: Motion, towards: bool, to: i64) {
        let (axis, _) = self.settings.target(motion);
        let here = self.here(axis);
        if (here - to).abs() <= PLACE_PLAY {
            return;
        }
        if towards {
            self.send_level(self.level_of(motion));
        }
        let within = self.lasts(motion, here, to);
        let code = if towards { "G38.3" } else { "G38.5" };
        let feed = self.settings.feed(motion) * 60 / 1_000;
        let line = format!("{code} {axis}{} F{feed}\n", decimal(to));
        self.send_later(line.into_bytes(), Answer::Ok, within);
        self.send_later(b"?".to_vec(), Answer::Report, ANSWER_MAX);
    }

    fn level_of(&self, motion: Motion) -> MillinewtonMetres {
        match motion {
            Motion::Turn { torque, .. } => torque,
            _ => self.settings.torque,
        }
    }

    pub(super) fn send_level(&mut self, level: MillinewtonMetres) {
        if self.level != Some(level) {
            self.send_later(
                format!("M3 S{}\n", level.0).into_bytes(),
                Answer::Ok,
                ANSWER_MAX,
            );
            self.level = Some(level);
        }
    }

    /// Where an axis stands, as far as is known.
    pub(super) fn here(&self, axis: Axis) -> i64 {
        let at = self.at.as_ref().and_then(|at| at.get(axis.place()));
        at.copied().unwrap_or_default()
    }

    /// The leg of a trip that was under way is over. True, if the trip is.
    pub(super) fn travel(&mut self, trip: &mut Trip) -> Result<bool, DeviceTrouble> {
        let motion = trip.motion;
        let (axis, to) = self.settings.target(motion);
        let report = self.report.take();
        let loaded = report
            .as_ref()
            .is_some_and(|report| report.pins.contains('P'));
        if let Some(report) = report {
            self.at = Some(report.at);
        }
        let here = self.here(axis);
        let stopped = self.probed.take().filter(|(_, touched)| *touched);
        let place = stopped.and_then(|(places, _)| places.get(axis.place()).copied());
        let end = match trip.leg {
            Leg::There => to,
            _ => trip.before,
        };
        match (trip.leg, place) {
            (Leg::There | Leg::Back, Some(place)) => {
                if trip.leg == Leg::There {
                    trip.stopped = Some(self.settings.place(motion, place));
                    trip.leg = Leg::Feel;
                } else {
                    trip.leg = Leg::FeelBack;
                }
                let level = self.level_of(motion);
                self.send_level(MillinewtonMetres((level.0 / 4).max(1)));
                self.send_later(b"?".to_vec(), Answer::Report, ANSWER_MAX);
                Ok(false)
            }
            (Leg::There | Leg::Back, None) => match (here - end).abs() <= PLACE_PLAY {
                true => Ok(true),
                false => Err(self.trouble(
                    self.settings.doing(motion),
                    Trouble::Refused,
                    format!("it says that axis {axis} stands at {}, not at {}", decimal(here), decimal(end)),
                    "does another program talk to the stage? was it touched?",
                )),
            },
            (Leg::Feel | Leg::FeelBack, _) if loaded => {
                let first = trip.leg == Leg::Feel;
                let away = if first { trip.before } else { to };
                trip.leg = if first { Leg::Unload } else { Leg::UnloadBack };
                self.send_probe(motion, false, away);
                Ok(false)
            }
            (Leg::Unload | Leg::UnloadBack, _) if loaded => Err(self.trouble(
                self.settings.doing(motion),
                Trouble::Refused,
                "it was stopped by too much torque or force, and backing off does not take that away".to_owned(),
                "look at key and tool before anything else moves",
            )),
            (Leg::Feel | Leg::Unload, _) => {
                trip.leg = Leg::Back;
                self.send_probe(motion, true, trip.before);
                Ok(false)
            }
            (Leg::FeelBack | Leg::UnloadBack, _) => Ok(true),
        }
    }

    /// How long a move may take.
    fn lasts(&self, motion: Motion, from: i64, to: i64) -> Nanos {
        let feed = u64::from(self.settings.feed(motion).max(1));
        let reckoned = Nanos(from.abs_diff(to) * 1_000_000_000 / feed);
        (reckoned + MOVE_MARGIN).min(self.settings.longest_move)
    }
}
