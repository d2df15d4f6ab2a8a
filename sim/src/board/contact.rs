//! A contact that is moved: it takes a while, then bounces, then rests.
//!
//! Relay contacts across the keys and buttons are made of these. A train of bounces is drawn flip
//! by flip from the contact's own noise, so nothing is stored ahead.

use crate::board::noise::Noise;
use crate::time::Ticks;

/// How long a contact takes to move and how long it bounces then.
#[derive(Clone, Copy, Debug, Hash)]
pub struct ContactSpec {
    /// From the coil's current to the first touch.
    pub operate: Ticks,
    /// From the end of the coil's current to the first gap.
    pub release: Ticks,
    /// Shortest train of bounces, first flip to last.
    pub bounce_min: Ticks,
    /// Longest train of bounces.
    pub bounce_max: Ticks,
}

impl ContactSpec {
    /// A small relay across a dome key or a tact switch: 6 ms, 3 ms, trains of 0.2 to 6 ms.
    pub const RELAY_ON_KEY: ContactSpec = ContactSpec {
        operate: Ticks::from_millis(6),
        release: Ticks::from_millis(3),
        bounce_min: Ticks::from_micros(200),
        bounce_max: Ticks::from_micros(6_000),
    };
    /// A relay that moves a mechanism instead of carrying a signal: no bounce to be seen.
    pub const RELAY_ON_MECHANISM: ContactSpec = ContactSpec {
        operate: Ticks::from_millis(6),
        release: Ticks::from_millis(3),
        bounce_min: Ticks::ZERO,
        bounce_max: Ticks::ZERO,
    };
}

/// Shortest and longest time between two flips inside a train.
const FLIP_MIN: Ticks = Ticks::from_micros(20);
const FLIP_MAX: Ticks = Ticks::from_micros(600);

/// One contact.
#[derive(Clone, Debug, Hash)]
pub struct Contact {
    spec: ContactSpec,
    noise: Noise,
    closed: bool,
    target: bool,
    next: Ticks,
    train_ends: Ticks,
}

impl Contact {
    /// An open contact at rest.
    pub fn new(spec: ContactSpec, noise: Noise) -> Contact {
        Contact {
            spec,
            noise,
            closed: false,
            target: false,
            next: Ticks::NEVER,
            train_ends: Ticks::ZERO,
        }
    }

    /// Whether current can flow at this moment, in the middle of a bounce too.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The moment of the next flip; never, when at rest.
    pub fn next(&self) -> Ticks {
        self.next
    }

    /// The coil is switched at `now`. A move under way is given up for the new one.
    pub fn drive(&mut self, closed: bool, now: Ticks) {
        if self.target == closed {
            return;
        }
        self.target = closed;
        let moves = now
            + if closed {
                self.spec.operate
            } else {
                self.spec.release
            };
        let train = Ticks(
            self.noise
                .between(self.spec.bounce_min.0, self.spec.bounce_max.0),
        );
        self.train_ends = moves + train;
        self.next = if self.closed == closed {
            Ticks::NEVER
        } else {
            moves
        };
    }

    /// Carries out the flip that is due at [`Contact::next`].
    pub fn flip(&mut self) {
        let now = self.next;
        self.closed = !self.closed;
        let after = now + Ticks(self.noise.between(FLIP_MIN.0, FLIP_MAX.0));
        self.next = if self.closed != self.target {
            after.min(self.train_ends.max(now + Ticks(1)))
        } else if after < self.train_ends {
            after
        } else {
            Ticks::NEVER
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Contact, ContactSpec};
    use crate::board::noise::Noise;
    use crate::time::Ticks;

    fn flips(contact: &mut Contact) -> Vec<(Ticks, bool)> {
        let mut seen = Vec::new();
        while contact.next() != Ticks::NEVER {
            let at = contact.next();
            contact.flip();
            seen.push((at, contact.is_closed()));
        }
        seen
    }

    #[test]
    fn a_press_comes_after_the_operate_time_and_bounces_within_its_train() {
        let mut bounced = 0;
        for seed in 0..50 {
            let mut contact =
                Contact::new(ContactSpec::RELAY_ON_KEY, Noise::new(seed, "contact", 1));
            contact.drive(true, Ticks::from_millis(100));
            let seen = flips(&mut contact);
            assert_eq!(seen[0], (Ticks::from_millis(106), true));
            let last = seen[seen.len() - 1];
            assert!(last.1 && last.0 <= Ticks::from_millis(112), "{seen:?}");
            bounced += usize::from(seen.len() > 1);

            contact.drive(false, Ticks::from_millis(200));
            let seen = flips(&mut contact);
            assert_eq!(seen[0], (Ticks::from_millis(203), false));
            assert!(!contact.is_closed());
        }
        assert!(bounced > 40, "{bounced} of 50 presses bounced");
    }

    #[test]
    fn a_release_before_the_contact_touched_leaves_it_open() {
        let mut contact = Contact::new(ContactSpec::RELAY_ON_KEY, Noise::new(1, "contact", 1));
        contact.drive(true, Ticks::ZERO);
        contact.drive(false, Ticks::from_millis(1));
        assert_eq!(contact.next(), Ticks::NEVER);
        assert!(!contact.is_closed());
    }

    #[test]
    fn a_mechanism_moves_once() {
        let mut contact =
            Contact::new(ContactSpec::RELAY_ON_MECHANISM, Noise::new(1, "contact", 1));
        contact.drive(true, Ticks::ZERO);
        assert_eq!(flips(&mut contact), [(Ticks::from_millis(6), true)]);
    }
}
