//! The board's pins and the port that they are on.

use nrf51_pac::{GPIO, GPIOTE};

use crate::registers::{clear, put};

/// The battery's divider, an analog input.
pub const BATTERY: Pin = Pin(1);
/// The piezo.
pub const BEEPER: Pin = Pin(4);
/// Low, the drive obeys: the opposite of the level that drives, so that no single write moves the bolt.
pub const DRIVE_ENABLE: Pin = Pin(3);
/// Solenoid, or the motor's direction that withdraws.
pub const DRIVE_A: Pin = Pin(5);
/// The motor's direction that throws.
pub const DRIVE_B: Pin = Pin(6);
/// Low when the bolt is fully withdrawn.
pub const BOLT_WITHDRAWN: Pin = Pin(7);
/// Low while the reset button is pressed.
pub const RESET_BUTTON: Pin = Pin(8);
/// Low while the Program button is pressed.
pub const PROGRAM_BUTTON: Pin = Pin(9);
/// Low when the bolt is fully thrown.
pub const BOLT_THROWN: Pin = Pin(10);
/// Low when the door is closed.
pub const DOOR: Pin = Pin(11);
/// The keypad's rows from the top.
pub const ROWS: [Pin; 4] = [Pin(12), Pin(13), Pin(14), Pin(15)];
/// The keypad's columns from the left, on pins in a row.
pub const COLUMNS: [Pin; 3] = [Pin(16), Pin(17), Pin(18)];
/// The red lamp.
pub const RED: Pin = Pin(21);
/// The green lamp.
pub const GREEN: Pin = Pin(22);
/// The yellow lamp.
pub const YELLOW: Pin = Pin(23);
/// Console, out.
pub const CONSOLE_OUT: Pin = Pin(24);
/// Console, in.
pub const CONSOLE_IN: Pin = Pin(25);

/// The inputs that are switches to ground.
pub const SWITCHES: [Pin; 5] = [
    RESET_BUTTON,
    PROGRAM_BUTTON,
    DOOR,
    BOLT_WITHDRAWN,
    BOLT_THROWN,
];
const OUTPUTS: [Pin; 7] = [RED, GREEN, YELLOW, BEEPER, DRIVE_A, DRIVE_B, DRIVE_ENABLE];
/// Pins that are outputs at any time; rows are only while they are selected.
const ALWAYS_OUTPUTS: u32 = mask_of(&OUTPUTS) | CONSOLE_OUT.mask();
const _: () = assert!(
    COLUMNS[1].0 == COLUMNS[0].0 + 1 && COLUMNS[2].0 == COLUMNS[0].0 + 2,
    "columns are read as one number"
);

// Fields of PIN_CNF.
const OUTPUT: u32 = 1 | INPUT_OFF;
const INPUT_OFF: u32 = 1 << 1;
const PULL_UP: u32 = 3 << 2;
const SENSE_HIGH: u32 = 2 << 16;
const SENSE_LOW: u32 = 3 << 16;

/// A pin of port 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub u32);

impl Pin {
    const fn mask(self) -> u32 {
        1 << self.0
    }
}

const fn mask_of(pins: &[Pin]) -> u32 {
    let mut mask = 0;
    let mut rest = pins;
    while let [pin, others @ ..] = rest {
        mask |= pin.mask();
        rest = others;
    }
    mask
}

/// The levels of all pins at one moment.
#[derive(Clone, Copy)]
pub struct Levels(u32);

impl Levels {
    /// Whether an input is low: a switch that is closed.
    pub fn is_low(self, pin: Pin) -> bool {
        self.0 & pin.mask() == 0
    }

    /// Which columns are low, the left one in the lowest bit.
    pub fn low_columns(self) -> u32 {
        !self.0 >> COLUMNS[0].0 & ((1 << COLUMNS.len()) - 1)
    }
}

/// The port.
pub struct Port {
    gpio: GPIO,
    gpiote: GPIOTE,
}

impl Port {
    /// Gives every pin its direction, all outputs off, all rows selected.
    pub fn new(gpio: GPIO, gpiote: GPIOTE) -> Self {
        let port = Port { gpio, gpiote };
        port.high(DRIVE_ENABLE);
        put(&port.gpio.outclr, mask_of(&OUTPUTS) & !DRIVE_ENABLE.mask());
        for pin in OUTPUTS {
            port.configure(pin, OUTPUT);
        }
        port.high(CONSOLE_OUT);
        port.configure(CONSOLE_OUT, OUTPUT);
        port.configure(CONSOLE_IN, 0);
        port.configure(BATTERY, INPUT_OFF);
        for pin in ROWS {
            put(&port.gpio.outclr, pin.mask());
            port.configure(pin, OUTPUT);
        }
        port.ignore();
        put(&port.gpiote.intenset, 1 << 31);
        port
    }

    /// Drives an output high.
    pub fn high(&self, pin: Pin) {
        put(&self.gpio.outset, pin.mask());
    }

    /// Drives an output low.
    pub fn low(&self, pin: Pin) {
        put(&self.gpio.outclr, pin.mask());
    }

    /// Drives an output.
    pub fn set(&self, pin: Pin, high: bool) {
        if high {
            self.high(pin);
        } else {
            self.low(pin);
        }
    }

    /// The levels of all pins now.
    pub fn levels(&self) -> Levels {
        Levels(self.gpio.in_.read().bits())
    }

    /// Whether an input is low: a switch that is closed.
    pub fn is_low(&self, pin: Pin) -> bool {
        self.levels().is_low(pin)
    }

    /// Drives all rows low, so that any key pulls its column down.
    pub fn select_rows(&self) {
        put(&self.gpio.dir, ALWAYS_OUTPUTS | mask_of(&ROWS));
    }

    /// Drives one row low and leaves the others floating.
    pub fn select_row(&self, row: Pin) {
        put(&self.gpio.dir, ALWAYS_OUTPUTS | row.mask());
    }

    /// From now on any change of a switch or a column wakes the processor.
    pub fn watch(&self) {
        self.ignore();
        for pin in SWITCHES {
            self.configure(pin, self.sense_of(pin));
        }
        for pin in COLUMNS {
            self.configure(pin, PULL_UP | self.sense_of(pin));
        }
    }

    /// No change wakes the processor; what woke it is forgotten.
    pub fn ignore(&self) {
        for pin in SWITCHES {
            self.configure(pin, 0);
        }
        for pin in COLUMNS {
            self.configure(pin, PULL_UP);
        }
        clear(&self.gpiote.events_port);
    }

    /// Whether something changed since [`Port::watch`].
    pub fn has_changed(&self) -> bool {
        self.gpiote.events_port.read().bits() != 0
    }

    /// Lets a peripheral toggle a pin that is low, by a task of GPIOTE's first channel.
    pub fn lend_for_toggling(&self, pin: Pin) {
        const TASK: u32 = 3;
        const TOGGLE: u32 = 3 << 16;
        put(&self.gpiote.config[0], TASK | pin.0 << 8 | TOGGLE);
    }

    /// Takes the lent pin back. It is what the port says it is: low.
    pub fn take_back(&self) {
        put(&self.gpiote.config[0], 0);
    }

    /// The task that toggles the lent pin.
    pub fn toggle_task(&self) -> u32 {
        self.gpiote.tasks_out[0].as_ptr() as u32
    }

    // A change between reading the level and sensing it shows at once: the level is then the sensed one.
    fn sense_of(&self, pin: Pin) -> u32 {
        if self.is_low(pin) {
            SENSE_HIGH
        } else {
            SENSE_LOW
        }
    }

    fn configure(&self, pin: Pin, bits: u32) {
        put(&self.gpio.pin_cnf[pin.0 as usize], bits);
    }
}
