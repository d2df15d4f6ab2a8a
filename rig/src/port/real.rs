//! Ports that lead to hardware: serial lines, TCP connections and pins, on the machine's monotonic clock.
//!
//! One task for each byte port moves bytes both ways and stamps what comes with the time at which the
//! system gave it to us; all of them feed one bounded queue, on which `wait` blocks. Nothing reconnects:
//! a port that is gone stays gone, because nobody knows what its instrument did meanwhile. Its address can be
//! opened anew, as another port.
//!
//! Pins are `real_pins`' business; where there are none, a sense board tells lines over a byte port.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::net::{TcpStream as BlockingTcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use serialport::SerialPort;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio_serial::SerialStream;

use super::usb_power::UsbPort;
use super::{
    Branch, Input, Interrupt, Level, LineId, Observation, OutputId, PortId, PortProblem,
    PortTrouble, Ports, ProbePort, Seen, Signal, Waited, Wake, real_pins, real_probe,
};
use crate::event::Nanos;

/// Observations that may wait to be taken. A console at 115,200 baud fills it in some minutes.
const OBSERVATIONS_MAX: usize = 65_536;
/// Messages that may wait to be sent.
const MESSAGES_MAX: usize = 1_024;
/// The most bytes in one observation.
const BYTES_MAX: usize = 1_024;
/// How long a TCP instrument may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How often to look whether this machine stands still.
const PULSE: Duration = Duration::from_millis(5);
/// Where Linux tells of USB.
const USB_DEVICES: &str = "/sys/bus/usb/devices";
/// The longest single sleep; a longer wait sleeps again.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// The ports of one real bench.
pub struct RealPorts {
    /// Made for the first port.
    runtime: Option<Runtime>,
    began: Instant,
    queue: Arc<Queue>,
    ports: Vec<Open>,
    headers: Vec<real_pins::Header>,
    /// The header of each output, and of each line.
    outputs: Vec<usize>,
    lines: Vec<usize>,
    interrupt: Interrupt,
    interrupts_seen: u64,
    /// The longest time in nanoseconds by which a pulse came late.
    late: Arc<AtomicU64>,
}

struct Open {
    address: String,
    baud: u32,
    send: mpsc::Sender<Vec<u8>>,
}

/// What was observed and not yet taken.
#[derive(Default)]
pub(super) struct Queue {
    observations: Mutex<VecDeque<Observation>>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Observation>> {
        // Pushing and popping cannot panic half way.
        self.observations
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// False, if there is no room.
    pub(super) fn push(&self, observation: Observation) -> bool {
        let mut observations = self.lock();
        // A loss always has room: it is the last that a port ever says. So has what an order led to.
        let always = matches!(
            observation.what,
            Seen::Lost { .. }
                | Seen::LineLost { .. }
                | Seen::OutputLost { .. }
                | Seen::Driven { .. }
        );
        let room = always || observations.len() < OBSERVATIONS_MAX;
        if room {
            // An edge is stamped by the kernel before another thread hands it over.
            let place = observations.partition_point(|other| other.at <= observation.at);
            observations.insert(place, observation);
            self.changed.notify_all();
        }
        room
    }
}

impl Wake for Queue {
    fn wake(&self) {
        // With the lock, so that a waiter is either before its look at the interrupt or asleep.
        let _observations = self.lock();
        self.changed.notify_all();
    }
}

impl RealPorts {
    /// No port is open yet; the clock starts at zero.
    pub fn new(interrupt: Interrupt) -> RealPorts {
        let queue = Arc::new(Queue::default());
        let sleeper: Weak<dyn Wake> = Arc::downgrade(&(Arc::clone(&queue) as Arc<dyn Wake>));
        interrupt.tell(sleeper);
        RealPorts {
            runtime: None,
            began: Instant::now(),
            queue,
            ports: Vec::new(),
            headers: Vec::new(),
            outputs: Vec::new(),
            lines: Vec::new(),
            interrupts_seen: interrupt.times(),
            interrupt,
            late: Arc::default(),
        }
    }

    /// The header at an address, opened for the first that asks for it.
    fn header(&mut self, address: &str) -> Result<usize, PortTrouble> {
        let mut headers = self.headers.iter();
        if let Some(known) = headers.position(|header| header.address() == address) {
            return Ok(known);
        }
        let queue = Arc::clone(&self.queue);
        let header = real_pins::Header::open(address, self.began, queue)?;
        self.headers.push(header);
        Ok(self.headers.len() - 1)
    }

    /// Where the tasks of the ports run.
    fn handle(&mut self) -> io::Result<Handle> {
        if let Some(runtime) = &self.runtime {
            return Ok(runtime.handle().clone());
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("ports")
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        self.runtime = Some(runtime);
        handle.spawn(pulse(Arc::clone(&self.late)));
        Ok(handle)
    }

    /// Moves bytes between `stream` and this port from now on.
    fn spawn(&mut self, address: &str, baud: u32, stream: impl Stream, handle: &Handle) -> PortId {
        let port = PortId(self.ports.len() as u16);
        let (send, messages) = mpsc::channel(MESSAGES_MAX);
        let mover = Mover {
            port,
            began: self.began,
            queue: Arc::clone(&self.queue),
        };
        handle.spawn(mover.run(stream, messages));
        self.ports.push(Open {
            address: address.to_owned(),
            baud,
            send,
        });
        port
    }
}

impl Open {
    fn is(&self, address: &str, baud: u32) -> bool {
        self.address == address && self.baud == baud
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// The task of one port.
struct Mover {
    port: PortId,
    began: Instant,
    queue: Arc<Queue>,
}

impl Mover {
    async fn run(self, stream: impl Stream, messages: mpsc::Receiver<Vec<u8>>) {
        if let Some(why) = self.move_bytes(stream, messages).await {
            self.observe(Seen::Lost {
                port: self.port,
                why,
            });
        }
    }

    /// Returns when the port is gone, with the reason, or when nobody needs it any more.
    async fn move_bytes(
        &self,
        stream: impl Stream,
        mut messages: mpsc::Receiver<Vec<u8>>,
    ) -> Option<String> {
        let (mut from, mut to) = tokio::io::split(stream);
        let reading = async {
            let mut buffer = [0; BYTES_MAX];
            loop {
                match from.read(&mut buffer).await {
                    Ok(0) => return "the other end closed the connection".to_owned(),
                    Ok(count) => {
                        let bytes = buffer[..count].to_vec();
                        if !self.observe(Seen::Bytes {
                            port: self.port,
                            bytes,
                        }) {
                            return format!(
                                "{OBSERVATIONS_MAX} observations wait and nobody takes them"
                            );
                        }
                    }
                    Err(why) => return why.to_string(),
                }
            }
        };
        // Apart from reading, so that an instrument that takes nothing can still be heard.
        let writing = async {
            while let Some(bytes) = messages.recv().await {
                if let Err(why) = to.write_all(&bytes).await {
                    return Some(why.to_string());
                }
                if let Err(why) = to.flush().await {
                    return Some(why.to_string());
                }
            }
            None
        };
        tokio::select! {
            why = reading => Some(why),
            why = writing => why,
        }
    }

    fn observe(&self, what: Seen) -> bool {
        self.queue.push(Observation {
            at: since(self.began),
            what,
        })
    }
}

impl Ports for RealPorts {
    fn now(&self) -> Nanos {
        since(self.began)
    }

    fn bytes(&mut self, address: &str, baud: u32) -> Result<PortId, PortTrouble> {
        let known = self
            .ports
            .iter()
            .position(|open| open.is(address, baud) && !open.send.is_closed());
        if let Some(known) = known {
            return Ok(PortId(known as u16));
        }
        let handle = self.handle().map_err(|why| trouble(address, &why))?;
        let _inside = handle.enter();
        match address.strip_prefix("tcp://") {
            Some(host) => {
                let stream = connect(host).map_err(|why| trouble(address, &why))?;
                let stream = tokio::net::TcpStream::from_std(stream);
                let stream = stream.map_err(|why| trouble(address, &why))?;
                Ok(self.spawn(address, baud, stream, &handle))
            }
            None => {
                let stream = open_serial(address, baud)?;
                Ok(self.spawn(address, baud, stream, &handle))
            }
        }
    }

    fn line(&mut self, address: &str, pin: &str, input: &Input) -> Result<LineId, PortTrouble> {
        let number = pin.parse().ok().filter(|_| real_pins::is_pins(address));
        let Some(number) = number else {
            return Err(PortTrouble {
                address: format!("{address} pin '{pin}'"),
                problem: PortProblem::Absent,
                saw: "this port senses no such line".to_owned(),
            });
        };
        let header = self.header(address)?;
        let line = LineId(self.lines.len() as u16);
        self.headers[header].line(line, number, input)?;
        self.lines.push(header);
        Ok(line)
    }

    fn output(&mut self, address: &str, pin: u16, level: Level) -> Result<OutputId, PortTrouble> {
        let header = self.header(address)?;
        let output = OutputId(self.outputs.len() as u16);
        self.headers[header].output(output, pin, level)?;
        self.outputs.push(header);
        Ok(output)
    }

    fn drive(&mut self, output: OutputId, signal: Signal, at: Nanos) -> Result<(), PortTrouble> {
        self.headers[self.outputs[usize::from(output.0)]].drive(output, signal, at)
    }

    fn probe(&mut self, address: &str) -> Result<ProbePort, PortTrouble> {
        real_probe::open(address)
    }

    fn usb_port(&self, place: &str) -> Option<UsbPort> {
        Some(UsbPort::new(Path::new(USB_DEVICES), place))
    }

    fn write(&mut self, port: PortId, bytes: &[u8]) -> Result<(), PortTrouble> {
        let open = &self.ports[usize::from(port.0)];
        open.send.try_send(bytes.to_vec()).map_err(|refused| {
            let (problem, saw) = match refused {
                mpsc::error::TrySendError::Full(_) => (
                    PortProblem::Busy,
                    format!("{MESSAGES_MAX} messages wait to be sent"),
                ),
                mpsc::error::TrySendError::Closed(_) => {
                    (PortProblem::Lost, "the port is gone".to_owned())
                }
            };
            PortTrouble {
                address: open.address.clone(),
                problem,
                saw,
            }
        })
    }

    fn level(&mut self, line: LineId) -> Result<Level, PortTrouble> {
        self.headers[self.lines[usize::from(line.0)]].level(line)
    }

    fn wait(&mut self, deadline: Nanos) -> Waited<Observation> {
        let mut observations = self.queue.lock();
        loop {
            let raised = self.interrupt.times();
            if raised != self.interrupts_seen {
                self.interrupts_seen += 1;
                return Waited::Interrupted;
            }
            if let Some(observation) = observations.pop_front() {
                return Waited::Saw(observation);
            }
            let left = deadline.since(since(self.began));
            if left == Nanos::ZERO {
                return Waited::Deadline;
            }
            let left = Duration::from_nanos(left.0).min(SLEEP_MAX);
            let woken = self.queue.changed.wait_timeout(observations, left);
            observations = woken.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    fn stood_still(&mut self) -> Nanos {
        Nanos(self.late.swap(0, Ordering::Relaxed))
    }

    fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    fn branch(&mut self) -> Option<&mut dyn Branch> {
        None
    }
}

impl Drop for RealPorts {
    fn drop(&mut self) {
        // Waits for nothing: what mattered was confirmed, and a bench may be dropped inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Notes how late this machine lets a task run that wants to run at a certain time: as late as it may
/// hand over what an instrument said.
async fn pulse(late: Arc<AtomicU64>) {
    loop {
        let due = Instant::now() + PULSE;
        tokio::time::sleep_until(due.into()).await;
        let passed = Instant::now().saturating_duration_since(due);
        late.fetch_max(passed.as_nanos() as u64, Ordering::Relaxed);
    }
}

fn since(began: Instant) -> Nanos {
    Nanos(began.elapsed().as_nanos() as u64)
}

fn connect(host: &str) -> io::Result<BlockingTcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in host.to_socket_addrs()? {
        match BlockingTcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(stream) => {
                // Orders are short and must not wait to be joined with later ones.
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                return Ok(stream);
            }
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn open_serial(path: &str, baud: u32) -> Result<SerialStream, PortTrouble> {
    let stream = SerialStream::open(&tokio_serial::new(path, baud)).map_err(|error| {
        let why = match error.kind() {
            serialport::ErrorKind::Io(kind) if kind != io::ErrorKind::NotFound => {
                io::Error::new(kind, error.description)
            }
            // serialport says "no device" where a path leads nowhere and where somebody holds it.
            serialport::ErrorKind::NoDevice if fs::metadata(path).is_ok() => {
                io::Error::new(io::ErrorKind::ResourceBusy, error.description)
            }
            serialport::ErrorKind::NoDevice | serialport::ErrorKind::Io(_) => {
                let saw = format!("{}; {}", error.description, those_there());
                io::Error::new(io::ErrorKind::NotFound, saw)
            }
            _ => io::Error::other(error.description),
        };
        trouble(path, &why)
    })?;
    // What the instrument said before we listened is not an answer to us.
    stream
        .clear(serialport::ClearBuffer::Input)
        .map_err(|error| trouble(path, &io::Error::other(error.description)))?;
    Ok(stream)
}

/// The serial ports of this computer, for who looked for another.
fn those_there() -> String {
    let ports = serialport::available_ports().unwrap_or_default();
    let mut names: Vec<String> = ports.into_iter().map(|port| port.port_name).collect();
    names.sort();
    match names.is_empty() {
        true => "this computer has no serial port".to_owned(),
        false => format!("this computer has {}", names.join(", ")),
    }
}

fn trouble(address: &str, why: &io::Error) -> PortTrouble {
    let problem = match why.kind() {
        io::ErrorKind::PermissionDenied => PortProblem::Denied,
        io::ErrorKind::ResourceBusy => PortProblem::Busy,
        _ => PortProblem::Absent,
    };
    let text = why.to_string();
    let mut characters = text.chars();
    let first = characters
        .next()
        .map(|first| first.to_lowercase().to_string())
        .unwrap_or_default();
    PortTrouble {
        address: address.to_owned(),
        problem,
        saw: first + characters.as_str(),
    }
}
