//! Jobs: many calls handed in at once, made within hours and at half the price.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::provider::{Answer, Pack, ProviderError};
use super::store::{Kept, StoreError, TaskChange, Token};
use crate::domain::{ProviderName, TaskId, Timestamp};

/// One call of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchCall {
    /// What its answer is matched by; unique in the job.
    pub key: Arc<str>,
    /// The texts.
    pub pack: Pack,
}

/// The most that a provider takes in one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchBounds {
    /// Calls.
    pub calls: usize,
    /// Bytes of all calls together.
    pub bytes: usize,
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchProgress {
    /// The provider is at it, or has not begun.
    Running,
    /// Nothing more comes of it.
    Over(BatchAnswers),
}

/// What came of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchAnswers {
    /// What came of its calls, in any order; keys may be wrong, missing or doubled.
    pub answers: Vec<(Arc<str>, Result<Answer, ProviderError>)>,
    /// Why calls are missing, where the job as a whole did not end well.
    pub why: Option<Arc<str>>,
    /// Whether calls may have been made, and have to be paid, whose answers are not among these.
    pub may_lack_answers: bool,
}

impl BatchAnswers {
    /// What is left of a job of which it cannot be told what was done.
    pub fn lost(why: &str) -> Self {
        Self {
            answers: Vec::new(),
            why: Some(why.into()),
            may_lack_answers: true,
        }
    }
}

/// A provider's interface for jobs; each method makes one short exchange.
pub trait BatchProvider {
    /// The most that one job may hold.
    fn bounds(&self) -> BatchBounds;

    /// Hands a job in under a mark of ours, and answers the provider's own name for it.
    ///
    /// A second call makes a second job. After [`ProviderError::Transient`] and
    /// [`ProviderError::Unanswered`] the job may exist or come into being; after any other error
    /// it does not.
    ///
    /// # Errors
    /// When the provider did not say that it took the job.
    fn create<'a>(
        &'a self,
        mark: &'a str,
        calls: &'a [BatchCall],
    ) -> LocalBoxFuture<'a, Result<Arc<str>, ProviderError>>;

    /// Finds the job that bears a mark among those created since a time; none if there is none.
    ///
    /// # Errors
    /// When not all of these jobs were seen.
    fn find<'a>(
        &'a self,
        mark: &'a str,
        since: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Option<Arc<str>>, ProviderError>>;

    /// Looks how a job stands, and fetches what came of it once it is over.
    ///
    /// A job that the provider does not know any more is over. A call that was not made, for which
    /// nobody has to pay, has either no answer or [`ProviderError::Transient`].
    ///
    /// # Errors
    /// When that cannot be told now.
    fn look<'a>(
        &'a self,
        remote: &'a str,
    ) -> LocalBoxFuture<'a, Result<BatchProgress, ProviderError>>;

    /// Ends a job that still runs, and deletes what lies at the provider because of it.
    ///
    /// # Errors
    /// When something of it may be left.
    fn discard<'a>(&'a self, remote: &'a str) -> LocalBoxFuture<'a, Result<(), ProviderError>>;
}

/// Money of a lane that was reserved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reserved {
    /// How much, in US dollars.
    pub usd: f64,
    /// When.
    pub at: Timestamp,
}

/// A job as it is kept, from before it is created until its texts have ended.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchJob {
    /// The token that its tasks bear while it has them.
    pub token: Token,
    /// The provider.
    pub provider: ProviderName,
    /// What the job bears at the provider, so that it can be found again.
    pub mark: Arc<str>,
    /// When it was planned.
    pub planned_at: Timestamp,
    /// The provider's own name for it; none until its creation is known.
    pub remote: Option<Arc<str>>,
    /// What was reserved for it; none until its creation is known.
    pub reserved: Option<Reserved>,
    /// The tasks of each call, in the order of their texts.
    pub calls: Vec<Vec<TaskId>>,
}

/// What keeps jobs.
///
/// Writes are durable when they are answered, like those of the tasks.
pub trait BatchStore {
    /// Keeps a new job and claims its tasks, in one commit; says which claims were a ghost's.
    ///
    /// # Errors
    /// When nothing was changed; likewise below.
    fn plan_job(
        &self,
        job: BatchJob,
        claims: Vec<TaskChange>,
    ) -> LocalBoxFuture<'_, Result<Vec<Kept>, StoreError>>;

    /// Notes the provider's own name for a job, and what was reserved for it, where that is known.
    fn note_job(
        &self,
        token: Token,
        remote: Arc<str>,
        reserved: Option<Reserved>,
    ) -> LocalBoxFuture<'_, Result<(), StoreError>>;

    /// Forgets a job.
    fn close_job(&self, token: Token) -> LocalBoxFuture<'_, Result<(), StoreError>>;

    /// The jobs that were not closed, in the order of their tokens.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn jobs(&self) -> LocalBoxFuture<'_, Result<Vec<BatchJob>, StoreError>>;
}
