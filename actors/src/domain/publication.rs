//! One task at one outlet, in one or more parts.

use std::fmt;
use std::sync::Arc;

use super::{Attached, Language, OutletName, PublicationId, RequestId, Timestamp};

/// The name that stands for the requests of clients where a source's name is asked for.
pub const REQUESTS: &str = "requests";

/// One task at one outlet; (task, outlet) is unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its identity, which contains the task's.
    pub id: PublicationId,
    /// The outlet it goes to.
    pub outlet: OutletName,
    /// The source's name, or [`REQUESTS`].
    pub source: Arc<str>,
    /// The post's id; of a request its key, or its id.
    pub post: Arc<str>,
    /// The language of the parts.
    pub language: Language,
    /// Where people read the original.
    pub url: Option<Arc<str>>,
    /// What is published, in order; never empty.
    pub parts: Vec<Part>,
    /// What hangs on the text, in the language of the parts; it goes with the first of them, its
    /// warning with each.
    pub attached: Option<Arc<Attached>>,
    /// What it answers at the outlet, once that is known.
    pub thread: Option<Thread>,
    /// The request of its post's earlier text, where this is an edit.
    pub revises: Option<RequestId>,
    /// Names the account that it went to, where that is known; its ids mean nothing at another.
    pub place: Option<u64>,
    /// When it was planned; the time it bears outside.
    pub created_at: Timestamp,
}

/// What a publication answers: ids that its outlet gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// What the thread begins with.
    pub root: Arc<str>,
    /// What stands right before.
    pub parent: Arc<str>,
}

/// One piece of a publication: a post of its own at the outlet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What is published.
    pub text: Arc<str>,
    /// The id that the outlet gave it, once it is out.
    pub id: Option<Arc<str>>,
    /// Where people read it, once it is out.
    pub url: Option<Arc<str>>,
}

impl Part {
    /// A part that is not yet out.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            id: None,
            url: None,
        }
    }
}

/// Where a publication stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublicationState {
    /// Written down; goes out when its turn comes.
    Planned,
    /// Waits for a person.
    Held,
    /// Its bytes are frozen, and may be on the way.
    Sending,
    /// Taken by its outlet, which publishes it by itself at its time.
    Scheduled,
    /// Proved to be out.
    Published,
    /// Proved not to be out, and given up.
    Refused,
    /// May be out or not; is read back before anything else happens.
    Unknown,
    /// Was out and is not any more, or another has taken its place.
    Deleted,
}

impl PublicationState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Planned,
        Self::Held,
        Self::Sending,
        Self::Scheduled,
        Self::Published,
        Self::Refused,
        Self::Unknown,
        Self::Deleted,
    ];

    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "Planned",
            Self::Held => "Held",
            Self::Sending => "Sending",
            Self::Scheduled => "Scheduled",
            Self::Published => "Published",
            Self::Refused => "Refused",
            Self::Unknown => "Unknown",
            Self::Deleted => "Deleted",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more comes of it unless somebody wants it to.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Published | Self::Refused | Self::Deleted)
    }

    /// Whether a waiting client need wait no longer; what waits for a person counts, and what an
    /// outlet publishes at its time.
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Planned | Self::Sending)
    }
}

impl fmt::Display for PublicationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
