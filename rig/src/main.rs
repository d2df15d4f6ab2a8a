//! The `lockrig` command: parse, call, turn the verdict into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockrig::cli::main()
}
