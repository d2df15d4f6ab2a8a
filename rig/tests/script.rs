//! Bytes become a scenario, and the scenario the same bytes.

use fuzz_script::{Script, repaired};
use lockrig::project::Project;
use lockrig::scenario::{Requirements, Scenario};
use lockrig::script;
use lockrig::source::Source;

fn read(text: &str) -> Scenario {
    let file = Project::Shipped
        .requirements()
        .expect("it is in the binary");
    let source = Source::new(file.name.as_str(), file.text().expect("it is text"));
    let requirements = Requirements::read(&source).expect("it is right");
    Scenario::read(&Source::new("found.yaml", text), &requirements).expect(text)
}

fn there_and_back(bytes: &[u8]) {
    let script = Script::from_bytes(bytes).expect("a script");
    let Some(text) = script::scenario(&script, "found") else {
        return assert!(script.actions.is_empty());
    };
    let again = script::script(&read(&text)).expect(&text);
    assert_eq!(again.to_bytes(), bytes, "{text}");
    assert_eq!(script::scenario(&again, "found"), Some(text));
}

/// Every word of the alphabet, and many of them together.
#[test]
fn bytes_and_scenarios_stand_for_each_other() {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for byte in 0..=u8::MAX {
        for stream in 0..5 {
            let mut streams = fuzz_script::Streams {
                product: byte % 6,
                ..fuzz_script::Streams::default()
            };
            streams.bytes[0] = vec![2];
            streams.bytes[stream] = vec![byte];
            there_and_back(&streams.together());
        }
        let bytes: Vec<u8> = (0..200).map(|_| noise()).collect();
        let mut bytes = repaired(&bytes);
        bytes[0] %= 6;
        there_and_back(&bytes);
    }
}

#[test]
fn what_no_script_can_do_is_named() {
    let text = "scenario: other\nversion: 1\nintent: Found by a fuzzer on stack-on-red-button\nneeds: []\n\
                covers: []\nsteps:\n  - wait: 123 ms\n";
    let why = script::script(&read(text)).expect_err("another pause");
    assert_eq!(why, "a wait of another length than scripts know: 123 ms");
}
