//! What the monitor hears.

use std::time::Duration;

use actix::Message;

use crate::domain::{PausedBy, SourceName, Timestamp};

/// Polls no more until resumed; a poll that runs goes on. None means every source.
#[derive(Message)]
#[rtype(result = "Result<(), UnknownName>")]
pub struct PauseSource(pub Option<SourceName>, pub PausedBy);

/// Polls again, at once.
#[derive(Message)]
#[rtype(result = "Result<(), UnknownName>")]
pub struct ResumeSource {
    /// The source; none means every one.
    pub name: Option<SourceName>,
    /// What becomes of the posts that came meanwhile.
    pub missed: Missed,
}

/// What becomes of posts that came while their source was paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// They are taken like all others.
    #[default]
    Taken,
    /// They count as seen.
    Skipped,
}

/// Polls at once, and answers when the poll has ended and what it found was taken. None means
/// every source.
#[derive(Message)]
#[rtype(result = "Result<(), UnknownName>")]
pub struct PollNow(pub Option<SourceName>);

/// A name that the settings do not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of the names in the settings")]
pub struct UnknownName(pub String);

/// Asks what is watched, and how that goes.
#[derive(Message)]
#[rtype(result = "Vec<SourceView>")]
pub struct Watching;

/// How watching one source goes.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceView {
    /// Its name.
    pub name: SourceName,
    /// Its kind.
    pub kind: &'static str,
    /// What it is doing.
    pub state: SourceState,
    /// By whom it is paused, where it is.
    pub paused_by: Option<PausedBy>,
    /// What becomes of what its next poll finds.
    pub missed: Missed,
    /// When it was last polled to the end.
    pub last_poll: Option<Timestamp>,
    /// How long after its post's publication the latest one was taken.
    pub lag: Option<Duration>,
    /// Why the last poll failed, if it did.
    pub error: Option<String>,
    /// Posts seen since the start.
    pub seen: u64,
    /// Posts of these that were new.
    pub new: u64,
    /// What its server charged since the start, in US dollars.
    pub cost_usd: f64,
}

/// What a source is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Waiting for its next poll.
    Waiting,
    /// Being polled.
    Polling,
    /// Paused.
    Paused,
    /// Failing; it is polled again after a backoff.
    Failing,
    /// Ended for good.
    Ended,
}

impl SourceState {
    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Polling => "polling",
            Self::Paused => "paused",
            Self::Failing => "failing",
            Self::Ended => "ended",
        }
    }
}
