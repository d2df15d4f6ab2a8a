//! Reports: pure functions of the events of runs.

pub mod difference;
pub mod flow;
pub mod html;
pub mod junit;
mod summary;
pub mod terminal;
pub mod timeline;
pub mod vcd;
pub mod words;

use crate::event::Event;

pub use summary::{Decision, StepUnderWay, Summary, summarise, under_way};

/// The files that are made of one run, by name. `id` is its name, `summary` what its events come to,
/// or what a comparison with its approved flow made of that; `cut` says what is wrong with a trace of
/// which only the beginning could be read.
pub fn of_run(
    id: &str,
    events: &[Event],
    summary: &Summary,
    cut: Option<&str>,
) -> [(&'static str, Vec<u8>); 3] {
    [
        ("report.html", html::run(events, summary, cut).into_bytes()),
        ("trace.vcd", vcd::document(events)),
        ("junit.xml", junit::document(id, [summary]).into_bytes()),
    ]
}
