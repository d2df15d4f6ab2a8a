//! Who has a real bench, and who brings it to rest when that process is killed.
//!
//! Before an output of a real bench is touched, its [`lock`] is taken and a guard is started: a process of its
//! own that holds the same lock. It knows the bench file and waits. When the process that has the bench ends
//! without having said that everything is at rest - killed, crashed, or unable to reach an instrument - the
//! guard opens the ports anew, brings the outputs to rest in the file's order, says what came of it, and only
//! then lets the lock go. It has a process group of its own and heeds no signal that asks it to end.
//!
//! On Windows a lock belongs to one process: there it is free between the end of the one and the guard's
//! taking it.

pub mod lock;

use std::fs::OpenOptions;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::bench::{Bench, BenchFile, Rest, What};
use crate::driver::{DeviceTrouble, Trouble};
use crate::event::Nanos;
use crate::port::real::RealPorts;
use crate::port::usb_power::UsbPort;
use crate::port::{
    Branch, Input, Interrupt, Level, LineId, Observation, OutputId, PortId, PortTrouble, Ports,
    ProbePort, Signal, Waited,
};
use crate::source::Source;

use lock::{Holder, Lock, Places, Taken};

/// What is said when everything is at rest and the guard may go.
const AT_REST: &str = "at rest";
/// Where the guard says what it did, in the folder of the report.
const LOG: &str = "guard.log";
/// How long a port may stay busy after its last user was killed.
const BUSY_MAX: Nanos = Nanos::from_secs(2);
/// How often it is tried meanwhile.
const BUSY_PAUSE: Nanos = Nanos::from_millis(50);

/// Where locks are kept, and how a guard is started.
#[derive(Clone, Debug)]
pub struct Post {
    /// The folder of the locks.
    pub locks: PathBuf,
    /// The command that is a guard; none where nobody can be one.
    pub guard: Option<PathBuf>,
    /// The folder of the report, where there is one.
    pub report: Option<PathBuf>,
}

/// What a guard is told first, in a line.
#[derive(Serialize, Deserialize)]
struct Orders {
    pid: u32,
    bench: String,
    text: String,
    log: Option<PathBuf>,
    places: Places,
}

/// The real ports of a bench that is locked and guarded.
///
/// Dropping them closes the ports, and waits until the guard has ended: at once if everything is at rest.
pub struct Guarded {
    /// Given away only when this is dropped.
    ports: Option<RealPorts>,
    guard: Option<Guard>,
    /// Freed last.
    _lock: Lock,
    /// Whether nothing was written since everything was known to be at rest.
    is_at_rest: bool,
}

struct Guard {
    process: Child,
    ear: ChildStdin,
}

impl Guarded {
    /// Takes a bench and sets a guard beside it. No port is open yet.
    ///
    /// # Errors
    /// Somebody has the bench, or it cannot be locked or guarded.
    pub fn take(
        bench: &BenchFile,
        holder: Holder,
        post: &Post,
        interrupt: Interrupt,
    ) -> Result<Guarded, DeviceTrouble> {
        let pid = holder.pid;
        let lock = Lock::take(&post.locks, bench, holder).map_err(|why| refusal(bench, &why))?;
        let guard = post
            .guard
            .as_ref()
            .map(|program| Guard::start(program, bench, pid, post, &lock))
            .transpose()
            .map_err(|why| DeviceTrouble {
                device: format!("bench '{}'", bench.name),
                doing: "starting its guard".to_owned(),
                what: Trouble::Absent,
                saw: why.to_string(),
                hint: "nothing was switched; can this computer start another process?".to_owned(),
            })?;
        Ok(Guarded {
            ports: Some(RealPorts::new(interrupt)),
            guard,
            _lock: lock,
            is_at_rest: true,
        })
    }

    fn ports(&self) -> &RealPorts {
        self.ports.as_ref().expect("it is there until the end")
    }

    fn ports_mut(&mut self) -> &mut RealPorts {
        self.ports.as_mut().expect("it is there until the end")
    }
}

/// Why a bench cannot be had, for a person.
fn refusal(bench: &BenchFile, why: &Taken) -> DeviceTrouble {
    let (what, hint) = match why {
        Taken::Held { pid: Some(pid), .. } => (
            Trouble::Busy,
            format!("wait until it has ended, or end it: 'kill {pid}' brings its outputs to rest"),
        ),
        Taken::Held { .. } => (Trouble::Busy, "is it a newer lockrig?".to_owned()),
        Taken::Unusable { .. } => (
            Trouble::Denied,
            "nothing was switched; LOCKRIG_LOCKS names another folder, the same for all users of the bench"
                .to_owned(),
        ),
    };
    DeviceTrouble {
        device: format!("bench '{}'", bench.name),
        doing: "taking it".to_owned(),
        what,
        saw: why.to_string(),
        hint,
    }
}

impl Guard {
    fn start(
        program: &Path,
        bench: &BenchFile,
        pid: u32,
        post: &Post,
        lock: &Lock,
    ) -> io::Result<Guard> {
        let (held, places) = lock.share()?;
        let mut command = Command::new(program);
        command
            .arg("guard")
            .stdin(Stdio::piped())
            // Never written to: what it holds is held for as long as the process lives.
            .stdout(Stdio::from(held))
            .stderr(Stdio::inherit());
        apart(&mut command);
        let mut process = command.spawn()?;
        let mut ear = process.stdin.take().expect("it is a pipe");
        let orders = Orders {
            pid,
            bench: bench.source.name().to_owned(),
            text: bench.source.text().to_owned(),
            log: post.report.as_ref().map(|folder| folder.join(LOG)),
            places,
        };
        let mut line = serde_json::to_string(&orders)?;
        line.push('\n');
        ear.write_all(line.as_bytes())?;
        Ok(Guard { process, ear })
    }

    /// Lets it go, or has it do its work.
    fn end(mut self, is_at_rest: bool) {
        if is_at_rest {
            // One that is gone need not be told.
            let _ = writeln!(self.ear, "{AT_REST}");
        }
        drop(self.ear);
        let _ = self.process.wait();
    }
}

/// Keys and signals that end a group of processes reach the guard in none.
fn apart(command: &mut Command) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0).arg0("lockrig");
    }
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt;
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
        command.creation_flags(CREATE_NEW_PROCESS_GROUP);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The guard may have to open them.
        drop(self.ports.take());
        if let Some(guard) = self.guard.take() {
            guard.end(self.is_at_rest);
        }
    }
}

/// What is written may switch something.
impl Ports for Guarded {
    fn now(&self) -> Nanos {
        self.ports().now()
    }

    fn bytes(&mut self, address: &str, baud: u32) -> Result<PortId, PortTrouble> {
        self.ports_mut().bytes(address, baud)
    }

    fn line(&mut self, address: &str, pin: &str, input: &Input) -> Result<LineId, PortTrouble> {
        self.ports_mut().line(address, pin, input)
    }

    fn output(&mut self, address: &str, pin: u16, level: Level) -> Result<OutputId, PortTrouble> {
        self.ports_mut().output(address, pin, level)
    }

    fn drive(&mut self, output: OutputId, signal: Signal, at: Nanos) -> Result<(), PortTrouble> {
        self.is_at_rest = false;
        self.ports_mut().drive(output, signal, at)
    }

    fn probe(&mut self, address: &str) -> Result<ProbePort, PortTrouble> {
        self.ports_mut().probe(address)
    }

    fn usb_port(&self, place: &str) -> Option<UsbPort> {
        self.ports().usb_port(place)
    }

    fn write(&mut self, port: PortId, bytes: &[u8]) -> Result<(), PortTrouble> {
        self.is_at_rest = false;
        self.ports_mut().write(port, bytes)
    }

    fn level(&mut self, line: LineId) -> Result<Level, PortTrouble> {
        self.ports_mut().level(line)
    }

    fn wait(&mut self, deadline: Nanos) -> Waited<Observation> {
        self.ports_mut().wait(deadline)
    }

    fn stood_still(&mut self) -> Nanos {
        self.ports_mut().stood_still()
    }

    fn interrupt(&self) -> Interrupt {
        self.ports().interrupt()
    }

    fn at_rest(&mut self) {
        self.is_at_rest = true;
    }

    fn branch(&mut self) -> Option<&mut dyn Branch> {
        None
    }
}

/// What a guard does, to its end: `orders` come from the process that has the bench, and standard output is
/// the lock. Returns what it had to do, for people; none if nothing.
///
/// # Errors
/// Orders that make no sense: whoever sent them is no `lockrig` of this version.
pub fn stand(mut orders: impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    orders.read_line(&mut line)?;
    let told: Orders = serde_json::from_str(&line)?;
    let file = BenchFile::read(&Source::new(told.bench.as_str(), told.text.as_str()))
        .map_err(|refused| io::Error::other(refused.to_string()))?;
    line.clear();
    // A pipe that cannot be read is one whose other end is gone.
    let _ = orders.read_line(&mut line);
    if line.trim_end() == AT_REST {
        return Ok(None);
    }
    let _held = told.places.take_over();
    let rest = clean_up(&file);
    let said = report(&told, &file, &rest);
    if let Some(log) = &told.log {
        // The folder may be gone; the message goes to standard error, too.
        let file = OpenOptions::new().create(true).append(true).open(log);
        let _ = file.and_then(|mut file| file.write_all(said.as_bytes()));
    }
    told.places.clear();
    Ok(Some(said))
}

/// Brings the bench to rest, as soon as its ports are free.
fn clean_up(file: &BenchFile) -> Rest {
    let mut clock = RealPorts::new(Interrupt::default());
    loop {
        let ports = RealPorts::new(Interrupt::default());
        let rest = Bench::clean_up(file.clone(), Box::new(ports));
        let troubles = troubles(&rest);
        // What is still closing refuses a connection as what is not there does.
        let is_out_of_reach =
            |one: &&DeviceTrouble| matches!(one.what, Trouble::Busy | Trouble::Absent);
        if !troubles.into_iter().any(|one| is_out_of_reach(&one)) || clock.now() >= BUSY_MAX {
            return rest;
        }
        clock.wait(clock.now() + BUSY_PAUSE);
    }
}

fn troubles(rest: &Rest) -> Vec<&DeviceTrouble> {
    let happenings = rest.happenings.iter();
    happenings
        .filter_map(|happening| match &happening.what {
            What::Trouble(trouble) => Some(trouble),
            _ => None,
        })
        .collect()
}

/// What the guard did, for people.
fn report(told: &Orders, file: &BenchFile, rest: &Rest) -> String {
    let mut said = format!(
        "guard of bench '{}': process {} left it, and not everything was known to be at rest\n",
        file.name, told.pid
    );
    if !rest.outputs.is_empty() {
        said += &format!("  at rest now: {}\n", rest.outputs.join(", "));
    }
    if !rest.unknown.is_empty() {
        said += &format!(
            "  unknown, look at the bench: {}\n",
            rest.unknown.join(", ")
        );
    }
    for trouble in troubles(rest) {
        said += &format!("  {trouble}\n");
    }
    said
}
