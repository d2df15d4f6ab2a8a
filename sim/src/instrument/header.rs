//! A pin header: outputs that switch the relays of the bench, one each, and a crosspoint across the keypad.
//!
//! Outputs 1 to 16 switch the relays of channels 1 to 16. Outputs 17 to 20 put rows 1 to 4 of the keypad on a
//! common wire, and 21 to 23 columns 1 to 3: wherever a row and a column are on it, their key is closed.
//!
//! Two multiplexers lie across the keypad as well. While output 28 is high, the row that outputs 24 and 25 select
//! (24 is the lower bit, row 0 the first) is joined to the column that 26 and 27 select.

use super::relay_board::CHANNELS;

/// The first output.
pub const FIRST_OUTPUT: u16 = 1;
/// The last output.
pub const LAST_OUTPUT: u16 = ENABLE;

const FIRST_ROW: u16 = 17;
const ROWS: u16 = 4;
const FIRST_COLUMN: u16 = FIRST_ROW + ROWS;
const COLUMNS: u16 = 3;
const ROW_SELECT: u16 = FIRST_COLUMN + COLUMNS;
const COLUMN_SELECT: u16 = ROW_SELECT + 2;
const ENABLE: u16 = COLUMN_SELECT + 2;

/// Which outputs are high.
#[derive(Clone, Debug, Hash, Default)]
pub struct Header {
    high: u32,
}

impl Header {
    /// An output is driven; one that there is not leads nowhere.
    pub fn drive(&mut self, output: u16, high: bool) {
        if (FIRST_OUTPUT..=LAST_OUTPUT).contains(&output) {
            let bit = 1 << output;
            self.high = if high {
                self.high | bit
            } else {
                self.high & !bit
            };
        }
    }

    /// Whether it switches the coil of this channel on; channels count from 0.
    pub fn coil(&self, channel: usize) -> bool {
        debug_assert!(channel < CHANNELS);
        let channel = channel as u16;
        let (row, column) = (channel / COLUMNS, channel % COLUMNS);
        let crossed =
            row < ROWS && self.is_high(FIRST_ROW + row) && self.is_high(FIRST_COLUMN + column);
        let selects = |first: u16| (self.high >> first & 0b11) as u16;
        let selected = row < ROWS
            && self.is_high(ENABLE)
            && (selects(ROW_SELECT), selects(COLUMN_SELECT)) == (row, column);
        crossed || selected || self.is_high(FIRST_OUTPUT + channel)
    }

    fn is_high(&self, output: u16) -> bool {
        self.high >> output & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, LAST_OUTPUT};

    fn coils(header: &Header) -> Vec<usize> {
        (0..16).filter(|channel| header.coil(*channel)).collect()
    }

    #[test]
    fn an_output_switches_its_relay() {
        let mut header = Header::default();
        header.drive(1, true);
        header.drive(16, true);
        header.drive(LAST_OUTPUT + 1, true);
        assert_eq!(coils(&header), [0, 15]);
        header.drive(1, false);
        assert_eq!(coils(&header), [15]);
    }

    #[test]
    fn rows_and_columns_meet_in_keys_and_two_of_each_in_four() {
        let mut header = Header::default();
        header.drive(17, true);
        assert!(coils(&header).is_empty(), "a row alone closes nothing");
        header.drive(21, true);
        assert_eq!(coils(&header), [0], "row 1, column 1: key 1");
        header.drive(18, true);
        header.drive(22, true);
        assert_eq!(coils(&header), [0, 1, 3, 4], "keys 1, 2, 4, 5");
        header.drive(17, false);
        header.drive(18, false);
        header.drive(20, true);
        assert_eq!(coils(&header), [9, 10], "keys * and 0");
    }

    #[test]
    fn multiplexers_join_one_row_and_one_column_while_they_are_on() {
        let mut header = Header::default();
        header.drive(24, true);
        header.drive(27, true);
        assert!(coils(&header).is_empty(), "selected, and off");
        header.drive(28, true);
        assert_eq!(coils(&header), [5], "row 1, column 2: key 6");
        header.drive(26, true);
        assert!(coils(&header).is_empty(), "there is no column 3");
    }
}
