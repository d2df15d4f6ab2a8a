//! Pins of this computer: the header of a Raspberry Pi (rppal), or a chip behind the Linux GPIO character
//! device (gpiocdev). The address says which: `raspberry-pi`, `/dev/gpiochip0`, `gpiochip:LABEL`.
//!
//! A thread for each header does all that is done with its pins. It drives outputs at the times for which
//! that was ordered, at real-time priority where the system grants it, and says when it did; it looks at
//! pins that are sampled. Where the hardware tells edges, another thread hands them over, with the
//! kernel's own time stamps.
//!
//! Pulses for servos come from rppal, which has a thread for each such pin; they end with the program.
//! Pins that were outputs stay what they were driven to when the program ends, however it ends.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Once};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::real::Queue;
use super::{Input, Level, LineId, Observation, OutputId, PortProblem, PortTrouble, Seen, Signal};
use crate::event::Nanos;

#[cfg(target_os = "linux")]
mod character_device;
#[cfg(target_os = "linux")]
mod raspberry_pi;

/// The address of a Raspberry Pi's own header.
pub const RASPBERRY_PI: &str = "raspberry-pi";
/// The highest GPIO on that header.
pub const HEADER_MAX: u16 = 27;

/// What precedes the label of a chip in an address.
const BY_LABEL: &str = "gpiochip:";
/// What a path of a chip begins with.
const BY_PATH: &str = "/dev/gpiochip";

/// Pins cannot be looked at more often than this.
pub const SAMPLE_MIN: Nanos = Nanos(100_000);

/// How long before its time the thread stops sleeping and watches the clock.
const WATCH: Duration = Duration::from_micros(150);
/// How long the thread may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// An idle thread looks up this often.
const IDLE: Duration = Duration::from_secs(3_600);

/// Whether an address leads to pins of this computer.
pub fn is_pins(address: &str) -> bool {
    address == RASPBERRY_PI || address.starts_with(BY_LABEL) || address.starts_with(BY_PATH)
}

/// The device of the system behind an address of pins: one chip has several addresses. None where there is none, or
/// this user may not look.
pub fn device(address: &str) -> Option<std::path::PathBuf> {
    #[cfg(target_os = "linux")]
    return character_device::device(address);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = address;
        None
    }
}

/// The pins of one header or chip, whatever is behind it.
///
/// # Contract
/// - An output has its level from the first moment on at which it is an output.
/// - Edges go to `edges` from before `input` returns, where the hardware tells them and `input` asks
///   for no sampling.
/// - Dropping it changes no output.
trait Pins: Send {
    /// Makes a pin an output.
    fn output(&mut self, pin: u16, level: Level) -> Result<(), Refused>;
    /// Makes a pin an input; `edges` is none where it will be sampled.
    fn input(&mut self, pin: u16, input: &Input, edges: Option<Edges>) -> Result<(), Refused>;
    /// Drives an output, and returns at once; whoever ordered pulses ends them.
    fn drive(&mut self, pin: u16, signal: Signal) -> Result<(), String>;
    /// The level of an input.
    fn level(&mut self, pin: u16) -> Result<Level, String>;
}

/// Why a pin or a header could not be opened.
#[derive(Debug)]
struct Refused {
    problem: PortProblem,
    /// A lowercase fragment.
    saw: String,
}

/// Where the edges of one line go.
#[derive(Clone)]
struct Edges {
    line: LineId,
    clock: Clock,
    queue: Arc<Queue>,
}

impl Edges {
    /// An edge, with the kernel's time stamp.
    #[cfg(target_os = "linux")]
    fn edge(&self, stamp: Duration, level: Level) {
        self.push(self.clock.of_kernel(stamp), level);
    }

    fn push(&self, at: Nanos, level: Level) {
        let what = Seen::Edge {
            line: self.line,
            level,
            hertz: None,
        };
        if !self.queue.push(Observation { at, what }) {
            self.lost("too many observations wait and nobody takes them".to_owned());
        }
    }

    /// Edges of the line are missing from here on.
    fn lost(&self, why: String) {
        let line = self.line;
        self.queue.push(Observation {
            at: self.clock.now(),
            what: Seen::LineLost { line, why },
        });
    }
}

/// The bench's clock, and how far the kernel's is ahead of it.
#[derive(Clone, Copy)]
struct Clock {
    began: Instant,
    #[cfg(target_os = "linux")]
    began_kernel: Duration,
}

impl Clock {
    fn new(began: Instant) -> Clock {
        #[cfg(target_os = "linux")]
        {
            use rustix::time::{ClockId, clock_gettime};
            let kernel = clock_gettime(ClockId::Monotonic);
            let passed = began.elapsed();
            let kernel = Duration::new(
                kernel.tv_sec.try_into().unwrap_or_default(),
                kernel.tv_nsec.try_into().unwrap_or_default(),
            );
            Clock {
                began,
                began_kernel: kernel.saturating_sub(passed),
            }
        }
        #[cfg(not(target_os = "linux"))]
        Clock { began }
    }

    fn now(&self) -> Nanos {
        self.at(Instant::now())
    }

    fn at(&self, instant: Instant) -> Nanos {
        Nanos(instant.saturating_duration_since(self.began).as_nanos() as u64)
    }

    #[cfg(target_os = "linux")]
    fn of_kernel(&self, stamp: Duration) -> Nanos {
        Nanos(stamp.saturating_sub(self.began_kernel).as_nanos() as u64)
    }

    fn instant(&self, at: Nanos) -> Instant {
        self.began + Duration::from_nanos(at.0)
    }
}

/// A header that is open: what its thread is told through.
pub(super) struct Header {
    address: String,
    /// None once it is being dropped.
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread of a header is asked to do.
enum Request {
    Output {
        output: OutputId,
        pin: u16,
        level: Level,
        answer: Sender<Result<(), Refused>>,
    },
    Line {
        line: LineId,
        pin: u16,
        input: Input,
        answer: Sender<Result<(), Refused>>,
    },
    Level {
        line: LineId,
        answer: Sender<Result<Level, String>>,
    },
    Drive {
        output: OutputId,
        signal: Signal,
        at: Nanos,
    },
}

impl Header {
    /// Opens a header; its observations go into `queue`, with the time since `began`.
    pub(super) fn open(
        address: &str,
        began: Instant,
        queue: Arc<Queue>,
    ) -> Result<Header, PortTrouble> {
        let trouble = |refused: Refused| PortTrouble {
            address: address.to_owned(),
            problem: refused.problem,
            saw: refused.saw,
        };
        let pins = open(address).map_err(trouble)?;
        let (requests, told) = channel();
        let worker = Worker {
            pins,
            clock: Clock::new(began),
            queue,
            outputs: BTreeMap::new(),
            lines: BTreeMap::new(),
            ordered: Vec::new(),
            preferred: Once::new(),
        };
        let thread = thread::Builder::new()
            .name("pins".to_owned())
            .spawn(move || worker.run(&told))
            .map_err(|why| {
                trouble(Refused {
                    problem: PortProblem::Absent,
                    saw: why.to_string(),
                })
            })?;
        Ok(Header {
            address: address.to_owned(),
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn output(
        &self,
        output: OutputId,
        pin: u16,
        level: Level,
    ) -> Result<(), PortTrouble> {
        self.ask(|answer| Request::Output {
            output,
            pin,
            level,
            answer,
        })?
        .map_err(|refused| self.refused(pin, refused))
    }

    pub(super) fn line(&self, line: LineId, pin: u16, input: &Input) -> Result<(), PortTrouble> {
        let input = *input;
        self.ask(|answer| Request::Line {
            line,
            pin,
            input,
            answer,
        })?
        .map_err(|refused| self.refused(pin, refused))
    }

    pub(super) fn level(&self, line: LineId) -> Result<Level, PortTrouble> {
        self.ask(|answer| Request::Level { line, answer })?
            .map_err(|saw| self.gone(saw))
    }

    pub(super) fn drive(
        &self,
        output: OutputId,
        signal: Signal,
        at: Nanos,
    ) -> Result<(), PortTrouble> {
        self.send(Request::Drive { output, signal, at })
    }

    fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Request) -> Result<T, PortTrouble> {
        let (answer, answers) = channel();
        self.send(request(answer))?;
        answers
            .recv_timeout(ANSWER_MAX)
            .map_err(|_| self.gone("its thread does not answer".to_owned()))
    }

    fn send(&self, request: Request) -> Result<(), PortTrouble> {
        let requests = self.requests.as_ref();
        let sent = requests.is_some_and(|requests| requests.send(request).is_ok());
        match sent {
            true => Ok(()),
            false => Err(self.gone("its thread has ended".to_owned())),
        }
    }

    fn gone(&self, saw: String) -> PortTrouble {
        PortTrouble {
            address: self.address.clone(),
            problem: PortProblem::Lost,
            saw,
        }
    }

    fn refused(&self, pin: u16, refused: Refused) -> PortTrouble {
        PortTrouble {
            address: format!("{} pin {pin}", self.address),
            problem: refused.problem,
            saw: refused.saw,
        }
    }
}

impl Drop for Header {
    fn drop(&mut self) {
        // The thread ends with the last sender; the pins are free again when it has.
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread of a header.
struct Worker {
    pins: Box<dyn Pins>,
    clock: Clock,
    queue: Arc<Queue>,
    outputs: BTreeMap<OutputId, u16>,
    lines: BTreeMap<LineId, Line>,
    /// What is to be driven later, in the order of the orders.
    ordered: Vec<Drive>,
    /// Whether this thread comes before others.
    preferred: Once,
}

#[derive(Clone, Copy)]
struct Drive {
    output: OutputId,
    signal: Signal,
    at: Instant,
}

struct Line {
    pin: u16,
    sampled: Option<Sampled>,
}

/// A pin that is looked at now and then.
struct Sampled {
    edges: Edges,
    every: Duration,
    next: Instant,
    /// The level that was told last.
    level: Option<Level>,
}

impl Worker {
    fn run(mut self, told: &Receiver<Request>) {
        loop {
            self.drive_due();
            self.sample_due();
            let now = Instant::now();
            let drive = self.ordered.iter().map(|drive| drive.at).min();
            let sample = self.sampled().map(|(_, sampled)| sampled.next).min();
            let watch = drive.map(|at| at.checked_sub(WATCH).unwrap_or(at));
            let wake = watch.into_iter().chain(sample).min();
            let sleep = wake.map_or(IDLE, |wake| wake.saturating_duration_since(now));
            match told.recv_timeout(sleep) {
                Ok(request) => self.carry_out(request),
                // Sleep ends when the system likes it; the last moments are watched.
                Err(RecvTimeoutError::Timeout) => {
                    while drive.is_some_and(|at| {
                        let left = at.saturating_duration_since(Instant::now());
                        left > Duration::ZERO && left <= WATCH
                    }) {
                        std::hint::spin_loop();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn carry_out(&mut self, request: Request) {
        // Whoever asked and went away needs no answer.
        match request {
            Request::Output {
                output,
                pin,
                level,
                answer,
            } => {
                let opened = self.pins.output(pin, level);
                if opened.is_ok() {
                    self.outputs.insert(output, pin);
                }
                let _ = answer.send(opened);
            }
            Request::Line {
                line,
                pin,
                input,
                answer,
            } => {
                let _ = answer.send(self.open_line(line, pin, &input));
            }
            Request::Level { line, answer } => {
                let level = match self.lines.get(&line) {
                    Some(line) => self.pins.level(line.pin),
                    None => Err("it was not opened".to_owned()),
                };
                let _ = answer.send(level);
            }
            Request::Drive { output, signal, at } => {
                // Opening takes its time, and a system stops threads that take too much of it before all others.
                self.preferred.call_once(prefer_this_thread);
                self.ordered.retain(|other| other.output != output);
                let at = self.clock.instant(at);
                self.ordered.push(Drive { output, signal, at });
            }
        }
    }

    fn open_line(&mut self, line: LineId, pin: u16, input: &Input) -> Result<(), Refused> {
        let edges = Edges {
            line,
            clock: self.clock,
            queue: Arc::clone(&self.queue),
        };
        let told = input.sample.is_none().then(|| edges.clone());
        self.pins.input(pin, input, told)?;
        let sampled = input.sample.map(|every| Sampled {
            edges,
            every: Duration::from_nanos(every.0),
            next: Instant::now(),
            level: None,
        });
        self.lines.insert(line, Line { pin, sampled });
        Ok(())
    }

    fn drive_due(&mut self) {
        let now = Instant::now();
        let ordered = std::mem::take(&mut self.ordered);
        let (mut due, later) = ordered
            .into_iter()
            .partition::<Vec<Drive>, _>(|drive| drive.at <= now);
        self.ordered = later;
        due.sort_by_key(|drive| drive.at);
        for drive in due {
            self.drive(drive);
        }
    }

    fn drive(&mut self, Drive { output, signal, .. }: Drive) {
        let Some(pin) = self.outputs.get(&output) else {
            return;
        };
        let before = Instant::now();
        let driven = self.pins.drive(*pin, signal);
        let half = before.elapsed() / 2;
        if let Signal::Pulses {
            lasts: Some(lasts), ..
        } = signal
        {
            self.ordered.push(Drive {
                output,
                signal: Signal::Level(Level::Low),
                at: before + Duration::from_nanos(lasts.0),
            });
        }
        let what = match driven {
            Ok(()) => Seen::Driven {
                output,
                signal,
                within: Nanos(half.as_nanos() as u64),
            },
            Err(why) => Seen::OutputLost { output, why },
        };
        let at = self.clock.at(before + half);
        self.queue.push(Observation { at, what });
    }

    fn sampled(&self) -> impl Iterator<Item = (u16, &Sampled)> {
        let lines = self.lines.values();
        lines.filter_map(|line| Some((line.pin, line.sampled.as_ref()?)))
    }

    fn sample_due(&mut self) {
        for line in self.lines.values_mut() {
            let Some(sampled) = &mut line.sampled else {
                continue;
            };
            let now = Instant::now();
            if sampled.next > now {
                continue;
            }
            match self.pins.level(line.pin) {
                Ok(level) => {
                    if sampled.level.replace(level) != Some(level) {
                        sampled.edges.push(sampled.edges.clock.at(now), level);
                    }
                    sampled.next += sampled.every;
                }
                Err(why) => {
                    sampled.edges.lost(why);
                    line.sampled = None;
                }
            }
        }
        // What fell behind looks once, not often, and not before the other threads of this machine had their turn.
        let now = Instant::now();
        let sampled = self
            .lines
            .values_mut()
            .filter_map(|line| line.sampled.as_mut());
        for late in sampled.filter(|sampled| sampled.next <= now) {
            late.next = now + late.every;
        }
    }
}

/// Asks for a priority that other programs do not have. Where that is refused, edges come later when this
/// machine is busy, and say so by themselves: each has the time at which it was driven.
fn prefer_this_thread() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::unix::{
            RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };
        use thread_priority::{ThreadPriority, ThreadPriorityValue};
        let middle = ThreadPriorityValue::try_from(50).map(ThreadPriority::Crossplatform);
        let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
        if let Ok(middle) = middle {
            let _ = set_thread_priority_and_policy(thread_native_id(), middle, policy);
        }
    }
}

#[cfg(target_os = "linux")]
fn open(address: &str) -> Result<Box<dyn Pins>, Refused> {
    Ok(match address {
        RASPBERRY_PI => Box::new(raspberry_pi::RaspberryPi::open()?),
        address => Box::new(character_device::Chip::open(address)?),
    })
}

#[cfg(not(target_os = "linux"))]
fn open(_: &str) -> Result<Box<dyn Pins>, Refused> {
    Err(Refused {
        problem: PortProblem::Absent,
        saw: "this system has no pins that lockrig could use: run it on Linux".to_owned(),
    })
}
