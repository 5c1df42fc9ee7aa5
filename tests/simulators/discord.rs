//! A simulated webhook of a channel on Discord.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::faults::{Fault, befall};
use super::server::{Answer, Reply, Request, Server};

/// The path of the webhook, with its token.
const PATH: &str = "/api/webhooks/900100/the-token_of-the-webhook";
/// How long a bucket is.
const BUCKET: Duration = Duration::from_secs(2);

/// A message that stands in the channel.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub content: String,
    pub embeds: Vec<Value>,
    /// Whether it alerts whom it names.
    pub alerts: bool,
}

/// A running server.
pub struct Discord {
    server: Server,
    node: Arc<Mutex<Node>>,
}

#[derive(Default)]
struct Node {
    n_sent: u64,
    is_gone: bool,
    is_forbidden: bool,
    /// It says 204 whatever is asked.
    is_silent: bool,
    /// So many messages are taken in each bucket; none: as many as come.
    per_bucket: Option<usize>,
    bucket: Option<(Instant, usize)>,
    /// Addresses that cannot be embedded.
    refused: Vec<String>,
    messages: Vec<Message>,
    faults: VecDeque<Fault>,
    n_invalid: usize,
    n_calls: usize,
}

impl Discord {
    pub fn start() -> Self {
        let node: Arc<Mutex<Node>> = Arc::default();
        let server = Server::of(&node, |node, request| node.serve(&request));
        Self { server, node }
    }

    /// The webhook's address.
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.server.base_url())
    }

    /// Makes something happen to a coming message; several wait their turn.
    pub fn fail_next(&self, fault: Fault) {
        self.node().faults.push_back(fault);
    }

    /// Deletes the webhook.
    pub fn forget(&self) {
        self.node().is_gone = true;
    }

    /// Lets the webhook write no more.
    pub fn forbid(&self) {
        self.node().is_forbidden = true;
    }

    /// Answers 204, as if nobody waited for the message.
    pub fn fall_silent(&self) {
        self.node().is_silent = true;
    }

    pub fn set_per_bucket(&self, n_messages: usize) {
        self.node().per_bucket = Some(n_messages);
    }

    /// Makes an address one that cannot be embedded.
    pub fn refuse(&self, url: &str) {
        self.node().refused.push(url.to_owned());
    }

    pub fn messages(&self) -> Vec<Message> {
        self.node().messages.clone()
    }

    /// What readers have before them of each message.
    pub fn shown(&self) -> Vec<String> {
        let node = self.node();
        node.messages.iter().map(|it| shown(&it.content)).collect()
    }

    /// How many messages show readers this text.
    pub fn n_standing(&self, text: &str) -> usize {
        self.shown().iter().filter(|it| *it == text).count()
    }

    /// Calls that count against the address they came from.
    pub fn n_invalid(&self) -> usize {
        self.node().n_invalid
    }

    pub fn n_calls(&self) -> usize {
        self.node().n_calls
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn serve(&mut self, request: &Request) -> Reply {
        self.n_calls += 1;
        let reply = self.route(request);
        if let Reply::Answer(answer) = &reply
            && matches!(answer.status, 401 | 403 | 429)
        {
            self.n_invalid += 1;
        }
        reply
    }

    fn route(&mut self, request: &Request) -> Reply {
        let Some(rest) = request.path.strip_prefix(PATH) else {
            return match request.path.starts_with("/api/webhooks/900100/") {
                true => refused(401, 50_027, "Invalid Webhook Token").into(),
                false => refused(404, 10_015, "Unknown Webhook").into(),
            };
        };
        if self.is_gone {
            return refused(404, 10_015, "Unknown Webhook").into();
        }
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        match (request.method.as_str(), rest.strip_prefix("/messages/")) {
            ("GET", None) => ok(&json!({"id": "900100", "name": "noticias",
                "guild_id": "77", "channel_id": "88"}))
            .into(),
            ("POST", None) => self.take(request, &body),
            ("PATCH", Some(id)) => self.change(id, &body).into(),
            ("DELETE", Some(id)) => {
                let n_before = self.messages.len();
                self.messages.retain(|it| it.id != id);
                match self.messages.len() < n_before {
                    true => Answer::new(204, "text/plain", "").into(),
                    false => refused(404, 10_008, "Unknown Message").into(),
                }
            }
            _ => refused(405, 0, "405: Method Not Allowed").into(),
        }
    }

    fn take(&mut self, request: &Request, body: &Value) -> Reply {
        befall(self.faults.pop_front(), || self.post(request, body))
    }

    fn post(&mut self, request: &Request, body: &Value) -> Answer {
        if self.is_forbidden {
            return refused(403, 50_013, "Missing Permissions");
        }
        let headers = match self.fill_bucket() {
            Ok(headers) => headers,
            Err(refusal) => return refusal,
        };
        let message = match self.message(body) {
            Ok(message) => message,
            Err(refusal) => return refusal,
        };
        self.n_sent += 1;
        let id = format!("{}", 1_100_000 + self.n_sent);
        self.messages.push(Message {
            id: id.clone(),
            ..message
        });
        let is_awaited = request.query.get("wait").is_some_and(|it| it == "true");
        let answer = match is_awaited && !self.is_silent {
            true => ok(&json!({"id": id, "channel_id": "88", "content": body["content"]})),
            false => Answer::new(204, "text/plain", ""),
        };
        headers
            .into_iter()
            .fold(answer, |answer, (name, value)| answer.with(name, value))
    }

    /// Counts a message, and tells how the bucket stands.
    fn fill_bucket(&mut self) -> Result<Vec<(&'static str, String)>, Answer> {
        let Some(max) = self.per_bucket else {
            return Ok(Vec::new());
        };
        let now = Instant::now();
        let (begun, n_taken) = match self.bucket {
            Some((begun, n_taken)) if now < begun + BUCKET => (begun, n_taken),
            _ => (now, 0),
        };
        let left = (begun + BUCKET).duration_since(now).as_secs_f64();
        if n_taken >= max {
            let body = json!({"message": "You are being rate limited.", "retry_after": left,
                "global": false});
            return Err(Answer::new(429, "application/json", body.to_string())
                .with("Retry-After", format!("{}", left.ceil())));
        }
        self.bucket = Some((begun, n_taken + 1));
        Ok(vec![
            ("X-RateLimit-Limit", max.to_string()),
            ("X-RateLimit-Remaining", (max - n_taken - 1).to_string()),
            // In thousandths, cut off: so early at the most is who waits no longer than that.
            (
                "X-RateLimit-Reset-After",
                format!("{:.3}", (left * 1e3).floor() / 1e3),
            ),
        ])
    }

    fn message(&self, body: &Value) -> Result<Message, Answer> {
        let content = body["content"].as_str().unwrap_or_default();
        let embeds = body["embeds"].as_array().cloned().unwrap_or_default();
        if content.trim().is_empty() && embeds.is_empty() {
            return Err(refused(400, 50_006, "Cannot send an empty message"));
        }
        let is_bad = |embed: &Value| {
            let url = embed["image"]["url"].as_str().unwrap_or_default();
            !url.starts_with("http") || self.refused.iter().any(|it| it == url)
        };
        if content.chars().count() > 2000 || embeds.len() > 10 || embeds.iter().any(is_bad) {
            return Err(refused(400, 50_035, "Invalid Form Body"));
        }
        let alerts = body["allowed_mentions"]["parse"] != json!([]);
        Ok(Message {
            id: String::new(),
            content: content.to_owned(),
            embeds,
            alerts,
        })
    }

    fn change(&mut self, id: &str, body: &Value) -> Answer {
        let changed = match self.message(body) {
            Ok(changed) => changed,
            Err(refusal) => return refusal,
        };
        match self.messages.iter_mut().find(|it| it.id == id) {
            Some(message) => {
                (message.content, message.embeds) = (changed.content, changed.embeds);
                ok(&json!({"id": id, "channel_id": "88"}))
            }
            None => refused(404, 10_008, "Unknown Message"),
        }
    }
}

fn ok(body: &Value) -> Answer {
    Answer::new(200, "application/json", body.to_string())
}

fn refused(status: u16, code: u32, message: &str) -> Answer {
    let body = json!({"message": message, "code": code});
    Answer::new(status, "application/json", body.to_string())
}

/// What readers see of a content: a backslash before a sign is not shown, and the sign is none.
fn shown(content: &str) -> String {
    let mut shown = String::new();
    let mut characters = content.chars().peekable();
    while let Some(character) = characters.next() {
        let is_escape =
            character == '\\' && characters.peek().is_some_and(char::is_ascii_punctuation);
        shown.push(match is_escape {
            true => characters.next().unwrap_or(character),
            false => character,
        });
    }
    shown
}
