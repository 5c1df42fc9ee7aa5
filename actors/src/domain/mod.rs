//! The nouns of babelfeed: what is watched, asked for, worked on and published.

mod attached;
mod budget;
mod guide;
mod identity;
mod language;
mod limits;
mod names;
mod order;
mod pause;
mod post;
mod publication;
mod request;
mod task;
mod time;

pub use attached::{Attached, SEPARATOR};
pub use budget::{Budget, Counting};
pub use guide::{Correction, Guide, Term};
pub use identity::{IdError, IdMint, PublicationId, RequestId, TaskId};
pub use language::{Language, LanguageError, Pair};
pub use limits::{DayReset, KnownBy, LearnedLimit, SeenLimit, Tokens, Unit};
pub use names::{Class, Flow, Lane, OutletName, ProviderName, SourceName};
pub use order::{Bucket, Position};
pub use pause::PausedBy;
pub use post::{Audience, Media, Poll, Post, Relation};
pub use publication::{Part, Publication, PublicationState, REQUESTS, Thread};
pub use request::{Origin, Request};
pub use task::{Failure, FailureKind, State, Task, Thoughts, Translation, Usage};
pub use time::{Moment, Timestamp};
