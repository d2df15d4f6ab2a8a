//! The words of scenarios and procedures: one verb for each step, with what modifies it.
//!
//! Scenario files and the procedures of profiles are written in the same words, so they are
//! declared here once, with the reader and the JSON Schema in the same lines. What a step means on
//! one product is decided by `scenario::plan`, which replaces every `$name`.

mod argument;
mod cut;
mod verbs;
mod words;

pub(crate) use argument::read_digits;
pub use argument::{Arg, Bindings, Bound, CodeWord, Written};
pub use cut::{CutAt, CutKind, CutMode};
pub use verbs::{
    Action, Cut, Do, Door, Enter, Expect, Hold, Interrupt, Interruption, Opens, Press, Refuses,
    Settles, Step, Supply, Wait,
};
pub use words::{
    Ability, CodeKind, CodeSet, DoorState, Drop, ExpectedSignal, HoldFor, Phase, PhaseLabel,
    SupplyLevel, Times, WaitFor, YesNo,
};
