//! A small HTTP/1.1 server on 127.0.0.1 that also answers as no good server would.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use super::wait::{Watched, tell_change};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: HashMap<String, String>,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    /// How many came before it on its connection.
    pub n_before: usize,
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It answers.
    Answer(Answer),
    /// It closes the connection without a word.
    Hangup,
    /// It sends the head, then the body in pieces of one byte with so long between them.
    Trickle(Answer, Duration),
    /// It promises the whole body, sends half of it, and closes.
    Half(Answer),
    /// It sends the head, then each piece when it comes, and closes when there can be no more.
    Pieces(Answer, Pieces),
}

/// Pieces of a body that come one after another.
pub type Pieces = Arc<Mutex<mpsc::Receiver<String>>>;

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".into(), kind.into())],
            body: body.into(),
        }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// A running server; it stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    is_over: Arc<Watched<bool>>,
}

impl Server {
    /// Serves on a free port, each connection in a thread of its own.
    pub fn start(serve: impl Fn(Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let is_over: Arc<Watched<bool>> = Arc::default();
        let (watched, serve) = (is_over.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if watched.read(|is_over| *is_over) {
                    return;
                }
                let (serve, watched) = (serve.clone(), watched.clone());
                thread::spawn(move || {
                    // A client that goes away is none of the server's business.
                    let _ = converse(stream, &*serve, &watched);
                    tell_change();
                });
            }
        });
        Self { address, is_over }
    }

    /// Serves what a node answers, one request after another.
    pub fn of<Node: Send + 'static>(
        node: &Arc<Mutex<Node>>,
        answer: impl Fn(&mut Node, Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let node = node.clone();
        Self::start(move |request| {
            let mut node = node.lock().unwrap_or_else(PoisonError::into_inner);
            answer(&mut node, request)
        })
    }

    /// Like `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.change(|is_over| *is_over = true);
        // Wakes the listener, so that it sees the flag.
        let _ = TcpStream::connect(self.address);
    }
}

fn converse(
    stream: TcpStream,
    serve: &dyn Fn(Request) -> Reply,
    is_over: &Watched<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut n_before = 0;
    while let Some(mut request) = read_request(&mut reader)? {
        request.n_before = n_before;
        n_before += 1;
        let reply = serve(request);
        tell_change();
        match reply {
            Reply::Answer(answer) => {
                let mut bytes = head(&answer);
                bytes.extend(&answer.body);
                writer.write_all(&bytes)?;
            }
            Reply::Hangup => break,
            Reply::Trickle(answer, pause) => {
                writer.write_all(&head(&answer))?;
                for byte in &answer.body {
                    writer.write_all(&[*byte])?;
                    if is_over.wait(pause, |is_over| *is_over) {
                        return writer.shutdown(Shutdown::Both);
                    }
                }
            }
            Reply::Half(answer) => {
                writer.write_all(&head(&answer))?;
                writer.write_all(&answer.body[..answer.body.len() / 2])?;
                break;
            }
            Reply::Pieces(answer, pieces) => {
                writer.write_all(&head_of_pieces(&answer))?;
                close_with_client(reader.into_inner());
                let pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
                for piece in pieces.iter() {
                    write!(writer, "{:x}\r\n{piece}\r\n", piece.len())?;
                }
                break;
            }
        }
    }
    writer.shutdown(Shutdown::Both)
}

/// Closes a connection as soon as its client has, so that the next piece finds nobody.
fn close_with_client(mut stream: TcpStream) {
    thread::spawn(move || {
        // Whoever reads pieces asks nothing more: all that can come is the end.
        let _ = stream.read(&mut [0]);
        // The other thread may have closed it.
        let _ = stream.shutdown(Shutdown::Both);
        tell_change();
    });
}

fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    let length = headers.get("content-length").and_then(|it| it.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Ok(Some(Request {
        method,
        path: path.to_owned(),
        query: query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        headers,
        body,
        n_before: 0,
    }))
}

fn head_of_pieces(answer: &Answer) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Simulated\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("Transfer-Encoding: chunked\r\n\r\n");
    head.into_bytes()
}

fn head(answer: &Answer) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Simulated\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.status != 304 {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    head.push_str("\r\n");
    head.into_bytes()
}
