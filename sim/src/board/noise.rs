//! Seeded noise: contact bounce, torn flash, what RAM holds after a power loss.
//!
//! Every user has a stream of its own, made from the bench's seed and the stream's name, so that
//! one more key press never changes what another contact does.

/// A stream of reproducible noise (SplitMix64).
#[derive(Clone, Debug, Hash)]
pub struct Noise {
    state: u64,
}

impl Noise {
    /// The stream called `name`, number `index`, of a bench with this seed.
    pub fn new(seed: u64, name: &str, index: u64) -> Noise {
        // FNV-1a over the name; SplitMix64's mixer then spreads what is left alike.
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        for byte in name.bytes().chain(index.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        let mut noise = Noise { state: seed ^ hash };
        noise.state ^= noise.draw();
        noise
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "noise between {low} and {high}");
        let span = u128::from(high - low) + 1;
        // The widening product has no bias worth mentioning for spans far below 2^64.
        low + ((u128::from(self.draw()) * span) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Noise;

    #[test]
    fn streams_differ_and_repeat() {
        let take = |seed, name, index| {
            let mut noise = Noise::new(seed, name, index);
            [noise.draw(), noise.draw()]
        };
        assert_eq!(take(1, "contact", 3), take(1, "contact", 3));
        assert_ne!(take(1, "contact", 3), take(1, "contact", 4));
        assert_ne!(take(1, "contact", 3), take(2, "contact", 3));
        assert_ne!(take(1, "contact", 3), take(1, "ram", 3));
    }

    #[test]
    fn between_reaches_both_ends_and_no_further() {
        let mut noise = Noise::new(7, "range", 0);
        let seen: Vec<u64> = (0..200).map(|_| noise.between(3, 5)).collect();
        assert!(seen.iter().all(|value| (3..=5).contains(value)));
        assert!((3..=5).all(|value| seen.contains(&value)));
    }
}
