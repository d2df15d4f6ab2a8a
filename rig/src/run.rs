//! One run: act, wait, check; then a verdict.
//!
//! `Runner` is the loop; `steps` says what each verb of a scenario means, and `judge` what the events
//! come to.
//! What the rig reckons about the lock - codes, lockout - is in `credentials` and `penalty`; it is
//! compared with what is seen and never asked of the board.

mod credentials;
mod cut;
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
use crate::oracle::{Facts, Keeps, OnPowerCycle, Oracles};
use crate::profile::codes::Code;
use crate::profile::{self, Erased, Fact, Factory, FactoryStays, Profile, Relock};
use crate::scenario::{PlannedRun, Script};
use crate::step::YesNo;
use crate::trace::Recorder;
use crate::verdict::Verdict;

use runner::Runner;

pub use cut::{
    Answer, OFF, Point, Recovery, answer, cut, keeps_rules, recover, release, restore, words,
};

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
    let (events, written, _) = carry_out(setup, trace, false);
    (events, written)
}

/// Carries out a run on a virtual bench and keeps a fork of the bench at every cut point of the
/// scenario's steps.
pub fn watched(setup: Setup<'_>) -> (Vec<Event>, Vec<Point>) {
    let (events, _, points) = carry_out(setup, Box::new(std::io::sink()), true);
    (events, points)
}

fn carry_out(
    setup: Setup<'_>,
    trace: Box<dyn Write + Send>,
    watched: bool,
) -> (Vec<Event>, std::io::Result<()>, Vec<Point>) {
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
    let mut runner = Runner::new(script, profile, codes, seed, bench, recorder, oracles);
    if watched {
        runner.cutting = Some(cut::Cutting::collecting());
    }
    let stopped = runner.carry_out().err();
    let points = runner.cutting.take().map(cut::Cutting::into_points);
    runner.clean_up();
    let (now, mut recorder) = runner.conclude();
    let weaknesses = profile.weaknesses.iter();
    let known: Vec<&str> = weaknesses
        .map(|weakness| weakness.breaks.value.as_str())
        .collect();
    let (verdict, decided_by, because) = judge::verdict(recorder.events(), stopped, &known);
    recorder.record(
        now,
        What::Finished {
            verdict,
            decided_by,
            because,
        },
    );
    let (events, written) = recorder.finish();
    (events, written, points.unwrap_or_default())
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
pub fn facts(profile: &Profile, bench: &Bench) -> Facts {
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
        learns_handing: profile.bolt.learns_handing == YesNo::Yes
            && profile.reset.erases.handing != Some(Fact::Known(Erased::Kept)),
        counted_within,
        on_power_cycle,
        reset_erases_counters: profile.reset.erases.counters == Fact::Known(Erased::AtOnce),
        reset_needs_open_door: profile.reset.requires.door.is_some(),
        answers_within: profile.bolt.withdraws_within
            + profile.idle_time_out().unwrap_or(ENTRY_ENDS),
        kept: kept(profile),
        uncertainty: bench.file().uncertainty,
        resolution,
    }
}

/// What the manual says a reset keeps; what the reference firmware was told to do is no promise.
fn kept(profile: &Profile) -> Vec<Keeps> {
    let erases = &profile.reset.erases;
    let user_codes = match erases.user_codes {
        Fact::Known(Erased::Kept) => Some(Keeps::UserCodes),
        Fact::Known(Erased::WithNewCode) => Some(Keeps::UserCodesUntilNew),
        _ => None,
    };
    let factory_code = match profile.codes.factory.known() {
        Some(Factory::Code(code)) => code.stays == FactoryStays::Always,
        _ => false,
    };
    let is_kept = |fact: Option<Fact<Erased>>| fact == Some(Fact::Known(Erased::Kept));
    let others = [
        (factory_code, Keeps::FactoryCode),
        (is_kept(erases.master_code), Keeps::MasterCode),
        (is_kept(Some(erases.counters)), Keeps::Counters),
        (is_kept(erases.handing), Keeps::Handing),
        (is_kept(erases.pairings), Keeps::Pairings),
        (is_kept(erases.settings), Keeps::Settings),
    ];
    let others = others.into_iter().filter(|(is_kept, _)| *is_kept);
    user_codes
        .into_iter()
        .chain(others.map(|(_, keeps)| keeps))
        .collect()
}

/// When an entry without a key that ends it is over, where nobody knows.
const ENTRY_ENDS: Nanos = Nanos::from_secs(10);

/// How long a valid code counts as the cause of an opening where the bolt never relocks by itself.
const STAYS_OPEN: Nanos = Nanos::from_secs(15);

/// How often locks look at their keys at least: common debounce code polls every 5 to 10 ms.
const KEY_SCAN: Nanos = Nanos::from_millis(10);

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::source::Source;

    /// What the red-button safe's manual would keep, if it said this.
    #[rstest]
    #[case("", "", &[Keeps::UserCodesUntilNew])]
    #[case("user-codes: with-new-code", "user-codes: at-once", &[])]
    #[case("user-codes: with-new-code", "user-codes: kept", &[Keeps::UserCodes])]
    #[case("user-codes: with-new-code", "user-codes: unknown", &[])]
    #[case("stays: until-first-change", "stays: always", &[Keeps::UserCodesUntilNew, Keeps::FactoryCode])]
    #[case("counters: unknown", "counters: kept", &[Keeps::UserCodesUntilNew, Keeps::Counters])]
    #[case("counters: unknown", "counters: at-once", &[Keeps::UserCodesUntilNew])]
    #[case(
        "counters: unknown",
        "counters: unknown, handing: kept, pairings: kept, settings: kept, master-code: kept",
        &[
            Keeps::UserCodesUntilNew,
            Keeps::MasterCode,
            Keeps::Handing,
            Keeps::Pairings,
            Keeps::Settings
        ]
    )]
    #[case(
        "counters: unknown",
        "counters: unknown, handing: unknown, pairings: unspecified, settings: at-once",
        &[Keeps::UserCodesUntilNew]
    )]
    fn what_a_reset_keeps_is_taken_from_the_profile(
        #[case] said: &str,
        #[case] instead: &str,
        #[case] expected: &[Keeps],
    ) {
        let text = include_str!("../../scenarios/profiles/stack-on-red-button.yaml");
        assert!(text.contains(said));
        let source = Source::new("changed.yaml", text.replace(said, instead));
        let profile = Profile::read(&source).unwrap_or_else(|refused| panic!("{refused}"));
        assert_eq!(kept(&profile), expected);
    }
}
