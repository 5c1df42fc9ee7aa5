//! One HTTP call at a time to a server on 127.0.0.1, each over a connection of its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::server::Answer;

/// How long an answer may keep silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// Headers that are about the connection, not about what is answered.
const ABOUT_TRANSPORT: [&str; 4] = [
    "connection",
    "content-length",
    "keep-alive",
    "transfer-encoding",
];

/// Asks once, and returns the whole answer without what its head says of the connection.
pub fn ask(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(&[head.as_bytes(), body].concat())?;
    answer(&mut BufReader::new(stream))
}

fn answer(reader: &mut BufReader<TcpStream>) -> io::Result<Answer> {
    let line = line(reader)?;
    let status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
    let headers = headers(reader)?;
    let value_of = |wanted: &str| {
        let header = headers.iter().find(|it| it.0.eq_ignore_ascii_case(wanted));
        header.map(|it| it.1.as_str())
    };
    let is_chunked = value_of("transfer-encoding") == Some("chunked");
    let length = value_of("content-length").and_then(|it| it.parse().ok());
    let body = match length {
        _ if is_chunked => chunks(reader)?,
        Some(length) => exactly(reader, length)?,
        None => {
            let mut body = Vec::new();
            reader.read_to_end(&mut body)?;
            body
        }
    };
    let is_kept = |name: &str| !ABOUT_TRANSPORT.contains(&name.to_ascii_lowercase().as_str());
    Ok(Answer {
        status: status.ok_or(io::ErrorKind::UnexpectedEof)?,
        headers: headers.into_iter().filter(|it| is_kept(&it.0)).collect(),
        body,
    })
}

fn headers(reader: &mut BufReader<TcpStream>) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            return Ok(headers);
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
}

/// A body without the lengths of its chunks.
fn chunks(reader: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&line(reader)?, 16);
        let length = length.map_err(|_| io::ErrorKind::InvalidData)?;
        body.extend(exactly(reader, length)?);
        line(reader)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

fn exactly(reader: &mut BufReader<TcpStream>, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn line(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
