//! Universal asynchronous receiver/transmitter: nRF51 Series Reference Manual v3.0, section 29
//! "UART". Whole frames are timed; single bits are not modelled.

use crate::time::Ticks;

use super::events::{Events, SHORTS};
use super::gpio::Claims;
use super::wires::Wires;
use super::{Block, SentByte};

const CTS: u32 = 0;
const NCTS: u32 = 1;
const RXDRDY: u32 = 2;
const TXDRDY: u32 = 7;
const ERROR: u32 = 9;
const RXTO: u32 = 17;

const STARTRX: u32 = 0x000;
const STOPRX: u32 = 0x004;
const STARTTX: u32 = 0x008;
const STOPTX: u32 = 0x00c;
const SUSPEND: u32 = 0x01c;

const OVERRUN: u32 = 1;
const FRAMING: u32 = 4;
const RECEIVED_MAX: usize = 6;
/// A receiver that was stopped still takes four bytes from a sender that reacts late to RTS
/// (section 29.5).
const LATE_FRAMES: u64 = 5;

/// The UART.
#[derive(Clone, Debug, Hash)]
pub(super) struct Uart {
    events: Events,
    shorts: u32,
    enable: u32,
    error_source: u32,
    select_rts: u32,
    select_txd: u32,
    select_cts: u32,
    select_rxd: u32,
    baud: u32,
    configuration: u32,
    received: [u8; RECEIVED_MAX],
    received_count: usize,
    receiving: bool,
    receiver_off: Ticks,
    transmitting: bool,
    /// Written, and waiting for STARTTX, CTS or the byte before it.
    waiting: Option<u8>,
    /// On the wire.
    sending: Option<SentByte>,
    connected: bool,
    cleared_to_send: bool,
}

impl Uart {
    pub(super) fn new(id: u32) -> Uart {
        Uart {
            events: Events::new(id),
            shorts: 0,
            enable: 0,
            error_source: 0,
            select_rts: u32::MAX,
            select_txd: u32::MAX,
            select_cts: u32::MAX,
            select_rxd: u32::MAX,
            baud: 0x0400_0000,
            configuration: 0,
            received: [0; RECEIVED_MAX],
            received_count: 0,
            receiving: false,
            receiver_off: Ticks::NEVER,
            transmitting: false,
            waiting: None,
            sending: None,
            connected: false,
            cleared_to_send: true,
        }
    }

    fn enabled(&self) -> bool {
        self.enable == 4
    }

    fn flow_controlled(&self) -> bool {
        self.configuration & 1 != 0
    }

    /// Duration of whole frames: start bit, eight data bits, parity if any, stop bit. BAUDRATE
    /// is the rate as a fraction of 16 MHz in units of 2^-32.
    fn frames(&self, count: u64) -> Ticks {
        let bits = if self.configuration & 0xe == 0xe {
            11
        } else {
            10
        };
        match u64::from(self.baud) {
            0 => Ticks::NEVER,
            baud => Ticks(((count * bits) << 32).div_ceil(baud)),
        }
    }

    /// Starts the byte that waits, if nothing stands in its way.
    fn transmit(&mut self, now: Ticks) {
        let held = self.flow_controlled() && !self.cleared_to_send;
        if !self.enabled() || !self.transmitting || held || self.sending.is_some() {
            return;
        }
        if let Some(byte) = self.waiting.take() {
            self.connected = self.select_txd < 32;
            self.sending = Some(SentByte {
                byte,
                starts: now,
                ends: now + self.frames(1),
                pin: self.select_txd as u8 & 31,
            });
        }
    }

    /// Takes a byte whose stop bit has just ended on the wire. Without a receiver it is lost, as
    /// on any chip.
    pub(super) fn receive(&mut self, byte: u8, well_framed: bool, wires: &mut Wires) {
        let listening = self.receiving || self.receiver_off != Ticks::NEVER;
        if !self.enabled() || !listening || self.select_rxd > 31 {
            return;
        }
        if !well_framed {
            self.error_source |= FRAMING;
            self.events.raise(ERROR, wires);
        }
        if self.received_count == RECEIVED_MAX {
            self.error_source |= OVERRUN;
            self.events.raise(ERROR, wires);
            return;
        }
        self.received[self.received_count] = byte;
        self.received_count += 1;
        if self.received_count == 1 {
            self.events.raise(RXDRDY, wires);
        }
    }

    /// Tells that pads changed: CTS is one of them.
    pub(super) fn pins_moved(&mut self, after: u32, now: Ticks, wires: &mut Wires) {
        if !self.enabled() || self.select_cts > 31 {
            return;
        }
        let clear = after & (1 << self.select_cts) == 0;
        if clear == self.cleared_to_send {
            return;
        }
        self.cleared_to_send = clear;
        self.events.raise(if clear { CTS } else { NCTS }, wires);
        if clear && self.shorts & 1 << 3 != 0 {
            self.task(STARTRX, now, wires);
        }
        if !clear && self.shorts & 1 << 4 != 0 {
            self.task(STOPRX, now, wires);
        }
        self.transmit(now);
    }

    /// The pins that the UART has taken from the port: TXD idles high, RTS asks when low.
    pub(super) fn claim(&self, claims: &mut Claims) {
        if self.enabled() {
            claims.drive(self.select_txd, true);
            if self.flow_controlled() {
                claims.drive(self.select_rts, !self.receiving);
            }
        }
    }
}

impl Block for Uart {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, wires: &mut Wires) -> u32 {
        match offset {
            SHORTS => self.shorts,
            0x480 => self.error_source,
            0x500 => self.enable,
            0x508 => self.select_rts,
            0x50c => self.select_txd,
            0x510 => self.select_cts,
            0x514 => self.select_rxd,
            0x518 => {
                let byte = self.received[0];
                if self.received_count > 0 {
                    self.received.copy_within(1.., 0);
                    self.received_count -= 1;
                    // The next byte moves from the FIFO into RXD and announces itself.
                    if self.received_count > 0 {
                        self.events.raise(RXDRDY, wires);
                    }
                }
                u32::from(byte)
            }
            0x524 => self.baud,
            0x56c => self.configuration,
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, value: u32, now: Ticks, wires: &mut Wires) {
        match offset {
            SHORTS => self.shorts = value & 0x18,
            0x480 => self.error_source &= !value,
            0x500 => {
                self.enable = value & 7;
                if !self.enabled() {
                    self.receiving = false;
                    self.receiver_off = Ticks::NEVER;
                    self.transmitting = false;
                    self.waiting = None;
                    self.sending = None;
                    self.received_count = 0;
                }
                wires.pins_stale = true;
            }
            0x508 => self.select_rts = value,
            0x50c => self.select_txd = value,
            0x510 => self.select_cts = value,
            0x514 => self.select_rxd = value,
            0x51c => {
                if self.waiting.is_some() {
                    wires.note(
                        now,
                        0x4000_251c,
                        "TXD was written before TXDRDY; a byte is lost",
                    );
                }
                self.waiting = Some(value as u8);
                self.transmit(now);
            }
            0x524 => self.baud = value,
            0x56c => self.configuration = value & 0xf,
            _ => {}
        }
        if matches!(offset, 0x508..=0x514 | 0x56c) {
            if self.select_cts > 31 {
                // Unconnected, the input reads low: clear to send.
                self.cleared_to_send = true;
            } else {
                self.cleared_to_send = wires.levels & (1 << self.select_cts) == 0;
            }
            wires.pins_stale = true;
        }
    }

    fn task(&mut self, offset: u32, now: Ticks, wires: &mut Wires) {
        if !self.enabled() {
            return;
        }
        match offset {
            STARTRX => {
                self.receiving = true;
                self.receiver_off = Ticks::NEVER;
            }
            STARTTX => {
                self.transmitting = true;
                self.transmit(now);
            }
            STOPTX => self.transmitting = false,
            STOPRX | SUSPEND => {
                if self.receiving {
                    self.receiving = false;
                    self.receiver_off = now + self.frames(LATE_FRAMES);
                }
                if offset == SUSPEND {
                    self.transmitting = false;
                }
            }
            _ => {}
        }
        if self.flow_controlled() {
            wires.pins_stale = true;
        }
    }

    fn next(&self, _wires: &Wires) -> Ticks {
        let sent = self.sending.map_or(Ticks::NEVER, |byte| byte.ends);
        sent.min(self.receiver_off)
    }

    fn advance(&mut self, now: Ticks, wires: &mut Wires) {
        if let Some(byte) = self.sending.filter(|byte| byte.ends <= now) {
            self.sending = None;
            if self.connected {
                wires.send(byte);
            }
            self.events.raise(TXDRDY, wires);
            self.transmit(byte.ends);
        }
        if self.receiver_off <= now {
            self.receiver_off = Ticks::NEVER;
            self.events.raise(RXTO, wires);
        }
    }

    fn reset(&mut self, wires: &mut Wires) {
        let mut events = self.events.clone();
        events.reset();
        *self = Uart {
            events,
            ..Uart::new(0)
        };
        wires.pins_stale = true;
    }
}
