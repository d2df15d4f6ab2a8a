//! How a person or a supervisor ends a command: Ctrl-C, and where there are signals SIGTERM and SIGHUP, which
//! a terminal sends that is closed.

#[cfg(unix)]
use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// From now on none of them ends the process by itself; each is told.
pub struct Signals {
    #[cfg(unix)]
    watched: [io::Result<Signal>; 3],
}

#[cfg(unix)]
fn kinds() -> [SignalKind; 3] {
    [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ]
}

#[cfg(unix)]
impl Signals {
    /// It has to be called inside a runtime.
    pub fn watch() -> Signals {
        Signals {
            watched: kinds().map(signal),
        }
    }

    /// Returns when the next one has come.
    pub async fn next(&mut self) {
        let came = async |watched: &mut io::Result<Signal>| match watched {
            Ok(watched) => drop(watched.recv().await),
            // A signal that cannot be watched ends the process as ever.
            Err(_) => std::future::pending().await,
        };
        let [interrupt, terminate, hangup] = &mut self.watched;
        tokio::select! {
            () = came(interrupt) => {}
            () = came(terminate) => {}
            () = came(hangup) => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    /// It has to be called inside a runtime.
    pub fn watch() -> Signals {
        Signals {}
    }

    /// Returns when the next one has come.
    pub async fn next(&mut self) {
        // One that cannot be watched ends the process as ever.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

/// From now on none of them does anything.
#[cfg(unix)]
pub fn ignore() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    // What was watched once never ends the process again, whether somebody listens or not.
    kinds()
        .map(signal)
        .into_iter()
        .try_for_each(|one| one.map(drop))
}

/// A process of a group of its own gets none.
#[cfg(not(unix))]
pub fn ignore() -> std::io::Result<()> {
    Ok(())
}
