//! What X takes for links, mentions, lists, hashtags and cashtags, and how it counts a text.
//!
//! The rules are those of twitter-text, configuration 3. Its conformance files are read by the
//! tests where they are present.

mod characters;
mod emoji;
mod tags;
#[cfg(test)]
mod tests;
mod top_level;
mod urls;

use std::borrow::Cow;
use std::ops::Range;

use icu_normalizer::ComposingNormalizerBorrowed;

pub(in crate::logic) use tags::cashtag_end;
pub(in crate::logic) use top_level::is_top_level;

/// What every link counts as, however long it is.
pub const URL_WEIGHT: usize = 23;

/// A piece of a text that X makes a link of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// Where it stands, in bytes, its sign included.
    pub range: Range<usize>,
}

/// What X makes a link of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityKind {
    /// A web address, with or without its scheme.
    Url,
    /// `@user`.
    Mention,
    /// `@user/list`.
    List,
    /// `#word`.
    Hashtag,
    /// `$WORD`.
    Cashtag,
}

/// All entities of a text in their order; where two overlap, the earlier one counts.
pub fn entities(text: &str) -> Vec<Entity> {
    let urls = urls::all(text).into_iter();
    let mut entities: Vec<Entity> = urls
        .map(|range| Entity {
            kind: EntityKind::Url,
            range,
        })
        .chain(tags::mentions(text))
        .chain(tags::hashtags(text))
        .chain(tags::cashtags(text))
        .collect();
    entities.sort_by_key(|entity| entity.range.start);
    let mut end = 0;
    entities.retain(|entity| {
        let is_apart = entity.range.start >= end;
        if is_apart {
            end = entity.range.end;
        }
        is_apart
    });
    entities
}

/// Where the web addresses of a text stand, those without a scheme among them.
pub(in crate::logic) fn urls(text: &str) -> Vec<Range<usize>> {
    urls::all(text)
}

/// The text as X stores it: composed (NFC).
pub fn composed(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// What a piece of a text without links counts as.
///
/// A code point counts 1 or 2, and a sequence that X shows as one picture counts 2.
pub(in crate::logic) fn weigh(piece: &str) -> usize {
    if piece.is_ascii() {
        return piece.len();
    }
    let mut characters = piece.chars();
    if let (Some(only), None) = (characters.next(), characters.next())
        && characters::is_composed(only)
    {
        return characters::weight(only);
    }
    let piece = composed(piece);
    let mut weight = 0;
    let mut rest = &*piece;
    while let Some(first) = rest.chars().next() {
        let picture = emoji::length(rest);
        let (length, counted) = picture.map_or_else(
            || (first.len_utf8(), characters::weight(first)),
            |length| (length, 2),
        );
        weight += counted;
        rest = &rest[length..];
    }
    weight
}

/// What a whole text counts as.
pub fn length(text: &str) -> usize {
    let text = composed(text);
    let mut length = 0;
    let mut counted = 0;
    for url in urls::all(&text) {
        length += weigh(&text[counted..url.start]) + URL_WEIGHT;
        counted = url.end;
    }
    length + weigh(&text[counted..])
}

/// Whether a post may hold the character: three are refused.
pub const fn is_allowed(character: char) -> bool {
    !characters::is_invalid(character)
}
