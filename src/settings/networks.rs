//! Names where posts have their ids, so that a source knows what an outlet published there.

use super::items::without_scheme;
use super::{OutletKind, SourceKind};

impl SourceKind {
    /// Where the ids of its posts mean something; none where publications of ours tell of
    /// themselves, or are never read.
    pub fn network(&self) -> Option<String> {
        match self {
            Self::Mastodon { base_url, .. } => Some(mastodon(base_url)),
            Self::X(_) => Some(X.to_owned()),
            Self::Feed(_) | Self::File(_) | Self::Bluesky { .. } => None,
        }
    }
}

impl OutletKind {
    /// Where the ids of what it publishes mean something, in the same words.
    pub fn network(&self) -> Option<String> {
        match self {
            Self::Mastodon { base_url, .. } => Some(mastodon(base_url)),
            Self::X(_) => Some(X.to_owned()),
            Self::File { .. }
            | Self::Feed { .. }
            | Self::Bluesky { .. }
            | Self::Telegram { .. }
            | Self::Discord { .. }
            | Self::Slack { .. }
            | Self::Webhook { .. } => None,
        }
    }
}

/// All of X.
const X: &str = "x";

/// One server; it stays the same where it turns to `https`.
fn mastodon(base_url: &str) -> String {
    format!("mastodon {}", without_scheme(base_url).to_lowercase())
}
