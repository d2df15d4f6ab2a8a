//! Keypad, buttons and switches, debounced. They are sampled every 5 ms while a key or a button is down or
//! a contact bounces; else an edge starts that.

use code_entry::{BoltPosition, Button, Input, Key};
use cortex_m::asm;

use crate::debounce::Debounce;
use crate::pins::{COLUMNS, Levels, Port, ROWS, SWITCHES};
use crate::sleep::Nap;

const PERIOD_MS: u32 = 5;
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
    next_ms: Option<u64>,
    /// An edge wakes the processor.
    is_watching: bool,
}

/// Inputs that changed with one sample, in the order of their contacts.
pub struct Changes {
    changed: u32,
    closed: u32,
}

impl Inputs {
    /// Takes samples until the contacts agree, at most a few: what is closed at power-on counts as closed.
    pub fn new(port: &Port, nap: &Nap) -> Self {
        const SAMPLES_MAX: usize = 10;
        let mut inputs = Inputs {
            contacts: Debounce::new(),
            next_ms: None,
            is_watching: false,
        };
        for _ in 0..SAMPLES_MAX {
            inputs.contacts.sample(sample(port));
            if inputs.contacts.is_settled() {
                break;
            }
            nap.take(PERIOD_MS);
        }
        inputs.rest(port, 0);
        inputs
    }

    /// When to call [`Inputs::poll`] if no edge comes before.
    pub fn deadline(&self) -> Option<u64> {
        self.next_ms
    }

    /// Whether nothing is down: the last moment before something is the time to look at the battery.
    pub fn is_resting(&self) -> bool {
        self.next_ms.is_none()
    }

    /// Samples the contacts if it is time or an edge came; gives what changed.
    pub fn poll(&mut self, port: &Port, now_ms: u64) -> Changes {
        let due = match self.next_ms {
            Some(next_ms) => now_ms >= next_ms,
            None => port.has_changed(),
        };
        let mut changed = 0;
        if due {
            changed = self.contacts.sample(sample(port));
            if self.contacts.is_settled() && self.contacts.closed() & HELD == 0 {
                self.rest(port, now_ms);
            } else {
                if self.is_watching {
                    self.is_watching = false;
                    port.ignore();
                }
                self.next_ms = Some(now_ms + u64::from(PERIOD_MS));
            }
        }
        Changes {
            changed,
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

    /// Whether a button is down.
    pub fn is_down(&self, button: Button) -> bool {
        let bit = match button {
            Button::Reset => RESET_BUTTON,
            Button::Program => PROGRAM_BUTTON,
        };
        self.contacts.closed() & bit != 0
    }

    /// Waits for an edge; all rows are selected, so that any key makes one.
    fn rest(&mut self, port: &Port, now_ms: u64) {
        asm::delay(SETTLE_CYCLES);
        port.watch();
        self.is_watching = true;
        // What changed since the last sample has been sensed as the level to leave, not the one to meet.
        let levels = port.levels();
        let agrees =
            switches(levels) == self.contacts.closed() >> KEYS && levels.low_columns() == 0;
        self.next_ms = if agrees { None } else { Some(now_ms) };
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
    // All rows are selected between two samples: mostly that says that no key is down.
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
