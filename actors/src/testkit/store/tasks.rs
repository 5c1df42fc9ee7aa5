//! How the store in memory keeps tasks and their publications.

use std::ops::Bound;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::MemoryStore;
use super::committed::{Committed, Identity};
use crate::domain::{
    Correction, OutletName, PublicationId, PublicationState, RequestId, SourceName, State, Task,
    TaskId,
};
use crate::ports::{
    Admission, Admitted, Bucket, Cursor, Kept, OpenAtOutlet, Portion, Position, PublicationChange,
    PublicationRecord, StoreError, Tally, TaskChange, TaskRecord, TaskStore, Token,
};

impl TaskStore for MemoryStore {
    fn admit(&self, admission: Admission) -> LocalBoxFuture<'_, Result<Vec<Admitted>, StoreError>> {
        let refusal = self.0.borrow().intake_refusal.clone();
        match refusal {
            Some(error) => async { Err(error) }.boxed_local(),
            None => self.write(move |committed| committed.admit(admission)),
        }
    }

    fn record(
        &self,
        changes: Arc<[TaskChange]>,
    ) -> LocalBoxFuture<'_, Result<Vec<Kept>, StoreError>> {
        self.write(move |committed| {
            let changes = changes.iter().cloned();
            changes.map(|change| committed.record(change)).collect()
        })
    }

    fn record_publications(
        &self,
        changes: Vec<PublicationChange>,
    ) -> LocalBoxFuture<'_, Result<Vec<Kept>, StoreError>> {
        self.write(move |committed| {
            let changes = changes.into_iter();
            changes.map(|change| committed.publish(change)).collect()
        })
    }

    fn record_together(
        &self,
        changes: Vec<PublicationChange>,
    ) -> LocalBoxFuture<'_, Result<Kept, StoreError>> {
        self.write(move |committed| committed.publish_together(changes))
    }

    fn barrier(&self) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(|_| ())
    }

    fn buckets(&self) -> LocalBoxFuture<'_, Result<Vec<Bucket>, StoreError>> {
        self.read(|committed| {
            let queued = committed.tasks_in(State::Queued);
            let mut buckets: Vec<Bucket> = queued.map(|record| bucket_of(&record.task)).collect();
            buckets.sort_unstable();
            buckets.dedup();
            buckets
        })
    }

    fn ready(
        &self,
        bucket: Bucket,
        after: Option<Position>,
        limit: Portion,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.read(move |committed| {
            let position =
                |record: &TaskRecord| Position::new(record.task.request.deadline, record.task.id);
            let mut ready: Vec<TaskRecord> = committed
                .tasks_in(State::Queued)
                .filter(|record| bucket_of(&record.task) == bucket)
                .filter(|record| after.is_none_or(|after| position(record) > after))
                .cloned()
                .collect();
            ready.sort_unstable_by_key(position);
            let mut read = Portion::default();
            let mut fits = |record: &TaskRecord| {
                let fits = !read.reaches(limit);
                read.add(record.task.request.size());
                fits
            };
            let n_read = ready.iter().take_while(|record| fits(record)).count();
            ready.truncate(n_read);
            ready
        })
    }

    fn claimed(
        &self,
        after: Option<TaskId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.tasks(Some(State::Processing), after, limit)
    }

    fn task(&self, id: TaskId) -> LocalBoxFuture<'_, Result<Option<TaskRecord>, StoreError>> {
        self.read(|committed| committed.tasks.get(&id).cloned())
    }

    fn tasks_with(
        &self,
        ids: Vec<TaskId>,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.read(move |committed| {
            let known = ids.iter().filter_map(|id| committed.tasks.get(id));
            known.cloned().collect()
        })
    }

    fn queued_of(
        &self,
        requests: Vec<RequestId>,
        posts: Vec<(SourceName, Arc<str>)>,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.read(|committed| {
            let identities = posts.into_iter();
            let identities = identities.map(|(source, post)| Identity::Post(source, post));
            let taken = identities.filter_map(|it| committed.identities.get(&it).copied()?);
            let requests = requests.into_iter().chain(taken.map(|(id, _)| id));
            let tasks = requests.flat_map(|id| committed.tasks_of(id));
            let queued = tasks.filter(|it| it.lifecycle.state() == State::Queued);
            queued.cloned().collect()
        })
    }

    fn request(&self, id: RequestId) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.read(|committed| committed.tasks_of(id).cloned().collect())
    }

    fn tasks(
        &self,
        state: Option<State>,
        after: Option<TaskId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.read(|committed| {
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            let behind = committed.tasks.range((start, Bound::Unbounded));
            behind
                .map(|(_, record)| record)
                .filter(|record| state.is_none_or(|state| record.lifecycle.state() == state))
                .take(limit)
                .cloned()
                .collect()
        })
    }

    fn publications_of(
        &self,
        task: TaskId,
    ) -> LocalBoxFuture<'_, Result<Vec<PublicationRecord>, StoreError>> {
        self.read(|committed| committed.publications_of(task).cloned().collect())
    }

    fn publication(
        &self,
        id: PublicationId,
    ) -> LocalBoxFuture<'_, Result<Option<PublicationRecord>, StoreError>> {
        self.read(|committed| committed.publications.get(&id).cloned())
    }

    fn publications_in(
        &self,
        outlet: OutletName,
        state: PublicationState,
        after: Option<PublicationId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<PublicationRecord>, StoreError>> {
        self.read(move |committed| {
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            let behind = committed.publications.range((start, Bound::Unbounded));
            behind
                .map(|(_, record)| record)
                .filter(|record| record.publication.outlet == outlet && record.state == state)
                .take(limit)
                .cloned()
                .collect()
        })
    }

    fn open_by_outlet(&self) -> LocalBoxFuture<'_, Result<Vec<OpenAtOutlet>, StoreError>> {
        self.read(|committed| {
            let mut open: Vec<OpenAtOutlet> = Vec::new();
            let records = committed.publications.values();
            for record in records.filter(|record| !record.state.is_over()) {
                let (outlet, state) = (&record.publication.outlet, record.state);
                match open.iter_mut().find(|it| (&it.0, it.1) == (outlet, state)) {
                    Some((.., n)) => *n += 1,
                    None => open.push((outlet.clone(), state, 1)),
                }
            }
            open
        })
    }

    fn n_queued(&self, buckets: Vec<Bucket>) -> LocalBoxFuture<'_, Result<u64, StoreError>> {
        self.read(move |committed| {
            let queued = committed.tasks_in(State::Queued);
            let there = queued.filter(|record| buckets.contains(&bucket_of(&record.task)));
            there.count() as u64
        })
    }

    fn request_of_post(
        &self,
        source: SourceName,
        post: Arc<str>,
    ) -> LocalBoxFuture<'_, Result<Option<RequestId>, StoreError>> {
        self.read(|committed| {
            let taken = committed.identities.get(&Identity::Post(source, post));
            taken.copied().flatten().map(|(id, _)| id)
        })
    }

    fn is_gone(
        &self,
        source: SourceName,
        post: Arc<str>,
    ) -> LocalBoxFuture<'_, Result<bool, StoreError>> {
        self.read(|committed| committed.gone.contains(&Identity::Post(source, post)))
    }

    fn published_among(
        &self,
        outlets: Vec<OutletName>,
        ids: Vec<Arc<str>>,
    ) -> LocalBoxFuture<'_, Result<Vec<Arc<str>>, StoreError>> {
        self.read(move |committed| {
            let is_published = |id: &Arc<str>| {
                let mut outlets = outlets.iter().cloned();
                outlets.any(|outlet| committed.published.contains(&(outlet, Arc::clone(id))))
            };
            ids.into_iter().filter(is_published).collect()
        })
    }

    fn withdrawn(
        &self,
        after: Option<RequestId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<RequestId>, StoreError>> {
        self.read(|committed| {
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            let behind = committed.withdrawn.range((start, Bound::Unbounded));
            behind.take(limit).copied().collect()
        })
    }

    fn forget_withdrawn(
        &self,
        requests: Vec<RequestId>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(move |committed| {
            for request in requests {
                committed.withdrawn.remove(&request);
            }
        })
    }

    fn note_skipped(&self, source: SourceName) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(move |committed| committed.skipped.push(source))
    }

    fn keep_corrections(
        &self,
        corrections: Vec<Correction>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(move |committed| {
            for correction in corrections {
                if !committed.corrections.contains(&correction) {
                    committed.corrections.push(correction);
                }
            }
        })
    }

    fn corrections(&self, limit: usize) -> LocalBoxFuture<'_, Result<Vec<Correction>, StoreError>> {
        self.read(|committed| {
            let all = &committed.corrections;
            all[all.len().saturating_sub(limit)..].to_vec()
        })
    }

    fn tally(&self) -> LocalBoxFuture<'_, Result<Tally, StoreError>> {
        self.read(Committed::tally)
    }

    fn cursor(&self, source: SourceName) -> LocalBoxFuture<'_, Result<Option<Cursor>, StoreError>> {
        self.read(move |committed| committed.cursors.get(&source).cloned())
    }

    fn token(&self) -> Token {
        let mut world = self.0.borrow_mut();
        world.last_token += 1;
        world.last_token
    }
}

fn bucket_of(task: &Task) -> Bucket {
    Bucket {
        class: task.request.class,
        flow: task.request.flow.clone(),
        pair: task.pair(),
    }
}
