//! Keys become entries: pauses, the clear key, too many digits, several keys at once, chords and long presses.

use code_entry::personality::{Overflow, Trigger};
use code_entry::{Key, State};
use rstest::rstest;

use crate::board::{Board, PRESS_MS};
use crate::products::{code, safe, six_zeros};

#[rstest]
#[case::just_in_time(
    9_999,
    "commit; attempt failures=1; commit; accepted slot=0; signal accepted; drive withdraw"
)]
#[case::too_late(10_000, "timeout; signal time-out; idle")]
fn a_pause_between_keys(#[case] pause_ms: u64, #[case] told: &str) {
    let mut board = Board::new(safe());
    board.keys("159");
    board.wait(pause_ms - PRESS_MS);
    board.down('#');
    assert_eq!(board.told(), told);
}

#[test]
fn every_digit_gives_the_whole_pause_again() {
    let mut board = Board::new(safe());
    for label in ['1', '5', '9'] {
        board.down(label);
        board.up(label);
        board.wait(9_999);
    }
    board.down('#');
    assert!(board.told().contains("accepted"));
}

#[test]
fn the_deadline_of_a_pause_is_told_and_forgotten() {
    let mut board = Board::new(safe());
    assert_eq!(board.lock.next_deadline(), None);
    board.wait(7);
    board.down('1');
    assert_eq!(board.lock.next_deadline(), Some(10_007));
    assert_eq!(board.state(), State::Entering);
    board.down('#');
    assert_eq!(board.lock.next_deadline(), None);
    assert_eq!(board.state(), State::Idle);
}

#[test]
fn the_clear_key_forgets_the_entry_without_charge() {
    let mut board = Board::new(safe());
    board.keys("15*159#");
    assert_eq!(
        board.told(),
        "idle; commit; attempt failures=1; commit; accepted slot=0; signal accepted; drive withdraw"
    );
}

#[test]
fn a_key_without_meaning_does_nothing() {
    let mut lock = safe();
    lock.entry.clear = None;
    let mut board = Board::new(lock);
    board.keys("15*9#");
    assert!(board.told().contains("accepted"));
}

#[rstest]
#[case::whole_entry_is_wrong(Overflow::Wrong, "refused failures=1")]
#[case::dropped(Overflow::Ignored, "accepted slot=1")]
fn a_ninth_digit(#[case] overflow: Overflow, #[case] told: &str) {
    let mut lock = safe();
    lock.entry.overflow = overflow;
    let mut board = Board::with_record(lock, |record| record.users[0] = code("12345678"));
    board.keys("123456789#");
    let seen = board.told();
    assert!(seen.contains(told), "{seen}");
    assert_eq!(seen.matches("attempt").count(), 1);
}

#[rstest]
#[case::ten("1234567890", "accepted slot=1")]
#[case::eleven("12345678901", "refused")]
#[case::twelve("123456789012", "refused")]
fn ten_digits_are_the_most_of_all(#[case] typed: &str, #[case] told: &str) {
    let mut lock = safe();
    lock.entry.digits_max = 10;
    let mut board = Board::with_record(lock, |record| record.users[0] = code("1234567890"));
    board.keys(typed);
    board.key('#');
    assert!(board.told().contains(told));
}

#[test]
fn too_many_digits_are_not_taken_for_fewer() {
    let mut lock = safe();
    lock.entry.digits_max = 10;
    let mut board = Board::with_record(lock, |record| record.users[0] = code("123456789"));
    board.keys("12345678901#");
    assert!(board.told().contains("refused"));
}

#[test]
fn a_key_that_is_down_already_is_not_pressed_again() {
    let mut board = Board::new(safe());
    board.down('1');
    board.down('1');
    board.up('1');
    board.keys("59#");
    assert!(board.told().contains("accepted"));
}

#[test]
fn fast_fingers_may_overlap_by_one_key() {
    let mut board = Board::new(safe());
    board.down('1');
    board.down('5');
    board.up('1');
    board.down('9');
    board.up('5');
    board.down('#');
    assert!(board.told().contains("accepted"));
}

#[test]
fn a_key_beside_two_others_is_not_taken() {
    let mut board = Board::new(safe());
    board.down('1');
    board.down('5');
    board.down('7');
    board.down('8');
    for label in ['1', '5', '7', '8'] {
        board.up(label);
    }
    board.keys("9#");
    assert!(board.told().contains("accepted"));
}

#[test]
fn key_labels_and_digits() {
    let labels: String = Key::ALL.iter().map(|key| key.label()).collect();
    assert_eq!(labels, "123456789*0#");
    assert!(
        Key::ALL
            .iter()
            .all(|key| Key::from_label(key.label()) == Some(*key))
    );
    assert_eq!(Key::from_label('a'), None);
    let digits: Vec<_> = Key::ALL.iter().map(|key| key.digit()).collect();
    let mut expected: Vec<_> = (1..=9).map(Some).collect();
    expected.extend([None, Some(0), None]);
    assert_eq!(digits, expected);
}

/// A product whose change of codes starts with `0` and `3` together, or `7` held for 3 s.
fn chorded(trigger: Trigger) -> Board {
    let mut lock = safe();
    lock.entry.chord_ms = 80;
    lock.entry.long_press_ms = 3_000;
    lock.changes[0].trigger = trigger;
    Board::new(lock)
}

#[rstest]
#[case::in_order('0', '3', 79, true)]
#[case::the_other_way('3', '0', 79, true)]
#[case::at_once('0', '3', 0, true)]
#[case::too_far_apart('0', '3', 80, false)]
fn two_keys_together_are_a_chord(
    #[case] first: char,
    #[case] second: char,
    #[case] apart_ms: u64,
    #[case] is_chord: bool,
) {
    let mut board = chorded(Trigger::Chord(Key::Zero, Key::Three));
    board.down(first);
    board.wait(apart_ms);
    board.down(second);
    assert_eq!(board.state() == State::Programming, is_chord);
    assert_eq!(board.seen() == ["signal programming-open"], is_chord);
}

#[test]
fn another_chord_forgets_the_entry() {
    let mut board = chorded(Trigger::Chord(Key::Zero, Key::Three));
    board.key('1');
    assert_eq!(board.state(), State::Entering);
    board.down('0');
    board.down('2');
    assert_eq!(board.told(), "idle");
    board.up('0');
    board.up('2');
    board.keys("159#");
    assert!(board.told().contains("accepted"));
}

#[test]
fn another_chord_ends_a_change() {
    let mut board = chorded(Trigger::Chord(Key::Zero, Key::Three));
    board.down('0');
    board.down('3');
    board.up('0');
    board.up('3');
    board.seen();
    board.down('4');
    board.down('5');
    assert_eq!(
        board.told(),
        "change refused reason=cancelled; signal change-refused; idle"
    );
}

#[test]
fn a_product_with_chords_takes_a_key_when_it_is_sure() {
    let mut board = chorded(Trigger::Chord(Key::Zero, Key::Three));
    board.down('1');
    assert_eq!(board.lock.next_deadline(), Some(80));
    board.wait(79);
    assert_eq!(board.seen().len(), 0);
    board.wait(1);
    assert_eq!(board.seen(), ["signal key-click"]);
    board.wait(10);
    board.up('1');
    board.down('5');
    board.wait(20);
    assert_eq!(board.seen().len(), 0);
    board.up('5');
    assert_eq!(board.seen(), ["signal key-click"]);
    board.keys("9#");
    assert!(board.told().contains("accepted"));
}

#[test]
fn another_key_opening_does_not_take_the_waiting_one() {
    let mut board = chorded(Trigger::Chord(Key::Zero, Key::Three));
    board.down('1');
    board.up('2');
    assert_eq!(board.seen().len(), 0);
}

#[rstest]
#[case::long_enough('7', 3_000, true)]
#[case::too_short('7', 2_999, false)]
#[case::another_key('8', 3_000, false)]
fn a_key_held(#[case] label: char, #[case] held_ms: u64, #[case] opens: bool) {
    let mut board = chorded(Trigger::LongPress(Key::Seven));
    board.down(label);
    board.wait(held_ms);
    assert_eq!(board.state() == State::Programming, opens);
    board.up(label);
    board.wait(4_000);
    assert_eq!(
        board.state() == State::Programming,
        opens,
        "told once, and not after the release"
    );
}

#[test]
fn releasing_another_key_does_not_end_a_long_press() {
    let mut board = chorded(Trigger::LongPress(Key::Seven));
    board.down('1');
    board.wait(100);
    board.down('7');
    board.up('1');
    board.wait(3_000);
    assert_eq!(board.state(), State::Programming);
}

#[test]
fn a_product_without_long_presses_has_no_deadline_for_them() {
    let mut lock = six_zeros();
    lock.entry.idle_ms = 60_000;
    let mut board = Board::new(lock);
    board.down('1');
    assert_eq!(board.lock.next_deadline(), Some(60_000));
}

#[test]
fn a_long_press_of_an_idle_key_is_told_once_by_its_deadline() {
    let mut board = chorded(Trigger::LongPress(Key::Seven));
    board.down('*');
    board.wait(80);
    assert_eq!(board.lock.next_deadline(), Some(3_000));
    board.wait(2_920);
    assert_eq!(board.lock.next_deadline(), None);
}
