//! The pieces of a text that no part may split, with what each of them measures.

use std::iter::Peekable;

use super::Limit;
use crate::logic::spans::{Found, Scan, SpanKind, cluster_end};

/// What a piece measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// In the unit that is shown to people.
    pub(super) units: usize,
    /// In bytes of UTF-8.
    pub(super) bytes: usize,
}

impl Weight {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            units: self.units + other.units,
            bytes: self.bytes + other.bytes,
        }
    }

    pub(super) const fn half(self) -> Self {
        Self {
            units: self.units / 2,
            bytes: self.bytes / 2,
        }
    }

    pub(super) const fn is_within(self, max: Self) -> bool {
        self.units <= max.units && self.bytes <= max.bytes
    }
}

/// A grapheme cluster, or the clusters that a span touches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Atom {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) weight: Weight,
    pub(super) is_space: bool,
}

/// The atoms of a text, in order and without gaps.
pub(super) struct Atoms<'a> {
    text: &'a str,
    limit: Limit,
    spans: Peekable<Scan<'a>>,
    at: usize,
}

impl<'a> Atoms<'a> {
    pub(super) fn new(text: &'a str, limit: Limit) -> Self {
        Self {
            text,
            limit,
            spans: Scan::new(text).peekable(),
            at: 0,
        }
    }

    /// The end of the atom that begins with this cluster, and how many graphemes it counts.
    fn extended(&mut self, mut end: usize) -> (usize, usize) {
        let mut count = 1;
        while let Some(found) = self.spans.next_if(|found| found.start < end) {
            if !is_whole(found.kind) {
                continue;
            }
            let mut covered = 1;
            while end < found.end {
                end = cluster_end(self.text, end);
                covered += 1;
            }
            count += self.counted(&found, covered) - 1;
        }
        (end, count)
    }

    /// What a span of so many grapheme clusters counts as; never 0.
    ///
    /// Mastodon counts a URL that it will link with a fixed length, and a mention without its
    /// host (`StatusLengthValidator#countable_text`).
    fn counted(&self, found: &Found, covered: usize) -> usize {
        let Limit::Mastodon { url, .. } = self.limit else {
            return covered;
        };
        let span = &self.text[found.start..found.end];
        let before = self.text[..found.start].chars().next_back();
        match found.kind {
            SpanKind::Url if !is_linked(span) => covered,
            SpanKind::Url if before.is_some_and(joins_url) => covered.max(url).max(1),
            SpanKind::Url => url.max(1),
            SpanKind::Mention if before.is_none_or(|before| !joins_mention(before)) => {
                let after = self.text[found.end..].chars().next();
                let is_linked = after.is_none_or(|after| !matches!(after, '@' | '＠' | 'À'..='ɏ'));
                let host = span.rfind('@').filter(|&at| at > 0 && is_linked);
                covered
                    - host
                        .map_or(0, |host| graphemes(&span[host..]))
                        .min(covered - 1)
            }
            _ => covered,
        }
    }
}

impl Iterator for Atoms<'_> {
    type Item = Atom;

    fn next(&mut self) -> Option<Atom> {
        let start = self.at;
        if start == self.text.len() {
            return None;
        }
        let (end, graphemes) = self.extended(cluster_end(self.text, start));
        self.at = end;
        let piece = &self.text[start..end];
        let units = match self.limit {
            Limit::Utf16 { .. } => piece.chars().map(char::len_utf16).sum(),
            _ => graphemes,
        };
        let bytes = end - start;
        Some(Atom {
            start,
            end,
            weight: Weight { units, bytes },
            is_space: piece.chars().all(char::is_whitespace),
        })
    }
}

/// How many grapheme clusters a text has.
pub(super) fn graphemes(text: &str) -> usize {
    let mut at = 0;
    let mut count = 0;
    while at < text.len() {
        at = cluster_end(text, at);
        count += 1;
    }
    count
}

/// Whether such a span stays whole as more than its grapheme clusters.
const fn is_whole(kind: SpanKind) -> bool {
    !matches!(kind, SpanKind::Emoji | SpanKind::Placeholder)
}

/// Whether Mastodon links the URL: its host has a dot and ends in a name of letters.
fn is_linked(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    let host = host.split(['/', '?', '#', ':']).next().unwrap_or_default();
    host.rsplit_once('.').is_some_and(|(name, top)| {
        let is_name = top.starts_with("xn--") || top.chars().all(char::is_alphabetic);
        !name.is_empty() && top.chars().count() >= 2 && is_name && !host.contains('@')
    })
}

/// Whether Mastodon takes a URL behind this character for a part of a longer word.
const fn joins_url(before: char) -> bool {
    before.is_ascii_alphanumeric() || matches!(before, '@' | '＠' | '$' | '#' | '＃')
}

/// Whether Mastodon takes a mention behind this character for none (`Account::MENTION_RE`).
fn joins_mention(before: char) -> bool {
    before.is_alphanumeric() || matches!(before, '=' | '/' | '_')
}
