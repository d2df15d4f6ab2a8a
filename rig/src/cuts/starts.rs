//! Cutting, and starting the lock again from what is left.
//!
//! The points of a flow go to a few lanes, each of which takes its points in turn and learns from each start
//! for those that follow. All cuts of one point share what no start can tell apart: the lock without supply
//! is one bench whose torn page is exchanged, and the way from power-on to the first look at that page is
//! gone once. Where a start is in the middle of exactly what another one was in the middle of, and what is
//! different in flash no longer matters to that one, it is not carried on.
//!
//! How many lanes there are is fixed, so that the same starts are made however many jobs there are.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::deeper::Row;
use super::known::{Known, Prints, Start, View, joined};
use super::modes::{self, Detail};
use super::parallel::parallel;
use super::{Progress, Work, fork};
use rustc_hash::FxHashMap as HashMap;

use crate::bench::{Bench, Contact};
use crate::driver::DeviceTrouble;
use crate::event::Nanos;
use crate::port::sim::state_hasher;
use crate::port::{CutPoint, Dependence};
use crate::run::{self, Halt, Recovering, Recovery};
use crate::step::{Cut, CutAt, CutMode};

/// How many stretches of a flow learn on their own.
const LANES: usize = 4;
/// How long after the first look at a torn page it is asked whether what was seen there still matters.
const LOOK: Nanos = Nanos(200_000);
/// After how many writes to flash it is asked again.
const WRITES: u32 = 2;

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
    /// Those that were started and came to rest, of which the recoveries are to be cut as well.
    pub started: Vec<Row>,
    pub starts: Vec<(usize, Start)>,
    known: HashMap<usize, Known>,
    /// How many starts came to rest.
    found_count: u64,
    pub boots: u64,
}

/// A moment at which the supply is lost.
pub struct Place<'p> {
    /// The cuts before, and what was seen after each.
    pub before: Row,
    /// Which point it is.
    pub at: CutAt,
    /// When it is.
    pub when: Nanos,
    /// The bench then.
    pub bench: Bench,
    /// The write that begins.
    pub operation: Option<CutPoint>,
    /// Contacts that are closed.
    pub closed: &'p [Contact],
}

/// What all cuts of one point share.
struct Shared<'p> {
    closed: &'p [Contact],
    context: usize,
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

/// The bench at the moment of a row's last cut, the contacts that are closed there, and the cut's mode.
type Last<'p> = (Bench, &'p [Contact], CutMode);

impl Work<'_> {
    /// Every cut of every point, with the state that it leaves, and a start from every state of which it is
    /// not known what it leads to.
    pub(super) fn cut_points(&self, tell: Progress<'_>) -> Result<Vec<Lane>, DeviceTrouble> {
        let numbers: Vec<usize> = (0..self.points.len()).collect();
        self.in_lanes("cutting", &numbers, tell, |&number, lane| {
            let point = &self.points[number];
            let Some(bench) = fork(&point.bench) else {
                return Ok(());
            };
            let place = Place {
                before: Row::at(number),
                at: point.at,
                when: point.when,
                bench,
                operation: point.operation,
                closed: &point.closed,
            };
            self.cut(place, self.explorer.options.detail, lane)
        })
    }

    /// Applies `work` to every item, in lanes.
    pub(super) fn in_lanes<T: Sync>(
        &self,
        doing: &str,
        items: &[T],
        tell: Progress<'_>,
        work: impl Fn(&T, &mut Lane) -> Result<(), DeviceTrouble> + Sync,
    ) -> Result<Vec<Lane>, DeviceTrouble> {
        let total = items.len() as u64;
        let done = AtomicU64::new(0);
        let lanes: Vec<&[T]> = items.chunks(items.len().div_ceil(LANES).max(1)).collect();
        let explorer = &*self.explorer;
        let lanes = parallel(
            &lanes,
            explorer.options.jobs,
            &explorer.stop,
            |_| {},
            |items| {
                let mut lane = Lane {
                    known: explorer.known.clone(),
                    ..Lane::default()
                };
                for item in *items {
                    if explorer.stop.load(Ordering::Relaxed) {
                        break;
                    }
                    work(item, &mut lane)?;
                    tell(doing, done.fetch_add(1, Ordering::Relaxed) + 1, total);
                }
                Ok(lane)
            },
        );
        lanes.into_iter().flatten().collect()
    }

    /// Every cut at a place.
    pub(super) fn cut(
        &self,
        mut place: Place<'_>,
        detail: Detail,
        lane: &mut Lane,
    ) -> Result<(), DeviceTrouble> {
        let modes = match place.operation {
            Some(operation) => modes::of(operation, &mut place.bench, detail),
            None => vec![CutMode::DroppedBefore],
        };
        let Some(mut lost) = place.bench.fork() else {
            return Ok(());
        };
        run::cut(&mut lost, CutMode::DroppedBefore);
        let context = self.context(place.before.point);
        let mut shared = Shared {
            closed: place.closed,
            context,
            lost,
            off: None,
            looks_at: None,
            looking: None,
            prints: Prints::default(),
            halfway: HashMap::default(),
        };
        let volatile = (&self.flow.name, place.before.point, place.before.state);
        for mode in modes {
            let is_plain = !matches!(mode, CutMode::Bounce(_) | CutMode::Sag(_));
            let bench = &mut place.bench;
            let torn = bench
                .branch()
                .filter(|_| is_plain && place.operation.is_some());
            let torn = torn.and_then(|branch| branch.torn_page(run::torn(mode)));
            let state = match (&torn, shared.lost.branch()) {
                (Some((page, words)), Some(lost)) => {
                    Some(lost.lasting_state_but(&[], Some((*page, words))))
                }
                _ => super::state_after(bench, mode, volatile),
            };
            let Some(state) = state else { continue };
            let state = self.in_context(state, context);
            let mut row = place.before.clone();
            row.cuts.push(Cut { at: place.at, mode });
            (row.state, row.when) = (state, place.when);
            let is_done = self.is_done(lane, state);
            if !is_done {
                let ran = lane.found_count;
                let recovery = match &torn {
                    Some(torn) => self.start_torn(&mut shared, torn, mode, lane)?,
                    None => {
                        let Some(own) = bench.fork() else { continue };
                        self.start_own(own, place.closed, mode, context, lane)?
                    }
                };
                lane.recoveries.insert(state, recovery);
                if lane.found_count > ran && self.is_cut_again(&row) {
                    lane.started.push(row.clone());
                }
            }
            lane.rows.push(row);
        }
        Ok(())
    }

    /// Whether the recovery from the last cut of a row is to be cut as well.
    fn is_cut_again(&self, row: &Row) -> bool {
        (row.cuts.len() as u32) < self.explorer.options.depth
    }

    /// What is owed at a point, where that is a part of what tells starts apart: the cuts of a recovery are
    /// judged by it, and so those of a start that stands in for another must be by the same.
    fn context(&self, point: usize) -> usize {
        match self.explorer.options.depth {
            1 => 0,
            _ => self.context_numbers[point],
        }
    }

    fn in_context(&self, state: u64, context: usize) -> u64 {
        if context == 0 {
            return state;
        }
        let mut hasher = state_hasher();
        (state, context).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether it is known what a start from this state leads to.
    fn is_done(&self, lane: &Lane, state: u64) -> bool {
        lane.recoveries.contains_key(&state) || self.explorer.recoveries.contains_key(&state)
    }

    /// Starts the lock of a point after a cut that leaves this page.
    fn start_torn(
        &self,
        shared: &mut Shared<'_>,
        (page, words): &(u32, Vec<u32>),
        mode: CutMode,
        lane: &mut Lane,
    ) -> Result<u64, DeviceTrouble> {
        let profile = self.flow.profile();
        let skips = self.explorer.options.skip;
        let with = Some((*page, words.as_slice()));
        if skips && let Some(branch) = shared.lost.branch() {
            let view = View { branch, with };
            if let Some(recovery) = lane.known(shared.context).get(view, &mut shared.prints) {
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
            return self.run_out(bench, recovering, lane);
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
            lane.learn(shared.context, start);
        }
        Ok(recovery)
    }

    /// Starts the lock of a bench that is cut in a way that is its own.
    fn start_own(
        &self,
        mut bench: Bench,
        closed: &[Contact],
        mode: CutMode,
        context: usize,
        lane: &mut Lane,
    ) -> Result<u64, DeviceTrouble> {
        let profile = self.flow.profile();
        self.lose(&mut bench, mode)?;
        let mut before = bench.fork();
        run::release(&mut bench, closed, mode, profile)?;
        let mut skips = self.explorer.options.skip;
        match mode {
            CutMode::Sag(_) => skips = false,
            CutMode::Bounce(millis) => {
                lane.boots += 1;
                run::bounce(&mut bench, millis)?;
                before = bench.fork();
                // From the last loss on it is like any other.
                let plain = bench.branch().map_or(0, |branch| branch.lasting_state());
                let plain = self.in_context(plain, context);
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
            if let Some(recovery) = lane.known(context).get(view, &mut Prints::default()) {
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
            return self.run_out(bench, recovering, lane);
        };
        if let Some(branch) = bench.branch() {
            branch.note_dependence(self.lowest);
        }
        recovering.go_on(&mut bench, None, &mut |_, _, _| true)?;
        let on = bench.branch().and_then(|branch| branch.dependence());
        let recovery = self.found(bench, recovering, lane);
        if let Some(on) = on {
            let view = View { branch, with: None };
            lane.learn(context, Start::new(view, on, recovery));
        }
        Ok(recovery)
    }

    /// Lets a start come to its end.
    fn run_out(
        &self,
        mut bench: Bench,
        mut recovering: Recovering,
        lane: &mut Lane,
    ) -> Result<u64, DeviceTrouble> {
        recovering.go_on(&mut bench, None, &mut |_, _, _| true)?;
        Ok(self.found(bench, recovering, lane))
    }

    fn found(&self, mut bench: Bench, recovering: Recovering, lane: &mut Lane) -> u64 {
        let recovery = recovering.at_rest(&mut bench);
        let key = recovery.key();
        lane.found_count += 1;
        if !self.explorer.found.contains_key(&key) {
            lane.found.entry(key).or_insert_with(|| Found {
                recovery: Arc::new(recovery),
                bench: Some(Mutex::new(bench)),
            });
        }
        key
    }

    /// Starts the lock from what the last cuts of rows leave.
    pub(super) fn start_rows(
        &self,
        rows: &[Row],
        tell: Progress<'_>,
    ) -> Result<Vec<Lane>, DeviceTrouble> {
        self.in_lanes("starting", rows, tell, |row, lane| {
            if self.is_done(lane, row.state) {
                return Ok(());
            }
            let Some((bench, closed, mode)) = self.before_last(row)? else {
                return Ok(());
            };
            let context = self.context(row.point);
            let recovery = self.start_own(bench, closed, mode, context, lane)?;
            lane.recoveries.insert(row.state, recovery);
            Ok(())
        })
    }

    /// Carries out all cuts of a row but the last.
    fn before_last(&self, row: &Row) -> Result<Option<Last<'_>>, DeviceTrouble> {
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
    fn known(&mut self, context: usize) -> &Known {
        self.known.entry(context).or_default()
    }

    fn learn(&mut self, context: usize, start: Start) {
        self.known.entry(context).or_default().insert(start.clone());
        self.starts.push((context, start));
    }
}

/// What a start is in the middle of, and what was seen of it.
fn passing(state: u64, recovering: &Recovering) -> u64 {
    let seen = recovering.seen();
    let mut hasher = state_hasher();
    (state, run::words(seen)).hash(&mut hasher);
    for (since, _) in seen {
        since.hash(&mut hasher);
    }
    hasher.finish()
}
