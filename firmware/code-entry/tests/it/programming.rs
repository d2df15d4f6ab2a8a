//! Other ways to a new code: functions behind the master code, a factory code that stays, a reset code with a pair of
//! keys.

use code_entry::personality::{FactoryRule, MasterRule, Step, Target, Trigger};
use code_entry::{BoltPosition, Button, Code, Input, Key, State};
use rstest::rstest;

use crate::board::{Board, PRESS_MS};
use crate::products::{code, functions, paired, permanent};

const STORED: &str = "change accepted; codes users=2; signal change-accepted; idle";
const REFUSED: &str = "signal change-refused; idle";

/// A lock whose master code was just entered.
fn menu() -> Board {
    let mut board = Board::new(functions());
    board.keys("0000#");
    board.seen();
    board
}

#[test]
fn the_master_code_opens_the_menu_and_not_the_door() {
    let mut board = Board::new(functions());
    board.keys("0000#");
    assert_eq!(
        board.told(),
        "commit; attempt failures=1; commit; signal programming-open"
    );
    assert_eq!(board.state(), State::Programming);
    board.wait(9_999 - PRESS_MS);
    assert_eq!(board.told(), "");
    board.wait(1);
    assert_eq!(board.told(), "timeout; signal time-out; idle");
}

#[test]
fn a_code_is_added_in_the_first_free_slot() {
    let mut board = menu();
    board.keys("1#");
    assert_eq!(board.told(), "signal step-taken");
    board.keys("2468#");
    assert_eq!(board.told(), format!("commit; {STORED}"));
    let record = board.stored().expect("stored");
    assert_eq!(record.users[..3], [code("1234"), code("2468"), Code::BLANK]);
    assert!(board.opens_with("2468") && board.opens_with("1234"));
}

#[test]
fn a_slot_that_became_free_is_filled_first() {
    let mut board = Board::with_record(functions(), |record| {
        record.users[0] = Code::BLANK;
        record.users[1] = code("7777");
    });
    board.keys("0000#1#2468#");
    let record = board.stored().expect("stored");
    assert_eq!(record.users[..2], [code("2468"), code("7777")]);
}

#[test]
fn no_code_is_added_where_no_slot_is_free() {
    let mut board = menu();
    board.keys("1#2468#");
    board.keys("0000#1#");
    board.seen();
    board.keys("1357#");
    assert_eq!(
        board.told(),
        format!("change refused reason=slot; {REFUSED}")
    );
    assert!(!board.opens_with("1357") && board.opens_with("2468"));
}

#[test]
fn a_code_that_is_named_is_deleted_and_no_other() {
    let mut board = menu();
    board.keys("1#2468#");
    board.keys("0000#3#1234#");
    assert!(board.told().ends_with(
        "commit; attempt failures=1; commit; commit; change accepted; codes users=1; signal change-accepted; idle"
    ));
    let record = board.stored().expect("stored");
    assert_eq!(record.users[..2], [Code::BLANK, code("2468")]);
    assert!(!board.opens_with("1234") && board.opens_with("2468"));
    assert!(!board.opens_with("0000"));
}

#[test]
fn deleting_a_code_that_is_none_is_a_wrong_attempt() {
    let mut board = menu();
    board.keys("3#9999#");
    assert_eq!(
        board.told(),
        "signal step-taken; commit; attempt failures=1; refused failures=1; signal wrong-code; \
         change refused reason=code; idle"
    );
    assert!(board.opens_with("1234"));
}

#[test]
fn the_master_code_is_replaced() {
    let mut board = menu();
    board.keys("4#8642#");
    board.seen();
    board.keys("0000#");
    assert!(board.told().contains("refused failures=1"));
    board.keys("8642#");
    assert_eq!(board.state(), State::Programming);
}

#[test]
fn the_bolt_learns_the_hand_when_it_is_asked_to() {
    let mut board = menu();
    board.keys("0#");
    assert_eq!(
        board.told(),
        "change accepted; signal change-accepted; drive withdraw"
    );
    assert_eq!(board.state(), State::Handing);
    board.bolt_arrives(BoltPosition::Withdrawn);
    board.bolt_arrives(BoltPosition::Thrown);
    assert!(board.told().ends_with("drive rest; commit; idle"));
    assert!(board.stored().expect("stored").handed);
}

#[rstest]
#[case::unknown("2")]
#[case::two_digits("11")]
#[case::a_code("1234")]
fn a_function_that_there_is_not(#[case] typed: &str) {
    let mut board = menu();
    board.keys(typed);
    board.key('#');
    let told = board.told();
    assert!(
        told.ends_with(&format!("change refused reason=function; {REFUSED}")),
        "{told}"
    );
}

#[test]
fn a_function_needs_its_own_permission() {
    let mut lock = functions();
    lock.changes[2].guard.door_open = true;
    lock.changes[1].master = MasterRule::Unset;
    let mut board = Board::new(lock);
    board.input(Input::Door { open: false });
    for function in ["4#", "3#"] {
        board.keys("0000#");
        board.seen();
        board.keys(function);
        assert!(board.told().contains("reason=function"), "{function}");
    }
    board.input(Input::Door { open: true });
    board.keys("0000#");
    board.seen();
    board.keys("4#");
    assert_eq!(board.told(), "signal step-taken");
}

#[test]
fn functions_of_another_trigger_are_not_in_the_menu() {
    let mut lock = functions();
    lock.changes[2].trigger = Trigger::Keys([Key::Star].into_iter().collect());
    let mut board = Board::new(lock);
    board.keys("0000#");
    board.seen();
    board.keys("4#");
    assert!(board.told().contains("reason=function"));
}

#[test]
fn a_wrong_code_is_one_wrong_attempt_also_where_a_master_code_is_looked_for() {
    let mut board = Board::new(functions());
    board.keys("0001#");
    assert_eq!(
        board.told(),
        "commit; attempt failures=1; refused failures=1; signal wrong-code; idle"
    );
    board.keys("1234#");
    assert!(board.told().contains("accepted slot=1"));
}

#[test]
fn a_master_code_that_is_a_users_too_opens() {
    let mut board = Board::with_record(functions(), |record| record.users[1] = code("7777"));
    board.keys("0000#4#7777#");
    board.seen();
    board.keys("7777#");
    assert!(board.told().contains("accepted slot=2"));
}

#[rstest]
#[case::too_long("12345678901#")]
#[case::zeros("0000#")]
fn without_a_master_code_nothing_opens_the_menu(#[case] typed: &str) {
    let mut board = Board::with_record(functions(), |record| record.master = Code::BLANK);
    board.keys(typed);
    assert!(board.told().contains("refused failures=1"));
    assert_eq!(board.state(), State::Idle);
}

#[test]
fn the_slot_is_that_of_the_old_code_and_not_of_the_master_code() {
    let mut lock = functions();
    lock.changes[0].trigger = Trigger::Tap(Button::Program);
    lock.changes[0].steps = [Step::Old, Step::Master, Step::New].into_iter().collect();
    lock.changes[0].target = Target::Own;
    let mut board = Board::with_record(lock, |record| record.users[1] = code("7777"));
    board.tap(Button::Program);
    board.keys("7777#0000#2468#");
    let record = board.stored().expect("stored");
    assert_eq!(record.users[..2], [code("1234"), code("2468")]);
}

#[test]
fn a_lock_without_functions_takes_its_master_code_for_a_wrong_one() {
    let mut lock = functions();
    lock.changes.clear();
    let mut board = Board::new(lock);
    board.keys("0000#");
    assert!(board.told().contains("refused failures=1"));
}

#[test]
fn the_permanent_code_lets_a_code_be_set_and_replaced() {
    let mut board = Board::new(permanent());
    board.keys("*");
    assert_eq!(board.told(), "signal programming-open");
    board.keys("24680");
    assert_eq!(
        board.told(),
        "commit; attempt failures=1; commit; signal step-taken"
    );
    board.keys("13579");
    assert!(
        board
            .told()
            .ends_with("change accepted; codes users=1; signal change-accepted; idle")
    );
    assert!(board.opens_with("13579") && board.opens_with("24680"));
    board.keys("*2468011223");
    assert!(board.opens_with("11223") && board.opens_with("24680"));
    assert!(!board.opens_with("13579"));
}

#[test]
fn a_users_code_is_not_the_factory_code() {
    let mut board = Board::new(permanent());
    board.keys("*2468013579");
    board.seen();
    board.keys("*13579");
    assert!(board.told().contains("refused failures=1"));
    assert_eq!(board.state(), State::Idle);
}

#[test]
fn the_factory_code_is_asked_for_also_where_it_no_longer_opens() {
    let mut lock = permanent();
    lock.codes.factory_rule = FactoryRule::RevokedOnFirstChange;
    let mut board = Board::new(lock);
    board.keys("*2468013579");
    board.keys("*2468011223");
    assert!(board.opens_with("11223") && !board.opens_with("24680"));
}

#[test]
fn zeros_delete_without_a_word_to_the_ear() {
    let mut board = Board::new(permanent());
    board.keys("*2468013579");
    board.keys("*24680");
    board.seen();
    board.keys("00000");
    assert_eq!(board.told(), "commit; change accepted; codes users=0; idle");
    assert_eq!(board.stored().expect("stored").users[0], Code::BLANK);
    assert!(!board.opens_with("13579") && !board.opens_with("00000"));
    assert!(board.opens_with("24680"));
}

#[test]
fn zeros_that_delete_are_confirmed_like_a_code() {
    let mut lock = permanent();
    lock.changes[0].steps.push(Step::Again).expect("room");
    let mut board = Board::new(lock);
    board.keys("*246801357913579");
    assert!(board.opens_with("13579"));
    board.keys("*246800000013579");
    assert!(board.opens_with("13579"));
    board.keys("*246800000000000");
    assert!(!board.opens_with("13579"));
}

/// Presses two keys together, the second this much later.
fn chord(board: &mut Board, first: char, second: char, apart_ms: u64) {
    board.down(first);
    board.wait(apart_ms);
    board.down(second);
    board.wait(50);
    board.up(first);
    board.up(second);
    board.wait(50);
}

fn reset_code(board: &mut Board, pair: (char, char), apart_ms: u64) {
    board.keys("67*362");
    board.wait(50);
    chord(board, pair.0, pair.1, apart_ms);
    board.keys("19#");
}

#[rstest]
#[case::in_order('0', '3', 79)]
#[case::the_other_way('3', '0', 79)]
#[case::at_once('0', '3', 0)]
fn the_reset_code_lets_a_lost_code_be_replaced(
    #[case] first: char,
    #[case] second: char,
    #[case] apart_ms: u64,
) {
    let mut board = Board::new(paired());
    reset_code(&mut board, (first, second), apart_ms);
    let told = board.told();
    assert!(
        told.ends_with("commit; attempt failures=1; commit; signal step-taken"),
        "{told}"
    );
    board.keys("246802#");
    assert_eq!(board.told(), "signal new-code-taken");
    board.keys("246802#");
    assert!(board.opens_with("246802") && !board.opens_with("123456"));
}

#[rstest]
#[case::too_far_apart(('0', '3'), 80)]
#[case::the_other_pair(('0', '1'), 0)]
fn another_reset_code_is_a_wrong_attempt(#[case] pair: (char, char), #[case] apart_ms: u64) {
    let mut board = Board::new(paired());
    reset_code(&mut board, pair, apart_ms);
    assert!(board.told().contains("refused failures=1"));
    assert!(board.opens_with("123456"));
}

#[test]
fn the_other_pair_is_a_stroke_as_well() {
    let mut lock = paired();
    lock.codes.reset_code = code("362(01)19");
    let mut board = Board::new(lock);
    reset_code(&mut board, ('1', '0'), 0);
    assert!(board.told().ends_with("signal step-taken"));
}

#[test]
fn keys_that_are_no_pair_end_the_change() {
    let mut board = Board::new(paired());
    board.keys("67*362");
    board.seen();
    chord(&mut board, '0', '2', 0);
    assert_eq!(
        board.told(),
        format!("change refused reason=cancelled; {REFUSED}")
    );
}

#[test]
fn a_pair_is_a_stroke_of_the_reset_code_and_of_no_other() {
    // In the new code, and where a code would open.
    let mut board = Board::new(paired());
    reset_code(&mut board, ('0', '3'), 0);
    board.keys("24");
    board.seen();
    chord(&mut board, '0', '1', 0);
    assert!(board.told().contains("reason=cancelled"));
    let mut board = Board::new(paired());
    board.keys("12");
    chord(&mut board, '0', '1', 0);
    board.keys("123456#");
    assert!(
        board.told().contains("accepted"),
        "what was begun is forgotten"
    );
}

#[test]
fn the_reset_code_opens_nothing() {
    let mut board = Board::new(paired());
    board.keys("362");
    board.wait(50);
    chord(&mut board, '0', '3', 0);
    board.keys("19#");
    assert!(
        board
            .told()
            .ends_with("refused failures=1; signal wrong-code; idle")
    );
}

#[test]
fn a_pair_gives_the_whole_window_again() {
    let mut board = Board::new(paired());
    board.keys("67*362");
    board.wait(29_000);
    chord(&mut board, '0', '3', 0);
    board.wait(29_000);
    board.keys("19#");
    assert!(board.told().contains("step-taken"));
}
