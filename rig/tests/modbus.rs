//! The driver of relay boards that speak Modbus, with a board at the far end that is not ours: pymodbus.
//!
//! It runs where Python and the packages in served/requirements.txt are installed.
#![cfg(unix)]

mod served;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use lockrig::bench::{Bench, BenchFile, What};
use lockrig::driver::{DeviceTrouble, Trouble};
use lockrig::event::Nanos;
use lockrig::port::real::RealPorts;
use lockrig::port::{Interrupt, Waited};
use lockrig::source::Source;

/// A relay board in a process of its own.
struct Board {
    process: Child,
    said: Receiver<String>,
    address: String,
}

impl Board {
    fn start(python: &str) -> Board {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/served/modbus_board.py");
        let mut command = Command::new(python);
        command.arg(script).stdin(Stdio::null());
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python starts");
        let output = process.stdout.take().expect("it is piped");
        let (says, said) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines
                .map(|line| says.send(line))
                .take_while(Result::is_ok)
                .count()
        });
        let mut board = Board {
            process,
            said,
            address: String::new(),
        };
        board.address = board.heard();
        board
    }

    /// What it says next, its address first, and then what it was told.
    fn heard(&mut self) -> String {
        let line = self.said.recv_timeout(Duration::from_secs(30));
        line.expect("it says something")
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.process.kill().expect("it can be ended");
        self.process.wait().expect("it ends");
    }
}

fn connect(board: &Board, unit: u8, reset: u8) -> Result<Bench, DeviceTrouble> {
    let text = format!(
        r#"
        bench = "modbus"
        version = 1
        uncertainty = "20 ms"
        ports.relay = {{ at = "{}" }}
        relays = {{ driver = "modbus", port = "relay", channels = 20, unit = {unit} }}
        keys = {{ "1" = 1, "2" = 2 }}
        buttons.reset = {{ channel = {reset} }}
        rest = {{ order = ["keys", "buttons"] }}
        "#,
        board.address
    );
    let file = BenchFile::read(&Source::new("modbus.toml", text)).expect("the file is right");
    Bench::connect(file, Box::new(RealPorts::new(Interrupt::default())))
}

fn wait(bench: &mut Bench) -> What {
    match bench.wait(bench.now() + Nanos::from_secs(20)) {
        Waited::Saw(happening) => happening.what,
        other => panic!("it never happened: {other:?}"),
    }
}

#[test]
fn a_relay_is_switched_and_read_back() {
    let Some(python) = served::python_with("pymodbus") else {
        return;
    };
    let mut board = Board::start(&python);
    let mut bench = connect(&board, 7, 13).expect("it answers");
    // Everything is opened first, and each coil is read back.
    let told: Vec<String> = (0..6).map(|_| board.heard()).collect();
    let opened = [
        "write 0 0",
        "read 0 1",
        "write 1 0",
        "read 1 1",
        "write 12 0",
        "read 12 1",
    ];
    assert_eq!(told, opened);
    bench.button("reset", true).expect("it is wired");
    let switched = wait(&mut bench);
    assert!(
        matches!(switched, What::Switched { closed: true, .. }),
        "{switched:?}"
    );
    assert_eq!([board.heard(), board.heard()], ["write 12 1", "read 12 1"]);
    let rest = bench.to_rest();
    assert_eq!(rest.outputs, ["key 1", "key 2", "button reset"]);
    assert_eq!([board.heard(), board.heard()], ["write 12 0", "read 12 1"]);
}

#[test]
fn a_relay_that_the_board_lacks_and_an_address_where_nobody_is_are_named() {
    let Some(python) = served::python_with("pymodbus") else {
        return;
    };
    let board = Board::start(&python);
    let trouble = connect(&board, 7, 18).err().expect("it has 16 coils");
    assert_eq!(trouble.what, Trouble::Refused);
    let saw = "opening 'button reset' (channel 18): the board answers with the exception IllegalDataAddress";
    assert!(trouble.to_string().ends_with(saw), "{trouble}");
    // Over TCP pymodbus answers for a unit that it lacks; over a serial line nobody would.
    let trouble = connect(&board, 8, 13).err().expect("there is no unit 8");
    assert!(
        matches!(trouble.what, Trouble::Refused | Trouble::Silent),
        "{trouble}"
    );
}
