//! Decides about what is held when nobody did in time.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler};
use log::warn;

use super::PublisherActor;
use super::standing::Stand;
use super::threads::without_lost_parent;
use crate::domain::{PublicationState, Timestamp};
use crate::failpoints;
use crate::logic::fit::{Limit, room};
use crate::ports::{PublicationRecord, StoreError, TaskStore};
use crate::setup::Lapsed;
use crate::supervision::unless_panicked;

/// How often is looked what has been held for too long.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How many publications are read at a time.
const PAGE: usize = 500;

/// What has been held for too long was read.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Overdue {
    epoch: u64,
    lapsed: Result<Vec<PublicationRecord>, StoreError>,
}

impl PublisherActor {
    /// Looks at what is held where that lapses.
    pub(super) fn look_for_lapsed(&self) {
        let lapsing = self.seats.iter();
        let lapsing = lapsing.filter_map(|seat| Some((seat.stand(), seat.lapse?.after)));
        let lapsing: Vec<(Stand, Duration)> = lapsing.collect();
        if lapsing.is_empty() {
            return;
        }
        let (store, own, epoch) = (Rc::clone(&self.store), self.own.clone(), self.epoch);
        let (clock, steady) = (Arc::clone(&self.clock), Rc::clone(&self.steady));
        actix_rt::spawn(async move {
            tokio::time::sleep(LOOK_EVERY).await;
            let looking = async {
                failpoints::hit("publisher.lapse");
                lapsed(&*store, &lapsing, clock.steadied(&steady).wall).await
            };
            let lapsed = unless_panicked(looking).await;
            own.do_send(Overdue { epoch, lapsed });
        });
    }

    fn lapse(&mut self, mut record: PublicationRecord) {
        let Some(seat) = self.seat(&record.publication.outlet) else {
            return;
        };
        let Some(lapse) = seat.lapse else {
            return;
        };
        let limit = self.limits.borrow().get(&seat.name).copied();
        let limit = limit.unwrap_or(Limit::Unbounded);
        let limit = room(limit, record.publication.attached.as_deref());
        let fits = |record: &PublicationRecord| {
            let mut parts = record.publication.parts.iter();
            parts.all(|part| limit.fits(&part.text))
        };
        let (state, why) = match lapse.into {
            Lapsed::Published if fits(&record) => (PublicationState::Planned, UNDECIDED),
            Lapsed::Published => (
                PublicationState::Refused,
                "nobody decided in time, and it does not fit",
            ),
            Lapsed::Rejected => (PublicationState::Refused, UNDECIDED),
        };
        record.is_decided = state == PublicationState::Planned;
        self.put_into(record, state, why);
    }
}

const UNDECIDED: &str = "nobody decided in time";

/// What has been held at these outlets for longer than it is there; without what it answers, if
/// that will never be out, because as an answer it would be held again.
async fn lapsed(
    store: &dyn TaskStore,
    outlets: &[(Stand, Duration)],
    now: Timestamp,
) -> Result<Vec<PublicationRecord>, StoreError> {
    let mut lapsed: Vec<PublicationRecord> = Vec::new();
    for (Stand { outlet, place, .. }, longest) in outlets {
        let mut after = None;
        loop {
            let page = store
                .publications_in(outlet.clone(), PublicationState::Held, after, PAGE)
                .await?;
            after = page.last().map(|record| record.publication.id);
            let n_page = page.len();
            for record in page {
                if now.since(record.at) >= *longest {
                    lapsed.push(without_lost_parent(store, record, *place).await?);
                }
            }
            if n_page < PAGE {
                break;
            }
        }
    }
    Ok(lapsed)
}

impl Handler<Overdue> for PublisherActor {
    type Result = ();

    fn handle(&mut self, Overdue { epoch, lapsed }: Overdue, _: &mut Context<Self>) {
        failpoints::hit("publisher.held");
        if epoch != self.epoch {
            return;
        }
        match lapsed {
            Ok(lapsed) => {
                for record in lapsed {
                    self.lapse(record);
                }
            }
            Err(error) => warn!(cause:% = error; "what is held was not read"),
        }
        self.look_for_lapsed();
    }
}
