//! What each write does to the tables, inside a transaction that is open already.

use babelfeed_actors::domain::{
    Language, Origin, OutletName, Publication, PublicationState, Request, RequestId, SourceName,
    State, TaskId, Timestamp,
};
use babelfeed_actors::logic::lifecycle::{Lifecycle, Step};
use babelfeed_actors::ports::{
    Admission, Admitted, Bucket, Errand, Kept, Known, KnownKey, NewRequest, Outcome, Position,
    PublicationChange, PublicationRecord, QuotaChange, Tally, TaskChange, Token,
};
use rusqlite::{Connection, OptionalExtension as _, Statement, params};
use sha2::{Digest as _, Sha256};

use super::fault::Fault;
use super::names::Names;
use super::quotas;
use super::rows;

/// The writer's statements, prepared once, and what it knows of the tables.
pub(super) struct Tables<'c> {
    connection: &'c Connection,
    names: Names<'c>,
    /// How many tasks and publications are in which state, the open transaction included.
    pub(super) tally: Tally,
    insert_identity: Statement<'c>,
    insert_request: Statement<'c>,
    insert_task: Statement<'c>,
    change_task: Statement<'c>,
    insert_publication: Statement<'c>,
    change_publication: Statement<'c>,
    write_tally: Statement<'c>,
    /// Buffers that are filled and bound for each row.
    body: Vec<u8>,
    life: Vec<u8>,
}

impl<'c> Tables<'c> {
    /// Prepares the statements.
    pub(super) fn new(connection: &'c Connection, tally: Tally) -> Result<Self, Fault> {
        Ok(Self {
            connection,
            names: Names::new(connection),
            tally,
            insert_identity: connection
                .prepare("INSERT OR IGNORE INTO identity VALUES (?1, ?2, ?3, NULL)")?,
            insert_request: connection.prepare("INSERT INTO request VALUES (?1, ?2)")?,
            insert_task: connection
                .prepare("INSERT INTO task VALUES (?1, 1, ?2, ?3, 0, 0, ?4, NULL)")?,
            change_task: connection.prepare(
                "UPDATE task SET state = ?4, token = ?5, deaths = ?6, life = ?7, ended = ?8
                WHERE id = ?1 AND token = ?2 AND state = ?3",
            )?,
            insert_publication: connection
                .prepare("INSERT OR IGNORE INTO publication VALUES (?1, ?2, ?3, 0, ?4)")?,
            change_publication: connection.prepare(
                "UPDATE publication SET state = ?4, token = ?5, body = ?6
                WHERE id = ?1 AND token = ?2 AND state = ?3",
            )?,
            write_tally: connection.prepare(
                "UPDATE tally SET queued = ?1, processing = ?2, completed = ?3, failed = ?4,
                publishing = ?5, unknown = ?6, held = ?7",
            )?,
            body: Vec::new(),
            life: Vec::new(),
        })
    }

    /// Forgets what the transaction that was rolled back had made known.
    pub(super) fn forget(&mut self, tally: Tally) {
        self.tally = tally;
        self.names.forget();
    }

    /// Writes down how many tasks and publications are in which state.
    pub(super) fn write_tally(&mut self) -> Result<(), Fault> {
        let tally = self.tally;
        self.write_tally.execute(params![
            tally.queued.cast_signed(),
            tally.processing.cast_signed(),
            tally.completed.cast_signed(),
            tally.failed.cast_signed(),
            tally.publishing.cast_signed(),
            tally.unknown.cast_signed(),
            tally.held.cast_signed(),
        ])?;
        Ok(())
    }

    /// Takes requests in, with what counts as seen and the cursor.
    pub(super) fn admit(&mut self, admission: &Admission) -> Result<Vec<Admitted>, Fault> {
        let admitted = admission.requests.iter();
        let admitted = admitted.map(|new| self.admit_one(new)).collect();
        for (source, post) in &admission.seen {
            self.note_seen(post_hash(source, post))?;
        }
        for (source, post) in &admission.gone {
            let sql = "INSERT OR IGNORE INTO withdrawn
                SELECT request FROM identity WHERE hash = ?1 AND request IS NOT NULL";
            let hash = post_hash(source, post);
            self.connection.prepare_cached(sql)?.execute([hash])?;
            let sql = "UPDATE identity SET gone = 1 WHERE hash = ?1 AND request IS NOT NULL";
            self.connection.prepare_cached(sql)?.execute([hash])?;
        }
        if let Some((source, cursor)) = &admission.cursor {
            let source = self.names.intern(source.as_str())?;
            self.connection
                .prepare_cached("INSERT OR REPLACE INTO cursor VALUES (?1, ?2)")?
                .execute(params![source, cursor.0])?;
        }
        admitted
    }

    /// Changes one task if `held` holds it.
    pub(super) fn record(&mut self, change: &TaskChange, held: Token) -> Result<Kept, Fault> {
        let after = change.lifecycle.state();
        let Some(before) = self.change_task(change, held)? else {
            return Ok(Kept::Ghost);
        };
        let count = task_count(&mut self.tally, before)?;
        *count = count.saturating_sub(1);
        *task_count(&mut self.tally, after)? += 1;
        for (publication, state, why) in &change.publications {
            let record = PublicationRecord {
                publication: publication.clone(),
                state: *state,
                token: 0,
                attempts: 0,
                frozen: None,
                errand: Errand::Publish,
                is_decided: false,
                at: change.lifecycle.since(),
                why: why.clone(),
            };
            self.plan(&record)?;
        }
        Ok(Kept::Yes)
    }

    /// Changes one publication if it is still held.
    pub(super) fn publish(&mut self, change: &PublicationChange) -> Result<Kept, Fault> {
        let after = &change.after;
        self.body.clear();
        rows::put_publication(&mut self.body, after, &mut self.names)?;
        let likely = match after.state {
            PublicationState::Sending => PublicationState::Planned,
            _ => PublicationState::Sending,
        };
        let Some(before) = self.change_publication(change, likely)? else {
            return Ok(Kept::Ghost);
        };
        if let Some(count) = publication_count(&mut self.tally, before) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = publication_count(&mut self.tally, after.state) {
            *count += 1;
        }
        self.note_published(&after.publication)?;
        Ok(Kept::Yes)
    }

    /// Notes the id of the part that came out last, by which a source that reads the same place
    /// knows it as ours; those before it were noted when they did. What people cannot read, like
    /// lines of a file, no such source shows.
    fn note_published(&mut self, publication: &Publication) -> Result<(), Fault> {
        let last = publication.parts.iter().rfind(|part| part.id.is_some());
        let last = last.filter(|part| part.url.is_some());
        if let Some(id) = last.and_then(|part| part.id.as_ref()) {
            self.note_seen(published_hash(&publication.outlet, id))?;
        }
        Ok(())
    }

    /// Changes publications that need each other: all of them, or none.
    pub(super) fn publish_together(
        &mut self,
        changes: &[PublicationChange],
    ) -> Result<Kept, Fault> {
        for change in changes {
            let sql = "SELECT 1 FROM publication WHERE id = ?1 AND token = ?2";
            let (id, held) = (change.after.publication.id, change.held.cast_signed());
            let mut statement = self.connection.prepare_cached(sql)?;
            if !statement.exists(params![id.as_bytes(), held])? {
                return Ok(Kept::Ghost);
            }
        }
        for change in changes {
            self.publish(change)?;
        }
        Ok(Kept::Yes)
    }

    /// Keeps and forgets known translations.
    pub(super) fn save(&mut self, known: &[Known], forgotten: &[KnownKey]) -> Result<(), Fault> {
        for one in known {
            let provider = self.names.intern(one.translation.provider.as_str())?;
            let model = self.names.intern(&one.translation.model)?;
            let at = one.at.as_millis();
            self.connection
                .prepare_cached("INSERT OR REPLACE INTO memory VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![one.key, at, provider, model, one.translation.text])?;
        }
        for key in forgotten {
            self.connection
                .prepare_cached("DELETE FROM memory WHERE key = ?1")?
                .execute([key])?;
        }
        Ok(())
    }

    /// Forgets all known translations.
    pub(super) fn clear(&mut self) -> Result<(), Fault> {
        self.connection.execute("DELETE FROM memory", ())?;
        Ok(())
    }

    /// Writes down the use of quotas and what was learned of them.
    pub(super) fn enter(&mut self, change: &QuotaChange) -> Result<(), Fault> {
        quotas::enter(self.connection, &mut self.names, change)
    }

    /// Forgets tasks that ended before a time and whose publications are final, at most
    /// `limit`, with their publications and the requests that keep no other task.
    pub(super) fn prune(&mut self, before: Timestamp, limit: usize) -> Result<usize, Fault> {
        let prunable = self.prunable(before, limit)?;
        for id in &prunable {
            let (low, high) = publication_range(*id);
            self.connection
                .prepare_cached("DELETE FROM publication WHERE id BETWEEN ?1 AND ?2")?
                .execute(params![low, high])?;
            self.connection
                .prepare_cached("DELETE FROM task WHERE id = ?1")?
                .execute([id.as_bytes()])?;
            self.prune_request(id.request())?;
        }
        Ok(prunable.len())
    }

    /// Forgets that the posts of these requests were deleted.
    pub(super) fn forget_withdrawn(&mut self, requests: &[RequestId]) -> Result<(), Fault> {
        let sql = "DELETE FROM withdrawn WHERE request = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        for request in requests {
            statement.execute([request.as_bytes()])?;
        }
        Ok(())
    }

    /// Writes down which start of the store has handed tokens out.
    pub(super) fn write_epoch(&mut self, epoch: u64) -> Result<(), Fault> {
        self.connection
            .execute("UPDATE meta SET epoch = ?1", [epoch.cast_signed()])?;
        Ok(())
    }

    /// Notes an identity of which nothing is made; answers how many were not known.
    fn note_seen(&mut self, hash: [u8; 16]) -> Result<usize, Fault> {
        let nothing: Option<&[u8]> = None;
        Ok(self
            .insert_identity
            .execute(params![hash, nothing, nothing])?)
    }

    fn admit_one(&mut self, new: &NewRequest) -> Result<Admitted, Fault> {
        let request = &new.request;
        let hash = match &request.origin {
            Origin::Post { source, post } => Some(post_hash(source, post)),
            Origin::Client { key } => key.as_deref().map(key_hash),
        };
        if let Some(hash) = hash {
            let is_post = matches!(request.origin, Origin::Post { .. });
            let only_edits = is_post && new.targets.is_empty();
            let n_new = if only_edits {
                self.note_seen(hash)?
            } else {
                let written = params![hash, request.id.as_bytes(), new.fingerprint];
                self.insert_identity.execute(written)?
            };
            if n_new == 0 || only_edits {
                return self.known_request(hash, new);
            }
        }
        self.insert_tasks(&new.request, &new.targets, new.publish)
    }

    /// Answers for a request whose identity was taken before.
    fn known_request(&mut self, hash: [u8; 16], new: &NewRequest) -> Result<Admitted, Fault> {
        let sql = "SELECT request, fingerprint FROM identity WHERE hash = ?1";
        let (earlier, fingerprint): (Option<[u8; 16]>, Option<[u8; 16]>) = self
            .connection
            .prepare_cached(sql)?
            .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if let (Some(earlier), Some(print)) = (earlier, fingerprint)
            && is_edit(new, print)
        {
            let earlier = RequestId::from_bytes(earlier);
            let revised = self.still_known(earlier, &new.revised)?;
            if !revised.is_empty() {
                return self.insert_revision(hash, new, &revised, earlier);
            }
            let sql = "UPDATE identity SET fingerprint = ?2 WHERE hash = ?1";
            let changed = params![hash, new.fingerprint];
            self.connection.prepare_cached(sql)?.execute(changed)?;
        }
        let id = earlier.map_or(new.request.id, RequestId::from_bytes);
        let is_post = matches!(new.request.origin, Origin::Post { .. });
        let is_same = is_post || fingerprint == Some(new.fingerprint);
        Ok(Admitted {
            outcome: if is_same {
                Outcome::Same
            } else {
                Outcome::Conflict
            },
            id,
            revises: None,
            tasks: match earlier {
                Some(_) => self.tasks_of(id)?,
                None => Vec::new(),
            },
        })
    }

    fn tasks_of(&mut self, id: RequestId) -> Result<Vec<(TaskId, super::Language, State)>, Fault> {
        let sql = "SELECT id, bucket, state FROM task WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let (low, high) = (id.task(1), id.task(u8::MAX));
        let mut found = statement.query(params![low.as_bytes(), high.as_bytes()])?;
        let mut tasks = Vec::new();
        while let Some(row) = found.next()? {
            let bucket = self.names.bucket(row.get(1)?)?;
            let state = rows::state_of(row.get(2)?)?;
            tasks.push((
                TaskId::from_bytes(row.get(0)?),
                bucket.pair.target.clone(),
                state,
            ));
        }
        Ok(tasks)
    }

    /// Those of the languages in which a request, or one that it revises, has a task that is not
    /// forgotten.
    fn still_known(
        &mut self,
        newest: RequestId,
        languages: &[Language],
    ) -> Result<Vec<Language>, Fault> {
        let mut known: Vec<Language> = Vec::new();
        let mut next = Some(newest);
        while let Some(id) = next {
            let sql = "SELECT bucket FROM task WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
            let mut statement = self.connection.prepare_cached(sql)?;
            let (low, high) = (id.task(1), id.task(u8::MAX));
            let found =
                statement.query_map(params![low.as_bytes(), high.as_bytes()], |row| row.get(0))?;
            let mut last = None;
            for bucket in found {
                let bucket = self.names.bucket(bucket?)?;
                known.push(bucket.pair.target.clone());
                last = Some(bucket);
            }
            let is_whole = languages.iter().all(|language| known.contains(language));
            next = match last.filter(|_| !is_whole) {
                Some(bucket) => self.revised_by(id, &bucket)?,
                None => None,
            };
        }
        let known = languages.iter().filter(|it| known.contains(it));
        Ok(known.cloned().collect())
    }

    /// The request that one with tasks in this bucket revises.
    fn revised_by(&mut self, id: RequestId, bucket: &Bucket) -> Result<Option<RequestId>, Fault> {
        let sql = "SELECT body FROM request WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = statement.query([request_key(id)])?;
        let Some(row) = found.next()? else {
            return Ok(None);
        };
        let body = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        let (request, _) = rows::request_of(body, id, bucket, &mut self.names)?;
        Ok(request.revises)
    }

    /// Takes in what a post has become, which is what its identity means from now on.
    fn insert_revision(
        &mut self,
        hash: [u8; 16],
        new: &NewRequest,
        revised: &[Language],
        earlier: RequestId,
    ) -> Result<Admitted, Fault> {
        let sql = "UPDATE identity SET request = ?2, fingerprint = ?3, gone = NULL WHERE hash = ?1";
        let changed = params![hash, new.request.id.as_bytes(), new.fingerprint];
        self.connection.prepare_cached(sql)?.execute(changed)?;
        let mut request = Request::clone(&new.request);
        request.revises = Some(earlier);
        Ok(Admitted {
            outcome: Outcome::Edited,
            revises: Some(earlier),
            ..self.insert_tasks(&request, revised, new.publish)?
        })
    }

    fn insert_tasks(
        &mut self,
        request: &Request,
        targets: &[Language],
        publish: bool,
    ) -> Result<Admitted, Fault> {
        let Some(first) = targets.first() else {
            return Ok(Admitted {
                outcome: Outcome::New,
                id: request.id,
                revises: None,
                tasks: Vec::new(),
            });
        };
        let source = match &request.origin {
            Origin::Post { source, .. } => self.names.intern(source.as_str())?,
            Origin::Client { .. } => 0,
        };
        self.body.clear();
        rows::put_request(&mut self.body, request, u8::from(publish), source);
        self.insert_request
            .execute(params![request_key(request.id), self.body])?;
        self.life.clear();
        rows::put_life(&mut self.life, &queued_at(request.accepted_at));
        let mut bucket = Bucket {
            class: request.class,
            flow: request.flow.clone(),
            pair: super::Pair {
                source: request.source.clone(),
                target: first.clone(),
            },
        };
        let mut tasks = Vec::with_capacity(targets.len());
        for (number, target) in (1..=u8::MAX).zip(targets) {
            let id = request.id.task(number);
            let due = Position::new(request.deadline, id).due.as_millis();
            bucket.pair.target = target.clone();
            let bucket = self.names.intern_bucket(&bucket)?;
            self.insert_task
                .execute(params![id.as_bytes(), bucket, due, self.life])?;
            tasks.push((id, target.clone(), State::Queued));
        }
        self.tally.queued += tasks.len() as u64;
        Ok(Admitted {
            outcome: Outcome::New,
            id: request.id,
            revises: None,
            tasks,
        })
    }

    /// Changes a task's row, and answers in which state it was; none for a ghost.
    ///
    /// The state before is guessed, since looking first would double the cost of every change.
    fn change_task(&mut self, change: &TaskChange, held: Token) -> Result<Option<State>, Fault> {
        self.life.clear();
        rows::put_life(&mut self.life, &change.lifecycle);
        self.body.clear();
        if let Some(ended) = &change.ended {
            rows::put_ended(&mut self.body, ended, &mut self.names)?;
        }
        let likely = match change.lifecycle.state() {
            // What nobody has held yet is in the queue: the claim of a short call is not written.
            _ if held == 0 => State::Queued,
            State::Processing => State::Queued,
            _ => State::Processing,
        };
        if self.update_task(change, held, likely)? {
            return Ok(Some(likely));
        }
        let found: Option<u8> = self
            .connection
            .prepare_cached("SELECT state FROM task WHERE id = ?1 AND token = ?2")?
            .query_row(params![change.id.as_bytes(), held.cast_signed()], |row| {
                row.get(0)
            })
            .optional()?;
        let Some(before) = found.map(rows::state_of).transpose()? else {
            return Ok(None);
        };
        let is_open = !before.is_final() || is_retry(before, &change.lifecycle);
        if is_open && self.update_task(change, held, before)? {
            return Ok(Some(before));
        }
        Ok(None)
    }

    fn update_task(
        &mut self,
        change: &TaskChange,
        held: Token,
        before: State,
    ) -> Result<bool, Fault> {
        let code = |state| rows::state_code(state).ok_or(Fault::Unkept);
        let n_changed = self.change_task.execute(params![
            change.id.as_bytes(),
            held.cast_signed(),
            code(before)?,
            code(change.lifecycle.state())?,
            change.token.cast_signed(),
            change.deaths,
            self.life,
            change.ended.as_ref().map(|_| &self.body),
        ])?;
        Ok(n_changed > 0)
    }

    /// Writes a publication down, if it is new.
    fn plan(&mut self, record: &PublicationRecord) -> Result<(), Fault> {
        self.body.clear();
        rows::put_publication(&mut self.body, record, &mut self.names)?;
        let outlet = self.names.intern(record.publication.outlet.as_str())?;
        let n_new = self.insert_publication.execute(params![
            record.publication.id.as_bytes(),
            rows::publication_code(record.state),
            outlet,
            self.body,
        ])?;
        if let (1, Some(count)) = (n_new, publication_count(&mut self.tally, record.state)) {
            *count += 1;
        }
        Ok(())
    }

    fn change_publication(
        &mut self,
        change: &PublicationChange,
        likely: PublicationState,
    ) -> Result<Option<PublicationState>, Fault> {
        if self.update_publication(change, likely)? {
            return Ok(Some(likely));
        }
        let id = change.after.publication.id;
        let found: Option<u8> = self
            .connection
            .prepare_cached("SELECT state FROM publication WHERE id = ?1 AND token = ?2")?
            .query_row(params![id.as_bytes(), change.held.cast_signed()], |row| {
                row.get(0)
            })
            .optional()?;
        let Some(before) = found.map(rows::publication_state_of).transpose()? else {
            return Ok(None);
        };
        let is_changed = self.update_publication(change, before)?;
        Ok(is_changed.then_some(before))
    }

    fn update_publication(
        &mut self,
        change: &PublicationChange,
        before: PublicationState,
    ) -> Result<bool, Fault> {
        let n_changed = self.change_publication.execute(params![
            change.after.publication.id.as_bytes(),
            change.held.cast_signed(),
            rows::publication_code(before),
            rows::publication_code(change.after.state),
            change.after.token.cast_signed(),
            self.body,
        ])?;
        Ok(n_changed > 0)
    }

    /// The oldest tasks that may be forgotten. None ends before its id's time, so that only
    /// ids before the limit's time are looked at.
    fn prunable(&mut self, before: Timestamp, limit: usize) -> Result<Vec<TaskId>, Fault> {
        let millis = u64::try_from(before.as_millis()).unwrap_or(0);
        let mut horizon = [0; 16];
        horizon[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        let sql = "SELECT id, life FROM task WHERE id < ?1 AND state >= 4 AND NOT EXISTS (
                SELECT 1 FROM publication
                WHERE publication.id BETWEEN task.id AND CAST(substr(task.id, 1, 15) || x'ff' AS BLOB)
                AND (state < 4 OR state = 7))
            ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = statement.query([horizon])?;
        let mut prunable = Vec::new();
        while prunable.len() < limit {
            let Some(row) = found.next()? else { break };
            let life = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            if rows::life_of(life)?.since() < before {
                prunable.push(TaskId::from_bytes(row.get(0)?));
            }
        }
        Ok(prunable)
    }

    fn prune_request(&self, id: RequestId) -> Result<(), Fault> {
        let (low, high) = (id.task(1), id.task(u8::MAX));
        let sql = "DELETE FROM request WHERE id = ?1
            AND NOT EXISTS (SELECT 1 FROM task WHERE task.id BETWEEN ?2 AND ?3)";
        self.connection.prepare_cached(sql)?.execute(params![
            request_key(id),
            low.as_bytes(),
            high.as_bytes()
        ])?;
        Ok(())
    }
}

/// The key under which a request stands: what its tasks' ids begin with.
pub(super) fn request_key(id: RequestId) -> [u8; 14] {
    let mut key = [0; 14];
    key.copy_from_slice(&id.as_bytes()[..14]);
    key
}

/// The least and the greatest id that a publication of a task can have.
pub(super) fn publication_range(id: TaskId) -> ([u8; 16], [u8; 16]) {
    let (low, high) = (id.publication(1), id.publication(u8::MAX));
    (*low.as_bytes(), *high.as_bytes())
}

/// The hash under which a post is known.
pub(super) fn post_hash(source: &SourceName, post: &str) -> [u8; 16] {
    identity_hash(&[b"post", source.as_str().as_bytes(), post.as_bytes()])
}

pub(super) fn published_hash(outlet: &OutletName, id: &str) -> [u8; 16] {
    identity_hash(&[b"published", outlet.as_str().as_bytes(), id.as_bytes()])
}

/// Whether a post is shown again with another text that is wanted.
fn is_edit(new: &NewRequest, earlier: [u8; 16]) -> bool {
    matches!(new.request.origin, Origin::Post { .. })
        && !new.revised.is_empty()
        && ![new.fingerprint, [0; 16]].contains(&earlier)
}

fn key_hash(key: &str) -> [u8; 16] {
    identity_hash(&[b"key", key.as_bytes()])
}

/// A hash of all parts; no two lists of parts hash alike by where one ends.
fn identity_hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut hash = [0; 16];
    hash.copy_from_slice(&hasher.finalize()[..16]);
    hash
}

fn queued_at(at: Timestamp) -> Lifecycle {
    let mut lifecycle = Lifecycle::submitted(at);
    lifecycle
        .step(Step::Enqueue, at)
        .expect("what was submitted can be queued, by the table of states");
    lifecycle
}

/// Whether a person wants a failed task tried again.
fn is_retry(before: State, lifecycle: &Lifecycle) -> bool {
    let why = lifecycle.history().last().and_then(|last| last.why.clone());
    before == State::Failed
        && lifecycle.state() == State::Queued
        && why.as_deref() == Some("retried")
}

fn task_count(tally: &mut Tally, state: State) -> Result<&mut u64, Fault> {
    match state {
        State::Queued => Ok(&mut tally.queued),
        State::Processing => Ok(&mut tally.processing),
        State::Completed => Ok(&mut tally.completed),
        State::Failed => Ok(&mut tally.failed),
        State::Submitted | State::RateLimited => Err(Fault::Unkept),
    }
}

const fn publication_count(tally: &mut Tally, state: PublicationState) -> Option<&mut u64> {
    match state {
        PublicationState::Planned | PublicationState::Sending => Some(&mut tally.publishing),
        PublicationState::Unknown => Some(&mut tally.unknown),
        PublicationState::Held => Some(&mut tally.held),
        PublicationState::Scheduled
        | PublicationState::Published
        | PublicationState::Refused
        | PublicationState::Deleted => None,
    }
}

/// Whether a change only says who holds a task now, so that a later one can stand for it.
pub(super) fn is_bare_claim(change: &TaskChange) -> bool {
    change.lifecycle.state() == State::Processing
        && change.ended.is_none()
        && change.publications.is_empty()
}
