//! Keeps the order in which one post's publications need another's: answers and edits wait until
//! what they are about is out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler};
use log::warn;

use super::polls::with_standing_poll;
use super::read_back::write_one;
use super::standing::{Before, NOT_TAKEN, Ties, Verdict, awaited, judge, parent};
use super::unheard::{Hearing, unheard};
use super::{PublisherActor, Seat};
use crate::domain::{OutletName, Publication, PublicationId, PublicationState};
use crate::failpoints;
use crate::logic::backoff::Backoff;
use crate::ports::{Abilities, PublicationRecord, StoreError, TaskStore};
use crate::supervision::unless_panicked;

/// The waits between looks at what is not out yet; mostly its end is heard of before.
const LOOKS: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));

/// Why a publication may not go yet. Of each no more is kept, since many may answer one that is
/// held; the rest is read from the store when it is looked at.
#[derive(Debug)]
pub(super) struct Blocked {
    /// The posts that have to be out first; none where only the store is asked what became of its
    /// own.
    posts: Vec<Arc<str>>,
    /// The source whose later posts wait for it, if any do.
    pub(super) source: Option<Arc<str>>,
    /// How often the store was asked.
    looks: u32,
    /// The look that counts; what earlier ones bring is late.
    serial: u64,
    /// Whether the store is being asked.
    is_looking: bool,
    /// Whether something happened since it was asked.
    is_stale: bool,
    /// What has to be out first, as it stood when the store was asked.
    before: Option<Before>,
    /// Whether that was not translated yet.
    is_untranslated: bool,
}

impl Blocked {
    pub(super) const fn by(posts: Vec<Arc<str>>, source: Option<Arc<str>>) -> Self {
        Self {
            posts,
            source,
            looks: 0,
            serial: 0,
            is_looking: false,
            is_stale: false,
            before: None,
            is_untranslated: false,
        }
    }

    /// Whether it goes on by itself, once something else at its outlet is out at the latest.
    pub(super) const fn is_next(&self) -> bool {
        !self.is_untranslated
    }
}

/// Those of the blocked that wait for what only a person lets out, what its outlet publishes at its
/// time, or what nobody knows the fate of: themselves, or what they wait for.
pub(super) fn behind_held(blocked: &BTreeMap<PublicationId, Blocked>) -> HashSet<PublicationId> {
    let is_open = |before: &Before| {
        matches!(
            before.state,
            PublicationState::Held | PublicationState::Scheduled | PublicationState::Unknown
        )
    };
    let mut resting: Vec<PublicationId> = Vec::new();
    let mut behind: HashMap<PublicationId, Vec<PublicationId>> = HashMap::new();
    for (id, it) in blocked {
        match it.before {
            Some(before) if is_open(&before) => resting.push(*id),
            Some(before) => behind.entry(before.id).or_default().push(*id),
            None => {}
        }
    }
    let mut all = HashSet::new();
    while let Some(id) = resting.pop() {
        resting.extend(behind.remove(&id).unwrap_or_default());
        all.insert(id);
    }
    all
}

/// The store was asked what a publication has to wait for.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Looked {
    epoch: u64,
    outlet: OutletName,
    id: PublicationId,
    serial: u64,
    /// Whether the publication was in memory for it.
    is_first: bool,
    /// None if it is planned no more.
    found: Result<Option<Box<Judged>>, StoreError>,
}

/// A publication, and what it has to wait for.
struct Judged {
    record: PublicationRecord,
    verdict: Verdict,
}

/// Time to ask again.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookAgain {
    epoch: u64,
    outlet: OutletName,
    id: PublicationId,
    serial: u64,
}

/// Publications were changed by the publisher itself, and are written down as they stand.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Changed(pub(super) Vec<PublicationRecord>);

impl PublisherActor {
    /// Asks the store for the first time what a publication has to wait for.
    pub(super) fn judge_first(&mut self, record: PublicationRecord) {
        let (outlet, id) = (record.publication.outlet.clone(), record.publication.id);
        self.look(&outlet, id, async move |_| Ok(Some(record)));
    }

    /// Asks the store once more.
    fn look_at_order(&mut self, outlet: &OutletName, id: PublicationId) {
        self.look(outlet, id, async move |store| {
            let record = store.publication(id).await?;
            Ok(record.filter(|record| record.state == PublicationState::Planned))
        });
    }

    fn look(
        &mut self,
        outlet: &OutletName,
        id: PublicationId,
        record: impl AsyncFnOnce(&dyn TaskStore) -> Result<Option<PublicationRecord>, StoreError>
        + 'static,
    ) {
        let seat = self.seat(outlet);
        let abilities = seat.map(|seat| seat.outlet.abilities()).unwrap_or_default();
        let place = seat.and_then(|seat| seat.place);
        let hearing = seat.map(|seat| Hearing::of(seat, self.begun_at));
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let Some(blocked) = state.blocked.get_mut(&id) else {
            return;
        };
        state.n_looks += 1;
        blocked.serial = state.n_looks;
        blocked.looks += 1;
        (blocked.is_looking, blocked.is_stale) = (true, false);
        blocked.is_untranslated = false;
        let (serial, is_first) = (blocked.serial, blocked.looks == 1);
        state.n_judged += usize::from(is_first);
        let (store, own) = (Rc::clone(&self.store), self.own.clone());
        let (epoch, outlet, at) = (self.epoch, outlet.clone(), self.clock.wall());
        actix_rt::spawn(async move {
            let judging = async {
                failpoints::hit("publisher.judge");
                let Some(record) = record(&*store).await? else {
                    return Ok(None);
                };
                let lacking = match hearing {
                    Some(hearing) => unheard(&*store, &record, hearing).await?,
                    None => None,
                };
                let verdict = match lacking {
                    Some(verdict) => verdict,
                    None => judge(&*store, &record.publication, (abilities, place)).await?,
                };
                let record = match &verdict {
                    Verdict::Replace(earlier) => {
                        with_standing_poll(&*store, record, earlier, at).await?
                    }
                    _ => record,
                };
                Ok(Some(Box::new(Judged { record, verdict })))
            };
            let found = unless_panicked(judging).await;
            own.do_send(Looked {
                epoch,
                outlet,
                id,
                serial,
                is_first,
                found,
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

    /// Takes a publication out of memory, to be changed; none where it waits in the store.
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
                is_decided: record.is_decided,
                ..newer
            };
        }
        record.state = state;
        record.is_decided &= state != PublicationState::Held;
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
    fn unblock(&mut self, outlet: &OutletName, mut record: PublicationRecord, ties: Ties) {
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let Ties { thread, quoted } = ties;
        let publication = Arc::make_mut(&mut record.publication);
        publication.thread = thread.or(publication.thread.take());
        if let (Some(attached), Some(quoted)) = (&mut publication.attached, quoted) {
            Arc::make_mut(attached).quoted_as = Some(quoted);
        }
        let id = publication.id;
        state.blocked.remove(&id);
        state.waiting.insert(id, record);
        state.shrink();
        self.pump(outlet);
    }

    fn note_before(&mut self, outlet: &OutletName, id: PublicationId, before: Option<Before>) {
        let state = self.state.get_mut(outlet);
        if let Some(blocked) = state.and_then(|state| state.blocked.get_mut(&id)) {
            blocked.is_untranslated = before.is_none() && !blocked.is_stale;
            blocked.before = before.filter(|_| !blocked.is_stale);
        }
    }

    fn look_again(&self, outlet: &OutletName, id: PublicationId) {
        let state = self.state.get(outlet);
        let Some(blocked) = state.and_then(|state| state.blocked.get(&id)) else {
            return;
        };
        let wait = self.chance.jitter(LOOKS.after(blocked.looks));
        let again = LookAgain {
            epoch: self.epoch,
            outlet: outlet.clone(),
            id,
            serial: blocked.serial,
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
            serial,
            is_first,
            found,
        } = looked;
        if epoch != self.epoch {
            return;
        }
        let Some(seat) = self.seat(&outlet).cloned() else {
            return;
        };
        let Some(state) = self.state.get_mut(&outlet) else {
            return;
        };
        if is_first {
            state.n_judged -= 1;
            self.refill(&outlet);
        }
        let state = self.state.get_mut(&outlet);
        let blocked = state.and_then(|state| state.blocked.get_mut(&id));
        let Some(blocked) = blocked.filter(|blocked| blocked.serial == serial) else {
            return;
        };
        blocked.is_looking = false;
        let is_stale = blocked.is_stale;
        let is_done = match found {
            Ok(Some(judged)) => self.heed(&seat, *judged),
            Ok(None) => {
                self.take_out(&outlet, id);
                true
            }
            Err(error) => {
                warn!(publication:% = id, cause:% = error; "what a publication waits for was not looked up");
                false
            }
        };
        if !is_done && is_stale {
            self.look_at_order(&outlet, id);
        } else if !is_done {
            self.look_again(&outlet, id);
        }
        self.pump_in_line(&outlet);
    }
}

impl PublisherActor {
    /// Does what a blocked publication has to wait for; answers whether it is blocked no more.
    fn heed(&mut self, seat: &Seat, Judged { record, verdict }: Judged) -> bool {
        let (outlet, id) = (&seat.name, record.publication.id);
        let can_reply = seat.outlet.abilities().replies;
        match verdict {
            Verdict::Free(ties) => {
                let thread = ties.thread.filter(|_| can_reply);
                self.unblock(outlet, record, Ties { thread, ..ties });
                true
            }
            // Where nothing answers anything, it looks no different from a start.
            Verdict::Lost(_) if !can_reply => {
                self.unblock(outlet, record, Ties::default());
                true
            }
            Verdict::Lost(why) => self.put_into(record, PublicationState::Held, why),
            Verdict::NotTaken => self.put_into(record, PublicationState::Deleted, NOT_TAKEN),
            Verdict::Gone => self.drop_withdrawn(record),
            Verdict::EditedElsewhere => {
                let why = "its post was edited while this outlet was not there, and the edit does not come here";
                self.put_into(record, PublicationState::Held, why)
            }
            Verdict::Drop(earlier) => {
                // Its end wakes this one.
                let why = "its post was edited before it was out";
                if earlier.state == PublicationState::Scheduled {
                    self.unschedule(*earlier, why);
                } else {
                    self.put_into(*earlier, PublicationState::Deleted, why);
                }
                false
            }
            Verdict::Replace(earlier) => self.replace(seat, *earlier, record),
            Verdict::Wait(before) => {
                self.note_before(outlet, id, before);
                false
            }
        }
    }
}

impl Handler<LookAgain> for PublisherActor {
    type Result = ();

    fn handle(&mut self, again: LookAgain, _: &mut Context<Self>) {
        let state = self.state.get(&again.outlet);
        let blocked = state.and_then(|state| state.blocked.get(&again.id));
        if again.epoch == self.epoch && blocked.is_some_and(|it| it.serial == again.serial) {
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
