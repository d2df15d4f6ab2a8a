//! One run: act, wait, check; then a verdict.
//!
//! `Runner` is the loop; `steps` says what each verb of a scenario means, and `judge` what the events
//! come to.
//! What the rig reckons about the lock - codes, lockout - is in `credentials` and `penalty`; it is
//! compared with what is seen and never asked of the board.

mod answers;
mod chords;
mod credentials;
mod cut;
mod cylinder;
mod glitch;
mod pattern;
mod penalty;
mod presses;
mod readout;
mod runner;
mod steps;
mod store;
mod voltages;

use std::collections::BTreeMap;
use std::io;

use crate::bench::{Bench, Calibrated};
use crate::driver::DeviceTrouble;
use crate::event::{Event, FORMAT, FileHash, Nanos, What};
use crate::judge;
use crate::oracle::{self, Facts, Keeps, OnPowerCycle, Oracles};
use crate::profile::codes::Code;
use crate::profile::{
    self, Erased, Fact, Factory, FactoryStays, LearnsHanding, Product, Profile, Relock,
};
use crate::scenario::{Act, PlannedRun, Script};
use crate::trace::Recorder;
use crate::verdict::Verdict;

pub use answers::{Answer, answers};
pub use chords::{chords, contacts};
pub use cut::{
    Begins, Halt, Point, Recovering, Recovery, bounce, cut, keeps_rules, recover, release, restore,
    torn, words,
};
pub use cylinder::beyond;
pub use glitch::{Entry, is_sign, physical};
pub use runner::PHASE as DOOR_TAKES;
use runner::{CarryOut, Runner, Stop};
pub use steps::BOOT_MAX as SUPPLY_TAKES;
pub use store::{Write, is_rehearsed, virtual_only};
pub use voltages::voltages;

/// Everything that one run is made from.
pub struct Setup<'a> {
    /// Which scenario, product and variant this is.
    pub plan: &'a PlannedRun,
    /// Its steps.
    pub script: &'a Script,
    /// The product.
    pub profile: &'a Product,
    /// The codes that the seed gave.
    pub codes: &'a BTreeMap<String, Code>,
    /// The seed.
    pub seed: u64,
    /// Hashes of the files.
    pub files: Vec<FileHash>,
    /// The receipt of the flash that this run stands on.
    pub flashed: Option<What>,
    /// The writes to flash of its interruption, as an emulated board carried it out: what a real one needs
    /// to be cut at one of them.
    pub rehearsal: &'a [Write],
    /// The bench, at rest and with its board freshly flashed.
    pub bench: &'a mut Bench,
}

/// Carries out a run and returns its events. Whatever happens, the outputs go to rest and the trace
/// gets its last line.
pub fn run(setup: Setup<'_>, trace: Box<dyn io::Write + Send>) -> (Vec<Event>, io::Result<()>) {
    with_runner(setup, trace, |runner, _| runner.carry_out().err())
}

/// Carries out a run on a virtual bench and keeps a fork of the bench at every cut point of the
/// scenario's steps; where instructions count too, one fork stands for many.
pub fn watched(setup: Setup<'_>, instructions: bool) -> (Vec<Event>, Vec<Point>) {
    let mut points = Vec::new();
    let (events, _) = with_runner(setup, Box::new(io::sink()), |runner, _| {
        *runner.cutting() = Some(cut::Cutting::collecting(instructions));
        let stopped = runner.carry_out().err();
        let cutting = runner.cutting().take();
        points = cutting.map_or(Vec::new(), cut::Cutting::into_points);
        stopped
    });
    (events, points)
}

/// Carries out a run on a virtual bench and keeps forks of the bench at every entry, in the scenario's steps,
/// of a code that must not open.
pub fn entries(setup: Setup<'_>) -> (Vec<Event>, Vec<Entry>) {
    let mut entries = Vec::new();
    let (events, _) = with_runner(setup, Box::new(io::sink()), |runner, _| {
        *runner.glitching() = Some(glitch::Glitching::collecting());
        let stopped = runner.carry_out().err();
        let glitching = runner.glitching().take();
        entries = glitching.map_or(Vec::new(), glitch::Glitching::into_entries);
        stopped
    });
    (events, entries)
}

/// Carries out a run whose acts come from outside, one after the other. The script's own come first.
pub fn by_hand(
    setup: Setup<'_>,
    trace: Box<dyn io::Write + Send>,
    drive: impl FnOnce(&mut ByHand<'_>),
) -> (Vec<Event>, io::Result<()>) {
    with_runner(setup, trace, |runner, known| {
        let stopped = runner.carry_out().err();
        let mut hand = ByHand {
            runner,
            known,
            stopped,
        };
        drive(&mut hand);
        hand.stopped
    })
}

/// A run under way, whatever its product is.
trait UnderWay {
    fn carry_out(&mut self) -> Result<(), Stop>;
    fn all(&mut self, acts: &[Act]) -> Result<(), Stop>;
    fn events(&self) -> &[Event];
    fn bench(&mut self) -> &mut Bench;
    fn cutting(&mut self) -> &mut Option<cut::Cutting>;
    fn glitching(&mut self) -> &mut Option<glitch::Glitching>;
}

impl<'a, P> UnderWay for Runner<'a, P>
where
    Runner<'a, P>: CarryOut,
{
    fn carry_out(&mut self) -> Result<(), Stop> {
        CarryOut::carry_out(self)
    }

    fn all(&mut self, acts: &[Act]) -> Result<(), Stop> {
        Runner::all(self, acts)
    }

    fn events(&self) -> &[Event] {
        self.recorder.events()
    }

    fn bench(&mut self) -> &mut Bench {
        self.bench
    }

    fn cutting(&mut self) -> &mut Option<cut::Cutting> {
        &mut self.cutting
    }

    fn glitching(&mut self) -> &mut Option<glitch::Glitching> {
        &mut self.glitching
    }
}

/// A run that waits for its next acts.
pub struct ByHand<'r> {
    runner: &'r mut dyn UnderWay,
    known: &'r [&'r str],
    stopped: Option<Stop>,
}

impl ByHand<'_> {
    /// The bench, to look at the board between two acts.
    pub fn bench(&mut self) -> &mut Bench {
        self.runner.bench()
    }

    /// Whether nothing more is done.
    pub fn is_over(&self) -> bool {
        self.stopped.is_some()
    }

    /// Carries out acts, and gives the verdict so far with its reason. After one that did not end as
    /// expected nothing more is done.
    pub fn carry_out(&mut self, acts: &[Act]) -> (Verdict, String) {
        if self.stopped.is_none() {
            self.stopped = self.runner.all(acts).err();
        }
        let events = self.runner.events();
        let (verdict, _, because) = judge::verdict(events, self.stopped, self.known);
        (verdict, because)
    }
}

fn with_runner(
    setup: Setup<'_>,
    trace: Box<dyn io::Write + Send>,
    drive: impl FnOnce(&mut dyn UnderWay, &[&str]) -> Option<Stop>,
) -> (Vec<Event>, io::Result<()>) {
    let Setup {
        plan,
        script,
        profile,
        codes,
        seed,
        files,
        flashed,
        rehearsal,
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
    if let Calibrated::Not { because } = &bench.file().calibrated {
        let because = because.clone();
        recorder.record(bench.now(), What::Uncalibrated { because });
    }
    if let Some(device) = &bench.file().device {
        recorder.record(
            bench.now(),
            What::DeviceUnderTest {
                model: device.model.clone(),
                serial_number: device.serial_number.clone(),
                chip_id: device.chip_id.as_ref().map(ToString::to_string),
            },
        );
    }
    if let Some(because) = bench.take_power_cycle() {
        recorder.record(bench.now(), What::ProbePowerCycled { because });
    }
    // What happened before concerns another run.
    bench.stood_still();
    if let Some(branch) = bench.branch() {
        branch.watch_cut_points(true);
        branch.watch_terminal(true);
    }
    let known: Vec<&str> = profile
        .weaknesses()
        .iter()
        .map(|weakness| weakness.breaks.value.as_str())
        .collect();
    let (now, mut recorder, unproved, stopped) = match profile {
        Product::Lock(profile) => {
            let oracles = Oracles::new(facts(profile, bench));
            let mut runner = Runner::new(script, profile, codes, seed, bench, recorder, oracles);
            runner.rehearsal = rehearsal;
            to_the_end(runner, &known, drive)
        }
        Product::Cylinder(cylinder) => {
            let oracles = Oracles::new(cylinder::facts(bench));
            let runner =
                Runner::on_cylinder(script, cylinder, codes, seed, bench, recorder, oracles);
            to_the_end(runner, &known, drive)
        }
    };
    let mut verdict = judge::verdict(recorder.events(), stopped, &known);
    // What this machine did to the times, and wires to the words, is not the board's fault.
    let trouble = match verdict.0 {
        verdict if speaks_of_the_board(verdict) => {
            let trouble = late(bench).or_else(|| misheard(recorder.events()));
            trouble.or(unproved)
        }
        // Nor is it to its credit that it did nothing wrong while nothing was done to it.
        Verdict::Pass => unproved.map(|trouble| late(bench).unwrap_or(trouble)),
        _ => None,
    };
    if let Some(trouble) = trouble {
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

/// Trouble, if the console of a board with our firmware said what that never says.
fn misheard(events: &[Event]) -> Option<What> {
    let is_ours = |event: &Event| matches!(&event.what, What::Flashed { personality, .. } if personality.is_some());
    let line = events
        .iter()
        .any(is_ours)
        .then(|| oracle::damaged_line(events))??;
    Some(What::Trouble {
        device: "console".to_owned(),
        doing: "listening to it".to_owned(),
        saw: format!("'{line}', which this firmware does not print so"),
        hint: "bytes were lost or changed on the way: check wires, ground and baud rate".to_owned(),
    })
}

/// The steps, the way out, the last word of the oracles, and what was not pressed as it was ordered.
fn to_the_end<P>(
    mut runner: Runner<'_, P>,
    known: &[&str],
    drive: impl FnOnce(&mut dyn UnderWay, &[&str]) -> Option<Stop>,
) -> (Nanos, Recorder, Option<What>, Option<Stop>)
where
    for<'r> Runner<'r, P>: CarryOut,
{
    let stopped = drive(&mut runner, known);
    runner.clean_up(stopped);
    let (now, recorder, unproved) = runner.conclude();
    (now, recorder, unproved, stopped)
}

/// The events of a run that could not begin, because its bench could not be prepared.
pub fn unable(
    plan: &PlannedRun,
    profile: &Product,
    bench: &str,
    seed: u64,
    files: Vec<FileHash>,
    trouble: &DeviceTrouble,
    trace: Box<dyn io::Write + Send>,
) -> (Vec<Event>, io::Result<()>) {
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
    let reset = profile.reset.as_ref();
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
    let resolution = bench.file().greatest_uncertainty() + KEY_SCAN;
    Facts {
        senses_plug: false,
        senses_bolt: bench.lines().any(|line| line == steps::WITHDRAWN),
        withdraws_within: profile.bolt.withdraws_within,
        stays_open: match profile.relocks_after() {
            Some(Relock::After(after)) => profile.bolt.withdraws_within + after,
            _ => profile.bolt.withdraws_within + STAYS_OPEN,
        },
        learns_handing: profile.bolt.learns_handing != LearnsHanding::No
            && reset.is_none_or(|reset| reset.erases.handing != Some(Fact::Known(Erased::Kept))),
        counted_within,
        on_power_cycle,
        reset_erases_counters: reset
            .is_some_and(|reset| reset.erases.counters == Fact::Known(Erased::AtOnce)),
        reset_needs_open_door: reset.is_some_and(|reset| reset.requires.door.is_some()),
        answers_within: profile.bolt.withdraws_within
            + profile.idle_time_out().unwrap_or(ENTRY_ENDS),
        kept: kept(profile),
        uncertainty: bench.file().greatest_uncertainty(),
        resolution,
    }
}

/// What the manual says a reset keeps; what the reference firmware was told to do is no promise.
fn kept(profile: &Profile) -> Vec<Keeps> {
    let Some(reset) = &profile.reset else {
        return Vec::new();
    };
    let erases = &reset.erases;
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
