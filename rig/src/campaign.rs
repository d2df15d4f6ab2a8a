//! Many runs: each board is flashed once for each image and personality, then the runs follow.
//!
//! On a virtual bench every run starts from a fork of a board that was flashed under the run's own seed,
//! so that a repetition gives the same events as a campaign of that seed; runs are independent and can
//! be carried out at once. On a real bench they follow each other, and the board is flashed anew
//! before each, because every scenario starts from the factory state.

use std::collections::BTreeMap;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::bench::operator::{Asked, Operator};
use crate::bench::{Bench, BenchFile, Feed, Rest, WhenLocked};
use crate::driver::DeviceTrouble;
use crate::driver::probe::{Attach, Flashing, Probe, ProbeTrouble};
use crate::event::{FileHash, Nanos, What};
use crate::image::{ChipMap, Image};
use crate::port::usb_power::{NotCycled, UsbPort};
use crate::port::{Interrupt, Ports, Waited};
use crate::profile::Product;
use crate::profile::codes::Code;
use crate::quantity::Millivolts;
use crate::report::{self, StepUnderWay, Summary, difference, summarise};
use crate::run::{self, Setup, Write};
use crate::scenario::{PlannedRun, Script};
use crate::snapshot::{Key, Outcome, Snapshots};
use crate::verdict::Verdict;

/// A bench with a board and a product on it, and the runs that are to be carried out there.
pub struct Group {
    /// The bench.
    pub bench: BenchFile,
    /// The product.
    pub profile: Arc<Product>,
    /// The image, with the product's personality in it where it takes one.
    pub image: Option<Image>,
    /// For a real bench: a virtual one with such a board, on which what needs it is rehearsed.
    pub rehearses_on: Option<BenchFile>,
    /// SHA-256 of the personality page, where there is one.
    pub personality: Option<String>,
    /// The runs, in the order in which they begin: those of one seed together.
    pub jobs: Vec<Job>,
}

/// One run to be carried out.
#[derive(Clone)]
pub struct Job {
    /// Its folder's name; unique in the campaign.
    pub id: String,
    /// Its place in the campaign.
    pub number: usize,
    /// Which scenario, product and variant it is.
    pub plan: Arc<PlannedRun>,
    /// Its steps.
    pub script: Arc<Script>,
    /// The codes that the seed gave.
    pub codes: Arc<BTreeMap<String, Code>>,
    /// The seed.
    pub seed: u64,
    /// Hashes of the files it is made from.
    pub files: Vec<FileHash>,
    /// The name of its flow among the approved ones.
    pub key: Key,
    /// Which repetition of its run it is, from 0.
    pub repetition: u32,
}

/// What is told while a campaign goes on.
pub enum Report {
    /// A board was flashed.
    Flashed {
        /// The bench and product.
        group: String,
    },
    /// A run is over.
    Ran(Box<Ran>),
}

/// A run that is over.
pub struct Ran {
    /// Its folder's name.
    pub id: String,
    /// Its place in the campaign.
    pub number: usize,
    /// What came of it.
    pub summary: Summary,
    /// Seed it had; none for a run that was skipped.
    pub seed: Option<u64>,
    /// Wall time it took.
    pub took: std::time::Duration,
    /// How its flow compares with the approved one, where that was asked for.
    pub snapshot: Option<Outcome>,
}

/// How ports are opened: given from outside, so that nothing here knows what a bench is made of.
pub type Opener =
    Arc<dyn Fn(&BenchFile, u64, Interrupt) -> Result<Box<dyn Ports>, DeviceTrouble> + Send + Sync>;

/// Opens ports that are open already, for the one bench that is connected to them.
pub fn opened(ports: Box<dyn Ports>) -> Opener {
    let ports = Mutex::new(Some(ports));
    Arc::new(move |_: &BenchFile, _: u64, _: Interrupt| {
        let ports = ports.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(ports.expect("a bench is connected once"))
    })
}

/// What a campaign needs besides its groups.
pub struct Campaign {
    /// Where the runs' folders go; it exists.
    pub folder: PathBuf,
    /// How many runs at once, on virtual benches.
    pub jobs: usize,
    /// Opens ports.
    pub open: Opener,
    /// Stops everything.
    pub interrupt: Interrupt,
    /// Set when no further run shall begin.
    pub cancelled: Arc<AtomicBool>,
    /// The approved flows, where flows are to be compared.
    pub snapshots: Option<Arc<Snapshots>>,
    /// Who attends to the benches; none where nobody does.
    pub attend: Option<Attend>,
}

/// Gives each run, by its folder's name, the person who can be asked in it.
pub type Attend = Arc<dyn Fn(&str) -> Box<dyn Operator> + Send + Sync>;

impl Campaign {
    /// Carries out all groups and tells of each run as it ends. On a real bench nothing else goes on;
    /// on virtual ones the next group begins where the last leaves places free. Runs that never began
    /// because the campaign was stopped are not told of.
    pub async fn carry_out(&self, groups: Vec<Group>, told: mpsc::Sender<Report>) {
        let mut running = Running {
            places: Arc::new(Semaphore::new(self.jobs.max(1))),
            tasks: JoinSet::new(),
        };
        for group in groups {
            if self.cancelled.load(Ordering::Relaxed) {
                break;
            }
            if group.bench.emulates.is_none() {
                running.end().await;
            }
            self.group(group, &mut running, &told).await;
        }
        running.end().await;
    }

    async fn group(&self, group: Group, running: &mut Running, told: &mpsc::Sender<Report>) {
        let group = Arc::new(group);
        let Some(first) = group.jobs.first() else {
            return;
        };
        let mut seed = first.seed;
        let place = running.place().await;
        let mut ready = match self.prepared(&group, seed).await {
            Ok(prepared) => Some(prepared),
            Err(trouble) => return self.broken(&group, &group.jobs, trouble, told).await,
        };
        drop(place);
        let name = format!("{} on {}", group.profile.id(), group.bench.name);
        let _ = told.send(Report::Flashed { group: name }).await;
        for (index, job) in group.jobs.iter().cloned().enumerate() {
            let place = running.place().await;
            if self.cancelled.load(Ordering::Relaxed) {
                break;
            }
            let is_virtual = group.bench.emulates.is_some();
            // A real instrument that went away may be back; who has its lock gives it up first.
            ready.take_if(|prepared| match is_virtual {
                true => job.seed != seed,
                false => prepared.bench.is_whole().is_err(),
            });
            let is_anew = ready.is_none();
            let mut prepared = match ready.take() {
                Some(prepared) => prepared,
                None => match self.prepared(&group, job.seed).await {
                    Ok(prepared) => prepared,
                    Err(trouble) => {
                        self.broken(&group, &[job], trouble, told).await;
                        continue;
                    }
                },
            };
            seed = job.seed;
            let (group, told, folder) =
                (Arc::clone(&group), told.clone(), self.folder.join(&job.id));
            let snapshots = self.snapshots.clone();
            let operator = self.attend.as_ref().map(|attend| attend(&job.id));
            if let Some(bench) = prepared.bench.fork() {
                let receipt = prepared.receipt.clone();
                running.tasks.spawn_blocking(move || {
                    let mut bench = bench;
                    bench.attend(operator);
                    let ran = one(
                        &group,
                        &job,
                        &mut bench,
                        receipt,
                        &[],
                        &folder,
                        snapshots.as_deref(),
                    );
                    drop(place);
                    let _ = told.blocking_send(Report::Ran(Box::new(ran)));
                });
                ready = Some(prepared);
            } else {
                let again = index > 0 && !is_anew;
                let (open, interrupt) = (Arc::clone(&self.open), self.interrupt.clone());
                let cancelled = Arc::clone(&self.cancelled);
                let outcome = tokio::task::spawn_blocking(move || {
                    prepared.bench.attend(operator);
                    let receipt = match again {
                        true => flash(&group, &mut prepared.bench),
                        false => Ok(prepared.receipt.clone()),
                    };
                    let rehearsed = receipt.and_then(|receipt| {
                        Ok((receipt, rehearse(&group, &job, &open, interrupt)?))
                    });
                    // Who stops it while it is flashed has stopped it.
                    if cancelled.load(Ordering::Relaxed) {
                        return (prepared, None);
                    }
                    let ran = match rehearsed {
                        Ok((receipt, rehearsal)) => one(
                            &group,
                            &job,
                            &mut prepared.bench,
                            receipt,
                            &rehearsal,
                            &folder,
                            snapshots.as_deref(),
                        ),
                        Err(trouble) => unable(&group, &job, &trouble, &folder),
                    };
                    (prepared, Some(ran))
                });
                let (back, ran) = match outcome.await {
                    Ok(done) => done,
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                };
                ready = Some(back);
                if let Some(ran) = ran {
                    let _ = told.send(Report::Ran(Box::new(ran))).await;
                }
            }
        }
    }

    async fn prepared(&self, group: &Arc<Group>, seed: u64) -> Result<Prepared, DeviceTrouble> {
        let (group, open, interrupt) = (
            Arc::clone(group),
            Arc::clone(&self.open),
            self.interrupt.clone(),
        );
        let prepared =
            tokio::task::spawn_blocking(move || prepare(&group, &open, seed, interrupt)).await;
        prepared.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// The board could not be prepared: every run that needed it is broken, and says why.
    async fn broken(
        &self,
        group: &Group,
        jobs: &[Job],
        trouble: DeviceTrouble,
        told: &mpsc::Sender<Report>,
    ) {
        for job in jobs {
            let ran = unable(group, job, &trouble, &self.folder.join(&job.id));
            let _ = told.send(Report::Ran(Box::new(ran))).await;
        }
    }
}

/// What goes on at once on virtual benches.
struct Running {
    places: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

impl Running {
    /// A place to work at, once one is free.
    async fn place(&self) -> OwnedSemaphorePermit {
        let places = Arc::clone(&self.places);
        places.acquire_owned().await.expect("nobody closes it")
    }

    /// Waits until nothing goes on any more.
    async fn end(&mut self) {
        while let Some(done) = self.tasks.join_next().await {
            if let Err(panic) = done {
                std::panic::resume_unwind(panic.into_panic());
            }
        }
    }
}

/// A bench with a flashed board, at rest, without supply.
pub struct Prepared {
    /// The bench.
    pub bench: Bench,
    /// The receipt, as an event; none where there is nothing to flash.
    pub receipt: Option<What>,
}

/// How long the board is powered before the probe attaches, and unpowered before a run begins.
const SETTLE: Nanos = Nanos::from_millis(500);
/// How long a supply may take to measure; its driver reports trouble well before.
const MEASURED_MAX: Nanos = Nanos::from_secs(5);
/// How far the voltage at a board may be from what was set, as tests of locks allow where their standard
/// says nothing else (ANSI/BHMA A156).
const OFF_PERCENT: u32 = 5;

/// Connects a bench and flashes its board.
///
/// # Errors
/// An instrument or probe that does not do what it was told. The outputs are at rest then.
pub fn prepare(
    group: &Group,
    open: &Opener,
    seed: u64,
    interrupt: Interrupt,
) -> Result<Prepared, DeviceTrouble> {
    let ports = open(&group.bench, seed, interrupt)?;
    let mut bench = Bench::connect(group.bench.clone(), ports)?;
    let receipt = is_expected(&bench).and_then(|()| flash(group, &mut bench));
    if receipt.is_err() {
        bench.to_rest();
    }
    let receipt = receipt?;
    Ok(Prepared { bench, receipt })
}

/// Whether the supply is the one that the bench file means.
fn is_expected(bench: &Bench) -> Result<(), DeviceTrouble> {
    let supply = bench.file().supply.as_ref();
    let Some(supply) = supply.and_then(|supply| supply.programmable()) else {
        return Ok(());
    };
    let Some(wanted) = &supply.identity else {
        return Ok(());
    };
    let says = bench.supply_identity().unwrap_or("nothing");
    match says.starts_with(wanted.as_str()) {
        true => Ok(()),
        false => Err(DeviceTrouble {
            device: format!("supply on {}", supply.port.at),
            doing: format!("confirming that it is '{wanted}'"),
            what: crate::driver::Trouble::Refused,
            saw: format!("it says that it is '{says}'"),
            hint: "are two supplies exchanged? else correct 'identity' in the bench file"
                .to_owned(),
        }),
    }
}

/// Whether the chip is that of the unit which the bench file names.
fn is_the_device(bench: &Bench, probe: &mut Probe) -> Result<(), DeviceTrouble> {
    let Some(device) = &bench.file().device else {
        return Ok(());
    };
    let Some(wanted) = &device.chip_id else {
        return Ok(());
    };
    let mut found = wanted.clone();
    for (at, word) in (wanted.at..).step_by(4).zip(&mut found.words) {
        *word = probe.read_word(at)?;
    }
    if found == *wanted {
        return Ok(());
    }
    Err(DeviceTrouble {
        device: "device under test".to_owned(),
        doing: format!(
            "confirming that it is {}, serial number {}",
            device.model, device.serial_number
        ),
        what: crate::driver::Trouble::Refused,
        saw: format!("its chip is {found}, and the bench file says {wanted}"),
        hint: "put the right unit on the bench, or correct [device] in the bench file".to_owned(),
    })
}

/// The same before runs that flash nothing.
fn meet_device(group: &Group, bench: &mut Bench) -> Result<(), DeviceTrouble> {
    let device = bench.file().device.as_ref();
    let has_id = device.is_some_and(|device| device.chip_id.is_some());
    let Some(chip) = bench.file().chip.clone().filter(|_| has_id) else {
        return Ok(());
    };
    let supply = bench.file().supply.as_ref();
    let fresh = group.profile.lock().filter(|_| supply.is_some());
    let met = feed(bench, fresh.map(|profile| profile.supply.fresh.value)).and_then(|()| {
        let mut probe = Probe::new(&group.bench.name, &chip);
        bench.attach(&mut probe, Attach::default())?;
        is_the_device(bench, &mut probe)
    });
    let rest = bench.to_rest();
    met.and_then(|()| settled(bench, rest))
}

/// Whether the board, as it is now, leaves the supply its voltage. Of cells nobody knows.
fn holds_under_load(bench: &mut Bench, set: Millivolts) -> Result<(), DeviceTrouble> {
    let supply = bench.file().supply.as_ref();
    let Some(supply) = supply.and_then(|supply| supply.programmable()).cloned() else {
        return Ok(());
    };
    bench.measure()?;
    let until = bench.now() + MEASURED_MAX;
    let (voltage, current) = loop {
        match bench.wait(until) {
            Waited::Saw(happening) => match happening.what {
                crate::bench::What::Trouble(trouble) => return Err(trouble),
                crate::bench::What::Measured {
                    voltage, current, ..
                } => break (voltage, current),
                _ => {}
            },
            // Its driver tells why; a person who stops it needs no reason.
            Waited::Deadline | Waited::Interrupted => return Ok(()),
        }
    };
    if voltage.0.abs_diff(set.0) <= set.0 / 100 * OFF_PERCENT {
        return Ok(());
    }
    let limited = current.0 >= supply.limit.0 / 20 * 19;
    Err(DeviceTrouble {
        device: format!("supply on {}", supply.port.at),
        doing: format!("feeding the board {set} before anything is done to it"),
        what: crate::driver::Trouble::Refused,
        saw: format!("{voltage} at {current}"),
        hint: match limited {
            true => "the current limit holds it down: a short, or a 'limit' that is too low",
            false => "'lockrig doctor' examines the supply",
        }
        .to_owned(),
    })
}

/// Flashes the group's image, and leaves the board without supply.
///
/// # Errors
/// An instrument or probe that does not do what it was told. The outputs are at rest then.
pub fn flash(group: &Group, bench: &mut Bench) -> Result<Option<What>, DeviceTrouble> {
    let Some(image) = &group.image else {
        meet_device(group, bench)?;
        // What was seen while the instruments were met is no part of a run.
        let now = bench.now();
        pass(bench, now)?;
        return Ok(None);
    };
    let mut flashed = flash_powered(group, image, bench);
    let mut rest = bench.to_rest();
    if let Err(failed) = &mut flashed
        && failed.is_wedged
        && rest.unknown.is_empty()
        && let Some(port) = bench.usb_port()
    {
        let first = failed.trouble.to_string();
        match power_cycle(bench, &port)? {
            Ok(()) => {
                flashed = flash_powered(group, image, bench);
                rest = bench.to_rest();
                match &mut flashed {
                    Ok(_) => bench.note_power_cycle(first),
                    Err(failed) => {
                        failed.trouble.hint += &format!(
                            "; its USB port was switched off and on before this second attempt, because of: {first}"
                        );
                    }
                }
            }
            Err(why) => {
                failed.trouble.hint += &format!("; it was not power-cycled: {why}; {}", why.hint);
            }
        }
    }
    let receipt = flashed.map_err(|failed| {
        let mut trouble = failed.trouble;
        if !rest.unknown.is_empty() {
            let unknown = rest.unknown.join(", ");
            trouble.hint +=
                &format!("; look at the bench before you go on: state unknown: {unknown}");
        }
        trouble
    })?;
    settled(bench, rest)?;
    Ok(Some(receipt))
}

/// Lets a bench settle that went to rest, if every output got there and every instrument still answers.
fn settled(bench: &mut Bench, rest: Rest) -> Result<(), DeviceTrouble> {
    if let Some(output) = rest.unknown.into_iter().next() {
        return Err(DeviceTrouble {
            device: output,
            doing: "going to rest after the probe was attached".to_owned(),
            what: crate::driver::Trouble::Silent,
            saw: "nobody knows its state".to_owned(),
            hint: "look at the bench before you go on".to_owned(),
        });
    }
    let mut happenings = rest.happenings.into_iter();
    let trouble = happenings.find_map(|happening| match happening.what {
        crate::bench::What::Trouble(trouble) => Some(trouble),
        _ => None,
    });
    trouble.map_or(Ok(()), Err)?;
    let until = bench.now() + SETTLE;
    pass(bench, until)?;
    bench.is_whole()
}

/// Why a board was not flashed.
struct Unflashed {
    trouble: DeviceTrouble,
    /// The probe does not answer, rather than something else.
    is_wedged: bool,
}

impl From<DeviceTrouble> for Unflashed {
    fn from(trouble: DeviceTrouble) -> Unflashed {
        Unflashed {
            trouble,
            is_wedged: false,
        }
    }
}

impl From<ProbeTrouble> for Unflashed {
    fn from(trouble: ProbeTrouble) -> Unflashed {
        Unflashed {
            is_wedged: trouble.is_wedged(),
            trouble: trouble.into(),
        }
    }
}

/// Switches the probe's USB port off and on; the outer trouble is that of another instrument meanwhile.
fn power_cycle(bench: &mut Bench, port: &UsbPort) -> Result<Result<(), NotCycled>, DeviceTrouble> {
    let mut trouble = None;
    let cycled = port.power_cycle(&mut |span| {
        let until = bench.now() + span;
        while let Err(why) = pass(bench, until) {
            trouble.get_or_insert(why);
        }
    });
    match trouble {
        Some(trouble) => Err(trouble),
        None => Ok(cycled),
    }
}

fn flash_powered(group: &Group, image: &Image, bench: &mut Bench) -> Result<What, Unflashed> {
    let profile = group
        .profile
        .lock()
        .filter(|_| bench.file().supply.is_some());
    let set = profile.map(|profile| profile.supply.fresh.value);
    feed(bench, set)?;
    // An emulated board is as good as its files, and its supply is the doctor's business.
    if let Some(set) = set.filter(|_| bench.file().emulates.is_none()) {
        holds_under_load(bench, set)?;
    }
    let mut probe = Probe::new(&group.bench.name, image.chip());
    if bench.file().when_locked == WhenLocked::Erase && bench.unlock(&mut probe)? && set.is_some() {
        bench.feed(Feed::Off)?;
        let until = bench.now() + SETTLE;
        pass(bench, until)?;
        feed(bench, set)?;
    }
    bench.attach(&mut probe, Attach::default())?;
    is_the_device(bench, &mut probe)?;
    let flashing = Flashing {
        // Flash of a real board wears out; an emulated one begins erased.
        spare: bench.file().emulates.is_none(),
        ..Flashing::default()
    };
    let receipt = probe.flash(image, flashing, &mut |_| ())?;
    drop(probe);
    bench.log_like(image)?;
    Ok(What::Flashed {
        image: receipt.image,
        sha256: receipt.file_sha256,
        personality: group.personality.clone(),
        chip: receipt.chip,
        bytes: receipt.flash_bytes + receipt.settings_bytes,
        verified: receipt.verified,
        already: receipt.pages == 0,
    })
}

/// Feeds a board, if there is a voltage to feed it with, and lets it start.
fn feed(bench: &mut Bench, set: Option<Millivolts>) -> Result<(), DeviceTrouble> {
    if let Some(voltage) = set {
        bench.feed(Feed::On {
            voltage,
            resistance: None,
        })?;
    }
    let until = bench.now() + SETTLE;
    pass(bench, until)
}

/// Lets time pass, and stops at trouble.
fn pass(bench: &mut Bench, until: Nanos) -> Result<(), DeviceTrouble> {
    loop {
        match bench.wait(until) {
            Waited::Saw(happening) => {
                if let crate::bench::What::Trouble(trouble) = happening.what {
                    return Err(trouble);
                }
            }
            Waited::Deadline | Waited::Interrupted => return Ok(()),
        }
    }
}

/// Carries out one run on a bench that was prepared for it, and writes its folder.
pub fn one(
    group: &Group,
    job: &Job,
    bench: &mut Bench,
    flashed: Option<What>,
    rehearsal: &[Write],
    folder: &Path,
    snapshots: Option<&Snapshots>,
) -> Ran {
    written(group, job, folder, snapshots, |trace| {
        let setup = Setup {
            plan: &job.plan,
            script: &job.script,
            profile: &group.profile,
            codes: &job.codes,
            seed: job.seed,
            files: job.files.clone(),
            flashed,
            rehearsal,
            bench,
        };
        let (events, traced) = run::run(setup, trace);
        (events, traced, bench.take_asked())
    })
}

/// The writes to flash of a run that loses its supply at one, as a virtual bench carries it out.
fn rehearse(
    group: &Group,
    job: &Job,
    open: &Opener,
    interrupt: Interrupt,
) -> Result<Vec<Write>, DeviceTrouble> {
    let Some(bench) = &group.rehearses_on else {
        return Ok(Vec::new());
    };
    if !run::is_rehearsed(&job.script) {
        return Ok(Vec::new());
    }
    let on = Group {
        bench: bench.clone(),
        profile: Arc::clone(&group.profile),
        rehearses_on: None,
        image: group.image.clone(),
        personality: group.personality.clone(),
        jobs: Vec::new(),
    };
    let mut prepared = prepare(&on, open, job.seed, interrupt)?;
    let setup = Setup {
        plan: &job.plan,
        script: &crate::cuts::flow_of(&job.script),
        profile: &group.profile,
        codes: &job.codes,
        seed: job.seed,
        files: Vec::new(),
        flashed: prepared.receipt.clone(),
        rehearsal: &[],
        bench: &mut prepared.bench,
    };
    let (_, points) = run::watched(setup, false);
    Ok(Write::of(&points))
}

/// A run that could not begin, because its bench could not be prepared.
pub fn unable(group: &Group, job: &Job, trouble: &DeviceTrouble, folder: &Path) -> Ran {
    written(group, job, folder, None, |trace| {
        let (events, traced) = run::unable(
            &job.plan,
            &group.profile,
            &group.bench.name,
            job.seed,
            job.files.clone(),
            trouble,
            trace,
        );
        (events, traced, Vec::new())
    })
}

/// The events of a run, whether its trace was written, and what a person was asked in it.
type CarriedOut = (Vec<crate::event::Event>, io::Result<()>, Vec<Asked>);

/// Makes the run's folder, carries it out, and writes what is made from its events.
fn written(
    group: &Group,
    job: &Job,
    folder: &Path,
    snapshots: Option<&Snapshots>,
    carry_out: impl FnOnce(Box<dyn io::Write + Send>) -> CarriedOut,
) -> Ran {
    let started = jiff::Timestamp::now();
    let cpu = cpu_time::ThreadTime::now();
    let (events, traced, asked) = match trace_file(folder, &group.bench) {
        Ok(file) => carry_out(file),
        Err(why) => {
            let (events, _, asked) = carry_out(Box::new(io::sink()));
            (events, Err(why), asked)
        }
    };
    let took = jiff::Timestamp::now()
        .duration_since(started)
        .unsigned_abs();
    let cpu = cpu.elapsed();
    let mut summary = summarise(&events).expect("a run records its beginning first");
    let compared = compare(job, folder, snapshots, &events, &mut summary);
    let record = Record {
        id: &job.id,
        scenario: &summary.scenario,
        variant: &summary.variant,
        profile: &summary.profile,
        bench: &summary.bench,
        image: group.image.as_ref().map(Image::name),
        seed: job.seed,
        verdict: summary.verdict,
        because: &summary.because,
        decided_by: summary.decision.as_ref().map(|decision| decision.seq),
        steps: match &summary.decision {
            Some(decision) => &decision.steps,
            None => &[],
        },
        uncalibrated: summary.uncalibrated.as_deref(),
        device: summary.device.as_deref(),
        power_cycled: summary.power_cycled.as_deref(),
        recovery: group.bench.recovery.as_deref(),
        asked,
        bench_time_ns: summary.bench_time.0,
        started: started.to_string(),
        took_us: took.as_micros(),
        cpu_us: cpu.as_micros(),
        lockrig: env!("CARGO_PKG_VERSION"),
        host: std::env::var("HOSTNAME").ok(),
    };
    let (snapshot, compared) = match compared {
        Ok(outcome) => (outcome, Ok(())),
        Err(why) => (None, Err(why)),
    };
    let files = traced
        .and(compared)
        .and_then(|()| write_json(&folder.join("run.json"), &record))
        .and_then(|()| {
            report::of_run(&job.id, &events, &summary, None)
                .into_iter()
                .try_for_each(|(name, contents)| std::fs::write(folder.join(name), contents))
        });
    if let Err(why) = files {
        // The trace is the evidence: without it there is no verdict.
        summary.verdict = Verdict::Broken;
        summary.because = format!("writing to '{}': {why}", folder.display());
        summary.decision = None;
    }
    Ran {
        id: job.id.clone(),
        number: job.number,
        summary,
        seed: Some(job.seed),
        took,
        snapshot,
    }
}

/// Where a run's trace goes. What a virtual run loses when it is killed, its seed gives again.
fn trace_file(folder: &Path, bench: &BenchFile) -> io::Result<Box<dyn io::Write + Send>> {
    std::fs::create_dir_all(folder)?;
    let file = std::fs::File::create(folder.join("events.jsonl"))?;
    Ok(match bench.emulates {
        Some(_) => Box::new(BufWriter::with_capacity(1 << 16, file)),
        None => Box::new(file),
    })
}

/// Compares a run's flow with the approved one. A run that kept every promise and has another flow
/// fails; one that failed already is only shown beside what was approved.
fn compare(
    job: &Job,
    folder: &Path,
    snapshots: Option<&Snapshots>,
    events: &[crate::event::Event],
    summary: &mut Summary,
) -> io::Result<Option<Outcome>> {
    let Some(snapshots) = snapshots else {
        return Ok(None);
    };
    let outcome = snapshots.judge(&job.key, events, summary.verdict, job.repetition)?;
    let (found, differs) = match &outcome {
        Outcome::Changed(found) => (found, "the flow is not the approved one"),
        Outcome::Missing(found) => (found, "this flow has no approved snapshot"),
        _ => return Ok(Some(outcome)),
    };
    let page = difference::page(&job.id, found.approved.as_ref(), &found.seen);
    std::fs::write(folder.join("snapshot.html"), page)?;
    if matches!(summary.verdict, Verdict::Pass | Verdict::KnownFinding) {
        summary.verdict = Verdict::Fail;
        summary.because = differs.to_owned();
        summary.decision = None;
    }
    Ok(Some(outcome))
}

/// `run.json`: what a run was made from and what came of it. Wall time, CPU time and the host's name live
/// here and nowhere else.
#[derive(Serialize)]
struct Record<'a> {
    id: &'a str,
    scenario: &'a str,
    variant: &'a str,
    profile: &'a str,
    bench: &'a str,
    image: Option<&'a str>,
    seed: u64,
    verdict: Verdict,
    because: &'a str,
    decided_by: Option<u64>,
    steps: &'a [StepUnderWay],
    /// Why the bench went by no calibration record, though its file asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    uncalibrated: Option<&'a str>,
    /// Which unit was under test, and who says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    /// Why the probe was power-cycled before the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    power_cycled: Option<&'a str>,
    /// What opens the lock if the run left it shut, as the bench file has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<&'a str>,
    /// What a person was asked, who it was, and when they answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    asked: Vec<Asked>,
    bench_time_ns: u64,
    started: String,
    took_us: u128,
    cpu_us: u128,
    lockrig: &'static str,
    host: Option<String>,
}

/// Writes a value as indented JSON.
///
/// # Errors
/// Those of the disk.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    std::fs::write(path, text)
}

/// The chip of a bench's board, or why it cannot be used.
///
/// # Errors
/// A chip that no target description knows.
pub fn chip_of(bench: &BenchFile) -> Result<Option<ChipMap>, crate::image::UnknownChip> {
    bench.chip.as_deref().map(ChipMap::of).transpose()
}
