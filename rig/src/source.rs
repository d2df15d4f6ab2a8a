//! The text of a file, places in it, and what is wrong with it.
//!
//! Scenario, profile and bench files are read in two steps: [`yaml`](Source::yaml) or
//! [`toml`](Source::toml) turns the text into [`Node`]s that know their place, and the types that
//! implement [`Read`] turn nodes into values. Nothing stops at the first mistake: every reader
//! adds to one list of [`Problem`]s, and a file is refused with all of them at once.
//!
//! This module knows nothing about locks. The types of the files are in `scenario`, `profile`
//! and `bench`; quantities with units are in `quantity`.

mod read;
mod render;
mod toml;
mod yaml;

use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

pub use read::{Named, OneOrMore, Problems, Read, Table};
pub(crate) use read::{closest, file_table, file_words, is_name, key_of};

/// A file's text and the name under which messages speak of it. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
}

/// A range of bytes in a [`Source`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A line and a column, both counted from 1; columns are characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One mistake in a file: where, what was expected and found, and what to try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where.
    pub span: Span,
    /// What was expected and what was found: a lowercase fragment.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}

/// A file that was refused, with everything that is wrong with it, in the order of the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Refused {
    /// The file.
    pub source: Source,
    /// Its mistakes; at least one.
    pub problems: Vec<Problem>,
}

/// A value and the place it was read from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

/// A piece of a file as it was written: the language is known, what it means is not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What stands there.
    pub value: Value,
}

/// What a [`Node`] can be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A number, a word, a text: whatever is neither a list nor a table.
    Scalar {
        /// As written, without quotes and with escapes resolved.
        text: String,
        /// Whether it stood in quotes, and so is a text whatever it looks like.
        quoted: bool,
    },
    /// `[a, b]`
    List(Vec<Node>),
    /// `{ key: value }`, in the order of the file. The reader has refused duplicate keys.
    Table(Vec<(Spanned<String>, Node)>),
}

impl Source {
    /// A text that messages call `name`.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// Reads a file; messages call it by its path as given, with forward slashes.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        Ok(Self::new(path.to_string_lossy().replace('\\', "/"), text))
    }

    /// The name under which messages speak of it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line and column where a span starts.
    pub fn place(&self, span: Span) -> Place {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// `name:line`, as events name the step they come from.
    pub fn line(&self, span: Span) -> String {
        format!("{}:{}", self.name, self.place(span).line)
    }

    /// Reads the whole text as one YAML document.
    pub fn yaml(&self) -> Result<Node, Refused> {
        yaml::parse(&self.text).map_err(|problems| self.refuse(problems))
    }

    /// Reads the whole text as a TOML document.
    pub fn toml(&self) -> Result<Node, Refused> {
        toml::parse(&self.text).map_err(|problems| self.refuse(problems))
    }

    /// Reads the whole text as one YAML document that describes a `T`.
    pub fn read_yaml<T: Read>(&self) -> Result<T, Refused> {
        self.read(&self.yaml()?)
    }

    /// Reads the whole text as a TOML document that describes a `T`.
    pub fn read_toml<T: Read>(&self) -> Result<T, Refused> {
        self.read(&self.toml()?)
    }

    /// Reads a `T` from a node of this file.
    pub fn read<T: Read>(&self, node: &Node) -> Result<T, Refused> {
        self.read_and_check(node, |_, _| ())
    }

    /// Reads a `T` and looks for what is wrong with it although each of its values is well formed.
    /// The check also sees a file that is refused already, without the list items that were.
    pub fn read_and_check<T: Read>(
        &self,
        node: &Node,
        check: impl FnOnce(&T, &mut Problems),
    ) -> Result<T, Refused> {
        let mut problems = Problems::default();
        let value = T::read(node, &mut problems);
        if let Some(value) = &value {
            check(value, &mut problems);
        }
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(self.refuse(problems.into_vec())),
        }
    }

    /// Refuses a file of a newer version than `known`, for that alone: what else is wrong with it
    /// nobody here can know.
    pub fn refuse_newer(&self, document: &Node, known: u32) -> Result<(), Refused> {
        let Value::Table(entries) = &document.value else {
            return Ok(());
        };
        let Some((_, version)) = entries.iter().find(|(key, _)| key.value == "version") else {
            return Ok(());
        };
        match version.scalar().map(str::parse::<u32>) {
            Some(Ok(written)) if written != known => Err(self.refuse(vec![
                Problem::new(
                    version.span,
                    format!("a file of version {written}: this lockrig reads version {known}"),
                )
                .hint("a newer lockrig may read it"),
            ])),
            _ => Ok(()),
        }
    }

    /// Refuses this file for these problems, of which there must be at least one.
    pub fn refuse(&self, mut problems: Vec<Problem>) -> Refused {
        assert!(
            !problems.is_empty(),
            "'{}' is refused without a problem",
            self.name
        );
        problems.sort_by_key(|problem| (problem.span, problem.message.clone()));
        problems.dedup();
        Refused {
            source: self.clone(),
            problems,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

impl Problem {
    /// A mistake at a place.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            hint: None,
        }
    }

    /// The same with something to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a "did you mean" when one of the candidates is close to what was written;
    /// else with a list of them.
    #[must_use]
    pub fn did_you_mean<'c>(
        self,
        written: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Self {
        let candidates: Vec<&str> = candidates.into_iter().collect();
        match closest(written, &candidates) {
            Some(close) => self.hint(format!("did you mean '{close}'?")),
            None if candidates.is_empty() => self,
            None => self.hint(format!("known here: {}", candidates.join(", "))),
        }
    }
}

impl Refused {
    /// The problems in their source lines, as a terminal shows them; `colour` adds ANSI styles.
    pub fn render(&self, colour: bool) -> String {
        render::render(&self.source, &self.problems, colour)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.render(false))
    }
}

impl std::error::Error for Refused {}

impl<T> Spanned<T> {
    /// A value at a place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl Node {
    /// What stands here, in the words of a message: `the number 5`, `a list`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::List(_) => "a list".into(),
            Value::Table(_) => "a table".into(),
            Value::Scalar { text, quoted: true } => format!("the text \"{text}\""),
            Value::Scalar { text, .. } => match text.as_str() {
                "" | "~" | "null" => "nothing".into(),
                "true" | "false" | "yes" | "no" => format!("'{text}'"),
                number if number.parse::<f64>().is_ok() => format!("the number {number}"),
                word => format!("'{word}'"),
            },
        }
    }

    /// Whether nothing stands here.
    pub fn is_nothing(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, quoted: false } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// A plain or quoted scalar as it was written.
    pub fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_nothing() => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Named, OneOrMore, Source, Spanned, file_table, file_words};
    use crate::event::Nanos;
    use crate::quantity::Millivolts;

    file_words! {
        /// Colours.
        pub enum Colour as "a colour" {
            /// Red.
            Red,
            /// Dark green.
            DarkGreen,
        }
    }

    file_table! {
        /// A lamp.
        pub struct Lamp as "a lamp" {
            /// Its colour.
            pub colour: Colour,
            /// How long it is on.
            pub on_for: Spanned<Nanos>,
            /// At which voltage.
            pub drive: Option<Millivolts>,
            /// How often.
            pub times: u32 = default,
            /// Its other names.
            pub r#for: Option<OneOrMore<String>>,
        }
    }

    fn refused(text: &str) -> String {
        match Source::new("lamp.yaml", text).read_yaml::<Named<Lamp>>() {
            Ok(lamps) => panic!("accepted: {lamps:?}"),
            Err(refused) => refused.to_string(),
        }
    }

    #[test]
    fn a_file_without_mistakes_is_read_from_yaml_and_toml_alike() {
        let yaml = Source::new(
            "lamp.yaml",
            "hall:\n  colour: dark-green\n  on-for: 1.5 s\n  drive: 120 mV\n  for: [a, b]\n",
        );
        let toml = Source::new(
            "lamp.toml",
            "[hall]\ncolour = 'dark-green'\non-for = '1500 ms'\ndrive = '0.12 V'\nfor = ['a', 'b']\n",
        );
        let from_yaml = yaml.read_yaml::<Named<Lamp>>().unwrap();
        let from_toml = toml.read_toml::<Named<Lamp>>().unwrap();
        let (a, b) = (
            from_yaml.get("hall").unwrap(),
            from_toml.get("hall").unwrap(),
        );
        assert_eq!(a.on_for.value, Nanos(1_500_000_000));
        assert_eq!(
            (a.colour, a.on_for.value, a.drive, a.times, &a.r#for),
            (b.colour, b.on_for.value, b.drive, b.times, &b.r#for)
        );
        assert_eq!(yaml.line(a.on_for.span), "lamp.yaml:3");
        assert_eq!(toml.line(b.on_for.span), "lamp.toml:3");
    }

    #[test]
    fn all_mistakes_are_reported_at_once_in_the_order_of_the_text() {
        insta::assert_snapshot!(refused(
            "hall:\n  color: dark-gren\n  on-for: 5\n  drive: 3 s\n  times: many\nHall: 3\n"
        ));
    }

    #[test]
    fn yaml_that_no_reviewer_needs_is_refused() {
        insta::assert_snapshot!(refused(
            "hall: &a {colour: !x red}\nattic: *a\nhall: 1\n[a]: 2\n"
        ));
        insta::assert_snapshot!(refused("hall:\n\tcolour: red\n"));
        insta::assert_snapshot!(refused(""));
        insta::assert_snapshot!(refused(&"[".repeat(200)));
        insta::assert_snapshot!(refused("a: 1\n---\nb: 2\n"));
    }

    #[test]
    fn several_toml_syntax_errors_are_reported_at_once() {
        let source = Source::new("lamp.toml", "a = \nb = 1\nc = [1,\n");
        insta::assert_snapshot!(source.toml().unwrap_err());
    }
}
