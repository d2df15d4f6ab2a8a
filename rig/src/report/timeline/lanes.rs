//! What a picture of a run shows, from its events: steps, checks, and a lane for everything that was
//! switched, seen or read.

use std::collections::BTreeMap;

use super::super::words;
use crate::event::{Event, FlashChange, Nanos, What};

/// A contact that opens for less than this is bouncing, not open.
const BOUNCE: Nanos = Nanos::from_millis(5);
/// Writes to flash that follow each other faster than this are one.
const BURST: Nanos = Nanos::from_millis(20);

/// Everything that a picture of one run shows.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    /// When the run began and ended.
    pub from: Nanos,
    /// See `from`.
    pub to: Nanos,
    /// Moments at which something happened.
    pub busy: Vec<Nanos>,
    /// Steps, in the order in which they began.
    pub steps: Vec<Step>,
    /// Phases that began.
    pub phases: Vec<Mark>,
    /// Expectations that were decided.
    pub checks: Vec<Check>,
    /// Supply losses that were brought about on purpose.
    pub cuts: Vec<Mark>,
    /// The lanes, from top to bottom.
    pub lanes: Vec<Lane>,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// 0 for a step of the scenario, 1 for one inside that, and so on.
    pub depth: usize,
    /// When it began.
    pub from: Nanos,
    /// When it ended; none for one that was cut short.
    pub to: Option<Nanos>,
    /// Its number.
    pub number: u32,
    /// `file:line`.
    pub place: String,
    /// What it did.
    pub doing: String,
}

/// A decided expectation.
#[derive(Clone, Debug)]
pub struct Check {
    /// When it was decided.
    pub at: Nanos,
    /// Whether it held.
    pub held: bool,
    /// What was expected and seen.
    pub words: String,
}

/// Something at one moment.
#[derive(Clone, Debug)]
pub struct Mark {
    /// When.
    pub at: Nanos,
    /// In a word or two, or the whole text of what was printed.
    pub label: String,
}

/// One lane.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Its name: `keys`, `red`, `supply`.
    pub name: String,
    /// What is in it.
    pub content: Content,
}

/// What a lane holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// Something that is so for some time: a lamp lit, a contact closed.
    Spans {
        /// When the rig had told a contact to be closed; empty for what it only watches.
        ordered: Vec<Span>,
        /// When the line was seen on.
        seen: Vec<Span>,
    },
    /// Numbers that hold until the next one.
    Values {
        /// Unit of the trace: `mV`, `uA`, `mdeg`.
        unit: String,
        /// What is drawn into one another.
        series: Vec<Series>,
    },
    /// Things that happened at one moment each.
    Marks(Vec<Mark>),
}

/// A span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// When it began.
    pub from: Nanos,
    /// When it ended; the end of the run, if it did not.
    pub to: Nanos,
    /// What it was, where the lane's name does not tell: `key 1`, `digit 2 of 6`.
    pub label: String,
    /// How often a contact bounced.
    pub bounces: usize,
}

/// From when on which value; none where it is unknown.
pub type Points = Vec<(Nanos, Option<i64>)>;

/// Numbers over time.
#[derive(Clone, Debug)]
pub struct Series {
    /// `set`, `read`.
    pub name: &'static str,
    /// The numbers.
    pub points: Points,
}

impl Lanes {
    /// The lanes of a run. The usual ones are there even if nothing happened in them, so that pictures
    /// can be compared; lines with other names follow them.
    pub fn of(events: &[Event]) -> Lanes {
        // On a real bench something that was seen early may have been recorded late.
        let mut sorted: Vec<&Event> = events.iter().collect();
        sorted.sort_by_key(|event| event.at);
        let mut lanes = Lanes {
            from: sorted.first().map_or(Nanos::ZERO, |event| event.at),
            to: sorted.last().map_or(Nanos::ZERO, |event| event.at),
            busy: sorted.iter().map(|event| event.at).collect(),
            ..Lanes::default()
        };
        let mut seen = Seen::default();
        for event in sorted {
            lanes.take(event, &mut seen);
        }
        lanes.lanes = seen.lanes(lanes.from, lanes.to);
        lanes
    }

    fn take(&mut self, event: &Event, seen: &mut Seen) {
        let at = event.at;
        let mark = |label: String| Mark { at, label };
        match &event.what {
            What::StepStarted {
                step,
                inside,
                place,
                doing,
                ..
            } => {
                let outer = self
                    .steps
                    .iter()
                    .rfind(|other| Some(other.number) == *inside);
                self.steps.push(Step {
                    depth: outer.map_or(0, |outer| outer.depth + 1),
                    from: at,
                    to: None,
                    number: *step,
                    place: place.clone(),
                    doing: doing.clone(),
                });
            }
            What::StepFinished { step } => {
                let step = self.steps.iter_mut().rfind(|other| other.number == *step);
                if let Some(step) = step {
                    step.to = Some(at);
                }
            }
            What::PhaseEntered { phase } => match self.phases.last_mut() {
                // A phase that has nothing to do here is over as it begins.
                Some(last) if last.at == at => last.label += &format!(", {phase}"),
                _ => self.phases.push(mark(phase.clone())),
            },
            What::Checked { held, .. } => self.checks.push(Check {
                at,
                held: *held,
                words: words::of(&event.what),
            }),
            What::Interrupted { .. } => self.cuts.push(mark(words::of(&event.what))),
            What::Switched { contact, closed } => seen.order(at, contact, *closed),
            What::LineChanged { line, high } => {
                let edges = seen.edges.entry(line.clone()).or_default();
                edges.push((at, *high));
            }
            What::SupplySet { millivolts } => {
                let volts = Some(millivolts.map_or(0, i64::from));
                seen.supply_set.push((at, volts));
            }
            What::SupplyRead {
                millivolts,
                microamps,
                since,
                ..
            } => {
                seen.supply_read.push((at, Some(i64::from(*millivolts))));
                if let Some(microamps) = microamps {
                    let microamps = i64::try_from(*microamps).unwrap_or(i64::MAX);
                    seen.current.push((since.unwrap_or(at), Some(microamps)));
                    // A mean says nothing about what follows.
                    seen.current.extend(since.map(|_| (at, None)));
                }
            }
            What::FlashChanged { kind, count, .. } => seen.flash.push((at, *kind, *count)),
            What::Printed { text } => seen.console.push(mark(text.clone())),
            What::KeyInserted { key, .. } => seen.keyway.push(mark(key.clone())),
            What::Moved {
                axis,
                unit,
                stopped,
                stands,
                ..
            } => {
                let (_, points) = seen
                    .moves
                    .entry(axis.clone())
                    .or_insert_with(|| (unit.clone(), Vec::new()));
                points.extend(stopped.map(|stopped| (at, Some(stopped))));
                points.push((at, Some(*stands)));
            }
            _ => {}
        }
    }
}

/// What was seen so far, by lane.
#[derive(Default)]
struct Seen {
    /// By lane: from when, what, and until when.
    orders: BTreeMap<String, Vec<(Nanos, String, Option<Nanos>)>>,
    edges: BTreeMap<String, Vec<(Nanos, bool)>>,
    supply_set: Points,
    supply_read: Points,
    current: Points,
    /// By axis of a stage: its unit, and where it stood from when on.
    moves: BTreeMap<String, (String, Points)>,
    keyway: Vec<Mark>,
    flash: Vec<(Nanos, FlashChange, u32)>,
    console: Vec<Mark>,
}

/// The lanes that are always there, with the line and the contact that they show.
const USUAL: [(&str, &str, Option<&str>); 12] = [
    ("keys", "key", Some("keys")),
    ("reset button", "reset-button", Some("button reset")),
    ("program button", "program-button", Some("button program")),
    ("door", "door", Some("door")),
    ("red", "red", None),
    ("yellow", "yellow", None),
    ("green", "green", None),
    ("beeper", "beeper", None),
    ("bolt withdrawn", "bolt-withdrawn", None),
    ("bolt thrown", "bolt-thrown", None),
    ("bolt drive", "bolt-drive", None),
    ("jam", "jam", Some("jam")),
];

impl Seen {
    fn order(&mut self, at: Nanos, contact: &str, closed: bool) {
        let is_key = ["key", "digit"]
            .iter()
            .any(|word| contact.starts_with(word));
        let lane = if is_key { "keys" } else { contact };
        let orders = self.orders.entry(lane.to_owned()).or_default();
        if closed {
            orders.push((at, contact.to_owned(), None));
            return;
        }
        // A release names its key only where no supply loss tore the finger off.
        let open = orders
            .iter_mut()
            .rfind(|(_, label, to)| to.is_none() && (label == contact || contact == "key"));
        if let Some((_, _, to)) = open {
            *to = Some(at);
        }
    }

    fn lanes(mut self, from: Nanos, to: Nanos) -> Vec<Lane> {
        let mut lanes = Vec::new();
        let on_stage = !self.moves.is_empty();
        for (name, line, contact) in USUAL {
            let orders = contact.and_then(|contact| self.orders.remove(contact));
            let edges = self.edges.remove(line);
            // What only some benches have is shown where it is.
            let is_rare = on_stage || ["jam", "bolt drive"].contains(&name);
            if orders.is_none() && edges.is_none() && is_rare {
                continue;
            }
            lanes.push(Lane {
                name: name.to_owned(),
                content: Content::Spans {
                    ordered: ordered(orders.unwrap_or_default(), to),
                    seen: spans(&edges.unwrap_or_default(), from, to),
                },
            });
        }
        for (name, orders) in self.orders {
            let ordered = ordered(orders, to);
            let seen = Vec::new();
            let content = Content::Spans { ordered, seen };
            lanes.push(Lane { name, content });
        }
        for (name, edges) in self.edges {
            let (ordered, seen) = (Vec::new(), spans(&edges, from, to));
            let content = Content::Spans { ordered, seen };
            lanes.push(Lane { name, content });
        }
        let values = |name: &str, unit: &str, series: Vec<Series>| Lane {
            name: name.to_owned(),
            content: Content::Values {
                unit: unit.to_owned(),
                series,
            },
        };
        for (axis, (unit, points)) in self.moves {
            let series = Series {
                name: "read",
                points,
            };
            lanes.push(values(&axis, &unit, vec![series]));
        }
        if on_stage {
            lanes.push(Lane {
                name: "key pushed in".to_owned(),
                content: Content::Marks(self.keyway),
            });
            return lanes;
        }
        let (set, read) = (self.supply_set, self.supply_read);
        lanes.push(values(
            "supply",
            "mV",
            vec![
                Series {
                    name: "set",
                    points: set,
                },
                Series {
                    name: "read",
                    points: read,
                },
            ],
        ));
        let current = Series {
            name: "read",
            points: self.current,
        };
        lanes.push(values("current", "uA", vec![current]));
        lanes.push(Lane {
            name: "flash writes".to_owned(),
            content: Content::Marks(bursts(&self.flash)),
        });
        lanes.push(Lane {
            name: "console".to_owned(),
            content: Content::Marks(self.console),
        });
        lanes
    }
}

fn ordered(orders: Vec<(Nanos, String, Option<Nanos>)>, end: Nanos) -> Vec<Span> {
    orders
        .into_iter()
        .map(|(from, label, to)| Span {
            from,
            to: to.unwrap_or(end),
            label,
            bounces: 0,
        })
        .collect()
}

/// When a line was on, with the bounces of a contact taken together.
fn spans(edges: &[(Nanos, bool)], from: Nanos, to: Nanos) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    // A line that goes off first was on before anybody looked.
    let mut on = match edges.first() {
        Some((_, false)) => Some(from),
        _ => None,
    };
    let mut close = |from: Nanos, to: Nanos| match spans.last_mut() {
        Some(last) if from.since(last.to) < BOUNCE => {
            last.to = to;
            last.bounces += 1;
        }
        _ => spans.push(Span {
            from,
            to,
            label: String::new(),
            bounces: 0,
        }),
    };
    for (at, high) in edges {
        match (on, high) {
            (None, true) => on = Some(*at),
            (Some(since), false) => {
                close(since, *at);
                on = None;
            }
            _ => {}
        }
    }
    if let Some(since) = on {
        close(since, to);
    }
    spans
}

/// Writes to flash that belong together, in words.
fn bursts(writes: &[(Nanos, FlashChange, u32)]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for burst in writes.chunk_by(|one, next| next.0.since(one.0) < BURST) {
        let of = |wanted| burst.iter().filter(move |(_, kind, _)| *kind == wanted);
        let count = |wanted| -> u32 { of(wanted).map(|(_, _, count)| count).sum() };
        let words = [
            (count(FlashChange::Word), "written", "word"),
            (count(FlashChange::Page), "erased", "page"),
            (count(FlashChange::Chip), "erased", "chip"),
            (count(FlashChange::Settings), "erased", "settings memory"),
        ];
        let words: Vec<String> = words
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, done, what)| match count {
                1 => format!("1 {what} {done}"),
                _ => format!("{count} {what}s {done}"),
            })
            .collect();
        marks.push(Mark {
            at: burst[0].0,
            label: words.join(", "),
        });
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Nanos {
        Nanos::from_millis(millis)
    }

    fn seen(edges: &[(u64, bool)]) -> Vec<(u64, u64, usize)> {
        let edges: Vec<(Nanos, bool)> = edges.iter().map(|(at, on)| (ms(*at), *on)).collect();
        spans(&edges, ms(0), ms(1_000))
            .iter()
            .map(|span| (span.from.as_millis(), span.to.as_millis(), span.bounces))
            .collect()
    }

    #[test]
    fn bounces_are_taken_together() {
        let edges = [
            (100, true),
            (102, false),
            (103, true),
            (200, false),
            (203, true),
            (204, false),
            (300, true),
            (400, false),
        ];
        assert_eq!(seen(&edges), [(100, 204, 2), (300, 400, 0)]);
    }

    #[test]
    fn a_line_that_was_on_before_and_one_that_stays_on() {
        let edges = [(100, false), (900, true)];
        assert_eq!(seen(&edges), [(0, 100, 0), (900, 1_000, 0)]);
        assert_eq!(seen(&[]), []);
    }

    fn lane<'a>(lanes: &'a Lanes, name: &str) -> &'a Content {
        let lane = lanes.lanes.iter().find(|lane| lane.name == name);
        &lane.unwrap_or_else(|| panic!("no lane '{name}'")).content
    }

    fn trace(facts: Vec<(u64, What)>) -> Lanes {
        let events: Vec<Event> = (0..)
            .zip(facts)
            .map(|(seq, (at, what))| Event {
                seq,
                at: ms(at),
                what,
            })
            .collect();
        Lanes::of(&events)
    }

    #[test]
    fn digits_and_keys_share_a_lane_and_buttons_have_their_own() {
        let switched = |contact: &str, closed| What::Switched {
            contact: contact.to_owned(),
            closed,
        };
        let lanes = trace(vec![
            (10, switched("digit 1 of 2", true)),
            (20, switched("digit 1 of 2", false)),
            (30, switched("key *", true)),
            (35, switched("button reset", true)),
            // The finger is torn off by a supply loss, and nobody says from which key.
            (40, switched("key", false)),
            (90, switched("lever", true)),
            (99, What::StepFinished { step: 1 }),
        ]);
        let told = |name: &str| match lane(&lanes, name) {
            Content::Spans { ordered, .. } => ordered
                .iter()
                .map(|span| (&*span.label, span.from.as_millis(), span.to.as_millis()))
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(told("keys"), [("digit 1 of 2", 10, 20), ("key *", 30, 40)]);
        assert_eq!(told("reset button"), [("button reset", 35, 99)]);
        assert_eq!(told("lever"), [("lever", 90, 99)]);
    }

    #[test]
    fn a_mean_current_holds_for_the_time_that_it_is_the_mean_of() {
        let read = |millivolts, microamps, since: Option<u64>| What::SupplyRead {
            millivolts,
            microamps,
            since: since.map(ms),
            by: crate::event::Meter::Emulator,
        };
        let lanes = trace(vec![
            (0, read(9_000, None, None)),
            (10, read(8_700, Some(5), Some(0))),
            (30, read(9_000, Some(300_000), Some(10))),
        ]);
        let Content::Values { series, unit } = lane(&lanes, "current") else {
            panic!("no values")
        };
        assert_eq!(unit, "uA");
        let points: Vec<(u64, Option<i64>)> = series[0]
            .points
            .iter()
            .map(|(at, value)| (at.as_millis(), *value))
            .collect();
        assert_eq!(
            points,
            [(0, Some(5)), (10, None), (10, Some(300_000)), (30, None)]
        );
    }

    #[test]
    fn writes_to_flash_that_follow_each_other_are_one_mark() {
        let changed = |kind, count| What::FlashChanged {
            kind,
            address: Some(0),
            count,
            ends: Nanos::ZERO,
        };
        let lanes = trace(vec![
            (10, changed(FlashChange::Page, 1)),
            (29, changed(FlashChange::Word, 1)),
            (30, changed(FlashChange::Word, 7)),
            (90, changed(FlashChange::Word, 1)),
        ]);
        let Content::Marks(marks) = lane(&lanes, "flash writes") else {
            panic!("no marks")
        };
        let labels: Vec<&str> = marks.iter().map(|mark| &*mark.label).collect();
        assert_eq!(labels, ["8 words written, 1 page erased", "1 word written"]);
    }
}
