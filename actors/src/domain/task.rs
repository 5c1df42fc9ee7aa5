//! One request in one target language: the unit of work.

use std::fmt;
use std::sync::Arc;

use super::{Language, Pair, ProviderName, Request, TaskId, Tokens};

/// One request in one target language; (request, target) is unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its identity, which contains the request's.
    pub id: TaskId,
    /// What is translated.
    pub request: Arc<Request>,
    /// The language wanted.
    pub target: Language,
}

impl Task {
    /// From what into what the task translates.
    pub fn pair(&self) -> Pair {
        Pair {
            source: self.request.source.clone(),
            target: self.target.clone(),
        }
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Taken in, not yet durable.
    Submitted,
    /// Durable, and in the queue.
    Queued,
    /// In a call, or known already.
    Processing,
    /// Waiting for its lane to grant a permit.
    RateLimited,
    /// Translated.
    Completed,
    /// Given up; a person may retry it.
    Failed,
}

impl State {
    /// Every state, in the order of a task's life.
    pub const ALL: [Self; 6] = [
        Self::Submitted,
        Self::Queued,
        Self::Processing,
        Self::RateLimited,
        Self::Completed,
        Self::Failed,
    ];

    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submitted => "Submitted",
            Self::Queued => "Queued",
            Self::Processing => "Processing",
            Self::RateLimited => "RateLimited",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more happens to the task by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A translation, with who made it and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// The translated text.
    pub text: Arc<str>,
    /// The provider that made it.
    pub provider: ProviderName,
    /// The model that made it; empty where the provider has none.
    pub model: Arc<str>,
    /// Whether no call was made for this task.
    pub cached: bool,
    /// What the call took; zero when cached.
    pub usage: Usage,
}

/// What a call, or one text's share of it, took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Tokens sent.
    pub tokens_in: u64,
    /// Tokens received.
    pub tokens_out: u64,
    /// What it cost, in US dollars.
    pub cost_usd: f64,
}

/// Tokens that a model thought before it answered, which count as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thoughts {
    /// How many.
    pub used: u64,
    /// How many they may be at most.
    pub allowed: u64,
}

impl Usage {
    /// Its tokens.
    pub const fn tokens(self) -> Tokens {
        Tokens {
            input: self.tokens_in,
            output: self.tokens_out,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens_in: self.tokens_in + other.tokens_in,
            tokens_out: self.tokens_out + other.tokens_out,
            cost_usd: self.cost_usd + other.cost_usd,
        }
    }
}

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What a program decides by.
    pub kind: FailureKind,
    /// What a person reads.
    pub detail: Arc<str>,
}

/// The kinds of failure that a task can end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The provider refuses to translate this text.
    Rejected,
    /// The request makes no sense to the provider.
    Invalid,
    /// The text is larger than any provider takes.
    TooLarge,
    /// No provider translates this pair of languages.
    NoRoute,
    /// Every attempt was used up.
    Attempts,
    /// The deadline passed.
    Expired,
    /// Somebody cancelled it.
    Cancelled,
    /// What came back failed its checks, from every provider.
    Checks,
    /// Its call was running at three deaths of the process.
    Poison,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Rejected,
        Self::Invalid,
        Self::TooLarge,
        Self::NoRoute,
        Self::Attempts,
        Self::Expired,
        Self::Cancelled,
        Self::Checks,
        Self::Poison,
    ];

    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::NoRoute => "no_route",
            Self::Attempts => "attempts",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Checks => "checks",
            Self::Poison => "poison",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether providers could not do it, in whichever way.
    pub const fn is_from_providers(self) -> bool {
        matches!(
            self,
            Self::Rejected
                | Self::Invalid
                | Self::TooLarge
                | Self::NoRoute
                | Self::Attempts
                | Self::Checks
        )
    }

    /// Whether the failure is about the text itself, so that the same text fails again.
    pub const fn is_about_the_text(self) -> bool {
        matches!(self, Self::Rejected | Self::Invalid | Self::TooLarge)
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}
