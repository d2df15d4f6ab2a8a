//! The flash controller and the flash's physics: nRF51 Series Reference Manual v3.0, section 6
//! "NVMC"; times from the nRF51822 Product Specification v3, section 8.21.
//!
//! A write only clears bits, an erase sets all bits of a page; both take their time, and the words
//! change when it is over. When the supply goes before that, [`Torn`] says what is left. Bits left
//! metastable read differently after every power-on until they are programmed or erased.

use std::collections::BTreeMap;

use crate::time::Ticks;

use super::memory::{FLASH_BYTES, Memory, PAGE_BYTES, PAGE_WORDS, UICR};
use super::peripherals::Note;

/// First address of the controller's registers.
const REGISTERS: u32 = 0x4001_e000;
const READY: u32 = 0x400;
const CONFIG: u32 = 0x504;
const ERASEPAGE: u32 = 0x508;
const ERASEALL: u32 = 0x50c;
const ERASEPCR0: u32 = 0x510;
const ERASEUICR: u32 = 0x514;

/// To write one word: 46.3 µs.
pub const WRITE_TIME: Ticks = Ticks(741);
/// To erase one page, or all of the flash: 22.3 ms.
pub const ERASE_TIME: Ticks = Ticks(356_800);

/// What a flash operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum FlashChange {
    /// Programs a word: what was there and what was stored. The result is both, bit by bit.
    Write {
        /// The word's address.
        address: u32,
        /// The word before.
        before: u32,
        /// The word that was stored.
        wanted: u32,
    },
    /// Erases the page that begins at this address.
    ErasePage {
        /// The page's first address.
        page: u32,
    },
    /// Erases all of code flash and the UICR.
    EraseAll,
    /// Erases the UICR.
    EraseUicr,
}

/// A flash operation with its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct FlashOperation {
    /// What it does.
    pub change: FlashChange,
    /// When it started.
    pub started: Ticks,
    /// When it ends, or would have.
    pub ends: Ticks,
}

/// What a flash operation leaves behind when the supply is lost within it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Torn {
    /// Nothing of it happened.
    #[default]
    DroppedBefore,
    /// All of it happened: the supply went just too late.
    DroppedAfter,
    /// Of the bits that it would have changed the first so many did, counted from bit 0 of the
    /// lowest word.
    Prefix {
        /// How many.
        bits: u32,
    },
    /// Its first so many bytes are as they would have become, the others as they were.
    Bytes {
        /// How many, of the word or page.
        count: u32,
    },
    /// All of it happened but for one bit, which stayed as it was.
    Without {
        /// Its place in the word or page, from bit 0 of the lowest word.
        bit: u32,
    },
    /// All of it happened, and one bit that should have stayed was programmed with it. Of an erase,
    /// which leaves no bit as it was, all happened.
    Stray {
        /// Its place in the word.
        bit: u32,
    },
    /// Of the bits that it would have changed so many of 256 did, each at its own time: those of a
    /// smaller share are among those of a larger one.
    Share {
        /// How many of 256.
        of_256: u32,
        /// In which order.
        seed: u64,
    },
    /// Of the bits that it would have changed each did or did not, by a coin.
    BitSubset {
        /// The coin.
        seed: u64,
    },
    /// Most of the bits that it would have changed did, seven of eight: what bricked parts show
    /// after an erase that was cut.
    PartialErase {
        /// Which did not.
        seed: u64,
    },
    /// The bits that it would have changed read one way or the other, anew after every power-on,
    /// until they are programmed or erased.
    Metastable {
        /// How they read; the chip's own noise counts as well.
        seed: u64,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
enum Mode {
    Read,
    Write,
    Erase,
}

/// The controller.
#[derive(Clone, Debug, Hash)]
pub struct Nvmc {
    mode: Mode,
    requested: Option<FlashChange>,
    running: Option<FlashOperation>,
    last: Option<FlashOperation>,
    operations: u64,
    torn: Torn,
    power_failing: bool,
    protected_blocks: u64,
    /// Address of a word, and its bits that no power-on reads alike.
    unsettled: BTreeMap<u32, u32>,
    /// With the noise of a power-on it decides how those bits read.
    coin: u64,
    notes: Vec<Note>,
    noted: u32,
}

impl Default for Nvmc {
    fn default() -> Nvmc {
        Nvmc::new()
    }
}

impl Nvmc {
    /// An idle controller over a flash without unsettled bits.
    pub fn new() -> Nvmc {
        Nvmc {
            mode: Mode::Read,
            requested: None,
            running: None,
            last: None,
            operations: 0,
            torn: Torn::default(),
            power_failing: false,
            protected_blocks: 0,
            unsettled: BTreeMap::new(),
            coin: 0,
            notes: Vec::new(),
            noted: 0,
        }
    }

    /// Resets the registers. An operation in progress goes on: flash knows no reset.
    pub(super) fn reset(&mut self) {
        self.mode = Mode::Read;
        self.requested = None;
        self.protected_blocks = 0;
        self.power_failing = false;
    }

    pub(super) fn read(&self, offset: u32, now: Ticks) -> u32 {
        match offset {
            READY => u32::from(self.running.is_none_or(|operation| operation.ends <= now)),
            CONFIG => match self.mode {
                Mode::Read => 0,
                Mode::Write => 1,
                Mode::Erase => 2,
            },
            _ => 0,
        }
    }

    /// Writes a register. An erase that it asks for waits in [`Nvmc::is_requested`].
    pub(super) fn write(&mut self, offset: u32, value: u32, now: Ticks) {
        let change = match offset {
            CONFIG => {
                self.mode = match value & 3 {
                    1 => Mode::Write,
                    2 => Mode::Erase,
                    _ => Mode::Read,
                };
                return;
            }
            ERASEPAGE | ERASEPCR0 if value < FLASH_BYTES => FlashChange::ErasePage {
                page: value & !(PAGE_BYTES - 1),
            },
            ERASEPAGE | ERASEPCR0 => {
                return self.note(
                    now,
                    offset,
                    0,
                    "an erase of a page outside flash did nothing",
                );
            }
            ERASEALL if value & 1 != 0 => FlashChange::EraseAll,
            ERASEUICR if value & 1 != 0 => FlashChange::EraseUicr,
            _ => return,
        };
        if self.mode != Mode::Erase {
            self.note(now, offset, 1, "an erase without CONFIG.EEN did nothing");
        } else if self.power_failing {
            self.note(now, offset, 2, "an erase under POFWARN did nothing");
        } else if self.protects(change) {
            self.note(now, offset, 3, "an erase of a protected block did nothing");
        } else {
            self.requested = Some(change);
        }
    }

    /// Whether an erase waits to be started with [`Nvmc::erase`].
    pub(super) fn is_requested(&self) -> bool {
        self.requested.is_some()
    }

    /// A word store by the core or the debugger to flash or UICR. Returns when the flash is
    /// readable again; `now` if nothing was started.
    pub fn store(&mut self, memory: &mut Memory, address: u32, value: u32, now: Ticks) -> Ticks {
        let address = address & !3;
        let before = memory.flash_word(address);
        let change = FlashChange::Write {
            address,
            before,
            wanted: value,
        };
        if self.mode != Mode::Write {
            self.note(now, 0, 4, "a store to flash without CONFIG.WEN did nothing");
        } else if self.power_failing {
            self.note(now, 0, 5, "a store to flash under POFWARN did nothing");
        } else if self.protects(change) {
            self.note(now, 0, 6, "a store to a protected block did nothing");
        } else {
            return self.start(memory, change, now);
        }
        now
    }

    /// A store of less than a word to flash. While writes are disabled it does nothing, as on the
    /// chip: micro:bit programs store through a null pointer before their static constructors have
    /// run, and live. While they are enabled it is refused with a fault. Returns whether it was
    /// ignored.
    pub fn ignores_part_of_a_word(&mut self, now: Ticks) -> bool {
        let ignored = self.mode != Mode::Write;
        if ignored {
            self.note(
                now,
                0,
                7,
                "a store of less than a word to flash did nothing",
            );
        }
        ignored
    }

    /// Starts the erase that was requested through the registers, if any. Returns when the flash
    /// is readable again; `now` if nothing was started.
    pub fn erase(&mut self, memory: &mut Memory, now: Ticks) -> Ticks {
        match self.requested.take() {
            Some(change) => self.start(memory, change, now),
            None => now,
        }
    }

    fn start(&mut self, memory: &mut Memory, change: FlashChange, now: Ticks) -> Ticks {
        // Code in RAM that does not look at READY waits at the bus for the operation before.
        let started = self
            .running
            .map_or(now, |operation| operation.ends.max(now));
        self.finish(memory, started);
        let change = match change {
            FlashChange::Write {
                address, wanted, ..
            } => FlashChange::Write {
                address,
                before: memory.flash_word(address),
                wanted,
            },
            erase => erase,
        };
        let time = if matches!(change, FlashChange::Write { .. }) {
            WRITE_TIME
        } else {
            ERASE_TIME
        };
        let operation = FlashOperation {
            change,
            started,
            ends: started + time,
        };
        self.running = Some(operation);
        self.last = Some(operation);
        self.operations += 1;
        operation.ends
    }

    /// Carries out the operation in progress if its time is over.
    pub fn finish(&mut self, memory: &mut Memory, now: Ticks) {
        if let Some(operation) = self.running.take_if(|operation| operation.ends <= now) {
            self.carry_out(memory, operation.change);
        }
    }

    fn carry_out(&mut self, memory: &mut Memory, change: FlashChange) {
        match change {
            FlashChange::Write {
                address, wanted, ..
            } => {
                memory.note(|dependence| dependence.note_write(address));
                memory.set_flash_word(address, memory.flash_word(address) & wanted);
                self.settle(address, wanted);
            }
            FlashChange::ErasePage { page } => {
                memory.note(|dependence| dependence.note_erase(page));
                memory.erase_page(page);
                self.unsettled
                    .retain(|address, _| address & !(PAGE_BYTES - 1) != page);
                self.forget_coin();
            }
            FlashChange::EraseAll => {
                memory.note(|dependence| dependence.note_erase(UICR));
                memory.erase_all();
                self.unsettled.clear();
            }
            FlashChange::EraseUicr => {
                memory.note(|dependence| dependence.note_erase(UICR));
                memory.erase_page(UICR);
                self.unsettled.retain(|&address, _| address < UICR);
            }
        }
    }

    /// A write settles the bits that it programs and leaves the others as they are.
    fn settle(&mut self, address: u32, wanted: u32) {
        if let Some(bits) = self.unsettled.get_mut(&address) {
            *bits &= wanted;
            if *bits == 0 {
                self.unsettled.remove(&address);
                self.forget_coin();
            }
        }
    }

    /// Where nothing is unsettled it does not matter how it would read.
    fn forget_coin(&mut self) {
        if self.unsettled.is_empty() {
            self.coin = 0;
        }
    }

    /// Chooses what the next [`Nvmc::cut`] leaves of an operation.
    pub fn set_torn(&mut self, torn: Torn) {
        self.torn = torn;
    }

    /// The supply was lost, perhaps within an operation, which is then torn as
    /// [`Nvmc::set_torn`] said.
    pub fn cut(&mut self, memory: &mut Memory, now: Ticks) {
        let torn = std::mem::take(&mut self.torn);
        self.interrupt(memory, torn, now);
    }

    /// The supply was lost at `now`: tears the operation in progress, if there is one. Returns
    /// it.
    pub fn interrupt(
        &mut self,
        memory: &mut Memory,
        torn: Torn,
        now: Ticks,
    ) -> Option<FlashOperation> {
        self.finish(memory, now);
        self.requested = None;
        let operation = self.running.take()?;
        match torn {
            Torn::DroppedBefore => {}
            Torn::DroppedAfter => self.carry_out(memory, operation.change),
            Torn::Prefix { bits } => {
                let mut left = bits;
                self.tear(memory, operation.change, |_, changing| {
                    let taken = lowest(changing, left);
                    left -= taken.count_ones();
                    taken
                });
            }
            Torn::Stray { bit } => {
                let change = match operation.change {
                    FlashChange::Write {
                        address,
                        before,
                        wanted,
                    } => FlashChange::Write {
                        address,
                        before,
                        wanted: wanted & !(1 << (bit % 32)),
                    },
                    erase => erase,
                };
                self.carry_out(memory, change);
            }
            Torn::Bytes { .. }
            | Torn::Without { .. }
            | Torn::Share { .. }
            | Torn::BitSubset { .. }
            | Torn::PartialErase { .. } => {
                self.tear(memory, operation.change, |address, changing| {
                    chosen(torn, operation.change, address, changing)
                });
            }
            Torn::Metastable { seed } => {
                let mut unsettled = Vec::new();
                self.tear(memory, operation.change, |address, changing| {
                    if changing != 0 {
                        unsettled.push((address, changing));
                    }
                    changing & noise(seed, address)
                });
                self.coin ^= seed;
                for (address, bits) in unsettled {
                    *self.unsettled.entry(address).or_default() |= bits;
                }
            }
        }
        Some(operation)
    }

    /// What a cut right now would leave of the page that the operation in progress changes: its first
    /// address and its words. None, if there is no such operation, if it changes more than one page, or if
    /// what it would leave is not settled.
    pub fn torn_page(&self, memory: &Memory, torn: Torn) -> Option<(u32, [u32; PAGE_WORDS])> {
        let change = self.running?.change;
        let page = match change {
            FlashChange::Write { address, .. } => address & !(PAGE_BYTES - 1),
            FlashChange::ErasePage { page } => page,
            _ => return None,
        };
        let is_settled = self
            .unsettled
            .keys()
            .all(|address| address & !(PAGE_BYTES - 1) != page);
        if !is_settled || matches!(torn, Torn::Metastable { .. } | Torn::Prefix { .. }) {
            return None;
        }
        let mut words = *memory.flash_page(page);
        let torn_word = |address: u32, word: u32| match (change, torn) {
            (FlashChange::Write { wanted, .. }, Torn::Stray { bit }) => {
                word & wanted & !(1 << (bit % 32))
            }
            (FlashChange::Write { wanted, .. }, _) => {
                word & !chosen(torn, change, address, word & !wanted)
            }
            (_, Torn::Stray { .. }) => u32::MAX,
            _ => word | chosen(torn, change, address, !word),
        };
        match change {
            FlashChange::Write { address, .. } => {
                let word = &mut words[(address - page) as usize / 4];
                *word = torn_word(address, *word);
            }
            _ => {
                for (address, word) in (page..).step_by(4).zip(&mut words) {
                    *word = torn_word(address, *word);
                }
            }
        }
        Some((page, words))
    }

    /// Changes of each word those bits that `choose` takes of the bits that would have changed.
    fn tear(
        &mut self,
        memory: &mut Memory,
        change: FlashChange,
        mut choose: impl FnMut(u32, u32) -> u32,
    ) {
        if let FlashChange::Write {
            address, wanted, ..
        } = change
        {
            let word = memory.flash_word(address);
            let taken = choose(address, word & !wanted);
            memory.set_flash_word(address, word & !taken);
            self.settle(address, !taken);
            return;
        }
        let pages = match change {
            FlashChange::ErasePage { page } => vec![page],
            FlashChange::EraseAll => (0..FLASH_BYTES)
                .step_by(PAGE_BYTES as usize)
                .chain([UICR])
                .collect(),
            _ => vec![UICR],
        };
        for page in pages {
            for word in 0..PAGE_WORDS as u32 {
                let address = page + 4 * word;
                let before = memory.flash_word(address);
                let taken = choose(address, !before);
                memory.set_flash_word(address, before | taken);
            }
        }
    }

    /// The supply is back: every unsettled bit reads as the noise of this power-on has it.
    pub fn power_on(&mut self, memory: &mut Memory, seed: u64) {
        for &address in self.unsettled.keys() {
            let word = self.word_after_power_on(memory, address, seed);
            memory.set_flash_word(address, word);
        }
    }

    /// How many operations were started since the chip was made.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// The operation that was started last.
    pub fn last(&self) -> Option<FlashOperation> {
        self.last
    }

    /// The operation in progress.
    pub fn running(&self) -> Option<FlashOperation> {
        self.running
    }

    /// How many bits of flash read differently after every power-on.
    pub fn unsettled_bits(&self) -> u32 {
        self.unsettled.values().map(|bits| bits.count_ones()).sum()
    }

    /// Adds to a hash which bits read differently after every power-on, and what decides how; nothing
    /// where there are none. Those of some pages are left out.
    pub(super) fn hash_unsettled(
        &self,
        hasher: &mut impl std::hash::Hasher,
        without: &[u32],
    ) -> bool {
        use std::hash::Hash;
        let mut any = false;
        for (address, bits) in &self.unsettled {
            if !without.contains(&(address & !(PAGE_BYTES - 1))) {
                (address, bits, self.coin).hash(hasher);
                any = true;
            }
        }
        any
    }

    /// How a word will read after the next power-on, whose noise is `seed`.
    pub(super) fn word_after_power_on(&self, memory: &Memory, address: u32, seed: u64) -> u32 {
        let bits = self.unsettled.get(&address).copied().unwrap_or(0);
        memory.flash_word(address) & !bits | noise(seed ^ self.coin, address) & bits
    }

    /// Whether the power-fail warning is raised: the nRF51 then refuses to write or erase
    /// (section 12.1.3).
    pub(super) fn set_power_failing(&mut self, failing: bool) {
        self.power_failing = failing;
    }

    pub(super) fn set_protected_blocks(&mut self, blocks: u64) {
        self.protected_blocks = blocks;
    }

    fn protects(&self, change: FlashChange) -> bool {
        match change {
            FlashChange::Write { address: at, .. } | FlashChange::ErasePage { page: at } => {
                at < FLASH_BYTES && (self.protected_blocks >> (at / 4_096)) & 1 != 0
            }
            FlashChange::EraseAll => self.protected_blocks != 0,
            FlashChange::EraseUicr => false,
        }
    }

    fn note(&mut self, at: Ticks, offset: u32, kind: u32, what: &'static str) {
        if self.noted & (1 << kind) == 0 {
            self.noted |= 1 << kind;
            self.notes.push(Note {
                at,
                address: REGISTERS + offset,
                what,
            });
        }
    }

    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }
}

/// Of the bits of a word that an operation would have changed, those that it did; of the ways that do not
/// depend on other words and leave nothing unsettled.
fn chosen(torn: Torn, change: FlashChange, address: u32, changing: u32) -> u32 {
    match torn {
        Torn::Bytes { count } => {
            let before = address_in(change, address);
            let bits = 8 * count.saturating_sub(before).min(4);
            changing & u32::MAX.checked_shl(bits).map_or(u32::MAX, |rest| !rest)
        }
        Torn::Without { bit } => {
            let here = bit / 32 == address_in(change, address) / 4;
            changing & !(u32::from(here) << (bit % 32))
        }
        Torn::Share { of_256, seed } => changing & sooner(seed, address, of_256),
        Torn::BitSubset { seed } => changing & noise(seed, address),
        Torn::PartialErase { seed } => {
            let left = noise(seed, address)
                & noise(seed ^ 0x5851_f42d_4c95_7f2d, address)
                & noise(seed ^ 0x1405_7b7e_f767_814f, address);
            changing & !left
        }
        Torn::DroppedAfter => changing,
        Torn::DroppedBefore
        | Torn::Stray { .. }
        | Torn::Prefix { .. }
        | Torn::Metastable { .. } => 0,
    }
}

/// Where a word lies in the word or page that an operation changes, in bytes.
fn address_in(change: FlashChange, address: u32) -> u32 {
    match change {
        FlashChange::Write { .. } => 0,
        _ => address % PAGE_BYTES,
    }
}

/// The bits of a word whose turn comes within the first `of_256` of 256.
fn sooner(seed: u64, address: u32, of_256: u32) -> u32 {
    // Each bit draws a number of eight bits, here one bit of it after the other, lowest first.
    (0..8).fold(0, |below, place| {
        let drawn = noise(seed.wrapping_add(place), address);
        match of_256 >> place & 1 {
            0 => below & !drawn,
            _ => below | !drawn,
        }
    }) | if of_256 > 255 { u32::MAX } else { 0 }
}

/// The lowest `count` bits that are set.
fn lowest(bits: u32, count: u32) -> u32 {
    let mut rest = bits;
    for _ in 0..count.min(32) {
        rest &= rest.wrapping_sub(1);
    }
    bits & !rest
}

/// 32 coins for a word, from a seed: the finaliser of SplitMix64.
fn noise(seed: u64, address: u32) -> u32 {
    let mut mixed = seed.wrapping_add((u64::from(address) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 16) as u32
}
