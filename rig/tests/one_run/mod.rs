//! One run of a scenario on a bench that a test made itself, below the command: of a STACK-ON, with a reference image.
#![allow(dead_code, reason = "no test needs all of it")]

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use lockrig::bench::BenchFile;
use lockrig::campaign::{Campaign, Group, Job, Opener, Ran, Report, chip_of};
use lockrig::event::Nanos;
use lockrig::image::Image;
use lockrig::port::sim::SimPorts;
use lockrig::port::{
    Branch, Input, Interrupt, Level, LineId, Observation, OutputId, PortId, PortTrouble, Ports,
    ProbePort, Seen, Signal, Waited,
};
use lockrig::profile::{Product, codes};
use lockrig::scenario::{self, Course, Requirements, Scenario};
use lockrig::snapshot::Key;
use lockrig::source::Source;
use tempfile::TempDir;

fn root() -> &'static Path {
    let rig = Path::new(env!("CARGO_MANIFEST_DIR"));
    rig.parent().expect("rig has a parent")
}

/// How much later something leaves through the port that is tampered with.
pub type HeldBack = dyn FnMut(&[u8]) -> Nanos + Send;

/// The virtual bench as far as it is like a real one.
pub struct OnlyPorts {
    ports: SimPorts,
    /// Called whenever somebody asks for the probe.
    pub before_probe: Box<dyn FnMut() + Send>,
    /// The port at this address is tampered with.
    pub tampered: &'static str,
    /// While it is set, what comes through that port is not heard.
    pub deaf: Arc<AtomicBool>,
    /// What comes through it next.
    pub comes: Arc<Mutex<Option<Vec<u8>>>>,
    pub held_back: Box<HeldBack>,
    waiting: Option<(Nanos, Vec<u8>)>,
    /// For how long, when time is to pass next, nobody takes what is observed.
    pub away: Arc<Mutex<Nanos>>,
    backlog: VecDeque<Observation>,
    port: Option<PortId>,
}

impl OnlyPorts {
    pub fn new(ports: SimPorts) -> OnlyPorts {
        let before_probe = Box::new(|| ());
        OnlyPorts {
            ports,
            before_probe,
            tampered: "",
            deaf: Arc::default(),
            comes: Arc::default(),
            held_back: Box::new(|_| Nanos::ZERO),
            waiting: None,
            away: Arc::default(),
            backlog: VecDeque::new(),
            port: None,
        }
    }
}

impl Ports for OnlyPorts {
    fn now(&self) -> Nanos {
        self.ports.now()
    }
    fn bytes(&mut self, address: &str, baud: u32) -> Result<PortId, PortTrouble> {
        let port = self.ports.bytes(address, baud)?;
        if address == self.tampered {
            self.port = Some(port);
        }
        Ok(port)
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
        (self.before_probe)();
        self.ports.probe(address)
    }
    fn write(&mut self, port: PortId, bytes: &[u8]) -> Result<(), PortTrouble> {
        let held_back = match self.port == Some(port) {
            true => (self.held_back)(bytes),
            false => Nanos::ZERO,
        };
        if held_back > Nanos::ZERO {
            self.waiting = Some((self.now() + held_back, bytes.to_vec()));
            return Ok(());
        }
        self.ports.write(port, bytes)
    }
    fn level(&mut self, line: LineId) -> Result<Level, PortTrouble> {
        self.ports.level(line)
    }
    fn wait(&mut self, deadline: Nanos) -> Waited<Observation> {
        let comes = self.comes.lock().expect("nobody panics").take();
        if let (Some(bytes), Some(port)) = (comes, self.port) {
            let what = Seen::Bytes { port, bytes };
            return Waited::Saw(Observation {
                at: self.now(),
                what,
            });
        }
        let away = std::mem::take(&mut *self.away.lock().expect("nobody panics"));
        let back = self.now() + away;
        while away > Nanos::ZERO
            && let Waited::Saw(observation) = self.ports.wait(back)
        {
            self.backlog.push_back(observation);
        }
        if let Some(observation) = self.backlog.pop_front() {
            return Waited::Saw(observation);
        }
        loop {
            let leaves = self.waiting.as_ref().map(|(at, _)| *at);
            match self
                .ports
                .wait(leaves.map_or(deadline, |at| at.min(deadline)))
            {
                Waited::Deadline if leaves.is_some_and(|at| at <= self.now()) => {
                    let waiting = self.waiting.take();
                    if let (Some((_, bytes)), Some(port)) = (waiting, self.port) {
                        self.ports.write(port, &bytes).expect("it is open");
                    }
                }
                Waited::Saw(Observation {
                    what: Seen::Bytes { port, .. },
                    ..
                }) if self.deaf.load(Ordering::Relaxed) && self.port == Some(port) => {}
                waited => return waited,
            }
        }
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

/// A file of the project.
pub fn source(path: &str) -> Source {
    let path: PathBuf = root().join(path);
    let text = fs::read_to_string(&path).expect("it is there");
    Source::new(path.display().to_string(), text)
}

/// The virtual safe, which says that it is one.
pub fn virtual_safe() -> BenchFile {
    BenchFile::read(&source("boards/virtual-safe.toml")).expect("it is right")
}

/// The same, where no line proves that a key was pressed.
pub fn virtual_safe_without_proof() -> BenchFile {
    let text = source("boards/virtual-safe.toml");
    let text = text.text().replacen("line = \"key\"\n", "", 1);
    BenchFile::read(&Source::new("bench.toml", text)).expect("it is right")
}

/// A scenario file.
pub fn read(source: &Source) -> Scenario {
    let requirements = self::source("scenarios/requirements.yaml");
    let requirements = Requirements::read(&requirements).expect("they are right");
    Scenario::read(source, &requirements).unwrap_or_else(|why| panic!("{why}"))
}

/// A scenario of one step: a code opens.
pub fn opens() -> Scenario {
    let text = "scenario: opens\nversion: 1\nintent: A code opens.\nneeds: [keypad, bolt]\n\
                covers: [R01]\ncodes: { own: user }\n\
                given: { door: open, supply: fresh, user-codes: [$own] }\nsteps:\n  - opens: $own\n";
    read(&Source::new("opens.yaml", text))
}

/// The first run of the scenario, called "run".
pub fn group(bench: BenchFile, scenario: &Scenario, image: &str) -> Group {
    let profile = source("scenarios/profiles/stack-on-red-button.yaml");
    let product = Arc::new(Product::read(&profile).expect("it is right"));
    let lock = product.lock().expect("it has codes");
    let page = lock.personality().expect("it has one").to_page();
    let bytes = root().join(format!("firmware/images/{image}.elf"));
    let bytes = fs::read(bytes).expect("committed");
    let chip = chip_of(&bench).expect("it is known").expect("it has one");
    let image = Image::read(image, &bytes, &chip).expect("it is an image");
    let image = image.with_personality(&page.expect("it fits"));
    let plan = scenario::plan(scenario, lock).expect("it fits").remove(0);
    let Course::Runs(script) = plan.course.clone() else {
        panic!("it is skipped");
    };
    let made = codes::generate(lock, 1, &script.codes).expect("there are such codes");
    let job = Job {
        id: "run".to_owned(),
        number: 0,
        key: Key {
            bench: bench.name.clone(),
            profile: product.id().to_owned(),
            flow: plan.scenario.clone(),
        },
        plan: Arc::new(plan),
        script: Arc::new(script),
        codes: Arc::new(made),
        seed: 1,
        files: Vec::new(),
        repetition: 0,
    };
    Group {
        bench,
        profile: product,
        rehearses_on: None,
        image: Some(image.expect("it takes one")),
        personality: None,
        jobs: vec![job],
    }
}

/// Carries it out; its files are in the folder "run" of this folder.
pub fn carry_out(group: Group, open: Opener) -> (Ran, TempDir) {
    let (mut ran, folder) = carry_out_all(group, open, Arc::default());
    (ran.pop().expect("it ran"), folder)
}

/// Carries out all runs of a group, until somebody stops them.
pub fn carry_out_all(
    group: Group,
    open: Opener,
    cancelled: Arc<AtomicBool>,
) -> (Vec<Ran>, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    let campaign = Campaign {
        folder: folder.path().to_owned(),
        jobs: 1,
        open,
        interrupt: Interrupt::default(),
        cancelled,
        snapshots: None,
        attend: None,
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ran = runtime.block_on(async {
        let (told, mut reports) = tokio::sync::mpsc::channel(8);
        let listen = async {
            let mut ran = Vec::new();
            while let Some(report) = reports.recv().await {
                if let Report::Ran(run) = report {
                    ran.push(*run);
                }
            }
            ran
        };
        tokio::join!(campaign.carry_out(vec![group], told), listen).1
    });
    (ran, folder)
}
