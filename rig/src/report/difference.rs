//! Two flows beside each other: the approved one and the one that was seen, in words for a terminal,
//! and as two time lines for a browser.

mod page;

use similar::{DiffTag, TextDiff};

use super::flow::{Flow, Line};

pub use page::page;

/// How many lines around a change are shown with it.
const AROUND: usize = 2;

/// A line of the difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told<'a> {
    /// Lines that are the same were left out.
    Gap,
    /// In both.
    Same(&'a Line),
    /// Approved, and not seen.
    Missing(&'a Line),
    /// Seen, and not approved.
    New(&'a Line),
}

/// The difference, with some lines around each change and the step that it belongs to.
pub fn difference<'a>(approved: &'a Flow, seen: &'a Flow) -> Vec<Told<'a>> {
    let texts = |flow: &'a Flow| -> Vec<&'a str> {
        flow.lines.iter().map(|line| line.text.as_str()).collect()
    };
    let (old, new) = (texts(approved), texts(seen));
    let diff = TextDiff::from_slices(&old, &new);
    let mut told = Vec::new();
    let mut shown = 0;
    for group in diff.grouped_ops(AROUND) {
        let Some(first) = group.first() else { continue };
        let begins = first.old_range().start;
        if begins > shown {
            told.push(Told::Gap);
            let step = old[..begins]
                .iter()
                .rposition(|text| !text.starts_with(' '));
            let is_step = old.get(begins).is_some_and(|text| !text.starts_with(' '));
            if let Some(step) = step.filter(|step| *step >= shown && !is_step) {
                told.push(Told::Same(&approved.lines[step]));
                if step + 1 < begins {
                    told.push(Told::Gap);
                }
            }
        }
        for op in &group {
            let (gone, come) = (&approved.lines[op.old_range()], &seen.lines[op.new_range()]);
            if op.tag() == DiffTag::Equal {
                told.extend(gone.iter().map(Told::Same));
            } else {
                told.extend(gone.iter().map(Told::Missing));
                told.extend(come.iter().map(Told::New));
            }
            shown = op.old_range().end;
        }
    }
    if shown < old.len() {
        told.push(Told::Gap);
    }
    told
}

/// How many lines are in one flow only: `1 line is gone, 2 are new`.
pub fn in_short(told: &[Told<'_>]) -> String {
    let gone = told
        .iter()
        .filter(|told| matches!(told, Told::Missing(_)))
        .count();
    let new = told
        .iter()
        .filter(|told| matches!(told, Told::New(_)))
        .count();
    let lines = |count| match count {
        1 => "1 line".to_owned(),
        count => format!("{count} lines"),
    };
    let its = if gone == 1 { "its" } else { "their" };
    format!("{} not as approved, {new} in {its} place", lines(gone))
}

impl Told<'_> {
    /// Whether it is in one of the two only.
    pub fn is_change(&self) -> bool {
        matches!(self, Told::Missing(_) | Told::New(_))
    }

    /// `- ` for what was approved, `+ ` for what was seen.
    pub fn words(&self) -> String {
        match self {
            Told::Gap => "  …".to_owned(),
            Told::Same(line) => format!("  {}", line.text),
            Told::Missing(line) => format!("- {}", line.text),
            Told::New(line) => format!("+ {}", line.text),
        }
    }
}
