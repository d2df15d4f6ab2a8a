//! Every way in which a write to flash can be cut.

use crate::bench::Bench;
use crate::port::{Change, CutPoint};
use crate::step::CutMode;

/// How many subsets and how many metastable seeds are tried of each write.
const SUBSETS: u32 = 4;
const METASTABLE: u32 = 2;
/// How far an erase has come, in percent.
const ERASED: [u32; 3] = [25, 50, 75];
/// For how long a supply that bounces comes back, in milliseconds: less than a start of the chip takes,
/// into the look at the flash, into its repair.
const BOUNCES: [u32; 3] = [2, 20, 60];

/// How many of the ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// All.
    Every,
    /// All but the single bits, fewer bytes and seeds, and no supply that does anything else than go:
    /// for cuts within the recovery from another cut.
    Coarse,
}

/// The ways of cutting a write that begins now, each of which exists: one that would leave what another
/// leaves by its very nature is left out.
pub fn of(operation: CutPoint, bench: &mut Bench, detail: Detail) -> Vec<CutMode> {
    let mut modes = vec![CutMode::DroppedBefore];
    match operation.change {
        Change::Word { before, after, .. } => {
            word(before & !after, after, detail, &mut modes);
        }
        Change::Page { address } => {
            if let Some(branch) = bench.branch() {
                page(&branch.flash(address, 256), detail, &mut modes);
            }
        }
        Change::Chip | Change::Settings => {
            modes.push(CutMode::DroppedAfter);
            modes.extend(ERASED.map(CutMode::Percent));
            scattered(detail, &mut modes);
        }
    }
    modes
}

fn word(changing: u32, after: u32, detail: Detail, modes: &mut Vec<CutMode>) {
    if changing == 0 {
        return;
    }
    modes.push(CutMode::DroppedAfter);
    let bytes = changing.to_le_bytes().map(|byte| byte != 0);
    prefixes(&bytes, detail, modes);
    let bits = |bits: u32| (0..32).filter(move |bit| bits >> bit & 1 != 0);
    if detail == Detail::Every {
        // With one bit there is no other to come through alone.
        if changing.count_ones() > 1 {
            modes.extend(bits(changing).map(CutMode::BitLost));
        }
        modes.extend(bits(after).map(CutMode::BitStray));
    }
    if changing.count_ones() > 2 {
        scattered(detail, modes);
    }
}

fn page(words: &[u32], detail: Detail, modes: &mut Vec<CutMode>) {
    let zeros = |word: &u32| !word;
    let bytes: Vec<bool> = words
        .iter()
        .flat_map(|word| zeros(word).to_le_bytes())
        .map(|byte| byte != 0)
        .collect();
    if !bytes.contains(&true) {
        return;
    }
    modes.push(CutMode::DroppedAfter);
    prefixes(&bytes, detail, modes);
    if detail == Detail::Every {
        for (word, bits) in (0..).zip(words.iter().map(zeros)) {
            let lost = (0..32).filter(|bit| bits >> bit & 1 != 0);
            modes.extend(lost.map(|bit| CutMode::BitLost(32 * word + bit)));
        }
        modes.extend(BOUNCES.map(CutMode::Bounce));
        modes.push(CutMode::Sag(1));
    }
    modes.extend(ERASED.map(CutMode::Percent));
    scattered(detail, modes);
}

/// The prefixes that end at a byte that changes, the last of them left out: it is the whole.
fn prefixes(bytes: &[bool], detail: Detail, modes: &mut Vec<CutMode>) {
    let ends = (1..).zip(bytes).filter(|(_, changes)| **changes);
    let mut ends: Vec<u32> = ends.map(|(end, _)| end).collect();
    ends.pop();
    if detail == Detail::Coarse {
        // One in the kind of a record, one in its number, and so on, ever farther apart.
        let all = std::mem::take(&mut ends);
        ends = (0..)
            .map_while(|step| all.get((1 << step) - 1).copied())
            .collect();
    }
    modes.extend(ends.into_iter().map(CutMode::Prefix));
}

fn scattered(detail: Detail, modes: &mut Vec<CutMode>) {
    let fewer = |count: u32| {
        if detail == Detail::Every {
            count
        } else {
            count / 2
        }
    };
    modes.extend((1..=fewer(SUBSETS)).map(CutMode::Subset));
    modes.extend((1..=fewer(METASTABLE)).map(CutMode::Metastable));
}
