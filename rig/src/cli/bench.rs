//! `lockrig bench`: what is attached, whether it answers, and how it is wired.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::board::{self, Board, broken, to_rest};
use super::error::Failure;
use super::files::print;
use crate::bench::{Bench, Via};
use crate::drawing;
use crate::port::Interrupt;
use crate::port::found::{self, Probe, SerialPort};

/// Benches: what is attached to this machine, whether a bench answers, and how it is wired
#[derive(clap::Subcommand, Debug)]
pub enum BenchCommand {
    /// Show serial ports, debug probes and GPIO chips of this machine
    List(List),
    /// Meet the instruments of a bench, who they say they are, and the level of every line
    ///
    /// Nothing is switched but to rest, and the board gets no power. 'lockrig check' reads the file
    /// alone; 'lockrig doctor' switches everything and measures.
    Check(Check),
    /// Draw the wiring of a bench file as an SVG picture
    Draw(Draw),
}

#[derive(clap::Args, Debug)]
pub struct List {
    /// Write a bench file to start from, with what is attached
    #[arg(long, value_name = "FILE")]
    draft: Option<PathBuf>,
    /// Where the devices are
    #[arg(long, value_name = "FOLDER", default_value = "/dev", hide = true)]
    dev: PathBuf,
}

#[derive(clap::Args, Debug)]
pub struct Check {
    /// The bench, by name or file
    #[arg(value_name = "NAME|FILE")]
    bench: String,
}

#[derive(clap::Args, Debug)]
pub struct Draw {
    /// The bench, by name or file
    #[arg(value_name = "NAME|FILE")]
    bench: String,
    /// Where the picture goes [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl BenchCommand {
    pub fn execute(self) -> Result<u8, Failure> {
        match self {
            BenchCommand::List(list) => list.execute(),
            BenchCommand::Check(check) => check.execute(),
            BenchCommand::Draw(draw) => draw.execute(),
        }
    }
}

fn board(bench: String) -> Board {
    Board {
        bench,
        profile: None,
        seed: 1,
    }
}

impl Draw {
    fn execute(self) -> Result<u8, Failure> {
        let (_, bench) = board(self.bench).load()?;
        let picture = drawing::draw(&bench);
        let Some(path) = self.output else {
            return print(&picture);
        };
        std::fs::write(&path, picture)
            .map_err(|why| Failure::usage(format!("writing '{}': {why}", path.display())))?;
        Ok(0)
    }
}

impl Check {
    fn execute(self) -> Result<u8, Failure> {
        let (_, file) = board(self.bench).load()?;
        let ports = board::opener(None, "meeting its instruments")(&file, 1, Interrupt::default())
            .map_err(broken)?;
        let mut bench = Bench::connect(file.clone(), ports).map_err(broken)?;
        let mut text = String::new();
        let mut say = |what: &str, at: &str, says: &str| {
            let _ = writeln!(text, "{what:<12} {at:<50} {says}");
        };
        if let Some(relays) = &file.relays {
            let (what, says) = match &relays.via {
                Via::Board { .. } => ("relay board", "answers, all relays at rest"),
                Via::Pins { .. } => ("pins", "taken, all at rest"),
            };
            say(what, relays.via.at(), says);
        }
        let supply = file.supply.as_ref();
        if let Some(supply) = supply.and_then(|supply| supply.programmable()) {
            let identity = bench.supply_identity().unwrap_or("answers");
            say("supply", &supply.port.at, identity);
        }
        if let Some(stage) = &file.stage {
            let identity = bench.stage_identity().unwrap_or("answers");
            say("stage", &stage.port.at, identity);
        }
        if let Some(console) = &file.console {
            say("console", &console.at, "open");
        }
        let probe = file.probe.as_ref().map(|probe| (probe, bench.probe()));
        let mut trouble = None;
        match probe {
            Some((probe, Ok(opened))) => say("probe", &probe.at, &opened.get_name()),
            Some((_, Err(absent))) => trouble = Some(absent),
            None => {}
        }
        for line in &file.lines {
            let on = bench.level(&line.name).map_err(broken)?;
            let at = format!("{}, pin {} of {}", line.name, line.pin, line.at);
            say("line", &at, if on { "on" } else { "off" });
        }
        print(&text)?;
        to_rest(&mut bench)?;
        trouble.map_or(Ok(0), |trouble| Err(broken(trouble)))
    }
}

impl List {
    fn execute(self) -> Result<u8, Failure> {
        let ports = found::serial_ports(&self.dev);
        let probes = found::probes();
        let chips = found::gpio_chips(&self.dev);
        let mut text = String::new();
        for port in &ports {
            let _ = writeln!(text, "serial  {}", port.at);
            let mut told: Vec<String> = Vec::new();
            if let Some(usb) = &port.usb {
                let name = usb.name.as_deref().unwrap_or("without a name");
                told.push(format!("USB {:04x}:{:04x} {name}", usb.vendor, usb.product));
            }
            told.extend(port.device.iter().map(|device| format!("now {device}")));
            told.extend(guess(port).map(|guess| format!("perhaps {}", guess.words())));
            if !told.is_empty() {
                let _ = writeln!(text, "        {}", told.join(", "));
            }
        }
        for probe in &probes {
            let _ = writeln!(text, "probe   {}\n        {}", probe.at, probe.name);
        }
        for chip in &chips {
            let _ = writeln!(text, "gpio    {chip}");
        }
        if ports.is_empty() && probes.is_empty() && chips.is_empty() {
            text += "nothing is attached to this machine that a bench could use\n";
        }
        print(&text)?;
        let Some(path) = self.draft else {
            return Ok(0);
        };
        let mut file = std::fs::File::create_new(&path).map_err(|why| {
            Failure::hinted(
                format!("writing '{}': {why}", path.display()),
                path.exists()
                    .then(|| "name a file that is not there yet".to_owned()),
            )
        })?;
        file.write_all(draft(&path, &ports, &probes).as_bytes())
            .map_err(|why| Failure::usage(format!("writing '{}': {why}", path.display())))?;
        let shown = path.display();
        print(&format!(
            "draft: {shown}; fill in what it asks for, then 'lockrig check --bench {shown}'\n"
        ))
    }
}

/// What may be behind a serial port, by the adapter that is usual there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Guess {
    Relays,
    SenseBoard,
    Console,
}

impl Guess {
    fn words(self) -> &'static str {
        match self {
            Guess::Relays => "a relay board",
            Guess::SenseBoard => "an Arduino as sense board",
            Guess::Console => "the lock's console",
        }
    }
}

fn guess(port: &SerialPort) -> Option<Guess> {
    let is = |vendor: u16, name: &str| {
        port.usb.as_ref().is_some_and(|usb| usb.vendor == vendor)
            || port.at.contains(&format!("usb-{name}"))
    };
    if is(0x1a86, "1a86") {
        Some(Guess::Relays)
    } else if is(0x2341, "Arduino") {
        Some(Guess::SenseBoard)
    } else if is(0x0403, "FTDI") || is(0x10c4, "Silicon_Labs") {
        Some(Guess::Console)
    } else {
        None
    }
}

/// A bench file to start from.
fn draft(path: &Path, ports: &[SerialPort], probes: &[Probe]) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |one: char| {
        if one.is_ascii_alphanumeric() {
            one.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name: String = stem.chars().map(plain).collect();
    let name = name.trim_start_matches(|one: char| !one.is_ascii_lowercase());
    let name = if name.is_empty() { "my-desk" } else { name };
    let first = |wanted| ports.iter().find(|port| guess(port) == Some(wanted));
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let (relays, sense, console) = (
        first(Guess::Relays),
        first(Guess::SenseBoard),
        first(Guess::Console),
    );
    let probe = probes.first();
    let mut text = format!(
        "# Drafted by 'lockrig bench list' from what was attached. Which adapter is which is a guess by its\n\
         # maker: put each right, name your wires, and read boards/README.md. 'lockrig check' reads this file\n\
         # without any power, 'lockrig bench draw' draws it, 'lockrig doctor' proves it.\n\
         bench = \"{name}\"\nversion = 1\nabout = \"\"\n"
    );
    if probe.is_some() {
        text += "# Your board's, as probe-rs calls it.\nchip = \"nRF51822_xxAA\"\n";
    }
    text += "# How far a measured hold may be from the truth (k = 2).\nuncertainty = \"20 ms\"\n\n[ports]\n";
    let mut port = |name: &str, at: &str, more: &str| {
        let _ = writeln!(text, "{name} = {{ at = {}{more} }}", quoted(at));
    };
    if let Some(relays) = relays {
        port("relay", &relays.at, ", baud = 9600");
    }
    if let Some(sense) = sense {
        port("sense", &sense.at, ", baud = 57600, driver = \"firmata\"");
    }
    if let Some(console) = console {
        port("console", &console.at, ", baud = 115200");
    }
    if let Some(probe) = probe {
        port("probe", &probe.at, "");
    }
    for other in ports {
        if ![relays, sense, console].contains(&Some(other)) {
            let _ = writeln!(
                text,
                "# unused = {{ at = {}, baud = 9600 }}",
                quoted(&other.at)
            );
        }
    }
    for other in probes.iter().skip(1) {
        let _ = writeln!(
            text,
            "# unused = {{ at = {} }}  # {}",
            quoted(&other.at),
            other.name
        );
    }
    text += "# A supply with a network socket:\n# supply = { at = \"tcp://192.168.1.20:5025\" }\n";
    let line = if sense.is_some() {
        ", line = \"reset-button\""
    } else {
        ""
    };
    if relays.is_some() {
        let _ = write!(
            text,
            "\n[relays]\ndriver = \"lcus\"\nport = \"relay\"\nchannels = 16\nlongest-on = \"1 min\"\n\
             \n# Which relay lies across which key.\n[keys]\n\"1\" = 1\n\
             \n[buttons]\nreset = {{ channel = 13{line} }}\n"
        );
    }
    if sense.is_some() {
        text += "\n[lines]\nbolt-withdrawn = { port = \"sense\", pin = \"6\", active = \"low\" }\n";
        if relays.is_some() {
            text += "reset-button = { port = \"sense\", pin = \"9\", active = \"low\" }\n";
        }
    }
    text += "\n# [supply]\n# driver = \"scpi\"\n# port = \"supply\"\n# highest = \"10 V\"\n# limit = \"800 mA\"\n";
    if console.is_some() {
        text += "\n[console]\nport = \"console\"\n";
    }
    if probe.is_some() {
        text += "\n[probe]\nport = \"probe\"\n";
    }
    let order = if relays.is_some() {
        "\"keys\", \"buttons\""
    } else {
        ""
    };
    let _ = write!(
        text,
        "\n# Every output, first to last.\n[rest]\norder = [{order}]\n"
    );
    text
}
