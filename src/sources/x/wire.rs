//! Posts of X as posts of ours.

use std::time::Duration;

use babelfeed_actors::domain::{Language, Media, Poll, Post, Relation, Timestamp};

use super::XConfig;
use crate::x::post::{Includes, Medium, Shown};

/// What is asked of media.
pub(super) const MEDIA_FIELDS: &str = "url,type,alt_text,variants,preview_image_url";
/// What is asked of polls.
pub(super) const POLL_FIELDS: &str = "options,duration_minutes";

/// A post as it is translated; `author` is the account that was asked for.
pub(super) fn post(shown: &Shown, includes: &Includes, config: &XConfig, author: &str) -> Post {
    let reposted = shown.reference("retweeted");
    // The text of a repost is cut, so that of the original is taken.
    let original = reposted.and_then(|id| includes.post(id)).unwrap_or(shown);
    let is_own_thread =
        shown.in_reply_to_user_id.is_some() && shown.in_reply_to_user_id == shown.author_id;
    let parent = shown.reference("replied_to");
    let quoted = shown.reference("quoted");
    let relation = match (reposted, parent, quoted) {
        (Some(_), ..) => Relation::Repost,
        (None, Some(_), _) if !is_own_thread => Relation::Reply,
        (None, _, Some(_)) => Relation::Quote,
        (None, _, None) => Relation::Own,
    };
    Post {
        language: language(original).or_else(|| config.language.clone()),
        url: Some(format!("https://x.com/{author}/status/{}", shown.id)),
        media: media(original, includes),
        is_sensitive: original.possibly_sensitive,
        poll: poll(original, includes),
        parent: parent.filter(|_| is_own_thread).map(str::to_owned),
        quoted: quoted.map(|id| format!("https://x.com/i/status/{id}")),
        quoted_post: quoted.map(|id| {
            // A version that was edited is known by the id of its first.
            let first = includes.post(id).map(Shown::first_id);
            first.unwrap_or(id).to_owned()
        }),
        author: Some(author.to_owned()),
        relation,
        created_at: shown.created_at.as_deref().and_then(Timestamp::parse),
        ..Post::new(config.name.clone(), shown.first_id(), original.full_text())
    }
}

/// A post's language, where X tells one; some of its codes are old, and some mean none.
fn language(shown: &Shown) -> Option<Language> {
    match shown.lang.as_deref()? {
        "und" | "zxx" | "art" | "qam" | "qct" | "qht" | "qme" | "qst" => None,
        "in" => "id".parse().ok(),
        "iw" => "he".parse().ok(),
        "ji" => "yi".parse().ok(),
        code => code.parse().ok(),
    }
}

fn media(shown: &Shown, includes: &Includes) -> Vec<Media> {
    let keys = shown.attachments.media_keys.iter();
    keys.filter_map(|key| includes.media.iter().find(|it| it.media_key == *key))
        .filter_map(medium)
        .collect()
}

fn medium(medium: &Medium) -> Option<Media> {
    let films = medium.variants.iter();
    let films = films.filter(|it| it.content_type == "video/mp4");
    let (url, mime) = match films.max_by_key(|it| it.bit_rate) {
        Some(film) => (film.url.clone(), Some("video/mp4".to_owned())),
        None => {
            let picture = medium.url.as_ref().or(medium.preview_image_url.as_ref());
            (picture?.clone(), None)
        }
    };
    Some(Media {
        url,
        mime,
        alt: medium.alt_text.clone().filter(|alt| !alt.is_empty()),
    })
}

fn poll(shown: &Shown, includes: &Includes) -> Option<Poll> {
    let id = shown.attachments.poll_ids.first()?;
    let ballot = includes.polls.iter().find(|ballot| ballot.id == *id)?;
    let options = ballot.options.iter().map(|it| it.label.clone());
    let minutes = ballot.duration_minutes;
    Some(Poll {
        options: options.collect(),
        is_multiple: false,
        lasts: minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60))),
    })
}
