//! Every cut of a flow at one glance: a strip with a lane for each outcome, the flow from left to right.
//!
//! The lane says the outcome, its colour repeats it, and its hatching does so once more; how high a
//! column stands in a lane is the share of its cuts that came to that.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Depth, Explored, Mark, Outcome};

const LEFT: usize = 90;
const WIDTH: usize = 900;
const LANE: usize = 26;
const GAP: usize = 4;
const STRIP: usize = 36 + 4 * (LANE + GAP) + 34;

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1b1f24 }
text.small { font-size: 10px; fill: #57606a }
.lane { fill: #f3f4f6 }
.edge { stroke: #8c959f; stroke-dasharray: 2 2 }
.old { fill: #3b6fb6 } .new { fill: #2e8b57 } .factory { fill: #b7791f } .broken { fill: #c0262d }
.hatch { stroke: #fff; fill: none } .dot { fill: #fff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } text.small { fill: #9da7b3 } .lane { fill: #21262d } .edge { stroke: #6e7681 }
.old { fill: #5b93dd } .new { fill: #46b077 } .factory { fill: #d29922 } .broken { fill: #f85149 }
.hatch { stroke: #0d1117 } .dot { fill: #0d1117 }
}
";

/// Of the page around the strips.
const PAGE: &str = "\
:root { color-scheme: light dark }
body { font: 14px system-ui, sans-serif; color: #1b1f24; background: #fff; max-width: 1020px; margin: 2em auto; padding: 0 1em }
h2 { font-size: 1.05em; overflow-wrap: anywhere; margin-top: 2em }
table { border-collapse: collapse; margin: 0 0 1em; font-variant-numeric: tabular-nums }
th, td { padding: 2px 10px; text-align: right; border-bottom: 1px solid #d8dee4 }
th:first-child, td:first-child { text-align: left }
svg { max-width: 100%; height: auto } code { background: #f3f4f6; overflow-wrap: anywhere }
.bad { border-left: 4px solid #c0262d; padding-left: 10px }
@media (prefers-color-scheme: dark) {
body { color: #e6edf3; background: #0d1117 } th, td { border-color: #30363d } code { background: #21262d }
.bad { border-color: #f85149 }
}
";

/// The strips of all flows as one picture.
pub fn svg(flows: &[&Explored]) -> String {
    let height = flows.len().max(1) * STRIP;
    let mut out = head(height);
    for (nth, flow) in flows.iter().enumerate() {
        strip(&mut out, flow, nth * STRIP);
    }
    out.push_str("</svg>\n");
    out
}

/// The strips with their tables.
pub fn html(flows: &[&Explored]) -> String {
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>lockrig cuts</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>\n",
    );
    out.push_str(PAGE);
    out.push_str("</style>\n<h1>Cuts</h1>\n");
    out.push_str(
        "<p>Each flow was carried out once on the virtual bench. At every point the supply was lost, in every \
         way; then the lock was asked through its keypad which codes open. A column stands in the lane of \
         what its cuts left.</p>\n",
    );
    summary(&mut out, flows);
    for (nth, flow) in flows.iter().enumerate() {
        let _ = write!(
            out,
            "<h2 id=\"flow-{nth}\">{}</h2>\n<p><strong>{}</strong>: {}</p>\n",
            escaped(&flow.flow),
            flow.verdict,
            escaped(&flow.because)
        );
        if flow.points.is_empty() {
            continue;
        }
        out.push_str(&head(STRIP));
        strip(&mut out, flow, 0);
        out.push_str("</svg>\n");
        table(&mut out, flow);
        for failure in &flow.failures {
            let row: Vec<String> = failure
                .cuts
                .iter()
                .map(|(at, mode)| format!("{at} {mode}"))
                .collect();
            let _ = write!(
                out,
                "<p class=\"bad\">{}<br>cut: <code>{}</code>; {} cuts, from {} to {}",
                escaped(&failure.because),
                escaped(&row.join(", then ")),
                failure.count,
                failure.first,
                failure.last
            );
            if let Some(file) = &failure.reproducer {
                let _ = write!(out, "<br><code>lockrig run {}</code>", escaped(file));
            }
            out.push_str("</p>\n");
        }
    }
    out.push_str("</html>\n");
    out
}

/// What came of all flows, and where those are that did not hold.
fn summary(out: &mut String, flows: &[&Explored]) {
    let sum =
        |of: fn(&Depth) -> u64| -> u64 { flows.iter().flat_map(|flow| &flow.depths).map(of).sum() };
    let broken = |flow: &&&Explored| flow.verdict.exit_code() != 0;
    let count = match flows.iter().filter(broken).count() {
        0 => "none broken".to_owned(),
        count => format!("{count} broken"),
    };
    let _ = writeln!(
        out,
        "<p><strong>{} {}, {count}</strong>: {} of {} cuts covered, {} states.</p>",
        flows.len(),
        if flows.len() == 1 { "flow" } else { "flows" },
        sum(|depth| depth.covered),
        sum(|depth| depth.exist),
        sum(|depth| depth.states)
    );
    let broken = flows.iter().enumerate().filter(|(_, flow)| broken(flow));
    for (nth, flow) in broken {
        let _ = writeln!(
            out,
            "<p class=\"bad\"><a href=\"#flow-{nth}\">{}</a>: {}</p>",
            escaped(&flow.flow),
            escaped(&flow.because)
        );
    }
}

fn head(height: usize) -> String {
    let width = LEFT + WIDTH + 10;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <style>\n{STYLE}</style>\n<defs>\
         <pattern id=\"hatch-new\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><path class=\"hatch\" d=\"M0 6 L6 0\"/></pattern>\
         <pattern id=\"hatch-factory\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\"><circle cx=\"2\" cy=\"2\" r=\"1\" class=\"dot\"/></pattern>\
         <pattern id=\"hatch-broken\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\"><path class=\"hatch\" d=\"M0 0 L6 6 M0 6 L6 0\"/></pattern>\
         </defs>\n"
    )
}

/// One or more points that share a column.
struct Column<'e> {
    points: &'e [Mark],
    outcomes: BTreeMap<Outcome, u64>,
}

fn columns(points: &[Mark]) -> Vec<Column<'_>> {
    let each = points.len().div_ceil(WIDTH).max(1);
    let merged = |points: &[Mark]| {
        let mut outcomes = BTreeMap::new();
        for (outcome, count) in points.iter().flat_map(|point| &point.outcomes) {
            *outcomes.entry(*outcome).or_default() += count;
        }
        outcomes
    };
    points
        .chunks(each)
        .map(|points| Column {
            points,
            outcomes: merged(points),
        })
        .collect()
}

fn strip(out: &mut String, flow: &Explored, top: usize) {
    let _ = writeln!(
        out,
        "<g transform=\"translate(0 {top})\"><title>{}</title><text x=\"4\" y=\"16\">{}</text>",
        escaped(&flow.flow),
        escaped(&flow.flow)
    );
    if flow.points.is_empty() {
        let _ = writeln!(
            out,
            "<text class=\"small\" x=\"4\" y=\"34\">{}</text></g>",
            escaped(&flow.because)
        );
        return;
    }
    let columns = columns(&flow.points);
    let wide = WIDTH as f64 / columns.len() as f64;
    for (lane, outcome) in Outcome::ALL.into_iter().enumerate() {
        let word = outcome.word();
        let y = 28 + lane * (LANE + GAP);
        let total: u64 = columns
            .iter()
            .filter_map(|column| column.outcomes.get(&outcome))
            .sum();
        let _ = writeln!(
            out,
            "<text x=\"4\" y=\"{}\">{word}</text><text class=\"small\" x=\"4\" y=\"{}\">{total}</text>\
             <rect class=\"lane\" x=\"{LEFT}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{LANE}\"/>",
            y + 11,
            y + 23
        );
        let mut path = String::new();
        for (nth, column) in columns.iter().enumerate() {
            let Some(&count) = column.outcomes.get(&outcome) else {
                continue;
            };
            let all: u64 = column.outcomes.values().sum();
            let share = count as f64 / all.max(1) as f64;
            // What is rare must still be seen, and a broken cut most of all.
            let high = match outcome {
                Outcome::Broken => LANE as f64,
                _ => (share * LANE as f64).max(3.0),
            };
            let x = LEFT as f64 + nth as f64 * wide;
            let base = (y + LANE) as f64;
            let wide = wide.max(if outcome == Outcome::Broken { 3.0 } else { 0.8 });
            let _ = write!(path, "M{x:.1} {base:.1}h{wide:.1}v-{high:.1}h-{wide:.1}z");
        }
        if !path.is_empty() {
            let _ = writeln!(out, "<path class=\"{word}\" d=\"{path}\"/>");
            if outcome != Outcome::Old {
                let _ = writeln!(out, "<path fill=\"url(#hatch-{word})\" d=\"{path}\"/>");
            }
        }
    }
    phases(out, &columns, wide);
    tips(out, &columns, wide);
    out.push_str("</g>\n");
}

/// Where each phase begins, and its name where there is room.
fn phases(out: &mut String, columns: &[Column<'_>], wide: f64) {
    let bottom = 28 + 4 * (LANE + GAP);
    let mut free_from = 0.0;
    let mut last: Option<&str> = None;
    for (nth, column) in columns.iter().enumerate() {
        let Some(first) = column.points.first() else {
            continue;
        };
        if last == Some(first.phase.as_str()) {
            continue;
        }
        last = Some(&first.phase);
        let x = LEFT as f64 + nth as f64 * wide;
        let _ = writeln!(
            out,
            "<line class=\"edge\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"26\" y2=\"{bottom}\"/>"
        );
        let room = ((LEFT + WIDTH) as f64 - x) / 5.4;
        let name: String = first.phase.chars().take(28).collect();
        if x >= free_from && name.chars().count() as f64 <= room {
            let _ = writeln!(
                out,
                "<text class=\"small\" x=\"{:.1}\" y=\"{}\">{}</text>",
                x + 2.0,
                bottom + 12,
                escaped(&name)
            );
            free_from = x + 8.0 + 5.4 * name.chars().count() as f64;
        }
    }
}

/// What is under the pointer.
fn tips(out: &mut String, columns: &[Column<'_>], wide: f64) {
    let high = 4 * (LANE + GAP);
    for (nth, column) in columns.iter().enumerate() {
        let (Some(first), Some(last)) = (column.points.first(), column.points.last()) else {
            continue;
        };
        let span = match first.at == last.at {
            true => first.at.clone(),
            false => format!("{} to {}", first.at, last.at),
        };
        let counts: Vec<String> = column
            .outcomes
            .iter()
            .map(|(outcome, count)| format!("{count} {}", outcome.word()))
            .collect();
        let x = LEFT as f64 + nth as f64 * wide;
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"28\" width=\"{wide:.1}\" height=\"{high}\" fill=\"transparent\"><title>{span} at {}, {}: {}</title></rect>",
            first.when,
            escaped(&first.phase),
            counts.join(", ")
        );
    }
}

fn table(out: &mut String, flow: &Explored) {
    out.push_str("<table><tr><th>phase<th>points<th>cuts covered / that exist<th>states");
    for outcome in Outcome::ALL {
        let _ = write!(out, "<th>{}", outcome.word());
    }
    let phases = flow.phases.iter();
    let phases = phases.map(|one| {
        let name = one.phase.clone();
        let points = one.points.to_string();
        (
            name,
            points,
            one.covered,
            one.exist,
            one.states,
            &one.outcomes,
        )
    });
    let depths = flow.depths.iter().map(|one| {
        let name = match one.exhaustive {
            true => format!("depth {}, all", one.depth),
            false => format!("depth up to {}, at random", one.depth),
        };
        let points = String::new();
        (
            name,
            points,
            one.covered,
            one.exist,
            one.states,
            &one.outcomes,
        )
    });
    for (name, points, covered, exist, states, outcomes) in phases.chain(depths) {
        let _ = write!(
            out,
            "\n<tr><td>{}<td>{points}<td>{covered} / {exist}<td>{states}",
            escaped(&name)
        );
        for outcome in Outcome::ALL {
            let _ = write!(out, "<td>{}", outcomes.get(&outcome).copied().unwrap_or(0));
        }
    }
    let _ = write!(
        out,
        "</table>\n<p>{} boots; evidence: {}</p>\n",
        flow.boots, flow.evidence
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
