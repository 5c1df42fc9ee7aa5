//! A network that takes down what is published there, and now and then is not to be reached.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{
    Abilities, Dispatch, Frozen, Outlet, OutletError, Published, ReadBack,
};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

/// A part that is out.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    /// The post that it says it is of.
    pub(crate) post: Arc<str>,
    pub(crate) part: usize,
    pub(crate) text: String,
    pub(crate) warning: Option<Arc<str>>,
    pub(crate) alt: Option<String>,
}

/// A network; clones are the same one.
#[derive(Clone)]
pub(crate) struct FakeNetwork {
    limit: Limit,
    stage: Rc<RefCell<Stage>>,
}

struct Stage {
    rng: fastrand::Rng,
    out: Vec<Out>,
    ids: HashMap<Arc<str>, Published>,
}

impl FakeNetwork {
    pub(crate) fn new(limit: Limit, seed: u64) -> Self {
        let stage = Stage {
            rng: fastrand::Rng::with_seed(seed),
            out: Vec::new(),
            ids: HashMap::new(),
        };
        Self {
            limit,
            stage: Rc::new(RefCell::new(stage)),
        }
    }

    /// Everything that is out, in its order.
    pub(crate) fn take_out(&self) -> Vec<Out> {
        std::mem::take(&mut self.stage.borrow_mut().out)
    }
}

impl Stage {
    fn send(&mut self, part: &Frozen) -> Result<Published, OutletError> {
        let detail = || "the network is not itself".to_owned();
        match self.rng.u32(..200) {
            0 => Err(OutletError::Unreachable { detail: detail() }),
            1 => Err(OutletError::Busy {
                wait: Some(Duration::from_secs(5)),
                detail: detail(),
            }),
            2 => Err(OutletError::Ambiguous { detail: detail() }),
            3 => {
                self.take_down(part);
                Err(OutletError::Ambiguous { detail: detail() })
            }
            _ => Ok(self.take_down(part)),
        }
    }

    /// Publishes whatever arrives, also twice.
    fn take_down(&mut self, part: &Frozen) -> Published {
        let publication = &part.dispatch.publication;
        let attached = publication.attached.as_ref();
        let media = attached.and_then(|attached| attached.media.first());
        self.out.push(Out {
            post: Arc::clone(&publication.post),
            part: part.dispatch.part,
            text: String::from_utf8_lossy(&part.bytes).into_owned(),
            warning: attached.and_then(|attached| attached.warning.clone()),
            alt: media.and_then(|media| media.alt.clone()),
        });
        let published = Published {
            id: self.out.len().to_string().into(),
            url: None,
        };
        self.ids.insert(Arc::clone(&part.key), published.clone());
        published
    }
}

impl Outlet for FakeNetwork {
    fn abilities(&self) -> Abilities {
        Abilities {
            replies: true,
            media: true,
            ..Abilities::default()
        }
    }

    fn batch(&self) -> usize {
        10
    }

    fn quiet(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn known_limit(&self) -> Option<Limit> {
        Some(self.limit)
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async { Ok(self.limit) }.boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        let frozen = dispatches.into_iter().map(|dispatch| Frozen {
            key: format!("{}.{}", dispatch.publication.id, dispatch.part).into(),
            bytes: dispatch.publication.parts[dispatch.part]
                .text
                .as_bytes()
                .into(),
            mark: 0,
            dispatch,
        });
        let frozen = frozen.collect();
        async { Ok(frozen) }.boxed_local()
    }

    fn publish<'a>(
        &'a self,
        parts: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>> {
        async {
            let mut stage = self.stage.borrow_mut();
            parts.iter().map(|part| stage.send(part)).collect()
        }
        .boxed_local()
    }

    fn read_back<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        async {
            let stage = self.stage.borrow();
            let found = stage.ids.get(&part.key).cloned();
            Ok(found.map_or(ReadBack::Absent, ReadBack::Found))
        }
        .boxed_local()
    }
}
