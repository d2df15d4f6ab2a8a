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

/// The files that are made from the events of one run, by name; none for a trace without a beginning.
/// `id` is the run's name, `cut` says what is wrong with a trace of which only the beginning could be
/// read.
pub fn of_run(
    id: &str,
    events: &[Event],
    cut: Option<&str>,
) -> Option<[(&'static str, Vec<u8>); 3]> {
    let summary = summarise(events)?;
    Some([
        ("report.html", html::run(events, cut)?.into_bytes()),
        ("trace.vcd", vcd::document(events)),
        ("junit.xml", junit::document(id, [&summary]).into_bytes()),
    ])
}
