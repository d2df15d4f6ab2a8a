//! `lockrig bench` at the command line.

use std::fs;

use rstest::rstest;
use tempfile::TempDir;

use desk::{lockrig, text};

mod desk;

fn desk() -> TempDir {
    TempDir::new().expect("a folder for the test")
}

#[rstest]
#[case("virtual-safe")]
#[case("virtual-cylinder")]
#[case("example-desk")]
fn the_wiring_of_a_bench_is_drawn(#[case] bench: &str) {
    let drawn = lockrig(&desk(), &["bench", "draw", bench]);
    assert_eq!(drawn.status.code(), Some(0), "{}", text(&drawn.stderr));
    insta::assert_binary_snapshot!(&format!("{bench}.svg"), drawn.stdout);
}

#[test]
fn multiplexers_are_drawn_with_the_pins_that_select() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/benches/safe-on-multiplexers.toml"
    );
    let drawn = lockrig(&desk(), &["bench", "draw", file]);
    assert_eq!(drawn.status.code(), Some(0), "{}", text(&drawn.stderr));
    let drawn = text(&drawn.stdout);
    let pins = "row by pins 24, 25, column by 26, 27, on while 28 is high";
    assert!(drawn.contains(pins), "{drawn}");
    assert!(drawn.contains("row 3, column 1 to key 0"), "{drawn}");
}

#[test]
fn a_servo_is_drawn_with_its_pin_and_its_pulses() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/benches/safe-on-pins.toml"
    );
    let bench = fs::read_to_string(file).expect("the bench file can be read");
    let servo = r#"{ servo = 13, rest = "1000 us", pressed = "1900 us", travel = "150 ms" }"#;
    let desk = desk();
    let bench = bench.replace("channel = 13", &format!("channel = {servo}"));
    fs::write(desk.path().join("servo.toml"), bench).expect("the desk can be written to");
    let drawn = lockrig(&desk, &["bench", "draw", "servo.toml"]);
    assert_eq!(drawn.status.code(), Some(0), "{}", text(&drawn.stderr));
    let drawn = text(&drawn.stdout);
    let wire = "servo at pin 13, 1 ms at rest, 1.9 ms pressed to button reset";
    assert!(drawn.contains(wire), "{drawn}");
}

#[rstest]
#[case("virtual-safe")]
#[case("virtual-cylinder")]
fn a_bench_says_who_answers_without_powering_the_board(#[case] bench: &str) {
    let met = lockrig(&desk(), &["bench", "check", bench]);
    assert_eq!(text(&met.stderr), "");
    insta::assert_snapshot!(format!("check_{bench}"), text(&met.stdout));
    assert_eq!(met.status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn what_is_attached_becomes_a_draft_that_can_be_read() {
    let desk = desk();
    let by_id = desk.path().join("dev/serial/by-id");
    fs::create_dir_all(&by_id).expect("the desk can be written to");
    for (device, link) in [
        ("ttyUSB0", "usb-1a86_USB_Serial-if00-port0"),
        ("ttyUSB1", "usb-FTDI_FT232R_A50285BI-if00-port0"),
        ("ttyACM0", "usb-Arduino_Uno_75735303-if00"),
        ("ttyUSB2", "usb-Somebody_Else-if00"),
        ("gpiochip0", ""),
    ] {
        let device = desk.path().join("dev").join(device);
        fs::write(&device, "").expect("the desk can be written to");
        if !link.is_empty() {
            std::os::unix::fs::symlink(&device, by_id.join(link)).expect("a link can be made");
        }
    }
    let list = ["bench", "list", "--dev", "dev", "--draft", "My desk.toml"];
    let listed = lockrig(&desk, &list);
    let path = desk
        .path()
        .canonicalize()
        .expect("it is there")
        .display()
        .to_string();
    insta::with_settings!({ filters => vec![(path.as_str(), "[desk]"), (r"probe   .*\n.*\n", "")] }, {
        insta::assert_snapshot!("list", text(&listed.stdout));
        let draft = fs::read_to_string(desk.path().join("My desk.toml")).expect("it was written");
        insta::assert_snapshot!("draft", draft);
    });
    assert_eq!(text(&listed.stderr), "");
    let checked = lockrig(&desk, &["check", "--bench", "My desk.toml"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    let again = lockrig(&desk, &list);
    assert_eq!(again.status.code(), Some(2), "a file that is there is kept");
}

#[test]
fn a_board_is_fed_by_hand_and_no_further_than_it_bears() {
    let fed = lockrig(&desk(), &["supply", "9 V", "--for", "3 s"]);
    assert_eq!(text(&fed.stderr), "");
    insta::assert_snapshot!("supply", text(&fed.stdout));
    let too_much = lockrig(&desk(), &["supply", "11 V"]);
    insta::assert_snapshot!("supply_too_much", text(&too_much.stderr));
    assert_eq!(too_much.status.code(), Some(2));
}

#[test]
fn a_bench_is_released() {
    let released = lockrig(&desk(), &["release", "--bench", "virtual-safe"]);
    insta::assert_snapshot!("release", text(&released.stdout));
    assert_eq!(released.status.code(), Some(0));
}

#[test]
fn a_supply_that_is_another_one_stops_everything_before_the_board_has_power() {
    let desk = desk();
    let safe = desk::root().join("boards/virtual-safe.toml");
    let safe = fs::read_to_string(safe).expect("a shipped board can be read");
    let file = safe.replace(
        "highest = \"10 V\"",
        "identity = \"ACME,PS3005\"\nhighest = \"10 V\"",
    );
    fs::write(desk.path().join("mine.toml"), file).expect("the desk can be written to");
    let fed = lockrig(&desk, &["supply", "9 V", "--bench", "mine.toml"]);
    insta::assert_snapshot!("another_supply", text(&fed.stderr));
    assert_eq!(fed.status.code(), Some(3));
}
