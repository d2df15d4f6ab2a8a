//! The supply: its levels, and what each forbids.

use code_entry::{Input, State};
use rstest::rstest;

use crate::board::Board;
use crate::products::{code, safe, smart_lock};

#[test]
fn a_level_is_told_when_it_changes() {
    let mut board = Board::new(safe());
    let mut told = Vec::new();
    for millivolts in [8_000, 5_200, 5_199, 4_600, 4_500, 4_499, 0, 4_500, 5_200] {
        board.input(Input::Supply(millivolts));
        told.push(board.told());
    }
    assert_eq!(
        told,
        [
            "",
            "",
            "supply level=low mv=5199",
            "",
            "",
            "supply level=critical mv=4499",
            "",
            "supply level=low mv=4500",
            "supply level=fresh mv=5200",
        ]
    );
}

#[rstest]
#[case::fresh(5_200, "supply level=fresh mv=5200; idle")]
#[case::low(5_199, "supply level=low mv=5199; idle")]
#[case::critical(4_499, "supply level=critical mv=4499; idle")]
fn the_level_is_told_at_power_on(#[case] millivolts: u16, #[case] told: &str) {
    let mut board = Board::new(safe());
    board.found.supply_mv = millivolts;
    assert_eq!(board.power_cycle().told(), told);
}

#[rstest]
#[case::fresh(5_200, "signal accepted; drive withdraw")]
#[case::low(5_199, "signal accepted; signal low-battery; drive withdraw")]
#[case::just_enough(4_500, "signal accepted; signal low-battery; drive withdraw")]
fn a_low_battery_warns_and_opens(#[case] millivolts: u16, #[case] told: &str) {
    let mut board = Board::new(safe());
    board.input(Input::Supply(millivolts));
    board.keys("159#");
    assert!(board.told().ends_with(told));
}

#[rstest]
#[case::right("159#")]
#[case::wrong("777#")]
fn below_the_opening_level_codes_are_not_looked_at(#[case] typed: &str) {
    let mut board = Board::new(safe());
    board.input(Input::Supply(4_499));
    board.seen();
    board.keys(typed);
    assert_eq!(
        board.told(),
        "supply level=critical mv=4499; signal low-battery; idle"
    );
    assert_eq!(board.stored(), None, "no attempt");
}

#[test]
fn a_critical_battery_still_throws_the_bolt() {
    let mut board = Board::with_record(smart_lock(), |record| record.users[0] = code("1234"));
    board.keys("1234#");
    board.bolt_arrives(code_entry::BoltPosition::Withdrawn);
    board.input(Input::Supply(4_000));
    board.seen();
    board.key('#');
    assert_eq!(
        (board.told().as_str(), board.state()),
        ("drive throw", State::Open)
    );
}

#[test]
fn a_product_without_levels_is_always_fresh() {
    let mut lock = safe();
    lock.supply = Default::default();
    let mut board = Board::new(lock);
    board.input(Input::Supply(0));
    assert_eq!(board.told(), "");
    board.keys("159#");
    assert!(board.told().contains("signal accepted; drive withdraw"));
}
