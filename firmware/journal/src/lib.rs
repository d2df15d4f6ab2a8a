//! One record on NOR flash that survives loss of power at any point, in any form, and again in its recovery.
//!
//! Three pages, each with one record and two closing words:
//!
//! ```text
//! word 0      kind: a record, or the mark of a page that was only ever formatted
//! word 1      version: which commit the record comes from
//! word 2      sequence number: a copy made by a recovery has its own
//! word 3      length of the payload in bytes
//! word 4…     payload, padded with 0xFF to a whole word
//! then        CRC-32 of all that
//! last but 1  seal:  written after the record was read back
//! last        proof: written after the seal was read back
//! ```
//!
//! A word whose write was cut, or a page whose erase was cut, may read differently at each boot.
//! So nothing is believed for how it reads at one boot, only for what had to be finished before it:
//! the seal is not begun before the record is solid, the proof not before the seal is.
//!
//! - A record counts only if its page is sealed. Of several, the highest version counts.
//! - [`Journal::open`] hands nothing out until all three pages read as sealed and proven. A page that
//!   does not is erased and gets a copy of the record that counts, which takes the decision between
//!   old and new for good.
//! - While no page of the version that counts is proven, its seal may be gone at the next boot. Then two
//!   pages are kept until a copy is finished: the first of this version, because it may have been handed
//!   out, and the best of the version before, because that may have been. The copy goes to the third.
//! - A commit starts a version on the oldest page. That a newer version was begun shows that the one
//!   before it was handed out, so its seal is solid.
//!
//! So there is always a page with a solid seal that holds the last record handed out, and every page that is
//! newer holds the record under way.
//!
//! How far that carries is tested exhaustively: every way of tearing two operations in a row; three in a row
//! if all bits of a torn page may read either way at each boot; four in a row (five were tried once, ten
//! million cuts) if a page whose erase was cut does not read as if nothing had happened. Without that last
//! condition four cuts can lose a record: in the proof of a page, in the proof of its copy, in the erase of
//! that copy, which then reads whole and proven at the next boot, and in the erase of the original. More
//! pages would take more cuts, but not do away with it.
//!
//! A new chip is told apart from a destroyed journal. Formatting writes the same image to all three
//! pages; whatever a cut leaves of that has no programmed bit outside the image. Only such pages count
//! as new. Anything else without a sealed page is [`OpenError::Destroyed`], and never factory defaults.
//!
//! Why not the crate `sequential-storage`: its map loses an item to two cuts with a remount between
//! them (its issue 136, open), which is the very case a lock has to hold.
//!
//! Every word is written once between two erases, so any [`NorFlash`] will do. With the 20,000 erase
//! cycles that the nRF51822 promises for a page, three pages last for 60,000 commits.

#![no_std]

mod page;

use core::fmt;

use embedded_storage::nor_flash::NorFlash;

use page::{Page, Stamp, Standing};

/// How many pages the flash given to [`Journal::open`] must have.
pub const PAGES: usize = 3;

/// Why a journal could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError<E> {
    /// The flash does not have exactly three pages, or its words are not four bytes, or the payload
    /// does not fit into a page.
    Geometry,
    /// No page holds a record and the chip is not new. Power loss cannot cause this.
    Destroyed,
    /// The record is longer than this program's buffer.
    TooLong {
        /// Length of the record found, in bytes.
        found: usize,
    },
    /// The flash does not read back what was written.
    Verify,
    /// The flash driver refused.
    Flash(E),
}

/// Why a record could not be committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommitError<E> {
    /// The payload is longer than the journal's capacity. Nothing was changed.
    TooLong {
        /// Length of the payload given, in bytes.
        given: usize,
    },
    /// An earlier commit failed: which record counts is decided by the next [`Journal::open`].
    Unsettled,
    /// The flash does not read back what was written.
    Verify,
    /// The flash driver refused.
    Flash(E),
}

impl<E: fmt::Debug> fmt::Display for OpenError<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geometry => out.write_str("the journal needs three pages of four-byte words"),
            Self::Destroyed => out.write_str("no page of the journal holds a record"),
            Self::TooLong { found } => write!(out, "record of {found} bytes does not fit"),
            Self::Verify => out.write_str("flash does not read back what was written"),
            Self::Flash(error) => write!(out, "flash: {error:?}"),
        }
    }
}

impl<E: fmt::Debug> fmt::Display for CommitError<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { given } => write!(out, "payload of {given} bytes does not fit"),
            Self::Unsettled => out.write_str("an earlier commit failed"),
            Self::Verify => out.write_str("flash does not read back what was written"),
            Self::Flash(error) => write!(out, "flash: {error:?}"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for OpenError<E> {}
impl<E: fmt::Debug> core::error::Error for CommitError<E> {}

/// The three pages and the record that counts, which is also kept in memory.
///
/// `CAPACITY` is the longest payload in bytes.
pub struct Journal<F, const CAPACITY: usize> {
    flash: F,
    stamps: [Stamp; PAGES],
    version: u32,
    record: Option<usize>,
    payload: [u8; CAPACITY],
    settled: bool,
}

impl<F: NorFlash, const CAPACITY: usize> Journal<F, CAPACITY> {
    /// Finds the record that counts and makes all three pages agree with it.
    ///
    /// The caller gives a flash of exactly three pages that nothing else writes to, and keeps the supply
    /// above what flash writes need.
    ///
    /// When this returns a journal, [`Journal::read`] is either the last record whose commit returned or
    /// the one whose commit was under way when the supply was lost, and every later boot finds the same.
    /// Power loss in here leaves what power loss in a commit leaves: the next call decides.
    pub fn open(flash: F) -> Result<Self, OpenError<F::Error>> {
        if !page::fits::<F>(&flash, CAPACITY) {
            return Err(OpenError::Geometry);
        }
        let mut journal = Journal {
            flash,
            stamps: [Stamp::default(); PAGES],
            version: 0,
            record: None,
            payload: [0xFF; CAPACITY],
            settled: true,
        };
        let mut standing = [Standing::Unsealed; PAGES];
        for (index, standing) in standing.iter_mut().enumerate() {
            *standing = Page::<F>::new(index).survey(&mut journal.flash)?;
        }
        let version = standing.iter().filter_map(|page| page.stamp()).max();
        journal.version = version.map_or(0, |stamp| stamp.version);
        if journal.version == 0 && journal.is_within_format()? {
            journal.format(&standing)?;
        } else if version.is_some() {
            journal.recover(&mut standing)?;
        } else {
            return Err(OpenError::Destroyed);
        }
        Ok(journal)
    }

    /// The record that counts, or nothing if none was ever committed on this chip.
    pub fn read(&self) -> Option<&[u8]> {
        self.record.map(|length| &self.payload[..length])
    }

    /// Replaces the record.
    ///
    /// When this returns `Ok`, every later boot finds the new record. Power loss before that leaves
    /// exactly the old or exactly the new one, decided by the next [`Journal::open`]; so does every error
    /// but `TooLong`, after which the journal refuses further commits.
    pub fn commit(&mut self, payload: &[u8]) -> Result<(), CommitError<F::Error>> {
        if payload.len() > CAPACITY {
            return Err(CommitError::TooLong {
                given: payload.len(),
            });
        }
        if !self.settled {
            return Err(CommitError::Unsettled);
        }
        self.settled = false;
        self.payload[..payload.len()].copy_from_slice(payload);
        self.payload[payload.len()..].fill(0xFF);
        self.record = Some(payload.len());
        self.version += 1;
        let oldest = (0..PAGES)
            .min_by_key(|&index| self.stamps[index])
            .unwrap_or(0);
        self.copy_to(oldest).map_err(|error| match error {
            OpenError::Flash(error) => CommitError::Flash(error),
            _ => CommitError::Verify,
        })?;
        self.settled = true;
        Ok(())
    }

    /// Gives the flash back.
    pub fn release(self) -> F {
        self.flash
    }

    fn recover(&mut self, standing: &mut [Standing; PAGES]) -> Result<(), OpenError<F::Error>> {
        for (stamp, standing) in self.stamps.iter_mut().zip(&*standing) {
            *stamp = standing.stamp().unwrap_or_default();
        }
        let first = keeper(standing, |version| version == self.version).unwrap_or(0);
        self.record = Page::<F>::new(first).read(&mut self.flash, &mut self.payload)?;
        if !standing[first].is_proven() {
            let before = keeper(standing, |version| version < self.version);
            let spare = (0..PAGES)
                .filter(|&index| index != first && Some(index) != before)
                .min_by_key(|&index| standing[index].is_proven())
                .unwrap_or(0);
            self.copy_to(spare)?;
            standing[spare] = Standing::Proven(self.stamps[spare]);
        }
        for (index, standing) in standing.iter().enumerate() {
            if !standing.is_proven() {
                self.copy_to(index)?;
            }
        }
        Ok(())
    }

    /// Brings a chip that is new, or whose formatting was cut, to three proven pages without a record.
    fn format(&mut self, standing: &[Standing; PAGES]) -> Result<(), OpenError<F::Error>> {
        for (index, standing) in standing.iter().enumerate() {
            if !standing.is_proven() {
                self.copy_to(index)?;
            }
        }
        Ok(())
    }

    fn is_within_format(&mut self) -> Result<bool, OpenError<F::Error>> {
        for index in 0..PAGES {
            if !Page::<F>::new(index).is_within_format(&mut self.flash)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes what counts to a page, as the newest of all; without a record, as the formatted page it is.
    fn copy_to(&mut self, index: usize) -> Result<(), OpenError<F::Error>> {
        let page = Page::<F>::new(index);
        let Some(length) = self.record else {
            self.stamps[index] = Stamp::default();
            return page.format(&mut self.flash);
        };
        let last = self.stamps.iter().map(|stamp| stamp.sequence).max();
        let stamp = Stamp {
            version: self.version,
            sequence: last.unwrap_or(0) + 1,
        };
        page.write(&mut self.flash, stamp, &self.payload[..length])?;
        self.stamps[index] = stamp;
        Ok(())
    }
}

/// The page that stands for the highest of some versions: the latest proven one, whose seal is solid, or
/// else the earliest sealed one, of which the others are copies.
fn keeper(standing: &[Standing; PAGES], of: impl Fn(u32) -> bool) -> Option<usize> {
    let candidates = || {
        (0..PAGES).filter_map(|index| {
            let stamp = standing[index].stamp().filter(|stamp| of(stamp.version))?;
            Some((stamp, index))
        })
    };
    let highest = candidates().map(|(stamp, _)| stamp.version).max()?;
    let of_highest = || candidates().filter(|(stamp, _)| stamp.version == highest);
    of_highest()
        .filter(|&(_, index)| standing[index].is_proven())
        .max()
        .or(of_highest().min())
        .map(|(_, index)| index)
}
