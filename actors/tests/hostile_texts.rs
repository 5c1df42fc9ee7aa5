//! That posts of any kind come through a hostile provider with their spans, and fit where they
//! are published, by counts of the test's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use babelfeed_actors::logic::fit::{Limit, fit};
use babelfeed_actors::logic::spans::protect;
use icu_normalizer::ComposingNormalizerBorrowed;
use unicode_segmentation::UnicodeSegmentation;

const N_POSTS: u64 = 100_000;
/// How often a provider is asked for a text before a person is.
const N_CALLS: usize = 4;

const WORDS: &[&str] = &[
    "the",
    "quick",
    "señor",
    "größer",
    "Привет",
    "мир",
    "שלום",
    "עולם",
    "مرحبا",
    "بالعالم",
    "日本語",
    "です",
    "中文",
    "한국어",
    "हिन्दी",
    "ไทย",
    "e\u{301}le\u{300}ve",
    "\u{202b}rtl\u{202c}",
    "zero\u{200b}width",
    "\u{2067}iso\u{2069}",
    "don't",
    "—",
    "“quoted”",
    "(so)",
    "50",
    "%",
    "½",
    "end.",
    "Why?",
    "終。",
    "توقف؟",
    "न।",
    "…",
    "a\u{200d}b",
    "\u{200f}",
];
const EMOJI: &[&str] = &[
    "👨\u{200d}👩\u{200d}👧\u{200d}👦",
    "🏳️\u{200d}🌈",
    "🙋🏽",
    "🇺🇦",
    "🇵🇱",
    "1️⃣",
    "❤️",
    "🎉",
    "👩\u{200d}💻",
    "🫡",
];
const BETWEEN: &[&str] = &[" ", " ", " ", " ", "\n", "\n\n", ", ", ". "];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// With a scheme: every network but Bluesky counts it otherwise.
    Url,
    /// Without: only X counts it otherwise.
    Domain,
    RemoteMention,
    Word,
    Emoji,
}

/// A post, and what of it must not change.
struct Post {
    text: String,
    spans: Vec<(Kind, String)>,
}

fn pick<'a>(rng: &mut fastrand::Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

/// A span that stands nowhere else in the post, unless it is an emoji, and what kind it is.
fn span(rng: &mut fastrand::Rng, n: usize) -> (Kind, String) {
    let long = "x".repeat(rng.usize(..80));
    match rng.u32(..13) {
        0 => (
            Kind::Url,
            format!("https://e{n}.example.org/a_(b)/{long}?q={n}"),
        ),
        1 => (Kind::Url, format!("http://m{n}.example.com")),
        2 => (Kind::Domain, format!("d{n}q.example.net/p{long}")),
        3 => (Kind::Domain, format!("d{n}z.co.uk")),
        4 => (Kind::Word, format!("@user{n}q")),
        5 => (Kind::RemoteMention, format!("@far{n}q@host{n}.social")),
        6 => (Kind::Word, format!("mail{n}@host{n}.org")),
        7 => (Kind::Word, format!("#tag{n}q")),
        8 => (Kind::Word, format!("#тег{n}я")),
        9 => (Kind::Word, format!(":blob{n}_cat:")),
        10 => (Kind::Word, format!("`code{n}x`")),
        11 => (Kind::Word, format!("⟦{}⟧", n + 40)),
        _ => (Kind::Emoji, pick(rng, EMOJI).to_owned()),
    }
}

fn post(rng: &mut fastrand::Rng) -> Post {
    let n_pieces = 1 + rng.usize(..40);
    let (mut text, mut spans) = (String::new(), Vec::new());
    for n in 0..n_pieces {
        if rng.u32(..4) == 0 {
            let (kind, span) = span(rng, n);
            text.push_str(&span);
            spans.push((kind, span));
            if kind == Kind::Emoji && rng.bool() {
                // Some stand against each other.
                let twin = pick(rng, EMOJI);
                text.push_str(twin);
                spans.push((Kind::Emoji, twin.to_owned()));
            }
            text.push_str(pick(rng, &[" ", " ", "\n", "\u{3000}", " – "]));
        } else {
            text.push_str(pick(rng, WORDS));
            text.push_str(pick(rng, BETWEEN));
        }
    }
    Post { text, spans }
}

/// What a hostile provider makes of a text with placeholders.
fn mistranslated(rng: &mut fastrand::Rng, skeleton: &str) -> String {
    let mut pieces = Vec::new();
    for piece in skeleton.split_inclusive(char::is_whitespace) {
        if piece.contains('⟦') {
            pieces.push(piece.to_owned());
        } else {
            pieces.push(format!("{} ", pick(rng, WORDS)));
        }
    }
    if pieces.is_empty() {
        return String::new();
    }
    let place = rng.usize(..pieces.len());
    let everywhere = |pieces: &mut Vec<String>, change: fn(&str) -> String| {
        for piece in pieces {
            *piece = change(piece);
        }
    };
    match rng.u32(..10) {
        0 => pieces[place].clear(),
        1 => pieces.push(pieces[place].clone()),
        2 => rng.shuffle(&mut pieces),
        3 => everywhere(&mut pieces, |piece| {
            piece.replace('⟦', "⟦ ").replace('⟧', "\u{a0}⟧")
        }),
        4 => everywhere(&mut pieces, |piece| {
            piece.replace('⟦', "wort⟦").replace('⟧', "⟧wort")
        }),
        5 => everywhere(&mut pieces, |piece| piece.trim().replace('⟧', "⟧.")),
        6 => pieces.push("(Note: see https://spam.example.com and @model)".to_owned()),
        7 => everywhere(&mut pieces, |piece| {
            piece.replace('⟦', "[").replace('⟧', "]")
        }),
        8 => pieces.insert(0, "⟦999⟧ ".to_owned()),
        _ => {}
    }
    pieces.concat()
}

/// A span that was not published as often as it stands in the post, or inside a longer word.
fn lost_span(post: &Post, published: &str) -> Option<String> {
    let mut wanted: BTreeMap<&str, (Kind, usize)> = BTreeMap::new();
    for (kind, span) in &post.spans {
        wanted.entry(span).or_insert((*kind, 0)).1 += 1;
    }
    let goes_on = |next: Option<char>| {
        next.is_some_and(|next| next.is_ascii_alphanumeric() || next == '_' || next == '/')
    };
    wanted.into_iter().find_map(|(span, (kind, n_wanted))| {
        let places = published.match_indices(span);
        let found = places.filter(|(at, _)| {
            let before = published[..*at].chars().next_back();
            let after = published[at + span.len()..].chars().next();
            let is_enclosed = kind == Kind::Emoji || span.starts_with(['⟦', '`']);
            is_enclosed || !goes_on(before) && !goes_on(after)
        });
        let n_found = found.count();
        (n_found != n_wanted).then(|| format!("`{span}` {n_found} times instead of {n_wanted}"))
    })
}

/// The text with a line's end for each span of these kinds, and the spans that were there.
fn without<'a>(post: &'a Post, text: &str, kinds: &[Kind]) -> (String, Vec<&'a str>) {
    let spans = post.spans.iter().filter(|(kind, _)| kinds.contains(kind));
    let mut spans: Vec<&str> = spans.map(|(_, span)| span.as_str()).collect();
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
    for emoji in EMOJI {
        n_emoji += rest.matches(emoji).count();
        rest = rest.replace(emoji, "");
    }
    let weight = |character: char| match u32::from(character) {
        0..=4351 | 8192..=8205 | 8208..=8223 | 8242..=8247 => 1,
        _ => 2,
    };
    let all = links.len() * 22 + n_emoji * 2 + rest.chars().map(weight).sum::<usize>();
    let unsure = links.iter().map(|link| match goes_on_as_name(text, link) {
        true => 23_usize.saturating_sub(link.len()),
        false => 0,
    });
    all - unsure.sum::<usize>()
}

/// Whether a bare domain is glued to what is not ASCII, or stands before a dot and a letter: X then looks at
/// all of it, and may find that it is no name. So it counts here as the less of what it may count
/// there.
fn goes_on_as_name(text: &str, link: &str) -> bool {
    let Some(at) = text.find(link).filter(|_| !link.contains("://")) else {
        return false;
    };
    let is_glued = |before: char| !before.is_ascii() && !before.is_whitespace();
    let is_behind = text[..at].ends_with(is_glued);
    let next = text[at + link.len()..].strip_prefix('.');
    is_behind || next.is_some_and(|next| next.starts_with(char::is_alphabetic))
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

const NETWORKS: [Limit; 5] = [
    Limit::X,
    Limit::MASTODON,
    Limit::BLUESKY,
    Limit::TELEGRAM,
    Limit::DISCORD,
];

/// Whether a part is within what its network takes.
fn is_within(post: &Post, limit: Limit, part: &str) -> bool {
    match limit {
        Limit::X { .. } => count_of_x(post, part) <= 280,
        Limit::Mastodon { .. } => count_of_mastodon(post, part) <= 500,
        Limit::Bluesky { .. } => part.graphemes(true).count() <= 300 && part.len() <= 3_000,
        Limit::Telegram { .. } => part.encode_utf16().count() <= 4_096,
        _ => part.chars().count() <= 2_000,
    }
}

#[test]
fn no_span_is_lost_in_a_hundred_thousand_posts_through_a_hostile_provider() {
    let (mut n_published, mut n_held, mut n_threads) = (0, 0, 0);
    for seed in 0..N_POSTS {
        let mut rng = fastrand::Rng::with_seed(seed);
        let post = post(&mut rng);
        let text: Arc<str> = post.text.as_str().into();
        let protected = protect(&text);
        let mut why = String::new();
        let restored = (0..N_CALLS).find_map(|_| {
            let answer = mistranslated(&mut rng, &protected.skeleton);
            let restored = protected.restore(&answer);
            restored.map_err(|broken| why = broken.to_string()).ok()
        });
        let Some(restored) = restored else {
            n_held += 1;
            assert!(
                why.contains(", "),
                "post {seed} is held for no reason: {why}"
            );
            continue;
        };
        let limit = NETWORKS[rng.usize(..NETWORKS.len())];
        let parts = match fit(&restored, limit) {
            Ok(parts) => parts,
            Err(error) => {
                n_held += 1;
                assert!(error.length > error.max, "post {seed}: {error}");
                continue;
            }
        };
        n_published += 1;
        n_threads += usize::from(parts.len() > 1);
        let whole = parts.join("\n");
        let lost = lost_span(&post, &whole);
        assert_eq!(lost, None, "post {seed}: {text:?} became {whole:?}");
        for part in &parts {
            let is_within = is_within(&post, limit, part);
            assert!(is_within, "post {seed} for {limit:?}: {part:?}");
        }
    }
    assert!(n_published > N_POSTS * 8 / 10, "{n_held} are held");
    assert!(n_threads > 1_000, "{n_threads} threads");
}
