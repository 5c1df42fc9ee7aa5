//! The media of a post on X: which of them go up with it, and what became of each.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use babelfeed_actors::domain::{Attached, Media, PublicationId};
use babelfeed_actors::ports::OutletError;
use log::warn;

use super::upload::{Category, FILM, Upload, describe, make_ready, upload};
use super::{MAX_PARTS, XOutlet};
use crate::http::download::{DownloadError, Downloaded};
use crate::outlets::words;

/// The most pictures of a post; of films and animations there is one.
const MAX_PICTURES: usize = 4;

/// What became of media of publications, as far as it is remembered.
#[derive(Default)]
pub(super) struct Uploads(RefCell<VecDeque<(PublicationId, Fates)>>);

/// What became of the media of one post, by their places.
#[derive(Clone, Default)]
pub(super) struct Fates(BTreeMap<usize, Fate>);

#[derive(Clone, Debug)]
enum Fate {
    /// X has it, and may still have to make it ready.
    Handed(Upload),
    /// It can be attached, by that id.
    Ready(String),
    /// It cannot be had, or X does not take it.
    Refused,
}

/// Why a medium is not any further.
enum Setback {
    /// It never will be.
    Refused(String),
    /// It is not there now, or not ready.
    NotNow(String),
    /// X itself takes nothing now.
    Outlet(OutletError),
}

impl From<OutletError> for Setback {
    fn from(error: OutletError) -> Self {
        match error {
            OutletError::Rejected { detail } => Self::Refused(detail),
            other => Self::Outlet(other),
        }
    }
}

impl Uploads {
    /// What became of the media of a publication.
    pub(super) fn of(&self, publication: PublicationId) -> Fates {
        let all = self.0.borrow();
        let known = all.iter().find(|it| it.0 == publication);
        known.map(|it| it.1.clone()).unwrap_or_default()
    }

    /// Notes that what was uploaded was posted, or may have been, and is not attached again.
    pub(super) fn spend(&self, publication: PublicationId) {
        let mut all = self.0.borrow_mut();
        if let Some((_, fates)) = all.iter_mut().find(|it| it.0 == publication) {
            fates.0.retain(|_, fate| matches!(fate, Fate::Refused));
        }
        // What was refused decides what the post cost.
        all.retain(|it| !it.1.0.is_empty());
    }

    fn note(&self, publication: PublicationId, place: usize, fate: Fate) {
        let mut fates = self.of(publication);
        fates.0.insert(place, fate);
        let mut all = self.0.borrow_mut();
        all.retain(|it| it.0 != publication);
        if all.len() >= MAX_PARTS {
            all.pop_front();
        }
        all.push_back((publication, fates));
    }
}

impl Fates {
    /// The places of the media that go up: what X takes together with the first that it takes, as
    /// far as can be told before they are fetched.
    fn going_up(&self, attached: &Attached) -> Vec<usize> {
        let is_refused = |place: &usize| matches!(self.0.get(place), Some(Fate::Refused));
        let media = attached.media.iter().enumerate();
        let taken = media.filter_map(|(place, medium)| Some((place, expected(medium)?)));
        let mut taken = taken.filter(|(place, _)| !is_refused(place)).peekable();
        let Some(&(_, first)) = taken.peek() else {
            return Vec::new();
        };
        let most = match first {
            Category::Picture => MAX_PICTURES,
            Category::Animation | Category::Film => 1,
        };
        let together = taken.filter(|(_, category)| *category == first);
        together.map(|(place, _)| place).take(most).collect()
    }

    /// The addresses of the media that do not go up.
    pub(super) fn links(&self, attached: &Attached) -> Vec<String> {
        let going_up = self.going_up(attached);
        let media = attached.media.iter().enumerate();
        let others = media.filter(|(place, _)| !going_up.contains(place));
        others.map(|(_, medium)| medium.url.clone()).collect()
    }

    /// How many of the media that go up something is said of, which costs.
    pub(super) fn n_described(&self, attached: &Attached) -> usize {
        let going_up = self.going_up(attached).into_iter();
        let media = going_up.filter_map(|place| attached.media.get(place));
        let described = media.filter(|it| attached.is_sensitive || words::alt(it).is_some());
        described.count()
    }

    /// The id of what is ready.
    fn id(&self, place: usize) -> Option<&str> {
        match self.0.get(&place) {
            Some(Fate::Ready(id)) => Some(id),
            _ => None,
        }
    }
}

impl XOutlet {
    /// Fetches and uploads what goes up with a post and is not there already, with what is said of
    /// it, and returns the ids.
    ///
    /// # Errors
    /// When something cannot be had now, or X takes nothing now.
    pub(super) async fn uploaded(
        &self,
        publication: PublicationId,
        attached: &Attached,
    ) -> Result<Vec<String>, OutletError> {
        loop {
            let fates = self.uploads.of(publication);
            let going_up = fates.going_up(attached);
            let mut places = going_up.iter().copied();
            let Some(place) = places.find(|place| fates.id(*place).is_none()) else {
                self.failures.forget(publication);
                self.setbacks.forget(publication);
                let ids = going_up.iter().filter_map(|place| fates.id(*place));
                return Ok(ids.map(str::to_owned).collect());
            };
            let medium = &attached.media[place];
            let advanced = match fates.0.get(&place).cloned() {
                Some(Fate::Handed(upload)) => {
                    self.ready(upload, medium, attached.is_sensitive).await
                }
                _ => self.handed(medium, going_up.len()).await,
            };
            let fate = match advanced {
                Ok(fate) => fate,
                Err(setback) => self.given_up(publication, medium, setback)?,
            };
            // Each is noted for itself: what is said of it is paid for.
            self.uploads.note(publication, place, fate);
        }
    }

    /// Hands a medium over, which goes up as one of so many.
    async fn handed(&self, medium: &Media, n_together: usize) -> Result<Fate, Setback> {
        let fetched = self.downloader.fetch(&medium.url, FILM).await;
        let file = fetched.map_err(|error| match error {
            DownloadError::Unreachable { detail } => Setback::NotNow(detail),
            DownloadError::Refused { detail } => Setback::Refused(detail),
        })?;
        let category = categorized(&file)?;
        if n_together > 1 && expected(medium) != Some(category) {
            let detail = format!("{} does not go beside the others", file.mime);
            return Err(Setback::Refused(detail));
        }
        Ok(Fate::Handed(upload(&self.api, category, &file).await?))
    }

    /// Waits for a medium that X has, and says what it shows.
    async fn ready(
        &self,
        upload: Upload,
        medium: &Media,
        is_sensitive: bool,
    ) -> Result<Fate, Setback> {
        let Some(id) = make_ready(&self.api, upload).await? else {
            return Err(Setback::NotNow("X has not made it ready".to_owned()));
        };
        describe(&self.api, &id, words::alt(medium), is_sensitive).await?;
        Ok(Fate::Ready(id))
    }

    /// What becomes of a medium that is not any further: it is waited for, but not for ever,
    /// because what comes behind its post waits as well; then it is refused.
    fn given_up(
        &self,
        publication: PublicationId,
        medium: &Media,
        setback: Setback,
    ) -> Result<Fate, OutletError> {
        let cause = match setback {
            Setback::NotNow(detail) if self.failures.waits(publication) => {
                return Err(OutletError::Unreachable {
                    detail: format!("a medium: {detail}"),
                });
            }
            Setback::Outlet(OutletError::Unreachable { detail }) => {
                if self.setbacks.waits(publication) {
                    return Err(OutletError::Unreachable { detail });
                }
                detail
            }
            Setback::Outlet(error) => return Err(error),
            Setback::NotNow(detail) | Setback::Refused(detail) => detail,
        };
        warn!(publication:% = publication, media = medium.url.as_str(), cause = cause.as_str(); "a medium does not go up, and its address stands behind the text");
        Ok(Fate::Refused)
    }
}

/// What X will make of a medium, by its type or else by the end of its address; nothing, where it
/// does not take its type.
fn expected(medium: &Media) -> Option<Category> {
    if let Some(mime) = &medium.mime {
        return Category::of(mime);
    }
    let path = medium.url.split(['?', '#']).next().unwrap_or_default();
    let end = path.rsplit('.').next().unwrap_or_default().to_lowercase();
    Some(match end.as_str() {
        "gif" => Category::Animation,
        "mp4" | "mov" => Category::Film,
        _ => Category::Picture,
    })
}

/// What X makes of a file.
fn categorized(file: &Downloaded) -> Result<Category, Setback> {
    let category = Category::of(&file.mime)
        .ok_or_else(|| Setback::Refused(format!("it is {}, which X does not take", file.mime)))?;
    let (n_bytes, most) = (file.bytes.len(), category.most());
    if n_bytes > most {
        return Err(Setback::Refused(format!(
            "it has {n_bytes} bytes, X takes at most {most}"
        )));
    }
    Ok(category)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached(names: &[&str]) -> Attached {
        let media = names.iter().map(|name| Media {
            url: format!("https://example.org/{name}"),
            mime: name.ends_with(".ogg").then(|| "audio/ogg".to_owned()),
            alt: Some("A boat".to_owned()),
        });
        Attached {
            media: media.collect(),
            ..Attached::default()
        }
    }

    #[test]
    fn what_goes_up_together_is_described_and_the_rest_is_linked() {
        for (names, n_described, linked) in [
            (&["1.png", "2.jpg"][..], 2, &[][..]),
            (
                &["1.png", "2.png", "3.png", "4.png", "5.png"],
                4,
                &["5.png"],
            ),
            (&["1.mp4", "1.png", "2.png"], 1, &["1.png", "2.png"]),
            (&["1.png", "1.mp4", "2.png"], 2, &["1.mp4"]),
            (&["1.gif?w=3", "2.gif"], 1, &["2.gif"]),
            (&["1.ogg", "1.png"], 1, &["1.ogg"]),
            (&["1.ogg"], 0, &["1.ogg"]),
            (&[], 0, &[]),
        ] {
            let (fates, attached) = (Fates::default(), attached(names));
            assert_eq!(fates.n_described(&attached), n_described, "{names:?}");
            let links = fates.links(&attached);
            let linked = linked.iter().map(|it| format!("https://example.org/{it}"));
            assert_eq!(links, linked.collect::<Vec<_>>(), "{names:?}");
        }
    }

    #[test]
    fn in_the_place_of_what_is_refused_goes_the_next() {
        let mut fates = Fates::default();
        fates.0.insert(0, Fate::Refused);
        let attached = attached(&["1.mp4", "1.png", "2.png"]);
        assert_eq!(fates.links(&attached), ["https://example.org/1.mp4"]);
        assert_eq!(fates.n_described(&attached), 2);
    }
}
