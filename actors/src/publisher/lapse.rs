//! Decides about what is held when nobody did in time.

use std::rc::Rc;
use std::time::Duration;

use actix::{Context, Handler};
use log::warn;

use super::{PublisherActor, Seat};
use crate::domain::PublicationState;
use crate::failpoints;
use crate::logic::fit::{Limit, room};
use crate::ports::{PublicationRecord, StoreError, TaskStore};
use crate::setup::Lapsed;

/// How often is looked what has been held for too long.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How many publications are read at a time.
const PAGE: usize = 500;

/// What is held was read.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct HeldThere {
    epoch: u64,
    held: Result<Vec<PublicationRecord>, StoreError>,
}

impl PublisherActor {
    /// Looks at what is held where that lapses.
    pub(super) fn look_for_lapsed(&self) {
        let lapsing = self.seats.iter().filter(|seat| seat.lapse.is_some());
        let lapsing: Vec<Seat> = lapsing.cloned().collect();
        if lapsing.is_empty() {
            return;
        }
        let (store, own, epoch) = (Rc::clone(&self.store), self.own.clone(), self.epoch);
        actix_rt::spawn(async move {
            tokio::time::sleep(LOOK_EVERY).await;
            let held = held(&*store, &lapsing).await;
            own.do_send(HeldThere { epoch, held });
        });
    }

    fn lapse(&mut self, record: PublicationRecord) {
        let Some(seat) = self.seat(&record.publication.outlet) else {
            return;
        };
        let Some(lapse) = seat.lapse else {
            return;
        };
        if self.clock.wall().since(record.at) < lapse.after {
            return;
        }
        let limit = self.limits.borrow().get(&seat.name).copied();
        let limit = limit.unwrap_or(Limit::Unbounded);
        let limit = room(limit, record.publication.attached.as_deref());
        let fits = |record: &PublicationRecord| {
            let mut parts = record.publication.parts.iter();
            parts.all(|part| limit.fits(&part.text))
        };
        let (state, why) = match lapse.into {
            Lapsed::Published if fits(&record) => {
                (PublicationState::Planned, "nobody decided in time")
            }
            Lapsed::Published => (
                PublicationState::Refused,
                "nobody decided in time, and it does not fit",
            ),
            Lapsed::Rejected => (PublicationState::Refused, "nobody decided in time"),
        };
        self.put_into(record, state, why);
    }
}

/// Everything that is held at these outlets.
async fn held(store: &dyn TaskStore, seats: &[Seat]) -> Result<Vec<PublicationRecord>, StoreError> {
    let mut held: Vec<PublicationRecord> = Vec::new();
    for seat in seats {
        let mut after = None;
        loop {
            let outlet = seat.name.clone();
            let page = store
                .publications_in(outlet, PublicationState::Held, after, PAGE)
                .await?;
            after = page.last().map(|record| record.publication.id);
            let n_page = page.len();
            held.extend(page);
            if n_page < PAGE {
                break;
            }
        }
    }
    Ok(held)
}

impl Handler<HeldThere> for PublisherActor {
    type Result = ();

    fn handle(&mut self, HeldThere { epoch, held }: HeldThere, _: &mut Context<Self>) {
        failpoints::hit("publisher.held");
        if epoch != self.epoch {
            return;
        }
        match held {
            Ok(held) => {
                for record in held {
                    self.lapse(record);
                }
            }
            Err(error) => warn!(cause:% = error; "what is held was not read"),
        }
        self.look_for_lapsed();
    }
}
