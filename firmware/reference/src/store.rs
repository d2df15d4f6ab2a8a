//! The lock's record in the journal.

use code_entry::{Record, Storage, StorageFault};
#[cfg(not(any(feature = "museum-one-page", feature = "museum-sequential-storage")))]
use journal::Journal;
use journal::{CommitError, OpenError};

use crate::flash::{JournalPages, Refused};
#[cfg(feature = "museum-sequential-storage")]
use crate::map_storage::Journal;
#[cfg(feature = "museum-one-page")]
use crate::one_page::Journal;

/// Where the lock commits its record.
pub struct Store<'chip> {
    journal: Journal<JournalPages<'chip>, { Record::BYTES }>,
    is_starved: bool,
}

/// What is wrong with what is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// The supply was too low for what an earlier loss of power left to do.
    Starved,
    /// The journal did not open: destroyed, or its flash does not work.
    Journal,
    /// The journal holds something that is not a record.
    Record,
}

impl<'chip> Store<'chip> {
    /// Opens the journal; gives the record in it, or none if the chip is new.
    pub fn open(pages: JournalPages<'chip>) -> Result<(Self, Option<Record>), Unreadable> {
        let journal = Journal::open(pages).map_err(|error| match error {
            OpenError::Flash(Refused::Supply) => Unreadable::Starved,
            _ => Unreadable::Journal,
        })?;
        let record = match journal.read() {
            Some(bytes) => Some(Record::from_bytes(bytes).map_err(|_| Unreadable::Record)?),
            None => None,
        };
        #[cfg(feature = "museum-counter-page")]
        let record = record.map(crate::counter_page::with_count);
        let store = Store {
            journal,
            is_starved: false,
        };
        Ok((store, record))
    }

    /// Whether a commit failed only because the supply was too low: a journal that is opened anew with a
    /// better one is as good as before.
    pub fn is_starved(&self) -> bool {
        self.is_starved
    }
}

impl Storage for Store<'_> {
    fn commit(&mut self, record: &Record) -> Result<(), StorageFault> {
        #[cfg(feature = "museum-counter-page")]
        let record = {
            crate::counter_page::write(record);
            &crate::counter_page::without_count(record)
        };
        #[cfg(feature = "museum-counter-page")]
        if self.journal.read() == Some(&record.to_bytes()) {
            return Ok(());
        }
        let committed = self.journal.commit(&record.to_bytes());
        #[cfg(feature = "log")]
        defmt::debug!(
            "a record of {=usize} bytes: stored {=bool}",
            Record::BYTES,
            committed.is_ok()
        );
        committed.map_err(|error| {
            self.is_starved |= error == CommitError::Flash(Refused::Supply);
            StorageFault
        })
    }
}
