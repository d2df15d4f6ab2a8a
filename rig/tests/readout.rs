//! Whether a board's flash can be read through its debug port: an image that locks the chip, and one that does not,
//! on a product whose maker says that nobody can; and what flashing a locked board takes.

mod desk;
#[cfg(unix)]
mod served;

use std::fs;
use std::path::Path;

use ihex::Record;
use lockrig::image::{ChipMap, Image};
use rstest::rstest;
use tempfile::TempDir;

use desk::{lockrig, root, text};

/// The nRF51's readback protection: all of flash.
const RBPCONF: u32 = 0x1000_1004;
const LOCKED: [u8; 4] = [0xFF, 0x00, 0xFF, 0xFF];

/// The shipped firmware of the safe as Intel HEX, with a record that locks the chip.
fn locked(into: &Path) {
    let shipped = root().join("firmware/images/reference-safe.elf");
    let bytes = fs::read(shipped).expect("it is committed");
    let chip = ChipMap::of("nRF51822_xxAA").expect("our target description knows it");
    let image = Image::read("reference-safe.elf", &bytes, &chip).expect("it is good");
    let mut records = Vec::new();
    let mut add = |at: u32, bytes: &[u8]| {
        records.push(Record::ExtendedLinearAddress((at >> 16) as u16));
        records.push(Record::Data {
            offset: at as u16,
            value: bytes.to_vec(),
        });
    };
    for segment in image.segments() {
        let chunks = segment
            .bytes
            .chunks(16)
            .zip((segment.address..).step_by(16));
        chunks.for_each(|(chunk, at)| add(at, chunk));
    }
    add(RBPCONF, &LOCKED);
    records.push(Record::EndOfFile);
    let hex = ihex::create_object_file_representation(&records);
    fs::write(into, hex.expect("the records are good")).expect("it can be written");
}

/// A product whose maker says that the debug port is closed, and the image that closes it.
fn desk() -> TempDir {
    let desk = TempDir::new().expect("a temporary folder");
    let profile = root().join("scenarios/profiles/stack-on-red-button.yaml");
    let profile = fs::read_to_string(profile).expect("it is shipped");
    let closed = profile.replace("\nsupply:\n", "\ndebug-port: closed\n\nsupply:\n");
    assert_ne!(closed, profile);
    fs::write(desk.path().join("closed.yaml"), closed).expect("it can be written");
    locked(&desk.path().join("locked.hex"));
    desk
}

#[rstest]
#[case::of_a_locked_chip("closed.yaml", &["--image", "locked.hex"], 0, "1 pass")]
#[case::of_an_open_one("closed.yaml", &[], 1, "of the first 1024 bytes")]
#[case::that_nobody_promises("stack-on-red-button", &[], 2, "no source says that the debug port")]
fn the_debug_port_is_judged(
    #[case] profile: &str,
    #[case] more: &[&str],
    #[case] code: i32,
    #[case] words: &str,
) {
    let desk = desk();
    let scenario = root().join("scenarios/debug-port-closed.yaml");
    let scenario = scenario.to_str().expect("its path is text");
    let bench = ["--bench", "virtual-safe", "--profile", profile];
    let ran = lockrig(&desk, &[&["run", scenario], &bench[..], more].concat());
    let said = text(&ran.stdout) + &text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

#[cfg(unix)]
#[test]
#[ignore = "most of a minute of real time: see .ci/run"]
fn a_locked_board_is_flashed_where_somebody_asks_for_it() {
    let desk = desk();
    let serve = [
        "sim",
        "serve",
        "virtual-safe",
        "--erased",
        "--write-bench",
        "served.toml",
    ];
    let served = served::Served::start(desk.path(), &serve);
    let flash = |image: &str, more: &[&str]| {
        let flash = ["flash", image, "--bench", "served.toml"];
        let ran = lockrig(&desk, &[&flash[..], more].concat());
        (ran.status.code(), text(&ran.stdout) + &text(&ran.stderr))
    };
    for (image, more, code, words) in [
        ("locked.hex", &[][..], 0, "flashed 'locked.hex'"),
        ("reference-safe", &[], 3, "is protected from being read"),
        ("reference-safe", &["--unlock"], 0, "flashed '"),
        ("reference-safe", &[], 0, "is on nRF51822_xxAA already"),
    ] {
        let (got, said) = flash(image, more);
        assert_eq!(got, Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
    drop(served);
}
