//! What goes wrong between a virtual instrument and the drivers: ports that are lost, bytes that are dropped,
//! garbled or late. Everything follows from the fault's seed.

use std::collections::VecDeque;

use crate::event::Nanos;
use crate::port::{Disturbance, Fault, Observation, PortId, Seen};

/// The faults of a bench, and what they hold back.
#[derive(Clone, Default)]
pub(super) struct Faults {
    ports: Vec<Faulty>,
    /// What is on its way, by the time at which it arrives.
    late: VecDeque<(Nanos, Late)>,
    /// When the probe's cable comes out.
    probe_lost: Option<Nanos>,
    /// Bytes that were dropped, garbled or held back.
    pub(super) disturbed: u64,
}

/// A port with a fault.
#[derive(Clone)]
struct Faulty {
    port: PortId,
    fault: Fault,
    random: fastrand::Rng,
    /// How many bytes were hit.
    hit: u64,
    /// Whether it was told that the port is lost.
    is_told: bool,
}

/// Bytes that are held back.
#[derive(Clone)]
pub(super) enum Late {
    To(PortId, Vec<u8>),
    From(PortId, Vec<u8>),
}

impl Faulty {
    fn acts(&self, now: Nanos) -> bool {
        self.fault.from <= now && now < self.fault.until
    }

    /// Whether this byte is hit.
    fn hits(&mut self) -> bool {
        let hits = self.hit < self.fault.most && self.random.u32(0..self.fault.one_in.max(1)) == 0;
        self.hit += u64::from(hits);
        hits
    }

    /// What is left of bytes that pass now, and by how much they are late.
    fn disturb(&mut self, bytes: &[u8], disturbed: &mut u64) -> (Vec<u8>, Nanos) {
        let mut passed = Vec::with_capacity(bytes.len());
        let mut late = Nanos::ZERO;
        for byte in bytes {
            let hit = self.hits();
            *disturbed += u64::from(hit);
            match self.fault.what {
                Disturbance::Drop if hit => {}
                Disturbance::Garble if hit => passed.push(byte ^ self.random.u8(1..)),
                Disturbance::Delay(by) if hit => {
                    late = by;
                    passed.push(*byte);
                }
                _ => passed.push(*byte),
            }
        }
        (passed, late)
    }
}

impl Faults {
    pub(super) fn add(&mut self, port: PortId, fault: Fault) {
        self.ports.push(Faulty {
            port,
            random: fastrand::Rng::with_seed(fault.seed),
            fault,
            hit: 0,
            is_told: false,
        });
    }

    pub(super) fn lose_probe(&mut self, at: Nanos) {
        self.probe_lost = Some(at);
    }

    pub(super) fn probe_lost(&self) -> Nanos {
        self.probe_lost.unwrap_or(Nanos::NEVER)
    }

    /// Whether bytes pass undisturbed for ever.
    pub(super) fn are_none(&self) -> bool {
        self.ports.is_empty()
    }

    /// Whether any has begun.
    pub(super) fn have_begun(&self, now: Nanos) -> bool {
        self.ports.iter().any(|one| one.fault.from <= now)
    }

    /// Whether a port is gone.
    pub(super) fn is_lost(&self, port: PortId, now: Nanos) -> bool {
        let mut ports = self.ports.iter();
        ports.any(|one| {
            one.port == port && one.fault.what == Disturbance::Lose && one.fault.from <= now
        })
    }

    /// Bytes on their way to an instrument: what arrives now.
    pub(super) fn outgoing(&mut self, now: Nanos, port: PortId, bytes: &[u8]) -> Vec<u8> {
        let (bytes, late) = self.disturb(now, port, bytes);
        self.hold_back(now, late, Late::To(port, bytes.clone()))
            .map_or(Vec::new(), |()| bytes)
    }

    /// Something that was seen: what is seen of it now.
    pub(super) fn incoming(&mut self, seen: Observation) -> Option<Observation> {
        let Seen::Bytes { port, bytes } = &seen.what else {
            return Some(seen);
        };
        let (port, at) = (*port, seen.at);
        if self.is_lost(port, at) {
            return None;
        }
        let (bytes, late) = self.disturb(at, port, bytes);
        self.hold_back(at, late, Late::From(port, bytes.clone()))?;
        let what = Seen::Bytes { port, bytes };
        let is_empty = matches!(&what, Seen::Bytes { bytes, .. } if bytes.is_empty());
        (!is_empty).then_some(Observation { at, what })
    }

    fn disturb(&mut self, now: Nanos, port: PortId, bytes: &[u8]) -> (Vec<u8>, Nanos) {
        let mut bytes = bytes.to_vec();
        let mut late = Nanos::ZERO;
        let ports = self.ports.iter_mut();
        for one in ports.filter(|one| one.port == port && one.acts(now)) {
            let by;
            (bytes, by) = one.disturb(&bytes, &mut self.disturbed);
            late = late.max(by);
        }
        (bytes, late)
    }

    /// None if it is held back: because it is late, or because something before it is.
    fn hold_back(&mut self, now: Nanos, late: Nanos, what: Late) -> Option<()> {
        let before = self.late.iter().filter(|(_, held)| held.is_like(&what));
        let arrives = before.map(|(at, _)| *at).fold(now + late, Nanos::max);
        if arrives <= now {
            return Some(());
        }
        let place = self.late.partition_point(|(at, _)| *at <= arrives);
        self.late.insert(place, (arrives, what));
        None
    }

    /// When something happens by itself.
    pub(super) fn next(&self) -> Nanos {
        let losses = self.ports.iter();
        let losses = losses.filter(|one| one.fault.what == Disturbance::Lose && !one.is_told);
        let held = self.late.front().map(|(at, _)| *at);
        losses
            .map(|one| one.fault.from)
            .chain(held)
            .fold(Nanos::NEVER, Nanos::min)
    }

    /// The port that is lost by now and was not told of.
    pub(super) fn loss(&mut self, now: Nanos) -> Option<PortId> {
        let mut ports = self.ports.iter_mut();
        let lost = ports.find(|one| {
            one.fault.what == Disturbance::Lose && !one.is_told && one.fault.from <= now
        })?;
        lost.is_told = true;
        Some(lost.port)
    }

    /// What arrives late, by now.
    pub(super) fn arrival(&mut self, now: Nanos) -> Option<Late> {
        self.late.front().filter(|(at, _)| *at <= now)?;
        self.late.pop_front().map(|(_, what)| what)
    }
}

impl Late {
    /// Whether it goes the same way.
    fn is_like(&self, other: &Late) -> bool {
        match (self, other) {
            (Late::To(one, _), Late::To(another, _))
            | (Late::From(one, _), Late::From(another, _)) => one == another,
            _ => false,
        }
    }
}
