//! SIGTERM and SIGINT: the first is told to who listens, the second ends the process at once.

use std::io;
use std::thread;

use tokio::runtime::Builder;
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Listens on a thread of its own, so that it hears also when the service does not turn.
///
/// The first signal is told by its name; the second ends the process with code 1.
///
/// # Errors
/// When the system lets no thread begin or no signal be heard.
pub(crate) fn listen() -> io::Result<oneshot::Receiver<&'static str>> {
    let (first, heard) = oneshot::channel();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut term, mut int) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        )
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let name = next(&mut term, &mut int).await;
                // Nobody hears it any more when the service is already at its end.
                let _ = first.send(name);
                next(&mut term, &mut int).await;
                std::process::exit(1);
            });
        })?;
    Ok(heard)
}

async fn next(term: &mut Signal, int: &mut Signal) -> &'static str {
    select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
