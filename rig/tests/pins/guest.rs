//! Emulated computers: QEMU with one of Debian's kernels, and a file system in memory in which nothing is but
//! busybox, `lockrig` and the files of a test. The test talks to a shell on the console.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long the guest may take until its shell answers.
const BOOT_MAX: Duration = Duration::from_secs(120);

/// An emulated computer that runs.
pub struct Guest {
    qemu: Child,
    console: Console,
    folder: TempDir,
}

impl Guest {
    /// Boots a guest whose console is `tty`. `machine` is QEMU's command, and may make sockets in that
    /// folder.
    pub fn boot(tty: &str, archive: Archive, machine: impl FnOnce(&Path) -> Command) -> Guest {
        let folder = TempDir::new().expect("a folder for the guest");
        let image = folder.path().join("initramfs.cpio");
        fs::write(&image, archive.finish()).expect("the initramfs can be written");
        let console = folder.path().join("console");
        let qemu = machine(folder.path())
            .args([
                "-display",
                "none",
                "-monitor",
                "none",
                "-no-reboot",
                "-serial",
            ])
            .arg(format!("unix:{},server=on,wait=off", console.display()))
            .arg("-initrd")
            .arg(&image)
            .arg("-append")
            .arg(format!(
                "console={tty},115200 quiet panic=-1 iomem=relaxed maxcpus=1 rdinit=/init"
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("QEMU starts");
        Guest {
            qemu,
            console: Console::connect(&console),
            folder,
        }
    }

    /// Waits until the guest's shell listens.
    pub fn wait_for_shell(&mut self) {
        self.console.wait_for("guest: ready", BOOT_MAX);
    }

    /// Where QEMU made a socket.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
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

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Where something that `.ci/pins` brought is.
pub fn given(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => panic!("{variable} is not set: call .ci/pins, which brings what this test needs"),
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
pub fn connect(path: &Path) -> UnixStream {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(why) if Instant::now() > until => panic!("{}: {why}", path.display()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A file system in memory, as the kernel unpacks it: a cpio archive in the format that is called newc.
pub struct Archive {
    bytes: Vec<u8>,
    files: u32,
}

impl Archive {
    /// One with what every guest needs, a busybox and a `lockrig` for it.
    pub fn new(busybox: &Path, lockrig: &Path) -> Archive {
        let mut archive = Archive {
            bytes: Vec::new(),
            files: 0,
        };
        for folder in ["bin", "dev", "etc", "root"] {
            archive.add_folder(folder);
        }
        archive.add_device("dev/console", (5, 1));
        archive.add("init", include_bytes!("init.sh"));
        archive.add(
            "etc/passwd",
            b"root:x:0:0::/root:/bin/sh\nguest:x:1000:1000::/tmp:/bin/sh\n",
        );
        archive.add_file("bin/busybox", busybox);
        archive.add_file("bin/lockrig", lockrig);
        archive.add("root/supply.sh", include_bytes!("supply.sh"));
        archive
    }

    /// The same for this computer's own `lockrig`, with the libraries that it is linked to.
    pub fn with_libraries(busybox: &Path, lockrig: &Path) -> Archive {
        let mut archive = Archive::new(busybox, lockrig);
        for folder in ["lib", "lib/x86_64-linux-gnu", "lib64"] {
            archive.add_folder(folder);
        }
        let linked = Command::new("ldd").arg(lockrig).output();
        let linked = linked.expect("ldd starts").stdout;
        for word in String::from_utf8_lossy(&linked).split_whitespace() {
            if let Some(name) = word.strip_prefix('/') {
                archive.add_file(name, word.as_ref());
            }
        }
        archive
    }

    /// Adds a folder; those above it come first.
    pub fn add_folder(&mut self, name: &str) {
        self.entry(name, 0o040_755, (0, 0), &[]);
    }

    /// Adds a file of this computer.
    pub fn add_file(&mut self, name: &str, path: &Path) {
        let bytes = fs::read(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        self.add(name, &bytes);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    /// Adds a file.
    pub fn add(&mut self, name: &str, contents: &[u8]) {
        self.entry(name, 0o100_755, (0, 0), contents);
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
