//! Sends one batch at an outlet: freeze, write down, send, write down.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Context, Handler};
use futures_util::FutureExt;
use log::{error, warn};
use tokio::sync::Semaphore;

use super::answers::{Answer, is_failure, note_answers, note_error, verdict};
use super::book::UnderWay;
use super::brakes::Begun;
use super::change::Step;
use super::fates::is_open;
use super::persist::{write, write_as};
use super::refit::refit;
use super::standing::{is_begun, is_elsewhere};
use super::turn::begins;
use super::{Pause, Peers, PublisherActor, Seat};
use crate::domain::{Moment, OutletName, Publication, PublicationState, Tokens};
use crate::failpoints;
use crate::logic::fit::Limit;
use crate::logic::quota::Urgency;
use crate::messages::{Acquire, Acquired, Operation, Permit, Record};
use crate::ports::{
    Clock, Dispatch, Errand, Fate, Frozen, Kept, OutletError, OutletRemedy, PublicationRecord,
    TaskStore,
};

/// How long to wait for a neighbour that fell.
const RETRY: Duration = Duration::from_millis(100);

/// Why something is not gone on with.
const ELSEWHERE: &str = "what is out of it stands at another account than this outlet's now";

/// A batch has ended, and is written down.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Sent {
    pub(super) outlet: OutletName,
    /// The publications as they stand now.
    pub(super) records: Vec<PublicationRecord>,
    /// Why not all of it went out, if so.
    pub(super) error: Option<OutletError>,
}

/// A batch was not begun, because its outlet was paused meanwhile.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Returned {
    outlet: OutletName,
    records: Vec<PublicationRecord>,
}

/// What is sent together at one outlet.
pub(super) struct Batch {
    pub(super) seat: Seat,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Rc<dyn TaskStore>,
    pub(super) peers: Peers,
    pub(super) records: Vec<PublicationRecord>,
    /// What of it begins, where that is counted.
    pub(super) begun: Option<Begun>,
    pub(super) own: Addr<PublisherActor>,
    pub(super) pause: Pause,
    pub(super) under_way: UnderWay,
}

impl Batch {
    /// Sends it when it gets a permit and a turn, and tells the publisher what became of it.
    pub(super) async fn send(mut self, limit: Limit, turns: Arc<Semaphore>) {
        for record in &mut self.records {
            refit(record, limit, &self.seat.style, &*self.store).await;
        }
        let own = self.own.clone();
        if let Some(error) = self.part_from_elsewhere() {
            return own.do_send(self.refuse(error).await);
        }
        let step = self.step();
        if let Some(error) = self.beyond_budget(&step) {
            return own.do_send(self.refuse(error).await);
        }
        let cost_usd = self.cost(&step);
        // Who waits for a permit takes no turn from others.
        let Some(permit) = self.permit(cost_usd).await else {
            return;
        };
        // The semaphore is never closed.
        let turn = turns.acquire().await;
        if self.pause.holds() {
            // The permit goes back unused by its drop.
            own.do_send(self.returned());
            return;
        }
        let sent = match step {
            Step::Publish => match self.run(permit).await {
                Ok(sent) => sent,
                Err(returned) => return own.do_send(returned),
            },
            Step::Edit(published) => self.edit(permit, published).await,
            Step::TakeBack(standing) => self.take_back(permit, standing).await,
        };
        drop(turn);
        own.do_send(sent);
    }

    /// Has what begins here belong here, whatever was made ready for another account before;
    /// what goes on elsewhere is an error.
    fn part_from_elsewhere(&mut self) -> Option<OutletError> {
        for record in &mut self.records {
            if !is_elsewhere(&record.publication, self.seat.place) {
                continue;
            }
            if record.errand != Errand::Publish || is_begun(&record.publication) {
                return Some(OutletError::Rejected {
                    detail: ELSEWHERE.to_owned(),
                });
            }
            let publication = Arc::make_mut(&mut record.publication);
            (publication.place, publication.thread) = (None, None);
        }
        None
    }

    /// What is done next: the same for all of them.
    fn step(&self) -> Step {
        self.records.first().map_or(Step::Publish, Step::of)
    }

    /// Why it can never go, if any part of it that is left costs more than the whole budget of
    /// the outlet: it would be waited for without end, and all else behind it. What costs
    /// anything goes alone.
    fn beyond_budget(&self, step: &Step) -> Option<OutletError> {
        let budget = self.seat.budget?;
        let cost_usd = self.dearest(step);
        (cost_usd > budget).then(|| OutletError::Rejected {
            detail: format!(
                "a part of it costs {cost_usd:.4} dollars, expected at most the whole budget of {budget}"
            ),
        })
    }

    /// What the dearest of its calls costs, in US dollars.
    fn dearest(&self, step: &Step) -> f64 {
        if matches!(step, Step::TakeBack(_)) {
            return self.cost(step);
        }
        let dispatches = self.records.iter().flat_map(|record| {
            let publication = &record.publication;
            let parts = next_part(publication)..publication.parts.len();
            parts.map(|part| Dispatch {
                publication: Arc::clone(publication),
                part,
            })
        });
        let costs = dispatches.map(|dispatch| self.seat.outlet.cost(&dispatch));
        costs.fold(0.0, f64::max)
    }

    /// What it costs, in US dollars.
    fn cost(&self, step: &Step) -> f64 {
        let outlet = &self.seat.outlet;
        match step {
            Step::Publish | Step::Edit(_) => {
                let dispatches = self.dispatches().into_iter();
                dispatches.map(|dispatch| outlet.cost(&dispatch)).sum()
            }
            Step::TakeBack(standing) => outlet.cost_of_deletion() * standing.len() as f64,
        }
    }

    /// Publishes; what was paused before anything has left is returned as it was.
    async fn run(mut self, permit: Permit) -> Result<Sent, Returned> {
        if let Some(begun) = &self.begun {
            begun.write().await;
        }
        let frozen = match self.freeze().await {
            Ok(frozen) => frozen,
            Err(error) if error.remedy() == OutletRemedy::GiveUp && self.records.len() == 1 => {
                return Ok(self.refuse(error).await);
            }
            Err(OutletError::Rejected { detail }) => {
                // Which of several is refused cannot be told, so the outlet rests instead.
                return Ok(self.not_sent(OutletError::Unreachable { detail }));
            }
            Err(error) => return Ok(self.not_sent(error)),
        };
        if self.pause.holds() {
            return Err(self.returned());
        }
        let frozen = self.write_sending(frozen).await;
        let begun = self.clock.now();
        let answers = self.publish(&frozen).await;
        let is_error = answers.iter().any(is_failure);
        self.count("publish", begun, is_error);
        permit.settle(verdict(&answers, self.spent(&frozen, &answers)), Vec::new());
        let error = note_answers(&mut self.records, answers, self.clock.wall());
        let n_kept_back = self.records.iter().filter(|record| begins(record)).count();
        self.give_back(n_kept_back);
        Ok(self.end(error).await)
    }

    /// The right to send; none when the system has ended.
    async fn permit(&self, cost_usd: f64) -> Option<Permit> {
        loop {
            let acquire = Acquire {
                lane: self.seat.lane.clone(),
                urgency: Urgency::Bulk,
                calls: 1,
                tokens: Tokens::default(),
                usd: cost_usd,
            };
            let permits = match self.peers.acquire.send(acquire).await {
                Ok(Acquired::Now(permits)) => permits,
                Ok(Acquired::Later { permits, .. }) => permits.await.unwrap_or_default(),
                Err(_) if !self.peers.acquire.connected() => return None,
                Err(_) => Vec::new(),
            };
            if let Some(permit) = permits.into_iter().next() {
                return Some(permit);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Makes the bytes of each publication's next part.
    pub(super) async fn freeze(&self) -> Result<Vec<Frozen>, OutletError> {
        let dispatches = self.dispatches();
        let freezing = async {
            failpoints::hit("publisher.call");
            self.seat.outlet.freeze(dispatches).await
        };
        let frozen = AssertUnwindSafe(freezing).catch_unwind().await;
        frozen.unwrap_or_else(|_| {
            error!(outlet:% = self.seat.name; "an outlet panicked before anything was sent");
            Err(OutletError::Unreachable {
                detail: "the outlet panicked".to_owned(),
            })
        })
    }

    /// The next part of each publication.
    fn dispatches(&self) -> Vec<Dispatch> {
        let records = self.records.iter();
        let dispatches = records.map(|record| Dispatch {
            publication: Arc::clone(&record.publication),
            part: next_part(&record.publication),
        });
        dispatches.collect()
    }

    /// What was paid for those parts that are proved to be taken, in US dollars.
    pub(super) fn spent(&self, frozen: &[Frozen], answers: &[Answer]) -> f64 {
        let out = frozen.iter().zip(answers).filter(|(_, it)| !is_failure(it));
        out.map(|(part, _)| self.seat.outlet.cost(&part.dispatch))
            .sum()
    }

    /// Writes down what is about to be sent; what somebody else holds now is left out.
    pub(super) async fn write_sending(&mut self, frozen: Vec<Frozen>) -> Vec<Frozen> {
        let (at, token) = (self.clock.wall(), self.store.token());
        for (record, frozen) in self.records.iter_mut().zip(&frozen) {
            record.state = PublicationState::Sending;
            record.attempts += 1;
            record.at = at;
            record.why = None;
            if self.seat.place.is_some() && record.publication.place != self.seat.place {
                Arc::make_mut(&mut record.publication).place = self.seat.place;
            }
            record.frozen = Some(Fate {
                part: frozen.dispatch.part,
                bytes: Arc::clone(&frozen.bytes),
                key: Arc::clone(&frozen.key),
                mark: frozen.mark,
                at,
            });
        }
        let kept = write_as(&*self.store, &mut self.records, token).await;
        let mut kept_by_record = kept.iter();
        self.records
            .retain(|_| kept_by_record.next() == Some(&Kept::Yes));
        let by_frozen = frozen.into_iter().zip(kept);
        by_frozen
            .filter(|(_, kept)| *kept == Kept::Yes)
            .map(|(frozen, _)| frozen)
            .collect()
    }

    async fn publish(&self, frozen: &[Frozen]) -> Vec<Answer> {
        if frozen.is_empty() {
            return Vec::new();
        }
        let publishing = async {
            failpoints::hit("publisher.publish");
            self.seat.outlet.publish(frozen).await
        };
        let answers = AssertUnwindSafe(publishing).catch_unwind().await;
        let mut answers = answers.unwrap_or_else(|_| {
            error!(outlet:% = self.seat.name; "an outlet panicked while it sent");
            Vec::new()
        });
        answers.resize_with(frozen.len(), || {
            Err(OutletError::Ambiguous {
                detail: "the outlet gave no answer".to_owned(),
            })
        });
        answers
    }

    /// Counts no more what did not begin after all.
    fn give_back(&mut self, n: usize) {
        if let (Some(begun), 1..) = (self.begun.take(), n) {
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            self.own.do_send(begun.give_back(n));
        }
    }

    /// Gives the only publication up, which the outlet refuses before anything of it was sent: it
    /// would be refused again, and nothing else would come to its turn.
    pub(super) async fn refuse(mut self, error: OutletError) -> Sent {
        let n = self.records.iter().filter(|record| begins(record)).count();
        self.give_back(n);
        let (at, token) = (self.clock.wall(), self.store.token());
        for record in &mut self.records {
            note_error(record, &error);
            record.at = at;
        }
        self.settle_refused().await;
        let kept = write_as(&*self.store, &mut self.records, token).await;
        let mut kept = kept.into_iter();
        // What somebody else holds now is in other hands.
        self.records.retain(|_| kept.next() == Some(Kept::Yes));
        self.ended(Some(error))
    }

    /// Writes down what became of it.
    pub(super) async fn end(mut self, error: Option<OutletError>) -> Sent {
        self.settle_refused().await;
        write(&*self.store, &mut self.records).await;
        self.ended(error)
    }

    /// Tells what became of it, now that it is written down.
    fn ended(self, error: Option<OutletError>) -> Sent {
        for record in &self.records {
            self.peers.tell(record);
        }
        // Only what is written down may be taken up again.
        drop(self.under_way);
        Sent {
            outlet: self.seat.name,
            records: self.records,
            error,
        }
    }

    /// What says that nothing has left, and why.
    pub(super) fn not_sent(self, error: OutletError) -> Sent {
        let Returned { outlet, records } = self.returned();
        Sent {
            outlet,
            records,
            error: Some(error),
        }
    }

    /// What it was to send, as before: nothing has left.
    fn returned(mut self) -> Returned {
        let n = self.records.iter().filter(|record| begins(record)).count();
        self.give_back(n);
        drop(self.under_way);
        Returned {
            outlet: self.seat.name,
            records: self.records,
        }
    }

    pub(super) fn count(&self, name: &'static str, begun: Moment, is_error: bool) {
        self.peers.record.do_send(Record {
            operation: Operation {
                service: self.seat.name.as_str().into(),
                name,
            },
            took: self.clock.now().since(begun),
            is_error,
        });
    }
}

/// The first part that is not out.
fn next_part(publication: &Publication) -> usize {
    let parts = &publication.parts;
    let first = parts.iter().position(|part| part.id.is_none());
    first.unwrap_or(parts.len().saturating_sub(1))
}

impl Handler<Returned> for PublisherActor {
    type Result = ();

    fn handle(&mut self, Returned { outlet, records }: Returned, _: &mut Context<Self>) {
        self.count_charges(&outlet);
        for record in records {
            self.note_publication(&outlet, record);
        }
        self.pump(&outlet);
    }
}

impl Handler<Sent> for PublisherActor {
    type Result = ();

    fn handle(&mut self, sent: Sent, _: &mut Context<Self>) {
        failpoints::hit("publisher.sent");
        self.count_charges(&sent.outlet);
        self.note_outlet(&sent.outlet, sent.error);
        for record in sent.records {
            self.note_publication(&sent.outlet, record);
        }
        self.pump(&sent.outlet);
    }
}

impl PublisherActor {
    /// Counts a publication that is over, and sees to it that any other goes on.
    pub(super) fn note_publication(&mut self, outlet: &OutletName, record: PublicationRecord) {
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let publication = Arc::clone(&record.publication);
        if !is_open(record.state) {
            state.fates.close(publication.id);
        }
        match record.state {
            PublicationState::Published => state.published += 1,
            PublicationState::Refused => {
                state.refused += 1;
                let why = record.why.clone().unwrap_or_default();
                warn!(publication:% = record.publication.id, outlet:% = outlet, cause = &*why; "a publication is refused");
            }
            PublicationState::Unknown => self.await_fate(&record),
            PublicationState::Scheduled => self.await_scheduled(&record),
            // Begun already, so it goes on before whatever has come since.
            PublicationState::Planned => self.let_wait(record),
            // In other hands: who sends it tells its end, and who holds it lets it out.
            PublicationState::Sending | PublicationState::Held | PublicationState::Deleted => (),
        }
        self.wake_waiting_for(&publication);
    }
}
