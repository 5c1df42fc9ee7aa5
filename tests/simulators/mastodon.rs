//! A simulated server that speaks Mastodon's API, with the habits of several, and many faults.

mod media;
mod pages;
mod text;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::server::{Answer, Reply, Request, Server};
pub use media::{Handling, Medium};

/// The token that is accepted.
pub const TOKEN: &str = "token-of-the-account";
/// The only account's id.
pub const ACCOUNT: &str = "109000000000000001";
/// The only account's name.
pub const NAME: &str = "bot";
/// The id of somebody else.
pub const OTHER: &str = "109000000000000002";
/// How long Mastodon keeps a key.
const KEY_LIFE: Duration = Duration::from_secs(3600);
/// Where everything is, as the server says.
const HOME: &str = "https://simulated.example";

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
#[derive(Clone, Debug, Default)]
pub struct Posted {
    pub id: String,
    pub text: String,
    pub language: Option<String>,
    pub visibility: Option<String>,
    pub in_reply_to_id: Option<String>,
    /// Whom it answers.
    pub in_reply_to_account_id: Option<String>,
    pub key: Option<String>,
    pub warning: Option<String>,
    pub is_sensitive: bool,
    /// Ids of its media.
    pub media: Vec<String>,
    pub poll: Option<Value>,
    pub quoted: Option<String>,
    /// The status that it shows again.
    pub reblog: Option<Value>,
    pub n_edits: u32,
    pub at: Option<SystemTime>,
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
    /// The version of Mastodon's own API.
    api_version: u32,
    /// How far its clock is ahead of the world's, in seconds.
    lead: i64,
    /// Whether it shows itself to those without an account only.
    is_closed: bool,
    /// Whether it looks at ids that pages should begin or end at.
    has_pages: bool,
    /// The account was suspended.
    is_suspended: bool,
    /// So many more requests are answered, and the limit is renewed after so many seconds.
    budget: Option<(usize, i64)>,
    n_posted: u64,
    statuses: Vec<Posted>,
    media: Vec<Medium>,
    handlings: VecDeque<Handling>,
    kept: HashMap<String, (String, SystemTime)>,
    faults: VecDeque<Fault>,
    read_faults: VecDeque<Fault>,
    streams: Vec<mpsc::Sender<String>>,
    requests: Vec<Request>,
}

impl Mastodon {
    pub fn start(keys: Keys) -> Self {
        let node = Arc::new(Mutex::new(Node::new(keys)));
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

    /// Says what happens to a coming upload; several wait their turn.
    pub fn handle_next(&self, handling: Handling) {
        self.node().handlings.push_back(handling);
    }

    /// Sets the clock ahead, or behind.
    pub fn set_lead(&self, seconds: i64) {
        self.node().lead = seconds;
    }

    /// Answers questions about itself only in the first version of the API.
    pub fn forget_v2(&self) {
        self.node().has_v2 = false;
    }

    /// Shows itself only to those who have an account.
    pub fn close(&self) {
        self.node().is_closed = true;
    }

    /// Shows all of an account whatever page is asked for, like snac2.
    pub fn forget_pages(&self) {
        self.node().has_pages = false;
    }

    /// Suspends the account.
    pub fn suspend(&self) {
        self.node().is_suspended = true;
    }

    /// Answers so many more requests, and no more until so many seconds have passed.
    pub fn set_budget(&self, n_requests: usize, seconds: i64) {
        self.node().budget = Some((n_requests, seconds));
    }

    /// Ends the limit of requests.
    pub fn renew_budget(&self) {
        self.node().budget = None;
    }

    pub fn set_max_characters(&self, max: usize) {
        self.node().max_characters = max;
    }

    /// Sets the version of Mastodon's own API; statuses can be quoted from 7 on.
    pub fn set_api_version(&self, version: u32) {
        self.node().api_version = version;
    }

    /// Forgets all keys, as an hour would make it.
    pub fn forget_keys(&self) {
        self.node().kept.clear();
    }

    /// Forgets all media that are not attached, as a day would make it.
    pub fn forget_media(&self) {
        self.node().media.retain(|medium| medium.is_attached);
    }

    /// Posts as another client of the same account; returns the id.
    pub fn post_elsewhere(&self, text: &str) -> String {
        self.write(Posted {
            text: text.into(),
            ..Posted::default()
        })
    }

    /// Posts anything as another client of the same account; returns the id.
    pub fn write(&self, status: Posted) -> String {
        self.node().store(status)
    }

    /// Has another client of the account hand a medium in; returns the id.
    pub fn hand_in(&self, mime: &str, description: &str) -> String {
        let mut node = self.node();
        node.store_medium(mime, description, Handling::Ready)
    }

    /// Changes a status as another client of the same account.
    pub fn rewrite(&self, id: &str, text: &str) {
        self.node().rewrite(id, text);
    }

    /// Deletes a status as another client of the same account.
    pub fn remove(&self, id: &str) {
        self.node().remove(id);
    }

    /// Closes all streams.
    pub fn drop_streams(&self) {
        self.node().streams.clear();
    }

    /// How many streams are read.
    pub fn n_streams(&self) -> usize {
        let mut node = self.node();
        node.say(":thump\n\n");
        node.streams.len()
    }

    /// Every status that stands, in its order.
    pub fn statuses(&self) -> Vec<Posted> {
        self.node().statuses.clone()
    }

    /// Every medium, in its order.
    pub fn media(&self) -> Vec<Medium> {
        self.node().media.clone()
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
    fn new(keys: Keys) -> Self {
        Self {
            keys,
            has_v2: true,
            max_characters: 500,
            api_version: 6,
            lead: 0,
            is_closed: false,
            has_pages: true,
            is_suspended: false,
            budget: None,
            n_posted: 0,
            statuses: Vec::new(),
            media: Vec::new(),
            handlings: VecDeque::new(),
            kept: HashMap::new(),
            faults: VecDeque::new(),
            read_faults: VecDeque::new(),
            streams: Vec::new(),
            requests: Vec::new(),
        }
    }

    fn serve(&mut self, request: Request) -> Reply {
        self.requests.push(request.clone());
        let reply = match self.beyond_budget() {
            Some(refusal) => refusal.into(),
            None => self.route(&request),
        };
        self.with_date(reply)
    }

    fn route(&mut self, request: &Request) -> Reply {
        let access = Access::of(request);
        let (method, path) = (request.method.as_str(), request.path.as_str());
        match (method, path) {
            ("GET", "/api/v2/instance") if self.has_v2 => return self.instance().into(),
            ("GET", "/api/v1/instance") => return self.instance().into(),
            _ => {}
        }
        let is_readable = method == "GET" && access == Access::Nobody && is_public(path);
        if self.is_closed && is_readable {
            return failure(401, "This API requires an authenticated user").into();
        }
        if access != Access::Account && !is_readable {
            return failure(401, "The access token is invalid").into();
        }
        if self.is_suspended && access == Access::Account {
            return failure(403, "Your login is currently disabled").into();
        }
        match (method, path) {
            ("POST", "/api/v1/statuses") => self.post(request),
            ("POST", "/api/v2/media") => self.take_medium(request),
            ("GET", "/api/v1/streaming/user") => self.stream(),
            ("GET", path) => match self.read_faults.pop_front() {
                Some(Fault::Answer(status, headers, body)) => Answer {
                    status,
                    headers,
                    body: body.into(),
                }
                .into(),
                Some(_) => Reply::Hangup,
                None => self.read(path, request, access).into(),
            },
            ("PUT", path) => match path.strip_prefix("/api/v1/statuses/") {
                Some(id) => self.change(id, request).into(),
                None => failure(404, "Record not found").into(),
            },
            ("DELETE", path) => match path.strip_prefix("/api/v1/statuses/") {
                Some(id) => self.delete(id).into(),
                None => failure(404, "Record not found").into(),
            },
            _ => failure(404, "Record not found").into(),
        }
    }

    fn read(&mut self, path: &str, request: &Request, access: Access) -> Answer {
        if path == "/api/v1/accounts/verify_credentials" {
            return found(&account());
        }
        if path == "/api/v1/accounts/lookup" {
            let acct = request.query.get("acct").map(String::as_str);
            return match acct {
                _ if self.is_suspended => failure(410, "Gone"),
                Some(NAME) => found(&account()),
                _ => failure(404, "Record not found"),
            };
        }
        if path == format!("/api/v1/accounts/{ACCOUNT}/statuses") {
            return self.page(request, access);
        }
        if let Some(id) = path.strip_prefix("/api/v1/statuses/") {
            let status = self.statuses.iter().find(|it| it.id == id);
            return match status.filter(|it| is_visible(it, access)) {
                Some(status) => found(&self.shown(status)),
                None => failure(404, "Record not found"),
            };
        }
        if let Some(id) = path.strip_prefix("/api/v1/media/") {
            return self.look_at_medium(id);
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
        let key = request.headers.get("idempotency-key").cloned();
        if let Some(id) = key.as_ref().and_then(|key| self.kept_id(key)) {
            return match self.statuses.iter().find(|status| status.id == id) {
                Some(status) => found(&self.shown(status)),
                None => failure(404, "Record not found"),
            };
        }
        let mut status = match self.draft(request, None) {
            Ok(status) => status,
            Err(refusal) => return refusal,
        };
        status.key = key;
        let id = self.store(status);
        let status = self.statuses.iter().find(|it| it.id == id);
        found(&self.shown(status.expect("was stored")))
    }

    /// The status that a request describes, if it is one that may stand; `own` is the id of the
    /// status that it changes.
    fn draft(&mut self, request: &Request, own: Option<&str>) -> Result<Posted, Answer> {
        let body = serde_json::from_slice::<Value>(&request.body)
            .map_err(|_| failure(400, "Bad Request"))?;
        let field = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let text = field("status").unwrap_or_default();
        let warning = field("spoiler_text").filter(|it| !it.is_empty());
        let media = strings(&body["media_ids"]);
        if text.trim().is_empty() && media.is_empty() {
            return Err(failure(422, "Validation failed: Text can't be blank"));
        }
        let measured = text::length(&text) + warning.as_deref().map_or(0, text::length);
        if measured > self.max_characters {
            let max = self.max_characters;
            let text = format!("Validation failed: Text character limit of {max} exceeded");
            return Err(failure(422, &text));
        }
        let parent = field("in_reply_to_id");
        let stands = |id: &String| self.statuses.iter().any(|status| status.id == *id);
        if parent.as_ref().is_some_and(|id| !stands(id)) {
            return Err(failure(
                404,
                "The post you are trying to reply to does not appear to exist.",
            ));
        }
        let quoted = field("quoted_status_id").filter(|_| self.api_version >= 7);
        if quoted.as_ref().is_some_and(|id| !stands(id)) {
            return Err(failure(404, "Record not found"));
        }
        let poll = body.get("poll").filter(|poll| !poll.is_null()).cloned();
        if let Some(refusal) = poll.as_ref().and_then(poll_refusal) {
            return Err(refusal);
        }
        if poll.is_some() && !media.is_empty() {
            return Err(failure(
                422,
                "Validation failed: Cannot attach media to a poll",
            ));
        }
        self.attach(&media, own)?;
        Ok(Posted {
            text,
            warning,
            media,
            poll,
            quoted,
            language: field("language"),
            visibility: field("visibility"),
            in_reply_to_account_id: parent.as_ref().map(|_| ACCOUNT.to_owned()),
            in_reply_to_id: parent,
            is_sensitive: body["sensitive"].as_bool().unwrap_or_default(),
            ..Posted::default()
        })
    }

    fn change(&mut self, id: &str, request: &Request) -> Answer {
        if self.statuses.iter().all(|it| it.id != id) {
            return failure(404, "Record not found");
        }
        let draft = match self.draft(request, Some(id)) {
            Ok(draft) => draft,
            Err(refusal) => return refusal,
        };
        let Some(status) = self.statuses.iter_mut().find(|it| it.id == id) else {
            return failure(404, "Record not found");
        };
        let is_changed = (&status.text, &status.warning, &status.media)
            != (&draft.text, &draft.warning, &draft.media);
        status.text = draft.text;
        status.warning = draft.warning;
        status.media = draft.media;
        status.language = draft.language;
        status.is_sensitive = draft.is_sensitive;
        status.n_edits += u32::from(is_changed);
        let status = status.clone();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        self.describe(&body["media_attributes"]);
        found(&self.shown(&status))
    }

    fn delete(&mut self, id: &str) -> Answer {
        let Some(status) = self.statuses.iter().find(|it| it.id == id) else {
            return failure(404, "Record not found");
        };
        let answer = found(&self.shown(status));
        self.remove(id);
        answer
    }

    fn remove(&mut self, id: &str) {
        self.statuses.retain(|status| status.id != id);
        self.say(&format!("event: delete\ndata: {id}\n\n"));
    }

    fn rewrite(&mut self, id: &str, text: &str) {
        let Some(status) = self.statuses.iter_mut().find(|it| it.id == id) else {
            return;
        };
        status.text = text.to_owned();
        status.n_edits += 1;
        let status = status.clone();
        let status = self.shown(&status);
        self.say(&format!("event: status.update\ndata: {status}\n\n"));
    }

    fn kept_id(&self, key: &str) -> Option<String> {
        let (id, at) = self.kept.get(key)?;
        let age = SystemTime::now().duration_since(*at).unwrap_or_default();
        (self.keys == Keys::Kept && age < KEY_LIFE).then(|| id.clone())
    }

    fn store(&mut self, status: Posted) -> String {
        let id = (112_000_000_000_000_000_u64 + self.n_posted).to_string();
        self.n_posted += 1;
        let at = SystemTime::now();
        if let Some(key) = &status.key {
            self.kept.insert(key.clone(), (id.clone(), at));
        }
        let status = Posted {
            id: id.clone(),
            at: Some(at),
            ..status
        };
        let shown = self.shown(&status);
        self.statuses.push(status);
        self.say(&format!("event: update\ndata: {shown}\n\n"));
        id
    }

    fn stream(&mut self) -> Reply {
        let (sender, pieces) = mpsc::channel();
        // The first piece tells a client that the stream is there.
        let _ = sender.send(":)\n".to_owned());
        self.streams.push(sender);
        let head = Answer::new(200, "text/event-stream", "");
        Reply::Pieces(head, Arc::new(Mutex::new(pieces)))
    }

    /// Says something in every stream.
    fn say(&mut self, piece: &str) {
        self.streams
            .retain(|stream| stream.send(piece.to_owned()).is_ok());
    }

    fn shown(&self, status: &Posted) -> Value {
        let at = |at: SystemTime| {
            let time = self.time(at);
            time.to_rfc3339_opts(SecondsFormat::Millis, true)
        };
        let posted_at = status.at.unwrap_or_else(SystemTime::now);
        let edited_at = posted_at + Duration::from_secs(u64::from(status.n_edits));
        let content = match status.reblog {
            Some(_) => String::new(),
            None => text::html(&status.text),
        };
        let quote = status.quoted.as_ref().map(|id| {
            json!({"state": "accepted", "quoted_status": {
                "id": id,
                "url": format!("{HOME}/@{NAME}/{id}"),
            }})
        });
        json!({
            "id": status.id,
            "created_at": at(posted_at),
            "edited_at": (status.n_edits > 0).then(|| at(edited_at)),
            "in_reply_to_id": status.in_reply_to_id,
            "in_reply_to_account_id": status.in_reply_to_account_id,
            "sensitive": status.is_sensitive,
            "spoiler_text": status.warning.as_deref().unwrap_or_default(),
            "visibility": status.visibility.as_deref().unwrap_or("public"),
            "language": status.language,
            "uri": format!("{HOME}/users/{NAME}/statuses/{}", status.id),
            "url": format!("{HOME}/@{NAME}/{}", status.id),
            "content": content,
            "account": account(),
            "media_attachments": self.shown_media(&status.media),
            "mentions": text::mentions(&status.text),
            "poll": status.poll.as_ref().map(|poll| shown_poll(poll, &at(posted_at + Duration::from_secs(86_400)))),
            "quote": quote,
            "reblog": status.reblog,
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
            "api_versions": {"mastodon": self.api_version},
            "configuration": {
                "statuses": {
                    "max_characters": self.max_characters,
                    "max_media_attachments": media::MAX_MEDIA,
                    "characters_reserved_per_url": 23,
                },
                "media_attachments": {
                    "supported_mime_types": media::TYPES,
                    "image_size_limit": media::MAX_IMAGE,
                    "video_size_limit": media::MAX_VIDEO,
                    "description_limit": media::MAX_DESCRIPTION,
                },
                "polls": {
                    "max_options": MAX_OPTIONS,
                    "max_characters_per_option": MAX_OPTION,
                    "min_expiration": 300,
                    "max_expiration": 2_629_746,
                },
            },
        }))
    }

    /// The refusal of a request too many.
    fn beyond_budget(&mut self) -> Option<Answer> {
        let (left, seconds) = self.budget.as_mut()?;
        let reset = DateTime::<Utc>::from(SystemTime::now())
            + chrono::Duration::seconds(self.lead + *seconds);
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let reset = reset.to_rfc3339_opts(SecondsFormat::Micros, true);
        Some(
            failure(429, "Too many requests")
                .with("X-RateLimit-Limit", "300")
                .with("X-RateLimit-Remaining", "0")
                .with("X-RateLimit-Reset", reset),
        )
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

const MAX_OPTIONS: usize = 4;
const MAX_OPTION: usize = 50;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// The account.
    Account,
    /// Somebody without a token.
    Nobody,
    /// Somebody with a token that is none.
    Stranger,
}

impl Access {
    fn of(request: &Request) -> Self {
        match request.headers.get("authorization") {
            None => Self::Nobody,
            Some(token) if *token == format!("Bearer {TOKEN}") => Self::Account,
            Some(_) => Self::Stranger,
        }
    }
}

/// Whether a route can be read without an account.
fn is_public(path: &str) -> bool {
    let is_account = path.starts_with("/api/v1/accounts/") && !path.ends_with("verify_credentials");
    is_account || path.starts_with("/api/v1/statuses/")
}

fn is_visible(status: &Posted, access: Access) -> bool {
    let visibility = status.visibility.as_deref();
    access == Access::Account || matches!(visibility, None | Some("public" | "unlisted"))
}

fn account() -> Value {
    json!({
        "id": ACCOUNT,
        "username": NAME,
        "acct": NAME,
        "url": format!("{HOME}/@{NAME}"),
    })
}

fn poll_refusal(poll: &Value) -> Option<Answer> {
    let options = strings(&poll["options"]);
    let is_long = |option: &String| option.chars().count() > MAX_OPTION;
    if options.len() < 2 || options.len() > MAX_OPTIONS || options.iter().any(is_long) {
        return Some(failure(422, "Validation failed: Choices are wrong"));
    }
    let lasts = poll["expires_in"].as_u64().unwrap_or_default();
    (!(300..=2_629_746).contains(&lasts))
        .then(|| failure(422, "Validation failed: Expiration is wrong"))
}

fn shown_poll(poll: &Value, expires_at: &str) -> Value {
    let options = strings(&poll["options"]);
    let options = options
        .iter()
        .map(|title| json!({"title": title, "votes_count": 0}));
    json!({
        "id": "7",
        "expires_at": expires_at,
        "multiple": poll["multiple"].as_bool().unwrap_or_default(),
        "options": options.collect::<Vec<_>>(),
    })
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    let texts = list.iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
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
