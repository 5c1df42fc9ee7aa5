//! Sends one batch at an outlet: freeze, write down, send, write down.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Context, Handler};
use futures_util::FutureExt;
use log::{error, info, warn};

use super::book::UnderWay;
use super::brakes::Begun;
use super::change::Step;
use super::fates::is_open;
use super::refit::refit;
use super::standing::is_begun;
use super::{BACKOFF, Pause, Peers, PublisherActor, Seat};
use crate::domain::{Moment, OutletName, Publication, PublicationState, Tokens};
use crate::failpoints;
use crate::logic::backoff::Backoff;
use crate::logic::quota::Urgency;
use crate::messages::{Acquire, Acquired, Operation, Permit, Record, Verdict};
use crate::ports::{
    Clock, Dispatch, Errand, Fate, Frozen, Kept, OutletError, OutletRemedy, PublicationChange,
    PublicationRecord, Published, StoreError, StoreRemedy, TaskStore, Token,
};
use crate::supervision::unless_panicked;

/// How long an outlet that needs a person is left alone before it is tried again.
const PERSON: Duration = Duration::from_secs(900);
/// The waits after it cannot be known whether what was sent has arrived.
const DOUBTS: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(1_800));
/// How long to wait for a neighbour that fell.
const RETRY: Duration = Duration::from_millis(100);

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

impl PublisherActor {
    /// Begins to send at an outlet, if something waits there and nothing is in the way.
    pub(super) fn pump(&mut self, outlet: &OutletName) {
        self.refill(outlet);
        let now = self.clock.now();
        let Some(seat) = self.seat(outlet).cloned() else {
            return;
        };
        let limit = self.limits.borrow().get(outlet).copied();
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let Some(limit) = limit.filter(|_| state.is_measured) else {
            return;
        };
        let is_parked = state.parked_until.is_some_and(|until| until > now);
        let is_barred = state.pause.holds() || is_parked || state.fates.is_awaited();
        if is_barred || state.waiting.is_empty() {
            return;
        }
        // What fails may fail for all of a batch, and what may be out has to be looked for.
        let n_batch = match state.failures {
            0 => seat.outlet.batch().max(1),
            _ => 1,
        };
        let room = self.room_to_begin(&seat);
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        // What began goes on, and what is out is changed, however much has begun.
        let is_braked = |record: &PublicationRecord| room == Some(0) && begins(record);
        let waiting = state.waiting.iter();
        let mut free =
            waiting.filter(|(id, record)| !state.blocked.contains_key(id) && !is_braked(record));
        let Some((first, record)) = free.next() else {
            if state.n_free() > 0 {
                self.pump_when_released(outlet);
            }
            return;
        };
        let mut ids = vec![*first];
        let mut n_beginning = u32::from(begins(record));
        // What changes something that is out goes alone.
        if record.errand == Errand::Publish {
            for (id, record) in free.filter(|(_, record)| record.errand == Errand::Publish) {
                let is_beginning = begins(record);
                if ids.len() >= n_batch || is_beginning && room == Some(n_beginning) {
                    break;
                }
                n_beginning += u32::from(is_beginning);
                ids.push(*id);
            }
        }
        let Some(under_way) = self.book.begin(outlet, ids.clone()) else {
            return;
        };
        let records: Vec<PublicationRecord> = ids
            .iter()
            .filter_map(|id| state.waiting.remove(id))
            .collect();
        let pause = state.pause.clone();
        let begun = self.begin_there(&seat, n_beginning);
        let mut batch = Batch {
            seat,
            clock: Arc::clone(&self.clock),
            store: Rc::clone(&self.store),
            peers: self.peers.clone(),
            records,
            begun,
            own: self.own.clone(),
            pause,
            under_way,
        };
        let (own, turns) = (self.own.clone(), Arc::clone(&self.turns));
        actix_rt::spawn(async move {
            for record in &mut batch.records {
                refit(record, limit, &batch.seat.style, &*batch.store).await;
            }
            let step = batch.step();
            let cost_usd = batch.cost(&step);
            // Who waits for a permit takes no turn from others.
            let Some(permit) = batch.permit(cost_usd).await else {
                return;
            };
            // The semaphore is never closed.
            let turn = turns.acquire().await;
            if batch.pause.holds() {
                // The permit goes back unused by its drop.
                own.do_send(batch.returned());
                return;
            }
            let sent = match step {
                Step::Publish => match batch.run(permit).await {
                    Ok(sent) => sent,
                    Err(returned) => return own.do_send(returned),
                },
                Step::Edit(published) => batch.edit(permit, published).await,
                Step::TakeBack(standing) => batch.take_back(permit, standing).await,
            };
            drop(turn);
            own.do_send(sent);
        });
    }
}

/// What is sent together at one outlet.
pub(super) struct Batch {
    pub(super) seat: Seat,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Rc<dyn TaskStore>,
    peers: Peers,
    pub(super) records: Vec<PublicationRecord>,
    /// What of it begins, where that is counted.
    begun: Option<Begun>,
    own: Addr<PublisherActor>,
    pause: Pause,
    pub(super) under_way: UnderWay,
}

impl Batch {
    /// What is done next: the same for all of them.
    fn step(&self) -> Step {
        self.records.first().map_or(Step::Publish, Step::of)
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
        let error = self.take_answers(answers);
        let n_kept_back = self.records.iter().filter(|record| begins(record)).count();
        self.give_back(n_kept_back);
        self.settle_refused().await;
        write(&*self.store, &mut self.records).await;
        for record in &self.records {
            self.tell(record);
        }
        // Only what is written down may be taken up again.
        drop(self.under_way);
        Ok(Sent {
            outlet: self.seat.name,
            records: self.records,
            error,
        })
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
    pub(super) fn spent(
        &self,
        frozen: &[Frozen],
        answers: &[Result<Published, OutletError>],
    ) -> f64 {
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

    async fn publish(&self, frozen: &[Frozen]) -> Vec<Result<Published, OutletError>> {
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

    /// Notes each answer in its record, and returns the gravest error.
    fn take_answers(
        &mut self,
        answers: Vec<Result<Published, OutletError>>,
    ) -> Option<OutletError> {
        let at = self.clock.wall();
        let mut gravest = None;
        for (record, answer) in self.records.iter_mut().zip(answers) {
            record.at = at;
            match answer {
                Ok(published) => note_published(record, published),
                Err(OutletError::Scheduled { wait }) => note_scheduled(record, wait),
                Err(error) => {
                    note_error(record, &error);
                    if gravest
                        .as_ref()
                        .is_none_or(|other| gravity(other) < gravity(&error))
                    {
                        gravest = Some(error);
                    }
                }
            }
        }
        gravest
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
    async fn refuse(mut self, error: OutletError) -> Sent {
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
        for record in &self.records {
            self.tell(record);
        }
        drop(self.under_way);
        Sent {
            outlet: self.seat.name,
            records: self.records,
            error: Some(error),
        }
    }

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

    pub(super) fn tell(&self, record: &PublicationRecord) {
        self.peers
            .events
            .tell(|| crate::messages::Event::Publication {
                id: record.publication.id,
                state: record.state,
                at: record.at,
                why: record.why.clone(),
            });
    }
}

/// Whether nothing of a publication is out yet, and something is about to be.
fn begins(record: &PublicationRecord) -> bool {
    let may_be_out = matches!(
        record.state,
        PublicationState::Sending | PublicationState::Scheduled | PublicationState::Unknown
    );
    record.errand == Errand::Publish && !may_be_out && !is_begun(&record.publication)
}

/// The first part that is not out.
fn next_part(publication: &Publication) -> usize {
    let parts = &publication.parts;
    let first = parts.iter().position(|part| part.id.is_none());
    first.unwrap_or(parts.len().saturating_sub(1))
}

/// Notes that the frozen part is out; the next part is planned, if there is one.
pub(super) fn note_published(record: &mut PublicationRecord, published: Published) {
    let Some(fate) = record.frozen.take() else {
        return;
    };
    let mut publication = Publication::clone(&record.publication);
    if let Some(part) = publication.parts.get_mut(fate.part) {
        part.id = Some(published.id);
        part.url = published.url;
    }
    let is_out = publication.parts.iter().all(|part| part.id.is_some());
    record.publication = Arc::new(publication);
    record.why = None;
    record.attempts = 0;
    let has_leftovers = matches!(
        &record.errand,
        Errand::Edit(_, standing) if standing.len() > record.publication.parts.len()
    );
    record.state = if is_out && !has_leftovers {
        record.errand = Errand::Publish;
        PublicationState::Published
    } else {
        PublicationState::Planned
    };
}

/// Notes that the outlet has the frozen part, and publishes it after so long.
pub(super) fn note_scheduled(record: &mut PublicationRecord, wait: Duration) {
    record.state = PublicationState::Scheduled;
    let until = record.at.plus(wait);
    record.why = Some(format!("the outlet publishes it at {until}").into());
}

pub(super) fn note_error(record: &mut PublicationRecord, error: &OutletError) {
    record.why = Some(error.to_string().into());
    record.state = match error.remedy() {
        OutletRemedy::Retry(_) | OutletRemedy::Person => PublicationState::Planned,
        OutletRemedy::GiveUp => PublicationState::Refused,
        OutletRemedy::ReadBack | OutletRemedy::Await(_) => PublicationState::Unknown,
    };
    if record.state != PublicationState::Unknown {
        // It is proved not to have left.
        record.frozen = None;
        record.attempts = record.attempts.saturating_sub(1);
    }
}

/// How much an error says of the outlet, and not of one part alone.
fn gravity(error: &OutletError) -> u8 {
    match error.remedy() {
        OutletRemedy::GiveUp => 0,
        OutletRemedy::ReadBack | OutletRemedy::Await(_) => 1,
        OutletRemedy::Retry(_) => 2,
        OutletRemedy::Person => 3,
    }
}

/// What a call was, as far as the outlet's lane is concerned; what is only perhaps out counts as
/// it was reserved.
pub(super) fn verdict(answers: &[Result<Published, OutletError>], cost_usd: f64) -> Verdict {
    let failures = answers.iter().filter(|answer| is_failure(answer));
    let errors = failures.filter_map(|answer| answer.as_ref().err());
    match errors.max_by_key(|error| gravity(error)) {
        None if answers.is_empty() => Verdict::Unused,
        None | Some(OutletError::Rejected { .. }) => Verdict::Answered {
            tokens: None,
            cost_usd: Some(cost_usd),
        },
        Some(OutletError::Busy { wait, .. }) => Verdict::Bounced { wait: *wait },
        // Proved not to be made, so it was not paid for either.
        Some(
            OutletError::Unreachable { .. } | OutletError::Auth { .. } | OutletError::Unpaid { .. },
        ) => Verdict::Unused,
        Some(OutletError::Ambiguous { .. } | OutletError::Scheduled { .. }) => {
            Verdict::Spent { tokens: None }
        }
    }
}

/// Whether a part was not taken; one that is scheduled was.
fn is_failure(answer: &Result<Published, OutletError>) -> bool {
    matches!(answer, Err(error) if !matches!(error, OutletError::Scheduled { .. }))
}

/// Writes publications down as they stand, however often it takes; their tokens stay.
pub(super) async fn write(store: &dyn TaskStore, records: &mut [PublicationRecord]) -> Vec<Kept> {
    let token = records.first().map_or(0, |record| record.token);
    write_as(store, records, token).await
}

/// Writes publications down as they stand, held by `token` from then on.
pub(super) async fn write_as(
    store: &dyn TaskStore,
    records: &mut [PublicationRecord],
    token: Token,
) -> Vec<Kept> {
    if records.is_empty() {
        return Vec::new();
    }
    let changes = changes(records, token);
    until_written(async || store.record_publications(changes.clone()).await).await
}

/// The same with publications that need each other: all of them, or none.
pub(super) async fn write_together(
    store: &dyn TaskStore,
    records: &mut [PublicationRecord],
    token: Token,
) -> Kept {
    let changes = changes(records, token);
    until_written(async || store.record_together(changes.clone()).await).await
}

/// Publications as they stand, held by `token` from now on.
fn changes(records: &mut [PublicationRecord], token: Token) -> Vec<PublicationChange> {
    let changes = records.iter_mut().map(|record| PublicationChange {
        held: std::mem::replace(&mut record.token, token),
        after: record.clone(),
    });
    changes.collect()
}

/// Writes until the store takes it.
async fn until_written<T>(write: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let mut is_stuck = false;
    loop {
        let writing = async {
            failpoints::hit("publisher.write");
            write().await
        };
        match unless_panicked(writing).await {
            Ok(answer) => {
                if is_stuck {
                    info!("the store writes publications again");
                }
                return answer;
            }
            Err(error) => {
                if !is_stuck {
                    warn!(cause:% = error; "the store does not write publications");
                }
                is_stuck = true;
                let (StoreRemedy::Retry(wait) | StoreRemedy::Person(wait)) = error.remedy();
                tokio::time::sleep(wait).await;
            }
        }
    }
}

impl Handler<Returned> for PublisherActor {
    type Result = ();

    fn handle(&mut self, Returned { outlet, records }: Returned, _: &mut Context<Self>) {
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

    /// Notes how an outlet does; says once in the log that it fails, and once that it does not.
    pub(super) fn note_outlet(&mut self, outlet: &OutletName, error: Option<OutletError>) {
        let now = self.clock.now();
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let remedy = error.as_ref().map(OutletError::remedy);
        let wait = match remedy {
            None | Some(OutletRemedy::GiveUp | OutletRemedy::Await(_)) => {
                if state.error.take().is_some() {
                    info!(outlet:% = outlet; "an outlet takes posts again");
                }
                state.failures = 0;
                state.parked_until = None;
                return;
            }
            // Each trial may leave one more that nobody knows the fate of.
            Some(OutletRemedy::ReadBack) => {
                state.failures += 1;
                self.chance.jitter(DOUBTS.after(state.failures))
            }
            Some(OutletRemedy::Retry(wait)) => {
                state.failures += 1;
                let backoff = self.chance.jitter(BACKOFF.after(state.failures));
                // A hint says when at the earliest; one of nothing would make a loop.
                wait.map_or(backoff, |wait| wait.max(backoff))
            }
            Some(OutletRemedy::Person) => PERSON,
        };
        let error = error.map(|error| error.to_string());
        if state.error.is_none()
            && let Some(error) = &error
        {
            warn!(outlet:% = outlet, cause = error.as_str(); "an outlet takes no posts");
        }
        state.error = error;
        state.parked_until = Some(now.plus(wait));
        self.pump_after(outlet.clone(), wait);
    }

    /// Notes that an outlet told what became of something: it answers, so it need not be left
    /// alone for as long as one that says nothing.
    pub(super) fn note_answer(&mut self, outlet: &OutletName) {
        let now = self.clock.now();
        let Some(state) = self.state.get_mut(outlet) else {
            return;
        };
        let wait = self.chance.jitter(BACKOFF.after(state.failures.max(1)));
        let again = now.plus(wait);
        if state.parked_until.is_some_and(|until| until > again) {
            state.parked_until = Some(again);
            self.pump_after(outlet.clone(), wait);
        }
    }
}
