//! The nRF51822's peripherals, as the core and the board see them.

use super::memory::Memory;
use crate::time::Ticks;

/// What an access or the passing of time made the peripherals ask of the chip.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// An output, direction or pull of a pin changed.
    pub pins: bool,
    /// A byte left the UART.
    pub uart: bool,
    /// A peripheral wants a system reset.
    pub reset: Option<ResetCause>,
    /// An erase was requested of the flash controller.
    pub flash: bool,
    /// System OFF was entered.
    pub off: bool,
}

/// Why the chip was reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetCause {
    /// Supply came up, or dipped below the brown-out level.
    PowerOn,
    /// The reset pin.
    Pin,
    /// The watchdog ran out.
    Watchdog,
    /// AIRCR.SYSRESETREQ.
    Software,
    /// The core locked up outside debug mode.
    Lockup,
    /// A pin woke the chip from System OFF.
    Detect,
    /// A debugger woke the chip from System OFF.
    Debug,
}

/// The flash controller's physics.
#[derive(Clone, Debug, Default)]
pub struct Nvmc {}

impl Nvmc {
    /// A word store by the core or the debugger to flash or UICR. Returns when the flash is
    /// readable again; `now` if nothing was started.
    pub fn store(&mut self, memory: &mut Memory, address: u32, value: u32, now: Ticks) -> Ticks {
        memory.set_flash_word(address, memory.flash_word(address) & value);
        now + Ticks::from_micros(46)
    }

    /// Starts the erase that [`Outcome::flash`] announced. Returns when the flash is readable
    /// again.
    pub fn erase(&mut self, _memory: &mut Memory, now: Ticks) -> Ticks {
        now
    }

    /// The operation in progress has ended.
    pub fn finish(&mut self, _memory: &mut Memory, _now: Ticks) {}

    /// The supply was lost, perhaps within an operation.
    pub fn cut(&mut self, _memory: &mut Memory, _now: Ticks) {}
}

/// All peripherals behind 0x4000_0000 to 0x5fff_ffff, and FICR.
#[derive(Clone, Debug, Default)]
pub struct Peripherals {
    /// The flash controller.
    pub nvmc: Nvmc,
}

impl Peripherals {
    /// Reset state. The seed feeds noise sources.
    pub fn new(_seed: u64) -> Peripherals {
        Peripherals::default()
    }

    /// Brings everything that `cause` reaches to its reset state.
    pub fn reset(&mut self, _cause: ResetCause, _now: Ticks) {}

    /// Reads the word at `address`.
    pub fn read(&mut self, _address: u32, _now: Ticks) -> u32 {
        0
    }

    /// Writes the word at `address`.
    pub fn write(&mut self, _address: u32, _value: u32, _now: Ticks) {}

    /// When [`Peripherals::advance`] has something to do; [`Ticks::NEVER`] if nothing is planned.
    pub fn next_event(&self) -> Ticks {
        Ticks::NEVER
    }

    /// Handles everything due at or before `now`, in time order.
    pub fn advance(&mut self, _now: Ticks) {}

    /// The levels of the 32 interrupt lines.
    pub fn interrupts(&self) -> u32 {
        0
    }

    /// What was asked of the chip since the last call.
    pub fn take_outcome(&mut self) -> Outcome {
        Outcome::default()
    }

    /// The level at a pin, as the board settles it.
    pub fn set_input(&mut self, _pin: u8, _high: bool, _now: Ticks) {}

    /// A byte that arrives on RXD, its stop bit ending now.
    pub fn uart_receive(&mut self, _byte: u8, _now: Ticks) {}

    /// A byte that left on TXD, with the end of its stop bit.
    pub fn take_uart(&mut self) -> Option<(Ticks, u8)> {
        None
    }

    /// The supply voltage at VDD.
    pub fn set_supply(&mut self, _millivolts: u32, _now: Ticks) {}

    /// The voltage at an analog input.
    pub fn set_analog(&mut self, _channel: u8, _microvolts: u32, _now: Ticks) {}
}
