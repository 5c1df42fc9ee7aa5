//! What a person orders: let a held publication out, refuse it, also where its outlet has it
//! already, send one again; and what a person says became of one that may be out.

use std::rc::Rc;
use std::sync::Arc;

use actix::{Addr, Context, Handler, ResponseFuture};
use log::warn;

use super::book::UnderWay;
use super::persist::write_as;
use super::read_back::write_one;
use super::refit::origin_of;
use super::teach::{corrections, lesson, recall};
use super::threads::{Changed, without_lost_parent};
use super::unschedule::taken_back;
use super::{PublisherActor, Seat};
use crate::domain::{
    Correction, OutletName, Part, Publication, PublicationId, PublicationState, SourceName,
    Timestamp,
};
use crate::logic::compose::Style;
use crate::logic::fit::{Limit, room};
use crate::logic::known::Edition;
use crate::messages::{
    Approve, Insert, Leadership, PublicationError, Publish, Reject, RetryPublication, Review,
};
use crate::ports::{Errand, Kept, PublicationRecord, StoreError, TaskRecord, TaskStore, outdated};

/// Why a publication is refused that a person does not want.
const REJECTED: &str = "rejected by a person";

type Answer = ResponseFuture<Result<PublicationRecord, PublicationError>>;

/// What an order needs.
struct Order {
    store: Rc<dyn TaskStore>,
    own: Addr<PublisherActor>,
    at: Timestamp,
    id: PublicationId,
}

impl Order {
    /// The publication, if it stands in one of these states.
    async fn find(
        &self,
        states: &[PublicationState],
    ) -> Result<PublicationRecord, PublicationError> {
        let record = self.store.publication(self.id).await?;
        let record = record.ok_or(PublicationError::Unknown)?;
        if states.contains(&record.state) {
            Ok(record)
        } else {
            Err(PublicationError::Conflict(record.state))
        }
    }

    /// Notes that a publication is out that may have been, as a person says; under which id it is
    /// stays unknown, so nothing can answer it, change it or take it back.
    async fn confirm(
        self,
        mut record: PublicationRecord,
        text: Option<&str>,
    ) -> Result<PublicationRecord, PublicationError> {
        if let Some(why) = unconfirmed(&record, text) {
            return Err(PublicationError::Unfit(why));
        }
        record.errand = Errand::Publish;
        let why = "a person says that it is out";
        self.put(record, PublicationState::Published, why).await
    }

    /// Has an outlet give back what it was to publish by itself, which is then given up; what is
    /// out meanwhile stays, and only what would follow it is given up.
    async fn take_back(
        self,
        record: PublicationRecord,
        seat: &Seat,
        under_way: UnderWay,
    ) -> Result<PublicationRecord, PublicationError> {
        let mut record = taken_back(seat, record, REJECTED).await?;
        record.at = self.at;
        if record.state != PublicationState::Published {
            record.state = PublicationState::Refused;
            record.why = Some(REJECTED.into());
        }
        let record = write_one(&*self.store, record, under_way).await;
        self.own.do_send(Changed(vec![record.clone()]));
        match record.state {
            PublicationState::Refused => Ok(record),
            state => Err(PublicationError::Conflict(state)),
        }
    }

    /// Writes the publication down in its new state, and hands it on if it is to be sent.
    async fn put(
        self,
        mut record: PublicationRecord,
        state: PublicationState,
        why: &str,
    ) -> Result<PublicationRecord, PublicationError> {
        record.state = state;
        record.at = self.at;
        record.why = Some(why.into());
        record.frozen = None;
        record.is_decided = state == PublicationState::Planned;
        let token = self.store.token();
        let mut records = [record];
        let kept = write_as(&*self.store, &mut records, token).await;
        let [record] = records;
        if kept != [Kept::Yes] {
            return Err(PublicationError::Conflict(PublicationState::Sending));
        }
        // Not told but asked, and not waited for: what is lost on the way stands in the store.
        let handing_on = self.own.send(Publish {
            planned: vec![record.clone()],
            ..Publish::default()
        });
        actix_rt::spawn(async move {
            let _ = handing_on.await;
        });
        Ok(record)
    }
}

/// Why a publication is not let out whose outlet is not there.
fn no_outlet(record: &PublicationRecord) -> PublicationError {
    let outlet = &record.publication.outlet;
    PublicationError::Unfit(format!("there is no outlet `{outlet}` any more"))
}

/// Why a publication that may be out is not confirmed.
fn unconfirmed(record: &PublicationRecord, text: Option<&str>) -> Option<String> {
    if text.is_some() {
        return Some("what may be out cannot be given another text".to_owned());
    }
    let n_parts = record.publication.parts.len();
    let part = record.frozen.as_ref().map_or(0, |fate| fate.part) + 1;
    (part < n_parts).then(|| {
        format!(
            "part {part} of {n_parts} may be out, and nobody knows under which id, so the next one \
             cannot follow it: `retry` sends it again, `reject` gives up what is left"
        )
    })
}

impl PublisherActor {
    fn order(&self, id: PublicationId) -> Order {
        Order {
            store: Rc::clone(&self.store),
            own: self.own.clone(),
            at: self.clock.wall(),
            id,
        }
    }
}

/// Keeps what a person corrected, and goes by it from now on.
async fn keep(
    store: &dyn TaskStore,
    corrections: Vec<Correction>,
    edition: &Edition,
) -> Result<(), StoreError> {
    store.keep_corrections(corrections).await?;
    recall(store, edition).await
}

/// The publication with another text, put together as the outlet wants it; a person decides how
/// many parts it may take.
fn with_text(
    record: &PublicationRecord,
    texts: &[&str],
    limit: Limit,
    (style, task): (&Style, Option<&TaskRecord>),
) -> Result<Arc<Publication>, PublicationError> {
    let style = Style {
        max_parts: None,
        ..style.clone()
    };
    let origin = origin_of(task, &record.publication);
    let parts = style.compose_anew(texts, "", limit, origin);
    let parts = parts.map_err(|error| PublicationError::Unfit(error.to_string()))?;
    let mut publication = Publication::clone(&record.publication);
    publication.parts = parts.into_iter().map(Part::new).collect();
    Ok(Arc::new(publication))
}

/// Whether each of its parts is within the limit.
fn fits(publication: &Publication, limit: Limit) -> bool {
    let mut parts = publication.parts.iter();
    parts.all(|part| limit.fits(&part.text))
}

impl Handler<Approve> for PublisherActor {
    type Result = Answer;

    fn handle(&mut self, approve: Approve, _: &mut Context<Self>) -> Self::Result {
        let order = self.order(approve.id);
        let limits = self.limits.borrow().clone();
        let (edition, peers, seats) =
            (self.edition.clone(), self.peers.clone(), self.seats.clone());
        Box::pin(async move {
            let states = [PublicationState::Held, PublicationState::Unknown];
            let mut record = order.find(&states).await?;
            if record.state == PublicationState::Unknown {
                return order.confirm(record, approve.text.as_deref()).await;
            }
            let limit = limits.get(&record.publication.outlet);
            let limit = limit.copied().unwrap_or(Limit::Unbounded);
            let limit = room(limit, record.publication.attached.as_deref());
            let seat = seats
                .iter()
                .find(|seat| seat.name == record.publication.outlet);
            if seat.is_none() {
                return Err(no_outlet(&record));
            }
            let plain = Style::default();
            let style = seat.map_or(&plain, |seat| &seat.style);
            let (mut learned, mut corrected) = (None, Vec::new());
            if let Some(text) = approve.text {
                let task = order.store.task(approve.id.task()).await?;
                if let Some(task) = task.as_ref().filter(|_| seat.is_some()) {
                    let publication = &record.publication;
                    learned = lesson(&edition, style, &task.task, publication, &text);
                    corrected = corrections(style, task, publication, &text);
                }
                // What is shown of a plain mention may be typed anew, and is to alert nobody still.
                let rules = (style, task.as_ref());
                record.publication = with_text(&record, &[&*text], limit, rules)?;
            } else if !fits(&record.publication, limit) {
                let task = order.store.task(approve.id.task()).await?;
                let parts = record.publication.parts.iter();
                let texts: Vec<&str> = parts.map(|part| &*part.text).collect();
                let rules = (style, task.as_ref());
                record.publication = with_text(&record, &texts, limit, rules)?;
            }
            let place = seat.and_then(|seat| seat.place);
            let record = without_lost_parent(&*order.store, record, place).await?;
            let store = Rc::clone(&order.store);
            let record = order
                .put(record, PublicationState::Planned, "approved")
                .await?;
            if !corrected.is_empty()
                && let Err(error) = keep(&*store, corrected, &edition).await
            {
                // The publication goes out as it was corrected, and only the rule is lost.
                warn!(publication:% = record.publication.id, cause:% = error; "nothing was learned of a correction");
            }
            if let Some((key, translation)) = learned {
                let leadership = Leadership::new(key, Arc::new(peers.resign));
                peers
                    .insert
                    .do_send(Insert(vec![(leadership, Ok(translation))]));
            }
            Ok(record)
        })
    }
}

impl Handler<Reject> for PublisherActor {
    type Result = Answer;

    fn handle(&mut self, Reject(id): Reject, _: &mut Context<Self>) -> Self::Result {
        let order = self.order(id);
        let (book, seats) = (self.book.clone(), self.seats.clone());
        Box::pin(async move {
            let states = [
                PublicationState::Held,
                PublicationState::Scheduled,
                PublicationState::Unknown,
            ];
            // Before it is read, so that nobody changes it meanwhile.
            let under_way = book.look(id);
            let record = order.find(&states).await?;
            if record.state == PublicationState::Scheduled {
                let under_way = under_way.ok_or(PublicationError::UnderWay)?;
                let outlet = &record.publication.outlet;
                let seat = seats.iter().find(|seat| seat.name == *outlet);
                let seat = seat.ok_or(PublicationError::Conflict(record.state))?;
                return order.take_back(record, seat, under_way).await;
            }
            drop(under_way);
            let why = match record.state {
                PublicationState::Unknown => "a person says that it is not out, and not wanted",
                _ => REJECTED,
            };
            order.put(record, PublicationState::Refused, why).await
        })
    }
}

impl Handler<RetryPublication> for PublisherActor {
    type Result = Answer;

    fn handle(
        &mut self,
        RetryPublication(id): RetryPublication,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let (order, seats) = (self.order(id), self.seats.clone());
        Box::pin(async move {
            let states = [PublicationState::Refused, PublicationState::Unknown];
            let record = order.find(&states).await?;
            let it = &record.publication;
            let post = (SourceName::from(&*it.source), Arc::clone(&it.post));
            let task = (it.id.task(), &it.language);
            let outdated = outdated(&*order.store, post, task, Some(&it.outlet));
            outdated.await?.map_or(Ok(()), Err)?;
            let seat = seats.iter().find(|seat| seat.name == it.outlet);
            if seat.is_none() {
                return Err(no_outlet(&record));
            }
            let place = seat.and_then(|seat| seat.place);
            let record = without_lost_parent(&*order.store, record, place).await?;
            order
                .put(record, PublicationState::Planned, "sent again by a person")
                .await
        })
    }
}

impl Handler<Review> for PublisherActor {
    type Result = ResponseFuture<Result<Vec<PublicationRecord>, StoreError>>;

    fn handle(&mut self, review: Review, _: &mut Context<Self>) -> Self::Result {
        let store = Rc::clone(&self.store);
        let seats = self.seats.iter().map(|seat| &seat.name);
        let names = seats.chain(self.strays.iter().map(|stray| &stray.name));
        let outlets: Vec<OutletName> = names.cloned().collect();
        Box::pin(async move {
            let mut waiting = Vec::new();
            for outlet in outlets {
                for state in [
                    PublicationState::Held,
                    PublicationState::Scheduled,
                    PublicationState::Unknown,
                ] {
                    let outlet = outlet.clone();
                    let found = store.publications_in(outlet, state, None, review.limit);
                    waiting.extend(found.await?);
                }
            }
            waiting.sort_by_key(|record| record.publication.id);
            waiting.truncate(review.limit);
            Ok(waiting)
        })
    }
}
