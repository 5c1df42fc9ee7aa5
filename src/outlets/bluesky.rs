//! An account on Bluesky, or on a server of its own that speaks atproto, as an outlet.
//!
//! The records are those of <https://docs.bsky.app/docs/advanced-guides/posts>. A post is put
//! under a key that its publication determines, and never over another record, so the same part
//! sent again changes nothing, whatever became of the first answer.

mod answer;
mod embed;
mod key;
mod page;
mod picture;
mod record;
mod session;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::logic::fit::{Displayed, FacetKind, Limit, display, room};
use babelfeed_actors::ports::{
    Abilities, Dispatch, Frozen, Outlet, OutletError, Published, ReadBack,
};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use log::{debug, warn};
use serde_json::json;
use tokio::time::Instant;

use super::{part, words};
use crate::atproto::{Account, Did, POSTS};
use crate::http::download::DownloadConfig;
use crate::http::xrpc::{Body, Xrpc, refusal, spent_wait};
use crate::http::{HttpConfig, Response, Uri};
use crate::secret::Secret;
use embed::Attachments;
pub use key::MAX_LANGUAGES;
use record::{Accounts, Post, Put, Reference, Reply, Resolved, Standing};
use session::{Session, Sessions};

/// How long after an ambiguous answer a record may still arrive. It harms nobody if it comes
/// later: it takes the same place.
const QUIET: Duration = Duration::from_secs(5);
/// What the writing of a record costs of the points that an account has in an hour and a day.
const POINTS: u32 = 2;
/// How long a part that was frozen keeps its time when it is frozen again, in milliseconds.
const SAME_TIME: i64 = 600_000;
/// The most parts whose times are remembered.
const MAX_KNOWN: usize = 1000;
/// How often in a row a handle is asked for that the server cannot look up, before its mention
/// stays plain: with the waits between, some twenty minutes.
const MAX_TRIES: u32 = 12;

/// What a Bluesky outlet is told.
#[derive(Clone, Debug)]
pub struct BlueskyConfig {
    /// Where the account logs in, like `https://bsky.social`.
    pub base_url: Uri,
    /// Its handle or its permanent name.
    pub account: Account,
    /// A password for apps, made for this one.
    pub password: Secret,
    /// The folder in which the session is kept.
    pub folder: PathBuf,
    /// How it connects.
    pub http: HttpConfig,
    /// How what hangs on posts is downloaded.
    pub download: DownloadConfig,
    /// How long one call may take.
    pub timeout: Duration,
}

/// An outlet that posts to an account; bound to its arbiter, like the client it holds.
pub struct BlueskyOutlet {
    xrpc: Xrpc,
    sessions: Sessions,
    attachments: Attachments,
    /// Nothing may be written before, since the account's points are spent.
    closed_until: Cell<Option<Instant>>,
    /// What was frozen lately: (key, time).
    frozen: RefCell<VecDeque<(String, Timestamp)>>,
    /// How often in a row handles of what is being frozen could not be looked up.
    tries: RefCell<HashMap<String, u32>>,
}

impl BlueskyOutlet {
    /// An outlet to that account; nothing is asked before the first call.
    pub fn new(config: &BlueskyConfig) -> Self {
        let xrpc = Xrpc::new(&config.http, config.timeout);
        Self {
            sessions: Sessions::new(config, xrpc.clone()),
            attachments: Attachments::new(config),
            xrpc,
            closed_until: Cell::new(None),
            frozen: RefCell::default(),
            tries: RefCell::default(),
        }
    }

    /// Makes a call with the session's token, and once more with another if that is refused.
    async fn authorized(
        &self,
        call: impl AsyncFn(&Session) -> Result<Response, OutletError>,
    ) -> Result<Response, OutletError> {
        let session = self.sessions.current().await?;
        let response = call(&session).await?;
        if !answer::refuses_token(&response) {
            return Ok(response);
        }
        let session = self.sessions.after(&session).await?;
        call(&session).await
    }

    /// Asks who we are, so that a credential that is not accepted shows before the first post.
    async fn try_credential(&self) -> Result<(), OutletError> {
        let method = "com.atproto.server.getSession";
        let response = self
            .authorized(async |session| {
                let token = Some(&session.access);
                let asked = self.xrpc.query(&session.server, method, &[], token);
                answer::of_question(asked.await)
            })
            .await?;
        answer::read::<serde_json::Value>(&response).map(drop)
    }

    async fn freeze_one(&self, dispatch: Dispatch) -> Result<Frozen, OutletError> {
        let session = self.sessions.current().await?;
        let publication = &dispatch.publication;
        let part = publication.parts.get(dispatch.part);
        let place = part.zip(key::of(publication.id, dispatch.part));
        let (part, key) = place.ok_or_else(|| {
            part::rejected(format!("part {} can have no place", dispatch.part + 1))
        })?;
        let rkey = key.to_string();
        let at = self.time_of(&rkey);
        let warning = part::warning(&dispatch);
        // Planned with this room, in which an address may be shown cut.
        let room = room(Limit::BLUESKY, publication.attached.as_deref());
        let text = with_warning(&part.text, warning, room);
        let displayed = display(&text, room);
        let accounts = self.accounts(&displayed).await?;
        let mut record = Post::new(&displayed, &accounts, publication, at);
        record.reply = reply(&dispatch)?;
        if dispatch.part == 0 {
            record.embed = self.embed(publication, &displayed).await?;
        }
        if displayed.text.is_empty() && record.embed.is_none() {
            return Err(OutletError::Rejected {
                detail: "nothing of it can be shown: no words, and no picture that Bluesky takes"
                    .to_owned(),
            });
        }
        let is_sensitive = part::attached(&dispatch).is_some_and(|it| it.is_sensitive);
        if is_sensitive || warning.is_some() {
            record.labels = Some(record::sensitive());
        }
        let put = Put {
            repo: session.did.to_string(),
            collection: POSTS.to_owned(),
            rkey: rkey.clone(),
            swap_record: None,
            record,
        };
        Ok(Frozen {
            key: rkey.into(),
            bytes: part::json(&put)?.into(),
            dispatch,
            mark: part::now(),
        })
    }

    /// The accounts that a text mentions, as far as their handles lead to any. What is mentioned
    /// plainly is no mention here.
    ///
    /// # Errors
    /// When a handle cannot be looked up now.
    async fn accounts(&self, displayed: &Displayed) -> Result<Accounts, OutletError> {
        let handles = displayed.facets.iter().filter_map(|it| match &it.kind {
            FacetKind::Mention(handle) => Some(handle.to_lowercase()),
            FacetKind::Link(_) | FacetKind::Tag(_) => None,
        });
        let handles: BTreeSet<String> = handles.collect();
        let mut accounts = Accounts::new();
        for handle in handles {
            let session = self.sessions.current().await?;
            let resolved = self.resolved(&session, &handle).await;
            if resolved.is_ok() {
                self.tries.borrow_mut().remove(&handle);
            }
            match resolved {
                Ok(resolved) => {
                    let did = Did::parse(&resolved.did);
                    accounts.extend(did.map(|did| (handle, did.as_str().to_owned())));
                }
                Err(error @ (OutletError::Unreachable { .. } | OutletError::Busy { .. })) => {
                    if !self.is_given_up(&handle) {
                        return Err(error);
                    }
                    warn!(handle = handle.as_str(), cause:% = error; "a mention stays plain, because it cannot be looked up");
                }
                // A post need not wait for a name that leads nowhere.
                Err(error) => {
                    debug!(handle = handle.as_str(), cause:% = error; "a mention stays plain");
                }
            }
        }
        Ok(accounts)
    }

    async fn resolved(&self, session: &Session, handle: &str) -> Result<Resolved, OutletError> {
        let method = "com.atproto.identity.resolveHandle";
        let parameters = [("handle", handle)];
        let asked = self.xrpc.query(&session.server, method, &parameters, None);
        answer::read(&answer::of_question(asked.await)?)
    }

    /// Counts that a handle could not be looked up, and answers whether nothing waits for it any
    /// more, until it can be: what comes behind the post would wait as well.
    fn is_given_up(&self, handle: &str) -> bool {
        let mut tries = self.tries.borrow_mut();
        if tries.len() >= MAX_KNOWN {
            tries.clear();
        }
        let n_tries = tries.entry(handle.to_owned()).or_default();
        *n_tries = n_tries.saturating_add(1);
        *n_tries > MAX_TRIES
    }

    /// The time that a part bears: when it was frozen first, unless that is long ago.
    fn time_of(&self, rkey: &str) -> Timestamp {
        let now = part::time();
        let known = self
            .frozen
            .borrow()
            .iter()
            .rev()
            .find(|it| it.0 == rkey)
            .map(|it| it.1);
        match known {
            Some(at) if now.as_millis() - at.as_millis() < SAME_TIME => at,
            _ => {
                self.remember(rkey, now);
                now
            }
        }
    }

    fn remember(&self, rkey: &str, at: Timestamp) {
        let mut frozen = self.frozen.borrow_mut();
        if frozen.len() >= MAX_KNOWN {
            frozen.pop_front();
        }
        frozen.push_back((rkey.to_owned(), at));
    }

    async fn send(&self, part: &Frozen) -> Result<Published, OutletError> {
        if let Some(wait) = self.closed_for() {
            return Err(OutletError::Busy {
                wait: Some(wait),
                detail: "the account's points are spent".to_owned(),
            });
        }
        match self.put(part).await {
            // The same bytes under the same key: a second time changes nothing.
            Err(OutletError::Ambiguous { detail }) => match self.put(part).await {
                answer @ (Ok(_) | Err(OutletError::Rejected { .. })) => answer,
                Err(_) => Err(OutletError::Ambiguous { detail }),
            },
            answer => answer,
        }
    }

    async fn put(&self, part: &Frozen) -> Result<Published, OutletError> {
        let response = self
            .authorized(async |session| {
                let body = Body::json(Bytes::copy_from_slice(&part.bytes));
                let method = "com.atproto.repo.putRecord";
                let token = Some(&session.access);
                let asked = self.xrpc.procedure(&session.server, method, body, token);
                answer::of_change(asked.await)
            })
            .await?;
        self.note_points(&response);
        if refusal(&response).error == "InvalidSwap" {
            // It went out before with another time, or with a picture that was there then.
            return self
                .standing(part)
                .await?
                .ok_or_else(|| OutletError::Rejected {
                    detail: format!("something else stands at the key {}", part.key),
                });
        }
        if !response.is_success() {
            return Err(answer::of_refusal(&response));
        }
        let standing: Standing =
            serde_json::from_slice(&response.body).map_err(|error| OutletError::Ambiguous {
                detail: format!("wanted a record, got what cannot be read: {error}"),
            })?;
        published(standing)
    }

    /// The part as it stands in the account's repository; none where it does not.
    async fn standing(&self, part: &Frozen) -> Result<Option<Published>, OutletError> {
        let wanted: Put =
            serde_json::from_slice(&part.bytes).map_err(|error| OutletError::Ambiguous {
                detail: format!("the frozen part cannot be read: {error}"),
            })?;
        if let Some(at) = Timestamp::parse(&wanted.record.created_at) {
            self.remember(&wanted.rkey, at);
        }
        let session = self.sessions.current().await?;
        let parameters = [
            ("repo", wanted.repo.as_str()),
            ("collection", POSTS),
            ("rkey", &wanted.rkey),
        ];
        let method = "com.atproto.repo.getRecord";
        let asked = self.xrpc.query(&session.server, method, &parameters, None);
        let response = answer::of_question(asked.await)?;
        if refusal(&response).error == "RecordNotFound" {
            return Ok(None);
        }
        let standing: Standing = match answer::read(&response) {
            Err(OutletError::Rejected { detail }) => Err(OutletError::Unreachable { detail }),
            read => read,
        }?;
        let is_it = serde_json::from_value(standing.value.clone())
            .is_ok_and(|found: Post| is_same(&found, &wanted.record));
        is_it.then(|| published(standing)).transpose()
    }

    async fn take_back(&self, published: &Published) -> Result<(), OutletError> {
        let reference = Reference::of_id(&published.id)?;
        let place = reference.place().ok_or_else(|| OutletError::Rejected {
            detail: format!("`{}` names no post of an account", published.id),
        })?;
        let (did, key) = (place.account.as_str(), place.key.as_str());
        let body = json!({"repo": did, "collection": POSTS, "rkey": key}).to_string();
        let response = self
            .authorized(async |session| {
                let body = Body::json(Bytes::from(body.clone()));
                let method = "com.atproto.repo.deleteRecord";
                let token = Some(&session.access);
                // What is gone already may be deleted again.
                let asked = self.xrpc.procedure(&session.server, method, body, token);
                answer::of_question(asked.await)
            })
            .await?;
        self.note_points(&response);
        answer::read::<serde_json::Value>(&response).map(drop)
    }

    fn note_points(&self, response: &Response) {
        if let Some(wait) = spent_wait(response, POINTS) {
            self.closed_until.set(Some(Instant::now() + wait));
        }
    }

    fn closed_for(&self) -> Option<Duration> {
        let wait = self
            .closed_until
            .get()?
            .checked_duration_since(Instant::now())?;
        (!wait.is_zero()).then_some(wait)
    }
}

impl Outlet for BlueskyOutlet {
    fn abilities(&self) -> Abilities {
        Abilities {
            edits: false,
            deletes: true,
            replies: true,
            media: true,
            quotes: true,
        }
    }

    fn batch(&self) -> usize {
        1
    }

    fn quiet(&self) -> Duration {
        QUIET
    }

    fn known_limit(&self) -> Option<Limit> {
        Some(Limit::BLUESKY)
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async { self.try_credential().await.map(|()| Limit::BLUESKY) }.boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        let freeze = async |dispatch: Dispatch| self.freeze_one(dispatch).await;
        part::freeze_each(dispatches, freeze).boxed_local()
    }

    fn publish<'a>(
        &'a self,
        parts: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>> {
        let send = async |part: &Frozen| self.send(part).await;
        part::send_each(parts, send).boxed_local()
    }

    fn read_back<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        async {
            let standing = self.standing(part).await?;
            Ok(standing.map_or(ReadBack::Absent, ReadBack::Found))
        }
        .boxed_local()
    }

    fn delete<'a>(
        &'a self,
        published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<(), OutletError>> {
        self.take_back(published).boxed_local()
    }
}

/// The text below as much of its warning as has room, since Bluesky has no other place for one.
fn with_warning<'a>(text: &'a str, warning: Option<&str>, room: Limit) -> Cow<'a, str> {
    let fits = |text: &str| Limit::BLUESKY.fits(&display(text, room).text);
    let warned = warning.and_then(|warning| {
        words::below_warning(warning, text, |warning| format!("⚠ {warning}"), fits)
    });
    warned.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// What a part answers: the part before it, or what its publication answers.
fn reply(dispatch: &Dispatch) -> Result<Option<Reply>, OutletError> {
    let Some(parent) = part::parent(dispatch)? else {
        return Ok(None);
    };
    let publication = &dispatch.publication;
    let root = match &publication.thread {
        Some(thread) => Some(&*thread.root),
        None => publication.parts.first().and_then(|it| it.id.as_deref()),
    };
    Ok(Some(Reply {
        root: Reference::of_id(root.unwrap_or(parent))?,
        parent: Reference::of_id(parent)?,
    }))
}

/// Whether a record that stands is the one that was to be put, whenever it was frozen.
fn is_same(found: &Post, wanted: &Post) -> bool {
    found.text == wanted.text && found.langs == wanted.langs && found.reply == wanted.reply
}

/// What stands, as others know it; in doubt where the server names no post.
fn published(standing: Standing) -> Result<Published, OutletError> {
    let reference = Reference {
        uri: standing.uri,
        cid: standing.cid,
    };
    let place = reference.place().ok_or_else(|| OutletError::Ambiguous {
        detail: format!("wanted the address of a post, got `{}`", reference.uri),
    })?;
    Ok(Published {
        id: reference.to_id().into(),
        url: Some(place.url().into()),
    })
}
