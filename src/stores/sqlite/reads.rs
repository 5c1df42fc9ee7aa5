//! Reading, on threads and connections of its own, so that no read waits for the writer.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use babelfeed_actors::domain::{
    Correction, Language, OutletName, ProviderName, PublicationId, PublicationState, RequestId,
    SourceName, State, Task, TaskId, Timestamp, Translation, Usage,
};
use babelfeed_actors::ports::{
    BatchJob, Bucket, Cursor, Known, LearnedLimits, OpenAtOutlet, Portion, Position,
    PublicationRecord, QuotaEntry, StoreError, TaskRecord,
};
use babelfeed_actors::setup::Pauses;
use log::error;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use tokio::sync::oneshot;

use super::corrections;
use super::fault::Fault;
use super::jobs;
use super::names::Names;
use super::pauses;
use super::quotas;
use super::rows;
use super::schema;
use super::tables::{post_hash, publication_range, published_hash};
use super::{Config, Watched};

/// How many reads may wait.
const QUEUE: usize = 4_096;
/// How many rows a listing without an index looks at in one read transaction; about 20 ms.
const STRETCH: usize = 20_000;
/// Above every id.
const LAST: [u8; 16] = [0xff; 16];

const TASK: &str = "SELECT task.id, task.state, task.bucket, task.token, task.deaths, task.life,
    task.ended, (SELECT body FROM request WHERE request.id = substr(task.id, 1, 14)) FROM task";
const PUBLICATION: &str = "SELECT id, state, outlet, token, body FROM publication";

type Job = Box<dyn FnOnce(&mut Reads<'_>) + Send>;

/// So long the same fault is not told again.
const TOLD: Duration = Duration::from_secs(3_600);

/// The readers' queue.
pub(super) struct Readers {
    jobs: SyncSender<Job>,
    told: Arc<Mutex<Told>>,
}

/// The fault that was told last, and when.
#[derive(Default)]
struct Told(Option<(String, Instant)>);

impl Told {
    /// Says in the log that a read failed, unless that was just told: whoever wants it asks
    /// again and again.
    fn tell(&mut self, fault: &Fault) {
        let cause = fault.to_string();
        let is_known = |(told, at): &(String, Instant)| *told == cause && at.elapsed() < TOLD;
        if !self.0.as_ref().is_some_and(is_known) {
            error!(cause = cause.as_str(); "read failed");
            self.0 = Some((cause, Instant::now()));
        }
    }
}

impl Readers {
    /// Starts so many readers; each holds `reading` until its connection is closed.
    pub(super) fn start(
        config: &Config,
        reading: &Sender<Infallible>,
    ) -> anyhow::Result<(Self, Vec<JoinHandle<()>>)> {
        let (sender, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut threads = Vec::with_capacity(config.readers);
        for number in 1..=config.readers.max(1) {
            let connection = schema::open_reader(&config.path)?;
            let (jobs, reading) = (Arc::clone(&jobs), reading.clone());
            let watched = Watched {
                name: "store-reader",
                on_fall: config.on_fall,
            };
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || {
                    let _watched = watched;
                    serve(&connection, &jobs);
                    drop(connection);
                    drop(reading);
                })
                .context("cannot start a thread that reads the store")?;
            threads.push(thread);
        }
        let readers = Self {
            jobs: sender,
            told: Arc::default(),
        };
        Ok((readers, threads))
    }

    /// Has a reader read, and answers where the result will arrive.
    pub(super) fn ask<A: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reads<'_>) -> Result<A, Fault> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<A, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let told = Arc::clone(&self.told);
        let job: Job = Box::new(move |reads| {
            if reply.is_closed() {
                return;
            }
            let outcome = read(reads).map_err(|fault| {
                told.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .tell(&fault);
                StoreError::from(&fault)
            });
            // Whoever dropped the future does not want to know.
            let _ = reply.send(outcome);
        });
        match self.jobs.try_send(job) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => Err(StoreError::Full {
                wait: Duration::from_millis(100),
            }),
            Err(TrySendError::Disconnected(_)) => Err(StoreError::Failed {
                detail: "the store's readers are gone".into(),
            }),
        }
    }
}

fn serve(connection: &Connection, jobs: &Mutex<Receiver<Job>>) {
    let mut reads = Reads {
        connection,
        names: Names::new(connection),
    };
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(&mut reads),
            Err(_) => return,
        }
    }
}

/// One reader's connection and the names it knows.
pub(super) struct Reads<'c> {
    connection: &'c Connection,
    names: Names<'c>,
}

impl Reads<'_> {
    /// The buckets that hold Queued tasks; jumps from one to the next by the index.
    pub(super) fn buckets(&mut self) -> Result<Vec<Bucket>, Fault> {
        let sql = "SELECT bucket FROM task INDEXED BY task_ready
            WHERE state = 1 AND bucket > ?1 ORDER BY bucket LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut buckets = Vec::new();
        let mut last = 0_i64;
        while let Some(number) = statement.query_row([last], |row| row.get(0)).optional()? {
            last = number;
            buckets.push(self.names.bucket(number)?);
        }
        buckets.sort_unstable();
        Ok(buckets)
    }

    /// The first Queued tasks of a bucket behind a position.
    pub(super) fn ready(
        &mut self,
        bucket: &Bucket,
        after: Option<Position>,
        limit: Portion,
    ) -> Result<Vec<TaskRecord>, Fault> {
        let Some(number) = self.names.bucket_number(bucket)? else {
            return Ok(Vec::new());
        };
        let (due, id) = after.map_or((i64::MIN, [0; 16]), |after| {
            (after.due.as_millis(), *after.id.as_bytes())
        });
        let sql = format!(
            "{TASK} INDEXED BY task_ready
            WHERE state = 1 AND bucket = ?1 AND (due, id) > (?2, ?3) ORDER BY due, id LIMIT ?4"
        );
        let wanted = params![number, due, id, rows::count(limit.tasks)];
        self.first_tasks_by(&sql, wanted, limit)
    }

    /// The tasks that are Processing.
    pub(super) fn claimed(
        &mut self,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, Fault> {
        let sql = format!(
            "{TASK} INDEXED BY task_claimed WHERE state = 2 AND id > ?1 ORDER BY id LIMIT ?2"
        );
        self.tasks_by(&sql, params![task_start(after), rows::count(limit)])
    }

    /// One task.
    pub(super) fn task(&mut self, id: TaskId) -> Result<Option<TaskRecord>, Fault> {
        let sql = format!("{TASK} WHERE id = ?1");
        Ok(self.tasks_by(&sql, [id.as_bytes()])?.pop())
    }

    /// Tasks by their ids, as far as they are known.
    pub(super) fn tasks_with(&mut self, ids: &[TaskId]) -> Result<Vec<TaskRecord>, Fault> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.task(*id)?);
        }
        Ok(found)
    }

    /// The Queued tasks of requests, and of those that posts were taken in as.
    pub(super) fn queued_of(
        &mut self,
        mut requests: Vec<RequestId>,
        posts: &[(SourceName, Arc<str>)],
    ) -> Result<Vec<TaskRecord>, Fault> {
        for (source, post) in posts {
            requests.extend(self.request_of_post(source, post)?);
        }
        let sql = format!("{TASK} WHERE id BETWEEN ?1 AND ?2 AND +state = 1 ORDER BY id");
        let mut queued = Vec::new();
        for id in requests {
            let (low, high) = (id.task(1), id.task(u8::MAX));
            queued.extend(self.tasks_by(&sql, params![low.as_bytes(), high.as_bytes()])?);
        }
        Ok(queued)
    }

    /// The tasks of one request.
    pub(super) fn request(&mut self, id: RequestId) -> Result<Vec<TaskRecord>, Fault> {
        let (low, high) = (id.task(1), id.task(u8::MAX));
        let sql = format!("{TASK} WHERE id BETWEEN ?1 AND ?2 ORDER BY id");
        self.tasks_by(&sql, params![low.as_bytes(), high.as_bytes()])
    }

    /// Tasks in the order of their ids, in one state or in all.
    pub(super) fn tasks(
        &mut self,
        state: Option<State>,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, Fault> {
        let start = task_start(after);
        let Some(state) = state else {
            let sql = format!("{TASK} WHERE id > ?1 ORDER BY id LIMIT ?2");
            return self.tasks_by(&sql, params![start, rows::count(limit)]);
        };
        match (state, rows::state_code(state)) {
            (_, None) => Ok(Vec::new()),
            (State::Processing, _) => self.claimed(after, limit),
            (State::Failed, _) => {
                let sql = format!(
                    "{TASK} INDEXED BY task_failed
                    WHERE state = 5 AND id > ?1 ORDER BY id LIMIT ?2"
                );
                self.tasks_by(&sql, params![start, rows::count(limit)])
            }
            (_, Some(code)) => self.tasks_by_stretches(code, start, limit),
        }
    }

    /// The publications of one task.
    pub(super) fn publications_of(
        &mut self,
        task: TaskId,
    ) -> Result<Vec<PublicationRecord>, Fault> {
        let (low, high) = publication_range(task);
        let sql = format!("{PUBLICATION} WHERE id BETWEEN ?1 AND ?2 ORDER BY id");
        self.publications_by(&sql, params![low, high])
    }

    /// One publication.
    pub(super) fn publication(
        &mut self,
        id: PublicationId,
    ) -> Result<Option<PublicationRecord>, Fault> {
        let sql = format!("{PUBLICATION} WHERE id = ?1");
        Ok(self.publications_by(&sql, [id.as_bytes()])?.pop())
    }

    /// The publications of one outlet in one state.
    pub(super) fn publications_in(
        &mut self,
        outlet: &OutletName,
        state: PublicationState,
        after: Option<PublicationId>,
        limit: usize,
    ) -> Result<Vec<PublicationRecord>, Fault> {
        let Some(outlet) = self.names.number(outlet.as_str())? else {
            return Ok(Vec::new());
        };
        let code = rows::publication_code(state);
        let start = after.map_or([0; 16], |after| *after.as_bytes());
        if rows::is_open(state) {
            let sql = format!(
                "{PUBLICATION} INDEXED BY publication_open WHERE outlet = ?1 AND state = ?2
                AND (+state < 4 OR +state = 7) AND id > ?3 ORDER BY id LIMIT ?4"
            );
            return self.publications_by(&sql, params![outlet, code, start, rows::count(limit)]);
        }
        self.publications_by_stretches(outlet, code, start, limit)
    }

    /// How many publications of each outlet are in each state that is not final.
    pub(super) fn open_by_outlet(&mut self) -> Result<Vec<OpenAtOutlet>, Fault> {
        let sql = "SELECT outlet, state, count(*) FROM publication INDEXED BY publication_open
            WHERE +state < 4 OR +state = 7 GROUP BY outlet, state";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = statement.query(())?;
        let mut open = Vec::new();
        while let Some(row) = found.next()? {
            let outlet = OutletName::from(&*self.names.text(row.get(0)?)?);
            let state = rows::publication_state_of(row.get(1)?)?;
            open.push((outlet, state, row.get::<_, i64>(2)?.cast_unsigned()));
        }
        Ok(open)
    }

    /// How many tasks are Queued in these buckets.
    pub(super) fn n_queued(&mut self, buckets: &[Bucket]) -> Result<u64, Fault> {
        let sql = "SELECT count(*) FROM task WHERE bucket = ?1 AND state = 1";
        let mut n_queued = 0;
        for bucket in buckets {
            let Some(bucket) = self.names.bucket_number(bucket)? else {
                continue;
            };
            let mut statement = self.connection.prepare_cached(sql)?;
            let n: i64 = statement.query_row([bucket], |row| row.get(0))?;
            n_queued += n.cast_unsigned();
        }
        Ok(n_queued)
    }

    /// The request that a post was taken in as.
    pub(super) fn request_of_post(
        &mut self,
        source: &SourceName,
        post: &str,
    ) -> Result<Option<RequestId>, Fault> {
        let sql = "SELECT request FROM identity WHERE hash = ?1";
        let found: Option<Option<[u8; 16]>> = self
            .connection
            .prepare_cached(sql)?
            .query_row([post_hash(source, post)], |row| row.get(0))
            .optional()?;
        Ok(found.flatten().map(RequestId::from_bytes))
    }

    /// Whether a post that was taken in was deleted at its source.
    pub(super) fn is_gone(&mut self, source: &SourceName, post: &str) -> Result<bool, Fault> {
        let sql = "SELECT 1 FROM identity WHERE hash = ?1 AND gone = 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.exists([post_hash(source, post)])?)
    }

    /// Those of these ids under which one of these outlets published something.
    pub(super) fn published_among(
        &mut self,
        outlets: &[OutletName],
        ids: Vec<Arc<str>>,
    ) -> Result<Vec<Arc<str>>, Fault> {
        let sql = "SELECT 1 FROM identity WHERE hash = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut published = Vec::new();
        for id in ids {
            for outlet in outlets {
                if statement.exists([published_hash(outlet, &id)])? {
                    published.push(id);
                    break;
                }
            }
        }
        Ok(published)
    }

    /// Requests whose posts were deleted.
    pub(super) fn withdrawn(
        &mut self,
        after: Option<RequestId>,
        limit: usize,
    ) -> Result<Vec<RequestId>, Fault> {
        let sql = "SELECT request FROM withdrawn WHERE request > ?1 ORDER BY request LIMIT ?2";
        let start = after.map_or([0; 16], |after| *after.as_bytes());
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_map(params![start, rows::count(limit)], |row| {
            row.get(0).map(RequestId::from_bytes)
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// How far a source was read.
    pub(super) fn cursor(&mut self, source: &SourceName) -> Result<Option<Cursor>, Fault> {
        let Some(source) = self.names.number(source.as_str())? else {
            return Ok(None);
        };
        let sql = "SELECT value FROM cursor WHERE source = ?1";
        let found = self
            .connection
            .prepare_cached(sql)?
            .query_row([source], |row| row.get(0))
            .optional()?;
        Ok(found.map(Cursor))
    }

    /// What a person paused.
    pub(super) fn pauses(&self) -> Result<Pauses, Fault> {
        pauses::all(self.connection)
    }

    /// The latest corrections.
    pub(super) fn corrections(&self, limit: usize) -> Result<Vec<Correction>, Fault> {
        corrections::latest(self.connection, limit)
    }

    /// The jobs that were not closed.
    pub(super) fn jobs(&self) -> Result<Vec<BatchJob>, Fault> {
        jobs::all(self.connection)
    }

    /// The latest known translations.
    pub(super) fn known(&mut self, limit: usize) -> Result<Vec<Known>, Fault> {
        let sql = "SELECT key, at, provider, model, text FROM memory
            ORDER BY at DESC, key LIMIT ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = statement.query([rows::count(limit)])?;
        let mut known = Vec::new();
        while let Some(row) = found.next()? {
            known.push(Known {
                key: row.get(0)?,
                at: Timestamp::from_millis(row.get(1)?),
                translation: Arc::new(Translation {
                    text: row.get(4)?,
                    provider: ProviderName::from(&*self.names.text(row.get(2)?)?),
                    model: self.names.text(row.get(3)?)?,
                    cached: false,
                    usage: Usage::default(),
                }),
            });
        }
        Ok(known)
    }

    /// The use of quotas since a time.
    pub(super) fn quotas(&mut self, since: Timestamp) -> Result<Vec<QuotaEntry>, Fault> {
        quotas::entries(self.connection, &mut self.names, since)
    }

    /// What lanes learned of their limits.
    pub(super) fn learned(&mut self) -> Result<Vec<LearnedLimits>, Fault> {
        quotas::learned(self.connection, &mut self.names)
    }

    /// Looks through the tasks of one state that no index lists by id, a stretch at a time.
    fn tasks_by_stretches(
        &mut self,
        code: u8,
        mut start: [u8; 16],
        limit: usize,
    ) -> Result<Vec<TaskRecord>, Fault> {
        let sql = format!("{TASK} WHERE +state = ?1 AND id > ?2 AND id <= ?3 ORDER BY id LIMIT ?4");
        let mut tasks = Vec::new();
        while tasks.len() < limit && start < LAST {
            let end = self.stretch_end("task", start)?;
            let n_wanted = rows::count(limit - tasks.len());
            tasks.append(&mut self.tasks_by(&sql, params![code, start, end, n_wanted])?);
            start = end;
        }
        Ok(tasks)
    }

    fn publications_by_stretches(
        &mut self,
        outlet: i64,
        code: u8,
        mut start: [u8; 16],
        limit: usize,
    ) -> Result<Vec<PublicationRecord>, Fault> {
        let sql = format!(
            "{PUBLICATION} WHERE +outlet = ?1 AND +state = ?2 AND id > ?3 AND id <= ?4
            ORDER BY id LIMIT ?5"
        );
        let mut found = Vec::new();
        while found.len() < limit && start < LAST {
            let end = self.stretch_end("publication", start)?;
            let wanted = params![outlet, code, start, end, rows::count(limit - found.len())];
            found.append(&mut self.publications_by(&sql, wanted)?);
            start = end;
        }
        Ok(found)
    }

    fn stretch_end(&self, table: &str, start: [u8; 16]) -> Result<[u8; 16], Fault> {
        let sql = format!("SELECT id FROM {table} WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2");
        let end = self
            .connection
            .prepare_cached(&sql)?
            .query_row(params![start, rows::count(STRETCH)], |row| row.get(0))
            .optional()?;
        Ok(end.unwrap_or(LAST))
    }

    fn tasks_by(&mut self, sql: &str, wanted: impl Params) -> Result<Vec<TaskRecord>, Fault> {
        self.first_tasks_by(sql, wanted, Portion::of_tasks(usize::MAX))
    }

    fn first_tasks_by(
        &mut self,
        sql: &str,
        wanted: impl Params,
        limit: Portion,
    ) -> Result<Vec<TaskRecord>, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = statement.query(wanted)?;
        let mut tasks: Vec<TaskRecord> = Vec::new();
        let mut read = Portion::default();
        while !read.reaches(limit)
            && let Some(row) = found.next()?
        {
            let task = task_of(row, tasks.last(), &mut self.names)?;
            read.add(task.task.request.size());
            tasks.push(task);
        }
        Ok(tasks)
    }

    fn publications_by(
        &mut self,
        sql: &str,
        wanted: impl Params,
    ) -> Result<Vec<PublicationRecord>, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = statement.query(wanted)?;
        let mut publications = Vec::new();
        while let Some(row) = found.next()? {
            let columns = rows::PublicationColumns {
                id: PublicationId::from_bytes(row.get(0)?),
                state: row.get(1)?,
                outlet: row.get(2)?,
                token: row.get::<_, i64>(3)?.cast_unsigned(),
            };
            let body = row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?;
            publications.push(rows::publication_of(&columns, body, &mut self.names)?);
        }
        Ok(publications)
    }
}

fn task_start(after: Option<TaskId>) -> [u8; 16] {
    after.map_or([0; 16], |after| *after.as_bytes())
}

/// Reads a task; shares the request with the task before it, if it is the same one.
fn task_of(
    row: &Row<'_>,
    before: Option<&TaskRecord>,
    names: &mut Names<'_>,
) -> Result<TaskRecord, Fault> {
    let id = TaskId::from_bytes(row.get(0)?);
    let bucket = names.bucket(row.get(2)?)?;
    let life = row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?;
    let ended = row.get_ref(6)?.as_blob_or_null();
    let (request, publish) = match before {
        Some(before) if before.task.request.id == id.request() => {
            (Arc::clone(&before.task.request), before.publish)
        }
        _ => {
            let body = row.get_ref(7)?.as_blob().map_err(rusqlite::Error::from)?;
            rows::request_of(body, id.request(), &bucket, names)?
        }
    };
    let target: Language = bucket.pair.target;
    let lifecycle = rows::life_of(life)?;
    if Some(row.get(1)?) != rows::state_code(lifecycle.state()) {
        return Err(Fault::Damaged("a history that ends in the task's state"));
    }
    Ok(TaskRecord {
        task: Task {
            id,
            request,
            target,
        },
        publish,
        lifecycle,
        token: row.get::<_, i64>(3)?.cast_unsigned(),
        deaths: row.get(4)?,
        ended: match ended.map_err(rusqlite::Error::from)? {
            Some(ended) => Some(rows::ended_of(ended, names)?),
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    static FALLEN: Mutex<Vec<&str>> = Mutex::new(Vec::new());

    #[test]
    fn a_reader_that_falls_is_told_of_by_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config {
            on_fall: |name| FALLEN.lock().expect("not poisoned").push(name),
            ..Config::new(folder.path().join("babelfeed.db"))
        };
        let (_connection, _boot) = schema::open_writer(&config).expect("a database");
        let (reading, _over) = mpsc::channel();
        let (readers, threads) = Readers::start(&config, &reading).expect("readers");

        let asked = readers.ask(|_| -> Result<(), Fault> { panic!("a defect") });

        asked
            .expect("a reader")
            .blocking_recv()
            .expect_err("no answer");
        for thread in threads {
            thread.join().expect_err("fell");
        }
        assert_eq!(*FALLEN.lock().expect("not poisoned"), ["store-reader"]);
    }
}
