//! Everything about a lock that outlives a power cut, as one small record that is always stored whole.

use core::fmt;

use crate::code::Code;
use crate::museum;
use crate::personality::{FactoryRule, Parts, Personality};

/// Where records go.
///
/// `commit` returns `Ok` only once the record would be read back after a power cut at any later moment. When it
/// fails, or power is lost inside it, either the old or the new record is read back, never a mixture and never
/// nothing. The lock shows nothing of a record before `commit` has returned.
pub trait Storage {
    /// Stores a record in place of the one before.
    fn commit(&mut self, record: &Record) -> Result<(), StorageFault>;
}

/// A record could not be stored, or what is stored cannot be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StorageFault;

impl fmt::Display for StorageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record could not be stored")
    }
}

impl core::error::Error for StorageFault {}

/// Everything persistent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// The user codes; slot 1 is the first. Blank ones are free.
    pub users: [Code; Record::SLOTS],
    /// The master code, blank if there is none.
    pub master: Code,
    /// Wrong attempts since the last right one. Never decreases but by a right one, or a reset that erases it.
    pub failures: u16,
    /// Those of them that count towards the next lockout.
    pub recent: u8,
    /// How many lockouts there were since the last right attempt, up to the number of the product's stages.
    pub stage: u8,
    /// What is left of the lockout as of the last checkpoint, in milliseconds; zero if there is none.
    pub lockout_left_ms: u32,
    /// Whether the owner has changed a code: what revokes the factory code of some products.
    pub owned: bool,
    /// Whether the bolt has learnt the door's hand.
    pub handed: bool,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordError {
    /// Not [`Record::BYTES`] long.
    Length,
    /// A version that this code does not know.
    Version,
    /// A code, or a flag, that no version of this code has written.
    Content,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordError::Length => "the record has the wrong length",
            RecordError::Version => "the record is of an unknown version",
            RecordError::Content => "the record holds something that is not a code or a flag",
        })
    }
}

impl core::error::Error for RecordError {}

const VERSION: u8 = 1;
const OWNED: u8 = 0b01;
const HANDED: u8 = 0b10;
const HEAD_BYTES: usize = 12;

impl Record {
    /// The most user codes that a record holds.
    pub const SLOTS: usize = 20;
    /// Size of the stored form; a multiple of the flash word.
    pub const BYTES: usize = (HEAD_BYTES + Code::BYTES * (Record::SLOTS + 1)).next_multiple_of(4);

    /// The record of a product that leaves the factory: its factory codes, and a bolt that knows its door.
    pub fn factory(personality: &Personality) -> Record {
        let mut record = Record {
            users: [Code::BLANK; Record::SLOTS],
            master: personality.codes.factory_master,
            failures: 0,
            recent: 0,
            stage: 0,
            lockout_left_ms: 0,
            owned: false,
            handed: true,
        };
        if personality.codes.factory_rule == FactoryRule::Works {
            for (slot, code) in record.users.iter_mut().zip(&personality.codes.factory) {
                *slot = *code;
            }
        }
        record
    }

    /// The record after a reset: the erased parts as the factory left them, the others as they are.
    pub fn after_reset(&self, personality: &Personality) -> Record {
        let factory = Record::factory(personality);
        let erases = personality.reset.erases;
        let mut record = *self;
        if erases.contains(Parts::USER_CODES) {
            record.users = factory.users;
            record.owned = factory.owned;
        }
        if erases.contains(Parts::MASTER) {
            record.master = factory.master;
        }
        if erases.contains(Parts::HANDING) {
            record.handed = false;
        }
        if erases.contains(Parts::COUNTERS) {
            record.failures = factory.failures;
            record.recent = factory.recent;
            record.stage = factory.stage;
        }
        if erases.contains(Parts::LOCKOUT) {
            record.lockout_left_ms = factory.lockout_left_ms;
        }
        record
    }

    /// How many user codes there are.
    pub fn user_count(&self) -> u8 {
        self.users.iter().filter(|code| !code.is_blank()).count() as u8
    }

    /// The stored form.
    pub fn to_bytes(&self) -> [u8; Record::BYTES] {
        let mut bytes = [0; Record::BYTES];
        bytes[0] = VERSION;
        bytes[1] = if self.owned { OWNED } else { 0 } + if self.handed { HANDED } else { 0 };
        bytes[2] = self.recent;
        bytes[3] = self.stage;
        bytes[4..6].copy_from_slice(&self.failures.to_le_bytes());
        let lockout_left_ms = museum::lockout_in_record_ms(self.lockout_left_ms);
        bytes[8..12].copy_from_slice(&lockout_left_ms.to_le_bytes());
        let codes = core::iter::once(&self.master).chain(&self.users);
        for (place, code) in bytes[HEAD_BYTES..].chunks_exact_mut(Code::BYTES).zip(codes) {
            place.copy_from_slice(&code.to_bytes());
        }
        bytes
    }

    /// Reads the stored form back.
    pub fn from_bytes(bytes: &[u8]) -> Result<Record, RecordError> {
        let bytes: &[u8; Record::BYTES] = bytes.try_into().map_err(|_| RecordError::Length)?;
        if bytes[0] != VERSION {
            return Err(RecordError::Version);
        }
        if bytes[1] > OWNED + HANDED {
            return Err(RecordError::Content);
        }
        let code = |place: usize| {
            let mut packed = [0; Code::BYTES];
            let start = HEAD_BYTES + place * Code::BYTES;
            packed.copy_from_slice(&bytes[start..start + Code::BYTES]);
            Code::from_bytes(packed).map_err(|_| RecordError::Content)
        };
        let mut users = [Code::BLANK; Record::SLOTS];
        for (slot, user) in users.iter_mut().enumerate() {
            *user = code(slot + 1)?;
        }
        Ok(Record {
            users,
            master: code(0)?,
            failures: u16::from_le_bytes([bytes[4], bytes[5]]),
            recent: bytes[2],
            stage: bytes[3],
            lockout_left_ms: u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
            owned: bytes[1] & OWNED != 0,
            handed: bytes[1] & HANDED != 0,
        })
    }
}
