//! A simulated incoming webhook of a channel on Slack.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::faults::{Fault, befall};
use super::server::{Answer, Reply, Request, Server};

/// The path of the webhook, which is its credential.
const PATH: &str = "/services/T0001/B0002/the-secret-of-the-webhook";

/// A message that stands in the channel.
#[derive(Clone, Debug)]
pub struct Message {
    /// As people read it.
    pub text: String,
    /// The addresses and descriptions of its pictures.
    pub pictures: Vec<(String, String)>,
    /// The text of its sections as people read it.
    pub sections: String,
}

/// A running server.
pub struct Slack {
    server: Server,
    node: Arc<Mutex<Node>>,
}

#[derive(Default)]
struct Node {
    /// What everything is answered with, once it is so.
    refusal: Option<(u16, &'static str)>,
    /// So many more messages are taken before so many seconds have to be waited.
    budget: Option<(usize, u64)>,
    /// Addresses of pictures that cannot be shown.
    refused: Vec<String>,
    messages: Vec<Message>,
    faults: VecDeque<Fault>,
}

impl Slack {
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

    /// Refuses all messages from now on, like `404 no_service`.
    pub fn refuse_all(&self, status: u16, words: &'static str) {
        self.node().refusal = Some((status, words));
    }

    /// Takes so many more messages, then asks to wait.
    pub fn set_budget(&self, n_messages: usize, seconds: u64) {
        self.node().budget = Some((n_messages, seconds));
    }

    /// Makes an address one that cannot be shown.
    pub fn refuse(&self, url: &str) {
        self.node().refused.push(url.to_owned());
    }

    pub fn messages(&self) -> Vec<Message> {
        self.node().messages.clone()
    }

    pub fn n_standing(&self, text: &str) -> usize {
        let node = self.node();
        node.messages.iter().filter(|it| it.text == text).count()
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn serve(&mut self, request: &Request) -> Reply {
        if request.path != PATH {
            return said(404, "no_service").into();
        }
        befall(self.faults.pop_front(), || self.post(request))
    }

    fn post(&mut self, request: &Request) -> Answer {
        if let Some((status, words)) = self.refusal {
            return said(status, words);
        }
        if let Some((left, seconds)) = &mut self.budget {
            if *left == 0 {
                return said(429, "rate_limited").with("Retry-After", seconds.to_string());
            }
            *left -= 1;
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return said(400, "invalid_payload");
        };
        let text = body["text"].as_str().unwrap_or_default();
        if text.is_empty() {
            return said(400, "no_text");
        }
        if text.chars().count() > 40_000 {
            return said(400, "msg_too_long");
        }
        let Some(text) = shown(text) else {
            return said(400, "user_not_found");
        };
        let mut message = Message {
            text,
            pictures: Vec::new(),
            sections: String::new(),
        };
        for block in body["blocks"].as_array().into_iter().flatten() {
            let written = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            match block["type"].as_str() {
                Some("image") => {
                    let url = written(&block["image_url"]);
                    let alt = written(&block["alt_text"]);
                    if !url.starts_with("http") || alt.is_empty() || self.refused.contains(&url) {
                        return said(400, "invalid_blocks");
                    }
                    message.pictures.push((url, alt));
                }
                Some("section") => {
                    let text = written(&block["text"]["text"]);
                    let is_plain = block["text"]["type"] == "plain_text";
                    let is_sized = (1..=3_000).contains(&text.chars().count());
                    let Some(text) = shown(&text).filter(|_| is_plain && is_sized) else {
                        return said(400, "invalid_blocks");
                    };
                    message.sections.push_str(&text);
                }
                _ => return said(400, "invalid_blocks"),
            }
        }
        self.messages.push(message);
        said(200, "ok")
    }
}

/// A text as people read it; none where it holds signs that Slack takes for its own.
fn shown(text: &str) -> Option<String> {
    let is_plain = !text.contains(['<', '>']);
    let bare = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    is_plain.then_some(bare)
}

fn said(status: u16, words: &str) -> Answer {
    Answer::new(status, "text/plain", words)
}
