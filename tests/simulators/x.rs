//! A simulated X: accounts, posts, media, signatures, tokens, limits, prices, and many faults.

mod count;
mod media;
mod sign;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::server::{Answer, Reply, Request, Server};
pub use count::{has_link, weight};
use media::Upload;

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

/// What happens to a coming post, or a coming question, instead of its being answered.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing is done, and this is answered: status, headers, body.
    Answer(u16, Vec<(String, String)>, String),
    /// It is posted, and the connection is closed without a word.
    ReplyLost,
    /// It is posted, and 503 is answered.
    Unavailable,
    /// It is not posted, and the connection is closed without a word.
    RequestLost,
    /// It is posted, and half of the answer arrives.
    HalfReply,
}

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
    post_limit: u64,
    /// The window's number, and the posts in it.
    window: (u64, u64),
    token: Tokens,
    nonces: HashSet<String>,
    faults: VecDeque<Fault>,
    read_faults: VecDeque<Fault>,
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

/// Who asks.
enum Caller {
    Account(Vec<&'static str>),
    App,
}

impl X {
    pub fn start() -> Self {
        let node = Arc::new(Mutex::new(Node::new()));
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
            && let Some(fault) = self.read_faults.pop_front()
        {
            return match fault {
                Fault::Answer(status, headers, body) => answer(status, headers, body).into(),
                _ => Reply::Hangup,
            };
        }
        if self.balance <= 0.0 {
            return depleted().into();
        }
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), &parts[..]) {
            ("POST", ["2", "tweets"]) => self.post(request, &caller),
            ("DELETE", ["2", "tweets", id]) => self.delete(id, &caller).into(),
            ("GET", ["2", "users", "me"]) => self.me(&caller).into(),
            ("GET", ["2", "users", "by", "username", name]) => self.member(name).into(),
            ("GET", ["2", "users", id, "tweets"]) => self.timeline(id, request).into(),
            ("GET", ["2", "tweets", "search", "recent"]) => self.search(request).into(),
            (_, ["2", "media", rest @ ..]) => self.media(rest, request, &caller).into(),
            _ => Answer::default_missing().into(),
        }
    }

    /// Who asks, if the credential is right.
    fn caller(&mut self, request: &Request) -> Option<Caller> {
        let authorization = request.headers.get("authorization")?;
        if let Some(token) = authorization.strip_prefix("Bearer ") {
            if token == APP_TOKEN {
                return Some(Caller::App);
            }
            let is_right = token == self.token.access && !self.token.is_expired;
            return is_right.then(|| Caller::Account(self.token.scopes.clone()));
        }
        let fields = sign::fields(authorization)?;
        let at: u64 = fields.get("oauth_timestamp")?.parse().ok()?;
        let is_timely = at.abs_diff(seconds(self.now())) <= TOLERANCE;
        let nonce = fields.get("oauth_nonce")?.clone();
        let is_new = self.nonces.insert(nonce);
        let is_right = sign::is_right(request, &fields);
        let all = vec!["tweet.read", "tweet.write", "users.read", "media.write"];
        (is_timely && is_new && is_right).then_some(Caller::Account(all))
    }

    fn renew(&mut self, request: &Request) -> Reply {
        let form = sign::form(&request.body);
        let field = |name: &str| form.get(name).map(String::as_str);
        let is_known = field("client_id") == Some(CLIENT_ID);
        let is_right = field("refresh_token") == Some(&*self.token.refresh);
        if field("grant_type") != Some("refresh_token") || !is_known || !is_right {
            let body = json!({
                "error": "invalid_request",
                "error_description": "Value passed for the token was invalid.",
            });
            return Answer::new(400, "application/json", body.to_string()).into();
        }
        let number = self.token.n_renewed + 1;
        self.token.n_renewed = number;
        self.token.access = format!("access-{number}");
        self.token.refresh = format!("refresh-{number}");
        self.token.is_expired = false;
        if std::mem::take(&mut self.token.is_reply_lost) {
            return Reply::Hangup;
        }
        let body = json!({
            "token_type": "bearer",
            "expires_in": 7200,
            "access_token": self.token.access,
            "scope": self.token.scopes.join(" "),
            "refresh_token": self.token.refresh,
        });
        Answer::new(200, "application/json", body.to_string()).into()
    }

    fn post(&mut self, request: &Request, caller: &Caller) -> Reply {
        if !may(caller, "tweet.write") {
            return not_permitted().into();
        }
        let fault = self.faults.pop_front();
        match fault {
            Some(Fault::Answer(status, headers, body)) => {
                return answer(status, headers, body).into();
            }
            Some(Fault::RequestLost) => return Reply::Hangup,
            _ => {}
        }
        let created = self.create(request);
        match fault {
            Some(Fault::ReplyLost) => Reply::Hangup,
            Some(Fault::Unavailable) => {
                let body = "<html><head><title>503 Service Unavailable</title></head></html>";
                Answer::new(503, "text/html", body).into()
            }
            Some(Fault::HalfReply) => Reply::Half(created),
            _ => created.into(),
        }
    }

    fn create(&mut self, request: &Request) -> Answer {
        if self.is_suspended {
            return forbidden(
                "Your account is suspended and is not permitted to access this feature.",
            );
        }
        if !self.count_post() {
            return problem(429, "Too Many Requests", "Too Many Requests", "about:blank");
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return invalid("not JSON");
        };
        let text = body["text"].as_str().unwrap_or_default().to_owned();
        let ids = |list: &Value| -> Vec<String> {
            let list = list.as_array().into_iter().flatten();
            list.filter_map(|id| id.as_str().map(str::to_owned))
                .collect()
        };
        let media = ids(&body["media"]["media_ids"]);
        let options = ids(&body["poll"]["options"]);
        if text.trim().is_empty() && media.is_empty() {
            return invalid("text is missing");
        }
        if weight(&text) > self.max_weight {
            return forbidden("Your Post text is too long.");
        }
        if let Some(refusal) = self.refuse_media(&media, &options) {
            return refusal;
        }
        if self.is_double(&text) {
            return forbidden("You are not allowed to create a Tweet with duplicate content.");
        }
        let parent = body["reply"]["in_reply_to_tweet_id"].as_str();
        let parent = match parent.map(|id| self.parent(id)) {
            None => None,
            Some(Ok(parent)) => Some(parent),
            Some(Err(refusal)) => return refusal,
        };
        let price = if has_link(&text) { 0.20 } else { 0.015 };
        let id = self.store(Stored {
            author: ACCOUNT.to_owned(),
            text,
            parent,
            media,
            options,
            lang: "und".to_owned(),
            ..Stored::default()
        });
        self.bill("post", price);
        let post = self.posts.last().expect("was stored");
        let body = json!({"data": {
            "id": id.to_string(),
            "text": self.shown_text(post).0,
            "edit_history_tweet_ids": [id.to_string()],
        }});
        Answer::new(201, "application/json; charset=utf-8", body.to_string())
    }

    /// Whether one more post is within the limit.
    fn count_post(&mut self) -> bool {
        let window = seconds(self.now()) / WINDOW;
        if self.window.0 != window {
            self.window = (window, 0);
        }
        let is_within = self.window.1 < self.post_limit;
        self.window.1 += u64::from(is_within);
        is_within
    }

    fn refuse_media(&self, media: &[String], options: &[String]) -> Option<Answer> {
        let is_poll = !options.is_empty();
        let fits = (2..=4).contains(&options.len())
            && options
                .iter()
                .all(|it| (1..=25).contains(&it.chars().count()));
        if is_poll && (!fits || !media.is_empty()) {
            return Some(invalid("the poll is not valid"));
        }
        let is_ready = |id: &String| self.uploads.get(id).is_some_and(Upload::is_ready);
        if !media.iter().all(is_ready) || media.len() > 4 {
            return Some(invalid("Your media IDs are invalid."));
        }
        let is_alone = |id: &String| self.uploads[id].category != "tweet_image";
        if media.len() > 1 && media.iter().any(is_alone) {
            return Some(invalid("more than one film"));
        }
        None
    }

    fn is_double(&self, text: &str) -> bool {
        let is_young = |post: &Stored| {
            let at = post.at.unwrap_or(UNIX_EPOCH);
            SystemTime::now().duration_since(at).unwrap_or_default() < DOUBLE
        };
        let own = self.posts.iter().filter(|post| post.author == ACCOUNT);
        own.filter(|post| is_young(post))
            .any(|post| post.text == text)
    }

    /// The post that may be answered.
    fn parent(&self, id: &str) -> Result<u64, Answer> {
        let parent = self.posts.iter().find(|post| post.id.to_string() == id);
        let parent = parent.filter(|post| !post.is_deleted).ok_or_else(|| {
            forbidden("You attempted to reply to a Tweet that is deleted or not visible to you.")
        })?;
        let is_summoned = parent.text.contains(&format!("@{USERNAME}"));
        if parent.author == ACCOUNT || is_summoned {
            Ok(parent.id)
        } else {
            Err(forbidden(
                "Reply to this conversation is not allowed because you have not been mentioned or \
                 otherwise engaged by the author of the post you are replying to.",
            ))
        }
    }

    fn delete(&mut self, id: &str, caller: &Caller) -> Answer {
        if !may(caller, "tweet.write") {
            return not_permitted();
        }
        let own = self.posts.iter_mut().filter(|post| post.author == ACCOUNT);
        let mut standing = own.filter(|post| !post.is_deleted);
        match standing.find(|post| post.id.to_string() == id) {
            None => missing(),
            Some(post) => {
                post.is_deleted = true;
                self.bill("delete", 0.010);
                found(&json!({"data": {"deleted": true}}))
            }
        }
    }

    fn me(&mut self, caller: &Caller) -> Answer {
        if !may(caller, "users.read") {
            return not_permitted();
        }
        self.bill("owned", 0.001);
        found(&json!({"data": {"id": ACCOUNT, "name": "Bot", "username": USERNAME}}))
    }

    fn member(&mut self, username: &str) -> Answer {
        let Some(id) = self.id_of(username) else {
            return missing();
        };
        self.bill("user", 0.010);
        found(&json!({"data": {"id": id, "name": username, "username": username}}))
    }

    fn id_of(&self, username: &str) -> Option<String> {
        let mut members = self.members.iter();
        let member = members.find(|(_, name)| name.eq_ignore_ascii_case(username));
        member.map(|(id, _)| id.clone())
    }

    fn timeline(&mut self, id: &str, request: &Request) -> Answer {
        if !self.members.iter().any(|(member, _)| member == id) {
            return missing();
        }
        let excluded = parameter(request, "exclude").unwrap_or_default();
        let is_excluded = |post: &Stored| {
            excluded.contains("retweets") && post.reposted.is_some()
                || excluded.contains("replies") && post.parent.is_some()
        };
        let posts = self.posts.iter();
        let posts = posts.filter(|it| it.author == id && !is_excluded(it));
        let ids: Vec<u64> = posts.map(|post| post.id).collect();
        self.page(ids, request)
    }

    fn search(&mut self, request: &Request) -> Answer {
        let query = parameter(request, "query").unwrap_or_default();
        if query.is_empty() || query.len() > 512 {
            return invalid("query is missing or too long");
        }
        if let Some(since) = parameter(request, "since_id")
            && let Ok(since) = since.parse::<u64>()
            && millis_of(since) + 7 * 86_400_000 < millis(self.now())
        {
            return invalid("'since_id' must be a tweet id created after [seven days ago]");
        }
        let wanted: Vec<String> = query
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':')
            .filter_map(|word| word.strip_prefix("from:"))
            .filter_map(|name| self.id_of(name))
            .collect();
        let no_reposts = query.contains("-is:retweet");
        let no_replies = query.contains("-is:reply");
        let posts = self.posts.iter().filter(|post| {
            wanted.contains(&post.author)
                && !(no_reposts && post.reposted.is_some())
                && !(no_replies && post.parent.is_some())
        });
        let ids: Vec<u64> = posts.map(|post| post.id).collect();
        self.page(ids, request)
    }

    /// A page of these posts, the newest first, billed.
    fn page(&mut self, ids: Vec<u64>, request: &Request) -> Answer {
        let (param, other) = match self.names {
            Names::Tweets => ("tweet.fields", "post.fields"),
            Names::Posts => ("post.fields", "tweet.fields"),
        };
        if parameter(request, other).is_some() {
            return invalid("one of the parameters is not known");
        }
        let number = |name: &str| parameter(request, name).and_then(|it| it.parse::<u64>().ok());
        let most = number("max_results").unwrap_or(10);
        if !(5..=100).contains(&most) {
            return invalid("max_results is not between 5 and 100");
        }
        let most = self.page.min(most as usize);
        let start = parameter(request, "start_time");
        let start = start.and_then(|it| DateTime::parse_from_rfc3339(&it).ok());
        let token = parameter(request, "pagination_token").or(parameter(request, "next_token"));
        // A token names the last post of the page before, so what is new meanwhile shifts nothing.
        let below = token.and_then(|it| it.strip_prefix("below-")?.parse::<u64>().ok());
        let mut chosen: Vec<Stored> = self
            .posts
            .iter()
            .filter(|post| ids.contains(&post.id) && !post.is_deleted)
            .filter(|post| number("since_id").is_none_or(|since| post.id > since))
            .filter(|post| below.is_none_or(|below| post.id < below))
            .filter(|post| {
                start.is_none_or(|start| millis_of(post.id) as i64 >= start.timestamp_millis())
            })
            .cloned()
            .collect();
        chosen.sort_by_key(|post| std::cmp::Reverse(post.id));
        let has_more = chosen.len() > most;
        chosen.truncate(most);
        if chosen.is_empty() {
            return found(&json!({"meta": {"result_count": 0}}));
        }
        for post in &chosen {
            self.bill_read(post);
        }
        let fields = parameter(request, param).unwrap_or_default();
        let expansions = parameter(request, "expansions").unwrap_or_default();
        let shown: Vec<Value> = chosen.iter().map(|it| self.shown(it, &fields)).collect();
        let oldest = chosen.last().map_or(0, |post| post.id);
        let mut meta = json!({
            "result_count": chosen.len(),
            "newest_id": chosen[0].id.to_string(),
            "oldest_id": oldest.to_string(),
        });
        if has_more {
            meta["next_token"] = json!(format!("below-{oldest}"));
        }
        found(&json!({
            "data": shown,
            "includes": self.includes(&chosen, &fields, &expansions),
            "meta": meta,
        }))
    }

    fn includes(&self, posts: &[Stored], fields: &str, expansions: &str) -> Value {
        let mut includes = serde_json::Map::new();
        if expansions.contains("attachments.media_keys") {
            let keys = posts.iter().flat_map(|post| &post.media);
            let media: Vec<Value> = keys
                .filter_map(|key| Some(self.uploads.get(key)?.shown(key)))
                .collect();
            includes.insert("media".into(), json!(media));
        }
        if expansions.contains("attachments.poll_ids") {
            let polls = posts.iter().filter(|post| !post.options.is_empty());
            let polls: Vec<Value> = polls
                .map(|post| {
                    let options = post.options.iter().map(|it| json!({"label": it}));
                    let options: Vec<Value> = options.collect();
                    json!({"id": format!("p{}", post.id), "options": options, "duration_minutes": 60})
                })
                .collect();
            includes.insert("polls".into(), json!(polls));
        }
        let (expansion, name) = match self.names {
            Names::Tweets => ("referenced_tweets.id", "tweets"),
            Names::Posts => ("referenced_posts", "posts"),
        };
        if expansions.contains(expansion) {
            let ids = posts
                .iter()
                .flat_map(|it| [it.parent, it.quoted, it.reposted]);
            let ids: Vec<u64> = ids.flatten().collect();
            let referred = self.posts.iter().filter(|post| ids.contains(&post.id));
            let referred: Vec<Value> = referred.map(|post| self.shown(post, fields)).collect();
            includes.insert(name.into(), json!(referred));
        }
        Value::Object(includes)
    }

    fn shown(&self, post: &Stored, fields: &str) -> Value {
        let (text, urls) = self.shown_text(post);
        let (references, note, versions) = match self.names {
            Names::Tweets => ("referenced_tweets", "note_tweet", "edit_history_tweet_ids"),
            Names::Posts => ("referenced_posts", "note_post", "edit_history_post_ids"),
        };
        let history = post.versions.iter().chain([&post.id]);
        let history: Vec<String> = history.map(u64::to_string).collect();
        let mut shown = json!({"id": post.id.to_string(), "text": text});
        shown[versions] = json!(history);
        let wants = |name: &str| fields.split(',').any(|field| field.trim() == name);
        let mut add = |name: &str, value: Value| {
            if wants(name) && !value.is_null() {
                shown[name] = value;
            }
        };
        let at = DateTime::<Utc>::from(UNIX_EPOCH + Duration::from_millis(millis_of(post.id)));
        add(
            "created_at",
            json!(at.to_rfc3339_opts(SecondsFormat::Millis, true)),
        );
        add("lang", json!(post.lang));
        add("author_id", json!(post.author));
        add("possibly_sensitive", json!(false));
        let parent = post
            .parent
            .and_then(|id| self.posts.iter().find(|it| it.id == id));
        add(
            "in_reply_to_user_id",
            parent.map_or(Value::Null, |parent| json!(parent.author)),
        );
        let kinds = [
            ("replied_to", post.parent),
            ("quoted", post.quoted),
            ("retweeted", post.reposted),
        ];
        let refers: Vec<Value> = kinds
            .iter()
            .filter_map(|(kind, id)| Some(json!({"type": kind, "id": (*id)?.to_string()})))
            .collect();
        if !refers.is_empty() {
            add(references, json!(refers));
        }
        if !post.media.is_empty() {
            add("attachments", json!({"media_keys": post.media}));
        }
        if !post.options.is_empty() {
            add(
                "attachments",
                json!({"poll_ids": [format!("p{}", post.id)]}),
            );
        }
        if weight(&post.text) > 280 {
            let whole = json!({"text": text, "entities": {"urls": urls}});
            add(note, whole);
            let cut: String = text.chars().take(270).collect();
            shown["text"] = json!(format!("{cut}…"));
        } else if !urls.is_empty() {
            add("entities", json!({"urls": urls}));
        }
        shown
    }

    /// The text as it is shown, and where its short addresses stand.
    fn shown_text(&self, post: &Stored) -> (String, Vec<Value>) {
        if let Some(id) = post.reposted {
            let other = self.posts.iter().find(|it| it.id == id).expect("is there");
            let (_, name) = self
                .members
                .iter()
                .find(|it| it.0 == other.author)
                .expect("a member");
            let cut: String = other.text.chars().take(20).collect();
            return (format!("RT @{name}: {cut}…"), Vec::new());
        }
        let mut shown = String::new();
        let mut urls = Vec::new();
        let mut short = |shown: &mut String, expanded: String, key: Option<&String>| {
            let url = format!("https://t.co/{:010x}{}", post.id, urls.len());
            let start = shown.chars().count();
            let end = start + url.chars().count();
            shown.push_str(&url);
            let mut entity =
                json!({"start": start, "end": end, "url": url, "expanded_url": expanded});
            if let Some(key) = key {
                entity["media_key"] = json!(key);
            }
            urls.push(entity);
        };
        let mut done = 0;
        for (start, end) in count::links(&post.text) {
            shown.push_str(&escaped(&post.text[done..start]));
            let link = &post.text[start..end];
            let has_scheme = link.starts_with("http");
            let link = if has_scheme {
                link.to_owned()
            } else {
                format!("http://{link}")
            };
            short(&mut shown, link, None);
            done = end;
        }
        shown.push_str(&escaped(&post.text[done..]));
        if let Some(quoted) = post.quoted {
            shown.push(' ');
            short(
                &mut shown,
                format!("https://twitter.com/someone/status/{quoted}"),
                None,
            );
        }
        if let Some(key) = post.media.first() {
            shown.push(' ');
            let place = format!("https://x.com/someone/status/{}/photo/1", post.id);
            short(&mut shown, place, Some(key));
        }
        (shown, urls)
    }

    fn store(&mut self, mut post: Stored) -> u64 {
        let at = self.now();
        self.serial += 1;
        post.id = (millis(at) - EPOCH) << 22 | self.serial;
        post.at = Some(at);
        let id = post.id;
        self.posts.push(post);
        id
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

    fn with_headers(&self, request: &Request, reply: Reply) -> Reply {
        let now = DateTime::<Utc>::from(self.now());
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let is_post = request.method == "POST" && request.path == "/2/tweets";
        let used = if is_post { self.window.1 } else { 1 };
        let limit = if is_post { self.post_limit } else { 900 };
        let reset = (seconds(self.now()) / WINDOW + 1) * WINDOW;
        let dress = |answer: Answer| {
            let has = |name: &str| {
                let mut names = answer.headers.iter();
                names.any(|(known, _)| known.eq_ignore_ascii_case(name))
            };
            let is_told = has("x-rate-limit-remaining");
            let has_date = has("date");
            let mut answer = answer;
            if !has_date {
                answer = answer.with("Date", date.clone());
            }
            if !is_told {
                answer = answer
                    .with("x-rate-limit-limit", limit.to_string())
                    .with(
                        "x-rate-limit-remaining",
                        limit.saturating_sub(used).to_string(),
                    )
                    .with("x-rate-limit-reset", reset.to_string());
            }
            answer
        };
        match reply {
            Reply::Answer(answer) => Reply::Answer(dress(answer)),
            Reply::Half(answer) => Reply::Half(dress(answer)),
            other => other,
        }
    }
}

impl Answer {
    /// What is answered to an unknown route: nothing at all.
    fn default_missing() -> Self {
        Self {
            status: 404,
            ..Self::default()
        }
    }
}

fn may(caller: &Caller, scope: &str) -> bool {
    match caller {
        Caller::Account(scopes) => scopes.contains(&scope),
        Caller::App => false,
    }
}

fn answer(status: u16, headers: Vec<(String, String)>, body: String) -> Answer {
    Answer {
        status,
        headers,
        body: body.into(),
    }
}

fn found(body: &Value) -> Answer {
    Answer::new(200, "application/json; charset=utf-8", body.to_string())
}

fn problem(status: u16, title: &str, detail: &str, kind: &str) -> Answer {
    let body = json!({"title": title, "detail": detail, "type": kind, "status": status});
    Answer::new(status, "application/problem+json", body.to_string())
}

fn unauthorized() -> Answer {
    problem(401, "Unauthorized", "Unauthorized", "about:blank")
}

fn forbidden(detail: &str) -> Answer {
    problem(403, "Forbidden", detail, "about:blank")
}

fn not_permitted() -> Answer {
    forbidden(
        "Your client app is not configured with the appropriate oauth1 app permissions for this endpoint.",
    )
}

fn depleted() -> Answer {
    let detail = "Your enrolled account [1] does not have any credits to fulfill this request.";
    let kind = "https://api.twitter.com/2/problems/credits";
    problem(402, "CreditsDepleted", detail, kind)
}

fn missing() -> Answer {
    let kind = "https://api.twitter.com/2/problems/resource-not-found";
    problem(404, "Not Found Error", "Could not find it.", kind)
}

fn invalid(message: &str) -> Answer {
    let body = json!({
        "errors": [{"parameters": {}, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.twitter.com/2/problems/invalid-request",
    });
    Answer::new(400, "application/problem+json", body.to_string())
}

/// A parameter of the query, decoded.
fn parameter(request: &Request, name: &str) -> Option<String> {
    request.query.get(name).map(|value| sign::decoded(value))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
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
