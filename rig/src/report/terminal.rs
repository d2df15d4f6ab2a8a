//! What a person sees in the terminal: a block for each run that needs attention, then a summary.
//!
//! Colour repeats what the words say and is never the only sign.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::Summary;
use super::difference::Told;
use crate::event::Nanos;
use crate::verdict::Verdict;

fn style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Pass => AnsiColor::Green,
        Verdict::KnownFinding | Verdict::Inconclusive | Verdict::Aborted => AnsiColor::Yellow,
        Verdict::Skipped => return Style::new().dimmed(),
        Verdict::Fail | Verdict::Finding | Verdict::Usage => AnsiColor::Red,
        Verdict::Broken | Verdict::Bug => AnsiColor::Magenta,
    };
    colour.on_default().bold()
}

/// One line for a run.
///
/// # Errors
/// Only those of `out`.
pub fn line(out: &mut dyn Write, run: &Summary) -> io::Result<()> {
    let style = style(run.verdict);
    let variant = match run.variant.as_str() {
        "" => String::new(),
        variant => format!(" [{variant}]"),
    };
    writeln!(
        out,
        "{style}{:>13}{style:#}  {}{variant}  {} on {}",
        run.verdict.to_string(),
        run.scenario,
        run.profile,
        run.bench
    )
}

/// What went wrong in a run, where, and where to look: `folder` is the run's.
///
/// # Errors
/// Only those of `out`.
pub fn block(out: &mut dyn Write, run: &Summary, folder: &str) -> io::Result<()> {
    line(out, run)?;
    if run.uncalibrated.is_some() {
        writeln!(out, "{:>15}UNCALIBRATED", "")?;
    }
    writeln!(out, "{:>15}{}", "", run.because)?;
    let Some(decision) = &run.decision else {
        return writeln!(out, "{:>15}{folder}/events.jsonl", "");
    };
    if decision.words != run.because {
        writeln!(out, "{:>15}{}", "", decision.words)?;
    }
    for (depth, step) in decision.steps.iter().enumerate() {
        writeln!(
            out,
            "{:>15}{}{}: {}",
            "",
            if depth == 0 { "in " } else { "   " },
            step.place,
            step.doing
        )?;
    }
    if let Some(hint) = &decision.hint {
        writeln!(out, "{:>15}hint: {hint}", "")?;
    }
    writeln!(out, "{:>15}event {} at {}", "", decision.seq, decision.at)?;
    // Lines count from 1, events from 0.
    writeln!(out, "{:>15}{folder}/events.jsonl:{}", "", decision.seq + 1)
}

/// How many lines of a difference are shown; the rest is in the run's folder.
const DIFFERENCE_MAX: usize = 16;

/// How a flow differs from the approved one, and where both are.
///
/// # Errors
/// Only those of `out`.
pub fn difference(out: &mut dyn Write, told: &[Told<'_>], places: &[String]) -> io::Result<()> {
    for one in told.iter().take(DIFFERENCE_MAX) {
        let style = match one {
            Told::Missing(_) => AnsiColor::Red.on_default(),
            Told::New(_) => AnsiColor::Green.on_default(),
            Told::Gap | Told::Same(_) => Style::new(),
        };
        writeln!(out, "{:>15}{style}{}{style:#}", "", one.words())?;
    }
    if let Some(more) = told
        .len()
        .checked_sub(DIFFERENCE_MAX)
        .filter(|more| *more > 0)
    {
        writeln!(out, "{:>15}  and {more} lines more", "")?;
    }
    for place in places {
        writeln!(out, "{:>15}{place}", "")?;
    }
    Ok(())
}

/// A flow that differs in the same lines as that of an earlier run.
///
/// # Errors
/// Only those of `out`.
pub fn same_difference(out: &mut dyn Write, like: &str, places: &[String]) -> io::Result<()> {
    writeln!(out, "{:>15}the same lines differ as in {like}", "")?;
    for place in places.iter().filter(|place| place.starts_with("picture")) {
        writeln!(out, "{:>15}{place}", "")?;
    }
    Ok(())
}

/// More reasons why runs were skipped than a person reads at the end of a campaign.
const REASONS_MAX: usize = 8;

/// The end of a campaign: what was skipped and what broke by reason, counts, time and where the reports are.
///
/// # Errors
/// Only those of `out`.
pub fn summary(
    out: &mut dyn Write,
    runs: &[Summary],
    took: Duration,
    folder: &str,
) -> io::Result<()> {
    for verdict in [Verdict::Skipped, Verdict::Broken] {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for run in runs.iter().filter(|run| run.verdict == verdict) {
            *reasons.entry(run.because.as_str()).or_default() += 1;
        }
        let style = style(verdict);
        if verdict == Verdict::Skipped && reasons.len() > REASONS_MAX {
            let (count, reasons) = (reasons.values().sum::<usize>(), reasons.len());
            writeln!(
                out,
                "{style}{:>13}{style:#}  {count} runs, for {reasons} reasons that index.html tells",
                verdict.to_string()
            )?;
            continue;
        }
        for (reason, count) in reasons {
            writeln!(
                out,
                "{style}{:>13}{style:#}  {count} × {reason}",
                verdict.to_string()
            )?;
        }
    }
    let mut benches: BTreeMap<(&str, &str), Vec<&Summary>> = BTreeMap::new();
    for run in runs {
        benches
            .entry((&run.profile, &run.bench))
            .or_default()
            .push(run);
    }
    for ((profile, bench), runs) in benches {
        writeln!(out, "{profile} on {bench}: {}", counts(&runs))?;
    }
    let ran: Vec<&Summary> = runs
        .iter()
        .filter(|run| run.verdict != Verdict::Skipped)
        .collect();
    let bench_time = Nanos(ran.iter().map(|run| run.bench_time.0).sum());
    let all: Vec<&Summary> = runs.iter().collect();
    writeln!(
        out,
        "{}: {}, in {:.1} s ({} s of bench time)",
        runs_in_words(ran.len()),
        counts(&all),
        took.as_secs_f64(),
        bench_time.0 / 1_000_000_000
    )?;
    writeln!(out, "reports: {folder}")?;
    power_cycled(out, runs)?;
    uncalibrated(out, runs)
}

/// Runs before which a probe had to be power-cycled: it may be about to fail.
fn power_cycled(out: &mut dyn Write, runs: &[Summary]) -> io::Result<()> {
    for run in runs {
        if let Some(because) = &run.power_cycled {
            let Summary {
                scenario, profile, ..
            } = run;
            writeln!(
                out,
                "{}",
                of_power_cycle(
                    &format!("{scenario} with {profile} on {}", run.bench),
                    because
                )
            )?;
        }
    }
    Ok(())
}

/// That the probe was power-cycled, and why, in one line.
pub fn of_power_cycle(before: &str, because: &str) -> String {
    format!("before {before} the probe was power-cycled: {because}")
}

/// Runs that went by no measured latencies, so that nobody overlooks it.
fn uncalibrated(out: &mut dyn Write, runs: &[Summary]) -> io::Result<()> {
    let mut benches: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for run in runs {
        if let Some(because) = &run.uncalibrated {
            *benches.entry((&run.bench, because)).or_default() += 1;
        }
    }
    let style = AnsiColor::Yellow.on_default().bold().invert();
    for ((bench, because), count) in benches {
        let runs = runs_in_words(count);
        writeln!(
            out,
            "\n{style}  U N C A L I B R A T E D  {style:#}  {runs} on {bench}: {because}"
        )?;
    }
    Ok(())
}

/// How far the holds of some runs were from what was asked for: the rig's own error.
///
/// # Errors
/// Only those of `out`.
pub fn hold_errors(out: &mut dyn Write, runs: &[&Summary]) -> io::Result<()> {
    let errors = runs.iter().flat_map(|run| &run.hold_errors);
    let mut sizes: Vec<u64> = errors.map(|error| error.unsigned_abs()).collect();
    sizes.sort_unstable();
    let Some(largest) = sizes.last() else {
        return Ok(());
    };
    // Nearest rank: the smallest error that so many percent of all do not exceed.
    let percentile = |percent: usize| sizes[(sizes.len() * percent).div_ceil(100).max(1) - 1];
    writeln!(
        out,
        "hold error: p50 {}, p99 {}, largest {}, of {} holds",
        Nanos(percentile(50)),
        Nanos(percentile(99)),
        Nanos(*largest),
        sizes.len()
    )
}

fn runs_in_words(count: usize) -> String {
    match count {
        1 => "1 run".to_owned(),
        _ => format!("{count} runs"),
    }
}

/// `12 pass, 1 fail`, the gravest last so that it stands nearest to the eye.
fn counts(runs: &[&Summary]) -> String {
    const ORDER: [Verdict; 10] = [
        Verdict::Pass,
        Verdict::Skipped,
        Verdict::KnownFinding,
        Verdict::Inconclusive,
        Verdict::Finding,
        Verdict::Fail,
        Verdict::Usage,
        Verdict::Broken,
        Verdict::Aborted,
        Verdict::Bug,
    ];
    let words: Vec<String> = ORDER
        .into_iter()
        .filter_map(|verdict| {
            let count = runs.iter().filter(|run| run.verdict == verdict).count();
            let style = style(verdict);
            (count > 0).then(|| format!("{style}{count} {verdict}{style:#}"))
        })
        .collect();
    words.join(", ")
}
