//! What the engines that fork a running board work on: the flows of scenarios, on every board and product that
//! they fit; and how such an engine shows where it is, and is stopped.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::board;
use super::error::Failure;
use super::files::Library;
use super::lacks::{Hands, lacking};
use super::run::{id, report_folder};
use crate::campaign::{self, Group, Prepared};
use crate::cuts::Flow;
use crate::cuts::parallel::parallel;
use crate::port::Interrupt;
use crate::profile::codes;
use crate::scenario::{self, Course, Script};

/// A board with its product, and the flows with the texts that they are written in.
pub(super) type Flows = (Group, Vec<(Flow, String)>);

/// Which flows are wanted.
pub(super) struct Wanted<'a> {
    /// Firmware in place of the bench's own.
    pub(super) image: Option<&'a str>,
    /// What their names contain.
    pub(super) filter: Option<&'a str>,
    /// The seed of their codes.
    pub(super) seed: u64,
    /// The steps of a scenario that are looked at.
    pub(super) steps: fn(&Script) -> Script,
    /// What is done to them, as in "no flow can be ...".
    pub(super) done: &'static str,
    /// Why a real bench will not do.
    pub(super) real: &'static str,
    /// What may be done there instead.
    pub(super) instead: &'static str,
}

impl Wanted<'_> {
    /// The flows of each board and product, each once.
    ///
    /// # Errors
    /// If there is none, with the reason.
    pub(super) fn flows(&self, library: &Library) -> Result<Vec<Flows>, Failure> {
        let (mut groups, mut skipped, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for bench in &library.benches {
            if bench.value.emulates.is_none() {
                return Err(Failure::hinted(
                    format!("the bench '{}' is real: {}", bench.value.name, self.real),
                    Some(self.instead.to_owned()),
                ));
            }
            for profile in &library.profiles {
                // What has no codes has none to be wrong about.
                let Some(lock) = profile.value.lock() else {
                    continue;
                };
                if !board::fits(&bench.value, &profile.value) {
                    continue;
                }
                let mut flows: Vec<(Flow, String)> = Vec::new();
                for loaded in &library.scenarios {
                    let runs = match scenario::plan(&loaded.value, lock) {
                        Ok(runs) => runs,
                        Err(wrong) => {
                            refused.push(loaded.refused(wrong));
                            continue;
                        }
                    };
                    for plan in runs {
                        let plan = lacking(
                            &loaded.value,
                            &bench.value,
                            Some(lock),
                            plan,
                            Hands::VIRTUAL,
                        );
                        let script = match &plan.course {
                            Course::Runs(script) => (self.steps)(script),
                            Course::Skipped(reason) => {
                                skipped.push(reason.clone());
                                continue;
                            }
                        };
                        let name = id(&plan, &bench.value.name);
                        let wanted = self.filter;
                        let is_known = flows.iter().any(|(flow, _)| flow.script == script);
                        if is_known || wanted.is_some_and(|wanted| !name.contains(wanted)) {
                            continue;
                        }
                        let codes = codes::generate(lock, self.seed, &script.codes)
                            .map_err(Failure::usage)?;
                        let flow = Flow {
                            name,
                            plan,
                            script,
                            product: Arc::clone(&profile.value),
                            codes,
                        };
                        flows.push((flow, loaded.value.source().text().to_owned()));
                    }
                }
                if !flows.is_empty() {
                    let group = board::group(
                        &library.project,
                        &bench.value,
                        &profile.value,
                        None,
                        self.image,
                    )?;
                    groups.push((group, flows));
                }
            }
        }
        if !refused.is_empty() {
            return Err(Failure::refused(&refused));
        }
        if groups.is_empty() {
            let done = self.done;
            return Err(Failure::hinted(
                match (self.filter, skipped.first()) {
                    (Some(filter), _) => format!("no flow has '{filter}' in its name"),
                    (None, Some(reason)) => format!("no flow can be {done}: {reason}"),
                    (None, None) => format!("no flow can be {done}: no profile fits the bench"),
                },
                Some("'lockrig list' shows scenarios, profiles and benches".to_owned()),
            ));
        }
        Ok(groups)
    }
}

/// Flows that are being explored: how far that is, how it is stopped, and where goes what is found.
pub(super) struct Exploration {
    pub(super) jobs: usize,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) interrupt: Interrupt,
    pub(super) folder: PathBuf,
    planned: usize,
    begun: AtomicUsize,
    bars: MultiProgress,
}

impl Exploration {
    /// Of these flows, with so many forks at once, or one for each core. From here on Ctrl-C stops it.
    pub(super) fn begin(
        groups: &[Flows],
        jobs: Option<usize>,
        for_people: bool,
        report_dir: Option<&Path>,
    ) -> Result<Exploration, Failure> {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let folder = report_folder(report_dir)?;
        let (stop, interrupt) = (Arc::new(AtomicBool::new(false)), Interrupt::default());
        stop_on_signal(&stop, &interrupt)?;
        Ok(Exploration {
            jobs: jobs.unwrap_or_else(cores),
            stop,
            interrupt,
            folder,
            planned: groups.iter().map(|(_, flows)| flows.len()).sum(),
            begun: AtomicUsize::new(0),
            bars: MultiProgress::with_draw_target(match for_people {
                true if std::io::stderr().is_terminal() => ProgressDrawTarget::stderr(),
                _ => ProgressDrawTarget::hidden(),
            }),
        })
    }

    /// Boards side by side, the flows of each one after the other: they may learn from each other.
    pub(super) fn each<T: Send>(
        &self,
        groups: &[Flows],
        work: impl Fn(&Flows) -> Result<Vec<T>, Failure> + Sync,
    ) -> Result<Vec<T>, Failure> {
        let found = parallel(groups, self.jobs, &self.stop, |_| {}, work);
        let found: Vec<Vec<T>> = found.into_iter().flatten().collect::<Result<_, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The line of the next flow, which says how far it is.
    pub(super) fn line(&self, flow: &Flow) -> Line {
        let style =
            ProgressStyle::with_template("{prefix} {msg:18} {bar:24} {pos}/{len}, {eta} left")
                .expect("the template is right");
        let bar = self.bars.add(ProgressBar::new(1).with_style(style));
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        bar.set_prefix(format!("[{number}/{}] {}", self.planned, flow.name));
        Line(bar)
    }

    /// The board of a group, flashed; `doing` is what for.
    pub(super) fn prepare(
        &self,
        group: &Group,
        doing: &str,
        seed: u64,
    ) -> Result<Prepared, Failure> {
        let interrupt = self.interrupt.clone();
        campaign::prepare(group, &board::opener(None, doing), seed, interrupt)
            .map_err(board::broken)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What a terminal shows of a flow while it is explored.
pub(super) struct Line(ProgressBar);

impl Line {
    pub(super) fn tell(&self, doing: &str, at: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(at);
        self.0.set_message(doing.to_owned());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Ctrl-C and SIGTERM: what is under way is left, and what was found is written.
pub(super) fn stop_on_signal(stop: &Arc<AtomicBool>, interrupt: &Interrupt) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|why| Failure::broken(format!("starting the runtime: {why}")))?;
    let entered = runtime.enter();
    super::run::watch_signals(interrupt.clone(), Arc::clone(stop));
    drop(entered);
    // It watches for as long as the process lives.
    std::mem::forget(runtime);
    Ok(())
}
