//! What translates: an API with a credential and a model.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::domain::{Guide, Pair, SeenLimit, Thoughts, Usage};
use crate::logic::estimate::{Charged, Ending};

/// Texts of one pair of languages that go in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// From what into what.
    pub pair: Pair,
    /// The texts; never empty, ids unique.
    pub items: Vec<Item>,
    /// The most tokens of an answer; none lets the adapter estimate them from the texts.
    pub max_tokens: Option<u32>,
    /// The terms and the tone wanted, where a glossary has any for this pair.
    pub guide: Option<Arc<Guide>>,
}

/// One text of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The id by which the answer is matched, like `1`.
    pub id: Arc<str>,
    /// The text, with its protected spans as `⟦0⟧`, `⟦1⟧`, …
    pub text: Arc<str>,
    /// What it belongs to, for the model's understanding; never translated.
    pub context: Option<Arc<str>>,
}

/// What a provider answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The texts that came back, in any order; ids may be wrong, missing or doubled.
    pub items: Vec<Translated>,
    /// The model that answered; empty where the provider has none.
    pub model: Arc<str>,
    /// Tokens used, where the provider says so; its `cost_usd` is zero.
    pub usage: Option<Usage>,
    /// What of the tokens was thought, where a model thinks before it answers.
    pub thoughts: Option<Thoughts>,
    /// Whether the answer was cut at the length limit.
    pub is_truncated: bool,
    /// Whether each text was matched by its place in a list as long as it had to be, so that no
    /// other text can hold one that is missing.
    pub is_in_place: bool,
    /// Why the texts that are missing did not come, where a call takes several requests and a
    /// later one failed.
    pub error: Option<ProviderError>,
}

impl Answer {
    /// How it ended.
    pub const fn ending(&self) -> Ending {
        match self {
            Self {
                is_truncated: true, ..
            } => Ending::Cut,
            Self {
                is_in_place: true, ..
            } => Ending::InPlace,
            _ => Ending::Whole,
        }
    }

    /// What it was charged; what a part was charged says nothing of all the texts.
    pub fn charged(&self) -> Charged {
        let usage = self.usage.filter(|_| self.error.is_none());
        Charged {
            used: usage.map(Usage::tokens),
            thoughts: self.thoughts,
            ending: self.ending(),
        }
    }
}

/// One text that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// The id it came with.
    pub id: Arc<str>,
    /// The text, with the placeholders `⟦0⟧`, … that came back.
    pub text: String,
}

/// Something that translates; lives on one arbiter.
pub trait Provider {
    /// Makes one call, which takes at most `timeout`, body included.
    fn translate<'a>(
        &'a self,
        pack: &'a Pack,
        timeout: Duration,
    ) -> LocalBoxFuture<'a, Result<Answer, ProviderError>>;

    /// Takes what responses since the last time said of the lane's limits, the latest last.
    fn take_seen(&self) -> Vec<SeenLimit> {
        Vec::new()
    }
}

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The call never reached the provider: no connection.
    #[error("not reachable: {detail}")]
    Unreachable {
        /// What happened.
        detail: String,
    },
    /// The call left, and nothing came back that says what it used: a timeout, a cut connection,
    /// an answer that cannot be read.
    #[error("{detail}")]
    Unanswered {
        /// What happened.
        detail: String,
    },
    /// It may work in a while: a server error, for which nobody has to pay.
    #[error("{detail}")]
    Transient {
        /// What happened.
        detail: String,
        /// How long the provider asks to wait, where it does.
        wait: Option<Duration>,
    },
    /// A short window is used up.
    #[error("rate limited: {detail}")]
    RateLimited {
        /// How long the provider asks to wait, where it does.
        wait: Option<Duration>,
        /// What it answered.
        detail: String,
    },
    /// A long window is used up: a day, a month, a spending cap.
    #[error("quota exhausted: {detail}")]
    QuotaExhausted {
        /// How long until it comes back, where that is known.
        wait: Option<Duration>,
        /// What it answered.
        detail: String,
    },
    /// There is no money left.
    #[error("no credit left: {detail}")]
    Billing {
        /// What it answered.
        detail: String,
    },
    /// The credential is not accepted, or may not do this.
    #[error("credential refused: {detail}")]
    Auth {
        /// What it answered, without the credential.
        detail: String,
    },
    /// The call is larger than the provider takes at all.
    #[error("too large: {detail}")]
    TooLarge {
        /// What it answered.
        detail: String,
    },
    /// The provider does not translate between these languages.
    #[error("no such pair of languages: {detail}")]
    Unsupported {
        /// What it answered.
        detail: String,
    },
    /// The provider refuses to translate a text of this call.
    #[error("refused: {detail}")]
    Rejected {
        /// What it answered.
        detail: String,
    },
    /// The provider does not understand the call.
    #[error("not understood: {detail}")]
    Invalid {
        /// What it answered.
        detail: String,
    },
}

/// What to do about a [`ProviderError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderRemedy {
    /// Try again, not before so long; counts an attempt, and counts against the lane.
    Retry(Option<Duration>),
    /// Leave the lane alone, for so long where that is known; the texts had no part in it.
    Park(Option<Duration>),
    /// Leave the lane alone until a person has done something; the texts had no part in it.
    ParkForPerson,
    /// Send fewer texts in one call; a single one goes to another provider.
    Split,
    /// Another provider may do it; this one never will.
    OtherProvider,
}

impl ProviderError {
    /// What to do about it.
    pub const fn remedy(&self) -> ProviderRemedy {
        match self {
            Self::Unanswered { .. } => ProviderRemedy::Retry(None),
            Self::Transient { wait, .. } => ProviderRemedy::Retry(*wait),
            Self::Unreachable { .. } => ProviderRemedy::Park(None),
            Self::RateLimited { wait, .. } | Self::QuotaExhausted { wait, .. } => {
                ProviderRemedy::Park(*wait)
            }
            Self::Billing { .. } | Self::Auth { .. } => ProviderRemedy::ParkForPerson,
            Self::TooLarge { .. } | Self::Rejected { .. } | Self::Invalid { .. } => {
                ProviderRemedy::Split
            }
            Self::Unsupported { .. } => ProviderRemedy::OtherProvider,
        }
    }
}
