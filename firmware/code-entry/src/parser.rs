//! Time-stamped presses of keys and buttons become tokens: digits, entries, commands, chords, long presses, taps
//! and holds. The parser knows how a product takes keys; it does not know any code, nor what a token leads to.
//!
//! Presses arrive debounced. Of more than two keys down at once a matrix cannot tell the real ones, so a press
//! beside two others is not taken.

use serde::{Deserialize, Serialize};

use crate::code::{Code, MAX_DIGITS, ZERO_WITH_ONE, ZERO_WITH_THREE};
#[cfg(feature = "museum-last-digits")]
use crate::museum::LastDigits;
use crate::personality::{EntryRules, Overflow, Personality, Trigger};

/// A key of the keypad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names of the digits say it")]
pub enum Key {
    Zero,
    One,
    Two,
    Three,
    Four,
    Five,
    Six,
    Seven,
    Eight,
    Nine,
    /// `*`
    Star,
    /// `#`, or the Lock key of a smart lock.
    Hash,
}

impl Key {
    /// Every key, row by row as the keypad shows them.
    pub const ALL: [Key; 12] = [
        Key::One,
        Key::Two,
        Key::Three,
        Key::Four,
        Key::Five,
        Key::Six,
        Key::Seven,
        Key::Eight,
        Key::Nine,
        Key::Star,
        Key::Zero,
        Key::Hash,
    ];

    /// The key with this label: `'0'` to `'9'`, `'*'` or `'#'`.
    pub fn from_label(label: char) -> Option<Key> {
        Key::ALL.into_iter().find(|key| key.label() == label)
    }

    /// What is printed on it.
    pub fn label(self) -> char {
        match self {
            Key::Star => '*',
            Key::Hash => '#',
            digit => char::from(b'0' + digit as u8),
        }
    }

    /// The digit it stands for, if it does.
    pub fn digit(self) -> Option<u8> {
        (self < Key::Star).then_some(self as u8)
    }

    /// The stroke of a code that these two are together, if they are one.
    fn pair(self, other: Key) -> Option<u8> {
        match (self.min(other), self.max(other)) {
            (Key::Zero, Key::One) => Some(ZERO_WITH_ONE),
            (Key::Zero, Key::Three) => Some(ZERO_WITH_THREE),
            _ => None,
        }
    }

    fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// A button inside, where only somebody at the open door reaches it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Button {
    /// The reset button; the safe's red button.
    Reset,
    /// The smart lock's Program button.
    Program,
}

impl Button {
    /// Both.
    pub const ALL: [Button; 2] = [Button::Reset, Button::Program];
}

/// What was typed up to the submit key.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    digits: [u8; MAX_DIGITS],
    /// Stops at one more than fit.
    len: u8,
}

impl Entry {
    /// Whether nothing was typed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The digits as a code; blank if there are none, or more than any code has.
    pub fn code(&self) -> Code {
        self.digits
            .get(..usize::from(self.len))
            .and_then(|digits| Code::from_digits(digits).ok())
            .unwrap_or(Code::BLANK)
    }

    fn push(&mut self, digit: u8, rules: &EntryRules) {
        if rules.overflow == Overflow::Ignored && self.len >= rules.digits_max {
            return;
        }
        match self.digits.get_mut(usize::from(self.len)) {
            Some(place) => {
                *place = digit;
                self.len += 1;
            }
            None => self.len = MAX_DIGITS as u8 + 1,
        }
    }

    /// Whether these digits and then `key` are exactly this sequence.
    fn completes(&self, sequence: &[Key], key: Key) -> bool {
        let typed = self
            .digits
            .iter()
            .take(usize::from(self.len))
            .copied()
            .map(Some);
        sequence.split_last().is_some_and(|(last, first)| {
            *last == key && first.iter().map(|key| key.digit()).eq(typed)
        })
    }
}

/// What presses amount to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A digit was taken.
    Digit,
    /// An entry is complete. It may be empty.
    Submit(Entry),
    /// The clear key ended and forgot what was begun.
    Cancel,
    /// No key came for too long; the entry is forgotten.
    TimeOut,
    /// Two keys were pressed together, in this order.
    Chord(Key, Key),
    /// A key is down for long.
    LongPress(Key),
    /// The keys of the change with this number were typed.
    Command(usize),
    /// A button was pressed and released before its hold meant something.
    Tap(Button),
    /// A button has been down for as long as its hold takes. It still is.
    Held {
        /// Which one.
        button: Button,
        /// Whether it was down when power came.
        from_power_on: bool,
    },
    /// A button whose hold has been told was released.
    Released {
        /// Which one.
        button: Button,
        /// Whether it was down when power came.
        from_power_on: bool,
        /// How long it was down, in milliseconds.
        held_ms: u64,
    },
}

/// What entries are for at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Context {
    /// For opening: commands are recognised, and pauses end an entry.
    Opening,
    /// For a change of codes, which has its own window: an entry is digits and nothing else.
    Change,
    /// The same, and two keys pressed together may be a stroke of the entry.
    ResetCode,
}

#[derive(Clone, Copy)]
struct Press {
    since_ms: u64,
    from_power_on: bool,
    told: bool,
}

/// Follows keys and buttons. All times are in milliseconds since power-on and never run backwards.
#[derive(Clone)]
pub struct Parser {
    context: Context,
    entry: Entry,
    /// When the last key of the entry came.
    last_key_ms: u64,
    /// Bits of the keys that are down.
    down: u16,
    /// A key that waits for a second one to make a chord.
    waiting: Option<(Key, u64)>,
    /// The newest key while it is down and may become a long press.
    held: Option<(Key, u64)>,
    buttons: [Option<Press>; 2],
    /// The last digits typed, in whatever entry.
    #[cfg(feature = "museum-last-digits")]
    last: LastDigits,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser {
            context: Context::Opening,
            entry: Entry::default(),
            last_key_ms: 0,
            down: 0,
            waiting: None,
            held: None,
            buttons: [None; 2],
            #[cfg(feature = "museum-last-digits")]
            last: LastDigits::NONE,
        }
    }
}

impl Parser {
    /// Forgets what was typed; entries are for this from now on.
    pub fn expect(&mut self, context: Context) {
        self.context = context;
        self.entry = Entry::default();
        self.waiting = None;
    }

    /// Whether digits have been typed that no submit key has ended.
    pub fn is_entering(&self) -> bool {
        !self.entry.is_empty()
    }

    /// A key closed.
    pub fn key_down(&mut self, personality: &Personality, now_ms: u64, key: Key) -> Option<Token> {
        let before = self.down;
        self.down |= key.bit();
        if before == self.down || before.count_ones() > 1 {
            return None;
        }
        self.held = Some((key, now_ms));
        if personality.entry.chord_ms == 0 {
            return self.take(personality, now_ms, key);
        }
        match self.waiting.take() {
            Some((first, _)) => Some(match first.pair(key) {
                Some(pair) if self.context == Context::ResetCode => {
                    self.typed(&personality.entry, now_ms, pair)
                }
                _ => Token::Chord(first, key),
            }),
            None => {
                self.waiting = Some((key, now_ms));
                None
            }
        }
    }

    /// A key opened.
    pub fn key_up(&mut self, personality: &Personality, now_ms: u64, key: Key) -> Option<Token> {
        self.down &= !key.bit();
        self.held.take_if(|(held, _)| *held == key);
        let (key, _) = self.waiting.take_if(|(waiting, _)| *waiting == key)?;
        self.take(personality, now_ms, key)
    }

    /// A button closed, or was closed when power came.
    pub fn button_down(&mut self, now_ms: u64, button: Button, from_power_on: bool) {
        self.buttons[button as usize].get_or_insert(Press {
            since_ms: now_ms,
            from_power_on,
            told: false,
        });
    }

    /// A button opened.
    pub fn button_up(&mut self, now_ms: u64, button: Button) -> Option<Token> {
        let press = self.buttons[button as usize].take()?;
        match press {
            Press {
                told: true,
                from_power_on,
                since_ms,
            } => Some(Token::Released {
                button,
                from_power_on,
                held_ms: now_ms - since_ms,
            }),
            Press {
                from_power_on: true,
                ..
            } => None,
            Press { .. } => Some(Token::Tap(button)),
        }
    }

    /// The last digits as an entry, where one ends with its last digit.
    #[cfg(feature = "museum-last-digits")]
    pub fn last(&self, personality: &Personality) -> Option<Entry> {
        let rules = &personality.entry;
        rules.submit.is_empty().then_some(Entry {
            digits: self.last.last(rules.digits_max),
            len: rules.digits_max,
        })
    }

    /// When [`Parser::expire`] has something to say, unless a press comes first.
    pub fn deadline(&self, personality: &Personality) -> Option<u64> {
        let rules = &personality.entry;
        let chord = self
            .waiting
            .map(|(_, since_ms)| since_ms + u64::from(rules.chord_ms));
        let long_press = self
            .held
            .filter(|_| rules.long_press_ms != 0)
            .map(|(_, since_ms)| since_ms + u64::from(rules.long_press_ms));
        let idle = (self.context == Context::Opening && self.is_entering())
            .then(|| self.last_key_ms + u64::from(rules.idle_ms));
        Button::ALL
            .into_iter()
            .map(|button| self.hold_deadline(personality, button))
            .chain([chord, long_press, idle])
            .flatten()
            .min()
    }

    /// What the passing of time amounts to at a deadline. One at a time: several may fall together.
    pub fn expire(&mut self, personality: &Personality, now_ms: u64) -> Option<Token> {
        for button in Button::ALL {
            if self.hold_deadline(personality, button) == Some(now_ms)
                && let Some(press) = &mut self.buttons[button as usize]
            {
                press.told = true;
                return Some(Token::Held {
                    button,
                    from_power_on: press.from_power_on,
                });
            }
        }
        let rules = &personality.entry;
        if let Some((key, _)) = self
            .waiting
            .take_if(|(_, since)| *since + u64::from(rules.chord_ms) == now_ms)
        {
            return self.take(personality, now_ms, key);
        }
        let long_press_ms = u64::from(rules.long_press_ms);
        if long_press_ms != 0
            && let Some((key, _)) = self
                .held
                .take_if(|(_, since)| *since + long_press_ms == now_ms)
        {
            return Some(Token::LongPress(key));
        }
        self.expect(self.context);
        Some(Token::TimeOut)
    }

    fn hold_deadline(&self, personality: &Personality, button: Button) -> Option<u64> {
        let press = self.buttons[button as usize].filter(|press| !press.told)?;
        let hold_ms = personality.hold_ms(button, press.from_power_on)?;
        Some(press.since_ms + u64::from(hold_ms))
    }

    fn take(&mut self, personality: &Personality, now_ms: u64, key: Key) -> Option<Token> {
        let rules = &personality.entry;
        if self.context == Context::Opening
            && let Some(number) = personality.changes.iter().position(
                |change| matches!(&change.trigger, Trigger::Keys(keys) if self.entry.completes(keys, key)),
            )
        {
            self.expect(self.context);
            return Some(Token::Command(number));
        }
        if let Some(digit) = key.digit() {
            return Some(self.typed(rules, now_ms, digit));
        }
        if rules.submit.contains(&key) {
            return Some(self.submit());
        }
        if rules.clear == Some(key) {
            self.expect(self.context);
            return Some(Token::Cancel);
        }
        None
    }

    fn typed(&mut self, rules: &EntryRules, now_ms: u64, digit: u8) -> Token {
        self.entry.push(digit, rules);
        #[cfg(feature = "museum-last-digits")]
        self.last.push(digit);
        self.last_key_ms = now_ms;
        if rules.submit.is_empty() && self.entry.len == rules.digits_max {
            self.submit()
        } else {
            Token::Digit
        }
    }

    fn submit(&mut self) -> Token {
        let entry = self.entry;
        self.expect(self.context);
        Token::Submit(entry)
    }
}
