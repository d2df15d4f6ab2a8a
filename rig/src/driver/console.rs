//! The board's serial console: bytes become lines with the time of their last byte.
//!
//! Nothing is lost and nothing is guessed: what is not UTF-8, and every control character, is kept
//! as `\xNN`, and a backslash as `\\`. A prompt has no line end: what stands there when the board
//! pauses is a line too, and says that it was ended by the pause.

use std::collections::VecDeque;

use super::Driver;
use crate::event::Nanos;

/// A longer line is cut into pieces of this many bytes.
pub const LINE_MAX: usize = 512;
/// When nothing comes for so long, what has come is told without waiting for a line end.
pub const PAUSE_MAX: Nanos = Nanos::from_millis(100);

/// A line from the console.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Its text without the line end, what is not text escaped.
    pub text: String,
    /// Why it ends here.
    pub ended: Ended,
}

/// Why a line ends where it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// `\n`, or `\r\n`.
    LineEnd,
    /// The board paused for [`PAUSE_MAX`]; more of this line may follow.
    Pause,
    /// It is [`LINE_MAX`] long; the rest follows.
    Full,
}

/// The driver.
#[derive(Clone, Debug, Default)]
pub struct Console {
    outbox: Vec<u8>,
    line: Vec<u8>,
    last_byte: Nanos,
    lines: VecDeque<(Nanos, Line)>,
}

impl Console {
    /// A console that has said nothing yet.
    pub fn new() -> Console {
        Console::default()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.outbox.extend_from_slice(bytes);
    }

    fn end(&mut self, at: Nanos, ended: Ended) {
        let line = std::mem::take(&mut self.line);
        self.lines.push_back((
            at,
            Line {
                text: escape(&line),
                ended,
            },
        ));
    }
}

impl Driver for Console {
    type Fact = Line;

    fn receive(&mut self, at: Nanos, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => {
                    if self.line.last() == Some(&b'\r') {
                        self.line.pop();
                    }
                    self.end(at, Ended::LineEnd);
                }
                byte => {
                    self.line.push(*byte);
                    if self.line.len() >= LINE_MAX {
                        self.end(at, Ended::Full);
                    }
                }
            }
        }
        self.last_byte = at;
    }

    fn tick(&mut self, now: Nanos) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.end(self.last_byte, Ended::Pause);
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        (!self.line.is_empty()).then(|| self.last_byte + PAUSE_MAX)
    }

    fn outbox(&mut self, _now: Nanos) -> Vec<u8> {
        std::mem::take(&mut self.outbox)
    }

    fn fact(&mut self) -> Option<(Nanos, Line)> {
        self.lines.pop_front()
    }
}

/// Text as it is; what is not text as `\xNN`.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\t' => text.push('\t'),
                control if control.is_control() => {
                    let mut utf8 = [0; 4];
                    hex(control.encode_utf8(&mut utf8).as_bytes(), &mut text);
                }
                character => text.push(character),
            }
        }
        hex(chunk.invalid(), &mut text);
    }
    text
}

fn hex(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        text.push_str(&format!("\\x{byte:02X}"));
    }
}

#[cfg(test)]
mod tests {
    use super::{Console, Driver, Ended, LINE_MAX, PAUSE_MAX};
    use crate::event::Nanos;

    fn lines(console: &mut Console) -> Vec<(u64, String, Ended)> {
        std::iter::from_fn(|| console.fact())
            .map(|(at, line)| (at.0, line.text, line.ended))
            .collect()
    }

    #[test]
    fn a_line_has_the_time_of_its_last_byte() {
        let mut console = Console::new();
        console.receive(Nanos(10), b"boot reason=po");
        console.receive(Nanos(20), b"wer-on\r\nid");
        assert_eq!(
            lines(&mut console),
            [(20, "boot reason=power-on".into(), Ended::LineEnd)]
        );
        console.receive(Nanos(30), b"le\n\n");
        assert_eq!(
            lines(&mut console),
            [
                (30, "idle".into(), Ended::LineEnd),
                (30, String::new(), Ended::LineEnd)
            ]
        );
        assert_eq!(console.deadline(), None);
    }

    #[test]
    fn a_prompt_is_told_when_the_board_pauses() {
        let mut console = Console::new();
        console.receive(Nanos(10), b">>> ");
        assert_eq!(console.deadline(), Some(Nanos(10) + PAUSE_MAX));
        console.tick(Nanos(10) + PAUSE_MAX);
        assert_eq!(lines(&mut console), [(10, ">>> ".into(), Ended::Pause)]);
        assert_eq!(console.deadline(), None);
    }

    #[test]
    fn what_is_not_text_is_kept_escaped() {
        let mut console = Console::new();
        console.receive(Nanos(1), b"a\xFFb\\c\x1b[0m \xC3\xA4 \xE2\x82\n");
        assert_eq!(
            lines(&mut console)[0].1,
            "a\\xFFb\\\\c\\x1B[0m ä \\xE2\\x82"
        );
    }

    #[test]
    fn an_endless_line_is_cut_into_pieces() {
        let mut console = Console::new();
        console.receive(Nanos(1), &[b'x'; LINE_MAX + 1]);
        let lines = lines(&mut console);
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].1.len(), lines[0].2), (LINE_MAX, Ended::Full));
    }

    #[test]
    fn what_is_sent_leaves_unchanged() {
        let mut console = Console::new();
        console.send(b"?\n");
        assert_eq!(console.outbox(Nanos::ZERO), b"?\n");
        assert_eq!(console.outbox(Nanos::ZERO), b"");
    }
}
