//! What the engines that fork a running board work on: the flows of scenarios, on every board and product that
//! they fit; and how such an engine shows where it is, and is stopped.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::board;
use super::error::Failure;
use super::files::Library;
use super::run::{id, lacking};
use crate::campaign::Group;
use crate::cuts::Flow;
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
    /// Why a real bench will not do.
    pub(super) real: &'static str,
    /// What may be done there instead.
    pub(super) instead: &'static str,
}

impl Wanted<'_> {
    /// The flows of each board and product, each once, and why others are not among them.
    pub(super) fn flows(&self, library: &Library) -> Result<(Vec<Flows>, Vec<String>), Failure> {
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
                        let plan = lacking(&loaded.value, &bench.value, plan);
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
        match refused.is_empty() {
            true => Ok((groups, skipped)),
            false => Err(Failure::refused(&refused)),
        }
    }
}

/// A line that says how far it is, for people.
pub(super) fn progress(for_people: bool) -> ProgressBar {
    let target = match for_people && std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{prefix} {msg:18} {bar:24} {pos}/{len}, {eta} left")
        .expect("the template is right");
    ProgressBar::with_draw_target(Some(1), target).with_style(style)
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
