//! A feed as a source: RSS, Atom or JSON Feed, over HTTP or from a file.
//!
//! Each poll shows every item that the feed holds, the oldest first; what was shown before is
//! known by its identity, whatever its place or date. A feed that did not change costs one
//! conditional request, and shows nothing.

mod cursor;
mod fetch;
mod identity;
mod item;
mod languages;
mod parse;
mod repair;

use std::path::PathBuf;
use std::time::Duration;

use actix_rt::task::spawn_blocking;
use babelfeed_actors::domain::{Language, SourceName};
use babelfeed_actors::ports::{Cursor, Polled, Source, SourceError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::http::{HttpClient, HttpConfig, Uri};
use cursor::Seen;
use fetch::Fetched;

use super::websub::{Callbacks, Subscriber};

/// The most redirects that are followed.
const MAX_REDIRECTS: u8 = 5;
/// The longest that a server's wish to be left alone is believed.
const LONGEST_REST: Duration = Duration::from_secs(24 * 3600);

/// What a feed source is told.
#[derive(Clone)]
pub struct FeedConfig {
    /// Its name.
    pub name: SourceName,
    /// Where the feed is.
    pub location: Location,
    /// The language of the items that do not tell theirs; it goes before the feed's own.
    pub language: Option<Language>,
    /// How it connects; redirects are always followed.
    pub http: HttpConfig,
    /// The most bytes that a feed may have.
    pub max_body: usize,
    /// How long one poll may take.
    pub timeout: Duration,
    /// Whether the server may lengthen the time between polls.
    pub respect_hints: bool,
    /// Where its hub calls; none: no hub is asked.
    pub callbacks: Option<Callbacks>,
}

/// Where a feed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// At an address, `http` or `https`.
    Url(Uri),
    /// In a file.
    Path(PathBuf),
}

impl FeedConfig {
    /// The settings of a feed at their defaults: 10 MB, 30 s, hints respected.
    pub fn new(name: impl Into<SourceName>, location: Location) -> Self {
        Self {
            name: name.into(),
            location,
            language: None,
            http: HttpConfig::default(),
            max_body: 10_000_000,
            timeout: Duration::from_secs(30),
            respect_hints: true,
            callbacks: None,
        }
    }
}

/// A source that reads a feed; bound to its arbiter, like the client it holds.
#[derive(Clone)]
pub struct FeedSource {
    config: FeedConfig,
    client: HttpClient,
    /// Who looks after its subscription at a hub.
    subscriber: Option<Subscriber>,
}

impl FeedSource {
    /// A source of that feed; nothing is read before the first poll.
    pub fn new(config: FeedConfig) -> Self {
        let client = HttpClient::new(&HttpConfig {
            redirects: MAX_REDIRECTS,
            ..config.http.clone()
        });
        let subscriber = match (&config.callbacks, &config.location) {
            (Some(callbacks), Location::Url(url)) => {
                Some(callbacks.subscriber(&config.name, &config.http, url))
            }
            _ => None,
        };
        Self {
            config,
            client,
            subscriber,
        }
    }

    async fn read(&self, cursor: Option<&Cursor>) -> Result<Polled, SourceError> {
        let seen = cursor.and_then(Seen::from_cursor);
        let begins_anew = cursor.is_some() && seen.is_none();
        let seen = seen.unwrap_or_default();
        let fetched = match &self.config.location {
            Location::Url(url) => fetch::over_http(&self.client, url, &self.config, seen).await?,
            Location::Path(path) => fetch::from_file(path, &self.config, seen).await?,
        };
        let mut polled = match fetched {
            Fetched::Unchanged { seen, rest, hub } => {
                if let Some(subscriber) = &self.subscriber {
                    subscriber.note_unchanged(hub);
                }
                Polled {
                    cursor: Some(seen.to_cursor()),
                    rest,
                    ..Polled::default()
                }
            }
            Fetched::Changed(document) => {
                if let Some(subscriber) = &self.subscriber {
                    subscriber.note_changed(document.hub.clone());
                }
                self.parse(document).await?
            }
        };
        polled.begins_anew = begins_anew;
        polled.rest = polled
            .rest
            .filter(|rest| self.config.respect_hints && !rest.is_zero())
            .map(|rest| rest.min(LONGEST_REST));
        Ok(polled)
    }

    async fn poll_and_tend(&self, cursor: Option<&Cursor>) -> Result<Polled, SourceError> {
        let polled = self.read(cursor).await;
        if let Some(subscriber) = &self.subscriber {
            subscriber.tend().await;
        }
        polled
    }

    async fn wait_for_news(&self) {
        match &self.subscriber {
            Some(subscriber) => subscriber.news().await,
            None => std::future::pending().await,
        }
    }

    async fn parse(&self, document: fetch::Document) -> Result<Polled, SourceError> {
        let (name, language) = (self.config.name.clone(), self.config.language.clone());
        spawn_blocking(move || parse::parse(document, &name, language.as_ref()))
            .await
            .unwrap_or_else(|failure| {
                Err(SourceError::Malformed {
                    detail: format!("wanted a feed, got what cannot be read: {failure}"),
                })
            })
    }
}

impl Source for FeedSource {
    fn poll<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        _room: usize,
    ) -> LocalBoxFuture<'a, Result<Polled, SourceError>> {
        self.poll_and_tend(cursor).boxed_local()
    }

    fn news(&self) -> LocalBoxFuture<'_, ()> {
        self.wait_for_news().boxed_local()
    }
}
