//! What the publisher hears.

use std::sync::Arc;

use actix::Message;

use super::monitor::UnknownName;
use crate::domain::{OutletName, PublicationId, PublicationState, TaskId};
use crate::logic::outstanding::{Line, Outstanding};
use crate::ports::{Outdated, OutletError, PublicationRecord, StoreError};

/// Hands over publications that were planned by a commit, and says which tasks nothing has to wait
/// for any more; the task manager says it.
///
/// What gets lost on the way stands in the store, and is found there.
#[derive(Debug, Default, Message)]
#[rtype(result = "()")]
pub struct Publish {
    /// The publications.
    pub planned: Vec<PublicationRecord>,
    /// The tasks that have ended, those of the publications among them.
    pub ended: EndedTasks,
}

/// Tasks that have ended. Once this is dropped nothing waits for them any more, so whoever hears of
/// it first takes in what is planned of them.
#[derive(Debug, Default)]
pub struct EndedTasks {
    tasks: Vec<(Line, TaskId)>,
    outstanding: Arc<Outstanding>,
}

impl EndedTasks {
    /// These tasks, which are noted in `outstanding` until then.
    pub const fn new(tasks: Vec<(Line, TaskId)>, outstanding: Arc<Outstanding>) -> Self {
        Self { tasks, outstanding }
    }
}

impl Drop for EndedTasks {
    fn drop(&mut self) {
        for (line, task) in &self.tasks {
            self.outstanding.end(line, *task);
        }
    }
}

/// Says that posts were deleted at their sources; the task manager says it.
///
/// Which posts stands in the store.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Withdraw;

/// Asks where is published, and how that goes.
#[derive(Message)]
#[rtype(result = "Vec<OutletView>")]
pub struct Outlets;

/// How publishing at one outlet goes.
#[derive(Clone, Debug, PartialEq)]
pub struct OutletView {
    /// Its name.
    pub name: OutletName,
    /// Its kind.
    pub kind: &'static str,
    /// Its language.
    pub language: crate::domain::Language,
    /// The most that a part may measure there, once that is known.
    pub limit: Option<crate::logic::fit::Limit>,
    /// What it is doing: `ready`, `waiting`, `paused` or `failing`; `gone` where it is not there any
    /// more, and something waits for it.
    pub state: &'static str,
    /// Publications that wait for their turn, as far as they are known in memory.
    pub waiting: u64,
    /// Those of them that answer what a person has to let out, or whose fate is open.
    pub behind_held: u64,
    /// Publications whose fate is open.
    pub unknown: u64,
    /// Publications that it has, and publishes by itself at their times.
    pub scheduled: u64,
    /// Publications that went out since the start.
    pub published: u64,
    /// Publications refused since the start.
    pub refused: u64,
    /// Why the last one did not go out, if so.
    pub error: Option<String>,
}

/// Publishes no more at an outlet until resumed. None means every outlet.
#[derive(Message)]
#[rtype(result = "Result<(), UnknownName>")]
pub struct PauseOutlet(pub Option<OutletName>);

/// Publishes again. None means every outlet.
#[derive(Message)]
#[rtype(result = "Result<(), UnknownName>")]
pub struct ResumeOutlet(pub Option<OutletName>);

/// Asks for the publications that a person can decide about, held, perhaps out, or with an outlet
/// that publishes them at its time; the oldest first.
#[derive(Message)]
#[rtype(result = "Result<Vec<PublicationRecord>, StoreError>")]
pub struct Review {
    /// The most that are wanted.
    pub limit: usize,
}

/// Lets a held publication go out, with a corrected text where one is given; or says that one is
/// out that may be.
#[derive(Message)]
#[rtype(result = "Result<PublicationRecord, PublicationError>")]
pub struct Approve {
    /// The publication.
    pub id: PublicationId,
    /// The text that a person put in its place.
    pub text: Option<Arc<str>>,
}

/// Refuses a held publication for good, or one that its outlet was to publish at its time, which
/// gives it back; or says of one that may be out that it is not, and that it is not wanted.
#[derive(Message)]
#[rtype(result = "Result<PublicationRecord, PublicationError>")]
pub struct Reject(pub PublicationId);

/// Sends a publication again that was refused, or whose fate a person has looked up.
#[derive(Message)]
#[rtype(result = "Result<PublicationRecord, PublicationError>")]
pub struct RetryPublication(pub PublicationId);

/// Why a publication was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicationError {
    /// There is none with that id.
    #[error("there is no publication with that id")]
    Unknown,
    /// It does not stand where it would have to.
    #[error("the publication is {0}")]
    Conflict(PublicationState),
    /// It is being looked up or taken back at its outlet, and can be decided about afterwards.
    #[error("the publication is being looked up at its outlet at this moment")]
    UnderWay,
    /// The outlet did not give it back.
    #[error("the outlet did not give it back: {0}")]
    Outlet(#[from] OutletError),
    /// It would publish what its post is no longer.
    #[error(transparent)]
    Outdated(#[from] Outdated),
    /// The text that a person gave does not fit.
    #[error("{0}")]
    Unfit(String),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
