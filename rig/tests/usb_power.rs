//! A probe that hangs, behind a hub that can switch its port off: what lockrig does about it, and what it says. The
//! kernel's files lie in a folder, and the virtual bench stands underneath, so that this takes bench time and no
//! other. `pins` has a test on a real kernel.
#![cfg(unix)]

mod one_run;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lockrig::bench::BenchFile;
use lockrig::campaign::{Opener, Ran};
use lockrig::event::Nanos;
use lockrig::port::sim::SimPorts;
use lockrig::port::usb_power::UsbPort;
use lockrig::port::{
    Branch, Input, Interrupt, Level, LineId, Observation, OutputId, Outputs, PortId, PortProblem,
    PortTrouble, Ports, ProbePort, Signal, Waited,
};
use lockrig::verdict::Verdict;
use rstest::rstest;
use tempfile::TempDir;

const PLACE: &str = "1-1.4";
const PORT: &str = "1-1:1.0/1-1-port4";

/// A hub as the kernel shows it, with a device at its fourth port.
fn hub() -> TempDir {
    let devices = TempDir::new().expect("a temporary folder");
    add_port(devices.path(), PORT);
    fs::create_dir(devices.path().join(PLACE)).expect("a device");
    devices
}

fn add_port(devices: &Path, port: &str) {
    let port = devices.join(port);
    fs::create_dir_all(port.join("power")).expect("a port");
    fs::write(port.join("power/pm_qos_no_power_off"), "0\n").expect("a hub that switches power");
    fs::write(port.join("disable"), "0\n").expect("a switch");
}

/// The kernel's part: a device goes with its power, and is back with it.
struct Kernel {
    devices: PathBuf,
    port: &'static str,
    place: &'static str,
    /// What the switch was told, each once.
    told: Vec<String>,
}

impl Kernel {
    fn new(devices: &Path) -> Kernel {
        Kernel {
            devices: devices.to_owned(),
            port: PORT,
            place: PLACE,
            told: Vec::new(),
        }
    }

    /// Whether something new was told.
    fn looks(&mut self) -> bool {
        let says = fs::read_to_string(self.devices.join(self.port).join("disable"));
        let says = says.expect("the switch").trim().to_owned();
        let before = self.told.last().map_or("0", String::as_str);
        if says == before {
            return false;
        }
        let device = self.devices.join(self.place);
        match says.as_str() {
            "1" => fs::remove_dir(device).expect("it was there"),
            _ => fs::create_dir(device).expect("it was gone"),
        }
        self.told.push(says);
        true
    }
}

#[rstest]
#[case::behind_a_hub(PLACE, PORT)]
#[case::at_the_root_hub("2-3", "2-0:1.0/usb2-port3")]
#[case::far_down("1-1.4.2", "1-1.4:1.0/1-1.4-port2")]
fn the_port_is_off_for_a_second_and_on_until_the_device_is_back(
    #[case] place: &'static str,
    #[case] port: &'static str,
) {
    let devices = hub();
    add_port(devices.path(), port);
    fs::create_dir_all(devices.path().join(place)).expect("a device");
    let mut kernel = Kernel {
        port,
        place,
        ..Kernel::new(devices.path())
    };
    let mut waited = Vec::new();
    let port = UsbPort::new(devices.path(), place);
    port.power_cycle(&mut |span| {
        kernel.looks();
        waited.push((span, kernel.told.last().cloned()));
    })
    .expect("the hub can");
    assert_eq!(kernel.told, ["1", "0"]);
    assert_eq!(waited[0], (Nanos::from_secs(1), Some("1".to_owned())));
    assert!(
        waited[1..]
            .iter()
            .all(|(_, told)| told.as_deref() == Some("0"))
    );
}

#[test]
fn a_socket_with_a_port_of_either_speed_loses_its_power_at_both() {
    let devices = hub();
    let other = "2-1:1.0/2-1-port4";
    add_port(devices.path(), other);
    let other = devices.path().join(other);
    symlink(&other, devices.path().join(PORT).join("peer")).expect("a link");
    let mut kernel = Kernel::new(devices.path());
    let mut seen = Vec::new();
    UsbPort::new(devices.path(), PLACE)
        .power_cycle(&mut |_| {
            kernel.looks();
            seen.push(fs::read_to_string(other.join("disable")).expect("a switch"));
        })
        .expect("the hub can");
    assert_eq!(seen[0], "1");
    assert!(seen[1..].iter().all(|says| says == "0"), "{seen:?}");
}

fn no_hub(devices: &Path) {
    fs::remove_dir_all(devices.join("1-1:1.0")).expect("it was there");
}

fn no_port(devices: &Path) {
    fs::remove_dir_all(devices.join(PORT)).expect("it was there");
}

fn an_old_kernel(devices: &Path) {
    fs::remove_file(devices.join(PORT).join("disable")).expect("it was there");
}

fn always_on(devices: &Path) {
    fs::remove_file(devices.join(PORT).join("power/pm_qos_no_power_off")).expect("it was there");
}

/// A switch that takes every order, and stays as it is.
fn deaf(devices: &Path) {
    an_old_kernel(devices);
    symlink("/dev/null", devices.join(PORT).join("disable")).expect("a link");
}

#[rstest]
#[case(no_hub, "there is no hub 1-1")]
#[case(no_port, "hub 1-1 has no port 4")]
#[case(an_old_kernel, "this system cannot switch port 4 of hub 1-1")]
#[case(
    always_on,
    "hub 1-1 says that it does not switch the power of its ports"
)]
#[case(
    deaf,
    "USB port 1-1.4 was told to go off, and its hub says that it is on"
)]
fn a_hub_that_cannot_says_why_at_once(#[case] harm: fn(&Path), #[case] says: &str) {
    let devices = hub();
    harm(devices.path());
    let port = UsbPort::new(devices.path(), PLACE);
    let why = port.power_cycle(&mut |_| panic!("it was waited for nothing"));
    assert_eq!(why.expect_err("it cannot").to_string(), says);
}

#[test]
fn a_device_that_does_not_come_back_is_waited_for_in_vain_for_ten_seconds() {
    let devices = hub();
    fs::remove_dir(devices.path().join(PLACE)).expect("it was there");
    let mut waited = Nanos::ZERO;
    let cycled = UsbPort::new(devices.path(), PLACE).power_cycle(&mut |span| waited += span);
    assert_eq!(
        cycled.expect_err("nothing comes").to_string(),
        "USB port 1-1.4 was off for 1 s and is on again, and nothing came back within 10 s"
    );
    assert_eq!(waited, Nanos::from_secs(11));
    let switch = fs::read_to_string(devices.path().join(PORT).join("disable"));
    assert_eq!(switch.expect("a switch"), "0");
}

/// What a probe's port says until its power was gone.
#[derive(Clone, Copy)]
struct Hung {
    problem: PortProblem,
    says: &'static str,
    for_ever: bool,
}

/// The virtual bench as far as it is like a real one, with a probe that hangs behind a hub.
struct Hanging {
    ports: SimPorts,
    hung: Option<Hung>,
    kernel: Kernel,
    /// What the instruments held on whenever the port was switched.
    held: Arc<Mutex<Vec<(String, Outputs)>>>,
}

impl Ports for Hanging {
    fn now(&self) -> Nanos {
        self.ports.now()
    }
    fn bytes(&mut self, address: &str, baud: u32) -> Result<PortId, PortTrouble> {
        self.ports.bytes(address, baud)
    }
    fn line(&mut self, address: &str, pin: &str, input: &Input) -> Result<LineId, PortTrouble> {
        self.ports.line(address, pin, input)
    }
    fn output(&mut self, address: &str, pin: u16, level: Level) -> Result<OutputId, PortTrouble> {
        self.ports.output(address, pin, level)
    }
    fn drive(&mut self, output: OutputId, signal: Signal, at: Nanos) -> Result<(), PortTrouble> {
        self.ports.drive(output, signal, at)
    }
    fn probe(&mut self, address: &str) -> Result<ProbePort, PortTrouble> {
        match self.hung {
            None => self.ports.probe(address),
            Some(Hung { problem, says, .. }) => Err(PortTrouble {
                address: address.to_owned(),
                problem,
                saw: says.to_owned(),
            }),
        }
    }
    fn usb_port(&self, place: &str) -> Option<UsbPort> {
        Some(UsbPort::new(&self.kernel.devices, place))
    }
    fn write(&mut self, port: PortId, bytes: &[u8]) -> Result<(), PortTrouble> {
        self.ports.write(port, bytes)
    }
    fn level(&mut self, line: LineId) -> Result<Level, PortTrouble> {
        self.ports.level(line)
    }
    fn wait(&mut self, deadline: Nanos) -> Waited<Observation> {
        if self.kernel.looks() {
            self.hung = self.hung.filter(|hung| hung.for_ever);
            let told = self.kernel.told.last().cloned().unwrap_or_default();
            let branch = self.ports.branch().expect("a virtual bench has it");
            let held = branch.outputs().0;
            self.held.lock().expect("nobody panics").push((told, held));
        }
        self.ports.wait(deadline)
    }
    fn stood_still(&mut self) -> Nanos {
        self.ports.stood_still()
    }
    fn interrupt(&self) -> Interrupt {
        self.ports.interrupt()
    }
    fn branch(&mut self) -> Option<&mut dyn Branch> {
        None
    }
}

/// What came of one run on a bench whose probe hangs.
struct Outcome {
    ran: Ran,
    held: Vec<(String, Outputs)>,
    folder: TempDir,
}

impl Outcome {
    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join("run").join(name)).expect("it was written")
    }
}

fn run(hung: Hung, devices: &Path) -> Outcome {
    let scenario = one_run::opens();
    let mut bench = one_run::virtual_safe();
    bench.emulates = None;
    bench.usb_port = Some(PLACE.to_owned());
    let held = Arc::new(Mutex::new(Vec::new()));
    let (devices, seen) = (devices.to_owned(), Arc::clone(&held));
    let open: Opener = Arc::new(move |_: &BenchFile, seed, interrupt| {
        Ok(Box::new(Hanging {
            ports: SimPorts::new("virtual-safe", seed, interrupt).expect("there is one"),
            hung: Some(hung),
            kernel: Kernel::new(&devices),
            held: Arc::clone(&seen),
        }))
    });
    let group = one_run::group(bench, &scenario, "reference-safe");
    let (ran, folder) = one_run::carry_out(group, open);
    let held = held.lock().expect("nobody panics").clone();
    Outcome { ran, held, folder }
}

const WEDGED: Hung = Hung {
    problem: PortProblem::Absent,
    says: "no such debug probe",
    for_ever: false,
};

#[test]
fn a_wedged_probe_is_power_cycled_once_at_rest_and_the_run_says_so() {
    let devices = hub();
    let outcome = run(WEDGED, devices.path());
    let summary = &outcome.ran.summary;
    assert_eq!(summary.verdict, Verdict::Pass, "{}", summary.because);
    let at_rest = |told: &str| (told.to_owned(), Outputs::default());
    assert_eq!(outcome.held, [at_rest("1"), at_rest("0")]);
    for (file, says) in [
        ("events.jsonl", "\"event\":\"probe-power-cycled\""),
        ("run.json", "\"power_cycled\": \"probe \\\"virtual-safe\\\""),
        ("report.html", "The probe was power-cycled before this run."),
        ("junit.xml", "name=\"POWER_CYCLED\""),
    ] {
        let written = outcome.file(file);
        assert!(written.contains(says), "{file} does not say it:\n{written}");
        assert!(written.contains("no such debug probe"), "{file}: {written}");
    }
    let mut said = Vec::new();
    let runs = [outcome.ran.summary];
    lockrig::report::terminal::summary(&mut said, &runs, Default::default(), "reports")
        .expect("memory takes it");
    let said = String::from_utf8(said).expect("it is text");
    assert!(
        said.contains("on virtual-safe the probe was power-cycled: probe "),
        "{said}"
    );
}

#[test]
fn one_that_still_hangs_is_not_power_cycled_again_and_both_attempts_are_told() {
    let devices = hub();
    let for_ever = Hung {
        for_ever: true,
        ..WEDGED
    };
    let outcome = run(for_ever, devices.path());
    assert_eq!(outcome.ran.summary.verdict, Verdict::Broken);
    assert_eq!(outcome.held.len(), 2, "once off, once on");
    let decision = outcome.ran.summary.decision.expect("it was decided");
    let hint = decision.hint.expect("there is one");
    assert!(
        hint.contains(
            "; its USB port was switched off and on before this second attempt, because of: probe "
        ),
        "{hint}"
    );
}

#[test]
fn where_the_hub_cannot_the_trouble_is_the_probes_and_the_hint_is_the_hubs() {
    let devices = hub();
    always_on(devices.path());
    let outcome = run(WEDGED, devices.path());
    assert_eq!(outcome.ran.summary.verdict, Verdict::Broken);
    assert_eq!(outcome.held, []);
    let because = &outcome.ran.summary.because;
    assert!(because.ends_with("no such debug probe"), "{because}");
    let decision = outcome.ran.summary.decision.expect("it was decided");
    let hint = decision.hint.expect("there is one");
    assert!(
        hint.ends_with(
            "; it was not power-cycled: hub 1-1 says that it does not switch the power of its ports; put the \
             probe behind a hub that switches power per port; uhubctl keeps a list of them"
        ),
        "{hint}"
    );
}

#[rstest]
#[case::of_another_program(PortProblem::Busy, "in use")]
#[case::of_another_user(PortProblem::Denied, "permission denied")]
fn a_probe_that_works_is_left_alone(#[case] problem: PortProblem, #[case] says: &'static str) {
    let devices = hub();
    let hung = Hung {
        problem,
        says,
        for_ever: true,
    };
    let outcome = run(hung, devices.path());
    assert_eq!(outcome.ran.summary.verdict, Verdict::Broken);
    assert_eq!(outcome.held, []);
    assert!(!outcome.file("events.jsonl").contains("USB port"));
}
