//! Reports: pure functions of the events of runs.

pub mod difference;
pub mod flow;
pub mod junit;
mod summary;
pub mod terminal;

pub use summary::{Decision, StepUnderWay, Summary, summarise};
