//! What becomes of mentions where a translation is published.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::fit::Limit;
use super::spans::{Found, Scan, SpanKind};
use super::x_text::{EntityKind, entities};

/// What stands behind the `@` of a mention that is to alert nobody; people do not see it.
const APART: char = '\u{200b}';

/// What becomes of mentions at an outlet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mentions {
    /// They read as they did, and alert nobody.
    Plain,
    /// Those of known accounts become the account's name there, and alert it; others are plain.
    Mapped(Arc<BTreeMap<String, String>>),
    /// They stay as they are.
    #[default]
    Alive,
}

/// The text with its mentions as an outlet with this limit wants them; what went through it once
/// stays.
///
/// On X more is a mention than what people take for one: also `＠name`, and what stands behind a
/// letter with an accent or in an address of e-mail.
pub fn with_mentions<'a>(text: &'a str, mentions: &Mentions, limit: Limit) -> Cow<'a, str> {
    match mentions {
        Mentions::Alive => Cow::Borrowed(text),
        Mentions::Plain => silenced(Cow::Borrowed(text), limit, plain),
        Mentions::Mapped(accounts) => {
            let is_there = |mention: &str| accounts.values().any(|account| account == mention);
            let mapped = replaced(text, limit, |mention| {
                let account = accounts.get(&*mention.replace('＠', "@"));
                account.map_or_else(|| mention.to_owned(), Clone::clone)
            });
            silenced(mapped, limit, |mention| match is_there(mention) {
                true => mention.to_owned(),
                false => plain(mention),
            })
        }
    }
}

/// The text with its mentions as they were before, where they are known.
pub fn without_mentions<'a>(text: &'a str, mentions: &Mentions) -> Cow<'a, str> {
    let alive = || {
        let alive = text.replace(&format!("@{APART}"), "@");
        alive.replace(&format!("＠{APART}"), "＠")
    };
    match mentions {
        Mentions::Alive => Cow::Borrowed(text),
        Mentions::Plain => Cow::Owned(alive()),
        Mentions::Mapped(accounts) => {
            let before = |mention: &str| {
                let known = accounts.iter().find(|(_, account)| *account == mention);
                known.map_or(mention, |(before, _)| before).to_owned()
            };
            Cow::Owned(replaced(&alive(), Limit::Unbounded, before).into_owned())
        }
    }
}

/// A mention that nobody is alerted by: no network reads on behind the blank without width.
fn plain(mention: &str) -> String {
    let mut plain = String::with_capacity(mention.len() + 2 * APART.len_utf8());
    for character in mention.chars() {
        plain.push(character);
        if matches!(character, '@' | '＠') {
            plain.push(APART);
        }
    }
    plain
}

/// Where mentions stand that were made plain: no network sees them any more, and they are to stay
/// whole as they would have before.
pub(super) fn plain_places(text: &str, limit: Limit) -> Vec<Range<usize>> {
    if !text.contains(APART) {
        return Vec::new();
    }
    let mut alive = String::with_capacity(text.len());
    // Where in it something was left out.
    let mut gaps: Vec<usize> = Vec::new();
    for character in text.chars() {
        if character == APART && alive.ends_with(['@', '＠']) {
            gaps.push(alive.len());
        } else {
            alive.push(character);
        }
    }
    let places = places(&alive, limit).into_iter().filter_map(|place| {
        let n_before = gaps.partition_point(|&gap| gap <= place.start);
        let n_all = gaps.partition_point(|&gap| gap < place.end);
        let start = place.start + n_before * APART.len_utf8();
        let end = place.end + n_all * APART.len_utf8();
        (n_all > n_before).then_some(start..end)
    });
    places.collect()
}

/// Whether a text is a mention and nothing else.
pub fn is_mention(text: &str) -> bool {
    let is_whole = |found: Found| {
        found.kind == SpanKind::Mention && found.start == 0 && found.end == text.len()
    };
    Scan::through_code(text).next().is_some_and(is_whole)
}

/// The text in which nothing is left to be replaced: what stood behind a mention may be one, once
/// that is none.
fn silenced<'a>(
    text: Cow<'a, str>,
    limit: Limit,
    replace: impl Fn(&str) -> String,
) -> Cow<'a, str> {
    let mut text = text;
    loop {
        let next = match replaced(&text, limit, &replace) {
            Cow::Owned(next) => next,
            Cow::Borrowed(_) => return text,
        };
        text = Cow::Owned(next);
    }
}

/// The text with each mention replaced; as it is where that changes nothing.
fn replaced(text: &str, limit: Limit, replace: impl Fn(&str) -> String) -> Cow<'_, str> {
    let mut written = String::new();
    let mut copied = 0;
    for range in places(text, limit) {
        let mention = &text[range.clone()];
        let new = replace(mention);
        if new != mention {
            written.push_str(&text[copied..range.start]);
            written.push_str(&new);
            copied = range.end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    written.push_str(&text[copied..]);
    Cow::Owned(written)
}

/// Where mentions stand: what people take for one, and what the network does.
fn places(text: &str, limit: Limit) -> Vec<Range<usize>> {
    if !text.contains(['@', '＠']) {
        return Vec::new();
    }
    let found = Scan::through_code(text).filter(|found| found.kind == SpanKind::Mention);
    let mut places: Vec<Range<usize>> = found.map(|found| found.start..found.end).collect();
    if matches!(limit, Limit::X { .. }) {
        let entities = entities(text).into_iter();
        places.extend(entities.filter_map(|entity| match entity.kind {
            EntityKind::Mention | EntityKind::List => Some(entity.range),
            EntityKind::Url | EntityKind::Hashtag | EntityKind::Cashtag => None,
        }));
        places.sort_by_key(|range| range.start);
        let mut end = 0;
        places.retain(|range| {
            let is_apart = range.start >= end;
            end = end.max(range.end);
            is_apart
        });
    }
    places
}
