//! The Atom document of a feed outlet (RFC 4287): its entries, their order, and what it keeps.

use std::cmp::Reverse;

use atom_syndication::{Content, Entry, Feed, FixedDateTime, Generator, Link, Person, Text};
use babelfeed_actors::domain::{Language, Publication, Timestamp};
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::super::{disk, words};
use super::FeedConfig;

/// The most entries that the feed keeps.
const KEPT: usize = 100;
/// The most characters of an entry's title.
const MAX_TITLE: usize = 100;

/// An entry as it is frozen.
#[derive(Serialize, Deserialize)]
struct FrozenEntry {
    id: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    at: i64,
}

/// The entry's id, which contains the publication's.
pub(super) fn entry_id(publication: &Publication) -> String {
    format!("urn:uuid:{}", publication.id)
}

/// The exact bytes from which the entry is made, dated by that time: what was held for long is new
/// to readers, and would stand behind all that a full feed keeps.
pub(super) fn freeze(publication: &Publication, at: Timestamp) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&FrozenEntry {
        id: entry_id(publication),
        text: disk::whole_text(publication),
        url: publication.url.as_deref().map(str::to_owned),
        at: at.as_millis(),
    })
}

/// The entry of frozen bytes.
pub(super) fn thaw(bytes: &[u8], language: &Language) -> serde_json::Result<Entry> {
    let frozen: FrozenEntry = serde_json::from_slice(bytes)?;
    let text = writable(&frozen.text);
    let at = time(Timestamp::from_millis(frozen.at));
    Ok(Entry {
        id: frozen.id,
        title: Text::plain(title(&text)),
        updated: at,
        published: Some(at),
        links: frozen.url.iter().map(|url| original(url)).collect(),
        content: Some(Content {
            lang: Some(language.as_str().into()),
            value: Some(text),
            content_type: Some("text".into()),
            ..Content::default()
        }),
        ..Entry::default()
    })
}

/// A feed without entries.
pub(super) fn empty(config: &FeedConfig) -> Feed {
    renewed(
        Feed {
            id: feed_id(config),
            updated: time(Timestamp::default()),
            ..Feed::default()
        },
        config,
    )
}

/// The feed under the title, author and language that the settings give it now.
pub(super) fn renewed(feed: Feed, config: &FeedConfig) -> Feed {
    Feed {
        title: Text::plain(writable(&config.title)),
        authors: vec![Person {
            name: writable(config.name.as_str()),
            ..Person::default()
        }],
        generator: Some(Generator {
            value: "babelfeed".into(),
            ..Generator::default()
        }),
        lang: Some(config.language.as_str().into()),
        ..feed
    }
}

/// Puts an entry in before all others, unless it stands there already, and says whether the feed was
/// changed. It bears the date of the newest one at least: what is put in is new, whatever the clock
/// says, and would fall out of a full feed at once if it were dated before all others.
pub(super) fn insert(feed: &mut Feed, mut entry: Entry) -> bool {
    if stands(feed, &entry) {
        return false;
    }
    let newest = feed.entries.iter().map(shown_at).max();
    if let Some(newest) = newest.filter(|newest| *newest > shown_at(&entry)) {
        (entry.updated, entry.published) = (newest, Some(newest));
    }
    feed.updated = feed.updated.max(entry.updated);
    feed.entries.insert(0, entry);
    feed.entries.sort_by_key(|entry| Reverse(shown_at(entry)));
    feed.entries.truncate(KEPT);
    true
}

/// Whether an entry that may have been put in was: it stands in the feed, or is too old to stand
/// there any longer.
pub(super) fn covers(feed: &Feed, entry: &Entry) -> bool {
    let is_full = feed.entries.len() >= KEPT;
    let oldest = feed.entries.iter().map(shown_at).min();
    stands(feed, entry) || (is_full && oldest.is_some_and(|oldest| shown_at(entry) < oldest))
}

/// The bytes of the document.
pub(super) fn render(feed: &Feed) -> Result<Vec<u8>, atom_syndication::Error> {
    let mut bytes = feed.write_to(Vec::new())?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn stands(feed: &Feed, entry: &Entry) -> bool {
    feed.entries.iter().any(|it| it.id == entry.id)
}

fn shown_at(entry: &Entry) -> FixedDateTime {
    entry.published.unwrap_or(entry.updated)
}

fn time(at: Timestamp) -> FixedDateTime {
    DateTime::from_timestamp_millis(at.as_millis())
        .unwrap_or_default()
        .fixed_offset()
}

fn original(url: &str) -> Link {
    Link {
        href: url.into(),
        rel: "alternate".into(),
        ..Link::default()
    }
}

fn title(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    words::shortened(line.unwrap_or_default().trim(), MAX_TITLE)
}

/// The text without what no XML 1.0 document may hold.
fn writable(text: &str) -> String {
    text.chars()
        .filter(|&char| {
            matches!(char, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        })
        .collect()
}

/// An id that this outlet's feed bears for ever, made from its name and language.
fn feed_id(config: &FeedConfig) -> String {
    let hash = Sha256::digest(format!("{}\n{}", config.name, config.language));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    format!("urn:uuid:{}", Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> FeedConfig {
        FeedConfig {
            name: "es".into(),
            path: "es.xml".into(),
            language: "es".parse().expect("a tag"),
            title: "Noticias & más".into(),
        }
    }

    fn entry(number: i64, text: &str) -> Entry {
        let bytes = serde_json::to_vec(&FrozenEntry {
            id: format!("urn:uuid:{number}"),
            text: text.into(),
            url: Some("https://example.org/?a=1&b=2".into()),
            at: number * 1000,
        });
        thaw(&bytes.expect("writes"), &config().language).expect("reads")
    }

    #[test]
    fn a_text_survives_being_written_and_read_many_times() {
        let text = "  ¡Hola <b>mundo</b> & \"más\"!\n\n\tsegundo ]]> párrafo\u{1}  ";
        let mut feed = empty(&config());
        assert!(insert(&mut feed, entry(1, text)));
        for _ in 0..3 {
            let bytes = render(&feed).expect("writes");
            let read = Feed::read_from(bytes.as_slice()).expect("reads");
            assert_eq!(read, feed);
            feed = renewed(read, &config());
        }
        let content = feed.entries[0].content.clone().expect("a content");
        assert_eq!(content.value, Some(writable(text)));
    }

    #[test]
    fn only_the_newest_hundred_stay_and_the_fallen_ones_count_as_out() {
        let mut feed = empty(&config());
        for number in 0..150 {
            insert(&mut feed, entry(number, "hola"));
        }
        assert_eq!(feed.entries.len(), KEPT);
        assert_eq!(feed.entries[0].id, "urn:uuid:149");
        assert!(covers(&feed, &entry(3, "hola")));
        assert!(!covers(&feed, &entry(150, "hola")));
    }

    #[test]
    fn what_is_put_in_by_a_clock_that_is_behind_stands_first() {
        let mut feed = empty(&config());
        for number in 1_000..1_150 {
            insert(&mut feed, entry(number, "hola"));
        }
        for number in 0..150 {
            assert!(insert(&mut feed, entry(number, "más tarde")));
            assert_eq!(feed.entries[0].id, format!("urn:uuid:{number}"));
        }
        let newest = shown_at(&entry(1_149, "hola"));
        assert!(feed.entries.iter().all(|it| shown_at(it) == newest));
        assert_eq!((feed.entries.len(), feed.updated), (KEPT, newest));
    }

    #[test]
    fn an_entry_that_stands_is_not_doubled() {
        let mut feed = empty(&config());
        assert!(insert(&mut feed, entry(1, "hola")));
        assert!(!insert(&mut feed, entry(1, "otra vez")));
        assert_eq!(feed.entries.len(), 1);
    }

    #[test]
    fn a_long_first_line_is_shortened_to_a_title() {
        let long = format!("\n{}\nmás", "palabra ".repeat(40));
        let title = title(&long);
        assert!(title.ends_with("palabra…") || title.ends_with('…'));
        assert!(title.chars().count() <= MAX_TITLE);
    }
}
