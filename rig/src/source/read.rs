//! From nodes to values, collecting every problem on the way.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Node, Problem, Span, Spanned, Value};

/// A value that can be read from a file.
///
/// An implementation returns `None` only after it has added at least one problem, and adds as
/// many as it can find: a caller goes on with the node's neighbours. It may also add problems and
/// return a value, so that what depends on it is read as well; the file is refused all the same.
///
/// Types with named fields do not implement this by hand: the crate's `file_table!` and
/// `file_words!` write it from the same lines as the JSON Schema.
pub trait Read: Sized {
    /// Reads the value.
    fn read(node: &Node, problems: &mut Problems) -> Option<Self>;

    /// What a missing key means; `None` where the key must be there.
    fn absent() -> Option<Self> {
        None
    }
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a mistake. Returns `None` in any shape, so that a reader can end with it.
    pub fn add<T>(&mut self, problem: Problem) -> Option<T> {
        self.0.push(problem);
        None
    }

    /// Adds "expected this, found that".
    pub fn expected<T>(&mut self, expected: &str, node: &Node) -> Option<T> {
        self.add(Problem::new(
            node.span,
            format!("expected {expected}, found {}", node.describe()),
        ))
    }

    /// Adds "expected this, found that", with something to try.
    pub fn expected_hint<T>(&mut self, expected: &str, node: &Node, hint: &str) -> Option<T> {
        self.add(
            Problem::new(
                node.span,
                format!("expected {expected}, found {}", node.describe()),
            )
            .hint(hint),
        )
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are: a reader that calls others learns from it whether they complained.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

/// A table that is being read key by key. Keys that nobody asks for are refused in the end.
pub struct Table<'n> {
    span: Span,
    what: &'static str,
    entries: Vec<(&'n Spanned<String>, &'n Node)>,
    asked: Vec<String>,
}

impl<'n> Table<'n> {
    /// Starts to read a table; `what` names it in messages: `a lockout stage`.
    pub fn of(what: &'static str, node: &'n Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Table(entries) => Some(Self {
                span: node.span,
                what,
                entries: entries.iter().map(|(key, value)| (key, value)).collect(),
                asked: Vec::new(),
            }),
            _ => problems.expected(&format!("{what} (a table)"), node),
        }
    }

    /// The node under a key, which becomes a known key. `None` is no problem yet.
    pub fn node(&mut self, key: &str) -> Option<&'n Node> {
        self.asked.push(key.to_owned());
        let at = self
            .entries
            .iter()
            .position(|(known, _)| known.value == key)?;
        Some(self.entries.remove(at).1)
    }

    /// The value under a key; where the key is absent, what its type says that means.
    pub fn read<T: Read>(&mut self, key: &str, problems: &mut Problems) -> Option<T> {
        match self.node(key) {
            Some(node) => T::read(node, problems),
            None => T::absent().or_else(|| {
                problems.add(Problem::new(
                    self.span,
                    format!("{} needs '{key}'", self.what),
                ))
            }),
        }
    }

    /// The value under a key, or this one where the key is absent.
    pub fn read_or<T: Read>(
        &mut self,
        key: &str,
        otherwise: impl FnOnce() -> T,
        problems: &mut Problems,
    ) -> Option<T> {
        match self.node(key) {
            Some(node) => T::read(node, problems),
            None => Some(otherwise()),
        }
    }

    /// What nobody has asked for, as a table of its own.
    pub fn rest(self) -> Node {
        Node {
            span: self.span,
            value: Value::Table(
                self.entries
                    .into_iter()
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
            ),
        }
    }

    /// Refuses the keys that nobody asked for.
    pub fn finish(self, problems: &mut Problems) {
        for (key, _) in &self.entries {
            problems.add::<()>(
                Problem::new(
                    key.span,
                    format!("{} has no key '{}'", self.what, key.value),
                )
                .did_you_mean(&key.value, self.asked.iter().map(String::as_str)),
            );
        }
    }
}
/// The candidate that was probably meant.
pub(crate) fn closest<'c>(written: &str, candidates: &[&'c str]) -> Option<&'c str> {
    candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), *candidate))
        // One letter in three: of two short words the one is not a misspelling of the other.
        .filter(|(distance, candidate)| {
            *distance <= (written.len().max(candidate.len()) / 3).min(3)
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// A field's or variant's name as files write it: `idle_time_out` and `AtOnce` become
/// `idle-time-out` and `at-once`.
pub(crate) fn key_of(ident: &str) -> String {
    let ident = ident.strip_prefix("r#").unwrap_or(ident);
    let mut key = String::with_capacity(ident.len() + 4);
    for (at, character) in ident.chars().enumerate() {
        if character == '_' {
            key.push('-');
        } else if character.is_uppercase() {
            if at > 0 {
                key.push('-');
            }
            key.extend(character.to_lowercase());
        } else {
            key.push(character);
        }
    }
    key
}

/// Declares a struct that is read from a table: one key for each field, dashes for underscores.
/// The JSON Schema and the reader come from the same lines, so they agree on the keys.
///
/// A field is required unless its type says what absence means (an `Option` does) or it ends
/// with `= default`.
macro_rules! file_table {
    ($(#[$outer:meta])* pub struct $name:ident as $what:literal {
        $( $(#[$inner:meta])* pub $field:ident : $type:ty $(= $default:ident)? ),* $(,)?
    }) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq, schemars::JsonSchema)]
        #[schemars(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct $name {
            $( $(#[$inner])* $(#[schemars($default)])? pub $field: $type, )*
        }

        impl $crate::source::Read for $name {
            fn read(
                node: &$crate::source::Node,
                problems: &mut $crate::source::Problems,
            ) -> Option<Self> {
                let mut table = $crate::source::Table::of($what, node, problems)?;
                $( let $field: Option<$type> =
                    $crate::source::file_table!(@field table problems $field $($default)?); )*
                table.finish(problems);
                Some(Self { $( $field: $field?, )* })
            }
        }
    };
    (@field $table:ident $problems:ident $field:ident) => {
        $table.read(&$crate::source::key_of(stringify!($field)), $problems)
    };
    (@field $table:ident $problems:ident $field:ident default) => {
        $table.read_or(&$crate::source::key_of(stringify!($field)), Default::default, $problems)
    };
}

/// Declares an enum of words: one word for each variant, in kebab case unless another is given.
macro_rules! file_words {
    ($(#[$outer:meta])* pub enum $name:ident as $what:literal {
        $( $(#[$inner:meta])* $variant:ident $(= $word:literal)? ),* $(,)?
    }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
        #[schemars(rename_all = "kebab-case")]
        pub enum $name {
            $( $(#[$inner])* $(#[schemars(rename = $word)])? $variant, )*
        }

        impl $name {
            /// Every one of them, in order.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),* ];

            /// The word that files write.
            pub fn word(self) -> String {
                match self {
                    $( Self::$variant => $crate::source::file_words!(@word $variant $($word)?), )*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.word())
            }
        }

        impl $crate::source::Read for $name {
            fn read(
                node: &$crate::source::Node,
                problems: &mut $crate::source::Problems,
            ) -> Option<Self> {
                let Some(written) = node.scalar() else {
                    return problems.expected($what, node);
                };
                let words: Vec<String> = Self::ALL.iter().map(|one| one.word()).collect();
                if let Some(at) = words.iter().position(|word| word == written) {
                    return Some(Self::ALL[at]);
                }
                problems.add(
                    $crate::source::Problem::new(
                        node.span,
                        format!("expected {}, found {}", $what, node.describe()),
                    )
                    .did_you_mean(written, words.iter().map(String::as_str)),
                )
            }
        }
    };
    (@word $variant:ident) => {
        $crate::source::key_of(stringify!($variant))
    };
    (@word $variant:ident $word:literal) => {
        $word.to_owned()
    };
}

pub(crate) use {file_table, file_words};

impl Read for String {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, quoted: true } => Some(text.clone()),
            Value::Scalar { text, .. }
                if !node.is_nothing()
                    && text.parse::<f64>().is_err()
                    && !matches!(text.as_str(), "true" | "false") =>
            {
                Some(text.clone())
            }
            Value::Scalar { text, .. } if !node.is_nothing() => {
                problems.expected_hint("a text", node, &format!("write it in quotes: \"{text}\""))
            }
            _ => problems.expected("a text", node),
        }
    }
}

impl Read for bool {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Scalar {
                text,
                quoted: false,
            } if matches!(text.as_str(), "true" | "false") => Some(text == "true"),
            _ => problems.expected("true or false", node),
        }
    }
}

macro_rules! read_integers {
    ($($integer:ty),*) => { $(
        impl Read for $integer {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                match &node.value {
                    Value::Scalar { text, quoted: false } => match text.parse() {
                        Ok(number) => Some(number),
                        Err(_) => problems.expected(
                            &format!("a whole number from {} to {}", <$integer>::MIN, <$integer>::MAX),
                            node,
                        ),
                    },
                    _ => problems.expected("a whole number", node),
                }
            }
        }
    )* };
}
read_integers!(u8, u16, u32, u64);

impl<T: Read> Read for Option<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::read(node, problems).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Read> Read for Spanned<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::read(node, problems).map(|value| Self {
            value,
            span: node.span,
        })
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: Read> Read for Box<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::read(node, problems).map(Box::new)
    }
}

/// Items that were refused are left out, so that the others are looked at as well.
impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::List(items) => Some(
                items
                    .iter()
                    .filter_map(|item| T::read(item, problems))
                    .collect(),
            ),
            _ => problems.expected_hint("a list", node, "write [a, b], or '- ' before each"),
        }
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum OneOrMore<T> {
    /// `a`
    One(T),
    /// `[a, b]`
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    /// The values.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

impl<T: Read> Read for OneOrMore<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::List(_) => Vec::read(node, problems).map(Self::More),
            _ => T::read(node, problems).map(Self::One),
        }
    }
}

/// A table whose keys are names that the file chooses, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T>(Vec<(Spanned<String>, T)>);

impl<T> Named<T> {
    /// The value under a name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0
            .iter()
            .find(|(known, _)| known.value == name)
            .map(|(_, value)| value)
    }

    /// Names with their places, and values, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Spanned<String>, &T)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The names in the order of the file.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.value.as_str())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By name, for those who want no order of the file's.
    pub fn to_map(&self) -> BTreeMap<&str, &T> {
        self.iter()
            .map(|(name, value)| (name.value.as_str(), value))
            .collect()
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<(Spanned<String>, T)> for Named<T> {
    fn from_iter<I: IntoIterator<Item = (Spanned<String>, T)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<T: Read> Read for Named<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return problems.expected("a table of names", node);
        };
        let read: Vec<Option<(Spanned<String>, T)>> = entries
            .iter()
            .map(|(key, value)| {
                let named = is_name(&key.value);
                if !named {
                    problems.add::<()>(
                        Problem::new(
                            key.span,
                            format!("expected a name, found '{}'", key.value),
                        )
                        .hint("a name has small letters, digits and dashes, and starts with a letter"),
                    );
                }
                T::read(value, problems).map(|value| (key.clone(), value))
            })
            .collect();
        read.into_iter().collect::<Option<Vec<_>>>().map(Self)
    }
}

/// Whether this can stand for something in a file: `wrong-code`, `slot2`.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .chars()
            .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-')
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<T>();
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z][a-z0-9-]*$" },
            "additionalProperties": values,
        })
    }
}
