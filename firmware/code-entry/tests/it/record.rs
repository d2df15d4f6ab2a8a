//! Records and codes as bytes.

use code_entry::personality::FactoryRule;
use code_entry::{
    Code, CodeError, Record, RecordError, StorageFault, ZERO_WITH_ONE, ZERO_WITH_THREE,
};
use rstest::rstest;

use crate::products::{code, safe, six_zeros, smart_lock};

fn used() -> Record {
    let mut record = Record::factory(&smart_lock());
    for (slot, user) in (0..).zip(&mut record.users) {
        *user = code(&format!("{}", 1_000_000_000_u64 + slot));
    }
    record.master = code("9876543210");
    record.failures = 0x1234;
    record.recent = 5;
    record.stage = 6;
    record.lockout_left_ms = 0x1234_5678;
    record
}

#[test]
fn a_record_survives_its_bytes() {
    for owned in [false, true] {
        for handed in [false, true] {
            let record = Record {
                owned,
                handed,
                ..used()
            };
            assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
        }
    }
}

#[test]
fn the_stored_form_is_small_and_stands_as_it_is() {
    assert_eq!((Record::BYTES, Record::BYTES % 4), (120, 0));
    let bytes = Record {
        owned: true,
        handed: false,
        ..used()
    }
    .to_bytes();
    assert_eq!(
        bytes[..12],
        [1, 1, 5, 6, 0x34, 0x12, 0, 0, 0x78, 0x56, 0x34, 0x12]
    );
    assert_eq!(
        bytes[12..17],
        [0x9A, 0x78, 0x56, 0x34, 0x12],
        "the master code, a nibble more than each digit"
    );
    assert_eq!(bytes[17..22], [0x12, 0x11, 0x11, 0x11, 0x11], "slot 1");
    assert_eq!(bytes[117..], [0, 0, 0]);
}

#[rstest]
#[case::erased([0xFF; Record::BYTES], RecordError::Version)]
#[case::cleared([0; Record::BYTES], RecordError::Version)]
#[case::flags(with(1, 4), RecordError::Content)]
#[case::master(with(12, 0x0F), RecordError::Content)]
#[case::first_slot(with(17, 0xFF), RecordError::Content)]
#[case::last_slot(with(116, 0xFF), RecordError::Content)]
fn bytes_that_are_no_record(#[case] bytes: [u8; Record::BYTES], #[case] error: RecordError) {
    assert_eq!(Record::from_bytes(&bytes), Err(error));
}

fn with(at: usize, byte: u8) -> [u8; Record::BYTES] {
    let mut bytes = Record::factory(&safe()).to_bytes();
    bytes[at] = byte;
    bytes
}

#[test]
fn a_record_of_another_length_is_none() {
    let bytes = used().to_bytes();
    assert_eq!(Record::from_bytes(&bytes[1..]), Err(RecordError::Length));
    assert_eq!(Record::from_bytes(&[]), Err(RecordError::Length));
}

#[test]
fn what_the_factory_leaves() {
    let mut lock = six_zeros();
    lock.codes.factory_master = code("654321");
    let record = Record::factory(&lock);
    assert_eq!(
        (record.users[0], record.users[1]),
        (code("123456"), Code::BLANK)
    );
    assert_eq!(record.master, code("654321"));
    assert_eq!(
        (record.owned, record.handed, record.user_count()),
        (false, true, 1)
    );
    assert_eq!(
        (
            record.failures,
            record.recent,
            record.stage,
            record.lockout_left_ms
        ),
        (0, 0, 0, 0)
    );
    for rule in [FactoryRule::RevokedOnFirstChange, FactoryRule::Permanent] {
        lock.codes.factory_rule = rule;
        assert_eq!(
            Record::factory(&lock).user_count(),
            0,
            "such a code stands in no slot"
        );
    }
    assert_eq!(used().user_count(), 20);
}

#[rstest]
#[case("1", [0x02, 0, 0, 0, 0])]
#[case("159", [0x62, 0x0A, 0, 0, 0])]
#[case("0123456789", [0x21, 0x43, 0x65, 0x87, 0xA9])]
fn a_codes_bytes(#[case] digits: &str, #[case] bytes: [u8; 5]) {
    assert_eq!(code(digits).to_bytes(), bytes);
    assert_eq!(Code::from_bytes(bytes), Ok(code(digits)));
    assert_eq!(code(digits).digit_count(), digits.len());
    assert!(!code(digits).is_blank());
}

#[test]
fn blank_is_no_code_and_stays_blank() {
    assert_eq!(Code::from_bytes([0; 5]), Ok(Code::BLANK));
    assert_eq!(
        (
            Code::BLANK.is_blank(),
            Code::BLANK.digit_count(),
            Code::BLANK.is_all_zeros()
        ),
        (true, 0, true)
    );
}

#[rstest]
#[case::erased([0xFF; 5])]
#[case::half_erased([0x21, 0xFF, 0xFF, 0xFF, 0xFF])]
#[case::thirteen([0x0D, 0, 0, 0, 0])]
#[case::hole([0x21, 0x03, 0x50, 0, 0])]
#[case::late([0, 0, 0, 0, 0x10])]
#[case::no_first([0x20, 0, 0, 0, 0])]
fn bytes_that_are_no_code(#[case] bytes: [u8; 5]) {
    assert_eq!(Code::from_bytes(bytes), Err(CodeError::Digit));
}

#[rstest]
#[case("", CodeError::Length)]
#[case("12345678901", CodeError::Length)]
#[case("12a4", CodeError::Digit)]
#[case("12:4", CodeError::Digit)]
#[case("12/4", CodeError::Digit)]
#[case("-1", CodeError::Digit)]
#[case("(02)", CodeError::Digit)]
#[case("(10)", CodeError::Digit)]
#[case("12(01", CodeError::Digit)]
#[case("01)", CodeError::Digit)]
#[case("123456789(01)1", CodeError::Length)]
fn text_that_is_no_code(#[case] text: &str, #[case] error: CodeError) {
    assert_eq!(Code::parse(text), Err(error));
}

#[test]
fn digits_that_are_none() {
    assert_eq!(Code::from_digits(&[9, 0]), Ok(code("90")));
    assert_eq!(Code::from_digits(&[12]), Err(CodeError::Digit));
    assert_eq!(Code::from_digits(&[]), Err(CodeError::Length));
    assert_eq!(Code::from_digits(&[1; 10]), Ok(code("1111111111")));
    assert_eq!(Code::from_digits(&[1; 11]), Err(CodeError::Length));
}

#[test]
fn a_pair_of_keys_is_one_stroke_and_no_digit() {
    let pairs = code("(03)19(01)");
    assert_eq!(Ok(pairs), Code::from_digits(&[11, 1, 9, 10]));
    assert_eq!((ZERO_WITH_ONE, ZERO_WITH_THREE), (10, 11));
    assert_eq!(pairs.digit_count(), 4);
    assert_eq!(pairs.to_bytes(), [0x2C, 0xBA, 0, 0, 0]);
    assert_eq!(Code::from_bytes(pairs.to_bytes()), Ok(pairs));
    assert_ne!(code("(01)"), code("(03)"));
    assert_eq!(code("123456789(03)").digit_count(), 10);
}

#[test]
fn every_difference_shows() {
    let all = code("5555555555");
    assert_eq!(all.differs_from(&all), 0);
    for place in 0..10 {
        let mut digits = [5; 10];
        digits[place] = 6;
        assert_ne!(
            all.differs_from(&Code::from_digits(&digits).expect("a code")),
            0,
            "place {place}"
        );
    }
    assert_ne!(
        code("1212").differs_from(&code("3434")),
        0,
        "alike differences do not cancel"
    );
}

#[test]
fn zeros() {
    assert!(code("0").is_all_zeros() && code("0000000000").is_all_zeros());
    assert!(!code("1000").is_all_zeros() && !code("0001").is_all_zeros());
}

#[test]
fn printing_shows_no_digit() {
    assert_eq!(format!("{:?}", code("1234")), "Code(4 digits)");
    let printed = format!(
        "{:?}",
        Record {
            master: code("8642"),
            ..Record::factory(&smart_lock())
        }
    );
    assert!(!printed.contains("8642") && printed.contains("Code(4 digits)"));
}

#[test]
fn errors_say_what_is_wrong() {
    assert_eq!(CodeError::Length.to_string(), "a code has 1 to 10 digits");
    assert_eq!(
        CodeError::Digit.to_string(),
        "a code has only the digits 0 to 9 and the pairs (01) and (03)"
    );
    assert_eq!(
        RecordError::Length.to_string(),
        "the record has the wrong length"
    );
    assert_eq!(
        RecordError::Version.to_string(),
        "the record is of an unknown version"
    );
    assert_eq!(
        RecordError::Content.to_string(),
        "the record holds something that is not a code or a flag"
    );
    assert_eq!(StorageFault.to_string(), "the record could not be stored");
}
