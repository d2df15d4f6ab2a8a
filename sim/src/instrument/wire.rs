//! One direction of a serial line: bytes take their time, one after another.

use std::collections::VecDeque;

use crate::time::Ticks;

/// Bytes under way, 8N1.
#[derive(Clone, Debug, Hash)]
pub struct Wire {
    baud: u64,
    /// When the line is free again, in ticks times the baud rate, so that no byte is rounded on
    /// top of another's rounding.
    free_at: u128,
    under_way: VecDeque<(Ticks, u8)>,
}

/// Start bit, eight data bits, stop bit.
const BITS_PER_BYTE: u64 = 10;

impl Wire {
    /// An idle line.
    pub fn new(baud: u64) -> Wire {
        Wire {
            baud,
            free_at: 0,
            under_way: VecDeque::new(),
        }
    }

    /// Puts bytes on the line; the first starts at `now` or once the line is free.
    pub fn send(&mut self, now: Ticks, bytes: &[u8]) {
        self.free_at = self.free_at.max(u128::from(now.0) * u128::from(self.baud));
        for byte in bytes {
            self.free_at += u128::from(BITS_PER_BYTE * Ticks::HERTZ);
            let arrives = self.free_at.div_ceil(u128::from(self.baud)) as u64;
            self.under_way.push_back((Ticks(arrives), *byte));
        }
    }

    /// When the next byte's stop bit ends.
    pub fn next(&self) -> Ticks {
        self.under_way.front().map_or(Ticks::NEVER, |(at, _)| *at)
    }

    /// The byte whose stop bit has ended by `now`.
    pub fn receive(&mut self, now: Ticks) -> Option<u8> {
        if self.next() > now {
            return None;
        }
        self.under_way.pop_front().map(|(_, byte)| byte)
    }

    /// Forgets what is under way, as when the sender loses its power.
    pub fn drop_all(&mut self) {
        self.under_way.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Wire;
    use crate::time::Ticks;

    #[test]
    fn bytes_follow_each_other_at_the_baud_rate_without_drift() {
        let mut wire = Wire::new(9_600);
        wire.send(Ticks(100), &[0; 96]);
        let mut last = Ticks::ZERO;
        while wire.next() != Ticks::NEVER {
            last = wire.next();
            assert_eq!(wire.receive(last - Ticks(1)), None);
            assert_eq!(wire.receive(last), Some(0));
        }
        // 960 bits at 9600 baud.
        assert_eq!(last, Ticks(100) + Ticks::from_millis(100));
    }

    #[test]
    fn an_idle_line_starts_at_once_and_a_busy_one_queues() {
        let mut wire = Wire::new(115_200);
        wire.send(Ticks(16_000), b"a");
        wire.send(Ticks(16_001), b"b");
        assert_eq!(wire.next(), Ticks(16_000 + 1_389));
        assert_eq!(wire.receive(Ticks(20_000)), Some(b'a'));
        assert_eq!(wire.next(), Ticks(16_000 + 2_778));
    }
}
