//! A simulated X: accounts, posts, media, signatures, tokens, limits, prices, and many faults.

mod answers;
mod caller;
mod count;
mod media;
mod read;
mod show;
mod sign;
mod stream;
mod write;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::faults::Fault;
use super::server::{Answer, Reply, Request, Server};
use answers::{depleted, unauthorized, unknown};
pub use count::{has_link, weight};
use media::Upload;
use stream::Streams;

/// The keys of the account, as OAuth 1.0a has them.
pub const CONSUMER_KEY: &str = "app-key";
pub const CONSUMER_SECRET: &str = "app-secret+/";
pub const TOKEN: &str = "2244994945-account-token";
pub const TOKEN_SECRET: &str = "account-token-secret";
/// The app's own token, which reads.
pub const APP_TOKEN: &str = "AAAA-app-token";
/// The app under OAuth 2, and the refresh token that a person made.
pub const CLIENT_ID: &str = "client-of-the-app";
pub const REFRESH_TOKEN: &str = "refresh-0";
/// The account that posts.
pub const ACCOUNT: &str = "2244994945";
pub const USERNAME: &str = "bot";
/// Milliseconds of the first id.
const EPOCH: u64 = 1_288_834_974_657;
/// How long a post is remembered as a duplicate.
const DOUBLE: Duration = Duration::from_secs(3600);
/// How far a signature's time may be off, in seconds.
const TOLERANCE: u64 = 60;
/// How many seconds a window has.
const WINDOW: u64 = 900;

/// How fields are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Tweets,
    Posts,
}

/// A post that stands, or stood.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub id: u64,
    pub author: String,
    pub text: String,
    pub parent: Option<u64>,
    pub quoted: Option<u64>,
    pub reposted: Option<u64>,
    pub media: Vec<String>,
    pub options: Vec<String>,
    pub lang: String,
    pub versions: Vec<u64>,
    pub is_deleted: bool,
    /// Whether no search finds it yet.
    pub is_late: bool,
    at: Option<SystemTime>,
}

/// A running X.
pub struct X {
    server: Server,
    node: Arc<Mutex<Node>>,
}

struct Node {
    /// (id, name).
    members: Vec<(String, String)>,
    posts: Vec<Stored>,
    uploads: HashMap<String, Upload>,
    /// What was billed: for what, and US dollars.
    billed: Vec<(&'static str, f64)>,
    /// The posts that were read today, which are billed once.
    read: HashSet<u64>,
    balance: f64,
    is_suspended: bool,
    has_summons: bool,
    names: Names,
    max_weight: usize,
    page: usize,
    /// How far its clock is ahead of the world's, in seconds.
    lead: i64,
    streams: Streams,
    /// Whether the account may quote, which is sold by contract alone.
    may_quote: bool,
    post_limit: u64,
    /// The window's number, and the posts in it.
    window: (u64, u64),
    token: Tokens,
    nonces: HashSet<String>,
    faults: VecDeque<Fault>,
    read_faults: VecDeque<Option<Fault>>,
    requests: Vec<Request>,
    serial: u64,
}

struct Tokens {
    access: String,
    refresh: String,
    scopes: Vec<&'static str>,
    is_expired: bool,
    n_renewed: u64,
    is_reply_lost: bool,
}

impl X {
    pub fn start() -> Self {
        let node = Arc::new(Mutex::new(Node::new()));
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
        self.node().read_faults.push_back(Some(fault));
    }

    /// Lets a coming GET pass before what was made to happen to later ones.
    pub fn pass_next_read(&self) {
        self.node().read_faults.push_back(None);
    }

    /// Lets searches find what they did not find yet.
    pub fn find_late(&self) {
        for post in &mut self.node().posts {
            post.is_late = false;
        }
    }

    /// Sets the clock ahead, or behind.
    pub fn set_lead(&self, seconds: i64) {
        self.node().lead = seconds;
    }

    pub fn set_names(&self, names: Names) {
        self.node().names = names;
    }

    pub fn set_max_weight(&self, max: usize) {
        self.node().max_weight = max;
    }

    /// Shows at most so many posts a page.
    pub fn set_page(&self, posts: usize) {
        self.node().page = posts;
    }

    pub fn set_balance(&self, usd: f64) {
        self.node().balance = usd;
    }

    pub fn set_post_limit(&self, posts: u64) {
        self.node().post_limit = posts;
    }

    /// Lets the account quote posts.
    pub fn let_quote(&self) {
        self.node().may_quote = true;
    }

    pub fn suspend(&self) {
        self.node().is_suspended = true;
    }

    pub fn restore(&self) {
        self.node().is_suspended = false;
    }

    /// Refuses the access token, as it does when two hours are over.
    pub fn expire_token(&self) {
        self.node().token.is_expired = true;
    }

    /// Makes every refresh token that was given out worthless.
    pub fn revoke(&self) {
        let mut node = self.node();
        node.token.is_expired = true;
        node.token.refresh = "revoked".to_owned();
    }

    /// Takes a right from the tokens of OAuth 2.
    pub fn forbid(&self, scope: &str) {
        self.node().token.scopes.retain(|it| *it != scope);
    }

    /// Renews the token once without a word of it.
    pub fn lose_next_renewal(&self) {
        self.node().token.is_reply_lost = true;
    }

    pub fn n_renewed(&self) -> u64 {
        self.node().token.n_renewed
    }

    /// Makes an account, and returns its id.
    pub fn join(&self, username: &str) -> String {
        let mut node = self.node();
        let id = (1_000 + node.members.len()).to_string();
        node.members.push((id.clone(), username.to_owned()));
        id
    }

    /// Posts as that account, and returns the id.
    pub fn show(&self, username: &str, text: &str) -> u64 {
        self.show_as(username, text, |_| {})
    }

    /// Posts as that account something special, and returns the id.
    pub fn show_as(&self, username: &str, text: &str, shape: impl FnOnce(&mut Stored)) -> u64 {
        let mut node = self.node();
        let author = node.id_of(username).expect("a member");
        let mut post = Stored {
            author,
            text: text.to_owned(),
            lang: "en".to_owned(),
            ..Stored::default()
        };
        shape(&mut post);
        node.store(post)
    }

    /// Puts a picture where posts can have it, and returns its key.
    pub fn keep_media(&self, kind: &str, alt: Option<&str>) -> String {
        let mut node = self.node();
        let key = format!("3_{}", node.uploads.len() + 1);
        let upload = Upload::known(kind, alt);
        node.uploads.insert(key.clone(), upload);
        key
    }

    /// The posts of the account that stand, in their order.
    pub fn posts(&self) -> Vec<Stored> {
        let node = self.node();
        let own = node.posts.iter();
        own.filter(|it| it.author == ACCOUNT && !it.is_deleted)
            .cloned()
            .collect()
    }

    /// How often a text stands at the account.
    pub fn n_standing(&self, text: &str) -> usize {
        self.posts().iter().filter(|it| it.text == text).count()
    }

    /// What was uploaded, by its id.
    pub fn upload(&self, id: &str) -> Upload {
        self.node().uploads[id].clone()
    }

    /// US dollars that were billed for that, or for everything.
    pub fn billed(&self, what: Option<&str>) -> f64 {
        let node = self.node();
        let billed = node.billed.iter();
        billed
            .filter(|(name, _)| what.is_none_or(|what| what == *name))
            .map(|(_, usd)| usd)
            .sum()
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
    fn new() -> Self {
        Self {
            members: vec![(ACCOUNT.to_owned(), USERNAME.to_owned())],
            posts: Vec::new(),
            uploads: HashMap::new(),
            billed: Vec::new(),
            read: HashSet::new(),
            balance: 1_000.0,
            is_suspended: false,
            has_summons: false,
            names: Names::Tweets,
            max_weight: 280,
            page: 100,
            lead: 0,
            streams: Streams::default(),
            may_quote: false,
            post_limit: 100,
            window: (0, 0),
            token: Tokens {
                access: "access-0".to_owned(),
                refresh: REFRESH_TOKEN.to_owned(),
                scopes: vec!["tweet.read", "tweet.write", "users.read", "media.write"],
                is_expired: true,
                n_renewed: 0,
                is_reply_lost: false,
            },
            nonces: HashSet::new(),
            faults: VecDeque::new(),
            read_faults: VecDeque::new(),
            requests: Vec::new(),
            serial: 0,
        }
    }

    fn serve(&mut self, request: Request) -> Reply {
        self.requests.push(request.clone());
        let reply = self.answer(&request);
        self.with_headers(&request, reply)
    }

    fn answer(&mut self, request: &Request) -> Reply {
        if request.path == "/2/oauth2/token" {
            return self.renew(request);
        }
        let Some(caller) = self.caller(request) else {
            return unauthorized().into();
        };
        if request.method == "GET"
            && let Some(Some(fault)) = self.read_faults.pop_front()
        {
            return fault.spoil(Answer::default());
        }
        if self.balance <= 0.0 {
            return depleted().into();
        }
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), &parts[..]) {
            ("POST", ["2", "tweets"]) => self.post(request, &caller),
            ("DELETE", ["2", "tweets", id]) => self.delete(id, &caller).into(),
            ("GET", ["2", "users", "me"]) => self.me(&caller).into(),
            ("GET", ["2", "users", "by", "username", name]) => self.member(name, request).into(),
            ("GET", ["2", "users", id, "tweets"]) => self.timeline(id, request).into(),
            ("GET", ["2", "tweets", "search", "stream"]) => self.stream(&caller),
            ("GET", ["2", "tweets", "search", "stream", "rules"]) => self.shown_rules().into(),
            ("POST", ["2", "tweets", "search", "stream", "rules"]) => {
                self.change_rules(request).into()
            }
            ("GET", ["2", "tweets", "search", "recent"]) => self.search(request).into(),
            (_, ["2", "media", rest @ ..]) => self.media(rest, request, &caller).into(),
            _ => unknown().into(),
        }
    }

    fn bill(&mut self, what: &'static str, usd: f64) {
        self.balance -= usd;
        self.billed.push((what, usd));
    }

    fn bill_read(&mut self, post: &Stored) {
        if self.read.insert(post.id) {
            let price = if post.author == ACCOUNT { 0.001 } else { 0.005 };
            self.bill("read", price);
        }
    }

    fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let shift = Duration::from_secs(self.lead.unsigned_abs());
        if self.lead < 0 {
            now - shift
        } else {
            now + shift
        }
    }
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

fn seconds(at: SystemTime) -> u64 {
    millis(at) / 1_000
}

/// When the post of that id was posted.
fn millis_of(id: u64) -> u64 {
    (id >> 22) + EPOCH
}
