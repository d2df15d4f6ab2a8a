//! `lockrig sim serve`: the virtual bench on real ports.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::board::{self, Board, Virtual};
use super::error::Failure;
use super::quantity::voltage;
use super::signals;
use crate::bench::Feed;
use crate::quantity::Millivolts;
use crate::serve::endpoint::{Endpoints, Layout, OpenError};
use crate::serve::{Clock, Place, Server, Standing, bench_file, describe};

/// The virtual bench for other tools
#[derive(clap::Subcommand, Debug)]
pub enum Sim {
    /// Put a virtual bench on pseudo-terminals and TCP ports, in real time
    Serve(Serve),
}

impl Sim {
    pub fn execute(self) -> Result<u8, Failure> {
        match self {
            Sim::Serve(serve) => serve.execute(),
        }
    }
}

/// Put a virtual bench on pseudo-terminals and TCP ports, in real time
///
/// The board is flashed, the supply is off, and everything is at rest. Bench time follows the clock
/// until Ctrl-C or SIGTERM.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    /// The bench, by name or file
    #[arg(value_name = "BENCH", default_value = "virtual-safe")]
    bench: String,
    /// The product's profile, by name or file [default: the first that fits the bench]
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// Firmware to flash in place of the bench's own
    #[arg(long, value_name = "FILE|NAME", conflicts_with = "erased")]
    image: Option<String>,
    /// Leave the board's flash erased
    #[arg(long)]
    erased: bool,
    /// Turn the supply on, at this voltage
    #[arg(long, value_name = "VOLTAGE", value_parser = voltage)]
    feed: Option<Millivolts>,
    /// Seed of contact bounce and of everything else that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is printed about the ports: for people, or one JSON document
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    ports: Ports,
}

/// Where the ports of a served bench are.
#[derive(clap::Args, Debug)]
pub struct Ports {
    /// Instruments on TCP ports too, as everywhere but on Unix
    #[arg(long)]
    tcp: bool,
    /// The first TCP port on 127.0.0.1; the others follow it [default: free ones]
    #[arg(long, value_name = "NUMBER")]
    first_port: Option<u16>,
    /// A folder in which each pseudo-terminal gets a link with the port's name
    #[arg(long, value_name = "FOLDER")]
    links: Option<PathBuf>,
    /// Write a bench file with which 'lockrig run --bench' drives these ports
    #[arg(long, value_name = "FILE")]
    write_bench: Option<PathBuf>,
    /// Write down, a JSON object a line, who opens and closes which port and what the instruments hold on
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A table
    Human,
    /// A JSON document in one line, and then nothing
    Json,
}

const EXAMPLES: &str = "\
Examples:
  lockrig sim serve                                  the virtual safe; prints where its ports are
  lockrig sim serve virtual-safe --feed '9 V'        with its lock powered
  lockrig sim serve --write-bench served.toml &      and from elsewhere, over real ports:
  lockrig run --bench served.toml --filter rekey

What speaks what:
  probe        Black Magic Probe's remote protocol; probe-rs takes the address as it is printed
  gdb          gdb's remote protocol: gdb -ex 'target remote ADDRESS' firmware.elf
  relay        A0 channel state checksum
  supply       SCPI
  console      whatever the firmware prints
  sense-board  Firmata, as of an Arduino whose pins 2 to 13 are the bench's lines";

/// A bench that is behind the clock by more than this is told of.
const LATE: Duration = Duration::from_millis(20);

/// What is told about a bench that is served.
#[derive(Serialize)]
struct Told<'a> {
    lockrig: &'static str,
    bench: &'a str,
    seed: u64,
    ports: &'a [Place],
}

impl Serve {
    fn execute(self) -> Result<u8, Failure> {
        let board = Board {
            bench: self.bench.clone(),
            profile: self.profile.clone(),
            seed: self.seed,
        };
        let mut there = match self.erased {
            true => board.erased()?,
            false => board.flashed(self.image.as_deref())?,
        };
        if let Some(voltage) = self.feed {
            let resistance = None;
            let fed = there.bench.feed(Feed::On {
                voltage,
                resistance,
            });
            fed.and_then(|()| there.bench.settle())
                .map_err(board::broken)?;
        }
        self.ports
            .serve(&there, there.standing(), Clock::Follows, |places| {
                self.tell(&there, places)
            })?;
        Ok(0)
    }

    fn tell(&self, there: &Virtual, places: &[Place]) -> Result<(), Failure> {
        let name = &there.file.name;
        let text = match self.format {
            Format::Human => format!(
                "bench '{name}' is served until Ctrl-C{}\n{}",
                match (&there.file.supply, self.feed) {
                    (None, _) => String::new(),
                    (Some(_), None) => "; its supply is off".to_owned(),
                    (Some(_), Some(voltage)) => format!("; its supply is at {voltage}"),
                },
                describe(places)
            ),
            Format::Json => {
                let told = Told {
                    lockrig: env!("CARGO_PKG_VERSION"),
                    bench: name,
                    seed: self.seed,
                    ports: places,
                };
                let text = serde_json::to_string(&told);
                text.map_err(|why| Failure::broken(format!("writing JSON: {why}")))? + "\n"
            }
        };
        super::files::print(&text).map(|_| ())
    }
}

impl Ports {
    /// Opens the ports, writes the bench file that was asked for, tells where everything is, and
    /// serves until Ctrl-C or SIGTERM.
    pub fn serve(
        &self,
        there: &Virtual,
        bench: Standing,
        clock: Clock,
        tell: impl FnOnce(&[Place]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let layout = Layout {
            tcp: self.tcp,
            first_port: self.first_port,
            links: self.links.clone(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|why| Failure::broken(format!("starting the runtime: {why}")))?;
        runtime.block_on(async {
            // Before anybody knows of the ports, so that a signal never leaves links behind.
            let mut signals = signals::Signals::watch();
            let opened = Endpoints::open(&layout, &bench.services()).await;
            let (endpoints, places) = opened.map_err(|why| taken(&why))?;
            if let Some(path) = &self.write_bench {
                let text = bench_file::real(&there.text, &places).map_err(Failure::usage)?;
                write_bench(path, &text)?;
            }
            let mut server = Server::new(bench, clock, endpoints);
            if let Some(path) = &self.log {
                let shown = path.display();
                let file = std::fs::File::create(path)
                    .map_err(|why| Failure::usage(format!("writing the log '{shown}': {why}")))?;
                server = server.logged(Box::new(file));
            }
            tell(&places)?;
            let late = server.serve(signals.next()).await;
            if late > LATE {
                anstream::eprintln!(
                    "note: this machine kept the bench waiting, once for {} ms: times were off by that",
                    late.as_millis()
                );
            }
            Ok(())
        })
    }
}

/// Writes the bench file, but over nothing that somebody else wrote.
fn write_bench(path: &Path, text: &str) -> Result<(), Failure> {
    let shown = path.display();
    let foreign = match std::fs::read(path) {
        Ok(there) => !there.starts_with(bench_file::ABOUT.as_bytes()),
        Err(_) => false,
    };
    if foreign {
        return Err(Failure::hinted(
            format!("writing the bench file '{shown}': there is a file of yours"),
            Some("name another, or remove it".to_owned()),
        ));
    }
    std::fs::write(path, text)
        .map_err(|why| Failure::usage(format!("writing the bench file '{shown}': {why}")))
}

fn taken(why: &OpenError) -> Failure {
    let hint = match why.why.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program has it; without --first-port the system finds free ones"
        }
        std::io::ErrorKind::AlreadyExists => {
            "another bench is served there, or it is not a link of ours: name another folder"
        }
        _ => "may this user open it?",
    };
    Failure::broken(format!("{why}\nhint: {hint}"))
}
