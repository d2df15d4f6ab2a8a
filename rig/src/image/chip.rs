//! What an image must know of a chip: its name and where its memories are. The facts come from
//! target descriptions, ours first (`rig/targets/`), then those that come with probe-rs.

use std::ops::Range;

use probe_rs::config::{MemoryRegion, Registry};

use super::UnknownChip;

/// Ours: the nRF51 family with its UICR, which the description in probe-rs leaves out.
const NRF51: &str = include_str!("../../targets/nrf51822.yaml");

/// The target descriptions that know `chip`. Ours win, so that an nRF51 has a UICR everywhere.
pub fn registry(chip: &str) -> Registry {
    let mut ours = Registry::new();
    ours.add_target_family_from_yaml(NRF51)
        .expect("rig/targets/nrf51822.yaml is a target description");
    if ours.get_target_by_name(chip).is_ok() {
        return ours;
    }
    // Reading all of them takes tens of milliseconds, so only for a chip that we do not describe.
    Registry::from_builtin_families()
}

/// A chip's memories, as far as an image is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChipMap {
    name: String,
    flash: Range<u32>,
    ram: Vec<Range<u32>>,
    settings: Vec<Range<u32>>,
}

impl ChipMap {
    /// The memories of the chip called `name` in the target descriptions, as in `nRF51822_xxAA`.
    pub fn of(name: &str) -> Result<ChipMap, UnknownChip> {
        let unknown = |seen: String| UnknownChip {
            chip: name.to_owned(),
            seen,
        };
        let target = registry(name)
            .get_target_by_name(name)
            .map_err(|error| unknown(error.to_string()))?;
        let (mut flash, mut ram, mut settings) = (None, Vec::new(), Vec::new());
        for region in &target.memory_map {
            match region {
                MemoryRegion::Nvm(nvm) if nvm.is_alias => {}
                MemoryRegion::Nvm(nvm) if nvm.is_boot_memory() && flash.is_none() => {
                    flash = narrow(&nvm.range);
                }
                MemoryRegion::Nvm(nvm) => settings.extend(narrow(&nvm.range)),
                MemoryRegion::Ram(region) => ram.extend(narrow(&region.range)),
                MemoryRegion::Generic(_) => {}
            }
        }
        let Some(flash) = flash else {
            return Err(unknown(
                "its description names no flash to boot from".into(),
            ));
        };
        Ok(ChipMap {
            name: target.name,
            flash,
            ram,
            settings,
        })
    }

    /// The chip's name as its description spells it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The flash that the chip boots from; the vector table stands at its start.
    pub fn flash(&self) -> Range<u32> {
        self.flash.clone()
    }

    /// The chip's RAM.
    pub fn ram(&self) -> &[Range<u32>] {
        &self.ram
    }

    /// Other non-volatile memory that an image may carry records for: the nRF51's UICR.
    pub fn settings(&self) -> &[Range<u32>] {
        &self.settings
    }
}

/// Everything here is a 32-bit chip; a region beyond that is none that an image can name.
fn narrow(range: &Range<u64>) -> Option<Range<u32>> {
    Some(u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?)
}
