//! A simulated account on Bluesky: where it logs in, and the server that holds what it writes.

pub mod feeds;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::clusters::clusters;
use super::faults::{Fault, befall};
use super::forms::decoded;
use super::server::{Answer, Reply, Request, Server};
use feeds::Feeds;

/// The account.
pub const DID: &str = "did:plc:simulated23456abcdefghij";
pub const HANDLE: &str = "ana.simulated.test";
pub const PASSWORD: &str = "simu-late-dpas-word";
/// Where posts stand.
const POSTS: &str = "app.bsky.feed.post";
/// The most bytes of a file, as servers of one's own are set.
const MAX_BLOB: usize = 5_242_880;

/// A running account.
pub struct Bluesky {
    entryway: Server,
    home: Server,
    view: Server,
    node: Arc<Mutex<Node>>,
}

#[derive(Default)]
struct Node {
    home: String,
    /// By collection and key: (record, cid).
    records: BTreeMap<(String, String), (Value, String)>,
    blobs: HashMap<String, (String, Vec<u8>)>,
    access: Option<String>,
    expired: HashSet<String>,
    refresh: Option<String>,
    n_tokens: u64,
    n_logins: u64,
    n_renewals: u64,
    is_suspended: bool,
    /// What is left of the account's points, and when they are new, in seconds since 1970.
    points: Option<(u32, u64)>,
    faults: VecDeque<Fault>,
    requests: Vec<Request>,
    n_written: u64,
    /// When the view saw a post, in milliseconds since 1970.
    indexed: BTreeMap<String, Option<i64>>,
    /// Time, key and text.
    reposts: Vec<(i64, String, String)>,
    is_lagging: bool,
    feeds: Feeds,
    refused: VecDeque<Answer>,
    /// Answers to coming questions for handles.
    unresolved: VecDeque<Answer>,
}

impl Bluesky {
    pub fn start() -> Self {
        let node = Arc::new(Mutex::new(Node::default()));
        let entryway = Server::of(&node, |node, request| node.enter(request).into());
        let home = Server::of(&node, Node::serve);
        let view = Server::of(&node, |node, request| node.look(request).into());
        lock(&node).home = home.base_url();
        Self {
            entryway,
            home,
            view,
            node,
        }
    }

    /// Where the account logs in.
    pub fn base_url(&self) -> String {
        self.entryway.base_url()
    }

    /// The server that keeps the account.
    pub fn home_url(&self) -> String {
        self.home.base_url()
    }

    /// Where anybody reads what the network saw.
    pub fn view_url(&self) -> String {
        self.view.base_url()
    }

    /// Writes a post as its author does, and returns its address. It stands where its time says,
    /// unless that is to come.
    pub fn write(&self, record: &Value) -> String {
        let mut node = self.node();
        node.n_written += 1;
        let digits = b"234567abcdefghijklmnopqrstuvwxyz";
        let digit = |place: u64| digits[(node.n_written >> (5 * place) & 31) as usize] as char;
        let key = format!("3n2t2gu4w{}{}{}{}", digit(3), digit(2), digit(1), digit(0));
        let cid = cid_of(record.to_string().as_bytes());
        let place = (POSTS.to_owned(), key.clone());
        node.records.insert(place, (record.clone(), cid));
        let now = now();
        let is_late = node.is_lagging;
        let seen = if is_late { None } else { Some(now) };
        node.indexed.insert(key.clone(), seen);
        format!("at://{DID}/{POSTS}/{key}")
    }

    /// Shows a post of somebody else's once more.
    pub fn repost(&self, text: &str) {
        let mut node = self.node();
        let number = node.reposts.len();
        let at = now();
        node.reposts
            .push((at, format!("other-{number}"), text.to_owned()));
    }

    /// Lets the view fall behind: what is written now, it does not show.
    pub fn lag(&self) {
        self.node().is_lagging = true;
    }

    /// Lets the view see all that there is.
    pub fn catch_up(&self) {
        let mut node = self.node();
        node.is_lagging = false;
        let now = now();
        for seen in node.indexed.values_mut() {
            seen.get_or_insert(now);
        }
    }

    /// Refuses a coming question to the view or the home with this.
    pub fn refuse_next_question(&self, status: u16, headers: &[(&str, &str)], error: &str) {
        let mut answer = refusal(status, error, "no");
        for (name, value) in headers {
            answer = answer.with(name, *value);
        }
        self.node().refused.push_back(answer);
    }

    /// Refuses to look up a handle with this; several wait their turn.
    pub fn refuse_next_handle(&self, status: u16, headers: &[(&str, &str)], error: &str) {
        let headers = headers.iter();
        let answer = headers.fold(refusal(status, error, "no"), |answer, (name, value)| {
            answer.with(name, *value)
        });
        self.node().unresolved.push_back(answer);
    }

    /// Makes something happen to a coming putRecord; several wait their turn.
    pub fn fail_next(&self, fault: Fault) {
        self.node().faults.push_back(fault);
    }

    /// Ends the time of the token for calls.
    pub fn expire_access(&self) {
        let mut node = self.node();
        let ended = node.access.take();
        node.expired.extend(ended);
    }

    /// Ends the session, as a password that was taken back does.
    pub fn end_session(&self) {
        self.expire_access();
        let mut node = self.node();
        let ended = node.refresh.take();
        node.expired.extend(ended);
    }

    pub fn suspend(&self) {
        self.node().is_suspended = true;
    }

    /// Leaves so many points, until so many seconds from now.
    pub fn leave_points(&self, points: u32, seconds: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs();
        self.node().points = Some((points, now + seconds));
    }

    /// Takes a post away, as its author does.
    pub fn remove(&self, key: &str) {
        let place = (POSTS.to_owned(), key.to_owned());
        self.node().records.remove(&place);
    }

    /// Every post that stands, with its key, in the order of keys.
    pub fn posts(&self) -> Vec<(String, Value)> {
        let node = self.node();
        let posts = node.records.iter().filter(|(place, _)| place.0 == POSTS);
        posts
            .map(|(place, (record, _))| (place.1.clone(), record.clone()))
            .collect()
    }

    /// The bytes and the type of an uploaded file, by what stands for it in a record.
    pub fn blob(&self, blob: &Value) -> (String, Vec<u8>) {
        let link = blob["ref"]["$link"].as_str().expect("a reference");
        self.node().blobs[link].clone()
    }

    pub fn n_logins(&self) -> u64 {
        self.node().n_logins
    }

    pub fn n_renewals(&self) -> u64 {
        self.node().n_renewals
    }

    /// Every request that came, in its order.
    pub fn requests(&self) -> Vec<Request> {
        self.node().requests.clone()
    }

    /// How many calls of a method came.
    pub fn n_calls(&self, method: &str) -> usize {
        let path = format!("/xrpc/{method}");
        let requests = self.requests();
        requests.iter().filter(|it| it.path == path).count()
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        lock(&self.node)
    }
}

fn lock(node: &Mutex<Node>) -> MutexGuard<'_, Node> {
    node.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// Where accounts log in, and nothing is kept.
    fn enter(&mut self, request: Request) -> Answer {
        self.requests.push(request.clone());
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/xrpc/com.atproto.server.createSession") => self.log_in(&request),
            ("POST", "/xrpc/com.atproto.server.refreshSession") => self.renew(&request),
            _ => refusal(501, "MethodNotImplemented", "Method Not Implemented"),
        }
    }

    fn serve(&mut self, request: Request) -> Reply {
        self.requests.push(request.clone());
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/xrpc/com.atproto.repo.getRecord") => self.record(&request).into(),
            ("GET", "/xrpc/com.atproto.repo.listRecords") => self.list(&request).into(),
            ("GET", "/xrpc/com.atproto.identity.resolveHandle") => {
                let refused = self.unresolved.pop_front();
                refused.unwrap_or_else(|| resolved(&request)).into()
            }
            ("GET", "/xrpc/app.bsky.feed.getAuthorFeed") => {
                let text = "No service configured for app.bsky.feed.getAuthorFeed";
                refusal(400, "InvalidRequest", text).into()
            }
            ("GET", "/xrpc/com.atproto.server.getSession") => {
                let who = json!({"handle": HANDLE, "did": DID, "active": true});
                self.if_authorized(&request, |_| found(&who)).into()
            }
            ("POST", "/xrpc/com.atproto.repo.putRecord") => self.put(&request),
            ("POST", "/xrpc/com.atproto.repo.deleteRecord") => self
                .if_authorized(&request, |node| node.delete(&request))
                .into(),
            ("POST", "/xrpc/com.atproto.repo.uploadBlob") => self
                .if_authorized(&request, |node| node.upload(&request))
                .into(),
            _ => refusal(501, "MethodNotImplemented", "Method Not Implemented").into(),
        }
    }

    /// What the network's view answers, to anybody.
    fn look(&mut self, request: Request) -> Answer {
        self.requests.push(request.clone());
        if let Some(answer) = self.refused.pop_front() {
            return answer;
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/xrpc/com.atproto.identity.resolveHandle") => resolved(&request),
            ("GET", "/xrpc/app.bsky.feed.getAuthorFeed") => self.feed(&request),
            ("GET", "/xrpc/app.bsky.feed.getFeed") => self.feed_of_many("feed", &request),
            ("GET", "/xrpc/app.bsky.feed.getListFeed") => self.feed_of_many("list", &request),
            _ => refusal(501, "MethodNotImplemented", "Method Not Implemented"),
        }
    }

    /// A page of what the account wrote and reposted, the newest first.
    fn feed(&self, request: &Request) -> Answer {
        let asked = |name: &str| asked(request, name);
        if asked("actor") != DID && asked("actor") != HANDLE {
            return refusal(400, "InvalidRequest", "Profile not found");
        }
        let mut entries: Vec<(i64, Value)> = Vec::new();
        for ((_, key), (record, cid)) in &self.records {
            let Some(Some(seen)) = self.indexed.get(key) else {
                continue;
            };
            let at = millis(&record["createdAt"]).map_or(*seen, |at| at.min(*seen));
            let entry = json!({"post": {
                "uri": format!("at://{DID}/{POSTS}/{key}"), "cid": cid,
                "author": {"did": DID, "handle": HANDLE}, "record": record,
                "embed": viewed(&record["embed"]), "indexedAt": written(*seen), "labels": [],
            }});
            entries.push((at, entry));
        }
        for (at, key, text) in &self.reposts {
            let at_text = written(*at);
            let entry = json!({
                "post": {
                    "uri": format!("at://did:plc:other/{POSTS}/{key}"), "cid": cid_of(key.as_bytes()),
                    "author": {"did": "did:plc:other", "handle": "other.test"},
                    "record": {"$type": POSTS, "text": text, "createdAt": "2020-01-01T00:00:00Z"},
                    "indexedAt": "2020-01-01T00:00:00.000Z",
                },
                "reason": {
                    "$type": "app.bsky.feed.defs#reasonRepost", "by": {"did": DID, "handle": HANDLE},
                    "uri": format!("at://{DID}/app.bsky.feed.repost/{key}"), "indexedAt": at_text,
                },
            });
            entries.push((*at, entry));
        }
        entries.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let limit = asked("limit").parse().unwrap_or(50_usize).min(100);
        let from: usize = asked("cursor").parse().unwrap_or(0);
        let n_all = entries.len();
        let page: Vec<Value> = entries
            .into_iter()
            .skip(from)
            .take(limit)
            .map(|it| it.1)
            .collect();
        let mut answer = json!({"feed": page});
        if from + limit < n_all {
            answer["cursor"] = json!((from + limit).to_string());
        }
        found(&answer)
    }

    /// A page of records, the newest first.
    fn list(&self, request: &Request) -> Answer {
        let asked = |name: &str| asked(request, name);
        if asked("repo") != DID {
            return refusal(400, "InvalidRequest", "Could not find repo");
        }
        let limit = asked("limit").parse().unwrap_or(50_usize).min(100);
        let below = asked("cursor");
        let mut records: Vec<(&String, &Value, &String)> = self
            .records
            .iter()
            .filter(|(place, _)| place.0 == asked("collection"))
            .filter(|(place, _)| below.is_empty() || place.1 < below)
            .map(|(place, (record, cid))| (&place.1, record, cid))
            .collect();
        records.reverse();
        records.truncate(limit);
        let mut answer = json!({"records": records.iter().map(|(key, record, cid)| json!({
            "uri": format!("at://{DID}/{POSTS}/{key}"), "cid": cid, "value": record,
        })).collect::<Vec<_>>()});
        if let Some((key, ..)) = records.last() {
            answer["cursor"] = json!(key);
        }
        found(&answer)
    }

    fn log_in(&mut self, request: &Request) -> Answer {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        self.n_logins += 1;
        if self.n_logins > 30 {
            return refusal(429, "RateLimitExceeded", "Rate Limit Exceeded");
        }
        let is_known = body["identifier"] == HANDLE || body["identifier"] == DID;
        if !is_known || body["password"] != PASSWORD {
            let text = format!("Invalid identifier or password: {}", body["password"]);
            return refusal(401, "AuthenticationRequired", &text);
        }
        self.session()
    }

    /// A token for renewal serves once.
    fn renew(&mut self, request: &Request) -> Answer {
        let token = bearer(request);
        if !request.body.is_empty() {
            return refusal(400, "InvalidRequest", "A request body was provided");
        }
        if token.is_none() || token != self.refresh {
            return refusal(400, "ExpiredToken", "Token has been revoked");
        }
        self.n_renewals += 1;
        self.session()
    }

    fn session(&mut self) -> Answer {
        if self.is_suspended {
            return refusal(401, "AccountTakedown", "Account has been taken down");
        }
        self.n_tokens += 1;
        let (access, refresh) = (
            format!("access-{}", self.n_tokens),
            format!("refresh-{}", self.n_tokens),
        );
        self.expired.extend(self.access.replace(access.clone()));
        self.expired.extend(self.refresh.replace(refresh.clone()));
        found(&json!({
            "accessJwt": access, "refreshJwt": refresh, "handle": HANDLE, "did": DID,
            "didDoc": {"id": DID, "service": [{
                "id": "#atproto_pds", "type": "AtprotoPersonalDataServer",
                "serviceEndpoint": self.home,
            }]},
            "email": "ana@simulated.test", "active": true,
        }))
    }

    fn if_authorized(
        &mut self,
        request: &Request,
        then: impl FnOnce(&mut Self) -> Answer,
    ) -> Answer {
        match bearer(request) {
            None => refusal(401, "AuthMissing", "Authentication Required"),
            Some(token) if self.expired.contains(&token) => {
                refusal(400, "ExpiredToken", "Token has expired")
            }
            Some(token) if Some(&token) != self.access.as_ref() => {
                refusal(400, "InvalidToken", "Token could not be verified")
            }
            Some(_) if self.is_suspended => {
                refusal(401, "AccountTakedown", "Account has been taken down")
            }
            Some(_) => then(self),
        }
    }

    fn put(&mut self, request: &Request) -> Reply {
        befall(self.faults.pop_front(), || {
            self.if_authorized(request, |node| node.write(request))
        })
    }

    fn write(&mut self, request: &Request) -> Answer {
        if let Some((0..2, _)) = self.points {
            let answer = refusal(429, "RateLimitExceeded", "Rate Limit Exceeded");
            return self.with_points(answer);
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return refusal(400, "InvalidRequest", "Request body is not JSON");
        };
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (collection, key) = (text("collection"), text("rkey"));
        if body["repo"] != DID {
            return refusal(400, "InvalidRequest", "Could not find repo");
        }
        if let Err(why) = self.valid(&key, &body["record"]) {
            return refusal(
                400,
                "InvalidRequest",
                &format!("Invalid {collection} record: {why}"),
            );
        }
        if let Some((points, _)) = &mut self.points {
            *points -= 2;
        }
        let cid = cid_of(body["record"].to_string().as_bytes());
        let uri = format!("at://{DID}/{collection}/{key}");
        let place = (collection, key);
        let known = self.records.get(&place).map(|(_, cid)| cid.clone());
        let answer = match known {
            Some(known) if known == cid => {
                found(&json!({"uri": uri, "cid": cid, "validationStatus": "valid"}))
            }
            Some(known) if body.get("swapRecord") == Some(&Value::Null) => {
                refusal(400, "InvalidSwap", &format!("Record was at {known}"))
            }
            _ => {
                self.records
                    .insert(place, (body["record"].clone(), cid.clone()));
                found(&json!({"uri": uri, "cid": cid, "validationStatus": "valid",
                    "commit": {"cid": cid, "rev": "3n2t2gu4w2222"}}))
            }
        };
        self.with_points(answer)
    }

    /// What the lexicon demands, as far as a post of ours could miss it.
    fn valid(&self, key: &str, record: &Value) -> Result<(), String> {
        let digits = "234567abcdefghijklmnopqrstuvwxyz";
        let is_key = key.len() == 13
            && key.chars().all(|digit| digits.contains(digit))
            && key.starts_with(|digit| digits[..16].contains(digit));
        ensure(is_key, "the key is no TID")?;
        ensure(record["$type"] == POSTS, "it is no post")?;
        let text = record["text"].as_str().ok_or("it has no text")?;
        ensure(text.len() <= 3000, "text is longer than 3000 bytes")?;
        ensure(clusters(text) <= 300, "text is longer than 300 graphemes")?;
        let at = record["createdAt"].as_str().unwrap_or_default();
        ensure(
            DateTime::parse_from_rfc3339(at).is_ok(),
            "createdAt is no time",
        )?;
        let n_langs = record["langs"].as_array().map_or(0, Vec::len);
        ensure(n_langs <= 3, "there are more than three langs")?;
        let mut free = 0;
        for facet in record["facets"].as_array().into_iter().flatten() {
            let place = |name: &str| facet["index"][name].as_u64().unwrap_or(u64::MAX) as usize;
            let (start, end) = (place("byteStart"), place("byteEnd"));
            let is_place = free <= start && start < end && text.get(start..end).is_some();
            ensure(is_place, "a facet is at no place of its own in the text")?;
            free = end;
        }
        if let Some(reply) = record.get("reply") {
            let is_reference = |it: &Value| it["uri"].is_string() && it["cid"].is_string();
            let is_reply = is_reference(&reply["root"]) && is_reference(&reply["parent"]);
            ensure(is_reply, "a reply has no root or no parent")?;
        }
        let images = match record["embed"]["$type"].as_str() {
            Some("app.bsky.embed.recordWithMedia") => &record["embed"]["media"]["images"],
            _ => &record["embed"]["images"],
        };
        let images = images.as_array().map_or(&[][..], Vec::as_slice);
        ensure(images.len() <= 4, "there are more than four images")?;
        for image in images {
            ensure(image["alt"].is_string(), "an image has no alt")?;
            self.valid_blob(&image["image"], 2_000_000)?;
        }
        match record["embed"]["external"].get("thumb") {
            Some(thumb) => self.valid_blob(thumb, 1_000_000),
            None => Ok(()),
        }
    }

    fn valid_blob(&self, blob: &Value, max: usize) -> Result<(), String> {
        let link = blob["ref"]["$link"].as_str().unwrap_or_default();
        let (mime, bytes) = self.blobs.get(link).ok_or("could not find blob")?;
        ensure(blob["mimeType"] == **mime, "a blob has another type")?;
        ensure(blob["size"] == bytes.len(), "a blob has another size")?;
        ensure(bytes.len() <= max, "a blob is too large")
    }

    fn upload(&mut self, request: &Request) -> Answer {
        if request.body.len() > MAX_BLOB {
            return refusal(413, "PayloadTooLarge", "request entity too large");
        }
        let mime = request.headers.get("content-type").cloned();
        let mime = mime.unwrap_or_default();
        let link = cid_of(&request.body);
        let size = request.body.len();
        self.blobs
            .insert(link.clone(), (mime.clone(), request.body.clone()));
        found(&json!({"blob": {
            "$type": "blob", "ref": {"$link": link}, "mimeType": mime, "size": size,
        }}))
    }

    fn delete(&mut self, request: &Request) -> Answer {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        self.records.remove(&(text("collection"), text("rkey")));
        found(&json!({}))
    }

    fn record(&self, request: &Request) -> Answer {
        let asked = |name: &str| asked(request, name);
        let place = (asked("collection"), asked("rkey"));
        let uri = format!("at://{}/{}/{}", asked("repo"), place.0, place.1);
        match self.records.get(&place).filter(|_| asked("repo") == DID) {
            Some((value, cid)) => found(&json!({"uri": uri, "cid": cid, "value": value})),
            None => {
                let text = format!("Could not locate record: {uri}");
                refusal(400, "RecordNotFound", &text)
            }
        }
    }

    fn with_points(&self, answer: Answer) -> Answer {
        let Some((points, reset)) = self.points else {
            return answer;
        };
        answer
            .with("RateLimit-Limit", "5000")
            .with("RateLimit-Remaining", points.to_string())
            .with("RateLimit-Reset", reset.to_string())
            .with("RateLimit-Policy", "5000;w=3600")
    }
}

fn resolved(request: &Request) -> Answer {
    match request.query.get("handle").is_some_and(|it| it == HANDLE) {
        true => found(&json!({"did": DID})),
        false => refusal(400, "InvalidRequest", "Unable to resolve handle"),
    }
}

/// What a view shows of what hangs on a post.
fn viewed(embed: &Value) -> Value {
    let Some(images) = embed["images"].as_array() else {
        return Value::Null;
    };
    let images: Vec<Value> = images
        .iter()
        .map(|image| {
            let link = image["image"]["ref"]["$link"].as_str().unwrap_or_default();
            json!({
                "thumb": format!("https://cdn.simulated.test/thumb/{link}"),
                "fullsize": format!("https://cdn.simulated.test/full/{link}"), "alt": image["alt"],
            })
        })
        .collect();
    json!({"$type": "app.bsky.embed.images#view", "images": images})
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// A time as records tell it.
pub fn written(millis: i64) -> String {
    let at = DateTime::from_timestamp_millis(millis).expect("a time");
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn millis(time: &Value) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(time.as_str()?).ok()?;
    Some(time.timestamp_millis())
}

fn ensure(is_true: bool, otherwise: &str) -> Result<(), String> {
    is_true.then_some(()).ok_or_else(|| otherwise.to_owned())
}

fn bearer(request: &Request) -> Option<String> {
    let header = request.headers.get("authorization")?;
    header.strip_prefix("Bearer ").map(str::to_owned)
}

fn found(body: &Value) -> Answer {
    Answer::new(200, "application/json; charset=utf-8", body.to_string())
}

fn refusal(status: u16, error: &str, message: &str) -> Answer {
    let body = json!({"error": error, "message": message}).to_string();
    Answer::new(status, "application/json; charset=utf-8", body)
}

/// Something that differs where the bytes do; real ones are written otherwise.
fn cid_of(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("bafyrei{}", &hex[..52])
}

/// A value of the query as it was before it was written into an address.
fn asked(request: &Request, name: &str) -> String {
    let value = request.query.get(name).map_or("", String::as_str);
    decoded(&value.replace('+', " "))
}
