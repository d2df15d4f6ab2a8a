//! `lockrig console` on a real bench whose console goes away and comes back: the supply is a served bench's, and
//! the far end of the console is the test's own, so that it can unplug it.
//!
//! Time is real here and bounds are wide: nothing in here asserts how fast the machine is.
#![cfg(unix)]

mod served;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::Value;
use serialport::{SerialPort, TTYPort};
use tempfile::TempDir;

use served::Served;

/// Everything here is over long before.
const LONG: Duration = Duration::from_secs(60);

const BENCH: &str = r#"
bench = "table"
version = 1
lock = "safe"
uncertainty = "20 ms"
ports.supply = { at = "SUPPLY", baud = 9600 }
ports.console = { at = "console", baud = 115200 }
supply = { driver = "scpi", port = "supply", highest = "10 V", limit = "1 A" }
console = { port = "console" }
rest = { order = ["supply"] }
"#;

/// The far end of the console, plugged in under the name that the bench file has for it.
struct Adapter {
    board: BufReader<TTYPort>,
    /// Somebody has it open all the time, or the far end could not be read. Not as a port: that would lock it.
    _kept: File,
    link: PathBuf,
}

impl Adapter {
    fn plug_in(folder: &Path) -> Adapter {
        let (mut board, mut near) = TTYPort::pair().expect("a pseudo-terminal");
        board.set_timeout(LONG).expect("a time-out");
        near.set_exclusive(false).expect("others may open it");
        let link = folder.join("console");
        let terminal = near.name().expect("it has a path");
        let kept = File::options().read(true).write(true).open(&terminal);
        std::os::unix::fs::symlink(terminal, &link).expect("nothing is plugged in");
        Adapter {
            board: BufReader::new(board),
            _kept: kept.expect("it is there"),
            link,
        }
    }

    /// The next line that the board hears, which it answers.
    fn hears(&mut self, line: &str) {
        let mut heard = String::new();
        self.board.read_line(&mut heard).expect("it is sent");
        assert_eq!(heard, format!("{line}\r\n"));
        let answer = format!("heard {line}\r\n");
        let port = self.board.get_mut();
        port.write_all(answer.as_bytes()).expect("it is plugged in");
    }

    fn unplug(self) {
        fs::remove_file(&self.link).expect("it was there");
    }
}

/// What comes out of a process, line by line.
struct Output {
    lines: Receiver<String>,
    said: String,
}

impl Output {
    fn of(pipe: impl Read + Send + 'static) -> Output {
        let (told, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(pipe).lines().map_while(Result::ok);
            lines.map_while(|line| told.send(line).ok()).for_each(drop);
        });
        Output {
            lines,
            said: String::new(),
        }
    }

    /// Waits until it says this.
    fn says(&mut self, wanted: &str) {
        loop {
            let line = self.lines.recv_timeout(LONG);
            let line = line.unwrap_or_else(|why| panic!("no '{wanted}', {why}:\n{}", self.said));
            self.said += &format!("{line}\n");
            if line.contains(wanted) {
                return;
            }
        }
    }

    /// All that it said, once everybody who could say more has ended.
    fn end(&mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(LONG) {
            self.said += &format!("{line}\n");
        }
        std::mem::take(&mut self.said)
    }
}

/// Somebody at the console of a bench.
struct Table {
    folder: TempDir,
    served: Served,
    process: Child,
    /// Until it ends.
    typed: Option<ChildStdin>,
    printed: Output,
    errors: Output,
}

impl Table {
    /// Returns once the board was heard.
    fn talk() -> (Table, Adapter) {
        let folder = TempDir::new().expect("a temporary folder");
        let serve = ["sim", "serve", "virtual-safe", "--log", "log"];
        let served = Served::start(folder.path(), &[&serve[..], &["--links", "ports"]].concat());
        let bench = BENCH.replace("SUPPLY", &served.at("supply"));
        fs::write(folder.path().join("table.toml"), bench).expect("a file");
        // What is plugged in before a process starts is open in that process, too, and could not be unplugged.
        let mut process = Command::new("sh")
            .args(["-c", r#"read plugged_in; exec "$0" "$@""#])
            .arg(env!("CARGO_BIN_EXE_lockrig"))
            .args(["console", "--bench", "table.toml", "--watch", "20 ms"])
            .current_dir(folder.path())
            .env("LOCKRIG_LOCKS", folder.path().join("locks"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut table = Table {
            folder,
            served,
            typed: process.stdin.take(),
            printed: Output::of(process.stdout.take().expect("it is a pipe")),
            errors: Output::of(process.stderr.take().expect("it is a pipe")),
            process,
        };
        let mut adapter = Adapter::plug_in(table.path());
        table.types("plugged in");
        table.types("one");
        adapter.hears("one");
        table.printed.says("console: heard one");
        (table, adapter)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn types(&mut self, line: &str) {
        let typed = self.typed.as_mut().expect("it goes on");
        writeln!(typed, "{line}").expect("it listens");
    }

    /// The console goes away, while nobody types.
    fn unplug(&mut self, adapter: Adapter) {
        adapter.unplug();
        self.errors.says("hint: ");
    }

    /// What the supply gives, in millivolts; none while it is off.
    fn millivolts(&self) -> Option<u64> {
        let log = fs::read_to_string(self.path().join("log")).expect("a log");
        let entries = log.lines().map(serde_json::from_str::<Value>);
        let entries = entries.map(|entry| entry.expect("a JSON object"));
        let mut outputs = entries.filter_map(|mut entry| entry.get_mut("outputs").map(Value::take));
        outputs
            .next_back()
            .and_then(|held| held["millivolts"].as_u64())
    }

    /// Ends standard input and waits for the end; the exit code, and what went to standard error.
    fn end(&mut self) -> (Option<i32>, String) {
        drop(self.typed.take());
        // Its guard has it open, too.
        let errors = self.errors.end();
        let status = self.process.wait().expect("it is our process");
        (status.code(), errors)
    }
}

/// Without how a system says that the other end is gone.
fn plain(errors: &str) -> String {
    let lines = errors
        .lines()
        .map(|line| match line.split_once("listening to it: ") {
            Some((before, _)) => format!("{before}listening to it: [gone]\n"),
            None => format!("{line}\n"),
        });
    lines.collect()
}

#[test]
fn a_conversation_goes_on_once_the_port_is_back() {
    let (mut table, adapter) = Table::talk();
    table.unplug(adapter);
    table.types("two");
    assert_eq!(table.millivolts(), Some(9_000), "the board stays powered");
    let mut adapter = Adapter::plug_in(table.path());
    table.errors.says("its port is back");
    adapter.hears("two");
    table.printed.says("console: heard two");
    // Once more, with nothing to be sent when it is back.
    table.unplug(adapter);
    let mut adapter = Adapter::plug_in(table.path());
    table.errors.says("its port is back");
    table.types("three");
    adapter.hears("three");
    table.printed.says("console: heard three");
    let (code, errors) = table.end();
    assert_snapshot!(plain(&errors));
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(table.millivolts(), None);
}

#[test]
fn input_that_ends_while_the_console_is_away_ends_the_command() {
    let (mut table, adapter) = Table::talk();
    table.unplug(adapter);
    let (code, errors) = table.end();
    assert_snapshot!(plain(&errors));
    assert_eq!(code, Some(3), "{errors}");
    assert_eq!(table.millivolts(), None);
}

#[test]
fn ctrl_c_while_the_console_is_away_leaves_nothing_on() {
    let (mut table, adapter) = Table::talk();
    table.unplug(adapter);
    table.types("two");
    let id = table.process.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(sent.expect("every Unix has it").success());
    let (code, errors) = table.end();
    assert_eq!(code, None, "{errors}");
    assert!(errors.contains("at rest now: supply"), "{errors}");
    assert_eq!(table.millivolts(), None);
}

#[test]
fn another_instrument_that_is_lost_meanwhile_ends_the_command() {
    let (mut table, adapter) = Table::talk();
    table.unplug(adapter);
    table.served.terminate();
    table.errors.says("supply");
    let (code, errors) = table.end();
    assert_eq!(code, Some(3), "{errors}");
}
