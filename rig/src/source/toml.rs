//! TOML text to nodes. The crate recovers from syntax errors, so several are reported at once.

use toml::de::{DeTable, DeValue};

use super::{Node, Problem, Span, Spanned, Value};

pub(super) fn parse(text: &str) -> Result<Node, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(Node {
            span: Span {
                start: 0,
                end: text.len(),
            },
            value: entries(table.get_ref()),
        });
    }
    Err(errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or_default();
            Problem::new(
                Span {
                    start: span.start,
                    end: span.end,
                },
                format!("not TOML: {}", error.message().replace('\n', ", ")),
            )
        })
        .collect())
}

fn entries(table: &DeTable<'_>) -> Value {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| {
            let span = key.span();
            let key = Spanned::new(
                key.get_ref().to_string(),
                Span {
                    start: span.start,
                    end: span.end,
                },
            );
            (key, node(value))
        })
        .collect();
    entries.sort_by_key(|(key, _)| key.span);
    Value::Table(entries)
}

fn node(value: &toml::Spanned<DeValue<'_>>) -> Node {
    let plain = |text: String| Value::Scalar {
        text,
        quoted: false,
    };
    let span = value.span();
    Node {
        span: Span {
            start: span.start,
            end: span.end,
        },
        value: match value.get_ref() {
            DeValue::String(text) => Value::Scalar {
                text: text.to_string(),
                quoted: true,
            },
            DeValue::Integer(integer) => {
                let number = i128::from_str_radix(integer.as_str(), integer.radix());
                plain(number.map_or(integer.to_string(), |number| number.to_string()))
            }
            DeValue::Float(float) => plain(float.to_string()),
            DeValue::Boolean(boolean) => plain(boolean.to_string()),
            DeValue::Datetime(datetime) => plain(datetime.to_string()),
            DeValue::Array(items) => Value::List(items.iter().map(node).collect()),
            DeValue::Table(table) => entries(table),
        },
    }
}
