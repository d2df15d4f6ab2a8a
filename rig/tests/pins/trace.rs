//! What a trace says.

use std::time::Duration;

/// A hold.
pub struct Measured {
    pub asked: Duration,
    pub value: Duration,
}

/// A measurement in a trace.
pub fn measured(trace: &str, quantity: &str) -> Measured {
    let mut events = trace.lines().filter_map(|line| {
        let event: serde_json::Value = serde_json::from_str(line.trim()).ok()?;
        (event["quantity"] == quantity).then_some(event)
    });
    let event = events
        .next()
        .unwrap_or_else(|| panic!("no {quantity} in:\n{trace}"));
    let of =
        |name: &str| Duration::from_nanos(event[name].as_u64().expect("a number of nanoseconds"));
    Measured {
        asked: of("asked"),
        value: of("value"),
    }
}

/// When a line changed.
pub fn edges(trace: &str, line: &str) -> Vec<Duration> {
    let events = trace.lines().filter_map(|text| {
        let event: serde_json::Value = serde_json::from_str(text.trim()).ok()?;
        let of_line = event["event"] == "line-changed" && event["line"] == line;
        of_line.then(|| Duration::from_nanos(event["at"].as_u64().expect("a time")))
    });
    events.collect()
}
