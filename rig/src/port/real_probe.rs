//! Debug probes that exist: over USB, or over TCP as Black Magic Probes and `lockrig sim serve` are.
//!
//! An address is `VID:PID`, `VID:PID:SERIAL` or `VID:PID-INTERFACE:SERIAL` with hexadecimal ids, as
//! `probe-rs list` prints them; `1d50:6018:HOST:PORT` is a Black Magic Probe behind TCP; empty means
//! the only probe there is.

use std::str::FromStr;

use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeError, DebugProbeSelector, Probe, ProbeCreationError};

use super::{PortProblem, PortTrouble};

/// Opens the probe at `address`.
pub fn open(address: &str) -> Result<Probe, PortTrouble> {
    let trouble = |problem, saw| PortTrouble {
        address: match address {
            "" => "any probe".to_owned(),
            address => address.to_owned(),
        },
        problem,
        saw,
    };
    let lister = Lister::new();
    let mut is_there = true;
    let opened = if address.is_empty() {
        let found = lister.list_all();
        match found.as_slice() {
            [only] => only.open(),
            [] => {
                return Err(trouble(
                    PortProblem::Absent,
                    "no debug probe is connected".into(),
                ));
            }
            several => {
                let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                let saw = format!("several are connected: {}", names.join(", "));
                return Err(trouble(PortProblem::Absent, saw));
            }
        }
    } else {
        let selector = DebugProbeSelector::from_str(address)
            .map_err(|error| trouble(PortProblem::Absent, error.to_string()))?;
        is_there = !lister.list(Some(&selector)).is_empty();
        lister.open(selector)
    };
    opened.map_err(|error| {
        let (problem, saw) = explain(&error, &lister, is_there);
        trouble(problem, saw)
    })
}

fn explain(error: &DebugProbeError, lister: &Lister, is_there: bool) -> (PortProblem, String) {
    let kind = match error {
        DebugProbeError::Usb(io) => Some(io.kind()),
        DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::Usb(io)) => Some(io.kind()),
        _ => None,
    };
    let problem = match (kind, error) {
        (Some(std::io::ErrorKind::PermissionDenied), _) => PortProblem::Denied,
        (Some(std::io::ErrorKind::ResourceBusy), _) => PortProblem::Busy,
        // Drivers of other probes say so of what is not there, too.
        (_, DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::CouldNotOpen))
            if is_there =>
        {
            PortProblem::Denied
        }
        _ => PortProblem::Absent,
    };
    let mut saw = match error {
        DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::NotFound) => {
            "no such debug probe".to_owned()
        }
        error => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        }
    };
    let found: Vec<String> = lister.list_all().iter().map(ToString::to_string).collect();
    saw += &match found.as_slice() {
        [] => "; no debug probe is connected".to_owned(),
        found => format!("; connected: {}", found.join(", ")),
    };
    (problem, saw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_probe_is_named_with_what_was_seen() {
        let trouble = open("1d50:6018:no-such-probe").expect_err("there is none");
        assert_eq!(trouble.problem, PortProblem::Absent);
        assert!(
            trouble.to_string().starts_with("1d50:6018:no-such-probe: "),
            "{trouble}"
        );
    }

    #[test]
    fn an_address_that_is_no_selector_is_named() {
        let trouble = open("swd").expect_err("it is no selector");
        assert!(trouble.to_string().starts_with("swd: "), "{trouble}");
    }
}
