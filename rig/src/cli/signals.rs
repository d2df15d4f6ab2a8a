//! How a person or a supervisor ends a command: Ctrl-C, and SIGTERM where there is one.

use std::future::Future;

/// Ready when one of them came. From the call on, not from the first look, neither ends the process
/// by itself. It has to be called inside a runtime.
#[cfg(unix)]
pub fn ended() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
    let [interrupt, terminate] = kinds.map(signal);
    let came = async |watch: std::io::Result<tokio::signal::unix::Signal>| match watch {
        Ok(mut watch) => drop(watch.recv().await),
        // A signal that cannot be watched ends the process as ever.
        Err(_) => std::future::pending().await,
    };
    async move {
        tokio::select! {
            () = came(interrupt) => {}
            () = came(terminate) => {}
        }
    }
}

/// Ready when Ctrl-C came. It has to be called inside a runtime.
#[cfg(not(unix))]
pub fn ended() -> impl Future<Output = ()> {
    async {
        // One that cannot be watched ends the process as ever.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
