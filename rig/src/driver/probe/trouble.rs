//! What a probe could not do, what was seen, and what to try: probe-rs' errors in our words.

use probe_rs::architecture::arm::{ArmError, DapError};
use probe_rs::probe::DebugProbeError;
use thiserror::Error;

use crate::driver::{DeviceTrouble, Trouble};
use crate::port::PortProblem;

/// Something that a probe could not do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{device}: {doing}: {saw}")]
pub struct ProbeTrouble {
    /// The probe and the chip: `probe "swd" on nRF51822_xxAA`.
    pub device: String,
    /// What was being done: `programming "safe.elf"`.
    pub doing: String,
    /// The kind, for code that branches on it.
    pub fault: Fault,
    /// What was seen.
    pub saw: String,
    /// What to try.
    pub hint: String,
}

/// The kinds of [`ProbeTrouble`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The probe could not be opened, or does not answer as a probe.
    Port(PortProblem),
    /// The chip has no supply. This is a state of the bench, which a scenario may have brought about.
    Unpowered {
        /// What the probe measured.
        millivolts: u32,
    },
    /// The probe works, and no chip answers it.
    NoAnswer,
    /// A chip answers, and it is not the one that the bench file names.
    OtherChip,
    /// There was a session, and it is gone: supply lost, or a cable. Attach again.
    Lost,
    /// No session was begun.
    NotAttached,
    /// The chip did not do what it was told within the bound.
    Timeout,
    /// The flash algorithm failed, or could not be run.
    Flash,
    /// The chip is protected from being read, and nobody asked for it to be erased.
    Locked,
    /// Flash does not hold what was written to it.
    Mismatch {
        /// The first address that differs.
        address: u32,
        /// What was written.
        wrote: u8,
        /// What is there.
        read: u8,
    },
    /// The order makes no sense for this chip or in this state: an image for another chip, too many
    /// breakpoints, an address that is no memory.
    Order,
    /// The firmware has no RTT channel of that number, or has not made it yet.
    NoRtt,
}

impl ProbeTrouble {
    /// Whether it is the probe that does not answer, or is not there at all, rather than the chip behind it.
    pub fn is_wedged(&self) -> bool {
        matches!(
            self.fault,
            Fault::Port(PortProblem::Absent | PortProblem::Lost)
        )
    }
}

impl Fault {
    /// Whether the caller asked for something impossible, rather than the bench being broken.
    pub fn is_usage(self) -> bool {
        matches!(self, Fault::Order | Fault::NotAttached)
    }
}

impl From<ProbeTrouble> for DeviceTrouble {
    fn from(probe: ProbeTrouble) -> DeviceTrouble {
        DeviceTrouble {
            device: probe.device,
            doing: probe.doing,
            what: Trouble::Refused,
            saw: probe.saw,
            hint: probe.hint,
        }
    }
}

pub(super) fn fault_of(error: &probe_rs::Error) -> Fault {
    use probe_rs::Error;
    match error {
        Error::Timeout => Fault::Timeout,
        Error::ChipNotFound(_) => Fault::OtherChip,
        Error::MissingPermissions(_) => Fault::Locked,
        Error::Arm(error) => match error {
            ArmError::Timeout => Fault::Timeout,
            ArmError::NoArmTarget | ArmError::ApDoesNotExist(_) => Fault::OtherChip,
            ArmError::NoTargetResponse { .. } => Fault::NoAnswer,
            ArmError::MissingPermissions(_) => Fault::Locked,
            ArmError::CoreNotHalted
            | ArmError::AddressOutOf32BitAddressSpace
            | ArmError::OutOfBounds
            | ArmError::UnsupportedBreakpointAddress(_)
            | ArmError::MemoryNotAligned(_)
            | ArmError::Other(_) => Fault::Order,
            // The chip answered: it has nothing at that address.
            other if causes::<DapError>(other).any(is_fault_response) => Fault::Order,
            _ => Fault::Lost,
        },
        Error::Probe(DebugProbeError::TargetNotFound) => Fault::NoAnswer,
        Error::Probe(DebugProbeError::Timeout) => Fault::Timeout,
        Error::Probe(_) => Fault::Lost,
        _ => Fault::Order,
    }
}

/// What probe-rs' errors of single probes are called where the way to the probe failed. It keeps the types to
/// itself; their names show in what they print for debugging.
const UNREACHABLE: [&str; 4] = ["UsbError(", "HidApi(", "Timeout", "ProbeError("];

/// Whether the probe did not answer, rather than the chip behind it.
pub(super) fn is_of_the_probe(error: &probe_rs::Error) -> bool {
    use probe_rs::Error;
    let found = match error {
        Error::Probe(found) | Error::Arm(ArmError::Probe(found)) => Some(found),
        other => causes(other).next(),
    };
    match found {
        Some(DebugProbeError::Usb(_)) => true,
        Some(DebugProbeError::ProbeSpecific(inner)) => {
            // Without the name of the box that it is in.
            let text = format!("{inner:?}").replace("BoxedProbeError(", "");
            causes::<std::io::Error>(inner).next().is_some()
                || UNREACHABLE.iter().any(|name| text.contains(name))
        }
        _ => false,
    }
}

fn is_fault_response(error: &DapError) -> bool {
    matches!(error, DapError::FaultResponse)
}

/// The causes of an error that are of the type `E`, outermost first.
pub(super) fn causes<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a E> {
    std::iter::successors(error.source(), |cause| (*cause).source())
        .filter_map(|cause| cause.downcast_ref())
}

pub(super) fn hint(fault: Fault) -> &'static str {
    match fault {
        Fault::Port(problem) => port_hint(problem),
        Fault::Unpowered { .. } => "switch the supply on before attaching",
        Fault::NoAnswer => "check the chip's supply and the SWDIO and SWCLK wires",
        Fault::OtherChip => "does the bench file name the chip that is on the board?",
        Fault::Lost => "did the chip lose its supply? attach again once it is back",
        Fault::NotAttached => "attach first",
        Fault::Timeout => "is the chip held in reset, or asleep with its debug port off?",
        Fault::Flash => {
            "erase the whole chip; is its supply above 1.8 V, and is the flash protected?"
        }
        Fault::Locked => {
            "erasing all of it unlocks it: 'lockrig flash --unlock', or 'when-locked = \"erase\"' under [probe] in the bench file"
        }
        Fault::Mismatch { .. } => "erase the whole chip and flash again; is the supply steady?",
        Fault::Order => "compare the order with the chip's memory map and the core's state",
        Fault::NoRtt => "has the firmware set up RTT since the last reset?",
    }
}

pub(super) fn port_hint(problem: PortProblem) -> &'static str {
    match problem {
        PortProblem::Absent => {
            "is the probe plugged in? 'probe-rs list' shows the selectors of those that are"
        }
        PortProblem::Denied => "may this user open USB devices? on Linux: probe-rs' udev rules",
        PortProblem::Busy => "close the other program that uses the probe",
        PortProblem::Lost => "check the probe's cable, then start the run again",
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = first_line(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = first_line(&error.to_string());
        if !text.ends_with(&line) {
            text = format!("{}: {line}", text.trim_end_matches('.'));
        }
        cause = error.source();
    }
    text
}

pub(super) fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::io;

    use probe_rs::Error;
    use probe_rs::probe::ProbeError;
    use rstest::rstest;
    use thiserror::Error as Named;

    use super::{ArmError, DapError, DebugProbeError, is_of_the_probe};

    /// As probe-rs' errors of single probes are made.
    #[derive(Debug, Named)]
    #[error("the probe says no")]
    enum Single {
        Send { source: Sent },
        Refused(u8),
        ProbeError(io::Error),
        Usb(#[from] io::Error),
    }

    #[derive(Debug, Named)]
    #[error("nothing was sent")]
    enum Sent {
        UsbError(io::Error),
        Timeout,
    }

    impl ProbeError for Single {}

    fn gone() -> io::Error {
        io::ErrorKind::NotConnected.into()
    }

    #[rstest]
    #[case::usb(DebugProbeError::Usb(gone()).into(), true)]
    #[case::usb_below_the_chip(ArmError::Probe(DebugProbeError::Usb(gone())).into(), true)]
    #[case::time_out(DebugProbeError::from(Single::Send { source: Sent::Timeout }).into(), true)]
    #[case::unsent(DebugProbeError::from(Single::Send { source: Sent::UsbError(gone()) }).into(), true)]
    #[case::usb_of_one_probe(DebugProbeError::from(Single::from(gone())).into(), true)]
    #[case::cable_of_one_probe(DebugProbeError::from(Single::ProbeError(gone())).into(), true)]
    #[case::no_chip(DebugProbeError::TargetNotFound.into(), false)]
    #[case::no_chip_in_the_words_of_one_probe(DebugProbeError::from(Single::Refused(1)).into(), false)]
    #[case::no_acknowledge(ArmError::Dap(DapError::NoAcknowledge).into(), false)]
    #[case::slow_chip(Error::Timeout, false)]
    fn who_does_not_answer_is_told_apart(#[case] error: Error, #[case] is_probe: bool) {
        assert_eq!(is_of_the_probe(&error), is_probe, "{error:?}");
    }
}
