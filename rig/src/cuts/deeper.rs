//! Cuts within the recovery from another cut.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::modes::{self, Detail};
use super::parallel::parallel;
use super::starts::Written;
use super::{Context, Depth, Explored, Outcome, Outcomes, Progress, Work, state_after};
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

impl Work<'_> {
    pub(super) fn context_numbers(&self) -> Vec<usize> {
        let mut numbers: HashMap<&Context, usize> = HashMap::new();
        self.contexts
            .iter()
            .map(|context| {
                let next = numbers.len();
                *numbers.entry(context).or_insert(next)
            })
            .collect()
    }

    /// Every cut of every write of the recoveries, but for those that leave nothing new because the flash
    /// was the same before the same write.
    pub(super) fn further_rows(
        &self,
        rows: &[Row],
        starts: &HashMap<u64, Vec<Written>>,
        written: &mut HashSet<(Written, usize)>,
        contexts: &[usize],
        tell: Progress<'_>,
    ) -> Result<Vec<Row>, DeviceTrouble> {
        let mut to_do: Vec<(&Row, Vec<usize>)> = Vec::new();
        for row in rows {
            let Some(writes) = starts.get(&row.state) else {
                continue;
            };
            let context = contexts[row.point];
            let new: Vec<usize> = (0..writes.len())
                .filter(|&nth| written.insert((writes[nth], context)))
                .collect();
            if !new.is_empty() {
                to_do.push((row, new));
            }
        }
        let further = parallel(
            &to_do,
            self.explorer.options.jobs,
            &self.explorer.stop,
            |done| tell("cutting recoveries", done, to_do.len() as u64),
            |(row, writes)| {
                let mut further = Vec::new();
                let mut nth = 0;
                let last = writes.iter().max().copied().unwrap_or(0);
                self.recover(row, &mut |bench, operation, seen| {
                    if writes.contains(&nth) {
                        let at = CutAt {
                            kind: CutKind::FlashOp,
                            number: nth as u32 + 1,
                        };
                        let mut behind = row.behind.clone();
                        behind.push(Behind {
                            when: row.when,
                            seen: Arc::new(seen.to_vec()),
                        });
                        for mode in modes::of(operation, bench, Detail::Coarse) {
                            if let Some(state) =
                                state_after(bench, mode, (&self.flow.name, row.state))
                            {
                                let mut cuts = row.cuts.clone();
                                cuts.push(Cut { at, mode });
                                further.push(Row {
                                    point: row.point,
                                    cuts,
                                    state,
                                    when: bench.now(),
                                    behind: behind.clone(),
                                });
                            }
                        }
                    }
                    nth += 1;
                    nth <= last
                })?;
                Ok(further)
            },
        );
        let mut all = Vec::new();
        for further in further.into_iter().flatten() {
            all.extend(further?);
        }
        Ok(all)
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
        self.merge(lanes, &mut Vec::new());
        self.ask(&walked, tell)?;
        let judged = self.judge(&walked);
        let depth = walked.iter().map(|row| row.cuts.len()).max().unwrap_or(0) as u32;
        let mut summary = Depth {
            depth,
            exhaustive: false,
            exist: walked.len() as u64,
            ..Depth::default()
        };
        let mut states = HashSet::new();
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
