//! The driver through the door that the bench uses: scripts of bytes.

use super::travel::MOVE_MARGIN;
use super::*;
use crate::quantity::{MicrometresPerSecond, MillidegreesPerSecond};

const MS: fn(u64) -> Nanos = Nanos::from_millis;

fn settings() -> Settings {
    let axis = |letter| Axis::of(letter).expect("an axis");
    let slide = |letter, seated| Slide {
        axis: axis(letter),
        seated: Micrometres(seated),
        feed: MicrometresPerSecond(20_000),
    };
    Settings {
        turn: Turn {
            axis: axis("A"),
            from: Millidegrees(-100_000),
            to: Millidegrees(110_000),
            feed: MillidegreesPerSecond(90_000),
        },
        insert: slide("X", 30_000),
        magazine: Magazine {
            axis: axis("Y"),
            pitch: Micrometres(12_000),
            slots: 3,
            feed: MicrometresPerSecond(50_000),
        },
        plunge: slide("Z", 12_000),
        torque: MillinewtonMetres(2_000),
        longest_move: Nanos::from_secs(20),
    }
}

const FIT: &str = "$21=1\r\n$22=1\r\n$30=3000\r\n$130=35\r\n$131=60\r\n$132=20\r\n$133=215\r\n";

/// What was sent, as text.
fn sent(stage: &mut Stage) -> String {
    String::from_utf8_lossy(&stage.outbox(Nanos::ZERO)).into_owned()
}

/// Answers what was asked, line by line; each is `sent > answer`.
fn talk(stage: &mut Stage, lines: &[(&str, &str)]) {
    for (asked, answer) in lines {
        assert_eq!(sent(stage), *asked);
        stage.receive(MS(10), answer.as_bytes());
    }
}

fn facts(stage: &mut Stage) -> Vec<Fact> {
    std::iter::from_fn(|| stage.fact())
        .map(|(_, fact)| fact)
        .collect()
}

/// A stage that was found at home: head upright, all out.
fn connected() -> Stage {
    let mut stage = Stage::new("stage", settings());
    stage.connect(MS(0));
    let banner = "\r\nGrbl 1.1h ['$' for help]\r\n";
    let told = format!("{FIT}ok\r\n");
    talk(
        &mut stage,
        &[
            ("\u{18}", banner),
            ("$$\n", &told),
            ("?", "<Idle|MPos:0.000,0.000,0.000,100.000|FS:0,0>\r\n"),
        ],
    );
    assert_eq!(
        facts(&mut stage),
        [Fact::Identified("Grbl 1.1h ['$' for help]".to_owned())]
    );
    assert!(stage.is_idle());
    stage
}

fn turn(degrees: i32, torque: u32) -> Motion {
    Motion::Turn {
        to: Millidegrees(degrees * 1_000),
        torque: MillinewtonMetres(torque),
    }
}

#[test]
fn a_turn_sets_the_comparator_probes_and_asks_where_it_is() {
    let mut stage = connected();
    stage
        .go(MS(20), turn(90, 1_000))
        .expect("within the limits");
    talk(
        &mut stage,
        &[
            ("M3 S1000\n", "ok\r\n"),
            (
                "G38.3 A190.000 F5400\n",
                "[PRB:0.000,0.000,0.000,190.000:0]\r\nok\r\n",
            ),
            ("?", "<Idle|MPos:0.000,0.000,0.000,190.000|FS:0,1000>\r\n"),
        ],
    );
    let moved = Fact::Moved {
        motion: turn(90, 1_000),
        stopped: None,
        stands: 90_000,
        asked: MS(20),
    };
    assert_eq!(facts(&mut stage), [moved]);
    stage
        .go(MS(30), turn(90, 1_000))
        .expect("within the limits");
    assert_eq!(sent(&mut stage), "", "it is there already");
    assert_eq!(facts(&mut stage).len(), 1);
}

#[test]
fn what_resists_is_backed_off_and_taken_back() {
    let mut stage = connected();
    stage
        .go(MS(20), turn(90, 1_000))
        .expect("within the limits");
    talk(
        &mut stage,
        &[
            ("M3 S1000\n", "ok\r\n"),
            (
                "G38.3 A190.000 F5400\n",
                "[PRB:0.000,0.000,0.000,106.500:1]\r\nok\r\n",
            ),
            ("?", "<Idle|MPos:0.000,0.000,0.000,106.520|Pn:P>\r\n"),
            ("M3 S250\n", "ok\r\n"),
            ("?", "<Idle|MPos:0.000,0.000,0.000,106.520|Pn:P>\r\n"),
            (
                "G38.5 A100.000 F5400\n",
                "[PRB:0.000,0.000,0.000,102.700:1]\r\nok\r\n",
            ),
            ("?", "<Idle|MPos:0.000,0.000,0.000,102.700>\r\n"),
            ("M3 S1000\n", "ok\r\n"),
            (
                "G38.3 A100.000 F5400\n",
                "[PRB:0.000,0.000,0.000,100.000:0]\r\nok\r\n",
            ),
            ("?", "<Idle|MPos:0.000,0.000,0.000,100.000>\r\n"),
        ],
    );
    let moved = Fact::Moved {
        motion: turn(90, 1_000),
        stopped: Some(6_500),
        stands: 0,
        asked: MS(20),
    };
    assert_eq!(facts(&mut stage), [moved]);
}

#[test]
fn what_is_beyond_the_limits_is_refused_before_anything_is_sent() {
    let mut stage = connected();
    let far = Motion::Insert {
        to: Micrometres(30_001),
    };
    let deep = Motion::Plunge {
        to: Micrometres(12_001),
    };
    let slot = |slot| Motion::Select { slot };
    for motion in [
        turn(111, 100),
        turn(-101, 100),
        turn(90, 2_001),
        far,
        deep,
        slot(0),
        slot(4),
    ] {
        let refused = stage.go(MS(20), motion).expect_err("beyond a limit");
        assert_eq!(refused.what, Trouble::Refused);
        assert!(refused.hint.starts_with("nothing was sent"), "{refused:?}");
    }
    assert_eq!(
        (sent(&mut stage), facts(&mut stage)),
        (String::new(), vec![])
    );
    stage
        .go(MS(20), turn(90, 2_000))
        .expect("its limits themselves are within them");
}

#[test]
fn a_key_that_is_in_is_not_sheared_off() {
    let mut stage = connected();
    stage
        .go(
            MS(20),
            Motion::Insert {
                to: Micrometres(30_000),
            },
        )
        .expect("within the limits");
    talk(
        &mut stage,
        &[
            ("M3 S2000\n", "ok\r\n"),
            (
                "G38.3 X30.000 F1200\n",
                "[PRB:30.000,0.000,0.000,100.000:0]\r\nok\r\n",
            ),
            ("?", "<Idle|MPos:30.000,0.000,0.000,100.000>\r\n"),
        ],
    );
    stage
        .go(MS(30), Motion::Select { slot: 2 })
        .expect("there is such a slot");
    assert_eq!(sent(&mut stage), "");
    let told = facts(&mut stage);
    let [_, Fact::Trouble(trouble)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(trouble.saw, "a key is 30 mm in the keyway");
}

#[test]
fn a_limit_switch_ends_everything_and_is_named() {
    let mut stage = connected();
    stage
        .go(
            MS(20),
            Motion::Plunge {
                to: Micrometres(12_000),
            },
        )
        .expect("within the limits");
    talk(&mut stage, &[("M3 S2000\n", "ok\r\n")]);
    assert_eq!(sent(&mut stage), "G38.3 Z12.000 F1200\n");
    stage.receive(MS(30), b"ALARM:1\r\n[MSG:Reset to continue]\r\n");
    talk(
        &mut stage,
        &[
            (
                "\u{18}",
                "\r\nGrbl 1.1h ['$' for help]\r\n[MSG:'$H'|'$X' to unlock]\r\n",
            ),
            (
                "?",
                "<Alarm|MPos:0.000,0.000,6.010,100.000|FS:0,0|Pn:Z>\r\n",
            ),
        ],
    );
    let told = facts(&mut stage);
    let [Fact::Trouble(trouble)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        trouble.to_string(),
        "stage: pushing the tool to 12 mm (axis Z): ALARM:1, a limit switch closed; the switch of axis 'Z' is closed"
    );
    stage.rest(MS(40));
    let again = stage
        .go(MS(40), turn(0, 100))
        .expect_err("nothing moves any more");
    assert_eq!(again, *trouble);
    assert_eq!((sent(&mut stage), stage.rested()), (String::new(), None));
}

#[test]
fn a_controller_that_does_not_guard_itself_is_not_used() {
    for (bad, saw) in [
        ("$21=0", "its hard limits are off ($21=0)"),
        ("$22=0", "its homing is off ($22=0)"),
        ("$30=1000", "its S goes up to 1000, less than 2 N·m"),
        (
            "$133=90",
            "axis A travels 90 ($133), and the bench file uses 210.000",
        ),
    ] {
        let (number, _) = bad.split_once('=').expect("a setting");
        let kept = FIT
            .lines()
            .filter(|line| !line.starts_with(&format!("{number}=")));
        let told: String = kept
            .chain([bad, "ok"])
            .map(|line| format!("{line}\n"))
            .collect();
        let mut stage = Stage::new("stage", settings());
        stage.connect(MS(0));
        let report = "<Idle|MPos:0.000,0.000,0.000,100.000>\n";
        talk(
            &mut stage,
            &[("\u{18}", "Grbl 1.1h\n"), ("$$\n", &told), ("?", report)],
        );
        let told = facts(&mut stage);
        let Some(Fact::Trouble(trouble)) = told.last() else {
            panic!("{told:?}");
        };
        assert_eq!(trouble.saw, saw);
    }
}

#[test]
fn silence_babble_and_a_move_without_end_are_told_apart() {
    let mut silent = connected();
    silent
        .go(MS(20), turn(90, 1_000))
        .expect("within the limits");
    assert_eq!(silent.deadline(), Some(MS(520)));
    silent.outbox(MS(1_000));
    assert_eq!(silent.deadline(), Some(MS(1_500)), "it was told only then");
    silent.tick(MS(1_500));
    let mut endless = connected();
    endless
        .go(MS(20), turn(90, 1_000))
        .expect("within the limits");
    talk(&mut endless, &[("M3 S1000\n", "ok\r\n")]);
    endless.outbox(Nanos::ZERO);
    endless.receive(MS(100), b"<Run|MPos:0.000,0.000,0.000,101.000>\r\n");
    // 90 degrees at 90 degrees a second, and the margin.
    assert_eq!(endless.deadline(), Some(MS(10 + 1_000) + MOVE_MARGIN));
    endless.tick(MS(60_000));
    let mut babbling = connected();
    babbling
        .go(MS(20), turn(90, 1_000))
        .expect("within the limits");
    babbling.outbox(Nanos::ZERO);
    babbling.receive(MS(30), b"<Idle|login:>\r\n");
    let kinds: Vec<Trouble> = [&mut silent, &mut endless, &mut babbling]
        .into_iter()
        .flat_map(facts)
        .filter_map(|fact| match fact {
            Fact::Trouble(trouble) => Some(trouble.what),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [Trouble::Silent, Trouble::Overrun, Trouble::Garbled]);
    assert_eq!(sent(&mut endless), "!\u{18}", "whatever still moves stops");
}

#[test]
fn rest_holds_first_and_never_turns_under_half_a_key() {
    let mut stage = connected();
    stage
        .go(MS(20), turn(90, 1_000))
        .expect("within the limits");
    talk(&mut stage, &[("M3 S1000\n", "ok\r\n")]);
    assert_eq!(sent(&mut stage), "G38.3 A190.000 F5400\n");
    stage.rest(MS(100));
    talk(
        &mut stage,
        &[
            ("!?", "<Hold:0|MPos:10.000,0.000,3.000,150.000>\r\n"),
            ("\u{18}", "\r\nGrbl 1.1h ['$' for help]\r\n"),
            ("?", "<Idle|MPos:10.000,0.000,3.000,150.000>\r\n"),
            ("M3 S2000\n", "ok\r\n"),
            (
                "G38.3 Z0.000 F1200\n",
                "[PRB:10.000,0.000,0.000,150.000:0]\r\nok\r\n",
            ),
            ("?", "<Idle|MPos:10.000,0.000,0.000,150.000>\r\n"),
            (
                "G38.3 X0.000 F1200\n",
                "[PRB:0.000,0.000,0.000,150.000:0]\r\nok\r\n",
            ),
            ("?", "<Idle|MPos:0.000,0.000,0.000,150.000>\r\n"),
            (
                "G38.3 A100.000 F5400\n",
                "[PRB:0.000,0.000,0.000,100.000:0]\r\nok\r\n",
            ),
            ("?", "<Idle|MPos:0.000,0.000,0.000,100.000>\r\n"),
            ("M5\n", "ok\r\n"),
        ],
    );
    assert_eq!(stage.rested(), Some(Left::Clear));
}

#[test]
fn a_controller_that_starts_anew_by_itself_is_lost() {
    let mut stage = connected();
    stage.receive(MS(50), b"\r\nGrbl 1.1h ['$' for help]\r\n");
    let told = facts(&mut stage);
    let [Fact::Trouble(trouble)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(trouble.what, Trouble::Lost);
}
