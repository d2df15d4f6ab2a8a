//! Whether somebody with a probe can read what the lock stores.

use super::runner::{Runner, Step};
use crate::driver::probe::{Attach, Fault, Probe, ProbeTrouble};
use crate::image::ChipMap;
use crate::step::Access;

/// So much of flash is looked at, from its beginning, where a program has its vectors.
const BYTES: usize = 1_024;

impl Runner<'_> {
    /// Tries to read flash, and checks that the chip does as it should.
    pub(super) fn read_out(&mut self, wanted: Access) -> Step {
        match self.told() {
            Ok(told) => {
                let got = match told {
                    0 => "it gave nothing".to_owned(),
                    _ => format!("it gave {told} of the first {BYTES} bytes"),
                };
                let held = (told == 0) == (wanted == Access::Refused);
                self.check(format!("reading flash is {wanted}"), got, held)
            }
            Err(trouble) => self.broken(trouble.into()),
        }
    }

    /// How many bytes at the beginning of flash a probe was told. A chip that hides them gives zeros, or
    /// refuses.
    fn told(&mut self) -> Result<usize, ProbeTrouble> {
        let file = self.bench.file();
        let (name, chip) = (file.name.clone(), file.chip.clone().unwrap_or_default());
        let mut probe = Probe::new(&name, &chip);
        let start = ChipMap::of(&chip).map_or(0, |map| map.flash().start);
        let mut bytes = vec![0; BYTES];
        match self.bench.attach(&mut probe, Attach::default()) {
            Ok(()) => {}
            Err(trouble) if trouble.fault == Fault::Locked => return Ok(0),
            // No answer at all may be a closed port, or a broken wire.
            Err(trouble) => return Err(trouble),
        }
        match probe.read(start, &mut bytes) {
            Ok(()) => Ok(bytes.iter().filter(|byte| **byte != bytes[0]).count()),
            Err(trouble) if matches!(trouble.fault, Fault::Locked | Fault::Order) => Ok(0),
            Err(trouble) => Err(trouble),
        }
    }
}
