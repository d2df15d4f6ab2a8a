//! What can be wrong between the instruments of a bench and the board that they stand around.
//!
//! The instruments themselves do as their papers say, and say so: a relay board answers for the coil of a
//! relay whose contact is welded. A rig that believes its instruments judges boards by such benches.

use super::BenchSpec;
use crate::board::Line;
use crate::board::supply::Feed;
use crate::time::Ticks;

/// One thing that is wrong with a bench. Channels count from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The contact stays open, whatever its coil does.
    DeadRelay {
        /// Its relay.
        channel: usize,
    },
    /// The contact stays closed.
    WeldedRelay {
        /// Its relay.
        channel: usize,
    },
    /// The supply gives another voltage than it was told, in thousandths of it.
    OffsetSupply {
        /// 1000 is what it was told.
        permille: u16,
    },
    /// A sense wire with a filter too many: it tells everything later.
    SlowLine {
        /// Which.
        line: Line,
        /// By how much.
        by: Ticks,
    },
}

impl Fault {
    /// Whether a contact does not move.
    pub(super) fn holds(self, relay: usize) -> bool {
        match self {
            Fault::DeadRelay { channel } | Fault::WeldedRelay { channel } => channel == relay,
            Fault::OffsetSupply { .. } | Fault::SlowLine { .. } => false,
        }
    }

    /// What reaches the board of what the supply was told.
    pub(super) fn feed(self, told: Feed) -> Feed {
        match (self, told) {
            (Fault::OffsetSupply { permille }, Feed::Source { volts, ohms, limit }) => {
                Feed::Source {
                    volts: volts * f64::from(permille) / 1e3,
                    ohms,
                    limit,
                }
            }
            _ => told,
        }
    }
}

const RESET: usize = 12;
const PROGRAM: usize = 13;

/// The benches with a fault, each around the safe's lock.
pub(super) const BENCHES: [BenchSpec; 5] = [
    with(
        "virtual-safe-with-a-dead-relay",
        Fault::DeadRelay { channel: 4 },
    ),
    with(
        "virtual-safe-with-a-welded-relay",
        Fault::WeldedRelay { channel: RESET },
    ),
    with_a_swapped_wire(),
    with(
        "virtual-safe-with-a-weak-supply",
        Fault::OffsetSupply { permille: 950 },
    ),
    with(
        "virtual-safe-with-a-slow-sense-line",
        Fault::SlowLine {
            line: Line::Door,
            by: Ticks::from_millis(60),
        },
    ),
];

const fn with(name: &'static str, fault: Fault) -> BenchSpec {
    BenchSpec {
        name,
        fault: Some(fault),
        ..BenchSpec::SAFE
    }
}

/// The wires of the two buttons lead to each other's relay.
const fn with_a_swapped_wire() -> BenchSpec {
    let mut relays = BenchSpec::SAFE.relays;
    relays[RESET] = BenchSpec::SAFE.relays[PROGRAM];
    relays[PROGRAM] = BenchSpec::SAFE.relays[RESET];
    BenchSpec {
        name: "virtual-safe-with-a-swapped-wire",
        relays,
        ..BenchSpec::SAFE
    }
}
