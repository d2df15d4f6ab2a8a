//! The way of the current: battery terminal, linear regulator, capacitor, chip.
//!
//! The capacitor's voltage follows one law at a time, `C dv/dt = a - b v - load`, and each law
//! holds between two voltages. So every crossing has a closed form and nothing is stepped while
//! the regulator regulates. Only the core's own current is not known ahead (it sleeps and wakes
//! without telling): outside regulation the next look is at most [`LOOK_MAX`] away, and what the
//! core really drew meanwhile is put in when it comes.
//!
//! Knows nothing of pins or of the instrument that feeds it; `board` brings both together.

use std::hash::{Hash, Hasher};

use educe::Educe;

use crate::board::decay;
use crate::time::Ticks;

/// Outside regulation the supply is looked at this often, because the core's current may change.
pub const LOOK_MAX: Ticks = Ticks::from_micros(100);
/// A capacitor that cannot leave a band this wide is not looked at, in volts.
const QUIET_RIPPLE: f64 = 0.02;

/// The board's supply: regulator, capacitor, and what each consumer draws.
#[derive(Clone, Copy, Debug)]
pub struct SupplySpec {
    /// What the regulator holds, in volts.
    pub regulated: f64,
    /// What the regulator needs on top, in volts.
    pub dropout: f64,
    /// The most that the regulator passes, in amperes.
    pub regulator_limit: f64,
    /// Forward voltage of the regulator's body diode, in volts.
    pub body_diode: f64,
    /// The capacitor behind the regulator, in farads.
    pub capacitor: f64,
    /// Leads and contact springs between the feed and the board, in ohms.
    pub leads: f64,
    /// The core running, in amperes.
    pub core_running: f64,
    /// The core asleep, in amperes.
    pub core_sleeping: f64,
    /// One lamp, in amperes.
    pub lamp: f64,
    /// The beeper while it sounds, in amperes.
    pub beeper: f64,
}

impl SupplySpec {
    /// The supply of both virtual boards.
    pub const BOARD: SupplySpec = SupplySpec {
        regulated: 3.0,
        dropout: 0.15,
        regulator_limit: 0.2,
        body_diode: 0.6,
        capacitor: 47e-6,
        leads: 0.05,
        core_running: 4.4e-3,
        core_sleeping: 3e-6,
        lamp: 2e-3,
        beeper: 5e-3,
    };
}

/// Below this the chip is held in reset, in volts.
pub const BROWN_OUT: f64 = 1.70;
/// Above this the chip is let go, in volts.
pub const BROWN_OUT_RELEASE: f64 = 1.75;
/// Levels of the chip's supply at which something may happen while it runs, in volts: brown-out,
/// the four levels of the power-fail comparator, and the same with their hysteresis.
pub const WATCHED: [f64; 9] = [BROWN_OUT, 2.1, 2.3, 2.5, 2.7, 2.146, 2.362, 2.579, 2.8];

/// What stands at the battery terminal from outside.
#[derive(Clone, Copy, PartialEq, Debug, Educe)]
#[educe(Hash)]
pub enum Feed {
    /// A source with a series resistance and a current limit.
    Source {
        /// Open-circuit voltage in volts.
        #[educe(Hash(method(bits)))]
        volts: f64,
        /// Series resistance in ohms.
        #[educe(Hash(method(bits)))]
        ohms: f64,
        /// Current limit in amperes.
        #[educe(Hash(method(bits)))]
        limit: f64,
    },
    /// No source; a resistor to ground, in ohms.
    PulledDown {
        /// The resistor in ohms.
        #[educe(Hash(method(bits)))]
        ohms: f64,
    },
}

/// `current in = a - b v` as long as `v` stays between `low` and `high`.
#[derive(Clone, Copy, Debug)]
struct Law {
    a: f64,
    b: f64,
    low: f64,
    high: f64,
}

impl Law {
    fn current(&self, v: f64) -> f64 {
        self.a - self.b * v
    }
}

/// Which way a voltage is about to go.
#[derive(Clone, Copy, Debug)]
enum Course {
    Rests,
    Falls(Law),
    Rises(Law),
}

/// The board's supply at one moment.
#[derive(Clone, Debug, Educe)]
#[educe(Hash)]
pub struct Supply {
    #[educe(Hash(ignore))]
    spec: SupplySpec,
    feed: Feed,
    /// What hangs on the terminal itself (the bolt's drive), in siemens.
    #[educe(Hash(method(bits)))]
    actuator: f64,
    /// What hangs on the capacitor beside the core, in amperes.
    #[educe(Hash(method(bits)))]
    steady_load: f64,
    /// The core's current as last known.
    #[educe(Hash(method(bits)))]
    core_load: f64,
    #[educe(Hash(method(bits)))]
    v: f64,
    at: Ticks,
    /// Charge drawn from the feed so far, in coulombs.
    #[educe(Hash(method(bits)))]
    drawn: f64,
}

/// Hashes a number by its bits: forks of one bench compute alike.
pub(crate) fn bits<H: Hasher>(number: &f64, hasher: &mut H) {
    number.to_bits().hash(hasher);
}

const NUDGE: f64 = 1e-9;

impl Supply {
    /// An empty capacitor and no feed.
    pub fn new(spec: SupplySpec, feed: Feed) -> Supply {
        Supply {
            spec,
            feed,
            actuator: 0.0,
            steady_load: 0.0,
            core_load: 0.0,
            v: 0.0,
            at: Ticks::ZERO,
            drawn: 0.0,
        }
    }

    /// Supply voltage of the chip, in volts.
    pub fn chip_volts(&self) -> f64 {
        self.v
    }

    /// Charge drawn from the feed until the last [`Supply::advance`], in coulombs.
    pub fn drawn_coulombs(&self) -> f64 {
        self.drawn
    }

    /// Changes what feeds the terminal from now on.
    pub fn set_feed(&mut self, feed: Feed) {
        self.feed = feed;
    }

    /// Empties the capacitor at once.
    pub fn collapse(&mut self) {
        self.v = 0.0;
    }

    /// Changes what is drawn from now on: behind the regulator in amperes, at the terminal in
    /// siemens.
    pub fn set_loads(&mut self, steady: f64, actuator: f64) {
        self.steady_load = steady;
        self.actuator = actuator;
    }

    /// The core runs or sleeps from now on, as far as is known.
    pub fn set_core(&mut self, amperes: f64) {
        self.core_load = amperes;
    }

    /// Lets the time until `now` pass, during which the core drew `core` amperes on average.
    pub fn advance(&mut self, now: Ticks, core: f64) {
        let mut left = seconds(now.since(self.at));
        self.at = now;
        let load = self.steady_load + core;
        // Each turn ends in another law; there are six. More turns would be a bug in `course`.
        for _ in 0..32 {
            if left <= 0.0 {
                return;
            }
            let (v, terminal) = (self.v, self.terminal_at(self.v, load));
            let (law, bound) = match self.course(load) {
                Course::Rests => {
                    self.account(left, 0.0, load, terminal);
                    return;
                }
                Course::Falls(law) => (law, law.low),
                Course::Rises(law) => (law, law.high),
            };
            let reach = self.time_to(law, load, bound).unwrap_or(f64::INFINITY);
            let step = reach.min(left);
            self.v = if reach <= left {
                bound
            } else {
                self.after(law, load, step)
            }
            .max(0.0);
            self.account(step, self.v - v, load, terminal);
            left -= step;
        }
        panic!(
            "supply found no law at {} V with {load} A and {:?}",
            self.v, self.feed
        );
    }

    /// The next moment at which something may depend on the supply, if nothing else changes: the
    /// chip's voltage passes one of `thresholds`, or, with `restless`, the core's current has to
    /// be looked at again.
    pub fn next(&self, thresholds: &[f64], restless: bool) -> Ticks {
        let load = self.steady_load + self.core_load;
        let (law, falls) = match self.course(load) {
            Course::Rests => return Ticks::NEVER,
            Course::Falls(law) => (law, true),
            Course::Rises(law) => (law, false),
        };
        let bound = if falls { law.low } else { law.high };
        let mut soonest = self.time_to(law, load, bound).unwrap_or(f64::INFINITY);
        for threshold in thresholds {
            // Just past the threshold, so that whoever compares sees it passed.
            let past = threshold + if falls { -NUDGE } else { NUDGE };
            let ahead = if falls { past < self.v } else { past > self.v };
            if ahead && let Some(time) = self.time_to(law, load, past) {
                soonest = soonest.min(time);
            }
        }
        let at = if soonest < 1e6 {
            self.at + Ticks((soonest * Ticks::HERTZ as f64) as u64 + 1)
        } else {
            Ticks::NEVER
        };
        if restless && !self.is_quiet(thresholds) {
            at.min(self.at + LOOK_MAX)
        } else {
            at
        }
    }

    /// Whether nothing that matters can happen while only the core's current changes between these
    /// two: the capacitor stays within [`QUIET_RIPPLE`], and no threshold lies in there.
    fn is_quiet(&self, thresholds: &[f64]) -> bool {
        let (mut low, mut high) = (self.v, self.v);
        for core in [self.spec.core_sleeping, self.spec.core_running] {
            let load = self.steady_load + core;
            let rest = match self.course(load) {
                Course::Rests => self.v,
                Course::Falls(law) | Course::Rises(law) => {
                    let rest = (law.a - load) / law.b;
                    if !(law.low..=law.high).contains(&rest) {
                        return false;
                    }
                    rest
                }
            };
            low = low.min(rest);
            high = high.max(rest);
        }
        high - low < QUIET_RIPPLE
            && !thresholds
                .iter()
                .any(|threshold| (low..=high).contains(threshold))
    }

    /// Voltage of the battery terminal, in volts.
    pub fn terminal_volts(&self) -> f64 {
        self.terminal_at(self.v, self.steady_load + self.core_load)
    }

    /// Current from the feed at this moment, in amperes.
    pub fn feed_amperes(&self) -> f64 {
        let load = self.steady_load + self.core_load;
        let through = self.through(self.v, load);
        match self.feed {
            Feed::Source { .. } => through + self.actuator * self.terminal_at(self.v, load),
            Feed::PulledDown { .. } => 0.0,
        }
    }

    fn account(&mut self, seconds: f64, rise: f64, load: f64, terminal: f64) {
        if let Feed::Source { .. } = self.feed {
            self.drawn += self.spec.capacitor * rise + (load + self.actuator * terminal) * seconds;
        }
    }

    /// The terminal's voltage when the regulator passes nothing.
    fn open_terminal(&self) -> f64 {
        match self.feed {
            Feed::Source { volts, ohms, limit } => {
                let divided = volts / (1.0 + (ohms + self.spec.leads) * self.actuator);
                if self.actuator > 0.0 {
                    divided.min(limit / self.actuator)
                } else {
                    divided
                }
            }
            Feed::PulledDown { .. } => 0.0,
        }
    }

    /// Current through the regulator at capacitor voltage `v` (negative: back through its diode).
    fn through(&self, v: f64, load: f64) -> f64 {
        let below = self.law(v - NUDGE).current(v);
        let above = self.law(v + NUDGE).current(v);
        // Between the two the regulator delivers just what is drawn.
        load.clamp(above.min(below), below.max(above))
    }

    fn terminal_at(&self, v: f64, load: f64) -> f64 {
        if let Some(held) = self.regulating(load)
            && v == self.v
        {
            return held;
        }
        let through = self.through(v, load);
        if through < 0.0 {
            return (v - self.spec.body_diode).max(0.0);
        }
        let Feed::Source { volts, ohms, limit } = self.feed else {
            return 0.0;
        };
        let ohms = ohms + self.spec.leads;
        let held = (volts - ohms * through) / (1.0 + ohms * self.actuator);
        if through + self.actuator * held <= limit + 1e-12 {
            held
        } else if self.actuator > 0.0 {
            ((limit - through) / self.actuator).max(0.0)
        } else {
            // The limit starves the regulator: the terminal sits its dropout above.
            v + self.spec.dropout
        }
    }

    /// The law at `v`; a `v` on the border belongs to neither side, so callers nudge it.
    fn law(&self, v: f64) -> Law {
        let open = self.open_terminal();
        let diode = open + self.spec.body_diode;
        if v > diode {
            return self.least_of(
                v,
                -self.spec.body_diode,
                f64::INFINITY,
                diode,
                f64::INFINITY,
            );
        }
        let reachable = match self.feed {
            Feed::Source { .. } => self.spec.regulated.min(open - self.spec.dropout).max(0.0),
            Feed::PulledDown { .. } => 0.0,
        };
        if v > reachable {
            return Law {
                a: 0.0,
                b: 0.0,
                low: reachable,
                high: diode,
            };
        }
        self.least_of(
            v,
            self.spec.dropout,
            self.spec.regulator_limit,
            0.0,
            reachable,
        )
    }

    /// The law while the terminal stands `offset` above the capacitor. Three things can limit the
    /// current: the feed's resistance, its limit, the regulator's. The least wins, and each is a
    /// line in `v`.
    fn least_of(&self, v: f64, offset: f64, regulator: f64, mut low: f64, mut high: f64) -> Law {
        let lines = match self.feed {
            Feed::PulledDown { ohms } => {
                let siemens = 1.0 / ohms + self.actuator;
                [
                    (-offset * siemens, siemens),
                    (regulator, 0.0),
                    (f64::INFINITY, 0.0),
                ]
            }
            Feed::Source { volts, ohms, limit } => {
                let ohms = ohms + self.spec.leads;
                let siemens = 1.0 / ohms + self.actuator;
                [
                    (volts / ohms - offset * siemens, siemens),
                    (regulator, 0.0),
                    (limit - offset * self.actuator, self.actuator),
                ]
            }
        };
        let value = |line: (f64, f64)| line.0 - line.1 * v;
        let mut least = lines[0];
        for line in lines {
            if value(line) < value(least) {
                least = line;
            }
        }
        for line in lines {
            if line.1 != least.1 && line.0.is_finite() {
                let meets = (line.0 - least.0) / (line.1 - least.1);
                if meets <= v {
                    low = low.max(meets);
                } else {
                    high = high.min(meets);
                }
            }
        }
        Law {
            a: least.0,
            b: least.1,
            low,
            high,
        }
    }

    /// The terminal's voltage, if the regulator regulates at this load. What follows from the laws
    /// says the same; this is the common case, and lamps and beeper ask for it often.
    fn regulating(&self, load: f64) -> Option<f64> {
        let Feed::Source { volts, ohms, limit } = self.feed else {
            return None;
        };
        if self.v != self.spec.regulated || load > self.spec.regulator_limit {
            return None;
        }
        let ohms = ohms + self.spec.leads;
        let held = (volts - ohms * load) / (1.0 + ohms * self.actuator);
        let regulates =
            held > self.spec.regulated + self.spec.dropout && load + self.actuator * held < limit;
        regulates.then_some(held)
    }

    fn course(&self, load: f64) -> Course {
        if self.regulating(load).is_some() {
            return Course::Rests;
        }
        let below = self.law(self.v - NUDGE);
        if self.v > 0.0 && below.current(self.v) < load {
            return Course::Falls(below);
        }
        let above = self.law(self.v + NUDGE);
        if above.current(self.v) > load {
            return Course::Rises(above);
        }
        Course::Rests
    }

    /// Seconds until the capacitor reaches `target` under one law; none, if it never does.
    fn time_to(&self, law: Law, load: f64, target: f64) -> Option<f64> {
        let net = law.current(self.v) - load;
        let way = target - self.v;
        if way == 0.0 {
            return Some(0.0);
        }
        if law.b == 0.0 {
            let time = way * self.spec.capacitor / net;
            return (time >= 0.0 && time.is_finite()).then_some(time);
        }
        let rest = (law.a - load) / law.b;
        let ratio = (self.v - rest) / (target - rest);
        (ratio >= 1.0 && ratio.is_finite()).then(|| self.spec.capacitor / law.b * decay::ln(ratio))
    }

    fn after(&self, law: Law, load: f64, seconds: f64) -> f64 {
        if law.b == 0.0 {
            return self.v + (law.a - load) * seconds / self.spec.capacitor;
        }
        let rest = (law.a - load) / law.b;
        rest + (self.v - rest) * decay::exp(-seconds * law.b / self.spec.capacitor)
    }
}

fn seconds(span: Ticks) -> f64 {
    span.0 as f64 / Ticks::HERTZ as f64
}

#[cfg(test)]
mod tests {
    use super::{BROWN_OUT, Feed, NUDGE, Supply, SupplySpec};
    use crate::board::noise::Noise;
    use crate::time::Ticks;

    const OFF: Feed = Feed::PulledDown { ohms: 100.0 };

    fn source(volts: f64, ohms: f64, limit: f64) -> Feed {
        Feed::Source { volts, ohms, limit }
    }

    /// Lets the supply come to rest at a steady load.
    fn settled(feed: Feed, load: f64, actuator: f64) -> Supply {
        let mut supply = Supply::new(SupplySpec::BOARD, feed);
        supply.set_loads(load, actuator);
        supply.advance(Ticks::from_millis(10_000), 0.0);
        supply
    }

    fn near(value: f64, wanted: f64, tolerance: f64) {
        assert!(
            (value - wanted).abs() <= tolerance,
            "{value} is not {wanted} +- {tolerance}"
        );
    }

    #[test]
    fn a_fresh_battery_is_regulated_and_rests() {
        let supply = settled(source(9.0, 2.0, 1.0), 4.4e-3, 0.0);
        assert_eq!(supply.chip_volts(), 3.0);
        assert_eq!(supply.next(&[2.1, 2.7], false), Ticks::NEVER);
        near(supply.terminal_volts(), 9.0 - 2.05 * 4.4e-3, 1e-9);
        near(supply.feed_amperes(), 4.4e-3, 1e-12);
    }

    #[test]
    fn start_up_is_a_ramp_at_the_regulators_limit() {
        let mut supply = Supply::new(SupplySpec::BOARD, source(9.0, 0.5, 1.0));
        let at = supply.next(&[1.75], false);
        near(at.0 as f64 / 16e6, 1.75 * 47e-6 / 0.2, 1e-7);
        supply.advance(at, 0.0);
        near(supply.chip_volts(), 1.75, 1e-3);
        assert!(supply.chip_volts() > 1.75);
    }

    #[test]
    fn a_clean_drop_discharges_through_the_body_diode_in_closed_form() {
        let load = 4.4e-3;
        let mut supply = settled(source(9.0, 0.5, 1.0), load, 0.0);
        supply.set_feed(OFF);
        let crossing = supply
            .next(&[BROWN_OUT], false)
            .since(Ticks::from_millis(10_000));
        let rest = 0.6 - load * 100.0;
        let wanted = 47e-6 * 100.0 * ((3.0 - rest) / (1.7 - rest)).ln();
        near(crossing.0 as f64 / 16e6, wanted, 1.3e-7);

        // The same in a thousand pieces ends at the same voltage.
        let mut pieces = supply.clone();
        for piece in 1..=1000 {
            pieces.advance(Ticks(160_000_000 + crossing.0 * piece / 1000), 0.0);
        }
        supply.advance(Ticks(160_000_000) + crossing, 0.0);
        near(supply.chip_volts(), 1.7, 1e-4);
        near(pieces.chip_volts(), supply.chip_volts(), 1e-9);
        near(supply.terminal_volts(), supply.chip_volts() - 0.6, 1e-9);
    }

    #[test]
    fn a_sag_above_the_diode_discharges_by_the_load_alone() {
        let load = 4.4e-3;
        let mut supply = settled(source(6.0, 0.5, 1.0), load, 0.0);
        supply.set_feed(source(2.5, 0.5, 1.0));
        let crossing = supply.next(&[2.7], false).since(Ticks::from_millis(10_000));
        near(crossing.0 as f64 / 16e6, 0.3 * 47e-6 / load, 1.3e-7);
        supply.advance(Ticks::from_millis(11_000), 0.0);
        near(supply.chip_volts(), 2.35 - load * 0.55, 1e-6);
    }

    #[test]
    fn the_actuator_pulls_the_terminal_of_a_tired_battery_down() {
        let ohms = 9.0 / 0.35;
        let supply = settled(source(9.0, 15.0, 2.0), 4.4e-3, 1.0 / ohms);
        near(
            supply.terminal_volts(),
            (9.0 - 15.05 * 4.4e-3) * ohms / (ohms + 15.05),
            1e-9,
        );
        assert_eq!(supply.chip_volts(), 3.0);
    }

    #[test]
    fn a_current_limit_starves_the_board() {
        let mut supply = settled(source(9.0, 0.5, 0.010), 4.4e-3, 0.0);
        near(supply.feed_amperes(), 4.4e-3, 1e-9);
        // The solenoid takes all that the limit gives, and the capacitor's charge back through
        // the diode.
        supply.set_loads(4.4e-3, 0.35 / 9.0);
        near(supply.terminal_volts(), 3.0 - 0.6, 1e-9);
        supply.advance(Ticks::from_millis(11_000), 0.0);
        assert!(supply.chip_volts() < BROWN_OUT, "{}", supply.chip_volts());
        near(supply.feed_amperes(), 0.010, 1e-9);
    }

    #[test]
    fn charge_is_what_the_board_drew() {
        let mut supply = settled(source(9.0, 0.5, 1.0), 2e-3, 0.0);
        let before = supply.drawn_coulombs();
        supply.advance(Ticks::from_millis(12_000), 1e-3);
        near(supply.drawn_coulombs() - before, 2.0 * 3e-3, 1e-12);
    }

    #[test]
    fn whatever_feeds_and_draws_the_voltage_stays_in_range_and_pieces_agree_with_the_whole() {
        let mut noise = Noise::new(1, "supply", 0);
        let mut pick = |values: &[f64]| values[noise.between(0, values.len() as u64 - 1) as usize];
        let mut supply = Supply::new(SupplySpec::BOARD, OFF);
        let mut now = Ticks::ZERO;
        for round in 0..20_000 {
            let feed = if pick(&[0.0, 1.0, 1.0, 1.0]) == 0.0 {
                OFF
            } else {
                source(
                    pick(&[0.0, 0.5, 1.7, 2.4, 3.0, 3.149, 3.15, 3.2, 5.0, 9.0, 15.0]),
                    pick(&[0.0, 0.5, 8.0, 50.0]),
                    pick(&[0.0, 0.001, 0.0044, 0.01, 0.2, 3.0]),
                )
            };
            supply.set_feed(feed);
            let load = pick(&[0.0, 0.002, 0.011]);
            supply.set_loads(load, pick(&[0.0, 0.0, 0.025, 0.1]));
            let core = pick(&[3e-6, 4.4e-3]);
            supply.set_core(core);
            let span = Ticks(pick(&[1.0, 160.0, 1_600.0, 16_000.0, 1_600_000.0]) as u64);

            // The short way says what the laws say.
            if supply.regulating(load + core).is_some() {
                let volts = supply.chip_volts();
                assert!(supply.law(volts - NUDGE).current(volts) >= load + core);
                assert!(supply.law(volts + NUDGE).current(volts) <= load + core);
            }

            // A crossing that is promised comes, and not before.
            let threshold = pick(&[1.7, 1.75, 2.5]);
            let next = supply.next(&[threshold], false);
            let before = supply.chip_volts();
            if next != Ticks::NEVER && next > now + Ticks(1) {
                let mut early = supply.clone();
                early.advance(Ticks(next.0 - 2), core);
                let passed = (before > threshold) != (early.chip_volts() > threshold)
                    && (before - threshold).abs() > 1e-8;
                assert!(
                    !passed,
                    "round {round}: {before} V passed {threshold} V early"
                );
            }

            let mut pieces = supply.clone();
            for piece in 1..=7 {
                pieces.advance(now + Ticks(span.0 * piece / 7), core);
            }
            now += span;
            supply.advance(now, core);
            let volts = supply.chip_volts();
            assert!((0.0..=3.0).contains(&volts), "round {round}: {volts} V");
            near(pieces.chip_volts(), volts, 1e-6);
            let terminal = supply.terminal_volts();
            assert!(
                (-1e-9..=15.0).contains(&terminal),
                "round {round}: {terminal} V"
            );
        }
    }
}
