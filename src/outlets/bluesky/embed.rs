//! What hangs on a post: pictures, a card for a link, a quoted post.

use actix_web::web::Bytes;
use babelfeed_actors::domain::{Attached, Media, Publication, PublicationId};
use babelfeed_actors::logic::fit::{Displayed, FacetKind};
use babelfeed_actors::ports::OutletError;
use log::warn;
use serde_json::{Value, json};

use super::page::{Page, Pages};
use super::picture::{self, Picture};
use super::record::{Reference, Standing, Uploaded};
use super::{BlueskyConfig, BlueskyOutlet, answer};
use crate::atproto::{POSTS, PostPlace};
use crate::http::download::{DownloadError, Downloader};
use crate::http::xrpc::Body;
use crate::outlets::failures::Failures;

/// The most pictures of a post.
const MAX_PICTURES: usize = 4;
/// The most bytes of a picture, and of the picture of a card.
const MAX_PICTURE: usize = 2_000_000;
const MAX_THUMB: usize = 1_000_000;
/// What a file may have beyond that, since what cameras write into it is taken out.
const MAX_BESIDE: usize = 512 * 1024;

/// Gets what hangs on posts.
pub(super) struct Attachments {
    downloader: Downloader,
    pages: Pages,
    failures: Failures,
}

impl Attachments {
    pub(super) fn new(config: &BlueskyConfig) -> Self {
        Self {
            downloader: Downloader::new(&config.download),
            pages: Pages::new(&config.http, config.download.reach),
            failures: Failures::up_to(Failures::OF_DOWNLOADS),
        }
    }
}

impl BlueskyOutlet {
    /// What hangs on the first part of a publication.
    pub(super) async fn embed(
        &self,
        publication: &Publication,
        displayed: &Displayed,
    ) -> Result<Option<Value>, OutletError> {
        let nothing = Attached::default();
        let attached = publication.attached.as_deref().unwrap_or(&nothing);
        let quoted = match &attached.quoted_as {
            Some(id) => Some(Reference::of_id(id)?),
            None => self.quoted(attached.quoted.as_deref()).await?,
        };
        let pictures = self.pictures(publication.id, &attached.media).await?;
        self.attachments.failures.forget(publication.id);
        if !pictures.is_empty() {
            let pictures = json!({"$type": "app.bsky.embed.images", "images": pictures});
            return Ok(Some(with(pictures, quoted)));
        }
        // What cannot be shown here is shown where the post comes from.
        let is_elsewhere = !attached.media.is_empty() || attached.poll.is_some();
        let original = publication.url.as_deref().filter(|_| is_elsewhere);
        let unresolved = attached.quoted.as_deref().filter(|_| quoted.is_none());
        let link = original.or(unresolved).or(first_link(displayed));
        let card = match link {
            Some(link) => self.card(link, original.or(unresolved).is_some()).await?,
            None => None,
        };
        Ok(match (card, quoted) {
            (Some(card), quoted) => Some(with(card, quoted)),
            (None, Some(quoted)) => Some(as_record(&quoted)),
            (None, None) => None,
        })
    }

    /// The pictures that can be shown, uploaded.
    async fn pictures(
        &self,
        publication: PublicationId,
        media: &[Media],
    ) -> Result<Vec<Value>, OutletError> {
        let mut pictures = Vec::new();
        for it in media {
            if pictures.len() == MAX_PICTURES {
                warn!(publication:% = publication, media = it.url.as_str(); "a picture is left out, a post has at most four");
                continue;
            }
            let max = MAX_PICTURE;
            let picture = match self.picture(&it.url, max).await {
                Ok(picture) => picture,
                Err(DownloadError::Unreachable { detail })
                    if self.attachments.failures.waits(publication) =>
                {
                    return Err(OutletError::Unreachable {
                        detail: format!("a picture could not be had: {detail}"),
                    });
                }
                Err(error) => {
                    warn!(publication:% = publication, media = it.url.as_str(), cause:% = error; "a picture is left out");
                    continue;
                }
            };
            let (width, height) = (picture.width, picture.height);
            if let Some(blob) = self.uploaded(picture).await? {
                pictures.push(json!({
                    "image": blob,
                    "alt": it.alt.as_deref().unwrap_or_default(),
                    "aspectRatio": {"width": width, "height": height},
                }));
            }
        }
        Ok(pictures)
    }

    async fn picture(&self, url: &str, max: usize) -> Result<Picture, DownloadError> {
        let refused = |detail: &str| DownloadError::Refused {
            detail: detail.to_owned(),
        };
        let downloader = &self.attachments.downloader;
        let file = downloader.fetch(url, max + MAX_BESIDE).await?;
        let picture = picture::clean(&file.bytes)
            .ok_or_else(|| refused(&format!("no JPEG, PNG, WebP or GIF, but `{}`", file.mime)))?;
        if picture.bytes.len() > max {
            return Err(refused(&format!("larger than {max} bytes")));
        }
        Ok(picture)
    }

    /// What stands for an uploaded picture in a record; none where the server refuses it.
    async fn uploaded(&self, picture: Picture) -> Result<Option<Value>, OutletError> {
        let bytes = Bytes::from(picture.bytes);
        let response = self
            .authorized(async |session| {
                let body = Body {
                    bytes: bytes.clone(),
                    mime: picture.mime,
                };
                let method = "com.atproto.repo.uploadBlob";
                let token = Some(&session.access);
                // Uploading the same again makes nothing more.
                let asked = self.xrpc.procedure(&session.server, method, body, token);
                answer::of_question(asked.await)
            })
            .await?;
        match answer::read::<Uploaded>(&response) {
            Ok(uploaded) => Ok(Some(uploaded.blob)),
            Err(OutletError::Rejected { detail }) => {
                warn!(cause = detail.as_str(); "a picture is left out, the server refuses it");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A card for a link; none where its page says nothing of itself and the link is in the text.
    async fn card(&self, link: &str, is_alone: bool) -> Result<Option<Value>, OutletError> {
        let page = match self.attachments.pages.read(link).await {
            Some(page) => page,
            None if is_alone => Page {
                title: link.to_owned(),
                ..Page::default()
            },
            None => return Ok(None),
        };
        let mut external = json!({
            "uri": link,
            "title": page.title,
            "description": page.description,
        });
        if let Some(picture) = &page.picture
            && let Ok(picture) = self.picture(picture, MAX_THUMB).await
            && let Some(blob) = self.uploaded(picture).await?
        {
            external["thumb"] = blob;
        }
        Ok(Some(
            json!({"$type": "app.bsky.embed.external", "external": external}),
        ))
    }

    /// The quoted post, where it stands on Bluesky and its server shows it.
    async fn quoted(&self, address: Option<&str>) -> Result<Option<Reference>, OutletError> {
        let Some(place) = address.and_then(post_of) else {
            return Ok(None);
        };
        let session = self.sessions.current().await?;
        let method = "com.atproto.repo.getRecord";
        let parameters = [
            ("repo", place.account.as_str()),
            ("collection", POSTS),
            ("rkey", place.key.as_str()),
        ];
        let asked = self.xrpc.query(&session.server, method, &parameters, None);
        let response = answer::of_question(asked.await)?;
        let standing = answer::read::<Standing>(&response).ok();
        Ok(standing.map(|it| Reference {
            uri: it.uri,
            cid: it.cid,
        }))
    }
}

/// The first address in a text that is written as one, whole or shortened.
///
/// A bare name with a dot may be that of a file: `main.rs` and `README.md` are hosts, too.
fn first_link(displayed: &Displayed) -> Option<&str> {
    displayed.facets.iter().find_map(|facet| match &facet.kind {
        FacetKind::Link(address) => {
            let shown = &displayed.text[facet.range.clone()];
            let is_written = shown == address || shown.ends_with('…');
            is_written.then_some(address.as_str())
        }
        _ => None,
    })
}

/// Where a post of Bluesky stands, by either form of its address.
fn post_of(address: &str) -> Option<PostPlace> {
    PostPlace::of_uri(address).or_else(|| PostPlace::of_url(address))
}

fn with(media: Value, quoted: Option<Reference>) -> Value {
    match quoted {
        Some(quoted) => json!({
            "$type": "app.bsky.embed.recordWithMedia",
            "media": media,
            "record": as_record(&quoted),
        }),
        None => media,
    }
}

fn as_record(quoted: &Reference) -> Value {
    json!({"$type": "app.bsky.embed.record", "record": quoted})
}

#[cfg(test)]
mod tests {
    use babelfeed_actors::logic::fit::{Limit, display};

    use super::*;

    #[test]
    fn only_what_is_written_as_an_address_gets_a_card() {
        let long = format!("https://example.org/{}", "a".repeat(300));
        for (text, link) in [
            ("Rewrote `main.rs`, see README.md", None),
            ("setup.py of example.org", None),
            (
                "main.rs https://example.org/a b.sh",
                Some("https://example.org/a"),
            ),
            (&*long, Some(&*long)),
        ] {
            let displayed = display(text, Limit::BLUESKY);
            assert_eq!(first_link(&displayed), link, "{text}");
        }
    }
}
