//! Personalities that contradict themselves, each with the rule it breaks, and their neighbours that do not.

use code_entry::personality::{
    FactoryRule, Kind, Parts, ResetTrigger, RuleError, Step, Target, Trigger,
};
use code_entry::{Button, Code, Key, Personality};
use rstest::rstest;

use crate::products::{code, functions, paired, permanent, safe, six_zeros, smart_lock};

fn hold(button: Button, hold_ms: u32) -> Trigger {
    Trigger::Hold { button, hold_ms }
}

fn power_on_hold(hold_ms: u32, tap_within_ms: u32) -> ResetTrigger {
    ResetTrigger::PowerOnHold {
        button: Button::Program,
        hold_ms,
        tap_within_ms,
    }
}

fn reset_hold(min_ms: u32, max_ms: Option<u32>) -> ResetTrigger {
    ResetTrigger::Hold {
        button: Button::Reset,
        min_ms,
        max_ms,
    }
}

fn steps(lock: &mut Personality, steps: &[Step]) {
    lock.changes[0].steps = steps.iter().copied().collect();
}

fn keys(lock: &mut Personality, keys: &[Key]) {
    lock.changes[0].trigger = Trigger::Keys(keys.iter().copied().collect());
}

#[rstest]
#[case::safe(safe())]
#[case::smart_lock(smart_lock())]
#[case::six_zeros(six_zeros())]
#[case::functions(functions())]
#[case::permanent(permanent())]
#[case::paired(paired())]
fn the_products_fit_together(#[case] personality: Personality) {
    assert_eq!(personality.check(), Ok(()));
}

type Change = fn(&mut Personality);

#[rstest]
#[case::no_digits(|p: &mut Personality| p.entry.digits_min = 0, RuleError::Digits)]
#[case::digits_reversed(|p: &mut Personality| p.entry.digits_min = 9, RuleError::Digits)]
#[case::too_many_digits(|p: &mut Personality| p.entry.digits_max = 11, RuleError::Digits)]
#[case::endless(|p: &mut Personality| p.entry.submit.clear(), RuleError::Submit)]
#[case::submit_is_a_digit(|p: &mut Personality| p.entry.submit[0] = Key::Nine, RuleError::EntryKey)]
#[case::clear_is_a_digit(|p: &mut Personality| p.entry.clear = Some(Key::Zero), RuleError::EntryKey)]
#[case::clear_is_submit(|p: &mut Personality| p.entry.clear = Some(Key::Hash), RuleError::EntryKey)]
#[case::no_idle_time(|p: &mut Personality| p.entry.idle_ms = 0, RuleError::Time)]
#[case::no_slots(|p: &mut Personality| p.codes.user_slots = 0, RuleError::Slots)]
#[case::too_many_slots(|p: &mut Personality| p.codes.user_slots = 21, RuleError::Slots)]
#[case::factory_too_short(|p: &mut Personality| p.codes.factory[0] = code("15"), RuleError::FactoryCode)]
#[case::factory_too_long(|p: &mut Personality| p.codes.factory[0] = code("123456789"), RuleError::FactoryCode)]
#[case::factory_blank(|p: &mut Personality| p.codes.factory[0] = Code::BLANK, RuleError::FactoryCode)]
#[case::factory_zeros(|p: &mut Personality| p.codes.factory[0] = code("0000"), RuleError::FactoryCode)]
#[case::factory_missing(|p: &mut Personality| p.codes.factory.clear(), RuleError::FactoryCode)]
#[case::factory_though_none(|p: &mut Personality| p.codes.factory_rule = FactoryRule::None, RuleError::FactoryCode)]
#[case::more_factory_than_slots(|p: &mut Personality| p.codes.factory.push(code("753")).expect("room"), RuleError::FactoryCode)]
#[case::master_too_short(|p: &mut Personality| p.codes.factory_master = code("12"), RuleError::FactoryCode)]
#[case::no_window(|p: &mut Personality| p.changes[0].window_ms = 0, RuleError::Time)]
#[case::no_hold(|p: &mut Personality| p.changes[0].trigger = hold(Button::Reset, 0), RuleError::Time)]
#[case::empty_keys(|p: &mut Personality| keys(p, &[]), RuleError::KeySequence)]
#[case::star_first(|p: &mut Personality| keys(p, &[Key::Star, Key::Two]), RuleError::KeySequence)]
#[case::hash_within(|p: &mut Personality| keys(p, &[Key::Two, Key::Hash, Key::Star]), RuleError::KeySequence)]
#[case::no_steps(|p: &mut Personality| steps(p, &[]), RuleError::Steps)]
#[case::no_new(|p: &mut Personality| steps(p, &[Step::Old]), RuleError::Steps)]
#[case::again_first(|p: &mut Personality| steps(p, &[Step::Again, Step::New]), RuleError::Steps)]
#[case::new_hand(|p: &mut Personality| p.changes[0].target = Target::Hand, RuleError::Steps)]
#[case::hand_for_nothing(
    |p: &mut Personality| { steps(p, &[]); p.changes[0].target = Target::Hand },
    RuleError::Steps
)]
#[case::again_without_new(
    |p: &mut Personality| { steps(p, &[Step::Old, Step::Again]); p.changes[0].target = Target::Own },
    RuleError::Steps
)]
#[case::deleted_without_old(
    |p: &mut Personality| { steps(p, &[Step::Master]); p.changes[0].target = Target::Own },
    RuleError::Steps
)]
#[case::free_without_new(
    |p: &mut Personality| { steps(p, &[Step::Old]); p.changes[0].target = Target::Free },
    RuleError::Steps
)]
#[case::no_factory_code_to_ask_for(
    |p: &mut Personality| {
        p.codes.factory.clear();
        p.codes.factory_rule = FactoryRule::None;
        steps(p, &[Step::Factory, Step::New]);
    },
    RuleError::Steps
)]
#[case::no_reset_code_to_ask_for(|p: &mut Personality| steps(p, &[Step::ResetCode, Step::New]), RuleError::Steps)]
#[case::function_of_two_digits(|p: &mut Personality| steps(p, &[Step::Function(10), Step::New]), RuleError::Steps)]
#[case::late_function(|p: &mut Personality| steps(p, &[Step::Old, Step::Function(1), Step::New]), RuleError::Steps)]
#[case::slot_zero(|p: &mut Personality| p.changes[0].target = Target::Slot(0), RuleError::Steps)]
#[case::slot_beyond(|p: &mut Personality| p.changes[0].target = Target::Slot(2), RuleError::Steps)]
#[case::own_without_old(|p: &mut Personality| p.changes[0].target = Target::Own, RuleError::Steps)]
#[case::tapped_without_tap(
    |p: &mut Personality| { keys(p, &[Key::Star]); p.changes[0].target = Target::Tapped },
    RuleError::Steps
)]
#[case::second_change(
    |p: &mut Personality| { let mut other = p.changes[0].clone(); other.window_ms = 0; p.changes.push(other).expect("room") },
    RuleError::Time
)]
#[case::stage_of_none(|p: &mut Personality| p.lockout.stages[0].wrong = 0, RuleError::Stage)]
#[case::stage_of_eleven(|p: &mut Personality| p.lockout.stages[1].wrong = 11, RuleError::Stage)]
#[case::no_lockout_time(|p: &mut Personality| p.lockout.stages[1].duration_ms = 0, RuleError::Stage)]
#[case::reset_without_hold(|p: &mut Personality| p.reset.trigger = reset_hold(0, None), RuleError::Time)]
#[case::power_on_without_hold(|p: &mut Personality| p.reset.trigger = power_on_hold(0, 1), RuleError::Time)]
#[case::power_on_without_window(|p: &mut Personality| p.reset.trigger = power_on_hold(1, 0), RuleError::Time)]
#[case::hold_window_reversed(|p: &mut Personality| p.reset.trigger = reset_hold(5_000, Some(4_999)), RuleError::HoldWindow)]
#[case::two_taps(|p: &mut Personality| p.reset.trigger = ResetTrigger::Tap { button: Button::Reset }, RuleError::ButtonClash)]
#[case::two_holds(
    |p: &mut Personality| { p.reset.trigger = reset_hold(5_000, None); p.changes[0].trigger = hold(Button::Reset, 2_000) },
    RuleError::ButtonClash
)]
#[case::two_holds_alike(
    |p: &mut Personality| { p.reset.trigger = reset_hold(5_000, None); p.changes[0].trigger = hold(Button::Reset, 5_000) },
    RuleError::ButtonClash
)]
#[case::changes_of_two_holds(
    |p: &mut Personality| {
        let mut other = p.changes[0].clone();
        other.trigger = hold(Button::Program, 1_000);
        p.changes[0].trigger = hold(Button::Program, 2_000);
        p.changes.push(other).expect("room");
    },
    RuleError::ButtonClash
)]
#[case::erased_and_kept(
    |p: &mut Personality| { p.reset.erases = Parts::MASTER.and(Parts::LOCKOUT); p.reset.keeps = Parts::LOCKOUT },
    RuleError::Parts
)]
#[case::no_travel_time(|p: &mut Personality| p.bolt.travel_ms = 0, RuleError::Time)]
#[case::solenoid_for_ever(|p: &mut Personality| p.bolt.relock_ms = 0, RuleError::Relock)]
#[case::relocked_on_the_way(|p: &mut Personality| p.bolt.relock_ms = 200, RuleError::Relock)]
#[case::smart_lock_relocked_on_the_way(
    |p: &mut Personality| { p.kind = Kind::SmartLock; p.bolt.relock_ms = 100 },
    RuleError::Relock
)]
fn a_contradiction(#[case] change: Change, #[case] error: RuleError) {
    let mut personality = safe();
    change(&mut personality);
    assert_eq!(personality.check(), Err(error));
}

#[rstest]
#[case::one_digit(|p: &mut Personality| p.entry.digits_min = 1)]
#[case::ten_digits(|p: &mut Personality| p.entry.digits_max = 10)]
#[case::one_length(|p: &mut Personality| { p.entry.submit.clear(); p.entry.digits_max = 3 })]
#[case::no_clear_key(|p: &mut Personality| p.entry.clear = None)]
#[case::twenty_slots(|p: &mut Personality| p.codes.user_slots = 20)]
#[case::no_factory_code(|p: &mut Personality| { p.codes.factory.clear(); p.codes.factory_rule = FactoryRule::None })]
#[case::as_many_factory_codes_as_slots(
    |p: &mut Personality| { p.codes.user_slots = 2; p.codes.factory.push(code("753")).expect("room") }
)]
#[case::factory_master(|p: &mut Personality| p.codes.factory_master = code("8888"))]
#[case::factory_master_of_zeros(|p: &mut Personality| p.codes.factory_master = code("0000"))]
#[case::ask_for_the_factory_code(|p: &mut Personality| steps(p, &[Step::Factory, Step::New]))]
#[case::ask_for_the_reset_code(
    |p: &mut Personality| { p.codes.reset_code = code("(01)"); steps(p, &[Step::ResetCode, Step::New]) }
)]
#[case::function_nine(|p: &mut Personality| steps(p, &[Step::Function(9), Step::New]))]
#[case::delete_own(|p: &mut Personality| { steps(p, &[Step::Old]); p.changes[0].target = Target::Own })]
#[case::hand(|p: &mut Personality| { steps(p, &[Step::Function(0)]); p.changes[0].target = Target::Hand })]
#[case::free(|p: &mut Personality| p.changes[0].target = Target::Free)]
#[case::one_key(|p: &mut Personality| keys(p, &[Key::Star]))]
#[case::digits_and_star(|p: &mut Personality| keys(p, &[Key::Two, Key::Two, Key::Star]))]
#[case::new_again(|p: &mut Personality| steps(p, &[Step::New, Step::Again]))]
#[case::own_with_old(|p: &mut Personality| { steps(p, &[Step::Old, Step::New]); p.changes[0].target = Target::Own })]
#[case::target_master(|p: &mut Personality| p.changes[0].target = Target::Master)]
#[case::tapped(|p: &mut Personality| p.changes[0].target = Target::Tapped)]
#[case::no_changes(|p: &mut Personality| p.changes.clear())]
#[case::other_buttons_tap(|p: &mut Personality| p.reset.trigger = ResetTrigger::Tap { button: Button::Program })]
#[case::other_buttons_hold(
    |p: &mut Personality| { p.reset.trigger = reset_hold(5_000, None); p.changes[0].trigger = hold(Button::Program, 2_000) }
)]
#[case::changes_of_one_hold(
    |p: &mut Personality| {
        p.changes[0].trigger = hold(Button::Program, 1_000);
        let other = p.changes[0].clone();
        p.changes.push(other).expect("room");
    }
)]
#[case::stage_of_one(|p: &mut Personality| p.lockout.stages[0].wrong = 1)]
#[case::stage_of_ten(|p: &mut Personality| p.lockout.stages[1].wrong = 10)]
#[case::hold_window_of_one_moment(|p: &mut Personality| p.reset.trigger = reset_hold(5_000, Some(5_000)))]
#[case::shortest_hold(|p: &mut Personality| p.reset.trigger = power_on_hold(1, 1))]
#[case::erased_or_kept(|p: &mut Personality| { p.reset.erases = Parts::MASTER; p.reset.keeps = Parts::LOCKOUT })]
#[case::relocked_just_after(|p: &mut Personality| p.bolt.relock_ms = 201)]
#[case::smart_lock_for_ever(|p: &mut Personality| { p.kind = Kind::SmartLock; p.bolt.relock_ms = 0 })]
fn no_contradiction(#[case] change: Change) {
    let mut personality = safe();
    change(&mut personality);
    assert_eq!(personality.check(), Ok(()));
}

#[test]
fn parts_are_sets() {
    let some = Parts::MASTER.and(Parts::LOCKOUT);
    assert!(some.contains(Parts::MASTER) && some.contains(some) && some.contains(Parts::NONE));
    assert!(!some.contains(Parts::HANDING) && !some.contains(some.and(Parts::HANDING)));
    assert!(some.overlaps(Parts::LOCKOUT.and(Parts::HANDING)) && !some.overlaps(Parts::HANDING));
    assert_eq!(some.and(Parts::MASTER), some);
    let all = [
        Parts::USER_CODES,
        Parts::MASTER,
        Parts::HANDING,
        Parts::COUNTERS,
        Parts::LOCKOUT,
        Parts::SETTINGS,
    ];
    for (place, part) in all.iter().enumerate() {
        assert!(all[..place].iter().all(|other| !part.overlaps(*other)));
        assert!(!part.overlaps(Parts::NONE));
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let told = [
        (
            RuleError::Digits,
            "the code lengths are not a range within 1 to 10",
        ),
        (
            RuleError::Submit,
            "without a submit key all codes need the same length",
        ),
        (
            RuleError::EntryKey,
            "a submit or clear key is a digit, or is both",
        ),
        (RuleError::Time, "a time that has to pass is zero"),
        (RuleError::Slots, "the user slots are not within 1 to 20"),
        (
            RuleError::FactoryCode,
            "a factory code cannot be entered, or the rule says there is none",
        ),
        (
            RuleError::KeySequence,
            "a key sequence is empty or has more than digits before its last key",
        ),
        (
            RuleError::Steps,
            "a change's steps do not lead to a new code for its target",
        ),
        (
            RuleError::Stage,
            "a lockout stage waits for no or for more than 10 wrong attempts",
        ),
        (
            RuleError::HoldWindow,
            "a hold's end is before its beginning",
        ),
        (
            RuleError::ButtonClash,
            "two rules give the same button's hold a meaning",
        ),
        (
            RuleError::Parts,
            "a part is both erased and kept by a reset",
        ),
        (
            RuleError::Relock,
            "the bolt has no relock time that it can keep",
        ),
    ];
    for (error, text) in told {
        assert_eq!(error.to_string(), text);
    }
}
