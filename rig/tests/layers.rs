//! `lockrig layers`, entered through the command line: four layers that agree, one that does not, and what cannot be
//! compared.

mod desk;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use insta::assert_snapshot;
use tempfile::TempDir;

use desk::{lockrig, root, text};

fn layers(desk: &TempDir, file: &Path, more: &[&str]) -> Output {
    let mut arguments = vec![OsStr::new("layers"), file.as_os_str()];
    arguments.extend(more.iter().map(OsStr::new));
    lockrig(desk, &arguments)
}

/// Every seed, and so what every shipped scenario does on every product.
#[test]
fn the_layers_of_the_good_images_agree_on_every_seed() {
    let desk = TempDir::new().expect("a temporary folder");
    let mut seeds: Vec<PathBuf> = fs::read_dir(root().join("fuzz/seeds/scripts"))
        .expect("a folder")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    seeds.sort();
    assert!(seeds.len() > 90);
    let mut wrong = Vec::new();
    for seed in seeds {
        let told = layers(&desk, &seed, &[]);
        if told.status.code() != Some(0) {
            wrong.push(format!("{}{}", text(&told.stdout), text(&told.stderr)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_differs_is_made_small_and_stored_with_its_table() {
    let desk = TempDir::new().expect("a temporary folder");
    let seed = root().join("fuzz/seeds/scripts/securam-safelogic-wrong-old-code");
    let image = [
        "--image",
        "museum-change-without-old",
        "--report-dir",
        "found",
    ];
    let told = layers(&desk, &seed, &image);
    assert_eq!(told.status.code(), Some(1), "{}", text(&told.stderr));
    let name = desk.path().join("found/securam-safelogic-wrong-old-code");
    let table = fs::read_to_string(name.with_extension("txt")).expect("the table");
    assert!(text(&told.stdout).contains(&table));
    assert_snapshot!("differs", table);
    let scenario = name.with_extension("yaml");
    assert_snapshot!(
        "smallest",
        fs::read_to_string(&scenario).expect("the scenario")
    );
    // It shows the same again, and nothing on the good image.
    let again = layers(&desk, &scenario, &image);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stdout).contains(&table));
    assert_eq!(layers(&desk, &scenario, &[]).status.code(), Some(0));
}

#[test]
fn a_scenario_is_compared_by_what_it_does_on_a_product() {
    let desk = TempDir::new().expect("a temporary folder");
    let told = layers(
        &desk,
        &root().join("scenarios/wrong-code-lockout.yaml"),
        &["--profile", "stack-on-red-button"],
    );
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    let said = text(&told.stdout);
    let (_, table) = said.split_once('\n').expect("a line above it");
    assert_snapshot!("agrees", table);
}

#[test]
fn a_foreign_image_has_no_model_and_the_message_says_which_layer_needs_one() {
    let desk = TempDir::new().expect("a temporary folder");
    let seed = root().join("fuzz/seeds/scripts/securam-safelogic-rekey");
    let image = root().join("fuzz/foreign/lock.elf");
    let image = image.to_str().expect("a path in Unicode");
    let told = layers(&desk, &seed, &["--image", image]);
    assert_eq!(told.status.code(), Some(2));
    assert_snapshot!("foreign", text(&told.stderr).replace(image, "lock.elf"));
}

#[test]
fn a_corpus_entry_that_was_damaged_is_named_with_its_byte_and_left_as_it_was() {
    let desk = TempDir::new().expect("a temporary folder");
    let seed = fs::read(root().join("fuzz/seeds/scripts/securam-safelogic-rekey")).expect("a seed");
    let mut damaged = seed.clone();
    damaged[4] = 0xFF;
    let mut message = String::new();
    for (name, bytes) in [("damaged", &damaged[..]), ("cut", &seed[..9])] {
        let path = desk.path().join(name);
        fs::write(&path, bytes).expect("a writable folder");
        let told = layers(&desk, Path::new(name), &[]);
        assert_eq!(told.status.code(), Some(2));
        message.push_str(&text(&told.stderr));
        assert_eq!(fs::read(&path).expect("it is there"), bytes);
    }
    assert_snapshot!("damaged", message);
}
