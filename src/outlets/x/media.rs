//! Media on their way from where they are to X.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::domain::{Attached, Media, PublicationId};
use babelfeed_actors::ports::OutletError;
use log::warn;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::answer::ask;
use super::wire::Data;
use super::{MAX_PARTS, XOutlet};
use crate::http::download::{DownloadError, Downloaded};
use crate::outlets::{part, words};
use crate::x::{Api, Content, Question};

/// The most pictures of a post; of films and animations there is one.
const MAX_PICTURES: usize = 4;
/// The most bytes of a picture, of an animation and of a film.
const PICTURE: usize = 5_000_000;
const ANIMATION: usize = 15_000_000;
const FILM: usize = 512_000_000;
/// The most characters that say what a picture shows.
const MAX_ALT: usize = 1_000;
/// How much of a large file goes at once.
const SEGMENT: usize = 4_000_000;
/// How long X may take to make a film ready.
const PATIENCE: Duration = Duration::from_secs(120);

/// What X makes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Category {
    Picture,
    Animation,
    Film,
}

#[derive(Deserialize)]
struct Upload {
    id: String,
    processing_info: Option<Processing>,
}

#[derive(Deserialize)]
struct Processing {
    state: String,
    #[serde(default)]
    check_after_secs: u64,
}

impl Category {
    fn of(mime: &str) -> Option<Self> {
        match mime {
            "image/jpeg" | "image/png" | "image/webp" => Some(Self::Picture),
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

    const fn most(self) -> usize {
        match self {
            Self::Picture => PICTURE,
            Self::Animation => ANIMATION,
            Self::Film => FILM,
        }
    }
}

/// What was uploaded for parts that are not out yet.
#[derive(Default)]
pub(super) struct Uploads(RefCell<VecDeque<(Arc<str>, Uploaded)>>);

/// What was uploaded for one part.
#[derive(Clone, Default)]
struct Uploaded {
    ids: Vec<String>,
    category: Option<Category>,
    /// Whether nothing more goes up.
    is_whole: bool,
}

impl Uploads {
    /// Forgets what was uploaded for a part.
    pub(super) fn forget(&self, key: &Arc<str>) {
        self.0.borrow_mut().retain(|it| it.0 != *key);
    }

    fn of(&self, key: &Arc<str>) -> Uploaded {
        let uploads = self.0.borrow();
        let known = uploads.iter().find(|it| it.0 == *key);
        known.map(|it| it.1.clone()).unwrap_or_default()
    }

    fn note(&self, key: &Arc<str>, uploaded: &Uploaded) {
        self.forget(key);
        let mut uploads = self.0.borrow_mut();
        if uploads.len() >= MAX_PARTS {
            uploads.pop_front();
        }
        uploads.push_back((Arc::clone(key), uploaded.clone()));
    }
}

impl XOutlet {
    /// Fetches and uploads what is attached to a part, as far as one post of X takes it and it is
    /// not there already, with what is said of it, and returns its ids.
    ///
    /// # Errors
    /// When something cannot be had, or is refused.
    pub(super) async fn uploaded(
        &self,
        publication: PublicationId,
        key: &Arc<str>,
        attached: &Attached,
    ) -> Result<Vec<String>, OutletError> {
        let mut uploaded = self.uploads.of(key);
        while let Some(medium) = attached.media.get(uploaded.ids.len()) {
            uploaded.is_whole |= match uploaded.category {
                None => false,
                Some(Category::Picture) => uploaded.ids.len() == MAX_PICTURES,
                Some(Category::Animation | Category::Film) => true,
            };
            if uploaded.is_whole {
                break;
            }
            let file = self.fetched(publication, medium).await?;
            let category = categorized(&file, &medium.url)?;
            if *uploaded.category.get_or_insert(category) != category {
                uploaded.is_whole = true;
                self.uploads.note(key, &uploaded);
                break;
            }
            let upload = match category {
                Category::Picture => upload_at_once(&self.api, category, &file).await?,
                Category::Animation | Category::Film => {
                    upload_in_segments(&self.api, category, &file).await?
                }
            };
            let id = self.finished(publication, upload).await?;
            describe(&self.api, &id, words::alt(medium), attached.is_sensitive).await?;
            uploaded.ids.push(id);
            // Each is noted for itself: what is said of it is paid for.
            self.uploads.note(key, &uploaded);
        }
        self.failures.forget(publication);
        if uploaded.ids.len() < attached.media.len() {
            warn!(
                attached = attached.media.len(), uploaded = uploaded.ids.len();
                "a post has more media than X takes with one"
            );
        }
        Ok(uploaded.ids)
    }

    async fn fetched(
        &self,
        publication: PublicationId,
        medium: &Media,
    ) -> Result<Downloaded, OutletError> {
        let file = self.downloader.fetch(&medium.url, FILM).await;
        file.map_err(|error| {
            let detail = format!("a medium: {error}");
            match error {
                DownloadError::Unreachable { .. } => self.not_ready(publication, detail),
                DownloadError::Refused { .. } => part::rejected(detail),
            }
        })
    }

    /// What it means that a medium is not there now: it is waited for, but not for ever, because
    /// what comes behind it waits as well.
    fn not_ready(&self, publication: PublicationId, detail: String) -> OutletError {
        match self.failures.waits(publication) {
            true => OutletError::Unreachable { detail },
            false => part::rejected(detail),
        }
    }

    /// The id of an upload, once X has made it ready.
    async fn finished(
        &self,
        publication: PublicationId,
        mut upload: Upload,
    ) -> Result<String, OutletError> {
        let deadline = Instant::now() + PATIENCE;
        while let Some(processing) = &upload.processing_info {
            match processing.state.as_str() {
                "succeeded" => break,
                "failed" => {
                    return Err(part::rejected("X cannot make a medium ready".to_owned()));
                }
                _ if Instant::now() >= deadline => {
                    let detail = format!("X did not make a medium ready within {PATIENCE:?}");
                    return Err(self.not_ready(publication, detail));
                }
                _ => sleep(Duration::from_secs(processing.check_after_secs.max(1))).await,
            }
            let query = [("command", "STATUS"), ("media_id", upload.id.as_str())];
            let question = Question::get("/2/media/upload", &query);
            let status: Data<Upload> = ask(&self.api, question).await?;
            upload = status.data;
        }
        Ok(upload.id)
    }
}

/// How many of the media that go up something is said of, which costs; as far as can be told
/// before they are fetched, which ones go up.
pub(super) fn n_described(attached: &Attached) -> usize {
    let mut first = None;
    let together = attached.media.iter().take_while(|medium| {
        let category = expected(medium);
        *first.get_or_insert(category) == category
    });
    let most = match attached.media.first().map(expected) {
        Some(Category::Animation | Category::Film) => 1,
        Some(Category::Picture) | None => MAX_PICTURES,
    };
    let described = together
        .take(most)
        .filter(|it| attached.is_sensitive || words::alt(it).is_some());
    described.count()
}

/// What X will make of a medium, by its type or else by the end of its address.
fn expected(medium: &Media) -> Category {
    let told = medium.mime.as_deref().and_then(Category::of);
    told.unwrap_or_else(|| {
        let path = medium.url.split(['?', '#']).next().unwrap_or_default();
        let end = path.rsplit('.').next().unwrap_or_default().to_lowercase();
        match end.as_str() {
            "gif" => Category::Animation,
            "mp4" | "mov" => Category::Film,
            _ => Category::Picture,
        }
    })
}

fn categorized(file: &Downloaded, url: &str) -> Result<Category, OutletError> {
    let category = Category::of(&file.mime).ok_or_else(|| {
        part::rejected(format!("`{url}` is {}, which X does not take", file.mime))
    })?;
    let (n_bytes, most) = (file.bytes.len(), category.most());
    if n_bytes > most {
        return Err(part::rejected(format!(
            "`{url}` has {n_bytes} bytes, X takes at most {most}"
        )));
    }
    Ok(category)
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
async fn describe(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_goes_up_is_counted_as_described() {
        let n = |names: &[&str]| {
            let media = names.iter().map(|name| Media {
                url: format!("https://example.org/{name}"),
                mime: None,
                alt: Some("A boat".to_owned()),
            });
            n_described(&Attached {
                media: media.collect(),
                ..Attached::default()
            })
        };
        for (names, expected) in [
            (&["1.png", "2.jpg"][..], 2),
            (&["1.png"; 6], 4),
            (&["1.mp4", "1.png", "2.png", "3.png"], 1),
            (&["1.png", "1.mp4", "2.png"], 1),
            (&["1.gif?w=3", "2.gif"], 1),
            (&[], 0),
        ] {
            assert_eq!(n(names), expected, "{names:?}");
        }
    }
}
