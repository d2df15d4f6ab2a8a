//! An emulated Raspberry Pi 3: QEMU with Debian's kernel, and a memory file system in which nothing is but
//! busybox and the static `lockrig`. The test looks at its GPIO lines from outside, through QEMU's own test
//! socket, and talks to a shell on its console.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where the GPIO block's registers are.
const GPIO: u64 = 0x3f20_0000;
const GPSET0: u64 = GPIO + 0x1c;
const GPCLR0: u64 = GPIO + 0x28;
const GPLEV0: u64 = GPIO + 0x34;

/// How long the guest may take until its shell answers.
const BOOT_MAX: Duration = Duration::from_secs(120);

/// A GPIO line that changed, as it is seen from outside of the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edge {
    pub at: Instant,
    pub pin: u32,
    pub high: bool,
}

/// The guest.
pub struct Pi {
    qemu: Child,
    qtest: Qtest,
    console: Console,
    _folder: TempDir,
}

impl Pi {
    /// Boots a guest with these files in `/root`, besides the programs.
    pub fn boot(files: &[(&str, Vec<u8>)]) -> Pi {
        let folder = TempDir::new().expect("a folder for the guest");
        let image = folder.path().join("initramfs.cpio");
        fs::write(&image, initramfs(files)).expect("the initramfs can be written");
        let socket = |name: &str| folder.path().join(name);
        let serve = |name: &str| format!("unix:{},server=on,wait=off", socket(name).display());
        let qemu = Command::new("qemu-system-aarch64")
            .args([
                "-M",
                "raspi3b",
                "-accel",
                "tcg,thread=single",
                "-display",
                "none",
            ])
            .args(["-monitor", "none", "-no-reboot", "-qtest-log", "/dev/null"])
            .arg("-kernel")
            .arg(given("LOCKRIG_PI_KERNEL"))
            .arg("-dtb")
            .arg(given("LOCKRIG_PI_DTB"))
            .arg("-initrd")
            .arg(&image)
            .args([
                "-append",
                "console=ttyS1,115200 quiet panic=-1 iomem=relaxed maxcpus=1 rdinit=/init",
            ])
            .args(["-serial", "null", "-serial", &serve("console")])
            .args(["-qtest", &serve("qtest")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("qemu-system-aarch64 starts");
        let mut pi = Pi {
            qemu,
            qtest: Qtest::connect(&socket("qtest")),
            console: Console::connect(&socket("console")),
            _folder: folder,
        };
        pi.qtest
            .ask("irq_intercept_out /machine/soc/peripherals/gpio");
        pi.console.wait_for("guest: ready", BOOT_MAX);
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

    /// Drives an input of the guest from outside.
    pub fn drive(&mut self, pin: u32, high: bool) {
        let register = if high { GPSET0 } else { GPCLR0 };
        self.qtest
            .ask(&format!("writel {register:#x} {:#x}", 1u32 << pin));
    }

    /// Types a line on the console.
    pub fn type_line(&mut self, line: &str) {
        self.console.send(line);
    }

    /// What the console said since it was asked last, up to a line that begins with `mark`.
    pub fn said_before(&mut self, mark: &str, within: Duration) -> String {
        self.console.wait_for(mark, within)
    }

    /// What the console says up to the end of the line.
    pub fn rest_of_line(&mut self) -> String {
        self.console.rest_of_line().trim().to_owned()
    }

    /// Carries a command out and gives what it printed and its exit code.
    pub fn run(&mut self, command: &str, within: Duration) -> (String, i32) {
        self.type_line(&format!("{command}; echo \"guest: done $?\""));
        let said = self.console.wait_for("guest: done ", within);
        let code = self.rest_of_line();
        (said, code.parse().expect("an exit code"))
    }
}

impl Drop for Pi {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Where something that `.ci/raspberry` brought is.
fn given(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => {
            panic!("{variable} is not set: call .ci/raspberry, which brings what this test needs")
        }
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
    fn connect(path: &Path) -> Qtest {
        let stream = connect(path);
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

/// The guest's console.
struct Console {
    stream: UnixStream,
    text: Receiver<Vec<u8>>,
    /// What came and was not taken.
    pending: String,
}

impl Console {
    fn connect(path: &Path) -> Console {
        let stream = connect(path);
        let mut reading = stream.try_clone().expect("a socket can be cloned");
        let (send, text) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = reading.read(&mut buffer) {
                if count == 0 || send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Console {
            stream,
            text,
            pending: String::new(),
        }
    }

    fn send(&mut self, line: &str) {
        writeln!(self.stream, "{line}").expect("the guest has a console");
    }

    /// Takes everything up to and with a mark at the beginning of a line; gives what was before it.
    fn wait_for(&mut self, mark: &str, within: Duration) -> String {
        let until = Instant::now() + within;
        loop {
            let found = self.pending.match_indices(mark).map(|(at, _)| at);
            let mut found =
                found.filter(|at| *at == 0 || self.pending[..*at].ends_with(['\n', '\r']));
            if let Some(at) = found.next() {
                let said = self.pending[..at].to_owned();
                self.pending.drain(..at + mark.len());
                return said;
            }
            self.more(until, mark);
        }
    }

    fn rest_of_line(&mut self) -> String {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(end) = self.pending.find('\n') {
                return self.pending.drain(..=end).collect();
            }
            self.more(until, "the end of the line");
        }
    }

    fn more(&mut self, until: Instant, what: &str) {
        let left = until.saturating_duration_since(Instant::now());
        match self.text.recv_timeout(left) {
            Ok(bytes) => self.pending.push_str(&String::from_utf8_lossy(&bytes)),
            Err(_) => panic!("waiting for '{what}', the console said:\n{}", self.pending),
        }
    }
}

/// QEMU makes its sockets a moment after it starts.
fn connect(path: &Path) -> UnixStream {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(why) if Instant::now() > until => panic!("{}: {why}", path.display()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A file system in memory, as the kernel unpacks it.
fn initramfs(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let read = |variable| fs::read(given(variable)).expect("what .ci/raspberry brought is there");
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "root"] {
        archive.add(folder, 0o040_755, &[]);
    }
    archive.add_device("dev/console", (5, 1));
    archive.add("init", 0o100_755, include_bytes!("init.sh"));
    archive.add("bin/busybox", 0o100_755, &read("LOCKRIG_PI_BUSYBOX"));
    archive.add("bin/lockrig", 0o100_755, &read("LOCKRIG_PI_BINARY"));
    archive.add("root/supply.sh", 0o100_755, include_bytes!("supply.sh"));
    for (name, bytes) in files {
        archive.add(&format!("root/{name}"), 0o100_644, bytes);
    }
    archive.add("TRAILER!!!", 0, &[]);
    archive.bytes
}

/// A cpio archive in the format that is called newc.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    files: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entry(name, mode, (0, 0), contents);
    }

    /// A character device, by its numbers.
    fn add_device(&mut self, name: &str, numbers: (u32, u32)) {
        self.entry(name, 0o020_600, numbers, &[]);
    }

    fn entry(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), contents: &[u8]) {
        self.files += 1;
        let (length, size) = (name.len() as u32 + 1, contents.len() as u32);
        // inode, mode, user, group, links, time, size, where it lies, what device it is, length of the name, sum.
        let fields = [
            self.files, mode, 0, 0, 1, 0, size, 0, 0, major, minor, length, 0,
        ];
        let mut header = "070701".to_owned();
        for field in fields {
            write!(header, "{field:08X}").expect("a text takes it");
        }
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(contents);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
