//! An account on Bluesky as a source, read from the network's view or from its own server; or a
//! feed of many authors, which the view alone shows.
//!
//! The view (`app.bsky.feed.getAuthorFeed`) has no way to ask for what is new, and orders posts
//! by times that their authors tell. So each poll reads again what is a day old, and shows what
//! was not seen. A server without a view has the records themselves.

mod cursor;
mod feed;
mod item;
mod stream;
mod wire;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use babelfeed_actors::domain::{Language, Post, Relation, SourceName};
use babelfeed_actors::ports::{Cursor, Polled, Source, SourceError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use crate::atproto::{Account, Did, FeedAddress, POSTS, datetime};
use crate::http::xrpc::{Xrpc, asked_wait, detail, refusal};
use crate::http::{HttpConfig, HttpError, Response, Uri};
use cursor::{OVERLAP, Seen};
use item::Blobs;
use stream::Stream;
use wire::{Entry, Feed, Records, Resolved};

/// Posts on a page.
const PAGE: &str = "100";
/// The most pages that one poll of an account reads, and one of a feed.
const MAX_PAGES: usize = 200;
const MAX_PAGES_OF_FEED: usize = 20;
/// So many records are read at first sight at least, since old posts that were brought along may
/// stand above new ones.
const SURELY: usize = 2_000;

/// What a Bluesky source is told.
#[derive(Clone, Debug)]
pub struct BlueskyConfig {
    /// Its name.
    pub name: SourceName,
    /// What is read.
    pub subject: Subject,
    /// The network's view, or the server that keeps the account.
    pub base_url: Uri,
    /// Where the network's stream is heard, which makes polls of an account timely; none: it is
    /// not.
    pub jetstream: Option<Uri>,
    /// The language of posts that do not tell theirs.
    pub language: Option<Language>,
    /// How many posts are wanted at first sight; none: all there are.
    pub backfill: Option<usize>,
    /// How it connects.
    pub http: HttpConfig,
    /// How long one call may take.
    pub timeout: Duration,
}

/// What a source on Bluesky reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// What an account writes and reposts.
    Account(Account),
    /// What a feed shows, of whichever authors.
    Feed(FeedAddress),
}

/// A source that reads an account or a feed; bound to its arbiter, like the client it holds.
pub struct BlueskySource {
    config: BlueskyConfig,
    xrpc: Xrpc,
    did: RefCell<Option<Did>>,
    reading: Cell<Reading>,
    stream: Option<Stream>,
}

/// What the server is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Unknown,
    View,
    Records,
}

/// How far down an account is read.
struct Depth {
    /// Down to that time.
    since: i64,
    /// At first sight: down to so many posts, and to what later polls look at again.
    wanted: Option<usize>,
}

/// What was found, the newest first.
#[derive(Default)]
struct Found {
    /// Posts, and when they were published as the server orders them.
    posts: Vec<(i64, Post)>,
    end: End,
}

/// Where reading ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// There is more that was to be read.
    #[default]
    TooFar,
    /// At as much as was wanted.
    Wanted,
    /// Everything was read since the time that was asked for.
    Whole,
}

impl Depth {
    /// Where the reading of pages ends, the last of which has reached that time or not.
    fn end(&self, found: &Found, has_reached: bool) -> Option<End> {
        if has_reached {
            return Some(End::Whole);
        }
        self.wanted.filter(|wanted| found.posts.len() >= *wanted)?;
        let newest = found.posts.iter().map(|it| it.0).max()?;
        let lowest = found.posts.last()?.0;
        (lowest < newest - OVERLAP).then_some(End::Wanted)
    }
}

impl BlueskySource {
    /// A source of that account or feed; nothing is read before the first poll.
    pub fn new(config: BlueskyConfig) -> Self {
        Self {
            xrpc: Xrpc::new(&config.http, config.timeout),
            did: RefCell::new(None),
            reading: Cell::new(Reading::Unknown),
            stream: config
                .jetstream
                .clone()
                .map(|url| Stream::new(&config.name, url, config.http.clone())),
            config,
        }
    }

    async fn read_account(
        &self,
        account: &Account,
        cursor: Option<&Cursor>,
    ) -> Result<Polled, SourceError> {
        let before = Seen::of(cursor);
        let begins_anew = cursor.is_some() && before.is_none();
        let depth = Depth {
            since: before.as_ref().map_or(i64::MIN, Seen::since),
            wanted: self.config.backfill.filter(|_| before.is_none()),
        };
        let since = depth.since;
        let mut seen = before.unwrap_or_default();
        // Asked before the posts are, so that no event falls between.
        let mut gone = Vec::new();
        if let Some(stream) = &self.stream {
            (gone, seen.stream) = stream.gone_since(seen.stream);
        }
        let found = self.found(account, &depth, &seen).await?;
        let present: BTreeSet<&str> = found.posts.iter().map(|it| it.1.id.as_str()).collect();
        if let Some(stream) = &self.stream {
            stream.note_seen(&present);
        }
        // Its own server alone knows that a post is gone, and not only out of view.
        if self.reading.get() == Reading::Records && found.end == End::Whole {
            let missing = missing(&seen, &present);
            gone.extend(
                missing
                    .into_iter()
                    .filter(|id| !gone.contains(id))
                    .collect::<Vec<_>>(),
            );
        }
        let warnings = match found.end {
            End::TooFar => vec![format!(
                "more than {} posts are new, those before them are passed over",
                found.posts.len()
            )],
            End::Wanted | End::Whole => Vec::new(),
        };
        let mut posts = found.posts;
        posts.retain(|(at, post)| {
            // A view may show for a while what was deleted.
            *at >= since && seen.note(&post.id, *at) && !gone.contains(&post.id)
        });
        if self.reading.get() == Reading::Records {
            seen.posts.retain(|id, _| !gone.contains(id));
        }
        posts.sort_by_key(|(at, _)| *at);
        seen.forget_old();
        Ok(Polled {
            posts: posts.into_iter().map(|(_, post)| post).collect(),
            gone,
            begins_anew,
            cursor: Some(seen.to_cursor()),
            warnings,
            ..Polled::default()
        })
    }

    /// Everything down to there, from the view, or from the records down to what was seen.
    async fn found(
        &self,
        account: &Account,
        depth: &Depth,
        seen: &Seen,
    ) -> Result<Found, SourceError> {
        let did = self.did(account).await?;
        if self.reading.get() == Reading::Records {
            return self.records(account, &did, depth, seen).await;
        }
        let refused = match self.shown(&did, depth).await {
            Ok(found) => {
                self.reading.set(Reading::View);
                return Ok(found);
            }
            Err(error) if self.reading.get() == Reading::View => return Err(error),
            Err(error @ SourceError::Refused { .. }) => error,
            Err(error) => return Err(error),
        };
        // A server that keeps accounts need not have a view of the network.
        let found = self.records(account, &did, depth, seen).await;
        let found = found.map_err(|_| refused)?;
        self.reading.set(Reading::Records);
        Ok(found)
    }

    /// Everything that the view shows down to there.
    async fn shown(&self, did: &Did, depth: &Depth) -> Result<Found, SourceError> {
        let mut found = Found::default();
        let mut next = String::new();
        for _ in 0..MAX_PAGES {
            let parameters = [
                ("actor", did.as_str()),
                ("limit", PAGE),
                ("filter", "posts_with_replies"),
                ("cursor", &next),
            ];
            let page: Feed = self.ask("app.bsky.feed.getAuthorFeed", &parameters).await?;
            let mut has_reached = page.feed.is_empty();
            for entry in &page.feed {
                let Some((at, post)) = self.entry(entry) else {
                    continue;
                };
                has_reached |= at < depth.since;
                found.posts.push((at, post));
            }
            if let Some(end) = depth.end(&found, has_reached || page.cursor.is_none()) {
                found.end = end;
                break;
            }
            next = page.cursor.unwrap_or_default();
        }
        Ok(found)
    }

    /// A place in the feed as a post, with its time; none for a post that is pinned there.
    fn entry(&self, entry: &Entry) -> Option<(i64, Post)> {
        let mut post = item::of_view(&self.config.name, &entry.post)?;
        self.tell_language(&mut post);
        let indexed = datetime(&entry.post.indexed_at);
        let Some(reason) = &entry.reason else {
            let at = [post.created_at, indexed].into_iter().flatten().min();
            return Some((at.unwrap_or_default().as_millis(), post));
        };
        if !reason.kind.ends_with("#reasonRepost") {
            return None;
        }
        let at = datetime(&reason.indexed_at).or(indexed);
        post.id = reason
            .uri
            .clone()
            .unwrap_or_else(|| format!("repost {}", post.id));
        post.relation = Relation::Repost;
        post.parent = None;
        Some((at.unwrap_or_default().as_millis(), post))
    }

    /// Reads records down to one that is older and stands no higher than what was seen.
    ///
    /// They stand in the order of their keys, which need not be that of the times they tell: a
    /// program that brings old posts along puts these above all others.
    async fn records(
        &self,
        account: &Account,
        did: &Did,
        depth: &Depth,
        seen: &Seen,
    ) -> Result<Found, SourceError> {
        let server = self.config.base_url.to_string();
        let blobs = Blobs {
            server: server.trim_end_matches('/'),
            did: did.as_str(),
        };
        let depth = Depth {
            wanted: depth.wanted.map(|wanted| wanted.max(SURELY)),
            ..*depth
        };
        let now = now();
        let lowest = seen.records().next();
        let mut found = Found::default();
        let mut next = String::new();
        for _ in 0..MAX_PAGES {
            let parameters = [
                ("repo", did.as_str()),
                ("collection", POSTS),
                ("limit", PAGE),
                ("cursor", &next),
            ];
            let page: Records = self
                .ask("com.atproto.repo.listRecords", &parameters)
                .await?;
            let mut has_reached = page.records.is_empty();
            for record in &page.records {
                let name = &self.config.name;
                let nothing = serde_json::Value::Null;
                let Some(mut post) =
                    item::post(name, &record.uri, &record.value, &nothing, Some(&blobs))
                else {
                    continue;
                };
                self.tell_language(&mut post);
                post.author = Some(account.to_string());
                // The time that they tell may be to come.
                let told = post.created_at.or_else(|| item::time_of_key(&record.uri));
                let at = told.map_or(now, |at| at.as_millis().min(now));
                let is_low = lowest.is_none_or(|lowest| record.uri.as_str() <= lowest);
                has_reached |= is_low && at < depth.since;
                found.posts.push((at, post));
            }
            if let Some(end) = depth.end(&found, has_reached || page.cursor.is_none()) {
                found.end = end;
                break;
            }
            next = page.cursor.unwrap_or_default();
        }
        Ok(found)
    }

    fn tell_language(&self, post: &mut Post) {
        if post.language.is_none() {
            post.language.clone_from(&self.config.language);
        }
    }

    /// The permanent name of the one account that matters here, asked once.
    async fn did(&self, account: &Account) -> Result<Did, SourceError> {
        let handle = match account {
            Account::Did(did) => return Ok(did.clone()),
            Account::Handle(handle) => handle.as_str(),
        };
        let known = self.did.borrow().clone();
        if let Some(did) = known {
            return Ok(did);
        }
        let method = "com.atproto.identity.resolveHandle";
        let resolved: Resolved = self.ask(method, &[("handle", handle)]).await?;
        let did = Did::parse(&resolved.did).ok_or_else(|| SourceError::Malformed {
            detail: format!(
                "wanted the permanent name of {handle}, got `{}`",
                resolved.did
            ),
        })?;
        *self.did.borrow_mut() = Some(did.clone());
        Ok(did)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, SourceError> {
        let given: Vec<(&str, &str)> = parameters
            .iter()
            .copied()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let server = &self.config.base_url;
        let response = self.xrpc.query(server, method, &given, None).await;
        let response = response.map_err(|error: HttpError| SourceError::Unreachable {
            detail: error.to_string(),
        })?;
        if !response.is_success() {
            return Err(of_refusal(&response));
        }
        serde_json::from_slice(&response.body).map_err(|error| SourceError::Malformed {
            detail: format!("wanted an answer of {method}, got what cannot be read: {error}"),
        })
    }
}

impl Source for BlueskySource {
    fn poll<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        _room: usize,
    ) -> LocalBoxFuture<'a, Result<Polled, SourceError>> {
        match &self.config.subject {
            Subject::Account(account) => self.read_account(account, cursor).boxed_local(),
            Subject::Feed(feed) => self.read_feed(feed, cursor).boxed_local(),
        }
    }

    fn news(&self) -> LocalBoxFuture<'_, ()> {
        match (&self.stream, &self.config.subject) {
            (Some(stream), Subject::Account(account)) => {
                stream.news(self.did(account)).boxed_local()
            }
            _ => Box::pin(std::future::pending()),
        }
    }

    fn taken(&self, cursor: &Cursor) {
        let read = Seen::of(Some(cursor)).and_then(|seen| seen.stream);
        if let (Some(stream), Some(read)) = (&self.stream, read) {
            stream.forget(read);
        }
    }

    fn rest(&self) {
        if let Some(stream) = &self.stream {
            stream.rest();
        }
    }
}

/// What was seen and is not there any more.
fn missing(seen: &Seen, present: &BTreeSet<&str>) -> Vec<String> {
    let missing = seen.records().filter(|id| !present.contains(id));
    missing.map(str::to_owned).collect()
}

fn of_refusal(response: &Response) -> SourceError {
    let detail = detail(response);
    match response.status {
        429 => SourceError::Busy {
            wait: asked_wait(response),
            detail,
        },
        501 => SourceError::Refused { detail },
        408 | 500..=599 => SourceError::Unreachable { detail },
        _ if refusal(response).error == "UpstreamFailure" => SourceError::Unreachable { detail },
        _ => SourceError::Refused { detail },
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
