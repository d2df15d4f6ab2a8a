//! What was found before is not found again, what the fuzzers start from is right, and what is no script is
//! refused in words.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz_lock::{against_specification, code_entry, power_cut};
use fuzz_script::{Script, repaired};
use rstest::rstest;

/// The files of a target, seeds and regressions.
fn files(target: &str) -> Vec<PathBuf> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = [
        fuzz.join("seeds").join(target),
        fuzz.join("regressions").join(target),
    ];
    let mut files: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .map(|entry| entry.expect("a folder that can be read").path())
        .collect();
    files.sort();
    files
}

#[rstest]
#[case::code_entry("code_entry", code_entry::target)]
#[case::code_entry_vs_spec("code_entry_vs_spec", against_specification::target)]
#[case::power_cut("power_cut", power_cut::target)]
fn what_was_found_is_not_found_again(#[case] name: &str, #[case] target: fn(&[u8]) -> bool) {
    // The targets on scripts have their seeds in common.
    let names: &[&str] = match name {
        "power_cut" => &["power_cut"],
        _ => &["scripts", name],
    };
    let files: Vec<PathBuf> = names.iter().flat_map(|name| files(name)).collect();
    assert!(!files.is_empty(), "no seeds for {name}");
    for path in files {
        let bytes = fs::read(&path).expect("a file that can be read");
        eprintln!("{}", path.display());
        assert!(
            target(&bytes),
            "'{}' is no input for {name}",
            path.display()
        );
    }
}

/// The harness finds what is planted; where it does not, nothing else that it says is worth anything.
#[test]
#[should_panic(expected = "I2: the failure count fell")]
fn the_canary_sings() {
    let wrong = "148#".chars().filter_map(fuzz_script::Press::key);
    let mut script = Script {
        product: 5,
        actions: wrong
            .map(|press| fuzz_script::Action {
                press,
                ..fuzz_script::Action::default()
            })
            .collect(),
    };
    script.actions.last_mut().expect("four actions").cut = fuzz_script::Loss::Cycle(0);
    code_entry::canary(&script.to_bytes());
}

#[rstest]
#[case::nothing(b"", "it ends within the presses")]
#[case::cut_short(b"\0\x04\x01", "it ends within the presses")]
#[case::unknown(
    b"\0\x01\xFF\0\0\0\0",
    "byte 2: it is 255, at place 0 of the presses, where only 0 to "
)]
#[case::too_long(b"\0\x01\x01\x02\x01\x01\0\0\0", "it has 2 pauses")]
#[case::trailing(
    b"\0\x01\x01\x01\0\0\0\0",
    "its pauses end with one that changes nothing"
)]
#[case::rest(b"\0\0\0\0\0\0more", "4 bytes stand behind its end")]
fn what_is_no_script_says_why(#[case] bytes: &[u8], #[case] why: &str) {
    let error = Script::from_bytes(bytes)
        .expect_err("no script")
        .to_string();
    assert!(error.contains(why), "{error}");
    let script = Script::from_bytes(&repaired(bytes)).expect("repaired");
    assert_eq!(script.to_bytes(), repaired(bytes));
}
