//! The bolt: held for its time, relocked, jammed, moved by hand, and learning the door.

use code_entry::BoltPosition::{Between, Thrown, Withdrawn};
use code_entry::{Button, Input, State};
use rstest::rstest;

use crate::board::{Board, PRESS_MS};
use crate::products::{code, safe, smart_lock};

/// A smart lock at the moment it accepted a code.
fn opened() -> Board {
    let mut board = Board::with_record(smart_lock(), |record| record.users[0] = code("1234"));
    board.keys("1234");
    board.wait(PRESS_MS);
    board.down('#');
    board.up('#');
    assert!(board.told().ends_with("signal accepted; drive withdraw"));
    board.now_ms = board.now_ms.next_multiple_of(1_000);
    board
}

#[test]
fn the_safes_solenoid_is_held_for_the_relock_time() {
    let mut board = Board::new(safe());
    board.keys("159");
    board.down('#');
    let accepted_ms = board.now_ms;
    board.seen();
    board.wait(30);
    board.input(Input::Bolt(Between));
    board.input(Input::Bolt(Withdrawn));
    assert_eq!(board.told(), "bolt moving; bolt withdrawn");
    assert_eq!(board.lock.next_deadline(), Some(accepted_ms + 5_000));
    board.wait(4_969);
    assert_eq!((board.told(), board.state()), ("".into(), State::Open));
    board.wait(1);
    assert_eq!(board.told(), "drive rest; idle");
    board.input(Input::Bolt(Thrown));
    assert_eq!(board.told(), "bolt thrown");
}

#[test]
fn a_safes_bolt_that_falls_back_does_not_end_the_relock_time() {
    let mut board = Board::new(safe());
    board.keys("159#");
    board.bolt_arrives(Withdrawn);
    board.bolt_arrives(Thrown);
    assert_eq!(board.state(), State::Open);
}

#[test]
fn the_motor_rests_on_arrival_and_throws_after_the_relock_time() {
    let mut board = Board::with_record(smart_lock(), |record| record.users[0] = code("1234"));
    board.keys("1234");
    board.down('#');
    let accepted_ms = board.now_ms;
    board.seen();
    board.wait(400);
    board.bolt_arrives(Withdrawn);
    assert_eq!(board.told(), "bolt moving; bolt withdrawn; drive rest");
    board.wait(29_599);
    assert_eq!(board.told(), "");
    board.wait(1);
    assert_eq!(board.now_ms, accepted_ms + 30_000);
    assert_eq!(
        (board.told().as_str(), board.state()),
        ("drive throw", State::Open)
    );
    board.input(Input::Bolt(Between));
    board.wait(400);
    board.input(Input::Bolt(Thrown));
    assert_eq!(board.told(), "bolt moving; bolt thrown; drive rest; idle");
    assert_eq!(board.lock.next_deadline(), None);
}

#[rstest]
#[case::just_in_time(999, "bolt withdrawn; drive rest")]
#[case::too_late(
    1_000,
    "drive rest; bolt jammed; signal bolt-jammed; idle; bolt withdrawn"
)]
fn the_way_out_has_its_time(#[case] after_ms: u64, #[case] told: &str) {
    let mut board = Board::with_record(smart_lock(), |record| record.users[0] = code("1234"));
    board.keys("1234");
    board.down('#');
    board.input(Input::Bolt(Between));
    board.seen();
    board.wait(after_ms);
    board.input(Input::Bolt(Withdrawn));
    assert_eq!(board.told(), told);
}

#[rstest]
#[case::just_in_time(999, "bolt thrown; drive rest; idle")]
#[case::too_late(
    1_000,
    "drive rest; bolt jammed; signal bolt-jammed; idle; bolt thrown"
)]
fn the_way_in_has_its_time(#[case] after_ms: u64, #[case] told: &str) {
    let mut board = opened();
    board.bolt_arrives(Withdrawn);
    board.down('#');
    board.input(Input::Bolt(Between));
    board.seen();
    board.wait(after_ms);
    board.input(Input::Bolt(Thrown));
    assert_eq!(board.told(), told);
}

#[test]
fn a_solenoid_that_does_not_pull_is_let_go() {
    let mut board = Board::new(safe());
    board.keys("159");
    board.down('#');
    board.seen();
    board.wait(199);
    assert_eq!(board.told(), "");
    board.wait(1);
    assert_eq!(
        board.told(),
        "drive rest; bolt jammed; signal bolt-jammed; idle"
    );
}

#[test]
fn the_lock_key_alone_throws_a_bolt_that_is_not_thrown() {
    for position in [Withdrawn, Between] {
        let mut board = opened();
        board.bolt_arrives(Withdrawn);
        board.input(Input::Bolt(position));
        board.seen();
        board.down('#');
        assert_eq!(
            (board.told().as_str(), board.state()),
            ("drive throw", State::Open)
        );
    }
}

#[test]
fn the_submit_key_alone_does_nothing_to_a_safe() {
    let mut board = Board::new(safe());
    board.input(Input::Bolt(Withdrawn));
    board.seen();
    board.key('#');
    assert_eq!(board.told(), "");
}

#[test]
fn a_code_while_open_gives_the_whole_time_again() {
    let mut board = opened();
    board.bolt_arrives(Withdrawn);
    board.wait(20_000);
    board.keys("1234");
    board.wait(PRESS_MS);
    board.seen();
    board.down('#');
    let accepted_ms = board.now_ms;
    assert!(board.told().ends_with("drive withdraw; drive rest"));
    assert_eq!(board.lock.next_deadline(), Some(accepted_ms + 30_000));
}

#[test]
fn a_code_while_throwing_turns_the_bolt_round() {
    let mut board = opened();
    board.bolt_arrives(Withdrawn);
    board.wait(30_000);
    board.input(Input::Bolt(Between));
    board.keys("1234#");
    board.seen();
    board.input(Input::Bolt(Withdrawn));
    assert_eq!(board.told(), "bolt withdrawn; drive rest");
}

#[test]
fn a_bolt_thrown_by_hand_needs_no_relock() {
    let mut board = opened();
    board.bolt_arrives(Withdrawn);
    board.wait(1_000);
    board.seen();
    board.input(Input::Bolt(Between));
    assert_eq!(board.state(), State::Open);
    board.input(Input::Bolt(Thrown));
    assert_eq!(board.told(), "bolt moving; bolt thrown; idle");
    assert_eq!(board.lock.next_deadline(), None);
}

#[test]
fn a_bolt_that_has_not_yet_left_is_still_on_its_way() {
    let mut board = opened();
    board.input(Input::Bolt(Between));
    board.input(Input::Bolt(Thrown));
    assert_eq!(
        board.state(),
        State::Open,
        "withdrawing, until it arrives or jams"
    );
}

#[test]
fn the_same_position_twice_is_no_news() {
    let mut board = Board::new(smart_lock());
    board.input(Input::Bolt(Thrown));
    assert_eq!(board.told(), "");
}

#[test]
fn without_a_relock_time_the_bolt_stays_until_the_lock_key() {
    let mut lock = smart_lock();
    lock.bolt.relock_ms = 0;
    let mut board = Board::with_record(lock, |record| record.users[0] = code("1234"));
    board.keys("1234#");
    board.bolt_arrives(Withdrawn);
    board.seen();
    assert_eq!(board.lock.next_deadline(), None);
    board.wait(3_600_000);
    assert_eq!((board.told(), board.state()), ("".into(), State::Open));
    board.down('#');
    assert_eq!(board.told(), "drive throw");
}

#[rstest]
#[case::withdrawn(Withdrawn, Some(30_000))]
#[case::between(Between, Some(30_000))]
#[case::thrown(Thrown, None)]
fn a_smart_lock_relocks_after_a_power_cut(
    #[case] position: code_entry::BoltPosition,
    #[case] due_ms: Option<u64>,
) {
    let mut board = opened();
    board.found.bolt = position;
    let mut board = board.power_cycle();
    board.seen();
    assert_eq!(board.lock.next_deadline(), due_ms);
    board.wait(30_000);
    assert_eq!(
        board.told(),
        if due_ms.is_some() { "drive throw" } else { "" }
    );
}

#[test]
fn a_safe_that_comes_up_open_drives_nothing() {
    let mut board = Board::new(safe());
    board.found.bolt = Withdrawn;
    let board = board.power_cycle();
    assert_eq!(
        (board.lock.next_deadline(), board.state()),
        (None, State::Idle)
    );
}

/// A smart lock that has to learn its door's hand as power comes.
fn unhanded(position: code_entry::BoltPosition) -> Board {
    let mut board = Board::with_record(smart_lock(), |record| {
        record.handed = false;
        record.users[0] = code("1234");
    });
    board.found.bolt = position;
    board.power_cycle()
}

#[test]
fn an_interrupted_learning_begins_again_at_power_on() {
    let mut board = unhanded(Thrown);
    assert!(
        board
            .told()
            .ends_with("supply level=fresh mv=9000; drive withdraw")
    );
    assert_eq!(
        (board.state(), board.lock.next_deadline()),
        (State::Handing, Some(1_000))
    );
    board.wait(10);
    board.bolt_arrives(Withdrawn);
    assert_eq!(board.told(), "bolt moving; bolt withdrawn; drive throw");
    assert_eq!(
        (board.state(), board.lock.next_deadline()),
        (State::Handing, Some(1_010))
    );
    board.wait(999);
    board.bolt_arrives(Thrown);
    assert_eq!(
        board.told(),
        "bolt moving; bolt thrown; drive rest; commit; idle"
    );
    assert!(board.stored().expect("stored").handed);
}

#[test]
fn learning_from_a_withdrawn_bolt_goes_straight_in() {
    let mut board = unhanded(Withdrawn);
    assert!(board.told().ends_with("drive withdraw; drive throw"));
    board.bolt_arrives(Thrown);
    assert!(board.stored().expect("stored").handed);
}

#[test]
fn keys_are_not_taken_while_the_bolt_learns() {
    let mut board = unhanded(Thrown);
    board.seen();
    board.down('1');
    assert_eq!(board.seen().len(), 0);
    board.up('1');
    board.bolt_arrives(Withdrawn);
    board.seen();
    board.down('2');
    assert_eq!(board.seen().len(), 0);
}

#[rstest]
#[case::out(&[])]
#[case::back_in(&[Between, Withdrawn, Between])]
fn a_jam_while_learning_leaves_it_for_the_next_power_on(#[case] way: &[code_entry::BoltPosition]) {
    let mut board = unhanded(Thrown);
    way.iter()
        .for_each(|position| board.input(Input::Bolt(*position)));
    board.seen();
    board.wait(999);
    assert_eq!(board.told(), "");
    board.wait(1);
    assert_eq!(
        board.told(),
        "drive rest; bolt jammed; signal bolt-jammed; idle"
    );
    assert!(!board.stored().expect("stored").handed);
    assert_eq!(board.power_cycle().state(), State::Handing);
}

#[test]
fn a_product_that_learns_no_hand_never_moves_by_itself() {
    let mut lock = smart_lock();
    lock.bolt.learns_hand = false;
    let mut board = Board::with_record(lock, |record| record.handed = false);
    assert_eq!(board.state(), State::Idle);
    board.found.program_button_down = true;
    let mut board = board.power_cycle();
    board.wait(30_000);
    board.input(Input::ButtonUp(Button::Program));
    board.seen();
    board.tap(Button::Program);
    assert_eq!(
        board.told(),
        "commit; reset done; codes users=0; signal reset-done; idle"
    );
}
