//! A bad twin: the product with facts of its profile changed in the firmware alone. The promise
//! stays, so that the rig has to notice; a twin that passes shows a hole in the rig.

use super::{Profile, ProfileFile, check};
use crate::source::{
    Node, Problem, Problems, Refused, Source, Span, Spanned, Value, file_table, file_words,
};
use crate::step::Written;

/// The version of the format of twins that this program reads.
pub const VERSION: u32 = 1;

file_table! {
    /// A bad twin.
    pub struct TwinFile as "a bad twin" {
        /// Its name.
        pub twin: Spanned<String>,
        /// The version of this format.
        pub version: u32,
        /// The profile whose promise it breaks.
        pub of: Spanned<String>,
        /// Which promise that is, in words.
        pub about: String,
        /// What the firmware does in place of what the profile says.
        pub instead: Vec<Instead>,
        /// The scenarios that notice it.
        pub caught_by: Vec<Caught>,
    }
}

file_table! {
    /// A fact that is changed.
    pub struct Instead as "a changed fact" {
        /// Its place in the profile: `lockout.on-power-cycle`, `changes.0.asks.1`.
        pub fact: Spanned<String>,
        /// What the firmware makes of it.
        pub is: Written,
    }
}

file_table! {
    /// How a scenario ends that notices the twin.
    pub struct Caught as "the end of a run" {
        /// The scenario.
        pub scenario: String,
        /// Its verdict.
        pub verdict: Noticed,
        /// The scenario's step that was under way, as reports tell it.
        pub r#in: String,
        /// How the reason begins.
        pub because: String,
        /// The kind of event that decides it.
        pub decided_by: Decisive,
    }
}

file_words! {
    /// A verdict that notices something.
    pub enum Noticed as "a verdict" {
        /// The promise is broken.
        Fail,
        /// It is unsafe, though nobody promised otherwise.
        Finding,
    }
}

file_words! {
    /// An event that decides a run.
    pub enum Decisive as "a kind of event" {
        /// An expectation that was not met.
        Checked,
        /// An oracle that was broken.
        Judged,
    }
}

/// A twin that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Twin {
    source: Source,
    /// What is in the file.
    pub file: TwinFile,
}

impl Twin {
    /// Reads a twin. Whether its facts are the profile's shows in [`Twin::of`].
    pub fn read(source: &Source) -> Result<Self, Refused> {
        let node = source.yaml()?;
        source.refuse_newer(&node, VERSION)?;
        let file = source.read(&node)?;
        Ok(Self {
            source: source.clone(),
            file,
        })
    }

    /// The profile as the firmware of the twin has it.
    ///
    /// # Errors
    /// The profile has no such fact, or contradicts itself with it; the mistake stands in the twin.
    pub fn of(&self, profile: &Profile) -> Result<Profile, Refused> {
        let mut node = profile.source().yaml()?;
        let mut problems = Problems::default();
        for instead in &self.file.instead {
            if put(&mut node, &instead.fact, &instead.is.0).is_none() {
                problems.add::<()>(Problem::new(
                    instead.fact.span,
                    format!("'{}' has no fact '{}'", profile.id(), instead.fact.value),
                ));
            }
        }
        if problems.is_empty() {
            let read = profile
                .source()
                .read_and_check::<ProfileFile>(&node, check::check);
            match read {
                Ok(file) => {
                    return Ok(Profile {
                        source: profile.source().clone(),
                        file,
                    });
                }
                Err(refused) => {
                    for problem in refused.problems {
                        problems.add::<()>(Problem {
                            span: self.file.twin.span,
                            message: format!("with its changes: {}", problem.message),
                            hint: problem.hint,
                        });
                    }
                }
            }
        }
        Err(self.source.refuse(problems.into_vec()))
    }
}

/// Puts a value in the place of a path; the last key of a table may be new.
fn put(node: &mut Node, path: &str, value: &Node) -> Option<()> {
    let (key, rest) = match path.split_once('.') {
        Some((key, rest)) => (key, Some(rest)),
        None => (path, None),
    };
    let place = match &mut node.value {
        Value::List(items) => items.get_mut(key.parse::<usize>().ok()?)?,
        Value::Table(entries) => {
            let at = entries.iter().position(|(known, _)| known.value == key);
            match (at, rest) {
                (Some(at), _) => &mut entries[at].1,
                (None, None) => {
                    let key = Spanned::new(key.to_owned(), Span::default());
                    entries.push((key, value.clone()));
                    return Some(());
                }
                (None, Some(_)) => return None,
            }
        }
        Value::Scalar { .. } => return None,
    };
    match rest {
        Some(rest) => put(place, rest, value),
        None => {
            place.value = value.value.clone();
            Some(())
        }
    }
}
