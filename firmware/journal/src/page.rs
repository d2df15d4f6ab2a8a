//! One page: its layout, how it reads, and the only order in which it is written.

use core::marker::PhantomData;

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};
use embedded_storage::nor_flash::NorFlash;

use crate::OpenError;

const WORD: usize = 4;
const BLANK: u32 = u32::MAX;

/// A solid record has programmed bits where a formatted page has none.
const RECORD: u32 = u32::from_le_bytes(*b"rec1");
const FORMATTED: u32 = u32::from_le_bytes(*b"new1");
const SEAL: u32 = u32::from_le_bytes([0x10, 0x5E, 0xA1, 0x00]);
const PROOF: u32 = u32::from_le_bytes([0x00, 0x60, 0x0D, 0x04]);

/// Kind, version, sequence number, length.
const HEADER_WORDS: usize = 4;
const FORMAT_IMAGE: [u32; HEADER_WORDS + 1] = {
    let mut sum = Sum::new();
    sum.add(FORMATTED);
    sum.add(0);
    sum.add(0);
    sum.add(0);
    [FORMATTED, 0, 0, 0, sum.value()]
};

/// Which record a page holds, and when it was written there. Ordered by age: newer is greater.
///
/// A commit starts a version; copies that a recovery makes of it keep the version. Pages that were only
/// ever formatted are version 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Stamp {
    pub(crate) version: u32,
    pub(crate) sequence: u32,
}

/// How a page reads at this boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Blank, torn, or not sealed: whatever it holds was never handed out, or is older than what counts.
    Unsealed,
    /// Its record is solid unless its erasure was cut; its seal may be gone at the next boot.
    Sealed(Stamp),
    /// Its seal is solid as well.
    Proven(Stamp),
}

impl Standing {
    pub(crate) fn stamp(self) -> Option<Stamp> {
        match self {
            Standing::Unsealed => None,
            Standing::Sealed(stamp) | Standing::Proven(stamp) => Some(stamp),
        }
    }

    pub(crate) fn is_proven(self) -> bool {
        matches!(self, Standing::Proven(_))
    }
}

/// Whether a flash suits a journal of this capacity.
pub(crate) fn fits<F: NorFlash>(flash: &F, capacity: usize) -> bool {
    let words = HEADER_WORDS + capacity.div_ceil(WORD) + 3;
    F::WRITE_SIZE == WORD
        && WORD.is_multiple_of(F::READ_SIZE)
        && F::ERASE_SIZE.is_multiple_of(WORD)
        && flash.capacity() == crate::PAGES * F::ERASE_SIZE
        && words * WORD <= F::ERASE_SIZE
}

/// One of the pages, by its number.
pub(crate) struct Page<F> {
    start: usize,
    flash: PhantomData<F>,
}

impl<F: NorFlash> Page<F> {
    const WORDS: usize = F::ERASE_SIZE / WORD;
    const SEAL_AT: usize = Self::WORDS - 2;
    const PROOF_AT: usize = Self::WORDS - 1;

    pub(crate) fn new(index: usize) -> Self {
        Page {
            start: index * F::ERASE_SIZE,
            flash: PhantomData,
        }
    }

    /// How the page reads now.
    pub(crate) fn survey(&self, flash: &mut F) -> Result<Standing, OpenError<F::Error>> {
        // Most pages that are not sealed are known by one of two words, without a sum over all.
        let kind = self.word(flash, 0)?;
        if !matches!(kind, RECORD | FORMATTED) || self.word(flash, Self::SEAL_AT)? != SEAL {
            return Ok(Standing::Unsealed);
        }
        let stamp = Stamp {
            version: self.word(flash, 1)?,
            sequence: self.word(flash, 2)?,
        };
        let length = self.word(flash, 3)? as usize;
        let known = match kind {
            RECORD => stamp.version > 0,
            _ => stamp == Stamp::default() && length == 0,
        };
        if !known || length > (Self::SEAL_AT - HEADER_WORDS - 1) * WORD {
            return Ok(Standing::Unsealed);
        }
        let check_at = HEADER_WORDS + length.div_ceil(WORD);
        let mut sum = Sum::new();
        for index in 0..check_at {
            sum.add(self.word(flash, index)?);
        }
        if self.word(flash, check_at)? != sum.value() {
            return Ok(Standing::Unsealed);
        }
        if self.word(flash, Self::PROOF_AT)? != PROOF {
            return Ok(Standing::Sealed(stamp));
        }
        Ok(Standing::Proven(stamp))
    }

    /// The payload of a page that is sealed; nothing if it was only ever formatted.
    pub(crate) fn read(
        &self,
        flash: &mut F,
        payload: &mut [u8],
    ) -> Result<Option<usize>, OpenError<F::Error>> {
        let kind = self.word(flash, 0)?;
        let length = self.word(flash, 3)? as usize;
        if kind == FORMATTED {
            return Ok(None);
        }
        if length > payload.len() {
            return Err(OpenError::TooLong { found: length });
        }
        let mut sum = Sum::new();
        for index in 0..HEADER_WORDS {
            sum.add(self.word(flash, index)?);
        }
        for (index, chunk) in payload[..length].chunks_mut(WORD).enumerate() {
            let word = self.word(flash, HEADER_WORDS + index)?;
            sum.add(word);
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
        if self.word(flash, HEADER_WORDS + length.div_ceil(WORD))? != sum.value() {
            return Err(OpenError::Verify);
        }
        Ok(Some(length))
    }

    /// Erases the page and writes a record, its seal and its proof, in this order.
    pub(crate) fn write(
        &self,
        flash: &mut F,
        stamp: Stamp,
        payload: &[u8],
    ) -> Result<(), OpenError<F::Error>> {
        let header = [RECORD, stamp.version, stamp.sequence, payload.len() as u32];
        let body = payload.chunks(WORD).map(|chunk| {
            let mut bytes = [0xFF; WORD];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(bytes)
        });
        self.write_closed(flash, header.into_iter().chain(body))
    }

    /// Erases the page and writes the one image that every page of a new journal has.
    pub(crate) fn format(&self, flash: &mut F) -> Result<(), OpenError<F::Error>> {
        self.write_closed(flash, FORMAT_IMAGE[..HEADER_WORDS].iter().copied())
    }

    /// Whether formatting alone, cut anywhere, can have left what the page reads as.
    pub(crate) fn is_within_format(&self, flash: &mut F) -> Result<bool, OpenError<F::Error>> {
        for index in 0..Self::WORDS {
            let image = match FORMAT_IMAGE.get(index) {
                Some(&word) => word,
                None if index == Self::SEAL_AT => SEAL,
                None if index == Self::PROOF_AT => PROOF,
                None => BLANK,
            };
            if self.word(flash, index)? & image != image {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write_closed(
        &self,
        flash: &mut F,
        words: impl Iterator<Item = u32> + Clone,
    ) -> Result<(), OpenError<F::Error>> {
        let start = self.start as u32;
        flash
            .erase(start, start + F::ERASE_SIZE as u32)
            .map_err(OpenError::Flash)?;
        let mut sum = Sum::new();
        let mut end = 0;
        for word in words.clone() {
            self.write_word(flash, end, word)?;
            sum.add(word);
            end += 1;
        }
        let check = sum.value();
        self.write_word(flash, end, check)?;
        // Before the seal says that the record is solid, it is read back, and so is the rest of the page:
        // what reads as blank here must not hold bits that come back.
        let record = words.chain([check]);
        let rest = core::iter::repeat_n(BLANK, Self::WORDS - end - 1);
        for (index, word) in record.chain(rest).enumerate() {
            if self.word(flash, index)? != word {
                return Err(OpenError::Verify);
            }
        }
        for (index, word) in [(Self::SEAL_AT, SEAL), (Self::PROOF_AT, PROOF)] {
            self.write_word(flash, index, word)?;
            if self.word(flash, index)? != word {
                return Err(OpenError::Verify);
            }
        }
        Ok(())
    }

    // A page is read whole after it was written: the call would cost more than the read.
    #[inline(always)]
    fn word(&self, flash: &mut F, index: usize) -> Result<u32, OpenError<F::Error>> {
        let mut bytes = [0; WORD];
        flash
            .read((self.start + index * WORD) as u32, &mut bytes)
            .map_err(OpenError::Flash)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn write_word(
        &self,
        flash: &mut F,
        index: usize,
        word: u32,
    ) -> Result<(), OpenError<F::Error>> {
        let at = (self.start + index * WORD) as u32;
        flash
            .write(at, &word.to_le_bytes())
            .map_err(OpenError::Flash)
    }
}

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The CRC-32 of words, each with its lowest byte first.
struct Sum(Digest<'static, u32, Table<1>>);

impl Sum {
    const fn new() -> Self {
        Sum(CRC.digest())
    }

    const fn add(&mut self, word: u32) {
        self.0.update(&word.to_le_bytes());
    }

    const fn value(self) -> u32 {
        self.0.finalize()
    }
}
