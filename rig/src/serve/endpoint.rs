//! The ports that a served bench stands on: pseudo-terminals and TCP on the loopback address.
//!
//! Each takes one client at a time, as a serial port does; over TCP the next one waits its turn. What
//! an instrument says while nobody listens, or faster than somebody takes it, is lost, as on a wire
//! without flow control.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{Place, Service};

/// Messages that may wait for the bench; clients that send more wait.
const INCOMING_MAX: usize = 256;
/// Messages that may wait for a client; more are lost.
const OUTGOING_MAX: usize = 4_096;
/// The most bytes in one message.
const BYTES_MAX: usize = 1_024;

/// How the ports are opened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    /// Instruments on TCP too, where they could be on pseudo-terminals.
    pub tcp: bool,
    /// The first TCP port; the others follow it. None lets the system choose.
    pub first_port: Option<u16>,
    /// A folder in which each pseudo-terminal gets a link with the port's name.
    pub links: Option<PathBuf>,
}

/// A port that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("opening the port '{name}' at {at}: {why}")]
pub struct OpenError {
    /// The service.
    pub name: &'static str,
    /// Where it was to be.
    pub at: String,
    /// What the system says.
    pub why: io::Error,
}

/// Something that came from a client.
#[derive(Debug)]
pub struct Incoming {
    /// Through this port.
    pub service: Service,
    /// This.
    pub what: What,
}

/// What can come from a client.
#[derive(Debug)]
pub enum What {
    /// A client is there.
    Opened,
    /// It sent bytes, at least one.
    Bytes(Vec<u8>),
    /// It is gone.
    Closed,
}

/// All ports of a bench. Dropping them closes them and removes their links.
pub struct Endpoints {
    incoming: mpsc::Receiver<Incoming>,
    outgoing: Vec<(Service, mpsc::Sender<Vec<u8>>)>,
    _tasks: tokio::task::JoinSet<()>,
    _links: Vec<Link>,
}

impl Endpoints {
    /// Opens a port for each service, and says where each is.
    ///
    /// # Errors
    /// The first that could not be opened; none is open then. It has to be called inside a runtime.
    pub async fn open(
        layout: &Layout,
        services: &[Service],
    ) -> Result<(Endpoints, Vec<Place>), OpenError> {
        let (to_bench, incoming) = mpsc::channel(INCOMING_MAX);
        let mut endpoints = Endpoints {
            incoming,
            outgoing: Vec::new(),
            _tasks: tokio::task::JoinSet::new(),
            _links: Vec::new(),
        };
        let mut places = Vec::new();
        let mut tcp_port = layout.first_port;
        for service in services.iter().copied() {
            let (send, to_client) = mpsc::channel(OUTGOING_MAX);
            let line = Line {
                service,
                to_bench: to_bench.clone(),
                to_client,
            };
            endpoints.outgoing.push((service, send));
            let debugs = matches!(service, Service::Probe | Service::Gdb);
            let place = if layout.tcp || debugs || cfg!(not(unix)) {
                let place = endpoints.listen(line, tcp_port.unwrap_or(0)).await?;
                tcp_port = tcp_port.map(|port| port.wrapping_add(1));
                place
            } else {
                endpoints.terminal(line, layout.links.as_deref())?
            };
            places.push(place);
        }
        Ok((endpoints, places))
    }

    /// What comes next from any client.
    pub(super) async fn next(&mut self) -> Incoming {
        match self.incoming.recv().await {
            Some(incoming) => incoming,
            // No port is open any more.
            None => std::future::pending().await,
        }
    }

    /// Sends to the client of a port, if there is one.
    pub(super) fn send(&self, service: Service, bytes: Vec<u8>) {
        let port = self.outgoing.iter().find(|(one, _)| *one == service);
        if let Some((_, send)) = port
            && !bytes.is_empty()
        {
            // A full queue is a client that does not read.
            let _ = send.try_send(bytes);
        }
    }

    async fn listen(&mut self, line: Line, port: u16) -> Result<Place, OpenError> {
        let service = line.service;
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let trouble = |why| OpenError {
            name: service.name(),
            at: wanted.to_string(),
            why,
        };
        let listener = TcpListener::bind(wanted).await.map_err(trouble)?;
        let address = listener.local_addr().map_err(trouble)?;
        self._tasks.spawn(line.accept(listener));
        Ok(Place {
            name: service.name(),
            at: match service {
                Service::Probe => format!("1d50:6018:{address}"),
                Service::Gdb => address.to_string(),
                Service::Instrument(_) => format!("tcp://{address}"),
            },
            baud: None,
        })
    }

    #[cfg(unix)]
    fn terminal(&mut self, line: Line, links: Option<&Path>) -> Result<Place, OpenError> {
        let service = line.service;
        let trouble = |at: &str, why| OpenError {
            name: service.name(),
            at: at.to_owned(),
            why,
        };
        let (terminal, path) =
            pseudo_terminal().map_err(|why| trouble("a pseudo-terminal", why))?;
        let at = match links {
            None => path,
            Some(folder) => {
                let place = folder.join(service.name());
                let shown = place.display().to_string();
                let link =
                    Link::make(Path::new(&path), place).map_err(|why| trouble(&shown, why))?;
                self._links.push(link);
                shown
            }
        };
        self._tasks.spawn(line.attend(terminal));
        Ok(Place {
            name: service.name(),
            at,
            baud: match service {
                Service::Instrument(port) => Some(port.baud()),
                _ => None,
            },
        })
    }

    #[cfg(not(unix))]
    fn terminal(&mut self, line: Line, _links: Option<&Path>) -> Result<Place, OpenError> {
        Err(OpenError {
            name: line.service.name(),
            at: "a pseudo-terminal".to_owned(),
            why: io::Error::from(io::ErrorKind::Unsupported),
        })
    }
}

/// A link to a pseudo-terminal; it goes when this goes.
struct Link(PathBuf);

#[cfg(unix)]
impl Link {
    fn make(terminal: &Path, place: PathBuf) -> io::Result<Link> {
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let stands = place.symlink_metadata();
        if stands.is_ok_and(|found| found.is_symlink()) && !place.exists() {
            // Somebody was killed before it could remove its link.
            std::fs::remove_file(&place)?;
        }
        std::os::unix::fs::symlink(terminal, &place)?;
        Ok(Link(place))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Somebody else may have removed it already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The bench's end of one port.
struct Line {
    service: Service,
    to_bench: mpsc::Sender<Incoming>,
    to_client: mpsc::Receiver<Vec<u8>>,
}

impl Line {
    async fn tell(&self, what: What) {
        let service = self.service;
        // The bench is gone: so is this task, in a moment.
        let _ = self.to_bench.send(Incoming { service, what }).await;
    }

    /// Throws away what nobody was there to hear.
    fn forget(&mut self) {
        while self.to_client.try_recv().is_ok() {}
    }

    /// One client after the other.
    async fn accept(mut self, listener: TcpListener) {
        loop {
            let client = tokio::select! {
                client = listener.accept() => client,
                Some(_) = self.to_client.recv() => continue,
            };
            // A client that is gone before it was let in is no trouble of ours.
            let Ok((client, _)) = client else { continue };
            self.forget();
            self.tell(What::Opened).await;
            // Answers are short and must not wait to be joined with later ones.
            if client.set_nodelay(true).is_ok() {
                self.talk(&client).await;
            }
            self.tell(What::Closed).await;
        }
    }

    /// Until the client goes.
    async fn talk(&mut self, client: &TcpStream) {
        let mut buffer = [0; BYTES_MAX];
        // A connection is not known to take anything until the system has said so once.
        if client.writable().await.is_err() {
            return;
        }
        loop {
            tokio::select! {
                readable = client.readable() => {
                    if readable.is_err() {
                        return;
                    }
                    match client.try_read(&mut buffer) {
                        Ok(0) => return,
                        Ok(count) => self.tell(What::Bytes(buffer[..count].to_vec())).await,
                        Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                        Err(_) => return,
                    }
                }
                Some(bytes) = self.to_client.recv() => {
                    if self.give(client, &bytes).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Gives bytes to the client. What an instrument said and does not fit is lost; a debugger, which
    /// asked and waits for its answer, gets all of it.
    async fn give(&self, client: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        let debugs = matches!(self.service, Service::Probe | Service::Gdb);
        while !bytes.is_empty() {
            match client.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(why) if why.kind() != io::ErrorKind::WouldBlock => return Err(why),
                Err(_) if !debugs => return Ok(()),
                Err(_) => client.writable().await?,
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
use terminal::pseudo_terminal;

#[cfg(unix)]
mod terminal {
    //! Pseudo-terminals. While no client has one open, reading from it fails; that is how one knows.

    use std::io;
    use std::time::Duration;

    use serialport::{SerialPort, TTYPort};
    use tokio_serial::SerialStream;

    use super::{BYTES_MAX, Line, What};

    /// How often to look whether a client has opened the terminal.
    const LOOK: Duration = Duration::from_millis(10);

    /// The end for the bench, and the path of the end for clients.
    pub fn pseudo_terminal() -> io::Result<(Terminal, String)> {
        let (port, there) = TTYPort::pair()?;
        let path = there.name();
        let path = path.ok_or_else(|| io::Error::other("the pseudo-terminal has no name"))?;
        let watch = SerialStream::try_from(port.try_clone_native()?)?;
        Ok((Terminal { port, watch }, path))
    }

    /// The end for the bench.
    pub struct Terminal {
        port: TTYPort,
        /// What shows that a client is there. Once that a client went was seen of it, it counts as readable for ever.
        watch: SerialStream,
    }

    impl Line {
        /// One client after the other.
        pub async fn attend(mut self, mut terminal: Terminal) {
            loop {
                tokio::time::sleep(LOOK).await;
                let mut first = [0; BYTES_MAX];
                let found = match terminal.watch.try_read(&mut first) {
                    Ok(count) if count > 0 => count,
                    Err(why) if why.kind() == io::ErrorKind::WouldBlock => 0,
                    // How a system says that nobody has it open: an error, or an end.
                    Ok(_) | Err(_) => continue,
                };
                let client = terminal.port.try_clone_native();
                let Ok(mut client) = client.and_then(SerialStream::try_from) else {
                    continue;
                };
                self.forget();
                self.tell(What::Opened).await;
                if found > 0 {
                    self.tell(What::Bytes(first[..found].to_vec())).await;
                }
                self.exchange(&mut client).await;
                self.tell(What::Closed).await;
            }
        }

        /// Until the client goes.
        async fn exchange(&mut self, terminal: &mut SerialStream) {
            let mut buffer = [0; BYTES_MAX];
            loop {
                tokio::select! {
                    read = tokio::io::AsyncReadExt::read(terminal, &mut buffer) => match read {
                        Ok(count) if count > 0 => {
                            self.tell(What::Bytes(buffer[..count].to_vec())).await;
                        }
                        _ => return,
                    },
                    Some(bytes) = self.to_client.recv() => {
                        // What does not fit is lost.
                        let _ = terminal.try_write(&bytes);
                    }
                }
            }
        }
    }
}
