//! `lockrig open`: the newest report in the reader's browser.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::Failure;
use super::files;

/// Show the newest report
///
/// Prints where it is, and opens it in the browser where there is a desktop.
#[derive(clap::Args, Debug)]
pub struct Open {
    /// Where to look: the folder of a campaign, of a run, or one with campaigns in it
    #[arg(default_value = "reports")]
    folder: PathBuf,
    /// Only print where it is
    #[arg(long)]
    print: bool,
}

impl Open {
    pub fn execute(self) -> Result<u8, Failure> {
        let page = newest(&self.folder).ok_or_else(|| {
            Failure::hinted(
                format!("no report in '{}'", self.folder.display()),
                Some("'lockrig run' makes one; name the folder that --report-dir named".to_owned()),
            )
        })?;
        files::print(&format!("{}\n", page.display()))?;
        // A script that reads the path wants no browser.
        if !self.print && has_desktop() && std::io::stdout().is_terminal() {
            open::that_detached(&page).map_err(|why| {
                Failure::hinted(
                    format!("opening '{}': {why}", page.display()),
                    Some("open it yourself; it needs nothing but this file".to_owned()),
                )
            })?;
        }
        Ok(0)
    }
}

/// The page of the folder itself, or of the newest folder in it.
fn newest(folder: &Path) -> Option<PathBuf> {
    if let Some(page) = page(folder) {
        return Some(page);
    }
    let folders = std::fs::read_dir(folder).ok()?.flatten();
    let pages = folders.filter_map(|entry| page(&entry.path()));
    pages.max_by_key(|page| {
        let changed = std::fs::metadata(page).and_then(|page| page.modified());
        (changed.unwrap_or(SystemTime::UNIX_EPOCH), page.clone())
    })
}

/// The page in a folder: of a campaign of one run, that of the run.
fn page(folder: &Path) -> Option<PathBuf> {
    let run = folder.join("report.html");
    if run.is_file() {
        return Some(run);
    }
    let index = folder.join("index.html");
    if !index.is_file() {
        return None;
    }
    let runs: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("report.html"))
        .filter(|page| page.is_file())
        .collect();
    match &runs[..] {
        [only] => Some(only.clone()),
        _ => Some(index),
    }
}

/// Linux and its relatives have a desktop where there is a display; the others always have one.
fn has_desktop() -> bool {
    let has = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(windows, target_os = "macos")) || has("DISPLAY") || has("WAYLAND_DISPLAY")
}
