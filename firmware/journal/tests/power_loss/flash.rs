//! NOR flash in memory whose supply can fail at any operation.
//!
//! A torn word keeps two values, as it was and as it should have become; bits in which they differ read
//! as each boot's [`Reads`] says. Words are written once between two erases, else the flash panics.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

pub const PAGE_WORDS: usize = 16;
const WORDS: usize = 3 * PAGE_WORDS;
const BLANK: Word = Word {
    old: u32::MAX,
    new: u32::MAX,
};

/// The supply is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut;

impl NorFlashError for Cut {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// What a cut leaves of the operation it hits.
#[derive(Clone, Copy, Debug)]
pub enum Tear {
    /// Nothing happened yet.
    Before,
    /// It was finished.
    Complete,
    /// The lowest bits of a word, or the first words of a page, are done.
    Prefix(u32),
    /// Some of the bits are done, by seed.
    Subset(u64),
    /// Every bit that was to change reads differently from boot to boot.
    Loose,
    /// Some of the bits are done, the others read differently from boot to boot, by seed.
    LooseSubset(u64),
}

impl Tear {
    pub fn random(random: &mut TestRandom) -> Self {
        match random.below(6) {
            0 => Tear::Before,
            1 => Tear::Complete,
            2 => Tear::Prefix(random.below(32) as u32),
            3 => Tear::Subset(random.next()),
            4 => Tear::Loose,
            _ => Tear::LooseSubset(random.next()),
        }
    }
}

/// How torn bits read during one boot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reads {
    /// As before the operation that tore them.
    Old,
    /// As if it had been finished.
    New,
    /// Each bit one way or the other, by seed.
    Mixed(u64),
    /// Each bit anew at each read, by seed.
    Flicker(u64),
}

impl Reads {
    pub fn random(random: &mut TestRandom) -> Self {
        match random.below(4) {
            0 => Reads::Old,
            1 => Reads::New,
            2 => Reads::Mixed(random.next()),
            _ => Reads::Flicker(random.next()),
        }
    }
}

/// A word, as it was before and after the operation that tore it; both are the same in a solid one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Word {
    old: u32,
    new: u32,
}

impl Word {
    fn solid(value: u32) -> Self {
        Word {
            old: value,
            new: value,
        }
    }

    fn is_solid(self) -> bool {
        self.old == self.new
    }
}

/// Three pages.
#[derive(Clone, Debug)]
pub struct Flash {
    words: [Word; WORDS],
    reads: Reads,
    /// One bit for each operation since the boot, set if it was an erase.
    erases: u64,
    operations: usize,
    cut: Option<(usize, Tear)>,
    dead: bool,
}

impl Flash {
    /// A new chip's.
    pub fn new() -> Self {
        Flash {
            words: [BLANK; WORDS],
            reads: Reads::Old,
            erases: 0,
            operations: 0,
            cut: None,
            dead: false,
        }
    }

    /// What is in the cells, and nothing of this boot.
    pub fn words(&self) -> [Word; WORDS] {
        self.words
    }

    pub fn is_solid(&self) -> bool {
        self.words.iter().all(|word| word.is_solid())
    }

    /// How many operations this boot has begun, and which of them were erases.
    pub fn operations(&self) -> usize {
        self.operations
    }

    pub fn was_erase(&self, operation: usize) -> bool {
        self.erases >> operation & 1 == 1
    }

    /// Whether the cut has fallen.
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// The supply will fail at this operation of the current boot.
    pub fn cut_at(&mut self, operation: usize, tear: Tear) {
        self.cut = Some((operation, tear));
    }

    /// The supply is back.
    pub fn reboot(&mut self, reads: Reads) {
        self.reads = reads;
        self.erases = 0;
        self.operations = 0;
        self.cut = None;
        self.dead = false;
    }

    /// Overwrites a word as no flash operation could.
    pub fn damage(&mut self, index: usize, value: u32) {
        self.words[index] = Word::solid(value);
    }

    /// Counts an operation; says how it is torn if the cut falls on it.
    fn begin(&mut self, is_erase: bool) -> Result<Option<Tear>, Cut> {
        if self.dead {
            return Err(Cut);
        }
        let operation = self.operations;
        self.operations += 1;
        self.erases |= u64::from(is_erase) << operation;
        match self.cut {
            Some((at, tear)) if at == operation => {
                self.dead = true;
                Ok(Some(tear))
            }
            _ => Ok(None),
        }
    }

    fn read_word(&mut self, index: usize) -> u32 {
        let Word { old, new } = self.words[index];
        let choice = match &mut self.reads {
            Reads::Old => 0,
            Reads::New => u32::MAX,
            Reads::Mixed(seed) => TestRandom::new(*seed ^ (index as u64) << 32).next() as u32,
            Reads::Flicker(seed) => {
                let mut random = TestRandom::new(*seed);
                *seed = random.next();
                random.next() as u32
            }
        };
        old & !choice | new & choice
    }
}

/// What is left of a word that was to go from `old` to `new`; `place` is its place in the operation.
fn torn(word: Word, new: u32, tear: Tear, is_erase: bool, place: u32) -> Word {
    let Word { old, .. } = word;
    let of_both = |done: u32| old & !done | new & done;
    match tear {
        Tear::Before => word,
        Tear::Complete => Word::solid(new),
        Tear::Prefix(words) if is_erase && place < words => Word::solid(new),
        Tear::Prefix(_) if is_erase => word,
        Tear::Prefix(bits) => Word::solid(of_both((1 << bits) - 1)),
        Tear::Subset(seed) => {
            let done = TestRandom::new(seed ^ u64::from(place) << 32).next() as u32;
            Word {
                old: of_both(done),
                new: word.new & !done | new & done,
            }
        }
        Tear::Loose => Word {
            old: old & word.new,
            new,
        },
        Tear::LooseSubset(seed) => {
            let done = TestRandom::new(seed ^ u64::from(place) << 32).next() as u32;
            Word {
                old: old & word.new & !done | new & done,
                new,
            }
        }
    }
}

impl ErrorType for Flash {
    type Error = Cut;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Cut> {
        if self.dead {
            return Err(Cut);
        }
        for (index, chunk) in bytes.chunks_mut(4).enumerate() {
            let word = self.read_word(offset as usize / 4 + index);
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        WORDS * 4
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE_WORDS * 4;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Cut> {
        assert_eq!((from as usize % Self::ERASE_SIZE, to - from), (0, 64));
        let tear = self.begin(true)?.unwrap_or(Tear::Complete);
        let first = from as usize / 4;
        for (place, word) in self.words[first..][..PAGE_WORDS].iter_mut().enumerate() {
            *word = torn(*word, u32::MAX, tear, true, place as u32);
        }
        if self.dead { Err(Cut) } else { Ok(()) }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Cut> {
        let value = u32::from_le_bytes(bytes.try_into().expect("one word at a time"));
        let tear = self.begin(false)?.unwrap_or(Tear::Complete);
        let word = &mut self.words[offset as usize / 4];
        assert_eq!(*word, BLANK, "word at {offset:#x} is written twice");
        *word = torn(*word, value, tear, false, 0);
        if self.dead { Err(Cut) } else { Ok(()) }
    }
}

/// SplitMix64: the same numbers from the same seed, everywhere.
pub struct TestRandom(u64);

impl TestRandom {
    pub fn new(seed: u64) -> Self {
        TestRandom(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
