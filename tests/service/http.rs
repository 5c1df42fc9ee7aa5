//! A plain HTTP client for a Unix domain socket that also keeps what a dying service answered.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// How long an answer may keep silent.
const PATIENCE: Duration = Duration::from_secs(90);

/// An answer, as far as it came.
pub struct Answer {
    pub status: u16,
    /// Lines of the head, in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            let body = String::from_utf8_lossy(&self.body);
            panic!("{error}: {} {body}", self.status)
        })
    }

    /// The lines of the body that came whole, as JSON.
    pub fn lines(&self) -> Vec<Value> {
        let end = self.body.iter().rposition(|byte| *byte == b'\n');
        self.body[..end.map_or(0, |end| end + 1)]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("a line of JSON"))
            .collect()
    }
}

/// Asks, and waits for the whole answer.
pub fn exchange(
    socket: &Path,
    method: &str,
    path: &str,
    kind: &str,
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = ask(socket, method, path, kind, body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    answer(&bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Asks, and returns what came until the service ended or died.
pub fn exchange_until_death(socket: &Path, path: &str, kind: &str, body: &[u8]) -> Answer {
    let mut bytes = Vec::new();
    // A dead service closes the connection at any place.
    let _ =
        ask(socket, "POST", path, kind, body).and_then(|mut stream| stream.read_to_end(&mut bytes));
    answer(&bytes).unwrap_or(Answer {
        status: 0,
        head: String::new(),
        body: Vec::new(),
    })
}

/// Sends a request, and returns the stream where the answer comes.
pub fn ask(
    socket: &Path,
    method: &str,
    path: &str,
    kind: &str,
    body: &[u8],
) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // An answer that comes before the request was taken whole says more than the failure to write.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
    Ok(stream)
}

/// Closes a stream whose rest nobody reads.
pub fn hang_up(stream: &UnixStream) {
    // It may be closed already.
    let _ = stream.shutdown(Shutdown::Both);
}

fn answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = &bytes[end + 4..];
    let body = match head.contains("transfer-encoding: chunked") {
        true => joined(body),
        false => body.to_vec(),
    };
    Some(Answer { status, head, body })
}

/// What came of the chunks.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunks.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&chunks[..end]).expect("the size of a chunk");
        let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
        let rest = &chunks[end + 2..];
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        if size == 0 || rest.len() < size + 2 {
            break;
        }
        chunks = &rest[size + 2..];
    }
    body
}
