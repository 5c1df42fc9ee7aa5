//! What Mastodon's API shows of accounts and statuses.

use serde::Deserialize;

/// An account.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Account {
    pub(super) id: String,
    /// With the host, unless it is the server's own.
    #[serde(default)]
    pub(super) acct: String,
    /// What it says of itself, as HTML.
    #[serde(default)]
    pub(super) note: Option<String>,
}

/// A status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) id: String,
    pub(super) uri: Option<String>,
    pub(super) url: Option<String>,
    pub(super) account: Account,
    pub(super) created_at: Option<String>,
    pub(super) edited_at: Option<String>,
    pub(super) language: Option<String>,
    pub(super) visibility: Option<String>,
    pub(super) sensitive: bool,
    pub(super) spoiler_text: Option<String>,
    pub(super) content: Option<String>,
    pub(super) in_reply_to_id: Option<String>,
    pub(super) in_reply_to_account_id: Option<String>,
    pub(super) media_attachments: Vec<Medium>,
    pub(super) mentions: Vec<Mention>,
    pub(super) poll: Option<Poll>,
    pub(super) quote: Option<Quote>,
    pub(super) reblog: Option<Box<Status>>,
}

impl Status {
    /// What tells it from all others, whatever id it has.
    pub(super) fn identity(&self) -> &str {
        self.uri.as_deref().unwrap_or(&self.id)
    }

    /// Where people read it.
    pub(super) fn address(&self) -> Option<&str> {
        self.url.as_deref().or(self.uri.as_deref())
    }
}

/// Something attached to a status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Medium {
    pub(super) url: Option<String>,
    pub(super) remote_url: Option<String>,
    pub(super) description: Option<String>,
}

/// Somebody whom a status names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Mention {
    pub(super) username: String,
    pub(super) acct: String,
    pub(super) url: Option<String>,
}

/// A question to the readers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Poll {
    pub(super) expires_at: Option<String>,
    pub(super) multiple: bool,
    pub(super) options: Vec<Choice>,
}

/// What can be chosen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    pub(super) title: String,
}

/// A quote of another status, which may be hidden.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Quote {
    pub(super) quoted_status: Option<Box<Status>>,
}

/// Where streams are, in both versions of the API.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Instance {
    pub(super) configuration: Configuration,
    pub(super) urls: Urls,
}

/// What a server is set to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Configuration {
    pub(super) urls: Urls,
}

/// Addresses of a server.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Urls {
    pub(super) streaming: Option<String>,
    pub(super) streaming_api: Option<String>,
}

/// A refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) error: String,
}
