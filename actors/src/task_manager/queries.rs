//! Answers what is known of tasks, and changes single tasks by a person's order.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Context, Handler, ResponseFuture};
use log::error;
use tokio::sync::oneshot;

use super::book::After;
use super::work::{Subject, Work, stand_of};
use super::{Intake, Place, TaskManagerActor};
use crate::domain::{Failure, FailureKind, Origin, State, TaskId};
use crate::logic::lifecycle::{Lifecycle, Step};
use crate::messages::{
    Backlog, Cancel, ChangeError, Closed, Depth, FindRequest, FindTask, FindTasks, List, Listed,
    ProviderView, Providers, Retry, TaskView,
};
use crate::ports::{StoreError, TaskRecord, TaskStore, outdated};

/// The lifecycles of tasks in memory, which are ahead of the store's.
type Ahead = HashMap<TaskId, Lifecycle>;

/// A person's order, with the task as the store has it.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Order {
    id: TaskId,
    kind: OrderKind,
    stored: Option<TaskRecord>,
    reply: oneshot::Sender<Result<(), ChangeError>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OrderKind {
    Cancel,
    Retry,
}

impl TaskManagerActor {
    /// The lifecycle of a task in memory.
    fn lifecycle_of(&self, id: TaskId) -> Option<Lifecycle> {
        let of = |work: &Work| match &work.subject {
            Subject::Task(live) => Some(live.record.lifecycle.clone()),
            Subject::Now { .. } => None,
        };
        match self.state.places.get(&id)? {
            Place::Asking => None,
            Place::Queued(Some(among), spot) => {
                self.state.strays.get(among)?.get(*spot).and_then(of)
            }
            Place::Queued(None, spot) => self.state.queue.get(*spot).and_then(of),
            Place::Following(number) => self.state.following.get(number).and_then(of),
            Place::Delayed(moment, number) => {
                self.state.delayed.get(&(*moment, *number)).and_then(of)
            }
            Place::Gathering(route) => self.state.jobs.gathered(*route, id).and_then(of),
            Place::InJob(token) => self.state.jobs.in_job(*token, id).and_then(of),
            Place::InFlight(number) => self.book.lock().in_flight.get(number).and_then(of),
        }
    }

    fn ahead(&self, ids: impl IntoIterator<Item = TaskId>) -> Ahead {
        ids.into_iter()
            .filter_map(|id| Some((id, self.lifecycle_of(id)?)))
            .collect()
    }

    /// How many tasks in memory wait for a permit.
    fn rate_limited(&self) -> u64 {
        let waits = |work: &Work| match &work.subject {
            Subject::Task(live) => live.record.lifecycle.state() == State::RateLimited,
            Subject::Now { .. } => false,
        };
        let queued = self.state.queue.iter();
        queued.filter(|(.., work)| waits(work)).count() as u64
    }

    fn order(&self, id: TaskId, kind: OrderKind) -> Ordering {
        let (store, own) = (Rc::clone(&self.store), self.own.clone());
        Box::pin(async move {
            let stored = store.task(id).await?;
            if let (OrderKind::Retry, Some(stored)) = (kind, &stored)
                && let Origin::Post { source, post } = &stored.task.request.origin
            {
                let post = (source.clone(), Arc::clone(post));
                let outdated = outdated(&*store, post, (id, &stored.task.target), None);
                outdated.await?.map_or(Ok(()), Err)?;
            }
            let (reply, done) = oneshot::channel();
            own.do_send(Order {
                id,
                kind,
                stored,
                reply,
            });
            done.await.unwrap_or_else(|_| Err(fell()))?;
            view(&*store, id, &Ahead::new())
                .await?
                .ok_or(ChangeError::Unknown)
        })
    }

    /// Ends a task wherever it stands, unless it is final.
    pub(super) fn cancel(
        &mut self,
        id: TaskId,
        stored: TaskRecord,
        failure: Failure,
    ) -> Result<(), ChangeError> {
        if self.state.jobs.is_being_planned(id) {
            return Err(ChangeError::Conflict(State::Processing));
        }
        if let Some(work) = self.remove_from_place(id) {
            self.give_up(work, failure);
            return Ok(());
        }
        let state = stored.lifecycle.state();
        if state.is_final() || self.book.lock().outbox.holds(id) {
            return Err(ChangeError::Conflict(state));
        }
        // On disk alone, or on its way through the cache, which then finds it gone.
        if self.state.places.remove(&id).is_some() {
            let (bucket, position) = stand_of(&stored);
            let bytes = stored.task.request.size();
            self.state.windows.leave(&bucket, position, bytes);
        }
        self.fail(stored, failure);
        Ok(())
    }

    fn retry(&mut self, mut stored: TaskRecord) -> Result<(), ChangeError> {
        let state = stored.lifecycle.state();
        if state != State::Failed {
            return Err(ChangeError::Conflict(state));
        }
        if self.book.lock().outbox.holds(stored.task.id) {
            // Somebody else has retried it already.
            return Err(ChangeError::Conflict(State::Queued));
        }
        if let Err(refusal) = stored.lifecycle.step(Step::Retry, self.clock.wall()) {
            error!(task:% = stored.task.id, cause:% = refusal; "a task was not retried");
            return Err(ChangeError::Conflict(state));
        }
        stored.ended = None;
        stored.deaths = 0;
        self.tell(&stored);
        let change = self.change(&mut stored, 0, Vec::new());
        self.push(change, After::Enqueue(Box::new(stored)));
        Ok(())
    }
}

type Ordering = ResponseFuture<Result<TaskView, ChangeError>>;

fn by_person() -> Failure {
    Failure {
        kind: FailureKind::Cancelled,
        detail: "cancelled by a person".into(),
    }
}

fn fell() -> ChangeError {
    ChangeError::Store(StoreError::Failed {
        detail: "the task manager fell over the order; it may be given again".into(),
    })
}

/// A task with its publications, its lifecycle the one that is ahead.
async fn view(
    store: &dyn TaskStore,
    id: TaskId,
    ahead: &Ahead,
) -> Result<Option<TaskView>, StoreError> {
    let Some(record) = store.task(id).await? else {
        return Ok(None);
    };
    complete_view(store, record, ahead).await.map(Some)
}

async fn complete_view(
    store: &dyn TaskStore,
    mut record: TaskRecord,
    ahead: &Ahead,
) -> Result<TaskView, StoreError> {
    if !record.lifecycle.state().is_final()
        && let Some(lifecycle) = ahead.get(&record.task.id)
    {
        record.lifecycle = lifecycle.clone();
    }
    let publications = if record.publish && record.lifecycle.state() == State::Completed {
        store.publications_of(record.task.id).await?
    } else {
        Vec::new()
    };
    Ok(TaskView {
        record,
        publications,
    })
}

async fn complete_views(
    store: &dyn TaskStore,
    records: Vec<TaskRecord>,
    ahead: &Ahead,
) -> Result<Vec<TaskView>, StoreError> {
    let mut views = Vec::with_capacity(records.len());
    for record in records {
        views.push(complete_view(store, record, ahead).await?);
    }
    Ok(views)
}

impl Handler<FindTask> for TaskManagerActor {
    type Result = ResponseFuture<Result<Option<TaskView>, StoreError>>;

    fn handle(&mut self, FindTask(id): FindTask, _: &mut Context<Self>) -> Self::Result {
        let (store, ahead) = (Rc::clone(&self.store), self.ahead([id]));
        Box::pin(async move { view(&*store, id, &ahead).await })
    }
}

impl Handler<FindTasks> for TaskManagerActor {
    type Result = ResponseFuture<Result<Vec<TaskRecord>, StoreError>>;

    fn handle(&mut self, FindTasks(ids): FindTasks, _: &mut Context<Self>) -> Self::Result {
        let store = Rc::clone(&self.store);
        Box::pin(async move { store.tasks_with(ids).await })
    }
}

impl Handler<FindRequest> for TaskManagerActor {
    type Result = ResponseFuture<Result<Vec<TaskView>, StoreError>>;

    fn handle(&mut self, FindRequest(id): FindRequest, _: &mut Context<Self>) -> Self::Result {
        let range = id.task(0)..=id.task(u8::MAX);
        let ids: Vec<TaskId> = self.state.places.range(range).map(|(id, _)| *id).collect();
        let (store, ahead) = (Rc::clone(&self.store), self.ahead(ids));
        Box::pin(async move {
            let records = store.request(id).await?;
            complete_views(&*store, records, &ahead).await
        })
    }
}

impl Handler<List> for TaskManagerActor {
    type Result = ResponseFuture<Result<Listed, StoreError>>;

    /// States are those of the store, but for tasks in memory, whose states are ahead.
    fn handle(&mut self, list: List, _: &mut Context<Self>) -> Self::Result {
        let ids: Vec<TaskId> = self.state.places.keys().copied().collect();
        let (store, ahead) = (Rc::clone(&self.store), self.ahead(ids));
        Box::pin(async move {
            // What waits for a permit is Queued in the store.
            let stored = match list.state {
                Some(State::RateLimited | State::Submitted) => Some(State::Queued),
                state => state,
            };
            let records = store.tasks(stored, list.after, list.limit).await?;
            let next = records
                .last()
                .filter(|_| records.len() == list.limit)
                .map(|record| record.task.id);
            let mut tasks = complete_views(&*store, records, &ahead).await?;
            if let Some(wanted) = list.state {
                tasks.retain(|view| view.record.lifecycle.state() == wanted);
            }
            Ok(Listed { tasks, next })
        })
    }
}

impl Handler<Cancel> for TaskManagerActor {
    type Result = ResponseFuture<Result<TaskView, ChangeError>>;

    fn handle(&mut self, Cancel(id): Cancel, _: &mut Context<Self>) -> Self::Result {
        self.order(id, OrderKind::Cancel)
    }
}

impl Handler<Retry> for TaskManagerActor {
    type Result = ResponseFuture<Result<TaskView, ChangeError>>;

    fn handle(&mut self, Retry(id): Retry, _: &mut Context<Self>) -> Self::Result {
        self.order(id, OrderKind::Retry)
    }
}

impl Handler<Order> for TaskManagerActor {
    type Result = ();

    fn handle(&mut self, order: Order, context: &mut Context<Self>) {
        let Order {
            id,
            kind,
            stored,
            reply,
        } = order;
        let given = match (stored, kind) {
            (None, _) => Err(ChangeError::Unknown),
            (Some(stored), OrderKind::Cancel) => self.cancel(id, stored, by_person()),
            (Some(stored), OrderKind::Retry) => self.retry(stored),
        };
        if let Err(error) = given {
            // Who has left needs no answer.
            let _ = reply.send(Err(error));
            return;
        }
        let (sender, recorded) = oneshot::channel();
        self.state.waiters.entry(id).or_default().push(sender);
        actix_rt::spawn(async move {
            let recorded = match recorded.await {
                Ok(recorded) => recorded.map_err(ChangeError::Store),
                Err(_) => Err(fell()),
            };
            let _ = reply.send(recorded);
        });
        self.flush_soon(context);
    }
}

impl Handler<Providers> for TaskManagerActor {
    type Result = actix::MessageResult<Providers>;

    fn handle(&mut self, _: Providers, _: &mut Context<Self>) -> Self::Result {
        let routes = self.config.routes.iter().enumerate();
        let views = routes.map(|(route, provider)| ProviderView {
            name: provider.name.clone(),
            figures: self.routing.figures(route),
            hedges: self.state.routes.get(&route).map_or(0, |it| it.hedges),
            hangs: self.state.under_way.hangs(route),
        });
        actix::MessageResult(views.collect())
    }
}

impl Handler<Depth> for TaskManagerActor {
    type Result = ResponseFuture<Result<Backlog, StoreError>>;

    fn handle(&mut self, _: Depth, _: &mut Context<Self>) -> Self::Result {
        let book = self.book.lock();
        let in_flight = book.in_flight.values();
        let in_calls = in_flight.filter(|work| work.task_id().is_some()).count() as u64;
        let processing = in_calls + self.state.jobs.n_tasks() as u64;
        let rate_limited = self.rate_limited();
        let (submitted, outdated) = (self.submitted.get(), self.n_outdated);
        let closed = if self.intake != Intake::Open {
            Some(Closed::Draining)
        } else if self.has_no_room.get() || book.outbox.is_stuck {
            Some(Closed::NoRoom)
        } else {
            None
        };
        let (store, parked) = (Rc::clone(&self.store), self.state.parked.clone());
        Box::pin(async move {
            let tally = store.tally().await?;
            let parked = match parked.is_empty() {
                true => 0,
                false => store.n_queued(parked).await?,
            };
            let unfinished = tally.queued + tally.processing;
            Ok(Backlog {
                submitted,
                queued: unfinished.saturating_sub(processing + rate_limited),
                processing,
                rate_limited,
                parked,
                completed: tally.completed,
                failed: tally.failed,
                outdated,
                publishing: tally.publishing,
                unknown: tally.unknown,
                held: tally.held,
                closed,
            })
        })
    }
}
