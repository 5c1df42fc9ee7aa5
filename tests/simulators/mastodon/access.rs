//! Who may ask, how often, and for what.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Node, Posted, failure};
use crate::simulators::server::{Answer, Request};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The account.
    Account,
    /// Somebody without a token.
    Nobody,
    /// Somebody with a token that is none.
    Stranger,
}

impl Node {
    pub(super) fn access(&self, request: &Request) -> Access {
        match request.headers.get("authorization") {
            None => Access::Nobody,
            Some(token) if *token == format!("Bearer {}", self.token) => Access::Account,
            Some(_) => Access::Stranger,
        }
    }

    /// The refusal of a request too many.
    pub(super) fn beyond_budget(&mut self) -> Option<Answer> {
        let (left, seconds) = self.budget.as_mut()?;
        let reset = DateTime::<Utc>::from(SystemTime::now())
            + chrono::Duration::seconds(self.lead + *seconds);
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let reset = reset.to_rfc3339_opts(SecondsFormat::Micros, true);
        Some(
            failure(429, "Too many requests")
                .with("X-RateLimit-Limit", "300")
                .with("X-RateLimit-Remaining", "0")
                .with("X-RateLimit-Reset", reset),
        )
    }
}

/// Whether a route can be read without an account.
pub(super) fn is_public(path: &str) -> bool {
    let is_account = path.starts_with("/api/v1/accounts/") && !path.ends_with("verify_credentials");
    is_account || path.starts_with("/api/v1/statuses/")
}

pub(super) fn is_visible(status: &Posted, access: Access) -> bool {
    let visibility = status.visibility.as_deref();
    access == Access::Account || matches!(visibility, None | Some("public" | "unlisted"))
}
