//! Benches: their files, and everything that a bench does on the virtual instruments.
//!
//! Every `benches/bad/*.toml` is refused with exactly the text beside it. To accept new texts, run with
//! `BLESS=1` and review the difference.

use std::fs;
use std::path::{Path, PathBuf};

use lockrig::bench::{Bench, BenchFile, Contact, Feed, Happening, What};
use lockrig::driver::Trouble;
use lockrig::event::Nanos;
use lockrig::port::sim::SimPorts;
use lockrig::port::{Disturbance, Fault, Interrupt, Waited};
use lockrig::quantity::Millivolts;
use lockrig::source::Source;

const MS: fn(u64) -> Nanos = Nanos::from_millis;
const NINE_VOLTS: Feed = Feed::On {
    voltage: Millivolts(9_000),
    resistance: None,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("rig has a parent")
        .to_owned()
}

fn board(name: &str) -> BenchFile {
    let path = root().join("boards").join(name);
    let text = fs::read_to_string(&path).expect("a shipped board can be read");
    BenchFile::read(&Source::new(name, text)).expect("a shipped board is right")
}

fn connect(interrupt: Interrupt) -> Bench {
    let ports = SimPorts::new("virtual-safe", 7, interrupt).expect("there is a virtual safe");
    Bench::connect(board("virtual-safe.toml"), Box::new(ports)).expect("the instruments answer")
}

/// Everything that happens until `until`.
fn watch(bench: &mut Bench, until: Nanos) -> Vec<Happening> {
    let mut happenings = Vec::new();
    loop {
        match bench.wait(until) {
            Waited::Saw(happening) => happenings.push(happening),
            Waited::Deadline => return happenings,
            Waited::Interrupted => panic!("nobody interrupts here"),
        }
    }
}

fn edges(happenings: &[Happening], name: &str) -> Vec<(Nanos, bool)> {
    happenings
        .iter()
        .filter_map(|happening| match &happening.what {
            What::Line { line, on, .. } if line == name => Some((happening.at, *on)),
            _ => None,
        })
        .collect()
}

#[test]
fn bad_bench_files_are_refused_with_the_text_beside_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/benches/bad");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    paths.sort();
    assert!(paths.len() >= 8, "the bad files have gone");
    for path in paths {
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path).expect("a bad file can be read");
        let refused = match BenchFile::read(&Source::new(name.as_str(), text)) {
            Ok(_) => panic!("{name} was accepted"),
            Err(refused) => refused.to_string(),
        };
        let beside = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&beside, &refused).expect("the text can be written");
        }
        let expected = fs::read_to_string(&beside)
            .unwrap_or_default()
            .replace("\r\n", "\n");
        assert_eq!(refused, expected, "{name}");
    }
}

#[test]
fn the_shipped_boards_are_right_and_say_what_they_can_do() {
    let safe = board("virtual-safe.toml");
    let smart_lock = board("virtual-smart-lock.toml");
    let desk = board("example-desk.toml");
    for ability in [
        "keypad",
        "button.reset",
        "door",
        "jam",
        "bolt",
        "supply",
        "supply.resistance",
        "console",
        "probe",
        "branch",
        "line.red",
    ] {
        assert!(safe.abilities().contains(ability), "{ability}");
        assert!(smart_lock.abilities().contains(ability), "{ability}");
    }
    for ability in ["branch", "supply.resistance"] {
        assert!(!desk.abilities().contains(ability), "{ability}");
    }
    assert_eq!(desk.emulates, None);
    assert_eq!(safe.keys().len(), 12);
}

#[test]
fn the_schema_agrees_with_the_reader_on_the_keys() {
    let schema = lockrig::bench::schema();
    let properties = schema.get("properties").and_then(|one| one.as_object());
    let properties = properties.expect("a bench is an object");
    for key in ["bench", "emulates", "ports", "relays", "keys", "rest"] {
        assert!(properties.contains_key(key), "{key}");
    }
    assert_eq!(schema.get("additionalProperties"), Some(&false.into()));
}

#[test]
fn connecting_takes_no_longer_than_the_instruments_answers() {
    let bench = connect(Interrupt::default());
    // 16 orders of 10 ms, and the supply's name at 9600 baud.
    assert!(bench.now() < MS(400), "it took {}", bench.now());
}

#[test]
fn a_press_is_confirmed_and_seen_on_the_sense_line() {
    let mut bench = connect(Interrupt::default());
    let pressed = bench.now();
    bench.press('5', true).expect("key 5 is wired");
    let seen = watch(&mut bench, pressed + MS(100));
    let confirmed = seen.iter().find_map(|happening| match &happening.what {
        What::Switched {
            contact: Contact::Key('5'),
            closed: true,
            asked,
        } => Some((happening.at, *asked)),
        _ => None,
    });
    let (at, asked) = confirmed.expect("the relay board confirms");
    assert_eq!(asked, pressed);
    assert!(
        at.since(asked) <= MS(12),
        "an order takes {}",
        at.since(asked)
    );
    let (closed, _) = edges(&seen, "key")[0];
    // 4.2 ms on the wire, 6 ms for the relay.
    assert!(
        closed.since(pressed) < MS(12),
        "closed after {}",
        closed.since(pressed)
    );
    assert_eq!(bench.was_on("key"), Some(true));
    assert_eq!(bench.level("key"), Ok(true));
}

#[test]
fn a_key_can_be_pressed_and_released_every_twenty_milliseconds() {
    let mut bench = connect(Interrupt::default());
    let begun = bench.now();
    let keys = ['1', '2', '3', '4', '5'];
    for key in keys {
        bench.press(key, true).expect("the key is wired");
        bench.press(key, false).expect("the key is wired");
    }
    let seen = watch(&mut bench, begun + MS(1_000));
    let last = seen
        .iter()
        .rev()
        .find(|seen| matches!(seen.what, What::Switched { .. }));
    let last = last.expect("the relay board confirms").at;
    let each = last.since(begun).0 / keys.len() as u64;
    assert!(each <= MS(20).0, "a press takes {}", Nanos(each));
}

#[test]
fn the_supply_is_set_measured_and_dropped() {
    let mut bench = connect(Interrupt::default());
    assert_eq!(
        bench.supply_identity(),
        Some("LOCKRIG,VIRTUAL SUPPLY,0,1.0")
    );
    bench.feed(NINE_VOLTS).expect("9 V is allowed");
    let until = bench.now() + MS(300);
    let seen = watch(&mut bench, until);
    assert!(
        seen.iter().any(|seen| matches!(
            seen.what,
            What::Fed {
                feed: NINE_VOLTS,
                ..
            }
        )),
        "{seen:?}"
    );
    bench.measure().expect("there is a supply");
    let until = bench.now() + MS(300);
    let measured = watch(&mut bench, until)
        .into_iter()
        .find_map(|seen| match seen.what {
            What::Measured {
                voltage, current, ..
            } => Some((voltage, current)),
            _ => None,
        });
    let (voltage, current) = measured.expect("the supply measures");
    assert!((8_900..=9_000).contains(&voltage.0), "{voltage}");
    assert!(current.0 < 20_000, "{current}");
    bench.feed(Feed::Off).expect("off is allowed");
    let until = bench.now() + MS(300);
    let seen = watch(&mut bench, until);
    assert!(seen.iter().any(|seen| matches!(
        seen.what,
        What::Fed {
            feed: Feed::Off,
            ..
        }
    )));
    let too_much = Feed::On {
        voltage: Millivolts(12_000),
        resistance: None,
    };
    assert_eq!(
        bench.feed(too_much).expect_err("12 V is too much").what,
        Trouble::Refused
    );
}

#[test]
fn going_to_rest_opens_what_is_closed_and_switches_the_supply_off() {
    let mut bench = connect(Interrupt::default());
    bench.feed(NINE_VOLTS).expect("9 V is allowed");
    bench.button("reset", true).expect("the button is wired");
    bench.door(true).expect("the door is wired");
    let until = bench.now() + MS(200);
    watch(&mut bench, until);
    assert_eq!(bench.level("reset-button"), Ok(true));
    // More orders, of which none may be carried out any more.
    bench.press('1', true).expect("the key is wired");
    bench.press('2', true).expect("the key is wired");
    let begun = bench.now();
    let rest = bench.to_rest();
    assert_eq!(rest.unknown, Vec::<String>::new());
    assert_eq!(rest.outputs.len(), 17, "{:?}", rest.outputs);
    assert!(
        bench.now().since(begun) < MS(200),
        "it took {}",
        bench.now().since(begun)
    );
    let until = bench.now() + MS(100);
    watch(&mut bench, until);
    for line in ["reset-button", "door", "key"] {
        assert_eq!(bench.level(line), Ok(false), "{line}");
    }
    let begun = bench.now();
    bench.to_rest();
    assert_eq!(bench.now(), begun, "what is at rest costs nothing");
}

#[test]
fn the_driver_opens_a_contact_that_is_held_for_too_long() {
    let mut bench = connect(Interrupt::default());
    bench.button("reset", true).expect("the button is wired");
    let until = bench.now() + Nanos::from_secs(130);
    let seen = watch(&mut bench, until);
    let overrun = seen.iter().find_map(|seen| match &seen.what {
        What::Trouble(trouble) => Some(trouble.clone()),
        _ => None,
    });
    let overrun = overrun.expect("two minutes are the longest");
    assert_eq!(overrun.what, Trouble::Overrun);
    assert_eq!(
        overrun.to_string(),
        "relay board on sim:relay: keeping 'button reset' (channel 13) closed: it was closed for \
         2 min, its longest on-time; it has been opened"
    );
    assert_eq!(bench.level("reset-button"), Ok(false));
}

#[test]
fn an_interrupt_ends_one_wait_and_going_to_rest_still_works() {
    let interrupt = Interrupt::default();
    let mut bench = connect(interrupt.clone());
    bench.button("reset", true).expect("the button is wired");
    let until = bench.now() + MS(100);
    watch(&mut bench, until);
    interrupt.raise();
    let until = bench.now() + Nanos::from_secs(60);
    assert_eq!(bench.wait(until), Waited::Interrupted);
    interrupt.raise();
    assert!(bench.to_rest().unknown.is_empty());
    let until = bench.now() + MS(50);
    watch(&mut bench, until);
    assert_eq!(bench.level("reset-button"), Ok(false));
}

#[test]
fn a_fork_sees_the_same_and_leaves_the_other_alone() {
    let mut bench = connect(Interrupt::default());
    bench.feed(NINE_VOLTS).expect("9 V is allowed");
    bench.press('5', true).expect("key 5 is wired");
    let mut fork = bench.fork().expect("a virtual bench can branch");
    let until = bench.now() + MS(500);
    assert_eq!(watch(&mut bench, until), watch(&mut fork, until));
    fork.press('5', false).expect("key 5 is wired");
    let until = until + MS(100);
    watch(&mut fork, until);
    watch(&mut bench, until);
    assert_eq!(
        (bench.level("key"), fork.level("key")),
        (Ok(true), Ok(false))
    );
}

#[test]
fn what_the_bench_lacks_is_named() {
    let mut bench = connect(Interrupt::default());
    let absent = bench
        .button("rest", true)
        .expect_err("there is no such button");
    assert_eq!(absent.what, Trouble::Absent);
    assert_eq!(
        absent.to_string(),
        "button rest: looking for it: bench 'virtual-safe' has none"
    );
}

/// The safe's bench with its lines on the sense board instead of exact wires.
fn connect_with_sense_board() -> Bench {
    let path = root().join("boards/virtual-safe.toml");
    let mut text = fs::read_to_string(path).expect("a shipped board can be read");
    let exact = r#"at = "sim:sense""#;
    let board = r#"at = "sim:sense-board", baud = 57600, driver = "firmata""#;
    text = text.replace(exact, board);
    let pins = [
        "red",
        "green",
        "yellow",
        "beeper",
        "bolt-withdrawn",
        "bolt-thrown",
        "door",
        "reset-button",
        "program-button",
        "key",
        "solenoid",
    ];
    for (pin, line) in (2..).zip(pins) {
        text = text.replace(&format!(r#"pin = "{line}""#), &format!(r#"pin = "{pin}""#));
    }
    let file = BenchFile::read(&Source::new("sense-board.toml", text)).expect("it is right");
    let interrupt = Interrupt::default();
    let ports = SimPorts::new("virtual-safe", 7, interrupt).expect("there is a virtual safe");
    Bench::connect(file, Box::new(ports)).expect("the instruments answer")
}

#[test]
fn a_sense_board_tells_what_exact_wires_tell_a_little_later() {
    let seen = |mut bench: Bench| {
        assert_eq!(bench.level("bolt-thrown"), Ok(true));
        assert_eq!(bench.level("door"), Ok(false));
        let begun = bench.now();
        bench.button("reset", true).expect("the button is wired");
        let mut happenings = watch(&mut bench, begun + MS(100));
        assert_eq!(bench.level("reset-button"), Ok(true));
        bench.button("reset", false).expect("the button is wired");
        happenings.extend(watch(&mut bench, begun + MS(200)));
        assert_eq!(bench.level("reset-button"), Ok(false));
        let edges = edges(&happenings, "reset-button").into_iter();
        edges
            .map(|(at, on)| (at.since(begun), on))
            .collect::<Vec<_>>()
    };
    let exact = seen(connect(Interrupt::default()));
    let told = seen(connect_with_sense_board());
    let held = exact.iter().filter(|(at, _)| *at < MS(100)).count();
    let (closing, opening) = exact.split_at(held);
    // What bounces is told once or several times: a round of the board's loop and three bytes after the first touch at
    // the earliest, and after the last as late as a wire lets through that carries each change and its confirmation.
    let late = MS(5);
    let held = told.iter().filter(|(at, _)| *at < MS(100)).count();
    let told = told.split_at(held);
    for (told, bounces, closed) in [(told.0, closing, true), (told.1, opening, false)] {
        let (first, last) = (bounces[0].0, bounces[bounces.len() - 1].0);
        let is_in_time = |(at, _): &(Nanos, bool)| *at > first && *at < last + late;
        assert!(told.iter().all(is_in_time), "{told:?} {bounces:?}");
        assert!(told.len() % 2 == 1 && told.len() <= bounces.len());
        assert_eq!(told.last().map(|(_, on)| *on), Some(closed));
    }
}

/// The virtual safe, its contacts closed by pins: a crosspoint across the keypad.
fn connect_pins() -> Bench {
    connect_header("safe-on-pins.toml")
}

fn connect_header(name: &str) -> Bench {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/benches");
    let text = fs::read_to_string(folder.join(name)).expect("the bench file can be read");
    let file = BenchFile::read(&Source::new(name, text)).expect("it is right");
    let ports = SimPorts::new("virtual-safe", 7, Interrupt::default()).expect("there is one");
    Bench::connect(file, Box::new(ports)).expect("pins need no answer")
}

#[test]
fn pins_close_a_key_at_once_and_open_it_at_the_very_time_that_was_ordered() {
    let mut bench = connect_pins();
    let pressed = bench.now();
    let opens = pressed + MS(100);
    bench.press('5', true).expect("key 5 is wired");
    bench.open_at(&Contact::Key('5'), opens);
    let seen = watch(&mut bench, pressed + MS(200));
    let switched: Vec<(Nanos, bool, Nanos)> = seen
        .iter()
        .filter_map(|happening| match &happening.what {
            What::Switched {
                contact: Contact::Key('5'),
                closed,
                asked,
            } => Some((happening.at, *closed, *asked)),
            _ => None,
        })
        .collect();
    assert_eq!(
        switched,
        [(pressed, true, pressed), (opens, false, opens)],
        "driven when it was asked for"
    );
    let edges = edges(&seen, "key");
    // The header's relays take 6 ms to close and 3 ms to open, and bounce for 6 ms at most.
    assert_eq!(edges.first(), Some(&(pressed + MS(6), true)));
    let (last, on) = edges.last().expect("it opened");
    assert!(!on && *last <= opens + MS(9), "it opened at {last}");
}

#[test]
fn pins_go_to_rest_also_where_an_opening_was_ordered_for_later() {
    let mut bench = connect_pins();
    bench.press('1', true).expect("key 1 is wired");
    bench.press('2', true).expect("they share a row");
    bench.door(true).expect("the door is wired");
    bench.open_at(&Contact::Key('1'), bench.now() + MS(60_000));
    let until = bench.now() + MS(50);
    watch(&mut bench, until);
    assert_eq!(bench.level("key"), Ok(true));
    let begun = bench.now();
    let rest = bench.to_rest();
    assert_eq!(rest.unknown, [""; 0]);
    assert!(
        bench.now().since(begun) < MS(100),
        "it took {}",
        bench.now()
    );
    let until = bench.now() + MS(50);
    watch(&mut bench, until);
    assert_eq!(bench.level("key"), Ok(false));
    assert_eq!(bench.level("door"), Ok(false));
}

/// The virtual safe's reset button, pressed by a servo whose horn takes 150 ms; on the bench its contact moves as the
/// relay at that output does.
fn connect_servo() -> Bench {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/benches");
    let path = folder.join("safe-on-pins.toml");
    let text = fs::read_to_string(path).expect("the bench file can be read");
    let servo = r#"{ servo = 13, rest = "1000 us", pressed = "1.9 ms", travel = "150 ms" }"#;
    let text = text.replace("channel = 13", &format!("channel = {servo}"));
    let file = BenchFile::read(&Source::new("servo.toml", text)).expect("it is right");
    let ports = SimPorts::new("virtual-safe", 7, Interrupt::default()).expect("there is one");
    Bench::connect(file, Box::new(ports)).expect("pins need no answer")
}

/// A new width may take two periods, and then the horn is under way.
const HORN: Nanos = Nanos::from_millis(40 + 150);

/// When the reset button switched.
fn switched_reset(happenings: &[Happening]) -> Vec<(Nanos, bool)> {
    let reset = Contact::Button("reset".to_owned());
    let switched = happenings
        .iter()
        .filter_map(|happening| match &happening.what {
            What::Switched {
                contact, closed, ..
            } if *contact == reset => Some((happening.at, *closed)),
            _ => None,
        });
    switched.collect()
}

#[test]
fn a_servo_has_switched_once_its_horn_is_there() {
    let mut bench = connect_servo();
    assert!(
        bench.now() >= HORN,
        "it goes to rest as the bench is opened"
    );
    let pressed = bench.now();
    let opens = pressed + MS(500);
    bench.button("reset", true).expect("the button is wired");
    bench.open_at(&Contact::Button("reset".to_owned()), opens);
    let seen = watch(&mut bench, pressed + MS(1_000));
    let expected = [(pressed + HORN, true), (opens + HORN, false)];
    assert_eq!(switched_reset(&seen), expected);
    assert_eq!(bench.level("reset-button"), Ok(false));
}

#[test]
fn a_horn_that_is_under_way_gets_there_and_then_does_what_was_ordered_last() {
    let mut bench = connect_servo();
    let pressed = bench.now();
    for (after, closed) in [(0, true), (50, false), (100, true), (120, false)] {
        watch(&mut bench, pressed + MS(after));
        bench.button("reset", closed).expect("the button is wired");
    }
    let seen = watch(&mut bench, pressed + MS(1_000));
    let expected = [(pressed + HORN, true), (pressed + HORN + HORN, false)];
    assert_eq!(switched_reset(&seen), expected);
}

#[test]
fn a_servo_goes_to_rest_from_the_middle_of_its_way_and_is_waited_for() {
    let mut bench = connect_servo();
    bench.button("reset", true).expect("the button is wired");
    let until = bench.now() + MS(100);
    watch(&mut bench, until);
    assert_eq!(bench.level("reset-button"), Ok(true));
    let begun = bench.now();
    let rest = bench.to_rest();
    assert_eq!(rest.unknown, [""; 0]);
    let lasted = bench.now().since(begun);
    assert!(
        lasted >= HORN && lasted < HORN + MS(200),
        "it took {lasted}"
    );
    assert_eq!(bench.level("reset-button"), Ok(false));
    let begun = bench.now();
    bench.to_rest();
    assert_eq!(bench.now(), begun, "what is at rest costs nothing");
}

#[test]
fn a_chord_that_a_crosspoint_cannot_press_is_refused() {
    let mut bench = connect_pins();
    let key = |label| Contact::Key(label);
    assert_eq!(bench.file().clash([&key('1'), &key('2')]), None);
    assert!(bench.file().clash([&key('0'), &key('3')]).is_some());
    bench.press('0', true).expect("key 0 is wired");
    let trouble = bench
        .press('3', true)
        .expect_err("0 and 3 make a rectangle");
    assert_eq!(trouble.what, Trouble::Refused);
}

#[test]
fn lead_and_crowbar_are_never_closed_together() {
    let ports = SimPorts::new("virtual-safe-on-cells", 7, Interrupt::default());
    let path = root().join("rig/tests/benches/safe-on-cells.toml");
    let text = fs::read_to_string(&path).expect("the bench file can be read");
    let file = BenchFile::read(&Source::new("cells", text)).expect("the bench file is right");
    let ports = ports.expect("there is such a bench");
    let mut bench = Bench::connect(file, Box::new(ports)).expect("the instruments answer");
    let relays = |happenings: &[Happening]| -> Vec<(Contact, bool, Nanos)> {
        let moved = happenings
            .iter()
            .filter_map(|happening| match &happening.what {
                What::Switched {
                    contact, closed, ..
                } => Some((contact.clone(), *closed, happening.at)),
                _ => None,
            });
        moved.collect()
    };
    let fed = |happenings: &[Happening]| match happenings.last() {
        Some(Happening {
            what: What::Fed { feed, .. },
            ..
        }) => Some(*feed),
        _ => None,
    };
    let until = |bench: &Bench| bench.now() + MS(300);
    // A discharged board has to be let go before the cells come back, and the other way round.
    let mut last = [(Contact::Lead, false), (Contact::Crowbar, false)];
    for feed in [NINE_VOLTS, Feed::Off, NINE_VOLTS, Feed::Off] {
        bench.feed(feed).expect("there are cells");
        assert!(!bench.is_fed(feed));
        let end = until(&bench);
        let seen: Vec<Happening> = watch(&mut bench, end)
            .into_iter()
            .filter(|happening| matches!(happening.what, What::Switched { .. } | What::Fed { .. }))
            .collect();
        assert_eq!(fed(&seen), Some(feed));
        assert!(bench.is_fed(feed));
        let moved = relays(&seen);
        for pair in moved.windows(2) {
            let [(_, opened, first), (_, closed, second)] = pair else {
                unreachable!("a window of two")
            };
            assert!(
                !opened && *closed && second.since(*first) >= MS(20),
                "{moved:?}"
            );
        }
        for (contact, closed, _) in moved {
            let place = last.iter_mut().find(|(one, _)| *one == contact);
            place.expect("no other relay moves").1 = closed;
        }
        let is_on = feed == NINE_VOLTS;
        assert_eq!(last, [(Contact::Lead, is_on), (Contact::Crowbar, !is_on)]);
    }
    let rest = bench.to_rest();
    assert_eq!(rest.unknown, [""; 0]);
    assert!(rest.outputs.contains(&"supply".to_owned()));
    let told = relays(&rest.happenings);
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].0, told[0].1), (&Contact::Crowbar, false));
    let trouble = bench.feed(Feed::On {
        voltage: Millivolts(6_000),
        resistance: None,
    });
    let trouble = trouble.expect_err("cells cannot be set").to_string();
    assert!(
        trouble.contains("they have 9 V, and nothing sets them"),
        "{trouble}"
    );
    let trouble = bench.measure().expect_err("there is no meter").to_string();
    assert!(
        trouble.contains("a relay in a lead has no meter"),
        "{trouble}"
    );
}

#[test]
fn multiplexers_press_one_key_at_a_time() {
    let mut bench = connect_header("safe-on-multiplexers.toml");
    let key = |label| Contact::Key(label);
    assert!(bench.file().clash([&key('1'), &key('2')]).is_some());
    bench.press('1', true).expect("key 1 is wired");
    let trouble = bench.press('2', true).expect_err("one at a time");
    assert_eq!(trouble.what, Trouble::Refused);
    let pressed = bench.now();
    bench.open_at(&key('1'), pressed + MS(50));
    let mut seen = watch(&mut bench, pressed + MS(100));
    bench.press('1', false).expect("opening is free");
    bench.press('2', true).expect("key 1 is open");
    seen.extend(watch(&mut bench, pressed + MS(200)));
    let closed: Vec<bool> = edges(&seen, "key").iter().map(|(_, on)| *on).collect();
    assert!(closed.contains(&false) && bench.level("key") == Ok(true));
    let rest = bench.to_rest();
    assert_eq!(rest.unknown, [""; 0]);
    let until = bench.now() + MS(50);
    watch(&mut bench, until);
    assert_eq!(bench.level("key"), Ok(false));
}

#[test]
fn the_console_of_a_virtual_bench_that_is_lost_stays_lost() {
    let mut bench = connect(Interrupt::default());
    assert_eq!(bench.console_lost(), None);
    let lost = Fault {
        port: "sim:console".to_owned(),
        from: bench.now(),
        until: Nanos::NEVER,
        what: Disturbance::Lose,
        one_in: 1,
        most: 0,
        seed: 1,
    };
    assert!(bench.branch().expect("it is virtual").fault(lost));
    let until = bench.now() + MS(10);
    let seen = watch(&mut bench, until);
    let troubles = seen.iter().filter_map(|happening| match &happening.what {
        What::Trouble(trouble) => Some(trouble),
        _ => None,
    });
    assert!(troubles.eq(bench.console_lost()), "{seen:?}");
    let trouble = bench.reopen_console().expect_err("nothing is plugged in");
    assert_eq!(trouble.what, Trouble::Lost);
    assert!(bench.console_lost().is_some());
}
