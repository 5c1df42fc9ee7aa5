//! Keeps the order in which one post's publications need another's: answers and edits wait until
//! what they are about is out.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler};
use log::warn;

use super::PublisherActor;
use super::read_back::write_one;
use super::standing::{Before, NOT_TAKEN, Ties, Verdict, awaited, judge, parent};
use crate::domain::{OutletName, Publication, PublicationId, PublicationState};
use crate::failpoints;
use crate::logic::backoff::Backoff;
use crate::ports::{Abilities, PublicationRecord, StoreError, TaskStore};
use crate::supervision::unless_panicked;

/// The waits between looks at what is not out yet; mostly its end is heard of before.
const LOOKS: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));

/// Why a publication that waits may not go yet.
#[derive(Debug)]
pub(super) struct Blocked {
    /// The posts that have to be out first.
    posts: Vec<Arc<str>>,
    /// How often the store was asked; answers to earlier questions count no more.
    looks: u32,
    /// Whether the store is being asked.
    is_looking: bool,
    /// Whether something happened since it was asked.
    is_stale: bool,
    /// What has to be out first, as it stood when the store was asked.
    before: Option<Before>,
}

impl Blocked {
    pub(super) const fn by(posts: Vec<Arc<str>>) -> Self {
        Self {
            posts,
            looks: 0,
            is_looking: false,
            is_stale: false,
            before: None,
        }
    }
}

/// How many of the blocked wait for what only a person lets out, what its outlet publishes at its
/// time, or what nobody knows the fate of: themselves, or what they wait for.
pub(super) fn n_behind_held(blocked: &HashMap<PublicationId, Blocked>) -> usize {
    let mut resting: HashSet<PublicationId> = HashSet::new();
    loop {
        let n_before = resting.len();
        for (id, it) in blocked {
            let rests = it.before.is_some_and(|before| {
                let is_open = [
                    PublicationState::Held,
                    PublicationState::Scheduled,
                    PublicationState::Unknown,
                ];
                is_open.contains(&before.state) || resting.contains(&before.id)
            });
            if rests {
                resting.insert(*id);
            }
        }
        if resting.len() == n_before {
            return n_before;
        }
    }
}

/// The store was asked what a publication has to wait for.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Looked {
    epoch: u64,
    outlet: OutletName,
    id: PublicationId,
    looks: u32,
    verdict: Result<Verdict, StoreError>,
}

/// Time to ask again.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookAgain {
    epoch: u64,
    outlet: OutletName,
    id: PublicationId,
    looks: u32,
}

/// Publications were changed by the publisher itself, and are written down as they stand.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Changed(pub(super) Vec<PublicationRecord>);

impl PublisherActor {
    /// Asks the store what a publication has to wait for.
    pub(super) fn look_at_order(&mut self, outlet: &OutletName, id: PublicationId) {
        let seat = self.seat(outlet);
        let abilities = seat.map(|seat| seat.outlet.abilities()).unwrap_or_default();
        let place = seat.and_then(|seat| seat.place);
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
            let judging = async {
                failpoints::hit("publisher.judge");
                judge(&*store, &publication, (abilities, place)).await
            };
            let verdict = unless_panicked(judging).await;
            own.do_send(Looked {
                epoch,
                outlet,
                id,
                looks,
                verdict,
            });
        });
    }

    /// Looks again at what waits for this publication, because something became of it.
    pub(super) fn wake_waiting_for(&mut self, publication: &Publication) {
        let outlet = &publication.outlet;
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let mut waking = Vec::new();
        for (id, blocked) in &mut state.blocked {
            if !blocked.posts.contains(&publication.post) {
                continue;
            }
            blocked.before = None;
            if blocked.is_looking {
                blocked.is_stale = true;
            } else {
                waking.push(*id);
            }
        }
        for id in waking {
            self.look_at_order(outlet, id);
        }
    }

    /// Takes a publication out of memory, to be changed.
    pub(super) fn take_out(
        &mut self,
        outlet: &OutletName,
        id: PublicationId,
    ) -> Option<PublicationRecord> {
        let state = self.state.get_mut(outlet)?;
        state.blocked.remove(&id);
        state.waiting.remove(&id)
    }

    /// Puts a publication into another state, if nothing is under way with it; answers whether
    /// it does.
    pub(super) fn put_into(
        &mut self,
        mut record: PublicationRecord,
        state: PublicationState,
        why: &'static str,
    ) -> bool {
        let Some(under_way) = self.book.look(record.publication.id) else {
            return false;
        };
        let outlet = record.publication.outlet.clone();
        // What is in memory is at least as new.
        if let Some(newer) = self.take_out(&outlet, record.publication.id) {
            record = PublicationRecord {
                errand: record.errand,
                ..newer
            };
        }
        record.state = state;
        record.why = Some(why.into());
        record.at = self.clock.wall();
        let (store, own) = (Rc::clone(&self.store), self.own.clone());
        actix_rt::spawn(async move {
            let record = write_one(&*store, record, under_way).await;
            own.do_send(Changed(vec![record]));
        });
        true
    }

    /// Lets a publication go, with what of its outlet's it belongs to.
    fn unblock(&mut self, outlet: &OutletName, id: PublicationId, ties: Ties) {
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        state.blocked.remove(&id);
        if let Some(record) = state.waiting.get_mut(&id) {
            let Ties { thread, quoted } = ties;
            let publication = Arc::make_mut(&mut record.publication);
            publication.thread = thread.or(publication.thread.take());
            if let (Some(attached), Some(quoted)) = (&mut publication.attached, quoted) {
                Arc::make_mut(attached).quoted_as = Some(quoted);
            }
        }
        self.pump(outlet);
    }

    fn note_before(&mut self, outlet: &OutletName, id: PublicationId, before: Option<Before>) {
        let state = self.state.get_mut(outlet);
        if let Some(blocked) = state.and_then(|state| state.blocked.get_mut(&id)) {
            blocked.before = before;
        }
    }

    fn look_again(&self, outlet: &OutletName, id: PublicationId, looks: u32) {
        let wait = self.chance.jitter(LOOKS.after(looks));
        let again = LookAgain {
            epoch: self.epoch,
            outlet: outlet.clone(),
            id,
            looks,
        };
        let own = self.own.clone();
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            own.do_send(again);
        });
    }
}

/// The publication on its own, if a person wants it out although what it answers never will be.
pub(super) async fn without_lost_parent(
    store: &dyn TaskStore,
    mut record: PublicationRecord,
    place: Option<u64>,
) -> Result<PublicationRecord, StoreError> {
    if !awaited(&record, Abilities::default()).is_empty()
        && let Verdict::Lost(_) = parent(store, &record.publication, place).await?
    {
        let publication = Arc::make_mut(&mut record.publication);
        if let Some(attached) = &mut publication.attached {
            Arc::make_mut(attached).parent = None;
        }
    }
    Ok(record)
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
            verdict,
        } = looked;
        if epoch != self.epoch {
            return;
        }
        let Some(seat) = self.seat(&outlet).cloned() else {
            return;
        };
        let can_reply = seat.outlet.abilities().replies;
        let state = self.state.get_mut(&outlet);
        let blocked = state.and_then(|state| state.blocked.get_mut(&id));
        let Some(blocked) = blocked.filter(|blocked| blocked.looks == looks) else {
            return;
        };
        blocked.is_looking = false;
        let is_stale = blocked.is_stale;
        let is_done = match verdict {
            Ok(Verdict::Free(ties)) => {
                let thread = ties.thread.filter(|_| can_reply);
                self.unblock(&outlet, id, Ties { thread, ..ties });
                true
            }
            // Where nothing answers anything, it looks no different from a start.
            Ok(Verdict::Lost(_)) if !can_reply => {
                self.unblock(&outlet, id, Ties::default());
                true
            }
            Ok(Verdict::Lost(why)) => {
                let state = self.state.get(&outlet);
                let record = state.and_then(|state| state.waiting.get(&id)).cloned();
                record.is_some_and(|record| self.put_into(record, PublicationState::Held, why))
            }
            Ok(Verdict::NotTaken) => {
                let state = self.state.get(&outlet);
                let record = state.and_then(|state| state.waiting.get(&id)).cloned();
                record.is_some_and(|it| self.put_into(it, PublicationState::Deleted, NOT_TAKEN))
            }
            Ok(Verdict::Drop(earlier)) => {
                // Its end wakes this one.
                let why = "its post was edited before it was out";
                if earlier.state == PublicationState::Scheduled {
                    self.unschedule(*earlier, why);
                } else {
                    self.put_into(*earlier, PublicationState::Deleted, why);
                }
                false
            }
            Ok(Verdict::Replace(earlier)) => self.replace(&seat, *earlier, id),
            Ok(Verdict::Wait(before)) => {
                self.note_before(&outlet, id, before.filter(|_| !is_stale));
                false
            }
            Err(error) => {
                warn!(publication:% = id, cause:% = error; "what a publication waits for was not looked up");
                false
            }
        };
        if is_done {
            return;
        }
        if is_stale {
            self.look_at_order(&outlet, id);
        } else {
            self.look_again(&outlet, id, looks);
        }
    }
}

impl Handler<LookAgain> for PublisherActor {
    type Result = ();

    fn handle(&mut self, again: LookAgain, _: &mut Context<Self>) {
        let state = self.state.get(&again.outlet);
        let blocked = state.and_then(|state| state.blocked.get(&again.id));
        if again.epoch == self.epoch && blocked.is_some_and(|it| it.looks == again.looks) {
            self.look_at_order(&again.outlet, again.id);
        }
    }
}

impl Handler<Changed> for PublisherActor {
    type Result = ();

    fn handle(&mut self, Changed(records): Changed, _: &mut Context<Self>) {
        failpoints::hit("publisher.changed");
        for record in records {
            let outlet = record.publication.outlet.clone();
            self.peers.tell(&record);
            self.note_publication(&outlet, record);
            self.pump(&outlet);
        }
    }
}
