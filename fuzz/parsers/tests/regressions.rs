//! What was found before is not found again, and what the fuzzers start from is right.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz_parsers::TARGETS;

#[test]
fn what_was_found_is_not_found_again() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, target) in TARGETS {
        let folders = [fuzz.join("seeds").join(name), fuzz.join("regressions").join(name)];
        let mut files: Vec<PathBuf> = folders
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .map(|entry| entry.expect("a folder that can be read").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "no seeds for {name}");
        for path in files {
            eprintln!("{}", path.display());
            target(&fs::read(&path).expect("a file that can be read"));
        }
    }
}
