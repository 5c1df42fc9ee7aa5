//! An Atom feed as an outlet: a file with the newest translations, replaced as a whole.
//!
//! A publication of several parts is one entry with all the text, put in by its first part.

mod document;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atom_syndication::{Entry, Feed};
use babelfeed_actors::domain::{Language, OutletName};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Dispatch, Frozen, Outlet, OutletError, Published, ReadBack};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use log::warn;

use super::{disk, part};

/// The most publications that are put in by one replacement of the file.
const BATCH: usize = 100;

/// What a feed outlet is told.
#[derive(Clone, Debug)]
pub struct FeedConfig {
    /// Its name, which is also the feed's author.
    pub name: OutletName,
    /// The file.
    pub path: PathBuf,
    /// The language of its entries.
    pub language: Language,
    /// What the feed is called.
    pub title: String,
}

/// An outlet that keeps an Atom feed of the newest 100 publications in a file.
#[derive(Clone, Debug)]
pub struct FeedOutlet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: FeedConfig,
    /// Held while the file is worked on.
    work: Mutex<()>,
}

impl FeedOutlet {
    /// An outlet to that file; nothing is made before the first publication.
    pub fn new(config: FeedConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                work: Mutex::new(()),
            }),
        }
    }
}

impl Outlet for FeedOutlet {
    fn batch(&self) -> usize {
        BATCH
    }

    fn quiet(&self) -> Duration {
        Duration::ZERO
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async { Ok(Limit::Unbounded) }.boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        async { dispatches.into_iter().map(freeze).collect() }.boxed_local()
    }

    fn publish<'a>(
        &'a self,
        parts: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>> {
        let shared = self.shared.clone();
        let entries: Vec<Arc<[u8]>> = parts.iter().map(|part| part.bytes.clone()).collect();
        async move {
            let put = disk::off_the_arbiter(move || shared.put(&entries), Err).await;
            parts
                .iter()
                .map(|part| put.clone().map(|()| proof(part)))
                .collect()
        }
        .boxed_local()
    }

    fn read_back<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        let shared = self.shared.clone();
        let bytes = Arc::clone(&part.bytes);
        let found = ReadBack::Found(proof(part));
        async move {
            let work = move || shared.covers(&bytes);
            let is_out = disk::off_the_arbiter(work, Err).await?;
            Ok(if is_out { found } else { ReadBack::Absent })
        }
        .boxed_local()
    }
}

fn freeze(dispatch: Dispatch) -> Result<Frozen, OutletError> {
    let publication = &dispatch.publication;
    let bytes =
        document::freeze(publication, part::time()).map_err(|error| OutletError::Rejected {
            detail: format!("the entry cannot be written: {error}"),
        })?;
    Ok(Frozen {
        key: part::key(&dispatch).into(),
        bytes: bytes.into(),
        dispatch,
        mark: 0,
    })
}

fn proof(part: &Frozen) -> Published {
    Published {
        id: document::entry_id(&part.dispatch.publication).into(),
        url: None,
    }
}

impl Shared {
    /// Puts entries in that do not stand in the feed already.
    fn put(&self, entries: &[Arc<[u8]>]) -> Result<(), OutletError> {
        let _work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let path = &self.config.path;
        let mut feed = self.read()?;
        let mut is_changed = false;
        for bytes in entries {
            is_changed |= document::insert(&mut feed, self.entry(bytes)?);
        }
        if !is_changed {
            return Ok(());
        }
        let bytes = document::render(&feed)
            .map_err(|error| disk::not_written(path, &io::Error::other(error)))?;
        disk::replace(path, &bytes)
    }

    /// Whether the entry is out.
    fn covers(&self, bytes: &[u8]) -> Result<bool, OutletError> {
        let _work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = self.entry(bytes)?;
        self.read().map(|feed| document::covers(&feed, &entry))
    }

    fn entry(&self, bytes: &[u8]) -> Result<Entry, OutletError> {
        document::thaw(bytes, &self.config.language)
            .map_err(|error| disk::not_written(&self.config.path, &io::Error::other(error)))
    }

    /// The feed as it stands; one that cannot be read is moved aside, and a new one begun.
    fn read(&self) -> Result<Feed, OutletError> {
        let path = &self.config.path;
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(document::empty(&self.config));
            }
            Err(error) => return Err(disk::not_written(path, &error)),
        };
        match Feed::read_from(bytes.as_slice()) {
            Ok(feed) => Ok(document::renewed(feed, &self.config)),
            Err(error) => {
                let aside = self.move_aside()?;
                warn!(outlet:% = self.config.name, kept:% = aside.display(), cause:% = error; "feed file cannot be read, a new one is begun");
                Ok(document::empty(&self.config))
            }
        }
    }

    fn move_aside(&self) -> Result<PathBuf, OutletError> {
        let path = &self.config.path;
        let aside = (1..)
            .map(|number: u32| disk::aside(path, &format!("corrupt-{number}")))
            .find(|aside| !aside.exists())
            .unwrap_or_else(|| disk::aside(path, "corrupt"));
        fs::rename(path, &aside)
            .map(|()| aside)
            .map_err(|error| disk::not_written(path, &error))
    }
}
