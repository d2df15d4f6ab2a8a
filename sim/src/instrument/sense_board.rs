//! A sense board: an Arduino Uno that runs StandardFirmata (protocol 2.5), 57600 baud, with the
//! bench's lines on its digital pins.
//!
//! Of the protocol it has what senses lines: version, firmware name, capabilities, pin modes and
//! states, and the reporting of digital ports. Analog channels read nothing and outputs drive
//! nothing; what it does not know it ignores, as the sketch does.
//!
//! The sketch looks at its pins once in a round of its loop, so a pulse shorter than that can be
//! missed, and an edge is told at the end of the round in which it was seen.

use crate::time::Ticks;

/// Digital pins, the six analog ones included.
pub const PINS: u8 = 20;
/// The pin of the bench's first line: 0 and 1 are the serial port's own.
pub const FIRST_PIN: u8 = 2;

/// Eight pins are a port.
const PORTS: usize = 3;
/// One round of the sketch's loop. Assumed: some hundred cycles a pin on an AVR of 16 MHz.
const ROUND: Ticks = Ticks::from_micros(200);
/// A longer message is forgotten: the sketch's buffer is as long.
const SYSEX_MAX: usize = 64;

const DIGITAL_MESSAGE: u8 = 0x90;
const REPORT_DIGITAL: u8 = 0xd0;
const REPORT_ANALOG: u8 = 0xc0;
const ANALOG_MESSAGE: u8 = 0xe0;
const SYSEX: u8 = 0xf0;
const SYSEX_END: u8 = 0xf7;
const SET_PIN_MODE: u8 = 0xf4;
const SET_PIN: u8 = 0xf5;
const VERSION: u8 = 0xf9;
const RESET: u8 = 0xff;

const ANALOG_MAPPING: u8 = 0x69;
const ANALOG_MAPPING_ANSWER: u8 = 0x6a;
const CAPABILITIES: u8 = 0x6b;
const CAPABILITIES_ANSWER: u8 = 0x6c;
const PIN_STATE: u8 = 0x6d;
const PIN_STATE_ANSWER: u8 = 0x6e;
const FIRMWARE: u8 = 0x79;

const INPUT: u8 = 0;
const OUTPUT: u8 = 1;
const PULL_UP: u8 = 0x0b;
/// "No such" in mappings and lists.
const NONE: u8 = 0x7f;

const NAME: &str = "StandardFirmata.ino";
const PROTOCOL: [u8; 2] = [2, 5];

/// The board: its pins, and the message it is in the middle of.
#[derive(Clone, Debug, Hash)]
pub struct SenseBoard {
    levels: u32,
    modes: [u8; PINS as usize],
    reports: [bool; PORTS],
    told: [u8; PORTS],
    message: Vec<u8>,
    reply: Vec<u8>,
    round_ends: Ticks,
}

impl Default for SenseBoard {
    fn default() -> SenseBoard {
        SenseBoard {
            levels: 0,
            modes: [OUTPUT; PINS as usize],
            reports: [false; PORTS],
            told: [0; PORTS],
            message: Vec::new(),
            reply: Vec::new(),
            round_ends: Ticks::NEVER,
        }
    }
}

impl SenseBoard {
    /// Baud rate of the board's port.
    pub const BAUD: u64 = 57_600;

    /// The level at a pin is this from now on.
    pub fn set(&mut self, now: Ticks, pin: u8, high: bool) {
        let bit = 1 << pin;
        self.levels = match high {
            true => self.levels | bit,
            false => self.levels & !bit,
        };
        let port = usize::from(pin / 8);
        if self.reports[port] {
            let round = now.0 / ROUND.0 + 1;
            self.round_ends = self.round_ends.min(Ticks(round * ROUND.0));
        }
    }

    /// When there may be something to tell.
    pub fn next(&self) -> Ticks {
        self.round_ends
    }

    /// The round is over: what changed is told.
    pub fn pass(&mut self) {
        self.round_ends = Ticks::NEVER;
        for port in 0..PORTS {
            if self.reports[port] && self.inputs(port) != self.told[port] {
                self.tell(port);
            }
        }
    }

    /// What the board has to say.
    pub fn take_reply(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.reply)
    }

    /// A byte has arrived.
    pub fn receive(&mut self, byte: u8) {
        if byte == RESET {
            let levels = self.levels;
            *self = SenseBoard {
                levels,
                ..SenseBoard::default()
            };
            return;
        }
        let in_sysex = self.message.first() == Some(&SYSEX);
        if in_sysex && byte == SYSEX_END {
            let message = std::mem::take(&mut self.message);
            self.answer(&message[1..]);
            return;
        }
        if byte >= 0x80 && !in_sysex {
            self.message.clear();
        }
        if self.message.is_empty() && byte < 0x80 || self.message.len() > SYSEX_MAX {
            self.message.clear();
            return;
        }
        self.message.push(byte);
        if self.message.first() != Some(&SYSEX) {
            self.obey();
        }
    }

    /// Does what a command says, once it is complete.
    fn obey(&mut self) {
        let command = match self.message[0] {
            command @ 0xf0.. => command,
            command => command & 0xf0,
        };
        let low = self.message[0] & 0x0f;
        match (command, &self.message[1..]) {
            (VERSION, []) => self.reply.extend([VERSION, PROTOCOL[0], PROTOCOL[1]]),
            (SET_PIN_MODE, &[pin, mode]) => {
                if let Some(known) = self.modes.get_mut(usize::from(pin)) {
                    *known = mode;
                }
            }
            (REPORT_DIGITAL, &[on]) => {
                let port = usize::from(low);
                if port < PORTS {
                    self.reports[port] = on != 0;
                    if on != 0 {
                        self.tell(port);
                    }
                }
            }
            (DIGITAL_MESSAGE | ANALOG_MESSAGE | SET_PIN, &[_, _]) | (REPORT_ANALOG, &[_]) => {}
            (DIGITAL_MESSAGE | ANALOG_MESSAGE | SET_PIN | SET_PIN_MODE, [] | [_])
            | (REPORT_DIGITAL | REPORT_ANALOG, []) => return,
            _ => {}
        }
        self.message.clear();
    }

    /// Answers a system-exclusive message.
    fn answer(&mut self, message: &[u8]) {
        let mut answer = Vec::new();
        match *message {
            [FIRMWARE, ..] => {
                answer.push(FIRMWARE);
                answer.extend(PROTOCOL);
                answer.extend(NAME.bytes().flat_map(|byte| [byte & 0x7f, byte >> 7]));
            }
            [CAPABILITIES, ..] => {
                answer.push(CAPABILITIES_ANSWER);
                for pin in 0..PINS {
                    if pin >= FIRST_PIN {
                        answer.extend([INPUT, 1, PULL_UP, 1, OUTPUT, 1]);
                    }
                    answer.push(NONE);
                }
            }
            [ANALOG_MAPPING, ..] => {
                answer.push(ANALOG_MAPPING_ANSWER);
                answer.extend([NONE; PINS as usize]);
            }
            [PIN_STATE, pin, ..] if pin < PINS => {
                let mode = self.modes[usize::from(pin)];
                answer.extend([PIN_STATE_ANSWER, pin, mode, u8::from(mode == PULL_UP)]);
            }
            _ => return,
        }
        self.reply.push(SYSEX);
        self.reply.extend(answer);
        self.reply.push(SYSEX_END);
    }

    /// The levels of a port's pins, of those that are inputs.
    fn inputs(&self, port: usize) -> u8 {
        let mut inputs = 0;
        for bit in 0..8 {
            let mode = self.modes.get(port * 8 + bit);
            if matches!(mode, Some(&(INPUT | PULL_UP))) {
                inputs |= (self.levels >> (port * 8)) as u8 & 1 << bit;
            }
        }
        inputs
    }

    fn tell(&mut self, port: usize) {
        let levels = self.inputs(port);
        self.told[port] = levels;
        self.reply
            .extend([DIGITAL_MESSAGE | port as u8, levels & 0x7f, levels >> 7]);
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST_PIN, PINS, SenseBoard};
    use crate::time::Ticks;

    fn send(board: &mut SenseBoard, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().for_each(|byte| board.receive(*byte));
        board.take_reply()
    }

    #[test]
    fn it_says_what_it_is() {
        let mut board = SenseBoard::default();
        assert_eq!(send(&mut board, &[0xf9]), [0xf9, 2, 5]);
        let firmware = send(&mut board, &[0xf0, 0x79, 0xf7]);
        assert_eq!(&firmware[..6], [0xf0, 0x79, 2, 5, b'S', 0]);
        assert_eq!(firmware.last(), Some(&0xf7));
        let pins = send(&mut board, &[0xf0, 0x6b, 0xf7]);
        let ends = pins.iter().filter(|byte| **byte == 0x7f).count();
        assert_eq!(ends, usize::from(PINS));
    }

    #[test]
    fn a_pin_is_told_when_its_port_is_and_it_is_an_input() {
        let mut board = SenseBoard::default();
        board.set(Ticks(5), 9, true);
        assert_eq!(board.next(), Ticks::NEVER, "nobody asked");
        send(&mut board, &[0xf4, 9, 0]);
        assert_eq!(send(&mut board, &[0xd1, 1]), [0x91, 2, 0]);
        board.set(Ticks(5), 15, true);
        assert_eq!(board.next(), Ticks(3_200), "at the end of the round");
        board.pass();
        assert_eq!(board.take_reply(), [], "pin 15 is an output");
        send(&mut board, &[0xf4, 15, 0x0b]);
        board.set(Ticks(3_200), 9, false);
        assert_eq!(board.next(), Ticks(6_400));
        board.pass();
        assert_eq!(board.take_reply(), [0x91, 0, 1]);
        assert_eq!(board.next(), Ticks::NEVER);
        send(&mut board, &[0xd1, 0]);
        board.set(Ticks(7_000), 9, true);
        assert_eq!(board.next(), Ticks::NEVER);
    }

    #[test]
    fn what_makes_no_sense_is_ignored_and_the_next_command_is_found() {
        let mut board = SenseBoard::default();
        let nonsense = [&[0x12, 0xf4, 0x02, 0xf3, 0xdf, 1, 0xf0][..], &[1; 200]].concat();
        assert_eq!(send(&mut board, &nonsense), []);
        assert_eq!(send(&mut board, &[0xf7, 0xf9]), [0xf9, 2, 5]);
        send(&mut board, &[0xf4, FIRST_PIN, 0, 0xff]);
        assert_eq!(
            send(&mut board, &[0xf0, 0x6d, FIRST_PIN, 0xf7]),
            [0xf0, 0x6e, FIRST_PIN, 1, 0, 0xf7],
            "a reset makes it an output again"
        );
    }
}
