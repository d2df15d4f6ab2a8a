//! Who has a bench, and how it comes to rest whatever ends that process: over the ports of a served bench,
//! seen by the bench itself, which writes down what its instruments hold on (`sim serve --log`).
//!
//! Time is real here. What has a bound in it is ignored unless asked for: see `.ci/run`.
#![cfg(unix)]

mod served;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use lockrig::event::What;
use rstest::rstest;
use serde_json::{Value, json};
use serialport::{SerialPort, TTYPort};
use tempfile::TempDir;

use served::{OPENS, Served, lockrig, text};

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
            let real =
                fs::canonicalize(self.path().join(at)).map(|path| path.display().to_string());
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
#[ignore = "half a minute of real time: see .ci/run"]
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
    let real = fs::canonicalize(table.path().join(&relay)).expect("a pseudo-terminal");
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
#[ignore = "a quarter of a minute of real time: see .ci/run"]
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
        text(&told)
            .replace(&here, "[here]")
            .replace(" (os error 17)", "")
    );
}

/// What an instrument answers that closes the connection.
const HANG_UP: u8 = 0x04;

/// An instrument that answers every line, or whatever comes where it has no lines, with what `answer` makes of
/// it. Its address.
fn instrument(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        // The guard comes second.
        for client in listener.incoming().flatten() {
            let mut reader = BufReader::new(&client);
            let mut bytes = [0; 64];
            while let Ok(count) = reader.read(&mut bytes)
                && count > 0
            {
                let said = bytes[..count].split_inclusive(|byte| *byte == b'\n');
                let answers: Vec<u8> = said.flat_map(&answer).collect();
                if answers.contains(&HANG_UP) || (&client).write_all(&answers).is_err() {
                    break;
                }
            }
        }
    });
    format!("tcp://{address}")
}

/// A supply that takes every setting, but more than five volts.
fn small_supply() -> String {
    let error = AtomicBool::new(false);
    instrument(move |line| {
        let line = String::from_utf8_lossy(line);
        if let Some(volts) = line.strip_prefix("VOLT ") {
            let volts: f64 = volts.trim().parse().expect("a number");
            error.fetch_or(volts > 5.0, Ordering::Relaxed);
        }
        match &*line {
            "*IDN?\n" => b"ACME,SMALL,1,1\n".to_vec(),
            "SYST:ERR?\n" if error.swap(false, Ordering::Relaxed) => {
                b"-222,\"Data out of range\"\n".to_vec()
            }
            "SYST:ERR?\n" => b"0,\"No error\"\n".to_vec(),
            _ => Vec::new(),
        }
    })
}

/// A supply that is gone when it is switched on for the first time, and back soon after.
fn unsteady_supply() -> String {
    let was_on = AtomicBool::new(false);
    instrument(move |line| match &*String::from_utf8_lossy(line) {
        "*IDN?\n" => b"ACME,UNSTEADY,1,1\n".to_vec(),
        "OUTP 1\n" if !was_on.swap(true, Ordering::Relaxed) => vec![HANG_UP],
        "SYST:ERR?\n" => b"0,\"No error\"\n".to_vec(),
        _ => Vec::new(),
    })
}

/// A relay board that confirms everything.
fn good_relays() -> String {
    instrument(|frame| match frame {
        [0xA0, channel, state, _] => {
            let state = state & 1;
            vec![
                0xA0,
                *channel,
                state,
                0xA0_u8.wrapping_add(*channel).wrapping_add(state),
            ]
        }
        _ => Vec::new(),
    })
}

#[rstest]
#[case::a_relay_board_that_answers_nonsense("nonsense", instrument(|_| b"AT?\r\n".to_vec()), small_supply())]
#[case::a_supply_that_refuses_the_voltage("refused_voltage", good_relays(), small_supply())]
#[case::a_serial_port_that_is_not_there("absent_port", "/dev/there-is-none/relays".to_owned(), small_supply())]
fn a_bad_instrument_is_named_and_nothing_is_left_on(
    #[case] name: &str,
    #[case] relay: String,
    #[case] supply: String,
) {
    let folder = TempDir::new().expect("a temporary folder");
    let bench = BAD.replace("RELAY", &relay).replace("SUPPLY", &supply);
    fs::write(folder.path().join("bad.toml"), bench).expect("a file");
    let press = ["press", "1", "--bench", "bad.toml", "--profile", SAFE];
    let told = lockrig(folder.path(), &press);
    assert_eq!(told.status.code(), Some(3), "{}", text(&told));
    let said = text(&told)
        .replace(&relay, "[relay]")
        .replace(&supply, "[supply]");
    let lines = said
        .lines()
        .map(|line| match line.split_once("this computer has ") {
            Some((before, _)) => format!("{before}this computer has [ports]"),
            None => line.to_owned(),
        });
    let lines = lines.map(|line| match line.split_once(": process ") {
        Some((before, after)) => {
            let after = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!("{before}: process [pid]{after}")
        }
        None => line,
    });
    let said: Vec<_> = lines.collect();
    assert_snapshot!(name, said.join("\n"));
}

#[test]
fn an_instrument_that_comes_back_breaks_one_run_and_not_the_next() {
    let folder = TempDir::new().expect("a temporary folder");
    let bench = BAD
        .replace("RELAY", &good_relays())
        .replace("SUPPLY", &unsteady_supply())
        .replace(
            "keys = { \"1\" = 1 }",
            "keys = { \"1\" = 1 }\ndoor = { channel = 2, rest = \"open\" }",
        )
        .replace("\"keys\", \"supply\"", "\"keys\", \"supply\", \"door\"");
    fs::write(folder.path().join("bad.toml"), bench).expect("a file");
    let pressed = HELD.replace("hold: reset\n    for: 100 s", "press: \"1\"");
    // Two scenarios under one seed: they follow each other on one bench.
    for name in ["first", "second"] {
        let scenario = pressed.replace("scenario: held", &format!("scenario: {name}"));
        fs::write(folder.path().join(format!("{name}.yaml")), scenario).expect("a file");
    }
    let run = ["run", "first.yaml", "second.yaml", "--format", "json"];
    let bench = ["--bench", "bad.toml", "--profile", SAFE];
    let told = lockrig(folder.path(), &[&run[..], &bench].concat());
    let said = text(&told);
    let runs = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let verdicts: Vec<Value> = runs.map(|run: Value| run["verdict"].clone()).collect();
    let verdicts: Vec<&str> = verdicts.iter().filter_map(Value::as_str).collect();
    assert_eq!(verdicts, ["broken", "pass"], "{said}");
    assert_eq!(told.status.code(), Some(3));
}

const BAD: &str = r#"
bench = "bad"
version = 1
recovery = "nothing is locked"
lock = "safe"
uncertainty = "20 ms"
ports.relay = { at = "RELAY", baud = 9600 }
ports.supply = { at = "SUPPLY" }
relays = { driver = "lcus", port = "relay", channels = 16 }
keys = { "1" = 1 }
supply = { driver = "scpi", port = "supply", highest = "10 V", limit = "1 A" }
rest = { order = ["keys", "supply"] }
"#;

/// A scenario that holds a button for long.
const HELD: &str = "\
scenario: held
version: 1
intent: A button is held for long.
needs: [keypad, supply]
covers: [R01]
given: { supply: fresh }
steps:
  - hold: reset
    for: 100 s
";

/// What has to be over by then, on a machine that may have other things to do; how long it took is printed. That
/// it takes no more than 100 ms of bench time is what `faults` holds on the virtual bench.
const REST_WITHIN: Duration = Duration::from_secs(1);
/// Everything here is over long before.
const LONG: Duration = Duration::from_secs(60);

impl Table {
    /// Starts a run of this scenario, and returns when the button is held.
    fn hold(&self, scenario: &str, bench: &str) -> Running {
        fs::write(self.path().join("held.yaml"), scenario).expect("a file");
        let mut process = Command::new(env!("CARGO_BIN_EXE_lockrig"))
            .args(["run", "held.yaml", "--report-dir", "out"])
            .args(["--bench", bench, "--profile", SAFE])
            .current_dir(self.path())
            .env("LOCKRIG_LOCKS", self.path().join("locks"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let output = BufReader::new(process.stdout.take().expect("it is a pipe"));
        self.wait_until(|held| held["relays"] == json!([13]) && held["millivolts"] == 9_000);
        Running {
            process,
            _output: output,
        }
    }

    /// How long it takes until the instruments hold this.
    fn wait_until(&self, wanted: impl Fn(&Value) -> bool) -> Duration {
        let began = Instant::now();
        while !self.outputs().last().is_some_and(&wanted) {
            assert!(began.elapsed() < LONG, "{:?}", self.outputs());
            thread::sleep(Duration::from_millis(1));
        }
        began.elapsed()
    }

    fn run_folder(&self) -> PathBuf {
        let mut entries = fs::read_dir(self.path().join("out")).expect("a folder");
        let folder = entries.find_map(|entry| {
            let path = entry.expect("an entry").path();
            path.is_dir().then_some(path)
        });
        folder.expect("the run has one")
    }

    /// The verdict of the only run, whose report has to be whole.
    fn verdict(&self) -> String {
        let folder = self.run_folder();
        let read = |name: &str| fs::read_to_string(folder.join(name)).expect(name);
        let record: Value = serde_json::from_str(&read("run.json")).expect("it is JSON");
        let events = lockrig::trace::read(&read("events.jsonl")).expect("a trace");
        assert!(matches!(
            events.last().expect("it is not empty").what,
            What::Finished { .. }
        ));
        assert!(read("junit.xml").contains("<testcase"));
        assert!(read("report.html").ends_with("</html>"));
        record["verdict"].as_str().expect("a word").to_owned()
    }
}

fn is_at_rest(held: &Value) -> bool {
    held["relays"] == json!([]) && held["millivolts"] == Value::Null
}

#[rstest]
#[case::ctrl_c("INT")]
#[case::a_service_manager("TERM")]
#[case::a_terminal_that_is_closed("HUP")]
#[ignore = "in real time, on a machine that does nothing else: see .ci/run"]
fn way_out_signal(#[case] name: &str) {
    let table = Table::lay(&[]);
    let run = table.hold(HELD, "served.toml");
    run.signal(name);
    let took = table.wait_until(is_at_rest);
    eprintln!("{name}: at rest after {took:.1?}");
    assert!(took <= REST_WITHIN, "{took:?}");
    let (code, said) = run.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(!said.contains("guard"), "it had nothing to do: {said}");
    assert_eq!(table.verdict(), "aborted");
    assert_eq!(table.locks(), Vec::<String>::new());
}

/// The second leaves out what the scenario does in the end; the third ends the process, and its guard does
/// the rest.
#[rstest]
#[case::twice(2)]
#[case::thrice(3)]
#[ignore = "in real time, on a machine that does nothing else: see .ci/run"]
fn way_out_impatience(#[case] times: u32) {
    let table = Table::lay(&[]);
    let finally = format!("{HELD}finally:\n  - hold: reset\n    for: 90 s\n");
    let run = table.hold(&finally, "served.toml");
    run.signal("INT");
    // It goes on to `finally`, and holds the button again.
    table.wait_until(|held| held["relays"] == json!([]));
    table.wait_until(|held| held["relays"] == json!([13]));
    if times == 3 {
        run.signal("STOP");
        run.signal("INT");
        run.signal("INT");
        // Two of one kind that wait are one.
        run.signal("TERM");
        run.signal("CONT");
    } else {
        run.signal("INT");
        let took = table.wait_until(is_at_rest);
        eprintln!("twice: at rest after {took:.1?}");
        assert!(took <= REST_WITHIN, "{took:?}");
    }
    let (code, said) = run.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(is_at_rest(table.outputs().last().expect("they changed")));
    if times == 2 {
        assert_eq!(table.verdict(), "aborted");
    }
}

#[test]
#[ignore = "in real time, on a machine that does nothing else: see .ci/run"]
fn way_out_kill() {
    let table = Table::lay(&[]);
    let run = table.hold(HELD, "served.toml");
    run.signal("KILL");
    let took = table.wait_until(is_at_rest);
    eprintln!("KILL: at rest after {took:.1?}");
    let (code, said) = run.end();
    assert_eq!(code, None, "{said}");
    let log = fs::read_to_string(table.path().join("out/guard.log")).expect("a log");
    assert_eq!(log, said);
    assert_eq!(table.locks(), Vec::<String>::new());
}

#[test]
#[ignore = "in real time, on a machine that does nothing else: see .ci/run"]
fn way_out_failure() {
    let table = Table::lay(&[]);
    let fails = HELD.replace("100 s", "1 s") + "  - opens: \"999999\"\n";
    let run = table.hold(&fails, "served.toml");
    table.wait_until(is_at_rest);
    let (code, said) = run.end();
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(table.verdict(), "fail");
}

/// A wire that can be cut, to a port of the bench.
struct Wire {
    address: String,
    is_cut: Arc<AtomicBool>,
}

impl Wire {
    fn to(port: &str) -> Wire {
        let port = port.strip_prefix("tcp://").expect("it is TCP").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = Arc::clone(&is_cut);
        thread::spawn(move || {
            // Dropping the listener is what makes the port one that is gone.
            let (near, _) = listener.accept().expect("a client");
            drop(listener);
            let far = TcpStream::connect(port).expect("the bench is served");
            let ends = [near, far];
            for end in &ends {
                end.set_nodelay(true).expect("it is open");
            }
            thread::scope(|scope| {
                for (from, to) in [(0, 1), (1, 0)] {
                    let (mut from, mut to) = (&ends[from], &ends[to]);
                    scope.spawn(move || std::io::copy(&mut from, &mut to));
                }
                while !cut.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                }
                for end in &ends {
                    // Its client may have closed it.
                    let _ = end.shutdown(Shutdown::Both);
                }
            });
        });
        Wire {
            address: format!("tcp://{address}"),
            is_cut,
        }
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }
}

#[rstest]
#[case("relay")]
#[case("supply")]
#[ignore = "in real time, on a machine that does nothing else: see .ci/run"]
fn way_out_lost(#[case] port: &str) {
    let table = Table::lay(&["--tcp"]);
    let at = table.served.at(port);
    let wire = Wire::to(&at);
    let file = fs::read_to_string(table.path().join("served.toml")).expect("a bench file");
    let file = file.replace(&at, &wire.address);
    fs::write(table.path().join("wired.toml"), file).expect("a file");
    let run = table.hold(HELD, "wired.toml");
    wire.cut();
    let took = table.wait_until(|held| match port {
        "relay" => held["millivolts"] == Value::Null,
        _ => held["relays"] == json!([]),
    });
    eprintln!("{port} lost: the rest at rest after {took:.1?}");
    assert!(took <= REST_WITHIN, "{took:?}");
    let (code, said) = run.end();
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(table.verdict(), "broken");
    let record = fs::read_to_string(table.run_folder().join("run.json")).expect("it is there");
    let unknown = match port {
        "relay" => "state unknown: key #, ",
        _ => "state unknown: supply",
    };
    assert!(record.contains(unknown), "{record}");
    // Its guard tried once more, and could not either.
    assert!(said.contains("unknown, look at the bench: "), "{said}");
}

/// A pseudo-terminal that leads to another, on the way to which one in 200 bytes, either way, is dropped,
/// changed or late. Its path.
fn disturbed(port: &str, baud: u32, what: &'static str, seed: u64) -> String {
    let (mut near, there) = TTYPort::pair().expect("a pseudo-terminal");
    let path = there.name().expect("it has a path");
    drop(there);
    let soon = Duration::from_millis(1);
    near.set_timeout(soon).expect("a time-out");
    let far = serialport::new(port, baud).timeout(soon).open_native();
    let mut far = far.expect("nobody has it open");
    let mut random = fastrand::Rng::with_seed(seed);
    thread::spawn(move || {
        let mut bytes = [0; 64];
        loop {
            for is_out in [true, false] {
                let read = match is_out {
                    true => near.read(&mut bytes),
                    false => far.read(&mut bytes),
                };
                let count = match read {
                    Ok(count) => count,
                    // The bench is not served any more.
                    Err(why) if !is_out && why.kind() != ErrorKind::TimedOut => return,
                    // Nobody has this end open, or nothing comes.
                    Err(_) => continue,
                };
                let mut passed = Vec::new();
                for byte in &bytes[..count] {
                    match (random.u32(0..200) == 0).then_some(what) {
                        Some("dropped") => {}
                        Some("garbled") => passed.push(byte ^ random.u8(1..)),
                        Some(_) => {
                            thread::sleep(Duration::from_millis(400));
                            passed.push(*byte);
                        }
                        None => passed.push(*byte),
                    }
                }
                // One that is gone is found at the next reading.
                let _ = match is_out {
                    true => far.write_all(&passed),
                    false => near.write_all(&passed),
                };
            }
        }
    });
    path
}

#[rstest]
#[case("relay", 9_600, "dropped")]
#[case("supply", 9_600, "garbled")]
#[case("console", 115_200, "dropped")]
#[case("sense-board", 57_600, "garbled")]
#[case("sense-board", 57_600, "late")]
#[ignore = "in real time, on a machine that does nothing else: see .ci/run"]
fn disturbed_bytes_are_not_the_boards_fault(
    #[case] port: &str,
    #[case] baud: u32,
    #[case] what: &'static str,
    // With a code that opens the run passes without a fault, with another it fails.
    #[values("factory", "wrong")] code: &str,
) {
    let table = Table::lay(&[]);
    let at = table.served.at(port);
    let path = disturbed(&table.path().join(&at).display().to_string(), baud, what, 1);
    let file = fs::read_to_string(table.path().join("served.toml")).expect("a bench file");
    fs::write(table.path().join("noisy.toml"), file.replace(&at, &path)).expect("a file");
    let opens = OPENS.replace("box: factory", &format!("box: {code}"));
    fs::write(table.path().join("opens.yaml"), opens).expect("a file");
    let run = [
        "run",
        "opens.yaml",
        "--bench",
        "noisy.toml",
        "--profile",
        SAFE,
    ];
    let (_, said) = table.lockrig(&[&run[..], &["--report-dir", "out"]].concat());
    let verdict = table.verdict();
    eprintln!("{port} {what}, {code} code: {verdict}\n{said}");
    let without = if code == "factory" { "pass" } else { "fail" };
    assert!(
        [without, "broken", "inconclusive"].contains(&&*verdict),
        "{verdict}: {said}"
    );
    assert!(table.outputs().last().is_none_or(is_at_rest), "{said}");
}
