//! A glitch as a scenario: the one that it was found in, with its steps inside a `glitch` step.

use std::path::Path;

use super::{Explored, Open};
use crate::cuts::Flow;
use crate::cuts::reproducer::{inside, keep, retold, sections};

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
        let name = format!("{name}-{number}");
        open.reproducer = Some(keep(folder, &name, &scenario)?);
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
    let because = format!(
        "Found by 'lockrig glitch' in {}: a code that must not open does.",
        flow.name
    );
    let what = format!("glitch-{number}");
    Some(retold(&sections, flow, &what, &because, &steps))
}
