//! What goes over the wire to Mastodon's API, and what comes back.

use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::ports::{Dispatch, Frozen, OutletError};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::attach::Hung;
use super::language;
use crate::outlets::part;

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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct NewStatus {
    pub(super) status: String,
    pub(super) language: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) visibility: Option<Visibility>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) in_reply_to_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) spoiler_text: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) sensitive: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) media_ids: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) poll: Option<NewPoll>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) quoted_status_id: Option<String>,
    /// When the server publishes it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scheduled_at: Option<String>,
}

/// A poll as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NewPoll {
    pub(super) options: Vec<String>,
    /// In seconds.
    pub(super) expires_in: u64,
    pub(super) multiple: bool,
}

/// What a status is changed to. What it answers and quotes, and who sees it, stays.
#[derive(Debug, Serialize)]
pub(super) struct ChangedStatus {
    status: String,
    language: String,
    /// Sent empty as well: a warning can also be taken away.
    spoiler_text: String,
    sensitive: bool,
    media_ids: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    media_attributes: Vec<MediaAttributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<NewPoll>,
}

/// What a medium is changed to.
#[derive(Debug, Serialize)]
pub(super) struct MediaAttributes {
    pub(super) id: String,
    pub(super) description: String,
}

impl ChangedStatus {
    /// The change to that status, with these descriptions of its media.
    pub(super) fn to(new: NewStatus, media_attributes: Vec<MediaAttributes>) -> Self {
        Self {
            status: new.status,
            language: new.language,
            spoiler_text: new.spoiler_text.unwrap_or_default(),
            sensitive: new.sensitive,
            media_ids: new.media_ids,
            media_attributes,
            poll: new.poll,
        }
    }
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
    /// As it was written, where the server shows that.
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) spoiler_text: String,
    pub(super) in_reply_to_id: Option<String>,
    #[serde(default)]
    pub(super) media_attachments: Vec<IgnoredAny>,
    /// When it is published, if it is not yet; the id is then none of a status.
    #[serde(default)]
    pub(super) scheduled_at: Option<String>,
}

/// A status that the server publishes by itself at its time.
#[derive(Debug, Deserialize)]
pub(super) struct Scheduled {
    pub(super) id: String,
    pub(super) scheduled_at: String,
    #[serde(default)]
    pub(super) params: Params,
}

/// What such a status is made of.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Params {
    pub(super) text: Option<String>,
    pub(super) spoiler_text: Option<String>,
}

/// A medium that was handed in.
#[derive(Debug, Deserialize)]
pub(super) struct Medium {
    pub(super) id: String,
}

/// An account.
#[derive(Clone, Debug, Deserialize)]
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
    #[serde(default)]
    pub(super) api_versions: ApiVersions,
    /// Where servers of before the configuration told it.
    pub(super) max_toot_chars: Option<usize>,
}

/// Which versions of which APIs a server speaks.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ApiVersions {
    pub(super) mastodon: Option<u32>,
}

/// What a server is set to.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Configuration {
    #[serde(default)]
    pub(super) statuses: Statuses,
    #[serde(default)]
    pub(super) media_attachments: MediaAttachments,
    #[serde(default)]
    pub(super) polls: Polls,
}

/// The limits of a status.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Statuses {
    pub(super) max_characters: Option<usize>,
    pub(super) characters_reserved_per_url: Option<usize>,
    pub(super) max_media_attachments: Option<usize>,
}

/// The limits of what is attached.
#[derive(Debug, Default, Deserialize)]
pub(super) struct MediaAttachments {
    pub(super) image_size_limit: Option<usize>,
    pub(super) video_size_limit: Option<usize>,
    pub(super) description_limit: Option<usize>,
    pub(super) supported_mime_types: Option<Vec<String>>,
}

/// The limits of a poll.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Polls {
    pub(super) max_options: Option<usize>,
    pub(super) max_characters_per_option: Option<usize>,
    pub(super) min_expiration: Option<u64>,
    pub(super) max_expiration: Option<u64>,
}

/// A refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) error: String,
}

/// The exact body of a part, with what hangs on it.
pub(super) fn freeze(
    dispatch: Dispatch,
    hung: Hung,
    visibility: Option<Visibility>,
    scheduled_at: Option<Timestamp>,
    mark: u64,
) -> Result<Frozen, OutletError> {
    let publication = &dispatch.publication;
    let status = NewStatus {
        status: format!("{}{}", part::text(&dispatch)?, hung.appendix),
        language: language::code(&publication.language),
        visibility,
        in_reply_to_id: part::parent(&dispatch)?.map(str::to_owned),
        sensitive: hung.is_sensitive,
        spoiler_text: hung.warning,
        media_ids: hung.media,
        poll: hung.poll,
        quoted_status_id: hung.quoted,
        scheduled_at: scheduled_at.map(|at| at.to_string()),
    };
    Ok(Frozen {
        key: part::key(&dispatch).into(),
        bytes: part::json(&status)?.into(),
        dispatch,
        mark,
    })
}
