//! A closed image of another maker: no source is read here, and it has no personality page.

use fuzz_image::{Outcome, Target};
use fuzz_script::{Action, Press, Script};
use lockrig_sim::bench::BenchSpec;

fn enter(keys: &str) -> Outcome {
    let elf = include_bytes!("../../foreign/lock.elf");
    let codes = ["4711#".to_owned()];
    let target = Target::foreign(elf, &BenchSpec::SAFE, &codes, None).expect("an image");
    let presses = keys.chars().filter_map(Press::key);
    let script = Script {
        product: 0,
        actions: presses
            .map(|press| Action {
                press,
                ..Action::default()
            })
            .collect(),
    };
    target.run(&script.to_bytes()).expect("a script")
}

#[test]
fn it_opens_with_the_code_that_is_known() {
    assert_eq!(enter("0815#").openings, 0);
    // The bolt needs a moment for its way.
    assert_eq!(enter("4711#0000").openings, 1);
}

#[test]
#[should_panic(expected = "no code was typed that opens")]
fn what_was_left_in_it_is_a_finding() {
    enter("*8#20*0000");
}

#[test]
fn what_is_no_image_is_refused_by_name() {
    let refuse = |bytes: &[u8]| {
        let target = Target::foreign(bytes, &BenchSpec::SAFE, &[], None);
        target.err().expect("no image").to_string()
    };
    assert!(refuse(b"no image").starts_with("no ELF file for a 32-bit core: "));
}
