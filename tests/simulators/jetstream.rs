//! A simulated Jetstream: a web socket that tells events, again from a cursor, and breaks off.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How often a connection looks whether it was cut.
const LOOK_EVERY: Duration = Duration::from_millis(20);

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
        self.shared.n_cuts.fetch_add(1, Ordering::SeqCst);
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
        let accept = base64(&sha1(
            format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes(),
        ));
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
                let waited = self.told.wait_timeout(events, LOOK_EVERY);
                events = waited.unwrap_or_else(PoisonError::into_inner).0;
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

/// FIPS 180-4, because that is what the answer to a web socket's key is made of.
fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
    let mut message = bytes.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend((bytes.len() as u64 * 8).to_be_bytes());
    for block in message.chunks(64) {
        let mut words: Vec<u32> = block
            .chunks(4)
            .map(|it| u32::from_be_bytes([it[0], it[1], it[2], it[3]]))
            .collect();
        for at in 16..80 {
            let mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
            words.push(mixed.rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (mixed, constant) = match at {
                0..20 => ((b & c) | (!b & d), 0x5a827999),
                20..40 => (b ^ c ^ d, 0x6ed9eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1bbcdc),
                _ => (b ^ c ^ d, 0xca62c1d6_u32),
            };
            let sum = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(*word);
            (a, b, c, d, e) = (sum, a, b.rotate_left(30), c, d);
        }
        for (old, new) in state.iter_mut().zip([a, b, c, d, e]) {
            *old = old.wrapping_add(new);
        }
    }
    let mut hash = [0; 20];
    for (place, word) in hash.chunks_mut(4).zip(state) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = (bits << 8) | u32::from(*group.get(at).unwrap_or(&0));
        }
        for at in 0..4 {
            match at <= group.len() {
                true => text.push(DIGITS[(bits >> (18 - 6 * at)) as usize & 63] as char),
                false => text.push('='),
            }
        }
    }
    text
}
