//! The frames of a relay board that speaks Modbus RTU (Modbus over Serial Line 1.02; application protocol 1.1b3).
//!
//! Relay `n` is coil `n - 1`. An order is *Write Single Coil* (function 5); when the board has taken it, *Read Coils*
//! (function 1) reads back what its coil is. At 9600 baud both take about 40 ms.

use rmodbus::ModbusProto;
use rmodbus::client::ModbusRequest;

use super::Heard;

const WRITE_COIL: u8 = 5;
const READ_COILS: u8 = 1;
const EXCEPTION: u8 = 0x80;
/// How long answers are; the one to a written coil is the order itself.
const READ_FRAME: usize = 6;
const WRITTEN_FRAME: usize = 8;
const EXCEPTION_FRAME: usize = 5;

/// A board, and what it was asked last.
#[derive(Clone, Debug)]
pub(super) struct Modbus {
    unit: u8,
    asked: Option<Question>,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    unit: u8,
    channel: u8,
    /// What to write; none to read.
    write: Option<bool>,
}

enum Answer {
    Taken,
    Coil(bool),
    Exception(String),
}

impl Modbus {
    /// A board with this address on its line.
    pub(super) fn new(unit: u8) -> Modbus {
        Modbus { unit, asked: None }
    }

    pub(super) fn order(&mut self, channel: u8, closed: bool) -> Vec<u8> {
        self.ask(channel, Some(closed))
    }

    /// The next answer to what was asked last. Bytes that are none are counted and forgotten, late answers to what
    /// was asked before among them.
    pub(super) fn hear(&mut self, received: &mut Vec<u8>, garbage: &mut usize) -> Option<Heard> {
        let Some(asked) = self.asked else {
            *garbage += std::mem::take(received).len();
            return None;
        };
        while !received.is_empty() {
            let length = match asked.length(received) {
                Some(length) if received.len() < length => return None,
                Some(length) => length,
                None => 0,
            };
            if let Some(answer) = asked.answer(&received[..length]) {
                received.drain(..length);
                return Some(self.go_on(asked.channel, answer));
            }
            *garbage += 1;
            received.drain(..1);
        }
        None
    }

    fn go_on(&mut self, channel: u8, answer: Answer) -> Heard {
        self.asked = None;
        match answer {
            Answer::Taken => Heard::Taken(self.ask(channel, None)),
            Answer::Coil(closed) => Heard::Coil { channel, closed },
            Answer::Exception(why) => Heard::Refused(why),
        }
    }

    fn ask(&mut self, channel: u8, write: Option<bool>) -> Vec<u8> {
        let unit = self.unit;
        let question = Question {
            unit,
            channel,
            write,
        };
        self.asked = Some(question);
        question.frame().1
    }
}

impl Question {
    /// What it is on the wire.
    fn frame(self) -> (ModbusRequest, Vec<u8>) {
        let mut request = ModbusRequest::new(self.unit, ModbusProto::Rtu);
        let mut bytes = Vec::new();
        let coil = u16::from(self.channel) - 1;
        let generated = match self.write {
            Some(closed) => request.generate_set_coil(coil, closed, &mut bytes),
            None => request.generate_get_coils(coil, 1, &mut bytes),
        };
        generated.expect("a vector has room for every frame");
        (request, bytes)
    }

    /// How long the answer is that begins with these bytes, or how many of them tell; none if it is no answer.
    fn length(self, begun: &[u8]) -> Option<usize> {
        let function = match self.write {
            Some(_) => WRITE_COIL,
            None => READ_COILS,
        };
        match *begun {
            [unit, ..] if unit != self.unit => None,
            [_] => Some(2),
            [_, told, ..] if told == function | EXCEPTION => Some(EXCEPTION_FRAME),
            [_, WRITE_COIL, ..] if function == WRITE_COIL => Some(WRITTEN_FRAME),
            [_, READ_COILS, ..] if function == READ_COILS => Some(READ_FRAME),
            _ => None,
        }
    }

    /// What a whole frame answers; none if it is no answer to this.
    fn answer(self, frame: &[u8]) -> Option<Answer> {
        let (request, bytes) = self.frame();
        let mut coils = Vec::new();
        match request.parse_bool(frame, &mut coils) {
            Err(error) if error.is_modbus_error() => Some(Answer::Exception(format!(
                "the board answers with the exception {error:?}"
            ))),
            Err(_) => None,
            Ok(()) if self.write.is_some() => (frame == bytes).then_some(Answer::Taken),
            Ok(()) => coils.first().map(|closed| Answer::Coil(*closed)),
        }
    }
}
