//! The power of USB ports of an emulated computer with two hubs, of which one switches it. What the kernel and the
//! emulated hub saw is compared with what `lockrig` says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::guest::{Archive, Guest, given};

const COMMAND_MAX: Duration = Duration::from_secs(120);

/// A bench whose probe is not there; a device that is none stands at its place.
const BENCH: &[u8] =
    b"bench = \"hung\"\nversion = 1\nchip = \"nRF51822_xxAA\"\nuncertainty = \"1 ms\"\n\
    [ports]\nprobe = { at = \"1366:1015:1\" }\n[probe]\nport = \"probe\"\nusb-port = \"1-1.1\"\n\
    [rest]\norder = []\n";

const MODULES: &[u8] = b"for module in usb-common usbcore xhci-hcd xhci-pci; do insmod $module.ko; done\n\
    for i in $(seq 400); do [ -e /sys/bus/usb/devices/1-2.1/devnum ] && break; usleep 50000; done\n";

const FLASH: &str =
    "lockrig flash reference-safe --bench /root/bench.toml --profile stack-on-red-button";

fn boot() -> Guest {
    let lockrig = PathBuf::from(env!("CARGO_BIN_EXE_lockrig"));
    let mut archive = Archive::with_libraries(&given("LOCKRIG_PC_BUSYBOX"), &lockrig);
    for module in ["usb-common.ko", "usbcore.ko", "xhci-hcd.ko", "xhci-pci.ko"] {
        let path = given("LOCKRIG_PC_USB").join(module);
        archive.add_file(&format!("root/{module}"), &path);
    }
    archive.add("root/modules.sh", MODULES);
    archive.add("root/bench.toml", BENCH);
    let mut guest = Guest::boot("ttyS0", archive, |folder| {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-M", "q35", "-m", "512", "-nic", "none", "-kernel"])
            .arg(given("LOCKRIG_PC_KERNEL"))
            .args(["-device", "qemu-xhci,id=usb"])
            .args(["-device", "usb-hub,bus=usb.0,port=1,port-power=on"])
            .args(["-device", "usb-tablet,bus=usb.0,port=1.1"])
            .args(["-device", "usb-tablet,bus=usb.0,port=1.2"])
            .args(["-device", "usb-hub,bus=usb.0,port=2"])
            .args(["-device", "usb-tablet,bus=usb.0,port=2.1"])
            .args(["-trace", "usb_hub_*_port_feature", "-D"])
            .arg(folder.join("trace"));
        qemu
    });
    guest.wait_for_shell();
    guest
}

/// The number that the kernel gave a device when it was plugged in.
fn number(guest: &mut Guest, place: &str) -> String {
    let (said, code) = guest.run(
        &format!("cat /sys/bus/usb/devices/{place}/devnum"),
        COMMAND_MAX,
    );
    assert_eq!(code, 0, "{said}");
    // The shell greets before its first answer.
    said.lines().last().unwrap_or_default().trim().to_owned()
}

/// How often the emulated hub switched the power of its ports off.
fn switched_off(guest: &Guest) -> Vec<String> {
    let trace = fs::read_to_string(guest.socket("trace")).expect("QEMU writes it");
    let told = trace.lines().filter(|line| line.contains("feature power"));
    let (mut off, mut is_off) = (Vec::new(), false);
    for line in told {
        if line.contains("clear_port_feature") {
            off.push(line.to_owned());
            is_off = true;
        } else if off
            .last()
            .is_some_and(|last| line.replace("set_port_feature", "clear_port_feature") == *last)
        {
            is_off = false;
        }
    }
    assert!(!is_off, "a port stayed off:\n{trace}");
    off
}

#[test]
#[ignore = "needs an emulated computer: call .ci/pins"]
fn a_port_loses_its_power_and_the_kernel_and_the_hub_see_it() {
    let mut guest = boot();
    let before = number(&mut guest, "1-1.1");
    let beside = number(&mut guest, "1-1.2");
    let (said, code) = guest.run(&format!("{FLASH} 2>&1"), COMMAND_MAX);
    assert_eq!(code, 3, "{said}");
    println!("{said}");
    assert!(
        said.contains("its USB port was switched off and on before this second attempt"),
        "{said}"
    );
    assert_ne!(
        number(&mut guest, "1-1.1"),
        before,
        "it was plugged in anew"
    );
    assert_eq!(number(&mut guest, "1-1.2"), beside);
    let (log, _) = guest.run("dmesg | grep 'usb 1-1.1: '", COMMAND_MAX);
    println!("{log}");
    let gone = log.find("USB disconnect").expect("the kernel saw it go");
    assert!(log[gone..].contains("new full-speed USB device"), "{log}");
    let off = switched_off(&guest);
    println!("{off:?}");
    assert_eq!(off.len(), 1, "{off:?}");
    assert!(off[0].contains("port 1, feature power"), "{off:?}");
}

#[test]
#[ignore = "needs an emulated computer: call .ci/pins"]
fn a_hub_that_may_not_or_cannot_switch_is_named_and_nothing_is_switched() {
    let mut guest = boot();
    let before = number(&mut guest, "1-1.1");
    let as_user = format!("su guest -c '{FLASH}' 2>&1");
    let (said, code) = guest.run(&as_user, COMMAND_MAX);
    assert_eq!(code, 3, "{said}");
    println!("{said}");
    assert!(
        said.contains("it was not power-cycled: no permission for /sys/bus/usb/devices/1-1:1.0/1-1-port1/disable"),
        "{said}"
    );
    assert_eq!(number(&mut guest, "1-1.1"), before);

    guest.run("sed -i s/1-1.1/1-2.1/ /root/bench.toml", COMMAND_MAX);
    let (said, code) = guest.run(&format!("{FLASH} 2>&1"), COMMAND_MAX);
    assert_eq!(code, 3, "{said}");
    println!("{said}");
    assert!(
        said.contains("hub 1-2 says that it does not switch the power of its ports"),
        "{said}"
    );
    assert_eq!(switched_off(&guest), Vec::<String>::new());

    // What the udev rule does.
    guest.run(
        "sed -i s/1-2.1/1-1.1/ /root/bench.toml; chown guest /sys/bus/usb/devices/1-1:1.0/1-1-port1/disable",
        COMMAND_MAX,
    );
    let (said, code) = guest.run(&as_user, COMMAND_MAX);
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("its USB port was switched off and on"),
        "{said}"
    );
    assert_ne!(number(&mut guest, "1-1.1"), before);
}
