//! How statuses and the server itself are shown.

use std::time::{Duration, SystemTime};

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::{
    ACCOUNT, HOME, Keys, MAX_OPTION, MAX_OPTIONS, NAME, Node, Posted, found, media, strings, text,
};
use crate::simulators::server::Answer;

impl Node {
    pub(super) fn shown(&self, status: &Posted) -> Value {
        let at = |at: SystemTime| {
            let time = self.time(at);
            time.to_rfc3339_opts(SecondsFormat::Millis, true)
        };
        let posted_at = status.at.unwrap_or_else(SystemTime::now);
        let edited_at = posted_at + Duration::from_secs(u64::from(status.n_edits));
        let quoted_at = |id: &String| format!("{HOME}/@{NAME}/{id}");
        let content = match (&status.reblog, &status.quoted) {
            (Some(_), _) => String::new(),
            // For those who cannot show a quote.
            (None, Some(id)) => {
                let instead = text::html(&format!("RE: {}", quoted_at(id)));
                let instead = instead.replacen("<p>", "<p class=\"quote-inline\">", 1);
                format!("{instead}{}", text::html(&status.text))
            }
            (None, None) => text::html(&status.text),
        };
        let quote = status.quoted.as_ref().map(|id| {
            json!({"state": "accepted", "quoted_status": {
                "id": id,
                "url": quoted_at(id),
            }})
        });
        json!({
            "id": status.id,
            "created_at": at(posted_at),
            "edited_at": (status.n_edits > 0).then(|| at(edited_at)),
            "in_reply_to_id": status.in_reply_to_id,
            "in_reply_to_account_id": status.in_reply_to_account_id,
            "sensitive": status.is_sensitive,
            "spoiler_text": status.warning.as_deref().unwrap_or_default(),
            "visibility": status.visibility.as_deref().unwrap_or("public"),
            "language": status.language,
            "uri": format!("{HOME}/users/{NAME}/statuses/{}", status.first_id.as_ref().unwrap_or(&status.id)),
            "url": format!("{HOME}/@{NAME}/{}", status.id),
            "content": content,
            "account": account(),
            "media_attachments": self.shown_media(&status.media),
            "mentions": text::mentions(&status.text),
            "poll": status.poll.as_ref().map(|poll| shown_poll(poll, &at(posted_at + Duration::from_secs(86_400)))),
            "quote": quote,
            "reblog": status.reblog,
        })
    }

    pub(super) fn instance(&self) -> Answer {
        let (version, source) = match self.keys {
            Keys::Kept => ("4.3.2", "https://github.com/mastodon/mastodon"),
            Keys::Ignored => ("0.19.1+git-1234", "https://codeberg.org/gotosocial"),
        };
        found(&json!({
            "domain": "simulated.example",
            "version": version,
            "source_url": source,
            "api_versions": {"mastodon": self.api_version},
            "configuration": {
                "statuses": {
                    "max_characters": self.max_characters,
                    "max_media_attachments": media::MAX_MEDIA,
                    "characters_reserved_per_url": 23,
                },
                "media_attachments": {
                    "supported_mime_types": media::TYPES,
                    "image_size_limit": media::MAX_IMAGE,
                    "video_size_limit": media::MAX_VIDEO,
                    "description_limit": media::MAX_DESCRIPTION,
                },
                "polls": {
                    "max_options": MAX_OPTIONS,
                    "max_characters_per_option": MAX_OPTION,
                    "min_expiration": 300,
                    "max_expiration": 2_629_746,
                },
            },
        }))
    }
}

pub(super) fn account() -> Value {
    json!({
        "id": ACCOUNT,
        "username": NAME,
        "acct": NAME,
        "url": format!("{HOME}/@{NAME}"),
    })
}

fn shown_poll(poll: &Value, expires_at: &str) -> Value {
    let options = strings(&poll["options"]);
    let options = options
        .iter()
        .map(|title| json!({"title": title, "votes_count": 0}));
    json!({
        "id": "7",
        "expires_at": expires_at,
        "multiple": poll["multiple"].as_bool().unwrap_or_default(),
        "options": options.collect::<Vec<_>>(),
    })
}
