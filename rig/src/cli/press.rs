//! By hand: `lockrig press`, `supply` and `release`, and what the board does then.

use super::board::{self, Board, broken, to_rest};
use super::error::Failure;
use super::files::print;
use super::quantity::{duration, voltage};
use crate::bench::{Bench, Contact, Feed, Happening, What};
use crate::event::Nanos;
use crate::port::{Interrupt, Waited};
use crate::quantity::Millivolts;

/// Press one key or button and print what the board does
///
/// The board is flashed first, with the bench's own image or the one that is named here, and fed with what the
/// product's fresh batteries have.
#[derive(clap::Args, Debug)]
pub struct Press {
    /// A key by its label (5, *, #), or a button by its name (reset, program)
    contact: String,
    /// How long
    #[arg(long = "for", value_name = "TIME", default_value = "150 ms", value_parser = duration)]
    lasts: Nanos,
    /// How long to watch afterwards
    #[arg(long, value_name = "TIME", default_value = "2 s", value_parser = duration)]
    watch: Nanos,
    /// Firmware to flash in place of the bench's own
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    #[command(flatten)]
    board: Board,
}

impl Press {
    pub fn execute(self) -> Result<u8, Failure> {
        self.is_wired()?;
        let (group, mut prepared) = self.board.prepare(self.image.as_deref())?;
        let bench = &mut prepared.bench;
        let Some(profile) = group.profile.lock() else {
            return Err(Failure::usage("a mechanical cylinder has nothing to press"));
        };
        let voltage = profile.supply.fresh.value;
        let watched = bench
            .feed(Feed::On {
                voltage,
                resistance: None,
            })
            .map_err(broken)
            .and_then(|()| watch(bench, Nanos::from_secs(1)))
            .and_then(|()| self.press(bench, true))
            .and_then(|()| watch(bench, self.lasts))
            .and_then(|()| self.press(bench, false))
            .and_then(|()| watch(bench, self.watch));
        to_rest(bench)?;
        watched.map(|()| 0)
    }

    fn contact(&self) -> Contact {
        let mut letters = self.contact.chars();
        match (letters.next(), letters.next()) {
            (Some(key), None) => Contact::Key(key),
            _ => Contact::Button(self.contact.clone()),
        }
    }

    /// A contact that the bench lacks is refused before any power is applied.
    fn is_wired(&self) -> Result<(), Failure> {
        let (_, bench) = self.board.load()?;
        let contact = self.contact();
        if bench.wired(&contact).is_some() {
            return Ok(());
        }
        let wired: Vec<String> = bench
            .relays
            .iter()
            .flat_map(|relays| relays.contacts.keys())
            .filter(|contact| matches!(contact, Contact::Key(_) | Contact::Button(_)))
            .map(ToString::to_string)
            .collect();
        Err(Failure::hinted(
            format!("the bench '{}' has no {contact}", bench.name),
            Some(format!("it has {}", wired.join(", "))),
        ))
    }

    fn press(&self, bench: &mut Bench, closed: bool) -> Result<(), Failure> {
        let contact = self.contact();
        print(&format!(
            "{:>12}  {contact} {}\n",
            bench.now().to_string(),
            if closed { "pressed" } else { "released" }
        ))?;
        bench.switch(&contact, closed).map_err(broken)
    }
}

/// Feed a bench's board by hand, and print what it draws and does
///
/// The board is flashed first, with the bench's own image or the one that is named here.
#[derive(clap::Args, Debug)]
pub struct Supply {
    /// What it is fed with: 9 V, 500 mV
    #[arg(value_parser = voltage)]
    voltage: Millivolts,
    /// How long
    #[arg(long = "for", value_name = "TIME", default_value = "10 s", value_parser = duration)]
    lasts: Nanos,
    /// Firmware to flash in place of the bench's own
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    #[command(flatten)]
    board: Board,
}

impl Supply {
    pub fn execute(self) -> Result<u8, Failure> {
        let (_, file) = self.board.load()?;
        let Some(supply) = &file.supply else {
            let name = &file.name;
            return Err(Failure::usage(format!("the bench '{name}' has no supply")));
        };
        if !supply.gives(self.voltage) {
            let (why, hint) = match supply.programmable() {
                Some(_) => ("is more than the board bears", "the bench file allows"),
                None => ("is not what the cells have", "the bench file says"),
            };
            return Err(Failure::hinted(
                format!("{} {why}", self.voltage),
                Some(format!("{hint} {}", supply.highest)),
            ));
        }
        let (_, mut prepared) = self.board.prepare(self.image.as_deref())?;
        let bench = &mut prepared.bench;
        let fed = self.feed(bench);
        to_rest(bench)?;
        fed.map(|()| 0)
    }

    fn feed(&self, bench: &mut Bench) -> Result<(), Failure> {
        let until = bench.now() + self.lasts;
        let voltage = self.voltage;
        let feed = Feed::On {
            voltage,
            resistance: None,
        };
        bench.feed(feed).map_err(broken)?;
        while bench.now() < until {
            if bench.file().has_meter() {
                bench.measure().map_err(broken)?;
            }
            watch(bench, until.since(bench.now()).min(Nanos::from_secs(1)))?;
        }
        Ok(())
    }
}

/// Open every contact of a bench, bring its supply to rest, and say so
///
/// What a program left that was killed, or a hand that was called away.
#[derive(clap::Args, Debug)]
pub struct Release {
    /// The bench, by name or file
    #[arg(long, value_name = "NAME|FILE")]
    bench: String,
}

impl Release {
    pub fn execute(self) -> Result<u8, Failure> {
        let board = Board {
            bench: self.bench,
            profile: None,
            seed: 1,
        };
        let (_, file) = board.load()?;
        let open = board::opener(None, "bringing it to rest");
        let ports = open(&file, 1, Interrupt::default()).map_err(broken)?;
        let rest = Bench::clean_up(file, ports);
        print(&format!("at rest: {}\n", rest.outputs.join(", ")))?;
        board::all_at_rest(&rest).map(|()| 0)
    }
}

/// Lets time pass and prints what is seen.
pub fn watch(bench: &mut Bench, span: Nanos) -> Result<(), Failure> {
    let until = bench.now() + span;
    while bench.now() < until {
        match bench.wait(until) {
            Waited::Saw(happening) => show(happening)?,
            Waited::Deadline | Waited::Interrupted => return Ok(()),
        }
    }
    Ok(())
}

/// Prints what was seen; trouble of an instrument ends the command.
pub fn show(happening: Happening) -> Result<(), Failure> {
    let said = match happening.what {
        What::Line { line, on, .. } => format!("{line} {}", if on { "on" } else { "off" }),
        What::Measured {
            voltage, current, ..
        } => format!("supply {voltage}, {current}"),
        What::Printed { text, .. } => format!("console: {text}"),
        What::Trouble(trouble) => return Err(broken(trouble)),
        _ => return Ok(()),
    };
    let at = happening.at.to_string();
    print(&format!("{at:>12}  {said}\n")).map(drop)
}
