//! What a message and its answer take between two threads that do nothing with them.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream as Blocking;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// How many bytes a message has.
const SIZE: usize = 1;

/// A thread that sends back what it is sent, until this is dropped.
pub(super) struct Echo {
    stream: UnixStream,
    _thread: JoinHandle<()>,
}

impl Echo {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no sockets or no thread.
    pub(super) fn start() -> io::Result<Self> {
        let (near, mut far) = Blocking::pair()?;
        near.set_nonblocking(true)?;
        let send_back = move || {
            let mut message = [0; SIZE];
            while far.read_exact(&mut message).is_ok() && far.write_all(&message).is_ok() {}
        };
        Ok(Self {
            stream: UnixStream::from_std(near)?,
            _thread: Builder::new().name("echo".into()).spawn(send_back)?,
        })
    }

    /// Sends a message and returns how long it was until it came back.
    ///
    /// # Errors
    /// When the thread is gone.
    pub(super) async fn round_trip(&mut self) -> io::Result<Duration> {
        let sent = Instant::now();
        self.stream.write_all(&[0; SIZE]).await?;
        self.stream.read_exact(&mut [0; SIZE]).await?;
        Ok(sent.elapsed())
    }
}
