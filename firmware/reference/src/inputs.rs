//! Keypad, buttons and switches, debounced. They are sampled every 5 ms while a key or a button is down or
//! a contact bounces; else an edge starts that.

use code_entry::{BoltPosition, Button, Input, Key};
use cortex_m::asm;

use crate::clock::Clock;
use crate::debounce::Debounce;
use crate::pins::{COLUMNS, Levels, Port, ROWS, SWITCHES};
use crate::sleep::Nap;

/// A column rises through 13 kΩ against the keypad's foil, in 10 µs. The loop that waits takes four of this
/// core's cycles for two that are asked for.
const SETTLE_CYCLES: u32 = 80;
const KEYS: usize = ROWS.len() * COLUMNS.len();
const LAYOUT: [Key; KEYS] = Key::ALL;
// The order of `SWITCHES`.
const RESET_BUTTON: u32 = 1 << KEYS;
const PROGRAM_BUTTON: u32 = 1 << (KEYS + 1);
const BUTTONS: u32 = RESET_BUTTON | PROGRAM_BUTTON;
const DOOR_CLOSED: u32 = 1 << (KEYS + 2);
const BOLT_WITHDRAWN: u32 = 1 << (KEYS + 3);
const BOLT_THROWN: u32 = 1 << (KEYS + 4);
const BOLT: u32 = BOLT_WITHDRAWN | BOLT_THROWN;
/// What is sampled for as long as it is closed.
const HELD: u32 = DOOR_CLOSED - 1;

/// All inputs.
pub struct Inputs {
    contacts: Debounce,
    /// What changed and was not taken yet.
    changed: u32,
    is_sampling: bool,
}

/// Inputs that changed with one sample, in the order of their contacts.
pub struct Changes {
    changed: u32,
    closed: u32,
}

impl Inputs {
    /// Takes samples until the contacts agree, at most a few: what is closed at power-on counts as closed.
    pub fn new(port: &Port, clock: &Clock, nap: &Nap) -> Self {
        const SAMPLES_MAX: usize = 10;
        const BETWEEN_MS: u32 = 5;
        let mut inputs = Inputs {
            contacts: Debounce::new(),
            changed: 0,
            is_sampling: false,
        };
        for _ in 0..SAMPLES_MAX {
            inputs.contacts.sample(sample(port));
            if inputs.contacts.is_settled() {
                break;
            }
            nap.take(BETWEEN_MS);
        }
        inputs.start(port, clock);
        inputs.go_on(port, clock);
        inputs
    }

    /// Whether nothing is down, and an edge is waited for.
    pub fn is_resting(&self) -> bool {
        !self.is_sampling
    }

    /// Whether it is time for the next sample, or the edge came that starts them.
    pub fn is_due(&self, port: &Port, clock: &Clock) -> bool {
        match self.is_sampling {
            true => clock.is_period_over(),
            false => port.has_changed(),
        }
    }

    /// Takes a sample if one is due; says whether it changed anything.
    pub fn look(&mut self, port: &Port, clock: &Clock) -> bool {
        if self.is_due(port, clock) {
            if !self.is_sampling {
                self.start(port, clock);
            }
            // What an earlier look found may not have been taken yet.
            self.changed |= self.contacts.sample(sample(port));
            self.go_on(port, clock);
        }
        self.changed != 0
    }

    /// What changed with the last sample, once.
    pub fn take_changes(&mut self) -> Changes {
        Changes {
            changed: core::mem::take(&mut self.changed),
            closed: self.contacts.closed(),
        }
    }

    /// Whether the door is open.
    pub fn is_door_open(&self) -> bool {
        is_door_open(self.contacts.closed())
    }

    /// Where the bolt is.
    pub fn bolt(&self) -> BoltPosition {
        bolt(self.contacts.closed())
    }

    /// Whether a key is down.
    #[cfg(feature = "museum-self-test-key")]
    pub fn is_key_down(&self, key: Key) -> bool {
        let place = LAYOUT.iter().position(|other| *other == key);
        place.is_some_and(|place| self.contacts.closed() >> place & 1 != 0)
    }

    /// Whether a button is down.
    pub fn is_down(&self, button: Button) -> bool {
        let bit = match button {
            Button::Reset => RESET_BUTTON,
            Button::Program => PROGRAM_BUTTON,
        };
        self.contacts.closed() & bit != 0
    }

    fn start(&mut self, port: &Port, clock: &Clock) {
        port.ignore();
        clock.start_periods();
        self.is_sampling = true;
    }

    /// Until the next sample, or until an edge if there is nothing to be sampled.
    fn go_on(&mut self, port: &Port, clock: &Clock) {
        if self.contacts.is_settled() && self.contacts.closed() & HELD == 0 {
            asm::delay(SETTLE_CYCLES);
            port.watch();
            // What changed since the last sample has been sensed as the level to leave, not the one to meet.
            let levels = port.levels();
            if switches(levels) == self.contacts.closed() >> KEYS && levels.low_columns() == 0 {
                clock.stop_periods();
                self.is_sampling = false;
                return;
            }
            port.ignore();
        }
        clock.begin_period();
    }
}

impl Iterator for Changes {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        if self.changed == 0 {
            return None;
        }
        let index = self.changed.trailing_zeros();
        let contact = 1 << index;
        let is_closed = self.closed & contact != 0;
        self.changed &= !contact;
        if let Some(&key) = LAYOUT.get(index as usize) {
            return Some(match is_closed {
                true => Input::KeyDown(key),
                false => Input::KeyUp(key),
            });
        }
        if contact & BUTTONS != 0 {
            let button = match contact {
                RESET_BUTTON => Button::Reset,
                _ => Button::Program,
            };
            return Some(match is_closed {
                true => Input::ButtonDown(button),
                false => Input::ButtonUp(button),
            });
        }
        if contact == DOOR_CLOSED {
            let open = is_door_open(self.closed);
            return Some(Input::Door { open });
        }
        self.changed &= !BOLT;
        Some(Input::Bolt(bolt(self.closed)))
    }
}

fn is_door_open(closed: u32) -> bool {
    closed & DOOR_CLOSED == 0
}

fn bolt(closed: u32) -> BoltPosition {
    match (closed & BOLT_THROWN != 0, closed & BOLT_WITHDRAWN != 0) {
        (true, false) => BoltPosition::Thrown,
        (false, true) => BoltPosition::Withdrawn,
        // Both at once is a broken switch, and neither end can be believed.
        _ => BoltPosition::Between,
    }
}

/// What the comparison sees instead of pins, which not every emulator has: a locked lock that nobody touches.
const UNTOUCHED: u32 = DOOR_CLOSED | BOLT_THROWN;

/// Which contacts are closed: the keys in the order of [`LAYOUT`], then the switches.
fn sample(port: &Port) -> u32 {
    if cfg!(feature = "tick-timer0") {
        return UNTOUCHED;
    }
    let levels = port.levels();
    let mut closed = switches(levels) << KEYS;
    // All rows are selected between two samples, and that may show already that no key is down.
    if levels.low_columns() != 0 {
        for (row, &pin) in ROWS.iter().enumerate() {
            port.select_row(pin);
            asm::delay(SETTLE_CYCLES);
            closed |= port.levels().low_columns() << (row * COLUMNS.len());
        }
        port.select_rows();
    }
    closed
}

/// Which switches are closed, in the order of [`SWITCHES`].
fn switches(levels: Levels) -> u32 {
    if cfg!(feature = "tick-timer0") {
        return UNTOUCHED >> KEYS;
    }
    SWITCHES
        .iter()
        .enumerate()
        .fold(0, |closed, (index, &pin)| {
            closed | u32::from(levels.is_low(pin)) << index
        })
}
