//! What the translators hear.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::Message;

use super::cache::Leadership;
use super::caller::AwaitedText;
use super::rate_limiter::Permit;
use crate::domain::{Failure, Guide, Pair, ProviderName, Translation};
use crate::logic::checks::Fault;
use crate::logic::estimate::Charged;
use crate::logic::spans::Protected;
use crate::ports::ProviderError;

/// Makes one call; the task manager says it. Answered when the call has ended, however it did.
#[derive(Debug, Message)]
#[rtype(result = "CallEnd")]
pub struct Translate(pub Job);

/// One call to be made.
#[derive(Debug)]
pub struct Job {
    /// The provider to be called.
    pub provider: ProviderName,
    /// From what into what.
    pub pair: Pair,
    /// The terms and the tone wanted, where there are any.
    pub guide: Option<Arc<Guide>>,
    /// The texts; never empty.
    pub items: Vec<JobItem>,
    /// The right to make the call.
    pub permit: Permit,
    /// How long the call may take, body included.
    pub timeout: Duration,
    /// The most tokens of the answer; none leaves it to the provider's adapter.
    pub max_tokens: Option<u32>,
}

/// One text of a call.
#[derive(Debug)]
pub struct JobItem {
    /// Who it is, for the task manager; comes back as it is.
    pub token: u64,
    /// The text with its protected spans.
    pub text: Arc<Protected>,
    /// What it belongs to.
    pub context: Option<Arc<str>>,
    /// The duty to tell the cache what came of it; comes back inside [`ItemEnd`] if unfulfilled.
    pub duty: Duty,
    /// Who waits for it, if somebody does; answered before anything else follows from the call.
    pub awaited: Option<AwaitedText>,
}

/// The duty to tell the cache what came of a text, which two calls for it may have.
#[derive(Debug)]
pub enum Duty {
    /// One call has it.
    Alone(Leadership),
    /// Two may have it, and it is taken once.
    Shared(Arc<Mutex<Option<Leadership>>>),
}

impl Duty {
    /// The same duty, for one call that can be doubled.
    #[must_use]
    pub fn shared(self) -> Self {
        match self {
            Self::Alone(leadership) => Self::Shared(Arc::new(Mutex::new(Some(leadership)))),
            Self::Shared(_) => self,
        }
    }

    /// The duty for a second call; none where one call has it alone.
    pub fn twin(&self) -> Option<Self> {
        match self {
            Self::Alone(_) => None,
            Self::Shared(leadership) => Some(Self::Shared(Arc::clone(leadership))),
        }
    }

    /// Takes it upon oneself; none when the other call has done so.
    pub fn take(self) -> Option<Leadership> {
        match self {
            Self::Alone(leadership) => Some(leadership),
            Self::Shared(leadership) => leadership
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        }
    }
}

/// How a call ended.
#[derive(Debug)]
pub struct CallEnd {
    /// How each of its texts ended, in the order of the call.
    pub items: Vec<ItemEnd>,
    /// Why the call brought nothing, or not all of it, if so.
    pub error: Option<ProviderError>,
    /// What the call was charged; none when it brought nothing.
    pub charged: Option<Charged>,
}

impl CallEnd {
    /// Whether every text has its translation.
    pub fn has_all(&self) -> bool {
        let mut items = self.items.iter();
        items.all(|item| matches!(item.result, Some(Ok(_))))
    }
}

/// How one text of a call ended.
#[derive(Debug)]
pub struct ItemEnd {
    /// Who it is.
    pub token: u64,
    /// The translation, or what was wrong; none when the error of the call is why.
    pub result: Option<Result<Rendered, Trouble>>,
    /// The duty to the cache, where it is not yet fulfilled.
    pub duty: Option<Duty>,
}

/// A translation as it was wanted.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The translation, its text with placeholders.
    pub translation: Arc<Translation>,
    /// The same text with the spans of the text itself.
    pub restored: Arc<str>,
}

/// What was wrong with one text of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// It did not come back, or not provably: send it in a smaller pack.
    Broken(&'static str),
    /// The answer was cut off before it: it needs more room.
    Cut,
    /// It is a whole translation, but not as it was wanted.
    Doubtful {
        /// What is wrong with it.
        fault: Fault,
        /// The translation, its text with the placeholders that came back; nobody was told of it.
        translation: Arc<Translation>,
    },
    /// It was refused, alone in its call.
    Refused(Failure),
}
