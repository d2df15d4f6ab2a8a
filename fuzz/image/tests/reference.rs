//! The reference firmware's images: what was found before is not found again, and what is no image of it is
//! refused by name.

use std::fs;
use std::path::Path;

use fuzz_image::Target;

fn image(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/../../firmware/images/{name}.elf",
        env!("CARGO_MANIFEST_DIR")
    );
    fs::read(&path).expect("the image is committed")
}

#[test]
fn what_was_found_is_not_found_again() {
    let target = Target::reference(
        &image("reference-safe"),
        &image("reference-smart-lock"),
        None,
    )
    .expect("the reference firmware");
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = [
        fuzz.join("seeds/scripts"),
        fuzz.join("regressions/firmware_image"),
    ];
    let files = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten();
    let mut count = 0;
    for file in files {
        let path = file.expect("a folder that can be read").path();
        eprintln!("{}", path.display());
        let outcome = target.run(&fs::read(&path).expect("a file that can be read"));
        assert!(outcome.is_some(), "'{}' is no script", path.display());
        count += 1;
    }
    assert!(count > 0, "no seeds");
}

#[test]
fn an_image_without_a_personality_is_not_compared_with_the_state_machine() {
    let mut bytes = image("reference-safe");
    let magic = b"LOCKPERS";
    let at = bytes.windows(8).rposition(|window| window == magic);
    let mut places: Vec<usize> = at.into_iter().collect();
    places.extend(bytes.windows(8).position(|window| window == magic));
    for at in places {
        bytes[at] = b'X';
    }
    let error = Target::reference(&bytes, &image("reference-smart-lock"), None)
        .err()
        .expect("foreign");
    assert_eq!(
        error.to_string(),
        "'firmware_image' compares with the state machine, and the image has no personality page; hint: fuzz it \
         as a foreign one, with the codes that open it"
    );
}
