//! The state machine against its specification: after every call both have said the same to whoever stands
//! at the lock, and have kept the same.
//!
//! Where a cut came into a write, the lock may have kept the old or the new; the specification goes on with
//! what it did keep. Of a lockout the lock may remember a little more than is left.

use std::sync::LazyLock;

use code_entry::personality::{
    FactoryRule, LockoutKeys, LockoutPowerCycle, MasterRule, Overflow, Parts, Personality,
    ResetTrigger, Step, Target, Trigger, Zeros,
};
use code_entry::report::ResetReport;
use code_entry::{BoltPosition, Button, Code, Input, Record, Report};
use fuzz_script::Script;
use specification::{
    Asks, Change, Cycle, During, Kept, Lock, Place, Product, Reset, Says, Stage, Starts, Stays,
    Stores,
};

use crate::host::{self, Call, Cause, Host, Judge};
use crate::products;

/// Every product as its specification.
static PRODUCTS: LazyLock<Vec<Product>> =
    LazyLock::new(|| products::ALL.iter().map(product).collect());

/// A lockout's remainder is stored at least so often, in milliseconds.
const CHECKPOINT_MS: u64 = 30_000;

/// Runs a script on both. Bytes that are no script are not run.
///
/// # Panics
/// At a difference.
pub fn target(bytes: &[u8]) -> bool {
    let script = Script::from_bytes(bytes);
    if let Ok(script) = &script {
        run(script);
    }
    script.is_ok()
}

/// Runs a script on both.
///
/// # Panics
/// At a difference.
pub fn run(script: &Script) {
    let product = &PRODUCTS[usize::from(script.product) % products::COUNT];
    let mut compared = Compared {
        lock: None,
        product,
        lost: None,
    };
    host::run(script, &mut compared);
}

struct Compared {
    lock: Option<Lock<'static>>,
    product: &'static Product,
    /// What the specification kept before and after the call in which the supply was lost.
    lost: Option<[Kept; 2]>,
}

impl Judge for Compared {
    fn called(&mut self, call: &Call<'_>) {
        let host = call.host;
        let left_ms = u64::from(host.lock().status(host.now_ms()).lockout_ms);
        let kept = || kept(host.lock().record(), call.at_ms, left_ms);
        let Some(lock) = &mut self.lock else {
            self.lock = Some(Lock::new(self.product, u32::from(host.supply_mv())));
            return;
        };
        if call.cause == Cause::PowerOn {
            let buttons = held_at_power_on(host);
            let found = kept();
            if let Some(either) = self.lost.take() {
                let same =
                    |kept: &Kept| (&kept.users, &kept.master) == (&found.users, &found.master);
                assert!(
                    either.iter().any(same),
                    "the codes are neither the old nor the new ones"
                );
                lock.power_on(call.at_ms, Some(found), place(host.position()), buttons);
                lock.take_says();
                return;
            }
            lock.pass(host.lost_ms());
            lock.take_says();
            lock.power_on(call.at_ms, None, place(host.position()), buttons);
            let promised_ms = lock.lockout_left_ms();
            let longest_ms = promised_ms + CHECKPOINT_MS;
            assert!(
                (promised_ms..=longest_ms).contains(&left_ms)
                    || self.product.cycle != Cycle::Resumes,
                "after a loss of supply a lockout has {left_ms} ms left, where {promised_ms} ms are promised"
            );
            lock.power_on(call.at_ms, Some(found), place(host.position()), buttons);
            lock.take_says();
            return;
        }
        let before = call.lost.then(|| lock.kept().clone());
        lock.pass(call.at_ms);
        if let Cause::Input(input) = call.cause {
            tell(lock, input);
        }
        let says = lock.take_says();
        if let Some(before) = before {
            self.lost = Some([before, lock.kept().clone()]);
            return;
        }
        let said = call.seen.reports.iter().filter_map(said);
        assert!(
            said.clone().eq(says.iter().copied()),
            "the lock says {:?}, its specification {says:?}",
            said.collect::<Vec<_>>()
        );
        // Codes change only where something is said; turning them into text takes its time.
        let record = host.lock().record();
        let numbers =
            record.failures == lock.kept().failures as u16 && record.handed == lock.kept().handed;
        if !numbers || !says.is_empty() || record != call.before {
            let (host_keeps, spec_keeps) = (kept(), lock.kept());
            assert!(
                same(&host_keeps, spec_keeps),
                "the lock keeps {host_keeps:?}, its specification {spec_keeps:?}"
            );
        }
        assert_eq!(
            left_ms,
            lock.lockout_left_ms(),
            "what is left of the lockout"
        );
    }
}

fn same(one: &Kept, other: &Kept) -> bool {
    one.users == other.users
        && one.master == other.master
        && one.failures == other.failures
        && one.counted_ms.len() == other.counted_ms.len()
        && one.lockouts == other.lockouts
        && one.owned == other.owned
        && one.handed == other.handed
}

pub(crate) fn held_at_power_on(host: &Host) -> [bool; 2] {
    use fuzz_script::Contact;
    [Contact::Reset, Contact::Program].map(|button| host.held_at_power_on() == Some(button))
}

pub(crate) fn tell(lock: &mut Lock<'_>, input: Input) {
    match input {
        Input::KeyDown(key) => lock.key_down(key.label()),
        Input::KeyUp(key) => lock.key_up(key.label()),
        Input::ButtonDown(which) => lock.button_down(button(which)),
        Input::ButtonUp(which) => lock.button_up(button(which)),
        Input::Door { open } => lock.door(open),
        Input::Bolt(position) => lock.bolt(place(position)),
        Input::Supply(millivolts) => lock.supply(u32::from(millivolts)),
    }
}

fn said(report: &Report) -> Option<Says> {
    Some(match report {
        Report::Accepted { slot } => Says::Opens(usize::from(*slot)),
        Report::Refused { .. } => Says::Wrong,
        Report::LockoutOver => Says::LockoutOver,
        Report::ChangeAccepted => Says::Changed,
        Report::ChangeRefused(_) => Says::NotChanged,
        Report::TimeOut => Says::Forgotten,
        Report::Reset(ResetReport::Armed) => Says::ResetArmed,
        Report::Reset(ResetReport::Done) => Says::ResetDone,
        Report::Reset(ResetReport::Refused) => Says::NotReset,
        _ => return None,
    })
}

pub(crate) fn kept(record: &Record, at_ms: u64, left_ms: u64) -> Kept {
    Kept {
        users: record.users.iter().map(text).collect(),
        master: text(&record.master),
        failures: u32::from(record.failures),
        counted_ms: vec![at_ms; usize::from(record.recent)],
        lockouts: usize::from(record.stage),
        locked_until_ms: (left_ms != 0).then_some(at_ms + left_ms),
        owned: record.owned,
        handed: record.handed,
    }
}

/// The digits of a code, from its packed form.
fn text(code: &Code) -> String {
    let nibbles = code
        .to_bytes()
        .into_iter()
        .flat_map(|byte| [byte & 0x0F, byte >> 4]);
    let strokes = nibbles.take_while(|nibble| *nibble != 0);
    strokes
        .map(|nibble| char::from(b"0123456789ab"[usize::from(nibble - 1)]))
        .collect()
}

fn button(button: Button) -> specification::Button {
    match button {
        Button::Reset => specification::Button::Reset,
        Button::Program => specification::Button::Program,
    }
}

pub(crate) fn place(position: BoltPosition) -> Place {
    match position {
        BoltPosition::Thrown => Place::Thrown,
        BoltPosition::Withdrawn => Place::Withdrawn,
        BoltPosition::Between => Place::Between,
    }
}

/// A personality in the specification's words.
pub(crate) fn product(from: &Personality) -> Product {
    assert_eq!(
        from.entry.long_press_ms, 0,
        "no shipped product knows long presses"
    );
    let ms = u64::from;
    let reset = match from.reset.trigger {
        ResetTrigger::None => Reset::None,
        ResetTrigger::Tap { button: its } => Reset::Tapped {
            button: button(its),
        },
        ResetTrigger::Hold {
            button: its,
            min_ms,
            max_ms,
        } => Reset::Held {
            button: button(its),
            from_ms: ms(min_ms),
            to_ms: max_ms.map(ms),
        },
        ResetTrigger::PowerOnHold {
            button: its,
            hold_ms,
            tap_within_ms,
        } => Reset::HeldFromPowerOn {
            button: button(its),
            hold_ms: ms(hold_ms),
            tap_ms: ms(tap_within_ms),
        },
    };
    let erases = |part: Parts| from.reset.erases.contains(part);
    Product {
        digits: usize::from(from.entry.digits_min)..=usize::from(from.entry.digits_max),
        submit: from.entry.submit.iter().map(|key| key.label()).collect(),
        clear: from.entry.clear.map(|key| key.label()),
        idle_ms: ms(from.entry.idle_ms),
        ignores_more: from.entry.overflow == Overflow::Ignored,
        together_ms: u64::from(from.entry.chord_ms),
        slots: usize::from(from.codes.user_slots),
        factory: from.codes.factory.iter().map(text).collect(),
        stays: match from.codes.factory_rule {
            FactoryRule::None => Stays::Never,
            FactoryRule::Works => Stays::InSlots,
            FactoryRule::RevokedOnFirstChange => Stays::UntilFirstChange,
            FactoryRule::Permanent => Stays::Always,
        },
        master: text(&from.codes.factory_master),
        reset_code: text(&from.codes.reset_code),
        zeros_delete: from.codes.zeros == Zeros::Deletes,
        changes: from.changes.iter().map(change).collect(),
        stages: from
            .lockout
            .stages
            .iter()
            .map(|stage| Stage {
                wrong: usize::from(stage.wrong),
                lasts_ms: ms(stage.duration_ms),
            })
            .collect(),
        within_ms: ms(from.lockout.within_ms),
        during: match from.lockout.keys {
            LockoutKeys::Restart => During::StartsOver,
            LockoutKeys::Ignored | LockoutKeys::Answered => During::Nothing,
        },
        cycle: match from.lockout.power_cycle {
            LockoutPowerCycle::Resumes => Cycle::Resumes,
            LockoutPowerCycle::Restarts => Cycle::Restarts,
            LockoutPowerCycle::Extends { by_ms } => Cycle::Extends(ms(by_ms)),
            LockoutPowerCycle::Clears => Cycle::Clears,
        },
        reset,
        reset_door_open: from.reset.guard.door_open,
        reset_bolt_withdrawn: from.reset.guard.bolt_withdrawn,
        erases_users: erases(Parts::USER_CODES),
        erases_master: erases(Parts::MASTER),
        erases_hand: erases(Parts::HANDING),
        erases_counters: erases(Parts::COUNTERS),
        erases_lockout: erases(Parts::LOCKOUT),
        travel_ms: ms(from.bolt.travel_ms),
        learns_hand: from.bolt.learns_hand,
        no_changes_below_mv: u32::from(from.supply.programming_below_mv),
        no_opening_below_mv: u32::from(from.supply.opening_below_mv),
    }
}

fn change(from: &code_entry::personality::Change) -> Change {
    Change {
        starts: match &from.trigger {
            Trigger::Tap(its) => Starts::Tap(button(*its)),
            Trigger::Hold {
                button: its,
                hold_ms,
            } => Starts::Hold(button(*its), u64::from(*hold_ms)),
            Trigger::Keys(keys) => Starts::Keys(keys.iter().map(|key| key.label()).collect()),
            Trigger::Chord(one, other) => Starts::Together(one.label(), other.label()),
            Trigger::LongPress(_) => unreachable!("no shipped product knows long presses"),
            Trigger::Master => Starts::Master,
        },
        door_open: from.guard.door_open,
        bolt_withdrawn: from.guard.bolt_withdrawn,
        master: match from.master {
            MasterRule::Any => None,
            MasterRule::Unset => Some(false),
            MasterRule::Set => Some(true),
        },
        asks: from
            .steps
            .iter()
            .map(|step| match step {
                Step::Old => Asks::Old,
                Step::Master => Asks::Master,
                Step::Factory => Asks::Factory,
                Step::ResetCode => Asks::ResetCode,
                Step::Function(digit) => Asks::Function(*digit),
                Step::New => Asks::New,
                Step::Again => Asks::Again,
            })
            .collect(),
        stores: match from.target {
            Target::Slot(slot) => Stores::Slot(usize::from(slot)),
            Target::Tapped => Stores::TappedSlot,
            Target::Own => Stores::OwnSlot,
            Target::Free => Stores::FreeSlot,
            Target::Master => Stores::Master,
            Target::Hand => Stores::Hand,
        },
        window_ms: u64::from(from.window_ms),
        window_starts_over: from.window_restarts,
    }
}
