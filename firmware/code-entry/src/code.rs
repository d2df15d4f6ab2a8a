//! One code of up to ten digits, packed so that neither erased nor cleared memory reads as a code.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::museum;

/// The longest code and the longest entry that can be told apart.
pub const MAX_DIGITS: usize = 10;
/// The keys 0 and 1 pressed together, as one stroke of a code that is not for opening.
pub const ZERO_WITH_ONE: u8 = 10;
/// The keys 0 and 3 pressed together.
pub const ZERO_WITH_THREE: u8 = 11;

/// A packed code: a nibble per digit, holding the digit plus one, then zero nibbles. In place of a digit may stand a
/// pair of keys, [`ZERO_WITH_ONE`] or [`ZERO_WITH_THREE`].
///
/// All-0xFF and all-0x00 memory therefore never equals a code. Comparing is constant time as far as source can
/// promise ([`Code::differs_from`]); printing never shows digits.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Code([u8; Code::BYTES]);

/// Why digits or bytes do not make a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeError {
    /// No digits, or more than [`MAX_DIGITS`].
    Length,
    /// Something else than the digits 0 to 9 and the pairs.
    Digit,
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CodeError::Length => "a code has 1 to 10 digits",
            CodeError::Digit => "a code has only the digits 0 to 9 and the pairs (01) and (03)",
        })
    }
}

impl core::error::Error for CodeError {}

impl Code {
    /// Size of a packed code.
    pub const BYTES: usize = MAX_DIGITS / 2;
    /// No code at all.
    pub const BLANK: Code = Code([0; Code::BYTES]);

    /// Packs digits, each 0 to 9 or a pair.
    pub fn from_digits(digits: &[u8]) -> Result<Code, CodeError> {
        if digits.is_empty() || digits.len() > MAX_DIGITS {
            return Err(CodeError::Length);
        }
        let mut code = Code::BLANK;
        for (index, &digit) in digits.iter().enumerate() {
            if digit > ZERO_WITH_THREE {
                return Err(CodeError::Digit);
            }
            code.0[index / 2] += (digit + 1) << (4 * (index % 2));
        }
        Ok(code)
    }

    /// Packs a code from its text: `"159"`, `"362(03)19"`.
    pub fn parse(text: &str) -> Result<Code, CodeError> {
        let mut rest = text.as_bytes();
        let mut digits = [0; MAX_DIGITS];
        let mut len = 0;
        while let [first, after @ ..] = rest {
            let (digit, after) = match rest {
                [b'(', b'0', b'1', b')', after @ ..] => (ZERO_WITH_ONE, after),
                [b'(', b'0', b'3', b')', after @ ..] => (ZERO_WITH_THREE, after),
                _ if first.is_ascii_digit() => (first - b'0', after),
                _ => return Err(CodeError::Digit),
            };
            *digits.get_mut(len).ok_or(CodeError::Length)? = digit;
            len += 1;
            rest = after;
        }
        Code::from_digits(&digits[..len])
    }

    /// The packed bytes.
    pub const fn to_bytes(self) -> [u8; Code::BYTES] {
        self.0
    }

    /// Reads packed bytes back: a code, or [`Code::BLANK`]. Anything else is not something we wrote.
    pub fn from_bytes(bytes: [u8; Code::BYTES]) -> Result<Code, CodeError> {
        let code = Code(bytes);
        let len = code.digit_count();
        for index in 0..MAX_DIGITS {
            let nibble = code.nibble(index);
            if nibble > ZERO_WITH_THREE + 1 || (nibble == 0) != (index >= len) {
                return Err(CodeError::Digit);
            }
        }
        Ok(code)
    }

    /// How many digits it has; zero if it is blank.
    pub fn digit_count(&self) -> usize {
        (0..MAX_DIGITS)
            .take_while(|&index| self.nibble(index) != 0)
            .count()
    }

    /// Whether there is no code here.
    pub fn is_blank(&self) -> bool {
        *self == Code::BLANK
    }

    /// Whether every digit is a zero: a code that nobody may set.
    pub fn is_all_zeros(&self) -> bool {
        (0..self.digit_count()).all(|index| self.nibble(index) == 1)
    }

    /// Zero if the codes are equal, else not zero, in the same number of instructions whatever digits match.
    pub fn differs_from(&self, other: &Code) -> u8 {
        if let Some(difference) = museum::differs_from(self, other) {
            return difference;
        }
        let mut difference = 0;
        for index in 0..Code::BYTES {
            difference |= self.0[index] ^ other.0[index];
        }
        difference
    }

    pub(crate) fn nibble(&self, index: usize) -> u8 {
        (self.0[index / 2] >> (4 * (index % 2))) & 0x0F
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({} digits)", self.digit_count())
    }
}
