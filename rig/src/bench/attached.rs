//! A driver and the port that it stands on.

use std::collections::VecDeque;

use super::{Happening, What, file};
use crate::driver::{DeviceTrouble, Driver, Trouble};
use crate::event::Nanos;
use crate::port::{PortId, PortProblem, PortTrouble, Ports};

/// A driver and the port that it stands on.
#[derive(Clone)]
pub(super) struct Attached<D> {
    pub(super) driver: D,
    /// None, if it could not be opened.
    pub(super) port: Option<PortId>,
    pub(super) device: String,
    /// Why nothing comes from it any more: its port is gone, or it no longer tells what it is there for.
    pub(super) lost: Option<DeviceTrouble>,
}

/// Opens ports and puts drivers on them. A port that cannot be opened is lost from the beginning.
pub(super) struct Opening<'p> {
    pub(super) ports: &'p mut dyn Ports,
    /// Whether the others are opened all the same.
    pub(super) goes_on: bool,
    pub(super) has_failed: bool,
}

impl Opening<'_> {
    pub(super) fn attach<D>(&mut self, device: String, at: &file::Port, driver: D) -> Attached<D> {
        let opened = match self.has_failed && !self.goes_on {
            true => Err(PortTrouble {
                address: at.at.clone(),
                problem: PortProblem::Absent,
                saw: "it was not tried: another port could not be opened".to_owned(),
            }),
            false => self.ports.bytes(&at.at, at.baud),
        };
        self.has_failed |= opened.is_err();
        let lost = |trouble| DeviceTrouble::from_port(&device, "opening its port", trouble);
        let (port, lost) = match opened {
            Ok(port) => (Some(port), None),
            Err(trouble) => (None, Some(lost(trouble))),
        };
        Attached {
            driver,
            port,
            device,
            lost,
        }
    }
}

impl<D: Driver> Attached<D> {
    /// Sends what the driver wants sent.
    pub(super) fn flush(
        &mut self,
        ports: &mut dyn Ports,
        now: Nanos,
        happenings: &mut VecDeque<Happening>,
    ) {
        let bytes = self.driver.outbox(now);
        let (Some(port), None) = (self.port, &self.lost) else {
            return;
        };
        if bytes.is_empty() {
            return;
        }
        if let Err(trouble) = ports.write(port, &bytes) {
            let trouble = DeviceTrouble::from_port(&self.device, "sending to it", trouble);
            self.lost = Some(trouble.clone());
            happenings.push_back(Happening {
                at: now,
                what: What::Trouble(trouble),
            });
        }
    }

    pub(super) fn deadline(&self) -> Option<Nanos> {
        if self.lost.is_some() {
            None
        } else {
            self.driver.deadline()
        }
    }

    pub(super) fn check_lost(&self) -> Result<(), DeviceTrouble> {
        self.lost.clone().map_or(Ok(()), Err)
    }
}

/// Gives a driver the bytes that came, if they came through its port.
pub(super) fn receive<'a, D: Driver + 'a>(
    attached: impl Into<Option<&'a mut Attached<D>>>,
    port: PortId,
    at: Nanos,
    bytes: &[u8],
) {
    if let Some(attached) = attached.into()
        && attached.port == Some(port)
    {
        attached.driver.receive(at, bytes);
    }
}

/// Tells the driver's bench that its port is gone, if it is this port.
pub(super) fn lose<'a, D: Driver + 'a>(
    attached: impl Into<Option<&'a mut Attached<D>>>,
    port: PortId,
    at: Nanos,
    why: &str,
    happenings: &mut VecDeque<Happening>,
) {
    if let Some(attached) = attached.into()
        && attached.port == Some(port)
        && attached.lost.is_none()
    {
        let trouble = DeviceTrouble {
            device: attached.device.clone(),
            doing: "listening to it".to_owned(),
            what: Trouble::Lost,
            saw: why.to_owned(),
            hint: "check cable and power of the instrument, then start the run again".to_owned(),
        };
        attached.lost = Some(trouble.clone());
        happenings.push_back(Happening {
            at,
            what: What::Trouble(trouble),
        });
    }
}
