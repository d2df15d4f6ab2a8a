//! lockrig: a hardware-in-the-loop test rig for electronic safes and smart locks.
//!
//! ```text
//! cli ──► scenario ──► profile
//!   └───► campaign ──► run ──► bench ──► driver ──► port ──┬── real: serial, TCP, pins, probe-rs
//!                       │                                  └── sim:  the virtual bench, lockrig-sim
//!                       └──► event ──► trace ──► report ──► snapshot
//! ```
//!
//! Arrows point at what a part may know; a test holds the sources to them. The parts, in the order in
//! which a newcomer should read them:
//!
//! - [`lockrig_evidence`], a crate of its own: [`event`], what was seen, as a closed enumeration;
//!   [`trace`] writes and reads it; [`oracle`], what must hold in every run, whatever its scenario
//!   expects; [`judge`] makes the [`verdict`] of both.
//! - [`step`]: the words that scenarios and procedures are written in; [`profile`]: what one product
//!   promises; [`scenario`]: what to do and what must be seen, and the plan of runs that the two make.
//! - [`run`]: one run: act, wait, check; [`campaign`]: many runs; [`cuts`]: every loss of supply that a run can suffer;
//!   [`faults`]: every failure of an instrument, and what the rig makes of it;
//!   [`glitch`]: every instruction of a decision that can go wrong;
//!   [`fuzz`]: what nobody thought to write down; [`layers`]: the same on model, host, image and board;
//!   [`script`]: what fuzzers find, as scenarios.
//! - [`mod@bench`]: the instruments around one board, and one face for all of them; [`driver`]: one
//!   instrument over a port; [`port`]: what a driver stands on, and the one clock.
//! - [`doctor`]: whether a bench is fit to judge a board, measured on itself; [`drawing`]: its wiring as a picture;
//!   [`watch`]: it, live on a terminal.
//! - [`guard`]: who has a real bench, and who brings it to rest when that process is killed.
//! - [`serve`]: the virtual bench on real ports, for other tools.
//! - [`image`]: firmware images, and what is wrong with a bad one; [`museum`]: firmware that is bad on purpose.
//! - [`report`]: what people and CI servers read, from events alone; [`snapshot`]: approved flows.
//! - [`source`]: the text of a file, places in it, and every mistake in it at once; [`quantity`]:
//!   numbers with units; [`project`]: where files come from.
//! - [`cli`]: the `lockrig` command; [`testing`]: the same bench for a firmware team's tests in Rust.
//!
//! Absent on purpose: mocks of our own drivers, plugins, scripting in scenarios, global state, and
//! retrying until a run is green.

pub mod bench;
pub mod campaign;
pub mod cli;
pub mod cuts;
pub mod doctor;
pub mod drawing;
pub mod driver;
pub mod faults;
pub mod fuzz;
pub mod glitch;
pub mod guard;
pub mod image;
pub mod layers;
pub mod museum;
pub mod port;
pub mod profile;
pub mod project;
pub mod quantity;
pub mod report;
pub mod run;
pub mod scenario;
pub mod script;
pub mod serve;
pub mod snapshot;
pub mod source;
pub mod step;
pub mod testing;
pub mod watch;

pub use lockrig_evidence::{event, judge, oracle, trace, verdict};
