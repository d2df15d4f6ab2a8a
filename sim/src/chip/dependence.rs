//! Which words of flash a stretch of time depended on: what the program read, or programmed without an
//! erase before it. Two chips that differ in other words only do the same.

use std::collections::{BTreeMap, BTreeSet};

use super::memory::{FLASH_BYTES, PAGE_BYTES, PAGE_WORDS};
use crate::time::Ticks;

/// What is noted of the flash from one page on.
#[derive(Clone, Debug)]
pub struct Dependence {
    from: u32,
    /// Words, one bit for each, by page.
    words: BTreeMap<u32, [u64; PAGE_WORDS / 64]>,
    erased: BTreeSet<u32>,
    /// When a word of a page was first read.
    first: BTreeMap<u32, Ticks>,
    unknown: bool,
}

impl Dependence {
    pub(super) fn new(from: u32) -> Dependence {
        Dependence {
            from: from & !(PAGE_BYTES - 1),
            words: BTreeMap::new(),
            erased: BTreeSet::new(),
            first: BTreeMap::new(),
            unknown: false,
        }
    }

    /// The first address of which something is noted.
    pub(super) fn from(&self) -> u32 {
        self.from
    }

    pub(super) fn note_read(&mut self, address: u32, now: Ticks) {
        if (self.from..FLASH_BYTES).contains(&address) {
            let page = address & !(PAGE_BYTES - 1);
            self.first.entry(page).or_insert(now);
        }
        self.note_word(address);
    }

    /// When a word of a page was first read since.
    pub fn first_read(&self, page: u32) -> Option<Ticks> {
        self.first.get(&page).copied()
    }

    fn note_word(&mut self, address: u32) {
        let page = address & !(PAGE_BYTES - 1);
        if (self.from..FLASH_BYTES).contains(&address) && !self.erased.contains(&page) {
            let word = (address - page) as usize / 4;
            self.words.entry(page).or_default()[word / 64] |= 1 << (word % 64);
        }
    }

    pub(super) fn note_write(&mut self, address: u32) {
        self.unknown |= !(self.from..FLASH_BYTES).contains(&address);
        self.note_word(address);
    }

    pub(super) fn note_erase(&mut self, page: u32) {
        self.unknown |= !(self.from..FLASH_BYTES).contains(&page);
        self.erased.insert(page);
    }

    /// Code was fetched: what it does is not noted.
    pub(super) fn note_code(&mut self, address: u32) {
        self.unknown |= (self.from..FLASH_BYTES).contains(&address);
    }

    /// The words that mattered and the pages that were erased, each in ascending order; none if more
    /// happened than is noted.
    pub fn result(&self) -> Option<(Vec<u32>, Vec<u32>)> {
        let words = self.words.iter().flat_map(|(page, bits)| {
            let is_set = move |word: &u32| bits[*word as usize / 64] >> (word % 64) & 1 != 0;
            (0..PAGE_WORDS as u32)
                .filter(is_set)
                .map(move |word| page + 4 * word)
        });
        (!self.unknown).then(|| (words.collect(), self.erased.iter().copied().collect()))
    }
}
