//! What a stage moves, how far and how fast: its limits, and the moves that they are held against.

use super::grbl::Axis;
use crate::event::Nanos;
use crate::quantity::{
    Micrometres, MicrometresPerSecond, Millidegrees, MillidegreesPerSecond, MillinewtonMetres,
};

/// How a stage is built: what the bench file says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The head that turns the key.
    pub turn: Turn,
    /// What feeds the key; home is clear of the cylinder.
    pub insert: Slide,
    /// What brings one of several keys before the keyway; home is the first.
    pub magazine: Magazine,
    /// What pushes the tool; home is clear of the cylinder.
    pub plunge: Slide,
    /// The greatest torque that may be put on a key.
    pub torque: MillinewtonMetres,
    /// How long one move may take.
    pub longest_move: Nanos,
}

/// The head that turns the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Its axis.
    pub axis: Axis,
    /// The angle of its home position; it turns clockwise from there.
    pub from: Millidegrees,
    /// The furthest angle.
    pub to: Millidegrees,
    /// How fast.
    pub feed: MillidegreesPerSecond,
}

/// Something that goes in and out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slide {
    /// Its axis.
    pub axis: Axis,
    /// Where it is all the way in: the shoulder of the key, the end of the slot.
    pub seated: Micrometres,
    /// How fast.
    pub feed: MicrometresPerSecond,
}

/// Keys side by side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Magazine {
    /// Its axis.
    pub axis: Axis,
    /// From one key to the next.
    pub pitch: Micrometres,
    /// How many keys.
    pub slots: u8,
    /// How fast.
    pub feed: MicrometresPerSecond,
}

/// One move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Motion {
    /// Turns the key to an angle, with at most this torque.
    Turn {
        /// The angle from the rest position.
        to: Millidegrees,
        /// The torque that stops it.
        torque: MillinewtonMetres,
    },
    /// Feeds the key so far in; 0 is out.
    Insert {
        /// How far.
        to: Micrometres,
    },
    /// Brings this key before the keyway.
    Select {
        /// Its place in the magazine, from 1.
        slot: u8,
    },
    /// Pushes the tool so far in; 0 is out.
    Plunge {
        /// How far.
        to: Micrometres,
    },
}

impl Settings {
    /// Why a move is beyond what the stage may do, and what to try; none for one that is not.
    pub(super) fn refuses(&self, motion: Motion) -> Option<(String, &'static str)> {
        let Settings {
            turn,
            insert,
            magazine,
            plunge,
            torque,
            ..
        } = self;
        Some(match motion {
            Motion::Turn { to, .. } if to < turn.from || to > turn.to => (
                format!("the stage turns from {} to {}", turn.from, turn.to),
                "nothing was sent; ask for an angle within the stage's travel",
            ),
            Motion::Turn { torque: asked, .. } if asked > *torque => (
                format!("{asked} are more than the stage may put on a key, {torque}"),
                "nothing was sent; ask for less, or raise 'torque' under [stage] if the key bears it",
            ),
            Motion::Insert { to } if to > insert.seated => (
                format!("a key is all the way in at {}", insert.seated),
                "nothing was sent; ask for less",
            ),
            Motion::Plunge { to } if to > plunge.seated => (
                format!("the tool is all the way in at {}", plunge.seated),
                "nothing was sent; ask for less",
            ),
            Motion::Select { slot } if slot == 0 || slot > magazine.slots => (
                format!("the magazine has slots 1 to {}", magazine.slots),
                "nothing was sent; name a key that is there",
            ),
            _ => return None,
        })
    }

    /// The axis of a move, and where it goes.
    pub(super) fn target(&self, motion: Motion) -> (Axis, i64) {
        let Settings {
            turn,
            insert,
            magazine,
            plunge,
            ..
        } = self;
        match motion {
            Motion::Turn { to, .. } => (turn.axis, i64::from(to.0) - i64::from(turn.from.0)),
            Motion::Insert { to } => (insert.axis, i64::from(to.0)),
            Motion::Plunge { to } => (plunge.axis, i64::from(to.0)),
            Motion::Select { slot } => {
                let slot = i64::from(slot) - 1;
                (magazine.axis, slot * i64::from(magazine.pitch.0))
            }
        }
    }

    /// The feed of a move, in thousandths a second.
    pub(super) fn feed(&self, motion: Motion) -> u32 {
        let Settings {
            turn,
            insert,
            magazine,
            plunge,
            ..
        } = self;
        match motion {
            Motion::Turn { .. } => turn.feed.0,
            Motion::Insert { .. } => insert.feed.0,
            Motion::Select { .. } => magazine.feed.0,
            Motion::Plunge { .. } => plunge.feed.0,
        }
    }

    /// A place on a move's axis as people say it.
    pub(super) fn place(&self, motion: Motion, place: i64) -> i64 {
        match motion {
            Motion::Turn { .. } => place + i64::from(self.turn.from.0),
            _ => place,
        }
    }

    /// A move in words.
    pub(super) fn doing(&self, motion: Motion) -> String {
        let (axis, _) = self.target(motion);
        let what = match motion {
            Motion::Turn { to, .. } => format!("turning the key to {to}"),
            Motion::Insert { to: Micrometres(0) } => "withdrawing the key".to_owned(),
            Motion::Insert { to } => format!("inserting the key to {to}"),
            Motion::Select { slot } => format!("choosing key {slot}"),
            Motion::Plunge { to: Micrometres(0) } => "withdrawing the tool".to_owned(),
            Motion::Plunge { to } => format!("pushing the tool to {to}"),
        };
        format!("{what} (axis {axis})")
    }
}
