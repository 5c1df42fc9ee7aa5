//! Mends what is provably wrong with a translation, so that nobody is asked again for it.

use std::borrow::Cow;
use std::sync::Arc;

use super::Checks;
use super::script::joins_words;
use super::words::is_of_word;
use crate::domain::Language;
use crate::logic::spans::{Protected, SpanKind};
use crate::logic::x_text::composed;

/// Quotation marks that belong together.
const QUOTES: [(char, char); 13] = [
    ('"', '"'),
    ('\'', '\''),
    ('“', '”'),
    ('„', '“'),
    ('„', '”'),
    ('”', '”'),
    ('«', '»'),
    ('»', '«'),
    ('‘', '’'),
    ('‚', '‘'),
    ('「', '」'),
    ('『', '』'),
    ('`', '`'),
];

/// A mark of byte order, which is nothing in a text.
const NOTHING: char = '\u{feff}';

/// The text of a translation without what was put around it, composed (NFC), with its direction
/// marks closed, and with blanks where a lost one would make or break a link.
pub(super) fn repaired(
    source: &Protected,
    translated: Arc<str>,
    target: &Language,
    checks: Checks,
) -> Arc<str> {
    let mut text = composed(&translated);
    if text.contains(NOTHING) {
        // X takes no post with it, and what it held apart must not touch once it is left out.
        text = Cow::Owned(text.replace(NOTHING, ""));
    }
    if checks.notes {
        let bare = unwrapped(&source.skeleton, &text);
        if bare.len() < text.len() {
            text = Cow::Owned(bare.to_owned());
        }
    }
    if checks != Checks::NONE
        && let Some(apart) = with_blanks_behind_stops(&source.skeleton, &text, target)
    {
        text = Cow::Owned(apart);
    }
    if let Some(apart) = with_blanks_around_spans(source, &text) {
        text = Cow::Owned(apart);
    }
    if let Some(closed) = with_marks_closed(&text) {
        text = Cow::Owned(closed);
    }
    match text {
        Cow::Borrowed(_) => translated,
        Cow::Owned(text) => text.into(),
    }
}

/// Whether words stand together at a full stop as a domain's do, and not so in the text.
pub(super) fn makes_link(source: &str, translated: &str, target: &Language) -> bool {
    !joins_words(target) && stops(translated).any(|stop| !source.contains(stop.token))
}

/// A full stop between two letters.
struct Stop<'a> {
    /// Where it stands.
    at: usize,
    /// What stands around it without a blank.
    token: &'a str,
}

/// The full stops of a text with words of two letters and more before and behind them, which
/// abbreviations have not.
fn stops(text: &str) -> impl Iterator<Item = Stop<'_>> {
    let is_letter = |letter: &char| letter.is_alphabetic();
    let candidates = text.match_indices('.');
    candidates.filter_map(move |(at, _)| {
        let (before, behind) = (&text[..at], &text[at + 1..]);
        let left = before.chars().rev().take_while(is_letter);
        let right = behind.chars().take_while(is_letter);
        let measure = |(n, bytes): (usize, usize), letter: char| (n + 1, bytes + letter.len_utf8());
        let (n_left, left) = left.fold((0, 0), measure);
        let (n_right, right) = right.fold((0, 0), measure);
        if n_left < 2 || n_right < 2 {
            return None;
        }
        let token = &text[at - left..at + 1 + right];
        Some(Stop { at, token })
    })
}

/// Puts blanks behind full stops where a sentence begins in capitals without one.
fn with_blanks_behind_stops(source: &str, text: &str, target: &Language) -> Option<String> {
    if joins_words(target) {
        return None;
    }
    let begins_sentence = |stop: &Stop<'_>| {
        let mut behind = text[stop.at + 1..].chars();
        let is_capital = behind.next().is_some_and(char::is_uppercase);
        let is_small = behind.next().is_some_and(char::is_lowercase);
        let before = text[..stop.at].chars().next_back();
        is_capital && is_small && before.is_some_and(char::is_lowercase)
    };
    let places: Vec<usize> = stops(text)
        .filter(|stop| begins_sentence(stop) && !source.contains(stop.token))
        .map(|stop| stop.at + 1)
        .collect();
    with_blanks(text, &places)
}

/// Puts blanks where the text has one beside a span that a letter beside it would spoil.
fn with_blanks_around_spans(source: &Protected, text: &str) -> Option<String> {
    if source.spans.is_empty() {
        return None;
    }
    let mut places = Vec::new();
    for (number, span) in source.spans.iter().enumerate() {
        let is_word = !matches!(span.kind, SpanKind::Emoji | SpanKind::Placeholder);
        let mark = format!("⟦{number}⟧");
        let (Some(was), Some(at), true) = (source.skeleton.find(&mark), text.find(&mark), is_word)
        else {
            continue;
        };
        let before = |text: &str, at: usize| text[..at].chars().next_back();
        let behind = |text: &str, at: usize| text[at + mark.len()..].chars().next();
        let stood_apart = |beside: Option<char>| beside.is_none_or(char::is_whitespace);
        let stands_apart = |beside: Option<char>| {
            !beside.is_some_and(|letter| is_of_word(letter) && !matches!(letter, '\'' | '’'))
        };
        if stood_apart(before(&source.skeleton, was)) && !stands_apart(before(text, at)) {
            places.push(at);
        }
        if stood_apart(behind(&source.skeleton, was)) && !stands_apart(behind(text, at)) {
            places.push(at + mark.len());
        }
        if stops_before(&source.skeleton[was + mark.len()..], char::is_whitespace)
            && stops_before(&text[at + mark.len()..], begins_name)
        {
            places.push(at + mark.len() + 1);
        }
    }
    places.sort_unstable();
    with_blanks(text, &places)
}

/// Whether a text begins with a stop and then such a character.
fn stops_before(text: &str, is_such: fn(char) -> bool) -> bool {
    let rest = text.strip_prefix(['.', ',', ';', ':', '!', '?']);
    rest.is_some_and(|rest| rest.starts_with(is_such))
}

/// Whether a name may begin with it, or a span.
const fn begins_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '⟦'
}

/// The text with a blank at each of these places, which rise; none if there are none.
fn with_blanks(text: &str, places: &[usize]) -> Option<String> {
    if places.is_empty() {
        return None;
    }
    let mut apart = String::with_capacity(text.len() + places.len());
    let mut copied = 0;
    for &place in places {
        apart.push_str(&text[copied..place]);
        apart.push(' ');
        copied = place;
    }
    apart.push_str(&text[copied..]);
    Some(apart)
}

/// What stands within fences or quotation marks that the text does not have.
fn unwrapped<'a>(source: &str, text: &'a str) -> &'a str {
    let bare = without_fences(source, text.trim());
    without_quotes(source.trim(), bare)
}

fn without_fences<'a>(source: &str, text: &'a str) -> &'a str {
    const FENCE: &str = "```";
    let inner = text.strip_prefix(FENCE);
    let inner = inner.and_then(|inner| inner.strip_suffix(FENCE));
    let Some(inner) = inner.filter(|inner| !inner.contains(FENCE) && !source.contains(FENCE))
    else {
        return text;
    };
    // Behind the opening fence there may be the name of a language, alone in its line.
    match inner.split_once('\n') {
        Some((name, rest)) if name.trim().chars().all(|it| it.is_ascii_alphanumeric()) => {
            rest.trim()
        }
        _ => inner.trim(),
    }
}

fn without_quotes<'a>(source: &str, text: &'a str) -> &'a str {
    let is_quote = |letter: char| {
        let mut quotes = QUOTES.iter();
        quotes.any(|(opening, closing)| *opening == letter || *closing == letter)
    };
    if source.starts_with(is_quote) || source.ends_with(is_quote) {
        return text;
    }
    for (opening, closing) in QUOTES {
        let inner = text.strip_prefix(opening);
        let inner = inner.and_then(|inner| inner.strip_suffix(closing));
        let is_around = |inner: &&str| {
            // What is quoted twice, or has a quotation at each end, is not quoted as a whole.
            !inner.trim().is_empty() && !inner.contains([opening, closing])
        };
        // An apostrophe within is none of these marks.
        if let Some(inner) = inner.filter(is_around) {
            return inner.trim();
        }
    }
    text
}

/// The text with every isolate and embedding closed in its line, and without closing marks that
/// close nothing; none if that is so already.
fn with_marks_closed(text: &str) -> Option<String> {
    const ISOLATES: [char; 3] = ['\u{2066}', '\u{2067}', '\u{2068}'];
    const EMBEDDINGS: [char; 4] = ['\u{202a}', '\u{202b}', '\u{202d}', '\u{202e}'];
    const POP_ISOLATE: char = '\u{2069}';
    const POP_EMBEDDING: char = '\u{202c}';
    // All of them begin with these two bytes.
    let mut twos = text.as_bytes().windows(2);
    if text.is_ascii() || !twos.any(|it| it == [0xe2, 0x80] || it == [0xe2, 0x81]) {
        return None;
    }
    let mut closed = String::with_capacity(text.len());
    let mut open: Vec<char> = Vec::new();
    for letter in text.chars() {
        if ISOLATES.contains(&letter) {
            open.push(POP_ISOLATE);
        } else if EMBEDDINGS.contains(&letter) {
            open.push(POP_EMBEDDING);
        } else if matches!(letter, POP_ISOLATE | POP_EMBEDDING) {
            if open.last() != Some(&letter) {
                continue;
            }
            open.pop();
        } else if letter == '\n' {
            closed.extend(open.drain(..).rev());
        }
        closed.push(letter);
    }
    closed.extend(open.drain(..).rev());
    (closed != text).then_some(closed)
}
