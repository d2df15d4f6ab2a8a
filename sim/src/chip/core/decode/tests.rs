//! Every 32-bit encoding against the manual's tables, written out here a second time.

use super::{Code, NO_SPECIAL, wide};

/// What the ARMv6-M Architecture Reference Manual (DDI 0419) says an encoding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manual {
    Bl,
    Msr,
    Mrs,
    Dsb,
    Dmb,
    Isb,
    UdfW,
}

/// The 32-bit instructions of A5.3, A5.3.1 and A5.3.2 with the layout that A6.7 gives under each
/// name. A letter is a field, and a digit in parentheses a bit that should be so: where it is not,
/// the encoding is UNPREDICTABLE. Whatever is not here is UNDEFINED.
const INSTRUCTIONS: [(Manual, &str); 7] = [
    (Manual::Bl, "11110siiiiiiiiii 11j1kiiiiiiiiiii"),
    (Manual::Msr, "11110011100(0)nnnn 10(0)0(1)(0)(0)(0)yyyyyyyy"),
    (Manual::Mrs, "11110011111(0)(1)(1)(1)(1) 10(0)0ddddyyyyyyyy"),
    (
        Manual::Dsb,
        "11110011101(1)(1)(1)(1)(1) 10(0)0(1)(1)(1)(1)0100oooo",
    ),
    (
        Manual::Dmb,
        "11110011101(1)(1)(1)(1)(1) 10(0)0(1)(1)(1)(1)0101oooo",
    ),
    (
        Manual::Isb,
        "11110011101(1)(1)(1)(1)(1) 10(0)0(1)(1)(1)(1)0110oooo",
    ),
    (Manual::UdfW, "111101111111iiii 1010iiiiiiiiiiii"),
];

/// A layout as masks: the fixed bits, those that should be so, and the values of both.
struct Layout {
    manual: Manual,
    fixed: u32,
    should: u32,
    value: u32,
}

impl Layout {
    fn read((manual, text): (Manual, &str)) -> Layout {
        let (mut fixed, mut should, mut value) = (0, 0, 0);
        let (mut bits, mut inside) = (0, false);
        for letter in text.chars() {
            match letter {
                ' ' => continue,
                '(' | ')' => {
                    inside = letter == '(';
                    continue;
                }
                _ => {}
            }
            bits += 1;
            let bit = 1 << (32 - bits);
            match letter {
                '0' | '1' => {
                    *(if inside { &mut should } else { &mut fixed }) |= bit;
                    value |= if letter == '1' { bit } else { 0 };
                }
                _ => {}
            }
        }
        assert_eq!(bits, 32, "{text}");
        Layout {
            manual,
            fixed,
            should,
            value,
        }
    }
}

/// Which encodings are executed: not those of which some bit is not as it should be, nor MRS and MSR
/// with the PC, which are UNPREDICTABLE as well. The one exception is executed as QEMU and the
/// ARMv7-M cores do: an MSR whose bits 11 and 10, the mask of the flags that it writes, are not 1
/// and 0.
fn is_executed(manual: Manual, word: u32, layout: &Layout) -> bool {
    let wrong = (word ^ layout.value) & layout.should;
    match manual {
        Manual::Msr => wrong & !0xc00 == 0 && word >> 16 & 0xf != 15,
        Manual::Mrs => wrong == 0 && word >> 8 & 0xf != 15,
        _ => wrong == 0,
    }
}

/// The offset of a BL from four bytes on, by the pseudocode of A6.7 under its name: the sign, then
/// I1 = NOT(J1 EOR S) and I2 = NOT(J2 EOR S), then the two immediates and a zero.
fn bl_offset(word: u32) -> i32 {
    let bit = |at: u32| i64::from(word >> at & 1);
    let (s, j1, j2) = (bit(26), bit(13), bit(11));
    let i1 = i64::from(j1 == s);
    let i2 = i64::from(j2 == s);
    let imm10 = i64::from(word >> 16 & 0x3ff);
    let imm11 = i64::from(word & 0x7ff);
    let offset = -s * 0x100_0000 + i1 * 0x80_0000 + i2 * 0x40_0000 + imm10 * 0x1000 + imm11 * 2;
    offset.try_into().expect("25 bits")
}

#[test]
fn every_32_bit_encoding_is_decoded_as_the_manual_says() {
    let layouts = INSTRUCTIONS.map(Layout::read);
    let mut counts = [0u32; INSTRUCTIONS.len() + 1];
    for word in 0xe800_0000..=u32::MAX {
        let (first, second) = ((word >> 16) as u16, word as u16);
        let op = wide(first, second);
        let at = layouts
            .iter()
            .position(|layout| (word ^ layout.value) & layout.fixed == 0)
            .filter(|&at| is_executed(layouts[at].manual, word, &layouts[at]));
        counts[at.unwrap_or(INSTRUCTIONS.len())] += 1;
        let is_right = match at.map(|at| layouts[at].manual) {
            Some(Manual::Bl) => op.code == Code::Bl && op.imm as i32 == bl_offset(word) / 2,
            Some(Manual::Msr) => {
                let writes_flags = word & 0x800 != 0;
                let special = word & 0xff;
                let special = match special {
                    // The views of xPSR: without the mask nothing of it is written.
                    0..=3 if !writes_flags => NO_SPECIAL,
                    _ => special,
                };
                op.code == Code::Msr && u32::from(op.n) == word >> 16 & 0xf && op.imm == special
            }
            Some(Manual::Mrs) => {
                op.code == Code::Mrs && u32::from(op.d) == word >> 8 & 0xf && op.imm == word & 0xff
            }
            Some(Manual::Dsb | Manual::Dmb | Manual::Isb) => op.code == Code::Barrier,
            Some(Manual::UdfW) | None => op.code == Code::Undefined,
        };
        assert!(is_right, "{first:04x} {second:04x} is decoded to {op:?}");
    }
    // BL has 24 bits of offset, MSR 15 registers, 256 numbers and 4 masks, MRS 15 registers and 256
    // numbers, a barrier 16 options, UDF.W 16 bits.
    let (msr, mrs) = (15 * 256 * 4, 15 * 256);
    let undefined = 6144 * 65536 - (1 << 24) - msr - mrs - 3 * 16 - (1 << 16);
    assert_eq!(counts, [1 << 24, msr, mrs, 16, 16, 16, 1 << 16, undefined]);
}
