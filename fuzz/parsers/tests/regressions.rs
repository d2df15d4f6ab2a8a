//! What was found before is not found again, and what the fuzzers start from is right.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz_parsers::TARGETS;

#[test]
fn what_was_found_is_not_found_again() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, seeds, target) in TARGETS {
        let regressions = format!("fuzz/regressions/{name}");
        let folders = seeds.iter().copied().chain([regressions.as_str()]);
        let mut files: Vec<PathBuf> = folders
            .filter_map(|folder| fs::read_dir(project.join(folder)).ok())
            .flatten()
            .map(|entry| entry.expect("a folder that can be read").path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "no seeds for {name}");
        for path in files {
            eprintln!("{}", path.display());
            target(&fs::read(&path).expect("a file that can be read"));
        }
    }
}
