//! What of the store in memory is durable, and how each write changes it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::domain::{
    Correction, Lane, Language, Origin, OutletName, PublicationId, PublicationState, Request,
    RequestId, SourceName, State, Task, TaskId, Timestamp, Unit,
};
use crate::logic::lifecycle::{Lifecycle, Step};
use crate::ports::{
    Admission, Admitted, BatchJob, Cursor, Errand, Kept, Known, KnownKey, LearnedLimits,
    NewRequest, Outcome, PublicationChange, PublicationRecord, Tally, TaskChange, TaskRecord,
    Token,
};

/// All that is durable.
#[derive(Clone, Default)]
pub(super) struct Committed {
    pub(super) epoch: u64,
    pub(super) tasks: BTreeMap<TaskId, TaskRecord>,
    pub(super) publications: BTreeMap<PublicationId, PublicationRecord>,
    pub(super) cursors: HashMap<SourceName, Cursor>,
    pub(super) identities: HashMap<Identity, Option<(RequestId, [u8; 16])>>,
    pub(super) gone: HashSet<Identity>,
    pub(super) published: HashSet<(OutletName, Arc<str>)>,
    pub(super) withdrawn: BTreeSet<RequestId>,
    /// The sources of which what came during a pause was passed over.
    pub(super) skipped: Vec<SourceName>,
    pub(super) corrections: Vec<Correction>,
    pub(super) known: BTreeMap<KnownKey, Known>,
    pub(super) quota: BTreeMap<(Lane, Unit, Timestamp), f64>,
    pub(super) learned: BTreeMap<Lane, LearnedLimits>,
    pub(super) jobs: BTreeMap<Token, BatchJob>,
    /// Ended tasks that were forgotten: Completed, Failed.
    n_pruned: (u64, u64),
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    Post(SourceName, Arc<str>),
    Key(Arc<str>),
}

impl Committed {
    pub(super) fn admit(&mut self, admission: Admission) -> Vec<Admitted> {
        let admitted = admission.requests.iter();
        let admitted = admitted.map(|new| self.admit_one(new)).collect();
        for (source, post) in admission.seen {
            let identity = Identity::Post(source, post);
            self.identities.entry(identity).or_insert(None);
        }
        for (source, post) in admission.gone {
            let identity = Identity::Post(source, post);
            let taken = self.identities.get(&identity);
            if let Some((request, _)) = taken.copied().flatten() {
                self.withdrawn.insert(request);
                self.gone.insert(identity);
            }
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
                None if new.targets.is_empty() && matches!(identity, Identity::Post(..)) => {
                    self.identities.insert(identity.clone(), None);
                    return self.known_request(new, &identity, None);
                }
                None => {
                    self.identities.insert(identity, taken);
                }
                Some(Some((earlier, print))) if is_edit(&identity, new, print) => {
                    let revised = self.still_known(earlier, &new.revised);
                    if revised.is_empty() {
                        let known = Some((earlier, new.fingerprint));
                        self.identities.insert(identity.clone(), known);
                        return self.known_request(new, &identity, known);
                    }
                    self.gone.remove(&identity);
                    self.identities.insert(identity, taken);
                    return self.insert_revision(new, &revised, earlier);
                }
                Some(earlier) => return self.known_request(new, &identity, earlier),
            }
        }
        self.insert_tasks(&new.request, &new.targets, new.publish)
    }

    /// Those of the languages in which a request, or one that it revises, has a task.
    fn still_known(&self, newest: RequestId, languages: &[Language]) -> Vec<Language> {
        let mut known = Vec::new();
        let mut next = Some(newest);
        while let Some(id) = next {
            known.extend(self.tasks_of(id).map(|record| record.task.target.clone()));
            let first = self.tasks_of(id).next();
            next = first.and_then(|record| record.task.request.revises);
        }
        let known = languages.iter().filter(|it| known.contains(it));
        known.cloned().collect()
    }

    fn insert_revision(
        &mut self,
        new: &NewRequest,
        revised: &[Language],
        earlier: RequestId,
    ) -> Admitted {
        let mut request = Request::clone(&new.request);
        request.revises = Some(earlier);
        Admitted {
            outcome: Outcome::Edited,
            revises: Some(earlier),
            ..self.insert_tasks(&Arc::new(request), revised, new.publish)
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

    pub(super) fn record(&mut self, change: TaskChange) -> Kept {
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
                is_decided: false,
                at,
                why,
            };
            self.publications.entry(publication.id).or_insert(planned);
        }
        Kept::Yes
    }

    pub(super) fn publish(&mut self, change: PublicationChange) -> Kept {
        match self.publications.get_mut(&change.after.publication.id) {
            Some(record) if record.token == change.held => {
                let publication = &change.after.publication;
                let parts = publication.parts.iter().filter(|it| it.url.is_some());
                let ids = parts.filter_map(|part| part.id.clone());
                let published = ids.map(|id| (publication.outlet.clone(), id));
                self.published.extend(published);
                *record = change.after;
                Kept::Yes
            }
            _ => Kept::Ghost,
        }
    }

    pub(super) fn publish_together(&mut self, changes: Vec<PublicationChange>) -> Kept {
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

    pub(super) fn prune(&mut self, before: Timestamp, limit: usize) -> usize {
        let ended = self.tasks.values().filter(|record| {
            record.lifecycle.state().is_final()
                && record.lifecycle.since() < before
                && self
                    .publications_of(record.task.id)
                    .all(|it| it.state.is_over())
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

    pub(super) fn tally(&self) -> Tally {
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

    pub(super) fn tasks_in(&self, state: State) -> impl Iterator<Item = &TaskRecord> {
        let tasks = self.tasks.values();
        tasks.filter(move |record| record.lifecycle.state() == state)
    }

    pub(super) fn tasks_of(&self, id: RequestId) -> impl Iterator<Item = &TaskRecord> {
        let tasks = self.tasks.range(id.task(1)..=id.task(u8::MAX));
        tasks.map(|(_, record)| record)
    }

    pub(super) fn publications_of(&self, id: TaskId) -> impl Iterator<Item = &PublicationRecord> {
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

fn is_retry(lifecycle: &Lifecycle) -> bool {
    let last = lifecycle.history().last();
    lifecycle.state() == State::Queued
        && last.is_some_and(|last| last.why.as_deref() == Some("retried"))
}
