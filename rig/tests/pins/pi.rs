//! An emulated Raspberry Pi 3, and its GPIO lines as they are seen from outside of it, through QEMU's own test
//! socket.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::guest::{Archive, Guest, connect, given};

/// Where the GPIO block's registers are.
const GPIO: u64 = 0x3f20_0000;
const GPSET0: u64 = GPIO + 0x1c;
const GPCLR0: u64 = GPIO + 0x28;
const GPLEV0: u64 = GPIO + 0x34;

/// A GPIO line that changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edge {
    pub at: Instant,
    pub pin: u32,
    pub high: bool,
}

/// The Raspberry Pi.
pub struct Pi {
    pub guest: Guest,
    qtest: Qtest,
}

impl Pi {
    /// Boots it with these files in `/root`.
    pub fn boot(files: &[(&str, &[u8])]) -> Pi {
        let (busybox, lockrig) = (given("LOCKRIG_PI_BUSYBOX"), given("LOCKRIG_PI_BINARY"));
        let mut archive = Archive::new(&busybox, &lockrig);
        for (name, bytes) in files {
            archive.add(&format!("root/{name}"), bytes);
        }
        // The second serial port is the console, and the first of them that is named is the first.
        let guest = Guest::boot("ttyS1", archive, |folder| {
            let mut qemu = Command::new("qemu-system-aarch64");
            qemu.args(["-M", "raspi3b", "-accel", "tcg,thread=single"])
                .arg("-kernel")
                .arg(given("LOCKRIG_PI_KERNEL"))
                .arg("-dtb")
                .arg(given("LOCKRIG_PI_DTB"))
                .args(["-qtest-log", "/dev/null", "-serial", "null", "-qtest"])
                .arg(format!(
                    "unix:{},server=on,wait=off",
                    folder.join("qtest").display()
                ));
            qemu
        });
        let qtest = Qtest::connect(connect(&guest.socket("qtest")));
        let mut pi = Pi { guest, qtest };
        pi.qtest
            .ask("irq_intercept_out /machine/soc/peripherals/gpio");
        pi.guest.wait_for_shell();
        pi
    }

    /// The edges since this was asked last.
    pub fn edges(&self) -> Vec<Edge> {
        self.qtest.edges.lock().drain(..).collect()
    }

    /// Waits for the next edge.
    pub fn edge(&self, within: Duration) -> Option<Edge> {
        self.qtest.edges.pop(within)
    }

    /// The levels of GPIO 0 to 31, as the chip has them.
    pub fn levels(&mut self) -> u32 {
        let answer = self.qtest.ask(&format!("readl {GPLEV0:#x}"));
        let digits = answer.trim_start_matches("0x");
        u64::from_str_radix(digits, 16).expect("qtest answers with a number") as u32
    }

    /// Makes these lines high as resistors of the wiring do, while they are inputs still. QEMU tells edges of
    /// outputs only, and takes each line for low that it has told nothing of: so they are outputs meanwhile.
    pub fn pull_up(&mut self, pins: u32) {
        let all_of = |function: u32| {
            (0..3u32).map(move |register| {
                let of_register = (0..10).filter(move |pin| pins >> (10 * register + pin) & 1 == 1);
                let value = of_register.fold(0, |value, pin| value | function << (3 * pin));
                format!("writel {:#x} {value:#x}", GPIO + 4 * u64::from(register))
            })
        };
        for command in all_of(1) {
            self.qtest.ask(&command);
        }
        self.qtest.ask(&format!("writel {GPSET0:#x} {pins:#x}"));
        for command in all_of(0) {
            self.qtest.ask(&command);
        }
        self.edges();
    }

    /// Drives an input from outside.
    pub fn drive(&mut self, pin: u32, high: bool) {
        let register = if high { GPSET0 } else { GPCLR0 };
        let command = format!("writel {register:#x} {:#x}", 1u32 << pin);
        self.qtest.ask(&command);
    }
}

/// A queue that can be waited for.
#[derive(Default)]
struct Queue {
    edges: Mutex<VecDeque<Edge>>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Edge>> {
        self.edges.lock().expect("nobody panics with the lock")
    }

    fn pop(&self, within: Duration) -> Option<Edge> {
        let (mut edges, _) = self
            .changed
            .wait_timeout_while(self.lock(), within, |edges| edges.is_empty())
            .expect("nobody panics with the lock");
        edges.pop_front()
    }
}

/// QEMU's test socket: edges come by themselves, everything else is asked for.
struct Qtest {
    stream: UnixStream,
    answers: Receiver<String>,
    edges: Arc<Queue>,
}

impl Qtest {
    fn connect(stream: UnixStream) -> Qtest {
        let reading = stream.try_clone().expect("a socket can be cloned");
        let (answer, answers) = channel();
        let edges = Arc::new(Queue::default());
        let queue = Arc::clone(&edges);
        thread::spawn(move || listen(reading, &queue, &answer));
        Qtest {
            stream,
            answers,
            edges,
        }
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.stream, "{command}").expect("QEMU listens");
        let answer = self.answers.recv_timeout(Duration::from_secs(10));
        let answer = answer.expect("QEMU answers");
        let rest = answer.strip_prefix("OK");
        rest.unwrap_or_else(|| panic!("{command}: {answer}"))
            .trim()
            .to_owned()
    }
}

fn listen(stream: UnixStream, queue: &Queue, answer: &Sender<String>) {
    for line in BufReader::new(stream).lines() {
        let at = Instant::now();
        let Ok(line) = line else { return };
        let Some(change) = line.strip_prefix("IRQ ") else {
            if answer.send(line).is_err() {
                return;
            }
            continue;
        };
        let (how, pin) = change
            .split_once(' ')
            .expect("raise or lower, and a number");
        queue.lock().push_back(Edge {
            at,
            pin: pin.trim().parse().expect("a line's number"),
            high: how == "raise",
        });
        queue.changed.notify_all();
    }
}
