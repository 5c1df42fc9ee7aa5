//! A web server with files, some of which are not what they should be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::server::{Answer, Reply, Server};

/// A picture of one pixel.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\
\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";
/// The beginning of a film.
pub const MP4: &[u8] = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41";

/// A running server.
pub struct Files {
    server: Server,
    files: Arc<Mutex<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    files: HashMap<String, Reply>,
    asked: Vec<String>,
}

impl Files {
    pub fn start() -> Self {
        let files: Arc<Mutex<Shelf>> = Arc::default();
        let server = Server::of(&files, |shelf: &mut Shelf, request| {
            shelf.asked.push(request.path.clone());
            let missing = || Answer::new(404, "text/plain", "not here").into();
            shelf
                .files
                .get(&request.path)
                .cloned()
                .unwrap_or_else(missing)
        });
        Self { server, files }
    }

    /// Puts a file at a path like `/a.png`; returns its address.
    pub fn put(&self, path: &str, kind: &str, bytes: &[u8]) -> String {
        self.place(path, Answer::new(200, kind, bytes).into())
    }

    /// Sends whoever asks for a path elsewhere; returns the address.
    pub fn redirect(&self, path: &str, to: &str) -> String {
        let answer = Answer::new(302, "text/plain", "").with("Location", to);
        self.place(path, answer.into())
    }

    /// Answers with a status; returns the address.
    pub fn refuse(&self, path: &str, status: u16) -> String {
        self.place(path, Answer::new(status, "text/plain", "no").into())
    }

    /// The paths that were asked for, in their order.
    pub fn asked(&self) -> Vec<String> {
        self.shelf().asked.clone()
    }

    fn place(&self, path: &str, reply: Reply) -> String {
        self.shelf().files.insert(path.to_owned(), reply);
        format!("{}{path}", self.server.base_url())
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
