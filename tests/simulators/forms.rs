//! Forms as they are posted, and values as they stand in addresses.

use super::server::Request;

/// A part of a form.
pub struct Part {
    pub name: String,
    pub is_file: bool,
    pub mime: Option<String>,
    pub bytes: Vec<u8>,
}

/// The parts of a form of several parts; none where it is no such form, or not whole.
pub fn parts(request: &Request) -> Option<Vec<Part>> {
    let kind = request.headers.get("content-type")?;
    let boundary = kind.strip_prefix("multipart/form-data; boundary=")?;
    let mark = format!("--{boundary}").into_bytes();
    let mut parts = Vec::new();
    let mut rest = &request.body[find(&request.body, &mark)? + mark.len()..];
    while !rest.starts_with(b"--") {
        let end = find(rest, &[b"\r\n", &mark[..]].concat())?;
        let part = rest[..end].strip_prefix(b"\r\n")?;
        let blank = find(part, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&part[..blank]).into_owned();
        let mut lines = head.lines();
        parts.push(Part {
            name: head.split("name=\"").nth(1)?.split('"').next()?.to_owned(),
            is_file: head.contains("filename=\""),
            mime: lines.find_map(|it| Some(it.strip_prefix("Content-Type: ")?.trim().to_owned())),
            bytes: part[blank + 4..].to_vec(),
        });
        rest = &rest[end + 2 + mark.len()..];
    }
    Some(parts)
}

/// What was written with percent signs, as it was before.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits: Vec<u8> = rest.by_ref().take(2).collect();
        let digits = String::from_utf8_lossy(&digits).into_owned();
        bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|it| it == wanted)
}
