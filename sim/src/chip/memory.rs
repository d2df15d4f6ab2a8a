//! The chip's memories: 256 KiB of flash, the UICR page, 16 KiB of RAM, and beside each piece of
//! code its decoded form.
//!
//! Flash is a table of shared pages: a fork costs one reference count, the first write after it
//! copies the table and the page. What a write or an erase *does* to a word is not decided here but
//! by the flash controller; this file only holds the result. Decoded instructions live with the
//! bytes they were made from and go when those change, for RAM too: flash algorithms run there.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use super::core::Stretch;
use super::core::decode::{self, Slots};
use super::dependence::Dependence;

/// Bytes of code flash, from address 0.
pub const FLASH_BYTES: u32 = 256 * 1024;
/// Bytes of one flash page, the unit of erasure.
pub const PAGE_BYTES: u32 = 1024;
/// First address of the user information registers, a flash page of its own.
pub const UICR: u32 = 0x1000_1000;
/// First address of RAM.
pub const RAM: u32 = 0x2000_0000;
/// Bytes of RAM.
pub const RAM_BYTES: u32 = 16 * 1024;

/// Words in one flash page.
pub const PAGE_WORDS: usize = PAGE_BYTES as usize / 4;
/// Instruction slots (halfwords) in one flash page.
pub(crate) const PAGE_SLOTS: usize = PAGE_BYTES as usize / 2;
const CODE_PAGES: usize = (FLASH_BYTES / PAGE_BYTES) as usize;
const UICR_PAGE: usize = CODE_PAGES;
const PAGES: usize = CODE_PAGES + 1;
const RAM_WORDS: usize = RAM_BYTES as usize / 4;
const RAM_SLOTS: usize = RAM_BYTES as usize / 2;
/// A store looks in one word whether any code was decoded near it: one bit for each part of RAM.
const GRANULE_SHIFT: u32 = (RAM_BYTES / 32).trailing_zeros();

/// One flash page and, once something ran from it, its decoded instructions.
#[derive(Debug)]
pub(crate) struct Page {
    words: [u32; PAGE_WORDS],
    slots: OnceLock<Box<Slots<PAGE_SLOTS>>>,
    /// A hash of the words, once somebody asked for it.
    hash: OnceLock<u64>,
}

impl Clone for Page {
    /// Copies the words only: pages are cloned to be changed.
    fn clone(&self) -> Page {
        Page {
            words: self.words,
            slots: OnceLock::new(),
            hash: OnceLock::new(),
        }
    }
}

impl Page {
    fn erased() -> Page {
        Page {
            words: [u32::MAX; PAGE_WORDS],
            slots: OnceLock::new(),
            hash: OnceLock::new(),
        }
    }
}

fn hash(words: &[u32]) -> u64 {
    let pairs = words.chunks(2).map(|pair| {
        pair.iter()
            .fold(0, |all, word| all << 32 | u64::from(*word))
    });
    pairs.fold(0, mix)
}

fn mix(all: u64, next: u64) -> u64 {
    let mixed = (all ^ next).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

/// The flash's pages, shared between forks.
#[derive(Clone, Debug)]
pub(crate) struct Flash {
    pages: Arc<[Arc<Page>; PAGES]>,
    /// The sum of the pages' hashes, once somebody asked for it: without one page it is less by one term.
    sum: OnceLock<u64>,
}

impl Flash {
    fn new(pages: [Arc<Page>; PAGES]) -> Flash {
        Flash {
            pages: Arc::new(pages),
            sum: OnceLock::new(),
        }
    }

    fn pages_mut(&mut self) -> &mut [Arc<Page>; PAGES] {
        self.sum.take();
        Arc::make_mut(&mut self.pages)
    }

    /// What a page adds to the sum.
    fn term(index: usize, hash: u64) -> u64 {
        // Mixed twice, because terms are added: none may be close to another.
        mix(mix(hash, index as u64), 1)
    }

    fn term_of(&self, index: usize) -> u64 {
        let page = &self.pages[index];
        Flash::term(index, *page.hash.get_or_init(|| hash(&page.words)))
    }

    /// A hash of all pages but some, and as if one page held other words.
    fn hash(&self, without: &[u32], with: Option<(u32, &[u32])>) -> u64 {
        let index = |address: u32| (address / PAGE_BYTES) as usize;
        let all = || (0..PAGES).fold(0, |sum: u64, page| sum.wrapping_add(self.term_of(page)));
        let mut sum = *self.sum.get_or_init(all);
        for page in without {
            sum = sum.wrapping_sub(self.term_of(index(*page)));
        }
        if let Some((page, words)) = with.filter(|(page, _)| !without.contains(page)) {
            sum = sum.wrapping_sub(self.term_of(index(page)));
            sum = sum.wrapping_add(Flash::term(index(page), hash(words)));
        }
        sum
    }

    /// A word of the code area. The address is taken modulo the flash's size.
    #[inline(always)]
    pub(crate) fn code_word(&self, address: u32) -> u32 {
        let page = (address / PAGE_BYTES) as usize % CODE_PAGES;
        self.pages[page].words[(address as usize / 4) % PAGE_WORDS]
    }

    /// The decoded page that holds a code address.
    #[inline]
    pub(crate) fn stretch(&self, address: u32) -> Stretch<'_> {
        let index = (address / PAGE_BYTES) as usize % CODE_PAGES;
        let base = index as u32 * PAGE_BYTES;
        let page = &self.pages[index];
        let slots = page.slots.get_or_init(|| decode::page(&page.words, base));
        Stretch {
            base,
            ops: &slots.ops,
            exact: &slots.exact,
            runs: &slots.runs,
        }
    }
}

/// Instructions decoded from RAM, one by one as they are first run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RamCode {
    slots: Option<Arc<Slots<RAM_SLOTS>>>,
    /// Bit n: some instruction of the n-th 512 bytes is decoded.
    granules: u32,
}

impl RamCode {
    /// All of RAM as code, decoded or not; nothing before anything was decoded.
    #[inline]
    pub(crate) fn stretch(&self) -> Option<Stretch<'_>> {
        let slots = self.slots.as_ref()?;
        Some(Stretch {
            base: RAM,
            ops: &slots.ops,
            exact: &slots.exact,
            runs: &slots.runs,
        })
    }

    /// Whether a store to a RAM address may change decoded instructions.
    #[inline(always)]
    pub(crate) fn near(&self, address: u32) -> bool {
        (self.granules >> ((address >> GRANULE_SHIFT) % 32)) & 1 != 0
    }

    fn forget(&mut self, address: u32) {
        let Some(slots) = &mut self.slots else { return };
        let word = (address % RAM_BYTES) as usize / 4 * 2;
        let slots = Arc::make_mut(slots);
        slots.clear(word.saturating_sub(decode::REACH)..word + 2);
    }
}

/// RAM as words, little end first.
pub(crate) type RamWords = [u32; RAM_WORDS];

/// Flash, UICR and RAM.
#[derive(Clone)]
pub struct Memory {
    pub(crate) flash: Flash,
    pub(crate) ram: Box<RamWords>,
    pub(crate) ram_code: RamCode,
    pub(crate) dependence: Option<Box<Dependence>>,
}

/// RAM; what a chip is in the middle of is compared apart from its flash.
impl Hash for Memory {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.ram.hash(hasher);
    }
}

/// Shows how much there is: a quarter of a megabyte of numbers tells nobody anything.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Memory {
    /// Erased flash and UICR; RAM all zero.
    pub fn new() -> Memory {
        let page = Arc::new(Page::erased());
        Memory {
            flash: Flash::new(std::array::from_fn(|_| Arc::clone(&page))),
            ram: Box::new([0; RAM_WORDS]),
            ram_code: RamCode::default(),
            dependence: None,
        }
    }

    /// From now on it is noted which words of flash, from this page on, matter.
    pub(crate) fn note_dependence(&mut self, from: u32) {
        self.dependence = Some(Box::new(Dependence::new(from)));
    }

    /// What was noted since.
    pub(crate) fn dependence(&self) -> Option<&Dependence> {
        self.dependence.as_deref()
    }

    /// Notes something, if it is asked for.
    #[inline]
    pub(crate) fn note(&mut self, note: impl FnOnce(&mut Dependence)) {
        if let Some(dependence) = &mut self.dependence {
            note(dependence);
        }
    }

    /// Whether an address is in code flash or in the UICR page.
    pub fn is_flash(address: u32) -> bool {
        address < FLASH_BYTES || (UICR..UICR + PAGE_BYTES).contains(&address)
    }

    /// Whether an address is in RAM.
    #[inline(always)]
    pub fn is_ram(address: u32) -> bool {
        address.wrapping_sub(RAM) < RAM_BYTES
    }

    fn page_index(address: u32) -> usize {
        if (UICR..UICR + PAGE_BYTES).contains(&address) {
            UICR_PAGE
        } else {
            assert!(
                address < FLASH_BYTES,
                "address {address:#x} is not in flash"
            );
            (address / PAGE_BYTES) as usize
        }
    }

    /// The word of flash or UICR that holds `address`.
    ///
    /// # Panics
    /// If the address is in neither: callers know what they address.
    pub fn flash_word(&self, address: u32) -> u32 {
        self.flash.pages[Self::page_index(address)].words[(address as usize / 4) % PAGE_WORDS]
    }

    /// Makes the word of flash or UICR that holds `address` read as `value` from now on; what a
    /// write really leaves behind is the caller's decision.
    ///
    /// # Panics
    /// If the address is in neither.
    pub fn set_flash_word(&mut self, address: u32, value: u32) {
        if self.flash_word(address) == value {
            return;
        }
        let page = Arc::make_mut(&mut self.flash.pages_mut()[Self::page_index(address)]);
        page.words[(address as usize / 4) % PAGE_WORDS] = value;
        page.slots.take();
        page.hash.take();
    }

    /// Adds to a hash what code flash and UICR hold, but for some pages of code flash, and as if one page
    /// held other words.
    pub(crate) fn hash_flash(
        &self,
        hasher: &mut impl Hasher,
        without: &[u32],
        with: Option<(u32, &[u32])>,
    ) {
        hasher.write_u64(self.flash.hash(without, with));
    }

    /// The words of the flash or UICR page that holds `address`.
    ///
    /// # Panics
    /// If the address is in neither.
    pub fn flash_page(&self, address: u32) -> &[u32; PAGE_WORDS] {
        &self.flash.pages[Self::page_index(address)].words
    }

    /// Makes the flash or UICR page that holds `address` read as all ones.
    ///
    /// # Panics
    /// If the address is in neither.
    pub fn erase_page(&mut self, address: u32) {
        self.flash.pages_mut()[Self::page_index(address)] = Arc::new(Page::erased());
    }

    /// Makes all of code flash and the UICR page read as all ones.
    pub fn erase_all(&mut self) {
        let page = Arc::new(Page::erased());
        self.flash = Flash::new(std::array::from_fn(|_| Arc::clone(&page)));
    }

    /// Puts bytes into flash or UICR without any physics: how an image gets into a chip that no
    /// probe flashes. Bytes that share a word with others leave those as they are.
    ///
    /// # Panics
    /// If any address is in neither.
    pub fn load(&mut self, address: u32, bytes: &[u8]) {
        for (at, &byte) in (address..).zip(bytes) {
            let shift = at % 4 * 8;
            let word = self.flash_word(at) & !(0xff << shift) | u32::from(byte) << shift;
            self.set_flash_word(at, word);
        }
    }

    /// The word of RAM that holds `address`, taken modulo RAM's size.
    #[inline]
    pub fn ram_word(&self, address: u32) -> u32 {
        self.ram[(address as usize / 4) % RAM_WORDS]
    }

    /// Changes the word of RAM that holds `address`, taken modulo RAM's size.
    pub fn set_ram_word(&mut self, address: u32, value: u32) {
        self.ram[(address as usize / 4) % RAM_WORDS] = value;
        if self.ram_code.near(address) {
            self.ram_code.forget(address);
        }
    }

    /// Fills RAM as a power cycle leaves it: with noise that follows from `seed`.
    pub fn scramble_ram(&mut self, seed: u64) {
        let mut state = seed | 1;
        for word in self.ram.iter_mut() {
            // xorshift64*: cheap, and no firmware mistakes it for its own data.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            *word = (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32;
        }
        self.ram_code = RamCode::default();
    }

    /// The halfword at an even address that code can be fetched from, if there is memory.
    pub(crate) fn fetch(&self, address: u32) -> Option<u16> {
        let word = if address < FLASH_BYTES {
            self.flash.code_word(address)
        } else if Self::is_ram(address) {
            self.ram_word(address)
        } else if Self::is_flash(address) {
            self.flash_word(address)
        } else {
            return None;
        };
        Some((word >> (address % 4 * 8)) as u16)
    }

    /// Decodes the RAM instructions from `address` on, so that they run fast from now on.
    pub(crate) fn decode_ram(&mut self, address: u32) {
        let first = (address % RAM_BYTES / 2) as usize;
        let ram = &self.ram;
        let decode = |slot: usize| {
            decode::at(RAM + 2 * slot as u32, |ahead| {
                let word = ram.get((slot + ahead) / 2)?;
                Some((word >> ((slot + ahead) % 2 * 16)) as u16)
            })
        };
        let end = (first + decode::REACH).min(RAM_SLOTS);
        let slots = self
            .ram_code
            .slots
            .get_or_insert_with(|| Arc::new(Slots::UNDECODED));
        Arc::make_mut(slots).fill(first..end, decode);
        // The last instruction may reach one slot further.
        for slot in first..=end {
            self.ram_code.granules |= 1 << (((2 * slot as u32) >> GRANULE_SHIFT) % 32);
        }
    }
}
