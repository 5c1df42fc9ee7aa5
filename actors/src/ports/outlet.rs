//! Where translations are published: an account, a feed, a file.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::domain::Publication;

/// One part of a publication whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The publication; its earlier parts bear the ids that the outlet gave them.
    pub publication: Arc<Publication>,
    /// Which of its parts.
    pub part: usize,
}

/// A part as it goes out, to the byte; stored before the first byte leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// What is sent.
    pub dispatch: Dispatch,
    /// The exact bytes.
    pub bytes: Arc<[u8]>,
    /// The idempotency key: the same for the same part, whatever happens.
    pub key: Arc<str>,
    /// Where the outlet stood before, like a file's length; read back from there.
    pub mark: u64,
}

/// Proof that a part is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The id that the outlet gave it.
    pub id: Arc<str>,
    /// Where people read it, where the outlet has such a place.
    pub url: Option<Arc<str>>,
}

/// What reading back found out about a part that may be out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadBack {
    /// It is out.
    Found(Published),
    /// The outlet has it, and publishes it after so long.
    Scheduled(Duration),
    /// It is proved not to be out, and may be sent.
    Absent,
}

/// What an outlet can do beside publishing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Whether what is out can be changed in place.
    pub edits: bool,
    /// Whether what is out can be taken back.
    pub deletes: bool,
    /// Whether a part can answer what is out.
    pub replies: bool,
    /// Whether media go out, also where there is no text.
    pub media: bool,
    /// Whether a part can show what is out as quoted.
    pub quotes: bool,
}

/// Something that publishes.
pub trait Outlet {
    /// What it can do beside publishing.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// As whom it publishes, as sources there name authors, where it has asked that already.
    fn author(&self) -> Option<String> {
        None
    }

    /// The most parts that one call of `publish` takes; they are of different publications.
    fn batch(&self) -> usize;

    /// What publishing a part costs, in US dollars; where that is anything, one goes at a time.
    fn cost(&self, _dispatch: &Dispatch) -> f64 {
        0.0
    }

    /// What taking back a part costs that is out, in US dollars.
    fn cost_of_deletion(&self) -> f64 {
        0.0
    }

    /// What it charged since this was asked last, in US dollars, beside what [`Outlet::cost`] and
    /// [`Outlet::cost_of_deletion`] tell: for what was read there.
    fn charged(&self) -> f64 {
        0.0
    }

    /// How long after an ambiguous answer nothing may be read back, since it may still arrive.
    fn quiet(&self) -> Duration;

    /// Hears what it published in an earlier life, so that nothing of it is taken for something else
    /// that is looked for.
    fn remember(&self, _publications: &[Arc<Publication>]) {}

    /// The most that one part's text may measure, where that is known before anybody was asked;
    /// what is planned meanwhile then fits.
    fn known_limit(&self) -> Option<crate::logic::fit::Limit> {
        None
    }

    /// The most that one part's text may measure, counted as this outlet counts it.
    ///
    /// Asked once before the first text is fitted, and again every day.
    ///
    /// # Errors
    /// When the outlet has to be asked and does not answer.
    fn limit(&self) -> LocalBoxFuture<'_, Result<crate::logic::fit::Limit, OutletError>>;

    /// Tries the credential without publishing anything; says what it found out, or why it could
    /// not try.
    ///
    /// # Errors
    /// When nothing could be published now.
    fn probe(&self) -> LocalBoxFuture<'_, Result<Option<String>, OutletError>> {
        Box::pin(async { self.limit().await.map(|_| None) })
    }

    /// Makes the bytes of these parts, in their order.
    ///
    /// # Errors
    /// When the outlet's state, like the length of its file, cannot be read.
    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>>;

    /// Sends frozen parts, and answers for each of them, in their order.
    fn publish<'a>(
        &'a self,
        parts: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>>;

    /// Looks whether a part that was frozen in an earlier call is out.
    ///
    /// # Errors
    /// When it cannot be told; the part then stays Unknown.
    fn read_back<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>>;

    /// Takes back a part that the outlet has and has not published yet; doing it twice does it
    /// once. [`ReadBack::Absent`]: it is not out, and will not be.
    ///
    /// # Errors
    /// When it cannot be told what became of it.
    fn unschedule<'a>(
        &'a self,
        _part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        Box::pin(std::future::ready(Err(unable(
            "take back before it is out",
        ))))
    }

    /// Puts a frozen part in the place of one that is out; doing it twice does it once.
    ///
    /// # Errors
    /// When it is not proved to be changed; [`OutletError::Rejected`] where it cannot be.
    fn edit<'a>(
        &'a self,
        _part: &'a Frozen,
        _published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<Published, OutletError>> {
        Box::pin(std::future::ready(Err(unable("change what is out"))))
    }

    /// Takes back what is out; what is gone already counts as taken back.
    ///
    /// # Errors
    /// When it is not proved to be gone; [`OutletError::Rejected`] where it cannot be.
    fn delete<'a>(
        &'a self,
        _published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<(), OutletError>> {
        Box::pin(std::future::ready(Err(unable("delete what is out"))))
    }
}

fn unable(what: &str) -> OutletError {
    OutletError::Rejected {
        detail: format!("this kind of outlet cannot {what}"),
    }
}

/// Why a part is not proved to be out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutletError {
    /// Not sent: no connection, or the disk is full.
    #[error("not reachable: {detail}")]
    Unreachable {
        /// What happened.
        detail: String,
    },
    /// Not sent: the outlet wants to be left alone for a while.
    #[error("the outlet asks to wait: {detail}")]
    Busy {
        /// For how long, where it said so.
        wait: Option<Duration>,
        /// What it answered.
        detail: String,
    },
    /// Not sent: the credential is not accepted.
    #[error("credential refused: {detail}")]
    Auth {
        /// What it answered, without the credential.
        detail: String,
    },
    /// Not sent: nothing is left to pay with.
    #[error("nothing left to pay with: {detail}")]
    Unpaid {
        /// What it answered.
        detail: String,
    },
    /// Not sent, and never will be: the outlet refuses this part.
    #[error("refused: {detail}")]
    Rejected {
        /// What it answered.
        detail: String,
    },
    /// Taken, but not out before so long: the outlet publishes it by itself.
    #[error("scheduled, to be out in {wait:?}")]
    Scheduled {
        /// How long until it is out.
        wait: Duration,
    },
    /// Maybe sent: the connection broke or the answer cannot be read.
    #[error("perhaps sent: {detail}")]
    Ambiguous {
        /// What happened.
        detail: String,
    },
}

/// What to do about an [`OutletError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutletRemedy {
    /// Send again, not before so long; none leaves it to the backoff.
    Retry(Option<Duration>),
    /// Leave the outlet alone until a person has done something.
    Person,
    /// Give the publication up.
    GiveUp,
    /// Read back before anything else.
    ReadBack,
    /// Wait so long, then read back.
    Await(Duration),
}

impl OutletError {
    /// What to do about it.
    pub const fn remedy(&self) -> OutletRemedy {
        match self {
            Self::Unreachable { .. } => OutletRemedy::Retry(None),
            Self::Busy { wait, .. } => OutletRemedy::Retry(*wait),
            Self::Auth { .. } | Self::Unpaid { .. } => OutletRemedy::Person,
            Self::Rejected { .. } => OutletRemedy::GiveUp,
            Self::Ambiguous { .. } => OutletRemedy::ReadBack,
            Self::Scheduled { wait } => OutletRemedy::Await(*wait),
        }
    }
}
