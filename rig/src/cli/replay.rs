//! `lockrig replay`: a recorded run once more, compared with its trace; and the board as it stood at
//! one of its events, behind a debug port.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::board::{self, Virtual};
use super::error::Failure;
use super::files::{Library, Loaded, Selection, print, print_json};
use super::operator::Answers;
use super::sim::{Format, Ports};
use crate::bench::operator::Answer;
use crate::bench::{BenchFile, Calibrated};
use crate::campaign::Group;
use crate::event::{Event, FileHash, Nanos, What};
use crate::profile::{Product, codes};
use crate::report::{under_way, words};
use crate::run::{self, Setup};
use crate::scenario::{self, Course, PlannedRun, Scenario, Script};
use crate::serve::{self, Clock, Place, Standing, VirtualBench};
use crate::trace;

mod comparison;

use comparison::Comparison;

/// Carry out a recorded run again, and stop it where it failed
///
/// Runs the same scenario with the same product, bench, variant, image and seed, and says where what
/// happens differs from the trace first. On a virtual bench nothing may differ.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Replay {
    /// The trace: events.jsonl, or the run's folder
    events: PathBuf,
    #[command(flatten)]
    selection: Selection,
    /// Firmware in place of the bench's own, as 'lockrig run' had it
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    /// Go on although a file is not what it was when the trace was recorded
    #[arg(long)]
    changed: bool,
    /// Serve the board as it stood at this event: its number, or 'decisive'
    #[arg(long, value_name = "EVENT", value_parser = moment)]
    stop_at: Option<Moment>,
    /// What is printed: for people, or one JSON document
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    ports: Ports,
}

const EXAMPLES: &str = "\
Examples:
  lockrig replay reports/<time>/<run>                       is it still so?
  lockrig replay reports/<time>/<run> --stop-at decisive    the board at the failing moment

With --stop-at the core is halted at the moment of the event, and bench time stands for as long as it
is. Every debugger that comes when no other is there finds that moment again.

Exit codes:
  0    everything happened as in the trace
  1    something differs
  2    a file is not what it was, or cannot be read";

/// An event to stop at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moment {
    /// What decided the run.
    Decisive,
    /// The event of this number.
    Event(u64),
}

fn moment(text: &str) -> Result<Moment, String> {
    match text {
        "decisive" => Ok(Moment::Decisive),
        number => number
            .parse()
            .map(Moment::Event)
            .map_err(|_| "expected an event's number, or 'decisive'".to_owned()),
    }
}

/// A trace, and what its first lines say.
struct Recorded {
    events: Vec<Event>,
    lines: Vec<String>,
    seed: u64,
    scenario: String,
    variant: String,
    profile: String,
    bench: String,
    files: Vec<FileHash>,
}

/// The files of the run, found again.
struct Found {
    library: Library,
    scenario: usize,
    profile: usize,
    bench: usize,
}

/// What came of a replay.
#[derive(Serialize)]
struct Outcome<'a> {
    lockrig: &'static str,
    trace: &'a str,
    events: usize,
    identical: bool,
    first_difference: Option<Difference>,
    stopped_at: Option<u64>,
    /// Whether the core runs at that moment: without supply it does not.
    halted: bool,
    ports: &'a [Place],
}

/// The first event that is not the same.
#[derive(Clone, Serialize)]
struct Difference {
    event: usize,
    at_ns: Option<u64>,
    then: String,
    now: String,
    during: Vec<String>,
}

impl Replay {
    pub fn execute(self) -> Result<u8, Failure> {
        let recorded = Recorded::read(&self.events)?;
        let stop = self.stop_at.map(|stop| recorded.event(stop)).transpose()?;
        let mut found = self.find(&recorded)?;
        let twin = recorded.files.iter().find(|file| file.role == "twin");
        let twin = twin
            .map(|twin| found.library.twin_of(&twin.sha256))
            .transpose()?;
        let bench = &mut found.library.benches[found.bench];
        if let Some(record) = recorded
            .files
            .iter()
            .find(|file| file.role == "calibration")
        {
            bench.calibrate_by(&record.sha256)?;
        }
        if let Some(because) = recorded.uncalibrated() {
            bench.value.calibrated = Calibrated::Not { because };
        }
        let behaves = twin.as_ref().map(|twin| &twin.profile);
        let profile = &found.library.profiles[found.profile].value;
        let bench = &found.library.benches[found.bench];
        let image = self.image.as_deref();
        let group = board::group(
            &found.library.project,
            &bench.value,
            profile,
            behaves,
            image,
        )?;
        self.refuse_changes(&recorded, &found, &group)?;
        let (plan, script) = planned(&recorded, &found)?;
        let mut there = Virtual::prepare(&group, recorded.seed, bench.text.clone())?;
        if stop.is_some() && there.handle.is_none() {
            return Err(Failure::usage(format!(
                "the bench '{}' has no chip, so there is nothing to stop for a debugger",
                there.file.name
            )));
        }
        let comparison = Comparison::new(&recorded.lines, stop, there.handle.clone());
        let comparison = Arc::new(Mutex::new(comparison));
        let codes = match profile.lock() {
            Some(lock) => codes::generate(lock, recorded.seed, &script.codes),
            None => Ok(Default::default()),
        };
        let codes = codes.map_err(Failure::usage)?;
        let answers = recorded
            .events
            .iter()
            .filter_map(|event| match &event.what {
                What::Asked { answer, .. } => Some(Answer::of(answer)),
                _ => None,
            });
        let answers = Answers(answers.collect());
        there.bench.attend(Some(Box::new(answers)));
        let setup = Setup {
            plan: &plan,
            script: &script,
            profile,
            codes: &codes,
            seed: recorded.seed,
            // What differs there has been said.
            files: recorded.files.clone(),
            flashed: recorded.receipt().cloned(),
            rehearsal: &[],
            bench: &mut there.bench,
        };
        let (events, _) = run::run(setup, Box::new(comparison::Writer(Arc::clone(&comparison))));
        let (differs, stood) = {
            let mut comparison = comparison.lock().unwrap_or_else(PoisonError::into_inner);
            (comparison.first_difference(), comparison.take_moment())
        };
        let difference = differs.map(|index| difference(&recorded.events, &events, index));
        self.conclude(&recorded, difference, stop, stood, &there)
    }

    fn conclude(
        &self,
        recorded: &Recorded,
        difference: Option<Difference>,
        stop: Option<u64>,
        stood: Option<VirtualBench>,
        there: &Virtual,
    ) -> Result<u8, Failure> {
        let code = u8::from(difference.is_some());
        // An event behind the first difference is not that of the trace.
        let same = |stop: &u64| {
            let differs = difference.as_ref().map(|difference| difference.event);
            differs.is_none_or(|event| *stop < event as u64)
        };
        let Some((stop, mut stood)) = stop.filter(same).zip(stood) else {
            self.tell(recorded, difference, None, there, false, &[])?;
            return Ok(code);
        };
        let halted = serve::halt(&mut stood);
        let tell =
            |places: &[Place]| self.tell(recorded, difference, Some(stop), there, halted, places);
        self.ports.serve(
            there,
            Standing::Board(Box::new(stood)),
            Clock::StandsWhileHalted,
            tell,
        )?;
        Ok(code)
    }

    fn tell(
        &self,
        recorded: &Recorded,
        difference: Option<Difference>,
        stop: Option<u64>,
        there: &Virtual,
        halted: bool,
        places: &[Place],
    ) -> Result<(), Failure> {
        let shown = self.events.display().to_string();
        if self.format == Format::Json {
            let outcome = Outcome {
                lockrig: env!("CARGO_PKG_VERSION"),
                trace: &shown,
                events: recorded.events.len(),
                identical: difference.is_none(),
                first_difference: difference,
                stopped_at: stop,
                halted,
                ports: places,
            };
            return print_json(&outcome);
        }
        let count = recorded.events.len();
        let mut text = match &difference {
            None => format!("all {count} events happened again, at the same times\n"),
            Some(difference) => difference.words(count),
        };
        if let Some(event) = stop.and_then(|stop| recorded.events.get(stop as usize)) {
            let (name, seq, at) = (&there.file.name, event.seq, event.at);
            text += &format!(
                "event {seq} at {at}: {}\n\nbench '{name}' stands there until Ctrl-C\n{}\n{}",
                words::of(&event.what),
                serve::describe(places),
                debuggers(&there.image, halted, places)
            );
        } else if self.stop_at.is_some() {
            text += "the event to stop at was not reached as recorded: nothing is served\n";
        }
        print(&text).map(|_| ())
    }

    /// Finds the files that the trace was made from.
    fn find(&self, recorded: &Recorded) -> Result<Found, Failure> {
        let or = |named: &Vec<String>, name: &String| match named.is_empty() {
            true => vec![name.clone()],
            false => named.clone(),
        };
        let selection = Selection {
            paths: self.selection.paths.clone(),
            bench: or(&self.selection.bench, &recorded.bench),
            profile: or(&self.selection.profile, &recorded.profile),
            real_benches: false,
        };
        let library = Library::load(&selection)?;
        let missing = |kind: &str, name: &str, hint: &str| {
            Failure::hinted(
                format!("there is no {kind} '{name}', of which the trace is"),
                Some(hint.to_owned()),
            )
        };
        let scenario = library
            .scenarios
            .iter()
            .position(|one| one.value.id() == recorded.scenario)
            .ok_or_else(|| missing("scenario", &recorded.scenario, "name its file"))?;
        let profile = library
            .profiles
            .iter()
            .position(|one| one.value.id() == recorded.profile)
            .ok_or_else(|| missing("profile", &recorded.profile, "--profile names its file"))?;
        let bench = library
            .benches
            .iter()
            .position(|one| one.value.name == recorded.bench)
            .ok_or_else(|| missing("bench", &recorded.bench, "--bench names its file"))?;
        Ok(Found {
            library,
            scenario,
            profile,
            bench,
        })
    }

    /// Says which files are not what they were.
    fn refuse_changes(
        &self,
        recorded: &Recorded,
        found: &Found,
        group: &Group,
    ) -> Result<(), Failure> {
        let (scenario, profile, bench) = found.files();
        let now = [
            ("scenario", &scenario.sha256),
            ("profile", &profile.sha256),
            ("bench", &bench.sha256),
        ];
        let was = |role: &str| recorded.files.iter().find(|file| file.role == role);
        let mut changed: Vec<&str> = now
            .iter()
            .filter(|(role, sha256)| was(role).is_some_and(|was| was.sha256 != **sha256))
            .map(|(role, _)| *role)
            .collect();
        if let Some(What::Flashed {
            sha256,
            personality,
            ..
        }) = recorded.receipt()
        {
            let image = group.image.as_ref();
            if image.is_none_or(|image| image.file_sha256().to_string() != *sha256) {
                changed.push("image");
            }
            if group.personality != *personality {
                changed.push("personality");
            }
        }
        if changed.is_empty() || self.changed {
            return Ok(());
        }
        Err(Failure::hinted(
            format!(
                "not what it was when the trace was recorded: {}",
                changed.join(", ")
            ),
            Some("restore it, or go on with --changed".to_owned()),
        ))
    }
}

impl Found {
    fn files(&self) -> (&Loaded<Scenario>, &Loaded<Arc<Product>>, &Loaded<BenchFile>) {
        (
            &self.library.scenarios[self.scenario],
            &self.library.profiles[self.profile],
            &self.library.benches[self.bench],
        )
    }
}

impl Recorded {
    fn read(path: &Path) -> Result<Recorded, Failure> {
        let path = match path.is_dir() {
            true => path.join("events.jsonl"),
            false => path.to_owned(),
        };
        let shown = path.display();
        let text = std::fs::read_to_string(&path)
            .map_err(|why| Failure::usage(format!("reading the trace '{shown}': {why}")))?;
        let events = trace::read(&text)
            .map_err(|why| Failure::usage(format!("reading the trace '{shown}': {why}")))?;
        let Some(What::Started {
            seed,
            scenario,
            variant,
            profile,
            bench,
            files,
            ..
        }) = events.first().map(|event| event.what.clone())
        else {
            return Err(Failure::usage(format!("the trace '{shown}' is empty")));
        };
        Ok(Recorded {
            lines: text.lines().map(str::to_owned).collect(),
            events,
            seed,
            scenario,
            variant,
            profile,
            bench,
            files,
        })
    }

    /// The receipt of the flash that the run stood on.
    fn receipt(&self) -> Option<&What> {
        let second = self.events.get(1).map(|event| &event.what);
        second.filter(|what| matches!(what, What::Flashed { .. }))
    }

    /// Why the run went by no calibration record, where its bench asked for one.
    fn uncalibrated(&self) -> Option<String> {
        self.events.iter().find_map(|event| match &event.what {
            What::Uncalibrated { because } => Some(because.clone()),
            _ => None,
        })
    }

    /// The number of an event to stop at.
    fn event(&self, stop: Moment) -> Result<u64, Failure> {
        let count = self.events.len() as u64;
        match stop {
            Moment::Event(event) if event < count => Ok(event),
            Moment::Event(event) => Err(Failure::hinted(
                format!("the trace has no event {event}"),
                Some(format!("it has 0 to {}", count - 1)),
            )),
            Moment::Decisive => {
                let last = self.events.last().map(|event| &event.what);
                match last {
                    Some(What::Finished {
                        decided_by: Some(event),
                        ..
                    }) => Ok(*event),
                    _ => Err(Failure::hinted(
                        "no event decided this run",
                        Some("name an event by its number".to_owned()),
                    )),
                }
            }
        }
    }
}

/// The run of the trace, planned anew.
fn planned(recorded: &Recorded, found: &Found) -> Result<(PlannedRun, Script), Failure> {
    let (scenario, profile, _) = found.files();
    let runs = scenario::plan_on(&scenario.value, &profile.value)
        .map_err(|refused| Failure::refused(&[scenario.refused(refused)]))?;
    let run = runs.into_iter().find(|run| run.variant == recorded.variant);
    match run.map(|run| (run.course.clone(), run)) {
        Some((Course::Runs(script), run)) => Ok((run, script)),
        Some((Course::Skipped(reason), _)) => Err(Failure::usage(format!(
            "the run of the trace is skipped now: {reason}"
        ))),
        None => Err(Failure::usage(format!(
            "the scenario '{}' has no variant '{}' any more",
            recorded.scenario, recorded.variant
        ))),
    }
}

fn difference(then: &[Event], now: &[Event], index: usize) -> Difference {
    let told = |event: Option<&Event>| match event {
        Some(event) => format!("{}: {}", event.at, words::of(&event.what)),
        None => "nothing: the run had ended".to_owned(),
    };
    let at = then.get(index).or(now.get(index)).map(|event| event.at.0);
    let steps = under_way(&now[..index.min(now.len())]);
    Difference {
        event: index,
        at_ns: at,
        then: told(then.get(index)),
        now: told(now.get(index)),
        during: steps
            .into_iter()
            .map(|step| format!("{}: {}", step.place, step.doing))
            .collect(),
    }
}

impl Difference {
    fn words(&self, count: usize) -> String {
        let Difference {
            event, then, now, ..
        } = self;
        let at = self
            .at_ns
            .map_or(String::new(), |at| format!(", {}", Nanos(at)));
        let mut text = format!(
            "the first difference is at event {event} of {count}{at}\n  then  {then}\n  now   {now}\n"
        );
        for step in &self.during {
            text += &format!("  during {step}\n");
        }
        text
    }
}

/// How to open the board with a debugger.
fn debuggers(image: &Option<PathBuf>, halted: bool, places: &[Place]) -> String {
    let at = |name: &str| {
        let place = places.iter().find(|place| place.name == name);
        place.map_or("", |place| place.at.as_str())
    };
    let mut text = String::new();
    if !halted {
        text += "the board has no supply at this moment: a debugger finds nobody until it has\n";
    }
    let (file, source) = match image {
        Some(file) => (file.display().to_string(), sources(file)),
        None => ("firmware.elf".to_owned(), None),
    };
    let source = source.map_or(String::new(), |source| {
        format!("-ex 'directory {}' ", source.display())
    });
    text += &format!(
        "open it with\n  gdb-multiarch {source}-ex 'target remote {}' {file}\n  probe-rs debug --chip nRF51822_xxAA --probe {} --exe {file}\n",
        at("gdb"),
        at("probe"),
    );
    text
}

/// Where the sources of an image lie whose line tables name them from a folder above it.
fn sources(image: &Path) -> Option<&Path> {
    let folder = image.parent()?.parent()?;
    folder.join("reference/src").is_dir().then_some(folder)
}
