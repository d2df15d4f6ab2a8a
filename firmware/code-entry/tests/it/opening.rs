//! Codes that open, codes that do not, and what is stored before either is shown.

use code_entry::personality::{FactoryRule, Step, Trigger};
use code_entry::{BoltPosition, Record, State};
use rstest::rstest;

use crate::board::Board;
use crate::products::{code, safe, six_zeros, smart_lock};

#[test]
fn an_attempt_is_stored_before_its_verdict_and_a_success_before_the_bolt() {
    let mut board = Board::new(safe());
    board.keys("159#");
    assert_eq!(
        board.told(),
        "commit; attempt failures=1; commit; accepted slot=0; signal accepted; drive withdraw"
    );
    board.bolt_arrives(BoltPosition::Withdrawn);
    board.wait(5_000);
    board.bolt_arrives(BoltPosition::Thrown);
    board.seen();
    board.keys("160#");
    assert_eq!(
        board.told(),
        "commit; attempt failures=1; refused failures=1; signal wrong-code; idle"
    );
    board.keys("161#");
    assert_eq!(
        board.told(),
        "commit; attempt failures=2; refused failures=2; signal wrong-code; idle"
    );
    assert_eq!(board.stored().expect("stored").failures, 2);
    board.keys("159#");
    assert_eq!(
        board.told(),
        "commit; attempt failures=3; commit; accepted slot=0; signal accepted; drive withdraw"
    );
    let record = board.stored().expect("stored");
    assert_eq!(
        (
            record.failures,
            record.recent,
            record.stage,
            record.lockout_left_ms
        ),
        (0, 0, 0, 0)
    );
}

#[rstest]
#[case::right("1234", true)]
#[case::first_wrong("2234", false)]
#[case::last_wrong("1235", false)]
#[case::two_wrong_alike("1243", false)]
#[case::prefix("123", false)]
#[case::longer("12345", false)]
#[case::leading_junk("01234", false)]
#[case::all_zeros("0000", false)]
#[case::zeros("00000000", false)]
#[case::ten_digits("1234567890", false)]
#[case::far_too_long("12341234123412341234", false)]
fn only_the_whole_code_opens(#[case] typed: &str, #[case] opens: bool) {
    let mut board = Board::with_record(safe(), |record| {
        record.users[0] = code("1234");
        record.owned = true;
    });
    board.keys(typed);
    board.key('#');
    let told = board.told();
    assert_eq!(
        told.contains("accepted slot=1; signal accepted; drive withdraw"),
        opens,
        "{told}"
    );
    assert_eq!(
        told.contains("refused failures=1; signal wrong-code"),
        !opens,
        "{told}"
    );
    assert_eq!(told.matches("attempt").count(), 1, "{told}");
}

#[test]
fn every_slot_opens_and_tells_its_number() {
    let mut board = Board::with_record(smart_lock(), |record| {
        for (slot, user) in (1..).zip(&mut record.users) {
            *user = code(&format!("{}", 5_000 + slot));
        }
    });
    for slot in 1..=Record::SLOTS {
        board.keys(&format!("{}#", 5_000 + slot));
        assert!(
            board.told().contains(&format!("accepted slot={slot};")),
            "slot {slot}"
        );
    }
    board.keys("5000#");
    assert!(board.told().contains("refused"));
}

#[test]
fn a_code_in_two_slots_opens_as_the_later_one() {
    let mut board = Board::with_record(smart_lock(), |record| {
        record.users[2] = code("1234");
        record.users[4] = code("1234");
    });
    board.keys("1234#");
    assert!(board.told().contains("accepted slot=5;"));
}

#[test]
fn codes_that_differ_alike_in_two_places_are_not_taken_for_equal() {
    // The packed difference of 1212 and 3434 is the same in both bytes.
    let mut board = Board::with_record(safe(), |record| record.users[0] = code("1212"));
    board.keys("3434#");
    assert!(board.told().contains("refused"));
}

#[test]
fn a_submit_key_alone_is_no_attempt() {
    let mut board = Board::new(safe());
    board.keys("###");
    assert_eq!(board.told(), "");
    let mut board = Board::new(smart_lock());
    board.keys("#");
    assert_eq!(board.told(), "", "the bolt is thrown already");
}

#[test]
fn an_empty_set_of_codes_opens_to_nothing() {
    for typed in ["1234#", "0000#", "00000000#", "99999999#"] {
        let mut board = Board::new(smart_lock());
        board.keys(typed);
        assert!(board.told().contains("refused"), "{typed}");
    }
    let blank = Board::with_record(smart_lock(), |record| record.users[3] = code("0000"));
    assert!(!blank.opens_with("0000"), "not even if it is stored");
}

#[rstest]
#[case::none(FactoryRule::None, false, false)]
#[case::works(FactoryRule::Works, false, false)]
#[case::revoked(FactoryRule::RevokedOnFirstChange, true, false)]
#[case::permanent(FactoryRule::Permanent, true, true)]
fn a_factory_code_outside_the_slots(
    #[case] rule: FactoryRule,
    #[case] before: bool,
    #[case] after: bool,
) {
    let mut lock = safe();
    lock.codes.factory_rule = rule;
    if rule == FactoryRule::None {
        lock.codes.factory.clear();
    }
    // A record without slots in use, so that only the rule decides.
    let board = |owned| {
        Board::with_record(lock.clone(), |record| {
            record.users[0] = code_entry::Code::BLANK;
            record.owned = owned;
        })
    };
    assert_eq!(board(false).opens_with("159"), before);
    assert_eq!(board(true).opens_with("159"), after);
}

#[test]
fn a_second_factory_code_opens_too() {
    let mut lock = safe();
    lock.codes.user_slots = 2;
    lock.codes.factory = [code("159"), code("753")].into_iter().collect();
    assert!(Board::new(lock.clone()).opens_with("159"));
    assert!(Board::new(lock.clone()).opens_with("753"));
    lock.codes.factory_rule = FactoryRule::Works;
    let mut board = Board::new(lock);
    board.keys("753#");
    assert!(board.told().contains("accepted slot=2"));
}

#[test]
fn a_code_of_fixed_length_needs_no_submit_key() {
    let mut board = Board::new(six_zeros());
    board.keys("12345");
    assert_eq!((board.told(), board.state()), ("".into(), State::Entering));
    board.down('6');
    assert!(board.told().contains("accepted slot=1"));
}

#[test]
fn a_master_code_does_not_open() {
    let board = Board::with_record(smart_lock(), |record| record.master = code("8888"));
    assert!(!board.opens_with("8888"));
}

#[test]
fn a_user_code_is_no_master_code() {
    let mut lock = smart_lock();
    lock.changes[1].trigger = Trigger::Tap(code_entry::Button::Program);
    assert_eq!(lock.changes[1].steps[0], Step::Master);
    let mut board = Board::with_record(lock, |record| {
        record.master = code("8888");
        record.users[0] = code("1234");
    });
    board.tap(code_entry::Button::Program);
    board.keys("1234#");
    assert!(board.told().contains("refused failures=1"));
}

#[test]
fn each_digit_clicks() {
    let mut board = Board::new(safe());
    board.keys("159");
    assert_eq!(board.seen(), ["signal key-click"; 3]);
    board.keys("#");
    assert!(
        !board.seen().contains(&"signal key-click".to_string()),
        "the verdict answers the key that ends it"
    );
}
