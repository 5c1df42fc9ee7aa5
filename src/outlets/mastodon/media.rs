//! Hands the media of a publication in, each once, before it is published.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use babelfeed_actors::domain::{Media, Publication, PublicationId};
use babelfeed_actors::logic::hex::hex;
use babelfeed_actors::ports::{Frozen, OutletError};
use log::warn;
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::MastodonOutlet;
use super::answer;
use super::server::MediaLimits;
use super::wire::{MediaAttributes, Medium, NewStatus};
use crate::http::download::{DownloadError, Downloaded};
use crate::http::{Method, Response};
use crate::outlets::words;

/// The most uploads that are remembered, so that what is frozen anew is not handed in anew.
const MAX_KNOWN: usize = 256;
/// How long servers keep what was handed in and is not attached to anything, at the least.
const KEPT: Duration = Duration::from_secs(6 * 3600);
/// The first wait for a medium that is being processed; the next ones double.
const FIRST_LOOK: Duration = Duration::from_millis(250);
/// How long one freezing waits for it in all; the outlet then rests, and looks again.
const PATIENCE: Duration = Duration::from_secs(20);
const REST: Duration = Duration::from_secs(15);
/// How long a medium may be processed before it is given up.
const LONGEST: Duration = Duration::from_secs(600);
/// How long handing one in may take at the least, whatever other calls may.
pub(super) const UPLOAD: Duration = Duration::from_secs(120);
/// The wait before a download or an upload is tried a second time, and no more.
const AGAIN: Duration = Duration::from_secs(1);

/// What became of the media of a publication.
#[derive(Debug, Default)]
pub(super) struct Attachments {
    /// The ids of those that are attached.
    pub(super) ids: Vec<String>,
    /// The addresses of the others.
    pub(super) links: Vec<String>,
}

/// What was handed in lately.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    known: RefCell<VecDeque<Upload>>,
    /// Publications whose media the server had lost.
    lost: RefCell<VecDeque<PublicationId>>,
}

#[derive(Clone, Debug)]
struct Upload {
    slot: Slot,
    url: String,
    state: State,
    at: Instant,
}

/// A place among the media of a post, which an edit of the post has as well: what is attached to a
/// status stays attached when that is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Slot {
    source: Arc<str>,
    post: Arc<str>,
    index: usize,
}

#[derive(Clone, Debug)]
enum State {
    /// The server has not finished with it.
    Processing(Handed),
    /// It can be attached.
    Ready(Handed),
    /// It cannot be had, or the server does not take it.
    Refused,
}

#[derive(Clone, Debug)]
struct Handed {
    id: String,
    group: Group,
}

/// What may stand beside what: four pictures, or one film or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Picture,
    Alone,
}

/// Media that are not attached at all.
pub(super) fn links(media: &[Media]) -> Attachments {
    Attachments {
        ids: Vec::new(),
        links: media.iter().map(|medium| medium.url.clone()).collect(),
    }
}

/// Hands in as many media as the server takes; the others become links.
///
/// # Errors
/// When the server cannot take anything now.
pub(super) async fn attach(
    outlet: &MastodonOutlet,
    publication: &Publication,
    media: &[Media],
    limits: &MediaLimits,
) -> Result<Attachments, OutletError> {
    let mut attachments = Attachments::default();
    let mut is_full = limits.max == 0;
    for (index, medium) in media.iter().enumerate() {
        let is_first = attachments.ids.is_empty();
        let handed = match is_full {
            true => None,
            false => hand_in_once(outlet, publication, index, medium, limits).await?,
        };
        match handed {
            Some(handed) if handed.group == Group::Picture || is_first => {
                is_full = handed.group == Group::Alone || attachments.ids.len() + 1 >= limits.max;
                attachments.ids.push(handed.id);
            }
            _ => attachments.links.push(medium.url.clone()),
        }
    }
    Ok(attachments)
}

/// Hands a medium in, unless that was done, and waits until the server has finished with it;
/// none where it cannot be attached.
async fn hand_in_once(
    outlet: &MastodonOutlet,
    publication: &Publication,
    index: usize,
    medium: &Media,
    limits: &MediaLimits,
) -> Result<Option<Handed>, OutletError> {
    let uploads = &outlet.uploads;
    let slot = Slot {
        source: Arc::clone(&publication.source),
        post: Arc::clone(&publication.post),
        index,
    };
    let mut upload = match uploads.find(&slot, &medium.url) {
        Some(upload) => upload,
        None => Upload {
            slot,
            url: medium.url.clone(),
            state: hand_in(outlet, publication.id, medium, limits).await?,
            at: Instant::now(),
        },
    };
    uploads.note(upload.clone());
    if let State::Processing(handed) = upload.state.clone() {
        upload.state = processed(outlet, publication.id, &upload, handed).await?;
        uploads.note(upload.clone());
    }
    Ok(match upload.state {
        State::Ready(handed) => Some(handed),
        State::Processing(_) | State::Refused => None,
    })
}

async fn hand_in(
    outlet: &MastodonOutlet,
    publication: PublicationId,
    medium: &Media,
    limits: &MediaLimits,
) -> Result<State, OutletError> {
    let refused = |cause: &str| {
        warn!(publication:% = publication, url = medium.url.as_str(), cause = cause; "a medium cannot be attached, and becomes a link");
        Ok(State::Refused)
    };
    let file = match download(outlet, &medium.url, limits.max_file()).await {
        Ok(file) => file,
        Err(error) => return refused(&error.to_string()),
    };
    if !limits.takes(&file.mime) {
        return refused(&format!("the server does not take `{}`", file.mime));
    }
    if file.bytes.len() > limits.max_bytes(&file.mime) {
        return refused("it is larger than the server takes");
    }
    let alt = medium.alt.as_deref().unwrap_or_default();
    let body = Multipart::new(&file, &words::shortened(alt, limits.description));
    let mut response = upload(outlet, &body).await?;
    if response.status == 500 {
        // What the server says when it stumbles over one file, but also over anything else.
        sleep(AGAIN).await;
        response = upload(outlet, &body).await?;
    }
    let group = match file.mime.starts_with("image/") {
        true => Group::Picture,
        false => Group::Alone,
    };
    match response.status {
        400 | 404 | 405 | 410 | 413 | 415 | 422 | 500 | 501 => {
            refused(&answer::detail(&response, &outlet.exchange))
        }
        status => {
            let Medium { id } = answer::of_get(&response, &outlet.exchange)?;
            let handed = Handed { id, group };
            Ok(match status {
                202 => State::Processing(handed),
                _ => State::Ready(handed),
            })
        }
    }
}

async fn download(
    outlet: &MastodonOutlet,
    url: &str,
    max_bytes: usize,
) -> Result<Downloaded, DownloadError> {
    match outlet.downloader.fetch(url, max_bytes).await {
        Err(DownloadError::Unreachable { .. }) => {
            sleep(AGAIN).await;
            outlet.downloader.fetch(url, max_bytes).await
        }
        result => result,
    }
}

/// Handing in what is not published twice does no harm, so any failure leaves it undone.
async fn upload(outlet: &MastodonOutlet, body: &Multipart) -> Result<Response, OutletError> {
    let url = outlet.address("/api/v2/media")?;
    let headers = [
        ("authorization", outlet.authorization.expose()),
        ("content-type", body.kind.as_str()),
        ("accept", "application/json"),
    ];
    let body = body.bytes.clone();
    outlet
        .uploader
        .ask(Method::POST, &url, &headers, body)
        .await
}

/// Waits until the server has finished with a medium, and says what came of it.
async fn processed(
    outlet: &MastodonOutlet,
    publication: PublicationId,
    upload: &Upload,
    handed: Handed,
) -> Result<State, OutletError> {
    let begun = Instant::now();
    let mut wait = FIRST_LOOK;
    loop {
        let response = outlet.get(&format!("/api/v1/media/{}", handed.id)).await?;
        match response.status {
            206 => {}
            404 => {
                outlet.uploads.forget(&handed.id);
                return Err(OutletError::Unreachable {
                    detail: "the server has lost a medium that was handed in".to_owned(),
                });
            }
            422 => {
                let cause = answer::detail(&response, &outlet.exchange);
                warn!(publication:% = publication, url = upload.url.as_str(), cause = cause.as_str(); "a medium cannot be attached, and becomes a link");
                return Ok(State::Refused);
            }
            _ => {
                let Medium { .. } = answer::of_get(&response, &outlet.exchange)?;
                return Ok(State::Ready(handed));
            }
        }
        if upload.at.elapsed() > LONGEST {
            warn!(publication:% = publication, url = upload.url.as_str(), cause = "the server does not finish with it"; "a medium cannot be attached, and becomes a link");
            return Ok(State::Refused);
        }
        if begun.elapsed() + wait > PATIENCE {
            return Err(still_processing(REST));
        }
        sleep(wait).await;
        wait *= 2;
    }
}

/// What a refusal of a status means whose media may not be ready, or not be there any more: then
/// it is not final.
pub(super) async fn judge(
    outlet: &MastodonOutlet,
    part: &Frozen,
    status: &NewStatus,
    refusal: OutletError,
) -> OutletError {
    for id in &status.media_ids {
        let looked = outlet.get(&format!("/api/v1/media/{id}")).await;
        match looked.map(|response| response.status) {
            Ok(206) => {
                outlet.uploads.reopen(id);
                return still_processing(FIRST_LOOK * 8);
            }
            // Once: a server that does not show media at all would have them handed in for ever.
            Ok(404) if outlet.uploads.note_lost(part.dispatch.publication.id) => {
                for id in &status.media_ids {
                    outlet.uploads.forget(id);
                }
                return OutletError::Unreachable {
                    detail: "the server has lost a medium that was handed in".to_owned(),
                };
            }
            _ => {}
        }
    }
    refusal
}

/// The descriptions that the media of a changed publication have now, by their ids.
pub(super) fn attributes(part: &Frozen, ids: &[String]) -> Vec<MediaAttributes> {
    let attached = part.dispatch.publication.attached.as_deref();
    let media = attached.map_or(&[][..], |attached| &attached.media);
    // Only where each medium has its id is it known which one belongs to which.
    if media.len() != ids.len() {
        return Vec::new();
    }
    let of = |(medium, id): (&Media, &String)| MediaAttributes {
        id: id.clone(),
        description: medium.alt.clone().unwrap_or_default(),
    };
    media.iter().zip(ids).map(of).collect()
}

fn still_processing(wait: Duration) -> OutletError {
    OutletError::Busy {
        wait: Some(wait),
        detail: "the server has not finished with a medium".to_owned(),
    }
}

impl Uploads {
    fn find(&self, slot: &Slot, url: &str) -> Option<Upload> {
        let known = self.known.borrow();
        let mut matching = known.iter().filter(|it| it.slot == *slot && it.url == url);
        matching.next().filter(|it| it.at.elapsed() < KEPT).cloned()
    }

    fn note(&self, upload: Upload) {
        let mut known = self.known.borrow_mut();
        known.retain(|it| it.slot != upload.slot);
        if known.len() >= MAX_KNOWN {
            known.pop_front();
        }
        known.push_back(upload);
    }

    fn forget(&self, id: &str) {
        self.known.borrow_mut().retain(|it| it.id() != Some(id));
    }

    /// Notes that the server has lost media of a publication; false if it had before.
    fn note_lost(&self, publication: PublicationId) -> bool {
        let mut lost = self.lost.borrow_mut();
        if lost.contains(&publication) {
            return false;
        }
        if lost.len() >= MAX_KNOWN {
            lost.pop_front();
        }
        lost.push_back(publication);
        true
    }

    /// Looks again whether a medium is ready.
    fn reopen(&self, id: &str) {
        let mut known = self.known.borrow_mut();
        for upload in known.iter_mut().filter(|it| it.id() == Some(id)) {
            if let State::Ready(handed) = &upload.state {
                upload.state = State::Processing(handed.clone());
            }
        }
    }
}

impl Upload {
    fn id(&self) -> Option<&str> {
        match &self.state {
            State::Processing(handed) | State::Ready(handed) => Some(&handed.id),
            State::Refused => None,
        }
    }
}

/// A form with a file and its description (RFC 7578).
struct Multipart {
    kind: String,
    bytes: Bytes,
}

impl Multipart {
    fn new(file: &Downloaded, description: &str) -> Self {
        // A hash of all that is sent does not stand in it.
        let hash = Sha256::new()
            .chain_update(&file.bytes)
            .chain_update(description)
            .finalize();
        let boundary = hex(&hash[..16]);
        let mut bytes = Vec::with_capacity(file.bytes.len() + description.len() + 512);
        // What is another file has another name: snac2 knows files by their names alone.
        let name = file_name(&boundary, &file.mime);
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: {}\r\n\r\n",
            file.mime
        );
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(&file.bytes);
        if !description.is_empty() {
            let field = format!(
                "\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n\
                 {description}"
            );
            bytes.extend_from_slice(field.as_bytes());
        }
        bytes.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Self {
            kind: format!("multipart/form-data; boundary={boundary}"),
            bytes: bytes.into(),
        }
    }
}

/// A name for a file of that type: servers look at its ending as well.
fn file_name(stem: &str, mime: &str) -> String {
    let ending = match mime {
        "image/jpeg" => "jpg",
        "audio/mpeg" => "mp3",
        "video/quicktime" => "mov",
        other => other.rsplit('/').next().unwrap_or("bin"),
    };
    format!("{stem}.{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_description_are_parts_of_one_form() {
        let file = Downloaded {
            bytes: Bytes::from_static(b"\x89PNG"),
            mime: "image/png".into(),
        };
        let form = Multipart::new(&file, "un gato");
        let boundary = form.kind.rsplit('=').next().expect("a boundary");
        let text = String::from_utf8_lossy(&form.bytes);
        assert_eq!(text.matches(&format!("--{boundary}")).count(), 3);
        assert!(text.contains(&format!("filename=\"{boundary}.png\"")));
        assert!(text.contains("name=\"description\"\r\n\r\nun gato\r\n"));
        assert!(text.ends_with("--\r\n"));
        assert_ne!(form.kind, Multipart::new(&file, "dos gatos").kind);
    }
}
