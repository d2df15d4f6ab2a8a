//! What an eye and an ear make of an output: light that is on, a tone with its pitch.
//!
//! Both turn a fast square wave into slow edges, so that the rig sees one edge where a lamp is
//! dimmed or a beeper sounds, not thousands.

use crate::time::Ticks;

/// A lamp as a photodiode with a short integration sees it.
///
/// Lit from the first moment of light; dark once there was no light for [`Lamp::HOLD`]. So light
/// that is dimmed by pulses at 200 Hz or faster is one steady light, and every light is seen
/// longer than it was by exactly the hold.
#[derive(Clone, Debug, Hash, Default)]
pub struct Lamp {
    driven: bool,
    lit: bool,
    dark_at: Option<Ticks>,
}

impl Lamp {
    /// How long the light may be gone without counting as dark.
    pub const HOLD: Ticks = Ticks::from_millis(5);

    /// Whether the lamp counts as lit.
    pub fn is_lit(&self) -> bool {
        self.lit
    }

    /// Whether current flows through it at this very moment.
    pub fn is_driven(&self) -> bool {
        self.driven
    }

    /// The moment at which to call [`Lamp::look`]; it may turn out that nothing changed.
    pub fn next(&self) -> Ticks {
        self.dark_at.unwrap_or(Ticks::NEVER)
    }

    /// The output changes. True, if the lamp now counts as lit and did not before.
    pub fn drive(&mut self, driven: bool, now: Ticks) -> bool {
        if driven == self.driven {
            return false;
        }
        self.driven = driven;
        self.dark_at = if driven { None } else { Some(now + Lamp::HOLD) };
        let new = driven && !self.lit;
        self.lit |= driven;
        new
    }

    /// The hold is over: the lamp is dark.
    pub fn look(&mut self) {
        self.dark_at = None;
        self.lit = false;
    }
}

/// The beeper as a microphone with an envelope detector hears it.
///
/// A tone starts when its first cycle is complete (its second rising edge), because a pin that is
/// set once only clicks; it ends one and a half periods after its last rising edge. Cycles longer
/// than [`Beeper::PERIOD_MAX`] or shorter than [`Beeper::PERIOD_MIN`] are not heard.
#[derive(Clone, Debug, Hash)]
pub struct Beeper {
    driven: bool,
    sounding: bool,
    last_rise: Ticks,
    period: Ticks,
    first_rise: Ticks,
    cycles: u64,
}

/// What became of the beeper at an edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Nothing new.
    Nothing,
    /// A tone starts, with the frequency of its first cycle in hertz.
    Starts(u32),
}

impl Default for Beeper {
    fn default() -> Beeper {
        Beeper {
            driven: false,
            sounding: false,
            last_rise: Ticks::NEVER,
            period: Ticks::ZERO,
            first_rise: Ticks::ZERO,
            cycles: 0,
        }
    }
}

impl Beeper {
    /// 100 Hz: slower is a row of clicks.
    pub const PERIOD_MAX: Ticks = Ticks::from_millis(10);
    /// 20 kHz: faster is not heard.
    pub const PERIOD_MIN: Ticks = Ticks::from_micros(50);

    /// Whether a tone sounds.
    pub fn is_sounding(&self) -> bool {
        self.sounding
    }

    /// The output changes.
    pub fn drive(&mut self, driven: bool, now: Ticks) -> Heard {
        if driven == self.driven {
            return Heard::Nothing;
        }
        self.driven = driven;
        if !driven {
            return Heard::Nothing;
        }
        let period = now.since(self.last_rise);
        let heard = self.last_rise != Ticks::NEVER
            && (Beeper::PERIOD_MIN..=Beeper::PERIOD_MAX).contains(&period);
        let began = self.last_rise;
        self.last_rise = now;
        if !heard {
            return Heard::Nothing;
        }
        self.period = period;
        self.cycles += 1;
        if self.sounding {
            return Heard::Nothing;
        }
        self.sounding = true;
        self.first_rise = began;
        self.cycles = 1;
        Heard::Starts(self.hertz())
    }

    /// The moment at which to ask [`Beeper::look`] whether the tone is over. It moves with every
    /// cycle; asking too early does no harm.
    pub fn next(&self) -> Ticks {
        if self.sounding {
            self.ends()
        } else {
            Ticks::NEVER
        }
    }

    /// The tone is over: its mean frequency in hertz. None, if cycles have come since.
    pub fn look(&mut self, now: Ticks) -> Option<u32> {
        if !self.sounding || now < self.ends() {
            return None;
        }
        self.sounding = false;
        Some(self.hertz())
    }

    fn ends(&self) -> Ticks {
        self.last_rise + Ticks(self.period.0 * 3 / 2)
    }

    fn hertz(&self) -> u32 {
        let span = self.last_rise.since(self.first_rise).0;
        ((self.cycles * Ticks::HERTZ + span / 2) / span) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::{Beeper, Heard, Lamp};
    use crate::time::Ticks;

    #[test]
    fn dimmed_light_is_one_light() {
        let mut lamp = Lamp::default();
        assert!(lamp.drive(true, Ticks::ZERO));
        for period in 1..100 {
            let start = Ticks::from_millis(4 * period);
            assert!(!lamp.drive(false, start + Ticks::from_micros(400)));
            assert!(lamp.next() > start + Ticks::from_millis(4));
            assert!(!lamp.drive(true, start + Ticks::from_millis(4)));
            assert_eq!(lamp.next(), Ticks::NEVER);
        }
        lamp.drive(false, Ticks::from_millis(400));
        assert_eq!(lamp.next(), Ticks::from_millis(405));
        lamp.look();
        assert!(!lamp.is_lit());
    }

    fn tone(beeper: &mut Beeper, from: Ticks, period: Ticks, cycles: u64) -> Vec<Heard> {
        (0..cycles)
            .flat_map(|cycle| {
                let rise = from + Ticks(period.0 * cycle);
                [(true, rise), (false, rise + Ticks(period.0 / 2))]
            })
            .map(|(level, at)| beeper.drive(level, at))
            .filter(|heard| *heard != Heard::Nothing)
            .collect()
    }

    #[test]
    fn a_tone_has_an_envelope_and_a_pitch() {
        let mut beeper = Beeper::default();
        let period = Ticks::from_micros(370);
        assert_eq!(
            tone(&mut beeper, Ticks::ZERO, period, 100),
            [Heard::Starts(2703)]
        );
        let ends = Ticks::from_micros(370 * 99 + 555);
        assert_eq!(beeper.next(), ends);
        assert_eq!(beeper.look(ends - Ticks(1)), None);
        assert_eq!(beeper.look(ends), Some(2703));
        assert_eq!(beeper.next(), Ticks::NEVER);
    }

    #[test]
    fn a_click_and_a_slow_blink_are_no_tone() {
        let mut beeper = Beeper::default();
        assert_eq!(
            tone(&mut beeper, Ticks::ZERO, Ticks::from_millis(50), 5),
            []
        );
        assert!(!beeper.is_sounding());
    }

    #[test]
    fn a_tone_after_a_pause_is_measured_afresh() {
        let mut beeper = Beeper::default();
        tone(&mut beeper, Ticks::ZERO, Ticks::from_micros(500), 20);
        assert_eq!(beeper.look(Ticks::from_millis(50)), Some(2000));
        let heard = tone(
            &mut beeper,
            Ticks::from_millis(50),
            Ticks::from_micros(250),
            20,
        );
        assert_eq!(heard, [Heard::Starts(4000)]);
        assert_eq!(beeper.look(Ticks::from_millis(90)), Some(4000));
    }
}
