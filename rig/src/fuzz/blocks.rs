//! The basic blocks of an image, as far as direct branches lead to them: where hardware breakpoints are put.
//!
//! Thumb code of ARMv6-M (Architecture Reference Manual, A5.2 and A6.7): followed from the vector table on, so
//! that constants between functions are not taken for code. Jumps through registers are not followed.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Image;
use crate::port::sim::Branches;

/// The chip's exceptions and interrupts, behind the first word of the vector table.
const VECTORS: u32 = 16 + 32;

/// The blocks of an image.
pub struct Blocks {
    /// Each block's first address, and the branches that lead to it directly; 32-bit ones by both halves.
    into: BTreeMap<u32, BTreeSet<u32>>,
}

impl Blocks {
    /// Of an image with its vector table at 0.
    pub fn of(image: &Image) -> Blocks {
        let mut blocks = Blocks {
            into: BTreeMap::new(),
        };
        let code = Code(image);
        let vectors = (1..VECTORS).filter_map(|nth| code.word(4 * nth));
        let mut open: Vec<u32> = vectors
            .filter(|vector| vector & 1 == 1)
            .map(|vector| vector & !1)
            .collect();
        let mut followed = BTreeSet::new();
        while let Some(from) = open.pop() {
            let mut at = from;
            while followed.insert(at) {
                let Some(step) = code.step(at) else { break };
                for to in step.leads.iter().flatten() {
                    let branches = blocks.into.entry(*to).or_default();
                    branches.extend([at, at + step.length - 2]);
                    open.push(*to);
                }
                if step.ends {
                    break;
                }
                at += step.length;
            }
        }
        blocks
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.into.len()
    }

    /// How many a branch has led to.
    pub fn reached(&self, branches: &Branches) -> usize {
        let reached = |(to, from): &(&u32, &BTreeSet<u32>)| is_reached(**to, from, branches);
        self.into.iter().filter(reached).count()
    }

    /// Blocks that no branch has led to yet, those first whose branch lies in a block that was reached.
    pub fn unreached(&self, branches: &Branches) -> Vec<u32> {
        let mut far = Vec::new();
        let mut near = Vec::new();
        for (to, from) in &self.into {
            if is_reached(*to, from, branches) {
                continue;
            }
            let is_near = from.iter().any(|at| {
                let block = self.into.range(..=at).next_back();
                block.is_some_and(|(start, from)| is_reached(*start, from, branches))
            });
            if is_near { &mut near } else { &mut far }.push(*to);
        }
        near.extend(far);
        near
    }
}

fn is_reached(to: u32, from: &BTreeSet<u32>, branches: &Branches) -> bool {
    from.iter().any(|from| branches.took(*from, to))
}

/// An instruction, as far as it matters where it leads.
struct Step {
    length: u32,
    leads: [Option<u32>; 2],
    /// The next one is not executed after it.
    ends: bool,
}

struct Code<'i>(&'i Image);

impl Code<'_> {
    fn word(&self, at: u32) -> Option<u32> {
        Some(u32::from(self.half(at)?) | u32::from(self.half(at + 2)?) << 16)
    }

    fn half(&self, at: u32) -> Option<u16> {
        let byte = |at: u32| {
            let mut segments = self.0.segments().iter();
            segments.find_map(|segment| {
                let place = at.checked_sub(segment.address)?;
                segment.bytes.get(place as usize).copied()
            })
        };
        Some(u16::from_le_bytes([byte(at)?, byte(at + 1)?]))
    }

    fn step(&self, at: u32) -> Option<Step> {
        let half = self.half(at)?;
        let step = |length, leads, ends| {
            Some(Step {
                length,
                leads,
                ends,
            })
        };
        let target = |offset: i32| Some(at.wrapping_add(4).wrapping_add_signed(offset));
        match half {
            // BKPT, UDF.
            0xBE00..=0xBEFF | 0xDE00..=0xDEFF => step(2, [None, None], true),
            // B<c>.
            0xD000..=0xDDFF => {
                let offset = i32::from(half as u8 as i8) * 2;
                step(2, [target(offset), Some(at + 2)], false)
            }
            // B.
            0xE000..=0xE7FF => {
                let offset = (i32::from(half & 0x7FF) << 21) >> 20;
                step(2, [target(offset), None], true)
            }
            // BX, and POP that returns.
            0x4700..=0x477F | 0xBD00..=0xBDFF => step(2, [None, None], true),
            // MOV and ADD to the program counter.
            _ if half & 0xFE87 == 0x4487 && half & 0x0100 == 0 || half & 0xFF87 == 0x4687 => {
                step(2, [None, None], true)
            }
            0xE800.. => {
                let second = self.half(at + 2)?;
                let is_bl = half & 0xF800 == 0xF000 && second & 0xD000 == 0xD000;
                let leads = is_bl.then(|| target(offset_of_bl(half, second))).flatten();
                step(4, [leads, None], false)
            }
            _ => step(2, [None, None], false),
        }
    }
}

/// BL, encoding T1.
fn offset_of_bl(first: u16, second: u16) -> i32 {
    let (first, second) = (u32::from(first), u32::from(second));
    let sign = first >> 10 & 1;
    let bit = |half: u32, place: u32| !(half >> place ^ sign) & 1;
    let offset = sign << 24
        | bit(second, 13) << 23
        | bit(second, 11) << 22
        | (first & 0x3FF) << 12
        | (second & 0x7FF) << 1;
    (offset << 7) as i32 >> 7
}
