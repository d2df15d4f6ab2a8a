//! The observable flow of a run: what a user and the oracles can see, as a short story.
//!
//! It is what snapshots keep. Two runs that promise the same have the same flow, to the byte: it
//! holds no seed, no code, no hash and no measured time, and what is seen is told under the step
//! that caused it, so that a board which is some milliseconds slower has the same flow. What a lost
//! supply leaves behind depends on its very moment, and the moment is drawn from the seed: from the
//! beginning of its phase until the rig has found out which codes the lock holds, only what must
//! hold at any moment is told.

mod sight;
#[cfg(test)]
mod tests;

use crate::event::{Against, Event, Judgement, Nanos, What};
use crate::verdict::Verdict;
use sight::Sight;

/// The version of the story's words. A flow that an older lockrig wrote is told anew by `update`; one
/// of a newer lockrig cannot be compared.
pub const FORMAT: u32 = 1;

/// The oracle that compares how long refusals take: the codes that the seed gave decide whether a
/// run has anything to compare.
const DECIDED_BY_CODES: &str = "I6";

/// A line of the story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// When it happened, in whole seconds from the beginning of the run. It is for drawing only.
    pub second: u64,
    /// The line, with its indentation.
    pub text: String,
}

/// See the head of the file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Flow {
    /// The story.
    pub lines: Vec<Line>,
}

impl Flow {
    /// The flow of a run's events.
    pub fn of(events: &[Event]) -> Flow {
        let mut teller = Teller::new(events);
        for (index, event) in events.iter().enumerate() {
            teller.see(index, event);
        }
        Flow {
            lines: folded(teller.finish()),
        }
    }

    /// The story as text, without a line end after its last line.
    pub fn text(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        lines.join("\n")
    }
}

/// What belongs to one step: its own line and those around it, what was seen since, and what came of it.
#[derive(Default)]
struct Passage {
    before: Vec<Line>,
    seen: Vec<(usize, Sight)>,
    depth: usize,
    after: Vec<Line>,
}

struct Teller<'a> {
    events: &'a [Event],
    began: Nanos,
    /// What was seen, by the event with which it began, the next one last.
    sights: Vec<(usize, Sight)>,
    cuts: Vec<Cut>,
    passages: Vec<Passage>,
    /// Lines of steps that have begun and not acted yet: what is seen before they do is not theirs.
    waiting: Vec<Line>,
    inside: Vec<u32>,
}

/// The events between which nothing is told but what must hold.
struct Cut {
    /// What the step shows with which the phase begins may be over by then, or not quite.
    shown_to: usize,
    from: usize,
    struck: usize,
    to: usize,
}

impl<'a> Teller<'a> {
    fn new(events: &'a [Event]) -> Teller<'a> {
        let cuts = cuts(events);
        let mut sights = Vec::new();
        let mut from = 0;
        for cut in &cuts {
            sights.extend(sight::all(events, from..cut.shown_to));
            from = cut.to;
        }
        sights.extend(sight::all(events, from..events.len()));
        sights.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
        Teller {
            events,
            began: events.first().map_or(Nanos::ZERO, |first| first.at),
            sights,
            cuts,
            passages: vec![Passage::default()],
            waiting: Vec::new(),
            inside: Vec::new(),
        }
    }

    fn line(&self, at: Nanos, depth: usize, text: String) -> Line {
        Line {
            second: at.since(self.began).0 / 1_000_000_000,
            text: format!("{:1$}{text}", "", depth * 2),
        }
    }

    fn passage(&mut self) -> &mut Passage {
        self.passages.last_mut().expect("there is always one")
    }

    /// The steps that waited act now: what is seen from here on is theirs.
    fn turn(&mut self) {
        if !self.waiting.is_empty() {
            let before = std::mem::take(&mut self.waiting);
            let depth = self.inside.len();
            self.passages.push(Passage {
                before,
                depth,
                ..Passage::default()
            });
        }
    }

    /// A line of its own, after all that was seen before.
    fn tell(&mut self, at: Nanos, text: String) {
        self.turn();
        let line = self.line(at, self.inside.len(), text);
        self.passage().after.push(line);
    }

    fn see(&mut self, index: usize, event: &Event) {
        let cut = self
            .cuts
            .iter()
            .find(|cut| (cut.from..cut.to).contains(&index));
        let (hushed, struck) = (cut.is_some(), cut.is_some_and(|cut| index > cut.struck));
        match &event.what {
            What::StepStarted {
                step,
                inside,
                doing,
                ..
            } => {
                while self
                    .inside
                    .last()
                    .is_some_and(|outer| Some(*outer) != *inside)
                {
                    self.inside.pop();
                }
                if !hushed || (struck && inside.is_none()) {
                    let line = self.line(event.at, self.inside.len(), doing.clone());
                    self.waiting.push(line);
                }
                self.inside.push(*step);
                if !acts(&self.events[index + 1..], *step) {
                    self.turn();
                }
            }
            What::StepFinished { step } => {
                self.turn();
                self.inside.retain(|other| other < step);
            }
            What::Switched { .. } => self.turn(),
            What::SupplySet { millivolts } => {
                self.turn();
                if self.inside.is_empty() && !hushed {
                    let text = match millivolts {
                        Some(millivolts) => {
                            let volts = f64::from(*millivolts) / 1_000.0;
                            format!("the supply is set to {volts} V")
                        }
                        None => "the supply is taken away".to_owned(),
                    };
                    let line = self.line(event.at, 0, text);
                    self.passages.push(Passage {
                        before: vec![line],
                        depth: 1,
                        ..Passage::default()
                    });
                }
            }
            // Each entry has its own answer.
            What::CodeEntered { .. } => {
                self.turn();
                let depth = self.inside.len();
                self.passages.push(Passage {
                    depth,
                    ..Passage::default()
                });
            }
            What::Interrupted { phase, how, .. } => {
                self.waiting.clear();
                let text = format!(
                    "the supply fails in {phase} ({how}); until the codes are found, only what must hold at any moment is told"
                );
                self.tell(event.at, text);
            }
            What::Settled { set: None, because } => self.tell(event.at, because.clone()),
            What::CodesChanged { valid, .. } if !hushed => {
                let codes = match valid.is_empty() {
                    true => "none".to_owned(),
                    false => valid.join(", "),
                };
                self.tell(event.at, format!("codes that open now: {codes}"));
            }
            What::Measured {
                quantity,
                unit,
                from,
                to,
                stands,
                ..
            } if *stands != Against::NoLimit && !(hushed && *stands == Against::Inside) => {
                let limits = format!("{} to {}", limit(*from, unit), limit(*to, unit));
                let stands = match stands {
                    Against::Inside => "inside",
                    Against::Outside => "outside",
                    _ => "straddles",
                };
                self.tell(event.at, format!("the {quantity} is {stands} {limits}"));
            }
            What::Checked { wanted, got, held } if !(hushed && *held) => {
                let text = match held {
                    true => format!("as expected: {}", plain(wanted)),
                    false => format!("NOT as expected: {wanted}; saw {got}"),
                };
                self.tell(event.at, text);
            }
            What::Trouble {
                device, doing, saw, ..
            } => self.tell(event.at, format!("the bench: {device}, {doing}: {saw}")),
            What::WentToRest { unknown, .. } => {
                self.inside.clear();
                self.passages.push(Passage::default());
                let text = match unknown.is_empty() {
                    true => "every output goes to rest".to_owned(),
                    false => format!("state UNKNOWN: {}", unknown.join(", ")),
                };
                self.tell(event.at, text);
            }
            What::Finished { verdict, .. } => self.finished(event.at, *verdict),
            _ => {}
        }
        while self.sights.last().is_some_and(|(seen, _)| *seen <= index) {
            let sight = self.sights.pop().expect("there is one");
            self.passage().seen.push(sight);
        }
    }

    /// The oracles, and the verdict.
    fn finished(&mut self, at: Nanos, verdict: Verdict) {
        let judged = |wanted: Judgement| -> Vec<&str> {
            let oracles = self.events.iter().filter_map(|event| match &event.what {
                What::Judged {
                    oracle, judgement, ..
                } if *judgement == wanted => Some(oracle.as_str()),
                _ => None,
            });
            oracles
                .filter(|oracle| wanted == Judgement::Broken || *oracle != DECIDED_BY_CODES)
                .collect()
        };
        let mut kinds = vec![(Judgement::Broken, "broken")];
        // Whether a cut gave an oracle something to see depends on its moment too.
        if self.cuts.is_empty() {
            kinds.extend([
                (Judgement::Held, "held"),
                (Judgement::Exempted, "exempted by the manual"),
                (Judgement::NotObserved, "not observed"),
            ]);
        }
        let told: Vec<String> = kinds
            .into_iter()
            .map(|(judgement, word)| (judged(judgement), word))
            .filter(|(oracles, _)| !oracles.is_empty())
            .map(|(oracles, word)| format!("{} {word}", oracles.join(", ")))
            .collect();
        let told = match told.is_empty() {
            true => "none broken".to_owned(),
            false => told.join("; "),
        };
        self.tell(at, format!("oracles: {told}"));
        self.tell(at, format!("verdict: {verdict}"));
    }

    fn finish(mut self) -> Vec<Line> {
        self.turn();
        let mut lines = Vec::new();
        let mut countdown = sight::Countdown::default();
        for passage in &self.passages {
            lines.extend(passage.before.iter().cloned());
            for (at, text) in sight::words(&passage.seen, &mut countdown) {
                lines.push(self.line(at, passage.depth, text));
            }
            lines.extend(passage.after.iter().cloned());
        }
        lines
    }
}

/// Where the supply was made to fail: from the beginning of the phase to the set of codes that was found.
fn cuts(events: &[Event]) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    for (struck, event) in events.iter().enumerate() {
        let What::Interrupted { phase, after, .. } = &event.what else {
            continue;
        };
        let began = event.at.since(*after);
        let from = events[..struck].iter().rposition(|earlier| {
            matches!(&earlier.what, What::PhaseEntered { phase: entered } if entered == phase)
                && earlier.at <= Nanos(began.0)
        });
        let settled = events[struck..]
            .iter()
            .position(|later| matches!(later.what, What::Settled { .. }));
        let to = settled.map_or(events.len(), |settled| struck + settled);
        let after_last = cuts.last().map_or(0, |last| last.to);
        if struck >= after_last {
            let from = from.unwrap_or(struck).max(after_last);
            let step = events[after_last..from]
                .iter()
                .rposition(|earlier| matches!(earlier.what, What::StepStarted { .. }));
            let shown_to = step.map_or(from, |step| after_last + step + 1);
            cuts.push(Cut {
                shown_to,
                from,
                struck,
                to,
            });
        }
    }
    cuts
}

/// Whether a step does something to the board, or only waits.
fn acts(rest: &[Event], step: u32) -> bool {
    for event in rest {
        match &event.what {
            What::Switched { .. } | What::SupplySet { .. } => return true,
            What::Checked { .. } | What::Interrupted { .. } => return false,
            What::StepFinished { step: finished } if *finished <= step => return false,
            _ => {}
        }
    }
    false
}

/// A signal's pattern stands in the line above, as it was seen.
fn plain(wanted: &str) -> &str {
    match wanted
        .strip_suffix(')')
        .and_then(|open| open.rsplit_once(" ("))
    {
        Some((signal, _)) if signal.starts_with("signal ") => signal,
        _ => wanted,
    }
}

fn limit(value: Option<u64>, unit: &str) -> String {
    match value {
        None => "unknown".to_owned(),
        Some(nanos) if unit == "ns" => Nanos(nanos).to_string(),
        Some(value) => format!("{value} {unit}"),
    }
}

/// The longest passage that is looked for a second time.
const LONGEST_REPETITION: usize = 24;

/// Passages that follow themselves are told once.
fn folded(lines: Vec<Line>) -> Vec<Line> {
    let mut story: Vec<Line> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let repeats = |length: usize| {
            let passage = &lines[at..at + length];
            lines[at + length..]
                .chunks_exact(length)
                .take_while(|next| {
                    next.iter()
                        .zip(passage)
                        .all(|(one, other)| one.text == other.text)
                })
                .count()
        };
        let longest = LONGEST_REPETITION.min((lines.len() - at) / 2);
        let found = (1..=longest)
            .map(|length| (length, repeats(length)))
            .find(|(_, count)| *count > 0);
        let Some((length, count)) = found else {
            story.push(lines[at].clone());
            at += 1;
            continue;
        };
        let passage = &lines[at..at + length];
        story.extend(passage.iter().cloned());
        let indent = passage
            .iter()
            .map(|line| line.text.len() - line.text.trim_start().len())
            .min()
            .unwrap_or(0);
        let times = match count {
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            count => format!("{count} times"),
        };
        story.push(Line {
            second: lines[at + length].second,
            text: format!("{:indent$}(the same {times} more)", ""),
        });
        at += length * (count + 1);
    }
    story
}
