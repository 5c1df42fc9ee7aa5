//! A simulated server that speaks Mastodon's API, with the habits of several, and many faults.

mod access;
mod media;
mod pages;
mod scheduled;
mod show;
mod text;
mod write;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::faults::Fault;
use super::server::{Answer, Reply, Request, Server};
use access::{Access, is_public, is_visible};
pub use media::{Handling, Medium};
pub use scheduled::Scheduled;
use show::account;

/// The token that is accepted at first.
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
/// What a poll may have: so many choices, of so many characters.
const MAX_OPTIONS: usize = 4;
const MAX_OPTION: usize = 50;

/// What the server does with idempotency keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It keeps them for an hour, like Mastodon.
    Kept,
    /// It does not look at them, like snac2 and GoToSocial.
    Ignored,
}

/// What is answered while another request holds the key's lock.
pub fn locked() -> Fault {
    let text = "There was a temporary problem serving your request, please try again";
    Fault::Answer(failure(503, text))
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
    /// The id that it had before an edit gave it another.
    pub first_id: Option<String>,
    /// How often readers have voted in its poll.
    pub n_votes: u32,
    pub at: Option<SystemTime>,
}

/// A running server.
pub struct Mastodon {
    server: Server,
    node: Arc<Mutex<Node>>,
}

struct Node {
    token: String,
    keys: Keys,
    has_v2: bool,
    max_characters: usize,
    /// The version of Mastodon's own API.
    api_version: u32,
    /// How far its clock is ahead of the world's, in seconds.
    lead: i64,
    /// Whether it shows itself to those without an account only.
    is_closed: bool,
    /// Whether an edit gives a status another id and the first place.
    renews_edited: bool,
    /// Whether it looks at ids that pages should begin or end at.
    has_pages: bool,
    /// The account was suspended.
    is_suspended: bool,
    /// So many more requests are answered, and the limit is renewed after so many seconds.
    budget: Option<(usize, i64)>,
    n_posted: u64,
    statuses: Vec<Posted>,
    n_scheduled: u64,
    scheduled: Vec<Scheduled>,
    /// Whether it publishes anything at a later time.
    has_schedule: bool,
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
        let server = Server::of(&node, Node::serve);
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

    /// Gives what is edited from now on another id, and shows it as the newest, as some servers do
    /// that are not Mastodon.
    pub fn renew_edited(&self) {
        self.node().renews_edited = true;
    }

    /// Has a reader vote in the poll of a status.
    pub fn vote(&self, id: &str) {
        let mut node = self.node();
        let status = node.statuses.iter_mut().find(|it| it.id == id);
        status.expect("it stands").n_votes += 1;
    }

    /// Revokes the token, and accepts this one from now on.
    pub fn replace_token(&self, token: &str) {
        self.node().token = token.to_owned();
    }

    /// Suspends the account.
    pub fn suspend(&self) {
        self.node().is_suspended = true;
    }

    /// Lets the account in again.
    pub fn restore(&self) {
        self.node().is_suspended = false;
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
        let mut node = self.node();
        node.publish_due();
        node.statuses.clone()
    }

    /// All that waits for its time, in the order it was handed in.
    pub fn scheduled(&self) -> Vec<Scheduled> {
        let mut node = self.node();
        node.publish_due();
        node.scheduled.clone()
    }

    /// Takes back all that waits for its time, as a person in the server's own list.
    pub fn take_back_scheduled(&self) {
        let ids: Vec<String> = self.scheduled().into_iter().map(|it| it.id).collect();
        let mut node = self.node();
        for id in ids {
            node.unschedule(&id);
        }
    }

    /// Gives all that waits another time, so many seconds later, as a person.
    pub fn put_off_scheduled(&self, seconds: i64) {
        let later = chrono::Duration::seconds(seconds);
        for it in self.scheduled() {
            self.node().reschedule(&it.id, it.at + later);
        }
    }

    /// Publishes everything at once, and has no list of what waits for its time, like snac2.
    pub fn forget_schedule(&self) {
        self.node().has_schedule = false;
    }

    /// Where what stands there leads, as readers get it.
    pub fn links(&self) -> Vec<String> {
        let statuses = self.statuses().into_iter();
        statuses.flat_map(|it| text::links(&it.text)).collect()
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
            token: TOKEN.to_owned(),
            keys,
            has_v2: true,
            max_characters: 500,
            api_version: 6,
            lead: 0,
            is_closed: false,
            renews_edited: false,
            has_pages: true,
            is_suspended: false,
            budget: None,
            n_posted: 0,
            statuses: Vec::new(),
            n_scheduled: 0,
            scheduled: Vec::new(),
            has_schedule: true,
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
        self.publish_due();
        let reply = match self.beyond_budget() {
            Some(refusal) => refusal.into(),
            None => self.route(&request),
        };
        self.with_date(reply)
    }

    fn route(&mut self, request: &Request) -> Reply {
        let access = self.access(request);
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
                Some(fault) => fault.spoil(Answer::default()),
                None => self.read(path, request, access).into(),
            },
            ("PUT", path) => match path.strip_prefix("/api/v1/statuses/") {
                Some(id) => self.change(id, request).into(),
                None => failure(404, "Record not found").into(),
            },
            ("DELETE", path) => match (path.strip_prefix("/api/v1/statuses/"), scheduled(path)) {
                (Some(id), _) => self.delete(id).into(),
                (None, Some(id)) => self.unschedule(id.trim_start_matches('/')).into(),
                (None, None) => failure(404, "Record not found").into(),
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
        if let Some(rest) = scheduled(path).filter(|_| self.has_schedule) {
            return self.read_scheduled(rest, request);
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

/// What stands behind the address of the list of what waits for its time.
fn scheduled(path: &str) -> Option<&str> {
    path.strip_prefix("/api/v1/scheduled_statuses")
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
