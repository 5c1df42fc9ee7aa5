//! A plain HTTP/1.1 client that keeps one connection and costs as little as it can.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

/// The most headers that an answer may have.
pub(super) const MAX_HEADERS: usize = 32;

/// How much is read at once, at the most.
const READ_SIZE: usize = 64 * 1024;

/// A kept connection to the service.
pub(super) type UnixConnection = Connection<unix::OwnedReadHalf, unix::OwnedWriteHalf>;

/// A kept connection to the simulated provider.
pub(super) type TcpConnection = Connection<tcp::OwnedReadHalf, tcp::OwnedWriteHalf>;

/// Opens a connection to the socket at `path`.
pub(super) async fn connect_unix(path: &Path) -> io::Result<UnixConnection> {
    let (reader, writer) = UnixStream::connect(path).await?.into_split();
    Ok(Connection::new(reader, writer))
}

/// Opens a connection to `address`.
pub(super) async fn connect_tcp(address: SocketAddr) -> io::Result<TcpConnection> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    Ok(Connection::new(reader, writer))
}

/// Returns the bytes of a request without a body.
pub(super) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// Returns the bytes of a request with a body.
pub(super) fn post(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response<'a> {
    /// The status code.
    pub(super) status: u16,
    /// The body, whole.
    pub(super) body: &'a [u8],
}

/// One kept connection with one exchange at a time.
pub(super) struct Connection<R, W> {
    writer: W,
    receiver: Receiver<R>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Connection<R, W> {
    fn new(reader: R, writer: W) -> Self {
        Self {
            writer,
            receiver: Receiver::new(reader),
        }
    }

    /// Sends a request and returns the answer.
    ///
    /// Reads while it writes, because a long request may be answered line by line. An answer that
    /// comes before the request was taken whole says more than the failure to write.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<Response<'_>> {
        let written = self.writer.write_all(request);
        match tokio::join!(written, self.receiver.receive()) {
            (_, Ok(())) => Ok(self.last()),
            (Err(cause), Err(_)) | (Ok(()), Err(cause)) => Err(cause),
        }
    }

    /// Returns whether the last answer was the last on this connection.
    pub(super) fn is_closed(&self) -> bool {
        self.receiver.is_closed
    }

    /// Returns the last answer once more.
    pub(super) fn last(&self) -> Response<'_> {
        Response {
            status: self.receiver.status,
            body: &self.receiver.body,
        }
    }
}

/// Where the body of an answer ends.
enum Framing {
    Length(usize),
    Chunks,
}

struct Receiver<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    status: u16,
    is_closed: bool,
    body: Vec<u8>,
}

/// What the head of an answer says.
struct Head {
    status: u16,
    framing: Framing,
    is_closed: bool,
    length: usize,
}

impl<R: AsyncRead + Unpin> Receiver<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: vec![0; READ_SIZE],
            start: 0,
            end: 0,
            status: 0,
            is_closed: false,
            body: Vec::new(),
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        let head = self.receive_head().await?;
        self.status = head.status;
        self.is_closed = head.is_closed;
        self.body.clear();
        match head.framing {
            Framing::Length(length) => self.receive_bytes(length).await,
            Framing::Chunks => self.receive_chunks().await,
        }
    }

    async fn receive_head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(head) = head(&self.buffer[self.start..self.end])? {
                self.start += head.length;
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    async fn receive_chunks(&mut self) -> io::Result<()> {
        loop {
            let size = self.receive_line().await?;
            if size == 0 {
                break;
            }
            self.receive_bytes(size).await?;
            self.receive_end_of_line().await?;
        }
        self.receive_end_of_line().await
    }

    /// Takes the line with the size of a chunk.
    async fn receive_line(&mut self) -> io::Result<usize> {
        loop {
            let waiting = &self.buffer[self.start..self.end];
            if let Some(length) = waiting.windows(2).position(|pair| pair == b"\r\n") {
                let size = std::str::from_utf8(&waiting[..length])
                    .ok()
                    .and_then(|line| line.split(';').next())
                    .and_then(|size| usize::from_str_radix(size.trim(), 16).ok())
                    .ok_or_else(|| malformed("expected the size of a chunk"))?;
                self.start += length + 2;
                return Ok(size);
            }
            self.fill().await?;
        }
    }

    async fn receive_end_of_line(&mut self) -> io::Result<()> {
        while self.end - self.start < 2 {
            self.fill().await?;
        }
        if &self.buffer[self.start..self.start + 2] != b"\r\n" {
            return Err(malformed("expected the end of a chunk"));
        }
        self.start += 2;
        Ok(())
    }

    async fn receive_bytes(&mut self, length: usize) -> io::Result<()> {
        let mut missing = length;
        while missing > 0 {
            if self.start == self.end {
                self.fill().await?;
            }
            let n_taken = missing.min(self.end - self.start);
            self.body
                .extend_from_slice(&self.buffer[self.start..self.start + n_taken]);
            self.start += n_taken;
            missing -= n_taken;
        }
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            return Err(malformed("expected a shorter head"));
        }
        let n_read = self.reader.read(&mut self.buffer[self.end..]).await?;
        if n_read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += n_read;
        Ok(())
    }
}

/// Returns the head of an answer, once it is whole.
fn head(bytes: &[u8]) -> io::Result<Option<Head>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response
        .parse(bytes)
        .map_err(|cause| malformed(&cause.to_string()))?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let mut framing = Framing::Length(0);
    let mut is_closed = false;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunks;
        } else if header.name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(number(header.value)?);
        } else if header.name.eq_ignore_ascii_case("connection") {
            is_closed = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Some(Head {
        status: response.code.unwrap_or(0),
        framing,
        is_closed,
        length,
    }))
}

fn number(value: &[u8]) -> io::Result<usize> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| malformed("expected a number as content-length"))
}

fn malformed(wanted: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(answer: &'static [u8]) -> io::Result<(u16, Vec<u8>)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut connection = Connection::new(answer, tokio::io::sink());
            let response = connection.exchange(&get("/")).await?;
            Ok((response.status, response.body.to_vec()))
        })
    }

    #[test]
    fn a_body_of_known_length_is_whole() {
        let answer = exchange(b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhello");

        assert_eq!(answer.unwrap(), (202, b"hello".to_vec()));
    }

    #[test]
    fn chunks_are_joined() {
        let answer = exchange(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbabe\r\nB;x=y\r\nlfeed, feed\r\n0\r\n\r\n",
        );

        assert_eq!(answer.unwrap(), (200, b"babelfeed, feed".to_vec()));
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error() {
        let answer = exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");

        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn two_answers_on_one_connection_stay_apart() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let answers: &[u8] =
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nbc";

        let second = runtime.block_on(async {
            let mut connection = Connection::new(answers, tokio::io::sink());
            connection.exchange(&get("/")).await.unwrap();
            let response = connection.exchange(&get("/")).await.unwrap();
            (response.status, response.body.to_vec())
        });

        assert_eq!(second, (404, b"bc".to_vec()));
    }
}
