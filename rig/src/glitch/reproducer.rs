//! A glitch as a scenario: the one that it was found in, with its steps inside a `glitch` step.

use std::path::Path;

use super::{Explored, Open};
use crate::cuts::Flow;
use crate::cuts::reproducer::{inside, sections, variants};

/// Writes a scenario for each place that opens, of its first glitch, from the text of the flow's own, and
/// notes the file's name below `folder`. A failure whose scenario is written in a form that cannot be
/// changed safely gets none.
///
/// # Errors
/// Those of the disk.
pub fn write(
    explored: &mut Explored,
    flow: &Flow,
    text: &str,
    folder: &Path,
) -> std::io::Result<()> {
    let name = format!("{}-{}", explored.flow, explored.entry);
    let entry = explored.entry;
    for (number, open) in (1..).zip(&mut explored.opens) {
        let Some(scenario) = scenario(text, flow, entry, open, number) else {
            continue;
        };
        std::fs::create_dir_all(folder.join("reproducers"))?;
        let file = format!("reproducers/{name}-{number}.yaml");
        std::fs::write(folder.join(&file), scenario)?;
        open.reproducer = Some(file);
    }
    Ok(())
}

/// The scenario that shows that a glitch opens.
fn scenario(text: &str, flow: &Flow, entry: u32, open: &Open, number: u32) -> Option<String> {
    let sections = sections(text);
    let steps = sections.iter().find(|(key, _)| *key == "steps")?.1;
    if steps.contains("glitch:") {
        return None;
    }
    let glitch = format!(
        "glitch: {{ entry: {entry}, at: {}, mode: {} }}",
        open.at, open.mode
    );
    let steps = inside(steps, &glitch)?;
    let mut out = String::new();
    for (key, section) in &sections {
        match *key {
            "scenario" => {
                let id = flow.plan.scenario.as_str();
                out.push_str(&format!("scenario: {id}-glitch-{number}\n"));
            }
            "intent" => out.push_str(&format!(
                "intent: >\n  Found by 'lockrig glitch' in {}: a code that must not open does.\n",
                flow.name
            )),
            "covers" => out.push_str("covers: []\n"),
            "variants" => out.push_str(&variants(&flow.plan.variant, &steps)),
            "steps" => out.push_str(&steps),
            _ => out.push_str(section),
        }
        if section.ends_with("\n\n") && !out.ends_with("\n\n") {
            out.push('\n');
        }
    }
    Some(out)
}
