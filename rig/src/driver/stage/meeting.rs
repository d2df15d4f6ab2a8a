//! Meeting the controller of a stage: whether it fits the bench file, and where its axes stand.

use super::grbl::decimal;
use super::{ANSWER_MAX, Answer, HOMING_MAX, Job, Settings, Stage};
use crate::driver::{DeviceTrouble, Trouble};
use crate::event::Nanos;

impl Stage {
    /// All that a controller says of itself has been read, or where it stands after going home.
    pub(super) fn connected(&mut self, now: Nanos, homes: bool) {
        if let Some(trouble) = self.unfit() {
            return self.die(now, trouble);
        }
        let Some(report) = self.report.take() else {
            return;
        };
        let axes = [
            self.settings.turn.axis,
            self.settings.insert.axis,
            self.settings.magazine.axis,
            self.settings.plunge.axis,
        ];
        if let Some(axis) = axes
            .into_iter()
            .find(|axis| axis.place() >= report.at.len())
        {
            let trouble = self.trouble(
                "asking where it stands".to_owned(),
                Trouble::Refused,
                format!("it reports {} axes, and none is {axis}", report.at.len()),
                "the fourth axis needs a controller that has one; name its axes under [stage]",
            );
            return self.die(now, trouble);
        }
        if report.state.starts_with("Alarm") {
            if !homes {
                let trouble = self.trouble(
                    "asking where it stands".to_owned(),
                    Trouble::Refused,
                    "its axes are lost, and a key may be in the cylinder".to_owned(),
                    "take the key out by hand; the axes go home at the start of the next run",
                );
                return self.die(now, trouble);
            }
            self.send_later(b"$H\n".to_vec(), Answer::Ok, HOMING_MAX);
            self.send_later(b"?".to_vec(), Answer::Report, ANSWER_MAX);
            self.job = Some(Job::Connect { homes });
            return;
        }
        self.at = Some(report.at);
    }

    /// A controller that does not guard itself is not used.
    fn unfit(&self) -> Option<DeviceTrouble> {
        let told = |number: u16| {
            let found = self.told.iter().find(|(known, _)| *known == number);
            found.map(|(_, value)| *value)
        };
        let bad = |saw: String, hint: &str| {
            Some(self.trouble(
                "reading its settings".to_owned(),
                Trouble::Refused,
                saw,
                hint,
            ))
        };
        for (number, what) in [(21, "hard limits"), (22, "homing")] {
            if told(number).is_none_or(|value| value < 1.0) {
                let saw =
                    format!("its {what} are off (${number}=0)").replace("homing are", "homing is");
                return bad(saw, &format!("wire the limit switches and set ${number}=1"));
            }
        }
        let torque = self.settings.torque;
        if told(30).is_none_or(|most| most < f64::from(torque.0)) {
            let saw = format!(
                "its S goes up to {}, less than {torque}",
                told(30).unwrap_or(0.0)
            );
            return bad(
                saw,
                "S counts millinewton metres: set $30 to the comparator's full scale",
            );
        }
        let Settings {
            turn,
            insert,
            magazine,
            plunge,
            ..
        } = &self.settings;
        let ends = [
            (turn.axis, i64::from(turn.to.0) - i64::from(turn.from.0)),
            (insert.axis, i64::from(insert.seated.0)),
            (
                magazine.axis,
                i64::from(magazine.pitch.0) * i64::from(magazine.slots.max(1) - 1),
            ),
            (plunge.axis, i64::from(plunge.seated.0)),
        ];
        ends.into_iter().find_map(|(axis, end)| {
            let number = 130 + axis.place() as u16;
            let travel = told(number).unwrap_or(0.0);
            (travel * 1_000.0 < end as f64).then(|| {
                self.trouble(
                    "reading its settings".to_owned(),
                    Trouble::Refused,
                    format!(
                        "axis {axis} travels {travel} (${number}), and the bench file uses {}",
                        decimal(end)
                    ),
                    "is the bench file's [stage] the one of this stage?",
                )
            })
        })
    }
}
