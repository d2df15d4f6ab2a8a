//! The record in a key-value map of a public crate, pinned to a version that can lose what it has acknowledged:
//! after two writes that were cut in the header of an item, the next one lands where half a header still
//! stands, and the two halves read as an item that covers it. It stands in the way of the journal, with the
//! journal's face.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_storage::nor_flash::NorFlash;
use embedded_storage_async::nor_flash as asynchronous;
use journal::{CommitError, OpenError};
use sequential_storage::Error;
use sequential_storage::cache::Cache;
use sequential_storage::map::{MapConfig, MapStorage};

/// The only key.
const RECORD: u8 = 0;
/// The key and the longest record.
const BUFFER_BYTES: usize = 256;

/// The map with one record in it.
pub struct Journal<F, const CAPACITY: usize> {
    flash: Bytewise<F>,
    payload: [u8; CAPACITY],
    is_new: bool,
}

impl<F: NorFlash, const CAPACITY: usize> Journal<F, CAPACITY> {
    /// Takes a map without a record for a new chip.
    pub fn open(flash: F) -> Result<Self, OpenError<F::Error>> {
        let mut journal = Journal {
            flash: Bytewise(flash),
            payload: [0xFF; CAPACITY],
            is_new: true,
        };
        let mut buffer = [0; BUFFER_BYTES];
        let found = {
            let mut map = map(&mut journal.flash);
            at_once(map.fetch_item::<&[u8]>(&mut buffer, &RECORD))
        };
        let found = found.map_err(|error| match error {
            Error::Storage { value } => OpenError::Flash(value),
            _ => OpenError::Destroyed,
        })?;
        if let Some(found) = found.filter(|found| found.len() == CAPACITY) {
            journal.payload.copy_from_slice(found);
            journal.is_new = false;
        }
        Ok(journal)
    }

    /// The record, if there is one.
    pub fn read(&self) -> Option<&[u8]> {
        (!self.is_new).then_some(&self.payload)
    }

    /// Stores the record in place of the one before. The payload fills it.
    pub fn commit(&mut self, payload: &[u8]) -> Result<(), CommitError<F::Error>> {
        let mut buffer = [0; BUFFER_BYTES];
        let stored = {
            let mut map = map(&mut self.flash);
            at_once(map.store_item(&mut buffer, &RECORD, &payload))
        };
        stored.map_err(|error| match error {
            Error::Storage { value } => CommitError::Flash(value),
            _ => CommitError::Verify,
        })?;
        self.payload.copy_from_slice(payload);
        self.is_new = false;
        Ok(())
    }
}

fn map<F: NorFlash>(
    flash: &mut Bytewise<F>,
) -> MapStorage<u8, &mut Bytewise<F>, impl sequential_storage::cache::CacheImpl<u8>> {
    let range = 0..(journal::PAGES * F::ERASE_SIZE) as u32;
    MapStorage::new(flash, MapConfig::new(range), Cache::new_uncached())
}

/// Nothing here ever waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!(),
    }
}

/// Flash that takes single bytes: the others of a word are written as they are when erased.
struct Bytewise<F>(F);

impl<F: NorFlash> asynchronous::ErrorType for Bytewise<F> {
    type Error = F::Error;
}

impl<F: NorFlash> asynchronous::ReadNorFlash for Bytewise<F> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: NorFlash> asynchronous::NorFlash for Bytewise<F> {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.0.erase(from, to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        let size = F::WRITE_SIZE as u32;
        let mut word = offset - offset % size;
        let end = offset + bytes.len() as u32;
        while word < end {
            let mut padded = [0xFF; 4];
            for (place, at) in padded.iter_mut().zip(word..) {
                if let Some(byte) = at
                    .checked_sub(offset)
                    .and_then(|nth| bytes.get(nth as usize))
                {
                    *place = *byte;
                }
            }
            self.0.write(word, &padded)?;
            word += size;
        }
        Ok(())
    }
}
