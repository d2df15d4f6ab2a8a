//! A bench that a command serves, for as long as a test needs it, and the programs that look at it.
#![allow(dead_code, reason = "no test needs all of it")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeSelector, WireProtocol};
use probe_rs::{Permissions, Session};
use serde_json::Value;

/// The chip of every virtual board.
pub const CHIP: &str = "nRF51822_xxAA";

/// A Python that has these modules; none where it was not named and lacks them. LOCKRIG_PYTHON names one.
pub fn python_with(modules: &str) -> Option<String> {
    let named = std::env::var("LOCKRIG_PYTHON").ok();
    let python = named.clone().unwrap_or_else(|| "python3".to_owned());
    let needs = format!("import {modules}");
    let there = Command::new(&python).args(["-c", &needs]).output();
    if there.as_ref().is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(named.is_none(), "{python} lacks a package: {there:?}");
    eprintln!("skipped: {python} without one of {modules}");
    None
}

/// A process that serves a bench; it ends when this goes.
pub struct Served {
    process: Child,
    output: BufReader<ChildStdout>,
    document: Value,
    _alone: MutexGuard<'static, ()>,
}

/// One bench at a time: several would keep each other from following the clock.
static ALONE: Mutex<()> = Mutex::new(());

impl Served {
    /// Starts a command that serves a bench, in a folder, and waits until its ports are open.
    pub fn start(folder: &Path, arguments: &[&str]) -> Served {
        // A test that failed with a bench of its own harms no other.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut process = Command::new(env!("CARGO_BIN_EXE_lockrig"))
            .args(arguments)
            .current_dir(folder)
            .args(["--format", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut output = BufReader::new(process.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it is text");
        let document = serde_json::from_str(&line);
        let document = document.unwrap_or_else(|why| {
            let _ = process.kill();
            panic!("{why}: {line:?}")
        });
        Served {
            process,
            output,
            document,
            _alone: alone,
        }
    }

    /// What it said.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Its ports.
    pub fn ports(&self) -> &[Value] {
        let ports = self.document["ports"].as_array();
        ports.expect("ports are a list")
    }

    /// Where a port is.
    pub fn at(&self, name: &str) -> String {
        let port = self.ports().iter().find(|port| port["name"] == name);
        let at = port.and_then(|port| port["at"].as_str());
        at.expect("every bench has it").to_owned()
    }

    /// How long it has used a processor.
    #[cfg(target_os = "linux")]
    pub fn cpu_time(&self) -> Duration {
        let path = format!("/proc/{}/schedstat", self.process.id());
        let text = std::fs::read_to_string(path).expect("it runs");
        let first = text.split_whitespace().next();
        let nanoseconds = first.and_then(|first| first.parse().ok());
        Duration::from_nanos(nanoseconds.expect("a number"))
    }

    /// Ends it as a supervisor does; how it ended, and what else it said.
    pub fn end(mut self) -> (ExitStatus, String) {
        self.terminate();
        let status = self.process.wait().expect("it is our process");
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("it is text");
        (status, rest)
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let sent = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        assert!(sent.expect("every Unix has it").success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            self.terminate();
            let _ = self.process.wait();
        }
    }
}

/// Runs the command in a folder.
pub fn lockrig(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .args(arguments)
        .current_dir(folder)
        .env("LOCKRIG_LOCKS", folder.join("locks"))
        .stdin(Stdio::null())
        .output()
        .expect("the command starts")
}

/// An image with line tables.
pub fn image() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/images/reference-safe.elf")
}

/// A stock probe-rs session over the network.
pub fn attach(served: &Served) -> Session {
    let selector: DebugProbeSelector = served.at("probe").parse().expect("it is a selector");
    let mut probe = Lister::new().open(selector).expect("the probe answers");
    probe
        .select_protocol(WireProtocol::Swd)
        .expect("it speaks SWD");
    probe
        .attach(CHIP, Permissions::default().allow_erase_all())
        .expect("the chip answers")
}

/// Runs gdb on the served chip; none where it is not installed.
pub fn gdb(served: &Served, commands: &[&str]) -> Option<String> {
    let named = std::env::var("LOCKRIG_GDB").ok();
    let program = named.as_deref().unwrap_or("gdb-multiarch");
    let mut gdb = Command::new(program);
    gdb.args(["-batch", "-nx", "-ex", "set confirm off"]);
    gdb.args(["-ex", &format!("target remote {}", served.at("gdb"))]);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    match gdb.arg(image()).output() {
        Ok(output) => Some(text(&output)),
        Err(why) if named.is_some() => panic!("{program}: {why}"),
        Err(_) => {
            eprintln!("skipped: {program} is not installed");
            None
        }
    }
}

/// All that a process said.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Some seconds: the lock is powered, and its first code opens it.
pub const OPENS: &str = "\
scenario: opens
version: 1
intent: The factory code opens.
needs: [keypad, bolt, supply]
covers: [R11]
codes: { box: factory }
given: { door: open, supply: fresh }
steps:
  - opens: $box
";
