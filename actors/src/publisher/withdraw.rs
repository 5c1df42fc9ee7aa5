//! Takes back what was published of posts that were deleted at their sources.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use actix::{Context, Handler};
use log::warn;

use super::standing::{Standing, revisions};
use super::{PublisherActor, Seat};
use crate::domain::{Publication, PublicationState, RequestId};
use crate::failpoints;
use crate::logic::backoff::Backoff;
use crate::messages::Withdraw;
use crate::ports::{Errand, PublicationRecord, StoreError, TaskStore};

/// The most deleted posts that are seen to at a time.
const PAGE: usize = 1_000;
/// The waits between looks at posts of which something is still under way.
const LOOKS: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(300));
/// Why a publication is taken back or dropped.
const WHY: &str = "its post was deleted";

/// Where all deleted posts stand that are not seen to yet.
#[derive(Default)]
pub(super) struct Withdrawals {
    /// Their requests.
    requests: HashSet<RequestId>,
    /// The look that counts; others are late.
    serial: Rc<Cell<u64>>,
    /// Looks since something new was heard.
    looks: u32,
}

/// The store was asked for deleted posts, and where they stand.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Found {
    serial: u64,
    found: Result<Vec<(RequestId, Vec<Standing>)>, StoreError>,
}

impl Withdrawals {
    /// Whether the post of a publication was deleted.
    pub(super) fn concern(&self, publication: &Publication) -> bool {
        self.requests.contains(&publication.id.task().request())
    }
}

impl PublisherActor {
    /// Looks at the posts that were deleted, after a while.
    pub(super) fn look_for_withdrawn(&mut self, wait: Duration) {
        let latest = Rc::clone(&self.withdrawals.serial);
        let serial = latest.get() + 1;
        latest.set(serial);
        let (store, own) = (Rc::clone(&self.store), self.own.clone());
        let minding = self.seats.iter().filter(|seat| seat.minds_deletions);
        let minding: Vec<Seat> = minding.cloned().collect();
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            if latest.get() != serial {
                return;
            }
            let found = find(&*store, &minding).await;
            own.do_send(Found { serial, found });
        });
    }

    /// Sees to it that one publication of a deleted post goes; answers whether nothing is left
    /// to be done.
    fn withdraw(&mut self, standing: Standing) -> bool {
        match standing {
            Standing::Nowhere | Standing::Lost(_) => true,
            // The outlet has refused to take it back, and would again.
            Standing::Out(record) | Standing::Partly(record) if record.errand == Errand::Delete => {
                true
            }
            Standing::Pending(_) => false,
            Standing::Waiting(record) => {
                self.drop_withdrawn(*record);
                false
            }
            Standing::Out(mut record) | Standing::Partly(mut record) => {
                record.errand = Errand::Delete;
                self.put_into(*record, PublicationState::Planned, WHY);
                false
            }
        }
    }

    /// Drops a publication of which nothing is out, because its post was deleted.
    pub(super) fn drop_withdrawn(&mut self, record: PublicationRecord) {
        self.put_into(record, PublicationState::Deleted, WHY);
    }
}

/// The deleted posts, with where they stand at the outlets that mind.
async fn find(
    store: &dyn TaskStore,
    minding: &[Seat],
) -> Result<Vec<(RequestId, Vec<Standing>)>, StoreError> {
    let mut found = Vec::new();
    for request in store.withdrawn(PAGE).await? {
        let mut standings = Vec::new();
        for seat in minding {
            standings.extend(revisions(store, request, &seat.name, &seat.language).await?);
        }
        found.push((request, standings));
    }
    Ok(found)
}

impl Handler<Withdraw> for PublisherActor {
    type Result = ();

    fn handle(&mut self, _: Withdraw, _: &mut Context<Self>) {
        self.withdrawals.looks = 0;
        self.look_for_withdrawn(Duration::ZERO);
    }
}

impl Handler<Found> for PublisherActor {
    type Result = ();

    fn handle(&mut self, Found { serial, found }: Found, _: &mut Context<Self>) {
        failpoints::hit("publisher.withdrawn");
        if serial != self.withdrawals.serial.get() {
            return;
        }
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                warn!(cause:% = error; "deleted posts were not looked up");
                self.look_for_withdrawn(LOOKS.after(3));
                return;
            }
        };
        self.withdrawals.requests = found.iter().map(|(request, _)| *request).collect();
        let mut over = Vec::new();
        for (request, standings) in found {
            let mut is_over = true;
            for standing in standings {
                is_over &= self.withdraw(standing);
            }
            if is_over {
                over.push(request);
            }
        }
        if over.len() < self.withdrawals.requests.len() {
            self.withdrawals.looks += 1;
            self.look_for_withdrawn(LOOKS.after(self.withdrawals.looks));
        }
        if over.is_empty() {
            return;
        }
        for request in &over {
            self.withdrawals.requests.remove(request);
        }
        let store = Rc::clone(&self.store);
        actix_rt::spawn(async move {
            // What is not noted now is found over once more.
            if let Err(error) = store.forget_withdrawn(over).await {
                warn!(cause:% = error; "deleted posts were not forgotten");
            }
        });
    }
}
