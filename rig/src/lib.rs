//! lockrig: a hardware-in-the-loop test rig for electronic safes and smart locks.
//!
//! The parts, in the order in which a newcomer should read them:
//!
//! - [`source`]: the text of a file, places in it, and every mistake in it at once; [`quantity`]:
//!   numbers with units.
//! - [`step`]: the words that scenarios and procedures are written in.
//! - [`profile`]: what one product promises; [`scenario`]: what to do and what must be seen, and the
//!   plan of runs that the two make.
//! - [`event`]: what was seen, as a closed enumeration; [`trace`] writes and reads it.
//! - [`verdict`]: how a run can end, and the exit code.
//! - [`oracle`]: what must hold in every run, whatever its scenario expects.
//! - [`port`]: what a driver stands on, and the one clock; [`driver`]: one instrument over a port.
//! - [`bench`]: the instruments around one board, and one face for all of them.
//! - [`report`]: what people and CI servers read, from events alone.
//! - [`image`]: firmware images, and what is wrong with a bad one.

pub mod bench;
pub mod campaign;
pub mod cli;
pub mod driver;
pub mod event;
pub mod image;
pub mod oracle;
pub mod port;
pub mod profile;
pub mod project;
pub mod quantity;
pub mod report;
pub mod run;
pub mod scenario;
pub mod source;
pub mod step;
pub mod trace;
pub mod verdict;
