//! A bench for tests in Rust: a firmware team's own, beside the firmware.
//!
//! A [`Desk`] says which bench, product and image; flashing it gives a [`Lab`], which is shared by all
//! tests of a process, and every test takes a [`Bench`] with a freshly flashed board from it. With
//! rstest:
//!
//! ```no_run
//! use lockrig::testing::{Bench, Desk, Lab};
//! use rstest::{fixture, rstest};
//!
//! #[fixture]
//! #[once]
//! fn lab() -> Lab {
//!     Desk::new("virtual-safe")
//!         .profile("stack-on-red-button")
//!         .code("forgotten", "user")
//!         .code("new", "user")
//!         .flash()
//! }
//!
//! #[fixture]
//! fn bench(lab: &Lab) -> Bench {
//!     lab.bench_that_knows(&["forgotten"])
//! }
//!
//! #[rstest]
//! fn forgotten_code(mut bench: Bench) {
//!     bench.procedure("reset");
//!     bench.step("do: set-code, with: { code: $new }, expect: change-accepted");
//!     bench.opens("new");
//!     bench.refuses("forgotten");
//! }
//! ```
//!
//! Each verb is a step of a scenario, written out in the profile's words and carried out by the same
//! loop: it waits for what is expected, and the oracles watch. What is not as expected panics, and the
//! message has the line of the test. However a test ends, the outputs go to rest, and the board's
//! last chance to break an oracle is judged.
//!
//! Files are looked for as the command does: in the folder where the test runs, which is its
//! package's, if it has `scenarios/` and `boards/`; else in what lockrig carries along. Nothing is
//! read from the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use crate::bench::BenchFile;
use crate::campaign::{self, Group, Prepared};
use crate::cli::board;
use crate::cli::files::{Library, Selection};
use crate::event::Event;
use crate::port::Interrupt;
use crate::profile::Product;
use crate::profile::codes::{self, Code};
use crate::report::{Summary, summarise, terminal};
use crate::run::{self, Setup};
use crate::scenario::{self, Act, Course, PlannedRun, Requirements, Scenario, Script};
use crate::source::{Refused, Source};
use crate::verdict::Verdict;

/// Which bench, which product, which image.
#[derive(Clone, Debug)]
pub struct Desk {
    bench: String,
    profile: Option<String>,
    image: Option<String>,
    seed: u64,
    codes: Vec<(String, String)>,
    traces: Option<PathBuf>,
}

impl Desk {
    /// A bench by its name, as `lockrig list benches` has it, or by its file.
    pub fn new(bench: impl Into<String>) -> Desk {
        Desk {
            bench: bench.into(),
            profile: None,
            image: None,
            seed: 1,
            codes: Vec::new(),
            traces: None,
        }
    }

    /// The product, by name or file; without this the first that fits the bench.
    pub fn profile(mut self, profile: impl Into<String>) -> Desk {
        self.profile = Some(profile.into());
        self
    }

    /// The firmware in place of the bench's own: a file, or the name of a shipped image.
    pub fn image(mut self, image: impl Into<String>) -> Desk {
        self.image = Some(image.into());
        self
    }

    /// The seed of codes and contact bounce, 1 unless given.
    pub fn seed(mut self, seed: u64) -> Desk {
        self.seed = seed;
        self
    }

    /// A code that tests speak of by name. Its kind is that of a scenario: `user`, `master`, `wrong`,
    /// `factory`, or digits in double quotes where the digits are the point.
    pub fn code(mut self, name: impl Into<String>, kind: impl Into<String>) -> Desk {
        self.codes.push((name.into(), kind.into()));
        self
    }

    /// Where each test leaves its trace; nowhere unless given. `env!("CARGO_TARGET_TMPDIR")` is a
    /// good place.
    pub fn traces(mut self, folder: impl Into<PathBuf>) -> Desk {
        self.traces = Some(folder.into());
        self
    }

    /// Connects the bench and flashes its board.
    ///
    /// # Panics
    /// A file that is wrong, or an instrument that does not do what it was told. The message is what
    /// the command would print.
    #[track_caller]
    pub fn flash(self) -> Lab {
        let (library, group) = self.read(Vec::new());
        let interrupt = Interrupt::default();
        let prepared = campaign::prepare(
            &group,
            &board::opener_without_guard("tests of firmware"),
            self.seed,
            interrupt,
        );
        let prepared =
            prepared.unwrap_or_else(|trouble| panic!("{trouble}\nhint: {}", trouble.hint));
        let requirements = library
            .project
            .requirements()
            .map_err(|why| why.to_string())
            .and_then(|file| {
                let text = file.text().map_err(|why| why.to_string())?.to_owned();
                Requirements::read(&Source::new(file.name, text)).map_err(|why| why.to_string())
            });
        let requirements = requirements.or_panic();
        let lab = Lab {
            desk: self,
            group: Arc::new(group),
            board: Arc::new(Place {
                board: Mutex::new(Some(Flashed {
                    prepared,
                    is_used: false,
                })),
                came_back: Condvar::new(),
            }),
            requirements,
            codes: BTreeMap::new(),
        };
        lab.with_codes()
    }

    #[track_caller]
    fn read(&self, paths: Vec<PathBuf>) -> (Library, Group) {
        let selection = Selection {
            paths,
            bench: vec![self.bench.clone()],
            profile: self.profile.iter().cloned().collect(),
            real_benches: true,
        };
        let library = Library::load(&selection).or_panic();
        let bench: BenchFile = library.benches[0].value.clone();
        let profile = library
            .profiles
            .iter()
            .map(|loaded| &loaded.value)
            .find(|profile| board::fits(&bench, profile))
            .unwrap_or_else(|| panic!("no profile fits the bench '{}'", bench.name));
        let group = board::group(
            &library.project,
            &bench,
            profile,
            None,
            self.image.as_deref(),
        )
        .or_panic();
        (library, group)
    }
}

/// A bench with a flashed board, for all tests of a process.
///
/// Each test on a virtual bench gets a fork of the board. A real board is lent to one test after the
/// other, and flashed anew before each.
pub struct Lab {
    desk: Desk,
    group: Arc<Group>,
    board: Arc<Place>,
    requirements: Requirements,
    codes: BTreeMap<String, Code>,
}

/// Where the board lies while no test has it.
struct Place {
    board: Mutex<Option<Flashed>>,
    came_back: Condvar,
}

struct Flashed {
    prepared: Prepared,
    is_used: bool,
}

impl Place {
    /// Takes the board, or waits until it is back.
    fn take(&self) -> Flashed {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match board.take() {
                Some(flashed) => return flashed,
                None => {
                    board = self
                        .came_back
                        .wait(board)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn put(&self, flashed: Flashed) {
        *self.board.lock().unwrap_or_else(PoisonError::into_inner) = Some(flashed);
        self.came_back.notify_one();
    }
}

/// A board that goes back to its place, whatever happens to who has it.
struct Lent {
    flashed: Option<Flashed>,
    place: Option<Arc<Place>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(flashed), Some(place)) = (self.flashed.take(), &self.place) {
            place.put(flashed);
        }
    }
}

impl Lab {
    /// A board as it leaves the factory, with a fresh battery and the door open.
    ///
    /// # Panics
    /// The board could not be flashed anew, or does not boot.
    #[track_caller]
    pub fn bench(&self) -> Bench {
        self.bench_that_knows(&[])
    }

    /// The same with these codes in its slots, from the first on, set as the product's manual says.
    ///
    /// # Panics
    /// The board could not be flashed anew, or did not accept the codes.
    #[track_caller]
    pub fn bench_that_knows(&self, codes: &[&str]) -> Bench {
        let here = Location::caller();
        let codes: Vec<String> = codes.iter().map(|code| format!("${code}")).collect();
        let given = format!("given: {{ user-codes: [{}] }}\n", codes.join(", "));
        let mut script = self.script(here, "wait: 1 ms", &given);
        script.steps.clear();
        let plan = PlannedRun {
            scenario: "test-in-rust".to_owned(),
            profile: self.profile().id().to_owned(),
            variant: String::new(),
            course: Course::Runs(script.clone()),
        };
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        let (orders, incoming) = mpsc::channel::<Order>();
        let (trace, path) = self.trace(&test);
        let mut lent = self.lend();
        let group = Arc::clone(&self.group);
        let (codes, seed) = (self.codes.clone(), self.desk.seed);
        let worker = std::thread::Builder::new().name(format!("bench of {test}"));
        let worker = worker.spawn(move || {
            let flashed = lent.flashed.as_mut().expect("it was lent");
            let setup = Setup {
                plan: &plan,
                script: &script,
                profile: &group.profile,
                codes: &codes,
                seed,
                files: Vec::new(),
                flashed: flashed.prepared.receipt.clone(),
                rehearsal: &[],
                bench: &mut flashed.prepared.bench,
            };
            let (events, written) = run::by_hand(setup, trace, |hand| {
                while let Ok(order) = incoming.recv() {
                    // Who ordered may be gone; the board goes to rest all the same.
                    let _ = order.answer.send(hand.carry_out(&order.acts));
                }
            });
            written.map(|()| events)
        });
        let worker = worker.unwrap_or_else(|why| panic!("starting a thread: {why}"));
        let mut bench = Bench {
            lab: self.planner(),
            orders: Some(orders),
            worker: Some(worker),
            trace: path,
        };
        // What is given has to be there before the test goes on.
        bench.order(here, Vec::new());
        bench
    }

    /// Carries out every variant of a scenario file that this product and bench can do.
    ///
    /// # Panics
    /// A file that is wrong.
    #[track_caller]
    pub fn run_scenario(&self, file: impl AsRef<Path>) -> Vec<Summary> {
        let (library, _) = self.desk.read(vec![file.as_ref().to_owned()]);
        let scenario = &library.scenarios[0];
        let runs = scenario::plan_on(&scenario.value, self.profile())
            .unwrap_or_else(|why| panic!("{}", scenario.refused(why).render(false)));
        let mut summaries = Vec::new();
        for plan in runs {
            let Course::Runs(script) = &plan.course else {
                continue;
            };
            let codes = self.made(&script.codes);
            let name = format!("{} {}", plan.scenario, plan.variant);
            let (trace, _) = self.trace(&name);
            let mut lent = self.lend();
            let flashed = lent.flashed.as_mut().expect("it was lent");
            let setup = Setup {
                plan: &plan,
                script,
                profile: self.profile(),
                codes: &codes,
                seed: self.desk.seed,
                files: Vec::new(),
                flashed: flashed.prepared.receipt.clone(),
                rehearsal: &[],
                bench: &mut flashed.prepared.bench,
            };
            let (events, written) = run::run(setup, trace);
            written.unwrap_or_else(|why| panic!("writing the trace of {name}: {why}"));
            summaries.push(summarise(&events).expect("a run records its beginning first"));
        }
        summaries
    }

    /// Carries out a scenario file, and expects that each of its runs passes, and that there is one.
    ///
    /// # Panics
    /// A run that does not pass, or none at all.
    #[track_caller]
    pub fn passes(&self, file: impl AsRef<Path>) {
        let file = file.as_ref();
        let summaries = self.run_scenario(file);
        assert!(
            !summaries.is_empty(),
            "'{}' has no run that '{}' on '{}' can do",
            file.display(),
            self.profile().id(),
            self.group.bench.name
        );
        let mut text = Vec::new();
        for summary in summaries.iter().filter(|run| !is_good(run.verdict)) {
            let shown = terminal::block(&mut text, summary, "its trace");
            shown.expect("writing to memory");
        }
        assert!(text.is_empty(), "\n{}", String::from_utf8_lossy(&text));
    }

    fn profile(&self) -> &Product {
        &self.group.profile
    }

    fn planner(&self) -> Planner {
        Planner {
            profile: Arc::clone(&self.group.profile),
            requirements: self.requirements.clone(),
            codes: self.desk.codes.clone(),
        }
    }

    #[track_caller]
    fn with_codes(mut self) -> Lab {
        let here = Location::caller();
        let scenario = self.planner().scenario(here, "wait: 1 ms", "");
        let scenario = scenario.or_panic();
        self.codes = self.made(&scenario.declared_codes());
        self
    }

    /// The digits of codes; a cylinder has none.
    #[track_caller]
    fn made(&self, declared: &BTreeMap<String, codes::Declared>) -> BTreeMap<String, Code> {
        match self.profile().lock() {
            Some(lock) => codes::generate(lock, self.desk.seed, declared).or_panic(),
            None => BTreeMap::new(),
        }
    }

    #[track_caller]
    fn script(&self, here: &Location<'_>, step: &str, given: &str) -> Script {
        let script = self.planner().script(here, step, given);
        script.or_panic()
    }

    /// A board for one run: a fork, or the only one.
    #[track_caller]
    fn lend(&self) -> Lent {
        let mut flashed = self.board.take();
        if let Some(bench) = flashed.prepared.bench.fork() {
            let receipt = flashed.prepared.receipt.clone();
            self.board.put(flashed);
            return Lent {
                flashed: Some(Flashed {
                    prepared: Prepared { bench, receipt },
                    is_used: true,
                }),
                place: None,
            };
        }
        let anew = match flashed.is_used {
            true => campaign::flash(&self.group, &mut flashed.prepared.bench),
            false => Ok(flashed.prepared.receipt.clone()),
        };
        flashed.is_used = true;
        let mut lent = Lent {
            flashed: Some(flashed),
            place: Some(Arc::clone(&self.board)),
        };
        match (anew, &mut lent.flashed) {
            (Ok(receipt), Some(flashed)) => flashed.prepared.receipt = receipt,
            (Err(trouble), _) => panic!("{trouble}\nhint: {}", trouble.hint),
            _ => {}
        }
        lent
    }

    /// Where a run's trace goes.
    fn trace(&self, name: &str) -> (Box<dyn Write + Send>, Option<PathBuf>) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Some(folder) = &self.desk.traces else {
            return (Box::new(io::sink()), None);
        };
        let plain = |one: char| {
            if one.is_ascii_alphanumeric() {
                one
            } else {
                '-'
            }
        };
        let name: String = name.trim().chars().map(plain).collect();
        // Tests that run in processes of their own may have the same name.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}.{}.{number}", std::process::id());
        let path = folder.join(name).join("events.jsonl");
        let file = std::fs::create_dir_all(path.parent().unwrap_or(folder))
            .and_then(|()| File::create(&path));
        match file {
            Ok(file) => (Box::new(file), Some(path)),
            Err(why) => panic!("making '{}': {why}", path.display()),
        }
    }
}

/// Sets single steps against the profile.
struct Planner {
    profile: Arc<Product>,
    requirements: Requirements,
    codes: Vec<(String, String)>,
}

impl Planner {
    /// A scenario with this one step. It stands on the line of the test that ordered it, so that events
    /// and messages name that.
    fn scenario(&self, here: &Location<'_>, step: &str, given: &str) -> Result<Scenario, Refused> {
        let codes = self
            .codes
            .iter()
            .map(|(name, kind)| format!("{name}: {kind}"));
        let codes: Vec<String> = codes.collect();
        let above = "\n".repeat((here.line() as usize).saturating_sub(2));
        let text = format!(
            "{above}steps:\n- {{ {step} }}\nscenario: test-in-rust\nversion: 1\nintent: A test in Rust.\n\
             needs: []\ncovers: []\ncodes: {{ {} }}\n{given}",
            codes.join(", ")
        );
        let source = Source::new(here.file().replace('\\', "/"), text);
        Scenario::read(&source, &self.requirements)
    }

    fn script(&self, here: &Location<'_>, step: &str, given: &str) -> Result<Script, Refused> {
        let scenario = self.scenario(here, step, given)?;
        let mut runs = scenario::plan_on(&scenario, &self.profile)?;
        match runs.pop().map(|run| run.course) {
            Some(Course::Runs(script)) => Ok(script),
            Some(Course::Skipped(reason)) => panic!("{here}: {reason}"),
            None => panic!("{here}: nothing is planned"),
        }
    }
}

struct Order {
    acts: Vec<Act>,
    answer: mpsc::Sender<(Verdict, String)>,
}

/// A board on a bench, in the hands of one test.
///
/// Codes are given by the names that the [`Desk`] declares, times and voltages with their units.
pub struct Bench {
    lab: Planner,
    orders: Option<mpsc::Sender<Order>>,
    worker: Option<JoinHandle<io::Result<Vec<Event>>>>,
    trace: Option<PathBuf>,
}

impl Bench {
    /// Enters a code, with what ends an entry on this product.
    #[track_caller]
    pub fn enter(&mut self, code: &str) {
        self.step(&format!("enter: ${code}"));
    }

    /// Presses and releases a key or button: `reset`, `program`, a key's label or its name.
    #[track_caller]
    pub fn press(&mut self, contact: &str) {
        self.step(&format!("press: {}", name(contact)));
    }

    /// Holds a button or key: `bench.hold("program", "5 s")`.
    #[track_caller]
    pub fn hold(&mut self, contact: &str, time: &str) {
        self.step(&format!("hold: {}, for: {time}", name(contact)));
    }

    /// Sets the supply: `off`, `fresh`, or a voltage.
    #[track_caller]
    pub fn supply(&mut self, level: &str) {
        self.step(&format!("supply: {level}"));
    }

    /// Opens or closes the door: `open`, `closed`.
    #[track_caller]
    pub fn door(&mut self, state: &str) {
        self.step(&format!("door: {state}"));
    }

    /// Lets time pass, or waits for what the profile gives a time for: `3 s`, `lockout`, `relock`.
    #[track_caller]
    pub fn wait(&mut self, time: &str) {
        self.step(&format!("wait: {time}"));
    }

    /// Carries out a procedure of the profile, with its own values.
    #[track_caller]
    pub fn procedure(&mut self, name: &str) {
        self.step(&format!("do: {name}"));
    }

    /// Expects that the code withdraws the bolt, and that it is thrown again.
    #[track_caller]
    pub fn opens(&mut self, code: &str) {
        self.step(&format!("opens: ${code}"));
    }

    /// Expects that the code does not withdraw the bolt.
    #[track_caller]
    pub fn refuses(&mut self, code: &str) {
        self.step(&format!("refuses: ${code}"));
    }

    /// Waits for a signal of the profile that a lock shows by itself. After an action, write both as
    /// one step, because a lock may answer while the last key is still down:
    /// `bench.step("enter: $guess, expect: wrong-code")`.
    #[track_caller]
    pub fn expect_signal(&mut self, signal: &str) {
        self.step(&format!("expect: {signal}"));
    }

    /// Carries out a step of a scenario, on one line:
    /// `do: change-code, with: { old: $old, new: $new }`.
    ///
    /// # Panics
    /// Here and in every other verb: a step that is wrong, something that is not as expected, an oracle
    /// that was broken, an instrument that does not do what it was told.
    #[track_caller]
    pub fn step(&mut self, step: &str) {
        let here = Location::caller();
        let script = self.lab.script(here, step, "");
        let acts = script.or_panic().steps;
        self.order(here, acts);
    }

    /// Ends the test's run before the test ends: the outputs go to rest, the oracles judge.
    ///
    /// # Panics
    /// The run did not pass.
    #[track_caller]
    pub fn finish(mut self) -> Summary {
        let summary = self.conclude().or_panic();
        self.judge(summary.verdict, &summary.because);
        summary
    }

    #[track_caller]
    fn order(&mut self, here: &Location<'_>, acts: Vec<Act>) {
        let doing: Vec<String> = acts.iter().map(Act::to_string).collect();
        let (answer, answers) = mpsc::channel();
        let sent = self
            .orders
            .as_ref()
            .map(|orders| orders.send(Order { acts, answer }));
        let answer = match sent {
            Some(Ok(())) => answers.recv().ok(),
            _ => None,
        };
        match answer {
            Some((verdict, because)) if !is_good(verdict) => self.fail(&format!(
                "{here}: {}\n{verdict}: {because}",
                doing.join(", ")
            )),
            Some(_) => {}
            None => match self.conclude() {
                Ok(_) => self.fail(&format!("{here}: the run is over already")),
                Err(why) => self.fail(&format!("{here}: {why}")),
            },
        }
    }

    #[track_caller]
    fn judge(&self, verdict: Verdict, because: &str) {
        if !is_good(verdict) {
            self.fail(&format!("{verdict}: {because}"));
        }
    }

    #[track_caller]
    fn fail(&self, message: &str) -> ! {
        match &self.trace {
            Some(trace) => panic!("{message}\ntrace: {}", trace.display()),
            None => panic!("{message}"),
        }
    }

    /// Brings the outputs to rest and waits for the oracles.
    fn conclude(&mut self) -> Result<Summary, String> {
        self.orders = None;
        let Some(worker) = self.worker.take() else {
            return Err("the run is over already".to_owned());
        };
        let events = match worker.join() {
            Ok(Ok(events)) => events,
            Ok(Err(why)) => return Err(format!("writing the trace: {why}")),
            Err(_) => return Err("a bug in lockrig: the run panicked, see above".to_owned()),
        };
        summarise(&events).ok_or_else(|| "the run left no events".to_owned())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.worker.is_none() {
            return;
        }
        let concluded = self.conclude();
        // A test that fails already says why.
        if std::thread::panicking() {
            return;
        }
        match concluded {
            Ok(summary) => self.judge(summary.verdict, &summary.because),
            Err(why) => self.fail(&why),
        }
    }
}

/// What goes wrong ends the test, on the line of the test that asked for it.
trait OrPanic<T> {
    fn or_panic(self) -> T;
}

impl<T, E: fmt::Display> OrPanic<T> for Result<T, E> {
    #[track_caller]
    fn or_panic(self) -> T {
        match self {
            Ok(value) => value,
            Err(why) => panic!("{why}"),
        }
    }
}

/// A name in a step: as it is if it is a word, else in quotes.
fn name(text: &str) -> String {
    match text
        .chars()
        .all(|one| one.is_ascii_lowercase() || one == '-')
    {
        true => text.to_owned(),
        false => format!("{text:?}"),
    }
}

fn is_good(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Pass | Verdict::KnownFinding)
}
