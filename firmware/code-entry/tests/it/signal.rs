//! Signals and console lines.

use code_entry::report::{BoltReport, Fault, Refusal, Report, ResetReport, SupplyLevel};
use code_entry::{Colour, Light, Pattern, Signal, SignalTable, State, Train};
use rstest::rstest;

use crate::board::Board;
use crate::products::{safe, smart_lock};

#[test]
fn each_signal_has_its_own_pattern() {
    let mut table = SignalTable::default();
    for (count, signal) in (1..).zip(Signal::ALL) {
        assert_eq!(table.get(signal), Pattern::SILENT);
        let train = Train {
            count,
            on_ms: 10,
            off_ms: 20,
        };
        table.set(
            signal,
            Pattern {
                light: Some(Light {
                    colour: Colour::Red,
                    train,
                }),
                sound: Some(train),
            },
        );
    }
    for (count, signal) in (1..).zip(Signal::ALL) {
        assert_eq!(
            table.get(signal).sound.map(|train| train.count),
            Some(count)
        );
    }
    assert_eq!(
        Pattern::SILENT,
        Pattern {
            light: None,
            sound: None
        }
    );
}

#[test]
fn each_signal_has_a_name() {
    let names: Vec<_> = Signal::ALL.iter().map(|signal| signal.name()).collect();
    assert_eq!(
        names.join(" "),
        "key-click accepted wrong-code change-accepted change-refused reset-armed reset-done lockout-begins \
         lockout-key low-battery time-out programming-open step-taken new-code-taken bolt-jammed fault"
    );
}

#[rstest]
#[case(Report::Idle, "idle")]
#[case(Report::Attempt { failures: 3 }, "attempt failures=3")]
#[case(Report::Accepted { slot: 2 }, "accepted slot=2")]
#[case(Report::Refused { failures: 4 }, "refused failures=4")]
#[case(Report::Lockout { stage: 1, left_ms: 15_000 }, "lockout stage=1 left=15000")]
#[case(Report::LockoutOver, "lockout over")]
#[case(Report::Bolt(BoltReport::Withdrawn), "bolt withdrawn")]
#[case(Report::Bolt(BoltReport::Thrown), "bolt thrown")]
#[case(Report::Bolt(BoltReport::Moving), "bolt moving")]
#[case(Report::Bolt(BoltReport::Jammed), "bolt jammed")]
#[case(Report::Reset(ResetReport::Armed), "reset armed")]
#[case(Report::Reset(ResetReport::Done), "reset done")]
#[case(Report::Reset(ResetReport::Refused), "reset refused")]
#[case(Report::Codes { users: 5 }, "codes users=5")]
#[case(Report::ChangeAccepted, "change accepted")]
#[case(Report::ChangeRefused(Refusal::Length), "change refused reason=length")]
#[case(Report::ChangeRefused(Refusal::Zeros), "change refused reason=zeros")]
#[case(
    Report::ChangeRefused(Refusal::Mismatch),
    "change refused reason=mismatch"
)]
#[case(Report::ChangeRefused(Refusal::Slot), "change refused reason=slot")]
#[case(
    Report::ChangeRefused(Refusal::Function),
    "change refused reason=function"
)]
#[case(
    Report::ChangeRefused(Refusal::Battery),
    "change refused reason=battery"
)]
#[case(Report::ChangeRefused(Refusal::Code), "change refused reason=code")]
#[case(
    Report::ChangeRefused(Refusal::Cancelled),
    "change refused reason=cancelled"
)]
#[case(
    Report::ChangeRefused(Refusal::NotPermitted),
    "change refused reason=not-permitted"
)]
#[case(Report::Supply { level: SupplyLevel::Fresh, millivolts: 9_000 }, "supply level=fresh mv=9000")]
#[case(Report::Supply { level: SupplyLevel::Low, millivolts: 5_100 }, "supply level=low mv=5100")]
#[case(Report::Supply { level: SupplyLevel::Critical, millivolts: 4_000 }, "supply level=critical mv=4000")]
#[case(Report::Fault(Fault::Personality), "fault personality")]
#[case(Report::Fault(Fault::Storage), "fault storage")]
#[case(Report::Fault(Fault::Record), "fault record")]
#[case(Report::TimeOut, "timeout")]
fn a_console_line(#[case] report: Report, #[case] line: &str) {
    assert_eq!(report.to_string(), line);
}

#[test]
fn each_state_has_a_word() {
    let words = [
        State::Idle,
        State::Entering,
        State::Programming,
        State::ResetArmed,
        State::Lockout,
        State::Open,
        State::Handing,
        State::Fault,
    ]
    .map(State::word);
    assert_eq!(
        words.join(" "),
        "idle entering programming reset-armed lockout open handing fault"
    );
}

#[test]
fn the_status_line() {
    let mut board = Board::new(safe());
    board.keys("777#1");
    assert_eq!(
        board.status().to_string(),
        "state entering failures=1 users=0 lockout=0"
    );
}

#[test]
fn the_lock_tells_whose_lock_it_is() {
    let board = Board::new(smart_lock());
    assert_eq!(board.lock.personality(), &smart_lock());
    assert_eq!(
        board.lock.record(),
        &code_entry::Record::factory(&smart_lock())
    );
}

#[test]
fn the_lock_is_small_enough_for_16_kib() {
    assert!(
        size_of::<code_entry::Lock<()>>() < 2_048,
        "{} bytes",
        size_of::<code_entry::Lock<()>>()
    );
}
