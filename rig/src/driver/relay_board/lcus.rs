//! The frames of the common serial relay board: `A0 channel state checksum`, in both directions.
//!
//! Only the forms with feedback are used (2 opens, 3 closes): the board answers each with the state of the coil.
//! At 9600 baud an order takes about 10 ms.

use super::Heard;

const START: u8 = 0xA0;
const OPEN_WITH_FEEDBACK: u8 = 2;
const CLOSE_WITH_FEEDBACK: u8 = 3;
const FRAME: usize = 4;

pub(super) fn order(channel: u8, closed: bool) -> Vec<u8> {
    let state = match closed {
        true => CLOSE_WITH_FEEDBACK,
        false => OPEN_WITH_FEEDBACK,
    };
    vec![START, channel, state, checksum(channel, state)]
}

/// The next frame, and how many bytes before it belong to none; none until more has come.
pub(super) fn hear(received: &mut Vec<u8>, garbage: &mut usize) -> Option<Heard> {
    loop {
        let start = received.iter().position(|byte| *byte == START);
        let skipped = start.unwrap_or(received.len());
        *garbage += skipped;
        received.drain(..skipped);
        let &[_, channel, state, sum] = received.first_chunk::<FRAME>()?;
        if sum == checksum(channel, state) && state <= 1 {
            received.drain(..FRAME);
            let closed = state == 1;
            return Some(Heard::Coil { channel, closed });
        }
        // A start byte may hide among the other three.
        *garbage += 1;
        received.drain(..1);
    }
}

fn checksum(channel: u8, state: u8) -> u8 {
    START.wrapping_add(channel).wrapping_add(state)
}
