//! Writes the personalities of the shipped profiles where the fuzzers of the lock find them, so that those
//! need not be built with the whole rig: `cargo run -p fuzz-parsers --example personalities`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../personalities");
    for (name, page) in fuzz_parsers::personalities::made() {
        std::fs::write(folder.join(format!("{name}.page")), page)?;
        println!("{name}");
    }
    Ok(())
}
