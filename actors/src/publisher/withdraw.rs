//! Takes back what was published of posts that were deleted at their sources.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use actix::{Context, Handler};
use log::warn;

use super::standing::{Stand, Standing, is_begun, revisions};
use super::{PublisherActor, Seat};
use crate::domain::{OutletName, Publication, PublicationState, RequestId};
use crate::failpoints;
use crate::logic::backoff::Backoff;
use crate::messages::Withdraw;
use crate::ports::{Ended, Errand, PublicationRecord, StoreError, TaskStore};
use crate::supervision::unless_panicked;

/// After so many reads of the store a look ends, and the next one goes on behind it.
const READS: usize = 1_000;
/// The wait between the looks of one round, so that others can read as well.
const BETWEEN: Duration = Duration::from_secs(1);
/// The waits between rounds while something of deleted posts is still under way.
const LOOKS: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(300));
/// Why a publication is taken back or dropped.
const WHY: &str = "its post was deleted";

/// Where all deleted posts stand that are not seen to yet. They are looked at in rounds, in the
/// order of their requests, so that one of which nothing becomes holds up no other.
#[derive(Default)]
pub(super) struct Withdrawals {
    /// Their requests, as far as they were looked at.
    requests: HashSet<RequestId>,
    /// Where this round stands; none at its beginning.
    after: Option<RequestId>,
    /// How many this round has left as they were.
    n_left: usize,
    /// Whether this round may have passed by what was heard of since it began.
    has_news: bool,
    /// The look that counts; others are late.
    serial: Rc<Cell<u64>>,
    /// Rounds since something new was heard.
    rounds: u32,
}

/// The store was asked for deleted posts, and where they stand.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Found {
    serial: u64,
    found: Result<Look, StoreError>,
}

/// What one look has found.
struct Look {
    posts: Vec<Withdrawn>,
    /// The last of them, if there are more.
    more_behind: Option<RequestId>,
}

/// A deleted post.
struct Withdrawn {
    request: RequestId,
    /// Where it stands at the outlets that mind.
    standings: Vec<Standing>,
    /// Whether something of it waits for an outlet that may be there again after a start.
    waits_for_start: bool,
}

impl Withdrawals {
    /// Whether the post of a publication was deleted.
    pub(super) fn concern(&self, publication: &Publication) -> bool {
        self.requests.contains(&publication.id.task().request())
    }

    /// Notes how far a look has come, and answers when the next one is due; none when all deleted
    /// posts are seen to.
    fn next_look(&mut self, more_behind: Option<RequestId>) -> Option<Duration> {
        self.after = more_behind;
        if more_behind.is_some() {
            return Some(BETWEEN);
        }
        let n_left = std::mem::take(&mut self.n_left);
        if std::mem::take(&mut self.has_news) {
            return Some(Duration::ZERO);
        }
        if n_left == 0 {
            return None;
        }
        self.rounds += 1;
        Some(LOOKS.after(self.rounds))
    }
}

impl PublisherActor {
    /// Looks at posts that were deleted, from where the round stands, after a while.
    pub(super) fn look_for_withdrawn(&mut self, wait: Duration) {
        let latest = Rc::clone(&self.withdrawals.serial);
        let serial = latest.get() + 1;
        latest.set(serial);
        let (store, own) = (Rc::clone(&self.store), self.own.clone());
        let minding = self.seats.iter().filter(|seat| seat.minds_deletions);
        let minding: Vec<Stand> = minding.map(Seat::stand).collect();
        let names = self.seats.iter().map(|seat| seat.name.clone());
        let names: Vec<OutletName> = names.collect();
        let after = self.withdrawals.after;
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            if latest.get() != serial {
                return;
            }
            let finding = async {
                failpoints::hit("publisher.find");
                find(&*store, (&minding, &names), after).await
            };
            let found = unless_panicked(finding).await;
            own.do_send(Found { serial, found });
        });
    }

    /// Sees to it that one publication of a deleted post goes; answers whether nothing is left
    /// to be done.
    fn withdraw(&mut self, standing: Standing) -> bool {
        match standing {
            Standing::Lost(_) => true,
            // The outlet has refused to take it back, and would again.
            Standing::Out(record) | Standing::Partly(record) if record.errand == Errand::Delete => {
                true
            }
            Standing::Pending(_) => false,
            Standing::Waiting(record) => {
                self.drop_withdrawn(*record);
                false
            }
            Standing::Scheduled(record) => {
                self.unschedule(*record, WHY);
                false
            }
            // Only a person knows that it is out, and nobody under which id.
            Standing::Out(record) if !is_begun(&record.publication) => true,
            Standing::Out(mut record) | Standing::Partly(mut record) => {
                record.errand = Errand::Delete;
                self.put_into(*record, PublicationState::Planned, WHY);
                false
            }
        }
    }

    /// Drops a publication of which nothing is out, because its post was deleted; answers whether
    /// nothing else is under way with it.
    pub(super) fn drop_withdrawn(&mut self, record: PublicationRecord) -> bool {
        self.put_into(record, PublicationState::Deleted, WHY)
    }
}

/// Deleted posts behind a request, with where they stand at the outlets that mind, out of all that
/// are there.
async fn find(
    store: &dyn TaskStore,
    (minding, names): (&[Stand], &[OutletName]),
    after: Option<RequestId>,
) -> Result<Look, StoreError> {
    // Each takes at least one read.
    let page = store.withdrawn(after, READS).await?;
    let n_page = page.len();
    let missing = match page.is_empty() {
        true => HashSet::new(),
        false => missing(store, names).await?,
    };
    let mut posts: Vec<Withdrawn> = Vec::new();
    let mut n_reads = 0;
    for request in page {
        if n_reads >= READS {
            break;
        }
        let revisions = revisions(store, request, minding).await?;
        n_reads += revisions.n_reads;
        if revisions.is_forgotten && !minding.is_empty() {
            warn!(request:% = request; "a deleted post was forgotten before: what is out of it stays");
        }
        let (waits_for_start, n_more_reads) = waits_for_start(store, request, &missing).await?;
        n_reads += n_more_reads;
        posts.push(Withdrawn {
            request,
            standings: revisions.standings,
            waits_for_start,
        });
    }
    let has_more = posts.len() < n_page || n_page == READS;
    let last = posts.last().map(|withdrawn| withdrawn.request);
    Ok(Look {
        posts,
        more_behind: last.filter(|_| has_more),
    })
}

/// The outlets at which something stands open, and that are not among these.
async fn missing(
    store: &dyn TaskStore,
    names: &[OutletName],
) -> Result<HashSet<OutletName>, StoreError> {
    let open = store.open_by_outlet().await?.into_iter();
    let open = open.map(|(outlet, ..)| outlet);
    Ok(open.filter(|outlet| !names.contains(outlet)).collect())
}

/// Whether a task of a request, or of one that it revises, has not ended, or a publication of one
/// stands open at a missing outlet; and how often the store was read for it.
async fn waits_for_start(
    store: &dyn TaskStore,
    newest: RequestId,
    missing: &HashSet<OutletName>,
) -> Result<(bool, usize), StoreError> {
    let mut n_reads = 0;
    let mut next = Some(newest);
    while let Some(request) = next {
        let tasks = store.request(request).await?;
        n_reads += 1;
        next = tasks.first().and_then(|first| first.task.request.revises);
        for task in tasks {
            match task.ended {
                None => return Ok((true, n_reads)),
                Some(Ended::Completed(_)) if !missing.is_empty() => (),
                Some(_) => continue,
            }
            let records = store.publications_of(task.task.id).await?;
            n_reads += 1;
            let is_open = |record: &PublicationRecord| {
                missing.contains(&record.publication.outlet) && !record.state.is_over()
            };
            if records.iter().any(is_open) {
                return Ok((true, n_reads));
            }
        }
    }
    Ok((false, n_reads))
}

impl Handler<Withdraw> for PublisherActor {
    type Result = ();

    fn handle(&mut self, _: Withdraw, _: &mut Context<Self>) {
        self.withdrawals.rounds = 0;
        self.withdrawals.has_news |= self.withdrawals.after.is_some();
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
        let look = match found {
            Ok(look) => look,
            Err(error) => {
                warn!(cause:% = error; "deleted posts were not looked up");
                self.look_for_withdrawn(LOOKS.after(3));
                return;
            }
        };
        let mut over = Vec::new();
        for withdrawn in look.posts {
            let request = withdrawn.request;
            let mut is_over = true;
            for standing in withdrawn.standings {
                is_over &= self.withdraw(standing);
            }
            if is_over && !withdrawn.waits_for_start {
                self.withdrawals.requests.remove(&request);
                over.push(request);
            } else {
                self.withdrawals.requests.insert(request);
                // What waits for a start alone is looked at again by the next one.
                self.withdrawals.n_left += usize::from(!is_over);
            }
        }
        if let Some(wait) = self.withdrawals.next_look(look.more_behind) {
            self.look_for_withdrawn(wait);
        }
        if over.is_empty() {
            return;
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
