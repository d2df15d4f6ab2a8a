//! The bolt: something that takes time to move, may be jammed, and stays where it was.
//!
//! Position is counted in ticks of travel, so that every end of a movement is known exactly.

use educe::Educe;

use crate::time::Ticks;

/// What moves the bolt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Actuator {
    /// Withdraws while it is energised; a spring throws the bolt again.
    Solenoid,
    /// Runs either way and stays.
    Motor,
}

/// The bolt and its drive.
#[derive(Clone, Copy, Debug)]
pub struct BoltSpec {
    /// What moves it.
    pub actuator: Actuator,
    /// From one end to the other, either way.
    pub travel: Ticks,
    /// Lowest terminal voltage at which the drive moves or holds anything, in volts.
    pub works_from: f64,
    /// What the drive is while it moves the bolt or holds it, in siemens.
    pub running: f64,
    /// What it is right after switching on, in siemens.
    pub starting: f64,
    /// How long it starts.
    pub start: Ticks,
    /// What it is when it is driven and cannot move, in siemens.
    pub stalled: f64,
}

impl BoltSpec {
    /// The safe's solenoid: 350 mA at 9 V, 30 ms.
    pub const SOLENOID: BoltSpec = BoltSpec {
        actuator: Actuator::Solenoid,
        travel: Ticks::from_millis(30),
        works_from: 4.0,
        running: 0.350 / 9.0,
        starting: 0.350 / 9.0,
        start: Ticks::ZERO,
        stalled: 0.350 / 9.0,
    };
    /// The smart lock's motor: 150 mA at 6 V, 500 mA in the first 20 ms, 600 mA stalled; 400 ms.
    pub const MOTOR: BoltSpec = BoltSpec {
        actuator: Actuator::Motor,
        travel: Ticks::from_millis(400),
        works_from: 2.5,
        running: 0.150 / 6.0,
        starting: 0.500 / 6.0,
        start: Ticks::from_millis(20),
        stalled: 0.600 / 6.0,
    };
}

/// What the drive's transistors are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Push {
    /// No current.
    #[default]
    Off,
    /// Solenoid energised, motor withdraws.
    Withdraw,
    /// Motor throws.
    Throw,
}

/// The bolt at one moment.
#[derive(Clone, Debug, Educe)]
#[educe(Hash)]
pub struct Bolt {
    #[educe(Hash(ignore))]
    spec: BoltSpec,
    /// Ticks of travel from fully thrown.
    position: u64,
    velocity: i8,
    at: Ticks,
    push: Push,
    since: Ticks,
    strong: bool,
    jammed: bool,
}

impl Bolt {
    /// A thrown bolt at rest.
    pub fn new(spec: BoltSpec) -> Bolt {
        Bolt {
            spec,
            position: 0,
            velocity: 0,
            at: Ticks::ZERO,
            push: Push::Off,
            since: Ticks::ZERO,
            strong: false,
            jammed: false,
        }
    }

    /// Whether current flows through the drive.
    pub fn is_driven(&self) -> bool {
        self.push != Push::Off
    }

    /// Whether the bolt is fully thrown and not just leaving.
    pub fn is_thrown(&self) -> bool {
        self.position == 0 && self.velocity != 1
    }

    /// Whether the bolt is fully withdrawn and not just leaving.
    pub fn is_withdrawn(&self) -> bool {
        self.position == self.spec.travel.0 && self.velocity != -1
    }

    /// How far the bolt is withdrawn at this moment, in thousandths.
    pub fn withdrawn_permille(&self) -> u32 {
        (self.position * 1000 / self.spec.travel.0) as u32
    }

    /// What the drive draws now, as a conductance across the battery terminal.
    pub fn siemens(&self) -> f64 {
        if self.push == Push::Off {
            0.0
        } else if self.at < self.since + self.spec.start {
            self.spec.starting
        } else if self.velocity == 0 {
            self.spec.stalled
        } else {
            self.spec.running
        }
    }

    /// The moment at which something about the bolt changes by itself.
    pub fn next(&self) -> Ticks {
        let arrives = match self.velocity {
            0 => Ticks::NEVER,
            1.. => self.at + Ticks(self.spec.travel.0 - self.position),
            _ => self.at + Ticks(self.position),
        };
        let started = self.since + self.spec.start;
        if self.push != Push::Off && self.at < started {
            arrives.min(started)
        } else {
            arrives
        }
    }

    /// Lets the time until `now` pass; not beyond [`Bolt::next`].
    pub fn advance(&mut self, now: Ticks) {
        let moved = now.since(self.at).0;
        match self.velocity {
            0 => {}
            1.. => self.position = (self.position + moved).min(self.spec.travel.0),
            _ => self.position = self.position.saturating_sub(moved),
        }
        self.at = now;
        self.settle();
    }

    /// Tells the drive what to do from `now` on, with what voltage, and whether the bolt can move
    /// at all.
    pub fn drive(&mut self, now: Ticks, push: Push, volts: f64, jammed: bool) {
        self.advance(now);
        if push != self.push {
            self.push = push;
            self.since = now;
        }
        self.strong = volts >= self.spec.works_from;
        self.jammed = jammed;
        self.settle();
    }

    fn settle(&mut self) {
        let wanted = match (self.spec.actuator, self.push, self.strong) {
            (_, Push::Withdraw, true) => 1,
            (Actuator::Motor, Push::Throw, true) => -1,
            (Actuator::Motor, _, _) => 0,
            (Actuator::Solenoid, _, _) => -1,
        };
        let at_end = match wanted {
            1 => self.position == self.spec.travel.0,
            -1 => self.position == 0,
            _ => true,
        };
        self.velocity = if self.jammed || at_end { 0 } else { wanted };
    }
}

#[cfg(test)]
mod tests {
    use super::{Bolt, BoltSpec, Push};
    use crate::time::Ticks;

    fn ms(millis: u64) -> Ticks {
        Ticks::from_millis(millis)
    }

    /// Runs through every change up to `until`.
    fn run(bolt: &mut Bolt, until: Ticks) {
        while bolt.next() <= until {
            bolt.advance(bolt.next());
        }
        bolt.advance(until);
    }

    #[test]
    fn a_solenoid_pulls_in_and_its_spring_returns_the_bolt() {
        let mut bolt = Bolt::new(BoltSpec::SOLENOID);
        bolt.drive(ms(10), Push::Withdraw, 9.0, false);
        assert_eq!(bolt.next(), ms(40));
        assert!(!bolt.is_thrown(), "it leaves its end at once");
        run(&mut bolt, ms(40));
        assert!(bolt.is_withdrawn() && bolt.next() == Ticks::NEVER);
        bolt.drive(ms(50), Push::Off, 9.0, false);
        run(&mut bolt, ms(60));
        assert_eq!(bolt.withdrawn_permille(), 666);
        run(&mut bolt, ms(80));
        assert!(bolt.is_thrown());
    }

    #[test]
    fn a_tired_battery_does_not_pull_the_solenoid_in() {
        let mut bolt = Bolt::new(BoltSpec::SOLENOID);
        bolt.drive(ms(10), Push::Withdraw, 3.0, false);
        run(&mut bolt, ms(100));
        assert!(bolt.is_thrown() && bolt.siemens() > 0.0);
    }

    #[test]
    fn a_motor_stays_where_the_power_went_away_and_goes_on_from_there() {
        let mut bolt = Bolt::new(BoltSpec::MOTOR);
        bolt.drive(ms(0), Push::Withdraw, 6.0, false);
        run(&mut bolt, ms(100));
        bolt.drive(ms(100), Push::Off, 0.0, false);
        run(&mut bolt, ms(5_000));
        assert_eq!(bolt.withdrawn_permille(), 250);
        bolt.drive(ms(5_000), Push::Withdraw, 6.0, false);
        run(&mut bolt, ms(5_299));
        assert!(!bolt.is_withdrawn());
        run(&mut bolt, ms(5_300));
        assert!(bolt.is_withdrawn());
    }

    #[test]
    fn a_motor_draws_inrush_then_runs_then_stalls_at_the_end_or_in_a_jam() {
        let amperes = |bolt: &Bolt| (bolt.siemens() * 6000.0).round() as u32;
        let mut bolt = Bolt::new(BoltSpec::MOTOR);
        bolt.drive(ms(0), Push::Withdraw, 6.0, false);
        assert_eq!(amperes(&bolt), 500);
        run(&mut bolt, ms(20));
        assert_eq!(amperes(&bolt), 150);
        bolt.drive(ms(30), Push::Withdraw, 6.0, true);
        assert_eq!(amperes(&bolt), 600);
        run(&mut bolt, ms(900));
        assert_eq!(bolt.withdrawn_permille(), 75);
        bolt.drive(ms(900), Push::Withdraw, 6.0, false);
        run(&mut bolt, ms(2_000));
        assert!(bolt.is_withdrawn());
        assert_eq!(amperes(&bolt), 600);
        bolt.drive(ms(2_000), Push::Off, 6.0, false);
        assert_eq!(amperes(&bolt), 0);
    }
}
