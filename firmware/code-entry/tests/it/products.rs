//! Products as unlike as possible, as test fixtures. The shipped profiles are made elsewhere, from manuals.

use code_entry::personality::{
    BoltRules, Change, CodeRules, EntryRules, FactoryRule, Guard, Kind, LockoutKeys,
    LockoutPowerCycle, LockoutRules, LockoutStage, MasterRule, Overflow, Parts, ResetRules,
    ResetTrigger, Step, SupplyRules, Target, Trigger, Zeros,
};
use code_entry::{
    Button, Code, Colour, Key, Light, Pattern, Personality, Signal, SignalTable, Train,
};

/// A safe with a red button by the hinge: press and release it with the door open, then 3 to 8 digits and `#`.
/// Three wrong codes close it for 15 s, two more for 5 min.
pub fn safe() -> Personality {
    Personality {
        product: "red-button safe".try_into().expect("short"),
        kind: Kind::Safe,
        entry: EntryRules {
            digits_min: 3,
            digits_max: 8,
            submit: [Key::Hash].into_iter().collect(),
            clear: Some(Key::Star),
            idle_ms: 10_000,
            overflow: Overflow::Wrong,
            chord_ms: 0,
            long_press_ms: 0,
        },
        codes: CodeRules {
            user_slots: 1,
            factory: [code("159")].into_iter().collect(),
            factory_rule: FactoryRule::RevokedOnFirstChange,
            factory_master: Code::BLANK,
            reset_code: Code::BLANK,
            zeros: Zeros::Refused,
        },
        changes: [Change {
            trigger: Trigger::Tap(Button::Reset),
            guard: Guard {
                door_open: true,
                bolt_withdrawn: false,
            },
            master: MasterRule::Any,
            steps: [Step::New].into_iter().collect(),
            target: Target::Slot(1),
            window_ms: 10_000,
            window_restarts: false,
        }]
        .into_iter()
        .collect(),
        lockout: LockoutRules {
            stages: [
                LockoutStage {
                    wrong: 3,
                    duration_ms: 15_000,
                },
                LockoutStage {
                    wrong: 2,
                    duration_ms: 300_000,
                },
            ]
            .into_iter()
            .collect(),
            within_ms: 0,
            keys: LockoutKeys::Ignored,
            power_cycle: LockoutPowerCycle::Resumes,
        },
        reset: ResetRules {
            trigger: ResetTrigger::None,
            guard: Guard::default(),
            erases: Parts::NONE,
            keeps: Parts::NONE,
        },
        bolt: BoltRules {
            relock_ms: 5_000,
            travel_ms: 200,
            learns_hand: false,
        },
        supply: SupplyRules {
            warn_below_mv: 5_200,
            programming_below_mv: 5_000,
            opening_below_mv: 4_500,
        },
        signals: signals(3),
    }
}

/// A smart lock with a Program button: the battery refitted with it held for 30 s, and a second tap, reset it; N taps
/// open slot N; 5 s set the master code.
pub fn smart_lock() -> Personality {
    let slot = |master, steps: &[Step]| Change {
        trigger: Trigger::Tap(Button::Program),
        guard: Guard::default(),
        master,
        steps: steps.iter().copied().collect(),
        target: Target::Tapped,
        window_ms: 5_000,
        window_restarts: true,
    };
    Personality {
        product: "program-button lock".try_into().expect("short"),
        kind: Kind::SmartLock,
        entry: EntryRules {
            digits_min: 4,
            digits_max: 8,
            submit: [Key::Hash].into_iter().collect(),
            clear: None,
            idle_ms: 5_000,
            overflow: Overflow::Wrong,
            chord_ms: 0,
            long_press_ms: 0,
        },
        codes: CodeRules {
            user_slots: 6,
            factory: Default::default(),
            factory_rule: FactoryRule::None,
            factory_master: Code::BLANK,
            reset_code: Code::BLANK,
            zeros: Zeros::Refused,
        },
        changes: [
            slot(MasterRule::Unset, &[Step::New]),
            slot(MasterRule::Set, &[Step::Master, Step::New]),
            Change {
                trigger: Trigger::Hold {
                    button: Button::Program,
                    hold_ms: 5_000,
                },
                guard: Guard::default(),
                master: MasterRule::Any,
                steps: [Step::New, Step::Again].into_iter().collect(),
                target: Target::Master,
                window_ms: 5_000,
                window_restarts: true,
            },
        ]
        .into_iter()
        .collect(),
        lockout: LockoutRules {
            stages: [LockoutStage {
                wrong: 3,
                duration_ms: 60_000,
            }]
            .into_iter()
            .collect(),
            within_ms: 60_000,
            keys: LockoutKeys::Ignored,
            power_cycle: LockoutPowerCycle::Resumes,
        },
        reset: ResetRules {
            trigger: ResetTrigger::PowerOnHold {
                button: Button::Program,
                hold_ms: 30_000,
                tap_within_ms: 30_000,
            },
            guard: Guard::default(),
            erases: Parts::USER_CODES
                .and(Parts::MASTER)
                .and(Parts::HANDING)
                .and(Parts::COUNTERS),
            keeps: Parts::LOCKOUT,
        },
        bolt: BoltRules {
            relock_ms: 30_000,
            travel_ms: 1_000,
            learns_hand: true,
        },
        supply: SupplyRules {
            warn_below_mv: 4_600,
            programming_below_mv: 4_400,
            opening_below_mv: 4_200,
        },
        signals: signals(15),
    }
}

/// La Gard's way, on a pad of six-digit codes without a submit key: `000000`, the old code, the new one twice.
pub fn six_zeros() -> Personality {
    let mut lock = safe();
    lock.product = "six-zeros safe".try_into().expect("short");
    lock.entry.digits_min = 6;
    lock.entry.digits_max = 6;
    lock.entry.submit.clear();
    lock.codes.factory = [code("123456")].into_iter().collect();
    lock.codes.factory_rule = FactoryRule::Works;
    lock.changes = [Change {
        trigger: Trigger::Keys([Key::Zero; 6].into_iter().collect()),
        guard: Guard::default(),
        master: MasterRule::Any,
        steps: [Step::Old, Step::New, Step::Again].into_iter().collect(),
        target: Target::Own,
        window_ms: 30_000,
        window_restarts: true,
    }]
    .into_iter()
    .collect();
    lock
}

/// A smart lock whose master code, `0000` from the factory, opens a menu: 1 adds a code, 3 deletes one, 4 changes the
/// master code, 0 lets the bolt learn the door's hand.
pub fn functions() -> Personality {
    let function = |steps: &[Step], target| Change {
        trigger: Trigger::Master,
        guard: Guard::default(),
        master: MasterRule::Any,
        steps: steps.iter().copied().collect(),
        target,
        window_ms: 10_000,
        window_restarts: true,
    };
    let mut lock = smart_lock();
    lock.product = "menu lock".try_into().expect("short");
    lock.codes.user_slots = 2;
    lock.codes.factory = [code("1234")].into_iter().collect();
    lock.codes.factory_rule = FactoryRule::Works;
    lock.codes.factory_master = code("0000");
    lock.changes = [
        function(&[Step::Function(1), Step::New], Target::Free),
        function(&[Step::Function(3), Step::Old], Target::Own),
        function(&[Step::Function(4), Step::New], Target::Master),
        function(&[Step::Function(0)], Target::Hand),
    ]
    .into_iter()
    .collect();
    lock.bolt.learns_hand = false;
    lock
}

/// A safe of five-digit codes whose factory code always opens: `*`, the factory code, the new code; zeros delete.
pub fn permanent() -> Personality {
    let mut lock = six_zeros();
    lock.product = "permanent safe".try_into().expect("short");
    lock.entry.digits_min = 5;
    lock.entry.digits_max = 5;
    lock.entry.clear = Some(Key::Hash);
    lock.codes.factory = [code("24680")].into_iter().collect();
    lock.codes.factory_rule = FactoryRule::Permanent;
    lock.codes.zeros = Zeros::Deletes;
    lock.changes[0].trigger = Trigger::Keys([Key::Star].into_iter().collect());
    lock.changes[0].steps = [Step::Factory, Step::New].into_iter().collect();
    lock.changes[0].target = Target::Slot(1);
    lock
}

/// A safe whose lost code is replaced by `67*` and a reset code, of which one stroke is two keys at once.
pub fn paired() -> Personality {
    let mut lock = six_zeros();
    lock.product = "paired safe".try_into().expect("short");
    lock.entry.submit.push(Key::Hash).expect("room");
    lock.entry.chord_ms = 80;
    lock.codes.reset_code = code("362(03)19");
    let change = lock.changes[0].clone();
    let keys = [Key::Two, Key::Two, Key::Star];
    lock.changes[0].trigger = Trigger::Keys(keys.into_iter().collect());
    let keys = [Key::Six, Key::Seven, Key::Star];
    let reset = Change {
        trigger: Trigger::Keys(keys.into_iter().collect()),
        steps: [Step::ResetCode, Step::New, Step::Again]
            .into_iter()
            .collect(),
        target: Target::Slot(1),
        ..change
    };
    lock.changes.push(reset).expect("room");
    lock
}

pub fn code(digits: &str) -> Code {
    Code::parse(digits).expect("a code")
}

fn signals(lockout_flashes: u8) -> SignalTable {
    let mut table = SignalTable::default();
    let train = |count| Train {
        count,
        on_ms: 100,
        off_ms: 100,
    };
    let shown = |colour, count| Pattern {
        light: Some(Light {
            colour,
            train: train(count),
        }),
        sound: Some(train(count)),
    };
    table.set(Signal::Accepted, shown(Colour::Green, 1));
    table.set(Signal::WrongCode, shown(Colour::Red, 3));
    table.set(Signal::LockoutBegins, shown(Colour::Red, lockout_flashes));
    table.set(Signal::LowBattery, shown(Colour::Red, 10));
    table.set(
        Signal::ProgrammingOpen,
        Pattern {
            light: Some(Light {
                colour: Colour::Yellow,
                train: Train {
                    count: 1,
                    on_ms: 10_000,
                    off_ms: 0,
                },
            }),
            sound: Some(train(1)),
        },
    );
    table
}
