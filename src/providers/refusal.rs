//! What the status of an answer means where the kind of provider knows nothing better.

use std::time::Duration;

use babelfeed_actors::ports::ProviderError;

use super::wire::{ErrorBody, excerpt};
use crate::secret::Secret;

/// An answer that is an error, with everything that decides what it means.
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    pub(super) body: ErrorBody,
    /// The wait that its headers ask for.
    pub(super) wait: Option<Duration>,
    /// What must not stand in the detail.
    pub(super) secret: Option<&'a Secret>,
}

impl Refusal<'_> {
    /// What a person reads: the status and the message, without the credential.
    pub(super) fn detail(&self) -> String {
        let message = self.secret.map_or_else(
            || self.body.message.clone(),
            |secret| secret.hide_in(&self.body.message),
        );
        if message.is_empty() {
            return format!("status {}", self.status);
        }
        format!("status {}: {}", self.status, excerpt(&message))
    }

    /// The error that the status alone stands for.
    pub(super) fn by_status(&self) -> ProviderError {
        let detail = self.detail();
        match self.status {
            402 => ProviderError::Billing { detail },
            // A wrong address, like a wrong key, is mended by a person.
            300..=399 | 401 | 403 | 404 | 405 | 407 => ProviderError::Auth { detail },
            413 | 414 => ProviderError::TooLarge { detail },
            429 => self.rate_limited(),
            // 498: Groq's flexible tier is full; 499: somebody on the way hung up.
            408 | 409 | 421 | 424 | 425 | 498 | 499 => self.transient(),
            400..=499 => ProviderError::Invalid { detail },
            _ => self.transient(),
        }
    }

    pub(super) fn rate_limited(&self) -> ProviderError {
        ProviderError::RateLimited {
            wait: self.wait,
            detail: self.detail(),
        }
    }

    pub(super) fn transient(&self) -> ProviderError {
        ProviderError::Transient {
            detail: self.detail(),
            wait: self.wait,
        }
    }
}
