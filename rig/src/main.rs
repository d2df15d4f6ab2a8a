//! The `lockrig` command.
fn main() {}
