//! Quantities on the command line, written as in files: `150 ms`, `5s`, `9 V`.

use crate::event::Nanos;
use crate::quantity::Millivolts;
use crate::source::{Node, Problems, Read, Span, Value};

/// Reads a duration.
pub fn duration(text: &str) -> Result<Nanos, String> {
    quantity(text)
}

/// Reads a voltage.
pub fn voltage(text: &str) -> Result<Millivolts, String> {
    quantity(text)
}

fn quantity<Q: Read>(text: &str) -> Result<Q, String> {
    let node = Node {
        span: Span::default(),
        value: Value::Scalar {
            text: text.to_owned(),
            quoted: false,
        },
    };
    let mut problems = Problems::default();
    let read = Q::read(&node, &mut problems);
    let messages: Vec<String> = problems
        .into_vec()
        .into_iter()
        .map(|problem| match problem.hint {
            Some(hint) => format!("{}; {hint}", problem.message),
            None => problem.message,
        })
        .collect();
    read.filter(|_| messages.is_empty())
        .ok_or_else(|| messages.join("; "))
}
