//! 2.4 GHz radio: nRF51 Series Reference Manual v3.0, section 17 "RADIO".
//! Its states and their times only. Nobody is on the air: what it sends is lost, and what it
//! waits for never comes.

use crate::time::Ticks;

use super::Block;
use super::events::{Events, SHORTS};
use super::wires::Wires;

const READY: u32 = 0;
const ADDRESS: u32 = 1;
const PAYLOAD: u32 = 2;
const END: u32 = 3;
const DISABLED: u32 = 4;
const RSSIEND: u32 = 7;

const TXEN: u32 = 0x000;
const RXEN: u32 = 0x004;
const START: u32 = 0x008;
const STOP: u32 = 0x00c;
const DISABLE: u32 = 0x010;
const RSSISTART: u32 = 0x014;

/// Ramp-up, ramp-down after sending and after listening, and a measurement of the field
/// (Product Specification v3, section 8.5).
const RAMP_UP: Ticks = Ticks::from_micros(140);
const RAMP_DOWN: Ticks = Ticks::from_micros(6);
const RSSI: Ticks = Ticks::from_micros(8);
/// The field strength of an empty channel, -100 dBm, as RSSISAMPLE has it.
const QUIET: u32 = 100;

const REGISTERS: u32 = 0x504;
const REGISTERS_END: u32 = 0x740;
const REGISTERS_COUNT: usize = (REGISTERS_END - REGISTERS) as usize / 4;
const STATE: u32 = 0x550;
const RSSISAMPLE: u32 = 0x548;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
enum State {
    Disabled = 0,
    ReceiverRampUp = 1,
    ReceiverIdle = 2,
    Receiving = 3,
    ReceiverDisabling = 4,
    SenderRampUp = 9,
    SenderIdle = 10,
    SendingAddress = 0x100 | 11,
    Sending = 11,
    SenderDisabling = 12,
}

/// The radio.
#[derive(Clone, Debug, Hash)]
pub(super) struct Radio {
    events: Events,
    shorts: u32,
    state: State,
    changes: Ticks,
    rssi_ready: Ticks,
    registers: Box<[u32; REGISTERS_COUNT]>,
}

impl Radio {
    pub(super) fn new(id: u32) -> Radio {
        let mut registers = Box::new([0; REGISTERS_COUNT]);
        registers[(0x508 - REGISTERS as usize) / 4] = 2;
        registers[(0x554 - REGISTERS as usize) / 4] = 0x40;
        Radio {
            events: Events::new(id),
            shorts: 0,
            state: State::Disabled,
            changes: Ticks::NEVER,
            rssi_ready: Ticks::NEVER,
            registers,
        }
    }

    fn becomes(&mut self, state: State, at: Ticks) {
        self.state = state;
        self.changes = at;
    }

    fn bytes_on_air(&self, bytes: u64) -> Ticks {
        let micros_of_four_bits = match self.registers[(0x510 - REGISTERS as usize) / 4] & 3 {
            1 => 2,  // 2 Mbit/s
            2 => 16, // 250 kbit/s
            _ => 4,
        };
        Ticks::from_micros(bytes * 2 * micros_of_four_bits)
    }

    /// Preamble, base address and prefix: a Bluetooth stack relies on when ADDRESS comes.
    fn address_time(&self) -> Ticks {
        let packet = self.registers[(0x518 - REGISTERS as usize) / 4];
        self.bytes_on_air(2 + u64::from((packet >> 16) & 7))
    }

    /// The rest of the longest packet that PCNF1 allows, with header and CRC: its real length is
    /// in RAM.
    fn payload_time(&self) -> Ticks {
        let packet = self.registers[(0x518 - REGISTERS as usize) / 4];
        self.bytes_on_air(5 + u64::from(packet & 0xff))
    }

    fn short(&mut self, bit: u32, task: u32, now: Ticks, wires: &mut Wires) {
        if self.shorts & (1 << bit) != 0 {
            self.task(task, now, wires);
        }
    }
}

impl Block for Radio {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, _wires: &mut Wires) -> u32 {
        match offset {
            SHORTS => self.shorts,
            STATE => self.state as u32 & 0xff,
            RSSISAMPLE => QUIET,
            REGISTERS..REGISTERS_END => self.registers[(offset - REGISTERS) as usize / 4],
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, value: u32, _now: Ticks, _wires: &mut Wires) {
        match offset {
            SHORTS => self.shorts = value,
            REGISTERS..REGISTERS_END => self.registers[(offset - REGISTERS) as usize / 4] = value,
            _ => {}
        }
    }

    fn task(&mut self, offset: u32, now: Ticks, wires: &mut Wires) {
        wires.note(
            now,
            0x4000_1000,
            "the radio's states are modelled, but nobody is on the air",
        );
        match (offset, self.state) {
            (TXEN, State::Disabled) => self.becomes(State::SenderRampUp, now + RAMP_UP),
            (RXEN, State::Disabled) => self.becomes(State::ReceiverRampUp, now + RAMP_UP),
            (START, State::SenderIdle) => {
                self.becomes(State::SendingAddress, now + self.address_time());
            }
            (START, State::ReceiverIdle) => self.becomes(State::Receiving, Ticks::NEVER),
            (STOP, State::SendingAddress | State::Sending) => {
                self.becomes(State::SenderIdle, Ticks::NEVER)
            }
            (STOP, State::Receiving) => self.becomes(State::ReceiverIdle, Ticks::NEVER),
            // Disabled already: the event comes all the same, and firmware waits for it.
            (DISABLE, State::Disabled) => self.changes = now + Ticks(1),
            (
                DISABLE,
                State::SenderRampUp | State::SenderIdle | State::SendingAddress | State::Sending,
            ) => self.becomes(State::SenderDisabling, now + RAMP_DOWN),
            (DISABLE, State::ReceiverRampUp | State::ReceiverIdle | State::Receiving) => {
                self.becomes(State::ReceiverDisabling, now + Ticks(1));
            }
            (RSSISTART, State::Receiving) => self.rssi_ready = now + RSSI,
            _ => {}
        }
    }

    fn next(&self, _wires: &Wires) -> Ticks {
        self.changes.min(self.rssi_ready)
    }

    fn advance(&mut self, now: Ticks, wires: &mut Wires) {
        if self.rssi_ready <= now {
            self.rssi_ready = Ticks::NEVER;
            self.events.raise(RSSIEND, wires);
        }
        if self.changes > now {
            return;
        }
        self.changes = Ticks::NEVER;
        match self.state {
            State::SenderRampUp | State::ReceiverRampUp => {
                let sender = self.state == State::SenderRampUp;
                self.state = if sender {
                    State::SenderIdle
                } else {
                    State::ReceiverIdle
                };
                self.events.raise(READY, wires);
                self.short(0, START, now, wires);
            }
            State::SendingAddress => {
                self.events.raise(ADDRESS, wires);
                self.becomes(State::Sending, now + self.payload_time());
            }
            State::Sending => {
                self.state = State::SenderIdle;
                self.events.raise(PAYLOAD, wires);
                self.events.raise(END, wires);
                self.short(1, DISABLE, now, wires);
                self.short(5, START, now, wires);
            }
            State::SenderDisabling | State::ReceiverDisabling | State::Disabled => {
                self.state = State::Disabled;
                self.events.raise(DISABLED, wires);
                self.short(2, TXEN, now, wires);
                self.short(3, RXEN, now, wires);
            }
            State::SenderIdle | State::ReceiverIdle | State::Receiving => {}
        }
    }

    fn reset(&mut self, _wires: &mut Wires) {
        let mut events = self.events.clone();
        events.reset();
        *self = Radio {
            events,
            ..Radio::new(1)
        };
    }
}
