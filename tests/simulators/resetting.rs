//! A proxy before a real server that loses some of what it passes on.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::client::ask;
use super::server::{Answer, Reply, Request, Server};

/// Stands before a server, and resets some of the connections.
pub struct Resetting {
    server: Server,
    counts: Arc<Mutex<Counts>>,
}

/// What is lost on the way.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    /// Posts to this path are lost.
    pub path: &'static str,
    /// Of so many posts, one is not passed on, and others are passed on and their answers lost.
    pub one_in: usize,
    /// How many answers in a row are lost.
    pub answers: usize,
    /// Where files are handed in.
    pub uploads: &'static str,
    /// Of so many reads and uploads, one is not passed on, and the answer to one is lost.
    pub one_other_in: usize,
}

#[derive(Default)]
struct Counts {
    n_asked: HashMap<String, usize>,
    n_resets: usize,
    n_done: usize,
    n_reads: Others,
    n_uploads: Others,
}

/// Reads or uploads.
#[derive(Default)]
struct Others {
    n_asked: usize,
    n_resets: usize,
}

enum Loss {
    Nothing,
    /// The server never hears of it.
    Call,
    /// The server has done what was wanted, and nobody hears of that.
    Answer,
}

impl Resetting {
    /// Passes everything on to the server at that port, but for these losses.
    pub fn start(port: u16, losses: Losses) -> Self {
        let counts: Arc<Mutex<Counts>> = Arc::default();
        let noted = Arc::clone(&counts);
        let server = Server::start(move |request| {
            let loss = lock(&noted).note(&request, losses);
            if matches!(loss, Loss::Call) {
                return Reply::Hangup;
            }
            let answer = pass_on(port, &request);
            let is_done = answer.as_ref().is_ok_and(|it| it.status == 200);
            if is_done && losses.concern(&request) {
                lock(&noted).n_done += 1;
            }
            if matches!(loss, Loss::Answer) {
                return Reply::Hangup;
            }
            answer.map_or(Reply::Hangup, Reply::Answer)
        });
        Self { server, counts }
    }

    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// How many connections were reset.
    pub fn n_resets(&self) -> usize {
        lock(&self.counts).n_resets
    }

    /// How many of the reads, and of the uploads, were reset.
    pub fn n_other_resets(&self) -> (usize, usize) {
        let counts = lock(&self.counts);
        (counts.n_reads.n_resets, counts.n_uploads.n_resets)
    }

    /// How many posts the server has taken, whatever became of its answers; what was posted
    /// again counts again.
    pub fn n_done(&self) -> usize {
        lock(&self.counts).n_done
    }

    /// How often a path was asked for.
    pub fn n_asked(&self, path: &str) -> usize {
        lock(&self.counts).n_asked.get(path).copied().unwrap_or(0)
    }
}

impl Losses {
    fn concern(self, request: &Request) -> bool {
        request.method == "POST" && request.path == self.path
    }

    /// What becomes of a post, by how many came before it.
    fn at(self, n_before: usize) -> Loss {
        let turn = n_before % self.one_in;
        let first_answer = self.one_in / 2 + 1;
        match turn {
            1 => Loss::Call,
            _ if (first_answer..first_answer + self.answers).contains(&turn) => Loss::Answer,
            _ => Loss::Nothing,
        }
    }
}

impl Counts {
    fn note(&mut self, request: &Request, losses: Losses) -> Loss {
        let n_asked = self.n_asked.entry(request.path.clone()).or_default();
        *n_asked += 1;
        if request.method == "GET" {
            return self.n_reads.note(losses.one_other_in);
        }
        if request.path == losses.uploads {
            return self.n_uploads.note(losses.one_other_in);
        }
        if !losses.concern(request) {
            return Loss::Nothing;
        }
        let loss = losses.at(*n_asked - 1);
        self.n_resets += usize::from(!matches!(loss, Loss::Nothing));
        loss
    }
}

impl Others {
    fn note(&mut self, one_in: usize) -> Loss {
        self.n_asked += 1;
        let loss = match self.n_asked % one_in {
            0 => Loss::Call,
            turn if turn == one_in / 2 => Loss::Answer,
            _ => Loss::Nothing,
        };
        self.n_resets += usize::from(!matches!(loss, Loss::Nothing));
        loss
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pass_on(port: u16, request: &Request) -> io::Result<Answer> {
    let query: Vec<String> = request
        .query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let path = match query.is_empty() {
        true => request.path.clone(),
        false => format!("{}?{}", request.path, query.join("&")),
    };
    let own = ["host", "connection", "content-length", "accept-encoding"];
    let headers: Vec<(&str, &str)> = request
        .headers
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut answer = ask(port, &request.method, &path, &headers, &request.body)?;
    // A server that tells where it is tells of the proxy, or it would be bypassed.
    if let (Some(host), Ok(text)) = (request.headers.get("host"), str::from_utf8(&answer.body)) {
        let own = format!("http://localhost:{port}");
        answer.body = text.replace(&own, &format!("http://{host}")).into_bytes();
    }
    Ok(answer)
}
