//! What can stand behind a step's key: a value, or `$name` for one that is filled in later.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::KnownCode;
use crate::source::{Node, Problem, Problems, Read, Span, Spanned, Value, is_name};

/// A value, or the name of a variant or parameter that gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg<T> {
    /// Written out.
    Value(T),
    /// `$name`
    Name(Spanned<String>),
}

/// A code: `$name` of one that the scenario declares, a known one by its word, or quoted digits
/// where the literal is the point.
#[derive(Clone, PartialEq, Eq)]
pub enum CodeWord {
    /// `$name`
    Name(Spanned<String>),
    /// `"000000"`
    Digits(Spanned<String>),
    /// `factory`
    Known(Spanned<KnownCode>),
}

/// A key of a cylinder: `$name` of one that the scenario declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyWord(pub Spanned<String>);

/// A value whose type only its use decides: an entry of `with` or `variants`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written(pub Node);

/// What `$name` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A value as it was written elsewhere.
    Written(Node),
    /// A code of the scenario, by its name there.
    Code(String),
    /// A code written out in digits.
    Digits(String),
    /// A code that the product or its manual gives.
    Known(KnownCode),
    /// A key of the scenario, by its name there.
    Key(String),
}

/// What each `$name` stands for at some point of a plan.
pub type Bindings = BTreeMap<String, Bound>;

/// The name behind a `$`, if that is what was written. A `$` before something else is a problem.
fn name_of(node: &Node, problems: &mut Problems) -> Option<Option<Spanned<String>>> {
    let Some(name) = node.scalar().and_then(|text| text.strip_prefix('$')) else {
        return Some(None);
    };
    if is_name(name) {
        return Some(Some(Spanned::new(name.to_owned(), node.span)));
    }
    problems.expected("a name after '$'", node)
}

impl<T: Read> Read for Arg<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match name_of(node, problems)? {
            Some(name) => Some(Self::Name(name)),
            None => T::read(node, problems).map(Self::Value),
        }
    }
}

impl<T: Default> Default for Arg<T> {
    fn default() -> Self {
        Self::Value(T::default())
    }
}

impl<T: Read + Clone> Arg<T> {
    /// The value, looked up and read where a name stands.
    pub fn resolve(&self, bindings: &Bindings, problems: &mut Problems) -> Option<T> {
        let name = match self {
            Self::Value(value) => return Some(value.clone()),
            Self::Name(name) => name,
        };
        match bindings.get(&name.value) {
            Some(Bound::Written(node)) => {
                let mut own = Problems::default();
                let value = T::read(node, &mut own);
                for problem in own.into_vec() {
                    // The value may stand in another file than its use.
                    problems.add::<()>(Problem {
                        span: name.span,
                        message: format!("'${}': {}", name.value, problem.message),
                        hint: problem.hint,
                    });
                }
                value
            }
            Some(bound) => {
                let what = match bound {
                    Bound::Key(_) => "a key",
                    _ => "a code",
                };
                problems.add(Problem::new(
                    name.span,
                    format!("'${}' is {what}, which cannot stand here", name.value),
                ))
            }
            None => problems.add(undeclared(name, bindings.keys().map(String::as_str))),
        }
    }
}

impl<T> Arg<T> {
    /// The name, where one stands.
    pub fn name(&self) -> Option<&Spanned<String>> {
        match self {
            Self::Value(_) => None,
            Self::Name(name) => Some(name),
        }
    }
}

/// A name that nothing declares.
pub(crate) fn undeclared<'n>(
    name: &Spanned<String>,
    known: impl IntoIterator<Item = &'n str>,
) -> Problem {
    let known: Vec<String> = known.into_iter().map(|name| format!("${name}")).collect();
    Problem::new(name.span, format!("nothing declares '${}'", name.value)).did_you_mean(
        &format!("${}", name.value),
        known.iter().map(String::as_str),
    )
}

impl CodeWord {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Name(text) | Self::Digits(text) => text.span,
            Self::Known(known) => known.span,
        }
    }

    /// What it stands for: a scenario's code or digits.
    pub fn resolve(&self, bindings: &Bindings, problems: &mut Problems) -> Option<Bound> {
        let name = match self {
            Self::Digits(digits) => return Some(Bound::Digits(digits.value.clone())),
            Self::Known(known) => return Some(Bound::Known(known.value)),
            Self::Name(name) => name,
        };
        match bindings.get(&name.value) {
            Some(Bound::Written(node)) => known_code(node).map(Bound::Known).or_else(|| {
                let found = node.describe();
                problems.add(Problem::new(
                    name.span,
                    format!("expected a code, found {found} behind '${}'", name.value),
                ))
            }),
            Some(code) => Some(code.clone()),
            None => problems.add(undeclared(name, bindings.keys().map(String::as_str))),
        }
    }
}

impl KeyWord {
    /// The name in the scenario of the key that it stands for.
    pub fn resolve(&self, bindings: &Bindings, problems: &mut Problems) -> Option<String> {
        let name = &self.0;
        match bindings.get(&name.value) {
            Some(Bound::Key(key)) => Some(key.clone()),
            Some(_) => problems.add(
                Problem::new(name.span, format!("'${}' is no key", name.value))
                    .hint("declare it under keys: current, other, blank or unsupported"),
            ),
            None => problems.add(undeclared(name, bindings.keys().map(String::as_str))),
        }
    }
}

impl Read for KeyWord {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match name_of(node, problems)? {
            Some(name) => Some(Self(name)),
            None => problems.expected_hint("a key", node, "write $name"),
        }
    }
}

/// Digits are a secret even in a literal: only the bench sees them.
impl std::fmt::Debug for CodeWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(f, "${}", name.value),
            Self::Digits(digits) => write!(f, "a code of {} digits", digits.value.len()),
            Self::Known(known) => write!(f, "{}", known.value),
        }
    }
}

impl Read for CodeWord {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let Some(name) = name_of(node, problems)? {
            return Some(Self::Name(name));
        }
        if let Some(known) = known_code(node) {
            return Some(Self::Known(Spanned::new(known, node.span)));
        }
        if let Some(word) = node.scalar().filter(|word| is_name(word)) {
            let words: Vec<String> = KnownCode::ALL.iter().map(|known| known.word()).collect();
            let known = words.iter().map(String::as_str);
            let found = format!("expected a code, found {}", node.describe());
            return problems.add(
                Problem::new(node.span, found)
                    .did_you_mean(word, known.chain(["$name", "\"digits in quotes\""])),
            );
        }
        read_digits(node, problems).map(Self::Digits)
    }
}

/// The known code that a word stands for, if it does.
pub(crate) fn known_code(node: &Node) -> Option<KnownCode> {
    let Value::Scalar {
        text,
        quoted: false,
    } = &node.value
    else {
        return None;
    };
    let mut known = KnownCode::ALL.iter();
    known.find(|known| known.word() == *text).copied()
}

/// Quoted digits, at least one.
pub(crate) fn read_digits(node: &Node, problems: &mut Problems) -> Option<Spanned<String>> {
    match &node.value {
        Value::Scalar { text, quoted: true }
            if !text.is_empty() && text.bytes().all(|one| one.is_ascii_digit()) =>
        {
            Some(Spanned::new(text.clone(), node.span))
        }
        Value::Scalar { text, quoted: true } if text.is_empty() => {
            problems.expected_hint("a code", node, "a code has at least one digit")
        }
        Value::Scalar {
            text,
            quoted: false,
        } if text.bytes().all(|one| one.is_ascii_digit()) && !text.is_empty() => {
            problems.expected_hint("a code", node, &format!("write it in quotes: \"{text}\""))
        }
        _ => problems.expected_hint("a code", node, "write $name or \"digits in quotes\""),
    }
}

impl Written {
    /// The name, where `$name` stands; else the value as it was written.
    pub fn name(&self) -> Result<Spanned<String>, &Node> {
        match self.0.scalar().and_then(|text| text.strip_prefix('$')) {
            Some(name) => Ok(Spanned::new(name.to_owned(), self.0.span)),
            None => Err(&self.0),
        }
    }
}

impl Read for Written {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar() {
            Some(_) => Some(Self(node.clone())),
            None => problems.expected("a single value", node),
        }
    }
}

const NAME_PATTERN: &str = r"^\$[a-z][a-z0-9-]*$";

impl<T: JsonSchema> JsonSchema for Arg<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Arg_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [value, { "type": "string", "pattern": NAME_PATTERN }] })
    }
}

impl JsonSchema for CodeWord {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Code".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<String> = KnownCode::ALL.iter().map(|known| known.word()).collect();
        json_schema!({
            "description": "$name of a declared code, a known one, or digits in quotes",
            "type": "string",
            "pattern": format!(r"^(\$[a-z][a-z0-9-]*|[0-9]+|{})$", words.join("|")),
        })
    }
}

impl JsonSchema for KeyWord {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Key".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "$name of a declared key",
            "type": "string",
            "pattern": NAME_PATTERN,
        })
    }
}

impl JsonSchema for Written {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A value; what it may be depends on where it is used",
            "type": ["string", "number", "boolean"],
        })
    }
}
