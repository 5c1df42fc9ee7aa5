//! A simulated feed with its hub, which calls back as hubs do, and as they should not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ring::hmac::{HMAC_SHA256, HMAC_SHA512};

use super::client::ask;
use super::hashes::hmac;
use super::server::{Answer, Reply, Request, Server};
use super::wait::{look, tell_change};

/// How long a hub waits until it can reach whom it calls.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the hub does when it is asked to tell of news.
#[derive(Clone, Debug)]
pub enum Manner {
    /// It comes back with its question, and grants so many seconds.
    Grants(u64),
    /// It comes back and says no.
    Denies,
    /// It does not take it.
    Refuses(u16),
}

/// Where the feed names its hub.
#[derive(Clone, Copy, Debug)]
pub enum Named {
    InHeaders,
    InBody,
}

/// How what is delivered is signed.
#[derive(Clone, Copy, Debug)]
pub enum Signed {
    Sha256,
    Sha512,
    Wrongly,
    Not,
}

/// Somebody who asked to be told.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The path of the address that is to be called.
    pub callback: String,
    pub topic: String,
    pub secret: String,
}

/// A running feed and hub.
pub struct Hub {
    server: Server,
    node: Arc<Mutex<Node>>,
}

struct Node {
    manner: Manner,
    named: Named,
    base_url: String,
    /// Where the program is heard.
    port: Option<u16>,
    items: Vec<String>,
    asked: Vec<Asked>,
    /// Whom it tells, by callback.
    told: HashMap<String, Asked>,
    n_reads: usize,
}

impl Hub {
    pub fn start(manner: Manner, named: Named) -> Self {
        let node = Arc::new(Mutex::new(Node {
            manner,
            named,
            base_url: String::new(),
            port: None,
            items: vec!["first".to_owned()],
            asked: Vec::new(),
            told: HashMap::new(),
            n_reads: 0,
        }));
        let served = node.clone();
        let server = Server::start(move |request| serve(&served, &request));
        let hub = Self { server, node };
        hub.node().base_url = hub.server.base_url();
        hub
    }

    pub fn feed_url(&self) -> String {
        format!("{}/feed.xml", self.server.base_url())
    }

    /// Tells the hub to which port the public address of the program leads.
    pub fn reach(&self, port: u16) {
        self.node().port = Some(port);
        tell_change();
    }

    /// Everybody who asked, in their order, repeats among them.
    pub fn asked(&self) -> Vec<Asked> {
        self.node().asked.clone()
    }

    /// Whom the hub tells of news.
    pub fn told(&self) -> Vec<Asked> {
        self.node().told.values().cloned().collect()
    }

    /// How often the feed was read.
    pub fn n_reads(&self) -> usize {
        self.node().n_reads
    }

    /// Adds an item to the feed, and tells nobody.
    pub fn add(&self, item: &str) {
        self.node().items.push(item.to_owned());
    }

    /// Delivers the feed to whom it tells of news; returns what each of them answered.
    pub fn deliver(&self, signed: Signed) -> Vec<u16> {
        let (body, port, told) = {
            let node = self.node();
            let told: Vec<Asked> = node.told.values().cloned().collect();
            (node.feed(), node.port.expect("reachable"), told)
        };
        told.iter()
            .map(|asked| {
                let signature = signature(signed, asked.secret.as_bytes(), body.as_bytes());
                let signature = signature.iter().map(|it| ("X-Hub-Signature", it.as_str()));
                let headers: Vec<(&str, &str)> = signature.collect();
                call(port, "POST", &asked.callback, &headers, &body).0
            })
            .collect()
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(node: &Arc<Mutex<Node>>, request: &Request) -> Reply {
    let mut held = node.lock().unwrap_or_else(PoisonError::into_inner);
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/feed.xml") => {
            held.n_reads += 1;
            let answer = Answer::new(200, "application/atom+xml", held.feed());
            let links = format!(
                "<{0}/hub>; rel=\"hub\", <{0}/feed.xml>; rel=\"self\"",
                held.base_url
            );
            match held.named {
                Named::InHeaders => answer.with("Link", links).into(),
                Named::InBody => answer.into(),
            }
        }
        ("POST", "/hub") => {
            let form: HashMap<String, String> = url::form_urlencoded::parse(&request.body)
                .into_owned()
                .collect();
            let field = |name: &str| form.get(name).cloned().unwrap_or_default();
            let callback = field("hub.callback");
            let path = url::Url::parse(&callback).map(|url| url.path().to_owned());
            let asked = Asked {
                callback: path.unwrap_or_default(),
                topic: field("hub.topic"),
                secret: field("hub.secret"),
            };
            if field("hub.mode") != "subscribe" || !callback.starts_with("https://") {
                return Answer::new(400, "text/plain", "no").into();
            }
            held.asked.push(asked.clone());
            if let Manner::Refuses(status) = held.manner {
                return Answer::new(status, "text/plain", "no").into();
            }
            let (node, manner) = (node.clone(), held.manner.clone());
            thread::spawn(move || come_back(&node, &manner, asked));
            Answer::new(202, "text/plain", "").into()
        }
        _ => Answer::new(404, "text/plain", "not here").into(),
    }
}

/// Asks who asked whether he did, once he can be reached.
fn come_back(node: &Mutex<Node>, manner: &Manner, asked: Asked) {
    let port = || node.lock().unwrap_or_else(PoisonError::into_inner).port;
    let Some(port) = look(PATIENCE, port) else {
        return;
    };
    let topic: String = url::form_urlencoded::byte_serialize(asked.topic.as_bytes()).collect();
    let (path, lease) = match manner {
        Manner::Grants(lease) => (
            format!(
                "{}?hub.mode=subscribe&hub.topic={topic}&hub.challenge=a%3Cb%3E1&hub.lease_seconds={lease}",
                asked.callback
            ),
            Some(lease),
        ),
        _ => (
            format!(
                "{}?hub.mode=denied&hub.topic={topic}&hub.reason=too+many",
                asked.callback
            ),
            None,
        ),
    };
    let (status, body) = call(port, "GET", &path, &[], "");
    if lease.is_some() && status == 200 && body == "a<b>1" {
        let mut node = node.lock().unwrap_or_else(PoisonError::into_inner);
        node.told.insert(asked.callback.clone(), asked);
    }
}

impl Node {
    fn feed(&self) -> String {
        let items: String = self
            .items
            .iter()
            .rev()
            .map(|item| {
                format!(
                    "<entry><id>urn:{item}</id><title>{item}</title>\
                     <updated>2026-11-21T12:00:00Z</updated></entry>"
                )
            })
            .collect();
        let links = match self.named {
            Named::InHeaders => String::new(),
            Named::InBody => format!(
                "<link rel=\"hub\" href=\"{0}/hub\"/><link rel=\"self\" href=\"{0}/feed.xml\"/>",
                self.base_url
            ),
        };
        format!(
            "<?xml version=\"1.0\"?><feed xmlns=\"http://www.w3.org/2005/Atom\"><id>urn:feed</id>\
             <title>News</title><updated>2026-11-21T12:00:00Z</updated>{links}{items}</feed>"
        )
    }
}

fn signature(signed: Signed, secret: &[u8], body: &[u8]) -> Option<String> {
    let (method, hex) = match signed {
        Signed::Sha256 => ("sha256", hmac(HMAC_SHA256, secret, body)),
        Signed::Sha512 => ("sha512", hmac(HMAC_SHA512, secret, body)),
        Signed::Wrongly => ("sha256", hmac(HMAC_SHA256, b"a guess", body)),
        Signed::Not => return None,
    };
    Some(format!("{method}={hex}"))
}

/// One call over TCP: status and body; 0 where there is no answer.
pub fn call(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    match ask(port, method, path, headers, body.as_bytes()) {
        Ok(answer) => {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            (answer.status, body)
        }
        Err(_) => (0, String::new()),
    }
}
