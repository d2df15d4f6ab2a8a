//! `lockrig fuzz`: what nobody thought to write down, tried on a board.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::board::{self, Board};
use super::error::Failure;
use super::files::Library;
use super::quantity::duration;
use super::run::{report_folder, unusable};
use crate::campaign::{self, Prepared};
use crate::event::Nanos;
use crate::fuzz::{Counts, Found, Fuzzer, Options};
use crate::port::Interrupt;
use crate::profile::Product;
use crate::verdict::Verdict;

/// Try on a board what nobody thought to write down
///
/// Presses keys and buttons, moves the door and drops the supply: entries, procedures, pauses around the
/// product's time-outs, in ever new orders made from the profile. What shows something new on the lines, on the
/// console or in the time it takes is kept and changed further. Each input is judged as a scenario is; the first
/// that the board must not pass is made as small as it gets and written as one.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Fuzz {
    #[command(flatten)]
    board: Board,
    /// Firmware to flash in place of the bench's own: a file, or the name of a shipped image
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    /// Stop once so many codes were entered
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    attempts: u64,
    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    time: Option<Nanos>,
    /// Stop once so many pages of flash were erased, flashing included [default: 5000 on a real bench; forks of
    /// a virtual one do not wear out]
    #[arg(long, value_name = "N")]
    erases: Option<u64>,
    /// How many inputs at once on a virtual bench [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Make every input anew, whatever the board showed
    #[arg(long)]
    unguided: bool,
    /// What is printed: for people, or one JSON object
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Where what was found goes [default: reports/<time>]
    #[arg(long, value_name = "FOLDER")]
    report_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  lockrig fuzz                                             the virtual safe, 10,000 codes
  lockrig fuzz --bench virtual-safe --image fw.elf --time 10min
  lockrig fuzz --bench boards/mine.toml --attempts 200     a board on your desk

What is left behind, in the report folder:
  found.yaml      the least that shows what was found; 'lockrig run' carries it out
  fuzz.json       what was done

The board starts every input as it left the factory: on a virtual bench as a fork, on a real one
flashed anew, which ends every lockout and wears the flash; one page of the nRF51 endures 20,000
erases.

Exit code 1: the board did something that it must not do.";

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// What was found, and what was done
    Human,
    /// A JSON object
    Json,
}

/// So many erases a real board may suffer, unless more is asked for.
const ERASES_MAX: u64 = 5_000;

/// `fuzz.json`.
#[derive(Serialize)]
struct Shown<'a> {
    bench: &'a str,
    profile: &'a str,
    image: Option<&'a str>,
    seed: u64,
    guided: bool,
    verdict: Verdict,
    because: &'a str,
    /// By when it was found; the same as all, if nothing was.
    found_after: Counts,
    all: Counts,
    scenario: Option<&'a str>,
    /// Why the probe could not look the last time.
    probe_trouble: Option<String>,
    seconds: f64,
}

impl Fuzz {
    pub fn execute(self) -> Result<u8, Failure> {
        let (library, bench) = self.board.load()?;
        let requirements = super::files::requirements(&library.project)?;
        let mut profiles = library.profiles.iter().map(|loaded| &loaded.value);
        let product = profiles
            .find(|profile| profile.lock().is_some() && board::fits(&bench, profile))
            .ok_or_else(|| {
                Failure::usage(format!(
                    "no profile with codes fits the bench '{}'",
                    bench.name
                ))
            })?;
        let group = board::group(
            &library.project,
            &bench,
            product,
            None,
            self.image.as_deref(),
        )?;
        let folder = report_folder(self.report_dir.as_deref())?;
        let stop = Arc::new(AtomicBool::new(false));
        let interrupt = Interrupt::default();
        super::flows::stop_on_signal(&stop, &interrupt)?;
        let prepared = campaign::prepare(
            &group,
            &board::opener(None, "fuzzing"),
            self.board.seed,
            interrupt,
        )
        .map_err(board::broken)?;
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let options = Options {
            seed: self.board.seed,
            jobs: self.jobs.unwrap_or(cores),
            guided: !self.unguided,
        };
        let twin = match bench.emulates {
            Some(_) => None,
            None => self.twin(&library, product)?,
        };
        let Some(mut fuzzer) = Fuzzer::new(group, prepared, twin, requirements, options) else {
            return Err(Failure::usage(format!("'{}' has no codes", product.id())));
        };
        let erases_max = self.erases.unwrap_or(match bench.emulates {
            Some(_) => u64::MAX,
            None => ERASES_MAX,
        });
        let began = Instant::now();
        let until = self.time.map(|time| began + Duration::from_nanos(time.0));
        let bar = self.progress();
        let mut found = None;
        let mut ended = None;
        while found.is_none() && !stop.load(Ordering::Relaxed) {
            let counts = fuzzer.counts();
            let is_late = until.is_some_and(|until| Instant::now() >= until);
            if counts.attempts >= self.attempts || counts.erases >= erases_max || is_late {
                break;
            }
            match fuzzer.round(&stop) {
                Ok(first) => found = first,
                Err(why) => {
                    ended = Some(why);
                    break;
                }
            }
            bar.set_position(fuzzer.counts().attempts.min(self.attempts));
        }
        bar.finish_and_clear();
        let took = began.elapsed();
        let (verdict, because) = match (&found, ended) {
            (Some(found), _) => (found.breach.verdict, found.breach.because.clone()),
            (None, Some(ended)) => ended,
            (None, None) if stop.load(Ordering::Relaxed) => {
                (Verdict::Aborted, "stopped before the end".to_owned())
            }
            (None, None) => (
                Verdict::Pass,
                "nothing that it must not do was seen".to_owned(),
            ),
        };
        let scenario = found
            .as_ref()
            .map(|found| write(&folder, &fuzzer, found))
            .transpose()
            .map_err(|why| unusable(&folder, &why))?;
        let all = fuzzer.counts();
        let shown = Shown {
            bench: &bench.name,
            profile: product.id(),
            image: self.image.as_deref(),
            seed: self.board.seed,
            guided: !self.unguided,
            verdict,
            because: &because,
            found_after: found.as_ref().map_or(all, |found| found.after),
            all,
            scenario: scenario.as_deref(),
            probe_trouble: fuzzer.probe_trouble().map(ToString::to_string),
            seconds: took.as_secs_f64(),
        };
        campaign::write_json(&folder.join("fuzz.json"), &shown)
            .map_err(|why| unusable(&folder, &why))?;
        self.show(&shown, &folder)?;
        Ok(verdict.exit_code())
    }

    /// A virtual bench for the same product with the same image.
    fn twin(&self, library: &Library, product: &Arc<Product>) -> Result<Option<Prepared>, Failure> {
        let Some(bench) = board::virtual_for(product)? else {
            return Ok(None);
        };
        let group = board::group(
            &library.project,
            &bench,
            product,
            None,
            self.image.as_deref(),
        )?;
        let twin = campaign::prepare(
            &group,
            &board::opener(None, "fuzzing"),
            self.board.seed,
            Interrupt::default(),
        );
        twin.map(Some).map_err(board::broken)
    }

    fn show(&self, shown: &Shown<'_>, folder: &std::path::Path) -> Result<(), Failure> {
        if self.format == Format::Json {
            return super::files::print_json(shown);
        }
        let mut text = Vec::new();
        lines(&mut text, shown, folder)
            .and_then(|()| anstream::stdout().write_all(&text))
            .or_else(super::files::unless_closed)
    }

    fn progress(&self) -> ProgressBar {
        let target = match self.format == Format::Human && std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let style =
            ProgressStyle::with_template("{bar:24} {pos} of {len} codes entered, {eta} left")
                .expect("the template is right");
        ProgressBar::with_draw_target(Some(self.attempts), target).with_style(style)
    }
}

fn lines(out: &mut Vec<u8>, shown: &Shown<'_>, folder: &std::path::Path) -> std::io::Result<()> {
    let Shown { profile, bench, .. } = shown;
    writeln!(out, "{profile} on {bench}: {}", shown.verdict)?;
    writeln!(out, "  {}", shown.because)?;
    if let Some(scenario) = shown.scenario {
        let after = shown.found_after;
        writeln!(
            out,
            "  found after {} inputs, {} codes and {} presses; replay: lockrig run {} --profile {profile} --bench \
             {bench} --seed {}{}",
            after.executions,
            after.attempts,
            after.presses,
            folder.join(scenario).display(),
            shown.seed,
            shown
                .image
                .map_or(String::new(), |image| format!(" --image {image}")),
        )?;
    }
    let all = shown.all;
    let rate = |count: u64| count as f64 / shown.seconds.max(1e-6);
    writeln!(
        out,
        "  {} executions ({:.0}/s), {} presses ({:.0}/s), {} codes entered ({:.1}/s) in {:.1} s; {} of bench time",
        all.executions,
        rate(all.executions),
        all.presses,
        rate(all.presses),
        all.attempts,
        rate(all.attempts),
        shown.seconds,
        all.bench_time,
    )?;
    writeln!(
        out,
        "  {} things shown, {} inputs kept; {} relay actuations, {} pages erased",
        all.shown, all.kept, all.actuations, all.erases
    )?;
    if all.watched > 0 {
        writeln!(
            out,
            "  {} of {} blocks reached by what was kept; {} inputs watched by the probe, {} came to a breakpoint",
            all.reached, all.blocks, all.watched, all.hits
        )?;
    }
    if let Some(trouble) = &shown.probe_trouble {
        writeln!(out, "  the probe could not look: {trouble}")?;
    }
    Ok(())
}

/// Writes the scenario of what was found, and gives the name of its file.
fn write(folder: &std::path::Path, fuzzer: &Fuzzer, found: &Found) -> std::io::Result<String> {
    let grammar = fuzzer.grammar();
    let text = grammar.scenario(&found.smallest, "found", Some(&found.breach.because));
    std::fs::write(folder.join("found.yaml"), text.unwrap_or_default())?;
    Ok("found.yaml".to_owned())
}
