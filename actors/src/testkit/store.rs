//! A store in memory that can withhold its sync, refuse, and lose what was not yet durable.

mod jobs;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;

use crate::domain::{
    Correction, Lane, Language, Origin, OutletName, PublicationId, PublicationState, Request,
    RequestId, SourceName, State, Task, TaskId, Timestamp, Unit,
};
use crate::logic::lifecycle::{Lifecycle, Step};
use crate::ports::{
    Admission, Admitted, BatchJob, Bucket, Cursor, Errand, Kept, Known, KnownKey, NewRequest,
    Outcome, Position, PublicationChange, PublicationRecord, QuotaEntry, QuotaLedger, StoreError,
    Tally, TaskChange, TaskRecord, TaskStore, Token, TranslationMemory,
};

/// A [`TaskStore`], [`TranslationMemory`] and [`QuotaLedger`] in memory; clones share it.
///
/// Unless it is told otherwise, a write is durable and answered at once.
#[derive(Clone)]
pub struct MemoryStore(Rc<RefCell<World>>);

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::boot(Committed::default())
    }

    /// Withholds the sync: from now on no write is durable or answered until [`Self::release`].
    pub fn withhold(&self) {
        self.0.borrow_mut().is_withholding = true;
    }

    /// Makes what was withheld durable, in the order of the calls, and answers it.
    pub fn release(&self) {
        let mut world = self.0.borrow_mut();
        world.is_withholding = false;
        while let Some(write) = world.withheld.pop_front() {
            write(&mut world.committed);
        }
    }

    /// How many writes are withheld.
    pub fn n_withheld(&self) -> usize {
        self.0.borrow().withheld.len()
    }

    /// Refuses all that is taken in with this error, as a full queue would; none ends it.
    pub fn refuse_intake(&self, error: Option<StoreError>) {
        self.0.borrow_mut().intake_refusal = error;
    }

    /// Refuses every write with this error, as a full disk would; none ends it.
    pub fn refuse_writes(&self, error: Option<StoreError>) {
        self.0.borrow_mut().write_refusal = error;
    }

    /// Refuses every read with this error; none ends it.
    pub fn refuse_reads(&self, error: Option<StoreError>) {
        self.0.borrow_mut().read_refusal = error;
    }

    /// Makes every answer of a read take so long; it says what was so when it was asked for.
    pub fn delay_reads(&self, delay: Duration) {
        self.0.borrow_mut().read_delay = delay;
    }

    /// How many reads were asked for.
    pub fn n_reads(&self) -> usize {
        self.0.borrow().n_reads
    }

    /// What a process finds that starts after this one died now: all that is durable.
    ///
    /// What was withheld is lost; whoever waits for it is told that the store is gone.
    pub fn crash(&self) -> Self {
        let mut world = self.0.borrow_mut();
        world.withheld.clear();
        let gone = Some(gone());
        world.read_refusal = gone.clone();
        world.write_refusal = gone;
        Self::boot(world.committed.clone())
    }

    /// Forgets tasks that ended before a time, at most `limit`, with their publications;
    /// their identities are kept. Answers how many.
    ///
    /// # Errors
    /// When nothing was forgotten.
    pub fn prune(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<usize, StoreError>> {
        self.write(move |committed| committed.prune(before, limit))
    }

    fn boot(mut committed: Committed) -> Self {
        committed.epoch += 1;
        let last_token = committed.epoch << 32;
        Self(Rc::new(RefCell::new(World {
            committed,
            last_token,
            is_withholding: false,
            withheld: VecDeque::new(),
            intake_refusal: None,
            write_refusal: None,
            read_refusal: None,
            read_delay: Duration::ZERO,
            n_reads: 0,
        })))
    }

    fn write<A: 'static>(
        &self,
        change: impl FnOnce(&mut Committed) -> A + 'static,
    ) -> LocalBoxFuture<'_, Result<A, StoreError>> {
        let mut world = self.0.borrow_mut();
        if let Some(error) = world.write_refusal.clone() {
            return async { Err(error) }.boxed_local();
        }
        let (reply, answer) = oneshot::channel();
        let write: Withheld = Box::new(move |committed| {
            // Whoever dropped the future does not want to know.
            let _ = reply.send(change(committed));
        });
        if world.is_withholding {
            world.withheld.push_back(write);
        } else {
            write(&mut world.committed);
        }
        async { answer.await.map_err(|_| gone()) }.boxed_local()
    }

    fn read<A: 'static>(
        &self,
        read: impl FnOnce(&Committed) -> A,
    ) -> LocalBoxFuture<'_, Result<A, StoreError>> {
        let mut world = self.0.borrow_mut();
        world.n_reads += 1;
        let outcome = match world.read_refusal.clone() {
            Some(error) => Err(error),
            None => Ok(read(&world.committed)),
        };
        let delay = world.read_delay;
        async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            outcome
        }
        .boxed_local()
    }
}

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
        limit: usize,
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
            ready.truncate(limit);
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

impl TranslationMemory for MemoryStore {
    fn load(&self, limit: usize) -> LocalBoxFuture<'_, Result<Vec<Known>, StoreError>> {
        self.read(|committed| {
            let mut known: Vec<Known> = committed.known.values().cloned().collect();
            known.sort_by_key(|known| (std::cmp::Reverse(known.at), known.key));
            known.truncate(limit);
            known
        })
    }

    fn save(
        &self,
        known: Vec<Known>,
        forgotten: Vec<KnownKey>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(move |committed| {
            committed
                .known
                .extend(known.into_iter().map(|known| (known.key, known)));
            committed.known.retain(|key, _| !forgotten.contains(key));
        })
    }

    fn clear(&self) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(|committed| committed.known.clear())
    }
}

impl QuotaLedger for MemoryStore {
    fn entries(&self, since: Timestamp) -> LocalBoxFuture<'_, Result<Vec<QuotaEntry>, StoreError>> {
        self.read(|committed| {
            let entries = committed.quota.iter();
            entries
                .filter(|((.., slot), _)| *slot >= since)
                .map(|((lane, unit, slot), amount)| QuotaEntry {
                    lane: lane.clone(),
                    unit: *unit,
                    slot: *slot,
                    amount: *amount,
                })
                .collect()
        })
    }

    fn enter(
        &self,
        entries: Vec<QuotaEntry>,
        before: Timestamp,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(move |committed| {
            let entries = entries.into_iter();
            let entries = entries.map(|entry| ((entry.lane, entry.unit, entry.slot), entry.amount));
            committed.quota.extend(entries);
            let is_kept = |slot: Timestamp, amount: f64| slot >= before && amount > 0.0;
            committed
                .quota
                .retain(|(.., slot), amount| is_kept(*slot, *amount));
        })
    }
}

type Withheld = Box<dyn FnOnce(&mut Committed)>;

struct World {
    committed: Committed,
    last_token: Token,
    is_withholding: bool,
    withheld: VecDeque<Withheld>,
    intake_refusal: Option<StoreError>,
    write_refusal: Option<StoreError>,
    read_refusal: Option<StoreError>,
    read_delay: Duration,
    n_reads: usize,
}

/// All that is durable.
#[derive(Clone, Default)]
struct Committed {
    epoch: u64,
    tasks: BTreeMap<TaskId, TaskRecord>,
    publications: BTreeMap<PublicationId, PublicationRecord>,
    cursors: HashMap<SourceName, Cursor>,
    identities: HashMap<Identity, Option<(RequestId, [u8; 16])>>,
    withdrawn: BTreeSet<RequestId>,
    corrections: Vec<Correction>,
    known: BTreeMap<KnownKey, Known>,
    quota: BTreeMap<(Lane, Unit, Timestamp), f64>,
    jobs: BTreeMap<Token, BatchJob>,
    /// Ended tasks that were forgotten: Completed, Failed.
    n_pruned: (u64, u64),
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Identity {
    Post(SourceName, Arc<str>),
    Key(Arc<str>),
}

impl Committed {
    fn admit(&mut self, admission: Admission) -> Vec<Admitted> {
        let admitted = admission.requests.iter();
        let admitted = admitted.map(|new| self.admit_one(new)).collect();
        for (source, post) in admission.seen {
            let identity = Identity::Post(source, post);
            self.identities.entry(identity).or_insert(None);
        }
        for (source, post) in admission.gone {
            let taken = self.identities.get(&Identity::Post(source, post));
            let request = taken.copied().flatten().map(|(id, _)| id);
            self.withdrawn.extend(request);
        }
        self.cursors.extend(admission.cursor);
        admitted
    }

    fn admit_one(&mut self, new: &NewRequest) -> Admitted {
        let request = &new.request;
        let identity = match &request.origin {
            Origin::Post { source, post } => Some(Identity::Post(source.clone(), post.clone())),
            Origin::Client { key } => key.clone().map(Identity::Key),
        };
        if let Some(identity) = identity {
            let taken = Some((request.id, new.fingerprint));
            match self.identities.get(&identity).copied() {
                None => {
                    self.identities.insert(identity, taken);
                }
                Some(Some((earlier, print))) if is_edit(&identity, new, print) => {
                    self.identities.insert(identity, taken);
                    return self.insert_revision(new, earlier);
                }
                Some(earlier) => return self.known_request(new, &identity, earlier),
            }
        }
        self.insert_tasks(&new.request, &new.targets, new.publish)
    }

    fn insert_revision(&mut self, new: &NewRequest, earlier: RequestId) -> Admitted {
        let mut request = Request::clone(&new.request);
        request.revises = Some(earlier);
        Admitted {
            outcome: Outcome::Edited,
            revises: Some(earlier),
            ..self.insert_tasks(&Arc::new(request), &new.revised, new.publish)
        }
    }

    fn known_request(
        &self,
        new: &NewRequest,
        identity: &Identity,
        earlier: Option<(RequestId, [u8; 16])>,
    ) -> Admitted {
        let is_post = matches!(identity, Identity::Post(..));
        let is_same = is_post || earlier.is_some_and(|(_, print)| print == new.fingerprint);
        let tasks = earlier.into_iter().flat_map(|(id, _)| self.tasks_of(id));
        Admitted {
            outcome: if is_same {
                Outcome::Same
            } else {
                Outcome::Conflict
            },
            id: earlier.map_or(new.request.id, |(id, _)| id),
            revises: None,
            tasks: tasks
                .map(|record| {
                    let target = record.task.target.clone();
                    (record.task.id, target, record.lifecycle.state())
                })
                .collect(),
        }
    }

    fn insert_tasks(
        &mut self,
        request: &Arc<Request>,
        targets: &[Language],
        publish: bool,
    ) -> Admitted {
        let mut lifecycle = Lifecycle::submitted(request.accepted_at);
        lifecycle
            .step(Step::Enqueue, request.accepted_at)
            .expect("what was submitted can be queued, by the table of states");
        let mut tasks = Vec::with_capacity(targets.len());
        for (number, target) in (1..=u8::MAX).zip(targets) {
            let id = request.id.task(number);
            let task = Task {
                id,
                request: Arc::clone(request),
                target: target.clone(),
            };
            let record = TaskRecord {
                task,
                publish,
                lifecycle: lifecycle.clone(),
                token: 0,
                deaths: 0,
                ended: None,
            };
            self.tasks.insert(id, record);
            tasks.push((id, target.clone(), State::Queued));
        }
        Admitted {
            outcome: Outcome::New,
            id: request.id,
            revises: None,
            tasks,
        }
    }

    fn record(&mut self, change: TaskChange) -> Kept {
        let Some(record) = self.tasks.get_mut(&change.id) else {
            return Kept::Ghost;
        };
        let is_open = match record.lifecycle.state() {
            State::Completed => false,
            State::Failed => is_retry(&change.lifecycle),
            _ => true,
        };
        if record.token != change.held || !is_open {
            return Kept::Ghost;
        }
        let at = change.lifecycle.since();
        record.token = change.token;
        record.deaths = change.deaths;
        record.lifecycle = change.lifecycle;
        record.ended = change.ended;
        for (publication, state, why) in change.publications {
            let planned = PublicationRecord {
                publication: Arc::clone(&publication),
                state,
                token: 0,
                attempts: 0,
                frozen: None,
                errand: Errand::Publish,
                at,
                why,
            };
            self.publications.entry(publication.id).or_insert(planned);
        }
        Kept::Yes
    }

    fn publish(&mut self, change: PublicationChange) -> Kept {
        match self.publications.get_mut(&change.after.publication.id) {
            Some(record) if record.token == change.held => {
                *record = change.after;
                Kept::Yes
            }
            _ => Kept::Ghost,
        }
    }

    fn publish_together(&mut self, changes: Vec<PublicationChange>) -> Kept {
        let is_held = |change: &PublicationChange| {
            let record = self.publications.get(&change.after.publication.id);
            record.is_some_and(|record| record.token == change.held)
        };
        if !changes.iter().all(is_held) {
            return Kept::Ghost;
        }
        for change in changes {
            self.publish(change);
        }
        Kept::Yes
    }

    fn prune(&mut self, before: Timestamp, limit: usize) -> usize {
        let ended = self.tasks.values().filter(|record| {
            record.lifecycle.state().is_final()
                && record.lifecycle.since() < before
                && self.publications_of(record.task.id).all(is_over)
        });
        let prunable: Vec<TaskId> = ended.map(|record| record.task.id).take(limit).collect();
        for id in &prunable {
            self.publications
                .retain(|publication, _| publication.task() != *id);
            let pruned = self.tasks.remove(id);
            match pruned.map(|record| record.lifecycle.state()) {
                Some(State::Completed) => self.n_pruned.0 += 1,
                _ => self.n_pruned.1 += 1,
            }
        }
        prunable.len()
    }

    fn tally(&self) -> Tally {
        let tasks = |state| self.tasks_in(state).count() as u64;
        let publications = |states: &[PublicationState]| {
            let records = self.publications.values();
            records
                .filter(|record| states.contains(&record.state))
                .count() as u64
        };
        Tally {
            queued: tasks(State::Queued),
            processing: tasks(State::Processing),
            completed: tasks(State::Completed) + self.n_pruned.0,
            failed: tasks(State::Failed) + self.n_pruned.1,
            publishing: publications(&[PublicationState::Planned, PublicationState::Sending]),
            unknown: publications(&[PublicationState::Unknown]),
            held: publications(&[PublicationState::Held]),
        }
    }

    fn tasks_in(&self, state: State) -> impl Iterator<Item = &TaskRecord> {
        let tasks = self.tasks.values();
        tasks.filter(move |record| record.lifecycle.state() == state)
    }

    fn tasks_of(&self, id: RequestId) -> impl Iterator<Item = &TaskRecord> {
        let tasks = self.tasks.range(id.task(1)..=id.task(u8::MAX));
        tasks.map(|(_, record)| record)
    }

    fn publications_of(&self, id: TaskId) -> impl Iterator<Item = &PublicationRecord> {
        let range = id.publication(1)..=id.publication(u8::MAX);
        self.publications.range(range).map(|(_, record)| record)
    }
}

/// Whether a post is shown again with another text that is wanted.
fn is_edit(identity: &Identity, new: &NewRequest, earlier: [u8; 16]) -> bool {
    matches!(identity, Identity::Post(..))
        && !new.revised.is_empty()
        && ![new.fingerprint, [0; 16]].contains(&earlier)
}

fn bucket_of(task: &Task) -> Bucket {
    Bucket {
        class: task.request.class,
        flow: task.request.flow.clone(),
        pair: task.pair(),
    }
}

fn is_retry(lifecycle: &Lifecycle) -> bool {
    let last = lifecycle.history().last();
    lifecycle.state() == State::Queued
        && last.is_some_and(|last| last.why.as_deref() == Some("retried"))
}

/// Whether a publication can be forgotten.
const fn is_over(record: &PublicationRecord) -> bool {
    matches!(
        record.state,
        PublicationState::Published | PublicationState::Refused | PublicationState::Deleted
    )
}

fn gone() -> StoreError {
    StoreError::Failed {
        detail: "the store is gone".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn cursor(store: &MemoryStore) -> Option<Cursor> {
        let read = store.cursor("news".into()).now_or_never();
        read.expect("reads are answered at once").expect("a read")
    }

    fn admission(mark: u8) -> Admission {
        Admission {
            cursor: Some(("news".into(), Cursor(vec![mark]))),
            ..Admission::default()
        }
    }

    #[test]
    fn a_withheld_write_is_neither_seen_nor_answered_until_it_is_released() {
        let store = MemoryStore::new();
        store.withhold();
        let mut write = store.admit(admission(1));
        assert!((&mut write).now_or_never().is_none());
        assert_eq!((cursor(&store), store.n_withheld()), (None, 1));

        store.release();

        assert_eq!(write.now_or_never(), Some(Ok(Vec::new())));
        assert_eq!(cursor(&store), Some(Cursor(vec![1])));
    }

    #[test]
    fn a_crash_keeps_what_was_answered_and_nothing_else() {
        let store = MemoryStore::new();
        let token = store.token();
        let answered = store.admit(admission(1)).now_or_never();
        assert_eq!(answered, Some(Ok(Vec::new())));
        store.withhold();
        let lost = store.admit(admission(2));

        let next = store.crash();

        assert_eq!(lost.now_or_never(), Some(Err(gone())));
        assert_eq!(cursor(&next), Some(Cursor(vec![1])));
        assert!(next.token() > token);
        let late = store.admit(admission(3)).now_or_never();
        assert_eq!(late, Some(Err(gone())));
    }

    #[test]
    fn a_full_queue_refuses_intake_and_lets_work_end() {
        let store = MemoryStore::new();
        let full = StoreError::Full {
            wait: Duration::from_secs(1),
        };
        store.refuse_intake(Some(full.clone()));
        let refused = store.admit(admission(1)).now_or_never();
        assert_eq!(refused, Some(Err(full)));
        let pruned = store.prune(Timestamp::default(), 1).now_or_never();
        assert_eq!(pruned, Some(Ok(0)));
    }
}
