//! The lock's record in the journal.

use code_entry::{Record, Storage, StorageFault};
use journal::Journal;

use crate::flash::JournalPages;

/// Where the lock commits its record.
pub struct Store {
    journal: Journal<JournalPages, { Record::BYTES }>,
}

/// What is wrong with what is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// The journal did not open: destroyed, or its flash does not work.
    Journal,
    /// The journal holds something that is not a record.
    Record,
}

impl Store {
    /// Opens the journal; gives the record in it, or none if the chip is new.
    pub fn open(pages: JournalPages) -> Result<(Self, Option<Record>), Unreadable> {
        let journal = Journal::open(pages).map_err(|_| Unreadable::Journal)?;
        let record = match journal.read() {
            Some(bytes) => Some(Record::from_bytes(bytes).map_err(|_| Unreadable::Record)?),
            None => None,
        };
        Ok((Store { journal }, record))
    }
}

impl Storage for Store {
    fn commit(&mut self, record: &Record) -> Result<(), StorageFault> {
        self.journal
            .commit(&record.to_bytes())
            .map_err(|_| StorageFault)
    }
}
