//! Keeps threads together: what answers a post of its own thread waits until that one is out.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler};
use log::warn;

use super::PublisherActor;
use super::read_back::write_one;
use crate::domain::{
    OutletName, Publication, PublicationId, PublicationState, RequestId, SourceName, Thread,
};
use crate::failpoints;
use crate::logic::backoff::Backoff;
use crate::ports::{Ended, PublicationRecord, StoreError, TaskStore};

/// The waits between looks at what is not out yet; mostly its end is heard of before.
const LOOKS: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));

/// Why a publication that waits may not go yet.
#[derive(Debug)]
pub(super) struct Blocked {
    /// The post that it answers.
    post: Arc<str>,
    /// How often the store was asked; answers to earlier questions count no more.
    looks: u32,
    /// Whether the store is being asked.
    is_looking: bool,
    /// Whether something happened since it was asked.
    is_stale: bool,
}

impl Blocked {
    pub(super) const fn by(post: Arc<str>) -> Self {
        Self {
            post,
            looks: 0,
            is_looking: false,
            is_stale: false,
        }
    }
}

/// Where what a publication answers stands at its outlet.
#[derive(Debug)]
enum Parent {
    /// Nowhere, because it was never taken.
    Unknown,
    /// It is out.
    Out(Thread),
    /// It may still come out.
    Pending,
    /// It will not come out.
    Lost(&'static str),
}

/// The store was asked for a parent.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Looked {
    epoch: u64,
    outlet: OutletName,
    id: PublicationId,
    looks: u32,
    parent: Result<Parent, StoreError>,
}

/// Time to ask for a parent again.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookAgain {
    epoch: u64,
    outlet: OutletName,
    id: PublicationId,
    looks: u32,
}

/// A publication was held back, and is written down as it stands.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct HeldBack(PublicationRecord);

/// The post that a publication answers, if that has to be looked for before it goes out.
pub(super) fn answers(record: &PublicationRecord) -> Option<Arc<str>> {
    let publication = &record.publication;
    let is_begun = publication.parts.iter().any(|part| part.id.is_some());
    if is_begun || publication.thread.is_some() {
        return None;
    }
    publication.attached.as_ref()?.parent.clone()
}

impl PublisherActor {
    /// Asks the store what became of the post that a publication answers.
    pub(super) fn look_for_parent(&mut self, outlet: &OutletName, id: PublicationId) {
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let (Some(blocked), Some(record)) = (state.blocked.get_mut(&id), state.waiting.get(&id))
        else {
            return;
        };
        blocked.looks += 1;
        (blocked.is_looking, blocked.is_stale) = (true, false);
        let (looks, publication) = (blocked.looks, Arc::clone(&record.publication));
        let (store, own) = (Rc::clone(&self.store), self.own.clone());
        let (epoch, outlet) = (self.epoch, outlet.clone());
        actix_rt::spawn(async move {
            let parent = parent_of(&*store, &publication).await;
            own.do_send(Looked {
                epoch,
                outlet,
                id,
                looks,
                parent,
            });
        });
    }

    /// Looks again at what answers this publication, because something became of it.
    pub(super) fn wake_children(&mut self, publication: &Publication) {
        let outlet = &publication.outlet;
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let mut waking = Vec::new();
        for (id, blocked) in &mut state.blocked {
            if blocked.post != publication.post {
                continue;
            }
            if blocked.is_looking {
                blocked.is_stale = true;
            } else {
                waking.push(*id);
            }
        }
        for id in waking {
            self.look_for_parent(outlet, id);
        }
    }

    /// Lets a publication go, as an answer where its outlet has such.
    fn unblock(&mut self, outlet: &OutletName, id: PublicationId, thread: Option<Thread>) {
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        state.blocked.remove(&id);
        if let (Some(record), Some(thread)) = (state.waiting.get_mut(&id), thread) {
            Arc::make_mut(&mut record.publication).thread = Some(thread);
        }
        self.pump(outlet);
    }

    /// Lets a person decide about a publication that would answer nothing.
    fn hold_back(&mut self, outlet: &OutletName, id: PublicationId, why: &'static str) {
        let Some(under_way) = self.book.look(id) else {
            return;
        };
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        state.blocked.remove(&id);
        let Some(mut record) = state.waiting.remove(&id) else {
            return;
        };
        record.state = PublicationState::Held;
        record.why = Some(why.into());
        record.at = self.clock.wall();
        let (store, own) = (Rc::clone(&self.store), self.own.clone());
        actix_rt::spawn(async move {
            let record = write_one(&*store, record, under_way).await;
            own.do_send(HeldBack(record));
        });
    }
}

/// What became of the post that a publication answers, at the same outlet.
async fn parent_of(store: &dyn TaskStore, publication: &Publication) -> Result<Parent, StoreError> {
    let attached = publication.attached.as_ref();
    let Some(post) = attached.and_then(|attached| attached.parent.clone()) else {
        return Ok(Parent::Unknown);
    };
    let source = SourceName::from(&*publication.source);
    match store.request_of_post(source, post).await? {
        Some(request) => standing(store, request, publication).await,
        None => Ok(Parent::Unknown),
    }
}

/// The publication on its own, if a person wants it out although what it answers never will be.
pub(super) async fn without_lost_parent(
    store: &dyn TaskStore,
    mut record: PublicationRecord,
) -> Result<PublicationRecord, StoreError> {
    if answers(&record).is_some()
        && let Parent::Lost(_) = parent_of(store, &record.publication).await?
    {
        let publication = Arc::make_mut(&mut record.publication);
        if let Some(attached) = &mut publication.attached {
            Arc::make_mut(attached).parent = None;
        }
    }
    Ok(record)
}

/// Where a request stands at the outlet of this publication.
async fn standing(
    store: &dyn TaskStore,
    request: RequestId,
    publication: &Publication,
) -> Result<Parent, StoreError> {
    let tasks = store.request(request).await?;
    let same = tasks
        .into_iter()
        .find(|task| task.task.target == publication.language);
    // Not wanted in this language then, or forgotten since.
    let Some(task) = same else {
        return Ok(Parent::Unknown);
    };
    match task.ended {
        None => return Ok(Parent::Pending),
        Some(Ended::Failed(_)) => {
            return Ok(Parent::Lost("the post that it answers was not translated"));
        }
        Some(Ended::Completed(_)) => (),
    }
    let records = store.publications_of(task.task.id).await?;
    let same = records
        .into_iter()
        .find(|record| record.publication.outlet == publication.outlet);
    let Some(record) = same else {
        return Ok(Parent::Unknown);
    };
    Ok(match record.state {
        PublicationState::Published => {
            end_of(&record.publication).map_or(Parent::Unknown, Parent::Out)
        }
        PublicationState::Refused => Parent::Lost("the post that it answers was refused"),
        PublicationState::Deleted => Parent::Lost("the post that it answers was deleted"),
        PublicationState::Planned
        | PublicationState::Held
        | PublicationState::Sending
        | PublicationState::Unknown => Parent::Pending,
    })
}

/// What answers a publication that is out: its last part, in its thread.
fn end_of(publication: &Publication) -> Option<Thread> {
    let first = publication.parts.first()?.id.clone()?;
    let thread = publication.thread.as_ref();
    Some(Thread {
        root: thread.map_or(first, |thread| Arc::clone(&thread.root)),
        parent: publication.parts.last()?.id.clone()?,
    })
}

impl Handler<Looked> for PublisherActor {
    type Result = ();

    fn handle(&mut self, looked: Looked, _: &mut Context<Self>) {
        failpoints::hit("publisher.looked");
        let Looked {
            epoch,
            outlet,
            id,
            looks,
            parent,
        } = looked;
        if epoch != self.epoch {
            return;
        }
        let Some(seat) = self.seat(&outlet) else {
            return;
        };
        let can_reply = seat.outlet.abilities().replies;
        let state = self.state.get_mut(&outlet);
        let blocked = state.and_then(|state| state.blocked.get_mut(&id));
        let Some(blocked) = blocked.filter(|blocked| blocked.looks == looks) else {
            return;
        };
        blocked.is_looking = false;
        match parent {
            Ok(Parent::Unknown) => self.unblock(&outlet, id, None),
            Ok(Parent::Out(thread)) => {
                self.unblock(&outlet, id, Some(thread).filter(|_| can_reply));
            }
            // Where nothing answers anything, it looks no different from a start.
            Ok(Parent::Lost(_)) if !can_reply => self.unblock(&outlet, id, None),
            Ok(Parent::Lost(why)) => self.hold_back(&outlet, id, why),
            Ok(Parent::Pending) if blocked.is_stale => self.look_for_parent(&outlet, id),
            Ok(Parent::Pending) => self.look_again(outlet, id, looks),
            Err(error) => {
                warn!(publication:% = id, cause:% = error; "what a publication answers was not looked up");
                self.look_again(outlet, id, looks);
            }
        }
    }
}

impl PublisherActor {
    fn look_again(&self, outlet: OutletName, id: PublicationId, looks: u32) {
        let wait = self.chance.jitter(LOOKS.after(looks));
        let (own, epoch) = (self.own.clone(), self.epoch);
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            own.do_send(LookAgain {
                epoch,
                outlet,
                id,
                looks,
            });
        });
    }
}

impl Handler<LookAgain> for PublisherActor {
    type Result = ();

    fn handle(&mut self, again: LookAgain, _: &mut Context<Self>) {
        let state = self.state.get(&again.outlet);
        let blocked = state.and_then(|state| state.blocked.get(&again.id));
        if again.epoch == self.epoch && blocked.is_some_and(|blocked| blocked.looks == again.looks)
        {
            self.look_for_parent(&again.outlet, again.id);
        }
    }
}

impl Handler<HeldBack> for PublisherActor {
    type Result = ();

    fn handle(&mut self, HeldBack(record): HeldBack, _: &mut Context<Self>) {
        let outlet = record.publication.outlet.clone();
        self.tell(&record);
        self.note_publication(&outlet, record);
        self.pump(&outlet);
    }
}
