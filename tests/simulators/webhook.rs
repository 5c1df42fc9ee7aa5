//! A simulated program that takes what is published, checks signatures and counts repeats.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac::HMAC_SHA256;
use serde_json::Value;

use super::faults::{Fault, befall};
use super::hashes::hmac;
use super::server::{Answer, Reply, Request, Server};

/// What bodies are signed with.
pub const SECRET: &str = "the secret of the receiver";
/// How old a delivery may be, in seconds.
const MAX_AGE: u64 = 300;

/// A delivery as it was taken first.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub key: String,
    pub body: Value,
    /// How often it came, the first time counted.
    pub n_times: usize,
}

/// A running receiver.
pub struct Receiver {
    server: Server,
    node: Arc<Mutex<Node>>,
}

#[derive(Default)]
struct Node {
    deliveries: Vec<Delivery>,
    faults: VecDeque<Fault>,
    n_forged: usize,
}

impl Receiver {
    pub fn start() -> Self {
        let node: Arc<Mutex<Node>> = Arc::default();
        let server = Server::of(&node, |node, request| node.serve(&request));
        Self { server, node }
    }

    pub fn url(&self) -> String {
        format!("{}/translations", self.server.base_url())
    }

    /// Makes something happen to a coming delivery; several wait their turn.
    pub fn fail_next(&self, fault: Fault) {
        self.node().faults.push_back(fault);
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.node().deliveries.clone()
    }

    /// How often a text was taken as one that is new.
    pub fn n_standing(&self, text: &str) -> usize {
        let node = self.node();
        let is_it = |it: &&Delivery| {
            it.body["event"] == "published" && it.body["publication"]["text"] == text
        };
        node.deliveries.iter().filter(is_it).count()
    }

    /// Deliveries whose signature was wrong.
    pub fn n_forged(&self) -> usize {
        self.node().n_forged
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn serve(&mut self, request: &Request) -> Reply {
        if request.method != "POST" {
            return Answer::new(405, "text/plain", "post it").into();
        }
        befall(self.faults.pop_front(), || self.take(request))
    }

    fn take(&mut self, request: &Request) -> Answer {
        let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
        let (at, key) = (header("babelfeed-timestamp"), header("idempotency-key"));
        let signed = [at.as_bytes(), b".", &request.body].concat();
        let wanted = format!("sha256={}", hmac(HMAC_SHA256, SECRET.as_bytes(), &signed));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs();
        let is_fresh = at.parse().is_ok_and(|at: u64| now.abs_diff(at) < MAX_AGE);
        if header("babelfeed-signature") != wanted || !is_fresh {
            self.n_forged += 1;
            return Answer::new(401, "text/plain", "the signature is wrong");
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return Answer::new(400, "text/plain", "no JSON");
        };
        match self.deliveries.iter_mut().find(|it| it.key == key) {
            Some(known) if known.body != body => {
                return Answer::new(422, "text/plain", "another body under this key");
            }
            Some(known) => known.n_times += 1,
            None => self.deliveries.push(Delivery {
                key,
                body,
                n_times: 1,
            }),
        }
        Answer::new(204, "text/plain", "")
    }
}
