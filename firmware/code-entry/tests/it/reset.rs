//! Back to the factory state: by whom, when, and what goes and stays.

use code_entry::personality::{Guard, Parts, ResetTrigger, Trigger};
use code_entry::{BoltPosition, Button, Code, Input, Key, Lock, Record, State};
use rstest::rstest;

use crate::board::{Board, Face, Flash, Log, PRESS_MS};
use crate::products::{code, safe, six_zeros, smart_lock};

/// A used smart lock whose Program button is down as power comes.
fn refitted() -> Board {
    let mut board = Board::with_record(smart_lock(), |record| {
        record.users[0] = code("1234");
        record.users[5] = code("654321");
        record.master = code("8888");
        record.owned = true;
        record.failures = 2;
        record.recent = 2;
    });
    board.found.program_button_down = true;
    let mut board = board.power_cycle();
    board.seen();
    board
}

#[test]
fn program_held_from_power_on_released_and_tapped_again() {
    let mut board = refitted();
    assert_eq!(board.lock.next_deadline(), Some(30_000));
    board.wait(29_999);
    assert_eq!(board.told(), "");
    board.wait(1);
    assert_eq!(
        (board.told().as_str(), board.state()),
        ("reset armed; signal reset-armed", State::ResetArmed)
    );
    board.wait(60_000);
    board.input(Input::ButtonUp(Button::Program));
    assert_eq!(board.told(), "");
    board.wait(1_000);
    board.tap(Button::Program);
    assert_eq!(
        board.told(),
        "commit; reset done; codes users=0; signal reset-done; drive withdraw"
    );
    assert_eq!(board.state(), State::Handing);
    let record = board.stored().expect("stored");
    assert_eq!(
        record,
        Record {
            handed: false,
            ..Record::factory(&board.personality)
        }
    );
    board.bolt_arrives(BoltPosition::Withdrawn);
    assert_eq!(board.told(), "bolt moving; bolt withdrawn; drive throw");
    board.bolt_arrives(BoltPosition::Thrown);
    assert_eq!(
        board.told(),
        "bolt moving; bolt thrown; drive rest; commit; idle"
    );
    assert!(board.stored().expect("stored").handed);
    assert!(!board.opens_with("1234") && !board.opens_with("654321"));
}

#[rstest]
#[case::in_time(29_999, "commit; reset done")]
#[case::too_late(30_000, "timeout; signal time-out; idle")]
fn the_second_tap(#[case] after_ms: u64, #[case] told: &str) {
    let mut board = refitted();
    board.wait(30_000);
    board.input(Input::ButtonUp(Button::Program));
    board.wait(after_ms - PRESS_MS);
    board.input(Input::ButtonDown(Button::Program));
    board.wait(PRESS_MS);
    board.seen();
    // At the end of the window the tap is one for a change of codes again.
    let mut log = told.to_string();
    if after_ms == 30_000 {
        board.input(Input::ButtonUp(Button::Program));
        log = "signal programming-open".into();
    } else {
        board.input(Input::ButtonUp(Button::Program));
    }
    assert!(board.told().starts_with(&log));
}

#[test]
fn without_the_second_tap_nothing_is_reset() {
    let mut board = refitted();
    let before = board.stored();
    board.wait(30_000);
    board.input(Input::ButtonUp(Button::Program));
    board.seen();
    board.wait(30_000);
    assert_eq!(board.told(), "timeout; signal time-out; idle");
    assert_eq!(board.stored(), before);
    assert!(board.opens_with("1234"));
}

#[test]
fn released_too_early_nothing_is_armed_and_it_is_no_tap() {
    let mut board = refitted();
    board.wait(29_999);
    board.input(Input::ButtonUp(Button::Program));
    assert_eq!(board.told(), "");
    assert_eq!(board.lock.next_deadline(), None);
}

#[test]
fn what_the_start_takes_counts_into_the_hold() {
    let mut face = Face(Log::default());
    let found = code_entry::PowerOn {
        since_ms: 0,
        program_button_down: true,
        ..Board::new(smart_lock()).found
    };
    let mut lock = Lock::power_on(smart_lock(), Flash::default(), None, 360, found, &mut face);
    assert_eq!(lock.next_deadline(), Some(30_000));
    lock.tick(30_000, &mut face).expect("flash works");
    assert_eq!(lock.state(), State::ResetArmed);
}

#[test]
fn a_hold_that_begins_after_power_on_does_not_arm() {
    let mut board = refitted();
    board.input(Input::ButtonUp(Button::Program));
    board.input(Input::ButtonDown(Button::Program));
    board.wait(40_000);
    assert!(!board.told().contains("armed"));
}

#[test]
fn another_button_at_power_on_does_not_arm() {
    let mut board = refitted();
    board.found.program_button_down = false;
    board.found.reset_button_down = true;
    let mut board = board.power_cycle();
    board.seen();
    board.wait(40_000);
    board.input(Input::ButtonUp(Button::Reset));
    assert_eq!(board.told(), "");
}

#[test]
fn the_other_button_does_not_complete_a_reset() {
    let mut board = refitted();
    board.wait(30_000);
    board.input(Input::ButtonUp(Button::Program));
    board.seen();
    board.tap(Button::Reset);
    assert_eq!(
        (board.told(), board.state()),
        ("".into(), State::ResetArmed)
    );
}

#[test]
fn a_long_second_press_neither_resets_nor_gives_more_time() {
    let mut board = refitted();
    board.wait(30_000);
    board.input(Input::ButtonUp(Button::Program));
    let released_ms = board.now_ms;
    board.seen();
    board.hold(Button::Program, 6_000);
    assert_eq!(
        (board.told(), board.state()),
        ("".into(), State::ResetArmed)
    );
    assert_eq!(board.lock.next_deadline(), Some(released_ms + 30_000));
}

#[test]
fn another_buttons_hold_does_not_begin_the_window() {
    let mut lock = smart_lock();
    let mut other = lock.changes[2].clone();
    other.trigger = Trigger::Hold {
        button: Button::Reset,
        hold_ms: 1_000,
    };
    lock.changes.push(other).expect("room");
    let mut board = Board::new(lock);
    board.found.program_button_down = true;
    let mut board = board.power_cycle();
    board.wait(30_000);
    board.hold(Button::Reset, 1_000);
    assert_eq!(board.lock.next_deadline(), None);
    assert_eq!(board.state(), State::ResetArmed);
}

#[test]
fn a_reset_that_keeps_the_hand_does_not_move_the_bolt() {
    let mut lock = smart_lock();
    lock.changes.clear();
    lock.reset.trigger = ResetTrigger::Tap {
        button: Button::Program,
    };
    lock.reset.erases = Parts::USER_CODES;
    let mut board = Board::new(lock);
    board.tap(Button::Program);
    assert_eq!(
        board.told(),
        "commit; reset done; codes users=0; signal reset-done"
    );
}

#[test]
fn keys_are_not_taken_while_a_reset_is_armed() {
    let mut board = refitted();
    board.wait(30_000);
    board.seen();
    board.keys("1234#");
    assert_eq!(board.seen().len(), 0);
}

#[test]
fn a_power_cut_disarms() {
    let mut board = refitted();
    board.wait(30_000);
    board.input(Input::ButtonUp(Button::Program));
    board.found.program_button_down = false;
    let mut board = board.power_cycle();
    board.seen();
    board.tap(Button::Program);
    assert_eq!(board.told(), "signal programming-open");
    assert!(board.opens_with("1234"));
}

/// A six-zeros safe with a code of its owner, which is reset by holding the button for 5 to 10 s.
fn held(max_ms: Option<u32>) -> Board {
    let mut lock = six_zeros();
    lock.reset.trigger = ResetTrigger::Hold {
        button: Button::Reset,
        min_ms: 5_000,
        max_ms,
    };
    lock.reset.guard = Guard {
        door_open: true,
        bolt_withdrawn: false,
    };
    lock.reset.erases = Parts::USER_CODES;
    Board::with_record(lock, |record| {
        record.users[0] = code("246802");
        record.owned = true;
    })
}

#[rstest]
#[case::too_short(4_999, Some(10_000), "")]
#[case::shortest(
    5_000,
    Some(10_000),
    "reset armed; signal reset-armed; commit; reset done; codes users=1; signal reset-done; idle"
)]
#[case::longest(
    10_000,
    Some(10_000),
    "reset armed; signal reset-armed; commit; reset done; codes users=1; signal reset-done; idle"
)]
#[case::too_long(
    10_001,
    Some(10_000),
    "reset armed; signal reset-armed; reset refused; signal change-refused; idle"
)]
#[case::no_end(
    1_000_000,
    None,
    "reset armed; signal reset-armed; commit; reset done; codes users=1; signal reset-done; idle"
)]
fn a_hold_while_powered(#[case] held_ms: u64, #[case] max_ms: Option<u32>, #[case] told: &str) {
    let mut board = held(max_ms);
    board.wait(3);
    board.hold(Button::Reset, held_ms);
    assert_eq!(board.told(), told);
    let reset = told.contains("done");
    assert_eq!(
        (board.opens_with("123456"), board.opens_with("246802")),
        (reset, !reset)
    );
}

#[test]
fn a_short_press_of_a_reset_button_can_be_a_trigger_too() {
    let mut lock = held(None).personality;
    lock.changes = safe().changes;
    let mut board = Board::new(lock);
    board.tap(Button::Reset);
    assert_eq!(board.told(), "signal programming-open");
    board.hold(Button::Reset, 5_000);
    assert_eq!(
        board.told(),
        "reset armed; signal reset-armed; commit; reset done; codes users=1; signal reset-done; idle"
    );
}

#[test]
fn the_other_buttons_release_does_not_complete_a_hold() {
    let mut lock = held(Some(10_000)).personality;
    let mut change = safe().changes[0].clone();
    change.trigger = Trigger::Hold {
        button: Button::Program,
        hold_ms: 1_000,
    };
    lock.changes.push(change).expect("room");
    let mut board = Board::new(lock);
    board.input(Input::ButtonDown(Button::Program));
    board.wait(1_000);
    board.input(Input::ButtonDown(Button::Reset));
    board.wait(5_000);
    board.seen();
    board.input(Input::ButtonUp(Button::Program));
    assert_eq!(
        (board.told(), board.state()),
        ("".into(), State::ResetArmed)
    );
    board.input(Input::ButtonUp(Button::Reset));
    assert!(board.told().contains("reset done"));
}

#[test]
fn a_reset_by_hold_is_not_armed_by_a_button_down_at_power_on() {
    let mut board = held(None);
    board.found.reset_button_down = true;
    let mut board = board.power_cycle();
    board.seen();
    board.wait(10_000);
    board.input(Input::ButtonUp(Button::Reset));
    assert_eq!(board.told(), "");
}

#[test]
fn a_long_press_of_a_key_means_nothing_while_a_reset_is_armed() {
    let mut lock = held(None).personality;
    lock.entry.long_press_ms = 6_000;
    lock.changes[0].trigger = Trigger::LongPress(Key::Seven);
    let mut board = Board::new(lock);
    board.input(Input::ButtonDown(Button::Reset));
    board.wait(100);
    board.down('7');
    board.wait(6_000);
    assert_eq!(board.state(), State::ResetArmed);
}

#[rstest]
#[case::closed_before(&[Input::Door { open: false }], &[], "reset refused; signal change-refused")]
#[case::low_before(
    &[Input::Supply(4_999)],
    &[],
    "supply level=low mv=4999; reset refused; signal low-battery"
)]
#[case::just_enough(&[Input::Supply(5_000)], &[], "supply level=low mv=5000; reset armed; signal reset-armed; commit")]
#[case::closed_while_armed(
    &[],
    &[Input::Door { open: false }],
    "reset armed; signal reset-armed; reset refused; signal change-refused; idle"
)]
#[case::low_while_armed(
    &[],
    &[Input::Supply(4_999)],
    "reset armed; signal reset-armed; supply level=low mv=4999; reset refused; signal low-battery; idle"
)]
fn a_reset_needs_the_door_open_and_battery(
    #[case] before: &[Input],
    #[case] armed: &[Input],
    #[case] told: &str,
) {
    let mut board = held(None);
    before.iter().for_each(|input| board.input(*input));
    board.input(Input::ButtonDown(Button::Reset));
    board.wait(6_000);
    armed.iter().for_each(|input| board.input(*input));
    board.input(Input::ButtonUp(Button::Reset));
    let seen = board.told();
    assert!(seen.starts_with(told), "{seen}");
    assert_eq!(board.opens_with("246802"), told.contains("refused"));
}

#[test]
fn a_tap_may_reset_at_once() {
    let mut lock = safe();
    lock.changes[0].trigger = Trigger::Tap(Button::Program);
    lock.reset.trigger = ResetTrigger::Tap {
        button: Button::Reset,
    };
    lock.reset.erases = Parts::USER_CODES;
    let mut board = Board::with_record(lock, |record| {
        record.users[0] = code("2468");
        record.owned = true;
    });
    board.tap(Button::Program);
    assert_eq!(board.told(), "signal programming-open");
    board.tap(Button::Reset);
    assert_eq!(
        board.told(),
        "commit; reset done; codes users=0; signal reset-done; idle"
    );
    assert!(board.opens_with("159") && !board.opens_with("2468"));
}

#[rstest]
#[case::users(Parts::USER_CODES)]
#[case::master(Parts::MASTER)]
#[case::handing(Parts::HANDING)]
#[case::counters(Parts::COUNTERS)]
#[case::lockout(Parts::LOCKOUT)]
#[case::settings(Parts::SETTINGS)]
#[case::nothing(Parts::NONE)]
fn a_reset_erases_what_is_on_its_list_and_keeps_the_rest(#[case] erases: Parts) {
    let mut lock = smart_lock();
    lock.codes.factory_master = code("4321");
    lock.reset.erases = erases;
    let used = Record {
        users: [code("1234"); Record::SLOTS],
        master: code("8888"),
        failures: 7,
        recent: 2,
        stage: 1,
        lockout_left_ms: 60_000,
        owned: true,
        handed: true,
    };
    let mut expected = used;
    if erases == Parts::USER_CODES {
        expected.users = [Code::BLANK; Record::SLOTS];
        expected.owned = false;
    } else if erases == Parts::MASTER {
        expected.master = code("4321");
    } else if erases == Parts::HANDING {
        expected.handed = false;
    } else if erases == Parts::COUNTERS {
        (expected.failures, expected.recent, expected.stage) = (0, 0, 0);
    } else if erases == Parts::LOCKOUT {
        expected.lockout_left_ms = 0;
    }
    assert_eq!(used.after_reset(&lock), expected);
}

#[test]
fn a_reset_that_keeps_the_counters_keeps_them_in_the_lock_too() {
    let mut lock = safe();
    lock.changes.clear();
    lock.reset.trigger = ResetTrigger::Tap {
        button: Button::Reset,
    };
    for (erases, state) in [
        (Parts::NONE, State::Lockout),
        (Parts::COUNTERS, State::Idle),
    ] {
        lock.reset.erases = erases;
        let mut board = Board::new(lock.clone());
        board.keys("777#");
        board.keys("777#");
        board.tap(Button::Reset);
        board.keys("777#");
        assert_eq!(board.state(), state);
    }
}

#[test]
fn resetting_again_changes_nothing() {
    let mut board = Board::booted(
        smart_lock(),
        Flash::default(),
        code_entry::PowerOn {
            program_button_down: true,
            ..Board::new(smart_lock()).found
        },
    );
    for _ in 0..3 {
        board.wait(30_000);
        board.input(Input::ButtonUp(Button::Program));
        board.tap(Button::Program);
        assert_eq!(
            board.stored(),
            Some(Record {
                handed: false,
                ..Record::factory(&board.personality)
            })
        );
        board.bolt_arrives(BoltPosition::Withdrawn);
        board.bolt_arrives(BoltPosition::Thrown);
        assert_eq!(board.stored(), Some(Record::factory(&board.personality)));
        board.found.program_button_down = true;
        board = board.power_cycle();
    }
}
