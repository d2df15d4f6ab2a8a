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
        "{} files in {}\nnext: lockrig run, lockrig check, then copy boards/example-desk.toml\n",
        files.len(),
        folder.display()
    ))
}
