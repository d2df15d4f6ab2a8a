//! What is known about starts of the lock, by the words of flash that they depended on.
//!
//! A start depends on the words that the program reads, and not on those of a page that it erases first.
//! A state that agrees in these words, and in everything outside the erased pages, comes to rest in the
//! same way, and need not be started.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHashMap as HashMap;

use crate::port::sim::state_hasher;
use crate::port::{Branch, Dependence};

/// Bytes of a page of flash, the unit of erasure.
const PAGE_BYTES: u32 = 1024;

/// A bench without supply, or in the middle of a start; one page of its flash may be taken to hold other
/// words.
#[derive(Clone, Copy)]
pub struct View<'b> {
    pub branch: &'b dyn Branch,
    pub with: Option<(u32, &'b [u32])>,
}

/// What a start depended on, and the words as they were.
#[derive(Clone)]
pub struct Start {
    pub on: Arc<Dependence>,
    print: u64,
    /// The recovery that it came to.
    pub recovery: u64,
}

impl Start {
    /// `before` is the bench as it was when the dependence began.
    pub fn new(before: View<'_>, on: Dependence, recovery: u64) -> Start {
        let mut prints = Prints::default();
        Start {
            print: prints.of(before, 0, &on),
            on: Arc::new(on),
            recovery,
        }
    }

    /// Whether a bench agrees in all that it depended on.
    pub fn fits(&self, bench: View<'_>) -> bool {
        Prints::default().of(bench, 0, &self.on) == self.print
    }
}

/// The dependence of what came first and then of what followed it.
pub fn joined(mut first: Dependence, then: &Dependence) -> Dependence {
    let page = |word: &u32| word & !(PAGE_BYTES - 1);
    let later = then.words.iter();
    let later = later.filter(|word| !first.erased.contains(&page(word)));
    first.words.extend(later);
    first.words.sort_unstable();
    first.words.dedup();
    first.erased.extend(&then.erased);
    first.erased.sort_unstable();
    first.erased.dedup();
    first
}

/// Starts, by what they depended on.
#[derive(Default, Clone)]
pub struct Known {
    shapes: Vec<Shape>,
    numbers: HashMap<Arc<Dependence>, usize>,
}

#[derive(Clone)]
struct Shape {
    on: Arc<Dependence>,
    recoveries: HashMap<u64, u64>,
}

impl Known {
    /// Notes what a start came to.
    pub fn insert(&mut self, start: Start) {
        let next = self.shapes.len();
        let number = *self.numbers.entry(Arc::clone(&start.on)).or_insert(next);
        if number == next {
            self.shapes.push(Shape {
                on: start.on,
                recoveries: HashMap::default(),
            });
        }
        let recoveries = &mut self.shapes[number].recoveries;
        recoveries.entry(start.print).or_insert(start.recovery);
    }

    /// What the start of this bench will come to, if a known one did not depend on what is different.
    /// `prints` is of benches that differ from this one in no other page than that of the view.
    pub fn get(&self, bench: View<'_>, prints: &mut Prints) -> Option<u64> {
        // What hit last is most alike, and then what came last.
        let hit = prints.hit.filter(|hit| *hit < self.shapes.len());
        let others = (0..self.shapes.len()).rev();
        for number in hit.into_iter().chain(others) {
            let shape = &self.shapes[number];
            let print = prints.of(bench, number, &shape.on);
            if let Some(recovery) = shape.recoveries.get(&print) {
                prints.hit = Some(number);
                return Some(*recovery);
            }
        }
        None
    }
}

/// Hashes of what does not differ between benches that differ in one page only.
#[derive(Default)]
pub struct Prints {
    outside: HashMap<usize, u64>,
    pages: HashMap<(usize, u32), u64>,
    hit: Option<usize>,
}

impl Prints {
    fn of(&mut self, bench: View<'_>, shape: usize, on: &Dependence) -> u64 {
        let page = |word: &u32| word & !(PAGE_BYTES - 1);
        let other = bench.with.map(|(page, _)| page);
        let mut hasher = state_hasher();
        let is_erased = other.is_none_or(|page| on.erased.contains(&page));
        let outside = match is_erased {
            true => *self
                .outside
                .entry(shape)
                .or_insert_with(|| bench.branch.lasting_state_but(&on.erased, None)),
            false => bench.branch.lasting_state_but(&on.erased, bench.with),
        };
        outside.hash(&mut hasher);
        for words in on.words.chunk_by(|word, next| page(word) == page(next)) {
            let hash = match bench.with {
                Some((page, with)) if page == words[0] & !(PAGE_BYTES - 1) => {
                    let mut hasher = state_hasher();
                    for word in words {
                        with[(word - page) as usize / 4].hash(&mut hasher);
                    }
                    hasher.finish()
                }
                _ => *self
                    .pages
                    .entry((shape, page(&words[0])))
                    .or_insert_with(|| {
                        let mut hasher = state_hasher();
                        for run in words.chunk_by(|word, next| word + 4 == *next) {
                            let held = bench.branch.flash_after_power_on(run[0], run.len());
                            for word in held {
                                word.hash(&mut hasher);
                            }
                        }
                        hasher.finish()
                    }),
            };
            hash.hash(&mut hasher);
        }
        hasher.finish()
    }
}
