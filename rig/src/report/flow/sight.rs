//! What can be seen and read of a board in a stretch of events: flashes and beeps, the bolt, the
//! door, the lines of the console.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::event::{Event, Nanos, What};

/// Lamps and beeper, in the order in which they are told.
const SIGNALS: [&str; 5] = ["red", "green", "yellow", "blue", "beeper"];

/// Signals that follow each other after less than this belong together, as the run loop has it.
const QUIET: Nanos = Nanos::from_millis(700);

/// A pause shorter than this is no pause: dimmed light, a bouncing contact.
const JOINED: Nanos = Nanos::from_millis(20);

/// What is on for longer is no flash and no beep, it is lit.
const LIT: Nanos = Nanos::from_millis(1_200);

/// Something that was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sight {
    /// A line of [`SIGNALS`] flashed or sounded.
    Pulses {
        line: usize,
        count: u32,
        /// The digits of a code were going in: how many there are is the code's affair.
        uncounted: bool,
        from: Nanos,
        to: Nanos,
    },
    /// A line of [`SIGNALS`] went on or off and stayed so.
    Level { line: usize, on: bool, at: Nanos },
    /// The bolt or the door.
    Moved { what: &'static str, at: Nanos },
    /// A line of the console.
    Printed { text: String, at: Nanos },
}

/// Everything that was seen in a stretch, by the event with which it began. What is not over at the
/// end of the stretch is left out, unless the events end there.
pub fn all(events: &[Event], stretch: Range<usize>) -> Vec<(usize, Sight)> {
    let ends = if stretch.end == events.len() {
        Nanos::NEVER
    } else {
        events[stretch.end].at
    };
    let events: Vec<(usize, &Event)> = stretch.map(|index| (index, &events[index])).collect();
    let mut seen = Vec::new();
    for (line, name) in SIGNALS.iter().enumerate() {
        seen.extend(signals(&events, line, name, ends));
    }
    seen.extend(bolt(&events, ends));
    seen.extend(door(&events, ends));
    seen.extend(events.iter().filter_map(|(index, event)| {
        let What::Printed { text } = &event.what else {
            return None;
        };
        let text = without_measurements(text);
        Some((*index, Sight::Printed { text, at: event.at }))
    }));
    seen
}

fn edges<'a>(
    events: &'a [(usize, &Event)],
    name: &'a str,
) -> impl Iterator<Item = (usize, Nanos, bool)> + 'a {
    events
        .iter()
        .filter_map(move |(index, event)| match &event.what {
            What::LineChanged { line, high } if line == name => Some((*index, event.at, *high)),
            _ => None,
        })
}

/// A time in which a line was on.
struct On {
    index: usize,
    from: Nanos,
    fell: Option<(usize, Nanos)>,
}

fn signals(
    events: &[(usize, &Event)],
    line: usize,
    name: &str,
    ends: Nanos,
) -> Vec<(usize, Sight)> {
    let mut times: Vec<On> = Vec::new();
    for (index, at, high) in edges(events, name) {
        match times.last_mut() {
            Some(last) if high && last.fell.is_some_and(|(_, fell)| at.since(fell) < JOINED) => {
                last.fell = None;
            }
            Some(last) if !high && last.fell.is_none() => last.fell = Some((index, at)),
            _ if high => times.push(On {
                index,
                from: at,
                fell: None,
            }),
            _ => {}
        }
    }
    let mut seen: Vec<(usize, Sight)> = Vec::new();
    for time in times {
        let lasted = match time.fell {
            Some((_, at)) => at.since(time.from),
            None => ends.since(time.from),
        };
        if lasted >= LIT {
            let (on, at) = (true, time.from);
            seen.push((time.index, Sight::Level { line, on, at }));
            if let Some((index, at)) = time.fell {
                seen.push((
                    index,
                    Sight::Level {
                        line,
                        on: false,
                        at,
                    },
                ));
            }
            continue;
        }
        // It is cut off by the end of the stretch.
        let Some((_, fell)) = time.fell else { continue };
        if let Some((
            _,
            Sight::Pulses {
                count,
                uncounted,
                from,
                to,
                ..
            },
        )) = seen.last_mut()
            && time.from.since(*to) < QUIET
            && !(*uncounted && is_answer(events, *from, time.from))
        {
            *count += 1;
            *to = fell;
            continue;
        }
        seen.push((
            time.index,
            Sight::Pulses {
                line,
                count: 1,
                uncounted: digits_go_in(events, time.index),
                from: time.from,
                to: fell,
            },
        ));
    }
    // What might have gone on.
    seen.retain(|(_, sight)| match sight {
        Sight::Pulses { to, .. } => *to + QUIET <= ends,
        _ => true,
    });
    seen
}

/// Whether a code was complete between two moments: then what comes later is the answer to it.
fn is_answer(events: &[(usize, &Event)], from: Nanos, to: Nanos) -> bool {
    events.iter().any(|(_, event)| {
        event.at > from && event.at <= to && matches!(event.what, What::CodeEntered { .. })
    })
}

/// Whether the last that the rig did was to press a digit before the code was complete.
fn digits_go_in(events: &[(usize, &Event)], until: usize) -> bool {
    let before = events.iter().rev().skip_while(|(index, _)| *index >= until);
    let mut digit = None;
    for (_, event) in before {
        match &event.what {
            What::Switched { contact, .. } if digit.is_none() => digit = Some(contact),
            // It was pressed and released.
            What::Switched { contact, .. } if digit == Some(contact) => {}
            // A code without an end key is complete with its last digit.
            What::CodeEntered { .. } => return false,
            What::Switched { .. } | What::StepStarted { .. } => break,
            _ => {}
        }
    }
    digit.is_some_and(|contact| contact.starts_with("digit "))
}

/// The bolt, told when it begins to move, because its way takes time.
fn bolt(events: &[(usize, &Event)], ends: Nanos) -> Vec<(usize, Sight)> {
    let has_both = edges(events, "bolt-thrown").next().is_some();
    let mut changes: Vec<(usize, Nanos, bool, bool)> = Vec::new();
    for (name, is_withdrawn) in [("bolt-withdrawn", true), ("bolt-thrown", false)] {
        changes
            .extend(edges(events, name).map(|(index, at, high)| (index, at, is_withdrawn, high)));
    }
    changes.sort();
    let mut seen = Vec::new();
    let mut left: Option<(usize, Nanos)> = None;
    for (index, at, is_withdrawn, high) in changes {
        let arrived = match (high, is_withdrawn) {
            (true, true) => "bolt withdrawn",
            (true, false) => "bolt thrown",
            (false, true) if !has_both => "bolt thrown",
            (false, _) => {
                left.get_or_insert((index, at));
                continue;
            }
        };
        let (index, at) = left.take().unwrap_or((index, at));
        seen.push((index, Sight::Moved { what: arrived, at }));
    }
    if let Some((index, at)) = left
        && ends == Nanos::NEVER
    {
        let what = "bolt leaves its place and arrives nowhere";
        seen.push((index, Sight::Moved { what, at }));
    }
    seen
}

/// The door's contact, which bounces.
fn door(events: &[(usize, &Event)], ends: Nanos) -> Vec<(usize, Sight)> {
    let mut seen: Vec<(usize, Sight)> = Vec::new();
    let mut moves: Vec<(usize, Nanos, Nanos, bool)> = Vec::new();
    for (index, at, high) in edges(events, "door") {
        match moves.last_mut() {
            Some((_, _, last, level)) if at.since(*last) < JOINED => {
                *last = at;
                *level = high;
            }
            _ => moves.push((index, at, at, high)),
        }
    }
    for (index, at, last, closed) in moves {
        if last + JOINED <= ends {
            let what = if closed { "door closed" } else { "door open" };
            seen.push((index, Sight::Moved { what, at }));
        }
    }
    seen
}

/// A line without its measured numbers: a count of attempts or a slot is a state, a voltage or a
/// time that is left is not, and those have three digits and more.
fn without_measurements(text: &str) -> String {
    let is_measured =
        |value: &str| value.len() >= 3 && value.bytes().all(|one| one.is_ascii_digit());
    let words: Vec<String> = text
        .split(' ')
        .map(|word| match word.split_once('=') {
            Some((key, value)) if is_measured(value) => format!("{key}=…"),
            None if is_measured(word) => "…".to_owned(),
            _ => word.to_owned(),
        })
        .collect();
    words.join(" ")
}

/// Lines that a board prints again and again with another number: only the first is news.
#[derive(Default)]
pub struct Countdown {
    running: BTreeMap<String, String>,
}

impl Countdown {
    fn is_news(&mut self, text: &str) -> bool {
        let word = text.split(' ').next().unwrap_or("").to_owned();
        if word == "boot" {
            self.running.clear();
        }
        match text.contains('…') {
            true => self.running.insert(word, text.to_owned()).as_deref() != Some(text),
            false => {
                self.running.remove(&word);
                true
            }
        }
    }
}

/// What was seen after one act of the rig, in words: signals, then bolt and door, then the console.
pub fn words(seen: &[(usize, Sight)], countdown: &mut Countdown) -> Vec<(Nanos, String)> {
    let mut told = Vec::new();
    told.extend(signals_in_words(seen));
    for (_, sight) in seen {
        if let Sight::Moved { what, at } = sight {
            told.push((*at, (*what).to_owned()));
        }
    }
    let printed: Vec<(Nanos, &str)> = seen
        .iter()
        .filter_map(|(_, sight)| match sight {
            Sight::Printed { text, at } if countdown.is_news(text) => Some((*at, text.as_str())),
            _ => None,
        })
        .collect();
    if let Some((at, _)) = printed.first() {
        let lines: Vec<&str> = printed.iter().map(|(_, text)| *text).collect();
        told.push((*at, format!("console: {}", lines.join(", "))));
    }
    told
}

/// What one line showed, and from when to when.
struct Shown {
    from: Nanos,
    to: Nanos,
    line: usize,
    words: String,
}

/// `red 3×, beeper 3×`; what follows after a pause is behind `then`.
fn signals_in_words(seen: &[(usize, Sight)]) -> Option<(Nanos, String)> {
    let mut shown: Vec<Shown> = seen.iter().filter_map(|(_, sight)| shown(sight)).collect();
    shown.sort_by_key(|one| (one.from, one.line));
    let first = shown.first()?.from;
    let mut bursts: Vec<Vec<Shown>> = Vec::new();
    let mut over = first;
    for one in shown {
        let follows = one.from.since(over) < QUIET;
        over = over.max(one.to);
        match bursts.last_mut() {
            Some(burst) if follows => burst.push(one),
            _ => bursts.push(vec![one]),
        }
    }
    let told: Vec<String> = bursts
        .into_iter()
        .map(|mut burst| {
            burst.sort_by_key(|one| (one.line, one.from));
            let words: Vec<String> = burst.into_iter().map(|one| one.words).collect();
            words.join(", ")
        })
        .collect();
    Some((first, told.join(", then ")))
}

fn shown(sight: &Sight) -> Option<Shown> {
    match sight {
        Sight::Pulses {
            line,
            count,
            uncounted,
            from,
            to,
        } => Some(Shown {
            from: *from,
            to: *to,
            line: *line,
            words: match uncounted {
                true => format!("{} with the keys", SIGNALS[*line]),
                false => format!("{} {count}×", SIGNALS[*line]),
            },
        }),
        Sight::Level { line, on, at } => Some(Shown {
            from: *at,
            to: *at,
            line: *line,
            words: format!("{} {}", SIGNALS[*line], if *on { "lit" } else { "dark" }),
        }),
        Sight::Moved { .. } | Sight::Printed { .. } => None,
    }
}
