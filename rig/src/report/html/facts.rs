//! The tables of a run's page.

use maud::{Markup, html};

use super::super::timeline::Lanes;
use super::super::{Decision, words};
use crate::event::{Event, Nanos, What};

/// Edges of one contact that follow each other faster than this are one line in a table.
const BOUNCE: Nanos = Nanos::from_millis(5);

/// What was done and what was expected of it.
pub fn steps(lanes: &Lanes) -> Markup {
    html! {
        section #steps aria-labelledby="steps-title" {
            h2 #steps-title { "Steps and checks" }
            div.scroll role="region" tabindex="0" aria-labelledby="steps-title" {
                table {
                    thead { tr { th scope="col" { "at" } th scope="col" { "took" } th scope="col" { "what" } th scope="col" { "where" } } }
                    tbody {
                        @for row in rows(lanes) {
                            @match row {
                                Row::Step(step) => tr {
                                    td.number { (words::moment(step.from)) }
                                    td.number { @match step.to {
                                        Some(to) => (words::span(to.since(step.from))),
                                        None => "cut short",
                                    } }
                                    td style=(format!("--depth:{}", step.depth)) { (step.doing) }
                                    td { code { (step.place) } }
                                },
                                Row::Check(check) => tr.check.unheld[!check.held] {
                                    td.number { (words::moment(check.at)) }
                                    td {}
                                    td colspan="2" {
                                        @if check.held { span.good { "✓ held: " } } @else { span.bad { "✗ not held: " } }
                                        (check.words)
                                    }
                                },
                            }
                        }
                    }
                }
            }
        }
    }
}

enum Row<'a> {
    Step(&'a super::super::timeline::Step),
    Check(&'a super::super::timeline::Check),
}

/// Steps with the checks that were decided in them.
fn rows(lanes: &Lanes) -> Vec<Row<'_>> {
    let mut rows: Vec<(Nanos, Row<'_>)> = Vec::new();
    rows.extend(lanes.steps.iter().map(|step| (step.from, Row::Step(step))));
    rows.extend(
        lanes
            .checks
            .iter()
            .map(|check| (check.at, Row::Check(check))),
    );
    // A check at the moment at which the next step begins belongs to the step before it.
    rows.sort_by_key(|(at, row)| (*at, matches!(row, Row::Step(_))));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Everything that was measured.
pub fn measurements(events: &[Event]) -> Markup {
    let measured: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event.what, What::Measured { .. }))
        .collect();
    if measured.is_empty() {
        return html! {};
    }
    html! {
        section #measurements aria-labelledby="measurements-title" {
            h2 #measurements-title { "Measurements" }
            div.scroll role="region" tabindex="0" aria-labelledby="measurements-title" {
                table {
                    thead { tr {
                        th scope="col" { "at" } th scope="col" { "quantity" } th scope="col" { "asked" }
                        th scope="col" { "value" } th scope="col" { "error" }
                        th scope="col" { "uncertainty (k = 2)" } th scope="col" { "lower limit" }
                        th scope="col" { "upper limit" } th scope="col" { "margin" } th scope="col" { "judgement" }
                    } }
                    tbody { @for event in measured { (measurement(event)) } }
                }
            }
        }
    }
}

fn measurement(event: &Event) -> Markup {
    let What::Measured {
        quantity,
        asked,
        value,
        unit,
        uncertainty,
        from,
        to,
        stands,
    } = &event.what
    else {
        return html! {};
    };
    let limit = |limit: &Option<u64>| match limit {
        Some(limit) => words::quantity(*limit, unit),
        None => "–".to_owned(),
    };
    let (sign, word) = words::stands(*stands);
    let class = match sign {
        "✓" => "good",
        "–" => "quiet",
        "≈" => "doubt",
        _ => "bad",
    };
    html! {
        tr {
            td.number { (words::moment(event.at)) }
            th scope="row" { (quantity) }
            td.number { (limit(asked)) }
            td.number { (words::quantity(*value, unit)) }
            td.number { (asked.map_or("–".to_owned(), |asked| words::error(*value, asked, unit))) }
            td.number { "± " (words::quantity(*uncertainty, unit)) }
            td.number { (limit(from)) }
            td.number { (limit(to)) }
            td.number { (margin(*value, *from, *to, unit).unwrap_or_else(|| "–".to_owned())) }
            td { span class=(class) { (sign) " " (word) } }
        }
    }
}

/// How far a value lies inside its nearest limit; with a minus sign, outside.
pub fn margin(value: u64, from: Option<u64>, to: Option<u64>, unit: &str) -> Option<String> {
    let inside = |limit: u64, value: u64, is_lower: bool| {
        let span = i128::from(value) - i128::from(limit);
        if is_lower { span } else { -span }
    };
    let margins = [
        from.map(|from| inside(from, value, true)),
        to.map(|to| inside(to, value, false)),
    ];
    let least = margins.into_iter().flatten().min()?;
    let sign = if least < 0 { "−" } else { "+" };
    let span = u64::try_from(least.unsigned_abs()).unwrap_or(u64::MAX);
    Some(format!("{sign}{}", words::quantity(span, unit)))
}

/// The oracles: what must hold in every run.
pub fn oracles(events: &[Event]) -> Markup {
    let judged: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event.what, What::Judged { .. }))
        .collect();
    if judged.is_empty() {
        return html! {};
    }
    html! {
        section #oracles aria-labelledby="oracles-title" {
            h2 #oracles-title { "Oracles: what must hold in every run" }
            div.scroll role="region" tabindex="0" aria-labelledby="oracles-title" {
                table {
                    thead { tr {
                        th scope="col" { "" } th scope="col" { "rule" } th scope="col" { "judgement" }
                        th scope="col" { "evidence" } th scope="col" { "because" }
                    } }
                    tbody { @for event in judged { (judgement(event)) } }
                }
            }
        }
    }
}

fn judgement(event: &Event) -> Markup {
    let What::Judged {
        oracle,
        rule,
        judgement,
        promised,
        evidence,
        because,
    } = &event.what
    else {
        return html! {};
    };
    let (sign, word) = words::judgement(*judgement);
    let class = match sign {
        "✓" => "good",
        "–" => "quiet",
        "◐" => "doubt",
        _ => "bad",
    };
    html! {
        tr {
            th scope="row" { (oracle) }
            td { (rule) @if *promised { small { " – the manual promises it" } } }
            td { span class=(class) { (sign) " " (word) } }
            td { @if evidence.is_empty() { "none" } @else { (evidence) } }
            td { (because) }
        }
    }
}

/// What the board printed.
pub fn console(events: &[Event]) -> Markup {
    let printed: Vec<(Nanos, &str)> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Printed { text } => Some((event.at, text.as_str())),
            _ => None,
        })
        .collect();
    html! {
        section #console aria-labelledby="console-title" {
            h2 #console-title { "Console" }
            @if printed.is_empty() { p { "The board printed nothing." } }
            @else {
                div.scroll.bounded role="region" tabindex="0" aria-labelledby="console-title" {
                    table.console { tbody {
                        @for (at, text) in printed { tr { td.number { (words::moment(at)) } td { code { (text) } } } }
                    } }
                }
            }
        }
    }
}

/// Every event; a contact's bounces are one line.
pub fn all(events: &[Event]) -> Markup {
    html! {
        section #events aria-labelledby="events-title" {
            h2 #events-title { "All events" }
            details {
                summary { (events.len()) " events of the trace" }
                div.scroll role="region" tabindex="0" aria-labelledby="events-title" {
                    table.all {
                        thead { tr { th scope="col" { "event" } th scope="col" { "at" } th scope="col" { "what" } } }
                        tbody { @for line in folded(events) {
                            tr id=(format!("e{}", line.first.seq)) {
                                td.number { (line.first.seq) }
                                td.number { (exactly(line.first.at)) }
                                td { (line.words()) }
                            }
                        } }
                    }
                }
            }
        }
    }
}

/// Nanoseconds are kept: this is the evidence.
fn exactly(at: Nanos) -> String {
    format!("{}.{:09} s", at.0 / 1_000_000_000, at.0 % 1_000_000_000)
}

/// One fact, or a contact that changed and then bounced.
struct Line<'a> {
    first: &'a Event,
    last: &'a Event,
    more: usize,
}

impl Line<'_> {
    fn words(&self) -> String {
        match self.more {
            0 => words::of(&self.first.what),
            more => format!(
                "{} after {more} bounces in {}",
                words::of(&self.last.what),
                words::span(self.last.at.since(self.first.at))
            ),
        }
    }
}

/// Events with a contact's bounces taken together.
fn folded(events: &[Event]) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for event in events {
        if let (Some(line), What::LineChanged { line: changed, .. }) =
            (lines.last_mut(), &event.what)
            && let What::LineChanged { line: before, .. } = &line.last.what
            && before == changed
            && event.at.since(line.last.at) < BOUNCE
        {
            line.last = event;
            line.more += 1;
            continue;
        }
        lines.push(Line {
            first: event,
            last: event,
            more: 0,
        });
    }
    lines
}

/// What came before the decisive event, the latest last, each with how long before it was.
pub fn just_before(events: &[Event], decision: &Decision, count: usize) -> Markup {
    let until = events
        .iter()
        .position(|event| event.seq == decision.seq)
        .unwrap_or(events.len());
    let lines = folded(&events[..until]);
    let telling: Vec<&Line<'_>> = lines
        .iter()
        .filter(|line| {
            !matches!(
                line.first.what,
                What::SupplyRead { .. } | What::StepFinished { .. }
            )
        })
        .collect();
    html! {
        @for line in &telling[telling.len().saturating_sub(count)..] {
            li { span.number { "−" (words::span(decision.at.since(line.last.at))) } " " (line.words()) }
        }
    }
}

/// What the run was made from.
pub fn made_from(events: &[Event]) -> Markup {
    html! {
        section #made-from aria-labelledby="made-from-title" {
            h2 #made-from-title { "Made from" }
            dl.hashes {
                @for event in events.iter().take(2) {
                    @match &event.what {
                        What::Started { format, seed, files, .. } => {
                            div { dt { "trace" } dd { "format " (format) ", seed " (seed) } }
                            @for file in files {
                                div { dt { (file.role) } dd { "SHA-256 " code { (file.sha256) } } }
                            }
                        }
                        What::Flashed { image, sha256, personality, chip, bytes, verified, already } => {
                            div { dt { "image" } dd { (image) ", SHA-256 " code { (sha256) } } }
                            @if let Some(personality) = personality {
                                div { dt { "personality" } dd { "SHA-256 " code { (personality) } } }
                            }
                            div { dt { "flash" } dd {
                                (bytes) " bytes "
                                @if *already { "found on " } @else { "written to " }
                                (chip) ", "
                                @if *verified { "read back and compared" } @else { "not read back" }
                            } }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(5, Some(3), None, Some("+2 mA"))]
    #[case(5, None, Some(3), Some("−2 mA"))]
    #[case(5, Some(4), Some(20), Some("+1 mA"))]
    #[case(19, Some(4), Some(20), Some("+1 mA"))]
    #[case(5, Some(5), None, Some("+0 mA"))]
    #[case(5, None, None, None)]
    fn the_margin_is_to_the_nearest_limit(
        #[case] value: u64,
        #[case] from: Option<u64>,
        #[case] to: Option<u64>,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(margin(value, from, to, "mA").as_deref(), expected);
    }
}
