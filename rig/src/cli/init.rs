//! `lockrig init`: a project of the user's own.

use std::path::Path;

use super::error::Failure;
use super::files::print;
use crate::project;

pub fn execute(folder: &Path) -> Result<u8, Failure> {
    let files = project::init(folder).map_err(|why| {
        Failure::usage(format!(
            "laying out a project in '{}': {why}",
            folder.display()
        ))
    })?;
    print(&format!(
        "{} files in '{}'; there:\n  lockrig run      carries out every scenario on the virtual benches\n  lockrig check    reads what you change, without any power\n  boards/example-desk.toml is a bench to copy, scenarios/profiles/ has the products\n",
        files.len(),
        folder.display()
    ))
}
