//! What a receiver is told: a part of a publication as JSON.

use babelfeed_actors::domain::{Attached, Media, Poll};
use babelfeed_actors::ports::{Dispatch, OutletError};
use serde::{Deserialize, Serialize};

use crate::outlets::part;

/// What happened to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Event {
    Published,
    Edited,
    Deleted,
}

/// A part that is new, or new in its words.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) event: Event,
    /// The same however often the part is sent, and what a deletion names.
    key: String,
    task: Task,
    publication: Publication,
}

/// A part that is to be taken back.
#[derive(Debug, Serialize)]
pub(super) struct Deletion<'a> {
    pub(super) event: Event,
    pub(super) key: &'a str,
}

/// One request in one language.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    id: String,
    request: String,
    /// The source's name, or `requests`.
    source: String,
    /// The post's id; of a request its key, or its id.
    post: String,
    language: String,
}

/// That task at this outlet.
#[derive(Debug, Serialize, Deserialize)]
struct Publication {
    id: String,
    outlet: String,
    /// Which of its parts this is, from 0.
    part: usize,
    parts: usize,
    text: String,
    /// Where people read the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    at: String,
    /// The key of the part that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attached: Option<Hanging>,
}

/// What hangs on a text.
#[derive(Debug, Serialize, Deserialize)]
struct Hanging {
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    sensitive: bool,
    media: Vec<Medium>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<Question>,
    /// Where people read the post that is quoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    quoted: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Medium {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alt: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    options: Vec<String>,
    multiple: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    lasts_s: Option<u64>,
}

/// A part as its receiver gets it.
pub(super) fn delivery(dispatch: &Dispatch) -> Result<Delivery, OutletError> {
    let publication = &dispatch.publication;
    let task = publication.id.task();
    Ok(Delivery {
        event: Event::Published,
        key: part::key(dispatch),
        task: Task {
            id: task.to_string(),
            request: task.request().to_string(),
            source: publication.source.to_string(),
            post: publication.post.to_string(),
            language: publication.language.to_string(),
        },
        publication: Publication {
            id: publication.id.to_string(),
            outlet: publication.outlet.to_string(),
            part: dispatch.part,
            parts: publication.parts.len(),
            text: part::text(dispatch)?.to_owned(),
            url: publication.url.as_deref().map(str::to_owned),
            at: publication.created_at.to_string(),
            answers: part::parent(dispatch)?.map(str::to_owned),
            attached: part::attached(dispatch).map(Hanging::of),
        },
    })
}

impl Hanging {
    fn of(attached: &Attached) -> Self {
        Self {
            warning: attached.warning.as_deref().map(str::to_owned),
            sensitive: attached.is_sensitive,
            media: attached.media.iter().map(Medium::of).collect(),
            poll: attached.poll.as_ref().map(Question::of),
            quoted: attached.quoted.as_deref().map(str::to_owned),
        }
    }
}

impl Medium {
    fn of(media: &Media) -> Self {
        Self {
            url: media.url.clone(),
            mime: media.mime.clone(),
            alt: media.alt.clone(),
        }
    }
}

impl Question {
    fn of(poll: &Poll) -> Self {
        Self {
            options: poll.options.clone(),
            multiple: poll.is_multiple,
            lasts_s: poll.lasts.map(|lasts| lasts.as_secs()),
        }
    }
}
