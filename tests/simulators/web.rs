//! A simulated web server with one feed, which changes and misbehaves as a test tells it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::server::{Answer, Reply, Request, Server};

/// The path of the feed.
pub const FEED: &str = "/feed.xml";

/// A web server with a feed at [`FEED`].
pub struct Web {
    server: Server,
    site: Arc<Mutex<Site>>,
}

/// How the feed is served.
#[derive(Clone, Debug, Default)]
pub enum Manner {
    /// With an `ETag` and `Last-Modified`, and 304 where they match.
    #[default]
    Conditional,
    /// Whatever is asked, this status, with these headers and this body.
    Status(u16, Vec<(String, String)>, String),
    /// As gzip.
    Gzip,
    /// Behind so many redirects.
    Redirects(u32),
    /// Byte for byte, slowly.
    Trickle(Duration),
    /// Cut off in the middle.
    Half,
    /// The connection is closed without a word.
    Hangup,
}

#[derive(Default)]
struct Site {
    body: String,
    kind: String,
    version: u32,
    manner: Manner,
    headers: Vec<(String, String)>,
    requests: Vec<Request>,
    n_unchanged: usize,
}

impl Web {
    pub fn start() -> Self {
        let site: Arc<Mutex<Site>> = Arc::default();
        let server = Server::of(&site, Site::answer);
        Self { server, site }
    }

    /// The feed's address.
    pub fn feed_url(&self) -> String {
        format!("{}{FEED}", self.server.base_url())
    }

    /// Exchanges the feed for another version.
    pub fn put(&self, kind: &str, body: impl Into<String>) {
        let mut site = self.site();
        site.kind = kind.into();
        site.body = body.into();
        site.version += 1;
    }

    pub fn behave(&self, manner: Manner) {
        self.site().manner = manner;
    }

    /// Adds a header to every answer with the feed.
    pub fn add_header(&self, name: &str, value: &str) {
        self.site().headers.push((name.into(), value.into()));
    }

    /// Every request that came, in its order.
    pub fn requests(&self) -> Vec<Request> {
        self.site().requests.clone()
    }

    /// How often it answered 304.
    pub fn n_unchanged(&self) -> usize {
        self.site().n_unchanged
    }

    fn site(&self) -> MutexGuard<'_, Site> {
        self.site.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Site {
    fn answer(&mut self, request: Request) -> Reply {
        self.requests.push(request.clone());
        if let Manner::Redirects(n) = self.manner {
            let hop = request.query.get("hop").and_then(|hop| hop.parse().ok());
            let hop: u32 = hop.unwrap_or(0);
            if hop < n {
                let target = format!("{FEED}?hop={}", hop + 1);
                let answer = Answer::new(302, "text/plain", "elsewhere");
                return answer.with("Location", target).into();
            }
        }
        if request.path != FEED {
            return Answer::new(404, "text/plain", "not here").into();
        }
        match self.manner.clone() {
            Manner::Conditional | Manner::Redirects(_) => self.conditional(&request).into(),
            Manner::Status(status, headers, body) => Answer {
                status,
                headers,
                body: body.into(),
            }
            .into(),
            Manner::Gzip => Answer {
                body: gzip(self.body.as_bytes()),
                ..self.whole()
            }
            .with("Content-Encoding", "gzip")
            .into(),
            Manner::Trickle(pause) => Reply::Trickle(self.whole(), pause),
            Manner::Half => Reply::Half(self.whole()),
            Manner::Hangup => Reply::Hangup,
        }
    }

    /// If-None-Match goes before If-Modified-Since (RFC 9110, section 13.2.2).
    fn conditional(&mut self, request: &Request) -> Answer {
        let is_known = match request.headers.get("if-none-match") {
            Some(etag) => *etag == self.etag(),
            None => request.headers.get("if-modified-since") == Some(&self.modified()),
        };
        if !is_known {
            return self.whole();
        }
        self.n_unchanged += 1;
        Answer {
            status: 304,
            headers: vec![("ETag".into(), self.etag())],
            body: Vec::new(),
        }
    }

    fn whole(&self) -> Answer {
        let mut answer = Answer::new(200, &self.kind, self.body.clone())
            .with("ETag", self.etag())
            .with("Last-Modified", self.modified());
        answer.headers.extend(self.headers.clone());
        answer
    }

    /// A weak tag with what clients like to mangle.
    fn etag(&self) -> String {
        format!("W/\"v {} 'x'-gzip\"", self.version)
    }

    /// A date as no formatter would write it again.
    fn modified(&self) -> String {
        format!("Sat, 21 Nov 2026 12:00:{:02} +0000", self.version % 60)
    }
}

/// The bytes as gzip of stored blocks (RFC 1951, section 3.2.4, and RFC 1952).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks: Vec<&[u8]> = bytes.chunks(0xffff).collect();
    for (number, block) in blocks.iter().enumerate() {
        let length = block.len() as u16;
        packed.push(u8::from(number + 1 == blocks.len()));
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend(*block);
    }
    packed.extend(crc32(bytes).to_le_bytes());
    packed.extend((bytes.len() as u32).to_le_bytes());
    packed
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    })
}
