//! A cut as a scenario: the one that it was found in, with its steps inside an interruption at that cut.
//!
//! The scenario's text is kept as it is written, comments included, so that whoever reads the reproducer
//! recognises it.

use std::path::Path;

use super::{Explored, Failure, Flow};
use crate::profile::codes::Code;
use crate::scenario::CodeUse;
use crate::step::{Cut, KnownCode};

/// Writes a scenario for each failure of a flow, from the text of its own, and notes the file's name
/// below `folder`. A failure whose scenario is written in a form that cannot be changed safely gets none.
///
/// # Errors
/// Those of the disk.
pub fn write(
    explored: &mut Explored,
    flow: &Flow,
    text: &str,
    folder: &Path,
) -> std::io::Result<()> {
    let name = explored.flow.clone();
    for (nth, failure) in explored.failures.iter_mut().enumerate() {
        let Some(scenario) = scenario(text, flow, failure, nth + 1) else {
            continue;
        };
        let name = format!("{name}-{}", nth + 1);
        failure.reproducer = Some(keep(folder, &name, &scenario)?);
    }
    Ok(())
}

/// The scenario that shows a failure.
fn scenario(text: &str, flow: &Flow, failure: &Failure, number: usize) -> Option<String> {
    let sections = sections(text);
    let steps = sections.iter().find(|(key, _)| *key == "steps")?.1;
    let mut new_steps = interrupted(steps, &failure.row)?;
    // What finds it out within the steps is not reached by a cut.
    let is_found_out = steps.contains("interrupt:") && steps.contains("settles:");
    if !is_found_out {
        if flow.profile().lockout.is_some() {
            new_steps.push_str("  - wait: lockout\n");
        }
        new_steps.push_str(&settles(flow, failure));
    }
    let because = format!(
        "Found by 'lockrig cuts' in {}: {}.",
        flow.name, failure.because
    );
    Some(retold(
        &sections,
        flow,
        &format!("cut-{number}"),
        &because,
        &new_steps,
    ))
}

/// A flow's scenario with other steps, under a name and with an intent that say what was found.
pub(crate) fn retold(
    sections: &[(&str, &str)],
    flow: &Flow,
    what: &str,
    intent: &str,
    steps: &str,
) -> String {
    let mut out = String::new();
    for (key, section) in sections {
        match *key {
            "scenario" => {
                let id = flow.plan.scenario.as_str();
                out.push_str(&format!("scenario: {id}-{what}\n"));
            }
            "intent" => out.push_str(&format!("intent: >\n  {intent}\n")),
            "covers" => out.push_str("covers: []\n"),
            "variants" => out.push_str(&variants(&flow.plan.variant, steps)),
            "steps" => out.push_str(steps),
            _ => out.push_str(section),
        }
        if section.ends_with("\n\n") && !out.ends_with("\n\n") {
            out.push('\n');
        }
    }
    out
}

/// Writes a reproducer, and gives its name below `folder`.
pub(crate) fn keep(folder: &Path, name: &str, scenario: &str) -> std::io::Result<String> {
    std::fs::create_dir_all(folder.join("reproducers"))?;
    let file = format!("reproducers/{name}.yaml");
    std::fs::write(folder.join(&file), scenario)?;
    Ok(file)
}

/// The top-level keys of a scenario with the lines that belong to each, in their order; what stands before
/// the first has an empty key.
pub(crate) fn sections(text: &str) -> Vec<(&str, &str)> {
    let begins = |line: &str| line.starts_with(|first: char| first.is_ascii_alphabetic());
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if begins(line) && at > 0 {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| {
            let section = &text[start..end];
            let key = match begins(section) {
                true => section.split(':').next().unwrap_or(""),
                false => "",
            };
            (key, section)
        })
        .collect()
}

/// The steps inside an interruption at these cuts: in the one that they have, else in one around all.
fn interrupted(steps: &str, row: &[Cut]) -> Option<String> {
    let cuts: Vec<String> = row
        .iter()
        .map(|cut| format!("{{ at: {}, mode: {} }}", cut.at, cut.mode))
        .collect();
    let cuts = match cuts.as_slice() {
        [one] => one.clone(),
        _ => format!("[{}]", cuts.join(", ")),
    };
    let when = format!("{{ cut: {cuts}, for: 300 ms }}");
    if let Some((before, rest)) = steps.split_once("interrupt:") {
        let rest = rest.trim_start_matches(' ').strip_prefix('{')?;
        let (_, after) = rest.split_once('}')?;
        return Some(
            format!("{}interrupt: {when}{after}", before)
                .trim_end()
                .to_owned()
                + "\n",
        );
    }
    inside(steps, &format!("interrupt: {when}"))
}

/// All steps inside one.
pub(crate) fn inside(steps: &str, outer: &str) -> Option<String> {
    let inner = steps.strip_prefix("steps:\n")?;
    let mut out = format!("steps:\n  - {outer}\n    steps:\n");
    for line in inner.trim_end().lines() {
        match line.is_empty() {
            true => out.push('\n'),
            false => out.push_str(&format!("    {line}\n")),
        }
    }
    Some(out)
}

/// The variant that it was found in, as far as it is still spoken of.
fn variants(variant: &str, steps: &str) -> String {
    let used = |name: &str| steps.contains(&format!("${name}"));
    let lines: Vec<String> = variant
        .split(", ")
        .filter_map(|one| one.split_once('='))
        .filter(|(name, _)| used(name))
        .map(|(name, value)| format!("  {name}: [{value}]\n"))
        .collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!("variants:\n{}", lines.concat()),
    }
}

/// The step that finds out which codes open.
fn settles(flow: &Flow, failure: &Failure) -> String {
    let word = |code: &CodeUse| match code {
        CodeUse::Named(name) => format!("${name}"),
        CodeUse::Literal(code) => quoted(code),
        CodeUse::Known(known) => {
            let known = flow.profile().known_code(*known);
            known.as_ref().map(quoted).unwrap_or_default()
        }
    };
    let set = |codes: &[CodeUse]| match codes {
        [CodeUse::Known(KnownCode::Factory)] => "factory".to_owned(),
        codes => {
            let words: Vec<String> = codes.iter().map(word).collect();
            format!("[{}]", words.join(", "))
        }
    };
    let mut sets = vec![format!("old: {}", set(&failure.old))];
    if failure.new != failure.old {
        sets.push(format!("new: {}", set(&failure.new)));
    }
    if failure.resets && !sets.iter().any(|set| set.ends_with(": factory")) {
        sets.push("factory: factory".to_owned());
    }
    format!("  - settles: {{ {} }}\n", sets.join(", "))
}

fn quoted(code: &Code) -> String {
    format!("\"{}\"", code.digits_to_press())
}
