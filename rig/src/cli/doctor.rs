//! `lockrig doctor`: a bench examined, told in a table, and kept as a calibration record.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anstyle::{AnsiColor, Style};
use jiff::civil::Date;

use super::board::{self, Board, broken};
use super::error::Failure;
use super::files::print;
use crate::bench::Bench;
use crate::bench::calibration::Record;
use crate::doctor::{ContactFound, Examination, Spread, examine, millis};
use crate::port::Interrupt;
use crate::verdict::Verdict;

/// Examine a bench: walk each relay to its line, measure the supply, and keep a calibration record
///
/// Every contact is closed and opened while the board has no supply, and the line that proves it in the
/// bench file ('line') must follow; then the supply is stepped up and measured, and a word is read
/// through the probe. No firmware is flashed. What is wrong is named, with what to try; exit code 3.
///
/// Where the bench file has 'calibration = { max-age = "30 days" }', a bench without faults gets a
/// record beside it, and 'lockrig run' goes by the newest and refuses one that is older.
#[derive(clap::Args, Debug)]
pub struct DoctorCommand {
    /// The bench, by name or file
    #[arg(long, value_name = "NAME|FILE", default_value = "virtual-safe")]
    bench: String,
    /// How often each contact is closed and opened
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Leave the supply off: contacts and lines only, and no record
    #[arg(long)]
    no_power: bool,
    /// The day that the record tells [default: today]
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,
    /// Seed of a virtual bench's noise
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl DoctorCommand {
    pub fn execute(self) -> Result<u8, Failure> {
        let board = Board {
            bench: self.bench.clone(),
            profile: None,
            seed: self.seed,
        };
        let (_, loaded) = board.read()?;
        let date = self
            .date
            .unwrap_or_else(|| jiff::ZonedDateTime::now().date());
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|why| Failure::broken(format!("starting the runtime: {why}")))?;
        let interrupt = Interrupt::default();
        {
            let _inside = runtime.enter();
            super::run::watch_signals(interrupt.clone(), Arc::new(AtomicBool::new(false)));
        }
        let ports = board::opener(None, "the doctor")(&loaded.value, self.seed, interrupt)
            .map_err(broken)?;
        let mut bench = Bench::connect(loaded.value.clone(), ports).map_err(broken)?;
        let found = examine(&mut bench, self.rounds, !self.no_power);
        print(&table(&bench, &found, date))?;
        if found.stopped {
            return Ok(Verdict::Aborted.exit_code());
        }
        let name = &loaded.value.name;
        let record = found.record(name, date).filter(|_| !self.no_power);
        match (record, loaded.records()) {
            (None, _) => print("no record was written\n")?,
            (Some(_), None) => print(
                "no record was written: the bench file keeps none (calibration = { max-age = \"30 days\" } at its head does)\n",
            )?,
            (Some(record), Some(folder)) => {
                let path = keep(&record, &folder, name, date)?;
                print(&format!("calibration record: {}\n", path.display()))?
            }
        };
        Ok(match found.faults.is_empty() {
            true => 0,
            false => Verdict::Broken.exit_code(),
        })
    }
}

/// Writes a record; one of the same day gives way to it, whole or not at all.
fn keep(record: &Record, folder: &Path, bench: &str, date: Date) -> Result<PathBuf, Failure> {
    let path = folder.join(format!("{bench}.{date}.toml"));
    let aside = folder.join(format!("{bench}.{date}.toml.new"));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&aside, record.text()))
        .and_then(|()| std::fs::rename(&aside, &path))
        .map_err(|why| Failure::broken(format!("writing '{}': {why}", path.display())))?;
    Ok(path)
}

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();
const HEAD: Style = Style::new().bold();

/// What a tired person reads at a glance.
fn table(bench: &Bench, found: &Examination, date: Date) -> String {
    let file = bench.file();
    let mut text = format!(
        "{HEAD}doctor of {}, {date}{HEAD:#}: each contact {} times\n",
        file.name, found.rounds
    );
    let through = found.contacts.iter().map(|contact| contact.output.len());
    let through = through.max().unwrap_or_default().max(11);
    if !found.contacts.is_empty() {
        let _ = writeln!(
            text,
            "\n{HEAD}contact         {:<through$} proved by         closes after            opens after             bounces{HEAD:#}",
            "through"
        );
    }
    for contact in &found.contacts {
        let name = contact.contact.to_string();
        let line = contact.line.as_deref().unwrap_or("nothing");
        let _ = writeln!(
            text,
            "{name:<15} {:<through$} {line:<17} {} {}",
            contact.output,
            times(contact),
            mark(
                contact.fault,
                if contact.line.is_some() {
                    "ok"
                } else {
                    "not proved"
                }
            )
        );
    }
    let cells = file.supply.as_ref();
    let cells = cells
        .filter(|_| !file.has_meter())
        .map(|supply| supply.highest);
    if let Some(supply) = &found.supply {
        let identity = supply
            .identity
            .as_deref()
            .unwrap_or("a supply without a name");
        let _ = writeln!(
            text,
            "\n{HEAD}supply{HEAD:#}  {identity}, confirms within {}",
            millis(supply.answers)
        );
        for (at, (point, current)) in supply.points.iter().enumerate() {
            let off = (f64::from(point.measured.0) / f64::from(point.set.0.max(1)) - 1.0) * 100.0;
            let is_last = at + 1 == supply.points.len();
            let _ = writeln!(
                text,
                "  set {:>8}   measured {:>8}   {off:>+5.1} %   at {:>9}   {}",
                point.set.to_string(),
                point.measured.to_string(),
                current.to_string(),
                mark(supply.fault.filter(|_| is_last), "ok")
            );
        }
    }
    if let (Some(voltage), true) = (cells, found.probe.is_some()) {
        let _ = writeln!(
            text,
            "\n{HEAD}supply{HEAD:#}  cells of {voltage}, by the bench file: nothing measures them"
        );
    }
    if let Some(probe) = &found.probe {
        let _ = writeln!(
            text,
            "\n{HEAD}probe{HEAD:#}   {}, a word in {}  {}",
            probe.identity,
            millis(probe.answers),
            mark(None, "ok")
        );
    }
    if file.console.is_some() && (found.supply.is_some() || cells.is_some()) {
        let _ = writeln!(
            text,
            "{HEAD}console{HEAD:#} {}",
            match found.printed.as_slice() {
                [] => "open; the board printed nothing".to_owned(),
                [first, ..] => format!(
                    "{} lines while powered, the first: {first}",
                    found.printed.len()
                ),
            }
        );
    }
    if !found.lines.is_empty() {
        let _ = writeln!(
            text,
            "\n{HEAD}line              at rest  moves with{HEAD:#}"
        );
    }
    for line in &found.lines {
        let power = line.moved_with_power.then_some("the board's power");
        let mut with: Vec<&str> = line.followed.iter().map(String::as_str).collect();
        if with.len() > 4 {
            with.truncate(3);
            with.push("…");
        }
        with.extend(power);
        let (with, word) = match with.is_empty() {
            true => ("nothing here".to_owned(), "not proved"),
            false => (with.join(", "), "ok"),
        };
        let at_rest = if line.at_rest { "on" } else { "off" };
        let _ = writeln!(
            text,
            "{:<17} {at_rest:<8} {with:<45} {}",
            line.line,
            mark(line.fault, word)
        );
    }
    text += &verdict(found);
    text
}

fn times(contact: &ContactFound) -> String {
    let Some(moved) = contact.moved else {
        return format!(
            "{:<55}",
            match contact.line {
                Some(_) => "its line does not follow",
                None => "",
            }
        );
    };
    let span =
        |spread: &Spread| format!("{} ± {}", millis(spread.median), millis(spread.uncertainty));
    let bounce = moved.closes.bounce.max(moved.opens.bounce);
    format!(
        "{:<23} {:<23} {:<9}",
        span(&moved.closes),
        span(&moved.opens),
        millis(bounce)
    )
}

/// The word at the end of a row; of a fault its number.
fn mark(fault: Option<usize>, otherwise: &str) -> String {
    match fault {
        Some(fault) => format!("{BAD}FAULT {}{BAD:#}", fault + 1),
        None if otherwise == "ok" => format!("{GOOD}ok{GOOD:#}"),
        None => format!("{QUIET}{otherwise}{QUIET:#}"),
    }
}

fn verdict(found: &Examination) -> String {
    let mut text = "\n".to_owned();
    for (number, fault) in (1..).zip(&found.faults) {
        let _ = write!(
            text,
            "{BAD}FAULT {number}{BAD:#}  {HEAD}{}{HEAD:#}: {}\n         try: {}\n",
            fault.what, fault.saw, fault.hint
        );
    }
    text += &match (found.faults.len(), found.stopped) {
        (_, true) => format!("{BAD}stopped{BAD:#}: not everything was looked at\n"),
        (0, _) => format!("{GOOD}no faults{GOOD:#}: this bench may judge a board\n"),
        (1, _) => format!("{BAD}1 fault{BAD:#}: this bench is not fit to judge a board\n"),
        (count, _) => {
            format!("{BAD}{count} faults{BAD:#}: this bench is not fit to judge a board\n")
        }
    };
    text
}
