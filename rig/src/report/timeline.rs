//! The time line of a run as a picture: HTML and SVG that stretch to any width.
//!
//! [`Lanes`] is what there is to see, [`Axis`] where each moment lies, and [`figure`] draws the one on
//! the other. Two runs can be compared by drawing their lanes on one axis.

mod axis;
mod lanes;

use std::fmt::Write;

use maud::{Markup, html};

use super::words;
use crate::event::Nanos;

pub use axis::Axis;
pub use lanes::{Check, Content, Lane, Lanes, Mark, Points, Series, Span, Step};

/// A moment to be pointed at.
#[derive(Clone, Debug)]
pub struct Pointer {
    /// When.
    pub at: Nanos,
    /// What is written beside it.
    pub label: String,
}

/// Spans between two labels of the axis, and the class that the style sheet shows each with.
const TICKS: [(Nanos, &str); 3] = [
    (Nanos::from_millis(500), "tick fine"),
    (Nanos::from_secs(2), "tick"),
    (Nanos::from_secs(10), "tick coarse"),
];

/// Labels that fit on an axis of which all is in view.
const OVERALL: usize = 10;

/// Draws lanes on an axis. `name` tells readers and screen readers whose they are, `pointer` is drawn
/// across all lanes.
pub fn figure(lanes: &Lanes, axis: &Axis, name: &str, pointer: Option<&Pointer>) -> Markup {
    let seconds = axis.width().0 as f64 / 1e9;
    let shown = lanes
        .steps
        .iter()
        .filter(|step| is_shown(step, lanes, axis));
    let depths = shown.map(|step| step.depth + 1).max();
    let marks: Vec<(Nanos, &str, &str)> = lanes
        .checks
        .iter()
        .map(|check| match check.held {
            true => (check.at, "held", "✓"),
            false => (check.at, "unheld", "✗"),
        })
        .collect();
    html! {
        div.timeline role="region" tabindex="0" aria-label=(name) {
            div.canvas style=(format!("--seconds:{seconds:.3}")) {
                (ruler(lanes, axis, pointer))
                @for depth in 0..depths.unwrap_or(0) {
                    (steps(lanes, axis, depth))
                }
                @if within(&lanes.phases, axis).next().is_some() {
                    (row("phases", &phases(lanes), html! {
                        @for mark in within(&lanes.phases, axis) {
                            span.flag style=(left(axis, mark.at)) title=(words::moment(mark.at)) { (mark.label) }
                        }
                    }))
                }
                (row("checks", &checks(lanes), html! {
                    @for (at, class, sign) in marks {
                        @if is_within(axis, at) { span.check.(class) style=(left(axis, at)) { (sign) } }
                    }
                }))
                @for lane in &lanes.lanes { (one(lane, lanes, axis)) }
                (across(lanes, axis, pointer))
            }
        }
    }
}

/// A lane: its name, and what is drawn in it. `told` is the picture in words.
fn row(name: &str, told: &str, drawn: Markup) -> Markup {
    html! {
        div.lane data-lane=(name) {
            div.name { (name) }
            div.plot role="img" aria-label=(format!("{name}: {told}")) { (drawn) }
        }
    }
}

fn one(lane: &Lane, lanes: &Lanes, axis: &Axis) -> Markup {
    match &lane.content {
        Content::Spans { ordered, seen } => spans(lane, ordered, seen, axis),
        Content::Values { unit, series } => values(lane, unit, series, lanes, axis),
        Content::Marks(marks) => {
            let told = match marks.len() {
                0 => "nothing in this run".to_owned(),
                count => format!("{count} in this run"),
            };
            let is_text = lane.name == "console";
            row(
                &lane.name,
                &told,
                html! {
                    @if marks.is_empty() { span.none { "nothing in this run" } }
                    @for mark in within(marks, axis) {
                        span.mark.text[is_text] style=(left(axis, mark.at))
                            title=(format!("{}: {}", words::moment(mark.at), mark.label)) {
                            span { (mark.label) }
                        }
                    }
                },
            )
        }
    }
}

fn spans(lane: &Lane, ordered: &[Span], seen: &[Span], axis: &Axis) -> Markup {
    let class = lane.name.replace(' ', "-");
    let times = |count: usize| match count {
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    };
    let all = Nanos(seen.iter().map(|span| span.to.since(span.from).0).sum());
    let told = match (ordered.len(), seen.len()) {
        (0, 0) => "no change in this run".to_owned(),
        (0, seen) => format!("on {}, {} in all", times(seen), words::span(all)),
        (ordered, 0) => format!("ordered {}", times(ordered)),
        (ordered, seen) => format!(
            "ordered {}, seen {}, {} in all",
            times(ordered),
            times(seen),
            words::span(all)
        ),
    };
    let title = |what: &str, span: &Span| {
        let mut words = format!(
            "{what}{} to {}, {}",
            words::moment(span.from),
            words::moment(span.to),
            words::span(span.to.since(span.from))
        );
        if span.bounces > 0 {
            let _ = write!(words, ", bounced {}", times(span.bounces));
        }
        words
    };
    row(
        &lane.name,
        &told,
        html! {
            @if ordered.is_empty() && seen.is_empty() { span.none { "no change in this run" } }
            @else {
                svg.(class) viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true" {
                    @for span in ordered.iter().filter(|span| overlaps(axis, span)) {
                        rect.ordered x=(at(axis, span.from)) y="1" height="3" width=(wide(axis, span)) {
                            title { (title(&format!("{} ordered closed ", span.label), span)) }
                        }
                    }
                    @for span in seen.iter().filter(|span| overlaps(axis, span)) {
                        rect.seen x=(at(axis, span.from)) y="5" height="14" width=(wide(axis, span)) {
                            title { (title("", span)) }
                        }
                    }
                }
                @for span in ordered.iter().filter(|span| lane.name == "keys" && overlaps(axis, span)) {
                    span.key style=(left(axis, span.from)) { (key(&span.label)) }
                }
            }
        },
    )
}

/// What is written on a key: a digit of a code is not told.
fn key(label: &str) -> &str {
    label.strip_prefix("key ").unwrap_or("•")
}

/// Orders of magnitude are drawn alike for a current: a sleeping lock draws microamperes, its bolt
/// hundreds of milliamperes.
fn values(lane: &Lane, unit: &str, series: &[Series], lanes: &Lanes, axis: &Axis) -> Markup {
    let known = || series.iter().flat_map(|one| &one.points);
    let highest = known().filter_map(|(_, value)| *value).max();
    let lowest = known().filter_map(|(_, value)| *value).min();
    let is_logarithmic = unit == "uA";
    // Linear scales include zero.
    let (bottom, top) = (
        lowest.unwrap_or(0).min(0) as f64,
        highest.unwrap_or(0).max(0) as f64,
    );
    let scale = |value: i64| -> f64 {
        let share = if is_logarithmic {
            (value.max(10) as f64 / 10.0).log10() / 5.0
        } else {
            (value as f64 - bottom) / ((top - bottom).max(1.0) * 1.1)
        };
        38.0 - 36.0 * share.clamp(0.0, 1.0)
    };
    let told = match (lowest, highest) {
        (Some(lowest), Some(highest)) => format!(
            "{} to {}",
            words::signed(lowest, unit),
            words::signed(highest, unit)
        ),
        _ => "not read in this run".to_owned(),
    };
    let name = html! {
        (lane.name)
        @if let Some(highest) = highest {
            small { @if is_logarithmic { "10 µA – 1 A, log" } @else { (words::signed(lowest.unwrap_or(0).min(0), unit)) " – " (words::signed(highest.max(0), unit)) } }
        }
    };
    html! {
        div.lane.tall data-lane=(lane.name) {
            div.name { (name) }
            div.plot role="img" aria-label=(format!("{}: {told}", lane.name)) {
                @if highest.is_none() { span.none { (told) } }
                @else {
                    svg.(lane.name) viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true" {
                        @for one in series {
                            path.(one.name) d=(steps_of(one, lanes, axis, scale)) {}
                        }
                    }
                }
            }
        }
    }
}

/// A line that holds each value until the next, and is interrupted where none is known.
fn steps_of(series: &Series, lanes: &Lanes, axis: &Axis, scale: impl Fn(i64) -> f64) -> String {
    let mut path = String::new();
    let mut pen_down = false;
    for (index, (from, value)) in series.points.iter().enumerate() {
        let until = series.points.get(index + 1).map_or(lanes.to, |next| next.0);
        let Some(value) = value else {
            pen_down &= until == *from;
            continue;
        };
        if until < axis.from() || *from > axis.to() || until == *from {
            continue;
        }
        let (x, y, end) = (at(axis, *from), scale(*value), at(axis, until));
        let begin = if pen_down { 'L' } else { 'M' };
        let _ = write!(path, "{begin}{x} {y:.1}H{end}");
        pen_down = true;
    }
    path
}

fn steps(lanes: &Lanes, axis: &Axis, depth: usize) -> Markup {
    let steps: Vec<&Step> = lanes
        .steps
        .iter()
        .filter(|step| step.depth == depth)
        .collect();
    let name = match depth {
        0 => "steps",
        1 => "inside",
        _ => "further in",
    };
    let told = format!("{} steps, told in the table below", steps.len());
    row(
        name,
        &told,
        html! {
            @for step in steps {
                @let to = step.to.unwrap_or(lanes.to);
                @if is_shown(step, lanes, axis) {
                    span.step.cut[step.to.is_none()]
                        style=(format!("{};width:{:.4}%", left(axis, step.from), axis.percent(to) - axis.percent(step.from)))
                        title=(format!("{} to {}: {} ({})", words::moment(step.from), words::moment(to), step.doing, step.place)) {
                        span { (step.doing) }
                    }
                }
            }
        },
    )
}

/// Labels of the axis, and the breaks.
fn ruler(lanes: &Lanes, axis: &Axis, pointer: Option<&Pointer>) -> Markup {
    let told = format!(
        "bench time from {} to {}",
        words::moment(lanes.from),
        words::moment(lanes.to)
    );
    html! {
        div.lane.ruler {
            div.name { "bench time" }
            div.plot role="img" aria-label=(told) {
                @for (every, class) in TICKS {
                    @for tick in axis.ticks(every) {
                        // What a coarser row of labels has is not written twice.
                        @if !TICKS.iter().any(|(coarse, _)| *coarse > every && tick.0.is_multiple_of(coarse.0)) {
                            span class=(class) style=(left(axis, tick)) { (label(tick)) }
                        }
                    }
                }
                @for tick in overall(axis) {
                    span.tick.overall style=(left(axis, tick)) { (label(tick)) }
                }
                @for (from, to) in axis.breaks() {
                    span.gap style=(left(axis, Nanos(from.0.midpoint(to.0)))) { (words::span(to.since(from))) }
                }
                @if let Some(pointer) = pointer {
                    span.pointer.late[axis.percent(pointer.at) > 50.0] style=(left(axis, pointer.at)) { (pointer.label) }
                }
            }
        }
    }
}

/// The finest row of labels that fits.
fn overall(axis: &Axis) -> impl Iterator<Item = Nanos> {
    let rows = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 3_600].map(Nanos::from_secs);
    let shown = axis.width().0 / OVERALL as u64;
    let fits = rows.into_iter().find(|every| every.0 >= shown);
    axis.ticks(fits.unwrap_or(Nanos::from_secs(36_000)))
}

fn label(tick: Nanos) -> String {
    match tick.as_millis() {
        millis if millis % 1_000 == 0 => format!("{} s", millis / 1_000),
        millis => format!("{}.{}", millis / 1_000, millis % 1_000 / 100),
    }
}

/// What is drawn over all lanes.
fn across(lanes: &Lanes, axis: &Axis, pointer: Option<&Pointer>) -> Markup {
    html! {
        div.across aria-hidden="true" {
            @for (from, to) in axis.breaks() {
                span.break style=(format!("{};width:{:.4}%", left(axis, from), axis.percent(to) - axis.percent(from))) {}
            }
            @for cut in within(&lanes.cuts, axis) {
                span.cut style=(left(axis, cut.at)) title=(cut.label) {}
            }
            @if let Some(pointer) = pointer {
                span.pointer style=(left(axis, pointer.at)) {}
            }
        }
    }
}

fn phases(lanes: &Lanes) -> String {
    let names: Vec<&str> = lanes.phases.iter().map(|mark| &*mark.label).collect();
    names.join(", ")
}

fn checks(lanes: &Lanes) -> String {
    let held = lanes.checks.iter().filter(|check| check.held).count();
    format!("{held} of {} held", lanes.checks.len())
}

fn is_within(axis: &Axis, at: Nanos) -> bool {
    (axis.from()..=axis.to()).contains(&at)
}

fn within<'a>(marks: &'a [Mark], axis: &Axis) -> impl Iterator<Item = &'a Mark> {
    marks.iter().filter(|mark| is_within(axis, mark.at))
}

fn is_shown(step: &Step, lanes: &Lanes, axis: &Axis) -> bool {
    step.from <= axis.to() && step.to.unwrap_or(lanes.to) >= axis.from()
}

fn overlaps(axis: &Axis, span: &Span) -> bool {
    span.from <= axis.to() && span.to >= axis.from()
}

/// Where a moment lies in a picture that is a hundred wide.
fn at(axis: &Axis, moment: Nanos) -> String {
    format!("{:.4}", axis.percent(moment))
}

fn wide(axis: &Axis, span: &Span) -> String {
    format!("{:.4}", axis.percent(span.to) - axis.percent(span.from))
}

fn left(axis: &Axis, moment: Nanos) -> String {
    format!("left:{:.4}%", axis.percent(moment))
}
