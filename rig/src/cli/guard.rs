//! `lockrig guard`: the process beside one that has a real bench. `lockrig` starts it, people do not.

use std::io::{self, Write};

use super::error::Failure;
use super::signals;
use crate::guard;

/// Watches until the other process says that its bench is at rest, or ends without a word.
pub fn execute() -> Result<u8, Failure> {
    signals::ignore().map_err(|why| Failure::broken(format!("ignoring signals: {why}")))?;
    let did = guard::stand(io::stdin().lock());
    let did = did.map_err(|why| Failure::usage(format!("reading a guard's orders: {why}")))?;
    let Some(did) = did else { return Ok(0) };
    // The terminal may be gone.
    let _ = io::stderr().write_all(did.as_bytes());
    Ok(3)
}
