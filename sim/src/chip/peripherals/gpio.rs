//! General-purpose input and output: nRF51 Series Reference Manual v3.0, section 14 "GPIO".
//! Pins are bits of 32-bit masks throughout, so that the board can ask for all of them at once.

const OUT: u32 = 0x504;
const OUTSET: u32 = 0x508;
const OUTCLR: u32 = 0x50c;
const IN: u32 = 0x510;
const DIR: u32 = 0x514;
const DIRSET: u32 = 0x518;
const DIRCLR: u32 = 0x51c;
const PIN_CNF: u32 = 0x700;
const PIN_CNF_END: u32 = 0x780;

/// How the chip drives its pins, one bit for each. A pin in none of the masks is high-Z; a pull
/// may stand beside a strong drive, which then wins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct PinDrive {
    /// Driven low.
    pub low: u32,
    /// Driven high.
    pub high: u32,
    /// Pulled down, nominally by 13 kΩ.
    pub pull_down: u32,
    /// Pulled up, nominally by 13 kΩ.
    pub pull_up: u32,
    /// Driven at the high strength (5 mA) in the direction it is driven now.
    pub strong: u32,
}

/// Pins that a peripheral has taken from the port's own registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Claims {
    pub(super) pins: u32,
    pub(super) levels: u32,
}

impl Claims {
    /// Takes one pin, if the number is one: an unconnected `PSEL` holds a number that is not.
    pub(super) fn drive(&mut self, pin: u32, level: bool) {
        if pin < 32 {
            self.pins |= 1 << pin;
            if level {
                self.levels |= 1 << pin;
            } else {
                self.levels &= !(1 << pin);
            }
        }
    }
}

/// The port's registers and what the outside does to its pins.
#[derive(Clone, Debug, Hash)]
pub(super) struct Gpio {
    out: u32,
    direction: u32,
    disconnected: u32,
    pull_down: u32,
    pull_up: u32,
    /// Bits 8 to 10 of `PIN_CNF`, one mask for each.
    drive: [u32; 3],
    sense_high: u32,
    sense_low: u32,
    external_known: u32,
    external_high: u32,
}

impl Gpio {
    pub(super) fn new() -> Gpio {
        Gpio {
            out: 0,
            direction: 0,
            disconnected: u32::MAX,
            pull_down: 0,
            pull_up: 0,
            drive: [0; 3],
            sense_high: 0,
            sense_low: 0,
            external_known: 0,
            external_high: 0,
        }
    }

    /// As after a reset; the outside stays what it is.
    pub(super) fn reset(&mut self) {
        let (external_known, external_high) = (self.external_known, self.external_high);
        *self = Gpio {
            external_known,
            external_high,
            ..Gpio::new()
        };
    }

    pub(super) fn read(&self, offset: u32, levels: u32) -> u32 {
        match offset {
            OUT | OUTSET | OUTCLR => self.out,
            IN => levels & !self.disconnected,
            DIR | DIRSET | DIRCLR => self.direction,
            PIN_CNF..PIN_CNF_END => self.configuration((offset - PIN_CNF) / 4),
            _ => 0,
        }
    }

    /// Writes a register; the caller looks what it did to the pins.
    pub(super) fn write(&mut self, offset: u32, value: u32) {
        match offset {
            OUT => self.out = value,
            OUTSET => self.out |= value,
            OUTCLR => self.out &= !value,
            DIR => self.direction = value,
            DIRSET => self.direction |= value,
            DIRCLR => self.direction &= !value,
            PIN_CNF..PIN_CNF_END => self.configure((offset - PIN_CNF) / 4, value),
            _ => {}
        }
    }

    fn configuration(&self, pin: u32) -> u32 {
        let bit = |mask: u32| (mask >> pin) & 1;
        let pull = match (bit(self.pull_down), bit(self.pull_up)) {
            (1, _) => 1,
            (_, 1) => 3,
            _ => 0,
        };
        let sense = match (bit(self.sense_high), bit(self.sense_low)) {
            (1, _) => 2,
            (_, 1) => 3,
            _ => 0,
        };
        let drive = bit(self.drive[0]) | bit(self.drive[1]) << 1 | bit(self.drive[2]) << 2;
        bit(self.direction) | bit(self.disconnected) << 1 | pull << 2 | drive << 8 | sense << 16
    }

    fn configure(&mut self, pin: u32, value: u32) {
        let set = |mask: &mut u32, on: bool| *mask = *mask & !(1 << pin) | u32::from(on) << pin;
        set(&mut self.direction, value & 1 != 0);
        set(&mut self.disconnected, value & 2 != 0);
        set(&mut self.pull_down, (value >> 2) & 3 == 1);
        set(&mut self.pull_up, (value >> 2) & 3 == 3);
        for (bit, mask) in self.drive.iter_mut().enumerate() {
            set(mask, (value >> (8 + bit)) & 1 != 0);
        }
        set(&mut self.sense_high, (value >> 16) & 3 == 2);
        set(&mut self.sense_low, (value >> 16) & 3 == 3);
    }

    /// Sets the level that the outside puts on a pin, or none if nothing is connected to it.
    pub(super) fn set_external(&mut self, pin: u32, level: Option<bool>) {
        let bit = 1 << pin;
        self.external_known = self.external_known & !bit | u32::from(level.is_some()) << pin;
        self.external_high = self.external_high & !bit | u32::from(level == Some(true)) << pin;
    }

    /// What the chip does to its pins. The eight drive modes are S0S1, H0S1, S0H1, H0H1, D0S1,
    /// D0H1, S0D1 and H0D1: standard, high or disconnected, for 0 and for 1.
    pub(super) fn drive(&self, claims: Claims) -> PinDrive {
        let [one, two, four] = self.drive;
        let driven = self.direction | claims.pins;
        let out = self.out & !claims.pins | claims.levels & claims.pins;
        let low = driven & !out & !(four & !two);
        let high = driven & out & !(four & two);
        let strong_low = one & !four | four & two & one;
        let strong_high = two & !four | four & !two & one;
        PinDrive {
            low,
            high,
            pull_down: self.pull_down,
            pull_up: self.pull_up,
            strong: low & strong_low | high & strong_high,
        }
    }

    /// The pads' levels under a drive. A pin that nothing drives or pulls reads 0.
    pub(super) fn levels(&self, drive: PinDrive) -> u32 {
        let outside = self.external_known & self.external_high;
        let pulled = drive.pull_up & !self.external_known;
        (outside | pulled | drive.high) & !drive.low
    }

    /// The DETECT signal: some pin has the level that it is set to sense (section 14.1.2).
    pub(super) fn detect(&self, levels: u32) -> bool {
        (levels & self.sense_high | !levels & self.sense_low) & !self.disconnected != 0
    }
}
