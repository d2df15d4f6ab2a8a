//! What firmware logs over RTT: bytes in a ring in its RAM, which the debug probe reads while the core runs.
//!
//! They are lines of text, or defmt frames where the image's file has the words that belong to them. A log is read
//! when nothing else has to happen, so a line has no time of its own. It is lost where the ring overflows before it
//! is read, or the board loses its power.

use std::sync::Arc;

use defmt_decoder::{DecodeError, Encoding, Table};

use super::Bench;
use crate::driver::console::Console;
use crate::driver::probe::{Attach, Fault, Probe, ProbeTrouble};
use crate::driver::{DeviceTrouble, Driver};
use crate::event::Nanos;
use crate::image::Image;

/// A frame that cannot be told.
const CUT: &str = "(a line of which bytes are missing)";

/// The log of the board under test.
pub(super) struct Log {
    channel: usize,
    form: Form,
    /// Attached while the board has power.
    probe: Option<Probe>,
}

#[derive(Clone)]
enum Form {
    Text(Console),
    Defmt {
        table: Arc<Table>,
        /// The beginning of a frame.
        begun: Vec<u8>,
    },
}

impl Log {
    /// The log in this RTT channel.
    pub(super) fn new(channel: usize) -> Log {
        Log {
            channel,
            form: Form::Text(Console::new()),
            probe: None,
        }
    }

    /// The same for a second bench, which has a probe of its own.
    pub(super) fn fork(&self) -> Log {
        Log {
            channel: self.channel,
            form: self.form.clone(),
            probe: None,
        }
    }

    /// Ends the session: the board loses its power, or somebody else needs the probe.
    pub(super) fn let_go(&mut self) {
        self.probe = None;
        self.form.forget();
    }
}

impl Bench {
    /// Takes the words of the log from the image that was flashed.
    ///
    /// # Errors
    /// The image has words, and they cannot be read.
    pub fn log_like(&mut self, image: &Image) -> Result<(), DeviceTrouble> {
        if let Some(log) = &mut self.log {
            log.form = match image.words() {
                Ok(None) => Form::Text(Console::new()),
                Ok(Some(table)) => Form::Defmt {
                    table,
                    begun: Vec::new(),
                },
                Err(saw) => {
                    return Err(DeviceTrouble {
                        device: format!("image {}", image.name()),
                        doing: "reading the words of its log".to_owned(),
                        what: crate::driver::Trouble::Garbled,
                        saw,
                        hint: "build it with defmt 1, or leave 'log' out of [probe]".to_owned(),
                    });
                }
            };
        }
        Ok(())
    }

    /// Takes what the firmware has logged since this was called last. It takes bench time, as everything that a probe
    /// does. A board that cannot be asked, because it has no power or is locked, has logged nothing.
    ///
    /// # Errors
    /// The probe is gone.
    pub fn read_log(&mut self) -> Result<Vec<String>, DeviceTrouble> {
        let Some(mut log) = self.log.take() else {
            return Ok(Vec::new());
        };
        let read = self.read_ring(&mut log);
        let now = self.now();
        let lines = match read {
            Ok(bytes) => Ok(log.form.lines(now, &bytes)),
            Err(trouble) => {
                log.let_go();
                match trouble.fault {
                    Fault::Port(_) => Err(trouble.into()),
                    _ => Ok(Vec::new()),
                }
            }
        };
        self.log = Some(log);
        lines
    }

    fn read_ring(&mut self, log: &mut Log) -> Result<Vec<u8>, ProbeTrouble> {
        let probe = match &mut log.probe {
            Some(probe) => probe,
            none => {
                let file = self.file();
                let chip = file.chip.as_deref().unwrap_or_default();
                let mut probe = Probe::new(&file.name, chip);
                let how = Attach {
                    attempts_max: 1,
                    ..Attach::default()
                };
                probe.attach(&mut || self.probe_port(), how)?;
                none.insert(probe)
            }
        };
        match probe.read_rtt(log.channel) {
            // The firmware has not come so far, or has no log.
            Err(trouble) if trouble.fault == Fault::NoRtt => Ok(Vec::new()),
            read => read,
        }
    }
}

impl Form {
    fn forget(&mut self) {
        match self {
            Form::Text(console) => *console = Console::new(),
            Form::Defmt { begun, .. } => begun.clear(),
        }
    }

    /// The lines that end in these bytes.
    fn lines(&mut self, now: Nanos, bytes: &[u8]) -> Vec<String> {
        match self {
            Form::Text(console) => {
                console.receive(now, bytes);
                let lines = std::iter::from_fn(|| console.fact());
                lines.map(|(_, line)| line.text).collect()
            }
            Form::Defmt { table, begun } => {
                begun.extend_from_slice(bytes);
                match table.encoding() {
                    Encoding::Raw => raw(table, begun),
                    _ => rzcobs(table, begun),
                }
            }
        }
    }
}

fn raw(table: &Table, begun: &mut Vec<u8>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match table.decode(begun) {
            Ok((frame, length)) => {
                lines.push(frame.display(false).to_string());
                begun.drain(..length);
            }
            Err(DecodeError::UnexpectedEof) => return lines,
            // Nothing says where the next one begins.
            Err(DecodeError::Malformed) => {
                lines.push(CUT.to_owned());
                begun.clear();
                return lines;
            }
        }
    }
}

fn rzcobs(table: &Table, begun: &mut Vec<u8>) -> Vec<String> {
    let ended = begun.iter().rposition(|byte| *byte == 0);
    let whole: Vec<u8> = begun.drain(..ended.map_or(0, |last| last + 1)).collect();
    let mut decoder = table.new_stream_decoder();
    decoder.received(&whole);
    let mut lines = Vec::new();
    loop {
        match decoder.decode() {
            Ok(frame) => lines.push(frame.display(false).to_string()),
            Err(DecodeError::UnexpectedEof) => return lines,
            Err(DecodeError::Malformed) => lines.push(CUT.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CUT, Form};
    use crate::driver::console::Console;
    use crate::event::Nanos;
    use crate::image::{ChipMap, Image};

    #[test]
    fn text_is_told_by_lines_and_what_is_begun_is_kept() {
        let mut form = Form::Text(Console::new());
        assert_eq!(form.lines(Nanos(1), b"boot\r\nid"), ["boot"]);
        assert_eq!(form.lines(Nanos(2), b"le\n"), ["idle"]);
    }

    #[test]
    fn a_frame_that_is_no_frame_is_told_and_the_next_is_read() {
        let file = include_bytes!("../../../firmware/images/reference-safe-log.elf");
        let chip = ChipMap::of("nRF51822_xxAA").expect("a known chip");
        let image = Image::read("log", file, &chip).expect("a good image");
        let table = image.words().expect("good words").expect("it has some");
        let begun = Vec::new();
        let mut form = Form::Defmt { table, begun };
        assert_eq!(form.lines(Nanos(1), &[0x13, 0x37]), [""; 0]);
        assert_eq!(form.lines(Nanos(2), &[0x42, 0, 0x55]), [CUT]);
    }
}
