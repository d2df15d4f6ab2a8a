//! Small programs, written as halfwords, that check what single instructions cannot: time, sleep,
//! exceptions and their order.

use lockrig_sim::chip::{Chip, Stopped};
use lockrig_sim::time::Ticks;

const STACK: u32 = 0x2000_4000;
/// Where the programs leave their results.
const RESULT: u32 = 0x2000_0000;

/// A chip with vectors at 0 and `code` at 0x100, powered and past its reset time.
fn chip(vectors: &[(usize, u32)], code: &[u16]) -> Chip {
    let mut words = [0x101_u32; 64];
    words[0] = STACK;
    for &(number, address) in vectors {
        words[number] = address | 1;
    }
    let mut image: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    image.extend(code.iter().flat_map(|half| half.to_le_bytes()));
    let mut chip = Chip::new(1);
    chip.memory_mut().load(0, &image);
    chip.power_on();
    assert_eq!(chip.run(Ticks::from_micros(10)), Stopped::Pins);
    assert_eq!(chip.run(Ticks::from_micros(10)), Stopped::Deadline);
    chip
}

#[test]
fn a_loop_adds_and_stores() {
    // movs r0,#0; movs r1,#10; loop: adds r0,r0,r1; subs r1,#1; bne loop; movs r2,#1; lsls
    // r2,r2,#29; str r0,[r2]; b .
    let code = [
        0x2000, 0x210a, 0x1840, 0x3901, 0xd1fc, 0x2201, 0x0752, 0x6010, 0xe7fe,
    ];
    let mut chip = chip(&[], &code);
    let start = chip.now();
    // 2 + 10 rounds of 2 + 9 taken and 1 untaken branch + 2 + store 2.
    let cycles = 2 + 10 * 2 + 9 * 3 + 1 + 2 + 2;
    assert_eq!(chip.run(start + Ticks(cycles)), Stopped::Deadline);
    assert_eq!(chip.now(), start + Ticks(cycles));
    assert_eq!(chip.memory().ram_word(RESULT), 55);
}
