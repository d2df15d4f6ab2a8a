//! Codes are changed by those who may, in one piece or not at all.

use code_entry::personality::{FactoryRule, MasterRule, Target, Trigger};
use code_entry::{BoltPosition, Button, Input, Key, State};
use rstest::rstest;

use crate::board::{Board, PRESS_MS};
use crate::products::{code, safe, six_zeros, smart_lock};

#[test]
fn the_red_button_then_a_new_code() {
    let mut board = Board::new(safe());
    board.tap(Button::Reset);
    assert_eq!(
        (board.told().as_str(), board.state()),
        ("signal programming-open", State::Programming)
    );
    board.keys("2468#");
    assert_eq!(
        board.told(),
        "commit; change accepted; codes users=1; signal change-accepted; idle"
    );
    assert!(board.opens_with("2468"));
    assert!(!board.opens_with("159"));
    board.tap(Button::Reset);
    board.keys("1357#");
    assert!(board.opens_with("1357"));
    assert!(!board.opens_with("2468"));
}

#[rstest]
#[case::shortest("123", "change accepted")]
#[case::longest("12345678", "change accepted")]
#[case::too_short("12", "change refused reason=length; signal change-refused; idle")]
#[case::too_long(
    "123456789",
    "change refused reason=length; signal change-refused; idle"
)]
#[case::far_too_long(
    "12345678901",
    "change refused reason=length; signal change-refused; idle"
)]
#[case::nothing("", "change refused reason=length; signal change-refused; idle")]
#[case::zeros("0000", "change refused reason=zeros; signal change-refused; idle")]
#[case::one_zero_less("0001", "change accepted")]
#[case::cleared("12*", "change refused reason=cancelled; signal change-refused; idle")]
fn new_codes_that_may_be(#[case] typed: &str, #[case] told: &str) {
    let mut board = Board::new(safe());
    board.tap(Button::Reset);
    board.seen();
    board.keys(typed);
    board.wait(PRESS_MS);
    board.key('#');
    let seen = board.told();
    assert!(seen.contains(told), "{seen}");
    assert_eq!(
        board.opens_with("159"),
        !told.contains("accepted"),
        "the old code stands if refused"
    );
}

#[rstest]
#[case::in_time(
    9_999,
    "commit; change accepted; codes users=1; signal change-accepted; idle"
)]
#[case::too_late(10_000, "timeout; signal time-out; idle")]
fn the_safes_window_runs_from_the_button(#[case] after_ms: u64, #[case] told: &str) {
    let mut board = Board::new(safe());
    board.tap(Button::Reset);
    let opened_ms = board.now_ms;
    assert_eq!(board.lock.next_deadline(), Some(opened_ms + 10_000));
    board.seen();
    board.wait(3_000);
    board.keys("2468");
    board.wait(opened_ms + after_ms - board.now_ms);
    board.down('#');
    assert_eq!(board.told(), told);
}

#[rstest]
#[case::in_time(4_999, true)]
#[case::too_late(5_000, false)]
fn the_smart_locks_window_starts_anew_with_each_input(#[case] pause_ms: u64, #[case] stored: bool) {
    let mut board = Board::new(smart_lock());
    for _ in 0..2 {
        board.input(Input::ButtonDown(Button::Program));
        board.input(Input::ButtonUp(Button::Program));
        board.wait(4_999);
    }
    for label in ['2', '4', '6', '8'] {
        board.down(label);
        board.up(label);
        board.wait(if label == '8' { pause_ms } else { 4_999 });
    }
    board.down('#');
    assert_eq!(
        board.stored().map(|record| record.users[1]),
        stored.then(|| code("2468"))
    );
}

#[test]
fn a_pause_in_a_change_is_its_window_and_not_the_idle_time() {
    let mut lock = safe();
    lock.entry.idle_ms = 1_000;
    let mut board = Board::new(lock);
    board.tap(Button::Reset);
    board.keys("246");
    board.wait(2_000);
    board.keys("8#");
    assert!(board.opens_with("2468"));
}

#[rstest]
#[case::open(true, true)]
#[case::closed(false, false)]
fn the_red_button_needs_the_open_door(#[case] open: bool, #[case] permitted: bool) {
    let mut board = Board::new(safe());
    board.input(Input::Door { open });
    board.tap(Button::Reset);
    assert_eq!(board.state() == State::Programming, permitted);
    let refused = "change refused reason=not-permitted; signal change-refused";
    assert_eq!(
        board.told(),
        if permitted {
            "signal programming-open"
        } else {
            refused
        }
    );
}

#[test]
fn closing_the_door_ends_the_permission() {
    let mut board = Board::new(safe());
    board.tap(Button::Reset);
    board.keys("2468");
    board.seen();
    board.input(Input::Door { open: false });
    board.key('#');
    assert_eq!(
        board.told(),
        "change refused reason=not-permitted; signal change-refused; idle"
    );
    assert!(board.opens_with("159"));
}

#[rstest]
#[case::withdrawn(BoltPosition::Withdrawn, true)]
#[case::between(BoltPosition::Between, false)]
#[case::thrown(BoltPosition::Thrown, false)]
fn a_change_may_need_the_bolt_withdrawn(#[case] position: BoltPosition, #[case] permitted: bool) {
    let mut lock = safe();
    lock.changes[0].guard.bolt_withdrawn = true;
    let mut board = Board::new(lock);
    board.input(Input::Bolt(position));
    board.tap(Button::Reset);
    assert_eq!(board.state() == State::Programming, permitted);
}

#[rstest]
#[case::enough(
    5_000,
    "commit; change accepted; codes users=1; signal change-accepted; idle"
)]
#[case::too_low(4_999, "change refused reason=battery; signal low-battery; idle")]
fn a_battery_that_sags_before_the_new_code_is_stored(#[case] millivolts: u16, #[case] told: &str) {
    let mut board = Board::new(safe());
    board.tap(Button::Reset);
    board.keys("2468");
    board.input(Input::Supply(millivolts));
    board.seen();
    board.key('#');
    assert_eq!(board.told(), told);
}

#[rstest]
#[case::enough(5_000, State::Programming)]
#[case::too_low(4_999, State::Idle)]
fn a_low_battery_opens_no_change(#[case] millivolts: u16, #[case] state: State) {
    let mut board = Board::new(safe());
    board.input(Input::Supply(millivolts));
    board.seen();
    board.tap(Button::Reset);
    assert_eq!(board.state(), state);
    if state == State::Idle {
        assert_eq!(
            board.told(),
            "change refused reason=battery; signal low-battery"
        );
    }
}

#[test]
fn taps_choose_the_slot() {
    let mut board = Board::new(smart_lock());
    for slot in 1..=6 {
        for _ in 0..slot {
            board.tap(Button::Program);
            board.wait(PRESS_MS);
        }
        board.seen();
        board.keys(&format!("{slot}{slot}{slot}{slot}#"));
        assert_eq!(
            board.told(),
            format!("commit; change accepted; codes users={slot}; signal change-accepted; idle")
        );
    }
    for slot in 1..=6 {
        board.keys(&format!("{slot}{slot}{slot}{slot}#"));
        assert!(board.told().contains(&format!("accepted slot={slot};")));
    }
}

#[test]
fn one_tap_more_than_slots_is_refused() {
    let mut board = Board::new(smart_lock());
    for _ in 0..6 {
        board.tap(Button::Program);
    }
    assert_eq!(board.seen(), ["signal programming-open"; 6]);
    board.tap(Button::Program);
    assert_eq!(
        board.told(),
        "change refused reason=slot; signal change-refused; idle"
    );
}

#[test]
fn a_tap_after_digits_or_a_step_starts_over() {
    let mut board = Board::new(smart_lock());
    board.tap(Button::Program);
    board.tap(Button::Program);
    board.keys("24");
    board.tap(Button::Program);
    board.keys("1357#");
    assert_eq!(board.stored().expect("stored").users[0], code("1357"));

    let mut board = Board::with_record(smart_lock(), |record| record.master = code("8888"));
    board.tap(Button::Program);
    board.keys("8888#");
    board.tap(Button::Program);
    board.keys("8888#");
    board.keys("1357#");
    assert_eq!(board.stored().expect("stored").users[0], code("1357"));
}

#[test]
fn taps_without_slots_only_open_the_window_again() {
    let mut board = Board::new(safe());
    for _ in 0..300 {
        board.tap(Button::Reset);
    }
    board.keys("2468#");
    assert!(board.opens_with("2468"));
}

#[test]
fn other_slots_stay_as_they_are() {
    let mut board = Board::with_record(smart_lock(), |record| {
        record.users[0] = code("1111");
        record.users[1] = code("2222");
        record.users[2] = code("3333");
        record.failures = 2;
        record.recent = 1;
    });
    let before = board.stored().expect("stored");
    board.tap(Button::Program);
    board.tap(Button::Program);
    board.keys("4444#");
    let mut expected = before;
    expected.users[1] = code("4444");
    expected.owned = true;
    assert_eq!(board.stored(), Some(expected));
}

#[rstest]
#[case::long_enough(5_000, "signal programming-open")]
#[case::too_short(4_999, "")]
fn the_program_button_held_for_the_master_code(#[case] held_ms: u64, #[case] told: &str) {
    let mut board = Board::new(smart_lock());
    board.input(Input::ButtonDown(Button::Program));
    assert_eq!(board.lock.next_deadline(), Some(5_000));
    board.wait(held_ms);
    assert_eq!(board.told(), told);
}

#[test]
fn the_master_code_is_entered_twice_and_then_asked_for() {
    let mut board = Board::new(smart_lock());
    board.hold(Button::Program, 5_100);
    assert_eq!(
        board.told(),
        "signal programming-open",
        "the release is no tap"
    );
    board.keys("8642#");
    assert_eq!(board.told(), "signal new-code-taken");
    board.keys("8642#");
    assert_eq!(
        board.told(),
        "commit; change accepted; codes users=0; signal change-accepted; idle"
    );
    let record = board.stored().expect("stored");
    assert_eq!((record.master, record.owned), (code("8642"), true));

    board.tap(Button::Program);
    board.keys("8642#");
    assert_eq!(
        board.told(),
        "signal programming-open; commit; attempt failures=1; commit; signal step-taken"
    );
    board.keys("2468#");
    assert_eq!(
        board.told(),
        "commit; change accepted; codes users=1; signal change-accepted; idle"
    );
    assert!(board.opens_with("2468"));
}

#[rstest]
#[case::differs_first("8642", "9642")]
#[case::differs_last("8642", "8643")]
#[case::longer("8642", "86422")]
#[case::shorter("8642", "864")]
fn a_repetition_that_differs(#[case] first: &str, #[case] second: &str) {
    let mut board = Board::new(smart_lock());
    board.hold(Button::Program, 5_000);
    board.keys(first);
    board.key('#');
    board.seen();
    board.keys(second);
    board.key('#');
    assert_eq!(
        board.told(),
        "change refused reason=mismatch; signal change-refused; idle"
    );
    assert_eq!(board.stored(), None);
}

#[test]
fn an_empty_repetition_is_refused() {
    let mut board = Board::new(smart_lock());
    board.hold(Button::Program, 5_000);
    board.keys("8642#");
    board.seen();
    board.key('#');
    assert_eq!(
        board.told(),
        "change refused reason=length; signal change-refused; idle"
    );
}

#[test]
fn six_zeros_then_old_then_new_twice() {
    let mut board = Board::new(six_zeros());
    board.keys("000000");
    board.wait(PRESS_MS);
    assert_eq!(board.told(), "signal programming-open");
    board.keys("123456");
    board.wait(PRESS_MS);
    assert_eq!(
        board.told(),
        "commit; attempt failures=1; commit; signal step-taken"
    );
    board.keys("246802");
    board.wait(PRESS_MS);
    assert_eq!(board.told(), "signal new-code-taken");
    board.keys("246802");
    assert_eq!(
        board.told(),
        "commit; change accepted; codes users=1; signal change-accepted; idle"
    );
    assert!(board.opens_with("246802") && !board.opens_with("123456"));
}

#[test]
fn six_zeros_are_a_command_only_at_the_beginning_of_an_entry() {
    let mut board = Board::new(six_zeros());
    board.keys("100000");
    assert!(board.told().contains("refused failures=1"));
    board.keys("000000");
    board.seen();
    board.keys("123456");
    board.wait(PRESS_MS);
    board.seen();
    board.keys("000000");
    assert_eq!(
        board.told(),
        "change refused reason=zeros; signal change-refused; idle"
    );
}

#[test]
fn a_change_of_ones_own_code_goes_to_its_slot() {
    let mut lock = six_zeros();
    lock.codes.user_slots = 3;
    lock.codes.factory_rule = FactoryRule::RevokedOnFirstChange;
    let mut board = Board::with_record(lock, |record| record.users[2] = code("333333"));
    for typed in ["000000", "333333", "444444", "444444"] {
        board.keys(typed);
        board.wait(PRESS_MS);
    }
    let record = board.stored().expect("stored");
    assert_eq!(
        (record.users[0], record.users[2]),
        (code_entry::Code::BLANK, code("444444"))
    );

    let mut lock = six_zeros();
    lock.codes.factory_rule = FactoryRule::Permanent;
    let mut board = Board::new(lock);
    for typed in ["000000", "123456", "444444", "444444"] {
        board.keys(typed);
        board.wait(PRESS_MS);
    }
    assert_eq!(
        board.stored().expect("stored").users[0],
        code("444444"),
        "a factory code's own slot is the first"
    );
}

#[rstest]
#[case::whole("22*", true)]
#[case::without_digits("*", false)]
#[case::too_few("2*", false)]
#[case::too_many("222*", false)]
#[case::others("23*", false)]
#[case::another_end("22#", false)]
fn a_command_of_digits_and_the_star(#[case] typed: &str, #[case] opens: bool) {
    let mut lock = safe();
    lock.changes[0].trigger = Trigger::Keys([Key::Two, Key::Two, Key::Star].into_iter().collect());
    let mut board = Board::new(lock);
    board.keys(typed);
    assert_eq!(board.state() == State::Programming, opens);
}

#[test]
fn a_command_is_an_entry_inside_a_change() {
    let mut lock = safe();
    lock.entry.clear = None;
    lock.changes[0].trigger = Trigger::Keys([Key::Two, Key::Two, Key::Star].into_iter().collect());
    let mut board = Board::new(lock);
    board.keys("22*");
    board.keys("22*2#");
    assert!(board.opens_with("222"));
}

#[rstest]
#[case::any_unset(MasterRule::Any, false, true)]
#[case::any_set(MasterRule::Any, true, true)]
#[case::unset(MasterRule::Unset, false, true)]
#[case::barred(MasterRule::Unset, true, false)]
#[case::missing(MasterRule::Set, false, false)]
#[case::set(MasterRule::Set, true, true)]
fn a_change_and_the_master_code(
    #[case] rule: MasterRule,
    #[case] is_set: bool,
    #[case] permitted: bool,
) {
    let mut lock = safe();
    lock.changes[0].master = rule;
    let mut board = Board::with_record(lock, |record| {
        if is_set {
            record.master = code("8888");
        }
    });
    board.tap(Button::Reset);
    assert_eq!(board.state() == State::Programming, permitted);
}

#[test]
fn another_button_opens_nothing() {
    let mut board = Board::new(safe());
    board.tap(Button::Program);
    assert_eq!(board.told(), "");
    let mut board = Board::new(smart_lock());
    board.hold(Button::Reset, 6_000);
    assert_eq!(board.told(), "");
    assert_eq!(board.lock.next_deadline(), None);
}

#[test]
fn two_buttons_can_be_held_for_two_things() {
    let mut lock = smart_lock();
    let mut other = lock.changes[2].clone();
    other.trigger = Trigger::Hold {
        button: Button::Reset,
        hold_ms: 2_000,
    };
    other.target = Target::Slot(4);
    lock.changes.push(other).expect("room");
    let mut board = Board::new(lock);
    board.hold(Button::Reset, 2_000);
    board.keys("2468#2468#");
    assert_eq!(board.stored().expect("stored").users[3], code("2468"));
    board.hold(Button::Program, 5_000);
    board.keys("8642#8642#");
    assert_eq!(board.stored().expect("stored").master, code("8642"));
}

#[test]
fn a_button_that_is_down_already_is_not_pressed_again() {
    let mut board = Board::new(smart_lock());
    board.input(Input::ButtonDown(Button::Program));
    board.wait(4_000);
    board.input(Input::ButtonDown(Button::Program));
    board.wait(1_000);
    assert_eq!(board.state(), State::Programming);
    board.input(Input::ButtonUp(Button::Program));
    board.input(Input::ButtonUp(Button::Program));
    assert_eq!(board.told(), "signal programming-open");
}

#[test]
fn what_was_typed_before_a_trigger_is_forgotten() {
    let mut board = Board::new(safe());
    board.keys("15");
    board.tap(Button::Reset);
    board.keys("2468#");
    assert!(board.opens_with("2468"));
}

#[test]
fn after_a_change_that_nobody_finished_a_code_opens() {
    let mut lock = six_zeros();
    lock.changes[0].window_ms = 10_000;
    let mut board = Board::new(lock);
    for keys in ["000000", "123456", "000000", "000000"] {
        board.keys(keys);
        board.wait(PRESS_MS);
    }
    board.seen();
    board.wait(10_000);
    assert_eq!(board.told(), "timeout; signal time-out; idle");
    board.keys("123456");
    assert!(board.told().contains("accepted"));
}
