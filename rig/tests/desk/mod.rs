//! A desk of its own for each test, at which `lockrig` is called as its users call it.
#![allow(dead_code, reason = "no test needs all of it")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The folder of the project.
pub fn root() -> PathBuf {
    let rig = Path::new(env!("CARGO_MANIFEST_DIR"));
    rig.parent().expect("rig has a parent").to_owned()
}

/// `lockrig` with these arguments, in the desk's folder.
pub fn lockrig(desk: &TempDir, arguments: &[impl AsRef<OsStr>]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .args(arguments)
        .current_dir(desk.path())
        .stdin(Stdio::null())
        .output()
        .expect("lockrig starts")
}

/// What it printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}
