//! A simulated Jetstream: a web socket that tells events, again from a cursor, and breaks off.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::Value;

/// A running server; it stops when it is dropped.
pub struct Jetstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    events: Mutex<Vec<Value>>,
    told: Condvar,
    /// What each connection asked for.
    asked: Mutex<Vec<String>>,
    n_cuts: AtomicUsize,
    is_over: AtomicBool,
}

impl Jetstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let served = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if served.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let served = served.clone();
                thread::spawn(move || {
                    // A client that goes away is none of the server's business.
                    let _ = served.tell_all(stream);
                });
            }
        });
        Self { address, shared }
    }

    /// Like `ws://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Tells an event to whoever listens, and later to whoever asks from before it.
    pub fn tell(&self, event: Value) {
        lock(&self.shared.events).push(event);
        self.shared.told.notify_all();
    }

    /// Breaks every connection off, without a word.
    pub fn cut(&self) {
        let events = lock(&self.shared.events);
        // Under the lock, so that nobody begins to wait between the cut and the word of it.
        self.shared.n_cuts.fetch_add(1, Ordering::SeqCst);
        drop(events);
        self.shared.told.notify_all();
    }

    /// What each connection asked for, in their order.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared.asked).clone()
    }
}

impl Drop for Jetstream {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the listener, so that it sees the flag.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn tell_all(&self, mut stream: TcpStream) -> io::Result<()> {
        let (target, key) = handshake(&stream)?;
        let parameter = |name: &str| {
            let (_, query) = target.split_once('?')?;
            let mut pairs = query.split('&').filter_map(|it| it.split_once('='));
            pairs.find(|(it, _)| *it == name).map(|(_, value)| value)
        };
        let did = parameter("wantedDids").unwrap_or_default().to_owned();
        let from = parameter("cursor").and_then(|it| it.parse::<u64>().ok());
        let accept = accepted(&key);
        // Without a cursor, what was before is not told; what comes from now on is.
        let mut next = from.map_or(lock(&self.events).len(), |_| 0);
        let n_cuts = self.n_cuts.load(Ordering::SeqCst);
        lock(&self.asked).push(target);
        write!(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )?;
        let mut events = lock(&self.events);
        while self.n_cuts.load(Ordering::SeqCst) == n_cuts {
            let new: Vec<Value> = events.iter().skip(next).cloned().collect();
            next += new.len();
            drop(events);
            for event in new {
                let at = event["time_us"].as_u64().unwrap_or_default();
                // The cursor is inclusive, and other accounts' own events come always.
                let is_wanted = event["did"] == *did || event["kind"] != "commit";
                if is_wanted && from.is_none_or(|from| at >= from) {
                    stream.write_all(&frame(&event.to_string()))?;
                }
            }
            events = lock(&self.events);
            if next == events.len() {
                let waited = self.told.wait(events);
                events = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
        stream.shutdown(Shutdown::Both)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the client wants to, and its key.
fn handshake(stream: &TcpStream) -> io::Result<(String, String)> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let mut key = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok((target, key));
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("sec-websocket-key")
        {
            key = value.trim().to_owned();
        }
    }
}

/// What proves that a web socket's key was read (RFC 6455).
fn accepted(key: &str) -> String {
    let said = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, said.as_bytes()))
}

fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..=125 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend(text.as_bytes());
    frame
}
