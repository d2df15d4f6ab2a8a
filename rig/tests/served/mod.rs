//! A bench that `lockrig sim serve` serves, for as long as a test needs it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use serde_json::Value;

/// A process that serves a bench; it ends when this goes.
pub struct Served {
    process: Child,
    output: BufReader<ChildStdout>,
    document: Value,
}

impl Served {
    /// Starts `lockrig sim serve` and waits until its ports are open.
    pub fn start(arguments: &[&str]) -> Served {
        Served::by(&[&["sim", "serve"], arguments].concat())
    }

    /// Starts a command that serves a bench, and waits until its ports are open.
    pub fn by(arguments: &[&str]) -> Served {
        let mut process = Command::new(env!("CARGO_BIN_EXE_lockrig"))
            .args(arguments)
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

    /// Ends it as a supervisor does; how it ended, and what else it said.
    pub fn end(mut self) -> (ExitStatus, String) {
        self.terminate();
        let status = self.process.wait().expect("it is our process");
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("it is text");
        (status, rest)
    }

    fn terminate(&self) {
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
        .stdin(Stdio::null())
        .output()
        .expect("the command starts")
}
