//! The storage under losses of supply: commits, cuts at any write in any torn form, and cuts of the
//! recovery. What is read back is the last record that was handed out or the one under way, and stays it.
//!
//! The input is a list of three bytes each: what is committed, [`REOPENED`] for a power-on without a loss; in
//! which write from now the supply is lost, 0 for none; and what is left of that write. While the journal
//! is not open, it is opened instead, and the write is one of its recovery. At most three losses come in a
//! row, which is what the storage promises to bear.

use std::cell::RefCell;
use std::rc::Rc;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use journal::{Journal, PAGES};

/// The first byte that stands for a power-on without a loss.
pub const REOPENED: u8 = 0xFF;

const PAGE_WORDS: usize = 32;
const WORDS: usize = PAGES * PAGE_WORDS;
const PAYLOAD_BYTES: usize = 12;
const LOSSES_MAX: u32 = 3;

type Storage = Journal<Shared, PAYLOAD_BYTES>;

/// Runs the operations. What has no three bytes is left out.
///
/// # Panics
/// At a finding.
pub fn target(bytes: &[u8]) -> bool {
    let flash = Shared::default();
    let mut lock = Lock::default();
    let mut journal: Option<Storage> = None;
    for step in bytes.chunks_exact(3) {
        let [value, cut, torn] = [step[0], step[1], step[2]];
        if lock.losses < LOSSES_MAX {
            flash.0.borrow_mut().cut = (cut != 0).then_some((u32::from(cut), torn));
        }
        journal = match journal {
            Some(_) if value == REOPENED => None,
            Some(journal) => lock.commits(journal, value),
            None => lock.opens(&flash),
        };
        let mut flash = flash.0.borrow_mut();
        flash.cut = None;
        if journal.is_none() {
            flash.power_on();
        }
    }
    // Whatever was done, the next power-on without a loss finds something, and finds it again.
    for _ in 0..2 {
        flash.0.borrow_mut().power_on();
        assert!(lock.opens(&flash).is_some(), "the storage does not open");
    }
    true
}

/// What the lock knows.
#[derive(Default)]
struct Lock {
    /// What was handed out, or committed without an error.
    current: Option<Vec<u8>>,
    /// What the last commit, which was lost, was about to store.
    under_way: Option<Vec<u8>>,
    /// Losses of supply since the journal was open.
    losses: u32,
}

impl Lock {
    fn opens(&mut self, flash: &Shared) -> Option<Storage> {
        match Journal::open(flash.clone()) {
            Ok(journal) => {
                let found = journal.read().map(<[u8]>::to_vec);
                assert!(
                    found == self.current || self.under_way.is_some() && found == self.under_way,
                    "read {found:?}, where {:?} was stored and {:?} was under way",
                    self.current,
                    self.under_way
                );
                self.current = found;
                self.under_way = None;
                self.losses = 0;
                Some(journal)
            }
            Err(error) => {
                assert!(
                    flash.0.borrow().lost,
                    "it does not open, and nothing was lost: {error}"
                );
                self.losses += 1;
                None
            }
        }
    }

    fn commits(&mut self, mut journal: Storage, value: u8) -> Option<Storage> {
        let payload = vec![value; PAYLOAD_BYTES];
        match journal.commit(&payload) {
            Ok(()) => {
                self.current = Some(payload);
                Some(journal)
            }
            Err(error) => {
                let lost = journal.release().0.borrow().lost;
                assert!(lost, "it does not store, and nothing was lost: {error}");
                self.under_way = Some(payload);
                self.losses += 1;
                None
            }
        }
    }
}

/// The flash, which outlives each journal over it.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Flash>>);

/// NOR flash whose supply can fail at any write.
struct Flash {
    words: [u32; WORDS],
    /// Bits of each word that read anew after every power-on.
    loose: [u32; WORDS],
    /// So many writes from now the supply is lost, and what is left of the last.
    cut: Option<(u32, u8)>,
    lost: bool,
    power_ons: u32,
}

impl Default for Flash {
    fn default() -> Flash {
        Flash {
            words: [u32::MAX; WORDS],
            loose: [0; WORDS],
            cut: None,
            lost: false,
            power_ons: 0,
        }
    }
}

/// The supply is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost;

impl NorFlashError for Lost {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Flash {
    fn power_on(&mut self) {
        self.lost = false;
        self.power_ons += 1;
        let mut noise = self.power_ons;
        for (word, loose) in self.words.iter_mut().zip(&self.loose) {
            if *loose != 0 {
                *word = *word & !loose | random(&mut noise) & loose;
            }
        }
    }

    /// Words become others, unless the supply is lost in it.
    fn change(&mut self, first: usize, wanted: &[u32]) -> Result<(), Lost> {
        if self.lost {
            return Err(Lost);
        }
        let torn = match &mut self.cut {
            Some((1, torn)) => Some(*torn),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        let mut noise = u32::from(torn.unwrap_or(0)) + 1;
        for (place, wanted) in wanted.iter().enumerate() {
            let (word, loose) = (
                &mut self.words[first + place],
                &mut self.loose[first + place],
            );
            let changes = *word ^ wanted | *loose;
            let done = torn.map_or(u32::MAX, |torn| done(torn, place, wanted, &mut noise));
            *word = *word & !(changes & done) | wanted & changes & done;
            *loose &= !done;
            // A quarter of the torn forms leaves what was not done undecided.
            if torn.is_some_and(|torn| torn & 3 == 3) {
                *loose |= changes & !done;
            }
        }
        match torn {
            Some(_) => {
                self.lost = true;
                Err(Lost)
            }
            None => Ok(()),
        }
    }
}

/// Which bits of a word have become what they were to become when the supply went.
fn done(torn: u8, place: usize, wanted: &u32, noise: &mut u32) -> u32 {
    let number = u32::from(torn >> 3);
    match torn & 7 {
        // Nothing, or nothing decided.
        0 | 3 => 0,
        1 => u32::MAX,
        // The lowest bits of a word, the first words of a page.
        2 if place == 0 && *wanted != u32::MAX => (1 << number) - 1,
        2 if place as u32 <= number => u32::MAX,
        2 => 0,
        4 => !(1 << number),
        5 => 1 << number,
        _ => random(noise) ^ number.wrapping_mul(0x9E37_79B1),
    }
}

/// xorshift32: cheap, and the same for the same input.
fn random(state: &mut u32) -> u32 {
    *state = state.wrapping_mul(0x9E37_79B1) | 1;
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

impl ErrorType for Shared {
    type Error = Lost;
}

impl ReadNorFlash for Shared {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Lost> {
        let flash = self.0.borrow();
        if flash.lost {
            return Err(Lost);
        }
        for (place, chunk) in bytes.chunks_mut(4).enumerate() {
            let word = flash.words[offset as usize / 4 + place];
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        WORDS * 4
    }
}

impl NorFlash for Shared {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE_WORDS * 4;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Lost> {
        let mut flash = self.0.borrow_mut();
        for page in (from as usize / 4..to as usize / 4).step_by(PAGE_WORDS) {
            flash.change(page, &[u32::MAX; PAGE_WORDS])?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Lost> {
        let mut flash = self.0.borrow_mut();
        for (place, chunk) in bytes.chunks_exact(4).enumerate() {
            let at = offset as usize / 4 + place;
            let wanted = u32::from_le_bytes(chunk.try_into().expect("four bytes"));
            // A write only clears bits.
            let wanted = flash.words[at] & wanted;
            flash.change(at, &[wanted])?;
        }
        Ok(())
    }
}
