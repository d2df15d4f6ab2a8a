//! Who has a bench, and how it comes to rest whatever ends that process: over the ports of a served bench,
//! seen by the bench itself, which writes down what its instruments hold on (`sim serve --log`).
//!
//! Time is real here. What has a bound in it is ignored unless asked for: see `.ci/run`.
#![cfg(unix)]

mod served;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;

use served::{Served, lockrig, text};

const SAFE: &str = "stack-on-red-button";

/// A served bench, its bench file, and its log.
struct Table {
    folder: TempDir,
    served: Served,
}

impl Table {
    fn lay(arguments: &[&str]) -> Table {
        let folder = TempDir::new().expect("a temporary folder");
        let serve = ["sim", "serve", "virtual-safe", "--log", "log"];
        let more = ["--write-bench", "served.toml", "--links", "ports"];
        let arguments = [&serve[..], &more, arguments].concat();
        let served = Served::start(folder.path(), &arguments);
        Table { folder, served }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a command that has the bench, and returns once it has said this.
    fn start(&self, arguments: &[&str], said: &str) -> Running {
        let mut process = Command::new(env!("CARGO_BIN_EXE_lockrig"))
            .args(arguments)
            .args(["--bench", "served.toml", "--profile", SAFE])
            .current_dir(self.path())
            .env("LOCKRIG_LOCKS", self.path().join("locks"))
            .env("USER", "alice")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut output = BufReader::new(process.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        while !line.contains(said) {
            line.clear();
            let read = output.read_line(&mut line).expect("it is text");
            assert!(read > 0, "it ended: {:?}", process.wait_with_output());
        }
        Running {
            process,
            _output: output,
        }
    }

    fn lockrig(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let ran = lockrig(self.path(), arguments);
        (ran.status.code(), text(&ran))
    }

    /// What the instruments held on, in order.
    fn outputs(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path().join("log")).expect("a log");
        let lines = text.lines().map(serde_json::from_str::<Value>);
        let entries = lines.map(|line| line.expect("a JSON object"));
        entries
            .filter_map(|mut entry| entry.get_mut("outputs").map(Value::take))
            .collect()
    }

    /// What the lock's folder holds but for its own file.
    fn locks(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path().join("locks")).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name != "lockrig.lock").collect()
    }

    /// Without what differs from one run to the next.
    fn plain(&self, said: &str, pid: u32) -> String {
        let mut plain = said.replace(&pid.to_string(), "[pid]");
        for port in self.served.ports() {
            let name = port["name"].as_str().expect("a name");
            let at = port["at"].as_str().expect("an address");
            let real = fs::canonicalize(at).map(|path| path.display().to_string());
            plain = plain.replace(at, &format!("[{name}]"));
            plain = plain.replace(real.as_deref().unwrap_or(at), &format!("[{name}]"));
        }
        match (plain.find("since "), plain.find(" UTC")) {
            (Some(since), Some(until)) => {
                plain.replace_range(since + 6..until, "[date]");
                plain
            }
            _ => plain,
        }
    }
}

struct Running {
    process: Child,
    /// Read no more; a pipe that is closed would end the process.
    _output: BufReader<ChildStdout>,
}

impl Running {
    fn id(&self) -> u32 {
        self.process.id()
    }

    fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits until it has ended, and its guard too: both have standard error open. What they said.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        let mut errors = self.process.stderr.take().expect("it is a pipe");
        errors.read_to_string(&mut said).expect("it is text");
        let status = self.process.wait().expect("it is our process");
        (status.code(), said)
    }
}

fn signal(id: u32, name: &str) {
    let id = id.to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.expect("every Unix has it").success());
}

#[test]
fn a_bench_is_held_by_one_process_and_after_a_kill_it_is_at_rest_and_then_free() {
    let table = Table::lay(&[]);
    let first = table.start(&["press", "reset", "--for", "100 s"], "pressed");
    let second = ["run", "--bench", "served.toml", "--profile", SAFE];
    let filter = ["--filter", "rekey@", "--report-dir", "second"];
    let (code, said) = table.lockrig(&[&second[..], &filter].concat());
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(&first.id().to_string()), "{said}");
    // Another bench file, with another name, that leads to the same relay board.
    let file = fs::read_to_string(table.path().join("served.toml")).expect("a bench file");
    let relay = table.served.at("relay");
    let real = fs::canonicalize(&relay).expect("a pseudo-terminal");
    let other = file
        .replace("virtual-safe-served", "neighbour")
        .replace(&relay, &real.display().to_string());
    fs::write(table.path().join("other.toml"), other).expect("a file");
    let press = ["press", "1", "--profile", SAFE, "--bench"];
    let (code, said) = table.lockrig(&[&press[..], &["other.toml"]].concat());
    assert_eq!(code, Some(3), "{said}");
    assert_snapshot!("held_by_a_neighbour", table.plain(&said, first.id()));

    let id = first.id();
    first.signal("KILL");
    let (code, said) = first.end();
    assert_eq!(code, None);
    assert_snapshot!("guard_after_a_kill", table.plain(&said, id));
    let outputs = table.outputs();
    assert!(outputs.iter().any(|one| one["millivolts"] == 9_000));
    let last = outputs.last().expect("they changed");
    assert_eq!(last["millivolts"], Value::Null, "{outputs:?}");
    assert_eq!(last["relays"], Value::Array(Vec::new()), "{outputs:?}");
    assert_eq!(table.locks(), Vec::<String>::new());

    let shortly = ["--for", "20 ms", "--watch", "20 ms"];
    let (code, said) = table.lockrig(&[&press[..], &["served.toml"], &shortly].concat());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(table.locks(), Vec::<String>::new());
}

#[cfg(target_os = "linux")]
#[test]
fn a_guard_heeds_no_signal_that_asks_it_to_end() {
    let table = Table::lay(&[]);
    let first = table.start(&["press", "reset", "--for", "100 s"], "pressed");
    let id = first.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    let guard = children.expect("a list of processes");
    let guard: u32 = guard.trim().parse().expect("its guard and nobody else");
    for name in ["INT", "TERM", "HUP"] {
        signal(guard, name);
    }
    first.signal("KILL");
    let (_, said) = first.end();
    assert!(said.contains("at rest now: "), "{said}");
    let outputs = table.outputs();
    assert_eq!(
        outputs.last().expect("they changed")["millivolts"],
        Value::Null
    );
}

/// A bench that is not there.
fn absent(folder: &Path) -> Vec<&'static str> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/example-desk.toml");
    let file = fs::read_to_string(file).expect("the example");
    let file = file.replace("/dev/serial/by-id/", "/dev/there-is-none/");
    fs::write(folder.join("absent.toml"), file).expect("a file");
    vec!["press", "1", "--profile", SAFE, "--bench", "absent.toml"]
}

#[test]
fn a_lock_that_was_left_behind_blocks_nobody() {
    let folder = TempDir::new().expect("a temporary folder");
    let press = absent(folder.path());
    let locks = folder.path().join("locks");
    fs::create_dir(&locks).expect("a folder");
    let left = locks.join("lockrig-example-desk-1-1");
    fs::write(left.with_extension("lock"), "").expect("a file");
    fs::write(left.with_extension("json"), "half a reco").expect("a file");
    fs::write(locks.join("lockrig-example-desk-2-1.json"), "{}").expect("a file");
    let told = lockrig(folder.path(), &press);
    assert_eq!(told.status.code(), Some(3));
    // It came as far as the port that is not there.
    assert!(text(&told).contains("opening its port"), "{}", text(&told));
    let names: Vec<_> = fs::read_dir(&locks).expect("the folder").collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn a_folder_that_takes_no_locks_is_named_before_anything_is_opened() {
    let folder = TempDir::new().expect("a temporary folder");
    let press = absent(folder.path());
    fs::write(folder.path().join("locks"), "a file").expect("a file");
    let told = lockrig(folder.path(), &press);
    assert_eq!(told.status.code(), Some(3));
    let here = folder.path().display().to_string();
    assert_snapshot!(
        "folder_that_takes_no_locks",
        text(&told).replace(&here, "[here]")
    );
}
