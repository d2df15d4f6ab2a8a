//! Whether the parts of a bench file fit together, and the bench that they make.

mod lines;
mod relays;
mod stage;
mod supply;

use std::collections::{BTreeMap, BTreeSet};

use self::relays::Use;
use super::text::*;
use super::{BenchFile, Calibrated, ChipId, Device, Kept, Output, Port, VERSION};
use crate::event::Nanos;
use crate::port::{Level, real_pins, sim, usb_power};
use crate::source::{Problem, Problems, Source, Span, Spanned, closest, is_name};

/// The outputs that are groups of their own in `rest.order`.
const OUTPUTS: [&str; 6] = ["keys", "buttons", "door", "jam", "supply", "stage"];

/// What locks count by is a second or more.
const UNCERTAINTY_MAX: Nanos = Nanos::from_secs(1);

/// What can be a serial port at GPIO 14 and 15.
const SERIAL_AT_PINS: [&str; 3] = ["/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0"];

/// Looks at whether the parts of a file fit together.
pub(super) struct Check<'t, 'p> {
    text: &'t BenchText,
    problems: &'p mut Problems,
    used_ports: BTreeSet<String>,
    /// Relays and output pins, and what each is for.
    used_outputs: BTreeMap<u16, Use>,
}

impl<'t, 'p> Check<'t, 'p> {
    pub(super) fn new(text: &'t BenchText, problems: &'p mut Problems) -> Self {
        Check {
            text,
            problems,
            used_ports: BTreeSet::new(),
            used_outputs: BTreeMap::new(),
        }
    }

    pub(super) fn file(mut self, source: &Source) -> Option<BenchFile> {
        let text = self.text;
        self.version();
        if !is_name(&text.bench) {
            self.add(
                Problem::new(
                    text.bench.span,
                    format!("expected a name, found '{}'", text.bench.value),
                )
                .hint("a name has small letters, digits and dashes, and starts with a letter"),
            );
        }
        let relays = self.relays();
        let lines = self.lines();
        let supply = self.supply();
        let console = text
            .console
            .as_ref()
            .and_then(|console| self.bytes(&console.port));
        let stage = self.stage();
        let probe = text
            .probe
            .as_ref()
            .and_then(|probe| self.probe(&probe.port));
        let rest = self.rest();
        self.addresses();
        self.unused_ports();
        Some(BenchFile {
            source: source.clone(),
            name: text.bench.value.clone(),
            about: text.about.clone(),
            lock: text.lock,
            chip: text.chip.clone(),
            image: text.image.clone(),
            emulates: text.emulates.as_ref().map(|name| name.value.clone()),
            uncertainty: self.uncertainty(),
            calibration: text.calibration.as_ref().map(|kept| Kept {
                max_age: kept.max_age,
                folder: kept.folder.clone().unwrap_or("calibration".to_owned()),
            }),
            calibrated: Calibrated::NotAsked,
            relays,
            lines,
            supply,
            console,
            probe,
            usb_port: self.usb_port(),
            log: text
                .probe
                .as_ref()
                .and_then(|probe| probe.log)
                .map(usize::from),
            device: self.device(),
            recovery: self.recovery(),
            when_locked: text
                .probe
                .as_ref()
                .map_or(WhenLocked::default(), |probe| probe.when_locked),
            stage,
            rest,
        })
    }

    fn add(&mut self, problem: Problem) {
        self.problems.add::<()>(problem);
    }

    fn version(&mut self) {
        let version = self.text.version;
        if *version != VERSION {
            let hint = if *version > VERSION {
                "the file is newer than this program: update lockrig"
            } else {
                "write version = 1"
            };
            let message = format!(
                "expected version {VERSION} of the bench format, found {}",
                *version
            );
            self.add(Problem::new(version.span, message).hint(hint));
        }
    }

    fn uncertainty(&mut self) -> Nanos {
        let given = &self.text.uncertainty;
        if **given > UNCERTAINTY_MAX {
            let message = format!("holds that may be {} from the truth prove nothing", **given);
            let hint = format!(
                "at most {UNCERTAINTY_MAX}; boards/example-desk.toml says what it is made of"
            );
            self.add(Problem::new(given.span, message).hint(hint));
        }
        **given
    }

    fn device(&mut self) -> Option<Device> {
        let text = self.text.device.as_ref()?;
        for named in [&text.model, &text.serial_number] {
            if named.trim().is_empty() {
                let problem = Problem::new(named.span, "a device without a name");
                self.add(problem.hint("write what its label says"));
            }
        }
        let chip_id = text.chip_id.as_ref().and_then(|id| self.chip_id(id));
        Some(Device {
            model: text.model.value.clone(),
            serial_number: text.serial_number.value.clone(),
            chip_id,
        })
    }

    fn chip_id(&mut self, text: &ChipIdText) -> Option<ChipId> {
        if self.text.probe.is_none() {
            let problem = Problem::new(text.is.span, "no probe could read what the chip is");
            self.add(problem.hint("describe one under [probe], or leave 'chip-id' out"));
        }
        if !text.at.is_multiple_of(4) {
            let problem = Problem::new(text.at.span, "words begin at multiples of four");
            self.add(problem.hint("the chip's manual says where: 0x10000060 for an nRF51"));
        }
        let words = text.is.split_whitespace();
        let words: Result<Vec<u32>, _> = words.map(|word| u32::from_str_radix(word, 16)).collect();
        match words {
            Ok(words) if (1..=8).contains(&words.len()) => Some(ChipId {
                at: *text.at,
                words,
            }),
            _ => {
                let message = format!("expected words in hexadecimal, found '{}'", *text.is);
                let problem = Problem::new(text.is.span, message);
                self.add(problem.hint("write one to eight, such as \"1f00cafe 0badf00d\"; a run says what it read where it is something else"));
                None
            }
        }
    }

    fn recovery(&mut self) -> Option<String> {
        let recovery = self.text.recovery.as_ref()?;
        if recovery.trim().is_empty() {
            let problem = Problem::new(recovery.span, "no way back is named");
            self.add(problem.hint("say what opens the lock, and when that was tried last"));
        }
        Some(recovery.value.clone())
    }

    fn port(&mut self, name: &Spanned<String>) -> Option<&'t PortText> {
        self.used_ports.insert(name.value.clone());
        let ports = &self.text.ports;
        if let Some(port) = ports.get(name) {
            return Some(port);
        }
        // What was meant is not one too many.
        let names: Vec<&str> = ports.names().collect();
        let meant = closest(name, &names).map(str::to_owned);
        self.used_ports.extend(meant);
        let problem = Problem::new(name.span, format!("there is no port '{}'", name.value))
            .did_you_mean(name, names);
        self.problems.add(problem)
    }

    fn bytes(&mut self, name: &Spanned<String>) -> Option<Port> {
        let port = self.port(name)?;
        if let Some(driver) = port.driver {
            let problem = Problem::new(driver.span, "only lines are sensed through this driver");
            return self
                .problems
                .add(problem.hint("leave 'driver' out where an instrument has one of its own"));
        }
        if is_pins(&port.at) {
            let message = format!("only pins are at '{}'", port.at.value);
            let hint = "contacts are closed by pins with driver = \"pins\" under [relays]; all other instruments want a serial line or TCP";
            return self
                .problems
                .add(Problem::new(port.at.span, message).hint(hint));
        }
        self.stream(port)
    }

    /// Where the bytes of a port come from.
    fn stream(&mut self, port: &PortText) -> Option<Port> {
        let emulates = self.text.emulates.as_ref().map(|name| name.value.as_str());
        let there = sim::byte_ports(emulates.unwrap_or_default());
        let at = port.at.value.as_str();
        if let Some(sim) = at.strip_prefix("sim:") {
            if !there.contains(&sim) {
                let problem = Problem::new(
                    port.at.span,
                    format!("no byte port 'sim:{sim}' on a virtual bench"),
                )
                .did_you_mean(sim, there);
                return self.problems.add(problem);
            }
        } else if let Some(host) = at.strip_prefix("tcp://") {
            let number = host
                .rsplit_once(':')
                .and_then(|(_, number)| number.parse::<u16>().ok());
            if number.is_none_or(|number| number == 0) {
                let problem = Problem::new(
                    port.at.span,
                    format!("expected tcp://host:port, found '{at}'"),
                )
                .hint("name the port's number, such as tcp://192.168.1.20:5025");
                return self.problems.add(problem);
            }
        } else if port.baud.is_none() {
            let problem =
                Problem::new(port.at.span, format!("the serial port '{at}' needs 'baud'"))
                    .hint("add baud = 9600, or whatever the instrument is set to");
            return self.problems.add(problem);
        }
        Some(Port {
            at: at.to_owned(),
            baud: port.baud.unwrap_or(0),
        })
    }

    fn probe(&mut self, name: &Spanned<String>) -> Option<Port> {
        let port = self.port(name)?;
        if let Some(sim) = port.at.strip_prefix("sim:")
            && sim != "swd"
        {
            let problem = Problem::new(
                port.at.span,
                format!("no debug port 'sim:{sim}' on a virtual bench"),
            )
            .hint("did you mean 'sim:swd'?");
            return self.problems.add(problem);
        }
        if self.text.chip.is_none() {
            self.add(
                Problem::new(name.span, "a probe needs a 'chip'")
                    .hint("name it at the head of the file: chip = \"nRF51822_xxAA\""),
            );
        }
        Some(Port {
            at: port.at.value.clone(),
            baud: 0,
        })
    }

    fn usb_port(&mut self) -> Option<String> {
        let place = self.text.probe.as_ref()?.usb_port.as_ref()?;
        if self.text.emulates.is_some() {
            let problem = Problem::new(place.span, "a virtual bench has no USB");
            self.add(problem.hint("leave 'usb-port' out: it is for probes that can hang"));
        } else if !usb_power::is_place(place) {
            let message = format!("expected a place on USB, found '{}'", place.value);
            self.add(Problem::new(place.span, message).hint(
                "bus, dash, and the chain of ports, as in \"1-1.4\": the kernel's log says it when the probe is plugged in",
            ));
        }
        Some(place.value.clone())
    }

    fn rest(&mut self) -> Vec<Output> {
        let text = self.text;
        let there = [
            !text.keys.keys.is_empty(),
            !text.buttons.is_empty(),
            text.door.is_some(),
            text.jam.is_some(),
            text.supply.is_some(),
            text.stage.is_some(),
        ];
        let known: Vec<&str> = OUTPUTS
            .iter()
            .zip(there)
            .filter(|(_, there)| *there)
            .map(|(name, _)| *name)
            .collect();
        let mut order = Vec::new();
        for name in &text.rest.order.value {
            let output = match name.value.as_str() {
                "keys" => Output::Keys,
                "buttons" => Output::Buttons,
                "door" => Output::Door,
                "jam" => Output::Jam,
                "supply" => Output::Supply,
                "stage" => Output::Stage,
                _ => {
                    let problem =
                        Problem::new(name.span, format!("there is no output '{}'", name.value))
                            .did_you_mean(name, known.iter().copied());
                    self.add(problem);
                    continue;
                }
            };
            if !known.contains(&name.value.as_str()) {
                let problem =
                    Problem::new(name.span, format!("this bench has no '{}'", name.value));
                self.add(problem.hint("leave it out of the order"));
            } else if order.contains(&output) {
                let problem =
                    Problem::new(name.span, format!("'{}' goes to rest twice", name.value));
                self.add(problem.hint("name each output once"));
            } else {
                order.push(output);
            }
        }
        for name in known {
            if !text
                .rest
                .order
                .value
                .iter()
                .any(|ordered| ordered.value == name)
            {
                let span = text.rest.order.span;
                let problem = Problem::new(
                    span,
                    format!("'{name}' has no place in the order of going to rest"),
                );
                self.add(problem.hint("every output must go to rest, also after an error: add it"));
            }
        }
        order
    }

    /// All ports of a bench lead to the same world.
    fn addresses(&mut self) {
        let text = self.text;
        let mut has_sim = false;
        for (_, port) in text.ports.iter() {
            let sim = port.at.starts_with("sim:");
            has_sim |= sim;
            if sim && text.emulates.is_none() {
                self.add(
                    Problem::new(
                        port.at.span,
                        format!(
                            "'{}' leads to a virtual bench, and the file names none",
                            port.at.value
                        ),
                    )
                    .hint("add emulates = \"virtual-safe\" at the head of the file"),
                );
            } else if !sim && text.emulates.is_some() {
                self.add(
                    Problem::new(
                        port.at.span,
                        format!("'{}' is real, and the file emulates a bench", port.at.value),
                    )
                    .hint("a bench is either real or virtual: their clocks differ"),
                );
            }
        }
        if let Some(emulates) = &text.emulates {
            if !crate::port::sim::exists(emulates) {
                let problem = Problem::new(
                    emulates.span,
                    format!("there is no virtual bench '{}'", emulates.value),
                )
                .did_you_mean(emulates, crate::port::sim::NAMES.iter().copied());
                self.add(problem);
            } else if !has_sim {
                let problem = Problem::new(emulates.span, "no port leads to this virtual bench");
                self.add(problem.hint("ports of a virtual bench are sim:relay, sim:supply, sim:console, sim:stage, sim:sense, sim:sense-board, sim:swd"));
            }
        }
    }

    fn unused_ports(&mut self) {
        let text = self.text;
        for (_, port) in text.ports.iter() {
            if let Some(sample) = &port.sample
                && !real_pins::is_pins(&port.at)
            {
                let message = format!("nothing is looked at now and then at '{}'", port.at.value);
                self.add(
                    Problem::new(sample.span, message)
                        .hint("leave 'sample' out: it is for pins of this computer"),
                );
            }
        }
        for (name, _) in text.ports.iter() {
            if !self.used_ports.contains(&name.value) {
                self.add(
                    Problem::new(
                        name.span,
                        format!("nothing stands on the port '{}'", name.value),
                    )
                    .hint("use it, or remove it"),
                );
            }
        }
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for (name, port) in text.ports.iter() {
            if seen.insert(&port.at.value, port.at.span).is_some() {
                let problem = Problem::new(
                    port.at.span,
                    format!(
                        "'{}' is at '{}', and so is another port",
                        name.value, port.at.value
                    ),
                );
                self.add(problem.hint("two instruments cannot share a port"));
            }
        }
    }
}

fn is_pins(at: &str) -> bool {
    at == "sim:pins" || real_pins::is_pins(at)
}

/// What is wrong with a pin, as far as the file can tell.
fn no_such_pin(text: &BenchText, at: &str, pin: u16, span: Span) -> Option<Problem> {
    let mut ports = text.ports.iter().map(|(_, port)| port.at.value.as_str());
    let serial = ports.find(|at| SERIAL_AT_PINS.contains(at));
    if let (real_pins::RASPBERRY_PI, 14 | 15, Some(serial)) = (at, pin, serial) {
        let message = format!("GPIO {pin} is a pin of '{serial}', which another port uses");
        return Some(
            Problem::new(span, message).hint("14 sends and 15 receives: take another pin"),
        );
    }
    let (highest, hint) = match at {
        real_pins::RASPBERRY_PI => (
            real_pins::HEADER_MAX,
            "its header has GPIO 0 to 27; the number is that of the GPIO, not its place on the header",
        ),
        "sim:pins" => (
            sim::OUTPUT_MAX,
            "boards/README.md says what each of them closes",
        ),
        _ => return None,
    };
    (pin > highest || at == "sim:pins" && pin == 0)
        .then(|| Problem::new(span, format!("there is no pin {pin} at '{at}'")).hint(hint))
}

fn level(active: Active) -> Level {
    match active {
        Active::High => Level::High,
        Active::Low => Level::Low,
    }
}
