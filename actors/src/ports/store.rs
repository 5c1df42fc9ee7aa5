//! What is durable: tasks, publications, cursors, identities, translations known.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use super::batch::BatchStore;
use super::outlet::Published;
use super::source::Cursor;
use crate::domain::{
    Bucket, Correction, Failure, Language, OutletName, Position, Publication, PublicationId,
    PublicationState, Request, RequestId, SourceName, State, Task, TaskId, Timestamp, Translation,
};
use crate::logic::lifecycle::Lifecycle;

/// The fencing token of a claim; 0 is nobody's. Tokens rise, also across restarts.
pub type Token = u64;

/// What is taken in by one commit.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Requests, each with its tasks.
    pub requests: Vec<NewRequest>,
    /// Posts that count as seen although nothing is made of them: (source, id).
    pub seen: Vec<(SourceName, Arc<str>)>,
    /// Posts that were deleted at their sources; those that were taken in are withdrawn.
    pub gone: Vec<(SourceName, Arc<str>)>,
    /// How far a source was read, once all of this is taken.
    pub cursor: Option<(SourceName, Cursor)>,
}

/// A request that wants to be taken in.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// The request, with the id it gets if it is new.
    pub request: Arc<Request>,
    /// The languages wanted, each once, at most 255; task `n` is `request.id.task(n)`, from 1.
    /// None: only an edit is wanted, and a post that was never taken counts as seen.
    pub targets: Vec<Language>,
    /// Whether its translations are published.
    pub publish: bool,
    /// The languages wanted, in the same manner, if its post was taken in before with another
    /// fingerprint: of them those in which a task of it still stands. None: then nothing is made
    /// of it.
    pub revised: Vec<Language>,
    /// A hash of all that makes two requests with one key, or two sights of one post, the same;
    /// zeros where nobody asks.
    pub fingerprint: [u8; 16],
}

/// What became of a [`NewRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Whether it is new.
    pub outcome: Outcome,
    /// The request's id: its own, or that of the earlier one with its post or key.
    pub id: RequestId,
    /// The request that it revises, where its post was edited.
    pub revises: Option<RequestId>,
    /// Its tasks, with their states as they are; empty for a post that only counts as seen.
    pub tasks: Vec<(TaskId, Language, State)>,
}

/// Whether a request is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is, and its tasks are Queued.
    New,
    /// Its post was taken before with another text; it is a request of its own, and its tasks
    /// are Queued.
    Edited,
    /// The same request was taken before, or its post was, and all that was made of that is
    /// forgotten.
    Same,
    /// Another request was taken before with its key; nothing was changed.
    Conflict,
}

/// A task with all that is durable about it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRecord {
    /// The task.
    pub task: Task,
    /// Whether its translation is published.
    pub publish: bool,
    /// Its state, attempts and history.
    pub lifecycle: Lifecycle,
    /// Who holds it; 0 for nobody.
    pub token: Token,
    /// How often the process died while it was in a call.
    pub deaths: u8,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// With a translation.
    Completed(Translation),
    /// Without one.
    Failed(Failure),
}

/// One change of a task; made only if the task is still held by `held`.
#[derive(Clone, Debug)]
pub struct TaskChange {
    /// The task.
    pub id: TaskId,
    /// The token that the task must bear, or the change is refused as a ghost's.
    pub held: Token,
    /// The token that it bears afterwards.
    pub token: Token,
    /// How often the process died while it was in a call, until now.
    pub deaths: u8,
    /// Its state, attempts and history afterwards; its state is Queued, Processing or final.
    pub lifecycle: Lifecycle,
    /// How it ended, when its state is final.
    pub ended: Option<Ended>,
    /// What is planned or held by the same commit: (publication, Planned or Held, why).
    pub publications: Vec<(Arc<Publication>, PublicationState, Option<Arc<str>>)>,
}

/// Whether a fenced write was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was.
    Yes,
    /// It was not: somebody else holds the row now, or it is final.
    Ghost,
}

/// A publication with all that is durable about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationRecord {
    /// The publication.
    pub publication: Arc<Publication>,
    /// Where it stands.
    pub state: PublicationState,
    /// Who holds it; 0 for nobody.
    pub token: Token,
    /// How often it was sent without proof.
    pub attempts: u32,
    /// The part that was frozen last, while its fate is open.
    pub frozen: Option<Fate>,
    /// What its turn is for.
    pub errand: Errand,
    /// Whether it goes out as it is by decision: of a person, who has seen it, or of the rule for
    /// what nobody decides in time.
    pub is_decided: bool,
    /// When the state was entered.
    pub at: Timestamp,
    /// Why, where it is not the ordinary course.
    pub why: Option<Arc<str>>,
}

/// What a publication's turn at its outlet is for, with what is out that it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Errand {
    /// To publish its parts.
    #[default]
    Publish,
    /// To put its parts into the places of what is out of an earlier publication.
    Edit(PublicationId, Vec<Published>),
    /// To take back what is out of an earlier publication, then to publish its parts.
    Repost(PublicationId, Vec<Published>),
    /// To take back its own parts; what is out keeps it where the outlet refused that.
    Delete,
}

/// A frozen part whose fate is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Which part.
    pub part: usize,
    /// The exact bytes that may have left.
    pub bytes: Arc<[u8]>,
    /// The idempotency key.
    pub key: Arc<str>,
    /// Where the outlet stood before.
    pub mark: u64,
    /// When it was frozen.
    pub at: Timestamp,
}

/// One change of a publication; made only if it is still held by `held`.
#[derive(Clone, Debug)]
pub struct PublicationChange {
    /// The token that the publication must bear.
    pub held: Token,
    /// The publication afterwards, as a whole.
    pub after: PublicationRecord,
}

/// How many tasks are in each state that is not final, and how many ever ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks in the queue.
    pub queued: u64,
    /// Tasks that are claimed.
    pub processing: u64,
    /// Tasks Completed.
    pub completed: u64,
    /// Tasks Failed.
    pub failed: u64,
    /// Publications Planned or Sending.
    pub publishing: u64,
    /// Publications Unknown.
    pub unknown: u64,
    /// Publications Held.
    pub held: u64,
}

/// Tasks, with the bytes of their texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// How many tasks.
    pub tasks: usize,
    /// How many bytes, by [`Request::size`].
    pub bytes: usize,
}

impl Portion {
    /// So many tasks, however long they are.
    pub const fn of_tasks(tasks: usize) -> Self {
        Self {
            tasks,
            bytes: usize::MAX,
        }
    }

    /// One more task with a text of so many bytes.
    pub const fn add(&mut self, bytes: usize) {
        self.tasks += 1;
        self.bytes += bytes;
    }

    /// Whether there are as many tasks as the limit says, or as many bytes.
    pub const fn reaches(self, limit: Self) -> bool {
        self.tasks >= limit.tasks || self.bytes >= limit.bytes
    }
}

/// How many publications of an outlet are in a state that is not final.
pub type OpenAtOutlet = (OutletName, PublicationState, u64);

/// What keeps tasks, publications, cursors and identities.
///
/// Writes are durable when they are answered, and are made in the order of their calls.
/// Reads see every write answered before. A write whose future is dropped is made all the same.
pub trait TaskStore: BatchStore {
    /// Takes requests in, all in one commit: each becomes Submitted, then Queued.
    ///
    /// # Errors
    /// When nothing of it was taken; `Full` when the intake's share of the writer is used up.
    fn admit(&self, admission: Admission) -> LocalBoxFuture<'_, Result<Vec<Admitted>, StoreError>>;

    /// Changes tasks, all in one commit, and says which changes were a ghost's.
    ///
    /// # Errors
    /// When no change was made.
    fn record(
        &self,
        changes: Arc<[TaskChange]>,
    ) -> LocalBoxFuture<'_, Result<Vec<Kept>, StoreError>>;

    /// Changes publications, all in one commit, and says which changes were a ghost's.
    ///
    /// # Errors
    /// When no change was made.
    fn record_publications(
        &self,
        changes: Vec<PublicationChange>,
    ) -> LocalBoxFuture<'_, Result<Vec<Kept>, StoreError>>;

    /// Changes publications that need each other: all of them, or none if one is a ghost's.
    ///
    /// # Errors
    /// When no change was made.
    fn record_together(
        &self,
        changes: Vec<PublicationChange>,
    ) -> LocalBoxFuture<'_, Result<Kept, StoreError>>;

    /// Waits until every write called before this has been made or refused.
    ///
    /// # Errors
    /// When the writer is gone.
    fn barrier(&self) -> LocalBoxFuture<'_, Result<(), StoreError>>;

    /// The buckets that hold Queued tasks.
    ///
    /// # Errors
    /// When the store cannot be read; likewise below.
    fn buckets(&self) -> LocalBoxFuture<'_, Result<Vec<Bucket>, StoreError>>;

    /// The first Queued tasks of a bucket behind a position, in their order: as many as the limit
    /// says, the one included whose text reaches its bytes.
    fn ready(
        &self,
        bucket: Bucket,
        after: Option<Position>,
        limit: Portion,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>>;

    /// The tasks that are Processing, from `after` on: at most `limit`, in the order of ids.
    fn claimed(
        &self,
        after: Option<TaskId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>>;

    /// One task.
    fn task(&self, id: TaskId) -> LocalBoxFuture<'_, Result<Option<TaskRecord>, StoreError>>;

    /// Tasks by their ids, in one reading; those that are not known are left out.
    fn tasks_with(
        &self,
        ids: Vec<TaskId>,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>>;

    /// The Queued tasks of these requests, and of those that these posts were taken in as, in one
    /// reading.
    fn queued_of(
        &self,
        requests: Vec<RequestId>,
        posts: Vec<(SourceName, Arc<str>)>,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>>;

    /// The tasks of one request, in the order of their numbers; empty for an unknown one.
    fn request(&self, id: RequestId) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>>;

    /// Tasks in the order of their ids, in one state or in all.
    fn tasks(
        &self,
        state: Option<State>,
        after: Option<TaskId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<TaskRecord>, StoreError>>;

    /// The publications of one task.
    fn publications_of(
        &self,
        task: TaskId,
    ) -> LocalBoxFuture<'_, Result<Vec<PublicationRecord>, StoreError>>;

    /// One publication.
    fn publication(
        &self,
        id: PublicationId,
    ) -> LocalBoxFuture<'_, Result<Option<PublicationRecord>, StoreError>>;

    /// The publications of one outlet in one state, behind `after`, in the order of ids.
    fn publications_in(
        &self,
        outlet: OutletName,
        state: PublicationState,
        after: Option<PublicationId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<PublicationRecord>, StoreError>>;

    /// How many publications of each outlet are in each state that is not final, whether or not the
    /// outlet is there.
    fn open_by_outlet(&self) -> LocalBoxFuture<'_, Result<Vec<OpenAtOutlet>, StoreError>>;

    /// How many tasks are Queued in these buckets.
    fn n_queued(&self, buckets: Vec<Bucket>) -> LocalBoxFuture<'_, Result<u64, StoreError>>;

    /// The request that a post was taken in as, the latest if it was edited; none for a post that
    /// was never taken, or that only counts as seen.
    fn request_of_post(
        &self,
        source: SourceName,
        post: Arc<str>,
    ) -> LocalBoxFuture<'_, Result<Option<RequestId>, StoreError>>;

    /// Whether a post that was taken in was deleted at its source, and not shown otherwise since.
    fn is_gone(
        &self,
        source: SourceName,
        post: Arc<str>,
    ) -> LocalBoxFuture<'_, Result<bool, StoreError>>;

    /// Those of these ids under which one of these outlets published something that people can read
    /// there, be it forgotten since.
    fn published_among(
        &self,
        outlets: Vec<OutletName>,
        ids: Vec<Arc<str>>,
    ) -> LocalBoxFuture<'_, Result<Vec<Arc<str>>, StoreError>>;

    /// Requests whose posts were deleted at their sources, until that is seen to, behind `after`,
    /// in the order of ids.
    fn withdrawn(
        &self,
        after: Option<RequestId>,
        limit: usize,
    ) -> LocalBoxFuture<'_, Result<Vec<RequestId>, StoreError>>;

    /// Notes that it is seen to that the posts of these requests were deleted.
    ///
    /// # Errors
    /// When nothing was noted.
    fn forget_withdrawn(
        &self,
        requests: Vec<RequestId>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>>;

    /// Notes that what came to a source during a pause was passed over, which the next start would
    /// do again otherwise.
    ///
    /// # Errors
    /// When nothing was noted.
    fn note_skipped(&self, source: SourceName) -> LocalBoxFuture<'_, Result<(), StoreError>>;

    /// Keeps what people corrected, each once; of very many the oldest are forgotten.
    ///
    /// # Errors
    /// When nothing was kept.
    fn keep_corrections(
        &self,
        corrections: Vec<Correction>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>>;

    /// The latest corrections that are kept, at most `limit`, the oldest of them first.
    fn corrections(&self, limit: usize) -> LocalBoxFuture<'_, Result<Vec<Correction>, StoreError>>;

    /// How many tasks and publications are in which state.
    fn tally(&self) -> LocalBoxFuture<'_, Result<Tally, StoreError>>;

    /// How far a source was read; none before its first poll.
    fn cursor(&self, source: SourceName) -> LocalBoxFuture<'_, Result<Option<Cursor>, StoreError>>;

    /// A token that no claim ever bore, nor any that this store hands out later.
    fn token(&self) -> Token;
}

/// The key of a known translation: a hash of the normalised text with its protected spans as
/// placeholders, its context, both languages and the version of the prompt.
pub type KnownKey = [u8; 16];

/// A translation that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its key.
    pub key: KnownKey,
    /// The translation, its text with placeholders; `cached` and `usage` say nothing here.
    pub translation: Arc<Translation>,
    /// When it was made.
    pub at: Timestamp,
}

/// What keeps known translations, to survive restarts and to be shared.
pub trait TranslationMemory {
    /// The latest translations, at most `limit`, the newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    fn load(&self, limit: usize) -> LocalBoxFuture<'_, Result<Vec<Known>, StoreError>>;

    /// Keeps and forgets translations.
    ///
    /// # Errors
    /// When nothing was changed.
    fn save(
        &self,
        known: Vec<Known>,
        forgotten: Vec<KnownKey>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>>;

    /// Forgets everything.
    ///
    /// # Errors
    /// When nothing was forgotten.
    fn clear(&self) -> LocalBoxFuture<'_, Result<(), StoreError>>;
}

/// Why the store did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// More is waiting to be written than may wait.
    #[error("the store's writer is busy, expected room again in {} s", wait.as_secs_f32())]
    Full {
        /// When to come back.
        wait: Duration,
    },
    /// There is no room on the disk.
    #[error("no space left for the store: {detail}")]
    NoSpace {
        /// What the system said.
        detail: String,
    },
    /// Anything else that went wrong.
    #[error("the store failed: {detail}")]
    Failed {
        /// What happened.
        detail: String,
    },
}

/// What to do about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreRemedy {
    /// Call again after so long.
    Retry(Duration),
    /// Take no new work, and call again after so long: a person has to make room.
    Person(Duration),
}

impl StoreError {
    /// What to do about it.
    pub const fn remedy(&self) -> StoreRemedy {
        match self {
            Self::Full { wait } => StoreRemedy::Retry(*wait),
            Self::NoSpace { .. } => StoreRemedy::Person(Duration::from_secs(5)),
            Self::Failed { .. } => StoreRemedy::Retry(Duration::from_secs(1)),
        }
    }
}
