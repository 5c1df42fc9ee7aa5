//! What the task manager hears.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;

use crate::domain::{
    Attached, Class, Failure, Flow, Language, Origin, ProviderName, RequestId, SourceName, State,
    TaskId, Translation,
};
use crate::logic::known::Keyed;
use crate::logic::routing::Figures;
use crate::ports::{Admitted, Cursor, Outdated, PublicationRecord, StoreError, TaskRecord};

/// Hands texts in; the monitor and control say it. Answered, in order, when all is durable.
#[derive(Debug, Default, Message)]
#[rtype(result = "Result<Vec<Admitted>, SubmitError>")]
pub struct Submit {
    /// What is to be translated.
    pub submissions: Vec<Submission>,
    /// Posts that count as seen although nothing is made of them.
    pub seen: Vec<(SourceName, Arc<str>)>,
    /// Posts that were deleted at their source.
    pub gone: Vec<(SourceName, Arc<str>)>,
    /// How far the source was read, once this is taken.
    pub cursor: Option<(SourceName, Cursor)>,
}

/// One text to be translated.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Where it comes from.
    pub origin: Origin,
    /// The text.
    pub text: Arc<str>,
    /// Its language, where it is known.
    pub source: Option<Language>,
    /// The languages wanted, each once; one to 255.
    pub targets: Vec<Language>,
    /// The languages wanted of a post that was taken before and has been edited since; none:
    /// then it is passed over.
    pub revised: Vec<Language>,
    /// Who pays for it in fairness.
    pub flow: Flow,
    /// How urgent it is.
    pub class: Class,
    /// Whether the translations are published.
    pub publish: bool,
    /// What the text belongs to.
    pub context: Option<Arc<str>>,
    /// Where people read the original.
    pub url: Option<Arc<str>>,
    /// Who wrote it, where that is known.
    pub author: Option<Arc<str>>,
    /// What hangs on the text, whose words stand behind it, joined by [`Attached::join`].
    pub attached: Option<Arc<Attached>>,
    /// By when it must be Completed, counted from acceptance.
    pub deadline: Option<Duration>,
}

/// Why nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Intake is closed: the service drains or stops.
    #[error("draining: nothing new is taken, expected to open again later")]
    Draining,
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SubmitError {
    /// When it is worth trying again.
    pub const fn retry_after(&self) -> Duration {
        match self {
            Self::Draining => Duration::from_secs(10),
            Self::Store(error) => match error.remedy() {
                crate::ports::StoreRemedy::Retry(wait)
                | crate::ports::StoreRemedy::Person(wait) => wait,
            },
        }
    }
}

/// Translates texts at once, past all bulk work; control says it. All or nothing.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Translation>, NowError>")]
pub struct TranslateNow {
    /// The texts; answered in their order.
    pub texts: AskedTexts,
    /// Their language, where it is known.
    pub source: Option<Language>,
    /// The language wanted.
    pub target: Language,
    /// How long the caller waits.
    pub deadline: Duration,
    /// How urgent it is; interactive but for warming up.
    pub class: Class,
    /// Who asks.
    pub flow: Flow,
}

/// Texts that a caller asks for.
#[derive(Clone, Debug)]
pub enum AskedTexts {
    /// As they were written.
    Plain(Vec<Arc<str>>),
    /// As whoever asks has looked them up, from the same language into the same; that need not be
    /// done again.
    Keyed(Vec<Keyed>),
}

impl<T: Into<Arc<str>>> From<Vec<T>> for AskedTexts {
    fn from(texts: Vec<T>) -> Self {
        Self::Plain(texts.into_iter().map(Into::into).collect())
    }
}

/// Why texts were not translated at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NowError {
    /// The deadline passed; what was finished is in the cache.
    #[error("not all texts were translated in time")]
    Expired,
    /// One of the texts cannot be translated.
    #[error("text {index} cannot be translated: {failure}")]
    Refused {
        /// Which, from 0.
        index: usize,
        /// Why.
        failure: Failure,
    },
    /// Every lane that could do it is closed beyond the deadline.
    #[error("no provider takes calls before the deadline, expected one again later")]
    Closed {
        /// For how long.
        wait: Duration,
    },
    /// The service drains, or too many wait already.
    #[error("nothing new is taken now, expected room again soon")]
    Busy,
}

/// Asks for one task with its publications.
#[derive(Message)]
#[rtype(result = "Result<Option<TaskView>, StoreError>")]
pub struct FindTask(pub TaskId);

/// Asks for tasks as the store has them, without their publications; those that are not known are
/// left out.
#[derive(Message)]
#[rtype(result = "Result<Vec<TaskRecord>, StoreError>")]
pub struct FindTasks(pub Vec<TaskId>);

/// Asks for the tasks of a request with their publications; empty for an unknown one.
#[derive(Message)]
#[rtype(result = "Result<Vec<TaskView>, StoreError>")]
pub struct FindRequest(pub RequestId);

/// A task as it stands now, with its publications.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskView {
    /// The task, its state as the actor knows it.
    pub record: TaskRecord,
    /// Its publications.
    pub publications: Vec<PublicationRecord>,
}

/// Asks for tasks in the order of their ids, in one state or in all.
#[derive(Message)]
#[rtype(result = "Result<Listed, StoreError>")]
pub struct List {
    /// The state wanted; none for all.
    pub state: Option<State>,
    /// Only those behind this one.
    pub after: Option<TaskId>,
    /// The most that are wanted.
    pub limit: usize,
}

/// A page of tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The tasks.
    pub tasks: Vec<TaskView>,
    /// Where the next page begins, if there is one.
    pub next: Option<TaskId>,
}

/// Cancels a task that is not final. Answered when it is durable.
#[derive(Message)]
#[rtype(result = "Result<TaskView, ChangeError>")]
pub struct Cancel(pub TaskId);

/// Tries a failed task again, with its attempts from 0. Answered when it is durable.
#[derive(Message)]
#[rtype(result = "Result<TaskView, ChangeError>")]
pub struct Retry(pub TaskId);

/// Why a task was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is none with that id.
    #[error("there is no task with that id")]
    Unknown,
    /// It does not stand where it would have to.
    #[error("the task is {0}")]
    Conflict(State),
    /// It would publish what its post is no longer.
    #[error(transparent)]
    Outdated(#[from] Outdated),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes nothing new, and finishes what is there; the process stays.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;

/// Takes new work again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct OpenIntake;

/// Takes nothing new and begins nothing new; what is in a call gets so long, and the rest goes
/// back to Queued with its attempt returned. Answered when all of that is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop(pub Duration);

/// Asks how the providers do, in the order in which they come where order decides.
#[derive(Message)]
#[rtype(result = "Vec<ProviderView>")]
pub struct Providers;

/// How a provider does, as far as the choice among providers goes by it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderView {
    /// Its name.
    pub name: ProviderName,
    /// Calls made and texts in them, and how long answers take.
    pub figures: Figures,
    /// Slow calls of others that were made here a second time.
    pub hedges: u64,
    /// Whether it gives no sign of life beyond what is usual for it.
    pub hangs: bool,
}

/// Asks how much there is to do.
#[derive(Message)]
#[rtype(result = "Result<Backlog, StoreError>")]
pub struct Depth;

/// How much there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Tasks taken in that are not yet durable.
    pub submitted: u64,
    /// Tasks in the queue, on disk included.
    pub queued: u64,
    /// Tasks in a call.
    pub processing: u64,
    /// Tasks that wait for a permit.
    pub rate_limited: u64,
    /// Of those in the queue: tasks that wait for an outlet that is not there any more.
    pub parked: u64,
    /// Tasks completed, ever.
    pub completed: u64,
    /// Tasks failed and not retried, ever.
    pub failed: u64,
    /// Of those: tasks that were cancelled since the start because their posts were edited or
    /// deleted.
    pub outdated: u64,
    /// Publications that are not settled.
    pub publishing: u64,
    /// Publications whose fate is open.
    pub unknown: u64,
    /// Publications that wait for a person.
    pub held: u64,
    /// Why nothing new is taken; none while intake is open.
    pub closed: Option<Closed>,
}

/// Why nothing new is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// A person said so, or the process ends.
    Draining,
    /// The store has no room, does not write, or hangs.
    NoRoom,
}

impl Closed {
    /// What an operator reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draining => "draining: nothing new is taken",
            Self::NoRoom => {
                "no room: the store does not write, expected a disk that answers and has space"
            }
        }
    }
}
