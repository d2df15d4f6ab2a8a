//! Contacts that bounce become levels that stand.

/// How many samples in a row have to agree. Dome keys settle in 6 ms, and samples are 5 ms apart.
const SAMPLES: u8 = 3;

/// The debounced level of up to `N` contacts.
pub struct Debounce<const N: usize> {
    closed: u32,
    differing: [u8; N],
}

impl<const N: usize> Debounce<N> {
    /// All open.
    pub const fn new() -> Self {
        Debounce {
            closed: 0,
            differing: [0; N],
        }
    }

    /// Takes a sample, a bit for each contact; says which contacts have changed with it.
    pub fn sample(&mut self, closed: u32) -> u32 {
        let mut changed = 0;
        for (index, differing) in self.differing.iter_mut().enumerate() {
            let bit = 1 << index;
            if (closed ^ self.closed) & bit == 0 {
                *differing = 0;
                continue;
            }
            *differing += 1;
            if *differing == SAMPLES {
                *differing = 0;
                changed |= bit;
            }
        }
        self.closed ^= changed;
        changed
    }

    /// The contacts that are closed.
    pub fn closed(&self) -> u32 {
        self.closed
    }

    /// Whether every contact's last sample agreed with its level.
    pub fn is_settled(&self) -> bool {
        self.differing.iter().all(|&differing| differing == 0)
    }
}
