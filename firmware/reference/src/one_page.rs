//! A lock that loses its codes when the supply fails: one record, erased and written again in place, without
//! a second copy. Real products have stored their codes like this. It stands in the way of the journal, with
//! the journal's face, so that the rig can be shown to find it.

use embedded_storage::nor_flash::NorFlash;
use journal::{CommitError, OpenError};

/// One record in the first page.
pub struct Journal<F, const CAPACITY: usize> {
    flash: F,
    payload: [u8; CAPACITY],
    is_new: bool,
}

impl<F: NorFlash, const CAPACITY: usize> Journal<F, CAPACITY> {
    /// Takes a page that reads as blank for a new chip: a cut after the erase looks like one.
    pub fn open(mut flash: F) -> Result<Self, OpenError<F::Error>> {
        let mut payload = [0xFF; CAPACITY];
        flash.read(0, &mut payload).map_err(OpenError::Flash)?;
        let is_new = payload.iter().all(|&byte| byte == 0xFF);
        Ok(Journal {
            flash,
            payload,
            is_new,
        })
    }

    /// The record, if the page is not blank.
    pub fn read(&self) -> Option<&[u8]> {
        (!self.is_new).then_some(&self.payload)
    }

    /// Erases the record and writes the new one; in between there is none. The payload fills the record.
    pub fn commit(&mut self, payload: &[u8]) -> Result<(), CommitError<F::Error>> {
        let given = payload.len();
        if given != CAPACITY {
            return Err(CommitError::TooLong { given });
        }
        self.flash
            .erase(0, F::ERASE_SIZE as u32)
            .and_then(|()| self.flash.write(0, payload))
            .map_err(CommitError::Flash)?;
        self.payload.copy_from_slice(payload);
        self.is_new = false;
        Ok(())
    }
}
