//! Losing the supply of a real board at a write to flash.
//!
//! A real board does not tell when it writes. An emulated one with the same image does, and also which
//! instruction begins each write ([`Write`]): one or two store instructions in all, mostly. So the steps are
//! rehearsed there first. On the real board a hardware breakpoint stands at each of these instructions, and
//! the times that the core comes to one are counted; at the right one it stands still while the supply goes.
//!
//! What physics allows: nothing of the write (the store was not executed), all of it (it was), and a part of
//! an erase, which takes milliseconds. A word is written in 46 µs, which no relay can divide.

use crate::bench::Bench;
use crate::driver::probe::{Attach, BREAKPOINTS, CoreState, Halt, Probe, ProbeTrouble};
use crate::event::{Nanos, What};
use crate::port::{Change, CutPoint};
use crate::scenario::{Act, Doing, Script};
use crate::step::{Cut, CutAt, CutKind, CutMode};

use super::cut::Point;
use super::runner::{Runner, Step, Stop};

/// How often it is asked whether the core stands at a breakpoint. Nothing tells it by itself.
const LOOK: Nanos = Nanos::from_millis(2);

/// A write to flash, as it was rehearsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write {
    /// Address of the instruction that begins it.
    pub store: u32,
    /// Whether it erases.
    pub erases: bool,
    /// How long it takes.
    pub lasts: Nanos,
}

impl Write {
    /// The writes among the points of a rehearsal, in their order.
    pub fn of(points: &[Point]) -> Vec<Write> {
        let writes = points.iter().filter_map(|point| {
            let CutPoint {
                begins,
                ends,
                change,
            } = point.operation?;
            Some(Write {
                store: point.begun_by?,
                erases: !matches!(change, Change::Word { .. }),
                lasts: ends.since(begins),
            })
        });
        writes.collect()
    }
}

/// Whether a script loses its supply at a point, so that it has to be rehearsed for a real board.
pub fn is_rehearsed(script: &Script) -> bool {
    cuts(&script.steps)
        .iter()
        .any(|cut| cut.at.kind == CutKind::FlashOp)
}

/// Why the points at which a script loses its supply cannot be had on a real bench; none, if they can.
pub fn virtual_only(script: &Script) -> Option<String> {
    rows(&script.steps).into_iter().find_map(|row| match row {
        [] => None,
        [one] => {
            why_virtual(*one).map(|why| format!("'{} {}' is virtual only: {why}", one.at, one.mode))
        }
        _ => Some(
            "a row of cuts is virtual only: a probe attaches no sooner than the recovery begins"
                .to_owned(),
        ),
    })
}

fn why_virtual(Cut { at, mode }: Cut) -> Option<&'static str> {
    match (at.kind, mode) {
        (CutKind::Instruction, _) => Some("no probe counts instructions"),
        (
            CutKind::FlashOp,
            CutMode::DroppedBefore | CutMode::DroppedAfter | CutMode::Percent(_),
        ) => None,
        (CutKind::FlashOp, CutMode::Sag(_)) => Some("the core stands still while the supply sags"),
        (_, CutMode::DroppedBefore | CutMode::Sag(_)) => None,
        _ => Some("a write is over sooner than a supply is off"),
    }
}

fn rows(acts: &[Act]) -> Vec<&[Cut]> {
    let mut rows = Vec::new();
    for act in acts {
        if let Doing::InterruptAt { cuts, .. } = &act.doing {
            rows.push(cuts.as_slice());
        }
        rows.extend(self::rows(act.inner()));
    }
    rows
}

fn cuts(acts: &[Act]) -> Vec<Cut> {
    rows(acts).concat()
}

/// Breakpoints at the stores, and how often the core came to one.
pub struct AtStores {
    probe: Probe,
    cut: Cut,
    write: Write,
    hits: u32,
    /// When to look next.
    pub look_at: Nanos,
}

impl<P> Runner<'_, P> {
    /// Puts breakpoints at the stores, where a cut is at a write.
    pub(super) fn break_at_stores(&mut self, cut: Cut) -> Step {
        if cut.at.kind != CutKind::FlashOp {
            return Ok(());
        }
        let nth = cut.at.number as usize - 1;
        let Some(&write) = self.rehearsal.get(nth) else {
            let got = format!(
                "carried out on the virtual bench, the steps write to flash {} times",
                self.rehearsal.len()
            );
            return self.no_such_point(format!("there is no {}", cut.at), got);
        };
        if let CutMode::Percent(_) = cut.mode
            && !write.erases
        {
            let got = format!(
                "virtual only: it writes a word, which is over after {}",
                write.lasts
            );
            return self.no_such_point(format!("cutting {} {}", cut.at, cut.mode), got);
        }
        let mut stores: Vec<u32> = self.rehearsal.iter().map(|write| write.store).collect();
        stores.sort_unstable();
        stores.dedup();
        let Some(chip) = self.bench.file().chip.clone() else {
            return self.broken(super::cut::not_virtual());
        };
        if stores.len() > BREAKPOINTS {
            let why = format!(
                "{} instructions of this image write to flash, and the chip has {BREAKPOINTS} breakpoints",
                stores.len()
            );
            return self.no_such_point(format!("cutting {}", cut.at), why);
        }
        let mut probe = Probe::new(&self.bench.file().name, &chip);
        match set(&mut probe, self.bench, &stores) {
            Ok(()) => {
                self.at_stores = Some(AtStores {
                    probe,
                    cut,
                    write,
                    hits: 0,
                    look_at: self.bench.now(),
                });
                Ok(())
            }
            Err(trouble) => self.broken(trouble.into()),
        }
    }

    /// Looks whether the core stands at a store, and loses the supply if it is the one.
    pub(super) fn look_at_core(&mut self) -> Step {
        let Some(at_stores) = &mut self.at_stores else {
            return Ok(());
        };
        let probe = &mut at_stores.probe;
        let looked = probe.state().and_then(|state| match state {
            CoreState::Halted(Halt::Breakpoint) => {
                at_stores.hits += 1;
                let is_there = at_stores.hits == at_stores.cut.at.number;
                if !is_there {
                    probe.run()?;
                }
                Ok(is_there)
            }
            _ => Ok(false),
        });
        let now = self.bench.now();
        at_stores.look_at = now + LOOK;
        match looked {
            Ok(false) => Ok(()),
            Ok(true) => self.lose_at_store(),
            Err(trouble) => self.broken(trouble.into()),
        }
    }

    /// The core stands at the store.
    fn lose_at_store(&mut self) -> Step {
        let Some(AtStores {
            mut probe,
            cut: Cut { at, mode },
            write,
            ..
        }) = self.at_stores.take()
        else {
            return Ok(());
        };
        let part = match mode {
            CutMode::Percent(percent) => Nanos(write.lasts.0 * u64::from(percent) / 100),
            _ => Nanos::ZERO,
        };
        let how = match mode {
            CutMode::DroppedAfter => probe.step().map(|_| "the write was over".to_owned()),
            CutMode::Percent(_) => probe.run().map(|()| {
                format!(
                    "the supply was told {part} after the erase began, of {}",
                    write.lasts
                )
            }),
            _ => Ok("the core stood before the store".to_owned()),
        };
        let how = match how {
            Ok(how) => how,
            Err(trouble) => return self.broken(trouble.into()),
        };
        self.wait(part)?;
        self.interrupted(at, format!("{mode}, a true cut: {how}"));
        self.set_supply(None)?;
        self.wait_for_no_power()?;
        // Not before: a session that ends lets the core go on. From here on the probe's lines feed nothing.
        drop(probe);
        self.release_all()?;
        Err(Stop::Interrupted)
    }

    /// Says in the trace that the supply is lost here.
    pub(super) fn interrupted(&mut self, at: CutAt, how: String) {
        self.record(What::Interrupted {
            phase: at.to_string(),
            after: Nanos::ZERO,
            how,
        });
    }
}

fn set(probe: &mut Probe, bench: &mut Bench, stores: &[u32]) -> Result<(), ProbeTrouble> {
    bench.attach(probe, Attach::default())?;
    stores
        .iter()
        .try_for_each(|store| probe.set_breakpoint(*store))
}
