//! A small HTTP/1.1 client for the service's socket: one connection a call, nothing asynchronous.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::options::{Exit, ExitError};
use crate::control::wire::ProblemDetails;

/// The longest line of an answer's head.
const MAX_HEAD_LINE: u64 = 16 << 10;

/// Where the service is.
#[derive(Clone, Debug)]
pub(super) struct Client {
    socket: PathBuf,
}

/// The service said no.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.detail)]
pub(super) struct Refused(pub(super) ProblemDetails);

impl Client {
    /// A client of the service at that socket.
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Asks for a value.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let mut answer = self.call("GET", path, None)?;
        parsed(&answer.whole()?)
    }

    /// Asks for a value as the JSON text that it comes as.
    pub(super) fn get_text(&self, path: &str) -> anyhow::Result<String> {
        let mut answer = self.call("GET", path, None)?;
        String::from_utf8(answer.whole()?).context("the service answered no text")
    }

    /// Has something done, and answers what came of it.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let body = serde_json::to_vec(body).context("the order is not JSON")?;
        let mut answer = self.call("POST", path, Some(&body))?;
        parsed(&answer.whole()?)
    }

    /// Asks for something that goes on, and reads it line by line.
    pub(super) fn follow(&self, path: &str) -> anyhow::Result<Answer> {
        self.call("GET", path, None)
    }

    /// Opens a stream of lines in both directions: first write, on a thread of its own, then read.
    pub(super) fn stream(&self, path: &str) -> anyhow::Result<(LineWriter, UnixStream)> {
        let mut connection = self.connect()?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: babelfeed\r\nConnection: close\r\n\
             Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).map_err(hung_up)?;
        Ok((LineWriter::new(connection.try_clone()?), connection))
    }

    fn call(&self, method: &str, path: &str, body: Option<&[u8]>) -> anyhow::Result<Answer> {
        let mut connection = self.connect()?;
        let mut call =
            format!("{method} {path} HTTP/1.1\r\nHost: babelfeed\r\nConnection: close\r\n")
                .into_bytes();
        if let Some(body) = body {
            let head = format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            );
            call.extend_from_slice(head.as_bytes());
        }
        call.extend_from_slice(b"\r\n");
        call.extend_from_slice(body.unwrap_or_default());
        connection.write_all(&call).map_err(hung_up)?;
        Answer::read(connection)
    }

    fn connect(&self) -> anyhow::Result<UnixStream> {
        UnixStream::connect(&self.socket).map_err(|error| {
            anyhow!(ExitError {
                exit: Exit::Unreachable,
                message: format!(
                    "no service answers at {}, expected a running `babelfeed run`: {error}",
                    self.socket.display()
                ),
            })
        })
    }
}

/// That the service is gone: an error of its own, since a closed pipe elsewhere means that nobody
/// reads what is printed.
fn hung_up(error: io::Error) -> anyhow::Error {
    anyhow!("the service hung up: {error}")
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(body).context("the service answered something unexpected")
}

/// Writes lines as a chunked body.
pub(super) struct LineWriter {
    connection: UnixStream,
    chunk: Vec<u8>,
}

impl LineWriter {
    /// How many bytes go in one chunk.
    const CHUNK: usize = 16 << 10;

    /// A body whose head was sent.
    pub(super) fn new(connection: UnixStream) -> Self {
        Self {
            connection,
            chunk: Vec::new(),
        }
    }

    /// Writes a line, which has no break in it.
    pub(super) fn write(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.chunk.extend_from_slice(line);
        self.chunk.push(b'\n');
        match self.chunk.len() >= Self::CHUNK {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Sends what was not sent yet.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let mut chunk = format!("{:x}\r\n", self.chunk.len()).into_bytes();
        chunk.append(&mut self.chunk);
        chunk.extend_from_slice(b"\r\n");
        self.connection.write_all(&chunk).map_err(hung_up)
    }

    /// Ends the body.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        self.connection.write_all(b"0\r\n\r\n").map_err(hung_up)
    }
}

/// An answer whose head was read and was good.
pub(super) struct Answer {
    body: BufReader<Body<BufReader<UnixStream>>>,
}

impl Answer {
    /// Reads the head of an answer; a problem is an error.
    pub(super) fn read(connection: UnixStream) -> anyhow::Result<Self> {
        let mut reader = BufReader::new(connection);
        let (status, length) = read_head(&mut reader)?;
        let mut answer = Self {
            body: BufReader::new(Body { reader, length }),
        };
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let body = answer.whole()?;
        match serde_json::from_slice::<ProblemDetails>(&body) {
            Ok(problem) => Err(Refused(problem).into()),
            // What is only unready says so in a body of its own.
            Err(_) => bail!(
                "the service answered {status}: {}",
                String::from_utf8_lossy(&body)
            ),
        }
    }

    /// The next line without its break; none at the end.
    pub(super) fn line(&mut self) -> anyhow::Result<Option<String>> {
        let mut line = String::new();
        let length = self
            .body
            .read_line(&mut line)
            .context("the service hung up")?;
        Ok((length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn whole(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        self.body
            .read_to_end(&mut body)
            .context("the service hung up")?;
        Ok(body)
    }
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// So many bytes are left.
    Left(u64),
    /// So many bytes are left of this chunk, and more chunks may come.
    Chunk(u64),
    /// Chunks come, and none has begun.
    Chunks,
    /// Until the connection ends.
    Open,
}

fn read_head(reader: &mut impl BufRead) -> anyhow::Result<(u16, Length)> {
    let first = head_line(reader)?;
    let status = first
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("the service does not speak HTTP: `{first}`"))?;
    let mut length = Length::Open;
    loop {
        let line = head_line(reader)?;
        if line.is_empty() {
            return Ok((status, length));
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            let bytes = value
                .trim()
                .parse()
                .context("the service misses a length")?;
            length = Length::Left(bytes);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = Length::Chunks;
        }
    }
}

fn head_line(reader: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    reader
        .by_ref()
        .take(MAX_HEAD_LINE)
        .read_line(&mut line)
        .context("the service hung up")?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => bail!("the service hung up in the middle of an answer"),
    }
}

/// A body, without what frames it.
struct Body<R> {
    reader: R,
    length: Length,
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.length == Length::Chunks {
            self.length = self.next_chunk()?;
        }
        let left = match self.length {
            Length::Open => return self.reader.read(buffer),
            Length::Left(left) | Length::Chunk(left) => left,
            Length::Chunks => 0,
        };
        if left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self.reader.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let left = left - read as u64;
        self.length = match self.length {
            Length::Chunk(_) if left > 0 => Length::Chunk(left),
            Length::Chunk(_) => {
                self.chunk_line()?;
                Length::Chunks
            }
            _ => Length::Left(left),
        };
        Ok(read)
    }
}

impl<R: BufRead> Body<R> {
    fn next_chunk(&mut self) -> io::Result<Length> {
        let line = self.chunk_line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a chunk without a size"))?;
        if size > 0 {
            return Ok(Length::Chunk(size));
        }
        while !self.chunk_line()?.is_empty() {}
        Ok(Length::Left(0))
    }

    fn chunk_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.reader
            .by_ref()
            .take(MAX_HEAD_LINE)
            .read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(answer: &[u8]) -> (u16, io::Result<String>) {
        let mut reader = answer;
        let (status, length) = read_head(&mut reader).expect("a head");
        let mut text = String::new();
        let read = Body { reader, length }.read_to_string(&mut text);
        (status, read.map(|_| text))
    }

    #[test]
    fn a_body_ends_where_its_head_says() {
        let (status, text) = body(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore");
        assert_eq!((status, text.expect("whole")), (200, "ok".into()));
    }

    #[test]
    fn chunks_are_joined() {
        let (status, text) = body(
            b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\nA;x=y\r\n and a two\r\n0\r\n\r\n",
        );
        assert_eq!(
            (status, text.expect("whole")),
            (202, "one and a two".into())
        );
    }

    #[test]
    fn a_body_that_breaks_off_is_an_error() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        ] {
            assert!(body(answer).1.is_err());
        }
    }

    #[test]
    fn nobody_at_the_socket_ends_the_program_as_unreachable() {
        let folder = tempfile::tempdir().expect("a folder");
        let client = Client::new(folder.path().join("none"));
        let error = client.get_text("/healthz").expect_err("nobody is there");
        let error = error.downcast_ref::<ExitError>().expect("an exit");
        assert_eq!(error.exit, Exit::Unreachable);
    }
}
