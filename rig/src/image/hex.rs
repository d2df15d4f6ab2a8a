//! Intel HEX: the bytes of its data records, every line checked.

use ihex::{ReaderError, Record};

use super::Refusal;
use super::contents::{Contents, Segment};

pub(super) fn contents(bytes: &[u8]) -> Result<Contents, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|error| Refusal::BadRecord {
        line: 1 + bytes[..error.valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count(),
        seen: "a byte that is no text".into(),
    })?;
    let text = text.trim_start_matches('\u{FEFF}');
    let (mut base, mut last_line) = (0_u32, 0);
    let mut pieces: Vec<Segment> = Vec::new();
    // The last line, if nothing ends it.
    let unfinished = if text.ends_with('\n') {
        0
    } else {
        text.lines().count()
    };
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let record = line.trim();
        if record.is_empty() {
            continue;
        }
        last_line = number;
        let cut_short = number == unfinished;
        match Record::from_record_string(record)
            .map_err(|error| refusal(error, record, number, cut_short))?
        {
            Record::Data { offset, value } => add(&mut pieces, base, offset, value),
            Record::ExtendedSegmentAddress(segment) => base = u32::from(segment) * 16,
            Record::ExtendedLinearAddress(upper) => base = u32::from(upper) << 16,
            Record::StartSegmentAddress { .. } | Record::StartLinearAddress(_) => {}
            Record::EndOfFile => return Ok(Contents::of(pieces)?),
        }
    }
    Err(Refusal::Truncated {
        line: last_line,
        place: "without an end-of-file record",
    })
}

/// Offsets wrap within 64 KiB, as the format says.
fn add(pieces: &mut Vec<Segment>, base: u32, offset: u16, mut bytes: Vec<u8>) {
    let room = 0x1_0000 - usize::from(offset);
    let wrapped = bytes.split_off(bytes.len().min(room));
    for (offset, bytes) in [(offset, bytes), (0, wrapped)] {
        let address = base.wrapping_add(u32::from(offset));
        // Records mostly follow each other; joining them here keeps the sort that follows short.
        match pieces.last_mut() {
            Some(last) if last.end() == u64::from(address) => last.bytes.extend(bytes),
            _ => pieces.push(Segment { address, bytes }),
        }
    }
}

fn refusal(error: ReaderError, record: &str, line: usize, cut_short: bool) -> Refusal {
    if cut_short && is_start_of_record(record) {
        return Refusal::Truncated {
            line,
            place: "within a record",
        };
    }
    match error {
        ReaderError::ChecksumMismatch(computed, found) => Refusal::BadChecksum {
            line,
            found,
            computed,
        },
        ReaderError::UnsupportedRecordType(kind @ 0x0A..=0x0E) => {
            Refusal::UniversalHex { line, kind }
        }
        ReaderError::MissingStartCode => Refusal::BadRecord {
            line,
            seen: format!(
                "expected a record that starts with ':', saw \"{}\"",
                shown(record)
            ),
        },
        other => Refusal::BadRecord {
            line,
            seen: other.to_string(),
        },
    }
}

/// A record that has fewer characters than its own length field asks for.
fn is_start_of_record(record: &str) -> bool {
    let Some(digits) = record.strip_prefix(':') else {
        return false;
    };
    let length = digits
        .get(..2)
        .and_then(|two| u8::from_str_radix(two, 16).ok());
    digits.chars().all(|digit| digit.is_ascii_hexdigit())
        && length.is_none_or(|length| digits.len() < 2 * (usize::from(length) + 5))
}

/// The start of a line, short enough for a message.
fn shown(line: &str) -> String {
    const SHOWN_MAX: usize = 24;
    let start: String = line.chars().take(SHOWN_MAX).collect();
    start.escape_debug().to_string()
}
