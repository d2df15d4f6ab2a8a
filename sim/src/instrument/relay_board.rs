//! A 16-channel serial relay board of the common `A0 channel state checksum` kind, 9600 baud.
//!
//! State 0 opens, 1 closes; 2 opens, 3 closes, 4 toggles and 5 asks, each with a feedback frame
//! `A0 channel state checksum` that tells the coil, not the contact. The checksum is the sum of
//! the first three bytes. What does not add up is ignored without a word.

use crate::time::Ticks;

/// Channels, numbered from 1 on the wire.
pub const CHANNELS: usize = 16;

const START: u8 = 0xA0;
/// A frame that stops in the middle is forgotten after this pause.
const FRAME_PAUSE_MAX: Ticks = Ticks::from_millis(50);
/// From a frame's last stop bit to the start of its feedback.
const TURNAROUND: Ticks = Ticks::from_millis(1);

/// The board's controller: coils and the frame it is in the middle of.
#[derive(Clone, Debug, Hash, Default)]
pub struct RelayBoard {
    coils: u16,
    frame: [u8; 4],
    filled: usize,
    last_byte: Ticks,
}

/// What a byte led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// A coil that was switched: the channel, counted from 0, and its new state.
    pub switched: Option<(usize, bool)>,
    /// A feedback frame and when its first start bit may begin.
    pub feedback: Option<(Ticks, [u8; 4])>,
}

impl RelayBoard {
    /// Baud rate of the board's port.
    pub const BAUD: u64 = 9_600;

    /// Whether the channel's coil is on; channels count from 0.
    pub fn coil(&self, channel: usize) -> bool {
        self.coils & (1 << channel) != 0
    }

    /// A byte has arrived.
    pub fn receive(&mut self, now: Ticks, byte: u8) -> Outcome {
        if now.since(self.last_byte) > FRAME_PAUSE_MAX {
            self.filled = 0;
        }
        self.last_byte = now;
        self.frame[self.filled] = byte;
        self.filled += 1;
        self.skip_to_start(0);
        if self.filled < self.frame.len() {
            return Outcome::default();
        }
        let [start, channel, state, sum] = self.frame;
        if sum != checksum(start, channel, state) {
            // A start byte may hide among the three others.
            self.skip_to_start(1);
            return Outcome::default();
        }
        self.filled = 0;
        self.carry_out(now, channel, state)
    }

    fn carry_out(&mut self, now: Ticks, number: u8, state: u8) -> Outcome {
        if number == 0 || usize::from(number) > CHANNELS || state > 5 {
            return Outcome::default();
        }
        let channel = usize::from(number) - 1;
        let wanted = match state {
            0 | 2 => false,
            1 | 3 => true,
            4 => !self.coil(channel),
            _ => self.coil(channel),
        };
        let switched = (wanted != self.coil(channel)).then_some((channel, wanted));
        let bit = 1 << channel;
        self.coils = if wanted {
            self.coils | bit
        } else {
            self.coils & !bit
        };
        let told = u8::from(wanted);
        let feedback = (state >= 2).then(|| {
            (
                now + TURNAROUND,
                [START, number, told, checksum(START, number, told)],
            )
        });
        Outcome { switched, feedback }
    }

    fn skip_to_start(&mut self, from: usize) {
        let kept = &self.frame[..self.filled];
        let start = kept[from.min(kept.len())..]
            .iter()
            .position(|byte| *byte == START);
        let drop = start.map_or(self.filled, |place| place + from);
        self.frame.copy_within(drop..self.filled, 0);
        self.filled -= drop;
    }
}

fn checksum(start: u8, channel: u8, state: u8) -> u8 {
    start.wrapping_add(channel).wrapping_add(state)
}

#[cfg(test)]
mod tests {
    use super::{Outcome, RelayBoard};
    use crate::time::Ticks;

    fn send(board: &mut RelayBoard, bytes: &[u8]) -> Vec<Outcome> {
        bytes
            .iter()
            .map(|byte| board.receive(Ticks(5), *byte))
            .filter(|outcome| *outcome != Outcome::default())
            .collect()
    }

    #[test]
    fn a_frame_closes_a_channel_silently_or_with_feedback() {
        let mut board = RelayBoard::default();
        let seen = send(&mut board, &[0xA0, 1, 1, 0xA2]);
        assert_eq!(
            seen,
            [Outcome {
                switched: Some((0, true)),
                feedback: None
            }]
        );
        let seen = send(&mut board, &[0xA0, 16, 3, 0xB3]);
        assert_eq!(
            seen,
            [Outcome {
                switched: Some((15, true)),
                feedback: Some((Ticks(16_005), [0xA0, 16, 1, 0xB1])),
            }]
        );
        let seen = send(&mut board, &[0xA0, 16, 4, 0xB4]);
        assert_eq!(seen[0].switched, Some((15, false)));
        let seen = send(&mut board, &[0xA0, 1, 5, 0xA6]);
        assert_eq!(seen[0].switched, None);
        assert_eq!(seen[0].feedback.expect("an answer").1, [0xA0, 1, 1, 0xA2]);
    }

    #[test]
    fn what_does_not_add_up_is_ignored_and_the_next_frame_is_found() {
        let mut board = RelayBoard::default();
        assert_eq!(send(&mut board, &[0xA0, 1, 1, 0xFF]), []);
        assert_eq!(send(&mut board, &[0xA0, 17, 1, 0xB2]), []);
        assert_eq!(send(&mut board, &[0xA0, 0, 1, 0xA1]), []);
        assert_eq!(send(&mut board, &[0xA0, 1, 9, 0xAA]), []);
        assert_eq!(send(&mut board, &[0x13, 0x37]), []);
        // A truncated frame runs into a whole one.
        assert_eq!(send(&mut board, &[0xA0, 1, 0xA0, 2, 1, 0xA3]).len(), 1);
        assert!(board.coil(1) && !board.coil(0));
    }

    #[test]
    fn half_a_frame_is_forgotten_after_a_pause() {
        let mut board = RelayBoard::default();
        board.receive(Ticks::ZERO, 0xA0);
        board.receive(Ticks::ZERO, 1);
        let later = Ticks::from_millis(51);
        assert_eq!(board.receive(later, 1), Outcome::default());
        assert_eq!(board.receive(later, 0xA2), Outcome::default());
        assert!(!board.coil(0));
    }
}
