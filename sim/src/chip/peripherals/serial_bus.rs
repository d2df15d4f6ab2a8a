//! Serial bus masters that share a block: nRF51 Series Reference Manual v3.0, sections 26 "SPI"
//! and 28 "TWI". The buses are empty: SPI reads ones, TWI addresses are not acknowledged. The
//! slave SPIS1 (section 27) is not modelled: nobody selects it.

use crate::time::Ticks;

use super::Block;
use super::events::{Events, SHORTS};
use super::wires::Wires;

const ENABLED_SPI: u32 = 1;
const ENABLED_TWI: u32 = 5;

/// SPI: a byte was received. TWI has its RXDREADY in the same place and never raises it here.
const READY: u32 = 2;
const STOPPED: u32 = 1;
const ERROR: u32 = 9;
const SUSPENDED: u32 = 18;

const STARTRX: u32 = 0x000;
const STARTTX: u32 = 0x008;
const STOP: u32 = 0x014;
const SUSPEND: u32 = 0x01c;

const ADDRESS_NACK: u32 = 2;
/// Start condition, seven address bits, direction, and the acknowledgement that does not come.
const ADDRESS_BITS: u64 = 10;
const SPI_BITS: u64 = 8;
/// Both data registers of the SPI are double-buffered (section 26.1.3).
const BUFFERED: u32 = 2;

/// SPI0/TWI0 or SPI1/TWI1.
#[derive(Clone, Debug, Hash)]
pub(super) struct SerialBus {
    events: Events,
    enable: u32,
    shorts: u32,
    selects: [u32; 3],
    data_out: u32,
    frequency: u32,
    configuration: u32,
    address: u32,
    error_source: u32,
    /// SPI: bytes written and not shifted, bytes shifted and not read.
    unsent: u32,
    unread: u32,
    shifted: Ticks,
    /// TWI: when the missing acknowledgement or the stop condition is noticed.
    refused: Ticks,
    stopped: Ticks,
}

impl SerialBus {
    pub(super) fn new(id: u32) -> SerialBus {
        SerialBus {
            events: Events::new(id),
            enable: 0,
            shorts: 0,
            selects: [u32::MAX; 3],
            data_out: 0,
            frequency: 0x0400_0000,
            configuration: 0,
            address: 0,
            error_source: 0,
            unsent: 0,
            unread: 0,
            shifted: Ticks::NEVER,
            refused: Ticks::NEVER,
            stopped: Ticks::NEVER,
        }
    }

    /// FREQUENCY is the bit rate as a fraction of 16 MHz in units of 2^-32.
    fn bits(&self, count: u64) -> Ticks {
        match u64::from(self.frequency) {
            0 => Ticks::NEVER,
            frequency => Ticks((count << 32).div_ceil(frequency)),
        }
    }

    fn idle(&mut self) {
        self.unsent = 0;
        self.unread = 0;
        self.shifted = Ticks::NEVER;
        self.refused = Ticks::NEVER;
        self.stopped = Ticks::NEVER;
    }
}

impl Block for SerialBus {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, wires: &mut Wires) -> u32 {
        match offset {
            SHORTS => self.shorts,
            0x4c4 => self.error_source,
            0x500 => self.enable,
            0x508..=0x510 => self.selects[(offset - 0x508) as usize / 4],
            0x518 if self.enable == ENABLED_SPI => {
                self.unread = self.unread.saturating_sub(1);
                // The second byte moves up and announces itself.
                if self.unread > 0 {
                    self.events.raise(READY, wires);
                }
                0xff
            }
            0x51c => self.data_out,
            0x524 => self.frequency,
            0x554 => self.configuration,
            0x588 => self.address,
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, value: u32, now: Ticks, wires: &mut Wires) {
        match offset {
            SHORTS => self.shorts = value,
            0x4c4 => self.error_source &= !value,
            0x500 => {
                self.enable = value & 7;
                self.idle();
                if !matches!(self.enable, 0 | ENABLED_SPI | ENABLED_TWI) {
                    wires.note(now, 0x4000_4500, "the SPI slave is not modelled");
                }
            }
            0x508..=0x510 => self.selects[(offset - 0x508) as usize / 4] = value,
            0x51c => {
                self.data_out = value & 0xff;
                if self.enable == ENABLED_SPI && self.unsent < BUFFERED {
                    self.unsent += 1;
                    if self.shifted == Ticks::NEVER {
                        self.shifted = now + self.bits(SPI_BITS);
                    }
                }
            }
            0x524 => self.frequency = value,
            0x554 => self.configuration = value & 7,
            0x588 => self.address = value & 0x7f,
            _ => {}
        }
    }

    fn task(&mut self, offset: u32, now: Ticks, wires: &mut Wires) {
        if self.enable != ENABLED_TWI {
            return;
        }
        match offset {
            STARTRX | STARTTX => self.refused = now + self.bits(ADDRESS_BITS),
            STOP => {
                // An address on its way is finished first, and its refusal noticed: firmware that
                // scans a bus starts and stops in one breath.
                let idle = if self.refused == Ticks::NEVER {
                    now
                } else {
                    self.refused
                };
                self.stopped = idle + self.bits(1);
            }
            SUSPEND => self.events.raise(SUSPENDED, wires),
            _ => {}
        }
    }

    fn next(&self, _wires: &Wires) -> Ticks {
        self.shifted.min(self.refused).min(self.stopped)
    }

    fn advance(&mut self, now: Ticks, wires: &mut Wires) {
        if self.shifted <= now {
            self.unsent -= 1;
            self.shifted = match self.unsent {
                0 => Ticks::NEVER,
                _ => self.shifted + self.bits(SPI_BITS),
            };
            self.unread = (self.unread + 1).min(BUFFERED);
            if self.unread == 1 {
                self.events.raise(READY, wires);
            }
        }
        if self.refused <= now {
            self.refused = Ticks::NEVER;
            self.error_source |= ADDRESS_NACK;
            self.events.raise(ERROR, wires);
        }
        if self.stopped <= now {
            self.stopped = Ticks::NEVER;
            self.events.raise(STOPPED, wires);
        }
    }

    fn reset(&mut self, _wires: &mut Wires) {
        let mut events = self.events.clone();
        events.reset();
        *self = SerialBus {
            events,
            ..SerialBus::new(0)
        };
    }
}
