//! Proof by exhaustion on a small scale: every sequence over a small alphabet, the invariants after each step.
//!
//! The model beside the lock is not another state machine: it knows only what was typed since the last thing that
//! ends an entry, and what was stored a step ago.

use code_entry::personality::LockoutStage;
use code_entry::{Button, Code, Input, Personality, Record, State};

use crate::board::{Board, key};
use crate::products::{code, safe, smart_lock};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Symbol {
    Right,
    Wrong,
    Submit,
    Clear,
    TimeOut,
    PowerCycle,
    Tap,
}

use Symbol::{Clear, PowerCycle, Right, Submit, Tap, TimeOut, Wrong};

/// Runs all sequences of this length, each from the same beginning.
fn every_sequence(alphabet: &[Symbol], length: u32, mut check: impl FnMut(&[Symbol])) {
    let mut sequence = Vec::new();
    for number in 0..alphabet.len().pow(length) {
        sequence.clear();
        let mut rest = number;
        for _ in 0..length {
            sequence.push(alphabet[rest % alphabet.len()]);
            rest /= alphabet.len();
        }
        check(&sequence);
    }
}

/// Codes of one digit, and lockouts after two wrong ones, so that six symbols reach everything.
fn tiny(mut lock: Personality, factory: bool) -> Personality {
    lock.entry.digits_min = 1;
    lock.entry.digits_max = 2;
    lock.entry.idle_ms = 4_000;
    for change in &mut lock.changes {
        change.window_ms = 4_000;
    }
    if factory {
        lock.codes.factory = [code("1")].into_iter().collect();
    }
    lock.lockout.stages = [
        LockoutStage {
            wrong: 2,
            duration_ms: 15_000,
        },
        LockoutStage {
            wrong: 1,
            duration_ms: 60_000,
        },
    ]
    .into_iter()
    .collect();
    lock
}

fn act(board: &mut Board, symbol: Symbol) {
    let label = match symbol {
        Right => '1',
        Wrong => '2',
        Submit => '#',
        Clear => '*',
        TimeOut => return board.wait(4_000),
        Tap => return board.tap(Button::Reset),
        PowerCycle => unreachable!("the board is made anew"),
    };
    board.input(Input::KeyDown(key(label)));
    board.input(Input::KeyUp(key(label)));
    board.wait(10);
}

/// What the sequence has typed since its last beginning of an entry.
#[derive(Default)]
struct Typed(String);

impl Typed {
    fn take(&mut self, symbol: Symbol) -> Option<String> {
        match symbol {
            Right => self.0.push('1'),
            Wrong => self.0.push('2'),
            Submit => return Some(std::mem::take(&mut self.0)),
            Clear | TimeOut | PowerCycle | Tap => self.0.clear(),
        }
        None
    }
}

fn run(
    start: &Personality,
    sequence: &[Symbol],
    mut step: impl FnMut(&mut Board, Symbol, Before, Option<String>),
) {
    let mut board = Board::new(start.clone());
    let mut typed = Typed::default();
    for &symbol in sequence {
        let before = Before {
            failures: board.stored().map_or(0, |record| record.failures),
            lockout_ms: board.status().lockout_ms,
            now_ms: board.now_ms,
            programming: board.state() == State::Programming,
        };
        if before.lockout_ms > 0 {
            typed.0.clear();
        }
        board.seen();
        if symbol == PowerCycle {
            board = board.power_cycle();
        } else {
            act(&mut board, symbol);
        }
        let submitted = typed.take(symbol).filter(|_| before.lockout_ms == 0);
        step(&mut board, symbol, before, submitted);
    }
}

struct Before {
    failures: u16,
    lockout_ms: u32,
    now_ms: u64,
    programming: bool,
}

#[test]
fn all_sequences_of_six_keep_the_invariants_of_opening() {
    let lock = tiny(safe(), true);
    let mut openings = 0;
    let mut lockouts = 0;
    every_sequence(
        &[Right, Wrong, Submit, Clear, TimeOut, PowerCycle],
        6,
        |sequence| {
            run(&lock, sequence, |board, symbol, before, submitted| {
                let told = board.told();
                // I1: the bolt opens after the right code, and after nothing else.
                let right = submitted.as_deref() == Some("1");
                assert_eq!(told.contains("drive withdraw"), right, "{sequence:?}");
                openings += u32::from(right);

                // I2: the stored count falls only by a right code, and rises by one for each wrong one.
                let failures = board.stored().map_or(0, |record| record.failures);
                let wrong = submitted.is_some_and(|code| !code.is_empty() && code != "1");
                let expected = if right {
                    0
                } else {
                    before.failures + u16::from(wrong)
                };
                assert_eq!(failures, expected, "{sequence:?}");

                // I3: a lockout runs as the clock does; a cut goes back to the last checkpoint and ends nothing.
                let left_ms = board.status().lockout_ms;
                if symbol == PowerCycle {
                    let step_ms = u32::from(before.lockout_ms > 0) * 6_000;
                    let gained_ms = left_ms.checked_sub(before.lockout_ms);
                    assert!(
                        gained_ms.is_some_and(|gained_ms| gained_ms <= step_ms),
                        "{sequence:?}"
                    );
                } else if before.lockout_ms > 0 {
                    let passed_ms = (board.now_ms - before.now_ms) as u32;
                    assert_eq!(
                        left_ms,
                        before.lockout_ms.saturating_sub(passed_ms),
                        "{sequence:?}"
                    );
                }
                lockouts +=
                    u32::from(told.contains("signal lockout-begins") && symbol != PowerCycle);

                // I7: it is always somewhere.
                assert_ne!(board.state(), State::Fault);
            });
        },
    );
    assert_eq!(
        (openings > 4_000, lockouts > 250),
        (true, true),
        "{openings} openings, {lockouts} lockouts"
    );
}

#[test]
fn all_sequences_of_five_keep_the_codes_whole() {
    let lock = tiny(safe(), true);
    let mut changes = 0;
    every_sequence(
        &[Right, Wrong, Submit, Clear, TimeOut, PowerCycle, Tap],
        5,
        |sequence| {
            let mut code_now = Code::BLANK;
            run(&lock, sequence, |board, symbol, before, submitted| {
                let stored = board.stored().map_or(Code::BLANK, |record| record.users[0]);
                let entered = submitted
                    .and_then(|typed| Code::parse(&typed).ok())
                    .filter(|code| code.digit_count() <= 2);
                let changed = before.programming && symbol == Submit && entered.is_some();
                // I4: the old code, or exactly the one that was typed.
                let expected = if changed {
                    entered.expect("typed")
                } else {
                    code_now
                };
                assert_eq!(stored, expected, "{sequence:?}");
                assert_eq!(
                    board.told().contains("change accepted"),
                    changed,
                    "{sequence:?}"
                );
                changes += u32::from(changed);
                code_now = stored;
                let record = board
                    .stored()
                    .unwrap_or_else(|| Record::factory(&board.personality));
                assert!(record.users[1..].iter().all(Code::is_blank));
            });
        },
    );
    assert!(changes > 300, "{changes} changes");
}

#[test]
fn the_same_inputs_give_the_same_outputs_however_often_time_is_told() {
    for (lock, length) in [(tiny(safe(), true), 4), (tiny(smart_lock(), false), 4)] {
        every_sequence(
            &[Right, Wrong, Submit, Tap, TimeOut, PowerCycle],
            length,
            |sequence| {
                let mut logs = [false, true].map(|often| {
                    let mut board = Board::new(lock.clone());
                    board.ticks_often = often;
                    let mut log = Vec::new();
                    for &symbol in sequence {
                        if symbol == PowerCycle {
                            board = board.power_cycle();
                        } else {
                            act(&mut board, symbol);
                        }
                        log.extend(board.seen());
                    }
                    board.wait(20_000);
                    log.extend(board.seen());
                    log.push(format!("{} {:?}", board.status(), board.stored()));
                    log
                });
                let [seldom, often] = &mut logs;
                assert_eq!(seldom, often, "{sequence:?}");
            },
        );
    }
}
