//! Accounts on X as a source.
//!
//! Each post that is read costs, and an answer without posts costs nothing. So at first sight no
//! more is read than is wanted, and from then on only what came since. One account is read by
//! its timeline, which reaches back the furthest; several by one search for all of them, which
//! costs the same and makes one call of many, as long as it reaches back to the last poll.
//! Where X's filtered stream is read, posts come by it, and nothing is asked while it is open.

mod cursor;
mod read;
mod stream;
mod wire;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use babelfeed_actors::domain::{Language, SourceName};
use babelfeed_actors::ports::{Cursor, Polled, Source, SourceError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::x::prices::Prices;
use crate::x::{Api, ApiConfig};
use cursor::Seen;
use read::{MAX_RULE, Reader, names, queries};
use stream::Stream;

/// What a source on X is told.
#[derive(Clone, Debug)]
pub struct XConfig {
    /// Its name.
    pub name: SourceName,
    /// Where and as whom X is called; an app alone is enough.
    pub api: ApiConfig,
    /// The accounts that are read, by their names.
    pub accounts: Vec<String>,
    /// What X leaves out, and so does not bill.
    pub left_out: BTreeSet<LeftOut>,
    /// The language of posts whose own X does not tell.
    pub language: Option<Language>,
    /// How many posts of an account are read at first sight; none: all there are.
    pub backfill: Option<usize>,
    /// What X charges.
    pub prices: Prices,
    /// Whether the filtered stream is read; only an app may.
    pub streams: bool,
}

/// What X can leave out of an account's posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftOut {
    /// Answers, those in the account's own threads among them.
    Replies,
    /// Posts of others that are shown again.
    Reposts,
}

/// A source that reads accounts; bound to its arbiter, like the client it holds.
#[derive(Clone)]
pub struct XSource {
    inner: Rc<Inner>,
}

struct Inner {
    config: XConfig,
    api: Rc<Api>,
    stream: Option<Stream>,
    /// The ids of accounts by their names, where no cursor has them yet.
    ids: RefCell<HashMap<String, String>>,
    /// What a person was told already.
    told: RefCell<BTreeSet<String>>,
}

impl XSource {
    /// A source of these accounts; nothing is read before the first poll.
    ///
    /// # Errors
    /// When the base address cannot be one.
    pub fn new(config: XConfig) -> anyhow::Result<Self> {
        let api = Rc::new(Api::new(config.api.clone())?);
        let stream = config.streams.then(|| {
            let rules = queries(&config, &names(&config), MAX_RULE);
            Stream::new(&config.name, Rc::clone(&api), rules)
        });
        Ok(Self {
            inner: Rc::new(Inner {
                config,
                api,
                stream,
                ids: RefCell::new(HashMap::new()),
                told: RefCell::new(BTreeSet::new()),
            }),
        })
    }

    async fn read(&self, cursor: Option<&Cursor>) -> Result<Polled, SourceError> {
        let Some(cursor) = cursor else {
            return Reader::new(&self.inner, Seen::default()).all().await;
        };
        let seen = Seen::from_cursor(cursor).ok_or_else(|| SourceError::Malformed {
            detail: "the place up to which the accounts were read cannot be read".to_owned(),
        })?;
        let Some(stream) = &self.inner.stream else {
            return Reader::new(&self.inner, seen).since(Vec::new()).await;
        };
        stream.settle(seen.told);
        let told = stream.waiting();
        let reader = Reader::new(&self.inner, seen);
        if stream.is_whole(&told) && reader.knows_all() {
            reader.told(told)
        } else {
            reader.since(told).await
        }
    }
}

impl Source for XSource {
    fn poll<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        _room: usize,
    ) -> LocalBoxFuture<'a, Result<Polled, SourceError>> {
        self.read(cursor).boxed_local()
    }

    fn news(&self) -> LocalBoxFuture<'_, ()> {
        match &self.inner.stream {
            Some(stream) => stream.news().boxed_local(),
            None => Box::pin(std::future::pending()),
        }
    }
}
