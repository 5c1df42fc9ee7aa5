//! Finds out what became of publications that may be out.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler};
use futures_util::FutureExt;
use log::{info, warn};

use super::answers::{note_published, note_scheduled};
use super::book::UnderWay;
use super::change::is_edit;
use super::fates::{Vain, is_open};
use super::persist::write_as;
use super::{PublisherActor, Seat};
use crate::domain::{OutletName, PublicationId, PublicationState};
use crate::failpoints;
use crate::ports::{
    Clock, Dispatch, Frozen, Kept, OutletError, OutletRemedy, PublicationRecord, ReadBack,
    StoreRemedy, TaskStore,
};
use crate::supervision::unless_panicked;

/// How long after its time is looked whether the outlet has published what it was to.
const LATE: Duration = Duration::from_secs(10);
/// The longest wait for that, since a person may have changed its time or taken it back.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// How long until is looked again, if somebody else has to do with it.
const BUSY: Duration = Duration::from_secs(2);

/// The look that is due at an outlet begins.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Look {
    pub(super) epoch: u64,
    pub(super) outlet: OutletName,
}

/// A publication was looked at.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookedAt {
    epoch: u64,
    outlet: OutletName,
    id: PublicationId,
    /// None if the publication was forgotten.
    reading: Option<Reading>,
}

/// What a look brought.
struct Reading {
    /// The publication as it stands now, also if somebody else has changed it.
    record: PublicationRecord,
    /// How long until the outlet publishes it, where it is to.
    due_in: Option<Duration>,
    /// Why the outlet did not tell, if it was asked.
    error: Option<OutletError>,
}

impl Reading {
    /// What nobody had to be asked for.
    const fn known(record: PublicationRecord) -> Self {
        Self {
            record,
            due_in: None,
            error: None,
        }
    }
}

impl Handler<Look> for PublisherActor {
    type Result = ();

    fn handle(&mut self, Look { epoch, outlet }: Look, _: &mut Context<Self>) {
        if epoch != self.epoch {
            return;
        }
        let now = self.clock.now();
        let Some(seat) = self.seat(&outlet).cloned() else {
            return;
        };
        let Some(state) = self.state.get_mut(&outlet) else {
            return;
        };
        let Some(id) = state.fates.begin_look(now) else {
            self.look_when_due(&outlet);
            return;
        };
        let Some(under_way) = self.book.look(id) else {
            // Whoever takes it back may not succeed.
            state.fates.end_look();
            state.fates.put_off(id, now.plus(BUSY));
            self.look_when_due(&outlet);
            return;
        };
        let (clock, store) = (Arc::clone(&self.clock), Rc::clone(&self.store));
        let own = self.own.clone();
        actix_rt::spawn(async move {
            let reading = match stored(&*store, id).await {
                Some(record) if is_open(record.state) => {
                    Some(read_back(seat, clock, store, record, under_way).await)
                }
                // Somebody has decided meanwhile.
                other => {
                    drop(under_way);
                    other.map(Reading::known)
                }
            };
            own.do_send(LookedAt {
                epoch,
                outlet,
                id,
                reading,
            });
        });
    }
}

impl Handler<LookedAt> for PublisherActor {
    type Result = ();

    fn handle(&mut self, looked_at: LookedAt, _: &mut Context<Self>) {
        failpoints::hit("publisher.looked_at");
        let LookedAt {
            epoch,
            outlet,
            id,
            reading,
        } = looked_at;
        self.count_charges(&outlet);
        let Some(state) = self.state.get_mut(&outlet) else {
            return;
        };
        if epoch == self.epoch {
            state.fates.end_look();
        }
        match reading {
            None => {
                state.fates.close(id);
            }
            Some(reading) if is_open(reading.record.state) => self.note_open(&outlet, reading),
            Some(Reading { record, .. }) => self.note_fate(&outlet, record),
        }
        self.look_when_due(&outlet);
        self.pump(&outlet);
    }
}

impl PublisherActor {
    /// Notes a publication that is still open, and when it is looked at again.
    fn note_open(&mut self, outlet: &OutletName, reading: Reading) {
        let Reading {
            record,
            due_in,
            error,
        } = reading;
        let (now, id) = (self.clock.now(), record.publication.id);
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let is_scheduled = record.state == PublicationState::Scheduled;
        let is_news = is_scheduled && state.fates.schedule(id, now);
        let due = match due_in {
            Some(due_in) => now.plus((due_in + LATE).min(LONGEST)),
            None => {
                let vain = match error.map(|error| error.remedy()) {
                    Some(OutletRemedy::Retry(_)) => Vain::Yet,
                    _ => Vain::Ever,
                };
                let (looks, wait) = state.fates.look_in_vain(id, vain);
                if looks == 1 && !is_scheduled {
                    warn!(publication:% = id, outlet:% = outlet; "what became of a publication cannot be told");
                }
                now.plus(self.chance.jitter(wait))
            }
        };
        state.fates.put_off(id, due);
        if is_news {
            self.peers.tell(&record);
            self.wake_waiting_for(&record.publication);
        }
    }

    /// Notes what became of a publication.
    fn note_fate(&mut self, outlet: &OutletName, record: PublicationRecord) {
        let id = record.publication.id;
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let looks = state.fates.close(id);
        let is_out = record.state == PublicationState::Published;
        if is_out || looks > 0 {
            info!(publication:% = id, outlet:% = outlet, state = record.state.name(); "what became of a publication is known");
        }
        self.note_answer(outlet);
        self.peers.tell(&record);
        self.note_publication(outlet, record);
        if is_out && self.is_idle(outlet) {
            // All that it was given is out, so nothing is left that it could fail over.
            self.note_outlet(outlet, None);
        }
    }

    /// Whether nothing waits at an outlet, and nothing is looked for there.
    fn is_idle(&self, outlet: &OutletName) -> bool {
        let state = self.state.get(outlet);
        state.is_some_and(|state| {
            state.waiting.is_empty() && state.blocked.is_empty() && state.fates.n_unknown() == 0
        })
    }
}

/// What the outlet said of a publication, written down.
async fn read_back(
    seat: Seat,
    clock: Arc<dyn Clock>,
    store: Rc<dyn TaskStore>,
    mut record: PublicationRecord,
    under_way: UnderWay,
) -> Reading {
    if record.state == PublicationState::Sending {
        record.state = PublicationState::Unknown;
        record.why = Some("the process ended while it was sent".into());
    }
    let Some(frozen) = frozen_part(&record) else {
        // Nothing was frozen, so nothing can have left.
        record.state = PublicationState::Planned;
        return Reading::known(write_one(&*store, record, under_way).await);
    };
    if is_edit(&record, frozen.dispatch.part) {
        record.frozen = None;
        record.state = PublicationState::Planned;
        record.why = Some("it is changed again, since nobody knows whether it was".into());
        return Reading::known(write_one(&*store, record, under_way).await);
    }
    let reading = AssertUnwindSafe(seat.outlet.read_back(&frozen)).catch_unwind();
    let answer = reading.await.unwrap_or_else(|_| {
        Err(OutletError::Ambiguous {
            detail: "the outlet panicked".to_owned(),
        })
    });
    record.at = clock.wall();
    let (mut due_in, mut error) = (None, None);
    match answer {
        Ok(ReadBack::Found(published)) => note_published(&mut record, published),
        Ok(ReadBack::Scheduled(wait)) => {
            note_scheduled(&mut record, wait);
            due_in = Some(wait);
        }
        Ok(ReadBack::Absent) if record.state == PublicationState::Scheduled => {
            record.frozen = None;
            record.state = PublicationState::Refused;
            record.why =
                Some("the outlet had it, and has not published it: taken back there".into());
        }
        Ok(ReadBack::Absent) => {
            record.frozen = None;
            record.state = PublicationState::Planned;
            record.why = Some("read back: it is not out".into());
        }
        Err(why) => {
            record.why = Some(why.to_string().into());
            error = Some(why);
        }
    }
    Reading {
        record: write_one(&*store, record, under_way).await,
        due_in,
        error,
    }
}

/// The part of a publication whose bytes are frozen, as the outlet was given it.
pub(super) fn frozen_part(record: &PublicationRecord) -> Option<Frozen> {
    let fate = record.frozen.clone()?;
    Some(Frozen {
        dispatch: Dispatch {
            publication: Arc::clone(&record.publication),
            part: fate.part,
        },
        bytes: fate.bytes,
        key: fate.key,
        mark: fate.mark,
    })
}

/// Writes one publication down; as the store has it, if somebody else has changed it.
pub(super) async fn write_one(
    store: &dyn TaskStore,
    record: PublicationRecord,
    under_way: UnderWay,
) -> PublicationRecord {
    let token = store.token();
    let mut records = [record];
    let kept = write_as(store, &mut records, token).await;
    let [mut record] = records;
    if kept != [Kept::Yes] {
        // A person gave an order meanwhile, which stands.
        record = stored(store, record.publication.id).await.unwrap_or(record);
    }
    drop(under_way);
    record
}

/// The publication as the store has it, however often it takes to read it.
pub(super) async fn stored(store: &dyn TaskStore, id: PublicationId) -> Option<PublicationRecord> {
    loop {
        match unless_panicked(store.publication(id)).await {
            Ok(record) => return record,
            Err(error) => {
                let (StoreRemedy::Retry(wait) | StoreRemedy::Person(wait)) = error.remedy();
                tokio::time::sleep(wait).await;
            }
        }
    }
}
