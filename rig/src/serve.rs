//! The virtual bench on real ports, in real time, for tools that are not lockrig.
//!
//! [`endpoint`] opens the ports; [`Server`] owns the bench and its clock. One thread does everything
//! that concerns the bench: it lets bench time follow the clock, moves bytes between the ports and the
//! instruments, and answers debuggers, each of whose accesses takes bench time as on a wire. So
//! nothing about the bench is ever done twice at once.
//!
//! While a debugger holds the core, time goes on for the instruments, as on a real bench - except on a
//! bench that was stopped at a moment ([`Clock::StandsWhileHalted`]): there it stands for as long as
//! the core does.

pub mod bench_file;
pub mod endpoint;
pub mod gdb;

use std::fmt::Write as _;
use std::future::Future;
use std::io::Write;
use std::time::{Duration, Instant};

pub use lockrig_sim::bench::VirtualBench;
use lockrig_sim::bench::cylinder::{CylinderBench, CylinderSpec};
use lockrig_sim::bench::{Observation, Outputs, Port, Seen};
use lockrig_sim::chip::debug::Target;
use lockrig_sim::probe::BlackMagicProbe;
use lockrig_sim::time::Ticks;
use serde::Serialize;

use endpoint::{Endpoints, Incoming, What};
use gdb::{Core, Debugger};

/// How often the bench is brought up to the clock when nothing comes in.
const ROUND: Duration = Duration::from_millis(1);
/// How far a debugger's accesses may bring the bench ahead of the clock before its answer waits.
const LEAD_MAX: Ticks = Ticks::from_millis(2);

/// What a port speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// The Black Magic Probe's remote protocol.
    Probe,
    /// gdb's remote serial protocol.
    Gdb,
    /// Whatever the instrument behind this port speaks.
    Instrument(Port),
}

impl Service {
    /// Every service that any virtual bench has.
    pub fn all() -> impl Iterator<Item = Service> {
        [Service::Probe, Service::Gdb]
            .into_iter()
            .chain(Port::ALL.map(Service::Instrument))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Service::Probe => "probe",
            Service::Gdb => "gdb",
            Service::Instrument(port) => port.name(),
        }
    }

    /// The address by which bench files on the virtual bench name it; none for what they do not.
    pub fn sim_address(self) -> Option<String> {
        match self {
            Service::Probe => Some("sim:swd".to_owned()),
            Service::Gdb => None,
            Service::Instrument(port) => Some(format!("sim:{port}")),
        }
    }
}

/// A port that is open, as it is told to people and programs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Place {
    /// The service's name.
    pub name: &'static str,
    /// Where it is: a path, `tcp://host:port`, or what a debugger takes.
    pub at: String,
    /// Its pace, where it is a serial line.
    pub baud: Option<u32>,
}

/// A virtual bench that stands ready to be served.
pub enum Standing {
    /// One with a board, and a chip on it.
    Board(Box<VirtualBench>),
    /// One with a mechanical cylinder.
    Cylinder(Box<CylinderBench>),
}

impl Standing {
    /// The cylinder's bench of this name, as it is delivered; none, if there is no such bench.
    pub fn cylinder(name: &str, seed: u64) -> Option<Standing> {
        let spec = CylinderSpec::named(name)?;
        Some(Standing::Cylinder(Box::new(CylinderBench::new(
            &spec, seed,
        ))))
    }

    /// The services that it has, in the order in which they are told.
    pub fn services(&self) -> Vec<Service> {
        let (debugs, ports): (bool, &[Port]) = match self {
            Standing::Board(_) => (true, &VirtualBench::PORTS),
            Standing::Cylinder(_) => (false, &CylinderBench::PORTS),
        };
        Service::all()
            .filter(|service| match service {
                Service::Probe | Service::Gdb => debugs,
                Service::Instrument(port) => ports.contains(port),
            })
            .collect()
    }
}

/// What is served.
enum World {
    Board(Box<Core>),
    Cylinder(Box<CylinderBench>),
}

impl World {
    fn now(&self) -> Ticks {
        match self {
            World::Board(core) => core.bench.now(),
            World::Cylinder(bench) => bench.now(),
        }
    }

    fn run_until(&mut self, until: Ticks) -> Option<Observation> {
        match self {
            World::Board(core) => core.bench.run_until(until),
            World::Cylinder(bench) => bench.run_until(until),
        }
    }

    fn write(&mut self, port: Port, bytes: &[u8]) {
        match self {
            World::Board(core) => core.bench.write(port, bytes),
            World::Cylinder(bench) => bench.write(port, bytes),
        }
    }

    /// The core, where there is one.
    fn core(&mut self) -> Option<&mut Core> {
        match self {
            World::Board(core) => Some(core),
            World::Cylinder(_) => None,
        }
    }

    /// Whether a debugger holds the core.
    fn is_halted(&self) -> bool {
        match self {
            World::Board(core) => core.bench.chip().is_halted(),
            World::Cylinder(_) => false,
        }
    }
}

/// How bench time follows the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// Always.
    Follows,
    /// But while a debugger holds the core. Every debugger that comes when no other is there finds
    /// the bench as it was at first.
    StandsWhileHalted,
}

/// The bench behind its ports.
pub struct Server {
    world: World,
    /// The bench as it was at first, where it goes back there.
    moment: Option<VirtualBench>,
    clock: Clock,
    /// Where bench time should be.
    due: Ticks,
    /// When that was looked at last.
    looked: Instant,
    /// By how much bench time was behind the clock at most.
    late: Ticks,
    endpoints: Endpoints,
    probe: Option<BlackMagicProbe>,
    debugger: Option<Debugger>,
    log: Option<Log>,
}

/// What is written down of a bench: who has its ports, and what its instruments hold on.
struct Log {
    to: Box<dyn Write>,
    outputs: Outputs,
}

/// A line of the log.
#[derive(Serialize)]
struct Entry {
    /// Bench time in nanoseconds.
    at: u64,
    #[serde(flatten)]
    what: Logged,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Logged {
    /// A client has opened this port.
    Opened(&'static str),
    /// A client has closed it, or ended.
    Closed(&'static str),
    /// From now on these relays are energised, and the supply's output is at this voltage, or off.
    Outputs {
        relays: Vec<u8>,
        millivolts: Option<u32>,
    },
}

impl Log {
    fn write(&mut self, at: Ticks, what: Logged) {
        let at = at.as_nanos();
        let line = serde_json::to_string(&Entry { at, what }).expect("an entry is text");
        // A log that cannot be written must not stop a bench that others use.
        let _ = writeln!(self.to, "{line}");
    }

    fn look(&mut self, at: Ticks, outputs: Outputs) {
        if outputs != self.outputs {
            self.outputs = outputs.clone();
            let Outputs { relays, millivolts } = outputs;
            self.write(at, Logged::Outputs { relays, millivolts });
        }
    }
}

impl Server {
    /// A bench whose time goes on from where it stands as soon as it is served.
    pub fn new(bench: Standing, clock: Clock, endpoints: Endpoints) -> Server {
        let mut moment = None;
        let world = match bench {
            Standing::Board(bench) => {
                if clock == Clock::StandsWhileHalted {
                    moment = Some((*bench).clone());
                }
                World::Board(Box::new(Core::new(*bench)))
            }
            Standing::Cylinder(bench) => World::Cylinder(bench),
        };
        Server {
            due: world.now(),
            world,
            moment,
            clock,
            looked: Instant::now(),
            late: Ticks::ZERO,
            endpoints,
            probe: None,
            debugger: None,
            log: None,
        }
    }

    /// From now on writes down who has which port, and what the instruments hold on: a JSON object a line.
    pub fn logged(mut self, to: Box<dyn Write>) -> Server {
        let outputs = Outputs::default();
        self.log = Some(Log { to, outputs });
        self
    }

    /// Serves until `stop`; returns by how much bench time was behind the clock at most, because the
    /// machine did not let it run.
    pub async fn serve(mut self, stop: impl Future<Output = ()>) -> Duration {
        let mut stop = std::pin::pin!(stop);
        self.looked = Instant::now();
        loop {
            self.catch_up();
            let incoming = tokio::select! {
                biased;
                () = &mut stop => return Duration::from_nanos(self.late.as_nanos()),
                incoming = self.endpoints.next() => Some(incoming),
                () = tokio::time::sleep(ROUND) => None,
            };
            self.catch_up();
            if let Some(incoming) = incoming {
                self.heed(incoming).await;
            }
        }
    }

    /// Whether time stands because the core does.
    fn stands(&self) -> bool {
        self.clock == Clock::StandsWhileHalted && self.world.is_halted()
    }

    /// Brings the bench up to the clock.
    fn catch_up(&mut self) {
        let now = Instant::now();
        let passed = now.duration_since(self.looked);
        self.looked = now;
        let stands = self.stands();
        if !stands {
            self.due += Ticks::from_nanos(passed.as_nanos() as u64);
            self.late = self.late.max(self.due.since(self.world.now()));
        }
        while let Some(seen) = self.world.run_until(self.due) {
            if let Seen::Bytes { port, bytes } = seen.what {
                self.endpoints.send(Service::Instrument(port), bytes);
            }
        }
        if stands {
            self.due = self.due.max(self.world.now());
        }
        if let (Some(log), World::Board(core)) = (&mut self.log, &self.world) {
            log.look(core.bench.now(), core.bench.outputs());
        }
        if let (Some(debugger), Some(core)) = (&mut self.debugger, self.world.core()) {
            let answer = debugger.look(core);
            self.endpoints.send(Service::Gdb, answer);
        }
    }

    async fn heed(&mut self, incoming: Incoming) {
        let port = incoming.service.name();
        let what = match incoming.what {
            What::Opened => Some(Logged::Opened(port)),
            What::Closed => Some(Logged::Closed(port)),
            What::Bytes(_) => None,
        };
        if let (Some(log), Some(what)) = (&mut self.log, what) {
            log.write(self.world.now(), what);
        }
        match (incoming.service, incoming.what) {
            (Service::Instrument(port), What::Bytes(bytes)) => self.world.write(port, &bytes),
            (Service::Instrument(_), What::Opened | What::Closed) => {}
            (Service::Probe, What::Opened) => {
                self.back_to_the_moment();
                self.probe = Some(BlackMagicProbe::default());
            }
            (Service::Probe, What::Closed) => self.probe = None,
            (Service::Probe, What::Bytes(bytes)) => {
                let (Some(probe), Some(core)) = (&mut self.probe, self.world.core()) else {
                    return;
                };
                let mut answer = String::new();
                for byte in bytes {
                    if let Some(text) = probe.receive(byte, &mut core.bench) {
                        answer += &text;
                    }
                }
                self.answer_in_time(Service::Probe, answer.into_bytes())
                    .await;
            }
            (Service::Gdb, What::Opened) => {
                self.back_to_the_moment();
                self.debugger = self.world.core().map(Debugger::attach);
            }
            (Service::Gdb, What::Closed) => {
                if let (Some(debugger), Some(core)) = (self.debugger.take(), self.world.core()) {
                    debugger.detach(core);
                }
            }
            (Service::Gdb, What::Bytes(bytes)) => {
                let (Some(debugger), Some(core)) = (&mut self.debugger, self.world.core()) else {
                    return;
                };
                let mut answer = Vec::new();
                for byte in bytes {
                    answer.extend(debugger.receive(byte, core));
                }
                self.answer_in_time(Service::Gdb, answer).await;
            }
        }
    }

    /// A debugger came, and no other is there.
    fn back_to_the_moment(&mut self) {
        if self.probe.is_none()
            && self.debugger.is_none()
            && let (Some(moment), Some(core)) = (&self.moment, self.world.core())
        {
            core.bench = moment.clone();
            self.due = self.world.now();
        }
    }

    /// Sends an answer once the clock has come to where the accesses for it brought the bench.
    async fn answer_in_time(&mut self, service: Service, answer: Vec<u8>) {
        let lead = self.world.now().since(self.due);
        if self.stands() {
            self.due = self.due.max(self.world.now());
        } else if lead > LEAD_MAX {
            tokio::time::sleep(Duration::from_nanos(lead.as_nanos())).await;
        }
        self.endpoints.send(service, answer);
    }
}

/// Halts the core as a debugger does that was there all the time. False, if it does not run: it has no
/// supply.
pub fn halt(bench: &mut VirtualBench) -> bool {
    Target::chip(bench).halt_at_once()
}

/// The ports, for people.
pub fn describe(places: &[Place]) -> String {
    let mut text = String::new();
    for Place { name, at, baud } in places {
        let baud = baud.map_or(String::new(), |baud| format!("  {baud} baud"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<12} {at}{baud}");
    }
    text
}
