//! A run of the whole system in which nothing is published: what goes out is only written down.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{
    Abilities, Clock, Dispatch, Frozen, Outlet, OutletError, Published, ReadBack,
};
use babelfeed_actors::setup::{Hold, LaneLimits};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::sleep;

use super::build::prepare;
use super::forecast::{Charge, Each, Forecast, Span};
use super::once::work;
use super::world::SystemClock;
use super::{Start, close_store, escalate, open_store};
use crate::settings::Settings;

/// How long is waited for translations.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a rehearsal showed.
pub(super) struct Rehearsed {
    /// What would have gone out.
    pub(super) forecasts: Vec<Forecast>,
    /// What providers charged for its translation.
    pub(super) charges: Vec<Charge>,
    /// Whether everything was translated that was to be.
    pub(super) is_whole: bool,
}

/// Translates what the sources show, and tells what would go out; nothing does, and nothing is
/// kept.
///
/// # Errors
/// When there is no place to work in, or the system does not come to its end.
pub(super) async fn rehearse(settings: &Settings, start: Start) -> anyhow::Result<Rehearsed> {
    let folder = Folder::make()?;
    let mut settings = settings.clone();
    // The data folder stays: accounts keep their tokens there, which must not be spent twice.
    settings.service.monitoring = false;
    settings.store.path = folder.0.join("check.db");
    settings.only_poll();
    // A job would take hours, and nobody would fetch it after this run.
    for provider in &mut settings.providers {
        provider.batch = false;
    }
    let store = open_store(&settings.store)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut prepared = prepare(&settings, &store, &clock, Rc::new(escalate))?;
    let sent: Rc<RefCell<Vec<Sent>>> = Rc::default();
    for source in &mut prepared.setup.sources {
        source.rules.settle = Duration::ZERO;
    }
    for outlet in &mut prepared.setup.outlets {
        outlet.outlet = Rc::new(Dry {
            inner: Rc::clone(&outlet.outlet),
            sent: Rc::clone(&sent),
        });
        // What waits for a person would go out as it is, once that person agrees.
        if outlet.hold == Hold::Always {
            outlet.hold = Hold::Doubtful;
        }
        // Its money and its hours are for what really goes out.
        outlet.limits = LaneLimits::default();
        outlet.rules.per_hour = None;
        // Nobody reads it.
        outlet.rules.in_order = Duration::ZERO;
    }
    let report = work(&settings, &store, prepared, start, sleep(PATIENCE)).await;
    close_store(&store).await;
    let report = report?;
    Ok(Rehearsed {
        is_whole: report.is_clean(),
        charges: report.charges(),
        forecasts: gathered(&sent.borrow()),
    })
}

/// What was sent, by source and outlet.
fn gathered(sent: &[Sent]) -> Vec<Forecast> {
    let mut posts: BTreeMap<(&str, &str), BTreeMap<&str, Each>> = BTreeMap::new();
    for part in sent {
        let publication = &part.dispatch.publication;
        let place = (&*publication.source, publication.outlet.as_str());
        let post = posts.entry(place).or_default();
        let each = post.entry(&publication.post).or_insert_with(|| Each {
            post: publication.post.to_string(),
            parts: Span::default(),
            usd: Span::default(),
            texts: Vec::new(),
        });
        let text = publication.parts[part.dispatch.part].text.to_string();
        each.texts.push(text);
        each.parts = Span::exactly(each.texts.len());
        each.usd = Span::exactly(each.usd.min + part.usd);
    }
    let forecasts = posts.into_iter().map(|((source, outlet), posts)| {
        Forecast::of(source, outlet, posts.into_values().collect())
    });
    forecasts.collect()
}

/// A part that would have gone out.
struct Sent {
    dispatch: Dispatch,
    usd: f64,
}

/// An outlet that writes down what it is given, and publishes nothing.
struct Dry {
    inner: Rc<dyn Outlet>,
    sent: Rc<RefCell<Vec<Sent>>>,
}

impl Outlet for Dry {
    fn abilities(&self) -> Abilities {
        Abilities {
            edits: false,
            deletes: false,
            ..self.inner.abilities()
        }
    }

    fn batch(&self) -> usize {
        1
    }

    fn quiet(&self) -> Duration {
        Duration::ZERO
    }

    fn known_limit(&self) -> Option<Limit> {
        self.inner.known_limit()
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        self.inner.limit()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        let frozen = dispatches.into_iter().map(|dispatch| Frozen {
            key: format!("{}.{}", dispatch.publication.id, dispatch.part).into(),
            bytes: Arc::from([]),
            mark: 0,
            dispatch,
        });
        let frozen: Vec<Frozen> = frozen.collect();
        std::future::ready(Ok(frozen)).boxed_local()
    }

    fn publish<'a>(
        &'a self,
        parts: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>> {
        let answers = parts.iter().map(|part| {
            self.sent.borrow_mut().push(Sent {
                dispatch: part.dispatch.clone(),
                usd: self.inner.cost(&part.dispatch),
            });
            Ok(Published {
                id: Arc::clone(&part.key),
                url: None,
            })
        });
        let answers: Vec<_> = answers.collect();
        std::future::ready(answers).boxed_local()
    }

    fn read_back<'a>(&'a self, _: &'a Frozen) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        std::future::ready(Ok(ReadBack::Absent)).boxed_local()
    }
}

/// A folder that is gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let name = format!("babelfeed-check-{}", uuid::Uuid::now_v7());
        let path = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left there is nothing that anybody needs.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
