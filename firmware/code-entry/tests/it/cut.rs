//! Storage that fails, and power that goes at every commit of every flow, dropped before or after the write.

use code_entry::personality::LockoutPowerCycle;
use code_entry::{BoltPosition, Button, Input, Record, State};
use rstest::rstest;

use crate::board::{Board, Flash, key};
use crate::products::{code, safe, six_zeros, smart_lock};

#[test]
fn a_storage_that_fails_shows_a_fault_and_never_a_verdict() {
    for typed in ["159", "777"] {
        let mut board = failing(Board::new(safe()), 0, false);
        board.keys(typed);
        board.seen();
        assert!(board.try_input(Input::KeyDown(key('#'))).is_err());
        assert_eq!(board.told(), "drive rest; fault storage; signal fault");
        assert_eq!(board.state(), State::Fault);
    }
    let mut board = failing(Board::new(safe()), 1, false);
    board.keys("159");
    board.seen();
    assert!(board.try_input(Input::KeyDown(key('#'))).is_err());
    assert_eq!(
        board.told(),
        "commit; attempt failures=1; drive rest; fault storage; signal fault"
    );
}

#[test]
fn a_fault_answers_keys_and_does_nothing_else_until_power_on() {
    let mut board = failing(Board::new(safe()), 0, false);
    board.keys("159");
    board
        .try_input(Input::KeyDown(key('#')))
        .expect_err("no storage");
    board
        .try_input(Input::KeyUp(key('#')))
        .expect("a fault is told once");
    board.seen();
    board.keys("1");
    assert_eq!(board.seen(), ["signal fault"]);
    board.hold(Button::Reset, 50);
    board.hold(Button::Program, 40_000);
    board.input(Input::Door { open: false });
    assert_eq!(board.seen().len(), 0);
    assert_eq!(board.lock.next_deadline(), None);
    assert_eq!(
        board.status().to_string(),
        "state fault failures=0 users=0 lockout=0"
    );
    let mut board = board.power_cycle();
    assert_eq!(board.told(), "supply level=fresh mv=9000; idle");
}

#[test]
fn a_fault_while_open_rests_the_bolt_for_good() {
    let mut board = Board::new(safe());
    board.keys("159#");
    board = failing(board, 0, false);
    board.keys("777");
    board.seen();
    board
        .try_input(Input::KeyDown(key('#')))
        .expect_err("no storage");
    assert_eq!(board.told(), "drive rest; fault storage; signal fault");
    board.wait(10_000);
    assert_eq!(board.told(), "");
}

#[test]
fn a_fault_at_power_on_is_a_state() {
    let mut lock = safe();
    lock.lockout.power_cycle = LockoutPowerCycle::Restarts;
    let record = Record {
        stage: 1,
        lockout_left_ms: 5_000,
        ..Record::factory(&lock)
    };
    let flash = Flash {
        stored: Some(record.to_bytes()),
        commits_left: Some(0),
        ..Flash::default()
    };
    let mut board = Board::booted(lock.clone(), flash, Board::new(lock).found);
    assert_eq!(board.state(), State::Fault);
    assert!(
        board
            .told()
            .ends_with("drive rest; fault storage; signal fault")
    );
}

#[rstest]
#[case::checkpoint(0)]
#[case::end(9)]
fn a_lockout_whose_checkpoint_fails_does_not_end(#[case] commits: u32) {
    let mut board = Board::new(safe());
    for _ in 0..3 {
        board.keys("777#");
    }
    let mut board = failing(board, commits, false);
    board.try_wait(15_000).expect_err("no storage");
    assert_eq!(board.state(), State::Fault);
    assert!(board.stored().expect("stored").lockout_left_ms >= 1_500);
}

fn failing(mut board: Board, commits_left: u32, fails_written: bool) -> Board {
    let mut flash = board.lock.clone().into_storage();
    flash.commits_left = Some(commits_left);
    flash.fails_written = fails_written;
    board.lock = board.lock.with_storage(flash);
    board
}

/// A flow to cut: the board it starts on, what is done, and which sets of codes may be found afterwards.
struct Flow {
    name: &'static str,
    start: fn() -> Board,
    act: fn(&mut Board),
}

const FLOWS: [Flow; 6] = [
    Flow {
        name: "open",
        start: || Board::new(safe()),
        act: |board| type_in(board, "159#"),
    },
    Flow {
        name: "wrong",
        start: || Board::new(safe()),
        act: |board| type_in(board, "777#777#777#"),
    },
    Flow {
        name: "red button",
        start: || Board::new(safe()),
        act: |board| {
            press(board, Button::Reset, 100);
            type_in(board, "2468#");
        },
    },
    Flow {
        name: "six zeros",
        start: || Board::new(six_zeros()),
        act: |board| type_in(board, "000000123456246802246802"),
    },
    Flow {
        name: "master code",
        start: || Board::with_record(smart_lock(), |record| record.users[0] = code("1234")),
        act: |board| {
            press(board, Button::Program, 5_000);
            type_in(board, "8888#8888#");
        },
    },
    Flow {
        name: "reset",
        start: || {
            let mut board = Board::with_record(smart_lock(), |record| {
                record.users[0] = code("1234");
                record.master = code("8888");
                record.owned = true;
                record.failures = 2;
            });
            board.found.program_button_down = true;
            let mut board = board.power_cycle();
            board.found.program_button_down = false;
            board
        },
        act: |board| {
            board.wait(30_000);
            board.try_input(Input::ButtonUp(Button::Program)).ok();
            press(board, Button::Program, 100);
            for position in [BoltPosition::Withdrawn, BoltPosition::Thrown] {
                board.try_input(Input::Bolt(position)).ok();
            }
        },
    },
];

fn type_in(board: &mut Board, labels: &str) {
    for label in labels.chars() {
        board.try_input(Input::KeyDown(key(label))).ok();
        board.try_input(Input::KeyUp(key(label))).ok();
        board.try_wait(50).ok();
    }
}

fn press(board: &mut Board, button: Button, ms: u64) {
    board.try_input(Input::ButtonDown(button)).ok();
    board.try_wait(ms).ok();
    board.try_input(Input::ButtonUp(button)).ok();
}

#[test]
fn a_cut_at_any_commit_finds_the_record_before_or_after_it() {
    for flow in FLOWS {
        // The records of the whole flow, one for each commit.
        let mut whole = (flow.start)();
        let first = whole.stored();
        (flow.act)(&mut whole);
        let commits = whole.told().matches("commit").count() as u32;
        assert!(commits > 0, "{}", flow.name);

        for written in [false, true] {
            for commit in 0..commits {
                let mut reference = failing((flow.start)(), commit, true);
                (flow.act)(&mut reference);
                let after = reference.stored();
                let before = match commit {
                    0 => first,
                    _ => {
                        let mut reference = failing((flow.start)(), commit, false);
                        (flow.act)(&mut reference);
                        reference.stored()
                    }
                };
                let mut board = failing((flow.start)(), commit, written);
                board.seen();
                (flow.act)(&mut board);
                let at = format!("{}, commit {commit}, written {written}", flow.name);
                assert_eq!(board.stored(), if written { after } else { before }, "{at}");
                assert_eq!(board.state(), State::Fault, "{at}");
                invariants(&board, &at);
            }
        }
    }
}

/// What holds after a cut: exactly the old or the new codes work, and nothing opened that was not yet stored.
fn invariants(board: &Board, at: &str) {
    let record = board.stored();
    let codes = ["159", "2468", "123456", "246802", "1234"].map(|code| board.opens_with(code));
    let working = codes.iter().filter(|works| **works).count();
    let reset = record
        .is_some_and(|record| !record.handed || record == Record::factory(&board.personality));
    let empty_by_manual = board.personality.codes.factory.is_empty() && reset;
    assert_eq!(
        working,
        usize::from(!empty_by_manual),
        "{at}: one set of codes, whole"
    );
}

#[test]
fn a_wrong_attempt_cut_at_its_charge_is_charged_or_has_shown_nothing() {
    for written in [false, true] {
        let mut board = failing(Board::new(safe()), 0, written);
        board.keys("777");
        board.seen();
        board.try_input(Input::KeyDown(key('#'))).expect_err("cut");
        assert_eq!(board.told(), "drive rest; fault storage; signal fault");
        assert_eq!(
            board.stored().map_or(0, |record| record.failures),
            u16::from(written)
        );
    }
}

#[test]
fn pulling_the_battery_after_every_attempt_gains_nothing() {
    let mut board = Board::new(safe());
    let mut attempts = 0;
    for _ in 0..40 {
        board.keys("777#");
        attempts += board.told().matches("attempt").count();
        board = board.power_cycle();
    }
    assert_eq!(attempts, 3);
    assert_eq!(board.state(), State::Lockout);
}
