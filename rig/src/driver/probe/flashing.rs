//! Writing an image onto a chip, and what is to be said of it: how, how far, and the receipt.

use std::ops::Range;

use probe_rs::flashing::{
    DownloadOptions, FlashAlgorithm, FlashError, FlashProgress, ProgressEvent, ProgressOperation,
    erase as erase_range, erase_all,
};
use probe_rs::{MemoryInterface, Permissions, Target};
use serde::{Deserialize, Serialize};

use super::trouble::{causes, chain, fault_of};
use super::{Attach, Fault, Probe, ProbeTrouble, clear_rtt};
use crate::image::{Image, Segment};
use crate::port::PortTrouble;

/// The nRF51's readback protection (UICR.RBPCONF), and its bits for all of flash: ones where there is none.
const NRF51_RBPCONF: u32 = 0x1000_1004;
const NRF51_PALL: u32 = 0xff00;

/// How to flash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flashing {
    /// What is erased first.
    pub erase: Erase,
    /// Whether everything is read back and compared.
    pub verify: bool,
    /// Whether flash is read first, and written only where it must be: an image that is there stays, and of
    /// [`Erase::Chip`] only what is not erased is. It spares the flash, and mostly time.
    pub spare: bool,
}

impl Default for Flashing {
    fn default() -> Flashing {
        Flashing {
            erase: Erase::Chip,
            verify: true,
            spare: false,
        }
    }
}

/// What is erased before an image is programmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Erase {
    /// Everything, settings memory and stored codes too: the board starts as new.
    Chip,
    /// Only the pages that the image has bytes for; what firmware stored elsewhere stays.
    Pages,
}

/// What was flashed, where, and whether it was seen to be there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// The image's name.
    pub image: String,
    /// The hash of what was flashed, personality included: [`Image::sha256`].
    pub image_sha256: String,
    /// The hash of the file it came from.
    pub file_sha256: String,
    /// The chip it was flashed to, as its target description is called.
    pub chip: String,
    /// The probe, as it calls itself.
    pub probe: String,
    /// Bytes of the image in flash.
    pub flash_bytes: u64,
    /// Bytes of the image in settings memory, the nRF51's UICR.
    pub settings_bytes: u64,
    /// What was erased before.
    pub erase: Erase,
    /// Pages of flash that were programmed; none where the image was there already.
    pub pages: u32,
    /// Every byte was read back and compared.
    pub verified: bool,
}

/// How far flashing has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes done of this stage.
    pub done: u64,
    /// Bytes to do in this stage; unknown when the whole chip is erased at once.
    pub total: Option<u64>,
}

/// The stages of flashing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Flash is erased.
    Erase,
    /// Bytes are written.
    Program,
    /// Bytes are read back and compared.
    Verify,
}

impl Probe {
    /// Whether the chip keeps its flash from probes. Chips that lock out the probe itself cannot be attached
    /// to, which says [`Fault::Locked`]; the nRF51 lets one in, which then reads zeros.
    pub fn is_locked(&mut self) -> Result<bool, ProbeTrouble> {
        if !self.chip.starts_with("nRF51") {
            return Ok(false);
        }
        Ok(self.read_word(NRF51_RBPCONF)? & NRF51_PALL != NRF51_PALL)
    }

    /// Attaches, and erases the whole chip if it is locked, which unlocks it; whether it was. The session is
    /// over then, and the supply should be cut before the next one: what the old firmware started, such as a
    /// watchdog, outlives its flash.
    pub fn unlock(
        &mut self,
        open: &mut dyn FnMut() -> Result<probe_rs::probe::Probe, PortTrouble>,
    ) -> Result<bool, ProbeTrouble> {
        let doing = "erasing a locked chip";
        self.attach_with(
            open,
            Attach::default(),
            &Permissions::new().allow_erase_all(),
        )?;
        let was_locked = self.is_locked()?;
        if was_locked {
            let session = self.session(doing)?;
            let erased = erase_all(session, &mut FlashProgress::empty(), false);
            erased.map_err(|error| self.explain_flash(doing, &error))?;
            self.reset_and_halt()?;
        }
        self.detach();
        Ok(was_locked)
    }

    /// Erases, programs, and reads back; `watch` is told how far it is.
    ///
    /// Afterwards the chip has been reset and is halted before its first instruction. After an error
    /// its flash holds anything, and it must not be run; a locked chip is left as it is.
    pub fn flash(
        &mut self,
        image: &Image,
        how: Flashing,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<Receipt, ProbeTrouble> {
        let doing = format!("flashing \"{}\"", image.name());
        if image.chip() != self.chip {
            let saw = format!("the image was checked for {}", image.chip());
            return Err(self.trouble(&doing, Fault::Order, saw));
        }
        self.rtt = None;
        if self.is_locked()? {
            let saw = "the chip is protected from being read".into();
            return Err(self.trouble(&doing, Fault::Locked, saw));
        }
        let is_there = how.spare && self.tidy(&doing, image, how.erase)?;
        let pages = match is_there {
            true => 0,
            false => self.erase_and_program(&doing, image, how, watch)?,
        };
        self.reset_and_halt()?;
        self.with_core(&doing, clear_rtt)?;
        let bytes = |segments: &[Segment]| segments.iter().map(|s| s.bytes.len() as u64).sum();
        Ok(Receipt {
            image: image.name().to_owned(),
            image_sha256: image.sha256().to_string(),
            file_sha256: image.file_sha256().to_string(),
            chip: self.chip.clone(),
            probe: self.probe.clone(),
            flash_bytes: bytes(image.segments()),
            settings_bytes: bytes(image.settings()),
            erase: how.erase,
            pages,
            verified: how.verify || is_there,
        })
    }

    /// How many pages were programmed.
    fn erase_and_program(
        &mut self,
        doing: &str,
        image: &Image,
        how: Flashing,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<u32, ProbeTrouble> {
        let session = self.session(doing)?;
        let mut loader = session.target().flash_loader();
        for segment in image.segments().iter().chain(image.settings()) {
            if let Err(error) = loader.add_data(u64::from(segment.address), &segment.bytes) {
                return Err(self.explain_flash(doing, &error));
            }
        }
        let mut tally = Tally::new(watch);
        // probe-rs' own chip erase gives way to erasing pages where one of the chip's memories has
        // to be erased by pages, as the UICR has, and would leave the other pages as they are.
        let erased = match how.erase {
            Erase::Chip => {
                let mut progress = FlashProgress::new(|event| tally.count(&event));
                erase_all(session, &mut progress, false)
            }
            Erase::Pages => Ok(()),
        };
        let done = erased.and_then(|()| {
            let mut options = DownloadOptions::new();
            options.skip_erase = how.erase == Erase::Chip;
            options.verify = how.verify;
            options.progress = FlashProgress::new(|event| tally.count(&event));
            loader.commit(session, options)
        });
        let pages = tally.pages;
        match done {
            Ok(()) => Ok(pages),
            Err(FlashError::Verify) => Err(self.mismatch(doing, image)),
            Err(error) => Err(self.explain_flash(doing, &error)),
        }
    }

    /// If the chip holds the image: erases what else is to be erased and is not. False, if the image has to be
    /// written; nothing was done then.
    fn tidy(&mut self, doing: &str, image: &Image, erase: Erase) -> Result<bool, ProbeTrouble> {
        let mut rest = Vec::new();
        for Sector { range, erased } in sectors(self.session(doing)?.target()) {
            let mut wanted = vec![erased; (range.end - range.start) as usize];
            let holds_image = put(image, range.start, &mut wanted);
            if !holds_image && erase == Erase::Pages {
                continue;
            }
            let mut found = vec![0; wanted.len()];
            self.with_core(doing, |core| core.read(range.start, &mut found))?;
            match (found == wanted, holds_image) {
                (true, _) => {}
                (false, true) => return Ok(false),
                (false, false) => rest.push(range),
            }
        }
        for Range { start, end } in rest {
            let session = self.session(doing)?;
            let erased = erase_range(session, &mut FlashProgress::empty(), start, end, false);
            erased.map_err(|error| self.explain_flash(doing, &error))?;
        }
        Ok(true)
    }

    /// Compares flash with `image`, without changing it.
    pub fn verify(&mut self, image: &Image) -> Result<(), ProbeTrouble> {
        let doing = format!("verifying \"{}\"", image.name());
        match self.first_difference(&doing, image)? {
            None => Ok(()),
            Some((address, wrote, read)) => Err(self.differs(&doing, address, wrote, read)),
        }
    }

    fn mismatch(&mut self, doing: &str, image: &Image) -> ProbeTrouble {
        match self.first_difference(doing, image) {
            Ok(Some((address, wrote, read))) => self.differs(doing, address, wrote, read),
            Ok(None) => self.trouble(
                doing,
                Fault::Flash,
                "flash differed when it was compared, and no longer does".into(),
            ),
            Err(trouble) => trouble,
        }
    }

    fn differs(&self, doing: &str, address: u32, wrote: u8, read: u8) -> ProbeTrouble {
        let saw = format!("{address:#010x} holds {read:#04x}, expected {wrote:#04x}");
        self.trouble(
            doing,
            Fault::Mismatch {
                address,
                wrote,
                read,
            },
            saw,
        )
    }

    fn first_difference(
        &mut self,
        doing: &str,
        image: &Image,
    ) -> Result<Option<(u32, u8, u8)>, ProbeTrouble> {
        for segment in image.segments().iter().chain(image.settings()) {
            let mut found = vec![0; segment.bytes.len()];
            self.with_core(doing, |core| {
                core.read(u64::from(segment.address), &mut found)
            })?;
            let pairs = segment.bytes.iter().zip(&found);
            if let Some((at, (wrote, read))) = pairs.enumerate().find(|(_, (a, b))| a != b) {
                return Ok(Some((segment.address + at as u32, *wrote, *read)));
            }
        }
        Ok(None)
    }

    fn explain_flash(&mut self, doing: &str, error: &FlashError) -> ProbeTrouble {
        let fault = match causes::<probe_rs::Error>(error).next() {
            Some(inner) if fault_of(inner) == Fault::Lost => Fault::Lost,
            _ if matches!(error, FlashError::NoSuitableNvm { .. }) => Fault::Order,
            _ => Fault::Flash,
        };
        if fault == Fault::Lost {
            self.detach();
        }
        self.trouble(doing, fault, chain(error))
    }
}

/// What is erased at once.
struct Sector {
    range: Range<u64>,
    /// What a byte of it then is.
    erased: u8,
}

/// The sectors of a chip's memories that can be erased.
fn sectors(target: &Target) -> Vec<Sector> {
    let mut sectors = Vec::new();
    let regions = target.memory_map.iter();
    let regions = regions.filter_map(|region| region.as_nvm_region());
    for region in regions.filter(|region| !region.is_alias) {
        let algorithms = target.flash_algorithms.iter().filter(|algorithm| {
            let range = &algorithm.flash_properties.address_range;
            range.contains(&region.range.start)
        });
        let algorithm = algorithms
            .max_by_key(|algorithm| algorithm.default)
            .zip(region.cores.first())
            .and_then(|(raw, core)| {
                FlashAlgorithm::assemble_from_raw_with_core(raw, core, target).ok()
            });
        let Some(algorithm) = algorithm else { continue };
        let erased = algorithm.flash_properties.erased_byte_value;
        let ranges = algorithm
            .iter_sectors()
            .map(|sector| sector.address_range());
        let ranges = ranges.filter(|range| region.range.contains(&range.start));
        sectors.extend(ranges.map(|range| Sector { range, erased }));
    }
    sectors
}

/// Puts what an image has for a sector into its bytes; whether that is anything.
fn put(image: &Image, sector: u64, bytes: &mut [u8]) -> bool {
    let end = sector + bytes.len() as u64;
    let mut any = false;
    for segment in image.segments().iter().chain(image.settings()) {
        let start = u64::from(segment.address);
        let from = start.max(sector);
        let to = (start + segment.bytes.len() as u64).min(end);
        if from < to {
            let piece = &segment.bytes[(from - start) as usize..(to - start) as usize];
            bytes[(from - sector) as usize..(to - sector) as usize].copy_from_slice(piece);
            any = true;
        }
    }
    any
}

/// Turns probe-rs' events into how far flashing is.
struct Tally<'a> {
    watch: &'a mut dyn FnMut(Progress),
    done: [u64; 3],
    total: [Option<u64>; 3],
    pages: u32,
}

impl<'a> Tally<'a> {
    fn new(watch: &'a mut dyn FnMut(Progress)) -> Tally<'a> {
        Tally {
            watch,
            done: [0; 3],
            total: [None; 3],
            pages: 0,
        }
    }

    fn count(&mut self, event: &ProgressEvent) {
        let (operation, size) = match event {
            ProgressEvent::AddProgressBar { operation, total } => {
                if let (Some((_, index)), Some(more)) = (stage(operation), total) {
                    let so_far = self.total[index].unwrap_or(0);
                    self.total[index] = Some(so_far + more);
                }
                return;
            }
            ProgressEvent::Started(operation) => (operation, 0),
            ProgressEvent::Progress {
                operation, size, ..
            } => (operation, *size),
            _ => return,
        };
        let Some((stage, index)) = stage(operation) else {
            return;
        };
        if stage == Stage::Program && size > 0 {
            self.pages += 1;
        }
        self.done[index] += size;
        (self.watch)(Progress {
            stage,
            done: self.done[index],
            total: self.total[index],
        });
    }
}

fn stage(operation: &ProgressOperation) -> Option<(Stage, usize)> {
    match operation {
        ProgressOperation::Erase => Some((Stage::Erase, 0)),
        ProgressOperation::Program => Some((Stage::Program, 1)),
        ProgressOperation::Verify => Some((Stage::Verify, 2)),
        ProgressOperation::Fill => None,
    }
}
