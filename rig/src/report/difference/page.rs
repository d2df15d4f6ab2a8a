//! The page of a changed flow: both time lines, the changes marked and numbered, and the difference
//! in words.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Told, difference, in_short};
use crate::report::flow::{Flow, Line};

/// The whole width of the picture, and where its time lines begin.
const WIDTH: u64 = 1_000;
const LEFT: u64 = 90;
const RIGHT: u64 = 20;
/// The heights of the two time lines.
const APPROVED: u64 = 46;
const SEEN: u64 = 126;

/// The page. The times are coarse, and no part of the comparison.
pub fn page(title: &str, approved: Option<&Flow>, seen: &Flow) -> String {
    let nothing = Flow::default();
    let told = numbered(difference(approved.unwrap_or(&nothing), seen));
    let summary = match approved {
        Some(_) => {
            let told: Vec<Told<'_>> = told.iter().map(|(told, _)| *told).collect();
            in_short(&told)
        }
        None => "There is no approved snapshot of this flow".to_owned(),
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                p { (summary) ". Steps are the long marks; point at a mark to read it. Times are coarse and not compared." }
                div.scroll tabindex="0" role="region" aria-label="The time lines" {
                    (picture(approved, seen, &told))
                }
                h2 { "In words" }
                pre.scroll tabindex="0" role="region" aria-label="The difference in words" {
                    @for (one, number) in &told {
                        @match one {
                            Told::Missing(_) => span.gone { (one.words()) },
                            Told::New(_) => span.new { (one.words()) },
                            Told::Gap | Told::Same(_) => (one.words()),
                        }
                        @if let Some(number) = number { "   " small { (number) } }
                        "\n"
                    }
                }
                p {
                    "Lines with - were approved and not seen, lines with + were seen and are not approved. "
                    code { "cargo insta review" } " or " code { "lockrig run --snapshots update" }
                    " approves what was seen, if the run passed."
                }
            }
        }
    }
    .into_string()
}

/// Numbers the changes; what is gone and what is in its place have the same number.
fn numbered(told: Vec<Told<'_>>) -> Vec<(Told<'_>, Option<usize>)> {
    let mut number = 0;
    let mut follows = false;
    let number_of = |one: Told<'_>| match one {
        Told::Missing(_) | Told::New(_) => {
            number += usize::from(!follows);
            follows = true;
            Some(number)
        }
        Told::Gap | Told::Same(_) => {
            follows = false;
            None
        }
    };
    let numbers: Vec<_> = told.iter().copied().map(number_of).collect();
    told.into_iter().zip(numbers).collect()
}

fn picture(approved: Option<&Flow>, seen: &Flow, told: &[(Told<'_>, Option<usize>)]) -> Markup {
    let last = |flow: &Flow| flow.lines.last().map_or(0, |line| line.second);
    let span = last(seen).max(approved.map_or(0, last)).max(1);
    let x = |second: u64| LEFT + second * (WIDTH - LEFT - RIGHT) / span;
    html! {
        svg viewBox={ "0 0 " (WIDTH) " 206" } role="img"
            aria-label="The approved flow and the one that was seen, on two time lines" {
            @for (name, y, flow) in [("approved", APPROVED, approved), ("seen", SEEN, Some(seen))] {
                text x="0" y=(y + 5) { (name) }
                @if let Some(flow) = flow {
                    line.lane x1=(LEFT) y1=(y) x2=(x(last(flow))) y2=(y) {}
                    @for line in &flow.lines { (mark(line, x(line.second), y)) }
                } @else {
                    text x=(LEFT) y=(y + 5) { "nothing is approved" }
                }
            }
            @if approved.is_some() {
                @for (one, number) in firsts(told) {
                    @match one {
                        Told::Missing(line) => {
                            path.gone d={ "M" (x(line.second)) " 32 l-6 -10 h12 z" } {}
                            text.number x=(x(line.second)) y="18" { (number) }
                        },
                        Told::New(line) => {
                            path.new d={ "M" (x(line.second)) " 140 l-6 10 h12 z" } {}
                            text.number x=(x(line.second)) y="164" { (number) }
                        },
                        Told::Gap | Told::Same(_) => {},
                    }
                }
            }
            @for quarter in 0..=4 {
                text.number x=(x(span * quarter / 4)) y="200" { (span * quarter / 4) " s" }
            }
        }
    }
}

fn mark(line: &Line, x: u64, y: u64) -> Markup {
    let (class, height) = match line.text.starts_with(' ') {
        true => ("part", 4),
        false => ("step", 9),
    };
    html! {
        line class=(class) x1=(x) y1=(y - height) x2=(x) y2=(y + height) {
            title { (line.second) " s: " (line.text.trim_start()) }
        }
    }
}

/// Of each numbered change, the first line that is gone and the first that is new.
fn firsts<'t>(told: &[(Told<'t>, Option<usize>)]) -> Vec<(Told<'t>, usize)> {
    let mut firsts: Vec<(Told<'_>, usize)> = Vec::new();
    for (one, number) in told {
        let Some(number) = *number else { continue };
        let is_alike = |(known, same): &(Told<'_>, usize)| {
            *same == number && matches!(known, Told::New(_)) == matches!(one, Told::New(_))
        };
        if !firsts.iter().any(is_alike) {
            firsts.push((*one, number));
        }
    }
    firsts
}

const STYLE: &str = "
:root { color-scheme: light dark; --ink: light-dark(#1c2024, #e6e8ea); --paper: light-dark(#fff, #14171a);
  --quiet: light-dark(#5f6972, #8d969f); --gone: light-dark(#b3261e, #ff8a80); --new: light-dark(#1b6e3c, #7ddc9a) }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color: var(--ink); background: var(--paper) }
h1 { font-size: 1.4rem }
h1, p, code { overflow-wrap: anywhere }
.scroll { overflow-x: auto }
svg { display: block; min-width: 44rem; width: 100%; height: auto }
svg text { fill: var(--ink); font: 14px system-ui, sans-serif }
.number { text-anchor: middle }
.lane, .part { stroke: var(--quiet) }
.step { stroke: var(--ink); stroke-width: 2 }
path.gone { fill: var(--gone) }
path.new { fill: var(--new) }
pre { font: 14px/1.5 ui-monospace, monospace }
span.gone { color: var(--gone) }
span.new { color: var(--new) }
small { color: var(--quiet) }
";
