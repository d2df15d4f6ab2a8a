//! `report.html`: a run as a page that stands alone, made from its events.
//!
//! One file without anything from outside; light or dark as the reader's system is; of use without a
//! pointer, without colours and without JavaScript, which only scrolls the time line to the moment that
//! decided the run.

mod campaign;
mod facts;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::timeline::{Axis, Lanes, Pointer, figure};
use super::{Decision, Summary, words};
use crate::event::{Against, Event, Nanos, What};
use crate::verdict::Verdict;

pub use campaign::{Campaign, Entry, campaign};

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// So much shown time is drawn before the moment that decided a run.
const BEFORE: Nanos = Nanos::from_secs(9);
/// And so much after it.
const AFTER: Nanos = Nanos::from_secs(2);
/// So many facts are told that came just before it.
const JUST_BEFORE: usize = 8;

/// The page of a run. `cut` says what is wrong with a trace of which only the beginning could be read.
pub fn run(events: &[Event], summary: &Summary, cut: Option<&str>) -> String {
    let lanes = Lanes::of(events);
    let axis = Axis::new(lanes.from, lanes.to, lanes.busy.iter().copied());
    let title = format!(
        "{} {}: {} with {}",
        words::sign(summary.verdict),
        summary.verdict,
        summary.scenario,
        summary.profile
    );
    let pointer = summary.decision.as_ref().map(|decision| Pointer {
        at: decision.at,
        label: format!(
            "{} {}",
            words::sign(summary.verdict),
            words::moment(decision.at)
        ),
    });
    let body = html! {
        header { (answer(summary, events, cut)) (contents(summary, events)) }
        main {
            @if let (Some(decision), Some(pointer)) = (&summary.decision, &pointer) {
                (moment(summary, decision, pointer, events, &lanes, &axis))
            }
            section #timeline aria-labelledby="timeline-title" {
                h2 #timeline-title { "Time line" }
                (zoom())
                (figure(&lanes, &axis, "Time line of the whole run; scroll with the arrow keys", pointer.as_ref()))
                (legend(&axis))
            }
            (facts::steps(&lanes))
            (facts::measurements(events))
            (facts::oracles(events))
            (facts::console(events))
            (facts::all(events))
            (facts::made_from(events))
        }
    };
    page(&title, summary.verdict, &body)
}

/// A whole document.
fn page(title: &str, verdict: Verdict, body: &Markup) -> String {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                // Browsers ask for an icon; this one needs no file.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body style=(format!("--accent:var(--{})", colour(verdict))) { (body) script { (PreEscaped(SCRIPT)) } }
        }
    };
    document.into_string()
}

/// The colour of a verdict in the style sheet, which is a class there as well.
fn colour(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "good",
        Verdict::Fail | Verdict::Finding | Verdict::Usage => "bad",
        Verdict::KnownFinding | Verdict::Inconclusive | Verdict::Aborted => "doubt",
        Verdict::Broken | Verdict::Bug => "broken",
        Verdict::Skipped => "quiet",
    }
}

fn answer(summary: &Summary, events: &[Event], cut: Option<&str>) -> Markup {
    let seed = events.iter().find_map(|event| match &event.what {
        What::Started { seed, .. } => Some(*seed),
        _ => None,
    });
    let variant = match summary.variant.as_str() {
        "" => "the only one",
        variant => variant,
    };
    html! {
        div.answer.(colour(summary.verdict)) {
            span.sign aria-hidden="true" { (words::sign(summary.verdict)) }
            div {
                h1 { strong { (capital(&summary.verdict.to_string())) } ": " (summary.because) }
                p { (words::meaning(summary.verdict)) " " (tally(summary, events)) }
            }
        }
        @if let Some(Event { what: What::Finished { verdict, .. }, .. }) = events.last()
            && *verdict != summary.verdict {
            p.warning {
                strong { "By its events alone this run is: " (verdict) ". " }
                "snapshot.html beside this page shows what was seen and what was approved."
            }
        }
        @if let Some(because) = &summary.uncalibrated {
            p.warning.large { strong { "Uncalibrated. " } "No measured latencies of this bench were used: " (because) "." }
        }
        @if let Some(because) = &summary.power_cycled {
            p.warning { strong { "The probe was power-cycled before this run. " } (because) "." }
        }
        @if let Some(cut) = cut {
            p.warning { strong { "The trace is not whole. " } (cut) " This page shows what is whole." }
        }
        dl.identity {
            div { dt { "scenario" } dd { (summary.scenario) } }
            div { dt { "product" } dd { (summary.profile) } }
            @if let Some(device) = &summary.device {
                div { dt { "device under test" } dd { (device) } }
            }
            div { dt { "variant" } dd { (variant) } }
            div { dt { "bench" } dd { (summary.bench) } }
            @if let Some(seed) = seed { div { dt { "seed" } dd { (seed) } } }
            div { dt { "bench time" } dd { (words::span(summary.bench_time)) } }
        }
    }
}

/// What the verdict stands on, in numbers.
fn tally(summary: &Summary, events: &[Event]) -> String {
    let decided = |wanted: bool| {
        let is =
            |event: &&Event| matches!(event.what, What::Checked { held, .. } if held == wanted);
        events.iter().filter(is).count()
    };
    let (held, not_held) = (decided(true), decided(false));
    let [sound, exempted, unseen] = &summary.oracles;
    format!(
        "{held} of {} checks held; of the oracles {} held, {} were exempted, {} were not observed.",
        held + not_held,
        sound.len(),
        exempted.len(),
        unseen.len()
    )
}

fn contents(summary: &Summary, events: &[Event]) -> Markup {
    let measured = events
        .iter()
        .any(|event| matches!(event.what, What::Measured { .. }));
    let judged = events
        .iter()
        .any(|event| matches!(event.what, What::Judged { .. }));
    html! {
        nav aria-label="Contents" {
            @if summary.decision.is_some() { a href="#moment" { "The moment" } }
            a href="#timeline" { "Time line" }
            a href="#steps" { "Steps" }
            @if measured { a href="#measurements" { "Measurements" } }
            @if judged { a href="#oracles" { "Oracles" } }
            a href="#console" { "Console" }
            a href="#events" { "All events" }
            a href="#made-from" { "Made from" }
        }
    }
}

/// The moment that decided the run, in words and as a picture of what led to it.
fn moment(
    summary: &Summary,
    decision: &Decision,
    pointer: &Pointer,
    events: &[Event],
    lanes: &Lanes,
    axis: &Axis,
) -> Markup {
    let (from, to) = axis.beside(decision.at, BEFORE, AFTER);
    let near = Axis::new(from, to, lanes.busy.iter().copied());
    let decisive = events.iter().find(|event| event.seq == decision.seq);
    html! {
        section #moment aria-labelledby="moment-title" {
            h2 #moment-title { "The moment that decided: " (words::moment(decision.at)) }
            div.columns {
                div {
                    @if let Some(event) = decisive { (explained(&event.what)) }
                    @if let Some(hint) = &decision.hint { p { strong { "What to try: " } (hint) } }
                    @if decision.steps.is_empty() {
                        p { "It was decided after the last step." }
                    } @else {
                        h3 { "What was being done" }
                        ol.under-way {
                            @for step in &decision.steps { li { (step.doing) " " code { (step.place) } } }
                        }
                    }
                    p { a href=(format!("#e{}", decision.seq)) { "Event " (decision.seq) " among all events" } }
                }
                div {
                    h3 { "What happened just before" }
                    ol.before { (facts::just_before(events, decision, JUST_BEFORE)) }
                }
            }
            (figure(lanes, &near, "Time line around the moment that decided the run", Some(pointer)))
            @if summary.verdict == Verdict::Broken {
                p { "A bench that is broken says nothing about the lock." }
            }
        }
    }
}

/// What was expected and what was seen.
fn explained(what: &What) -> Markup {
    match what {
        What::Checked { wanted, got, .. } => html! {
            dl.contrast {
                div { dt { "expected" } dd { (wanted) } }
                div.bad { dt { "seen" } dd { (got) } }
            }
        },
        What::Measured {
            quantity,
            value,
            unit,
            uncertainty,
            from,
            to,
            stands,
            ..
        } => {
            let margin = facts::margin(*value, *from, *to, unit).unwrap_or_default();
            let doubt = match stands {
                Against::Straddles => {
                    "The uncertainty of the measurement reaches over the limit, so neither is shown: \
                     that the limit was kept, or that it was not."
                }
                _ => "The bench was to keep this limit, so the run says nothing about the lock.",
            };
            html! {
                dl.contrast {
                    div { dt { "measured" } dd { (quantity) ": " (words::with_uncertainty(*value, *uncertainty, unit)) } }
                    @if let Some(from) = from { div { dt { "at least" } dd { (words::quantity(*from, unit)) } } }
                    @if let Some(to) = to { div { dt { "at most" } dd { (words::quantity(*to, unit)) } } }
                    div { dt { "margin" } dd { (margin) } }
                }
                p { (doubt) }
            }
        }
        What::Judged {
            oracle,
            rule,
            promised,
            evidence,
            because,
            ..
        } => html! {
            dl.contrast {
                div { dt { "must hold" } dd { (oracle) ": " (rule) } }
                div.bad { dt { "seen" } dd { (because) } }
                div { dt { "evidence" } dd { (evidence) } }
            }
            p { @if *promised { "The product's manual promises it." }
                @else { "No manual promises it; it is unsafe all the same." } }
        },
        What::Trouble {
            device, doing, saw, ..
        } => html! {
            dl.contrast {
                div { dt { "instrument" } dd { (device) } }
                div { dt { "was" } dd { (doing) } }
                div.bad { dt { "seen" } dd { (saw) } }
            }
        },
        other => html! { p { (words::of(other)) } },
    }
}

/// How much of the time line is in view; the style sheet does the rest.
fn zoom() -> Markup {
    let choices = [
        ("whole", "whole run", false),
        ("far", "far", false),
        ("near", "near", true),
        ("close", "close", false),
        ("closest", "closest", false),
    ];
    html! {
        fieldset.zoom {
            legend { "Scale" }
            @for (value, name, checked) in choices {
                label { input type="radio" name="zoom" value=(value) checked[checked]; (name) }
            }
        }
    }
}

fn legend(axis: &Axis) -> Markup {
    html! {
        p.legend {
            span.swatch.ordered {} "told to close by the rig "
            span.swatch.seen {} "seen on a line "
            span.swatch.set {} "supply as it was set "
            span.swatch.read {} "as it was read "
            @if axis.breaks().next().is_some() { span.swatch.gap {} "time in which nothing happened, shortened " }
        }
    }
}

/// A sentence's first letter.
fn capital(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
