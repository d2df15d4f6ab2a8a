//! Cuts within the recovery from another cut.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::modes::{self, Detail};
use super::parallel::parallel;
use super::starts::{Lane, Place};
use super::{Depth, Explored, Outcome, Outcomes, Progress, Work, state_after};
use rustc_hash::FxHashSet as HashSet;

use crate::driver::DeviceTrouble;
use crate::event::{Nanos, What};
use crate::step::{Cut, CutAt, CutKind};

/// A row of cuts: the first at a point, each further one in the recovery from the one before.
#[derive(Clone)]
pub struct Row {
    pub point: usize,
    pub cuts: Vec<Cut>,
    /// What the last cut leaves.
    pub state: u64,
    /// When the last cut comes.
    pub when: Nanos,
    /// The cuts before it, and what was seen of the lock after each.
    pub behind: Vec<Behind>,
}

/// A cut, and what was seen of the lock until the next.
#[derive(Clone)]
pub struct Behind {
    pub when: Nanos,
    pub seen: Arc<Vec<(Nanos, What)>>,
}

impl Row {
    /// No cut yet, at a point of the flow.
    pub fn at(point: usize) -> Row {
        Row {
            point,
            cuts: Vec::new(),
            state: 0,
            when: Nanos::ZERO,
            behind: Vec::new(),
        }
    }
}

impl Work<'_> {
    /// Every cut of every write of the recoveries from rows, with a start from what it leaves.
    pub(super) fn cut_recoveries(
        &self,
        rows: &[Row],
        tell: Progress<'_>,
    ) -> Result<Vec<Lane>, DeviceTrouble> {
        self.in_lanes("cutting recoveries", rows, tell, |row, lane| {
            let mut number = 0;
            let mut trouble = None;
            self.recover(row, &mut |bench, operation, seen| {
                number += 1;
                let at = CutAt {
                    kind: CutKind::FlashOp,
                    number,
                };
                let when = bench.now();
                let Some(bench) = bench.fork() else {
                    return false;
                };
                let mut before = row.clone();
                before.behind.push(Behind {
                    when: row.when,
                    seen: Arc::new(seen.to_vec()),
                });
                let place = Place {
                    before,
                    at,
                    when,
                    bench,
                    operation: Some(operation),
                    closed: &[],
                };
                trouble = self.cut(place, Detail::Coarse, lane).err();
                trouble.is_none() && !self.explorer.stop.load(Ordering::Relaxed)
            })?;
            trouble.map_or(Ok(()), Err)
        })
    }

    /// Longer rows, each further cut at a random write of the recovery before it.
    pub(super) fn at_random(
        &mut self,
        explored: &mut Explored,
        rows: &[Row],
        outcomes: &mut [Outcomes],
        tell: Progress<'_>,
    ) -> Result<(), DeviceTrouble> {
        if rows.is_empty() {
            return Ok(());
        }
        let (budget, seed) = (
            u64::from(self.explorer.options.budget),
            self.explorer.options.seed,
        );
        let walks: Vec<u64> = (0..budget).collect();
        let found = parallel(
            &walks,
            self.explorer.options.jobs,
            &self.explorer.stop,
            |done| tell("at random", done, budget),
            |walk| self.walk(&mut Random::new(seed, *walk), rows),
        );
        let mut walked: Vec<Row> = Vec::new();
        for row in found.into_iter().flatten() {
            walked.extend(row?);
        }
        let lanes = self.start_rows(&walked, tell)?;
        self.merge(lanes);
        self.ask(&walked, tell)?;
        let judged = self.judge(&walked);
        let depth = walked.iter().map(|row| row.cuts.len()).max().unwrap_or(0) as u32;
        let mut summary = Depth {
            depth,
            exhaustive: false,
            exist: walked.len() as u64,
            ..Depth::default()
        };
        let mut states = HashSet::default();
        for (row, judged) in walked.iter().zip(judged) {
            let Some((outcome, because)) = judged else {
                continue;
            };
            summary.covered += 1;
            summary.states += u64::from(states.insert(row.state));
            *summary.outcomes.entry(outcome).or_default() += 1;
            *outcomes[row.point].entry(outcome).or_default() += 1;
            if outcome == Outcome::Broken {
                self.note(explored, row, &because);
            }
        }
        explored.depths.push(summary);
        Ok(())
    }

    fn walk(&self, random: &mut Random, rows: &[Row]) -> Result<Option<Row>, DeviceTrouble> {
        let mut row = rows[random.below(rows.len())].clone();
        let further = 1 + random.below(3);
        for _ in 0..further {
            let mut writes = 0;
            self.recover(&row, &mut |_, _, _| {
                writes += 1;
                true
            })?;
            if writes == 0 {
                break;
            }
            let wanted = random.below(writes);
            let (mut nth, mut next) = (0, None);
            self.recover(&row, &mut |bench, operation, seen| {
                if nth == wanted {
                    let modes = modes::of(operation, bench, Detail::Every);
                    let mode = modes[random.below(modes.len())];
                    let at = CutAt {
                        kind: CutKind::FlashOp,
                        number: nth as u32 + 1,
                    };
                    let seen = Arc::new(seen.to_vec());
                    next = state_after(bench, mode, (&self.flow.name, row.state))
                        .map(|state| (Cut { at, mode }, state, bench.now(), seen));
                }
                nth += 1;
                nth <= wanted
            })?;
            let Some((cut, state, when, seen)) = next else {
                break;
            };
            let before = std::mem::replace(&mut row.when, when);
            row.behind.push(Behind { when: before, seen });
            row.cuts.push(cut);
            row.state = state;
        }
        Ok((row.cuts.len() > 1).then_some(row))
    }
}

/// Numbers from a seed: SplitMix64.
struct Random(u64);

impl Random {
    fn new(seed: u64, stream: u64) -> Random {
        Random(seed ^ stream.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }
}
