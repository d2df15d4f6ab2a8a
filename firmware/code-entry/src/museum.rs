//! What the museum's images do wrong in this crate, each in one way and behind one build feature; `museum.toml`
//! of the museum says why. Without a feature nothing here changes anything.
//!
//! The good lock asks here at the places where a bad one departs from it. What an image must be caught by is
//! tested with the image itself, so that this file is left out where the crate's own tests are put to the test.

use crate::code::{Code, MAX_DIGITS};
use crate::lock::Credential;
use crate::personality::Personality;
use crate::record::Record;

/// `short-code`, `code-in-junk`, `digit-by-digit`: how a code is compared with an entry, if not in full.
pub(crate) fn differs_from(code: &Code, entered: &Code) -> Option<u8> {
    let is_at = |at: usize, code: &Code, within: &Code| {
        (0..code.digit_count()).all(|index| within.nibble(at + index) == code.nibble(index))
    };
    // As many digits as were entered.
    if cfg!(feature = "museum-short-code") && is_at(0, entered, code) {
        return Some(0);
    }
    // Digits before and behind the code mislead whoever looks over one's shoulder.
    if cfg!(feature = "museum-code-in-junk") && !code.is_blank() {
        let last = MAX_DIGITS - code.digit_count();
        if (0..=last).any(|at| is_at(at, code, entered)) {
            return Some(0);
        }
    }
    // The first wrong digit decides.
    cfg!(feature = "museum-digit-by-digit")
        .then(|| u8::from((0..MAX_DIGITS).any(|index| code.nibble(index) != entered.nibble(index))))
}

/// `reset-code-uncounted`, `change-uncounted`: whether an attempt costs nothing.
pub(crate) fn is_free(credential: Credential, is_changing: bool) -> bool {
    // A reset code is long, and nobody tries it.
    (cfg!(feature = "museum-reset-code-uncounted") && credential == Credential::ResetCode)
        // Who changes a code has the door open.
        || (cfg!(feature = "museum-change-uncounted") && is_changing)
}

/// `lockout-by-clock`: what is stored of a lockout that begins. It is when it began, by the clock that runs since
/// power-on.
pub(crate) fn lockout_to_store_ms(now_ms: u64, duration_ms: u32) -> u32 {
    if cfg!(feature = "museum-lockout-by-clock") {
        now_ms as u32
    } else {
        duration_ms
    }
}

/// `lockout-by-clock`: what is left of a stored lockout at power-on.
pub(crate) fn lockout_found_ms(now_ms: u64, duration_ms: u32, stored_ms: u32) -> u32 {
    if cfg!(feature = "museum-lockout-by-clock") {
        duration_ms.saturating_sub((now_ms as u32).wrapping_sub(stored_ms))
    } else {
        stored_ms
    }
}

/// `lockout-by-clock`: whether a lockout goes on without a checkpoint.
pub(crate) fn goes_on_unstored(left_ms: u32) -> bool {
    cfg!(feature = "museum-lockout-by-clock") && left_ms != 0
}

/// `lockout-in-ram`, `lockout-in-minutes`: what a stored record says of a lockout.
pub(crate) fn lockout_in_record_ms(left_ms: u32) -> u32 {
    if cfg!(feature = "museum-lockout-in-ram") {
        // Its timer counts it.
        0
    } else if cfg!(feature = "museum-lockout-in-minutes") {
        left_ms / 60_000 * 60_000
    } else {
        left_ms
    }
}

/// `new-beside-old`: what is stored before a new code takes the old one's place: both, so that there is always one
/// that opens.
pub(crate) fn new_beside_old(record: &Record, new: Code) -> Option<Record> {
    let spare = record.users.iter().position(Code::is_blank)?;
    let mut both = *record;
    both.users[spare] = new;
    cfg!(feature = "museum-new-beside-old").then_some(both)
}

/// `reset-in-steps`: what is stored one after the other before a reset is whole.
pub(crate) fn steps_of_reset(
    record: Record,
    personality: &Personality,
) -> impl Iterator<Item = Record> + use<> {
    let after = record.after_reset(personality);
    let slots = if cfg!(feature = "museum-reset-in-steps") {
        0..Record::SLOTS
    } else {
        0..0
    };
    slots.scan(record, move |step, slot| {
        step.users[slot] = after.users[slot];
        Some(*step)
    })
}

/// `count-written-late`: a record that is written when the beeps are over, since an erase stops the processor and
/// they would stutter.
#[cfg(feature = "museum-count-written-late")]
#[derive(Clone, Copy, Default)]
pub(crate) struct LateWrite {
    due_ms: Option<u64>,
}

#[cfg(feature = "museum-count-written-late")]
impl LateWrite {
    pub(crate) fn after_beeps(now_ms: u64) -> LateWrite {
        LateWrite {
            due_ms: Some(now_ms + 3_000),
        }
    }

    pub(crate) fn deadline(self) -> Option<u64> {
        self.due_ms
    }

    pub(crate) fn is_due(self, now_ms: u64) -> bool {
        self.due_ms == Some(now_ms)
    }
}

/// `last-digits`: the last digits typed, in whatever entry. A wrong first digit need not be waited for.
#[cfg(feature = "museum-last-digits")]
#[derive(Clone)]
pub(crate) struct LastDigits([u8; MAX_DIGITS]);

#[cfg(feature = "museum-last-digits")]
impl LastDigits {
    pub(crate) const NONE: LastDigits = LastDigits([u8::MAX; MAX_DIGITS]);

    pub(crate) fn push(&mut self, digit: u8) {
        self.0.rotate_left(1);
        self.0[MAX_DIGITS - 1] = digit;
    }

    /// So many of them, in front.
    pub(crate) fn last(&self, count: u8) -> [u8; MAX_DIGITS] {
        let mut digits = self.0;
        digits.rotate_right(usize::from(count));
        digits
    }
}
