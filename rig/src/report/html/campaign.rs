//! `index.html`: many runs on a page, with what failed first.

use maud::{Markup, html};

use super::super::{Summary, words};
use super::{colour, page};
use crate::verdict::Verdict;

/// A campaign so far.
pub struct Campaign<'a> {
    /// The seed it began with.
    pub seed: u64,
    /// How many runs the plan has.
    pub planned: usize,
    /// False while runs are under way, and for ever where the command was killed.
    pub finished: bool,
    /// The runs that are over, in the order of the plan.
    pub runs: Vec<Entry<'a>>,
}

/// A run of a campaign.
pub struct Entry<'a> {
    /// Its name, which is its folder's.
    pub id: &'a str,
    /// What came of it.
    pub summary: &'a Summary,
}

/// From the gravest to what needs no attention.
const GRAVEST_FIRST: [Verdict; 10] = [
    Verdict::Bug,
    Verdict::Broken,
    Verdict::Fail,
    Verdict::Finding,
    Verdict::Usage,
    Verdict::Aborted,
    Verdict::Inconclusive,
    Verdict::KnownFinding,
    Verdict::Pass,
    Verdict::Skipped,
];

/// The page of a campaign.
pub fn campaign(campaign: &Campaign<'_>) -> String {
    let counts: Vec<(Verdict, usize)> = GRAVEST_FIRST
        .into_iter()
        .map(|verdict| (verdict, count(campaign, verdict)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let verdict = counts
        .first()
        .map_or(Verdict::Skipped, |(gravest, _)| *gravest);
    let in_words: Vec<String> = counts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    let headline = match in_words.is_empty() {
        true => "no run is over yet".to_owned(),
        false => in_words.join(", "),
    };
    let attention: Vec<&Entry<'_>> = GRAVEST_FIRST[..8]
        .iter()
        .flat_map(|verdict| of(campaign, *verdict))
        .collect();
    // As the terminal counts: what was skipped is no run.
    let ran = campaign.runs.len() - count(campaign, Verdict::Skipped);
    let missing = campaign.planned.saturating_sub(campaign.runs.len());
    let body = html! {
        header {
            div.answer.(colour(verdict)) {
                span.sign aria-hidden="true" { (words::sign(verdict)) }
                div {
                    h1 { strong { (ran) @if ran == 1 { " run: " } @else { " runs: " } } (headline) }
                    p {
                        "Seed " (campaign.seed) "."
                        @if missing > 0 {
                            " " (missing) " of " (campaign.planned)
                            @if campaign.finished { " planned runs never began." } @else { " planned runs are not over." }
                        }
                    }
                }
            }
        }
        main {
            @if let Some((bench, because)) = campaign.runs.iter().find_map(uncalibrated) {
                p.warning.large { strong { "Uncalibrated. " } "No measured latencies of " (bench) " were used: " (because) "." }
            }
            @if let Some((bench, because)) = campaign.runs.iter().find_map(power_cycled) {
                p.warning { strong { "The probe of " (bench) " was power-cycled. " } (because) "." }
            }
            @if !attention.is_empty() {
                section #attention aria-labelledby="attention-title" {
                    h2 #attention-title { "What needs attention" }
                    ul.attention { @for entry in attention { (attend(entry)) } }
                }
            }
            section #matrix aria-labelledby="matrix-title" {
                h2 #matrix-title { "Scenarios and products" }
                (matrix(campaign))
                p.legend { @for (verdict, _) in &counts {
                    span.(colour(*verdict)) { (words::sign(*verdict)) " " (verdict) } " "
                } }
            }
            section #runs aria-labelledby="runs-title" {
                h2 #runs-title { "All runs" }
                details {
                    summary { (campaign.runs.len()) " runs in the order of the plan" }
                    div.scroll role="region" tabindex="0" aria-labelledby="runs-title" { (all(campaign)) }
                }
            }
        }
    };
    let title = format!("{} lockrig: {headline}", words::sign(verdict));
    page(&title, verdict, &body)
}

fn uncalibrated<'e>(entry: &'e Entry<'_>) -> Option<(&'e str, &'e str)> {
    let summary = entry.summary;
    Some((&summary.bench, summary.uncalibrated.as_deref()?))
}

fn power_cycled<'e>(entry: &'e Entry<'_>) -> Option<(&'e str, &'e str)> {
    let summary = entry.summary;
    Some((&summary.bench, summary.power_cycled.as_deref()?))
}

fn of<'c, 'a>(
    campaign: &'c Campaign<'a>,
    verdict: Verdict,
) -> impl Iterator<Item = &'c Entry<'a>> + use<'c, 'a> {
    let runs = campaign.runs.iter();
    runs.filter(move |entry| entry.summary.verdict == verdict)
}

fn count(campaign: &Campaign<'_>, verdict: Verdict) -> usize {
    of(campaign, verdict).count()
}

fn attend(entry: &Entry<'_>) -> Markup {
    let Summary {
        verdict,
        scenario,
        profile,
        bench,
        variant,
        because,
        decision,
        ..
    } = entry.summary;
    html! {
        li.(colour(*verdict)) {
            strong { (words::sign(*verdict)) " " (verdict) } " "
            a href=(page_of(entry.id)) { (scenario) @if !variant.is_empty() { " [" (variant) "]" } }
            " with " (profile) " on " (bench)
            p { (because) }
            @if let Some(step) = decision.as_ref().and_then(|decision| decision.steps.first()) {
                p { "in " code { (step.place) } ": " (step.doing) }
            }
        }
    }
}

/// Scenarios downwards, products on their benches to the right; in each cell a sign for each variant.
fn matrix(campaign: &Campaign<'_>) -> Markup {
    let mut scenarios: Vec<&str> = Vec::new();
    let mut products: Vec<(&str, &str)> = Vec::new();
    for entry in &campaign.runs {
        let Summary {
            scenario,
            profile,
            bench,
            ..
        } = entry.summary;
        if !scenarios.contains(&scenario.as_str()) {
            scenarios.push(scenario);
        }
        if !products.contains(&(profile, bench)) {
            products.push((profile, bench));
        }
    }
    html! {
        div.scroll role="region" tabindex="0" aria-labelledby="matrix-title" {
            table.matrix {
                thead { tr { th scope="col" { "scenario" } @for (profile, bench) in &products {
                    th scope="col" { (profile) small { (bench) } }
                } } }
                tbody { @for scenario in scenarios { tr {
                    th scope="row" { (scenario) }
                    @for (profile, bench) in &products {
                        td { @for entry in campaign.runs.iter().filter(|entry| {
                            let run = entry.summary;
                            run.scenario == scenario && run.profile == *profile && run.bench == *bench
                        }) { (cell(entry)) } }
                    }
                } } }
            }
        }
    }
}

fn cell(entry: &Entry<'_>) -> Markup {
    let Summary {
        verdict,
        variant,
        because,
        ..
    } = entry.summary;
    let told = match variant.as_str() {
        "" => format!("{verdict}: {because}"),
        variant => format!("{variant}: {verdict}: {because}"),
    };
    match verdict {
        Verdict::Skipped => html! {
            span.run.quiet role="img" title=(told) aria-label=(told) { (words::sign(*verdict)) }
        },
        _ => html! {
            a.run.(colour(*verdict)) href=(page_of(entry.id)) title=(told) aria-label=(told) {
                (words::sign(*verdict))
            }
        },
    }
}

fn all(campaign: &Campaign<'_>) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "verdict" } th scope="col" { "scenario" } th scope="col" { "variant" }
                th scope="col" { "product" } th scope="col" { "bench time" } th scope="col" { "because" }
            } }
            tbody { @for entry in &campaign.runs {
                @let run = entry.summary;
                tr {
                    td { span.(colour(run.verdict)) { (words::sign(run.verdict)) " " (run.verdict) } }
                    td { @if run.verdict == Verdict::Skipped { (run.scenario) }
                        @else { a href=(page_of(entry.id)) { (run.scenario) } } }
                    td { (run.variant) }
                    td { (run.profile) small { " on " (run.bench) } }
                    td.number { (words::span(run.bench_time)) }
                    td { (run.because) }
                }
            } }
        }
    }
}

/// The address of a run's page from that of the campaign's. Nothing in a name means anything in an
/// address but the percent and hash signs, which no name has; `=`, `@` and `+` stand for themselves.
fn page_of(id: &str) -> String {
    format!("{id}/report.html")
}
