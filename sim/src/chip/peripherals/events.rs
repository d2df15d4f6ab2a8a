//! Events and interrupts as every peripheral has them: nRF51 Series Reference Manual v3.0,
//! section 10 "Peripheral interface".

use super::wires::Wires;

/// First offset of the task registers' successors, the event registers.
pub(super) const EVENTS: u32 = 0x100;
/// Offset of `SHORTS`.
pub(super) const SHORTS: u32 = 0x200;
const EVENTS_END: u32 = 0x180;
const INTEN: u32 = 0x300;
const INTENSET: u32 = 0x304;
const INTENCLR: u32 = 0x308;

/// The event registers of one peripheral and its interrupt enables. Event `n` stands at offset
/// `0x100 + 4 n` and has bit `n` of `INTEN`, on this chip without exception.
#[derive(Clone, Debug, Hash)]
pub(super) struct Events {
    id: u32,
    raised: u32,
    enabled: u32,
    routed: u32,
}

impl Events {
    /// The events of the peripheral with this ID: bits 12 to 16 of its address.
    pub(super) fn new(id: u32) -> Events {
        Events {
            id,
            raised: 0,
            enabled: 0,
            routed: 0,
        }
    }

    /// As after a reset of the peripheral. What the PPI listens to is the PPI's and stays.
    pub(super) fn reset(&mut self) {
        self.raised = 0;
        self.enabled = 0;
    }

    /// Sets an event's register and passes the event on to whoever listens. An event that is
    /// still set from the last time is passed on again.
    pub(super) fn raise(&mut self, index: u32, wires: &mut Wires) {
        self.raised |= 1 << index;
        if self.routed & (1 << index) != 0 {
            wires.carry(0x4000_0000 | self.id << 12 | (EVENTS + 4 * index));
        }
    }

    /// Sets an event's register without telling the PPI.
    pub(super) fn raise_unrouted(&mut self, index: u32) {
        self.raised |= 1 << index;
    }

    /// Whether raising this event could change anything: it is not set yet, or the PPI listens.
    pub(super) fn observable(&self, index: u32) -> bool {
        self.raised & (1 << index) == 0 || self.routed & (1 << index) != 0
    }

    /// The enabled interrupts, one bit for each event.
    pub(super) fn enabled(&self) -> u32 {
        self.enabled
    }

    /// The level of the peripheral's interrupt line.
    pub(super) fn line(&self) -> bool {
        self.raised & self.enabled != 0
    }

    /// Tells which events the PPI listens to.
    pub(super) fn set_routed(&mut self, routed: u32) {
        self.routed = routed;
    }

    /// Whether an offset belongs to the registers kept here.
    pub(super) fn holds(offset: u32) -> bool {
        (EVENTS..EVENTS_END).contains(&offset) || (INTEN..=INTENCLR).contains(&offset)
    }

    /// Reads an event register or one of the three views of `INTEN`.
    pub(super) fn read(&self, offset: u32) -> u32 {
        match offset {
            EVENTS..EVENTS_END => (self.raised >> ((offset - EVENTS) / 4)) & 1,
            INTEN | INTENSET | INTENCLR => self.enabled,
            _ => 0,
        }
    }

    /// Writes one of them. Firmware clears an event by writing 0; writing 1 sets it, which some
    /// firmware does to pend its own interrupt.
    pub(super) fn write(&mut self, offset: u32, value: u32) {
        match offset {
            EVENTS..EVENTS_END => {
                let bit = 1 << ((offset - EVENTS) / 4);
                if value & 1 == 0 {
                    self.raised &= !bit;
                } else {
                    self.raised |= bit;
                }
            }
            INTEN => self.enabled = value,
            INTENSET => self.enabled |= value,
            INTENCLR => self.enabled &= !value,
            _ => {}
        }
    }
}
