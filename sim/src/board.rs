//! A lock's board: what stands around the chip, and the wires between.
//!
//! The board is told what the chip does to its pins and which contacts the bench closes; it keeps
//! keypad, lamps, beeper, bolt and supply consistent with that, tells the chip's inputs, and
//! reports what a sense wire would see. It changes by itself only at moments that it knows ahead.
//! It knows neither the chip's inside nor the instruments; `bench` stands above all three.

pub mod bolt;
pub mod contact;
pub mod decay;
pub mod keypad;
pub mod noise;
pub mod signal;
pub mod supply;

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use educe::Educe;

use crate::time::Ticks;
use bolt::{Actuator, Bolt, BoltSpec, Push};
use keypad::{Drive, Keypad, NETS};
use signal::{Beeper, Heard, Lamp};
use supply::{Feed, Supply, SupplySpec};

/// Which pin of port 0 does what.
#[derive(Clone, Copy, Debug)]
pub struct PinPlan {
    /// Square wave for the piezo.
    pub beeper: u32,
    /// High, with the enable low: solenoid energised, motor withdraws.
    pub bolt_drive_a: u32,
    /// High, with the enable low: motor throws.
    pub bolt_drive_b: Option<u32>,
    /// Low: the bolt's drive obeys. Two lines of opposite levels, so that no single write moves the bolt.
    pub bolt_enable: u32,
    /// Low when the bolt is fully withdrawn.
    pub bolt_withdrawn: u32,
    /// Low when the bolt is fully thrown.
    pub bolt_thrown: u32,
    /// Low when the door is closed.
    pub door: u32,
    /// Low when the reset button is pressed.
    pub reset_button: u32,
    /// Low when the program button is pressed.
    pub program_button: u32,
    /// Rows and columns of the keypad, in the order of [`keypad`]'s nets.
    pub keypad: [u32; NETS],
    /// High: lit. Red, green, yellow.
    pub lamps: [u32; 3],
    /// Analog input that sees the battery terminal through the divider.
    pub battery_channel: usize,
    /// The divider's ratio, terminal to pin.
    pub battery_divider: u32,
}

impl PinPlan {
    const VIRTUAL: PinPlan = PinPlan {
        beeper: 4,
        bolt_drive_a: 5,
        bolt_drive_b: None,
        bolt_enable: 3,
        bolt_withdrawn: 7,
        bolt_thrown: 10,
        door: 11,
        reset_button: 8,
        program_button: 9,
        keypad: [12, 13, 14, 15, 16, 17, 18],
        lamps: [21, 22, 23],
        battery_channel: 2,
        battery_divider: 10,
    };
}

/// Everything that tells one board from another.
#[derive(Clone, Copy, Debug)]
pub struct BoardSpec {
    /// The board's name.
    pub name: &'static str,
    /// Its wiring.
    pub pins: PinPlan,
    /// Its bolt.
    pub bolt: BoltSpec,
    /// Its supply.
    pub supply: SupplySpec,
}

impl BoardSpec {
    /// A safe's lock: solenoid, 9 V block, red reset button inside the door.
    pub const SAFE: BoardSpec = BoardSpec {
        name: "virtual-safe",
        pins: PinPlan::VIRTUAL,
        bolt: BoltSpec::SOLENOID,
        supply: SupplySpec::BOARD,
    };
    /// A smart lock: motor, four AA cells, program button.
    pub const SMART_LOCK: BoardSpec = BoardSpec {
        name: "virtual-smart-lock",
        pins: PinPlan {
            bolt_drive_b: Some(6),
            ..PinPlan::VIRTUAL
        },
        bolt: BoltSpec::MOTOR,
        supply: SupplySpec::BOARD,
    };
}

/// A line that a sense wire can watch. High always means that the thing is so: a lamp lit, a
/// contact closed, a drive energised, whatever the polarity of the chip's pin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Line {
    /// Red lamp, see [`Lamp`].
    Red,
    /// Green lamp.
    Green,
    /// Yellow lamp.
    Yellow,
    /// Envelope of a tone, see [`Beeper`].
    Beeper,
    /// The bolt is fully withdrawn.
    BoltWithdrawn,
    /// The bolt is fully thrown.
    BoltThrown,
    /// The door is closed.
    Door,
    /// The reset button's contact, bounces and all.
    ResetButton,
    /// The program button's contact, bounces and all.
    ProgramButton,
    /// Any key of the keypad is electrically closed, bounces and all.
    Key,
    /// The solenoid is energised.
    Solenoid,
    /// The motor is driven, either way.
    Motor,
    /// The cylinder's plug is where keys go in and out.
    PlugRest,
    /// The plug is turned so far, either way, that the bolt is thrown over.
    PlugTurned,
    /// The learning tool is in its slot as far as it goes.
    ToolSeated,
    /// The cylinder clicked: what a microphone on it hears.
    Click,
    /// The torque comparator or a force switch of the stage says that something resists too much.
    Overload,
    /// A limit switch of the stage is closed.
    StageLimit,
}

impl Line {
    /// Every line, in the order of their names in this enum.
    pub const ALL: [Line; 18] = [
        Line::Red,
        Line::Green,
        Line::Yellow,
        Line::Beeper,
        Line::BoltWithdrawn,
        Line::BoltThrown,
        Line::Door,
        Line::ResetButton,
        Line::ProgramButton,
        Line::Key,
        Line::Solenoid,
        Line::Motor,
        Line::PlugRest,
        Line::PlugTurned,
        Line::ToolSeated,
        Line::Click,
        Line::Overload,
        Line::StageLimit,
    ];

    /// How many of them a lock's board can have; the others are a cylinder's and its stage's.
    const OF_BOARDS: usize = 12;

    /// Whether the board draws a current of its own for it.
    pub fn is_load(self) -> bool {
        use Line::{Beeper, Green, Motor, Red, Solenoid, Yellow};
        matches!(self, Red | Green | Yellow | Beeper | Solenoid | Motor)
    }

    /// The line's name, as bench files write it.
    pub fn name(self) -> &'static str {
        match self {
            Line::Red => "red",
            Line::Green => "green",
            Line::Yellow => "yellow",
            Line::Beeper => "beeper",
            Line::BoltWithdrawn => "bolt-withdrawn",
            Line::BoltThrown => "bolt-thrown",
            Line::Door => "door",
            Line::ResetButton => "reset-button",
            Line::ProgramButton => "program-button",
            Line::Key => "key",
            Line::Solenoid => "solenoid",
            Line::Motor => "motor",
            Line::PlugRest => "plug-rest",
            Line::PlugTurned => "plug-turned",
            Line::ToolSeated => "tool-seated",
            Line::Click => "click",
            Line::Overload => "overload",
            Line::StageLimit => "stage-limit",
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no line has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownLine(String);

impl fmt::Display for UnknownLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Line::ALL.map(Line::name).join(", ");
        write!(
            f,
            "no line \"{}\" on a virtual board; hint: there are {names}",
            self.0
        )
    }
}

impl std::error::Error for UnknownLine {}

impl FromStr for Line {
    type Err = UnknownLine;

    fn from_str(name: &str) -> Result<Line, UnknownLine> {
        Line::ALL
            .into_iter()
            .find(|line| line.name() == name)
            .ok_or_else(|| UnknownLine(name.to_owned()))
    }
}

/// A contact that the bench closes from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Touch {
    /// A key, by its place in [`keypad::KEYS`].
    Key(usize),
    /// The reset button.
    ResetButton,
    /// The program button.
    ProgramButton,
    /// The door, closed.
    Door,
    /// Something blocks the bolt.
    Jam,
}

/// What the chip does to its pins, one bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct Pins {
    /// Driven high.
    pub high: u32,
    /// Driven low.
    pub low: u32,
    /// Pulled up.
    pub pull_up: u32,
    /// Pulled down.
    pub pull_down: u32,
}

/// What the core has done with its time, from which its supply current follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Activity {
    /// How long it ran since the bench was made.
    pub awake_time: Ticks,
    /// Whether it runs at this moment.
    pub awake: bool,
}

/// What the board does to the chip's pins, one bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct Inputs {
    /// Something holds the pin at a level.
    pub held: u32,
    /// The level is high.
    pub high: u32,
}

/// A line has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Edge {
    /// When.
    pub at: Ticks,
    /// Which line.
    pub line: Line,
    /// Its new level.
    pub level: bool,
    /// Of the beeper: at a rising edge the pitch of the first cycle, at a falling one the mean of
    /// the whole tone.
    pub hertz: Option<u32>,
}

/// The board at one moment.
#[derive(Clone, Debug, Educe)]
#[educe(Hash)]
pub struct Board {
    #[educe(Hash(ignore))]
    spec: BoardSpec,
    pins: Pins,
    inputs: Inputs,
    levels: u16,
    edges: VecDeque<Edge>,
    keypad: Keypad,
    lamps: [Lamp; 3],
    beeper: Beeper,
    /// When to ask whether the tone is over; earlier than the beeper's own moment, which moves.
    beeper_look: Ticks,
    bolt: Bolt,
    jammed: bool,
    supply: Supply,
    chip_on: bool,
    supply_next: Ticks,
    supply_at: Ticks,
    awake_seen: Ticks,
    supply_changed: bool,
}

const LAMPS: [Line; 3] = [Line::Red, Line::Green, Line::Yellow];

impl Board {
    /// A board with an empty capacitor, a thrown bolt, an open door, and nobody at its keys.
    pub fn new(spec: &BoardSpec, feed: Feed) -> Board {
        let plan = &spec.pins;
        let held = [
            plan.bolt_withdrawn,
            plan.bolt_thrown,
            plan.door,
            plan.reset_button,
            plan.program_button,
        ]
        .into_iter()
        .fold(0, |held, pin| held | 1 << pin);
        let mut board = Board {
            spec: *spec,
            pins: Pins::default(),
            inputs: Inputs { held, high: held },
            levels: 0,
            edges: VecDeque::new(),
            keypad: Keypad::default(),
            lamps: Default::default(),
            beeper: Beeper::default(),
            beeper_look: Ticks::NEVER,
            bolt: Bolt::new(spec.bolt),
            jammed: false,
            supply: Supply::new(spec.supply, feed),
            chip_on: false,
            supply_next: Ticks::NEVER,
            supply_at: Ticks::ZERO,
            awake_seen: Ticks::ZERO,
            supply_changed: true,
        };
        board.show_bolt(Ticks::ZERO);
        board.edges.clear();
        board
    }

    /// The level of a line.
    pub fn level(&self, line: Line) -> bool {
        // A line that no board has is beyond the bits that are ever set.
        u32::from(self.levels) & (1 << line as u32) != 0
    }

    /// The lines that this board has.
    pub fn lines(&self) -> impl Iterator<Item = Line> + use<> {
        let absent = match self.spec.bolt.actuator {
            Actuator::Solenoid => Line::Motor,
            Actuator::Motor => Line::Solenoid,
        };
        Line::ALL
            .into_iter()
            .take(Line::OF_BOARDS)
            .filter(move |line| *line != absent)
    }

    /// What the board does to the chip's pins.
    pub fn inputs(&self) -> Inputs {
        self.inputs
    }

    /// The next edge that nobody has taken yet.
    pub fn take_edge(&mut self) -> Option<Edge> {
        self.edges.pop_front()
    }

    /// Whether voltages may have changed since this was last asked.
    pub fn take_supply_change(&mut self) -> bool {
        std::mem::take(&mut self.supply_changed)
    }

    /// Supply voltage of the chip, in volts.
    pub fn chip_volts(&self) -> f64 {
        self.supply.chip_volts()
    }

    /// Voltage at the battery terminal, in volts.
    pub fn terminal_volts(&self) -> f64 {
        self.supply.terminal_volts()
    }

    /// Voltage at the chip's battery input, in microvolts.
    pub fn battery_input_microvolts(&self) -> u32 {
        let volts = self.supply.terminal_volts() / f64::from(self.spec.pins.battery_divider);
        (volts.max(0.0) * 1e6) as u32
    }

    /// Charge drawn from the feed so far, in coulombs.
    pub fn drawn_coulombs(&self) -> f64 {
        self.supply.drawn_coulombs()
    }

    /// Current drawn from the feed at this moment, in amperes.
    pub fn feed_amperes(&self) -> f64 {
        self.supply.feed_amperes()
    }

    /// How far the bolt is withdrawn, in thousandths, as of the last change.
    pub fn withdrawn_permille(&self) -> u32 {
        self.bolt.withdrawn_permille()
    }

    /// The next moment at which the board changes by itself.
    pub fn next(&self) -> Ticks {
        let lamps = self.lamps[0]
            .next()
            .min(self.lamps[1].next())
            .min(self.lamps[2].next());
        self.supply_next
            .min(self.bolt.next())
            .min(lamps)
            .min(self.beeper_look)
    }

    /// Does what is due at `now`, which is not later than [`Board::next`]. Of several things due
    /// at once the order is: supply, bolt, lamps, beeper.
    pub fn pass(&mut self, now: Ticks, core: Activity) {
        if self.supply_next <= now {
            self.settle_supply(now, core);
        }
        if self.bolt.next() <= now {
            self.bolt.advance(now);
            self.show_bolt(now);
            self.settle_supply(now, core);
        }
        for (lamp, line) in LAMPS.into_iter().enumerate() {
            if self.lamps[lamp].next() <= now {
                self.lamps[lamp].look();
                self.show(now, line, false, None);
            }
        }
        if self.beeper_look <= now {
            let over = self.beeper.look(now);
            self.beeper_look = self.beeper.next();
            if over.is_some() {
                self.show(now, Line::Beeper, false, over);
                self.settle_supply(now, core);
            }
        }
    }

    /// The chip has changed its pins.
    pub fn set_pins(&mut self, now: Ticks, pins: Pins, core: Activity) {
        let before = std::mem::replace(&mut self.pins, pins);
        let plan = &self.spec.pins;
        let highs = before.high ^ pins.high;
        let mut loads_changed = false;
        if highs & (1 << plan.beeper) != 0 {
            let heard = self.beeper.drive(pins.high & (1 << plan.beeper) != 0, now);
            if let Heard::Starts(hertz) = heard {
                self.beeper_look = self.beeper.next();
                self.show(now, Line::Beeper, true, Some(hertz));
                loads_changed = true;
            }
        }
        let plan = &self.spec.pins;
        let lamps = plan.lamps.iter().fold(0, |mask, pin| mask | 1 << pin);
        if highs & lamps != 0 {
            loads_changed = true;
            for (lamp, pin) in plan.lamps.into_iter().enumerate() {
                if self.lamps[lamp].drive(pins.high & (1 << pin) != 0, now) {
                    self.show(now, LAMPS[lamp], true, None);
                }
            }
        }
        let plan = &self.spec.pins;
        let drives = 1 << plan.bolt_drive_a | plan.bolt_drive_b.map_or(0, |pin| 1 << pin);
        let enables = (before.low ^ pins.low) & (1 << plan.bolt_enable);
        if highs & drives != 0 || enables != 0 {
            loads_changed = true;
            self.drive_bolt(now);
        }
        if loads_changed {
            self.settle_supply(now, core);
        }
        if self.keypad.any_closed() {
            self.settle_keypad();
        }
    }

    /// Somebody closes or opens a contact.
    pub fn touch(&mut self, now: Ticks, touch: Touch, closed: bool, core: Activity) {
        let plan = &self.spec.pins;
        let (pin, line) = match touch {
            Touch::Key(place) => {
                self.keypad.set(place, closed);
                self.settle_keypad();
                self.show(now, Line::Key, self.keypad.any_closed(), None);
                return;
            }
            Touch::Jam => {
                self.jammed = closed;
                self.drive_bolt(now);
                self.settle_supply(now, core);
                return;
            }
            Touch::ResetButton => (plan.reset_button, Line::ResetButton),
            Touch::ProgramButton => (plan.program_button, Line::ProgramButton),
            Touch::Door => (plan.door, Line::Door),
        };
        self.hold_low(pin, closed);
        self.show(now, line, closed, None);
    }

    /// Something else feeds the terminal from `now` on.
    pub fn set_feed(&mut self, now: Ticks, feed: Feed, core: Activity) {
        self.account(now, core);
        self.supply.set_feed(feed);
        self.settle_supply(now, core);
    }

    /// The chip is held in reset for want of voltage, or let go.
    pub fn set_chip_on(&mut self, now: Ticks, on: bool, core: Activity) {
        self.account(now, core);
        self.chip_on = on;
        self.settle_supply(now, core);
    }

    /// Whether the chip has its supply.
    pub fn is_chip_on(&self) -> bool {
        self.chip_on
    }

    /// Empties the capacitor at once: the supply is lost with nothing left behind it.
    pub fn collapse(&mut self, now: Ticks, core: Activity) {
        self.account(now, core);
        self.supply.collapse();
        self.settle_supply(now, core);
    }

    /// Brings the supply up to `now` and looks anew at everything that hangs on it.
    pub fn settle_supply(&mut self, now: Ticks, core: Activity) {
        self.account(now, core);
        let spec = self.spec.supply;
        let lamps = self.lamps.iter().filter(|lamp| lamp.is_driven()).count() as f64;
        let beeper = if self.beeper.is_sounding() {
            spec.beeper
        } else {
            0.0
        };
        self.supply.set_core(if core.awake {
            spec.core_running
        } else {
            spec.core_sleeping
        });
        self.supply
            .set_loads(lamps * spec.lamp + beeper, self.bolt.siemens());
        // The bolt feels the voltage and the voltage feels the bolt; a bolt that turns out too
        // weak to move draws what a stalled one does, so a second look settles it.
        self.drive_bolt(now);
        self.supply
            .set_loads(lamps * spec.lamp + beeper, self.bolt.siemens());
        self.supply_changed = true;
        self.supply_next = if self.chip_on {
            self.supply.next(&supply::WATCHED, true)
        } else {
            self.supply.next(&[supply::BROWN_OUT_RELEASE], false)
        };
    }

    /// Lets the supply's time pass until `now`.
    fn account(&mut self, now: Ticks, core: Activity) {
        let spec = &self.spec.supply;
        let span = now.since(self.supply_at);
        if span == Ticks::ZERO {
            return;
        }
        let awake = core.awake_time.since(self.awake_seen).min(span);
        let share = awake.0 as f64 / span.0 as f64;
        let core_amperes = spec.core_sleeping + (spec.core_running - spec.core_sleeping) * share;
        self.supply.advance(now, core_amperes);
        self.supply_at = now;
        self.awake_seen = core.awake_time;
    }

    fn drive_bolt(&mut self, now: Ticks) {
        let plan = &self.spec.pins;
        let enabled = self.pins.low & (1 << plan.bolt_enable) != 0;
        let high = |pin: u32| enabled && self.pins.high & (1 << pin) != 0;
        let push = match (high(plan.bolt_drive_a), plan.bolt_drive_b.is_some_and(high)) {
            (true, false) => Push::Withdraw,
            (false, true) => Push::Throw,
            _ => Push::Off,
        };
        let volts = self.supply.terminal_volts();
        self.bolt.drive(now, push, volts, self.jammed);
        self.show_bolt(now);
    }

    fn show_bolt(&mut self, now: Ticks) {
        let drive = match self.spec.bolt.actuator {
            Actuator::Solenoid => Line::Solenoid,
            Actuator::Motor => Line::Motor,
        };
        self.show(now, drive, self.bolt.is_driven(), None);
        self.show(now, Line::BoltThrown, self.bolt.is_thrown(), None);
        self.show(now, Line::BoltWithdrawn, self.bolt.is_withdrawn(), None);
        self.hold_low(self.spec.pins.bolt_thrown, self.bolt.is_thrown());
        self.hold_low(self.spec.pins.bolt_withdrawn, self.bolt.is_withdrawn());
    }

    fn settle_keypad(&mut self) {
        let mask = |pin: u32| 1 << pin;
        if !self.keypad.any_closed() {
            for pin in self.spec.pins.keypad {
                self.inputs.held &= !mask(pin);
                self.inputs.high &= !mask(pin);
            }
            return;
        }
        let drives = self.spec.pins.keypad.map(|pin| {
            let bit = mask(pin);
            if self.pins.low & bit != 0 {
                Drive::Low
            } else if self.pins.high & bit != 0 {
                Drive::High
            } else if self.pins.pull_up & bit != 0 {
                Drive::PullUp
            } else if self.pins.pull_down & bit != 0 {
                Drive::PullDown
            } else {
                Drive::Floating
            }
        });
        let levels = self.keypad.levels(drives);
        for (net, pin) in self.spec.pins.keypad.into_iter().enumerate() {
            self.inputs.held |= mask(pin);
            self.inputs.high = self.inputs.high & !mask(pin) | u32::from(levels >> net & 1) << pin;
        }
    }

    fn hold_low(&mut self, pin: u32, low: bool) {
        self.inputs.high = self.inputs.high & !(1 << pin) | u32::from(!low) << pin;
    }

    fn show(&mut self, at: Ticks, line: Line, level: bool, hertz: Option<u32>) {
        if self.level(line) != level {
            self.levels ^= 1 << line as u16;
            self.edges.push_back(Edge {
                at,
                line,
                level,
                hertz,
            });
        }
    }
}
