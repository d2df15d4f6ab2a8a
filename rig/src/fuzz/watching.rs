//! An input under a debug probe: up to four hardware breakpoints, and which of them the board came to first.
//!
//! A board that stopped at one has lost its time, so that what a probe watched is not judged. Between two steps the
//! probe looks whether the core has stopped; after a loss of supply, which takes the session with it, it attaches
//! again.

use crate::bench::Bench;
use crate::driver::probe::{Attach, CoreState, Fault, Halt, Probe, ProbeTrouble, Register};
use crate::run::{self, Setup};
use crate::scenario::Act;

/// What a probe saw.
pub struct Watched {
    /// The breakpoint that the board came to.
    pub hit: Option<u32>,
    /// Why it could not look.
    pub trouble: Option<ProbeTrouble>,
}

/// Carries out a run, and after it these acts, up to the first of these addresses.
pub fn watched(setup: Setup<'_>, acts: &[Act], chip: &str, addresses: &[u32]) -> Watched {
    let mut watched = Watched {
        hit: None,
        trouble: None,
    };
    let mut probe = Probe::new(&setup.bench.file().name, chip);
    let _ = run::by_hand(setup, Box::new(std::io::sink()), |hand| {
        for act in acts {
            let looked = attached(&mut probe, hand.bench(), addresses);
            hand.carry_out(std::slice::from_ref(act));
            match looked {
                Ok(()) => match hit(&mut probe) {
                    Ok(hit) => watched.hit = hit.filter(|hit| addresses.contains(hit)),
                    // The supply went in this step, and the session with it; the next one shows whether it is back.
                    Err(_) => probe.detach(),
                },
                Err(trouble) if is_of_the_supply(trouble.fault) => {}
                Err(trouble) => watched.trouble = Some(trouble),
            }
            if watched.hit.is_some() || hand.is_over() {
                break;
            }
        }
        // Whoever stands at a breakpoint does not go to rest by itself.
        for address in addresses {
            let _ = probe.clear_breakpoint(*address);
        }
        let _ = probe.run();
        probe.detach();
    });
    watched
}

fn attached(probe: &mut Probe, bench: &mut Bench, addresses: &[u32]) -> Result<(), ProbeTrouble> {
    if probe.is_attached() && probe.state().is_ok() {
        return Ok(());
    }
    let once = Attach {
        attempts_max: 1,
        ..Attach::default()
    };
    bench.attach(probe, once)?;
    addresses
        .iter()
        .try_for_each(|address| probe.set_breakpoint(*address))
}

fn is_of_the_supply(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::Unpowered { .. } | Fault::Lost | Fault::NotAttached
    )
}

/// The breakpoint at which the core stands.
fn hit(probe: &mut Probe) -> Result<Option<u32>, ProbeTrouble> {
    match probe.state()? {
        CoreState::Halted(Halt::Breakpoint) => probe.register(Register::Pc).map(Some),
        _ => Ok(None),
    }
}
