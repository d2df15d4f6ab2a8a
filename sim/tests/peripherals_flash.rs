//! Flash under the controller's rules, and under a cut: what each kind of tear may leave of a
//! write or an erase, twice in a row, and what a power-on makes of it.

use lockrig_sim::chip::memory::{Memory, UICR};
use lockrig_sim::chip::nvmc::{ERASE_TIME, FlashChange, Torn, WRITE_TIME};
use lockrig_sim::chip::peripherals::{Peripherals, ResetCause};
use lockrig_sim::time::Ticks;

const POWER: u32 = 0x4000_0000;
const NVMC: u32 = 0x4001_e000;
const PAGE: u32 = 0x3_c000;
const START: Ticks = Ticks(1_000_000);

/// A chip's flash with its controller, the way the core uses it.
#[derive(Clone)]
struct Flash {
    peripherals: Peripherals,
    memory: Memory,
    now: Ticks,
}

impl Flash {
    fn new() -> Flash {
        Flash {
            peripherals: Peripherals::new(1),
            memory: Memory::new(),
            now: START,
        }
    }

    fn register(&mut self, address: u32, value: u32) {
        self.peripherals.write(address, value, self.now);
        if self.peripherals.take_outcome().flash {
            self.peripherals.nvmc.erase(&mut self.memory, self.now);
        }
    }

    fn begin_write(&mut self, address: u32, value: u32) -> Ticks {
        self.register(NVMC + 0x504, 1);
        self.peripherals
            .nvmc
            .store(&mut self.memory, address, value, self.now)
    }

    fn begin_erase(&mut self, register: u32, value: u32) -> Ticks {
        self.register(NVMC + 0x504, 2);
        self.register(NVMC + register, value);
        self.peripherals
            .nvmc
            .running()
            .map_or(self.now, |operation| operation.ends)
    }

    fn finish(&mut self, at: Ticks) {
        self.now = at;
        self.peripherals.nvmc.finish(&mut self.memory, at);
    }

    fn write(&mut self, address: u32, value: u32) {
        let ends = self.begin_write(address, value);
        self.finish(ends);
    }

    fn erase(&mut self, page: u32) {
        let ends = self.begin_erase(0x508, page);
        self.finish(ends);
    }

    /// Loses the supply a little later and gets it back; `boot` is the noise of that power-on.
    fn cut(&mut self, torn: Torn, boot: u64) {
        self.now += Ticks(100);
        self.peripherals.nvmc.set_torn(torn);
        self.peripherals.nvmc.cut(&mut self.memory, self.now);
        self.power_on(boot);
    }

    fn power_on(&mut self, boot: u64) {
        self.peripherals.reset(ResetCause::PowerOn, self.now);
        self.peripherals.nvmc.power_on(&mut self.memory, boot);
    }

    fn word(&self, address: u32) -> u32 {
        self.memory.flash_word(address)
    }
}

#[test]
fn a_write_clears_bits_and_takes_46_microseconds() {
    let mut flash = Flash::new();
    let ends = flash.begin_write(PAGE, 0xffff_00ff);
    assert_eq!(ends - START, WRITE_TIME);
    assert_eq!(WRITE_TIME.as_nanos(), 46_312);
    assert_eq!(flash.peripherals.read(NVMC + 0x400, flash.now), 0, "busy");
    flash.finish(ends);
    assert_eq!(flash.peripherals.read(NVMC + 0x400, flash.now), 1, "ready");
    flash.write(PAGE, 0x0fff_ffff);
    assert_eq!(flash.word(PAGE), 0x0fff_00ff);
    assert_eq!(flash.peripherals.nvmc.operations(), 2);
    let last = flash
        .peripherals
        .nvmc
        .last()
        .map(|operation| operation.change);
    let wanted = FlashChange::Write {
        address: PAGE,
        before: 0xffff_00ff,
        wanted: 0x0fff_ffff,
    };
    assert_eq!(last, Some(wanted));
}

#[test]
fn an_erase_sets_one_page_and_takes_22_milliseconds() {
    let mut flash = Flash::new();
    for address in [PAGE - 4, PAGE, PAGE + 0x3fc, PAGE + 0x400, UICR + 0x80] {
        flash.write(address, 0);
    }
    let start = flash.now;
    let ends = flash.begin_erase(0x508, PAGE + 8);
    assert_eq!(ends - start, ERASE_TIME);
    assert_eq!(ERASE_TIME.as_nanos(), 22_300_000);
    flash.finish(ends);
    let words = [PAGE - 4, PAGE, PAGE + 0x3fc, PAGE + 0x400].map(|at| flash.word(at));
    assert_eq!(words, [0, u32::MAX, u32::MAX, 0]);
    let ends = flash.begin_erase(0x514, 1);
    flash.finish(ends);
    assert_eq!(
        (flash.word(UICR + 0x80), flash.word(PAGE - 4)),
        (u32::MAX, 0)
    );
    flash.write(UICR, 0);
    let ends = flash.begin_erase(0x50c, 1);
    flash.finish(ends);
    assert_eq!(
        (flash.word(UICR), flash.word(PAGE - 4)),
        (u32::MAX, u32::MAX)
    );
}

#[test]
fn an_operation_waits_for_the_one_before() {
    let mut flash = Flash::new();
    let first = flash.begin_write(PAGE, 1);
    let second = flash.begin_write(PAGE, 2);
    assert_eq!(second - first, WRITE_TIME);
    assert_eq!(flash.word(PAGE), 1);
    flash.finish(second);
    assert_eq!(flash.word(PAGE), 0);
}

#[test]
fn flash_refuses_while_the_power_fail_warning_is_raised() {
    let mut flash = Flash::new();
    // Writes are enabled before the comparator is, so that only POFCON tells.
    flash.peripherals.set_supply(2_400, flash.now);
    flash.register(NVMC + 0x504, 1);
    flash.register(POWER + 0x510, 1 | 2 << 1);
    let refused = flash
        .peripherals
        .nvmc
        .store(&mut flash.memory, PAGE, 0, flash.now);
    assert_eq!(refused, flash.now);
    assert_eq!(flash.begin_write(PAGE, 0), flash.now);
    assert_eq!(flash.begin_erase(0x508, PAGE), flash.now);
    assert_eq!(flash.peripherals.nvmc.operations(), 0);
    assert_eq!(flash.peripherals.take_notes().len(), 2);
    flash.peripherals.set_supply(2_600, flash.now);
    flash.write(PAGE, 0);
    assert_eq!(flash.word(PAGE), 0);
}

#[test]
fn a_protected_block_keeps_its_contents_until_the_next_reset() {
    let mut flash = Flash::new();
    // Block 60 of 4 KiB begins at 0x3c000.
    flash.register(POWER + 0x604, 1 << 28);
    flash.write(PAGE, 0);
    flash.write(PAGE - 4, 0);
    flash.erase(PAGE);
    assert_eq!((flash.word(PAGE), flash.word(PAGE - 4)), (u32::MAX, 0));
    flash.peripherals.reset(ResetCause::Software, flash.now);
    flash.write(PAGE, 0);
    assert_eq!(flash.word(PAGE), 0);
}

#[test]
fn a_cut_outside_an_operation_tears_nothing() {
    let mut flash = Flash::new();
    flash.write(PAGE, 0x1234);
    flash.cut(Torn::Metastable { seed: 3 }, 1);
    assert_eq!(flash.word(PAGE), 0x1234);
    assert_eq!(flash.peripherals.nvmc.unsettled_bits(), 0);
}

/// What a cut leaves of writing 0x5555_0000 over 0xffff_00ff.
fn torn_write(torn: Torn) -> Flash {
    let mut flash = Flash::new();
    flash.write(PAGE, 0xffff_00ff);
    flash.begin_write(PAGE, 0x5555_0000);
    flash.cut(torn, 99);
    flash
}

#[test]
fn a_write_is_torn_as_told() {
    assert_eq!(torn_write(Torn::DroppedBefore).word(PAGE), 0xffff_00ff);
    assert_eq!(torn_write(Torn::DroppedAfter).word(PAGE), 0x5555_0000);
    assert_eq!(torn_write(Torn::Prefix { bits: 0 }).word(PAGE), 0xffff_00ff);
    assert_eq!(torn_write(Torn::Prefix { bits: 9 }).word(PAGE), 0xfffd_0000);
    assert_eq!(
        torn_write(Torn::Prefix { bits: 99 }).word(PAGE),
        0x5555_0000
    );
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..64 {
        for torn in [Torn::BitSubset { seed }, Torn::PartialErase { seed }] {
            let word = torn_write(torn).word(PAGE);
            assert_eq!(word & !0xffff_00ff, 0, "a write sets no bit: {word:#x}");
            assert_eq!(
                !word & 0x5555_0000,
                0,
                "nor clears one it does not mean to: {word:#x}"
            );
            seen.insert(word);
        }
    }
    assert!(seen.len() > 60, "the seed chooses: {}", seen.len());
}

/// What a cut leaves of erasing a page whose words are 0, 1, 2 and so on.
fn torn_erase(torn: Torn) -> Flash {
    let mut flash = Flash::new();
    for word in 0..256 {
        flash.write(PAGE + 4 * word, word);
    }
    flash.begin_erase(0x508, PAGE);
    flash.cut(torn, 99);
    flash
}

fn zeros(flash: &Flash) -> u32 {
    flash
        .memory
        .flash_page(PAGE)
        .iter()
        .map(|word| word.count_zeros())
        .sum()
}

#[test]
fn an_erase_is_torn_as_told() {
    let all = zeros(&torn_erase(Torn::DroppedBefore));
    assert_eq!(zeros(&torn_erase(Torn::DroppedAfter)), 0);
    let prefix = torn_erase(Torn::Prefix { bits: 32 + 31 + 3 });
    assert_eq!(
        [0, 4, 8].map(|at| prefix.word(PAGE + at)),
        [u32::MAX, u32::MAX, 0b1111]
    );
    assert_eq!(zeros(&prefix), all - 66);
    for seed in 0..8 {
        let half = zeros(&torn_erase(Torn::BitSubset { seed }));
        assert!(
            (all * 45 / 100..all * 55 / 100).contains(&half),
            "{half} of {all}"
        );
        let most = zeros(&torn_erase(Torn::PartialErase { seed }));
        assert!(
            (all / 10..all * 15 / 100).contains(&most),
            "{most} of {all}"
        );
        let torn = torn_erase(Torn::BitSubset { seed });
        for word in 0..256 {
            assert_eq!(
                torn.word(PAGE + 4 * word) & word,
                word,
                "an erase clears no bit"
            );
        }
    }
}

#[test]
fn a_write_is_torn_by_bytes_and_by_single_bits() {
    // Before 0xffff_00ff, after 0x5555_0000.
    for (torn, left) in [
        (Torn::Bytes { count: 0 }, 0xffff_00ff),
        (Torn::Bytes { count: 1 }, 0xffff_0000),
        (Torn::Bytes { count: 3 }, 0xff55_0000),
        (Torn::Bytes { count: 4 }, 0x5555_0000),
        (Torn::Without { bit: 7 }, 0x5555_0080),
        (Torn::Without { bit: 31 }, 0xd555_0000),
        (Torn::Without { bit: 30 }, 0x5555_0000),
        (Torn::Stray { bit: 30 }, 0x1555_0000),
        (Torn::Stray { bit: 31 }, 0x5555_0000),
    ] {
        assert_eq!(torn_write(torn).word(PAGE), left, "{torn:?}");
    }
}

#[test]
fn an_erase_is_torn_by_bytes_single_bits_and_shares() {
    let all = zeros(&torn_erase(Torn::DroppedBefore));
    let bytes = torn_erase(Torn::Bytes { count: 4 * 5 + 1 });
    assert_eq!(bytes.word(PAGE + 16), u32::MAX);
    assert_eq!(bytes.word(PAGE + 20), 0xff);
    assert_eq!(bytes.word(PAGE + 24), 6);
    let without = torn_erase(Torn::Without { bit: 32 * 3 + 5 });
    assert_eq!(zeros(&without), 1);
    assert_eq!(without.word(PAGE + 12), !(1 << 5));
    assert_eq!(zeros(&torn_erase(Torn::Stray { bit: 3 })), 0);
    let shares = [0, 64, 128, 255, 256].map(|of_256| torn_erase(Torn::Share { of_256, seed: 4 }));
    assert_eq!(zeros(&shares[0]), all);
    assert_eq!(zeros(&shares[4]), 0);
    for (share, next) in shares.iter().zip(&shares[1..]) {
        assert!(zeros(share) > zeros(next));
        for word in 0..256 {
            let at = PAGE + 4 * word;
            assert_eq!(
                share.word(at) & !next.word(at),
                0,
                "what is erased stays so"
            );
        }
    }
    let quarter = all - zeros(&shares[1]);
    assert!(
        (all * 22 / 100..all * 28 / 100).contains(&quarter),
        "{quarter} of {all}"
    );
}

#[test]
fn the_seed_of_a_metastable_cut_decides_how_its_bits_read() {
    let words: std::collections::BTreeSet<u32> = (0..8)
        .map(|seed| {
            let mut flash = torn_write(Torn::Metastable { seed });
            flash.power_on(1);
            flash.word(PAGE)
        })
        .collect();
    assert!(words.len() > 5);
}

#[test]
fn metastable_bits_read_anew_at_each_power_on_until_they_are_programmed_or_erased() {
    let mut flash = torn_write(Torn::Metastable { seed: 5 });
    let unsettled = 0xffff_00ff & !0x5555_0000;
    assert_eq!(
        flash.peripherals.nvmc.unsettled_bits(),
        u32::count_ones(unsettled)
    );
    let mut seen = std::collections::BTreeSet::new();
    for boot in 0..20 {
        flash.power_on(boot);
        let word = flash.word(PAGE);
        assert_eq!(word & !unsettled, 0x5555_0000, "settled bits stay");
        seen.insert(word);
        flash.peripherals.reset(ResetCause::Pin, flash.now);
        assert_eq!(flash.word(PAGE), word, "only a power-on reads anew");
    }
    assert!(seen.len() > 10);
    // Programming the low byte settles it; the rest stays open.
    flash.write(PAGE, 0xffff_0000);
    assert_eq!(flash.peripherals.nvmc.unsettled_bits(), 8);
    flash.power_on(77);
    assert_eq!(flash.word(PAGE) & 0xff, 0);
    flash.erase(PAGE);
    flash.power_on(78);
    assert_eq!(flash.peripherals.nvmc.unsettled_bits(), 0);
    assert_eq!(flash.word(PAGE), u32::MAX);
}

#[test]
fn a_second_cut_within_recovery_tears_what_the_first_left() {
    let mut flash = torn_erase(Torn::Metastable { seed: 1 });
    let unsettled = flash.peripherals.nvmc.unsettled_bits();
    assert!(unsettled > 7_000, "{unsettled}");
    // Recovery erases again and is cut again: what got erased this time is settled by nothing
    // but a whole erase.
    flash.begin_erase(0x508, PAGE);
    flash.cut(Torn::PartialErase { seed: 2 }, 7);
    assert_eq!(flash.peripherals.nvmc.unsettled_bits(), unsettled);
    flash.erase(PAGE);
    assert_eq!(
        (flash.peripherals.nvmc.unsettled_bits(), zeros(&flash)),
        (0, 0)
    );
}

#[test]
fn the_same_cut_gives_the_same_flash_and_forks_do_not_share_it() {
    for torn in [
        Torn::BitSubset { seed: 8 },
        Torn::PartialErase { seed: 8 },
        Torn::Metastable { seed: 8 },
    ] {
        let (one, two) = (torn_erase(torn), torn_erase(torn));
        assert_eq!(one.memory.flash_page(PAGE), two.memory.flash_page(PAGE));
    }
    let mut flash = Flash::new();
    flash.begin_write(PAGE, 0);
    let mut fork = flash.clone();
    flash.cut(Torn::DroppedAfter, 1);
    fork.cut(Torn::DroppedBefore, 1);
    assert_eq!((flash.word(PAGE), fork.word(PAGE)), (0, u32::MAX));
}

#[test]
fn a_cut_of_erasing_everything_reaches_the_user_registers() {
    let mut flash = Flash::new();
    flash.write(0, 0);
    flash.write(UICR, 0);
    flash.begin_erase(0x50c, 1);
    flash.cut(Torn::Prefix { bits: 40 }, 1);
    assert_eq!((flash.word(0), flash.word(UICR)), (u32::MAX, 0xff));
}
