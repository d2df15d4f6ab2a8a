//! What instruments answer. The input is a conversation: a byte says what we order, how long the instrument
//! takes, and how many of the bytes that follow it then sends.
//!
//! A driver always waits for a moment that is still to come, or for nothing: else the bench would stand
//! still around it.

use std::sync::LazyLock;

use lockrig::bench::file::BenchFile;
use lockrig::driver::Driver;
use lockrig::driver::firmata::Firmata;
use lockrig::driver::relay_board::{Language, Relay, RelayBoard};
use lockrig::driver::stage::{self, Motion, Stage};
use lockrig::driver::supply::{Feed, Settings, Supply};
use lockrig::event::Nanos;
use lockrig::project::Project;
use lockrig::quantity::{
    Microamps, Micrometres, Millidegrees, MillinewtonMetres, Milliohms, Millivolts,
};
use lockrig::source::Source;

/// Steps of the deadline that a driver may want within one pause: its time-outs have time-outs.
const TICKS_MAX: u32 = 1_000;

fn converse<D: Driver>(mut driver: D, mut bytes: &[u8], mut order: impl FnMut(&mut D, Nanos, u8)) {
    let mut now = Nanos(0);
    while let Some((&control, rest)) = bytes.split_first() {
        order(&mut driver, now, control & 7);
        driver.outbox(now);
        // From no time at all to longer than any instrument may take.
        let until = Nanos(
            now.0 + [0, 1_000_000, 50_000_000, 20_000_000_000][usize::from(control >> 3 & 3)],
        );
        let mut ticks = 0;
        while let Some(deadline) = driver.deadline().filter(|deadline| *deadline <= until) {
            now = now.max(deadline);
            driver.tick(now);
            driver.outbox(now);
            ticks += 1;
            assert!(ticks < TICKS_MAX, "a driver that is never done");
        }
        now = until;
        let count = usize::from(control >> 5) * 4;
        let (said, after) = rest.split_at(count.min(rest.len()));
        driver.receive(now, said);
        driver.tick(now);
        driver.outbox(now);
        while let Some((at, _)) = driver.fact() {
            assert!(at <= now, "a fact of the future");
        }
        bytes = after;
    }
}

/// A supply that speaks SCPI.
pub fn supply(bytes: &[u8]) {
    let mut supply = Supply::new(
        "supply",
        Settings {
            highest: Millivolts(10_000),
            limit: Microamps(1_000_000),
            resistance: Some(Milliohms(1_500)),
            longest_on: Some(Nanos::from_secs(5)),
        },
    );
    supply.connect(Nanos(0));
    let on = |voltage| Feed::On {
        voltage: Millivolts(voltage),
        resistance: None,
    };
    converse(supply, bytes, |supply, now, order| {
        // What cannot be ordered is refused in words.
        let refused = match order {
            1 => supply.feed(now, on(9_000)),
            2 => supply.feed(now, Feed::Off),
            3 => supply.measure(now),
            4 => supply.feed(now, on(99_000)),
            5 => {
                supply.rest(now, Feed::Off);
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(trouble) = refused {
            assert!(!trouble.to_string().is_empty(), "trouble without a word");
        }
    });
}

/// A relay board that answers in frames of four bytes, or as Modbus has it.
pub fn relay_board(bytes: &[u8]) {
    for language in [Language::Lcus, Language::Modbus { unit: 1 }] {
        relay_board_that_speaks(language, bytes);
    }
}

fn relay_board_that_speaks(language: Language, bytes: &[u8]) {
    let relay = |channel| Relay {
        channel,
        name: format!("key {channel}"),
        longest_on: Some(Nanos::from_secs(2)),
    };
    let board = RelayBoard::new("relay board", language, (1..=3).map(relay).collect());
    converse(board, bytes, |board, now, order| {
        let refused = match order {
            1..=3 => board.set(now, order, true),
            4..=6 => board.set(now, order - 3, false),
            7 => board.set(now, 9, true),
            _ => Ok(()),
        };
        if let Err(trouble) = refused {
            assert!(!trouble.to_string().is_empty(), "trouble without a word");
        }
    });
}

/// A motion stage that speaks G-code as small controllers do.
pub fn stage(bytes: &[u8]) {
    static SETTINGS: LazyLock<stage::Settings> = LazyLock::new(|| {
        let benches = Project::Shipped.benches().expect("they are in the binary");
        let read = |file: lockrig::project::File| {
            let source = Source::new(file.name.as_str(), file.text().expect("it is text"));
            BenchFile::read(&source).expect("it is right").stage
        };
        let mut stages = benches.into_iter().filter_map(read);
        stages.next().expect("a shipped bench has a stage").settings
    });
    let mut stage = Stage::new("stage", SETTINGS.clone());
    stage.connect(Nanos(0));
    converse(stage, bytes, |stage, now, order| {
        let turn = |degrees| Motion::Turn {
            to: Millidegrees(degrees * 1_000),
            torque: MillinewtonMetres(500),
        };
        let refused = match order {
            1 => stage.go(now, turn(90)),
            2 => stage.go(
                now,
                Motion::Insert {
                    to: Micrometres(20_000),
                },
            ),
            3 => stage.go(now, Motion::Select { slot: 2 }),
            4 => stage.go(now, turn(9_999)),
            5 => {
                stage.rest(now);
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(trouble) = refused {
            assert!(!trouble.to_string().is_empty(), "trouble without a word");
        }
    });
}

/// A sense board that speaks Firmata.
pub fn sense_board(bytes: &[u8]) {
    let mut board = Firmata::new("sense board", 2..14);
    board.connect(Nanos(0));
    converse(board, bytes, |_, _, _| {});
}
