//! The stage that turns keys in a cylinder.

use super::super::Stage;
use super::super::text::*;
use super::Check;
use crate::driver::stage::{self, Axis};
use crate::quantity::Millidegrees;
use crate::source::Problem;

impl Check<'_, '_> {
    pub(super) fn stage(&mut self) -> Option<Stage> {
        let text = self.text.stage.as_ref()?;
        let axes = [
            &text.turn.axis,
            &text.insert.axis,
            &text.magazine.axis,
            &text.plunge.axis,
        ];
        let mut known: Vec<Option<Axis>> = Vec::new();
        for name in axes {
            let axis = Axis::of(name);
            if axis.is_none() {
                let message = format!("there is no axis '{}'", name.value);
                self.add(
                    Problem::new(name.span, message)
                        .hint("a controller calls its axes X, Y, Z, A, B, C"),
                );
            } else if known.contains(&axis) {
                let message = format!("axis {} moves two things", name.value);
                self.add(Problem::new(name.span, message).hint("each has an axis of its own"));
            }
            known.push(axis);
        }
        let (from, to) = (text.turn.from, text.turn.to);
        if *from > Millidegrees(0) || *to < Millidegrees(0) {
            let message = format!(
                "0 deg, where keys go in and out, is not from {} to {}",
                *from, *to
            );
            let hint = "'from' is the angle of the home switch, 'to' the furthest one clockwise";
            self.add(Problem::new(from.span, message).hint(hint));
        }
        if text.torque.value.0 == 0 {
            let problem = Problem::new(text.torque.span, "a stage without torque turns nothing");
            self.add(problem.hint("write the greatest torque that a key bears, such as 2 N·m"));
        }
        for length in [text.insert.seated, text.plunge.seated, text.magazine.pitch] {
            if length.value.0 == 0 {
                self.add(
                    Problem::new(length.span, "a way of 0 mm leads nowhere")
                        .hint("measure it on the stage"),
                );
            }
        }
        let keys = &text.magazine.keys;
        let current = keys.iter().filter(|key| **key == Cut::Current).count();
        if current != 1 {
            let message = format!("{current} keys of the magazine are 'current'");
            self.add(
                Problem::new(keys.span, message)
                    .hint("exactly one is: the key that the cylinder knows when a run begins"),
            );
        }
        let port = self.bytes(&text.port);
        let &[turn, insert, magazine, plunge] = known.as_slice() else {
            return None;
        };
        let slide = |axis: Option<Axis>, slide: &SlideText| {
            Some(stage::Slide {
                axis: axis?,
                seated: *slide.seated,
                feed: slide.feed,
            })
        };
        Some(Stage {
            port: port?,
            settings: stage::Settings {
                turn: stage::Turn {
                    axis: turn?,
                    from: *from,
                    to: *to,
                    feed: text.turn.feed,
                },
                insert: slide(insert, &text.insert)?,
                magazine: stage::Magazine {
                    axis: magazine?,
                    pitch: *text.magazine.pitch,
                    slots: u8::try_from(keys.len()).unwrap_or(u8::MAX),
                    feed: text.magazine.feed,
                },
                plunge: slide(plunge, &text.plunge)?,
                torque: *text.torque,
                longest_move: text.longest_move,
            },
            keys: keys.value.clone(),
        })
    }
}
