//! The words of scenarios and procedures: one verb for each step, with what modifies it.
//!
//! Scenario files and the procedures of profiles are written in the same words, so they are
//! declared here once, with the reader and the JSON Schema in the same lines. What a step means on
//! one product is decided by `scenario::plan`, which replaces every `$name`.

mod argument;
mod cut;
mod glitch;
mod verbs;
mod words;

pub use argument::{Arg, Bindings, Bound, CodeWord, KeyWord, Written};
pub(crate) use argument::{known_code, read_digits, undeclared};
pub use cut::{CutAt, CutKind, CutMode};
pub use glitch::{GlitchMode, InstructionAt};
pub use verbs::{
    Action, Ask, Bolt, Cut, Do, Door, Enter, Expect, Glitch, Glitched, Hold, Insert, Interrupt,
    Interruption, Opens, Plunge, Press, Readout, Refuses, Settles, Step, Supply, Turn, Wait,
    Withdraw,
};
pub use words::{
    Ability, Access, BoltState, CodeKind, CodeSet, DoorState, Drop, ExpectedSignal, HoldFor,
    KeyKind, KnownCode, Phase, PhaseLabel, Pulled, Pushed, Refusal, SupplyLevel, Times, WaitFor,
    YesNo,
};
