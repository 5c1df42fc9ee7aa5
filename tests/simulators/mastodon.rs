//! A simulated server that speaks Mastodon's API, with the habits of several, and many faults.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::server::{Answer, Reply, Request, Server};

/// The token that is accepted.
pub const TOKEN: &str = "token-of-the-account";
/// The only account's id.
pub const ACCOUNT: &str = "109000000000000001";
/// How long Mastodon keeps a key.
const KEY_LIFE: Duration = Duration::from_secs(3600);

/// What the server does with idempotency keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It keeps them for an hour, like Mastodon.
    Kept,
    /// It does not look at them, like snac2 and GoToSocial.
    Ignored,
}

/// What happens to a coming post instead of its being answered.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is not posted, and this is answered: status, headers, body.
    Answer(u16, Vec<(String, String)>, String),
    /// It is posted, and the connection is closed without a word.
    ReplyLost,
    /// It is posted, and a proxy answers 502 with a page.
    BadGateway,
    /// It is not posted, and the connection is closed without a word.
    RequestLost,
    /// Another request holds the key's lock.
    Locked,
    /// It is posted, and half of the answer arrives.
    HalfReply,
}

/// A status that stands on the server.
#[derive(Clone, Debug)]
pub struct Posted {
    pub id: String,
    pub text: String,
    pub language: Option<String>,
    pub visibility: Option<String>,
    pub in_reply_to_id: Option<String>,
    pub key: Option<String>,
    at: SystemTime,
}

/// A running server.
pub struct Mastodon {
    server: Server,
    node: Arc<Mutex<Node>>,
}

struct Node {
    keys: Keys,
    has_v2: bool,
    max_characters: usize,
    /// How far its clock is ahead of the world's, in seconds.
    lead: i64,
    statuses: Vec<Posted>,
    kept: HashMap<String, (String, SystemTime)>,
    faults: VecDeque<Fault>,
    read_faults: VecDeque<Fault>,
    requests: Vec<Request>,
}

impl Mastodon {
    pub fn start(keys: Keys) -> Self {
        let node = Arc::new(Mutex::new(Node {
            keys,
            has_v2: true,
            max_characters: 500,
            lead: 0,
            statuses: Vec::new(),
            kept: HashMap::new(),
            faults: VecDeque::new(),
            read_faults: VecDeque::new(),
            requests: Vec::new(),
        }));
        let served = node.clone();
        let server = Server::start(move |request| {
            let mut node = served.lock().unwrap_or_else(PoisonError::into_inner);
            node.serve(request)
        });
        Self { server, node }
    }

    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Makes something happen to a coming post; several wait their turn.
    pub fn fail_next(&self, fault: Fault) {
        self.node().faults.push_back(fault);
    }

    /// Makes something happen to a coming GET; several wait their turn.
    pub fn fail_next_read(&self, fault: Fault) {
        self.node().read_faults.push_back(fault);
    }

    /// Sets the clock ahead, or behind.
    pub fn set_lead(&self, seconds: i64) {
        self.node().lead = seconds;
    }

    /// Answers questions about itself only in the first version of the API.
    pub fn forget_v2(&self) {
        self.node().has_v2 = false;
    }

    pub fn set_max_characters(&self, max: usize) {
        self.node().max_characters = max;
    }

    /// Forgets all keys, as an hour would make it.
    pub fn forget_keys(&self) {
        self.node().kept.clear();
    }

    /// Posts as another client of the same account.
    pub fn post_elsewhere(&self, text: &str) {
        self.node().store(text, None, None, None, None);
    }

    /// Every status that stands, in its order.
    pub fn statuses(&self) -> Vec<Posted> {
        self.node().statuses.clone()
    }

    /// How often a text stands.
    pub fn n_standing(&self, text: &str) -> usize {
        let node = self.node();
        node.statuses.iter().filter(|it| it.text == text).count()
    }

    /// Every request that came, in its order.
    pub fn requests(&self) -> Vec<Request> {
        self.node().requests.clone()
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn serve(&mut self, request: Request) -> Reply {
        self.requests.push(request.clone());
        let route = (request.method.as_str(), request.path.as_str());
        let reply = match route {
            ("GET", "/api/v2/instance") if self.has_v2 => self.instance().into(),
            ("GET", "/api/v1/instance") => self.instance().into(),
            _ if !is_authorized(&request) => failure(401, "The access token is invalid").into(),
            ("POST", "/api/v1/statuses") => self.post(&request),
            ("GET", path) => match self.read_faults.pop_front() {
                Some(Fault::Answer(status, headers, body)) => Answer {
                    status,
                    headers,
                    body: body.into(),
                }
                .into(),
                Some(_) => Reply::Hangup,
                None => self.read(path, &request).into(),
            },
            _ => failure(404, "Record not found").into(),
        };
        self.with_date(reply)
    }

    fn read(&self, path: &str, request: &Request) -> Answer {
        if path == "/api/v1/accounts/verify_credentials" {
            return found(&json!({"id": ACCOUNT, "username": "bot", "acct": "bot"}));
        }
        if path == format!("/api/v1/accounts/{ACCOUNT}/statuses") {
            return self.page(request);
        }
        failure(404, "Record not found")
    }

    fn post(&mut self, request: &Request) -> Reply {
        let fault = self.faults.pop_front();
        match &fault {
            Some(Fault::Answer(status, headers, body)) => {
                return Answer {
                    status: *status,
                    headers: headers.clone(),
                    body: body.clone().into(),
                }
                .into();
            }
            Some(Fault::RequestLost) => return Reply::Hangup,
            Some(Fault::Locked) => {
                let text = "There was a temporary problem serving your request, please try again";
                return failure(503, text).into();
            }
            _ => {}
        }
        let answer = self.create(request);
        match fault {
            Some(Fault::ReplyLost) => Reply::Hangup,
            Some(Fault::BadGateway) => {
                Answer::new(502, "text/html", "<html><h1>502 Bad Gateway</h1></html>").into()
            }
            Some(Fault::HalfReply) => Reply::Half(answer),
            _ => answer.into(),
        }
    }

    fn create(&mut self, request: &Request) -> Answer {
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return failure(400, "Bad Request");
        };
        let key = request.headers.get("idempotency-key").cloned();
        if let Some(id) = key.as_ref().and_then(|key| self.kept_id(key)) {
            return match self.statuses.iter().find(|status| status.id == id) {
                Some(status) => found(&self.shown(status)),
                None => failure(404, "Record not found"),
            };
        }
        let field = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let text = field("status").unwrap_or_default();
        if text.trim().is_empty() {
            return failure(422, "Validation failed: Text can't be blank");
        }
        if length(&text) > self.max_characters {
            let max = self.max_characters;
            let text = format!("Validation failed: Text character limit of {max} exceeded");
            return failure(422, &text);
        }
        let parent = field("in_reply_to_id");
        let has_parent = |id: &String| self.statuses.iter().any(|status| status.id == *id);
        if parent.as_ref().is_some_and(|id| !has_parent(id)) {
            return failure(
                404,
                "The post you are trying to reply to does not appear to exist.",
            );
        }
        self.store(&text, field("language"), field("visibility"), parent, key);
        let status = self.statuses.last().expect("was stored");
        found(&self.shown(status))
    }

    fn kept_id(&self, key: &str) -> Option<String> {
        let (id, at) = self.kept.get(key)?;
        let age = SystemTime::now().duration_since(*at).unwrap_or_default();
        (self.keys == Keys::Kept && age < KEY_LIFE).then(|| id.clone())
    }

    fn store(
        &mut self,
        text: &str,
        language: Option<String>,
        visibility: Option<String>,
        in_reply_to_id: Option<String>,
        key: Option<String>,
    ) {
        let id = (112_000_000_000_000_000_u64 + self.statuses.len() as u64).to_string();
        let at = SystemTime::now();
        if let Some(key) = &key {
            self.kept.insert(key.clone(), (id.clone(), at));
        }
        self.statuses.push(Posted {
            id,
            text: text.into(),
            language,
            visibility,
            in_reply_to_id,
            key,
            at,
        });
    }

    /// A page, the newest first: below `max_id`, or just above `min_id`.
    fn page(&self, request: &Request) -> Answer {
        let limit = request.query.get("limit").and_then(|it| it.parse().ok());
        let limit = limit.unwrap_or(20_usize).min(40);
        let mut below: Vec<&Posted> = self
            .statuses
            .iter()
            .filter(|it| request.query.get("max_id").is_none_or(|max| it.id < *max))
            .filter(|it| request.query.get("min_id").is_none_or(|min| it.id > *min))
            .collect();
        if request.query.contains_key("min_id") {
            below.truncate(limit);
        }
        let page: Vec<Value> = below
            .into_iter()
            .rev()
            .take(limit)
            .map(|status| self.shown(status))
            .collect();
        found(&Value::Array(page))
    }

    fn shown(&self, status: &Posted) -> Value {
        json!({
            "id": status.id,
            "created_at": self.time(status.at).to_rfc3339_opts(SecondsFormat::Millis, true),
            "in_reply_to_id": status.in_reply_to_id,
            "sensitive": false,
            "spoiler_text": "",
            "visibility": status.visibility.as_deref().unwrap_or("public"),
            "language": status.language,
            "uri": format!("{}/users/bot/statuses/{}", "https://simulated.example", status.id),
            "url": format!("{}/@bot/{}", "https://simulated.example", status.id),
            "content": html(&status.text),
            "account": {"id": ACCOUNT},
            "media_attachments": [],
            "reblog": null,
        })
    }

    fn instance(&self) -> Answer {
        let (version, source) = match self.keys {
            Keys::Kept => ("4.3.2", "https://github.com/mastodon/mastodon"),
            Keys::Ignored => ("0.19.1+git-1234", "https://codeberg.org/gotosocial"),
        };
        found(&json!({
            "domain": "simulated.example",
            "version": version,
            "source_url": source,
            "configuration": {"statuses": {
                "max_characters": self.max_characters,
                "max_media_attachments": 4,
                "characters_reserved_per_url": 23,
            }},
        }))
    }

    fn time(&self, at: SystemTime) -> DateTime<Utc> {
        DateTime::<Utc>::from(at) + chrono::Duration::seconds(self.lead)
    }

    fn with_date(&self, reply: Reply) -> Reply {
        let now = self.time(SystemTime::now());
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        match reply {
            Reply::Answer(answer) => Reply::Answer(answer.with("Date", date)),
            other => other,
        }
    }
}

fn is_authorized(request: &Request) -> bool {
    request.headers.get("authorization") == Some(&format!("Bearer {TOKEN}"))
}

fn found(body: &Value) -> Answer {
    Answer::new(200, "application/json; charset=utf-8", body.to_string())
}

fn failure(status: u16, text: &str) -> Answer {
    Answer::new(
        status,
        "application/json; charset=utf-8",
        json!({"error": text}).to_string(),
    )
}

/// The length by the server's own rule: an address counts as 23, `@user@host` as `@user`.
///
/// Clusters are approximated: joiners, marks and variation selectors count nothing.
fn length(text: &str) -> usize {
    text.split_inclusive(char::is_whitespace)
        .map(|word| {
            let bare = word.trim_end();
            let space = word.chars().count() - bare.chars().count();
            if bare.starts_with("http://") || bare.starts_with("https://") {
                return 23 + space;
            }
            match bare.strip_prefix('@').and_then(|it| it.split_once('@')) {
                Some((user, _)) => 1 + user.chars().count() + space,
                None => bare.chars().filter(|char| !joins(*char)).count() + space,
            }
        })
        .sum()
}

fn joins(char: char) -> bool {
    matches!(char, '\u{200d}' | '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

/// The text as such servers show it: paragraphs, breaks, addresses cut into spans, mentions.
fn html(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|part| !part.trim().is_empty());
    paragraphs
        .map(|paragraph| {
            let lines: Vec<String> = paragraph.lines().map(line).collect();
            format!("<p>{}</p>", lines.join("<br />"))
        })
        .collect()
}

fn line(line: &str) -> String {
    let words: Vec<String> = line.split(' ').map(word).collect();
    words.join(" ")
}

fn word(word: &str) -> String {
    let escaped = word
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    if let Some(rest) = escaped.strip_prefix("https://") {
        let cut = rest.char_indices().nth(30).map_or(rest.len(), |(at, _)| at);
        let (shown, hidden) = rest.split_at(cut);
        let class = if hidden.is_empty() { "" } else { "ellipsis" };
        return format!(
            "<a href=\"{escaped}\" target=\"_blank\" rel=\"nofollow noopener\"><span class=\"invisible\">https://</span><span class=\"{class}\">{shown}</span><span class=\"invisible\">{hidden}</span></a>"
        );
    }
    if let Some((user, rest)) = escaped.strip_prefix('@').and_then(|it| it.split_once('@')) {
        let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || "-.".contains(char)));
        let (host, rest) = rest.split_at(end.unwrap_or(rest.len()));
        return format!(
            "<span class=\"h-card\"><a href=\"https://{host}/@{user}\" class=\"u-url mention\">@<span>{user}</span></a></span>{rest}"
        );
    }
    if let Some(tag) = escaped.strip_prefix('#').filter(|tag| !tag.is_empty()) {
        return format!(
            "<a href=\"https://simulated.example/tags/{tag}\" class=\"mention hashtag\" rel=\"tag\">#<span>{tag}</span></a>"
        );
    }
    escaped
}
