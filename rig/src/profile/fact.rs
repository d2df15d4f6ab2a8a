//! A fact that may be unknown.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::source::{Node, Problems, Read};

/// Something a source says, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fact<T> {
    /// A source says so.
    Known(T),
    /// Nobody has looked, or the source could not be read: `unknown`.
    #[default]
    Unknown,
    /// The source was read and is silent: `unspecified`.
    Unspecified,
}

impl<T> Fact<T> {
    /// The value, where a source gives one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown | Self::Unspecified => None,
        }
    }
}

impl<T: Read> Read for Fact<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar() {
            Some("unknown") => Some(Self::Unknown),
            Some("unspecified") => Some(Self::Unspecified),
            _ => T::read(node, problems).map(Self::Known),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Fact<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Fact_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let known = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "enum": ["unknown", "unspecified"] }, known] })
    }
}
