//! Ports that lead to the virtual bench: one clock, no threads, and the ability to branch.
//!
//! The bench is shared with the probe that was opened on it, and with nobody else: a debug access
//! and a wait never overlap, because one thread does both.

use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard};

use lockrig_sim::bench::{self, BenchSpec, VirtualBench};
use lockrig_sim::board::Line;
use lockrig_sim::chip::nvmc::{self, FlashChange, FlashOperation};
use lockrig_sim::time::Ticks;

use super::{
    Branch, Change, CutPoint, Dependence, Interrupt, Level, LineId, Observation, PortId,
    PortProblem, PortTrouble, Ports, ProbePort, Seen, Torn, Waited, sim_probe,
};
use crate::event::Nanos;

/// The virtual benches that exist.
pub const NAMES: [&str; 2] = [BenchSpec::SAFE.board.name, BenchSpec::SMART_LOCK.board.name];

/// A long wait looks at the interrupt this often, in bench time: some milliseconds of wall time.
const LOOK: Ticks = Ticks::from_millis(1_000);

/// Whether there is a virtual bench of this name.
pub fn exists(name: &str) -> bool {
    BenchSpec::named(name).is_some()
}

/// The ports of one virtual bench.
pub struct SimPorts {
    bench: Arc<Mutex<VirtualBench>>,
    lines: Vec<Line>,
    interrupt: Interrupt,
    interrupts_seen: u64,
}

impl SimPorts {
    /// A new bench of this name; none, if there is no such bench. All its noise follows from `seed`.
    pub fn new(name: &str, seed: u64, interrupt: Interrupt) -> Option<SimPorts> {
        let spec = BenchSpec::named(name)?;
        Some(SimPorts::around(VirtualBench::new(&spec, seed), interrupt))
    }

    /// Ports that lead to this bench.
    fn around(bench: VirtualBench, interrupt: Interrupt) -> SimPorts {
        SimPorts {
            bench: Arc::new(Mutex::new(bench)),
            lines: Vec::new(),
            interrupts_seen: interrupt.times(),
            interrupt,
        }
    }

    fn lock(&self) -> MutexGuard<'_, VirtualBench> {
        // A bench on which somebody panicked stands between two events, which is as good as any moment.
        self.bench
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn sight(&self, seen: bench::Observation) -> Option<Observation> {
        let what = match seen.what {
            bench::Seen::Bytes { port, bytes } => Seen::Bytes {
                port: PortId(port as u16),
                bytes,
            },
            bench::Seen::Edge { line, level, hertz } => {
                // Edges of lines that nobody opened are nobody's business.
                let id = self.lines.iter().position(|opened| *opened == line)?;
                let level = if level { Level::High } else { Level::Low };
                Seen::Edge {
                    line: LineId(id as u16),
                    level,
                    hertz,
                }
            }
            bench::Seen::FlashOperation(operation) => Seen::CutPoint(cut_point(operation)),
        };
        Some(Observation {
            at: nanos(seen.at),
            what,
        })
    }
}

impl Ports for SimPorts {
    fn now(&self) -> Nanos {
        nanos(self.lock().now())
    }

    fn bytes(&mut self, address: &str, baud: u32) -> Result<PortId, PortTrouble> {
        let absent = |saw| PortTrouble {
            address: address.to_owned(),
            problem: PortProblem::Absent,
            saw,
        };
        let name = address.strip_prefix("sim:").unwrap_or(address);
        let port = bench::Port::from_str(name).map_err(|unknown| absent(unknown.to_string()))?;
        // Zero is a bench file that leaves the rate out.
        if baud != 0 && baud != port.baud() {
            return Err(absent(format!(
                "this instrument talks at {} baud, not at {baud}",
                port.baud()
            )));
        }
        Ok(PortId(port as u16))
    }

    fn line(&mut self, address: &str, pin: &str) -> Result<LineId, PortTrouble> {
        let absent = |saw| PortTrouble {
            address: format!("{address} pin '{pin}'"),
            problem: PortProblem::Absent,
            saw,
        };
        let line = Line::from_str(pin).map_err(|unknown| absent(unknown.to_string()))?;
        if !self.lock().lines().any(|there| there == line) {
            return Err(absent("this virtual board has no such line".to_owned()));
        }
        let at = self
            .lines
            .iter()
            .position(|opened| *opened == line)
            .unwrap_or_else(|| {
                self.lines.push(line);
                self.lines.len() - 1
            });
        Ok(LineId(at as u16))
    }

    fn probe(&mut self, _address: &str) -> Result<ProbePort, PortTrouble> {
        Ok(sim_probe::probe(Arc::clone(&self.bench)))
    }

    fn write(&mut self, port: PortId, bytes: &[u8]) -> Result<(), PortTrouble> {
        self.lock()
            .write(bench::Port::ALL[usize::from(port.0)], bytes);
        Ok(())
    }

    fn level(&mut self, line: LineId) -> Result<Level, PortTrouble> {
        let line = self.lines[usize::from(line.0)];
        Ok(if self.lock().level(line) {
            Level::High
        } else {
            Level::Low
        })
    }

    fn wait(&mut self, deadline: Nanos) -> Waited<Observation> {
        // The first tick at which the deadline has passed, so that time-outs that end there have ended.
        let deadline = ticks_up(deadline);
        loop {
            let raised = self.interrupt.times();
            if raised != self.interrupts_seen {
                self.interrupts_seen = raised;
                return Waited::Interrupted;
            }
            let mut bench = self.lock();
            let until = deadline.min(bench.now() + LOOK);
            let seen = bench.run_until(until);
            drop(bench);
            match seen {
                Some(seen) => {
                    if let Some(seen) = self.sight(seen) {
                        return Waited::Saw(seen);
                    }
                }
                None if until >= deadline => return Waited::Deadline,
                None => {}
            }
        }
    }

    fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    fn branch(&mut self) -> Option<&mut dyn Branch> {
        Some(self)
    }
}

impl Branch for SimPorts {
    fn fork(&mut self) -> Box<dyn Ports> {
        let mut fork = SimPorts::around(self.lock().clone(), self.interrupt.clone());
        fork.lines.clone_from(&self.lines);
        fork.interrupts_seen = self.interrupts_seen;
        Box::new(fork)
    }

    fn cut_points(&self, until: Nanos) -> Vec<CutPoint> {
        self.lock()
            .flash_operations(ticks_up(until))
            .into_iter()
            .map(cut_point)
            .collect()
    }

    fn watch_cut_points(&mut self, watch: bool) {
        self.lock().watch_flash(watch);
    }

    fn cut(&mut self, torn: Torn) {
        self.lock().cut(match torn {
            Torn::DroppedBefore => nvmc::Torn::DroppedBefore,
            Torn::DroppedAfter => nvmc::Torn::DroppedAfter,
            Torn::Prefix { bits } => nvmc::Torn::Prefix { bits },
            Torn::Bytes { count } => nvmc::Torn::Bytes { count },
            Torn::Without { bit } => nvmc::Torn::Without { bit },
            Torn::Stray { bit } => nvmc::Torn::Stray { bit },
            Torn::Share { of_256, seed } => nvmc::Torn::Share { of_256, seed },
            Torn::BitSubset { seed } => nvmc::Torn::BitSubset { seed },
            Torn::PartialErase { seed } => nvmc::Torn::PartialErase { seed },
            Torn::Metastable { seed } => nvmc::Torn::Metastable { seed },
        });
    }

    fn restore(&mut self) {
        self.lock().restore();
    }

    fn flash(&self, address: u32, words: usize) -> Vec<u32> {
        let bench = self.lock();
        let memory = bench.chip().memory();
        (0..words as u32)
            .map(|word| memory.flash_word(address + 4 * word))
            .collect()
    }

    fn lasting_state(&self) -> u64 {
        self.lock().lasting_state()
    }

    fn lasting_state_without(&self, pages: &[u32]) -> u64 {
        self.lock().lasting_state_without(pages)
    }

    fn flash_after_power_on(&self, address: u32, words: usize) -> Vec<u32> {
        let bench = self.lock();
        (0..words as u32)
            .map(|word| bench.chip().word_after_power_on(address + 4 * word))
            .collect()
    }

    fn note_dependence(&mut self, from: u32) {
        self.lock().note_dependence(from);
    }

    fn dependence(&self) -> Option<Dependence> {
        let bench = self.lock();
        let (words, erased) = bench.chip().dependence()?.result()?;
        Some(Dependence { words, erased })
    }
}

fn cut_point(operation: FlashOperation) -> CutPoint {
    CutPoint {
        begins: nanos(operation.started),
        ends: nanos(operation.ends),
        change: match operation.change {
            FlashChange::Write {
                address,
                before,
                wanted,
            } => Change::Word {
                address,
                before,
                after: before & wanted,
            },
            FlashChange::ErasePage { page } => Change::Page { address: page },
            FlashChange::EraseAll => Change::Chip,
            FlashChange::EraseUicr => Change::Settings,
        },
    }
}

fn nanos(ticks: Ticks) -> Nanos {
    Nanos(ticks.as_nanos())
}

fn ticks_up(at: Nanos) -> Ticks {
    let down = Ticks::from_nanos(at.0);
    if down.as_nanos() < at.0 {
        down + Ticks(1)
    } else {
        down
    }
}
