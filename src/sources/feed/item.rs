//! What an item of a feed says as a post.
//!
//! The text is the title and the body with a blank line between them, or the body alone where
//! it begins with the title (as in feeds of short posts, which have their beginning as a title,
//! perhaps shortened). The body is the item's summary; where it has none, its content.

use babelfeed_actors::domain::{Language, Media, Post, SourceName, Timestamp};
use feed_rs::model::{Content, Entry, Link, MediaObject, Text};

use super::identity::identity;
use crate::html::{Links, to_text};

/// The most attachments of one post.
const MAX_MEDIA: usize = 16;

/// What is the same for all items of a feed.
pub(super) struct Whole<'a> {
    /// The source.
    pub(super) name: &'a SourceName,
    /// The language that the settings name.
    pub(super) language: Option<&'a Language>,
    /// The language that the feed names.
    pub(super) feed_language: Option<&'a str>,
}

/// The post of an item.
///
/// # Errors
/// With the item's identity, if it has neither text nor media.
pub(super) fn post(entry: Entry, whole: &Whole) -> Result<Post, String> {
    let title = entry.title.as_ref().map(title_text).unwrap_or_default();
    let body = body(&entry);
    let url = address(&entry);
    let created_at = entry
        .published
        .or(entry.updated)
        .map(|time| Timestamp::from_millis(time.timestamp_millis()));
    let id = identity(&entry.id, url.as_deref(), &title, created_at, &body);
    let text = joined(title, body);
    let language = language(entry.language.as_deref(), whole);
    let media = media(entry);
    if text.is_empty() && media.is_empty() {
        return Err(id);
    }
    Ok(Post {
        language,
        url,
        media,
        created_at,
        ..Post::new(whole.name.clone(), id, text)
    })
}

fn title_text(title: &Text) -> String {
    let content = title.content.trim();
    let is_markup = title.content_type.subty() != "plain"
        || content.contains("</")
        || content
            .split_once('&')
            .is_some_and(|(_, rest)| rest.contains(';'));
    let text = if is_markup {
        to_text(content, Links::Shown)
    } else {
        content.to_owned()
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn body(entry: &Entry) -> String {
    let summary = entry.summary.as_ref().map(summary_text);
    summary
        .filter(|text| !text.is_empty())
        .or_else(|| entry.content.as_ref().and_then(content_text))
        .unwrap_or_default()
}

fn summary_text(summary: &Text) -> String {
    match summary.content_type.subty().as_str() {
        "plain" => plain(&summary.content),
        _ => marked_up(&summary.content),
    }
}

fn content_text(content: &Content) -> Option<String> {
    let body = content.body.as_deref()?;
    let kind = &content.content_type;
    match (kind.ty().as_str(), kind.subty().as_str()) {
        ("text", "plain") => Some(plain(body)),
        ("text", "html" | "xhtml") | ("application", "xhtml") => Some(marked_up(body)),
        _ => None,
    }
}

fn plain(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// The text of HTML; where no tag stands in it, its newlines are meant.
fn marked_up(html: &str) -> String {
    let has_tags = html
        .split('<')
        .skip(1)
        .any(|tag| tag.starts_with(|char: char| char.is_ascii_alphabetic() || char == '/'));
    if has_tags {
        return to_text(html, Links::Beside);
    }
    let lines: Vec<&str> = html.trim().lines().collect();
    to_text(&lines.join("<br>"), Links::Beside)
}

fn joined(title: String, body: String) -> String {
    if body.is_empty() {
        return title;
    }
    if title.is_empty() || begins_with(&body, &title) {
        return body;
    }
    format!("{title}\n\n{body}")
}

fn begins_with(body: &str, title: &str) -> bool {
    let start = title
        .strip_suffix('…')
        .or_else(|| title.strip_suffix("..."))
        .unwrap_or(title)
        .trim_end();
    let mut body = body.chars().filter(|char| !char.is_whitespace());
    start
        .chars()
        .filter(|char| !char.is_whitespace())
        .all(|char| body.next() == Some(char))
}

fn address(entry: &Entry) -> Option<String> {
    let is_page = |link: &&Link| {
        let is_alternate = matches!(link.rel.as_deref(), None | Some("alternate"));
        let kind = link.media_type.as_deref().unwrap_or("text/html");
        is_alternate && link.target.is_none() && kind.contains("html") && !link.href.is_empty()
    };
    let link = entry.links.iter().find(is_page);
    link.map(|link| link.href.clone())
        .or_else(|| is_web_address(&entry.id).then(|| entry.id.clone()))
}

fn is_web_address(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

fn language(own: Option<&str>, whole: &Whole) -> Option<Language> {
    own.and_then(|tag| tag.trim().parse().ok())
        .or_else(|| whole.language.cloned())
        .or_else(|| whole.feed_language.and_then(|tag| tag.trim().parse().ok()))
}

fn media(entry: Entry) -> Vec<Media> {
    let attached = entry.media.into_iter().flat_map(objects);
    let linked = entry.links.into_iter().filter_map(enclosure);
    let mut media: Vec<Media> = Vec::new();
    for item in attached.chain(linked) {
        if media.len() < MAX_MEDIA && media.iter().all(|known| known.url != item.url) {
            media.push(item);
        }
    }
    media
}

fn objects(object: MediaObject) -> impl Iterator<Item = Media> {
    let alt = object
        .description
        .map(|text| text.content)
        .filter(|text| !text.is_empty());
    object.content.into_iter().filter_map(move |content| {
        Some(Media {
            url: content.url?.to_string(),
            mime: content.content_type.map(|kind| kind.to_string()),
            alt: alt.clone(),
        })
    })
}

fn enclosure(link: Link) -> Option<Media> {
    let is_enclosure = match link.rel.as_deref() {
        Some("enclosure") => true,
        // An attachment of a JSON feed has a type and no relation.
        None => link
            .media_type
            .as_deref()
            .is_some_and(|kind| !kind.contains("html")),
        Some(_) => false,
    };
    (is_enclosure && is_web_address(&link.href)).then_some(Media {
        url: link.href,
        mime: link.media_type,
        alt: link.title.filter(|title| !title.is_empty()),
    })
}
