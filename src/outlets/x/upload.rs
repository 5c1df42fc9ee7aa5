//! How a file goes up to X.

use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::ports::OutletError;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::answer::ask;
use super::wire::Data;
use crate::http::download::Downloaded;
use crate::outlets::{part, words};
use crate::x::{Api, Content, Question};

/// The most bytes of a picture, of an animation and of a film.
const PICTURE: usize = 5_000_000;
const ANIMATION: usize = 15_000_000;
pub(super) const FILM: usize = 512_000_000;
/// The most characters that say what a picture shows.
const MAX_ALT: usize = 1_000;
/// How much of a large file goes at once.
const SEGMENT: usize = 4_000_000;
/// How long X may take to make a film ready; then it is asked again later.
const PATIENCE: Duration = Duration::from_secs(120);

/// What X makes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    Picture,
    Animation,
    Film,
}

/// A file that X has.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Upload {
    pub(super) id: String,
    processing_info: Option<Processing>,
}

#[derive(Clone, Debug, Deserialize)]
struct Processing {
    state: String,
    #[serde(default)]
    check_after_secs: u64,
}

impl Category {
    /// What X makes of a file of that type; nothing, where it does not take it.
    pub(super) fn of(mime: &str) -> Option<Self> {
        match mime {
            "image/jpeg" | "image/jpg" | "image/png" | "image/webp" => Some(Self::Picture),
            "image/gif" => Some(Self::Animation),
            "video/mp4" | "video/quicktime" => Some(Self::Film),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Picture => "tweet_image",
            Self::Animation => "tweet_gif",
            Self::Film => "tweet_video",
        }
    }

    /// The most bytes that it may have.
    pub(super) const fn most(self) -> usize {
        match self {
            Self::Picture => PICTURE,
            Self::Animation => ANIMATION,
            Self::Film => FILM,
        }
    }
}

/// Hands a file over to X.
///
/// # Errors
/// When X does not take it, or not now.
pub(super) async fn upload(
    api: &Api,
    category: Category,
    file: &Downloaded,
) -> Result<Upload, OutletError> {
    match category {
        Category::Picture => upload_at_once(api, category, file).await,
        Category::Animation | Category::Film => upload_in_segments(api, category, file).await,
    }
}

/// Waits until X has made a file ready; none where it takes longer than it is waited for.
///
/// # Errors
/// When X cannot make it ready, or does not answer.
pub(super) async fn make_ready(
    api: &Api,
    mut upload: Upload,
) -> Result<Option<String>, OutletError> {
    let deadline = Instant::now() + PATIENCE;
    while let Some(processing) = &upload.processing_info {
        match processing.state.as_str() {
            "succeeded" => break,
            "failed" => {
                return Err(part::rejected("X cannot make a medium ready".to_owned()));
            }
            _ if Instant::now() >= deadline => return Ok(None),
            _ => sleep(Duration::from_secs(processing.check_after_secs.max(1))).await,
        }
        let query = [("command", "STATUS"), ("media_id", upload.id.as_str())];
        let status: Data<Upload> = ask(api, Question::get("/2/media/upload", &query)).await?;
        upload = status.data;
    }
    Ok(Some(upload.id))
}

async fn upload_at_once(
    api: &Api,
    category: Category,
    file: &Downloaded,
) -> Result<Upload, OutletError> {
    let content = multipart(
        &[("media_category", category.name())],
        &file.bytes,
        &file.mime,
    );
    let upload: Data<Upload> = ask(api, Question::post("/2/media/upload", content)).await?;
    Ok(upload.data)
}

async fn upload_in_segments(
    api: &Api,
    category: Category,
    file: &Downloaded,
) -> Result<Upload, OutletError> {
    let beginning = json!({
        "media_type": file.mime,
        "total_bytes": file.bytes.len(),
        "media_category": category.name(),
    });
    let question = Question::post("/2/media/upload/initialize", as_json(&beginning));
    let begun: Data<Upload> = ask(api, question).await?;
    let id = begun.data.id;
    for (number, start) in (0..file.bytes.len()).step_by(SEGMENT).enumerate() {
        let segment = file
            .bytes
            .slice(start..file.bytes.len().min(start + SEGMENT));
        let number = number.to_string();
        let content = multipart(&[("segment_index", &number)], &segment, &file.mime);
        let path = format!("/2/media/upload/{id}/append");
        let _: serde_json::Value = ask(api, Question::post(&path, content)).await?;
    }
    let path = format!("/2/media/upload/{id}/finalize");
    let upload: Data<Upload> = ask(api, Question::post(&path, Content::Nothing)).await?;
    Ok(upload.data)
}

/// Says what a medium shows, and whether it is to be hidden until asked for.
///
/// # Errors
/// When X does not take that, or not now.
pub(super) async fn describe(
    api: &Api,
    id: &str,
    alt: Option<&str>,
    is_sensitive: bool,
) -> Result<(), OutletError> {
    let mut metadata = serde_json::Map::new();
    if let Some(alt) = alt {
        metadata.insert(
            "alt_text".into(),
            json!({"text": words::shortened(alt, MAX_ALT)}),
        );
    }
    if is_sensitive {
        metadata.insert("sensitive_media_warning".into(), json!({"other": true}));
    }
    if metadata.is_empty() {
        return Ok(());
    }
    let content = as_json(&json!({"id": id, "metadata": metadata}));
    let _: serde_json::Value = ask(api, Question::post("/2/media/metadata", content)).await?;
    Ok(())
}

fn as_json(value: &serde_json::Value) -> Content {
    Content::Json(Bytes::from(value.to_string()))
}

/// A form with those fields and a file.
fn multipart(fields: &[(&str, &str)], file: &[u8], mime: &str) -> Content {
    let boundary = format!("babelfeed-{}", uuid::Uuid::now_v7().simple());
    let mut body = Vec::with_capacity(file.len() + 1_000);
    for (name, value) in fields {
        body.extend_from_slice(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
            .as_bytes(),
        );
    }
    body.extend_from_slice(
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"media\"; \
             filename=\"media\"\r\nContent-Type: {mime}\r\n\r\n"
        )
        .as_bytes(),
    );
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={boundary}");
    Content::Other(kind, Bytes::from(body))
}
