//! The flash page that carries a personality: `LOCKPERS`, length, CRC-32, then the postcard encoding. Lengths and
//! the CRC are little-endian words over the encoding alone; the rest of the page stays erased.

use core::fmt;

use super::{Personality, RuleError};

/// Size of the page: one flash page of the chip.
pub const PAGE_BYTES: usize = 1024;
/// What the page begins with, even while it carries no personality.
pub const PAGE_MAGIC: [u8; 8] = *b"LOCKPERS";

const LENGTH_AT: usize = 8;
const CRC_AT: usize = 12;
const BODY_AT: usize = 16;

/// Why a page does not give a personality, or a personality no page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageError {
    /// It does not begin with [`PAGE_MAGIC`].
    Magic,
    /// It is blank after the magic: no personality has been written yet.
    NoPersonality,
    /// The encoding is longer than the page.
    Length,
    /// The encoding was damaged, or only half written.
    Checksum,
    /// The encoding is of another version of this code.
    Encoding,
    /// The personality contradicts itself.
    Rule(RuleError),
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PageError::Magic => {
                f.write_str("not a personality page: it does not begin with `LOCKPERS`")
            }
            PageError::NoPersonality => f.write_str("the page holds no personality yet"),
            PageError::Length => f.write_str("the personality does not fit its page of 1024 bytes"),
            PageError::Checksum => f.write_str("the personality's checksum is wrong"),
            PageError::Encoding => {
                f.write_str("the personality is encoded in a way that this version does not know")
            }
            PageError::Rule(rule) => rule.fmt(f),
        }
    }
}

impl core::error::Error for PageError {}

impl Personality {
    /// The page to be written to flash. Fails on a personality that contradicts itself or is too long.
    pub fn to_page(&self) -> Result<[u8; PAGE_BYTES], PageError> {
        self.check().map_err(PageError::Rule)?;
        let mut page = [0xFF; PAGE_BYTES];
        let length = postcard::to_slice(self, &mut page[BODY_AT..])
            .map_err(|_| PageError::Length)?
            .len();
        let crc = crc32(&page[BODY_AT..BODY_AT + length]);
        page[..LENGTH_AT].copy_from_slice(&PAGE_MAGIC);
        page[LENGTH_AT..CRC_AT].copy_from_slice(&(length as u32).to_le_bytes());
        page[CRC_AT..BODY_AT].copy_from_slice(&crc.to_le_bytes());
        Ok(page)
    }

    /// Reads a personality from its page, which may be followed by anything.
    pub fn from_page(page: &[u8]) -> Result<Personality, PageError> {
        let (head, body) = page.split_at_checked(BODY_AT).ok_or(PageError::Magic)?;
        if head[..LENGTH_AT] != PAGE_MAGIC {
            return Err(PageError::Magic);
        }
        let length = word(&head[LENGTH_AT..CRC_AT]);
        if length == u32::MAX {
            return Err(PageError::NoPersonality);
        }
        let body = body.get(..length as usize).ok_or(PageError::Length)?;
        if crc32(body) != word(&head[CRC_AT..]) {
            return Err(PageError::Checksum);
        }
        let personality: Personality =
            postcard::from_bytes(body).map_err(|_| PageError::Encoding)?;
        personality.check().map_err(PageError::Rule)?;
        Ok(personality)
    }
}

fn word(bytes: &[u8]) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(bytes);
    u32::from_le_bytes(word)
}

/// CRC-32 as in Ethernet and ZIP, bit by bit: it runs once at start-up, and a table would cost 1 KiB of flash.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}
