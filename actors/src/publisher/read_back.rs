//! Finds out what became of publications that may be out.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler};
use futures_util::FutureExt;
use log::{info, warn};

use super::book::UnderWay;
use super::change::is_edit;
use super::send::{note_published, note_scheduled, write_as};
use super::{OutletState, PublisherActor, Seat};
use crate::domain::{PublicationId, PublicationState};
use crate::failpoints;
use crate::logic::backoff::Backoff;
use crate::ports::{
    Clock, Dispatch, Frozen, Kept, OutletError, PublicationRecord, ReadBack, StoreRemedy, TaskStore,
};
use crate::supervision::unless_panicked;

/// The waits between looks at a publication whose fate cannot be told.
const LOOKS: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(3_600));
/// How long after its time is looked whether the outlet has published what it was to.
const LATE: Duration = Duration::from_secs(10);
/// The longest wait for that, since a person may have changed its time or taken it back.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// How long until is looked again, if somebody else has to do with it.
const BUSY: Duration = Duration::from_secs(2);

/// A publication is to be read back now.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Look {
    epoch: u64,
    record: PublicationRecord,
    looks: u32,
}

/// A publication was read back.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct LookedAt {
    /// The publication as it stands now; as the store has it, if somebody else has changed it.
    record: PublicationRecord,
    looks: u32,
    /// How long until the outlet publishes it, where it is to.
    due_in: Option<Duration>,
}

impl PublisherActor {
    /// Sees to it that a publication that may be out is read back, after its time of quiet.
    pub(super) fn resolve(&mut self, mut record: PublicationRecord) {
        if self.book.holds(record.publication.id) {
            return;
        }
        if record.state == PublicationState::Scheduled {
            self.await_scheduled(record);
            return;
        }
        let outlet = record.publication.outlet.clone();
        let Some(seat) = self.seat(&outlet).cloned() else {
            return;
        };
        if record.state == PublicationState::Sending {
            record.state = PublicationState::Unknown;
            record.why = Some("the process ended while it was sent".into());
        }
        if let Some(state) = self.state.get_mut(&outlet) {
            state.unknown.insert(record.publication.id);
        }
        let sent_at = record.frozen.as_ref().map_or(record.at, |fate| fate.at);
        let quiet_until = sent_at.plus(seat.outlet.quiet());
        let wait = quiet_until.since(self.clock.wall());
        self.look_after(record, 0, wait);
    }

    /// Sees to it that a publication is read back when its outlet was to publish it; the first look
    /// finds out when that is.
    pub(super) fn await_scheduled(&mut self, record: PublicationRecord) {
        let state = self.state.get_mut(&record.publication.outlet);
        if state.is_some_and(|state| state.scheduled.insert(record.publication.id)) {
            self.look_after(record, 0, Duration::ZERO);
        }
    }

    fn look_after(&self, record: PublicationRecord, looks: u32, wait: Duration) {
        let (own, epoch) = (self.own.clone(), self.epoch);
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            own.do_send(Look {
                epoch,
                record,
                looks,
            });
        });
    }
}

impl Handler<Look> for PublisherActor {
    type Result = ();

    fn handle(&mut self, look: Look, _: &mut Context<Self>) {
        if look.epoch != self.epoch {
            return;
        }
        let (outlet, id) = (
            look.record.publication.outlet.clone(),
            look.record.publication.id,
        );
        let is_open =
            |state: &OutletState| state.unknown.contains(&id) || state.scheduled.contains(&id);
        if !self.state.get(&outlet).is_some_and(is_open) {
            // A person has ordered meanwhile that it be sent again, or it was taken back.
            return;
        }
        let Some(seat) = self.seat(&outlet).cloned() else {
            return;
        };
        let Some(under_way) = self.book.look(id) else {
            if look.record.state == PublicationState::Scheduled {
                // Whoever takes it back may not succeed.
                self.look_after(look.record, look.looks, BUSY);
            }
            return;
        };
        let (clock, store) = (Arc::clone(&self.clock), Rc::clone(&self.store));
        let reading = read_back(seat, clock, store, look.record, under_way);
        let (own, looks) = (self.own.clone(), look.looks + 1);
        actix_rt::spawn(async move {
            let (record, due_in) = reading.await;
            own.do_send(LookedAt {
                record,
                looks,
                due_in,
            });
        });
    }
}

impl Handler<LookedAt> for PublisherActor {
    type Result = ();

    fn handle(&mut self, looked_at: LookedAt, _: &mut Context<Self>) {
        failpoints::hit("publisher.looked_at");
        let LookedAt {
            record,
            looks,
            due_in,
        } = looked_at;
        let (outlet, id) = (record.publication.outlet.clone(), record.publication.id);
        let Some(state) = self.state.get_mut(&outlet) else {
            return;
        };
        if record.state == PublicationState::Unknown {
            if looks == 1 {
                warn!(publication:% = id, outlet:% = outlet; "what became of a publication cannot be told");
            }
            state.unknown.insert(id);
            let wait = self.chance.jitter(LOOKS.after(looks));
            self.look_after(record, looks, wait);
            return;
        }
        state.unknown.remove(&id);
        if record.state == PublicationState::Scheduled {
            if state.scheduled.insert(id) {
                self.tell(&record);
                self.wake_waiting_for(&record.publication);
            }
            match due_in {
                Some(due_in) => self.look_after(record, 0, (due_in + LATE).min(LONGEST)),
                None => {
                    let wait = self.chance.jitter(LOOKS.after(looks));
                    self.look_after(record, looks, wait);
                }
            }
            return;
        }
        info!(publication:% = id, outlet:% = outlet, state = record.state.name(); "what became of a publication is known");
        self.tell(&record);
        self.note_publication(&outlet, record);
        self.pump(&outlet);
    }
}

/// The publication as it stands when the outlet was asked, written down, and how long until the
/// outlet publishes it, where it is to.
async fn read_back(
    seat: Seat,
    clock: Arc<dyn Clock>,
    store: Rc<dyn TaskStore>,
    mut record: PublicationRecord,
    under_way: UnderWay,
) -> (PublicationRecord, Option<Duration>) {
    let Some(frozen) = frozen_part(&record) else {
        // Nothing was frozen, so nothing can have left.
        record.state = PublicationState::Planned;
        return (write_one(&*store, record, under_way).await, None);
    };
    if is_edit(&record, frozen.dispatch.part) {
        record.frozen = None;
        record.state = PublicationState::Planned;
        record.why = Some("it is changed again, since nobody knows whether it was".into());
        return (write_one(&*store, record, under_way).await, None);
    }
    let reading = AssertUnwindSafe(seat.outlet.read_back(&frozen)).catch_unwind();
    let answer = reading.await.unwrap_or_else(|_| {
        Err(OutletError::Ambiguous {
            detail: "the outlet panicked".to_owned(),
        })
    });
    record.at = clock.wall();
    let mut due_in = None;
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
        Err(error) => record.why = Some(error.to_string().into()),
    }
    (write_one(&*store, record, under_way).await, due_in)
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
