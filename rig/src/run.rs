//! One run: act, wait, check; then a verdict.
//!
//! `Runner` is the loop; `steps` says what each verb of a scenario means, and `judge` what the events
//! come to.
//! What the rig reckons about the lock - codes, lockout - is in `credentials` and `penalty`; it is
//! compared with what is seen and never asked of the board.

mod credentials;
mod judge;
mod pattern;
mod penalty;
mod runner;
mod steps;

use std::collections::BTreeMap;
use std::io::Write;

use crate::bench::Bench;
use crate::driver::DeviceTrouble;
use crate::event::{Event, FORMAT, FileHash, Nanos, What};
use crate::oracle::{Facts, OnPowerCycle, Oracles};
use crate::profile::codes::Code;
use crate::profile::{self, Erased, Fact, Profile, Relock};
use crate::scenario::{PlannedRun, Script};
use crate::step::YesNo;
use crate::trace::Recorder;
use crate::verdict::Verdict;

use runner::Runner;

/// Everything that one run is made from.
pub struct Setup<'a> {
    /// Which scenario, product and variant this is.
    pub plan: &'a PlannedRun,
    /// Its steps.
    pub script: &'a Script,
    /// The product.
    pub profile: &'a Profile,
    /// The codes that the seed gave.
    pub codes: &'a BTreeMap<String, Code>,
    /// The seed.
    pub seed: u64,
    /// Hashes of the files.
    pub files: Vec<FileHash>,
    /// The receipt of the flash that this run stands on.
    pub flashed: Option<What>,
    /// The bench, at rest and with its board freshly flashed.
    pub bench: &'a mut Bench,
}

/// Carries out a run and returns its events. Whatever happens, the outputs go to rest and the trace
/// gets its last line.
pub fn run(setup: Setup<'_>, trace: Box<dyn Write + Send>) -> (Vec<Event>, std::io::Result<()>) {
    let Setup {
        plan,
        script,
        profile,
        codes,
        seed,
        files,
        flashed,
        bench,
    } = setup;
    let mut recorder = Recorder::new(trace);
    recorder.record(
        bench.now(),
        What::Started {
            format: FORMAT,
            seed,
            scenario: plan.scenario.clone(),
            variant: plan.variant.clone(),
            profile: profile.id().to_owned(),
            bench: bench.file().name.clone(),
            files,
        },
    );
    if let Some(receipt) = flashed {
        recorder.record(bench.now(), receipt);
    }
    let oracles = Oracles::new(facts(profile, bench));
    // What happened before concerns another run.
    bench.stood_still();
    let mut runner = Runner::new(script, profile, codes, seed, bench, recorder, oracles);
    let stopped = runner.carry_out().err();
    runner.clean_up();
    let (now, mut recorder) = runner.conclude();
    let weaknesses = profile.weaknesses.iter();
    let known: Vec<&str> = weaknesses
        .map(|weakness| weakness.breaks.value.as_str())
        .collect();
    let mut verdict = judge::verdict(recorder.events(), stopped, &known);
    // What this machine did to the times is not the board's fault.
    if speaks_of_the_board(verdict.0)
        && let Some(trouble) = late(bench)
    {
        recorder.record(now, trouble);
        verdict = judge::verdict(recorder.events(), stopped, &known);
    }
    let (verdict, decided_by, because) = verdict;
    recorder.record(
        now,
        What::Finished {
            verdict,
            decided_by,
            because,
        },
    );
    recorder.finish()
}

/// Whether a verdict says that something about the board is not as it should be.
fn speaks_of_the_board(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Fail | Verdict::Finding | Verdict::KnownFinding | Verdict::Inconclusive
    )
}

/// Trouble, if this machine stood still for longer than the bench file allows for.
fn late(bench: &mut Bench) -> Option<What> {
    let (stood, allowed) = (bench.stood_still(), bench.file().uncertainty);
    (stood > allowed).then(|| What::Trouble {
        device: "this machine".to_owned(),
        doing: "telling when things happened".to_owned(),
        saw: format!("it stood still for {stood}, and the bench file allows for {allowed}"),
        hint: "run less beside it, or write a greater 'uncertainty' into the bench file".to_owned(),
    })
}

/// The events of a run that could not begin, because its bench could not be prepared.
pub fn unable(
    plan: &PlannedRun,
    profile: &Profile,
    bench: &str,
    seed: u64,
    files: Vec<FileHash>,
    trouble: &DeviceTrouble,
    trace: Box<dyn Write + Send>,
) -> (Vec<Event>, std::io::Result<()>) {
    let mut recorder = Recorder::new(trace);
    let started = What::Started {
        format: FORMAT,
        seed,
        scenario: plan.scenario.clone(),
        variant: plan.variant.clone(),
        profile: profile.id().to_owned(),
        bench: bench.to_owned(),
        files,
    };
    recorder.record(Nanos::ZERO, started);
    let DeviceTrouble {
        device,
        doing,
        saw,
        hint,
        ..
    } = trouble.clone();
    let because = format!("{device}, {doing}: {saw}");
    let decided_by = recorder.record(
        Nanos::ZERO,
        What::Trouble {
            device,
            doing,
            saw,
            hint,
        },
    );
    let decided_by = Some(decided_by);
    recorder.record(
        Nanos::ZERO,
        What::Finished {
            verdict: Verdict::Broken,
            decided_by,
            because,
        },
    );
    recorder.finish()
}

/// What the oracles need to know.
fn facts(profile: &Profile, bench: &Bench) -> Facts {
    let lockout = profile.lockout.as_ref();
    let on_power_cycle = match lockout.map(|lockout| &lockout.on_power_cycle) {
        Some(Fact::Known(profile::OnPowerCycle::Clears)) => OnPowerCycle::Clears,
        Some(Fact::Known(_)) => OnPowerCycle::Survives,
        _ => OnPowerCycle::Unspecified,
    };
    let counted_within = match lockout.map(|lockout| lockout.counted_within) {
        Some(profile::CountedWithin::Time(window)) => Some(window),
        _ => None,
    };
    // A key scan of the board lies between two moments that could be told apart on the bench.
    let resolution = bench.file().uncertainty + KEY_SCAN;
    Facts {
        senses_bolt: bench.lines().any(|line| line == steps::WITHDRAWN),
        withdraws_within: profile.bolt.withdraws_within,
        stays_open: match profile.relocks_after() {
            Some(Relock::After(after)) => profile.bolt.withdraws_within + after,
            _ => profile.bolt.withdraws_within + STAYS_OPEN,
        },
        learns_handing: profile.bolt.learns_handing == YesNo::Yes,
        counted_within,
        on_power_cycle,
        reset_erases_counters: profile.reset.erases.counters == Fact::Known(Erased::AtOnce),
        reset_needs_open_door: profile.reset.requires.door.is_some(),
        kept: Vec::new(),
        resolution,
    }
}

/// How long a valid code counts as the cause of an opening where the bolt never relocks by itself.
const STAYS_OPEN: Nanos = Nanos::from_secs(15);

/// How often locks look at their keys at least: common debounce code polls every 5 to 10 ms.
const KEY_SCAN: Nanos = Nanos::from_millis(10);
