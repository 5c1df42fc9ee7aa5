//! The store of one machine: tasks, publications and known translations in one SQLite file.

use std::ffi::OsString;
use std::future::pending;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use babelfeed_actors::domain::{
    Correction, Language, OutletName, Pair, PublicationId, PublicationState, RequestId, SourceName,
    State, TaskId, Timestamp,
};
use babelfeed_actors::ports::{
    Admission, Admitted, BatchJob, BatchStore, Bucket, Cursor, Kept, Known, KnownKey,
    LearnedLimits, OpenAtOutlet, Portion, Position, PublicationChange, PublicationRecord,
    QuotaChange, QuotaEntry, QuotaLedger, Reserved, StoreError, Tally, TaskChange, TaskRecord,
    TaskStore, Token, TranslationMemory,
};
use babelfeed_actors::setup::Pauses;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use log::error;
use tokio::sync::oneshot;

use ballast::Ballast;
use fault::Fault;
use queue::{Ask, Queue, Write};
use reads::{Readers, Reads};
use writer::Shared;

mod ballast;
mod bytes;
mod corrections;
mod fault;
mod jobs;
mod names;
mod pauses;
mod queue;
mod quotas;
mod reads;
mod rows;
mod schema;
mod tables;
mod writer;

/// What a [`SqliteStore`] is told at its birth.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database's file; made if it is not there, its folder is not.
    pub path: PathBuf,
    /// How many rows may wait for the writer; intake may fill half of it.
    pub queue_rows: usize,
    /// How many bytes of the disk are kept back for when it is full; 0 keeps none.
    pub ballast: u64,
    /// How many connections read.
    pub readers: usize,
    /// The most bytes that the database may grow to; none leaves it to the disk.
    pub max_bytes: Option<u64>,
    /// How long writes gather in one commit once the first of them is made; whoever waits for
    /// that one waits no longer because of the others.
    pub commit_time: Duration,
    /// Hears that a thread of the store fell, by its name: nothing more is written or read then.
    pub on_fall: fn(&'static str),
}

impl Config {
    /// The defaults, for a database in that file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            queue_rows: 65_536,
            ballast: 4 * 1_024 * 1_024,
            readers: 1,
            max_bytes: None,
            commit_time: Duration::from_millis(5),
            on_fall: |_| (),
        }
    }
}

/// Tells of a thread that ends by a panic, when it is dropped there.
struct Watched {
    name: &'static str,
    on_fall: fn(&'static str),
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.on_fall)(self.name);
        }
    }
}

/// A handle of the store; clones share it, also across threads.
///
/// The store is closed when the last handle is dropped, which waits for what was handed in.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
    /// Whether this handle and its clones write no more.
    is_over: Arc<AtomicBool>,
}

struct Inner {
    shared: Arc<Shared>,
    readers: Mutex<Option<Arc<Readers>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    newest: Option<Timestamp>,
}

impl SqliteStore {
    /// Opens the store; makes, migrates and checks its database as needed.
    ///
    /// # Errors
    /// When the database cannot be used: no access, damaged, or of a newer version.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let (connection, boot) = schema::open_writer(config)?;
        let (reading, readers_over) = mpsc::channel();
        let (readers, mut threads) = Readers::start(config, &reading)?;
        drop(reading);
        let shared = Arc::new(Shared {
            queue: Queue::new(config.queue_rows),
            tally: Mutex::new(boot.tally),
            tokens: AtomicU64::new(boot.epoch << 32),
        });
        let mut ballast = OsString::from(&config.path);
        ballast.push(".ballast");
        let ballast = Ballast::new(ballast.into(), config.ballast);
        let writer = writer::start(connection, &shared, ballast, config, readers_over)
            .context("cannot start the thread that writes the store")?;
        threads.push(writer);
        let inner = Inner {
            shared,
            readers: Mutex::new(Some(Arc::new(readers))),
            threads: Mutex::new(threads),
            newest: boot.newest,
        };
        Ok(Self {
            inner: Arc::new(inner),
            is_over: Arc::default(),
        })
    }

    /// A handle of the same store for one system, which [`give_up`](Self::give_up) ends alone.
    #[must_use]
    pub fn for_system(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            is_over: Arc::default(),
        }
    }

    /// Makes no more writes of this handle and its clones: from now on they wait for ever.
    ///
    /// What a system still wanted to write when another took its place would be news to that one:
    /// it has read how things stand.
    pub fn give_up(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// When the newest of the tasks that it was opened with was minted, whatever came since.
    pub fn newest_at_opening(&self) -> Option<Timestamp> {
        self.inner.newest
    }

    /// Forgets tasks that ended before a time, at most `limit`, with their publications and
    /// with requests that keep no other task; answers how many.
    ///
    /// Kept are tasks with a publication that is not final, and the identities of all.
    ///
    /// # Errors
    /// When nothing was forgotten.
    pub fn prune(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<usize, StoreError>> {
        self.write((before, limit), Write::Prune)
    }

    /// Keeps what a person paused, in place of what was kept before, for the next start.
    ///
    /// # Errors
    /// When nothing was kept.
    pub fn keep_pauses(&self, pauses: Pauses) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(pauses, Write::Pause)
    }

    /// What a person paused.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn pauses(&self) -> LocalBoxFuture<'_, Result<Pauses, StoreError>> {
        self.read(|reads| reads.pauses())
    }

    /// Closes the store for all handles, once everything handed in was made.
    ///
    /// # Errors
    /// When something handed in before could not be awaited.
    pub async fn close(&self) -> Result<(), StoreError> {
        let barrier = self.barrier();
        self.inner.shared.queue.close();
        let outcome = barrier.await;
        self.inner.end();
        outcome
    }

    fn write<W, A: 'static>(
        &self,
        what: W,
        kind: fn(Ask<W, A>) -> Write,
    ) -> LocalBoxFuture<'_, Result<A, StoreError>> {
        if self.is_over.load(Ordering::Relaxed) {
            return pending().boxed_local();
        }
        let (ask, answer) = Ask::new(what);
        self.inner.shared.queue.push(kind(ask));
        arrival(answer).boxed_local()
    }

    fn read<A: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reads<'_>) -> Result<A, Fault> + Send + 'static,
    ) -> LocalBoxFuture<'_, Result<A, StoreError>> {
        let readers = self.inner.readers.lock();
        let readers = readers.unwrap_or_else(PoisonError::into_inner).clone();
        let asked = match readers {
            Some(readers) => readers.ask(read),
            None => Err(gone()),
        };
        async { arrival(asked?).await }.boxed_local()
    }
}

impl Inner {
    /// Ends the threads; the writer waits for the readers before it closes the database.
    fn end(&self) {
        self.shared.queue.close();
        drop(
            self.readers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                error!(thread = name; "thread of the store panicked");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

impl TaskStore for SqliteStore {
    fn admit(&self, admission: Admission) -> LocalBoxFuture<'_, Result<Vec<Admitted>, StoreError>> {
        self.write(admission, Write::Admit)
    }

    fn record(
        &self,
        changes: Arc<[TaskChange]>,
    ) -> LocalBoxFuture<'_, Result<Vec<Kept>, StoreError>> {
        self.write(changes, Write::Record)
    }

    fn record_publications(
        &self,
        changes: Vec<PublicationChange>,
    ) -> LocalBoxFuture<'_, Result<Vec<Kept>, StoreError>> {
        self.write(changes, Write::Publish)
    }

    fn record_together(
        &self,
        changes: Vec<PublicationChange>,
    ) -> LocalBoxFuture<'_, Result<Kept, StoreError>> {
        self.write(changes, Write::PublishTogether)
    }

    fn barrier(&self) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write((), Write::Barrier)
    }

    fn buckets(&self) -> LocalBoxFuture<'_, Result<Vec<Bucket>, StoreError>> {
        self.read(|reads| reads.buckets())
    }

    fn ready(
        &self,
        bucket: Bucket,
        after: Option<Position>,
        limit: Portion,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.read(move |reads| reads.ready(&bucket, after, limit))
    }

    fn claimed(
        &self,
        after: Option<TaskId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.read(move |reads| reads.claimed(after, limit))
    }

    fn task(&self, id: TaskId) -> LocalBoxFuture<'_, Result<Option<TaskRecord>, StoreError>> {
        self.read(move |reads| reads.task(id))
    }

    fn tasks_with(
        &self,
        ids: Vec<TaskId>,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.read(move |reads| reads.tasks_with(&ids))
    }

    fn queued_of(
        &self,
        requests: Vec<RequestId>,
        posts: Vec<(SourceName, Arc<str>)>,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.read(move |reads| reads.queued_of(requests, &posts))
    }

    fn request(&self, id: RequestId) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.read(move |reads| reads.request(id))
    }

    fn tasks(
        &self,
        state: Option<State>,
        after: Option<TaskId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>> {
        self.read(move |reads| reads.tasks(state, after, limit))
    }

    fn publications_of(
        &self,
        task: TaskId,
    ) -> LocalBoxFuture<'_, Result<Vec<PublicationRecord>, StoreError>> {
        self.read(move |reads| reads.publications_of(task))
    }

    fn publication(
        &self,
        id: PublicationId,
    ) -> LocalBoxFuture<'_, Result<Option<PublicationRecord>, StoreError>> {
        self.read(move |reads| reads.publication(id))
    }

    fn publications_in(
        &self,
        outlet: OutletName,
        state: PublicationState,
        after: Option<PublicationId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<PublicationRecord>, StoreError>> {
        self.read(move |reads| reads.publications_in(&outlet, state, after, limit))
    }

    fn open_by_outlet(&self) -> LocalBoxFuture<'_, Result<Vec<OpenAtOutlet>, StoreError>> {
        self.read(|reads| reads.open_by_outlet())
    }

    fn n_queued(&self, buckets: Vec<Bucket>) -> LocalBoxFuture<'_, Result<u64, StoreError>> {
        self.read(move |reads| reads.n_queued(&buckets))
    }

    fn request_of_post(
        &self,
        source: SourceName,
        post: Arc<str>,
    ) -> LocalBoxFuture<'_, Result<Option<RequestId>, StoreError>> {
        self.read(move |reads| reads.request_of_post(&source, &post))
    }

    fn is_gone(
        &self,
        source: SourceName,
        post: Arc<str>,
    ) -> LocalBoxFuture<'_, Result<bool, StoreError>> {
        self.read(move |reads| reads.is_gone(&source, &post))
    }

    fn published_among(
        &self,
        outlets: Vec<OutletName>,
        ids: Vec<Arc<str>>,
    ) -> LocalBoxFuture<'_, Result<Vec<Arc<str>>, StoreError>> {
        self.read(move |reads| reads.published_among(&outlets, ids))
    }

    fn withdrawn(
        &self,
        after: Option<RequestId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<RequestId>, StoreError>> {
        self.read(move |reads| reads.withdrawn(after, limit))
    }

    fn forget_withdrawn(
        &self,
        requests: Vec<RequestId>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(requests, Write::ForgetWithdrawn)
    }

    fn note_skipped(&self, source: SourceName) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(source, Write::NoteSkipped)
    }

    fn keep_corrections(
        &self,
        corrections: Vec<Correction>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(corrections, Write::Correct)
    }

    fn corrections(&self, limit: usize) -> LocalBoxFuture<'_, Result<Vec<Correction>, StoreError>> {
        self.read(move |reads| reads.corrections(limit))
    }

    fn tally(&self) -> LocalBoxFuture<'_, Result<Tally, StoreError>> {
        let tally = self.inner.shared.tally.lock();
        let tally = *tally.unwrap_or_else(PoisonError::into_inner);
        async move { Ok(tally) }.boxed_local()
    }

    fn cursor(&self, source: SourceName) -> LocalBoxFuture<'_, Result<Option<Cursor>, StoreError>> {
        self.read(move |reads| reads.cursor(&source))
    }

    fn token(&self) -> Token {
        self.inner.shared.tokens.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl BatchStore for SqliteStore {
    fn plan_job(
        &self,
        job: BatchJob,
        claims: Vec<TaskChange>,
    ) -> LocalBoxFuture<'_, Result<Vec<Kept>, StoreError>> {
        self.write((job, claims), Write::PlanJob)
    }

    fn note_job(
        &self,
        token: Token,
        remote: Arc<str>,
        reserved: Option<Reserved>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write((token, remote, reserved), Write::NoteJob)
    }

    fn close_job(&self, token: Token) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(token, Write::CloseJob)
    }

    fn jobs(&self) -> LocalBoxFuture<'_, Result<Vec<BatchJob>, StoreError>> {
        self.read(|reads| reads.jobs())
    }
}

impl TranslationMemory for SqliteStore {
    fn load(&self, limit: usize) -> LocalBoxFuture<'_, Result<Vec<Known>, StoreError>> {
        self.read(move |reads| reads.known(limit))
    }

    fn save(
        &self,
        known: Vec<Known>,
        forgotten: Vec<KnownKey>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write((known, forgotten), Write::Save)
    }

    fn clear(&self) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write((), Write::Clear)
    }
}

impl QuotaLedger for SqliteStore {
    fn entries(&self, since: Timestamp) -> LocalBoxFuture<'_, Result<Vec<QuotaEntry>, StoreError>> {
        self.read(move |reads| reads.quotas(since))
    }

    fn learned(&self) -> LocalBoxFuture<'_, Result<Vec<LearnedLimits>, StoreError>> {
        self.read(|reads| reads.learned())
    }

    fn enter(&self, change: QuotaChange) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        self.write(change, Write::Enter)
    }
}

async fn arrival<A>(answer: oneshot::Receiver<Result<A, StoreError>>) -> Result<A, StoreError> {
    answer.await.unwrap_or_else(|_| Err(gone()))
}

fn gone() -> StoreError {
    StoreError::Failed {
        detail: "the store is closed".into(),
    }
}
