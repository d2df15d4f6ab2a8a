//! Cutting, and starting the lock again from what is left.
//!
//! The points of a flow go to a few lanes, each of which takes its points in turn and learns from each start
//! for those that follow. All cuts of one point share what no start can tell apart: the lock without supply
//! is one bench whose torn page is exchanged, and the way from power-on to the first look at that page is
//! gone once. Where a start is in the middle of exactly what another one was in the middle of, and what is
//! different in flash no longer matters to that one, it is not carried on.
//!
//! How many lanes there are is fixed, so that the same starts are made however many jobs there are.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use super::deeper::Row;
use super::known::{Known, Prints, Start, View, joined};
use super::modes::{self, Detail};
use super::parallel::parallel;
use super::{Progress, Work, fork};
use crate::bench::{Bench, Contact};
use crate::driver::DeviceTrouble;
use crate::event::Nanos;
use crate::port::{CutPoint, Dependence};
use crate::run::{self, Halt, Recovering, Recovery};
use crate::step::{Cut, CutMode};

/// How many stretches of a flow learn on their own.
const LANES: usize = 4;
/// How long after the first look at a torn page it is asked whether what was seen there still matters.
const LOOK: Nanos = Nanos(200_000);
/// After how many writes to flash it is asked again.
const WRITES: u32 = 2;

/// A write to flash of a recovery, before it happened, as far as it matters what a cut leaves of it.
pub type Written = u64;

/// A recovery, and the lock that came to rest, as long as it may be asked for codes.
pub struct Found {
    pub recovery: Arc<Recovery>,
    pub bench: Option<Mutex<Bench>>,
}

/// What a lane found out.
#[derive(Default)]
pub struct Lane {
    pub rows: Vec<Row>,
    /// State after a cut to the recovery that it leads to.
    pub recoveries: HashMap<u64, u64>,
    pub found: HashMap<u64, Found>,
    /// Of starts whose recoveries are to be cut: their writes, by the state that they began with.
    pub writes: HashMap<u64, Vec<Written>>,
    pub starts: Vec<Start>,
    known: Known,
    pub boots: u64,
}

/// What all cuts of one point share.
struct Shared<'p> {
    closed: &'p [Contact],
    /// Right after a cut that left nothing of the write.
    lost: Bench,
    /// The same once the keys are released and the supply is to come back.
    off: Option<Bench>,
    /// When the page that is torn is first looked at.
    looks_at: Option<Nanos>,
    /// A lock that is about to look at it, once it was tried to get there.
    looking: Option<Option<(Bench, Recovering)>>,
    prints: Prints,
    /// By what a start is in the middle of: what came of it, and on which words that depended from there.
    halfway: HashMap<u64, Vec<Start>>,
}

/// A moment of a start at which it is asked whether it is in the middle of what another one was.
struct Moment {
    /// What it is in the middle of.
    passing: u64,
    bench: Bench,
    /// On what it depended since the moment before.
    on: Option<Dependence>,
}

impl Work<'_> {
    /// Every cut of every point, with the state that it leaves, and a start from every state of which it is
    /// not known what it leads to.
    pub(super) fn cut_points(&mut self, tell: Progress<'_>) -> Result<Vec<Lane>, DeviceTrouble> {
        let numbers: Vec<usize> = (0..self.points.len()).collect();
        let total = numbers.len() as u64;
        let lanes: Vec<&[usize]> = numbers
            .chunks(numbers.len().div_ceil(LANES).max(1))
            .collect();
        let done = std::sync::atomic::AtomicU64::new(0);
        let explorer = &*self.explorer;
        let lanes = parallel(
            &lanes,
            explorer.options.jobs,
            &explorer.stop,
            |_| {},
            |points| {
                let mut lane = Lane {
                    known: explorer.known.clone(),
                    ..Lane::default()
                };
                for &point in *points {
                    if explorer.stop.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    self.cut_point(point, &mut lane)?;
                    let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                    tell("cutting", done, total);
                }
                Ok(lane)
            },
        );
        lanes.into_iter().flatten().collect()
    }

    fn cut_point(&self, number: usize, lane: &mut Lane) -> Result<(), DeviceTrouble> {
        let point = &self.points[number];
        let Some(mut bench) = fork(&point.bench) else {
            return Ok(());
        };
        let modes = match point.operation {
            Some(operation) => modes::of(operation, &mut bench, Detail::Every),
            None => vec![CutMode::DroppedBefore],
        };
        let Some(mut lost) = bench.fork() else {
            return Ok(());
        };
        run::cut(&mut lost, CutMode::DroppedBefore);
        let mut shared = Shared {
            closed: &point.closed,
            lost,
            off: None,
            looks_at: None,
            looking: None,
            prints: Prints::default(),
            halfway: HashMap::new(),
        };
        for mode in modes {
            let is_plain = !matches!(mode, CutMode::Bounce(_) | CutMode::Sag(_));
            let torn = bench
                .branch()
                .filter(|_| is_plain && point.operation.is_some());
            let torn = torn.and_then(|branch| branch.torn_page(run::torn(mode)));
            let state = match (&torn, shared.lost.branch()) {
                (Some((page, words)), Some(lost)) => {
                    Some(lost.lasting_state_but(&[], Some((*page, words))))
                }
                _ => super::state_after(&mut bench, mode, (&self.flow.name, number)),
            };
            let Some(state) = state else { continue };
            lane.rows.push(Row {
                point: number,
                cuts: vec![Cut { at: point.at, mode }],
                state,
                when: point.when,
                behind: Vec::new(),
            });
            if self.is_done(lane, state) {
                continue;
            }
            let recovery = match &torn {
                Some(torn) => self.start_torn(&mut shared, torn, mode, state, lane)?,
                None => {
                    let Some(own) = bench.fork() else { continue };
                    self.start_own(own, &point.closed, mode, state, lane)?
                }
            };
            lane.recoveries.insert(state, recovery);
        }
        Ok(())
    }

    /// Whether nothing is to be learned from a start from this state.
    fn is_done(&self, lane: &Lane, state: u64) -> bool {
        if lane.recoveries.contains_key(&state) {
            return true;
        }
        // Where the recoveries are to be cut as well, their writes have to be seen.
        self.explorer.options.depth == 1 && self.explorer.recoveries.contains_key(&state)
    }

    /// Whether what is known of other starts may stand in for one whose row is so long.
    fn skips(&self, cuts: usize) -> bool {
        self.explorer.options.skip && cuts as u32 >= self.explorer.options.depth
    }

    /// Starts the lock of a point after a cut that leaves this page.
    fn start_torn(
        &self,
        shared: &mut Shared<'_>,
        (page, words): &(u32, Vec<u32>),
        mode: CutMode,
        state: u64,
        lane: &mut Lane,
    ) -> Result<u64, DeviceTrouble> {
        let profile = self.flow.profile();
        let skips = self.skips(1);
        let with = Some((*page, words.as_slice()));
        if skips && let Some(branch) = shared.lost.branch() {
            let view = View { branch, with };
            if let Some(recovery) = lane.known.get(view, &mut shared.prints) {
                return Ok(recovery);
            }
        }
        let off = match &mut shared.off {
            Some(off) => off,
            none => {
                let mut off = shared.lost.fork().expect("a fork can be forked");
                run::release(&mut off, shared.closed, mode, profile)?;
                none.insert(off)
            }
        };
        let from = self.lowest;
        if skips
            && shared.looking.is_none()
            && let Some(at) = shared.looks_at
        {
            let mut bench = off.fork().expect("a fork can be forked");
            run::restore(&mut bench, mode, profile)?;
            if let Some(branch) = bench.branch() {
                branch.note_dependence(from);
            }
            let mut recovering = Recovering::new(&bench, mode);
            let before = Nanos(at.0.saturating_sub(1_000));
            let halt = recovering.go_on(&mut bench, Some(before), &mut |_, _, _| false)?;
            shared.looking = Some((halt == Halt::Moment).then_some((bench, recovering)));
        }
        lane.boots += 1;
        let (mut bench, mut recovering, look) = match &mut shared.looking {
            Some(Some((bench, recovering))) => {
                let look = bench.now() + LOOK;
                let bench = bench.fork().expect("a fork can be forked");
                (bench, recovering.clone(), Some(look))
            }
            _ => {
                let mut bench = off.fork().expect("a fork can be forked");
                run::restore(&mut bench, mode, profile)?;
                if let Some(branch) = bench.branch() {
                    branch.note_dependence(from);
                }
                let recovering = Recovering::new(&bench, mode);
                (bench, recovering, None)
            }
        };
        if let Some(branch) = bench.branch() {
            branch.load(*page, words);
        }
        if !skips {
            return self.run_out(bench, recovering, state, lane);
        }
        let mut moments: Vec<Moment> = Vec::new();
        let (mut moment, mut writes) = (look, 0);
        let (recovery, mut on) = loop {
            let halt = recovering.go_on(&mut bench, moment, &mut |_, _, _| {
                writes += 1;
                writes > WRITES
            })?;
            moment = None;
            let Some(branch) = bench.branch() else {
                break (0, None);
            };
            if shared.looks_at.is_none() {
                shared.looks_at = branch.first_read(*page);
            }
            let on = branch.dependence();
            if halt == Halt::AtRest {
                break (self.found(bench, recovering, lane), on);
            }
            let passing = passing(bench.passing_state().unwrap_or(0), &recovering);
            let Some(branch) = bench.branch() else {
                break (0, None);
            };
            let alike = shared.halfway.get(&passing).and_then(|starts| {
                let view = View { branch, with: None };
                starts.iter().find(|start| start.fits(view))
            });
            if let Some(alike) = alike {
                let on = on.map(|on| joined(on, &alike.on));
                break (alike.recovery, on);
            }
            branch.note_dependence(from);
            moments.push(Moment {
                passing,
                bench: bench.fork().expect("a fork can be forked"),
                on,
            });
        };
        for mut moment in moments.into_iter().rev() {
            let Some(then) = on else { break };
            if let Some(branch) = moment.bench.branch() {
                let view = View { branch, with: None };
                let start = Start::new(view, then.clone(), recovery);
                shared
                    .halfway
                    .entry(moment.passing)
                    .or_default()
                    .push(start);
            }
            on = moment.on.map(|first| joined(first, &then));
        }
        if let (Some(on), Some(branch)) = (on, shared.lost.branch()) {
            let start = Start::new(View { branch, with }, on, recovery);
            lane.learn(start);
        }
        Ok(recovery)
    }

    /// Starts the lock of a bench that is cut in a way that is its own.
    fn start_own(
        &self,
        mut bench: Bench,
        closed: &[Contact],
        mode: CutMode,
        state: u64,
        lane: &mut Lane,
    ) -> Result<u64, DeviceTrouble> {
        let profile = self.flow.profile();
        self.lose(&mut bench, mode)?;
        let mut before = bench.fork();
        run::release(&mut bench, closed, mode, profile)?;
        let mut skips = self.skips(1);
        match mode {
            CutMode::Sag(_) => skips = false,
            CutMode::Bounce(millis) => {
                lane.boots += 1;
                run::bounce(&mut bench, millis)?;
                before = bench.fork();
                // From the last loss on it is like any other.
                let plain = bench.branch().map_or(0, |branch| branch.lasting_state());
                let known = lane.recoveries.get(&plain);
                if skips && let Some(known) = known.or(self.explorer.recoveries.get(&plain)) {
                    return Ok(*known);
                }
            }
            _ => {}
        }
        let mut before = before.filter(|_| skips);
        if let Some(branch) = before.as_mut().and_then(Bench::branch) {
            let view = View { branch, with: None };
            if let Some(recovery) = lane.known.get(view, &mut Prints::default()) {
                return Ok(recovery);
            }
        }
        let back = match mode {
            CutMode::Bounce(_) => CutMode::DroppedBefore,
            mode => mode,
        };
        run::restore(&mut bench, back, profile)?;
        lane.boots += 1;
        let mut recovering = Recovering::new(&bench, mode);
        let Some(branch) = before.as_mut().and_then(Bench::branch) else {
            return self.run_out(bench, recovering, state, lane);
        };
        if let Some(branch) = bench.branch() {
            branch.note_dependence(self.lowest);
        }
        recovering.go_on(&mut bench, None, &mut |_, _, _| true)?;
        let on = bench.branch().and_then(|branch| branch.dependence());
        let recovery = self.found(bench, recovering, lane);
        if let Some(on) = on {
            let view = View { branch, with: None };
            lane.learn(Start::new(view, on, recovery));
        }
        Ok(recovery)
    }

    /// Lets a start come to its end, with its writes.
    fn run_out(
        &self,
        mut bench: Bench,
        mut recovering: Recovering,
        state: u64,
        lane: &mut Lane,
    ) -> Result<u64, DeviceTrouble> {
        let mut writes = Vec::new();
        let is_cut = self.explorer.options.depth > 1;
        recovering.go_on(&mut bench, None, &mut |bench, operation, _| {
            if is_cut {
                writes.push(written(bench, operation));
            }
            true
        })?;
        lane.writes.insert(state, writes);
        Ok(self.found(bench, recovering, lane))
    }

    fn found(&self, mut bench: Bench, recovering: Recovering, lane: &mut Lane) -> u64 {
        let recovery = recovering.at_rest(&mut bench);
        let key = recovery.key();
        if !self.explorer.found.contains_key(&key) {
            lane.found.entry(key).or_insert_with(|| Found {
                recovery: Arc::new(recovery),
                bench: Some(Mutex::new(bench)),
            });
        }
        key
    }

    /// Starts the lock from what rows of more than one cut leave.
    pub(super) fn start_rows(
        &self,
        rows: &[Row],
        tell: Progress<'_>,
    ) -> Result<Vec<Lane>, DeviceTrouble> {
        let explorer = &*self.explorer;
        let total = rows.len() as u64;
        let done = std::sync::atomic::AtomicU64::new(0);
        let lanes: Vec<&[Row]> = rows.chunks(rows.len().div_ceil(LANES).max(1)).collect();
        let lanes = parallel(
            &lanes,
            explorer.options.jobs,
            &explorer.stop,
            |_| {},
            |rows| {
                let mut lane = Lane {
                    known: explorer.known.clone(),
                    ..Lane::default()
                };
                for row in *rows {
                    if explorer.stop.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    if !self.is_done(&lane, row.state) {
                        self.start_row(row, &mut lane)?;
                    }
                    let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                    tell("starting", done, total);
                }
                Ok(lane)
            },
        );
        lanes.into_iter().flatten().collect()
    }

    fn start_row(&self, row: &Row, lane: &mut Lane) -> Result<(), DeviceTrouble> {
        let Some((bench, closed, mode)) = self.before_last(row)? else {
            return Ok(());
        };
        let single = row.cuts.len() == 1;
        let closed = if single { closed } else { &[] };
        let recovery = match self.skips(row.cuts.len()) {
            true => self.start_own(bench, closed, mode, row.state, lane)?,
            false => {
                let mut bench = bench;
                self.lose(&mut bench, mode)?;
                run::release(&mut bench, closed, mode, self.flow.profile())?;
                run::restore(&mut bench, mode, self.flow.profile())?;
                lane.boots += 1;
                let recovering = Recovering::new(&bench, mode);
                self.run_out(bench, recovering, row.state, lane)?
            }
        };
        lane.recoveries.insert(row.state, recovery);
        Ok(())
    }

    /// The bench at the moment of a row's last cut, the contacts that are closed there, and the cut's mode.
    fn before_last(
        &self,
        row: &Row,
    ) -> Result<Option<(Bench, &[Contact], CutMode)>, DeviceTrouble> {
        let point = &self.points[row.point];
        let profile = self.flow.profile();
        let Some(mut bench) = fork(&point.bench) else {
            return Ok(None);
        };
        let mut closed: &[Contact] = &point.closed;
        for (nth, cut) in row.cuts.iter().enumerate() {
            let Some(next) = row.cuts.get(nth + 1) else {
                return Ok(Some((bench, closed, cut.mode)));
            };
            self.lose(&mut bench, cut.mode)?;
            run::release(&mut bench, closed, cut.mode, profile)?;
            run::restore(&mut bench, cut.mode, profile)?;
            closed = &[];
            let mut number = 0;
            run::recover(&mut bench, cut.mode, &mut |_, _, _| {
                number += 1;
                number != next.at.number
            })?;
        }
        Ok(None)
    }

    /// Carries out a row of cuts and lets the lock recover from the last; `begins` sees the writes of that
    /// last recovery.
    pub(super) fn recover(
        &self,
        row: &Row,
        begins: run::Begins<'_>,
    ) -> Result<Option<Bench>, DeviceTrouble> {
        let Some((mut bench, closed, mode)) = self.before_last(row)? else {
            return Ok(None);
        };
        self.lose(&mut bench, mode)?;
        run::release(&mut bench, closed, mode, self.flow.profile())?;
        run::restore(&mut bench, mode, self.flow.profile())?;
        run::recover(&mut bench, mode, begins)?;
        Ok(Some(bench))
    }

    fn lose(&self, bench: &mut Bench, mode: CutMode) -> Result<(), DeviceTrouble> {
        if let CutMode::Sag(_) = mode {
            return bench.feed(crate::bench::Feed::On {
                voltage: self.flow.profile().supply.sag.value,
                resistance: None,
            });
        }
        run::cut(bench, mode);
        Ok(())
    }
}

impl Lane {
    fn learn(&mut self, start: Start) {
        self.known.insert(start.clone());
        self.starts.push(start);
    }
}

/// What a start is in the middle of, and what was seen of it.
fn passing(state: u64, recovering: &Recovering) -> u64 {
    let seen = recovering.seen();
    let mut hasher = DefaultHasher::new();
    (state, run::words(seen)).hash(&mut hasher);
    for (since, _) in seen {
        since.hash(&mut hasher);
    }
    hasher.finish()
}

fn written(bench: &mut Bench, operation: CutPoint) -> Written {
    let mut hasher = DefaultHasher::new();
    let state = bench.branch().map(|branch| branch.lasting_state());
    (state, format!("{:?}", operation.change)).hash(&mut hasher);
    hasher.finish()
}
