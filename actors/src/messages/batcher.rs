//! What the batcher hears.

use std::sync::Arc;

use actix::Message;

use crate::domain::{Pair, TaskId, Translation};
use crate::logic::answers::Broken;
use crate::logic::estimate::Charged;
use crate::logic::spans::Protected;
use crate::ports::{BatchJob, KnownKey, ProviderError, Token};

/// Has a job made; the task manager says it. Answered when nothing more comes of the job, which
/// may take days; none when the system ends before.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<JobEnd>")]
pub struct RunJob(pub JobOrder);

/// A job to be made.
#[derive(Clone, Debug)]
pub struct JobOrder {
    /// The job, which the store keeps.
    pub job: Arc<BatchJob>,
    /// Whether nobody can have created it before, so that it need not be looked for.
    pub is_new: bool,
    /// Its calls.
    pub calls: Arc<[JobCall]>,
}

impl JobOrder {
    /// The most that it is expected to cost, in US dollars.
    pub fn usd(&self) -> f64 {
        self.calls.iter().map(|call| call.usd).sum()
    }
}

/// One call of a job.
#[derive(Clone, Debug)]
pub struct JobCall {
    /// What its answer is matched by.
    pub key: Arc<str>,
    /// From what into what.
    pub pair: Pair,
    /// The texts; never empty.
    pub texts: Vec<JobText>,
    /// The most tokens of its answer; none lets the adapter estimate them.
    pub max_tokens: Option<u32>,
    /// The most that it is expected to cost, in US dollars.
    pub usd: f64,
}

/// One text of a job.
#[derive(Clone, Debug)]
pub struct JobText {
    /// What it is matched by inside its call.
    pub id: Arc<str>,
    /// Whose it is.
    pub task: TaskId,
    /// The text with its protected spans.
    pub text: Arc<Protected>,
    /// What it belongs to.
    pub context: Option<Arc<str>>,
    /// What its translation is known by.
    pub known_by: KnownKey,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum JobEnd {
    /// Nothing more comes of it.
    Over(Brought),
    /// It was never made, because there was no money for it for days; a job of another size may
    /// cost less than there will be.
    NoMoney,
    /// It was never made, and the provider takes none like it for now.
    NotMade(ProviderError),
}

/// What a job brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Brought {
    /// What came of each text.
    pub texts: Vec<TextEnd>,
    /// What its calls were charged, each with the tasks whose texts it had.
    pub charged: Vec<(Vec<TaskId>, Charged)>,
}

/// What came of one text of a job: its translation, with placeholders, or why there is none.
pub type TextEnd = (TaskId, Result<Arc<Translation>, NotBrought>);

/// Why a job brought no translation of a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBrought {
    /// Its answer needs more room.
    #[error("{}", Broken::Cut)]
    Cut,
    /// Its call was answered, and its text is not provably there or lacks a protected span: the call
    /// may have had too many texts.
    #[error("{0}")]
    Broken(Arc<str>),
    /// Anything else.
    #[error("{0}")]
    Because(Arc<str>),
}

/// Nobody wants what a job brings any more; the task manager says it. Its end comes soon.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct AbandonJob(pub Token);

/// Forgets a job whose texts have ended, here and at the provider; the task manager says it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct CloseJob(pub Arc<BatchJob>);
