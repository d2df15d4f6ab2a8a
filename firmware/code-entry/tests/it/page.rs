//! The personality's page: what it looks like, and what is refused.

use code_entry::personality::{PAGE_BYTES, PAGE_MAGIC, RuleError};
use code_entry::{PageError, Personality};
use rstest::rstest;

use crate::products::{functions, paired, permanent, safe, six_zeros, smart_lock};

#[rstest]
#[case::safe(safe())]
#[case::smart_lock(smart_lock())]
#[case::six_zeros(six_zeros())]
#[case::functions(functions())]
#[case::permanent(permanent())]
#[case::paired(paired())]
fn a_personality_survives_its_page(#[case] personality: Personality) {
    let page = personality.to_page().expect("it fits");
    assert_eq!(page.len(), PAGE_BYTES);
    assert_eq!(Personality::from_page(&page), Ok(personality));
}

#[test]
fn the_page_begins_with_magic_length_and_crc_and_ends_erased() {
    let page = safe().to_page().expect("it fits");
    assert_eq!(page[..8], PAGE_MAGIC);
    assert_eq!(page[..8], *b"LOCKPERS");
    let length = u32::from_le_bytes(page[8..12].try_into().expect("four")) as usize;
    let body = &page[16..16 + length];
    assert_eq!(
        body[0], 15,
        "the length of the name is the encoding's first byte"
    );
    assert_eq!(&body[1..16], b"red-button safe");
    // Of the encoding as a message of its own, by the definition of CRC-32: appended to its message, it leaves the
    // fixed residue.
    let residue =
        page[16..16 + length]
            .iter()
            .chain(&page[12..16])
            .fold(u32::MAX, |mut crc, &byte| {
                for bit in 0..8 {
                    let carry = (crc ^ u32::from(byte) >> bit) & 1;
                    crc = crc >> 1 ^ if carry == 1 { 0xEDB8_8320 } else { 0 };
                }
                crc
            });
    assert_eq!(residue, 0xDEBB_20E3);
    assert!(page[16 + length..].iter().all(|byte| *byte == 0xFF));
}

#[test]
fn a_page_with_only_the_magic_holds_no_personality() {
    let mut page = [0xFF; PAGE_BYTES];
    page[..8].copy_from_slice(b"LOCKPERS");
    assert_eq!(Personality::from_page(&page), Err(PageError::NoPersonality));
}

#[rstest]
#[case::erased(vec![0xFF; PAGE_BYTES], PageError::Magic)]
#[case::zeros(vec![0; PAGE_BYTES], PageError::Magic)]
#[case::nothing(vec![], PageError::Magic)]
#[case::cut_in_the_head(safe().to_page().expect("fits")[..15].to_vec(), PageError::Magic)]
#[case::cut_in_the_body(safe().to_page().expect("fits")[..100].to_vec(), PageError::Length)]
fn pages_that_are_none(#[case] page: Vec<u8>, #[case] error: PageError) {
    assert_eq!(Personality::from_page(&page), Err(error));
}

#[test]
fn a_head_with_an_empty_body_is_not_decoded() {
    let mut page = [0xFF; 16];
    page[..8].copy_from_slice(b"LOCKPERS");
    page[8..].fill(0);
    assert_eq!(
        Personality::from_page(&page),
        Err(PageError::Encoding),
        "the CRC of nothing is zero"
    );
}

#[test]
fn every_damaged_bit_is_found() {
    let page = safe().to_page().expect("it fits");
    let length = u32::from_le_bytes(page[8..12].try_into().expect("four")) as usize;
    for bit in 0..(16 + length) * 8 {
        let mut damaged = page;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Personality::from_page(&damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn a_page_is_neither_made_of_nor_read_into_a_contradiction() {
    let mut lock = safe();
    lock.entry.idle_ms = 0;
    assert_eq!(lock.to_page(), Err(PageError::Rule(RuleError::Time)));

    // The idle time's encoding, exchanged for a zero of the same length, with the CRC made good.
    let mut lock = safe();
    lock.entry.idle_ms = 77;
    let page = lock.to_page().expect("it fits");
    let length = u32::from_le_bytes(page[8..12].try_into().expect("four")) as usize;
    let places: Vec<_> = (16..16 + length).filter(|at| page[*at] == 77).collect();
    assert_eq!(places.len(), 1);
    let mut page = page.to_vec();
    page[places[0]] = 0;
    let crc = !page[16..16 + length]
        .iter()
        .fold(u32::MAX, |mut crc, &byte| {
            for bit in 0..8 {
                let carry = (crc ^ u32::from(byte) >> bit) & 1;
                crc = crc >> 1 ^ if carry == 1 { 0xEDB8_8320 } else { 0 };
            }
            crc
        });
    page[12..16].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(
        Personality::from_page(&page),
        Err(PageError::Rule(RuleError::Time))
    );
}

#[test]
fn errors_say_what_is_wrong() {
    let told: Vec<_> = [
        PageError::Magic,
        PageError::NoPersonality,
        PageError::Length,
        PageError::Checksum,
        PageError::Encoding,
        PageError::Rule(RuleError::Digits),
    ]
    .iter()
    .map(|error| error.to_string())
    .collect();
    assert_eq!(
        told,
        [
            "not a personality page: it does not begin with `LOCKPERS`",
            "the page holds no personality yet",
            "the personality does not fit its page of 1024 bytes",
            "the personality's checksum is wrong",
            "the personality is encoded in a way that this version does not know",
            "the code lengths are not a range within 1 to 10",
        ]
    );
}
