//! The keypad matrix, by connectivity: a closed key joins its row and its column into one net.
//!
//! Ghosting needs no rule of its own. Three closed corners of a rectangle join two rows and two
//! columns into one net, and the fourth key reads as pressed because it is.

/// How many rows the matrix has.
pub const ROWS: usize = 4;
/// How many columns the matrix has.
pub const COLUMNS: usize = 3;
/// Nets of the matrix: its rows, then its columns.
pub const NETS: usize = ROWS + COLUMNS;
/// The keys in matrix order, row by row.
pub const KEYS: [char; ROWS * COLUMNS] =
    ['1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '0', '#'];

/// What one pin does to its net.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Drive {
    /// High impedance.
    #[default]
    Floating,
    /// A resistor to the supply.
    PullUp,
    /// A resistor to ground.
    PullDown,
    /// An output at high level.
    High,
    /// An output at low level.
    Low,
}

impl Drive {
    const fn bit(self) -> u8 {
        match self {
            Drive::Floating => 0,
            Drive::PullUp => 1,
            Drive::PullDown => 2,
            Drive::High => 4,
            Drive::Low => 8,
        }
    }
}

/// Which keys are closed, and which nets are one because of it.
#[derive(Clone, Debug, Hash)]
pub struct Keypad {
    closed: u16,
    joined: [u8; NETS],
}

impl Default for Keypad {
    fn default() -> Keypad {
        let mut keypad = Keypad {
            closed: 0,
            joined: [0; NETS],
        };
        keypad.join();
        keypad
    }
}

impl Keypad {
    /// Whether any key is closed.
    pub fn any_closed(&self) -> bool {
        self.closed != 0
    }

    /// Opens or closes the key at this place of [`KEYS`].
    pub fn set(&mut self, key: usize, closed: bool) {
        let bit = 1 << key;
        self.closed = if closed {
            self.closed | bit
        } else {
            self.closed & !bit
        };
        self.join();
    }

    /// The level of every net, as a mask: rows from bit 0, columns after them.
    ///
    /// An output beats a pull, low beats high (a short between outputs: the n-channel side is the
    /// stronger), a pull-up beats a pull-down, and a net that nothing drives reads low.
    pub fn levels(&self, drives: [Drive; NETS]) -> u8 {
        let mut levels = 0;
        for (net, drive) in drives.iter().enumerate() {
            let mut seen = drive.bit();
            if self.closed != 0 {
                for (other, drive) in drives.iter().enumerate() {
                    if self.joined[net] & (1 << other) != 0 {
                        seen |= drive.bit();
                    }
                }
            }
            let high = seen & Drive::Low.bit() == 0
                && seen & (Drive::High.bit() | Drive::PullUp.bit()) != 0;
            levels |= u8::from(high) << net;
        }
        levels
    }

    fn join(&mut self) {
        for (net, joined) in self.joined.iter_mut().enumerate() {
            *joined = 1 << net;
        }
        // A chain through the matrix crosses each net at most once.
        for _ in 0..NETS {
            for key in 0..ROWS * COLUMNS {
                if self.closed & (1 << key) != 0 {
                    let (row, column) = (key / COLUMNS, ROWS + key % COLUMNS);
                    let both = self.joined[row] | self.joined[column];
                    for net in 0..NETS {
                        if both & (1 << net) != 0 {
                            self.joined[net] |= both;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Drive, KEYS, Keypad, NETS, ROWS};

    /// What a scan sees: rows driven low one at a time, columns pulled up.
    fn scan(keypad: &Keypad) -> String {
        let mut seen = String::new();
        for row in 0..ROWS {
            let mut drives = [Drive::Floating; NETS];
            drives[row] = Drive::Low;
            drives[ROWS..].fill(Drive::PullUp);
            let levels = keypad.levels(drives);
            for column in 0..COLUMNS {
                if levels & (1 << (ROWS + column)) == 0 {
                    seen.push(KEYS[row * COLUMNS + column]);
                }
            }
        }
        seen
    }

    fn press(keys: &str) -> Keypad {
        let mut keypad = Keypad::default();
        for key in keys.chars() {
            let place = KEYS.iter().position(|name| *name == key);
            keypad.set(place.expect("a key of the matrix"), true);
        }
        keypad
    }

    #[test]
    fn every_single_key_is_seen_alone() {
        assert_eq!(scan(&press("")), "");
        for key in KEYS {
            assert_eq!(scan(&press(&key.to_string())), key.to_string());
        }
    }

    #[test]
    fn two_keys_never_ghost() {
        assert_eq!(scan(&press("15")), "15");
        assert_eq!(scan(&press("13")), "13");
        assert_eq!(scan(&press("*#")), "*#");
    }

    #[test]
    fn three_corners_of_a_rectangle_close_the_fourth() {
        assert_eq!(scan(&press("124")), "1245");
        assert_eq!(scan(&press("1#3")), "13*#");
    }

    #[test]
    fn a_released_key_leaves_its_net() {
        let mut keypad = press("124");
        keypad.set(1, false);
        assert_eq!(scan(&keypad), "14");
    }

    #[test]
    fn a_net_without_a_driver_reads_low_and_outputs_beat_pulls() {
        let keypad = press("1");
        assert_eq!(keypad.levels([Drive::Floating; NETS]), 0);
        let mut drives = [Drive::PullDown; NETS];
        drives[0] = Drive::High;
        assert_eq!(keypad.levels(drives), 0b001_0001);
        drives[ROWS] = Drive::Low;
        assert_eq!(keypad.levels(drives), 0);
    }
}
