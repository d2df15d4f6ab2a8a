//! The power of a USB port, which Linux (6.0 and later) lets a hub switch: what hangs behind it begins anew.
//!
//! A port is one file of the kernel, `1-1:1.0/1-1-port4/disable` for the place `1-1.4`. Where a hub serves
//! USB 2 and 3 on one socket it has two ports there, `peer` leads from one to the other, and the socket has power
//! until both are off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::event::Nanos;

/// How long a port stays off: longer than what the capacitors behind it feed a probe for.
const OFF: Nanos = Nanos::from_secs(1);
/// How long a device may take until the kernel knows it again.
const BACK_MAX: Nanos = Nanos::from_secs(10);
const LOOK_PAUSE: Nanos = Nanos::from_millis(100);
/// How long the system may take from there until its users may open it.
const GIVEN_MAX: Nanos = Nanos::from_secs(1);

/// A port of a hub, by the place of what is plugged into it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsbPort {
    devices: PathBuf,
    place: String,
}

/// Why a port was not switched off and on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{saw}")]
pub struct NotCycled {
    /// What was seen.
    pub saw: String,
    /// What to try.
    pub hint: &'static str,
}

/// Whether the kernel could call a place so: the bus, then the chain of ports, as in `1-1.4`.
pub fn is_place(text: &str) -> bool {
    let is_number = |text: &str| text.parse::<u8>().is_ok_and(|number| number > 0);
    text.split_once('-').is_some_and(|(bus, ports)| {
        bus.parse::<u16>().is_ok_and(|bus| bus > 0) && ports.split('.').all(is_number)
    })
}

impl UsbPort {
    /// The port at a place, which [`is_place`]. `devices` is where the system tells of USB:
    /// `/sys/bus/usb/devices`.
    pub fn new(devices: &Path, place: &str) -> UsbPort {
        UsbPort {
            devices: devices.to_owned(),
            place: place.to_owned(),
        }
    }

    /// Takes the port's power away for a second, and waits until a device is back there; `wait` lets time pass.
    /// Whatever comes between, the port is told to go on again.
    ///
    /// # Errors
    /// A hub that cannot, or may not be told to; nothing that comes back. Nothing is switched off where it can be
    /// known before that it would be in vain.
    pub fn power_cycle(&self, wait: &mut dyn FnMut(Nanos)) -> Result<(), NotCycled> {
        let switches = self.switches()?;
        let off = switches
            .iter()
            .try_for_each(|switch| tell(switch, "1"))
            .and_then(|()| self.is_off(&switches[0]));
        if off.is_ok() {
            wait(OFF);
        }
        // The faster one first, so that what can do both is not taken for the slower.
        let told = switches.iter().rev().map(|switch| tell(switch, "0"));
        let on = told.fold(Ok(()), Result::and);
        off.and(on)?;
        let mut waited = Nanos::ZERO;
        while !self.devices.join(&self.place).exists() {
            if waited >= BACK_MAX {
                return Err(NotCycled {
                    saw: format!(
                        "USB port {} was off for {OFF} and is on again, and nothing came back within {BACK_MAX}",
                        self.place
                    ),
                    hint: "look at the cable; is 'usb-port' the place of the probe?",
                });
            }
            wait(LOOK_PAUSE);
            waited += LOOK_PAUSE;
        }
        wait(GIVEN_MAX);
        Ok(())
    }

    /// The files that switch the socket's ports, its own first.
    fn switches(&self) -> Result<Vec<PathBuf>, NotCycled> {
        let (hub, interface, number) = match self.place.rsplit_once('.') {
            Some((hub, number)) => (hub.to_owned(), format!("{hub}:1.0"), number),
            None => {
                let (bus, number) = self.place.split_once('-').unwrap_or((&self.place, ""));
                (format!("usb{bus}"), format!("{bus}-0:1.0"), number)
            }
        };
        let refuse = |saw, hint| Err(NotCycled { saw, hint });
        let ports = self.devices.join(interface);
        let port = ports.join(format!("{hub}-port{number}"));
        if !self.devices.exists() {
            let saw = format!("there is no {}", self.devices.display());
            return refuse(saw, "USB ports are switched on Linux 6.0 and later only");
        }
        if !port.exists() {
            let saw = match ports.exists() {
                true => format!("hub {hub} has no port {number}"),
                false => format!("there is no hub {hub}"),
            };
            return refuse(
                saw,
                "'lsusb -t' shows the tree; 'usb-port' is bus, dash, and the chain of ports: \"1-1.4\"",
            );
        }
        if !port.join("disable").exists() {
            let saw = format!("this system cannot switch port {number} of hub {hub}");
            return refuse(saw, "Linux 6.0 and later can");
        }
        // The kernel shows this file for hubs that say that they switch the power of their ports.
        if !port.join("power/pm_qos_no_power_off").exists() {
            let saw = format!("hub {hub} says that it does not switch the power of its ports");
            return refuse(saw, HUB_HINT);
        }
        let peer = port.join("peer/disable");
        let mut switches = vec![port.join("disable")];
        switches.extend(peer.exists().then_some(peer));
        for switch in &switches {
            open(switch).map_err(|why| explain(switch, &why))?;
        }
        Ok(switches)
    }

    fn is_off(&self, switch: &Path) -> Result<(), NotCycled> {
        let says = fs::read_to_string(switch).map_err(|why| explain(switch, &why))?;
        match says.trim() {
            "1" => Ok(()),
            _ => Err(NotCycled {
                saw: format!(
                    "USB port {} was told to go off, and its hub says that it is on",
                    self.place
                ),
                hint: HUB_HINT,
            }),
        }
    }
}

const HUB_HINT: &str =
    "put the probe behind a hub that switches power per port; uhubctl keeps a list of them";

fn tell(switch: &Path, order: &str) -> Result<(), NotCycled> {
    let told = open(switch).and_then(|mut file| file.write_all(order.as_bytes()));
    told.map_err(|why| explain(switch, &why))
}

/// Never makes the file: where there is none, there is no such port.
fn open(switch: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).truncate(true).open(switch)
}

fn explain(switch: &Path, why: &io::Error) -> NotCycled {
    let switch = switch.display();
    match why.kind() {
        ErrorKind::PermissionDenied => NotCycled {
            saw: format!("no permission for {switch}"),
            hint: "boards/linux/60-lockrig.rules, a udev rule, gives it to group plugdev",
        },
        _ => NotCycled {
            saw: format!("{switch}: {why}"),
            hint: "look into the kernel's log",
        },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::behind_a_hub("1-1.4", true)]
    #[case::of_the_root_hub("1-1", true)]
    #[case::far_down("12-1.4.2.7", true)]
    #[case::a_bus("1", false)]
    #[case::no_port("1-", false)]
    #[case::port_nought("1-0", false)]
    #[case::an_interface("1-1:1.0", false)]
    #[case::a_way_out("1-../../1", false)]
    fn a_place_is_a_bus_and_a_chain_of_ports(#[case] text: &str, #[case] is_one: bool) {
        assert_eq!(is_place(text), is_one);
    }
}
