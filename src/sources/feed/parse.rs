//! Reading a feed's document, mended where it is broken.

use std::collections::HashSet;
use std::time::Duration;

use babelfeed_actors::domain::{Language, Post, SourceName, Timestamp};
use babelfeed_actors::ports::{Polled, SourceError};
use feed_rs::model::Feed;
use feed_rs::parser::{Builder, ParseFeedError};
use log::warn;

use super::fetch::Document;
use super::item::{self, Whole};
use super::{languages, repair};

/// The most warnings that one poll tells in full.
const MAX_WARNINGS: usize = 20;
/// The most of a page's title that a failure repeats, in characters.
const MAX_TITLE: usize = 80;

/// The posts of a document, the oldest first.
pub(super) fn parse(
    document: Document,
    name: &SourceName,
    language: Option<&Language>,
) -> Result<Polled, SourceError> {
    if is_expired(&document.bytes) {
        return Err(SourceError::Gone {
            detail: "the feed calls itself expired".into(),
        });
    }
    let mut warnings = Vec::new();
    let feed = read(&document, &mut warnings)?;
    let whole = Whole {
        name,
        language,
        feed_language: feed.language.as_deref(),
    };
    let ttl = feed.ttl.map(|minutes| Duration::from_secs(60) * minutes);
    let mut posts = Vec::new();
    for entry in feed.entries {
        match item::post(entry, &whole) {
            Ok(post) => posts.push(post),
            Err(id) => warnings.push(format!("the item `{id}` has no text")),
        }
    }
    if warnings.len() > MAX_WARNINGS {
        let n_more = warnings.len() - MAX_WARNINGS;
        warnings.truncate(MAX_WARNINGS);
        warnings.push(format!("and {n_more} more"));
    }
    let mut posts = oldest_first(posts);
    let mut seen = document.seen;
    let n_renamed = seen.note(&mut posts);
    if n_renamed > 0 {
        warn!(source:% = name, items = n_renamed; "a feed gave its items other ids, those that were there count as seen");
    }
    Ok(Polled {
        posts,
        cursor: Some(seen.to_cursor()),
        rest: ttl.max(document.rest),
        warnings,
        ..Polled::default()
    })
}

/// Orders posts by date; a post without one stays beside its older neighbour.
///
/// Of posts with one identity only the first in the feed's own order is kept.
fn oldest_first(mut posts: Vec<Post>) -> Vec<Post> {
    let mut known = HashSet::new();
    posts.retain(|post| known.insert(post.id.clone()));
    posts.reverse();
    let mut latest = None;
    let mut dated: Vec<(Option<Timestamp>, Post)> = posts
        .into_iter()
        .map(|post| {
            latest = post.created_at.or(latest);
            (latest, post)
        })
        .collect();
    dated.sort_by_key(|(at, _)| *at);
    dated.into_iter().map(|(_, post)| post).collect()
}

fn read(document: &Document, warnings: &mut Vec<String>) -> Result<Feed, SourceError> {
    let bytes = repair::with_encoding(&document.bytes, document.charset.as_deref());
    let base = document.base.as_deref();
    let first = match parsed(&bytes, base) {
        Ok(feed) => return Ok(feed),
        Err(error) => error,
    };
    if let Some(page) = html_page(&bytes) {
        return Err(SourceError::Malformed {
            detail: format!("wanted a feed (RSS, Atom or JSON Feed), got {page}"),
        });
    }
    let mended = repair::mend(&bytes);
    if let Ok(feed) = parsed(&mended, base) {
        warnings.push(format!(
            "the feed is not well-formed and was mended: {first}"
        ));
        return Ok(feed);
    }
    let salvaged = repair::salvage(&mended, |candidate| parsed(candidate, base).is_ok());
    if let Some((bytes, n_lost)) = salvaged
        && let Ok(feed) = parsed(&bytes, base)
        && !feed.entries.is_empty()
    {
        warnings.push(format!(
            "the feed is not well-formed, {n_lost} of its items cannot be read: {first}"
        ));
        return Ok(feed);
    }
    Err(malformed(&first))
}

/// One attempt; a parser of feed-rs serves one document, and this one invents no identities.
fn parsed(bytes: &[u8], base: Option<&str>) -> Result<Feed, ParseFeedError> {
    let mut feed = Builder::new()
        .base_uri(base)
        .sanitize_content(false)
        .id_generator(|_, _, _| String::new())
        .build()
        .parse(bytes)?;
    let languages = languages::of_items(bytes);
    if languages.len() == feed.entries.len() {
        for (entry, language) in feed.entries.iter_mut().zip(languages) {
            entry.language = language.or(entry.language.take());
        }
    }
    Ok(feed)
}

fn malformed(error: &ParseFeedError) -> SourceError {
    SourceError::Malformed {
        detail: format!("wanted a feed (RSS, Atom or JSON Feed), got what cannot be read: {error}"),
    }
}

/// Whether a JSON feed says that it will never change again (JSON Feed 1.1, `expired`).
fn is_expired(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Expiry {
        #[serde(default)]
        expired: bool,
    }
    bytes.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice(bytes).is_ok_and(|expiry: Expiry| expiry.expired)
}

/// Names an HTML page, if that is what came.
fn html_page(bytes: &[u8]) -> Option<String> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(16 * 1024)]);
    let lower = start.to_ascii_lowercase();
    let is_page = lower.contains("<html") || lower.trim_start().starts_with("<!doctype html");
    if !is_page {
        return None;
    }
    let title = lower.find("<title").and_then(|at| {
        let shown = start[at..].split_once('>')?.1.split_once('<')?.0;
        let shown: String = shown.trim().chars().take(MAX_TITLE).collect();
        (!shown.is_empty()).then_some(shown)
    });
    Some(match title {
        Some(title) => format!("an HTML page titled `{title}`"),
        None => "an HTML page".into(),
    })
}

#[cfg(test)]
mod tests;
