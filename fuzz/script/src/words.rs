//! The words of an action, each one byte. Zero is always the usual thing.

/// A contact that a finger closes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Contact {
    /// A key of the keypad, by its place in [`Contact::KEYS`].
    Key(u8),
    /// The reset button.
    Reset,
    /// The Program button.
    Program,
}

impl Contact {
    /// The labels of the keys, by their places.
    pub const KEYS: [char; 12] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#'];
    const COUNT: u8 = Contact::KEYS.len() as u8 + 2;

    fn of(place: u8) -> Contact {
        match place {
            12 => Contact::Reset,
            13 => Contact::Program,
            key => Contact::Key(key),
        }
    }

    fn place(self) -> u8 {
        match self {
            Contact::Key(key) => key,
            Contact::Reset => 12,
            Contact::Program => 13,
        }
    }

    /// The key with this label.
    pub fn key(label: char) -> Option<Contact> {
        let place = Contact::KEYS.iter().position(|known| *known == label)?;
        Some(Contact::Key(place as u8))
    }
}

/// What is pressed, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Press {
    /// A contact for a moment.
    Tap(Contact),
    /// A contact for so long, by its place in [`Press::HOLDS_MS`]; of a key only the first two.
    Hold(Contact, u8),
    /// Two keys together, the first a little earlier; the first has the lower place.
    Chord(u8, u8),
    /// Nothing.
    #[default]
    Nothing,
}

const TAPS: u8 = 1;
const HOLDS: u8 = TAPS + Contact::COUNT;
/// Two holds of each contact, and then the longer ones of the two buttons.
const LONGER: u8 = HOLDS + 2 * Contact::COUNT;
const CHORDS: u8 = LONGER + 2 * (Press::HOLDS_MS.len() as u8 - 2);

impl Press {
    /// How long a tap lasts, in milliseconds; for so long two keys are down together, too.
    pub const TAP_MS: u32 = 50;
    /// How much later the second key of two comes, in milliseconds.
    pub const CHORD_MS: u32 = 10;
    /// How long holds last, in milliseconds.
    pub const HOLDS_MS: [u32; 5] = [1_500, 3_500, 5_200, 10_500, 31_000];

    pub(crate) const KNOWN: u8 = CHORDS + 66;

    pub(crate) fn of(byte: u8) -> Press {
        match byte {
            0 => Press::Nothing,
            TAPS..HOLDS => Press::Tap(Contact::of(byte - TAPS)),
            HOLDS..LONGER => {
                let place = byte - HOLDS;
                Press::Hold(Contact::of(place % Contact::COUNT), place / Contact::COUNT)
            }
            LONGER..CHORDS => {
                let place = byte - LONGER;
                Press::Hold(Contact::of(12 + place % 2), 2 + place / 2)
            }
            _ => {
                let mut left = byte - CHORDS;
                let mut first = 0;
                while left >= 11 - first {
                    left -= 11 - first;
                    first += 1;
                }
                Press::Chord(first, first + 1 + left)
            }
        }
    }

    pub(crate) fn byte(self) -> u8 {
        match self {
            Press::Nothing => 0,
            Press::Tap(contact) => TAPS + contact.place(),
            Press::Hold(contact, how_long) if how_long < 2 => {
                HOLDS + how_long * Contact::COUNT + contact.place()
            }
            Press::Hold(contact, how_long) => LONGER + (how_long - 2) * 2 + contact.place() - 12,
            Press::Chord(first, second) => {
                let before: u8 = (0..first).map(|key| 11 - key).sum();
                CHORDS + before + (second - first - 1)
            }
        }
    }

    /// A press for any byte; what is no press stands for a tap, so that most are taps.
    pub(crate) fn near(byte: u8) -> u8 {
        match byte {
            0..Press::KNOWN => byte,
            _ => TAPS + byte % Contact::COUNT,
        }
    }

    /// The tap of the key with this label.
    pub fn key(label: char) -> Option<Press> {
        Contact::key(label).map(Press::Tap)
    }

    /// How long the contacts are closed, in milliseconds.
    pub fn lasts_ms(self) -> u32 {
        match self {
            Press::Nothing => 0,
            Press::Tap(_) | Press::Chord(..) => Press::TAP_MS,
            Press::Hold(_, how_long) => Press::HOLDS_MS[usize::from(how_long)],
        }
    }
}

/// How long nothing is done after a press, by its place in [`Pause::ALL_MS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pause(u8);

impl Pause {
    /// Every pause in milliseconds: the usual one first, then from short to long, with neighbours around
    /// the times that manuals like.
    pub const ALL_MS: [u32; 24] = [
        50, 250, 500, 1_000, 2_000, 3_000, 4_500, 4_900, 5_100, 6_000, 7_500, 9_600, 10_100,
        15_000, 20_000, 31_000, 45_000, 61_000, 119_000, 121_000, 180_000, 299_000, 301_000,
        901_000,
    ];

    pub(crate) const KNOWN: u8 = Pause::ALL_MS.len() as u8;

    pub(crate) fn of(byte: u8) -> Pause {
        Pause(byte)
    }

    pub(crate) fn byte(self) -> u8 {
        self.0
    }

    /// How long it is, in milliseconds.
    pub fn ms(self) -> u32 {
        Pause::ALL_MS[usize::from(self.0)]
    }

    /// The pause of exactly so many milliseconds, if there is one.
    pub fn exactly(ms: u32) -> Option<Pause> {
        let place = Pause::ALL_MS.iter().position(|known| *known == ms)?;
        Some(Pause(place as u8))
    }

    /// The longest pause that is no longer than this; the shortest, if none is.
    pub fn at_most(ms: u32) -> Pause {
        let fitting = Pause::ALL_MS.into_iter().filter(|known| *known <= ms);
        fitting.max().and_then(Pause::exactly).unwrap_or(Pause(1))
    }
}

/// Writes a word of a few values, each a byte by its order.
macro_rules! few {
    ($(#[$doc:meta])* pub enum $name:ident { $(#[$rest:meta])* $first:ident, $($(#[$each:meta])* $other:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub enum $name {
            $(#[$rest])*
            #[default]
            $first,
            $($(#[$each])* $other,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$name::$first, $($name::$other),*];
            pub(crate) const KNOWN: u8 = $name::ALL.len() as u8;

            pub(crate) fn of(byte: u8) -> $name {
                $name::ALL[usize::from(byte)]
            }

            pub(crate) fn byte(self) -> u8 {
                self as u8
            }
        }
    };
}

few! {
    /// Where the door is moved.
    pub enum Door {
        /// It is left where it is.
        Stays,
        /// Open.
        Open,
        /// Closed.
        Closed,
    }
}

few! {
    /// What the supply is set to, in a profile's words.
    pub enum Supply {
        /// It is left as it is.
        Stays,
        /// A fresh battery.
        Fresh,
        /// Just below the level of the warning.
        Low,
        /// Just below the level at which codes cannot be changed.
        NoChanges,
        /// Just below the level at which it does not open.
        Critical,
    }
}

few! {
    /// What is left of the write to flash that a cut comes into.
    pub enum Torn {
        /// Nothing.
        DroppedBefore,
        /// All of it.
        DroppedAfter,
        /// Its first byte.
        FirstByte,
        /// Its first three bytes.
        ThreeBytes,
        /// All but one bit.
        BitLost,
        /// All, and one bit more.
        BitStray,
        /// Some of its bits.
        Subset,
        /// A quarter of an erase.
        Quarter,
        /// Bits that read anew after every power-on.
        Metastable,
    }
}

/// How the supply is lost, if it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Loss {
    /// It is not.
    #[default]
    None,
    /// At the end of the pause it is taken away, and comes back after so long, by its place in
    /// [`Loss::OFF_MS`].
    Cycle(u8),
    /// The same, shortest, and a button is down when it comes back, and for [`Loss::HELD_MS`].
    Holding(Contact),
    /// While something is written to flash: in one of the writes, by its place in [`Loss::WRITES`].
    InWrite(u8, Torn),
}

/// How the supply is lost in the course of an action.
pub type Cut = Loss;

const CYCLES: u8 = 1;
const HOLDING: u8 = CYCLES + Loss::OFF_MS.len() as u8;
const IN_WRITE: u8 = HOLDING + 2;

impl Loss {
    /// How long the supply is away, in milliseconds.
    pub const OFF_MS: [u32; 3] = [1_000, 10_000, 120_000];
    /// How long a write's cut lasts, in milliseconds.
    pub const WRITE_OFF_MS: u32 = 1_000;
    /// How long a button stays down that was down when power came, in milliseconds.
    pub const HELD_MS: u32 = 31_000;
    /// Which writes to flash a cut can come into, counted from 1 within an action: the reference firmware
    /// needs 38 for a record, and the last two close it.
    pub const WRITES: [u32; 16] = [1, 2, 5, 20, 35, 36, 37, 38, 39, 40, 43, 58, 74, 75, 76, 77];

    pub(crate) const KNOWN: u8 = IN_WRITE + Loss::WRITES.len() as u8 * Torn::KNOWN;

    pub(crate) fn of(byte: u8) -> Loss {
        match byte {
            0 => Loss::None,
            CYCLES..HOLDING => Loss::Cycle(byte - CYCLES),
            HOLDING..IN_WRITE => Loss::Holding(Contact::of(12 + byte - HOLDING)),
            _ => {
                let place = byte - IN_WRITE;
                Loss::InWrite(place / Torn::KNOWN, Torn::of(place % Torn::KNOWN))
            }
        }
    }

    pub(crate) fn byte(self) -> u8 {
        match self {
            Loss::None => 0,
            Loss::Cycle(how_long) => CYCLES + how_long,
            Loss::Holding(button) => HOLDING + button.place() - 12,
            Loss::InWrite(write, torn) => IN_WRITE + write * Torn::KNOWN + torn.byte(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_is_known_is_one_word_and_back() {
        for byte in 0..Press::KNOWN {
            assert_eq!(Press::of(byte).byte(), byte);
        }
        for byte in 0..Loss::KNOWN {
            assert_eq!(Loss::of(byte).byte(), byte);
        }
        for byte in 0..Pause::KNOWN {
            assert_eq!(Pause::exactly(Pause::of(byte).ms()), Some(Pause(byte)));
        }
        assert_eq!(Press::of(Press::KNOWN - 1), Press::Chord(10, 11));
    }
}
