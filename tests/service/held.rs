//! A receiver of what is published that keeps its answers back until it is told to give them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A running receiver.
pub(crate) struct Held {
    url: String,
    n_taken: Arc<AtomicUsize>,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Held {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (n_taken, gate) = (Arc::<AtomicUsize>::default(), Arc::<Gate>::default());
        let (counter, waiting) = (Arc::clone(&n_taken), Arc::clone(&gate));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counter, waiting) = (Arc::clone(&counter), Arc::clone(&waiting));
                // Who hangs up early has no answer to wait for.
                thread::spawn(move || answer(stream, &counter, &waiting).unwrap_or_default());
            }
        });
        Self {
            url: format!("http://{address}/"),
            n_taken,
            gate,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How many deliveries have come.
    pub(crate) fn n_taken(&self) -> usize {
        self.n_taken.load(Ordering::SeqCst)
    }

    /// Gives all answers, also those that are asked for later.
    pub(crate) fn release(&self) {
        *self.gate.is_open.lock().expect("nobody panics") = true;
        self.gate.opened.notify_all();
    }
}

fn answer(mut stream: TcpStream, n_taken: &AtomicUsize, gate: &Gate) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(said) = line.strip_prefix("content-length:") {
            length = said.trim().parse().unwrap_or_default();
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    n_taken.fetch_add(1, Ordering::SeqCst);
    let mut is_open = gate.is_open.lock().expect("nobody panics");
    while !*is_open {
        is_open = gate.opened.wait(is_open).expect("nobody panics");
    }
    drop(is_open);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}
