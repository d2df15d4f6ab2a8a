//! Two flows beside each other: the approved one and the one that was seen, in words for a terminal,
//! and as two time lines for a browser.

use std::fmt::Write as _;

use similar::{DiffTag, TextDiff};

use super::flow::{Flow, Line};

/// How many lines around a change are shown with it.
const AROUND: usize = 2;

/// A line of the difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told<'a> {
    /// Lines that are the same were left out.
    Gap,
    /// In both.
    Same(&'a Line),
    /// Approved, and not seen.
    Missing(&'a Line),
    /// Seen, and not approved.
    New(&'a Line),
}

/// The difference, with some lines around each change and the step that it belongs to.
pub fn difference<'a>(approved: &'a Flow, seen: &'a Flow) -> Vec<Told<'a>> {
    let texts = |flow: &'a Flow| -> Vec<&'a str> {
        flow.lines.iter().map(|line| line.text.as_str()).collect()
    };
    let (old, new) = (texts(approved), texts(seen));
    let diff = TextDiff::from_slices(&old, &new);
    let mut told = Vec::new();
    let mut shown = 0;
    for group in diff.grouped_ops(AROUND) {
        let Some(first) = group.first() else { continue };
        let begins = first.old_range().start;
        if begins > shown {
            told.push(Told::Gap);
            let step = old[..begins]
                .iter()
                .rposition(|text| !text.starts_with(' '));
            let is_step = old.get(begins).is_some_and(|text| !text.starts_with(' '));
            if let Some(step) = step.filter(|step| *step >= shown && !is_step) {
                told.push(Told::Same(&approved.lines[step]));
                if step + 1 < begins {
                    told.push(Told::Gap);
                }
            }
        }
        for op in &group {
            let (gone, come) = (&approved.lines[op.old_range()], &seen.lines[op.new_range()]);
            if op.tag() == DiffTag::Equal {
                told.extend(gone.iter().map(Told::Same));
            } else {
                told.extend(gone.iter().map(Told::Missing));
                told.extend(come.iter().map(Told::New));
            }
            shown = op.old_range().end;
        }
    }
    if shown < old.len() {
        told.push(Told::Gap);
    }
    told
}

/// How many lines are in one flow only: `1 line is gone, 2 are new`.
pub fn in_short(told: &[Told<'_>]) -> String {
    let gone = told
        .iter()
        .filter(|told| matches!(told, Told::Missing(_)))
        .count();
    let new = told
        .iter()
        .filter(|told| matches!(told, Told::New(_)))
        .count();
    let lines = |count| match count {
        1 => "1 line".to_owned(),
        count => format!("{count} lines"),
    };
    format!("{} not as approved, {} in their place", lines(gone), new)
}

impl Told<'_> {
    /// Whether it is in one of the two only.
    pub fn is_change(&self) -> bool {
        matches!(self, Told::Missing(_) | Told::New(_))
    }

    /// `- ` for what was approved, `+ ` for what was seen.
    pub fn words(&self) -> String {
        match self {
            Told::Gap => "  …".to_owned(),
            Told::Same(line) => format!("  {}", line.text),
            Told::Missing(line) => format!("- {}", line.text),
            Told::New(line) => format!("+ {}", line.text),
        }
    }
}

/// The whole width of the picture, and where its time lines begin.
const WIDTH: u64 = 1_000;
const LEFT: u64 = 90;
const RIGHT: u64 = 20;

/// A page of its own: both time lines, the changes marked and numbered, and the difference in words.
/// The times are coarse, and no part of the comparison.
pub fn page(title: &str, approved: Option<&Flow>, seen: &Flow) -> String {
    let nothing = Flow::default();
    let told = difference(approved.unwrap_or(&nothing), seen);
    let last = |flow: &Flow| flow.lines.last().map_or(0, |line| line.second);
    let span = last(seen).max(approved.map_or(0, last)).max(1);
    let x = |second: u64| LEFT + second * (WIDTH - LEFT - RIGHT) / span;
    let mut lanes = String::new();
    let flows = [("approved", 46, approved), ("seen", 126, Some(seen))];
    for (name, y, flow) in flows {
        let _ = writeln!(lanes, "<text x='0' y='{}'>{name}</text>", y + 5);
        let Some(flow) = flow else {
            let _ = writeln!(
                lanes,
                "<text x='{LEFT}' y='{}'>nothing is approved</text>",
                y + 5
            );
            continue;
        };
        let _ = writeln!(
            lanes,
            "<line x1='{LEFT}' y1='{y}' x2='{}' y2='{y}' class='lane'/>",
            x(last(flow))
        );
        for line in &flow.lines {
            let class = if line.text.starts_with(' ') {
                "part"
            } else {
                "step"
            };
            let _ = writeln!(
                lanes,
                "<line x1='{0}' y1='{1}' x2='{0}' y2='{2}' class='{class}'><title>{3} s: {4}</title></line>",
                x(line.second),
                y - if class == "step" { 9 } else { 4 },
                y + if class == "step" { 9 } else { 4 },
                line.second,
                escaped(line.text.trim_start()),
            );
        }
    }
    let mut number = 0;
    let mut words = String::new();
    let mut follows = false;
    let mut marked = [None, None];
    for one in &told {
        let (mark, lane, y, line) = match one {
            Told::Missing(line) => ("gone", 0, 18, line),
            Told::New(line) => ("new", 1, 156, line),
            Told::Gap | Told::Same(_) => {
                follows = false;
                let _ = writeln!(words, "{}", escaped(&one.words()));
                continue;
            }
        };
        if approved.is_some() {
            // What is gone and what is in its place have the same number.
            if !follows {
                number += 1;
                follows = true;
                marked = [None, None];
            }
            if marked[lane].is_none() {
                marked[lane] = Some(());
                let at = x(line.second);
                let (tip, base) = if lane == 0 {
                    (y + 14, y + 4)
                } else {
                    (y - 16, y - 6)
                };
                let _ = writeln!(
                    lanes,
                    "<path d='M{at} {tip} l-6 {0} h12 z' class='{mark}'/><text x='{at}' y='{1}' class='number'>{number}</text>",
                    if lane == 0 { -10 } else { 10 },
                    if lane == 0 { base - 4 } else { base + 14 },
                );
            }
        }
        let text = escaped(&one.words());
        let _ = writeln!(
            words,
            "<span class='{mark}'>{text}</span>   <small>{number}</small>"
        );
    }
    for tenth in 0..=4 {
        let second = span * tenth / 4;
        let _ = writeln!(
            lanes,
            "<text x='{}' y='200' class='number'>{second} s</text>",
            x(second)
        );
    }
    format!(
        "<!doctype html>
<html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: light-dark(#1c2024, #e6e8ea); --paper: light-dark(#fff, #14171a);
  --quiet: light-dark(#8a929a, #7b848d); --gone: light-dark(#b3261e, #ff8a80); --new: light-dark(#1b6e3c, #7ddc9a); }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color: var(--ink); background: var(--paper) }}
h1 {{ font-size: 1.4rem; overflow-wrap: anywhere }} code {{ white-space: nowrap }} svg {{ width: 100%; height: auto }} svg text {{ fill: var(--ink); font: 14px system-ui, sans-serif }}
.number {{ text-anchor: middle }} .lane, .part {{ stroke: var(--quiet) }} .step {{ stroke: var(--ink); stroke-width: 2 }}
path.gone {{ fill: var(--gone) }} path.new {{ fill: var(--new) }}
pre {{ overflow-x: auto; font: 14px/1.5 ui-monospace, monospace }} span.gone {{ color: var(--gone) }} span.new {{ color: var(--new) }}
small {{ color: var(--quiet) }}
</style></head><body>
<h1>{title}</h1>
<p>{summary}. Steps are the long marks; point at a mark to read it. Times are coarse and not compared.</p>
<svg viewBox='0 0 {WIDTH} 206' role='img' aria-label='The approved flow and the one that was seen, on two time lines'>
{lanes}</svg>
<h2>In words</h2>
<pre>{words}</pre>
<p>Lines with - were approved and not seen, lines with + were seen and are not approved.
<code>cargo insta review</code> or <code>lockrig run --snapshots update</code> approves what was seen, if the run passed.</p>
</body></html>
",
        title = escaped(title),
        summary = match approved {
            Some(_) => escaped(&in_short(&told)),
            None => "There is no approved snapshot of this flow".to_owned(),
        },
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&#39;")
}
