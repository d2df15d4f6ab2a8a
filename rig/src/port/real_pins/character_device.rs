//! Pins behind the Linux GPIO character device, through gpiocdev: any computer with a chip that has a
//! driver, the Raspberry Pi 5 among them.
//!
//! The kernel gives a line to one program at a time, and takes it back when that program ends. It makes no
//! promise about the level then: most drivers leave an output as it was, some make it an input.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gpiocdev::Request;
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, Value};
use gpiocdev::request::Builder;

use super::super::{Input, Level, PortProblem, Signal};
use super::{BY_LABEL, Edges, Pins, RASPBERRY_PI, Refused};

/// As the kernel names us to others.
const CONSUMER: &str = "lockrig";
/// Edges that the kernel keeps for us.
const EDGES_MAX: u32 = 1_024;
/// How long the thread of a line waits for an edge before it looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(100);

/// A chip.
pub struct Chip {
    path: PathBuf,
    lines: u32,
    outputs: BTreeMap<u16, Request>,
    inputs: BTreeMap<u16, Sensed>,
}

/// An input, and the thread that hands its edges over.
struct Sensed {
    request: Arc<Request>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Chip {
    /// Opens the chip at a path, or with a label.
    pub fn open(address: &str) -> Result<Chip, Refused> {
        let path = match address.strip_prefix(BY_LABEL) {
            Some(label) => with_label(label)?,
            None => PathBuf::from(address),
        };
        let lines = info(&path)?.num_lines;
        Ok(Chip {
            path,
            lines,
            outputs: BTreeMap::new(),
            inputs: BTreeMap::new(),
        })
    }

    fn request(&self, pin: u16, builder: &mut Builder) -> Result<Request, Refused> {
        if u32::from(pin) >= self.lines {
            let last = self.lines.saturating_sub(1);
            return Err(Refused {
                problem: PortProblem::Absent,
                saw: format!("the chip has lines 0 to {last}"),
            });
        }
        builder
            .on_chip(&self.path)
            .with_consumer(CONSUMER)
            .request()
            .map_err(|why| self.refused(pin, &why))
    }

    fn refused(&self, pin: u16, error: &gpiocdev::Error) -> Refused {
        let info =
            gpiocdev::chip::Chip::from_path(&self.path).and_then(|chip| chip.line_info(pin.into()));
        match info {
            Ok(info) if info.used => Refused {
                problem: PortProblem::Busy,
                saw: match info.consumer.as_str() {
                    "" => "something else uses it".to_owned(),
                    holder => format!("'{holder}' uses it"),
                },
            },
            _ => refused(&self.path, error),
        }
    }
}

impl Pins for Chip {
    fn output(&mut self, pin: u16, level: Level) -> Result<(), Refused> {
        let mut builder = Request::builder();
        builder.with_line(pin.into()).as_output(value(level));
        let request = self.request(pin, &mut builder)?;
        self.outputs.insert(pin, request);
        Ok(())
    }

    fn input(&mut self, pin: u16, input: &Input, edges: Option<Edges>) -> Result<(), Refused> {
        let mut builder = Request::builder();
        builder.with_line(pin.into()).as_input();
        if let Some(pull) = input.pull {
            builder.with_bias(match pull {
                Level::High => Bias::PullUp,
                Level::Low => Bias::PullDown,
            });
        }
        if let Some(time) = input.debounce {
            builder.with_debounce_period(Duration::from_nanos(time.0));
        }
        if edges.is_some() {
            builder
                .with_edge_detection(EdgeDetection::BothEdges)
                .with_kernel_event_buffer_size(EDGES_MAX);
        }
        let request = self.request(pin, &mut builder).map_err(|refused| Refused {
            saw: match &edges {
                Some(_) if refused.problem == PortProblem::Absent => format!(
                    "{}; if the chip tells no edges, have the port's pins looked at: sample = \"1 ms\"",
                    refused.saw
                ),
                _ => refused.saw,
            },
            problem: refused.problem,
        })?;
        let request = Arc::new(request);
        let ends = Arc::new(AtomicBool::new(false));
        let thread = edges.map(|edges| {
            let (request, ends) = (Arc::clone(&request), Arc::clone(&ends));
            thread::spawn(move || hand_over(&request, &edges, &ends))
        });
        let sensed = Sensed {
            request,
            ends,
            thread,
        };
        self.inputs.insert(pin, sensed);
        Ok(())
    }

    fn drive(&mut self, pin: u16, signal: Signal) -> Result<(), String> {
        let output = self.outputs.get(&pin).ok_or("it is no output")?;
        let Signal::Level(level) = signal else {
            // The bench file is refused before it comes to this.
            return Err("the character device makes no pulses".to_owned());
        };
        output
            .set_lone_value(value(level))
            .map_err(|why| why.to_string())
    }

    fn level(&mut self, pin: u16) -> Result<Level, String> {
        let input = self.inputs.get(&pin).ok_or("it is no input")?;
        match input.request.lone_value() {
            Ok(Value::Active) => Ok(Level::High),
            Ok(Value::Inactive) => Ok(Level::Low),
            Err(why) => Err(why.to_string()),
        }
    }
}

impl Drop for Sensed {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Hands the edges of one line over, until it is no longer needed.
fn hand_over(request: &Request, edges: &Edges, ends: &AtomicBool) {
    let mut expected = None;
    while !ends.load(Ordering::Relaxed) {
        let event = match request.wait_edge_event(LOOK) {
            Ok(false) => continue,
            Ok(true) => request.read_edge_event(),
            Err(why) => Err(why),
        };
        let event = match event {
            Ok(event) => event,
            Err(why) => return edges.lost(why.to_string()),
        };
        if expected.is_some_and(|number| number != event.line_seqno) {
            edges
                .lost("the kernel dropped edges: they came faster than they were taken".to_owned());
        }
        expected = Some(event.line_seqno.wrapping_add(1));
        let level = match event.kind {
            EdgeKind::Rising => Level::High,
            EdgeKind::Falling => Level::Low,
        };
        edges.edge(Duration::from_nanos(event.timestamp_ns), level);
    }
}

fn value(level: Level) -> Value {
    match level {
        Level::High => Value::Active,
        Level::Low => Value::Inactive,
    }
}

fn info(path: &Path) -> Result<gpiocdev::chip::Info, Refused> {
    gpiocdev::chip::Chip::from_path(path)
        .and_then(|chip| chip.info())
        .map_err(|why| refused(path, &why))
}

/// The chip with that label; the kernel numbers chips as it finds them, which may differ from boot to boot.
/// What the kernel calls the chips behind the header, from the first Raspberry Pi to the fifth.
const HEADERS: [&str; 2] = ["pinctrl-bcm2", "pinctrl-rp1"];

/// The device of the chip at an address.
pub fn device(address: &str) -> Option<PathBuf> {
    let path = match address.strip_prefix(BY_LABEL) {
        Some(label) => with_label(label).ok()?,
        None if address == RASPBERRY_PI => {
            let is_header = |path: &PathBuf| {
                let label = info(path).map(|info| info.label).unwrap_or_default();
                HEADERS.iter().any(|begins| label.starts_with(begins))
            };
            gpiocdev::chip::chips().ok()?.into_iter().find(is_header)?
        }
        None => PathBuf::from(address),
    };
    path.canonicalize().ok()
}

fn with_label(label: &str) -> Result<PathBuf, Refused> {
    let mut denied = None;
    for path in gpiocdev::chip::chips().unwrap_or_default() {
        match info(&path) {
            Ok(info) if info.label == label => return Ok(path),
            Ok(_) => {}
            Err(why) => denied = Some(why),
        }
    }
    match denied {
        Some(denied) if denied.problem == PortProblem::Denied => Err(denied),
        _ => Err(absent(format!("no chip is labelled '{label}'"))),
    }
}

fn refused(path: &Path, error: &gpiocdev::Error) -> Refused {
    let kind = match error {
        gpiocdev::Error::Os(errno) => Some(io::Error::from_raw_os_error(errno.0)),
        _ => None,
    };
    match kind.map(|kind| kind.kind()) {
        Some(io::ErrorKind::PermissionDenied) => Refused {
            problem: PortProblem::Denied,
            saw: format!("no permission for {}", path.display()),
        },
        Some(io::ErrorKind::NotFound) => absent(format!("there is no {}", path.display())),
        _ => absent(error.to_string()),
    }
}

/// Nothing there; with what is.
fn absent(saw: String) -> Refused {
    let chips = gpiocdev::chip::chips().unwrap_or_default();
    let there: Vec<String> = chips
        .iter()
        .map(|path| match info_of(path) {
            Some((label, lines)) => format!("{} (gpiochip:{label}, {lines} lines)", path.display()),
            None => path.display().to_string(),
        })
        .collect();
    let there = match there.is_empty() {
        true => "this computer has no GPIO chip".to_owned(),
        false => format!("there are {}", there.join(", ")),
    };
    Refused {
        problem: PortProblem::Absent,
        saw: format!("{saw}; {there}"),
    }
}

fn info_of(path: &Path) -> Option<(String, u32)> {
    let info = gpiocdev::chip::Chip::from_path(path).ok()?.info().ok()?;
    Some((info.label, info.num_lines))
}
