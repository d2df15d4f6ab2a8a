//! A driver and the port that it stands on.

use std::collections::VecDeque;

use super::{Happening, What, file};
use crate::driver::{DeviceTrouble, Driver, Trouble};
use crate::event::Nanos;
use crate::port::{PortId, Ports};

/// A driver and the port that it stands on.
#[derive(Clone)]
pub(super) struct Attached<D> {
    pub(super) driver: D,
    pub(super) port: PortId,
    pub(super) device: String,
    /// Why the port is gone.
    pub(super) lost: Option<DeviceTrouble>,
}

impl<D: Driver> Attached<D> {
    /// Puts a driver on a port.
    pub(super) fn open(
        ports: &mut dyn Ports,
        device: String,
        port: &file::Port,
        driver: D,
    ) -> Result<Self, DeviceTrouble> {
        match ports.bytes(&port.at, port.baud) {
            Ok(port) => Ok(Attached {
                driver,
                port,
                device,
                lost: None,
            }),
            Err(trouble) => Err(DeviceTrouble::from_port(
                &device,
                "opening its port",
                trouble,
            )),
        }
    }

    /// Sends what the driver wants sent.
    pub(super) fn flush(
        &mut self,
        ports: &mut dyn Ports,
        now: Nanos,
        happenings: &mut VecDeque<Happening>,
    ) {
        let bytes = self.driver.outbox();
        if bytes.is_empty() || self.lost.is_some() {
            return;
        }
        if let Err(trouble) = ports.write(self.port, &bytes) {
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
        && attached.port == port
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
        && attached.port == port
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
