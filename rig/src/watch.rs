//! A bench as it stands, drawn on a terminal: every line, every contact, the supply, and what came last.
//!
//! [`Watch`] is fed with what happens on a bench and draws itself on any terminal; who lets time pass and
//! who reads keys is the command's business.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Row, Table};

use crate::bench::file::Relays;
use crate::bench::{BenchFile, Contact, Feed, Happening, What};
use crate::driver::pin_board::Way;
use crate::event::Nanos;
use crate::quantity::{Microamps, Millivolts};

/// Changes of a line that follow each other faster than this are bounces of one.
const BOUNCE: Nanos = Nanos::from_millis(20);
/// How much of what came last is kept.
const KEPT: usize = 200;

/// Something that is on or off.
#[derive(Clone, Debug)]
struct Thing {
    name: String,
    /// What stands beside it: what closes a contact.
    beside: String,
    /// None before anything is known.
    on: Option<bool>,
    /// When it became so.
    since: Option<Nanos>,
    changes: u32,
}

impl Thing {
    fn turn(&mut self, on: bool, at: Nanos) {
        if self.on != Some(on) {
            self.on = Some(on);
            self.since = Some(at);
            self.changes += 1;
        }
    }
}

/// What is shown.
#[derive(Clone, Debug)]
pub struct Watch {
    bench: String,
    contacts: Vec<(Contact, Thing)>,
    lines: Vec<Thing>,
    has_supply: bool,
    fed: Option<Feed>,
    measured: Option<(Millivolts, Microamps)>,
    last: VecDeque<Told>,
}

/// Something that happened, in words.
#[derive(Clone, Debug)]
struct Told {
    at: Nanos,
    text: String,
    /// The line that it is about, how often it changed within [`BOUNCE`], and when last.
    line: Option<(String, u32, Nanos)>,
}

impl Watch {
    /// Nothing seen yet, on a bench at rest.
    pub fn new(bench: &BenchFile) -> Watch {
        let relays = bench.relays.iter();
        let relays = relays.flat_map(|Relays { via, contacts }| {
            contacts
                .iter()
                .map(move |(contact, wired)| (via, contact, wired))
        });
        let mut contacts: Vec<(Way, Contact, Thing)> = relays
            .map(|(via, contact, wired)| {
                let thing = Thing {
                    name: contact.to_string(),
                    beside: via.output(wired.way),
                    on: Some(wired.rest_closed),
                    since: None,
                    changes: 0,
                };
                (wired.way, contact.clone(), thing)
            })
            .collect();
        contacts.sort_by_key(|(way, ..)| *way);
        let lines = bench.lines.iter().map(|line| Thing {
            name: line.name.clone(),
            beside: String::new(),
            on: None,
            since: None,
            changes: 0,
        });
        Watch {
            bench: bench.name.clone(),
            contacts: contacts
                .into_iter()
                .map(|(_, contact, thing)| (contact, thing))
                .collect(),
            lines: lines.collect(),
            has_supply: bench.supply.is_some(),
            fed: None,
            measured: None,
            last: VecDeque::new(),
        }
    }

    /// How a line stands, from the bench itself.
    pub fn level(&mut self, line: &str, on: bool) {
        if let Some(found) = self.lines.iter_mut().find(|found| found.name == line) {
            found.on = Some(on);
        }
    }

    /// Whether a contact is closed, as far as is known.
    pub fn is_closed(&self, contact: &Contact) -> bool {
        let found = self.contacts.iter().find(|(one, _)| one == contact);
        found.is_some_and(|(_, thing)| thing.on == Some(true))
    }

    /// Whether the supply is on.
    pub fn is_fed(&self) -> bool {
        matches!(self.fed, Some(Feed::On { .. }))
    }

    /// Something happened.
    pub fn see(&mut self, happening: &Happening) {
        let at = happening.at;
        match &happening.what {
            What::Line { line, on, hertz } => {
                if let Some(found) = self.lines.iter_mut().find(|found| found.name == *line) {
                    found.turn(*on, at);
                }
                let tone = hertz
                    .map(|hertz| format!(", {hertz} Hz"))
                    .unwrap_or_default();
                let text = format!("{line} {}{tone}", word(*on));
                if let Some(told) = self.last.back_mut()
                    && let Some((_, times, last)) = told
                        .line
                        .as_mut()
                        .filter(|(name, _, last)| name == line && at.since(*last) < BOUNCE)
                {
                    *times += 1;
                    *last = at;
                    told.text = format!("{text}, {times} bounces");
                    return;
                }
                self.note(at, text);
                if let Some(told) = self.last.back_mut() {
                    told.line = Some((line.clone(), 0, at));
                }
            }
            What::Switched {
                contact, closed, ..
            } => {
                if let Some((_, found)) = self.contacts.iter_mut().find(|(one, _)| one == contact) {
                    found.turn(*closed, at);
                }
                let word = if *closed { "closed" } else { "opened" };
                self.note(at, format!("{contact} {word}"));
            }
            What::Fed { feed, .. } => {
                self.fed = Some(*feed);
                self.note(at, format!("supply {}", fed(*feed)));
            }
            What::Measured {
                voltage, current, ..
            } => self.measured = Some((*voltage, *current)),
            What::Printed { text, .. } => self.note(at, format!("console: {text}")),
            What::Trouble(trouble) => self.note(at, format!("TROUBLE {trouble}")),
            _ => {}
        }
    }

    fn note(&mut self, at: Nanos, text: String) {
        let line = None;
        self.last.push_back(Told { at, text, line });
        if self.last.len() > KEPT {
            self.last.pop_front();
        }
    }

    /// Draws everything as it is at `now`; `keys` says what a person may press.
    pub fn draw(&self, frame: &mut Frame<'_>, now: Nanos, keys: &str) {
        let rows = [
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(1),
        ];
        let [head, middle, foot] = Layout::vertical(rows).areas(frame.area());
        let title = Line::from(vec![
            Span::from(format!(" {} ", self.bench)).bold().reversed(),
            Span::from(format!("  {:.1} s  ", now.0 as f64 / 1e9)),
            Span::from(self.supply()),
        ]);
        frame.render_widget(title, head);
        frame.render_widget(Line::from(keys).dim(), foot);
        let [contacts, lines, last] = self.panes(middle);
        let closed = self.contacts.iter().map(|(_, thing)| thing);
        things(
            frame,
            contacts,
            " contacts ",
            closed,
            ["open", "CLOSED"],
            now,
        );
        things(
            frame,
            lines,
            " lines ",
            self.lines.iter(),
            ["off", "ON"],
            now,
        );
        let height = usize::from(last.height.saturating_sub(2));
        let skip = self.last.len().saturating_sub(height);
        let text: Vec<Line<'_>> = self.last.iter().skip(skip).map(told).collect();
        let block = Block::bordered().title(" what happened ");
        frame.render_widget(Paragraph::new(text).block(block), last);
    }

    /// Contacts, lines and what happened: side by side, or the last below the lines where that leaves too little room.
    fn panes(&self, area: Rect) -> [Rect; 3] {
        const CONTACTS: u16 = 46;
        const LINES: u16 = 35;
        const TOLD_MIN: u16 = 30;
        if area.width >= CONTACTS + LINES + TOLD_MIN {
            let columns = [CONTACTS, LINES].map(Constraint::Length);
            let columns = columns.into_iter().chain([Constraint::Fill(1)]);
            return Layout::horizontal(columns).areas(area);
        }
        let columns = [
            Constraint::Length(CONTACTS.min(area.width / 2)),
            Constraint::Fill(1),
        ];
        let [contacts, right] = Layout::horizontal(columns).areas(area);
        let rows = u16::try_from(self.lines.len()).unwrap_or(u16::MAX);
        let rows = rows.saturating_add(2).min(area.height / 2);
        let [lines, last] =
            Layout::vertical([Constraint::Length(rows), Constraint::Fill(1)]).areas(right);
        [contacts, lines, last]
    }

    fn supply(&self) -> String {
        if !self.has_supply {
            return "no supply".to_owned();
        }
        let set = self.fed.map_or("off".to_owned(), fed);
        match self.measured {
            Some((voltage, current)) => format!("supply {set}, gives {voltage} at {current}"),
            None => format!("supply {set}"),
        }
    }
}

fn told(told: &Told) -> Line<'_> {
    let at = told.at;
    let text = Span::from(told.text.as_str());
    let is_trouble = text.content.starts_with("TROUBLE");
    let text = if is_trouble { text.red().bold() } else { text };
    Line::from(vec![
        Span::from(format!("{:>9.3}  ", at.0 as f64 / 1e9)).dim(),
        text,
    ])
}

/// A table of what is on or off; the word tells it, colour repeats it.
fn things<'t>(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    things: impl Iterator<Item = &'t Thing>,
    words: [&str; 2],
    now: Nanos,
) {
    let things: Vec<&Thing> = things.collect();
    let beside = things.iter().map(|thing| thing.beside.chars().count());
    let beside = beside.max().unwrap_or_default() as u16;
    let rows = things.iter().map(|thing| {
        let (word, style) = match thing.on {
            Some(true) => (
                words[1],
                Style::new().fg(Color::Green).add_modifier(Modifier::BOLD),
            ),
            Some(false) => (words[0], Style::new()),
            None => ("?", Style::new()),
        };
        let since = match thing.since {
            Some(since) => format!("{:.1} s", now.since(since).0 as f64 / 1e9),
            None => String::new(),
        };
        Row::new([
            Span::from(thing.name.clone()),
            Span::from(thing.beside.clone()).dim(),
            Span::styled(word.to_owned(), style),
            Span::from(format!("{since:>8}")).dim(),
        ])
    });
    // Borders, and a column between any two.
    let others = 15 + 6 + 8 + 2 + 3;
    let widths = [
        Constraint::Length(15),
        // Whole or not at all.
        Constraint::Length(if area.width < others + beside {
            0
        } else {
            beside
        }),
        Constraint::Length(6),
        Constraint::Length(8),
    ];
    let block = Block::bordered().title(title.to_owned());
    frame.render_widget(Table::new(rows, widths).block(block), area);
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn fed(feed: Feed) -> String {
    match feed {
        Feed::Off => "off".to_owned(),
        Feed::On { voltage, .. } => format!("on, {voltage}"),
    }
}
