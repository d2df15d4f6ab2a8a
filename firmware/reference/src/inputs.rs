//! Keypad, buttons and switches, debounced. They are sampled every 5 ms while a key or a button is down or
//! a contact bounces; else an edge starts that.

use code_entry::{BoltPosition, Button, Input, Key};
use cortex_m::asm;

use crate::debounce::Debounce;
use crate::pins::{COLUMNS, Port, ROWS, SWITCHES};

const PERIOD_MS: u64 = 5;
/// A column rises through 13 kΩ against the keypad's foil.
const SETTLE_CYCLES: u32 = 160;
const KEYS: usize = ROWS.len() * COLUMNS.len();
const CONTACTS: usize = KEYS + SWITCHES.len();
const LAYOUT: [Key; KEYS] = Key::ALL;
// The order of `SWITCHES`.
const RESET_BUTTON: u32 = 1 << KEYS;
const PROGRAM_BUTTON: u32 = 1 << (KEYS + 1);
const DOOR_CLOSED: u32 = 1 << (KEYS + 2);
const BOLT_WITHDRAWN: u32 = 1 << (KEYS + 3);
const BOLT_THROWN: u32 = 1 << (KEYS + 4);
/// What is sampled for as long as it is closed.
const HELD: u32 = DOOR_CLOSED - 1;

/// All inputs.
pub struct Inputs {
    contacts: Debounce<CONTACTS>,
    next_ms: Option<u64>,
}

impl Inputs {
    /// Takes samples until the contacts agree, at most a few: what is closed at power-on counts as closed.
    pub fn new(port: &Port) -> Self {
        const SAMPLES_MAX: usize = 10;
        const CYCLES_BETWEEN: u32 = 5 * 16_000;
        let mut inputs = Inputs {
            contacts: Debounce::new(),
            next_ms: None,
        };
        for _ in 0..SAMPLES_MAX {
            inputs.contacts.sample(sample(port));
            if inputs.contacts.is_settled() {
                break;
            }
            asm::delay(CYCLES_BETWEEN);
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

    /// Samples the contacts if it is time or an edge came, and gives what changed to `take`.
    pub fn poll(&mut self, port: &Port, now_ms: u64, mut take: impl FnMut(Input)) {
        let due = match self.next_ms {
            Some(next_ms) => now_ms >= next_ms,
            None => port.has_changed(),
        };
        if !due {
            return;
        }
        let changed = self.contacts.sample(sample(port));
        let closed = self.contacts.closed();
        for (index, &key) in LAYOUT.iter().enumerate() {
            match (changed >> index & 1, closed >> index & 1) {
                (0, _) => {}
                (_, 0) => take(Input::KeyUp(key)),
                _ => take(Input::KeyDown(key)),
            }
        }
        for (bit, button) in [
            (RESET_BUTTON, Button::Reset),
            (PROGRAM_BUTTON, Button::Program),
        ] {
            match (changed & bit, closed & bit) {
                (0, _) => {}
                (_, 0) => take(Input::ButtonUp(button)),
                _ => take(Input::ButtonDown(button)),
            }
        }
        if changed & DOOR_CLOSED != 0 {
            take(Input::Door {
                open: self.is_door_open(),
            });
        }
        if changed & (BOLT_WITHDRAWN | BOLT_THROWN) != 0 {
            take(Input::Bolt(self.bolt()));
        }
        if self.contacts.is_settled() && closed & HELD == 0 {
            self.rest(port, now_ms);
        } else {
            port.ignore();
            self.next_ms = Some(now_ms + PERIOD_MS);
        }
    }

    /// Whether the door is open.
    pub fn is_door_open(&self) -> bool {
        self.contacts.closed() & DOOR_CLOSED == 0
    }

    /// Where the bolt is.
    pub fn bolt(&self) -> BoltPosition {
        let closed = self.contacts.closed();
        match (closed & BOLT_THROWN != 0, closed & BOLT_WITHDRAWN != 0) {
            (true, false) => BoltPosition::Thrown,
            (false, true) => BoltPosition::Withdrawn,
            // Both at once is a broken switch, and neither end can be believed.
            _ => BoltPosition::Between,
        }
    }

    /// Whether a button is down.
    pub fn is_down(&self, button: Button) -> bool {
        let bit = match button {
            Button::Reset => RESET_BUTTON,
            Button::Program => PROGRAM_BUTTON,
        };
        self.contacts.closed() & bit != 0
    }

    /// Waits for an edge; all rows are low, so that any key makes one.
    fn rest(&mut self, port: &Port, now_ms: u64) {
        port.select_rows(|_| true);
        asm::delay(SETTLE_CYCLES);
        port.watch();
        // What changed since the last sample has been sensed as the level to leave, not the one to meet.
        let agrees = switches(port) == self.contacts.closed() >> KEYS
            && COLUMNS.iter().all(|&pin| !port.is_low(pin));
        self.next_ms = if agrees { None } else { Some(now_ms) };
    }
}

/// What the comparison sees instead of pins, which not every emulator has: a locked lock that nobody touches.
const UNTOUCHED: u32 = DOOR_CLOSED | BOLT_THROWN;

/// Which contacts are closed: the keys in the order of [`LAYOUT`], then the switches.
fn sample(port: &Port) -> u32 {
    if cfg!(feature = "tick-timer0") {
        return UNTOUCHED;
    }
    let mut closed = 0;
    for row in 0..ROWS.len() {
        port.select_rows(|index| index == row);
        asm::delay(SETTLE_CYCLES);
        for (column, &pin) in COLUMNS.iter().enumerate() {
            closed |= u32::from(port.is_low(pin)) << (row * COLUMNS.len() + column);
        }
    }
    closed | switches(port) << KEYS
}

/// Which switches are closed, in the order of [`SWITCHES`].
fn switches(port: &Port) -> u32 {
    if cfg!(feature = "tick-timer0") {
        return UNTOUCHED >> KEYS;
    }
    SWITCHES
        .iter()
        .enumerate()
        .fold(0, |closed, (index, &pin)| {
            closed | u32::from(port.is_low(pin)) << index
        })
}
