//! The trace of a run: events as JSON lines, written as they happen, read back with a version check.

use std::io::{self, Write};

use crate::event::{Event, FORMAT, Nanos, What};

/// Numbers events and writes each one as it happens, so that a run that is killed leaves a
/// readable file. Keeps them too: the checks of the run loop look back.
pub struct Recorder {
    out: Box<dyn Write + Send>,
    events: Vec<Event>,
    trouble: Option<io::Error>,
}

impl Recorder {
    /// Records to `out`, which should not be buffered by more than a run may lose.
    pub fn new(out: Box<dyn Write + Send>) -> Recorder {
        Recorder {
            out,
            events: Vec::new(),
            trouble: None,
        }
    }

    /// Records one fact and returns its number. A trace that cannot be written is kept in memory
    /// and reported by [`Recorder::finish`]: the board must still be brought to rest.
    pub fn record(&mut self, at: Nanos, what: What) -> u64 {
        let seq = self.events.len() as u64;
        let event = Event { seq, at, what };
        if self.trouble.is_none() {
            self.trouble = write_line(&mut self.out, &event).err();
        }
        self.events.push(event);
        seq
    }

    /// Everything recorded so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Flushes and returns the events, or why the trace is not whole.
    pub fn finish(mut self) -> (Vec<Event>, io::Result<()>) {
        let written = match self.trouble.take() {
            Some(trouble) => Err(trouble),
            None => self.out.flush(),
        };
        (self.events, written)
    }
}

fn write_line(out: &mut dyn Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A newer program wrote it.
    #[error(
        "line 1: the trace has format {found}, this lockrig reads up to {FORMAT}\nhint: read it with the lockrig that wrote it, or a newer one"
    )]
    Newer {
        /// Its format.
        found: u32,
    },
    /// It does not begin as a trace does.
    #[error(
        "line 1: expected the event 'started', found {found}\nhint: is this an events.jsonl of lockrig?"
    )]
    NotATrace {
        /// The beginning of what is there.
        found: String,
    },
    /// A line is no event of this format.
    #[error("line {line}: {why}\nhint: the {whole} lines before it are whole")]
    Garbled {
        /// Its number, from 1.
        line: usize,
        /// What the JSON reader says.
        why: String,
        /// How many lines can be used.
        whole: usize,
    },
}

/// Reads a trace.
///
/// # Errors
/// A newer format, something that is no trace, or a line that is cut or garbled; the message says
/// how far the trace is whole.
pub fn read(text: &str) -> Result<Vec<Event>, TraceError> {
    let first = text.lines().next().unwrap_or("");
    // The version is looked at before the rest of the line, which a newer program may have changed.
    let head: Option<serde_json::Value> = serde_json::from_str(first).ok();
    let is_start = head
        .as_ref()
        .is_some_and(|head| head.get("event").and_then(|event| event.as_str()) == Some("started"));
    if !is_start {
        let found: String = first.chars().take(40).collect();
        let found = match found.is_empty() {
            true => "nothing".to_owned(),
            false => format!("'{found}'"),
        };
        return Err(TraceError::NotATrace { found });
    }
    let format = head
        .as_ref()
        .and_then(|head| head.get("format"))
        .and_then(serde_json::Value::as_u64)
        .unwrap_or(0);
    if format > u64::from(FORMAT) {
        return Err(TraceError::Newer {
            found: u32::try_from(format).unwrap_or(u32::MAX),
        });
    }
    let mut events = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let event = serde_json::from_str(line).map_err(|why| TraceError::Garbled {
            line: index + 1,
            why: why.to_string(),
            whole: index,
        })?;
        events.push(event);
    }
    Ok(events)
}
