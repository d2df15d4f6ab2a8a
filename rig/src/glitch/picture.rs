//! Every instruction of a decision at one glance: a strip with a lane for each outcome, from the last key to
//! the answer. The lane says the outcome, and its colour repeats it; how high a column stands in a lane is
//! the share of the instruction's glitches that came to that. What opens is marked above the strip as well.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Explored, Mark, Outcome};

const LEFT: usize = 70;
const WIDTH: usize = 900;
const LANE: usize = 26;
const GAP: usize = 4;
const TOP: usize = 40;
const STRIP: usize = TOP + 4 * (LANE + GAP) + 26;

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1b1f24 } text.small { font-size: 10px; fill: #57606a }
.lane { fill: #f3f4f6 } .open { fill: #c0262d } .closed { fill: #2e8b57 } .fault { fill: #b7791f } .hang { fill: #6e56cf }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } text.small { fill: #9da7b3 } .lane { fill: #21262d }
.open { fill: #f85149 } .closed { fill: #46b077 } .fault { fill: #d29922 } .hang { fill: #9e8cfc }
}
";

const PAGE: &str = "\
:root { color-scheme: light dark }
body { font: 14px system-ui, sans-serif; color: #1b1f24; background: #fff; max-width: 1020px; margin: 2em auto; padding: 0 1em }
h2 { font-size: 1.05em; overflow-wrap: anywhere; margin-top: 2em }
table { border-collapse: collapse; margin: 0 0 1em; font-variant-numeric: tabular-nums }
th, td { padding: 2px 10px; text-align: right; border-bottom: 1px solid #d8dee4 }
th:first-child, td:first-child, .places td, .places th { text-align: left }
svg { max-width: 100%; height: auto } code { overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #0d1117 } th, td { border-color: #30363d } }
";

/// The strips of all entries as one picture.
pub fn svg(all: &[&Explored]) -> String {
    let strips = all.iter().enumerate();
    let strips: Vec<Markup> = strips
        .map(|(nth, explored)| strip(explored, nth * STRIP))
        .collect();
    frame(all.len().max(1) * STRIP, &strips).into_string() + "\n"
}

/// The strips with their tables.
pub fn page(all: &[&Explored]) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "lockrig glitch" }
                style { (PreEscaped(PAGE)) }
            }
            body {
                h1 { "Glitches" }
                p {
                    "A code that must not open was entered on the virtual bench. Between its last key and the lock's \
                     answer each instruction went wrong once in every way. A column stands in the lane of what came of it."
                }
                @for explored in all { (section(explored)) }
            }
        }
    };
    markup.into_string() + "\n"
}

fn section(explored: &Explored) -> Markup {
    html! {
        h2 { (explored.flow) ", entry " (explored.entry) }
        p { strong { (explored.verdict) } ": " (explored.because) }
        @if !explored.instructions.is_empty() {
            (frame(STRIP, &[strip(explored, 0)]))
            table {
                tr { th { "what goes wrong" } @for outcome in Outcome::ALL { th { (outcome.word()) } } }
                @for model in &explored.models {
                    tr {
                        td { (model.model) }
                        @for outcome in Outcome::ALL {
                            td { (model.outcomes.get(&outcome).copied().unwrap_or(0)) }
                        }
                    }
                }
            }
        }
        @if !explored.opens.is_empty() {
            table.places {
                tr { th { "place that opens" } th { "address" } th { "first at" } th { "glitches" } th { "what" } }
                @for open in &explored.opens {
                    tr {
                        td { (open.place.as_deref().unwrap_or("no symbol")) }
                        td { code { (format!("{:#x}", open.address)) } }
                        td { (open.at) }
                        td { (open.count) }
                        td { (open.modes.join(", ")) }
                    }
                }
            }
        }
        @if let Some(timing) = &explored.timing {
            table {
                tr { th { "digits right" } th { "cycles" } th { "awake" } th { "nC" } }
                @for guess in &timing.guesses {
                    tr {
                        td { code { (guess.right) } }
                        td { (guess.cycles) }
                        td { (guess.awake) }
                        td { (guess.nanocoulombs) }
                    }
                }
            }
        }
    }
}

fn frame(height: usize, strips: &[Markup]) -> Markup {
    let width = LEFT + WIDTH + 10;
    html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
            viewBox=(format!("0 0 {width} {height}")) role="img" {
            style { (PreEscaped(STYLE)) }
            @for strip in strips { (strip) }
        }
    }
}

fn strip(explored: &Explored, top: usize) -> Markup {
    let marks = &explored.instructions;
    let each = marks.len().div_ceil(WIDTH).max(1);
    let count = marks.len().div_ceil(each).max(1);
    let wide = WIDTH as f64 / count as f64;
    let name = format!("{}, entry {}", explored.flow, explored.entry);
    html! {
        g transform=(format!("translate(0 {top})")) {
            title { (name) }
            text x="4" y="14" { (name) }
            @for (lane, outcome) in Outcome::ALL.into_iter().enumerate() {
                @let y = TOP + lane * (LANE + GAP);
                text x="4" y=(y + 17) { (outcome.word()) }
                rect.lane x=(LEFT) y=(y) width=(WIDTH) height=(LANE) {}
                @for (nth, chunk) in marks.chunks(each).enumerate() {
                    @let share = share(chunk, outcome);
                    @if share > 0.0 {
                        @let high = (share * LANE as f64).max(2.0);
                        @let x = LEFT as f64 + nth as f64 * wide;
                        rect class=(outcome.word()) x=(format!("{x:.1}"))
                            y=(format!("{:.1}", (y + LANE) as f64 - high))
                            width=(format!("{:.1}", wide.max(1.0))) height=(format!("{high:.1}")) {}
                        @if outcome == Outcome::Open {
                            text.small x=(format!("{x:.1}")) y=(TOP - 4) text-anchor="middle" { "▼" }
                        }
                    }
                }
            }
            @let foot = TOP + 4 * (LANE + GAP) + 12;
            @if let [first, .., last] = marks.as_slice() {
                text.small x=(LEFT) y=(foot) { "instruction " (first.instruction) " after the last key" }
                text.small x=(LEFT + WIDTH) y=(foot) text-anchor="end" { "instruction " (last.instruction) ", then the answer" }
            }
        }
    }
}

/// Which share of the glitches of some instructions came to this.
fn share(marks: &[Mark], wanted: Outcome) -> f64 {
    let mut all: BTreeMap<bool, u64> = BTreeMap::new();
    for (outcome, count) in marks.iter().flat_map(|mark| &mark.outcomes) {
        *all.entry(*outcome == wanted).or_default() += count;
    }
    let hits = all.get(&true).copied().unwrap_or(0) as f64;
    hits / (all.values().sum::<u64>().max(1) as f64)
}
