//! Writes what the fuzzers of the lock start from, made from the shipped scenarios: `cargo run -p fuzz-parsers
//! --example seeds`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds/scripts");
    for (name, bytes) in fuzz_parsers::seeds::made() {
        std::fs::write(folder.join(&name), bytes)?;
        println!("{name}");
    }
    Ok(())
}
