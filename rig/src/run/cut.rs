//! Losing the supply at one exact point of a run: which points there are, what a cut does to the bench,
//! and what the lock is found to be afterwards.
//!
//! A run counts its cut points, and either keeps a fork of the bench at each ([`Point`]) or loses the
//! supply at the one that a scenario names. After a cut [`recover`] lets the lock come to rest, and
//! [`answers`](super::answers::answers) asks it through its keypad.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Mutex;

use crate::bench::{self, Bench, Contact, Feed, Happening};
use crate::driver::{DeviceTrouble, Trouble};
use crate::event::{Event, Judgement, Nanos, What};
use crate::oracle::{Oracles, word};
use crate::port::sim::state_hasher;
use crate::port::{CutPoint, Torn, Waited};
use crate::profile::Profile;
use crate::quantity::Millivolts;
use crate::scenario::{Act, CodeUse, Effect};
use crate::step::{Cut, CutAt, CutKind, CutMode};

use super::runner::{Runner, Step, Stop};
use super::steps::{WITHDRAWN, is_signal};

/// How long the supply stays away after a cut: the keys are let go meanwhile. Nothing but flash outlives
/// it, so that more makes no difference.
pub const OFF: Nanos = Nanos::from_millis(300);

/// How long a supply that bounces is away each time.
const BOUNCE_OFF: Nanos = Nanos::from_millis(20);
const BOUNCES: u32 = 3;
/// How long spent cells last.
const SAG: Nanos = Nanos::from_secs(3);
/// How long nothing must be seen of a lock that starts before it counts as started.
const QUIET: Nanos = Nanos::from_millis(600);
/// A lock that shows a lockout is never quiet.
const RECOVERY_MAX: Nanos = Nanos::from_secs(6);
/// A lock that lived through a sag goes on with what it was doing: a bolt that it holds withdrawn, or an
/// entry that was begun, take their time.
const SAGGED_QUIET: Nanos = Nanos::from_secs(15);
const SAGGED_MAX: Nanos = Nanos::from_secs(40);
/// What asks the reference firmware how it is.
const STATUS: &[u8] = b"?\n";
/// How long the lock may take to say on its console how it is.
const STATUS_MAX: Nanos = Nanos::from_millis(200);

/// A moment of a run at which the supply can be lost, and the bench as it was then.
pub struct Point {
    /// Which one.
    pub at: CutAt,
    /// When.
    pub when: Nanos,
    /// The write that begins there.
    pub operation: Option<CutPoint>,
    /// The address of the instruction that begins it.
    pub begun_by: Option<u32>,
    /// How many events came before.
    pub events: usize,
    /// The bench, a moment before the cut; to be forked by whoever wants to cut.
    pub bench: Mutex<Bench>,
    /// Contacts that are closed.
    pub closed: Vec<Contact>,
    /// The codes that open if nothing of the change under way happened.
    pub old: Vec<CodeUse>,
    /// The codes that open if all of it happened.
    pub new: Vec<CodeUse>,
    /// A reset is under way.
    pub resets: bool,
    /// How many points it stands for: instructions in a row, before each of which a cut leaves the same, and
    /// between which nothing was seen or done.
    pub stands_for: u64,
}

/// A change of codes that is under way, or is over while nobody has touched the lock since.
#[derive(Clone)]
pub struct CodeChange {
    old: Vec<CodeUse>,
    new: Vec<CodeUse>,
    resets: bool,
    pub is_over: bool,
}

/// Counts cut points.
pub struct Cutting {
    counts: BTreeMap<CutKind, u32>,
    /// None until the steps begin whose points count.
    goal: Option<Goal>,
    points: Vec<Point>,
    /// Whether instructions count, too.
    instructions: bool,
    /// Of the last instruction: what was seen before it, and what a cut there leaves.
    last: Option<(usize, u64)>,
}

#[derive(Clone, Copy)]
enum Goal {
    Collect,
    /// There; a supply that sags falls to this.
    Strike(Cut, Millivolts),
}

impl Cutting {
    /// Keeps every point of the scenario's steps, with or without instructions.
    pub fn collecting(instructions: bool) -> Cutting {
        Cutting {
            counts: BTreeMap::new(),
            goal: None,
            points: Vec::new(),
            instructions,
            last: None,
        }
    }

    fn striking(cut: Cut, sag: Millivolts) -> Cutting {
        Cutting {
            goal: Some(Goal::Strike(cut, sag)),
            ..Cutting::collecting(cut.at.kind == CutKind::Instruction)
        }
    }

    /// The points that were kept.
    pub fn into_points(self) -> Vec<Point> {
        self.points
    }

    /// How many points of each kind there were, in words.
    fn words(&self) -> String {
        let count = |kind: &CutKind| self.counts.get(kind).copied().unwrap_or(0);
        let words = CutKind::ALL.iter();
        let words = words.filter(|kind| self.instructions || **kind != CutKind::Instruction);
        let words: Vec<String> = words
            .map(|kind| format!("{} {kind}", count(kind)))
            .collect();
        words.join(", ")
    }
}

impl Runner<'_> {
    /// A procedure begins that changes the codes, if it goes through.
    pub(super) fn change_begins(&mut self, effect: &Effect) {
        let mut after = self.credentials.clone();
        if !after.take_effect(effect, self.profile.reset.as_ref()) {
            return;
        }
        let resets = match effect {
            Effect::Unknown { at_most } => at_most.contains(&Effect::Resets),
            effect => *effect == Effect::Resets,
        };
        if let Effect::Unknown { at_most } = effect {
            for effect in at_most {
                after.take_effect(effect, self.profile.reset.as_ref());
            }
        }
        self.change = Some(CodeChange {
            old: self.credentials.valid(),
            new: after.valid(),
            resets,
            is_over: false,
        });
    }

    /// A procedure inside that of this change ended: what it changed is what the change began with.
    pub(super) fn change_goes_on(&mut self, outer: CodeChange) {
        if self.change.as_ref().is_some_and(|change| change.is_over) {
            self.change = Some(CodeChange {
                old: self.credentials.valid(),
                ..outer
            });
        }
    }

    /// It went through, as far as the rig knows; the lock may still be writing.
    pub(super) fn change_is_over(&mut self) {
        if let Some(change) = &mut self.change {
            change.is_over = true;
        }
    }

    /// The steps begin whose cut points count.
    pub(super) fn watch_cuts(&mut self) {
        if let Some(cutting) = &mut self.cutting {
            cutting.goal = Some(Goal::Collect);
            let instructions = cutting.instructions;
            self.watch_instructions(instructions);
        }
    }
}

impl<P> Runner<'_, P> {
    /// Counts a happening that is a cut point.
    pub(super) fn count_cut(&mut self, happening: &Happening) -> Step {
        let (kind, operation) = match &happening.what {
            bench::What::CutPoint(operation) => (CutKind::FlashOp, Some(*operation)),
            bench::What::Line { line, .. } if is_output(line) => (CutKind::Output, None),
            bench::What::Switched {
                contact: Contact::Key(_) | Contact::Button(_),
                closed: true,
                ..
            } => (CutKind::Key, None),
            // Those of a glitch are counted by themselves.
            bench::What::Instruction(_) if self.counts_instructions() => {
                (CutKind::Instruction, None)
            }
            _ => return Ok(()),
        };
        // Without supply there is nothing to cut.
        let is_fed = self.power_on.is_some();
        let Some(cutting) = self.cutting.as_mut().filter(|_| is_fed) else {
            return Ok(());
        };
        let Some(goal) = cutting.goal else {
            return Ok(());
        };
        let number = cutting.counts.entry(kind).or_default();
        *number += 1;
        let at = CutAt {
            kind,
            number: *number,
        };
        match goal {
            Goal::Strike(cut, sag) if cut.at == at => self.strike_at(cut, sag),
            Goal::Strike(..) => Ok(()),
            Goal::Collect if kind == CutKind::Instruction && self.stands_for_one_more() => Ok(()),
            Goal::Collect => {
                let Some(mut bench) = self.bench.fork() else {
                    return self.no_branch();
                };
                let mut begun_by = None;
                if let Some(branch) = bench.branch() {
                    begun_by = operation.map(|_| branch.last_instruction());
                    branch.watch_terminal(false);
                    branch.watch_instructions(false);
                }
                let valid = self.credentials.valid();
                let change = self.change.as_ref();
                let point = Point {
                    at,
                    when: happening.at,
                    operation,
                    begun_by,
                    events: self.recorder.events().len(),
                    bench: Mutex::new(bench),
                    closed: self.closed.clone(),
                    old: change.map_or_else(|| valid.clone(), |change| change.old.clone()),
                    new: change.map_or(valid, |change| change.new.clone()),
                    resets: change.is_some_and(|change| change.resets),
                    stands_for: 1,
                };
                if let Some(cutting) = &mut self.cutting {
                    cutting.points.push(point);
                }
                Ok(())
            }
        }
    }

    fn counts_instructions(&self) -> bool {
        let cutting = self.cutting.as_ref();
        cutting.is_some_and(|cutting| cutting.instructions)
    }

    /// Whether a cut before this instruction is the same as one before the last.
    fn stands_for_one_more(&mut self) -> bool {
        let events = self.recorder.events().len();
        let Some(branch) = self.bench.branch() else {
            return false;
        };
        let here = (events, branch.lasting_state());
        let Some(cutting) = &mut self.cutting else {
            return false;
        };
        let is_same = cutting.last == Some(here);
        cutting.last = Some(here);
        let before = cutting.points.iter_mut().rev();
        let mut before = before.filter(|point| point.at.kind == CutKind::Instruction);
        match before.next().filter(|_| is_same) {
            Some(point) => {
                point.stands_for += 1;
                true
            }
            None => false,
        }
    }

    pub(super) fn watch_instructions(&mut self, watch: bool) {
        if let Some(branch) = self.bench.branch() {
            branch.watch_instructions(watch);
        }
    }

    fn no_branch(&mut self) -> Step {
        self.broken(not_virtual())
    }

    /// The supply is lost, here.
    fn strike_at(&mut self, Cut { at, mode }: Cut, sag: Millivolts) -> Step {
        self.cutting = None;
        if at.kind == CutKind::Instruction {
            self.watch_instructions(false);
        }
        let is_real = self.bench.branch().is_none();
        self.interrupted(
            at,
            match mode {
                CutMode::Sag(_) => mode.to_string(),
                _ if is_real => format!("{mode}, a true cut: as soon as the supply can"),
                _ => mode.to_string(),
            },
        );
        if let CutMode::Sag(_) = mode {
            self.set_supply(Some(sag))?;
        } else if is_real {
            self.set_supply(None)?;
        } else {
            self.record(What::SupplySet { millivolts: None });
            self.power_on = None;
            self.penalty.power_lost(self.bench.now());
            if !cut(self.bench, mode) {
                return self.broken(not_virtual());
            }
        }
        self.release_all()?;
        Err(Stop::Interrupted)
    }
}

impl Runner<'_> {
    /// Carries out acts until the supply is lost at the first of some points, and lets the lock recover
    /// until it is lost at the next.
    pub(super) fn interrupt_at(&mut self, cuts: &[Cut], lasts: Nanos, acts: &[Act]) -> Step {
        let depth = self.inside.len();
        let is_real = self.bench.branch().is_none();
        for (nth, cut) in cuts.iter().enumerate() {
            self.cutting = Some(Cutting::striking(*cut, self.profile.supply.sag.value));
            if cut.at.kind == CutKind::Instruction {
                self.watch_instructions(true);
            }
            if is_real {
                self.break_at_stores(*cut)?;
            }
            let outcome = match nth {
                0 => self.all(acts),
                _ => self.wait_for_quiet_start(),
            };
            self.at_stores = None;
            match (outcome, self.cutting.take()) {
                (Err(Stop::Interrupted), _) => {}
                (Err(other), _) => return Err(other),
                (Ok(()), cutting) => {
                    self.watch_instructions(false);
                    let there_are = cutting.map(|cutting| cutting.words()).unwrap_or_default();
                    let of = match nth {
                        0 => "the steps".to_owned(),
                        _ => format!("the recovery from cut {nth}"),
                    };
                    let wanted = format!("there is no {}", cut.at);
                    let got = format!("{of} have {there_are}; hint: 'lockrig cuts' lists them");
                    return self.no_such_point(wanted, got);
                }
            }
            self.inside.truncate(depth);
            self.tracks.clear();
            if !is_real && let Err(trouble) = renew(self.bench, cut.mode, self.profile) {
                return self.broken(trouble);
            }
            self.wait(lasts)?;
            if is_real {
                self.set_supply(Some(self.profile.supply.fresh.value))?;
                self.wait_for_power()?;
                continue;
            }
            self.record(What::SupplySet {
                millivolts: Some(self.profile.supply.fresh.value.0),
            });
            if let Err(trouble) = restore(self.bench, cut.mode, self.profile) {
                return self.broken(trouble);
            }
            self.power_on = Some(self.bench.now());
        }
        self.comes_back()?;
        let seen = self
            .recorder
            .events()
            .iter()
            .rev()
            .take_while(|event| !matches!(event.what, What::SupplySet { .. }));
        let speaks = seen.into_iter().any(|event| is_boot(&event.what));
        if speaks && let Err(trouble) = self.bench.send(STATUS) {
            return self.broken(trouble);
        }
        self.wait(STATUS_MAX)
    }

    /// Waits as [`recover`] does.
    fn wait_for_quiet_start(&mut self) -> Step {
        let bound = self.bench.now() + RECOVERY_MAX;
        let mut quiet_at = self.bench.now() + QUIET;
        while self.bench.now() < quiet_at.min(bound) {
            let before = self.recorder.events().len();
            self.wait_for_one(quiet_at.min(bound))?;
            if self.recorder.events().len() > before {
                quiet_at = self.bench.now() + QUIET;
            }
        }
        Ok(())
    }
}

/// What the lock drives, as opposed to contacts.
pub(super) fn is_output(line: &str) -> bool {
    is_signal(line) || line.starts_with("bolt")
}

pub(super) fn not_virtual() -> DeviceTrouble {
    DeviceTrouble {
        device: "bench".to_owned(),
        doing: "cutting the supply at one exact point".to_owned(),
        what: Trouble::Absent,
        saw: "only a virtual bench can do that".to_owned(),
        hint: "run this scenario with --bench virtual-safe or virtual-smart-lock".to_owned(),
    }
}

/// Cuts the supply at this very moment; false on a real bench. A supply that sags is not cut but set.
pub fn cut(bench: &mut Bench, mode: CutMode) -> bool {
    match bench.branch() {
        Some(branch) => branch.cut(torn(mode)),
        None => return false,
    }
    true
}

/// What a cut leaves of a write to flash.
pub fn torn(mode: CutMode) -> Torn {
    match mode {
        CutMode::DroppedBefore | CutMode::Bounce(_) | CutMode::Sag(_) => Torn::DroppedBefore,
        CutMode::DroppedAfter => Torn::DroppedAfter,
        CutMode::Prefix(count) => Torn::Bytes { count },
        CutMode::BitLost(bit) => Torn::Without { bit },
        CutMode::BitStray(bit) => Torn::Stray { bit },
        CutMode::Subset(seed) => Torn::BitSubset { seed: seed.into() },
        CutMode::Percent(percent) => Torn::Share {
            of_256: 256 * percent / 100,
            seed: 1,
        },
        CutMode::Metastable(seed) => Torn::Metastable { seed: seed.into() },
    }
}

/// Tells a supply whose terminal is cut that fresh cells come next, whatever was there before.
fn renew(bench: &mut Bench, mode: CutMode, profile: &Profile) -> Result<(), DeviceTrouble> {
    let fresh = Feed::On {
        voltage: profile.supply.fresh.value,
        resistance: None,
    };
    if matches!(mode, CutMode::Sag(_)) || bench.is_fed(fresh) {
        return Ok(());
    }
    bench.feed(fresh)
}

/// Lets go of what is closed and waits until the supply is to come back.
///
/// # Errors
/// An instrument that does not do what it was told.
pub fn release(
    bench: &mut Bench,
    closed: &[Contact],
    mode: CutMode,
    profile: &Profile,
) -> Result<(), DeviceTrouble> {
    for contact in closed {
        bench.switch(contact, false)?;
    }
    renew(bench, mode, profile)?;
    let until = bench.now() + OFF;
    pass(bench, until)
}

/// Connects the supply again, in the way that belongs to the cut.
///
/// # Errors
/// An instrument that does not do what it was told.
pub fn restore(bench: &mut Bench, mode: CutMode, profile: &Profile) -> Result<(), DeviceTrouble> {
    if let CutMode::Sag(_) = mode {
        let until = bench.now() + SAG;
        pass(bench, until)?;
        return bench.feed(Feed::On {
            voltage: profile.supply.fresh.value,
            resistance: None,
        });
    }
    if let CutMode::Bounce(millis) = mode {
        bounce(bench, millis)?;
    }
    bench.branch().ok_or_else(not_virtual)?.restore();
    Ok(())
}

/// The supply comes back, each time for so many milliseconds, and goes again.
///
/// # Errors
/// An instrument that does not do what it was told.
pub fn bounce(bench: &mut Bench, millis: u32) -> Result<(), DeviceTrouble> {
    for _ in 0..BOUNCES {
        let connected = bench.now() + Nanos::from_millis(millis.into());
        bench.branch().ok_or_else(not_virtual)?.restore();
        pass(bench, connected)?;
        cut(bench, CutMode::DroppedBefore);
        let until = bench.now() + BOUNCE_OFF;
        pass(bench, until)?;
    }
    Ok(())
}

/// How long after a cut the supply is back for good.
pub fn away(mode: CutMode) -> Nanos {
    match mode {
        CutMode::Sag(_) => OFF + SAG,
        CutMode::Bounce(millis) => {
            let once = Nanos::from_millis(millis.into()) + BOUNCE_OFF;
            OFF + Nanos(once.0 * u64::from(BOUNCES))
        }
        _ => OFF,
    }
}

/// Lets time pass. What is seen meanwhile is of a lock without supply, and tells nothing.
pub(super) fn pass(bench: &mut Bench, until: Nanos) -> Result<(), DeviceTrouble> {
    loop {
        match bench.wait(until) {
            Waited::Saw(Happening {
                what: bench::What::Trouble(trouble),
                ..
            }) => return Err(trouble),
            Waited::Saw(_) => {}
            Waited::Deadline | Waited::Interrupted => return Ok(()),
        }
    }
}

/// Is told of a write to flash before it happens, and of what was seen until then; whether to go on.
pub type Begins<'b> = &'b mut dyn FnMut(&mut Bench, CutPoint, &[(Nanos, What)]) -> bool;

/// When a cut came, of which kind, and what was seen of the lock after it.
pub type Stage<'s> = (Nanos, CutMode, &'s [(Nanos, What)]);

/// What was seen of a lock between power-on and rest.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Lines and console, with the time since power-on.
    pub seen: Vec<(Nanos, What)>,
    /// What outlives the next loss of supply.
    pub state: u64,
    /// The bolt is withdrawn.
    pub is_withdrawn: bool,
}

impl Recovery {
    /// Equal for locks that hold the same and have shown the same.
    pub fn key(&self) -> u64 {
        let mut hasher = state_hasher();
        (self.state, self.is_withdrawn, words(&self.seen)).hash(&mut hasher);
        hasher.finish()
    }

    /// The fault that it reported.
    pub fn fault(&self) -> Option<&str> {
        self.printed().find(|text| word(text) == "fault")
    }

    /// What is left of a lockout, by what it said last.
    pub(super) fn lockout(&self) -> Option<Nanos> {
        let said = self
            .printed()
            .filter(|text| word(text) == "lockout")
            .last()?;
        let left = said.split(' ').find_map(|part| part.strip_prefix("left="));
        left?.parse().ok().map(Nanos::from_millis)
    }

    fn printed(&self) -> impl Iterator<Item = &str> {
        self.seen.iter().filter_map(|(_, what)| match what {
            What::Printed { text } => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Why [`Recovering::go_on`] came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Halt {
    /// The lock is at rest.
    AtRest,
    /// The moment asked for has come.
    Moment,
    /// A write to flash begins before which to stop.
    Begins,
}

/// A lock whose supply is back, on its way to rest.
#[derive(Clone)]
pub struct Recovering {
    power_on: Nanos,
    bound: Nanos,
    quiet: Nanos,
    quiet_at: Nanos,
    seen: Vec<(Nanos, What)>,
    asked: bool,
}

impl Recovering {
    /// Of a bench whose supply came back at this moment, after a cut of this kind.
    pub fn new(bench: &Bench, mode: CutMode) -> Recovering {
        let power_on = bench.now();
        let (quiet, longest) = match mode {
            CutMode::Sag(_) => (SAGGED_QUIET, SAGGED_MAX),
            _ => (QUIET, RECOVERY_MAX),
        };
        Recovering {
            power_on,
            bound: power_on + longest,
            quiet,
            quiet_at: power_on + quiet,
            seen: Vec::new(),
            asked: false,
        }
    }

    /// What was seen so far, with the time since power-on.
    pub fn seen(&self) -> &[(Nanos, What)] {
        &self.seen
    }

    /// Lets the lock go on until it is at rest, or until a moment before that. `begins` is told of every
    /// write to flash, before it happens, and of what was seen until then; it may halt there.
    ///
    /// # Errors
    /// An instrument that does not do what it was told.
    pub fn go_on(
        &mut self,
        bench: &mut Bench,
        moment: Option<Nanos>,
        begins: Begins<'_>,
    ) -> Result<Halt, DeviceTrouble> {
        loop {
            let rest = self.quiet_at.min(self.bound);
            let moment = moment.filter(|moment| *moment < rest);
            match bench.wait(moment.unwrap_or(rest)) {
                Waited::Saw(Happening { at, what }) => {
                    match what {
                        bench::What::Line { line, on, .. } => {
                            let what = What::LineChanged { line, high: on };
                            self.seen.push((at.since(self.power_on), what));
                        }
                        bench::What::Printed { text, .. } => {
                            let is_status = word(&text) == "state";
                            let since = at.since(self.power_on);
                            self.seen.push((since, What::Printed { text }));
                            if self.asked && is_status {
                                return Ok(Halt::AtRest);
                            }
                        }
                        bench::What::CutPoint(operation) => {
                            if !begins(bench, operation, &self.seen) {
                                return Ok(Halt::Begins);
                            }
                        }
                        bench::What::Trouble(trouble) => return Err(trouble),
                        _ => continue,
                    }
                    if !self.asked {
                        self.quiet_at = at + self.quiet;
                    }
                }
                Waited::Interrupted => return Ok(Halt::AtRest),
                Waited::Deadline if moment.is_some() => return Ok(Halt::Moment),
                // The reference firmware answers the question how it is.
                Waited::Deadline if !self.asked && speaks(&self.seen) => {
                    self.asked = true;
                    bench.send(STATUS)?;
                    self.quiet_at = bench.now() + STATUS_MAX;
                }
                Waited::Deadline => return Ok(Halt::AtRest),
            }
            if self.asked && bench.now() >= self.quiet_at {
                return Ok(Halt::AtRest);
            }
        }
    }

    /// What came of it.
    pub fn at_rest(self, bench: &mut Bench) -> Recovery {
        Recovery {
            seen: self.seen,
            state: bench.branch().map_or(0, |branch| branch.lasting_state()),
            is_withdrawn: bench.was_on(WITHDRAWN) == Some(true),
        }
    }
}

/// Lets a lock whose supply is back come to rest. `begins` is told of every write to flash, before it
/// happens, and of what was seen until then; it may end the recovery there, which then has no result.
///
/// # Errors
/// An instrument that does not do what it was told.
pub fn recover(
    bench: &mut Bench,
    mode: CutMode,
    begins: Begins<'_>,
) -> Result<Option<Recovery>, DeviceTrouble> {
    let mut recovering = Recovering::new(bench, mode);
    Ok(match recovering.go_on(bench, None, begins)? {
        Halt::Begins => None,
        _ => Some(recovering.at_rest(bench)),
    })
}

/// A hash of what was seen, times left out.
pub fn words(seen: &[(Nanos, What)]) -> u64 {
    let mut hasher = state_hasher();
    for (_, what) in seen {
        match what {
            What::LineChanged { line, high } => (line, high).hash(&mut hasher),
            What::Printed { text } => text.hash(&mut hasher),
            _ => {}
        }
    }
    hasher.finish()
}

pub(super) fn speaks(seen: &[(Nanos, What)]) -> bool {
    seen.iter().any(|(_, what)| is_boot(what))
}

fn is_boot(what: &What) -> bool {
    match what {
        What::Printed { text } => word(text) == "boot",
        _ => false,
    }
}

/// The oracles' view of what came after some cuts: the first rule that was broken since, with the reason.
///
/// They have seen so many events before the first cut, and each recovery begins with a cut at its moment.
pub fn keeps_rules(
    mut oracles: Oracles,
    events: usize,
    fresh: u32,
    recoveries: &[Stage<'_>],
) -> Option<String> {
    let mut seq = events as u64;
    let mut see = |at: Nanos, what: What| {
        seq += 1;
        let breaches = oracles.see(&Event { seq, at, what });
        breaches.into_iter().find_map(|breach| match breach {
            What::Judged {
                oracle,
                because,
                judgement: Judgement::Broken,
                ..
            } => Some(format!("{oracle}: {because}")),
            _ => None,
        })
    };
    for (cut_at, mode, seen) in recoveries {
        let power_on = *cut_at + away(*mode);
        let supply = |millivolts| What::SupplySet { millivolts };
        let spent = matches!(mode, CutMode::Sag(_)).then_some(1);
        let interrupted = What::Interrupted {
            phase: String::new(),
            after: Nanos::ZERO,
            how: mode.to_string(),
        };
        let events = [
            (*cut_at, interrupted),
            (*cut_at, supply(spent)),
            (power_on, supply(Some(fresh))),
        ];
        let seen = seen
            .iter()
            .map(|(since, what)| (power_on + *since, what.clone()));
        for (at, what) in events.into_iter().chain(seen) {
            if let Some(breach) = see(at, what) {
                return Some(breach);
            }
        }
    }
    None
}
