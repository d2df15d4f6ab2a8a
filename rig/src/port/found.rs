//! What is attached to this machine that a port could lead to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use probe_rs::probe::list::Lister;
use serialport::{SerialPortType, UsbPortInfo};

/// A serial port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SerialPort {
    /// The path that stays the same when adapters are plugged in another order, where there is one; else
    /// that of the device.
    pub at: String,
    /// The device's own path, where that is another.
    pub device: Option<String>,
    /// What it is on USB.
    pub usb: Option<Usb>,
}

/// A device on USB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Usb {
    /// Vendor.
    pub vendor: u16,
    /// Product.
    pub product: u16,
    /// What it calls itself.
    pub name: Option<String>,
}

/// A debug probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Its address in a bench file.
    pub at: String,
    /// What it calls itself.
    pub name: String,
}

/// The serial ports, in the order of their addresses; `dev` is where devices are, `/dev`. A port without
/// hardware behind it is not among them.
pub fn serial_ports(dev: &Path) -> Vec<SerialPort> {
    let mut found: BTreeMap<PathBuf, Option<Usb>> = known(dev);
    let mut ports = Vec::new();
    for (link, device) in links(&dev.join("serial/by-id")) {
        let usb = found.remove(&device).flatten();
        ports.push(SerialPort {
            at: link.display().to_string(),
            device: Some(device.display().to_string()),
            usb,
        });
    }
    ports.extend(found.into_iter().map(|(device, usb)| SerialPort {
        at: device.display().to_string(),
        device: None,
        usb,
    }));
    ports
}

/// What the operating system knows.
fn known(dev: &Path) -> BTreeMap<PathBuf, Option<Usb>> {
    // Without it the crate panics, as in a container that has no devices at all.
    let missing = cfg!(target_os = "linux") && !Path::new("/sys/class/tty").is_dir();
    if missing || dev != Path::new("/dev") {
        return BTreeMap::new();
    }
    let ports = serialport::available_ports()
        .unwrap_or_default()
        .into_iter();
    let usb = |usb: UsbPortInfo| Usb {
        vendor: usb.vid,
        product: usb.pid,
        name: usb.product.or(usb.manufacturer),
    };
    ports
        .map(|port| {
            let info = match port.port_type {
                SerialPortType::UsbPort(info) => Some(usb(info)),
                _ => None,
            };
            (PathBuf::from(port.port_name), info)
        })
        .collect()
}

/// Links of a folder and what they lead to, in the order of their names.
fn links(folder: &Path) -> Vec<(PathBuf, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut links: Vec<(PathBuf, PathBuf)> = entries
        .filter_map(|entry| {
            let link = entry.ok()?.path();
            let device = link.canonicalize().ok()?;
            Some((link, device))
        })
        .collect();
    links.sort();
    links
}

/// The debug probes that probe-rs sees.
pub fn probes() -> Vec<Probe> {
    let found = Lister::new().list_all();
    let probe = |found: &probe_rs::probe::DebugProbeInfo| {
        let serial = found.serial_number.as_deref().unwrap_or_default();
        let (vendor, product) = (found.vendor_id, found.product_id);
        Probe {
            at: format!("{vendor:04x}:{product:04x}:{serial}"),
            name: found.identifier.clone(),
        }
    };
    found.iter().map(probe).collect()
}

/// The GPIO character devices of Linux, in the order of their names.
pub fn gpio_chips(dev: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dev).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let chips = paths.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("gpiochip")
    });
    let mut chips: Vec<String> = chips.map(|path| path.display().to_string()).collect();
    chips.sort();
    chips
}
