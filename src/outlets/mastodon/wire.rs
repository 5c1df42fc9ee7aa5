//! What goes over the wire to Mastodon's API, and what comes back.

use babelfeed_actors::ports::{Dispatch, Frozen, OutletError};
use serde::{Deserialize, Serialize};

/// Who sees a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody, also in public timelines.
    Public,
    /// Everybody who looks for it.
    Unlisted,
    /// Followers.
    Private,
    /// Nobody but those it names.
    Direct,
}

/// A status as it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NewStatus {
    pub(super) status: String,
    pub(super) language: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) visibility: Option<Visibility>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) in_reply_to_id: Option<String>,
}

/// A status as it is answered.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) id: String,
    pub(super) url: Option<String>,
    pub(super) uri: Option<String>,
    #[serde(default)]
    pub(super) created_at: String,
    #[serde(default)]
    pub(super) content: String,
    pub(super) in_reply_to_id: Option<String>,
}

/// An account.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) id: String,
    /// Its name on its own server.
    #[serde(default)]
    pub(super) acct: String,
}

/// What a server says of itself, in version 1 or 2 of the API.
#[derive(Debug, Deserialize)]
pub(super) struct Instance {
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) source_url: String,
    #[serde(default)]
    pub(super) configuration: Configuration,
    /// Where servers of before the configuration told it.
    pub(super) max_toot_chars: Option<usize>,
}

/// What a server is set to.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Configuration {
    #[serde(default)]
    pub(super) statuses: Statuses,
}

/// The limits of a status.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Statuses {
    pub(super) max_characters: Option<usize>,
    pub(super) characters_reserved_per_url: Option<usize>,
}

/// A refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) error: String,
}

/// The exact body of a part.
pub(super) fn freeze(
    dispatch: Dispatch,
    visibility: Option<Visibility>,
    mark: u64,
) -> Result<Frozen, OutletError> {
    let publication = &dispatch.publication;
    let rejected = |detail: String| OutletError::Rejected { detail };
    let part = publication
        .parts
        .get(dispatch.part)
        .ok_or_else(|| rejected(format!("there is no part {}", dispatch.part)))?;
    let status = NewStatus {
        status: part.text.to_string(),
        // Mastodon takes ISO 639 codes, and replaces what it does not know by the account's own.
        language: publication.language.primary().to_owned(),
        visibility,
        in_reply_to_id: parent(&dispatch)?,
    };
    let bytes = serde_json::to_vec(&status)
        .map_err(|error| rejected(format!("the status cannot be written as JSON: {error}")))?;
    Ok(Frozen {
        key: format!("{}.{}", publication.id, dispatch.part).into(),
        bytes: bytes.into(),
        dispatch,
        mark,
    })
}

/// The status that a later part answers.
fn parent(dispatch: &Dispatch) -> Result<Option<String>, OutletError> {
    let Some(before) = dispatch.part.checked_sub(1) else {
        return Ok(None);
    };
    let id = dispatch.publication.parts[before].id.as_deref();
    id.map(|id| Some(id.to_owned()))
        .ok_or_else(|| OutletError::Rejected {
            detail: format!("part {} has no id to answer to", before + 1),
        })
}
