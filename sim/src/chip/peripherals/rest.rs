//! Peripherals that are here in name only, so that firmware which starts one does not wait for it
//! for ever: ECB (nRF51 Series Reference Manual v3.0, section 23), AAR and CCM, QDEC (section 30),
//! LPCOMP (section 32). Registers hold what was written; tasks are answered by the event with
//! which the real one reports that there was nothing to do.

use crate::time::Ticks;

use super::Block;
use super::events::{EVENTS, Events};
use super::wires::Wires;

/// A task's offset, the event that answers it, and after how many microseconds.
pub(super) type Answer = (u32, u32, u64);

/// STARTECB fails: ERRORECB.
pub(super) const ECB: &[Answer] = &[(0x000, 1, 1)];
/// AAR START, which is CCM KSGEN too: END. CCM CRYPT: ENDCRYPT with a wrong MIC.
pub(super) const AAR_CCM: &[Answer] = &[(0x000, 0, 6), (0x004, 1, 6)];
/// QDEC never sees anything turn.
pub(super) const QDEC: &[Answer] = &[];
/// LPCOMP START: READY.
pub(super) const LPCOMP: &[Answer] = &[(0x000, 0, 100)];

const REGISTERS: u32 = 0x500;
const REGISTERS_END: u32 = 0x550;
const REGISTERS_COUNT: usize = (REGISTERS_END - REGISTERS) as usize / 4;
const SHORTS: u32 = super::events::SHORTS;

/// One of them.
#[derive(Clone, Debug, Hash)]
pub(super) struct Resting {
    address: u32,
    events: Events,
    answers: &'static [Answer],
    registers: [u32; REGISTERS_COUNT],
    shorts: u32,
    answered: Ticks,
    answer: u32,
}

impl Resting {
    pub(super) fn new(id: u32, answers: &'static [Answer]) -> Resting {
        Resting {
            address: 0x4000_0000 | id << 12,
            events: Events::new(id),
            answers,
            registers: [0; REGISTERS_COUNT],
            shorts: 0,
            answered: Ticks::NEVER,
            answer: 0,
        }
    }
}

impl Block for Resting {
    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn read(&mut self, offset: u32, _now: Ticks, _wires: &mut Wires) -> u32 {
        match offset {
            SHORTS => self.shorts,
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
        debug_assert!(offset < EVENTS, "{offset:#x} is no task");
        wires.note(
            now,
            self.address,
            "a task of a peripheral that is not modelled was started",
        );
        if let Some(&(_, event, micros)) = self.answers.iter().find(|(task, ..)| *task == offset) {
            self.answer = event;
            self.answered = now + Ticks::from_micros(micros);
        }
    }

    fn next(&self, _wires: &Wires) -> Ticks {
        self.answered
    }

    fn advance(&mut self, now: Ticks, wires: &mut Wires) {
        if self.answered <= now {
            self.answered = Ticks::NEVER;
            self.events.raise(self.answer, wires);
        }
    }

    fn reset(&mut self, _wires: &mut Wires) {
        let mut events = self.events.clone();
        events.reset();
        let id = (self.address >> 12) & 31;
        *self = Resting {
            events,
            ..Resting::new(id, self.answers)
        };
    }
}
