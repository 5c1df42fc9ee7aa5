//! How long a text is by the rules of each network, counted from what is known to stand in it.

use icu_normalizer::ComposingNormalizerBorrowed;
use unicode_segmentation::UnicodeSegmentation;

use crate::posts::{Kind, Post};
use crate::words::EMOJI;

/// A network whose limit is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    X,
    Mastodon,
    Bluesky,
    Telegram,
    Discord,
}

impl Network {
    pub(crate) const ALL: [Self; 5] = [
        Self::X,
        Self::Mastodon,
        Self::Bluesky,
        Self::Telegram,
        Self::Discord,
    ];

    /// What a part of a post measures with the warning that stands above it, and may measure.
    pub(crate) fn length(self, post: &Post, part: &str, warning: Option<&str>) -> (usize, usize) {
        match (self, warning) {
            (Self::X, None) => (count_of_x(post, part), 280),
            (Self::X, Some(warning)) => {
                let warned = count_of_x(post, warning) + 2;
                // Its words are cut where they would take more than half, and nothing else is.
                let holds = |text: &str| post.spans.iter().any(|span| text.contains(&span.text));
                let warned = if holds(warning) {
                    warned
                } else {
                    warned.min(140)
                };
                (warned + count_of_x(post, part), 280)
            }
            (Self::Mastodon, _) => {
                let warned = warning.map_or(0, |warning| warning.graphemes(true).count());
                (warned + count_of_mastodon(post, part), 500)
            }
            (Self::Bluesky, _) => {
                let shown = shown_on_bluesky(post, part);
                match shown.len() {
                    ..=3_000 => (shown.graphemes(true).count(), 300),
                    bytes => (bytes, 3_000),
                }
            }
            (Self::Telegram, _) => (part.encode_utf16().count(), 4_096),
            (Self::Discord, _) => (part.chars().count(), 2_000),
        }
    }
}

/// The text with a line's end for each span of these kinds, and the spans that were there.
fn without<'a>(post: &'a Post, text: &str, kinds: &[Kind]) -> (String, Vec<&'a str>) {
    let spans = post.spans.iter().filter(|span| kinds.contains(&span.kind));
    let mut spans: Vec<&str> = spans.map(|span| span.text.as_str()).collect();
    if kinds.contains(&Kind::Url) {
        spans.push(&post.url);
    }
    spans.sort_by_key(|span| std::cmp::Reverse(span.len()));
    let mut text = text.to_owned();
    spans.retain(|span| {
        let place = text.find(span);
        if let Some(at) = place {
            text.replace_range(at..at + span.len(), "\n");
        }
        place.is_some()
    });
    (text, spans)
}

/// What X counts: links 23, emoji 2, code points 1 or 2.
fn count_of_x(post: &Post, text: &str) -> usize {
    let (rest, links) = without(post, text, &[Kind::Url, Kind::Domain]);
    let composed = ComposingNormalizerBorrowed::new_nfc();
    let mut rest = composed.normalize(&rest).into_owned();
    let mut n_emoji = 0;
    // A sign that a keycap encloses is one emoji, with a selector between them or without.
    for key in "0123456789#*".chars() {
        for keycap in [format!("{key}\u{fe0f}\u{20e3}"), format!("{key}\u{20e3}")] {
            n_emoji += rest.matches(&keycap).count();
            rest = rest.replace(&keycap, "");
        }
    }
    for emoji in EMOJI {
        n_emoji += rest.matches(emoji).count();
        rest = rest.replace(emoji, "");
    }
    let weight = |character: char| match u32::from(character) {
        0..=4351 | 8192..=8205 | 8208..=8223 | 8242..=8247 => 1,
        _ => 2,
    };
    let all = links.len() * 22 + n_emoji * 2 + rest.chars().map(weight).sum::<usize>();
    let unsure = links.iter().map(|link| unsure_weight(text, link));
    all - unsure.sum::<usize>()
}

/// How much less a bare domain may count that is glued to a word, or stands before a dot and a
/// letter, or before one of the signs that end no name: X then looks at all of it, and may find
/// that it is no name, or a longer one.
fn unsure_weight(text: &str, link: &str) -> usize {
    let Some(at) = text.find(link).filter(|_| !link.contains("://")) else {
        return 0;
    };
    let is_glued = |before: char| !before.is_ascii() && !before.is_whitespace();
    let is_behind = text[..at].ends_with(is_glued);
    let behind = &text[at + link.len()..];
    let next = behind.strip_prefix('.');
    let is_longer = next.is_some_and(|next| next.starts_with(char::is_alphabetic))
        || behind.starts_with(['+', '-', '@']);
    if !is_behind && !is_longer {
        return 0;
    }
    let of_name = |it: &char| it.is_alphanumeric() || matches!(it, '\u{300}'..='\u{36f}');
    let n_taken_in = text[..at].chars().rev().take_while(of_name).count();
    23_usize.saturating_sub(link.len()) + n_taken_in
}

/// What Mastodon counts: links 23, mentions without their host, grapheme clusters.
fn count_of_mastodon(post: &Post, text: &str) -> usize {
    let (rest, links) = without(post, text, &[Kind::Url]);
    let (rest, mentions) = without(post, &rest, &[Kind::RemoteMention]);
    let names = mentions.iter().map(|mention| {
        let host = mention.rfind('@').expect("a mention with its host");
        host - 1
    });
    rest.graphemes(true).count() + links.len() * 22 + names.sum::<usize>()
}

/// What Bluesky shows: of a link that alone exceeds a post its first forty characters.
fn shown_on_bluesky(post: &Post, text: &str) -> String {
    let links = post.spans.iter().filter(|span| span.kind == Kind::Url);
    let mut shown = text.to_owned();
    for link in links.filter(|link| link.text.len() > 300) {
        let bare = link.text.split("://").nth(1).unwrap_or_default();
        let begin: String = bare.chars().take(40).collect();
        shown = shown.replace(&link.text, &format!("{begin}…"));
    }
    shown
}
