//! What is counted against a lane, and what a response says of its limits.

use std::time::Duration;

use super::Timestamp;

/// Tokens of a call: expected before it, or used by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Sent.
    pub input: u64,
    /// Received.
    pub output: u64,
}

impl Tokens {
    /// Sent and received together.
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Calls.
    Requests,
    /// Tokens, sent and received together.
    Tokens,
    /// Tokens sent.
    InputTokens,
    /// Tokens received.
    OutputTokens,
    /// Money, in US dollars.
    Dollars,
}

impl Unit {
    /// What an operator reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::Dollars => "US dollars",
        }
    }
}

/// When the quota of a day is there again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DayReset {
    /// Each use comes back after 24 hours. It is never too much at a provider that counts
    /// otherwise.
    #[default]
    Rolling,
    /// All of it at midnight UTC.
    Utc,
    /// All of it at midnight in California, as Gemini's.
    Pacific,
}

/// How a limit is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KnownBy {
    /// A person set it.
    Settings,
    /// Headers of an answer said it.
    Headers,
    /// The body of a refusal said it.
    Refusal,
    /// It was found by what passed and what was refused.
    Trial,
}

impl KnownBy {
    /// What an operator reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Headers => "headers",
            Self::Refusal => "refusal",
            Self::Trial => "trial",
        }
    }
}

/// What one response said of one limit; each field only where it said so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeenLimit {
    /// What it counts.
    pub unit: Unit,
    /// Over what time; where nobody knows it, a reset within a minute may tell it.
    pub per: Option<Duration>,
    /// The most of it.
    pub limit: Option<f64>,
    /// What of it is left.
    pub remaining: Option<f64>,
    /// How long until all of it is free again.
    pub resets_in: Option<Duration>,
    /// Where it was said.
    pub known_by: KnownBy,
}

/// A limit that was learned, as it is remembered over a restart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnedLimit {
    /// What it counts.
    pub unit: Unit,
    /// Over what time.
    pub per: Duration,
    /// The most of it.
    pub limit: f64,
    /// From what it was learned.
    pub known_by: KnownBy,
    /// When it was told last.
    pub at: Timestamp,
    /// What the settings said of it then, where they said something.
    pub set: Option<f64>,
}
