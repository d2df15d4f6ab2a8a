//! `lockrig faults`: what the rig makes of instruments that fail.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::board;
use super::error::Failure;
use super::files::Selection;
use super::run::{report_folder, selected};
use crate::bench::BenchFile;
use crate::campaign::{self, Group};
use crate::cuts::parallel::parallel;
use crate::event::Nanos;
use crate::faults::{Kind, Outcome, Subject};
use crate::port::{Fault, Interrupt};
use crate::serve::bench_file;
use crate::source::Source;

/// Let instruments fail at every event of a run, and see that no verdict becomes wrong
///
/// A run on a virtual bench is carried out again and again. Each time one port is lost at one event, or its
/// bytes are dropped, garbled or late for a while. The verdict must be that of the run without the fault, or
/// blame the bench. The probe is lost while the board is flashed. Lines come through the sense board, as on a
/// real bench.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Faults {
    #[command(flatten)]
    selection: Selection,
    /// Firmware to flash in place of the bench's own: a file, or the name of a shipped image
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    /// A bad twin, by name or file, whose runs fail: no fault may make one pass
    #[arg(long, value_name = "NAME|FILE")]
    twin: Option<String>,
    /// Only runs whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Seed of the run, and of which bytes are hit
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only at one in so many events
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// How many runs at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Where the folders of runs go that are wrong [default: reports/<time>]
    #[arg(long, value_name = "FOLDER")]
    report_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  lockrig faults --filter rekey@stack-on             every fault at every event of one run
  lockrig faults --filter rekey@ --every 50          a sample, of every product
  lockrig faults --twin NAME --filter rekey@         runs that fail without a fault

Exit codes: 0, no verdict is wrong; 101, one is, which is a bug in lockrig; 2, nothing ran.";

/// How often the probe is lost while a board is flashed.
const PROBE_LOSSES: u64 = 200;

/// One faulty run.
struct Case {
    kind: Kind,
    fault: Fault,
    name: String,
}

/// Faulty runs of one kind on one port.
#[derive(Default)]
struct Row {
    runs: u64,
    hit: u64,
    verdicts: BTreeMap<String, u64>,
    wrong: u64,
    rest: Nanos,
}

impl Row {
    fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.hit += outcome.hit;
        *self
            .verdicts
            .entry(outcome.verdict.to_string())
            .or_default() += 1;
        self.wrong += u64::from(!outcome.wrong.is_empty());
        self.rest = self.rest.max(outcome.rest);
    }

    fn words(&self) -> String {
        let verdicts = self.verdicts.iter();
        let verdicts: Vec<_> = verdicts
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        format!(
            "{:>6} runs: {}; {} bytes hit, rest within {}{}",
            self.runs,
            verdicts.join(", "),
            self.hit,
            self.rest,
            match self.wrong {
                0 => String::new(),
                wrong => format!("; {wrong} WRONG"),
            }
        )
    }
}

impl Faults {
    pub fn execute(self) -> Result<u8, Failure> {
        let (image, twin) = (self.image.as_deref(), self.twin.as_deref());
        let filter = self.filter.as_deref();
        let groups = selected(self.selection.clone(), image, twin, filter, self.seed)?;
        let groups: Vec<Group> = groups
            .into_iter()
            .filter(|group| group.bench.emulates.is_some() && group.bench.stage.is_none())
            .map(on_wires)
            .collect::<Result<_, _>>()?;
        if groups.is_empty() {
            return Err(Failure::hinted(
                "nothing ran: no run of a virtual bench with a board is selected",
                Some("faults are made on virtual benches only".to_owned()),
            ));
        }
        let folder = report_folder(self.report_dir.as_deref())?;
        let began = Instant::now();
        let mut all = Row::default();
        for group in &groups {
            self.group(group, &folder, &mut all)?;
        }
        let took = began.elapsed().as_secs_f64();
        print(&format!("\nall: {}, in {took:.1} s\n", all.words()))?;
        Ok(match all.wrong {
            0 => 0,
            _ => 101,
        })
    }

    fn group(&self, group: &Group, folder: &Path, all: &mut Row) -> Result<(), Failure> {
        let open = board::opener(None, "faults");
        let mut board = campaign::prepare(group, &open, self.seed, Interrupt::default())
            .map_err(board::broken)?;
        for job in &group.jobs {
            let own = folder.join(&job.id);
            let subject = Subject::new(group, job, &mut board, &own).map_err(Failure::broken)?;
            let cases = self.cases(&subject);
            let rows = self.sweep(&subject, &cases, &own)?;
            print(&format!(
                "{}: {} without a fault; {} events\n",
                job.id,
                subject.verdict,
                subject.moments.len()
            ))?;
            let mut table: BTreeMap<(Kind, &str), Row> = BTreeMap::new();
            for (case, outcome) in cases.iter().zip(&rows) {
                let key = (case.kind, case.fault.port.as_str());
                table.entry(key).or_default().add(outcome);
                all.add(outcome);
            }
            for ((kind, port), row) in table {
                print(&format!("  {:8} {port:16} {}\n", kind.word(), row.words()))?;
            }
            for (case, outcome) in cases.iter().zip(&rows) {
                for wrong in &outcome.wrong {
                    let shown = own.join(&case.name);
                    print(&format!("  WRONG {}: {wrong}\n", shown.display()))?;
                }
            }
        }
        Ok(())
    }

    fn cases(&self, subject: &Subject<'_>) -> Vec<Case> {
        let every = self.every as usize;
        let first = self.seed as usize % every;
        let moments = (0..subject.moments.len()).skip(first).step_by(every);
        let faults = moments.flat_map(|moment| {
            let faults = subject.faults(moment, self.seed).into_iter();
            faults.map(move |fault| (moment, fault))
        });
        let losses = subject.probe_losses(PROBE_LOSSES).into_iter().enumerate();
        let losses = losses.skip(first % PROBE_LOSSES as usize).step_by(every);
        faults
            .chain(losses)
            .map(|(moment, (kind, fault))| Case {
                name: format!("{}-{}-{moment}", kind.word(), fault.port.replace(':', "-")),
                kind,
                fault,
            })
            .collect()
    }

    /// Carries all of them out; folders of runs that are right are removed.
    fn sweep(
        &self,
        subject: &Subject<'_>,
        cases: &[Case],
        folder: &Path,
    ) -> Result<Vec<Outcome>, Failure> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let jobs = self.jobs.unwrap_or(cores);
        let never = AtomicBool::new(false);
        let outcomes = parallel(
            cases,
            jobs,
            &never,
            |_| (),
            |case: &Case| {
                let own = folder.join(&case.name);
                let outcome = subject.carry_out(&case.fault, &own);
                if outcome.wrong.is_empty() {
                    // What cannot be removed is only in the way.
                    let _ = std::fs::remove_dir_all(&own);
                }
                outcome
            },
        );
        Ok(outcomes.into_iter().flatten().collect())
    }
}

/// The same bench with every line behind the sense board, as on a real one.
fn on_wires(mut group: Group) -> Result<Group, Failure> {
    let source = &group.bench.source;
    let text = bench_file::on_wires(source.text()).map_err(Failure::usage)?;
    let source = Source::new(source.name(), text);
    group.bench = BenchFile::read(&source).map_err(|refused| Failure::refused(&[refused]))?;
    Ok(group)
}

fn print(text: &str) -> Result<(), Failure> {
    anstream::stdout()
        .write_all(text.as_bytes())
        .or_else(super::files::unless_closed)
}
