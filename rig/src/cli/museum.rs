//! `lockrig museum`: whether the rig finds what is wrong with firmware that is known to be bad, and is silent
//! about good firmware.

mod hunt;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::board;
use super::error::Failure;
use super::files::{Library, Selection, print, print_json};
use super::quantity::duration;
use super::run::{id, report_folder, unusable};
use crate::cuts::parallel::parallel;
use crate::event::Nanos;
use crate::museum::{FLAGSHIPS, Museum};
use crate::verdict::Verdict;
use hunt::{Board, ENGINES, Quarry, is_bad, is_good, runs_of};

/// Look for what is wrong with firmware that is known to be bad
///
/// The reference firmware with one defect at a time, each as locks have really had it. Scenarios, glitches,
/// retries and cuts are tried on each until one finds something, and every piece's own scenario is carried out on it
/// and on the good image. Then the good images are run under several seeds, and must be found good.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct MuseumCommand {
    /// Only these pieces [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// How long is looked for what is wrong with a piece
    #[arg(long, value_name = "TIME", default_value = "60 s", value_parser = duration)]
    budget: Nanos,
    /// Under how many seeds the good images are run
    #[arg(long, value_name = "N", default_value_t = 2)]
    seeds: u64,
    /// How many runs at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Seed of codes, contact bounce and everything else that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is printed: for people, or a JSON object a line for each piece, and one for the good images
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Where the scenarios go that show what is wrong [default: reports/<time>]
    #[arg(long, value_name = "FOLDER")]
    report_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  lockrig museum                               all pieces, and the good images under two seeds
  lockrig museum one-page --seeds 0            one piece, and nothing else
  lockrig museum --budget 5s --seeds 1000      little patience with the bad, much with the good

What is left behind, in the report folder:
  <piece>.yaml    fails on the piece and passes on the good image: the least that shows it
  reproducers/    the cuts by which a piece was found

Exit code 1: a piece was not caught, its scenario does not show it, or a good image was accused.";

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// A table
    Human,
    /// A JSON object a line
    Json,
}

/// What came of a piece.
#[derive(Serialize)]
struct Shown<'a> {
    piece: &'a str,
    number: u32,
    failure: &'a str,
    defect: &'a str,
    profile: &'a str,
    caught: bool,
    /// Which engine caught it: `scenario`, `glitches`, `retries`, `cuts`.
    engine: Option<&'static str>,
    /// The run or the flow in which it was caught, and the cuts.
    by: Option<String>,
    because: Option<String>,
    seconds: f64,
    /// The scenario that shows it.
    reproducer: Option<String>,
    /// What that scenario comes to on the piece, and on the good image.
    on_piece: Option<Verdict>,
    on_good: Option<Verdict>,
}

/// What came of the good images.
#[derive(Serialize)]
struct Silence {
    seeds: u64,
    runs: usize,
    false_alarms: Vec<Alarm>,
    seconds: f64,
}

/// A good image that was accused.
#[derive(Serialize)]
struct Alarm {
    run: String,
    seed: u64,
    verdict: Verdict,
    because: String,
}

impl MuseumCommand {
    pub fn execute(self) -> Result<u8, Failure> {
        let museum = Museum::shipped();
        self.known(&museum)?;
        let library = Library::load(&Selection::default())?;
        let folder = report_folder(self.report_dir.as_deref())?;
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let jobs = self.jobs.unwrap_or(cores);
        let mut failed = Vec::new();
        let mut count = 0;
        for (failure, piece) in museum.pieces() {
            if !self.names.is_empty() && !self.names.contains(&piece.name) {
                continue;
            }
            let began = Instant::now();
            let budget = Duration::from_nanos(self.budget.0);
            let quarry = Quarry::of(&library, piece, jobs, self.seed, &folder)?;
            let mut shown = Shown {
                piece: &piece.name,
                number: failure.number,
                failure: &failure.failure,
                defect: &piece.defect,
                profile: &piece.profile,
                caught: false,
                engine: None,
                by: None,
                because: None,
                seconds: 0.0,
                reproducer: None,
                on_piece: None,
                on_good: None,
            };
            for (name, engine, share) in ENGINES {
                if let Some(found) = engine(&quarry, began + budget.mul_f64(share))? {
                    shown.caught = true;
                    shown.engine = Some(name);
                    shown.by = Some(found.by);
                    shown.because = Some(found.because);
                    break;
                }
            }
            shown.seconds = began.elapsed().as_secs_f64();
            self.replay(&quarry, &mut shown)?;
            count += 1;
            if !shown.is_right() {
                failed.push(piece.name.as_str());
            }
            self.show(&shown)?;
        }
        let silence = match self.seeds {
            0 => None,
            _ => Some(self.silence(&library, jobs)?),
        };
        if let Some(silence) = &silence {
            self.show_silence(silence)?;
        }
        if self.format == Format::Human {
            self.conclude(&museum, count, &failed)?;
        }
        let accused = silence.is_some_and(|silence| !silence.false_alarms.is_empty());
        Ok(u8::from(accused || !failed.is_empty()))
    }

    /// Every name is one of a piece.
    fn known(&self, museum: &Museum) -> Result<(), Failure> {
        let known: Vec<&str> = museum.pieces().map(|(_, piece)| &*piece.name).collect();
        let unknown = self
            .names
            .iter()
            .find(|name| !known.contains(&name.as_str()));
        unknown.map_or(Ok(()), |name| {
            Err(Failure::hinted(
                format!("there is no piece '{name}' in the museum"),
                Some(format!("there are {}", known.join(", "))),
            ))
        })
    }

    /// Carries out the piece's own scenario on it and on the good image.
    fn replay(&self, quarry: &Quarry<'_>, shown: &mut Shown<'_>) -> Result<(), Failure> {
        let Some(text) = quarry.piece.reproducer() else {
            return Ok(());
        };
        let path = quarry.folder.join(format!("{}.yaml", quarry.piece.name));
        fs::write(&path, text).map_err(|why| unusable(quarry.folder, &why))?;
        let (bad, good) = quarry.both(&path)?;
        shown.on_piece = Some(bad.verdict);
        shown.on_good = Some(good.verdict);
        shown.reproducer = Some(format!(
            "lockrig run {} --bench {} --profile {} --image {}",
            path.display(),
            quarry.piece.bench(),
            quarry.piece.profile,
            quarry.piece.image()
        ));
        Ok(())
    }

    /// Runs the flagships on the good images under every seed.
    fn silence(&self, library: &Library, jobs: usize) -> Result<Silence, Failure> {
        let began = Instant::now();
        let seeds: Vec<u64> = (0..self.seeds)
            .map(|nth| self.seed.wrapping_add(nth))
            .collect();
        let mut planned = Vec::new();
        for bench in &library.benches {
            for profile in &library.profiles {
                let Some(lock) = profile.value.lock() else {
                    continue;
                };
                if !board::fits(&bench.value, &profile.value) {
                    continue;
                }
                let mut runs = Vec::new();
                for loaded in &library.scenarios {
                    if FLAGSHIPS.contains(&loaded.value.id()) {
                        runs.extend(runs_of(loaded, &bench.value, lock)?);
                    }
                }
                planned.push((&bench.value, &profile.value, runs));
            }
        }
        let never = AtomicBool::new(false);
        let found = parallel(
            &seeds,
            jobs,
            &never,
            |_| (),
            |&seed| {
                let (mut count, mut alarms) = (0, Vec::new());
                for (bench, product, runs) in &planned {
                    let board = Board::flashed(library, bench, product, None, seed)?;
                    for run in runs {
                        let summary = board.carry_out(&run.plan, &run.script)?;
                        count += 1;
                        if !is_good(summary.verdict) {
                            alarms.push(Alarm {
                                run: id(&run.plan, &bench.name),
                                seed,
                                verdict: summary.verdict,
                                because: summary.because,
                            });
                        }
                    }
                }
                Ok((count, alarms))
            },
        );
        let mut silence = Silence {
            seeds: self.seeds,
            runs: 0,
            false_alarms: Vec::new(),
            seconds: 0.0,
        };
        for found in found.into_iter().flatten() {
            let (count, alarms) = found?;
            silence.runs += count;
            silence.false_alarms.extend(alarms);
        }
        silence.seconds = began.elapsed().as_secs_f64();
        Ok(silence)
    }

    fn show(&self, shown: &Shown<'_>) -> Result<(), Failure> {
        if self.format == Format::Json {
            return print_json(shown);
        }
        let mut out = Vec::new();
        in_words(&mut out, shown).or_else(super::files::unless_closed)?;
        print(&String::from_utf8_lossy(&out)).map(drop)
    }

    fn show_silence(&self, silence: &Silence) -> Result<(), Failure> {
        if self.format == Format::Json {
            return print_json(silence);
        }
        let mut text = format!(
            "good images: {} runs of the flagships under {} seeds in {:.0} s, {}\n",
            silence.runs,
            silence.seeds,
            silence.seconds,
            match silence.false_alarms.len() {
                0 => "no false alarm".to_owned(),
                1 => "1 false alarm".to_owned(),
                more => format!("{more} false alarms"),
            }
        );
        for alarm in &silence.false_alarms {
            text += &format!(
                "  {} {} --seed {}: {}\n",
                alarm.verdict, alarm.run, alarm.seed, alarm.because
            );
        }
        print(&text).map(drop)
    }

    /// What cannot be looked for, and the count.
    fn conclude(&self, museum: &Museum, count: usize, failed: &[&str]) -> Result<(), Failure> {
        let mut text = String::new();
        if self.names.is_empty() {
            let without = museum
                .failures
                .iter()
                .filter(|failure| failure.pieces.is_empty());
            for failure in without {
                let (what, why) = match (&failure.absent, &failure.missing) {
                    (Some(absent), _) => ("no such piece", absent.as_str()),
                    (None, Some(missing)) => ("not looked for yet: needs", missing.as_str()),
                    (None, None) => ("no piece", "nobody made one"),
                };
                text += &format!(
                    "{:>2}  {}\n      {what}: {why}\n",
                    failure.number, failure.failure
                );
            }
        }
        text += &match failed {
            [] => format!("{count} of {count} pieces caught\n"),
            names => format!(
                "{} of {count} pieces caught; look at {}\n",
                count - names.len(),
                names.join(", ")
            ),
        };
        print(&text).map(drop)
    }
}

impl Shown<'_> {
    /// It was caught, and its scenario shows what is wrong with it and with nothing else.
    fn is_right(&self) -> bool {
        self.caught && self.on_piece.is_some_and(is_bad) && self.on_good.is_some_and(is_good)
    }
}

fn in_words(out: &mut Vec<u8>, shown: &Shown<'_>) -> std::io::Result<()> {
    let colour = match shown.caught {
        true => AnsiColor::Green,
        false => AnsiColor::Red,
    };
    let style: Style = colour.on_default().bold();
    let word = if shown.caught { "caught" } else { "MISSED" };
    writeln!(
        out,
        "{:>2}  {style}{word}{style:#}  {}  on {}, after {:.1} s",
        shown.number, shown.piece, shown.profile, shown.seconds
    )?;
    writeln!(out, "      defect    {}", shown.defect)?;
    if let (Some(engine), Some(by), Some(because)) = (shown.engine, &shown.by, &shown.because) {
        writeln!(out, "      {engine:10}{by}")?;
        writeln!(out, "                {because}")?;
    }
    match (&shown.reproducer, shown.on_piece, shown.on_good) {
        (Some(command), Some(bad), Some(good)) => {
            writeln!(out, "      shown     {bad} here, {good} on the good image:")?;
            writeln!(out, "                {command}")?;
        }
        _ => writeln!(out, "      shown     by no scenario of its own")?,
    }
    writeln!(out)
}
