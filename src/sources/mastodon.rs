//! An account on Mastodon, or on a server that speaks its API, as a source.
//!
//! Each poll reads the newest page of the account, which also shows what was edited or deleted
//! lately. Where that page does not reach back to what was read before, the rest is walked page by
//! page with `min_id`, without gaps. A stream only tells when a poll is worth making.

mod api;
mod place;
mod post;
mod stream;
mod wire;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use babelfeed_actors::domain::{Language, Post, SourceName};
use babelfeed_actors::ports::{Cursor, Polled, Source, SourceError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::http::{HttpConfig, Uri};
use crate::secret::Secret;
use api::{Api, Page};
use place::Place;
use post::Reader;
use stream::{Event, Stream};
use wire::{Account, Status};

/// The most statuses of a page.
const PAGE: usize = 40;
/// The most statuses that one poll asks for one by one, to be sure that they were deleted; the
/// next poll goes on.
const MAX_ASKED: usize = 20;

/// What a Mastodon source is told.
#[derive(Clone, Debug)]
pub struct MastodonConfig {
    /// Its name.
    pub name: SourceName,
    /// The server, like `https://mastodon.example`.
    pub base_url: Uri,
    /// The account, like `ana` or `@ana@mastodon.example`.
    pub account: String,
    /// The token of whoever reads; none reads what everybody may read.
    pub token: Option<Secret>,
    /// The language of what does not tell its own.
    pub language: Option<Language>,
    /// How many of the newest posts are wanted at first sight; none: all.
    pub backfill: Option<usize>,
    /// Whether the token's own stream is read, to know at once what is new.
    pub streams: bool,
    /// How it connects.
    pub http: HttpConfig,
    /// How long one call may take.
    pub timeout: Duration,
}

/// A source that reads an account; bound to its arbiter, like the client it holds.
pub struct MastodonSource {
    config: MastodonConfig,
    api: Rc<Api>,
    account: RefCell<Option<Rc<Account>>>,
    stream: Option<Stream>,
}

impl MastodonSource {
    /// A source of that account; nothing is asked before the first poll.
    pub fn new(config: MastodonConfig) -> Self {
        let api = Rc::new(Api::new(&config));
        let stream = config
            .streams
            .then(|| Stream::new(&config, Rc::clone(&api)));
        Self {
            config,
            api,
            account: RefCell::new(None),
            stream,
        }
    }

    async fn read(&self, cursor: Option<&Cursor>, room: usize) -> Result<Polled, SourceError> {
        let account = self.account().await?;
        let reader = Reader {
            config: &self.config,
            account: &account,
        };
        let Some(place) = cursor.and_then(|it| Place::from_cursor(it, &account.id)) else {
            let polled = match self.config.backfill {
                None => self.walk(&reader, Place::start(&account.id), room).await?,
                Some(newest) => self.first_sight(&reader, newest).await?,
            };
            return Ok(Polled {
                begins_anew: cursor.is_some(),
                ..polled
            });
        };
        if place.is_walking {
            self.walk(&reader, place, room).await
        } else {
            self.look(&reader, place, room).await
        }
    }

    /// The account, looked up once.
    async fn account(&self) -> Result<Rc<Account>, SourceError> {
        if let Some(account) = self.account.borrow().clone() {
            return Ok(account);
        }
        let account = Rc::new(self.api.look_up(&self.config.account).await?);
        if let Some(stream) = &self.stream {
            stream.follow(&account.id);
        }
        *self.account.borrow_mut() = Some(Rc::clone(&account));
        Ok(account)
    }

    /// The newest statuses: as many as are wanted, and at least a page, so that changes in it are
    /// known as such later.
    async fn first_sight(&self, reader: &Reader<'_>, newest: usize) -> Result<Polled, SourceError> {
        let account = &reader.account.id;
        let mut statuses: Vec<Status> = Vec::new();
        let mut below = None;
        while statuses.is_empty() || statuses.len() < newest {
            let page = self.api.page_below(account, below.as_deref(), PAGE).await?;
            let is_new = |status: &Status| statuses.iter().all(|it| it.id != status.id);
            let new: Vec<Status> = page.statuses.into_iter().filter(is_new).collect();
            if new.is_empty() {
                break;
            }
            below = page.older;
            statuses.extend(new);
            if below.is_none() {
                break;
            }
        }
        statuses.reverse();
        let mut place = Place::start(account);
        place.is_walking = false;
        let posts = self.take(reader, &mut place, statuses);
        Ok(found(posts, place))
    }

    /// The page right above the place that was reached, the oldest first.
    async fn walk(
        &self,
        reader: &Reader<'_>,
        mut place: Place,
        room: usize,
    ) -> Result<Polled, SourceError> {
        let limit = room.clamp(1, PAGE);
        let page = self
            .api
            .page_above(&place.account, &place.last, limit)
            .await?;
        let Page {
            mut statuses,
            newer,
            ..
        } = page;
        // A server that knows no `min_id` shows what was read before as well.
        let is_honest = !statuses.iter().any(|it| place.knows(it));
        let known = part_from_known(&mut statuses, &place);
        statuses.reverse();
        let n_found = statuses.len();
        statuses.truncate(room.max(1));
        let is_whole = statuses.len() == n_found;
        let mut posts = self.take_edited(reader, &mut place, known);
        posts.extend(self.take(reader, &mut place, statuses));
        if let Some(newer) = newer.filter(|_| is_honest && is_whole) {
            place.last = newer;
        }
        place.is_walking = n_found > 0;
        Ok(Polled {
            has_more: place.is_walking,
            ..found(posts, place)
        })
    }

    /// What the newest page shows: new posts, edited ones, and which are missing.
    async fn look(
        &self,
        reader: &Reader<'_>,
        mut place: Place,
        room: usize,
    ) -> Result<Polled, SourceError> {
        let account = &reader.account.id;
        let page = self.api.page_below(account, None, PAGE).await?;
        let mut statuses = page.statuses;
        if !reaches_back(&statuses, &place) {
            place.is_walking = true;
            // Before they are forgotten for all that is new.
            let known = part_from_known(&mut statuses, &place);
            let edited = self.take_edited(reader, &mut place, known);
            let mut polled = self.walk(reader, place, room).await?;
            polled.posts.splice(..0, edited);
            return Ok(polled);
        }
        let missing = place.missing(&statuses);
        let known = part_from_known(&mut statuses, &place);
        let gone = self.really_gone(&mut place, missing).await?;
        statuses.reverse();
        let n_found = statuses.len();
        statuses.truncate(room.max(1));
        let has_more = statuses.len() < n_found;
        let mut posts = self.take_edited(reader, &mut place, known);
        posts.extend(self.take(reader, &mut place, statuses));
        let mut polled = Polled {
            gone,
            has_more,
            ..Polled::default()
        };
        self.add_events(reader, &mut place, &mut posts, &mut polled.gone);
        polled.posts = posts;
        polled.cursor = Some(place.to_cursor());
        Ok(polled)
    }

    /// Adds what only the stream has told, of statuses that are too old for the newest page.
    fn add_events(
        &self,
        reader: &Reader<'_>,
        place: &mut Place,
        posts: &mut Vec<Post>,
        gone: &mut Vec<String>,
    ) {
        let Some(stream) = &self.stream else { return };
        for event in stream.waiting_after(place.n_events) {
            place.n_events = place.n_events.max(event.number);
            match event.what {
                Event::Deleted(id) if !gone.contains(&id) => gone.push(id),
                Event::Edited(status) if !place.knows(&status) && !place.is_below(&status) => {
                    // Older than the page: taken long ago, or not at all.
                    let post = reader.post(&status);
                    posts.extend(post.map(|post| Post {
                        was_shown: true,
                        ..post
                    }));
                }
                Event::Deleted(_) | Event::Edited(_) => {}
            }
        }
    }

    /// Posts of statuses that are new, the oldest first, and remembers them.
    fn take(&self, reader: &Reader<'_>, place: &mut Place, statuses: Vec<Status>) -> Vec<Post> {
        let mut posts = Vec::with_capacity(statuses.len());
        for status in statuses {
            place.note(&status);
            posts.extend(self.read_known(reader, place, &status));
        }
        posts
    }

    /// Posts of those of the known statuses that were edited, the oldest first, and remembers the
    /// edits.
    fn take_edited(&self, reader: &Reader<'_>, place: &mut Place, known: Vec<Status>) -> Vec<Post> {
        let known = known.into_iter().rev();
        let edited: Vec<Status> = known.filter(|it| place.is_edited(it)).collect();
        let posts = edited.iter().filter_map(|status| {
            place.note_edit(status);
            self.read_known(reader, place, status)
        });
        posts.collect()
    }

    /// The post of a status that the place knows, by the ids that were first seen.
    fn read_known(&self, reader: &Reader<'_>, place: &Place, status: &Status) -> Option<Post> {
        let mut post = reader.post(status)?;
        post.id = place.first_id(&status.id);
        post.parent = post.parent.map(|parent| place.first_id(&parent));
        Some(post)
    }

    /// The ids of those that are gone, asked for one by one: a page may miss a status for other
    /// reasons. What is not asked for now is left open.
    async fn really_gone(
        &self,
        place: &mut Place,
        missing: Vec<String>,
    ) -> Result<Vec<String>, SourceError> {
        let mut gone = Vec::new();
        let mut n_asked = 0;
        for id in missing.iter().take(MAX_ASKED) {
            match self.api.is_gone(&place.current_id(id)).await {
                Ok(true) => {
                    place.forget(id);
                    gone.push(id.clone());
                }
                Ok(false) => place.note_there(id),
                // What is known already is told.
                Err(_) if n_asked > 0 => break,
                Err(error) => return Err(error),
            }
            n_asked += 1;
        }
        place.leave_open(&missing[n_asked..]);
        Ok(gone)
    }
}

/// Whether nothing that is new can stand below a page. A status that was edited proves nothing:
/// some servers show it above its place.
fn reaches_back(page: &[Status], place: &Place) -> bool {
    let is_known = |status: &Status| place.knows(status);
    page.iter().any(|status| place.rests(status))
        || page.iter().any(is_known) && page.len() < PAGE
        || page.iter().all(is_known)
}

/// Takes out what was read before, and returns it. What is new may stand between what was edited,
/// but not below what stands where it stood.
fn part_from_known(statuses: &mut Vec<Status>, place: &Place) -> Vec<Status> {
    let is_known = |status: &Status| place.knows(status);
    let lowest = || {
        let is_above = |status: &Status| is_known(status) || place.is_below(status);
        let lowest = statuses.iter().rposition(is_above);
        lowest.filter(|_| statuses.iter().any(is_known))
    };
    let end = statuses.iter().position(|status| place.rests(status));
    let end = end.or_else(|| lowest().map(|at| at + 1));
    let below = statuses.split_off(end.unwrap_or(statuses.len()));
    let (mut known, new) = std::mem::take(statuses).into_iter().partition(is_known);
    *statuses = new;
    known.extend(below);
    known
}

fn found(posts: Vec<Post>, place: Place) -> Polled {
    Polled {
        posts,
        cursor: Some(place.to_cursor()),
        ..Polled::default()
    }
}

impl Source for MastodonSource {
    fn poll<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        room: usize,
    ) -> LocalBoxFuture<'a, Result<Polled, SourceError>> {
        self.read(cursor, room).boxed_local()
    }

    fn news(&self) -> LocalBoxFuture<'_, ()> {
        match &self.stream {
            Some(stream) => stream.news().boxed_local(),
            None => std::future::pending().boxed_local(),
        }
    }

    fn taken(&self, cursor: &Cursor) {
        if let Some(stream) = &self.stream
            && let Some(account) = &*self.account.borrow()
            && let Some(place) = Place::from_cursor(cursor, &account.id)
        {
            stream.forget(place.n_events);
        }
    }

    fn rest(&self) {
        if let Some(stream) = &self.stream {
            stream.rest();
        }
    }
}
