//! What is watched: a feed, a file, an account.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::domain::Post;

/// How far a source was read; opaque to everybody but the source that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// What one poll found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Polled {
    /// Posts, the oldest first; some may have been shown before.
    pub posts: Vec<Post>,
    /// The ids of posts that the source showed before, and that were deleted there.
    pub gone: Vec<String>,
    /// Where the next poll goes on, once these posts were taken; none leaves it where it was.
    pub cursor: Option<Cursor>,
    /// Whether more can be had at once.
    pub has_more: bool,
    /// How long the server would like to be left alone.
    pub rest: Option<Duration>,
    /// What a person should know although the poll went on, like items without any text.
    pub warnings: Vec<String>,
    /// Whether this is not what came after the cursor, because the source reads something else than
    /// when the cursor was made, or cannot read it: what is shown is what is there at first sight.
    pub begins_anew: bool,
    /// What it left unread although it was to be shown, because only a look was wanted.
    pub unread: Unread,
}

/// What was not read, and would cost: at most so much.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unread {
    /// How many posts.
    pub posts: usize,
    /// What the server charges for them, in US dollars.
    pub usd: f64,
}

/// Something that shows posts.
///
/// A source that is handed a cursor that is not good for what it reads begins as without one, and
/// says so ([`Polled::begins_anew`]).
///
/// Polling with the same cursor again shows the same posts again, as long as the world did not
/// change: a cursor moves only when the posts were taken.
pub trait Source {
    /// Reads what came after `cursor`, at most about `room` posts where the source can stop.
    ///
    /// Without a cursor it reads everything that the source shows now.
    fn poll<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        room: usize,
    ) -> LocalBoxFuture<'a, Result<Polled, SourceError>>;

    /// Reads as much of what came after `cursor` as is needed to go on behind it; what is shown
    /// counts as seen.
    ///
    /// A source that charges for what it shows leaves the rest unread.
    fn skip<'a>(
        &'a self,
        cursor: &'a Cursor,
        room: usize,
    ) -> LocalBoxFuture<'a, Result<Polled, SourceError>> {
        self.poll(Some(cursor), room)
    }

    /// Waits until a poll is worth making before its time, because a stream showed something or
    /// may have missed something; never, where there is no stream.
    ///
    /// What happened while nobody waited is not forgotten. Dropped before its end, it changes
    /// nothing.
    fn news(&self) -> LocalBoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Hears that what was shown up to this cursor was taken: no poll goes on before it any more.
    fn taken(&self, _cursor: &Cursor) {}

    /// Closes what is open for the sake of news, until they are waited for again.
    fn rest(&self) {}

    /// What the server charged since this was asked last, in US dollars, also for polls that did
    /// not come to their end.
    fn charged(&self) -> f64 {
        0.0
    }
}

/// Why a source could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No whole answer arrived.
    #[error("no answer: {detail}")]
    Unreachable {
        /// What happened.
        detail: String,
    },
    /// The server wants to be left alone for a while.
    #[error("the server asks to wait: {detail}")]
    Busy {
        /// For how long, where it said so.
        wait: Option<Duration>,
        /// What it answered.
        detail: String,
    },
    /// What may be spent on reading is spent; more may be after so long.
    #[error("{detail}")]
    Spent {
        /// For how long.
        wait: Duration,
        /// Of what.
        detail: String,
    },
    /// What came is not what the source should show.
    #[error("{detail}")]
    Malformed {
        /// What was wanted and what came.
        detail: String,
    },
    /// The server refuses us.
    #[error("refused: {detail}")]
    Refused {
        /// What it answered.
        detail: String,
    },
    /// The source has ended for good.
    #[error("the source has ended: {detail}")]
    Gone {
        /// What said so.
        detail: String,
    },
}

/// What to do about a [`SourceError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceRemedy {
    /// Poll again, not before so long; none leaves it to the backoff.
    Retry(Option<Duration>),
    /// Poll at the usual times; a person may have to mend something.
    Person,
    /// Never poll again.
    Stop,
}

impl SourceError {
    /// What to do about it.
    pub const fn remedy(&self) -> SourceRemedy {
        match self {
            Self::Unreachable { .. } => SourceRemedy::Retry(None),
            Self::Busy { wait, .. } => SourceRemedy::Retry(*wait),
            Self::Spent { wait, .. } => SourceRemedy::Retry(Some(*wait)),
            Self::Malformed { .. } | Self::Refused { .. } => SourceRemedy::Person,
            Self::Gone { .. } => SourceRemedy::Stop,
        }
    }
}
