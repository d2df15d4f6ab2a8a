//! The nRF51822's peripherals, as the core and the board see them: nRF51 Series Reference Manual
//! v3.0 and nRF51822 Product Specification v3, one file for each section.
//!
//! Nothing is polled. Every peripheral knows when it next does something by itself; between such
//! moments a count or a status is computed from the time at which it is asked for. Events go over
//! `wires` to the PPI and from there to tasks within the same moment.
//!
//! Nothing here knows the core or the board. What is not modelled reads as rest, and is noted
//! once: see [`Peripherals::take_notes`].

mod adc;
mod clock;
mod events;
mod ficr;
mod gpio;
mod gpiote;
mod noise;
mod power;
mod ppi;
mod radio;
mod rest;
mod rtc;
mod serial_bus;
mod temp;
mod timer;
mod uart;
mod wdt;
mod wires;

use crate::time::Ticks;

use adc::Adc;
use events::Events;
use ficr::Ficr;
use gpio::{Claims, Gpio};
use gpiote::Gpiote;
use noise::{Noise, Rng};
use power::PowerClock;
use ppi::Ppi;
use radio::Radio;
use rest::Resting;
use rtc::Rtc;
use serial_bus::SerialBus;
use temp::Temperature;
use timer::Timer;
use uart::Uart;
use wdt::Watchdog;
use wires::{SlowClock, Wires};

pub use super::nvmc::Nvmc;
pub use gpio::PinDrive;
pub use wires::Processor;

const GPIO: u32 = 0x5000_0000;
const POWER_ID: usize = 0;
const UART_ID: usize = 2;
const GPIOTE_ID: usize = 6;
const RTC0_ID: usize = 11;
const WATCHDOG_ID: usize = 16;
const RTC1_ID: usize = 17;
/// Blocks from here on do nothing by themselves.
const TIMED_IDS: usize = 20;
const NVMC_ID: usize = 30;
const PPI_ID: usize = 31;
/// IDs that a peripheral can have: bits 12 to 16 of its address, and its interrupt's number.
const IDS: usize = 32;
/// Offset of the register that switches a peripheral off and on, and thereby resets it.
const POWER: u32 = 0xffc;
const NOT_MODELLED: &str = "not modelled: reads as 0, writes do nothing";
/// How often pins may drive each other through GPIOTE and PPI within one moment.
const PIN_ROUNDS_MAX: u32 = 32;

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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
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

impl ResetCause {
    /// The bit that it leaves in RESETREAS (section 12.2.2).
    fn reason(self) -> u32 {
        match self {
            ResetCause::PowerOn => 0,
            ResetCause::Pin => 1 << 0,
            ResetCause::Watchdog => 1 << 1,
            ResetCause::Software => 1 << 2,
            ResetCause::Lockup => 1 << 3,
            ResetCause::Detect => 1 << 16,
            ResetCause::Debug => 1 << 18,
        }
    }

    /// Whether GPREGRET and the other retained registers survive it (section 12.1.10).
    fn keeps_retained_registers(self) -> bool {
        !matches!(
            self,
            ResetCause::PowerOn | ResetCause::Pin | ResetCause::Watchdog
        )
    }

    /// Whether it leaves the watchdog running.
    fn keeps_watchdog(self) -> bool {
        matches!(self, ResetCause::Software | ResetCause::Lockup)
    }

    /// Whether the pins stay as they are: waking from System OFF does not touch them.
    fn keeps_pins(self) -> bool {
        matches!(self, ResetCause::Detect | ResetCause::Debug)
    }
}

/// A byte that left the UART.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct SentByte {
    /// The byte.
    pub byte: u8,
    /// When its start bit began.
    pub starts: Ticks,
    /// When its stop bit ended.
    pub ends: Ticks,
    /// The pin it left on.
    pub pin: u8,
}

/// Something that firmware did and the model does not do, or that the chip's manual forbids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Note {
    /// When it was first met.
    pub at: Ticks,
    /// The register.
    pub address: u32,
    /// What it is.
    pub what: &'static str,
}

/// What every peripheral on the bus answers. Offsets are within its 4 KiB.
trait Block {
    /// Its event and interrupt registers, which the caller serves.
    fn events(&mut self) -> &mut Events;

    /// Reads any other register.
    fn read(&mut self, offset: u32, now: Ticks, wires: &mut Wires) -> u32;

    /// Writes any other register but tasks.
    fn write(&mut self, offset: u32, value: u32, now: Ticks, wires: &mut Wires);

    /// Triggers the task at an offset; one that does not exist does nothing.
    fn task(&mut self, offset: u32, now: Ticks, wires: &mut Wires);

    /// When [`Block::advance`] has something to do.
    fn next(&self, _wires: &Wires) -> Ticks {
        Ticks::NEVER
    }

    /// Does what is due now. Never called later than [`Block::next`] said.
    fn advance(&mut self, _now: Ticks, _wires: &mut Wires) {}

    /// Makes what follows from the time explicit, because something that it follows from is about
    /// to change: which events are observed, the low-frequency clock, whether the processor runs.
    fn settle(&mut self, _now: Ticks, _wires: &mut Wires) {}

    /// Back to the reset state.
    fn reset(&mut self, wires: &mut Wires);
}

#[derive(Clone, Debug, Hash)]
struct Blocks {
    power: PowerClock,
    radio: Radio,
    uart: Uart,
    serial_buses: [SerialBus; 2],
    gpiote: Gpiote,
    adc: Adc,
    timers: [Timer; 3],
    rtc0: Rtc,
    temperature: Temperature,
    rng: Rng,
    watchdog: Watchdog,
    rtc1: Rtc,
    resting: [Resting; 4],
    ppi: Ppi,
}

impl Blocks {
    fn new(noise: Noise) -> Blocks {
        Blocks {
            power: PowerClock::new(POWER_ID as u32),
            radio: Radio::new(1),
            uart: Uart::new(UART_ID as u32),
            serial_buses: [SerialBus::new(3), SerialBus::new(4)],
            gpiote: Gpiote::new(GPIOTE_ID as u32),
            adc: Adc::new(7),
            // Only TIMER0 is 32 bits wide, and RTC0 lacks the fourth compare register.
            timers: [
                Timer::new(8, true),
                Timer::new(9, false),
                Timer::new(10, false),
            ],
            rtc0: Rtc::new(RTC0_ID as u32, 3),
            temperature: Temperature::new(12),
            rng: Rng::new(13, noise),
            watchdog: Watchdog::new(WATCHDOG_ID as u32),
            rtc1: Rtc::new(RTC1_ID as u32, 4),
            resting: [
                Resting::new(14, rest::ECB),
                Resting::new(15, rest::AAR_CCM),
                Resting::new(18, rest::QDEC),
                Resting::new(19, rest::LPCOMP),
            ],
            ppi: Ppi::new(PPI_ID as u32),
        }
    }

    fn get(&mut self, id: usize) -> Option<&mut dyn Block> {
        Some(match id {
            POWER_ID => &mut self.power,
            1 => &mut self.radio,
            UART_ID => &mut self.uart,
            3 | 4 => &mut self.serial_buses[id - 3],
            GPIOTE_ID => &mut self.gpiote,
            7 => &mut self.adc,
            8..=10 => &mut self.timers[id - 8],
            RTC0_ID => &mut self.rtc0,
            12 => &mut self.temperature,
            13 => &mut self.rng,
            14 | 15 => &mut self.resting[id - 14],
            WATCHDOG_ID => &mut self.watchdog,
            RTC1_ID => &mut self.rtc1,
            18 | 19 => &mut self.resting[id - 16],
            PPI_ID => &mut self.ppi,
            _ => return None,
        })
    }
}

/// All peripherals behind 0x4000_0000 to 0x5fff_ffff, and FICR.
#[derive(Clone, Debug, Hash)]
pub struct Peripherals {
    /// The flash controller.
    pub nvmc: Nvmc,
    ficr: Ficr,
    gpio: Gpio,
    drive: PinDrive,
    detect: bool,
    blocks: Blocks,
    wires: Wires,
    /// The low-frequency clock that the blocks have been told of.
    slow_clock: SlowClock,
    due: [Ticks; TIMED_IDS],
    next: Ticks,
    interrupts: u32,
    /// Blocks whose next event and interrupt line must be looked at.
    touched: u32,
    switched_off: u32,
}

impl Default for Peripherals {
    fn default() -> Peripherals {
        Peripherals::new(0)
    }
}

impl Peripherals {
    /// Reset state. The seed feeds noise sources.
    pub fn new(seed: u64) -> Peripherals {
        let mut noise = Noise::new(seed);
        let ficr = Ficr::new(|| noise.draw());
        let mut peripherals = Peripherals {
            nvmc: Nvmc::new(),
            ficr,
            gpio: Gpio::new(),
            drive: PinDrive::default(),
            detect: false,
            blocks: Blocks::new(noise),
            wires: Wires::new(),
            slow_clock: SlowClock::default(),
            due: [Ticks::NEVER; TIMED_IDS],
            next: Ticks::NEVER,
            interrupts: 0,
            touched: u32::MAX,
            switched_off: 0,
        };
        peripherals.refresh(Ticks::ZERO);
        peripherals
    }

    /// Brings everything that `cause` reaches to its reset state (section 12.1.10).
    pub fn reset(&mut self, cause: ResetCause, now: Ticks) {
        for id in (0..IDS).filter(|id| *id != POWER_ID) {
            if let Some(block) = self.blocks.get(id) {
                block.reset(&mut self.wires);
            }
        }
        self.blocks.power.reset_by(cause, &mut self.wires);
        if !cause.keeps_watchdog() {
            self.blocks.watchdog.stop();
        }
        self.nvmc.reset();
        if !cause.keeps_pins() {
            self.gpio.reset();
        }
        self.switched_off = 0;
        self.wires.off = false;
        self.wires.reset = None;
        self.wires.pins_stale = true;
        self.touched = u32::MAX;
        self.refresh(now);
    }

    /// Reads the word at `address`.
    pub fn read(&mut self, address: u32, now: Ticks) -> u32 {
        if self.next <= now {
            self.advance(now);
        }
        let offset = address & 0xffc;
        if address & !0xfff == GPIO {
            return self.gpio.read(offset, self.wires.levels);
        }
        if address & !0xfff == ficr::FICR {
            return self.ficr.read(offset);
        }
        let id = id_of(address);
        if id == Some(NVMC_ID) {
            return self.nvmc.read(offset, now);
        }
        let Some((id, block)) = id.and_then(|id| Some((id, self.blocks.get(id)?))) else {
            self.wires.note(now, address & !0xfff, NOT_MODELLED);
            return 0;
        };
        if Events::holds(offset) {
            return block.events().read(offset);
        }
        if offset == POWER {
            return u32::from(self.switched_off & (1 << id) == 0);
        }
        if offset < events::EVENTS && id != POWER_ID {
            return 0;
        }
        let value = block.read(offset, now, &mut self.wires);
        self.touched |= 1 << id;
        self.refresh(now);
        value
    }

    /// Writes the word at `address`.
    pub fn write(&mut self, address: u32, value: u32, now: Ticks) {
        if self.next <= now {
            self.advance(now);
        }
        let offset = address & 0xffc;
        if address & !0xfff == GPIO {
            self.gpio.write(offset, value);
            self.wires.pins_stale = true;
            return self.refresh(now);
        }
        let id = id_of(address);
        if id == Some(NVMC_ID) {
            return self.nvmc.write(offset, value, now);
        }
        let Some((id, block)) = id.and_then(|id| Some((id, self.blocks.get(id)?))) else {
            return self.wires.note(now, address & !0xfff, NOT_MODELLED);
        };
        if Events::holds(offset) {
            block.settle(now, &mut self.wires);
            block.events().write(offset, value);
        } else if offset == POWER {
            if value & 1 == 0 {
                block.reset(&mut self.wires);
                self.switched_off |= 1 << id;
            } else {
                self.switched_off &= !(1 << id);
            }
        } else if offset < events::EVENTS {
            if value & 1 != 0 {
                block.task(offset, now, &mut self.wires);
            }
        } else {
            block.write(offset, value, now, &mut self.wires);
        }
        self.touched |= 1 << id;
        if id == POWER_ID {
            let power = &self.blocks.power;
            self.nvmc.set_power_failing(power.power_failing());
            self.nvmc.set_protected_blocks(power.protected_blocks());
            if self.wires.off {
                self.fall_silent();
            }
        }
        self.refresh(now);
    }

    /// System OFF (section 12.1.5): all but the pins and the retained registers is without power.
    fn fall_silent(&mut self) {
        for id in (0..IDS).filter(|id| *id != POWER_ID) {
            if let Some(block) = self.blocks.get(id) {
                block.reset(&mut self.wires);
            }
        }
        self.blocks.watchdog.stop();
        self.blocks.power.clock.reset(&mut self.wires);
        self.touched = u32::MAX;
        if self.detect {
            // A pin that is sensed already wakes the chip at once.
            self.wires.reset = Some(ResetCause::Detect);
        }
    }

    /// When [`Peripherals::advance`] has something to do; [`Ticks::NEVER`] if nothing is planned.
    pub fn next_event(&self) -> Ticks {
        self.next
    }

    /// Handles everything due at or before `now`, in time order.
    pub fn advance(&mut self, now: Ticks) {
        while self.next <= now {
            let moment = self.next;
            let mut ready = 0_u32;
            for (id, due) in self.due.iter().enumerate() {
                ready |= u32::from(*due <= moment) << id;
            }
            self.touched |= ready;
            while ready != 0 {
                let id = ready.trailing_zeros() as usize;
                ready &= ready - 1;
                if let Some(block) = self.blocks.get(id) {
                    block.advance(moment, &mut self.wires);
                }
            }
            self.refresh(moment);
            assert!(
                self.next > moment,
                "the event due at {moment:?} is still due"
            );
        }
    }

    /// Lets what happened have its consequences: events become tasks, pins get their levels, and
    /// what is due next is known again.
    fn refresh(&mut self, now: Ticks) {
        self.route(now);
        let mut rounds = 0;
        while std::mem::take(&mut self.wires.pins_stale) {
            if rounds == PIN_ROUNDS_MAX {
                self.wires
                    .note(now, GPIO, "pins drive each other in a ring; it was cut");
                break;
            }
            rounds += 1;
            self.settle_pins(now);
            self.route(now);
        }
        if self.slow_clock != self.wires.slow_clock {
            self.blocks.rtc0.clock_changed(self.slow_clock, now);
            self.blocks.rtc1.clock_changed(self.slow_clock, now);
            self.slow_clock = self.wires.slow_clock;
            self.touched |= 1 << RTC0_ID | 1 << RTC1_ID;
        }
        if self.blocks.ppi.take_changed() {
            for id in 0..IDS {
                let sources = self.blocks.ppi.sources(id as u32);
                if let Some(block) = self.blocks.get(id) {
                    block.settle(now, &mut self.wires);
                    block.events().set_routed(sources);
                    self.touched |= 1 << id;
                }
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        let mut replanned = false;
        while touched != 0 {
            let id = touched.trailing_zeros() as usize;
            touched &= touched - 1;
            if let Some(block) = self.blocks.get(id) {
                if let Some(due) = self.due.get_mut(id) {
                    let next = block.next(&self.wires);
                    replanned |= next != *due;
                    *due = next;
                }
                let line = block.events().line();
                self.interrupts = self.interrupts & !(1 << id) | u32::from(line) << id;
            }
        }
        if replanned {
            self.next = self.due.iter().copied().min().unwrap_or(Ticks::NEVER);
        }
    }

    fn route(&mut self, now: Ticks) {
        while let Some(event) = self.wires.carried() {
            let mut channels = self.blocks.ppi.enabled();
            while let Some(task) = self.blocks.ppi.next_task(event, &mut channels) {
                let Some(id) = id_of(task) else { continue };
                if let Some(block) = self.blocks.get(id) {
                    block.task(task & 0xfff, now, &mut self.wires);
                    self.touched |= 1 << id;
                }
            }
        }
    }

    fn settle_pins(&mut self, now: Ticks) {
        let mut claims = Claims::default();
        self.blocks.uart.claim(&mut claims);
        self.blocks.gpiote.claim(&mut claims);
        let drive = self.gpio.drive(claims);
        if drive != self.drive {
            self.drive = drive;
            self.wires.pins_changed = true;
        }
        let before = self.wires.levels;
        let levels = self.gpio.levels(drive);
        let detect = self.gpio.detect(levels);
        if levels == before && detect == self.detect {
            return;
        }
        self.wires.levels = levels;
        self.detect = detect;
        self.blocks
            .gpiote
            .pins_moved(before, levels, detect, &mut self.wires);
        self.blocks.uart.pins_moved(levels, now, &mut self.wires);
        self.touched |= 1 << GPIOTE_ID | 1 << UART_ID;
        if detect && self.blocks.power.is_off() {
            self.wires.reset = Some(ResetCause::Detect);
        }
    }

    /// The levels of the 32 interrupt lines.
    pub fn interrupts(&self) -> u32 {
        self.interrupts
    }

    /// Whether something was asked of the chip since [`Peripherals::take_outcome`] was last called.
    #[inline]
    pub fn asks(&self) -> bool {
        self.wires.asks() || self.nvmc.is_requested()
    }

    /// What was asked of the chip since the last call.
    pub fn take_outcome(&mut self) -> Outcome {
        let flash = self.nvmc.is_requested();
        Outcome {
            flash,
            ..self.wires.take()
        }
    }

    /// How the chip drives its pins.
    pub fn pins(&self) -> PinDrive {
        self.drive
    }

    /// The level at a pin, as the board settles it.
    pub fn set_input(&mut self, pin: u8, high: bool, now: Ticks) {
        self.set_external(pin, Some(high), now);
    }

    /// Nothing outside drives or pulls a pin any more: the chip's own pull decides, else it
    /// reads 0. So are all pins of a new chip.
    pub fn float_input(&mut self, pin: u8, now: Ticks) {
        self.set_external(pin, None, now);
    }

    fn set_external(&mut self, pin: u8, level: Option<bool>, now: Ticks) {
        if self.next <= now {
            self.advance(now);
        }
        self.gpio.set_external(u32::from(pin & 31), level);
        self.wires.pins_stale = true;
        self.refresh(now);
    }

    /// A byte that arrives on RXD, its stop bit ending now.
    pub fn uart_receive(&mut self, byte: u8, now: Ticks) {
        self.receive(byte, true, now);
    }

    /// A byte that arrives on RXD without a stop bit: noise, or another baud rate.
    pub fn uart_receive_garbled(&mut self, byte: u8, now: Ticks) {
        self.receive(byte, false, now);
    }

    fn receive(&mut self, byte: u8, well_framed: bool, now: Ticks) {
        if self.next <= now {
            self.advance(now);
        }
        self.blocks.uart.receive(byte, well_framed, &mut self.wires);
        self.touched |= 1 << UART_ID;
        self.refresh(now);
    }

    /// A byte that left on TXD, with the end of its stop bit.
    pub fn take_uart(&mut self) -> Option<(Ticks, u8)> {
        self.take_sent().map(|sent| (sent.ends, sent.byte))
    }

    /// A byte that left on TXD, with all that is known of it.
    pub fn take_sent(&mut self) -> Option<SentByte> {
        self.wires.take_sent()
    }

    /// The supply voltage at VDD. Whether it is too low to run is the board's to decide.
    pub fn set_supply(&mut self, millivolts: u32, now: Ticks) {
        if self.next <= now {
            self.advance(now);
        }
        self.wires.supply_millivolts = millivolts;
        if self.blocks.power.watches_supply() {
            self.watch_supply(now);
        }
    }

    /// Tells whether the processor runs, sleeps or is halted: the watchdog can pause with it, and
    /// the power-fail comparator does. Returns whether that made a difference to either.
    #[inline]
    pub fn set_processor(&mut self, processor: Processor, now: Ticks) -> bool {
        if self.wires.processor == processor {
            return false;
        }
        self.wires.processor = processor;
        if !self.blocks.watchdog.running() && !self.blocks.power.watches_supply() {
            return false;
        }
        self.processor_changed(now);
        true
    }

    fn processor_changed(&mut self, now: Ticks) {
        if self.next <= now {
            self.advance(now);
        }
        self.blocks
            .watchdog
            .processor_changed(now, self.wires.processor);
        self.touched |= 1 << WATCHDOG_ID;
        self.watch_supply(now);
    }

    fn watch_supply(&mut self, now: Ticks) {
        let asleep = self.wires.processor == Processor::Sleeping;
        let timed = self.blocks.timers.iter().any(Timer::needs_clock);
        let fast_clock = !asleep || timed || self.wires.crystal;
        self.blocks.power.watch_supply(fast_clock, &mut self.wires);
        self.nvmc
            .set_power_failing(self.blocks.power.power_failing());
        self.touched |= 1 << POWER_ID;
        self.refresh(now);
    }

    /// The voltage at an analog input, AIN0 to AIN7.
    pub fn set_analog(&mut self, channel: u8, microvolts: u32, _now: Ticks) {
        self.wires.analog_microvolts[usize::from(channel & 7)] = microvolts;
    }

    /// The chip's temperature, in quarters of a degree Celsius.
    pub fn set_temperature(&mut self, quarter_degrees: i32) {
        self.wires.quarter_degrees = quarter_degrees;
    }

    /// What firmware did since the last call that is not modelled or not allowed: each thing once
    /// in a chip's life, and no more than a hundred.
    pub fn take_notes(&mut self) -> Vec<Note> {
        let mut notes = self.wires.take_notes();
        notes.append(&mut self.nvmc.take_notes());
        notes
    }
}

/// The ID of the peripheral that an address belongs to.
fn id_of(address: u32) -> Option<usize> {
    let id = (address.wrapping_sub(0x4000_0000) >> 12) as usize;
    (id < IDS).then_some(id)
}
