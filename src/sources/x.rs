//! Accounts on X as a source.
//!
//! Each post that is read costs, and an answer without posts costs nothing. So at first sight no
//! more is read than is wanted, and from then on only what came since. One account is read by
//! its timeline, which reaches back the furthest; several by one search for all of them, which
//! costs the same and makes one call of many, as long as it reaches back to the last poll. A search
//! finds some posts late, so the last minutes before a poll are searched again by the next one.
//! Where X's filtered stream is read, posts come by it, and nothing is asked while it is open.

mod ask;
mod cursor;
mod query;
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
use serde::Deserialize;

use crate::x::bill::{Bill, Paid, left_of_day};
use crate::x::prices::Prices;
use crate::x::{Api, ApiConfig, Identity};
use cursor::Seen;
use query::{MAX_RULE, names, queries};
use read::Reader;
use stream::{Listener, Stream};

/// How far back a timeline reaches.
const DEPTH: usize = 3_200;
/// The same where answers are left out.
const DEPTH_WITHOUT_REPLIES: usize = 800;

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
    /// The most that reading may cost a day, in US dollars.
    pub usd_per_day: Option<f64>,
    /// Whether the filtered stream is read; only an app may.
    pub streams: bool,
    /// How much is read at first sight.
    pub extent: Extent,
}

/// How much is read of what is wanted at first sight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    #[default]
    Whole,
    /// About a page of each account, which shows what the rest is like.
    Look,
}

/// What X can leave out of an account's posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftOut {
    /// Answers, those in the account's own threads among them.
    Replies,
    /// Posts of others that are shown again.
    Reposts,
}

/// What sources share that read by the same credential; each is to be made with the same of these.
#[derive(Clone, Default)]
pub struct Apps {
    apps: Rc<RefCell<Vec<App>>>,
}

#[derive(Clone)]
struct App {
    base_url: String,
    identity: Identity,
    paid: Rc<Paid>,
    stream: Rc<Stream>,
}

/// A source that reads accounts; bound to its arbiter, like the client it holds.
#[derive(Clone)]
pub struct XSource {
    inner: Rc<Inner>,
}

struct Inner {
    config: XConfig,
    api: Rc<Api>,
    bill: Rc<Bill>,
    stream: Option<Listener>,
    /// Accounts by their names, once they were looked up.
    users: RefCell<HashMap<String, User>>,
    /// What a person was told already.
    told: RefCell<BTreeSet<String>>,
}

/// An account that was looked up.
#[derive(Clone, Debug, Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    public_metrics: Metrics,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Metrics {
    #[serde(alias = "post_count")]
    tweet_count: Option<usize>,
}

impl User {
    /// How many posts it has, answers and reposts among them, where X tells.
    const fn n_posts(&self) -> Option<usize> {
        self.public_metrics.tweet_count
    }
}

impl Apps {
    fn app(&self, config: &ApiConfig, api: &Rc<Api>) -> App {
        let mut apps = self.apps.borrow_mut();
        let same = |app: &&App| app.base_url == config.base_url && app.identity == config.identity;
        if let Some(app) = apps.iter().find(same) {
            return app.clone();
        }
        let app = App {
            base_url: config.base_url.clone(),
            identity: config.identity.clone(),
            paid: Rc::default(),
            stream: Rc::new(Stream::new(Rc::clone(api))),
        };
        apps.push(app.clone());
        app
    }
}

impl XSource {
    /// A source of these accounts; nothing is read before the first poll.
    ///
    /// # Errors
    /// When the base address cannot be one.
    pub fn new(config: XConfig, apps: &Apps) -> anyhow::Result<Self> {
        let api = Rc::new(Api::new(config.api.clone())?);
        let App { paid, stream, .. } = apps.app(&config.api, &api);
        let bill = Rc::new(Bill::new(config.prices, paid));
        let stream = config.streams.then(|| {
            let rules = queries(&config, &names(&config), MAX_RULE);
            stream.join(&config.name, rules, Rc::clone(&bill))
        });
        Ok(Self {
            inner: Rc::new(Inner {
                config,
                api,
                bill,
                stream,
                users: RefCell::default(),
                told: RefCell::default(),
            }),
        })
    }

    async fn read(&self, cursor: Option<&Cursor>) -> Result<Polled, SourceError> {
        let Some(seen) = cursor.and_then(Seen::from_cursor) else {
            let all = self.reader(Seen::default())?.all().await?;
            return Ok(Polled {
                begins_anew: cursor.is_some(),
                ..all
            });
        };
        let Some(stream) = &self.inner.stream else {
            return self.reader(seen)?.since(Vec::new()).await;
        };
        let told = stream.waiting_after(seen.told);
        let is_whole = stream.is_whole(&told);
        let reader = Reader::new(&self.inner, seen);
        if !is_whole || !reader.knows_all() {
            return self.within_budget(reader)?.since(told).await;
        }
        if told.is_empty() {
            return self.within_budget(reader)?.told(told);
        }
        // What was told is paid for; there is to be no more of it today.
        if reader.affordable() == 0 {
            stream.rest();
        }
        reader.told(told)
    }

    async fn pass_over(&self, cursor: &Cursor) -> Result<Polled, SourceError> {
        let Some(seen) = Seen::from_cursor(cursor) else {
            return self.read(Some(cursor)).await;
        };
        let told = match &self.inner.stream {
            Some(stream) => stream.waiting_after(seen.told),
            None => Vec::new(),
        };
        self.reader(seen)?.skip(&told).await
    }

    /// A poll that goes on there, if it may cost anything today.
    fn reader(&self, seen: Seen) -> Result<Reader<'_>, SourceError> {
        self.within_budget(Reader::new(&self.inner, seen))
    }

    fn within_budget<'a>(&self, reader: Reader<'a>) -> Result<Reader<'a>, SourceError> {
        if reader.affordable() > 0 {
            return Ok(reader);
        }
        // What the stream shows is paid for as well.
        self.rest();
        Err(SourceError::Spent {
            wait: left_of_day(reader.now),
            detail: "what reading may cost a day is spent; the next poll waits until it ends (UTC)"
                .to_owned(),
        })
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

    fn skip<'a>(
        &'a self,
        cursor: &'a Cursor,
        _room: usize,
    ) -> LocalBoxFuture<'a, Result<Polled, SourceError>> {
        self.pass_over(cursor).boxed_local()
    }

    fn news(&self) -> LocalBoxFuture<'_, ()> {
        match &self.inner.stream {
            Some(stream) => stream.news().boxed_local(),
            None => Box::pin(std::future::pending()),
        }
    }

    fn taken(&self, cursor: &Cursor) {
        if let Some(stream) = &self.inner.stream
            && let Some(seen) = Seen::from_cursor(cursor)
        {
            stream.forget(seen.told);
        }
    }

    fn rest(&self) {
        if let Some(stream) = &self.inner.stream {
            stream.rest();
        }
    }

    fn charged(&self) -> f64 {
        self.inner.bill.take()
    }
}

/// How far back the timelines of these accounts reach.
fn depth(config: &XConfig) -> usize {
    if config.left_out.contains(&LeftOut::Replies) {
        DEPTH_WITHOUT_REPLIES
    } else {
        DEPTH
    }
}
