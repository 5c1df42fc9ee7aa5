//! The pieces of a text that no part may split, with what each of them measures.

use std::iter::Peekable;
use std::ops::Range;
use std::vec::IntoIter;

use icu_properties::CodePointMapData;
use icu_properties::props::IndicConjunctBreak;

use super::{Limit, display};
use crate::logic::policy::plain_places;
use crate::logic::spans::{Found, Numbers, Scan, SpanKind, cluster_end};
use crate::logic::{markdown, x_text};

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

    pub(super) const fn without(self, other: Self) -> Self {
        Self {
            units: self.units.saturating_sub(other.units),
            bytes: self.bytes.saturating_sub(other.bytes),
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

/// An atom with all spans that it touches.
struct Covered {
    end: usize,
    /// The grapheme clusters that it counts as, its first one as 1.
    clusters: usize,
    /// How many of its bytes are not shown.
    unseen: usize,
}

/// The atoms of a text, in order and without gaps.
pub(super) struct Atoms<'a> {
    text: &'a str,
    limit: Limit,
    spans: Peekable<Scan<'a>>,
    /// What no part splits either; what networks see in it stands among the spans.
    wholes: Peekable<IntoIter<Range<usize>>>,
    /// Where the latest of it ends.
    whole_end: usize,
    /// What X makes links of.
    urls: Peekable<IntoIter<Range<usize>>>,
    /// What Discord gets an escape before.
    signs: Peekable<IntoIter<usize>>,
    at: usize,
}

impl<'a> Atoms<'a> {
    pub(super) fn new(text: &'a str, limit: Limit) -> Self {
        let urls = match limit {
            Limit::X { .. } => x_text::urls(text),
            _ => Vec::new(),
        };
        let signs = match limit {
            Limit::Escaped { .. } => markdown::signs(text),
            _ => Vec::new(),
        };
        Self {
            text,
            limit,
            spans: Scan::through_code(text).with_numbers().peekable(),
            wholes: wholes(text, limit).into_iter().peekable(),
            whole_end: 0,
            urls: urls.into_iter().peekable(),
            signs: signs.into_iter().peekable(),
            at: 0,
        }
    }

    /// The end of the atom that begins with this cluster, and what it measures.
    fn measured(&mut self, start: usize, end: usize) -> (usize, Weight) {
        match self.limit {
            Limit::X { .. } => self.weighed(start, end),
            Limit::Mastodon { .. } | Limit::Bluesky { .. } | Limit::Unbounded => {
                self.counted_clusters(start, end)
            }
            Limit::Telegram { .. } => self.summed(start, end, char::len_utf16),
            Limit::Discord { .. } | Limit::Characters { .. } => self.summed(start, end, |_| 1),
            Limit::Escaped { .. } => {
                let (end, mut weight) = self.summed(start, end, |_| 1);
                while self.signs.next_if(|&sign| sign < end).is_some() {
                    weight = weight.plus(Weight { units: 1, bytes: 1 });
                }
                (end, weight)
            }
        }
    }

    /// As X counts: links alike, all else by its code points.
    fn weighed(&mut self, start: usize, mut end: usize) -> (usize, Weight) {
        let mut units = 0;
        let mut counted = start;
        loop {
            let before = end;
            end = self.covered(end).end;
            while let Some(url) = self.urls.next_if(|url| url.start < end) {
                units += x_text::weigh(&self.text[counted..url.start]) + x_text::URL_WEIGHT;
                counted = url.end;
                while end < url.end {
                    end = cluster_end(self.text, end);
                }
            }
            if end == before {
                break;
            }
        }
        units += x_text::weigh(&self.text[counted..end]);
        let bytes = end - start;
        (end, Weight { units, bytes })
    }

    /// As the sum of what each code point counts.
    fn summed(&mut self, start: usize, end: usize, count: fn(char) -> usize) -> (usize, Weight) {
        let end = self.covered(end).end;
        let piece = &self.text[start..end];
        let weight = Weight {
            units: piece.chars().map(count).sum(),
            bytes: piece.len(),
        };
        (end, weight)
    }

    /// In grapheme clusters, with what Mastodon and Bluesky show otherwise than it is written.
    fn counted_clusters(&mut self, start: usize, end: usize) -> (usize, Weight) {
        let first = counted_as(&self.text[start..end]);
        let covered = self.covered(end);
        let weight = Weight {
            units: first + covered.clusters - 1,
            bytes: covered.end - start - covered.unseen,
        };
        (covered.end, weight)
    }

    /// What the spans that it touches make of an atom.
    fn covered(&mut self, mut end: usize) -> Covered {
        let (mut clusters, mut unseen) = (1, 0);
        loop {
            while let Some(found) = self.spans.next_if(|found| found.start < end) {
                if !is_whole(&found) {
                    continue;
                }
                let mut covered = 1;
                while end < found.end {
                    let next = cluster_end(self.text, end);
                    covered += counted_as(&self.text[end..next]);
                    end = next;
                }
                let (counted, hidden) = self.counted(&found, covered);
                clusters += counted - 1;
                unseen += hidden;
            }
            while let Some(whole) = self.wholes.next_if(|whole| whole.start < end) {
                self.whole_end = self.whole_end.max(whole.end);
            }
            if end >= self.whole_end {
                break;
            }
            let next = cluster_end(self.text, end);
            clusters += counted_as(&self.text[end..next]);
            end = next;
        }
        Covered {
            end,
            clusters,
            unseen,
        }
    }

    /// What a span of so many grapheme clusters counts as, never 0, and how many of its bytes are
    /// not shown.
    fn counted(&self, found: &Found, covered: usize) -> (usize, usize) {
        match self.limit {
            Limit::Mastodon { url, .. } => (self.counted_by_mastodon(found, covered, url), 0),
            Limit::Bluesky { graphemes, bytes } => {
                let span = &self.text[found.start..found.end];
                let shown = display::shown(
                    span,
                    found.kind,
                    Weight {
                        units: graphemes,
                        bytes,
                    },
                );
                let unseen = span.len() - shown.len();
                let hidden = graphemes_of(span) - graphemes_of(&shown);
                (covered.saturating_sub(hidden).max(1), unseen)
            }
            _ => (covered, 0),
        }
    }

    /// Mastodon counts a URL that it will link with a fixed length, and a mention without its
    /// host (`StatusLengthValidator#countable_text`).
    fn counted_by_mastodon(&self, found: &Found, covered: usize, url: usize) -> usize {
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
                        .map_or(0, |host| graphemes_of(&span[host..]))
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
        let (end, weight) = self.measured(start, cluster_end(self.text, start));
        self.at = end;
        let piece = &self.text[start..end];
        Some(Atom {
            start,
            end,
            weight,
            is_space: piece.chars().all(char::is_whitespace),
        })
    }
}

/// How many grapheme clusters a text is counted as.
pub(super) fn graphemes_of(text: &str) -> usize {
    let mut at = 0;
    let mut count = 0;
    while at < text.len() {
        let end = cluster_end(text, at);
        count += counted_as(&text[at..end]);
        at = end;
    }
    count
}

/// How many grapheme clusters one of them is counted as.
///
/// Since Unicode 15.1 consonants that a virama joins are one cluster (GB9c). Mastodon counts with
/// Ruby, which knows that rule only from 4.0 on, and servers of Bluesky's with what each has: so
/// every consonant counts, which nowhere is too little of characters that the server knows.
fn counted_as(cluster: &str) -> usize {
    if cluster.len() < SHORTEST_CONJUNCT {
        return 1;
    }
    let property = CodePointMapData::<IndicConjunctBreak>::new();
    let is_consonant = |&it: &char| property.get(it) == IndicConjunctBreak::Consonant;
    cluster.chars().filter(is_consonant).count().max(1)
}

/// The bytes of two consonants and a virama, which are three each at least.
const SHORTEST_CONJUNCT: usize = 9;

/// The most bytes of code that no part splits: a name, a call, a short line. What is longer would
/// leave parts half empty, or fit nowhere.
const WHOLE_CODE: usize = 80;

/// What stays whole although it is no span that a network sees: short code, and mentions that were
/// made plain.
fn wholes(text: &str, limit: Limit) -> Vec<Range<usize>> {
    let mut wholes = short_codes(text);
    wholes.extend(plain_places(text, limit));
    wholes.sort_by_key(|whole| whole.start);
    wholes
}

/// Where code stands that is short enough to stay whole.
fn short_codes(text: &str) -> Vec<Range<usize>> {
    if !text.contains('`') {
        return Vec::new();
    }
    let is_short_code =
        |found: &Found| found.kind == SpanKind::Code && found.end - found.start <= WHOLE_CODE;
    let codes = Scan::new(text, Numbers::Translated).filter(is_short_code);
    codes.map(|found| found.start..found.end).collect()
}

/// The most bytes of a number with its unit that no part splits.
const WHOLE_NUMBER: usize = 40;

/// Whether a span stays whole as more than its grapheme clusters.
const fn is_whole(found: &Found) -> bool {
    match found.kind {
        SpanKind::Emoji | SpanKind::Separator => false,
        SpanKind::Number => found.end - found.start <= WHOLE_NUMBER,
        _ => true,
    }
}

/// Whether Mastodon links the URL: its host has a dot and ends in a name that exists.
fn is_linked(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    let host = host.split(['/', '?', '#', ':']).next().unwrap_or_default();
    host.rsplit_once('.').is_some_and(|(name, top)| {
        let is_name = top.starts_with("xn--") || x_text::is_top_level(top);
        !name.is_empty() && is_name && !host.contains('@')
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
