//! Takes texts in: durable requests, and texts that somebody waits for.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, Context, Handler, Message, ResponseFuture};
use futures_util::future::{Either, select};
use log::warn;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::book::{Book, Shared};
use super::lookup::RETRY;
use super::outdated::find_outdated;
use super::work::Work;
use super::{Intake, TaskManagerActor};
use crate::domain::{Origin, Pair, Request, Task, Timestamp, Translation};
use crate::failpoints;
use crate::logic::lifecycle::{Lifecycle, Step};
use crate::messages::{
    AskedTexts, Drain, Event, Found, Lookup, NowCall, NowError, OpenIntake, Submission, Submit,
    SubmitError, TranslateNow, Withdraw,
};
use crate::ports::{
    Admission, Admitted, NewRequest, Outcome, StoreError, StoreRemedy, TaskRecord, TaskStore,
};
use crate::supervision::{telling_if_slow, unless_panicked};

/// The most callers who may wait at once.
const CALLERS: usize = 10_000;

/// Requests were taken in.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct TakenIn(Vec<(Arc<Request>, Publishing, Admitted)>);

/// Whether a request's translations are published.
type Publishing = bool;

/// A caller's texts that are not all known.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Called {
    call: Arc<NowCall>,
    found: Vec<Found>,
}

/// An answer that is worked on for as long as whoever asked waits for it.
pub struct WhileAwaited<T>(Pin<Box<dyn Future<Output = T>>>);

impl<T: 'static> WhileAwaited<T> {
    /// What is answered when this resolves.
    fn new(answer: impl Future<Output = T> + 'static) -> Self {
        Self(Box::pin(answer))
    }
}

impl<A: Actor, M: Message> MessageResponse<A, M> for WhileAwaited<M::Result> {
    fn handle(self, _: &mut A::Context, asker: Option<OneshotSender<M::Result>>) {
        let Some(mut asker) = asker else {
            return;
        };
        actix_rt::spawn(async move {
            let answer = match select(self.0, pin!(asker.closed())).await {
                Either::Left((answer, _)) => answer,
                Either::Right(((), _)) => return,
            };
            // Who has left needs no answer.
            let _ = asker.send(answer);
        });
    }
}

/// A caller's place among those who wait, free again however the waiting ends.
struct Seat {
    book: Shared<Book>,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.book.lock().callers.remove(&self.number);
    }
}

/// Counts something while it is under way.
struct UnderWay(Rc<Cell<u64>>, u64);

impl UnderWay {
    fn new(count: &Rc<Cell<u64>>, n: u64) -> Self {
        count.set(count.get() + n);
        Self(Rc::clone(count), n)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(self.1));
    }
}

impl Handler<Submit> for TaskManagerActor {
    type Result = ResponseFuture<Result<Vec<Admitted>, SubmitError>>;

    fn handle(&mut self, submit: Submit, _: &mut Context<Self>) -> Self::Result {
        failpoints::hit("task_manager.handler");
        if self.intake != Intake::Open {
            return Box::pin(std::future::ready(Err(SubmitError::Draining)));
        }
        let at = self.clock.wall();
        let requests: Vec<NewRequest> = submit
            .submissions
            .into_iter()
            .map(|submission| self.request(submission, at))
            .collect();
        let taken: Vec<(Arc<Request>, Publishing)> = requests
            .iter()
            .map(|new| (Arc::clone(&new.request), new.publish))
            .collect();
        let withdraw = (!submit.gone.is_empty()).then(|| self.peers.withdraw.clone());
        let n_tasks = requests.iter().map(|new| new.targets.len() as u64).sum();
        let under_way = UnderWay::new(&self.submitted, n_tasks);
        let (store, own) = (Rc::clone(&self.store), self.own.clone());
        let has_no_room = Rc::clone(&self.has_no_room);
        let gone = submit.gone.clone();
        let admission = Admission {
            requests,
            seen: submit.seen,
            gone: submit.gone,
            cursor: submit.cursor,
        };
        Box::pin(async move {
            let close = || {
                let is_first = !has_no_room.replace(true);
                if is_first {
                    actix_rt::spawn(look_for_room(Rc::clone(&store), Rc::clone(&has_no_room)));
                }
                is_first
            };
            let hangs = |wait: Duration| {
                let seconds = wait.as_secs();
                if close() {
                    warn!(seconds = seconds; "the store hangs; nothing new is taken");
                }
            };
            let admitted = telling_if_slow(store.admit(admission), hangs).await;
            drop(under_way);
            if let Err(StoreError::NoSpace { .. }) = &admitted {
                close();
            }
            let admitted = admitted?;
            if let Some(withdraw) = withdraw {
                // What the publisher does not hear now it finds in the store when it starts.
                actix_rt::spawn(async move { withdraw.send(Withdraw).await });
            }
            let new = taken.into_iter().zip(&admitted);
            let new: Vec<(Arc<Request>, Publishing, Admitted)> = new
                .filter(|(_, admitted)| matches!(admitted.outcome, Outcome::New | Outcome::Edited))
                .map(|((request, publish), admitted)| {
                    (revising(request, admitted), publish, admitted.clone())
                })
                .collect();
            if !new.is_empty() {
                own.do_send(TakenIn(new));
            }
            let edits = admitted.iter().filter(|it| it.revises.is_some());
            let edits: Vec<Admitted> = edits.cloned().collect();
            if !edits.is_empty() || !gone.is_empty() {
                actix_rt::spawn(find_outdated(store, own, edits, gone));
            }
            Ok(admitted)
        })
    }
}

impl TaskManagerActor {
    fn request(&mut self, submission: Submission, at: Timestamp) -> NewRequest {
        let fingerprint = fingerprint(&submission);
        let request = Request {
            id: self.mint.next(at, self.chance.next()),
            origin: submission.origin,
            text: submission.text,
            source: submission.source,
            flow: submission.flow,
            class: submission.class,
            context: submission.context,
            url: submission.url,
            author: submission.author,
            attached: submission.attached,
            revises: None,
            accepted_at: at,
            deadline: submission.deadline.map(|deadline| at.plus(deadline)),
        };
        NewRequest {
            request: Arc::new(request),
            targets: submission.targets,
            revised: submission.revised,
            publish: submission.publish,
            fingerprint,
        }
    }

    /// Asks again for all texts that callers wait for; what is in a call comes by itself.
    pub(super) fn ask_for_callers_again(&mut self) {
        let callers: Vec<Arc<NowCall>> = {
            let mut book = self.book.lock();
            book.callers.retain(|_, call| !call.is_over());
            book.callers.values().map(Arc::clone).collect()
        };
        for call in callers {
            let missing = call.missing();
            let works = missing.into_iter().map(|index| self.work_of(&call, index));
            let works = works.collect();
            self.look_up(works);
        }
    }

    pub(super) fn work_of(&mut self, call: &Arc<NowCall>, index: usize) -> Work {
        let id = self.mint.next(self.clock.wall(), self.chance.next());
        Work::of_caller(self.store.token(), call, index, id.task(1))
    }

    /// Lets a caller in, unless too many wait already.
    fn let_in(&self, call: &Arc<NowCall>) -> Result<Seat, NowError> {
        let number = self.store.token();
        let mut book = self.book.lock();
        if book.callers.len() >= CALLERS {
            book.callers.retain(|_, call| !call.is_over());
        }
        if book.callers.len() >= CALLERS {
            return Err(NowError::Busy);
        }
        book.callers.insert(number, Arc::clone(call));
        drop(book);
        Ok(Seat {
            book: self.book.clone(),
            number,
        })
    }
}

/// The request as the store took it in.
fn revising(mut request: Arc<Request>, admitted: &Admitted) -> Arc<Request> {
    if admitted.revises.is_some() {
        Arc::make_mut(&mut request).revises = admitted.revises;
    }
    request
}

/// A hash of all that makes two requests with one key, or two sights of a post, the same.
fn fingerprint(submission: &Submission) -> [u8; 16] {
    match &submission.origin {
        Origin::Client { key: Some(_) } => fingerprint_of_request(submission),
        Origin::Client { key: None } => [0; 16],
        Origin::Post { .. } => fingerprint_of_post(submission),
    }
}

/// A hash of what people see of a post. Where its media lie is no part of it, since many servers
/// write that anew at each sight.
fn fingerprint_of_post(submission: &Submission) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(submission.text.trim());
    let attached = submission.attached.as_ref();
    let n_media = attached.map_or(0, |attached| attached.media.len() as u64);
    hash.update(n_media.to_le_bytes());
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&hash.finalize()[..16]);
    // Never all zeros, which say that nothing is known.
    fingerprint[0] |= 1;
    fingerprint
}

fn fingerprint_of_request(submission: &Submission) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut part = |part: Option<&str>| {
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        hash.update(length.to_le_bytes());
        hash.update(part.unwrap_or_default());
    };
    part(Some(&submission.text));
    part(submission.source.as_ref().map(|source| source.as_str()));
    part(submission.context.as_deref());
    for target in &submission.targets {
        part(Some(target.as_str()));
    }
    let deadline = submission
        .deadline
        .map_or(0, |deadline| deadline.as_millis());
    hash.update(deadline.to_le_bytes());
    hash.update([submission.class as u8, u8::from(submission.publish)]);
    let digest = hash.finalize();
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&digest[..16]);
    fingerprint
}

/// Looks again and again whether the store takes anything in, until it does.
async fn look_for_room(store: Rc<dyn TaskStore>, has_no_room: Rc<Cell<bool>>) {
    let looking = async || {
        failpoints::hit("task_manager.look_for_room");
        store.admit(Admission::default()).await
    };
    while let Err(error) = unless_panicked(looking()).await {
        let (StoreRemedy::Retry(wait) | StoreRemedy::Person(wait)) = error.remedy();
        tokio::time::sleep(wait).await;
    }
    has_no_room.set(false);
}

impl Handler<TakenIn> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, TakenIn(taken): TakenIn, context: &mut Context<Self>) {
        failpoints::hit("task_manager.taken_in");
        let mut records = Vec::with_capacity(taken.len());
        for (request, publish, admitted) in taken {
            for (id, target, _) in admitted.tasks {
                let at = request.accepted_at;
                let mut lifecycle = Lifecycle::submitted(at);
                lifecycle
                    .step(Step::Enqueue, at)
                    .expect("a task that is Submitted may become Queued");
                self.peers.events.tell(|| Event::Task {
                    id,
                    state: lifecycle.state(),
                    at,
                    why: None,
                });
                records.push(TaskRecord {
                    task: Task {
                        id,
                        request: Arc::clone(&request),
                        target,
                    },
                    publish,
                    lifecycle,
                    token: 0,
                    deaths: 0,
                    ended: None,
                });
            }
        }
        self.admit(records);
        self.refill();
        self.dispatch(context);
        self.flush_soon(context);
    }
}

impl Handler<TranslateNow> for TaskManagerActor {
    type Result = WhileAwaited<Result<Vec<Translation>, NowError>>;

    fn handle(&mut self, now: TranslateNow, _: &mut Context<Self>) -> Self::Result {
        failpoints::hit("task_manager.translate_now");
        if self.intake != Intake::Open {
            return WhileAwaited::new(std::future::ready(Err(NowError::Busy)));
        }
        let pair = Pair {
            source: now.source,
            target: now.target,
        };
        let edition = &self.config.edition;
        let keyed = match now.texts {
            AskedTexts::Keyed(keyed) => keyed,
            AskedTexts::Plain(texts) => texts.iter().map(|it| edition.keyed(it, &pair)).collect(),
        };
        let keyed = keyed.into_iter().map(|it| (it.text, it.key));
        let (texts, keys): (Vec<_>, Vec<_>) = keyed.unzip();
        let due = self.clock.wall().plus(now.deadline);
        let (reply, answer) = oneshot::channel();
        let call = NowCall::new(texts, keys, pair, (now.class, now.flow), due, reply);
        let seat = match self.let_in(&call) {
            Ok(seat) => seat,
            Err(error) => return WhileAwaited::new(std::future::ready(Err(error))),
        };
        let (lookup, own) = (self.peers.lookup.clone(), self.own.clone());
        let deadline = now.deadline;
        // Sent at once, so that the cache has its turn before what waits for its answer.
        let mut looking = lookup.send(Lookup(call.keys.clone()));
        WhileAwaited::new(async move {
            // As long as this goes on, the texts are wanted.
            let _seat = seat;
            let asking = async {
                let found = loop {
                    if let Ok(found) = looking.await {
                        break found;
                    }
                    // The cache fell over this message; it is back after its backoff.
                    tokio::time::sleep(RETRY).await;
                    looking = lookup.send(Lookup(call.keys.clone()));
                };
                own.do_send(Called { call, found });
                answer.await.unwrap_or(Err(NowError::Busy))
            };
            let answer = tokio::time::timeout(deadline, asking).await;
            answer.unwrap_or(Err(NowError::Expired))
        })
    }
}

impl Handler<Called> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, Called { call, found }: Called, context: &mut Context<Self>) {
        failpoints::hit("task_manager.called");
        for (index, found) in found.into_iter().enumerate() {
            let work = self.work_of(&call, index);
            if let Some(made) = self.passes_by(&work) {
                let translation = super::lookup::as_it_is(&work);
                self.complete(work, &translation, made);
            } else {
                self.settle_found(work, found);
            }
        }
        self.dispatch(context);
        self.flush_soon(context);
    }
}

impl Handler<Drain> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) {
        if self.intake == Intake::Open {
            self.set_intake(Intake::Draining);
        }
    }
}

impl Handler<OpenIntake> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, _: OpenIntake, _: &mut Context<Self>) {
        if self.intake == Intake::Draining {
            self.set_intake(Intake::Open);
        }
    }
}
