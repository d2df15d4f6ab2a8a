//! The trace of a run: events as JSON lines, written as they happen, read back with a version check.

use std::io::{self, Write};

use crate::event::{Event, FORMAT, Nanos, What};

/// Numbers events and writes each one as it happens, so that a run that is killed leaves a
/// readable file. Keeps them too: the checks of the run loop look back.
pub struct Recorder {
    out: Box<dyn Write + Send>,
    line: Vec<u8>,
    events: Vec<Event>,
    trouble: Option<io::Error>,
}

impl Recorder {
    /// Records to `out`, a line at a time; it should hold back no more than a run may lose.
    pub fn new(out: Box<dyn Write + Send>) -> Recorder {
        Recorder {
            out,
            line: Vec::new(),
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
            self.trouble = self.write_line(&event).err();
        }
        self.events.push(event);
        seq
    }

    fn write_line(&mut self, event: &Event) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, event)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
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
    match read_as_far_as_whole(text) {
        (events, None) => Ok(events),
        (_, Some(why)) => Err(why),
    }
}

/// Reads a trace up to the first line that is cut or garbled, and says what is wrong there.
pub fn read_as_far_as_whole(text: &str) -> (Vec<Event>, Option<TraceError>) {
    let mut events = Vec::new();
    let wrong = check_beginning(text).and_then(|()| read_lines(text, &mut events));
    (events, wrong.err())
}

fn check_beginning(text: &str) -> Result<(), TraceError> {
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
    Ok(())
}

fn read_lines(text: &str, events: &mut Vec<Event>) -> Result<(), TraceError> {
    for (index, line) in text.lines().enumerate() {
        let event = serde_json::from_str(line).map_err(|why| TraceError::Garbled {
            line: index + 1,
            why: complaint(&why),
            whole: index,
        })?;
        events.push(event);
    }
    Ok(())
}

/// What the JSON reader says, which takes every line for the first one.
fn complaint(why: &serde_json::Error) -> String {
    let column = why.column();
    if why.is_eof() {
        return format!("cut after column {column}");
    }
    let words = why.to_string();
    let what = words.split(" at line ").next().unwrap_or_default();
    format!("{what} at column {column}")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rstest::rstest;

    use super::*;

    const STARTED: &str = r#"{"seq":0,"at":0,"event":"started","format":1,"seed":7,"scenario":"s","variant":"","profile":"p","bench":"b","files":[]}"#;
    const FINISHED: &str = r#"{"seq":1,"at":5,"event":"step-finished","step":1}"#;

    fn message(text: &str) -> String {
        read(text).expect_err("it cannot be read").to_string()
    }

    /// Memory that stays readable, and a disk that is full after some bytes.
    #[derive(Clone)]
    struct Disk {
        written: Arc<Mutex<Vec<u8>>>,
        size: usize,
    }

    impl Disk {
        fn of(size: usize) -> Disk {
            let written = Arc::default();
            Disk { written, size }
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.written.lock().expect("nobody panics with it");
            if written.len() + bytes.len() > self.size {
                return Err(io::Error::other("the disk is full"));
            }
            written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record(disk: &Disk) -> (Vec<Event>, io::Result<()>) {
        let mut recorder = Recorder::new(Box::new(disk.clone()));
        let started = serde_json::from_str::<Event>(STARTED).expect("an event");
        assert_eq!(recorder.record(Nanos::ZERO, started.what), 0);
        assert_eq!(recorder.record(Nanos(5), What::StepFinished { step: 1 }), 1);
        assert_eq!(recorder.events().len(), 2);
        recorder.finish()
    }

    #[test]
    fn what_was_recorded_is_read_back() {
        let disk = Disk::of(usize::MAX);
        let (events, written) = record(&disk);
        written.expect("there is room");
        let text = disk.written.lock().expect("nobody panics with it").clone();
        let text = String::from_utf8(text).expect("JSON is text");
        assert_eq!(text, format!("{STARTED}\n{FINISHED}\n"));
        assert_eq!(read(&text).expect("it is a trace"), events);
    }

    #[test]
    fn a_trace_that_cannot_be_written_is_kept_and_told_at_the_end() {
        let (events, written) = record(&Disk::of(20));
        assert_eq!(events.len(), 2);
        let why = written.expect_err("there was no room").to_string();
        assert!(why.contains("the disk is full"), "{why}");
    }

    #[test]
    fn a_trace_of_this_version_is_read() {
        let today = STARTED.replace(r#""format":1"#, &format!(r#""format":{FORMAT}"#));
        assert_eq!(read(&today).expect("it is read").len(), 1);
    }

    #[test]
    fn a_newer_trace_is_refused_whatever_else_it_says() {
        insta::assert_snapshot!(
            message(r#"{"event":"started","format":8,"new":"field"}"#),
            @"
        line 1: the trace has format 8, this lockrig reads up to 7
        hint: read it with the lockrig that wrote it, or a newer one
        "
        );
        let far = message(r#"{"event":"started","format":99999999999}"#);
        assert!(far.contains("format 4294967295"), "{far}");
    }

    #[rstest]
    #[case("", "nothing")]
    #[case("\n", "nothing")]
    #[case("hello", "'hello'")]
    #[case(r#"{"event":"finished"}"#, r#"'{"event":"finished"}'"#)]
    #[case(r#"["started"]"#, r#"'["started"]'"#)]
    #[case(
        "µ2345678901234567890123456789012345678901",
        "'µ234567890123456789012345678901234567890'"
    )]
    fn something_that_is_no_trace_is_refused(#[case] text: &str, #[case] found: &str) {
        assert_eq!(
            message(text),
            format!(
                "line 1: expected the event 'started', found {found}\nhint: is this an events.jsonl of lockrig?"
            )
        );
    }

    /// A run that was killed leaves a line that is cut anywhere.
    #[test]
    fn a_cut_line_is_named_and_what_is_whole() {
        let whole = format!("{STARTED}\n{FINISHED}\n");
        for cut in STARTED.len() + 2..whole.len() - 1 {
            let message = message(&whole[..cut]);
            assert!(message.starts_with("line 2: "), "{message}");
            assert!(message.ends_with("hint: the 1 lines before it are whole"));
        }
        assert_eq!(
            read(&whole[..whole.len() - 1]).map(|all| all.len()).ok(),
            Some(2)
        );
        assert_eq!(
            read(&whole[..=STARTED.len()]).map(|all| all.len()).ok(),
            Some(1)
        );
    }

    #[test]
    fn a_garbled_line_is_named_and_what_is_whole() {
        insta::assert_snapshot!(
            message(&format!("{STARTED}\n{FINISHED}\nx\n{FINISHED}\n")),
            @"
        line 3: expected value at column 1
        hint: the 2 lines before it are whole
        "
        );
    }
}
