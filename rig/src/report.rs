//! Reports: pure functions of the events of runs.

pub mod junit;
mod summary;
pub mod terminal;
mod words;

pub use summary::{Decision, StepUnderWay, Summary, summarise, under_way};
pub use words::words;
