//! Writes changes down: one batch at a time, in order, and again until the store takes it.

use std::cell::Cell;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use log::{error, info, warn};
use tokio::sync::oneshot;

use super::TaskManagerActor;
use super::book::{After, Claim, Outgoing, planned};
use super::plan::Planned;
use super::work::{Subject, Work};
use crate::domain::{Failure, State, TaskId};
use crate::failpoints;
use crate::logic::lifecycle::{Lifecycle, Step};
use crate::logic::outstanding::Line;
use crate::messages::{EndedTasks, Event, Events, Publish};
use crate::ports::{
    Ended, Kept, StoreError, StoreRemedy, TaskChange, TaskRecord, TaskStore, Token,
};
use crate::supervision::{telling_if_slow, unless_panicked};

/// How long a text is in a call until that is written down: what ends sooner is written once.
const CLAIM_AFTER: Duration = Duration::from_millis(10);

/// Time to write what has gathered.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Flush;

/// A batch was written.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Recorded {
    batch: Vec<(TaskId, After)>,
    kept: Vec<Kept>,
    /// Who waited for a change of this batch to be durable.
    waiters: Vec<oneshot::Sender<Result<(), StoreError>>>,
    took: Duration,
}

/// A task stands in the queue of the store, and nowhere in memory.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Stranded(TaskRecord);

impl TaskManagerActor {
    /// The change that makes a task in the store what it is in memory, held by `token` then.
    pub(super) fn change(
        &self,
        record: &mut TaskRecord,
        token: Token,
        publications: Vec<Planned>,
    ) -> TaskChange {
        let held = mem::replace(&mut record.token, token);
        TaskChange {
            id: record.task.id,
            held,
            token,
            deaths: record.deaths,
            lifecycle: record.lifecycle.clone(),
            ended: record.ended.clone(),
            publications,
        }
    }

    /// The change that ends a task, still held by whom it is held.
    pub(super) fn last_change(record: TaskRecord, publications: Vec<Planned>) -> TaskChange {
        TaskChange {
            id: record.task.id,
            held: record.token,
            token: record.token,
            deaths: record.deaths,
            lifecycle: record.lifecycle,
            ended: record.ended,
            publications,
        }
    }

    /// Puts a change into the outbox.
    pub(super) fn push(&self, change: TaskChange, after: After) {
        let outgoing = Outgoing { change, after };
        self.book.lock().outbox.changes.push(outgoing);
    }

    /// Ends a task without a translation.
    pub(super) fn fail(&mut self, mut record: TaskRecord, failure: Failure) {
        let step = Step::Fail(failure.kind);
        if let Err(refusal) = record.lifecycle.step(step, self.clock.wall()) {
            error!(task:% = record.task.id, cause:% = refusal; "a task was not failed");
            return;
        }
        info!(task:% = record.task.id, cause:% = failure; "given up");
        record.ended = Some(Ended::Failed(failure));
        let line = Line::of(&record.task);
        self.push(Self::last_change(record, Vec::new()), After::Ended(line));
    }

    /// Lets what has gathered be written after the mail that is waiting now.
    pub(super) fn flush_soon(&mut self, context: &mut Context<Self>) {
        if !self.state.is_flush_due {
            self.state.is_flush_due = true;
            context.notify(Flush);
        }
    }

    /// The changes that are to be written now: what has gathered, then the claims of what has
    /// been in a call for a while.
    fn gather(&mut self) -> Vec<Outgoing> {
        let now = self.clock.now();
        let shared = self.book.clone();
        let mut book = shared.lock();
        let book = &mut *book;
        let mut batch = mem::take(&mut book.outbox.changes);
        while let Some(Claim { number, since }) = book.outbox.claims.front().copied() {
            if now.since(since) < CLAIM_AFTER {
                break;
            }
            book.outbox.claims.pop_front();
            if let Some(Work {
                subject: Subject::Task(live),
                ..
            }) = book.in_flight.get_mut(&number)
            {
                let change = self.change(&mut live.record, number, Vec::new());
                batch.push(Outgoing {
                    change,
                    after: After::Claimed,
                });
            }
        }
        let ids = batch.iter().map(|outgoing| outgoing.change.id);
        book.outbox.writing = ids.collect();
        book.outbox.is_writing = !batch.is_empty();
        if let Some(next) = book.outbox.claims.front().map(|claim| claim.since) {
            self.ring_by(next.plus(CLAIM_AFTER));
        }
        batch
    }

    /// Tells listeners where a task stands now; an end is told once it is durable.
    pub(super) fn tell(&self, record: &TaskRecord) {
        tell(&self.peers.events, record);
    }

    fn settle(&mut self, id: TaskId, after: After, kept: Kept) {
        if kept == Kept::Ghost {
            warn!(task:% = id; "a change was refused, because the task is held by somebody else");
        }
        match (kept, after) {
            (Kept::Yes, After::Enqueue(record)) => self.admit(vec![*record]),
            (Kept::Yes, After::Requeued) if !self.state.places.contains_key(&id) => {
                self.find_stranded(id);
            }
            _ => (),
        }
    }

    /// Brings a task back that went into the queue shortly before a fall: the restart found it
    /// under way and left it alone, and nobody else knows of it.
    pub(super) fn find_stranded(&self, id: TaskId) {
        let (store, own) = (Rc::clone(&self.store), self.own.clone());
        actix_rt::spawn(async move {
            loop {
                let finding = async {
                    failpoints::hit("task_manager.find");
                    store.task(id).await
                };
                match unless_panicked(finding).await {
                    Ok(Some(record)) => return own.do_send(Stranded(record)),
                    Ok(None) => return,
                    Err(error) => {
                        let (StoreRemedy::Retry(wait) | StoreRemedy::Person(wait)) = error.remedy();
                        tokio::time::sleep(wait).await;
                    }
                }
            }
        });
    }

    /// Hands durable publications to the publisher, with which tasks have ended.
    pub(super) fn hand_over(&self) {
        let (planned, ended) = {
            let outbox = &mut self.book.lock().outbox;
            (mem::take(&mut outbox.planned), mem::take(&mut outbox.ended))
        };
        if planned.is_empty() && ended.is_empty() {
            return;
        }
        let ended = EndedTasks::new(ended, Arc::clone(&self.config.outstanding));
        self.tell_publisher(Publish { planned, ended });
    }

    /// Tells the publisher something, or that it is known now which tasks are under way.
    pub(super) fn tell_publisher(&self, publish: Publish) {
        // What the publisher falls over stands in the store, where its restart finds it.
        let sending = self.peers.publish.send(publish);
        actix_rt::spawn(async move {
            let _ = sending.await;
        });
    }
}

/// Tells listeners which tasks have ended, now that whoever looks finds them so.
fn tell_ends(events: &Events, changes: &[TaskChange], kept: &[Kept]) {
    let changes = changes.iter().zip(kept);
    let ends =
        changes.filter(|(change, kept)| **kept == Kept::Yes && change.lifecycle.state().is_final());
    for (change, _) in ends {
        tell_of(events, change.id, &change.lifecycle);
    }
}

/// The task of a change that ends it, if anything may wait for it.
fn ended((id, after): &(TaskId, After)) -> Option<(Line, TaskId)> {
    match after {
        After::Ended(Some(line)) => Some((line.clone(), *id)),
        _ => None,
    }
}

/// Tells listeners where a task stands now.
pub(super) fn tell(events: &Events, record: &TaskRecord) {
    tell_of(events, record.task.id, &record.lifecycle);
}

fn tell_of(events: &Events, id: TaskId, lifecycle: &Lifecycle) {
    events.tell(|| {
        let last = lifecycle.history().last();
        Event::Task {
            id,
            state: lifecycle.state(),
            at: lifecycle.since(),
            why: last.and_then(|entry| entry.why.clone()),
        }
    });
}

/// Writes a batch down, however often it takes.
async fn write(
    store: &dyn TaskStore,
    changes: &Arc<[TaskChange]>,
    stuck: impl Fn(bool),
) -> Vec<Kept> {
    let is_stuck = Cell::new(false);
    loop {
        let recording = async {
            failpoints::hit("task_manager.call");
            store.record(Arc::clone(changes)).await
        };
        let hangs = |wait: Duration| {
            if !is_stuck.replace(true) {
                let seconds = wait.as_secs();
                warn!(seconds = seconds; "the store hangs; nothing new begins");
                stuck(true);
            }
        };
        match telling_if_slow(unless_panicked(recording), hangs).await {
            Ok(kept) => {
                if is_stuck.get() {
                    info!(changes = changes.len(); "the store writes again");
                    stuck(false);
                }
                return kept;
            }
            Err(error) => {
                if !is_stuck.replace(true) {
                    warn!(cause:% = error; "the store does not write; nothing new begins");
                    stuck(true);
                }
                let (StoreRemedy::Retry(wait) | StoreRemedy::Person(wait)) = error.remedy();
                tokio::time::sleep(wait).await;
            }
        }
    }
}

impl Handler<Flush> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Context<Self>) {
        self.state.is_flush_due = false;
        if self.book.lock().outbox.is_writing {
            return;
        }
        let batch = self.gather();
        if batch.is_empty() {
            self.tell_stoppers();
            return;
        }
        let mut changes = Vec::with_capacity(batch.len());
        let mut afters = Vec::with_capacity(batch.len());
        let mut waiters = Vec::new();
        for Outgoing { change, after } in batch {
            if !self.state.waiters.is_empty() {
                waiters.extend(self.state.waiters.remove(&change.id).into_iter().flatten());
            }
            afters.push((change.id, after));
            changes.push(change);
        }
        let changes: Arc<[TaskChange]> = changes.into();
        let (store, own, book) = (Rc::clone(&self.store), self.own.clone(), self.book.clone());
        let (clock, events) = (Arc::clone(&self.clock), self.peers.events.clone());
        actix_rt::spawn(async move {
            let begun = clock.now();
            let stuck = |is_stuck| book.lock().outbox.is_stuck = is_stuck;
            let kept = write(&*store, &changes, stuck).await;
            {
                let mut book = book.lock();
                let outbox = &mut book.outbox;
                outbox.is_writing = false;
                outbox.writing.clear();
                let kept_changes = changes.iter().zip(&kept);
                let kept_changes = kept_changes.filter(|(_, kept)| **kept == Kept::Yes);
                let planned = kept_changes.flat_map(|(change, _)| planned(&change.publications));
                outbox.planned.extend(planned);
                // Also those that somebody else holds: then nobody here knows when they end.
                outbox.ended.extend(afters.iter().filter_map(ended));
            }
            tell_ends(&events, &changes, &kept);
            own.do_send(Recorded {
                batch: afters,
                kept,
                waiters,
                took: clock.now().since(begun),
            });
        });
    }
}

impl Handler<Recorded> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, recorded: Recorded, context: &mut Context<Self>) {
        failpoints::hit("task_manager.recorded");
        self.record(&self.store_service, "commit", recorded.took);
        for waiter in recorded.waiters {
            // Who has left needs no answer.
            let _ = waiter.send(Ok(()));
        }
        for ((id, after), kept) in recorded.batch.into_iter().zip(recorded.kept) {
            self.settle(id, after, kept);
        }
        self.hand_over();
        self.refill();
        self.dispatch_soon(context);
        self.flush_soon(context);
    }
}

impl Handler<Stranded> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, Stranded(record): Stranded, context: &mut Context<Self>) {
        if record.lifecycle.state() == State::Queued && !self.is_held(record.task.id) {
            self.admit(vec![record]);
            self.refill();
            self.dispatch(context);
            self.flush_soon(context);
        }
    }
}
