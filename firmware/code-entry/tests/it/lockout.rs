//! Wrong attempts, lockouts, their checkpoints, and power cuts in them.

use code_entry::personality::{LockoutKeys, LockoutPowerCycle, LockoutStage, Parts, ResetTrigger};
use code_entry::{BoltPosition, Button, State};
use rstest::rstest;

use crate::board::{Board, PRESS_MS};
use crate::products::{code, safe, six_zeros, smart_lock};

fn wrong(board: &mut Board, times: u32) {
    for _ in 0..times {
        board.keys("777#");
        board.wait(PRESS_MS);
    }
}

/// A safe in its first lockout, at the moment it began.
fn locked_out() -> Board {
    let mut board = Board::new(safe());
    wrong(&mut board, 2);
    board.keys("777");
    board.wait(PRESS_MS);
    board.seen();
    board.down('#');
    board.up('#');
    board
}

#[test]
fn the_third_wrong_attempt_stores_the_lockout_with_its_charge() {
    let mut board = locked_out();
    assert_eq!(
        board.told(),
        "commit; attempt failures=3; refused failures=3; lockout stage=1 left=15000; signal lockout-begins"
    );
    let record = board.stored().expect("stored");
    assert_eq!(
        (
            record.failures,
            record.recent,
            record.stage,
            record.lockout_left_ms
        ),
        (3, 0, 1, 15_000)
    );
    assert_eq!(
        board.status().to_string(),
        "state lockout failures=3 users=0 lockout=15000"
    );
}

#[test]
fn checkpoints_come_every_tenth_and_the_end_is_stored_before_it_is_told() {
    let mut board = locked_out();
    board.seen();
    board.wait(1_499);
    assert_eq!(board.told(), "");
    assert_eq!(board.status().lockout_ms, 13_501);
    board.wait(1);
    assert_eq!(board.told(), "commit; lockout stage=1 left=13500");
    assert_eq!(board.stored().expect("stored").lockout_left_ms, 13_500);
    board.wait(13_499);
    assert_eq!(board.told().matches("commit; lockout stage=1").count(), 8);
    assert_eq!(board.state(), State::Lockout);
    board.wait(1);
    assert_eq!(board.told(), "commit; lockout over; idle");
    assert_eq!(board.stored().expect("stored").lockout_left_ms, 0);
    assert_eq!(
        board.status().to_string(),
        "state idle failures=3 users=0 lockout=0"
    );
    board.keys("159#");
    assert!(board.told().contains("accepted"));
}

#[test]
fn long_lockouts_are_stored_every_half_minute() {
    let mut board = Board::with_record(safe(), |record| {
        record.stage = 1;
        record.failures = 3;
    });
    wrong(&mut board, 1);
    board.keys("777");
    board.wait(PRESS_MS);
    board.seen();
    board.down('#');
    assert!(
        board
            .told()
            .contains("attempt failures=5; refused failures=5; lockout stage=2 left=300000")
    );
    let mut left = Vec::new();
    for _ in 0..10 {
        board.wait(30_000);
        left.push(board.told());
    }
    let expected: Vec<_> = (1..10)
        .map(|n| format!("commit; lockout stage=2 left={}", 300_000 - n * 30_000))
        .collect();
    assert_eq!(left[..9], expected);
    assert_eq!(left[9], "commit; lockout over; idle");
}

#[test]
fn the_last_stage_repeats() {
    let mut board = Board::new(safe());
    let mut begun = Vec::new();
    for attempt in 1..=9 {
        board.keys("777");
        board.wait(PRESS_MS);
        board.seen();
        board.down('#');
        board.up('#');
        let told = board.told();
        if let Some(at) = told.find("lockout stage") {
            begun.push((attempt, told[at..].to_string()));
            board.wait(300_000);
        }
    }
    let second = "lockout stage=2 left=300000; signal lockout-begins".to_string();
    assert_eq!(
        begun,
        [
            (
                3,
                "lockout stage=1 left=15000; signal lockout-begins".to_string()
            ),
            (5, second.clone()),
            (7, second.clone()),
            (9, second),
        ]
    );
}

#[test]
fn a_right_code_starts_the_count_and_the_stages_anew() {
    let mut board = locked_out();
    board.wait(15_000);
    wrong(&mut board, 1);
    board.keys("159#");
    board.bolt_arrives(BoltPosition::Withdrawn);
    wrong(&mut board, 2);
    assert_eq!(board.state(), State::Open);
    board.seen();
    wrong(&mut board, 1);
    assert!(
        board
            .told()
            .contains("attempt failures=3; refused failures=3; lockout stage=1 left=15000")
    );
}

#[test]
fn without_stages_nothing_locks_out() {
    let mut lock = safe();
    lock.lockout.stages.clear();
    let mut board = Board::new(lock);
    wrong(&mut board, 12);
    assert_eq!(board.state(), State::Idle);
    let record = board.stored().expect("stored");
    assert_eq!((record.failures, record.recent), (12, 10));
}

#[rstest]
#[case::ignored(LockoutKeys::Ignored, "", 10_000)]
#[case::answered(LockoutKeys::Answered, "signal lockout-key", 10_000)]
#[case::restart(
    LockoutKeys::Restart,
    "commit; lockout stage=1 left=15000; signal lockout-key",
    15_000
)]
fn a_key_during_a_lockout(#[case] keys: LockoutKeys, #[case] told: &str, #[case] left_ms: u32) {
    let mut lock = safe();
    lock.lockout.keys = keys;
    let mut board = Board::new(lock);
    board.found.door_open = true;
    wrong(&mut board, 2);
    board.keys("777");
    board.down('#');
    board.up('#');
    board.wait(5_000);
    board.seen();
    board.down('1');
    board.up('1');
    assert_eq!(board.told(), told);
    assert_eq!(board.status().lockout_ms, left_ms);
    board.wait(15_000);
    board.seen();
    board.keys("59#");
    assert!(
        board.told().contains("refused"),
        "the key of the lockout is not part of an entry"
    );
}

#[test]
fn the_right_code_during_a_lockout_is_not_even_an_attempt() {
    let mut board = locked_out();
    board.seen();
    board.keys("159#");
    assert_eq!(board.told(), "");
    assert_eq!(board.stored().expect("stored").failures, 3);
}

#[rstest]
#[case::resumes(
    LockoutPowerCycle::Resumes,
    "lockout stage=1 left=9000; signal lockout-begins",
    9_000,
    9_000
)]
#[case::restarts(
    LockoutPowerCycle::Restarts,
    "commit; lockout stage=1 left=15000; signal lockout-begins",
    15_000,
    15_000
)]
#[case::extends(
    LockoutPowerCycle::Extends { by_ms: 120_000 },
    "commit; lockout stage=1 left=129000; signal lockout-begins",
    129_000,
    129_000
)]
#[case::clears(LockoutPowerCycle::Clears, "commit; lockout over; idle", 0, 0)]
fn a_power_cut_in_a_lockout(
    #[case] rule: LockoutPowerCycle,
    #[case] told: &str,
    #[case] left_ms: u32,
    #[case] stored_ms: u32,
) {
    let mut lock = safe();
    lock.lockout.power_cycle = rule;
    let mut board = Board::new(lock);
    wrong(&mut board, 2);
    board.keys("777");
    board.down('#');
    board.wait(7_000);
    board.seen();
    // The last checkpoint was at 6 s.
    let mut board = board.power_cycle();
    assert_eq!(board.told(), format!("supply level=fresh mv=9000; {told}"));
    assert_eq!(board.status().lockout_ms, left_ms);
    let record = board.stored().expect("stored");
    assert_eq!(
        (record.lockout_left_ms, record.failures, record.stage),
        (stored_ms, 3, 1)
    );
}

/// The power goes before the next checkpoint would store it.
#[test]
fn a_lockout_that_a_key_restarted_goes_on_after_a_power_cut_from_its_beginning() {
    let mut lock = safe();
    lock.lockout.keys = LockoutKeys::Restart;
    let mut board = Board::new(lock);
    wrong(&mut board, 3);
    board.wait(5_000);
    assert!(board.stored().expect("stored").lockout_left_ms < 15_000);
    board.down('1');
    assert_eq!(board.stored().expect("stored").lockout_left_ms, 15_000);
    assert_eq!(board.power_cycle().status().lockout_ms, 15_000);
}

#[test]
fn an_extension_stops_at_the_longest_time_that_can_be_stored() {
    let mut lock = safe();
    lock.lockout.power_cycle = LockoutPowerCycle::Extends { by_ms: u32::MAX };
    let board = Board::with_record(lock, |record| {
        record.stage = 1;
        record.lockout_left_ms = 5_000;
    });
    assert_eq!(board.status().lockout_ms, u32::MAX);
}

#[test]
fn a_lockout_survives_many_cuts_and_ends_only_by_the_clock() {
    let mut board = locked_out();
    let mut left_ms = 15_000;
    for cut in 0..50 {
        board.wait(cut * 7 % 1_600);
        board = board.power_cycle();
        let now = board.status().lockout_ms;
        assert!(
            now <= left_ms && left_ms - now <= 1_500,
            "from {left_ms} to {now} in cut {cut}"
        );
        left_ms = now;
    }
    board.wait(u64::from(left_ms) - 1);
    assert_eq!(board.state(), State::Lockout);
    board.wait(1);
    assert_eq!(board.state(), State::Idle);
}

#[test]
fn a_resumed_lockout_keeps_its_checkpoints() {
    let mut board = locked_out();
    board.wait(3_000);
    let mut board = board.power_cycle();
    board.seen();
    assert_eq!(board.lock.next_deadline(), Some(1_500));
    board.wait(1_500);
    assert_eq!(board.told(), "commit; lockout stage=1 left=10500");
}

#[test]
fn wrong_attempts_count_across_power_cuts() {
    let mut board = Board::new(safe());
    for _ in 0..2 {
        wrong(&mut board, 1);
        board = board.power_cycle();
    }
    wrong(&mut board, 1);
    assert_eq!(
        board.status().to_string(),
        "state lockout failures=3 users=0 lockout=14900"
    );
}

#[rstest]
#[case::within(59_999, true)]
#[case::too_far_apart(60_000, false)]
fn only_attempts_within_the_window_lock_out(#[case] apart_ms: u64, #[case] locks: bool) {
    let mut board = Board::new(smart_lock());
    board.keys("7777#");
    board.wait(30_000);
    board.keys("7777");
    board.down('#');
    board.up('#');
    let first_submit_ms = 8 * PRESS_MS;
    board.wait(first_submit_ms + apart_ms - board.now_ms - 8 * PRESS_MS);
    board.keys("7777");
    board.wait(PRESS_MS);
    board.seen();
    board.down('#');
    assert_eq!(board.now_ms - first_submit_ms, apart_ms);
    assert_eq!(board.state() == State::Lockout, locks);
    let record = board.stored().expect("stored");
    assert_eq!(
        (record.failures, record.recent),
        (3, if locks { 0 } else { 2 })
    );
}

#[test]
fn after_a_power_cut_earlier_attempts_count_as_made_just_now() {
    let mut board = Board::new(smart_lock());
    for _ in 0..2 {
        board.keys("7777#");
    }
    board.wait(3_600_000);
    let mut board = board.power_cycle();
    board.wait(59_000);
    board.keys("7777#");
    assert_eq!(board.state(), State::Lockout);
}

#[test]
fn more_attempts_than_a_stage_waits_for_lock_out_at_the_next() {
    // As left by a personality that waited for more.
    let mut board = Board::with_record(safe(), |record| record.recent = 7);
    wrong(&mut board, 1);
    assert_eq!(board.state(), State::Lockout);
}

#[test]
fn a_lockout_that_lost_its_stage_runs_on() {
    for left_ms in [1, 5, 20_000] {
        let mut board = Board::with_record(safe(), |record| record.lockout_left_ms = left_ms);
        assert_eq!(board.status().lockout_ms, left_ms);
        board.wait(u64::from(left_ms) - 1);
        assert_eq!(board.state(), State::Lockout);
        board.wait(1);
        assert_eq!(board.state(), State::Idle);
    }
}

#[test]
fn a_lockout_without_its_stage_restarts_from_what_is_stored() {
    let mut lock = safe();
    lock.lockout.power_cycle = LockoutPowerCycle::Restarts;
    let board = Board::with_record(lock, |record| record.lockout_left_ms = 1_234);
    assert_eq!(board.status().lockout_ms, 1_234);
}

#[test]
fn buttons_open_no_change_during_a_lockout() {
    let mut board = locked_out();
    board.seen();
    board.tap(Button::Reset);
    assert_eq!((board.told(), board.state()), ("".into(), State::Lockout));
}

#[rstest]
#[case::kept(Parts::USER_CODES, State::Lockout, "")]
#[case::erased(Parts::LOCKOUT, State::Idle, "; lockout over; idle")]
fn a_reset_during_a_lockout(#[case] erases: Parts, #[case] state: State, #[case] over: &str) {
    let mut lock = safe();
    lock.changes.clear();
    lock.reset.trigger = ResetTrigger::Tap {
        button: Button::Reset,
    };
    lock.reset.erases = erases;
    let mut board = Board::new(lock);
    wrong(&mut board, 3);
    board.seen();
    board.tap(Button::Reset);
    assert_eq!(
        board.told(),
        format!("commit; reset done; codes users=0; signal reset-done{over}")
    );
    assert_eq!(board.state(), state);
}

#[test]
fn a_reset_without_a_lockout_ends_none() {
    let mut lock = safe();
    lock.changes.clear();
    lock.reset.trigger = ResetTrigger::Tap {
        button: Button::Reset,
    };
    lock.reset.erases = Parts::LOCKOUT;
    let mut board = Board::new(lock);
    board.tap(Button::Reset);
    assert_eq!(
        board.told(),
        "commit; reset done; codes users=0; signal reset-done"
    );
}

#[test]
fn attempts_for_a_change_share_the_count() {
    let mut board = Board::new(six_zeros());
    for attempt in 1..=3 {
        board.seen();
        board.keys("000000");
        board.wait(PRESS_MS);
        board.keys("777777");
        board.wait(PRESS_MS);
        let told = board.told();
        let verdict = match attempt {
            3 => "lockout stage=1 left=15000; signal lockout-begins; change refused reason=code",
            _ => "signal wrong-code; change refused reason=code; idle",
        };
        assert_eq!(
            told,
            format!(
                "signal programming-open; commit; attempt failures={attempt}; refused failures={attempt}; {verdict}"
            )
        );
    }
}

#[test]
fn a_master_code_shares_the_count() {
    let mut lock = smart_lock();
    lock.lockout.stages = [LockoutStage {
        wrong: 1,
        duration_ms: 1_000,
    }]
    .into_iter()
    .collect();
    let mut board = Board::with_record(lock, |record| record.master = code("8888"));
    board.tap(Button::Program);
    board.keys("8889#");
    assert!(board.told().ends_with(
        "commit; attempt failures=1; refused failures=1; lockout stage=1 left=1000; signal lockout-begins; \
         change refused reason=code"
    ));
}

#[test]
fn the_failure_count_stops_at_its_end() {
    let mut lock = safe();
    lock.lockout.stages.clear();
    let mut board = Board::with_record(lock, |record| record.failures = u16::MAX);
    wrong(&mut board, 1);
    assert_eq!(board.stored().expect("stored").failures, u16::MAX);
}
