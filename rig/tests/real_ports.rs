//! Ports that lead out of the program: a bench over a pseudo-terminal and a TCP connection, with an
//! instrument at the far end of each, in real time.
//!
//! The instruments are the virtual bench's own state machines, here on real wires. Bounds are wide:
//! nothing in here asserts how fast the machine is.
#![cfg(unix)]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lockrig::bench::{Bench, BenchFile, Contact, Feed, What};
use lockrig::driver::{DeviceTrouble, Trouble};
use lockrig::event::Nanos;
use lockrig::port::real::RealPorts;
use lockrig::port::{Interrupt, PortProblem, Ports, Seen, Waited};
use lockrig::quantity::Millivolts;
use lockrig::source::Source;
use lockrig_sim::instrument::power_supply::{PowerSupply, Reading};
use lockrig_sim::instrument::relay_board::RelayBoard;
use lockrig_sim::time::Ticks;
use serialport::{SerialPort, TTYPort};

const MS: fn(u64) -> Nanos = Nanos::from_millis;
/// Everything here is over long before.
const LONG: Nanos = Nanos::from_secs(20);
const NINE_VOLTS: Feed = Feed::On {
    voltage: Millivolts(9_000),
    resistance: None,
};

/// An instrument on a thread of its own, until it is unplugged.
struct Far<I> {
    instrument: Arc<Mutex<I>>,
    unplugged: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    address: String,
}

impl<I> Far<I> {
    fn unplug(&mut self) {
        self.unplugged.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the instrument ends in peace");
        }
    }
}

impl<I> Drop for Far<I> {
    fn drop(&mut self) {
        self.unplug();
    }
}

fn ticks(began: Instant) -> Ticks {
    Ticks::from_nanos(began.elapsed().as_nanos() as u64)
}

fn far_relay_board() -> Far<RelayBoard> {
    let (mut here, there) = TTYPort::pair().expect("a pseudo-terminal");
    let address = there.name().expect("it has a path");
    // The master side fails while nobody has the other side open, so this one stays open until then.
    here.set_timeout(Duration::from_millis(5))
        .expect("a time-out");
    let instrument = Arc::new(Mutex::new(RelayBoard::default()));
    let unplugged = Arc::new(AtomicBool::new(false));
    let (board, stop) = (Arc::clone(&instrument), Arc::clone(&unplugged));
    drop(there);
    let thread = thread::spawn(move || {
        let began = Instant::now();
        let mut bytes = [0; 64];
        while !stop.load(Ordering::Relaxed) {
            let Ok(count) = here.read(&mut bytes) else {
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            for byte in &bytes[..count] {
                let outcome = board
                    .lock()
                    .expect("the test lives")
                    .receive(ticks(began), *byte);
                if let Some((_, frame)) = outcome.feedback {
                    here.write_all(&frame).expect("feedback can be sent");
                }
            }
        }
    });
    Far {
        instrument,
        unplugged,
        thread: Some(thread),
        address,
    }
}

fn far_supply() -> Far<PowerSupply> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!(
        "tcp://{}",
        listener.local_addr().expect("it has an address")
    );
    let instrument = Arc::new(Mutex::new(PowerSupply::default()));
    let unplugged = Arc::new(AtomicBool::new(false));
    let (supply, stop) = (Arc::clone(&instrument), Arc::clone(&unplugged));
    let thread = thread::spawn(move || {
        listener.set_nonblocking(true).expect("it can be polled");
        while !stop.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => serve(stream, &supply, &stop),
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    });
    Far {
        instrument,
        unplugged,
        thread: Some(thread),
        address,
    }
}

fn serve(mut stream: TcpStream, supply: &Mutex<PowerSupply>, stop: &AtomicBool) {
    let began = Instant::now();
    let reading = Reading {
        volts: 8.99,
        coulombs: 0.0,
    };
    stream.set_nonblocking(false).expect("it can block");
    stream
        .set_read_timeout(Some(Duration::from_millis(5)))
        .expect("a time-out");
    let mut bytes = [0; 64];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(count) => {
                let mut supply = supply.lock().expect("the test lives");
                bytes[..count]
                    .iter()
                    .for_each(|byte| supply.receive(ticks(began), *byte, reading));
            }
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        let reply = {
            let mut supply = supply.lock().expect("the test lives");
            supply.pass(ticks(began), reading);
            supply.take_reply()
        };
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn file(relay: &str, supply: &str) -> BenchFile {
    let text = format!(
        r#"
        bench = "wires"
        version = 1
        uncertainty = "20 ms"
        ports.relay = {{ at = "{relay}", baud = 9600 }}
        ports.supply = {{ at = "{supply}" }}
        relays = {{ driver = "lcus", port = "relay", channels = 16 }}
        keys = {{ "1" = 1, "2" = 2 }}
        buttons.reset = {{ channel = 13 }}
        supply = {{ driver = "scpi", port = "supply", highest = "10 V", limit = "1 A", resistance = "1 ohm" }}
        rest = {{ order = ["supply", "keys", "buttons"] }}
        "#
    );
    BenchFile::read(&Source::new("wires.toml", text)).expect("the file is right")
}

fn connect(relay: &str, supply: &str) -> Result<Bench, DeviceTrouble> {
    let ports = RealPorts::new(Interrupt::default());
    Bench::connect(file(relay, supply), Box::new(ports))
}

/// Waits until something happens that `wanted` says yes to.
fn wait_for(bench: &mut Bench, wanted: impl Fn(&What) -> bool) -> What {
    let until = bench.now() + LONG;
    loop {
        match bench.wait(until) {
            Waited::Saw(happening) if wanted(&happening.what) => return happening.what,
            Waited::Saw(_) => {}
            other => panic!("it never happened: {other:?}"),
        }
    }
}

fn coils(relays: &Far<RelayBoard>) -> Vec<usize> {
    let board = relays.instrument.lock().expect("the test lives");
    (0..16).filter(|channel| board.coil(*channel)).collect()
}

#[test]
fn a_bench_on_real_wires_switches_feeds_measures_and_goes_to_rest() {
    let (relays, supply) = (far_relay_board(), far_supply());
    let mut bench = connect(&relays.address, &supply.address).expect("both answer");
    assert_eq!(
        bench.supply_identity(),
        Some("LOCKRIG,VIRTUAL SUPPLY,0,1.0")
    );
    bench.press('2', true).expect("key 2 is wired");
    wait_for(&mut bench, |what| {
        matches!(
            what,
            What::Switched {
                contact: Contact::Key('2'),
                closed: true,
                ..
            }
        )
    });
    assert_eq!(coils(&relays), [1]);
    bench.feed(NINE_VOLTS).expect("9 V is allowed");
    bench.measure().expect("there is a supply");
    let measured = wait_for(&mut bench, |what| matches!(what, What::Measured { .. }));
    assert!(
        matches!(
            measured,
            What::Measured {
                voltage: Millivolts(8_990),
                ..
            }
        ),
        "{measured:?}"
    );
    let rest = bench.to_rest();
    assert_eq!(rest.outputs, ["supply", "key 1", "key 2", "button reset"]);
    assert!(rest.unknown.is_empty());
    assert_eq!(coils(&relays), Vec::<usize>::new());
}

#[test]
fn a_lost_instrument_is_named_and_the_others_still_go_to_rest() {
    let (relays, mut supply) = (far_relay_board(), far_supply());
    let mut bench = connect(&relays.address, &supply.address).expect("both answer");
    bench.button("reset", true).expect("the button is wired");
    wait_for(&mut bench, |what| matches!(what, What::Switched { .. }));
    supply.unplug();
    let lost = wait_for(&mut bench, |what| matches!(what, What::Trouble(_)));
    let What::Trouble(trouble) = lost else {
        panic!("only troubles were waited for");
    };
    assert_eq!(trouble.what, Trouble::Lost);
    assert_eq!(trouble.device, format!("supply on {}", supply.address));
    assert_eq!(
        bench.feed(NINE_VOLTS).expect_err("it is gone").what,
        Trouble::Lost
    );
    let rest = bench.to_rest();
    assert_eq!(rest.unknown, ["supply"]);
    assert_eq!(rest.outputs, ["key 1", "key 2", "button reset"]);
    assert_eq!(coils(&relays), Vec::<usize>::new());
}

#[test]
fn a_bench_that_is_dropped_without_a_word_goes_to_rest() {
    let (relays, supply) = (far_relay_board(), far_supply());
    let mut bench = connect(&relays.address, &supply.address).expect("both answer");
    bench.button("reset", true).expect("the button is wired");
    wait_for(&mut bench, |what| matches!(what, What::Switched { .. }));
    assert_eq!(coils(&relays), [12]);
    drop(bench);
    assert_eq!(coils(&relays), Vec::<usize>::new());
}

#[test]
fn a_bench_whose_thread_panics_goes_to_rest() {
    let (relays, supply) = (far_relay_board(), far_supply());
    let mut bench = connect(&relays.address, &supply.address).expect("both answer");
    bench.feed(NINE_VOLTS).expect("9 V is allowed");
    bench.button("reset", true).expect("the button is wired");
    let panicked = thread::spawn(move || {
        wait_for(&mut bench, |what| matches!(what, What::Switched { .. }));
        panic!("as a bug would");
    });
    assert!(panicked.join().is_err());
    assert_eq!(coils(&relays), Vec::<usize>::new());
}

#[test]
fn an_instrument_that_is_not_there_is_named_with_a_hint() {
    let relays = far_relay_board();
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("tcp://{}", nobody.local_addr().expect("it has an address"));
    drop(nobody);
    let trouble = connect(&relays.address, &address)
        .err()
        .expect("nobody listens");
    assert_eq!(trouble.what, Trouble::Absent);
    let refused = format!("supply on {address}: opening its port: connection refused");
    assert!(trouble.to_string().starts_with(&refused), "{trouble}");
    let trouble = connect("/dev/no-such-port", &address)
        .err()
        .expect("there is no such path");
    assert_eq!(trouble.what, Trouble::Absent);
    assert!(!trouble.hint.is_empty());
}

#[test]
fn a_port_that_somebody_else_has_open_is_busy() {
    let relays = far_relay_board();
    let mut ours = RealPorts::new(Interrupt::default());
    ours.bytes(&relays.address, 9_600).expect("it is free");
    let mut theirs = RealPorts::new(Interrupt::default());
    let trouble = theirs
        .bytes(&relays.address, 9_600)
        .expect_err("it is taken");
    assert_eq!(trouble.problem, PortProblem::Busy, "{trouble}");
}

#[test]
fn a_silent_instrument_breaks_the_bench_within_its_bound() {
    // A terminal at whose far end nobody speaks.
    let (_here, there) = TTYPort::pair().expect("a pseudo-terminal");
    let path = there.name().expect("it has a path");
    drop(there);
    let supply = far_supply();
    let trouble = connect(&path, &supply.address)
        .err()
        .expect("nobody answers");
    assert_eq!(trouble.what, Trouble::Silent);
    assert_eq!(
        trouble.to_string(),
        format!("relay board on {path}: opening 'key 1' (channel 1): no feedback within 250 ms")
    );
}

#[test]
fn a_port_that_is_gone_says_so_once_and_refuses_from_then_on() {
    let (here, there) = TTYPort::pair().expect("a pseudo-terminal");
    let path = there.name().expect("it has a path");
    drop(there);
    let mut ports = RealPorts::new(Interrupt::default());
    let port = ports.bytes(&path, 9_600).expect("it can be opened");
    drop(here);
    let Waited::Saw(seen) = ports.wait(ports.now() + LONG) else {
        panic!("nobody noticed");
    };
    assert!(
        matches!(seen.what, Seen::Lost { port: lost, .. } if lost == port),
        "{seen:?}"
    );
    assert_eq!(ports.wait(ports.now() + MS(20)), Waited::Deadline);
    assert_eq!(
        ports.write(port, b"?").expect_err("it is gone").problem,
        PortProblem::Lost
    );
}

#[test]
fn an_interrupt_wakes_a_wait_on_real_ports() {
    let interrupt = Interrupt::default();
    let mut ports = RealPorts::new(interrupt.clone());
    let raiser = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        interrupt.raise();
    });
    let begun = ports.now();
    assert_eq!(ports.wait(Nanos::NEVER), Waited::Interrupted);
    assert!(ports.now().since(begun) < LONG);
    raiser.join().expect("it only raises");
    assert_eq!(
        ports.wait(ports.now() + MS(5)),
        Waited::Deadline,
        "each raise ends one wait"
    );
}
