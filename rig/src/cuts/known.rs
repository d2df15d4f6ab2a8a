//! What is known about starts of the lock, by the words of flash that they depended on.
//!
//! A start depends on the words that the program reads, and not on those of a page that it erases first.
//! A state that agrees in these words, and in everything outside the erased pages, comes to rest in the
//! same way, and need not be started.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::port::{Branch, Dependence};

/// Bytes of a page of flash, the unit of erasure.
const PAGE_BYTES: u32 = 1024;

/// What one start depended on.
pub struct Dependent {
    on: Dependence,
    /// The words as they were, and all that was not erased.
    print: u64,
}

impl Dependent {
    /// `before` is the bench as it was before the start.
    pub fn new(before: &dyn Branch, mut on: Dependence) -> Dependent {
        // All that was not erased has to agree as a whole.
        on.words
            .retain(|word| on.erased.contains(&(word & !(PAGE_BYTES - 1))));
        let print = print(before, &on);
        Dependent { on, print }
    }
}

/// Starts, by what they depended on.
#[derive(Default)]
pub struct Known {
    starts: HashMap<Dependence, HashMap<u64, u64>>,
    /// The keys of `starts`, in the order in which they came.
    shapes: Vec<Dependence>,
}

impl Known {
    /// Notes what a start came to.
    pub fn insert(&mut self, dependent: Dependent, recovery: u64) {
        let Dependent { on, print } = dependent;
        if !self.starts.contains_key(&on) {
            self.shapes.push(on.clone());
        }
        self.starts
            .entry(on)
            .or_default()
            .entry(print)
            .or_insert(recovery);
    }

    /// What the start of this bench will come to, if a known one did not depend on what is different.
    pub fn get(&self, bench: &dyn Branch) -> Option<u64> {
        // What came last is most alike.
        self.shapes
            .iter()
            .rev()
            .find_map(|on| self.starts[on].get(&print(bench, on)).copied())
    }
}

fn print(bench: &dyn Branch, on: &Dependence) -> u64 {
    let mut hasher = DefaultHasher::new();
    bench.lasting_state_without(&on.erased).hash(&mut hasher);
    for run in on.words.chunk_by(|word, next| word + 4 == *next) {
        bench
            .flash_after_power_on(run[0], run.len())
            .hash(&mut hasher);
    }
    hasher.finish()
}
